package posting

import (
	"context"
	"fmt"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// CustomerUpdate is what becomes of a customer that exists already.
type CustomerUpdate string

// The ways to update a customer.
const (
	FillCustomers      CustomerUpdate = ""          // fill what is empty
	OverwriteCustomers CustomerUpdate = "overwrite" // the shop is right
	KeepCustomers      CustomerUpdate = "never"
)

// CustomerPolicy says what a shop's customers are good for without an order.
type CustomerPolicy struct {
	FromShop bool // make and update customers that the shop tells of
	Update   CustomerUpdate
}

// Customer brings ERPNext's customer to what the shop says of it, where the
// sheet asks for that. A customer that the shop deleted is left as it is: its
// documents are the merchant's. Accounting fields are never touched.
func (p *Poster) Customer(ctx context.Context, origin Origin, party commerce.Party) (Result, error) {
	desk := p.desk(origin)
	switch {
	case !desk.Customers.FromShop:
		return Result{Ignored: "customers are made from their orders: set customers.from_shop to on in the mapping sheet to book them without one"}, nil
	case party.Deleted:
		return Result{Ignored: "the shop deleted the customer: ERPNext's stays, with its documents"}, nil
	}
	books, err := desk.books.get(ctx)
	if err != nil {
		return Result{}, err
	}
	end, err := p.turns.take(ctx, buyer(origin, &party))
	if err != nil {
		return Result{}, err
	}
	defer end()
	var r Result
	f, err := p.seekCustomer(ctx, counter{desk, books, origin}, &party)
	if err != nil {
		return r, err
	}
	existed := f.name != ""
	made, err := p.ensureCustomer(ctx, f, &r)
	if err != nil || !existed || desk.Customers.Update == KeepCustomers {
		return desk.settled(r, err)
	}
	err = p.updateCustomer(ctx, made.name, f.wanted, desk.Customers.Update)
	return desk.settled(r, err)
}

// updateCustomer changes what people read of a customer.
func (p *Poster) updateCustomer(ctx context.Context, name string, wanted erpnext.Customer, how CustomerUpdate) error {
	var now erpnext.Customer
	if err := p.Site.Get(ctx, erpnext.DocCustomer, name, &now); err != nil {
		return err
	}
	fields := map[string]any{}
	for field, value := range map[string]struct{ now, wanted string }{
		"customer_name": {now.CustomerName, wanted.CustomerName}, "tax_id": {now.TaxID, wanted.TaxID},
		"customer_group": {now.CustomerGroup, wanted.CustomerGroup}, "territory": {now.Territory, wanted.Territory},
	} {
		if value.wanted != "" && value.now != value.wanted && (value.now == "" || how == OverwriteCustomers && field != "customer_group" && field != "territory") {
			fields[field] = value.wanted
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return p.Site.Update(ctx, erpnext.DocCustomer, name, fields, nil)
}

// Product makes the items of a shop's product that are missing in ERPNext,
// where the sheet asks for that. Items that exist are the merchant's: neither
// their names nor their prices are changed.
func (p *Poster) Product(ctx context.Context, origin Origin, product commerce.Product) (Result, error) {
	desk := p.desk(origin)
	switch {
	case !desk.Products:
		return Result{Ignored: "products are not booked: set products to on in the mapping sheet to make their items"}, nil
	case product.Deleted:
		return Result{Ignored: "the shop deleted the product: ERPNext's items stay, with their documents"}, nil
	}
	books, err := desk.books.get(ctx)
	if err != nil {
		return Result{}, err
	}
	if books.Items.Create == nil {
		return Result{Ignored: "missing items are not made: set items.create in the mapping sheet"}, nil
	}
	var lines []commerce.Line
	for _, v := range product.Variants {
		lines = append(lines, commerce.Line{SKU: v.SKU, VariantID: v.ID, Title: v.Title})
	}
	known := itemBook{}
	if err := known.ask(ctx, p.Site, books, lines); err != nil {
		return Result{}, err
	}
	made, err := p.makeItems(ctx, books, known, lines)
	r := Result{Note: fmt.Sprintf("%d items made", made)}
	return desk.settled(r, err)
}

// alreadyThere reports whether somebody made a document in the meantime.
func alreadyThere(err error) bool { return err != nil && fault.KindOf(err) == fault.Duplicate }
