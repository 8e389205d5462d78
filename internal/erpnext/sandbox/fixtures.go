package sandbox

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

//go:embed demo.json
var demoFixtures []byte

// fixtures is the state of a site as a file. Rows are documents of the DocType
// their list stands for.
type fixtures struct {
	Versions     map[string]string           `json:"versions"`
	Site         string                      `json:"site"`
	Company      map[string]any              `json:"company"`
	Users        []fixtureUser               `json:"users"`
	Settings     map[string]map[string]any   `json:"settings"`
	Series       []fixtureSeries             `json:"series"`
	Permissions  map[string][]map[string]any `json:"permissions"`
	Select       map[string][]string         `json:"select_options"`
	AfterSubmit  map[string][]string         `json:"allow_on_submit"`
	Required     map[string][]string         `json:"required_fields"`
	Unique       map[string][]string         `json:"unique_fields"`
	PartyAccount []map[string]any            `json:"party_accounts"`
}

type fixtureUser struct {
	Name    string   `json:"name"`
	Enabled int      `json:"enabled"`
	Key     string   `json:"api_key"`
	Secret  string   `json:"api_secret"`
	Roles   []string `json:"roles"`
}

type fixtureSeries struct {
	Name    string `json:"name"`
	Current int64  `json:"current"`
}

// fixtureLists name the lists of documents and the DocType of their rows.
var fixtureLists = map[string]string{
	"accounts": "Account", "cost_centers": "Cost Center", "warehouses": "Warehouse", "customer_groups": "Customer Group",
	"territories": "Territory", "item_groups": "Item Group", "price_lists": "Price List", "items": "Item",
	"item_prices": "Item Price", "modes_of_payment": "Mode of Payment", "currencies": "Currency",
	"currency_exchange": "Currency Exchange", "fiscal_years": "Fiscal Year", "uoms": "UOM",
	"tax_templates": "Sales Taxes and Charges Template", "item_tax_templates": "Item Tax Template",
	"payment_terms_templates": "Payment Terms Template", "customers": "Customer", "countries": "Country", "bins": "Bin",
}

// titles are the fields that repeat a record's own name.
var titles = map[string]string{
	"Customer": "customer_name", "Item": "item_code", "Mode of Payment": "mode_of_payment", "Currency": "currency_name",
	"Price List": "price_list_name", "Company": "company_name", "Customer Group": "customer_group_name",
	"Territory": "territory_name", "Item Group": "item_group_name", "UOM": "uom_name", "Country": "country_name",
	"Fiscal Year": "year",
}

func (s *Site) load(data []byte) error {
	demo := data == nil
	if demo {
		data = demoFixtures
	}
	var fx fixtures
	if err := json.Unmarshal(data, &fx); err != nil {
		return err
	}
	var lists map[string]json.RawMessage
	if err := json.Unmarshal(data, &lists); err != nil {
		return err
	}
	if err := s.loadSettings(&fx); err != nil {
		return err
	}
	for list, name := range fixtureLists {
		if err := s.loadList(list, s.types[name], lists[list], &fx); err != nil {
			return err
		}
	}
	s.loadCountries()
	s.loadUsers(&fx)
	s.loadShape(&fx)
	if demo {
		s.loadYears()
	}
	return s.loadPartyAccounts(&fx)
}

func (s *Site) loadSettings(fx *fixtures) error {
	s.host = "localhost"
	if fx.Site != "" {
		s.host = fx.Site
	} else if len(s.opts.Hosts) > 0 {
		s.host = s.opts.Hosts[0]
	}
	maps.Copy(s.versions, fx.Versions)
	if fx.Company["name"] == nil {
		return errors.New("no company")
	}
	for _, series := range fx.Series {
		s.series[series.Name] = series.Current
	}
	for name, values := range fx.Settings {
		dt := s.types[name]
		if dt == nil {
			continue
		}
		d, _ := plain(values).(doc)
		d["name"] = name
		s.seedDoc(dt, d)
	}
	if name := text(s.setting("System Settings", "time_zone")); name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil {
			return fmt.Errorf("time zone: %w", err)
		}
		s.zone = zone
	}
	company, _ := plain(fx.Company).(doc)
	s.seedDoc(s.types["Company"], company)
	return nil
}

