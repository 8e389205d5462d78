package posting_test

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

var till = mapping.Till{
	Clearing: map[string]map[string]string{"stripe": {"": "Stripe Clearing - DT", "EUR": "Stripe EUR - DT", "GBP": "Stripe GBP - DT"}},
	Bank:     map[string]string{"": "Demo Bank - DT", "EUR": "Bank EUR - DT", "GBP": "Bank GBP - DT"},
	Fees:     "Fees - DT", Disputes: "Dispute Holding - DT", DisputeLosses: "Dispute Losses - DT",
}

// line serves a handler without a network. It breaks at random, in turn before
// and after a request was served, while it has dice.
type line struct {
	http.Handler
	dice   *rand.Rand
	breaks int
	seen   func(method string)
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	if l.seen != nil {
		l.seen(r.Method)
	}
	broken := l.dice != nil && l.dice.IntN(16) == 0
	if broken {
		l.breaks++
	}
	if broken && l.breaks%2 == 0 {
		return nil, errors.New("the line broke before the request")
	}
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	if broken {
		return nil, errors.New("the line broke before the answer")
	}
	return w.Result(), nil
}

// newTill makes a site with accounts in three currencies, and a Poster on it.
func newTill(t testing.TB, change func(*posting.Options)) (*bench, *line) {
	t.Helper()
	site, err := sandbox.New(sandbox.Options{})
	must(t, err)
	for name, currency := range map[string]string{
		"Stripe EUR": "EUR", "Bank EUR": "EUR", "Stripe GBP": "GBP", "Bank GBP": "GBP", "Fees": "USD", "Dispute Losses": "USD",
	} {
		account := map[string]any{"name": name + " - DT", "account_name": name, "company": "Demo Trading", "account_currency": currency, "account_type": "Bank"}
		if currency == "USD" {
			account["account_type"], account["root_type"] = "", "Expense"
		}
		must(t, site.Insert("Account", account))
	}
	for currency, rate := range siteRates {
		if currency != "USD" {
			must(t, site.Insert("Currency Exchange", map[string]any{
				"name": currency, "from_currency": currency, "to_currency": "USD", "exchange_rate": decimal.RequireFromString(rate).InexactFloat64(), "date": "2020-01-01",
			}))
		}
	}
	wire := &line{Handler: site}
	client := func(key, secret string) *erpnext.Client {
		c, err := erpnext.New(erpnext.Options{URL: "http://site.test", Credentials: erpnext.KeySecret(key, secret), Transport: wire})
		must(t, err)
		return c
	}
	must(t, erpnext.Setup(t.Context(), client("demo-setup-key", "demo-setup-secret"), erpnext.KeyedDocTypes(), func(string) {}))
	b := &bench{site: client("demo-key", "demo-secret"), memory: newMemory()}
	o := posting.Options{
		Site: b.site, Memory: b.memory, Shops: []posting.Origin{shop}, CustomersFresh: time.Nanosecond,
		Desk: posting.Desk{ReadBooks: posting.ReadBooks(b.site, erpnext.Wanted{}, mapping.Books{Till: till}), WaitForOrder: time.Hour},
	}
	if change != nil {
		change(&o)
	}
	b.Poster = posting.New(o)
	must(t, b.Warm(t.Context()))
	return b, wire
}

// TestBooksAreTheProvidersBalance holds that any history of orders, payments,
// fees, refunds, disputes and payouts, in four currencies, delivered in any order
// and repeatedly, by a line that breaks now and then, leaves on each clearing
// account what the provider has, on the customers' what was paid for, and no
// difference that nobody explains.
func TestBooksAreTheProvidersBalance(t *testing.T) {
	for shard := range shards {
		t.Run(strconv.Itoa(shard), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				b, wire := newTill(t, nil)
				before := b.balances(t)
				for n := range perSite {
					h := drawHistory(rt, strconv.Itoa(n+1))
					arrival := append(h.events, rapid.SliceOfN(rapid.SampledFrom(h.events), 0, 3).Draw(rt, "repeated")...)
					if rapid.Bool().Draw(rt, "the line breaks") {
						h.doubtful = true
						wire.dice = rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "dice"), 1)) //nolint:gosec // of a test
					}
					b.deliver(t, rt, rapid.Permutation(arrival).Draw(rt, "arrival"))
					wire.dice = nil
					after := b.balances(t)
					h.check(b, before, after)
					before = after
				}
				b.nothingUnexplained(t, rt)
			})
		})
	}
}

