package formula

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
)

// Env is what the expressions of a document see. Make one with ForOrder,
// ForLine, ForCustomer, ForPayment or ForFulfillment.
type Env interface{ kinds() []Kind }

type customerEnv struct {
	Customer Customer `expr:"customer"`
}

type orderEnv struct {
	Order    Order    `expr:"order"`
	Customer Customer `expr:"customer"`
}

type lineEnv struct {
	Line     Line     `expr:"line"`
	Order    Order    `expr:"order"`
	Customer Customer `expr:"customer"`
}

type paymentEnv struct {
	Payment Payment `expr:"payment"`
}

type fulfillmentEnv struct {
	Fulfillment Fulfillment `expr:"fulfillment"`
	Order       Order       `expr:"order"`
	Customer    Customer    `expr:"customer"`
}

func (customerEnv) kinds() []Kind    { return []Kind{KindCustomer} }
func (orderEnv) kinds() []Kind       { return []Kind{KindSalesOrder, KindSalesInvoice} }
func (lineEnv) kinds() []Kind        { return []Kind{KindSalesOrderItem} }
func (paymentEnv) kinds() []Kind     { return []Kind{KindPaymentEntry} }
func (fulfillmentEnv) kinds() []Kind { return []Kind{KindDeliveryNote} }

var environments = map[Kind]Env{
	KindCustomer: customerEnv{}, KindSalesOrder: orderEnv{}, KindSalesInvoice: orderEnv{}, KindSalesOrderItem: lineEnv{},
	KindPaymentEntry: paymentEnv{}, KindDeliveryNote: fulfillmentEnv{},
}

// Order is an order in an expression. Amounts are in Currency.
type Order struct {
	ID            string            `expr:"id"`
	Name          string            `expr:"name"`
	Currency      string            `expr:"currency"`
	CreatedAt     time.Time         `expr:"created_at"`
	UpdatedAt     time.Time         `expr:"updated_at"`
	Paid          bool              `expr:"paid"`
	Cancelled     bool              `expr:"cancelled"`
	Test          bool              `expr:"test"`
	TaxesIncluded bool              `expr:"taxes_included"`
	Total         Decimal           `expr:"total"`
	TotalTax      Decimal           `expr:"total_tax"`
	Tip           Decimal           `expr:"tip"`
	Note          string            `expr:"note"`
	Tags          []string          `expr:"tags"`
	Attributes    map[string]string `expr:"attributes"`
	Channel       string            `expr:"channel"`
	LocationID    string            `expr:"location_id"`
	PONumber      string            `expr:"po_number"`
	DiscountCodes []string          `expr:"discount_codes"`
	Shipping      []Charge          `expr:"shipping"`
	Lines         []Line            `expr:"lines"`
	BillTo        Address           `expr:"bill_to"`
	ShipTo        Address           `expr:"ship_to"`
}

// Line is a line of an order in an expression.
type Line struct {
	ID         string            `expr:"id"`
	Kind       string            `expr:"kind"` // "", "gift_card", "tip"
	SKU        string            `expr:"sku"`
	VariantID  string            `expr:"variant_id"`
	ProductID  string            `expr:"product_id"`
	Vendor     string            `expr:"vendor"`
	Title      string            `expr:"title"`
	Quantity   int               `expr:"quantity"`
	UnitPrice  Decimal           `expr:"unit_price"`
	Discount   Decimal           `expr:"discount"`
	Tax        Decimal           `expr:"tax"`
	Properties map[string]string `expr:"properties"`
}

// Charge is a shipping charge in an expression.
type Charge struct {
	Title    string  `expr:"title"`
	Code     string  `expr:"code"`
	Price    Decimal `expr:"price"`
	Discount Decimal `expr:"discount"`
}

// Customer is a buyer in an expression; a guest has no id.
type Customer struct {
	ID        string   `expr:"id"`
	Email     string   `expr:"email"`
	FirstName string   `expr:"first_name"`
	LastName  string   `expr:"last_name"`
	Company   string   `expr:"company"`
	TaxID     string   `expr:"tax_id"`
	TaxExempt bool     `expr:"tax_exempt"`
	Phone     string   `expr:"phone"`
	Tags      []string `expr:"tags"`
	Note      string   `expr:"note"`
	Address   Address  `expr:"address"`
}

