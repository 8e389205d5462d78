package totals

// price settles a row's rate, discount and amount. A rate of 0 does not stay:
// with a price-list rate and no full discount the site takes the list's price.
func (d *document) price(l *line) {
	switch {
	case l.discountPercent == 100:
		l.rate = 0
	case l.listRate == 0:
	case l.rate == 0 || l.ruled && l.discountPercent > 0:
		l.rate = d.row.money("rate", lessPercent(l.listRate, l.discountPercent))
		l.discount = mul(l.listRate, l.discountPercent/100)
	case l.discount != 0 && l.ruled:
		l.rate = l.listRate - l.discount
	}
	d.addMargin(l)
	l.amount = d.row.money("amount", mul(l.rate, d.billedQty(l)))
	l.netRate, l.netAmount = l.rate, l.amount

	l.baseListRate = d.row.inCompany("price_list_rate", l.listRate, d.conversion)
	l.baseRate = d.row.inCompany("rate", l.rate, d.conversion)
	l.baseAmount = d.row.inCompany("amount", l.amount, d.conversion)
	d.convertNet(l)
}

// addMargin lays a row's margin on the list price; without one the discount is
// simply what the rate is below the list. A rate above the list is noted as a
// margin but not calculated with, so that its discount is negative.
func (d *document) addMargin(l *line) {
	l.rateWithMargin, l.baseRateWithMargin = 0, 0
	switch {
	case l.listRate == 0:
	case !l.ruled && l.rate > l.listRate:
		l.marginType = marginAmount
		l.margin = d.row.number("margin_rate_or_amount", l.rate-l.listRate)
	case l.marginType != "" && l.margin != 0:
		margin := l.margin
		if l.marginType != marginAmount {
			margin = mul(l.listRate, l.margin) / 100
		}
		l.rateWithMargin = l.listRate + margin
		l.baseRateWithMargin = mul(l.rateWithMargin, d.conversion)
	}
	switch {
	case l.rateWithMargin > 0:
		l.rate = d.row.money("rate", lessPercent(l.rateWithMargin, l.discountPercent))
		if l.discount != 0 && l.discountPercent == 0 {
			l.rate = l.rateWithMargin - l.discount
		} else {
			l.discount = l.rateWithMargin - l.rate
		}
	case l.listRate > 0:
		l.discount = l.listRate - l.rate
	}
}

const marginAmount = "Amount"

func lessPercent(value, percent float64) float64 {
	return mul(value, 1-percent/100)
}

// billedQty is the quantity the rate is multiplied with. A return or debit note
// over an amount alone has quantity 0 and counts once.
func (d *document) billedQty(l *line) float64 {
	switch {
	case l.qty != 0:
		return l.qty
	case truth(d.raw["is_return"]):
		return -1
	case truth(d.raw["is_debit_note"]):
		return 1
	default:
		return 0
	}
}

func (d *document) convertNet(l *line) {
	l.baseNetRate = d.row.inCompany("net_rate", l.netRate, d.conversion)
	l.baseNetAmount = d.row.inCompany("net_amount", l.netAmount, d.conversion)
}

// takeOutIncludedTaxes leaves in each row's net amount the price without the
// taxes it includes.
func (d *document) takeOutIncludedTaxes() error {
	if !d.anyIncluded() {
		return nil
	}
	for _, l := range d.lines {
		share, perUnit := d.includedShare(l)
		if d.discounted || l.qty == 0 || share == 0 && perUnit == 0 {
			continue
		}
		if 1+share == 0 {
			return &Refusal{Exception: "ZeroDivisionError", Message: "float division by zero"}
		}
		l.netAmount = d.row.money("net_amount", (l.amount-perUnit)/(1+share))
		l.netRate = d.row.money("net_rate", l.netAmount/l.qty)
		l.discountPercent = d.row.number("discount_percentage", l.discountPercent)
		d.convertNet(l)
	}
	return nil
}

// includedShare is what the included taxes are of a row's net amount, and what
// those by quantity take of the whole row.
func (d *document) includedShare(l *line) (share, byQuantity float64) {
	running := 1.0
	for _, c := range d.taxes {
		fraction, perUnit := d.includedFraction(c, l)
		c.fraction = fraction
		running += fraction
		c.fractionTotal = running
		share += fraction
		byQuantity += mul(perUnit, l.qty)
	}
	return share, byQuantity
}

func (d *document) includedFraction(c *charge, l *line) (fraction, perUnit float64) {
	if !c.included {
		return 0, 0
	}
	rate := d.rateFor(c, l)
	switch c.kind {
	case onNetTotal:
		return rate / 100, 0
	case onPreviousAmount:
		return mul(rate/100, d.referred(c).fraction), 0
	case onPreviousTotal:
		return mul(rate/100, d.referred(c).fractionTotal), 0
	case onQuantity:
		return 0, rate
	default:
		return 0, 0
	}
}

func (d *document) anyIncluded() bool {
	for _, c := range d.taxes {
		if c.included {
			return true
		}
	}
	return false
}

// sumLines adds the rows up. The quantity is the one sum that is not rounded.
func (d *document) sumLines() {
	d.qty, d.total, d.baseTotal, d.net, d.baseNet = 0, 0, 0, 0, 0
	for _, l := range d.lines {
		d.qty += l.qty
		d.total += l.amount
		d.baseTotal += l.baseAmount
		d.net += l.netAmount
		d.baseNet += l.baseNetAmount
	}
	d.total = d.head.money("total", d.total)
	d.baseTotal = d.head.money("base_total", d.baseTotal)
	d.net = d.head.money("net_total", d.net)
	d.baseNet = d.head.money("base_net_total", d.baseNet)
}
