package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

// Customer maps a party to a new Customer with our key. An e-mail or phone
// that ERPNext would refuse is left out rather than refusing the customer, and
// an address is sent only whole.
func (b Books) Customer(p commerce.Party, key string) erpnext.Customer {
	c := erpnext.Customer{
		CustomerName: b.customerName(p), CustomerType: "Individual",
		CustomerGroup: b.CustomerGroup, Territory: b.Territory,
		DefaultPriceList: b.Customers.PriceList, TaxCategory: b.Customers.TaxCategory,
		FirstName: cut(p.FirstName, maxName), LastName: cut(p.LastName, maxName), TaxID: cut(p.TaxID, maxText),
		Key: key,
	}
	if p.Company != "" {
		c.CustomerType = "Company"
	}
	if ValidEmail(p.Email) {
		c.EmailID = p.Email
	}
	if validPhone(p.Phone) {
		c.MobileNo = p.Phone
	}
	b.addAddress(&c, p.Address)
	return c
}

// CustomerFields are the further fields that the sheet asks for.
func (b Books) CustomerFields(p commerce.Party) (erpnext.Extra, error) {
	if b.Extra.Customer == nil {
		return nil, nil
	}
	values, err := b.Extra.Customer(p)
	return b.fields(values), err
}

// Cleaned tells what of a party ERPNext would refuse and is therefore left out,
// without saying what it is.
func Cleaned(p *commerce.Party) []string {
	var notes []string
	if p == nil {
		return nil
	}
	if p.Email != "" && !ValidEmail(p.Email) {
		notes = append(notes, "an e-mail address that is none was left out")
	}
	if p.Phone != "" && !validPhone(p.Phone) {
		notes = append(notes, "a phone number that ERPNext refuses was left out")
	}
	return notes
}

// AddressDigest is the same for addresses that read alike, whatever their
// case and blanks.
func AddressDigest(a commerce.Address) string {
	fields := []string{a.Name, a.Company, a.Line1, a.Line2, a.City, a.Region, a.PostalCode, a.CountryCode}
	for i, field := range fields {
		fields[i] = strings.Join(strings.Fields(strings.ToLower(field)), " ")
	}
	sum := sha256.Sum256([]byte(strings.Join(fields, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// Address maps a postal address of a customer to a new Address, and false when
// ERPNext needs more than there is: a first line, a city and a country it knows.
func (b Books) Address(a commerce.Address, customer, kind, key string) (erpnext.Address, bool) {
	if !b.whole(a) {
		return erpnext.Address{}, false
	}
	doc := erpnext.Address{
		AddressTitle: cut(firstOf(a.Company, a.Name, customer), maxName), AddressType: kind,
		AddressLine1: cut(a.Line1, maxText), AddressLine2: cut(a.Line2, maxText), City: cut(a.City, maxText), State: cut(a.Region, maxText),
		Pincode: cut(a.PostalCode, maxText), Country: b.country(a), Key: key,
		Links: []erpnext.DynamicLink{{LinkDoctype: erpnext.DocCustomer, LinkName: customer}},
	}
	if validPhone(a.Phone) {
		doc.Phone = a.Phone
	}
	return doc, true
}

// maxName bounds a customer's name: the Contact that ERPNext makes with it is
// called by the name twice, and numbered.
const maxName = 60

// customerName is the company's, the person's or, of neither, the mailbox's
// name, without the characters that ERPNext refuses in a name.
func (b Books) customerName(p commerce.Party) string {
	mailbox, _, _ := strings.Cut(p.Email, "@")
	name := firstOf(p.Company, strings.TrimSpace(p.FirstName+" "+p.LastName), mailbox, "Customer "+p.ID)
	name = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, name)
	name = cut(strings.Join(strings.Fields(name), " "), maxName)
	// These names are taken by ERPNext itself (frappe/model/naming.py, customer.py).
	if name == "" || strings.EqualFold(name, "customer") || strings.HasPrefix(strings.ToLower(name), "new customer") ||
		strings.EqualFold(name, b.CustomerGroup) {
		return strings.TrimSpace("Shop " + name)
	}
	return name
}

func (b Books) addAddress(c *erpnext.Customer, a *commerce.Address) {
	if a == nil || !b.whole(*a) {
		return // ERPNext makes no address of less
	}
	c.AddressLine1, c.AddressLine2 = cut(a.Line1, maxText), cut(a.Line2, maxText)
	c.City, c.State, c.Pincode, c.Country = cut(a.City, maxText), cut(a.Region, maxText), cut(a.PostalCode, maxText), b.country(*a)
}

// country is ERPNext's name of an address's country, or "".
func (b Books) country(a commerce.Address) string { return b.Countries[strings.ToUpper(a.CountryCode)] }

// whole reports whether an address has what ERPNext asks of one.
func (b Books) whole(a commerce.Address) bool {
	return a.Line1 != "" && a.City != "" && b.country(a) != ""
}

var (
	emailForm = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+)*@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$`)
	phoneForm = regexp.MustCompile(`^[0-9 +_\-,.*#()]{1,20}$`) // frappe/utils: validate_phone_number
)

// ValidEmail reports whether ERPNext takes the text as an e-mail address.
func ValidEmail(text string) bool { return len(text) <= maxText && emailForm.MatchString(text) }

func validPhone(text string) bool { return phoneForm.MatchString(text) }
