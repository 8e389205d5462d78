package mapping

import (
	"fmt"
	"slices"
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
	rateDigits     = 9    // decimals that ERPNext keeps of an exchange rate
)

// SalesOrder maps an order so that ERPNext's grand_total becomes exactly the
// order's Total, in the order's currency:
//
//   - every line at a net rate that ERPNext can represent; a line whose net is
//     not a multiple of its quantity is split in two rows;
//   - taxes as they were charged, one `Actual` row per account, never a rate;
//   - shipping, duties, fees and tips as `Actual` rows;
//   - what the shop's own rounding leaves over on the round-off account,
//     bounded: more than a few cents means something was not understood.
//
// The books may ask for shipping as an item, for tax rows with rates and for
// the discount on the document instead; the total is the same. item gives the
// ERPNext item of a SKU or variant id, and false when it has none. The
// construction and its proof are in ERPNext's taxes_and_totals.py: `Actual`
// amounts are taken as they are, rates are rounded before they are multiplied.
func (b Books) SalesOrder(o commerce.Order, key, customer string, item func(code string) (string, bool)) (erpnext.SalesOrder, error) {
	if err := b.holds(o.Currency); err != nil {
		return erpnext.SalesOrder{}, err
	}
	date := b.Date(o.CreatedAt)
	so := erpnext.SalesOrder{
		Customer: customer, Company: b.Company, OrderType: "Sales", NamingSeries: b.NamingSeries,
		TransactionDate: date, DeliveryDate: date,
		Currency: o.Currency, ConversionRate: b.conversionRate(o), SellingPriceList: b.PriceList, CostCenter: b.CostCenter,
		PoNo: b.poNo(o), PoDate: date, Title: cut(o.Name, maxText),
		IgnorePricingRule: true, DisableRoundedTotal: true,
		Key: key,
	}
	var err error
	if so.Extra, err = b.OrderFields(o); err != nil {
		return erpnext.SalesOrder{}, err
	}
	m := &orderMap{books: b, order: o, so: &so, item: item, rows: map[string]int{}, digits: b.digits(o.Currency), channelAsks: channelAsks(o)}
	if err := m.fill(); err != nil {
		return erpnext.SalesOrder{}, err
	}
	return so, nil
}

// OrderFields are the further fields of an order that the sheet asks for.
func (b Books) OrderFields(o commerce.Order) (erpnext.Extra, error) {
	if b.Extra.Order == nil {
		return nil, nil
	}
	values, err := b.Extra.Order(o)
	return b.fields(values), err
}

// Remarks are what a person may want to know of how an order is booked, without
// saying anything of the buyer.
func (b Books) Remarks(o commerce.Order) []string {
	notes := Cleaned(o.Customer)
	for name, a := range map[string]*commerce.Address{"billing": o.BillTo, "delivery": o.ShipTo} {
		if a != nil && !b.whole(*a) {
			notes = append(notes, "the "+name+" address lacks a street, a city or a country that ERPNext knows, and was left out")
		}
	}
	isCard := func(l commerce.Line) bool { return l.Kind == commerce.GiftCard }
	if b.Items.GiftCard == "" && slices.ContainsFunc(o.Lines, isCard) {
		notes = append(notes, "a gift card was sold as an ordinary item: name one under items.gift_card in the mapping sheet, whose income account is the debt to the card's holder")
	}
	if !o.GivenBack.IsZero() {
		notes = append(notes, "money was given back without goods: the order keeps what its lines come to, and the refund books the money")
	}
	slices.Sort(notes)
	return notes
}

// poNo is what people find the order by: its name, or the buyer's own number.
func (b Books) poNo(o commerce.Order) string {
	if b.BuyersPO && o.PONumber != "" {
		return cut(o.PONumber, maxText)
	}
	return cut(o.Name, maxText)
}

// conversionRate is the shop's own rate between what the buyer was shown and
// the company's currency, so that the base total is the shop's total. An order
// of nothing has none, and any will do. Without one it is left to ERPNext's
// records.
func (b Books) conversionRate(o commerce.Order) erpnext.Number {
	switch {
	case o.Currency == b.Currency:
		return erpnext.Num(decimal.NewFromInt(1))
	case o.ShopTotal == nil || o.ShopTotal.Currency() != b.Currency:
		return erpnext.Number{}
	case o.Total.IsZero() && o.ShopTotal.IsZero():
		return erpnext.Num(decimal.NewFromInt(1))
	case o.Total.IsZero():
		return erpnext.Number{}
	}
	return erpnext.Num(o.ShopTotal.Value().DivRound(o.Total.Value(), rateDigits))
}

