package mapping

import (
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// Allocation is the order that a payment pays, and how much of the payment.
type Allocation struct {
	Order  string // ERPNext's name of the Sales Order
	Amount money.Amount
}

// PaymentEntry maps money received from a customer to a Payment Entry on the
// provider's clearing account. What the allocation does not take stays on
// account. Only the company's currency can be booked: another one needs an
// account and a rate that nobody has named.
func (b Books) PaymentEntry(p commerce.Payment, key, customer string, a *Allocation) (erpnext.PaymentEntry, error) {
	if p.Amount.Currency() != b.Currency {
		return erpnext.PaymentEntry{}, &fault.Error{
			Kind: fault.Unmapped, Op: "mapping", Cause: "payment in " + p.Amount.Currency() + ", books in " + b.Currency,
			Hint: "payments in a foreign currency are not booked by this version: enter this one by hand",
		}
	}
	if err := b.holds(p.Amount.Currency()); err != nil {
		return erpnext.PaymentEntry{}, err
	}
	account := firstOf(b.Clearing[p.Provider], b.DefaultClearing)
	if account == "" {
		return erpnext.PaymentEntry{}, unmapped("clearing account for "+p.Provider, "accounts.clearing."+p.Provider)
	}
	date := b.Date(p.At)
	pe := erpnext.PaymentEntry{
		PaymentType: "Receive", PostingDate: date, Company: b.Company,
		PartyType: "Customer", Party: customer, PaidTo: account,
		PaidAmount: erpnext.Num(p.Amount.Value()), ReceivedAmount: erpnext.Num(p.Amount.Value()),
		ReferenceNo: cut(p.Reference, maxText), ReferenceDate: date, CostCenter: b.CostCenter,
		Key: key,
	}
	if a != nil && a.Amount.Sign() > 0 {
		pe.References = []erpnext.PaymentReference{{
			ReferenceDoctype: erpnext.DocSalesOrder, ReferenceName: a.Order, AllocatedAmount: erpnext.Num(a.Amount.Value()),
		}}
	}
	return pe, nil
}
