package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox/totals"
)

// calculate fills every amount of an order or invoice.
func (t *tx) calculate(d doc) error {
	if len(rows(d, "items")) == 0 {
		return bare("TypeError", "unsupported operand type(s) for *: 'NoneType' and 'float'").from(inApp)
	}
	err := totals.Calculate(d, t.arithmetic(d))
	var refusal *totals.Refusal
	if errors.As(err, &refusal) {
		if refusal.Exception != "ValidationError" {
			return bare(refusal.Exception, refusal.Message).from(inApp)
		}
		return invalid("%s", refusal.Message)
	}
	return err
}

func (t *tx) arithmetic(d doc) totals.Settings {
	return totals.Settings{
		RoundingMethod:    text(t.setting("System Settings", "rounding_method")),
		CurrencyPrecision: int(cint(t.setting("System Settings", "currency_precision"))),
		FloatPrecision:    int(cint(t.setting("System Settings", "float_precision"))),
		RoundRowWise:      cint(t.setting("Accounts Settings", "round_row_wise_tax")) == 1,
		CompanyCurrency:   t.companyCurrency(d),
		SmallestFraction: func(currency string) float64 {
			return flt(t.peek("Currency", currency)["smallest_currency_fraction_value"])
		},
		FieldPrecision: func(_, field string) (int, bool) {
			return 9, field == "conversion_rate" || field == "plc_conversion_rate"
		},
	}
}

// money rounds to the site's currency precision.
func (t *tx) money(value float64) float64 {
	precision := int(cint(t.setting("System Settings", "currency_precision")))
	return totals.Round(value, cmp.Or(precision, 2), text(t.setting("System Settings", "rounding_method")))
}

func (t *tx) companyCurrency(d doc) string {
	return str(t.company(str(d, "company")), "default_currency")
}

// sellingDefaults are what the site's settings fill in.
func sellingDefaults(t *tx, d doc) error {
	setDefault(d, "company", t.setting("Global Defaults", "default_company"))
	setDefault(d, "currency", t.setting("Global Defaults", "default_currency"))
	setDefault(d, "selling_price_list", t.setting("Selling Settings", "selling_price_list"))
	setDefault(d, "disable_rounded_total", t.setting("Global Defaults", "disable_rounded_total"))
	return nil
}

func setDefault(d doc, field string, value any) {
	if d[field] == nil {
		d[field] = value
	}
}

// fillParty copies what a transaction takes from its customer, where the
// client said nothing.
func (t *tx) fillParty(d doc) error {
	if str(d, "customer") == "" {
		return nil
	}
	customer := t.peek("Customer", str(d, "customer"))
	if customer == nil {
		return notFound("Customer", str(d, "customer"))
	}
	d["customer"] = customer["name"]
	if cint(customer["disabled"]) == 1 {
		return refuse("PartyDisabled", "Customer %s is disabled", str(customer, "name"))
	}
	if cint(customer["is_frozen"]) == 1 {
		return refuse("PartyFrozen", "Customer %s is frozen", str(customer, "name"))
	}
	d["customer_name"] = customer["customer_name"]
	for _, name := range []string{"tax_id", "customer_group", "territory", "language"} {
		setDefault(d, name, customer[name])
	}
	setDefault(d, "tax_category", "")
	t.fillAddresses(d)
	return nil
}

func (t *tx) fillAddresses(d doc) {
	customer := str(d, "customer")
	var billing, shipping string
	for _, a := range t.linkedTo("Address", "Customer", customer) {
		if cint(a["is_primary_address"]) == 1 || billing == "" {
			billing = str(a, "name")
		}
		if cint(a["is_shipping_address"]) == 1 {
			shipping = str(a, "name")
		}
	}
	if billing != "" {
		setDefault(d, "customer_address", billing)
	}
	if shipping != "" && d["doctype"] == "Sales Order" {
		setDefault(d, "shipping_address_name", shipping)
	}
	for field, shown := range map[string]string{"customer_address": "address_display", "shipping_address_name": "shipping_address"} {
		if a := t.peek("Address", str(d, field)); a != nil {
			setDefault(d, shown, displayAddress(a))
		}
	}
	for _, c := range t.linkedTo("Contact", "Customer", customer) {
		if cint(c["is_primary_contact"]) == 0 || d["contact_person"] != nil {
			continue
		}
		d["contact_person"], d["contact_display"], d["contact_email"] = c["name"], c["full_name"], c["email_id"]
		d["contact_mobile"] = c["mobile_no"]
		if d["doctype"] == "Sales Order" {
			d["contact_phone"] = c["phone"]
		}
	}
}

