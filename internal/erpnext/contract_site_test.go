package erpnext_test

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

// contractSite is a site under the contract and what this run made on it.
type contractSite struct {
	url, host              string
	runtime, setup         string // Authorization
	runtimeKeys, setupKeys erpnext.Credentials

	profile  erpnext.Profile
	version  int    // ERPNext's major version
	run      string // begins every name and key of this run
	today    string // in the site's zone
	customer string
	item     string // a non-stock item
	bank     string // an account of type Bank in the company's currency
	cash     string
	settings map[string]any // "Selling Settings.so_required" to its value
	made     int
}

// client is a new client of the site.
func (s *contractSite) client(t *testing.T, user erpnext.Credentials) *erpnext.Client {
	t.Helper()
	c, err := erpnext.New(erpnext.Options{URL: s.url, Site: s.host, Credentials: user})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// prepare finds the company's records and makes what every case needs.
func (s *contractSite) prepare(t *testing.T) {
	t.Helper()
	c, setup := s.client(t, s.runtimeKeys), s.client(t, s.setupKeys)
	s.run = "LH-" + strconv.FormatInt(time.Now().UnixMilli(), 36)
	if err := erpnext.Setup(t.Context(), setup, erpnext.KeyedDocTypes(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	versions, err := c.Versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.version = versions.Major()
	if s.profile, err = erpnext.Discover(t.Context(), c, erpnext.Wanted{}); err != nil {
		t.Fatal(err)
	}
	s.today = time.Now().In(s.profile.Location).Format(time.DateOnly)
	s.bank, s.cash = s.account(t, c, "Bank"), s.account(t, c, "Cash")
	s.item = s.prepareItem(t, c, setup)
	s.readSettings(t)
	s.customer = s.run + " Ann"
	s.play(t, []step{create("Customer", s.person(s.customer))})
	t.Logf("ERPNext %s, Frappe %s, run %s, item %s, settings %v", versions.ERPNext, versions.Frappe, s.run, s.item, s.settings)
}

// account is the first account of a type in the company's currency.
func (s *contractSite) account(t *testing.T, c *erpnext.Client, kind string) string {
	t.Helper()
	var found []erpnext.Stored
	err := c.List(t.Context(), erpnext.Query{DocType: "Account", OrderBy: "name asc", Limit: 1, Filters: map[string]any{
		"company": s.profile.Company, "account_type": kind, "is_group": 0, "disabled": 0, "account_currency": s.profile.Currency,
	}}, &found)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("%s has no %s account in %s", s.profile.Company, kind, s.profile.Currency)
	}
	return found[0].Name
}

// prepareItem makes an item of this run if the setup key may, else it reuses
// the item for lines without one.
func (s *contractSite) prepareItem(t *testing.T, c, setup *erpnext.Client) string {
	t.Helper()
	code := s.run + "-ITEM"
	if err := erpnext.SetupItem(t.Context(), setup, erpnext.Wanted{FallbackItem: code}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{code, s.profile.FallbackItem} {
		if c.Get(t.Context(), "Item", name, nil) == nil {
			return name
		}
	}
	t.Fatalf("the setup key may not make items and there is no item %s", s.profile.FallbackItem)
	return ""
}

// readSettings reads the settings that change answers; the setup key may.
func (s *contractSite) readSettings(t *testing.T) {
	t.Helper()
	s.settings = map[string]any{}
	for doctype, fields := range map[string][]string{
		"System Settings":  {"rounding_method", "currency_precision"},
		"Selling Settings": {"allow_against_multiple_purchase_orders", "allow_multiple_items", "cust_master_name"},
	} {
		a := s.exchange(t, read(doctype, doctype).bySetup())
		if a.status != 200 {
			t.Fatalf("%s: %d %s", doctype, a.status, a.class())
		}
		for _, f := range fields {
			s.settings[doctype+"."+f] = dig(a.body, "data."+f)
		}
	}
}

// on tells whether a check of the site's settings is set.
func (s *contractSite) on(setting string) bool { return fmt.Sprint(s.settings[setting]) == "1" }

// next is a new key of this run: lower case and digits.
func (s *contractSite) next() string {
	s.made++
	return strings.ToLower(s.run) + "/" + strconv.Itoa(s.made)
}

// doc is a body with changes; nil takes a field away.
func doc(body, change map[string]any) map[string]any {
	maps.Copy(body, change)
	maps.DeleteFunc(body, func(_ string, v any) bool { return v == nil })
	return body
}

func (s *contractSite) person(name string) map[string]any {
	return map[string]any{
		"customer_name": name, "customer_type": "Individual", "customer_group": s.profile.CustomerGroup, "territory": s.profile.Territory,
		erpnext.KeyField: s.next(),
	}
}

func (s *contractSite) line(qty, rate float64) map[string]any {
	return map[string]any{"item_code": s.item, "qty": qty, "rate": rate, "price_list_rate": 0}
}

func lines(rows ...any) map[string]any { return map[string]any{"items": rows} }

// order is a body of 25.00 under a key of its own.
func (s *contractSite) order(change map[string]any) map[string]any {
	return doc(map[string]any{
		"customer": s.customer, "company": s.profile.Company, "order_type": "Sales", "currency": s.profile.Currency, "conversion_rate": 1,
		"selling_price_list": s.profile.PriceList, "price_list_currency": s.profile.Currency, "plc_conversion_rate": 1,
		"transaction_date": s.today, "delivery_date": s.today, "title": s.run, "ignore_pricing_rule": 1, "disable_rounded_total": 1,
		"payment_terms_template": "", "taxes_and_charges": "", "items": []any{s.line(2, 12.5)}, erpnext.KeyField: s.next(),
	}, change)
}

func (s *contractSite) charge(amount float64) map[string]any {
	return map[string]any{"charge_type": "Actual", "account_head": s.profile.ShippingAccount, "description": "Shipping", "tax_amount": amount,
		"cost_center": s.profile.CostCenter}
}

// payment is a body that pays an order.
func (s *contractSite) payment(order string, amount float64, change map[string]any) map[string]any {
	return doc(map[string]any{
		"payment_type": "Receive", "party_type": "Customer", "party": s.customer, "company": s.profile.Company, "posting_date": s.today,
		"paid_from": s.profile.ReceivableAccount, "paid_to": s.bank, "paid_amount": amount, "received_amount": amount,
		"reference_no": s.run, "reference_date": s.today, erpnext.KeyField: s.next(),
		"references": []any{map[string]any{"reference_doctype": "Sales Order", "reference_name": order, "allocated_amount": amount}},
	}, change)
}

// submitted is an order of 25.00, submitted, kept as {so}.
func (s *contractSite) submitted() []step {
	return []step{
		create("Sales Order", s.order(nil)).keeps("so", "data.name"),
		submit("Sales Order", "{so}").gives("data.docstatus", 1).keeps("modified", "data.modified"),
	}
}

// paid adds a payment of an amount, submitted, kept as {pe}.
func (s *contractSite) paid(amount float64) []step {
	return append(s.submitted(),
		create("Payment Entry", s.payment("{so}", amount, nil)).keeps("pe", "data.name"),
		submit("Payment Entry", "{pe}").gives("data.docstatus", 1))
}
