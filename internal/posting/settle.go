package posting

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// FeePolicy says how what providers keep is booked.
type FeePolicy string

// The policies for fees.
const (
	FeesDeducted FeePolicy = ""       // with the payment, or on their own when they come later
	FeesByPayout FeePolicy = "payout" // one Journal Entry per payout
	FeesIgnored  FeePolicy = "none"   // not at all: the clearing account then differs from the balance
)

// settlements is the kind under which the memory keeps what a payment did to
// the balance, when that is told before the payment is booked. It is no
// DocType of ERPNext.
const settlements = "Settlement"

// settle finds out what the payment did to the balance: from its own event,
// from one that came before, else it waits for one. At the deadline the whole
// amount is booked, and the fee when it comes.
func (w *paymentWork) settle(ctx context.Context, received time.Time) error {
	if err := w.recall(ctx); err != nil {
		return err
	}
	if w.pay.Settlement == nil {
		if left := received.Add(w.waitForFee()).Sub(w.Now()); left > 0 {
			return &fault.Error{
				Kind: fault.Waiting, Op: "posting.payment", Cause: "the provider has not told the fee yet",
				Hint:       "nothing to do: the payment is booked when the fee is known, or without it at the deadline",
				RetryAfter: min(left, w.WaitForFee), // the provider is asked again, should no event come
				WaitsFor:   movementKeys(w.origin, "settlement", w.pay.ID, w.pay.Aliases),
			}
		}
	}
	w.whole = w.pay.Settlement
	w.withPolicy()
	return nil
}

// conversionTold is the longest that a conversion takes to be told: Stripe
// promises an hour (facts: provider-webhooks, section 2), its event may be late.
const conversionTold = 2 * time.Hour

// waitForFee is how long the payment waits. Where there is no account for the
// currency that was charged the provider converts it, and before it has told into
// what there is nothing to book it on: it would be a dead letter for having come
// a little early.
func (w *paymentWork) waitForFee() time.Duration {
	if w.WaitForFee > 0 && !w.books.Holds(w.pay.Provider, w.pay.Gateway, w.pay.Amount.Currency()) {
		return max(w.WaitForFee, conversionTold)
	}
	return w.WaitForFee
}

// withPolicy leaves the fee out of the settlement where it is not deducted.
func (w *paymentWork) withPolicy() {
	if w.pay.Settlement != nil && (w.Fees != FeesDeducted || w.feeIsAll()) {
		w.pay.Settlement = withoutFee(*w.pay.Settlement)
	}
}

// feeIsAll reports whether nothing is left of the payment once its fee is taken:
// ERPNext has no payment of nothing, so the fee is booked on its own.
func (w *paymentWork) feeIsAll() bool {
	return w.Fees == FeesDeducted && w.whole != nil && w.whole.Net.Sign() <= 0
}

// withoutFee is a settlement whose fee is booked by other means, or not.
func withoutFee(s commerce.Settlement) *commerce.Settlement {
	s.Fee, s.Net = money.Zero(s.Gross.Currency()), s.Gross
	return &s
}

// settledIn is the currency of the balance that the payment went to.
func (w *paymentWork) settledIn() string {
	if w.pay.Settlement != nil {
		return w.pay.Settlement.Net.Currency()
	}
	return w.pay.Amount.Currency()
}

// recall takes a settlement that was told before the payment was booked.
func (w *paymentWork) recall(ctx context.Context) error {
	for _, key := range movementKeys(w.origin, "settlement", w.pay.ID, w.pay.Aliases) {
		if w.pay.Settlement != nil {
			return nil
		}
		doc, ok, err := w.Memory.Document(ctx, settlements, key)
		if err != nil {
			return memoryError("posting.payment", err)
		}
		if ok {
			w.pay.Settlement = readSettlement(doc.Data)
		}
	}
	return nil
}

func settlementData(s commerce.Settlement) map[string]string {
	return map[string]string{
		"id": s.ID, "currency": s.Gross.Currency(), "gross": s.Gross.Value().String(), "fee": s.Fee.Value().String(), "net": s.Net.Value().String(),
	}
}

func readSettlement(data map[string]string) *commerce.Settlement {
	s := commerce.Settlement{ID: data["id"]}
	for name, to := range map[string]*money.Amount{"gross": &s.Gross, "fee": &s.Fee, "net": &s.Net} {
		var err error
		if *to, err = money.Parse(data[name], data["currency"]); err != nil {
			return nil // not ours: as if it had not been told
		}
	}
	return &s
}

// fee books what an event tells of the settlement of a payment alone. When the
// payment is not booked yet, that is kept for it.
func (p *Poster) fee(ctx context.Context, origin Origin, pay commerce.Payment) (Result, error) {
	if pay.Settlement == nil {
		return Result{Ignored: "the event does not tell what the payment did to the balance"}, nil
	}
	w, err := p.paymentWork(ctx, origin, pay)
	if err != nil {
		return Result{}, err
	}
	done, err := p.turns.takeAll(ctx, append(w.orderKeys(), w.keys()...))
	if err != nil {
		return Result{}, err
	}
	defer done()
	booked, ok, err := p.booked(ctx, w.keys()...)
	switch {
	case err != nil:
		return Result{}, err
	case !ok:
		r := Result{Note: "the fee is kept until its payment is booked"}
		for _, key := range movementKeys(origin, "settlement", pay.ID, pay.Aliases) {
			r.add(event.Document{DocType: settlements, Key: key, Data: settlementData(*pay.Settlement)})
		}
		return r, nil
	}
	return w.settled(w.amend(ctx, booked))
}