// fillCurrency settles currency, exchange rate and price list.
func (t *tx) fillCurrency(d doc) error {
	own := t.companyCurrency(d)
	if list := t.peek("Price List", str(d, "selling_price_list")); list != nil {
		d["price_list_currency"] = list["currency"]
	}
	if str(d, "price_list_currency") == own || flt(d["plc_conversion_rate"]) == 0 {
		d["plc_conversion_rate"] = 1.0
	}
	if str(d, "currency") == own {
		d["conversion_rate"] = 1.0
		return nil
	}
	if flt(d["conversion_rate"]) == 0 {
		d["conversion_rate"] = t.exchangeRate(str(d, "currency"), own, cmp.Or(str(d, "transaction_date"), str(d, "posting_date")))
	}
	if flt(d["conversion_rate"]) == 0 {
		return invalid("Exchange Rate is mandatory. Maybe Currency Exchange record is not created for %s to %s.", str(d, "currency"), own)
	}
	return nil
}

// exchangeRate is the newest Currency Exchange record of a day, 0 when there
// is none: this site reaches no exchange-rate service.
func (t *tx) exchangeRate(from, to, date string) float64 {
	if from == to {
		return 1
	}
	rate, since := 0.0, ""
	for _, e := range t.all("Currency Exchange") {
		if str(e, "from_currency") == from && str(e, "to_currency") == to && str(e, "date") <= date && str(e, "date") >= since {
			rate, since = flt(e["exchange_rate"]), str(e, "date")
		}
	}
	if rate == 0 {
		t.say(fmt.Sprintf("Unable to find exchange rate for %s to %s for key date %s. Please create a Currency Exchange record manually", from, to, date))
	}
	return rate
}

// getExchangeRate is erpnext/setup/utils.py get_exchange_rate: 0 for a rate that
// nobody has recorded. (A site that may ask the internet asks it first.)
func (c *call) getExchangeRate() (any, error) {
	for _, name := range []string{"from_currency", "to_currency"} {
		if _, err := c.need("get_exchange_rate", name); err != nil {
			return nil, err
		}
	}
	date := str(c.form, "transaction_date")
	if date == "" {
		date = c.today()
	}
	return c.exchangeRate(str(c.form, "from_currency"), str(c.form, "to_currency"), date), nil
}

// fillItem copies what a row takes from its item.
func (t *tx) fillItem(d, row doc) error {
	code := str(row, "item_code")
	if code == "" {
		setDefault(row, "uom", t.setting("Stock Settings", "stock_uom"))
		setDefault(row, "conversion_factor", 1.0)
		return nil
	}
	item := t.peek("Item", code)
	if item == nil {
		return notFound("Item", code)
	}
	if cint(item["disabled"]) == 1 {
		return invalid("Item %s is disabled", str(item, "name"))
	}
	if cint(item["has_variants"]) == 1 {
		return invalid("Item %s is a template, please select one of its variants", str(item, "name")).titled("Template Item Selected")
	}
	row["item_code"] = item["name"]
	company := t.company(str(d, "company"))
	for field, value := range map[string]any{
		"item_name": item["item_name"], "description": cmp.Or(str(item, "description"), str(item, "item_name")), "item_group": item["item_group"],
		"image": "", "stock_uom": item["stock_uom"], "uom": item["stock_uom"], "item_tax_rate": "{}", "margin_type": "",
		"cost_center": company["cost_center"], "warehouse": t.defaultWarehouse(item),
	} {
		setDefault(row, field, value)
	}
	if flt(row["conversion_factor"]) == 0 {
		row["conversion_factor"] = 1.0
	}
	row["grant_commission"] = item["grant_commission"]
	return t.fillTaxRates(row)
}

// fillTaxRates gives a row the rates of its item tax template, by account
// (erpnext/stock/get_item_details.py, get_item_tax_map).
func (t *tx) fillTaxRates(row doc) error {
	template := t.peek("Item Tax Template", str(row, "item_tax_template"))
	if template == nil {
		return nil
	}
	rates := map[string]float64{}
	for _, tax := range rows(template, "taxes") {
		rates[str(tax, "tax_type")] = flt(tax["tax_rate"])
	}
	data, err := json.Marshal(rates)
	row["item_tax_rate"] = string(data)
	return err
}

func (t *tx) defaultWarehouse(item doc) any {
	for _, row := range rows(item, "item_defaults") {
		if str(row, "default_warehouse") != "" {
			return row["default_warehouse"]
		}
	}
	return t.setting("Stock Settings", "default_warehouse")
}

// fillPrice takes the price-list rate where the client sent none.
func (t *tx) fillPrice(d, row doc, date string) {
	price := t.sellingPrice(str(row, "item_code"), str(d, "selling_price_list"), str(row, "uom"), date)
	if row["price_list_rate"] == nil {
		row["price_list_rate"] = price * flt(d["plc_conversion_rate"]) / flt(d["conversion_rate"])
	}
	if price == 0 && str(row, "item_code") != "" {
		t.keepPrice(d, row)
	}
}

func (t *tx) checkItems(d doc) error {
	for i, row := range rows(d, "items") {
		if err := t.checkQuantity(d, i, row); err != nil {
			return err
		}
	}
	if cint(t.setting("Selling Settings", "allow_multiple_items")) == 1 {
		return nil
	}
	seen := map[string]bool{}
	for _, row := range rows(d, "items") {
		key := strings.Join([]string{str(row, "item_code"), str(row, "description"), str(row, "warehouse")}, "\x00")
		if seen[key] {
			return invalid("Item <strong>%s</strong> entered multiple times.<br><br>Please enable <strong>Allow Item to Be Added Multiple Times "+
				"in a Transaction</strong> in %s to allow same item in multiple rows", str(row, "item_code"), t.settingsLink())
		}
		seen[key] = true
	}
	return nil
}

