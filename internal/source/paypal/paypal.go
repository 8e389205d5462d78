// Package paypal knows PayPal's webhooks: how a transmission is verified with
// the certificate it names, what its events say of payments, and how to ask
// PayPal's API about both. It knows nothing of how an event is stored or booked.
//
// PayPal's signature covers a CRC-32 of the body, not the body. Whoever has seen
// one genuine transmission can make another body with the same sum. So events
// of this package carry StrictBody and the transmission id, and Complete asks
// PayPal before money is booked.
//
// Each movement of money is told by one kind of event:
//
//   - CAPTURE.COMPLETED and SALE.COMPLETED: a payment, under the id of the
//     capture or sale. Orders, authorisations and subscriptions move nothing.
//   - REFUNDED and REVERSED: money that went back, under the refund's own id,
//     whether the merchant, a dispute or a chargeback was the cause.
//   - CUSTOMER.DISPUTE.*: tells a person. What a dispute takes from the balance
//     comes as REFUNDED or REVERSED too, so it is not booked again; its own are
//     only the fee of the dispute or chargeback, and disputed money that comes
//     back to the seller: no other event tells of those.
package paypal

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

const provider = "paypal"

// Live and Sandbox are PayPal's two worlds. Their certificates, hosts and
// credentials do not mix.
const (
	Live    = "live"
	Sandbox = "sandbox"
)

// simulatorID is what PayPal's webhook simulator signs with in place of a
// webhook id: with the live certificate, and for anyone who asks.
const simulatorID = "WEBHOOK_ID"

// The slots of Event.SecretSlot.
const (
	offline  = "offline"
	postback = "postback"
)

// openBudget bounds Open, so that with a slow PayPal the sender still gets its
// answer within five seconds.
const openBudget = 4 * time.Second

// Options are what a source needs to know of its webhook.
type Options struct {
	WebhookID string // the id PayPal gave the webhook; part of what is signed

	// ClientID and ClientSecret belong to the REST app. Without them a
	// transmission can be verified by its certificate only, and Complete asks
	// nobody.
	ClientID     string
	ClientSecret string
	// ReadClientSecret gives the secret for each call anew, for one that is
	// rotated; nil = it stays ClientSecret.
	ReadClientSecret func() string

	// Merchant is the account whose events are meant: its merchant id, or its
	// e-mail address. "" = any. Not every event names its merchant.
	Merchant string

	Mode   string // Live (also when empty) or Sandbox
	APIURL string // instead of PayPal's own, for tests
	Roots  []byte // PEM: further trust anchors (self-signed) and intermediates

	// Transport carries the calls to PayPal; nil is the standard one.
	Transport http.RoundTripper

	// Signer, for demonstrations and tests alone, is trusted like PayPal
	// itself, and makes Sign work.
	Signer *Signer
}

// Source opens, decodes and completes the events of one webhook.
type Source struct {
	webhookID    string
	mode         string
	merchant     string
	certificates *certificates
	api          *api // nil without credentials
	signer       *Signer
}

