package strictjson

import (
	"strconv"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/money"
)

// Place is a value together with where it stands, for decoders that must say
// which field they could not read. The first complaint about any place of one
// body is kept; a decoder reads everything it wants and asks once, at the end.
type Place struct {
	value Value
	path  string
	first *string
}

// At starts reading at a value whose path is the empty one.
func At(v Value) Place { return Place{value: v, first: new(string)} }

// Problem is the first complaint: a path made of the names the decoder asked
// for and what is wrong there, never a value of the body. "" means none.
func (p Place) Problem() string { return *p.first }

// Complain notes what is wrong with this place, unless something was noted before.
func (p Place) Complain(what string) {
	if *p.first == "" {
		*p.first = p.path + " " + what
	}
}

// Get goes to the member of that exact name.
func (p Place) Get(name string) Place {
	path := name
	if p.path != "" {
		path = p.path + "." + name
	}
	if p.value.kind != Object && p.value.kind > Null {
		p.Complain("is not an object")
	}
	return Place{value: p.value.Get(name), path: path, first: p.first}
}

// Missing reports whether the place is absent or null.
func (p Place) Missing() bool { return p.value.kind <= Null }

// Value is what stands there.
func (p Place) Value() Value { return p.value }

// Each goes to every element of an array; an absent or null one has none.
func (p Place) Each() []Place {
	if p.value.kind != Array && !p.Missing() {
		p.Complain("is not an array")
	}
	places := make([]Place, len(p.value.items))
	for i, item := range p.value.items {
		places[i] = Place{value: item, path: p.path + "[" + strconv.Itoa(i) + "]", first: p.first}
	}
	return places
}

// Text is the contents of a string, or a number as it is written; "" when it is
// absent or null.
func (p Place) Text() string {
	if p.value.kind != String && p.value.kind != Number && !p.Missing() {
		p.Complain("is not text")
	}
	return p.value.Literal()
}

// ID is an identifier, text or whole number; "" when it is absent or null.
func (p Place) ID() string {
	id := p.value.ID()
	if id == "" && !p.Missing() && p.value.kind != String {
		p.Complain("is neither text nor a whole number")
	}
	return id
}

// Flag is a truth value; false when it is absent or null.
func (p Place) Flag() bool {
	if p.value.kind != Bool && !p.Missing() {
		p.Complain("is not a truth value")
	}
	return p.value.True()
}

// Int is a whole number that must be there.
func (p Place) Int() int64 {
	if p.Missing() {
		p.Complain("is missing")
		return 0
	}
	n, err := strconv.ParseInt(p.value.Literal(), 10, 64)
	if err != nil {
		p.Complain("is not a whole number")
	}
	return n
}

// Amount is a plain decimal, text or number, in major units of a currency. It
// must be there; OptionalAmount is for one that need not be.
func (p Place) Amount(currency string) money.Amount {
	if p.Missing() {
		p.Complain("is missing")
		return money.Zero(currency)
	}
	amount, err := money.Parse(p.value.Literal(), currency)
	if err != nil {
		p.Complain("is not a plain decimal amount")
		return money.Zero(currency)
	}
	return amount
}

// OptionalAmount is like Amount but nothing when it is absent or null.
func (p Place) OptionalAmount(currency string) money.Amount {
	if p.Missing() {
		return money.Zero(currency)
	}
	return p.Amount(currency)
}

// Currency is an ISO 4217 code in any case, given in capitals. It must be there.
func (p Place) Currency() string {
	if p.Missing() {
		p.Complain("is missing")
		return ""
	}
	zero, err := money.Parse("0", p.value.Text())
	if err != nil {
		p.Complain("is not a known currency")
	}
	return zero.Currency()
}

// Time is a moment as RFC 3339 writes it, with its offset; the zero time when
// it is missing or cannot be read. Senders do send impossible dates (PayPal's
// simulator has a month 19), so that is no complaint.
func (p Place) Time() time.Time {
	t, err := time.Parse(time.RFC3339, p.value.Text())
	if err != nil {
		return time.Time{}
	}
	return t
}
