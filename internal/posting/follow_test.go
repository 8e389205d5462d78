package posting_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// newFollower is a bench whose orders are followed by documents.
func newFollower(t testing.TB, policy posting.OrderPolicy) *bench {
	t.Helper()
	return newBench(t, following(policy))
}

// newManager is one whose API user may cancel invoices, which the usual roles
// may not.
func newManager(t testing.TB, policy posting.OrderPolicy) *bench {
	t.Helper()
	return newManagerOf(t, policy, nil)
}

// newManagerOf is one whose calls go through a site that may fail.
func newManagerOf(t testing.TB, policy posting.OrderPolicy, through *shaky) *bench {
	t.Helper()
	_, site := sandboxSiteAs(t, "boss-key", "boss-secret", sandbox.Options{Key: "boss-key", Secret: "boss-secret"})
	b := newBench(t, func(o *posting.Options) {
		o.Site = site
		following(policy)(o)
		if through != nil {
			through.Site, o.Site = site, through
		}
	})
	b.site = site
	return b
}

func following(policy posting.OrderPolicy) func(*posting.Options) {
	return func(o *posting.Options) {
		o.Desk.Orders = policy
		o.Desk.ReadBooks = posting.ReadBooks(o.Site.(*erpnext.Client), erpnext.Wanted{}, mapping.Books{
			Taxes: []mapping.TaxRule{{Title: "Books", Account: "Tips - DT"}}, // any account of its own
		})
	}
}

// basket is an order of three books at a discount (10.00 for all, which no rate
// can be), two pens and a gift card, with two taxes and shipping, at its n-th
// minute.
func basket(id string, minute int) commerce.Order {
	o := snapshot(id, minute, 0, 0)
	o.Lines = []commerce.Line{
		{ID: "1", Title: "Book", Quantity: 3, UnitPrice: usd("10.00"), Discount: usd("20.00"), Taxes: []commerce.Tax{{Title: "Books", Amount: usd("0.71")}}},
		{ID: "2", Title: "Pen", Quantity: 2, UnitPrice: usd("2.50"), Taxes: []commerce.Tax{{Title: "VAT", Amount: usd("0.95")}}},
		{ID: "3", Title: "Gift card", Kind: commerce.GiftCard, Quantity: 1, UnitPrice: usd("25.00")},
	}
	o.Shipping = []commerce.Charge{{Title: "Post", Price: usd("4.90"), Taxes: []commerce.Tax{{Title: "VAT", Amount: usd("0.93")}}}}
	o.Total = usd("47.49")
	return o
}

// sent is the n-th fulfilment of an order, of pieces by line.
func sent(id string, n int, lines ...int64) commerce.Fulfillment {
	f := commerce.Fulfillment{ID: fmt.Sprintf("%s%s%02d", run, id, n), Name: fmt.Sprintf("#%s.%d", id, n), At: time.Now()}
	for i, qty := range lines {
		if qty > 0 {
			f.Lines = append(f.Lines, commerce.FulfilledLine{LineID: strconv.Itoa(i + 1), Quantity: qty})
		}
	}
	return f
}

func undone(f commerce.Fulfillment) commerce.Fulfillment {
	f.Cancelled = true
	return f
}

// stored is what these tests read of a document.
type stored struct {
	Name        string         `json:"name"`
	DocStatus   int            `json:"docstatus"`
	Status      string         `json:"status"`
	Total       erpnext.Number `json:"grand_total"`
	Open        erpnext.Number `json:"outstanding_amount"`
	IsReturn    int            `json:"is_return"`
	PerBilled   erpnext.Number `json:"per_billed"`
	PerSent     erpnext.Number `json:"per_delivered"`
	Customer    string         `json:"customer"`
	Items       []storedItem   `json:"items"`
	Returned    string         `json:"return_against"`
	Account     string         `json:"account"`
	Debit       erpnext.Number `json:"debit"`
	Credit      erpnext.Number `json:"credit"`
	VoucherType string         `json:"voucher_type"`
}

