package posting

import (
	"context"
	"net/http"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// withdraw follows a cancellation in the shop: a Sales Order with nothing
// behind it is cancelled, one with goods or invoices behind it is closed. Money
// that was paid stays on the customer's account until a refund moves it. When
// nothing was made yet, nothing is, and that is remembered.
func (w *orderWork) withdraw(ctx context.Context) error {
	if w.state.name == "" {
		found, err := w.findMade(ctx)
		if err != nil {
			return err
		}
		if !found {
			w.state.phase = unmade
			return w.withdrawn(ctx, w.ended()+" before it was created here: nothing is made of it")
		}
	}
	if w.state.phase == closed { // refunds may have come since
		if err := w.follow(ctx); err != nil {
			return err
		}
	}
	if w.state.phase == cancelled || w.state.phase == closed {
		return w.withdrawn(ctx, "the cancellation was followed before")
	}
	current, err := w.current(ctx)
	if err != nil {
		return err
	}
	switch current.DocStatus {
	case erpnext.Cancelled:
		return w.cancelledByHand(ctx)
	case erpnext.Draft:
		return w.drop(ctx)
	}
	if w.desk.Orders.NoteCancellations {
		return w.leaveCancellation(ctx)
	}
	if current, err = w.takenBack(ctx, current); err != nil {
		return err
	}
	return w.cancelOrClose(ctx, current)
}

// takenBack cancels what stands behind the order for fulfilments that were
// cancelled with it, and reads the order again if there was anything.
func (w *orderWork) takenBack(ctx context.Context, current erpnext.Stored) (erpnext.Stored, error) {
	if !w.desk.Orders.follows() || !behind(current) || current.Status == "Closed" {
		return current, nil
	}
	f, err := w.following(ctx)
	if err == nil {
		err = f.takeBackCancelled(ctx)
	}
	if err != nil {
		return current, err
	}
	return w.current(ctx)
}

// findMade looks whether ERPNext has a document of the order that the memory
// does not know.
func (w *orderWork) findMade(ctx context.Context) (bool, error) {
	var so erpnext.Stored
	found, err := w.Site.FindByKey(ctx, erpnext.DocSalesOrder, w.key, &so)
	if err != nil || !found || so.DocStatus == erpnext.Cancelled {
		return false, err
	}
	w.adopt(so, 0)
	return true, nil
}

// withdrawn remembers at once how the order ended: a payment of it that is
// handled beside this event must not be allocated to it.
func (w *orderWork) withdrawn(ctx context.Context, note string) error {
	w.result.note(note)
	w.applied()
	if w.state.name == "" {
		w.result.Documents = nil // there is no document to show
	}
	return w.remember(ctx)
}

// ended says what became of an order that should have no Sales Order.
func (w *orderWork) ended() string {
	if w.order.Cancelled() {
		return "the order was cancelled"
	}
	return "everything was taken out of the order"
}

// drop deletes a draft, which ERPNext cannot cancel.
func (w *orderWork) drop(ctx context.Context) error {
	if err := w.Site.Delete(ctx, erpnext.DocSalesOrder, w.state.name); err != nil {
		return err
	}
	note := w.ended() + " in the shop: its draft " + w.state.name + " was deleted"
	w.state.name, w.state.phase = "", unmade
	return w.withdrawn(ctx, note)
}

func (w *orderWork) cancelOrClose(ctx context.Context, current erpnext.Stored) error {
	if err := w.withdrawSupplements(ctx); err != nil {
		return err
	}
	payments, err := w.paymentsOf(ctx, current.Name)
	if err != nil {
		return err
	}
	// Cancelling takes the order out of its payments. Should the shop bring it
	// back, they are linked again.
	if err := w.addLoose(ctx, payments, w.keys()...); err != nil {
		return err
	}
	if !behind(current) && current.Status != "Closed" {
		err := w.Site.Cancel(ctx, erpnext.DocSalesOrder, current.Name)
		if err == nil {
			w.state.phase = cancelled
			return w.withdrawn(ctx, w.ended()+" in the shop: "+current.Name+" is cancelled; its payments are on the customer's account")
		}
		if !refusesToGo(err) {
			return err
		}
	}
	if current.Status != "Closed" {
		if err := w.closeOrder(ctx, current.Name); err != nil {
			return err
		}
	}
	w.state.phase = closed
	if err := w.follow(ctx); err != nil {
		return err
	}
	if err := w.standsUncredited(ctx); err != nil {
		return err
	}
	return w.withdrawn(ctx, w.ended()+" in the shop after goods or invoices went out: "+current.Name+" is closed")
}

// closeOrder stops delivery and billing of a Sales Order
// (erpnext/selling/doctype/sales_order/sales_order.py, update_status).
func (w *orderWork) closeOrder(ctx context.Context, name string) error {
	return w.Site.Call(ctx, http.MethodPost, "erpnext.selling.doctype.sales_order.sales_order.update_status",
		map[string]string{"status": "Closed", "name": name}, nil)
}

func (w *orderWork) leaveCancellation(ctx context.Context) error {
	if err := w.Site.Comment(ctx, erpnext.DocSalesOrder, w.state.name, "In the shop "+w.ended()+". This Sales Order was not changed."); err != nil {
		return err
	}
	w.result.note("the cancellation is noted on the Sales Order, which stays as it is")
	return w.alive(ctx, "", &fault.Error{
		Kind: fault.Waiting, Op: "posting.order", Cause: "an order was cancelled or emptied in the shop and is to be cancelled by hand",
		Hint: "cancel or close " + w.state.name + " in ERPNext, as the mapping sheet leaves it to you",
	})
}