func (s *Site) loadList(list string, dt *doctype, raw json.RawMessage, fx *fixtures) error {
	var docs []map[string]any
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, &docs); err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	for _, row := range docs {
		d, _ := plain(row).(doc)
		s.completeMaster(dt.name, d, fx)
		s.seedDoc(dt, d)
	}
	return nil
}

// completeMaster adds what fixtures leave out because it follows.
func (s *Site) completeMaster(name string, d doc, fx *fixtures) {
	set := func(field string, value any) {
		if d[field] == nil {
			d[field] = value
		}
	}
	switch name {
	case "Account":
		set("company", fx.Company["name"])
	case "Item":
		set("item_name", d["name"])
		set("description", d["item_name"])
		set("include_item_in_manufacturing", d["is_stock_item"])
		if d["uoms"] == nil {
			d["uoms"] = []any{doc{"uom": d["stock_uom"], "conversion_factor": 1.0}}
		}
	case "Item Price":
		set("selling", int64(1))
	case "Bin":
		set("name", str(d, "item_code")+"/"+str(d, "warehouse"))
		set("projected_qty", d["actual_qty"])
	case "Warehouse":
		if abbr := " - " + text(fx.Company["abbr"]); len(str(d, "name")) > len(abbr) {
			set("warehouse_name", str(d, "name")[:len(str(d, "name"))-len(abbr)])
		}
	}
}

// seedDoc stores a document as it is, with what every stored document has.
func (s *Site) seedDoc(dt *doctype, d doc) {
	d["doctype"] = dt.name
	if title := titles[dt.name]; title != "" && d[title] == nil {
		d[title] = d["name"]
	}
	if str(d, "name") == "" {
		d["name"] = s.rowName()
	}
	s.stampNew(d, "Administrator", s.now())
	fillDefaults(dt, d)
	for _, f := range dt.fields {
		if f.kind != "Table" {
			continue
		}
		for i, row := range rows(d, f.name) {
			s.seedRow(s.types[f.target], row, d, f.name, i+1)
		}
		if d[f.name] == nil {
			d[f.name] = []any{}
		}
	}
	castDoc(dt, d)
	s.table(dt.name).put(d)
}

func (s *Site) seedRow(dt *doctype, row, parent doc, field string, idx int) {
	if str(row, "name") == "" {
		row["name"] = s.rowName()
	}
	row["doctype"], row["idx"] = dt.name, int64(idx)
	row["parent"], row["parenttype"], row["parentfield"] = parent["name"], parent["doctype"], field
	s.stampNew(row, "Administrator", str(parent, "creation"))
	fillDefaults(dt, row)
	castDoc(dt, row)
}

func (s *Site) stampNew(d doc, who, when string) {
	for field, value := range map[string]any{
		"owner": who, "modified_by": who, "creation": when, "modified": when, "docstatus": int64(0), "idx": int64(0),
	} {
		if d[field] == nil {
			d[field] = value
		}
	}
}

func (s *Site) loadUsers(fx *fixtures) {
	for _, u := range fx.Users {
		who := &user{name: u.Name, key: u.Key, secret: u.Secret, enabled: u.Enabled != 0, roles: map[string]bool{}}
		for _, role := range u.Roles {
			who.roles[role] = true
		}
		s.users[u.Key] = who
		s.seedDoc(s.types["User"], doc{"name": u.Name, "email": u.Name, "enabled": int64(u.Enabled)})
	}
}

// loadShape lets the fixtures' facts about DocTypes win over the built-in ones.
func (s *Site) loadShape(fx *fixtures) {
	for name, list := range fx.Permissions {
		byRole := map[string]rights{}
		for _, entry := range list {
			has := rights{}
			for right, v := range entry {
				has[right] = flt(v) != 0
			}
			byRole[text(entry["role"])] = has
		}
		s.perms[name] = byRole
	}
	for name, dt := range s.types {
		markFields(dt, fx.Required[name], fx.Required != nil && fx.Required[name] != nil, func(f *field, on bool) { f.required = on })
		markFields(dt, fx.Unique[name], fx.Unique[name] != nil, func(f *field, on bool) { f.unique = on })
		markFields(dt, fx.AfterSubmit[name], fx.AfterSubmit[name] != nil, func(f *field, on bool) { f.afterSubmit = on })
		for _, f := range dt.fields {
			if options := fx.Select[name+"."+f.name]; options != nil {
				f.options = options
			} else if f.kind == "Select" {
				f.options = selectOptions[name+"."+f.name]
			}
		}
	}
}

