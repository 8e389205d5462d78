package app_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/source/stripe/stripesim"
)

// stripeService is a running service beside a Stripe account.
type stripeService struct {
	*service
	sim *stripesim.Sim
	url string // the site's
}

func startStripe(t *testing.T, o stripesim.Options, change func(*config.Config)) *stripeService {
	t.Helper()
	o.Key, o.Converts, o.Created = app.StripeKey, app.StripeSettles, time.Now().Unix()
	sim := stripesim.New(o)
	account := httptest.NewServer(sim)
	t.Cleanup(account.Close)
	site, url := newSite(t, sandbox.Options{})
	app.InsertStripeAccounts(t, site)
	s := startServiceOn(t, site, url, func(c *config.Config) {
		c.Stripe.APIKey, c.Stripe.APIURL, c.Sheet.Settings = app.StripeKey, account.URL, app.StripeBooks()
		if change != nil {
			change(c)
		}
	})
	s.until(t, "never warm", func() bool { return strings.Contains(s.log.String(), "erpnext is ready") })
	return &stripeService{service: s, sim: sim, url: url}
}

// arrive delivers events, of the given topics alone if there are any.
func (s *stripeService) arrive(t *testing.T, events []stripesim.Event, topics ...string) {
	t.Helper()
	for _, e := range events {
		if len(topics) > 0 && !slices.Contains(topics, e.Topic) {
			continue
		}
		if code, answer := s.send(t, "stripe", e.Topic, e.ID, e.Body); code != 200 {
			t.Fatalf("%s was answered %d %s", e.Topic, code, answer)
		}
	}
}

// books writes each money document of the site on one line.
func (s *stripeService) books() map[string]string {
	lines := map[string]string{}
	for _, doc := range s.site.Documents("Payment Entry") {
		line := fmt.Sprintf("%v: %v %v", doc["payment_type"], doc["paid_from"], doc["paid_amount"])
		if doc["payment_type"] != "Internal Transfer" {
			line += fmt.Sprintf(" of %v", doc["party"])
		}
		line += fmt.Sprintf(" → %v %v", doc["paid_to"], doc["received_amount"])
		for _, row := range rowsOf(doc, "deductions") {
			line += fmt.Sprintf(", %v %v", row["account"], row["amount"])
		}
		lines[fmt.Sprint(doc["name"])] = line + state(doc)
	}
	for _, doc := range s.site.Documents("Journal Entry") {
		line := "Journal:"
		for _, row := range rowsOf(doc, "accounts") {
			line += fmt.Sprintf(" %v %v/%v", row["account"], row["debit_in_account_currency"], row["credit_in_account_currency"])
		}
		lines[fmt.Sprint(doc["name"])] = line + state(doc)
	}
	return lines
}

func rowsOf(doc map[string]any, table string) []map[string]any {
	var rows []map[string]any
	list, _ := doc[table].([]any)
	for _, row := range list {
		if r, ok := row.(map[string]any); ok {
			rows = append(rows, r)
		}
	}
	return rows
}

func state(doc map[string]any) string {
	return map[string]string{"0": " (draft)", "1": "", "2": " (cancelled)"}[fmt.Sprint(doc["docstatus"])]
}

