package posting_test

import (
	"context"
	"fmt"
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
	_, client := sandboxSite(t)
	return client
}

// sandboxSite is an in-memory ERPNext that is set up.
func sandboxSite(t testing.TB) (*sandbox.Site, *erpnext.Client) {
	t.Helper()
	return sandboxSiteAs(t, "demo-key", "demo-secret", sandbox.Options{})
}

func sandboxSiteAs(t testing.TB, key, secret string, o sandbox.Options) (*sandbox.Site, *erpnext.Client) {
	t.Helper()
	site, err := sandbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	client := func(key, secret string) *erpnext.Client {
		c, err := erpnext.New(erpnext.Options{URL: "http://site.test", Credentials: erpnext.KeySecret(key, secret), Transport: &line{Handler: site}})
		must(t, err)
		return c
	}
	must(t, erpnext.Setup(t.Context(), client("demo-setup-key", "demo-setup-secret"), erpnext.KeyedDocTypes(), func(string) {}))
	return site, client(key, secret)
}

// sandboxBench is a bench on an in-memory ERPNext whose inside can be changed.
func sandboxBench(t testing.TB, books mapping.Books, change func(*posting.Options)) (*sandbox.Site, *bench) {
	t.Helper()
	site, client := sandboxSite(t)
	b := &bench{site: client, memory: newMemory()}
	o := posting.Options{
		Site: client, Memory: b.memory, Shops: []posting.Origin{shop}, CustomersFresh: time.Hour,
		Desk: posting.Desk{ReadBooks: posting.ReadBooks(client, erpnext.Wanted{}, books), WaitForOrder: time.Hour},
	}
	if change != nil {
		change(&o)
	}
	b.Poster = posting.New(o)
	return site, b
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
	list = append(list, fmt.Sprintf("%d payments of %s, on account %s", len(payments), paid, free))
	var refunds []erpnext.Stored
	must(t, b.site.List(ctx, erpnext.Query{
		DocType: "Payment Entry", Limit: -1, Fields: []string{"paid_amount"},
		Filters: [][]any{{"docstatus", "=", 1}, {"reference_no", "like", "re " + id + "-%"}},
	}, &refunds))
	if len(refunds) > 0 {
		var back erpnext.Number
		for _, pe := range refunds {
			back = erpnext.Num(back.Add(pe.PaidAmount.Decimal))
		}
		list = append(list, fmt.Sprintf("%d refunds of %s", len(refunds), back))
	}
	return list
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

// TestLifeInAnyOrder holds that the order in which an order's snapshots, its
// payments and their refunds arrive, and how often, changes nothing, whatever
// the policies. (Those that leave edits and cancellations to a person are not
// among them: there the first snapshot to arrive stands, as they ask for.)
func TestLifeInAnyOrder(t *testing.T) {
	policies := []posting.CustomerPolicy{{}, {Update: posting.OverwriteCustomers}, {OnePerGuest: true}}
	for range 4 { // times the 100 checks of each; a site slows down as it fills
		b := newBench(t, nil)
		posters := map[posting.CustomerPolicy]map[bool]*posting.Poster{}
		for _, customers := range policies {
			posters[customers] = map[bool]*posting.Poster{}
			for _, onlyPaid := range []bool{false, true} {
				o := b.Options
				o.Desk.Customers, o.Desk.Orders = customers, posting.OrderPolicy{OnlyPaid: onlyPaid, Supplement: true}
				posters[customers][onlyPaid] = posting.New(o)
			}
		}
		lives := 0
		rapid.Check(t, func(rt *rapid.T) {
			own := &bench{posters[rapid.SampledFrom(policies).Draw(rt, "customers")][rapid.Bool().Draw(rt, "only paid")], b.site, b.memory}
			life := drawLife(rt)
			arrival := rapid.Permutation(append(slices.Clone(life), rapid.SliceOfN(rapid.SampledFrom(life), 0, 4).Draw(rt, "repeated")...)).Draw(rt, "arrival")
			lives += 2
			want := own.lived(t, rt, strconv.Itoa(lives*1000), life)
			if diff := cmp.Diff(want, own.lived(t, rt, strconv.Itoa(lives*1000+1), arrival)); diff != "" {
				rt.Errorf("in order and in another order (-want +got):\n%s", diff)
			}
		})
		if t.Failed() {
			return
		}
	}
}

// moment is something that happens to the order with the given id.
type moment struct {
	name    string
	order   func(id string) commerce.Order
	payment func(id string) commerce.Payment
	refund  func(id string) commerce.Refund
}

// life is an order's being made up.
type life struct {
	moments    []moment
	minute     int
	mugs, pens int64
	paid       bool
	refunds    int
	payments   []string // amounts that can still be given back
}

// add adds a snapshot as the order stands now.
func (l *life) add(name string, change func(*commerce.Order)) {
	l.minute++
	now := *l
	l.moments = append(l.moments, moment{name: name, order: func(id string) commerce.Order {
		o := snapshot(id, now.minute, now.mugs, now.pens)
		o.Paid, o.Refunds = now.paid, make([]commerce.Refund, now.refunds)
		change(&o)
		return o
	}})
}

func (l *life) pay(n int, amount string) {
	l.payments = append(l.payments, amount)
	l.moments = append(l.moments, moment{name: "payment", payment: func(id string) commerce.Payment { return payment(id, n, amount) }})
	l.paid = true
	l.add("paid", func(*commerce.Order) {})
}

// refund gives goods back, and the money of a payment in whole or in part, if
// there was one.
func (l *life) refund(n int, part string) {
	l.mugs, l.pens, l.refunds = max(l.mugs-1, 0), l.pens/2, l.refunds+1
	if len(l.payments) > 0 {
		paid := len(l.payments) // the newest
		if part == "" {
			part = l.payments[paid-1]
		}
		of := l.payments[:paid-1]
		l.payments = of
		l.moments = append(l.moments, moment{name: "refund", refund: func(id string) commerce.Refund {
			id = run + id
			name := fmt.Sprintf("%s-%d", id, n)
			return commerce.Refund{
				ID: "re_" + name, Reference: "re " + name, Provider: "stripe", Amount: usd(part), At: time.Now(), Outcome: commerce.Succeeded, OrderRefs: []string{id},
				PayerEmail: "ann" + id + "@example.com",
			}
		}})
	}
	l.add("refunded", func(*commerce.Order) {})
}

func drawLife(rt *rapid.T) []moment {
	l := &life{mugs: rapid.Int64Range(1, 3).Draw(rt, "mugs"), pens: rapid.Int64Range(0, 3).Draw(rt, "pens")}
	nothing := func(*commerce.Order) {}
	l.add("create", nothing)
	for n := range rapid.IntRange(1, 6).Draw(rt, "moments") {
		switch rapid.SampledFrom([]string{"paid", "updated", "edited", "refunded", "fulfilled"}).Draw(rt, "moment") {
		case "paid":
			l.pay(n, rapid.SampledFrom([]string{"5.00", "12.50", "40.00"}).Draw(rt, "amount"))
		case "updated":
			l.add("updated", func(o *commerce.Order) { o.Note = "leave at the door" })
		case "edited":
			l.mugs, l.pens = rapid.Int64Range(1, 4).Draw(rt, "mugs"), rapid.Int64Range(0, 4).Draw(rt, "pens")
			l.add("edited", nothing)
		case "refunded":
			l.refund(n, rapid.SampledFrom([]string{"", "2.50"}).Draw(rt, "part"))
		case "fulfilled":
			l.add("fulfilled", func(o *commerce.Order) { o.Fulfillments = []commerce.Fulfillment{{ID: "7"}} })
		}
	}
	if rapid.Bool().Draw(rt, "cancelled") {
		l.add("cancelled", func(o *commerce.Order) { o.CancelledAt = o.UpdatedAt })
	}
	return l.moments
}

// happens lets a moment arrive.
func (b *bench) happens(ctx context.Context, m moment, id string) error {
	var err error
	switch {
	case m.order != nil:
		_, err = b.order(ctx, m.order(id))
	case m.payment != nil:
		_, err = b.pay(ctx, m.payment(id))
	default:
		r, failed := b.Refund(ctx, stripe, m.refund(id), time.Now())
		err = b.settle(ctx, r, failed)
	}
	return err
}

// lived gives the books after a life has arrived in the given order. What
// waits for the order, or for the payment, is tried again, as the worker does.
func (b *bench) lived(t *testing.T, rt *rapid.T, id string, life []moment) []string {
	for pass := range 3 {
		var waiting []moment
		for _, m := range life {
			err := b.happens(t.Context(), m, id)
			switch {
			case fault.KindOf(err) == fault.Waiting && err != nil && pass < 2:
				waiting = append(waiting, m)
			case fault.KindOf(err) == fault.Waiting && err != nil: // for an order that is never made
			case err != nil:
				rt.Fatalf("%s: %v", m.name, err)
			}
		}
		life = waiting
	}
	return b.books(t.Context(), t, id)
}

// TestPaymentTooMuchWaitsForTheNextEdit holds that money an edited order does
// not need is found again when a later edit does.
func TestPaymentTooMuchWaitsForTheNextEdit(t *testing.T) {
	b := newBench(t, nil)
	_, err := b.order(t.Context(), snapshot("1", 1, 1, 0))
	must(t, err)
	for n, amount := range []string{"40.00", "5.00"} {
		_, err = b.pay(t.Context(), payment("1", n+1, amount))
		must(t, err)
	}
	_, err = b.order(t.Context(), snapshot("1", 2, 2, 2))
	must(t, err)
	if got, want := b.books(t.Context(), t, "1")[1], "2 payments of 45, on account 20"; got != want {
		t.Errorf("after the first edit: %s, want %s", got, want)
	}
	_, err = b.order(t.Context(), snapshot("1", 4, 4, 2))
	must(t, err)
	if got, want := b.books(t.Context(), t, "1")[1], "2 payments of 45, on account 0"; got != want {
		t.Errorf("after the second edit: %s, want %s", got, want)
	}
}
