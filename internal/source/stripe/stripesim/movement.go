package stripesim

import "maps"

// Authorize holds an amount on a card that may be captured several times, and
// gives the charge's id.
func (s *Sim) Authorize(p Payment) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	charge := s.authorize(p, false)
	charge["payment_method_details"].(object)["card"].(object)["multicapture"] = object{"status": "available"}
	intent := s.objects[text(charge["payment_intent"])]
	intent["capture_method"], intent["payment_method_options"] = "manual", object{"card": object{"request_multicapture": "if_available"}}
	s.emit("charge.succeeded", s.chargeView(charge), nil)
	return charge["id"].(string)
}

// Capture takes a part of what Authorize held; the last one ends it.
func (s *Sim) Capture(id string, units int64, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.capture(id, units, last, s.captured(id, units))
}

// CaptureLate is a Capture whose balance transaction is told afterwards, by an
// update of its own.
func (s *Sim) CaptureLate(id string, units int64, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	transaction := s.captured(id, units)
	s.capture(id, units, last, nil)
	charge := s.objects[id]
	charge["balance_transaction"] = transaction
	s.emit("charge.updated", s.chargeView(charge), object{"balance_transaction": nil})
}

// captured moves a capture's money and gives its balance transaction.
func (s *Sim) captured(id string, units int64) any {
	amount, currency, rate := s.settled(units, s.objects[id]["currency"].(string))
	return s.move("charge", "charge", id, currency, amount, fee(amount, rate != nil), rate)
}

func (s *Sim) capture(id string, units int64, last bool, transaction any) {
	charge := s.objects[id]
	before := object{"amount_captured": charge["amount_captured"], "balance_transaction": charge["balance_transaction"]}
	charge["amount_captured"] = charge["amount_captured"].(int64) + units
	charge["balance_transaction"] = transaction
	if !last {
		s.emit("charge.updated", s.chargeView(charge), before)
		return
	}
	before["captured"], charge["captured"] = false, true
	s.emit("charge.captured", s.chargeView(charge), before)
	intent := s.objects[text(charge["payment_intent"])]
	intent["status"], intent["amount_received"] = "succeeded", charge["amount_captured"]
	s.emit("payment_intent.succeeded", s.intentView(intent, charge), nil)
}

// CapturePart captures less than was authorised, the only time. Until basil the
// balance gets it all and gives the rest back as a refund of its own kind.
func (s *Sim) CapturePart(p Payment, units int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	charge := s.authorize(p, false)
	s.emit("charge.succeeded", s.chargeView(charge), nil)
	before := object{"amount_captured": int64(0), "captured": false}
	charge["captured"], charge["amount_captured"] = true, units
	id, currency := charge["id"].(string), charge["currency"].(string)
	if s.Version == Basil {
		s.book(charge)
	} else {
		amount, to, rate := s.settled(p.Amount, currency)
		back, _, _ := s.settled(p.Amount-units, currency)
		whole := fee(amount, rate != nil)
		charge["balance_transaction"] = s.move("charge", "charge", id, to, amount, whole, rate)
		r := s.add("refund", "re", object{
			"amount": p.Amount - units, "charge": id, "payment_intent": charge["payment_intent"], "currency": currency, "status": "succeeded", "reason": nil,
		})
		r["balance_transaction"] = s.move("refund", "partial_capture_reversal", text(r["id"]), to, -back, fee(amount-back, rate != nil)-whole, rate)
		charge["amount_refunded"] = p.Amount - units
		s.emit("charge.refunded", s.chargeView(charge), object{"amount_refunded": 0})
	}
	s.emit("charge.captured", s.chargeView(charge), before)
	if intent, ok := s.objects[text(charge["payment_intent"])]; ok {
		intent["status"], intent["amount_received"] = "succeeded", units
		s.emit("payment_intent.succeeded", s.intentView(intent, charge), nil)
	}
	return id
}

// Cancel gives up what Authorize held. Until basil that is told as a refund.
func (s *Sim) Cancel(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	charge := s.objects[id]
	if s.Version == Basil {
		s.emit("charge.expired", s.chargeView(charge), nil)
		return
	}
	r := s.add("refund", "re", object{
		"amount": charge["amount"], "charge": id, "payment_intent": charge["payment_intent"], "currency": charge["currency"], "status": "succeeded", "reason": nil, "balance_transaction": nil,
	})
	charge["amount_refunded"], charge["refunded"] = charge["amount"], true
	s.emit("refund.created", r, nil)
	s.emit("charge.refunded", s.chargeView(charge), object{"amount_refunded": 0, "refunded": false})
}

// Left is how much of a charge is neither refunded nor disputed.
func (s *Sim) Left(charge string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.objects[charge]
	if c["disputed"] == true {
		return 0
	}
	return c["amount_captured"].(int64) - c["amount_refunded"].(int64)
}

// Refund gives money back and gives the refund's id. A pending one is decided
// later, but leaves the balance at once.
func (s *Sim) Refund(chargeID string, units int64, pending bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	charge := s.objects[chargeID]
	status := "succeeded"
	if pending {
		status = "pending"
	}
	r := s.add("refund", "re", object{
		"amount": units, "charge": chargeID, "payment_intent": charge["payment_intent"], "currency": charge["currency"], "status": status, "reason": "requested_by_customer",
		"failure_balance_transaction": nil,
	})
	amount, currency, rate := s.settled(units, charge["currency"].(string))
	r["balance_transaction"] = s.move("refund", "refund", text(r["id"]), currency, -amount, 0, rate)
	before := object{"amount_refunded": charge["amount_refunded"]}
	charge["amount_refunded"] = charge["amount_refunded"].(int64) + units
	charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
	s.emit("refund.created", r, nil)
	s.emit("charge.refunded", s.chargeView(charge), before)
	return text(r["id"])
}