// Address is a postal address in an expression, empty when there is none.
type Address struct {
	Name        string `expr:"name"`
	Company     string `expr:"company"`
	Phone       string `expr:"phone"`
	Line1       string `expr:"line1"`
	Line2       string `expr:"line2"`
	City        string `expr:"city"`
	Region      string `expr:"region"`
	PostalCode  string `expr:"postal_code"`
	Country     string `expr:"country"`
	CountryCode string `expr:"country_code"`
}

// Payment is a payment in an expression.
type Payment struct {
	ID         string    `expr:"id"`
	Reference  string    `expr:"reference"`
	Amount     Decimal   `expr:"amount"`
	Currency   string    `expr:"currency"`
	Fee        Decimal   `expr:"fee"` // zero while it is not known
	At         time.Time `expr:"at"`
	Provider   string    `expr:"provider"`
	Gateway    string    `expr:"gateway"`
	OrderRefs  []string  `expr:"order_refs"`
	PayerEmail string    `expr:"payer_email"`
	PayerName  string    `expr:"payer_name"`
}

// Fulfillment is goods that left, in an expression.
type Fulfillment struct {
	ID         string    `expr:"id"`
	Name       string    `expr:"name"`
	At         time.Time `expr:"at"`
	LocationID string    `expr:"location_id"`
	Tracking   []string  `expr:"tracking"`
}

// ForCustomer is what the fields of a Customer see.
func ForCustomer(p *commerce.Party) Env { return customerEnv{customer(p)} }

// ForOrder is what the fields of a Sales Order or a Sales Invoice see.
func ForOrder(o commerce.Order) Env { return orderEnv{order(o), customer(o.Customer)} }

// ForLine is what the fields of a Sales Order's row see; line is one of the
// order's.
func ForLine(o commerce.Order, line commerce.Line) Env {
	return lineEnv{lineOf(line), order(o), customer(o.Customer)}
}

// ForPayment is what the fields of a Payment Entry see.
func ForPayment(p commerce.Payment) Env {
	e := Payment{
		ID: p.ID, Reference: p.Reference, Amount: amount(p.Amount), Currency: p.Amount.Currency(), At: p.At, Provider: p.Provider,
		Gateway: p.Gateway, OrderRefs: p.OrderRefs, PayerEmail: p.PayerEmail, PayerName: p.PayerName,
	}
	if p.Settlement != nil {
		e.Fee = amount(p.Settlement.Fee)
	}
	return paymentEnv{e}
}

// ForFulfillment is what the fields of a Delivery Note see.
func ForFulfillment(o commerce.Order, f commerce.Fulfillment) Env {
	return fulfillmentEnv{
		Fulfillment{ID: f.ID, Name: f.Name, At: f.At, LocationID: f.LocationID, Tracking: f.Tracking}, order(o), customer(o.Customer),
	}
}

func order(o commerce.Order) Order {
	e := Order{
		ID: o.ID, Name: o.Name, Currency: o.Currency, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, Paid: o.Paid, Cancelled: o.Cancelled(), Test: o.Test,
		TaxesIncluded: o.TaxesIncluded, Total: amount(o.Total), TotalTax: amount(o.TotalTax), Tip: amount(o.Tip), Note: o.Note, Tags: o.Tags,
		Attributes: o.Attributes, Channel: o.Channel, LocationID: o.LocationID, PONumber: o.PONumber, DiscountCodes: o.DiscountIDs,
		BillTo: address(o.BillTo), ShipTo: address(o.ShipTo),
	}
	for _, c := range o.Shipping {
		e.Shipping = append(e.Shipping, Charge{c.Title, c.Code, amount(c.Price), amount(c.Discount)})
	}
	for _, l := range o.Lines {
		e.Lines = append(e.Lines, lineOf(l))
	}
	return e
}

