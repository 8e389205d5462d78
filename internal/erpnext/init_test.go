package erpnext_test

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

func writeSheet(t *testing.T, c *erpnext.Client, company string) (string, config.Sheet) {
	t.Helper()
	var out bytes.Buffer
	if err := erpnext.WriteSheet(t.Context(), c, company, &out); err != nil {
		t.Fatal(err)
	}
	sheet, err := config.ParseSheet("sheet.yaml", out.Bytes())
	if err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	return out.String(), sheet
}

func TestWriteSheet(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	text, got := writeSheet(t, site.as(t, runtimeUser), "")
	if got.Company != "Demo Trading" || got.PriceList != "Standard Selling" || got.CostCenter != "Main - DT" || got.FallbackItem != "SHOP-LINE" {
		t.Errorf("%+v", got)
	}
	a := got.Accounts
	if a.Clearing["stripe"].In("USD") != "Stripe Clearing - DT" || a.Clearing["paypal"].In("USD") != "PayPal Clearing - DT" || a.RoundOff != "Round Off - DT" || a.Shipping != "Shipping Income - DT" {
		t.Errorf("%+v", a)
	}
	if got.Warehouse != "" || got.GuestCustomer != "" || a.Tax != "Sales Tax - DT" || got.Payments.WaitForOrder == nil {
		t.Errorf("set what needs a choice: %+v", got)
	}
	for _, want := range []string{"# companies: Demo Trading", "# warehouse: Stores - DT", "Wire Transfer", "Tips - DT"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	// Whatever is commented out as a suggestion is a key that the sheet has.
	for _, suggestion := range []string{"warehouse", "guest_customer", "unknown_payer"} {
		text = strings.Replace(text, "# "+suggestion+": ", suggestion+": ", 1)
	}
	if s, err := config.ParseSheet("sheet.yaml", []byte(text)); err != nil || s.Warehouse == "" || s.GuestCustomer == "" || s.UnknownPayer == "" {
		t.Errorf("%v, %+v", err, s)
	}
}

// keyLine is a commented line that is YAML once the # is gone; lines that list
// what the site has, and prose, are not.
var keyLine = regexp.MustCompile(`(?m)^( *)# ( *- \{.*| *[a-z_-]+:.*)$`)

// TestWriteSheetShowsKeysThatExist: with every # taken away the sheet is still
// good, so what it shows can be used as it stands.
func TestWriteSheetShowsKeysThatExist(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	text, _ := writeSheet(t, site.as(t, runtimeUser), "")
	header, rest, _ := strings.Cut(text, "\n")
	if header != "# yaml-language-server: $schema="+config.SchemaFile {
		t.Errorf("the first line is %q", header)
	}
	rest = regexp.MustCompile(`(?m)^ *# (companies|candidates|warehouses): .*\n`).ReplaceAllString(rest, "")
	whole, err := config.ParseSheet("sheet.yaml", []byte(keyLine.ReplaceAllString(rest, "$1$2")))
	if err != nil {
		t.Fatal(err)
	}
	if whole.Accounts.Fees == "" || whole.Accounts.Bank.In("USD") == "" || len(whole.Taxes) != 1 || whole.Customers.Group == "" || *whole.Orders.Submit != true ||
		whole.Gateways["stripe"].Owner != config.OwnerProvider || len(whole.Fields.SalesOrder) != 1 || whole.Sources["second-shop"].Provider != config.ProviderShopify {
		t.Errorf("%v in\n%s", whole.Settings.List(), text)
	}
}

// TestWriteSheetLeavesTheTaxOpen where there are several accounts: the wrong
// one would go unnoticed.
func TestWriteSheetLeavesTheTaxOpen(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.insert(t, "Account", map[string]any{"name": "County Tax - DT", "company": "Demo Trading", "account_type": "Tax"})
	text, got := writeSheet(t, site.as(t, runtimeUser), "")
	if got.Accounts.Tax != "" || !strings.Contains(text, "# accounts of type Tax: County Tax - DT, Sales Tax - DT") {
		t.Errorf("%q in\n%s", got.Accounts.Tax, text)
	}
	if s, err := config.ParseSheet("sheet.yaml", []byte(strings.Replace(text, "# tax: ", "tax: ", 1))); err != nil || s.Accounts.Tax != "County Tax - DT" {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestWriteSheetOfOddNames: names of the site never end a line or a quote.
func TestWriteSheetOfOddNames(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	odd := "Stripe: \"A\" # \\ 'é'\n€ - X\ncompany: Evil"
	site.insert(t, "Company", map[string]any{"name": odd, "default_currency": "USD", "cost_center": "- yes", "default_income_account": "null"})
	site.insert(t, "Account", map[string]any{"name": "stripe: " + odd, "company": odd, "account_type": "Bank", "account_currency": "USD"})
	site.insert(t, "Account", map[string]any{"name": odd, "company": odd, "account_type": "Tax"})
	text, got := writeSheet(t, site.as(t, runtimeUser), odd)
	if got.Company != odd || got.CostCenter != "- yes" || got.Accounts.Shipping != "null" || got.Accounts.Clearing["stripe"].In("USD") != "stripe: "+odd || got.Accounts.Tax != odd {
		t.Errorf("%+v in\n%s", got, text)
	}
	if got.Accounts.Clearing["paypal"].In("USD") != "" {
		t.Errorf("paypal clears on %q", got.Accounts.Clearing["paypal"])
	}
}

func TestWriteSheetOfSeveralCompanies(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.insert(t, "Company", map[string]any{"name": "Another Shop", "default_currency": "EUR"})
	text, got := writeSheet(t, site.as(t, runtimeUser), "")
	if got.Company != "Another Shop" || !strings.Contains(text, "# companies: Another Shop, Demo Trading") || !strings.Contains(text, "several companies") {
		t.Errorf("%q in\n%s", got.Company, text)
	}
	if _, got := writeSheet(t, site.as(t, runtimeUser), "Demo Trading"); got.Accounts.RoundOff != "Round Off - DT" {
		t.Errorf("%+v", got)
	}
}

func TestWriteSheetFails(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	for _, tt := range []struct {
		user    erpnext.Credentials
		company string
		want    fault.Kind
	}{
		{setupUser, "", fault.Rights},
		{erpnext.KeySecret("demo-key", "wrong"), "", fault.Credentials},
		{runtimeUser, "No Such Company", fault.Missing},
	} {
		var out bytes.Buffer
		if err := erpnext.WriteSheet(t.Context(), site.as(t, tt.user), tt.company, &out); fault.KindOf(err) != tt.want || out.Len() > 0 {
			t.Errorf("%v, wrote %q", err, out.String())
		}
	}
	full := errors.New("disk full")
	if err := erpnext.WriteSheet(t.Context(), site.as(t, runtimeUser), "", refusing{full}); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

type refusing struct{ error }

func (r refusing) Write([]byte) (int, error) { return 0, r.error }

// FuzzWriteSheet holds that any name a site may have comes out of the sheet as
// it went in.
func FuzzWriteSheet(f *testing.F) {
	for _, name := range []string{"Main - DT", "", " a", "a ", "a: b", "a #b", "yes", "~", "007", "\u0085x", "\u2028", "\x7f", "😀", "'", `"\`, "-", "a\tb"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || strings.ToValidUTF8(name, "") != name {
			t.Skip("the wire carries UTF-8, and every record has a name")
		}
		sheet, err := config.ParseSheet("sheet.yaml", []byte("# "+erpnext.Scalar(name)+"\ncompany: "+erpnext.Scalar(name)+"\n"))
		if err != nil || sheet.Company != name {
			t.Errorf("%q became %q: %v", name, sheet.Company, err)
		}
	})
}
