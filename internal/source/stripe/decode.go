package stripe

import (
	"context"
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

// booked are the topics that can move money, as the operator is told them.
const booked = "money comes from charge.succeeded, charge.captured, charge.updated, payment_intent.succeeded, checkout.session.completed, " +
	"checkout.session.async_payment_succeeded, invoice.paid, invoice_payment.paid, charge.refunded, refund.*, charge.dispute.* and payout.*"

const decodeOp = "stripe.Decode"

// Decode reads a stored event: the payment, refunds, dispute or payout that it
// tells of, or the reason why there is nothing to book. It asks nobody; what
// only Stripe's API knows is Complete's. Kinds of failure: Undecodable, whose
// Cause names the field; Unmapped for an event of another mode or account than
// the source's, and for one that only Stripe's API can make sense of.
func (s *Source) Decode(ev event.Event) (commerce.Content, error) {
	r, err := s.read(ev)
	return r.Content, err
}

// reading is what an event says, and what is worth asking Stripe about it.
type reading struct {
	commerce.Content
	ask    asking       // nil = nothing
	unsure *fault.Error // what is wrong unless Stripe can be asked
}

// asking asks Stripe for what an event leaves out, and puts it in.
type asking func(ctx context.Context, a *api, c *commerce.Content) error

func none(reason string) reading { return reading{Content: commerce.Content{Ignored: reason}} }

func (s *Source) read(ev event.Event) (reading, error) {
	v, err := strictjson.Parse(ev.Body)
	if err != nil {
		return reading{}, undecodable("body: " + err.Error())
	}
	if v.Get("object").Text() == thinObject {
		return none("a thin event says only that something happened: create an event destination with payload style Snapshot instead"), nil
	}
	if kind, ok := strings.CutPrefix(ev.Topic, noEvent); ok {
		return none("the body is no event (" + kind + "): this endpoint takes events only"), nil
	}
	if reason, ok := unbooked[ev.Topic]; ok {
		return none(reason), nil
	}
	read, ok := readers[ev.Topic]
	if !ok {
		return none("type " + ev.Topic + " is not booked: " + booked), nil
	}
	if f := s.misdirected(v); f != nil {
		return reading{}, f
	}
	p := strictjson.At(v)
	data := p.Get("data")
	r := read(telling{
		topic: ev.Topic, object: data.Get("object"), before: data.Get("previous_attributes"),
		at: firstTime(created(v.Get("created")), ev.ReceivedAt), orderRefs: s.orderRefs,
	})
	if problem := p.Problem(); problem != "" {
		return reading{}, undecodable(problem)
	}
	if r.unsure != nil && s.api == nil {
		return reading{}, r.unsure
	}
	return r, nil
}

// misdirected refuses an event of another mode or account than the one whose
// money this source books: its amounts are not this company's, or not real.
func (s *Source) misdirected(v strictjson.Value) *fault.Error {
	f := &fault.Error{Kind: fault.Unmapped, Op: decodeOp}
	live := v.Get("livemode").True()
	account := v.Get("account").Text()
	switch {
	case s.livemode != nil && *s.livemode && !live:
		f.Cause = "a test event came to a source that books live money"
		f.Hint = "remove the endpoint from Stripe's test mode or sandbox, or set livemode: false for the source in the mapping sheet"
	case s.livemode != nil && !*s.livemode && live:
		f.Cause = "a live event came to a source that is for tests"
		f.Hint = "give the source a live API key, or livemode: true in the mapping sheet, then replay"
	case account != "" && s.account == "":
		f.Cause = "the event belongs to a connected account, whose money is not this company's"
		f.Hint = "make the endpoint listen to your own account; or name the connected account in the mapping sheet under sources.NAME.account, then replay"
	case account != s.account:
		f.Cause = "the event belongs to another account than the source's"
		f.Hint = "the account of the event is in its body; compare it with sources.NAME.account in the mapping sheet"
	default:
		return nil
	}
	return f
}

// unbooked are topics that an operator may well subscribe to, with the reason
// why they book nothing.
var unbooked = map[string]string{
	"payout.reconciliation_completed":       "it says that the payout's transactions are listed; payout.paid books the payout",
	"checkout.session.async_payment_failed": "the payment failed: no money came",
	"charge.failed":                         "the charge failed: no money came",
	"charge.expired":                        "the authorisation ran out: no money came",
	"payment_intent.payment_failed":         "the payment failed: no money came",
	"invoice.payment_failed":                "the payment failed: no money came",
	"invoice.payment_succeeded":             "invoice.paid tells the same, and more",
}

// readers read the object of an event type.
var readers = map[string]func(telling) reading{
	"charge.succeeded":                         telling.charge,
	"charge.captured":                          telling.charge,
	"charge.updated":                           telling.chargeUpdate,
	"payment_intent.succeeded":                 telling.intent,
	"checkout.session.completed":               telling.session,
	"checkout.session.async_payment_succeeded": telling.session,
	"invoice.paid":                             telling.invoice,
	"invoice_payment.paid":                     telling.invoicePayment,
	"charge.refunded":                          telling.refunded,
	"refund.created":                           telling.refund,
	"refund.updated":                           telling.refund,
	"refund.failed":                            telling.refund,
	"charge.refund.updated":                    telling.refund,
	"charge.dispute.created":                   telling.dispute,
	"charge.dispute.updated":                   telling.dispute,
	"charge.dispute.funds_withdrawn":           telling.dispute,
	"charge.dispute.funds_reinstated":          telling.dispute,
	"charge.dispute.closed":                    telling.dispute,
	"payout.created":                           telling.payout,
	"payout.paid":                              telling.payout,
	"payout.failed":                            telling.payout,
	"payout.canceled":                          telling.payout,
}

// telling is one event as its reader sees it.
type telling struct {
	topic     string
	object    strictjson.Place // data.object
	before    strictjson.Place // data.previous_attributes
	at        time.Time
	orderRefs []string // metadata keys
}

// changed reports whether the event says that one of the fields was different
// before.
func (t telling) changed(fields ...string) bool {
	return slices.ContainsFunc(fields, func(name string) bool { return t.before.Get(name).Value().Kind() != strictjson.Absent })
}

func (t telling) refs(o strictjson.Place) []string { return orderRefs(o, t.orderRefs) }

// Complete asks Stripe for what an event leaves out: what a payment or refund
// did to the balance, the charge behind a session or an invoice, the refunds of
// a charge, the fee of a payout. What Stripe does not know yet stays open. A
// failure to ask (Network, Timeout, Unavailable, RateLimited, Credentials,
// Rights, Missing, BadRequest) leaves the event for later. Without an API key
// nothing is asked.
func (s *Source) Complete(ctx context.Context, ev event.Event, c *commerce.Content) error {
	if s.api == nil {
		return nil
	}
	r, err := s.read(ev)
	if err != nil || r.ask == nil {
		return err
	}
	return r.ask(ctx, s.api, c)
}

// readUnits reads a whole number of minor units of a currency.
func readUnits(units, currency strictjson.Place) money.Amount {
	sum, ok := amount(units.Int(), currency.Text())
	if !ok {
		currency.Complain("is not a currency whose decimals at Stripe are known")
	}
	return sum
}

// readAmount is readUnits for what cannot be negative.
func readAmount(units, currency strictjson.Place) money.Amount {
	sum := readUnits(units, currency)
	if sum.Sign() < 0 {
		units.Complain("is negative")
	}
	return sum
}

// readTransaction reads a balance transaction: what a movement did to the
// balance. nil when it does not stand there whole.
func readTransaction(o strictjson.Place) *commerce.Settlement {
	if o.Value().Kind() != strictjson.Object {
		return nil
	}
	currency := o.Get("currency")
	s := commerce.Settlement{
		ID: o.Get("id").Text(), Gross: readUnits(o.Get("amount"), currency), Fee: readUnits(o.Get("fee"), currency), Net: readUnits(o.Get("net"), currency),
	}
	switch {
	case !strictjson.PlainID(s.ID):
		o.Get("id").Complain("is not a usable identifier")
	case s.Net.Currency() != "" && !s.Gross.Sub(s.Fee).Equal(s.Net):
		o.Get("net").Complain("is not the amount less the fee")
	}
	return &s
}

func orderRefs(o strictjson.Place, keys []string) []string {
	var refs []string
	for _, key := range keys {
		refs = addNew(refs, o.Get("metadata").Get(key).Text())
	}
	return addNew(refs, o.Get("client_reference_id").Text())
}

// addNew adds texts that are not empty and not in the list yet.
func addNew(list []string, texts ...string) []string {
	for _, text := range texts {
		if text != "" && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func undecodable(cause string) *fault.Error { return fault.New(fault.Undecodable, decodeOp, cause) }
