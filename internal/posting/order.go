package posting

import (
	"context"
	"fmt"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// Order ensures one submitted Sales Order for a shop's order: keyed by the
// order's id, total equal to the shop's. An order that is there already is
// done. A draft whose total differs from the shop's is kept as a draft and
// fails with fault.Mismatch.
func (p *Poster) Order(ctx context.Context, origin Origin, o commerce.Order) (Result, error) {
	key := origin.Key("order", o.ID)
	_, ok, err := p.known(ctx, erpnext.DocSalesOrder, key)
	if err != nil {
		return Result{}, err
	}
	if ok {
		return Result{Note: "the order is in ERPNext already"}, nil
	}
	books, err := p.books.get(ctx)
	if err != nil {
		return Result{}, err
	}
	end, err := p.turns.take(ctx, buyer(origin, o.Customer))
	if err != nil {
		return Result{}, err
	}
	defer end()
	w := &orderWork{Poster: p, books: books, origin: origin, order: o, key: key, items: itemBook{}}
	err = w.post(ctx)
	return p.settled(w.result, err)
}

// buyer names the turn that an order takes: its customer's.
func buyer(o Origin, party *commerce.Party) string {
	switch {
	case party == nil:
		return o.Key("customer", "guest")
	case party.Email != "":
		return "email/" + emailDigest(party.Email)
	default:
		return customerKey(o, *party)
	}
}

// orderWork is the way of one order into ERPNext.
type orderWork struct {
	*Poster
	books  mapping.Books
	origin Origin
	order  commerce.Order
	key    string
	items  itemBook
	result Result
}

func (w *orderWork) post(ctx context.Context) error {
	// Mapped once ahead: for an order that cannot be mapped nothing is made,
	// not even its customer.
	if _, err := w.books.SalesOrder(w.order, w.key, "", w.items.code); err != nil {
		return err
	}
	customer, err := w.customer(ctx, w.books, w.origin, w.order.Customer, &w.result)
	if err != nil {
		return err
	}
	so, stored, created, err := w.draft(ctx, customer)
	switch {
	case isMissing(err, "Item"):
		so, stored, created, err = w.withKnownItems(ctx, customer)
	case isMissing(err, erpnext.DocCustomer):
		so, stored, created, err = w.withNewCustomer(ctx, customer)
	}
	if err != nil {
		return err
	}
	return w.submit(ctx, so, stored, created)
}

func (w *orderWork) draft(ctx context.Context, customer string) (erpnext.SalesOrder, erpnext.Stored, bool, error) {
	var stored erpnext.Stored
	so, err := w.books.SalesOrder(w.order, w.key, customer, w.items.code)
	if err != nil {
		return so, stored, false, err
	}
	created, err := w.Site.Ensure(ctx, erpnext.DocSalesOrder, w.key, so, &stored)
	return so, stored, created, err
}

// withKnownItems goes on after ERPNext said that one of the SKUs is no item:
// lines without an item take the fallback.
func (w *orderWork) withKnownItems(ctx context.Context, customer string) (erpnext.SalesOrder, erpnext.Stored, bool, error) {
	if err := w.items.ask(ctx, w.Site, w.order.Lines); err != nil {
		return erpnext.SalesOrder{}, erpnext.Stored{}, false, err
	}
	so, stored, created, err := w.draft(ctx, customer)
	if isMissing(err, "Item") {
		err = &fault.Error{
			Kind: fault.Unmapped, Op: "posting.order", Cause: "the fallback item does not exist in ERPNext",
			Hint: "make a non-stock Item with the code " + w.books.FallbackItem + " (server setup does it), or name another under fallback_item, then replay",
		}
	}
	return so, stored, created, err
}

// withNewCustomer goes on after ERPNext lost a customer we remember: somebody
// deleted or renamed it.
func (w *orderWork) withNewCustomer(ctx context.Context, gone string) (erpnext.SalesOrder, erpnext.Stored, bool, error) {
	if err := w.forgetCustomer(ctx); err != nil {
		return erpnext.SalesOrder{}, erpnext.Stored{}, false, err
	}
	w.result.Documents = nil
	customer, err := w.customer(ctx, w.books, w.origin, w.order.Customer, &w.result)
	if err != nil {
		return erpnext.SalesOrder{}, erpnext.Stored{}, false, err
	}
	if customer == gone {
		return erpnext.SalesOrder{}, erpnext.Stored{}, false, &fault.Error{
			Kind: fault.Unmapped, Op: "posting.order", Cause: "the configured customer does not exist in ERPNext",
			Hint: "make the customer that the mapping sheet names under guest_customer, then replay",
		}
	}
	return w.draft(ctx, customer)
}

func (w *orderWork) forgetCustomer(ctx context.Context) error {
	keys := []string{w.origin.Key("customer", "guest")}
	if party := w.order.Customer; party != nil {
		keys = append(keys, customerKey(w.origin, *party))
		if party.Email != "" {
			keys = append(keys, emailDocument(party.Email, "").Key)
		}
	}
	for _, key := range keys {
		if err := w.Memory.Forget(ctx, erpnext.DocCustomer, key); err != nil {
			return memoryError("posting.order", err)
		}
	}
	return nil
}

// submit compares before it submits: ERPNext's helpfulness (pricing rules,
// taxes, rounding) must not change what the buyer agreed to.
func (w *orderWork) submit(ctx context.Context, so erpnext.SalesOrder, stored erpnext.Stored, created bool) error {
	if stored.DocStatus == erpnext.Cancelled {
		w.result = cancelledByHand(erpnext.DocSalesOrder, stored.Name)
		return nil
	}
	if !created && stored.DocStatus == erpnext.Draft {
		if err := w.putRight(ctx, so, &stored); err != nil {
			return err
		}
	}
	if err := w.compare(so, stored); err != nil {
		return err
	}
	if stored.DocStatus == erpnext.Draft {
		if err := w.Site.Submit(ctx, erpnext.DocSalesOrder, stored.Name, nil); err != nil {
			return err
		}
	}
	w.result.add(w.documents(stored)...)
	return nil
}

// putRight brings a draft of an earlier try to what is wanted now: something
// may have been put right since. The header discount is sent too, because a
// pricing rule that made one leaves it behind.
func (w *orderWork) putRight(ctx context.Context, so erpnext.SalesOrder, stored *erpnext.Stored) error {
	if err := w.Site.Get(ctx, erpnext.DocSalesOrder, stored.Name, stored); err != nil {
		return err
	}
	if w.compare(so, *stored) == nil {
		return nil
	}
	return w.Site.Update(ctx, erpnext.DocSalesOrder, stored.Name, map[string]any{
		"customer": so.Customer, "items": so.Items, "taxes": so.Taxes, "additional_discount_percentage": 0, "discount_amount": 0,
	}, stored)
}

// compare finds what ERPNext made different from what the buyer agreed to: the
// total, the currency or, in a draft, the rows (a free item of a pricing rule
// leaves the total alone).
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

// documents are what later events need to find this order by id and by name.
func (w *orderWork) documents(stored erpnext.Stored) []event.Document {
	data := map[string]string{
		"customer": stored.Customer, "currency": w.order.Currency, "grand_total": w.order.Total.Value().String(),
	}
	doc := event.Document{DocType: erpnext.DocSalesOrder, Name: stored.Name, Key: w.key, Data: data}
	docs := []event.Document{doc}
	if name := orderName(w.order.Name); name != "" {
		alias := doc
		alias.Key = w.origin.Key("order-name", name)
		docs = append(docs, alias)
	}
	return docs
}

// orderName is an order's name as people quote it: "#1001" and "1001" are one.
func orderName(name string) string { return strings.TrimLeft(strings.TrimSpace(name), "#") }

// itemBook knows which SKUs are items in ERPNext. A SKU that nobody asked
// about is taken to be one: ERPNext says when it is not.
type itemBook map[string]string // by lower-case SKU; "" = ERPNext has no such item

func (b itemBook) code(sku string) (string, bool) {
	code, asked := b[strings.ToLower(sku)]
	if !asked {
		return sku, true
	}
	return code, code != ""
}

// ask looks all SKUs of an order up at once.
func (b itemBook) ask(ctx context.Context, site Site, lines []commerce.Line) error {
	var skus []string
	for _, line := range lines {
		if line.SKU != "" {
			skus = append(skus, line.SKU)
			b[strings.ToLower(line.SKU)] = ""
		}
	}
	if len(skus) == 0 {
		return nil
	}
	var rows []struct {
		Name string `json:"name"`
	}
	err := site.List(ctx, erpnext.Query{
		DocType: "Item", Fields: []string{"name"}, Filters: [][]any{{"name", "in", skus}}, Limit: len(skus),
	}, &rows)
	for _, row := range rows {
		b[strings.ToLower(row.Name)] = row.Name
	}
	return err
}
