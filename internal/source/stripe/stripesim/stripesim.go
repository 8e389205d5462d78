// Package stripesim is a Stripe account in memory, for tests: it takes
// payments, refunds, disputes and payouts, keeps the balance by Stripe's
// arithmetic, emits the webhooks of each step as several API versions write
// them, and answers the API calls that ledgerhook makes. It knows nothing of
// how ledgerhook reads any of that: it has its own idea of currencies and fees.
package stripesim

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/shopspring/decimal"
)

// Version is an API version by which webhooks are written.
type Version string

// The versions that differ in what ledgerhook reads.
const (
	// V2020 holds charges in intents, refunds in charges, and captures at once.
	V2020 Version = "2020-08-27"
	// V2024 holds neither, and captures later: charge.updated tells the fee.
	V2024 Version = "2024-06-20"
	// Basil is V2024 without an invoice's charge: its payments are objects of
	// their own.
	Basil Version = "2025-03-31.basil"
)

// Versions lists them all.
var Versions = []Version{V2020, V2024, Basil}

// Options are how the account is set up.
type Options struct {
	Key     string // the API key it knows
	Version Version
	// Converts gives the balance that a currency is settled in, when that is
	// another one, and the rate: {"gbp": {"usd", 1.25}}.
	Converts map[string]Conversion
	// Currencies are what Live draws from; the first two are paid out.
	Currencies []string
	Created    int64 // of every object, in seconds since 1970
	// Series keeps the ids of several accounts apart.
	Series int
	// Late leaves what a payment did to the balance open until Settle.
	Late bool
}

// Conversion is into which currency, and how much of it one unit is worth.
type Conversion struct {
	To   string
	Rate string
}

// Event is a webhook that the account has sent.
type Event struct {
	ID    string
	Topic string
	Body  []byte
}

type object map[string]any

// Sim is the account. It is safe for concurrent use.
type Sim struct {
	Options

	mu      sync.Mutex
	n       int
	objects map[string]object   // by id
	order   map[string][]string // ids by kind, oldest first
	balance map[string]int64    // minor units by currency
	events  []Event
	faults  []Fault
	calls   []string
}

// New makes an account with nothing on it.
func New(o Options) *Sim {
	if o.Version == "" {
		o.Version = Basil
	}
	if o.Currencies == nil {
		o.Currencies = []string{"usd", "eur", "gbp", "jpy"}
	}
	return &Sim{Options: o, objects: map[string]object{}, order: map[string][]string{}, balance: map[string]int64{}}
}

// Events are all webhooks so far, oldest first.
func (s *Sim) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.events...)
}

// Take gives the webhooks since the last Take.
func (s *Sim) Take() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.events
	s.events = nil
	return events
}

// Balance is what the account holds, by currency in capitals.
func (s *Sim) Balance() map[string]decimal.Decimal {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]decimal.Decimal{}
	for currency, units := range s.balance {
		all[strings.ToUpper(currency)] = decimal.New(units, -digits(currency))
	}
	return all
}

// digits is how many decimals Stripe's minor units have.
func digits(currency string) int32 {
	switch currency {
	case "jpy", "krw", "vnd", "clp":
		return 0
	case "kwd", "bhd", "tnd":
		return 3
	default:
		return 2
	}
}

func (s *Sim) id(prefix string) string {
	s.n++
	return fmt.Sprintf("%s_%dSim%s%05d", prefix, 1+s.Series, strings.ToUpper(prefix[:1]), s.n)
}

func (s *Sim) add(kind, prefix string, o object) object {
	o["id"], o["object"], o["created"], o["livemode"] = s.id(prefix), kind, s.Created, false
	if o["metadata"] == nil {
		o["metadata"] = object{}
	}
	id := o["id"].(string)
	s.objects[id] = o
	s.order[kind] = append(s.order[kind], id)
	return o
}

