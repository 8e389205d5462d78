package totals

// The fields the header discount can be taken off (apply_discount_on).
const (
	grandTotal = "Grand Total"
	netTotal   = "Net Total"
)

// applyDiscount takes the header discount off the rows' net amounts and
// calculates the document anew from there.
func (d *document) applyDiscount() error {
	if d.discountPercent != 0 {
		d.discount = d.head.money("discount_amount", mul(d.discountedField(), d.discountPercent)/100)
	}
	if d.discount == 0 {
		d.baseDiscount = 0
		return nil
	}
	if d.applyOn == "" {
		return refuse("apply_discount_on is missing")
	}
	d.baseDiscount = d.head.money("base_discount_amount", mul(d.discount, d.conversion))
	if d.cashDiscount() {
		d.discounted = true
		return nil
	}
	base := d.discountBase()
	if base == 0 {
		return nil
	}
	d.spreadDiscount(base)
	d.discounted = true
	return d.pass()
}

func (d *document) discountedField() float64 {
	switch d.applyOn {
	case grandTotal:
		return d.grand
	case netTotal:
		return d.net
	default:
		return 0
	}
}

// spreadDiscount gives each row its part of the discount. Cents lost in
// rounding are put right on the row where they appear.
func (d *document) spreadDiscount(base float64) {
	exact, rounded := 0.0, 0.0
	for _, l := range d.lines {
		share := mul(d.discount, l.netAmount) / base
		left := l.netAmount - share
		exact += left
		l.netAmount = d.row.money("net_amount", left)
		rounded += l.netAmount
		lost := d.head.money("net_total", exact-rounded)
		if lost != 0 {
			l.netAmount = d.row.money("net_amount", l.netAmount+lost)
			rounded += lost
		}
		l.spreadDiscount = d.row.money("distributed_discount_amount", share+lost)
		l.netRate = 0
		if l.qty != 0 {
			l.netRate = d.row.money("net_rate", l.netAmount/l.qty)
		}
		d.convertNet(l)
	}
}

// discountBase is the amount the discount is a part of. On the grand total that
// is the total less every tax that stays the same whatever the rows become: an
// Actual one, one by quantity, and what is charged on those.
func (d *document) discountBase() float64 {
	if d.applyOn == netTotal || len(d.taxes) == 0 {
		return d.net
	}
	type fixedTax struct{ amount, running float64 }
	fixed, sum := make(map[int]fixedTax), 0.0
	for i, c := range d.taxes {
		amount := c.amount
		if c.kind != actual && c.kind != onQuantity {
			base, ok := fixed[c.rowID]
			if !ok {
				continue
			}
			on := base.running
			if c.kind == onPreviousAmount {
				on = base.amount
			}
			amount = mul(on, c.rate) / 100
		}
		sum += amount
		fixed[i+1] = fixedTax{amount, sum}
	}
	if d.onGrandTotal() {
		return d.undiscounted - sum
	}
	return d.grand - sum
}

// cashDiscount reports a discount that leaves net amounts and taxes alone and
// is taken off the grand total at the end.
func (d *document) cashDiscount() bool {
	return d.onGrandTotal() && truth(d.raw["is_cash_or_non_trade_discount"])
}

func (d *document) takeCashDiscount() {
	d.grand -= d.discount
	d.baseGrand -= d.baseDiscount
	d.adjustment, d.baseAdjustment = 0, 0
	d.roundTotal()
}

// sumDocument makes the totals of the rows and taxes as they stand.
func (d *document) sumDocument() {
	d.grand, d.taxTotal = d.net, 0
	if len(d.taxes) > 0 {
		d.grand = d.taxes[len(d.taxes)-1].total + d.drift
		d.taxTotal = d.head.money("total_taxes_and_charges", d.grand-d.net-d.drift)
	}
	d.baseTaxTotal = d.head.inCompany("total_taxes_and_charges", d.taxTotal, d.conversion)
	d.baseGrand = d.baseNet
	if d.taxTotal != 0 {
		d.baseGrand = d.head.money("base_grand_total", mul(d.grand, d.conversion))
	}
	d.grand = d.head.money("grand_total", d.grand)
	d.baseGrand = d.head.money("base_grand_total", d.baseGrand)
	d.roundTotal()
}

// roundTotal sets the total a customer pays in coins. A site that does not use
// it leaves base_rounding_adjustment as it was.
func (d *document) roundTotal() {
	if d.noRoundedTotal {
		d.rounded, d.baseRounded, d.adjustment = 0, 0, 0
		return
	}
	fraction := 0.0
	if d.s.SmallestFraction != nil {
		fraction = d.s.SmallestFraction(d.currency)
	}
	d.rounded = toFraction(d.grand, fraction, d.head.moneyDigits("rounded_total"), d.s.RoundingMethod)
	d.adjustment = d.head.money("rounding_adjustment", d.rounded-d.grand)
	d.baseAdjustment = d.head.inCompany("rounding_adjustment", d.adjustment, d.conversion)
	d.baseRounded = d.head.inCompany("rounded_total", d.rounded, d.conversion)
}
