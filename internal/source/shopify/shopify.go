// Package shopify knows Shopify's webhooks: how they are signed, what their
// headers name, and what their REST-shaped bodies say about orders. It knows
// nothing of how an event is stored or what ERPNext makes of an order.
//
// Two things about the signature shape the package. It covers the body alone,
// so topic, shop and delivery id are hints that anyone who has seen one genuine
// delivery can change; the topic is therefore checked against the body. And it
// has no time, so a genuine body can be replayed for ever: what an event leads
// to must be keyed by the order it is about.
package shopify

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/secrets"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

const provider = "shopify"

// Options are what a source needs to know of its shop.
type Options struct {
	// Secrets sign the shop's deliveries: the app's client secret, the shop's
	// own notification secret, and during a rotation the old ones too. They
	// are used as they are written; one of 32 hex digits is not decoded.
	Secrets []string
	// BuyersMoney reads orders in what the buyer was shown (presentment money)
	// instead of the shop's own.
	BuyersMoney bool
	// Tests lets test transactions through.
	Tests bool
	// TaxIDNames are the names of note attributes that hold a buyer's VAT number.
	TaxIDNames []string
	// Shop is the shop's address, acme.myshopify.com; "" = any. A delivery that
	// names another one is refused.
	Shop string
	// APIToken is an Admin API access token of the shop, APIURL where that API
	// is (https://acme.myshopify.com): orders of which a subscription sends
	// chosen fields only are then read whole.
	APIToken string
	// ReadAPIToken gives the token for each call anew, for one that is rotated;
	// nil = it stays APIToken.
	ReadAPIToken func() string
	APIURL       string
	// Transport, if any, carries the calls to the API.
	Transport http.RoundTripper
}

// Source opens and decodes the deliveries of one shop.
type Source struct {
	secrets     secrets.Set
	buyersMoney bool
	tests       bool
	taxIDNames  []string
	shop        string
	api         *api // nil = there is nobody to ask
}

// New makes a source. It refuses to be without a secret, or with an empty one.
func New(o Options) (*Source, error) {
	set, err := secrets.New(provider, o.Secrets)
	if err != nil {
		return nil, err
	}
	return &Source{secrets: set, buyersMoney: o.BuyersMoney, tests: o.Tests, taxIDNames: o.TaxIDNames, shop: o.Shop, api: newAPI(o)}, nil
}

// Provider is "shopify".
func (s *Source) Provider() string { return provider }

// Slots are the values that Event.SecretSlot can take.
func (s *Source) Slots() []string { return s.secrets.Slots() }

// Open verifies a delivery and names its event. The event's Source and
// ReceivedAt are the caller's. Kinds of failure: BadSignature, and Malformed for
// a signed body that is no JSON object or headers that do not name the event.
// Shopify's signature has no time, so now does not matter.
func (s *Source) Open(_ context.Context, h http.Header, body []byte, _ time.Time) (event.Event, error) {
	names := familyOf(h)
	slot, ok := s.verify(h.Values(names.of("Hmac-Sha256")), body)
	if !ok {
		return event.Event{}, fault.New(fault.BadSignature, "shopify.Open", "no secret gives the signature")
	}
	if shop := h.Get(names.of("Shop-Domain")); s.shop != "" && shop != "" && !strings.EqualFold(shop, s.shop) {
		return event.Event{}, fault.New(fault.BadSignature, "shopify.Open", "the delivery is another shop's")
	}
	object, err := strictjson.Parse(body)
	if err != nil {
		return event.Event{}, malformed("body: " + err.Error())
	}
	topic, id := h.Get(names.of("Topic")), h.Get(names.of("Webhook-Id"))
	switch {
	case !strictjson.PlainID(topic):
		return event.Event{}, malformed("no usable topic header")
	case !strictjson.PlainID(id):
		return event.Event{}, malformed("no usable webhook id header")
	}
	topic = decideTopic(topic, object)
	if !deserves(topic, object) {
		return event.Event{}, malformed("the body is not one that its topic sends")
	}
	return event.Event{
		Provider:   provider,
		ProviderID: id,
		Topic:      topic,
		Subject:    subject(topic, object),
		SecretSlot: strconv.Itoa(slot),
		OccurredAt: occurred(object, h.Get(names.of("Triggered-At"))),
		Header:     names.keep(h),
		Body:       body,
	}, nil
}

