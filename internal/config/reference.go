package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// ReferenceTable is every key of the mapping sheet as a table in Markdown, for
// docs/mapping-sheet.md.
func ReferenceTable() string {
	var out strings.Builder
	out.WriteString("| key | value | default | meaning |\n| --- | --- | --- | --- |\n")
	inSource := keysOf(reflect.TypeFor[Settings]())
	for _, r := range references(reflect.TypeFor[Sheet](), "") {
		if key, ok := strings.CutPrefix(r.Path, "sources.NAME."); ok {
			top, _, _ := strings.Cut(strings.ReplaceAll(key, "[", "."), ".")
			if slices.Contains(inSource, top) {
				continue // stands above already
			}
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", r.Path, value(r), code(r.Default), r.Desc)
	}
	return out.String()
}

func value(r reference) string {
	if len(r.Allowed) == 0 {
		return r.Type
	}
	words := make([]string, len(r.Allowed))
	for i, word := range r.Allowed {
		words[i] = code(word)
	}
	text := strings.Join(words, ", ")
	if strings.HasPrefix(r.Type, "list of ") {
		text = "list of " + text
	}
	return text
}

func code(text string) string {
	if text == "" {
		return "–"
	}
	return "`" + text + "`"
}

// reference is one key of the sheet, for its documentation.
type reference struct {
	Path    string // "orders.when"; NAME stands for a key that the sheet's author chooses
	Type    string
	Allowed []string
	Default string
	Desc    string
}

// references lists the keys of a struct, depth first.
func references(t reflect.Type, path string) []reference {
	var list []reference
	for f := range t.Fields() {
		key := f.Tag.Get("yaml")
		if key == "" {
			continue
		}
		if key == ",inline" {
			list = append(list, references(f.Type, path)...)
			continue
		}
		at := join(path, key)
		list = append(list, reference{
			Path: at, Type: typeName(f.Type), Allowed: allowedValues(f.Type), Default: f.Tag.Get("default"), Desc: f.Tag.Get("desc"),
		})
		if inner, suffix := inside(f.Type); inner != nil {
			list = append(list, references(inner, at+suffix)...)
		}
	}
	return list
}

// inside is the struct that a type holds, and how its place is written.
func inside(t reflect.Type) (reflect.Type, string) {
	suffix := ""
	switch t.Kind() {
	case reflect.Slice:
		t, suffix = t.Elem(), "[]"
	case reflect.Map:
		t, suffix = t.Elem(), ".NAME"
	}
	if t.Kind() != reflect.Struct || t == typeExpression || t == typeDecimal {
		return nil, ""
	}
	return t, suffix
}

func allowedValues(t reflect.Type) []string {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if e, ok := reflect.Zero(t).Interface().(enumeration); ok {
		return slices.Clone(e.values())
	}
	return nil
}

func typeName(t reflect.Type) string {
	switch {
	case t == typeByCurrency:
		return "name, or map of currency to name"
	case t == typeExpression:
		return "expression"
	case t == typeDecimal:
		return "number"
	case t == typeDuration:
		return "duration"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "map of name to " + typeName(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Struct:
		return "mapping"
	default:
		return "text"
	}
}