// TestStripeTopicsOverHTTP sends the events of one topic after the other, each
// for money of its own, and looks at the documents.
func TestStripeTopicsOverHTTP(t *testing.T) {
	const payer = "Unknown payer (stripe)"
	received := "Receive: Debtors - DT 96.8 of " + payer + " → Stripe Clearing - DT 96.8, Fees - DT 3.2"
	paid := func(way stripesim.Way) func(*stripesim.Sim) {
		return func(sim *stripesim.Sim) {
			sim.Pay(stripesim.Payment{Amount: 10000, Currency: "usd", Email: "nobody@example.com", Way: way})
		}
	}
	// before makes a payment that is booked already.
	before := func(s *stripeService) string {
		charge := s.sim.Pay(stripesim.Payment{Amount: 10000, Currency: "usd", Email: "nobody@example.com"})
		s.arrive(t, s.sim.Take(), "charge.succeeded")
		s.settle(t)
		return charge
	}
	tests := []struct {
		topics  string
		version stripesim.Version
		story   func(s *stripeService)
		want    []string // new or changed documents
	}{
		{"charge.succeeded", stripesim.V2020, func(s *stripeService) { paid(stripesim.ByIntent)(s.sim) }, []string{received}},
		{"payment_intent.succeeded", stripesim.Basil, func(s *stripeService) { paid(stripesim.ByIntent)(s.sim) }, []string{received}},
		{"checkout.session.completed", stripesim.Basil, func(s *stripeService) { paid(stripesim.BySession)(s.sim) }, []string{received}},
		{"checkout.session.completed", stripesim.Basil, func(s *stripeService) { paid(stripesim.BySubscription)(s.sim) }, []string{received}},
		{"invoice.paid", stripesim.V2024, func(s *stripeService) { paid(stripesim.ByInvoice)(s.sim) }, []string{received}},
		{"invoice.paid", stripesim.Basil, func(s *stripeService) { paid(stripesim.ByInvoice)(s.sim) }, []string{received}},
		{"invoice_payment.paid", stripesim.Basil, func(s *stripeService) { paid(stripesim.ByInvoice)(s.sim) }, []string{received}},
		{"charge.succeeded charge.updated payment_intent.succeeded checkout.session.completed", stripesim.Basil,
			func(s *stripeService) { paid(stripesim.BySession)(s.sim) }, []string{received}},
		{"charge.captured", stripesim.Basil, func(s *stripeService) {
			s.sim.CapturePart(stripesim.Payment{Amount: 20000, Currency: "usd", Way: stripesim.ByCharge}, 10000)
		}, []string{received}},
		{"charge.updated charge.captured", stripesim.Basil, func(s *stripeService) {
			charge := s.sim.Authorize(stripesim.Payment{Amount: 20000, Currency: "usd"})
			s.sim.Capture(charge, 10000, false)
			s.sim.Capture(charge, 10000, true)
		}, []string{received, received}},
		{"charge.updated charge.captured", stripesim.Basil, func(s *stripeService) { // told afterwards what each capture did to the balance
			charge := s.sim.Authorize(stripesim.Payment{Amount: 20000, Currency: "usd"})
			s.sim.CaptureLate(charge, 10000, false)
			s.sim.CaptureLate(charge, 10000, true)
		}, []string{received, received}},
		{"charge.succeeded", stripesim.Basil, func(s *stripeService) { // converted: the balance is in euros
			s.sim.Pay(stripesim.Payment{Amount: 10000, Currency: "gbp"})
		}, []string{"Receive: Debtors - DT 122.42 of " + payer + " → Stripe EUR - DT 111.29, Fees - DT 6.65"}},
		{"refund.created", stripesim.Basil, func(s *stripeService) { s.sim.Refund(before(s), 2500, false) },
			[]string{received, "Pay: Stripe Clearing - DT 25 of " + payer + " → Debtors - DT 25"}},
		{"charge.refunded", stripesim.V2020, func(s *stripeService) { s.sim.Refund(before(s), 2500, false) },
			[]string{received, "Pay: Stripe Clearing - DT 25 of " + payer + " → Debtors - DT 25"}},
		{"charge.refunded", stripesim.Basil, func(s *stripeService) { s.sim.Refund(before(s), 2500, false) },
			[]string{received, "Pay: Stripe Clearing - DT 25 of " + payer + " → Debtors - DT 25"}},
		{"refund.updated", stripesim.Basil, func(s *stripeService) { s.sim.ArriveRefund(s.sim.Refund(before(s), 2500, true)) },
			[]string{received, "Pay: Stripe Clearing - DT 25 of " + payer + " → Debtors - DT 25"}},
		{"charge.refund.updated", stripesim.Basil, func(s *stripeService) { s.sim.ReferRefund(s.sim.Refund(before(s), 2500, false)) }, []string{received}},
		{"refund.failed", stripesim.Basil, func(s *stripeService) {
			re := s.sim.Refund(before(s), 2500, false)
			s.arrive(t, s.sim.Take(), "refund.created")
			s.settle(t)
			s.sim.FailRefund(re)
		}, []string{received, "Pay: Stripe Clearing - DT 25 of " + payer + " → Debtors - DT 25 (cancelled)"}},
		{"charge.dispute.funds_withdrawn", stripesim.Basil, func(s *stripeService) { s.sim.Dispute(before(s), false) },
			[]string{received, "Journal: Dispute Holding - DT 100/0 Stripe Clearing - DT 0/100 Fees - DT 15/0 Stripe Clearing - DT 0/15"}},
		{"charge.dispute.created", stripesim.Basil, func(s *stripeService) { s.sim.Dispute(before(s), true) }, []string{received}},
		{"charge.dispute.funds_reinstated charge.dispute.closed", stripesim.Basil, func(s *stripeService) { s.sim.Win(s.sim.Dispute(before(s), false), false) },
			[]string{
				received, "Journal: Dispute Holding - DT 100/0 Stripe Clearing - DT 0/100 Fees - DT 15/0 Stripe Clearing - DT 0/15",
				"Journal: Dispute Holding - DT 0/100 Stripe Clearing - DT 100/0",
			}},
		{"charge.dispute.closed", stripesim.Basil, func(s *stripeService) { s.sim.Lose(s.sim.Dispute(before(s), false)) },
			[]string{
				received, "Journal: Dispute Holding - DT 100/0 Stripe Clearing - DT 0/100 Fees - DT 15/0 Stripe Clearing - DT 0/15",
				"Journal: Dispute Losses - DT 100/0 Dispute Holding - DT 0/100",
			}},
		{"payout.created payout.paid payout.reconciliation_completed", stripesim.Basil, func(s *stripeService) { s.sim.Arrive(s.sim.Payout(5000, "eur", false)) },
			[]string{"Internal Transfer: Stripe EUR - DT 50 → Bank EUR - DT 50"}},
		{"payout.paid", stripesim.Basil, func(s *stripeService) { s.sim.Arrive(s.sim.Payout(5000, "usd", true)) },
			[]string{"Internal Transfer: Stripe Clearing - DT 50 → Demo Bank - DT 50", "Journal: Fees - DT 0.5/0 Stripe Clearing - DT 0/0.5"}},
		{"payout.paid", stripesim.Basil, func(s *stripeService) { s.sim.Arrive(s.sim.Payout(-5000, "usd", false)) }, // Stripe takes what the balance lacks
			[]string{"Internal Transfer: Demo Bank - DT 50 → Stripe Clearing - DT 50"}},
		{"payout.failed", stripesim.Basil, func(s *stripeService) {
			po := s.sim.Payout(5000, "usd", false)
			s.sim.Arrive(po)
			s.arrive(t, s.sim.Take(), "payout.paid")
			s.settle(t)
			s.sim.FailPayout(po)
		}, []string{"Internal Transfer: Stripe Clearing - DT 50 → Demo Bank - DT 50 (cancelled)"}},
		{"payout.created payout.canceled", stripesim.Basil, func(s *stripeService) { s.sim.CancelPayout(s.sim.Payout(5000, "usd", false)) }, nil},
	}
	for _, version := range stripesim.Versions {
		s := startStripe(t, stripesim.Options{Version: version}, nil)
		for _, tt := range tests {
			if tt.version != version {
				continue
			}
			had := s.books()
			tt.story(s)
			events := s.sim.Take()
			s.arrive(t, events, strings.Fields(tt.topics)...)
			s.arrive(t, events, strings.Fields(tt.topics)...) // again: duplicates
			s.settle(t)
			var got []string
			for name, line := range s.books() {
				if had[name] != line {
					got = append(got, line)
				}
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s\n%s", version, tt.topics, diff, s.ends(t))
			}
		}
	}
}

