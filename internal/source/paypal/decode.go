package paypal

import (
	"cmp"
	"slices"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// Event types that this service books.
const (
	captureCompleted = "PAYMENT.CAPTURE.COMPLETED"
	saleCompleted    = "PAYMENT.SALE.COMPLETED"
)

// Where the two generations of payments keep what the shop itself wrote there,
// best first.
var (
	captureReferences = []string{"custom_id", "invoice_id"}
	saleReferences    = []string{"custom", "invoice_number"}
)

// Decode reads a stored event. A completed capture, or the completed sale of
// older integrations and subscriptions, becomes a Payment; all else is ignored
// with the reason. Type and state are believed only together: PayPal sends a
// pending sale whose state is completed. The one kind of failure is
// Undecodable; its Cause names the field.
func (s *Source) Decode(ev event.Event) (commerce.Content, error) {
	v, err := strictjson.Parse(ev.Body)
	if err != nil {
		return commerce.Content{}, undecodable("body: " + err.Error())
	}
	p := strictjson.At(v)
	resource := p.Get("resource")
	var payment commerce.Payment
	var reason string
	switch ev.Topic {
	case captureCompleted:
		payment, reason = readCapture(resource)
	case saleCompleted:
		payment, reason = readSale(resource)
	default:
		reason = "type " + ev.Topic + " is not booked: payments come from " + captureCompleted + " and " + saleCompleted
	}
	if problem := p.Problem(); problem != "" {
		return commerce.Content{}, undecodable(problem)
	}
	if reason != "" {
		return commerce.Content{Ignored: reason}, nil
	}
	payment.At = firstTime(p.Get("create_time"), resource.Get("update_time"), resource.Get("create_time"), ev.ReceivedAt)
	return commerce.Content{Payment: &payment}, nil
}

// state reads how a payment stands. One without is of a shape unknown here, and
// perhaps money all the same, so it is not passed over like one that is pending.
func state(p strictjson.Place) string {
	if p.Missing() {
		p.Complain("is missing")
	}
	return p.Text()
}

func readCapture(r strictjson.Place) (commerce.Payment, string) {
	if state(r.Get("status")) != "COMPLETED" {
		return commerce.Payment{}, "the capture's own status is not COMPLETED"
	}
	amount := r.Get("amount")
	return readPayment(r, amount.Get("value"), amount.Get("currency_code"), captureReferences), ""
}

func readSale(r strictjson.Place) (commerce.Payment, string) {
	switch {
	case state(r.Get("state")) != "completed":
		return commerce.Payment{}, "the sale's own state is not completed"
	case r.Get("payment_hold_status").Text() == "HELD":
		return commerce.Payment{}, "the sale is held: not money yet"
	}
	amount := r.Get("amount")
	return readPayment(r, amount.Get("total"), amount.Get("currency"), saleReferences), ""
}

// readPayment reads what captures and sales have in common. The references are
// what the shop itself left there; PayPal's own order id names nothing in a shop.
func readPayment(r, value, currency strictjson.Place, references []string) commerce.Payment {
	id := r.Get("id").Text()
	if !strictjson.PlainID(id) {
		r.Get("id").Complain("is not a usable identifier")
	}
	payer := r.Get("payer")
	p := commerce.Payment{
		ID:         id,
		Reference:  id,
		PayerEmail: payer.Get("email_address").Text(),
		PayerName:  joinNames(payer.Get("name").Get("given_name").Text(), payer.Get("name").Get("surname").Text()),
		Provider:   provider,
	}
	if code := currency.Currency(); code != "" {
		p.Amount = readAmount(value, code)
	}
	for _, name := range references {
		if ref := r.Get(name).Text(); ref != "" && !slices.Contains(p.OrderRefs, ref) {
			p.OrderRefs = append(p.OrderRefs, ref)
		}
	}
	return p
}

// readAmount reads an amount that came in: more than nothing, and no finer than
// the currency's smallest coin. PayPal never sends such fractions, and the books
// could only round them.
func readAmount(value strictjson.Place, currency string) money.Amount {
	amount := value.Amount(currency)
	if amount.Sign() <= 0 {
		value.Complain("is not more than nothing")
	}
	digits, err := money.MinorDigits(currency)
	if err != nil || !amount.Value().Equal(amount.Value().Truncate(int32(digits))) {
		value.Complain("has more decimals than its currency")
	}
	return amount
}

func joinNames(given, surname string) string {
	if given == "" || surname == "" {
		return cmp.Or(given, surname)
	}
	return given + " " + surname
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
