package shopify

import (
	"cmp"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// shippingRefund is the kind of an adjustment that gives shipping back.
const shippingRefund = "shipping_refund"

// refundPurse is the money of a refund that comes without its order: its own
// amounts name it. Without any the purse is empty, and no amount is read.
func (s *Source) refundPurse(p strictjson.Place) purse {
	side := "shop_money"
	if s.buyersMoney {
		side = "presentment_money"
	}
	for _, list := range []struct{ name, set string }{
		{"refund_line_items", "subtotal_set"}, {"order_adjustments", "amount_set"}, {"refund_shipping_lines", "subtotal_amount_set"},
	} {
		for _, entry := range p.Get(list.name).Each() {
			if money := entry.Get(list.set).Get(side); !money.Missing() {
				return purse{currency: money.Get("currency_code").Currency(), buyers: s.buyersMoney}
			}
		}
	}
	for _, t := range p.Get("transactions").Each() {
		if currency := t.Get("currency"); !currency.Missing() && !s.buyersMoney {
			return purse{currency: currency.Currency()}
		}
	}
	return purse{}
}

// readCredit reads what a refund takes back or forgives. Amounts of its lines
// are JSON numbers, taken by their text.
func readCredit(p strictjson.Place, m purse, received time.Time) commerce.Credit {
	c := commerce.Credit{
		ID: p.Get("id").ID(), OrderID: p.Get("order_id").ID(), At: firstTime(p.Get("processed_at").Time(), p.Get("created_at").Time(), received),
	}
	if !strictjson.PlainID(c.ID) {
		return commerce.Credit{}
	}
	for _, line := range p.Get("refund_line_items").Each() {
		if !line.Get("quantity").Missing() {
			c.Lines = append(c.Lines, readCreditedLine(line, m))
		}
	}
	if m.currency != "" {
		c.Shipping, c.Others = readCreditedAmounts(p, m)
	}
	return c
}

func readCreditedLine(p strictjson.Place, m purse) commerce.CreditedLine {
	restock := p.Get("restock_type").Text()
	line := commerce.CreditedLine{
		LineID: cmp.Or(p.Get("line_item_id").ID(), p.Get("line_item").Get("id").ID()), Quantity: p.Get("quantity").Int(),
		Restocked: restock != "" && restock != "no_restock", Unshipped: restock == "cancel", Subtotal: money.Zero(m.currency), Tax: money.Zero(m.currency),
	}
	if subtotal := m.place(p, "subtotal"); m.currency != "" && !subtotal.Missing() {
		line.Priced, line.Subtotal, line.Tax = true, subtotal.Amount(m.currency), m.optional(p, "total_tax")
	}
	return line
}

// readCreditedAmounts reads what was given back without goods. An adjustment is
// negative when the buyer gets money. New API versions tell shipping twice: as
// a line of its own, and as an adjustment.
func readCreditedAmounts(p strictjson.Place, m purse) (shipping, others []commerce.CreditedAmount) {
	for _, line := range p.Get("refund_shipping_lines").Each() {
		shipping = append(shipping, commerce.CreditedAmount{
			Title:  cmp.Or(line.Get("shipping_line").Get("title").Text(), "Shipping"),
			Amount: m.set(line.Get("subtotal_amount_set")), Tax: m.set(line.Get("tax_amount_set")),
		})
	}
	lines := len(shipping) > 0
	for _, a := range p.Get("order_adjustments").Each() {
		amount := commerce.CreditedAmount{Amount: m.amount(a, "amount").Neg(), Tax: m.optional(a, "tax_amount").Neg()}
		switch isShipping := a.Get("kind").Text() == shippingRefund; {
		case isShipping && lines:
		case isShipping:
			amount.Title = "Shipping"
			shipping = append(shipping, amount)
		default:
			amount.Title = cmp.Or(a.Get("reason").Text(), "Refund discrepancy")
			others = append(others, amount)
		}
	}
	return shipping, others
}