// ends lists how the events ended.
func (s *stripeService) ends(t *testing.T) string {
	t.Helper()
	events, _, err := s.Inbox().List(t.Context(), event.Filter{Limit: 12})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, ev := range events {
		fmt.Fprintf(&out, "%s %s %s: %s\n", ev.Topic, ev.State, ev.Class, ev.Reason)
	}
	return out.String()
}

// TestStripeHistoriesOverHTTP lets accounts live, delivers what they tell in
// any order and twice, while Stripe's API fails now and then, and compares the
// clearing accounts with the balance.
func TestStripeHistoriesOverHTTP(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			s := startStripe(t, stripesim.Options{Version: stripesim.Versions[seed%3], Series: int(seed)}, nil)
			for range 4 {
				s.sim.Live(func(_ string, n int) int { return random.IntN(n) }, func() {})
			}
			s.sim.Fail(stripesim.Fault{Status: 500}, stripesim.Fault{}, stripesim.Fault{Status: 429}, stripesim.Fault{Cut: true}, stripesim.Fault{Status: 409})
			events := s.sim.Take()
			events = append(events, events...)
			random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			s.arrive(t, events)
			s.settle(t)
			stats, err := s.Inbox().Stats(t.Context())
			if err != nil || stats.ByState[event.Dead] != 0 {
				t.Errorf("%d events are dead, %v:\n%s", stats.ByState[event.Dead], err, s.ends(t))
			}
			client, err := erpnext.New(erpnext.Options{URL: s.url, Credentials: erpnext.KeySecret("demo-key", "demo-secret")})
			if err != nil {
				t.Fatal(err)
			}
			books, holds := app.Ledger(t, client), s.sim.Balance()
			for currency, account := range map[string]string{"USD": "Stripe Clearing - DT", "EUR": "Stripe EUR - DT"} {
				if !books[account].Equal(holds[currency]) {
					t.Errorf("%s holds %s, Stripe %s", account, books[account], holds[currency])
				}
			}
			if strings.Contains(s.log.String(), "canary") {
				t.Error("the API key is in the log")
			}
		})
	}
}

