package app_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// TestSettingsChangeDocuments sends an order to the running service with a
// line of the mapping sheet, and looks at what it changed in ERPNext.
func TestSettingsChangeDocuments(t *testing.T) {
	presentment := []string{`"presentment_currency": "USD"`, `"presentment_currency": "EUR", "total_price_set": {"presentment_money": {"amount": "62.00"}},
  "current_total_price_set": {"presentment_money": {"amount": "62.00"}}, "total_tax_set": {"presentment_money": {"amount": "5.23"}}, "current_total_tax_set": {"presentment_money": {"amount": "0.00"}}`,
		`"price": "12.50"`, `"price": "12.50", "price_set": {"presentment_money": {"amount": "11.00"}}`, `"amount": "5.00",`, `"amount": "5.00", "amount_set": {"presentment_money": {"amount": "0.00"}},`,
		`"price": "24.00"`, `"price": "24.00", "price_set": {"presentment_money": {"amount": "22.00"}}`, `"price": "6.90"`, `"price": "6.90", "price_set": {"presentment_money": {"amount": "7.00"}}`,
		`"discounted_price": "6.90"`, `"discounted_price_set": {"presentment_money": {"amount": "7.00"}}`,
		`"price": "2.68"`, `"price_set": {"presentment_money": {"amount": "0.00"}}`, `"price": "1.98"`, `"price_set": {"presentment_money": {"amount": "0.00"}}`,
		`"price": "0.57"`, `"price_set": {"presentment_money": {"amount": "0.00"}}`, `"price": "5.23"`, `"price_set": {"presentment_money": {"amount": "0.00"}}`}
	guest := []string{`"id": 7771234567001,`, ``, `"customer":`, `"buyer":`}
	tests := []struct {
		sheet   string
		replace []string
		look    string // the document and a pattern of what is in it
		without bool   // the pattern is there without the setting too
	}{
		{"warehouse: Stores - DT\n", nil, `Sales Order: "warehouse":"Stores - DT"`, true},
		{"accounts: {shipping: Tips - DT}", nil, `Sales Order: "account_head":"Tips - DT"`, false},
		{"accounts: {tax: Gift Cards - DT}", nil, `Sales Order: "account_head":"Gift Cards - DT"`, false},
		{"taxes: [{rate: 0.0825, account: Gift Cards - DT}]", nil, `Sales Order: "account_head":"Gift Cards - DT"`, false},
		{"shipping: {accounts: [{title: ground, account: Tips - DT}]}", nil, `Sales Order: "account_head":"Tips - DT"`, false},
		{"shipping: {as: item, item: GIFT-WRAP}", nil, `Sales Order: "item_code":"GIFT-WRAP"`, false},
		{"items: {rules: [{sku: MUG-*, item: POSTER-A2}]}", nil, `Sales Order: "item_code":"POSTER-A2"`, false},
		{"items: {match: [variant]}", nil, `Sales Order: "item_code":"SHOP-LINE"`, false},
		{"items: {fallback: GIFT-WRAP}", []string{"MUG-01", "NO-SUCH"}, `Sales Order: "item_code":"GIFT-WRAP"`, false},
		{"items: {create: non_stock, group: Services, uom: Unit}", []string{"MUG-01", "NEW-MUG"}, `Item: "is_stock_item":0.*"item_group":"Services".*"name":"NEW-MUG".*"stock_uom":"Unit"`, false},
		{"items: {gift_card: GIFT-WRAP}", []string{`"gift_card": false`, `"gift_card": true`}, `Sales Order: "item_code":"GIFT-WRAP"`, false},
		{"customers: {group: Commercial}", nil, `Customer: "customer_group":"Commercial"`, false},
		{"customers: {territory: Rest Of The World}", nil, `Customer: "territory":"Rest Of The World"`, false},
		{"customers: {price_list: Standard Selling}", nil, `Customer: "default_price_list":"Standard Selling"`, false},
		{"customers: {tax_id_attributes: [UID]}", []string{`"note_attributes": []`, `"note_attributes": [{"name": "uid", "value": "ATU1"}]`}, `Customer: "tax_id":"ATU1"`, false},
		{"customers: {one_per_guest_order: on}", guest, `Customer: "custom_ledgerhook_key":"shopify/shopify/guest-order/5551234567890"`, false},
		{"guest_customer: Walk-in", append([]string{`ada.byron@example.com`, ``, "Ada", "", "Byron", ""}, guest...), `Sales Order: "customer":"Walk-in"`, false},
		{"orders: {submit: false}", nil, `Sales Order: "docstatus":0`, false},
		{"orders: {taxes: on_net_total}", nil, `Sales Order: "charge_type":"On Net Total"`, false},
		{"orders: {discounts: header}", nil, `Sales Order: "discount_amount":5[,}]`, false},
		{"orders: {po_no: po_number}", []string{`"test": false`, `"test": false, "po_number": "PO 9"`}, `Sales Order: "po_no":"PO 9"`, false},
		{"orders: {naming_series: SHOP-.#####}", nil, `Sales Order: "name":"SHOP-00001"`, false},
		{"orders: {test_orders: book}", []string{`"test": false`, `"test": true`}, `Sales Order: "grand_total"`, false},
		{"orders: {locations: {\"9\": Stores - DT}}", []string{`"test": false`, `"test": false, "location_id": 9`}, `Sales Order: "warehouse":"Stores - DT"`, true},
		{"orders: {currency: presentment}", presentment, `Sales Order: "base_grand_total":68.63.*"currency":"EUR"`, false},
		{"fields: {sales_order: {letter_head: order.channel}}", []string{`"test": false`, `"test": false, "source_name": "pos"`}, `Sales Order: "letter_head":"pos"`, false},
		{"fields: {customer: {website: customer.email}}", nil, `Customer: "website":"ada.byron@example.com"`, false},
	}
	for _, tt := range tests {
		t.Run(tt.sheet, func(t *testing.T) {
			doctype, pattern, _ := strings.Cut(tt.look, ": ")
			for _, sheet := range []string{tt.sheet, ""} {
				with := sheet != ""
				found, log := sentWith(t, sheet, tt.replace, doctype, regexp.MustCompile(pattern))
				if found != (with || tt.without) {
					t.Errorf("with the setting %v: %s in ERPNext %v; log:\n%s", with, tt.look, found, log)
				}
			}
		})
	}
}

