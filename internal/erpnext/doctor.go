package erpnext

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// Statuses of a Finding.
const (
	OK   = "ok"
	Warn = "warn" // the service works, but less well or not for everything
	Fail = "FAIL" // events will not become documents
)

// Finding is what one check found. It holds names of the site's own records,
// never customer data or secrets. Fix is "" where nothing is to be done.
type Finding struct {
	Name   string `json:"check"`
	Status string `json:"status"`
	Text   string `json:"text"`
	Fix    string `json:"fix,omitempty"`
}

// Doctor checks a site before the first event, read-only, in about fifty
// requests and one for each record that is named. A check that cannot run
// because an earlier one failed is left out.
func Doctor(ctx context.Context, c *Client, w Wanted, named Named) []Finding {
	d := &doctor{client: c, wanted: w, clearing: named.Clearing, named: named, denied: map[string]bool{}}
	for _, check := range []func(context.Context){
		d.reach, d.credentials, d.version, d.timeZone, d.rights, d.keyFields, d.company, d.fiscalYear,
		d.clearingAccounts, d.otherAccounts, d.costCenter, d.priceList, d.warehouse, d.fallbackItem, d.namedRecords, d.precision,
	} {
		if check(ctx); d.over {
			break
		}
	}
	return d.findings
}

type doctor struct {
	client   *Client
	wanted   Wanted
	clearing map[string]string
	named    Named

	findings []Finding
	over     bool            // nothing further can be found out
	denied   map[string]bool // DocTypes that the user may not read
	found    company
	zone     *time.Location
}

func (d *doctor) ok(name, text string) { d.add(name, OK, text, "") }

func (d *doctor) add(name, status, text, fix string) {
	d.findings = append(d.findings, Finding{Name: name, Status: status, Text: text, Fix: fix})
}

// failed files an error that is about the call, not the thing looked at. When
// the whole site is concerned no further check is tried.
func (d *doctor) failed(name string, err error) {
	f := fault.As(err)
	if f == nil {
		d.add(name, Fail, fault.KindOf(err).String(), "")
		return
	}
	d.add(name, Fail, f.Cause, f.Hint)
	d.over = d.over || f.Kind.SiteWide()
}

// maxSkew is how far the clocks may differ. The Date header has whole seconds,
// and providers' signatures are taken up to five minutes of age.
const maxSkew = 30 * time.Second

// reach asks for what needs no login. ERPNext refuses wrong credentials even
// there, which proves that it was reached all the same.
func (d *doctor) reach(ctx context.Context) {
	const name = "reach"
	before := time.Now()
	answer, err := d.client.exchange(ctx, request{op: "erpnext.call ping", verb: http.MethodGet, path: method("ping")})
	now := before.Add(time.Since(before) / 2)
	switch _, answered := errors.AsType[*Refusal](err); {
	case fault.KindOf(err) == fault.Credentials && answered:
		d.ok(name, "ERPNext answers")
		return
	case fault.KindOf(err) == fault.Credentials:
		d.failed("credentials", err)
		return
	case err != nil:
		d.failed(name, err)
		d.over = true
		return
	case !strings.Contains(string(answer.body), "pong"):
		d.failed(name, notERPNext("erpnext.call ping"))
		d.over = true
		return
	}
	d.ok(name, "ERPNext answers")
	d.clock(answer.header.Get("Date"), now)
}

func (d *doctor) clock(date string, now time.Time) {
	const name = "clock"
	there, err := http.ParseTime(date)
	if err != nil {
		return // some proxies send none
	}
	skew := now.Sub(there).Round(time.Second)
	if skew.Abs() <= maxSkew {
		d.ok(name, "this machine and the site agree")
		return
	}
	d.add(name, Warn, "this machine's clock differs from the site's by "+skew.Abs().String(),
		"set both by NTP: webhooks are refused when this machine's clock is more than five minutes off")
}

