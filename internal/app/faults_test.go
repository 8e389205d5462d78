package app_test

import (
	"testing"

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
