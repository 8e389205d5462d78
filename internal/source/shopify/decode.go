package shopify

import (
	"cmp"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// Decode reads a stored event. orders/create and orders/paid become an Order in
// the shop's own currency (what the buyer was shown is in other fields, which
// are not read); everything else is ignored with the reason. The one kind of
// failure is Undecodable; its Cause names the field.
func (s *Source) Decode(ev event.Event) (commerce.Content, error) {
	object, err := strictjson.Parse(ev.Body)
	if err != nil {
		return commerce.Content{}, fault.New(fault.Undecodable, "shopify.Decode", "body: "+err.Error())
	}
	if ev.Topic != ordersCreate && ev.Topic != ordersPaid {
		return commerce.Content{Ignored: "topic " + ev.Topic + " is not booked: Sales Orders come from " + ordersCreate + " and " + ordersPaid}, nil
	}
	p := strictjson.At(object)
	if p.Get("test").Flag() {
		return commerce.Content{Ignored: "a test order (test: true)"}, nil
	}
	if !p.Get("cancelled_at").Missing() {
		return commerce.Content{Ignored: "the order was cancelled before it was created here"}, nil
	}
	if field := filteredOut(object); field != "" {
		return commerce.Content{}, &fault.Error{
			Kind: fault.Undecodable, Op: "shopify.Decode", Cause: "the order has no " + field,
			Hint: "the webhook subscription sends chosen fields only: remove include_fields from it, then let Shopify send the order again",
		}
	}
	if id := p.Get("id"); !strictjson.PlainID(id.ID()) {
		id.Complain("is not a usable identifier")
	}
	order := readOrder(p, ev.ReceivedAt)
	if problem := p.Problem(); problem != "" {
		return commerce.Content{}, fault.New(fault.Undecodable, "shopify.Decode", problem)
	}
	return commerce.Content{Order: order}, nil
}

// filteredOut names a field that every whole order has and this one has not.
func filteredOut(order strictjson.Value) string {
	for _, name := range []string{"id", "currency", "line_items", "total_price"} {
		if !order.Has(name) {
			return name
		}
	}
	return ""
}

func readOrder(p strictjson.Place, received time.Time) *commerce.Order {
	currency := p.Get("currency").Currency()
	if p.Problem() != "" {
		return nil // without a known currency no amount can be read
	}
	lines, duties, tipped := readLines(p.Get("line_items"), currency)
	o := &commerce.Order{
		ID:            p.Get("id").ID(),
		Name:          p.Get("name").Text(),
		Currency:      currency,
		CreatedAt:     firstTime(p.Get("created_at").Time(), p.Get("processed_at").Time(), received),
		UpdatedAt:     p.Get("updated_at").Time(),
		TaxesIncluded: p.Get("taxes_included").Flag(),
		Customer:      readParty(p),
		Lines:         lines,
		Shipping:      readCharges(p, currency),
		Tip:           p.Get("total_tip_received").OptionalAmount(currency),
		Total:         current(p, "total_price").Amount(currency),
		Note:          p.Get("note").Text(),
	}
	if !p.Get("duties_included").Flag() {
		o.Shipping = append(o.Shipping, duties...)
	}
	if tipped {
		o.Tip = money.Zero(currency)
	}
	o.Name = cmp.Or(o.Name, o.ID)
	o.TotalTax = readTotalTax(p, o)
	return o
}

// current chooses between the total as it was at checkout and the one that
// follows edits and refunds; older API versions have the first alone.
func current(p strictjson.Place, name string) strictjson.Place {
	if now := p.Get("current_" + name); !now.Missing() {
		return now
	}
	return p.Get(name)
}

// readTotalTax falls back to the sum of the taxes: total_tax is null on some
// orders without tax.
func readTotalTax(p strictjson.Place, o *commerce.Order) money.Amount {
	if total := current(p, "total_tax"); !total.Missing() {
		return total.Amount(o.Currency)
	}
	sum := money.Zero(o.Currency)
	for _, line := range o.Lines {
		sum = sum.Add(sumTaxes(line.Taxes))
	}
	for _, charge := range o.Shipping {
		sum = sum.Add(sumTaxes(charge.Taxes))
	}
	return sum
}

func sumTaxes(taxes []commerce.Tax) money.Amount {
	var sum money.Amount
	for _, tax := range taxes {
		sum = sum.Add(tax.Amount)
	}
	return sum
}

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
