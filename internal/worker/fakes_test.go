package worker

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// inbox is a small, honest inbox in memory; the function fields take over
// where a test wants something else.
type inbox struct {
	ClaimFunc  func(context.Context, time.Duration) (*event.Claim, error)
	SettleFunc func(context.Context, *event.Claim, event.Outcome) error

	mu      sync.Mutex
	wake    chan struct{}
	events  []*event.Event
	leased  map[string]bool
	settled []settled
	claims  int
}

type settled struct {
	id      string
	attempt int
	at      time.Time
	event.Outcome
}

func newInbox(ids ...string) *inbox {
	q := &inbox{wake: make(chan struct{}, 1), leased: map[string]bool{}}
	for _, id := range ids {
		q.put(id)
	}
	return q
}

func (q *inbox) put(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.events = append(q.events, &event.Event{
		ID: id, Source: "shopify", Provider: "shopify", Topic: "orders/create", Body: []byte("body"),
		State: event.Pending, ReceivedAt: time.Now(), DueAt: time.Now(),
	})
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *inbox) Claim(ctx context.Context, lease time.Duration) (*event.Claim, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.claims++
	if q.ClaimFunc != nil {
		return q.ClaimFunc(ctx, lease)
	}
	ev := q.first()
	if ev == nil || ev.DueAt.After(time.Now()) {
		return nil, nil
	}
	q.leased[ev.ID] = true
	ev.Attempts++
	return &event.Claim{Event: *ev, Attempt: ev.Attempts, Until: time.Now().Add(lease)}, nil
}

// first is the free pending event that is due first, or nil.
func (q *inbox) first() *event.Event {
	var first *event.Event
	for _, ev := range q.events {
		if ev.State != event.Pending || q.leased[ev.ID] {
			continue
		}
		if first == nil || ev.DueAt.Before(first.DueAt) {
			first = ev
		}
	}
	return first
}

func (q *inbox) Settle(ctx context.Context, c *event.Claim, o event.Outcome) error {
	if q.SettleFunc != nil {
		if err := q.SettleFunc(ctx, c, o); err != nil {
			return err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	ev := q.events[slices.IndexFunc(q.events, func(e *event.Event) bool { return e.ID == c.Event.ID })]
	ev.State, ev.DueAt, ev.Class = o.State, o.DueAt, o.Class
	if o.Free {
		ev.Attempts--
	}
	delete(q.leased, ev.ID)
	q.settled = append(q.settled, settled{id: ev.ID, attempt: c.Attempt, at: time.Now(), Outcome: o})
	return nil
}

func (q *inbox) NextDue(context.Context) (time.Time, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ev := q.first()
	if ev == nil {
		return time.Time{}, false, nil
	}
	return ev.DueAt, true, nil
}

func (q *inbox) Wake() <-chan struct{} { return q.wake }

func (q *inbox) claimed() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.claims
}

func (q *inbox) outcomes() []settled {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.settled)
}

func (q *inbox) results() []string {
	var all []string
	for _, s := range q.outcomes() {
		all = append(all, s.id+" "+s.Result)
	}
	return all
}

type deliverer struct {
	DeliverFunc func(context.Context, *event.Claim) (Delivery, error)
}

func (d *deliverer) Deliver(ctx context.Context, c *event.Claim) (Delivery, error) {
	return d.DeliverFunc(ctx, c)
}

type observer struct {
	AttemptedFunc func(Report)
}

func (o *observer) Attempted(r Report) { o.AttemptedFunc(r) }

// rig is a pool under test, running in a synctest bubble.
type rig struct {
	*Pool
	reg  *prometheus.Registry
	stop context.CancelFunc
	done chan error
}

// run starts a pool. The test ends it with stop or Kill; the bubble would not
// end otherwise.
func run(t *testing.T, o Options) *rig {
	t.Helper()
	reg := prometheus.NewRegistry()
	o.Registerer = reg
	o.Sources = []string{"shopify"}
	if o.Rand == nil {
		o.Rand = func() float64 { return 0.5 }
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &rig{Pool: New(o), reg: reg, stop: stop, done: make(chan error, 1)}
	go func() { r.done <- r.Run(ctx) }()
	synctest.Wait()
	return r
}

// end stops softly and waits.
func (r *rig) end(t *testing.T) {
	t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("Run ended with %v", err)
	}
}

func (r *rig) attempts(result, class string) float64 {
	return testutil.ToFloat64(r.metrics.attempts.WithLabelValues("shopify", result, class))
}

func failing(kind fault.Kind) *deliverer {
	return &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
		return Delivery{}, fault.New(kind, "erpnext.create Sales Order", "as the test wants it")
	}}
}

func logger(w io.Writer) zerolog.Logger { return zerolog.New(w) }
