package paypalsim

import "github.com/ledgerhook/ledgerhook/internal/money"

type dispute struct {
	id        string
	of        *payment
	movements []any
}

// chargebackFee is what a lost dispute costs besides.
const chargebackFee = 20

// Dispute opens one over a payment.
func (s *Sim) Dispute(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &dispute{id: s.id("PP-D-"), of: s.payments[id]}
	s.disputes[d.id] = d
	s.tell(d, "CREATED", "OPEN", "")
	return d.id
}

// TakeDisputed reverses the disputed payment while the dispute is decided.
func (s *Sim) TakeDisputed(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.disputes[id]
	s.back(d.of, d.of.Amount.Sub(d.of.gone), "REVERSED")
	d.moved("DEBIT", "DISPUTE_SETTLEMENT", d.of.lastGone)
	s.tell(d, "UPDATED", "UNDER_REVIEW", "")
}

// Resolve ends a dispute whose money was taken. The seller gets back what was
// taken from the balance, in its currency, or pays a fee. Of the second PayPal's
// specification shows the reasons and parties; that a won dispute's money is
// told by no other event is this simulator's assumption.
func (s *Sim) Resolve(id string, forSeller bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.disputes[id]
	taken := d.of.lastGone
	if forSeller {
		d.moved("CREDIT", "DISPUTE_SETTLEMENT", taken)
		s.moves(taken)
		s.tell(d, "RESOLVED", "RESOLVED", "RESOLVED_SELLER_FAVOUR")
		return
	}
	fee := coins(money.FromMinor(chargebackFee, 0, taken.Currency()).Value(), taken.Currency())
	d.moved("DEBIT", "CHARGEBACK_FEE", fee)
	s.moves(fee.Neg())
	s.tell(d, "RESOLVED", "RESOLVED", "RESOLVED_BUYER_FAVOUR")
}

func (d *dispute) moved(direction, reason string, amount money.Amount) {
	d.movements = append(d.movements, object{
		"affected_party": "SELLER", "type": direction, "reason": reason, "amount": newMoney(amount), "initiated_time": now(),
	})
}

func (s *Sim) tell(d *dispute, topic, status, outcome string) {
	doc := object{
		"dispute_id": d.id, "status": status, "reason": "UNAUTHORISED", "dispute_amount": newMoney(d.of.Amount), "create_time": now(), "update_time": now(),
		"disputed_transactions": []any{object{
			"seller_transaction_id": d.of.id, "custom": d.of.Custom, "invoice_number": d.of.Invoice,
			"buyer": object{"email": d.of.Payer}, "seller": object{"merchant_id": s.Merchant},
		}},
		"money_movements": append([]any{}, d.movements...),
	}
	if outcome != "" {
		doc["dispute_outcome"] = object{"outcome_code": outcome}
	}
	s.documents["/v1/customer/disputes/"+d.id] = doc
	s.emit("CUSTOMER.DISPUTE."+topic, "dispute", "", doc)
}
