package mapping_test

import (
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

func TestCustomerNames(t *testing.T) {
	tests := []struct {
		name  string
		party commerce.Party
		want  string
	}{
		{"a person", commerce.Party{FirstName: "Ann", LastName: "Lee"}, "Ann Lee"},
		{"a company before the person", commerce.Party{FirstName: "Ann", LastName: "Lee", Company: "Lee & Söhne"}, "Lee & Söhne"},
		{"only an e-mail", commerce.Party{Email: "ann.lee@example.com"}, "ann.lee"},
		{"only an id", commerce.Party{ID: "7"}, "Customer 7"},
		{"angle brackets and control characters", commerce.Party{FirstName: "<b>Ann\x00</b>", LastName: "\tLee\n"}, "bAnn /b Lee"},
		{"nothing but brackets", commerce.Party{FirstName: "<>"}, "Shop"},
		{"the DocType's own name", commerce.Party{FirstName: "customer"}, "Shop customer"},
		{"a reserved beginning", commerce.Party{FirstName: "New", LastName: "Customer 3"}, "Shop New Customer 3"},
		{"the customer group's name", commerce.Party{Company: "individual"}, "Shop individual"},
		{"too long for the Contact made of it", commerce.Party{FirstName: strings.Repeat("é", 80)}, strings.Repeat("é", 59) + "…"},
	}
	for _, tt := range tests {
		if got := books().Customer(tt.party, "key").CustomerName; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What ERPNext would refuse the whole customer for is left out. The e-mails
// were tried on a real site.
func TestCustomerKeepsOnlyWhatERPNextTakes(t *testing.T) {
	for email, taken := range map[string]bool{
		"ann@example.com": true, "o'neil@example.com": true, "UPPER@Example.COM": true, "a.b+c@d-e.co.uk": true, "x_y%z@example.com": true,
		"": false, "ann": false, "ann@localhost": false, "a..b@example.com": false, ".a@example.com": false, "a.@example.com": false,
		"ann@exa_mple.com": false, "ann@example.com ": false, "Ann <ann@example.com>": false,
	} {
		c := books().Customer(commerce.Party{ID: "1", Email: email}, "key")
		if mapping.ValidEmail(email) != taken || (c.EmailID == email && email != "") != taken {
			t.Errorf("%q: taken %v, sent %q, want %v", email, mapping.ValidEmail(email), c.EmailID, taken)
		}
	}
	for phone, taken := range map[string]bool{"+1 503 555-0100": true, "(503) 555.0100 #12": true, "ext. 5": false, "123456789012345678901": false} {
		if c := books().Customer(commerce.Party{ID: "1", Phone: phone}, "key"); (c.MobileNo == phone) != taken {
			t.Errorf("phone %q: sent %q", phone, c.MobileNo)
		}
	}
}

func TestAddressIsSentWholeOrNotAtAll(t *testing.T) {
	whole := commerce.Address{Line1: "1 Way", City: "Bonn", CountryCode: "de", PostalCode: "53113"}
	for name, tt := range map[string]struct {
		change func(*commerce.Address)
		want   string
	}{
		"whole":           {func(*commerce.Address) {}, "Germany"},
		"no street":       {func(a *commerce.Address) { a.Line1 = "" }, ""},
		"no city":         {func(a *commerce.Address) { a.City = "" }, ""},
		"unknown country": {func(a *commerce.Address) { a.CountryCode = "XX" }, ""},
	} {
		a := whole
		tt.change(&a)
		if c := books().Customer(commerce.Party{ID: "1", Address: &a}, "key"); c.Country != tt.want || (c.City != "") != (tt.want != "") {
			t.Errorf("%s: country %q, city %q", name, c.Country, c.City)
		}
	}
}
