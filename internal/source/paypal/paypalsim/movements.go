package paypalsim

import (
	"maps"

	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// Payment is what a buyer pays.
type Payment struct {
	Amount   money.Amount
	Platform money.Amount // a platform's fee, in the same currency
	Custom   string
	Invoice  string
	Payer    string // e-mail address

	Old  bool // a sale of the first generation, as subscriptions make
	Bare bool // the webhook lacks the breakdown, the references and the payee, which the API has
}

type payment struct {
	Payment
	id       string
	path     string
	fee, net money.Amount
	received money.Amount // net, in the currency of the balance
	gone     money.Amount // refunded or reversed so far
	lastGone money.Amount // what that took from the balance the last time
}

// PayPal's fee of the simulator: 2.99 % and a fixed amount.
var (
	share = decimal.RequireFromString("0.0299")
	fixed = map[string]decimal.Decimal{"JPY": decimal.NewFromInt(40)}
	half  = decimal.RequireFromString("0.49")
)

func feeOf(gross money.Amount) money.Amount {
	flat, ok := fixed[gross.Currency()]
	if !ok {
		flat = half
	}
	return coins(gross.Value().Mul(share).Add(flat), gross.Currency())
}

// rate is what the balance takes for one unit, and whether it converts.
func (s *Sim) rate(currency string) (decimal.Decimal, bool) {
	if currency == s.Currency || s.Holds[currency] {
		return decimal.NewFromInt(1), false
	}
	return s.Rates[currency], true
}

func (s *Sim) inBalance(a money.Amount, rate decimal.Decimal, converts bool) money.Amount {
	if !converts {
		return a
	}
	return coins(a.Value().Mul(rate), s.Currency)
}

func (s *Sim) moves(a money.Amount) {
	s.balance[a.Currency()] = s.balance[a.Currency()].Add(a.Value())
}

// Pay takes a payment and gives its id: a capture's, or a sale's.
func (s *Sim) Pay(p Payment) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := s.begin(p)
	s.arrive(made)
	return made.id
}

// PayPending takes a payment that is not money yet, for PayPal's reason.
func (s *Sim) PayPending(p Payment, reason string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := s.begin(p)
	if p.Old {
		s.documents[made.path] = made.sale("pending", object{"reason_code": reason})
		s.emit("PAYMENT.SALE.PENDING", "sale", "", s.documents[made.path])
		return made.id
	}
	s.documents[made.path] = s.capture(made, "PENDING", object{"status_details": object{"reason": reason}})
	s.emit("PAYMENT.CAPTURE.PENDING", "capture", "2.0", s.documents[made.path])
	return made.id
}

// Settle lets a pending payment arrive.
func (s *Sim) Settle(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrive(s.payments[id])
}

// Decline ends a pending payment.
func (s *Sim) Decline(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.payments[id]
	if p.Old {
		s.documents[p.path] = p.sale("denied", nil)
		s.emit("PAYMENT.SALE.DENIED", "sale", "", s.documents[p.path])
		return
	}
	s.documents[p.path] = s.capture(p, "DECLINED", nil)
	s.emit("PAYMENT.CAPTURE.DENIED", "capture", "2.0", s.documents[p.path])
}

// begin notes a payment, with the order or payment it belongs to.
func (s *Sim) begin(p Payment) *payment {
	made := &payment{Payment: p, id: s.id("CAP"), gone: money.Zero(p.Amount.Currency())}
	if p.Platform.Currency() == "" {
		made.Platform = money.Zero(p.Amount.Currency())
	}
	made.fee = feeOf(p.Amount)
	made.net = p.Amount.Sub(made.fee).Sub(made.Platform)
	s.payments[made.id] = made
	references := object{}
	if p.Old {
		made.path = "/v1/payments/sale/" + made.id
		note(references, "custom", p.Custom, "invoice_number", p.Invoice)
		s.documents["/v1/payments/payment/PAY-"+made.id] = object{
			"id": "PAY-" + made.id, "payer": object{"payer_info": object{"email": p.Payer}}, "transactions": []any{references},
		}
		return made
	}
	made.path = "/v2/payments/captures/" + made.id
	note(references, "custom_id", p.Custom, "invoice_id", p.Invoice)
	s.documents["/v2/checkout/orders/ORD-"+made.id] = object{
		"id": "ORD-" + made.id, "status": "APPROVED", "payer": object{"email_address": p.Payer}, "purchase_units": []any{references},
	}
	s.emit("CHECKOUT.ORDER.APPROVED", "checkout-order", "2.0", s.documents["/v2/checkout/orders/ORD-"+made.id])
	return made
}

func note(o object, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			o[pairs[i]] = pairs[i+1]
		}
	}
}

// arrive credits a payment and tells of it.
func (s *Sim) arrive(p *payment) {
	rate, converts := s.rate(p.Amount.Currency())
	p.received = s.inBalance(p.net, rate, converts)
	s.moves(p.received)
	if p.Old {
		more := object{"transaction_fee": oldMoney(p.fee)}
		if converts {
			more["receivable_amount"], more["exchange_rate"] = oldMoney(p.received), rate.String()
		}
		s.documents[p.path] = p.sale("completed", more)
		told := maps.Clone(s.documents[p.path])
		note(told, "custom", p.Custom, "invoice_number", p.Invoice)
		s.emit("PAYMENT.SALE.COMPLETED", "sale", "", told, p.missing("transaction_fee", "receivable_amount", "exchange_rate", "custom", "invoice_number")...)
		return
	}
	breakdown := object{"gross_amount": newMoney(p.Amount), "paypal_fee": newMoney(p.fee), "net_amount": newMoney(p.net)}
	if p.Platform.Sign() > 0 {
		breakdown["platform_fees"] = []any{object{"amount": newMoney(p.Platform), "payee": object{"merchant_id": "PLATFORM"}}}
	}
	if converts {
		breakdown["receivable_amount"] = newMoney(p.received)
		breakdown["exchange_rate"] = object{"source_currency": p.Amount.Currency(), "target_currency": s.Currency, "value": rate.String()}
	}
	s.documents[p.path] = s.capture(p, "COMPLETED", object{"seller_receivable_breakdown": breakdown})
	s.emit("PAYMENT.CAPTURE.COMPLETED", "capture", "2.0", s.documents[p.path], p.missing("seller_receivable_breakdown", "custom_id", "invoice_id", "payee")...)
	s.emit("CHECKOUT.ORDER.COMPLETED", "checkout-order", "2.0", s.documents["/v2/checkout/orders/ORD-"+p.id])
}