func (d *doctor) credentials(ctx context.Context) {
	const name = "credentials"
	user, err := d.client.LoggedUser(ctx)
	switch {
	case err != nil:
		d.failed(name, err)
		d.over = true
	case user == "Guest":
		d.add(name, Fail, "seen as Guest", hintGuest)
		d.over = true
	case user == "Administrator":
		d.add(name, Warn, "signed in as Administrator, who may do everything",
			"make a user of its own with the roles Sales User and Accounts User, and use its key")
	default:
		d.ok(name, "signed in as "+user)
	}
}

func (d *doctor) version(ctx context.Context) {
	const name = "version"
	v, err := d.client.Versions(ctx)
	switch major := v.Major(); {
	case err != nil:
		d.failed(name, err)
	case v.ERPNext == "":
		d.add(name, Fail, "this Frappe site has no ERPNext", "install the app erpnext on it, or correct LEDGERHOOK_ERPNEXT_URL or _SITE")
		d.over = true
	case major < 14 || major > 16:
		d.add(name, Warn, "ERPNext "+v.ERPNext+" is not one of 14, 15 and 16", "try it on a copy of the site first")
	default:
		d.ok(name, "ERPNext "+v.ERPNext+" on Frappe "+v.Frappe)
	}
}

func (d *doctor) timeZone(ctx context.Context) {
	zone, err := d.client.TimeZone(ctx)
	if err != nil {
		d.failed("time zone", err)
		return
	}
	d.zone = zone
	d.ok("time zone", zone.String()+": documents carry its dates")
}

// need is a set of rights on a DocType, and the stock role that grants them.
type need struct {
	doctype, role string
	rights        []string
}

// needs are the rights that every service takes. Together the roles are Sales
// User and Accounts User.
var needs = []need{
	{DocCustomer, "Sales User", []string{"read", "create", "write"}},
	{"Contact", "Sales User", []string{"read", "create"}}, // ERPNext makes it with a customer, in the API user's name
	{DocAddress, "Sales User", []string{"read", "create"}},
	{DocSalesOrder, "Sales User", []string{"read", "create", "write", "submit", "cancel", "delete"}},
	{DocPaymentEntry, "Accounts User", []string{"read", "create", "write", "submit", "cancel", "delete"}},
	{DocJournalEntry, "Accounts User", []string{"read", "create", "write", "submit", "cancel", "delete"}},
	{docItem, "Sales User", []string{"read"}},
	{docPriceList, "Sales User", []string{"read"}},
	{docAccount, "Accounts User", []string{"read"}},
	{docCompany, "Accounts User", []string{"read"}},
}

// furtherNeeds are the rights that making a DocType takes which only some
// mapping sheets ask for: see Named.Makes. What makes a new DocType adds a row.
var furtherNeeds = []need{
	{docItem, "Item Manager", []string{"create"}},
	{DocSalesInvoice, "Accounts User", []string{"read", "create", "write", "submit"}}, // to cancel one takes Accounts Manager
	{DocDeliveryNote, "Sales User", []string{"read", "create", "write", "submit", "cancel"}},
}

// excess are rights that the service has no use for, and the role that they
// come with. With the key of such a user more than the books can be changed.
var excess = []need{{docCustomField, "System Manager", []string{"create"}}}

const (
	docPriceList = "Price List"
	docAccount   = "Account"
	docCompany   = "Company"
)

func (d *doctor) rights(ctx context.Context) {
	for _, n := range needs {
		if missing, ok := d.right(ctx, "rights: "+n.doctype, n); ok {
			d.denied[n.doctype] = slices.Contains(missing, "read")
		} else {
			return
		}
	}
	for _, n := range furtherNeeds {
		if !slices.Contains(d.named.Makes, n.doctype) {
			continue
		}
		if _, ok := d.right(ctx, "rights: new "+n.doctype, n); !ok {
			return
		}
	}
	d.tooMany(ctx)
}

