package app

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox/totals"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/shopspring/decimal"
)

var updateOrders = flag.Bool("update-orders", false, "rewrite the wants of the golden orders")

// TestOrders runs one file a case from what a shop sends to the document that
// ERPNext would hold: the first line says why; `sheet` is the merchant's,
// `order` the webhook's body (what every order has and the case does not care
// about is filled in as null), `missing` the codes that are no items, `templates`
// the site's Item Tax Templates, `want` the document with the total that
// ERPNext's own arithmetic gives it, or the fault.
func TestOrders(t *testing.T) {
	files, err := filepath.Glob("testdata/orders/*.txtar")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d golden orders: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(archive.Comment)) == "" {
				t.Error("nobody says what this case is for")
			}
			part := map[string]string{}
			for _, f := range archive.Files {
				part[f.Name] = string(f.Data)
			}
			got := goldenOrder(t, part)
			if *updateOrders {
				archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
				archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := gocmp.Diff(part["want"], got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// goldenOrder takes a case the whole way and writes down what comes of it.
func goldenOrder(t *testing.T, part map[string]string) string {
	t.Helper()
	sheet, err := config.ParseSheet("sheet.yaml", []byte(part["sheet"]))
	if err != nil {
		t.Fatal(err)
	}
	settings := sheet.For("shopify")
	src, err := openSource(config.Sender{Name: "shopify", Provider: config.ProviderShopify, Secrets: []config.Secret{"s"}}, settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	content, err := src.Decode(event.Event{Topic: "orders/create", Body: wholeOrder(t, part["order"])})
	if err != nil {
		return explain(err)
	}
	fields, err := CompileFields(sheet, "shopify")
	if err != nil {
		t.Fatal(err)
	}
	g := golden{t: t, books: atSite(fixedBooks(settings, fields), settings), order: *content.Order}
	g.missing = strings.Fields(part["missing"])
	if !strings.HasPrefix(part["sheet"], "orders: {currency: presentment}") {
		g.books.Currency = g.order.Currency // the shop's is the company's, as it should be
	}
	if text := part["templates"]; text != "" {
		if err := json.Unmarshal([]byte(text), &g.templates); err != nil {
			t.Fatal(err)
		}
	}
	g.run()
	return g.out.String()
}

// wholeOrder fills an order's body up with what every order has.
func wholeOrder(t *testing.T, body string) []byte {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"subtotal_price", "total_tax", "total_discounts", "taxes_included", "tax_lines", "shipping_lines", "updated_at", "cancelled_at", "test",
		"financial_status", "discount_codes", "note", "note_attributes", "fulfillments", "email",
	} {
		if fields[name] == nil {
			fields[name] = json.RawMessage("null")
		}
	}
	for name, value := range map[string]string{"id": "1001", "name": `"#1001"`, "created_at": `"2026-03-02T23:30:00-05:00"`} {
		if fields[name] == nil {
			fields[name] = json.RawMessage(value)
		}
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// atSite adds to a sheet's books what is found at the site, a company that
// in Berlin, and a site with three decimals.
func atSite(b mapping.Books, s config.Settings) mapping.Books {
	b.Company, b.Currency, b.CostCenter, b.PriceList = cmp.Or(s.Company, "Acme"), "EUR", cmp.Or(s.CostCenter, "Main - A"), cmp.Or(s.PriceList, "Standard Selling")
	b.FallbackItem = cmp.Or(s.FallbackItem, "SHOP-LINE")
	b.CustomerGroup, b.Territory = cmp.Or(b.CustomerGroup, "Individual"), cmp.Or(b.Territory, "All Territories")
	b.RoundOffAccount, b.ShippingAccount = cmp.Or(s.Accounts.RoundOff, "Round Off - A"), cmp.Or(s.Accounts.Shipping, "Freight - A")
	b.TaxAccount, b.IncomeAccount = cmp.Or(s.Accounts.Tax, "VAT - A"), "Sales - A"
	b.Precision, b.Location = 3, time.FixedZone("Berlin", 3600)
	b.Countries = map[string]string{"DE": "Germany", "US": "United States", "GB": "United Kingdom"}
	return b
}

func explain(err error) string {
	f := fault.As(err)
	return f.Kind.String() + ": " + f.Cause + "\n" + f.Hint + "\n"
}

// golden writes down what becomes of one order.
type golden struct {
	t         *testing.T
	books     mapping.Books
	order     commerce.Order
	missing   []string
	templates map[string]map[string]float64
	out       strings.Builder
}

func (g *golden) item(code string) (string, bool) { return code, !slices.Contains(g.missing, code) }

func (g *golden) printf(format string, args ...any) { fmt.Fprintf(&g.out, format, args...) }

func (g *golden) run() {
	var made []erpnext.Item // ahead of the order, as posting does
	for _, line := range g.order.Lines {
		if item, ok := g.books.NewItem(line, g.item); ok {
			made = append(made, item)
			g.missing = slices.DeleteFunc(g.missing, func(code string) bool { return code == item.ItemCode })
		}
	}
	so, err := g.books.SalesOrder(g.order, "shopify/shopify/order/"+g.order.ID, "CUSTOMER", g.item)
	if err != nil {
		g.printf("%s", explain(err))
		return
	}
	total, base := g.totals(so)
	if books, ok := g.books.Adjusted(g.order, total); ok {
		g.printf("the site's rounding is taken back: its draft said %s\n", total)
		if so, err = books.SalesOrder(g.order, so.Key, so.Customer, g.item); err != nil {
			g.t.Fatal(err)
		}
		total, base = g.totals(so)
	}
	if !total.Equal(g.order.Total.Value()) {
		g.t.Errorf("grand_total %s, the shop's total %s", total, g.order.Total)
	}
	g.head(so)
	for _, row := range so.Items {
		g.row(row)
	}
	for _, tax := range so.Taxes {
		g.tax(tax)
	}
	if !so.DiscountAmount.IsZero() {
		g.printf("  discount on %s: %s\n", so.ApplyDiscountOn, so.DiscountAmount)
	}
	g.printf("  = %s %s", total, so.Currency)
	if so.Currency != g.books.Currency {
		g.printf(", %s %s", base, g.books.Currency)
	}
	g.printf("\n")
	g.party()
	for _, item := range made {
		g.printf("New Item %s %q in %s, stock %v, %s\n", item.ItemCode, item.ItemName, item.ItemGroup, item.IsStockItem, item.StockUOM)
	}
	for _, remark := range g.books.Remarks(g.order) {
		g.printf("note: %s\n", remark)
	}
}

func (g *golden) head(so erpnext.SalesOrder) {
	g.printf("Sales Order %s of %s, delivery %s, %s", so.PoNo, so.TransactionDate, so.DeliveryDate, so.Currency)
	if !so.ConversionRate.Equal(decimal.NewFromInt(1)) {
		g.printf(" at %s", so.ConversionRate)
	}
	if so.NamingSeries != "" {
		g.printf(", series %s", so.NamingSeries)
	}
	g.extra(so.Extra)
	g.printf("\n")
}

func (g *golden) row(row erpnext.SalesOrderItem) {
	g.printf("  %s × %s %s %q", row.Qty, row.Rate, row.ItemCode, row.Description)
	for label, value := range map[string]string{"from": row.Warehouse} {
		if value != "" {
			g.printf(", %s %s", label, value)
		}
	}
	if row.IsFreeItem {
		g.printf(", free")
	}
	if row.ItemTaxTemplate != "" {
		g.printf(", taxed by %s", row.ItemTaxTemplate)
	}
	g.extra(row.Extra)
	g.printf("\n")
}

func (g *golden) tax(row erpnext.TaxRow) {
	amount := row.TaxAmount.String()
	if row.ChargeType != "Actual" {
		amount = row.Rate.String() + " %"
	}
	if row.IncludedInPrintRate {
		amount += " included"
	}
	g.printf("  %s %s %q: %s\n", row.ChargeType, row.AccountHead, row.Description, amount)
}

func (g *golden) party() {
	if g.order.Customer == nil {
		return
	}
	c := g.books.Customer(*g.order.Customer, "key")
	extra, err := g.books.CustomerFields(*g.order.Customer)
	if err != nil {
		g.t.Fatal(err)
	}
	g.printf("Customer %q, %s, %s", c.CustomerName, c.CustomerType, c.CustomerGroup)
	for _, field := range []struct{ label, value string }{
		{"tax id", c.TaxID}, {"e-mail", c.EmailID}, {"phone", c.MobileNo}, {"tax category", c.TaxCategory}, {"price list", c.DefaultPriceList}, {"in", c.City}, {"in", c.Country},
	} {
		if field.value != "" {
			g.printf(", %s %s", field.label, field.value)
		}
	}
	g.extra(extra)
	g.printf("\n")
}

func (g *golden) extra(extra erpnext.Extra) {
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		g.printf(", %s=%v", name, extra[name])
	}
}

// totals asks ERPNext's own arithmetic.
func (g *golden) totals(so erpnext.SalesOrder) (total, base decimal.Decimal) {
	g.t.Helper()
	raw, err := json.Marshal(so)
	if err != nil {
		g.t.Fatal(err)
	}
	doc := map[string]any{}
	if err := json.Unmarshal(raw, &doc); err != nil {
		g.t.Fatal(err)
	}
	doc["doctype"], doc["plc_conversion_rate"] = "Sales Order", 1.0
	for _, row := range doc["items"].([]any) {
		row := row.(map[string]any)
		if rates := g.templates[fmt.Sprint(row["item_tax_template"])]; rates != nil {
			text, err := json.Marshal(rates)
			if err != nil {
				g.t.Fatal(err)
			}
			row["item_tax_rate"] = string(text)
		}
	}
	settings := totals.Settings{
		RoundingMethod: "Banker's Rounding", CompanyCurrency: g.books.Currency, CurrencyPrecision: 3,
		FieldPrecision: func(_, field string) (int, bool) { return 9, field == "conversion_rate" },
	}
	if err := totals.Calculate(doc, settings); err != nil {
		g.t.Fatal(err)
	}
	number := func(field string) decimal.Decimal { return decimal.NewFromFloat(doc[field].(float64)).Round(6) }
	return number("grand_total"), number("base_grand_total")
}
