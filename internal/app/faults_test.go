package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
)

// healing are the faults after which the same call works, and whose answers do
// not come late.
var healing = []string{
	"commit-then-reset", "commit-then-502", "deadlock-500", "deadlock-508", "lock-timeout", "429-no-retry-after", "502-html", "503-html", "504-html", "transient-404",
}

// TestFaultsHealWithoutDoubling lets the first create of each DocType, and the
// first submit, fail in every way that can heal. Whatever ERPNext had done
// before it failed, the order and its payment exist once in the end.
func TestFaultsHealWithoutDoubling(t *testing.T) {
	for _, kind := range healing {
		for _, method := range []string{"POST", "PUT"} {
			t.Run(method+" "+kind, func(t *testing.T) {
				t.Parallel()
				s := startService(t, sandbox.Options{}, waitForOrders)
				s.site.SetFaults(onceEach(sandbox.Fault{Kind: kind, Method: method}))
				s.sample(t, "shopify", "orders/create", "order")
				s.sample(t, "stripe", "charge.succeeded", "")
				s.settle(t)
				s.onceEach(t)
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
