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

func (w *orderWork) updateHead(ctx context.Context) error {
	keyed, err := w.Site.HasKeyField(ctx, erpnext.DocSalesOrder)
	if err != nil || !keyed {
		return err // without the field the order number is the key
	}
	so, err := w.books.SalesOrder(w.order, w.key, w.state.customer, w.items.code)
	if err != nil {
		return err
	}
	return w.Site.Update(ctx, erpnext.DocSalesOrder, w.state.name, map[string]any{"po_no": so.PoNo}, nil)
}
