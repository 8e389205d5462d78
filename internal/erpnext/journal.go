package erpnext

// DocJournalEntry is the DocType of Journal Entries.
const DocJournalEntry = "Journal Entry"

// JournalEntry is the body of a new Journal Entry. Any account in another
// currency than the company's needs MultiCurrency.
type JournalEntry struct {
	VoucherType   string `json:"voucher_type"` // "Journal Entry"
	PostingDate   string `json:"posting_date"`
	Company       string `json:"company"`
	Title         string `json:"title,omitempty"`
	ChequeNo      string `json:"cheque_no,omitempty"` // the reference number
	ChequeDate    string `json:"cheque_date,omitempty"`
	UserRemark    string `json:"user_remark,omitempty"`
	MultiCurrency Check  `json:"multi_currency"`
	AmendedFrom   string `json:"amended_from,omitempty"`

	Accounts []JournalRow `json:"accounts"`

	Key string `json:"custom_ledgerhook_key,omitempty"`
}

// JournalRow is one row of a Journal Entry. Amounts are in the account's
// currency; ExchangeRate is how much of the company's currency one unit of it
// is worth (ERPNext takes a rate of 1 for a foreign account as not given).
type JournalRow struct {
	Account      string `json:"account"`
	Debit        Number `json:"debit_in_account_currency"`
	Credit       Number `json:"credit_in_account_currency"`
	ExchangeRate Number `json:"exchange_rate,omitzero"`
	CostCenter   string `json:"cost_center,omitempty"`
	UserRemark   string `json:"user_remark,omitempty"`
}
