package erpnext_test

import (
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

func (s *contractSite) customerCases() []contractCase {
	key, twin := s.next(), s.run+" Twin"
	keyed := func(name, key string) step {
		return create("Customer", doc(s.person(name), map[string]any{erpnext.KeyField: key}))
	}
	mail := map[string]any{"email_id": "ann@shop.example", "mobile_no": "+1 555 010 0000", "address_line1": "3 Quay Street", "city": "Porto", "country": "Portugal"}
	person := func(name string, change map[string]any) step { return create("Customer", doc(s.person(name), change)) }
	fields := func(pairs ...any) map[string]any {
		out := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1]
		}
		return out
	}
	return []contractCase{
		holds("e-mail and address make a Contact and an Address", person(s.run+" Mail", mail),
			read("Customer", s.run+" Mail").gives("data.email_id", "ann@shop.example", "data.customer_primary_contact", filled(), "data.customer_primary_address", s.run+" Mail-Billing").
				keeps("contact", "data.customer_primary_contact"),
			read("Address", s.run+" Mail-Billing").gives("data.city", "Porto", "data.links.0.link_name", s.run+" Mail"),
			read("Contact", "{contact}").gives("data.email_id", "ann@shop.example", "data.links.0.link_name", s.run+" Mail")),
		holds("an invalid e-mail refuses the whole customer", person(s.run+" Bad", fields("email_id", "ann at shop")).refused(417, "InvalidEmailAddressError"),
			find("Customer", "filters", `{"customer_name":"`+s.run+` Bad"}`).gives("data", rows(0))),
		holds("an invalid phone refuses the whole customer", person(s.run+" Bad", fields("mobile_no", "call me")).refused(417, "InvalidPhoneNumberError")),
		holds("a country's code is no country", person(s.run+" Code", doc(map[string]any{"country": "PT"}, fields("address_line1", "3 Quay", "city", "Porto"))).
			refused(417, "LinkValidationError")),
		holds("the name of a Customer Group is 409", person(s.profile.CustomerGroup, nil).refused(409, "NameError")),
		holds("an angle bracket in the name is 409", person(s.run+" <b>", nil).refused(409, "NameError")),
		holds("the same name is numbered", person(twin, nil).gives("data.name", twin), person(twin, nil).gives("data.name", twin+" - 1")),
		holds("a key that is taken is 417, whatever its case and trailing space", keyed(s.run+" Key", key),
			keyed(s.run+" Other", key).refused(417, "UniqueValidationError"), keyed(s.run+" Other", upper(key)).refused(417, "UniqueValidationError"),
			keyed(s.run+" Other", key+"  ").refused(417, "UniqueValidationError"), keyed(s.run+" Other", key+"x")),
		holds("an empty key is no key", keyed(s.run+" E", ""), keyed(s.run+" F", "").gives("data."+erpnext.KeyField, nil)),
		holds("a change to a taken key is 417", put("Customer", s.customer, map[string]any{erpnext.KeyField: key}).refused(417, "UniqueValidationError")),
		holds("no name is 417", create("Customer", map[string]any{"customer_type": "Individual"}).refused(417, "MandatoryError")),
		holds("an unknown group is a link error", person(s.run+" G", fields("customer_group", s.run)).refused(417, "LinkValidationError")),
		holds("an unknown type is 417", person(s.run+" T", fields("customer_type", "Robot")).refused(417, "ValidationError")),
		holds("a missing customer is 404", read("Customer", s.run).refused(404, "DoesNotExistError"), put("Customer", s.run, map[string]any{}).refused(404, "DoesNotExistError")),
		holds("a change merges", put("Customer", s.customer, map[string]any{"customer_details": "vip"}).gives("data.customer_details", "vip", "data.customer_name", s.customer)),
		holds("links take the stored spelling", create("Sales Order", s.order(fields("customer", upper(s.customer)))).gives("data.customer", s.customer)),
		holds("a disabled or frozen customer refuses orders", person(s.run+" Off", fields("disabled", 1)),
			create("Sales Order", s.order(fields("customer", s.run+" Off"))).refused(417, "PartyDisabled"),
			put("Customer", s.run+" Off", fields("disabled", 0)), create("Sales Order", s.order(fields("customer", s.run+" Off")))),
	}
}

func (s *contractSite) itemCases() []contractCase {
	return []contractCase{
		holds("a missing item is 404", read("Item", s.run+"-NONE").refused(404, "DoesNotExistError")),
		holds("an item is read by its code", read("Item", s.item).gives("data.item_code", s.item, "data.is_stock_item", 0, "data.disabled", 0)),
		holds("a list tells which items exist", find("Item", "filters", `[["item_code","in",["`+s.item+`","`+s.run+`-NONE"]]]`).gives("data", rows(1))),
		holds("validate_link of a missing item is empty", call("frappe.client.validate_link",
			map[string]any{"doctype": "Item", "docname": s.run + "-NONE", "fields": []string{"item_name"}}).gives("message.name", nil)),
	}
}

