package shopify

import (
	"cmp"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
	"github.com/shopspring/decimal"
)

// readLines reads what is still wanted, the duties on it, and whether the tip
// stands among the lines.
func readLines(p strictjson.Place, m purse) ([]commerce.Line, []commerce.Charge, bool) {
	var lines []commerce.Line
	var duties []commerce.Charge
	tipped := false
	for _, item := range p.Each() {
		quantity, left := readQuantity(item)
		if quantity <= 0 {
			continue
		}
		line := readLine(item, left, m)
		line.Quantity = quantity
		tipped = tipped || line.Kind == commerce.Tip
		duties = append(duties, readDuties(item.Get("duties"), left, m)...)
		lines = append(lines, line)
	}
	return lines, duties, tipped
}

func readLine(item strictjson.Place, left share, m purse) commerce.Line {
	return commerce.Line{
		ID:         item.Get("id").ID(),
		Kind:       kindOf(item),
		SKU:        strings.TrimSpace(item.Get("sku").Text()), // ERPNext trims its names
		VariantID:  item.Get("variant_id").ID(),
		ProductID:  item.Get("product_id").ID(),
		Vendor:     item.Get("vendor").Text(),
		Title:      cmp.Or(item.Get("name").Text(), item.Get("title").Text()),
		UnitPrice:  m.amount(item, "price"),
		Discount:   left.take(readDiscount(item, "total_discount", m)),
		Taxes:      readTaxes(item, left, m),
		BundleID:   item.Get("sales_line_item_group_id").ID(),
		Properties: readPairs(item.Get("properties")),
	}
}

// readPairs reads a list of names and values: what a buyer chose for a line, or
// a theme noted on the order.
func readPairs(p strictjson.Place) map[string]string {
	var pairs map[string]string
	for _, pair := range p.Each() {
		name, value := pair.Get("name").Text(), pair.Get("value").Value()
		if name == "" {
			continue
		}
		if pairs == nil {
			pairs = map[string]string{}
		}
		pairs[name] = cmp.Or(value.Text(), value.Literal())
	}
	return pairs
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
func readDiscount(p strictjson.Place, fallback string, m purse) money.Amount {
	allocations := p.Get("discount_allocations")
	if allocations.Missing() {
		return m.optional(p, fallback)
	}
	sum := money.Zero(m.currency)
	for _, a := range allocations.Each() {
		sum = sum.Add(m.amount(a, "amount"))
	}
	return sum
}

func readTaxes(p strictjson.Place, left share, m purse) []commerce.Tax {
	var taxes []commerce.Tax
	for _, t := range p.Get("tax_lines").Each() {
		taxes = append(taxes, commerce.Tax{
			Title:     t.Get("title").Text(),
			Rate:      readRate(t.Get("rate").Value()),
			Amount:    left.take(m.amount(t, "price")),
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

func readDuties(p strictjson.Place, left share, m purse) []commerce.Charge {
	var duties []commerce.Charge
	for _, duty := range p.Each() {
		duties = append(duties, commerce.Charge{
			Title:    "Duties",
			Code:     duty.Get("harmonized_system_code").Text(),
			Price:    left.take(m.of(duty).Amount(m.currency)),
			Discount: money.Zero(m.currency),
			Taxes:    readTaxes(duty, left, m),
		})
	}
	return duties
}

func readShippingLines(p strictjson.Place, m purse) []commerce.Charge {
	var charges []commerce.Charge
	for _, line := range p.Get("shipping_lines").Each() {
		if !line.Get("is_removed").Flag() {
			charges = append(charges, readShipping(line, m))
		}
	}
	return charges
}

// readFees reads the additional fees of the sale, as one.
func readFees(p strictjson.Place, m purse) []commerce.Charge {
	fees := m.set(p.Get("current_total_additional_fees_set"))
	if fees.IsZero() {
		return nil
	}
	return []commerce.Charge{{Title: "Additional fees", Price: fees, Discount: money.Zero(m.currency)}}
}

// readShipping reads one shipping line. When the buyer got a part of it back,
// its price is what is left, its discount is nothing, and its taxes shrink.
func readShipping(p strictjson.Place, m purse) commerce.Charge {
	c := commerce.Charge{
		Title:    cmp.Or(p.Get("title").Text(), "Shipping"),
		Code:     p.Get("code").Text(),
		Price:    m.amount(p, "price"),
		Discount: readDiscount(p, "total_discount", m),
	}
	if net := m.place(p, "discounted_price"); !net.Missing() && p.Get("discount_allocations").Missing() {
		c.Discount = c.Price.Sub(net.Amount(m.currency))
	}
	left := all
	net := c.Price.Sub(c.Discount)
	if set := p.Get("current_discounted_price_set"); !set.Missing() && m.set(set).Cmp(net) < 0 {
		c.Price, c.Discount = m.set(set), money.Zero(m.currency)
		left = share{left: c.Price.Value(), of: net.Value()}
	}
	c.Taxes = readTaxes(p, left, m)
	return c
}
