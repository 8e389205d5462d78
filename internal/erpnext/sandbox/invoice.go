package sandbox

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

var invoiceController = controller{
	newDefaults: func(t *tx, d doc) error {
		setDefault(d, "posting_date", t.today())
		if title := str(d, "title"); title == "" {
			d["title"] = cmp.Or(str(t.peek("Customer", str(d, "customer")), "customer_name"), "{customer_name}")
		}
		return sellingDefaults(t, d)
	},
	validate: validateInvoice,
	onSubmit: submitInvoice,
	onCancel: cancelInvoice,
}

func isReturn(d doc) bool { return cint(d["is_return"]) == 1 }

func validateInvoice(t *tx, d doc) error {
	return runAll(t, d, (*tx).fillInvoice, (*tx).checkReturn, func(t *tx, d doc) error { return t.refuseClosedOrders(d, "sales_order") }, (*tx).checkInvoice)
}

func (t *tx) fillInvoice(d doc) error {
	if err := t.fillParty(d); err != nil {
		return err
	}
	if err := t.fillCurrency(d); err != nil {
		return err
	}
	setDefault(d, "debit_to", t.receivable(str(d, "customer"), str(d, "company")))
	d["party_account_currency"] = t.peek("Account", str(d, "debit_to"))["account_currency"]
	setDefault(d, "po_no", "")
	if str(d, "due_date") == "" {
		d["due_date"] = d["posting_date"]
	}
	company := t.company(str(d, "company"))
	var income []string
	for _, row := range rows(d, "items") {
		if err := t.fillItem(d, row); err != nil {
			return err
		}
		setDefault(row, "income_account", company["default_income_account"])
		setDefault(row, "expense_account", company["default_expense_account"])
		t.fillPrice(d, row, str(d, "posting_date"))
		if account := str(row, "income_account"); !slices.Contains(income, account) {
			income = append(income, account)
		}
	}
	d["against_income_account"] = strings.Join(income, ",")
	return nil
}

func (t *tx) checkInvoice(d doc) error {
	if err := t.checkItems(d); err != nil {
		return err
	}
	if err := t.checkTaxAccounts(d); err != nil {
		return err
	}
	if err := t.calculate(d); err != nil {
		return err
	}
	if flt(d["base_grand_total"]) < 0 && !isReturn(d) {
		return invalid("Incorrect value:Grand Total (Company Currency) must be >= 0.0")
	}
	if err := t.checkWholeUnits(d); err != nil {
		return err
	}
	t.announceAdvances(d)
	if cint(d["allocate_advances_automatically"]) == 1 {
		t.pullAdvances(d)
	}
	if isReturn(d) {
		setDefault(d, "payment_terms_template", "")
		d["payment_schedule"] = []any{}
	} else {
		t.schedule(d)
	}
	t.wordTotals(d)
	if cint(d["docstatus"]) == 1 && t.peek("Sales Invoice", str(d, "name")) != nil {
		d["status"] = t.invoiceStatus(d, flt(d["outstanding_amount"]))
		if len(rows(d, "advances")) > 0 && !isReturn(d) {
			d["status"] = "Submitted"
		}
	}
	if cint(d["docstatus"]) == 1 {
		setDefault(d, "remarks", "No Remarks")
	}
	return nil
}

func (t *tx) checkReturn(d doc) error {
	against := t.peek("Sales Invoice", str(d, "return_against"))
	if !isReturn(d) || against == nil {
		return nil
	}
	if cint(orOne(d["update_outstanding_for_self"])) == 1 {
		link := t.formLink("Sales Invoice", str(against, "name"))
		t.say(fmt.Sprintf("We can see <strong>Credit Note</strong> is made against %s. If you want %s's outstanding to be updated, uncheck "+
			"'<strong>Update Outstanding for Self</strong>' checkbox. <br><br>Or you can use <a href=\"http://%s/app/payment-reconciliation/"+
			"Payment%%20Reconciliation\">Payment Reconciliation</a> tool to reconcile against %s later.", link, link, t.host, link))
	}
	for i, row := range rows(d, "items") {
		source := str(row, "sales_invoice_item")
		if source == "" {
			t.say(fmt.Sprintf("Row # %d: Returned Item %s does not exist in Sales Invoice %s", i+1, str(row, "item_code"), str(against, "name")))
			continue
		}
		left := t.leftToReturn(str(against, "name"), source, str(d, "name"))
		if -flt(row["qty"]) > left {
			return refuse("StockOverReturnError", "Row # %d: Cannot return more than %s for Item %s", i+1, pyFloat(left), str(row, "item_code"))
		}
	}
	return nil
}

