package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// patience is how long the service of these tests waits for ERPNext.
const patience = 150 * time.Millisecond

func impatient(o *app.Options) { o.ERPNextTimeout = patience }

func waitForOrders(c *config.Config) {
	wait := time.Hour
	c.Sheet.Payments.WaitForOrder = &wait
}

// quiet waits until the site has carried out what its clients gave up.
func (s *service) quiet(t testing.TB) {
	t.Helper()
	s.settle(t)
	s.until(t, "the site is still busy", func() bool { return s.site.Busy() == 0 })
}

// TestLateCommits lets ERPNext carry out each first request of a kind only
// after the service has given it up. "soon" comes about when the key is looked
// up, "late" long after the second try: then two creates of one document reach
// ERPNext, and it is the unique key that refuses the later one.
func TestLateCommits(t *testing.T) {
	delays := map[string]time.Duration{"soon": patience + patience/10, "late": 12 * patience}
	for _, kind := range []string{"delay-before-commit", "delay-after-commit", "slow-body"} {
		for _, method := range []string{http.MethodPost, http.MethodPut} {
			for when, delay := range delays {
				t.Run(kind+" "+method+" "+when, func(t *testing.T) {
					t.Parallel()
					site, url := newSite(t, sandbox.Options{})
					s := startServiceOn(t, site, url, waitForOrders, impatient)
					s.until(t, "not even cold", func() bool { return strings.Contains(s.log.String(), "ready") }) // or not ready: it is tried again with the first event
					site.ResetRequests()
					site.SetFaults(onceEach(sandbox.Fault{Kind: kind, Method: method, Delay: delay}))
					s.sample(t, "shopify", "orders/create", "order")
					s.sample(t, "stripe", "charge.succeeded", "")
					s.quiet(t)
					s.onceEach(t)
					if method == http.MethodPost && kind == "delay-before-commit" && when == "late" {
						refusedRepeat(t, site)
					}
				})
			}
		}
	}
}

// onceEach is the fault for each DocType that an order and its payment touch.
func onceEach(f sandbox.Fault) []sandbox.Fault {
	var list []sandbox.Fault
	for _, doctype := range []string{"Customer", "Sales Order", "Payment Entry"} {
		f.DocType, f.Count = doctype, 1
		list = append(list, f)
	}
	return list
}

// onceEach fails unless the sample order and its payment exist once, submitted,
// and nothing else does.
func (s *service) onceEach(t testing.TB) {
	t.Helper()
	for doctype, key := range map[string]string{
		"Customer": "shopify/shopify/customer/7771234567001", "Sales Order": "shopify/shopify/order/5551234567890", "Payment Entry": "stripe/stripe/payment/pi_1demointent",
	} {
		docs := s.documents(doctype, "")
		if len(docs) != 1 || docs[0]["custom_ledgerhook_key"] != key {
			t.Errorf("%d documents of %s: %v", len(docs), doctype, docs)
		} else if doctype != "Customer" && fmt.Sprint(docs[0]["docstatus"]) != "1" {
			t.Errorf("the %s is not submitted", doctype)
		}
	}
	if n := len(s.documents("Contact", "")); n != 1 {
		t.Errorf("%d contacts", n)
	}
	if stats, err := s.Inbox().Stats(t.Context()); err != nil || stats.ByState[event.Done] != 2 {
		t.Errorf("ended %+v, %v; log:\n%s", stats.ByState, err, s.log)
	}
}

// refusedRepeat fails unless each document was created twice, and one of the
// two creates refused.
func refusedRepeat(t testing.TB, site *sandbox.Site) {
	t.Helper()
	for _, doctype := range []string{"Customer", "Sales Order", "Payment Entry"} {
		var codes []int
		for _, r := range site.Requests() {
			if r.Method == http.MethodPost && r.DocType == doctype && strings.HasPrefix(r.Path, "/api/resource/") {
				codes = append(codes, r.Status)
			}
		}
		if slices.Sort(codes); len(codes) < 2 || codes[0] != http.StatusOK || codes[1] != http.StatusExpectationFailed {
			t.Errorf("creates of a %s were answered %v, want one 200, then refusals", doctype, codes)
		}
	}
}

