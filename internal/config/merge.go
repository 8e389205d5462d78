package config

import (
	"reflect"
	"strings"
)

// defaults is what holds where nobody says anything, from the default tags.
var defaults = tagged()

func tagged() Settings {
	var s Settings
	fillDefaults(reflect.ValueOf(&s).Elem())
	return s
}

// fillDefaults sets what the default tags of a struct say. A tag that cannot
// be read is a mistake in this package and stops the program at once.
func fillDefaults(v reflect.Value) {
	for i := range v.NumField() {
		field, tag := v.Field(i), v.Type().Field(i).Tag.Get("default")
		switch {
		case field.Kind() == reflect.Struct:
			fillDefaults(field)
		case tag == "":
		case field.Kind() == reflect.Slice:
			for word := range strings.SplitSeq(tag, ", ") {
				entry := reflect.New(field.Type().Elem()).Elem()
				mustSet(entry, word)
				field.Set(reflect.Append(field, entry))
			}
		case field.Kind() == reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
			mustSet(field.Elem(), tag)
		default:
			mustSet(field, tag)
		}
	}
}

func mustSet(v reflect.Value, text string) {
	if message, _ := setText(v, text); message != "" {
		panic("config: default " + text + ": " + message)
	}
}

// overlay lays one layer over another: what is said above holds. Nothing of
// the layer is shared with the result.
func overlay(below, above reflect.Value) {
	switch {
	case above.IsZero():
	case above.Type() == typeByCurrency, above.Kind() == reflect.Slice:
		below.Set(copied(above))
	case above.Kind() == reflect.Pointer:
		below.Set(reflect.New(above.Type().Elem()))
		below.Elem().Set(above.Elem())
	case above.Type() == typeExpression:
		below.Set(above)
	case above.Kind() == reflect.Struct:
		for i := range above.NumField() {
			overlay(below.Field(i), above.Field(i))
		}
	case above.Kind() == reflect.Map:
		overlayMap(below, above)
	default:
		below.Set(above)
	}
}

func overlayMap(below, above reflect.Value) {
	merged := reflect.MakeMap(above.Type())
	for _, layer := range []reflect.Value{below, above} {
		for key, value := range layer.Seq2() {
			entry := reflect.New(above.Type().Elem()).Elem()
			if old := merged.MapIndex(key); old.IsValid() {
				entry.Set(old)
			}
			overlay(entry, value)
			merged.SetMapIndex(key, entry)
		}
	}
	below.Set(merged)
}

// copied is a copy of a slice or map.
func copied(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Map {
		m := reflect.MakeMap(v.Type())
		for key, value := range v.Seq2() {
			m.SetMapIndex(key, value)
		}
		return m
	}
	list := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
	reflect.Copy(list, v)
	for i := range list.Len() {
		if list.Index(i).Kind() == reflect.Struct {
			list.Index(i).Set(reflect.Zero(list.Index(i).Type()))
			overlay(list.Index(i), v.Index(i))
		}
	}
	return list
}
