// Package totals is ERPNext 15's arithmetic for Sales Orders and Sales
// Invoices, to the last digit: item rows, taxes, header discount, rounding and
// the company-currency amounts. It calculates in binary floating point because
// the site does; nothing outside the sandbox may take money from here.
//
// It knows one document and the settings handed in. It has never heard of
// masters (prices, item tax templates, exchange rates, pricing and shipping
// rules): what a site fetches from there the caller fills in first. Point of
// sale invoices are beyond it.
package totals

import "fmt"

// Settings are the facts of a site that its sums depend on.
type Settings struct {
	// RoundingMethod is System Settings, rounding_method; see Round.
	RoundingMethod string
	// CurrencyPrecision is System Settings, currency_precision; 0 means
	// NumberFormatPrecision.
	CurrencyPrecision int
	// NumberFormatPrecision counts the decimals of System Settings,
	// number_format; 0 means 2, below 0 a format without decimals.
	NumberFormatPrecision int
	// FloatPrecision is System Settings, float_precision; 0 means 3.
	FloatPrecision int
	// RoundRowWise is Accounts Settings, round_row_wise_tax.
	RoundRowWise bool
	// SmallestFraction is a currency's smallest_currency_fraction_value, 0
	// when not set. Nil: not set for any currency.
	SmallestFraction func(currency string) float64
	// FieldPrecision is the precision a field has of its own, by its DocType
	// or a Property Setter, ok false for none. Nil: no field has one.
	FieldPrecision func(doctype, field string) (precision int, ok bool)
	// CompanyCurrency is the ISO code of the company's own currency.
	CompanyCurrency string
}

// Refusal is a document the site would not accept. Exception is the class its
// answer names in exc_type: ValidationError comes with status 417, the others
// are failures inside the site with status 500.
type Refusal struct {
	Exception string
	Message   string
}

func (r *Refusal) Error() string { return r.Exception + ": " + r.Message }

func refuse(format string, args ...any) error {
	return &Refusal{Exception: "ValidationError", Message: fmt.Sprintf(format, args...)}
}

// Calculate fills, in place, every amount a site derives in doc: a Sales Order
// or Sales Invoice (field doctype) as ERPNext JSON, numbers being float64,
// json.Number, int or text, "items" and "taxes" []any of map[string]any.
// Amounts are in the document's currency, those of base_ fields in the
// company's. A document without items stays as it is.
//
// A *Refusal says that the site would refuse the document, any other error
// that doc has not the form of such a document; doc is then unchanged.
//
// Before: the caller has filled doctype, currency, conversion_rate,
// apply_discount_on and disable_rounded_total with their defaults, on each row
// price_list_rate, conversion_factor and item_tax_rate (from the row's item tax
// template), and party_account_currency and advances on an invoice.
func Calculate(doc map[string]any, s Settings) error {
	d, err := read(doc, s)
	if err != nil || len(d.lines) == 0 {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	for _, l := range d.lines {
		d.price(l)
	}
	if err := d.pass(); err != nil {
		return err
	}
	if err := d.applyDiscount(); err != nil {
		return err
	}
	if d.cashDiscount() {
		d.takeCashDiscount()
	}
	if err := d.finish(); err != nil {
		return err
	}
	d.write()
	return nil
}

// check is what the site refuses before it calculates anything.
func (d *document) check() error {
	if d.currency == "" || d.currency == d.s.CompanyCurrency {
		d.currency, d.conversion = d.s.CompanyCurrency, 1
	}
	if d.conversion == 0 {
		return refuse("Exchange Rate is mandatory. Maybe Currency Exchange record is not created for %s to %s.",
			d.currency, d.s.CompanyCurrency)
	}
	for i, t := range d.taxes {
		if err := d.checkTax(i, t); err != nil {
			return err
		}
	}
	for _, t := range d.taxes {
		if d.referredIndex(t) < 0 && (t.kind == onPreviousAmount || t.kind == onPreviousTotal) {
			return errNoSuchRow
		}
	}
	return nil
}

// pass calculates the document from its rows' net amounts up. The site does it
// twice when there is a header discount: the second time with the discount
// taken off the rows.
func (d *document) pass() error {
	d.resetTaxes()
	if err := d.takeOutIncludedTaxes(); err != nil {
		return err
	}
	d.sumLines()
	d.chargeLines()
	d.settleDiscountedTotal()
	d.roundTaxes()
	d.absorbIncludedCents()
	d.sumDocument()
	return nil
}

// finish derives what hangs on the totals without changing them.
func (d *document) finish() error {
	d.weight = 0
	for _, l := range d.lines {
		d.weight += l.weight
		l.stockRate = l.rate / l.factor
		l.stockQty = mul(l.qty, l.factor)
		l.grossProfit = d.row.money("amount", mul(l.stockRate-l.valuation, l.stockQty))
	}
	if err := d.commission(); err != nil {
		return err
	}
	if d.doctype == salesInvoice {
		return d.owe()
	}
	return nil
}

func (d *document) commission() error {
	d.commissionRate = d.head.number("commission_rate", d.commissionRate)
	if d.commissionRate < 0 || d.commissionRate > 100 {
		return refuse("commission rate must lie between 0 and 100")
	}
	d.commissionBase = 0
	for _, l := range d.lines {
		if l.earnsCommission {
			d.commissionBase += l.baseNetAmount
		}
	}
	d.totalCommission = d.head.money("total_commission", mul(d.commissionBase, d.commissionRate)/100)
	return nil
}
