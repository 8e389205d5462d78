package paypal

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

const confirmOp = "paypal.Confirm"

// record is one of the two places where PayPal keeps a payment, and how it
// writes it there.
type record struct {
	path, amount, currency, status string
	arrived                        []string // states of money that has come, whatever went back later
	references                     []string // where the shop's own names for the order stand
}

var records = []record{
	{
		"/v2/payments/captures/", "value", "currency_code", "status",
		[]string{"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"}, captureReferences,
	},
	{
		"/v1/payments/sale/", "total", "currency", "state",
		[]string{"completed", "partially_refunded", "refunded"}, saleReferences,
	},
}

// Complete asks PayPal about the payment that an event tells of; see Confirm.
func (s *Source) Complete(ctx context.Context, _ event.Event, c *commerce.Content) error {
	if c.Payment == nil {
		return nil
	}
	return s.Confirm(ctx, *c.Payment)
}

// Confirm asks PayPal whether a payment that a webhook told of is real: the
// signature does not bind the body, the API does. A payment that PayPal does not
// know, or knows with another amount, currency, state or order, is a Forgery; a
// later refund is none. Other failures say that PayPal could not be asked: Network,
// Timeout, Unavailable, RateLimited, Credentials, Rights, BadRequest. Without credentials
// there is nobody to ask, and every payment passes.
func (s *Source) Confirm(ctx context.Context, p commerce.Payment) error {
	if s.api == nil {
		return nil
	}
	for _, r := range records {
		answer, failure := s.api.call(ctx, confirmOp, http.MethodGet, r.path+url.PathEscape(p.ID), nil)
		switch {
		case failure == nil:
			return r.compare(answer, p)
		case failure.Kind != fault.Missing:
			return failure
		}
	}
	return forgery("PayPal knows no such payment")
}

func (r record) compare(answer strictjson.Value, p commerce.Payment) error {
	amount := answer.Get("amount")
	known, err := money.Parse(amount.Get(r.amount).Literal(), amount.Get(r.currency).Text())
	if err != nil {
		return fault.New(fault.Unavailable, confirmOp, "the answer has no readable amount")
	}
	switch {
	case answer.Get("id").Text() != p.ID:
		return forgery("PayPal answered with another payment")
	case known.Currency() != p.Amount.Currency():
		return forgery("the currency is not the one PayPal has")
	case !known.Equal(p.Amount):
		return forgery("the amount is not the one PayPal has")
	}
	if !slices.Contains(r.arrived, answer.Get(r.status).Text()) || answer.Get("payment_hold_status").Text() == "HELD" {
		return forgery("PayPal has not received the money")
	}
	if !r.names(answer, p.OrderRefs) {
		return forgery("the order is not the one PayPal has")
	}
	return nil
}

// names reports whether PayPal has every reference that the webhook gave. One
// that was made up would book a stranger's money to an order of the forger's
// choice. An answer without any reference says nothing either way: whether the
// older API always gives them is not documented.
func (r record) names(answer strictjson.Value, references []string) bool {
	var known []string
	for _, field := range r.references {
		if ref := answer.Get(field).Literal(); ref != "" {
			known = append(known, ref)
		}
	}
	if len(known) == 0 {
		return true
	}
	for _, ref := range references {
		if !slices.Contains(known, ref) {
			return false
		}
	}
	return true
}

func forgery(cause string) *fault.Error {
	return &fault.Error{
		Kind: fault.Forgery, Op: confirmOp, Cause: cause,
		Hint: "compare the event with the payment in PayPal's pages; if they differ, somebody made this event up",
	}
}
