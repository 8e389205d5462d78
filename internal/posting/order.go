package posting

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

// OrderPolicy says how an order's life is followed. The zero value is the
// default: every order, submitted at once, followed through edits and
// cancellation.
type OrderPolicy struct {
	OnlyPaid          bool     // make the Sales Order when the shop counts the order as paid
	KeepDrafts        bool     // leave Sales Orders as drafts, for a person to submit
	BookTests         bool     // treat the shop's test orders like others
	NoteEdits         bool     // never replace a submitted Sales Order: note the edit and alert
	NoteCancellations bool     // never cancel or close: note it and alert
	Supplement        bool     // what is added to an order with goods or invoices behind it gets a Sales Order of its own
	SkipTags          []string // orders with one of these tags are not booked

	DeliveryNotes bool      // a Delivery Note per fulfilment
	Invoices      Invoicing // when Sales Invoices are made
	CreditNotes   bool      // a credit note per refund of what was invoiced
}

// skips gives the reason why an order is not booked, or "".
func (p OrderPolicy) skips(o commerce.Order) string {
	if o.Test && !p.BookTests {
		return "a test order (test: true)"
	}
	for _, tag := range p.SkipTags {
		if slices.ContainsFunc(o.Tags, func(t string) bool { return strings.EqualFold(t, tag) }) {
			return "orders with the tag " + tag + " are not booked, as the mapping sheet says"
		}
	}
	return ""
}

// Order brings ERPNext to what a snapshot of a shop's order says: one
// submitted Sales Order keyed by the order's id, its total equal to the
// shop's; replaced when the order was edited, cancelled or closed when it was
// cancelled. Snapshots may come in any order and any number of times: only the
// newest counts. A draft whose total differs from the shop's is kept as a draft
// and fails with fault.Mismatch.
func (p *Poster) Order(ctx context.Context, origin Origin, o commerce.Order) (Result, error) {
	desk := p.desk(origin)
	w := &orderWork{
		Poster: p, desk: desk, origin: origin, order: o, items: itemBook{},
		key: origin.Key("order", o.ID), version: version(o), booked: booked(o), said: said(o),
	}
	if reason := desk.Orders.skips(o); reason != "" {
		return Result{Ignored: reason}, w.skip(ctx)
	}
	if done, err := w.nothingNew(ctx); done || err != nil {
		return w.result, err
	}
	end, err := w.takeTurns(ctx)
	if err != nil {
		return Result{}, err
	}
	defer end()
	if done, err := w.nothingNew(ctx); done || err != nil { // somebody was faster
		return w.result, err
	}
	if w.books, err = desk.books.get(ctx); err != nil {
		return Result{}, err
	}
	err = w.apply(ctx)
	return desk.settled(w.result, err)
}

// skip remembers that an order is not booked: a payment that names it must not
// wait for it. One that was booked before its tag came stays.
func (w *orderWork) skip(ctx context.Context) error {
	end, err := w.turns.takeAll(ctx, w.keys())
	if err != nil {
		return err
	}
	defer end()
	if w.state, err = w.orderState(ctx, w.key); err != nil || w.state.phase != unknown {
		return err
	}
	w.state.phase = skipped
	return w.remember(ctx)
}

// takeTurns waits until nobody else works on the buyer, whom an order may make,
// or on the order, as a payment of it does.
func (w *orderWork) takeTurns(ctx context.Context) (func(), error) {
	endBuyer, err := w.turns.take(ctx, buyer(w.origin, w.order.Customer))
	if err != nil {
		return nil, err
	}
	endOrder, err := w.turns.takeAll(ctx, w.keys())
	if err != nil {
		endBuyer()
		return nil, err
	}
	return func() { endOrder(); endBuyer() }, nil
}

// buyer names the turn that an order takes: its customer's.
func buyer(o Origin, party *commerce.Party) string {
	switch {
	case party == nil:
		return o.Key("customer", "guest")
	case party.CompanyID == "" && party.Email != "":
		return "email/" + emailDigest(party.Email)
	default:
		return customerKey(o, *party)
	}
}

