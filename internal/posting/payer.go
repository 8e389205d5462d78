package posting

import (
	"context"
	"maps"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

// unknownPayer is the stand-in for whoever pays and is known to nobody.
const unknownPayer = "unknown-payer"

// payer is the order's customer, else the one with the payer's e-mail, else
// the one who stands for nobody known.
func (w *paymentWork) payer(ctx context.Context) (found, error) {
	for _, order := range w.orders {
		if order.Data["customer"] != "" {
			return found{name: order.Data["customer"]}, nil
		}
	}
	if mapping.ValidEmail(w.pay.PayerEmail) {
		name, ok, err := w.customers.byEmail(ctx, w.pay.PayerEmail)
		if err != nil || ok {
			return found{name: name}, err
		}
	}
	if w.result.Warn == nil {
		w.onAccount("nobody knows the payer", "find out whose payment it is and move it to that customer")
	}
	return w.seekStandIn(ctx, w.counter, standIn{unknownPayer, w.UnknownPayer, "Unknown payer (" + w.origin.Source + ")"})
}

// askAnew corrects who pays after ERPNext said that it does not know the
// customer whom we remember: people rename, merge and delete customers. What
// names one in ERPNext is renamed with it, so the orders know.
func (w *paymentWork) askAnew(ctx context.Context) error {
	for i := range w.orders {
		order := &w.orders[i]
		so, err := w.orderNow(ctx, order.Name)
		if err != nil {
			return err
		}
		order.Data = maps.Clone(order.Data)
		order.Data["customer"] = so.Customer
	}
	key := w.origin.Key("customer", unknownPayer)
	if err := w.Memory.Forget(ctx, erpnext.DocCustomer, key); err != nil {
		return memoryError("posting.payment", err)
	}
	return w.customers.forget(ctx, w.pay.PayerEmail)
}

// strangeCustomer is the failure of a second try for a customer whom ERPNext does
// not know: waiting does not help any more.
func strangeCustomer(op string, err error) error {
	if !isMissing(err, erpnext.DocCustomer) {
		return err
	}
	return &fault.Error{
		Kind: fault.Unmapped, Op: op, Cause: "the customer of the money does not exist in ERPNext",
		Hint: "make the customer that the mapping sheet names under unknown_payer, then replay",
	}
}
