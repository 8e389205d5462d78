package mapping

import (
	"slices"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/shopspring/decimal"
)

// InvoiceOf says which part of an order an invoice bills.
type InvoiceOf struct {
	Key    string
	At     time.Time
	Pieces Pieces
	// Remainder says that it carries what belongs to no piece: shipping, duties,
	// fees, a tip and rounding, with their taxes. The first invoice does.
	Remainder bool
}

// SalesInvoice maps a part of an order to a Sales Invoice against its submitted
// Sales Order, with the total that ERPNext must reach. The invoices of an order
// add up to it exactly, account by account (with tax rows by rate, up to what
// rounding moves between the tax account and the round-off account).
//
// make_sales_invoice is not used: it copies `Actual` rows whole into every
// partial invoice.
func (b Books) SalesInvoice(o commerce.Order, so erpnext.Stored, bill Bill, of InvoiceOf) (erpnext.SalesInvoice, decimal.Decimal, error) {
	date := b.Date(of.At)
	si := erpnext.SalesInvoice{
		Customer: so.Customer, Company: b.Company, PostingDate: date, PostingTime: "00:00:00", SetPostingTime: true, DueDate: date,
		Currency: so.Currency, ConversionRate: so.ConversionRate, SellingPriceList: so.SellingPriceList, PoNo: so.PoNo,
		Title: cut(o.Name, maxText), CostCenter: b.CostCenter, CustomerAddress: so.CustomerAddress, ShippingAddressName: so.ShippingAddressName,
		IgnorePricingRule: true, DisableRoundedTotal: true, IgnoreTermsTemplate: true,
		AllocateAdvances: true, OnlyAllocated: true, OutstandingForSelf: true, Key: of.Key,
	}
	m := &invoiceMap{books: b, bill: bill, so: so, digits: b.digits(so.Currency)}
	for i, l := range bill.Lines {
		if l.pieces() {
			m.addLine(i, of.Pieces[l.ID])
		}
	}
	if of.Remainder {
		m.addRemainder()
	}
	m.copyRates()
	si.Items, si.Taxes = m.items, m.taxRows()
	if len(si.Taxes) == 0 {
		si.Taxes = b.noTaxes()
	}
	if !m.discount.IsZero() {
		si.ApplyDiscountOn, si.DiscountAmount = "Net Total", erpnext.Num(m.discount)
	}
	if b.Extra.Invoice != nil {
		values, err := b.Extra.Invoice(o)
		if err != nil {
			return si, decimal.Zero, err
		}
		si.Extra = b.fields(values)
	}
	return si, m.total, nil
}

// invoiceMap builds an invoice's rows and keeps the total that they must have.
type invoiceMap struct {
	books    Books
	bill     Bill
	so       erpnext.Stored
	digits   int32
	items    []erpnext.SalesInvoiceItem
	shares   []Share // what is booked as amounts, by account
	rates    []erpnext.TaxRow
	titles   map[string]string // of accounts that the Sales Order has no row of
	discount decimal.Decimal
	total    decimal.Decimal
}

// addLine adds pieces of a line with their part of its taxes.
func (m *invoiceMap) addLine(i int, spans []Span) {
	l := m.bill.Lines[i]
	for _, p := range m.bill.portions(i, m.so, spans) {
		m.addRow(p)
	}
	less := partOf(l.Discount, spans, l.Qty, m.digits)
	m.discount, m.total = m.discount.Add(less), m.total.Sub(less)
	if m.bill.Rated && m.bill.Inclusive {
		return // the tax is in the rates
	}
	for _, t := range l.Taxes {
		part := partOf(t.Amount, spans, l.Qty, m.digits)
		m.total = m.total.Add(part)
		if !m.bill.Rated {
			m.shares = added(m.shares, t.Account, part)
		}
	}
}

