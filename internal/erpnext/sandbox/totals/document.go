package totals

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	salesOrder   = "Sales Order"
	salesInvoice = "Sales Invoice"
	deliveryNote = "Delivery Note"
	taxDocType   = "Sales Taxes and Charges"
)

// document is an order or invoice while it is calculated. Field names follow
// ERPNext's, shortened; base… is in company currency.
type document struct {
	raw            map[string]any
	s              Settings
	head, row, tax table
	doctype        string
	currency       string
	applyOn        string
	noRoundedTotal bool

	conversion                         float64
	qty, weight                        float64
	total, baseTotal                   float64
	net, baseNet                       float64
	taxTotal, baseTaxTotal             float64
	discountPercent                    float64
	discount, baseDiscount             float64
	grand, baseGrand                   float64
	rounded, baseRounded               float64
	adjustment, baseAdjustment         float64
	commissionRate                     float64
	commissionBase, totalCommission    float64
	advance, outstanding               float64
	paid, basePaid, change, baseChange float64
	writeOff, baseWriteOff             float64

	lines []*line
	taxes []*charge

	discounted   bool    // the header discount is off the rows
	undiscounted float64 // running total before it, when it is on the grand total
	drift        float64 // what the grand total has beyond the last running total
}

// line is one item row.
type line struct {
	raw             map[string]any
	key             string // names the item in item_wise_tax_detail
	ruled           bool   // a pricing rule set the price
	earnsCommission bool
	marginType      string
	templateRates   map[string]float64 // tax rate by account, from the item tax template

	qty, factor, stockQty, stockRate, weight   float64
	listRate, baseListRate                     float64
	discountPercent, discount, spreadDiscount  float64
	margin, rateWithMargin, baseRateWithMargin float64
	rate, baseRate, amount, baseAmount         float64
	netRate, baseNetRate                       float64
	netAmount, baseNetAmount                   float64
	valuation, grossProfit                     float64
}

// charge is one row of taxes and charges.
type charge struct {
	raw      map[string]any
	kind     string
	account  string
	rowID    int  // the row it is charged on, from 1; 0 for none
	refers   bool // row_id is filled
	included bool // in the item prices
	frozen   bool // its breakdown is the sender's
	detail   breakdown

	rate                float64
	amount, baseAmount  float64 // before header discount
	charged, baseCharge float64 // after it
	total, baseTotal    float64 // running

	// of the item at hand
	fraction, fractionTotal float64
	current, currentTotal   float64
}

// column ties a field to the number it is calculated in.
type column struct {
	field string
	value *float64
}

func (d *document) columns() []column {
	columns := []column{
		{"conversion_rate", &d.conversion}, {"total_qty", &d.qty}, {"total_net_weight", &d.weight},
		{"total", &d.total}, {"base_total", &d.baseTotal}, {"net_total", &d.net}, {"base_net_total", &d.baseNet},
		{"total_taxes_and_charges", &d.taxTotal}, {"base_total_taxes_and_charges", &d.baseTaxTotal},
		{"additional_discount_percentage", &d.discountPercent},
		{"discount_amount", &d.discount}, {"base_discount_amount", &d.baseDiscount},
		{"grand_total", &d.grand}, {"base_grand_total", &d.baseGrand},
		{"rounded_total", &d.rounded}, {"base_rounded_total", &d.baseRounded},
		{"rounding_adjustment", &d.adjustment}, {"base_rounding_adjustment", &d.baseAdjustment},
		{"commission_rate", &d.commissionRate}, {"total_commission", &d.totalCommission},
		{"amount_eligible_for_commission", &d.commissionBase},
	}
	if d.doctype != salesInvoice {
		return columns
	}
	return append(columns,
		column{"total_advance", &d.advance}, column{"outstanding_amount", &d.outstanding},
		column{"paid_amount", &d.paid}, column{"base_paid_amount", &d.basePaid},
		column{"change_amount", &d.change}, column{"base_change_amount", &d.baseChange},
		column{"write_off_amount", &d.writeOff}, column{"base_write_off_amount", &d.baseWriteOff},
	)
}

func (l *line) numbers() []column {
	return []column{
		{"qty", &l.qty}, {"conversion_factor", &l.factor}, {"stock_qty", &l.stockQty}, {"total_weight", &l.weight},
		{"discount_percentage", &l.discountPercent}, {"margin_rate_or_amount", &l.margin},
	}
}

