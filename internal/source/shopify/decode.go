package shopify

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
	"github.com/shopspring/decimal"
)

// Decode reads a stored event. Every orders/* topic that carries the whole order
// becomes an Order, in the shop's own money or in the buyer's; transactions
// become Payments and Refunds; customers, products, disputes and requests about
// personal data what their names say. Everything else is ignored with the
// reason. The one kind of failure is Undecodable; its Cause names the field.
func (s *Source) Decode(ev event.Event) (commerce.Content, error) {
	object, err := strictjson.Parse(ev.Body)
	if err != nil {
		return commerce.Content{}, fault.New(fault.Undecodable, "shopify.Decode", "body: "+err.Error())
	}
	read, ok := readers[ev.Topic]
	if !ok {
		return commerce.Content{Ignored: cmp.Or(reasons[ev.Topic], "topic "+ev.Topic+" is not booked: nothing in ERPNext follows from it")}, nil
	}
	p := strictjson.At(object)
	c, err := read(s, p, ev)
	if err != nil {
		return commerce.Content{}, err
	}
	if problem := p.Problem(); problem != "" {
		return commerce.Content{}, fault.New(fault.Undecodable, "shopify.Decode", problem)
	}
	return c, nil
}

// reader reads the body of a topic. What it complains of at the place is found
// by Decode.
type reader func(s *Source, p strictjson.Place, ev event.Event) (commerce.Content, error)

var readers = map[string]reader{
	ordersCreate: (*Source).order, ordersPaid: (*Source).order, "orders/updated": (*Source).order, "orders/cancelled": (*Source).order,
	"orders/fulfilled": (*Source).order, "orders/partially_fulfilled": (*Source).order,
	"order_transactions/create": (*Source).transaction, "refunds/create": (*Source).refund,
	"disputes/create": (*Source).dispute, "disputes/update": (*Source).dispute,
	"customers/create": (*Source).customer, "customers/update": (*Source).customer, "customers/delete": (*Source).customer,
	"products/create": (*Source).product, "products/update": (*Source).product, "products/delete": (*Source).product,
	"customers/data_request": (*Source).privacy, "customers/redact": (*Source).privacy, "shop/redact": (*Source).privacy, "app/uninstalled": (*Source).privacy,
}

// reasons say why a topic books nothing, where that is not plain from its name.
var reasons = map[string]string{
	"orders/edited":              "an edit says only what changed: the orders/updated snapshot that follows it is acted on",
	"orders/delete":              "the shop deletes orders that are over: what was booked stays",
	"fulfillments/create":        "the order's own snapshot (orders/fulfilled, orders/partially_fulfilled, orders/updated) carries its fulfilments",
	"fulfillments/update":        "the order's own snapshot (orders/fulfilled, orders/partially_fulfilled, orders/updated) carries its fulfilments",
	"tender_transactions/create": "order_transactions/create, or the provider itself, tells of the same money",
	"draft_orders/create":        "a draft is no order yet",
	"draft_orders/update":        "a draft is no order yet",
	"checkouts/create":           "a checkout is no order yet",
	"checkouts/update":           "a checkout is no order yet",
}

// order reads a whole order.
func (s *Source) order(p strictjson.Place, ev event.Event) (commerce.Content, error) {
	id := p.Get("id")
	field := filteredOut(p.Value())
	switch {
	case field != "" && s.api != nil && strictjson.PlainID(id.ID()):
		return commerce.Content{Order: &commerce.Order{ID: id.ID()}, Partial: field}, nil // Complete reads it whole
	case field != "":
		return commerce.Content{}, &fault.Error{
			Kind: fault.Undecodable, Op: "shopify.Decode", Cause: "the order has no " + field,
			Hint: "the webhook subscription sends chosen fields only, or the app may not see customers: remove include_fields from the subscription (or add " +
				strings.Join(everyOrderHas, ", ") + "), then let Shopify send the order again; or give this source an Admin API access token, and it reads the order itself",
		}
	}
	if !strictjson.PlainID(id.ID()) {
		id.Complain("is not a usable identifier")
	}
	return commerce.Content{Order: s.readOrder(p, ev.ReceivedAt)}, nil
}

// everyOrderHas are fields that every whole order has, if only as null, in
// every version of the API, and that decide how it is booked. Addresses and
// the customer are not among them: orders without them exist.
var everyOrderHas = []string{
	"id", "currency", "line_items", "total_price", "name", "subtotal_price", "total_tax", "total_discounts", "taxes_included", "tax_lines", "shipping_lines",
	"created_at", "updated_at", "cancelled_at", "test", "financial_status", "discount_codes", "note", "note_attributes", "fulfillments",
}