func (m *invoiceMap) addRow(p portion) {
	m.total = m.total.Add(p.amount())
	m.items = append(m.items, erpnext.SalesInvoiceItem{
		ItemCode: p.row.ItemCode, ItemName: p.row.ItemName, Description: p.row.Description, Qty: erpnext.Num(decimal.NewFromInt(p.qty)),
		UOM: p.row.UOM, ConversionFactor: p.row.ConversionFactor, Rate: p.row.Rate, Warehouse: p.row.Warehouse, CostCenter: p.row.CostCenter,
		ItemTaxTemplate: p.row.ItemTaxTemplate, SalesOrder: m.so.Name, SoDetail: p.row.Name,
	})
}

// addRemainder adds all of the order that is in no piece: the order less all
// pieces.
func (m *invoiceMap) addRemainder() {
	whole := &invoiceMap{books: m.books, bill: m.bill, so: m.so, digits: m.digits}
	for i, l := range m.bill.Lines {
		if l.pieces() {
			whole.addLine(i, []Span{{0, l.Qty}})
		}
	}
	before := m.total
	for _, p := range m.bill.loose(m.so) {
		m.addRow(p)
	}
	m.total = before.Add(m.so.GrandTotal.Sub(whole.total))
	for _, row := range m.so.Taxes {
		if row.ChargeType == actual {
			m.shares = added(m.shares, row.AccountHead, row.TaxAmount.Decimal)
		}
	}
	for _, s := range whole.shares {
		m.shares = added(m.shares, s.Account, s.Amount.Neg())
	}
}

// copyRates takes the rows with rates over as they are.
func (m *invoiceMap) copyRates() {
	for _, row := range m.so.Taxes {
		if row.ChargeType != actual {
			m.rates = append(m.rates, erpnext.TaxRow{
				ChargeType: row.ChargeType, AccountHead: row.AccountHead, Description: row.Description, Rate: row.Rate,
				IncludedInPrintRate: row.IncludedInPrintRate, CostCenter: row.CostCenter,
			})
		}
	}
}

// taxRows are the rows with rates and one row per account, in the order of the
// Sales Order's.
func (m *invoiceMap) taxRows() []erpnext.TaxRow {
	list := slices.Clone(m.rates)
	for _, s := range m.shares {
		if !s.Amount.IsZero() {
			list = append(list, m.books.amountRow(m.describe(s.Account), s))
		}
	}
	return list
}

func (b Books) amountRow(description string, s Share) erpnext.TaxRow {
	return erpnext.TaxRow{
		ChargeType: actual, AccountHead: s.Account, Description: cut(firstOf(description, "Charge"), maxText), TaxAmount: erpnext.Num(s.Amount), CostCenter: b.CostCenter,
	}
}

// describe is what the Sales Order calls the row of an account.
func (m *invoiceMap) describe(account string) string {
	for _, row := range m.so.Taxes {
		if row.ChargeType == actual && row.AccountHead == account {
			return row.Description
		}
	}
	if account == m.books.RoundOffAccount {
		return "Rounding"
	}
	return m.titles[account]
}

// Rounded adds to the tax rows what is missing to the wanted total, on the
// round-off account: where ERPNext computes tax from rates, it rounds once a
// document. More than a few minor units is refused.
func (b Books) Rounded(taxes []erpnext.TaxRow, missing decimal.Decimal, currency string, rows int) ([]erpnext.TaxRow, error) {
	limit := decimal.New(int64(max(5, rows)), -b.digits(currency))
	switch {
	case missing.Abs().GreaterThan(limit):
		return nil, &fault.Error{Kind: fault.Mismatch, Op: "mapping", Cause: "the invoice does not add up", Hint: "ERPNext's total is off by " + missing.String()}
	case b.RoundOffAccount == "":
		return nil, unmapped("round-off account", "accounts.round_off")
	}
	list := slices.Clone(taxes)
	for i := range list {
		if list[i].ChargeType == actual && list[i].AccountHead == b.RoundOffAccount {
			list[i].TaxAmount = erpnext.Num(list[i].TaxAmount.Add(missing))
			return list, nil
		}
	}
	return append(list, b.amountRow("Rounding", Share{b.RoundOffAccount, missing})), nil
}
