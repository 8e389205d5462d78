package config_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"go.yaml.in/yaml/v4"
)

const (
	schemaFile    = "../../docs/" + config.SchemaFile
	referenceFile = "../../docs/mapping-sheet.md"
	tableBegins   = "-update`. -->\n\n"
)

func TestSchemaIsCurrent(t *testing.T) {
	if *update {
		if err := os.WriteFile(schemaFile, config.Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil || string(got) != string(config.Schema()) {
		t.Errorf("docs/%s is not what the types say (go test ./internal/config -run TestSchema -update): %v", config.SchemaFile, err)
	}
}

func TestReferenceIsCurrent(t *testing.T) {
	raw, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	text, table, found := strings.Cut(string(raw), tableBegins)
	if !found {
		t.Fatal("no place for the table")
	}
	if *update {
		if err := os.WriteFile(referenceFile, []byte(text+tableBegins+config.ReferenceTable()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != config.ReferenceTable() {
		t.Error("the table in docs/mapping-sheet.md is not what the types say: go test ./internal/config -run TestReference -update")
	}
}

// example is the sheet in the documentation.
func example(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("no example")
	}
	return text
}

func TestTheExampleIsGood(t *testing.T) {
	s := parse(t, example(t))
	if acme := s.For("acme"); acme.Company != "Acme" || acme.Orders.When != config.WhenPaid {
		t.Errorf("%+v", acme)
	}
	if wrong := structure(t, example(t)); wrong != nil {
		t.Errorf("the schema refuses the example: %v", wrong)
	}
}

// What the schema takes and what ParseSheet takes may differ only where rules
// go beyond structure.
func TestTheSchemaSeesStructure(t *testing.T) {
	for _, tt := range []struct{ sheet, where string }{
		{"compnay: X", "compnay"}, {"accounts: {txa: X}", "accounts.txa"}, {"orders: {when: payed}", "orders.when"}, {"taxes: X", "taxes"},
		{"taxes: [{rat: 1}]", "taxes[0].rat"}, {"payments: {wait_for_order: soon}", "payments.wait_for_order"}, {"accounts: {bank: {eur: X}}", "accounts.bank.eur"},
		{"sources: {acme: {provider: shopfy}}", "sources.acme.provider"}, {"sources: {acme: {orders: {submit: 1}}}", "sources.acme.orders.submit"},
		{"items: {match: [ean]}", "items.match"}, {"fields: {customer: {a: [x]}}", "fields.customer.a"}, {"orders: {rounding_limit: 1e3x}", "orders.rounding_limit"},
	} {
		if wrong := structure(t, tt.sheet); !slices.Equal(wrong, []string{tt.where}) {
			t.Errorf("%s: the schema refuses %v, want %s", tt.sheet, wrong, tt.where)
		}
		if _, err := config.ParseSheet("sheet.yaml", []byte(tt.sheet)); err == nil {
			t.Errorf("%s is taken", tt.sheet)
		}
	}
	for _, sheet := range []string{
		"", "company:", "company: 00123", "items: {match: sku}", "orders: {delivery_notes: on, submit: false}", "accounts: {bank: {EUR: X}}", "taxes: [{rate: 0.19, account: X}]",
	} {
		if wrong := structure(t, sheet); wrong != nil {
			t.Errorf("%q: the schema refuses %v", sheet, wrong)
		}
		parse(t, sheet)
	}
}

// structure gives the places of a sheet that the schema refuses.
func structure(t *testing.T, sheet string) []string {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(sheet), &value); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(config.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(raw, &plain); err != nil {
		t.Fatal(err)
	}
	return refused(schema, plain, "")
}

// refused is as much of JSON Schema as the schema uses.
func refused(schema map[string]any, value any, path string) []string {
	if choices, ok := schema["anyOf"].([]any); ok {
		for _, choice := range choices {
			if refused(choice.(map[string]any), value, path) == nil {
				return nil
			}
		}
		return []string{path}
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, value) {
		return []string{path}
	}
	if types, ok := schema["type"].([]any); ok && !slices.Contains(types, any(typeOf(value))) {
		return []string{path}
	}
	switch v := value.(type) {
	case string:
		if pattern, ok := schema["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
			return []string{path}
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, element := range v {
			if wrong := refused(items, element, path+"["+string(rune('0'+i))+"]"); wrong != nil {
				return wrong
			}
		}
	case map[string]any:
		return refusedKeys(schema, v, path)
	}
	return nil
}

func refusedKeys(schema, value map[string]any, path string) []string {
	properties, _ := schema["properties"].(map[string]any)
	names, _ := schema["propertyNames"].(map[string]any)
	var wrong []string
	for key, v := range value {
		at := strings.TrimPrefix(path+"."+key, ".")
		property, known := properties[key].(map[string]any)
		if other, ok := schema["additionalProperties"].(map[string]any); ok && !known {
			property, known = other, true
		}
		switch {
		case !known, names != nil && refused(names, key, at) != nil:
			wrong = append(wrong, at)
		default:
			wrong = append(wrong, refused(property, v, at)...)
		}
	}
	return wrong
}

func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case []any:
		return "array"
	default:
		return "object"
	}
}