// orderWork is the way of one snapshot into ERPNext.
type orderWork struct {
	*Poster
	desk   *desk
	books  mapping.Books
	origin Origin
	order  commerce.Order
	key    string // of the order's first Sales Order; revisions add to it
	items  itemBook
	// supplementNo is set while what was added to the order is booked on its own.
	supplementNo int

	version string
	booked  string
	said    string

	state  orderState // as remembered, then as it becomes
	result Result
}

// nothingNew reads what is remembered of the order, and tells when the
// snapshot was applied already or is older than one that was. A replacement
// that was begun is always gone on with.
func (w *orderWork) nothingNew(ctx context.Context) (bool, error) {
	var err error
	if w.state, err = w.orderState(ctx, w.key); err != nil {
		return false, err
	}
	switch {
	case w.state.next != 0 || w.state.version == "":
		return false, nil
	case w.state.version == w.version:
		w.result.note("the order is in ERPNext already")
		return true, nil
	case w.state.version > w.version:
		w.result.note("a newer snapshot of the order was applied before")
		return true, nil
	default:
		return false, nil
	}
}

// apply decides what the snapshot asks for.
func (w *orderWork) apply(ctx context.Context) error {
	if w.state.next != 0 {
		if err := w.finishReplacement(ctx); err != nil {
			return err
		}
	}
	switch {
	case w.state.phase == byHand:
		return w.leaveToPerson(ctx)
	case w.unwanted():
		return w.withdraw(ctx)
	case w.state.name == "":
		return w.create(ctx)
	case w.state.phase == closed:
		return w.alive(ctx, "", nil) // the shop cancelled it once; what it says since changes nothing
	case w.state.phase == cancelled || w.state.booked != w.booked:
		return w.revise(ctx)
	default:
		return w.touch(ctx)
	}
}

// unwanted reports whether there should be no Sales Order: the order was
// cancelled, or nothing of it is left.
func (w *orderWork) unwanted() bool {
	return w.order.Cancelled() || (len(w.order.Lines) == 0 && w.order.Total.IsZero())
}

// create makes the order's first Sales Order.
func (w *orderWork) create(ctx context.Context) error {
	if w.desk.Orders.OnlyPaid && !w.order.Paid {
		w.result.Ignored = "the order is not paid yet: it is booked when it is, as the mapping sheet says"
		return nil
	}
	d, err := w.draftFor(ctx, 0)
	if err != nil {
		return err
	}
	switch {
	case d.stored.DocStatus == erpnext.Cancelled:
		return w.afterCancelled(ctx, d.stored)
	case !d.created && d.stored.DocStatus == erpnext.Submitted && w.compare(d.wanted, d.stored) != nil:
		// Made by an earlier try whose memory is lost, and edited since.
		w.adopt(d.stored, 0)
		return w.revise(ctx)
	}
	if err := w.submit(ctx, d); err != nil {
		return err
	}
	w.adopt(d.stored, 0)
	w.cover(w.order)
	w.state.extra = extraDigest(d.wanted)
	for _, remark := range w.books.Remarks(w.order) {
		w.result.note(remark)
	}
	if w.state.relink, err = w.loose(ctx, w.keys()...); err != nil {
		return err
	}
	if err := w.relink(ctx, d.stored); err != nil {
		return err
	}
	return w.alive(ctx, w.order.Note, nil)
}

