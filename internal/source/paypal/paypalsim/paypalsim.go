// Package paypalsim is PayPal for tests: an account that takes payments, gives
// refunds and suffers reversals and disputes, with PayPal's arithmetic of fees
// and conversions. It serves the part of the REST API that this service asks,
// sends the webhooks of every transition, and fails on demand. It knows what
// PayPal's specification and recorded events show, and nothing of our reading
// of them; where those are silent its own comments say what it assumes.
package paypalsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal"
	"github.com/shopspring/decimal"
)

// Options make an account. Signer is needed to send webhooks.
type Options struct {
	ClientID, ClientSecret string
	WebhookID              string
	Merchant               string
	Signer                 *paypal.Signer

	Currency string          // of the account; "" = USD
	Holds    map[string]bool // further currencies with a balance of their own
	// Rates are what one unit of a currency is worth in the account's. Money
	// in a currency that has no balance is converted.
	Rates map[string]decimal.Decimal

	// ReturnsFees makes refunds give PayPal's fee back, in proportion, as it
	// once did; else it keeps it.
	ReturnsFees bool
}

// Sim is one account. It is an http.Handler.
type Sim struct {
	Options

	mu        sync.Mutex
	n         int
	documents map[string]object // what the API has, by path
	payments  map[string]*payment
	disputes  map[string]*dispute
	balance   map[string]decimal.Decimal
	outbox    []Event
	sent      map[string]string // bodies of the transmissions, by id
	tokens    map[string]bool
	faults    []*Fault
	topics    []string
}

type object = map[string]any

// New opens an account with nothing on it.
func New(o Options) *Sim {
	if o.Currency == "" {
		o.Currency = "USD"
	}
	return &Sim{
		Options: o, documents: map[string]object{}, payments: map[string]*payment{}, disputes: map[string]*dispute{},
		balance: map[string]decimal.Decimal{}, sent: map[string]string{}, tokens: map[string]bool{}, topics: []string{"*"},
	}
}

// Event is one webhook.
type Event struct {
	ID, Topic string
	Body      []byte
}

// Take gives the webhooks since the last call, in the order of what happened.
func (s *Sim) Take() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.outbox
	s.outbox = nil
	return list
}

// Headers signs a webhook anew, as every transmission is.
func (s *Sim) Headers(e Event) (http.Header, error) {
	h, err := s.Signer.Sign(s.WebhookID, e.Body, time.Now())
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent[h.Get("Paypal-Transmission-Id")] = string(e.Body)
	}
	return h, err
}

// Balance is what the account holds, by currency.
func (s *Sim) Balance() map[string]decimal.Decimal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.balance)
}

// Subscribe sets the event types of the webhook; all of them at first.
func (s *Sim) Subscribe(topics ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics = topics
}

// id makes one that is PayPal's in form.
func (s *Sim) id(prefix string) string {
	s.n++
	return fmt.Sprintf("%s%012dT", prefix, s.n)
}

// emit sends a webhook about a resource as it is now. What `without` names is
// not there yet: a webhook often tells less than the API.
func (s *Sim) emit(topic, kind, version string, resource object, without ...string) {
	told := maps.Clone(resource)
	for _, name := range without {
		delete(told, name)
	}
	e := Event{ID: s.id("WH-"), Topic: topic}
	envelope := object{
		"id": e.ID, "event_version": "1.0", "create_time": now(), "resource_type": kind, "event_type": topic,
		"summary": "A transition of the simulator", "resource": told,
		"links": []any{link("self", "/v1/notifications/webhooks-events/"+e.ID)},
	}
	if version != "" {
		envelope["resource_version"] = version
	}
	body, err := json.Marshal(envelope)
	if err != nil {
		panic(err) // it is made of texts alone
	}
	e.Body = body
	s.outbox = append(s.outbox, e)
}

func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

func link(rel, path string) object {
	return object{"rel": rel, "href": "https://api.paypal.com" + path, "method": "GET"}
}

// text writes an amount with its currency's decimals.
func text(a money.Amount) string {
	digits, err := money.MinorDigits(a.Currency())
	if err != nil {
		panic("paypalsim: unknown currency " + strconv.Quote(a.Currency()))
	}
	return a.Value().StringFixed(int32(digits))
}

// coins rounds to the smallest coin of the currency.
func coins(value decimal.Decimal, currency string) money.Amount {
	digits, err := money.MinorDigits(currency)
	if err != nil {
		panic("paypalsim: unknown currency " + strconv.Quote(currency))
	}
	return money.New(value.Round(int32(digits)), currency)
}

func newMoney(a money.Amount) object { return object{"currency_code": a.Currency(), "value": text(a)} }
func oldMoney(a money.Amount) object { return object{"currency": a.Currency(), "value": text(a)} }
func oldTotal(a money.Amount) object { return object{"currency": a.Currency(), "total": text(a)} }
