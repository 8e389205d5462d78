package posting

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
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
	Unallocated erpnext.Number `json:"unallocated_amount"`
}

// move is the way of a payment's allocation from a Sales Order to the one that
// took its place, or to the one that it is for.
type move struct {
	books mapping.Books
	from  string
	to    erpnext.Stored
	shown string          // what the order's buyer was shown; see orderState
	left  decimal.Decimal // what the new order still takes, in the company's currency
	// guessed says that the allocation so far of the payment in hand was a guess,
	// which goes.
	guessed bool
}

// repay books a payment again, allocated to the order that it is for or to the
// successor of its Sales Order, reduces what that still takes, and gives the new
// name. The references of a submitted payment cannot be changed, so it is
// cancelled and gets a successor itself, under a revision of its key. A payment
// that a person made is left alone: Rejected.
func (p *Poster) repay(ctx context.Context, name string, m *move) (string, error) {
	old, err := p.newest(ctx, name)
	if err != nil {
		return name, err
	}
	if old.Key == "" {
		return name, &fault.Error{Kind: fault.Rejected, Op: "posting.payment", Cause: "the payment was made by hand"}
	}
	base, n := splitRevision(old.Key)
	known, _, err := p.Memory.Document(ctx, erpnext.DocPaymentEntry, base)
	if err != nil {
		return name, memoryError("posting.memory", err)
	}
	linked := "1"
	m.guessed = known.Data[dataLinked] == linkedByGuess
	if m.guessed && old.refersTo(m.from) { // the guess is as good as it was
		m.guessed, linked = false, linkedByGuess
	}
	if has := m.has(old); has.IsPositive() {
		m.left = m.left.Sub(has)
		worth, exchange := old.worth(m.books.ExchangeAccount)
		return old.Name, p.moved(ctx, base, old.Name, linked, worth.Add(exchange))
	}
	pe := old.PaymentEntry
	pe.Key, pe.AmendedFrom = revisedKey(base, n+1), old.Name
	pe.Party = m.to.Customer // who paid may not have been known
	charged := readAmount(known.Data[dataCharged])
	credited, err := old.divide(m, &pe, charged)
	if err != nil {
		return name, err
	}
	if err := p.moving(ctx, base); err != nil {
		return name, err
	}
	if err := p.Site.Cancel(ctx, erpnext.DocPaymentEntry, old.Name); err != nil {
		return name, err
	}
	// It is cancelled by now, so it must be booked again. Where its orders take
	// less than they did, because another payment was faster, with what is left of
	// the new one; where none takes anything, on account.
	stored, err := p.ensureSubmitted(ctx, erpnext.DocPaymentEntry, pe.Key, pe)
	for _, less := range []func(*bookedPayment) error{
		func(old *bookedPayment) error { return errors.Join(p.readLeftOf(ctx, m), p.reduce(ctx, old)) },
		func(old *bookedPayment) error { old.References, m.left = nil, decimal.Zero; return nil },
	} {
		if f := asFault(err); f == nil || f.Kind != fault.Rejected {
			break
		}
		if err := less(&old); err != nil {
			return name, err
		}
		if credited, err = old.divide(m, &pe, charged); err != nil {
			return name, err
		}
		stored, err = p.ensureSubmitted(ctx, erpnext.DocPaymentEntry, pe.Key, pe)
	}
	if err != nil {
		return name, err
	}
	return stored.Name, p.moved(ctx, base, stored.Name, linked, credited)
}

// newest reads a payment; of one that is cancelled the last of those that took
// its place, whatever the memory says: a try that was cut off may have got that
// far.
func (p *Poster) newest(ctx context.Context, name string) (bookedPayment, error) {
	var old bookedPayment
	if err := p.Site.Get(ctx, erpnext.DocPaymentEntry, name, &old); err != nil || old.DocStatus != erpnext.Cancelled || old.Key == "" {
		return old, err
	}
	base, n := splitRevision(old.Key)
	var rows []erpnext.Stored
	err := p.Site.List(ctx, erpnext.Query{
		DocType: erpnext.DocPaymentEntry, Fields: []string{"name", erpnext.KeyField}, Limit: -1,
		Filters: [][]any{{erpnext.KeyField, "like", base + "/r%"}, {"docstatus", ">", erpnext.Draft}},
	}, &rows)
	if err != nil {
		return old, err
	}
	for _, row := range rows {
		if _, m := splitRevision(row.Key); m > n {
			n, name = m, row.Name
		}
	}
	if name == old.Name {
		return old, nil
	}
	var last bookedPayment
	return last, p.Site.Get(ctx, erpnext.DocPaymentEntry, name, &last)
}

// reduce leaves a payment what its Sales Orders still take.
func (p *Poster) reduce(ctx context.Context, old *bookedPayment) error {
	var refs []erpnext.PaymentReference
	for _, ref := range old.References {
		if ref.ReferenceDoctype == erpnext.DocSalesOrder {
			so, err := p.orderNow(ctx, ref.ReferenceName)
			if err != nil {
				return err
			}
			less := decimal.Min(ref.AllocatedAmount.Decimal, leftOf(so))
			old.Unallocated = erpnext.Num(old.Unallocated.Add(ref.AllocatedAmount.Sub(less)))
			ref.AllocatedAmount = erpnext.Num(less)
		}
		if ref.AllocatedAmount.IsPositive() {
			refs = append(refs, ref)
		}
	}
	old.References = refs
	return nil
}

// letGo takes a payment off every document, to the customer's account.
func (old *bookedPayment) letGo() {
	for _, ref := range old.References {
		old.Unallocated = erpnext.Num(old.Unallocated.Add(ref.AllocatedAmount.Decimal))
	}
	old.References = nil
}

