package erpnext_test

import (
	"strings"
)

func upper(s string) string { return strings.ToUpper(s) }

func (s *contractSite) paymentCases() []contractCase {
	pay := func(amount float64, change map[string]any) step {
		return create("Payment Entry", s.payment("{so}", amount, change))
	}
	after := func(more ...step) []step { return append(s.submitted(), more...) }
	paid := func(amount float64, more ...step) []step { return append(s.paid(amount), more...) }
	order := read("Sales Order", "{so}")
	free := map[string]any{"references": nil}
	fee := map[string]any{"paid_amount": 24, "received_amount": 24, "deductions": []any{
		map[string]any{"account": s.profile.RoundOffAccount, "cost_center": s.profile.CostCenter, "amount": 1}}}
	return []contractCase{
		holds("a draft payment leaves the order alone", after(order.keeps("before", "data.modified"), pay(10, nil).gives("data.status", "Draft", "data.docstatus", 0),
			order.gives("data.advance_paid", 0, "data.modified", same("before")))...),
		holds("a submitted payment raises advance_paid and changes modified",
			after(order.keeps("before", "data.modified"), pay(10, nil).gives("data.unallocated_amount", 0, "data.party_name", s.customer).keeps("pe", "data.name"),
				submit("Payment Entry", "{pe}").gives("data.docstatus", 1, "data.status", "Submitted"), order.gives("data.advance_paid", 10, "data.modified", differs("before")))...),
		holds("submitting a payment again answers 200 and pays once", paid(10, submit("Payment Entry", "{pe}").gives("data.docstatus", 1), order.gives("data.advance_paid", 10))...),
		holds("two payments add up", paid(10, pay(15, nil).keeps("second", "data.name"), submit("Payment Entry", "{second}"), order.gives("data.advance_paid", 25))...),
		holds("a cancelled payment takes advance_paid back and keeps its key",
			append(s.paid(10), cancel("Payment Entry", "{pe}").gives("data.docstatus", 2, "data.status", "Cancelled"), order.gives("data.advance_paid", 0),
				cancel("Payment Entry", "{pe}").refused(417, "ValidationError"))...),
		holds("a payment can be more than its order: the rest is unallocated", after(pay(25, map[string]any{"paid_amount": 30, "received_amount": 30}).gives("data.unallocated_amount", 5))...),
		holds("a payment without an order is unallocated", create("Payment Entry", s.payment("", 7, free)).gives("data.unallocated_amount", 7).keeps("pe", "data.name"),
			submit("Payment Entry", "{pe}").gives("data.docstatus", 1)),
		holds("a fee is a deduction: paid net, allocated gross", after(pay(25, fee).gives("data.difference_amount", 0, "data.unallocated_amount", 0).keeps("pe", "data.name"),
			submit("Payment Entry", "{pe}"), order.gives("data.advance_paid", 25))...),
		holds("a refund pays out, unallocated", create("Payment Entry", s.payment("", 5, map[string]any{"payment_type": "Pay", "references": nil,
			"paid_from": s.bank, "paid_to": s.profile.ReceivableAccount})).gives("data.unallocated_amount", 5).keeps("pe", "data.name"), submit("Payment Entry", "{pe}")),
		holds("paid_from is the customer's receivable account by default", after(pay(5, map[string]any{"paid_from": nil}).gives("data.paid_from", s.profile.ReceivableAccount))...),
		holds("one reference_no may stand in two payments", after(pay(5, nil), pay(6, nil))...),
		holds("cash needs no reference number", after(pay(5, map[string]any{"paid_to": s.cash, "reference_no": nil, "reference_date": nil}))...),
		holds("received more than paid in one currency is set to paid", after(pay(5, map[string]any{"received_amount": 9}).gives("data.received_amount", 5))...),
		holds("remarks are kept with custom_remarks alone", after(pay(5, map[string]any{"remarks": "mine", "custom_remarks": 1}).gives("data.remarks", "mine"),
			pay(5, map[string]any{"remarks": "mine"}).gives("data.remarks", contains("Amount")))...),
		holds("a cancelled order leaves its payment posted and advance_paid as it was",
			paid(10, cancel("Sales Order", "{so}").gives("data.docstatus", 2), read("Payment Entry", "{pe}").gives("data.docstatus", 1), order.gives("data.advance_paid", 10))...),
	}
}

