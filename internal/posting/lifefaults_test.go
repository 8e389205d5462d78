package posting_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/posting"
)

// shaky is a site that fails once, at the n-th call, before or after it did
// what was asked.
type shaky struct {
	posting.Site
	left   int // calls until the failure; 0 = none
	after  bool
	failed bool
}

func (s *shaky) call(do func() error) error {
	s.left--
	if s.left != 0 {
		return do()
	}
	s.failed = true
	if s.after {
		_ = do()
	}
	return &fault.Error{Kind: fault.Network, Op: "test", Cause: "down"}
}

func (s *shaky) Ensure(ctx context.Context, doctype, key string, doc, out any) (bool, error) {
	var created bool
	err := s.call(func() error {
		var err error
		created, err = s.Site.Ensure(ctx, doctype, key, doc, out)
		return err
	})
	return created, err
}

func (s *shaky) FindByKey(ctx context.Context, doctype, key string, out any) (bool, error) {
	var found bool
	err := s.call(func() error {
		var err error
		found, err = s.Site.FindByKey(ctx, doctype, key, out)
		return err
	})
	return found, err
}

func (s *shaky) Update(ctx context.Context, doctype, name string, fields map[string]any, out any) error {
	return s.call(func() error { return s.Site.Update(ctx, doctype, name, fields, out) })
}

func (s *shaky) Submit(ctx context.Context, doctype, name string, out any) error {
	return s.call(func() error { return s.Site.Submit(ctx, doctype, name, out) })
}

func (s *shaky) Cancel(ctx context.Context, doctype, name string) error {
	return s.call(func() error { return s.Site.Cancel(ctx, doctype, name) })
}

func (s *shaky) Get(ctx context.Context, doctype, name string, out any) error {
	return s.call(func() error { return s.Site.Get(ctx, doctype, name, out) })
}

func (s *shaky) List(ctx context.Context, q erpnext.Query, out any) error {
	return s.call(func() error { return s.Site.List(ctx, q, out) })
}

// TestEditSurvivesEveryFailure breaks the connection at every call that an
// edit makes, before and after ERPNext did what was asked, and tries again.
func TestEditSurvivesEveryFailure(t *testing.T) {
	site := &shaky{}
	b := newBench(t, func(o *posting.Options) { site.Site, o.Site = o.Site, site })
	want := []string{
		"order 15 docstatus 1 To Deliver and Bill: 1 × 10 + 2 × 2.5, paid 15, po #ID",
		"2 payments of 20, on account 5",
	}
	n := 0
	for broke := true; broke; {
		n++
		for i, after := range []bool{false, true} {
			id := strconv.Itoa(5000 + 10*n + i)
			site.left, site.failed = 0, false
			b.paidTwice(t, id)
			site.left, site.after = n, after
			b.untilDone(t, snapshot(id, 2, 1, 2))
			broke = site.failed
			if diff := cmp.Diff(want, b.books(t.Context(), t, id)); diff != "" {
				t.Errorf("after a failure at call %d (done: %v): books (-want +got):\n%s", n, after, diff)
			}
		}
	}
	if n < 10 {
		t.Errorf("the edit takes more than %d calls", n)
	}
}

// paidTwice makes an order of 20 with two payments.
func (b *bench) paidTwice(t *testing.T, id string) {
	t.Helper()
	_, err := b.order(t.Context(), snapshot(id, 1, 2, 0))
	must(t, err)
	for n, amount := range []string{"12.50", "7.50"} {
		_, err := b.pay(t.Context(), payment(id, n, amount))
		must(t, err)
	}
}

func (b *bench) untilDone(t *testing.T, o commerce.Order) {
	t.Helper()
	err := errors.New("not tried")
	for try := 0; err != nil && try < 3; try++ {
		_, err = b.order(t.Context(), o)
	}
	must(t, err)
}

// gone is the order of two mugs, cancelled in the shop.
func gone(id string, minute int) commerce.Order {
	o := snapshot(id, minute, 2, 0)
	o.CancelledAt = o.UpdatedAt
	return o
}

func TestCancelledBeforeItWasMade(t *testing.T) {
	b := newBench(t, nil)
	for _, o := range []commerce.Order{gone("11", 2), snapshot("11", 1, 2, 0)} {
		_, err := b.order(t.Context(), o)
		must(t, err)
	}
	if diff := cmp.Diff([]string{"0 payments of 0, on account 0"}, b.books(t.Context(), t, "11")); diff != "" {
		t.Error(diff)
	}
}

func TestCancellationFreesThePayment(t *testing.T) {
	b := newBench(t, nil)
	b.paidTwice(t, "12")
	_, err := b.order(t.Context(), gone("12", 2))
	must(t, err)
	if diff := cmp.Diff([]string{"2 payments of 20, on account 20"}, b.books(t.Context(), t, "12")); diff != "" {
		t.Error(diff)
	}
}

