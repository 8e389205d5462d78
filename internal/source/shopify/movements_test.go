package shopify

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

const (
	sale = `{"id":6123456789012345678,"order_id":5123456789012345678,"kind":"sale","gateway":"stripe","status":"success","amount":"12.50","currency":"EUR",
  "authorization":"pi_77","receipt":{"charge_id":"ch_77"},"processed_at":"2026-03-04T05:06:07Z","amount_rounding":"0.05"}`
	refunded = `{"id":1,"order_id":2,"refund_line_items":[{"subtotal":399.29}],"transactions":[
  {"id":11,"order_id":2,"kind":"refund","gateway":"stripe","status":"success","amount":"9.00","currency":"EUR","parent_id":6,"authorization":"re_1","created_at":"2026-03-04T05:06:07Z"},
  {"id":12,"order_id":2,"kind":"refund","gateway":"gift_card","status":"pending","amount":"1.00","currency":"EUR","parent_id":7,"created_at":"2026-03-04T05:06:07Z"},
  {"id":13,"order_id":2,"kind":"refund","gateway":"stripe","status":"error","amount":"2.00","currency":"EUR","parent_id":6,"created_at":"2026-03-04T05:06:07Z"},
  {"id":14,"order_id":2,"kind":"void","gateway":"stripe","status":"success","amount":"2.00","currency":"EUR","created_at":"2026-03-04T05:06:07Z"}]}`
	disputed = `{"id":31,"order_id":2,"type":"chargeback","amount":"50.00","currency":"EUR","reason":"fraudulent","status":"needs_response",
  "evidence_due_by":"2026-03-20T00:00:00Z","initiated_at":"2026-03-04T05:06:07Z"}`
	redact = `{"shop_id":1,"shop_domain":"acme.example","customer":{"id":71,"email":"ada@shop.example","phone":"+1 5"},"orders_to_redact":[5123456789012345678,12]}`
)