func (s *contractSite) paymentRefusals() []contractCase {
	pay := func(amount float64, change map[string]any) step {
		return create("Payment Entry", s.payment("{so}", amount, change))
	}
	after := func(more ...step) []step { return append(s.submitted(), more...) }
	with := func(field string, value any) step { return pay(5, map[string]any{field: value}) }
	refused := func(class, field string, value any) []step { return after(with(field, value).refused(417, class)) }
	key := s.next()
	keyed := map[string]any{"custom_ledgerhook_key": key}
	return []contractCase{
		holds("more than the order is 417", after(pay(25.01, nil).refused(417, "ValidationError"))...),
		holds("an order that is paid in full is 417", append(s.paid(25), pay(1, nil).refused(417, "ValidationError"))...),
		holds("an older draft is refused at submit once the order is paid",
			after(pay(20, nil).keeps("old", "data.name"), pay(20, nil).keeps("pe", "data.name"), submit("Payment Entry", "{pe}"),
				submit("Payment Entry", "{old}").refused(417, "ValidationError"), read("Payment Entry", "{old}").gives("data.docstatus", 0))...),
		holds("an order that is a draft is 417", create("Sales Order", s.order(nil)).keeps("so", "data.name"), pay(5, nil).refused(417, "ValidationError")),
		holds("a missing order is a link error", create("Payment Entry", s.payment(s.run, 5, nil)).refused(417, "LinkValidationError")),
		holds("an order of another customer is 417", append([]step{create("Customer", s.person(s.run+" Payer")).keeps("other", "data.name")},
			after(with("party", s.run+" Payer").refused(417, "ValidationError"))...)...),
		holds("no paid_to is 417", refused("ValidationError", "paid_to", nil)...),
		holds("an unknown paid_to is 417", refused("ValidationError", "paid_to", s.run)...),
		holds("a bank account asks for a reference number", refused("ValidationError", "reference_no", nil)...),
		holds("a bank account asks for a reference date", refused("ValidationError", "reference_date", nil)...),
		holds("no party type is 417", refused("ValidationError", "party_type", nil)...),
		holds("no party is 417", refused("ValidationError", "party", nil)...),
		holds("an unknown party is a link error", refused("LinkValidationError", "party", s.run+" none")...),
		holds("an unknown payment type is 417", refused("ValidationError", "payment_type", "Gift")...),
		holds("an unknown mode of payment is a link error", refused("LinkValidationError", "mode_of_payment", s.run)...),
		holds("an amount of 0 is 417", after(pay(0, map[string]any{"references": nil}).refused(417, "ValidationError"))...),
		holds("a date the other way round is 500", after(with("posting_date", "02/06/2026").refused(500, "OperationalError"))...),
		holds("a date outside every fiscal year is refused at submit alone",
			create("Payment Entry", s.payment("", 5, map[string]any{"references": nil, "posting_date": "1971-02-03"})).gives("data.docstatus", 0).keeps("pe", "data.name"),
			submit("Payment Entry", "{pe}").refused(417, "FiscalYearError"), read("Payment Entry", "{pe}").gives("data.docstatus", 0)),
		holds("net paid, gross allocated, no deduction is refused at submit alone",
			after(pay(25, map[string]any{"paid_amount": 24, "received_amount": 24}).keeps("pe", "data.name"), submit("Payment Entry", "{pe}").refused(417, "ValidationError"))...),
		holds("a deduction without cost center is 417",
			after(pay(5, map[string]any{"deductions": []any{map[string]any{"account": s.profile.RoundOffAccount, "amount": 1}}}).refused(417, "MandatoryError"))...),
		holds("a key that is taken is 417", after(pay(5, keyed), pay(6, keyed).refused(417, "UniqueValidationError"))...),
		holds("edits of a submitted payment are 417", append(s.paid(5), put("Payment Entry", "{pe}", map[string]any{"paid_amount": 6}).refused(417, "UpdateAfterSubmitError"))...),
		holds("a submitted payment is not deleted", append(s.paid(5), remove("Payment Entry", "{pe}").refused(417, "ValidationError"))...),
		holds("draft to cancelled is 417", after(pay(5, nil).keeps("pe", "data.name"), cancel("Payment Entry", "{pe}").refused(417, "DocstatusTransitionError"))...),
	}
}
