package config

import (
	"time"

	"github.com/shopspring/decimal"
)

// Settings is everything that decides how one source's events become
// documents. In a Sheet and in a Source a field that is zero says nothing;
// what Sheet.For gives has every default filled in, and every pointer set that
// has one. Tags: yaml is the key, default its default, desc its meaning; the
// reference in docs/mapping-sheet.md and the JSON Schema are made from them.
type Settings struct {
	Company       string `yaml:"company" desc:"ERPNext company to book in. Needed when the site has several."`
	PriceList     string `yaml:"price_list" desc:"Selling price list of the orders."`
	CostCenter    string `yaml:"cost_center" desc:"Cost center of tax, fee and rounding rows."`
	Warehouse     string `yaml:"warehouse" desc:"Warehouse of the orders' rows. Without one each item's own holds."`
	FallbackItem  string `yaml:"fallback_item" desc:"Non-stock item for lines that no rule and no SKU finds. The same setting as items.fallback."`
	GuestCustomer string `yaml:"guest_customer" desc:"Customer for orders without customer and e-mail. Made when it is not named."`
	UnknownPayer  string `yaml:"unknown_payer" desc:"Customer for payments of nobody known. Made when it is not named."`

	// NoEventsAfter is how long a source may be silent; nil = 72 hours, 0 = for
	// ever.
	NoEventsAfter *time.Duration `yaml:"no_events_after" default:"72h" desc:"How long a source may send nothing before people are told. 0s = for ever."`

	Accounts  Accounts           `yaml:"accounts" desc:"Accounts to book on."`
	Taxes     []TaxRule          `yaml:"taxes" desc:"Which tax goes to which account; the first rule that fits holds, then accounts.tax."`
	Shipping  Shipping           `yaml:"shipping" desc:"How shipping is booked."`
	Items     Items              `yaml:"items" desc:"How a line of an order finds its item."`
	Customers Customers          `yaml:"customers" desc:"How customers are made and kept."`
	Products  Switch             `yaml:"products" default:"off" desc:"on: products/create and products/update keep the items that exist; missing ones follow items.create."`
	Orders    Orders             `yaml:"orders" desc:"How an order is booked, and what follows from its changes."`
	Payments  Payments           `yaml:"payments" desc:"How money is booked."`
	Gateways  map[string]Gateway `yaml:"gateways" desc:"By the shop's name of a gateway, such as shopify_payments, paypal, gift_card: who books its money, and where."`
	Fields    Fields             `yaml:"fields" desc:"Further ERPNext fields, each with an expression, by document."`
}

// Accounts names the ERPNext accounts to book on.
type Accounts struct {
	// Clearing is by provider: stripe, paypal, shopify (written
	// shopify_payments too).
	Clearing map[string]ByCurrency `yaml:"clearing" desc:"Where a provider's money is until it is paid out, by provider: stripe, paypal, shopify_payments."`
	RoundOff string                `yaml:"round_off" desc:"For the cents by which the shop's rounding and ERPNext's differ."`
	Shipping string                `yaml:"shipping" desc:"Shipping that customers pay."`
	Tax      string                `yaml:"tax" desc:"Tax that no rule of taxes names."`

	Fees               string     `yaml:"fees" desc:"Fees that providers keep."`
	Disputes           string     `yaml:"disputes" desc:"Disputed money until the dispute is decided."`
	DisputeLosses      string     `yaml:"dispute_losses" desc:"Money lost in disputes."`
	Bank               ByCurrency `yaml:"bank" desc:"Where payouts arrive."`
	GiftCards          string     `yaml:"gift_cards" desc:"Debt to the holders of gift cards."`
	StoreCredit        string     `yaml:"store_credit" desc:"Debt to customers with store credit."`
	Duties             string     `yaml:"duties" desc:"Duties that customers pay."`
	AdditionalFees     string     `yaml:"additional_fees" desc:"Further fees of a sale that customers pay."`
	Tips               string     `yaml:"tips" desc:"Tips, where no item is named for them."`
	ExchangeDifference string     `yaml:"exchange_difference" desc:"What a conversion gains or loses: the difference between what a payment pays of an order in the order's currency and what it was worth on the balance. The company's exchange gain or loss account when it is not named."`
}

