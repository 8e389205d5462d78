package posting

import (
	"context"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// With FeesByPayout what a provider keeps of each movement is added up, by the
// currency of the balance, and booked with the next payout in that currency.
// These are the kinds under which the memory keeps it; they are no DocTypes of
// ERPNext. A sum and what was counted into it are written together, so that no
// crash counts a fee twice or not at all.
const (
	feeSums     = "Fee Sum"     // what is not booked yet
	feesCounted = "Fee Counted" // that a movement's fee is in the sum
	payoutFees  = "Payout Fees" // what a payout books
)

const dataSum = "sum"

func (c counter) feeSumKey(currency string) string { return c.origin.Key("fees", currency) }

func (w *paymentWork) oweFee(ctx context.Context, key string, fee money.Amount) error {
	return w.owe(ctx, w.counter, key, fee)
}

// owe counts the fee of a movement, once. A fee given back is negative.
func (p *Poster) owe(ctx context.Context, c counter, key string, fee money.Amount) error {
	if c.Fees != FeesByPayout || fee.IsZero() {
		return nil
	}
	return p.changeSum(ctx, c, fee, event.Document{DocType: feesCounted, Key: key, Data: map[string]string{dataSum: amountData(fee)}})
}

// unowe takes a movement's fee out of the sum again: it was undone.
func (p *Poster) unowe(ctx context.Context, c counter, key string) error {
	doc, ok, err := p.Memory.Document(ctx, feesCounted, key)
	if err != nil || !ok {
		return memoryError("posting.fees", err)
	}
	fee := readAmount(doc.Data[dataSum])
	if fee.IsZero() {
		return nil
	}
	return p.changeSum(ctx, c, fee.Neg(), event.Document{DocType: feesCounted, Key: key + "/undone", Data: map[string]string{dataSum: amountData(fee.Neg())}})
}

// changeSum adds to the sum of a currency, together with what says that it was.
func (p *Poster) changeSum(ctx context.Context, c counter, by money.Amount, said event.Document) error {
	sumKey := c.feeSumKey(by.Currency())
	end, err := p.turns.take(ctx, sumKey)
	if err != nil {
		return err
	}
	defer end()
	if _, counted, err := p.Memory.Document(ctx, said.DocType, said.Key); err != nil || counted {
		return memoryError("posting.fees", err)
	}
	sum, err := p.feeSum(ctx, sumKey)
	if err != nil {
		return err
	}
	return memoryError("posting.fees", p.Memory.Remember(ctx, "", feeSumOf(sumKey, sum.Add(by.Value())), said))
}

func (p *Poster) feeSum(ctx context.Context, key string) (decimal.Decimal, error) {
	doc, ok, err := p.Memory.Document(ctx, feeSums, key)
	if err != nil || !ok {
		return decimal.Zero, memoryError("posting.fees", err)
	}
	return money.ParseDecimal(doc.Data[dataSum])
}

func feeSumOf(key string, sum decimal.Decimal) event.Document {
	return event.Document{DocType: feeSums, Key: key, Data: map[string]string{dataSum: sum.String()}}
}

// claimFees takes the sum for this payout, or gives what it took before: what is
// booked must stay what it is, however often that is tried.
func (w *payoutWork) claimFees(ctx context.Context) (money.Amount, error) {
	currency := w.payout.Amount.Currency()
	zero := money.Zero(currency)
	if w.Fees != FeesByPayout {
		return zero, nil
	}
	sumKey := w.feeSumKey(currency)
	end, err := w.turns.take(ctx, sumKey)
	if err != nil {
		return zero, err
	}
	defer end()
	doc, claimed, err := w.Memory.Document(ctx, payoutFees, w.key)
	if err != nil || claimed {
		return money.New(readAmount(doc.Data[dataSum]).Value(), currency), memoryError("posting.fees", err)
	}
	sum, err := w.feeSum(ctx, sumKey)
	if err != nil || sum.IsZero() {
		return zero, err
	}
	fees := money.New(sum, currency)
	return fees, memoryError("posting.fees", w.Memory.Remember(ctx, "", feeSumOf(sumKey, decimal.Zero), w.claimOf(fees)))
}

func (w *payoutWork) claimOf(fees money.Amount) event.Document {
	return event.Document{DocType: payoutFees, Key: w.key, Data: map[string]string{dataSum: amountData(fees)}}
}

// unclaimFees gives the fees of a payout that failed to the next one.
func (w *payoutWork) unclaimFees(ctx context.Context) error {
	doc, claimed, err := w.Memory.Document(ctx, payoutFees, w.key)
	if err != nil || !claimed {
		return memoryError("posting.fees", err)
	}
	fees := readAmount(doc.Data[dataSum])
	if fees.IsZero() {
		return nil
	}
	return w.changeSum(ctx, w.counter, fees, event.Document{DocType: payoutFees, Key: w.key + "/failed", Data: map[string]string{dataSum: amountData(fees)}})
}