// afterCancelled goes on when ERPNext has a cancelled Sales Order under the
// order's key although nothing is remembered of it: a newer revision may stand
// in its place. If none does, a person cancelled it.
func (w *orderWork) afterCancelled(ctx context.Context, first erpnext.Stored) error {
	var rows []erpnext.Stored
	err := w.Site.List(ctx, erpnext.Query{
		DocType: erpnext.DocSalesOrder, Fields: []string{"name", "docstatus", erpnext.KeyField},
		Filters: [][]any{{erpnext.KeyField, "like", w.key + "/r%"}, {"docstatus", "<", erpnext.Cancelled}},
		OrderBy: "creation desc", Limit: 1,
	}, &rows)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		w.adopt(first, 0)
		return w.cancelledByHand(ctx)
	}
	_, n := splitRevision(rows[0].Key)
	w.adopt(rows[0], n)
	return w.revise(ctx)
}

// adopt takes a document of ERPNext for the order's newest one.
func (w *orderWork) adopt(so erpnext.Stored, revision int) {
	w.state.name, w.state.phase, w.state.revision = so.Name, live, revision
	w.state.customer = cmp.Or(so.Customer, w.state.customer)
	w.state.currency = cmp.Or(so.Currency, w.state.currency)
	if !so.GrandTotal.IsZero() || w.state.total == "" {
		w.state.total, w.state.base = so.GrandTotal.String(), baseTotal(so).String()
	}
}

// baseTotal is an order's total in the company's currency. What a site does not
// tell is the same in both.
func baseTotal(so erpnext.Stored) erpnext.Number {
	if so.BaseGrandTotal.IsZero() {
		return so.GrandTotal
	}
	return so.BaseGrandTotal
}

// alive ends the application of a snapshot whose Sales Order is as wanted, or
// is left as it is on purpose. note is what the shop's people wrote, to be put
// beneath the document if it is new.
func (w *orderWork) alive(ctx context.Context, note string, warn *fault.Error) error {
	if err := w.follow(ctx); err != nil {
		return err
	}
	if digest := sum(note); note != "" && w.state.note != digest {
		if err := w.Site.Comment(ctx, erpnext.DocSalesOrder, w.state.name, "Note in the shop: "+note); err != nil {
			return err
		}
		w.state.note = digest
	}
	w.applied()
	if warn != nil {
		w.result.Warn = warn
	}
	if len(w.order.Payments)+len(w.order.Refunds) == 0 {
		return nil
	}
	// The money that came inside the order is booked next, and must find it: the
	// event's outcome is written down only after that.
	return w.remember(ctx)
}

// applied remembers, with the event's outcome, that the snapshot was.
func (w *orderWork) applied() {
	w.state.version, w.state.booked, w.state.said = w.version, w.booked, w.said
	w.state.shown = shown(w.order)
	w.result.add(w.documents()...)
}

// documents are what later events need to find this order by id and by name.
func (w *orderWork) documents() []event.Document {
	var docs []event.Document
	for _, key := range w.keys() {
		docs = append(docs, event.Document{DocType: erpnext.DocSalesOrder, Name: w.state.name, Key: key, Data: w.state.data()})
	}
	return docs
}

// keys are what the order is remembered under: its id and its name.
func (w *orderWork) keys() []string {
	keys := []string{w.key}
	if name := orderName(w.order.Name); name != "" {
		keys = append(keys, w.origin.Key("order-name", name))
	}
	return keys
}

// remember writes the state down at once, ahead of the event's outcome: what
// comes next must be known to whoever goes on after a crash.
func (w *orderWork) remember(ctx context.Context) error {
	return memoryError("posting.order", w.Memory.Remember(ctx, "", w.documents()...))
}

// cancelledByHand remembers that a person cancelled the Sales Order, which is
// a decision of the merchant that no webhook overrules.
func (w *orderWork) cancelledByHand(ctx context.Context) error {
	w.state.phase = byHand
	if err := w.remember(ctx); err != nil {
		return err
	}
	return w.leaveToPerson(ctx)
}

func (w *orderWork) leaveToPerson(context.Context) error {
	w.result = cancelledByHand(erpnext.DocSalesOrder, w.state.name)
	return nil
}

// orderName is an order's name as people quote it: "#1001" and "1001" are one.
func orderName(name string) string { return strings.TrimLeft(strings.TrimSpace(name), "#") }
