package erpnext

// KeyField is the unique custom field that carries our idempotency key on
// every DocType we create. Setup makes it. Keys are compared without regard to
// case, accents and trailing spaces, and have at most MaxKey characters.
const KeyField = "custom_ledgerhook_key"

// MaxKey is the longest key in characters.
const MaxKey = 140

// DocTypes whose documents this service creates.
const (
	DocCustomer     = "Customer"
	DocSalesOrder   = "Sales Order"
	DocPaymentEntry = "Payment Entry"
	DocAddress      = "Address"
	DocItem         = "Item"
	DocDeliveryNote = "Delivery Note"
	DocSalesInvoice = "Sales Invoice"
)

// Values of docstatus.
const (
	Draft     = 0
	Submitted = 1
	Cancelled = 2
)

// Fields without omitempty are always sent, because ERPNext replaces an absent
// value by a default of its own: a rate of 0 by the price list's, an absent
// template by the customer's. Dates are "YYYY-MM-DD" in the site's time zone;
// anything else is a server error there.

// Customer is the body of a new Customer. E-mail and phone make a Contact, and
// AddressLine1, City and Country (its name, not its code) an Address, in one
// transaction; an invalid e-mail or phone refuses all three.
type Customer struct {
	CustomerName     string `json:"customer_name"`
	CustomerType     string `json:"customer_type"` // "Individual" or "Company"
	CustomerGroup    string `json:"customer_group,omitempty"`
	Territory        string `json:"territory,omitempty"`
	DefaultCurrency  string `json:"default_currency,omitempty"`
	DefaultPriceList string `json:"default_price_list,omitempty"`
	TaxID            string `json:"tax_id,omitempty"`
	TaxCategory      string `json:"tax_category,omitempty"`
	Language         string `json:"language,omitempty"`
	Website          string `json:"website,omitempty"`
	CustomerDetails  string `json:"customer_details,omitempty"`

	FirstName string `json:"first_name,omitempty"`
	LastName  string `json:"last_name,omitempty"`
	EmailID   string `json:"email_id,omitempty"`
	MobileNo  string `json:"mobile_no,omitempty"`

	AddressLine1 string `json:"address_line1,omitempty"`
	AddressLine2 string `json:"address_line2,omitempty"`
	City         string `json:"city,omitempty"`
	State        string `json:"state,omitempty"`
	Pincode      string `json:"pincode,omitempty"`
	Country      string `json:"country,omitempty"`

	Key string `json:"custom_ledgerhook_key,omitempty"`

	Extra Extra `json:"-"`
}

// SalesOrder is the body of a new Sales Order. Amounts are major units of
// Currency.
type SalesOrder struct {
	Customer             string `json:"customer"`
	CustomerName         string `json:"customer_name,omitempty"`
	Company              string `json:"company"`
	OrderType            string `json:"order_type,omitempty"` // "Sales"
	TransactionDate      string `json:"transaction_date"`
	DeliveryDate         string `json:"delivery_date"`
	Currency             string `json:"currency"`
	ConversionRate       Number `json:"conversion_rate,omitzero"`
	SellingPriceList     string `json:"selling_price_list,omitempty"`
	PriceListCurrency    string `json:"price_list_currency,omitempty"`
	PlcConversionRate    Number `json:"plc_conversion_rate,omitzero"`
	PoNo                 string `json:"po_no,omitempty"`
	PoDate               string `json:"po_date,omitempty"`
	Title                string `json:"title,omitempty"` // without it ERPNext 15 stores "{customer_name}"
	CostCenter           string `json:"cost_center,omitempty"`
	SetWarehouse         string `json:"set_warehouse,omitempty"`
	TaxCategory          string `json:"tax_category,omitempty"`
	Source               string `json:"source,omitempty"`
	AmendedFrom          string `json:"amended_from,omitempty"`
	NamingSeries         string `json:"naming_series,omitempty"`
	Terms                string `json:"terms,omitempty"`
	CustomerAddress      string `json:"customer_address,omitempty"`
	ShippingAddressName  string `json:"shipping_address_name,omitempty"`
	ContactPerson        string `json:"contact_person,omitempty"`
	IgnorePricingRule    Check  `json:"ignore_pricing_rule"`
	DisableRoundedTotal  Check  `json:"disable_rounded_total"`
	PaymentTermsTemplate string `json:"payment_terms_template"`
	TaxesAndCharges      string `json:"taxes_and_charges"`

	ApplyDiscountOn string `json:"apply_discount_on,omitempty"`
	DiscountAmount  Number `json:"discount_amount,omitzero"`

	Items []SalesOrderItem `json:"items"`
	Taxes []TaxRow         `json:"taxes,omitempty"`

	Key string `json:"custom_ledgerhook_key,omitempty"`

	Extra Extra `json:"-"`
}

