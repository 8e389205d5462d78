package posting

import (
	"cmp"
	"context"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// Owner says who books the money of a shop's gateway.
type Owner string

// The owners of a gateway's money.
const (
	OwnerUnset    Owner = ""         // decided by what is configured; see ownerOf
	OwnerShop     Owner = "shop"     // the shop's transaction is booked
	OwnerProvider Owner = "provider" // the provider's own webhook is; the shop's only links it to its order
	OwnerNone     Owner = "none"     // nobody: booked by hand
)

// Gateway is the sheet's rule for one of a shop's gateways.
type Gateway struct {
	Owner    Owner
	Provider string // "stripe": whose webhooks tell of its money; "" = the gateway's own name
}

// ownerOf decides who books the money of a gateway. Without a rule a provider
// whose webhooks are configured owns its own, and the shop those gateways that
// have an account.
func (w *paymentWork) ownerOf(gateway string) Owner {
	rule := w.Gateways[gateway]
	if rule.Owner != OwnerUnset {
		return rule.Owner
	}
	for _, provider := range w.Providers {
		if provider.Provider == cmp.Or(rule.Provider, gateway) && provider != w.origin {
			return OwnerProvider
		}
	}
	if len(w.books.Till.Clearing[gateway]) > 0 {
		return OwnerShop
	}
	return OwnerUnset
}

// shopsOwn decides whether a shop's transaction is booked. If not, the second
// result says why, or what it was good for.
func (w *paymentWork) shopsOwn(ctx context.Context) (bool, Result, error) {
	if w.pay.Gateway == "" {
		return true, Result{}, nil
	}
	switch w.ownerOf(w.pay.Gateway) {
	case OwnerShop:
		return true, Result{}, nil
	case OwnerProvider:
		r, err := w.link(ctx)
		return false, r, err
	case OwnerNone:
		return false, Result{Ignored: "money of the gateway " + w.pay.Gateway + " is booked by hand, as the mapping sheet says"}, nil
	default:
		return false, Result{Ignored: "nobody owns money of the gateway " + w.pay.Gateway + ": name its owner and account under gateways in the mapping sheet"}, nil
	}
}

// paymentLinks is the kind under which the memory keeps which order a
// provider's payment is for, when the shop told it before the provider. It is
// no DocType of ERPNext.
const paymentLinks = "Payment Link"

// link ties a provider's payment to the order that the shop names: at once when
// it is booked, else when it comes.
func (w *paymentWork) link(ctx context.Context) (Result, error) {
	var r Result
	if len(w.pay.OrderRefs) == 0 {
		r.Note = "the provider books this payment; the shop names no order for it"
		return r, nil
	}
	for _, provider := range w.Providers {
		for _, key := range movementKeys(provider, "payment", w.pay.ID, w.pay.Aliases) {
			booked, ok, err := w.booked(ctx, key)
			if err != nil {
				return r, err
			}
			if ok {
				return w.tie(ctx, booked)
			}
			r.add(event.Document{DocType: paymentLinks, Key: key, Data: map[string]string{"order": w.pay.OrderRefs[0]}})
		}
	}
	r.Note = "the provider books this payment; the order it is for is noted"
	return r, nil
}

// tie links a payment that is booked on account to the order, if that takes it.
func (w *paymentWork) tie(ctx context.Context, booked event.Document) (Result, error) {
	if !mayBeLinked(booked) {
		return Result{Note: "the payment is booked against an order already"}, nil
	}
	if err := w.findOrders(ctx); err != nil {
		return Result{}, err
	}
	r := Result{Note: "the payment is kept for its order"}
	waits, name := w.absent, booked.Name
	for _, order := range w.orders {
		state := readState(order)
		if state.phase != live {
			waits = append(waits, w.orderKeys()...)
			continue
		}
		so, err := w.orderNow(ctx, order.Name)
		if err != nil {
			return r, err
		}
		if so.DocStatus != erpnext.Submitted { // a person cancelled or deleted it
			continue
		}
		m := &move{books: w.books, to: so, shown: state.shown, left: leftOf(so)}
		if name, err = w.repay(ctx, name, m); err != nil {
			return r, err
		}
		r.Note = "the payment is linked to its order now"
	}
	return r, w.addLoose(ctx, []string{name}, waits...)
}

// linked adds the order that a shop has named for this payment.
func (w *paymentWork) linked(ctx context.Context) error {
	for _, key := range w.keys() {
		doc, ok, err := w.Memory.Document(ctx, paymentLinks, key)
		if err != nil {
			return memoryError("posting.payment", err)
		}
		if ok {
			w.pay.OrderRefs = append([]string{doc.Data["order"]}, w.pay.OrderRefs...)
			return nil
		}
	}
	return nil
}

// shopRefundOwned decides, as for payments, whether a shop's refund is booked.
func (w *refundWork) shopRefundOwned() (bool, string) {
	pay := &paymentWork{Poster: w.Poster, counter: w.counter, pay: commerce.Payment{Gateway: w.refund.Gateway}}
	switch owner := pay.ownerOf(w.refund.Gateway); {
	case w.refund.Gateway == "", owner == OwnerShop:
		return true, ""
	case owner == OwnerProvider:
		return false, "the provider books this refund"
	case owner == OwnerNone:
		return false, "money of the gateway " + w.refund.Gateway + " is booked by hand, as the mapping sheet says"
	default:
		return false, "nobody owns money of the gateway " + w.refund.Gateway + ": name its owner and account under gateways in the mapping sheet"
	}
}
