package posting_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"pgregory.net/rapid"
)

// bench is a Poster at work on an in-memory ERPNext.
type bench struct {
	*posting.Poster
	site   *erpnext.Client
	memory *memory
}

// newBench makes a site that is set up, and a Poster with the default
// policies. With LEDGERHOOK_TEST_ERPNEXT_URL it is that site.
func newBench(t testing.TB, change func(*posting.Options)) *bench {
	t.Helper()
	b := &bench{memory: newMemory()}
	if url := os.Getenv("LEDGERHOOK_TEST_ERPNEXT_URL"); url != "" {
		b.site = newClient(t, url, os.Getenv("LEDGERHOOK_TEST_ERPNEXT_KEY"), os.Getenv("LEDGERHOOK_TEST_ERPNEXT_SECRET"))
	} else {
		b.site = sandboxClient(t)
	}
	o := posting.Options{
		Site: b.site, Memory: b.memory, Shops: []posting.Origin{shop}, CustomersFresh: time.Hour,
		Desk: posting.Desk{ReadBooks: posting.ReadBooks(b.site, erpnext.Wanted{}, mapping.Books{}), WaitForOrder: time.Hour},
	}
	if change != nil {
		change(&o)
	}
	b.Poster = posting.New(o)
	return b
}

func sandboxClient(t testing.TB) *erpnext.Client {
	t.Helper()
	return sandboxClientAs(t, "demo-key", "demo-secret", sandbox.Options{})
}

