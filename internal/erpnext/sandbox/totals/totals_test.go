package totals_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox/totals"
)

// plain is a new site: the US dollar, two decimals, halves to even.
func plain() totals.Settings {
	fractions := map[string]float64{"USD": 0.01, "EUR": 0.01, "CHF": 0.05}
	return totals.Settings{
		RoundingMethod:   totals.Bankers,
		CompanyCurrency:  "USD",
		SmallestFraction: func(currency string) float64 { return fractions[currency] },
	}
}

func order(t *testing.T, body string) map[string]any {
	t.Helper()
	doc := map[string]any{
		"doctype": "Sales Order", "currency": "USD", "conversion_rate": 1,
		"apply_discount_on": "Grand Total", "disable_rounded_total": 1,
	}
	maps.Copy(doc, object(t, body))
	return doc
}

func object(t *testing.T, body string) map[string]any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return value
}

func TestCalculate(t *testing.T) {
	tests := []struct {
		name, doc, want string
	}{
		{
			"the rate is rounded before it is multiplied",
			`{"items": [{"item_code": "A", "qty": 3, "rate": 3.3333, "valuation_rate": 1}]}`,
			`{"items": [{"rate": 3.33, "amount": 9.99, "net_rate": 3.33, "base_amount": 9.99, "stock_qty": 3,
			  "stock_uom_rate": 3.33, "gross_profit": 6.99}], "total_qty": 3, "grand_total": 9.99, "base_grand_total": 9.99}`,
		},
		{
			"a rate of 0 becomes the list price less the discount",
			`{"items": [{"item_code": "A", "qty": 2, "rate": 0, "price_list_rate": 25},
			  {"item_code": "B", "qty": 1, "price_list_rate": 10, "discount_percentage": 12.5},
			  {"item_code": "C", "qty": 1, "rate": 7, "price_list_rate": 10, "discount_percentage": 100},
			  {"item_code": "D", "qty": 1, "rate": 0, "price_list_rate": 0}]}`,
			`{"items": [{"rate": 25, "discount_amount": 0, "amount": 50}, {"rate": 8.75, "discount_amount": 1.25},
			  {"rate": 0, "discount_amount": 10}, {"rate": 0, "amount": 0}], "grand_total": 58.75}`,
		},
		{
			"the row discount is what the rate is below the list, whatever was sent",
			`{"items": [{"item_code": "A", "qty": 1, "rate": 8, "price_list_rate": 10, "discount_amount": 5, "discount_percentage": 30},
			  {"item_code": "B", "qty": 1, "rate": 12, "price_list_rate": 10}]}`,
			`{"items": [{"rate": 8, "discount_amount": 2, "discount_percentage": 30},
			  {"rate": 12, "discount_amount": -2, "margin_rate_or_amount": 2, "rate_with_margin": 0}], "grand_total": 20}`,
		},
		{
			"a margin is laid on the list price",
			`{"currency": "EUR", "conversion_rate": 2, "items": [
			  {"item_code": "A", "qty": 1, "rate": 90, "price_list_rate": 100, "margin_type": "Percentage", "margin_rate_or_amount": 10, "discount_percentage": 5},
			  {"item_code": "B", "qty": 1, "rate": 90, "price_list_rate": 100, "margin_type": "Amount", "margin_rate_or_amount": 7, "discount_amount": 2}]}`,
			`{"items": [{"rate": 104.5, "rate_with_margin": 110, "base_rate_with_margin": 220, "discount_amount": 5.5},
			  {"rate": 105, "rate_with_margin": 107, "discount_amount": 2, "base_rate": 210}], "grand_total": 209.5}`,
		},
		{
			"a pricing rule's discount wins over the rate that was sent",
			`{"items": [{"item_code": "A", "qty": 1, "rate": 9, "price_list_rate": 10, "discount_percentage": 25, "pricing_rules": "[\"R\"]"},
			  {"item_code": "B", "qty": 1, "rate": 9, "price_list_rate": 10, "discount_amount": 3, "pricing_rules": "[\"R\"]"}]}`,
			`{"items": [{"rate": 7.5, "discount_amount": 2.5}, {"rate": 7, "discount_amount": 3}]}`,
		},
		{
			"a tax of half a cent goes to the even cent, its breakdown is not rounded",
			`{"items": [{"item_code": "A", "qty": 1, "rate": 10.5}], "taxes": [{"charge_type": "On Net Total", "rate": 5}]}`,
			`{"taxes": [{"tax_amount": 0.52, "tax_amount_after_discount_amount": 0.52, "total": 11.02, "item_wise_tax_detail": "{\"A\":[5.0,0.525]}"}],
			  "total_taxes_and_charges": 0.52, "grand_total": 11.02}`,
		},
		{
			"rows of one item share a line of the breakdown",
			`{"items": [{"item_code": "A", "qty": 1, "rate": 10}, {"item_code": "Größe \"L\"\t😀", "qty": 2, "rate": 1}, {"item_code": "A", "qty": 1, "rate": 5}],
			  "taxes": [{"charge_type": "On Item Quantity", "rate": 0.25}]}`,
			`{"taxes": [{"tax_amount": 1, "item_wise_tax_detail": "{\"A\":[0.25,0.5],\"Gr\\u00f6\\u00dfe \\\"L\\\"\\t\\ud83d\\ude00\":[0.25,0.5]}"}], "grand_total": 18}`,
		},
		{
			"numbers of the breakdown are written as Python writes them",
			`{"items": [{"item_code": "A", "qty": 0.001}, {"item_code": "B", "qty": 0.01}, {"item_code": "C", "qty": 1e17}, {"item_code": "D", "qty": 1e18}],
			  "taxes": [{"charge_type": "On Item Quantity", "rate": 0.01}]}`,
			`{"taxes": [{"item_wise_tax_detail": "{\"A\":[0.01,1e-05],\"B\":[0.01,0.0001],\"C\":[0.01,1000000000000000.0],\"D\":[0.01,1e+16]}"}]}`,
		},
		{
			"an actual amount is spread over the items, its rate dropped",
			`{"items": [{"item_code": "A", "qty": 1, "rate": 10}, {"item_code": "B", "qty": 1, "rate": 30}],
			  "taxes": [{"charge_type": "Actual", "tax_amount": "1,000.00", "rate": 19}]}`,
			`{"taxes": [{"rate": 0, "tax_amount": 1000, "total": 1040, "item_wise_tax_detail": "{\"A\":[0.0,250.0],\"B\":[0.0,750.0]}"}]}`,
		},
		{
			"shipping of free items lands on the last one",
			`{"items": [{"item_code": "A", "qty": 1, "rate": 0}, {"item_code": "B", "qty": 1, "rate": 0}],
			  "taxes": [{"charge_type": "Actual", "tax_amount": 4.9}]}`,
			`{"net_total": 0, "grand_total": 4.9, "base_grand_total": 4.9, "taxes": [{"tax_amount": 4.9, "tax_amount_after_discount_amount": 4.9}]}`,
		},
		{
			"taxes on earlier rows",
			`{"items": [{"item_code": "A", "qty": 1, "rate": 100}], "taxes": [{"charge_type": "On Net Total", "rate": 10},
			  {"charge_type": "On Previous Row Amount", "rate": 50, "row_id": "1"}, {"charge_type": "On Previous Row Total", "rate": 10, "row_id": 2}]}`,
			`{"taxes": [{"tax_amount": 10, "total": 110}, {"tax_amount": 5, "total": 115}, {"tax_amount": 11.5, "total": 126.5}], "grand_total": 126.5}`,
		},
		{
			"an item tax template has its own rate for an account",
			`{"items": [{"item_code": "A", "qty": 1, "rate": 100, "item_tax_rate": "{\"VAT\": 7}"}, {"item_code": "B", "qty": 1, "rate": 100}],
			  "taxes": [{"charge_type": "On Net Total", "rate": 19, "account_head": "VAT"}]}`,
			`{"taxes": [{"rate": 19, "tax_amount": 26, "item_wise_tax_detail": "{\"A\":[7.0,7.000000000000001],\"B\":[19.0,19.0]}"}]}`,
		},
		{
			// 29.97 / 1.2 = 24.975, to the even cent 24.98; the tax of that is 4.996.
			"included taxes never change the price: the lost cent is taken back",
			`{"items": [{"item_code": "A", "qty": 3, "rate": 9.99}], "taxes": [{"charge_type": "On Net Total", "rate": 20, "included_in_print_rate": 1}]}`,
			`{"total": 29.97, "net_total": 24.98, "items": [{"amount": 29.97, "net_amount": 24.98, "net_rate": 8.33}],
			  "taxes": [{"tax_amount": 5, "total": 29.98}], "total_taxes_and_charges": 5, "grand_total": 29.97}`,
		},
		{
			"included taxes on earlier rows", // 1 + 0.1 + 0.5×0.1 + 0.2×1.1 = 1.37
			`{"items": [{"item_code": "A", "qty": 1, "rate": 137}], "taxes": [
			  {"charge_type": "On Net Total", "rate": 10, "included_in_print_rate": 1},
			  {"charge_type": "On Previous Row Amount", "rate": 50, "row_id": 1, "included_in_print_rate": 1},
			  {"charge_type": "On Previous Row Total", "rate": 20, "row_id": 1, "included_in_print_rate": 1}]}`,
			`{"net_total": 100, "taxes": [{"tax_amount": 10}, {"tax_amount": 5}, {"tax_amount": 22}], "grand_total": 137}`,
		},
		{
			"an included tax by quantity, and one that is added",
			`{"items": [{"item_code": "A", "qty": 2, "rate": 12}], "taxes": [
			  {"charge_type": "On Item Quantity", "rate": 2, "included_in_print_rate": 1}, {"charge_type": "Actual", "tax_amount": 3}]}`,
			`{"net_total": 20, "items": [{"net_rate": 10}], "taxes": [{"tax_amount": 4, "total": 24}, {"tax_amount": 3, "total": 27}], "grand_total": 27}`,
		},
		{
			"a header discount on the net total is spread to the cent",
			`{"apply_discount_on": "Net Total", "discount_amount": 10,
			  "items": [{"item_code": "A", "qty": 1, "rate": 10}, {"item_code": "B", "qty": 1, "rate": 10}, {"item_code": "C", "qty": 2, "rate": 5}]}`,
			`{"total": 30, "net_total": 20, "grand_total": 20, "base_discount_amount": 10, "items": [
			  {"net_amount": 6.67, "distributed_discount_amount": 3.33}, {"net_amount": 6.66, "distributed_discount_amount": 3.32},
			  {"net_amount": 6.67, "net_rate": 3.34, "distributed_discount_amount": 3.33}]}`,
		},
		{
			"a header discount on the grand total leaves actual amounts alone",
			`{"additional_discount_percentage": 10, "items": [{"item_code": "A", "qty": 1, "rate": 100}],
			  "taxes": [{"charge_type": "On Net Total", "rate": 10}, {"charge_type": "Actual", "tax_amount": 10}]}`,
			`{"discount_amount": 12, "net_total": 89.09, "grand_total": 108, "taxes": [
			  {"tax_amount": 10, "tax_amount_after_discount_amount": 8.91, "total": 98},
			  {"tax_amount": 10, "tax_amount_after_discount_amount": 10, "total": 108}]}`,
		},
		{
			// Fixed are 10, 5 and 1.5 of the 126.50: 11 / 110 of the item goes.
			"taxes on actual amounts are left alone as well",
			`{"discount_amount": 11, "items": [{"item_code": "A", "qty": 1, "rate": 100}], "taxes": [{"charge_type": "Actual", "tax_amount": 10},
			  {"charge_type": "On Previous Row Amount", "rate": 50, "row_id": 1}, {"charge_type": "On Previous Row Total", "rate": 10, "row_id": 2}]}`,
			`{"net_total": 90, "grand_total": 115.5, "taxes": [{"tax_amount": 10}, {"tax_amount": 5},
			  {"tax_amount": 11.5, "tax_amount_after_discount_amount": 10.5}]}`,
		},
		{
			// 1.00 less 0.03 / 1.2 is 0.975, to the even cent 0.98; its tax 0.196.
			"a discount on the grand total is exact even when the rows cannot be",
			`{"discount_amount": 0.03, "items": [{"item_code": "A", "qty": 1, "rate": 1}], "taxes": [{"charge_type": "On Net Total", "rate": 20}]}`,
			`{"net_total": 0.98, "taxes": [{"tax_amount": 0.2, "tax_amount_after_discount_amount": 0.2, "total": 1.18}],
			  "total_taxes_and_charges": 0.2, "grand_total": 1.17}`,
		},
		{
			"a discount of nothing changes nothing",
			`{"discount_amount": 5, "items": [{"item_code": "A", "qty": 1, "rate": 0}]}`,
			`{"base_discount_amount": 5, "grand_total": 0}`,
		},
		{
			"company currency amounts are converted from rounded ones",
			`{"currency": "EUR", "conversion_rate": 1.1, "items": [{"item_code": "A", "qty": 3, "rate": 3.333, "conversion_factor": 12}],
			  "taxes": [{"charge_type": "Actual", "tax_amount": 1.05}]}`,
			`{"items": [{"rate": 3.33, "base_rate": 3.66, "amount": 9.99, "base_amount": 10.99, "stock_qty": 36, "stock_uom_rate": 0.2775}],
			  "taxes": [{"base_tax_amount": 1.16, "base_total": 12.14}], "base_net_total": 10.99, "grand_total": 11.04, "base_grand_total": 12.14}`,
		},
		{
			"without taxes the company's total is the sum of its rows",
			`{"currency": "EUR", "conversion_rate": 1.1, "items": [{"item_code": "A", "qty": 1, "rate": 0.33}, {"item_code": "A", "qty": 1, "rate": 0.33}]}`,
			`{"grand_total": 0.66, "base_net_total": 0.72, "base_grand_total": 0.72}`,
		},
		{
			"the company's own currency has no exchange rate",
			`{"conversion_rate": 2, "items": [{"item_code": "A", "qty": 1, "rate": 5}]}`,
			`{"conversion_rate": 1, "base_grand_total": 5}`,
		},
		{
			"a rounded total goes to the nearest smallest coin",
			`{"currency": "CHF", "conversion_rate": 1, "disable_rounded_total": 0, "items": [{"item_code": "A", "qty": 1, "rate": 10.08}]}`,
			`{"grand_total": 10.08, "rounded_total": 10.1, "rounding_adjustment": 0.02, "base_rounded_total": 10.1}`,
		},
		{
			"a rounded total below zero goes to the nearest coin too",
			`{"doctype": "Sales Invoice", "is_return": 1, "currency": "CHF", "conversion_rate": 1, "disable_rounded_total": 0,
			  "items": [{"item_code": "A", "qty": -1, "rate": 10.08}]}`,
			`{"grand_total": -10.08, "rounded_total": -10.1, "rounding_adjustment": -0.02, "outstanding_amount": -10.1}`,
		},
		{
			"a currency without a smallest coin goes to whole units, a half to the even one",
			`{"currency": "JPY", "conversion_rate": 0.5, "disable_rounded_total": 0, "items": [{"item_code": "A", "qty": 1, "rate": 12.5}]}`,
			`{"rounded_total": 12, "rounding_adjustment": -0.5, "base_rounding_adjustment": -0.25, "base_rounded_total": 6}`,
		},
		{
			"weight and commission follow the rows",
			`{"commission_rate": 2.5, "items": [{"item_code": "A", "qty": 1, "rate": 50, "grant_commission": 1, "total_weight": 1.25},
			  {"item_code": "B", "qty": 1, "rate": 9, "total_weight": 0.5}]}`,
			`{"total_net_weight": 1.75, "amount_eligible_for_commission": 50, "total_commission": 1.25}`,
		},
		{
			"a breakdown the sender keeps stays",
			`{"items": [{"item_code": "A", "qty": 1, "rate": 5}],
			  "taxes": [{"charge_type": "Actual", "tax_amount": 1, "dont_recompute_tax": 1, "item_wise_tax_detail": "{\"A\":[20,1]}"}]}`,
			`{"taxes": [{"tax_amount": 1, "item_wise_tax_detail": "{\"A\":[20,1]}"}]}`,
		},
		{
			"an invoice owes its total less advances",
			`{"doctype": "Sales Invoice", "write_off_amount": 0.5, "advances": [{"allocated_amount": 30}, {"allocated_amount": 3.3}],
			  "items": [{"item_code": "A", "qty": 1, "rate": 100}]}`,
			`{"total_advance": 33.3, "outstanding_amount": 66.2, "paid_amount": 0}`,
		},
		{
			"an invoice owes in the currency of the party's account",
			`{"doctype": "Sales Invoice", "currency": "EUR", "conversion_rate": 1.1, "party_account_currency": "USD",
			  "advances": [{"allocated_amount": 10}], "items": [{"item_code": "A", "qty": 1, "rate": 100}]}`,
			`{"grand_total": 100, "total_advance": 10, "outstanding_amount": 100}`,
		},
		{
			"a submitted invoice's outstanding amount is its ledger's",
			`{"doctype": "Sales Invoice", "docstatus": 1, "outstanding_amount": 12, "advances": [{"allocated_amount": 10}], "items": [{"item_code": "A", "qty": 1, "rate": 100}]}`,
			`{"outstanding_amount": 12, "total_advance": 10}`,
		},
		{
			"a cancelled invoice keeps its advances",
			`{"doctype": "Sales Invoice", "docstatus": 2, "total_advance": 3, "items": [{"item_code": "A", "qty": 1, "rate": 100}]}`,
			`{"outstanding_amount": 0, "total_advance": 3}`,
		},
		{
			"a debit note over an amount alone counts once",
			`{"doctype": "Sales Invoice", "is_debit_note": 1, "items": [{"item_code": "A", "qty": 0, "rate": 7}]}`,
			`{"grand_total": 7, "outstanding_amount": 7}`,
		},
		{
			"a credit note over an amount alone counts once",
			`{"doctype": "Sales Invoice", "is_return": 1, "items": [{"item_code": "A", "qty": 0, "rate": 7}, {"item_code": "B", "qty": -2, "rate": 5}]}`,
			`{"items": [{"amount": -7}, {"amount": -10, "net_rate": 5}], "total_qty": -2, "grand_total": -17, "outstanding_amount": -17}`,
		},
		{
			"a credit note set against its invoice owes nothing",
			`{"doctype": "Sales Invoice", "is_return": 1, "return_against": "0", "items": [{"item_code": "A", "qty": -1, "rate": 7}]}`,
			`{"grand_total": -7, "outstanding_amount": 0}`,
		},
		{
			"a cash discount leaves the taxes alone",
			`{"doctype": "Sales Invoice", "is_cash_or_non_trade_discount": 1, "discount_amount": 11, "disable_rounded_total": 0,
			  "items": [{"item_code": "A", "qty": 1, "rate": 100}], "taxes": [{"charge_type": "On Net Total", "rate": 10}]}`,
			`{"net_total": 100, "taxes": [{"tax_amount_after_discount_amount": 10, "total": 110}], "grand_total": 99, "rounded_total": 99, "base_grand_total": 99}`,
		},
		{
			"no items, no totals",
			`{"items": [], "grand_total": 5}`,
			`{"grand_total": 5}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			doc := order(t, test.doc)
			if err := totals.Calculate(doc, plain()); err != nil {
				t.Fatal(err)
			}
			compare(t, "doc", doc, object(t, test.want))
		})
	}
}

// TestSettings calculates one order, 3 × 3.3335 taxed with 5 %, under different
// settings of the site.
func TestSettings(t *testing.T) {
	tests := []struct {
		name   string
		change func(*totals.Settings)
		want   string
	}{
		{
			"two decimals, half to even", // 9.99 × 5 % = 0.4995
			func(*totals.Settings) {},
			`{"items": [{"rate": 3.33, "amount": 9.99}], "taxes": [{"tax_amount": 0.5, "item_wise_tax_detail": "{\"A\":[5.0,0.49950000000000006]}"}], "grand_total": 10.49}`,
		},
		{
			"currency precision", // 3.3335 to the even 3.334; 10.002 × 5 % = 0.5001
			func(s *totals.Settings) { s.CurrencyPrecision = 3 },
			`{"items": [{"rate": 3.334, "amount": 10.002}], "taxes": [{"tax_amount": 0.5}], "grand_total": 10.502}`,
		},
		{
			"a number format without decimals",
			func(s *totals.Settings) { s.NumberFormatPrecision = -1 },
			`{"items": [{"rate": 3, "amount": 9}], "taxes": [{"tax_amount": 0, "item_wise_tax_detail": "{\"A\":[5.0,0.45]}"}], "grand_total": 9}`,
		},
		{
			"a precision of the field's own",
			func(s *totals.Settings) {
				s.FieldPrecision = func(doctype, field string) (int, bool) {
					return 6, doctype == "Sales Order Item" && field == "rate"
				}
			},
			`{"items": [{"rate": 3.3335, "amount": 10, "net_rate": 3.3335}], "grand_total": 10.5}`,
		},
		{
			"tax rounded row by row",
			func(s *totals.Settings) { s.RoundRowWise = true },
			`{"taxes": [{"tax_amount": 0.5, "item_wise_tax_detail": "{\"A\":[5.0,0.5]}"}]}`,
		},
		{
			"legacy rounding makes whole numbers of the breakdown",
			func(s *totals.Settings) {
				s.RoundRowWise, s.RoundingMethod, s.NumberFormatPrecision = true, totals.BankersLegacy, -1
			},
			`{"taxes": [{"tax_amount": 0, "item_wise_tax_detail": "{\"A\":[5.0,0]}"}]}`,
		},
		{
			"float precision cuts quantities and percentages",
			func(s *totals.Settings) { s.FloatPrecision = -1 },
			`{"items": [{"qty": 3}], "taxes": [{"rate": 5}]}`,
		},
		{
			"half a smallest coin goes down",
			func(s *totals.Settings) { s.SmallestFraction = func(string) float64 { return 0.02 } },
			`{"rounded_total": 10.48, "rounding_adjustment": -0.01}`,
		},
		{
			"no currency is known to have a smallest coin",
			func(s *totals.Settings) { s.SmallestFraction = nil },
			`{"rounded_total": 10, "rounding_adjustment": -0.49}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			doc := order(t, `{"disable_rounded_total": 0, "items": [{"item_code": "A", "qty": 3, "rate": 3.3335}],
				"taxes": [{"charge_type": "On Net Total", "rate": 5}]}`)
			s := plain()
			test.change(&s)
			if err := totals.Calculate(doc, s); err != nil {
				t.Fatal(err)
			}
			compare(t, "doc", doc, object(t, test.want))
		})
	}
}

