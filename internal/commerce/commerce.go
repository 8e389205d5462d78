// Package commerce holds what shops and payment providers talk about: orders,
// payments, parties. It is provider-neutral and pure: no JSON tags of anybody,
// no I/O, no ERPNext words.
package commerce

import (
	"time"

	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// Content is what one event says. Exactly one field is set.
type Content struct {
	Order   *Order
	Payment *Payment
	Ignored string // nothing to book; the reason, for the operator, without customer data
}

// Order is a whole order as the shop sees it at UpdatedAt: a snapshot, not a
// change. All amounts are in Currency (the shop's money).
type Order struct {
	ID        string // the shop's id, digits kept as text
	Name      string // what people call it: "#1001"
	Currency  string
	CreatedAt time.Time // with the shop's offset
	UpdatedAt time.Time

	TaxesIncluded bool // line and shipping prices contain their tax
	Customer      *Party
	Lines         []Line
	Shipping      []Charge
	Tip           money.Amount // not contained in Lines
	TotalTax      money.Amount
	Total         money.Amount // what the buyer owes: ERPNext must reach exactly this
	Note          string
}

// Line is one line of an order. Quantity is what is wanted now, after edits
// and removals; lines without any left are not in an Order.
type Line struct {
	ID        string
	SKU       string
	Title     string
	Quantity  int64
	UnitPrice money.Amount // before discounts; contains tax if the order's prices do
	Discount  money.Amount // for the whole line, all allocations summed
	Taxes     []Tax
	GiftCard  bool
}

// Charge is something on the order that is not goods: shipping, a duty, a fee.
type Charge struct {
	Title    string
	Price    money.Amount // before discounts; contains tax if the order's prices do
	Discount money.Amount
	Taxes    []Tax
}

// Tax is one tax on a line or charge.
type Tax struct {
	Title  string
	Rate   decimal.Decimal // 0.19 for 19 %; informative: Amount is what counts
	Amount money.Amount
	// ByChannel says that the sales channel owes it to the state, so the order
	// total does not contain it for the merchant.
	ByChannel bool
}

// Party is a person or company that buys or pays.
type Party struct {
	ID        string // the shop's customer id; "" for a guest
	Email     string
	FirstName string
	LastName  string
	Company   string
	Phone     string
	Address   *Address
}

// Address is a postal address. CountryCode is ISO 3166-1 alpha-2.
type Address struct {
	Line1       string
	Line2       string
	City        string
	Region      string
	PostalCode  string
	Country     string
	CountryCode string
}

// Payment is money that has arrived at a provider.
type Payment struct {
	ID         string // names the payment for ever: the payment intent, the capture, the sale
	Reference  string // what a person finds in the provider's pages: the charge, the capture
	Amount     money.Amount
	At         time.Time
	OrderRefs  []string // names of the order it pays, best first: an order id, an order name
	PayerEmail string
	PayerName  string
	Provider   string // "stripe", "paypal"
}
