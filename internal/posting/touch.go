package posting

import (
	"context"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

// touch brings the few fields of a submitted Sales Order that ERPNext lets
// change (allow_on_submit in sales_order.json) to what the snapshot says.
func (w *orderWork) touch(ctx context.Context) error {
	if w.state.said != w.said && w.state.said != "" {
		if err := w.updateHead(ctx); err != nil {
			return err
		}
	}
	return w.alive(ctx, w.order.Note, nil)
}

// updateHead sends the fields that differ. Without key fields the order number
// is what keeps ERPNext from taking the order twice: then it stays.
func (w *orderWork) updateHead(ctx context.Context) error {
	now, err := w.current(ctx)
	if err != nil || now.DocStatus == erpnext.Cancelled {
		return err
	}
	keyed, err := w.Site.HasKeyField(ctx, erpnext.DocSalesOrder)
	if err != nil {
		return err
	}
	so, err := w.books.SalesOrder(w.order, w.key, w.state.customer, w.items.code)
	if err != nil {
		return err
	}
	fields, err := w.places(ctx, w.state.customer)
	if err != nil {
		return err
	}
	if number := kept(now.PoNo, so.PoNo); keyed && number != now.PoNo {
		fields["po_no"] = number
	}
	if len(fields) == 0 {
		return nil
	}
	err = w.Site.Update(ctx, erpnext.DocSalesOrder, w.state.name, fields, nil)
	if erpnext.ClassOf(err) != "UpdateAfterSubmitError" || fields["customer_address"] == nil {
		return err
	}
	// ERPNext 16 keeps the billing address of a submitted order as it is.
	delete(fields, "customer_address")
	if len(fields) == 0 {
		return nil
	}
	return w.Site.Update(ctx, erpnext.DocSalesOrder, w.state.name, fields, nil)
}
