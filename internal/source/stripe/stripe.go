// Package stripe knows Stripe's webhooks: the Stripe-Signature header, the
// snapshot events behind it and the money they tell of. With an API key it also
// asks Stripe for what events leave out: fees, conversions, the charge behind a
// checkout session or an invoice. It knows nothing of how an event is stored or
// booked.
//
// Of the several events that one payment sends (charge, payment intent,
// checkout session, invoice), each decodes to the same payment id, so that
// whichever arrives the money is booked once.
package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/secrets"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

const (
	provider        = "stripe"
	signatureHeader = "Stripe-Signature"
	thinObject      = "v2.core.event"
)

// Options are what a source needs to know of its endpoint.
type Options struct {
	// Secrets are the endpoint's signing secrets, whsec_ prefix included: the
	// whole text is the key. While one is rolled there are two.
	Secrets []string
	// APIKey reads what events leave out; "" = events are all there is.
	APIKey string
	// ReadAPIKey gives the key for each call anew, for one that is rotated; nil =
	// it stays APIKey.
	ReadAPIKey func() string
	// APIURL is the API's address, for tests; "" = Stripe's.
	APIURL string
	// Livemode is the mode whose events are meant; nil = the API key's, and
	// both if that does not tell.
	Livemode *bool
	// Account is the connected account whose events are meant; "" = those of
	// the endpoint's own account.
	Account string
	// OrderRefs are the metadata keys that hold the order a payment is for,
	// best first; nil = those that shops and their plug-ins use.
	OrderRefs []string
	// Transport carries the calls to the API; nil = the network.
	Transport http.RoundTripper
}

// Source opens and decodes the deliveries of one endpoint.
type Source struct {
	secrets   secrets.Set
	api       *api // nil = no key
	livemode  *bool
	account   string
	orderRefs []string
}

// New makes a source. It refuses to be without a secret, or with an empty one,
// and to read with a key of the other mode than the one whose events are meant.
func New(o Options) (*Source, error) {
	set, err := secrets.New(provider, o.Secrets)
	if err != nil {
		return nil, err
	}
	s := &Source{secrets: set, livemode: o.Livemode, account: o.Account, orderRefs: o.OrderRefs}
	if s.orderRefs == nil {
		s.orderRefs = orderKeys
	}
	if o.APIKey == "" {
		return s, nil
	}
	s.api = newAPI(o)
	switch mode := KeyMode(o.APIKey); {
	case mode != nil && s.livemode == nil:
		s.livemode = mode
	case mode != nil && *mode != *s.livemode:
		return nil, errors.New("stripe: the API key is of the other mode (live or test) than livemode says")
	}
	return s, nil
}

// KeyMode tells the mode of an API key by how it begins: sk_live_, rk_test_;
// nil for one that does not say.
func KeyMode(key string) *bool {
	_, rest, _ := strings.Cut(key, "_")
	for mode, live := range map[string]bool{"live_": true, "test_": false} {
		if strings.HasPrefix(rest, mode) {
			return &live
		}
	}
	return nil
}

// Provider is "stripe".
func (s *Source) Provider() string { return provider }

// Slots are the values that Event.SecretSlot can take.
func (s *Source) Slots() []string { return s.secrets.Slots() }

// Open verifies a delivery that arrived at now and names its event. The event's
// Source and ReceivedAt are the caller's. Kinds of failure: BadSignature, also
// for a timestamp more than five minutes from now in either direction, and
// Malformed for a signed body that is no JSON object. Any API version is taken.
func (s *Source) Open(_ context.Context, h http.Header, body []byte, now time.Time) (event.Event, error) {
	slot, cause := s.verify(h.Values(signatureHeader), body, now)
	if cause != "" {
		return event.Event{}, fault.New(fault.BadSignature, "stripe.Open", cause)
	}
	object, err := strictjson.Parse(body)
	if err != nil {
		return event.Event{}, malformed("body: " + err.Error())
	}
	id, topic := identity(object, body)
	return event.Event{
		Provider:   provider,
		ProviderID: id,
		Topic:      topic,
		Subject:    subject(object),
		SecretSlot: strconv.Itoa(slot),
		OccurredAt: created(object.Get("created")),
		Header:     keep(h),
		Body:       body,
	}, nil
}

