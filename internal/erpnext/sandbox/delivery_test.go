package sandbox

import (
	"fmt"
	"maps"
	"testing"
)

// stockOrder submits an order of three mugs, which are stock items, and gives
// its name and its row's.
func stockOrder(t *testing.T, s *Site, key string) (name, row string) {
	t.Helper()
	mug := map[string]any{"item_code": "MUG-01", "qty": 3, "rate": 10, "price_list_rate": 0}
	d := mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order(key, map[string]any{"items": []any{mug}}))
	name = fmt.Sprint(d["name"])
	mustDo(t, s, runtimeKey, "PUT", "/api/resource/Sales Order/"+name, map[string]any{"docstatus": 1})
	return name, fmt.Sprint(at(d, "items.0.name"))
}

// noteOf is a Delivery Note of some of an order's mugs.
func noteOf(name, row string, qty float64, change map[string]any) map[string]any {
	item := map[string]any{"item_code": "MUG-01", "qty": qty, "rate": 10, "price_list_rate": 0, "against_sales_order": name, "so_detail": row, "warehouse": "Stores - DT"}
	maps.Copy(item, change)
	return map[string]any{"customer": "Mia Stone", "company": "Demo Trading", "currency": "USD", "selling_price_list": "Standard Selling", "items": []any{item}}
}

func TestDeliveryNoteDelivers(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	name, row := stockOrder(t, s, "k1")
	first := submit(t, s, "Delivery Note", noteOf(name, row, 2, nil))
	so := mustDo(t, s, runtimeKey, "GET", "/api/resource/Sales Order/"+name, nil)
	if so["per_delivered"] != 66.666667 || so["delivery_status"] != "Partly Delivered" || at(so, "items.0.delivered_qty") != 2.0 {
		t.Errorf("the order is %v delivered (%v), its row %v", so["per_delivered"], so["delivery_status"], at(so, "items.0.delivered_qty"))
	}
	over := mustDo(t, s, runtimeKey, "POST", "/api/resource/Delivery Note", noteOf(name, row, 2, nil))
	refused(t, s, "PUT", "/api/resource/Delivery Note/"+fmt.Sprint(over["name"]), map[string]any{"docstatus": 1}, 417, "OverAllowanceError")
	refused(t, s, "PUT", "/api/resource/Sales Order/"+name, map[string]any{"docstatus": 2}, 417, "LinkExistsError")
	submit(t, s, "Delivery Note", noteOf(name, row, 1, nil))
	if so = mustDo(t, s, runtimeKey, "GET", "/api/resource/Sales Order/"+name, nil); so["status"] != "To Bill" || so["per_delivered"] != 100.0 {
		t.Errorf("the delivered order is %v, %v delivered", so["status"], so["per_delivered"])
	}
	mustDo(t, s, runtimeKey, "PUT", "/api/resource/Delivery Note/"+first, map[string]any{"docstatus": 2})
	if so = mustDo(t, s, runtimeKey, "GET", "/api/resource/Sales Order/"+name, nil); so["status"] != "To Deliver and Bill" || so["per_delivered"] != 33.333333 {
		t.Errorf("after the cancel the order is %v, %v delivered", so["status"], so["per_delivered"])
	}
	if bin := s.peek("Bin", "MUG-01/Stores - DT"); flt(bin["actual_qty"]) != 999 || flt(bin["reserved_qty"]) != 2 {
		t.Errorf("the bin holds %v, %v reserved", bin["actual_qty"], bin["reserved_qty"])
	}
}

func TestDeliveryNoteIsRefused(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	name, row := stockOrder(t, s, "k1")
	tests := []struct {
		name  string
		body  map[string]any
		class string
	}{
		{"an order without its row", noteOf(name, "", 1, nil), "ValidationError"},
		{"a row without its order", noteOf("", row, 1, nil), "ValidationError"},
		{"another item", noteOf(name, row, 1, map[string]any{"item_code": "SHOP-LINE"}), "ValidationError"},
		{"half a mug", noteOf(name, row, 0.5, nil), "UOMMustBeIntegerError"},
		{"a negative quantity", noteOf(name, row, -1, nil), "NonNegativeError"},
		{"a stock item without a warehouse", noteOf(name, row, 1, map[string]any{"warehouse": ""}), "WarehouseRequired"},
	}
	mustDo(t, s, "all:all", "PUT", "/api/resource/UOM/Nos", map[string]any{"must_be_whole_number": 1})
	for _, tt := range tests {
		if status, answer := do(t, s, runtimeKey, "POST", "/api/resource/Delivery Note", tt.body); status != 417 || answer["exc_type"] != tt.class {
			t.Errorf("%s: status %d %v, want %s", tt.name, status, answer["exc_type"], tt.class)
		}
	}
	mustDo(t, s, runtimeKey, "POST", "/api/method/"+orderModule+"update_status", map[string]any{"status": "Closed", "name": name})
	refused(t, s, "POST", "/api/resource/Delivery Note", noteOf(name, row, 1, nil), 417, "ValidationError")
}

