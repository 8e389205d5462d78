// Package strictjson reads the JSON object of a webhook body in the one way it
// can be read. encoding/json takes the last of two equal names, matches names
// without regard to case, repairs broken UTF-8 and turns big numbers into
// floating point; each lets two readers of one signed body see two different
// amounts. Here names are exact and unique, numbers keep their digits, and
// anything doubtful is refused.
//
// It knows no provider: which names matter, and what is wrong when one is
// missing, is the caller's business.
package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// MaxDepth bounds how deep objects and arrays may nest. The deepest genuine
// payload seen has nine levels.
const MaxDepth = 64

// What can be wrong with a body. None of them quotes it.
var (
	ErrUTF8      = errors.New("not valid UTF-8")
	ErrNotObject = errors.New("not a JSON object")
	ErrSyntax    = errors.New("not valid JSON")
	ErrTrailing  = errors.New("something follows the JSON object")
	ErrDepth     = errors.New("nested too deeply")
	ErrDuplicate = errors.New("a name occurs twice in one object")
)

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds of JSON, and Absent for a name that an object does not have.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// Value is a JSON value. The zero Value is absent.
type Value struct {
	kind    Kind
	text    string // a string's contents; the literal of a number or a truth value
	members []member
	items   []Value
}

type member struct {
	name  string
	value Value
}

// Parse reads a body that must be one JSON object and nothing else: valid
// UTF-8, at most MaxDepth levels, and no name twice in any object. A signed
// body with a repeated name is either tampered with or made by something that
// must not be guessed at, so the rule holds for objects without money as well.
func Parse(body []byte) (Value, error) {
	if !utf8.Valid(body) {
		return Value{}, ErrUTF8
	}
	p := parser{src: string(body)}
	p.skipBlanks()
	if p.next() != '{' {
		return Value{}, ErrNotObject
	}
	v, err := p.value(1)
	if err != nil {
		return Value{}, err
	}
	p.skipBlanks()
	if p.pos != len(p.src) {
		return Value{}, ErrTrailing
	}
	return v, nil
}

// Kind tells what the value is.
func (v Value) Kind() Kind { return v.kind }

// Get is the member of that exact name, or an absent value.
func (v Value) Get(name string) Value {
	for i := range v.members {
		if v.members[i].name == name {
			return v.members[i].value
		}
	}
	return Value{}
}

// Has reports whether there is a member of that name that is not null.
func (v Value) Has(name string) bool { return v.Get(name).kind > Null }

// Items are the elements of an array.
func (v Value) Items() []Value { return v.items }

// Text is the contents of a string, or "" for anything else.
func (v Value) Text() string {
	if v.kind != String {
		return ""
	}
	return v.text
}

// ID is an identifier that is written as text or as a whole number, with every
// digit kept; "" for anything else. Shopify's ids go beyond 2^53.
func (v Value) ID() string {
	switch {
	case v.kind == String:
		return v.text
	case v.kind == Number && !strings.ContainsAny(v.text, ".eE"):
		return v.text
	default:
		return ""
	}
}

// Literal is the number as it is written, whether it stands as a JSON number
// or inside a string; "" for anything else.
func (v Value) Literal() string {
	if v.kind != String && v.kind != Number {
		return ""
	}
	return v.text
}

// True reports whether the value is the literal true.
func (v Value) True() bool { return v.kind == Bool && v.text == "true" }

// fewNames is how many names are compared one by one before a map is quicker.
const fewNames = 48

type parser struct {
	src string
	pos int
}

// next is the byte at hand, or 0 at the end. A 0 byte is no valid JSON either.
func (p *parser) next() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *parser) skipBlanks() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) value(depth int) (Value, error) {
	switch c := p.next(); {
	case (c == '{' || c == '[') && depth > MaxDepth:
		return Value{}, ErrDepth
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		text, err := p.str()
		return Value{kind: String, text: text}, err
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	default:
		return p.word()
	}
}

func (p *parser) object(depth int) (Value, error) {
	v, seen := Value{kind: Object}, names{}
	for more := p.open('}'); more; {
		m, err := p.member(depth)
		if err != nil {
			return Value{}, err
		}
		if seen.twice(v, m.name) {
			return Value{}, ErrDuplicate
		}
		v.members = append(v.members, m)
		if more, err = p.another('}'); err != nil {
			return Value{}, err
		}
	}
	return v, nil
}

