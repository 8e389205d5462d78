package paypalsim

import (
	"strconv"

	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// Live makes up a history: a few payments and what becomes of each. Every
// choice is a number below n that the caller draws.
func (s *Sim) Live(choose func(what string, n int) int) {
	for i := range 1 + choose("payments", 3) {
		p := Payment{
			Custom: "ORDER-" + strconv.Itoa(i), Payer: "ada@example.com", Old: choose("a sale", 3) == 0, Bare: choose("the webhook says little", 2) == 0,
		}
		currency := []string{"USD", "USD", "EUR", "GBP", "JPY"}[choose("currency", 5)]
		p.Amount = coins(decimal.New(int64(500+choose("amount", 20_000)), -2), currency)
		if currency == "JPY" {
			p.Amount = money.New(decimal.NewFromInt(int64(500+choose("amount", 20_000))), currency)
		}
		if !p.Old && choose("a platform takes part", 4) == 0 {
			p.Platform = coins(p.Amount.Value().Div(decimal.NewFromInt(20)), currency)
		}
		s.goesOn(s.take(p, choose), choose)
	}
}

func (s *Sim) take(p Payment, choose func(string, int) int) string {
	if choose("pending first", 4) > 0 {
		return s.Pay(p)
	}
	id := s.PayPending(p, "ECHECK")
	if choose("declined", 3) == 0 {
		s.Decline(id)
		return ""
	}
	s.Settle(id)
	return id
}

func (s *Sim) goesOn(id string, choose func(string, int) int) {
	if id == "" {
		return
	}
	for range choose("refunds", 3) {
		left := s.Left(id)
		s.Refund(id, coins(left.Value().Div(decimal.NewFromInt(int64(2+choose("divided by", 3)))), left.Currency()))
	}
	switch choose("then", 5) {
	case 0:
		s.Reverse(id)
	case 1:
		s.Refund(id, s.Left(id))
	case 2:
		d := s.Dispute(id)
		if choose("taken", 3) == 0 {
			return
		}
		s.TakeDisputed(d)
		if decided := choose("decided", 3); decided > 0 {
			s.Resolve(d, decided == 1)
		}
	}
}
