package paypal

import (
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// readRefund reads money that went back, by the merchant's decision or by
// PayPal's. How it stands is the resource's word, whatever the type: a refund
// can be pending under both.
func readRefund(g generation, r strictjson.Place, at time.Time) commerce.Refund {
	id := identifier(r.Get("id"))
	amount := g.refunded(r.Get("amount"))
	refund := commerce.Refund{
		ID: id, Reference: id, Provider: provider, At: at, PaymentID: refundOf(r), OrderRefs: g.orderRefs(r),
		Amount: amount.Abs(), Outcome: g.outcome(r.Get(g.state)),
	}
	if refund.PaymentID == "" && amount.Sign() >= 0 && !isRefund(r) {
		r.Complain("does not say that it is a refund") // it may be the payment itself
	}
	refund.Settlement = g.paidBack(r, refund)
	return refund
}

func (g generation) outcome(state strictjson.Place) commerce.Outcome {
	outcome, ok := g.outcomes[state.Text()]
	switch {
	case state.Missing():
		state.Complain("is missing")
	case !ok:
		state.Complain("is not a state that a refund can have")
	}
	return outcome
}

// refunded is what went back. The first generation gives it a minus sign, or
// does not.
func (g generation) refunded(p strictjson.Place) money.Amount {
	amount := exact(p.Get(g.total), p.Get(g.currency).Currency())
	if amount.IsZero() || g.state == v2.state && amount.Sign() < 0 {
		p.Get(g.total).Complain("is not more than nothing")
	}
	return amount
}

// refundOf finds the payment that a refund is of. A refund of the second
// generation names its capture in a link alone.
func refundOf(r strictjson.Place) string {
	for _, link := range r.Get("links").Each() {
		if id, found := lastOf(link.Get("href").Text(), "/v2/payments/captures/"); found && link.Get("rel").Text() == "up" {
			return plain(link.Get("href"), id)
		}
	}
	for _, name := range []string{"sale_id", "capture_id"} {
		if id := r.Get(name); id.Text() != "" {
			return plain(id, id.Text())
		}
	}
	return ""
}

// isRefund reports whether a resource has what only refunds have. A reversal of
// the first generation need not say of what.
func isRefund(r strictjson.Place) bool {
	for _, link := range r.Get("links").Each() {
		for _, path := range []string{"/v2/payments/refunds/", "/v1/payments/refund/"} {
			if _, found := lastOf(link.Get("href").Text(), path); found && link.Get("rel").Text() == "self" {
				return true
			}
		}
	}
	return !r.Get("seller_payable_breakdown").Missing()
}

// lastOf is what follows a path in an address, and nothing after that.
func lastOf(href, path string) (string, bool) {
	_, id, found := strings.Cut(href, path)
	return id, found && !strings.Contains(id, "/")
}

func plain(p strictjson.Place, id string) string {
	if !strictjson.PlainID(id) {
		p.Complain("is not a usable identifier")
	}
	return id
}