// identity names an event and its topic. What Stripe signs is kept even when it
// is no event as we know them: without an id of its own the body's digest is
// its name, and its topic says what it is.
func identity(object strictjson.Value, body []byte) (string, string) {
	id, topic := object.Get("id").Text(), object.Get("type").Text()
	if !strictjson.PlainID(id) {
		sum := sha256.Sum256(body)
		id = "sha256-" + hex.EncodeToString(sum[:])
	}
	kind := object.Get("object").Text()
	switch isEvent := kind == "" || kind == "event" || kind == thinObject; {
	case isEvent && strictjson.PlainID(topic):
		return id, topic
	case strictjson.PlainID(kind):
		return id, noEvent + kind
	default:
		return id, noEvent + "unknown"
	}
}

// noEvent begins the topic of a body that is an API object or unknown.
const noEvent = "object/"

// Sign gives the headers of a correctly signed delivery, made with the first
// secret. The body itself holds topic and event id, so those do not matter.
func (s *Source) Sign(body []byte, _, _ string, now time.Time) (http.Header, error) {
	h := http.Header{}
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set(signatureHeader, sign(s.secrets[0], now.Unix(), body))
	return h, nil
}

// keep picks the headers worth keeping; the signature is none of them.
func keep(h http.Header) map[string]string {
	if agent := h.Get("User-Agent"); agent != "" {
		return map[string]string{"User-Agent": agent}
	}
	return nil
}

// subject names what an event is about. Everything around one payment shares
// the subject of that payment, so that it is handled one event at a time.
func subject(v strictjson.Value) string {
	object := v.Get("data").Get("object")
	kind := object.Get("object").Text()
	switch kind {
	case "charge", "checkout.session", "refund", "dispute", "invoice", "invoice_payment":
		if id := paymentOf(object); id != "" {
			return "payment/" + id
		}
	}
	id := object.Get("id").Text()
	switch {
	case !strictjson.PlainID(id):
		return ""
	case kind == "charge", kind == "payment_intent", kind == "checkout.session":
		return "payment/" + id
	case !strictjson.PlainID(kind):
		return ""
	default:
		return kind + "/" + id
	}
}

// paymentOf is the payment that an object belongs to: its intent, else the
// charge of a payment that was made without one; "" when the object does not
// say, or says several.
func paymentOf(object strictjson.Value) string {
	places := []strictjson.Value{object, object.Get("payment")} // of an invoice payment
	if payments := object.Get("payments").Get("data").Items(); len(payments) == 1 {
		places = append(places, payments[0].Get("payment")) // of an invoice since basil
	}
	for _, place := range places {
		for _, name := range []string{"payment_intent", "charge"} {
			if id := reference(place.Get(name)); strictjson.PlainID(id) {
				return id
			}
		}
	}
	return ""
}

// reference is the id of another object, which can stand there whole.
func reference(v strictjson.Value) string {
	if v.Kind() == strictjson.Object {
		return v.Get("id").Text()
	}
	return v.Text()
}

// created reads whole seconds since 1970, or the text of thin events. Anything
// else is the zero time.
func created(v strictjson.Value) time.Time {
	if t, err := time.Parse(time.RFC3339, v.Text()); err == nil {
		return t.UTC()
	}
	seconds, err := strconv.ParseInt(v.Literal(), 10, 64)
	if err != nil || seconds <= 0 || seconds > maxUnix {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// maxUnix is the last second of the year 9999: later times cannot be written in
// RFC 3339.
const maxUnix = 253402300799

func malformed(cause string) *fault.Error { return fault.New(fault.Malformed, "stripe.Open", cause) }
