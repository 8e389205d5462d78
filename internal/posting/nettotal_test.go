package posting_test

import (
	"strconv"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// Two rates of tax, each with an account and a template of its own, and a
// template for what is not taxed.
var ratesWithTemplates = []mapping.TaxRule{
	{Rate: rate("0.19"), Account: "Tax 19 - DT", ItemTaxTemplate: "T19 - DT"},
	{Rate: rate("0.07"), Account: "Tax 7 - DT", ItemTaxTemplate: "T7 - DT"},
	{Rate: rate("0"), ItemTaxTemplate: "T0 - DT"},
}

func rate(text string) *decimal.Decimal { return new(decimal.RequireFromString(text)) }

func newRates(t testing.TB, books mapping.Books) (set func(doctype, field string, value any), b *bench) {
	t.Helper()
	books.TaxRows = mapping.TaxesOnNetTotal
	site, b := sandboxBench(t, books, nil)
	for _, name := range []string{"Tax 19", "Tax 7"} {
		must(t, site.Insert("Account", map[string]any{
			"name": name + " - DT", "account_name": name, "company": "Demo Trading", "account_type": "Tax", "account_currency": "USD", "root_type": "Liability",
		}))
	}
	for name, rates := range map[string][2]int{"T19": {19, 0}, "T7": {0, 7}, "T0": {0, 0}} {
		must(t, site.Insert("Item Tax Template", map[string]any{"name": name + " - DT", "title": name, "company": "Demo Trading", "taxes": []any{
			map[string]any{"tax_type": "Tax 19 - DT", "tax_rate": rates[0]}, map[string]any{"tax_type": "Tax 7 - DT", "tax_rate": rates[1]},
		}}))
	}
	return site.SetSetting, b
}

// taxedOrder draws an order as a shop computes it: tax rounded per line.
func taxedOrder(t *rapid.T, id string, rates []string, included bool) commerce.Order {
	o := anOrder()
	o.ID, o.Name, o.TaxesIncluded, o.Lines = id, "#"+id, included, nil
	total := money.Zero("USD")
	for n := range rapid.IntRange(1, 5).Draw(t, "lines") {
		line := commerce.Line{ID: strconv.Itoa(n), Title: "Thing " + strconv.Itoa(n), Quantity: rapid.Int64Range(1, 9).Draw(t, "qty")}
		line.UnitPrice = money.FromMinor(rapid.Int64Range(1, 9999).Draw(t, "price"), 2, "USD")
		net := line.UnitPrice.Value().Mul(decimal.NewFromInt(line.Quantity))
		r := decimal.RequireFromString(rapid.SampledFrom(rates).Draw(t, "rate"))
		total = total.Add(money.New(net, "USD"))
		if !r.IsZero() {
			tax := net.Mul(r)
			if included {
				tax = tax.DivRound(r.Add(decimal.NewFromInt(1)), 12)
			}
			amount := money.New(tax.Round(2), "USD")
			line.Taxes = []commerce.Tax{{Title: "VAT", Rate: r, Amount: amount}}
			if !included {
				total = total.Add(amount)
			}
		}
		o.Lines = append(o.Lines, line)
	}
	o.Total = total
	return o
}

// TestRatesReachTheTotal holds that an order whose tax rows have rates is
// submitted with the shop's total however the site rounds: what it makes other
// is seen on the draft and taken back, once.
func TestRatesReachTheTotal(t *testing.T) {
	tests := []struct {
		name  string
		books mapping.Books
		rates []string
	}{
		{"one rate", mapping.Books{}, []string{"0.19"}},
		{"mixed rates", mapping.Books{Taxes: ratesWithTemplates}, []string{"0.19", "0.07", "0"}},
	}
	ids := 0
	for _, tt := range tests {
		for _, method := range []string{"Banker's Rounding", "Commercial Rounding", "Banker's Rounding (legacy)"} {
			for _, rowWise := range []int{0, 1} {
				t.Run(tt.name+" "+method+" "+strconv.Itoa(rowWise), func(t *testing.T) {
					set, b := newRates(t, tt.books)
					set("System Settings", "rounding_method", method)
					set("Accounts Settings", "round_row_wise_tax", rowWise)
					rapid.Check(t, func(rt *rapid.T) {
						ids++
						o := taxedOrder(rt, strconv.Itoa(ids), tt.rates, rapid.Bool().Draw(rt, "included"))
						if _, err := b.order(t.Context(), o); err != nil {
							rt.Fatalf("%v: %s", err, fault.As(err).Hint)
						}
						if so := b.newest(t, o.ID); so.DocStatus != erpnext.Submitted || !so.GrandTotal.Equal(o.Total.Value()) {
							rt.Fatalf("docstatus %d with %s, the shop says %s", so.DocStatus, so.GrandTotal, o.Total)
						}
					})
				})
			}
		}
	}
}

// TestRatesAreRefusedWithoutTemplates covers what tax rows with rates cannot
// express: it stops with what to do, and makes nothing.
func TestRatesAreRefusedWithoutTemplates(t *testing.T) {
	_, b := newRates(t, mapping.Books{Taxes: ratesWithTemplates[:1]})
	o := anOrder()
	o.Lines = []commerce.Line{
		{ID: "1", Title: "Book", Quantity: 1, UnitPrice: usd("10.00"), Taxes: []commerce.Tax{{Title: "VAT", Rate: *rate("0.19"), Amount: usd("1.90")}}},
		{ID: "2", Title: "Stamp", Quantity: 1, UnitPrice: usd("5.00")},
	}
	o.Total = usd("16.90")
	if _, err := b.order(t.Context(), o); fault.KindOf(err) != fault.Unmapped {
		t.Errorf("%v, want %v", err, fault.Unmapped)
	}
}

// TestAnotherTotalIsNotRounding holds that no more than rounding is taken back.
func TestAnotherTotalIsNotRounding(t *testing.T) {
	set, b := newRates(t, mapping.Books{Taxes: []mapping.TaxRule{{Account: "Tax 19 - DT", ItemTaxTemplate: "T7 - DT"}}})
	set("Accounts Settings", "round_row_wise_tax", 0)
	o := anOrder()
	o.Lines = []commerce.Line{{ID: "1", Title: "Book", Quantity: 1, UnitPrice: usd("100.00"), Taxes: []commerce.Tax{{Title: "VAT", Rate: *rate("0.19"), Amount: usd("19.00")}}}}
	o.Total = usd("119.00")
	if _, err := b.order(t.Context(), o); fault.KindOf(err) != fault.Mismatch {
		t.Errorf("%v, want %v: the template has another rate than the shop charged", err, fault.Mismatch)
	}
}
