package erpnext_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
)

var bothProviders = map[string]string{"stripe": "Stripe Clearing - DT", "paypal": "PayPal Clearing - DT"}

func (c *connection) doctor(t testing.TB, w erpnext.Wanted, clearing map[string]string) []erpnext.Finding {
	t.Helper()
	return erpnext.Doctor(t.Context(), c.as(t, runtimeUser), w, erpnext.Named{Clearing: clearing})
}

// unwell lists what is not ok: "FAIL company".
func unwell(findings []erpnext.Finding) []string {
	var list []string
	for _, f := range findings {
		if f.Status != erpnext.OK {
			list = append(list, f.Status+" "+f.Name)
		}
	}
	return list
}

func names(findings []erpnext.Finding) []string {
	var list []string
	for _, f := range findings {
		list = append(list, f.Name)
	}
	return list
}

func finding(t testing.TB, findings []erpnext.Finding, name string) erpnext.Finding {
	t.Helper()
	for _, f := range findings {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no finding %q among %q", name, names(findings))
	return erpnext.Finding{}
}

func TestDoctorOfAWellSite(t *testing.T) {
	for _, version := range []int{14, 15, 16} {
		site := newConnection(t, sandbox.Options{Version: version})
		site.setUp(t)
		findings := site.doctor(t, erpnext.Wanted{Warehouse: "Stores - DT"}, bothProviders)
		if bad := unwell(findings); bad != nil {
			t.Errorf("version %d: %q in %+v", version, bad, findings)
		}
		want := []string{
			"reach", "clock", "credentials", "version", "time zone",
			"rights: Customer", "rights: Address", "rights: Sales Order", "rights: Payment Entry", "rights: Journal Entry", "rights: Item", "rights: Price List", "rights: Account", "rights: Company",
			"key field: Customer", "key field: Address", "key field: Sales Order", "key field: Payment Entry", "key field: Journal Entry", "company", "fiscal year", "clearing: paypal", "clearing: stripe",
			"account: receivable", "account: round off", "account: shipping", "account: tax", "cost center", "price list", "warehouse", "fallback item", "precision",
		}
		if diff := cmp.Diff(want, names(findings)); diff != "" {
			t.Errorf("version %d: %s", version, diff)
		}
	}
}

// TestDoctorWritesNothing: it may be run on a site in use.
func TestDoctorWritesNothing(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.ResetRequests()
	site.doctor(t, erpnext.Wanted{}, bothProviders)
	requests := site.Requests()
	for _, r := range requests {
		if r.Method != http.MethodGet && !strings.HasPrefix(r.Path, "/api/method/frappe.client.") {
			t.Errorf("%s %s", r.Method, r.Path)
		}
	}
	if len(requests) == 0 || len(requests) > 50 {
		t.Errorf("%d requests", len(requests))
	}
}

func TestDoctorNamesWhatIsWrong(t *testing.T) {
	const company = "Demo Trading"
	clearing := func(name string) map[string]string { return map[string]string{"stripe": name} }
	tests := []struct {
		name     string
		wanted   erpnext.Wanted
		clearing map[string]string
		unwell   string // the one finding that is not ok
		says     string // part of its text and fix
	}{
		{"no such company", erpnext.Wanted{Company: "Demo Tradin"}, nil, "FAIL company", "Demo Trading"},
		{"no such clearing account", erpnext.Wanted{}, clearing("Stripe"), "FAIL clearing: stripe", "accounts.clearing.stripe"},
		{"a group account", erpnext.Wanted{}, clearing("Bank Accounts - DT"), "FAIL clearing: stripe", "is a group"},
		{"a wrong currency", erpnext.Wanted{}, clearing("EUR Bank - DT"), "warn clearing: stripe", "EUR"},
		{"an income account", erpnext.Wanted{}, clearing("Sales - DT"), "warn clearing: stripe", "income account"},
		{"another company's account", erpnext.Wanted{Company: company}, clearing("Bank - XX"), "FAIL clearing: stripe", "belongs to Other"},
		{"a disabled account", erpnext.Wanted{RoundOffAccount: "Old - DT"}, nil, "FAIL account: round off", "is disabled"},
		{"no such tax account", erpnext.Wanted{TaxAccount: "Tax"}, nil, "FAIL account: tax", "accounts.tax"},
		{"no such shipping account", erpnext.Wanted{ShippingAccount: "Ship"}, nil, "FAIL account: shipping", "accounts.shipping"},
		{"no such cost center", erpnext.Wanted{CostCenter: "Main"}, nil, "FAIL cost center", "cost_center"},
		{"a group of cost centers", erpnext.Wanted{CostCenter: "Demo Trading - DT"}, nil, "FAIL cost center", "is a group"},
		{"no such price list", erpnext.Wanted{PriceList: "Nope"}, nil, "FAIL price list", "price_list"},
		{"a price list for buying", erpnext.Wanted{PriceList: "Standard Buying"}, nil, "FAIL price list", "not for selling"},
		{"a disabled price list", erpnext.Wanted{PriceList: "Old Prices"}, nil, "FAIL price list", "disabled"},
		{"a foreign price list", erpnext.Wanted{PriceList: "Euro Prices"}, nil, "warn price list", "EUR"},
		{"no such warehouse", erpnext.Wanted{Warehouse: "Shed"}, nil, "FAIL warehouse", "Shed"},
		{"a group of warehouses", erpnext.Wanted{Warehouse: "All Warehouses - DT"}, nil, "FAIL warehouse", "is a group"},
		{"no fallback item", erpnext.Wanted{FallbackItem: "LINE-1"}, nil, "FAIL fallback item", "server setup"},
		{"a stock item", erpnext.Wanted{FallbackItem: "STOCK-1"}, nil, "warn fallback item", "stock item"},
		{"a disabled item", erpnext.Wanted{FallbackItem: "OLD-1"}, nil, "FAIL fallback item", "disabled"},
		{"a template", erpnext.Wanted{FallbackItem: "TEMPLATE-1"}, nil, "FAIL fallback item", "template"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			site := newConnection(t, sandbox.Options{})
			site.setUp(t)
			site.insertBadItems(t)
			site.insert(t, "Account", map[string]any{"name": "EUR Bank - DT", "company": company, "account_type": "Bank", "root_type": "Asset", "account_currency": "EUR"})
			site.insert(t, "Account", map[string]any{"name": "Old - DT", "company": company, "disabled": 1})
			site.insert(t, "Account", map[string]any{"name": "Bank - XX", "company": "Other", "account_type": "Bank"})
			site.insert(t, "Price List", map[string]any{"name": "Old Prices", "currency": "USD", "selling": 1})
			site.insert(t, "Price List", map[string]any{"name": "Euro Prices", "currency": "EUR", "selling": 1, "enabled": 1})
			findings := site.doctor(t, tt.wanted, tt.clearing)
			if diff := cmp.Diff([]string{tt.unwell}, unwell(findings)); diff != "" {
				t.Fatal(diff)
			}
			_, name, _ := strings.Cut(tt.unwell, " ")
			if f := finding(t, findings, name); !strings.Contains(f.Text+f.Fix, tt.says) || f.Fix == "" {
				t.Errorf("%+v does not say %q", f, tt.says)
			}
		})
	}
}