// right files which of the rights the user has not; not ok: it cannot be told.
func (d *doctor) right(ctx context.Context, name string, n need) (missing []string, ok bool) {
	for _, right := range n.rights {
		has, err := d.client.may(ctx, n.doctype, right)
		if err != nil {
			d.failed(name, err)
			return nil, false
		}
		if !has {
			missing = append(missing, right)
		}
	}
	if len(missing) == 0 {
		d.ok(name, strings.Join(n.rights, ", "))
		return nil, true
	}
	d.add(name, Fail, "the API user may not "+strings.Join(missing, ", "), "give it the role "+n.role+
		" (User > Roles); where it has it, the site's Role Permissions Manager takes the right away")
	return missing, true
}

// tooMany looks for rights that a key which lies on a server should not have.
func (d *doctor) tooMany(ctx context.Context) {
	const name = "rights: no more"
	for _, e := range excess {
		for _, right := range e.rights {
			has, err := d.client.may(ctx, e.doctype, right)
			switch {
			case err != nil:
				d.failed(name, err)
				return
			case has:
				d.add(name, Warn, "the API user may "+right+" a "+e.doctype+", as a "+e.role+" may, and so change the site itself",
					"take the role "+e.role+" away from it; only the key of server setup needs that role")
				return
			}
		}
	}
	d.ok(name, "the user cannot change the site itself")
}

// keyed are the DocTypes that carry our key: those that are always made, and
// those that the sheet asks for.
func (d *doctor) keyed() []string {
	list := CoreDocTypes()
	for _, doctype := range []string{DocDeliveryNote, DocSalesInvoice} {
		if slices.Contains(d.named.Makes, doctype) {
			list = append(list, doctype)
		}
	}
	return list
}

func (d *doctor) keyFields(ctx context.Context) {
	for _, doctype := range d.keyed() {
		if d.denied[doctype] || d.over {
			continue
		}
		name := "key field: " + doctype
		has, err := d.client.HasKeyField(ctx, doctype)
		switch {
		case err != nil:
			d.failed(name, err)
		case has:
			d.ok(name, KeyField)
		case !slices.Contains(CoreDocTypes(), doctype):
			d.add(name, Fail, "missing: a "+doctype+" is not made without it", "run server setup with a System Manager's key")
		case weakField(doctype) == "":
			d.add(name, Warn, "missing, and no field can stand in: one writer at a time makes these, but after a lost answer one may be there twice", "run server setup with a System Manager's key")
		default:
			d.add(name, Warn, "missing: the key goes into "+weakField(doctype)+" instead, and one writer at a time looks there first; "+
				"a create that ERPNext carries out long after it failed can still double", "run server setup with a System Manager's key")
		}
	}
}

// company finds the company that everything below belongs to.
func (d *doctor) company(ctx context.Context) {
	const name = "company"
	if d.denied[docCompany] {
		d.over = true
		return
	}
	var all []Stored
	if err := d.client.List(ctx, Query{DocType: docCompany, OrderBy: "name asc", Limit: -1}, &all); err != nil {
		d.failed(name, err)
		d.over = true
		return
	}
	names := namesOf(all)
	chosen := d.wanted.Company
	if chosen == "" && len(names) == 1 {
		chosen = names[0]
	}
	switch {
	case len(names) == 0:
		d.add(name, Fail, "none that the API user may see", "make a Company in ERPNext, or remove the User Permissions that hide it")
	case chosen == "":
		d.add(name, Fail, "several: "+strings.Join(names, ", "), "name the one to book in under `company` in the mapping sheet")
	case !slices.Contains(names, chosen):
		d.add(name, Fail, "no company "+quote(chosen), "the site has "+strings.Join(names, ", ")+": correct `company` in the mapping sheet")
	default:
		d.readCompany(ctx, chosen)
		return
	}
	d.over = true
}

func (d *doctor) readCompany(ctx context.Context, chosen string) {
	if err := d.client.Get(ctx, docCompany, chosen, &d.found); err != nil {
		d.failed("company", err)
		d.over = true
		return
	}
	d.ok("company", d.found.Name+", books in "+d.found.Currency)
}