// sentWith runs the service with a sheet, sends it an order and tells whether a
// document of ERPNext looks so.
func sentWith(t *testing.T, sheet string, replace []string, doctype string, pattern *regexp.Regexp) (bool, fmt.Stringer) {
	t.Helper()
	s := startSheet(t, sheet, func(site *sandbox.Site) {
		for _, right := range []string{"create", "write"} {
			if err := site.Grant("Item", "Sales User", right); err != nil {
				t.Fatal(err)
			}
		}
		if err := site.Insert("Customer", map[string]any{"name": "Walk-in", "customer_name": "Walk-in", "customer_type": "Individual"}); err != nil {
			t.Fatal(err)
		}
	})
	s.sample(t, "shopify", "orders/create", "1", replace...)
	s.settle(t)
	for _, doc := range s.documents(doctype, "") {
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if pattern.Match(raw) {
			return true, s.log
		}
	}
	return false, s.log
}

// startSheet starts a service with a mapping sheet.
func startSheet(t *testing.T, sheet string, prepare func(*sandbox.Site)) *service {
	t.Helper()
	s := startService(t, sandbox.Options{}, func(c *config.Config) {
		parsed, err := config.ParseSheet("sheet.yaml", []byte(sheet))
		if err != nil {
			t.Fatal(err)
		}
		parsed.Payments.WaitForOrder = c.Sheet.Payments.WaitForOrder
		c.Sheet = parsed
	})
	prepare(s.site)
	return s
}

