package sandbox

import (
	"fmt"
	"testing"
)

// submittedOrder makes an order of 26.99 and submits it.
func submittedOrder(t *testing.T, s *Site, key string) string {
	t.Helper()
	d := mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order(key, nil))
	name := fmt.Sprint(d["name"])
	mustDo(t, s, runtimeKey, "PUT", "/api/resource/Sales Order/"+name, map[string]any{"docstatus": 1})
	return name
}

func submit(t *testing.T, s *Site, doctype string, body map[string]any) string {
	t.Helper()
	d := mustDo(t, s, runtimeKey, "POST", "/api/resource/"+doctype, body)
	name := fmt.Sprint(d["name"])
	mustDo(t, s, runtimeKey, "PUT", "/api/resource/"+doctype+"/"+name, map[string]any{"docstatus": 1})
	return name
}

func refused(t *testing.T, s *Site, method, path string, body any, status int, class string) {
	t.Helper()
	got, answer := do(t, s, runtimeKey, method, path, body)
	if got != status || answer["exc_type"] != class {
		t.Errorf("%s %s: status %d %v, want %d %s", method, path, got, answer["exc_type"], status, class)
	}
}

func TestUnexplainedPaymentIsNotSubmitted(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	name := submittedOrder(t, s, "k1")
	net := map[string]any{"paid_amount": 26.0, "received_amount": 26.0}
	d := mustDo(t, s, runtimeKey, "POST", "/api/resource/Payment Entry", payment(name, 26.99, net))
	if d["difference_amount"] != 0.99 {
		t.Errorf("difference %v, want 0.99", d["difference_amount"])
	}
	refused(t, s, "PUT", "/api/resource/Payment Entry/"+fmt.Sprint(d["name"]), map[string]any{"docstatus": 1}, 417, "ValidationError")
	late := map[string]any{"posting_date": "2019-01-01"}
	old := mustDo(t, s, runtimeKey, "POST", "/api/resource/Payment Entry", payment(name, 26.99, late))
	refused(t, s, "PUT", "/api/resource/Payment Entry/"+fmt.Sprint(old["name"]), map[string]any{"docstatus": 1}, 417, "FiscalYearError")
}

func TestTaxRowsAreChecked(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	row := func(change map[string]any) map[string]any {
		tax := map[string]any{"charge_type": "Actual", "account_head": "Sales Tax - DT", "description": "Tax", "tax_amount": 1}
		for k, v := range change {
			tax[k] = v
		}
		return order("k1", map[string]any{"taxes": []any{tax}})
	}
	for change, class := range map[string]string{"account_head": "ValidationError", "charge_type": "ValidationError", "description": "MandatoryError"} {
		value := "Nope - DT"
		if class == "MandatoryError" {
			value = ""
		}
		refused(t, s, "POST", "/api/resource/Sales Order", row(map[string]any{change: value}), 417, class)
	}
	mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Order", row(map[string]any{"account_head": "Duties and Taxes - DT"})) // a group passes here
}

func TestSubmittedOrdersHoldStill(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	path := "/api/resource/Sales Order/" + submittedOrder(t, s, "k1")
	refused(t, s, "PUT", path, map[string]any{"custom_key": "other"}, 417, "UpdateAfterSubmitError")
	refused(t, s, "PUT", path, map[string]any{"taxes": []any{}}, 417, "UpdateAfterSubmitError")
	refused(t, s, "PUT", path, map[string]any{"docstatus": 0}, 417, "DocstatusTransitionError")
	refused(t, s, "DELETE", path, nil, 417, "ValidationError")
	if d := mustDo(t, s, runtimeKey, "PUT", path, map[string]any{"po_no": "P-1", "docstatus": 1}); d["po_no"] != "P-1" {
		t.Errorf("po_no is %v", d["po_no"])
	}
	mustDo(t, s, runtimeKey, "PUT", path, map[string]any{"docstatus": 2})
	refused(t, s, "PUT", path, map[string]any{"docstatus": 2}, 417, "ValidationError")
	refused(t, s, "POST", "/api/resource/Sales Order", order("k1", nil), 417, "UniqueValidationError")
	d := mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order("k1;1", map[string]any{"amended_from": "SAL-ORD-2026-00001"}))
	if d["name"] != "SAL-ORD-2026-00001-1" {
		t.Errorf("the amended order is %v", d["name"])
	}
	refused(t, s, "POST", "/api/resource/Sales Order", order("k1;2", map[string]any{"amended_from": "SAL-ORD-2026-00001"}), 409, "DuplicateEntryError")
}