func (p *payment) missing(names ...string) []string {
	if p.Bare {
		return names
	}
	return nil
}

func (s *Sim) capture(p *payment, status string, more object) object {
	doc := object{
		"id": p.id, "status": status, "amount": newMoney(p.Amount), "final_capture": true, "create_time": now(), "update_time": now(),
		"payee": object{"merchant_id": s.Merchant}, "supplementary_data": object{"related_ids": object{"order_id": "ORD-" + p.id}},
		"links": []any{link("self", p.path), link("refund", p.path+"/refund"), link("up", "/v2/checkout/orders/ORD-"+p.id)},
	}
	note(doc, "custom_id", p.Custom, "invoice_id", p.Invoice)
	maps.Copy(doc, more)
	return doc
}

// sale is the API's: that has the references with the payment, not the sale.
func (p *payment) sale(state string, more object) object {
	doc := object{
		"id": p.id, "state": state, "amount": oldTotal(p.Amount), "payment_mode": "INSTANT_TRANSFER", "parent_payment": "PAY-" + p.id,
		"create_time": now(), "update_time": now(),
		"links": []any{link("self", p.path), link("parent_payment", "/v1/payments/payment/PAY-"+p.id)},
	}
	maps.Copy(doc, more)
	return doc
}

// Left is what of a payment can still go back.
func (s *Sim) Left(id string) money.Amount {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.payments[id]
	return p.Amount.Sub(p.gone)
}

// Refund gives part of a payment back, by the merchant's decision.
func (s *Sim) Refund(id string, amount money.Amount) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back(s.payments[id], amount, "REFUNDED")
}

// Reverse takes all that is left of a payment, by PayPal's decision.
func (s *Sim) Reverse(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.payments[id]
	return s.back(p, p.Amount.Sub(p.gone), "REVERSED")
}

// worse is how much dearer PayPal converts when money goes back.
var worse = decimal.RequireFromString("1.02")

func (s *Sim) back(p *payment, amount money.Amount, how string) string {
	id := s.id("REF")
	p.gone = p.gone.Add(amount)
	fee := money.Zero(amount.Currency())
	if s.ReturnsFees {
		fee = coins(p.fee.Value().Mul(amount.Value()).Div(p.Amount.Value()), amount.Currency())
	}
	net := amount.Sub(fee)
	rate, converts := s.rate(amount.Currency())
	taken := s.inBalance(net, rate.Mul(worse), converts)
	s.moves(taken.Neg())
	p.lastGone = taken
	if p.Old {
		s.backOld(p, id, how, amount, fee, taken)
		return id
	}
	breakdown := object{"gross_amount": newMoney(amount), "paypal_fee": newMoney(fee), "net_amount": newMoney(net), "total_refunded_amount": newMoney(p.gone)}
	if converts {
		breakdown["net_amount_in_receivable_currency"] = newMoney(taken)
	}
	path := "/v2/payments/refunds/" + id
	doc := object{
		"id": id, "status": "COMPLETED", "amount": newMoney(amount), "seller_payable_breakdown": breakdown, "payer": object{"merchant_id": s.Merchant},
		"create_time": now(), "update_time": now(), "links": []any{link("self", path), link("up", p.path)},
	}
	note(doc, "custom_id", p.Custom, "invoice_id", p.Invoice)
	s.documents[path] = doc
	s.documents[p.path]["status"] = map[bool]string{true: "REFUNDED", false: "PARTIALLY_REFUNDED"}[p.gone.Equal(p.Amount)]
	s.emit("PAYMENT.CAPTURE."+how, "refund", "2.0", doc, p.missing("seller_payable_breakdown", "custom_id", "invoice_id", "payer")...)
	return id
}

// backOld writes a sale's refund: negative in the webhook, positive in the API;
// a reversal's webhook does not say of what.
func (s *Sim) backOld(p *payment, id, how string, amount, fee, taken money.Amount) {
	path := "/v1/payments/refund/" + id
	doc := object{
		"id": id, "state": "completed", "amount": oldTotal(amount), "sale_id": p.id, "parent_payment": "PAY-" + p.id,
		"refund_from_received_amount": oldMoney(taken), "refund_from_transaction_fee": oldMoney(fee), "total_refunded_amount": oldMoney(p.gone),
		"create_time": now(), "update_time": now(), "links": []any{link("self", path)},
	}
	s.documents[path] = doc
	s.documents[p.path]["state"] = map[bool]string{true: "refunded", false: "partially_refunded"}[p.gone.Equal(p.Amount)]
	told := maps.Clone(doc)
	told["amount"] = oldTotal(amount.Neg())
	missing := p.missing("refund_from_received_amount", "refund_from_transaction_fee", "total_refunded_amount")
	if how == "REVERSED" {
		missing = append(missing, "sale_id", "parent_payment")
	}
	s.emit("PAYMENT.SALE."+how, "sale", "", told, missing...)
}
