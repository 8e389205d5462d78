package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// parcelOrder is an order of two kinds of mugs in a shop with tax beside its
// prices, at its n-th minute.
func parcelOrder(minute int, status, total, first, second, more string) []byte {
	at := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	line := func(id, sku, quantity, now, price, tax string) string {
		return fmt.Sprintf(`{"id":%s,"sku":%q,"title":%q,"quantity":%s,"current_quantity":%s,"price":%q,"discount_allocations":[],
"tax_lines":[{"title":"VAT","rate":0.19,"price":%q}]}`, id, sku, sku, quantity, now, price, tax)
	}
	if !strings.Contains(more, "fulfillments") {
		more += `,"fulfillments":[]`
	}
	return fmt.Appendf(nil, `{"id":%s,"name":"#77","currency":"USD","created_at":%q,"updated_at":%q,"financial_status":%q,"test":false,
"taxes_included":false,"cancelled_at":null,"subtotal_price":"40.00","total_tax":"7.57","total_discounts":"0.00","tax_lines":[],"discount_codes":[],
"note":null,"note_attributes":[],"total_price":"50.57","current_total_price":%q,"line_items":[%s,%s],
"shipping_lines":[{"title":"Post","price":"3.00","discount_allocations":[],"tax_lines":[]}],
"customer":{"id":8,"email":"ann@buyer.example","first_name":"Ann","last_name":"Lee"}%s}`,
		orderID, at.Format(time.RFC3339), at.Add(time.Duration(minute)*time.Minute).Format(time.RFC3339), status, total,
		line("11", "MUG-01", "3", first, "10.00", "5.70"), line("12", "POSTER-A2", "1", second, "10.00", "1.87"), more)
}

const (
	firstParcel = `,"fulfillments":[{"id":501,"status":"success","name":"#77.1","location_id":77,"created_at":"2026-01-02T10:00:00Z","tracking_numbers":["1Z9"],
"line_items":[{"id":11,"quantity":2}]}%s]%s`
	secondParcel = `,{"id":502,"status":"success","name":"#77.2","created_at":"2026-01-02T11:00:00Z","line_items":[{"id":11,"quantity":1},{"id":12,"quantity":1}]}`
	mugBack      = `{"id":601,"order_id":9007199254740993,"created_at":"2026-01-03T10:00:00Z","transactions":[],
"refund_line_items":[{"id":1,"line_item_id":11,"quantity":1,"restock_type":"return","subtotal":10.0,"total_tax":1.9,
"subtotal_set":{"shop_money":{"amount":"10.00","currency_code":"USD"}}}]}`
)

func parcels(second, more string) string { return fmt.Sprintf(firstParcel, second, more) }

// following is a service whose orders are followed by documents.
func following(change func(*config.Orders)) func(*config.Config) {
	return func(c *config.Config) {
		c.Sheet.Settings.Orders = config.Orders{
			DeliveryNotes: config.On, Invoices: config.InvoiceFulfilled, CreditNotes: config.On, Locations: map[string]string{"77": "Stores - DT"},
		}
		c.Sheet.Settings.Fields.DeliveryNote = map[string]config.Expression{"instructions": {Text: `fulfillment.name + " of " + order.name`}}
		c.Sheet.Settings.Fields.SalesInvoice = map[string]config.Expression{"remarks": {Text: `"Shop order " + order.name`}}
		if change != nil {
			change(&c.Sheet.Settings.Orders)
		}
	}
}

