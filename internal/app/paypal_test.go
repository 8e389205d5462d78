package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal/paypalsim"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

const paypalEUR = "PayPal EUR - DT"

// withEuros is the demo site with a clearing account in euros.
func withEuros(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile("../erpnext/sandbox/demo.json")
	if err != nil {
		t.Fatal(err)
	}
	var site map[string]any
	if err := json.Unmarshal(raw, &site); err != nil {
		t.Fatal(err)
	}
	accounts, _ := site["accounts"].([]any)
	site["accounts"] = append(accounts, map[string]any{
		"name": paypalEUR, "account_name": "PayPal EUR", "account_type": "Bank", "root_type": "Asset", "is_group": 0,
		"account_currency": "EUR", "parent_account": "Bank Accounts - DT", "report_type": "Balance Sheet", "disabled": 0,
	})
	var years []any
	for year := 2020; year <= time.Now().Year()+1; year++ {
		y := fmt.Sprint(year)
		years = append(years, map[string]any{"name": y, "year_start_date": y + "-01-01", "year_end_date": y + "-12-31"})
	}
	site["fiscal_years"] = years
	raw, err = json.Marshal(site)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// paypalService is a running service with credentials at a simulated PayPal.
type paypalService struct {
	*service
	sim *paypalsim.Sim
}

// apart sends for certificates where the harness has them, and calls the API.
type apart struct{ certificates http.RoundTripper }

func (a apart) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "api.paypal.com" {
		return a.certificates.RoundTrip(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func startPayPal(t testing.TB, change func(*config.Config)) paypalService {
	t.Helper()
	sim := paypalsim.New(paypalsim.Options{
		ClientID: "sim-id", ClientSecret: "sim-secret", WebhookID: webhookID, Merchant: "MERCHANT1", ReturnsFees: true,
		Holds: map[string]bool{"EUR": true}, Rates: map[string]decimal.Decimal{"GBP": decimal.RequireFromString("1.2537"), "JPY": decimal.RequireFromString("0.0068")},
	})
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	site, url := newSite(t, sandbox.Options{Fixtures: withEuros(t)})
	s := startServiceOn(t, site, url, func(c *config.Config) {
		c.PayPal.ClientID, c.PayPal.ClientSecret, c.PayPal.APIURL = "sim-id", "sim-secret", server.URL
		c.Sheet.Accounts.Clearing = map[string]config.ByCurrency{"paypal": {"": "PayPal Clearing - DT", "EUR": paypalEUR}}
		c.Sheet.Accounts.Fees = "PayPal Fees - DT"
		c.Sheet.Sources = map[string]config.Source{"paypal": {Merchant: "MERCHANT1"}}
		if change != nil {
			change(c)
		}
	}, func(o *app.Options) { o.PayPalTransport = apart{o.PayPalTransport} })
	sim.Signer = s.signers.pal
	return paypalService{s, sim}
}

// deliver sends a webhook of the simulator.
func (s paypalService) deliver(t testing.TB, e paypalsim.Event) {
	t.Helper()
	h, err := s.sim.Headers(e)
	if err != nil {
		t.Fatal(err)
	}
	h.Set("Content-Type", "application/json")
	if code, answer := s.post(t, "paypal", bytes.NewReader(e.Body), h); code != http.StatusOK {
		t.Fatalf("%s was answered %d %s", e.Topic, code, answer)
	}
}

// hear delivers what happened, and waits until it is carried out. It gives how
// each event ended.
func (s paypalService) hear(t testing.TB) []string {
	t.Helper()
	events := s.sim.Take()
	for _, e := range events {
		s.deliver(t, e)
		s.settle(t)
	}
	var ends []string
	for _, e := range events {
		stored := s.event(t, "paypal", e.ID)
		ends = append(ends, strings.TrimSpace(fmt.Sprintf("%s %s %s", strings.TrimPrefix(e.Topic, "PAYMENT."), stored.State, stored.Reason)))
	}
	return ends
}

// clearing is what ERPNext's ledger has on the clearing accounts.
func (s paypalService) clearing() map[string]decimal.Decimal {
	sums := map[string]decimal.Decimal{}
	for currency, account := range map[string]string{"USD": "PayPal Clearing - DT", "EUR": paypalEUR} {
		for _, line := range s.site.Documents("GL Entry") {
			if line["account"] == account && fmt.Sprint(line["is_cancelled"]) == "0" {
				sums[currency] = sums[currency].Add(number(line["debit_in_account_currency"])).Sub(number(line["credit_in_account_currency"]))
			}
		}
	}
	return sums
}

// number takes a ledger's binary number for the decimal it stands for.
func number(v any) decimal.Decimal {
	f, _ := v.(float64)
	return decimal.NewFromFloat(f).Round(6)
}

func (s paypalService) holdsBalance(t testing.TB) {
	t.Helper()
	got := s.clearing()
	for currency, want := range s.sim.Balance() {
		if !got[currency].Equal(want) {
			t.Errorf("ERPNext's clearing account has %s %s, PayPal's balance is %s", got[currency], currency, want)
		}
	}
}

// made lists the documents that are new since the last call, as a person would
// tell of them.
func (s paypalService) made(seen map[string]bool) []string {
	var list []string
	for _, doctype := range []string{erpnext.DocPaymentEntry, erpnext.DocJournalEntry} {
		for _, doc := range s.site.Documents(doctype) {
			name := fmt.Sprint(doc["name"])
			if seen[name] {
				continue
			}
			seen[name] = true
			if doctype == erpnext.DocJournalEntry {
				list = append(list, fmt.Sprintf("journal %v %v", doc["total_debit"], doc["title"]))
				continue
			}
			account, amount := doc["paid_to"], doc["received_amount"]
			if doc["payment_type"] == "Pay" {
				account, amount = doc["paid_from"], doc["paid_amount"]
			}
			fee := decimal.Zero
			deductions, _ := doc["deductions"].([]any)
			for _, d := range deductions {
				row, _ := d.(map[string]any)
				fee = fee.Add(number(row["amount"]))
			}
			references, _ := doc["references"].([]any)
			list = append(list, fmt.Sprintf("%v %v on %v, fee %s, %v, against %d", doc["payment_type"], amount, account, fee, doc["party"], len(references)))
		}
	}
	return list
}

func amount(value, currency string) money.Amount {
	return money.New(decimal.RequireFromString(value), currency)
}

// TestPayPalTopics sends the webhooks of every transition and looks at the
// documents; after each step the clearing accounts hold PayPal's balance.
func TestPayPalTopics(t *testing.T) {
	s := startPayPal(t, nil)
	s.sample(t, "shopify", "orders/create", "order")
	s.settle(t)
	const order, ada = "5551234567890", "ada.byron@example.com"
	var first, sale, dispute string
	onAccount := func(why string) string { return "booked on account: " + why }
	notMoney := ": no money moves at this event; PAYMENT.CAPTURE.COMPLETED books it"
	approved, completed := "CHECKOUT.ORDER.APPROVED ignored CHECKOUT.ORDER.APPROVED"+notMoney, "CHECKOUT.ORDER.COMPLETED ignored CHECKOUT.ORDER.COMPLETED"+notMoney
	nobody := onAccount("nobody knows the payer")
	unknown := "Unknown payer (paypal)"
	steps := []struct {
		name string
		do   func()
		ends []string
		docs []string
	}{
		{"a capture of an order", func() { first = s.sim.Pay(paypalsim.Payment{Amount: amount("20.00", "USD"), Custom: order}) },
			[]string{approved, "CAPTURE.COMPLETED done", completed},
			[]string{"Receive 18.91 on PayPal Clearing - DT, fee 1.09, Ada Byron, against 1"}},
		{"a webhook that says little: PayPal's API says the rest", func() {
			s.sim.Pay(paypalsim.Payment{Amount: amount("10.00", "USD"), Platform: amount("1.00", "USD"), Custom: order, Bare: true})
		}, []string{approved, "CAPTURE.COMPLETED done", completed},
			[]string{"Receive 8.21 on PayPal Clearing - DT, fee 1.79, Ada Byron, against 1"}},
		{"a sale that names nothing: its buyer is asked for", func() {
			sale = s.sim.Pay(paypalsim.Payment{Amount: amount("12.00", "USD"), Payer: ada, Old: true, Bare: true})
		},
			[]string{"SALE.COMPLETED done"}, []string{"Receive 11.15 on PayPal Clearing - DT, fee 0.85, Ada Byron, against 0"}},
		{"a pending capture that arrives", func() {
			id := s.sim.PayPending(paypalsim.Payment{Amount: amount("5.00", "USD")}, "ECHECK")
			s.sim.Settle(id)
		}, []string{approved, "CAPTURE.PENDING ignored PAYMENT.CAPTURE.PENDING: not money yet: the payment waits for the buyer's eCheck to clear", "CAPTURE.COMPLETED done " + nobody, completed},
			[]string{"Receive 4.36 on PayPal Clearing - DT, fee 0.64, " + unknown + ", against 0"}},
		{"one that is declined", func() {
			id := s.sim.PayPending(paypalsim.Payment{Amount: amount("6.00", "USD"), Old: true}, "PAYMENT_REVIEW")
			s.sim.Decline(id)
		}, []string{"SALE.PENDING ignored PAYMENT.SALE.PENDING: not money yet: the payment waits for PayPal's review", "SALE.DENIED ignored PAYMENT.SALE.DENIED: the payment was declined, no money moves"}, nil},
		{"pounds are converted", func() { s.sim.Pay(paypalsim.Payment{Amount: amount("100.00", "GBP")}) },
			[]string{approved, "CAPTURE.COMPLETED done " + nobody, completed},
			[]string{"Receive 121.01 on PayPal Clearing - DT, fee 4.36, " + unknown + ", against 0"}},
		{"euros have a balance of their own", func() { s.sim.Pay(paypalsim.Payment{Amount: amount("100.00", "EUR")}) },
			[]string{approved, "CAPTURE.COMPLETED done " + nobody, completed},
			[]string{"Receive 96.52 on " + paypalEUR + ", fee 3.83, " + unknown + ", against 0"}},
		{"a refund gives a part of the fee back", func() { s.sim.Refund(first, amount("5.00", "USD")) },
			[]string{"CAPTURE.REFUNDED done"}, []string{"Pay 4.73 on PayPal Clearing - DT, fee -0.27, Ada Byron, against 0"}},
		{"a sale is reversed: the webhook does not say which", func() { s.sim.Reverse(sale) },
			[]string{"SALE.REVERSED done the provider took the payment back"}, []string{"Pay 11.15 on PayPal Clearing - DT, fee -0.85, Ada Byron, against 0"}},
		{"a dispute is opened", func() { dispute = s.sim.Dispute(first) },
			[]string{"CUSTOMER.DISPUTE.CREATED done a payment is disputed"}, nil},
		{"its money is taken: the reversal books it, once", func() { s.sim.TakeDisputed(dispute) },
			[]string{"CAPTURE.REVERSED done the provider took the payment back", "CUSTOMER.DISPUTE.UPDATED ignored the dispute goes on: nothing to answer, and no money moved by it"},
			[]string{"Pay 14.18 on PayPal Clearing - DT, fee -0.82, Ada Byron, against 0"}},
		{"it is won: the money comes back", func() { s.sim.Resolve(dispute, true) },
			[]string{"CUSTOMER.DISPUTE.RESOLVED done dispute won"},
			[]string{"Receive 14.18 on PayPal Clearing - DT, fee 0, Ada Byron, against 1"}},
		{"another is lost, and costs a fee", func() {
			id := s.sim.Pay(paypalsim.Payment{Amount: amount("40.00", "USD"), Payer: ada})
			dispute = s.sim.Dispute(id)
			s.sim.TakeDisputed(dispute)
			s.sim.Resolve(dispute, false)
		}, []string{approved, "CAPTURE.COMPLETED done", completed, "CUSTOMER.DISPUTE.CREATED done a dispute is lost", "CAPTURE.REVERSED done the provider took the payment back", // it is, by the time that PayPal is asked
			"CUSTOMER.DISPUTE.UPDATED ignored the dispute goes on: nothing to answer, and no money moved by it", "CUSTOMER.DISPUTE.RESOLVED done a dispute is lost"},
			[]string{"Receive 38.31 on PayPal Clearing - DT, fee 1.69, Ada Byron, against 0", "Pay 38.31 on PayPal Clearing - DT, fee -1.69, Ada Byron, against 0", "journal 20 PayPal Fees - DT"}},
	}
	seen := map[string]bool{}
	for _, step := range steps {
		step.do()
		if ends := s.hear(t); !slices.Equal(ends, step.ends) {
			t.Errorf("%s: ended\n%s\nwant\n%s", step.name, strings.Join(ends, "\n"), strings.Join(step.ends, "\n"))
		}
		if docs := s.made(seen); !slices.Equal(docs, step.docs) {
			t.Errorf("%s: made\n%s\nwant\n%s", step.name, strings.Join(docs, "\n"), strings.Join(step.docs, "\n"))
		}
		s.holdsBalance(t)
	}
}

// TestPayPalIsDown lets the API fail: the payment waits, ERPNext is not blamed,
// and when PayPal is back it is booked.
func TestPayPalIsDown(t *testing.T) {
	for name, tt := range map[string]struct {
		fault paypalsim.Fault
		class string
	}{
		"503":             {paypalsim.Fault{Status: 503}, "unavailable"},
		"a cut answer":    {paypalsim.Fault{Path: "/v2/payments/", Cut: true}, "network"},
		"too many calls":  {paypalsim.Fault{Path: "/v2/payments/", Status: 429}, "rate_limited"},
		"not known yet":   {paypalsim.Fault{Path: "/v2/payments/", Status: 404}, "missing"},
		"wrong key":       {paypalsim.Fault{Path: "/v1/oauth2/", Status: 401}, "credentials"},
		"no right to ask": {paypalsim.Fault{Path: "/v2/payments/", Status: 403}, "rights"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startPayPal(t, nil)
			s.sim.Pay(paypalsim.Payment{Amount: amount("20.00", "USD")})
			e := s.sim.Take()[1]
			s.sim.Fail(tt.fault)
			s.deliver(t, e)
			s.until(t, "the payment does not wait", func() bool {
				ev := s.event(t, "paypal", e.ID)
				return ev.State == event.Pending && ev.Class == tt.class && ev.Hint != "" == slices.Contains([]string{"missing", "credentials", "rights"}, tt.class)
			})
			if docs := s.made(map[string]bool{}); docs != nil {
				t.Errorf("booked without PayPal's word: %q", docs)
			}
			if metrics := s.operator(t, "/metrics"); !strings.Contains(metrics, "ledgerhook_breaker_state 0") {
				t.Error("ERPNext is left alone for what PayPal does")
			}
			s.sim.Heal()
			if tt.class == "credentials" || tt.class == "rights" { // a person repairs, then replays
				if err := s.Inbox().Replay(t.Context(), s.event(t, "paypal", e.ID).ID); err != nil {
					t.Fatal(err)
				}
			}
			s.settle(t)
			s.holdsBalance(t)
			if docs := s.made(map[string]bool{}); len(docs) != 1 {
				t.Errorf("made %q", docs)
			}
		})
	}
}

// TestPayPalForgery sends well signed bodies that PayPal's API contradicts: no
// document, a dead letter, and an alert of its own kind.
func TestPayPalForgery(t *testing.T) {
	body := func(old, made string) func(paypalService, string, paypalsim.Event) paypalsim.Event {
		return func(_ paypalService, _ string, e paypalsim.Event) paypalsim.Event {
			e.Body = bytes.Replace(e.Body, []byte(old), []byte(made), 1)
			return e
		}
	}
	for name, forge := range map[string]func(s paypalService, id string, e paypalsim.Event) paypalsim.Event{
		"an amount":   body(`"value":"20.00"`, `"value":"9999.00"`),
		"a currency":  body(`"currency_code":"USD"`, `"currency_code":"EUR"`),
		"an order":    body(`"resource":{`, `"resource":{"custom_id":"MINE",`),
		"an invoice":  body(`"resource":{`, `"resource":{"custom_id":"CANARY-7","invoice_id":"MINE",`),
		"a fee alone": body(`"resource":{`, `"resource":{"seller_receivable_breakdown":{"paypal_fee":{"value":"19.00","currency_code":"USD"}},`), // books PayPal's
		"money that never came": func(s paypalService, id string, e paypalsim.Event) paypalsim.Event {
			s.sim.Forge("/v2/payments/captures/"+id, func(doc map[string]any) { doc["status"] = "DECLINED" })
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			slack := &slackStub{}
			hook := httptest.NewServer(slack)
			defer hook.Close()
			s := startPayPal(t, func(c *config.Config) { c.SlackWebhookURL = config.Secret(hook.URL + "/canary-token") })
			id := s.sim.Pay(paypalsim.Payment{Amount: amount("20.00", "USD"), Custom: "CANARY-7", Bare: true})
			e := forge(s, id, s.sim.Take()[1])
			s.deliver(t, e)
			s.settle(t)
			if name == "a fee alone" {
				s.holdsBalance(t)
				return
			}
			if ev := s.event(t, "paypal", e.ID); ev.State != event.Dead || ev.Class != "forgery" {
				t.Errorf("ended %s %s: %s", ev.State, ev.Class, ev.Reason)
			}
			if docs := s.made(map[string]bool{}); docs != nil {
				t.Errorf("booked %q", docs)
			}
			s.until(t, "nobody is told", func() bool { return strings.Contains(slack.all(), "contradicts its provider") })
			if !strings.Contains(s.log.String(), `"kind":"possible_forgery"`) {
				t.Error("the alert is of another kind")
			}
			if strings.Contains(slack.all(), "CANARY") || strings.Contains(slack.all(), id) {
				t.Errorf("the alert says too much: %s", slack.all())
			}
		})
	}
}

// TestPayPalOfAnotherMerchant refuses what is not the source's.
func TestPayPalOfAnotherMerchant(t *testing.T) {
	s := startPayPal(t, func(c *config.Config) { c.Sheet.Sources = map[string]config.Source{"paypal": {Merchant: "MERCHANT2"}} })
	id := s.sim.Pay(paypalsim.Payment{Amount: amount("20.00", "USD")})
	s.sim.Pay(paypalsim.Payment{Amount: amount("20.00", "USD"), Bare: true}) // only the API names the payee
	s.sim.Refund(id, amount("1.00", "USD"))
	for _, end := range s.hear(t) {
		if !strings.HasPrefix(end, "CHECKOUT.") && !strings.Contains(end, "dead") || strings.Contains(end, "dead") && !strings.Contains(end, "another PayPal merchant") {
			t.Errorf("ended %s", end)
		}
	}
	if docs := s.made(map[string]bool{}); docs != nil {
		t.Errorf("booked %q", docs)
	}
}

// TestPayPalHistories draws histories of payments, refunds, reversals, disputes
// and conversions, lets their webhooks arrive in any order and repeatedly, and
// holds that ERPNext's clearing accounts have what PayPal's account has.
func TestPayPalHistories(t *testing.T) {
	var s paypalService
	histories := 0
	rapid.Check(t, func(rt *rapid.T) {
		if histories++; histories%25 == 1 {
			s = startPayPal(t, nil) // a site of many documents is slow to add up
		}
		s.sim.Live(func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, what) })
		events := s.sim.Take()
		repeated := rapid.SliceOfN(rapid.SampledFrom(events), 0, 4).Draw(rt, "repeated")
		for _, e := range rapid.Permutation(append(events, repeated...)).Draw(rt, "arrival") {
			s.deliver(t, e)
		}
		s.settle(t)
		s.holdsBalance(t)
		for _, e := range events {
			if ev := s.event(t, "paypal", e.ID); ev.State == event.Dead {
				rt.Fatalf("%s: %s %s", e.Topic, ev.Reason, ev.Hint)
			}
		}
	})
}

