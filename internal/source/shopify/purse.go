package shopify

import (
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// purse reads amounts in one of the two moneys that Shopify writes: the shop's
// own, in plain fields, or what the buyer was shown, in `…_set` beside them.
type purse struct {
	currency string
	buyers   bool
}

// shopsPurse reads the shop's own money.
func shopsPurse(order strictjson.Place) purse {
	return purse{currency: order.Get("currency").Currency()}
}

// buyersPurse reads what the buyer was shown.
func buyersPurse(order strictjson.Place) purse {
	return purse{currency: order.Get("presentment_currency").Currency(), buyers: true}
}

// place is where the amount of a field stands.
func (m purse) place(p strictjson.Place, name string) strictjson.Place {
	if !m.buyers {
		return p.Get(name)
	}
	return m.of(p.Get(name + "_set"))
}

// of is the side of a pair of amounts.
func (m purse) of(set strictjson.Place) strictjson.Place {
	if m.buyers {
		return set.Get("presentment_money").Get("amount")
	}
	return set.Get("shop_money").Get("amount")
}

// amount reads a field that must be there.
func (m purse) amount(p strictjson.Place, name string) money.Amount {
	return m.place(p, name).Amount(m.currency)
}

// optional reads a field that may be absent; then it is nothing.
func (m purse) optional(p strictjson.Place, name string) money.Amount {
	return m.place(p, name).OptionalAmount(m.currency)
}

// set reads a pair of amounts that has no plain field beside it.
func (m purse) set(set strictjson.Place) money.Amount {
	if set.Missing() {
		return money.Zero(m.currency)
	}
	return m.of(set).OptionalAmount(m.currency)
}
