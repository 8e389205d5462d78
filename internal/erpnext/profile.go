package erpnext

import (
	"context"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// DefaultFallbackItem is the code of the non-stock item for order lines that
// have no item of their own, unless another is named.
const DefaultFallbackItem = "SHOP-LINE"

// defaultPrecision is what a site keeps of an amount unless it says otherwise.
const defaultPrecision = 2

// Wanted names the records that the operator chose; "" = find one.
type Wanted struct {
	Company         string
	PriceList       string
	CostCenter      string
	Warehouse       string // doctor alone looks at it
	FallbackItem    string
	RoundOffAccount string
	ShippingAccount string
	TaxAccount      string
}

// Profile is what documents need to know of a site: one company's records, as
// named or as found. A record that the site does not have is "".
type Profile struct {
	Company           string
	Currency          string // the company's
	Country           string
	CostCenter        string
	PriceList         string
	CustomerGroup     string
	Territory         string
	FallbackItem      string
	ReceivableAccount string
	RoundOffAccount   string
	ExchangeAccount   string // what conversions gain or lose
	ShippingAccount   string
	TaxAccount        string
	IncomeAccount     string
	BankAccount       string // the company's default bank account, else its default cash account
	Precision         int32  // decimals of amounts
	Location          *time.Location
	Countries         map[string]string // ERPNext's name by upper-case ISO code; nil when they may not be read
}

// Discover finds the records to work with. Several companies, or none, are
// fault.Unmapped: the operator must name one. It costs about nine requests.
func Discover(ctx context.Context, c *Client, w Wanted) (Profile, error) {
	d := &discovery{client: c, wanted: w}
	for _, step := range []func(context.Context) error{d.company, d.priceList, d.taxAccount, d.parties, d.places} {
		if err := step(ctx); err != nil {
			return Profile{}, err
		}
	}
	return d.found, nil
}

type discovery struct {
	client *Client
	wanted Wanted
	found  Profile
}

type company struct {
	Name           string `json:"name"`
	Currency       string `json:"default_currency"`
	Country        string `json:"country"`
	CostCenter     string `json:"cost_center"`
	Receivable     string `json:"default_receivable_account"`
	Bank           string `json:"default_bank_account"`
	Cash           string `json:"default_cash_account"`
	Income         string `json:"default_income_account"`
	RoundOff       string `json:"round_off_account"`
	Exchange       string `json:"exchange_gain_loss_account"`
	RoundOffCenter string `json:"round_off_cost_center"`
}

func (d *discovery) company(ctx context.Context) error {
	name, err := d.companyName(ctx)
	if err != nil {
		return err
	}
	var c company
	if err := d.client.Get(ctx, "Company", name, &c); err != nil {
		return err
	}
	d.found = Profile{
		Company: c.Name, Currency: c.Currency, Country: c.Country,
		CostCenter:        first(d.wanted.CostCenter, c.CostCenter, c.RoundOffCenter),
		ReceivableAccount: c.Receivable,
		RoundOffAccount:   first(d.wanted.RoundOffAccount, c.RoundOff),
		ExchangeAccount:   c.Exchange,
		IncomeAccount:     c.Income,
		ShippingAccount:   first(d.wanted.ShippingAccount, c.Income),
		BankAccount:       first(c.Bank, c.Cash),
		FallbackItem:      first(d.wanted.FallbackItem, DefaultFallbackItem),
		Precision:         defaultPrecision,
	}
	return nil
}

func (d *discovery) companyName(ctx context.Context) (string, error) {
	if d.wanted.Company != "" {
		return d.wanted.Company, nil
	}
	var list []Stored
	err := d.client.List(ctx, Query{DocType: "Company", Limit: 2}, &list)
	switch {
	case err != nil:
		return "", err
	case len(list) == 0:
		return "", unfound("no company", "make a Company in ERPNext, or give the API user the right to read it")
	case len(list) > 1:
		return "", unfound("several companies", "name the one to book in under `company` in the mapping sheet")
	}
	return list[0].Name, nil
}

// priceList prefers one in the company's currency: prices come from the shop,
// but ERPNext converts between the currencies of order and price list.
func (d *discovery) priceList(ctx context.Context) error {
	if d.found.PriceList = d.wanted.PriceList; d.found.PriceList != "" {
		return nil
	}
	var lists []Stored
	err := d.client.List(ctx, Query{
		DocType: "Price List", Fields: []string{"name", "currency"}, Filters: map[string]any{"selling": 1, "enabled": 1}, Limit: -1,
	}, &lists)
	if err != nil {
		return err
	}
	for _, l := range lists {
		if l.Currency == d.found.Currency {
			d.found.PriceList = l.Name
			return nil
		}
	}
	if len(lists) > 0 {
		d.found.PriceList = lists[0].Name
	}
	return nil
}

// taxAccount takes the company's only account of type Tax, else the first by
// name: the sheet names another where there are several.
func (d *discovery) taxAccount(ctx context.Context) error {
	if d.found.TaxAccount = d.wanted.TaxAccount; d.found.TaxAccount != "" {
		return nil
	}
	var accounts []Stored
	err := d.client.List(ctx, Query{
		DocType: "Account", OrderBy: "name asc", Limit: 1,
		Filters: map[string]any{"company": d.found.Company, "account_type": "Tax", "is_group": 0, "disabled": 0},
	}, &accounts)
	if err == nil && len(accounts) > 0 {
		d.found.TaxAccount = accounts[0].Name
	}
	return err
}

// parties finds where new customers belong. Without one of these records the
// field is left out and ERPNext's own default holds.
func (d *discovery) parties(ctx context.Context) error {
	var err error
	if d.found.CustomerGroup, err = d.leaf(ctx, "Customer Group", "Individual"); err != nil {
		return err
	}
	d.found.Territory, err = d.leaf(ctx, "Territory", d.found.Country, "All Territories")
	return err
}

// leaf gives the first preferred record that exists.
func (d *discovery) leaf(ctx context.Context, doctype string, preferred ...string) (string, error) {
	var rows []Stored
	err := d.client.List(ctx, Query{DocType: doctype, Filters: map[string]any{"name": []any{"in", preferred}}, Limit: -1}, &rows)
	if fault.KindOf(err) == fault.Rights && err != nil {
		return "", nil
	}
	for _, want := range preferred {
		for _, row := range rows {
			if row.Name == want {
				return want, nil
			}
		}
	}
	return "", err
}

// places finds the site's time zone and the names of countries.
func (d *discovery) places(ctx context.Context) error {
	var err error
	if d.found.Location, err = d.client.TimeZone(ctx); err != nil {
		return err
	}
	digits, told, err := d.client.Precision(ctx)
	if err != nil {
		return err
	}
	if told {
		d.found.Precision = digits
	}
	var countries []struct {
		Name string `json:"name"`
		Code string `json:"code"`
	}
	err = d.client.List(ctx, Query{DocType: "Country", Fields: []string{"name", "code"}, OrderBy: "name asc", Limit: -1}, &countries)
	if err != nil {
		if fault.KindOf(err) == fault.Rights {
			return nil // customers are made without an address then
		}
		return err
	}
	d.found.Countries = make(map[string]string, len(countries))
	for _, country := range countries {
		d.found.Countries[strings.ToUpper(country.Code)] = country.Name
	}
	return nil
}

func unfound(cause, hint string) *fault.Error {
	return &fault.Error{Kind: fault.Unmapped, Op: "erpnext.discover", Cause: cause, Hint: hint}
}

func first(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}