func (t *tx) settingsLink() string {
	return fmt.Sprintf(`<a href="http://%s/app/selling-settings/Selling%%20Settings">Selling Settings</a>`, t.host)
}

func (t *tx) checkQuantity(d doc, i int, row doc) error {
	qty := flt(row["qty"])
	if qty == 0 && cint(d["is_return"]) == 0 {
		return refuse("InvalidQtyError", "Row #%d: Quantity for Item <strong>%s</strong> cannot be zero.", i+1, str(row, "item_code")).titled("Invalid Quantity")
	}
	return nil
}

func (t *tx) checkWholeUnits(d doc) error {
	for i, row := range rows(d, "items") {
		uom := t.peek("UOM", str(row, "uom"))
		if qty := flt(row["qty"]); cint(uom["must_be_whole_number"]) == 1 && qty != math.Trunc(qty) {
			return refuse("UOMMustBeIntegerError", "Row %d: Quantity (%s) cannot be a fraction. To allow this, disable '<strong>Must be Whole Number"+
				"</strong>' in UOM <strong>%s</strong>.", i+1, quantity(qty), str(row, "uom"))
		}
	}
	return nil
}

// checkTaxAccounts holds for the accounts of the tax rows.
func (t *tx) checkTaxAccounts(d doc) error {
	for i, row := range rows(d, "taxes") {
		if strings.HasPrefix(str(row, "charge_type"), "On Previous Row") {
			if i == 0 {
				return throw("ValidationError", "Cannot select charge type as 'On Previous Row Amount' or 'On Previous Row Total' for first row").from(inApp)
			}
			if cint(row["row_id"]) == 0 {
				return invalid("Please specify a valid Row ID for row %d in table Sales Taxes and Charges", i+1)
			}
		}
		head := str(row, "account_head")
		if head == "" {
			continue
		}
		account := t.peek("Account", head)
		if account == nil || str(account, "company") != str(d, "company") {
			return invalid("Row #%d: Account %s does not belong to company %s", i+1, head, str(d, "company"))
		}
		row["account_currency"] = account["account_currency"]
	}
	return nil
}

func (t *tx) checkPartyAddress(d doc) error {
	for field, label := range map[string]string{"customer_address": "Billing Address", "shipping_address_name": "Shipping Address"} {
		name := str(d, field)
		if name == "" {
			continue
		}
		ok := false
		for _, link := range rows(t.peek("Address", name), "links") {
			ok = ok || str(link, "link_name") == str(d, "customer")
		}
		if !ok {
			return invalid("%s does not belong to the %s", label, str(d, "customer"))
		}
	}
	return nil
}

// receivable is the account a customer's debts are kept on.
func (t *tx) receivable(customer, company string) string {
	for _, row := range rows(t.peek("Customer", customer), "accounts") {
		if str(row, "company") == company && str(row, "account") != "" {
			return str(row, "account")
		}
	}
	return str(t.company(company), "default_receivable_account")
}

func (t *tx) checkPartyCurrency(d doc) error {
	account := t.peek("Account", t.receivable(str(d, "customer"), str(d, "company")))
	if kept := str(account, "account_currency"); kept != "" && kept != t.companyCurrency(d) && kept != str(d, "currency") {
		return refuse("InvalidCurrency", "Accounting Entry for Customer: %s can only be made in currency: %s", str(d, "customer"), kept)
	}
	return nil
}

// schedule makes the one payment row that a document without terms has.
func (t *tx) schedule(d doc) {
	old := rows(d, "payment_schedule")
	var list []doc
	for i, values := range totals.PaymentSchedule(d) {
		row := doc{"doctype": "Payment Schedule"}
		if i < len(old) {
			row = old[i]
		}
		for k, v := range values {
			row[k] = v
		}
		fillDefaults(t.types["Payment Schedule"], row)
		if row["__unsaved"] != nil {
			setDefault(row, "discount_type", "Percentage")
		}
		list = append(list, row)
	}
	setRows(d, "payment_schedule", list)
}

func (t *tx) wordTotals(d doc) {
	amount := cmp.Or(flt(d["rounded_total"]), flt(d["grand_total"]))
	base := cmp.Or(flt(d["base_rounded_total"]), flt(d["base_grand_total"]))
	d["in_words"] = t.inWords(math.Abs(amount), str(d, "currency"))
	d["base_in_words"] = t.inWords(math.Abs(base), t.companyCurrency(d))
}

func parseDate(value string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, "02/01/2006", "01/02/2006", time.RFC3339, time.DateTime} {
		if at, err := time.Parse(layout, value); err == nil {
			return at.Truncate(24 * time.Hour), nil
		}
	}
	return time.Time{}, throw("ValidationError", "<strong>"+value+"</strong> is not a valid date string.").titled("Invalid Date").from(inApp)
}
