package sandbox

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

var paymentController = controller{
	newDefaults: func(t *tx, d doc) error {
		setDefault(d, "posting_date", t.today())
		setDefault(d, "company", t.setting("Global Defaults", "default_company"))
		return nil
	},
	validate: validatePayment,
	onSubmit: submitPayment,
	onCancel: cancelPayment,
}

// partyAccount is the account of the party in a payment.
func partyAccount(d doc) string {
	if str(d, "payment_type") == "Pay" {
		return str(d, "paid_to")
	}
	return str(d, "paid_from")
}

func partyCurrency(d doc) string {
	if str(d, "payment_type") == "Pay" {
		return str(d, "paid_to_account_currency")
	}
	return str(d, "paid_from_account_currency")
}

func isTransfer(d doc) bool { return str(d, "payment_type") == "Internal Transfer" }

func validatePayment(t *tx, d doc) error {
	return runAll(t, d,
		(*tx).fillPaymentParty, (*tx).fillPaymentAccounts, (*tx).useAdvanceAccount, (*tx).fillReferences, (*tx).checkPaymentKind,
		(*tx).fillExchangeRates, (*tx).checkPaymentAmounts, (*tx).checkReferences, (*tx).sumPayment, (*tx).checkBankReference,
		(*tx).describePayment, (*tx).checkReferenceTwice, (*tx).checkAllocations, (*tx).finishPayment)
}

func (t *tx) fillPaymentParty(d doc) error {
	if isTransfer(d) {
		for _, name := range []string{"party", "party_type", "party_name"} {
			delete(d, name)
		}
		d["references"] = []any{}
		return nil
	}
	if str(d, "payment_type") != "Receive" && str(d, "payment_type") != "Pay" {
		return nil
	}
	if str(d, "party_type") == "" {
		return invalid("Party Type is mandatory")
	}
	if str(d, "party") == "" {
		return invalid("Party is mandatory")
	}
	customer := t.peek("Customer", str(d, "party"))
	d["party_name"] = customer["customer_name"]
	if contact := t.peek("Contact", str(customer, "customer_primary_contact")); contact != nil {
		setDefault(d, "contact_person", contact["name"])
		d["contact_email"] = contact["email_id"]
	}
	field := "paid_from"
	if str(d, "payment_type") == "Pay" {
		field = "paid_to"
	}
	if str(d, field) == "" {
		d[field] = t.receivable(str(d, "party"), str(d, "company"))
	}
	if flt(d["party_balance"]) == 0 {
		d["party_balance"] = t.partyBalance(str(d, "party"), str(d, "posting_date"))
	}
	return nil
}

func (t *tx) fillPaymentAccounts(d doc) error {
	for _, side := range []string{"paid_from", "paid_to"} {
		name := str(d, side)
		if name == "" {
			continue
		}
		account := t.peek("Account", name)
		if account == nil {
			return invalid("Account: %s is not permitted under Payment Entry", name)
		}
		d[side] = account["name"]
		d[side+"_account_currency"] = account["account_currency"]
		d[side+"_account_type"] = account["account_type"]
		if flt(d[side+"_account_balance"]) == 0 {
			d[side+"_account_balance"] = t.balance(name, str(d, "posting_date"))
		}
	}
	return nil
}

// useAdvanceAccount moves an advance to the company's liability account, while
// the payment is a draft.
func (t *tx) useAdvanceAccount(d doc) error {
	company := t.company(str(d, "company"))
	if d["docstatus"] == int64(0) || t.peek("Payment Entry", str(d, "name")) == nil {
		d["book_advance_payments_in_separate_party_account"] = cint(company["book_advance_payments_in_separate_party_account"])
	}
	if cint(d["docstatus"]) > 0 || isTransfer(d) {
		return nil
	}
	d["is_opening"] = "No"
	d["book_advance_payments_in_separate_party_account"] = int64(0)
	if cint(company["book_advance_payments_in_separate_party_account"]) == 0 {
		return nil
	}
	for _, ref := range rows(d, "references") {
		if str(ref, "reference_doctype") != "Sales Order" {
			return nil
		}
	}
	d["book_advance_payments_in_separate_party_account"] = int64(1)
	account := str(company, "default_advance_received_account")
	if account == "" {
		return refuse("ValidationError", "Please set default <strong>Default Advance Received Account</strong> in Company <strong>%s</strong>", str(d, "company"))
	}
	field := "paid_from"
	if str(d, "payment_type") == "Pay" {
		field = "paid_to"
	}
	before := str(d, field)
	d[field] = account
	t.messages = append(t.messages, message{alert: true, text: fmt.Sprintf(
		"Book Advance Payments as Liability option is chosen. Paid From account changed from <strong>%s</strong> to <strong>%s</strong>.", before, account)})
	return nil
}