// readLeftOf asks what the new order still takes.
func (p *Poster) readLeftOf(ctx context.Context, m *move) error {
	so, err := p.orderNow(ctx, m.to.Name)
	m.left = leftOf(so)
	return err
}

func (old bookedPayment) refersTo(order string) bool {
	return slices.ContainsFunc(old.References, func(r erpnext.PaymentReference) bool { return r.ReferenceName == order })
}

// has is what of a payment the new order has already: a try that was cut off may
// have got that far. Zero when its references are not yet as they should be.
func (m *move) has(old bookedPayment) decimal.Decimal {
	has := decimal.Zero
	for _, ref := range old.References {
		switch {
		case old.DocStatus != erpnext.Submitted:
			return decimal.Zero
		case ref.ReferenceName == m.to.Name:
			has = ref.AllocatedAmount.Decimal
		case m.guessed, ref.ReferenceName == m.from:
			return decimal.Zero
		}
	}
	return has
}

// divide sets the references and deductions of the payment's successor, and
// gives what the customer's account gets: what other documents have of the
// payment stays theirs.
func (old bookedPayment) divide(m *move, pe *erpnext.PaymentEntry, charged money.Amount) (decimal.Decimal, error) {
	worth, exchange := old.worth(m.books.ExchangeAccount)
	free := worth.Add(exchange)
	pe.References = nil
	for _, ref := range old.References {
		switch {
		case m.guessed, ref.ReferenceName == m.from, ref.ReferenceName == m.to.Name:
		default:
			free = free.Sub(ref.AllocatedAmount.Decimal)
			pe.References = append(pe.References, ref)
		}
	}
	due := mapping.Due{
		Order: m.to.Name, Total: money.New(m.to.GrandTotal.Decimal, m.to.Currency), Shown: readAmount(m.shown), Base: baseTotal(m.to).Decimal, Left: m.left,
	}
	paid := mapping.Money{Charged: charged, Worth: free}
	if len(pe.References) == 0 {
		paid.Worth = worth
	}
	if charged.Currency() == "" || len(pe.References) > 0 { // nobody knows which part of the charge is free
		paid.Charged = money.New(paid.Worth, m.books.Currency)
		due.Total, due.Shown = money.New(due.Base, m.books.Currency), money.Amount{}
	}
	split := m.books.Split(paid, []mapping.Due{due})
	for _, a := range split.Allocations {
		m.left = m.left.Sub(a.Amount.Value())
		pe.References = append(pe.References, erpnext.PaymentReference{
			ReferenceDoctype: erpnext.DocSalesOrder, ReferenceName: a.Order, AllocatedAmount: erpnext.Num(a.Amount.Value()),
		})
	}
	if len(old.References) > 0 && len(pe.References) > len(split.Allocations) {
		return worth.Add(exchange), nil // the exchange difference stays with those that made it
	}
	pe.Deductions = old.withoutExchange(m.books.ExchangeAccount)
	difference, err := m.books.Exchange(split.Exchange)
	pe.Deductions = append(pe.Deductions, difference...)
	return split.Credited(), err
}

// worth is what the movement was worth to the company, and what the books call
// the difference to what the customer's account got.
func (old bookedPayment) worth(exchangeAccount string) (decimal.Decimal, decimal.Decimal) {
	worth, exchange := old.PaidAmount.Decimal, decimal.Zero
	for _, d := range old.Deductions {
		if d.Account == exchangeAccount {
			exchange = exchange.Add(d.Amount.Decimal)
		} else {
			worth = worth.Add(d.Amount.Decimal)
		}
	}
	return worth, exchange
}

func (old bookedPayment) withoutExchange(account string) []erpnext.PaymentDeduction {
	return slices.DeleteFunc(slices.Clone(old.Deductions), func(d erpnext.PaymentDeduction) bool { return d.Account == account })
}

// revisedKey adds a revision to a key. A key of full length loses its
// beginning for it: its end is a digest of the whole.
func revisedKey(base string, n int) string {
	key := revisionID(base, n)
	return key[max(0, len(key)-erpnext.MaxKey):]
}

// moved remembers that a payment became another document, allocated to an
// order, under all its keys.
func (p *Poster) moved(ctx context.Context, key, name, linked string, credited decimal.Decimal) error {
	return p.redata(ctx, key, func(doc *event.Document) {
		delete(doc.Data, dataMoving)
		doc.Name, doc.Data[dataLinked], doc.Data[dataCredited] = name, linked, credited.String()
	})
}

// moving writes down that a payment is about to be cancelled to be booked again,
// so that whoever comes after a crash does not take it for done.
func (p *Poster) moving(ctx context.Context, key string) error {
	return p.redata(ctx, key, func(doc *event.Document) { doc.Data[dataMoving] = "1" })
}

// redata changes what is remembered of a payment, under all its keys. What is not
// remembered yet, because its event is not settled, is written down by moved.
func (p *Poster) redata(ctx context.Context, key string, change func(*event.Document)) error {
	doc, ok, err := p.Memory.Document(ctx, erpnext.DocPaymentEntry, key)
	if err != nil {
		return memoryError("posting.memory", err)
	}
	data := map[string]string{dataKeys: key}
	maps.Copy(data, doc.Data)
	doc.DocType, doc.Data = erpnext.DocPaymentEntry, data
	if change(&doc); !ok && doc.Name == "" {
		return nil
	}
	var docs []event.Document
	for key := range strings.SplitSeq(data[dataKeys], "\n") {
		doc.Key = key
		docs = append(docs, doc)
	}
	return memoryError("posting.memory", p.Memory.Remember(ctx, "", docs...))
}
