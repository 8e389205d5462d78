package stripesim

// Draw picks one of n possibilities, 0 to n-1.
type Draw func(what string, n int) int

// Live lets the account live through a drawn history: payments in several
// currencies and ways, what becomes of each, and payouts. Everything that is
// begun comes to an end.
func (s *Sim) Live(draw Draw) {
	for range 1 + draw("payments", 3) {
		s.livePayment(draw)
	}
	for range draw("payouts", 3) {
		s.livePayout(draw)
	}
}

// least is the smallest amount that is taken: of less than that nothing is left
// after the fee, and ERPNext has no payment of nothing.
const least = 100

var currencies = []string{"usd", "eur", "gbp", "jpy"}

func (s *Sim) livePayment(draw Draw) {
	p := Payment{
		Amount: int64(500 + draw("amount", 20000)), Currency: currencies[draw("currency", len(currencies))], Email: "buyer@example.com",
		Way: []Way{ByIntent, BySession, ByInvoice, ByCharge}[draw("way", 4)],
	}
	if draw("captures", 5) == 0 {
		s.liveCaptures(draw, p)
		return
	}
	charge := s.Pay(p)
	switch draw("then", 4) {
	case 0:
		for range 1 + draw("refunds", 3) {
			s.liveRefund(draw, charge)
		}
	case 1:
		s.liveDispute(draw, charge)
	case 2:
		s.liveDispute(func(what string, n int) int { // an inquiry
			if what == "inquiry" {
				return 0
			}
			return draw(what, n)
		}, charge)
		s.liveRefund(draw, charge)
	}
}

func (s *Sim) liveCaptures(draw Draw, p Payment) {
	if draw("partial", 2) == 0 {
		s.CapturePart(p, least+int64(draw("captured", int(p.Amount)-least)))
		return
	}
	p.Way = ByIntent
	charge := s.Authorize(p)
	first := least + int64(draw("first capture", int(p.Amount)-2*least))
	s.Capture(charge, first, false)
	s.Capture(charge, p.Amount-first, true)
}

func (s *Sim) liveRefund(draw Draw, charge string) {
	left := s.Left(charge)
	if left < 1 {
		return
	}
	pending := draw("pending", 2) == 0
	id := s.Refund(charge, 1+int64(draw("refunded", int(left))), pending)
	if draw("reference", 3) == 0 {
		s.ReferRefund(id)
	}
	switch fails := draw("refund fails", 3) == 0; {
	case fails && pending && draw("arrives before", 2) == 0:
		s.ArriveRefund(id)
		s.FailRefund(id)
	case fails:
		s.FailRefund(id)
	case pending:
		s.ArriveRefund(id)
	}
}

func (s *Sim) liveDispute(draw Draw, charge string) {
	inquiry := draw("inquiry", 4) == 0
	id := s.Dispute(charge, inquiry)
	if inquiry {
		s.Drop(id)
		return
	}
	if draw("evidence", 2) == 0 {
		s.Evidence(id)
	}
	switch draw("dispute ends", 3) {
	case 0:
		s.Win(id, draw("fee comes back", 2) == 0)
	case 1:
		s.Lose(id)
	}
}

func (s *Sim) livePayout(draw Draw) {
	currency := currencies[draw("payout currency", 2)]
	id := s.Payout(1+int64(draw("payout amount", 5000)), currency, draw("instant", 2) == 0)
	switch draw("payout ends", 4) {
	case 0:
		s.CancelPayout(id)
	case 1:
		s.Arrive(id)
		s.FailPayout(id)
	default:
		s.Arrive(id)
	}
}
