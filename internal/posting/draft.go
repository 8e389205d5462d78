package posting

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// draft is a Sales Order as it is wanted and as ERPNext has it.
type draft struct {
	wanted  erpnext.SalesOrder
	stored  erpnext.Stored
	created bool // by this try
}

// draftFor ensures the draft of an order's revision, and its customer and
// items. It is whatever ERPNext has under that revision's key: perhaps
// submitted by an earlier try, perhaps cancelled.
func (w *orderWork) draftFor(ctx context.Context, revision int) (draft, error) {
	// Mapped once ahead: for an order that cannot be mapped nothing is made,
	// not even its customer.
	if _, err := w.books.SalesOrder(w.order, w.key, "", w.items.code); err != nil {
		return draft{}, err
	}
	customer, err := w.customer(ctx)
	if err != nil {
		return draft{}, err
	}
	d, err := w.drafted(ctx, revision, customer)
	switch {
	case isMissing(err, "Item"):
		d, err = w.withKnownItems(ctx, revision, customer)
	case isMissing(err, erpnext.DocCustomer):
		d, err = w.withNewCustomer(ctx, revision, customer)
	}
	if err != nil {
		return draft{}, err
	}
	if !d.created && d.stored.DocStatus == erpnext.Draft {
		if err := w.putRight(ctx, &d); err != nil {
			return draft{}, err
		}
	}
	return d, w.adjust(ctx, &d)
}

// adjust takes back what a site's own rounding of tax rows with rates made
// other than the shop's: that is known only once ERPNext has computed it.
func (w *orderWork) adjust(ctx context.Context, d *draft) error {
	books, ok := w.books.Adjusted(w.order, d.stored.GrandTotal.Decimal)
	if !ok || d.stored.DocStatus != erpnext.Draft || !strings.EqualFold(d.stored.Currency, w.order.Currency) {
		return nil
	}
	so, err := books.SalesOrder(w.order, d.wanted.Key, d.wanted.Customer, w.items.code)
	if err != nil {
		return err
	}
	w.books, d.wanted.Taxes = books, so.Taxes
	return w.Site.Update(ctx, erpnext.DocSalesOrder, d.stored.Name, map[string]any{"taxes": so.Taxes}, &d.stored)
}

// customer finds or makes the order's customer. ERPNext makes an Address with a
// new one: it is the order's, if they are the same.
func (w *orderWork) customer(ctx context.Context) (string, error) {
	made, err := w.Poster.customer(ctx, counter{w.desk, w.books, w.origin}, w.order, &w.result)
	if err != nil || made.address == "" || w.order.Customer == nil || w.order.Customer.Address == nil {
		return made.name, err
	}
	return made.name, w.rememberAddress(ctx, w.addressKey(made.name, *w.order.Customer.Address), made.address)
}

func (w *orderWork) drafted(ctx context.Context, revision int, customer string) (draft, error) {
	key := w.revisionKey(revision)
	so, err := w.books.SalesOrder(w.order, key, customer, w.items.code)
	if err != nil {
		return draft{}, err
	}
	if revision > 0 {
		so.PoNo = "" // ERPNext takes an order number once a customer: it moves when the predecessor is cancelled
	}
	if err := w.addPlaces(ctx, &so); err != nil {
		return draft{}, err
	}
	d := draft{wanted: so}
	d.created, err = w.Site.Ensure(ctx, erpnext.DocSalesOrder, key, so, &d.stored)
	if f := asFault(err); f != nil && f.Kind == fault.Rejected && strings.Contains(f.Cause, erpnext.CausePoNoTaken) {
		return w.draftedAsAnother(ctx, key, so, err)
	}
	return d, w.explainRate(err)
}

// explainRate says which rate of exchange is missing: ERPNext names neither the
// order nor a way out.
func (w *orderWork) explainRate(err error) error {
	f := asFault(err)
	if f == nil || !strings.Contains(f.Cause, erpnext.CauseNoRate) {
		return err
	}
	own := *f
	own.Hint = fmt.Sprintf("the order is in %s and the company keeps its books in %s: make a Currency Exchange record from %s to %s up to the order's day, then replay; "+
		"if buyers pay in several currencies, orders.currency: presentment brings the shop's own rate", w.order.Currency, w.books.Currency, w.order.Currency, w.books.Currency)
	return &own
}