// ByCurrency is a name, or one per ISO 4217 currency; the key "" holds for
// every currency that is not named. A source replaces it as a whole.
type ByCurrency map[string]string

// In is the name for a currency, or "".
func (b ByCurrency) In(currency string) string {
	if name := b[currency]; name != "" {
		return name
	}
	return b[""]
}

// TaxRule says where one of the shop's taxes is booked. A field that is empty
// fits everything.
type TaxRule struct {
	Title           string           `yaml:"title" desc:"Pattern of the tax's title; * stands for any text."`
	Rate            *decimal.Decimal `yaml:"rate" desc:"Exact rate: 0.19 for 19 %."`
	Country         string           `yaml:"country" desc:"ISO 3166-1 code of the country the goods go to, such as DE."`
	Account         string           `yaml:"account" desc:"Account of the tax."`
	ItemTaxTemplate string           `yaml:"item_tax_template" desc:"Item Tax Template of the rows, for orders.taxes: on_net_total."`
}

// ShippingAs is how shipping stands in a document.
type ShippingAs string

// The ways to book shipping.
const (
	ShippingRow  ShippingAs = "row"
	ShippingItem ShippingAs = "item"
)

func (ShippingAs) values() []string { return []string{string(ShippingRow), string(ShippingItem)} }

// Shipping is how shipping is booked.
type Shipping struct {
	As       ShippingAs   `yaml:"as" default:"row" desc:"row: a row of the taxes and charges; item: a row of the items."`
	Item     string       `yaml:"item" desc:"Item for as: item."`
	Accounts []ChargeRule `yaml:"accounts" desc:"Accounts by the shipping's title; the first that fits holds, then accounts.shipping."`
}

// ChargeRule says where a charge is booked.
type ChargeRule struct {
	Title   string `yaml:"title" desc:"Pattern of the title; * stands for any text."`
	Account string `yaml:"account" desc:"Account of the charge."`
}

// ItemKey is something of the shop's variant that names an ERPNext item.
type ItemKey string

// What an item may be found by.
const (
	BySKU     ItemKey = "sku"
	ByVariant ItemKey = "variant"
)

func (ItemKey) values() []string { return []string{string(BySKU), string(ByVariant)} }

// ItemCreation is what becomes of a line whose item is missing.
type ItemCreation string

// The ways to make a missing item.
const (
	CreateNothing  ItemCreation = "off"
	CreateStock    ItemCreation = "stock"
	CreateNonStock ItemCreation = "non_stock"
)

func (ItemCreation) values() []string {
	return []string{string(CreateNothing), string(CreateNonStock), string(CreateStock)}
}

// Items is how a line of an order finds its item: the rules first, then Match
// in its order, then creation, then the fallback.
type Items struct {
	Match    []ItemKey    `yaml:"match" default:"sku, variant" desc:"What is looked up as an item code, in this order."`
	Rules    []ItemRule   `yaml:"rules" desc:"Items by what the shop says of the line; the first rule that fits holds, before any look-up."`
	GiftCard string       `yaml:"gift_card" desc:"Item for gift cards sold; its income account is the debt to their holders."`
	Tip      string       `yaml:"tip" desc:"Item for tips. Without one they are a row on accounts.tips."`
	Fallback string       `yaml:"fallback" desc:"Non-stock item for lines that nothing else finds. The same setting as fallback_item."`
	Create   ItemCreation `yaml:"create" default:"off" desc:"Whether a missing item is made, and as what."`
	Group    string       `yaml:"group" desc:"Item Group of items that are made. The site's root when it is not named."`
	UOM      string       `yaml:"uom" default:"Nos" desc:"Stock unit of items that are made."`
}