func markFields(dt *doctype, names []string, known bool, mark func(*field, bool)) {
	if !known {
		return
	}
	for _, f := range dt.fields {
		mark(f, false)
	}
	for _, name := range names {
		if f := dt.byName[name]; f != nil {
			mark(f, true)
		}
	}
}

// selectOptions of the Select fields, for fixtures that bring none.
var selectOptions = map[string][]string{
	"Sales Order.order_type":              {"", "Sales", "Maintenance", "Shopping Cart"},
	"Sales Order.status":                  {"", "Draft", "On Hold", "To Deliver and Bill", "To Bill", "To Deliver", "Completed", "Cancelled", "Closed"},
	"Sales Order.apply_discount_on":       {"", "Grand Total", "Net Total"},
	"Sales Invoice.apply_discount_on":     {"", "Grand Total", "Net Total"},
	"Delivery Note.apply_discount_on":     {"", "Grand Total", "Net Total"},
	"Delivery Note.status":                {"", "Draft", "To Bill", "Completed", "Return Issued", "Cancelled", "Closed"},
	"Sales Taxes and Charges.charge_type": {"", "Actual", "On Net Total", "On Previous Row Amount", "On Previous Row Total", "On Item Quantity"},
	"Payment Entry.payment_type":          {"Receive", "Pay", "Internal Transfer"},
	"Payment Entry.status":                {"", "Draft", "Submitted", "Cancelled"},
	"Customer.customer_type":              {"Company", "Individual", "Partnership"},
	"Address.address_type": {"Billing", "Shipping", "Office", "Personal", "Plant", "Postal", "Shop", "Subsidiary", "Warehouse",
		"Current", "Permanent", "Other"},
	"Journal Entry.voucher_type": {"Journal Entry", "Inter Company Journal Entry", "Bank Entry", "Cash Entry", "Credit Card Entry",
		"Debit Note", "Credit Note", "Contra Entry", "Excise Entry", "Write Off Entry", "Opening Entry", "Depreciation Entry",
		"Exchange Rate Revaluation", "Exchange Gain Or Loss", "Deferred Revenue", "Deferred Expense"},
	"Sales Invoice.status": {"", "Draft", "Return", "Credit Note Issued", "Submitted", "Paid", "Partly Paid", "Unpaid",
		"Unpaid and Discounted", "Partly Paid and Discounted", "Overdue and Discounted", "Overdue", "Cancelled", "Internal Transfer"},
}

// loadYears gives the demo company books from last year to next year.
func (s *Site) loadYears() {
	this := s.Now().Year()
	for year := this - 1; year <= this+1; year++ {
		y := strconv.Itoa(year)
		s.seedDoc(s.types["Fiscal Year"], doc{"name": y, "year_start_date": y + "-01-01", "year_end_date": y + "-12-31"})
	}
}

func (s *Site) loadPartyAccounts(fx *fixtures) error {
	for _, row := range fx.PartyAccount {
		customer := s.peek("Customer", text(row["parent"]))
		if customer == nil {
			return fmt.Errorf("party account of unknown customer %q", text(row["parent"]))
		}
		customer = cloneDoc(customer)
		account := doc{"company": row["company"], "account": row["account"]}
		s.seedRow(s.types["Party Account"], account, customer, "accounts", len(rows(customer, "accounts"))+1)
		setRows(customer, "accounts", append(rows(customer, "accounts"), account))
		s.table("Customer").put(customer)
	}
	return nil
}

//go:embed countries.txt
var countriesText string

// loadCountries brings the countries every site has.
func (s *Site) loadCountries() {
	for line := range strings.Lines(countriesText) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if s.peek("Country", name) == nil {
			s.seedDoc(s.types["Country"], doc{"name": name, "code": code})
		}
	}
}