// addPlaces names the order's addresses.
func (w *orderWork) addPlaces(ctx context.Context, so *erpnext.SalesOrder) error {
	fields, err := w.places(ctx, so.Customer)
	if err != nil {
		return err
	}
	so.CustomerAddress, _ = fields["customer_address"].(string)
	so.ShippingAddressName, _ = fields["shipping_address_name"].(string)
	return nil
}

// draftedAsAnother goes on after ERPNext refused the order number because the
// customer has another order of that number. If that is one of ours (two shops
// that number alike and share a customer), the number gets the shop's id of the
// order; one that a person entered is perhaps this very order, and the refusal
// stands, as it does on a site without key fields, where nobody can tell.
func (w *orderWork) draftedAsAnother(ctx context.Context, key string, so erpnext.SalesOrder, refusal error) (draft, error) {
	if keyed, err := w.Site.HasKeyField(ctx, erpnext.DocSalesOrder); err != nil || !keyed {
		return draft{}, cmp.Or(err, refusal)
	}
	var rows []erpnext.Stored
	err := w.Site.List(ctx, erpnext.Query{
		DocType: erpnext.DocSalesOrder, Fields: []string{"name", erpnext.KeyField}, Limit: -1,
		Filters: [][]any{{"customer", "=", so.Customer}, {"po_no", "=", so.PoNo}, {"docstatus", "<", erpnext.Cancelled}},
	}, &rows)
	if err != nil {
		return draft{}, err
	}
	if len(rows) == 0 || slices.ContainsFunc(rows, func(so erpnext.Stored) bool { return so.Key == "" }) {
		return draft{}, refusal
	}
	so.PoNo = w.distinctNumber(so.PoNo)
	d := draft{wanted: so}
	d.created, err = w.Site.Ensure(ctx, erpnext.DocSalesOrder, key, so, &d.stored)
	return d, err
}

func (w *orderWork) distinctNumber(number string) string { return number + " (" + w.order.ID + ")" }

func (w *orderWork) revisionKey(n int) string {
	id := w.order.ID
	if w.supplementNo > 0 {
		id += "/s" + strconv.Itoa(w.supplementNo)
	}
	return w.origin.Key("order", revisionID(id, n))
}

// withKnownItems goes on after ERPNext said that one of the codes is no item:
// it is made, where the sheet asks for that; else its lines take the fallback.
func (w *orderWork) withKnownItems(ctx context.Context, revision int, customer string) (draft, error) {
	if _, err := w.items.ask(ctx, w.Site, w.books, w.order.Lines); err != nil {
		return draft{}, err
	}
	if _, err := w.makeItems(ctx, w.books, w.items, w.order.Lines); err != nil {
		return draft{}, err
	}
	w.noteUnknownItems()
	d, err := w.drafted(ctx, revision, customer)
	if isMissing(err, "Item") {
		err = &fault.Error{
			Kind: fault.Unmapped, Op: "posting.order", Cause: "an item that the mapping sheet names does not exist in ERPNext",
			Hint: "look at items and fallback_item in the mapping sheet; server setup makes the fallback item " + w.books.FallbackItem,
		}
	}
	return d, err
}

// noteUnknownItems tells how many lines name an item that ERPNext has not: what is
// booked for them leaves the stock as it is.
func (w *orderWork) noteUnknownItems() {
	unknown := 0
	for _, line := range w.order.Lines {
		if _, found := w.books.ItemOf(line, w.items.code); !found && len(w.books.Candidates(line)) > 0 && line.Kind == commerce.Goods {
			unknown++
		}
	}
	if unknown > 0 {
		w.result.note(fmt.Sprintf("lines whose SKU is no item in ERPNext: %d, booked as %s", unknown, w.books.FallbackItem))
	}
}

// withNewCustomer goes on after ERPNext lost a customer we remember: somebody
// deleted or renamed it.
func (w *orderWork) withNewCustomer(ctx context.Context, revision int, gone string) (draft, error) {
	if err := w.forgetCustomer(ctx); err != nil {
		return draft{}, err
	}
	w.result.Documents = nil
	customer, err := w.customer(ctx)
	if err != nil {
		return draft{}, err
	}
	if customer == gone {
		return draft{}, &fault.Error{
			Kind: fault.Unmapped, Op: "posting.order", Cause: "the configured customer does not exist in ERPNext",
			Hint: "make the customer that the mapping sheet names under guest_customer, then replay",
		}
	}
	return w.drafted(ctx, revision, customer)
}

