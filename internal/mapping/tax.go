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
	country := ""
	for _, a := range []*commerce.Address{m.order.ShipTo, m.order.BillTo} {
		if a != nil && country == "" {
			country = a.CountryCode
		}
	}
	for _, r := range m.books.Taxes {
		if fits(r.Title, t.Title) && (r.Rate == nil || r.Rate.Equal(t.Rate)) && (r.Country == "" || strings.EqualFold(r.Country, country)) {
			return r
		}
	}
	return TaxRule{Account: m.books.TaxAccount}
}

// addTaxes books the taxes as they were charged. Taxes that a sales channel
// pays itself are in the buyer's total with some channels and not with others:
// what adds up to the total is what happened.
func (m *orderMap) addTaxes() error {
	if m.books.TaxRows == TaxesOnNetTotal {
		return m.addRates()
	}
	return m.addActual(m.taxes(m.channelPays()))
}

// channelPays reports whether the order's total is without the taxes that the
// sales channel pays.
func (m *orderMap) channelPays() bool {
	all, own := sumTaxes(m.taxes(false)), sumTaxes(m.taxes(true))
	return !own.Equal(all) && m.residual(own).Abs().LessThan(m.residual(all).Abs())
}

func (m *orderMap) addActual(taxes []commerce.Tax) error {
	for _, t := range taxes {
		if err := m.addCharge(t.Amount.Value(), charge{"tax account", "accounts.tax", m.ruleOf(t).Account, firstOf(t.Title, "Tax")}); err != nil {
			return err
		}
	}
	return nil
}

// taxes are all taxes of the order, or those that the merchant owes.
func (m *orderMap) taxes(ownOnly bool) []commerce.Tax {
	var list []commerce.Tax
	add := func(taxes []commerce.Tax) {
		for _, t := range taxes {
			if !ownOnly || !t.ByChannel {
				list = append(list, t)
			}
		}
	}
	for _, l := range m.order.Lines {
		add(l.Taxes)
	}
	for _, c := range slices.Concat(m.order.Shipping, m.order.Duties, m.order.Fees) {
		add(c.Taxes)
	}
	return list
}

// ratedNet is an item row's part of what tax rows with rates are computed from.
type ratedNet struct {
	net   decimal.Decimal
	taxes []commerce.Tax
}

func (m *orderMap) rate(net decimal.Decimal, taxes []commerce.Tax) {
	m.rated = append(m.rated, ratedNet{net, taxes})
}

// template is the Item Tax Template of an item's row, where rates are asked for.
func (m *orderMap) template(taxes []commerce.Tax) string {
	if m.books.TaxRows != TaxesOnNetTotal {
		return ""
	}
	for _, t := range taxes {
		if template := m.ruleOf(t).ItemTaxTemplate; template != "" {
			return template
		}
	}
	return ""
}

// rateRow is one `On Net Total` row: a rate on an account.
type rateRow struct {
	account string
	rate    string
}

func (m *orderMap) rowOf(t commerce.Tax) rateRow {
	return rateRow{m.ruleOf(t).Account, t.Rate.String()}
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
	case !m.uniform(row) && m.ruleOf(t).ItemTaxTemplate == "":
		return &fault.Error{
			Kind: fault.Unmapped, Op: "mapping", Cause: "items of one order are taxed at different rates",
			Hint: "give each rate its item_tax_template under taxes in the mapping sheet, or set orders.taxes to actual, then replay",
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
		list = append(list, c.Taxes...)
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
