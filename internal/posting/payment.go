package posting

import (
	"context"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// Payment ensures one submitted Payment Entry for a payment, whichever of its
// events comes first: against the Sales Order it names; else on account of the
// customer with the payer's e-mail; else of the unknown payer. While the order
// it names is not there it fails with fault.Waiting, until WaitForOrder after
// `received`.
func (p *Poster) Payment(ctx context.Context, origin Origin, pay commerce.Payment, received time.Time) (Result, error) {
	if pay.Amount.Sign() <= 0 {
		return Result{Ignored: "no money was moved"}, nil
	}
	key := origin.Key("payment", pay.ID)
	_, ok, err := p.known(ctx, erpnext.DocPaymentEntry, key)
	if err != nil {
		return Result{}, err
	}
	if ok {
		return Result{Note: "the payment is in ERPNext already"}, nil
	}
	books, err := p.books.get(ctx)
	if err != nil {
		return Result{}, err
	}
	w := &paymentWork{Poster: p, books: books, origin: origin, pay: pay, key: key}
	err = w.post(ctx, received)
	return p.settled(w.result, err)
}

// paymentWork is the way of one payment into ERPNext.
type paymentWork struct {
	*Poster
	books  mapping.Books
	origin Origin
	pay    commerce.Payment
	key    string
	result Result
}

func (w *paymentWork) post(ctx context.Context, received time.Time) error {
	order, err := w.findOrder(ctx)
	if err != nil {
		return err
	}
	if order == nil && len(w.pay.OrderRefs) > 0 {
		if err := w.wait(received); err != nil {
			return err
		}
		w.onAccount("the order that the payment names is not in ERPNext",
			"when the order is there, allocate the payment to it with ERPNext's Payment Reconciliation")
	}
	payer, err := w.payer(ctx, order)
	if err != nil {
		return err
	}
	customer, err := w.ensureCustomer(ctx, payer, &w.result)
	if err != nil {
		return err
	}
	end, err := w.turns.take(ctx, "customer/"+customer)
	if err != nil {
		return err
	}
	defer end()
	stored, err := w.draft(ctx, customer, w.allocation(order))
	if f := asFault(err); f != nil && f.Kind == fault.Rejected && order != nil {
		stored, err = w.draftWithLess(ctx, customer, order, err)
	}
	if err != nil {
		return err
	}
	return w.submit(ctx, stored)
}

// onAccount notes that a person should look although the money is booked.
func (w *paymentWork) onAccount(cause, hint string) {
	w.result.Note = "booked on account: " + cause
	w.result.Warn = &fault.Error{Kind: fault.Waiting, Op: "posting.payment", Cause: "payment booked on account: " + cause, Hint: hint}
}

// wait asks to be woken by the order, until the deadline.
func (w *paymentWork) wait(received time.Time) error {
	left := received.Add(w.WaitForOrder).Sub(w.Now())
	if left <= 0 || len(w.Shops) == 0 {
		return nil
	}
	return &fault.Error{
		Kind: fault.Waiting, Op: "posting.payment", Cause: "the order that the payment names is not in ERPNext yet",
		Hint:       "nothing to do: the payment is booked when the order comes, or on account at the deadline",
		RetryAfter: left, WaitsFor: w.orderKeys()[0],
	}
}

// orderKeys are the keys under which the named order may be remembered.
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
		if ok && doc.Data["customer"] != "" { // else it was erased on request: ask ERPNext
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
		DocType: erpnext.DocSalesOrder, Fields: []string{"name", "customer", "currency", "grand_total"},
		Filters:   [][]any{{"docstatus", "=", erpnext.Submitted}, {"company", "=", w.books.Company}},
		OrFilters: [][]any{{"po_no", "in", names}, {"name", "in", names}},
		Limit:     2,
	}, &rows)
	if err != nil || len(rows) != 1 {
		return nil, err
	}
	return &event.Document{DocType: erpnext.DocSalesOrder, Name: rows[0].Name, Data: orderData(rows[0])}, nil
}

