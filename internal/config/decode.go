package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"go.yaml.in/yaml/v4"
)

// maxValues bounds how many values a sheet has after its aliases are followed:
// a small file can stand for a huge one.
const maxValues = 100_000

// decoder fills Go values from YAML nodes by the yaml tags of their types. It
// goes on after a problem, so that all are found.
type decoder struct {
	text     *text
	problems Problems
	places   map[string]Position // of keys and values, by their path
	budget   int
}

// enumeration is a text that takes one of a few values.
type enumeration interface{ values() []string }

var (
	typeDecimal    = reflect.TypeFor[decimal.Decimal]()
	typeDuration   = reflect.TypeFor[time.Duration]()
	typeByCurrency = reflect.TypeFor[ByCurrency]()
	typeExpression = reflect.TypeFor[Expression]()
)

func place(n *yaml.Node) Position { return Position{n.Line, n.Column} }

// maxProblems bounds what is reported: a file with more is not read by a person
// any more.
const maxProblems = 100

func (d *decoder) full() bool { return len(d.problems) >= maxProblems }

func (d *decoder) fail(at Position, hint, format string, args ...any) {
	if d.full() {
		return
	}
	d.problems = append(d.problems, d.text.problem(at, fmt.Sprintf(format, args...), hint))
}

// value reads one node into v. What is null says nothing.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if d.budget--; d.budget < 0 {
		if d.budget == -1 {
			d.fail(place(n), "", "more than %d values: not a mapping sheet", maxValues)
		}
		return
	}
	for hops := 0; n.Kind == yaml.AliasNode && hops < 8; hops++ {
		n = n.Alias
	}
	d.places[path] = place(n)
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return
	}
	switch {
	case v.Type() == typeByCurrency:
		d.byCurrency(n, v, path)
	case v.Type() == typeExpression:
		d.expression(n, v, path)
	case v.Kind() == reflect.Pointer:
		target := reflect.New(v.Type().Elem())
		if d.scalar(n, target.Elem(), path) {
			v.Set(target)
		}
	case v.Kind() == reflect.Struct:
		d.mapping(n, path, func(key, value *yaml.Node) { d.field(key, value, v, path) })
	case v.Kind() == reflect.Map:
		d.entries(n, v, path)
	case v.Kind() == reflect.Slice:
		d.list(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

// expect reports a node of another kind than the one wanted.
func (d *decoder) expect(n *yaml.Node, kind yaml.Kind, path, want string) bool {
	if n.Kind == kind {
		return true
	}
	d.fail(place(n), "", "%s is %s here, but must be %s", named(path), kindName(n), want)
	return false
}

func named(path string) string {
	if path == "" {
		return "the sheet"
	}
	return path
}

// mapping calls each for the keys of a mapping that are good and not repeated.
func (d *decoder) mapping(n *yaml.Node, path string, each func(key, value *yaml.Node)) {
	if !d.expect(n, yaml.MappingNode, path, "a mapping of keys to values") {
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content) && !d.full(); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		first, repeated := seen[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || key.Value == "":
			d.fail(place(key), "", "a key must be a plain text")
		case key.ShortTag() == "!!merge":
			d.fail(place(key), "write the keys out, or name a whole value with & and *", "merge keys are not read")
		case repeated:
			d.fail(place(key), "keep one", "%q stands here again, first on line %d", shown(key.Value), first)
		default:
			seen[key.Value] = key.Line
			each(key, value)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// field reads one key of a struct, looking into inlined ones too.
func (d *decoder) field(key, value *yaml.Node, v reflect.Value, path string) {
	target := byKey(v, key.Value)
	if target.IsValid() {
		d.value(value, target, join(path, key.Value))
		d.places[join(path, key.Value)+"#key"] = place(key)
		return
	}
	if secretKey.MatchString(key.Value) {
		d.fail(place(key), secretHint, "unknown key %q in %s: it looks like a secret, and none stands in this sheet", shown(key.Value), named(path))
		return
	}
	d.fail(place(key), unknownHint(key.Value, keysOf(v.Type())), "unknown key %q in %s", shown(key.Value), named(path))
}

const secretHint = "name a file with secrets_file, or an environment variable with secrets_env, in a source"

// shown is a key as messages may hold it.
func shown(key string) string {
	if at := secretText.FindStringIndex(key); at != nil {
		key = key[:at[0]] + "…"
	}
	return key
}

func byKey(v reflect.Value, key string) reflect.Value {
	for i := range v.NumField() {
		switch tag := v.Type().Field(i).Tag.Get("yaml"); {
		case tag == ",inline":
			if found := byKey(v.Field(i), key); found.IsValid() {
				return found
			}
		case tag == key && tag != "":
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

// keysOf lists the keys of a struct type in their order.
func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		switch tag := f.Tag.Get("yaml"); tag {
		case "":
		case ",inline":
			keys = append(keys, keysOf(f.Type)...)
		default:
			keys = append(keys, tag)
		}
	}
	return keys
}

// unknownHint names the key that was meant, if there is one like it here or
// one of the same name elsewhere in the sheet.
func unknownHint(key string, known []string) string {
	if near := nearest(key, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	for _, k := range references(reflect.TypeFor[Settings](), "") {
		if k.Path[strings.LastIndexByte(k.Path, '.')+1:] == key {
			return fmt.Sprintf("did you mean %q?", k.Path)
		}
	}
	return "known here: " + strings.Join(known, ", ")
}

// nearest is the known word that a misspelt one is closest to, or "".
func nearest(word string, known []string) string {
	if len(word) > 64 {
		return ""
	}
	best, far := "", min(3, (len(word)+1)/2)+1
	for _, k := range known {
		if n := distance(strings.ToLower(word), k); n < far {
			best, far = k, n
		}
	}
	return best
}

func (d *decoder) entries(n *yaml.Node, v reflect.Value, path string) {
	filled := reflect.MakeMap(v.Type())
	d.mapping(n, path, func(key, value *yaml.Node) {
		entry := reflect.New(v.Type().Elem()).Elem()
		d.value(value, entry, join(path, key.Value))
		d.places[join(path, key.Value)+"#key"] = place(key)
		filled.SetMapIndex(reflect.ValueOf(key.Value), entry)
	})
	v.Set(filled)
}

// list reads a list; one single value counts as a list of it.
func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	nodes := n.Content
	if n.Kind == yaml.ScalarNode && v.Type().Elem().Kind() == reflect.String {
		nodes = []*yaml.Node{n}
	} else if !d.expect(n, yaml.SequenceNode, path, "a list") {
		return
	}
	filled := reflect.MakeSlice(v.Type(), len(nodes), len(nodes))
	for i, node := range nodes {
		at := fmt.Sprintf("%s[%d]", path, i)
		if d.value(node, filled.Index(i), at); node.Kind == yaml.ScalarNode && node.Value == "" {
			d.fail(place(node), "", "%s is empty", at)
		}
	}
	v.Set(filled)
}

// byCurrency reads a name, or names by currency.
func (d *decoder) byCurrency(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.ScalarNode {
		if n.Value != "" {
			v.Set(reflect.ValueOf(ByCurrency{"": n.Value}))
		}
		return
	}
	names := ByCurrency{}
	d.mapping(n, path, func(key, value *yaml.Node) {
		var name string
		d.value(value, reflect.ValueOf(&name).Elem(), join(path, key.Value))
		if !currencyCode.MatchString(key.Value) {
			d.fail(place(key), "write it like EUR", "not a currency code")
			return
		}
		names[key.Value] = name
	})
	v.Set(reflect.ValueOf(names))
}

var currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)

// expression keeps the text and its place. A number or true is a good
// expression too.
func (d *decoder) expression(n *yaml.Node, v reflect.Value, path string) {
	if !d.expect(n, yaml.ScalarNode, path, "an expression") {
		v.Set(reflect.ValueOf(Expression{Text: "nil"})) // reported; not empty as well
		return
	}
	e := Expression{Text: n.Value, At: place(n)}
	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		e.At.Column++
	case n.Style&yaml.LiteralStyle != 0:
		e.lead = d.text.indent(n.Line + 1)
		e.At = Position{n.Line + 1, e.lead + 1}
	}
	v.Set(reflect.ValueOf(e))
}

// indent is how many blanks the first line with text has, from a line on.
func (t *text) indent(line int) int {
	for ; line <= len(t.lines); line++ {
		if rest := strings.TrimLeft(t.lines[line-1], " "); rest != "" {
			return len(t.lines[line-1]) - len(rest)
		}
	}
	return 0
}

// scalar reads a single value and reports whether it was good.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) bool {
	if !d.expect(n, yaml.ScalarNode, path, "a single value") {
		return false
	}
	if leakedText.MatchString(n.Value) {
		d.fail(place(n), secretHint, "%s: the value looks like a secret, and none stands in this sheet", path)
		return false
	}
	message, hint := setText(v, n.Value)
	if message != "" {
		d.fail(place(n), hint, "%s: %s", path, message)
	}
	return message == ""
}

// plainDecimal is how a number is written: no exponent, no more digits than
// money needs.
var plainDecimal = regexp.MustCompile(`^-?[0-9]{1,15}(\.[0-9]{1,12})?$`)

// setText sets v from a text. It gives what is wrong and how to write it, or "".
func setText(v reflect.Value, text string) (string, string) {
	switch {
	case v.Type() == typeDecimal:
		number, err := decimal.NewFromString(text)
		if err != nil || !plainDecimal.MatchString(text) {
			return "not a number", "write it like 0.19"
		}
		v.Set(reflect.ValueOf(number))
	case v.Type() == typeDuration:
		span, err := time.ParseDuration(text)
		if err != nil {
			return "not a duration", "write it like 30m or 24h"
		}
		v.SetInt(int64(span))
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return "neither true nor false", ""
		}
		v.SetBool(text == "true")
	default:
		return setWord(v, text)
	}
	return "", ""
}

func setWord(v reflect.Value, text string) (string, string) {
	if e, ok := v.Interface().(enumeration); ok && !slices.Contains(e.values(), text) {
		hint := "use " + strings.Join(e.values(), ", ")
		if near := nearest(text, e.values()); near != "" {
			hint = fmt.Sprintf("did you mean %q? %s", near, hint)
		}
		return "no such choice", hint
	}
	v.SetString(text)
	return "", ""
}