// check compares what the books say now with what happened.
func (h *history) check(b *bench, before, after map[string]decimal.Decimal) {
	moved := func(account string) decimal.Decimal { return after[account].Sub(before[account]) }
	for currency, account := range map[string]string{"USD": "Stripe Clearing - DT", "EUR": "Stripe EUR - DT", "GBP": "Stripe GBP - DT"} {
		if got := moved(account); !got.Equal(h.balance[currency]) {
			h.Errorf("%s moved by %s, the provider's balance by %s", account, got, h.balance[currency])
		}
	}
	exchange := moved("Exchange Gain/Loss - DT")
	if got := moved("Debtors - DT").Add(exchange); !got.Equal(h.worth) {
		h.Errorf("customers and conversions owe %s, want %s", got, h.worth)
	}
	if !exchange.IsZero() && !h.foreign {
		h.Errorf("without a conversion %s is an exchange difference", exchange)
	}
	for _, o := range h.orders {
		if !h.doubtful {
			h.checkOrder(b, o)
		}
	}
}

// checkOrder holds that an order shows as paid what was paid of it, in its own
// currency: whatever that was worth on the balance.
func (h *history) checkOrder(b *bench, o *historyOrder) {
	if !o.plain {
		return
	}
	var rows []erpnext.Stored
	err := b.site.List(h.Context(), erpnext.Query{
		DocType: "Sales Order", Fields: []string{"name", "base_grand_total", "grand_total", "advance_paid"}, Filters: [][]any{{"po_no", "=", o.Name}, {"docstatus", "=", 1}},
	}, &rows)
	if err != nil || len(rows) != 1 {
		h.Fatalf("%d orders of the name %s: %v", len(rows), o.Name, err)
	}
	base := rows[0].BaseGrandTotal.Decimal
	want := decimal.Min(base, base.Mul(o.paid).DivRound(o.Total.Value(), 6))
	slack := decimal.New(o.parts, -2)
	if o.Currency == "USD" || o.paid.GreaterThanOrEqual(o.Total.Value()) {
		slack = decimal.New(1, -6)
	}
	if got := rows[0].AdvancePaid.Decimal; got.Sub(want).Abs().GreaterThan(slack) {
		h.Errorf("order %s of %s shows %s of %s as paid, want %s: %s was", o.Name, o.Total, got, base, want, o.paid)
	}
}

// nothingUnexplained holds what is true of every good set of books.
func (b *bench) nothingUnexplained(t *testing.T, rt *rapid.T) {
	var entries []struct {
		Name        string         `json:"name"`
		Difference  erpnext.Number `json:"difference_amount"`
		Unallocated erpnext.Number `json:"unallocated_amount"`
	}
	must(t, b.site.List(t.Context(), erpnext.Query{
		DocType: "Payment Entry", Fields: []string{"name", "difference_amount", "unallocated_amount"}, Filters: [][]any{{"docstatus", "=", 1}}, Limit: -1,
	}, &entries))
	for _, e := range entries {
		if !e.Difference.IsZero() || e.Unallocated.IsNegative() {
			rt.Errorf("%s has a difference of %s, and %s on account", e.Name, e.Difference, e.Unallocated)
		}
	}
	debit, credit := decimal.Zero, decimal.Zero
	for _, l := range b.ledgerLines(t) {
		debit, credit = debit.Add(l.Debit.Round(6)), credit.Add(l.Credit.Round(6))
	}
	if !debit.Equal(credit) {
		rt.Errorf("the books do not balance: %s debit, %s credit", debit, credit)
	}
}

// deliver posts events in the order of arrival. What waits, or met a broken
// line, is tried again, as the worker does.
func (b *bench) deliver(t *testing.T, rt *rapid.T, events []happening) {
	for pass := 0; len(events) > 0; pass++ {
		var again []happening
		for _, e := range events {
			r, err := e.post(t.Context(), b.Poster)
			_ = b.memory.Remember(t.Context(), "", r.Documents...)
			switch {
			case err != nil && pass < 200 && fault.KindOf(err).Retry() == fault.Soon:
				again = append(again, e)
			case err != nil:
				rt.Fatalf("%s: %v %s %s", e.name, err, fault.As(err).Hint, fault.As(err).Detail)
			}
		}
		events = again
	}
}

// ledgerLine is one line of the books.
type ledgerLine struct {
	Account   string         `json:"account"`
	Debit     erpnext.Number `json:"debit"`
	Credit    erpnext.Number `json:"credit"`
	OwnDebit  erpnext.Number `json:"debit_in_account_currency"`
	OwnCredit erpnext.Number `json:"credit_in_account_currency"`
}

func (b *bench) ledgerLines(t testing.TB) []ledgerLine {
	t.Helper()
	var lines []ledgerLine
	must(t, b.site.List(t.Context(), erpnext.Query{
		DocType: "GL Entry", Fields: []string{"account", "debit", "credit", "debit_in_account_currency", "credit_in_account_currency"},
		Filters: [][]any{{"is_cancelled", "=", 0}}, Limit: -1,
	}, &lines))
	return lines
}

// balances are the ledger's accounts, each in its own currency.
func (b *bench) balances(t testing.TB) map[string]decimal.Decimal {
	t.Helper()
	sums := map[string]decimal.Decimal{}
	for _, l := range b.ledgerLines(t) {
		sums[l.Account] = sums[l.Account].Add(l.OwnDebit.Round(6)).Sub(l.OwnCredit.Round(6))
	}
	return sums
}
