package paypal

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// outcomes are the ends of a dispute. A merchant who accepted the claim has
// refunded it, and knows.
var outcomes = map[string]commerce.DisputeStage{
	"RESOLVED_BUYER_FAVOUR":  commerce.DisputeLost,
	"RESOLVED_SELLER_FAVOUR": commerce.DisputeWon,
	"RESOLVED_WITH_PAYOUT":   commerce.DisputeWon, // PayPal paid the buyer itself
	"DENIED":                 commerce.DisputeWon,
}

// Reasons of a dispute's own movements: see the package comment.
var disputeFees = []string{"DISPUTE_FEE", "CHARGEBACK_FEE"}

const (
	settlesDispute = "DISPUTE_SETTLEMENT"
	settlesFee     = "DISPUTE_SETTLEMENT_FEE" // the payment's fee, moved along with the disputed money
)

// readDispute reads how a dispute stands. It tells a person when one is opened,
// when the seller must answer, and how it ended; what comes between is passed
// over, unless it moved money.
func readDispute(r strictjson.Place, at time.Time) commerce.Content {
	d := commerce.Dispute{
		ID: identifier(r.Get("dispute_id")), PaymentID: disputedPayment(r), Provider: provider, At: at, Elsewhere: true,
		Reason: r.Get("reason").Text(), DueBy: r.Get("seller_response_due_date").Time(), Stage: commerce.DisputeOpened,
	}
	d.Reference = d.ID
	if amount := v2.part(r.Get("dispute_amount")); amount != nil {
		d.Amount = *amount
	}
	status := r.Get("status").Text()
	if status == "RESOLVED" {
		d.Stage = commerce.DisputeClosed
		if stage, ok := outcomes[r.Get("dispute_outcome").Get("outcome_code").Text()]; ok {
			d.Stage = stage
		}
	}
	m := readMovements(r, d)
	d.Movements = m.fees
	quiet := d.Stage == commerce.DisputeOpened && status != "OPEN" && status != "WAITING_FOR_SELLER_RESPONSE"
	if quiet && len(d.Movements) == 0 && m.back == nil {
		return commerce.Content{Ignored: "the dispute goes on: nothing to answer, and no money moved by it"}
	}
	return commerce.Content{Dispute: &d, Payment: m.back}
}

// disputedPayment is the first payment that is disputed: PayPal opens a dispute
// for each.
func disputedPayment(r strictjson.Place) string {
	for _, t := range r.Get("disputed_transactions").Each() {
		return t.Get("seller_transaction_id").Text()
	}
	return ""
}

// movements are what of a dispute's money no other event tells.
type movements struct {
	fees []commerce.Settlement
	back *commerce.Payment // disputed money that came back, the fee taken for it deducted
}

func readMovements(r strictjson.Place, d commerce.Dispute) movements {
	var m movements
	var back, fee *money.Amount
	seen := map[string]int{}
	for _, item := range r.Get("money_movements").Each() {
		amount := v2.part(item.Get("amount"))
		if item.Get("affected_party").Text() != "SELLER" || amount == nil {
			continue // the buyer's, or in cryptocurrency
		}
		reason, credit := item.Get("reason").Text(), item.Get("type").Text() == "CREDIT"
		switch {
		case slices.Contains(disputeFees, reason):
			seen[reason]++
			m.fees = append(m.fees, feeOf(reason, seen[reason], *amount, credit))
		case reason == settlesDispute && credit:
			back = once(item, back, amount)
		case reason == settlesFee && !credit:
			fee = once(item, fee, amount)
		}
	}
	switch {
	case back != nil && fee != nil && fee.Currency() != back.Currency():
		r.Get("money_movements").Complain("is in several currencies")
	case back != nil:
		m.back = cameBack(r, d, *back, fee)
	}
	return m
}

// once refuses a second movement of the same kind: without an id of its own,
// it could not be told from the first when the list comes again.
func once(p strictjson.Place, before, now *money.Amount) *money.Amount {
	if before != nil {
		p.Complain("is the second of its kind: book the dispute by hand")
	}
	return now
}

// feeOf is a movement that a fee alone makes. PayPal gives movements no id, so
// each is known by its reason and how many there were before it.
func feeOf(reason string, n int, amount money.Amount, credit bool) commerce.Settlement {
	if credit {
		amount = amount.Neg()
	}
	return commerce.Settlement{
		ID: strings.ToLower(reason) + "-" + strconv.Itoa(n), Gross: money.Zero(amount.Currency()), Fee: amount, Net: amount.Neg(),
	}
}

// cameBack is the payment that undoes a reversal: the customer, whose debt the
// reversal brought back, has paid after all.
func cameBack(r strictjson.Place, d commerce.Dispute, gross money.Amount, charged *money.Amount) *commerce.Payment {
	fee := money.Zero(gross.Currency())
	if charged != nil {
		fee = *charged
	}
	p := commerce.Payment{
		ID: d.ID + "/returned", Reference: d.ID, Provider: provider, Amount: gross, At: d.At,
		Settlement: &commerce.Settlement{ID: d.ID, Gross: gross, Fee: fee, Net: gross.Sub(fee)},
	}
	for _, t := range r.Get("disputed_transactions").Each() {
		for _, name := range []string{"custom", "invoice_number"} {
			if ref := t.Get(name).Text(); ref != "" && !slices.Contains(p.OrderRefs, ref) {
				p.OrderRefs = append(p.OrderRefs, ref)
			}
		}
		if p.PayerEmail == "" {
			p.PayerEmail = t.Get("buyer").Get("email").Text()
		}
	}
	return &p
}
