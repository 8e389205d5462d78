package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/corpus"
)

// recordedCart is an order as it was posted, and what the real site made of it.
type recordedCart struct {
	ID       string         `json:"id"`
	Request  map[string]any `json:"request"`
	Computed map[string]any `json:"computed"`
}

// siteSettings are the recorded settings by the name of their set.
var siteSettings = map[string]struct {
	doctype, field string
	value          any
}{
	"shared":         {},
	"as-found":       {},
	"commercial":     {"System Settings", "rounding_method", "Commercial Rounding"},
	"bankers-legacy": {"System Settings", "rounding_method", "Banker's Rounding (legacy)"},
	"precision-3":    {"System Settings", "currency_precision", "3"},
	"row-wise-tax":   {"Accounts Settings", "round_row_wise_tax", 1},
}

// TestCartsOverHTTP posts every recorded cart to the site, with the settings it
// was recorded under. Each number of the answer is the recorded one to the last
// digit; an invoice of the same rows comes to the same totals.
func TestCartsOverHTTP(t *testing.T) {
	dir := corpus.Dir(t, "erpnext-recordings")
	fixtures, err := os.ReadFile(filepath.Join(dir, "fixtures.json"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for set, carts := range recordedCarts(t, dir) {
		setting, known := siteSettings[set]
		if !known {
			t.Fatalf("unknown settings %q", set)
		}
		site, err := New(Options{Fixtures: fixtures, Seed: 1, Now: func() time.Time { return time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC) }})
		if err != nil {
			t.Fatal(err)
		}
		mustDo(t, site, "apikey:apisecret", "POST", "/api/resource/Customer", map[string]any{
			"customer_name": "Tot Als", "customer_type": "Individual", "customer_group": "Individual", "territory": "All Territories"})
		if setting.doctype != "" {
			site.SetSetting(setting.doctype, setting.field, setting.value)
		}
		for _, cart := range carts {
			seen++
			if problems := postCart(t, site, cart); len(problems) > 0 {
				t.Errorf("%s %s: %s", set, cart.ID, strings.Join(problems[:min(5, len(problems))], "; "))
			}
		}
	}
	if seen != 554 {
		t.Errorf("%d carts, want 554", seen)
	}
}

func recordedCarts(t *testing.T, dir string) map[string][]recordedCart {
	t.Helper()
	var shared struct{ Carts []recordedCart }
	var other struct {
		Sets []struct {
			Name  string
			Carts []recordedCart
		}
	}
	for name, into := range map[string]any{"shared.json": &shared, "other-settings.json": &other} {
		data, err := os.ReadFile(filepath.Join(dir, "totals", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	sets := map[string][]recordedCart{"shared": shared.Carts}
	for _, set := range other.Sets {
		sets[set.Name] = set.Carts
	}
	return sets
}

// postCart posts a cart as an order, which is deleted again as it was on the
// real site, and as an invoice.
func postCart(t *testing.T, site *Site, cart recordedCart) []string {
	t.Helper()
	const key = "apikey:apisecret"
	status, got := do(t, site, key, "POST", "/api/resource/Sales Order", cart.Request)
	order, _ := got["data"].(map[string]any)
	if status != 200 {
		return []string{fmt.Sprintf("order: status %d: %v", status, got["exception"])}
	}
	problems := differences("order", order, cart.Computed)
	if status, _ := do(t, site, key, "DELETE", "/api/resource/Sales Order/"+fmt.Sprint(order["name"]), nil); status != 202 {
		problems = append(problems, fmt.Sprintf("delete: status %d", status))
	}

	invoice := maps.Clone(cart.Request)
	for _, name := range []string{"delivery_date", "transaction_date", "order_type"} {
		delete(invoice, name)
	}
	status, got = do(t, site, key, "POST", "/api/resource/Sales Invoice", invoice)
	if status != 200 {
		return append(problems, fmt.Sprintf("invoice: status %d: %v", status, got["exception"]))
	}
	data, _ := got["data"].(map[string]any)
	for _, field := range []string{"total", "net_total", "total_taxes_and_charges", "grand_total", "rounded_total", "rounding_adjustment", "base_grand_total"} {
		if want, ok := cart.Computed[field]; ok && data[field] != want {
			problems = append(problems, fmt.Sprintf("invoice.%s = %v, want %v", field, data[field], want))
		}
	}
	return problems
}

// differences lists every recorded value that the answer has not.
func differences(where string, got, want any) []string {
	var problems []string
	switch want := want.(type) {
	case map[string]any:
		object, _ := got.(map[string]any)
		for field, value := range want {
			problems = append(problems, differences(where+"."+field, object[field], value)...)
		}
	case []any:
		list, _ := got.([]any)
		if len(list) != len(want) {
			return []string{fmt.Sprintf("%s has %d rows, want %d", where, len(list), len(want))}
		}
		for i := range want {
			problems = append(problems, differences(fmt.Sprintf("%s[%d]", where, i), list[i], want[i])...)
		}
	default:
		if got != want {
			return []string{fmt.Sprintf("%s = %v, want %v", where, got, want)}
		}
	}
	return problems
}
