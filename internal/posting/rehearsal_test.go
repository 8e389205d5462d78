package posting_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/posting"
)

// rehearse makes a Poster on a rehearsal of a bench's site and memory.
func (b *bench) rehearse(t *testing.T, o posting.Options, total string) (*posting.Poster, *posting.Rehearsal, *posting.Scratch) {
	t.Helper()
	site := &posting.Rehearsal{Site: b.site, Total: usd(total)}
	memory := &posting.Scratch{Memory: b.memory}
	o.Site, o.Memory = site, memory
	return posting.New(o), site, memory
}

func steps(site *posting.Rehearsal) []string {
	var said []string
	for _, s := range site.Steps() {
		said = append(said, strings.TrimSpace(s.Action+" "+s.Name))
	}
	return said
}

// TestRehearsalTellsWhatARunWouldWrite rehearses an order with its payment and a
// refund of that: what is told is what is then done, and until then nothing is.
func TestRehearsalTellsWhatARunWouldWrite(t *testing.T) {
	var o posting.Options
	b := newBench(t, func(made *posting.Options) { o = *made })
	p, site, memory := b.rehearse(t, o, "20.00")
	refund := commerce.Refund{ID: "re_1", PaymentID: "pi_8001-1", Reference: "re_1", Amount: usd("5.00"), At: time.Now(), Outcome: commerce.Succeeded, Provider: "stripe"}
	run := func(p *posting.Poster, remember func(r posting.Result, err error)) {
		remember(p.Order(t.Context(), shop, snapshot("8001", 1, 2, 0)))
		remember(p.Payment(t.Context(), stripe, payment("8001", 1, "20.00"), time.Now()))
		remember(p.Refund(t.Context(), stripe, refund, time.Now()))
	}
	run(p, func(r posting.Result, err error) {
		must(t, err)
		must(t, memory.Remember(t.Context(), "", r.Documents...))
	})
	want := []string{
		"create new Customer 1", "create new Sales Order 2", "submit new Sales Order 2", "create new Payment Entry 3", "submit new Payment Entry 3",
		"create new Payment Entry 4", "submit new Payment Entry 4",
	}
	if diff := cmp.Diff(want, steps(site)); diff != "" {
		t.Error(diff)
	}
	for _, doctype := range []string{"Sales Order", "Payment Entry"} {
		if n := b.count(t, doctype); n != 0 {
			t.Errorf("the rehearsal made %d of %s", n, doctype)
		}
	}
	if len(b.memory.docs) != 0 {
		t.Errorf("the rehearsal is remembered: %v", b.memory.docs)
	}

	run(b.Poster, func(r posting.Result, err error) { must(t, b.settle(t.Context(), r, err)) })
	if orders, payments := b.count(t, "Sales Order"), b.count(t, "Payment Entry"); orders != 1 || payments != 2 {
		t.Errorf("the run made %d orders and %d payments, want what was rehearsed", orders, payments)
	}
	p, site, _ = b.rehearse(t, o, "20.00")
	run(p, func(_ posting.Result, err error) { must(t, err) })
	if got := steps(site); len(got) != 0 {
		t.Errorf("after the run there is nothing to do, and it says %v", got)
	}
	failed := refund
	failed.Outcome = commerce.Failed
	_, err := p.Refund(t.Context(), stripe, failed, time.Now())
	must(t, err)
	if got := steps(site); len(got) != 1 || !strings.HasPrefix(got[0], "cancel ACC-PAY-") {
		t.Errorf("a failed refund: %v, want it cancelled", got)
	}
}

// TestRehearsalOfAnEdit holds that a rehearsal sees its own changes, as the run
// that it stands for would.
func TestRehearsalOfAnEdit(t *testing.T) {
	var o posting.Options
	b := newBench(t, func(made *posting.Options) { o = *made })
	_, err := b.order(t.Context(), snapshot("8002", 1, 2, 0))
	must(t, err)
	_, err = b.pay(t.Context(), payment("8002", 1, "20.00"))
	must(t, err)
	p, site, _ := b.rehearse(t, o, "30.00")
	_, err = p.Order(t.Context(), shop, snapshot("8002", 2, 3, 0))
	must(t, err)
	var said []string
	for _, s := range site.Steps() {
		said = append(said, s.Action+" "+s.DocType)
	}
	want := []string{
		"create Sales Order", "cancel Sales Order", "update Sales Order", "submit Sales Order",
		"cancel Payment Entry", "create Payment Entry", "submit Payment Entry",
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
}

func (b *bench) count(t *testing.T, doctype string) int {
	t.Helper()
	var rows []erpnext.Stored
	must(t, b.site.List(t.Context(), erpnext.Query{DocType: doctype, Limit: -1}, &rows))
	return len(rows)
}
