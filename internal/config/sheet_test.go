package config_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files and the documents made from the types")

func parse(t *testing.T, text string) config.Sheet {
	t.Helper()
	s, err := config.ParseSheet("sheet.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return s
}

// Each file of testdata/problems is a sheet and, word for word, what is said
// about it. Its first line says which kind of problem it shows.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/problems/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = config.ParseSheet("sheet.yaml", archive.Files[0].Data)
			if err == nil {
				t.Fatal("it was taken")
			}
			got := err.Error() + "\n"
			if *update {
				archive.Files = append(archive.Files[:1], txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	got := parse(t, "").For("shopify")
	wait, feeWait, silence, submit := 30*time.Minute, 10*time.Minute, 72*time.Hour, true
	want := config.Settings{
		NoEventsAfter: &silence,

		Products: config.Off,
		Shipping: config.Shipping{As: config.ShippingRow},
		Items:    config.Items{Match: []config.ItemKey{config.BySKU, config.ByVariant}, Create: config.CreateNothing, UOM: "Nos"},
		Customers: config.Customers{
			Update: config.FillEmpty, FromShop: config.Off, OnePerGuest: config.Off,
			TaxIDNames: []string{"vat_id", "vat_number", "vat number", "tax_id", "tax number"},
		},
		Orders: config.Orders{
			Currency: config.ShopMoney, When: config.WhenCreated, Submit: &submit, Taxes: config.TaxActual, Discounts: config.DiscountNet,
			Edits: config.EditReplace, EditsBehind: config.EditBehindNote, Cancel: config.CancelOrder, ClosedPeriod: config.RefuseClosed,
			DeliveryNotes: config.Off, Invoices: config.InvoiceNever, CreditNotes: config.Off, TestOrders: config.SkipTests, PONo: config.POName,
		},
		Payments: config.Payments{
			WaitForOrder: &wait, Fees: config.FeeDeduction, FeeWait: &feeWait, Underpayment: config.BookDifference, Overpayment: config.BookDifference,
			OrderRefs: []string{"order_id", "shopify_order_id", "order_name", "shopify_order_name", "order_number"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff(got, config.Sheet{}.For("")); diff != "" {
		t.Errorf("a sheet that was not read differs: -read +zero\n%s", diff)
	}
}

func TestASourceOverTheSheetOverTheDefaults(t *testing.T) {
	s := parse(t, `
company: Demo
fallback_item: LINE
accounts: {tax: VAT - D, clearing: {stripe: {EUR: Stripe EUR - D, USD: Stripe USD - D}, shopify_payments: Shop - D}, bank: Bank - D}
taxes: [{title: "VAT*", rate: 0.19, account: VAT 19 - D}]
orders: {submit: false, skip_tags: [wholesale], rounding_limit: 0.05}
payments: {wait_for_order: 45m}
gateways: {cash: {owner: shop, account: Cash - D}}
fields: {sales_order: {custom_channel: order.channel}}
sources:
  acme:
    provider: shopify
    secrets_env: ACME_SECRETS
    company: Acme
    accounts: {clearing: {stripe: Acme Stripe - A}}
    taxes: []
    items: {fallback: ACME-LINE}
    orders: {submit: true, rounding_limit: 0}
    payments: {wait_for_order: 0s}
    gateways: {cash: {mode_of_payment: Cash}}
    fields: {sales_order: {custom_shop: '"acme"'}}
`)
	all, acme := s.For("stripe"), s.For("acme")
	checks := map[string][2]any{
		"company": {all.Company + "/" + acme.Company, "Demo/Acme"}, "inherited": {acme.Accounts.Tax, "VAT - D"}, "unknown source": {s.For("none").Company, "Demo"},
		"fallback":             {all.FallbackItem + all.Items.Fallback + acme.FallbackItem + acme.Items.Fallback, "LINELINEACME-LINEACME-LINE"},
		"clearing by currency": {all.Accounts.Clearing["stripe"].In("EUR") + all.Accounts.Clearing["stripe"].In("GBP"), "Stripe EUR - D"},
		"clearing replaced":    {acme.Accounts.Clearing["stripe"].In("EUR"), "Acme Stripe - A"}, "clearing kept": {acme.Accounts.Clearing["shopify"].In("EUR"), "Shop - D"},
		"bank": {acme.Accounts.Bank.In("EUR"), "Bank - D"}, "taxes": {len(all.Taxes), 1}, "taxes taken back": {len(acme.Taxes), 0},
		"submit": {*all.Orders.Submit, false}, "submit again": {*acme.Orders.Submit, true}, "zero is said": {acme.Orders.RoundingLimit.String(), "0"},
		"wait": {all.Payments.Wait(), 45 * time.Minute}, "no wait": {acme.Payments.Wait(), time.Duration(0)},
		"gateway": {acme.Gateways["cash"].Account.In("EUR") + acme.Gateways["cash"].ModeOfPayment + string(acme.Gateways["cash"].Owner), "Cash - DCashshop"},
		"fields":  {len(acme.Fields.SalesOrder), 2}, "fields of all": {len(all.Fields.SalesOrder), 1}, "list kept": {acme.Orders.SkipTags[0], "wholesale"},
		"rate": {all.Taxes[0].Rate.Equal(decimal.RequireFromString("0.19")), true},
	}
	for name, c := range checks {
		if c[0] != c[1] {
			t.Errorf("%s: %v, want %v", name, c[0], c[1])
		}
	}
	acme.Gateways["cash"] = config.Gateway{}
	acme.Orders.SkipTags[0] = "changed"
	*acme.Orders.Submit = false
	if again := s.For("acme"); again.Gateways["cash"].Owner != config.OwnerShop || again.Orders.SkipTags[0] != "wholesale" || !*again.Orders.Submit {
		t.Error("what For gives is shared with the sheet")
	}
}

// A rate is what the digits say, whatever a binary fraction would make of them.
func TestDecimalsAreReadFromTheirText(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringMatching(`0\.[0-9]{1,12}`).Draw(r, "rate")
		s, err := config.ParseSheet("sheet.yaml", []byte("taxes: [{rate: "+text+", account: X}]\n"))
		if err != nil {
			r.Fatal(err)
		}
		if got := s.Taxes[0].Rate; !got.Equal(decimal.RequireFromString(text)) {
			r.Fatalf("%s became %s", text, got)
		}
	})
}

// layer draws a few settings as YAML flow, of keys that stand in any layer.
func layer(t *rapid.T, name string) map[string]any {
	word := rapid.SampledFrom([]string{"A", "B", "C"})
	all := map[string]func() any{
		"company": func() any { return word.Draw(t, "company") },
		"accounts": func() any {
			clearing := map[string]any{}
			for _, provider := range []string{"stripe", "paypal", "shopify"} {
				if rapid.Bool().Draw(t, provider) {
					clearing[provider] = rapid.SampledFrom([]any{"X", map[string]any{"EUR": "E"}, map[string]any{"USD": "U"}}).Draw(t, "clearing")
				}
			}
			return map[string]any{"clearing": clearing, "tax": word.Draw(t, "tax")}
		},
		"orders": func() any {
			return map[string]any{"submit": rapid.Bool().Draw(t, "submit"), "skip_tags": rapid.SliceOfN(word, 0, 2).Draw(t, "tags"), "locations": map[string]any{word.Draw(t, "place"): word.Draw(t, "warehouse")}}
		},
		"gateways": func() any {
			return map[string]any{word.Draw(t, "gateway"): rapid.SampledFrom([]any{map[string]any{"owner": "shop"}, map[string]any{"account": "G"}, map[string]any{"fee_account": "F"}}).Draw(t, "entry")}
		},
		"taxes":    func() any { return []any{map[string]any{"account": word.Draw(t, "account")}} },
		"payments": func() any { return map[string]any{"fee_wait": rapid.SampledFrom([]string{"0s", "1m"}).Draw(t, "wait")} },
		"fields":   func() any { return map[string]any{"customer": map[string]any{"custom_x": word.Draw(t, "expression")}} },
	}
	said := map[string]any{}
	for _, key := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"company", "accounts", "orders", "gateways", "taxes", "payments", "fields"}), rapid.ID).Draw(t, name) {
		said[key] = all[key]()
	}
	return said
}

