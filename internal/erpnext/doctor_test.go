package erpnext_test

import (
	"encoding/json"
	"fmt"
	"maps"
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
			"rights: Customer", "rights: Contact", "rights: Address", "rights: Sales Order", "rights: Payment Entry", "rights: Journal Entry", "rights: Item", "rights: Price List", "rights: Account", "rights: Company", "rights: no more",
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
	if len(requests) == 0 || len(requests) > 60 {
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
	used := erpnext.Named{Clearing: bothProviders, Makes: []string{erpnext.DocDeliveryNote, erpnext.DocSalesInvoice}}
	findings := erpnext.Doctor(t.Context(), site.as(t, setupUser), erpnext.Wanted{}, used)
	for name, role := range map[string]string{"rights: new Delivery Note": "Sales User", "rights: new Sales Invoice": "Accounts User"} {
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
	if f := finding(t, findings, "rights: no more"); f.Status != erpnext.Warn || !strings.Contains(f.Fix, "take the role System Manager away") {
		t.Errorf("%+v", f)
	}
}

// TestDoctorOfWhatTheSheetMakes looks at the rights on a DocType only when the
// sheet has it made.
func TestDoctorOfWhatTheSheetMakes(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.setUp(t)
	findings := erpnext.Doctor(t.Context(), site.as(t, runtimeUser), erpnext.Wanted{}, erpnext.Named{Makes: []string{"Item", "Sales Invoice"}})
	if f := finding(t, findings, "rights: new Item"); f.Status != erpnext.Fail || !strings.Contains(f.Fix, "Item Manager") || !strings.Contains(f.Text, "create") {
		t.Errorf("%+v", f)
	}
	if f := finding(t, findings, "rights: new Sales Invoice"); f.Status != erpnext.OK {
		t.Errorf("%+v", f)
	}
	bare := newConnection(t, sandbox.Options{})
	without := erpnext.Doctor(t.Context(), bare.as(t, runtimeUser), erpnext.Wanted{}, erpnext.Named{Makes: []string{"Sales Invoice"}})
	if f := finding(t, without, "key field: Sales Invoice"); f.Status != erpnext.Fail || !strings.Contains(f.Fix, "server setup") {
		t.Errorf("%+v", f)
	}
	if slices.Contains(names(findings), "rights: new Delivery Note") || slices.Contains(names(site.doctor(t, erpnext.Wanted{}, nil)), "rights: new Item") {
		t.Error("rights are asked for that nobody needs")
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

// lasting is what doctor finds while a fault lasts.
var lasting = map[string]string{
	"502-html": "stops", "503-html": "stops", "504-html": "stops", "db-down": "stops", "429": "stops", "429-no-retry-after": "stops",
	"maintenance": "stops", "401": "stops", "commit-then-502": "stops", "commit-then-reset": "stops",
	"deadlock-500": "goes on", "deadlock-508": "goes on", "lock-timeout": "goes on", "403": "goes on", "transient-404": "goes on", "name-race-409": "goes on",
	"slow-body": "finds nothing", "delay-before-commit": "finds nothing", "delay-after-commit": "finds nothing", "read-only": "finds nothing",
}

// TestDoctorAfterAFault: at whatever request the site fails for good, exactly
// one check says so and the rest are left out; where the failure is about one
// request, the other checks are made. What fails once is said once.
func TestDoctorAfterAFault(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.setUp(t)
	site.ResetRequests()
	whole := names(site.doctor(t, erpnext.Wanted{}, bothProviders))
	requests := len(site.Requests())
	if kinds := slices.Sorted(maps.Keys(lasting)); !slices.Equal(kinds, sandbox.FaultKinds()) {
		t.Fatalf("the faults tried are %q, there are %q", kinds, sandbox.FaultKinds())
	}
	for i, kind := range sandbox.FaultKinds() {
		outcome := lasting[kind]
		for after := i % 4; after < requests; after += 4 { // another quarter for each kind
			for _, count := range []int{0, 1} {
				site.SetFaults([]sandbox.Fault{{Kind: kind, After: after, Count: count, Delay: time.Microsecond}})
				findings := site.doctor(t, erpnext.Wanted{}, bothProviders)
				where := fmt.Sprintf("%s after %d, %d times", kind, after, count)
				bad := unwell(findings)
				switch {
				case outcome == "finds nothing" && len(bad) > 0, count == 1 && len(bad) > 1:
					t.Fatalf("%s: %q of %q", where, bad, names(findings))
				case outcome == "stops" && count == 0 && (len(bad) != 1 || bad[0] != "FAIL "+findings[len(findings)-1].Name):
					t.Fatalf("%s: %q of %q", where, bad, names(findings))
				case outcome == "goes on" && count == 0 && after < requests-1 && len(bad) == 0:
					t.Fatalf("%s: nothing is found", where)
				}
				for _, f := range findings {
					if !slices.Contains(whole, f.Name) || f.Status != erpnext.OK && f.Fix == "" {
						t.Fatalf("%s: %+v", where, f)
					}
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
