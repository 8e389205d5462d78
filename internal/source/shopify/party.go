package shopify

import (
	"cmp"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// readParty reads who buys, or nil when the order names nobody: a sale at the
// counter, a draft without a customer, or a shop whose app may not see
// customers (the names are then null). What the customer record does not tell
// is taken from the billing address, then from the delivery address.
func readParty(order strictjson.Place) *commerce.Party {
	customer := order.Get("customer")
	billing, home, delivery := order.Get("billing_address"), customer.Get("default_address"), order.Get("shipping_address")
	party := commerce.Party{
		ID:    customer.Get("id").ID(),
		Email: cmp.Or(customer.Get("email").Text(), order.Get("email").Text(), order.Get("contact_email").Text()),
		Phone: firstText("phone", customer, order, billing, home, delivery),
		Company: cmp.Or(
			order.Get("company").Get("name").Text(),
			firstText("company", billing, home, delivery),
		),
	}
	for _, named := range []strictjson.Place{customer, billing, home, delivery} {
		first, last := named.Get("first_name").Text(), named.Get("last_name").Text()
		if first+last != "" {
			party.FirstName, party.LastName = first, last
			break
		}
	}
	if party.ID+party.Email+party.FirstName+party.LastName+party.Company == "" {
		return nil
	}
	for _, place := range []strictjson.Place{billing, home, delivery} {
		if party.Address = readAddress(place); party.Address != nil {
			break
		}
	}
	return &party
}

func firstText(name string, places ...strictjson.Place) string {
	for _, p := range places {
		if text := p.Get(name).Text(); text != "" {
			return text
		}
	}
	return ""
}

// readAddress reads a postal address, or nil when nothing in it says where.
func readAddress(p strictjson.Place) *commerce.Address {
	a := commerce.Address{
		Line1:       p.Get("address1").Text(),
		Line2:       p.Get("address2").Text(),
		City:        p.Get("city").Text(),
		Region:      p.Get("province").Text(),
		PostalCode:  p.Get("zip").Text(),
		Country:     p.Get("country").Text(),
		CountryCode: p.Get("country_code").Text(),
	}
	if a == (commerce.Address{}) {
		return nil
	}
	return &a
}