// TestStripePaymentWaitsForItsFee takes a converted payment that Stripe has not
// settled yet: it waits, is woken by charge.updated, and is booked in the
// balance's currency with its fee.
func TestStripePaymentWaitsForItsFee(t *testing.T) {
	s := startStripe(t, stripesim.Options{Late: true}, nil)
	charge := s.sim.Pay(stripesim.Payment{Amount: 10000, Currency: "gbp", Way: stripesim.ByIntent})
	s.arrive(t, s.sim.Take())
	s.until(t, "the payment does not wait", func() bool {
		events, _, err := s.Inbox().List(t.Context(), event.Filter{})
		return err == nil && len(events) == 2 && events[0].Class == "waiting" && events[1].Class == "waiting"
	})
	s.sim.Settle(charge)
	s.arrive(t, s.sim.Take())
	s.settle(t)
	var got []string
	for _, line := range s.books() {
		got = append(got, line)
	}
	want := []string{"Receive: Debtors - DT 122.42 of Unknown payer (stripe) → Stripe EUR - DT 111.29, Fees - DT 6.65"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, s.ends(t))
	}
}

// TestStripeOutageWaits lets Stripe's API be down: the event waits with the
// reason, ERPNext's orders go on, and nothing is lost when Stripe is back.
func TestStripeOutageWaits(t *testing.T) {
	s := startStripe(t, stripesim.Options{}, nil)
	for range 5000 {
		s.sim.Fail(stripesim.Fault{Status: 503})
	}
	for range 12 {
		s.sim.Pay(stripesim.Payment{Amount: 10000, Currency: "usd", Way: stripesim.ByIntent})
	}
	s.arrive(t, s.sim.Take(), "charge.succeeded")
	s.until(t, "no payment waits", func() bool {
		events, _, err := s.Inbox().List(t.Context(), event.Filter{Limit: 20})
		return err == nil && !slices.ContainsFunc(events, func(e event.Event) bool { return e.Class != "unavailable" })
	})
	s.sample(t, "shopify", "orders/create", "order")
	s.until(t, "the order is not booked", func() bool { return len(s.documents("Sales Order", "")) == 1 })
	if n := len(s.documents("Payment Entry", "")); n != 0 {
		t.Errorf("%d payments were booked blindly", n)
	}
	s.sim.Mend()
	s.settle(t)
	if n := len(s.documents("Payment Entry", "")); n != 12 {
		t.Errorf("%d payments, want 12:\n%s", n, s.ends(t))
	}
}

// TestRequestsOfAStripePayment counts them: a payment of a known customer's
// order costs Stripe one and ERPNext two; what its other events cost is Stripe's
// alone. A refund costs the same, a payout with its fee two documents.
func TestRequestsOfAStripePayment(t *testing.T) {
	s := startStripe(t, stripesim.Options{}, nil)
	s.sample(t, "shopify", "orders/create", "order")
	s.settle(t)
	charge := s.sim.Pay(stripesim.Payment{Amount: 6863, Currency: "usd", Order: "5551234567890", Way: stripesim.BySession})
	paid := s.sim.Take()
	s.sim.Refund(charge, 1000, false)
	refunded := s.sim.Take()
	s.sim.Arrive(s.sim.Payout(5000, "usd", true))
	sent := s.sim.Take()
	tests := []struct {
		topic   string
		events  []stripesim.Event
		stripe  int
		erpnext []string
	}{
		{"charge.succeeded", paid, 1, []string{"POST Payment Entry", "PUT Payment Entry"}},
		{"payment_intent.succeeded", paid, 1, nil},
		{"checkout.session.completed", paid, 1, nil},
		{"charge.updated", paid, 1, nil},
		{"refund.created", refunded, 1, []string{"POST Payment Entry", "PUT Payment Entry"}},
		{"charge.refunded", refunded, 1, nil},
		{"payout.created", sent, 0, nil},
		{"payout.paid", sent, 1, []string{"POST Payment Entry", "PUT Payment Entry", "POST Journal Entry", "PUT Journal Entry"}},
	}
	for _, tt := range tests {
		s.site.ResetRequests()
		s.sim.Calls()
		s.arrive(t, tt.events, tt.topic)
		s.settle(t)
		if asked, got := s.sim.Calls(), s.requests(); len(asked) != tt.stripe || !slices.Equal(got, tt.erpnext) {
			t.Errorf("%s cost Stripe %q and ERPNext %q, want %d and %q", tt.topic, asked, got, tt.stripe, tt.erpnext)
		}
	}
}