// hear sends a body as one event, and waits until it is settled.
func (s *service) hear(t testing.TB, topic, eventID string, body []byte) event.Event {
	t.Helper()
	if code, answer := s.send(t, "shopify", topic, eventID, body); code != 200 {
		t.Fatalf("%s was answered %d %s", topic, code, answer)
	}
	s.settle(t)
	events, _, err := s.Inbox().List(t.Context(), event.Filter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	return events[0]
}

// followers lists what stands behind the orders, as text.
func (s *service) followers() []string {
	var list []string
	for _, so := range s.site.Documents("Sales Order") {
		list = append(list, fmt.Sprintf("order %v: %v", so["grand_total"], so["status"]))
	}
	for _, dn := range s.site.Documents("Delivery Note") {
		list = append(list, fmt.Sprintf("note %v %v (%v)", dn["posting_date"], dn["status"], dn["instructions"]))
	}
	for _, si := range s.site.Documents("Sales Invoice") {
		list = append(list, fmt.Sprintf("invoice %v %v (%v)", si["grand_total"], si["status"], si["remarks"]))
	}
	return list
}

// TestParcelsOverHTTP sends the life of an order through the running service:
// two parcels, each with its note and its invoice, and a refund with its credit
// note.
func TestParcelsOverHTTP(t *testing.T) {
	s := startService(t, sandbox.Options{}, following(nil))
	s.until(t, "never warm", func() bool { return strings.Contains(s.log.String(), "erpnext is ready") })
	requests := func(what string, want ...string) {
		t.Helper()
		if got := s.requests(); !slices.Equal(got, want) {
			t.Errorf("%s cost %q, want %q", what, got, want)
		}
		s.site.ResetRequests()
	}
	s.site.ResetRequests()
	s.hear(t, "orders/create", "a", parcelOrder(1, "pending", "50.57", "3", "1", ""))
	requests("the order", "POST Customer", "POST Sales Order", "PUT Sales Order")
	s.hear(t, "orders/partially_fulfilled", "b", parcelOrder(2, "pending", "50.57", "3", "1", parcels("", "")))
	requests("the first parcel", "GET Sales Order", "POST", "POST Delivery Note", "PUT Delivery Note",
		"POST", "POST Sales Invoice", "PUT Sales Invoice") // a POST asks, once, whether there is a key field
	s.hear(t, "orders/fulfilled", "c", parcelOrder(3, "pending", "50.57", "3", "1", parcels(secondParcel, "")))
	requests("the second parcel", "GET Sales Order", "POST Delivery Note", "PUT Delivery Note", "POST Sales Invoice", "PUT Sales Invoice")
	ev := s.hear(t, "orders/updated", "d", parcelOrder(4, "partially_refunded", "38.67", "2", "1", parcels(secondParcel, `,"refunds":[`+mugBack+`]`)))
	if ev.State != event.Done {
		t.Fatalf("the refund ended %s: %s", ev.State, ev.Reason)
	}
	requests("the refund", "GET Sales Order", "GET Sales Order", "GET Sales Invoice", "GET Sales Invoice", "POST Sales Invoice", "PUT Sales Invoice")
	s.hear(t, "refunds/create", "e", []byte(mugBack))
	s.hear(t, "orders/updated", "f", parcelOrder(5, "partially_refunded", "38.67", "2", "1", parcels(secondParcel, `,"refunds":[`+mugBack+`]`)))
	requests("a repetition")

	want := []string{
		"order 50.57: Completed",
		"note 2026-01-02 Completed (#77.1 of #77)", "note 2026-01-02 Completed (#77.2 of #77)",
		"invoice 26.8 Overdue (Shop order #77)", "invoice 23.77 Overdue (Shop order #77)", "invoice -11.9 Return (No Remarks)",
	}
	if diff := cmp.Diff(want, s.followers()); diff != "" {
		t.Errorf("documents (-want +got):\n%s\nlog:\n%s", diff, s.log)
	}
	if keys := s.documents("Sales Invoice", "shopify/shopify/credit/601"); len(keys) != 1 {
		t.Errorf("%d credit notes have the refund's key", len(keys))
	}
	if bin := s.stock("MUG-01"); bin != 997.0 {
		t.Errorf("%v mugs are left, want 997: three left, and a credit note brings none back", bin)
	}
}

func (s *service) stock(item string) any {
	for _, bin := range s.site.Documents("Bin") {
		if bin["item_code"] == item {
			return bin["actual_qty"]
		}
	}
	return nil
}

// TestRefundAloneIsCredited holds that a refund whose order is not told of again
// is credited too.
func TestRefundAloneIsCredited(t *testing.T) {
	s := startService(t, sandbox.Options{}, following(nil))
	s.hear(t, "orders/fulfilled", "a", parcelOrder(1, "paid", "50.57", "3", "1", parcels(secondParcel, "")))
	ev := s.hear(t, "refunds/create", "b", []byte(mugBack))
	if n := len(s.documents("Sales Invoice", "shopify/shopify/credit/601")); n != 1 || ev.State != event.Done {
		t.Errorf("%d credit notes; the event ended %s: %s", n, ev.State, ev.Reason)
	}
}

// TestNothingFollowsByDefault holds that a sheet that says nothing makes orders
// alone.
func TestNothingFollowsByDefault(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	s.hear(t, "orders/fulfilled", "a", parcelOrder(1, "paid", "50.57", "3", "1", parcels(secondParcel, "")))
	s.hear(t, "refunds/create", "b", []byte(mugBack))
	if diff := cmp.Diff([]string{"order 50.57: To Deliver and Bill"}, s.followers()); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

// TestInvoiceThatCannotBeCancelledIsTold: the usual roles may not cancel an
// invoice, so that a person must.
func TestInvoiceThatCannotBeCancelledIsTold(t *testing.T) {
	s := startService(t, sandbox.Options{}, following(nil))
	s.hear(t, "orders/fulfilled", "a", parcelOrder(1, "paid", "50.57", "3", "1", parcels("", "")))
	undone := strings.Replace(parcels("", ""), `"status":"success"`, `"status":"cancelled"`, 1)
	ev := s.hear(t, "orders/updated", "b", parcelOrder(2, "paid", "50.57", "3", "1", undone))
	if ev.State != event.Done || !strings.Contains(ev.Reason, "its Sales Invoice could not be") {
		t.Errorf("ended %s: %s", ev.State, ev.Reason)
	}
	want := []string{"order 50.57: To Deliver and Bill", "note 2026-01-02 Cancelled (#77.1 of #77)", "invoice 26.8 Overdue (Shop order #77)"}
	if diff := cmp.Diff(want, s.followers()); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

// TestDeliveryWithoutStockIsDeadUntilThereIsSome holds that nothing is lost when
// ERPNext refuses: the order is there, and the next snapshot delivers it.
func TestDeliveryWithoutStockIsDeadUntilThereIsSome(t *testing.T) {
	s := startService(t, sandbox.Options{Key: "boss-key", Secret: "boss-secret"}, following(func(o *config.Orders) { o.Invoices = config.InvoiceNever }))
	boss, err := erpnext.New(erpnext.Options{URL: s.cfg.ERPNext.URL, Credentials: erpnext.KeySecret("boss-key", "boss-secret")})
	if err != nil {
		t.Fatal(err)
	}
	item := erpnext.Item{ItemCode: "NEW-MUG", ItemName: "New mug", ItemGroup: "Products", StockUOM: "Nos", IsStockItem: true}
	if err := boss.Create(t.Context(), "Item", item, nil); err != nil {
		t.Fatal(err)
	}
	body := func(minute int) []byte {
		return []byte(strings.ReplaceAll(string(parcelOrder(minute, "paid", "50.57", "3", "1", parcels("", ""))), "MUG-01", "NEW-MUG"))
	}
	ev := s.hear(t, "orders/create", "a", body(1))
	if ev.State != event.Dead || !strings.Contains(ev.Reason, "NegativeStockError") {
		t.Fatalf("ended %s: %s", ev.State, ev.Reason)
	}
	if err := boss.Update(t.Context(), "Stock Settings", "Stock Settings", map[string]any{"allow_negative_stock": 1}, nil); err != nil {
		t.Fatal(err)
	}
	if ev = s.hear(t, "orders/updated", "b", body(2)); ev.State != event.Done {
		t.Fatalf("ended %s: %s", ev.State, ev.Reason)
	}
	want := []string{"order 50.57: To Deliver and Bill", "note 2026-01-02 To Bill (#77.1 of #77)"}
	if diff := cmp.Diff(want, s.followers()); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

// TestPaymentAfterTheInvoiceOverHTTP holds that an order's invoice is paid by the
// money that another provider tells of later.
func TestPaymentAfterTheInvoiceOverHTTP(t *testing.T) {
	s := startService(t, sandbox.Options{}, following(func(o *config.Orders) { o.Invoices, o.DeliveryNotes = config.InvoicePaid, config.Off }))
	s.hear(t, "orders/paid", "a", parcelOrder(1, "paid", "50.57", "3", "1", ""))
	s.sample(t, "stripe", "charge.succeeded", "", "5551234567890", orderID, "6863", "5057")
	s.settle(t)
	want := []string{"order 50.57: To Deliver", "invoice 50.57 Paid (Shop order #77)"}
	if diff := cmp.Diff(want, s.followers()); diff != "" {
		t.Errorf("documents (-want +got):\n%s\nlog:\n%s", diff, s.log)
	}
}
