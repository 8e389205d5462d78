package mapping

import (
	"maps"
	"slices"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// Till names the accounts that money moves through outside the shop's orders.
// Maps by currency have "" for every other currency.
type Till struct {
	// Clearing is where a provider's money lies until it is paid out: what the
	// account holds is the balance at the provider. By provider or gateway,
	// then by currency.
	Clearing      map[string]map[string]string
	Bank          map[string]string // where payouts arrive, by currency
	Fees          string            // what providers keep
	Disputes      string            // money that a dispute holds back
	DisputeLosses string            // money that a dispute has lost
	// FeesOf and ModeOf are what gateways and providers have of their own: an
	// account of fees, a Mode of Payment. Mode is everybody else's.
	FeesOf map[string]string
	ModeOf map[string]string
	Mode   string
	// Currencies are the accounts' own, where they are not the company's.
	Currencies map[string]string
}

// Accounts are all the accounts that the till names, each once.
func (t Till) Accounts() []string {
	named := map[string]bool{t.Fees: true, t.Disputes: true, t.DisputeLosses: true}
	for _, byCurrency := range t.Clearing {
		for _, account := range byCurrency {
			named[account] = true
		}
	}
	for _, account := range t.Bank {
		named[account] = true
	}
	for _, account := range t.FeesOf {
		named[account] = true
	}
	delete(named, "")
	return slices.Sorted(maps.Keys(named))
}

// feeAccount is where the fees of a gateway, or of a provider, are booked.
func (t Till) feeAccount(gateway, provider string) string {
	return firstOf(t.FeesOf[gateway], t.FeesOf[provider], t.Fees)
}

// mode is the Mode of Payment of a gateway, or of a provider; "" = none.
func (t Till) mode(gateway, provider string) string {
	return firstOf(t.ModeOf[gateway], t.ModeOf[provider], t.Mode)
}

// Rate is how much of the company's currency one unit of another is worth. The
// zero Rate stands for the company's own currency: 1.
type Rate struct{ decimal.Decimal }

func (r Rate) orOne() decimal.Decimal {
	if r.IsZero() {
		return decimal.NewFromInt(1)
	}
	return r.Decimal
}

// base is an amount in the company's currency, rounded as the site keeps it.
func (b Books) base(a money.Amount, r Rate) decimal.Decimal {
	return a.Value().Mul(r.orOne()).RoundBank(b.Precision)
}

// wireRate is a rate as it is sent for an amount. ERPNext computes in floating
// point what the amount is worth, so a half of the last decimal falls to either
// side; of such an amount the rate leans a little to the side that base takes.
func (b Books) wireRate(a money.Amount, r Rate) decimal.Decimal {
	rate := r.orOne()
	off := a.Value().Mul(rate).Sub(b.base(a, r))
	if r.IsZero() || a.IsZero() || !off.Abs().Equal(decimal.New(5, -b.Precision-1)) {
		return rate
	}
	lean := decimal.New(1, -b.Precision-1).DivRound(a.Value().Abs(), 9)
	if off.IsPositive() == a.Value().IsPositive() {
		lean = lean.Neg()
	}
	return rate.Add(lean)
}

// ClearingAccount is where a provider's money in a currency lies, or Unmapped
// with the setting that would name it. The default clearing account serves the
// company's currency alone: an account holds one currency.
func (b Books) ClearingAccount(provider, currency string) (string, error) {
	byCurrency := b.Till.Clearing[provider]
	account := firstOf(byCurrency[currency], byCurrency[""])
	if account == "" && currency == b.Currency {
		account = b.DefaultClearing
	}
	if account == "" {
		return "", unmapped("clearing account for "+provider+" in "+currency, "accounts.clearing."+provider+"."+currency)
	}
	return account, b.keeps(account, currency, "accounts.clearing."+provider)
}

// keeps refuses an account that holds another currency: ERPNext would convert.
func (b Books) keeps(account, currency, setting string) error {
	own := firstOf(b.Till.Currencies[account], b.Currency)
	if own == currency {
		return nil
	}
	return &fault.Error{
		Kind: fault.Unmapped, Op: "mapping", Cause: "the account for " + currency + " is kept in " + own,
		Hint: account + " cannot hold " + currency + ": name an account in that currency in the mapping sheet under " + setting + "." + currency + ", then replay",
	}
}

// settlement is what a movement did to the balance, as far as anybody knows:
// without a settlement, its whole amount.
func settlement(amount money.Amount, s *commerce.Settlement) commerce.Settlement {
	if s != nil {
		return *s
	}
	return commerce.Settlement{Gross: amount, Fee: money.Zero(amount.Currency()), Net: amount}
}

// deduction is one part of a payment that did not arrive, on an account in the
// company's currency; none for nothing.
func (b Books) deduction(account, setting string, amount decimal.Decimal) ([]erpnext.PaymentDeduction, error) {
	switch {
	case amount.IsZero():
		return nil, nil
	case account == "":
		return nil, unmapped("account of deductions", setting)
	}
	return []erpnext.PaymentDeduction{{Account: account, CostCenter: b.CostCenter, Amount: erpnext.Num(amount)}}, nil
}

// RefundEntry maps money given back to a customer: a Payment Entry of type Pay
// from the clearing account, not allocated to anything, so that the customer's
// account shows it. Of a fee that the provider gave back, the customer's account
// knows nothing: it is a negative deduction.
//
// returned is what the customer's account is debited, in the company's currency:
// what the payment had credited for it. nil = what the movement was worth. The
// difference is the conversion's.
func (b Books) RefundEntry(r commerce.Refund, key, customer string, rate Rate, returned *decimal.Decimal) (erpnext.PaymentEntry, error) {
	s := settlement(r.Amount.Neg(), r.Settlement)
	account, err := b.clearingFor(r.Provider, r.Gateway, s.Net.Currency())
	if err != nil {
		return erpnext.PaymentEntry{}, err
	}
	gross, net := b.base(s.Gross.Neg(), rate), b.base(s.Net.Neg(), rate)
	deductions, err := b.deduction(b.Till.feeAccount(r.Gateway, r.Provider), "accounts.fees", net.Sub(gross))
	if err != nil {
		return erpnext.PaymentEntry{}, err
	}
	if returned != nil {
		difference, err := b.Exchange(gross.Sub(*returned))
		if err != nil {
			return erpnext.PaymentEntry{}, err
		}
		deductions = append(deductions, difference...)
	}
	date := b.Date(r.At)
	return erpnext.PaymentEntry{
		PaymentType: "Pay", PostingDate: date, Company: b.Company,
		PartyType: "Customer", Party: customer, PaidFrom: account, ModeOfPayment: b.Till.mode(r.Gateway, r.Provider),
		PaidAmount: erpnext.Num(s.Net.Neg().Value()), ReceivedAmount: erpnext.Num(net),
		SourceExchangeRate: erpnext.Num(b.wireRate(s.Net, rate)), TargetExchangeRate: erpnext.Num(decimal.NewFromInt(1)),
		ReferenceNo: cut(firstOf(r.Reference, r.ID), maxText), ReferenceDate: date, CostCenter: b.CostCenter,
		Deductions: deductions, Key: key,
	}, nil
}

// clearingFor is the account of the gateway, when the shop's transaction is the
// one that is booked, else of the provider.
func (b Books) clearingFor(provider, gateway, currency string) (string, error) {
	if gateway != "" && len(b.Till.Clearing[gateway]) > 0 {
		return b.ClearingAccount(gateway, currency)
	}
	return b.ClearingAccount(provider, currency)
}

// Holds reports whether there is an account for money of a gateway, or of a
// provider, in a currency.
func (b Books) Holds(provider, gateway, currency string) bool {
	_, err := b.clearingFor(provider, gateway, currency)
	return err == nil
}

// PayoutEntry maps a payout to an Internal Transfer from the clearing account
// to the bank, both in the payout's currency. A negative one is money that the
// provider took from the bank, to make up for a balance below zero.
func (b Books) PayoutEntry(p commerce.Payout, key string, rate Rate) (erpnext.PaymentEntry, error) {
	currency := p.Amount.Currency()
	from, err := b.ClearingAccount(p.Provider, currency)
	if err != nil {
		return erpnext.PaymentEntry{}, err
	}
	to := firstOf(b.Till.Bank[currency], b.Till.Bank[""])
	if to == "" {
		return erpnext.PaymentEntry{}, unmapped("bank account for payouts in "+currency, "accounts.bank."+currency)
	}
	if err := b.keeps(to, currency, "accounts.bank"); err != nil {
		return erpnext.PaymentEntry{}, err
	}
	date := b.Date(p.At)
	if p.Amount.Sign() < 0 {
		from, to = to, from
	}
	amount, exchange := erpnext.Num(p.Amount.Value().Abs()), erpnext.Num(rate.orOne())
	return erpnext.PaymentEntry{
		PaymentType: "Internal Transfer", PostingDate: date, Company: b.Company, PaidFrom: from, PaidTo: to,
		PaidAmount: amount, ReceivedAmount: amount, SourceExchangeRate: exchange, TargetExchangeRate: exchange,
		ReferenceNo: cut(firstOf(p.Reference, p.ID), maxText), ReferenceDate: date, CostCenter: b.CostCenter, Key: key,
	}, nil
}

// Voucher is what a Journal Entry says of itself.
type Voucher struct {
	At        time.Time
	Reference string // what a person finds in the provider's pages
	Title     string
	Remark    string
}

// Transfer is money that moves from a clearing account, in its own currency,
// to an account in the company's. A negative Amount moves back.
type Transfer struct {
	From   string
	To     string
	Amount money.Amount
}

// JournalEntry maps the transfers of one voucher to a Journal Entry. Both sides
// of each are worth the same in the company's currency, so it balances.
func (b Books) JournalEntry(v Voucher, key string, rate Rate, transfers []Transfer) erpnext.JournalEntry {
	date := b.Date(v.At)
	je := erpnext.JournalEntry{
		VoucherType: "Journal Entry", PostingDate: date, Company: b.Company, Title: cut(v.Title, maxText),
		ChequeNo: cut(v.Reference, maxText), ChequeDate: date, UserRemark: cut(v.Remark, maxDescription), Key: key,
	}
	for _, t := range transfers {
		if t.Amount.IsZero() {
			continue
		}
		je.MultiCurrency = je.MultiCurrency || erpnext.Check(t.Amount.Currency() != b.Currency)
		je.Accounts = append(je.Accounts,
			b.journalRow(t.To, b.base(t.Amount, rate), decimal.Zero), b.journalRow(t.From, t.Amount.Value().Neg(), b.rowRate(t.Amount, rate)))
	}
	return je
}

// rowRate is the rate of a row in a foreign currency; of another it has none.
func (b Books) rowRate(a money.Amount, rate Rate) decimal.Decimal {
	if rate.IsZero() {
		return decimal.Zero
	}
	return b.wireRate(a, rate)
}

// journalRow debits an account, or credits it with a negative amount.
func (b Books) journalRow(account string, amount, rate decimal.Decimal) erpnext.JournalRow {
	row := erpnext.JournalRow{Account: account, CostCenter: b.CostCenter, ExchangeRate: erpnext.Num(rate)}
	if amount.IsNegative() {
		row.Credit = erpnext.Num(amount.Neg())
	} else {
		row.Debit = erpnext.Num(amount)
	}
	return row
}

// FeeTransfer moves a fee from a clearing account to the fees.
func (b Books) FeeTransfer(provider string, fee money.Amount) (Transfer, error) {
	return b.transferTo(b.Till.feeAccount("", provider), setting{"account of fees", "accounts.fees"}, provider, fee)
}

// DisputeTransfer moves disputed money from a clearing account to the account
// that holds it until the dispute is decided.
func (b Books) DisputeTransfer(provider string, amount money.Amount) (Transfer, error) {
	return b.transferTo(b.Till.Disputes, setting{"account of disputed money", "accounts.disputes"}, provider, amount)
}

// setting is something the sheet should have named.
type setting struct{ what, key string }

func (b Books) transferTo(account string, s setting, provider string, amount money.Amount) (Transfer, error) {
	if amount.IsZero() {
		return Transfer{}, nil
	}
	if account == "" {
		return Transfer{}, unmapped(s.what, s.key)
	}
	from, err := b.ClearingAccount(provider, amount.Currency())
	return Transfer{From: from, To: account, Amount: amount}, err
}

// DisputeLoss moves what a dispute has cost from the account that held it to
// the losses. The amount is in the company's currency.
func (b Books) DisputeLoss(amount money.Amount) (Transfer, error) {
	if b.Till.Disputes == "" || b.Till.DisputeLosses == "" {
		return Transfer{}, unmapped("account of lost disputes", "accounts.disputes and accounts.dispute_losses")
	}
	return Transfer{From: b.Till.Disputes, To: b.Till.DisputeLosses, Amount: amount}, nil
}

// Base is an amount in the company's currency, as a movement at this rate books it.
func (b Books) Base(a money.Amount, rate Rate) money.Amount {
	return money.New(b.base(a, rate), b.Currency)
}
