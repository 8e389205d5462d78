// Package money holds amounts of money: an exact decimal and a currency.
// Floating point never touches them. It knows no provider; where a provider
// counts minor units differently from ISO 4217, that provider's package says so.
package money

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
)

// maxLiteral bounds the text of an amount: longer ones are an attack or a
// mistake, and a decimal library must not be asked to expand them.
const maxLiteral = 40

// Amount is a number of major units of one currency. The zero Amount is
// "nothing, of no currency" and may be added to any other.
type Amount struct {
	value    decimal.Decimal
	currency string
}

// New makes an amount of major units.
func New(value decimal.Decimal, currency string) Amount {
	return Amount{value: value, currency: strings.ToUpper(currency)}
}

// Zero is nothing of a currency.
func Zero(currency string) Amount { return New(decimal.Zero, currency) }

// Parse reads an amount in major units from a plain decimal text such as
// "12.50" or "-0.01". It refuses exponents, signs other than a leading minus,
// blanks, texts over 40 characters and currencies that ISO 4217 does not have.
func Parse(text, currency string) (Amount, error) {
	currency = strings.ToUpper(currency)
	if _, err := MinorDigits(currency); err != nil {
		return Amount{}, err
	}
	value, err := ParseDecimal(text)
	if err != nil {
		return Amount{}, err
	}
	return Amount{value: value, currency: currency}, nil
}

// ParseDecimal reads a plain decimal text under the same rules as Parse.
func ParseDecimal(text string) (decimal.Decimal, error) {
	if !plainDecimal(text) {
		return decimal.Decimal{}, errors.New("money: not a plain decimal number")
	}
	return decimal.NewFromString(text)
}

func plainDecimal(text string) bool {
	if text == "" || len(text) > maxLiteral {
		return false
	}
	digits, dots := 0, 0
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			dots++
		case c == '-' && i == 0:
		default:
			return false
		}
	}
	return digits > 0 && dots <= 1 && !strings.HasSuffix(text, ".")
}

// FromMinor makes an amount from a whole number of minor units of which
// `digits` make one major unit: FromMinor(1999, 2, "USD") is 19.99.
func FromMinor(units int64, digits int, currency string) Amount {
	return New(decimal.New(units, -int32(digits)), currency)
}

// Value is the exact number of major units.
func (a Amount) Value() decimal.Decimal { return a.value }

// Currency is the ISO 4217 code, or "" for the zero Amount.
func (a Amount) Currency() string { return a.currency }

// IsZero reports whether the amount is nothing.
func (a Amount) IsZero() bool { return a.value.IsZero() }

// Sign is -1, 0 or 1.
func (a Amount) Sign() int { return a.value.Sign() }

// Add sums two amounts of one currency. Different currencies are a programming
// error that must never reach the books, so it panics; decoders check first.
func (a Amount) Add(b Amount) Amount {
	return Amount{value: a.value.Add(b.value), currency: a.common(b)}
}

// Sub subtracts b from a; see Add.
func (a Amount) Sub(b Amount) Amount {
	return Amount{value: a.value.Sub(b.value), currency: a.common(b)}
}

// Neg turns the sign.
func (a Amount) Neg() Amount { return Amount{value: a.value.Neg(), currency: a.currency} }

// Abs drops the sign.
func (a Amount) Abs() Amount { return Amount{value: a.value.Abs(), currency: a.currency} }

// Equal reports whether both are the same number of the same currency.
func (a Amount) Equal(b Amount) bool { return a.currency == b.currency && a.value.Equal(b.value) }

// Cmp compares two amounts of one currency; see Add.
func (a Amount) Cmp(b Amount) int {
	a.common(b)
	return a.value.Cmp(b.value)
}

// String is the amount with at least its currency's usual decimals, as people
// write it: "12.50 USD".
func (a Amount) String() string {
	digits, err := MinorDigits(a.currency)
	if err != nil {
		digits = 2
	}
	text := a.value.String()
	if -a.value.Exponent() <= int32(digits) {
		text = a.value.StringFixed(int32(digits))
	}
	return strings.TrimSpace(text + " " + a.currency)
}

func (a Amount) common(b Amount) string {
	switch {
	case a.currency == b.currency, b.currency == "" && b.value.IsZero():
		return a.currency
	case a.currency == "" && a.value.IsZero():
		return b.currency
	default:
		panic(fmt.Sprintf("money: %s and %s in one sum", a.currency, b.currency))
	}
}
