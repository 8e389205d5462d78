package posting

import (
	"context"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// deliver makes the Delivery Note of a fulfilment.
func (f *following) deliver(ctx context.Context, full commerce.Fulfillment) error {
	if ok, err := f.ready(ctx); !ok || err != nil {
		return err
	}
	key := f.origin.Key("fulfillment", full.ID)
	pieces := f.pieces(full)
	dn, goods, err := f.books.DeliveryNote(f.order, full, *f.so, *f.file.Bill, pieces, key)
	if err != nil {
		return err
	}
	if f.file.Bill.Undelivered(f.order, full, pieces) {
		f.warn("a fulfilment holds more than "+f.name+" has", "the order was edited after something stood behind it: deliver the rest by hand")
	}
	if !goods {
		f.file.Notes[full.ID] = &follower{State: leftOut}
		return f.save(ctx)
	}
	if by, err := f.doneByHand(ctx, erpnext.DocDeliveryNote, key, overdelivers(dn, *f.so)); by || err != nil {
		f.file.Notes[full.ID] = &follower{State: leftOut}
		return firstError(err, func() error { return f.save(ctx) })
	}
	done, err := f.put(ctx, erpnext.DocDeliveryNote, key, dn, func(*erpnext.Stored) error { return nil })
	if err != nil {
		return err
	}
	f.file.Notes[full.ID] = done
	return f.save(ctx)
}

// firstError goes on unless there is an error already.
func firstError(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

// overdelivers reports whether the Sales Order has not as much left as the note
// would deliver.
func overdelivers(dn erpnext.DeliveryNote, so erpnext.Stored) bool {
	wanted := map[string]erpnext.Number{}
	for _, row := range dn.Items {
		wanted[row.SoDetail] = erpnext.Num(wanted[row.SoDetail].Add(row.Qty.Decimal))
	}
	for _, row := range so.Items {
		if wanted[row.Name].Add(row.DeliveredQty.Decimal).GreaterThan(row.Qty.Decimal) {
			return true
		}
	}
	return false
}

// doneByHand reports whether what a document would deliver or bill was done
// otherwise: the order has no room for it, and it is not ours that took it.
func (f *following) doneByHand(ctx context.Context, doctype, key string, full bool) (bool, error) {
	if !full {
		return false, nil
	}
	var stored erpnext.Stored
	found, err := f.Site.FindByKey(ctx, doctype, key, &stored)
	if err != nil || found {
		return false, err
	}
	f.warn("no "+doctype+" was made: "+f.name+" has less left than the shop tells of",
		"somebody delivered or invoiced it in ERPNext; see whether all of it is there")
	return true, nil
}

// takeBackCancelled cancels the documents of fulfilments that the shop has
// cancelled: the invoice before the note.
func (f *following) takeBackCancelled(ctx context.Context) error {
	for _, full := range f.fulfillments() {
		if !full.Cancelled {
			continue
		}
		if f.Orders.Invoices == InvoiceFulfilled {
			if err := f.takeBack(ctx, erpnext.DocSalesInvoice, f.origin.Key("invoice", full.ID), full.ID, f.file.Invoices); err != nil {
				return err
			}
		}
		if f.Orders.DeliveryNotes {
			if err := f.takeBack(ctx, erpnext.DocDeliveryNote, f.origin.Key("fulfillment", full.ID), full.ID, f.file.Notes); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeBack cancels one document. When ERPNext refuses, a person is told once;
// it is tried again with every snapshot.
func (f *following) takeBack(ctx context.Context, doctype, key, id string, list map[string]*follower) error {
	known := list[id]
	if known != nil && (known.State == takenBack || known.State == leftOut) {
		return nil
	}
	name, err := f.cancelBooked(ctx, doctype, key)
	if !refusesToGo(err) && fault.KindOf(err) != fault.Rights {
		if err != nil {
			return err
		}
		list[id] = &follower{Name: name, State: takenBack}
		f.so = nil // what it has left is another
		if name != "" {
			f.tell(name + " is cancelled: its fulfilment was cancelled in the shop")
		}
		return f.save(ctx)
	}
	if known == nil {
		known = &follower{}
	}
	known.Name, list[id] = name, known
	if known.State != stuck {
		known.State = stuck
		f.warn("a fulfilment was cancelled in the shop and its "+doctype+" could not be", "cancel "+name+" in ERPNext by hand ("+fault.As(err).Cause+
			"): an order that is closed must be re-opened for it, credit notes cancelled first, and to cancel an invoice takes the role Accounts Manager")
	}
	return f.save(ctx)
}