type storedItem struct {
	Qty, Rate   erpnext.Number
	ItemName    string         `json:"item_name"`
	Description string         `json:"description"`
	Warehouse   string         `json:"warehouse"`
	Delivered   erpnext.Number `json:"delivered_qty"`
}

// behind lists what stands behind an order, as text to compare: the order, the
// notes, the invoices and credit notes, and what they left in the ledger.
func (b *bench) behind(ctx context.Context, t testing.TB, id string) []string {
	t.Helper()
	so := b.newest(t, id)
	list := []string{fmt.Sprintf("order %s delivered %s billed %s", so.Status, so.PerDelivered.Round(1), so.PerBilled.Round(1))}
	of := func(doctype string) []stored {
		var names, docs []stored
		must(t, b.site.List(ctx, erpnext.Query{DocType: doctype, Limit: -1, Filters: [][]any{{"customer", "=", so.Customer}, {"docstatus", "=", 1}}}, &names))
		for _, n := range names {
			var d stored
			must(t, b.site.Get(ctx, doctype, n.Name, &d))
			docs = append(docs, d)
		}
		return docs
	}
	for _, dn := range of("Delivery Note") {
		list = append(list, "note "+dn.Status+": "+rowsText(dn.Items))
	}
	for _, si := range of("Sales Invoice") {
		kind := "invoice"
		if si.IsReturn == 1 {
			kind = "credit"
		}
		list = append(list, fmt.Sprintf("%s %s %s open %s: %s", kind, si.Total, si.Status, si.Open, rowsText(si.Items)))
	}
	return append(list, b.billed(ctx, t, so.Customer))
}

func rowsText(items []storedItem) string {
	var rows []string
	for _, row := range items {
		rows = append(rows, fmt.Sprintf("%s × %s", row.Qty, row.Rate))
	}
	return strings.Join(rows, " + ")
}

// billed is what a customer's invoices left in the ledger, by account.
func (b *bench) billed(ctx context.Context, t testing.TB, customer string) string {
	t.Helper()
	var entries []stored
	must(t, b.site.List(ctx, erpnext.Query{
		DocType: "GL Entry", Limit: -1, Fields: []string{"account", "debit", "credit"},
		Filters:   [][]any{{"voucher_type", "=", "Sales Invoice"}, {"is_cancelled", "=", 0}},
		OrFilters: [][]any{{"party", "=", customer}, {"against", "=", customer}},
	}, &entries))
	sums := map[string]erpnext.Number{}
	for _, e := range entries {
		sums[e.Account] = erpnext.Num(sums[e.Account].Add(e.Debit.Sub(e.Credit.Decimal)))
	}
	var parts []string
	for account, sum := range sums {
		if !sum.IsZero() {
			parts = append(parts, strings.TrimSuffix(account, " - DT")+" "+sum.String())
		}
	}
	slices.Sort(parts)
	return "ledger " + strings.Join(parts, ", ")
}

func TestDeliveryNotePerFulfilment(t *testing.T) {
	b := newFollower(t, posting.OrderPolicy{DeliveryNotes: true})
	for minute, fulfillments := range [][]commerce.Fulfillment{
		{}, {sent("601", 1, 2, 1)}, {sent("601", 1, 2, 1), sent("601", 2, 1, 1, 1)}, {sent("601", 1, 2, 1), sent("601", 2, 1, 1, 1)},
	} {
		o := basket("601", minute+1)
		o.Fulfillments = fulfillments
		_, err := b.order(t.Context(), o)
		must(t, err)
	}
	want := []string{
		"order To Deliver and Bill delivered 83.3 billed 0", // a gift card is not delivered
		"note To Bill: 2 × 3.33 + 1 × 2.5",
		"note To Bill: 1 × 3.34 + 1 × 2.5",
		"ledger ",
	}
	if diff := cmp.Diff(want, b.behind(t.Context(), t, "601")); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
}