// fillReferences reads total and outstanding of what is paid.
func (t *tx) fillReferences(d doc) error {
	for _, ref := range rows(d, "references") {
		if flt(ref["allocated_amount"]) == 0 {
			continue
		}
		t.fillReference(d, ref)
	}
	return nil
}

func (t *tx) fillReference(d, ref doc) {
	target := t.peek(str(ref, "reference_doctype"), str(ref, "reference_name"))
	if target == nil {
		return
	}
	currency := partyCurrency(d)
	total := t.orderTotal(target, currency)
	ref["total_amount"] = total
	ref["exchange_rate"] = 1.0
	if currency != t.companyCurrency(d) {
		ref["exchange_rate"] = flt(target["conversion_rate"])
	}
	switch str(ref, "reference_doctype") {
	case "Sales Order":
		ref["outstanding_amount"] = total - flt(target["advance_paid"])
		ref["account"] = t.receivable(str(target, "customer"), str(target, "company"))
	case "Sales Invoice":
		ref["outstanding_amount"] = flt(target["outstanding_amount"])
		ref["account"] = target["debit_to"]
		if target["due_date"] != nil {
			ref["due_date"] = target["due_date"]
		}
	}
	if ref["modified"] != nil {
		ref["modified"] = t.now()
	}
}

func (t *tx) checkPaymentKind(d doc) error {
	if !slices.Contains([]string{"Receive", "Pay", "Internal Transfer"}, str(d, "payment_type")) {
		return invalid("Payment Type must be one of Receive, Pay and Internal Transfer")
	}
	return nil
}

func (t *tx) fillExchangeRates(d doc) error {
	own, from, to := t.companyCurrency(d), str(d, "paid_from_account_currency"), str(d, "paid_to_account_currency")
	if str(d, "paid_from") != "" {
		if from == own {
			d["source_exchange_rate"] = 1.0
		}
		if flt(d["source_exchange_rate"]) == 0 {
			d["source_exchange_rate"] = t.exchangeRate(from, own, str(d, "posting_date"))
		}
	}
	if from == to {
		d["target_exchange_rate"] = d["source_exchange_rate"]
	} else if str(d, "paid_to") != "" && flt(d["target_exchange_rate"]) == 0 {
		d["target_exchange_rate"] = t.exchangeRate(to, own, str(d, "posting_date"))
	}
	return nil
}

func (t *tx) checkPaymentAmounts(d doc) error {
	for _, name := range []string{"paid_amount", "received_amount", "source_exchange_rate", "target_exchange_rate"} {
		if flt(d[name]) == 0 {
			return invalid("%s is mandatory", labelOf(name))
		}
	}
	return nil
}

func (t *tx) checkReferences(d doc) error {
	for _, ref := range rows(d, "references") {
		doctype, name := str(ref, "reference_doctype"), str(ref, "reference_name")
		target := t.peek(doctype, name)
		if flt(ref["allocated_amount"]) == 0 || target == nil {
			continue
		}
		if doctype != "Journal Entry" && str(target, "customer") != str(d, "party") {
			return invalid("%s %s is not associated with %s %s", doctype, name, str(d, "party_type"), str(d, "party"))
		}
		if doctype == "Sales Invoice" && str(target, "debit_to") != partyAccount(d) {
			return invalid("%s %s is associated with %s, but Party Account is %s", doctype, name, str(target, "debit_to"), partyAccount(d))
		}
		if cint(target["docstatus"]) != 1 {
			return invalid("%s %s must be submitted", doctype, name)
		}
	}
	return nil
}

// sumPayment computes a payment's amounts: what it is worth to the company,
// what is allocated, what is left, what exchange rates gained or lost, and what
// remains unexplained.
func (t *tx) sumPayment(d doc) error {
	if str(d, "paid_from_account_currency") == str(d, "paid_to_account_currency") && !isTransfer(d) {
		d["received_amount"] = d["paid_amount"]
	}
	source, target := flt(d["source_exchange_rate"]), flt(d["target_exchange_rate"])
	paid, received := t.money(flt(d["paid_amount"])*source), t.money(flt(d["received_amount"])*target)
	d["base_paid_amount"], d["base_received_amount"] = paid, received
	t.sumAllocated(d, source, target)
	t.sumUnallocated(d, source, target)
	if err := t.fillExchangeGain(d, t.money(paid-received)); err != nil {
		return err
	}
	t.sumDifference(d, source, target)
	if str(d, "paid_from_account_currency") == str(d, "paid_to_account_currency") && flt(d["paid_amount"]) < flt(d["received_amount"]) {
		return invalid("Received Amount cannot be greater than Paid Amount")
	}
	d["paid_amount_after_tax"], d["received_amount_after_tax"] = t.money(flt(d["paid_amount"])), t.money(flt(d["received_amount"]))
	d["base_paid_amount_after_tax"] = t.money(flt(d["paid_amount_after_tax"]) * source)
	d["base_received_amount_after_tax"] = t.money(flt(d["received_amount_after_tax"]) * target)
	return nil
}

