package sandbox

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Delivery notes, as erpnext/stock/doctype/delivery_note and
// controllers/status_updater.py have them. Nothing of them was recorded: what
// is said here was read from source. Stock is a quantity per bin; its value and
// the ledger entries of perpetual inventory are not kept.

var deliveryController = controller{
	newDefaults: func(t *tx, d doc) error {
		setDefault(d, "posting_date", t.today())
		setDefault(d, "posting_time", t.now()[len("2006-01-02 "):])
		return sellingDefaults(t, d)
	},
	validate: func(t *tx, d doc) error {
		return runAll(t, d, (*tx).fillDelivery, (*tx).checkDeliveryRows, (*tx).checkDeliveryReturn, (*tx).checkDeliveryTotals)
	},
	onSubmit: func(t *tx, d doc) error {
		if err := t.openBooks(d); err != nil {
			return err
		}
		if err := t.deliver(d, true); err != nil {
			return err
		}
		if err := t.moveStock(d, -1); err != nil {
			return err
		}
		d["status"] = str(t.peek("Delivery Note", str(d, "name")), "status")
		return nil
	},
	onCancel: func(t *tx, d doc) error {
		if err := t.refuseClosedOrders(d, "against_sales_order"); err != nil {
			return err
		}
		if invoice := t.invoiceOf(str(d, "name")); invoice != "" {
			return invalid("Sales Invoice %s has already been submitted", invoice)
		}
		if err := t.deliver(d, false); err != nil {
			return err
		}
		d["status"] = "Cancelled"
		t.put("Delivery Note", d)
		return t.moveStock(d, 1)
	},
}

func (t *tx) fillDelivery(d doc) error {
	if err := t.fillParty(d); err != nil {
		return err
	}
	if err := t.fillCurrency(d); err != nil {
		return err
	}
	if title := str(d, "title"); title == "" {
		d["title"] = d["customer_name"]
	}
	company := t.company(str(d, "company"))
	for _, row := range rows(d, "items") {
		if err := t.fillItem(d, row); err != nil {
			return err
		}
		setDefault(row, "expense_account", company["default_expense_account"])
		t.fillPrice(d, row, str(d, "posting_date"))
		row["actual_qty"] = flt(t.bin(row)["actual_qty"])
	}
	return nil
}

// checkDeliveryRows holds a note's rows to the order that they name.
func (t *tx) checkDeliveryRows(d doc) error {
	if err := t.checkReferencePairs(d); err != nil {
		return err
	}
	if err := t.refuseClosedOrders(d, "against_sales_order"); err != nil {
		return err
	}
	for i, row := range rows(d, "items") {
		item := t.peek("Item", str(row, "item_code"))
		if cint(item["is_stock_item"]) == 1 && str(row, "warehouse") == "" {
			return refuse("WarehouseRequired", "Warehouse required for stock Item %s", str(row, "item_code"))
		}
		if err := t.matchOrder(d, row, i+1); err != nil {
			return err
		}
	}
	return t.checkWholeUnits(d)
}

