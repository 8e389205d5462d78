package worker

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// What was exchanged is kept with every attempt, whether it worked or not, and
// a failure says which DocType it was about.
func TestPoolKeepsWhatWasExchanged(t *testing.T) {
	calls := []event.Exchange{{Op: "erpnext.create Sales Order", Method: "POST"}}
	tests := []struct {
		name, op, doctype string
	}{
		{"worked", "", ""},
		{"about a document", "erpnext.create Sales Order", "Sales Order"},
		{"about a function", "erpnext.call frappe.client.submit", ""},
		{"before ERPNext was asked", "mapping", ""},
		{"the provider's own API", "paypal.get capture", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newInbox("a")
				r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
					if tt.op == "" {
						return Delivery{Exchanges: calls}, nil
					}
					return Delivery{Exchanges: calls}, fault.New(fault.Rejected, tt.op, "as the test wants it")
				}}})
				r.end(t)
				got := q.outcomes()
				if len(got) != 1 || got[0].DocType != tt.doctype || !cmp.Equal(got[0].Exchanges, calls) {
					t.Errorf("settled %+v, want DocType %q and the calls", got, tt.doctype)
				}
			})
		})
	}
}