// digits are the decimals that amounts of a currency may have on this site.
func (b Books) digits(currency string) int32 {
	digits, err := money.MinorDigits(currency)
	if err != nil {
		return b.Precision // holds has refused it
	}
	return min(int32(digits), b.Precision) //nolint:gosec // digits is 0 to 4
}

// orderMap builds one order's rows and keeps the sum they will have.
type orderMap struct {
	books  Books
	order  commerce.Order
	so     *erpnext.SalesOrder
	item   func(code string) (string, bool)
	sum    decimal.Decimal
	rows   map[string]int // rows of one item and description so far
	digits int32
	rated  []ratedNet // what On Net Total rows will be computed from
	// channelAsks says that taxes which the sales channel pays are in the total.
	channelAsks bool
}

func (m *orderMap) fill() error {
	for _, step := range []func() error{m.addLines, m.addShipping, m.addCharges, m.addDiscount, m.addTaxes, m.addResidual} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (m *orderMap) addLines() error {
	for _, line := range m.order.Lines {
		if err := m.addLine(line); err != nil {
			return err
		}
	}
	if len(m.so.Items) > 0 || m.books.FallbackItem == "" {
		return nil
	}
	// ERPNext wants an item even where only shipping or a fee is left.
	m.addItem(m.books.FallbackItem, "No items", part{qty: 1}, "")
	return nil
}

func (m *orderMap) addLine(line commerce.Line) error {
	net := line.UnitPrice.Value().Mul(decimal.NewFromInt(line.Quantity)).Sub(m.contained(line.Taxes))
	if m.books.Discounts == DiscountsInRates {
		net = net.Sub(line.Discount.Value())
	}
	if line.Kind == commerce.Tip && m.books.Items.Tip == "" {
		return m.addCharge(net, charge{"income account for tips", "accounts.tips", firstOf(m.books.TipAccount, m.books.IncomeAccount), line.Title})
	}
	code, err := m.codeOf(line)
	if err != nil {
		return err
	}
	extra, err := m.extra(line)
	if err != nil {
		return err
	}
	for _, part := range split(net, line.Quantity, m.digits) {
		m.addItem(code, line.Title, part, m.template(line.Taxes))
		m.so.Items[len(m.so.Items)-1].Extra = extra
	}
	m.rate(net, line.Taxes)
	return nil
}

func (m *orderMap) extra(line commerce.Line) (erpnext.Extra, error) {
	if m.books.Extra.Line == nil {
		return nil, nil
	}
	values, err := m.books.Extra.Line(m.order, line)
	return m.books.fields(values), err
}

// codeOf finds the item of a line.
func (m *orderMap) codeOf(line commerce.Line) (string, error) {
	items := m.books.Items
	kinds := map[commerce.LineKind]string{commerce.GiftCard: items.GiftCard, commerce.Tip: items.Tip}
	if code := kinds[line.Kind]; code != "" {
		return code, nil
	}
	for _, rule := range items.Rules {
		if fits(rule.SKU, line.SKU) && fits(rule.Variant, line.VariantID) && fits(rule.Product, line.ProductID) && fits(rule.Title, line.Title) && fits(rule.Vendor, line.Vendor) {
			return rule.Item, nil
		}
	}
	for _, code := range m.books.Candidates(line) {
		if found, ok := m.item(code); ok {
			return found, nil
		}
	}
	if m.books.FallbackItem == "" {
		return "", unmapped("item for a line without a known SKU", "fallback_item")
	}
	return m.books.FallbackItem, nil
}

// Candidates are the item codes under which a line's item is looked up, best
// first.
func (b Books) Candidates(line commerce.Line) []string {
	keys := b.Items.Match
	if keys == nil {
		keys = []ItemKey{BySKU}
	}
	var codes []string
	for _, key := range keys {
		code := line.SKU
		if key == ByVariant {
			code = line.VariantID
		}
		if code != "" {
			codes = append(codes, code)
		}
	}
	return codes
}

// contained is the tax inside a price that includes it and is booked beside it.
func (m *orderMap) contained(taxes []commerce.Tax) decimal.Decimal {
	if !m.order.TaxesIncluded || m.books.TaxRows == TaxesOnNetTotal {
		return decimal.Zero
	}
	return sumTaxes(taxes)
}

func (m *orderMap) addItem(code, title string, p part, template string) {
	m.sum = m.sum.Add(p.rate.Mul(decimal.NewFromInt(p.qty)))
	m.so.Items = append(m.so.Items, erpnext.SalesOrderItem{
		ItemCode: code, ItemName: cut(title, maxText), Description: m.describe(code, title),
		Qty: erpnext.Num(decimal.NewFromInt(p.qty)), Rate: erpnext.Num(p.rate), ItemTaxTemplate: template,
		Warehouse: firstOf(m.books.Warehouses[m.order.LocationID], m.books.Warehouse), CostCenter: m.books.CostCenter,
		// Selling Settings validate_selling_price refuses what is sold below its cost, except what is free.
		IsFreeItem: erpnext.Check(p.rate.IsZero()),
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
// with rates of `digits` decimals: 10.00 for 3 is 2 × 3.33 and 1 × 3.34. A net
// with more decimals is rounded half to even first.
func split(net decimal.Decimal, qty int64, digits int32) []part {
	pieces := decimal.NewFromInt(qty)
	net = net.RoundBank(digits)
	low := net.Div(pieces).RoundFloor(digits)
	units := net.Sub(low.Mul(pieces)).Shift(digits).IntPart() // how many pieces need one unit more
	parts := make([]part, 0, 2)
	if n := qty - units; n > 0 {
		parts = append(parts, part{n, low})
	}
	if units > 0 {
		parts = append(parts, part{units, low.Add(decimal.New(1, -digits))})
	}
	return parts
}

// addShipping books shipping: per account one row, or one item.
func (m *orderMap) addShipping() error {
	for _, c := range m.order.Shipping {
		net := m.netOf(c)
		if m.books.ShippingAs == ShippingAsItem && !net.IsZero() {
			if m.books.Items.Shipping == "" {
				return unmapped("item for shipping", "shipping.item")
			}
			m.addItem(m.books.Items.Shipping, c.Title, part{1, net.RoundBank(m.digits)}, m.template(c.Taxes))
			m.rate(net, c.Taxes)
			continue
		}
		if err := m.addCharge(net, charge{"shipping account", "accounts.shipping", m.books.shippingAccount(c.Title), c.Title}); err != nil {
			return err
		}
	}
	return nil
}

// shippingAccount is where shipping of a title is booked.
func (b Books) shippingAccount(title string) string {
	if i := slices.IndexFunc(b.ShippingAccounts, func(r TitleRule) bool { return fits(r.Title, title) }); i >= 0 {
		return b.ShippingAccounts[i].Account
	}
	return b.ShippingAccount
}

// netOf is a charge without its discount and, as for lines, the tax inside it.
// A charge that is a row of the taxes cannot have rates of its own, so its tax
// is always taken as it is.
func (m *orderMap) netOf(c commerce.Charge) decimal.Decimal {
	net := c.Price.Value().Sub(c.Discount.Value())
	if m.order.TaxesIncluded && !m.asItem() {
		net = net.Sub(sumTaxes(c.Taxes))
	}
	return net
}

// asItem reports whether shipping is an item whose tax comes from rates.
func (m *orderMap) asItem() bool {
	return m.books.ShippingAs == ShippingAsItem && m.books.TaxRows == TaxesOnNetTotal
}

// addCharges books duties, fees and a tip that is no line.
func (m *orderMap) addCharges() error {
	for _, c := range m.order.Duties {
		if err := m.addCharge(m.outside(c), charge{"account for duties", "accounts.duties", firstOf(m.books.DutyAccount, m.books.ShippingAccount), c.Title}); err != nil {
			return err
		}
	}
	for _, c := range m.order.Fees {
		if err := m.addCharge(m.outside(c), charge{"account for fees", "accounts.additional_fees", firstOf(m.books.FeeAccount, m.books.IncomeAccount), c.Title}); err != nil {
			return err
		}
	}
	return m.addCharge(m.order.Tip.Value(), charge{"income account for tips", "accounts.tips", firstOf(m.books.TipAccount, m.books.IncomeAccount), "Tip"})
}

// outside is a charge that is never an item.
func (m *orderMap) outside(c commerce.Charge) decimal.Decimal {
	net := c.Price.Value().Sub(c.Discount.Value())
	if m.order.TaxesIncluded {
		net = net.Sub(sumTaxes(c.Taxes))
	}
	return net
}

// addDiscount books the lines' discounts on the document, where the rates are
// the shop's prices. ERPNext spreads it over the items by their net amounts;
// `Actual` rows stay as they are.
func (m *orderMap) addDiscount() error {
	if m.books.Discounts != DiscountsOnHeader {
		return nil
	}
	total := decimal.Zero
	for _, line := range m.order.Lines {
		if line.Kind != commerce.Tip || m.books.Items.Tip != "" {
			total = total.Add(line.Discount.Value())
		}
	}
	if total.IsZero() {
		return nil
	}
	if m.books.TaxRows == TaxesOnNetTotal {
		return &fault.Error{
			Kind: fault.Unmapped, Op: "mapping", Cause: "a discount on the document and tax rows with rates exclude each other",
			Hint: "in the mapping sheet, set orders.discounts to net or orders.taxes to actual, then replay",
		}
	}
	total = total.RoundBank(m.digits)
	m.so.ApplyDiscountOn, m.so.DiscountAmount = "Net Total", erpnext.Num(total)
	m.sum = m.sum.Sub(total)
	return nil
}

// charge is where an amount that is no item is booked.
type charge struct{ what, setting, account, title string }

// addCharge adds an `Actual` row, or adds to the one of the same account.
func (m *orderMap) addCharge(amount decimal.Decimal, c charge) error {
	if amount.IsZero() {
		return nil
	}
	if c.account == "" {
		return unmapped(c.what, c.setting)
	}
	// The site's precision, not the currency's: tax rows with rates have it too.
	amount = amount.RoundBank(m.books.Precision)
	m.sum = m.sum.Add(amount)
	for i := range m.so.Taxes {
		if row := &m.so.Taxes[i]; row.AccountHead == c.account && row.ChargeType == actual {
			row.TaxAmount = erpnext.Num(row.TaxAmount.Add(amount))
			row.Description = joinTitles(row.Description, c.title)
			return nil
		}
	}
	m.row(c.account, c.title, amount)
	return nil
}

const actual = "Actual"

func (m *orderMap) row(account, title string, amount decimal.Decimal) {
	m.so.Taxes = append(m.so.Taxes, erpnext.TaxRow{
		ChargeType: actual, AccountHead: account, Description: cut(firstOf(title, "Charge"), maxText),
		TaxAmount: erpnext.Num(amount), CostCenter: m.books.CostCenter,
	})
}

// joinTitles names each thing on a row once.
func joinTitles(titles, title string) string {
	if title == "" || slices.Contains(strings.Split(titles, ", "), title) {
		return titles
	}
	return cut(titles+", "+title, maxText)
}

// residual is what is still missing to the order's total if `more` is added.
func (m *orderMap) residual(more decimal.Decimal) decimal.Decimal {
	return m.order.Total.Value().Sub(m.sum).Sub(more)
}

// addResidual books what the shop's own rounding leaves over.
func (m *orderMap) addResidual() error {
	rest := m.residual(decimal.Zero).Add(m.books.Adjust)
	if rest.Abs().GreaterThan(m.residualLimit()) {
		return &fault.Error{
			Kind: fault.Mismatch, Op: "mapping",
			Cause: "the order does not add up",
			Hint: fmt.Sprintf("the shop says %s, its lines, shipping and taxes make %s: something on this order is not understood; enter it by hand and tell us",
				m.order.Total, money.New(m.sum, m.order.Currency)),
		}
	}
	if err := m.addCharge(rest, charge{"round-off account", "accounts.round_off", m.books.RoundOffAccount, "Rounding"}); err != nil {
		return err
	}
	if len(m.so.Taxes) == 0 {
		return m.keepTemplatesOut()
	}
	return nil
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

// residualLimit is the sheet's, else one minor unit of the currency per amount
// that the shop rounded, at least five.
func (m *orderMap) residualLimit() decimal.Decimal {
	if m.books.ResidualLimit.IsPositive() {
		return m.books.ResidualLimit
	}
	charges := slices.Concat(m.order.Shipping, m.order.Duties, m.order.Fees)
	amounts := int64(len(m.order.Lines) + len(charges))
	for _, l := range m.order.Lines {
		amounts += int64(len(l.Taxes))
	}
	for _, c := range charges {
		amounts += int64(len(c.Taxes))
	}
	return decimal.New(max(5, amounts), -m.digits)
}

func sumTaxes(taxes []commerce.Tax) decimal.Decimal {
	total := decimal.Zero
	for _, t := range taxes {
		total = total.Add(t.Amount.Value())
	}
	return total
}

func firstOf(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}
