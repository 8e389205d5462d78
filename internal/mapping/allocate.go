package mapping

import (
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// Due is what an order asks for.
type Due struct {
	Order string       // ERPNext's name of the Sales Order
	Total money.Amount // in the order's currency
	// Shown is the total in what the buyer was shown, where that is another
	// currency; else the zero Amount. A charge in it pays Total at the shop's rate.
	Shown money.Amount
	Base  decimal.Decimal // Total in the company's currency
	Left  decimal.Decimal // what of Base is not paid yet
}

// In is the total in a currency, if the order has one in it.
func (d Due) In(currency string) (money.Amount, bool) {
	for _, total := range []money.Amount{d.Total, d.Shown} {
		if total.Currency() == currency && total.Sign() > 0 {
			return total, true
		}
	}
	return money.Amount{}, false
}

// Split is how a payment is divided.
type Split struct {
	Allocations []Allocation
	// Exchange is what a conversion lost (or, negative, gained): what is
	// allocated is more than what the movement was worth. In the company's
	// currency.
	Exchange decimal.Decimal
	Rest     decimal.Decimal // stays on the customer's account
	// Open is what the orders still ask for afterwards.
	Open decimal.Decimal
}

// Allocated is what the orders get together.
func (s Split) Allocated() decimal.Decimal {
	sum := decimal.Zero
	for _, a := range s.Allocations {
		sum = sum.Add(a.Amount.Value())
	}
	return sum
}

// Credited is what the customer's account gets.
func (s Split) Credited() decimal.Decimal { return s.Rest.Add(s.Allocated()) }

// Money is what a payer has paid: what was charged, and what it was worth to
// the company when it reached the balance.
type Money struct {
	Charged money.Amount
	Worth   decimal.Decimal // in the company's currency
}

// Paid is the money of a payment, without what cash rounding added.
func (b Books) Paid(p commerce.Payment, rate Rate) Money {
	charged := p.Amount
	if !p.Rounding.IsZero() {
		charged = charged.Sub(p.Rounding)
	}
	return Money{Charged: charged, Worth: b.Credited(p, rate).Value()}
}

// conversionSlack is how far the worth of a charge in a currency that the order
// does not know may be from what the order asks for, and still pay it: what a
// conversion costs (providers take up to 4 %) and a day's move.
var conversionSlack = decimal.New(5, -2)

// Split divides money among orders, each as much as it takes, in their order.
// The charge is compared with an order in the order's currency, or in the one
// that its buyer was shown: what it pays of that is paid of the order's worth in
// the books, whatever the money was worth on the balance in the end. The
// difference is the conversion's. Money in any other currency pays what it was
// worth.
func (b Books) Split(m Money, dues []Due) Split {
	if len(dues) == 0 {
		return Split{Rest: m.Worth}
	}
	for _, d := range dues {
		if _, known := d.In(m.Charged.Currency()); !known || m.Charged.Sign() <= 0 {
			return b.splitByWorth(m, dues)
		}
	}
	return b.splitByCharge(m, dues)
}

func (b Books) splitByCharge(m Money, dues []Due) Split {
	var s Split
	left := m.Charged.Value()
	for _, d := range dues {
		total, _ := d.In(m.Charged.Currency())
		share, taken := b.shareOf(d, total, left)
		left = left.Sub(taken)
		s.take(b, d, share)
	}
	s.Rest = m.Worth
	if left.LessThan(m.Charged.Value()) {
		s.Rest = m.Worth.Mul(left).Div(m.Charged.Value()).RoundBank(b.Precision)
	}
	s.Exchange = s.Credited().Sub(m.Worth)
	return s
}

// shareOf is what of an order's worth is paid by as much of a charge as it
// takes.
func (b Books) shareOf(d Due, total money.Amount, charge decimal.Decimal) (decimal.Decimal, decimal.Decimal) {
	if !d.Base.IsPositive() || !d.Left.IsPositive() || !charge.IsPositive() {
		return decimal.Zero, decimal.Zero
	}
	open := total.Value()
	slack := decimal.Zero
	if !d.Left.Equal(d.Base) {
		// What is left of the charge's currency was rounded with each payment.
		slack = minorUnit(total.Currency())
		open = open.Mul(d.Left).Div(d.Base).RoundBank(-slack.Exponent())
	}
	if charge.GreaterThanOrEqual(open.Sub(slack)) {
		return d.Left, decimal.Min(charge, open)
	}
	return decimal.Min(d.Base.Mul(charge).Div(total.Value()).RoundBank(b.Precision), d.Left), charge
}

func minorUnit(currency string) decimal.Decimal {
	digits, err := money.MinorDigits(currency)
	if err != nil {
		digits = 2
	}
	return decimal.New(1, -int32(digits)) //nolint:gosec // at most four
}

func (b Books) splitByWorth(m Money, dues []Due) Split {
	var s Split
	asked := decimal.Zero
	for _, d := range dues {
		asked = asked.Add(d.Left)
	}
	left := m.Worth
	if off := m.Worth.Sub(asked); asked.IsPositive() && off.Abs().LessThanOrEqual(asked.Mul(conversionSlack)) {
		left, s.Exchange = asked, off.Neg()
	}
	for _, d := range dues {
		share := decimal.Max(decimal.Min(left, d.Left), decimal.Zero)
		left = left.Sub(share)
		s.take(b, d, share)
	}
	s.Rest = left
	return s
}

func (s *Split) take(b Books, d Due, share decimal.Decimal) {
	s.Open = s.Open.Add(decimal.Max(d.Left.Sub(share), decimal.Zero))
	if share.IsPositive() {
		s.Allocations = append(s.Allocations, Allocation{Order: d.Order, Amount: money.New(share, b.Currency)})
	}
}

// RateOf is what one unit of the balance's currency is worth to the company by
// what the provider did: false where a charge in the company's currency does not
// tell.
func (b Books) RateOf(charged money.Amount, s *commerce.Settlement) (Rate, bool) {
	if s == nil || s.Gross.IsZero() || charged.Currency() != b.Currency || s.Gross.Currency() == b.Currency {
		return Rate{}, false
	}
	// ERPNext keeps nine decimals of a rate.
	return Rate{charged.Value().Abs().DivRound(s.Gross.Value().Abs(), 9)}, true
}