func read(t *rapid.T, sheet map[string]any) config.Sheet {
	raw, err := json.Marshal(sheet) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	s, err := config.ParseSheet("sheet.yaml", raw)
	if err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return s
}

// texts is what is effective, without the places of expressions.
func texts(s config.Settings) []config.Setting { return s.List() }

func TestLayersAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		below, above := layer(t, "below"), layer(t, "above")
		source := map[string]any{"provider": "shopify", "secrets_env": "X"}
		for key, value := range above {
			source[key] = value
		}
		withSource := map[string]any{"sources": map[string]any{"acme": source}}
		if got, want := texts(read(t, withSource).For("acme")), texts(read(t, above).For("")); !cmp.Equal(got, want) {
			t.Fatalf("a source alone is not what its own sheet says: %s", cmp.Diff(want, got))
		}
		for key, value := range below {
			withSource[key] = value
		}
		// (defaults, below), above = defaults, (below, above): what is effective
		// below, given as a sheet of its own, changes nothing.
		whole := read(t, withSource)
		effective := config.Sheet{Settings: whole.For(""), Sources: whole.Sources}
		if got, want := texts(effective.For("acme")), texts(whole.For("acme")); !cmp.Equal(got, want) {
			t.Fatalf("not associative on the left: %s", cmp.Diff(want, got))
		}
		acme := whole.Sources["acme"]
		acme.Settings = whole.For("acme")
		once := config.Sheet{Settings: whole.Settings, Sources: map[string]config.Source{"acme": acme}}
		if got, want := texts(once.For("acme")), texts(whole.For("acme")); !cmp.Equal(got, want) {
			t.Fatalf("laid twice it differs: %s", cmp.Diff(want, got))
		}
		if got, want := texts(whole.For("")), texts(read(t, below).For("")); !cmp.Equal(got, want) {
			t.Fatalf("a source changed what holds for the others: %s", cmp.Diff(want, got))
		}
	})
}

