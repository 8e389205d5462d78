package posting_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

const eurRate = "1.1" // USD for one EUR, at the test's site

var till = mapping.Till{
	Clearing: map[string]map[string]string{"stripe": {"": "Stripe Clearing - DT", "EUR": "Stripe EUR - DT"}},
	Bank:     map[string]string{"": "Demo Bank - DT", "EUR": "Bank EUR - DT"},
	Fees:     "Fees - DT", Disputes: "Dispute Holding - DT", DisputeLosses: "Dispute Losses - DT",
}

// direct serves a handler without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// newTill makes a site with accounts in two currencies, and a Poster on it.
func newTill(t testing.TB) *bench {
	t.Helper()
	site, err := sandbox.New(sandbox.Options{})
	must(t, err)
	for name, account := range map[string]map[string]any{
		"Stripe EUR": {"account_type": "Bank", "account_currency": "EUR"}, "Bank EUR": {"account_type": "Bank", "account_currency": "EUR"},
		"Fees": {"root_type": "Expense"}, "Dispute Losses": {"root_type": "Expense"},
	} {
		account["name"], account["account_name"], account["company"] = name+" - DT", name, "Demo Trading"
		if account["account_currency"] == nil {
			account["account_currency"] = "USD"
		}
		must(t, site.Insert("Account", account))
	}
	must(t, site.Insert("Currency Exchange", map[string]any{"name": "eur", "from_currency": "EUR", "to_currency": "USD", "exchange_rate": 1.1, "date": "2020-01-01"}))
	client := func(key, secret string) *erpnext.Client {
		c, err := erpnext.New(erpnext.Options{URL: "http://site.test", Credentials: erpnext.KeySecret(key, secret), Transport: direct{site}})
		must(t, err)
		return c
	}
	must(t, erpnext.Setup(t.Context(), client("demo-setup-key", "demo-setup-secret"), erpnext.KeyedDocTypes(), func(string) {}))
	b := &bench{site: client("demo-key", "demo-secret"), memory: newMemory()}
	b.Poster = posting.New(posting.Options{
		Site: b.site, Memory: b.memory, Shops: []posting.Origin{shop}, CustomersFresh: time.Hour,
		Desk: posting.Desk{
			ReadBooks: posting.ReadBooks(b.site, erpnext.Wanted{}, mapping.Books{Till: till}), WaitForOrder: time.Hour, UnknownPayer: "",
		},
	})
	return b
}

// happening is one event of a provider.
type happening struct {
	name string
	post func(ctx context.Context, p *posting.Poster) (posting.Result, error)
}

// history is what happened at a provider, and what it left there.
type history struct {
	id      string
	events  []happening
	balance map[string]decimal.Decimal // at the provider, by currency
	owed    decimal.Decimal            // by the customer, in USD
	n       int
}

func (h *history) add(name string, post func(context.Context, *posting.Poster) (posting.Result, error)) {
	h.events = append(h.events, happening{name, post})
}

func (h *history) moves(s commerce.Settlement) {
	h.balance[s.Net.Currency()] = h.balance[s.Net.Currency()].Add(s.Net.Value())
}

func (h *history) next(kind string) string {
	h.n++
	return fmt.Sprintf("%s_%s_%d", kind, h.id, h.n)
}

func inUSD(a money.Amount) decimal.Decimal {
	if a.Currency() == "EUR" {
		return a.Value().Mul(decimal.RequireFromString(eurRate)).RoundBank(2)
	}
	return a.Value()
}

func settled(id string, gross, fee money.Amount) commerce.Settlement {
	return commerce.Settlement{ID: id, Gross: gross, Fee: fee, Net: gross.Sub(fee)}
}

// drawHistory makes up an order, payments of it, and what becomes of them.
func drawHistory(rt *rapid.T, id string) *history {
	h := &history{id: id, balance: map[string]decimal.Decimal{}}
	o := snapshot(id, 1, 3, 0)
	h.add("order", func(ctx context.Context, p *posting.Poster) (posting.Result, error) { return p.Order(ctx, shop, o) })
	for range rapid.IntRange(1, 3).Draw(rt, "payments") {
		h.payment(rt)
	}
	if rapid.Bool().Draw(rt, "payout") {
		h.payout(rt)
	}
	return h
}

