package stripe

import (
	"cmp"
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// paid makes a payment of what all objects write alike. Its id is the intent's,
// or the charge's when there is none; all other ids under which the same money
// is told of are its aliases. An invoice is none of them: since basil several
// payments can pay one.
func (t telling) paid(units strictjson.Place, p commerce.Payment, aliases ...string) reading {
	o := t.object
	if !strictjson.PlainID(p.ID) {
		o.Get("id").Complain("is not a usable identifier")
	}
	for _, alias := range aliases {
		if alias != p.ID && strictjson.PlainID(alias) {
			p.Aliases = addNew(p.Aliases, alias)
		}
	}
	p.Provider, p.At = provider, t.at
	p.OrderRefs = addNew(p.OrderRefs, t.refs(o)...)
	p.Amount = readAmount(units, o.Get("currency"))
	if p.Amount.IsZero() {
		return none("no money was paid")
	}
	return reading{Content: commerce.Content{Payment: &p}}
}

// charge reads charge.succeeded and charge.captured. A charge is where the
// money is; intents, sessions and invoices lead to one.
func (t telling) charge() reading {
	o := t.object
	switch {
	case o.Get("status").Text() != "succeeded" || !o.Get("paid").Flag():
		return none("the charge is not paid")
	case !o.Get("captured").Flag():
		return none("the charge is authorised, not captured: payment_intent.succeeded or charge.captured books it after the capture")
	}
	return t.capture()
}

// chargeUpdate reads charge.updated: the next of several captures, or the news
// of what an asynchronous capture did to the balance.
func (t telling) chargeUpdate() reading {
	o := t.object
	switch {
	case t.changed("amount_captured"):
		return t.capture()
	case multicapture(o.Value()) && t.changed("balance_transaction"):
		return t.lateCapture()
	case !o.Get("paid").Flag() || !o.Get("captured").Flag():
		return none("the charge is not captured: nothing is known of its money yet")
	case multicapture(o.Value()):
		return none("each capture of this charge has told its own fee")
	case o.Get("balance_transaction").Missing():
		return none("the update has no balance transaction: it tells nothing of money")
	}
	r := t.capture()
	if r.Payment == nil {
		return r
	}
	fee, ask := *r.Payment, r.ask
	if fee.FeeOnly = true; fee.Settlement != nil {
		return reading{Content: commerce.Content{Payment: &fee}}
	}
	r = none("the update names the balance transaction without its fee: with an API key it is read and booked")
	r.ask = func(ctx context.Context, a *api, c *commerce.Content) error {
		*c = commerce.Content{Payment: &fee}
		return ask(ctx, a, c)
	}
	return r
}

// capture reads the money of a charge. When the event says how much had been
// captured before, it is one of several captures, each a payment of its own:
// the first has the name of the whole, the next ones are named after what had
// been captured before them, which no two share.
func (t telling) capture() reading {
	o := t.object
	units := o.Get("amount_captured")
	if units.Missing() { // older API versions
		units = o.Get("amount")
	}
	id, billing := o.Get("id").Text(), o.Get("billing_details")
	p := commerce.Payment{
		ID: cmp.Or(reference(o.Get("payment_intent").Value()), id), Reference: id,
		PayerEmail: cmp.Or(billing.Get("email").Text(), o.Get("receipt_email").Text()),
		PayerName:  cmp.Or(billing.Get("name").Text(), o.Get("shipping").Get("name").Text()),
		Settlement: readTransaction(o.Get("balance_transaction")),
	}
	before := t.before.Get("amount_captured")
	if n := before.Text(); n != "" && n != "0" {
		return t.nextCapture(p, before)
	}
	r := t.paid(units, p, id)
	if r.ask = askCharge(id); multicapture(o.Value()) {
		r.ask = askTransaction(reference(o.Get("balance_transaction").Value()))
	}
	return r
}

// nextCapture is a capture that is not the first one of its charge. Its
// reference differs too: a site without key fields finds payments by that.
func (t telling) nextCapture(p commerce.Payment, before strictjson.Place) reading {
	o := t.object
	p.ID, p.Reference = p.ID+"/"+before.Text(), p.Reference+"/"+before.Text()
	r := t.paid(o.Get("amount_captured"), p)
	if r.Payment == nil {
		return r
	}
	taken := readAmount(before, o.Get("currency"))
	if r.Payment.Amount = r.Payment.Amount.Sub(taken); r.Payment.Amount.Sign() <= 0 {
		return none("no more was captured")
	}
	r.ask = askTransaction(reference(o.Get("balance_transaction").Value()))
	return r
}

// lateCapture reads what one of several captures did to the balance, where that
// is told after the capture itself.
func (t telling) lateCapture() reading {
	o := t.object
	captured, currency := o.Get("amount_captured").Int(), o.Get("currency").Text()
	p := commerce.Payment{
		ID: cmp.Or(reference(o.Get("payment_intent").Value()), o.Get("id").Text()), Provider: provider, At: t.at, FeeOnly: true,
	}
	transaction := reference(o.Get("balance_transaction").Value())
	r := none("the update names the balance transaction of one capture: with an API key its fee is read and booked")
	r.ask = func(ctx context.Context, a *api, c *commerce.Content) error {
		return a.lateFee(ctx, transaction, lateCapture{p, captured, currency}, c)
	}
	return r
}

// lateCapture is a capture whose fee comes late, with what had been captured by
// then in all.
type lateCapture struct {
	payment  commerce.Payment
	captured int64
	currency string
}

// lateFee asks what a balance transaction brought. Stripe does not say of which
// capture it is, but that capture's name follows from the amount: it came on top
// of the rest. After a conversion it does not.
func (a *api) lateFee(ctx context.Context, id string, late lateCapture, c *commerce.Content) error {
	const op = "stripe.transaction"
	if !strictjson.PlainID(id) {
		return nil
	}
	answer, err := a.get(ctx, call{op: op, path: "/v1/balance_transactions/" + url.PathEscape(id)})
	if err != nil {
		return err
	}
	settlement := readTransaction(answer)
	before := late.captured - answer.Get("amount").Int()
	converted := !strings.EqualFold(answer.Get("currency").Text(), late.currency)
	if problem := answer.Problem(); problem != "" {
		return unreadable(op, problem)
	}
	if settlement == nil || converted || before < 0 || before >= late.captured {
		c.Ignored = "the fee of one of several captures came late, and Stripe does not say of which: book it from the charge's page at Stripe"
		return nil
	}
	p := late.payment
	if before > 0 {
		p.ID += "/" + strconv.FormatInt(before, 10)
	}
	p.Amount, p.Settlement = settlement.Gross, settlement
	*c = commerce.Content{Payment: &p}
	return nil
}

// multicapture reports whether a charge may be captured several times.
func multicapture(charge strictjson.Value) bool {
	return charge.Get("payment_method_details").Get("card").Get("multicapture").Get("status").Text() == "available"
}

func (t telling) intent() reading {
	o := t.object
	switch {
	case o.Get("status").Text() != "succeeded":
		return none("the payment intent has not succeeded")
	case o.Get("payment_method_options").Value().Get("card").Get("request_multicapture").Text() == "if_available":
		return none("the payment may be captured several times: charge.captured and charge.updated book each capture")
	}
	charge := o.Get("latest_charge").Value()
	billing := strictjson.Value{}
	if charges := o.Get("charges").Value().Get("data").Items(); len(charges) > 0 { // until 2022-11-15
		last := charges[len(charges)-1]
		charge, billing = last.Get("id"), last.Get("billing_details")
	}
	id, chargeID := o.Get("id").Text(), reference(charge)
	r := t.paid(o.Get("amount_received"), commerce.Payment{
		ID: id, Reference: cmp.Or(chargeID, id),
		PayerEmail: cmp.Or(billing.Get("email").Text(), o.Get("receipt_email").Text()),
		PayerName:  cmp.Or(billing.Get("name").Text(), o.Get("shipping").Get("name").Text()),
	}, chargeID)
	r.ask = askIntent(id)
	return r
}

func (t telling) session() reading {
	o := t.object
	intent := reference(o.Get("payment_intent").Value())
	switch {
	case o.Get("mode").Text() == "setup":
		return none("the session only saved a payment method")
	case o.Get("payment_status").Text() == "unpaid":
		return none("the session is complete but not paid yet: charge.succeeded or checkout.session.async_payment_succeeded books it when the money is there")
	case o.Get("payment_status").Text() != "paid":
		return none("the session asked for no payment")
	case intent == "" && reference(o.Get("invoice").Value()) == "":
		return none("the session names no payment intent: charge.succeeded books its payment")
	}
	details := o.Get("customer_details")
	r := t.paid(o.Get("amount_total"), commerce.Payment{
		ID: cmp.Or(intent, o.Get("id").Text()), Reference: intent,
		PayerEmail: cmp.Or(details.Get("email").Text(), o.Get("customer_email").Text()), PayerName: details.Get("name").Text(),
	}, o.Get("id").Text())
	if intent == "" {
		return r.lookedUp(reference(o.Get("invoice").Value()), "a subscription is paid through its invoice: charge.succeeded or invoice.paid books it; with an API key it is looked up")
	}
	r.ask = askIntent(intent)
	return r
}

// lookedUp leaves a payment out whose name only Stripe knows, by its invoice.
func (r reading) lookedUp(invoice, reason string) reading {
	if r.Payment == nil {
		return r
	}
	payment := *r.Payment
	r = none(reason)
	r.ask = func(ctx context.Context, a *api, c *commerce.Content) error {
		return askInvoice(ctx, a, invoice, payment, c)
	}
	return r
}

// invoice reads invoice.paid. Until basil an invoice names its one payment;
// since then Stripe has to be asked for its payments, which tell of themselves
// too.
func (t telling) invoice() reading {
	o := t.object
	switch {
	case o.Get("status").Text() != "paid":
		return none("the invoice is not paid")
	case o.Get("paid_out_of_band").Flag():
		return none("the invoice was paid outside Stripe: no money came")
	case readAmount(o.Get("amount_paid"), o.Get("currency")).IsZero():
		return none("no money was paid: nothing was due, or the customer's credit covered it")
	}
	invoice, charge := o.Get("id").Text(), reference(o.Get("charge").Value())
	id := paymentOf(o.Value())
	r := t.paid(o.Get("amount_paid"), commerce.Payment{
		ID: cmp.Or(id, invoice), Reference: cmp.Or(charge, id),
		PayerEmail: o.Get("customer_email").Text(), PayerName: o.Get("customer_name").Text(),
	}, charge)
	if id == "" {
		return r.lookedUp(invoice, "the invoice does not name its payment: charge.succeeded or invoice_payment.paid books it; with an API key it is looked up")
	}
	r.ask = askPayment(id)
	return r
}

// invoicePayment reads invoice_payment.paid: one payment of an invoice.
func (t telling) invoicePayment() reading {
	o := t.object
	if status := o.Get("status").Text(); status != "paid" {
		return none("the payment of the invoice is not paid")
	}
	id := paymentOf(o.Value())
	if id == "" {
		return none("the invoice was paid outside Stripe (" + cmp.Or(plain(o.Get("payment").Get("type").Text()), "no payment named") + "): no money came")
	}
	r := t.paid(o.Get("amount_paid"), commerce.Payment{ID: id, Reference: id})
	r.ask = askPayment(id)
	return r
}

// plain is a word of Stripe's that may stand in a reason.
func plain(word string) string {
	if len(word) > 40 || !strictjson.PlainID(word) {
		return ""
	}
	return word
}

// askCharge asks for the balance transaction of a charge.
func askCharge(id string) asking {
	return func(ctx context.Context, a *api, c *commerce.Content) error {
		if !strictjson.PlainID(id) || c.Payment == nil {
			return nil
		}
		const op = "stripe.charge"
		charge, err := a.get(ctx, call{op: op, path: "/v1/charges/" + url.PathEscape(id), expand: []string{"balance_transaction"}})
		if err != nil {
			return err
		}
		return a.settle(ctx, op, charge, c.Payment)
	}
}

// askIntent asks for the charge behind an intent: it is the money.
func askIntent(id string) asking {
	return func(ctx context.Context, a *api, c *commerce.Content) error {
		if c.Payment == nil {
			return nil
		}
		const op = "stripe.intent"
		intent, err := a.get(ctx, call{op: op, path: "/v1/payment_intents/" + url.PathEscape(id), expand: []string{"latest_charge.balance_transaction"}})
		if err != nil {
			return err
		}
		charge := intent.Get("latest_charge")
		if charge.Value().Kind() != strictjson.Object {
			return nil
		}
		if multicapture(charge.Value()) {
			*c = commerce.Content{Ignored: "the payment may be captured several times: charge.captured and charge.updated book each capture"}
			return nil
		}
		return a.settle(ctx, op, charge, c.Payment)
	}
}

// askPayment asks for a payment by whichever id it has.
func askPayment(id string) asking {
	if strings.HasPrefix(id, "pi_") {
		return askIntent(id)
	}
	return askCharge(id)
}

// askInvoice looks up how an invoice was paid. One that several payments paid
// is left to their own events.
func askInvoice(ctx context.Context, a *api, invoice string, p commerce.Payment, c *commerce.Content) error {
	const op = "stripe.invoice"
	if !strictjson.PlainID(invoice) {
		return nil
	}
	payments, err := a.list(ctx, call{op: op, path: "/v1/invoice_payments", query: url.Values{"invoice": {invoice}, "status": {"paid"}}})
	if err != nil || len(payments) != 1 {
		return err
	}
	id := paymentOf(payments[0].Value())
	if !strictjson.PlainID(id) {
		return nil
	}
	p.ID, p.Reference = id, id
	*c = commerce.Content{Payment: &p}
	return askPayment(id)(ctx, a, c)
}

// askTransaction asks for one of several captures' balance transaction.
func askTransaction(id string) asking {
	return func(ctx context.Context, a *api, c *commerce.Content) error {
		if !strictjson.PlainID(id) || c.Payment == nil || c.Payment.Settlement != nil {
			return nil
		}
		const op = "stripe.transaction"
		answer, err := a.get(ctx, call{op: op, path: "/v1/balance_transactions/" + url.PathEscape(id)})
		if err != nil {
			return err
		}
		settlement := readTransaction(answer)
		if problem := answer.Problem(); problem != "" {
			return unreadable(op, problem)
		}
		c.Payment.Settlement = settlement
		return nil
	}
}

// settle puts what Stripe knows of a charge into the payment: the charge is
// the money, whichever object told of it.
func (a *api) settle(ctx context.Context, op string, charge strictjson.Place, p *commerce.Payment) error {
	id := charge.Get("id").Text()
	units := charge.Get("amount_captured")
	if !charge.Get("captured").Flag() || units.Missing() {
		return nil
	}
	sum := readAmount(units, charge.Get("currency"))
	settlement := readTransaction(charge.Get("balance_transaction"))
	billing := charge.Get("billing_details")
	email, name := billing.Get("email").Text(), billing.Get("name").Text()
	partly := units.Int() != charge.Get("amount").Int()
	if problem := charge.Problem(); problem != "" {
		return unreadable(op, problem)
	}
	if sum.Sign() <= 0 || !strictjson.PlainID(id) {
		return nil
	}
	p.Amount, p.Reference = sum, id
	if id != p.ID {
		p.Aliases = addNew(p.Aliases, id)
	}
	p.PayerEmail, p.PayerName = cmp.Or(p.PayerEmail, email), cmp.Or(p.PayerName, name)
	if settlement != nil && partly {
		if err := a.reverse(ctx, id, settlement); err != nil {
			return err
		}
	}
	p.Settlement = settlement
	return nil
}

// reverse takes off a charge's settlement what was never captured: until basil
// Stripe's balance gets the whole authorised amount, and gives the rest back as
// a refund of its own kind.
func (a *api) reverse(ctx context.Context, charge string, s *commerce.Settlement) error {
	const op = "stripe.reversals"
	refunds, err := a.refundsOf(ctx, op, charge)
	if err != nil {
		return err
	}
	for _, refund := range refunds {
		t := readTransaction(refund.Get("balance_transaction"))
		if problem := refund.Problem(); problem != "" {
			return unreadable(op, problem)
		}
		if t == nil || !reversal(refund) {
			continue
		}
		if t.Net.Currency() != s.Net.Currency() {
			return fault.New(fault.Unavailable, op, "a reversal is in another currency than its charge")
		}
		s.Gross, s.Fee, s.Net = s.Gross.Add(t.Gross), s.Fee.Add(t.Fee), s.Net.Add(t.Net)
	}
	return nil
}

// reversal reports whether a refund only gives back what was never captured.
func reversal(refund strictjson.Place) bool {
	return refund.Get("balance_transaction").Value().Get("reporting_category").Text() == "partial_capture_reversal"
}