func TestExpressionsKnowTheirPlace(t *testing.T) {
	s := parse(t, `fields:
  sales_order:
    custom_a: order.name
    custom_b: "order.id"
    custom_c: |
      order.name +
        order.id
    custom_d: >
      order.name
    custom_e: 7
`)
	for name, want := range map[string][2]config.Position{
		"custom_a": {{3, 15}, {3, 21}}, "custom_b": {{4, 16}, {4, 22}}, "custom_c": {{6, 7}, {6, 13}}, "custom_d": {{8, 15}, {8, 21}}, "custom_e": {{10, 15}, {10, 21}},
	} {
		e := s.Fields.SalesOrder[name]
		if got := e.Place(1, 1); got != want[0] {
			t.Errorf("%s begins at %v, want %v", name, got, want[0])
		}
		if got := e.Place(1, 7); got != want[1] {
			t.Errorf("%s column 7 is at %v, want %v", name, got, want[1])
		}
	}
	if got := s.Fields.SalesOrder["custom_c"].Place(2, 3); got != (config.Position{7, 9}) {
		t.Errorf("the second line is at %v", got)
	}
	if got := s.Place(config.Position{6, 7}); got != "sheet.yaml:6" {
		t.Errorf("place %q", got)
	}
}

func TestAliasesCannotGrowWithoutEnd(t *testing.T) {
	var text strings.Builder
	text.WriteString("taxes: &a [" + strings.Repeat("{account: A, title: T},", 5000) + "]\nsources:\n")
	for i := range 30 {
		text.WriteString("  s" + strings.Repeat("x", i+1) + ": {provider: shopify, secrets_env: X, taxes: *a}\n")
	}
	_, err := config.ParseSheet("sheet.yaml", []byte(text.String()))
	if err == nil || !strings.Contains(err.Error(), "more than 100000 values") {
		t.Errorf("%.200v", err)
	}
}

// A file of a hundred thousand mistakes is answered with a hundred, at once.
func TestProblemsAreBounded(t *testing.T) {
	var text strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&text, "key%d: x\n", i)
	}
	_, err := config.ParseSheet("sheet.yaml", []byte(text.String()))
	if n := len(config.ListProblems(err)); n != 100 {
		t.Errorf("%d problems", n)
	}
}

func TestALargeFileIsNoSheet(t *testing.T) {
	raw := []byte("# " + strings.Repeat("x", 1<<20))
	if _, err := config.ParseSheet("sheet.yaml", raw); err == nil || !strings.Contains(err.Error(), "not a mapping sheet") {
		t.Errorf("%v", err)
	}
	file := filepath.Join(t.TempDir(), "sheet.yaml")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadSheet(file); err == nil || !strings.Contains(err.Error(), "not a mapping sheet") {
		t.Errorf("%v", err)
	}
}

// What may be a secret is in no message, wherever it stands in the file.
func TestNoSecretIsPrinted(t *testing.T) {
	const canary = "d1f0aa17c0de4b5e9f3ad1f0aa17c0de4b5e"
	for _, text := range []string{
		"a: 1\rb: 1\u2028token: " + canary,
		"sources: {acme: {provider: stripe, secrets: " + canary + "}}", "api_key: " + canary, "compnay: X\nsources:\n  acme: {whsec: x, token: " + canary + ", nonsense: 1}",
		"company: whsec_" + canary, "orders: {when: sk_live_" + canary + "}", "password: [" + canary, "passwort: {'secret': '" + canary + "'", canary + ": 1",
		"sources: {acme: {provider: shopify, secrets_env: " + canary + "-}}", "sources: {acme: {secrets_file: [\"" + canary + "\", x: ]}}",
	} {
		_, err := config.ParseSheet("sheet.yaml", []byte(text))
		if err == nil {
			t.Errorf("%s was taken", text)
			continue
		}
		if strings.Contains(err.Error(), canary[:8]) {
			t.Errorf("printed:\n%v", err)
		}
		for _, problem := range config.ListProblems(err) {
			if raw, _ := json.Marshal(problem); strings.Contains(string(raw), canary[:8]) {
				t.Errorf("in JSON: %s", raw)
			}
		}
	}
}