func (l *line) amounts() []column {
	return []column{
		{"price_list_rate", &l.listRate}, {"base_price_list_rate", &l.baseListRate},
		{"discount_amount", &l.discount}, {"distributed_discount_amount", &l.spreadDiscount},
		{"rate_with_margin", &l.rateWithMargin}, {"base_rate_with_margin", &l.baseRateWithMargin},
		{"rate", &l.rate}, {"base_rate", &l.baseRate}, {"amount", &l.amount}, {"base_amount", &l.baseAmount},
		{"net_rate", &l.netRate}, {"base_net_rate", &l.baseNetRate},
		{"net_amount", &l.netAmount}, {"base_net_amount", &l.baseNetAmount},
		{"stock_uom_rate", &l.stockRate},
	}
}

// orderAmounts are fields an invoice row has not.
func (l *line) orderAmounts() []column {
	return []column{{"valuation_rate", &l.valuation}, {"gross_profit", &l.grossProfit}}
}

func (c *charge) amounts() []column {
	return []column{
		{"tax_amount", &c.amount}, {"base_tax_amount", &c.baseAmount},
		{"tax_amount_after_discount_amount", &c.charged}, {"base_tax_amount_after_discount_amount", &c.baseCharge},
		{"total", &c.total}, {"base_total", &c.baseTotal},
	}
}

// read takes a document apart and rounds the numbers of its rows, as the site
// does with whatever it was sent. It changes nothing in doc.
func read(doc map[string]any, s Settings) (*document, error) {
	d := &document{raw: doc, s: s, doctype: text(doc["doctype"])}
	if d.doctype != salesOrder && d.doctype != salesInvoice && d.doctype != deliveryNote {
		return nil, fmt.Errorf("totals: doctype %q is neither order, note nor invoice", d.doctype)
	}
	d.head = table{s, d.doctype}
	d.row = table{s, d.doctype + " Item"}
	d.tax = table{s, taxDocType}
	d.currency, d.applyOn = text(doc["currency"]), text(doc["apply_discount_on"])
	d.noRoundedTotal = truth(doc["disable_rounded_total"])
	for _, c := range d.columns() {
		*c.value = number(doc[c.field])
	}
	items, err := rows(doc, "items")
	if err != nil {
		return nil, err
	}
	for _, row := range items {
		l, err := d.readLine(row)
		if err != nil {
			return nil, err
		}
		d.lines = append(d.lines, l)
	}
	taxes, err := rows(doc, "taxes")
	if err != nil {
		return nil, err
	}
	for _, row := range taxes {
		d.taxes = append(d.taxes, d.readTax(row))
	}
	return d, nil
}

func (d *document) readLine(row map[string]any) (*line, error) {
	l := &line{raw: row, key: text(row["item_code"]), marginType: text(row["margin_type"])}
	if l.key == "" {
		l.key = text(row["item_name"])
	}
	l.ruled = filled(row["pricing_rules"])
	l.earnsCommission = truth(row["grant_commission"])
	for _, c := range l.numbers() {
		*c.value = d.row.number(c.field, number(row[c.field]))
	}
	for _, c := range append(l.amounts(), l.orderAmounts()...) {
		*c.value = d.row.money(c.field, number(row[c.field]))
	}
	if l.factor == 0 {
		l.factor = 1
	}
	rates, err := templateRates(row["item_tax_rate"])
	if err != nil {
		return nil, err
	}
	l.templateRates = rates
	return l, nil
}

func (d *document) readTax(row map[string]any) *charge {
	c := &charge{raw: row, kind: text(row["charge_type"]), account: text(row["account_head"])}
	c.rowID = int(min(max(number(row["row_id"]), -maxRows), maxRows))
	c.refers = filled(row["row_id"])
	c.included = truth(row["included_in_print_rate"])
	c.frozen = truth(row["dont_recompute_tax"])
	if c.kind != actual {
		c.rate = d.tax.number("rate", number(row["rate"]))
	}
	for _, col := range c.amounts() {
		*col.value = d.tax.money(col.field, number(row[col.field]))
	}
	return c
}

