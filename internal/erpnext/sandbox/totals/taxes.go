package totals

import (
	"math"
)

// The ways in which a tax row can be charged (its charge_type).
const (
	actual           = "Actual"
	onNetTotal       = "On Net Total"
	onPreviousAmount = "On Previous Row Amount"
	onPreviousTotal  = "On Previous Row Total"
	onQuantity       = "On Item Quantity"
)

var errNoSuchRow = &Refusal{Exception: "IndexError", Message: "list index out of range"}

// checkTax refuses what the site refuses in one tax row. Only the text about
// Actual rows is the site's own wording.
func (d *document) checkTax(index int, c *charge) error {
	position := index + 1
	switch c.kind {
	case actual, onNetTotal:
		if c.refers {
			return refuse("tax row %d: only a row charged on a previous row may name one", position)
		}
	case onPreviousAmount, onPreviousTotal:
		switch {
		case index == 0:
			return refuse("tax row 1: the first row has no previous row")
		case !c.refers:
			return refuse("tax row %d: row_id is missing", position)
		case c.rowID >= position:
			return refuse("tax row %d: row_id names no earlier row", position)
		}
	}
	if !c.included {
		return nil
	}
	return d.checkIncluded(position, c)
}

func (d *document) checkIncluded(position int, c *charge) error {
	switch c.kind {
	case actual:
		return refuse("Charge of type 'Actual' in row %d cannot be included in Item Rate or Paid Amount", position)
	case onPreviousAmount:
		if d.referredIndex(c) < 0 {
			return errNoSuchRow
		}
		if !d.referred(c).included {
			return refuse("tax row %d: row %d must be included in the prices too", position, c.rowID)
		}
	case onPreviousTotal:
		for _, before := range d.taxes[:max(d.referredIndex(c), 0)] {
			if !before.included {
				return refuseRange(position, c)
			}
		}
	}
	return nil
}

// refuseRange is how the site refuses a row whose earlier rows are not included.
// It fails over its own message when row_id is text.
func refuseRange(position int, c *charge) error {
	if _, ok := c.raw["row_id"].(string); ok {
		return &Refusal{Exception: "TypeError", Message: "%d format: a real number is required, not str"}
	}
	return refuse("tax row %d: rows 1 to %d must be included in the prices too", position, c.rowID)
}

// referred is the row a tax is charged on.
func (d *document) referred(c *charge) *charge { return d.taxes[d.referredIndex(c)] }

// referredIndex counts from the end when row_id is below 1, as Python does; it
// is negative when there are not so many rows.
func (d *document) referredIndex(c *charge) int {
	index := c.rowID - 1
	if index < 0 {
		index += len(d.taxes)
	}
	return index
}

// rateFor is a tax row's rate for one item: the item tax template's when it
// names the row's account.
func (d *document) rateFor(c *charge, l *line) float64 {
	if rate, ok := l.templateRates[c.account]; ok {
		return d.tax.number("rate", rate)
	}
	return c.rate
}

// onGrandTotal reports whether the header discount is on the grand total. Tax
// rows then keep their amount from before the discount.
func (d *document) onGrandTotal() bool { return d.applyOn == grandTotal }

func (d *document) resetTaxes() {
	for _, c := range d.taxes {
		if c.kind != actual && !(d.discounted && d.onGrandTotal()) {
			c.amount = 0
		}
		c.detail = breakdown{}
		c.total, c.charged = 0, 0
		c.fraction, c.fractionTotal, c.current, c.currentTotal = 0, 0, 0, 0
	}
}

// chargeLines charges every tax on every item. What an Actual amount leaves
// over after its distribution goes to the last item.
func (d *document) chargeLines() {
	left := make([]float64, len(d.taxes))
	for i, c := range d.taxes {
		left[i] = c.amount
	}
	for n, l := range d.lines {
		running := l.netAmount
		for i, c := range d.taxes {
			amount := d.taxOn(l, c)
			if d.s.RoundRowWise {
				amount = d.tax.money("tax_amount", amount)
			}
			if c.kind == actual {
				left[i] -= amount
				if n == len(d.lines)-1 {
					amount += left[i]
				}
			} else if !(d.discounted && d.onGrandTotal()) {
				c.amount += amount
			}
			c.current = amount
			c.charged += amount
			running += amount
			c.currentTotal = running
		}
	}
}

