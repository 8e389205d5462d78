package posting

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

// Invoicing is when Sales Invoices are made.
type Invoicing string

// The times to invoice.
const (
	InvoiceNever     Invoicing = ""
	InvoicePaid      Invoicing = "paid"      // the whole order, when the shop counts it as paid
	InvoiceFulfilled Invoicing = "fulfilled" // each fulfilment, with its own share of tax
)

// follows reports whether any documents follow the Sales Order.
func (p OrderPolicy) follows() bool {
	return p.DeliveryNotes || p.Invoices != InvoiceNever || p.CreditNotes
}

// orderFiles is the kind under which the memory keeps what follows an order,
// under the order's key. It is no DocType of ERPNext.
const (
	orderFiles = "Order File"
	dataFile   = "file"
)

// orderFile is what follows an order's Sales Order. It is lost without harm: an
// order whose snapshot still says what was booked is taken apart again, and the
// documents are found by their keys.
type orderFile struct {
	Bill     *mapping.Bill             `json:"bill,omitempty"`
	Pieces   map[string]mapping.Pieces `json:"pieces,omitempty"`   // by fulfilment
	Notes    map[string]*follower      `json:"notes,omitempty"`    // by fulfilment
	Invoices map[string]*follower      `json:"invoices,omitempty"` // by fulfilment, or the order's id for the whole
	Credits  map[string]*follower      `json:"credits,omitempty"`  // by refund
	Names    []string                  `json:"names,omitempty"`    // further keys of the order
	Linking  string                    `json:"linking,omitempty"`  // a payment that is being allocated to invoices
}

// follower is a document behind a Sales Order.
type follower struct {
	Name      string        `json:"name,omitempty"`
	State     followerState `json:"state,omitempty"`
	Remainder bool          `json:"remainder,omitempty"` // an invoice that carries shipping and the like
	Names     []string      `json:"names,omitempty"`     // of a refund's credit notes
	// Returned is what a refund took back, by invoice and by its row.
	Returned map[string]map[string]int64 `json:"returned,omitempty"`
}

// followerState is how far a document behind a Sales Order has got.
type followerState string

const (
	standing  followerState = ""
	takenBack followerState = "cancelled"
	leftOut   followerState = "left_out" // none was made, or a person cancelled it
	stuck     followerState = "stuck"    // it should be cancelled, and ERPNext refuses
)

func (f *follower) stands() bool { return f != nil && (f.State == standing || f.State == stuck) }

// following is one look at what follows an order.
type following struct {
	*Poster
	counter
	key   string         // the order's
	name  string         // of its Sales Order
	order commerce.Order // only its Credits when a refund came alone
	file  orderFile
	so    *erpnext.Stored // once it was read

	result *Result
}

// follow makes the documents behind a Sales Order that lives, and takes back
// those of cancelled fulfilments. What it did is remembered at once, so that a
// failure does not undo it; the order itself is remembered without its version,
// so that the snapshot is applied again.
func (w *orderWork) follow(ctx context.Context) error {
	if !w.desk.Orders.follows() {
		return nil
	}
	f, err := w.following(ctx)
	if err != nil {
		return err
	}
	err = f.takeBackCancelled(ctx)
	if err == nil && w.state.phase != closed {
		err = f.forward(ctx)
	}
	if err == nil {
		err = f.credit(ctx)
	}
	if err != nil && w.state.next == 0 {
		w.state.booked = "" // compared with ERPNext's rows next time
		w.result.add(w.documents()...)
	}
	return err
}

func (w *orderWork) following(ctx context.Context) (*following, error) {
	f, err := w.Poster.following(ctx, counter{w.desk, w.books, w.origin}, w.key, w.state.name, w.order, &w.result)
	if err == nil {
		f.file.Names = w.keys()[1:]
	}
	return f, err
}

// following reads what is remembered of an order's documents. A bill of another
// Sales Order was of a predecessor.
func (p *Poster) following(ctx context.Context, c counter, key, name string, o commerce.Order, r *Result) (*following, error) {
	f := &following{Poster: p, counter: c, key: key, name: name, order: o, result: r}
	doc, ok, err := p.Memory.Document(ctx, orderFiles, key)
	if err != nil {
		return nil, memoryError("posting.follow", err)
	}
	if ok && json.Unmarshal([]byte(doc.Data[dataFile]), &f.file) != nil {
		f.file = orderFile{} // not ours: as if it had been lost
	}
	if f.file.Bill != nil && f.file.Bill.Order != name {
		f.file.Bill, f.file.Pieces = nil, nil
	}
	for _, m := range []*map[string]*follower{&f.file.Notes, &f.file.Invoices, &f.file.Credits} {
		if *m == nil {
			*m = map[string]*follower{}
		}
	}
	if f.file.Pieces == nil {
		f.file.Pieces = map[string]mapping.Pieces{}
	}
	return f, nil
}

// save writes down what follows the order.
func (f *following) save(ctx context.Context) error {
	text, err := json.Marshal(f.file)
	if err != nil {
		return err
	}
	docs := []event.Document{{DocType: orderFiles, Key: f.key, Data: map[string]string{dataFile: string(text)}}}
	for _, name := range f.file.Names {
		docs = append(docs, event.Document{DocType: orderFiles, Key: name, Data: map[string]string{dataOrder: f.key}})
	}
	return memoryError("posting.follow", f.Memory.Remember(ctx, "", docs...))
}