var at = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// TestDecodeTopics writes down what each topic that is no order becomes.
func TestDecodeTopics(t *testing.T) {
	tests := []struct {
		name, topic, body string
		want              commerce.Content
	}{
		{"a sale", "order_transactions/create", sale, commerce.Content{Payment: &commerce.Payment{
			ID: "6123456789012345678", Aliases: []string{"pi_77", "ch_77"}, Reference: "pi_77", Amount: eur("12.50"), Rounding: eur("0.05"), At: at,
			OrderRefs: []string{"5123456789012345678"}, Provider: "shopify", Gateway: "stripe",
		}}},
		{"a refund by its transactions", "refunds/create", refunded, commerce.Content{Refunds: []commerce.Refund{
			{ID: "11", Aliases: []string{"re_1"}, PaymentID: "6", Reference: "re_1", Amount: eur("9"), At: at, Outcome: commerce.Succeeded, OrderRefs: []string{"2"}, Provider: "shopify", Gateway: "stripe"},
			{ID: "12", PaymentID: "7", Reference: "12", Amount: eur("1"), At: at, Outcome: commerce.Pending, OrderRefs: []string{"2"}, Provider: "shopify", Gateway: "gift_card"},
			{ID: "13", PaymentID: "6", Reference: "13", Amount: eur("2"), At: at, Outcome: commerce.Failed, OrderRefs: []string{"2"}, Provider: "shopify", Gateway: "stripe"},
		}}},
		{"a refund told as a transaction", "order_transactions/create",
			`{"id":11,"order_id":2,"kind":"refund","gateway":"stripe","status":"success","amount":"9.00","currency":"EUR","parent_id":6,"created_at":"2026-03-04T05:06:07Z"}`,
			commerce.Content{Refunds: []commerce.Refund{
				{ID: "11", PaymentID: "6", Reference: "11", Amount: eur("9"), At: at, Outcome: commerce.Succeeded, OrderRefs: []string{"2"}, Provider: "shopify", Gateway: "stripe"},
			}}},
		{"a chargeback", "disputes/create", disputed, commerce.Content{Dispute: &commerce.Dispute{
			ID: "31", PaymentID: "2", Reference: "31", Amount: eur("50"), Stage: commerce.DisputeWithdrawn, Reason: "fraudulent", At: at,
			DueBy: time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC), Provider: "shopify_payments",
		}}},
		{"an inquiry takes no money", "disputes/create", `{"id":31,"type":"inquiry","amount":"50.00","currency":"EUR","status":"needs_response","initiated_at":"2026-03-04T05:06:07Z"}`,
			commerce.Content{Dispute: &commerce.Dispute{ID: "31", Reference: "31", Amount: eur("50"), Stage: commerce.DisputeOpened, At: at, Provider: "shopify_payments"}}},
		{"a customer", "customers/update",
			`{"id":71,"email":"ada@shop.example","first_name":"Ada","last_name":"Byron","tags":"vip, press","tax_exempt":true,"updated_at":"2026-03-04T05:06:07Z","default_address":{"company":"Engines Ltd","city":"Bath"}}`,
			commerce.Content{Customer: &commerce.Party{
				ID: "71", Email: "ada@shop.example", FirstName: "Ada", LastName: "Byron", Company: "Engines Ltd", Tags: []string{"vip", "press"}, TaxExempt: true, UpdatedAt: at,
				Address: &commerce.Address{Company: "Engines Ltd", City: "Bath"},
			}}},
		{"a deleted customer", "customers/delete", `{"id":71}`, commerce.Content{Customer: &commerce.Party{ID: "71", Deleted: true}}},
		{"a product", "products/create", `{"id":81,"title":"Pen","vendor":"Acme","product_type":"Tools","updated_at":"2026-03-04T05:06:07Z",
  "variants":[{"id":82,"sku":"PEN","title":"Default Title","requires_shipping":true},{"id":83,"sku":"PEN-B","title":"blue"}]}`,
			commerce.Content{Product: &commerce.Product{ID: "81", Title: "Pen", Vendor: "Acme", Kind: "Tools", UpdatedAt: at, Variants: []commerce.Variant{
				{ID: "82", SKU: "PEN", Title: "Pen", Shipped: true}, {ID: "83", SKU: "PEN-B", Title: "Pen - blue"},
			}}}},
		{"a request to erase", "customers/redact", redact, commerce.Content{Privacy: &commerce.Privacy{
			Kind: commerce.PrivacyRedact, RequestID: "webhook-1", Shop: "acme.example", CustomerID: "71", Email: "ada@shop.example", Phone: "+1 5",
			OrderIDs: []string{"5123456789012345678", "12"},
		}}},
		{"a request to tell", "customers/data_request", `{"shop_domain":"acme.example","customer":{"email":"ada@shop.example"},"orders_requested":[12],"data_request":{"id":9999}}`,
			commerce.Content{Privacy: &commerce.Privacy{Kind: commerce.PrivacyExport, RequestID: "9999", Shop: "acme.example", Email: "ada@shop.example", OrderIDs: []string{"12"}}}},
		{"the end of a shop", "shop/redact", `{"shop_domain":"acme.example"}`, commerce.Content{Privacy: &commerce.Privacy{Kind: commerce.PrivacyRedactShop, RequestID: "webhook-1", Shop: "acme.example"}}},
		{"the end of the app", "app/uninstalled", `{"myshopify_domain":"acme.example"}`, commerce.Content{Privacy: &commerce.Privacy{Kind: commerce.ShopUninstalled, RequestID: "webhook-1", Shop: "acme.example"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := source(t, secretA).Decode(event.Event{Topic: tt.topic, ProviderID: "webhook-1", Body: []byte(tt.body)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, amounts); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRefusesWhatHasNoID(t *testing.T) {
	for _, topic := range []string{"order_transactions/create", "disputes/create", "customers/create", "products/create"} {
		_, err := decode(t, topic, `{"kind":"sale","status":"won","amount":"1","currency":"EUR"}`)
		if fault.KindOf(err) != fault.Undecodable || err == nil {
			t.Errorf("%s: %v", topic, err)
		}
	}
}

// TestDecodeLife reads what an order says of its life.
func TestDecodeLife(t *testing.T) {
	o := mustDecode(t, order(oneLine+`,"test":true,"cancelled_at":"2026-03-04T05:06:07Z","closed_at":"2026-03-05T05:06:07Z","financial_status":"partially_refunded","tags":"a, b,",
 "source_name":"pos","location_id":5,"po_number":"PO 7","discount_codes":[{"code":"TEN"}],"note_attributes":[{"name":"VAT_ID","value":"DE1"},{"name":"gift","value":5}],
 "shipping_address":{"name":"Jo Ex","city":"Ulm","country_code":"DE"},
 "fulfillments":[{"id":9,"name":"#1.1","status":"success","created_at":"2026-03-04T05:06:07Z","location_id":5,"tracking_numbers":["T1"],"line_items":[{"id":2,"quantity":1}]},
  {"id":10,"status":"cancelled"},{"id":11,"status":"pending"}],
 "refunds":[{"id":1,"transactions":[{"id":11,"order_id":1,"kind":"refund","status":"success","amount":"1.00","currency":"EUR"}]}],
 "transactions":[{"id":12,"order_id":1,"kind":"capture","status":"success","gateway":"cash","amount":"9.00","currency":"EUR"},{"id":13,"kind":"void","status":"success"}],
 "customer":{"id":7}`))
	type life struct {
		Test, Paid                   bool
		Cancelled, Closed            time.Time
		Tags, Codes                  []string
		Channel, Location, PO, TaxID string
		Attributes                   map[string]string
		City                         string
		Fulfillments                 []commerce.Fulfillment
		Refunds, Payments            int
	}
	got := life{
		o.Test, o.Paid, o.CancelledAt, o.ClosedAt, o.Tags, o.DiscountIDs, o.Channel, o.LocationID, o.PONumber, o.Customer.TaxID, o.Attributes, o.ShipTo.City,
		o.Fulfillments, len(o.Refunds), len(o.Payments),
	}
	want := life{
		true, true, at, at.AddDate(0, 0, 1), []string{"a", "b"}, []string{"TEN"}, "pos", "5", "PO 7", "DE1", map[string]string{"VAT_ID": "DE1", "gift": "5"}, "Ulm",
		[]commerce.Fulfillment{
			{ID: "9", Name: "#1.1", At: at, LocationID: "5", Tracking: []string{"T1"}, Lines: []commerce.FulfilledLine{{LineID: "2", Quantity: 1}}},
			{ID: "10", Cancelled: true},
		}, 1, 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDecodeBuyersMoney reads an order in what the buyer was shown.
func TestDecodeBuyersMoney(t *testing.T) {
	const body = `{"id":1,"order_number":1,"currency":"AUD","presentment_currency":"USD","created_at":"2026-01-01T00:00:00Z","total_price":"60.33",
 "total_price_set":{"shop_money":{"amount":"60.33","currency_code":"AUD"},"presentment_money":{"amount":"45.85","currency_code":"USD"}},
 "line_items":[{"id":2,"title":"A","quantity":1,"price":"60.33","price_set":{"shop_money":{"amount":"60.33"},"presentment_money":{"amount":"45.85"}}}]}`
	s, err := New(Options{Secrets: []string{secretA}, BuyersMoney: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Decode(event.Event{Topic: ordersCreate, Body: []byte(whole(body))})
	if err != nil {
		t.Fatal(err)
	}
	usd, aud := func(text string) money.Amount { return amountIn(t, text, "USD") }, amountIn(t, "60.33", "AUD")
	if o := c.Order; o.Currency != "USD" || !o.Total.Equal(usd("45.85")) || !o.Lines[0].UnitPrice.Equal(usd("45.85")) || o.ShopTotal == nil || !o.ShopTotal.Equal(aud) {
		t.Errorf("got %+v", o)
	}
	if o := mustDecode(t, body); o.Currency != "AUD" || !o.Total.Equal(aud) || o.ShopTotal != nil {
		t.Errorf("in the shop's money: %+v", o)
	}
	_, err = s.Decode(event.Event{Topic: ordersCreate, Body: []byte(whole(`{"id":1,"order_number":1,"currency":"AUD","presentment_currency":"USD","total_price":"1.00","line_items":[]}`))})
	if e := fault.As(err); e == nil || e.Cause != "total_price_set.presentment_money.amount is missing" {
		t.Errorf("without the buyer's money: %v", err)
	}
}

func amountIn(t *testing.T, text, currency string) money.Amount {
	t.Helper()
	a, err := money.Parse(text, currency)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestDecodeMoneyGivenBack covers refunds that shrink the shop's total and none
// of the order's parts.
func TestDecodeMoneyGivenBack(t *testing.T) {
	const body = `"total_price":"30.00","current_total_price":"%s","line_items":[{"id":1,"quantity":3,"current_quantity":%s,"price":"10.00"}],
 "shipping_lines":[{"title":"Post","price":"%s"}],"refunds":[{"id":5,"order_adjustments":[%s]}]`
	const gift, shipping = `{"kind":"refund_discrepancy","amount":"-4.00","tax_amount":"-1.00"}`, `{"kind":"shipping_refund","amount":"-3.00","tax_amount":"0.00"}`
	tests := []struct{ name, total, pieces, post, adjustments, want, given string }{
		{"nothing", "30.00", "3", "0.00", ``, "30", "0"},
		{"a gift", "25.00", "3", "0.00", gift, "30", "5"},
		{"goods", "20.00", "2", "0.00", ``, "20", "0"},
		{"goods and a gift", "15.00", "2", "0.00", gift, "20", "5"},
		{"shipping that the version does not shrink", "30.00", "3", "3.00", shipping, "33", "3"},
		{"shipping that is gone from its line", "30.00", "3", "0.00", shipping, "30", "0"},
		{"both", "25.00", "3", "3.00", gift + "," + shipping, "33", "8"},
		{"less than the goods were worth", "22.00", "2", "0.00", `{"kind":"refund_discrepancy","amount":"2.00","tax_amount":"0.00"}`, "20", "-2"},
		{"a total that says nothing of it", "30.00", "3", "0.00", gift, "30", "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := mustDecode(t, `{"id":1,"currency":"EUR",`+fmt.Sprintf(body, tt.total, tt.pieces, tt.post, tt.adjustments)+`}`)
			if o.Total.Value().String() != tt.want || o.GivenBack.Value().String() != tt.given {
				t.Errorf("total %s with %s given back, want %s with %s", o.Total, o.GivenBack, tt.want, tt.given)
			}
		})
	}
}
