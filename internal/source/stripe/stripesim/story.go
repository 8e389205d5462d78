package stripesim

// Draw picks one of n possibilities, 0 to n-1.
type Draw func(what string, n int) int

// Live lets the account live through a drawn history: payments in several
// currencies and ways, what becomes of each, and payouts. Everything that is
// begun comes to an end. pause is called between any two steps, when webhooks
// may be delivered.
func (s *Sim) Live(draw Draw, pause func()) {
	l := &life{s, draw, pause}
	for range 1 + draw("payments", 3) {
		l.payment()
	}
	for range draw("payouts", 3) {
		l.payout()
	}
}

type life struct {
	*Sim
	draw  Draw
	pause func()
}

// least is the smallest amount that is taken: of less than that nothing is left
// after the fee, and ERPNext has no payment of nothing.
const least = 100

func (s *life) payment() {
	p := Payment{
		Amount: int64(500 + s.draw("amount", 20000)), Currency: s.Currencies[s.draw("currency", len(s.Currencies))], Email: "buyer@example.com",
		Way: []Way{ByIntent, BySession, ByInvoice, BySubscription, ByCharge}[s.draw("way", 5)],
	}
	if s.draw("captures", 5) == 0 {
		s.captures(p)
		return
	}
	charge := s.Pay(p)
	s.pause()
	if s.Late {
		s.Settle(charge)
		s.pause()
	}
	switch s.draw("then", 4) {
	case 0:
		for range 1 + s.draw("refunds", 3) {
			s.refund(charge)
		}
	case 1:
		s.dispute(charge, false)
	case 2:
		s.dispute(charge, true)
		s.refund(charge)
	}
}

func (s *life) captures(p Payment) {
	if s.draw("partial", 2) == 0 {
		s.CapturePart(p, least+int64(s.draw("captured", int(p.Amount)-least)))
		return
	}
	p.Way = ByIntent
	charge := s.Authorize(p)
	s.pause()
	if s.draw("cancelled", 4) == 0 {
		s.Cancel(charge)
		return
	}
	first := least + int64(s.draw("first capture", int(p.Amount)-2*least))
	s.Capture(charge, first, false)
	s.pause()
	s.Capture(charge, p.Amount-first, true)
}

func (s *life) refund(charge string) {
	left := s.Left(charge)
	if left < 1 {
		return
	}
	pending := s.draw("pending", 2) == 0
	id := s.Refund(charge, 1+int64(s.draw("refunded", int(left))), pending)
	s.pause()
	if s.draw("reference", 3) == 0 {
		s.ReferRefund(id)
	}
	switch fails := s.draw("refund fails", 3) == 0; {
	case fails && pending && s.draw("arrives before", 2) == 0:
		s.ArriveRefund(id)
		s.pause()
		s.FailRefund(id)
	case fails:
		s.FailRefund(id)
	case pending:
		s.ArriveRefund(id)
	}
}

func (s *life) dispute(charge string, inquiry bool) {
	id := s.Dispute(charge, inquiry)
	s.pause()
	if inquiry {
		s.Drop(id)
		return
	}
	if s.draw("evidence", 2) == 0 {
		s.Evidence(id)
		s.pause()
	}
	switch s.draw("dispute ends", 3) {
	case 0:
		s.Win(id, s.draw("fee comes back", 2) == 0)
	case 1:
		s.Lose(id)
	}
}

func (s *life) payout() {
	currency := s.Currencies[s.draw("payout currency", 2)]
	units, instant := 1+int64(s.draw("payout amount", 5000)), s.draw("instant", 2) == 0
	if !instant && s.draw("debit", 4) == 0 {
		units = -units // Stripe takes what the balance lacks from the bank
	}
	id := s.Payout(units, currency, instant)
	s.pause()
	switch s.draw("payout ends", 4) {
	case 0:
		s.CancelPayout(id)
	case 1:
		s.Arrive(id)
		s.pause()
		s.FailPayout(id)
	default:
		s.Arrive(id)
	}
}
