package paypal

import (
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// account is how PayPal names a seller.
type account struct{ id, email string }

// merchantsOf finds the sellers that an event or an answer names: the payee of
// a payment, the payer of a refund, whoever sold what is disputed.
func merchantsOf(topic string, r strictjson.Place) []account {
	var places []strictjson.Place
	switch {
	case strings.HasPrefix(topic, "CUSTOMER.DISPUTE."):
		for _, t := range r.Get("disputed_transactions").Each() {
			places = append(places, t.Get("seller"))
		}
	case topic == captureCompleted, topic == saleCompleted:
		places = append(places, r.Get("payee"))
	default:
		places = append(places, r.Get("payer"), r.Get("payee"))
	}
	var found []account
	for _, p := range places {
		a := account{id: p.Get("merchant_id").Text(), email: p.Get("email_address").Text()}
		if a.email == "" {
			a.email = p.Get("email").Text() // of a disputed transaction
		}
		found = append(found, a)
	}
	return found
}

// isMine reports whether none of the named sellers is another than ours. What
// is not named contradicts nothing.
func (s *Source) isMine(named []account) bool {
	for _, a := range named {
		name := a.id
		if strings.Contains(s.merchant, "@") {
			name = a.email
		}
		if s.merchant != "" && name != "" && !strings.EqualFold(name, s.merchant) {
			return false
		}
	}
	return true
}

func foreign(op string) *fault.Error {
	return &fault.Error{
		Kind: fault.Unmapped, Op: op, Cause: "the event is of another PayPal merchant than the source is for",
		Hint: "correct the source's merchant in the mapping sheet, or give that merchant a source and a webhook of its own; then replay or dismiss",
	}
}
