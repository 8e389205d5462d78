package posting

import (
	"cmp"
	"context"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

// Planned is one document that an event asks for.
type Planned struct {
	DocType string `json:"doctype"`
	Key     string `json:"key,omitempty"`
	Exists  string `json:"exists,omitempty"` // ERPNext's name, when it is there already
	Body    any    `json:"body,omitempty"`   // what would be sent, when it is not
	Wanted  any    `json:"-"`                // the body that one that is there is to be compared with; nil = nothing is wanted of it
}

// Plan is what posting would do. Note says what a person would be told.
type Plan struct {
	Documents []Planned `json:"documents"`
	Note      string    `json:"note,omitempty"`
}

// PlanOrder tells what Order would make, with today's books, and makes nothing.
// It reads from ERPNext. SKUs are taken to be items, as Order does at first.
func (p *Poster) PlanOrder(ctx context.Context, origin Origin, o commerce.Order) (Plan, error) {
	desk := p.desk(origin)
	if reason := desk.Orders.skips(o); reason != "" {
		return Plan{Documents: []Planned{}, Note: reason}, nil
	}
	if o.Cancelled() {
		return Plan{Documents: []Planned{}, Note: "the order is cancelled in the shop: its Sales Order is cancelled, or closed when goods or invoices went out; if there is none, none is made"}, nil
	}
	books, err := desk.books.get(ctx)
	if err != nil {
		return Plan{}, err
	}
	customer, err := p.seekBuyer(ctx, counter{desk, books, origin}, o)
	if err != nil {
		return Plan{}, err
	}
	key := origin.Key("order", o.ID)
	so, err := books.SalesOrder(o, key, cmp.Or(customer.name, customer.wanted.CustomerName), itemBook{}.code)
	if err != nil {
		return Plan{}, err
	}
	order, err := p.planned(ctx, erpnext.DocSalesOrder, key, so)
	return Plan{Documents: []Planned{customer.planned(), order}}, err
}

// PlanPayment tells what Payment would make if it did not wait for its order.
func (p *Poster) PlanPayment(ctx context.Context, origin Origin, pay commerce.Payment) (Plan, error) {
	w, err := p.paymentWork(ctx, origin, pay)
	if err != nil {
		return Plan{}, err
	}
	if err := w.settle(ctx, time.Time{}); err != nil {
		return Plan{}, err
	}
	if err := w.findOrders(ctx); err != nil {
		return Plan{}, err
	}
	if err := w.value(ctx); err != nil {
		return Plan{}, err
	}
	if _, err := w.divide(ctx); err != nil {
		return Plan{}, err
	}
	payer, err := w.payer(ctx)
	if err != nil {
		return Plan{}, err
	}
	pe, err := w.books.PaymentEntry(w.pay, w.key, cmp.Or(payer.name, payer.wanted.CustomerName), w.rate, w.split)
	if err != nil {
		return Plan{}, err
	}
	payment, err := p.planned(ctx, erpnext.DocPaymentEntry, w.key, pe)
	return Plan{Documents: []Planned{payer.planned(), payment}, Note: w.result.Note}, err
}

func (p *Poster) planned(ctx context.Context, doctype, key string, body any) (Planned, error) {
	name, ok, err := p.known(ctx, doctype, key)
	if ok {
		return Planned{DocType: doctype, Key: key, Exists: name, Wanted: body}, err
	}
	return Planned{DocType: doctype, Key: key, Body: body}, err
}

func (f found) planned() Planned {
	if f.name != "" {
		return Planned{DocType: erpnext.DocCustomer, Exists: f.name}
	}
	return Planned{DocType: erpnext.DocCustomer, Key: f.wanted.Key, Body: f.wanted}
}
