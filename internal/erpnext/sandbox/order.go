package sandbox

import (
	"cmp"
	"fmt"
	"slices"
)

var orderController = controller{
	newDefaults: func(t *tx, d doc) error {
		setDefault(d, "transaction_date", t.today())
		return sellingDefaults(t, d)
	},
	validate: validateOrder,
	beforeUpdate: func(t *tx, d doc) error {
		latest := ""
		for _, row := range rows(d, "items") {
			latest = max(latest, str(row, "delivery_date"))
		}
		if latest != "" {
			d["delivery_date"] = latest
		}
		return nil
	},
	onSubmit: func(t *tx, d doc) error {
		if err := t.checkCredit(d); err != nil {
			return err
		}
		t.reserve(d, 1)
		return nil
	},
	beforeCancel: func(t *tx, d doc) error {
		if str(d, "status") == "Closed" {
			return invalid("Closed order cannot be cancelled. Unclose to cancel.")
		}
		return nil
	},
	onCancel: func(t *tx, d doc) error {
		if cint(t.setting("Accounts Settings", "unlink_advance_payment_on_cancelation_of_order")) == 1 {
			t.unlinkPayments("Sales Order", str(d, "name"))
		}
		if err := t.refuseDraftInvoices(str(d, "name")); err != nil {
			return err
		}
		t.reserve(d, -1)
		d["status"] = "Cancelled"
		t.set("Sales Order", str(d, "name"), false, doc{"status": "Cancelled"})
		return nil
	},
}

func validateOrder(t *tx, d doc) error {
	if err := runAll(t, d, (*tx).fillOrder, (*tx).checkOrder); err != nil {
		return err
	}
	submitted := cint(d["docstatus"]) == 1
	if t.peek("Sales Order", str(d, "name")) != nil {
		d["status"] = "Draft"
		if submitted {
			d["status"] = "To Deliver and Bill"
		}
	}
	return nil
}

func (t *tx) fillOrder(d doc) error {
	if err := t.fillParty(d); err != nil {
		return err
	}
	if err := t.fillCurrency(d); err != nil {
		return err
	}
	for _, row := range rows(d, "items") {
		if err := t.fillItem(d, row); err != nil {
			return err
		}
		item := t.peek("Item", str(row, "item_code"))
		row["is_stock_item"] = cint(item["is_stock_item"])
		row["transaction_date"] = d["transaction_date"]
		row["projected_qty"] = flt(t.bin(row)["projected_qty"])
		setDefault(row, "delivery_date", d["delivery_date"])
		t.fillPrice(d, row, str(d, "transaction_date"))
	}
	for _, row := range rows(d, "taxes") {
		setDefault(row, "account_currency", t.peek("Account", str(row, "account_head"))["account_currency"])
		setDefault(row, "cost_center", t.company(str(d, "company"))["cost_center"])
	}
	d["ignore_pricing_rule"] = int64(0)
	return nil
}

func (t *tx) checkOrder(d doc) error {
	if err := t.checkItems(d); err != nil {
		return err
	}
	if err := t.checkTaxAccounts(d); err != nil {
		return err
	}
	if err := t.calculate(d); err != nil {
		return err
	}
	if flt(d["base_grand_total"]) < 0 {
		return invalid("Incorrect value:Grand Total (Company Currency) must be >= 0.0")
	}
	return runAll(t, d, (*tx).checkDelivery, (*tx).checkPartyCurrency, (*tx).checkPartyAddress,
		(*tx).checkWholeUnits, (*tx).checkPurchaseOrder, func(t *tx, d doc) error {
			t.schedule(d)
			t.wordTotals(d)
			return nil
		})
}

func (t *tx) checkDelivery(d doc) error {
	latest := ""
	for _, row := range rows(d, "items") {
		latest = max(latest, str(row, "delivery_date"))
	}
	if str(d, "delivery_date") == "" && latest != "" {
		d["delivery_date"] = latest
	}
	if str(d, "delivery_date") == "" {
		if cint(d["skip_delivery_note"]) == 1 {
			return nil
		}
		return invalid("Please enter Delivery Date")
	}
	ordered, err := parseDate(str(d, "transaction_date"))
	if err != nil {
		return err
	}
	for _, row := range rows(d, "items") {
		delivered, err := parseDate(cmp.Or(str(row, "delivery_date"), str(d, "delivery_date")))
		if err != nil {
			return err
		}
		if delivered.Before(ordered) {
			f := invalid("Expected Delivery Date should be after Sales Order Date").titled("Invalid Delivery Date")
			f.message.indicator = "orange"
			return f
		}
	}
	return nil
}