// SalesOrderItem is one row of an order. Rate is net of discounts and, unless
// the tax rows say otherwise, of tax. PriceListRate 0 keeps ERPNext from
// putting a price list's rate in the place of a Rate of 0.
type SalesOrderItem struct {
	ItemCode         string `json:"item_code"`
	ItemName         string `json:"item_name,omitempty"`
	Description      string `json:"description,omitempty"`
	Qty              Number `json:"qty"`
	UOM              string `json:"uom,omitempty"`
	ConversionFactor Number `json:"conversion_factor,omitzero"`
	Rate             Number `json:"rate"`
	PriceListRate    Number `json:"price_list_rate"`
	Warehouse        string `json:"warehouse,omitempty"`
	CostCenter       string `json:"cost_center,omitempty"`
	DeliveryDate     string `json:"delivery_date,omitempty"`
	ItemTaxTemplate  string `json:"item_tax_template,omitempty"`
	IncomeAccount    string `json:"income_account,omitempty"`
	IsFreeItem       Check  `json:"is_free_item,omitzero"`

	Extra Extra `json:"-"`
}

// DeliveryNote is the body of a new Delivery Note. It takes its taxes from
// nowhere: it has no ledger entries of them.
type DeliveryNote struct {
	Customer             string `json:"customer"`
	Company              string `json:"company"`
	PostingDate          string `json:"posting_date"`
	PostingTime          string `json:"posting_time"`
	SetPostingTime       Check  `json:"set_posting_time"`
	Currency             string `json:"currency"`
	ConversionRate       Number `json:"conversion_rate,omitzero"`
	SellingPriceList     string `json:"selling_price_list,omitempty"`
	PoNo                 string `json:"po_no,omitempty"`
	Title                string `json:"title,omitempty"`
	LrNo                 string `json:"lr_no,omitempty"` // the carrier's number
	CostCenter           string `json:"cost_center,omitempty"`
	CustomerAddress      string `json:"customer_address,omitempty"`
	ShippingAddressName  string `json:"shipping_address_name,omitempty"`
	IgnorePricingRule    Check  `json:"ignore_pricing_rule"`
	DisableRoundedTotal  Check  `json:"disable_rounded_total"`
	PaymentTermsTemplate string `json:"payment_terms_template"`
	TaxesAndCharges      string `json:"taxes_and_charges"`

	Items []DeliveryNoteItem `json:"items"`
	Taxes []TaxRow           `json:"taxes,omitempty"`

	Key string `json:"custom_ledgerhook_key,omitempty"`

	Extra Extra `json:"-"`
}

// DeliveryNoteItem is one row of a Delivery Note. AgainstSalesOrder and
// SoDetail must come together.
type DeliveryNoteItem struct {
	ItemCode          string `json:"item_code"`
	ItemName          string `json:"item_name,omitempty"`
	Description       string `json:"description,omitempty"`
	Qty               Number `json:"qty"`
	UOM               string `json:"uom,omitempty"`
	ConversionFactor  Number `json:"conversion_factor,omitzero"`
	Rate              Number `json:"rate"`
	PriceListRate     Number `json:"price_list_rate"`
	Warehouse         string `json:"warehouse,omitempty"`
	CostCenter        string `json:"cost_center,omitempty"`
	AgainstSalesOrder string `json:"against_sales_order"`
	SoDetail          string `json:"so_detail"` // the order's row
}

