package posting

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/shopspring/decimal"
)

// dataOrder is the key of the order that a name stands for.
const dataOrder = "order"

// freePayment is a Payment Entry as ERPNext has it, with what is not allocated.
type freePayment struct {
	Name      string `json:"name"`
	DocStatus int    `json:"docstatus"`
	erpnext.PaymentEntry
	Free erpnext.Number `json:"unallocated_amount"`
}

// PayInvoices allocates a payment that was just booked, and that found its order
// invoiced already, to the invoices of ours that are open. ERPNext does not
// change the references of a submitted payment, so it is booked again. r is what
// booking it led to; it is completed.
func (p *Poster) PayInvoices(ctx context.Context, refs []string, r Result) (Result, error) {
	for _, shop := range p.Shops {
		if p.desk(shop).Orders.Invoices == InvoiceNever {
			continue
		}
		for _, ref := range refs {
			key, err := p.invoicedOrder(ctx, shop, ref)
			if err != nil {
				return r, err
			}
			if key == "" {
				continue
			}
			if err := p.payInvoicesOf(ctx, shop, key, &r); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// invoicedOrder is the key of the order that a payment names, if anything
// follows that order.
func (p *Poster) invoicedOrder(ctx context.Context, shop Origin, ref string) (string, error) {
	keys := []string{shop.Key("order-name", orderName(ref))}
	if isDigits(ref) {
		keys = append(keys, shop.Key("order", ref))
	}
	for _, key := range keys {
		doc, ok, err := p.Memory.Document(ctx, orderFiles, key)
		switch {
		case err != nil:
			return "", memoryError("posting.payment", err)
		case ok && doc.Data[dataOrder] != "":
			return doc.Data[dataOrder], nil
		case ok:
			return key, nil
		}
	}
	return "", nil
}

func (p *Poster) payInvoicesOf(ctx context.Context, shop Origin, key string, r *Result) error {
	end, err := p.turns.take(ctx, key)
	if err != nil {
		return err
	}
	defer end()
	state, err := p.orderState(ctx, key)
	if err != nil {
		return err
	}
	desk := p.desk(shop)
	books, err := desk.books.get(ctx)
	if err != nil {
		return err
	}
	f, err := p.following(ctx, counter{desk, books, shop}, key, state.name, commerce.Order{}, r)
	if err != nil || !f.invoiced() {
		return err
	}
	waiting := append([]string{key}, f.file.Names...)
	loose, err := p.loose(ctx, waiting...)
	if err != nil {
		return err
	}
	payments := slices.Clone(loose)
	for _, d := range r.Documents { // an earlier try may have booked it without saying that it is loose
		if d.DocType == erpnext.DocPaymentEntry && !slices.Contains(payments, d.Name) {
			payments = append(payments, d.Name)
		}
	}
	for _, name := range payments {
		if err := f.payWith(ctx, name); err != nil {
			return err
		}
	}
	if len(loose) > 0 {
		return p.tied(ctx, waiting...)
	}
	return nil
}

// payWith books one payment again, allocated to what is open of the invoices.
func (f *following) payWith(ctx context.Context, name string) error {
	var old freePayment
	if err := f.Site.Get(ctx, erpnext.DocPaymentEntry, name, &old); err != nil {
		return err
	}
	begun := f.file.Linking == name
	if old.Key == "" || old.PaymentType != "Receive" || old.DocStatus != erpnext.Submitted && !begun {
		return nil // made, or cancelled, by a person
	}
	if !begun && !old.Free.Round(6).IsPositive() {
		return nil
	}
	refs, payer, err := f.openInvoices(ctx, old)
	if err != nil || len(refs) == 0 && !begun {
		return err
	}
	// The intention is written down, and with it what the payment is known by:
	// whoever comes after a crash goes on.
	f.file.Linking = name
	if err := f.save(ctx); err != nil {
		return err
	}
	if err := f.Memory.Remember(ctx, "", f.result.Documents...); err != nil {
		return memoryError("posting.payment", err)
	}
	if old.DocStatus == erpnext.Submitted {
		if err := f.Site.Cancel(ctx, erpnext.DocPaymentEntry, name); err != nil {
			return err
		}
	}
	old.Party = cmp.Or(payer, old.Party) // who paid may not have been known
	return f.bookAgain(ctx, old, refs)
}

// openInvoices divides what a payment has free among the invoices that are
// open, the oldest first, and tells whose they are.
func (f *following) openInvoices(ctx context.Context, old freePayment) ([]erpnext.PaymentReference, string, error) {
	free := old.Free.Round(6)
	var refs []erpnext.PaymentReference
	customer := ""
	ids := []string{}
	for id, d := range f.file.Invoices {
		if d.stands() {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, mapping.CompareIDs)
	for _, id := range ids {
		var si erpnext.Stored
		err := f.Site.Get(ctx, erpnext.DocSalesInvoice, f.file.Invoices[id].Name, &si)
		switch {
		case isMissing(err, erpnext.DocSalesInvoice):
			continue
		case err != nil:
			return nil, "", err
		}
		customer = cmp.Or(customer, si.Customer)
		open := decimal.Min(free, si.OutstandingAmount.Decimal)
		if si.DocStatus != erpnext.Submitted || !open.IsPositive() {
			continue
		}
		free = free.Sub(open)
		refs = append(refs, erpnext.PaymentReference{ReferenceDoctype: erpnext.DocSalesInvoice, ReferenceName: si.Name, AllocatedAmount: erpnext.Num(open)})
	}
	return refs, customer, nil
}

// bookAgain books a cancelled payment under a revision of its key; where ERPNext
// refuses the allocation, on account as it was.
func (f *following) bookAgain(ctx context.Context, old freePayment, refs []erpnext.PaymentReference) error {
	base, n := splitRevision(old.Key)
	pe := old.PaymentEntry
	pe.Key, pe.AmendedFrom = revisedKey(base, n+1), old.Name
	pe.References = slices.Concat(old.References, refs)
	stored, err := f.ensureSubmitted(ctx, erpnext.DocPaymentEntry, pe.Key, pe)
	if failed := asFault(err); failed != nil && failed.Kind == fault.Rejected {
		refs, pe.References = nil, old.References
		stored, err = f.ensureSubmitted(ctx, erpnext.DocPaymentEntry, pe.Key, pe)
	}
	if err != nil {
		return err
	}
	if err := f.renamed(ctx, base, old.Name, stored.Name, len(refs) > 0); err != nil {
		return err
	}
	if len(refs) > 0 {
		f.result.Note, f.result.Warn = "the payment pays "+refs[0].ReferenceName, nil
	}
	f.file.Linking = ""
	return f.save(ctx)
}

// renamed remembers what a payment became, under all that it is known by.
func (f *following) renamed(ctx context.Context, key, from, to string, linked bool) error {
	doc, _, err := f.Memory.Document(ctx, erpnext.DocPaymentEntry, key)
	if err != nil {
		return memoryError("posting.payment", err)
	}
	data := map[string]string{dataKeys: key}
	maps.Copy(data, doc.Data)
	if linked {
		data[dataLinked] = "1"
	}
	var docs []event.Document
	for key := range strings.SplitSeq(data[dataKeys], "\n") {
		docs = append(docs, event.Document{DocType: erpnext.DocPaymentEntry, Key: key, Name: to, Data: data})
	}
	if err := f.Memory.Remember(ctx, "", docs...); err != nil {
		return memoryError("posting.payment", err)
	}
	for i := range f.result.Documents {
		if d := &f.result.Documents[i]; d.DocType == erpnext.DocPaymentEntry && d.Name == from {
			d.Name, d.Data = to, data
		}
	}
	return nil
}
