package stripe

import (
	"cmp"
	"context"
	"net/url"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// outcomes are what the states of refunds and payouts mean for the money. A
// refund that needs the buyer to act has not gone yet.
var outcomes = map[string]commerce.Outcome{
	"succeeded": commerce.Succeeded, "paid": commerce.Succeeded,
	"pending": commerce.Pending, "requires_action": commerce.Pending, "in_transit": commerce.Pending,
	"failed": commerce.Failed, "canceled": commerce.Failed,
}

// neverCaptured is why some refunds move no money. Until basil Stripe makes one
// when an authorisation is cancelled, or captured in part.
const neverCaptured = "the refund only releases what was authorised and never captured: no money moved"

// refund reads refund.created, refund.updated, refund.failed and
// charge.refund.updated, which all hold the refund as it is now.
func (t telling) refund() reading {
	if t.updatesNothing() {
		return none("the update of the refund moves no money")
	}
	r := t.readRefund(t.object)
	id := r.ID
	ask := func(ctx context.Context, a *api, c *commerce.Content) error { return t.askRefund(ctx, a, id, c) }
	read := reading{Content: commerce.Content{Refunds: []commerce.Refund{r}}, ask: ask}
	if r.Outcome == commerce.Succeeded && t.object.Get("balance_transaction").Missing() {
		read.unsure = &fault.Error{
			Kind: fault.Unmapped, Op: decodeOp, Cause: "Stripe does not say whether the refund moved money: it has no balance transaction",
			Hint: "set LEDGERHOOK_STRIPE_API_KEY (or api_key_file of the source) and replay: Stripe is asked then. If the refund only released an authorisation, dismiss it",
		}
	}
	return read
}

// updatesNothing reports whether an update names what it changed, and nothing
// of that is about money: the card network's reference, say.
func (t telling) updatesNothing() bool {
	return !t.before.Missing() && !t.changed("status", "amount", "charge", "balance_transaction", "failure_balance_transaction", "failure_reason")
}

func (t telling) readRefund(o strictjson.Place) commerce.Refund {
	r := commerce.Refund{
		ID: o.Get("id").Text(), Reference: o.Get("id").Text(), PaymentID: paymentOf(o.Value()), Provider: provider, At: t.at,
		Amount: readAmount(o.Get("amount"), o.Get("currency")), OrderRefs: t.refs(o), Settlement: readTransaction(o.Get("balance_transaction")),
	}
	status := cmp.Or(o.Get("status").Text(), "succeeded") // until 2014 there was no other
	if r.Outcome = outcomes[status]; r.Outcome == "" {
		o.Get("status").Complain("is no state of a refund")
	}
	if !strictjson.PlainID(r.ID) {
		o.Get("id").Complain("is not a usable identifier")
	}
	return r
}

// askRefund reads a refund as it is now, with what it did to the balance.
func (t telling) askRefund(ctx context.Context, a *api, id string, c *commerce.Content) error {
	const op = "stripe.refund"
	o, err := a.get(ctx, call{op: op, path: "/v1/refunds/" + url.PathEscape(id), expand: []string{"balance_transaction", "charge"}})
	if err != nil {
		return err
	}
	content, err := t.refundsIn(op, []strictjson.Place{o})
	if err == nil {
		*c = content
	}
	return err
}

// refundsIn reads refunds that Stripe's API gave. What moves no money is left
// out; what has moved it without a balance transaction yet is waited for.
func (t telling) refundsIn(op string, list []strictjson.Place) (commerce.Content, error) {
	content := commerce.Content{Ignored: "Stripe knows no refund of the charge"}
	for _, o := range list {
		r := t.readRefund(o)
		if problem := o.Problem(); problem != "" {
			return content, unreadable(op, problem)
		}
		switch {
		case reversal(o):
			content.Ignored = neverCaptured
		case r.Outcome == commerce.Succeeded && r.Settlement == nil && o.Get("charge").Value().Kind() == strictjson.Object && untouched(o.Get("charge")):
			content.Ignored = neverCaptured
		case r.Outcome == commerce.Succeeded && r.Settlement == nil:
			return content, fault.New(fault.Unavailable, op, "Stripe does not tell yet what the refund did to the balance")
		default:
			content.Refunds = append(content.Refunds, r)
		}
	}
	if len(content.Refunds) > 0 {
		content.Ignored = ""
	}
	return content, nil
}

// untouched reports whether nothing of a charge was ever captured. One that is
// captured several times counts as captured with the last.
func untouched(charge strictjson.Place) bool {
	taken := charge.Get("amount_captured").Text()
	return !charge.Get("captured").Flag() && (taken == "" || taken == "0")
}

// refundsOf lists all refunds of a charge, with what they did to the balance.
func (a *api) refundsOf(ctx context.Context, op, charge string) ([]strictjson.Place, error) {
	return a.list(ctx, call{op: op, path: "/v1/refunds", query: url.Values{"charge": {charge}}, expand: []string{"data.balance_transaction"}})
}

// refunded reads charge.refunded. Until 2022-11-15 the charge holds its
// refunds; since then they have events of their own, and Stripe can be asked.
func (t telling) refunded() reading {
	o := t.object
	if untouched(o) {
		return none("the authorisation was released: nothing had been captured")
	}
	r := none("the charge does not hold its refunds: refund.created, refund.updated and refund.failed book them")
	uncaptured := t.uncaptured()
	for _, refund := range o.Get("refunds").Get("data").Each() {
		read := t.readRefund(refund)
		read.PaymentID = cmp.Or(paymentOf(o.Value()), o.Get("id").Text()) // the charge knows best what it belongs to
		if uncaptured.Sign() > 0 && read.Amount.Equal(uncaptured) {
			uncaptured, r.Ignored = money.Amount{}, neverCaptured
			continue
		}
		r.Refunds = append(r.Refunds, read)
	}
	if len(r.Refunds) > 0 {
		r.Ignored = ""
	}
	if id := o.Get("id").Text(); strictjson.PlainID(id) {
		r.ask = func(ctx context.Context, a *api, c *commerce.Content) error { return t.askRefunds(ctx, a, id, c) }
	}
	return r
}

// uncaptured is what of a charge was authorised and never captured. Charges
// that hold their refunds hold the release of that among them.
func (t telling) uncaptured() money.Amount {
	o := t.object
	if o.Get("amount_captured").Missing() {
		return money.Amount{}
	}
	return readAmount(o.Get("amount"), o.Get("currency")).Sub(readAmount(o.Get("amount_captured"), o.Get("currency")))
}

func (t telling) askRefunds(ctx context.Context, a *api, charge string, c *commerce.Content) error {
	const op = "stripe.refunds"
	list, err := a.refundsOf(ctx, op, charge)
	if err != nil {
		return err
	}
	content, err := t.refundsIn(op, list)
	if err == nil {
		*c = content
	}
	return err
}

// dispute reads the events of a dispute, which all hold it whole, with every
// movement of money so far.
func (t telling) dispute() reading {
	o := t.object
	evidence := o.Get("evidence_details")
	d := commerce.Dispute{
		ID:        cmp.Or(o.Get("id").Text(), o.Get("charge").Text()), // the oldest versions name none
		PaymentID: paymentOf(o.Value()), Reference: o.Get("id").Text(), Provider: provider, At: t.at,
		Amount: readAmount(o.Get("amount"), o.Get("currency")), Stage: t.stage(), Reason: plain(o.Get("reason").Text()),
		DueBy:     firstTime(created(evidence.Get("due_by").Value()), created(o.Get("evidence_due_by").Value())),
		Movements: movements(o),
	}
	if !strictjson.PlainID(d.ID) {
		o.Get("id").Complain("is not a usable identifier")
	}
	r := reading{Content: commerce.Content{Dispute: &d}}
	if len(d.Movements) == 0 && !warning(o) && strictjson.PlainID(d.Reference) {
		r.ask = func(ctx context.Context, a *api, c *commerce.Content) error { return askDispute(ctx, a, d, c) }
	}
	return r
}

// stage is what the event says has happened.
func (t telling) stage() commerce.DisputeStage {
	switch t.topic {
	case "charge.dispute.created":
		return commerce.DisputeOpened
	case "charge.dispute.funds_withdrawn":
		return commerce.DisputeWithdrawn
	case "charge.dispute.funds_reinstated":
		return commerce.DisputeReinstated
	case "charge.dispute.updated":
		return commerce.DisputeUpdated
	}
	switch t.object.Get("status").Text() {
	case "won":
		return commerce.DisputeWon
	case "lost":
		return commerce.DisputeLost
	default: // a warning that came to nothing
		return commerce.DisputeClosed
	}
}

// warning reports whether a dispute is an early inquiry, which moves no money.
func warning(o strictjson.Place) bool {
	switch o.Get("status").Text() {
	case "warning_needs_response", "warning_under_review", "warning_closed":
		return true
	default:
		return false
	}
}

// movements are what a dispute has done to the balance, each once.
func movements(o strictjson.Place) []commerce.Settlement {
	var list []commerce.Settlement
	for _, transaction := range o.Get("balance_transactions").Each() {
		if s := readTransaction(transaction); s != nil {
			list = append(list, *s)
		}
	}
	return list
}

// askDispute asks for the movements that the event leaves out. A withdrawal
// that Stripe does not list yet is waited for: booked by its amount alone it
// would be booked again once it is listed.
func askDispute(ctx context.Context, a *api, d commerce.Dispute, c *commerce.Content) error {
	const op = "stripe.dispute"
	o, err := a.get(ctx, call{op: op, path: "/v1/disputes/" + url.PathEscape(d.ID)})
	if err != nil {
		return err
	}
	d.Movements = movements(o)
	if problem := o.Problem(); problem != "" {
		return unreadable(op, problem)
	}
	if len(d.Movements) == 0 && (d.Stage == commerce.DisputeWithdrawn || d.Stage == commerce.DisputeReinstated) {
		return fault.New(fault.Unavailable, op, "Stripe does not list the dispute's money yet")
	}
	c.Dispute = &d
	return nil
}

// payout reads the events of a payout, which all hold it as it is now.
func (t telling) payout() reading {
	o := t.object
	p := t.readPayout(o)
	r := reading{Content: commerce.Content{Payout: &p}}
	if p.Outcome == commerce.Succeeded {
		r.ask = func(ctx context.Context, a *api, c *commerce.Content) error { return t.askPayout(ctx, a, p.ID, c) }
	}
	return r
}

func (t telling) readPayout(o strictjson.Place) commerce.Payout {
	p := commerce.Payout{
		ID: o.Get("id").Text(), Reference: o.Get("id").Text(), Provider: provider, At: t.at,
		Amount: readUnits(o.Get("amount"), o.Get("currency")), Outcome: outcomes[o.Get("status").Text()],
	}
	if p.Outcome == "" {
		o.Get("status").Complain("is no state of a payout")
	}
	if !strictjson.PlainID(p.ID) {
		o.Get("id").Complain("is not a usable identifier")
	}
	if s := readTransaction(o.Get("balance_transaction")); s != nil && s.Net.Currency() == p.Amount.Currency() {
		p.Amount, p.Fee = s.Gross.Neg(), s.Fee // what left the balance
	}
	return p
}

// askPayout reads a payout as it is now, with the fee of an instant one.
func (t telling) askPayout(ctx context.Context, a *api, id string, c *commerce.Content) error {
	const op = "stripe.payout"
	o, err := a.get(ctx, call{op: op, path: "/v1/payouts/" + url.PathEscape(id), expand: []string{"balance_transaction"}})
	if err != nil {
		return err
	}
	p := t.readPayout(o)
	if problem := o.Problem(); problem != "" {
		return unreadable(op, problem)
	}
	c.Payout = &p
	return nil
}
