package mapping

import (
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/shopspring/decimal"
)

// ruleOf is the rule that a tax falls under, or one of TaxAccount.
func (m *orderMap) ruleOf(t commerce.Tax) TaxRule {
	country := m.country()
	for _, r := range m.books.Taxes {
		if fits(r.Title, t.Title) && (r.Rate == nil || r.Rate.Equal(t.Rate)) && (r.Country == "" || strings.EqualFold(r.Country, country)) {
			return r
		}
	}
	return TaxRule{Account: m.books.TaxAccount}
}

// country is where the goods go, or who pays for them lives.
func (m *orderMap) country() string {
	for _, a := range []*commerce.Address{m.order.ShipTo, m.order.BillTo} {
		if a != nil && a.CountryCode != "" {
			return a.CountryCode
		}
	}
	return ""
}

// addTaxes books the taxes as they were charged.
func (m *orderMap) addTaxes() error {
	if m.books.TaxRows == TaxesOnNetTotal {
		return m.addRates()
	}
	var all []commerce.Tax
	for _, l := range m.order.Lines {
		all = append(all, m.asked(l.Taxes)...)
	}
	for _, c := range slices.Concat(m.order.Shipping, m.order.Duties, m.order.Fees) {
		all = append(all, m.asked(c.Taxes)...)
	}
	return m.addActual(all)
}

// channelAsks reports whether the taxes that a sales channel pays itself are in
// the buyer's total: with some channels they are and with others not, and what
// adds up to the total is what happened. Prices that contain tax contain all.
func channelAsks(o commerce.Order) bool {
	net, own, channel := o.Tip.Value(), decimal.Zero, decimal.Zero
	add := func(amount decimal.Decimal, taxes []commerce.Tax) {
		net = net.Add(amount)
		for _, t := range taxes {
			if t.ByChannel {
				channel = channel.Add(t.Amount.Value())
			} else {
				own = own.Add(t.Amount.Value())
			}
		}
	}
	for _, l := range o.Lines {
		add(l.UnitPrice.Value().Mul(decimal.NewFromInt(l.Quantity)).Sub(l.Discount.Value()), l.Taxes)
	}
	for _, c := range slices.Concat(o.Shipping, o.Duties, o.Fees) {
		add(c.Price.Value().Sub(c.Discount.Value()), c.Taxes)
	}
	rest := o.Total.Value().Sub(net).Sub(own)
	return o.TaxesIncluded || !rest.Abs().LessThan(rest.Sub(channel).Abs())
}

// asked are the taxes that the buyer was asked for.
func (m *orderMap) asked(taxes []commerce.Tax) []commerce.Tax {
	if m.channelAsks {
		return taxes
	}
	var own []commerce.Tax
	for _, t := range taxes {
		if !t.ByChannel {
			own = append(own, t)
		}
	}
	return own
}

func (m *orderMap) addActual(taxes []commerce.Tax) error {
	for _, t := range taxes {
		if err := m.addCharge(t.Amount.Value(), charge{"tax account", "accounts.tax", m.ruleOf(t).Account, firstOf(t.Title, "Tax")}); err != nil {
			return err
		}
	}
	return nil
}

// ratedNet is an item row's part of what tax rows with rates are computed from.
type ratedNet struct {
	net   decimal.Decimal
	taxes []commerce.Tax
}

func (m *orderMap) rate(net decimal.Decimal, taxes []commerce.Tax) {
	m.rated = append(m.rated, ratedNet{net, m.asked(taxes)})
}

// template is the Item Tax Template of an item's row, where rates are asked for.
func (m *orderMap) template(taxes []commerce.Tax) string {
	if m.books.TaxRows != TaxesOnNetTotal {
		return ""
	}
	taxes = m.asked(taxes)
	for _, t := range taxes {
		if template := m.ruleOf(t).ItemTaxTemplate; template != "" {
			return template
		}
	}
	if len(taxes) == 0 {
		return m.untaxed()
	}
	return ""
}

// untaxed is the Item Tax Template of what is not taxed: that of a rule for the
// rate 0. Beside taxed items it is needed, or ERPNext taxes them too.
func (m *orderMap) untaxed() string {
	for _, r := range m.books.Taxes {
		if r.Rate != nil && r.Rate.IsZero() && fits(r.Title, "") && (r.Country == "" || strings.EqualFold(r.Country, m.country())) {
			return r.ItemTaxTemplate
		}
	}
	return ""
}

