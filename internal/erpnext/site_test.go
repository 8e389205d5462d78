package erpnext_test

import (
	"net/http"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
)

// TestPrecision asks sites of every version, and one whose page is closed by a
// proxy: that one does not tell, but is no outage.
func TestPrecision(t *testing.T) {
	for _, version := range []int{14, 15, 16} {
		site := newConnection(t, sandbox.Options{Version: version})
		client := site.as(t, runtimeUser)
		for _, want := range []int32{2, 3} {
			if digits, told, err := client.Precision(t.Context()); digits != want || !told || err != nil {
				t.Errorf("version %d: %d, %t, %v; want %d", version, digits, told, err, want)
			}
			site.SetSetting("System Settings", "currency_precision", "3")
		}
		for status, wantErr := range map[int]bool{404: false, 403: false, 502: true} {
			site.between = func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { http.Error(w, "<html>", status) }
			if _, told, err := client.Precision(t.Context()); told || (err != nil) != wantErr {
				t.Errorf("version %d, a page with %d: told %t, %v", version, status, told, err)
			}
		}
	}
}

// TestNamesThatAProxyRedirects reads and changes customers whose names cannot
// stand at the end of a URL, behind a proxy that redirects those.
func TestNamesThatAProxyRedirects(t *testing.T) {
	site := newConnection(t, sandbox.Options{NginxMode: true})
	client := site.as(t, runtimeUser)
	for _, name := range []string{"Shop.html", "Sons/", "A//B", "Plain"} {
		site.insert(t, erpnext.DocCustomer, map[string]any{"name": name, "customer_name": name, "customer_group": "Individual", "territory": "All Territories"})
		var got erpnext.Stored
		if err := client.Update(t.Context(), erpnext.DocCustomer, name, map[string]any{"website": "https://example.com"}, &got); err != nil || got.Name != name {
			t.Errorf("update of %q: %q, %v", name, got.Name, err)
		}
		var read struct{ Website string }
		if err := client.Get(t.Context(), erpnext.DocCustomer, name, &read); err != nil || read.Website != "https://example.com" {
			t.Errorf("%q has %+v, %v", name, read, err)
		}
	}
	for _, r := range site.Requests() {
		if r.Status/100 == 3 {
			t.Errorf("%s %s is redirected", r.Method, r.Path)
		}
	}
}