func TestCancelledFulfilmentTakesItsNoteBack(t *testing.T) {
	b := newFollower(t, posting.OrderPolicy{DeliveryNotes: true})
	for minute, fulfillments := range [][]commerce.Fulfillment{
		{sent("602", 1, 3)}, {undone(sent("602", 1, 3))}, {undone(sent("602", 1, 3)), sent("602", 2, 3, 2)},
	} {
		o := basket("602", minute+1)
		o.Fulfillments = fulfillments
		_, err := b.order(t.Context(), o)
		must(t, err)
	}
	want := []string{"order To Deliver and Bill delivered 83.3 billed 0", "note To Bill: 2 × 3.33 + 1 × 3.34 + 2 × 2.5", "ledger "}
	if diff := cmp.Diff(want, b.behind(t.Context(), t, "602")); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
}

// TestOrderCancelledWithItsFulfilment holds that an order whose fulfilments are
// all cancelled is cancelled, not closed.
func TestOrderCancelledWithItsFulfilment(t *testing.T) {
	b := newFollower(t, posting.OrderPolicy{DeliveryNotes: true})
	o := basket("603", 1)
	o.Fulfillments = []commerce.Fulfillment{sent("603", 1, 1)}
	_, err := b.order(t.Context(), o)
	must(t, err)
	o = basket("603", 2)
	o.Fulfillments, o.CancelledAt = []commerce.Fulfillment{undone(sent("603", 1, 1))}, o.UpdatedAt
	_, err = b.order(t.Context(), o)
	must(t, err)
	if so := b.newest(t, "603"); so.DocStatus != erpnext.Cancelled {
		t.Errorf("%s is %s", so.Name, so.Status)
	}
}

// paidBasket is the basket with its payment, whose order the shop counts as paid.
func (b *bench) paidBasket(t testing.TB, id string) {
	t.Helper()
	_, err := b.order(t.Context(), basket(id, 1))
	must(t, err)
	_, err = b.pay(t.Context(), payment(id, 1, "47.49"))
	must(t, err)
}

func TestInvoiceAtPaymentIsPaid(t *testing.T) {
	b := newFollower(t, posting.OrderPolicy{Invoices: posting.InvoicePaid, DeliveryNotes: true})
	b.paidBasket(t, "604")
	for minute := range 3 {
		o := basket("604", minute+2)
		o.Paid = true
		if minute > 0 {
			o.Fulfillments = []commerce.Fulfillment{sent("604", 1, 3, 2)}
		}
		_, err := b.order(t.Context(), o)
		must(t, err)
	}
	want := []string{
		"order To Deliver delivered 83.3 billed 100",
		"note Completed: 2 × 3.33 + 1 × 3.34 + 2 × 2.5",
		"invoice 47.49 Paid open 0: 2 × 3.33 + 1 × 3.34 + 2 × 2.5 + 1 × 25",
		"ledger Debtors 47.49, Sales -44.9, Sales Tax -1.88, Tips -0.71",
	}
	if diff := cmp.Diff(want, b.behind(t.Context(), t, "604")); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
}

func TestInvoicePerFulfilmentHasItsOwnShareOfTax(t *testing.T) {
	b := newFollower(t, posting.OrderPolicy{Invoices: posting.InvoiceFulfilled})
	b.paidBasket(t, "605")
	for minute, fulfillments := range [][]commerce.Fulfillment{
		{sent("605", 1, 0, 0, 1)}, {sent("605", 1, 0, 0, 1), sent("605", 2, 2, 1)}, {sent("605", 1, 0, 0, 1), sent("605", 2, 2, 1), sent("605", 3, 1, 1)},
	} {
		o := basket("605", minute+2)
		o.Fulfillments = fulfillments
		_, err := b.order(t.Context(), o)
		must(t, err)
	}
	want := []string{
		"order To Deliver delivered 0 billed 100",
		"invoice 30.83 Paid open 0: 1 × 25", // with shipping and its tax
		"invoice 10.11 Paid open 0: 2 × 3.33 + 1 × 2.5",
		"invoice 6.55 Paid open 0: 1 × 3.34 + 1 × 2.5",
		"ledger Debtors 47.49, Sales -44.9, Sales Tax -1.88, Tips -0.71",
	}
	if diff := cmp.Diff(want, b.behind(t.Context(), t, "605")); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
}

