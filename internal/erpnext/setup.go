package erpnext

import (
	"context"
	"net/http"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// keyLabel is the label of the key field, which ERPNext repeats in messages.
const keyLabel = "Ledgerhook Key"

const docCustomField = "Custom Field"

// KeyedDocTypes are the DocTypes whose documents carry our key. Setup makes the
// field on all of them.
func KeyedDocTypes() []string { return append(CoreDocTypes(), DocDeliveryNote, DocSalesInvoice) }

// CoreDocTypes are those of them that are made whatever the settings.
func CoreDocTypes() []string {
	return []string{DocCustomer, DocAddress, DocSalesOrder, DocPaymentEntry, DocJournalEntry}
}

// keyFieldAfter is the field that the key field follows in the form.
var keyFieldAfter = map[string]string{DocCustomer: "customer_name", DocSalesOrder: "po_no", DocPaymentEntry: "reference_no", DocDeliveryNote: "customer_name", DocSalesInvoice: "customer_name"}

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
// each thing it finds or does in a line. A field that is there is saved again
// unchanged: that heals a DocType whose metadata name a column that does not
// exist, which refuses every insert.
func Setup(ctx context.Context, c *Client, doctypes []string, report func(line string)) error {
	for _, doctype := range doctypes {
		s := setup{client: c, doctype: doctype, report: func(line string) { report(doctype + ": " + line) }}
		if err := s.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// setup brings one DocType to have its key field.
type setup struct {
	client  *Client
	doctype string
	report  func(line string)
}

func (s setup) run(ctx context.Context) error {
	found, err := s.look(ctx)
	switch {
	case err != nil:
		return err
	case found:
		return s.refresh(ctx)
	}
	refused := s.create(ctx)
	if refused == nil {
		s.report("made the unique field " + KeyField)
		return nil
	}
	if nothingHappened(refused) || fault.KindOf(refused) == fault.Rights {
		return refused
	}
	return s.recover(ctx, refused)
}

func (s setup) field() string { return s.doctype + "-" + KeyField }

// look finds the key field. One that is not unique cannot be relied on.
func (s setup) look(ctx context.Context) (bool, error) {
	var found struct {
		Unique Check `json:"unique"`
	}
	switch err := s.client.Get(ctx, docCustomField, s.field(), &found); {
	case fault.KindOf(err) == fault.Missing:
		return false, nil
	case err != nil:
		return false, err
	case !bool(found.Unique):
		return false, &fault.Error{
			Kind: fault.Rejected, Op: "erpnext.setup " + s.doctype, Cause: "the field " + KeyField + " exists, but is not unique",
			Hint: "delete the custom field in ERPNext's Customize Form, then run setup again",
		}
	}
	return true, nil
}

// refresh saves a field that is there, unchanged.
func (s setup) refresh(ctx context.Context) error {
	if err := s.client.Update(ctx, docCustomField, s.field(), nil, nil); err != nil {
		return err
	}
	s.report("the unique field " + KeyField + " is there; saved it again, which mends the DocType's metadata if need be")
	return nil
}

func (s setup) create(ctx context.Context) error {
	return s.client.Create(ctx, docCustomField, customField{
		DT: s.doctype, Label: keyLabel, FieldName: KeyField, FieldType: "Data", InsertAfter: keyFieldAfter[s.doctype],
		Unique: true, NoCopy: true, ReadOnly: true, PrintHide: true,
	}, nil)
}

// recover goes on after a refused or unanswered create: the field may be there
// (somebody else made it, or the answer was lost), or the attempt has poisoned
// the metadata. Poisoned metadata also claim that the field exists, so after
// they are healed the create is tried once more.
func (s setup) recover(ctx context.Context, refused error) error {
	found, err := s.look(ctx)
	if err != nil {
		return err
	}
	if found {
		return s.refresh(ctx)
	}
	if !s.heal(ctx) {
		f := *fault.As(refused)
		f.Hint = "if documents of this type are refused with an unknown column now, run bench clear-cache; then run setup again"
		return &f
	}
	if fault.KindOf(refused) != fault.Duplicate {
		return refused
	}
	if err := s.create(ctx); err != nil {
		s.heal(ctx)
		return err
	}
	s.report("made the unique field " + KeyField)
	return nil
}

// heal saves any valid custom field of the DocType, so that ERPNext reads its
// metadata anew. It reports whether one took it.
func (s setup) heal(ctx context.Context) bool {
	var fields []Stored
	err := s.client.List(ctx, Query{DocType: docCustomField, Filters: map[string]any{"dt": s.doctype}}, &fields)
	if err != nil {
		return false
	}
	for _, field := range fields {
		if s.client.Update(ctx, docCustomField, field.Name, nil, nil) == nil {
			s.report("making the field was refused; saved the custom field " + field.Name + " unchanged, so that documents can be made as before")
			return true
		}
	}
	return false
}

// SetupItem makes the non-stock item for order lines without an item of their
// own: w.FallbackItem, or DefaultFallbackItem. When the user may not make
// items, or the code belongs to an item that does not fit, it reports who must
// do what; that is no error, because the key fields do not depend on it.
func SetupItem(ctx context.Context, c *Client, w Wanted, report func(line string)) error {
	code := first(w.FallbackItem, DefaultFallbackItem)
	var found item
	switch err := c.Get(ctx, docItem, code, &found); {
	case err == nil:
		if why := found.unfit(); why != "" {
			report("Item " + code + ": " + why + "; " + fixItem)
			return nil
		}
		report("Item " + code + ": is there")
		return nil
	case fault.KindOf(err) != fault.Missing && fault.KindOf(err) != fault.Rights:
		return err
	}
	may, err := c.may(ctx, docItem, "create")
	if err != nil {
		return err
	}
	if !may {
		report("Item " + code + ": this user may not make items. Unless it is there already (server doctor tells), let somebody with the role Item Manager make it: " +
			"Item > New, Item Code " + code + ", Maintain Stock off")
		return nil
	}
	return c.makeItem(ctx, code, report)
}

func (c *Client) makeItem(ctx context.Context, code string, report func(line string)) error {
	group, err := c.itemGroup(ctx)
	if err != nil {
		return err
	}
	err = c.Create(ctx, docItem, item{
		Code: code, ItemName: "Shop order line", Group: group, UOM: "Nos", Description: "Order line without an item of its own",
	}, nil)
	if fault.KindOf(err) == fault.Duplicate {
		report("Item " + code + ": is there")
		return nil
	}
	if err == nil {
		report("Item " + code + ": made, non-stock, in the Item Group " + group)
	}
	return err
}

// itemGroup is where the item goes: Services if the site has it, else any
// group that holds items.
func (c *Client) itemGroup(ctx context.Context) (string, error) {
	const preferred = "Services"
	var groups []Stored
	err := c.List(ctx, Query{DocType: "Item Group", Filters: map[string]any{"is_group": 0}, OrderBy: "name asc", Limit: -1}, &groups)
	if err != nil {
		return "", err
	}
	for _, g := range groups {
		if g.Name == preferred {
			return preferred, nil
		}
	}
	if len(groups) == 0 {
		return "", unfound("no Item Group that can hold items", "make one in ERPNext, then run setup again")
	}
	return groups[0].Name, nil
}

const docItem = "Item"

const fixItem = "name a non-stock item under `fallback_item` in the mapping sheet, or mend this one"

// item is what we send of an Item, and read.
type item struct {
	Code        string `json:"item_code"`
	ItemName    string `json:"item_name"`
	Group       string `json:"item_group"`
	UOM         string `json:"stock_uom"`
	Description string `json:"description"`
	IsStock     Check  `json:"is_stock_item"`
	Disabled    Check  `json:"disabled,omitzero"`
	Template    Check  `json:"has_variants,omitzero"`
}

// unfit says why an item cannot stand for any order line, or "".
func (i item) unfit() string {
	switch {
	case bool(i.Disabled):
		return "is disabled"
	case bool(i.Template):
		return "is a template with variants"
	case bool(i.IsStock):
		return "is a stock item, so every such line would wait for a delivery"
	default:
		return ""
	}
}

// may asks whether the user has a right on a DocType.
func (c *Client) may(ctx context.Context, doctype, right string) (bool, error) {
	var answer struct {
		Has Check `json:"has_permission"`
	}
	err := c.Call(ctx, http.MethodPost, "frappe.client.has_permission",
		map[string]string{"doctype": doctype, "docname": "", "perm_type": right}, &answer)
	if fault.KindOf(err) == fault.Rights { // some versions refuse to tell without the right to read
		return false, nil
	}
	return bool(answer.Has), err
}
