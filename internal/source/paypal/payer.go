package paypal

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// payer looks for who paid, and for what, where PayPal keeps that: a capture's
// order, a sale's payment or subscription. PayPal forgets orders after some
// time, and an app may lack the right to see them: then the payment stays
// without.
func (q question) payer(ctx context.Context, payment strictjson.Place, p *commerce.Payment) error {
	path, read := parentOf(payment)
	if path == "" {
		return nil
	}
	answer, failure := q.api.call(ctx, confirmOp, http.MethodGet, path, nil)
	switch {
	case failure == nil:
	case failure.Kind == fault.Missing, failure.Kind == fault.Rights, failure.Kind == fault.BadRequest:
		return nil
	default:
		return failure
	}
	at := strictjson.At(answer)
	found := read(at)
	if at.Problem() == "" {
		p.OrderRefs, p.PayerEmail, p.PayerName = found.OrderRefs, found.PayerEmail, cmp.Or(p.PayerName, found.PayerName)
	}
	return nil
}

// parentOf is where more is said of a payment, and how that is read.
func parentOf(payment strictjson.Place) (string, func(strictjson.Place) commerce.Payment) {
	order := payment.Get("supplementary_data").Get("related_ids").Get("order_id").Text()
	for _, link := range payment.Get("links").Each() {
		if id, found := lastOf(link.Get("href").Text(), "/v2/checkout/orders/"); found && link.Get("rel").Text() == "up" {
			order = cmp.Or(order, id)
		}
	}
	if order != "" {
		return "/v2/checkout/orders/" + url.PathEscape(order), readOrder
	}
	if parent := payment.Get("parent_payment").Text(); parent != "" {
		return "/v1/payments/payment/" + url.PathEscape(parent), readParent
	}
	if agreement := payment.Get("billing_agreement_id").Text(); agreement != "" {
		return "/v1/billing/subscriptions/" + url.PathEscape(agreement), readSubscription
	}
	return "", nil
}

func readOrder(r strictjson.Place) commerce.Payment {
	var p commerce.Payment
	p.PayerEmail, p.PayerName = person(r.Get("payer"))
	for _, unit := range r.Get("purchase_units").Each() {
		p.OrderRefs = append(p.OrderRefs, v2.orderRefs(unit)...)
	}
	return p
}

func readParent(r strictjson.Place) commerce.Payment {
	info := r.Get("payer").Get("payer_info")
	p := commerce.Payment{PayerEmail: info.Get("email").Text(), PayerName: joinNames(info.Get("first_name").Text(), info.Get("last_name").Text())}
	for _, transaction := range r.Get("transactions").Each() {
		p.OrderRefs = append(p.OrderRefs, v1.orderRefs(transaction)...)
	}
	return p
}

// readSubscription reads who pays. What the shop noted on a subscription is of
// its first order, not of every payment.
func readSubscription(r strictjson.Place) commerce.Payment {
	var p commerce.Payment
	p.PayerEmail, p.PayerName = person(r.Get("subscriber"))
	return p
}
