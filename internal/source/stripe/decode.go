package stripe

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// orderKeys are the metadata keys under which shops and their plug-ins leave
// the order that a payment is for, most reliable first. A session's
// client_reference_id comes after them. Descriptions are never searched: they
// are text for people.
var orderKeys = []string{"order_id", "shopify_order_id", "order_name", "shopify_order_name", "order_number"}

// Decode reads a stored event. charge.succeeded, payment_intent.succeeded and
// checkout.session.completed become a Payment once the money is there; all else
// is ignored with the reason. The one kind of failure is Undecodable; its Cause
// names the field.
func (s *Source) Decode(ev event.Event) (commerce.Content, error) {
	v, err := strictjson.Parse(ev.Body)
	if err != nil {
		return commerce.Content{}, undecodable("body: " + err.Error())
	}
	if v.Get("object").Text() == thinObject {
		return ignored("a thin event says only that something happened: create an event destination with payload style Snapshot instead")
	}
	if v.Get("account").Kind() == strictjson.String {
		return ignored("the event belongs to a connected account, whose money is not this company's")
	}
	if kind, ok := strings.CutPrefix(ev.Topic, noEvent); ok {
		return ignored("the body is no event (" + kind + "): this endpoint takes events only")
	}
	p := strictjson.At(v)
	read, ok := readers[ev.Topic]
	if !ok {
		return ignored("type " + ev.Topic + " is not booked: payments come from charge.succeeded, payment_intent.succeeded and checkout.session.completed")
	}
	payment, reason := read(p.Get("data").Get("object"))
	if problem := p.Problem(); problem != "" {
		return commerce.Content{}, undecodable(problem)
	}
	if reason != "" {
		return ignored(reason)
	}
	payment.Provider = provider
	payment.At = firstTime(created(v.Get("created")), payment.At, ev.ReceivedAt)
	return commerce.Content{Payment: &payment}, nil
}

// readers read the object of an event type. Each gives a payment, or the reason
// why there is none.
var readers = map[string]func(strictjson.Place) (commerce.Payment, string){
	"charge.succeeded":           readCharge,
	"payment_intent.succeeded":   readIntent,
	"checkout.session.completed": readSession,
}

func readCharge(o strictjson.Place) (commerce.Payment, string) {
	if status := o.Get("status").Text(); status != "succeeded" || !o.Get("paid").Flag() {
		return commerce.Payment{}, "the charge is not paid"
	}
	if !o.Get("captured").Flag() {
		return commerce.Payment{}, "the charge is authorised, not captured: payment_intent.succeeded books it after the capture"
	}
	units := o.Get("amount_captured")
	if units.Missing() { // older API versions
		units = o.Get("amount")
	}
	billing := o.Get("billing_details")
	return readPayment(o, units, commerce.Payment{
		ID:         cmp.Or(reference(o.Get("payment_intent").Value()), o.Get("id").Text()),
		Reference:  o.Get("id").Text(),
		PayerEmail: cmp.Or(billing.Get("email").Text(), o.Get("receipt_email").Text()),
		PayerName:  cmp.Or(billing.Get("name").Text(), o.Get("shipping").Get("name").Text()),
	})
}

func readIntent(o strictjson.Place) (commerce.Payment, string) {
	if o.Get("status").Text() != "succeeded" {
		return commerce.Payment{}, "the payment intent has not succeeded"
	}
	charge := o.Get("latest_charge").Value()
	billing := strictjson.Value{}
	if charges := o.Get("charges").Value().Get("data").Items(); len(charges) > 0 { // until 2022-11-15
		last := charges[len(charges)-1]
		charge, billing = last.Get("id"), last.Get("billing_details")
	}
	id := o.Get("id").Text()
	return readPayment(o, o.Get("amount_received"), commerce.Payment{
		ID:         id,
		Reference:  cmp.Or(reference(charge), id),
		PayerEmail: cmp.Or(billing.Get("email").Text(), o.Get("receipt_email").Text()),
		PayerName:  cmp.Or(billing.Get("name").Text(), o.Get("shipping").Get("name").Text()),
	})
}

func readSession(o strictjson.Place) (commerce.Payment, string) {
	intent := reference(o.Get("payment_intent").Value())
	switch {
	case o.Get("mode").Text() == "setup":
		return commerce.Payment{}, "the session only saved a payment method"
	case o.Get("payment_status").Text() == "unpaid":
		return commerce.Payment{}, "the session is complete but not paid yet: charge.succeeded books it when the money is there"
	case o.Get("payment_status").Text() != "paid":
		return commerce.Payment{}, "the session asked for no payment"
	case intent == "" && o.Get("mode").Text() == "subscription":
		return commerce.Payment{}, "a subscription is paid through its invoice: charge.succeeded books it"
	case intent == "":
		return commerce.Payment{}, "the session names no payment intent: charge.succeeded books its payment"
	}
	details := o.Get("customer_details")
	return readPayment(o, o.Get("amount_total"), commerce.Payment{
		ID:         intent,
		Reference:  intent,
		PayerEmail: cmp.Or(details.Get("email").Text(), o.Get("customer_email").Text()),
		PayerName:  details.Get("name").Text(),
	})
}

// readPayment adds to a payment what all three objects write alike.
func readPayment(o, units strictjson.Place, p commerce.Payment) (commerce.Payment, string) {
	if !strictjson.PlainID(p.ID) {
		o.Get("id").Complain("is not a usable identifier")
	}
	p.At = created(o.Get("created").Value())
	p.OrderRefs = orderRefs(o)
	p.Amount = readAmount(units, o.Get("currency"))
	if p.Amount.IsZero() {
		return p, "no money was paid"
	}
	return p, ""
}

func readAmount(units, currency strictjson.Place) money.Amount {
	n := units.Int()
	if n < 0 {
		units.Complain("is negative")
	}
	sum, ok := amount(n, currency.Text())
	if !ok {
		currency.Complain("is not a currency whose decimals at Stripe are known")
	}
	return sum
}

func orderRefs(o strictjson.Place) []string {
	var refs []string
	add := func(ref string) {
		if ref != "" && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	for _, key := range orderKeys {
		add(o.Get("metadata").Get(key).Text())
	}
	add(o.Get("client_reference_id").Text())
	return refs
}

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func ignored(reason string) (commerce.Content, error) { return commerce.Content{Ignored: reason}, nil }

func undecodable(cause string) *fault.Error {
	return fault.New(fault.Undecodable, "stripe.Decode", cause)
}
