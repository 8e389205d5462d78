package sandbox

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// doctypes.txt describes the DocTypes a client of this kind meets: one block
// each, "# Name" and its traits, then one field a line: name, type with its
// target, and marks. Fields it does not list do not exist on this site.
//
//go:embed doctypes.txt
var doctypesText string

// field describes one field of a DocType.
type field struct {
	name        string
	kind        string // Data, Text, Int, Float, Date, Time, Link, Dynamic, Select, Table
	target      string // DocType of Link and Table; the field that names it, of Dynamic
	label       string
	initial     any // default of a new document
	required    bool
	unique      bool
	afterSubmit bool // may change once submitted
	fetched     bool // other values are fetched through it: a missing target is not a link error
	custom      bool
	options     []string // of a Select
}

// doctype is the shape of one kind of document.
type doctype struct {
	name        string
	fields      []*field
	byName      map[string]*field
	submittable bool
	single      bool
	child       bool
	poisoned    string // a column the cached shape has and the table has not
}

// standardFields every document has.
var standardFields = []string{"name", "owner", "creation", "modified", "modified_by", "docstatus", "idx", "parent", "parentfield", "parenttype", "doctype"}

func (dt *doctype) add(f *field) {
	dt.fields = append(dt.fields, f)
	dt.byName[f.name] = f
}

func (dt *doctype) has(name string) bool {
	return dt.byName[name] != nil || slices.Contains(standardFields, name)
}

func (dt *doctype) label(name string) string {
	if f := dt.byName[name]; f != nil {
		return f.label
	}
	return labelOf(name)
}

// labelOf is the label nearly every field has: its name in title case.
func labelOf(name string) string {
	words := strings.Split(name, "_")
	for i, w := range words {
		r, n := utf8.DecodeRuneInString(w)
		if n > 0 {
			words[i] = string(unicode.ToUpper(r)) + w[n:]
		}
	}
	return strings.Join(words, " ")
}

// parseDoctypes reads the table of doctypes.txt.
func parseDoctypes(table string) (map[string]*doctype, error) {
	out := map[string]*doctype{}
	var dt *doctype
	for number, line := range strings.Split(table, "\n") {
		parts := strings.Split(line, "\t")
		switch {
		case line == "":
		case strings.HasPrefix(line, "# "):
			dt = newDoctype(parts[0][2:], parts[1:])
			out[dt.name] = dt
		case dt == nil || len(parts) < 2:
			return nil, fmt.Errorf("doctypes line %d: no field: %q", number+1, line)
		default:
			f, err := parseField(parts)
			if err != nil {
				return nil, fmt.Errorf("doctypes line %d: %w", number+1, err)
			}
			dt.add(f)
		}
	}
	return out, nil
}

func newDoctype(name string, traits []string) *doctype {
	return &doctype{
		name: name, byName: map[string]*field{},
		submittable: slices.Contains(traits, "submittable"),
		single:      slices.Contains(traits, "single"),
		child:       slices.Contains(traits, "child"),
	}
}

func parseField(parts []string) (*field, error) {
	f := &field{name: parts[0], label: labelOf(parts[0])}
	kind, target, _ := strings.Cut(parts[1], "(")
	f.kind, f.target = kind, strings.TrimSuffix(target, ")")
	for _, mark := range parts[2:] {
		key, value, _ := strings.Cut(mark, "=")
		switch key {
		case "reqd":
			f.required = true
		case "unique":
			f.unique = true
		case "after_submit":
			f.afterSubmit = true
		case "fetched":
			f.fetched = true
		case "label":
			f.label = value
		case "default":
			initial, err := f.parseDefault(value)
			if err != nil {
				return nil, err
			}
			f.initial = initial
		default:
			return nil, fmt.Errorf("unknown mark %q", mark)
		}
	}
	return f, nil
}

func (f *field) parseDefault(value string) (any, error) {
	switch f.kind {
	case "Int":
		return strconv.ParseInt(value, 10, 64)
	case "Float":
		return strconv.ParseFloat(value, 64)
	}
	return strconv.Unquote(value)
}
