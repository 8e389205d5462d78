package paypalsim_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal/paypalsim"
)

var signer = sync.OnceValues(func() (*paypal.Signer, error) { return paypal.NewSigner(paypal.Live, time.Now()) })

// direct calls a handler without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	d.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// pair is an account and a source that listens to it.
func pair(t testing.TB, known bool, change func(*paypalsim.Options)) (*paypalsim.Sim, *paypal.Source) {
	t.Helper()
	g, err := signer()
	must(t, err)
	o := paypalsim.Options{
		ClientID: "id", ClientSecret: "secret", WebhookID: "1TE00000ST000000W", Merchant: "MERCHANT", Signer: g,
		Holds: map[string]bool{"EUR": true}, Rates: map[string]decimal.Decimal{"GBP": decimal.RequireFromString("1.2537"), "JPY": decimal.RequireFromString("0.0068")},
	}
	if change != nil {
		change(&o)
	}
	sim := paypalsim.New(o)
	options := paypal.Options{
		WebhookID: o.WebhookID, ClientID: o.ClientID, ClientSecret: o.ClientSecret, Merchant: o.Merchant,
		APIURL: "http://paypal.test", Transport: g.Transport(direct{sim}),
	}
	if known {
		options.Roots = g.Roots()
	}
	source, err := paypal.New(options)
	must(t, err)
	return sim, source
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hears carries a webhook the whole way: verified, read, completed.
func hears(ctx context.Context, sim *paypalsim.Sim, source *paypal.Source, e paypalsim.Event) (commerce.Content, error) {
	h, err := sim.Headers(e)
	if err != nil {
		return commerce.Content{}, err
	}
	ev, err := source.Open(ctx, h, e.Body, time.Now())
	if err != nil {
		return commerce.Content{}, err
	}
	ev.ReceivedAt = time.Now()
	c, err := source.Decode(ev)
	if err != nil || c.Ignored != "" {
		return c, err
	}
	return c, source.Complete(ctx, ev, &c)
}

func usd(value string) money.Amount { return money.New(decimal.RequireFromString(value), "USD") }

// book adds what an event did to the balance, each movement once.
func book(balance map[string]decimal.Decimal, seen map[string]bool, c commerce.Content) {
	once := func(key string, s *commerce.Settlement) {
		if s != nil && !seen[key] {
			seen[key] = true
			balance[s.Net.Currency()] = balance[s.Net.Currency()].Add(s.Net.Value())
		}
	}
	if c.Payment != nil {
		once("payment/"+c.Payment.ID, c.Payment.Settlement)
	}
	for _, r := range c.Refunds {
		once("refund/"+r.ID, r.Settlement)
	}
	if c.Dispute != nil {
		for _, m := range c.Dispute.Movements {
			once("dispute/"+c.Dispute.ID+"/"+m.ID, &m)
		}
	}
}

// TestEventsTellTheBalance draws a history and lets its webhooks arrive in any
// order and repeatedly: what they say moved is what the account holds.
func TestEventsTellTheBalance(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sim, source := pair(t, true, func(o *paypalsim.Options) { o.ReturnsFees = rapid.Bool().Draw(rt, "returns fees") })
		sim.Live(func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, what) })
		events := sim.Take()
		repeated := rapid.SliceOfN(rapid.SampledFrom(events), 0, 5).Draw(rt, "repeated")
		balance, seen := map[string]decimal.Decimal{}, map[string]bool{}
		for _, e := range rapid.Permutation(append(events, repeated...)).Draw(rt, "arrival") {
			c, err := hears(t.Context(), sim, source, e)
			if err != nil {
				rt.Fatalf("%s: %v %s", e.Topic, err, e.Body)
			}
			book(balance, seen, c)
		}
		for currency, want := range sim.Balance() {
			if got := balance[currency]; !got.Equal(want) {
				rt.Errorf("%s: the events tell %s, the account holds %s", currency, got, want)
			}
		}
	})
}

