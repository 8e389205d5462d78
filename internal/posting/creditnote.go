package posting

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/shopspring/decimal"
)

// MakesCreditNotes reports whether refunds of an origin's orders are credited.
func (p *Poster) MakesCreditNotes(o Origin) bool { return p.desk(o).Orders.CreditNotes }

// Credit credits a refund that is told without its order. Where no invoice of
// ours is there, the order's own snapshot does what there is to do: it carries
// the refund too.
func (p *Poster) Credit(ctx context.Context, origin Origin, c commerce.Credit) (Result, error) {
	desk := p.desk(origin)
	books, err := desk.books.get(ctx)
	if err != nil {
		return Result{}, err
	}
	key := origin.Key("order", c.OrderID)
	end, err := p.turns.take(ctx, key)
	if err != nil {
		return Result{}, err
	}
	defer end()
	state, err := p.orderState(ctx, key)
	if err != nil {
		return Result{}, err
	}
	var r Result
	f, err := p.following(ctx, counter{desk, books, origin}, key, state.name, commerce.Order{ID: c.OrderID, Credits: []commerce.Credit{c}}, &r)
	if err != nil {
		return r, err
	}
	if err := f.credit(ctx); err != nil {
		return desk.settled(r, err)
	}
	switch {
	case f.file.Credits[c.ID] != nil:
	case state.phase == skipped:
		r.note("nothing to credit: the order is not booked, as the mapping sheet says")
	default:
		r.note("no invoice to credit: the order's own snapshot follows the refund")
	}
	return r, nil
}

// credit makes the credit notes of the order's refunds, once each, where what
// they took back was invoiced.
func (f *following) credit(ctx context.Context) error {
	if !f.Orders.CreditNotes || f.file.Bill == nil {
		return nil
	}
	var open []commerce.Credit
	for _, c := range f.file.Bill.Fresh(f.order.Credits) {
		if f.file.Credits[c.ID] == nil && !c.Worthless() {
			open = append(open, c)
		}
	}
	if len(open) == 0 || !f.invoiced() {
		return nil
	}
	open = mapping.OldestFirst(open, func(c commerce.Credit) string { return c.ID })
	if ok, err := f.ready(ctx); !ok || err != nil {
		return err
	}
	invoices, err := f.readInvoices(ctx)
	if err != nil {
		return err
	}
	for _, c := range open {
		if err := f.creditOne(ctx, c, invoices); err != nil {
			return err
		}
	}
	return nil
}

// invoiced reports whether an invoice of ours stands.
func (f *following) invoiced() bool {
	for _, d := range f.file.Invoices {
		if d.stands() {
			return true
		}
	}
	return false
}

// wholeInvoiced reports whether the invoice of the whole order stands.
func (f *following) wholeInvoiced() bool { return f.file.Invoices[f.order.ID].stands() }

// readInvoices reads the invoices that stand, the one that carries shipping and
// the like first.
func (f *following) readInvoices(ctx context.Context) ([]mapping.Invoiced, error) {
	ids := []string{}
	for id, d := range f.file.Invoices {
		if d.stands() {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		rank := func(id string) int {
			if f.file.Invoices[id].Remainder {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), mapping.CompareIDs(a, b))
	})
	var list []mapping.Invoiced
	for _, id := range ids {
		invoice := mapping.Invoiced{Whole: id == f.order.ID, Returned: map[string]int64{}}
		err := f.Site.Get(ctx, erpnext.DocSalesInvoice, f.file.Invoices[id].Name, &invoice.Stored)
		switch {
		case isMissing(err, erpnext.DocSalesInvoice):
			continue
		case err != nil:
			return nil, err
		case invoice.DocStatus != erpnext.Submitted: // a person cancelled it
			continue
		}
		for _, d := range f.file.Credits {
			for row, n := range d.Returned[invoice.Name] {
				invoice.Returned[row] += n
			}
		}
		list = append(list, invoice)
	}
	return list, nil
}

