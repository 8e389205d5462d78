package paypal

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

const confirmOp = "paypal.Confirm"

// settling is how long after an event arrived PayPal's API may not know of it
// yet, or know an older state: what it says in that time contradicts nothing.
const settling = 10 * time.Minute

// record is one of the places where PayPal keeps a movement.
type record struct {
	path string
	generation
}

// places where what an event tells of may be kept, best first.
func (q question) payments() []record {
	if strings.HasPrefix(q.ev.Topic, "PAYMENT.SALE.") {
		return []record{{"/v1/payments/sale/", v1}, {"/v2/payments/captures/", v2}}
	}
	return []record{{"/v2/payments/captures/", v2}, {"/v1/payments/capture/", v1}}
}

func (q question) refunds() []record {
	if strings.HasPrefix(q.ev.Topic, "PAYMENT.SALE.") {
		return []record{{"/v1/payments/refund/", v1}, {"/v2/payments/refunds/", v2}}
	}
	return []record{{"/v2/payments/refunds/", v2}, {"/v1/payments/refund/", v1}}
}

// Complete asks PayPal about the money that an event tells of: the signature
// does not bind the body, the API does. What PayPal does not know ten minutes
// after the event arrived, or knows with another amount, currency, state,
// payment or order, is a Forgery; what has become of it since is none. What the
// webhook left out is filled in: the fee, of which PayPal's answer is the one
// that counts in any case, the order and the payer. Other failures say that
// PayPal could not be asked: Network, Timeout, Unavailable, RateLimited,
// Credentials, Rights, BadRequest, and Missing while it may not know yet. Without
// credentials there is nobody to ask, and everything passes.
func (s *Source) Complete(ctx context.Context, ev event.Event, c *commerce.Content) error {
	if s.api == nil {
		return nil
	}
	q := question{Source: s, ev: ev}
	if c.Dispute != nil { // a payment beside it is the dispute's own
		return q.dispute(ctx, c)
	}
	if c.Payment != nil {
		if err := q.payment(ctx, c.Payment); err != nil {
			return err
		}
	}
	for i := range c.Refunds {
		if err := q.refund(ctx, &c.Refunds[i]); err != nil {
			return err
		}
	}
	return nil
}

// question is what PayPal is asked about one event.
type question struct {
	*Source
	ev event.Event
}

func (q question) payment(ctx context.Context, p *commerce.Payment) error {
	r, answer, err := q.find(ctx, q.payments(), p.ID)
	if err != nil {
		return err
	}
	known := readPayment(r.generation, answer, p.At)
	state := answer.Get(r.state).Text()
	if problem := answer.Problem(); problem != "" {
		return unreadable(problem)
	}
	switch {
	case known.ID != p.ID:
		return forgery("PayPal answered with another payment")
	case known.Amount.Currency() != p.Amount.Currency():
		return forgery("the currency is not the one PayPal has")
	case !known.Amount.Equal(p.Amount):
		return forgery("the amount is not the one PayPal has")
	case state == r.pending && q.young():
		return q.notYet("PayPal has not received the money yet")
	case !slices.Contains(r.arrived, state) || held(answer):
		return forgery("PayPal has not received the money")
	case !q.isMine(merchantsOf(captureCompleted, answer)):
		return foreign(confirmOp)
	case !sameOrders(p.OrderRefs, known.OrderRefs):
		return forgery("the order is not the one PayPal has")
	}
	if known.Settlement != nil {
		p.Settlement = known.Settlement
	}
	if len(p.OrderRefs) == 0 {
		p.OrderRefs = known.OrderRefs
	}
	if len(p.OrderRefs) == 0 && p.PayerEmail == "" {
		return q.payer(ctx, answer, p)
	}
	return nil
}

// sameOrders reports whether PayPal has every reference that the webhook gave.
// One that was made up would book a stranger's money to an order of the forger's
// choice. An answer without any reference says nothing either way: whether the
// older API always gives them is not documented.
func sameOrders(told, known []string) bool {
	return len(known) == 0 || !slices.ContainsFunc(told, func(ref string) bool { return !slices.Contains(known, ref) })
}