// checkPurchaseOrder is the site's own guard against double orders: it reads
// and then writes, so it closes retries and not races.
func (t *tx) checkPurchaseOrder(d doc) error {
	number := str(d, "po_no")
	if number == "" || cint(d["skip_delivery_note"]) == 1 {
		return nil
	}
	for _, other := range t.all("Sales Order") {
		if fold(str(other, "po_no")) != fold(number) || str(other, "customer") != str(d, "customer") || cint(other["docstatus"]) == 2 || str(other, "name") == str(d, "name") {
			continue
		}
		if cint(t.setting("Selling Settings", "allow_against_multiple_purchase_orders")) == 1 {
			t.messages = append(t.messages, message{alert: true, text: fmt.Sprintf(
				"Warning: Sales Order <strong>%s</strong> already exists against Customer's Purchase Order <strong>%s</strong>", str(other, "name"), number)})
			return nil
		}
		return invalid("Sales Order <strong>%s</strong> already exists against Customer's Purchase Order <strong>%s</strong>. To allow multiple "+
			"Sales Orders, Enable <strong>'Allow Multiple Sales Orders Against a Customer's Purchase Order'</strong> in %s", str(other, "name"), number, t.settingsLink())
	}
	return nil
}

// checkCredit refuses an order beyond the customer's credit limit.
func (t *tx) checkCredit(d doc) error {
	limit := 0.0
	for _, row := range rows(t.peek("Customer", str(d, "customer")), "credit_limits") {
		if str(row, "company") == str(d, "company") && cint(row["bypass_credit_limit_check"]) == 0 {
			limit = flt(row["credit_limit"])
		}
	}
	if limit == 0 {
		return nil
	}
	open := 0.0
	for _, other := range t.all("Sales Order") {
		if str(other, "customer") == str(d, "customer") && cint(other["docstatus"]) == 1 {
			open += flt(other["base_grand_total"]) - flt(other["advance_paid"])
		}
	}
	if open <= limit {
		return nil
	}
	return invalid("Credit limit has been crossed for customer %s (%s/%s)<br><br>Please contact your administrator to extend the credit limits for %s.",
		str(d, "customer"), pyFloat(open), pyFloat(limit), str(d, "customer")).titled("Credit Limit Crossed")
}

// bin is the stock record of an item in a warehouse.
func (t *tx) bin(row doc) doc {
	return t.peek("Bin", str(row, "item_code")+"/"+str(row, "warehouse"))
}

// reserve counts submitted orders of stock items into their bins.
func (t *tx) reserve(d doc, sign float64) {
	for _, row := range rows(d, "items") {
		if cint(row["is_stock_item"]) == 0 {
			continue
		}
		b := doc{"doctype": "Bin", "name": str(row, "item_code") + "/" + str(row, "warehouse"), "item_code": row["item_code"], "warehouse": row["warehouse"],
			"reserved_qty": 0.0, "projected_qty": 0.0, "actual_qty": 0.0}
		if stored := t.bin(row); stored != nil {
			b = cloneDoc(stored)
		}
		b["reserved_qty"] = flt(b["reserved_qty"]) + sign*flt(row["stock_qty"])
		b["projected_qty"] = flt(b["actual_qty"]) - flt(b["reserved_qty"])
		t.put("Bin", b)
	}
}

func (t *tx) refuseDraftInvoices(order string) error {
	for _, si := range t.all("Sales Invoice") {
		if cint(si["docstatus"]) != 0 {
			continue
		}
		if slices.ContainsFunc(rows(si, "items"), func(row doc) bool { return str(row, "sales_order") == order }) {
			return invalid("Sales Invoice %s must be deleted before cancelling this Sales Order", t.formLink("Sales Invoice", str(si, "name")))
		}
	}
	return nil
}

// updateOrderStatus is the function that closes and re-opens orders, and gives
// a right status to one that was submitted in its first request.
func (c *call) updateOrderStatus() (any, error) {
	d, err := c.get("Sales Order", str(c.form, "name"))
	if err != nil {
		return nil, err
	}
	if err := c.must(d, "write"); err != nil {
		return nil, err
	}
	status := str(c.form, "status")
	if status == "Draft" || status == "Submitted" {
		status = c.orderStatus(d)
	}
	c.set("Sales Order", str(d, "name"), true, doc{"status": status})
	return nil, nil
}

// orderStatus follows from delivery and billing.
func (t *tx) orderStatus(d doc) string {
	if cint(d["docstatus"]) == 0 {
		return "Draft"
	}
	billed, delivered := flt(d["per_billed"]) >= 100, flt(d["per_delivered"]) >= 100
	switch {
	case billed && delivered:
		return "Completed"
	case billed:
		return "To Deliver"
	case delivered:
		return "To Bill"
	}
	return "To Deliver and Bill"
}