func cents(rt *rapid.T, label, currency string, low, high int64) money.Amount {
	return money.New(decimal.New(rapid.Int64Range(low, high).Draw(rt, label), -2), currency)
}

func (h *history) payment(rt *rapid.T) {
	currency := rapid.SampledFrom([]string{"USD", "USD", "EUR"}).Draw(rt, "currency")
	amount := cents(rt, "amount", currency, 100, 3000)
	pay := commerce.Payment{
		ID: h.next("pi"), Provider: "stripe", Amount: amount, At: time.Now(), OrderRefs: []string{run + h.id}, PayerEmail: "ann" + h.id + "@example.com",
	}
	pay.Aliases, pay.Reference = []string{"ch" + pay.ID}, "ch"+pay.ID
	s := settled("txn"+pay.ID, amount, cents(rt, "fee", currency, 0, 90))
	told := rapid.SampledFrom([]string{"with the payment", "later", "never"}).Draw(rt, "fee is told")
	if told == "never" {
		s = settled("", amount, money.Zero(currency))
	}
	if told == "with the payment" {
		pay.Settlement = &s
	}
	post := func(p commerce.Payment) func(context.Context, *posting.Poster) (posting.Result, error) {
		return func(ctx context.Context, poster *posting.Poster) (posting.Result, error) {
			return poster.Payment(ctx, stripe, p, time.Now())
		}
	}
	h.add("payment", post(pay))
	if told == "later" {
		late := pay
		late.FeeOnly, late.Settlement = true, &s
		h.add("fee", post(late))
	}
	h.moves(s)
	h.owed = h.owed.Sub(inUSD(amount))
	switch rapid.SampledFrom([]string{"kept", "refunded", "disputed"}).Draw(rt, "then") {
	case "refunded":
		h.refund(rt, pay)
	case "disputed":
		h.dispute(rt, pay)
	}
}

func (h *history) refund(rt *rapid.T, pay commerce.Payment) {
	part := money.New(pay.Amount.Value().Div(decimal.NewFromInt(2)).RoundBank(2), pay.Amount.Currency())
	r := commerce.Refund{ID: h.next("re"), PaymentID: rapid.SampledFrom([]string{pay.ID, pay.Aliases[0]}).Draw(rt, "names the payment by"),
		Reference: "re" + h.id, Amount: part, At: time.Now(), Outcome: commerce.Succeeded, Provider: "stripe"}
	s := settled("txn"+r.ID, part.Neg(), cents(rt, "fee given back", part.Currency(), 0, 20).Neg())
	r.Settlement = &s
	post := func(r commerce.Refund) func(context.Context, *posting.Poster) (posting.Result, error) {
		return func(ctx context.Context, p *posting.Poster) (posting.Result, error) {
			return p.Refund(ctx, stripe, r, time.Now())
		}
	}
	pending := r
	pending.Outcome = commerce.Pending
	h.add("refund pending", post(pending))
	h.add("refund", post(r))
	if rapid.Bool().Draw(rt, "refund fails") {
		failed := r
		failed.Outcome = commerce.Failed
		h.add("refund failed", post(failed))
		return
	}
	h.moves(s)
	h.owed = h.owed.Add(inUSD(part))
}

func (h *history) dispute(rt *rapid.T, pay commerce.Payment) {
	d := commerce.Dispute{
		ID: h.next("dp"), PaymentID: pay.ID, Amount: pay.Amount, At: time.Now(), Stage: commerce.DisputeWithdrawn, Provider: "stripe", Reason: "fraudulent",
		Movements: []commerce.Settlement{settled("txn_taken_"+pay.ID, pay.Amount.Neg(), money.New(decimal.New(15, 0), pay.Amount.Currency()))},
	}
	post := func(d commerce.Dispute) func(context.Context, *posting.Poster) (posting.Result, error) {
		return func(ctx context.Context, p *posting.Poster) (posting.Result, error) { return p.Dispute(ctx, stripe, d) }
	}
	opened := d
	opened.Stage = commerce.DisputeOpened
	h.add("dispute opened", post(opened))
	h.add("dispute withdrawn", post(d))
	h.moves(d.Movements[0])
	switch rapid.SampledFrom([]string{"open", "won", "lost"}).Draw(rt, "dispute is") {
	case "won":
		back := d
		back.Stage = commerce.DisputeReinstated
		back.Movements = append(back.Movements[:1:1], settled("txn_back_"+pay.ID, pay.Amount, money.Zero(pay.Amount.Currency())))
		h.moves(back.Movements[1])
		h.add("dispute reinstated", post(back))
		back.Stage = commerce.DisputeWon
		h.add("dispute won", post(back))
	case "lost":
		lost := d
		lost.Stage = commerce.DisputeLost
		h.add("dispute lost", post(lost))
	}
}