// creditOne makes the credit notes of one refund. It is written down when all
// of them are there: whoever tries again makes the same ones.
func (f *following) creditOne(ctx context.Context, c commerce.Credit, invoices []mapping.Invoiced) error {
	notes, err := f.books.CreditNotes(c, *f.so, *f.file.Bill, invoices, f.origin.Key("credit", c.ID))
	if err != nil {
		return err
	}
	if len(notes) == 0 {
		return nil
	}
	all := &follower{Returned: map[string]map[string]int64{}}
	for _, note := range notes {
		done, err := f.put(ctx, erpnext.DocSalesInvoice, note.Key, note.SalesInvoice, func(stored *erpnext.Stored) error {
			return f.reach(ctx, note.SalesInvoice, note.Total, stored)
		})
		if err != nil {
			return err
		}
		all.Names, all.State = append(all.Names, done.Name), cmp.Or(all.State, done.State)
		all.Returned[note.ReturnAgainst] = note.Returned
		for _, invoice := range invoices {
			if invoice.Name == note.ReturnAgainst {
				for row, n := range note.Returned {
					invoice.Returned[row] += n
				}
			}
		}
	}
	f.file.Credits[c.ID] = all
	return f.save(ctx)
}

// creditedInstead goes on with an order that differs from its Sales Order by
// refunds alone, which credit notes follow: there is nothing that a person
// should be told.
func (w *orderWork) creditedInstead(ctx context.Context) (bool, error) {
	if !w.desk.Orders.CreditNotes {
		return false, nil
	}
	f, err := w.following(ctx)
	if err != nil || f.file.Bill == nil || !f.invoiced() || !f.file.Bill.Explains(w.order, f.wholeInvoiced()) {
		return false, err
	}
	w.result.Note = "the order was refunded: credit notes follow, the Sales Order stays as it is"
	return true, w.alive(ctx, w.order.Note, nil)
}

// standsUncredited tells that an invoice stands of an order that was cancelled
// without a refund.
func (w *orderWork) standsUncredited(ctx context.Context) error {
	f, err := w.following(ctx)
	if err != nil || !f.invoiced() || len(w.order.Credits) > 0 {
		return err
	}
	w.result.Warn = &fault.Error{
		Kind: fault.Mismatch, Op: "posting.invoice", Cause: "an order was cancelled or emptied in the shop after it was invoiced, and nothing was refunded",
		Hint: "cancel or credit the invoices of " + w.state.name + " in ERPNext if nothing is owed any more",
	}
	return nil
}

// paysCredits are the credit notes that the money of a refund settles: those of
// its order that are open, the oldest first. The allocation is negative. Money
// that comes before its credit note stays unallocated, until somebody reconciles
// the two with ERPNext's Payment Reconciliation.
func (w *refundWork) paysCredits(ctx context.Context, pe erpnext.PaymentEntry) ([]erpnext.PaymentReference, error) {
	left := pe.ReceivedAmount.Decimal
	for _, d := range pe.Deductions {
		left = left.Sub(d.Amount.Decimal)
	}
	var refs []erpnext.PaymentReference
	for _, shop := range w.Shops {
		for _, ref := range w.refund.OrderRefs {
			if !w.Poster.desk(shop).Orders.CreditNotes {
				continue
			}
			names, err := w.creditsOf(ctx, shop, ref)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				open, err := w.openCredit(ctx, name, pe.Party)
				if err != nil {
					return nil, err
				}
				if open = decimal.Min(open, left); open.IsPositive() {
					left = left.Sub(open)
					refs = append(refs, erpnext.PaymentReference{ReferenceDoctype: erpnext.DocSalesInvoice, ReferenceName: name, AllocatedAmount: erpnext.Num(open.Neg())})
				}
			}
		}
	}
	return refs, nil
}

// creditsOf are the credit notes of an order, the oldest first.
func (p *Poster) creditsOf(ctx context.Context, shop Origin, ref string) ([]string, error) {
	key, err := p.invoicedOrder(ctx, shop, ref)
	if err != nil || key == "" {
		return nil, err
	}
	f, err := p.following(ctx, counter{}, key, "", commerce.Order{}, &Result{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, id := range slices.SortedFunc(maps.Keys(f.file.Credits), mapping.CompareIDs) {
		if d := f.file.Credits[id]; d.stands() {
			names = append(names, d.Names...)
		}
	}
	return names, nil
}

// openCredit is what a customer's credit note still gives.
func (p *Poster) openCredit(ctx context.Context, name, customer string) (decimal.Decimal, error) {
	var note erpnext.Stored
	err := p.Site.Get(ctx, erpnext.DocSalesInvoice, name, &note)
	if isMissing(err, erpnext.DocSalesInvoice) || err == nil && (note.DocStatus != erpnext.Submitted || note.Customer != customer) {
		return decimal.Zero, nil
	}
	return note.OutstandingAmount.Neg(), err
}