// New makes a source. It refuses to be without a webhook id, to use the
// simulator's id in the live world, half a pair of credentials, an unknown mode,
// and roots that hold no certificate.
func New(o Options) (*Source, error) {
	if o.Mode == "" {
		o.Mode = Live
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	transport := o.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	if o.Signer != nil {
		transport = o.Signer.Transport(transport)
		o.Roots = append(append([]byte{}, o.Roots...), o.Signer.Roots()...)
	}
	trust, err := newTrust(o.Roots)
	if err != nil {
		return nil, err
	}
	s := &Source{webhookID: o.WebhookID, mode: o.Mode, merchant: o.Merchant, certificates: newCertificates(transport, trust), signer: o.Signer}
	if o.ClientID != "" {
		s.api = newAPI(transport, o)
	}
	return s, nil
}

func (o Options) check() error {
	switch {
	case o.Mode != Live && o.Mode != Sandbox:
		return errors.New("paypal: the mode is neither live nor sandbox")
	case o.WebhookID == "":
		return errors.New("paypal: no webhook id")
	case o.Mode == Live && o.WebhookID == simulatorID:
		return errors.New("paypal: " + simulatorID + " is what the webhook simulator signs with: anyone could sign for it")
	case !plainName(o.WebhookID, 50):
		return errors.New("paypal: the webhook id is not made of up to 50 letters and digits")
	case (o.ClientID == "") != (o.ClientSecret == ""):
		return errors.New("paypal: client id and client secret go together")
	case strings.TrimSpace(o.ClientID) != o.ClientID || strings.TrimSpace(o.ClientSecret) != o.ClientSecret:
		return errors.New("paypal: client id or client secret has blanks around it")
	}
	u, err := url.Parse(o.APIURL)
	if err != nil || o.APIURL != "" && (u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("paypal: the API address is not an http address")
	}
	return nil
}

// AnchorsUntil is when the first of the built-in and further trust anchors ends:
// afterwards PayPal's certificates may not be believed any more.
func (s *Source) AnchorsUntil() time.Time { return s.certificates.trust.until }

// Provider is "paypal".
func (s *Source) Provider() string { return provider }

// Slots are the values that Event.SecretSlot can take: by which of the two
// methods a transmission was verified.
func (s *Source) Slots() []string { return []string{offline, postback} }

// Open verifies a transmission that arrived at now and names its event. The
// event's Source and ReceivedAt are the caller's. It may fetch a certificate
// from PayPal, and where that does not help ask PayPal to verify; all of it ends
// within four seconds. Kinds of failure: BadSignature, Malformed for a signed
// body that is no event, Busy when neither method could be used: PayPal must
// then send again.
func (s *Source) Open(ctx context.Context, h http.Header, body []byte, now time.Time) (event.Event, error) {
	t, cause := s.readTransmission(h, now)
	if cause != "" {
		return event.Event{}, badSignature(cause)
	}
	ctx, cancel := context.WithTimeout(ctx, openBudget)
	defer cancel()
	slot, err := s.verify(ctx, t, body, now)
	if err != nil {
		return event.Event{}, err
	}
	object, err := strictjson.Parse(body)
	if err != nil {
		return event.Event{}, malformed("body: " + err.Error())
	}
	id, topic := object.Get("id").Text(), object.Get("event_type").Text()
	switch {
	case !strictjson.PlainID(id):
		return event.Event{}, malformed("no usable event id")
	case !strictjson.PlainID(topic):
		return event.Event{}, malformed("no usable event type")
	}
	return event.Event{
		Provider:   provider,
		ProviderID: id,
		DeliveryID: t.id,
		Topic:      topic,
		Subject:    subject(object),
		SecretSlot: slot,
		OccurredAt: strictjson.At(object).Get("create_time").Time().UTC(),
		Header:     t.keep(),
		Body:       body,
		StrictBody: true,
	}, nil
}

// Sign gives the headers of a transmission that this source accepts. Only
// PayPal can sign for the real world, so it fails without Options.Signer. The
// body itself holds topic and event id, so those do not matter.
func (s *Source) Sign(body []byte, _, _ string, now time.Time) (http.Header, error) {
	if s.signer == nil {
		return nil, errors.New("paypal: only PayPal can sign events of a real webhook; use its simulator or resend an event in its developer pages")
	}
	return s.signer.Sign(s.webhookID, body, now)
}

// verify tells which method vouches for the transmission. A signature that is
// wrong under a good certificate is wrong; PayPal is asked only when its
// certificate cannot be had, or cannot be judged with the anchors known here.
func (s *Source) verify(ctx context.Context, t transmission, body []byte, now time.Time) (string, error) {
	leaf, err := s.certificates.get(ctx, t.certURL, now)
	if err == nil {
		if !rightName(leaf.Subject.CommonName, t.certURL) {
			return "", badSignature("the certificate is not one that PayPal signs messages with")
		}
		if !t.signedBy(leaf, s.webhookID, body) {
			return "", badSignature("the certificate does not give the signature")
		}
		return offline, nil
	}
	if s.api == nil {
		return "", busy(err.Error(), "PayPal's certificate could not be had or trusted. Set LEDGERHOOK_PAYPAL_CLIENT_ID and _CLIENT_SECRET, "+
			"so that PayPal can be asked, or name its new CA certificates in LEDGERHOOK_PAYPAL_ROOTS_FILE")
	}
	if _, err := strictjson.Parse(body); err != nil {
		return "", badSignature("the body is not one JSON object that PayPal could be asked about")
	}
	genuine, failure := s.api.verifies(ctx, t, s.webhookID, body)
	switch {
	case failure != nil:
		return "", busy(err.Error()+"; asking PayPal: "+failure.Error(), "")
	case !genuine:
		return "", badSignature("PayPal says the transmission is not its own")
	}
	return postback, nil
}

// subject names what an event is about. Everything around one payment shares
// the subject of that payment.
func subject(v strictjson.Value) string {
	resource := v.Get("resource")
	if id := paymentOf(v.Get("event_type").Text(), resource); strictjson.PlainID(id) {
		return "payment/" + id
	}
	id, kind := resource.Get("id").Text(), v.Get("resource_type").Text()
	if kind == "dispute" {
		id = resource.Get("dispute_id").Text()
	}
	if !strictjson.PlainID(id) || !strictjson.PlainID(kind) {
		return ""
	}
	return kind + "/" + id
}

// paymentOf finds the capture or sale that an event is about: the one that a
// refund is of, the first that is disputed, or the event's own.
func paymentOf(topic string, resource strictjson.Value) string {
	switch {
	case strings.HasPrefix(topic, "CUSTOMER.DISPUTE."):
		return disputedPayment(strictjson.At(resource))
	case !strings.HasPrefix(topic, "PAYMENT.CAPTURE.") && !strings.HasPrefix(topic, "PAYMENT.SALE.") && !strings.HasPrefix(topic, "PAYMENT.REFUND."):
		return ""
	}
	return cmp.Or(refundOf(strictjson.At(resource)), resource.Get("id").Text())
}

func badSignature(cause string) *fault.Error {
	return fault.New(fault.BadSignature, "paypal.Open", cause)
}

func malformed(cause string) *fault.Error { return fault.New(fault.Malformed, "paypal.Open", cause) }

func busy(cause, hint string) *fault.Error {
	return &fault.Error{Kind: fault.Busy, Op: "paypal.Open", Cause: cause, Hint: hint, RetryAfter: 30 * time.Second}
}
