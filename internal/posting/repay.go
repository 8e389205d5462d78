package posting

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/shopspring/decimal"
)

// paymentsOf lists the submitted payments that are allocated to a Sales Order.
func (p *Poster) paymentsOf(ctx context.Context, order string) ([]string, error) {
	var rows []struct {
		Parent string `json:"parent"`
	}
	// The child table is asked: a filter on it in a list of payments makes
	// ERPNext's own "order by creation" ambiguous (OperationalError 1052).
	err := p.Site.List(ctx, erpnext.Query{
		DocType: "Payment Entry Reference", Parent: erpnext.DocPaymentEntry, Fields: []string{"parent"}, Limit: -1,
		Filters: [][]any{{"reference_doctype", "=", erpnext.DocSalesOrder}, {"reference_name", "=", order}, {"docstatus", "=", erpnext.Submitted}},
	}, &rows)
	var names []string
	for _, row := range rows {
		if !slices.Contains(names, row.Parent) {
			names = append(names, row.Parent)
		}
	}
	return names, err
}

// bookedPayment is a Payment Entry as ERPNext has it.
type bookedPayment struct {
	Name      string `json:"name"`
	DocStatus int    `json:"docstatus"`
	erpnext.PaymentEntry
}

// move is the way of a payment's allocation from a Sales Order to the one that
// took its place.
type move struct {
	from string
	to   erpnext.Stored
	left decimal.Decimal // what the new order still takes, in the company's currency
}

// repay books a payment again, allocated to the successor of its Sales Order,
// and reduces what that still takes. The references of a submitted payment
// cannot be changed, so it is cancelled and gets a successor itself, under a
// revision of its key. A payment that a person made is left alone: Rejected.
func (p *Poster) repay(ctx context.Context, name string, m *move) error {
	var old bookedPayment
	if err := p.Site.Get(ctx, erpnext.DocPaymentEntry, name, &old); err != nil {
		return err
	}
	if old.Key == "" {
		return &fault.Error{Kind: fault.Rejected, Op: "posting.payment", Cause: "the payment was made by hand"}
	}
	if err := p.Site.Cancel(ctx, erpnext.DocPaymentEntry, name); err != nil {
		return err
	}
	base, n := splitRevision(old.Key)
	pe := old.PaymentEntry
	pe.Key, pe.AmendedFrom, pe.References = revisedKey(base, n+1), old.Name, old.references(m)
	pe.Party = m.to.Customer // who paid may not have been known
	var stored erpnext.Stored
	if _, err := p.Site.Ensure(ctx, erpnext.DocPaymentEntry, pe.Key, pe, &stored); err != nil {
		return err
	}
	if stored.DocStatus == erpnext.Draft {
		if err := p.Site.Submit(ctx, erpnext.DocPaymentEntry, stored.Name, nil); err != nil {
			return err
		}
	}
	return p.moved(ctx, base, stored.Name)
}

// references are those of the payment's successor: what other documents
// have of the payment stays theirs.
func (old bookedPayment) references(m *move) []erpnext.PaymentReference {
	free := old.PaidAmount.Decimal
	for _, d := range old.Deductions {
		free = free.Add(d.Amount.Decimal)
	}
	var refs []erpnext.PaymentReference
	for _, ref := range old.References {
		if ref.ReferenceName == m.from || ref.ReferenceName == m.to.Name {
			continue
		}
		free = free.Sub(ref.AllocatedAmount.Decimal)
		refs = append(refs, ref)
	}
	taken := decimal.Min(free, m.left)
	if !taken.IsPositive() {
		return refs
	}
	m.left = m.left.Sub(taken)
	return append(refs, erpnext.PaymentReference{
		ReferenceDoctype: erpnext.DocSalesOrder, ReferenceName: m.to.Name, AllocatedAmount: erpnext.Num(taken),
	})
}

// revisedKey adds a revision to a key. A key of full length loses its
// beginning for it: its end is a digest of the whole.
func revisedKey(base string, n int) string {
	key := revisionID(base, n)
	return key[max(0, len(key)-erpnext.MaxKey):]
}

// moved remembers that a payment became another document, allocated to an
// order, under all its keys.
func (p *Poster) moved(ctx context.Context, key, name string) error {
	doc, _, err := p.Memory.Document(ctx, erpnext.DocPaymentEntry, key)
	if err != nil {
		return memoryError("posting.memory", err)
	}
	data := map[string]string{dataLinked: "1", dataKeys: key}
	maps.Copy(data, doc.Data)
	var docs []event.Document
	for key := range strings.SplitSeq(data[dataKeys], "\n") {
		docs = append(docs, event.Document{DocType: erpnext.DocPaymentEntry, Key: key, Name: name, Data: data})
	}
	return memoryError("posting.memory", p.Memory.Remember(ctx, "", docs...))
}