// TestPaymentAfterItsInvoicesPaysThem holds that it does not matter whether the
// money comes before or after what it pays is invoiced.
func TestPaymentAfterItsInvoicesPaysThem(t *testing.T) {
	for name, policy := range map[string]posting.OrderPolicy{"607": {Invoices: posting.InvoicePaid}, "608": {Invoices: posting.InvoiceFulfilled}} {
		b := newFollower(t, policy)
		o := basket(name, 1)
		o.Paid, o.Fulfillments = true, []commerce.Fulfillment{sent(name, 1, 3), sent(name, 2, 0, 2, 1)}
		_, err := b.order(t.Context(), o)
		must(t, err)
		r, err := b.pay(t.Context(), payment(name, 1, "47.49"))
		must(t, err)
		if r.Warn != nil {
			t.Errorf("%s: a person was told: %+v", policy.Invoices, r.Warn)
		}
		again, err := b.pay(t.Context(), payment(name, 1, "47.49"))
		must(t, err)
		if !strings.Contains(again.Note, "already") {
			t.Errorf("%s: told again, the payment was %q", policy.Invoices, again.Note)
		}
		for _, line := range b.behind(t.Context(), t, name) {
			if strings.HasPrefix(line, "invoice") && !strings.Contains(line, "Paid open 0") {
				t.Errorf("%s: %s", policy.Invoices, line)
			}
		}
		if paid, free := b.onAccount(t, name); paid != "1 of 47.49" || !free.IsZero() {
			t.Errorf("%s: payments: %s, on account %s", policy.Invoices, paid, free)
		}
	}
}

// onAccount is what was paid of an order, and what of that is allocated to
// nothing. Beyond the sixth decimal is what binary fractions leave behind, which
// ERPNext's database does not keep.
func (b *bench) onAccount(t testing.TB, id string) (string, decimal.Decimal) {
	t.Helper()
	var payments []erpnext.Stored
	must(t, b.site.List(t.Context(), erpnext.Query{
		DocType: "Payment Entry", Limit: -1, Fields: []string{"paid_amount", "unallocated_amount"},
		Filters: [][]any{{"docstatus", "=", 1}, {"reference_no", "like", "ch " + run + id + "-%"}},
	}, &payments))
	var paid, free decimal.Decimal
	for _, pe := range payments {
		paid, free = paid.Add(pe.PaidAmount.Decimal), free.Add(pe.UnallocatedAmount.Decimal)
	}
	return fmt.Sprintf("%d of %s", len(payments), paid), free.Round(6)
}

// givenBack is the n-th refund of an order.
func givenBack(id string, n int, lines ...commerce.CreditedLine) commerce.Credit {
	return commerce.Credit{ID: fmt.Sprintf("%s%s%02d", run, id, n), OrderID: run + id, At: time.Now(), Lines: lines}
}

func creditedLine(line string, qty int64, subtotal, tax string) commerce.CreditedLine {
	return commerce.CreditedLine{LineID: line, Quantity: qty, Restocked: true, Priced: true, Subtotal: usd(subtotal), Tax: usd(tax)}
}

// refunded is the basket without what a refund took off.
func refunded(id string, minute int, total string, quantities [3]int64, credits ...commerce.Credit) commerce.Order {
	o := basket(id, minute)
	o.Paid, o.Credits, o.Total = true, credits, usd(total)
	for i := range o.Lines {
		o.Lines[i].Quantity = quantities[i]
	}
	o.Lines = slices.DeleteFunc(o.Lines, func(l commerce.Line) bool { return l.Quantity == 0 })
	for i := range o.Lines {
		if o.Lines[i].ID == "1" && o.Lines[i].Quantity == 1 {
			o.Lines[i].Discount, o.Lines[i].Taxes[0].Amount = usd("6.67"), usd("0.24")
		}
	}
	return o
}