func orOne(v any) any {
	if v == nil {
		return int64(1)
	}
	return v
}

// leftToReturn is the quantity of an invoice's row that no submitted return
// took back.
func (t *tx) leftToReturn(invoice, row, except string) float64 {
	left := 0.0
	for _, r := range rows(t.peek("Sales Invoice", invoice), "items") {
		if str(r, "name") == row {
			left = flt(r["qty"])
		}
	}
	for _, other := range t.all("Sales Invoice") {
		if str(other, "return_against") != invoice || cint(other["docstatus"]) != 1 || str(other, "name") == except {
			continue
		}
		for _, r := range rows(other, "items") {
			if str(r, "sales_invoice_item") == row {
				left += flt(r["qty"])
			}
		}
	}
	return left
}

// advance is money of the customer that an invoice can use.
type advance struct {
	payment doc
	row     string // the reference to an order, "" for an unallocated rest
	amount  float64
}

func (t *tx) advances(d doc) []advance {
	orders := map[string]bool{}
	for _, row := range rows(d, "items") {
		if name := str(row, "sales_order"); name != "" {
			orders[name] = true
		}
	}
	var linked, free []advance
	for _, pe := range t.all("Payment Entry") {
		if cint(pe["docstatus"]) != 1 || str(pe, "party") != str(d, "customer") || str(pe, "payment_type") != "Receive" || str(pe, "paid_from") != str(d, "debit_to") {
			continue
		}
		for _, ref := range rows(pe, "references") {
			if str(ref, "reference_doctype") == "Sales Order" && orders[str(ref, "reference_name")] {
				linked = append(linked, advance{pe, str(ref, "name"), flt(ref["allocated_amount"])})
			}
		}
		if rest := flt(pe["unallocated_amount"]); rest > 0 {
			free = append(free, advance{pe, "", rest})
		}
	}
	return append(linked, free...)
}

func (t *tx) announceAdvances(d doc) {
	if isReturn(d) {
		return
	}
	taken := map[string]bool{}
	for _, row := range rows(d, "advances") {
		taken[str(row, "reference_name")] = true
	}
	for _, a := range t.advances(d) {
		if a.row == "" || taken[str(a.payment, "name")] {
			continue
		}
		for _, ref := range rows(a.payment, "references") {
			if str(ref, "name") == a.row {
				t.say(fmt.Sprintf("Payment Entry %s is linked against Order %s, check if it should be pulled as advance in this invoice.",
					str(a.payment, "name"), str(ref, "reference_name")))
			}
		}
	}
}

func (t *tx) pullAdvances(d doc) {
	left := cmp.Or(flt(d["rounded_total"]), flt(d["grand_total"]))
	d["advances"] = []any{}
	for _, a := range t.advances(d) {
		amount := min(left, a.amount)
		if amount == 0 {
			continue
		}
		left -= amount
		row := doc{"reference_type": "Payment Entry", "reference_name": a.payment["name"], "remarks": a.payment["remarks"], "advance_amount": a.amount,
			"allocated_amount": amount, "ref_exchange_rate": 1.0, "exchange_gain_loss": 0.0, "difference_posting_date": d["posting_date"]}
		if a.row != "" {
			row["reference_row"] = a.row
		}
		t.appendRow(d, "advances", row)
	}
}