func TestRefusals(t *testing.T) {
	const tax = `{"items": [{"item_code": "A", "qty": 1, "rate": 5}], "taxes": `
	tests := []struct{ name, doc, exception string }{
		{"no exchange rate", `{"currency": "EUR", "conversion_rate": 0, "items": [{"qty": 1}]}`, "ValidationError"},
		{"discount on nothing", `{"apply_discount_on": "", "discount_amount": 1, "items": [{"qty": 1, "rate": 5}]}`, "ValidationError"},
		{"commission over 100", `{"commission_rate": 101, "items": [{"qty": 1, "rate": 5}]}`, "ValidationError"},
		{"advances over the total", `{"doctype": "Sales Invoice", "advances": [{"allocated_amount": 6}], "items": [{"qty": 1, "rate": 5}]}`, "ValidationError"},
		{"actual in the price", tax + `[{"charge_type": "Actual", "included_in_print_rate": 1}]}`, "ValidationError"},
		{"net total names a row", tax + `[{"charge_type": "On Net Total", "row_id": "0"}]}`, "ValidationError"},
		{"first row names a row", tax + `[{"charge_type": "On Previous Row Total", "row_id": 1}]}`, "ValidationError"},
		{"row missing", tax + `[{"charge_type": "Actual"}, {"charge_type": "On Previous Row Total"}]}`, "ValidationError"},
		{"row not before", tax + `[{"charge_type": "Actual"}, {"charge_type": "On Previous Row Total", "row_id": 2}]}`, "ValidationError"},
		{"row before the first", tax + `[{"charge_type": "Actual"}, {"charge_type": "On Previous Row Total", "row_id": "-2"}]}`, "IndexError"},
		{"included row before the first", tax + `[{"charge_type": "Actual"}, {"charge_type": "On Previous Row Amount", "row_id": "-2", "included_in_print_rate": 1}]}`, "IndexError"},
		{"included on a row that is not", tax + `[{"charge_type": "On Net Total", "rate": 1}, {"charge_type": "On Previous Row Amount", "row_id": 1, "included_in_print_rate": 1}]}`, "ValidationError"},
		{"included on a total that is not", tax + `[{"charge_type": "Actual"}, {"charge_type": "Actual"}, {"charge_type": "On Previous Row Total", "row_id": 2, "included_in_print_rate": 1}]}`, "ValidationError"},
		{"the same, row as text", tax + `[{"charge_type": "Actual"}, {"charge_type": "Actual"}, {"charge_type": "On Previous Row Total", "row_id": "2", "included_in_print_rate": 1}]}`, "TypeError"},
		{"nothing left of the price", tax + `[{"charge_type": "On Net Total", "rate": -100, "included_in_print_rate": 1}]}`, "ZeroDivisionError"},
		{"another doctype", `{"doctype": "Quotation", "items": [{"qty": 1}]}`, ""},
		{"items no list", `{"items": "A"}`, ""},
		{"row no object", `{"items": [1]}`, ""},
		{"taxes no list", `{"items": [{"qty": 1}], "taxes": {}}`, ""},
		{"advances no list", `{"doctype": "Sales Invoice", "items": [{"qty": 1}], "advances": 1}`, ""},
		{"template rates no JSON", `{"items": [{"qty": 1, "item_tax_rate": "VAT"}]}`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			doc := order(t, test.doc)
			before := order(t, test.doc)
			err := totals.Calculate(doc, plain())
			if err == nil {
				t.Fatal("accepted")
			}
			exception := ""
			if refusal, ok := errors.AsType[*totals.Refusal](err); ok {
				exception = refusal.Exception
			}
			if exception != test.exception {
				t.Errorf("got %v, want %q", err, test.exception)
			}
			if diff := cmp.Diff(before, doc); diff != "" {
				t.Errorf("the document has changed: %s", diff)
			}
		})
	}
}

