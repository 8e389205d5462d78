package posting

import (
	"cmp"
	"context"
	"fmt"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/shopspring/decimal"
)

// invoiceWhole invoices the order as it was booked.
func (f *following) invoiceWhole(ctx context.Context) error {
	if ok, err := f.ready(ctx); !ok || err != nil {
		return err
	}
	at := f.order.UpdatedAt
	if at.IsZero() {
		at = f.order.CreatedAt
	}
	return f.invoice(ctx, f.order.ID, mapping.InvoiceOf{At: at, Pieces: f.file.Bill.All(), Remainder: true})
}

// invoiceFulfillment invoices what left, with its own share of tax. The first
// invoice carries what belongs to no piece; when it was cancelled, the next one.
func (f *following) invoiceFulfillment(ctx context.Context, full commerce.Fulfillment) error {
	if ok, err := f.ready(ctx); !ok || err != nil {
		return err
	}
	of := mapping.InvoiceOf{At: full.At, Pieces: f.pieces(full), Remainder: true}
	if of.At.IsZero() {
		of.At = f.order.UpdatedAt
	}
	for _, d := range f.file.Invoices {
		of.Remainder = of.Remainder && !(d.stands() && d.Remainder)
	}
	if len(of.Pieces) == 0 {
		f.file.Invoices[full.ID] = &follower{State: leftOut}
		return f.save(ctx)
	}
	return f.invoice(ctx, full.ID, of)
}

func (f *following) invoice(ctx context.Context, id string, of mapping.InvoiceOf) error {
	of.Key = f.origin.Key("invoice", id)
	si, total, err := f.books.SalesInvoice(f.order, *f.so, *f.file.Bill, of)
	if err != nil {
		return err
	}
	if by, err := f.doneByHand(ctx, erpnext.DocSalesInvoice, of.Key, overbills(si, *f.so)); by || err != nil {
		f.file.Invoices[id] = &follower{State: leftOut}
		return firstError(err, func() error { return f.save(ctx) })
	}
	done, err := f.put(ctx, erpnext.DocSalesInvoice, of.Key, si, func(stored *erpnext.Stored) error { return f.reach(ctx, si, total, stored) })
	if err != nil {
		return err
	}
	done.Remainder = of.Remainder
	f.file.Invoices[id] = done
	return f.save(ctx)
}

// overbills reports whether the Sales Order has not as much left as the invoice
// would bill.
func overbills(si erpnext.SalesInvoice, so erpnext.Stored) bool {
	wanted := map[string]decimal.Decimal{}
	for _, row := range si.Items {
		wanted[row.SoDetail] = wanted[row.SoDetail].Add(row.Qty.Mul(row.Rate.Decimal))
	}
	for _, row := range so.Items {
		amount := row.Qty.Mul(row.Rate.Decimal)
		if w := wanted[row.Name]; w.IsPositive() && w.Add(row.BilledAmount.Decimal).GreaterThan(amount) {
			return true
		}
	}
	return false
}

// reach holds a draft to its total before it is submitted. Where ERPNext
// computes tax from rates it rounds in its own way, which is known only now.
func (f *following) reach(ctx context.Context, si erpnext.SalesInvoice, total decimal.Decimal, stored *erpnext.Stored) error {
	off := total.Sub(stored.GrandTotal.Decimal)
	if f.file.Bill.Rated && differs(stored.GrandTotal, erpnext.Num(total)) {
		taxes, err := f.books.Rounded(si.Taxes, off, si.Currency, len(si.Items))
		if err == nil {
			err = f.Site.Update(ctx, erpnext.DocSalesInvoice, stored.Name, map[string]any{"taxes": taxes}, stored)
		}
		if err != nil && fault.KindOf(err) != fault.Mismatch {
			return err
		}
	}
	if !differs(stored.GrandTotal, erpnext.Num(total)) {
		return nil
	}
	return &fault.Error{
		Kind: fault.Mismatch, Op: "posting.invoice", Cause: "ERPNext's total of an invoice differs from the shop's",
		Hint: fmt.Sprintf("it should be %s %s, ERPNext's draft %s says %s; %s", total, cmp.Or(stored.Currency, si.Currency), stored.Name, stored.GrandTotal, hintChanged),
	}
}