func (t *tx) invoiceStatus(d doc, outstanding float64) string {
	total := cmp.Or(flt(d["rounded_total"]), flt(d["grand_total"]))
	switch {
	case cint(d["docstatus"]) == 2:
		return "Cancelled"
	case isReturn(d):
		return "Return"
	case outstanding <= 0:
		return "Paid"
	case str(d, "due_date") < t.today() && outstanding >= total:
		return "Overdue"
	case outstanding < total:
		return "Partly Paid"
	}
	return "Unpaid"
}

func submitInvoice(t *tx, d doc) error {
	if err := t.openBooks(d); err != nil {
		return err
	}
	if err := t.postInvoice(d, false); err != nil {
		return err
	}
	outstanding := cmp.Or(flt(d["rounded_total"]), flt(d["grand_total"]))
	for _, row := range rows(d, "advances") {
		if amount := flt(row["allocated_amount"]); amount > 0 {
			t.relink(d, row, amount)
			outstanding = t.money(outstanding - amount)
		}
	}
	values := doc{"outstanding_amount": outstanding, "status": t.invoiceStatus(d, outstanding), "remarks": cmp.Or(str(d, "remarks"), "No Remarks")}
	d["remarks"] = values["remarks"]
	t.set("Sales Invoice", str(d, "name"), false, values)
	return t.billOrders(d, 1)
}

// relink moves a payment's money from an order, or from its unallocated rest,
// to the invoice.
func (t *tx) relink(d, row doc, amount float64) {
	pe := t.peek("Payment Entry", str(row, "reference_name"))
	if pe == nil {
		return
	}
	pe = cloneDoc(pe)
	var kept []doc
	for _, ref := range rows(pe, "references") {
		if str(ref, "name") == str(row, "reference_row") {
			left := t.money(flt(ref["allocated_amount"]) - amount)
			if left <= 0 {
				continue
			}
			ref["allocated_amount"] = left
		}
		kept = append(kept, ref)
	}
	before := len(rows(pe, "references"))
	setRows(pe, "references", kept)
	ref := t.appendRow(pe, "references", doc{"reference_doctype": "Sales Invoice", "reference_name": d["name"], "allocated_amount": amount,
		"due_date": d["due_date"], "total_amount": cmp.Or(flt(d["rounded_total"]), flt(d["grand_total"])), "outstanding_amount": 0.0,
		"exchange_rate": 1.0, "account": d["debit_to"]})
	ref["idx"] = int64(before + 1)
	castDoc(t.types["Payment Entry Reference"], ref)
	t.sumAllocated(pe, flt(pe["source_exchange_rate"]), flt(pe["target_exchange_rate"]))
	t.sumUnallocated(pe, flt(pe["source_exchange_rate"]), flt(pe["target_exchange_rate"]))
	pe["modified"], pe["modified_by"] = t.now(), t.user.name
	t.put("Payment Entry", pe)
}

// billOrders counts an invoice into the orders of its rows, or out of them, row
// by row. Returns do not re-open an order unless asked.
func (t *tx) billOrders(d doc, sign float64) error {
	if isReturn(d) && cint(d["update_billed_amount_in_sales_order"]) == 0 {
		return nil
	}
	for _, name := range ordersOf(d, "sales_order") {
		order := t.peek("Sales Order", name)
		if order == nil {
			continue
		}
		order = cloneDoc(order)
		for _, row := range rows(order, "items") {
			before, billed := flt(row["billed_amt"]), flt(row["billed_amt"])
			for _, r := range rows(d, "items") {
				if str(r, "so_detail") == str(row, "name") {
					billed += sign * flt(r["amount"])
				}
			}
			row["billed_amt"] = t.money(billed)
			if err := t.overLimit(row, "amount", "billed_amt", before, d, sign > 0); err != nil {
				return err
			}
		}
		order["per_billed"] = percentOf(order, "amount", "billed_amt")
		order["billing_status"] = progress(flt(order["per_billed"]), "Billed")
		order["status"] = t.keptStatus(order)
		order["modified"] = t.now()
		t.put("Sales Order", order)
		t.billNotes(name)
	}
	return nil
}

