package posting

import (
	"context"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// orderKeys are the keys under which the order that a payment names may be
// remembered.
func (w *paymentWork) orderKeys() []string {
	var keys []string
	for _, ref := range w.pay.OrderRefs {
		for _, shop := range w.Shops {
			if isDigits(ref) { // a shop's order id, or a number without its #
				keys = append(keys, shop.Key("order", ref))
			}
			keys = append(keys, shop.Key("order-name", orderName(ref)))
		}
	}
	return keys
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// findOrder finds the Sales Order that the payment names: in the memory, else
// in ERPNext by our key, by the customer's order number or by its own name. An
// order that is not the only one of its name is none.
func (w *paymentWork) findOrder(ctx context.Context) (*event.Document, error) {
	for _, key := range w.orderKeys() {
		doc, ok, err := w.Memory.Document(ctx, erpnext.DocSalesOrder, key)
		if err != nil {
			return nil, memoryError("posting.payment", err)
		}
		if ok && (doc.Data["customer"] != "" || doc.Name == "") { // else it was erased on request: ask ERPNext
			return &doc, nil
		}
	}
	if len(w.pay.OrderRefs) == 0 {
		return nil, nil
	}
	return w.askForOrder(ctx)
}

func (w *paymentWork) askForOrder(ctx context.Context) (*event.Document, error) {
	names := append([]string{}, w.pay.OrderRefs...)
	for _, ref := range w.pay.OrderRefs {
		names = append(names, "#"+orderName(ref))
	}
	var rows []erpnext.Stored
	err := w.Site.List(ctx, erpnext.Query{
		DocType: erpnext.DocSalesOrder, Fields: []string{"name", "customer", "currency", "grand_total", "base_grand_total"},
		Filters:   [][]any{{"docstatus", "=", erpnext.Submitted}, {"company", "=", w.books.Company}},
		OrFilters: [][]any{{"po_no", "in", names}, {"name", "in", names}},
		Limit:     2,
	}, &rows)
	if err != nil || len(rows) != 1 {
		return nil, err
	}
	so := rows[0]
	state := orderState{
		name: so.Name, phase: live, customer: so.Customer, currency: so.Currency, total: so.GrandTotal.String(), base: baseTotal(so).String(),
	}
	return &event.Document{DocType: erpnext.DocSalesOrder, Name: so.Name, Data: state.data()}, nil
}
