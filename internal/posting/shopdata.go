package posting

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

// CustomerUpdate is what becomes of a customer that exists already.
type CustomerUpdate string

// The ways to update a customer.
const (
	FillCustomers      CustomerUpdate = ""          // fill what is empty
	OverwriteCustomers CustomerUpdate = "overwrite" // the shop is right
	KeepCustomers      CustomerUpdate = "never"
)

// CustomerPolicy says how a shop's customers are made and kept.
type CustomerPolicy struct {
	FromShop    bool           // make and update customers that the shop tells of without an order
	Update      CustomerUpdate // of one that exists, by the shop or by an order
	OnePerGuest bool           // each order without an account makes a customer of its own
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
	made, err := p.ensureCustomer(ctx, f, &r)
	if err == nil {
		err = p.updateCustomer(ctx, made.name, f, desk.Customers.Update, &r)
	}
	return desk.settled(r, err)
}

// updateCustomer brings a customer that existed to what the shop says of it
// now, if that is not what it said last: asking ERPNext at every order would
// cost a request each. What was said is remembered as a digest.
func (p *Poster) updateCustomer(ctx context.Context, name string, f found, how CustomerUpdate, r *Result) error {
	if f.name == "" || f.wanted.Key == "" || f.said == f.heard || how == KeepCustomers {
		return nil
	}
	if how == FillCustomers && f.wanted.TaxID == "" && len(f.wanted.Extra) == 0 {
		return nil // a name is never empty in ERPNext
	}
	var now map[string]any
	if err := p.Site.Get(ctx, erpnext.DocCustomer, name, &now); err != nil {
		return err
	}
	fields := map[string]any{}
	for field, wanted := range changeable(f.wanted) {
		has := text(now[field])
		if wanted := text(wanted); wanted != "" && wanted != has && (has == "" || how == OverwriteCustomers) {
			fields[field] = wanted
		}
	}
	if len(fields) > 0 {
		if err := p.Site.Update(ctx, erpnext.DocCustomer, name, fields, nil); err != nil {
			return err
		}
	}
	r.add(customerDocument(name, f))
	return nil
}

// changeable are what people read of a customer, and the sheet's own fields.
func changeable(c erpnext.Customer) map[string]any {
	fields := map[string]any{"customer_name": c.CustomerName, "tax_id": c.TaxID}
	maps.Copy(fields, c.Extra)
	return fields
}

// text is a field's value as ERPNext's answer and our own wish have it alike.
func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// customerDigest sums up what a shop says of a customer that may be updated.
func customerDigest(c erpnext.Customer) string {
	var d digest
	fields := changeable(c)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		d.add(name, fields[name])
	}
	return d.sum()
}

func customerDocument(name string, f found) event.Document {
	return event.Document{DocType: erpnext.DocCustomer, Name: name, Key: f.wanted.Key, Data: map[string]string{"said": f.said}}
}

// Product brings the items of a shop's product to what the shop says of it,
// where the sheet asks for that: those that exist get its title, those that are
// missing are made if items.create says so. Prices, groups and codes are the
// merchant's. Only the newest of what the shop says counts.
func (p *Poster) Product(ctx context.Context, origin Origin, product commerce.Product) (Result, error) {
	desk := p.desk(origin)
	switch {
	case !desk.Products:
		return Result{Ignored: "products are not booked: set products to on in the mapping sheet to keep their items"}, nil
	case product.Deleted:
		return Result{Ignored: "the shop deleted the product: ERPNext's items stay, with their documents"}, nil
	}
	books, err := desk.books.get(ctx)
	if err != nil {
		return Result{}, err
	}
	key := origin.Key("product", product.ID)
	end, err := p.turns.take(ctx, key)
	if err != nil {
		return Result{}, err
	}
	defer end()
	version := product.UpdatedAt.UTC().Format(time.RFC3339Nano)
	last, ok, err := p.Memory.Document(ctx, erpnext.DocItem, key)
	switch {
	case err != nil:
		return Result{}, memoryError("posting.product", err)
	case ok && last.Data["version"] >= version:
		return Result{Note: "what the shop says of the product is in ERPNext already"}, nil
	}
	r := Result{}
	made, renamed, err := p.keepItems(ctx, books, product)
	if err == nil {
		r.Note = fmt.Sprintf("items: %d made, %d renamed", made, renamed)
		err = memoryError("posting.product", p.Memory.Remember(ctx, "", event.Document{DocType: erpnext.DocItem, Key: key, Data: map[string]string{"version": version}}))
	}
	return desk.settled(r, err)
}

// keepItems names the items of a product's variants, and makes those that are
// missing.
func (p *Poster) keepItems(ctx context.Context, books mapping.Books, product commerce.Product) (made, renamed int, err error) {
	var lines []commerce.Line
	for _, v := range product.Variants {
		lines = append(lines, commerce.Line{SKU: v.SKU, VariantID: v.ID, Title: v.Title})
	}
	known := itemBook{}
	names, err := known.ask(ctx, p.Site, books, lines)
	if err != nil {
		return 0, 0, err
	}
	for _, line := range lines {
		code, ok := books.ItemOf(line, known.code)
		name := books.ItemName(line)
		if !ok || name == "" || names[code] == name {
			continue
		}
		if err := p.Site.Update(ctx, erpnext.DocItem, code, map[string]any{"item_name": name}, nil); err != nil {
			return 0, renamed, err
		}
		renamed++
	}
	made, err = p.makeItems(ctx, books, known, lines)
	return made, renamed, err
}

// alreadyThere reports whether somebody made a document in the meantime.
func alreadyThere(err error) bool { return err != nil && fault.KindOf(err) == fault.Duplicate }
