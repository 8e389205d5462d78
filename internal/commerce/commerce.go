// Package commerce holds what shops and payment providers talk about: orders,
// payments, parties. It is provider-neutral and pure: no JSON tags of anybody,
// no I/O, no ERPNext words.
package commerce

import (
	"time"

	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// Content is what one event says. At least one field is set; those that are
// set concern the same thing, and are posted in the order in which they stand.
type Content struct {
	Order    *Order
	Payment  *Payment
	Refunds  []Refund
	Credits  []Credit
	Dispute  *Dispute
	Payout   *Payout
	Customer *Party   // a shop's customer, told of without an order
	Product  *Product // a shop's product, told of without an order
	Privacy  *Privacy
	Partial  string // what the sender left out; nothing may be posted before the source has asked for the rest
	Ignored  string // nothing to book; the reason, for the operator, without customer data
}

// Order is a whole order as the shop sees it at UpdatedAt: a snapshot, not a
// change. All amounts are in Currency. Lines, charges and totals are what is
// wanted now, after edits, removals and refunds.
type Order struct {
	ID          string // the shop's id, digits kept as text
	Name        string // what people call it: "#1001"
	Currency    string
	CreatedAt   time.Time // with the shop's offset
	UpdatedAt   time.Time // zero when the shop does not say: then it is older than every other
	CancelledAt time.Time // zero = not cancelled
	ClosedAt    time.Time // zero = not archived by the shop
	Test        bool
	Paid        bool // the shop counts it as paid in full

	// ShopTotal is Total in the shop's own money, set when Currency is what
	// the buyer was shown and differs from the shop's: the two give the rate.
	ShopTotal *money.Amount

	// ShownTotal is Total in what the buyer was shown, set when Currency is the
	// shop's own money and the buyer was shown another: a transaction may be told
	// of in either.
	ShownTotal *money.Amount

	TaxesIncluded bool // line, shipping, duty and fee prices contain their tax
	Customer      *Party
	BillTo        *Address
	ShipTo        *Address // nil = nothing is shipped, or nobody said where
	Lines         []Line
	Shipping      []Charge
	Duties        []Charge
	Fees          []Charge     // additional fees of the sale
	Tip           money.Amount // not contained in Lines
	TotalTax      money.Amount
	Total         money.Amount // what the buyer owes: ERPNext must reach exactly this
	// GivenBack is money that went back without goods, shipping or fees: Total
	// is without regard to it, as the lines are.
	GivenBack money.Amount

	Note        string
	Tags        []string
	Attributes  map[string]string // what the shop's theme or apps noted on the order
	Channel     string            // where it was sold: "web", "pos"
	LocationID  string            // the shop's location that sold it; "" = online
	PONumber    string            // the buyer's own number of a B2B order
	DiscountIDs []string          // discount codes used

	Fulfillments []Fulfillment
	Payments     []Payment // transactions that came inside the order
	Refunds      []Refund  // likewise
	Credits      []Credit
}

// Cancelled reports whether the shop has cancelled the order.
func (o Order) Cancelled() bool { return !o.CancelledAt.IsZero() }

// LineKind tells goods from what only looks like them.
type LineKind string

// The kinds of a line.
const (
	Goods    LineKind = ""
	GiftCard LineKind = "gift_card" // a gift card sold: a debt to whoever holds it, not income
	Tip      LineKind = "tip"
)

// Line is one line of an order. Quantity is what is wanted now, after edits
// and removals; lines without any left are not in an Order.
type Line struct {
	ID         string
	Kind       LineKind
	SKU        string
	VariantID  string // "" = a custom line, or the product was deleted
	ProductID  string
	Vendor     string
	Title      string
	Quantity   int64
	UnitPrice  money.Amount // before discounts; contains tax if the order's prices do
	Discount   money.Amount // for the whole line, all allocations summed
	Taxes      []Tax
	BundleID   string            // lines of one bundle share it
	Properties map[string]string // what the buyer chose or wrote for this line
}

// Charge is something on the order that is not goods: shipping, a duty, a fee.
type Charge struct {
	Title    string
	Code     string       // the carrier's or app's own name of it
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

// Fulfillment is goods of an order that left, or were taken back before they did.
type Fulfillment struct {
	ID         string
	Name       string // "#1001.1"
	At         time.Time
	LocationID string
	Cancelled  bool
	Tracking   []string
	Lines      []FulfilledLine
}

// FulfilledLine is how many of an order's line a fulfilment holds.
type FulfilledLine struct {
	LineID   string
	Quantity int64
}

// Credit is what a shop took back or forgave: the goods, the shipping and the
// differences behind one of its refunds. The money is told by Refund, and may
// be another amount. Amounts are in the order's currency.
type Credit struct {
	ID       string // names the shop's refund for ever
	OrderID  string
	At       time.Time
	Lines    []CreditedLine
	Shipping []CreditedAmount // shipping given back
	Others   []CreditedAmount // what else was given back beyond the lines; negative: less than the lines
}

// Worthless reports whether nothing of value was taken back or forgiven.
func (c Credit) Worthless() bool {
	for _, l := range c.Lines {
		if !l.Priced || !l.Subtotal.IsZero() || !l.Tax.IsZero() {
			return false
		}
	}
	for _, a := range append(append([]CreditedAmount{}, c.Shipping...), c.Others...) {
		if !a.Amount.IsZero() || !a.Tax.IsZero() {
			return false
		}
	}
	return true
}

// CreditedLine is how many of an order's line were taken back, and for how much.
type CreditedLine struct {
	LineID    string
	Quantity  int64
	Restocked bool
	// Unshipped says that they were taken off before they left.
	Unshipped bool
	// Priced says that the shop told the amounts: Subtotal after discounts,
	// with its tax inside if the order's prices contain it, and Tax.
	Priced   bool
	Subtotal money.Amount
	Tax      money.Amount
}

// CreditedAmount is an amount given back without goods. Amount has Tax inside
// if the order's prices contain it.
type CreditedAmount struct {
	Title  string
	Amount money.Amount
	Tax    money.Amount
}

// Party is a person or company that buys or pays.
type Party struct {
	ID        string // the shop's customer id; "" for a guest
	Email     string
	FirstName string
	LastName  string
	Company   string
	CompanyID string // the shop's id of the company it buys for; "" = none that the shop knows
	TaxID     string // VAT number
	TaxExempt bool
	Phone     string
	Address   *Address
	Tags      []string
	Note      string
	UpdatedAt time.Time // zero when nobody says
	Deleted   bool      // the shop has deleted the customer
}

// Address is a postal address. CountryCode is ISO 3166-1 alpha-2.
type Address struct {
	Name        string // who lives there, when that is not the customer
	Company     string
	Phone       string
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
	ID         string   // names the payment for ever: the payment intent, the capture, the sale
	Aliases    []string // other ids under which the same money is told of: the charge, the intent, the shop's authorization
	Reference  string   // what a person finds in the provider's pages: the charge, the capture
	Amount     money.Amount
	At         time.Time
	OrderRefs  []string // names of the order it pays, best first: an order id, an order name
	PayerEmail string
	PayerName  string
	Provider   string // "stripe", "paypal", "shopify"
	Gateway    string // of a shop's transaction, in the shop's words: "shopify_payments", "gift_card"; else ""

	// Settlement is what the payment did to the balance; nil = not known yet.
	Settlement *Settlement
	// Rounding is what cash rounding added to (or, negative, took from) what
	// the order asked for; contained in Amount.
	Rounding money.Amount
	// FeeOnly says that the event only tells the settlement of a payment that
	// other events book.
	FeeOnly bool
}

// Settlement is what a movement did to the balance at a provider, in the
// balance's currency, which may differ from the movement's. Net = Gross - Fee.
// Of money that leaves, Gross and Net are negative; a fee given back is too.
type Settlement struct {
	ID    string // the balance transaction
	Gross money.Amount
	Fee   money.Amount // of the provider and of the platform together
	Net   money.Amount
}

// Outcome is how far a movement of money has got.
type Outcome string

// Outcomes of refunds and payouts.
const (
	Succeeded Outcome = "succeeded"
	Pending   Outcome = "pending"
	Failed    Outcome = "failed" // did not happen, or was undone
)

// Refund is money given back to a payer.
type Refund struct {
	ID         string // names the refund for ever
	Aliases    []string
	PaymentID  string // Payment.ID or one of its aliases; "" when nobody says
	Reference  string
	Amount     money.Amount // positive
	At         time.Time
	Outcome    Outcome
	OrderRefs  []string
	PayerEmail string
	Provider   string
	Gateway    string
	Settlement *Settlement
	// Reversed says that the provider took the money back on its own account
	// (PayPal's REVERSED), without a decision of the merchant.
	Reversed bool
}

// DisputeStage is what happened to the disputed money.
type DisputeStage string

// The stages of a dispute.
const (
	DisputeOpened     DisputeStage = "opened"     // announced; no money moved by it
	DisputeWithdrawn  DisputeStage = "withdrawn"  // the provider took the money
	DisputeReinstated DisputeStage = "reinstated" // the provider gave it back
	DisputeWon        DisputeStage = "won"
	DisputeLost       DisputeStage = "lost"
	DisputeClosed     DisputeStage = "closed"  // over without a decision: a warning, a withdrawal by the buyer
	DisputeUpdated    DisputeStage = "updated" // something else changed: evidence, a deadline
)

// Dispute is a payer's objection to a payment.
type Dispute struct {
	ID        string
	PaymentID string // Payment.ID or one of its aliases
	Reference string
	Amount    money.Amount // positive: what is disputed
	Stage     DisputeStage
	Reason    string
	At        time.Time
	DueBy     time.Time // evidence must be there; zero = nobody says
	Provider  string
	// Movements are what the dispute has done to the balance so far.
	Movements []Settlement
	// Elsewhere says that other events move the disputed money, as refunds: the
	// dispute has moved what Movements say and nothing else, and holds nothing.
	Elsewhere bool
}

// Payout is money that a provider sends to the merchant's bank.
type Payout struct {
	ID        string
	Reference string       // what the bank statement shows
	Amount    money.Amount // what leaves the balance, without Fee
	Fee       money.Amount // of an instant payout, in the same currency
	At        time.Time
	Outcome   Outcome
	Provider  string
}

// Product is a shop's product with what can be ordered of it.
type Product struct {
	ID        string
	Title     string
	Vendor    string
	Kind      string // the shop's product type
	UpdatedAt time.Time
	Deleted   bool
	Variants  []Variant
}

// Variant is one thing that can be ordered.
type Variant struct {
	ID      string
	SKU     string
	Title   string
	Price   money.Amount
	Shipped bool // it is shipped, not downloaded
}

// PrivacyKind is what is asked about stored personal data.
type PrivacyKind string

// The kinds of a request about personal data, and the end of a shop.
const (
	PrivacyExport     PrivacyKind = "export"      // customers/data_request
	PrivacyRedact     PrivacyKind = "redact"      // customers/redact
	PrivacyRedactShop PrivacyKind = "redact_shop" // shop/redact
	ShopUninstalled   PrivacyKind = "uninstalled" // app/uninstalled: nothing to erase yet
)

// Privacy is a request about what is stored of a customer or shop.
type Privacy struct {
	Kind       PrivacyKind
	RequestID  string
	Shop       string
	CustomerID string
	Email      string
	Phone      string
	OrderIDs   []string
}
