package posting

import (
	"context"
	"maps"
	"net/http"
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
		if left := received.Add(w.WaitForFee).Sub(w.Now()); left > 0 {
			return &fault.Error{
				Kind: fault.Waiting, Op: "posting.payment", Cause: "the provider has not told the fee yet",
				Hint:       "nothing to do: the payment is booked when the fee is known, or without it at the deadline",
				RetryAfter: left, WaitsFor: movementKeys(w.origin, "settlement", w.pay.ID, w.pay.Aliases),
			}
		}
	}
	if w.Fees != FeesDeducted && w.pay.Settlement != nil {
		w.pay.Settlement = withoutFee(*w.pay.Settlement)
	}
	var err error
	w.rate, err = w.rateOf(ctx, w.books, w.settledIn(), w.pay.At)
	return err
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
	end, err := p.turns.take(ctx, w.key)
	if err != nil {
		return Result{}, err
	}
	defer end()
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
	case booked.Data[dataSettled] != "":
		return Result{Note: "the fee is in ERPNext already"}, nil
	}
	return w.settled(w.bookFee(ctx, booked))
}

// bookFee books a fee that became known after its payment was booked in full.
func (w *paymentWork) bookFee(ctx context.Context, booked event.Document) (Result, error) {
	s := *w.pay.Settlement
	if w.Fees != FeesDeducted {
		return Result{Note: "fees are not booked with their payments, as the mapping sheet says"}, nil
	}
	if currency := booked.Data[dataCurrency]; currency != "" && currency != s.Net.Currency() {
		return Result{}, &fault.Error{
			Kind: fault.Mismatch, Op: "posting.fee", Cause: "the payment was booked in " + currency + " and settled in " + s.Net.Currency(),
			Hint: "cancel " + booked.Name + " in ERPNext and book it by hand with the amount that the provider credited; with an API key of the provider the service knows the currency before it books",
		}
	}
	rate, err := w.rateOf(ctx, w.books, s.Net.Currency(), w.pay.At)
	if err != nil {
		return Result{}, err
	}
	transfer, err := w.books.FeeTransfer(w.pay.Provider, s.Fee)
	if err != nil {
		return Result{}, err
	}
	v := mapping.Voucher{At: w.pay.At, Reference: s.ID, Title: "Fee", Remark: "Fee of " + booked.Name}
	r, err := w.journal(ctx, w.books.JournalEntry(v, w.origin.Key("fee", w.pay.ID), rate, []mapping.Transfer{transfer}))
	if err != nil {
		return r, err
	}
	data := maps.Clone(booked.Data)
	data[dataSettled] = "journal"
	for _, key := range w.keys() {
		r.add(event.Document{DocType: erpnext.DocPaymentEntry, Name: booked.Name, Key: key, Data: data})
	}
	return r, nil
}

// rateOf is what one unit of a currency is worth in the company's on a day, by
// ERPNext's own records (erpnext/setup/utils.py, get_exchange_rate).
func (p *Poster) rateOf(ctx context.Context, b mapping.Books, currency string, at time.Time) (mapping.Rate, error) {
	if currency == b.Currency {
		return mapping.Rate{}, nil
	}
	var rate erpnext.Number
	err := p.Site.Call(ctx, http.MethodPost, "erpnext.setup.utils.get_exchange_rate",
		map[string]string{"from_currency": currency, "to_currency": b.Currency, "transaction_date": b.Date(at)}, &rate)
	if err != nil {
		return mapping.Rate{}, err
	}
	if !rate.GreaterThan(decimal.Zero) {
		return mapping.Rate{}, &fault.Error{
			Kind: fault.Unmapped, Op: "posting.rate", Cause: "ERPNext has no exchange rate from " + currency + " to " + b.Currency,
			Hint: "make a Currency Exchange record for the day in ERPNext, then replay",
		}
	}
	return mapping.Rate{Decimal: rate.Decimal}, nil
}