func TestStockRunsOut(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	name, row := stockOrder(t, s, "k1")
	bin := cloneDoc(s.peek("Bin", "MUG-01/Stores - DT"))
	bin["actual_qty"] = 2.0
	s.table("Bin").put(bin)
	d := mustDo(t, s, runtimeKey, "POST", "/api/resource/Delivery Note", noteOf(name, row, 3, nil))
	path := "/api/resource/Delivery Note/" + fmt.Sprint(d["name"])
	refused(t, s, "PUT", path, map[string]any{"docstatus": 1}, 417, "NegativeStockError")
	if d := mustDo(t, s, runtimeKey, "GET", path, nil); d["docstatus"] != 0.0 {
		t.Errorf("the refused note has docstatus %v", d["docstatus"])
	}
	mustDo(t, s, "all:all", "PUT", "/api/resource/Stock Settings/Stock Settings", map[string]any{"allow_negative_stock": 1})
	mustDo(t, s, runtimeKey, "PUT", path, map[string]any{"docstatus": 1})
}

func TestReturnedGoodsComeBack(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	name, row := stockOrder(t, s, "k1")
	sent := submit(t, s, "Delivery Note", noteOf(name, row, 3, nil))
	detail := fmt.Sprint(at(mustDo(t, s, runtimeKey, "GET", "/api/resource/Delivery Note/"+sent, nil), "items.0.name"))
	back := func(qty float64) map[string]any {
		d := noteOf(name, row, qty, map[string]any{"dn_detail": detail})
		d["is_return"], d["return_against"] = 1, sent
		return d
	}
	refused(t, s, "POST", "/api/resource/Delivery Note", back(-4), 417, "StockOverReturnError")
	submit(t, s, "Delivery Note", back(-1))
	so := mustDo(t, s, runtimeKey, "GET", "/api/resource/Sales Order/"+name, nil)
	note := mustDo(t, s, runtimeKey, "GET", "/api/resource/Delivery Note/"+sent, nil)
	if so["per_delivered"] != 66.666667 || note["per_returned"] != 33.333333 || at(note, "items.0.returned_qty") != 1.0 {
		t.Errorf("the order is %v delivered, the note %v returned", so["per_delivered"], note["per_returned"])
	}
	refused(t, s, "PUT", "/api/resource/Delivery Note/"+sent, map[string]any{"docstatus": 2}, 417, "LinkExistsError")
}

// TestPartialInvoicesBillRowByRow holds what invoices do to the order and to its
// notes.
func TestPartialInvoicesBillRowByRow(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	name, row := stockOrder(t, s, "k1")
	note := submit(t, s, "Delivery Note", noteOf(name, row, 2, nil))
	invoice := func(qty float64) map[string]any {
		d := noteOf(name, row, qty, map[string]any{"sales_order": name})
		return d
	}
	submit(t, s, "Sales Invoice", invoice(2))
	so := mustDo(t, s, runtimeKey, "GET", "/api/resource/Sales Order/"+name, nil)
	if so["per_billed"] != 66.666667 || so["billing_status"] != "Partly Billed" {
		t.Errorf("the order is %v billed (%v)", so["per_billed"], so["billing_status"])
	}
	if d := mustDo(t, s, runtimeKey, "GET", "/api/resource/Delivery Note/"+note, nil); d["status"] != "Completed" {
		t.Errorf("the billed note is %v", d["status"])
	}
	over := mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Invoice", invoice(2))
	refused(t, s, "PUT", "/api/resource/Sales Invoice/"+fmt.Sprint(over["name"]), map[string]any{"docstatus": 1}, 417, "OverAllowanceError")
	mustDo(t, s, runtimeKey, "POST", "/api/method/"+orderModule+"update_status", map[string]any{"status": "Closed", "name": name})
	refused(t, s, "POST", "/api/resource/Sales Invoice", invoice(1), 417, "ValidationError")
	refused(t, s, "PUT", "/api/resource/Delivery Note/"+note, map[string]any{"docstatus": 2}, 417, "ValidationError")
}

func TestMakeDeliveryNoteOffersTheRest(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	name, row := stockOrder(t, s, "k1")
	submit(t, s, "Delivery Note", noteOf(name, row, 2, nil))
	_, made := do(t, s, runtimeKey, "POST", "/api/method/"+orderModule+"make_delivery_note", map[string]any{"source_name": name})
	note, _ := made["message"].(map[string]any)
	if qty := at(note, "items.0.qty"); qty != 1.0 {
		t.Errorf("it offers %v mugs, want 1", qty)
	}
}
