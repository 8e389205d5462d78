package mapping

import (
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// Allocation is the order that a payment pays, and how much of the payment, in
// the company's currency.
type Allocation struct {
	Order  string // ERPNext's name of the Sales Order
	Amount money.Amount
}

// Equal reports whether two allocations are the same.
func (a Allocation) Equal(b Allocation) bool { return a.Order == b.Order && a.Amount.Equal(b.Amount) }

// PaymentEntry maps money received from a customer to a Payment Entry on the
// provider's clearing account, in the currency of the balance there. What no
// allocation takes stays on account.
//
// A known fee is a deduction: what is paid and received is the net amount, what
// the customer has paid is the gross one (payment_entry.py,
// set_unallocated_amount), so that the clearing account holds what the provider
// holds. Customers owe in the company's currency; rate is what one unit of the
// balance's currency is worth in it.
func (b Books) PaymentEntry(p commerce.Payment, key, customer string, rate Rate, split Split) (erpnext.PaymentEntry, error) {
	s := settlement(p.Amount, p.Settlement)
	if err := b.holds(s.Net.Currency()); err != nil {
		return erpnext.PaymentEntry{}, err
	}
	account, err := b.clearingFor(p.Provider, p.Gateway, s.Net.Currency())
	if err != nil {
		return erpnext.PaymentEntry{}, err
	}
	net := b.base(s.Net, rate)
	deductions, err := b.deductions(p, s, rate, split.Exchange)
	if err != nil {
		return erpnext.PaymentEntry{}, err
	}
	date := b.Date(p.At)
	pe := erpnext.PaymentEntry{
		PaymentType: "Receive", PostingDate: date, Company: b.Company,
		PartyType: "Customer", Party: customer, PaidTo: account, ModeOfPayment: b.Till.mode(p.Gateway, p.Provider),
		PaidAmount: erpnext.Num(net), ReceivedAmount: erpnext.Num(s.Net.Value()),
		SourceExchangeRate: erpnext.Num(decimal.NewFromInt(1)), TargetExchangeRate: erpnext.Num(b.wireRate(s.Net, rate)),
		ReferenceNo: cut(p.Reference, maxText), ReferenceDate: date, CostCenter: b.CostCenter,
		Deductions: deductions, Key: key,
	}
	if b.Extra.Payment != nil {
		values, err := b.Extra.Payment(p)
		if err != nil {
			return erpnext.PaymentEntry{}, err
		}
		pe.Extra = b.fields(values)
	}
	for _, a := range split.Allocations {
		pe.References = append(pe.References, erpnext.PaymentReference{
			ReferenceDoctype: erpnext.DocSalesOrder, ReferenceName: a.Order, AllocatedAmount: erpnext.Num(a.Amount.Value()),
		})
	}
	return pe, nil
}

// deductions are what of a payment did not reach the balance: the fee, what
// cash rounding took (or, negative, added), and what a conversion lost.
func (b Books) deductions(p commerce.Payment, s commerce.Settlement, rate Rate, exchange decimal.Decimal) ([]erpnext.PaymentDeduction, error) {
	fee, err := b.deduction(b.Till.feeAccount(p.Gateway, p.Provider), "accounts.fees", b.base(s.Gross, rate).Sub(b.base(s.Net, rate)))
	if err != nil {
		return nil, err
	}
	rounding, err := b.deduction(b.RoundOffAccount, "accounts.round_off", b.base(p.Rounding, rate).Neg())
	if err != nil {
		return nil, err
	}
	difference, err := b.Exchange(exchange)
	return append(append(fee, rounding...), difference...), err
}

// Exchange is what a conversion lost, as a row of a payment.
func (b Books) Exchange(lost decimal.Decimal) ([]erpnext.PaymentDeduction, error) {
	return b.deduction(b.ExchangeAccount, "accounts.exchange_difference", lost)
}

// Credited is what a payment takes off the customer's debt, in the company's
// currency: its gross amount, without what cash rounding added.
func (b Books) Credited(p commerce.Payment, rate Rate) money.Amount {
	gross := settlement(p.Amount, p.Settlement).Gross
	return money.New(b.base(gross, rate).Sub(b.base(p.Rounding, rate)), b.Currency)
}
