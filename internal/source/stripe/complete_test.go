package stripe

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/stripe/stripesim"
)

const apiKey = "rk_test_canary"

// account is a simulated Stripe account and a source that may ask it.
func account(t testing.TB, o stripesim.Options) (*stripesim.Sim, *Source) {
	t.Helper()
	o.Key = apiKey
	sim := stripesim.New(o)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	s, err := New(Options{Secrets: []string{secretA}, APIKey: apiKey, APIURL: server.URL + "/"})
	if err != nil {
		t.Fatal(err)
	}
	return sim, s
}

// learn reads an event and asks about it, as the service does.
func learn(ctx context.Context, s *Source, e stripesim.Event) (commerce.Content, error) {
	ev := event.Event{Topic: e.Topic, Body: e.Body}
	c, err := s.Decode(ev)
	if err == nil {
		err = s.Complete(ctx, ev, &c)
	}
	return c, err
}

// learnAll describes all events since the last time, and what was asked.
func learnAll(t *testing.T, sim *stripesim.Sim, s *Source) []string {
	t.Helper()
	var said []string
	for _, e := range sim.Take() {
		c, err := learn(t.Context(), s, e)
		said = append(said, e.Topic+": "+describe(c, err))
	}
	return said
}

// TestOnePaymentIsToldAlike takes a payment in every way and version: all
// events that book it agree on its id, amount and settlement.
func TestOnePaymentIsToldAlike(t *testing.T) {
	for _, version := range stripesim.Versions {
		for _, way := range []stripesim.Way{stripesim.ByIntent, stripesim.BySession, stripesim.ByInvoice, stripesim.BySubscription, stripesim.ByCharge} {
			t.Run(string(version)+" by "+string(way), func(t *testing.T) {
				sim, s := account(t, stripesim.Options{Version: version, Converts: map[string]stripesim.Conversion{"gbp": {To: "usd", Rate: "1.25"}}})
				sim.Pay(stripesim.Payment{Amount: 4000, Currency: "gbp", Order: "1001", Email: "ann@example.com", Way: way})
				var first *commerce.Payment
				for _, e := range sim.Take() {
					c, err := learn(t.Context(), s, e)
					if err != nil || c.Payment == nil {
						t.Fatalf("%s: %+v, %v", e.Topic, c, err)
					}
					if first == nil {
						first = c.Payment
						continue
					}
					p := c.Payment
					if p.ID != first.ID || p.Reference != first.Reference || !p.Amount.Equal(first.Amount) || describe(c, nil) == "" ||
						settles(p.Settlement) != settles(first.Settlement) || p.PayerEmail != first.PayerEmail {
						t.Errorf("%s says\n%+v, the first said\n%+v", e.Topic, *p, *first)
					}
				}
				if got := settles(first.Settlement); !strings.HasSuffix(got, ": 50.00 USD - 2.75 USD = 47.25 USD}") {
					t.Errorf("settled %s", got)
				}
			})
		}
	}
}

// TestPaymentsAreToldAlikeWithoutAKey holds the same for id and amount where
// events are all there is.
func TestPaymentsAreToldAlikeWithoutAKey(t *testing.T) {
	for _, version := range stripesim.Versions {
		for _, way := range []stripesim.Way{stripesim.ByIntent, stripesim.BySession, stripesim.ByInvoice, stripesim.BySubscription, stripesim.ByCharge} {
			sim := stripesim.New(stripesim.Options{Version: version})
			sim.Pay(stripesim.Payment{Amount: 4000, Currency: "gbp", Way: way})
			id := ""
			for _, e := range sim.Take() {
				c, err := source(t, secretA).Decode(event.Event{Topic: e.Topic, Body: e.Body})
				switch {
				case err != nil:
					t.Errorf("%s: %v", e.Topic, err)
				case c.Payment == nil && c.Ignored == "":
					t.Errorf("%s: nothing", e.Topic)
				case c.Payment == nil:
				case id == "":
					id = c.Payment.ID
				case c.Payment.ID != id || c.Payment.Amount.String() != "40.00 GBP":
					t.Errorf("%s %s: %+v, want %s", version, e.Topic, c.Payment, id)
				}
			}
			if id == "" {
				t.Errorf("%s by %s: no event booked the payment", version, way)
			}
		}
	}
}