// TestDoctorOfABareCompany: what nobody named and the company does not have is
// a warning where only some documents need it.
func TestDoctorOfABareCompany(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.setUp(t)
	site.insert(t, "Company", map[string]any{"name": "Bare", "default_currency": "USD"})
	findings := site.doctor(t, erpnext.Wanted{Company: "Bare"}, map[string]string{"stripe": ""})
	want := []string{"FAIL clearing: stripe", "warn account: receivable", "warn account: round off", "warn account: shipping", "warn account: tax", "warn cost center"}
	if diff := cmp.Diff(want, unwell(findings)); diff != "" {
		t.Error(diff)
	}
	if f := site.doctor(t, erpnext.Wanted{}, nil); finding(t, f, "company").Status != erpnext.Fail || f[len(f)-1].Name != "company" {
		t.Errorf("several companies: %+v", f)
	}
}

func TestDoctorOfACurrencyThatDoesNotFit(t *testing.T) {
	for currency, want := range map[string]string{"JPY": erpnext.OK, "EUR": erpnext.OK, "KWD": erpnext.Fail, "Gold": erpnext.Fail} {
		site := newConnection(t, sandbox.Options{})
		site.insert(t, "Company", map[string]any{"name": "Elsewhere", "default_currency": currency})
		if f := finding(t, site.doctor(t, erpnext.Wanted{Company: "Elsewhere"}, nil), "precision"); f.Status != want {
			t.Errorf("%s: %+v", currency, f)
		}
	}
}

