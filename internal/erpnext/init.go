package erpnext

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// sheetProviders are the providers a mapping sheet has clearing accounts for.
var sheetProviders = []string{"stripe", "paypal"}

// WriteSheet asks the site and writes a mapping sheet with what it found, as
// commented YAML: suggestions to be read through by a person. company is the
// one to book in; "" takes the only one, or the first by name with a comment
// that says so.
func WriteSheet(ctx context.Context, c *Client, company string, w io.Writer) error {
	s, err := survey(ctx, c, company)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	s.write(&sheetWriter{out: &text})
	if _, err := w.Write(text.Bytes()); err != nil {
		return fmt.Errorf("write the mapping sheet: %w", err)
	}
	return nil
}

// surveyed is what the sheet is written from.
type surveyed struct {
	Profile
	companies  []string
	priceLists []string
	warehouses []string
	modes      []string
	accounts   []account // of the company, no groups, none disabled
	templates  []string  // accounts in the company's tax templates
}

func survey(ctx context.Context, c *Client, company string) (surveyed, error) {
	var s surveyed
	companies, err := nameList(ctx, c, Query{DocType: docCompany})
	if err != nil {
		return s, err
	}
	if company == "" && len(companies) > 0 {
		company = companies[0]
	}
	if s.Profile, err = Discover(ctx, c, Wanted{Company: company}); err != nil {
		return s, err
	}
	s.companies = companies
	ours := map[string]any{"company": s.Company, "is_group": 0, "disabled": 0}
	err = c.List(ctx, Query{
		DocType: docAccount, OrderBy: "name asc", Limit: -1, Filters: ours,
		Fields: []string{"name", "account_type", "root_type", "account_currency"},
	}, &s.accounts)
	if err != nil {
		return s, err
	}
	return s, s.choices(ctx, c, ours)
}

// choices reads what only goes into comments.
func (s *surveyed) choices(ctx context.Context, c *Client, ours map[string]any) error {
	var err error
	if s.priceLists, err = nameList(ctx, c, Query{DocType: docPriceList, Filters: map[string]any{"selling": 1, "enabled": 1}}); err != nil {
		return err
	}
	if s.warehouses, err = nameList(ctx, c, Query{DocType: "Warehouse", Filters: ours}); err != nil {
		return err
	}
	if s.modes, err = nameList(ctx, c, Query{DocType: "Mode of Payment", Filters: map[string]any{"enabled": 1}}); err != nil {
		return err
	}
	s.templates, err = templateAccounts(ctx, c, s.Company)
	return err
}

// nameList reads the names of all documents, sorted; none where the user may
// not read them.
func nameList(ctx context.Context, c *Client, q Query) ([]string, error) {
	q.OrderBy, q.Limit = "name asc", -1
	var rows []Stored
	if err := c.List(ctx, q, &rows); err != nil {
		if fault.KindOf(err) == fault.Rights {
			return nil, nil
		}
		return nil, err
	}
	return namesOf(rows), nil
}

// maxTemplates bounds how many tax templates are opened.
const maxTemplates = 20

// templateAccounts are the accounts that the company's tax templates book on.
func templateAccounts(ctx context.Context, c *Client, company string) ([]string, error) {
	const doctype = "Sales Taxes and Charges Template"
	names, err := nameList(ctx, c, Query{DocType: doctype, Filters: map[string]any{"company": company, "disabled": 0}})
	if err != nil {
		return nil, err
	}
	var accounts []string
	for _, name := range names[:min(len(names), maxTemplates)] {
		var template struct {
			Taxes []TaxRow `json:"taxes"`
		}
		switch err := c.Get(ctx, doctype, name, &template); {
		case fault.KindOf(err) == fault.Rights:
			return accounts, nil
		case err != nil:
			return nil, err
		}
		for _, row := range template.Taxes {
			if !slices.Contains(accounts, row.AccountHead) {
				accounts = append(accounts, row.AccountHead)
			}
		}
	}
	return accounts, nil
}

// schemaLine tells editors where the sheet's JSON Schema is: beside it, written
// by `server check --schema`.
const schemaLine = "yaml-language-server: $schema=ledgerhook.schema.json"