// move makes a balance transaction. Amount and fee are in the balance's
// currency.
func (s *Sim) move(kind, category, source, currency string, amount, fee int64, rate any) string {
	t := s.add("balance_transaction", "txn", object{
		"amount": amount, "fee": fee, "net": amount - fee, "currency": currency, "type": kind, "reporting_category": category,
		"source": source, "exchange_rate": rate, "status": "available", "fee_details": []any{},
	})
	s.balance[currency] += amount - fee
	return t["id"].(string)
}

// settled converts an amount into the currency of the balance it goes to.
func (s *Sim) settled(amount int64, currency string) (int64, string, any) {
	c, ok := s.Converts[currency]
	if !ok {
		return amount, currency, nil
	}
	rate := decimal.RequireFromString(c.Rate)
	units := decimal.NewFromInt(amount).Mul(rate).Shift(digits(c.To) - digits(currency)).Round(0)
	return units.IntPart(), c.To, json.Number(c.Rate)
}

// fee is 2.9 % and thirty of the smallest units, and two per cent more for a
// conversion.
func fee(amount int64, converted bool) int64 {
	perMille := int64(29)
	if converted {
		perMille += 20
	}
	return (amount*perMille+500)/1000 + 30
}

// emit sends a webhook about an object as it is now. before are the fields that
// have just changed, as they were.
func (s *Sim) emit(topic string, o, before object) {
	data := object{"object": o}
	if before != nil {
		data["previous_attributes"] = before
	}
	id := s.id("evt")
	body, err := json.MarshalIndent(object{
		"id": id, "object": "event", "api_version": string(s.Version), "created": s.Created, "livemode": false,
		"pending_webhooks": 1, "request": object{"id": nil, "idempotency_key": nil}, "type": topic, "data": data,
	}, "", "  ")
	if err != nil {
		panic(err) // everything in it is ours
	}
	s.events = append(s.events, Event{ID: id, Topic: topic, Body: body})
}

// Way is how a payment is made, and so which webhooks tell of it.
type Way string

// The ways of a payment.
const (
	ByIntent  Way = "intent"
	BySession Way = "session"
	ByInvoice Way = "invoice"
	// BySubscription is a session whose payment is its first invoice's.
	BySubscription Way = "subscription"
	ByCharge       Way = "charge" // without an intent, as before 2019
)

// Payment is what a buyer pays.
type Payment struct {
	Amount   int64 // minor units
	Currency string
	Order    string // goes into the metadata
	Email    string
	Way      Way
}

// Pay takes a payment and gives the charge's id.
func (s *Sim) Pay(p Payment) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	charge := s.authorize(p, true)
	charge["captured"], charge["amount_captured"] = true, p.Amount
	if intent, ok := s.objects[text(charge["payment_intent"])]; ok {
		intent["status"], intent["amount_received"], intent["latest_charge"] = "succeeded", p.Amount, charge["id"]
	}
	later := s.Late || s.Version != V2020
	if !later {
		s.book(charge)
	}
	s.emit("charge.succeeded", s.chargeView(charge), nil)
	s.tell(p, charge)
	if later && !s.Late {
		s.settle(charge)
	}
	return charge["id"].(string)
}

// Settle lets a late payment reach the balance.
func (s *Sim) Settle(charge string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.objects[charge])
}

func (s *Sim) settle(charge object) {
	s.book(charge)
	s.emit("charge.updated", s.chargeView(charge), object{"balance_transaction": nil})
}

func (s *Sim) book(charge object) {
	amount, currency, rate := s.settled(charge["amount_captured"].(int64), charge["currency"].(string))
	charge["balance_transaction"] = s.move("charge", "charge", charge["id"].(string), currency, amount, fee(amount, rate != nil), rate)
}