func (q question) refund(ctx context.Context, refund *commerce.Refund) error {
	r, answer, err := q.find(ctx, q.refunds(), refund.ID)
	if err != nil {
		return err
	}
	known := readRefund(r.generation, answer, refund.At)
	if problem := answer.Problem(); problem != "" {
		return unreadable(problem)
	}
	switch {
	case known.ID != refund.ID:
		return forgery("PayPal answered with another refund")
	case !known.Amount.Equal(refund.Amount):
		return forgery("the amount that went back is not the one PayPal has")
	case refund.PaymentID != "" && known.PaymentID != "" && known.PaymentID != refund.PaymentID:
		return forgery("the refund is of another payment")
	case refund.Outcome == commerce.Failed && known.Outcome != commerce.Failed:
		return q.earlyOr(forgery("PayPal has not undone the refund"))
	case refund.Outcome == commerce.Succeeded && known.Outcome == commerce.Pending:
		return q.earlyOr(forgery("PayPal has not paid the refund"))
	case !q.isMine(merchantsOf(captureRefunded, answer)):
		return foreign(confirmOp)
	case !sameOrders(refund.OrderRefs, known.OrderRefs):
		return forgery("the order is not the one PayPal has")
	}
	refund.Outcome = known.Outcome // it may have failed, or gone through, since
	refund.PaymentID = cmp.Or(refund.PaymentID, known.PaymentID)
	if known.Settlement != nil {
		refund.Settlement = known.Settlement
	}
	if len(refund.OrderRefs) == 0 {
		refund.OrderRefs = known.OrderRefs
	}
	return nil
}

// dispute takes PayPal's present word for how a dispute stands: its webhooks
// tell a person, and the API has the movements of money. An app that may not
// read disputes can still have a person told of one that moves nothing.
func (q question) dispute(ctx context.Context, c *commerce.Content) error {
	told := *c.Dispute
	_, answer, err := q.find(ctx, []record{{"/v1/customer/disputes/", v2}}, told.ID)
	if err != nil && fault.KindOf(err) == fault.Rights && len(told.Movements) == 0 && c.Payment == nil {
		return nil
	}
	if err != nil {
		return err
	}
	known := readDispute(answer, told.At)
	id, payment := answer.Get("dispute_id").Text(), disputedPayment(answer)
	resolved := answer.Get("status").Text() == "RESOLVED"
	if problem := answer.Problem(); problem != "" {
		return unreadable(problem)
	}
	over := told.Stage != commerce.DisputeOpened
	switch {
	case id != told.ID:
		return forgery("PayPal answered with another dispute")
	case told.PaymentID != "" && payment != "" && payment != told.PaymentID:
		return forgery("the dispute is about another payment")
	case over && !resolved:
		return q.earlyOr(forgery("PayPal has not resolved the dispute"))
	case !q.isMine(merchantsOf(disputeCreated, answer)):
		return foreign(confirmOp)
	}
	if known.Dispute != nil {
		*c = known
	}
	return nil
}

// find asks for a movement in each place where PayPal may keep it.
func (q question) find(ctx context.Context, places []record, id string) (record, strictjson.Place, error) {
	for _, r := range places {
		answer, failure := q.api.call(ctx, confirmOp, http.MethodGet, r.path+url.PathEscape(id), nil)
		switch {
		case failure == nil:
			return r, strictjson.At(answer), nil
		case failure.Kind != fault.Missing:
			return r, strictjson.Place{}, failure
		}
	}
	if q.young() {
		return record{}, strictjson.Place{}, q.notYet("PayPal's API does not know it yet")
	}
	return record{}, strictjson.Place{}, forgery("PayPal knows nothing of it")
}

func (q question) young() bool { return time.Since(q.ev.ReceivedAt) < settling }

// earlyOr is the failure of an answer that may be out of date, or not.
func (q question) earlyOr(f *fault.Error) *fault.Error {
	if q.young() {
		return q.notYet("PayPal's API is behind its own webhook")
	}
	return f
}

func (q question) notYet(cause string) *fault.Error {
	return &fault.Error{
		Kind: fault.Missing, Op: confirmOp, Cause: cause,
		Hint: "nothing to do: PayPal is asked again; if it still says so ten minutes after the event came, the event is taken for a forgery",
	}
}

// unreadable is an answer that cannot be used, or contradicts itself: it may be
// better next time, and nothing is booked on it.
func unreadable(problem string) *fault.Error {
	return fault.New(fault.Unavailable, confirmOp, "the answer's "+problem)
}

func forgery(cause string) *fault.Error {
	return &fault.Error{
		Kind: fault.Forgery, Op: confirmOp, Cause: cause,
		Hint: "compare the event with PayPal's pages; if they differ, somebody made this event up",
	}
}