func TestSourcesOfTheSheet(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "acme-secret")
	if err := os.WriteFile(file, []byte("file-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sheet := filepath.Join(dir, "sheet.yaml")
	text := `
sources:
  shopify: {company: Main}
  stripe: {livemode: true, account: acct_1}
  acme: {provider: shopify, secrets_file: ` + file + `, merchant: acme.example}
  eu-pay: {provider: paypal, webhook_id: 8AB, client_id: id, client_secret_env: EU_PAYPAL}
  eu-cards: {provider: stripe, secrets_env: EU_STRIPE, api_key_env: EU_STRIPE_KEY, livemode: false}
`
	if err := os.WriteFile(sheet, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	setenv(t, with(good(), "SHEET", sheet, "STRIPE_SECRETS", "whsec_1", "ALLOWED_SENDERS", "acme=10.0.0.0/8"))
	t.Setenv("EU_PAYPAL", "paypal-secret")
	t.Setenv("EU_STRIPE", "one, two")
	t.Setenv("EU_STRIPE_KEY", "key")
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	no, yes := false, true
	want := []config.Sender{
		{Name: "shopify", Provider: config.ProviderShopify, Secrets: []config.Secret{"new", "old"}},
		{Name: "stripe", Provider: config.ProviderStripe, Secrets: []config.Secret{"whsec_1"}, Livemode: &yes, Account: "acct_1"},
		{Name: "acme", Provider: config.ProviderShopify, FromSheet: true, Secrets: []config.Secret{"file-secret"}, Merchant: "acme.example"},
		{Name: "eu-cards", Provider: config.ProviderStripe, FromSheet: true, Secrets: []config.Secret{"one", "two"}, APIKey: "key", Livemode: &no},
		{Name: "eu-pay", Provider: config.ProviderPayPal, FromSheet: true, WebhookID: "8AB", ClientID: "id", ClientSecret: "paypal-secret", Mode: "live"},
	}
	if !cmp.Equal(want, cfg.Senders()) {
		t.Errorf("senders: %s", cmp.Diff(want, cfg.Senders()))
	}
}

func TestSourcesOfTheSheetThatCannotBe(t *testing.T) {
	for _, tt := range []struct{ name, sheet, want string }{
		{"variable not set", "sources: {acme: {provider: shopify, secrets_env: NO_SUCH_VARIABLE}}", "secrets_env: the environment variable is not set"},
		{"stray comma", "sources: {acme: {provider: shopify, secrets_env: STRAY}}", "an empty secret stands in the list"},
		{"a secret a line", "sources: {acme: {provider: shopify, secrets_file: sheet_test.go}}", "the file has several lines"},
		{"missing file", "sources: {acme: {provider: shopify, secrets_file: /nonexistent/x}}", "secrets_file[0]: open /nonexistent/x"},
		{"empty file", "sources: {acme: {provider: shopify, secrets_file: [/dev/null]}}", "the file is empty"},
		{"twice", "sources: {shopify: {secrets_env: STRAY}}", "the environment configures a source of this name already"},
		{"a gateway left to nobody", "gateways: {paypal: {owner: provider, provider: paypal}}", "left to paypal, of which no source is configured"},
		{"of nothing", "sources: {paypal: {company: X}}", "refines a source that the environment does not configure"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sheet := filepath.Join(t.TempDir(), "sheet.yaml")
			if err := os.WriteFile(sheet, []byte(tt.sheet), 0o600); err != nil {
				t.Fatal(err)
			}
			setenv(t, with(good(), "SHEET", sheet))
			t.Setenv("STRAY", "a,,b")
			_, err := config.Load()
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), sheet+":1:") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestListProblems(t *testing.T) {
	_, inSheet := config.ParseSheet("sheet.yaml", []byte("compnay: X\nordrs: Y\n"))
	got := config.ListProblems(errors.Join(errors.New("plain"), inSheet))
	if len(got) != 3 || got[0].Message != "plain" || got[1].Line != 1 || got[2].Hint != `did you mean "orders"?` {
		t.Errorf("%+v", got)
	}
}