func TestCompleteWaitsForWhatStripeDoesNotKnowYet(t *testing.T) {
	sim, s := account(t, stripesim.Options{Late: true})
	charge := sim.Pay(stripesim.Payment{Amount: 1000, Currency: "eur", Way: stripesim.ByIntent})
	for _, e := range sim.Take() {
		if c, err := learn(t.Context(), s, e); err != nil || c.Payment == nil || c.Payment.Settlement != nil {
			t.Errorf("%s: %+v, %v", e.Topic, c.Payment, err)
		}
	}
	sim.Settle(charge)
	want := []string{"charge.updated: fee of pi_1SimP00002 alias [ch_1SimC00001] ref ch_1SimC00001 10.00 EUR {txn_1SimT00005: 10.00 EUR - 0.59 EUR = 9.41 EUR}"}
	if diff := cmp.Diff(want, learnAll(t, sim, s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCompleteOfSeveralCaptures(t *testing.T) {
	for _, version := range stripesim.Versions {
		sim, s := account(t, stripesim.Options{Version: version})
		charge := sim.Authorize(stripesim.Payment{Amount: 6000, Currency: "eur"})
		sim.Capture(charge, 1000, false)
		sim.Capture(charge, 2000, false)
		sim.Capture(charge, 3000, true)
		net := map[string]bool{}
		var said []string
		for _, e := range sim.Take() {
			c, err := learn(t.Context(), s, e)
			if err != nil {
				t.Fatal(err)
			}
			if c.Payment == nil {
				said = append(said, e.Topic+" ignored")
				continue
			}
			said = append(said, e.Topic+" "+c.Payment.ID+" "+c.Payment.Amount.String())
			net[c.Payment.Settlement.Net.String()] = true
		}
		want := []string{
			"charge.succeeded ignored", "charge.updated pi_1SimP00002 10.00 EUR", "charge.updated pi_1SimP00002/1000 20.00 EUR",
			"charge.captured pi_1SimP00002/3000 30.00 EUR", "payment_intent.succeeded ignored",
		}
		if diff := cmp.Diff(want, said); diff != "" || len(net) != 3 {
			t.Errorf("%s: %d settlements (-want +got):\n%s", version, len(net), diff)
		}
	}
}

// TestCompleteOfAPartialCapture captures less than was authorised. What was
// never captured is no refund, and in no settlement.
func TestCompleteOfAPartialCapture(t *testing.T) {
	for _, version := range stripesim.Versions {
		sim, s := account(t, stripesim.Options{Version: version})
		sim.CapturePart(stripesim.Payment{Amount: 10000, Currency: "eur"}, 6000)
		booked := 0
		for _, e := range sim.Take() {
			c, err := learn(t.Context(), s, e)
			if err != nil || len(c.Refunds) > 0 {
				t.Errorf("%s %s: %+v, %v", version, e.Topic, c, err)
			}
			if c.Payment == nil {
				continue
			}
			booked++
			if got := settles(c.Payment.Settlement); !strings.HasSuffix(got, ": 60.00 EUR - 2.04 EUR = 57.96 EUR}") || c.Payment.Amount.String() != "60.00 EUR" {
				t.Errorf("%s %s: %s%s", version, e.Topic, c.Payment.Amount, got)
			}
		}
		if booked != 2 {
			t.Errorf("%s: booked by %d events", version, booked)
		}
	}
}

func TestCompleteOfRefunds(t *testing.T) {
	for _, version := range stripesim.Versions {
		t.Run(string(version), func(t *testing.T) {
			sim, s := account(t, stripesim.Options{Version: version, Converts: map[string]stripesim.Conversion{"gbp": {To: "usd", Rate: "1.25"}}})
			charge := sim.Pay(stripesim.Payment{Amount: 4000, Currency: "gbp", Way: stripesim.ByIntent})
			sim.Take()
			re := sim.Refund(charge, 1000, true)
			pending := "refund " + re + " of pi_1SimP00002 10.00 GBP pending"
			for _, said := range learnAll(t, sim, s) {
				if !strings.Contains(said, pending) {
					t.Errorf("said %s, want %s", said, pending)
				}
			}
			sim.ArriveRefund(re)
			arrived := sim.Events()
			for _, said := range learnAll(t, sim, s) {
				if !strings.Contains(said, "10.00 GBP succeeded {") || !strings.Contains(said, ": -12.50 USD - 0.00 USD = -12.50 USD}") {
					t.Errorf("said %s", said)
				}
			}
			sim.ReferRefund(re)
			if said := learnAll(t, sim, s); !slices.Equal(said, []string{"charge.refund.updated: ignored: the update of the refund moves no money"}) {
				t.Errorf("said %q", said)
			}
			sim.FailRefund(re)
			// An older event that comes late tells the failure too.
			for _, e := range append(arrived, sim.Take()...) {
				if c, err := learn(t.Context(), s, e); err != nil || len(c.Refunds) != 1 || c.Refunds[0].Outcome != commerce.Failed {
					t.Errorf("%s: %+v, %v", e.Topic, c, err)
				}
			}
		})
	}
}

// TestCompleteOfACancellation cancels an authorisation: no version makes a
// refund of that.
func TestCompleteOfACancellation(t *testing.T) {
	for _, version := range stripesim.Versions {
		sim, s := account(t, stripesim.Options{Version: version})
		sim.Cancel(sim.Authorize(stripesim.Payment{Amount: 6000, Currency: "eur"}))
		for _, e := range sim.Take() {
			if c, err := learn(t.Context(), s, e); err != nil || c.Ignored == "" || len(c.Refunds) > 0 {
				t.Errorf("%s %s: %+v, %v", version, e.Topic, c, err)
			}
		}
	}
}

// TestALateFeeOfOneOfSeveralCaptures holds that it finds its capture, the first
// or a later one, and that one after a conversion is not guessed.
func TestALateFeeOfOneOfSeveralCaptures(t *testing.T) {
	for currency, want := range map[string][]string{"eur": {"pi", "pi/2000"}, "jpy": {"pi", "pi/2000"}, "gbp": {"", ""}} {
		sim, s := account(t, stripesim.Options{Converts: map[string]stripesim.Conversion{"gbp": {To: "usd", Rate: "1.25"}}})
		charge := sim.Authorize(stripesim.Payment{Amount: 6000, Currency: currency})
		sim.Take()
		for n, units := range []int64{2000, 3000} {
			sim.CaptureLate(charge, units, n == 1)
			captured, fee := commerce.Payment{}, commerce.Payment{}
			reason := ""
			for _, e := range sim.Take() {
				c, err := learn(t.Context(), s, e)
				switch {
				case err != nil:
					t.Fatal(err)
				case c.Payment == nil:
					reason += c.Ignored
				case c.Payment.FeeOnly:
					fee = *c.Payment
				default:
					captured = *c.Payment
				}
			}
			if captured.ID == "" || captured.Settlement != nil {
				t.Errorf("%s: capture %d is %+v", currency, n+1, captured)
			}
			if want[n] == "" {
				if fee.ID != "" || !strings.Contains(reason, "does not say of which") {
					t.Errorf("%s: the fee of capture %d is of %q, %q", currency, n+1, fee.ID, reason)
				}
				continue
			}
			if fee.ID != captured.ID || !fee.Amount.Equal(captured.Amount) || fee.Settlement == nil || !fee.Settlement.Gross.Equal(captured.Amount) || fee.Settlement.Fee.Sign() <= 0 {
				t.Errorf("%s: the fee of capture %d is %+v, want that of %+v", currency, n+1, fee, captured)
			}
			if suffix := strings.Contains(captured.ID, "/"); suffix != strings.Contains(want[n], "/") {
				t.Errorf("%s: capture %d is called %s", currency, n+1, captured.ID)
			}
		}
	}
}

// TestCompleteWaitsForARefundsMoney asks about a refund that has succeeded and
// has no balance transaction yet.
func TestCompleteWaitsForARefundsMoney(t *testing.T) {
	for _, answer := range []string{
		refund(`"status":"succeeded","balance_transaction":null`),
		strings.Replace(refund(`"status":"succeeded","balance_transaction":null`), `"charge":"ch_1"`, `"charge":{"id":"ch_1","captured":true}`, 1),
	} {
		s, err := New(Options{Secrets: []string{secretA}, APIKey: apiKey, Transport: says(answer)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = learn(t.Context(), s, stripesim.Event{Topic: "refund.created", Body: []byte(eventBody(refund(`"status":"succeeded","balance_transaction":null`)))})
		if f := fault.As(err); f == nil || f.Kind != fault.Unavailable {
			t.Errorf("got %v", err)
		}
	}
}

func TestCompleteReadsLongLists(t *testing.T) {
	sim, s := account(t, stripesim.Options{})
	charge := sim.Pay(stripesim.Payment{Amount: 100000, Currency: "eur", Way: stripesim.ByIntent})
	for range 230 {
		sim.Refund(charge, 1, false)
	}
	events := sim.Take()
	sim.Calls()
	c, err := learn(t.Context(), s, events[len(events)-1])
	if err != nil || len(c.Refunds) != 230 || len(sim.Calls()) != 3 {
		t.Errorf("%d refunds, %v", len(c.Refunds), err)
	}
}

func TestCompleteOfDisputesAndPayouts(t *testing.T) {
	sim, s := account(t, stripesim.Options{})
	charge := sim.Pay(stripesim.Payment{Amount: 4000, Currency: "eur", Way: stripesim.ByIntent})
	sim.Take()
	dp := sim.Dispute(charge, false)
	sim.Win(dp, true)
	taken, given := "{txn_1SimT00009: -40.00 EUR - 15.00 EUR = -55.00 EUR}", "{txn_1SimT00011: 40.00 EUR - -15.00 EUR = 55.00 EUR}"
	for _, said := range learnAll(t, sim, s) {
		if strings.Contains(said, "opened") { // it was told before the money went: Stripe is asked
			said += "\n"
		}
		if strings.Count(said, taken) != 1 || strings.Count(said, given) != 1 && !strings.Contains(said, "withdrawn") {
			t.Errorf("said %s", said)
		}
	}
	inquiry := sim.Dispute(charge, true)
	sim.Drop(inquiry)
	sim.Calls()
	for _, said := range learnAll(t, sim, s) {
		if strings.Contains(said, "{") {
			t.Errorf("an inquiry moved money: %s", said)
		}
	}
	if calls := sim.Calls(); len(calls) > 0 {
		t.Errorf("asked %q about an inquiry", calls)
	}
	sim.Arrive(sim.Payout(1000, "eur", true))
	if said := strings.Join(learnAll(t, sim, s), "\n"); !strings.Contains(said, "payout.paid: payout po_") || !strings.Contains(said, "10.00 EUR fee 0.10 EUR succeeded") {
		t.Errorf("said %s", said)
	}
}

// TestOutagesLeaveTheEventForLater makes every kind of call fail in every way.
func TestOutagesLeaveTheEventForLater(t *testing.T) {
	faults := map[fault.Kind]stripesim.Fault{
		fault.Credentials: {Status: 401}, fault.Rights: {Status: 403}, fault.Missing: {Status: 404}, fault.RateLimited: {Status: 429, RetryAfter: "7"},
		fault.Unavailable: {Status: 500}, fault.Network: {Cut: true}, fault.Timeout: {Hang: true},
	}
	sim, s := account(t, stripesim.Options{})
	charge := sim.Pay(stripesim.Payment{Amount: 4000, Currency: "eur", Way: stripesim.ByInvoice})
	sim.Refund(charge, 500, false)
	sim.Dispute(charge, false)
	sim.Arrive(sim.Payout(1000, "eur", true))
	asked := 0
	for _, e := range sim.Take() {
		sim.Calls()
		if _, err := learn(t.Context(), s, e); err != nil {
			t.Fatalf("%s: %v", e.Topic, err)
		}
		if len(sim.Calls()) == 0 {
			continue
		}
		asked++
		for want, broken := range faults {
			sim.Fail(broken)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if broken.Hang {
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
			}
			_, err := learn(ctx, s, e)
			cancel()
			f := fault.As(err)
			if f == nil || f.Kind != want || f.Kind.Retry() == fault.Never || !strings.HasPrefix(f.Op, "stripe.") || f.RetryAfter != map[bool]time.Duration{true: 7 * time.Second}[want == fault.RateLimited] {
				t.Errorf("%s, %s: %v", e.Topic, want, err)
			}
			if f != nil && strings.Contains(f.Error()+f.Detail+f.Hint, "canary") {
				t.Errorf("the key is in %v", f)
			}
			if needy := want == fault.Credentials || want == fault.Rights || want == fault.Missing; f != nil && needy && f.Hint == "" {
				t.Errorf("%s does not say what to do", want)
			}
		}
	}
	if asked < 7 {
		t.Errorf("only %d events asked", asked)
	}
}

func TestCheck(t *testing.T) {
	sim, s := account(t, stripesim.Options{})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	sim.Fail(stripesim.Fault{}, stripesim.Fault{Status: http.StatusForbidden})
	if f := fault.As(s.Check(t.Context())); f == nil || f.Kind != fault.Rights || f.Op != "stripe.check charges" {
		t.Errorf("got %v", f)
	}
	other, err := New(Options{Secrets: []string{secretA}, APIKey: "wrong-canary", APIURL: s.api.base})
	if err != nil {
		t.Fatal(err)
	}
	if f := fault.As(other.Check(t.Context())); f == nil || f.Kind != fault.Credentials || strings.Contains(f.Error()+f.Detail, "canary") {
		t.Errorf("got %v", f)
	}
	if err := source(t, secretA).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestConnectedAccountIsAskedAbout holds that calls name the account.
func TestConnectedAccountIsAskedAbout(t *testing.T) {
	var named []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		named = append(named, r.Header.Get("Stripe-Account"))
		_, _ = w.Write([]byte(`{"id":"ch_9","captured":true,"amount":5025,"amount_captured":5025,"currency":"eur","balance_transaction":null}`))
	}))
	defer server.Close()
	s, err := New(Options{Secrets: []string{secretA}, APIKey: apiKey, APIURL: server.URL, Account: "acct_1"})
	if err != nil {
		t.Fatal(err)
	}
	body := strings.Replace(eventBody(wholeCharge), `"object":"event"`, `"object":"event","account":"acct_1"`, 1)
	if _, err := learn(t.Context(), s, stripesim.Event{Topic: "charge.succeeded", Body: []byte(body)}); err != nil || !slices.Equal(named, []string{"acct_1"}) {
		t.Errorf("named %q, %v", named, err)
	}
}

// says answers every call alike.
type says []byte

func (s says) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(s))}, nil
}