// SalesInvoice is the body of a new Sales Invoice, or of a credit note when
// IsReturn is set.
type SalesInvoice struct {
	Customer             string `json:"customer"`
	Company              string `json:"company"`
	PostingDate          string `json:"posting_date"`
	PostingTime          string `json:"posting_time"`
	SetPostingTime       Check  `json:"set_posting_time"`
	DueDate              string `json:"due_date"`
	Currency             string `json:"currency"`
	ConversionRate       Number `json:"conversion_rate,omitzero"`
	SellingPriceList     string `json:"selling_price_list,omitempty"`
	DebitTo              string `json:"debit_to,omitempty"` // ERPNext fills the customer's
	PoNo                 string `json:"po_no,omitempty"`
	Title                string `json:"title,omitempty"`
	CostCenter           string `json:"cost_center,omitempty"`
	CustomerAddress      string `json:"customer_address,omitempty"`
	ShippingAddressName  string `json:"shipping_address_name,omitempty"`
	UpdateStock          Check  `json:"update_stock"`
	IgnorePricingRule    Check  `json:"ignore_pricing_rule"`
	DisableRoundedTotal  Check  `json:"disable_rounded_total"`
	PaymentTermsTemplate string `json:"payment_terms_template"`
	IgnoreTermsTemplate  Check  `json:"ignore_default_payment_terms_template"`
	TaxesAndCharges      string `json:"taxes_and_charges"`

	// AllocateAdvances pulls the payments that are allocated to the order, so
	// that an order that was paid makes a paid invoice.
	AllocateAdvances Check `json:"allocate_advances_automatically"`
	OnlyAllocated    Check `json:"only_include_allocated_payments"`

	IsReturn            Check  `json:"is_return,omitzero"`
	ReturnAgainst       string `json:"return_against,omitempty"`
	OutstandingForSelf  Check  `json:"update_outstanding_for_self"`
	UpdateBilledOfOrder Check  `json:"update_billed_amount_in_sales_order"`
	ApplyDiscountOn     string `json:"apply_discount_on,omitempty"`
	DiscountAmount      Number `json:"discount_amount,omitzero"`

	Items []SalesInvoiceItem `json:"items"`
	Taxes []TaxRow           `json:"taxes"`

	Key string `json:"custom_ledgerhook_key,omitempty"`

	Extra Extra `json:"-"`
}

// SalesInvoiceItem is one row of an invoice. In a credit note Qty is negative,
// and a row with a Qty of 0 stands for its Rate alone.
type SalesInvoiceItem struct {
	ItemCode         string `json:"item_code"`
	ItemName         string `json:"item_name,omitempty"`
	Description      string `json:"description,omitempty"`
	Qty              Number `json:"qty"`
	UOM              string `json:"uom,omitempty"`
	ConversionFactor Number `json:"conversion_factor,omitzero"`
	Rate             Number `json:"rate"`
	PriceListRate    Number `json:"price_list_rate"`
	Warehouse        string `json:"warehouse,omitempty"`
	CostCenter       string `json:"cost_center,omitempty"`
	IncomeAccount    string `json:"income_account,omitempty"`
	ItemTaxTemplate  string `json:"item_tax_template,omitempty"`
	SalesOrder       string `json:"sales_order,omitempty"`
	SoDetail         string `json:"so_detail,omitempty"`          // the order's row
	InvoiceItem      string `json:"sales_invoice_item,omitempty"` // of a credit note: the invoice's row
}

// TaxRow is one row of Taxes and Charges. ChargeType "Actual" takes TaxAmount
// as it is; "On Net Total" computes it from Rate.
type TaxRow struct {
	ChargeType          string `json:"charge_type"`
	AccountHead         string `json:"account_head"`
	Description         string `json:"description"` // ERPNext refuses a row without
	TaxAmount           Number `json:"tax_amount"`
	Rate                Number `json:"rate,omitzero"`
	IncludedInPrintRate Check  `json:"included_in_print_rate,omitzero"`
	CostCenter          string `json:"cost_center,omitempty"`
}

