package app_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/formula"
)

func parseSheet(t *testing.T, text string) config.Sheet {
	t.Helper()
	sheet, err := config.ParseSheet("sheet.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return sheet
}

const badFields = `fields:
  sales_order:
    custom_a: order.nmae
    grand_total: order.total
    custom_b: |
      order.name +
        customer.emial
  payment_entry: {custom_c: "order.name"}
sources:
  acme:
    provider: shopify
    secrets_env: X
    fields: {customer: {custom_d: 1 +}}
`

func TestCheckFieldsShowsEveryPlaceOnce(t *testing.T) {
	err := app.CheckFields(parseSheet(t, badFields))
	if err == nil {
		t.Fatal("taken")
	}
	problems := config.ListProblems(err)
	for i, want := range []struct {
		line, column int
		message      string
	}{
		{3, 21, "fields.sales_order.custom_a: type Order has no field nmae"},
		{4, 18, "fields.sales_order.grand_total: grand_total is filled by ledgerhook itself"},
		{7, 18, "fields.sales_order.custom_b: type Customer has no field emial"},
		{8, 30, "fields.payment_entry.custom_c: unknown name order"},
		{13, 37, "fields.customer.custom_d: unexpected token EOF"},
	} {
		if i >= len(problems) {
			t.Fatalf("%d problems: %v", len(problems), err)
		}
		if p := problems[i]; p.Line != want.line || p.Column != want.column || p.Message != want.message {
			t.Errorf("%d:%d %q, want %d:%d %q", p.Line, p.Column, p.Message, want.line, want.column, want.message)
		}
	}
	if len(problems) != 5 {
		t.Errorf("%d problems: %v", len(problems), err)
	}
	if want := "    custom_a: order.nmae\n" + strings.Repeat(" ", 24) + "^"; !strings.Contains(err.Error(), want) {
		t.Errorf("no caret in\n%v", err)
	}
}

func TestCompileFieldsOfASource(t *testing.T) {
	sheet := parseSheet(t, `
fields: {sales_order: {custom_a: order.name}}
sources: {acme: {provider: shopify, secrets_env: X, fields: {sales_order: {custom_b: '"acme"'}}}}
`)
	for source, want := range map[string]map[string]any{
		"": {"custom_a": "#1"}, "other": {"custom_a": "#1"}, "acme": {"custom_a": "#1", "custom_b": "acme"},
	} {
		fields, err := app.CompileFields(sheet, source)
		if err != nil {
			t.Fatal(err)
		}
		got, err := fields.Values(formula.KindSalesOrder, formula.ForOrder(commerce.Order{Name: "#1"}))
		if err != nil || len(got) != len(want) || got["custom_a"] != want["custom_a"] || got["custom_b"] != want["custom_b"] {
			t.Errorf("%q: %v, %v, want %v", source, got, err, want)
		}
	}
}

// Every document that the sheet has fields of is one that formula knows, and
// the other way round.
func TestSheetAndFormulaKnowTheSameDocuments(t *testing.T) {
	var keys []string
	for _, document := range (config.Fields{}).Documents() {
		keys = append(keys, document.Key)
		field := formula.Field{Name: "custom_x", Text: "nil"}
		if _, err := formula.Compile(formula.Kind(document.Key), field); err != nil {
			t.Errorf("%s: %v", document.Key, err)
		}
	}
	if len(keys) != len(formula.Kinds()) {
		t.Errorf("%v, and formula knows %v", keys, formula.Kinds())
	}
}

// The documentation's sheet compiles, and every name that the documentation
// gives to expressions is one.
func TestTheDocumentedExpressionsCompile(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "mapping-sheet.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "```yaml\n")
	example, rest, _ := strings.Cut(rest, "```")
	if err := app.CheckFields(parseSheet(t, example)); err != nil {
		t.Error(err)
	}
	kinds := map[string]formula.Kind{
		"order": formula.KindSalesOrder, "line": formula.KindSalesOrderItem, "customer": formula.KindCustomer,
		"payment": formula.KindPaymentEntry, "fulfillment": formula.KindDeliveryNote,
	}
	for name, kind := range kinds {
		_, list, found := strings.Cut(rest, "- `"+name+"`: ")
		list, _, _ = strings.Cut(list, "\n- ")
		for field := range strings.SplitSeq(strings.ReplaceAll(list, "\n", " "), ",") {
			text := name + "." + strings.TrimSpace(field) + " == nil"
			if _, err := formula.Compile(kind, formula.Field{Name: "custom_x", Text: text}); !found || err != nil && !strings.Contains(err.Error(), "mismatched types") {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

func TestAServiceDoesNotStartWithABadExpression(t *testing.T) {
	_, err := app.New(t.Context(), config.Config{Sheet: parseSheet(t, badFields)}, app.Options{})
	if err == nil || !strings.Contains(err.Error(), "sheet.yaml:3:21") {
		t.Errorf("%v", err)
	}
}

func TestCheckPrintsWhatIsEffective(t *testing.T) {
	cfg := config.Config{
		Sheet:   parseSheet(t, "company: Demo\norders: {submit: false}\nsources: {stripe: {company: Other}}\n"),
		Shopify: config.Shopify{Secrets: []config.Secret{"canary"}}, Stripe: config.Stripe{Secrets: []config.Secret{"canary", "canary"}},
	}
	var text, asJSON bytes.Buffer
	if err := app.Check(cfg, nil, &text, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"configuration is good: shopify (1 secret), stripe (2 secrets)\n", "\nstripe (stripe, from the environment)\n", "company ", "Other\n", "orders.submit ", "false\n",
		"payments.wait_for_order ", "30m0s\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if err := app.Check(cfg, nil, &asJSON, true); err != nil {
		t.Fatal(err)
	}
	var report struct {
		Good    bool
		Sources []struct {
			Name     string
			Settings map[string]string
		}
	}
	if err := json.Unmarshal(asJSON.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	if !report.Good || len(report.Sources) != 2 || report.Sources[0].Settings["company"] != "Demo" || report.Sources[1].Settings["company"] != "Other" {
		t.Errorf("%s", asJSON.String())
	}
	if strings.Contains(text.String()+asJSON.String(), "canary") {
		t.Error("a secret is printed")
	}
}

func TestCheckShowsTheProblemsOfSheetEnvironmentAndExpressions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sheet.yaml")
	if err := os.WriteFile(file, []byte("compnay: X\nfields: {customer: {custom_a: custmer.email}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LEDGERHOOK_SHEET", file)
	t.Setenv("LEDGERHOOK_MAX_BODY", "much")
	cfg, loaded := config.Load()
	var out bytes.Buffer
	err := app.Check(cfg, loaded, &out, true)
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"LEDGERHOOK_MAX_BODY: not a size", file + ":1:1: unknown key", file + ":2:31: fields.customer.custom_a: unknown name custmer"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	var report struct {
		Good     bool
		Problems []config.Problem
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || report.Good || len(report.Problems) < 3 {
		t.Errorf("%v: %s", err, out.String())
	}
}
