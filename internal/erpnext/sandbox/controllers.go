package sandbox

// controllers are the DocTypes with rules of their own.
var controllers map[string]controller

func init() {
	controllers = map[string]controller{
		"Custom Field":  customFieldController,
		"Customer":      customerController,
		"Contact":       contactController,
		"Address":       addressController,
		"Item":          itemController,
		"Sales Order":   orderController,
		"Payment Entry": paymentController,
		"Sales Invoice": invoiceController,
		"Delivery Note": deliveryController,
		"Journal Entry": journalController,
		"Lead":          leadController,
		"Account":       accountController,
	}
}

var leadController = controller{
	newDefaults: func(t *tx, d doc) error {
		setDefault(d, "company", t.setting("Global Defaults", "default_company"))
		setDefault(d, "country", t.company(text(t.setting("Global Defaults", "default_company")))["country"])
		setDefault(d, "lead_owner", t.user.name)
		return nil
	},
	validate: func(t *tx, d doc) error {
		setDefault(d, "lead_name", fullName(d))
		d["title"] = d["lead_name"]
		if str(d, "company_name") != "" {
			d["title"] = d["company_name"]
		}
		return nil
	},
}

var accountController = controller{
	autoname: func(t *tx, d doc) error {
		d["name"] = str(d, "account_name") + " - " + str(t.company(str(d, "company")), "abbr")
		return nil
	},
	validate: func(t *tx, d doc) error {
		parent := t.peek("Account", str(d, "parent_account"))
		for _, name := range []string{"root_type", "report_type"} {
			setDefault(d, name, parent[name])
		}
		setDefault(d, "account_currency", t.companyCurrency(d))
		return nil
	},
}