// ItemRule names an item by what the shop says of a line. All that is set must
// fit.
type ItemRule struct {
	SKU     string `yaml:"sku" desc:"Pattern of the SKU; * stands for any text."`
	Variant string `yaml:"variant" desc:"Pattern of the shop's variant id."`
	Product string `yaml:"product" desc:"Pattern of the shop's product id."`
	Title   string `yaml:"title" desc:"Pattern of the line's title."`
	Vendor  string `yaml:"vendor" desc:"Pattern of the vendor."`
	Item    string `yaml:"item" desc:"Item to book."`
}

// CustomerUpdate is what happens to a customer that exists already.
type CustomerUpdate string

// The ways to update a customer.
const (
	FillEmpty   CustomerUpdate = "fill"
	Overwrite   CustomerUpdate = "overwrite"
	NeverUpdate CustomerUpdate = "never"
)

func (CustomerUpdate) values() []string {
	return []string{string(FillEmpty), string(Overwrite), string(NeverUpdate)}
}

// Customers is how customers are made and kept.
type Customers struct {
	Group       string         `yaml:"group" desc:"Customer Group of customers that are made. Selling Settings' when it is not named."`
	Territory   string         `yaml:"territory" desc:"Territory of customers that are made. Selling Settings' when it is not named."`
	PriceList   string         `yaml:"price_list" desc:"Default price list of customers that are made."`
	TaxCategory string         `yaml:"tax_category" desc:"Tax Category of customers that are made."`
	Update      CustomerUpdate `yaml:"update" default:"fill" desc:"What an order changes in a customer that exists: fill only what is empty, overwrite, or never."`
	TaxIDNames  []string       `yaml:"tax_id_attributes" default:"vat_id, vat_number, vat number, tax_id, tax number" desc:"Names of the order's note attributes that hold the buyer's VAT number, best first."`
	FromShop    Switch         `yaml:"from_shop" default:"off" desc:"on: customers/create and customers/update are booked too, not only the customers of orders."`
	OnePerGuest Switch         `yaml:"one_per_guest_order" default:"off" desc:"on: each order without an account makes a customer of its own."`
}

// Switch turns something on.
type Switch string

// The positions of a switch.
const (
	Off Switch = "off"
	On  Switch = "on"
)

func (Switch) values() []string { return []string{string(Off), string(On)} }

// OrderMoney is which of a shop's two currencies an order is booked in.
type OrderMoney string

// The moneys of an order.
const (
	ShopMoney        OrderMoney = "shop"
	PresentmentMoney OrderMoney = "presentment"
)

func (OrderMoney) values() []string { return []string{string(ShopMoney), string(PresentmentMoney)} }

// OrderWhen is when an order is booked.
type OrderWhen string

// The times to book an order.
const (
	WhenCreated OrderWhen = "created"
	WhenPaid    OrderWhen = "paid"
)

func (OrderWhen) values() []string { return []string{string(WhenCreated), string(WhenPaid)} }

// TaxRows is how tax stands in a document.
type TaxRows string

// The ways to book tax.
const (
	TaxActual     TaxRows = "actual"
	TaxOnNetTotal TaxRows = "on_net_total"
)

func (TaxRows) values() []string { return []string{string(TaxActual), string(TaxOnNetTotal)} }

// Discounts is how discounts stand in a document.
type Discounts string

// The ways to book discounts.
const (
	DiscountNet    Discounts = "net"
	DiscountHeader Discounts = "header"
)

func (Discounts) values() []string { return []string{string(DiscountNet), string(DiscountHeader)} }

// EditPolicy is what an edit of a submitted order does.
type EditPolicy string

// The policies for edits.
const (
	EditReplace EditPolicy = "replace"
	EditNote    EditPolicy = "note"
)

