package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// Setting is one effective value, as text.
type Setting struct{ Path, Value string }

// List gives every setting that has a value, in the order of the sheet.
func (s Settings) List() []Setting {
	var list []Setting
	flatten(reflect.ValueOf(s), "", func(path, value string) { list = append(list, Setting{path, value}) })
	return list
}

func flatten(v reflect.Value, path string, add func(path, value string)) {
	switch {
	case v.IsZero():
	case v.Kind() == reflect.Pointer: // false and 0 are values there
		add(path, plain(v.Elem()))
	case v.Type() == typeExpression, v.Type() == typeDecimal, v.Type() == typeDuration:
		add(path, plain(v))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if key := v.Type().Field(i).Tag.Get("yaml"); key != "" {
				flatten(v.Field(i), join(path, key), add)
			}
		}
	case v.Kind() == reflect.Map:
		flattenMap(v, path, add)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			flatten(v.Index(i), element(path, i), add)
		}
	default:
		add(path, plain(v))
	}
}

func flattenMap(v reflect.Value, path string, add func(path, value string)) {
	keys := map[string]reflect.Value{}
	for key, value := range v.Seq2() {
		keys[key.String()] = value
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		at := join(path, key)
		if key == "" { // of every currency
			at = path
		}
		flatten(keys[key], at, add)
	}
}

func plain(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case Expression:
		return value.Text
	case decimal.Decimal:
		return value.String()
	case time.Duration:
		return value.String()
	default:
		return fmt.Sprint(value)
	}
}

// ListProblems gives what an error of Load or ParseSheet is made of, one by
// one. What stands in no sheet has a Message alone.
func ListProblems(err error) []Problem {
	if err == nil {
		return nil
	}
	switch e := err.(type) {
	case Problem:
		return []Problem{e}
	case Problems:
		return e
	case interface{ Unwrap() []error }:
		var list []Problem
		for _, part := range e.Unwrap() {
			list = append(list, ListProblems(part)...)
		}
		return list
	default:
		return []Problem{{Message: err.Error()}}
	}
}
