package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// SchemaFile is what the JSON Schema of the mapping sheet is called.
const SchemaFile = "ledgerhook.schema.json"

// Schema is a JSON Schema (draft 2020-12) of the mapping sheet, for editors. It
// knows keys, types and choices; what ParseSheet finds beyond that it does not.
func Schema() []byte {
	schema := object(reflect.TypeFor[Sheet]())
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "Mapping sheet of ledgerhook"
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(schema); err != nil {
		panic(err) // maps, lists and texts alone
	}
	return out.Bytes()
}

type node = map[string]any

func object(t reflect.Type) node {
	properties := node{}
	addProperties(t, properties)
	return node{"type": nullable("object"), "additionalProperties": false, "properties": properties}
}

func addProperties(t reflect.Type, properties node) {
	for f := range t.Fields() {
		switch key := f.Tag.Get("yaml"); key {
		case "":
		case ",inline":
			addProperties(f.Type, properties)
		default:
			property := schemaOf(f.Type)
			property["description"] = f.Tag.Get("desc")
			if text := f.Tag.Get("default"); text != "" {
				property["default"] = schemaDefault(f.Type, text)
			}
			properties[key] = property
		}
	}
}

// nullable takes a key without a value too: it says nothing.
func nullable(types ...string) []string { return append(types, "null") }

func schemaOf(t reflect.Type) node {
	switch {
	case t.Kind() == reflect.Pointer:
		return schemaOf(t.Elem())
	case t == typeByCurrency:
		return node{"type": nullable("string", "object"), "propertyNames": node{"pattern": currencyCode.String()}, "additionalProperties": node{"type": "string"}}
	case t == typeDecimal:
		return node{"type": nullable("number", "string"), "pattern": plainDecimal.String()}
	case t == typeDuration:
		return node{"type": nullable("string"), "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`}
	case t == typeExpression:
		return node{"type": nullable("string", "number", "boolean")}
	}
	switch t.Kind() {
	case reflect.Struct:
		return object(t)
	case reflect.Map:
		return node{"type": nullable("object"), "additionalProperties": schemaOf(t.Elem())}
	case reflect.Slice:
		return list(t.Elem())
	case reflect.Bool:
		return node{"type": nullable("boolean")}
	default:
		return word(t)
	}
}

// word is a text; of a number the digits count, and on and off are read as true
// and false by editors that know only YAML 1.1.
func word(t reflect.Type) node {
	choices := allowedValues(t)
	if choices == nil {
		return node{"type": nullable("string", "number", "boolean")}
	}
	values := []any{nil}
	for _, choice := range choices {
		values = append(values, choice)
	}
	if t == reflect.TypeFor[Switch]() {
		values = append(values, false, true)
	}
	return node{"enum": values}
}

func list(element reflect.Type) node {
	array := node{"type": nullable("array"), "items": schemaOf(element)}
	if element.Kind() != reflect.String {
		return array
	}
	return node{"anyOf": []node{array, word(element)}} // one value stands for a list of it
}

func schemaDefault(t reflect.Type, text string) any {
	switch {
	case t.Kind() == reflect.Slice:
		return strings.Split(text, ", ")
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Bool:
		return text == "true"
	default:
		return text
	}
}