func (EditPolicy) values() []string { return []string{string(EditReplace), string(EditNote)} }

// EditBehindPolicy is what an edit does that something stands behind already.
type EditBehindPolicy string

// The policies for edits of orders that are delivered or invoiced.
const (
	EditBehindNote       EditBehindPolicy = "note"
	EditBehindSupplement EditBehindPolicy = "supplement"
)

func (EditBehindPolicy) values() []string {
	return []string{string(EditBehindNote), string(EditBehindSupplement)}
}

// CancelPolicy is what the shop's cancellation does.
type CancelPolicy string

// The policies for cancellations.
const (
	CancelOrder CancelPolicy = "cancel"
	CancelNote  CancelPolicy = "note"
)

func (CancelPolicy) values() []string { return []string{string(CancelOrder), string(CancelNote)} }

// ClosedPeriod is what becomes of a document whose date can no longer be booked.
type ClosedPeriod string

// The policies for closed periods.
const (
	RefuseClosed ClosedPeriod = "refuse"
	FirstOpenDay ClosedPeriod = "first_open_day"
)

func (ClosedPeriod) values() []string { return []string{string(RefuseClosed), string(FirstOpenDay)} }

// Invoicing is when Sales Invoices are made.
type Invoicing string

// The times to invoice.
const (
	InvoiceNever     Invoicing = "never"
	InvoicePaid      Invoicing = "paid"
	InvoiceFulfilled Invoicing = "fulfilled"
)

func (Invoicing) values() []string {
	return []string{string(InvoiceNever), string(InvoicePaid), string(InvoiceFulfilled)}
}

// TestOrders is what becomes of a shop's test orders.
type TestOrders string

// The policies for test orders.
const (
	SkipTests TestOrders = "skip"
	BookTests TestOrders = "book"
)

func (TestOrders) values() []string { return []string{string(SkipTests), string(BookTests)} }

// PONumber is what stands in po_no.
type PONumber string

// What may stand in po_no.
const (
	POName          PONumber = "name"
	PONumberOfBuyer PONumber = "po_number"
)

func (PONumber) values() []string { return []string{string(POName), string(PONumberOfBuyer)} }

// Orders is how an order is booked, and what follows from its changes.
type Orders struct {
	Currency      OrderMoney        `yaml:"currency" default:"shop" desc:"Book in the shop's money, or in what the buyer was shown with the shop's rate."`
	When          OrderWhen         `yaml:"when" default:"created" desc:"Book an order when it is created, or when it is paid."`
	Submit        *bool             `yaml:"submit" default:"true" desc:"Submit orders. false leaves drafts for a person."`
	Taxes         TaxRows           `yaml:"taxes" default:"actual" desc:"actual: the shop's amounts, one row per account; on_net_total: one row per rate, for sites that need the tax of each item."`
	Discounts     Discounts         `yaml:"discounts" default:"net" desc:"net: prices after discounts; header: the shop's prices and one discount on the document."`
	RoundingLimit *decimal.Decimal  `yaml:"rounding_limit" desc:"Most that may go to accounts.round_off, in the order's currency. Without it one minor unit per amount that the shop rounded."`
	Edits         EditPolicy        `yaml:"edits" default:"replace" desc:"An edited order with nothing behind it is cancelled and made anew, or only noted and alerted."`
	EditsBehind   EditBehindPolicy  `yaml:"edits_behind" default:"note" desc:"An edited order with deliveries or invoices behind it: note and alert, or a supplementary order for what was added."`
	Cancel        CancelPolicy      `yaml:"cancel" default:"cancel" desc:"A cancelled order is cancelled, or closed when something stands behind it; or only noted."`
	ClosedPeriod  ClosedPeriod      `yaml:"closed_period" default:"refuse" desc:"A document of a closed period is refused, or posted to the first open day."`
	DeliveryNotes Switch            `yaml:"delivery_notes" default:"off" desc:"on: a Delivery Note per fulfilment, cancelled with it. Gift cards and tips are not delivered."`
	Locations     map[string]string `yaml:"locations" desc:"Warehouse by the shop's location id: that of the order's location, and for a Delivery Note that of the fulfilment's."`
	Invoices      Invoicing         `yaml:"invoices" default:"never" desc:"When Sales Invoices are made: never; paid: the whole order, once the shop counts it as paid; fulfilled: one per fulfilment with its own share of tax, the first with the shipping."`
	CreditNotes   Switch            `yaml:"credit_notes" default:"off" desc:"on: a refund of what was invoiced makes a credit note. Without an invoice the order itself is edited."`
	TestOrders    TestOrders        `yaml:"test_orders" default:"skip" desc:"Whether test orders are booked."`
	NamingSeries  string            `yaml:"naming_series" desc:"Naming series of Sales Orders. A series per shop spreads ERPNext's lock."`
	PONo          PONumber          `yaml:"po_no" default:"name" desc:"What stands in the order's po_no: the shop's order name, or the buyer's own number where there is one."`
	SkipTags      []string          `yaml:"skip_tags" desc:"Orders with one of these tags are not booked."`
}