func namesOf(list []Stored) []string {
	names := make([]string, len(list))
	for i, row := range list {
		names[i] = row.Name
	}
	return names
}

// fiscalYear: a payment is refused on a day that no Fiscal Year covers.
func (d *doctor) fiscalYear(ctx context.Context) {
	const name = "fiscal year"
	if d.zone == nil {
		return
	}
	today := time.Now().In(d.zone).Format(time.DateOnly)
	var years []Stored
	err := d.client.List(ctx, Query{DocType: "Fiscal Year", Limit: 1, Filters: [][]any{
		{"year_start_date", "<=", today}, {"year_end_date", ">=", today}, {"disabled", "=", 0},
	}}, &years)
	switch {
	case fault.KindOf(err) == fault.Rights: // a site may close it to the role and payments work all the same
	case err != nil:
		d.failed(name, err)
	case len(years) == 0:
		d.add(name, Fail, "none covers "+today, "make a Fiscal Year in ERPNext: payments of today are refused without")
	default:
		d.ok(name, years[0].Name+" covers "+today)
	}
}

// account is what is read of an Account.
type account struct {
	Name     string `json:"name"`
	Company  string `json:"company"`
	Type     string `json:"account_type"`
	Root     string `json:"root_type"`
	Currency string `json:"account_currency"`
	IsGroup  Check  `json:"is_group"`
	Disabled Check  `json:"disabled"`
}

func (d *doctor) clearingAccounts(ctx context.Context) {
	for _, provider := range slices.Sorted(maps.Keys(d.clearing)) {
		name, key := "clearing: "+provider, "accounts.clearing."+provider
		fallback := first(d.found.Bank, d.found.Cash)
		chosen := first(d.clearing[provider], fallback)
		if chosen == "" {
			d.add(name, Fail, "no account: the company has no default bank account", "name one under `"+key+"` in the mapping sheet")
			continue
		}
		a, ok := d.account(ctx, name, key, chosen)
		switch {
		case !ok:
		case a.Currency != "" && a.Currency != d.found.Currency:
			d.add(name, Warn, chosen+" is in "+a.Currency+", the company in "+d.found.Currency+": payments are not booked on it",
				"name an account in "+d.found.Currency+" under `"+key+"` in the mapping sheet")
		case a.Root == "Income" || a.Root == "Expense":
			d.add(name, Warn, chosen+" is an "+strings.ToLower(a.Root)+" account", "name an account of type Bank or Cash under `"+key+"` in the mapping sheet")
		case d.clearing[provider] == "":
			d.ok(name, chosen+" (the company's default)")
		default:
			d.ok(name, chosen)
		}
	}
}

// otherAccounts are needed by some documents only, so that one that is not
// named anywhere is a warning; one that is named wrongly fails.
func (d *doctor) otherAccounts(ctx context.Context) {
	for _, o := range []struct{ name, key, chosen, missing, fix string }{
		{"account: receivable", "", d.found.Receivable, "the company has no default receivable account: payments are refused",
			"set Default Receivable Account in the Company"},
		{"account: round off", "accounts.round_off", first(d.wanted.RoundOffAccount, d.found.RoundOff),
			"none: orders whose shop rounded differently than ERPNext are not booked",
			"set Round Off Account in the Company, or name one under `accounts.round_off` in the mapping sheet"},
		{"account: shipping", "accounts.shipping", first(d.wanted.ShippingAccount, d.found.Income),
			"none: orders with shipping are not booked",
			"set Default Income Account in the Company, or name one under `accounts.shipping` in the mapping sheet"},
	} {
		if o.chosen == "" {
			d.add(o.name, Warn, o.missing, o.fix)
		} else if a, ok := d.account(ctx, o.name, o.key, o.chosen); ok {
			d.ok(o.name, a.Name)
		}
	}
	d.taxAccount(ctx)
}

