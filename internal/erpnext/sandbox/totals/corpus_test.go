package totals_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/corpus"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox/totals"
)

// cart is an order that was sent to a live site, and what the site made of it.
type cart struct {
	ID       string         `json:"id"`
	Request  map[string]any `json:"request"`
	Status   int            `json:"status"`
	Computed map[string]any `json:"computed"`
}

func TestCarts(t *testing.T) {
	dir := corpus.Dir(t, "erpnext-recordings")
	site := fixtures(t, dir)

	var shared struct{ Carts []cart }
	read(t, filepath.Join(dir, "totals", "shared.json"), &shared)
	t.Run("shared", func(t *testing.T) { checkCarts(t, shared.Carts, site) })

	settings := map[string]func(*totals.Settings){
		"as-found":       func(*totals.Settings) {},
		"commercial":     func(s *totals.Settings) { s.RoundingMethod = totals.Commercial },
		"bankers-legacy": func(s *totals.Settings) { s.RoundingMethod = totals.BankersLegacy },
		"precision-3":    func(s *totals.Settings) { s.CurrencyPrecision = 3 },
		"row-wise-tax":   func(s *totals.Settings) { s.RoundRowWise = true },
	}
	var other struct {
		Sets []struct {
			Name  string
			Carts []cart
		}
	}
	read(t, filepath.Join(dir, "totals", "other-settings.json"), &other)
	if len(other.Sets) != len(settings) {
		t.Errorf("%d recorded settings, %d known here", len(other.Sets), len(settings))
	}
	for _, set := range other.Sets {
		change, ok := settings[set.Name]
		if !ok {
			t.Fatalf("unknown settings %q", set.Name)
		}
		changed := site
		change(&changed)
		t.Run(set.Name, func(t *testing.T) { checkCarts(t, set.Carts, changed) })
	}
}

func checkCarts(t *testing.T, carts []cart, s totals.Settings) {
	t.Helper()
	if len(carts) == 0 {
		t.Fatal("no carts")
	}
	for _, c := range carts {
		t.Run(c.ID, func(t *testing.T) {
			if c.Status != 200 {
				t.Fatalf("status %d: a refused cart needs a check of its own", c.Status)
			}
			doc := withDefaults(c.Request)
			if err := totals.Calculate(doc, s); err != nil {
				t.Fatal(err)
			}
			doc["payment_schedule"] = anySlice(totals.PaymentSchedule(doc))
			compare(t, "doc", doc, c.Computed)
		})
	}
}

// withDefaults is what a site fills into these orders before it calculates:
// everything else they bring along.
func withDefaults(order map[string]any) map[string]any {
	order["doctype"] = "Sales Order"
	if order["apply_discount_on"] == nil {
		order["apply_discount_on"] = "Grand Total"
	}
	taxes, _ := order["taxes"].([]any)
	for _, row := range taxes {
		if tax := row.(map[string]any); tax["included_in_print_rate"] == nil {
			tax["included_in_print_rate"] = 0.0
		}
	}
	return order
}

// compare reports every number of want, and every breakdown, that got has not,
// bit by bit. Other fields of got do not matter.
func compare(t *testing.T, where string, got, want any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		row, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s: got %T", where, got)
			return
		}
		for field, value := range want {
			if field == "idx" {
				continue // the caller's
			}
			compare(t, where+"."+field, row[field], value)
		}
	case []any:
		list, _ := got.([]any)
		if len(list) != len(want) {
			t.Errorf("%s: %d rows, want %d", where, len(list), len(want))
			return
		}
		for i := range want {
			compare(t, fmt.Sprintf("%s[%d]", where, i), list[i], want[i])
		}
	case float64:
		if v, ok := got.(float64); !ok || math.Float64bits(v) != math.Float64bits(want) {
			t.Errorf("%s: got %v, want %v", where, got, want)
		}
	case string:
		if strings.HasSuffix(where, ".item_wise_tax_detail") && got != want {
			t.Errorf("%s: got %v, want %v", where, got, want)
		}
	}
}

func anySlice(rows []map[string]any) []any {
	list := make([]any, len(rows))
	for i, row := range rows {
		list[i] = row
	}
	return list
}

// fixtures are the settings of the recorded site.
func fixtures(t *testing.T, dir string) totals.Settings {
	t.Helper()
	var f struct {
		Currencies []struct {
			Name     string  `json:"name"`
			Fraction float64 `json:"smallest_currency_fraction_value"`
		} `json:"currencies"`
		FieldPrecision map[string]map[string]string `json:"field_precision"`
		Settings       map[string]map[string]any    `json:"settings"`
	}
	read(t, filepath.Join(dir, "fixtures.json"), &f)
	fractions := make(map[string]float64)
	for _, c := range f.Currencies {
		fractions[c.Name] = c.Fraction
	}
	method, _ := f.Settings["System Settings"]["rounding_method"].(string)
	return totals.Settings{
		RoundingMethod:   method,
		CompanyCurrency:  "USD",
		SmallestFraction: func(currency string) float64 { return fractions[currency] },
		FieldPrecision: func(doctype, field string) (int, bool) {
			digits, err := strconv.Atoi(f.FieldPrecision[doctype][field])
			return digits, err == nil
		},
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// TestRecordedDocuments calculates documents a live site has answered with once
// more: every amount stays, invoices and credit notes included.
func TestRecordedDocuments(t *testing.T) {
	dir := corpus.Dir(t, "erpnext-recordings")
	site := fixtures(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, "exchanges", "[0-9]*.json"))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for _, file := range files {
		var recorded struct {
			Exchanges []struct {
				ID       string `json:"id"`
				Response struct {
					Body json.RawMessage `json:"body"`
				} `json:"response"`
			} `json:"exchanges"`
		}
		read(t, file, &recorded)
		for _, e := range recorded.Exchanges {
			doc, want := document(e.Response.Body), document(e.Response.Body)
			if doc == nil {
				continue
			}
			seen[doc["doctype"].(string)]++
			if want["total_advance"] == 0.0 {
				// The site fetches advances after it has calculated.
				delete(doc, "advances")
				delete(want, "advances")
			}
			if err := totals.Calculate(doc, site); err != nil {
				t.Errorf("%s: %v", e.ID, err)
				continue
			}
			compare(t, e.ID, doc, want)
		}
	}
	if seen["Sales Order"] < 100 || seen["Sales Invoice"] < 10 {
		t.Errorf("only %v documents found", seen)
	}
}

// document is the order or invoice an answer carries, nil when it is none.
func document(body json.RawMessage) map[string]any {
	var answer struct {
		Data map[string]any `json:"data"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return nil
	}
	switch answer.Data["doctype"] {
	case "Sales Order", "Sales Invoice":
		return answer.Data
	default:
		return nil
	}
}