func TestDoctorOfSeveralTaxAccounts(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.setUp(t)
	site.insert(t, "Account", map[string]any{"name": "County Tax - DT", "company": "Demo Trading", "account_type": "Tax"})
	if f := finding(t, site.doctor(t, erpnext.Wanted{}, nil), "account: tax"); f.Status != erpnext.Warn || !strings.Contains(f.Text, "County Tax - DT") {
		t.Errorf("%+v", f)
	}
}

func TestDoctorWithoutKeyFields(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	findings := site.doctor(t, erpnext.Wanted{}, bothProviders)
	want := []string{"warn key field: Customer", "warn key field: Address", "warn key field: Sales Order", "warn key field: Payment Entry", "warn key field: Journal Entry"}
	if diff := cmp.Diff(want, unwell(findings)); diff != "" {
		t.Error(diff)
	}
	if f := finding(t, findings, "key field: Customer"); !strings.Contains(f.Fix, "server setup") {
		t.Errorf("%+v", f)
	}
}

// TestDoctorWithoutRights names the role, and does not fail again what could
// not be looked at.
func TestDoctorWithoutRights(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.setUp(t)
	findings := erpnext.Doctor(t.Context(), site.as(t, setupUser), erpnext.Wanted{}, erpnext.Named{Clearing: bothProviders})
	for name, role := range map[string]string{
		"rights: Customer": "Sales User", "rights: Sales Order": "Sales User", "rights: Payment Entry": "Accounts User", "rights: Journal Entry": "Accounts User", "rights: Item": "Sales User",
	} {
		if f := finding(t, findings, name); f.Status != erpnext.Fail || !strings.Contains(f.Fix, role) {
			t.Errorf("%+v", f)
		}
	}
	for _, f := range findings {
		if f.Status == erpnext.Fail && !strings.HasPrefix(f.Name, "rights: ") || strings.HasPrefix(f.Name, "clearing") || strings.HasPrefix(f.Name, "key field") && f.Name != "key field: Address" { // a System Manager may read addresses
			t.Errorf("%+v", f)
		}
	}
}

// TestDoctorOfWhatSettingsMake demands rights and key fields of what the sheet
// asks for, and of nothing else.
func TestDoctorOfWhatSettingsMake(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.setUp(t)
	used := erpnext.Named{Clearing: bothProviders, Uses: []string{erpnext.DocDeliveryNote, erpnext.DocSalesInvoice}}
	findings := erpnext.Doctor(t.Context(), site.as(t, setupUser), erpnext.Wanted{}, used)
	for name, role := range map[string]string{"rights: Delivery Note": "Stock User", "rights: Sales Invoice": "Accounts User"} {
		if f := finding(t, findings, name); f.Status != erpnext.Fail || !strings.Contains(f.Fix, role) {
			t.Errorf("%+v", f)
		}
	}
	for _, f := range erpnext.Doctor(t.Context(), site.as(t, setupUser), erpnext.Wanted{}, erpnext.Named{Clearing: bothProviders}) {
		if strings.Contains(f.Name, "Delivery") || strings.Contains(f.Name, "Invoice") {
			t.Errorf("looked at although nothing makes it: %+v", f)
		}
	}
}

func TestDoctorTellsBadCredentialsFromLostOnes(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	wrong := erpnext.Doctor(t.Context(), site.as(t, erpnext.KeySecret("demo-key", "canary-wrong")), erpnext.Wanted{}, erpnext.Named{})
	if diff := cmp.Diff([]string{"reach", "credentials"}, names(wrong)); diff != "" {
		t.Error(diff)
	}
	if f := finding(t, wrong, "credentials"); f.Status != erpnext.Fail || !strings.Contains(f.Fix, "API key and secret") {
		t.Errorf("%+v", f)
	}
	site.between = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.Header.Del("Authorization")
		next.ServeHTTP(w, r)
	}
	lost := site.doctor(t, erpnext.Wanted{}, nil)
	if f := finding(t, lost, "credentials"); f.Status != erpnext.Fail || !strings.Contains(f.Fix, "proxy") || f.Name != lost[len(lost)-1].Name {
		t.Errorf("%+v", lost)
	}
	if text := fmt.Sprint(wrong, lost); strings.Contains(text, "canary") || strings.Contains(text, "demo-secret") {
		t.Errorf("a secret in %s", text)
	}
}

func TestDoctorOfAnAdministrator(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	findings := erpnext.Doctor(t.Context(), site.as(t, rootUser), erpnext.Wanted{}, erpnext.Named{})
	if f := finding(t, findings, "credentials"); f.Status != erpnext.Warn || !strings.Contains(f.Fix, "Sales User") {
		t.Errorf("%+v", f)
	}
}