func (t *tx) sumAllocated(d doc, source, target float64) {
	if isTransfer(d) {
		return
	}
	rate := source
	if str(d, "payment_type") == "Pay" {
		rate = target
	}
	total, base := 0.0, 0.0
	for _, ref := range rows(d, "references") {
		amount := flt(ref["allocated_amount"])
		total += amount
		worth := t.money(amount * rate)
		base += worth
		if str(ref, "reference_doctype") == "Sales Invoice" {
			ref["exchange_gain_loss"] = worth - t.money(amount*flt(ref["exchange_rate"]))
		}
	}
	d["total_allocated_amount"], d["base_total_allocated_amount"] = math.Abs(total), math.Abs(base)
}

func (t *tx) sumUnallocated(d doc, source, target float64) {
	d["unallocated_amount"] = 0.0
	if str(d, "party") == "" {
		return
	}
	deducted := 0.0
	for _, row := range rows(d, "deductions") {
		if cint(row["is_exchange_gain_loss"]) == 0 {
			deducted += flt(row["amount"])
		}
	}
	allocated := flt(d["base_total_allocated_amount"])
	switch str(d, "payment_type") {
	case "Receive":
		if paid := flt(d["base_paid_amount"]); allocated < paid+deducted {
			d["unallocated_amount"] = (paid + deducted - allocated) / source
		}
	case "Pay":
		if received := flt(d["base_received_amount"]); allocated < received-deducted {
			d["unallocated_amount"] = (received - deducted - allocated) / target
		}
	}
}

// fillExchangeGain keeps the one deduction row that the site makes itself.
func (t *tx) fillExchangeGain(d doc, gain float64) error {
	var kept []doc
	var row doc
	for _, r := range rows(d, "deductions") {
		if cint(r["is_exchange_gain_loss"]) == 0 {
			kept = append(kept, r)
		} else if row == nil && gain != 0 {
			row = r
			kept = append(kept, r)
		}
	}
	setRows(d, "deductions", kept)
	if gain == 0 {
		return nil
	}
	if row == nil {
		company := t.company(str(d, "company"))
		row = t.appendRow(d, "deductions", doc{"account": company["exchange_gain_loss_account"], "cost_center": company["cost_center"], "is_exchange_gain_loss": int64(1)})
	}
	row["amount"] = gain
	return nil
}

func (t *tx) sumDifference(d doc, source, target float64) {
	rate := target
	if str(d, "payment_type") == "Receive" {
		rate = source
	}
	party := flt(d["base_total_allocated_amount"]) + flt(d["unallocated_amount"])*rate
	var difference float64
	switch str(d, "payment_type") {
	case "Receive":
		difference = party - flt(d["base_received_amount"])
	case "Pay":
		difference = flt(d["base_paid_amount"]) - party
	default:
		difference = flt(d["base_paid_amount"]) - flt(d["base_received_amount"])
	}
	for _, row := range rows(d, "deductions") {
		difference -= flt(row["amount"])
	}
	d["difference_amount"] = t.money(difference)
}

func (t *tx) checkBankReference(d doc) error {
	var kept []doc
	for _, ref := range rows(d, "references") {
		if flt(ref["allocated_amount"]) != 0 {
			kept = append(kept, ref)
		}
	}
	setRows(d, "references", kept)
	account := str(d, "paid_from")
	if str(d, "payment_type") == "Receive" {
		account = str(d, "paid_to")
	}
	if str(t.peek("Account", account), "account_type") == "Bank" && (str(d, "reference_no") == "" || str(d, "reference_date") == "") {
		return invalid("Reference No and Reference Date is mandatory for Bank transaction")
	}
	return nil
}

