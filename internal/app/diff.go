package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"
)

// Difference is one field of a document that is not as it is wanted. nil is
// absent.
type Difference struct {
	Field string `json:"field"` // "items[2].rate"; rows count from 1, as ERPNext's do
	Is    any    `json:"is"`
	Want  any    `json:"want"`
}

// fieldsOf reads a document's fields, numbers as they are written.
func fieldsOf(doc any) (map[string]any, error) {
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var fields map[string]any
	return fields, decoder.Decode(&fields)
}

// notKept are fields that ERPNext drops from users below a permission level,
// so that what is stored says nothing of what was sent.
var notKept = []string{"ignore_pricing_rule"}

// differences compares what is wanted with what is, by the fields that are
// wanted: ERPNext adds hundreds of its own. Rows are compared by their place,
// and those beyond the wanted ones are named too.
func differences(is, want map[string]any) []Difference {
	return compareFields("", is, want)
}

func compareFields(under string, is, want map[string]any) []Difference {
	var all []Difference
	for _, name := range slices.Sorted(maps.Keys(want)) {
		field := under + name
		rows, isTable := want[name].([]any)
		switch {
		case slices.Contains(notKept, name):
		case isTable:
			stored, _ := is[name].([]any)
			all = append(all, compareRows(field, stored, rows)...)
		case !sameValue(is[name], want[name]):
			all = append(all, Difference{Field: field, Is: is[name], Want: want[name]})
		}
	}
	return all
}

func compareRows(table string, is, want []any) []Difference {
	var all []Difference
	for i := range max(len(is), len(want)) {
		row := fmt.Sprintf("%s[%d]", table, i+1)
		switch {
		case i >= len(is):
			all = append(all, Difference{Field: row, Want: want[i]})
		case i >= len(want):
			all = append(all, Difference{Field: row, Is: rowName(is[i])})
		default:
			stored, _ := is[i].(map[string]any)
			wanted, _ := want[i].(map[string]any)
			all = append(all, compareFields(row+".", stored, wanted)...)
		}
	}
	return all
}

// rowName is what tells a row that is too much; the whole row would be a page.
func rowName(row any) any {
	fields, _ := row.(map[string]any)
	short := map[string]any{}
	for _, name := range []string{"item_code", "item_name", "account_head", "description", "reference_name", "qty", "rate", "tax_amount", "allocated_amount"} {
		if v, there := fields[name]; there && !blank(v) {
			short[name] = v
		}
	}
	return short
}

// sameValue compares as ERPNext does: absent, null, "" and 0 are one, numbers
// are equal by value to the sixth decimal, and a yes is a 1.
func sameValue(a, b any) bool {
	if blank(a) || blank(b) {
		return blank(a) && blank(b)
	}
	x, isNumber := numberOf(a)
	y, both := numberOf(b)
	if isNumber && both {
		return x.Round(6).Equal(y.Round(6))
	}
	return fmt.Sprint(a) == fmt.Sprint(b)
}

func blank(v any) bool {
	if n, ok := numberOf(v); ok {
		return n.IsZero()
	}
	return v == nil || v == ""
}

func numberOf(v any) (decimal.Decimal, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return decimal.NewFromInt(1), true
		}
		return decimal.Zero, true
	case json.Number:
		n, err := decimal.NewFromString(v.String())
		return n, err == nil
	default:
		return decimal.Zero, false
	}
}
