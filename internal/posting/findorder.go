package posting

import (
	"context"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

// orderKeys are the keys under which the orders that a payment names may be
// remembered.
func (w *paymentWork) orderKeys() []string {
	var keys []string
	for _, ref := range w.pay.OrderRefs {
		for _, name := range severalOf(ref) {
			keys = append(keys, w.keysOf(name)...)
		}
	}
	return keys
}

// shopifyGID stands before an order's id in what Shopify's GraphQL API gives its
// apps, which write it down as they got it.
const shopifyGID = "gid://shopify/Order/"

// severalOf are the orders that one reference names: "1001,1002" are two, which
// the payment pays both.
func severalOf(ref string) []string {
	var names []string
	for name := range strings.SplitSeq(ref, ",") {
		if name = strings.TrimPrefix(strings.TrimSpace(name), shopifyGID); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// keysOf are the keys under which the order of a name may be remembered.
func (w *paymentWork) keysOf(name string) []string {
	var keys []string
	for _, shop := range w.Shops {
		if isDigits(name) { // a shop's order id, or a number without its #
			keys = append(keys, shop.Key("order", name))
		}
		keys = append(keys, shop.Key("order-name", orderName(name)))
	}
	return keys
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// findOrders finds the Sales Orders that the payment pays: those of the first
// reference of which one is known, else of which ERPNext knows one; a payment
// that names none pays the payer's only open order of exactly its amount. What
// it names and nobody knows is absent.
func (w *paymentWork) findOrders(ctx context.Context) error {
	if len(w.pay.OrderRefs) == 0 {
		return w.guessOrder(ctx)
	}
	for _, ref := range w.pay.OrderRefs {
		var absent []string
		for _, name := range severalOf(ref) {
			doc, ok, err := w.rememberedOrder(ctx, name)
			if err == nil && !ok && strings.Contains(ref, ",") {
				doc, ok, err = w.askForOrder(ctx, name)
			}
			switch {
			case err != nil:
				return err
			case ok:
				w.addOrder(doc)
			default:
				absent = append(absent, w.keysOf(name)...)
			}
		}
		if len(w.orders) > 0 {
			w.absent = absent
			return nil
		}
	}
	doc, ok, err := w.askForOrder(ctx, w.pay.OrderRefs...)
	switch {
	case err != nil:
		return err
	case ok:
		w.addOrder(doc)
	case w.alike:
		w.onAccount("several orders have the name that the payment gives",
			"allocate it with Payment Reconciliation; have payments name the order's id, not its number, where shops number alike")
	default:
		w.absent = w.orderKeys()
	}
	return nil
}

func (w *paymentWork) addOrder(doc event.Document) {
	if !slices.ContainsFunc(w.orders, func(o event.Document) bool { return o.Name == doc.Name }) {
		w.orders = append(w.orders, doc)
	}
}

// rememberedOrder is the order of a name as the memory has it. Shops number
// alike: of several orders of one name it is the one of exactly the payment's
// amount, and else none.
func (w *paymentWork) rememberedOrder(ctx context.Context, name string) (event.Document, bool, error) {
	var all []event.Document
	for _, key := range w.keysOf(name) {
		doc, ok, err := w.Memory.Document(ctx, erpnext.DocSalesOrder, key)
		if err != nil {
			return doc, false, memoryError("posting.payment", err)
		}
		known := ok && (doc.Data["customer"] != "" || doc.Name == "") // else it was erased on request: ask ERPNext
		if known && !slices.ContainsFunc(all, func(o event.Document) bool { return o.Name == doc.Name }) {
			all = append(all, doc)
		}
	}
	if len(all) > 1 {
		all = slices.DeleteFunc(all, func(o event.Document) bool { return !w.asks(o) })
		w.alike = len(all) != 1
	}
	if len(all) != 1 {
		return event.Document{}, false, nil
	}
	return all[0], true, nil
}

// asks reports whether an order asks for exactly the payment's amount.
func (w *paymentWork) asks(order event.Document) bool {
	due, ok := w.due(order)
	if !ok {
		return false
	}
	total, ok := due.In(w.pay.Amount.Currency())
	return ok && total.Cmp(w.pay.Amount) == 0
}

// askForOrder looks for an order in ERPNext by the customer's order number or by
// its own name. One that is not the only one of its name is none.
func (w *paymentWork) askForOrder(ctx context.Context, refs ...string) (event.Document, bool, error) {
	names := slices.Clone(refs)
	for _, ref := range refs {
		names = append(names, "#"+orderName(ref))
	}
	return w.onlyOrder(ctx, erpnext.Query{
		Filters:   [][]any{{"docstatus", "=", erpnext.Submitted}, {"company", "=", w.books.Company}},
		OrFilters: [][]any{{"po_no", "in", names}, {"name", "in", names}},
	})
}

// guessOrder takes the payer's only open order of exactly the amount for the
// one that is paid. Any doubt, and the payment goes on account.
func (w *paymentWork) guessOrder(ctx context.Context) error {
	if w.pay.Gateway != "" || !mapping.ValidEmail(w.pay.PayerEmail) {
		return nil
	}
	customer, known, err := w.customers.byEmail(ctx, w.pay.PayerEmail)
	if err != nil || !known {
		return err
	}
	doc, ok, err := w.onlyOrder(ctx, erpnext.Query{Filters: [][]any{
		{"docstatus", "=", erpnext.Submitted}, {"company", "=", w.books.Company}, {"customer", "=", customer},
		{"currency", "=", w.pay.Amount.Currency()}, {"grand_total", "=", erpnext.Num(w.pay.Amount.Value())},
		{"advance_paid", "=", 0}, {"per_billed", "=", 0}, {"status", "not in", []string{"Closed", "Completed", "On Hold"}},
	}})
	if ok {
		w.addOrder(doc)
		w.guessed, w.result.Note = true, "nobody named the order: it is the payer's only open one of this amount"
	}
	return err
}

// onlyOrder is the one order that a query finds.
func (w *paymentWork) onlyOrder(ctx context.Context, q erpnext.Query) (event.Document, bool, error) {
	q.DocType, q.Limit = erpnext.DocSalesOrder, 2
	q.Fields = []string{"name", "customer", "currency", "grand_total", "base_grand_total"}
	var rows []erpnext.Stored
	if err := w.Site.List(ctx, q, &rows); err != nil || len(rows) != 1 {
		return event.Document{}, false, err
	}
	so := rows[0]
	state := orderState{
		name: so.Name, phase: live, customer: so.Customer, currency: so.Currency, total: so.GrandTotal.String(), base: baseTotal(so).String(),
	}
	return event.Document{DocType: erpnext.DocSalesOrder, Name: so.Name, Data: state.data()}, true, nil
}