// neverNull is how many of them are never null, the first ones.
const neverNull = 4

// filteredOut names a field that every whole order has and this one has not.
// Of the fields that say who buys, a whole order has one at least.
func filteredOut(order strictjson.Value) string {
	for i, name := range everyOrderHas {
		if kind := order.Get(name).Kind(); kind == strictjson.Absent || kind == strictjson.Null && i < neverNull {
			return name
		}
	}
	for _, name := range []string{"customer", "email", "contact_email"} {
		if order.Get(name).Kind() != strictjson.Absent {
			return ""
		}
	}
	return "customer and email"
}

func (s *Source) readOrder(p strictjson.Place, received time.Time) *commerce.Order {
	m := shopsPurse(p)
	if s.buyersMoney && !p.Get("presentment_currency").Missing() {
		m = buyersPurse(p)
	}
	if p.Problem() != "" {
		return nil // without a known currency no amount can be read
	}
	lines, duties, tipped := readLines(p.Get("line_items"), m)
	o := &commerce.Order{
		ID:            p.Get("id").ID(),
		Name:          cmp.Or(p.Get("name").Text(), p.Get("id").ID()),
		Currency:      m.currency,
		CreatedAt:     firstTime(p.Get("created_at").Time(), p.Get("processed_at").Time(), received),
		UpdatedAt:     p.Get("updated_at").Time(),
		CancelledAt:   p.Get("cancelled_at").Time(),
		ClosedAt:      p.Get("closed_at").Time(),
		Test:          p.Get("test").Flag(),
		Paid:          paidStates[p.Get("financial_status").Text()],
		TaxesIncluded: p.Get("taxes_included").Flag(),
		Customer:      s.readParty(p),
		BillTo:        readAddress(p.Get("billing_address")),
		ShipTo:        readAddress(p.Get("shipping_address")),
		Lines:         lines,
		Shipping:      readShippingLines(p, m),
		Fees:          readFees(p, m),
		Tip:           readTip(p, m, tipped),
		Total:         current(p, "total_price", m).Amount(m.currency),
		Note:          p.Get("note").Text(),
		Fulfillments:  readFulfillments(p.Get("fulfillments")),
	}
	if !p.Get("duties_included").Flag() {
		o.Duties = duties
	}
	if m.buyers && p.Get("currency").Currency() != m.currency {
		own := shopsPurse(p)
		total := current(p, "total_price", own).Amount(own.currency)
		o.ShopTotal = &total
	}
	o.ShownTotal = readShownTotal(p, m)
	o.TotalTax = readTotalTax(p, o, m)
	leaveOutGifts(p, o, m)
	readLabels(p, o)
	s.readMoney(p, o, m)
	return o
}

// readShownTotal is the total in what the buyer was shown, where that is another
// currency than the order is read in.
func readShownTotal(p strictjson.Place, m purse) *money.Amount {
	if m.buyers || p.Get("presentment_currency").Missing() {
		return nil
	}
	shown := buyersPurse(p)
	place := current(p, "total_price", shown)
	if shown.currency == m.currency || place.Missing() {
		return nil
	}
	total := place.Amount(shown.currency)
	return &total
}

// paidStates are the financial states of orders that were paid in full.
var paidStates = map[string]bool{"paid": true, "partially_refunded": true, "refunded": true}

// readTip is what the buyer added for the staff, unless it is a line as well.
func readTip(p strictjson.Place, m purse, isLine bool) money.Amount {
	tip := p.Get("total_tip_received")
	if isLine || tip.Missing() {
		return money.Zero(m.currency)
	}
	if set := p.Get("total_tip_received_set"); m.buyers && !set.Missing() {
		return m.set(set)
	}
	return tip.OptionalAmount(m.currency)
}

// readLabels reads what the shop says of an order beside its money.
func readLabels(p strictjson.Place, o *commerce.Order) {
	o.Tags = readTags(p.Get("tags").Text())
	o.Attributes = readPairs(p.Get("note_attributes"))
	o.Channel = p.Get("source_name").Text()
	o.LocationID = p.Get("location_id").ID()
	o.PONumber = p.Get("po_number").Text()
	for _, code := range p.Get("discount_codes").Each() {
		if text := code.Get("code").Text(); text != "" {
			o.DiscountIDs = append(o.DiscountIDs, text)
		}
	}
}