func TestCancellationOfABilledOrderClosesIt(t *testing.T) {
	b := newBench(t, nil)
	_, err := b.order(t.Context(), snapshot("13", 1, 2, 0))
	must(t, err)
	b.bill(t, b.newest(t, "13").Name)
	r, err := b.order(t.Context(), gone("13", 2))
	must(t, err)
	if so := b.newest(t, "13"); so.Status != "Closed" || so.DocStatus != erpnext.Submitted || !strings.Contains(r.Note, "closed") {
		t.Errorf("%s is %s, docstatus %d; note %q", so.Name, so.Status, so.DocStatus, r.Note)
	}
}

func TestCancellationIsNotedWhereTheSheetSaysSo(t *testing.T) {
	b := newBench(t, func(o *posting.Options) { o.Desk.Orders.NoteCancellations = true })
	_, err := b.order(t.Context(), snapshot("14", 1, 2, 0))
	must(t, err)
	r, err := b.order(t.Context(), gone("14", 2))
	must(t, err)
	if so := b.newest(t, "14"); so.DocStatus != erpnext.Submitted || r.Warn == nil {
		t.Errorf("docstatus %d, warning %v", so.DocStatus, r.Warn)
	}
}

// bill makes and submits an invoice of the whole order.
func (b *bench) bill(t *testing.T, order string) {
	t.Helper()
	invoice := b.invoice(t, order)
	must(t, b.site.Submit(t.Context(), "Sales Invoice", invoice, nil))
}

func (b *bench) invoice(t *testing.T, order string) string {
	t.Helper()
	var invoice map[string]any
	must(t, b.site.Call(t.Context(), "POST", "erpnext.selling.doctype.sales_order.sales_order.make_sales_invoice", map[string]string{"source_name": order}, &invoice))
	for _, key := range []string{"docstatus", "name"} {
		delete(invoice, key)
	}
	var stored erpnext.Stored
	must(t, b.site.Create(t.Context(), "Sales Invoice", invoice, &stored))
	return stored.Name
}

func TestEditOfABilledOrderIsLeftToAPerson(t *testing.T) {
	for id, behind := range map[string]func(*bench, string){
		"151": func(b *bench, order string) { b.bill(t, order) },
		"152": func(b *bench, order string) { b.invoice(t, order) }, // a draft
	} {
		t.Run(id, func(t *testing.T) {
			b := newBench(t, nil)
			_, err := b.order(t.Context(), snapshot(id, 1, 2, 0))
			must(t, err)
			behind(b, b.newest(t, id).Name)
			r, err := b.order(t.Context(), snapshot(id, 2, 3, 0))
			must(t, err)
			if so := b.newest(t, id); so.GrandTotal.String() != "20" || so.DocStatus != 1 || r.Warn == nil || !strings.Contains(r.Warn.Hint, "30.00 USD") {
				t.Errorf("total %s, docstatus %d, warning %+v", so.GrandTotal, so.DocStatus, r.Warn)
			}
			if n := len(b.books(t.Context(), t, id)); n != 2 {
				t.Errorf("a successor's draft was left behind: %d documents", n)
			}
			if r, err = b.order(t.Context(), snapshot(id, 2, 3, 0)); err != nil || r.Warn != nil {
				t.Errorf("told again: %+v, %v", r.Warn, err)
			}
		})
	}
}

func TestOrderCancelledByAPersonStaysSo(t *testing.T) {
	b := newBench(t, nil)
	_, err := b.order(t.Context(), snapshot("16", 1, 2, 0))
	must(t, err)
	must(t, b.site.Cancel(t.Context(), "Sales Order", b.newest(t, "16").Name))
	for minute := range 2 {
		r, err := b.order(t.Context(), snapshot("16", 2+minute, 3, 0))
		must(t, err)
		if !strings.Contains(r.Ignored, "cancelled in ERPNext") {
			t.Errorf("result %+v", r)
		}
	}
}

// TestLostMemoryMakesNoSecondOrder holds that an order is found by its key,
// whatever revision it has got to.
func TestLostMemoryMakesNoSecondOrder(t *testing.T) {
	b := newBench(t, nil)
	for minute, mugs := range []int64{2, 3, 1} {
		_, err := b.order(t.Context(), snapshot("17", minute+1, mugs, 0))
		must(t, err)
	}
	want := b.books(t.Context(), t, "17")
	clear(b.memory.docs)
	_, err := b.order(t.Context(), snapshot("17", 3, 1, 0))
	must(t, err)
	if diff := cmp.Diff(want, b.books(t.Context(), t, "17")); diff != "" {
		t.Errorf("books (-before +after):\n%s", diff)
	}
}

func TestPaymentThatCameTooEarlyIsLinkedToItsOrder(t *testing.T) {
	b := newBench(t, func(o *posting.Options) { o.Desk.WaitForOrder = 0 })
	r, err := b.pay(t.Context(), payment("18", 1, "20.00"))
	must(t, err)
	if r.Warn == nil {
		t.Error("nobody was told of a payment without its order")
	}
	_, err = b.order(t.Context(), snapshot("18", 1, 2, 0))
	must(t, err)
	want := []string{"order 20 docstatus 1 To Deliver and Bill: 2 × 10, paid 20, po #ID", "1 payments of 20, on account 0"}
	if diff := cmp.Diff(want, b.books(t.Context(), t, "18")); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
}