func TestRefundOfAnInvoicedOrderIsCredited(t *testing.T) {
	b := newFollower(t, posting.OrderPolicy{Invoices: posting.InvoicePaid, CreditNotes: true})
	b.paidBasket(t, "606")
	o := basket("606", 2)
	o.Paid = true
	_, err := b.order(t.Context(), o)
	must(t, err)
	books := givenBack("606", 1, creditedLine("1", 2, "6.67", "0.47"))
	shipping := givenBack("606", 2)
	shipping.Shipping = []commerce.CreditedAmount{{Title: "Shipping", Amount: usd("4.90"), Tax: usd("0.93")}}
	shipping.Others = []commerce.CreditedAmount{{Title: "Goodwill", Amount: usd("1.00"), Tax: usd("0")}}
	for minute, credits := range [][]commerce.Credit{{books}, {books, shipping}, {books, shipping}} {
		total := "40.35"
		if minute > 0 {
			total = "34.52"
		}
		r, err := b.order(t.Context(), refunded("606", minute+3, total, [3]int64{1, 2, 1}, credits...))
		must(t, err)
		if r.Warn != nil {
			t.Errorf("a person was told: %+v", r.Warn)
		}
	}
	want := []string{
		"order To Deliver delivered 0 billed 100",
		"invoice 47.49 Paid open 0: 2 × 3.33 + 1 × 3.34 + 2 × 2.5 + 1 × 25",
		"credit -7.14 Return open -7.14: -2 × 3.33",
		"credit -6.83 Return open -6.83: 0 × 4.9 + 0 × 1",
		"ledger Debtors 33.52, Round Off 0.01, Sales -32.34, Sales Tax -0.95, Tips -0.24",
	}
	if diff := cmp.Diff(want, b.behind(t.Context(), t, "606")); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
}

// TestRefundPaysItsCreditNote holds that the money that is given back settles the
// credit note, with a fee that the provider gave back.
func TestRefundPaysItsCreditNote(t *testing.T) {
	b := newFollower(t, posting.OrderPolicy{Invoices: posting.InvoicePaid, CreditNotes: true})
	b.paidBasket(t, "609")
	o := basket("609", 2)
	o.Paid = true
	_, err := b.order(t.Context(), o)
	must(t, err)
	_, err = b.order(t.Context(), refunded("609", 3, "40.35", [3]int64{1, 2, 1}, givenBack("609", 1, creditedLine("1", 2, "6.67", "0.47"))))
	must(t, err)
	r, err := b.Refund(t.Context(), stripe, commerce.Refund{
		ID: "re_609", Amount: usd("7.14"), At: time.Now(), Outcome: commerce.Succeeded, OrderRefs: []string{run + "609"}, Provider: "stripe", PaymentID: payment("609", 1, "47.49").ID,
	}, time.Now())
	must(t, b.settle(t.Context(), r, err))
	for _, line := range b.behind(t.Context(), t, "609") {
		if strings.HasPrefix(line, "credit") && !strings.Contains(line, "open 0:") {
			t.Error(line)
		}
	}
}

// TestRehearsalShowsWhatFollows holds that a dry run shows the documents behind
// an order, and makes none.
func TestRehearsalShowsWhatFollows(t *testing.T) {
	site := &posting.Rehearsal{Blank: true}
	b := newBench(t, func(o *posting.Options) {
		site.Site, o.Site = o.Site, site
		o.Desk.Orders = posting.OrderPolicy{DeliveryNotes: true, Invoices: posting.InvoiceFulfilled, CreditNotes: true}
	})
	o := basket("610", 1)
	o.Fulfillments = []commerce.Fulfillment{sent("610", 1, 2), sent("610", 2, 1, 2, 1)}
	site.Total = o.Total
	_, err := b.order(t.Context(), o)
	must(t, err)
	var made []string
	for _, step := range site.Steps() {
		if step.Action == "create" {
			made = append(made, step.DocType)
		}
	}
	want := []string{"Customer", "Sales Order", "Delivery Note", "Sales Invoice", "Delivery Note", "Sales Invoice"}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	var there []erpnext.Stored
	must(t, b.site.List(t.Context(), erpnext.Query{DocType: "Sales Order", Limit: -1}, &there))
	if len(there) > 0 {
		t.Errorf("%d orders were made", len(there))
	}
}