// forward makes what is still to be made.
func (f *following) forward(ctx context.Context) error {
	for _, full := range f.fulfillments() {
		if full.Cancelled {
			continue
		}
		if f.Orders.DeliveryNotes && f.file.Notes[full.ID] == nil {
			if err := f.deliver(ctx, full); err != nil {
				return err
			}
		}
		if f.Orders.Invoices == InvoiceFulfilled && f.file.Invoices[full.ID] == nil && f.file.Invoices[f.order.ID] == nil {
			if err := f.invoiceFulfillment(ctx, full); err != nil {
				return err
			}
		}
	}
	if f.Orders.Invoices == InvoicePaid && f.order.Paid && len(f.file.Invoices) == 0 {
		return f.invoiceWhole(ctx)
	}
	return nil
}

// fulfillments are the order's, the oldest first.
func (f *following) fulfillments() []commerce.Fulfillment {
	return mapping.OldestFirst(f.order.Fulfillments, func(fulfilled commerce.Fulfillment) string { return fulfilled.ID })
}

// ready reads the Sales Order and how it is taken apart, and tells whether
// documents can be made of it: a draft waits for a person.
func (f *following) ready(ctx context.Context) (bool, error) {
	if f.so == nil {
		var so erpnext.Stored
		if err := f.Site.Get(ctx, erpnext.DocSalesOrder, f.name, &so); err != nil {
			return false, err
		}
		f.so = &so
	}
	if f.so.DocStatus != erpnext.Submitted {
		f.result.Note = "deliveries and invoices wait until " + f.name + " is submitted and the shop tells of the order again"
		return false, nil
	}
	if f.file.Bill == nil {
		if err := f.takeApart(ctx); err != nil {
			return false, err
		}
	}
	if f.file.Bill.Fits(*f.so) {
		return true, nil
	}
	return false, &fault.Error{
		Kind: fault.Mismatch, Op: "posting.follow", Cause: "the Sales Order has other rows than the shop's order",
		Hint: "the rows of " + f.name + " were changed in ERPNext, or the order was edited after something stood behind it: deliver and invoice it by hand, then dismiss the event",
	}
}

// takeApart writes down the order's pieces, from the snapshot that it was
// booked from.
func (f *following) takeApart(ctx context.Context) error {
	bill, err := f.books.Bill(f.order)
	if err != nil {
		return err
	}
	bill.Order = f.name
	f.file.Bill = &bill
	if !bill.Fits(*f.so) {
		return nil // told by ready, and not written down
	}
	return f.save(ctx)
}

// pieces says which pieces a fulfilment holds, and keeps it.
func (f *following) pieces(full commerce.Fulfillment) mapping.Pieces {
	list := slices.Clone(f.order.Fulfillments)
	for i := range list {
		id := list[i].ID
		for _, d := range []*follower{f.file.Notes[id], f.file.Invoices[id]} {
			if d != nil && d.State == stuck {
				list[i].Cancelled = false // its pieces are still delivered or billed
			}
		}
	}
	all := f.file.Bill.Assign(list, f.file.Pieces)
	f.file.Pieces[full.ID] = all[full.ID]
	return all[full.ID]
}

// put ensures a document behind the order, brought to what is wanted while it
// is a draft, and submits it. One that a person cancelled stays so.
func (f *following) put(ctx context.Context, doctype, key string, doc any, check func(*erpnext.Stored) error) (*follower, error) {
	keyed, err := f.Site.HasKeyField(ctx, doctype)
	switch {
	case err != nil:
		return nil, err
	case !keyed:
		return nil, &fault.Error{
			Kind: fault.Unmapped, Op: "posting.follow", Cause: "no unique key field on " + doctype,
			Hint: "run server setup with a System Manager's key: without the field a " + doctype + " could be made twice; then replay",
		}
	}
	var stored erpnext.Stored
	created, err := f.Site.Ensure(ctx, doctype, key, doc, &stored)
	if err != nil {
		return nil, err
	}
	switch {
	case stored.DocStatus == erpnext.Cancelled:
		f.tell(cancelledByHand(doctype, stored.Name).Ignored)
		return &follower{Name: stored.Name, State: leftOut}, nil
	case stored.DocStatus == erpnext.Draft:
		if !created {
			if err := f.putRight(ctx, doctype, stored.Name, doc, &stored); err != nil {
				return nil, err
			}
		}
		if err := check(&stored); err != nil {
			return nil, err
		}
		if err := f.Site.Submit(ctx, doctype, stored.Name, nil); err != nil {
			return nil, err
		}
	}
	f.result.add(event.Document{DocType: doctype, Name: stored.Name, Key: key})
	return &follower{Name: stored.Name}, nil
}

// putRight brings the draft of an earlier try to what is wanted now.
func (f *following) putRight(ctx context.Context, doctype, name string, doc any, out *erpnext.Stored) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	fields := map[string]any{}
	for _, field := range []string{"items", "taxes", "discount_amount"} {
		if value, ok := all[field]; ok {
			fields[field] = value
		}
	}
	return f.Site.Update(ctx, doctype, name, fields, out)
}

// tell adds to what is noted on the event.
func (f *following) tell(note string) {
	f.result.note(note)
}

// warn tells a person; the first warning of an event is the one that is told.
func (f *following) warn(cause, hint string) {
	f.tell(cause)
	if f.result.Warn == nil {
		f.result.Warn = &fault.Error{Kind: fault.Mismatch, Op: "posting.follow", Cause: cause, Hint: hint}
	}
}
