package erpnext

import (
	"context"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// keyLabel is the label of the key field, which ERPNext repeats in messages.
const keyLabel = "Ledgerhook Key"

// KeyedDocTypes are the DocTypes whose documents carry our key.
func KeyedDocTypes() []string { return []string{DocCustomer, DocSalesOrder, DocPaymentEntry} }

// keyFieldAfter is the field that the key field follows in the form.
var keyFieldAfter = map[string]string{DocCustomer: "customer_name", DocSalesOrder: "po_no", DocPaymentEntry: "reference_no"}

// customField is the one body that is sent: it is known to be good. A body that
// fails late leaves the DocType's metadata poisoned (erpnext-api 6.2).
type customField struct {
	DT          string `json:"dt"`
	Label       string `json:"label"`
	FieldName   string `json:"fieldname"`
	FieldType   string `json:"fieldtype"`
	InsertAfter string `json:"insert_after,omitempty"`
	Unique      Check  `json:"unique"`
	NoCopy      Check  `json:"no_copy"`
	ReadOnly    Check  `json:"read_only"`
	PrintHide   Check  `json:"print_hide"`
}

// Setup makes the unique key field on each DocType that lacks it, with the key
// of a System Manager. It looks before it creates, may be repeated, and reports
// each thing it finds or does in a line.
func Setup(ctx context.Context, c *Client, doctypes []string, report func(line string)) error {
	for _, doctype := range doctypes {
		made, err := c.makeKeyField(ctx, doctype)
		switch {
		case err != nil:
			return err
		case made:
			report(doctype + ": made the unique field " + KeyField)
		default:
			report(doctype + ": the field " + KeyField + " is there")
		}
	}
	return nil
}

func (c *Client) makeKeyField(ctx context.Context, doctype string) (bool, error) {
	var found struct {
		Unique Check `json:"unique"`
	}
	err := c.Get(ctx, "Custom Field", doctype+"-"+KeyField, &found)
	switch {
	case err == nil && bool(found.Unique):
		return false, nil
	case err == nil:
		return false, &fault.Error{
			Kind: fault.Rejected, Op: "erpnext.setup " + doctype, Cause: "the field " + KeyField + " exists, but is not unique",
			Hint: "delete the custom field in ERPNext's Customize Form, then run setup again",
		}
	case fault.KindOf(err) != fault.Missing:
		return false, err
	}
	err = c.Create(ctx, "Custom Field", customField{
		DT: doctype, Label: keyLabel, FieldName: KeyField, FieldType: "Data", InsertAfter: keyFieldAfter[doctype],
		Unique: true, NoCopy: true, ReadOnly: true, PrintHide: true,
	}, nil)
	return err == nil, err
}