// ArriveRefund lets a pending refund succeed.
func (s *Sim) ArriveRefund(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updateRefund(id, "succeeded", "refund.updated", "charge.refund.updated")
}

// FailRefund gives the money of a refund back to the balance.
func (s *Sim) FailRefund(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.objects[id]
	t := s.objects[text(r["balance_transaction"])]
	r["failure_balance_transaction"] = s.move("refund_failure", "refund_failure", id, t["currency"].(string), -t["amount"].(int64), 0, t["exchange_rate"])
	charge := s.objects[text(r["charge"])]
	charge["amount_refunded"] = charge["amount_refunded"].(int64) - r["amount"].(int64)
	s.updateRefund(id, "failed", "refund.failed", "refund.updated", "charge.refund.updated")
}

// ReferRefund tells of a refund what moves no money: the network's reference.
func (s *Sim) ReferRefund(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[id]["destination_details"] = object{"type": "card", "card": object{"reference": "7693739506885588", "reference_status": "available"}}
	s.emit("charge.refund.updated", s.objects[id], object{"destination_details": object{"card": object{"reference": nil, "reference_status": "pending"}}})
}

func (s *Sim) updateRefund(id, status string, topics ...string) {
	r := s.objects[id]
	before := object{"status": r["status"]}
	r["status"] = status
	for _, topic := range topics {
		s.emit(topic, r, before)
	}
}

const disputeFee = 1500

// Dispute takes a whole charge back and gives the dispute's id. An inquiry
// takes nothing.
func (s *Sim) Dispute(chargeID string, inquiry bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	charge := s.objects[chargeID]
	d := s.add("dispute", "dp", object{
		"amount": charge["amount_captured"], "charge": chargeID, "payment_intent": charge["payment_intent"], "currency": charge["currency"],
		"reason": "fraudulent", "status": "needs_response", "balance_transactions": []any{}, "evidence_details": object{"due_by": s.Created + 864000},
	})
	if inquiry {
		d["status"] = "warning_needs_response"
		s.emit("charge.dispute.created", d, nil)
		return text(d["id"])
	}
	charge["disputed"] = true
	s.emit("charge.dispute.created", maps.Clone(d), nil) // the money follows
	amount, currency, rate := s.settled(d["amount"].(int64), d["currency"].(string))
	s.moveDispute(d, currency, -amount, disputeFee, rate)
	s.emit("charge.dispute.funds_withdrawn", d, nil)
	return text(d["id"])
}

func (s *Sim) moveDispute(d object, currency string, amount, fee int64, rate any) {
	category := "dispute"
	if amount > 0 {
		category = "dispute_reversal"
	}
	id := s.move("adjustment", category, text(d["id"]), currency, amount, fee, rate)
	d["balance_transactions"] = append([]any{}, append(d["balance_transactions"].([]any), maps.Clone(s.objects[id]))...)
}

// Win decides a dispute for the merchant: the money comes back, and the fee of
// some.
func (s *Sim) Win(id string, feeBack bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.objects[id]
	taken := d["balance_transactions"].([]any)[0].(object)
	var back int64
	if feeBack {
		back = -disputeFee
	}
	d["status"] = "won"
	s.moveDispute(d, text(taken["currency"]), -taken["amount"].(int64), back, taken["exchange_rate"])
	s.emit("charge.dispute.funds_reinstated", d, nil)
	s.emit("charge.dispute.closed", d, object{"status": "under_review"})
}

// Lose decides a dispute for the buyer.
func (s *Sim) Lose(id string) { s.close(id, "lost") }

// Drop ends an inquiry.
func (s *Sim) Drop(id string) { s.close(id, "warning_closed") }

// Evidence hands evidence in, which moves no money.
func (s *Sim) Evidence(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.objects[id]
	before := object{"status": d["status"]}
	d["status"] = "under_review"
	s.emit("charge.dispute.updated", d, before)
}

func (s *Sim) close(id, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.objects[id]
	before := object{"status": d["status"]}
	d["status"] = status
	s.emit("charge.dispute.closed", d, before)
}

// Payout sends money to the bank and gives the payout's id. An instant one
// costs a hundredth; one of less than nothing takes from the bank.
func (s *Sim) Payout(units int64, currency string, instant bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.add("payout", "po", object{
		"amount": units, "currency": currency, "status": "in_transit", "method": "standard", "automatic": !instant, "arrival_date": s.Created + 86400, "failure_balance_transaction": nil,
	})
	var cost int64
	if instant {
		p["method"], cost = "instant", (units+50)/100
	}
	p["balance_transaction"] = s.move("payout", "payout", text(p["id"]), currency, -units, cost, nil)
	s.emit("payout.created", p, nil)
	return text(p["id"])
}

// Arrive lets a payout reach the bank.
func (s *Sim) Arrive(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[id]["status"] = "paid"
	s.emit("payout.paid", s.objects[id], nil)
	s.emit("payout.reconciliation_completed", s.objects[id], nil)
}

// FailPayout sends a payout back, which may have been called paid before.
func (s *Sim) FailPayout(id string) { s.undoPayout(id, "failed") }

// CancelPayout stops a payout that has not left.
func (s *Sim) CancelPayout(id string) { s.undoPayout(id, "canceled") }

func (s *Sim) undoPayout(id, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.objects[id]
	t := s.objects[text(p["balance_transaction"])]
	p["failure_balance_transaction"] = s.move("payout_failure", "payout_reversal", id, text(p["currency"]), -t["amount"].(int64), -t["fee"].(int64), nil)
	p["status"] = status
	s.emit("payout."+status, p, nil)
}
