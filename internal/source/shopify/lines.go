package shopify

import (
	"cmp"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
	"github.com/shopspring/decimal"
)

// readLines reads what is still wanted, the duties on it, and whether the tip
// stands among the lines.
func readLines(p strictjson.Place, currency string) ([]commerce.Line, []commerce.Charge, bool) {
	var lines []commerce.Line
	var duties []commerce.Charge
	tipped := false
	for _, item := range p.Each() {
		quantity, left := readQuantity(item)
		if quantity <= 0 {
			continue
		}
		tipped = tipped || kindOf(item) == commerce.Tip
		duties = append(duties, readDuties(item.Get("duties"), left, currency)...)
		lines = append(lines, commerce.Line{
			ID:        item.Get("id").ID(),
			SKU:       item.Get("sku").Text(),
			Title:     cmp.Or(item.Get("name").Text(), item.Get("title").Text()),
			Quantity:  quantity,
			UnitPrice: item.Get("price").Amount(currency),
			Discount:  left.take(readDiscount(item, "total_discount", currency)),
			Taxes:     readTaxes(item, left, currency),
			Kind:      kindOf(item),
		})
	}
	return lines, duties, tipped
}

func kindOf(item strictjson.Place) commerce.LineKind {
	switch {
	case item.Get("gift_card").Flag():
		return commerce.GiftCard
	case isTip(item):
		return commerce.Tip
	default:
		return commerce.Goods
	}
}

// A tip that the buyer added at checkout can be a line of its own.
func isTip(item strictjson.Place) bool {
	return !item.Get("tip").Missing() || !item.Get("tip_payment_gateway").Missing()
}

// readQuantity tells how many are wanted now and which share of the line's
// original quantity that is. Old API versions do not send current_quantity.
func readQuantity(item strictjson.Place) (int64, share) {
	then := item.Get("quantity").Int()
	now := then
	if q := item.Get("current_quantity"); !q.Missing() {
		now = q.Int()
	}
	if now < 0 || then < 0 {
		item.Get("quantity").Complain("is negative")
	}
	if now >= then {
		return now, all
	}
	return now, share{left: decimal.NewFromInt(now), of: decimal.NewFromInt(then)}
}

// share is how much is left of what there was at checkout.
type share struct{ left, of decimal.Decimal }

var all = share{left: decimal.NewFromInt(1), of: decimal.NewFromInt(1)}

// take gives the share's part of an amount that belongs to the whole. A share
// of nothing takes the amount as it is.
// Discounts, taxes and duties stay in a payload as they were at checkout when
// some of their line is removed or refunded. They shrink in proportion: the
// quotient is exact and then rounded half up to the currency's smallest unit.
// A cent may so go astray between two refunds of one line; the order's total,
// which does not come from here, stays right.
func (s share) take(whole money.Amount) money.Amount {
	digits, err := money.MinorDigits(whole.Currency())
	if err != nil || s.left.Equal(s.of) || s.of.IsZero() {
		return whole
	}
	part := whole.Value().Mul(s.left).DivRound(s.of, int32(digits)) //nolint:gosec // digits is 0 to 4
	return money.New(part, whole.Currency())
}

// readDiscount sums the allocations. A line's own total_discount is "0.00" in
// current API versions even when there are allocations, and is all there is in
// old ones.
func readDiscount(p strictjson.Place, fallback, currency string) money.Amount {
	allocations := p.Get("discount_allocations")
	if allocations.Missing() {
		return p.Get(fallback).OptionalAmount(currency)
	}
	sum := money.Zero(currency)
	for _, a := range allocations.Each() {
		sum = sum.Add(a.Get("amount").Amount(currency))
	}
	return sum
}

func readTaxes(p strictjson.Place, left share, currency string) []commerce.Tax {
	var taxes []commerce.Tax
	for _, t := range p.Get("tax_lines").Each() {
		taxes = append(taxes, commerce.Tax{
			Title:     t.Get("title").Text(),
			Rate:      readRate(t.Get("rate").Value()),
			Amount:    left.take(t.Get("price").Amount(currency)),
			ByChannel: t.Get("channel_liable").Flag(),
		})
	}
	return taxes
}

// readRate reads what is informative only: a rate nobody can read is 0 and no
// reason to leave an order unbooked.
func readRate(v strictjson.Value) decimal.Decimal {
	rate, err := money.ParseDecimal(v.Literal())
	if err != nil {
		return decimal.Zero
	}
	return rate
}

func readDuties(p strictjson.Place, left share, currency string) []commerce.Charge {
	var duties []commerce.Charge
	for _, duty := range p.Each() {
		duties = append(duties, commerce.Charge{
			Title:    "Duties",
			Price:    left.take(duty.Get("shop_money").Get("amount").Amount(currency)),
			Discount: money.Zero(currency),
			Taxes:    readTaxes(duty, left, currency),
		})
	}
	return duties
}

// readCharges reads shipping and additional fees.
func readCharges(p strictjson.Place, currency string) []commerce.Charge {
	var charges []commerce.Charge
	for _, line := range p.Get("shipping_lines").Each() {
		if !line.Get("is_removed").Flag() {
			charges = append(charges, readShipping(line, currency))
		}
	}
	fees := readSet(p.Get("current_total_additional_fees_set"), currency)
	if !fees.IsZero() {
		charges = append(charges, commerce.Charge{Title: "Additional fees", Price: fees, Discount: money.Zero(currency)})
	}
	return charges
}

// readShipping reads one shipping line. When the buyer got a part of it back,
// its price is what is left, its discount is nothing, and its taxes shrink.
func readShipping(p strictjson.Place, currency string) commerce.Charge {
	c := commerce.Charge{
		Title:    cmp.Or(p.Get("title").Text(), "Shipping"),
		Price:    p.Get("price").Amount(currency),
		Discount: readDiscount(p, "total_discount", currency),
	}
	if net := p.Get("discounted_price"); !net.Missing() && p.Get("discount_allocations").Missing() {
		c.Discount = c.Price.Sub(net.Amount(currency))
	}
	left := all
	net := c.Price.Sub(c.Discount)
	if set := p.Get("current_discounted_price_set"); !set.Missing() && readSet(set, currency).Cmp(net) < 0 {
		c.Price, c.Discount = readSet(set, currency), money.Zero(currency)
		left = share{left: c.Price.Value(), of: net.Value()}
	}
	c.Taxes = readTaxes(p, left, currency)
	return c
}

// readSet reads the shop's side of a pair of amounts.
func readSet(set strictjson.Place, currency string) money.Amount {
	if set.Missing() {
		return money.Zero(currency)
	}
	return set.Get("shop_money").Get("amount").OptionalAmount(currency)
}
