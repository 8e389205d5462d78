package posting

import (
	"context"
	"slices"
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
// events comes first: against the Sales Orders it names; else on account of the
// customer with the payer's e-mail; else of the unknown payer. While an order
// it names is not there it fails with fault.Waiting, until WaitForOrder after
// `received`; while nobody knows what it did to the balance, until
// WaitForFee. What a later event of the same payment tells beyond the first, the
// order it is for or what it did to the balance, is booked then.
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
	done, err := w.turns.takeAll(ctx, append(w.orderKeys(), w.keys()...))
	if err != nil {
		return Result{}, err
	}
	defer done()
	if own, r, err := w.shopsOwn(ctx); !own || err != nil {
		return w.settled(r, err)
	}
	booked, ok, err := p.booked(ctx, w.keys()...)
	if err != nil {
		return Result{}, err
	}
	if ok {
		return w.settled(w.amend(ctx, booked))
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
	whole  *commerce.Settlement // as the provider told it, whatever the policy makes of its fee
	rate   mapping.Rate         // of the balance's currency
	orders []event.Document     // that it pays
	absent []string             // keys of orders that it names and that are not there
	result Result
	// alike says that several orders have the name that the payment gives: it is
	// none of theirs until a person or another event says so.
	alike bool
	// guessed says that nobody named the order: it is the payer's only open one
	// of exactly this amount.
	guessed bool
	// split is how the Payment Entry divides the money, and wanted the whole of it.
	split  mapping.Split
	wanted erpnext.PaymentEntry
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

// amend completes a payment that is in ERPNext with what this event tells beyond
// the first one.
func (w *paymentWork) amend(ctx context.Context, booked event.Document) (Result, error) {
	r := Result{Note: "the payment is in ERPNext already"}
	if len(w.pay.OrderRefs) > 0 && mayBeLinked(booked) {
		tied, err := w.tie(ctx, booked)
		if err != nil {
			return tied, err
		}
		r = tied
		if booked, _, err = w.booked(ctx, booked.Key); err != nil {
			return r, err
		}
		r.add(booked)
	}
	if booked.Data[dataSettled] != "" {
		return r, nil
	}
	if err := w.recall(ctx); err != nil || w.pay.Settlement == nil {
		return r, err
	}
	fee, err := w.bookFee(ctx, booked)
	fee.Note = joinNotes(r.Note, fee.Note)
	if fee.Warn == nil {
		fee.Warn = r.Warn
	}
	fee.Documents = append(slices.DeleteFunc(r.Documents, func(d event.Document) bool { return d.DocType == erpnext.DocPaymentEntry }), fee.Documents...)
	return fee, err
}

// mayBeLinked reports whether a payment is not allocated to the order that it is
// for, as far as anybody has said.
func mayBeLinked(booked event.Document) bool {
	linked := booked.Data[dataLinked]
	return linked == "" || linked == linkedByGuess || booked.Data[dataMoving] != ""
}

func joinNotes(notes ...string) string {
	var said []string
	for _, note := range notes {
		if note != "" {
			said = append(said, note)
		}
	}
	return strings.Join(said, "; ")
}

func (w *paymentWork) post(ctx context.Context, received time.Time) error {
	if err := w.settle(ctx, received); err != nil {
		return err
	}
	if err := w.findOrders(ctx); err != nil {
		return err
	}
	if len(w.absent) > 0 {
		if err := w.wait(received); err != nil {
			return err
		}
		w.onAccount("the order that the payment names is not in ERPNext",
			"when the order comes, the payment is linked to it; if it never does, find out what was paid for")
	}
	if err := w.value(ctx); err != nil {
		return err
	}
	dues, err := w.divide(ctx)
	if err != nil {
		return err
	}
	if err = w.book(ctx, dues); !isMissing(err, erpnext.DocCustomer) {
		return err
	}
	if err := w.askAnew(ctx); err != nil {
		return err
	}
	return strangeCustomer("posting.payment", w.book(ctx, dues))
}

// book makes the Payment Entry on the account of who paid.
func (w *paymentWork) book(ctx context.Context, dues []mapping.Due) error {
	payer, err := w.payer(ctx)
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
	stored, created, err := w.draft(ctx, customer)
	if f := asFault(err); f != nil && f.Kind == fault.Rejected && len(dues) > 0 {
		stored, created, err = w.draftWithLess(ctx, customer, dues, err)
	}
	switch {
	case err != nil:
		return err
	case !created && stored.DocStatus == erpnext.Submitted:
		return w.adopt(ctx, stored)
	default:
		return w.submit(ctx, stored)
	}
}

// adopt goes on from a payment that an earlier try booked, whose outcome was not
// heard of: it may have known less than this one, and is completed as any payment
// that is booked is.
func (w *paymentWork) adopt(ctx context.Context, stored erpnext.Stored) error {
	var old bookedPayment
	if err := w.Site.Get(ctx, erpnext.DocPaymentEntry, stored.Name, &old); err != nil {
		return err
	}
	settlement := w.whole
	if old.PaidTo != w.wanted.PaidTo || differs(old.ReceivedAmount, w.wanted.ReceivedAmount) {
		w.pay.Settlement, w.whole = nil, nil // it did not know
		if err := w.value(ctx); err != nil {
			return err
		}
	}
	w.split = mapping.Split{Rest: old.Unallocated.Decimal}
	for _, ref := range old.References {
		w.split.Allocations = append(w.split.Allocations, mapping.Allocation{Order: ref.ReferenceName, Amount: money.New(ref.AllocatedAmount.Decimal, w.books.Currency)})
	}
	if err := w.submit(ctx, stored); err != nil {
		return err
	}
	// At once: what completes it reads it there, and changes it.
	if err := w.Memory.Remember(ctx, "", w.result.Documents...); err != nil {
		return memoryError("posting.payment", err)
	}
	w.result.Documents = slices.DeleteFunc(w.result.Documents, func(d event.Document) bool { return d.DocType == erpnext.DocPaymentEntry })
	booked, _, err := w.booked(ctx, w.key)
	if err != nil {
		return err
	}
	w.pay.Settlement, w.orders, w.absent = settlement, nil, nil
	r, err := w.amend(ctx, booked)
	w.result.add(r.Documents...)
	return err
}

// onAccount notes that a person should look although the money is booked.
func (w *paymentWork) onAccount(cause, hint string) {
	w.result.Note = "booked on account: " + cause
	w.result.Warn = &fault.Error{Kind: fault.Waiting, Op: "posting.payment", Cause: "payment booked on account: " + cause, Hint: hint}
}

// wait asks to be woken by an order that is not there, until the deadline.
func (w *paymentWork) wait(received time.Time) error {
	left := received.Add(w.WaitForOrder).Sub(w.Now())
	if left <= 0 || len(w.Shops) == 0 {
		return nil
	}
	return &fault.Error{
		Kind: fault.Waiting, Op: "posting.payment", Cause: "the order that the payment names is not in ERPNext yet",
		Hint:       "nothing to do: the payment is booked when the order comes, or on account at the deadline",
		RetryAfter: left, WaitsFor: w.absent,
	}
}

func (w *paymentWork) draft(ctx context.Context, customer string) (erpnext.Stored, bool, error) {
	pe, err := w.books.PaymentEntry(w.pay, w.key, customer, w.rate, w.split)
	if err != nil {
		return erpnext.Stored{}, false, err
	}
	w.wanted = pe
	stored, created, err := w.ensure(ctx, erpnext.DocPaymentEntry, w.key, pe)
	if err == nil && stored.DocStatus == erpnext.Draft && differs(stored.PaidAmount, pe.PaidAmount) {
		err = &fault.Error{
			Kind: fault.Mismatch, Op: "posting.payment", Cause: "ERPNext's amount differs from the provider's",
			Hint: "the provider says " + w.pay.Amount.String() + ", so " + pe.PaidAmount.String() + " should arrive; ERPNext's draft " + stored.Name +
				" says " + stored.PaidAmount.String() + "; the draft was kept",
		}
	}
	return stored, created, err
}

// draftWithLess tries again with what the orders still take, after ERPNext
// refused the allocation: they were paid in part by other means, or invoiced,
// and then take nothing. Any other refusal comes back as it was.
func (w *paymentWork) draftWithLess(ctx context.Context, customer string, dues []mapping.Due, refusal error) (erpnext.Stored, bool, error) {
	asked := w.split
	if err := w.readLeft(ctx, dues); err != nil {
		return erpnext.Stored{}, false, err
	}
	w.split = w.books.Split(w.books.Paid(w.pay, w.rate), dues)
	if slices.EqualFunc(w.split.Allocations, asked.Allocations, mapping.Allocation.Equal) {
		return erpnext.Stored{}, false, refusal
	}
	if w.split.Rest.IsPositive() {
		w.onAccount("the order takes less than was paid",
			"if the order is invoiced, allocate the payment to the invoice with Payment Reconciliation; else the difference is on the customer's account: pay it back or allocate it")
	}
	return w.draft(ctx, customer)
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
	data := w.told(map[string]string{dataCustomer: stored.Party, dataKeys: strings.Join(w.keys(), "\n")})
	if w.whole != nil {
		data[dataSettled] = "deducted"
		if err := w.oweFee(ctx, w.origin.Key("fee", w.pay.ID), w.whole.Fee); err != nil {
			return err
		}
	}
	if w.feeIsAll() {
		r, err := w.feeJournal(ctx, stored.Name)
		w.result.add(r.Documents...)
		if err != nil {
			return err
		}
	}
	waits := w.absent
	switch {
	case len(w.orders) == 0 && w.alike:
	case len(w.split.Allocations) == 0:
		waits = w.orderKeys()
	case w.guessed:
		data[dataLinked] = linkedByGuess
	default:
		data[dataLinked] = "1"
	}
	for _, key := range w.keys() {
		w.result.add(event.Document{DocType: erpnext.DocPaymentEntry, Name: stored.Name, Key: key, Data: data})
	}
	return w.addLoose(ctx, []string{stored.Name}, waits...)
}

// told adds what the provider told of the money to what is remembered.
func (w *paymentWork) told(data map[string]string) map[string]string {
	paid := w.books.Paid(w.pay, w.rate)
	data[dataCurrency] = w.settledIn()
	data[dataCharged] = amountData(paid.Charged)
	data[dataCredited] = w.split.Credited().String()
	if w.pay.Settlement != nil {
		data[dataGross] = amountData(w.pay.Settlement.Gross)
	}
	return data
}

// What later movements ask of a payment.
const (
	dataCustomer = "customer" // whose account it is on
	dataCurrency = "currency" // of the clearing account it is on
	dataSettled  = "settled"  // how its fee was booked; absent = not yet
	dataLinked   = "linked"   // it is allocated to an order
	dataKeys     = "keys"     // all that it is remembered under
	dataMoving   = "moving"   // it is being booked again
	dataCharged  = "charged"  // what the payer was charged: "10.00 EUR"
	dataGross    = "gross"    // what that was on the balance, where the provider told
	dataCredited = "credited" // what the customer's account got, in the company's currency
)

// linkedByGuess is dataLinked of a payment whose order nobody has named.
const linkedByGuess = "guess"