func (t *tx) checkReferencePairs(d doc) error {
	shape := t.types["Delivery Note Item"]
	var missing []string
	for i, row := range rows(d, "items") {
		order, detail := str(row, "against_sales_order"), str(row, "so_detail")
		switch {
		case order != "" && detail == "":
			missing = append(missing, fmt.Sprintf("The field <strong>%s</strong> in row <strong>%d</strong> is not set", shape.label("so_detail"), i+1))
		case order == "" && detail != "":
			missing = append(missing, fmt.Sprintf("The field <strong>%s</strong> in row <strong>%d</strong> is not set", shape.label("against_sales_order"), i+1))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return throw("ValidationError", strings.Join(missing, "<br>")).titled("References to Sales Orders are Incomplete").from(inApp)
}

// refuseClosedOrders refuses what would deliver or bill an order that is
// stopped. Returns are let through.
func (t *tx) refuseClosedOrders(d doc, field string) error {
	for _, row := range rows(d, "items") {
		order := t.peek("Sales Order", str(row, field))
		if status := str(order, "status"); (status == "Closed" || status == "On Hold") && !isReturn(d) {
			return invalid("Sales Order %s is %s", str(order, "name"), status)
		}
	}
	return nil
}

// matchOrder compares a row with the order and the order's row.
func (t *tx) matchOrder(d, row doc, n int) error {
	order := t.peek("Sales Order", str(row, "against_sales_order"))
	if order == nil {
		return nil
	}
	for _, field := range []string{"customer", "company", "currency"} {
		if str(order, field) != str(d, field) {
			return invalid("Incorrect value in row %d:%s must be = %s", n, labelOf(field), str(order, field))
		}
	}
	source := rowNamed(order, str(row, "so_detail"))
	if source == nil {
		return invalid("Invalid reference %s", str(row, "so_detail"))
	}
	for _, field := range []string{"item_code", "uom", "conversion_factor"} {
		if isReturn(d) && field != "item_code" {
			continue
		}
		if text(source[field]) != text(row[field]) && flt(source[field]) != flt(row[field]) || field != "conversion_factor" && str(source, field) != str(row, field) {
			return invalid("Incorrect value in row %d:%s must be = %s", n, labelOf(field), str(source, field))
		}
	}
	if order["docstatus"] != int64(1) {
		return invalid("Sales Order %s is not submitted", str(order, "name"))
	}
	return nil
}

func rowNamed(d doc, name string) doc {
	for _, row := range rows(d, "items") {
		if str(row, "name") == name {
			return row
		}
	}
	return nil
}

func (t *tx) checkDeliveryReturn(d doc) error {
	if !isReturn(d) {
		return nil
	}
	against := t.peek("Delivery Note", str(d, "return_against"))
	if against == nil || cint(against["docstatus"]) != 1 {
		return invalid("Delivery Note %s must be submitted", str(d, "return_against"))
	}
	for i, row := range rows(d, "items") {
		source := rowNamed(against, str(row, "dn_detail"))
		if source == nil {
			continue
		}
		if left := flt(source["qty"]) - flt(source["returned_qty"]); -flt(row["qty"]) > left {
			return refuse("StockOverReturnError", "Row # %d: Cannot return more than %s for Item %s", i+1, pyFloat(left), str(row, "item_code"))
		}
	}
	return nil
}

func (t *tx) checkDeliveryTotals(d doc) error {
	for i, row := range rows(d, "items") {
		if flt(row["qty"]) < 0 && !isReturn(d) {
			return throw("NonNegativeError", fmt.Sprintf("<strong>Delivery Note Item</strong> Row #%d: Value cannot be negative for <strong>Quantity</strong>", i+1)).
				titled("Negative Value")
		}
	}
	if err := t.checkItems(d); err != nil {
		return err
	}
	if err := t.checkTaxAccounts(d); err != nil {
		return err
	}
	if err := t.calculate(d); err != nil {
		return err
	}
	t.wordTotals(d)
	d["status"] = "Draft"
	if cint(d["docstatus"]) == 1 && t.peek("Delivery Note", str(d, "name")) != nil {
		d["status"] = "To Bill"
	}
	return nil
}

// deliver counts a note into the orders of its rows, or out of them.
func (t *tx) deliver(d doc, submit bool) error {
	t.put("Delivery Note", d)
	t.returned(d)
	for _, name := range ordersOf(d, "against_sales_order") {
		order := t.peek("Sales Order", name)
		if order == nil {
			continue
		}
		order = cloneDoc(order)
		for _, row := range rows(order, "items") {
			before := flt(row["delivered_qty"])
			row["delivered_qty"] = t.deliveredOf(str(row, "name"))
			if err := t.overLimit(row, "qty", "delivered_qty", before, d, submit); err != nil {
				return err
			}
			t.unreserve(row, flt(row["delivered_qty"])-before)
		}
		order["per_delivered"] = percentOf(order, "qty", "delivered_qty")
		order["delivery_status"] = progress(flt(order["per_delivered"]), "Delivered")
		order["status"] = t.keptStatus(order)
		order["modified"] = t.now()
		t.put("Sales Order", order)
		t.billNotes(name)
	}
	return nil
}

// returned notes on a note what its returns took back.
func (t *tx) returned(d doc) {
	against := t.peek("Delivery Note", str(d, "return_against"))
	if !isReturn(d) || against == nil {
		return
	}
	against = cloneDoc(against)
	for _, row := range rows(against, "items") {
		row["returned_qty"] = 0.0
		for _, other := range t.all("Delivery Note") {
			if cint(other["docstatus"]) != 1 || str(other, "return_against") != str(against, "name") {
				continue
			}
			for _, r := range rows(other, "items") {
				if str(r, "dn_detail") == str(row, "name") {
					row["returned_qty"] = flt(row["returned_qty"]) - flt(r["qty"])
				}
			}
		}
	}
	against["per_returned"] = percentOf(against, "qty", "returned_qty")
	if flt(against["per_returned"]) >= 100 {
		against["status"] = "Return Issued"
	}
	t.put("Delivery Note", against)
}

// ordersOf are the orders that a document's rows name, each once.
func ordersOf(d doc, field string) []string {
	var names []string
	for _, row := range rows(d, "items") {
		if name := str(row, field); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// deliveredOf is what submitted notes delivered of an order's row, without what
// came back.
func (t *tx) deliveredOf(detail string) float64 {
	sum := 0.0
	for _, dn := range t.all("Delivery Note") {
		for _, row := range rows(dn, "items") {
			if cint(dn["docstatus"]) == 1 && str(row, "so_detail") == detail {
				sum += flt(row["qty"])
			}
		}
	}
	return sum
}

// overLimit refuses to deliver or bill more of a row than was ordered.
func (t *tx) overLimit(row doc, limit, reached string, before float64, d doc, submit bool) error {
	over := flt(row[reached]) - flt(row[limit])
	if !submit || flt(row[reached]) <= before || over <= 0.0001*math.Abs(flt(row[limit])) || flt(row[limit]) == 0 {
		return nil
	}
	setting := `To allow over receipt / delivery, update "Over Receipt/Delivery Allowance" in Stock Settings or the Item.`
	if limit == "amount" {
		setting = `To allow over billing, update "Over Billing Allowance" in Accounts Settings or the Item.`
	}
	return refuse("OverAllowanceError", "This document is over limit by <strong>%s</strong> <strong>%s</strong> for item <strong>%s</strong>. "+
		"Are you making another <strong>%s</strong> against the same <strong>Sales Order Item</strong>?<br><br>%s",
		labelOf(limit), pyFloat(over), str(row, "item_code"), str(d, "doctype"), setting).titled("Limit Crossed")
}

// percentOf is how much of the rows is done (status_updater.py,
// _update_percent_field).
func percentOf(d doc, whole, part string) float64 {
	sum, done := 0.0, 0.0
	for _, row := range rows(d, "items") {
		w, p := math.Abs(flt(row[whole])), math.Abs(flt(row[part]))
		sum, done = sum+w, done+min(w, p)
	}
	if sum == 0 {
		return 0
	}
	return math.Round(done/sum*100*1e6) / 1e6
}

func progress(percent float64, done string) string {
	switch {
	case percent < 0.001:
		return "Not " + done
	case percent >= 99.999999:
		return "Fully " + done
	}
	return "Partly " + done
}

// keptStatus is an order's status, which closing outlasts.
func (t *tx) keptStatus(order doc) string {
	if status := str(order, "status"); status == "Closed" || status == "On Hold" {
		return status
	}
	return t.orderStatus(order)
}

// unreserve takes what left off what is reserved for orders.
func (t *tx) unreserve(row doc, delivered float64) {
	b := t.bin(row)
	if delivered == 0 || b == nil || cint(row["is_stock_item"]) == 0 {
		return
	}
	b = cloneDoc(b)
	b["reserved_qty"] = flt(b["reserved_qty"]) - delivered*cmp.Or(flt(row["conversion_factor"]), 1)
	t.put("Bin", b)
}

// moveStock takes a note's goods out of their bins, or puts them back. More
// than there is goes only where the site or the item allows it.
func (t *tx) moveStock(d doc, sign float64) error {
	for _, row := range rows(d, "items") {
		item := t.peek("Item", str(row, "item_code"))
		if cint(item["is_stock_item"]) == 0 {
			continue
		}
		b := doc{"doctype": "Bin", "name": str(row, "item_code") + "/" + str(row, "warehouse"), "item_code": row["item_code"], "warehouse": row["warehouse"]}
		if stored := t.bin(row); stored != nil {
			b = cloneDoc(stored)
		}
		b["actual_qty"] = flt(b["actual_qty"]) + sign*flt(row["qty"])*cmp.Or(flt(row["conversion_factor"]), 1)
		b["projected_qty"] = flt(b["actual_qty"]) - flt(b["reserved_qty"])
		allowed := cint(t.setting("Stock Settings", "allow_negative_stock")) == 1 || cint(item["allow_negative_stock"]) == 1
		if missing := -flt(b["actual_qty"]); missing > 0 && !allowed {
			return refuse("NegativeStockError", "%s units of %s needed in %s on %s for %s to complete this transaction.", pyFloat(missing),
				t.formLink("Item", str(row, "item_code")), t.formLink("Warehouse", str(row, "warehouse")), str(d, "posting_date"),
				t.formLink("Delivery Note", str(d, "name"))).titled("Insufficient Stock")
		}
		t.put("Bin", b)
	}
	return nil
}

// invoiceOf is a submitted invoice that was made of a note, or "".
func (t *tx) invoiceOf(note string) string {
	for _, si := range t.all("Sales Invoice") {
		for _, row := range rows(si, "items") {
			if cint(si["docstatus"]) == 1 && str(row, "delivery_note") == note {
				return str(si, "name")
			}
		}
	}
	return ""
}

// billNotes spreads what was billed of an order's rows over the notes of them,
// the oldest first (delivery_note.py, update_billed_amount_based_on_so).
func (t *tx) billNotes(order string) {
	left := map[string]float64{}
	for _, row := range rows(t.peek("Sales Order", order), "items") {
		left[str(row, "name")] = flt(row["billed_amt"])
	}
	for _, dn := range t.all("Delivery Note") {
		if cint(dn["docstatus"]) != 1 || isReturn(dn) || !slices.Contains(ordersOf(dn, "against_sales_order"), order) {
			continue
		}
		dn = cloneDoc(dn)
		for _, row := range rows(dn, "items") {
			billed := min(flt(row["amount"]), left[str(row, "so_detail")])
			left[str(row, "so_detail")] -= billed
			row["billed_amt"] = t.money(billed)
		}
		dn["per_billed"] = percentOf(dn, "amount", "billed_amt")
		if status := str(dn, "status"); status != "Closed" && status != "Return Issued" {
			dn["status"] = "To Bill"
			if flt(dn["per_billed"]) >= 100 {
				dn["status"] = "Completed"
			}
		}
		t.put("Delivery Note", dn)
	}
}

// makeDeliveryNote builds an unsaved note of what an order still delivers.
func (c *call) makeDeliveryNote() (any, error) {
	order, err := c.get("Sales Order", str(c.form, "source_name"))
	if err != nil {
		return nil, err
	}
	if err := c.must(order, "read"); err != nil {
		return nil, err
	}
	d := doc{"doctype": "Delivery Note", "owner": c.user.name, "idx": int64(0), "posting_date": c.today(), "posting_time": "00:00:00", "__islocal": int64(1), "__unsaved": int64(1)}
	for _, name := range carriedOver {
		d[name] = order[name]
	}
	c.mapRows(d, order, "against_sales_order")
	left := slices.DeleteFunc(rows(d, "items"), func(row doc) bool {
		row["qty"] = flt(row["qty"]) - flt(rowNamed(order, str(row, "so_detail"))["delivered_qty"])
		return flt(row["qty"]) <= 0
	})
	setRows(d, "items", left)
	c.applyDefaults(c.types["Delivery Note"], d)
	if err := runAll(c.tx, d, (*tx).fillDelivery, (*tx).calculate); err != nil {
		return nil, err
	}
	d["docstatus"] = int64(0)
	castAll(c.types, c.types["Delivery Note"], d)
	return c.renderWith(d, false), nil
}