func (d *doctor) taxAccount(ctx context.Context) {
	const name, key = "account: tax", "accounts.tax"
	if d.wanted.TaxAccount != "" {
		if a, ok := d.account(ctx, name, key, d.wanted.TaxAccount); ok {
			d.ok(name, a.Name)
		}
		return
	}
	if d.denied[docAccount] || d.over {
		return
	}
	var found []Stored
	err := d.client.List(ctx, Query{DocType: docAccount, OrderBy: "name asc", Limit: -1, Filters: map[string]any{
		"company": d.found.Name, "account_type": "Tax", "is_group": 0, "disabled": 0,
	}}, &found)
	switch {
	case err != nil:
		d.failed(name, err)
	case len(found) == 0:
		d.add(name, Warn, "none: orders with tax are not booked", "make an account of type Tax, or name one under `"+key+"` in the mapping sheet")
	case len(found) > 1:
		d.add(name, Warn, fmt.Sprintf("%d accounts of type Tax: all tax is booked on the first, %s", len(found), found[0].Name),
			"name the right one under `"+key+"` in the mapping sheet")
	default:
		d.ok(name, found[0].Name+" (the only account of type Tax)")
	}
}

// account reads an account and files why it cannot be used. key is where the
// sheet names it.
func (d *doctor) account(ctx context.Context, name, key, chosen string) (account, bool) {
	if d.denied[docAccount] || d.over {
		return account{}, false
	}
	fix := "correct `" + key + "` in the mapping sheet"
	if key == "" {
		fix = "correct it in the Company"
	}
	var a account
	switch err := d.client.Get(ctx, docAccount, chosen, &a); {
	case fault.KindOf(err) == fault.Missing:
		d.add(name, Fail, "no account "+quote(chosen), fix+"; names end in the company's abbreviation")
	case err != nil:
		d.failed(name, err)
	case a.Company != d.found.Name:
		d.add(name, Fail, chosen+" belongs to "+a.Company, fix)
	case bool(a.IsGroup):
		d.add(name, Fail, chosen+" is a group: nothing can be booked on it", fix)
	case bool(a.Disabled):
		d.add(name, Fail, chosen+" is disabled", "enable it in ERPNext, or "+fix)
	default:
		return a, true
	}
	return a, false
}

// place is what is read of a Cost Center or a Warehouse.
type place struct {
	Name     string `json:"name"`
	Company  string `json:"company"`
	IsGroup  Check  `json:"is_group"`
	Disabled Check  `json:"disabled"`
}

func (d *doctor) costCenter(ctx context.Context) {
	chosen := first(d.wanted.CostCenter, d.found.CostCenter, d.found.RoundOffCenter)
	if chosen == "" {
		d.add("cost center", Warn, "none: rows for tax and shipping may be refused", "set Default Cost Center in the Company, or `cost_center` in the mapping sheet")
		return
	}
	d.place(ctx, "cost center", "Cost Center", "cost_center", chosen)
}

func (d *doctor) warehouse(ctx context.Context) {
	if d.wanted.Warehouse != "" {
		d.place(ctx, "warehouse", "Warehouse", "warehouse", d.wanted.Warehouse)
	}
}

func (d *doctor) place(ctx context.Context, name, doctype, key, chosen string) {
	if d.over {
		return
	}
	fix := "correct `" + key + "` in the mapping sheet"
	var p place
	switch err := d.client.Get(ctx, doctype, chosen, &p); {
	case fault.KindOf(err) == fault.Missing:
		d.add(name, Fail, "no "+doctype+" "+quote(chosen), fix+"; names end in the company's abbreviation")
	case fault.KindOf(err) == fault.Rights:
		d.add(name, Warn, "the API user may not read "+doctype+", so "+chosen+" cannot be checked",
			"give it the role Accounts User, or look yourself that it exists in the company and is no group")
	case err != nil:
		d.failed(name, err)
	case p.Company != d.found.Name:
		d.add(name, Fail, chosen+" belongs to "+p.Company, fix)
	case bool(p.IsGroup):
		d.add(name, Fail, chosen+" is a group", fix)
	case bool(p.Disabled):
		d.add(name, Fail, chosen+" is disabled", "enable it in ERPNext, or "+fix)
	default:
		d.ok(name, chosen)
	}
}

