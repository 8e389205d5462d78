package posting_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// siteRates are what one unit is worth in USD at the test's site.
var siteRates = map[string]string{"USD": "1", "EUR": "1.1", "GBP": "1.3", "JPY": "0.007"}

// happening is one event of a provider or shop.
type happening struct {
	name string
	post func(ctx context.Context, p *posting.Poster) (posting.Result, error)
}

// history is what happened at a provider, and what it left there.
type history struct {
	*rapid.T
	id      string
	events  []happening
	balance map[string]decimal.Decimal // at the provider, by currency
	worth   decimal.Decimal            // of what payers gave and got back, in USD
	orders  []*historyOrder
	foreign bool // something was converted
	// doubtful says that a payment may have been held for one of another order,
	// or have come while another was being booked anew: which of two pays an
	// order is then a matter of luck, and one of them is on account.
	doubtful bool
	n        int
	late     time.Time // when a payment was received that does not wait any more
}

// historyOrder is an order with what is paid of it.
type historyOrder struct {
	commerce.Order
	paid  decimal.Decimal // charged in the order's currency
	plain bool            // every payment names it alone, in its own currency
	parts int64
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

func (h *history) one(label string, of ...string) string {
	return rapid.SampledFrom(of).Draw(h.T, label)
}

func (h *history) yes(label string) bool { return rapid.Bool().Draw(h.T, label) }

func digitsOf(currency string) int32 {
	digits, _ := money.MinorDigits(currency)
	return int32(digits) //nolint:gosec // at most four
}

// minor draws an amount in minor units; JPY has none, and a hundred times the
// number.
func (h *history) minor(label, currency string, low, high int64) money.Amount {
	if digitsOf(currency) == 0 {
		high *= 2
	}
	return money.New(decimal.New(rapid.Int64Range(low, high).Draw(h.T, label), -digitsOf(currency)), currency)
}

func rateTo(currency string) decimal.Decimal { return decimal.RequireFromString(siteRates[currency]) }

// inUSD is what a movement is worth to the company: what the payer was charged
// where that is in its currency, else what the balance got.
func inUSD(charged money.Amount, s commerce.Settlement) decimal.Decimal {
	switch {
	case s.Gross.Currency() == "USD":
		return s.Gross.Value().Abs()
	case charged.Currency() == "USD":
		return charged.Value()
	default:
		return s.Gross.Value().Abs().Mul(rateTo(s.Gross.Currency())).RoundBank(2)
	}
}

func settled(id string, gross, fee money.Amount) commerce.Settlement {
	return commerce.Settlement{ID: id, Gross: gross, Fee: fee, Net: gross.Sub(fee)}
}

// drawHistory makes up orders, payments of them, and what becomes of those.
func drawHistory(rt *rapid.T, id string) *history {
	h := &history{T: rt, id: id, balance: map[string]decimal.Decimal{}, late: time.Now().Add(-2 * time.Hour)}
	for range rapid.IntRange(1, 3).Draw(rt, "orders") {
		h.order()
	}
	for range rapid.IntRange(1, 3).Draw(rt, "payments") {
		h.payment()
	}
	for range rapid.IntRange(0, 2).Draw(rt, "payouts") {
		h.payout()
	}
	return h
}

func (h *history) order() {
	o := snapshot(h.id+h.one("order id", "1", "2", "3", "4")+fmt.Sprint(len(h.orders)), 1, rapid.Int64Range(1, 3).Draw(h.T, "mugs"), rapid.Int64Range(0, 3).Draw(h.T, "pens"))
	o.Customer.ID, o.Customer.Email = h.id, "ann"+h.id+"@example.com"
	if currency := h.one("order currency", "USD", "USD", "EUR", "GBP"); currency != "USD" {
		worth := money.New(o.Total.Value().Mul(rateTo(currency)).Mul(decimal.RequireFromString("1.013")).Round(2), "USD")
		o.Currency, o.ShopTotal, o.Total = currency, &worth, money.New(o.Total.Value(), currency)
		for i := range o.Lines {
			o.Lines[i].UnitPrice = money.New(o.Lines[i].UnitPrice.Value(), currency)
		}
	}
	h.orders = append(h.orders, &historyOrder{Order: o, plain: true})
	h.add("order", func(ctx context.Context, p *posting.Poster) (posting.Result, error) { return p.Order(ctx, shop, o) })
}

// paymentPlan is how a payment is told of.
type paymentPlan struct {
	pay     commerce.Payment
	settled commerce.Settlement
	told    string // when the settlement is: "with the payment", "later", "never"
}

func (h *history) payment() {
	o := rapid.SampledFrom(h.orders).Draw(h.T, "pays")
	currency := h.one("charged in", o.Currency, o.Currency, "USD", "EUR", "JPY")
	amount := h.minor("amount", currency, 100, 3000)
	if currency == o.Currency && h.yes("exactly") {
		amount = o.Total
	}
	pay := commerce.Payment{
		ID: h.next("pi"), Provider: "stripe", Amount: amount, At: time.Now(), OrderRefs: []string{o.ID}, PayerEmail: o.Customer.Email,
	}
	pay.Aliases, pay.Reference = []string{"ch" + pay.ID}, "ch"+pay.ID
	plan := paymentPlan{pay: pay, told: h.one("settlement is told", "with the payment", "later", "never")}
	plan.settled = h.settlement(&plan)
	h.tell(plan, o)
	h.moves(plan.settled)
	h.worth = h.worth.Sub(inUSD(pay.Amount, plan.settled))
	h.foreign = h.foreign || currency != "USD" || o.Currency != "USD"
	o.paid, o.parts = o.paid.Add(amount.Value()), o.parts+1
	o.plain = o.plain && currency == o.Currency
	switch h.one("then", "kept", "refunded", "disputed") {
	case "refunded":
		h.refund(plan)
	case "disputed":
		h.dispute(plan)
	}
}

// settlement draws what a payment did to the balance. Yen have no balance.
func (h *history) settlement(plan *paymentPlan) commerce.Settlement {
	amount := plan.pay.Amount
	to := amount.Currency()
	if to == "JPY" || (plan.told != "never" && h.yes("converted")) {
		to = h.one("settled in", "USD", "EUR", "GBP")
	}
	if to != amount.Currency() && (amount.Currency() == "JPY" || plan.told == "never") {
		plan.told = "with the payment" // nobody could book it without
	}
	if plan.told == "never" {
		return settled("", amount, money.Zero(to))
	}
	gross := amount
	if to != amount.Currency() {
		gross = money.New(amount.Value().Mul(rateTo(amount.Currency())).Div(rateTo(to)).Mul(decimal.RequireFromString("0.98")).Round(2), to)
	}
	return settled("txn"+plan.pay.ID, gross, h.minor("fee", to, 0, 60))
}

// tell makes the events of a payment: the order may be named by the first, by a
// later one, or by a list; the settlement may come on its own.
func (h *history) tell(plan paymentPlan, o *historyOrder) {
	post := func(p commerce.Payment, received time.Time) func(context.Context, *posting.Poster) (posting.Result, error) {
		return func(ctx context.Context, poster *posting.Poster) (posting.Result, error) {
			return poster.Payment(ctx, stripe, p, received)
		}
	}
	received := time.Now()
	if h.yes("impatient") {
		received = h.late
	}
	pay := plan.pay
	if plan.told == "with the payment" {
		pay.Settlement = &plan.settled
	}
	switch h.one("names the order", "at once", "later", "beside another") {
	case "later":
		later := pay
		h.add("session", post(later, received))
		pay.OrderRefs = nil
		if h.yes("names nobody") {
			pay.PayerEmail = ""
		} else {
			h.doubtful = true
		}
	case "beside another":
		other := rapid.SampledFrom(h.orders).Draw(h.T, "other")
		if other != o {
			pay.OrderRefs = []string{o.ID + ", " + other.ID}
			o.plain, other.plain = false, false
			h.foreign = h.foreign || other.Currency != "USD"
		}
	}
	h.add("payment", post(pay, received))
	if plan.told == "later" {
		late := plan.pay
		late.FeeOnly, late.Settlement = true, &plan.settled
		h.add("fee", post(late, received))
	}
}

func (h *history) refund(plan paymentPlan) {
	pay := plan.pay
	part := money.New(pay.Amount.Value().Div(decimal.NewFromInt(2)).RoundBank(digitsOf(pay.Amount.Currency())), pay.Amount.Currency())
	r := commerce.Refund{
		ID: h.next("re"), PaymentID: h.one("names the payment by", pay.ID, pay.Aliases[0]),
		Reference: "re" + h.id, Amount: part, At: time.Now(), Outcome: commerce.Succeeded, Provider: "stripe", Reversed: h.yes("reversed"),
	}
	s := h.refundSettlement(plan, part, r.ID)
	converted := s.Gross.Currency() != part.Currency()
	if plan.told != "with the payment" || !converted || h.yes("refund tells its settlement") {
		r.Settlement = &s
	} else { // it is what the payment's was, in part
		gross := plan.settled.Gross.Value().Mul(part.Value()).DivRound(pay.Amount.Value(), 12).RoundBank(2).Neg()
		s = settled("", money.New(gross, s.Gross.Currency()), money.Zero(s.Gross.Currency()))
	}
	post := func(r commerce.Refund) func(context.Context, *posting.Poster) (posting.Result, error) {
		return func(ctx context.Context, p *posting.Poster) (posting.Result, error) {
			return p.Refund(ctx, stripe, r, time.Now())
		}
	}
	pending := r
	pending.Outcome = commerce.Pending
	h.add("refund pending", post(pending))
	h.add("refund", post(r))
	if h.yes("refund fails") {
		failed := r
		failed.Outcome = commerce.Failed
		h.add("refund failed", post(failed))
		return
	}
	h.moves(s)
	h.worth = h.worth.Add(inUSD(r.Amount, s))
}

func (h *history) refundSettlement(plan paymentPlan, part money.Amount, id string) commerce.Settlement {
	to := plan.settled.Gross.Currency()
	gross := part
	if to != part.Currency() {
		gross = money.New(part.Value().Mul(rateTo(part.Currency())).Div(rateTo(to)).Round(2), to)
	}
	return settled("txn"+id, gross.Neg(), h.minor("fee given back", to, 0, 20).Neg())
}

func (h *history) dispute(plan paymentPlan) {
	d := commerce.Dispute{
		ID: h.next("dp"), PaymentID: plan.pay.ID, Amount: plan.pay.Amount, At: time.Now(), Stage: commerce.DisputeWithdrawn, Provider: "stripe", Reason: "fraudulent",
	}
	if plan.settled.Gross.Currency() == plan.pay.Amount.Currency() && h.yes("stages alone") {
		h.disputeByStages(d)
		return
	}
	taken := settled("txn_taken_"+plan.pay.ID, plan.settled.Gross.Neg(), h.minor("dispute fee", plan.settled.Gross.Currency(), 0, 1500))
	d.Movements = []commerce.Settlement{taken}
	opened := d
	opened.Stage, opened.Movements = commerce.DisputeOpened, nil
	h.add("dispute opened", disputes(opened))
	h.add("dispute withdrawn", disputes(d))
	h.moves(taken)
	back := d
	switch h.one("dispute is", "open", "won", "lost") {
	case "won":
		back.Stage = commerce.DisputeReinstated
		back.Movements = append(back.Movements[:1:1], settled("txn_back_"+plan.pay.ID, plan.settled.Gross, money.Zero(plan.settled.Gross.Currency())))
		h.moves(back.Movements[1])
		h.add("dispute reinstated", disputes(back))
		back.Stage = commerce.DisputeWon
		h.add("dispute won", disputes(back))
	case "lost":
		back.Stage = commerce.DisputeLost
		h.add("dispute lost", disputes(back))
	}
}

func disputes(d commerce.Dispute) func(context.Context, *posting.Poster) (posting.Result, error) {
	return func(ctx context.Context, p *posting.Poster) (posting.Result, error) { return p.Dispute(ctx, stripe, d) }
}

// disputeByStages is a dispute of which the provider tells no movement, perhaps
// not even that it took the money.
func (h *history) disputeByStages(d commerce.Dispute) {
	stage := func(s commerce.DisputeStage) {
		at := d
		at.Stage = s
		h.add("dispute "+string(s), disputes(at))
	}
	taken := h.yes("withdrawal is told")
	if taken {
		stage(commerce.DisputeWithdrawn)
	}
	end := h.one("it ends", "open", string(commerce.DisputeReinstated), string(commerce.DisputeWon), string(commerce.DisputeLost))
	if end != "open" {
		stage(commerce.DisputeStage(end))
	}
	if end == string(commerce.DisputeLost) || end == "open" && taken {
		h.moves(settled("", d.Amount.Neg(), money.Zero(d.Amount.Currency())))
	}
}

func (h *history) payout() {
	currency := h.one("payout currency", "USD", "EUR", "GBP")
	out := commerce.Payout{
		ID: h.next("po"), Amount: h.minor("payout amount", currency, 100, 900), Fee: money.Zero(currency), At: time.Now(), Outcome: commerce.Succeeded, Provider: "stripe",
	}
	switch h.one("payout is", "plain", "instant", "a debit") {
	case "instant":
		out.Fee = h.minor("payout fee", currency, 1, 50)
	case "a debit":
		out.Amount = out.Amount.Neg()
	}
	post := func(out commerce.Payout) func(context.Context, *posting.Poster) (posting.Result, error) {
		return func(ctx context.Context, p *posting.Poster) (posting.Result, error) {
			return p.Payout(ctx, stripe, out)
		}
	}
	h.add("payout", post(out))
	if h.yes("payout fails") {
		failed := out
		failed.Outcome = commerce.Failed
		h.add("payout failed", post(failed))
		return
	}
	h.moves(settled("", out.Amount.Neg(), out.Fee))
}