// TestFollowersInAnyOrder holds that whatever order an order's snapshots arrive
// in, and however often, what is delivered, invoiced and credited in the end is
// the same.
func TestFollowersInAnyOrder(t *testing.T) {
	policies := []posting.OrderPolicy{
		{DeliveryNotes: true}, {DeliveryNotes: true, Invoices: posting.InvoiceFulfilled, CreditNotes: true}, {Invoices: posting.InvoicePaid, CreditNotes: true},
	}
	lives := 0
	var benches []*bench
	for _, p := range policies {
		benches = append(benches, newManager(t, p))
	}
	rapid.Check(t, func(rt *rapid.T) {
		b := benches[rapid.IntRange(0, len(benches)-1).Draw(rt, "policy")]
		life := drawDeliveries(rt)
		arrival := rapid.Permutation(append(slices.Clone(life), rapid.SliceOfN(rapid.SampledFrom(life), 0, 3).Draw(rt, "repeated")...)).Draw(rt, "arrival")
		lives += 2
		var got [2][]string
		for i, order := range [][]func(string) commerce.Order{life, arrival} {
			id := strconv.Itoa(700000 + lives + i)
			for _, snapshot := range order {
				if _, err := b.order(t.Context(), snapshot(id)); err != nil {
					rt.Fatal(err)
				}
			}
			got[i] = b.worth(t.Context(), t, id)
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			rt.Errorf("in order and in another order (-want +got):\n%s", diff)
		}
	})
}

// drawDeliveries draws the snapshots of an order that is sent in parts, one of
// which may be taken back and sent again.
func drawDeliveries(rt *rapid.T) []func(id string) commerce.Order {
	var life []func(string) commerce.Order
	minute := 0
	var parts []func(string) commerce.Fulfillment
	paid := false
	add := func() {
		minute++
		at, all, isPaid := minute, slices.Clone(parts), paid
		life = append(life, func(id string) commerce.Order {
			o := basket(id, at)
			o.Paid = isPaid
			for _, part := range all {
				o.Fulfillments = append(o.Fulfillments, part(id))
			}
			return o
		})
	}
	add()
	left := [3]int64{3, 2, 1}
	for n := range rapid.IntRange(1, 5).Draw(rt, "moments") {
		switch rapid.SampledFrom([]string{"paid", "sent", "sent", "taken back"}).Draw(rt, "moment") {
		case "paid":
			paid = true
		case "sent":
			var take [3]int64
			for i := range take {
				take[i] = rapid.Int64Range(0, left[i]).Draw(rt, "pieces")
				left[i] -= take[i]
			}
			parts = append(parts, func(id string) commerce.Fulfillment { return sent(id, n+1, take[:]...) })
		case "taken back":
			if len(parts) == 0 {
				continue
			}
			last := parts[len(parts)-1]
			for _, l := range last("x").Lines {
				i, _ := strconv.Atoi(l.LineID)
				if !last("x").Cancelled {
					left[i-1] += l.Quantity
				}
			}
			parts[len(parts)-1] = func(id string) commerce.Fulfillment { return undone(last(id)) }
		}
		add()
	}
	return life
}

// worth sums up what stands behind an order, however it is put together: pieces
// delivered by line, what was billed and the ledger.
func (b *bench) worth(ctx context.Context, t testing.TB, id string) []string {
	t.Helper()
	so := b.newest(t, id)
	sums := map[string]erpnext.Number{}
	var full struct{ Items []storedItem }
	must(t, b.site.Get(ctx, "Sales Order", so.Name, &full))
	for _, row := range full.Items {
		sums[row.ItemName] = erpnext.Num(sums[row.ItemName].Add(row.Delivered.Decimal))
	}
	list := []string{fmt.Sprintf("order %s delivered %s billed %s", so.Status, so.PerDelivered.Round(1), so.PerBilled.Round(1))}
	for name, sum := range sums {
		list = append(list, name+" "+sum.String())
	}
	slices.Sort(list)
	return append(list, b.billed(ctx, t, so.Customer))
}