// moments of an order's life, each with the snapshot that the shop sends then.
var moments = []struct {
	source, topic string
	replace       []string
}{
	{"shopify", "orders/create", nil},
	{"stripe", "charge.succeeded", nil},
	{"shopify", "orders/create", []string{`"updated_at": "20`, `"updated_at": "21`, "1 Analytical Way", "2 Difference Road"}}, // moved
	{"shopify", "orders/create", []string{ // edited: the shirt is dearer
		`"updated_at": "20`, `"updated_at": "22`, "24.00", "26.00", "56.50", "58.50", "61.50", "63.50", "68.63", "70.63"}},
	{"shopify", "orders/create", []string{`"updated_at": "20`, `"updated_at": "23`, `"cancelled_at": null`, `"cancelled_at": "2230-01-02T00:00:00Z"`}},
}

// live sends the moments one after another and says what is in ERPNext after
// each.
func (s *service) live(t testing.TB) []string {
	t.Helper()
	var states []string
	for i, m := range moments {
		s.sample(t, m.source, m.topic, fmt.Sprint("moment-", i), m.replace...)
		s.quiet(t)
		states = append(states, s.state())
	}
	return states
}

func (s *service) state() string {
	var list []string
	for _, doctype := range []string{"Customer", "Contact", "Address", "Sales Order", "Payment Entry", "Journal Entry"} {
		for _, doc := range s.documents(doctype, "") {
			list = append(list, fmt.Sprintf("%s %v: docstatus %v, total %v, paid %v, unallocated %v, in %v, to %v",
				doctype, doc["custom_ledgerhook_key"], doc["docstatus"], doc["grand_total"], doc["paid_amount"], doc["unallocated_amount"],
				doc["address_line1"], doc["shipping_address_name"]))
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// TestLifeWithLateCommits follows an order through payment, edit and
// cancellation while ERPNext answers every third request too late, before or
// after it was carried out. Creates, submits, updates, cancels and deletes are
// among them; the books are those of a site that answers at once.
func TestLifeWithLateCommits(t *testing.T) {
	site, url := newSite(t, sandbox.Options{})
	want := startServiceOn(t, site, url, waitForOrders).live(t)
	if len(want) != 5 || !strings.Contains(want[4], "docstatus 2") || !strings.Contains(want[3], "70.63") || !strings.Contains(want[2], "Difference") {
		t.Fatalf("the life is not lived: %q", want)
	}
	for _, kind := range []string{"delay-before-commit", "delay-after-commit", "slow-body"} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(kind, " ", seed), func(t *testing.T) {
				t.Parallel()
				site, url := newSite(t, sandbox.Options{Seed: seed + 1})
				s := startServiceOn(t, site, url, waitForOrders, impatient)
				s.until(t, "not even cold", func() bool { return strings.Contains(s.log.String(), "ready") }) // or not ready: it is tried again with the first event
				var faults []sandbox.Fault
				for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
					for _, delay := range []time.Duration{patience + patience/10, 3 * patience} {
						faults = append(faults, sandbox.Fault{Kind: kind, Method: method, Rate: 0.3, Count: 2, Delay: delay})
					}
				}
				site.SetFaults(faults)
				if diff := cmp.Diff(want, s.live(t)); diff != "" {
					t.Errorf("-at once +late:\n%s\nlog:\n%s", diff, s.log)
				}
			})
		}
	}
}

// TestLifeOnEveryVersion follows the same order on ERPNext 14, 15 and 16,
// behind a proxy that redirects what ends in a slash.
func TestLifeOnEveryVersion(t *testing.T) {
	var want []string
	for _, version := range []int{15, 14, 16} {
		site, url := newSite(t, sandbox.Options{Version: version, NginxMode: true})
		s := startServiceOn(t, site, url, waitForOrders)
		got := s.live(t)
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-15 +%d:\n%s\nlog:\n%s", version, diff, s.log)
		}
		if stats, err := s.Inbox().Stats(t.Context()); err != nil || int(stats.ByState[event.Done]) != len(moments) {
			t.Errorf("%d: ended %+v, %v; log:\n%s", version, stats.ByState, err, s.log)
		}
		for _, r := range site.Requests() {
			if r.Status/100 == 3 && r.Path != "/app" {
				t.Errorf("%d: %s %s is redirected", version, r.Method, r.Path)
			}
		}
	}
}
