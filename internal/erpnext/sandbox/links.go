package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// checkLinks looks every link up as the database compares names, and writes
// the stored spelling into the document.
func (t *tx) checkLinks(dt *doctype, d doc) error {
	var missing, cancelled []string
	err := t.eachRow(dt, d, func(shape *doctype, row doc) error {
		for _, f := range shape.fields {
			text, dead, err := t.checkLink(dt, shape, f, row)
			if err != nil {
				return err
			}
			if text != "" && dead {
				cancelled = append(cancelled, text)
			} else if text != "" {
				missing = append(missing, text)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return throw("LinkValidationError", "Could not find "+strings.Join(missing, ", "))
	}
	if len(cancelled) > 0 {
		return throw("CancelledLinkError", "Cannot link cancelled document: "+strings.Join(cancelled, ", "))
	}
	return nil
}

// checkLink describes a link that leads nowhere, or to a cancelled document.
func (t *tx) checkLink(parent, shape *doctype, f *field, row doc) (string, bool, error) {
	value, isText := row[f.name].(string)
	if (f.kind != "Link" && f.kind != "Dynamic") || !isText || value == "" {
		return "", false, nil
	}
	target := f.target
	if f.kind == "Dynamic" {
		target = str(row, f.target)
		if target == "" {
			return "", false, throw("ValidationError", shape.label(f.target)+" must be set first")
		}
	}
	found, status := t.resolve(target, value)
	if found == "" {
		if f.fetched {
			return "", false, nil
		}
		return linkText(f, row, value), false, nil
	}
	row[f.name] = found
	if status == 2 && f.name != "amended_from" && parent.submittable {
		return linkText(f, row, value), true, nil
	}
	return "", false, nil
}

func linkText(f *field, row doc, value string) string {
	if row["idx"] != nil && row["__unsaved"] != nil || row["parentfield"] != nil {
		return fmt.Sprintf("Row #%d: %s: %s", cint(row["idx"]), f.label, value)
	}
	return f.label + ": " + value
}

// resolve is the stored spelling of a name and its docstatus, or "".
func (t *tx) resolve(doctype, name string) (string, int64) {
	switch doctype {
	case "DocType":
		for known := range t.types {
			if fold(known) == fold(name) {
				return known, 0
			}
		}
		if slices.Contains(foreignDoctypes, name) {
			return name, 0
		}
		return "", 0
	case "Language", "Role":
		return name, 0
	}
	if dt := t.types[doctype]; dt != nil && dt.single {
		return doctype, 0
	}
	if d := t.peek(doctype, name); d != nil {
		return str(d, "name"), cint(d["docstatus"])
	}
	return "", 0
}

// foreignDoctypes exist on every site, and no client of this kind opens them.
var foreignDoctypes = []string{"Supplier", "Employee", "Shareholder", "Purchase Order", "Purchase Invoice", "Dunning"}

// backLinks are the fields through which documents hold on to one another.
var backLinks = []struct{ doctype, table, field, typeField string }{
	{"Sales Order", "", "customer", ""},
	{"Sales Order", "", "amended_from", ""},
	{"Sales Order", "", "customer_address", ""},
	{"Sales Order", "items", "item_code", ""},
	{"Sales Invoice", "", "customer", ""},
	{"Sales Invoice", "", "return_against", ""},
	{"Sales Invoice", "", "amended_from", ""},
	{"Sales Invoice", "items", "sales_order", ""},
	{"Delivery Note", "", "customer", ""},
	{"Delivery Note", "", "return_against", ""},
	{"Delivery Note", "", "amended_from", ""},
	{"Delivery Note", "items", "against_sales_order", ""},
	{"Payment Entry", "", "amended_from", ""},
	{"Payment Entry", "", "party", "party_type"},
	{"Payment Entry", "references", "reference_name", "reference_doctype"},
	{"Journal Entry", "", "amended_from", ""},
	{"Journal Entry", "accounts", "reference_name", "reference_type"},
	{"Contact", "links", "link_name", "link_doctype"},
	{"Address", "links", "link_name", "link_doctype"},
}

// linkedTypes says what a static back link points to.
var linkedTypes = map[string]string{
	"customer": "Customer", "customer_address": "Address", "item_code": "Item", "sales_order": "Sales Order", "against_sales_order": "Sales Order",
}

// checkBackLinks refuses to delete or cancel what others hold on to: any
// document when deleting, submitted ones when cancelling.
func (t *tx) checkBackLinks(doctype, name string, cancelling bool) error {
	for _, link := range backLinks {
		if ignoredBackLink(doctype, link.doctype, cancelling) {
			continue
		}
		for _, other := range t.all(link.doctype) {
			if str(other, "name") == name && link.doctype == doctype {
				continue
			}
			if cancelling && cint(other["docstatus"]) != 1 {
				continue
			}
			if !holds(other, link.table, link.field, link.typeField, doctype, name, link.doctype) {
				continue
			}
			return throw("LinkExistsError", fmt.Sprintf("Cannot delete or cancel because %s %s is linked with %s %s ",
				doctype, appLink(doctype, name), link.doctype, appLink(link.doctype, str(other, "name"))))
		}
	}
	return nil
}

// ignoredBackLink are the links each DocType lets go by itself.
func ignoredBackLink(doctype, other string, cancelling bool) bool {
	if other == "Contact" || other == "Address" {
		return doctype == "Customer" || cancelling
	}
	return cancelling && (other == "Payment Entry" || other == "Journal Entry") && doctype != "Payment Entry" ||
		cancelling && doctype == "Payment Entry"
}

func appLink(doctype, name string) string {
	return fmt.Sprintf(`<a href="/app/Form/%s/%s">%s</a>`, doctype, name, name)
}

func holds(other doc, table, field, typeField, doctype, name, otherType string) bool {
	list := []doc{other}
	if table != "" {
		list = rows(other, table)
	}
	for _, row := range list {
		if fold(str(row, field)) != fold(name) {
			continue
		}
		switch {
		case typeField != "" && str(row, typeField) == doctype,
			typeField == "" && (field == "amended_from" || field == "return_against") && otherType == doctype,
			typeField == "" && linkedTypes[field] == doctype:
			return true
		}
	}
	return false
}