func TestPolicies(t *testing.T) {
	tests := []struct {
		name   string
		policy posting.OrderPolicy
		change func(*commerce.Order)
		want   string
	}{
		{"TestOrderIsSkipped", posting.OrderPolicy{}, func(o *commerce.Order) { o.Test = true }, "a test order"},
		{"TaggedOrderIsSkipped", posting.OrderPolicy{SkipTags: []string{"Wholesale"}}, func(o *commerce.Order) { o.Tags = []string{"wholesale"} }, "the tag Wholesale"},
		{"UnpaidOrderWaits", posting.OrderPolicy{OnlyPaid: true}, func(*commerce.Order) {}, "not paid yet"},
		{"TestOrderIsBookedOnRequest", posting.OrderPolicy{BookTests: true}, func(o *commerce.Order) { o.Test = true }, ""},
		{"PaidOrderIsBooked", posting.OrderPolicy{OnlyPaid: true}, func(o *commerce.Order) { o.Paid = true }, ""},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, func(o *posting.Options) { o.Desk.Orders = tt.policy })
			o := snapshot(strconv.Itoa(20+i), 1, 1, 0)
			tt.change(&o)
			r, err := b.order(t.Context(), o)
			must(t, err)
			if !strings.Contains(r.Ignored, tt.want) || (tt.want == "") != (r.Ignored == "") {
				t.Errorf("ignored %q, want %q", r.Ignored, tt.want)
			}
		})
	}
}

func TestDraftsStayDraftsWhereTheSheetSaysSo(t *testing.T) {
	b := newBench(t, func(o *posting.Options) { o.Desk.Orders.KeepDrafts = true })
	for minute, mugs := range []int64{2, 3} {
		_, err := b.order(t.Context(), snapshot("30", minute+1, mugs, 0))
		must(t, err)
	}
	want := []string{"order 30 docstatus 0 Draft: 3 × 10, paid 0, po #ID", "0 payments of 0, on account 0"}
	if diff := cmp.Diff(want, b.books(t.Context(), t, "30")); diff != "" {
		t.Error(diff)
	}
}

// TestPaymentBetweenTwoTriesOfAnEdit breaks an edit at every call, lets the
// payment come, and tries the edit again.
func TestPaymentBetweenTwoTriesOfAnEdit(t *testing.T) {
	site := &shaky{}
	b := newBench(t, func(o *posting.Options) { site.Site, o.Site = o.Site, site })
	want := []string{
		"order 15 docstatus 1 To Deliver and Bill: 1 × 10 + 2 × 2.5, paid 15, po #ID",
		"1 payments of 20, on account 5",
	}
	n := 0
	for broke := true; broke; {
		n++
		for i, after := range []bool{false, true} {
			id := strconv.Itoa(7000 + 10*n + i)
			site.left, site.failed = 0, false
			_, err := b.order(t.Context(), snapshot(id, 1, 2, 0))
			must(t, err)
			site.left, site.after = n, after
			_, _ = b.order(t.Context(), snapshot(id, 2, 1, 2))
			broke, site.left = site.failed, 0
			_, err = b.pay(t.Context(), payment(id, 1, "20.00"))
			must(t, err)
			b.untilDone(t, snapshot(id, 2, 1, 2))
			if diff := cmp.Diff(want, b.books(t.Context(), t, id)); diff != "" {
				t.Errorf("after a failure at call %d (done: %v): books (-want +got):\n%s", n, after, diff)
			}
		}
	}
	if n < 5 {
		t.Errorf("the edit takes more than %d calls", n)
	}
}

// The outcome of an event is written down after its turn has ended: a payment
// that waited for the turn must know of the edit all the same.
func TestPaymentRightBehindAnEditFindsTheSuccessor(t *testing.T) {
	b := newBench(t, nil)
	_, err := b.order(t.Context(), snapshot("7900", 1, 2, 0))
	must(t, err)
	_, err = b.Order(t.Context(), shop, snapshot("7900", 2, 1, 2)) // its outcome is not remembered yet
	must(t, err)
	_, err = b.pay(t.Context(), payment("7900", 1, "15.00"))
	must(t, err)
	want := []string{
		"order 15 docstatus 1 To Deliver and Bill: 1 × 10 + 2 × 2.5, paid 15, po #ID",
		"1 payments of 15, on account 0",
	}
	if diff := cmp.Diff(want, b.books(t.Context(), t, "7900")); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
}

// Money that comes inside an order is booked before the event's outcome is
// written down: it must find its order all the same.
func TestMoneyInsideAnOrderFindsIt(t *testing.T) {
	b := newBench(t, nil)
	o := snapshot("7950", 1, 2, 0)
	pay := payment("7950", 1, "20.00")
	o.Payments = []commerce.Payment{pay}
	_, err := b.Order(t.Context(), shop, o) // its outcome is not remembered yet
	must(t, err)
	_, err = b.pay(t.Context(), pay)
	must(t, err)
	want := []string{
		"order 20 docstatus 1 To Deliver and Bill: 2 × 10, paid 20, po #ID",
		"1 payments of 20, on account 0",
	}
	if diff := cmp.Diff(want, b.books(t.Context(), t, "7950")); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
}
