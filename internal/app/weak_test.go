package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// TestWithoutKeyFields runs the service on a site where nobody ran server
// setup, while the first create or submit of each DocType fails in every way
// that can heal, too late an answer among them. The keys are in stock fields,
// the order keeps the shop's order name, and nothing is there twice.
func TestWithoutKeyFields(t *testing.T) {
	for _, kind := range append([]string{"", "delay-before-commit", "delay-after-commit", "slow-body"}, healing...) {
		for _, method := range []string{http.MethodPost, http.MethodPut} {
			t.Run(method+" "+kind, func(t *testing.T) {
				t.Parallel()
				site, url := bareSite(t, sandbox.Options{})
				s := startServiceOn(t, site, url, waitForOrders, impatient)
				s.until(t, "not even cold", func() bool { return strings.Contains(s.log.String(), "ready") }) // or not ready: it is tried again with the first event
				if kind != "" {
					site.SetFaults(onceEach(sandbox.Fault{Kind: kind, Method: method, Delay: patience * 3 / 2}))
				}
				s.sample(t, "shopify", "orders/create", "order")
				s.sample(t, "stripe", "charge.succeeded", "")
				s.quiet(t)
				for doctype, want := range map[string]map[string]string{
					"Customer":      {"customer_details": "shopify/shopify/customer/7771234567001"},
					"Sales Order":   {"title": "shopify/shopify/order/5551234567890", "po_no": "#1001", "docstatus": "1"},
					"Payment Entry": {"reference_no": "stripe/stripe/payment/pi_1demointent", "docstatus": "1"},
				} {
					docs := s.documents(doctype, "")
					if len(docs) != 1 {
						t.Errorf("%d documents of %s: %v", len(docs), doctype, docs)
						continue
					}
					for field, value := range want {
						if got := fmt.Sprint(docs[0][field]); got != value {
							t.Errorf("%s of the %s is %q, want %q", field, doctype, got, value)
						}
					}
				}
				if stats, err := s.Inbox().Stats(t.Context()); err != nil || stats.ByState[event.Done] != 2 {
					t.Errorf("ended %+v, %v; log:\n%s", stats.ByState, err, s.log)
				}
			})
		}
	}
}

// TestWithoutKeyFieldsIsSaid looks for the weaker mode in the log, the metrics
// and doctor, and sees it end after setup.
func TestWithoutKeyFieldsIsSaid(t *testing.T) {
	site, url := bareSite(t, sandbox.Options{})
	s := startServiceOn(t, site, url, nil)
	s.until(t, "never warm", func() bool { return strings.Contains(s.log.String(), "erpnext is ready") })
	metrics := s.operator(t, "/metrics")
	found, err := diagnose(t, s.cfg)
	if err != nil {
		t.Errorf("doctor fails: %v", err)
	}
	for _, doctype := range erpnext.CoreDocTypes() {
		if want := `"doctype":"` + doctype + `","message":"erpnext has no unique key field`; !strings.Contains(s.log.String(), want) {
			t.Errorf("no log line %s", want)
		}
		if want := `ledgerhook_erpnext_key_fields{doctype="` + doctype + `"} 0`; !strings.Contains(metrics, want) {
			t.Errorf("no metric %s in\n%s", want, metrics)
		}
		f := found["key field: "+doctype]
		if f.Status != erpnext.Warn || !strings.Contains(f.Text, "one writer at a time") || !strings.Contains(f.Fix, "server setup") {
			t.Errorf("%+v", f)
		}
	}
	if text := found["key field: Sales Order"].Text; !strings.Contains(text, "title") {
		t.Errorf("doctor does not say where the key is: %s", text)
	}
}
