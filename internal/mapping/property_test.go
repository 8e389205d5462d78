package mapping_test

import (
	"encoding/json"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox/totals"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// genOrder draws an order as a shop would compute it: discounts and taxes
// rounded to the cent per line, the total the sum of what was rounded.
func genOrder(t *rapid.T) commerce.Order {
	digits := rapid.SampledFrom([]int{2, 2, 2, 0}).Draw(t, "digits")
	currency := map[int]string{2: "USD", 0: "JPY"}[digits]
	cents := func(n int64) money.Amount { return money.FromMinor(n, digits, currency) }
	o := commerce.Order{ID: "1", Name: "#1", Currency: currency, TaxesIncluded: rapid.Bool().Draw(t, "included")}
	total := money.Zero(currency)
	rates := rapid.SliceOfN(rapid.Int64Range(1, 25), 0, 3).Draw(t, "rates")
	taxed := func(base money.Amount) []commerce.Tax {
		var taxes []commerce.Tax
		for _, r := range rates {
			rate := decimal.New(r, -2)
			amount := base.Value().Mul(rate)
			if o.TaxesIncluded {
				amount = amount.Div(decimal.NewFromInt(1).Add(rate.Mul(decimal.NewFromInt(int64(len(rates))))))
			}
			tax := money.New(amount.Round(int32(digits)), currency)
			taxes = append(taxes, commerce.Tax{Title: "tax", Rate: rate, Amount: tax})
			if !o.TaxesIncluded {
				total = total.Add(tax)
			}
		}
		return taxes
	}
	for range rapid.IntRange(1, 6).Draw(t, "lines") {
		qty := rapid.Int64Range(1, 20).Draw(t, "qty")
		price := rapid.Int64Range(0, 50000).Draw(t, "price")
		discount := rapid.Int64Range(0, price*qty).Draw(t, "discount")
		net := cents(price*qty - discount)
		total = total.Add(net)
		o.Lines = append(o.Lines, commerce.Line{
			SKU: rapid.SampledFrom([]string{"A", "B", ""}).Draw(t, "sku"), Title: "thing", Quantity: qty,
			UnitPrice: cents(price), Discount: cents(discount), Taxes: taxed(net),
		})
	}
	if rapid.Bool().Draw(t, "ships") {
		fee := cents(rapid.Int64Range(0, 5000).Draw(t, "fee"))
		total = total.Add(fee)
		o.Shipping = []commerce.Charge{{Title: "post", Price: fee, Taxes: taxed(fee)}}
	}
	o.Tip = cents(rapid.Int64Range(0, 500).Draw(t, "tip"))
	total = total.Add(o.Tip)
	// A shop may round its total a little differently than its parts.
	o.Total = total.Add(cents(rapid.Int64Range(-3, 3).Draw(t, "rounding")))
	if o.Total.Sign() < 0 {
		o.Total = total
	}
	return o
}

// TestEveryOrderReachesItsTotal asks ERPNext's own arithmetic, under each of
// its rounding methods, what the mapped order comes to.
func TestEveryOrderReachesItsTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := genOrder(t)
		so, err := books().SalesOrder(o, "key", "Ann", knownItems)
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"Banker's Rounding", "Commercial Rounding", "Banker's Rounding (legacy)"} {
			doc := asDocument(t, so)
			err := totals.Calculate(doc, totals.Settings{RoundingMethod: method, CompanyCurrency: o.Currency})
			if err != nil {
				t.Fatal(err)
			}
			if got := decimal.NewFromFloat(doc["grand_total"].(float64)); !got.Equal(o.Total.Value()) {
				t.Fatalf("%s: grand_total = %v, the shop's total is %v", method, got, o.Total)
			}
		}
	})
}

func asDocument(t *rapid.T, so any) map[string]any {
	raw, err := json.Marshal(so)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	doc["doctype"], doc["conversion_rate"], doc["plc_conversion_rate"] = "Sales Order", 1.0, 1.0
	return doc
}