func TestDoctorOfSomethingElse(t *testing.T) {
	pages := map[string]http.HandlerFunc{
		"a web page":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Welcome</html>") },
		"other JSON":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"message":"hello"}`) },
		"a firewall":      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) },
		"an unknown site": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusNotFound) },
		"another address": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://x", http.StatusMovedPermanently)
		},
		"a broken gateway": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) },
	}
	for name, page := range pages {
		site := newConnection(t, sandbox.Options{})
		site.between = func(w http.ResponseWriter, r *http.Request, _ http.Handler) { page(w, r) }
		f := site.doctor(t, erpnext.Wanted{}, nil)
		if len(f) != 1 || f[0].Name != "reach" || f[0].Status != erpnext.Fail || f[0].Fix == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestDoctorAfterAFault: at whatever request the site fails for good, exactly
// one check says so and the rest are left out.
func TestDoctorAfterAFault(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.setUp(t)
	site.ResetRequests()
	whole := names(site.doctor(t, erpnext.Wanted{}, bothProviders))
	requests := len(site.Requests())
	for _, kind := range []string{"502-html", "503-html", "db-down", "429", "maintenance", "401", "commit-then-502"} {
		for after := range requests {
			site.SetFaults([]sandbox.Fault{{Kind: kind, After: after}})
			findings := site.doctor(t, erpnext.Wanted{}, bothProviders)
			bad := unwell(findings)
			if len(bad) != 1 || bad[0] != "FAIL "+findings[len(findings)-1].Name {
				t.Fatalf("%s after %d: %q of %q", kind, after, bad, names(findings))
			}
		}
	}
	for _, kind := range []string{"deadlock-500", "lock-timeout", "403", "transient-404", "slow-body", "delay-after-commit"} {
		for after := range requests {
			site.SetFaults([]sandbox.Fault{{Kind: kind, After: after, Count: 1, Delay: time.Millisecond}})
			findings := site.doctor(t, erpnext.Wanted{}, bothProviders)
			if bad := unwell(findings); len(bad) > 1 {
				t.Fatalf("%s after %d: %q", kind, after, bad)
			}
			for _, name := range names(findings) {
				if !slices.Contains(whole, name) {
					t.Fatalf("%s after %d: %s", kind, after, name)
				}
			}
		}
	}
}

func TestDoctorOfAWrongClock(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	for date, want := range map[string]string{
		time.Now().UTC().Add(-10 * time.Minute).Format(http.TimeFormat): erpnext.Warn,
		time.Now().UTC().Add(10 * time.Minute).Format(http.TimeFormat):  erpnext.Warn,
		time.Now().UTC().Format(http.TimeFormat):                        erpnext.OK,
	} {
		site.between = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			w.Header().Set("Date", date)
			next.ServeHTTP(w, r)
		}
		if f := finding(t, site.doctor(t, erpnext.Wanted{}, nil), "clock"); f.Status != want {
			t.Errorf("%+v", f)
		}
	}
}

// TestDoctorOfOtherSites: versions nobody has tried, and a site without the app.
func TestDoctorOfOtherSites(t *testing.T) {
	for versions, want := range map[string]string{
		`{"frappe":{"version":"13.1.0"},"erpnext":{"version":"13.9.1"}}`: erpnext.Warn,
		`{"frappe":{"version":"15.1.0"}}`:                                erpnext.Fail,
	} {
		site := newConnection(t, sandbox.Options{})
		site.between = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.HasSuffix(r.URL.Path, "get_versions") {
				fmt.Fprintf(w, `{"message":%s}`, versions)
				return
			}
			next.ServeHTTP(w, r)
		}
		findings := site.doctor(t, erpnext.Wanted{}, nil)
		if f := finding(t, findings, "version"); f.Status != want {
			t.Errorf("%+v", f)
		}
		if last := findings[len(findings)-1].Name; (last == "version") != (want == erpnext.Fail) {
			t.Errorf("%s: the last check is %s", want, last)
		}
	}
}

func TestFindingAsJSON(t *testing.T) {
	got, err := json.Marshal(erpnext.Finding{Name: "reach", Status: erpnext.OK, Text: "ERPNext answers"})
	if err != nil || string(got) != `{"check":"reach","status":"ok","text":"ERPNext answers"}` {
		t.Errorf("%s, %v", got, err)
	}
}
