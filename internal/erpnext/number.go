package erpnext

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/shopspring/decimal"
)

// maxNumber bounds the text and the exponent of a number in an answer: a
// decimal of a billion digits must never be expanded.
const maxNumber = 60

// Number is an exact decimal on the wire: a JSON number on the way out, and a
// JSON number, a text or null (zero) on the way in. It never passes through a
// float. The zero Number is left out of a document by `omitzero`.
type Number struct{ decimal.Decimal }

// Num wraps an exact decimal.
func Num(d decimal.Decimal) Number { return Number{d} }

// MarshalJSON writes the number without exponent and without quotes.
func (n Number) MarshalJSON() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalJSON reads a number, a numeric text, "" or null.
func (n *Number) UnmarshalJSON(data []byte) error {
	text := string(bytes.Trim(bytes.TrimSpace(data), `"`))
	if text == "" || text == "null" {
		*n = Number{}
		return nil
	}
	if len(text) > maxNumber {
		return errors.New("erpnext: number is too long")
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return errors.New("erpnext: not a number") // the parser's own words repeat the value
	}
	if e := d.Exponent(); e > maxNumber || e < -maxNumber {
		return errors.New("erpnext: number out of range")
	}
	*n = Number{d}
	return nil
}

// Check is ERPNext's yes or no: 1 or 0 on the wire.
type Check bool

// MarshalJSON writes 1 or 0.
func (c Check) MarshalJSON() ([]byte, error) {
	if c {
		return []byte("1"), nil
	}
	return []byte("0"), nil
}

// UnmarshalJSON reads 1, 0, true, false, their texts, "" and null.
func (c *Check) UnmarshalJSON(data []byte) error {
	switch string(bytes.Trim(bytes.TrimSpace(data), `"`)) {
	case "1", "true":
		*c = true
	case "0", "false", "", "null":
		*c = false
	default:
		return errors.New("erpnext: not a check value")
	}
	return nil
}

// isBlank reports whether data is JSON for nothing: absent, null or "".
func isBlank(data json.RawMessage) bool {
	text := string(bytes.TrimSpace(data))
	return text == "" || text == "null" || text == `""`
}