// templateRates reads item_tax_rate: tax rate by account, a JSON object as
// text (or already read).
func templateRates(value any) (map[string]float64, error) {
	var given map[string]any
	switch v := value.(type) {
	case map[string]any:
		given = v
	default:
		if s := text(v); s != "" {
			if err := json.Unmarshal([]byte(s), &given); err != nil {
				return nil, fmt.Errorf("totals: item_tax_rate: %w", err)
			}
		}
	}
	rates := make(map[string]float64, len(given))
	for account, rate := range given {
		rates[account] = number(rate)
	}
	return rates, nil
}

// write puts the calculated numbers back into the document.
func (d *document) write() {
	d.raw["currency"] = d.currency
	put(d.raw, d.columns())
	for _, l := range d.lines {
		put(l.raw, l.numbers())
		put(l.raw, l.amounts())
		if d.doctype == salesOrder {
			put(l.raw, l.orderAmounts())
		}
		if l.marginType != "" {
			l.raw["margin_type"] = l.marginType
		}
	}
	whole := d.wholeAmounts()
	for _, c := range d.taxes {
		put(c.raw, c.amounts())
		c.raw["rate"] = c.rate
		if !c.frozen {
			c.raw["item_wise_tax_detail"] = c.detail.json(whole)
		}
	}
}

func put(row map[string]any, columns []column) {
	for _, c := range columns {
		row[c.field] = finite(*c.value)
	}
}

func rows(doc map[string]any, field string) ([]map[string]any, error) {
	if doc[field] == nil {
		return nil, nil
	}
	list, ok := doc[field].([]any)
	if !ok {
		return nil, fmt.Errorf("totals: %s is not a list", field)
	}
	found := make([]map[string]any, 0, len(list))
	for _, entry := range list {
		row, ok := entry.(map[string]any)
		if !ok || row == nil {
			return nil, fmt.Errorf("totals: a row of %s is not an object", field)
		}
		found = append(found, row)
	}
	return found, nil
}

// number reads a value as the site does: text may have thousands commas, and
// what is no number is 0.
func number(value any) float64 {
	switch v := value.(type) {
	case float64:
		return finite(v)
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case bool:
		if v {
			return 1
		}
	case json.Number:
		return parse(v.String())
	case string:
		return parse(v)
	}
	return 0
}

func parse(s string) float64 {
	v, err := strconv.ParseFloat(strings.TrimSpace(strings.ReplaceAll(s, ",", "")), 64)
	if err != nil {
		return 0
	}
	return finite(v)
}

func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// truth is the value of a check box.
func truth(value any) bool { return number(value) != 0 }

// filled reports whether a text field has a value; "0" is one.
func filled(value any) bool {
	if s, ok := value.(string); ok {
		return s != ""
	}
	return truth(value)
}

// table rounds the fields of one DocType.
type table struct {
	s       Settings
	doctype string
}

// money rounds a Currency field.
func (t table) money(field string, value float64) float64 {
	return Round(value, t.moneyDigits(field), t.s.RoundingMethod)
}

// number rounds a Float or Percent field.
func (t table) number(field string, value float64) float64 {
	digits := t.s.FloatPrecision
	if digits == 0 {
		digits = 3
	}
	return Round(value, t.digits(field, digits), t.s.RoundingMethod)
}

// inCompany is the company-currency value that belongs to a field of the
// document's currency.
func (t table) inCompany(field string, value, conversion float64) float64 {
	return t.money("base_"+field, mul(t.money(field, value), conversion))
}

func (t table) moneyDigits(field string) int {
	digits := t.s.CurrencyPrecision
	if digits == 0 {
		digits = t.s.NumberFormatPrecision
	}
	if digits == 0 {
		digits = 2
	}
	return t.digits(field, digits)
}

func (t table) digits(field string, usual int) int {
	if t.s.FieldPrecision != nil {
		if digits, ok := t.s.FieldPrecision(t.doctype, field); ok {
			usual = digits
		}
	}
	return min(max(usual, 0), maxDigits)
}

// maxRows bounds what row_id is read as, so that it fits an int everywhere.
const maxRows = 1 << 30

// maxDigits is the most decimals a site stores.
const maxDigits = 9

// tolerance is the largest difference of included taxes that the grand total
// takes over: five units of the last digit.
func tolerance(digits int) float64 { return 5 / math.Pow10(digits) }
