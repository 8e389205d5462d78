package posting

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// touch brings the few fields of a submitted Sales Order that ERPNext lets
// change (allow_on_submit in sales_order.json) to what the snapshot says.
func (w *orderWork) touch(ctx context.Context) error {
	extra, err := w.books.OrderFields(w.order)
	if err != nil {
		return err
	}
	if w.state.said != w.said && w.state.said != "" {
		if err := w.updateHead(ctx); err != nil {
			return err
		}
	}
	if digest := extraDigest(erpnext.SalesOrder{Extra: extra}); digest != w.state.extra && w.state.said != "" {
		if err := w.updateExtra(ctx, extra); err != nil {
			return err
		}
		w.state.extra = digest
	}
	return w.alive(ctx, w.order.Note, nil)
}

// updateHead sends the fields that differ. Where the order number is the key, it
// stays. An address that the shop has no more goes, unless it has none at all:
// then it is hidden from us rather than gone.
func (w *orderWork) updateHead(ctx context.Context) error {
	now, err := w.current(ctx)
	if err != nil || now.DocStatus == erpnext.Cancelled {
		return err
	}
	w.state.customer = cmp.Or(now.Customer, w.state.customer) // people rename customers
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
	if w.order.ShipTo == nil && w.order.BillTo != nil && now.ShippingAddressName != "" {
		fields["shipping_address_name"] = ""
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

// updateExtra sends the sheet's own fields. ERPNext takes them only where the
// field may change after the submit, which is the site's to say.
func (w *orderWork) updateExtra(ctx context.Context, extra erpnext.Extra) error {
	if len(extra) == 0 {
		return nil
	}
	err := w.Site.Update(ctx, erpnext.DocSalesOrder, w.state.name, extra, nil)
	if refusal := asFault(err); refusal != nil && (refusal.Kind == fault.Rejected || refusal.Kind == fault.Settled) {
		w.result.note("further fields of the order changed and ERPNext keeps them as they were submitted: " + refusal.Cause)
		return nil
	}
	return err
}

// extraDigest sums up the sheet's own fields of an order.
func extraDigest(so erpnext.SalesOrder) string {
	if len(so.Extra) == 0 {
		return ""
	}
	var d digest
	for _, name := range slices.Sorted(maps.Keys(so.Extra)) {
		d.add(name, so.Extra[name])
	}
	return d.sum()
}