// rateRow is one `On Net Total` row: a rate on an account, or the rates that
// the items' templates have for an account.
type rateRow struct {
	account string
	rate    string // "" = by template
}

// rowOf is the row that a tax falls under. An Item Tax Template gives its rates
// by account, so that one account has one row however many rates there are.
func (m *orderMap) rowOf(t commerce.Tax) rateRow {
	rule := m.ruleOf(t)
	if rule.ItemTaxTemplate != "" {
		return rateRow{account: rule.Account}
	}
	return rateRow{rule.Account, t.Rate.String()}
}

// addRates adds one `On Net Total` row per account and rate, and the taxes of
// what is no item as `Actual` rows. Items of one order with different rates
// need an Item Tax Template each, which overrides the row's rate.
func (m *orderMap) addRates() error {
	seen := map[rateRow]bool{}
	for _, t := range m.itemTaxes() {
		row := m.rowOf(t)
		if seen[row] {
			continue
		}
		seen[row] = true
		if err := m.addRate(t, row); err != nil {
			return err
		}
	}
	return m.addActual(m.chargeTaxes())
}

func (m *orderMap) addRate(t commerce.Tax, row rateRow) error {
	switch {
	case row.account == "":
		return unmapped("tax account", "accounts.tax")
	case !m.uniform(row) && !m.templated():
		return &fault.Error{
			Kind: fault.Unmapped, Op: "mapping", Cause: "items of one order are taxed at different rates",
			Hint: "give each rate its item_tax_template under taxes in the mapping sheet (a rule with rate: 0 has that of items without tax), " +
				"or set orders.taxes to actual, then replay",
		}
	}
	m.so.Taxes = append(m.so.Taxes, erpnext.TaxRow{
		ChargeType: "On Net Total", AccountHead: row.account, Description: cut(firstOf(t.Title, "Tax"), maxText), Rate: erpnext.Num(t.Rate.Shift(2)),
		IncludedInPrintRate: erpnext.Check(m.order.TaxesIncluded), CostCenter: m.books.CostCenter,
	})
	if !m.order.TaxesIncluded {
		m.sum = m.sum.Add(m.computed(row))
	}
	return nil
}

// templated reports whether every item row has an Item Tax Template, so that it
// does not matter which rates the rows have.
func (m *orderMap) templated() bool {
	for _, r := range m.rated {
		if m.template(r.taxes) == "" {
			return false
		}
	}
	return true
}

// itemTaxes are the taxes on item rows.
func (m *orderMap) itemTaxes() []commerce.Tax {
	var list []commerce.Tax
	for _, r := range m.rated {
		list = append(list, r.taxes...)
	}
	return list
}

// chargeTaxes are the taxes on what is no item row.
func (m *orderMap) chargeTaxes() []commerce.Tax {
	var list []commerce.Tax
	charges := slices.Concat(m.order.Duties, m.order.Fees)
	if !m.asItem() {
		charges = append(charges, m.order.Shipping...)
	}
	for _, c := range charges {
		list = append(list, m.asked(c.Taxes)...)
	}
	return list
}

// uniform reports whether every item row is taxed by this row.
func (m *orderMap) uniform(row rateRow) bool {
	for _, r := range m.rated {
		if !slices.ContainsFunc(r.taxes, func(t commerce.Tax) bool { return m.rowOf(t) == row }) {
			return false
		}
	}
	return true
}

// computed is what ERPNext will make of an On Net Total row: the items' nets at
// its rate, rounded once (taxes_and_totals.py, calculate_taxes). A site that
// rounds otherwise differs by a cent, which posting sees and Adjust takes back.
func (m *orderMap) computed(row rateRow) decimal.Decimal {
	sum := decimal.Zero
	for _, r := range m.rated {
		for _, t := range r.taxes {
			if m.rowOf(t) == row {
				sum = sum.Add(r.net.Mul(t.Rate))
			}
		}
	}
	return sum.RoundBank(m.books.Precision)
}

// Adjusted are the books for an order whose draft came to another total than
// the shop's because the site rounds tax rows with rates in its own way, and
// false when the difference is not that.
func (b Books) Adjusted(o commerce.Order, got decimal.Decimal) (Books, bool) {
	off := o.Total.Value().Sub(got)
	m := &orderMap{books: b, order: o, digits: b.digits(o.Currency)}
	if b.TaxRows != TaxesOnNetTotal || !b.Adjust.IsZero() || off.IsZero() || off.Abs().GreaterThan(m.residualLimit()) {
		return b, false
	}
	b.Adjust = off
	return b, true
}
