package posting

import (
	"context"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// Payout ensures the Internal Transfer of a payout from the clearing account
// to the bank, and undoes it when the payout failed, which is final. The fee of
// an instant payout is a Journal Entry of its own: ERPNext takes a deduction on
// a transfer for an exchange difference (frappe/erpnext#58071).
func (p *Poster) Payout(ctx context.Context, origin Origin, out commerce.Payout) (Result, error) {
	desk := p.desk(origin)
	books, err := desk.books.get(ctx)
	if err != nil {
		return Result{}, err
	}
	w := &payoutWork{Poster: p, counter: counter{desk, books, origin}, payout: out, key: origin.Key("payout", out.ID)}
	end, err := p.turns.take(ctx, w.key)
	if err != nil {
		return Result{}, err
	}
	defer end()
	known, isKnown, err := p.booked(ctx, w.key)
	if err != nil {
		return Result{}, err
	}
	switch {
	case out.Outcome == commerce.Succeeded && out.Amount.IsZero():
		return Result{Ignored: "no money was moved"}, nil
	case out.Outcome == commerce.Pending:
		return Result{Ignored: "the payout is on its way: it is booked when it has arrived"}, nil
	case known.Data[dataFailed] != "":
		return Result{Note: "the payout failed: it is not booked"}, nil
	case out.Outcome == commerce.Failed:
		err = w.undo(ctx)
	case isKnown:
		return Result{Note: "the payout is in ERPNext already"}, nil
	default:
		err = w.post(ctx)
	}
	return w.settled(w.result, err)
}

// payoutWork is the way of one payout into ERPNext, or out of it.
type payoutWork struct {
	*Poster
	counter
	payout commerce.Payout
	key    string
	result Result
}

func (w *payoutWork) feeKey() string { return w.origin.Key("payout-fee", w.payout.ID) }

func (w *payoutWork) undo(ctx context.Context) error {
	name, err := w.cancelBooked(ctx, erpnext.DocPaymentEntry, w.key)
	if err != nil {
		return err
	}
	if _, err := w.cancelBooked(ctx, erpnext.DocJournalEntry, w.feeKey()); err != nil {
		return err
	}
	if err := w.unclaimFees(ctx); err != nil {
		return err
	}
	w.result.Note = "the payout failed: nothing is booked"
	if name != "" {
		w.result.Note = "the payout failed: " + name + " is cancelled"
	}
	w.result.add(event.Document{DocType: erpnext.DocPaymentEntry, Name: name, Key: w.key, Data: map[string]string{dataFailed: "1"}})
	return nil
}

func (w *payoutWork) post(ctx context.Context) error {
	rate, err := w.rateOf(ctx, w.books, w.payout.Amount.Currency(), w.payout.At)
	if err != nil {
		return err
	}
	pe, err := w.books.PayoutEntry(w.payout, w.key, rate)
	if err != nil {
		return err
	}
	fees, err := w.claimFees(ctx)
	if err != nil {
		return err
	}
	fee, err := w.feeEntry(fees, rate) // mapped ahead: both are booked, or neither
	if err != nil {
		return err
	}
	stored, err := w.ensureSubmitted(ctx, erpnext.DocPaymentEntry, w.key, pe)
	switch {
	case err != nil:
		return err
	case stored.DocStatus == erpnext.Cancelled:
		w.result = cancelledByHand(erpnext.DocPaymentEntry, stored.Name)
		return nil
	}
	if w.result, err = w.journal(ctx, fee); err != nil {
		return err
	}
	w.result.add(event.Document{DocType: erpnext.DocPaymentEntry, Name: stored.Name, Key: w.key})
	return nil
}

// feeEntry is the Journal Entry of what the provider kept: of the payout itself,
// and with FeesByPayout of everything since the last one.
func (w *payoutWork) feeEntry(owed money.Amount, rate mapping.Rate) (erpnext.JournalEntry, error) {
	fee := owed
	if w.Fees != FeesIgnored && !w.payout.Fee.IsZero() {
		fee = fee.Add(w.payout.Fee)
	}
	if fee.IsZero() {
		return erpnext.JournalEntry{}, nil
	}
	transfer, err := w.books.FeeTransfer(w.payout.Provider, fee)
	v := mapping.Voucher{At: w.payout.At, Reference: w.payout.ID, Title: "Payout fee", Remark: "Fee of the payout " + w.payout.ID}
	if !owed.IsZero() {
		v.Title, v.Remark = "Fees", "Fees until the payout "+w.payout.ID
	}
	return w.books.JournalEntry(v, w.feeKey(), rate, []mapping.Transfer{transfer}), err
}