func (s *contractSite) orderRefusals() []contractCase {
	with := func(pairs ...any) step {
		change := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			change[pairs[i].(string)] = pairs[i+1]
		}
		return create("Sales Order", s.order(change))
	}
	row := func(change map[string]any) []any { return []any{doc(s.line(1, 5), change)} }
	key := s.next()
	po := holds("the same po_no for the same customer is 417", with("po_no", s.run+"-po"), with("po_no", s.run+"-po").refused(417, "ValidationError"))
	if s.on("Selling Settings.allow_against_multiple_purchase_orders") {
		po = holds("the same po_no is allowed by Selling Settings", with("po_no", s.run+"-po"), with("po_no", s.run+"-po"))
	}
	return []contractCase{
		po,
		holds("a missing customer is 404", with("customer", s.run+" none").refused(404, "DoesNotExistError")),
		holds("a missing item is 404", with("items", row(map[string]any{"item_code": s.run + "-NONE"})).refused(404, "DoesNotExistError")),
		holds("no customer is 417", with("customer", nil).refused(417, "MandatoryError")),
		holds("no rows are 500", with("items", nil).refused(500, "TypeError"), with("items", []any{}).refused(500, "TypeError")),
		holds("quantity 0 is 417", with("items", row(map[string]any{"qty": 0})).refused(417, "InvalidQtyError")),
		holds("half a piece is 417", with("items", row(map[string]any{"qty": 0.5})).refused(417, "UOMMustBeIntegerError")),
		holds("a negative quantity is 417", with("items", []any{s.line(3, 5), s.line(-1, 5)}).refused(417, "NonNegativeError")),
		holds("a total below zero is 417", with("items", row(map[string]any{"rate": -5})).refused(417, "ValidationError")),
		holds("no delivery date is 417", with("delivery_date", nil).refused(417, "ValidationError")),
		holds("delivery before the order is 417", with("delivery_date", "2001-01-01").refused(417, "ValidationError")),
		holds("a date the other way round is 500", with("transaction_date", "13/06/2026").refused(500, "OperationalError")),
		holds("a date with time and zone is 500", with("transaction_date", s.today+"T10:00:00Z").refused(500, "OperationalError")),
		holds("no fiscal year is needed for an order", with("transaction_date", "1971-02-03", "delivery_date", "1971-02-03")),
		holds("an unknown company is a link error", with("company", s.run).refused(417, "LinkValidationError")),
		holds("an unknown currency is a link error", with("currency", "QQQ").refused(417, "LinkValidationError")),
		holds("an unknown price list is a link error", with("selling_price_list", s.run).refused(417, "LinkValidationError")),
		holds("an unknown unit is a link error", with("items", row(map[string]any{"uom": s.run})).refused(417, "LinkValidationError")),
		holds("a tax row without text is 417", with("taxes", []any{doc(s.charge(1), map[string]any{"description": nil})}).refused(417, "MandatoryError")),
		holds("a tax row without account is 417", with("taxes", []any{doc(s.charge(1), map[string]any{"account_head": nil})}).refused(417, "MandatoryError")),
		holds("a tax row with an unknown account is 417", with("taxes", []any{doc(s.charge(1), map[string]any{"account_head": s.run})}).refused(417, "ValidationError")),
		holds("a tax row with an unknown cost center is a link error",
			with("taxes", []any{doc(s.charge(1), map[string]any{"cost_center": s.run})}).refused(417, "LinkValidationError")),
		holds("a key that is taken is 417 and gives the number back",
			with(erpnext.KeyField, key).keeps("so", "data.name"), with(erpnext.KeyField, key).refused(417, "UniqueValidationError"),
			with(erpnext.KeyField, upper(key)).refused(417, "UniqueValidationError")),
		holds("an insert as cancelled is 417", with("docstatus", 2).refused(417, "DocstatusTransitionError")),
	}
}