// TestSettingsOfAnOrdersLife covers the settings that decide what follows from
// an order that changes, or that is not to be booked yet.
func TestSettingsOfAnOrdersLife(t *testing.T) {
	const later = "2031-01-01T00:00:00Z"
	edited := []string{`"quantity": 3, "current_quantity": 3`, `"quantity": 3, "current_quantity": 2`, `"current_total_price": "68.63"`, `"current_total_price": "56.90"`}
	cancelled := []string{`"cancelled_at": null`, `"cancelled_at": "` + later + `"`}
	tests := []struct {
		sheet   string
		replace []string // of the second snapshot
		want    string   // Sales Orders by docstatus, and what the second event ended as
	}{
		{"", cancelled, "1 cancelled; done"},
		{"orders: {cancel: note}", cancelled, "1 submitted; done"},
		{"", edited, "1 submitted, 1 cancelled; done"},
		{"orders: {edits: note}", edited, "1 submitted; done"},
		{"orders: {when: paid}", []string{`"financial_status": "paid"`, `"financial_status": "paid"`}, "1 submitted; done"},
		{"orders: {skip_tags: [wholesale]}", []string{`"test": false`, `"test": false, "tags": "Wholesale"`}, "1 submitted; ignored"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.sheet, " ", tt.replace[1]), func(t *testing.T) {
			s := startSheet(t, tt.sheet, func(*sandbox.Site) {})
			first := []string{}
			if strings.Contains(tt.sheet, "paid") {
				first = []string{`"financial_status": "paid"`, `"financial_status": "pending"`}
			}
			s.sample(t, "shopify", "orders/create", "1", first...)
			s.settle(t)
			if strings.Contains(tt.sheet, "paid") && len(s.documents("Sales Order", "")) != 0 {
				t.Error("an order that is not paid was booked")
			}
			sample, err := app.SampleOf("shopify", "orders/create", time.Now().Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			body := strings.NewReplacer(tt.replace...).Replace(string(sample.Body))
			s.send(t, "shopify", "orders/updated", "2", []byte(body))
			s.settle(t)
			var counts [3]int
			for _, so := range s.documents("Sales Order", "") {
				counts[so["docstatus"].(int64)]++
			}
			var parts []string
			for status, name := range []string{"draft", "submitted", "cancelled"} {
				if counts[status] > 0 {
					parts = append(parts, fmt.Sprint(counts[status], " ", name))
				}
			}
			if got := strings.Join(parts, ", ") + "; " + string(s.event(t, "shopify", "2").State); got != tt.want {
				t.Errorf("%s, want %s; log:\n%s", got, tt.want, s.log)
			}
		})
	}
}

// TestShopDataByService follows customers and products that the shop tells of.
func TestShopDataByService(t *testing.T) {
	s := startSheet(t, "products: on\nitems: {create: non_stock}\ncustomers: {from_shop: on, update: overwrite}", func(site *sandbox.Site) {
		for _, right := range []string{"create", "write"} {
			if err := site.Grant("Item", "Sales User", right); err != nil {
				t.Fatal(err)
			}
		}
	})
	for i, name := range []string{"Ann", "Anna"} {
		s.send(t, "shopify", "customers/update", "c"+name, []byte(fmt.Sprintf(`{"id":7,"email":"ann@example.com","first_name":%q,"last_name":"Lee","updated_at":"2026-01-0%dT00:00:00Z"}`, name, i+1)))
		s.settle(t)
	}
	s.send(t, "shopify", "products/update", "p", []byte(`{"id":5,"title":"Beaker","updated_at":"2026-01-01T00:00:00Z","variants":[{"id":51,"sku":"MUG-01","title":"Default Title"},{"id":52,"sku":"BEAKER-2","title":"large"}]}`))
	s.settle(t)
	for _, id := range []string{"cAnn", "cAnna", "p"} {
		if ev := s.event(t, "shopify", id); ev.State != event.Done {
			t.Errorf("%s is %s: %s %s", id, ev.State, ev.Class, ev.Reason)
		}
	}
	if c := s.documents("Customer", "shopify/shopify/customer/7"); len(c) != 1 || c[0]["customer_name"] != "Anna Lee" {
		t.Errorf("customers %v", c)
	}
	names := map[any]any{}
	for _, item := range s.documents("Item", "") {
		names[item["name"]] = item["item_name"]
	}
	if names["MUG-01"] != "Beaker" || names["BEAKER-2"] != "Beaker - large" {
		t.Errorf("items %v", names)
	}
}

