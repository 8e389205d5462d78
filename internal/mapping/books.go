// Package mapping turns what shops and providers talk about into the ERPNext
// documents it should become. It is pure: no I/O, no clock, no log. It knows
// the site's books as a value and never asks ERPNext anything.
package mapping

import (
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// Books is what the documents need to know of the site: one company's records
// by their ERPNext names, from the mapping sheet or found at the site.
type Books struct {
	Company       string
	Currency      string // the company's
	CostCenter    string
	Warehouse     string // "" = each item's own
	PriceList     string
	CustomerGroup string
	Territory     string
	FallbackItem  string // non-stock item for lines without a known SKU

	RoundOffAccount string
	ShippingAccount string
	TaxAccount      string
	IncomeAccount   string
	Till            Till
	DefaultClearing string // for providers whose account the Till does not name

	Precision int32             // decimals of amounts on this site
	Location  *time.Location    // the site's time zone: dates are cut in it
	Countries map[string]string // ERPNext's country name by upper-case ISO code
}

// Date is the day of t in the site's time zone, as ERPNext wants it.
func (b Books) Date(t time.Time) string {
	loc := b.Location
	if loc == nil {
		loc = time.UTC
	}
	return t.In(loc).Format(time.DateOnly)
}

// holds reports whether the site's precision can hold the currency: amounts
// with more decimals would be cut, silently.
func (b Books) holds(currency string) error {
	digits, err := money.MinorDigits(currency)
	if err != nil {
		return &fault.Error{Kind: fault.Unmapped, Op: "mapping", Cause: "unknown currency", Hint: "the currency is not in ISO 4217: check the shop's settings"}
	}
	if int32(digits) > b.Precision {
		return &fault.Error{
			Kind: fault.Unmapped, Op: "mapping", Cause: currency + " needs more decimals than the site keeps",
			Hint: "raise Currency Precision in ERPNext's System Settings, then replay",
		}
	}
	return nil
}

func unmapped(what, setting string) *fault.Error {
	return &fault.Error{
		Kind: fault.Unmapped, Op: "mapping", Cause: "no " + what,
		Hint: "none was found in ERPNext: name it in the mapping sheet under " + setting + ", then replay",
	}
}

// cut makes a text fit for ERPNext: without angle brackets (ERPNext refuses
// them in names, and escapes a text that has them, which makes it longer than
// its field) and at most n runes long.
func cut(text string, n int) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '<' || r == '>' {
			return -1
		}
		return r
	}, text))
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}