// TestStripeOfAnotherModeIsDead sends a test event where live money is booked.
func TestStripeOfAnotherModeIsDead(t *testing.T) {
	live := true
	s := startStripe(t, stripesim.Options{}, func(c *config.Config) {
		c.Stripe.APIKey = ""
		c.Sheet.Sources = map[string]config.Source{"stripe": {Livemode: &live}}
	})
	s.sim.Pay(stripesim.Payment{Amount: 10000, Currency: "usd"})
	s.arrive(t, s.sim.Take(), "charge.succeeded")
	s.settle(t)
	if got := s.ends(t); got != "charge.succeeded dead unmapped: stripe.Decode: a test event came to a source that books live money\n" {
		t.Errorf("ended %s", got)
	}
}

// TestStripeOfAConnectedAccount configures a source in the sheet for one
// connected account: its events are booked, those of others are dead.
func TestStripeOfAConnectedAccount(t *testing.T) {
	sim := stripesim.New(stripesim.Options{Key: app.StripeKey, Created: time.Now().Unix()})
	account := httptest.NewServer(sim)
	defer account.Close()
	sheet := filepath.Join(t.TempDir(), "sheet.yml")
	text := "accounts: {fees: Fees - DT}\nsources:\n  boutique: {provider: stripe, account: acct_9, secrets_env: BOUTIQUE_SECRET, api_key_env: BOUTIQUE_KEY}\n"
	if err := os.WriteFile(sheet, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	site, url := newSite(t, sandbox.Options{})
	app.InsertStripeAccounts(t, site)
	for name, value := range map[string]string{
		"BOUTIQUE_SECRET": stripeSecret, "BOUTIQUE_KEY": app.StripeKey, "LEDGERHOOK_SHEET": sheet, "LEDGERHOOK_STRIPE_API_URL": account.URL,
		"LEDGERHOOK_ERPNEXT_URL": url, "LEDGERHOOK_ERPNEXT_API_KEY": "demo-key", "LEDGERHOOK_ERPNEXT_API_SECRET": "demo-secret",
		"LEDGERHOOK_ADDR": "127.0.0.1:0", "LEDGERHOOK_OPERATOR_ADDR": "127.0.0.1:0", "LEDGERHOOK_DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "inbox.db"),
	} {
		t.Setenv(name, value)
	}
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := startServiceOn(t, site, url, func(c *config.Config) { *c = cfg })
	for _, of := range []string{`"account": "acct_9",`, `"account": "acct_8",`, ``} {
		sim.Pay(stripesim.Payment{Amount: 10000, Currency: "usd", Way: stripesim.ByIntent})
		e := sim.Take()[0]
		body := bytes.Replace(e.Body, []byte(`"api_version"`), []byte(of+`"api_version"`), 1)
		if code, answer := s.post(t, "boutique", bytes.NewReader(body), s.signers.sign(t, "stripe", e.Topic, e.ID, body)); code != 200 {
			t.Fatalf("answered %d %s", code, answer)
		}
		s.settle(t)
	}
	got := (&stripeService{service: s}).ends(t)
	want := "charge.succeeded dead unmapped: stripe.Decode: the event belongs to another account than the source's\n"
	if want += want; got != want+"charge.succeeded done : booked on account: nobody knows the payer\n" {
		t.Errorf("ended\n%s", got)
	}
	if docs := s.documents("Payment Entry", "stripe/boutique/payment/pi_1simp00002"); len(docs) != 1 {
		t.Errorf("%d payments", len(docs))
	}
}