// TestClosedPeriodByService books a payment of a closed day on the first open
// one, from the webhook to the ledger.
func TestClosedPeriodByService(t *testing.T) {
	for sheet, want := range map[string]event.State{"": event.Dead, "orders: {closed_period: first_open_day}": event.Done} {
		s := startSheet(t, sheet, func(site *sandbox.Site) {
			site.SetSetting("Accounts Settings", "acc_frozen_upto", site.Now().AddDate(0, 0, -1).Format(time.DateOnly))
		})
		s.sample(t, "stripe", "charge.succeeded", "", fmt.Sprint(time.Now().Unix())[:6], fmt.Sprint(time.Now().AddDate(0, 0, -5).Unix())[:6])
		s.settle(t)
		events, _, err := s.Inbox().List(t.Context(), event.Filter{})
		if err != nil || len(events) != 1 || events[0].State != want {
			t.Fatalf("%q: %+v, %v", sheet, events, err)
		}
		if want == event.Done && !strings.Contains(events[0].Reason, "the books are closed on") {
			t.Errorf("nothing tells of the moved day: %q", events[0].Reason)
		}
	}
}

// TestMoneyInsideAnOrderFindsIt books a refund that comes inside the snapshot of
// its order for the order's customer, though nothing waits.
func TestMoneyInsideAnOrderFindsIt(t *testing.T) {
	s := startSheet(t, "gateways: {manual: {owner: shop, account: Cash - DT}}", func(*sandbox.Site) {})
	s.sample(t, "shopify", "orders/create", "1", `"note_attributes": []`, `"note_attributes": [], "refunds": [{"id": 5, "transactions": [
  {"id": 6, "order_id": 5551234567890, "kind": "refund", "status": "success", "gateway": "manual", "amount": "3.00", "currency": "USD"}]}]`)
	s.settle(t)
	refunds := s.documents("Payment Entry", "")
	if len(refunds) != 1 || refunds[0]["party"] != "Ada Byron" {
		t.Errorf("refunds %v; log:\n%s", refunds, s.log)
	}
}

// TestSupplementByService adds to an order that was delivered.
func TestSupplementByService(t *testing.T) {
	for sheet, want := range map[string]int{"": 0, "orders: {edits_behind: supplement}": 1} {
		s := startSheet(t, sheet, func(*sandbox.Site) {})
		s.sample(t, "shopify", "orders/create", "1")
		s.settle(t)
		so := s.documents("Sales Order", "")[0]
		so["per_delivered"] = 100.0
		if err := s.site.Insert("Sales Order", so); err != nil {
			t.Fatal(err)
		}
		sample, err := app.SampleOf("shopify", "orders/create", time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		body := strings.NewReplacer(
			`"quantity": 1, "current_quantity": 1`, `"quantity": 2, "current_quantity": 2`, `"price": "1.98"`, `"price": "3.96"`,
			`"current_total_price": "68.63"`, `"current_total_price": "94.61"`,
		).Replace(string(sample.Body))
		s.send(t, "shopify", "orders/updated", "2", []byte(body))
		s.settle(t)
		added := s.documents("Sales Order", "shopify/shopify/order/5551234567890/s2")
		if len(added) != want {
			t.Fatalf("%q: %d supplements, want %d; log:\n%s", sheet, len(added), want, s.log)
		}
		if want == 1 && (added[0]["grand_total"] != 25.98 || added[0]["po_no"] != "#1001/2" || added[0]["customer"] != so["customer"]) {
			t.Errorf("the supplement is %v of %v for %v", added[0]["po_no"], added[0]["grand_total"], added[0]["customer"])
		}
	}
}