func (h *history) payout(rt *rapid.T) {
	currency := rapid.SampledFrom([]string{"USD", "EUR"}).Draw(rt, "payout currency")
	out := commerce.Payout{ID: h.next("po"), Amount: cents(rt, "payout amount", currency, 100, 900), Fee: cents(rt, "payout fee", currency, 0, 50),
		At: time.Now(), Outcome: commerce.Succeeded, Provider: "stripe"}
	post := func(out commerce.Payout) func(context.Context, *posting.Poster) (posting.Result, error) {
		return func(ctx context.Context, p *posting.Poster) (posting.Result, error) {
			return p.Payout(ctx, stripe, out)
		}
	}
	h.add("payout", post(out))
	if rapid.Bool().Draw(rt, "payout fails") {
		failed := out
		failed.Outcome = commerce.Failed
		h.add("payout failed", post(failed))
		return
	}
	h.moves(settled("", out.Amount.Neg(), out.Fee))
}

// TestBooksAreTheProvidersBalance holds that any history of payments, fees,
// refunds, disputes and payouts, delivered in any order and repeatedly, leaves
// on each clearing account what the provider has, and on the customer's what is
// owed.
func TestBooksAreTheProvidersBalance(t *testing.T) {
	histories := 0
	var b *bench
	rapid.Check(t, func(rt *rapid.T) {
		if histories++; b == nil || histories%50 == 0 {
			b = newTill(t) // a site of many documents is slow to add up
		}
		h := drawHistory(rt, strconv.Itoa(histories))
		before := b.balances(t)
		b.deliver(t, rt, h, rapid.Permutation(append(h.events, rapid.SliceOfN(rapid.SampledFrom(h.events), 0, 3).Draw(rt, "repeated")...)).Draw(rt, "arrival"))
		after := b.balances(t)
		for currency, account := range map[string]string{"USD": "Stripe Clearing - DT", "EUR": "Stripe EUR - DT"} {
			if got := after[account].Sub(before[account]); !got.Equal(h.balance[currency]) {
				rt.Errorf("%s moved by %s, the provider's balance by %s", account, got, h.balance[currency])
			}
		}
		if got := after["Debtors - DT"].Sub(before["Debtors - DT"]); !got.Equal(h.owed) {
			rt.Errorf("customers owe %s, want %s", got, h.owed)
		}
	})
}

// deliver posts events in the order of arrival. What waits is tried again, as
// the worker does.
func (b *bench) deliver(t *testing.T, rt *rapid.T, h *history, events []happening) {
	for pass := 0; len(events) > 0; pass++ {
		var waiting []happening
		for _, e := range events {
			r, err := e.post(t.Context(), b.Poster)
			_ = b.memory.Remember(t.Context(), "", r.Documents...)
			switch {
			case err != nil && fault.KindOf(err) == fault.Waiting && pass < 3:
				waiting = append(waiting, e)
			case err != nil:
				rt.Fatalf("%s: %v %s", e.name, err, fault.As(err).Hint)
			}
		}
		events = waiting
	}
}

// balances are the ledger's accounts, each in its own currency.
func (b *bench) balances(t testing.TB) map[string]decimal.Decimal {
	t.Helper()
	var lines []struct {
		Account string         `json:"account"`
		Debit   erpnext.Number `json:"debit_in_account_currency"`
		Credit  erpnext.Number `json:"credit_in_account_currency"`
	}
	must(t, b.site.List(t.Context(), erpnext.Query{
		DocType: "GL Entry", Fields: []string{"account", "debit_in_account_currency", "credit_in_account_currency"},
		Filters: [][]any{{"is_cancelled", "=", 0}}, Limit: -1,
	}, &lines))
	sums := map[string]decimal.Decimal{}
	for _, l := range lines {
		sums[l.Account] = sums[l.Account].Add(l.Debit.Round(6)).Sub(l.Credit.Round(6))
	}
	return sums
}
