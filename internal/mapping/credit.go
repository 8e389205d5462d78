package mapping

import (
	"slices"
	"strconv"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// Invoiced is a submitted invoice of the order, with what credit notes have
// left of its rows.
type Invoiced struct {
	erpnext.Stored
	Whole    bool             // it bills the whole order
	Returned map[string]int64 // by row
}

func (i Invoiced) left(row erpnext.StoredRow) int64 { return row.Qty.IntPart() - i.Returned[row.Name] }

// CreditNote is a credit note with the total that ERPNext must reach, which is
// negative, and what it takes back of the invoice's rows.
type CreditNote struct {
	erpnext.SalesInvoice
	Total    decimal.Decimal
	Returned map[string]int64
}

// CreditNotes maps a refund to credit notes, one per invoice that it takes
// goods back from: rows with the invoice's rates, amounts without goods as rows
// of quantity 0, taxes as the amounts that the shop gave back, whatever they are
// in the invoice. The first one carries the shipping and the differences. Goods that were not invoiced are not credited.
func (b Books) CreditNotes(c commerce.Credit, so erpnext.Stored, bill Bill, invoices []Invoiced, key string) ([]CreditNote, error) {
	var notes []CreditNote
	lines := slices.Clone(c.Lines)
	for n := range invoices {
		m := &creditMap{invoiceMap: invoiceMap{books: b, bill: bill, so: so, digits: b.digits(so.Currency)}, credit: c, invoice: invoices[n], returned: map[string]int64{}}
		for i := range lines {
			m.takeLine(&lines[i])
		}
		if len(m.items) > 0 {
			notes = append(notes, m.note(noteKey(key, len(notes))))
		}
	}
	if len(invoices) == 0 {
		return notes, nil
	}
	return b.withAmounts(c, so, bill, invoices[0], notes, key)
}

// noteKey names the second and further credit notes of one refund.
func noteKey(key string, n int) string {
	if n == 0 {
		return key
	}
	return key + "/" + strconv.Itoa(n+1)
}

// withAmounts adds what is given back without goods to the first credit note.
func (b Books) withAmounts(c commerce.Credit, so erpnext.Stored, bill Bill, first Invoiced, notes []CreditNote, key string) ([]CreditNote, error) {
	m := &creditMap{invoiceMap: invoiceMap{books: b, bill: bill, so: so, digits: b.digits(so.Currency)}, credit: c, invoice: first, returned: map[string]int64{}}
	for _, l := range c.Lines {
		if err := m.addTip(l); err != nil {
			return nil, err
		}
	}
	for _, a := range c.Shipping {
		if err := m.addShipping(a); err != nil {
			return nil, err
		}
	}
	for _, a := range c.Others {
		if err := m.addOther(a); err != nil {
			return nil, err
		}
	}
	switch {
	case m.empty():
		return notes, nil
	case len(notes) == 0 && !m.total.IsPositive():
		return nil, nil // nothing that a credit note could give
	case len(notes) == 0:
		if len(m.items) == 0 { // ERPNext wants an item
			m.items = append(m.items, m.amountOnly(b.FallbackItem, "Refund", decimal.Zero, ""))
		}
		return []CreditNote{m.note(key)}, nil
	}
	notes[0].Items = append(notes[0].Items, m.items...)
	notes[0].Total = notes[0].Total.Sub(m.total)
	for _, s := range m.shares {
		notes[0].Taxes = b.addTo(notes[0].Taxes, Share{s.Account, s.Amount.Neg()}, m.describe(s.Account))
	}
	return notes, nil
}

func (b Books) addTo(rows []erpnext.TaxRow, s Share, description string) []erpnext.TaxRow {
	for i := range rows {
		if rows[i].ChargeType == actual && rows[i].AccountHead == s.Account {
			rows[i].TaxAmount = erpnext.Num(rows[i].TaxAmount.Add(s.Amount))
			return rows
		}
	}
	return append(rows, b.amountRow(description, s))
}

// creditMap builds a credit note. Its amounts are what the buyer gets: they
// turn negative in ERPNext's document.
type creditMap struct {
	invoiceMap
	credit   commerce.Credit
	invoice  Invoiced
	returned map[string]int64
}

func (m *creditMap) empty() bool {
	return len(m.items) == 0 && !slices.ContainsFunc(m.shares, func(s Share) bool { return !s.Amount.IsZero() })
}

// note is the credit note of what was gathered.
func (m *creditMap) note(key string) CreditNote {
	date := max(m.books.Date(m.credit.At), m.invoice.PostingDate)
	for i := range m.shares {
		m.shares[i].Amount = m.shares[i].Amount.Neg()
	}
	taxes := m.taxRows()
	if len(taxes) == 0 {
		taxes = m.books.noTaxes()
	}
	return CreditNote{Total: m.total.Neg(), Returned: m.returned, SalesInvoice: erpnext.SalesInvoice{
		Customer: m.so.Customer, Company: m.books.Company, PostingDate: date, PostingTime: "23:59:59", SetPostingTime: true, DueDate: date,
		Currency: m.so.Currency, ConversionRate: m.invoice.ConversionRate, SellingPriceList: m.so.SellingPriceList, DebitTo: m.invoice.DebitTo,
		PoNo: m.so.PoNo, CostCenter: m.books.CostCenter, CustomerAddress: m.so.CustomerAddress,
		IgnorePricingRule: true, DisableRoundedTotal: true, IgnoreTermsTemplate: true,
		IsReturn: true, ReturnAgainst: m.invoice.Name, OutstandingForSelf: true,
		Items: m.items, Taxes: taxes, Key: key,
	}}
}

// takeLine takes what this invoice has of a refunded line, and leaves the rest
// of it to the next.
func (m *creditMap) takeLine(l *commerce.CreditedLine) {
	i := slices.IndexFunc(m.bill.Lines, func(x BillLine) bool { return x.ID == l.LineID && x.pieces() })
	if i < 0 || l.Quantity <= 0 || l.Unshipped && !m.invoice.Whole {
		return // what never left was not invoiced with what did
	}
	var taken []invoicedPortion
	qty, before := int64(0), int64(0)
	for _, row := range m.rowsOfLine(i) {
		before += m.invoice.Returned[row.Name]
		if n := min(m.invoice.left(row)-m.returned[row.Name], l.Quantity-qty); n > 0 {
			taken, qty = append(taken, invoicedPortion{row, n}), qty+n
		}
	}
	if qty == 0 {
		return
	}
	share := *l
	if l.Priced {
		part := func(a decimal.Decimal) decimal.Decimal { return partOf(a, []Span{{0, qty}}, l.Quantity, m.digits) }
		share.Subtotal, share.Tax = money.New(part(l.Subtotal.Value()), l.Subtotal.Currency()), money.New(part(l.Tax.Value()), l.Tax.Currency())
		l.Subtotal, l.Tax = l.Subtotal.Sub(share.Subtotal), l.Tax.Sub(share.Tax)
	}
	l.Quantity -= qty
	m.creditLine(i, share, taken, Span{before, before + qty})
}

// invoicedPortion is a number of pieces of an invoice's row.
type invoicedPortion struct {
	row erpnext.StoredRow
	qty int64
}

// rowsOfLine are the invoice's rows of the bill's i-th line.
func (m *creditMap) rowsOfLine(i int) []erpnext.StoredRow {
	var rows []erpnext.StoredRow
	for _, row := range m.invoice.Items {
		if slices.ContainsFunc(m.bill.rowsOf(i, m.so), func(r erpnext.StoredRow) bool { return r.Name == row.SoDetail }) {
			rows = append(rows, row)
		}
	}
	return rows
}

// creditLine adds the rows of a refunded line and its taxes. A line of which
// nothing is given back has no row.
func (m *creditMap) creditLine(i int, l commerce.CreditedLine, taken []invoicedPortion, span Span) {
	bl := m.bill.Lines[i]
	value, qty := decimal.Zero, int64(0)
	for _, p := range taken {
		value, qty = value.Add(p.row.Rate.Mul(decimal.NewFromInt(p.qty))), qty+p.qty
	}
	net, tax := value.Sub(partOf(bl.Discount, []Span{span}, bl.Qty, m.digits)), partOf(sumShares(bl.Taxes), []Span{span}, bl.Qty, m.digits)
	if m.bill.Rated && m.bill.Inclusive {
		net = net.Sub(tax)
	}
	if l.Priced {
		net, tax = l.Subtotal.Value(), l.Tax.Value()
		if m.bill.Inclusive {
			net = net.Sub(tax)
		}
	}
	if net.IsZero() && tax.IsZero() {
		return
	}
	m.addReturned(taken, qty, value, net)
	m.addTax(tax, bl.Taxes)
}

// addReturned adds rows that are worth net. ERPNext wants no rate above the
// invoice's: what is beyond is a row of its own, and cents are rounding.
func (m *creditMap) addReturned(taken []invoicedPortion, qty int64, value, net decimal.Decimal) {
	off := net.Sub(value)
	limit := decimal.New(qty, -m.digits)
	if off.LessThan(limit.Neg()) {
		m.addCheaper(taken, qty, net)
		return
	}
	for _, p := range taken {
		m.returnRow(p, p.row.Rate.Decimal)
	}
	switch {
	case off.IsZero():
	case off.GreaterThan(limit):
		m.total = m.total.Add(off)
		m.items = append(m.items, m.amountOnly(taken[0].row.ItemCode, "Refund beyond the price: "+taken[0].row.ItemName, off, taken[0].row.IncomeAccount))
	default:
		m.total = m.total.Add(off)
		m.shares = added(m.shares, m.books.RoundOffAccount, off)
	}
}

// addCheaper adds rows at rates that make the net.
func (m *creditMap) addCheaper(taken []invoicedPortion, qty int64, net decimal.Decimal) {
	parts := split(net, qty, m.digits)
	for _, p := range taken {
		for p.qty > 0 {
			n := min(p.qty, parts[0].qty)
			m.returnRow(invoicedPortion{p.row, n}, parts[0].rate)
			p.qty -= n
			if parts[0].qty -= n; parts[0].qty == 0 {
				parts = parts[1:]
			}
		}
	}
}

func (m *creditMap) returnRow(p invoicedPortion, rate decimal.Decimal) {
	m.returned[p.row.Name] += p.qty
	m.total = m.total.Add(rate.Mul(decimal.NewFromInt(p.qty)))
	m.items = append(m.items, erpnext.SalesInvoiceItem{
		ItemCode: p.row.ItemCode, ItemName: p.row.ItemName, Description: p.row.Description, Qty: erpnext.Num(decimal.NewFromInt(-p.qty)),
		UOM: p.row.UOM, ConversionFactor: p.row.ConversionFactor, Rate: erpnext.Num(rate), Warehouse: p.row.Warehouse, CostCenter: p.row.CostCenter,
		IncomeAccount: p.row.IncomeAccount, SalesOrder: m.so.Name, SoDetail: p.row.SoDetail, InvoiceItem: p.row.Name,
	})
}

// amountOnly is a row of quantity 0, which stands for its rate alone
// (taxes_and_totals.py, calculate_item_values).
func (m *creditMap) amountOnly(item, title string, amount decimal.Decimal, account string) erpnext.SalesInvoiceItem {
	return erpnext.SalesInvoiceItem{
		ItemCode: item, ItemName: cut(title, maxText), Description: cut(title, maxDescription), Qty: erpnext.Num(decimal.Zero), Rate: erpnext.Num(amount),
		CostCenter: m.books.CostCenter, IncomeAccount: account,
	}
}

// addTax spreads a refunded tax over the accounts as the line's own is.
func (m *creditMap) addTax(tax decimal.Decimal, like []Share) {
	if tax.IsZero() {
		return
	}
	m.total = m.total.Add(tax)
	whole, left := sumShares(like), tax
	for i, s := range like {
		part := left
		if i < len(like)-1 && !whole.IsZero() {
			part = tax.Mul(s.Amount).Div(whole).RoundBank(m.digits)
		}
		m.shares, left = added(m.shares, s.Account, part), left.Sub(part)
	}
	if len(like) == 0 {
		m.shares = added(m.shares, m.books.TaxAccount, tax)
	}
}

func sumShares(list []Share) decimal.Decimal {
	sum := decimal.Zero
	for _, s := range list {
		sum = sum.Add(s.Amount)
	}
	return sum
}

// addShipping gives shipping back on the account, or by the item, that it was
// booked on.
func (m *creditMap) addShipping(a commerce.CreditedAmount) error {
	if m.books.ShippingAs == ShippingAsItem {
		return m.addAmount(a, amountOn{item: firstOf(m.books.Items.Shipping, m.books.FallbackItem), taxes: m.bill.Shipping})
	}
	return m.addAmount(a, amountOn{m.books.FallbackItem, m.books.shippingAccount(a.Title), m.bill.Shipping})
}

// addTip gives back a tip, which was booked like a line or like a charge.
func (m *creditMap) addTip(l commerce.CreditedLine) error {
	i := slices.IndexFunc(m.bill.Lines, func(x BillLine) bool { return x.ID == l.LineID && x.Kind == commerce.Tip })
	if i < 0 || !l.Priced {
		return nil
	}
	on := amountOn{item: firstOf(m.books.Items.Tip, m.books.FallbackItem)}
	if m.books.Items.Tip == "" {
		on.account = firstOf(m.books.TipAccount, m.books.IncomeAccount)
	}
	return m.addAmount(commerce.CreditedAmount{Title: "Tip", Amount: l.Subtotal, Tax: l.Tax}, on)
}

// addOther gives back what is neither goods nor shipping, on the income.
func (m *creditMap) addOther(a commerce.CreditedAmount) error {
	return m.addAmount(a, amountOn{item: m.books.FallbackItem, account: m.books.IncomeAccount})
}

// amountOn says where an amount without goods is booked.
type amountOn struct {
	item, account string
	taxes         []Share
}

// addAmount adds an amount without goods: a row of quantity 0, or, where it
// makes the refund smaller, a row of the taxes.
func (m *creditMap) addAmount(a commerce.CreditedAmount, on amountOn) error {
	net := a.Amount.Value()
	if m.bill.Inclusive {
		net = net.Sub(a.Tax.Value())
	}
	account := firstOf(on.account, m.books.IncomeAccount)
	switch {
	case net.IsZero():
	case on.item == "":
		return unmapped("item for amounts without goods", "fallback_item")
	case !net.IsNegative():
		m.items = append(m.items, m.amountOnly(on.item, a.Title, net, on.account))
	case account == "":
		return &fault.Error{
			Kind: fault.Unmapped, Op: "mapping", Cause: "no income account", Hint: "set the company's Default Income Account in ERPNext, then replay",
		}
	default:
		m.shares = added(m.shares, account, net)
		m.titles = map[string]string{account: a.Title}
	}
	m.total = m.total.Add(net)
	m.addTax(a.Tax.Value(), on.taxes)
	return nil
}