// FeePolicy is how providers' fees are booked.
type FeePolicy string

// The policies for fees.
const (
	FeeDeduction FeePolicy = "deduction"
	FeePayout    FeePolicy = "payout"
	FeeNone      FeePolicy = "none"
)

func (FeePolicy) values() []string {
	return []string{string(FeeDeduction), string(FeePayout), string(FeeNone)}
}

// DifferencePolicy is what becomes of a payment that is not what its order asks for.
type DifferencePolicy string

// The policies for differing payments.
const (
	BookDifference DifferencePolicy = "book"
	StopDifference DifferencePolicy = "stop"
)

func (DifferencePolicy) values() []string {
	return []string{string(BookDifference), string(StopDifference)}
}

// Payments holds the policies for money.
type Payments struct {
	// WaitForOrder is how long a payment that names an order waits for it
	// before it is booked on account; nil = 30 minutes.
	WaitForOrder  *time.Duration   `yaml:"wait_for_order" default:"30m" desc:"How long a payment waits for the order it names before it is booked on account."`
	Fees          FeePolicy        `yaml:"fees" default:"deduction" desc:"A fee is deducted from its payment; added up and booked with the next payout, by one Journal Entry; or not booked. Only with deduction does the clearing account always hold what the provider holds."`
	FeeWait       *time.Duration   `yaml:"fee_wait" default:"10m" desc:"How long a payment waits for its fee to be told, before it is booked without; the fee then gets a Journal Entry. A payment in a currency that no clearing account has waits for two hours, within which the provider tells what it was converted to; 0s waits for nothing, nor does anything without the provider's API key."`
	OrderRefs     []string         `yaml:"order_refs" default:"order_id, shopify_order_id, order_name, shopify_order_name, order_number" desc:"Names in a provider's metadata that hold the order's id or name, best first. A value with commas names several orders, which the payment pays in turn."`
	Underpayment  DifferencePolicy `yaml:"underpayment" default:"book" desc:"A payment of less than its order asks for is booked, or stops for a person; so does the first of several."`
	Overpayment   DifferencePolicy `yaml:"overpayment" default:"book" desc:"What a payment has beyond what is due is booked on account, or the payment stops for a person."`
	ModeOfPayment string           `yaml:"mode_of_payment" desc:"Mode of Payment where the gateway names none."`
}

// Wait is the effective WaitForOrder.
func (p Payments) Wait() time.Duration {
	if p.WaitForOrder == nil {
		return *defaults.Payments.WaitForOrder
	}
	return *p.WaitForOrder
}

// GatewayOwner says whose events book a gateway's money.
type GatewayOwner string

