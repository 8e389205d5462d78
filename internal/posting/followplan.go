package posting

import (
	"context"
	"fmt"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

// planFollowers tells which documents would follow an order's Sales Order. One
// that is not made yet has no names of its rows: they stand as "row 1".
func (p *Poster) planFollowers(ctx context.Context, c counter, key string, o commerce.Order, so erpnext.SalesOrder) ([]Planned, error) {
	if !c.Orders.follows() {
		return nil, nil
	}
	state, err := p.orderState(ctx, key)
	if err != nil {
		return nil, err
	}
	f, err := p.following(ctx, c, key, state.name, o, &Result{})
	if err != nil {
		return nil, err
	}
	stored := asPlanned(so)
	if state.name != "" {
		if err := p.Site.Get(ctx, erpnext.DocSalesOrder, state.name, &stored); err != nil {
			return nil, err
		}
	}
	f.so = &stored
	if f.file.Bill == nil {
		bill, err := c.books.Bill(o)
		if err != nil {
			return nil, err
		}
		f.file.Bill = &bill
	}
	if !f.file.Bill.Fits(stored) {
		return nil, nil
	}
	return f.plan(ctx)
}

// asPlanned is a Sales Order as ERPNext would have it.
func asPlanned(so erpnext.SalesOrder) erpnext.Stored {
	stored := erpnext.Stored{
		Name: "the Sales Order", Customer: so.Customer, Currency: so.Currency, ConversionRate: so.ConversionRate, PoNo: so.PoNo,
		SellingPriceList: so.SellingPriceList, Taxes: so.Taxes,
	}
	for i, row := range so.Items {
		stored.Items = append(stored.Items, erpnext.StoredRow{
			Name: fmt.Sprintf("row %d", i+1), ItemCode: row.ItemCode, ItemName: row.ItemName, Description: row.Description, Qty: row.Qty, Rate: row.Rate,
			UOM: row.UOM, ConversionFactor: row.ConversionFactor, Warehouse: row.Warehouse, CostCenter: row.CostCenter, ItemTaxTemplate: row.ItemTaxTemplate,
		})
		stored.GrandTotal = erpnext.Num(stored.GrandTotal.Add(row.Qty.Mul(row.Rate.Decimal)))
	}
	for _, row := range so.Taxes {
		stored.GrandTotal = erpnext.Num(stored.GrandTotal.Add(row.TaxAmount.Decimal))
	}
	return stored
}

// plan lists the documents. Those that are there are not compared: they were
// made of what the order was then.
func (f *following) plan(ctx context.Context) ([]Planned, error) {
	var all []Planned
	add := func(doctype, key string, body any) error {
		one, err := f.planned(ctx, doctype, key, body)
		one.Wanted = nil
		all = append(all, one)
		return err
	}
	for _, full := range f.fulfillments() {
		if full.Cancelled || !f.Orders.DeliveryNotes {
			continue
		}
		key := f.origin.Key("fulfillment", full.ID)
		dn, goods, err := f.books.DeliveryNote(f.order, full, *f.so, *f.file.Bill, f.pieces(full), key)
		if err == nil && goods {
			err = add(erpnext.DocDeliveryNote, key, dn)
		}
		if err != nil {
			return all, err
		}
	}
	for _, of := range f.plannedInvoices() {
		si, _, err := f.books.SalesInvoice(f.order, *f.so, *f.file.Bill, of)
		if err != nil {
			return all, err
		}
		if err := add(erpnext.DocSalesInvoice, of.Key, si); err != nil {
			return all, err
		}
	}
	return all, f.planCredits(ctx, add)
}

// plannedInvoices are the parts of the order that would be invoiced.
func (f *following) plannedInvoices() []mapping.InvoiceOf {
	if f.Orders.Invoices == InvoicePaid && f.order.Paid {
		return []mapping.InvoiceOf{{Key: f.origin.Key("invoice", f.order.ID), At: f.order.UpdatedAt, Pieces: f.file.Bill.All(), Remainder: true}}
	}
	var list []mapping.InvoiceOf
	for _, full := range f.fulfillments() {
		if pieces := f.pieces(full); f.Orders.Invoices == InvoiceFulfilled && !full.Cancelled && len(pieces) > 0 {
			list = append(list, mapping.InvoiceOf{Key: f.origin.Key("invoice", full.ID), At: full.At, Pieces: pieces, Remainder: len(list) == 0})
		}
	}
	return list
}

// planCredits adds the credit notes of invoices that are there.
func (f *following) planCredits(ctx context.Context, add func(doctype, key string, body any) error) error {
	if !f.Orders.CreditNotes || !f.invoiced() {
		return nil
	}
	invoices, err := f.readInvoices(ctx)
	if err != nil {
		return err
	}
	for _, c := range f.file.Bill.Fresh(f.order.Credits) {
		if f.file.Credits[c.ID] != nil {
			continue
		}
		notes, err := f.books.CreditNotes(c, *f.so, *f.file.Bill, invoices, f.origin.Key("credit", c.ID))
		if err != nil {
			return err
		}
		for _, note := range notes {
			if err := add(erpnext.DocSalesInvoice, note.Key, note.SalesInvoice); err != nil {
				return err
			}
		}
	}
	return nil
}
