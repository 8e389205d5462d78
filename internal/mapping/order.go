package mapping

import (
	"fmt"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

const (
	maxText        = 140  // length of ERPNext's Data fields
	maxDescription = 1000 // of a row; the field itself has no bound that matters
)

// SalesOrder maps an order so that ERPNext's grand_total becomes exactly the
// order's Total, in the order's currency:
//
//   - every line at a net rate that ERPNext can represent; a line whose net is
//     not a multiple of its quantity is split in two rows;
//   - taxes as they were charged, one `Actual` row per account, never a rate;
//   - shipping and tips as `Actual` rows;
//   - what the shop's own rounding leaves over on the round-off account,
//     bounded: more than a few cents means something was not understood.
//
// item gives the ERPNext item of a SKU, and false when it has none. The
// construction and its proof are in ERPNext's taxes_and_totals.py: `Actual`
// amounts are taken as they are, rates are rounded before they are multiplied.
func (b Books) SalesOrder(o commerce.Order, key, customer string, item func(sku string) (string, bool)) (erpnext.SalesOrder, error) {
	if err := b.holds(o.Currency); err != nil {
		return erpnext.SalesOrder{}, err
	}
	if len(o.Lines) == 0 {
		return erpnext.SalesOrder{}, &fault.Error{Kind: fault.Rejected, Op: "mapping", Cause: "order without lines", Hint: "ERPNext needs at least one item: enter this order by hand if it is wanted"}
	}
	date := b.Date(o.CreatedAt)
	so := erpnext.SalesOrder{
		Customer: customer, Company: b.Company, OrderType: "Sales",
		TransactionDate: date, DeliveryDate: date,
		Currency: o.Currency, SellingPriceList: b.PriceList, CostCenter: b.CostCenter,
		PoNo: cut(o.Name, maxText), PoDate: date, Title: cut(o.Name, maxText),
		IgnorePricingRule: true, DisableRoundedTotal: true,
		Key: key,
	}
	if o.Currency == b.Currency {
		so.ConversionRate = erpnext.Num(decimal.NewFromInt(1))
	}
	m := &orderMap{books: b, order: o, so: &so, rows: map[string]int{}}
	if err := m.fill(item); err != nil {
		return erpnext.SalesOrder{}, err
	}
	return so, nil
}

// orderMap builds one order's rows and keeps the sum they will have.
type orderMap struct {
	books Books
	order commerce.Order
	so    *erpnext.SalesOrder
	sum   decimal.Decimal
	rows  map[string]int // rows of one item and description so far
}

func (m *orderMap) fill(item func(sku string) (string, bool)) error {
	for _, line := range m.order.Lines {
		if err := m.addLine(line, item); err != nil {
			return err
		}
	}
	if err := m.addShipping(); err != nil {
		return err
	}
	if err := m.addTaxes(); err != nil {
		return err
	}
	return m.addResidual()
}

func (m *orderMap) addLine(line commerce.Line, item func(sku string) (string, bool)) error {
	code, ok := "", false
	if line.SKU != "" {
		code, ok = item(line.SKU)
	}
	if !ok {
		code = m.books.FallbackItem
	}
	if code == "" {
		return unmapped("item for a line without a known SKU", "fallback_item")
	}
	net := line.UnitPrice.Value().Mul(decimal.NewFromInt(line.Quantity)).Sub(line.Discount.Value()).Sub(m.contained(line.Taxes))
	for _, part := range split(net, line.Quantity, m.books.Precision) {
		m.addItem(code, line.Title, part)
	}
	return nil
}

// contained is the tax inside a price that includes it.
func (m *orderMap) contained(taxes []commerce.Tax) decimal.Decimal {
	if !m.order.TaxesIncluded {
		return decimal.Zero
	}
	return sumTaxes(taxes)
}

func (m *orderMap) addItem(code, title string, p part) {
	m.sum = m.sum.Add(p.rate.Mul(decimal.NewFromInt(p.qty)))
	m.so.Items = append(m.so.Items, erpnext.SalesOrderItem{
		ItemCode: code, ItemName: cut(title, maxText), Description: m.describe(code, title),
		Qty: erpnext.Num(decimal.NewFromInt(p.qty)), Rate: erpnext.Num(p.rate),
		Warehouse: m.books.Warehouse, CostCenter: m.books.CostCenter,
	})
}

// describe makes the description of every row of one item its own: a site may
// refuse the same item twice, and compares item and description.
func (m *orderMap) describe(code, title string) string {
	if title = cut(title, maxDescription); title == "" {
		title = code
	}
	id := strings.ToLower(code) + "\x00" + title
	m.rows[id]++
	if n := m.rows[id]; n > 1 {
		return fmt.Sprintf("%s (%d)", title, n)
	}
	return title
}

// part is a number of pieces at one rate.
type part struct {
	qty  int64
	rate decimal.Decimal
}

// split divides a net amount over a quantity so that the parts add up to it
// with rates of `precision` decimals: 10.00 for 3 is 2 × 3.33 and 1 × 3.34. A
// net with more decimals than the site keeps is rounded half to even first.
func split(net decimal.Decimal, qty int64, precision int32) []part {
	pieces := decimal.NewFromInt(qty)
	net = net.RoundBank(precision)
	low := net.Div(pieces).RoundFloor(precision)
	units := net.Sub(low.Mul(pieces)).Shift(precision).IntPart() // how many pieces need one unit more
	parts := make([]part, 0, 2)
	if n := qty - units; n > 0 {
		parts = append(parts, part{n, low})
	}
	if units > 0 {
		parts = append(parts, part{units, low.Add(decimal.New(1, -precision))})
	}
	return parts
}

func (m *orderMap) addShipping() error {
	total := decimal.Zero
	var titles []string
	for _, c := range m.order.Shipping {
		total = total.Add(c.Price.Value()).Sub(c.Discount.Value()).Sub(m.contained(c.Taxes))
		titles = appendNew(titles, c.Title)
	}
	if err := m.addCharge(total, "shipping account", "accounts.shipping", m.books.ShippingAccount, titles, "Shipping"); err != nil {
		return err
	}
	return m.addCharge(m.order.Tip.Value(), "income account for tips", "accounts.shipping", m.books.IncomeAccount, nil, "Tip")
}

func (m *orderMap) addTaxes() error {
	taxes, titles := m.taxes(false)
	// Taxes that a sales channel pays itself are in the buyer's total with some
	// channels and not with others: what adds up to the total is what happened.
	if own, ownTitles := m.taxes(true); !own.Equal(taxes) && m.residual(own).Abs().LessThan(m.residual(taxes).Abs()) {
		taxes, titles = own, ownTitles
	}
	if len(m.so.Taxes) == 0 && taxes.IsZero() {
		return m.keepTemplatesOut()
	}
	return m.addCharge(taxes, "tax account", "accounts.tax", m.books.TaxAccount, titles, "Tax")
}

func (m *orderMap) taxes(ownOnly bool) (decimal.Decimal, []string) {
	total := decimal.Zero
	var titles []string
	add := func(taxes []commerce.Tax) {
		for _, t := range taxes {
			if !ownOnly || !t.ByChannel {
				total = total.Add(t.Amount.Value())
				titles = appendNew(titles, t.Title)
			}
		}
	}
	for _, l := range m.order.Lines {
		add(l.Taxes)
	}
	for _, c := range m.order.Shipping {
		add(c.Taxes)
	}
	return total, titles
}

// keepTemplatesOut adds a row of nothing: to an order without any tax row
// ERPNext adds those of item tax templates or of the default template
// (Accounts Settings add_taxes_from_item_tax_template).
func (m *orderMap) keepTemplatesOut() error {
	account := firstOf(m.books.TaxAccount, m.books.ShippingAccount, m.books.RoundOffAccount)
	if account == "" {
		return unmapped("account for a tax row", "accounts.tax")
	}
	m.row(account, "No tax", decimal.Zero)
	return nil
}

func (m *orderMap) addCharge(amount decimal.Decimal, what, setting, account string, titles []string, title string) error {
	if amount.IsZero() {
		return nil
	}
	if account == "" {
		return unmapped(what, setting)
	}
	if text := strings.Join(titles, ", "); text != "" {
		title = text
	}
	m.row(account, title, amount)
	return nil
}

func (m *orderMap) row(account, title string, amount decimal.Decimal) {
	amount = amount.RoundBank(m.books.Precision)
	m.sum = m.sum.Add(amount)
	m.so.Taxes = append(m.so.Taxes, erpnext.TaxRow{
		ChargeType: "Actual", AccountHead: account, Description: cut(title, maxText),
		TaxAmount: erpnext.Num(amount), CostCenter: m.books.CostCenter,
	})
}

// residual is what is still missing to the order's total if `more` is added.
func (m *orderMap) residual(more decimal.Decimal) decimal.Decimal {
	return m.order.Total.Value().Sub(m.sum).Sub(more)
}

// addResidual books what the shop's own rounding leaves over.
func (m *orderMap) addResidual() error {
	rest := m.residual(decimal.Zero)
	if rest.IsZero() {
		return nil
	}
	if rest.Abs().GreaterThan(m.residualLimit()) {
		return &fault.Error{
			Kind: fault.Mismatch, Op: "mapping",
			Cause: "the order does not add up",
			Hint: fmt.Sprintf("the shop says %s, its lines, shipping and taxes make %s: something on this order is not understood; enter it by hand and tell us",
				m.order.Total, money.New(m.sum, m.order.Currency)),
		}
	}
	return m.addCharge(rest, "round-off account", "accounts.round_off", m.books.RoundOffAccount, nil, "Rounding")
}

// residualLimit is one minor unit of the currency per amount that the shop
// rounded, at least five.
func (m *orderMap) residualLimit() decimal.Decimal {
	amounts := int64(len(m.order.Lines) + len(m.order.Shipping))
	for _, l := range m.order.Lines {
		amounts += int64(len(l.Taxes))
	}
	digits, err := money.MinorDigits(m.order.Currency)
	if err != nil {
		return decimal.Zero // holds has refused it
	}
	return decimal.New(max(5, amounts), -int32(digits))
}

func sumTaxes(taxes []commerce.Tax) decimal.Decimal {
	total := decimal.Zero
	for _, t := range taxes {
		total = total.Add(t.Amount.Value())
	}
	return total
}

func appendNew(titles []string, title string) []string {
	for _, t := range titles {
		if t == title {
			return titles
		}
	}
	if title == "" {
		return titles
	}
	return append(titles, title)
}

func firstOf(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}
