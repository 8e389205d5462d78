package posting_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/posting"
)

// delivered makes goods stand behind an order, as a Delivery Note does.
func delivered(t *testing.T, site *sandbox.Site, b *bench, id string) {
	t.Helper()
	so := b.newest(t, id)
	for _, doc := range site.Documents("Sales Order") {
		if doc["name"] == so.Name {
			doc["per_delivered"] = 100.0
			must(t, site.Insert("Sales Order", doc))
		}
	}
}

// TestEditBehind follows edits of an order that was delivered: what is added
// gets a Sales Order of its own, what is taken off is left to its refunds.
func TestEditBehind(t *testing.T) {
	refunded := func(o commerce.Order) commerce.Order { o.Refunds = []commerce.Refund{{ID: "1"}}; return o }
	first := "order 20 docstatus 1 To Deliver and Bill: 2 × 10, paid 0, po #ID"
	tests := []struct {
		name       string
		supplement bool
		edits      []commerce.Order
		want       []string // in the order of their keys
		warn       bool
	}{
		{"noted", false, []commerce.Order{snapshot("1", 2, 3, 0)}, []string{first}, true},
		{"pieces added", true, []commerce.Order{snapshot("1", 2, 3, 0)}, []string{first, "order 10 1 × 10 po #1/2"}, false},
		{"a line added", true, []commerce.Order{snapshot("1", 2, 2, 3)}, []string{first, "order 7.5 3 × 2.5 po #1/2"}, false},
		{"added twice", true, []commerce.Order{snapshot("1", 2, 3, 0), snapshot("1", 3, 3, 2)}, []string{first, "order 10 1 × 10 po #1/2", "order 5 2 × 2.5 po #1/3"}, false},
		{"the same said twice", true, []commerce.Order{snapshot("1", 2, 3, 0), snapshot("1", 2, 3, 0), snapshot("1", 3, 3, 0)}, []string{first, "order 10 1 × 10 po #1/2"}, false},
		{"one added, one taken off", true, []commerce.Order{snapshot("1", 2, 1, 2)}, []string{first, "order 5 2 × 2.5 po #1/2"}, true},
		{"taken off", true, []commerce.Order{snapshot("1", 2, 1, 0)}, []string{first}, true},
		{"taken off and refunded", true, []commerce.Order{refunded(snapshot("1", 2, 1, 0))}, []string{first}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			site, b := sandboxBench(t, mapping.Books{}, func(o *posting.Options) { o.Desk.Orders.Supplement = tt.supplement })
			_, err := b.order(t.Context(), snapshot("1", 1, 2, 0))
			must(t, err)
			delivered(t, site, b, "1")
			var r posting.Result
			for _, edit := range tt.edits {
				r, err = b.order(t.Context(), edit)
				must(t, err)
			}
			if (r.Warn != nil) != tt.warn {
				t.Errorf("warns of %v", r.Warn)
			}
			got := []string{first}
			if so := b.newest(t, "1"); so.GrandTotal.String() != "20" || so.DocStatus != erpnext.Submitted {
				t.Errorf("the order itself became %s, docstatus %d", so.GrandTotal, so.DocStatus)
			}
			for _, so := range site.Documents("Sales Order") {
				if key, _ := so[erpnext.KeyField].(string); strings.Contains(key, "/s") && so["docstatus"] == int64(1) {
					var stored erpnext.Stored
					must(t, b.site.Get(t.Context(), "Sales Order", so["name"].(string), &stored))
					got = append(got, "order "+stored.GrandTotal.String()+" "+stored.Items[0].Qty.String()+" × "+stored.Items[0].Rate.String()+" po "+stored.PoNo)
				}
			}
			slices.Sort(got[1:])
			slices.Sort(tt.want[1:])
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("orders (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCancelledWithSupplement ends the supplements of an order with it.
func TestCancelledWithSupplement(t *testing.T) {
	site, b := sandboxBench(t, mapping.Books{}, func(o *posting.Options) { o.Desk.Orders.Supplement = true })
	_, err := b.order(t.Context(), snapshot("1", 1, 2, 0))
	must(t, err)
	delivered(t, site, b, "1")
	_, err = b.order(t.Context(), snapshot("1", 2, 3, 0))
	must(t, err)
	ended := snapshot("1", 3, 0, 0)
	ended.CancelledAt = ended.UpdatedAt
	_, err = b.order(t.Context(), ended)
	must(t, err)
	statuses := map[string]int{}
	for _, so := range site.Documents("Sales Order") {
		statuses[so["status"].(string)]++
	}
	if diff := cmp.Diff(map[string]int{"Closed": 1, "Cancelled": 1}, statuses); diff != "" {
		t.Errorf("orders by status (-want +got):\n%s", diff)
	}
}

// TestOlderDigestIsNoEdit holds that a release that digests orders otherwise
// does not remake them.
func TestOlderDigestIsNoEdit(t *testing.T) {
	_, b := sandboxBench(t, mapping.Books{}, nil)
	_, err := b.order(t.Context(), snapshot("1", 1, 2, 0))
	must(t, err)
	key := "shopify/acme/order/1"
	doc, _, _ := b.memory.Document(t.Context(), "Sales Order", key)
	doc.Data["booked"] = "1234567890abcdef" // as releases before wrote it
	must(t, b.memory.Remember(t.Context(), "", doc))
	_, err = b.order(t.Context(), snapshot("1", 2, 2, 0))
	must(t, err)
	if so := b.newest(t, "1"); so.Key != key || so.DocStatus != erpnext.Submitted {
		t.Errorf("the order was remade as %s, docstatus %d", so.Key, so.DocStatus)
	}
	doc, _, _ = b.memory.Document(t.Context(), "Sales Order", key)
	doc.Data["booked"] = "1234567890abcdef"
	must(t, b.memory.Remember(t.Context(), "", doc))
	_, err = b.order(t.Context(), snapshot("1", 3, 3, 0))
	must(t, err)
	if so := b.newest(t, "1"); so.Key != key+"/r2" || so.GrandTotal.String() != "30" {
		t.Errorf("an edit after it was not followed: %s of %s", so.Key, so.GrandTotal)
	}
}

// TestGuestsOfTheirOwn makes a customer of each order without an account.
func TestGuestsOfTheirOwn(t *testing.T) {
	for _, own := range []bool{false, true} {
		site, b := sandboxBench(t, mapping.Books{}, func(o *posting.Options) { o.Desk.Customers.OnePerGuest = own })
		before := len(site.Documents("Customer"))
		for minute, id := range []string{"1", "2", "3", "1"} {
			o := snapshot(id, minute, 1+int64(minute), 0)
			o.Customer = &commerce.Party{Email: "guest@example.com", FirstName: "Guest", LastName: "Buyer"}
			if id == "3" {
				o.Customer = nil
			}
			_, err := b.order(t.Context(), o)
			must(t, err)
		}
		want := 2 // one by e-mail, one for those without
		if own {
			want = 3
		}
		if got := len(site.Documents("Customer")) - before; got != want {
			t.Errorf("one per guest order %v: %d customers, want %d", own, got, want)
		}
		if so := b.newest(t, "1"); own && so.Customer == b.newest(t, "2").Customer {
			t.Errorf("two guest orders share %q", so.Customer)
		}
	}
}

// TestOrderUpdatesItsCustomer covers what an order changes in a customer that
// exists.
func TestOrderUpdatesItsCustomer(t *testing.T) {
	tests := []struct {
		how       posting.CustomerUpdate
		has       map[string]any
		wantTaxID string
		wantName  string
	}{
		{posting.FillCustomers, nil, "DE123", "Ann Lee 1"},
		{posting.FillCustomers, map[string]any{"tax_id": "DE999"}, "DE999", "Ann Lee 1"},
		{posting.OverwriteCustomers, map[string]any{"tax_id": "DE999"}, "DE123", "Lee GmbH"},
		{posting.KeepCustomers, nil, "", "Ann Lee 1"},
	}
	for _, tt := range tests {
		site, b := sandboxBench(t, mapping.Books{}, func(o *posting.Options) { o.Desk.Customers.Update = tt.how })
		_, err := b.order(t.Context(), snapshot("1", 1, 1, 0))
		must(t, err)
		name := b.newest(t, "1").Customer
		if tt.has != nil {
			must(t, b.site.Update(t.Context(), "Customer", name, tt.has, nil))
		}
		next := snapshot("2", 2, 1, 0)
		next.Customer = &commerce.Party{ID: "1", Email: "ann1@example.com", FirstName: "Ann", LastName: "Lee 1", Company: "Lee GmbH", TaxID: "DE123"}
		_, err = b.order(t.Context(), next)
		must(t, err)
		site.ResetRequests()
		again := snapshot("3", 3, 1, 0)
		again.Customer = next.Customer
		_, err = b.order(t.Context(), again)
		must(t, err)
		if n := len(site.Requests()); n != 2 {
			t.Errorf("%q: an order of a customer of whom nothing new is said costs %d requests", tt.how, n)
		}
		var c erpnext.Customer
		must(t, b.site.Get(t.Context(), "Customer", name, &c))
		if c.TaxID != tt.wantTaxID || c.CustomerName != tt.wantName {
			t.Errorf("%q: %s with tax id %q, want %s with %q", tt.how, c.CustomerName, c.TaxID, tt.wantName, tt.wantTaxID)
		}
	}
}

// TestShopsCustomer follows what the shop says of a customer without an order.
func TestShopsCustomer(t *testing.T) {
	tests := []struct {
		name   string
		policy posting.CustomerPolicy
		say    []commerce.Party
		want   string // the customer's name and tax id at the end
	}{
		{"off", posting.CustomerPolicy{}, []commerce.Party{{ID: "7", FirstName: "Ann"}}, ""},
		{"made", posting.CustomerPolicy{FromShop: true}, []commerce.Party{{ID: "7", FirstName: "Ann", LastName: "Lee"}}, "Ann Lee "},
		{"filled", posting.CustomerPolicy{FromShop: true}, []commerce.Party{{ID: "7", FirstName: "Ann"}, {ID: "7", Company: "Ann Inc", TaxID: "T1"}}, "Ann T1"},
		{"overwritten", posting.CustomerPolicy{FromShop: true, Update: posting.OverwriteCustomers}, []commerce.Party{{ID: "7", FirstName: "Ann"}, {ID: "7", Company: "Ann Inc", TaxID: "T1"}}, "Ann Inc T1"},
		{"kept", posting.CustomerPolicy{FromShop: true, Update: posting.KeepCustomers}, []commerce.Party{{ID: "7", FirstName: "Ann"}, {ID: "7", Company: "Ann Inc", TaxID: "T1"}}, "Ann "},
		{"deleted", posting.CustomerPolicy{FromShop: true}, []commerce.Party{{ID: "7", FirstName: "Ann"}, {ID: "7", Deleted: true}}, "Ann "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			site, b := sandboxBench(t, mapping.Books{}, func(o *posting.Options) { o.Desk.Customers = tt.policy })
			for _, party := range tt.say {
				r, err := b.Customer(t.Context(), shop, party)
				must(t, b.settle(t.Context(), r, err))
			}
			got := ""
			for _, c := range site.Documents("Customer") {
				if c[erpnext.KeyField] == "shopify/acme/customer/7" {
					taxID, _ := c["tax_id"].(string)
					got = c["customer_name"].(string) + " " + taxID
				}
			}
			if got != tt.want {
				t.Errorf("customer %q, want %q", got, tt.want)
			}
		})
	}
}

// TestShopsProduct follows what the shop says of a product.
func TestShopsProduct(t *testing.T) {
	product := func(minute int, title string) commerce.Product {
		return commerce.Product{ID: "5", UpdatedAt: time.Date(2026, 1, 1, 12, minute, 0, 0, time.UTC), Variants: []commerce.Variant{
			{ID: "51", SKU: "MUG-01", Title: title + " - small"}, {ID: "52", SKU: "NEW-2", Title: title + " - large"},
		}}
	}
	create := mapping.Books{Items: mapping.Items{Create: &mapping.ItemCreation{}}}
	tests := []struct {
		name  string
		on    bool
		books mapping.Books
		say   []commerce.Product
		want  map[string]string // names of items by code; "" = there is none
	}{
		{"off", false, create, []commerce.Product{product(1, "Cup")}, map[string]string{"MUG-01": "Mug", "NEW-2": ""}},
		{"on", true, mapping.Books{}, []commerce.Product{product(1, "Cup")}, map[string]string{"MUG-01": "Cup - small", "NEW-2": ""}},
		{"on, and missing ones made", true, create, []commerce.Product{product(1, "Cup")}, map[string]string{"MUG-01": "Cup - small", "NEW-2": "Cup - large"}},
		{"renamed", true, create, []commerce.Product{product(1, "Cup"), product(2, "Beaker")}, map[string]string{"MUG-01": "Beaker - small", "NEW-2": "Beaker - large"}},
		{"an older one comes late", true, create, []commerce.Product{product(2, "Beaker"), product(1, "Cup")}, map[string]string{"MUG-01": "Beaker - small", "NEW-2": "Beaker - large"}},
		{"deleted", true, create, []commerce.Product{product(1, "Cup"), {ID: "5", Deleted: true}}, map[string]string{"MUG-01": "Cup - small", "NEW-2": "Cup - large"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			site, b := sandboxBench(t, tt.books, func(o *posting.Options) { o.Desk.Products = tt.on })
			must(t, site.Grant("Item", "Sales User", "create"))
			must(t, site.Grant("Item", "Sales User", "write"))
			must(t, site.Insert("Item", map[string]any{"name": "MUG-01", "item_code": "MUG-01", "item_name": "Mug", "stock_uom": "Nos", "item_group": "All Item Groups"}))
			for _, p := range tt.say {
				r, err := b.Product(t.Context(), shop, p)
				must(t, b.settle(t.Context(), r, err))
			}
			got := map[string]string{"NEW-2": ""}
			for _, item := range site.Documents("Item") {
				if code := item["name"].(string); code == "MUG-01" || code == "NEW-2" {
					got[code] = item["item_name"].(string)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSkippedOrder holds that a payment of an order that is not booked does not
// wait for it, and that the order is booked once it is not skipped any more.
func TestSkippedOrder(t *testing.T) {
	_, b := sandboxBench(t, mapping.Books{}, func(o *posting.Options) { o.Desk.Orders.SkipTags = []string{"wholesale"} })
	o := snapshot("1", 1, 1, 0)
	o.Tags = []string{"Wholesale"}
	if r, err := b.order(t.Context(), o); err != nil || r.Ignored == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err := b.pay(t.Context(), payment("1", 1, "10.00"))
	if err != nil || r.Warn == nil || strings.Contains(r.Note+r.Warn.Cause, "cancelled") || !strings.Contains(r.Warn.Hint, "skip_tags") {
		t.Errorf("its payment: %+v, %v; want to be told that the sheet skips the order", r, err)
	}
	_, err = b.order(t.Context(), snapshot("1", 2, 1, 0))
	must(t, err)
	if so := b.newest(t, "1"); so.DocStatus != erpnext.Submitted || so.AdvancePaid.String() != "10" {
		t.Errorf("without its tag the order has docstatus %d and %s paid", so.DocStatus, so.AdvancePaid)
	}
}

// TestAnEmptiedOrderIsNotCalledCancelled: an order of which everything was taken
// out goes as a cancelled one does, for another reason.
func TestAnEmptiedOrderIsNotCalledCancelled(t *testing.T) {
	_, b := sandboxBench(t, mapping.Books{}, nil)
	_, err := b.order(t.Context(), snapshot("1", 1, 1, 0))
	must(t, err)
	r, err := b.order(t.Context(), snapshot("1", 2, 0, 0))
	must(t, err)
	if !strings.HasPrefix(r.Note, "everything was taken out of the order in the shop: ") {
		t.Errorf("told %q", r.Note)
	}
	if so := b.newest(t, "1"); so.DocStatus != erpnext.Cancelled {
		t.Errorf("its Sales Order has docstatus %d", so.DocStatus)
	}
}

// TestAPaymentOfAnEndedOrderSaysHowItEnded: what to do with the money depends on it.
func TestAPaymentOfAnEndedOrderSaysHowItEnded(t *testing.T) {
	for cause, end := range map[string]func(*testing.T, *bench){
		"was cancelled": func(t *testing.T, b *bench) {
			o := snapshot("1", 2, 1, 0)
			o.CancelledAt = o.UpdatedAt
			_, err := b.order(t.Context(), o)
			must(t, err)
		},
		"was cancelled by hand": func(t *testing.T, b *bench) {
			must(t, b.site.Cancel(t.Context(), erpnext.DocSalesOrder, b.newest(t, "1").Name))
			_, err := b.order(t.Context(), snapshot("1", 2, 2, 0))
			must(t, err)
		},
	} {
		_, b := sandboxBench(t, mapping.Books{}, nil)
		_, err := b.order(t.Context(), snapshot("1", 1, 1, 0))
		must(t, err)
		end(t, b)
		r, err := b.pay(t.Context(), payment("1", 1, "10.00"))
		if err != nil || r.Warn == nil || !strings.HasSuffix(r.Warn.Cause, cause) {
			t.Errorf("%s: %+v, %v", cause, r.Warn, err)
		}
	}
}

// TestWhatMayChangeAfterSubmit covers the fields of a submitted order that
// follow the shop.
func TestWhatMayChangeAfterSubmit(t *testing.T) {
	books := mapping.Books{Extra: mapping.Extra{Order: func(o commerce.Order) (map[string]any, error) {
		return map[string]any{"letter_head": strings.Join(o.Tags, " ")}, nil
	}}}
	_, b := sandboxBench(t, books, nil)
	at := func(minute int, change func(*commerce.Order)) commerce.Order {
		o := snapshot("1", minute, 1, 0)
		o.BillTo = &commerce.Address{Line1: "1 Way", City: "Springfield", CountryCode: "US"}
		o.ShipTo = &commerce.Address{Line1: "2 Way", City: "Springfield", CountryCode: "US"}
		change(&o)
		return o
	}
	_, err := b.order(t.Context(), at(1, func(o *commerce.Order) {}))
	must(t, err)
	first := b.newest(t, "1")
	if first.CustomerAddress == "" || first.ShippingAddressName == "" {
		t.Fatalf("addresses %q and %q", first.CustomerAddress, first.ShippingAddressName)
	}
	_, err = b.order(t.Context(), at(2, func(o *commerce.Order) { o.ShipTo = nil }))
	must(t, err)
	if now := b.newest(t, "1"); now.ShippingAddressName != "" || now.CustomerAddress != first.CustomerAddress {
		t.Errorf("after its removal the delivery address is %q, the billing address %q", now.ShippingAddressName, now.CustomerAddress)
	}
	_, err = b.order(t.Context(), at(3, func(o *commerce.Order) { o.ShipTo, o.BillTo, o.Customer = nil, nil, nil }))
	must(t, err)
}

// TestFurtherFieldsFollow sends the sheet's own fields again when they change:
// where the site lets them change after the submit they do, else it is noted.
func TestFurtherFieldsFollow(t *testing.T) {
	for field, changes := range map[string]bool{"letter_head": true, "terms": false} {
		books := mapping.Books{Extra: mapping.Extra{Order: func(o commerce.Order) (map[string]any, error) {
			return map[string]any{field: strings.Join(o.Tags, " ")}, nil
		}}}
		site, b := sandboxBench(t, books, nil)
		var r posting.Result
		for minute, tag := range []string{"one", "two", "two"} {
			o := snapshot("1", minute, 1, 0)
			o.Tags = []string{tag}
			var err error
			if minute == 2 {
				site.ResetRequests()
			}
			before := r
			r, err = b.order(t.Context(), o)
			must(t, err)
			if minute == 2 {
				r = before
				if n := len(site.Requests()); n != 0 {
					t.Errorf("%s: an update that changes nothing costs %d requests", field, n)
				}
			}
		}
		var so map[string]any
		must(t, b.site.Get(t.Context(), "Sales Order", b.newest(t, "1").Name, &so))
		want := "one"
		if changes {
			want = "two"
		}
		if so[field] != want || strings.Contains(r.Note, "further fields") == changes {
			t.Errorf("%s is %v, want %s; note %q", field, so[field], want, r.Note)
		}
	}
}

// TestMissingRateOfExchange says which rate is missing.
func TestMissingRateOfExchange(t *testing.T) {
	_, b := sandboxBench(t, mapping.Books{}, nil)
	o := snapshot("1", 1, 1, 0)
	o.Currency = "SEK"
	for i := range o.Lines {
		o.Lines[i].UnitPrice = money.New(o.Lines[i].UnitPrice.Value(), "SEK")
	}
	o.Total = money.New(o.Total.Value(), "SEK")
	_, err := b.order(t.Context(), o)
	if f := fault.As(err); f == nil || !strings.Contains(f.Hint, "from SEK to USD") {
		t.Errorf("%v", err)
	}
}

// TestWhatWasLeftOutIsNoted tells of what ERPNext would have refused, and
// nothing of the buyer.
func TestWhatWasLeftOutIsNoted(t *testing.T) {
	_, b := sandboxBench(t, mapping.Books{}, nil)
	o := snapshot("1", 1, 1, 0)
	o.Customer.Email, o.Customer.Phone = "ann at home", "ext. 123 secret"
	o.ShipTo = &commerce.Address{City: "Springfield", CountryCode: "US"}
	o.Lines[0].Kind = commerce.GiftCard
	o.Lines = append(o.Lines, commerce.Line{ID: "2", SKU: "NO-SUCH-PEN", Title: "Pen", Quantity: 2, UnitPrice: usd("2.50")})
	o.Total = usd("15.00")
	r, err := b.order(t.Context(), o)
	must(t, err)
	for _, part := range []string{"e-mail address", "phone number", "delivery address", "items.gift_card", "no item in ERPNext: 1, booked as SHOP-LINE"} {
		if !strings.Contains(r.Note, part) {
			t.Errorf("note %q says nothing of the %s", r.Note, part)
		}
	}
	for _, secret := range []string{"ann", "123", "Springfield"} {
		if strings.Contains(r.Note, secret) {
			t.Errorf("note %q tells %q", r.Note, secret)
		}
	}
}
