package paypal

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

// Event types at which money moves, or a person must be told.
const (
	captureCompleted = "PAYMENT.CAPTURE.COMPLETED"
	captureRefunded  = "PAYMENT.CAPTURE.REFUNDED"
	captureReversed  = "PAYMENT.CAPTURE.REVERSED"
	saleCompleted    = "PAYMENT.SALE.COMPLETED"
	saleRefunded     = "PAYMENT.SALE.REFUNDED"
	saleReversed     = "PAYMENT.SALE.REVERSED"
	refundPending    = "PAYMENT.REFUND.PENDING"
	refundFailed     = "PAYMENT.REFUND.FAILED"
	disputeCreated   = "CUSTOMER.DISPUTE.CREATED"
	disputeUpdated   = "CUSTOMER.DISPUTE.UPDATED"
	disputeResolved  = "CUSTOMER.DISPUTE.RESOLVED"
)

// generation is one of the two ways in which PayPal writes payments and
// refunds. Subscriptions and older integrations still send the first.
type generation struct {
	state           string   // the member that tells how it stands
	total, currency string   // members of an amount; all parts of it have "value"
	arrived         []string // states of money that has come, whatever went back later
	pending         string
	references      []string // what the shop itself wrote there, best first
	outcomes        map[string]commerce.Outcome
}

var (
	v1 = generation{
		state: "state", total: "total", currency: "currency",
		arrived: []string{"completed", "partially_refunded", "refunded", "reversed"}, pending: "pending",
		references: []string{"custom", "invoice_number"},
		outcomes: map[string]commerce.Outcome{
			"completed": commerce.Succeeded, "pending": commerce.Pending, "failed": commerce.Failed, "cancelled": commerce.Failed,
		},
	}
	v2 = generation{
		state: "status", total: "value", currency: "currency_code",
		arrived: []string{"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED", "REVERSED"}, pending: "PENDING",
		references: []string{"custom_id", "invoice_id"},
		outcomes: map[string]commerce.Outcome{
			"COMPLETED": commerce.Succeeded, "PENDING": commerce.Pending, "FAILED": commerce.Failed, "CANCELLED": commerce.Failed,
		},
	}
)

// generationOf tells how a resource is written. Sales are always of the first
// generation, captures and refunds of either.
func generationOf(topic string, r strictjson.Place) generation {
	if strings.HasPrefix(topic, "PAYMENT.SALE.") || r.Value().Has(v1.state) && !r.Value().Has(v2.state) {
		return v1
	}
	return v2
}

// Decode reads a stored event: a payment, money that went back, or a dispute;
// all else is ignored with the reason. Type and state are believed only
// together: PayPal sends a pending sale whose state is completed. Kinds of
// failure: Undecodable, whose Cause names the field; Unmapped for an event of
// another merchant.
func (s *Source) Decode(ev event.Event) (commerce.Content, error) {
	v, err := strictjson.Parse(ev.Body)
	if err != nil {
		return commerce.Content{}, undecodable("body: " + err.Error())
	}
	p := strictjson.At(v)
	resource := p.Get("resource")
	at := firstTime(p.Get("create_time"), resource.Get("update_time"), resource.Get("create_time"), ev.ReceivedAt)
	c := read(ev.Topic, resource, at)
	merchants := merchantsOf(ev.Topic, resource)
	if problem := p.Problem(); problem != "" {
		return commerce.Content{}, undecodable(problem)
	}
	if c.Ignored == "" && !s.isMine(merchants) {
		return commerce.Content{}, foreign("paypal.Decode")
	}
	return c, nil
}

func read(topic string, r strictjson.Place, at time.Time) commerce.Content {
	g := generationOf(topic, r)
	switch topic {
	case captureCompleted, saleCompleted:
		return readCompleted(g, r, at)
	case captureRefunded, captureReversed, saleRefunded, saleReversed, refundPending, refundFailed:
		refund := readRefund(g, r, at)
		refund.Reversed = topic == captureReversed || topic == saleReversed
		return commerce.Content{Refunds: []commerce.Refund{refund}}
	case disputeCreated, disputeUpdated, disputeResolved:
		return readDispute(r, at)
	default:
		return commerce.Content{Ignored: whyNot(topic, r)}
	}
}

// readCompleted reads what is told to have been paid. A state that is missing
// is of a shape unknown here, and perhaps money all the same, so it is not
// passed over like one that is pending.
func readCompleted(g generation, r strictjson.Place, at time.Time) commerce.Content {
	state := r.Get(g.state)
	switch {
	case state.Missing():
		state.Complain("is missing")
		return commerce.Content{}
	case state.Text() == g.pending, held(r):
		return commerce.Content{Ignored: whyPending(r)}
	case !slices.Contains(g.arrived, state.Text()):
		return commerce.Content{Ignored: "the type says completed, the payment's own " + g.state + " does not"}
	}
	payment := readPayment(g, r, at)
	return commerce.Content{Payment: &payment}
}

// held reports whether PayPal keeps the money of a sale back.
func held(r strictjson.Place) bool { return r.Get("payment_hold_status").Text() == "HELD" }

// readPayment reads what captures and sales have in common. The references are
// what the shop itself left there; PayPal's own order id names nothing in a shop.
func readPayment(g generation, r strictjson.Place, at time.Time) commerce.Payment {
	id := identifier(r.Get("id"))
	p := commerce.Payment{
		ID: id, Reference: id, Provider: provider, At: at, Amount: g.amount(r.Get("amount")), OrderRefs: g.orderRefs(r),
	}
	p.PayerEmail, p.PayerName = person(r.Get("payer"))
	p.Settlement = g.received(r, p)
	return p
}

func (g generation) orderRefs(r strictjson.Place) []string {
	var refs []string
	for _, name := range g.references {
		if ref := r.Get(name).Text(); ref != "" && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs
}

func identifier(p strictjson.Place) string {
	id := p.Text()
	if !strictjson.PlainID(id) {
		p.Complain("is not a usable identifier")
	}
	return id
}

// person reads who a payer is, as the second generation writes it.
func person(p strictjson.Place) (string, string) {
	name := p.Get("name")
	return p.Get("email_address").Text(), joinNames(name.Get("given_name").Text(), name.Get("surname").Text())
}

func joinNames(given, surname string) string {
	if given == "" || surname == "" {
		return cmp.Or(given, surname)
	}
	return given + " " + surname
}

// amount reads what was paid: more than nothing.
func (g generation) amount(p strictjson.Place) money.Amount {
	amount := exact(p.Get(g.total), p.Get(g.currency).Currency())
	if amount.Sign() <= 0 {
		p.Get(g.total).Complain("is not more than nothing")
	}
	return amount
}

// exact reads an amount that is no finer than the currency's smallest coin.
// PayPal never sends such fractions, and the books could only round them.
func exact(value strictjson.Place, currency string) money.Amount {
	if currency == "" {
		return money.Amount{}
	}
	amount := value.Amount(currency)
	digits, err := money.MinorDigits(currency)
	if err != nil || !amount.Value().Equal(amount.Value().Truncate(int32(digits))) {
		value.Complain("has more decimals than its currency")
	}
	return amount
}

// firstTime is the first of PayPal's times that can be read, or the arrival.
func firstTime(created, updated, made strictjson.Place, received time.Time) time.Time {
	for _, p := range []strictjson.Place{created, updated, made} {
		if t := p.Time(); !t.IsZero() {
			return t.UTC()
		}
	}
	return received
}

func undecodable(cause string) *fault.Error {
	return fault.New(fault.Undecodable, "paypal.Decode", cause)
}
