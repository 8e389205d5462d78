package app_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

// shape says what of a DocType's documents is shown: fields, and the fields of
// its rows by table. A name that links to another document of the event is
// shown as that document.
type shape struct {
	doctype string
	fields  []string
	tables  []tableShape
}

type tableShape struct {
	name   string
	fields []string
}

var taxRows = tableShape{"taxes", []string{"charge_type", "account_head", "description", "rate", "tax_amount", "cost_center"}}

var itemRows = tableShape{"items", []string{"item_code", "item_name", "qty", "uom", "rate", "price_list_rate", "discount_percentage", "amount", "warehouse", "item_tax_template", "sales_order"}}

// shapes are in the order in which documents come to be.
var shapes = []shape{
	{"Customer", []string{"customer_name", "customer_type", "customer_group", "territory", "email_id", "mobile_no", "tax_id", "default_currency"}, nil},
	{"Address", []string{"address_type", "address_line1", "address_line2", "city", "state", "pincode", "country", "is_primary_address", "is_shipping_address"}, []tableShape{
		{"links", []string{"link_doctype", "link_name"}},
	}},
	{"Contact", []string{"first_name", "last_name"}, []tableShape{
		{"email_ids", []string{"email_id"}}, {"phone_nos", []string{"phone"}}, {"links", []string{"link_doctype", "link_name"}},
	}},
	{"Item", []string{"item_name", "item_group", "stock_uom", "is_stock_item"}, nil},
	{"Sales Order", []string{
		"docstatus", "status", "customer", "po_no", "transaction_date", "delivery_date", "company", "currency", "conversion_rate", "selling_price_list",
		"apply_discount_on", "discount_amount", "total", "net_total", "total_taxes_and_charges", "grand_total", "rounded_total", "advance_paid",
		"customer_address", "shipping_address_name", "amended_from",
	}, []tableShape{itemRows, taxRows}},
	{"Sales Invoice", []string{
		"docstatus", "status", "customer", "posting_date", "due_date", "company", "currency", "conversion_rate", "debit_to", "is_return", "return_against",
		"total", "total_taxes_and_charges", "grand_total", "outstanding_amount",
	}, []tableShape{itemRows, taxRows, {"advances", []string{"reference_type", "reference_name", "allocated_amount"}}}},
	{"Delivery Note", []string{"docstatus", "status", "customer", "posting_date", "company", "currency", "grand_total", "is_return", "return_against"}, []tableShape{
		{"items", []string{"item_code", "qty", "uom", "rate", "warehouse", "against_sales_order"}},
	}},
	{"Payment Entry", []string{
		"docstatus", "status", "payment_type", "posting_date", "company", "mode_of_payment", "party_type", "party",
		"paid_from", "paid_from_account_currency", "paid_to", "paid_to_account_currency", "paid_amount", "source_exchange_rate",
		"received_amount", "target_exchange_rate", "total_allocated_amount", "unallocated_amount", "difference_amount", "reference_no", "reference_date",
	}, []tableShape{
		{"references", []string{"reference_doctype", "reference_name", "total_amount", "outstanding_amount", "allocated_amount", "exchange_rate"}},
		{"deductions", []string{"account", "cost_center", "amount", "description"}},
	}},
	{"Journal Entry", []string{"docstatus", "voucher_type", "posting_date", "company", "multi_currency", "total_debit", "total_credit", "cheque_no", "cheque_date", "user_remark"}, []tableShape{
		{"accounts", []string{
			"account", "party_type", "party", "account_currency", "exchange_rate", "debit_in_account_currency", "credit_in_account_currency",
			"reference_type", "reference_name", "cost_center", "user_remark",
		}},
	}},
}

// census is what ERPNext has, by DocType and name.
func (s *service) census() map[string]bool {
	has := map[string]bool{}
	for _, shape := range shapes {
		for _, doc := range s.site.Documents(shape.doctype) {
			has[shape.doctype+" "+fmt.Sprint(doc["name"])] = true
		}
	}
	return has
}

// writeDocuments writes the documents that came to be since the census: no
// name that ERPNext counts, no time of ours.
func (s *service) writeDocuments(out *strings.Builder, before map[string]bool) {
	type found struct {
		shape shape
		doc   map[string]any
		title string
	}
	var all []found
	titles := map[string]string{}
	for _, shape := range shapes {
		n := 0
		for _, doc := range s.site.Documents(shape.doctype) {
			name := fmt.Sprint(doc["name"])
			if before[shape.doctype+" "+name] {
				continue
			}
			n++
			title := shape.doctype + " " + titleOf(doc, n)
			titles[name] = "<" + title + ">"
			all = append(all, found{shape, doc, title})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(orderOf(a.shape), orderOf(b.shape)) })
	for _, f := range all {
		fmt.Fprintf(out, "\n%s\n", f.title)
		writeFields(out, "  ", ": ", "\n", f.doc, f.shape.fields, titles)
		for _, table := range f.shape.tables {
			rows, _ := f.doc[table.name].([]any)
			for _, row := range rows {
				fmt.Fprintf(out, "  %s:", table.name)
				fields, _ := row.(map[string]any)
				writeFields(out, " ", "=", ",", fields, table.fields, titles)
				out.WriteString("\n")
			}
		}
	}
}

func orderOf(s shape) int {
	return slices.IndexFunc(shapes, func(o shape) bool { return o.doctype == s.doctype })
}

// titleOf names a document by our key, else by its place: what ERPNext calls
// it holds the year.
func titleOf(doc map[string]any, n int) string {
	if key := fmt.Sprint(doc[erpnext.KeyField]); doc[erpnext.KeyField] != nil && key != "" {
		return key
	}
	if name := fmt.Sprint(doc["name"]); doc["doctype"] == "Item" {
		return name
	}
	return strconv.Itoa(n)
}

// ownNames are fields that say the name itself rather than link to it.
var ownNames = map[string]bool{"customer_name": true, "item_name": true, "first_name": true}

func writeFields(out *strings.Builder, before, is, after string, doc map[string]any, fields []string, titles map[string]string) {
	first := true
	for _, field := range fields {
		value := plainValue(doc[field])
		if value == "" || value == "0" && field != "docstatus" {
			continue
		}
		if title, ok := titles[value]; ok && !ownNames[field] {
			value = title
		}
		if !first && after == "," {
			out.WriteString(after)
		}
		fmt.Fprintf(out, "%s%s%s%s", before, field, is, value)
		if after != "," {
			out.WriteString(after)
		}
		first = false
	}
}

// plainValue shows a number without a trailing zero and today as what it is:
// the payload did not say when.
func plainValue(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		if zone, err := time.LoadLocation("America/New_York"); err == nil && v == time.Now().In(zone).Format(time.DateOnly) {
			return "<today>"
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}