func readTags(text string) []string {
	var tags []string
	for tag := range strings.SplitSeq(text, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

func readFulfillments(p strictjson.Place) []commerce.Fulfillment {
	var list []commerce.Fulfillment
	for _, f := range p.Each() {
		status := f.Get("status").Text()
		if status != "success" && status != "cancelled" {
			continue // pending, open, error, failure: nothing has left
		}
		full := commerce.Fulfillment{
			ID: f.Get("id").ID(), Name: f.Get("name").Text(), At: f.Get("created_at").Time(), LocationID: f.Get("location_id").ID(),
			Cancelled: status == "cancelled",
		}
		for _, number := range f.Get("tracking_numbers").Each() {
			full.Tracking = append(full.Tracking, number.Text())
		}
		for _, line := range f.Get("line_items").Each() {
			full.Lines = append(full.Lines, commerce.FulfilledLine{LineID: line.Get("id").ID(), Quantity: line.Get("quantity").Int()})
		}
		list = append(list, full)
	}
	return list
}

// current chooses between the total as it was at checkout and the one that
// follows edits and refunds; older API versions have the first alone.
func current(p strictjson.Place, name string, m purse) strictjson.Place {
	if now := m.place(p, "current_"+name); !now.Missing() {
		return now
	}
	return m.place(p, name)
}

// readTotalTax falls back to the sum of the taxes: total_tax is null on some
// orders without tax.
func readTotalTax(p strictjson.Place, o *commerce.Order, m purse) money.Amount {
	if total := current(p, "total_tax", m); !total.Missing() {
		return total.Amount(o.Currency)
	}
	sum := money.Zero(o.Currency)
	for _, line := range o.Lines {
		sum = sum.Add(sumTaxes(line.Taxes))
	}
	for _, charge := range slices.Concat(o.Shipping, o.Duties, o.Fees) {
		sum = sum.Add(sumTaxes(charge.Taxes))
	}
	return sum
}

// leaveOutGifts takes money that was given back without goods out of the total:
// the shop has subtracted it there, and nowhere else. It stands in the refunds'
// adjustments, which tell of other things too, so that what the order's parts
// come to decides.
func leaveOutGifts(p strictjson.Place, o *commerce.Order, m purse) {
	best := distance(o, o.Total)
	total := o.Total
	for _, given := range givenBack(p, m) {
		if d := distance(o, total.Add(given)); d.LessThan(best) {
			best, o.Total, o.GivenBack = d, total.Add(given), given
		}
	}
}

// givenBack is what the refunds' adjustments come to: those that belong to no
// goods, and all of them, shipping too.
func givenBack(p strictjson.Place, m purse) [2]money.Amount {
	loose, all := money.Zero(m.currency), money.Zero(m.currency)
	for _, refund := range p.Get("refunds").Each() {
		for _, a := range refund.Get("order_adjustments").Each() {
			amount := m.optional(a, "amount").Add(m.optional(a, "tax_amount")).Neg()
			all = all.Add(amount)
			if a.Get("kind").Text() == "refund_discrepancy" {
				loose = loose.Add(amount)
			}
		}
	}
	return [2]money.Amount{loose, all}
}

// distance is how far a total is from what an order's parts come to, with or
// without the taxes that the sales channel owes.
func distance(o *commerce.Order, total money.Amount) decimal.Decimal {
	parts, channel := o.Tip.Value(), decimal.Zero
	add := func(net decimal.Decimal, taxes []commerce.Tax) {
		parts = parts.Add(net)
		for _, tax := range taxes {
			switch {
			case tax.ByChannel:
				channel = channel.Add(tax.Amount.Value())
			case !o.TaxesIncluded:
				parts = parts.Add(tax.Amount.Value())
			}
		}
	}
	for _, line := range o.Lines {
		add(line.UnitPrice.Value().Mul(decimal.NewFromInt(line.Quantity)).Sub(line.Discount.Value()), line.Taxes)
	}
	for _, charge := range slices.Concat(o.Shipping, o.Duties, o.Fees) {
		add(charge.Price.Value().Sub(charge.Discount.Value()), charge.Taxes)
	}
	without := total.Value().Sub(parts).Abs()
	if with := total.Value().Sub(parts.Add(channel)).Abs(); with.LessThan(without) && !o.TaxesIncluded {
		return with
	}
	return without
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