// TestPayPalTellsTheFeeLater lets even the API leave the fee out at first: the
// payment waits as long as the sheet says, and PayPal is asked again.
func TestPayPalTellsTheFeeLater(t *testing.T) {
	s := startPayPal(t, func(c *config.Config) {
		wait := 2 * time.Second
		c.Sheet.Payments.FeeWait = &wait
	})
	id := s.sim.Pay(paypalsim.Payment{Amount: amount("20.00", "USD"), Bare: true})
	e := s.sim.Take()[1]
	var breakdown any
	s.sim.Forge("/v2/payments/captures/"+id, func(doc map[string]any) {
		breakdown = doc["seller_receivable_breakdown"]
		delete(doc, "seller_receivable_breakdown")
	})
	s.deliver(t, e)
	s.until(t, "the payment does not wait for its fee", func() bool {
		return strings.Contains(s.event(t, "paypal", e.ID).Reason, "has not told the fee yet")
	})
	s.sim.Forge("/v2/payments/captures/"+id, func(doc map[string]any) { doc["seller_receivable_breakdown"] = breakdown })
	s.settle(t)
	s.holdsBalance(t)
	if docs := s.made(map[string]bool{}); len(docs) != 1 || !strings.Contains(docs[0], "fee 1.09") {
		t.Errorf("made %q", docs)
	}
}