func (d *doctor) priceList(ctx context.Context) {
	const name, fix = "price list", "correct `price_list` in the mapping sheet"
	if d.denied[docPriceList] || d.over {
		return
	}
	chosen, err := d.chosenPriceList(ctx)
	if err != nil {
		d.failed(name, err)
		return
	}
	if chosen == "" {
		d.add(name, Fail, "no price list is enabled for selling", "enable one in ERPNext")
		return
	}
	var p struct {
		Currency string `json:"currency"`
		Enabled  Check  `json:"enabled"`
		Selling  Check  `json:"selling"`
	}
	switch err := d.client.Get(ctx, docPriceList, chosen, &p); {
	case fault.KindOf(err) == fault.Missing:
		d.add(name, Fail, "no price list "+quote(chosen), fix)
	case err != nil:
		d.failed(name, err)
	case !bool(p.Enabled):
		d.add(name, Fail, chosen+" is disabled", "enable it in ERPNext, or "+fix)
	case !bool(p.Selling):
		d.add(name, Fail, chosen+" is not for selling", fix)
	case p.Currency != d.found.Currency:
		d.add(name, Warn, chosen+" is in "+p.Currency+", the company in "+d.found.Currency+": ERPNext needs an exchange rate for every order",
			"name one in "+d.found.Currency+" under `price_list` in the mapping sheet")
	default:
		d.ok(name, chosen+", "+p.Currency)
	}
}

func (d *doctor) chosenPriceList(ctx context.Context) (string, error) {
	search := &discovery{client: d.client, wanted: d.wanted, found: Profile{Currency: d.found.Currency}}
	err := search.priceList(ctx)
	return search.found.PriceList, err
}

func (d *doctor) fallbackItem(ctx context.Context) {
	const name = "fallback item"
	if d.denied[docItem] || d.over {
		return
	}
	code := first(d.wanted.FallbackItem, DefaultFallbackItem)
	var found item
	switch err := d.client.Get(ctx, docItem, code, &found); {
	case fault.KindOf(err) == fault.Missing:
		d.add(name, Fail, "no item "+quote(code)+": orders with a line without a known SKU are not booked",
			"run server setup with a key whose user also has the role Item Manager, or make the item by hand with Maintain Stock off")
	case err != nil:
		d.failed(name, err)
	case bool(found.Disabled), bool(found.Template):
		d.add(name, Fail, code+" "+found.unfit(), fixItem)
	case bool(found.IsStock):
		d.add(name, Warn, code+" "+found.unfit(), fixItem)
	default:
		d.ok(name, code+", non-stock")
	}
}

// precision: what a site cuts off an amount it cuts silently.
func (d *doctor) precision(ctx context.Context) {
	const name = "precision"
	keeps, told, err := d.client.Precision(ctx)
	if err != nil {
		d.failed(name, err)
		return
	}
	if !told {
		keeps = defaultPrecision
		d.add(name, Warn, fmt.Sprintf("the site does not tell how many decimals it keeps: %d are taken", keeps), "give the API user access to the desk (user type System User)")
	}
	for _, currency := range d.currencies() {
		digits, err := money.MinorDigits(currency)
		switch {
		case err != nil:
			d.add(name, Fail, "the currency "+quote(currency)+" is not in ISO 4217", "set the Company's Default Currency to a currency code")
		case int32(digits) > keeps: //nolint:gosec // 0 to 4
			d.add(name, Fail, fmt.Sprintf("%s has %d decimals, the site keeps %d: its orders and payments are not booked", currency, digits, keeps),
				fmt.Sprintf("set Currency Precision to %d in ERPNext's System Settings", digits))
		default:
			d.ok(name, fmt.Sprintf("%s has %d decimals, the site keeps %d", currency, digits, keeps))
		}
	}
}

func quote(name string) string { return fmt.Sprintf("%q", name) }
