// Package storetest says what any inbox must do, as one suite that each
// backend runs: `storetest.Run(t, open)`. It knows the nouns of the inbox and
// the kinds of failure; it has never heard of SQL.
package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// Store is everything the worker, the handlers, the posting and the commands
// need of an inbox. Its consumers declare the few methods each of them uses.
type Store interface {
	Close() error
	Ready(ctx context.Context) error
	Schema(ctx context.Context) (current, newest int, err error)
	Migrate(ctx context.Context, to int) error

	Put(ctx context.Context, ev event.Event) (event.Receipt, error)

	Claim(ctx context.Context, lease time.Duration) (*event.Claim, error)
	Settle(ctx context.Context, c *event.Claim, o event.Outcome) error
	NextDue(ctx context.Context) (at time.Time, ok bool, err error)
	Reclock(ctx context.Context, w event.Waits) (int, error)
	Beat(ctx context.Context) (sent bool, err error)
	Wake() <-chan struct{}

	Stats(ctx context.Context) (event.Stats, error)
	LastReceived(ctx context.Context) (map[string]time.Time, error)
	List(ctx context.Context, f event.Filter) (events []event.Event, next string, err error)
	Get(ctx context.Context, id string) (event.Event, []event.Attempt, []event.Document, error)
	DocumentsOf(ctx context.Context, ids ...string) (map[string][]event.Document, error)
	Replay(ctx context.Context, id string) error
	Dismiss(ctx context.Context, id, reason string) error
	Sweep(ctx context.Context, settledBefore time.Time, limit int) (int, error)

	Document(ctx context.Context, doctype, key string) (event.Document, bool, error)
	Remember(ctx context.Context, eventID string, docs ...event.Document) error
	Forget(ctx context.Context, doctype, key string) error
	Note(ctx context.Context, name string) (string, bool, error)
	SetNote(ctx context.Context, name, value string) error

	Operator
	Personal
}

// lease is as long as no test's bubble of faked time runs by accident.
const lease = 5 * time.Minute

// inbox is one test's store and the few words the tests are written in.
type inbox struct {
	*testing.T
	Store
}

// received is an event of the given subject, the n-th of its source.
func received(subject string, n int) event.Event {
	return event.Event{
		Source: "shop", Provider: "shopify", ProviderID: fmt.Sprintf("evt-%d", n), Topic: "orders/create",
		Subject: subject, SecretSlot: "0", ReceivedAt: time.Now().UTC(),
		Header: map[string]string{"X-Shopify-Topic": "orders/create"},
		Body:   fmt.Appendf(nil, `{"id":%d}`, n),
	}
}

func (b inbox) put(ev event.Event) string {
	b.Helper()
	r, err := b.Put(b.Context(), ev)
	if err != nil {
		b.Fatalf("put %s: %v", ev.ProviderID, err)
	}
	return r.ID
}

// claim wants an event and gives its claim.
func (b inbox) claim() *event.Claim {
	b.Helper()
	c, err := b.Claim(b.Context(), lease)
	if err != nil || c == nil {
		b.Fatalf("claim: got %v, %v, want an event", c, err)
	}
	return c
}

// claimOf wants exactly the event of that provider id to be next.
func (b inbox) claimOf(providerID string) *event.Claim {
	b.Helper()
	c := b.claim()
	if c.Event.ProviderID != providerID {
		b.Fatalf("claimed %s, want %s", c.Event.ProviderID, providerID)
	}
	return c
}

func (b inbox) nothingToClaim() {
	b.Helper()
	if c, err := b.Claim(b.Context(), lease); err != nil || c != nil {
		b.Fatalf("claim: got %+v, %v, want nothing", c, err)
	}
}

func (b inbox) settle(c *event.Claim, o event.Outcome) {
	b.Helper()
	if err := b.Settle(b.Context(), c, o); err != nil {
		b.Fatalf("settle %s: %v", c.Event.ProviderID, err)
	}
}

func (b inbox) get(id string) event.Event {
	b.Helper()
	ev, _, _, err := b.Get(b.Context(), id)
	if err != nil {
		b.Fatalf("get %s: %v", id, err)
	}
	return ev
}

func done(docs ...event.Document) event.Outcome {
	return event.Outcome{State: event.Done, Result: "done", Documents: docs}
}

func retryAt(at time.Time) event.Outcome {
	return event.Outcome{State: event.Pending, DueAt: at, Result: "retry", Class: "timeout", Reason: "no answer in time", Hint: "is the site up?", Detail: "read tcp"}
}

func waitingFor(deadline time.Time, keys ...string) event.Outcome {
	return event.Outcome{State: event.Pending, DueAt: deadline, Result: "waiting", Class: "waiting", Reason: "the order is not there yet", WaitsFor: keys}
}

func dead() event.Outcome {
	return event.Outcome{State: event.Dead, Result: "dead", Class: "rejected", Reason: "customer group is missing", Hint: "make it"}
}
