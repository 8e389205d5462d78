package shopify

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// readParty reads who buys, or nil when the order names nobody: a sale at the
// counter, a draft without a customer, or a shop whose app may not see
// customers (the names are then null). What the customer record does not tell
// is taken from the billing address, then from the delivery address.
func (s *Source) readParty(order strictjson.Place) *commerce.Party {
	customer := order.Get("customer")
	billing, home, delivery := order.Get("billing_address"), customer.Get("default_address"), order.Get("shipping_address")
	party := commerce.Party{
		ID:    customer.Get("id").ID(),
		Email: strings.TrimSpace(cmp.Or(customer.Get("email").Text(), order.Get("email").Text(), order.Get("contact_email").Text())),
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
	party.TaxID, party.CompanyID = s.readTaxID(order), order.Get("company").Get("id").ID()
	party.TaxExempt = customer.Get("tax_exempt").Flag()
	party.Tags, party.Note = readTags(customer.Get("tags").Text()), customer.Get("note").Text()
	party.UpdatedAt = customer.Get("updated_at").Time()
	for _, place := range []strictjson.Place{billing, home, delivery} {
		if party.Address = readAddress(place); party.Address != nil {
			break
		}
	}
	return &party
}

// readTaxID reads the buyer's VAT number: the company's, else what the shop's
// theme noted on the order under one of the configured names, best first.
// Others could be anything.
func (s *Source) readTaxID(order strictjson.Place) string {
	if id := order.Get("company").Get("tax_id").Text(); id != "" {
		return id
	}
	notes := readPairs(order.Get("note_attributes"))
	for _, wanted := range s.taxIDNames {
		for _, name := range slices.Sorted(maps.Keys(notes)) {
			if strings.EqualFold(name, wanted) && notes[name] != "" {
				return notes[name]
			}
		}
	}
	return ""
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
		Name:        cmp.Or(p.Get("name").Text(), strings.TrimSpace(p.Get("first_name").Text()+" "+p.Get("last_name").Text())),
		Company:     p.Get("company").Text(),
		Phone:       p.Get("phone").Text(),
		Line1:       p.Get("address1").Text(),
		Line2:       p.Get("address2").Text(),
		City:        p.Get("city").Text(),
		Region:      p.Get("province").Text(),
		PostalCode:  p.Get("zip").Text(),
		Country:     p.Get("country").Text(),
		CountryCode: p.Get("country_code").Text(),
	}
	if a.Line1+a.Line2+a.City+a.PostalCode+a.Country+a.CountryCode == "" {
		return nil
	}
	return &a
}