// Address is the body of a new Address. Country is ERPNext's name of it.
type Address struct {
	AddressTitle string        `json:"address_title"`
	AddressType  string        `json:"address_type"` // "Billing", "Shipping"
	AddressLine1 string        `json:"address_line1"`
	AddressLine2 string        `json:"address_line2,omitempty"`
	City         string        `json:"city"`
	State        string        `json:"state,omitempty"`
	Pincode      string        `json:"pincode,omitempty"`
	Country      string        `json:"country"`
	Phone        string        `json:"phone,omitempty"`
	Links        []DynamicLink `json:"links"`

	Key string `json:"custom_ledgerhook_key,omitempty"`
}

// DynamicLink says whose an Address or Contact is.
type DynamicLink struct {
	LinkDoctype string `json:"link_doctype"`
	LinkName    string `json:"link_name"`
}

// Item is the body of a new Item.
type Item struct {
	ItemCode    string `json:"item_code"`
	ItemName    string `json:"item_name"`
	ItemGroup   string `json:"item_group"`
	StockUOM    string `json:"stock_uom"`
	IsStockItem Check  `json:"is_stock_item"`
	Description string `json:"description,omitempty"`
}

// PaymentEntry is the body of a new Payment Entry. Amounts are major units of
// the account they are named after.
type PaymentEntry struct {
	PaymentType             string `json:"payment_type"` // "Receive" or "Pay"
	PostingDate             string `json:"posting_date"`
	Company                 string `json:"company"`
	ModeOfPayment           string `json:"mode_of_payment,omitempty"`
	PartyType               string `json:"party_type"` // "Customer"
	Party                   string `json:"party"`
	PaidFrom                string `json:"paid_from,omitempty"`
	PaidTo                  string `json:"paid_to,omitempty"`
	PaidFromAccountCurrency string `json:"paid_from_account_currency,omitempty"`
	PaidToAccountCurrency   string `json:"paid_to_account_currency,omitempty"`
	PaidAmount              Number `json:"paid_amount"`
	ReceivedAmount          Number `json:"received_amount"`
	SourceExchangeRate      Number `json:"source_exchange_rate,omitzero"`
	TargetExchangeRate      Number `json:"target_exchange_rate,omitzero"`
	ReferenceNo             string `json:"reference_no,omitempty"`
	ReferenceDate           string `json:"reference_date,omitempty"`
	Title                   string `json:"title,omitempty"`
	CostCenter              string `json:"cost_center,omitempty"`
	Remarks                 string `json:"remarks,omitempty"` // kept only with CustomRemarks
	CustomRemarks           Check  `json:"custom_remarks,omitzero"`
	AmendedFrom             string `json:"amended_from,omitempty"`
	NamingSeries            string `json:"naming_series,omitempty"`

	References []PaymentReference `json:"references,omitempty"`
	Deductions []PaymentDeduction `json:"deductions,omitempty"`

	Key string `json:"custom_ledgerhook_key,omitempty"`

	Extra Extra `json:"-"`
}

// PaymentReference allocates part of a payment to an order or invoice.
type PaymentReference struct {
	ReferenceDoctype string `json:"reference_doctype"`
	ReferenceName    string `json:"reference_name"`
	AllocatedAmount  Number `json:"allocated_amount"`
	PaymentTerm      string `json:"payment_term,omitempty"`
}

// PaymentDeduction is a part of a payment that did not arrive: a fee.
type PaymentDeduction struct {
	Account     string `json:"account"`
	CostCenter  string `json:"cost_center"`
	Amount      Number `json:"amount"`
	Description string `json:"description,omitempty"`
}