// orderTotal is what advances are measured against, in the currency of the
// party's account.
func (t *tx) orderTotal(d doc, accountCurrency string) float64 {
	if accountCurrency == t.companyCurrency(d) {
		return cmp.Or(flt(d["base_rounded_total"]), flt(d["base_grand_total"]))
	}
	return cmp.Or(flt(d["rounded_total"]), flt(d["grand_total"]))
}

// countAdvances writes an order's advance_paid anew from the submitted
// payments. Amounts count whatever their direction.
func (t *tx) countAdvances(order string) error {
	d := t.peek("Sales Order", order)
	if d == nil {
		return nil
	}
	sum, currency := 0.0, ""
	for _, pe := range t.all("Payment Entry") {
		if cint(pe["docstatus"]) != 1 {
			continue
		}
		for _, ref := range rows(pe, "references") {
			if str(ref, "reference_doctype") == "Sales Order" && str(ref, "reference_name") == order {
				amount := flt(ref["allocated_amount"])
				sum += max(amount, -amount)
				currency = partyCurrency(pe)
			}
		}
	}
	sum = t.money(sum)
	total := t.orderTotal(d, currency)
	if currency != "" && str(d, "currency") == t.companyCurrency(d) && sum > total {
		return invalid("Total advance (%s) against Order %s cannot be greater than the Grand Total (%s)", t.printed(sum, currency), order, t.printed(total, currency))
	}
	values := doc{"advance_paid": sum}
	if currency != "" {
		values["party_account_currency"] = currency
	}
	t.set("Sales Order", order, true, values)
	return nil
}

// printed is an amount with its symbol.
func (t *tx) printed(amount float64, currency string) string {
	return fmt.Sprintf("%s %.2f", str(t.peek("Currency", currency), "symbol"), amount)
}

// updateChildQtyRate edits the rows of a submitted order. Taxes stay as they
// were; rows that are not named any more are deleted.
func (c *call) updateChildQtyRate() (any, error) {
	d, err := c.get("Sales Order", str(c.form, "parent_doctype_name"))
	if err != nil {
		return nil, err
	}
	if err := c.must(d, "write"); err != nil {
		return nil, err
	}
	sent, err := decodeJSON([]byte(str(c.form, "trans_items")))
	if err != nil {
		return nil, jsonError(str(c.form, "trans_items"), err)
	}
	list, _ := sent.([]any)
	deleted := editRows(d, list)
	if err := runAll(c.tx, d, (*tx).fillOrder, (*tx).checkOrder); err != nil {
		return nil, err
	}
	c.adoptRows(c.types["Sales Order"], d)
	castAll(c.types, c.types["Sales Order"], d)
	d["modified"] = c.now()
	c.put("Sales Order", d)
	for _, row := range deleted {
		c.recount(row)
	}
	return nil, nil
}

// editRows gives an order the rows of a list of changes and returns the rows
// that are not in it.
func editRows(d doc, changes []any) map[string]doc {
	old := map[string]doc{}
	for _, row := range rows(d, "items") {
		old[str(row, "name")] = row
	}
	var kept []doc
	for _, v := range changes {
		change, _ := v.(doc)
		row := old[str(change, "docname")]
		if row == nil {
			row = doc{"doctype": "Sales Order Item"}
		}
		delete(old, str(change, "docname"))
		for _, name := range []string{"item_code", "qty", "rate", "delivery_date", "uom", "conversion_factor"} {
			if change[name] != nil {
				row[name] = change[name]
			}
		}
		row["price_list_rate"] = 0.0
		kept = append(kept, row)
	}
	setRows(d, "items", kept)
	return old
}

// recount makes the bin of a deleted row anew from all submitted orders, stock
// item or not.
func (t *tx) recount(row doc) {
	reserved := 0.0
	for _, order := range t.all("Sales Order") {
		for _, other := range rows(order, "items") {
			if cint(order["docstatus"]) == 1 && str(other, "item_code") == str(row, "item_code") && str(other, "warehouse") == str(row, "warehouse") {
				reserved += flt(other["stock_qty"])
			}
		}
	}
	name := str(row, "item_code") + "/" + str(row, "warehouse")
	t.put("Bin", doc{"doctype": "Bin", "name": name, "item_code": row["item_code"], "warehouse": row["warehouse"],
		"reserved_qty": reserved, "projected_qty": -reserved, "actual_qty": 0.0})
}