// The owners of a gateway.
const (
	OwnerShop     GatewayOwner = "shop"     // the shop's transactions
	OwnerProvider GatewayOwner = "provider" // the payment provider's own webhooks
	OwnerNone     GatewayOwner = "none"     // nobody: it is booked by hand
)

func (GatewayOwner) values() []string {
	return []string{string(OwnerShop), string(OwnerProvider), string(OwnerNone)}
}

// Provider is a sender that this service can verify.
type Provider string

// The providers.
const (
	ProviderShopify Provider = "shopify"
	ProviderStripe  Provider = "stripe"
	ProviderPayPal  Provider = "paypal"
)

func (Provider) values() []string {
	return []string{string(ProviderShopify), string(ProviderStripe), string(ProviderPayPal)}
}

// Gateway is one of a shop's ways to pay. Owner and Provider have no default
// here: what is not said depends on which providers are on.
type Gateway struct {
	Owner         GatewayOwner    `yaml:"owner" desc:"Who books its money: the shop's transactions, the provider's own webhooks, or nobody."`
	Provider      GatewayProvider `yaml:"provider" desc:"The provider whose webhooks own it. A source of it must be configured."`
	Account       ByCurrency      `yaml:"account" desc:"Account that the money goes to. The provider's clearing account when it is not named."`
	ModeOfPayment string          `yaml:"mode_of_payment" desc:"Mode of Payment of its entries, and of its provider's."`
	FeeAccount    string          `yaml:"fee_account" desc:"Account of its fees, and of its provider's. accounts.fees when it is not named."`
}

// GatewayProvider is a payment provider behind a shop's gateway.
type GatewayProvider string

// The payment providers.
const (
	GatewayStripe GatewayProvider = "stripe"
	GatewayPayPal GatewayProvider = "paypal"
)

func (GatewayProvider) values() []string {
	return []string{string(GatewayStripe), string(GatewayPayPal)}
}

// Fields holds further ERPNext fields by the document that has them.
type Fields struct {
	Customer       map[string]Expression `yaml:"customer" desc:"Fields of a Customer."`
	SalesOrder     map[string]Expression `yaml:"sales_order" desc:"Fields of a Sales Order."`
	SalesOrderItem map[string]Expression `yaml:"sales_order_item" desc:"Fields of a Sales Order's rows."`
	PaymentEntry   map[string]Expression `yaml:"payment_entry" desc:"Fields of a Payment Entry."`
	DeliveryNote   map[string]Expression `yaml:"delivery_note" desc:"Fields of a Delivery Note."`
	SalesInvoice   map[string]Expression `yaml:"sales_invoice" desc:"Fields of a Sales Invoice."`
}

// Expression is the text of an expression and where it stands.
type Expression struct {
	Text string
	At   Position
	lead int // blanks before each line of a literal block; 0 = it is none
}

// Position is a place in the sheet, counted from 1; columns are runes.
type Position struct{ Line, Column int }

// DocumentFields are the further fields of one kind of document.
type DocumentFields struct {
	Key    string // in the sheet: "sales_order"
	Fields map[string]Expression
}

// Documents lists the fields by document, in a fixed order.
func (f Fields) Documents() []DocumentFields {
	return []DocumentFields{
		{"customer", f.Customer}, {"sales_order", f.SalesOrder}, {"sales_order_item", f.SalesOrderItem},
		{"payment_entry", f.PaymentEntry}, {"delivery_note", f.DeliveryNote}, {"sales_invoice", f.SalesInvoice},
	}
}

// Place is where a part of the expression's text stands in the sheet: line and
// column are those within the text, from 1. Where the two do not correspond, as
// in a text that YAML folds, it is where the text begins.
func (e Expression) Place(line, column int) Position {
	switch {
	case e.lead > 0:
		return Position{e.At.Line + line - 1, e.lead + column}
	case line == 1:
		return Position{e.At.Line, e.At.Column + column - 1}
	default:
		return e.At
	}
}