// Sign gives the headers of a correctly signed delivery, made with the first
// secret. An empty eventID is replaced by a random one.
func (s *Source) Sign(body []byte, topic, eventID string, now time.Time) (http.Header, error) {
	if eventID == "" {
		eventID = rand.Text()
	}
	names := family("X-Shopify-")
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set(names.of("Hmac-Sha256"), base64.StdEncoding.EncodeToString(mac(s.secrets[0], body)))
	h.Set(names.of("Topic"), topic)
	h.Set(names.of("Webhook-Id"), eventID)
	h.Set(names.of("Event-Id"), eventID)
	h.Set(names.of("Shop-Domain"), cmp.Or(s.shop, "ledgerhook-test.myshopify.com"))
	h.Set(names.of("Api-Version"), "2026-10")
	h.Set(names.of("Triggered-At"), now.UTC().Format(time.RFC3339Nano))
	return h, nil
}

// verify finds the secret that made the signature. Every secret is tried and
// compared in constant time, so that the time taken tells nothing about which
// one fits. An empty body is never signed by Shopify, and its own library
// refuses one.
func (s *Source) verify(headers []string, body []byte) (int, bool) {
	if len(headers) != 1 || len(body) == 0 {
		return 0, false
	}
	given, ok := decodeMAC(headers[0])
	if !ok {
		return 0, false
	}
	slot := -1
	for i, secret := range s.secrets {
		fits := hmac.Equal(mac(secret, body), given)
		slot = subtle.ConstantTimeSelect(firstFit(fits, slot), i, slot)
	}
	return slot, slot >= 0
}

// firstFit is 1 when a secret fits and none before it did.
func firstFit(fits bool, slot int) int {
	if fits && slot < 0 {
		return 1
	}
	return 0
}

// decodeMAC reads standard base64 of exactly one SHA-256 sum. Hex, the URL
// alphabet, line breaks and missing padding are refused: Shopify sends none.
func decodeMAC(header string) ([]byte, bool) {
	if len(header) != base64.StdEncoding.EncodedLen(sha256.Size) || strings.ContainsAny(header, "\r\n") {
		return nil, false
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(header)
	return sum, err == nil && len(sum) == sha256.Size
}

func mac(secret, body []byte) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write(body)
	return m.Sum(nil)
}

// family is the common beginning of the header names of a delivery: webhooks
// have X-Shopify-, the Events of 2026 have Shopify-.
type family string

func familyOf(h http.Header) family {
	if events := family("Shopify-"); h.Get("X-Shopify-Hmac-Sha256") == "" && h.Get(events.of("Hmac-Sha256")) != "" {
		return events
	}
	return "X-Shopify-"
}

func (f family) of(name string) string { return string(f) + name }

// keep picks the headers that a person may want to see later. The signature
// is not among them.
func (f family) keep(h http.Header) map[string]string {
	kept := make(map[string]string, 8)
	for _, name := range []string{"Topic", "Webhook-Id", "Event-Id", "Shop-Domain", "Api-Version", "Triggered-At", "Test"} {
		if v := h.Get(f.of(name)); v != "" {
			kept[f.of(name)] = v
		}
	}
	return kept
}

func occurred(object strictjson.Value, triggered string) time.Time {
	for _, text := range []string{object.Get("updated_at").Text(), object.Get("created_at").Text(), triggered} {
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

func malformed(cause string) *fault.Error { return fault.New(fault.Malformed, "shopify.Open", cause) }