func (s *Sim) authorize(p Payment, captured bool) object {
	metadata := object{}
	if p.Order != "" {
		metadata["order_id"] = p.Order
	}
	charge := s.add("charge", "ch", object{
		"amount": p.Amount, "amount_captured": int64(0), "amount_refunded": int64(0), "currency": p.Currency, "captured": captured, "paid": true, "status": "succeeded",
		"refunded": false, "disputed": false, "balance_transaction": nil, "payment_intent": nil, "receipt_email": nil, "metadata": metadata,
		"billing_details":        object{"email": p.Email, "name": "Sim Buyer", "address": nil, "phone": nil},
		"payment_method_details": object{"type": "card", "card": object{"brand": "visa", "last4": "4242"}},
	})
	if p.Way != ByCharge {
		intent := s.add("payment_intent", "pi", object{
			"amount": p.Amount, "amount_received": int64(0), "currency": p.Currency, "status": "requires_capture", "metadata": metadata, "latest_charge": charge["id"],
			"receipt_email": nil, "capture_method": "automatic_async", "payment_method_options": object{"card": object{}},
		})
		charge["payment_intent"] = intent["id"]
	}
	return charge
}

// tell sends what else than the charge tells of a payment.
func (s *Sim) tell(p Payment, charge object) {
	intent, ok := s.objects[text(charge["payment_intent"])]
	if !ok {
		return
	}
	s.emit("payment_intent.succeeded", s.intentView(intent, charge), nil)
	switch p.Way {
	case BySession:
		session := s.add("checkout.session", "cs_test", object{
			"mode": "payment", "status": "complete", "payment_status": "paid", "payment_intent": intent["id"], "amount_total": p.Amount, "currency": p.Currency,
			"client_reference_id": p.Order, "customer_details": object{"email": p.Email, "name": "Sim Buyer"}, "customer_email": nil, "invoice": nil,
		})
		s.emit("checkout.session.completed", session, nil)
	case ByInvoice:
		s.invoice(p, charge, intent)
	case BySubscription:
		session := s.add("checkout.session", "cs_test", object{
			"mode": "subscription", "status": "complete", "payment_status": "paid", "payment_intent": nil, "amount_total": p.Amount, "currency": p.Currency,
			"client_reference_id": nil, "customer_details": object{"email": p.Email, "name": "Sim Buyer"}, "invoice": s.invoice(p, charge, intent),
		})
		s.emit("checkout.session.completed", session, nil)
	}
}

func (s *Sim) invoice(p Payment, charge, intent object) any {
	invoice := s.add("invoice", "in", object{
		"status": "paid", "amount_due": p.Amount, "amount_paid": p.Amount, "currency": p.Currency, "customer_email": p.Email, "customer_name": "Sim Buyer", "metadata": intent["metadata"],
	})
	part := s.add("invoice_payment", "inpay", object{
		"invoice": invoice["id"], "amount_paid": p.Amount, "currency": p.Currency, "status": "paid", "payment": object{"type": "payment_intent", "payment_intent": intent["id"]},
	})
	if s.Version != Basil {
		view := maps.Clone(invoice)
		view["charge"], view["payment_intent"], view["paid"], view["paid_out_of_band"] = charge["id"], intent["id"], true, false
		s.emit("invoice.paid", view, nil)
		return invoice["id"]
	}
	s.emit("invoice.paid", invoice, nil)
	s.emit("invoice_payment.paid", part, nil)
	return invoice["id"]
}

// chargeView writes a charge as the webhooks' version does.
func (s *Sim) chargeView(charge object) object {
	view := maps.Clone(charge)
	if s.Version == V2020 {
		refunds := []any{}
		for _, id := range s.order["refund"] {
			if s.objects[id]["charge"] == charge["id"] {
				refunds = append([]any{maps.Clone(s.objects[id])}, refunds...) // newest first
			}
		}
		view["refunds"] = object{"object": "list", "data": refunds, "has_more": false, "total_count": len(refunds)}
	}
	return view
}

func (s *Sim) intentView(intent, charge object) object {
	view := maps.Clone(intent)
	if s.Version == V2020 {
		delete(view, "latest_charge")
		view["charges"] = object{"object": "list", "data": []any{s.chargeView(charge)}, "has_more": false}
	}
	return view
}

func text(v any) string {
	t, _ := v.(string)
	return t
}
