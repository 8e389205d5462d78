package paypal

import (
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
	"github.com/shopspring/decimal"
)

// breakdown is what PayPal says a movement did to the balance. What is nil was
// not said. Gross, fees and net are in the payment's currency; received and
// feeReceived in the balance's, when PayPal converted.
type breakdown struct {
	place       strictjson.Place // to complain about
	gross       money.Amount
	fee         *money.Amount  // PayPal's
	platform    []money.Amount // of those who brought the sale
	net         *money.Amount
	received    *money.Amount
	feeReceived *money.Amount // PayPal's alone
	rate        decimal.Decimal
}

// received is what a payment did to the balance, or nil when PayPal does not
// say (yet).
func (g generation) received(r strictjson.Place, p commerce.Payment) *commerce.Settlement {
	b := breakdown{place: r.Get("seller_receivable_breakdown"), gross: p.Amount}
	if g.state == v1.state {
		b.place = r.Get("transaction_fee")
		b.received, b.feeReceived = g.part(r.Get("receivable_amount")), g.part(r.Get("transaction_fee_in_receivable_currency"))
		b.rate = rate(r.Get("exchange_rate"))
		b.fee = g.part(b.place)
	} else if !b.place.Missing() {
		b.received, b.feeReceived = g.part(b.place.Get("receivable_amount")), g.part(b.place.Get("paypal_fee_in_receivable_currency"))
		b.rate = rate(b.place.Get("exchange_rate").Get("value"))
		b.readParts(g)
	}
	return b.settlement(p.ID)
}

// paidBack is what a refund did to the balance, or nil when PayPal does not say.
// Everything leaves, and a fee that is given back lessens what does.
func (g generation) paidBack(r strictjson.Place, refund commerce.Refund) *commerce.Settlement {
	b := breakdown{place: r.Get("seller_payable_breakdown"), gross: refund.Amount}
	if g.state == v1.state {
		b.place = r.Get("refund_from_received_amount")
		b.takeV1(g.part(b.place), g.part(r.Get("refund_from_transaction_fee")))
	} else if !b.place.Missing() {
		b.received, b.feeReceived = g.part(b.place.Get("net_amount_in_receivable_currency")), g.part(b.place.Get("paypal_fee_in_receivable_currency"))
		b.readParts(g)
		if b.received == nil {
			b.received = b.fromBalance(g)
		}
	}
	s := b.settlement(refund.ID)
	if s != nil {
		s.Gross, s.Fee, s.Net = s.Gross.Neg(), s.Fee.Neg(), s.Net.Neg()
	}
	return s
}

// readParts reads what both breakdowns of the second generation have.
func (b *breakdown) readParts(g generation) {
	if gross := g.part(b.place.Get("gross_amount")); gross != nil && !gross.Equal(b.gross) {
		b.place.Get("gross_amount").Complain("is not the amount")
	}
	b.net = g.part(b.place.Get("net_amount"))
	b.fee = g.part(b.place.Get("paypal_fee"))
	for _, item := range b.place.Get("platform_fees").Each() {
		if fee := g.part(item.Get("amount")); fee != nil {
			b.platform = append(b.platform, *fee)
		}
	}
}

// takeV1 takes what a refund of the first generation took from the balance and
// from the fee. Both may be in the balance's currency, and carry a sign.
func (b *breakdown) takeV1(taken, fee *money.Amount) {
	own := func(a *money.Amount) bool { return a != nil && a.Currency() == b.gross.Currency() }
	for _, a := range []*money.Amount{taken, fee} {
		if a != nil {
			*a = a.Abs()
		}
	}
	switch {
	case own(taken) && fee == nil:
		b.net, b.fee = taken, new(b.gross.Sub(*taken))
	case own(taken):
		b.net = taken
	default:
		b.received = taken
	}
	switch {
	case own(fee):
		b.fee = fee
	case fee != nil:
		b.feeReceived = fee
	}
}