func (t *tx) postInvoice(d doc, cancel bool) error {
	total := cmp.Or(flt(d["base_rounded_total"]), flt(d["base_grand_total"]))
	own := cmp.Or(flt(d["rounded_total"]), flt(d["grand_total"]))
	if str(d, "party_account_currency") == t.companyCurrency(d) {
		own = total
	}
	lines := []entry{{account: str(d, "debit_to"), party: str(d, "customer"), debit: max(total, 0), credit: max(-total, 0), own: own,
		against: str(d, "against_income_account"), voucherType: "Sales Invoice", voucher: str(d, "name")}}
	add := func(account string, amount float64, center string) {
		if amount != 0 {
			lines = append(lines, entry{account: account, credit: max(amount, 0), debit: max(-amount, 0), own: -amount, against: str(d, "customer"), costCenter: center})
		}
	}
	for _, row := range rows(d, "items") {
		add(str(row, "income_account"), flt(row["base_net_amount"]), str(row, "cost_center"))
	}
	for _, row := range rows(d, "taxes") {
		add(str(row, "account_head"), flt(row["base_tax_amount_after_discount_amount"]), str(row, "cost_center"))
	}
	return t.post(d, lines, cancel)
}

func cancelInvoice(t *tx, d doc) error {
	if err := t.postInvoice(d, true); err != nil {
		return err
	}
	if cint(t.setting("Accounts Settings", "unlink_payment_on_cancellation_of_invoice")) == 1 {
		t.unlinkPayments("Sales Invoice", str(d, "name"))
	}
	if err := t.billOrders(d, -1); err != nil {
		return err
	}
	d["status"], d["advances"], d["total_advance"] = "Cancelled", []any{}, 0.0
	t.put("Sales Invoice", d)
	return nil
}

// payInvoice moves what is outstanding; a negative amount takes a payment back.
func (t *tx) payInvoice(name string, amount float64) {
	d := t.peek("Sales Invoice", name)
	if d == nil {
		return
	}
	outstanding := t.money(flt(d["outstanding_amount"]) - amount)
	status := t.invoiceStatus(d, outstanding)
	if amount < 0 && !isReturn(d) && status != "Partly Paid" && status != "Paid" {
		status = "Submitted" // the site forgets the due date here
	}
	t.set("Sales Invoice", name, true, doc{"outstanding_amount": outstanding, "status": status})
}

// dropAdvances takes a cancelled payment out of the invoices that used it.
func (t *tx) dropAdvances(payment string) {
	for _, si := range t.all("Sales Invoice") {
		kept := slices.DeleteFunc(rows(si, "advances"), func(row doc) bool { return str(row, "reference_name") == payment })
		if cint(si["docstatus"]) != 1 || len(kept) == len(rows(si, "advances")) {
			continue
		}
		changed := cloneDoc(si)
		setRows(changed, "advances", kept)
		sum := 0.0
		for _, row := range kept {
			sum += flt(row["allocated_amount"])
		}
		changed["total_advance"] = sum
		t.put("Sales Invoice", changed)
	}
}

// unsaved is a new document made of an old one: no name, no times.
func unsaved(d doc) doc {
	out := cloneDoc(d)
	for _, name := range []string{"name", "creation", "modified", "modified_by", "parent"} {
		delete(out, name)
	}
	out["docstatus"], out["__islocal"], out["__unsaved"] = int64(0), int64(1), int64(1)
	return out
}

// makeSalesInvoice builds an unsaved invoice of what an order still bills.
func (c *call) makeSalesInvoice() (any, error) {
	order, err := c.get("Sales Order", str(c.form, "source_name"))
	if err != nil {
		return nil, err
	}
	if err := c.must(order, "read"); err != nil {
		return nil, err
	}
	d := doc{"doctype": "Sales Invoice", "owner": c.user.name, "idx": int64(0), "posting_date": c.today(), "due_date": c.today(), "set_posting_time": int64(0),
		"posting_time": "00:00:00", "po_no": "", "__islocal": int64(1), "__unsaved": int64(1), "__onload": doc{"load_after_mapping": true}}
	for _, name := range carriedOver {
		d[name] = order[name]
	}
	c.mapRows(d, order, "sales_order")
	return c.finishMapped(d)
}