func (w *orderWork) forgetCustomer(ctx context.Context) error {
	keys, email := []string{w.origin.Key("customer", "guest"), guestKey(w.origin, w.order.ID)}, ""
	if party := w.order.Customer; party != nil {
		keys, email = append(keys, customerKey(w.origin, *party)), party.Email
	}
	for _, key := range keys {
		if err := w.Memory.Forget(ctx, erpnext.DocCustomer, key); err != nil {
			return memoryError("posting.order", err)
		}
	}
	return w.customers.forget(ctx, email)
}

// submit compares before it submits: ERPNext's helpfulness (pricing rules,
// taxes, rounding) must not change what the buyer agreed to.
func (w *orderWork) submit(ctx context.Context, d draft) error {
	if err := w.compare(d.wanted, d.stored); err != nil {
		return err
	}
	if d.stored.DocStatus != erpnext.Draft || w.desk.Orders.KeepDrafts {
		return nil
	}
	return w.Site.Submit(ctx, erpnext.DocSalesOrder, d.stored.Name, nil)
}

// putRight brings a draft of an earlier try to what is wanted now: something
// may have been put right since, or the order edited. The header discount is
// sent too, because a pricing rule that made one leaves it behind.
func (w *orderWork) putRight(ctx context.Context, d *draft) error {
	if err := w.Site.Get(ctx, erpnext.DocSalesOrder, d.stored.Name, &d.stored); err != nil {
		return err
	}
	if w.compare(d.wanted, d.stored) == nil {
		return nil
	}
	so := d.wanted
	fields := map[string]any{
		"customer": so.Customer, "items": so.Items, "taxes": so.Taxes, "currency": so.Currency, "selling_price_list": so.SellingPriceList,
		"transaction_date": so.TransactionDate, "delivery_date": so.DeliveryDate, "po_date": so.PoDate,
		"customer_address": so.CustomerAddress, "shipping_address_name": so.ShippingAddressName,
		"additional_discount_percentage": 0, "discount_amount": so.DiscountAmount,
	}
	if !so.ConversionRate.IsZero() {
		fields["conversion_rate"] = so.ConversionRate
	}
	return w.Site.Update(ctx, erpnext.DocSalesOrder, d.stored.Name, fields, &d.stored)
}

// compare finds what ERPNext made different from what the buyer agreed to: the
// total, the currency or the rows (a free item of a pricing rule leaves the
// total alone). Rows are compared where the answer carried them.
func (w *orderWork) compare(so erpnext.SalesOrder, stored erpnext.Stored) error {
	if differs(stored.GrandTotal, erpnext.Num(w.order.Total.Value())) || !strings.EqualFold(stored.Currency, w.order.Currency) {
		return &fault.Error{
			Kind: fault.Mismatch, Op: "posting.order", Cause: "ERPNext's total differs from the shop's",
			Hint: fmt.Sprintf("the shop says %s, ERPNext's draft %s says %s; %s", w.order.Total, stored.Name,
				money.New(stored.GrandTotal.Decimal, stored.Currency), hintChanged),
		}
	}
	if stored.DocStatus == erpnext.Draft && !sameRows(so.Items, stored.Items) {
		return &fault.Error{
			Kind: fault.Mismatch, Op: "posting.order", Cause: "ERPNext's rows differ from the shop's",
			Hint: "ERPNext's draft " + stored.Name + " has other rows than the shop's order; " + hintChanged,
		}
	}
	return nil
}

// hintChanged names what changes an order. ERPNext drops ignore_pricing_rule
// without a word unless the user is a Sales Manager (the field's permlevel is 1).
const hintChanged = "look for a Pricing Rule (give the API user the role Sales Manager, and ERPNext lets it switch them off), " +
	"a tax template or a rounding setting that changed it; the draft was kept: replay when it is put right"

func sameRows(sent []erpnext.SalesOrderItem, stored []erpnext.StoredRow) bool {
	if len(sent) != len(stored) {
		return false
	}
	for i, row := range stored {
		if differs(row.Qty, sent[i].Qty) || differs(row.Rate, sent[i].Rate) {
			return false
		}
	}
	return true
}
