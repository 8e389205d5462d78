package posting

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// A submitted Sales Order cannot be changed, so an edited order gets a
// successor: the same order under a revision of its key, amended from the one
// that is then cancelled. The steps are in an order in which a refusal or a
// crash leaves the books whole:
//
//  1. the successor is drafted and compared, so that what ERPNext refuses is
//     refused before anything is undone;
//  2. the intention is written down, with the payments of the predecessor:
//     cancelling it takes it out of them without a word;
//  3. the predecessor is cancelled, the successor submitted;
//  4. each payment is cancelled and booked again, now against the successor.
//
// Every step can be repeated.

// revise brings an existing Sales Order to what an edited order asks for.
func (w *orderWork) revise(ctx context.Context) error {
	current, err := w.current(ctx)
	if err != nil {
		return err
	}
	switch {
	case current.DocStatus == erpnext.Draft:
		return w.redraft(ctx)
	case current.DocStatus == erpnext.Cancelled && w.state.phase == live && w.state.next == 0:
		return w.cancelledByHand(ctx)
	case current.DocStatus == erpnext.Submitted && w.asWanted(current):
		w.adopt(current, w.state.revision)
		w.cover(w.order)
		return w.touch(ctx)
	case current.DocStatus == erpnext.Submitted && w.desk.Orders.NoteEdits:
		return w.leaveEdit(ctx)
	case current.DocStatus == erpnext.Submitted && (behind(current) || len(w.state.supplements) > 0):
		return w.editBehind(ctx, current)
	}
	keyed, err := w.Site.HasKeyField(ctx, erpnext.DocSalesOrder)
	switch {
	case err != nil:
		return err
	case !keyed: // only a unique key keeps a successor from being made twice
		return w.leaveEdit(ctx)
	}
	return w.replace(ctx, current)
}

// current reads the order's newest Sales Order. One that was deleted counts as
// cancelled by a person.
func (w *orderWork) current(ctx context.Context) (erpnext.Stored, error) {
	return w.orderNow(ctx, w.state.name)
}

// orderNow is a Sales Order as ERPNext has it now. One that people deleted is
// like one that they cancelled.
func (p *Poster) orderNow(ctx context.Context, name string) (erpnext.Stored, error) {
	var so erpnext.Stored
	err := p.Site.Get(ctx, erpnext.DocSalesOrder, name, &so)
	if isMissing(err, erpnext.DocSalesOrder) {
		return erpnext.Stored{Name: name, DocStatus: erpnext.Cancelled}, nil
	}
	return so, err
}

// behind reports whether goods or invoices stand behind the order: then its
// rows are theirs too.
func behind(so erpnext.Stored) bool { return so.PerBilled.IsPositive() || so.PerDelivered.IsPositive() }

// asWanted reports whether a submitted Sales Order is already what the order
// asks for, when the memory does not say what it was made from, or says it in
// the words of an older release.
func (w *orderWork) asWanted(so erpnext.Stored) bool {
	if strings.HasPrefix(w.state.booked, bookedBy) {
		return false
	}
	wanted, err := w.books.SalesOrder(w.order, w.key, so.Customer, w.items.code)
	return err == nil && w.compare(wanted, so) == nil && sameRows(wanted.Items, so.Items)
}

// redraft brings a Sales Order that was never submitted to what is wanted.
func (w *orderWork) redraft(ctx context.Context) error {
	d, err := w.draftFor(ctx, w.state.revision)
	if err != nil {
		return err
	}
	if err := w.submit(ctx, d); err != nil {
		return err
	}
	w.adopt(d.stored, w.state.revision)
	w.cover(w.order)
	w.state.extra = extraDigest(d.wanted)
	return w.alive(ctx, w.order.Note, nil)
}

// leaveEdit leaves a Sales Order as it is and tells a person.
func (w *orderWork) leaveEdit(ctx context.Context) error {
	if credited, err := w.creditedInstead(ctx); credited || err != nil {
		return err
	}
	if err := w.commentEdit(ctx); err != nil {
		return err
	}
	w.result.note("the edit is noted on the Sales Order, which stays as it is")
	return w.alive(ctx, "", &fault.Error{
		Kind: fault.Mismatch, Op: "posting.order", Cause: "an order was edited that cannot be replaced",
		Hint: "the shop's total of " + w.state.name + " is now " + w.order.Total.String() +
			": goods or invoices stand behind it, or the sheet asks for notes. Additions need a second Sales Order, removals a credit note",
	})
}

func (w *orderWork) commentEdit(ctx context.Context) error {
	text := fmt.Sprintf("The order was edited in the shop; its total there is now %s. This Sales Order was not changed.", w.order.Total)
	return w.Site.Comment(ctx, erpnext.DocSalesOrder, w.state.name, text)
}

// replace puts a successor in the place of the Sales Order, which is submitted
// or was cancelled by us.
func (w *orderWork) replace(ctx context.Context, old erpnext.Stored) error {
	next := max(w.state.revision, 1) + 1
	d, err := w.draftFor(ctx, next)
	if err != nil {
		return err
	}
	if d.stored.DocStatus == erpnext.Cancelled {
		w.adopt(d.stored, next)
		return w.cancelledByHand(ctx)
	}
	if err := w.compare(d.wanted, d.stored); err != nil {
		return err
	}
	if err := w.intend(ctx, next); err != nil {
		return err
	}
	if old.DocStatus == erpnext.Submitted {
		if done, err := w.retire(ctx, d.stored.Name); done || err != nil {
			return err
		}
	}
	if d.stored.DocStatus == erpnext.Draft {
		if err := w.install(ctx, d, old); err != nil {
			return err
		}
	}
	if err := w.relink(ctx, d.stored); err != nil {
		return err
	}
	w.adopt(d.stored, next)
	w.cover(w.order)
	w.state.extra = extraDigest(d.wanted)
	w.state.next = 0
	w.result.note("the order was edited: " + d.stored.Name + " took the place of " + old.Name)
	if err := w.alive(ctx, w.order.Note, nil); err != nil {
		return err
	}
	// A payment that has waited for this turn must find the successor, and the
	// event's outcome is written down only after it.
	return w.remember(ctx)
}