// bookFee books a fee that became known after its payment was booked in full.
func (w *paymentWork) bookFee(ctx context.Context, booked event.Document) (Result, error) {
	w.whole = w.pay.Settlement
	w.withPolicy()
	if currency := booked.Data[dataCurrency]; currency != "" && currency != w.whole.Net.Currency() {
		return w.rebook(ctx, booked)
	}
	var r Result
	how := "journal"
	if w.Fees == FeesDeducted {
		var err error
		if r, err = w.feeJournal(ctx, booked.Name); err != nil {
			return r, err
		}
	} else {
		how, r.Note = string(w.Fees), "fees are not booked with their payments, as the mapping sheet says"
		if err := w.oweFee(ctx, w.origin.Key("fee", w.pay.ID), w.whole.Fee); err != nil {
			return r, err
		}
	}
	data := maps.Clone(booked.Data)
	data[dataSettled], data[dataGross] = how, amountData(w.whole.Gross)
	w.recollect(&r, booked.Name, data)
	return r, nil
}

// recollect remembers what became of a payment under all its names.
func (w *paymentWork) recollect(r *Result, name string, data map[string]string) {
	keys := w.keys()
	for key := range strings.SplitSeq(data[dataKeys], "\n") {
		if key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	data[dataKeys] = strings.Join(keys, "\n")
	for _, key := range keys {
		r.add(event.Document{DocType: erpnext.DocPaymentEntry, Name: name, Key: key, Data: data})
	}
}

func (w *paymentWork) feeJournal(ctx context.Context, name string) (Result, error) {
	rate, err := w.rateOfMovement(ctx, w.books, w.pay.Amount, w.whole, w.pay.At)
	if err != nil {
		return Result{}, err
	}
	transfer, err := w.books.FeeTransfer(w.pay.Provider, w.whole.Fee)
	if err != nil {
		return Result{}, err
	}
	v := mapping.Voucher{At: w.pay.At, Reference: w.whole.ID, Title: "Fee", Remark: "Fee of " + name}
	return w.journal(ctx, w.books.JournalEntry(v, w.origin.Key("fee", w.pay.ID), rate, []mapping.Transfer{transfer}))
}

// rebook puts a payment on the account it belongs to, after the provider told
// that it was settled in another currency than it was charged in: it is
// cancelled and gets a successor, which pays what it paid. What cannot be mapped
// is refused before anything is undone, and every step can be repeated.
func (w *paymentWork) rebook(ctx context.Context, booked event.Document) (Result, error) {
	var r Result
	old, err := w.newest(ctx, booked.Name)
	if err != nil {
		return r, err
	}
	if old.Key == "" {
		return r, &fault.Error{
			Kind: fault.Mismatch, Op: "posting.fee", Cause: "the payment was booked in " + booked.Data[dataCurrency] + " and settled in " + w.whole.Net.Currency(),
			Hint: booked.Name + " was made by hand: cancel it in ERPNext and book what the provider credited",
		}
	}
	pe, err := w.successor(ctx, old)
	if err != nil {
		return r, err
	}
	if err := w.Site.Cancel(ctx, erpnext.DocPaymentEntry, old.Name); err != nil {
		return r, err
	}
	stored, err := w.ensureSubmitted(ctx, erpnext.DocPaymentEntry, pe.Key, pe)
	for _, less := range []func() error{
		func() error { return w.reduce(ctx, &old) },
		func() error { old.letGo(); return nil },
	} {
		// It is cancelled by now: where another payment took its place at an order,
		// it pays what is left of that, or goes on account.
		if f := asFault(err); f == nil || f.Kind != fault.Rejected {
			break
		}
		if err = less(); err != nil {
			return r, err
		}
		if pe, err = w.successor(ctx, old); err != nil {
			return r, err
		}
		stored, err = w.ensureSubmitted(ctx, erpnext.DocPaymentEntry, pe.Key, pe)
	}
	if err != nil {
		return r, err
	}
	if err := w.oweFee(ctx, w.origin.Key("fee", w.pay.ID), w.whole.Fee); err != nil {
		return r, err
	}
	if w.feeIsAll() {
		if r, err = w.feeJournal(ctx, stored.Name); err != nil {
			return r, err
		}
	}
	data := w.told(maps.Clone(booked.Data))
	data[dataSettled] = "deducted"
	w.recollect(&r, stored.Name, data)
	if data[dataLinked] == "" { // it waits for its order under its new name
		err = w.renameLoose(ctx, old.Name, stored.Name, w.orderKeys()...)
	}
	r.Note = "the provider settled the payment in " + w.whole.Net.Currency() + ": " + stored.Name + " took the place of " + old.Name
	return r, err
}

// successor is a payment as it would have been booked, had the provider told
// before, with what it paid.
func (w *paymentWork) successor(ctx context.Context, old bookedPayment) (erpnext.PaymentEntry, error) {
	if err := w.value(ctx); err != nil {
		return erpnext.PaymentEntry{}, err
	}
	worth, allocated := w.books.Paid(w.pay, w.rate).Worth, decimal.Zero
	for _, ref := range old.References {
		allocated = allocated.Add(ref.AllocatedAmount.Decimal)
	}
	w.split = mapping.Split{Rest: worth.Sub(allocated)}
	if allocated.IsPositive() && (old.Unallocated.IsZero() || w.split.Rest.IsNegative()) {
		w.split = mapping.Split{Exchange: allocated.Sub(worth)}
	}
	base, n := splitRevision(old.Key)
	pe, err := w.books.PaymentEntry(w.pay, revisedKey(base, n+1), old.Party, w.rate, w.split)
	pe.References, pe.AmendedFrom = old.References, old.Name
	w.split.Rest = w.split.Rest.Add(allocated) // for what is remembered: they are not orders alone
	return pe, err
}
