package sandbox

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

var journalController = controller{
	newDefaults: func(t *tx, d doc) error {
		setDefault(d, "company", t.setting("Global Defaults", "default_company"))
		return nil
	},
	validate: validateJournal,
	onSubmit: func(t *tx, d doc) error {
		if flt(d["difference"]) != 0 {
			return invalid("Total Debit must be equal to Total Credit. The difference is %s", pyFloat(flt(d["difference"])))
		}
		if err := t.openBooks(d); err != nil {
			return err
		}
		return t.postJournal(d, false)
	},
	onCancel: func(t *tx, d doc) error { return t.postJournal(d, true) },
}

func validateJournal(t *tx, d doc) error {
	list := rows(d, "accounts")
	if len(list) == 0 {
		return refuse("StockAccountInvalidTransaction", "Account: %s can only be updated via Stock Transactions",
			str(t.company(str(d, "company")), "default_inventory_account"))
	}
	for i, row := range list {
		if err := t.fillJournalRow(d, i, row); err != nil {
			return err
		}
	}
	t.sumJournal(d, list)
	t.describeJournal(d, list)
	return nil
}

func (t *tx) fillJournalRow(d doc, i int, row doc) error {
	account := t.peek("Account", str(row, "account"))
	row["account_type"], row["account_currency"] = text(account["account_type"]), account["account_currency"]
	setDefault(row, "cost_center", t.company(str(d, "company"))["cost_center"])
	if kind := str(row, "account_type"); (kind == "Receivable" || kind == "Payable") && (str(row, "party_type") == "" || str(row, "party") == "") {
		return invalid("Row %d: Party Type and Party is required for Receivable / Payable account %s", i+1, str(row, "account"))
	}
	own := t.companyCurrency(d)
	foreign := account != nil && str(row, "account_currency") != own
	if foreign && cint(d["multi_currency"]) == 0 {
		return invalid("Please check Multi Currency option to allow accounts with other currency")
	}
	debit, credit := flt(row["debit_in_account_currency"]), flt(row["credit_in_account_currency"])
	if str(row, "reference_type") == "Sales Order" && debit > 0 {
		return invalid("Row %d: Debit entry can not be linked with a Sales Order", i+1)
	}
	if !foreign {
		row["exchange_rate"] = 1.0
	} else if rate := flt(row["exchange_rate"]); rate == 0 || rate == 1 {
		row["exchange_rate"] = t.exchangeRate(str(row, "account_currency"), own, str(d, "posting_date"))
	}
	row["debit"], row["credit"] = t.money(debit*flt(row["exchange_rate"])), t.money(credit*flt(row["exchange_rate"]))
	return nil
}

func (t *tx) sumJournal(d doc, list []doc) {
	debit, credit := 0.0, 0.0
	for _, row := range list {
		debit, credit = t.money(debit+flt(row["debit"])), t.money(credit+flt(row["credit"]))
	}
	d["total_debit"], d["total_credit"], d["difference"] = debit, credit, t.money(debit-credit)
	for _, row := range list {
		var against []string
		for _, other := range list {
			name := cmp.Or(str(other, "party"), str(other, "account"))
			if (flt(other["debit"]) > 0) != (flt(row["debit"]) > 0) && !slices.Contains(against, name) {
				against = append(against, name)
			}
		}
		row["against_account"] = strings.Join(against, ", ")
	}
}

// describeJournal writes title, remark and the amount paid to or by a party.
func (t *tx) describeJournal(d doc, list []doc) {
	d["title"] = str(list[0], "account")
	d["total_amount"] = 0.0
	currency := t.companyCurrency(d)
	remarks := []string{}
	if note := str(d, "user_remark"); note != "" {
		remarks = append(remarks, "Note: "+note)
	}
	bank := 0.0
	for _, row := range list {
		if kind := str(row, "account_type"); kind == "Bank" || kind == "Cash" {
			bank += flt(row["debit"]) + flt(row["credit"])
		}
		if str(row, "reference_type") == "Sales Order" && flt(row["credit"]) > 0 {
			remarks = append(remarks, fmt.Sprintf("%s against Sales Order %s", t.printed(flt(row["credit"]), currency), str(row, "reference_name")))
		}
	}
	for _, row := range list {
		if party := str(row, "party"); party != "" && d["pay_to_recd_from"] == nil || party != "" && str(d, "pay_to_recd_from") == party {
			d["pay_to_recd_from"], d["title"] = party, party
			d["total_amount"], d["total_amount_currency"] = bank, currency
		}
	}
	d["total_amount_in_words"] = t.inWords(flt(d["total_amount"]), currency)
	if len(remarks) > 0 {
		d["remark"] = strings.Join(remarks, "\n")
	}
}

func (t *tx) postJournal(d doc, cancel bool) error {
	var lines []entry
	for _, row := range rows(d, "accounts") {
		lines = append(lines, entry{
			account: str(row, "account"), party: str(row, "party"), debit: flt(row["debit"]), credit: flt(row["credit"]),
			own:     flt(row["debit_in_account_currency"]) - flt(row["credit_in_account_currency"]),
			against: str(row, "against_account"), remarks: str(d, "remark"), costCenter: str(row, "cost_center"),
		})
	}
	return t.post(d, lines, cancel)
}
