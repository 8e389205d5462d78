package mapping_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/shopspring/decimal"
)

var update = flag.Bool("update", false, "rewrite the wants of the golden cases")

func books() mapping.Books {
	return mapping.Books{
		Company: "Demo Trading", Currency: "USD", CostCenter: "Main - DT", PriceList: "Standard Selling",
		CustomerGroup: "Individual", Territory: "All Territories", FallbackItem: "SHOP-LINE",
		RoundOffAccount: "Round Off - DT", ShippingAccount: "Freight - DT", TaxAccount: "Sales Tax - DT", IncomeAccount: "Sales - DT",
		Till: mapping.Till{Clearing: map[string]map[string]string{"stripe": {"": "Stripe - DT"}}}, DefaultClearing: "Bank - DT",
		Precision: 2, Location: time.FixedZone("site", -5*3600), Countries: map[string]string{"US": "United States", "DE": "Germany"},
	}
}

// The order of a golden case, written as a merchant would: amounts as text.
type orderCase struct {
	ID, Name, Currency string
	Created            time.Time
	TaxesIncluded      bool
	Lines              []lineCase
	Shipping           []chargeCase
	Tip, Total         string
}

type lineCase struct {
	ID, Kind                    string
	SKU, Title, Price, Discount string
	Quantity                    int64
	Taxes                       []taxCase
}

type chargeCase struct {
	Title, Price, Discount string
	Taxes                  []taxCase
}

type taxCase struct {
	Title, Amount string
	ByChannel     bool
}

func (c orderCase) order(t *testing.T) commerce.Order {
	t.Helper()
	amount := func(text string) money.Amount {
		if text == "" {
			return money.Zero(c.Currency)
		}
		a, err := money.Parse(text, c.Currency)
		if err != nil {
			return money.New(decimal.RequireFromString(text), c.Currency)
		}
		return a
	}
	taxes := func(list []taxCase) []commerce.Tax {
		var out []commerce.Tax
		for _, x := range list {
			out = append(out, commerce.Tax{Title: x.Title, Amount: amount(x.Amount), ByChannel: x.ByChannel})
		}
		return out
	}
	o := commerce.Order{ID: c.ID, Name: c.Name, Currency: c.Currency, CreatedAt: c.Created, TaxesIncluded: c.TaxesIncluded, Tip: amount(c.Tip), Total: amount(c.Total)}
	for _, l := range c.Lines {
		o.Lines = append(o.Lines, commerce.Line{ID: l.ID, Kind: commerce.LineKind(l.Kind), SKU: l.SKU, Title: l.Title, Quantity: l.Quantity, UnitPrice: amount(l.Price), Discount: amount(l.Discount), Taxes: taxes(l.Taxes)})
	}
	for _, s := range c.Shipping {
		o.Shipping = append(o.Shipping, commerce.Charge{Title: s.Title, Price: amount(s.Price), Discount: amount(s.Discount), Taxes: taxes(s.Taxes)})
	}
	return o
}

// knownItems is what ERPNext has, as far as the cases go.
func knownItems(sku string) (string, bool) { return sku, !strings.HasPrefix(sku, "GONE") }

// TestSalesOrder runs one file a case: the first line says why, `order` is what
// the shop sent, `want` the document or the fault.
func TestSalesOrder(t *testing.T) {
	files, err := filepath.Glob("testdata/order/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runGolden(t, file) })
	}
}

func runGolden(t *testing.T, file string) { golden(t, file, render) }

// golden runs one case: what `order` comes to is held against `want`.
func golden[C any](t *testing.T, file string, render func(*testing.T, C) string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section := map[string]*txtar.File{}
	for i := range archive.Files {
		section[archive.Files[i].Name] = &archive.Files[i]
	}
	var c C
	dec := json.NewDecoder(bytes.NewReader(section["order"].Data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		t.Fatalf("order: %v", err)
	}
	got := render(t, c)
	if *update {
		section["want"].Data = []byte(got)
		if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(got, string(section["want"].Data)); diff != "" {
		t.Errorf("got (-) and want (+) differ:\n%s", diff)
	}
}

func render(t *testing.T, c orderCase) string {
	so, err := books().SalesOrder(c.order(t), "shopify/acme/order/"+c.ID, "Ann Lee", knownItems)
	if err != nil {
		f := fault.As(err)
		return f.Kind.String() + ": " + f.Cause + "\n" + f.Hint + "\n"
	}
	out, err := json.MarshalIndent(so, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}