// Stored is what callers read of a document in ERPNext. A field is set when
// the DocType has it and the answer carried it; absent and null are the same.
// The answer to a submit is stale in derived fields (Status, AdvancePaid):
// Get again where they matter.
type Stored struct {
	Name      string `json:"name"`
	DocStatus int    `json:"docstatus"`
	Status    string `json:"status"`
	Company   string `json:"company"`
	Currency  string `json:"currency"`
	Key       string `json:"custom_ledgerhook_key"`

	// Customer
	CustomerName   string `json:"customer_name"`
	Disabled       Check  `json:"disabled"`
	PrimaryAddress string `json:"customer_primary_address"`
	IsFrozen       Check  `json:"is_frozen"`

	// Sales Order
	Customer             string `json:"customer"`
	NetTotal             Number `json:"net_total"`
	TotalTaxesAndCharges Number `json:"total_taxes_and_charges"`
	GrandTotal           Number `json:"grand_total"`
	BaseGrandTotal       Number `json:"base_grand_total"` // in the company's currency
	RoundedTotal         Number `json:"rounded_total"`
	AdvancePaid          Number `json:"advance_paid"`
	PerBilled            Number `json:"per_billed"`
	PerDelivered         Number `json:"per_delivered"`
	PoNo                 string `json:"po_no"`
	AmendedFrom          string `json:"amended_from"`
	CustomerAddress      string `json:"customer_address"`
	ShippingAddressName  string `json:"shipping_address_name"`

	// Items are the rows: in the answer to a create, update or get, not in that
	// to a look-up.
	Items []StoredRow `json:"items"`
	Taxes []TaxRow    `json:"taxes"`

	ConversionRate   Number `json:"conversion_rate"`
	SellingPriceList string `json:"selling_price_list"`

	// Sales Invoice
	DebitTo           string `json:"debit_to"`
	PostingDate       string `json:"posting_date"`
	OutstandingAmount Number `json:"outstanding_amount"`
	IsReturn          Check  `json:"is_return"`

	// Payment Entry
	PaymentType       string `json:"payment_type"`
	Party             string `json:"party"`
	PaidFrom          string `json:"paid_from"`
	PaidTo            string `json:"paid_to"`
	PaidAmount        Number `json:"paid_amount"`
	ReceivedAmount    Number `json:"received_amount"`
	UnallocatedAmount Number `json:"unallocated_amount"`
	ReferenceNo       string `json:"reference_no"`
}

// StoredRow is what callers read of the row of an order, note or invoice.
type StoredRow struct {
	Name             string `json:"name"`
	ItemCode         string `json:"item_code"`
	ItemName         string `json:"item_name"`
	Description      string `json:"description"`
	Qty              Number `json:"qty"`
	UOM              string `json:"uom"`
	ConversionFactor Number `json:"conversion_factor"`
	Rate             Number `json:"rate"`
	Warehouse        string `json:"warehouse"`
	CostCenter       string `json:"cost_center"`
	ItemTaxTemplate  string `json:"item_tax_template"`
	IncomeAccount    string `json:"income_account"`
	DeliveredQty     Number `json:"delivered_qty"`
	BilledAmount     Number `json:"billed_amt"`
	SoDetail         string `json:"so_detail"`
}

// storedFields are the fields that a look-up by key asks for.
func storedFields(doctype string) []string {
	common := []string{"name", "docstatus"}
	switch doctype {
	case DocCustomer:
		return append(common, "customer_name", "disabled", "is_frozen", "customer_primary_address")
	case DocSalesOrder:
		return append(common, "status", "company", "currency", "customer", "customer_name", "net_total", "total_taxes_and_charges",
			"grand_total", "base_grand_total", "rounded_total", "advance_paid", "per_billed", "per_delivered", "po_no", "amended_from")
	case DocPaymentEntry:
		return append(common, "status", "company", "payment_type", "party", "paid_from", "paid_to", "paid_amount",
			"received_amount", "unallocated_amount", "reference_no", "amended_from")
	case DocJournalEntry:
		return append(common, "company", "cheque_no", "amended_from")
	case DocDeliveryNote:
		return append(common, "status", "company", "currency", "customer", "grand_total", "amended_from")
	case DocSalesInvoice:
		return append(common, "status", "company", "currency", "customer", "grand_total", "base_grand_total", "outstanding_amount", "debit_to", "is_return", "amended_from")
	default:
		return common
	}
}

// weakField is the stock field that stands in for the key on a site without
// our custom field, or "" when the DocType has none. It is not unique. A Sales
// Order's title is hidden (its title_field is the customer's name in 14, 15 and
// 16), so that po_no keeps the shop's order name and ERPNext's own rule, which
// refuses a second order of a customer with that number, still holds.
func weakField(doctype string) string {
	switch doctype {
	case DocCustomer:
		return "customer_details"
	case DocSalesOrder:
		return "title"
	case DocPaymentEntry:
		return "reference_no"
	case DocJournalEntry:
		return "cheque_no"
	default:
		return ""
	}
}