// TestRefusalWording holds the texts a client may have learnt to read.
func TestRefusalWording(t *testing.T) {
	tests := []struct{ doc, want string }{
		{
			`{"currency": "EUR", "conversion_rate": 0, "items": [{"qty": 1}]}`,
			"ValidationError: Exchange Rate is mandatory. Maybe Currency Exchange record is not created for EUR to USD.",
		},
		{
			`{"items": [{"qty": 1, "rate": 5}], "taxes": [{"charge_type": "On Net Total"}, {"charge_type": "Actual", "included_in_print_rate": 1}]}`,
			"ValidationError: Charge of type 'Actual' in row 2 cannot be included in Item Rate or Paid Amount",
		},
	}
	for _, test := range tests {
		if err := totals.Calculate(order(t, test.doc), plain()); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}

func TestPaymentSchedule(t *testing.T) {
	tests := []struct{ name, doc, want string }{
		{
			"the rounded total where there is one",
			`{"doctype": "Sales Order", "transaction_date": "2026-06-01", "grand_total": 10.49, "rounded_total": 10, "base_grand_total": 5.25, "base_rounded_total": 5}`,
			`{"payment_amount": 10, "outstanding": 10, "base_payment_amount": 5, "base_outstanding": 5, "invoice_portion": 100}`,
		},
		{
			"an order does not look at advances",
			`{"doctype": "Sales Order", "grand_total": 10, "base_grand_total": 10, "total_advance": 5}`,
			`{"payment_amount": 10, "base_payment_amount": 10}`,
		},
		{
			"an invoice less write-off and advances",
			`{"doctype": "Sales Invoice", "grand_total": 100.1, "base_grand_total": 100.1, "total_advance": 33.3, "write_off_amount": 0.1, "base_write_off_amount": 0.1, "conversion_rate": 1}`,
			`{"payment_amount": 66.7, "base_payment_amount": 66.7}`,
		},
		{
			"advances in the invoice's currency",
			`{"doctype": "Sales Invoice", "currency": "EUR", "party_account_currency": "EUR", "conversion_rate": 1.1, "grand_total": 100, "base_grand_total": 110, "total_advance": 50.55}`,
			`{"payment_amount": 49.45, "base_payment_amount": 54.4}`,
		},
		{
			"advances in the company's currency",
			`{"doctype": "Sales Invoice", "currency": "EUR", "party_account_currency": "USD", "conversion_rate": 1.1, "grand_total": 100, "base_grand_total": 110, "total_advance": 50}`,
			`{"payment_amount": 54.55, "base_payment_amount": 60}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := totals.PaymentSchedule(object(t, test.doc))
			if len(got) != 1 {
				t.Fatalf("%d rows", len(got))
			}
			compare(t, "row", got[0], object(t, test.want))
		})
	}
}

func TestPaymentScheduleDate(t *testing.T) {
	doc := map[string]any{"transaction_date": "2026-06-01"}
	for _, step := range []struct{ field, date string }{
		{"transaction_date", "2026-06-01"}, {"posting_date", "2026-06-02"}, {"due_date", "2026-06-03"},
	} {
		doc[step.field] = step.date
		if got := totals.PaymentSchedule(doc)[0]["due_date"]; got != step.date {
			t.Errorf("with %s: got %v, want %s", step.field, got, step.date)
		}
	}
}

// TestOddDocuments feeds Calculate what no site would see: it must not panic,
// and what it accepts must be storable.
func TestOddDocuments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := totals.Settings{
			RoundingMethod:        rapid.SampledFrom([]string{totals.Bankers, totals.Commercial, totals.BankersLegacy, "", "?"}).Draw(t, "method"),
			CurrencyPrecision:     rapid.IntRange(-2, 40).Draw(t, "currency precision"),
			NumberFormatPrecision: rapid.IntRange(-2, 4).Draw(t, "format precision"),
			FloatPrecision:        rapid.IntRange(-2, 12).Draw(t, "float precision"),
			RoundRowWise:          rapid.Bool().Draw(t, "row-wise"),
			CompanyCurrency:       "USD",
			SmallestFraction: func(string) float64 {
				return rapid.SampledFrom([]float64{0, 0.01, 0.05, -1, math.Inf(1), math.NaN()}).Draw(t, "fraction")
			},
			FieldPrecision: func(_, field string) (int, bool) { return -3, field == "net_rate" },
		}
		doc := oddDocument(t)
		if err := totals.Calculate(doc, s); err != nil {
			return
		}
		if _, err := json.Marshal(doc); err != nil {
			t.Fatalf("not storable: %v", err)
		}
		_ = totals.PaymentSchedule(doc)
	})
}

func oddDocument(t *rapid.T) map[string]any {
	doc := oddObject(t, "doctype", "currency", "conversion_rate", "discount_amount", "additional_discount_percentage",
		"disable_rounded_total", "is_return", "is_debit_note", "is_cash_or_non_trade_discount", "commission_rate",
		"docstatus", "write_off_amount", "party_account_currency", "advances")
	doc["doctype"] = rapid.SampledFrom([]any{"Sales Order", "Sales Invoice", "Customer", nil}).Draw(t, "doctype")
	doc["apply_discount_on"] = rapid.SampledFrom([]any{"Grand Total", "Net Total", "", "Total", 1}).Draw(t, "on")
	items, taxes := []any{}, []any{}
	for range rapid.IntRange(0, 4).Draw(t, "items") {
		items = append(items, oddObject(t, "item_code", "item_name", "qty", "rate", "price_list_rate", "discount_percentage",
			"discount_amount", "margin_type", "margin_rate_or_amount", "pricing_rules", "conversion_factor", "item_tax_rate"))
	}
	for range rapid.IntRange(0, 4).Draw(t, "taxes") {
		tax := oddObject(t, "rate", "tax_amount", "row_id", "included_in_print_rate", "account_head", "dont_recompute_tax")
		tax["charge_type"] = rapid.SampledFrom([]any{"Actual", "On Net Total", "On Previous Row Amount",
			"On Previous Row Total", "On Item Quantity", "", nil}).Draw(t, "charge type")
		taxes = append(taxes, tax)
	}
	doc["items"], doc["taxes"] = items, taxes
	return doc
}

// oddObject fills some of the fields with values of any type.
func oddObject(t *rapid.T, fields ...string) map[string]any {
	object := make(map[string]any)
	for _, field := range fields {
		if rapid.Bool().Draw(t, "has "+field) {
			object[field] = oddValue().Draw(t, field)
		}
	}
	return object
}

func oddValue() *rapid.Generator[any] {
	return rapid.OneOf(
		rapid.SampledFrom([]any{nil, true, "", "0", "1", "-1", "-9", "abc", "nan", "1e999", "1,234.5", "EUR", "Amount", "{}",
			`{"VAT": "x"}`, json.Number("12.345"), json.Number("1e999"), []any{}, []any{nil}, map[string]any{"VAT": 7.0},
			0.0, 1, int64(2), 100.0, -100.0, 0.5, 1e300, -1e300, math.MaxFloat64}),
		rapid.Map(rapid.Float64Range(-1e6, 1e6), func(v float64) any { return v }),
		rapid.Map(rapid.IntRange(-5, 5), func(v int) any { return v }),
	)
}
