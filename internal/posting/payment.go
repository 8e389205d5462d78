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
// `received`; while nobody knows what it did to the balance, until
// WaitForFee. A settlement that comes after that is booked on its own.
func (p *Poster) Payment(ctx context.Context, origin Origin, pay commerce.Payment, received time.Time) (Result, error) {
	if pay.FeeOnly {
		return p.fee(ctx, origin, pay)
	}
	if pay.Amount.Sign() <= 0 {
		return Result{Ignored: "no money was moved"}, nil
	}
	w, err := p.paymentWork(ctx, origin, pay)
	if err != nil {
		return Result{}, err
	}
	if err := w.linked(ctx); err != nil {
		return Result{}, err
	}
	done, err := w.turns.takeAll(ctx, append(w.orderKeys(), w.key))
	if err != nil {
		return Result{}, err
	}
	defer done()
	if own, r, err := w.shopsOwn(ctx); !own || err != nil {
		return w.settled(r, err)
	}
	booked, ok, err := p.booked(ctx, w.keys()...)
	switch {
	case err != nil:
		return Result{}, err
	case ok && pay.Settlement != nil && booked.Data[dataSettled] == "":
		return w.settled(w.bookFee(ctx, booked))
	case ok:
		return Result{Note: "the payment is in ERPNext already"}, nil
	}
	err = w.post(ctx, received)
	return w.settled(w.result, err)
}

func (p *Poster) paymentWork(ctx context.Context, origin Origin, pay commerce.Payment) (*paymentWork, error) {
	desk := p.desk(origin)
	books, err := desk.books.get(ctx)
	return &paymentWork{Poster: p, counter: counter{desk, books, origin}, pay: pay, key: origin.Key("payment", pay.ID)}, err
}

// paymentWork is the way of one payment into ERPNext.
type paymentWork struct {
	*Poster
	counter
	pay    commerce.Payment
	key    string
	rate   mapping.Rate // of the balance's currency
	result Result
	// allocated says that the order it names gets some of the money.
	allocated bool
}

// keys are what the payment is remembered under: its id and its other names.
func (w *paymentWork) keys() []string {
	return movementKeys(w.origin, "payment", w.pay.ID, w.pay.Aliases)
}

func movementKeys(origin Origin, kind, id string, aliases []string) []string {
	keys := []string{origin.Key(kind, id)}
	for _, alias := range aliases {
		keys = append(keys, origin.Key(kind, alias))
	}
	return keys
}

// booked finds the Payment Entry that is remembered under one of the keys.
func (p *Poster) booked(ctx context.Context, keys ...string) (event.Document, bool, error) {
	for _, key := range keys {
		doc, ok, err := p.Memory.Document(ctx, erpnext.DocPaymentEntry, key)
		if err != nil || ok {
			return doc, ok, memoryError("posting.payment", err)
		}
	}
	return event.Document{}, false, nil
}

func (w *paymentWork) post(ctx context.Context, received time.Time) error {
	if err := w.settle(ctx, received); err != nil {
		return err
	}
	order, err := w.findOrder(ctx)
	if err != nil {
		return err
	}
	if order == nil && len(w.pay.OrderRefs) > 0 {
		if err := w.wait(received); err != nil {
			return err
		}
		w.onAccount("the order that the payment names is not in ERPNext",
			"when the order comes, the payment is linked to it; if it never does, find out what was paid for")
	}
	payer, err := w.payer(ctx, order)
	if err != nil {
		return err
	}
	made, err := w.ensureCustomer(ctx, payer, &w.result)
	if err != nil {
		return err
	}
	customer := made.name
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
		RetryAfter: left, WaitsFor: w.orderKeys(),
	}
}

// payer is the order's customer, else the one with the payer's e-mail, else
// the one who stands for nobody known.
func (w *paymentWork) payer(ctx context.Context, order *event.Document) (found, error) {
	if order != nil && order.Data["customer"] != "" {
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
	return w.seekStandIn(ctx, w.counter, standIn{"unknown-payer", w.UnknownPayer, "Unknown payer (" + w.origin.Source + ")"})
}

// allocation gives the order as much of the payment as it is worth, in the
// company's currency; the rest stays on account.
func (w *paymentWork) allocation(order *event.Document) *mapping.Allocation {
	if order == nil {
		return nil
	}
	state := readState(*order)
	if state.phase != live {
		w.onAccount("the order that the payment names was cancelled", "if a refund follows it balances the account; else pay the money back")
		return nil
	}
	amount := w.books.Credited(w.pay, w.rate)
	total, err := money.ParseDecimal(state.base)
	if err != nil {
		return nil
	}
	if worth := money.New(total, w.books.Currency); amount.Cmp(worth) > 0 {
		amount = worth
		w.onAccount("more was paid than the order is worth", "the difference is on the customer's account: pay it back or allocate it")
	}
	return &mapping.Allocation{Order: order.Name, Amount: amount}
}

func (w *paymentWork) draft(ctx context.Context, customer string, a *mapping.Allocation) (erpnext.Stored, error) {
	var stored erpnext.Stored
	pe, err := w.books.PaymentEntry(w.pay, w.key, customer, w.rate, a)
	if err != nil {
		return stored, err
	}
	w.allocated = len(pe.References) > 0
	_, err = w.Site.Ensure(ctx, erpnext.DocPaymentEntry, w.key, pe, &stored)
	if err == nil && stored.DocStatus != erpnext.Cancelled && differs(stored.PaidAmount, pe.PaidAmount) {
		err = &fault.Error{
			Kind: fault.Mismatch, Op: "posting.payment", Cause: "ERPNext's amount differs from the provider's",
			Hint: "the provider says " + w.pay.Amount.String() + ", so " + pe.PaidAmount.String() + " should arrive; ERPNext's draft " + stored.Name +
				" says " + stored.PaidAmount.String() + "; the draft was kept",
		}
	}
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
	left := money.New(baseTotal(so).Sub(so.AdvancePaid.Decimal), w.books.Currency)
	if so.DocStatus != erpnext.Submitted || so.Status == "Closed" || so.PerBilled.IsPositive() {
		left = money.Zero(w.books.Currency)
	}
	if asked == nil || left.Cmp(asked.Amount) >= 0 {
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
	if stored.DocStatus == erpnext.Draft {
		if err := w.Site.Submit(ctx, erpnext.DocPaymentEntry, stored.Name, nil); err != nil {
			return err
		}
	}
	data := map[string]string{dataCustomer: stored.Party, dataCurrency: w.settledIn(), dataKeys: strings.Join(w.keys(), "\n")}
	if w.pay.Settlement != nil {
		data[dataSettled] = "deducted"
	}
	if w.allocated {
		data[dataLinked] = "1"
	}
	for _, key := range w.keys() {
		w.result.add(event.Document{DocType: erpnext.DocPaymentEntry, Name: stored.Name, Key: key, Data: data})
	}
	if !w.allocated {
		return w.addLoose(ctx, []string{stored.Name}, w.orderKeys()...)
	}
	return nil
}

// What later movements ask of a payment.
const (
	dataCustomer = "customer" // whose account it is on
	dataCurrency = "currency" // of the clearing account it is on
	dataSettled  = "settled"  // how its fee was booked; absent = not yet
	dataLinked   = "linked"   // it is allocated to an order
	dataKeys     = "keys"     // all that it is remembered under
)