// fromBalance finds what was debited in another currency. Money that came from
// several balances is no one movement.
func (b *breakdown) fromBalance(g generation) *money.Amount {
	items := b.place.Get("net_amount_breakdown")
	var found *money.Amount
	for _, item := range items.Each() {
		for _, name := range []string{"payable_amount", "converted_amount"} {
			a := g.part(item.Get(name))
			if a == nil || a.Currency() == b.gross.Currency() {
				continue
			}
			if found != nil {
				items.Complain("names several balances")
			}
			found = a
		}
	}
	return found
}

// part reads an amount that need not be there.
func (g generation) part(p strictjson.Place) *money.Amount {
	if p.Missing() {
		return nil
	}
	return new(exact(p.Get("value"), p.Get(g.currency).Currency()))
}

// rate reads an exchange rate; zero when there is none.
func rate(p strictjson.Place) decimal.Decimal {
	if p.Missing() {
		return decimal.Zero
	}
	r, err := money.ParseDecimal(p.Value().Literal())
	if err != nil || !r.IsPositive() {
		p.Complain("is not an exchange rate")
	}
	return r
}

// settlement adds the breakdown up, in the currency of the balance. One whose
// parts contradict each other is complained about: which of them is wrong, the
// books cannot know.
func (b breakdown) settlement(id string) *commerce.Settlement {
	if b.net == nil && b.received == nil && b.fee == nil && b.platform == nil {
		return nil
	}
	fee, ok := b.fees()
	if !ok {
		return b.unequal()
	}
	s := commerce.Settlement{ID: id, Gross: b.gross, Fee: fee, Net: b.gross.Sub(fee)}
	switch {
	case b.net != nil && !b.net.Equal(s.Net):
		return b.unequal()
	case b.received == nil:
		return &s
	case b.received.Currency() != s.Net.Currency():
		return b.converted(s)
	case !b.received.Equal(s.Net):
		return b.unequal()
	}
	return &s
}

func (b breakdown) unequal() *commerce.Settlement {
	b.place.Complain("does not add up")
	return nil
}

// fees are PayPal's and the platform's together. PayPal's own follows from the
// net amount when it is not said.
func (b breakdown) fees() (money.Amount, bool) {
	sum := money.Zero(b.gross.Currency())
	for _, fee := range b.platform {
		if !b.costs(fee) {
			return sum, false
		}
		sum = sum.Add(fee)
	}
	switch {
	case b.fee != nil && !b.costs(*b.fee):
		return sum, false
	case b.fee != nil:
		return sum.Add(*b.fee), true
	case b.net != nil && b.net.Currency() == sum.Currency():
		all := b.gross.Sub(*b.net)
		return all, all.Cmp(sum) >= 0
	}
	return sum, b.net == nil
}

// costs reports whether a fee is one in the payment's currency.
func (b breakdown) costs(fee money.Amount) bool {
	return fee.Currency() == b.gross.Currency() && fee.Sign() >= 0
}

// converted restates a settlement in the currency of the balance. PayPal says
// what arrived there to the cent; its fee is what the rate makes of it, unless
// PayPal says that too, and the gross amount is both together.
func (b breakdown) converted(s commerce.Settlement) *commerce.Settlement {
	currency := b.received.Currency()
	digits, err := money.MinorDigits(currency)
	if err != nil || s.Net.Sign() <= 0 || b.received.Sign() <= 0 {
		return b.unequal()
	}
	rate := b.rate
	if rate.IsZero() {
		rate = b.received.Value().DivRound(s.Net.Value(), 18)
	}
	there := func(a money.Amount) money.Amount {
		return money.New(a.Value().Mul(rate).Round(int32(digits)), currency)
	}
	made, fee, least := there(s.Net), there(s.Fee), decimal.New(-1, -int32(digits))
	if own := b.feeReceived; own != nil { // charged there: what arrived is not the product of net and rate
		if own.Currency() != currency || own.Sign() < 0 {
			return b.unequal()
		}
		made, fee, least = there(s.Gross), *own, there(s.Gross).Value().Neg()
		for _, platform := range b.platform {
			fee = fee.Add(there(platform))
		}
	}
	off := b.received.Sub(made).Value()
	if off.LessThan(least) || off.GreaterThan(decimal.New(1, -int32(digits))) {
		return b.unequal()
	}
	return &commerce.Settlement{ID: s.ID, Gross: b.received.Add(fee), Fee: fee, Net: *b.received}
}