func (s *contractSite) orderTotals() []contractCase {
	made := func(items []any, taxes []any, change map[string]any) step {
		return create("Sales Order", s.order(doc(map[string]any{"items": items, "taxes": taxes}, change)))
	}
	plain := func(rate any, change map[string]any) map[string]any {
		return doc(doc(s.line(1, 0), map[string]any{"rate": rate, "price_list_rate": nil}), change)
	}
	cases := []contractCase{
		holds("Actual rows add to the total", made([]any{s.line(2, 45.5)}, []any{s.charge(7.77), s.charge(4.95)}, nil).
			gives("data.net_total", 91, "data.total_taxes_and_charges", 12.72, "data.grand_total", 103.72, "data.taxes.0.total", 98.77, "data.rounded_total", 0)),
		holds("a negative Actual row takes off", made([]any{s.line(1, 10)}, []any{s.charge(-2.5)}, nil).gives("data.grand_total", 7.5)),
		holds("rate 0 with price_list_rate 0 stays 0", made([]any{s.line(1, 10), s.line(1, 0)}, nil, nil).gives("data.items.1.rate", 0, "data.grand_total", 10)),
		holds("a split of one line into two rows keeps the cent", made([]any{s.line(2, 3.33), s.line(1, 3.34)}, nil, nil).gives("data.grand_total", 10, "data.total_qty", 3)),
		holds("a negative rate is accepted while the total is not below 0, submit too",
			made([]any{s.line(1, 10), s.line(1, -4)}, nil, nil).gives("data.grand_total", 6).keeps("so", "data.name"), submit("Sales Order", "{so}").gives("data.docstatus", 1)),
		holds("a header discount is shared out", made([]any{s.line(1, 10), s.line(1, 20)}, nil, map[string]any{"apply_discount_on": "Grand Total", "discount_amount": 3}).
			gives("data.grand_total", 27, "data.items.0.net_amount", 9, "data.items.1.net_amount", 18)),
		holds("numbers may be texts", made([]any{plain("12.50", map[string]any{"qty": "2", "price_list_rate": "0"})}, nil, nil).gives("data.grand_total", 25)),
		holds("an order can cost nothing", made([]any{s.line(1, 0)}, nil, nil).gives("data.grand_total", 0, "data.status", "Draft")),
		holds("the answer of a create has names for rows", made([]any{s.line(1, 1)}, nil, nil).
			gives("data.items.0.name", filled(), "data.items.0.idx", 1, "data.items.0.parentfield", "items", "data.docstatus", 0)),
		holds("rounded_total is there unless it is switched off",
			made([]any{s.line(1, 10)}, nil, map[string]any{"disable_rounded_total": 0}).gives("data.rounded_total", 10)),
	}
	return append(cases, s.settingTotals(made, plain)...)
}

// settingTotals depend on what the site was set to.
func (s *contractSite) settingTotals(made func(items, taxes []any, change map[string]any) step, plain func(rate any, change map[string]any) map[string]any) []contractCase {
	var cases []contractCase
	switch s.settings["System Settings.rounding_method"] {
	case "Banker's Rounding":
		cases = append(cases, holds("a tie goes to the even cent (Banker's Rounding)", made([]any{s.line(1, 0.125), s.line(1, 0.375)}, nil, nil).
			gives("data.items.0.amount", 0.12, "data.items.1.amount", 0.38, "data.grand_total", 0.5)))
	case "Commercial Rounding":
		cases = append(cases, holds("a tie goes away from zero (Commercial Rounding)", made([]any{s.line(1, 0.125), s.line(1, 0.375)}, nil, nil).
			gives("data.items.0.amount", 0.13, "data.items.1.amount", 0.38, "data.grand_total", 0.51)))
	}
	if s.on("Selling Settings.allow_multiple_items") {
		cases = append(cases, holds("the same item may stand in two rows (Selling Settings)", made([]any{s.line(1, 5), s.line(1, 5)}, nil, nil).gives("data.grand_total", 10)))
	}
	if s.on("Stock Settings.auto_insert_price_list_rate_if_missing") {
		cases = append(cases, holds("rate 0 alone becomes the price of the list, which the first order set (Stock Settings)",
			made([]any{plain(12.5, nil)}, nil, map[string]any{"ignore_pricing_rule": 0}),
			made([]any{plain(nil, nil)}, nil, nil).keeps("price", "data.items.0.rate"),
			made([]any{plain(0, nil)}, nil, nil).gives("data.items.0.rate", same("price")),
			made([]any{plain(0, map[string]any{"discount_percentage": 100})}, nil, nil).gives("data.items.0.rate", 0)))
	}
	return cases
}

