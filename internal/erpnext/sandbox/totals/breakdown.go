package totals

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// breakdown is a tax row's item_wise_tax_detail: rate and company-currency
// amount by item, in the order of first mention.
type breakdown struct {
	items []string
	parts map[string]part
}

type part struct{ rate, amount float64 }

func (b *breakdown) of(item string) (float64, bool) {
	p, ok := b.parts[item]
	return p.amount, ok
}

// add counts an amount on top of what the item has; the last rate stays. A
// first amount is taken as it is: added to 0, a -0 would lose its sign.
func (b *breakdown) add(item string, rate, amount float64) {
	if before, ok := b.of(item); ok {
		amount += before
	}
	b.set(item, rate, amount)
}

func (b *breakdown) set(item string, rate, amount float64) {
	if b.parts == nil {
		b.parts = make(map[string]part)
	}
	if _, ok := b.parts[item]; !ok {
		b.items = append(b.items, item)
	}
	b.parts[item] = part{rate, amount}
}

// json is the text the site stores: Python's notation of numbers, ASCII only,
// no spaces; whole amounts have no decimal point.
func (b *breakdown) json(whole bool) string {
	var s strings.Builder
	s.WriteByte('{')
	for i, item := range b.items {
		if i > 0 {
			s.WriteByte(',')
		}
		p := b.parts[item]
		amount := pythonFloat(p.amount)
		if whole {
			amount = strings.TrimSuffix(amount, ".0")
		}
		s.WriteString(asciiJSON(item) + ":[" + pythonFloat(p.rate) + "," + amount + "]")
	}
	s.WriteByte('}')
	return s.String()
}

// asciiJSON quotes a text as Python's json module does: everything beyond
// printable ASCII is escaped, and nothing for the sake of HTML.
func asciiJSON(s string) string {
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			quoted.WriteByte('\\')
			quoted.WriteRune(r)
		case r >= ' ' && r <= '~':
			quoted.WriteRune(r)
		case shortEscapes[r] != "":
			quoted.WriteString(shortEscapes[r])
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(&quoted, `\u%04x`, unit)
			}
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}

var shortEscapes = map[rune]string{'\n': `\n`, '\r': `\r`, '\t': `\t`, '\f': `\f`, '\b': `\b`}