// intend writes down that a successor takes over, and the payments to link to
// it: those that an earlier try found, and those that have come since.
func (w *orderWork) intend(ctx context.Context, next int) error {
	payments, err := w.paymentsOf(ctx, w.state.name)
	if err != nil {
		return err
	}
	if w.state.next != next {
		w.state.next, w.state.relink = next, nil
	}
	if err := w.toRelink(ctx, payments); err != nil {
		return err
	}
	return w.remember(ctx)
}

// toRelink adds payments, and those that could not be allocated to the order,
// to the ones that are to be linked to the successor.
func (w *orderWork) toRelink(ctx context.Context, payments []string) error {
	loose, err := w.loose(ctx, w.keys()...)
	for _, name := range append(payments, loose...) {
		if !slices.Contains(w.state.relink, name) {
			w.state.relink = append(w.state.relink, name)
		}
	}
	return err
}

// retire cancels the predecessor. When ERPNext refuses because a document
// stands behind it (a draft invoice counts), the successor's draft goes and
// the edit is left to a person; then there is nothing more to do.
func (w *orderWork) retire(ctx context.Context, successor string) (bool, error) {
	err := w.Site.Cancel(ctx, erpnext.DocSalesOrder, w.state.name)
	if !refusesToGo(err) {
		return false, err
	}
	if err := w.Site.Delete(ctx, erpnext.DocSalesOrder, successor); err != nil {
		return false, err
	}
	w.state.next, w.state.relink = 0, nil
	return true, w.editBehind(ctx, erpnext.Stored{Name: w.state.name})
}

// refusesToGo reports whether ERPNext will not cancel a document: others link
// to it (frappe/model/delete_doc.py), or a draft invoice names it
// (sales_order.py, check_nextdoc_docstatus).
func refusesToGo(err error) bool { return err != nil && fault.KindOf(err) == fault.Rejected }

// install submits the successor, as what it amends and under the order number
// that its predecessor has given free.
func (w *orderWork) install(ctx context.Context, d draft, old erpnext.Stored) error {
	so, err := w.books.SalesOrder(w.order, d.wanted.Key, d.wanted.Customer, w.items.code)
	if err != nil {
		return err
	}
	fields := map[string]any{"amended_from": w.state.name, "po_no": kept(old.PoNo, so.PoNo)}
	if err := w.Site.Update(ctx, erpnext.DocSalesOrder, d.stored.Name, fields, nil); err != nil {
		return err
	}
	if w.desk.Orders.KeepDrafts {
		return nil
	}
	return w.Site.Submit(ctx, erpnext.DocSalesOrder, d.stored.Name, nil)
}

// kept is the order number that a document has, if that is the wanted one,
// perhaps with the shop's id of the order behind it.
func kept(has, wanted string) string {
	if strings.HasPrefix(has, wanted) {
		return has
	}
	return wanted
}

// finishReplacement goes on with a replacement that an earlier try of this or
// an older snapshot began. If its successor was submitted, it stands, and what
// the present snapshot wants is compared with it.
func (w *orderWork) finishReplacement(ctx context.Context) error {
	var successor erpnext.Stored
	found, err := w.Site.FindByKey(ctx, erpnext.DocSalesOrder, w.revisionKey(w.state.next), &successor)
	if err != nil || !found || successor.DocStatus != erpnext.Submitted {
		return err // replace goes on from the draft, or begins anew
	}
	if err := w.toRelink(ctx, nil); err != nil {
		return err
	}
	if err := w.relink(ctx, successor); err != nil {
		return err
	}
	w.adopt(successor, w.state.next)
	w.state.next, w.state.booked = 0, ""
	return w.remember(ctx)
}

// relink books the payments of the predecessor again, against the successor.
func (w *orderWork) relink(ctx context.Context, so erpnext.Stored) error {
	m := &move{books: w.books, from: w.state.name, to: so, shown: w.state.shown, left: baseTotal(so).Decimal}
	var loose []string
	for _, name := range w.state.relink {
		if !m.left.IsPositive() { // it stays on account, for an edit that asks for more
			loose = append(loose, name)
			continue
		}
		_, err := w.repay(ctx, name, m)
		switch fault.KindOf(err) {
		case fault.Rejected, fault.Rights:
			w.unlinked(err)
		default:
			if err != nil {
				return err
			}
		}
	}
	w.state.relink = nil
	if err := w.tied(ctx, w.keys()...); err != nil {
		return err
	}
	return w.addLoose(ctx, loose, w.keys()...)
}

// unlinked tells that a payment was not linked to the successor. Its money is
// booked, on the customer's account.
func (w *orderWork) unlinked(err error) {
	f := fault.As(err)
	w.result.Warn = &fault.Error{
		Kind: f.Kind, Op: f.Op, Cause: "a payment was not linked to the edited order: " + f.Cause,
		Hint: "the payment stays on the customer's account: allocate it with ERPNext's Payment Reconciliation", Detail: f.Detail,
	}
}