// orderData is what a payment needs to know of an order.
func orderData(so erpnext.Stored) map[string]string {
	return map[string]string{"customer": so.Customer, "currency": so.Currency, "grand_total": so.GrandTotal.String()}
}

// payer is the order's customer, else the one with the payer's e-mail, else
// the one who stands for nobody known.
func (w *paymentWork) payer(ctx context.Context, order *event.Document) (found, error) {
	if order != nil {
		return found{name: order.Data["customer"]}, nil
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
	return w.seekStandIn(ctx, w.books, w.origin, "unknown-payer", w.UnknownPayer, "Unknown payer ("+w.origin.Source+")")
}

// allocation gives the order as much of the payment as it is worth; the rest
// stays on account.
func (w *paymentWork) allocation(order *event.Document) *mapping.Allocation {
	if order == nil {
		return nil
	}
	total, err := money.Parse(order.Data["grand_total"], order.Data["currency"])
	if err != nil || total.Currency() != w.pay.Amount.Currency() {
		w.onAccount("the order is in another currency", "allocate the payment by hand")
		return nil
	}
	amount := w.pay.Amount
	if amount.Cmp(total) > 0 {
		amount = total
		w.onAccount("more was paid than the order is worth", "the difference is on the customer's account: pay it back or allocate it")
	}
	return &mapping.Allocation{Order: order.Name, Amount: amount}
}

func (w *paymentWork) draft(ctx context.Context, customer string, a *mapping.Allocation) (erpnext.Stored, error) {
	var stored erpnext.Stored
	pe, err := w.books.PaymentEntry(w.pay, w.key, customer, a)
	if err != nil {
		return stored, err
	}
	_, err = w.Site.Ensure(ctx, erpnext.DocPaymentEntry, w.key, pe, &stored)
	return stored, err
}

// draftWithLess tries again with what the order still takes, after ERPNext
// refused the allocation: the order was paid in part by other means, or was
// invoiced, and then takes nothing. Any other refusal comes back as it was.
func (w *paymentWork) draftWithLess(ctx context.Context, customer string, order *event.Document, refusal error) (erpnext.Stored, error) {
	var so erpnext.Stored
	if err := w.Site.Get(ctx, erpnext.DocSalesOrder, order.Name, &so); err != nil {
		return so, err
	}
	asked := w.allocation(order)
	left := money.New(so.GrandTotal.Sub(so.AdvancePaid.Decimal), so.Currency)
	if so.DocStatus != erpnext.Submitted || so.Status == "Closed" || so.PerBilled.IsPositive() {
		left = money.Zero(so.Currency)
	}
	if asked == nil || left.Currency() != asked.Amount.Currency() || left.Cmp(asked.Amount) >= 0 {
		return erpnext.Stored{}, refusal
	}
	w.onAccount("the order takes less than was paid",
		"if the order is invoiced, allocate the payment to the invoice with Payment Reconciliation; else the difference is on the customer's account: pay it back or allocate it")
	return w.draft(ctx, customer, &mapping.Allocation{Order: order.Name, Amount: left})
}

func (w *paymentWork) submit(ctx context.Context, stored erpnext.Stored) error {
	if stored.DocStatus == erpnext.Cancelled {
		w.result = cancelledByHand(erpnext.DocPaymentEntry, stored.Name)
		return nil
	}
	if differs(stored.PaidAmount, erpnext.Num(w.pay.Amount.Value())) {
		return &fault.Error{
			Kind: fault.Mismatch, Op: "posting.payment", Cause: "ERPNext's amount differs from the provider's",
			Hint: "the provider says " + w.pay.Amount.String() + ", ERPNext's draft " + stored.Name + " says " + stored.PaidAmount.String() + "; the draft was kept",
		}
	}
	if stored.DocStatus == erpnext.Draft {
		if err := w.Site.Submit(ctx, erpnext.DocPaymentEntry, stored.Name, nil); err != nil {
			return err
		}
	}
	w.result.add(event.Document{DocType: erpnext.DocPaymentEntry, Name: stored.Name, Key: w.key})
	return nil
}