func sandboxClientAs(t testing.TB, key, secret string, o sandbox.Options) *erpnext.Client {
	t.Helper()
	handler, err := sandbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	setup := newClient(t, server.URL, "demo-setup-key", "demo-setup-secret")
	if err := erpnext.Setup(t.Context(), setup, erpnext.KeyedDocTypes(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	return newClient(t, server.URL, key, secret)
}

// run begins every id of a run on a real site, which keeps what earlier runs
// made.
var run = func() string {
	if os.Getenv("LEDGERHOOK_TEST_ERPNEXT_URL") == "" {
		return ""
	}
	return strconv.FormatInt(time.Now().Unix(), 10)
}()

func newClient(t testing.TB, url, key, secret string) *erpnext.Client {
	t.Helper()
	c, err := erpnext.New(erpnext.Options{URL: url, Site: os.Getenv("LEDGERHOOK_TEST_ERPNEXT_SITE"), Credentials: erpnext.KeySecret(key, secret)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// order applies a snapshot and remembers its outcome, as a settled event does.
func (b *bench) order(ctx context.Context, o commerce.Order) (posting.Result, error) {
	r, err := b.Order(ctx, shop, o)
	return r, b.settle(ctx, r, err)
}

func (b *bench) pay(ctx context.Context, p commerce.Payment) (posting.Result, error) {
	r, err := b.Payment(ctx, stripe, p, time.Now())
	if err == nil {
		r, err = b.PayInvoices(ctx, p.OrderRefs, r)
	}
	return r, b.settle(ctx, r, err)
}

func (b *bench) settle(ctx context.Context, r posting.Result, err error) error {
	_ = b.memory.Remember(ctx, "", r.Documents...)
	return err
}

// books are what ERPNext holds of one order at the end, as text to compare:
// its Sales Orders that are not cancelled, and what became of the money.
func (b *bench) books(ctx context.Context, t testing.TB, id string) []string {
	t.Helper()
	id = run + id
	var orders, payments []erpnext.Stored
	must(t, b.site.List(ctx, erpnext.Query{
		DocType: "Sales Order", Limit: -1,
		Filters:   [][]any{{"docstatus", "<", 2}},
		OrFilters: [][]any{{erpnext.KeyField, "=", "shopify/acme/order/" + id}, {erpnext.KeyField, "like", "shopify/acme/order/" + id + "/r%"}},
	}, &orders))
	must(t, b.site.List(ctx, erpnext.Query{
		DocType: "Payment Entry", Limit: -1, Fields: []string{"paid_amount", "unallocated_amount"},
		Filters: [][]any{{"docstatus", "=", 1}, {"reference_no", "like", "ch " + id + "-%"}},
	}, &payments))
	list := []string{}
	for _, row := range orders {
		var so erpnext.Stored
		must(t, b.site.Get(ctx, "Sales Order", row.Name, &so))
		var rows []string
		for _, item := range so.Items {
			rows = append(rows, fmt.Sprintf("%s × %s", item.Qty, item.Rate))
		}
		list = append(list, fmt.Sprintf("order %s docstatus %d %s: %s, paid %s, po %s", so.GrandTotal, so.DocStatus, so.Status, strings.Join(rows, " + "), so.AdvancePaid,
			strings.ReplaceAll(so.PoNo, id, "ID")))
	}
	var paid, free erpnext.Number
	for _, pe := range payments {
		paid, free = erpnext.Num(paid.Add(pe.PaidAmount.Decimal)), erpnext.Num(free.Add(pe.UnallocatedAmount.Decimal))
	}
	return append(list, fmt.Sprintf("%d payments of %s, on account %s", len(payments), paid, free))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot is an order at its n-th minute, made of the quantities of its two
// lines.
func snapshot(id string, minute int, mugs, pens int64) commerce.Order {
	id = run + id
	o := anOrder()
	o.ID, o.Name = id, "#"+id
	o.Customer = &commerce.Party{ID: id, Email: "ann" + id + "@example.com", FirstName: "Ann", LastName: "Lee " + id}
	o.CreatedAt = time.Now()
	o.UpdatedAt = time.Date(2026, 1, 1, 12, minute, 0, 0, time.UTC)
	o.Lines = nil
	if mugs > 0 {
		o.Lines = append(o.Lines, commerce.Line{ID: "1", Title: "Mug", Quantity: mugs, UnitPrice: usd("10.00")})
	}
	if pens > 0 {
		o.Lines = append(o.Lines, commerce.Line{ID: "2", Title: "Pen", Quantity: pens, UnitPrice: usd("2.50")})
	}
	o.Total = usd(fmt.Sprintf("%d.%d", mugs*10+pens*5/2, pens%2*5))
	return o
}

// payment is the n-th payment of an order.
func payment(id string, n int, amount string) commerce.Payment {
	id = run + id
	name := fmt.Sprintf("%s-%d", id, n)
	return commerce.Payment{
		ID: "pi_" + name, Reference: "ch " + name, Provider: "stripe", Amount: usd(amount), At: time.Now(), OrderRefs: []string{id}, PayerEmail: "ann" + id + "@example.com",
	}
}

func TestEditedOrderIsReplacedAndItsPaymentsFollow(t *testing.T) {
	b := newBench(t, nil)
	_, err := b.order(t.Context(), snapshot("1001", 1, 2, 0))
	must(t, err)
	_, err = b.pay(t.Context(), payment("1001", 1, "20.00"))
	must(t, err)
	r, err := b.order(t.Context(), snapshot("1001", 2, 1, 2))
	must(t, err)
	want := []string{
		"order 15 docstatus 1 To Deliver and Bill: 1 × 10 + 2 × 2.5, paid 15, po #ID",
		"1 payments of 20, on account 5",
	}
	if diff := cmp.Diff(want, b.books(t.Context(), t, "1001")); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
	if !strings.Contains(r.Note, "took the place of") {
		t.Errorf("note %q", r.Note)
	}
	so := b.newest(t, "1001")
	if so.Key != "shopify/acme/order/"+run+"1001/r2" || so.AmendedFrom == "" {
		t.Errorf("successor %s has key %q, amended from %q", so.Name, so.Key, so.AmendedFrom)
	}
}

// newest reads the order's newest Sales Order, as the memory names it.
func (b *bench) newest(t testing.TB, id string) erpnext.Stored {
	t.Helper()
	doc, _, err := b.memory.Document(t.Context(), "Sales Order", "shopify/acme/order/"+run+id)
	must(t, err)
	var so erpnext.Stored
	must(t, b.site.Get(t.Context(), "Sales Order", doc.Name, &so))
	return so
}

// TestLifeInAnyOrder holds that the order in which an order's snapshots and
// payments arrive, and how often, changes nothing.
func TestLifeInAnyOrder(t *testing.T) {
	b := newBench(t, nil)
	lives := 0
	rapid.Check(t, func(rt *rapid.T) {
		life := drawLife(rt)
		arrival := rapid.Permutation(append(slices.Clone(life), rapid.SliceOfN(rapid.SampledFrom(life), 0, 4).Draw(rt, "repeated")...)).Draw(rt, "arrival")
		lives += 2
		want := b.lived(t, rt, strconv.Itoa(lives*1000), life)
		if diff := cmp.Diff(want, b.lived(t, rt, strconv.Itoa(lives*1000+1), arrival)); diff != "" {
			rt.Errorf("in order and in another order (-want +got):\n%s", diff)
		}
	})
}

// moment is something that happens to the order with the given id.
type moment struct {
	name    string
	order   func(id string) commerce.Order
	payment func(id string) commerce.Payment
}

func drawLife(rt *rapid.T) []moment {
	minute := 0
	mugs, pens := rapid.Int64Range(1, 3).Draw(rt, "mugs"), rapid.Int64Range(0, 3).Draw(rt, "pens")
	var life []moment
	add := func(name string, change func(*commerce.Order)) {
		minute++
		at, mugs, pens := minute, mugs, pens
		life = append(life, moment{name: name, order: func(id string) commerce.Order {
			o := snapshot(id, at, mugs, pens)
			change(&o)
			return o
		}})
	}
	nothing := func(*commerce.Order) {}
	add("create", nothing)
	for n := range rapid.IntRange(1, 5).Draw(rt, "moments") {
		switch rapid.SampledFrom([]string{"paid", "updated", "edited", "refunded", "fulfilled"}).Draw(rt, "moment") {
		case "paid":
			amount := rapid.SampledFrom([]string{"5.00", "12.50", "40.00"}).Draw(rt, "amount")
			life = append(life, moment{name: "payment", payment: func(id string) commerce.Payment { return payment(id, n, amount) }})
			add("paid", func(o *commerce.Order) { o.Paid = true })
		case "updated":
			add("updated", func(o *commerce.Order) { o.Note = "leave at the door" })
		case "edited":
			mugs, pens = rapid.Int64Range(1, 4).Draw(rt, "mugs"), rapid.Int64Range(0, 4).Draw(rt, "pens")
			add("edited", nothing)
		case "refunded":
			mugs, pens = max(mugs-1, 0), pens/2
			add("refunded", func(o *commerce.Order) { o.Refunds = []commerce.Refund{{ID: "1"}} })
		case "fulfilled":
			add("fulfilled", func(o *commerce.Order) { o.Fulfillments = []commerce.Fulfillment{{ID: "7"}} })
		}
	}
	if rapid.Bool().Draw(rt, "cancelled") {
		add("cancelled", func(o *commerce.Order) { o.CancelledAt = o.UpdatedAt })
	}
	return life
}

// lived gives the books after a life has arrived in the given order. What
// waits for the order is tried again, as the worker does.
func (b *bench) lived(t *testing.T, rt *rapid.T, id string, life []moment) []string {
	for pass := range 2 {
		var waiting []moment
		for _, m := range life {
			var err error
			if m.order != nil {
				_, err = b.order(t.Context(), m.order(id))
			} else {
				_, err = b.pay(t.Context(), m.payment(id))
			}
			switch {
			case fault.KindOf(err) == fault.Waiting && err != nil && pass == 0:
				waiting = append(waiting, m)
			case err != nil:
				rt.Fatalf("%s: %v", m.name, err)
			}
		}
		life = waiting
	}
	return b.books(t.Context(), t, id)
}