// describePayment writes title and remarks. Amounts appear as they came:
// a whole number sent as 40 is "40", and "40.0" once it was stored.
func (t *tx) describePayment(d doc) error {
	if isTransfer(d) {
		d["title"] = str(d, "paid_from") + " - " + str(d, "paid_to")
	} else {
		d["title"] = cmp.Or(str(d, "party_name"), str(d, "party"))
	}
	if cint(d["custom_remarks"]) == 1 {
		return nil
	}
	amount, way := d["paid_amount"], "received from"
	if str(d, "payment_type") == "Pay" {
		amount, way = d["received_amount"], "to"
	}
	lines := []string{fmt.Sprintf("Amount %s %s %s %s", partyCurrency(d), text(amount), way, str(d, "party"))}
	if isTransfer(d) {
		lines[0] = fmt.Sprintf("Amount %s %s transferred from %s to %s", str(d, "paid_from_account_currency"), text(d["paid_amount"]), str(d, "paid_from"), str(d, "paid_to"))
	}
	if str(d, "reference_no") != "" {
		lines = append(lines, fmt.Sprintf("Transaction reference no %s dated %s", str(d, "reference_no"), cmp.Or(str(d, "reference_date"), "None")))
	}
	for _, ref := range rows(d, "references") {
		lines = append(lines, fmt.Sprintf("Amount %s %s against %s %s", partyCurrency(d), text(ref["allocated_amount"]), str(ref, "reference_doctype"), str(ref, "reference_name")))
	}
	for _, row := range rows(d, "deductions") {
		if flt(row["amount"]) != 0 {
			lines = append(lines, fmt.Sprintf("Amount %s %s deducted against %s", t.companyCurrency(d), text(row["amount"]), str(row, "account")))
		}
	}
	d["remarks"] = strings.Join(lines, "\n")
	return nil
}

func (t *tx) checkReferenceTwice(d doc) error {
	seen := map[string]bool{}
	for i, ref := range rows(d, "references") {
		key := str(ref, "reference_doctype") + " " + str(ref, "reference_name")
		if seen[key] {
			return invalid("Row #%d: Duplicate entry in References %s", i+1, key)
		}
		seen[key] = true
	}
	total := 0.0
	for _, ref := range rows(d, "references") {
		total += flt(ref["allocated_amount"])
	}
	if total < 0 && str(d, "payment_type") == "Receive" {
		return invalid("Cannot receive from customer against negative outstanding").titled("Incorrect Payment Type")
	}
	return nil
}