// taxOn is one tax on one item, noted in the tax's breakdown.
func (d *document) taxOn(l *line, c *charge) float64 {
	rate, amount := d.rateFor(c, l), 0.0
	switch c.kind {
	case actual:
		if d.net != 0 {
			amount = mul(l.netAmount, c.amount) / d.net
		}
	case onNetTotal:
		amount = mul(rate/100, l.netAmount)
	case onPreviousAmount:
		amount = mul(rate/100, d.referred(c).current)
	case onPreviousTotal:
		amount = mul(rate/100, d.referred(c).currentTotal)
	case onQuantity:
		amount = mul(rate, l.qty)
	}
	d.note(c, l.key, rate, mul(amount, d.conversion))
	return amount
}

// note enters a tax on an item into the breakdown. Row-wise rounding rounds the
// company-currency amount there, each one and their sum.
func (d *document) note(c *charge, item string, rate, amount float64) {
	if !d.s.RoundRowWise {
		c.detail.add(item, rate, amount)
		return
	}
	amount = d.tax.money("tax_amount", amount)
	before, _ := c.detail.of(item)
	c.detail.set(item, rate, d.tax.money("tax_amount", amount+before))
}

// wholeAmounts reports that the breakdown's amounts are integers to the site:
// legacy rounding without decimals makes them so.
func (d *document) wholeAmounts() bool {
	legacy := d.s.RoundingMethod != Bankers && d.s.RoundingMethod != Commercial
	return d.s.RoundRowWise && legacy && d.tax.moneyDigits("tax_amount") == 0
}

// settleDiscountedTotal watches a header discount on the grand total: after the
// second pass the grand total must be the first one less the discount, and
// what rounding made of it is kept as drift.
func (d *document) settleDiscountedTotal() {
	if len(d.taxes) == 0 || !d.onGrandTotal() {
		return
	}
	if !d.discounted && d.discount == 0 && d.discountPercent == 0 {
		return
	}
	for i, c := range d.taxes {
		if d.discounted {
			c.charged = d.tax.money("tax_amount", c.charged)
		}
		d.runTotal(i, c)
	}
	last := d.taxes[len(d.taxes)-1].total
	if d.discounted {
		d.drift = d.head.money("grand_total", d.undiscounted-d.discount-last)
		return
	}
	d.undiscounted = last
}

func (d *document) roundTaxes() {
	for i, c := range d.taxes {
		c.amount = d.tax.money("tax_amount", c.amount)
		c.charged = d.tax.money("tax_amount", c.charged)
		c.baseAmount = d.tax.inCompany("tax_amount", c.amount, d.conversion)
		c.baseCharge = d.tax.inCompany("tax_amount_after_discount_amount", c.charged, d.conversion)
		d.runTotal(i, c)
		c.baseTotal = d.tax.inCompany("total", c.total, d.conversion)
	}
}

func (d *document) runTotal(index int, c *charge) {
	before := d.net
	if index > 0 {
		before = d.taxes[index-1].total
	}
	c.total = d.tax.money("total", before+c.charged)
}

// absorbIncludedCents keeps the grand total at the sum of the prices: a few
// cents that net amounts and included taxes lost in rounding become drift.
func (d *document) absorbIncludedCents() {
	if !d.anyIncluded() {
		return
	}
	last := d.taxes[len(d.taxes)-1]
	excluded := 0.0
	for _, c := range d.taxes {
		if !c.included {
			excluded += c.charged
		}
	}
	gap := d.total + excluded - d.tax.money("total", last.total)
	if d.discounted {
		gap -= d.discount
	}
	gap = d.head.money("rounding_adjustment", gap)
	d.drift = 0
	if math.Abs(gap) <= tolerance(d.tax.moneyDigits("tax_amount")) {
		d.drift = gap
	}
}
