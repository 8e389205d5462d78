package app

import (
	"context"
	"sync"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/worker"
)

// maxExchanges bounds what one attempt keeps of its calls; the last ones are
// left out, for what went wrong first is what a person looks for.
const maxExchanges = 100

// traced notes what a delivery says to ERPNext and hears from it.
type traced struct{ next worker.Deliverer }

// Deliver keeps the calls beside a failure too.
func (t traced) Deliver(ctx context.Context, c *event.Claim) (worker.Delivery, error) {
	var r recorder
	d, err := t.next.Deliver(erpnext.WithTrace(ctx, r.note), c)
	d.Exchanges = r.all()
	return d, err
}

// recorder collects the calls of one attempt.
type recorder struct {
	mu    sync.Mutex
	calls []event.Exchange
}

func (r *recorder) note(x erpnext.Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls) < maxExchanges {
		r.calls = append(r.calls, event.Exchange(x))
	}
}

func (r *recorder) all() []event.Exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}
