package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// TestFaultsHealWithoutDoubling lets the first create of each DocType, and the
// first submit, fail in every way that can heal. Whatever ERPNext had done
// before it failed, the order and its payment exist once in the end.
func TestFaultsHealWithoutDoubling(t *testing.T) {
	for _, kind := range []string{
		"commit-then-reset", "commit-then-502", "deadlock-500", "deadlock-508", "lock-timeout", "429-no-retry-after", "502-html", "503-html", "transient-404",
	} {
		for _, method := range []string{"POST", "PUT"} {
			t.Run(method+" "+kind, func(t *testing.T) {
				t.Parallel()
				var spec string
				for _, doctype := range []string{"Customer", "Sales Order", "Payment Entry"} {
					spec += fmt.Sprintf("kind=%s,count=1,method=%s,doctype=%s;", kind, method, doctype)
				}
				faults, err := sandbox.ParseFaults(spec[:len(spec)-1])
				if err != nil {
					t.Fatal(err)
				}
				s := startService(t, sandbox.Options{}, func(c *config.Config) {
					wait := time.Hour
					c.Sheet.Payments.WaitForOrder = &wait
				})
				s.site.SetFaults(faults)
				s.sample(t, "shopify", "orders/create", "order")
				s.sample(t, "stripe", "charge.succeeded", "")
				s.settle(t)
				for doctype, key := range map[string]string{
					"Customer": "shopify/shopify/customer/7771234567001", "Sales Order": "shopify/shopify/order/5551234567890", "Payment Entry": "stripe/stripe/payment/pi_1demointent",
				} {
					if docs := s.documents(doctype, ""); len(docs) != 1 || docs[0]["custom_ledgerhook_key"] != key {
						t.Errorf("%d documents of %s", len(docs), doctype)
					} else if doctype != "Customer" && fmt.Sprint(docs[0]["docstatus"]) != "1" {
						t.Errorf("the %s is not submitted", doctype)
					}
				}
				if stats, err := s.Inbox().Stats(t.Context()); err != nil || stats.ByState[event.Done] != 2 {
					t.Errorf("ended %+v, %v; log:\n%s", stats.ByState, err, s.log)
				}
			})
		}
	}
}

// TestABusySiteGetsFewerAtOnce has ERPNext lock up and refuse for its rate:
// the service sends fewer at once, says so, and loses and doubles nothing.
func TestABusySiteGetsFewerAtOnce(t *testing.T) {
	for name, fault := range map[string]string{"lock waits": "kind=lock-timeout,count=2,method=POST,doctype=Sales Order", "rate limit": "kind=429-no-retry-after,count=2,method=POST,doctype=Sales Order"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults, err := sandbox.ParseFaults(fault)
			if err != nil {
				t.Fatal(err)
			}
			s := startService(t, sandbox.Options{}, func(c *config.Config) { c.ERPNext.Writers = 4 })
			if allowed := s.series(t, "ledgerhook_in_flight_limit"); allowed != 4 {
				t.Fatalf("at first %v at once", allowed)
			}
			s.site.SetFaults(faults)
			for n := range 6 {
				s.sample(t, "shopify", "orders/create", fmt.Sprint("order-", n), "5551234567890", fmt.Sprint("555000000000", n))
			}
			s.until(t, "it goes on as before", func() bool { return s.series(t, "ledgerhook_in_flight_limit") == 2 })
			s.settle(t)
			if docs := s.documents("Sales Order", ""); len(docs) != 6 {
				t.Errorf("%d orders, want 6", len(docs))
			}
			if !strings.Contains(s.log.String(), "fewer deliveries at once") {
				t.Errorf("nobody is told:\n%s", s.log)
			}
		})
	}
}
