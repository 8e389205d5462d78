package app

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func fields(t *testing.T, text string) map[string]any {
	t.Helper()
	f, err := fieldsOf(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDifferences(t *testing.T) {
	tests := []struct {
		name, is, want string
		diff           []Difference
	}{
		{"the same, written otherwise", `{"a":"x","rate":12.30,"on":1,"none":null,"more":"ERPNext's own"}`, `{"a":"x","rate":12.3,"on":true,"none":"","off":0}`, nil},
		{"a field that ERPNext does not keep", `{"ignore_pricing_rule":0}`, `{"ignore_pricing_rule":1}`, nil},
		{"a text", `{"a":"x"}`, `{"a":"y"}`, []Difference{{"a", "x", "y"}}},
		{"an amount by a cent", `{"grand_total":10.00}`, `{"grand_total":10.01}`, []Difference{{"grand_total", json.Number("10.00"), json.Number("10.01")}}},
		{"an amount beyond the sixth decimal", `{"rate":10.0000001}`, `{"rate":10}`, nil},
		{"a field that is not there", `{}`, `{"po_no":"#1"}`, []Difference{{"po_no", nil, "#1"}}},
		{"a field that should be empty", `{"tax":"x"}`, `{"tax":""}`, []Difference{{"tax", "x", ""}}},
		{"a number for a text", `{"a":"1"}`, `{"a":1}`, nil},
		{"rows by their place", `{"items":[{"qty":1,"rate":2},{"qty":1,"rate":2}]}`, `{"items":[{"qty":1,"rate":2},{"qty":3,"rate":2}]}`,
			[]Difference{{"items[2].qty", json.Number("1"), json.Number("3")}}},
		{"a row that is missing", `{"items":[]}`, `{"items":[{"qty":1}]}`, []Difference{{"items[1]", nil, map[string]any{"qty": json.Number("1")}}}},
		{"a table that is missing", `{}`, `{"items":[{"qty":1}]}`, []Difference{{"items[1]", nil, map[string]any{"qty": json.Number("1")}}}},
		{"a row too many", `{"items":[{"item_code":"A","qty":1,"idx":1,"rate":0}]}`, `{"items":[]}`,
			[]Difference{{"items[1]", map[string]any{"item_code": "A", "qty": json.Number("1")}, nil}}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.diff, differences(fields(t, tt.is), fields(t, tt.want))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