func lineOf(l commerce.Line) Line {
	e := Line{
		ID: l.ID, Kind: string(l.Kind), SKU: l.SKU, VariantID: l.VariantID, ProductID: l.ProductID, Vendor: l.Vendor, Title: l.Title,
		Quantity: int(l.Quantity), UnitPrice: amount(l.UnitPrice), Discount: amount(l.Discount), Properties: l.Properties,
	}
	for _, tax := range l.Taxes {
		e.Tax = Decimal{e.Tax.value.Add(tax.Amount.Value())}
	}
	return e
}

func customer(p *commerce.Party) Customer {
	if p == nil {
		return Customer{}
	}
	return Customer{
		ID: p.ID, Email: p.Email, FirstName: p.FirstName, LastName: p.LastName, Company: p.Company, TaxID: p.TaxID, TaxExempt: p.TaxExempt,
		Phone: p.Phone, Tags: p.Tags, Note: p.Note, Address: address(p.Address),
	}
}

func address(a *commerce.Address) Address {
	if a == nil {
		return Address{}
	}
	return Address(*a)
}

var (
	unknownName  = regexp.MustCompile(`^unknown name (\w+)`)
	unknownField = regexp.MustCompile(`^type (\w+) has no field (\w+)`)
)

// hint lists what an expression could have meant.
func hint(message string, env reflect.Type) string {
	if unknownName.MatchString(message) {
		return "known: " + strings.Join(append(names(env), functionNames()...), ", ")
	}
	if m := unknownField.FindStringSubmatch(message); m != nil {
		if t := find(env, m[1]); t != nil {
			return fmt.Sprintf("known: %s", strings.Join(names(t), ", "))
		}
	}
	return ""
}

// functionNames are the functions for people, sorted.
func functionNames() []string {
	return slices.Sorted(slices.Values(append(slices.Clone(builtins), "decimal", "round", "abs", "total", "string", "join", "split", "replace")))
}

// names are what a struct's fields are called in expressions.
func names(t reflect.Type) []string {
	var list []string
	for f := range t.Fields() {
		list = append(list, f.Tag.Get("expr"))
	}
	return list
}

// find is the struct of a name in what an environment holds.
func find(t reflect.Type, name string) reflect.Type {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == typeTime || t == typeDecimal {
		return nil
	}
	if t.Name() == name {
		return t
	}
	for f := range t.Fields() {
		if found := find(f.Type, name); found != nil {
			return found
		}
	}
	return nil
}

// reserved are the fields that decide what a document is and what it is worth:
// those are the service's.
var reserved = []string{
	"name", "doctype", "docstatus", "owner", "creation", "modified", "modified_by", "parent", "parenttype", "parentfield", "idx", "status",
	"amended_from", "custom_ledgerhook_key", "company", "currency", "conversion_rate", "selling_price_list", "price_list_currency", "plc_conversion_rate",
	"customer", "customer_name", "customer_type", "party", "party_type", "payment_type", "paid_from", "paid_to", "paid_amount", "received_amount",
	"source_exchange_rate", "target_exchange_rate", "paid_from_account_currency", "paid_to_account_currency", "references", "deductions",
	"items", "taxes", "payment_schedule", "advances", "total", "net_total", "grand_total", "rounded_total", "total_taxes_and_charges",
	"base_total", "base_net_total", "base_grand_total", "base_rounded_total", "outstanding_amount", "advance_paid", "discount_amount",
	"additional_discount_percentage", "apply_discount_on", "ignore_pricing_rule", "disable_rounded_total", "taxes_and_charges", "payment_terms_template",
	"transaction_date", "posting_date", "posting_time", "set_posting_time", "is_return", "return_against", "debit_to",
	"item_code", "qty", "rate", "amount", "net_rate", "net_amount", "price_list_rate", "conversion_factor", "stock_qty", "discount_percentage",
	"reference_no", "reference_date", "against_sales_order", "so_detail", "sales_order", "accounts",
}

// Reserved says why a field is not the merchant's to fill, or "".
func Reserved(field string) string {
	if slices.Contains(reserved, field) {
		return "is filled by ledgerhook itself"
	}
	return ""
}