func (s surveyed) write(w *sheetWriter) {
	w.comment(schemaLine)
	w.comment("Mapping sheet of ledgerhook, written from the site. Read it through: the accounts are suggestions.")
	w.comment("Whatever you leave out is found in ERPNext at run time. `server doctor` checks every name in it.")
	w.comment("Lines that begin with # say what else there is; docs/mapping-sheet.md has every key.")
	w.blank()
	if len(s.companies) > 1 {
		w.comment("The site has several companies. For another one change the name, then write the rest anew: `company` set,")
		w.comment("`server init` with LEDGERHOOK_SHEET pointing here, and another --out.")
	}
	w.choices("companies", s.companies)
	w.setting("company", s.Company)
	w.blank()
	w.choices("price lists for selling", s.priceLists)
	w.setting("price_list", s.PriceList)
	w.setting("cost_center", s.CostCenter)
	w.blank()
	w.comment("Without a warehouse each item's own holds.")
	w.choices("warehouses", s.warehouses)
	w.suggestion("warehouse", first(named(s.warehouses, "stores"), "Stores"))
	w.blank()
	w.comment("The non-stock item for order lines without a known SKU. `server setup` makes it.")
	w.setting("fallback_item", s.FallbackItem)
	w.blank()
	w.comment("Existing customers for orders and payments of nobody known; without these, one is made.")
	w.suggestion("guest_customer", "Web Guest")
	w.suggestion("unknown_payer", "Unknown Payer")
	w.blank()
	s.writeAccounts(w)
	w.blank()
	w.line("payments:")
	w.indent = "  "
	w.comment("How long a payment waits for the order it names, before it is booked on account.")
	w.line("wait_for_order: 30m")
	w.comment("A provider's fee: deduction (from its payment), payout (one Journal Entry per payout), none.")
	w.suggestion("fees", "deduction")
	w.choices("modes of payment", s.modes)
	w.suggestion("mode_of_payment", first(s.modes...))
	s.writePolicies(w)
}

// writePolicies shows what can be decided, with the defaults, all of it behind
// a #.
func (s surveyed) writePolicies(w *sheetWriter) {
	for _, section := range [][]string{
		{"Taxes by title, rate and country; the first that fits holds.", "taxes:", "  - {title: \"VAT*\", rate: 0.19, country: DE, account: " + strconv.Quote(s.TaxAccount) + "}"},
		{"How a line finds its item; create: off, non_stock or stock.", "items:", "  match: [sku, variant]", "  create: off", "  gift_card: Gift Card"},
		{"Customers that are made; update: fill, overwrite or never.", "customers:", "  group: " + scalar(s.CustomerGroup), "  update: fill"},
		{"When an order is booked, and what follows from its changes.", "orders:", "  when: created        # or paid", "  submit: true", "  edits: replace       # or note",
			"  cancel: cancel       # or note", "  invoices: never      # or paid, fulfilled", "  delivery_notes: off  # or on", "  test_orders: skip    # or book"},
		{"Who books the money of a gateway, by the shop's name of it: shop, provider or none.", "gateways:", "  stripe: {owner: provider, provider: stripe}", "  cash_on_delivery: {owner: none}"},
		{"Further fields of documents, by expressions.", "fields:", "  sales_order:", "    custom_channel: order.channel"},
		{"Further shops and accounts; each may have settings of its own.", "sources:", "  second-shop: {provider: shopify, secrets_file: /run/secrets/second-shop}"},
	} {
		w.blank()
		for _, line := range section {
			w.comment(line)
		}
	}
}
func (s surveyed) writeAccounts(w *sheetWriter) {
	w.line("accounts:")
	w.indent = "  "
	w.comment("Where a provider's money arrives before it is paid out: one account of type Bank each, in " + scalar(s.Currency) + ".")
	w.choices("candidates", s.liquid())
	w.line("clearing:")
	w.indent = "    "
	for _, provider := range sheetProviders {
		w.setting(provider, s.clearing(provider))
	}
	w.suggestion("shopify_payments", s.clearing("shopify"))
	w.indent = "  "
	w.comment("For the cents by which the shop's rounding and ERPNext's differ.")
	w.setting("round_off", s.RoundOffAccount)
	w.comment("Shipping that customers pay.")
	income := s.accountNames(func(a account) bool { return a.Root == "Income" })
	w.choices("income accounts", income)
	w.setting("shipping", first(named(income, "shipping", "freight", "delivery"), s.ShippingAccount))
	s.writeTax(w)
	w.blank()
	w.indent = "  "
	w.comment("Accounts for what else money does. Take the # away where the name is right.")
	for _, p := range purposes {
		s.suggestAccount(w, p)
	}
	w.indent = ""
}

// purpose is an account of the sheet and how to find one for it.
type purpose struct {
	key, root, why string
	words          []string // in the account's name
}