// names finds repeated names. Few are compared one by one; many are kept in a
// set, so that an object of a million names does not cost a million squared.
type names struct {
	set map[string]struct{}
}

func (n *names) twice(so Value, name string) bool {
	if len(so.members) < fewNames {
		return so.Get(name).kind != Absent
	}
	if n.set == nil {
		n.set = make(map[string]struct{}, 2*fewNames)
		for _, m := range so.members {
			n.set[m.name] = struct{}{}
		}
	}
	_, known := n.set[name]
	n.set[name] = struct{}{}
	return known
}

func (p *parser) member(depth int) (member, error) {
	if p.next() != '"' {
		return member{}, ErrSyntax
	}
	name, err := p.str()
	if err != nil {
		return member{}, err
	}
	p.skipBlanks()
	if p.next() != ':' {
		return member{}, ErrSyntax
	}
	p.pos++
	p.skipBlanks()
	v, err := p.value(depth + 1)
	return member{name: name, value: v}, err
}

func (p *parser) array(depth int) (Value, error) {
	v := Value{kind: Array}
	for more := p.open(']'); more; {
		item, err := p.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		v.items = append(v.items, item)
		if more, err = p.another(']'); err != nil {
			return Value{}, err
		}
	}
	return v, nil
}

// open steps over the opening bracket and reports whether anything is inside.
func (p *parser) open(end byte) bool {
	p.pos++
	p.skipBlanks()
	if p.next() == end {
		p.pos++
		return false
	}
	return true
}

// another steps over a comma, or over the closing bracket.
func (p *parser) another(end byte) (bool, error) {
	p.skipBlanks()
	switch p.next() {
	case ',':
		p.pos++
		p.skipBlanks()
		return true, nil
	case end:
		p.pos++
		return false, nil
	default:
		return false, ErrSyntax
	}
}

// str reads a string. One without escapes shares the body's memory.
func (p *parser) str() (string, error) {
	start, escaped := p.pos, false
	for i := start + 1; i < len(p.src); i++ {
		switch c := p.src[i]; {
		case c == '"':
			p.pos = i + 1
			if escaped {
				return unescape(p.src[start : i+1])
			}
			return p.src[start+1 : i], nil
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			return "", ErrSyntax
		}
	}
	return "", ErrSyntax
}

func unescape(literal string) (string, error) {
	var text string
	if err := json.Unmarshal([]byte(literal), &text); err != nil {
		return "", ErrSyntax
	}
	return text, nil
}

func (p *parser) number() (Value, error) {
	start := p.pos
	if p.next() == '-' {
		p.pos++
	}
	zero := p.next() == '0'
	if n := p.digits(); n == 0 || zero && n > 1 {
		return Value{}, ErrSyntax
	}
	if p.next() == '.' {
		p.pos++
		if p.digits() == 0 {
			return Value{}, ErrSyntax
		}
	}
	if c := p.next(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.next(); c == '+' || c == '-' {
			p.pos++
		}
		if p.digits() == 0 {
			return Value{}, ErrSyntax
		}
	}
	return Value{kind: Number, text: p.src[start:p.pos]}, nil
}

func (p *parser) digits() int {
	start := p.pos
	for c := p.next(); c >= '0' && c <= '9'; c = p.next() {
		p.pos++
	}
	return p.pos - start
}

func (p *parser) word() (Value, error) {
	for _, w := range [...]Value{{kind: Null, text: "null"}, {kind: Bool, text: "true"}, {kind: Bool, text: "false"}} {
		if strings.HasPrefix(p.src[p.pos:], w.text) {
			p.pos += len(w.text)
			return w, nil
		}
	}
	return Value{}, ErrSyntax
}

// PlainID reports whether a text can name an event, a topic or an object: 1 to
// 255 printable ASCII characters without blanks. Names go into keys, log lines
// and pages, so nothing else is let through.
func PlainID(id string) bool {
	if id == "" || len(id) > 255 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}