// carriedOver are the fields an invoice takes from its order.
var carriedOver = []string{
	"customer", "company", "currency", "conversion_rate", "selling_price_list", "price_list_currency", "plc_conversion_rate",
	"disable_rounded_total", "customer_address", "address_display", "contact_person", "contact_display", "contact_mobile", "contact_email",
	"apply_discount_on", "discount_amount", "additional_discount_percentage",
}

// mapRows copies an order's rows into an invoice or note; tax amounts come whole.
func (t *tx) mapRows(d, order doc, link string) {
	var items, taxes []doc
	shape := t.types[str(d, "doctype")+" Item"]
	for _, row := range rows(order, "items") {
		item := unsaved(row)
		maps.DeleteFunc(item, func(name string, _ any) bool { return !shape.has(name) && !strings.HasPrefix(name, "__") })
		maps.Copy(item, doc{"doctype": shape.name, "parenttype": d["doctype"], link: order["name"], "so_detail": row["name"],
			"use_serial_batch_fields": int64(1)})
		items = append(items, item)
	}
	for _, row := range rows(order, "taxes") {
		tax := unsaved(row)
		tax["parenttype"] = d["doctype"]
		taxes = append(taxes, tax)
	}
	setRows(d, "items", items)
	setRows(d, "taxes", taxes)
}

// makeSalesReturn builds an unsaved credit note of a whole invoice.
func (c *call) makeSalesReturn() (any, error) {
	source, err := c.get("Sales Invoice", str(c.form, "source_name"))
	if err != nil {
		return nil, err
	}
	if err := c.must(source, "read"); err != nil {
		return nil, err
	}
	d := unsaved(source)
	maps.Copy(d, doc{"is_return": int64(1), "return_against": source["name"], "advances": []any{}, "status": "Draft", "set_posting_time": int64(1),
		"posting_date": c.today(), "ignore_pricing_rule": int64(1), "select_print_heading": "Credit Note", "set_warehouse": "",
		"__onload": doc{"load_after_mapping": true}})
	for _, f := range c.types["Sales Invoice"].fields {
		if f.custom {
			delete(d, f.name)
		}
	}
	d["payment_schedule"] = mapped(source, "payment_schedule", func(_, row doc) {
		for _, name := range []string{"payment_amount", "base_payment_amount", "outstanding", "base_outstanding"} {
			row[name] = 0.0
		}
		row["discount_type"] = "Percentage"
	})
	d["items"] = mapped(source, "items", func(old, row doc) {
		row["sales_invoice_item"] = old["name"]
		row["qty"], row["stock_qty"] = -flt(row["qty"]), -flt(row["stock_qty"])
	})
	d["taxes"] = mapped(source, "taxes", func(_, row doc) { row["tax_amount"] = -flt(row["tax_amount"]) })
	out, err := c.finishMapped(d)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"po_no", "remarks", "tax_category", "due_date"} { // not copied
		delete(out, name)
	}
	for _, row := range rows(out, "items") {
		delete(row, "image")
	}
	return out, nil
}

// mapped are the rows of a table as those of a document that is not saved yet.
func mapped(source doc, field string, change func(old, row doc)) []any {
	list := []any{}
	for _, old := range rows(source, field) {
		row := unsaved(old)
		change(old, row)
		list = append(list, row)
	}
	return list
}

func (c *call) finishMapped(d doc) (doc, error) {
	c.applyDefaults(c.types["Sales Invoice"], d)
	if err := c.fillInvoice(d); err != nil {
		return nil, err
	}
	if err := c.calculate(d); err != nil {
		return nil, err
	}
	c.wordTotals(d)
	for _, name := range []string{"title", "against_income_account"} {
		delete(d, name)
	}
	for _, row := range rows(d, "items") {
		row["stock_uom_rate"] = 0.0
	}
	d["docstatus"] = int64(0)
	castAll(c.types, c.types["Sales Invoice"], d)
	return c.renderWith(d, false), nil
}