// TestWebhooksAlone holds that without credentials the webhooks tell as much,
// as far as they have their breakdowns.
func TestWebhooksAlone(t *testing.T) {
	sim, _ := pair(t, true, nil)
	g, err := signer()
	must(t, err)
	source, err := paypal.New(paypal.Options{WebhookID: sim.WebhookID, Signer: g})
	must(t, err)
	old, fresh := sim.Pay(paypalsim.Payment{Amount: usd("30.00"), Old: true}), sim.Pay(paypalsim.Payment{Amount: usd("50.00"), Platform: usd("2.00")})
	sim.Refund(old, usd("10.00"))
	sim.Refund(fresh, usd("20.00"))
	sim.Reverse(fresh)
	balance, seen := map[string]decimal.Decimal{}, map[string]bool{}
	for _, e := range sim.Take() {
		c, err := hears(t.Context(), sim, source, e)
		must(t, err)
		book(balance, seen, c)
	}
	if want := sim.Balance()["USD"]; !balance["USD"].Equal(want) {
		t.Errorf("the events tell %s, the account holds %s", balance["USD"], want)
	}
}

// TestPostbackVouches lets PayPal verify what the certificate cannot.
func TestPostbackVouches(t *testing.T) {
	sim, source := pair(t, false, nil)
	sim.Pay(paypalsim.Payment{Amount: usd("30.00"), Custom: "1001"})
	events := sim.Take()
	if c, err := hears(t.Context(), sim, source, events[1]); err != nil || c.Payment == nil || c.Payment.OrderRefs[0] != "1001" {
		t.Errorf("got %+v, %v", c, err)
	}
	h, err := sim.Headers(events[1])
	must(t, err)
	forged := []byte(strings.Replace(string(events[1].Body), `"30.00"`, `"31.00"`, 1))
	if _, err := source.Open(t.Context(), h, forged, time.Now()); fault.KindOf(err) != fault.BadSignature {
		t.Errorf("a changed body: %v", err)
	}
}

// TestFaults lets the API fail in every way: nothing is called a forgery, and
// the next try succeeds.
func TestFaults(t *testing.T) {
	captures := "/v2/payments/captures/"
	for name, tt := range map[string]struct {
		fault paypalsim.Fault
		want  fault.Kind
	}{
		"401 once":          {paypalsim.Fault{Path: captures, Status: 401, Times: 1}, fault.Internal}, // a new token helps
		"wrong credentials": {paypalsim.Fault{Path: "/v1/oauth2/", Status: 401}, fault.Credentials},
		"429":               {paypalsim.Fault{Path: captures, Status: 429, RetryAfter: "7"}, fault.RateLimited},
		"500":               {paypalsim.Fault{Path: captures, Status: 500}, fault.Unavailable},
		"404 for a while":   {paypalsim.Fault{Path: captures, Status: 404}, fault.Missing},
		"a cut body":        {paypalsim.Fault{Path: captures, Cut: true}, fault.Unavailable},
		"no answer":         {paypalsim.Fault{Path: captures, Hang: true}, fault.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			sim, source := pair(t, true, nil)
			sim.Pay(paypalsim.Payment{Amount: usd("30.00")})
			e := sim.Take()[1]
			sim.Fail(tt.fault)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err := hears(ctx, sim, source, e)
			if (err == nil) != (tt.want == fault.Internal) || fault.KindOf(err) != tt.want || strings.Contains(errText(err), "secret") {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if f := fault.As(err); tt.want == fault.Credentials && !strings.Contains(f.Hint, "CLIENT_SECRET") {
				t.Errorf("hint %q", f.Hint)
			}
			sim.Heal()
			if c, err := hears(t.Context(), sim, source, e); err != nil || c.Payment.Settlement == nil {
				t.Errorf("healed: %+v, %v", c, err)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
