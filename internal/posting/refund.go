package posting

import (
	"context"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// Refund ensures one submitted Payment Entry of type Pay for money given back,
// on the account of the customer whose payment it was, and undoes it when the
// refund failed after all: a failure is final. While the payment is not there
// it fails with fault.Waiting, until WaitForOrder after `received`; then it is
// booked for the payer as far as anybody knows.
func (p *Poster) Refund(ctx context.Context, origin Origin, r commerce.Refund, received time.Time) (Result, error) {
	w, err := p.refundWork(ctx, origin, r)
	if err != nil {
		return Result{}, err
	}
	done, err := p.turns.takeAll(ctx, w.keys())
	if err != nil {
		return Result{}, err
	}
	defer done()
	if w.known, w.isKnown, err = p.booked(ctx, w.keys()...); err != nil {
		return Result{}, err
	}
	if own, why := w.shopRefundOwned(); !own {
		return Result{Ignored: why}, nil
	}
	switch r.Outcome {
	case commerce.Pending:
		return Result{Ignored: "the refund is pending: it is booked when it has succeeded"}, nil
	case commerce.Failed:
		err = w.undo(ctx)
	default:
		err = w.post(ctx, received)
	}
	return w.settled(w.result, err)
}

func (p *Poster) refundWork(ctx context.Context, origin Origin, r commerce.Refund) (*refundWork, error) {
	desk := p.desk(origin)
	books, err := desk.books.get(ctx)
	return &refundWork{Poster: p, counter: counter{desk, books, origin}, refund: r, key: origin.Key("refund", r.ID)}, err
}

// refundWork is the way of one refund into ERPNext, or out of it.
type refundWork struct {
	*Poster
	counter
	refund  commerce.Refund
	key     string
	known   event.Document // what is remembered of it
	isKnown bool
	payment event.Document // whose money it gives back, as remembered
	result  Result
}

func (w *refundWork) keys() []string {
	return movementKeys(w.origin, "refund", w.refund.ID, w.refund.Aliases)
}

// undo cancels the booked refund and remembers that it failed.
func (w *refundWork) undo(ctx context.Context) error {
	if w.known.Data[dataFailed] != "" {
		w.result.Note = "the failure of the refund is known already"
		return nil
	}
	name, err := w.cancelBooked(ctx, erpnext.DocPaymentEntry, w.key)
	if err != nil {
		return err
	}
	if err := w.unowe(ctx, w.counter, w.origin.Key("refund-fee", w.refund.ID)); err != nil {
		return err
	}
	w.result.Warn = &fault.Error{
		Kind: fault.Waiting, Op: "posting.refund", Cause: "a refund failed: the payer has not got the money",
		Hint: "the money is on the balance again: give it back in another way at the provider, or agree otherwise with the payer (" + w.refund.ID + ")",
	}
	w.result.Note = "the refund failed: nothing is booked"
	if name != "" {
		w.result.Note = "the refund failed: " + name + " is cancelled"
	}
	w.remember(event.Document{DocType: erpnext.DocPaymentEntry, Name: name, Data: map[string]string{dataFailed: "1"}})
	return nil
}

func (w *refundWork) remember(doc event.Document) {
	for _, key := range w.keys() {
		doc.Key = key
		w.result.add(doc)
	}
}

func (w *refundWork) post(ctx context.Context, received time.Time) error {
	switch {
	case w.known.Data[dataFailed] != "":
		w.result.Note = "the refund failed later: it is not booked"
		return nil
	case w.isKnown:
		w.result.Note = "the refund is in ERPNext already"
		return nil
	case w.refund.Amount.Sign() <= 0:
		w.result.Ignored = "no money was moved"
		return nil
	}
	payee, err := w.payee(ctx, received)
	if err != nil {
		return err
	}
	if err = w.giveBack(ctx, payee); !isMissing(err, erpnext.DocCustomer) {
		return err
	}
	if payee, err = w.askAnew(ctx, received); err != nil {
		return err
	}
	return strangeCustomer("posting.refund", w.giveBack(ctx, payee))
}

// askAnew is the payee after ERPNext said that it does not know the one whom we
// remember. The payment that is given back was renamed with the customer.
func (w *refundWork) askAnew(ctx context.Context, received time.Time) (found, error) {
	if w.payment.Name != "" {
		var stored erpnext.Stored
		err := w.Site.Get(ctx, erpnext.DocPaymentEntry, w.payment.Name, &stored)
		return found{name: stored.Party}, err
	}
	payer, err := w.payer(ctx)
	if err != nil {
		return found{}, err
	}
	if err := payer.askAnew(ctx); err != nil {
		return found{}, err
	}
	return payer.payer(ctx)
}

func (w *refundWork) giveBack(ctx context.Context, payee found) error {
	made, err := w.ensureCustomer(ctx, payee, &w.result)
	if err != nil {
		return err
	}
	customer := made.name
	end, err := w.turns.take(ctx, "customer/"+customer)
	if err != nil {
		return err
	}
	defer end()
	return w.book(ctx, customer)
}

func (w *refundWork) book(ctx context.Context, customer string) error {
	r := w.refund
	if r.Settlement == nil {
		r.Settlement = likePayment(w.payment, r.Amount)
	}
	whole := r.Settlement
	if w.Fees != FeesDeducted && r.Settlement != nil {
		r.Settlement = withoutFee(*r.Settlement)
	}
	rate, err := w.rateOfMovement(ctx, w.books, r.Amount, r.Settlement, r.At)
	if err != nil {
		return err
	}
	pe, err := w.books.RefundEntry(r, w.key, customer, rate, w.returned())
	if err != nil {
		return err
	}
	if pe.References, err = w.paysCredits(ctx, pe); err != nil {
		return err
	}
	stored, err := w.ensureSubmitted(ctx, erpnext.DocPaymentEntry, w.key, pe)
	if err != nil {
		return err
	}
	if stored.DocStatus == erpnext.Cancelled {
		w.result = cancelledByHand(erpnext.DocPaymentEntry, stored.Name)
		return nil
	}
	if whole != nil {
		if err := w.owe(ctx, w.counter, w.origin.Key("refund-fee", r.ID), whole.Fee); err != nil {
			return err
		}
	}
	w.remember(event.Document{DocType: erpnext.DocPaymentEntry, Name: stored.Name, Data: map[string]string{dataCustomer: customer}})
	if r.Reversed {
		w.tellReversed()
	}
	return nil
}

// tellReversed tells a person of money that was taken back without the
// merchant's doing: nobody in the shop knows of it.
func (w *refundWork) tellReversed() {
	w.result.note("the provider took the payment back")
	warn := &fault.Error{
		Kind: fault.Waiting, Op: "posting.refund", Cause: "the provider took a payment back",
		Hint: "look at the payment at the provider: a dispute, a complaint to the bank or a withdrawn debit. Answer it there, and decide whether the customer still owes the money (" +
			w.refund.ID + ")",
	}
	if nobody := w.result.Warn; nobody != nil { // there is that to be done, too
		w.result.note(nobody.Cause)
		warn.Hint += "; " + nobody.Hint
	}
	w.result.Warn = warn
}

// likePayment is what money that is taken back of a payment does to the balance,
// as far as that follows from the payment: where that was converted, the same part
// of it leaves.
func likePayment(payment event.Document, amount money.Amount) *commerce.Settlement {
	charged, gross := readAmount(payment.Data[dataCharged]), readAmount(payment.Data[dataGross])
	if charged.Sign() <= 0 || charged.Currency() != amount.Currency() || gross.Sign() <= 0 || gross.Currency() == charged.Currency() {
		return nil
	}
	leaves := shareOf(gross, amount, charged).Neg()
	return &commerce.Settlement{Gross: leaves, Fee: money.Zero(leaves.Currency()), Net: leaves}
}

// returned is what of a foreign payment's credit is taken back: what an order
// was worth to the customer's account when it was paid is what a refund of it is
// worth. nil = what the movement is worth.
func (w *refundWork) returned() *decimal.Decimal {
	charged := readAmount(w.payment.Data[dataCharged])
	credited, err := money.ParseDecimal(w.payment.Data[dataCredited])
	if err != nil || charged.Sign() <= 0 || charged.Currency() != w.refund.Amount.Currency() || charged.Currency() == w.books.Currency {
		return nil
	}
	share := credited.Mul(w.refund.Amount.Value()).DivRound(charged.Value(), 12).RoundBank(w.books.Precision)
	return &share
}

// payee is the customer whose payment is given back; else the order's; else the
// one with the payer's e-mail; else the one who stands for nobody known.
func (w *refundWork) payee(ctx context.Context, received time.Time) (found, error) {
	if w.refund.PaymentID != "" {
		payment, ok, err := w.booked(ctx, w.paymentKeys()...)
		if err != nil || ok {
			w.payment = payment
			return found{name: payment.Data[dataCustomer]}, err
		}
		if err := w.wait(received); err != nil {
			return found{}, err
		}
	}
	payer, err := w.payer(ctx)
	if err != nil {
		return found{}, err
	}
	f, err := payer.payer(ctx)
	if payer.result.Warn != nil {
		w.result.Warn = &fault.Error{
			Kind: fault.Waiting, Op: "posting.refund", Cause: "refund booked for nobody known",
			Hint: "find out whose refund it is and move it to that customer",
		}
	}
	return f, err
}

// payer is the work of finding who is given money of no known payment, with the
// orders that it is for.
func (w *refundWork) payer(ctx context.Context) (*paymentWork, error) {
	payer := &paymentWork{Poster: w.Poster, counter: w.counter, pay: commerce.Payment{OrderRefs: w.refund.OrderRefs, PayerEmail: w.refund.PayerEmail}}
	if len(w.refund.OrderRefs) == 0 {
		return payer, nil
	}
	return payer, payer.findOrders(ctx)
}

// paymentKeys are what the refunded payment may be remembered under: by this
// origin, or by another one that owns its money.
func (w *refundWork) paymentKeys() []string {
	keys := []string{w.origin.Key("payment", w.refund.PaymentID)}
	for _, provider := range w.Providers {
		if provider != w.origin {
			keys = append(keys, provider.Key("payment", w.refund.PaymentID))
		}
	}
	return keys
}

func (w *refundWork) wait(received time.Time) error {
	left := received.Add(w.WaitForOrder).Sub(w.Now())
	if left <= 0 {
		return nil
	}
	return &fault.Error{
		Kind: fault.Waiting, Op: "posting.refund", Cause: "the payment that is refunded is not in ERPNext yet",
		Hint:       "nothing to do: the refund is booked when the payment comes, or on account at the deadline",
		RetryAfter: left, WaitsFor: w.paymentKeys(),
	}
}
