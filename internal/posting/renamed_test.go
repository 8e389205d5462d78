package posting_test

import (
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/posting"
)

// partyOf is the customer of the only submitted payment of a number.
func (b *bench) partyOf(t *testing.T, reference string) string {
	t.Helper()
	var rows []struct {
		Party string `json:"party"`
	}
	must(t, b.site.List(t.Context(), erpnext.Query{
		DocType: erpnext.DocPaymentEntry, Fields: []string{"party"}, Filters: [][]any{{"reference_no", "=", reference}, {"docstatus", "=", 1}},
	}, &rows))
	if len(rows) != 1 {
		t.Fatalf("%d payments %s, want one", len(rows), reference)
	}
	return rows[0].Party
}

// rename gives a customer another name, as people do in ERPNext.
func (b *bench) rename(t *testing.T, from, to string) {
	t.Helper()
	must(t, b.site.Call(t.Context(), "POST", "frappe.client.rename_doc", map[string]any{"doctype": "Customer", "old_name": from, "new_name": to}, nil))
}

// TestRenamedCustomer holds that money finds a customer whom people gave another
// name in ERPNext after we came to know it: by the order, by the e-mail, by the
// payment that is given back. None is made twice, and none waits for a name that
// is gone.
func TestRenamedCustomer(t *testing.T) {
	_, b := sandboxBench(t, mapping.Books{}, nil)
	old := map[string]any{
		"customer_name": "Known", "customer_type": "Individual", "customer_group": "Individual", "territory": "All Territories",
		"email_id": "known@example.com",
	}
	must(t, b.site.Create(t.Context(), erpnext.DocCustomer, old, nil))
	bought := func(id, email string) commerce.Order {
		o := snapshot(id, 1, 1, 0)
		o.Customer = &commerce.Party{ID: "customer of " + email, Email: email, FirstName: "Ann", LastName: "Lee"}
		return o
	}
	for i, email := range []string{"ann@example.com", "known@example.com"} {
		_, err := b.order(t.Context(), bought([]string{"1", "2"}[i], email))
		must(t, err)
	}
	paid := payment("", 1, "2.00")
	paid.OrderRefs, paid.PayerEmail = nil, "ann@example.com"
	_, err := b.pay(t.Context(), paid)
	must(t, err)
	unknown := payment("", 2, "3.00")
	unknown.OrderRefs, unknown.PayerEmail = nil, ""
	_, err = b.pay(t.Context(), unknown)
	must(t, err)

	stale, _, _ := b.memory.Document(t.Context(), erpnext.DocCustomer, posting.MemoryOfEmail("ann@example.com")[0].Key)

	for from, to := range map[string]string{"Ann Lee": "Ann Lee & Daughters", "Known": "Known Ltd", "Unknown payer (stripe)": "Nobody"} {
		b.rename(t, from, to)
	}

	for n, of := range []struct{ order, email, want string }{
		{"1", "", "Ann Lee & Daughters"}, {"2", "", "Known Ltd"},
		{"", "ann@example.com", "Ann Lee & Daughters"}, {"", "known@example.com", "Known Ltd"}, {"", "", "Nobody"},
	} {
		p := payment(of.order, n+10, "1.00")
		if of.order == "" {
			p.OrderRefs = nil
		}
		p.PayerEmail = of.email
		if _, err := b.pay(t.Context(), p); err != nil {
			t.Errorf("payment of order %q by %q: %v", of.order, of.email, err)
			continue
		}
		if got := b.partyOf(t, p.Reference); got != of.want {
			t.Errorf("payment of order %q by %q is %s's, want %s's", of.order, of.email, got, of.want)
		}
	}

	for id, back := range map[string]commerce.Refund{
		"re_1": {PaymentID: paid.ID},
		"re_2": {OrderRefs: []string{"1"}},
		"re_3": {PayerEmail: "ann@example.com"},
	} {
		back.ID, back.Reference, back.Provider, back.Amount, back.At, back.Outcome = id, id, "stripe", usd("1.00"), paid.At, commerce.Succeeded
		must(t, b.memory.Remember(t.Context(), "", stale)) // the payments above have put it right
		r, err := b.Refund(t.Context(), stripe, back, time.Now())
		must(t, b.settle(t.Context(), r, err))
		if got := b.partyOf(t, id); got != "Ann Lee & Daughters" {
			t.Errorf("refund %s is %s's", id, got)
		}
	}

	// An order of a customer who was found by e-mail makes no second one.
	_, err = b.order(t.Context(), bought("3", "known@example.com"))
	must(t, err)
	if got := b.newest(t, "3").Customer; got != "Known Ltd" {
		t.Errorf("the next order is %s's", got)
	}
}

// TestRenamedCustomerMoves holds that an order's new address becomes its
// customer's, whatever people call that by now.
func TestRenamedCustomerMoves(t *testing.T) {
	_, b := sandboxBench(t, mapping.Books{}, nil)
	o := snapshot("1", 1, 1, 0)
	_, err := b.order(t.Context(), o)
	must(t, err)
	name := b.newest(t, "1").Customer
	b.rename(t, name, "Another")
	o.UpdatedAt = o.UpdatedAt.Add(time.Minute)
	o.ShipTo = &commerce.Address{Line1: "2 New Street", City: "Portland", CountryCode: "US"}
	_, err = b.order(t.Context(), o)
	must(t, err)
	var so struct {
		Customer string `json:"customer"`
		ShipTo   string `json:"shipping_address_name"`
	}
	must(t, b.site.Get(t.Context(), erpnext.DocSalesOrder, b.newest(t, "1").Name, &so))
	if so.Customer != "Another" || so.ShipTo == "" {
		t.Errorf("got %+v, want an address of Another", so)
	}
}

// TestRenamedCustomerPaysInvoices holds the same of a payment that comes after
// its order was invoiced, and is booked again against the invoice.
func TestRenamedCustomerPaysInvoices(t *testing.T) {
	_, b := sandboxBench(t, mapping.Books{}, following(posting.OrderPolicy{Invoices: posting.InvoicePaid}))
	o := basket("1", 1)
	o.Paid = true
	_, err := b.order(t.Context(), o)
	must(t, err)
	b.rename(t, b.newest(t, "1").Customer, "Another")
	p := payment("1", 1, "47.49")
	_, err = b.pay(t.Context(), p)
	must(t, err)
	if got := b.partyOf(t, p.Reference); got != "Another" {
		t.Errorf("the payment is %s's", got)
	}
	if _, free := b.onAccount(t, "1"); !free.IsZero() {
		t.Errorf("%s on account", free)
	}
}

// TestCustomerOfTheSheetThatIsNotThere holds that a payment does not wait for
// days for a customer that the mapping sheet names and nobody made.
func TestCustomerOfTheSheetThatIsNotThere(t *testing.T) {
	_, b := sandboxBench(t, mapping.Books{}, func(o *posting.Options) { o.Desk.UnknownPayer = "Nobody At All" })
	p := payment("", 1, "1.00")
	p.OrderRefs, p.PayerEmail = nil, ""
	_, err := b.pay(t.Context(), p)
	if fault.KindOf(err) != fault.Unmapped {
		t.Errorf("got %v, want %s", err, fault.Unmapped)
	}
}
