package totals

import "cmp"

// owe sets what is left to pay of an invoice: advances, and on a draft the
// outstanding amount. A submitted invoice's outstanding amount follows from its
// ledger entries instead.
func (d *document) owe() error {
	status := number(d.raw["docstatus"])
	if status == 2 {
		return nil
	}
	if err := d.countAdvances(); err != nil {
		return err
	}
	if status != 0 {
		return nil
	}
	d.paid, d.basePaid, d.change, d.baseChange = 0, 0, 0, 0
	if d.settlesAnother() {
		d.outstanding = 0
		return nil
	}
	d.grand = d.head.money("grand_total", d.grand)
	d.writeOff = d.head.money("write_off_amount", d.writeOff)
	d.baseWriteOff = d.head.inCompany("write_off_amount", d.writeOff, d.conversion)
	due := d.head.money("grand_total", cmp.Or(d.rounded, d.grand)-d.advance-d.writeOff)
	if !d.inPartyCurrency() {
		due = d.head.money("base_grand_total", cmp.Or(d.baseRounded, d.baseGrand)-d.advance-d.baseWriteOff)
	}
	d.outstanding = d.head.money("outstanding_amount", due)
	return nil
}

// countAdvances adds up the advances the invoice names. They are in the
// currency of the party's account, and so is the total they may not exceed.
func (d *document) countAdvances() error {
	advances, err := rows(d.raw, "advances")
	if err != nil {
		return err
	}
	table := table{d.s, "Sales Invoice Advance"}
	sum := 0.0
	for _, row := range advances {
		sum += table.money("allocated_amount", number(row["allocated_amount"]))
	}
	d.advance = d.head.money("total_advance", sum)
	payable := cmp.Or(d.rounded, d.grand)
	total := d.head.money("grand_total", payable-d.writeOff)
	if !d.inPartyCurrency() {
		written := d.head.money("base_write_off_amount", mul(d.writeOff, d.conversion))
		total = d.head.money("grand_total", mul(payable, d.conversion)) - written
	}
	if total > 0 && d.advance > total {
		return refuse("the advances are more than the invoice's %s", pythonFloat(total))
	}
	return nil
}

// settlesAnother reports a return whose amount is set against the invoice it
// returns, so that nothing is open on the return itself.
func (d *document) settlesAnother() bool {
	return truth(d.raw["is_return"]) && filled(d.raw["return_against"]) && !truth(d.raw["update_outstanding_for_self"])
}

// inPartyCurrency reports whether the party's account is kept in the
// document's currency; without a word about it, it is.
func (d *document) inPartyCurrency() bool {
	account := text(d.raw["party_account_currency"])
	return account == "" || account == d.currency
}

// PaymentSchedule is the one row a site makes when no payment terms are given:
// all that is to be paid of a calculated document, on its due date or else its
// own. Advances in a foreign currency are converted to two decimals.
func PaymentSchedule(doc map[string]any) []map[string]any {
	due := cmp.Or(number(doc["rounded_total"]), number(doc["grand_total"]))
	base := cmp.Or(number(doc["base_rounded_total"]), number(doc["base_grand_total"]))
	if text(doc["doctype"]) == salesInvoice {
		due, base = lessPaid(doc, due-number(doc["write_off_amount"]), base-number(doc["base_write_off_amount"]))
	}
	date := cmp.Or(text(doc["due_date"]), text(doc["posting_date"]), text(doc["transaction_date"]))
	return []map[string]any{{
		"due_date": date, "invoice_portion": 100.0, "discount": 0.0, "discounted_amount": 0.0,
		"payment_amount": due, "outstanding": due, "paid_amount": 0.0,
		"base_payment_amount": base, "base_outstanding": base, "base_paid_amount": 0.0,
	}}
}

// lessPaid takes the advances off an invoice's two totals. They are in the
// currency of the party's account.
func lessPaid(doc map[string]any, due, base float64) (float64, float64) {
	advance, conversion := number(doc["total_advance"]), number(doc["conversion_rate"])
	account := text(doc["party_account_currency"])
	switch {
	case advance == 0:
	case conversion == 1 || conversion == 0:
		due, base = due-advance, base-advance
	case account == "" || account == text(doc["currency"]):
		due -= advance
		base = Round(mul(due, conversion), 2, Bankers)
	default:
		base -= advance
		due = Round(base/conversion, 2, Bankers)
	}
	return exact(due), exact(base)
}

// exact removes what binary subtraction leaves behind the last digit.
func exact(value float64) float64 { return Round(value, maxDigits, Bankers) }
