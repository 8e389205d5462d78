package sandbox

import "fmt"

// openBooks refuses a posting date outside the books.
func (t *tx) openBooks(d doc) error {
	date := str(d, "posting_date")
	if frozen := text(t.setting("Accounts Settings", "acc_frozen_upto")); frozen != "" && date <= frozen {
		return invalid("You are not authorized to add or update entries before %s", t.shownDate(frozen))
	}
	if err := t.openPeriod(d, date); err != nil {
		return err
	}
	for _, year := range t.all("Fiscal Year") {
		if str(year, "year_start_date") <= date && date <= str(year, "year_end_date") && cint(year["disabled"]) == 0 {
			return nil
		}
	}
	f := newFailure("FiscalYearError", fmt.Sprintf("Date %s is not in any active Fiscal Year for <strong>%s</strong>", t.shownDate(date), str(d, "company")))
	f.source, f.raw = inApp, true
	f.message = &message{text: f.text}
	return f
}

// openPeriod refuses what an Accounting Period or a Period Closing Voucher has
// closed (erpnext/accounts/general_ledger.py).
func (t *tx) openPeriod(d doc, date string) error {
	for _, period := range t.all("Accounting Period") {
		if str(period, "company") != str(d, "company") || date < str(period, "start_date") || date > str(period, "end_date") {
			continue
		}
		for _, row := range rows(period, "closed_documents") {
			if str(row, "document_type") == str(d, "doctype") && cint(row["closed"]) == 1 {
				return refuse("ClosedAccountingPeriod", "You cannot create or cancel any accounting entries with in the closed Accounting Period <strong>%s</strong>", str(period, "name"))
			}
		}
	}
	for _, voucher := range t.all("Period Closing Voucher") {
		end := str(voucher, "period_end_date")
		if cint(voucher["docstatus"]) == 1 && str(voucher, "company") == str(d, "company") && date <= end {
			return invalid("Books have been closed till the period ending on %s", t.shownDate(end))
		}
	}
	return nil
}

// shownDate is a date in the site's format, mm-dd-yyyy.
func (t *tx) shownDate(date string) string {
	if len(date) != len("2006-01-02") {
		return date
	}
	return date[5:7] + "-" + date[8:] + "-" + date[:4]
}

// entry is one line of the ledger.
type entry struct {
	account       string
	party         string
	debit, credit float64 // company currency
	own           float64 // debit less credit in the account's currency
	against       string
	remarks       string
	costCenter    string
	voucherType   string // what is settled
	voucher       string
}

// post writes ledger lines for a document, or takes them back.
func (t *tx) post(d doc, lines []entry, cancel bool) error {
	for _, gl := range t.all("GL Entry") {
		if cancel && str(gl, "voucher_no") == str(d, "name") {
			t.set("GL Entry", str(gl, "name"), false, doc{"is_cancelled": int64(1)})
		}
	}
	if cancel {
		return nil
	}
	for _, l := range lines {
		account := t.peek("Account", l.account)
		if cint(account["is_group"]) == 1 {
			return throw("ValidationError", fmt.Sprintf("%s %s: Account %s is a Group Account and group accounts cannot be used in transactions",
				str(d, "doctype"), str(d, "name"), l.account)).from(inApp)
		}
		gl := doc{
			"doctype": "GL Entry", "name": t.rowName(), "posting_date": d["posting_date"], "account": l.account, "debit": l.debit, "credit": l.credit,
			"debit_in_account_currency": max(l.own, 0), "credit_in_account_currency": max(-l.own, 0), "account_currency": account["account_currency"],
			"against": l.against, "voucher_type": d["doctype"], "voucher_no": d["name"], "company": d["company"], "remarks": l.remarks,
			"is_cancelled": int64(0), "docstatus": int64(1),
			"owner": t.user.name, "creation": t.now(),
		}
		if l.costCenter != "" {
			gl["cost_center"] = l.costCenter
		}
		if l.voucher != "" {
			gl["against_voucher_type"], gl["against_voucher"] = l.voucherType, l.voucher
		}
		if l.party != "" {
			gl["party_type"], gl["party"] = "Customer", l.party
		}
		t.put("GL Entry", gl)
	}
	return nil
}

func (t *tx) postPayment(d doc, cancel bool) error {
	var lines []entry
	party := ""
	if !isTransfer(d) {
		party = str(d, "party")
	}
	from := entry{account: str(d, "paid_from"), credit: flt(d["base_paid_amount"]), own: -flt(d["paid_amount"]), against: str(d, "paid_to")}
	to := entry{account: str(d, "paid_to"), debit: flt(d["base_received_amount"]), own: flt(d["received_amount"]), against: str(d, "paid_from")}
	allocated := flt(d["total_allocated_amount"]) + flt(d["unallocated_amount"])
	switch str(d, "payment_type") {
	case "Receive":
		from.party, to.against = party, party
		from.own, from.credit = -allocated, t.money(allocated*flt(d["source_exchange_rate"]))
	case "Pay":
		to.party, from.against = party, party
		to.own, to.debit = allocated, t.money(allocated*flt(d["target_exchange_rate"]))
	}
	lines = append(lines, from, to)
	if refs := rows(d, "references"); len(refs) == 1 && flt(d["unallocated_amount"]) == 0 {
		side := &lines[0]
		if str(d, "payment_type") == "Pay" {
			side = &lines[1]
		}
		side.voucherType, side.voucher = str(refs[0], "reference_doctype"), str(refs[0], "reference_name")
	}
	for _, row := range rows(d, "deductions") {
		amount := flt(row["amount"])
		l := entry{account: str(row, "account"), debit: max(amount, 0), credit: max(-amount, 0), own: amount, against: party, costCenter: str(row, "cost_center")}
		lines = append(lines, l)
	}
	for i := range lines {
		lines[i].remarks = str(d, "remarks")
	}
	return t.post(d, lines, cancel)
}

// balance of an account in its own currency, up to a day.
func (t *tx) balance(account, date string) float64 {
	sum := 0.0
	for _, gl := range t.all("GL Entry") {
		if str(gl, "account") == account && cint(gl["is_cancelled"]) == 0 && str(gl, "posting_date") <= date {
			sum += flt(gl["debit_in_account_currency"]) - flt(gl["credit_in_account_currency"])
		}
	}
	return t.money(sum)
}

// partyBalance of a customer in company currency, up to a day.
func (t *tx) partyBalance(party, date string) float64 {
	sum := 0.0
	for _, gl := range t.all("GL Entry") {
		if str(gl, "party") == party && cint(gl["is_cancelled"]) == 0 && str(gl, "posting_date") <= date {
			sum += flt(gl["debit"]) - flt(gl["credit"])
		}
	}
	return t.money(sum)
}
