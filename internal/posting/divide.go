package posting

import (
	"context"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// value finds out what the payment was worth on the balance, as far as nobody
// has told.
func (w *paymentWork) value(ctx context.Context) error {
	w.inShopsMoney()
	var err error
	w.rate, err = w.rateOfMovement(ctx, w.books, w.pay.Amount, w.pay.Settlement, w.pay.At)
	return err
}

// inShopsMoney takes a shop's transaction in what the buyer was shown for the
// shop's own money at the order's rate, unless there is an account for it as it
// is: a shop is paid out in its own.
func (w *paymentWork) inShopsMoney() {
	if w.pay.Gateway == "" || w.pay.Settlement != nil || w.books.Holds(w.pay.Provider, w.pay.Gateway, w.pay.Amount.Currency()) {
		return
	}
	for _, order := range w.orders {
		due, ok := w.due(order)
		if !ok || due.Shown.Currency() != w.pay.Amount.Currency() || due.Shown.Sign() <= 0 {
			continue
		}
		gross := shareOf(due.Total, w.pay.Amount, due.Shown)
		w.pay.Settlement = &commerce.Settlement{Gross: gross, Fee: money.Zero(gross.Currency()), Net: gross}
		return
	}
}

// shareOf is what a part of `all` is of a whole, to the minor unit.
func shareOf(whole, part, all money.Amount) money.Amount {
	digits, err := money.MinorDigits(whole.Currency())
	if err != nil {
		digits = 2
	}
	value := whole.Value().Mul(part.Value()).DivRound(all.Value(), 12).RoundBank(int32(digits)) //nolint:gosec // at most four
	return money.New(value, whole.Currency())
}

// divide decides which order gets how much, and gives what they asked for. What
// that is in ERPNext is looked up only where it matters.
func (w *paymentWork) divide(ctx context.Context) ([]mapping.Due, error) {
	var dues []mapping.Due
	for _, order := range w.orders {
		due, ok := w.due(order)
		switch {
		case order.Data["customer"] != w.orders[0].Data["customer"]: // a payment is of one
			w.onAccount("it names orders of several customers", "find out whose payment it is; it pays the orders of the first that it names")
		case ok:
			dues = append(dues, due)
		default:
			w.onAccount(asksNothing(readState(order)))
		}
	}
	paid := w.books.Paid(w.pay, w.rate)
	if len(dues) > 0 && w.asksWhatIsLeft(paid, dues) {
		if err := w.readLeft(ctx, dues); err != nil {
			return nil, err
		}
	}
	w.split = w.books.Split(paid, dues)
	if len(dues) == 0 {
		return nil, nil
	}
	if err := w.mayDiffer(paid); err != nil {
		return nil, err
	}
	if w.split.Rest.IsPositive() && len(w.absent) == 0 {
		w.onAccount("more was paid than the order is worth", "the difference is on the customer's account: pay it back or allocate it")
	}
	return dues, nil
}

// asksNothing says why an order asks for no money, and what to do with a payment
// of it.
func asksNothing(s orderState) (cause, hint string) {
	switch s.phase {
	case skipped:
		return "the order that the payment names is not booked, as the mapping sheet says",
			"the event of the order says why. Should it be booked, correct orders.skip_tags or orders.test_orders of the sheet, or the order's tags, and replay the " +
				"order's event: the payment is linked to it then. Else clear the payment by hand where the order is kept"
	case byHand:
		return "the Sales Order of the order that the payment names was cancelled by hand",
			"allocate the payment to what took the Sales Order's place, or pay the money back"
	case closed:
		return "the order that the payment names was cancelled after goods or invoices went out, and its Sales Order is closed",
			"if it was invoiced, allocate the payment to the invoice with Payment Reconciliation; else pay the money back"
	case cancelled, unmade:
		return "the order that the payment names was cancelled", "if a refund follows it balances the account; else pay the money back"
	default:
		return "what is remembered of the order that the payment names cannot be read", "allocate the payment to its order with Payment Reconciliation"
	}
}

// due is what a remembered order asks for; false when it asks for nothing any
// more.
func (w *paymentWork) due(order event.Document) (mapping.Due, bool) {
	state := readState(order)
	total, err := money.ParseDecimal(state.total)
	base, errBase := money.ParseDecimal(state.base)
	if state.phase != live || err != nil || errBase != nil {
		return mapping.Due{}, false
	}
	currency := state.currency
	if currency == "" {
		currency = w.books.Currency
	}
	return mapping.Due{Order: order.Name, Total: money.New(total, currency), Shown: readAmount(state.shown), Base: base, Left: base}, true
}

// asksWhatIsLeft reports whether what the orders still take must be known ahead:
// where the sheet stops what differs, and where a part of a foreign total is
// paid, because the last part pays what the rounding of the others left.
func (w *paymentWork) asksWhatIsLeft(paid mapping.Money, dues []mapping.Due) bool {
	if w.StopUnderpaid || w.StopOverpaid {
		return true
	}
	if paid.Charged.Currency() == w.books.Currency {
		return false
	}
	for _, d := range dues {
		for _, total := range []money.Amount{d.Total, d.Shown} {
			if total.Currency() == paid.Charged.Currency() && paid.Charged.Cmp(total) < 0 {
				return true
			}
		}
	}
	return false
}

// readLeft asks ERPNext what the orders still take.
func (w *paymentWork) readLeft(ctx context.Context, dues []mapping.Due) error {
	for i := range dues {
		so, err := w.orderNow(ctx, dues[i].Order)
		if err != nil {
			return err
		}
		dues[i].Left = leftOf(so)
	}
	return nil
}

// leftOf is what a Sales Order still takes, in the company's currency.
func leftOf(so erpnext.Stored) decimal.Decimal {
	if so.DocStatus != erpnext.Submitted || so.Status == "Closed" || so.PerBilled.IsPositive() {
		return decimal.Zero
	}
	return decimal.Max(baseTotal(so).Sub(so.AdvancePaid.Decimal), decimal.Zero)
}

// mayDiffer stops a payment that is not what its orders ask for, where the sheet
// wants a person to decide.
func (w *paymentWork) mayDiffer(paid mapping.Money) error {
	stop := func(cause, setting string) error {
		return &fault.Error{
			Kind: fault.Mismatch, Op: "posting.payment", Cause: cause,
			Hint: paid.Charged.String() + " were paid, which pays " + w.split.Allocated().String() + " " + w.books.Currency + " of the order and leaves " +
				w.split.Open.String() + " of it open and " + w.split.Rest.String() + " over; book it by hand and dismiss the event, or set payments." + setting + " to book and replay",
		}
	}
	switch {
	case w.StopOverpaid && w.split.Rest.IsPositive():
		return stop("more was paid than the order asks for", "overpayment")
	case w.StopUnderpaid && w.split.Open.IsPositive():
		return stop("less was paid than the order asks for", "underpayment")
	default:
		return nil
	}
}

// amountData writes an amount down: "10.00 EUR".
func amountData(a money.Amount) string {
	if a.Currency() == "" {
		return ""
	}
	return a.Value().String() + " " + a.Currency()
}

// readAmount reads what amountData wrote; the zero Amount when there is none.
func readAmount(text string) money.Amount {
	value, currency, _ := strings.Cut(text, " ")
	a, err := money.Parse(value, currency)
	if err != nil {
		return money.Amount{}
	}
	return a
}
