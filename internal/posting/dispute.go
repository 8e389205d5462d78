package posting

import (
	"context"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// Dispute books what a dispute does to the balance: each movement once, as a
// Journal Entry between the clearing account and the account of disputed money,
// its fee to the fees. When the dispute is lost, what is still held goes to the
// losses. The payment itself is never cancelled. A person is told when a
// dispute is opened and how it ended.
func (p *Poster) Dispute(ctx context.Context, origin Origin, d commerce.Dispute) (Result, error) {
	desk := p.desk(origin)
	books, err := desk.books.get(ctx)
	if err != nil {
		return Result{}, err
	}
	w := &disputeWork{Poster: p, counter: counter{desk, books, origin}, dispute: d}
	end, err := p.turns.take(ctx, origin.Key("dispute", d.ID))
	if err != nil {
		return Result{}, err
	}
	defer end()
	err = w.post(ctx)
	return w.settled(w.result, err)
}

// disputeWork is the way of one stage of a dispute into ERPNext.
type disputeWork struct {
	*Poster
	counter
	dispute commerce.Dispute
	result  Result
}

func (w *disputeWork) post(ctx context.Context) error {
	movements, err := w.movements(ctx)
	if err != nil {
		return err
	}
	for _, movement := range movements {
		if err := w.move(ctx, movement); err != nil {
			return err
		}
	}
	if w.dispute.Stage == commerce.DisputeLost && !w.dispute.Elsewhere {
		if err := w.lose(ctx); err != nil {
			return err
		}
	}
	w.tell()
	return nil
}

// movements are what the dispute did to the balance. A provider that tells of
// the stage alone has moved the disputed amount, and has taken it before it could
// give it back or keep it, whether or not that was told.
func (w *disputeWork) movements(ctx context.Context) ([]commerce.Settlement, error) {
	d := w.dispute
	if len(d.Movements) > 0 || d.Elsewhere {
		return d.Movements, nil
	}
	amount, err := w.held(ctx)
	if err != nil {
		return nil, err
	}
	zero := money.Zero(amount.Currency())
	taken := commerce.Settlement{ID: "withdrawn", Gross: amount.Neg(), Fee: zero, Net: amount.Neg()}
	back := commerce.Settlement{ID: "reinstated", Gross: amount, Fee: zero, Net: amount}
	wasTaken := false
	if d.Stage == commerce.DisputeWon { // a try that was cut off may have booked it
		if wasTaken, err = w.Site.FindByKey(ctx, erpnext.DocJournalEntry, w.movementKey(taken), &erpnext.Stored{}); err != nil {
			return nil, err
		}
	}
	_, isOver, err := w.known(ctx, disputeEnds, w.origin.Key("dispute", d.ID))
	switch {
	case err != nil:
		return nil, err
	case d.Stage == commerce.DisputeReinstated, d.Stage == commerce.DisputeWon && wasTaken:
		return []commerce.Settlement{taken, back}, nil
	case d.Stage == commerce.DisputeLost, d.Stage == commerce.DisputeWithdrawn && !isOver:
		return []commerce.Settlement{taken}, nil
	case d.Stage == commerce.DisputeWon:
		// Whoever tells later that it was taken comes too late.
		w.result.add(event.Document{DocType: disputeEnds, Key: w.origin.Key("dispute", d.ID)})
	}
	return nil, nil
}

// disputeEnds is the kind under which the memory keeps that a dispute was won of
// which no movement was told. It is no DocType of ERPNext.
const disputeEnds = "Dispute End"

func (w *disputeWork) movementKey(s commerce.Settlement) string {
	return w.origin.Key("dispute", w.dispute.ID+"/"+s.ID)
}

// move books one movement: its gross amount to the disputed money, its fee to
// the fees.
func (w *disputeWork) move(ctx context.Context, s commerce.Settlement) error {
	key := w.movementKey(s)
	if _, ok, err := w.known(ctx, erpnext.DocJournalEntry, key); ok || err != nil {
		return err
	}
	rate, err := w.rateOf(ctx, w.books, s.Net.Currency(), w.dispute.At)
	if err != nil {
		return err
	}
	disputed, err := w.books.DisputeTransfer(w.dispute.Provider, s.Gross.Neg())
	if err != nil {
		return err
	}
	transfers := []mapping.Transfer{disputed}
	if w.Fees == FeesDeducted {
		fee, err := w.books.FeeTransfer(w.dispute.Provider, s.Fee)
		if err != nil {
			return err
		}
		transfers = append(transfers, fee)
	}
	r, err := w.journal(ctx, w.books.JournalEntry(w.voucher(), key, rate, transfers))
	w.result.add(r.Documents...)
	if err != nil {
		return err
	}
	return w.owe(ctx, w.counter, key, s.Fee)
}

func (w *disputeWork) voucher() mapping.Voucher {
	d := w.dispute
	remark := "Dispute " + d.ID
	if d.PaymentID != "" { // not every event names it
		remark += " of the payment " + d.PaymentID
	}
	if d.Reason != "" {
		remark += ", reason: " + d.Reason
	}
	if !d.DueBy.IsZero() {
		remark += ", evidence due by " + w.books.Date(d.DueBy)
	}
	return mapping.Voucher{At: d.At, Reference: d.ID, Title: "Dispute", Remark: remark}
}

// lose moves a lost dispute's money from where it is held to the losses.
func (w *disputeWork) lose(ctx context.Context) error {
	key := w.origin.Key("dispute", w.dispute.ID+"/lost")
	if _, ok, err := w.known(ctx, erpnext.DocJournalEntry, key); ok || err != nil {
		return err
	}
	held, err := w.held(ctx)
	if err != nil {
		return err
	}
	rate, err := w.rateOf(ctx, w.books, held.Currency(), w.dispute.At)
	if err != nil {
		return err
	}
	loss, err := w.books.DisputeLoss(w.books.Base(held, rate))
	if err != nil {
		return err
	}
	r, err := w.journal(ctx, w.books.JournalEntry(w.voucher(), key, mapping.Rate{}, []mapping.Transfer{loss}))
	w.result.add(r.Documents...)
	return err
}

// held is what the dispute has taken and not given back. Where the provider does
// not tell, that is the disputed amount, in the currency in which its payment
// reached the balance.
func (w *disputeWork) held(ctx context.Context) (money.Amount, error) {
	if len(w.dispute.Movements) > 0 {
		var taken money.Amount
		for _, s := range w.dispute.Movements {
			taken = taken.Sub(s.Gross)
		}
		return taken, nil
	}
	amount := w.dispute.Amount
	payment, ok, err := w.booked(ctx, w.origin.Key("payment", w.dispute.PaymentID))
	if err != nil || !ok {
		return amount, err
	}
	if s := likePayment(payment, amount); s != nil {
		amount = s.Gross.Neg()
	}
	return amount, nil
}

// tell says what a person should know of the stage.
func (w *disputeWork) tell() {
	d := w.dispute
	say := map[commerce.DisputeStage]struct{ cause, hint string }{
		commerce.DisputeOpened:    {"a payment is disputed", "answer the dispute at the provider before its deadline"},
		commerce.DisputeWithdrawn: {"the provider has taken disputed money back", "answer the dispute at the provider before its deadline"},
		commerce.DisputeLost:      {"a dispute is lost", "the loss is booked: decide whether the customer still owes it"},
	}
	text, ok := say[d.Stage]
	if !ok {
		w.result.Note = "dispute " + string(d.Stage)
		return
	}
	w.result.Note = text.cause
	w.result.Warn = &fault.Error{Kind: fault.Waiting, Op: "posting.dispute", Cause: text.cause, Hint: text.hint + " (" + d.ID + ")"}
}
