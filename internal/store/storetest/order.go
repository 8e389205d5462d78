package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// order puts a store through random days of work and compares each claim with
// a model that is slow and plainly right.
func order(t *testing.T, open func(t *testing.T) Store) {
	rapid.Check(t, func(r *rapid.T) {
		// rapid ends a run by a panic, which must reach it from the bubble.
		var end any
		synctest.Test(t, func(t *testing.T) {
			m := &model{T: r, ctx: t.Context(), store: open(t)}
			defer func() {
				end = recover()
				if err := m.store.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			r.Repeat(map[string]func(*rapid.T){
				"put": m.put, "claim": m.claim, "settle": m.settle, "replay": m.replay, "dismiss": m.dismiss, "wait": m.wait, "": m.check,
			})
		})
		if end != nil {
			panic(end)
		}
	})
}

// model is what the inbox should hold, as a plain list in order of receipt.
type model struct {
	*rapid.T
	ctx    context.Context // of the bubble
	store  Store
	events []*modelled
	claims []*event.Claim // also those that were fenced off
}

type modelled struct {
	id, subject string
	state       event.State
	due         time.Time
	waitsFor    []string
	until       time.Time // of the lease, zero when there is none
	token       int64
}

func (e *modelled) leased() bool { return e.until.After(time.Now()) }

// free says in the words of the contract whether an event may be claimed.
func (m *model) free(e *modelled) bool {
	if e.state != event.Pending || e.leased() || e.due.After(time.Now()) {
		return false
	}
	older := true
	for _, other := range m.events {
		if other == e {
			older = false
			continue
		}
		if other.subject != e.subject || e.subject == "" || other.state != event.Pending {
			continue
		}
		if other.leased() || (older && len(other.waitsFor) == 0) {
			return false
		}
	}
	return true
}

func (m *model) next() *modelled {
	var free []*modelled
	for _, e := range m.events {
		if m.free(e) {
			free = append(free, e)
		}
	}
	slices.SortStableFunc(free, func(a, b *modelled) int { return a.due.Compare(b.due) })
	if len(free) == 0 {
		return nil
	}
	return free[0]
}

func (m *model) find(id string) *modelled {
	i := slices.IndexFunc(m.events, func(e *modelled) bool { return e.id == id })
	return m.events[i]
}

func (m *model) put(r *rapid.T) {
	subject := rapid.SampledFrom([]string{"order/1", "order/1", "order/2", ""}).Draw(r, "subject")
	ev := received(subject, len(m.events))
	got, err := m.store.Put(m.ctx, ev)
	if err != nil || got.Duplicate {
		r.Fatalf("put: %+v, %v", got, err)
	}
	m.events = append(m.events, &modelled{id: got.ID, subject: subject, state: event.Pending, due: ev.ReceivedAt})
}

func (m *model) claim(r *rapid.T) {
	want := m.next()
	c, err := m.store.Claim(m.ctx, lease)
	switch {
	case err != nil:
		r.Fatal(err)
	case want == nil && c == nil:
		return
	case want == nil:
		r.Fatalf("claimed %s of %q, want nothing", c.Event.ProviderID, c.Event.Subject)
	case c == nil:
		r.Fatalf("claimed nothing, want %s", want.id)
	case c.Event.ID != want.id || c.Token <= want.token:
		r.Fatalf("claimed %s with token %d, want %s with one over %d", c.Event.ID, c.Token, want.id, want.token)
	}
	want.until, want.due, want.token, want.waitsFor = c.Until, c.Until, c.Token, nil
	m.claims = append(m.claims, c)
}

func (m *model) settle(r *rapid.T) {
	if len(m.claims) == 0 {
		r.Skip("nothing is claimed")
	}
	c := rapid.SampledFrom(m.claims).Draw(r, "claim")
	o := m.outcome(r)
	e := m.find(c.Event.ID)
	good := e.token == c.Token && !e.until.IsZero()
	err := m.store.Settle(m.ctx, c, o)
	if (err == nil) != good || (!good && fault.KindOf(err) != fault.Conflict) {
		r.Fatalf("settle with a good lease %v: %v", good, err)
	}
	if !good {
		return
	}
	e.state, e.due, e.waitsFor, e.until = o.State, o.DueAt, o.WaitsFor, time.Time{}
	for _, d := range o.Documents {
		for _, w := range m.events {
			if slices.Contains(w.waitsFor, d.Key) && w.state == event.Pending {
				w.waitsFor, w.due = nil, m.received(w)
			}
		}
	}
}

// received is when an event was received, which is where it goes when it is
// woken.
func (m *model) received(e *modelled) time.Time {
	ev, _, _, err := m.store.Get(m.ctx, e.id)
	if err != nil {
		m.Fatal(err)
	}
	return ev.ReceivedAt
}

func (m *model) outcome(r *rapid.T) event.Outcome {
	later := time.Now().UTC().Add(time.Duration(rapid.IntRange(0, 10).Draw(r, "minutes")) * time.Minute)
	switch rapid.SampledFrom([]string{"done", "document", "retry", "waiting", "dead"}).Draw(r, "outcome") {
	case "done":
		return done()
	case "document":
		return done(event.Document{DocType: "Sales Order", Name: "SO", Key: "key"})
	case "retry":
		return retryAt(later)
	case "waiting":
		// Each waits for a document of its own time, so that none has appeared
		// while the attempt was under way; that case has its own test.
		if _, known, err := m.store.Document(m.ctx, "Sales Order", "key"); err != nil || known {
			if err := m.store.Forget(m.ctx, "Sales Order", "key"); err != nil {
				r.Fatal(err)
			}
		}
		return waitingFor(later, rapid.SampledFrom([][]string{{"key"}, {"other", "key"}, {"key", "key"}}).Draw(r, "keys")...)
	default:
		return dead()
	}
}

func (m *model) replay(r *rapid.T) {
	e := m.draw(r)
	err := m.store.Replay(m.ctx, e.id)
	if e.leased() {
		if fault.KindOf(err) != fault.Conflict {
			r.Fatalf("replay of a leased event: %v", err)
		}
		return
	}
	if err != nil {
		r.Fatal(err)
	}
	e.state, e.due, e.waitsFor, e.until, e.token = event.Pending, time.Now(), nil, time.Time{}, e.token+1
}

func (m *model) dismiss(r *rapid.T) {
	e := m.draw(r)
	err := m.store.Dismiss(m.ctx, e.id, "by hand")
	open := e.state == event.Dead || (e.state == event.Pending && !e.leased())
	if (err == nil) != open {
		r.Fatalf("dismiss of %s, leased %v: %v", e.state, e.leased(), err)
	}
	if open {
		e.state, e.waitsFor, e.until, e.token = event.Ignored, nil, time.Time{}, e.token+1
	}
}

func (m *model) draw(r *rapid.T) *modelled {
	if len(m.events) == 0 {
		r.Skip("the inbox is empty")
	}
	return rapid.SampledFrom(m.events).Draw(r, "event")
}

func (m *model) wait(r *rapid.T) {
	time.Sleep(time.Duration(rapid.IntRange(1, 12).Draw(r, "minutes")) * time.Minute / 2)
}

// check compares the counts after each step, and when there will be work.
func (m *model) check(r *rapid.T) {
	stats, err := m.store.Stats(m.ctx)
	if err != nil {
		r.Fatal(err)
	}
	counts := make(map[event.State]int64)
	for _, e := range m.events {
		counts[e.state]++
	}
	for _, s := range event.States() {
		if stats.ByState[s] != counts[s] {
			r.Fatalf("%s: got %d, want %d", s, stats.ByState[s], counts[s])
		}
	}
	at, ok, err := m.store.NextDue(m.ctx)
	if err != nil || ok != (counts[event.Pending] > 0) {
		r.Fatalf("next due: %v, %v with %d pending", ok, err, counts[event.Pending])
	}
	if now := time.Now(); ok && at.After(now) != (m.next() == nil) {
		r.Fatalf("next due is %v from now, next event is %v", at.Sub(now), fmt.Sprint(m.next()))
	}
}