func (s *contractSite) orderLife() []contractCase {
	after := func(more ...step) []step { return append(s.submitted(), more...) }
	drafted := func(more ...step) []step {
		return append([]step{create("Sales Order", s.order(nil)).gives("data.docstatus", 0, "data.status", "Draft").keeps("so", "data.name", "modified", "data.modified")}, more...)
	}
	change := func(field string, value any) step { return put("Sales Order", "{so}", map[string]any{field: value}) }
	key := s.next()
	kept := map[string]any{erpnext.KeyField: key}
	open := contains("To ") // "To Deliver and Bill", in 16 "To Pay" where an advance is asked for
	cases := []contractCase{
		holds("a draft becomes To Deliver and Bill when it is submitted",
			drafted(submit("Sales Order", "{so}").gives("data.docstatus", 1), read("Sales Order", "{so}").gives("data.status", open))...),
		holds("one request leaves the status Draft, and saving does not mend it",
			create("Sales Order", s.order(map[string]any{"docstatus": 1})).gives("data.docstatus", 1, "data.status", "Draft").keeps("so", "data.name"),
			put("Sales Order", "{so}", map[string]any{}), read("Sales Order", "{so}").gives("data.status", "Draft", "data.docstatus", 1),
			call("erpnext.selling.doctype.sales_order.sales_order.update_status", map[string]any{"status": "Draft", "name": "{so}"}),
			read("Sales Order", "{so}").gives("data.status", open)),
		holds("a submit by name is refused by frappe.client.submit",
			drafted(call("frappe.client.submit", map[string]any{"doc": map[string]any{"doctype": "Sales Order", "name": "{so}"}}).refused(417, "TimestampMismatchError"))...).only(15),
		holds("run_method submits", drafted(send("POST", resource("Sales Order", "{so}"), map[string]any{"run_method": "submit"}).gives("data.docstatus", 1))...),
		holds("run_method by GET answers and stores nothing", drafted(send("GET", resource("Sales Order", "{so}")+"?run_method=submit", nil).gives("data.docstatus", 1),
			read("Sales Order", "{so}").gives("data.docstatus", 0))...).only(15),
		holds("submitting again answers 200", after(submit("Sales Order", "{so}").gives("data.docstatus", 1))...),
		holds("edits of a submitted order are 417", after(change("order_type", "Maintenance").refused(417, "UpdateAfterSubmitError"),
			change("customer", s.run+" x").refused(417, "UpdateAfterSubmitError"), change(erpnext.KeyField, key).refused(417, "UpdateAfterSubmitError"))...),
		holds("po_no and delivery date may change after submit", after(change("po_no", s.run+"-late").gives("data.po_no", s.run+"-late"), change("delivery_date", s.today))...),
		holds("submitted to draft is 417", after(change("docstatus", 0).refused(417, "DocstatusTransitionError"))...),
		holds("draft to cancelled is 417", drafted(cancel("Sales Order", "{so}").refused(417, "DocstatusTransitionError"))...),
		holds("a submitted order is not deleted", after(remove("Sales Order", "{so}").refused(417, "ValidationError"))...),
		holds("cancelled is the end", after(cancel("Sales Order", "{so}").gives("data.docstatus", 2), read("Sales Order", "{so}").gives("data.status", "Cancelled"),
			cancel("Sales Order", "{so}").refused(417, "ValidationError"), submit("Sales Order", "{so}").refused(417, "ValidationError"),
			change("po_no", "x").refused(417, "ValidationError"))...),
		holds("a cancelled order keeps its key", create("Sales Order", s.order(kept)).keeps("so", "data.name"), submit("Sales Order", "{so}"), cancel("Sales Order", "{so}"),
			create("Sales Order", s.order(kept)).refused(417, "UniqueValidationError")),
		holds("an amendment has the name with -1 and needs a key of its own", after(cancel("Sales Order", "{so}"),
			create("Sales Order", s.order(map[string]any{"amended_from": "{so}"})).gives("data.name", contains("-1"), "data.amended_from", same("so")),
			create("Sales Order", s.order(map[string]any{"amended_from": "{so}"})).refused(409, "DuplicateEntryError"))...),
		holds("only a cancelled order is amended", after(create("Sales Order", s.order(map[string]any{"amended_from": "{so}"})).refused(417, "ValidationError"))...),
		holds("a PUT replaces the rows and keeps the taxes",
			create("Sales Order", s.order(map[string]any{"items": []any{s.line(1, 5), s.line(1, 6)}, "taxes": []any{s.charge(2)}})).gives("data.grand_total", 13).keeps("so", "data.name"),
			put("Sales Order", "{so}", lines(s.line(3, 7))).gives("data.items", rows(1), "data.taxes", rows(1), "data.grand_total", 23)),
		holds("a stale modified is 417, none is no check", drafted(change("po_no", s.run+"-a").gives("data.modified", differs("modified")),
			put("Sales Order", "{so}", map[string]any{"po_no": "x", "modified": "{modified}"}).refused(417, "TimestampMismatchError"), change("po_no", s.run+"-b"))...),
		holds("a missing order is 404", read("Sales Order", s.run).refused(404, "DoesNotExistError"), put("Sales Order", s.run, map[string]any{"po_no": "x"}).refused(404, "DoesNotExistError")),
	}
	gone := drafted(remove("Sales Order", "{so}").gives("data", "ok"), read("Sales Order", "{so}").refused(404, "DoesNotExistError"))
	gone14 := drafted(remove("Sales Order", "{so}").gives("message", "ok"), read("Sales Order", "{so}").refused(404, "DoesNotExistError"))
	return append(cases, holds("a draft is deleted with 202", gone...).only(15, 16), holds("a draft is deleted with 202", gone14...).only(14))
}