// checkAllocations asks the live documents, not the rows.
func (t *tx) checkAllocations(d doc) error {
	if isTransfer(d) {
		return nil
	}
	for i, ref := range rows(d, "references") {
		if err := t.checkAllocation(d, i, ref); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) checkAllocation(d doc, i int, ref doc) error {
	doctype, name := str(ref, "reference_doctype"), str(ref, "reference_name")
	target := t.peek(doctype, name)
	if target == nil {
		return nil
	}
	outstanding, open := 0.0, true
	switch doctype {
	case "Sales Order":
		// The database subtracts decimals, not floats.
		outstanding = t.money(t.orderTotal(target, partyCurrency(d)) - flt(target["advance_paid"]))
		open = str(target, "status") != "Closed" && outstanding > 0 && flt(target["per_billed"]) < 99.99
	case "Sales Invoice":
		outstanding = flt(target["outstanding_amount"])
		wanted := 1.0
		if str(d, "payment_type") == "Pay" {
			wanted = -1
		}
		open = outstanding*wanted > 0
	default:
		return nil
	}
	if !open {
		return invalid("%s %s has already been fully paid.", doctype, name)
	}
	amount := flt(ref["allocated_amount"])
	if amount > 0 && amount > outstanding || amount < 0 && amount < outstanding {
		return invalid("Row #%d: Allocated Amount cannot be greater than outstanding amount.", i+1)
	}
	if amount < 0 && outstanding > 0 {
		return invalid("Row #%d: Allocated Amount cannot be greater than outstanding amount.", i+1)
	}
	return nil
}

func (t *tx) finishPayment(d doc) error {
	d["status"] = []string{"Draft", "Submitted", "Cancelled"}[cint(d["docstatus"])]
	d["modified"] = t.now()
	amount, base, currency := flt(d["paid_amount"]), flt(d["base_paid_amount"]), str(d, "paid_from_account_currency")
	if str(d, "payment_type") == "Receive" {
		amount, base, currency = flt(d["received_amount"]), flt(d["base_received_amount"]), str(d, "paid_to_account_currency")
	}
	d["base_in_words"], d["in_words"] = t.inWords(base, t.companyCurrency(d)), t.inWords(amount, currency)
	return nil
}

func submitPayment(t *tx, d doc) error {
	if flt(d["difference_amount"]) != 0 {
		return invalid("Difference Amount must be zero")
	}
	if err := t.openBooks(d); err != nil {
		return err
	}
	if err := t.postPayment(d, false); err != nil {
		return err
	}
	return t.settleReferences(d, 1)
}

func cancelPayment(t *tx, d doc) error {
	d["status"] = "Cancelled"
	t.put("Payment Entry", d)
	t.dropAdvances(str(d, "name"))
	if err := t.postPayment(d, true); err != nil {
		return err
	}
	return t.settleReferences(d, -1)
}

// settleReferences moves what orders and invoices show as paid. The payment's
// rows are read again in between: they see the invoice paid, and the order not
// yet.
func (t *tx) settleReferences(d doc, sign float64) error {
	for _, ref := range rows(d, "references") {
		if str(ref, "reference_doctype") == "Sales Invoice" {
			t.payInvoice(str(ref, "reference_name"), sign*flt(ref["allocated_amount"]))
		}
	}
	if err := t.fillReferences(d); err != nil {
		return err
	}
	t.put("Payment Entry", d)
	for _, ref := range rows(d, "references") {
		if str(ref, "reference_doctype") != "Sales Order" {
			continue
		}
		if err := t.countAdvances(str(ref, "reference_name")); err != nil {
			return err
		}
	}
	return nil
}

// unlinkPayments takes a cancelled document out of the payments that name it;
// the payments stay, unallocated.
func (t *tx) unlinkPayments(doctype, name string) {
	var touched []string
	for _, pe := range t.all("Payment Entry") {
		if cint(pe["docstatus"]) == 2 {
			continue
		}
		changed := cloneDoc(pe)
		kept := slices.DeleteFunc(rows(changed, "references"), func(ref doc) bool {
			return str(ref, "reference_doctype") == doctype && str(ref, "reference_name") == name
		})
		if len(kept) == len(rows(pe, "references")) {
			continue
		}
		setRows(changed, "references", kept)
		t.sumAllocated(changed, flt(changed["source_exchange_rate"]), flt(changed["target_exchange_rate"]))
		t.sumUnallocated(changed, flt(changed["source_exchange_rate"]), flt(changed["target_exchange_rate"]))
		changed["modified"], changed["modified_by"] = t.now(), t.user.name
		t.put("Payment Entry", changed)
		touched = append(touched, str(pe, "name"))
	}
	if len(touched) > 0 {
		t.say("Payment Entries " + strings.Join(touched, "\n") + " are un-linked")
	}
}

// getPaymentEntry builds an unsaved payment of an order or invoice.
func (c *call) getPaymentEntry() (any, error) {
	dt, name := str(c.form, "dt"), str(c.form, "dn")
	target, err := c.get(dt, name)
	if err != nil {
		return nil, err
	}
	party := str(target, "customer")
	account := c.receivable(party, str(target, "company"))
	currency := str(c.peek("Account", account), "account_currency")
	total := c.orderTotal(target, currency)
	outstanding := total - flt(target["advance_paid"])
	if dt == "Sales Invoice" {
		outstanding = flt(target["outstanding_amount"])
	}
	bank := cmp.Or(str(c.form, "bank_account"), str(c.company(str(target, "company")), "default_bank_account"))
	row := doc{"doctype": "Payment Entry Reference", "reference_doctype": dt, "reference_name": name, "allocated_amount": outstanding, "idx": int64(1),
		"docstatus": int64(0), "parentfield": "references", "parenttype": "Payment Entry", "modified": c.now(), "modified_by": c.user.name, "__islocal": int64(1)}
	d := doc{"doctype": "Payment Entry", "owner": c.user.name, "idx": int64(0), "reference_date": c.today(), "payment_type": "Receive", "company": target["company"], "party_type": "Customer", "party": party,
		"paid_from": account, "paid_to": bank, "paid_amount": outstanding, "received_amount": outstanding, "docstatus": int64(0), "posting_date": c.today(),
		"references": []any{row},
		"__islocal":  int64(1), "__unsaved": int64(1)}
	c.applyDefaults(c.types["Payment Entry"], d)
	if err := runAll(c.tx, d, (*tx).fillPaymentParty, (*tx).fillPaymentAccounts, (*tx).fillReferences, (*tx).fillExchangeRates, (*tx).sumPayment); err != nil {
		return nil, err
	}
	for _, name := range []string{"paid_amount_after_tax", "received_amount_after_tax", "base_paid_amount_after_tax", "base_received_amount_after_tax"} {
		d[name] = 0.0 // filled when it is saved
	}
	castAll(c.types, c.types["Payment Entry"], d)
	return c.renderWith(d, false), nil
}
