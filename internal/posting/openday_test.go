package posting_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/posting"
)

// TestClosedPeriod books a payment of a day on which the books are closed, in
// each of the ways in which ERPNext closes them.
func TestClosedPeriod(t *testing.T) {
	calendar, _ := sandboxSite(t)
	now := calendar.Now() // days are the site's
	day := func(n int) string { return now.AddDate(0, 0, n).Format(time.DateOnly) }
	period := func(doctype string, from, to int) func(*sandbox.Site) error {
		return func(s *sandbox.Site) error {
			return s.Insert("Accounting Period", map[string]any{
				"name": "AP " + day(from), "company": "Demo Trading", "start_date": day(from), "end_date": day(to),
				"closed_documents": []any{map[string]any{"document_type": doctype, "closed": 1}},
			})
		}
	}
	frozen := func(s *sandbox.Site) error { s.SetSetting("Accounts Settings", "acc_frozen_upto", day(-5)); return nil }
	voucher := func(s *sandbox.Site) error {
		return s.Insert("Period Closing Voucher", map[string]any{"name": "PCV-1", "company": "Demo Trading", "period_end_date": day(-4), "docstatus": 1})
	}
	tests := []struct {
		name   string
		close  []func(*sandbox.Site) error
		refuse bool // the policy
		reader bool // the user may read Period Closing Vouchers
		want   string
		class  fault.Kind
	}{
		{name: "open", want: day(-8)},
		{name: "frozen, refused", close: []func(*sandbox.Site) error{frozen}, refuse: true, class: fault.Rejected},
		{name: "frozen", close: []func(*sandbox.Site) error{frozen}, want: day(-4)},
		{name: "a closed period", close: []func(*sandbox.Site) error{period("Payment Entry", -9, -6)}, want: day(-5)},
		{name: "a closed period of other documents", close: []func(*sandbox.Site) error{period("Sales Invoice", -9, -6)}, want: day(-8)},
		{name: "periods one after the other", close: []func(*sandbox.Site) error{period("Payment Entry", -9, -6), period("Payment Entry", -5, -2), frozen}, want: day(-1)},
		{name: "a period that is not over", close: []func(*sandbox.Site) error{period("Payment Entry", -9, 6)}, class: fault.Rejected},
		{name: "a closing voucher", close: []func(*sandbox.Site) error{voucher}, reader: true, want: day(-3)},
		{name: "a closing voucher that nobody shows us", close: []func(*sandbox.Site) error{voucher}, class: fault.Rejected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			site, b := sandboxBench(t, mapping.Books{}, func(o *posting.Options) { o.Desk.FirstOpenDay = !tt.refuse })
			if tt.reader {
				must(t, site.Grant("Period Closing Voucher", "Accounts User", "read"))
			}
			for _, close := range tt.close {
				must(t, close(site))
			}
			p := payment("1", 1, "10.00")
			p.At, p.OrderRefs = now.AddDate(0, 0, -8), nil
			poster := b.For(stripe)
			r, err := poster.Payment(t.Context(), stripe, p, now)
			if tt.want == "" {
				if err == nil || fault.KindOf(err) != tt.class {
					t.Errorf("%v, want %v", err, tt.class)
				}
				if hint := fault.As(err).Hint; strings.Contains(hint, "first_open_day") != tt.refuse {
					t.Errorf("hint %q", hint)
				}
				return
			}
			must(t, err)
			var pe struct {
				PostingDate string `json:"posting_date"`
				DocStatus   int    `json:"docstatus"`
			}
			must(t, b.site.Get(t.Context(), "Payment Entry", paymentName(r), &pe))
			if pe.PostingDate != tt.want || pe.DocStatus != erpnext.Submitted {
				t.Errorf("posted on %s with docstatus %d, want %s", pe.PostingDate, pe.DocStatus, tt.want)
			}
			if moved := poster.Moved(); (moved != "") != (tt.want != day(-8)) || moved != "" && !strings.Contains(moved, tt.want) {
				t.Errorf("moved %q", moved)
			}
		})
	}
}

// TestNoFiscalYear moves a payment from before the first Fiscal Year into it.
func TestNoFiscalYear(t *testing.T) {
	site, b := sandboxBench(t, mapping.Books{}, func(o *posting.Options) { o.Desk.FirstOpenDay = true })
	p := payment("1", 1, "10.00")
	p.At, p.OrderRefs = site.Now().AddDate(-3, 0, 0), nil
	r, err := b.For(stripe).Payment(t.Context(), stripe, p, time.Now())
	must(t, err)
	var pe struct {
		PostingDate string `json:"posting_date"`
	}
	must(t, b.site.Get(t.Context(), "Payment Entry", paymentName(r), &pe))
	if want := site.Now().AddDate(-1, 0, 0).Format("2006") + "-01-01"; pe.PostingDate != want {
		t.Errorf("posted on %s, want %s", pe.PostingDate, want)
	}
}

func paymentName(r posting.Result) string {
	for _, doc := range r.Documents {
		if doc.DocType == erpnext.DocPaymentEntry {
			return doc.Name
		}
	}
	return ""
}