// FuzzComplete lets Stripe's API answer anything: what is made of it is whole,
// or a failure that leaves the event for later.
func FuzzComplete(f *testing.F) {
	for _, version := range stripesim.Versions {
		sim := stripesim.New(stripesim.Options{Version: version})
		charge := sim.Pay(stripesim.Payment{Amount: 4000, Currency: "eur", Way: stripesim.ByInvoice})
		sim.Refund(charge, 500, false)
		sim.Dispute(charge, false)
		sim.Arrive(sim.Payout(1000, "eur", true))
		for _, e := range sim.Take() {
			f.Add(e.Topic, e.Body, []byte(`{"data":[],"id":"ch_1","captured":true,"amount":5025,"amount_captured":5025,"currency":"eur","balance_transaction":`+transaction+`}`))
		}
	}
	f.Add("charge.updated", []byte(eventBody(charge(`"balance_transaction":"txn_1"`))), []byte(`{"id":"ch_1","captured":true,"amount":6,"amount_captured":5,"currency":"eur","balance_transaction":`+transaction+`}`))
	f.Fuzz(func(t *testing.T, topic string, body, answer []byte) {
		s, err := New(Options{Secrets: []string{secretA}, APIKey: "key", Transport: says(answer)})
		if err != nil {
			t.Fatal(err)
		}
		ev := event.Event{Topic: topic, Body: body}
		c, err := s.Decode(ev)
		if err != nil {
			return
		}
		if err := s.Complete(t.Context(), ev, &c); err != nil {
			if f := fault.As(err); f == nil || f.Kind == fault.Internal {
				t.Fatalf("unclassified: %v", err)
			}
			return
		}
		if (c.Payment == nil && len(c.Refunds) == 0 && c.Dispute == nil && c.Payout == nil) == (c.Ignored == "") {
			t.Fatalf("neither money nor ignored, or both: %+v", c)
		}
		if p := c.Payment; p != nil && (p.ID == "" || p.Amount.Sign() <= 0 || p.Settlement != nil && !p.Settlement.Gross.Sub(p.Settlement.Fee).Equal(p.Settlement.Net)) {
			t.Fatalf("half a payment: %+v", p)
		}
	})
}