func TestInvoiceUsesTheAdvance(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	name := submittedOrder(t, s, "k1")
	paid := submit(t, s, "Payment Entry", payment(name, 26.99, nil))
	_, made := do(t, s, runtimeKey, "POST", "/api/method/"+orderModule+"make_sales_invoice", map[string]any{"source_name": name})
	invoice, _ := made["message"].(map[string]any)
	invoice["allocate_advances_automatically"] = 1
	si := submit(t, s, "Sales Invoice", invoice)

	got := mustDo(t, s, runtimeKey, "GET", "/api/resource/Sales Invoice/"+si, nil)
	if got["status"] != "Paid" || got["outstanding_amount"] != 0.0 {
		t.Errorf("the invoice is %v with %v outstanding", got["status"], got["outstanding_amount"])
	}
	billed := mustDo(t, s, runtimeKey, "GET", "/api/resource/Sales Order/"+name, nil)
	if billed["status"] != "To Deliver" || billed["per_billed"] != 100.0 {
		t.Errorf("the order is %v, billed %v", billed["status"], billed["per_billed"])
	}
	pe := mustDo(t, s, runtimeKey, "GET", "/api/resource/Payment Entry/"+paid, nil)
	if to := at(pe, "references.0.reference_name"); to != si {
		t.Errorf("the payment names %v, want the invoice", to)
	}
	refused(t, s, "PUT", "/api/resource/Sales Order/"+name, map[string]any{"docstatus": 2}, 417, "LinkExistsError")
	mustDo(t, s, runtimeKey, "PUT", "/api/resource/Payment Entry/"+paid, map[string]any{"docstatus": 2})
	if got := mustDo(t, s, runtimeKey, "GET", "/api/resource/Sales Invoice/"+si, nil); got["outstanding_amount"] != 26.99 {
		t.Errorf("after the payment's cancel %v is outstanding, want 26.99", got["outstanding_amount"])
	}
}

func TestAdvancesGoToTheLiabilityAccount(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	name := submittedOrder(t, s, "k1")
	mustDo(t, s, setupKey, "PUT", "/api/resource/Company/Demo Trading", map[string]any{
		"book_advance_payments_in_separate_party_account": 1, "default_advance_received_account": "Advances Received - DT"})
	d := mustDo(t, s, runtimeKey, "POST", "/api/resource/Payment Entry", payment(name, 10, map[string]any{"paid_from": "Debtors - DT"}))
	if d["paid_from"] != "Advances Received - DT" {
		t.Errorf("a draft posts to %v", d["paid_from"])
	}
	d = mustDo(t, s, runtimeKey, "POST", "/api/resource/Payment Entry", payment(name, 10, map[string]any{"docstatus": 1}))
	if d["paid_from"] != "Debtors - DT" {
		t.Errorf("one request posts to %v", d["paid_from"])
	}
}

func TestJournalMustBalance(t *testing.T) {
	s := testSite(t)
	journal := func(credit float64) map[string]any {
		return map[string]any{"posting_date": "2026-05-02", "user_remark": "payout", "accounts": []any{
			map[string]any{"account": "Stripe Fees - DT", "debit_in_account_currency": 3},
			map[string]any{"account": "Stripe Clearing - DT", "credit_in_account_currency": credit}}}
	}
	d := mustDo(t, s, runtimeKey, "POST", "/api/resource/Journal Entry", journal(2))
	refused(t, s, "PUT", "/api/resource/Journal Entry/"+fmt.Sprint(d["name"]), map[string]any{"docstatus": 1}, 417, "ValidationError")
	name := submit(t, s, "Journal Entry", journal(3))
	if n := len(s.Documents("GL Entry")); n != 2 {
		t.Errorf("%d ledger lines, want 2", n)
	}
	mustDo(t, s, runtimeKey, "PUT", "/api/resource/Journal Entry/"+name, map[string]any{"docstatus": 2})
	for _, line := range s.Documents("GL Entry") {
		if line["is_cancelled"] != int64(1) {
			t.Errorf("a line of the cancelled entry counts: %v", line["account"])
		}
	}
}

// TestPoisonedShape: a refused custom field leaves the DocType broken until a
// good one is saved.
func TestPoisonedShape(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	if status, _ := do(t, s, setupKey, "POST", "/api/resource/Custom Field", map[string]any{
		"dt": "Sales Order", "label": "Bad", "fieldtype": "Small Text", "unique": 1}); status != 417 {
		t.Fatalf("unique on a text: status %d", status)
	}
	refused(t, s, "POST", "/api/resource/Sales Order", order("k1", nil), 500, "OperationalError")
	mustDo(t, s, setupKey, "PUT", "/api/resource/Custom Field/Sales Order-custom_key", map[string]any{})
	mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order("k1", nil))
}