// purposes are the accounts that are suggested by a word in their names, among
// those of a root type.
var purposes = []purpose{
	{"fees", "Expense", "fees that providers keep", []string{"payment fee", "transaction fee", "processing", "bank charge", "commission", "fee"}},
	{"bank", "Asset", "where payouts arrive", []string{"bank"}},
	{"disputes", "Asset", "disputed money until it is decided", []string{"dispute", "chargeback"}},
	{"dispute_losses", "Expense", "money lost in disputes", []string{"dispute", "chargeback", "write off"}},
	{"gift_cards", "Liability", "debt to the holders of gift cards", []string{"gift"}},
	{"store_credit", "Liability", "debt to customers with store credit", []string{"store credit", "voucher"}},
	{"duties", "", "duties that customers pay", []string{"customs", "duties"}},
	{"tips", "Income", "tips that customers give", []string{"tip"}},
	{"exchange_difference", "", "what a conversion gains or loses", []string{"exchange"}},
}

func (s surveyed) suggestAccount(w *sheetWriter, p purpose) {
	names := s.accountNames(func(a account) bool { return p.root == "" || a.Root == p.root })
	if name := named(names, p.words...); name != "" {
		w.comment(p.key + ": " + scalar(name) + "  # " + p.why)
		return
	}
	w.comment(p.key + ":  # " + p.why + "; nothing found on the site")
}

// writeTax names the account only where there is no choice: the wrong one
// would put all tax in the wrong place without a word.
func (s surveyed) writeTax(w *sheetWriter) {
	taxes := s.accountNames(func(a account) bool { return a.Type == "Tax" })
	w.comment("All tax is booked on this one account.")
	w.choices("accounts of type Tax", taxes)
	w.choices("accounts in the tax templates", s.templates)
	if len(taxes) > 1 {
		w.comment("there are several: choose one, and take the # away")
		w.suggestion("tax", s.TaxAccount)
		return
	}
	w.setting("tax", s.TaxAccount)
}

func (s surveyed) accountNames(fits func(account) bool) []string {
	var names []string
	for _, a := range s.accounts {
		if fits(a) {
			names = append(names, a.Name)
		}
	}
	return names
}

// liquid are the accounts that can take a provider's money.
func (s surveyed) liquid() []string {
	return s.accountNames(func(a account) bool {
		return (a.Type == "Bank" || a.Type == "Cash") && (a.Currency == "" || a.Currency == s.Currency)
	})
}

// clearing suggests the account that is named after the provider, else the
// company's default bank account.
func (s surveyed) clearing(provider string) string {
	return first(named(s.liquid(), provider), s.BankAccount)
}

// named is the first name that holds one of the words, or "".
func named(names []string, words ...string) string {
	for _, word := range words {
		for _, name := range names {
			if strings.Contains(strings.ToLower(name), word) {
				return name
			}
		}
	}
	return ""
}

// sheetWriter writes YAML line by line. Every name goes through scalar, in
// comments too: a line break in one would end the comment.
type sheetWriter struct {
	out    *bytes.Buffer
	indent string
}

func (w *sheetWriter) line(text string) { fmt.Fprintf(w.out, "%s%s\n", w.indent, text) }

func (w *sheetWriter) blank() {
	w.indent = ""
	w.out.WriteByte('\n')
}

func (w *sheetWriter) comment(text string) { w.line("# " + text) }

// setting writes a key, commented out when the site has nothing for it.
func (w *sheetWriter) setting(key, value string) {
	if value == "" {
		w.comment(key + ": # nothing found on the site")
		return
	}
	w.line(key + ": " + scalar(value))
}

func (w *sheetWriter) suggestion(key, value string) { w.comment(key + ": " + scalar(value)) }

const maxChoices = 40

func (w *sheetWriter) choices(title string, names []string) {
	if len(names) == 0 {
		return
	}
	shown := make([]string, 0, len(names))
	for _, name := range names[:min(len(names), maxChoices)] {
		shown = append(shown, scalar(name))
	}
	if len(names) > maxChoices {
		shown = append(shown, fmt.Sprintf("and %d more", len(names)-maxChoices))
	}
	w.comment(title + ": " + strings.Join(shown, ", "))
}

var (
	plainScalar = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 ._/()%-]*$`)
	reserved    = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}
)

// scalar writes a text so that YAML reads the same text, of whatever
// characters: plain where that is safe, else in double quotes, whose escapes
// are those of Go.
func scalar(text string) string {
	if !plainScalar.MatchString(text) || strings.HasSuffix(text, " ") || slices.Contains(reserved, strings.ToLower(text)) {
		return strconv.Quote(text)
	}
	return text
}
