// Package mapping turns what shops and providers talk about into the ERPNext
// documents it should become. It is pure: no I/O, no clock, no log. It knows
// the site's books as a value and never asks ERPNext anything.
package mapping

import (
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
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
	ExchangeAccount string // what conversions gain or lose
	ShippingAccount string
	TaxAccount      string
	IncomeAccount   string
	DutyAccount     string // "" = ShippingAccount
	FeeAccount      string // of additional fees; "" = IncomeAccount
	TipAccount      string // "" = IncomeAccount

	Taxes            []TaxRule   // the first that fits holds, then TaxAccount
	ShippingAccounts []TitleRule // likewise, then ShippingAccount
	Items            Items
	Warehouses       map[string]string // by the shop's location

	TaxRows       TaxRows
	ShippingAs    ShippingAs
	Discounts     Discounts
	ResidualLimit decimal.Decimal // most that may be booked as rounding; 0 = see residualLimit
	// Adjust is added to the rounding: what ERPNext's own tax rows were seen to
	// make other than the shop's.
	Adjust decimal.Decimal

	NamingSeries string // of Sales Orders; "" = ERPNext's own
	BuyersPO     bool   // po_no is the buyer's own number, where there is one
	Customers    Customers
	Extra        Extra

	Till            Till
	DefaultClearing string // for providers whose account the Till does not name

	Precision int32             // decimals of amounts on this site
	Location  *time.Location    // the site's time zone: dates are cut in it
	Countries map[string]string // ERPNext's country name by upper-case ISO code
}

// TaxRule says on which account a tax of the shop is booked. What is empty fits
// everything.
type TaxRule struct {
	Title           string // pattern; see fits
	Rate            *decimal.Decimal
	Country         string // ISO code of where the goods go
	Account         string
	ItemTaxTemplate string // for rows with TaxesOnNetTotal
}

// TitleRule says on which account a charge is booked.
type TitleRule struct {
	Title   string // pattern; see fits
	Account string
}

// Items is how a line finds its item: the first rule that fits, then what the
// caller's look-up finds, then Fallback.
type Items struct {
	Rules    []ItemRule
	Match    []ItemKey // what is looked up, best first; nil = the SKU
	GiftCard string
	Tip      string
	Shipping string // for ShippingAsItem
	Create   *ItemCreation
}

// ItemKey is something of a line that may be the code of its item.
type ItemKey string

// The keys of a line.
const (
	BySKU     ItemKey = "sku"
	ByVariant ItemKey = "variant"
)

// ItemCreation says that an item that is missing is made, and how.
type ItemCreation struct {
	Stock bool
	Group string // "" = the site's root
	UOM   string
}

// Extra fills further ERPNext fields of a document, as the sheet's expressions
// say: by field name, texts, numbers, checks and times. A nil function has
// none. A failure is fault.Unmapped.
type Extra struct {
	Customer func(commerce.Party) (map[string]any, error)
	Order    func(commerce.Order) (map[string]any, error)
	Line     func(commerce.Order, commerce.Line) (map[string]any, error)
	Payment  func(commerce.Payment) (map[string]any, error)
	Delivery func(commerce.Order, commerce.Fulfillment) (map[string]any, error)
	Invoice  func(commerce.Order) (map[string]any, error)
}

// fields are what an expression gave, as ERPNext wants them: a time is a day in
// the site's zone.
func (b Books) fields(values map[string]any) erpnext.Extra {
	if len(values) == 0 {
		return nil
	}
	extra := erpnext.Extra{}
	for name, value := range values {
		if t, ok := value.(time.Time); ok {
			value = b.Date(t)
		}
		extra[name] = value
	}
	return extra
}

// ItemRule names the item of the lines that fit every pattern that is set.
type ItemRule struct{ SKU, Variant, Product, Title, Vendor, Item string }

// Customers is what new customers get beside what the shop says of them.
type Customers struct {
	PriceList   string
	TaxCategory string
}

// TaxRows is how tax stands in a Sales Order.
type TaxRows string

// The ways to book tax.
const (
	TaxesActual     TaxRows = ""             // the shop's amounts, one row per account
	TaxesOnNetTotal TaxRows = "on_net_total" // rates, for sites that need each item's tax; the difference is rounding
)

// ShippingAs is how shipping stands in a Sales Order.
type ShippingAs string

// The ways to book shipping.
const (
	ShippingAsRow  ShippingAs = ""
	ShippingAsItem ShippingAs = "item"
)

// Discounts is how discounts stand in a Sales Order.
type Discounts string

// The ways to book discounts.
const (
	DiscountsInRates  Discounts = ""       // rates are net of discounts
	DiscountsOnHeader Discounts = "header" // the shop's prices, and one discount on the document
)

// fits reports whether a text is what a pattern asks for, without regard to
// case: * stands for any text, an empty pattern fits everything.
func fits(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	pattern, text = strings.ToLower(pattern), strings.ToLower(text)
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}

// Date is the day of t in the site's time zone, as ERPNext wants it.
func (b Books) Date(t time.Time) string {
	return t.In(b.zone()).Format(time.DateOnly)
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
