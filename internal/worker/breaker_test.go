package worker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

func ids(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("e%d", i))
	}
	return all
}

func TestBreakerOpensProbesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox(ids(10)...)
		var up atomic.Bool
		var mu sync.Mutex
		var tries []time.Time
		r := run(t, Options{Queue: q, Workers: 2, Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
			mu.Lock()
			tries = append(tries, time.Now())
			mu.Unlock()
			if !up.Load() {
				return Delivery{}, fault.New(fault.Unavailable, "erpnext.create", "502")
			}
			return Delivery{}, nil
		}}})
		state := func() float64 { return testutil.ToFloat64(r.metrics.breaker) }
		tried := func() []time.Time {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(tries)
		}
		if n := len(tried()); state() != 2 || n > 4 {
			t.Fatalf("after %d tries the breaker is at %v, want open after three or four", n, state())
		}
		time.Sleep(time.Hour)
		probes := tried()
		if n := len(probes); n < 30 || n > 40 {
			t.Errorf("%d tries in an hour of outage, want a probe every two minutes", n)
		}
		for i := 5; i < len(probes); i++ {
			if gap := probes[i].Sub(probes[i-1]); gap < 4*time.Second || gap > 132*time.Second {
				t.Errorf("probe %d came %v after the one before", i, gap)
			}
		}
		for _, s := range q.outcomes() {
			if s.Result != "retry" || s.attempt > 2 {
				t.Errorf("the outage cost %s attempt %d, result %q", s.id, s.attempt, s.Result)
			}
		}
		up.Store(true)
		time.Sleep(5 * time.Minute)
		if state() != 0 {
			t.Errorf("the breaker is at %v after recovery", state())
		}
		r.end(t)
		if got := r.attempts("done", "ok"); got != 10 {
			t.Errorf("%v of ten events done: %v", got, q.results())
		}
	})
}

func TestBreakerOutageNeverKillsAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox(ids(4)...)
		r := run(t, Options{Queue: q, Deliverer: failing(fault.Network)})
		time.Sleep(10 * 24 * time.Hour)
		r.end(t)
		for _, s := range q.outcomes() {
			if s.State == event.Dead {
				t.Fatalf("%s died of an outage", s.id)
			}
		}
	})
}

func TestBreakerOneBadEventDoesNotShutTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("bad")
		r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(_ context.Context, c *event.Claim) (Delivery, error) {
			if c.Event.ID == "bad" {
				return Delivery{}, fault.New(fault.Timeout, "erpnext.create", "too large")
			}
			return Delivery{}, nil
		}}})
		time.Sleep(99 * time.Hour)
		q.put("good")
		synctest.Wait()
		r.end(t)
		if got := q.events[0].State; got != event.Dead {
			t.Errorf("the bad event is %s, want dead after its time", got)
		}
		if got := q.events[1].State; got != event.Done {
			t.Errorf("the good event is %s, want done at once", got)
		}
	})
}

func TestBreakerProbesDifferentEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("bad1", "bad2", "bad3")
		r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(_ context.Context, c *event.Claim) (Delivery, error) {
			if c.Event.ID == "good" {
				return Delivery{}, nil
			}
			return Delivery{}, fault.New(fault.Timeout, "erpnext.create", "too large")
		}}})
		q.put("good") // arrives while the door is shut
		time.Sleep(20 * time.Second)
		r.end(t)
		if got := q.events[3].State; got != event.Done {
			t.Errorf("the good event is %s: %v", got, q.results())
		}
	})
}

func TestBreakerKinds(t *testing.T) {
	tests := []struct {
		name   string
		f      *fault.Error
		events int
		want   float64
		claims int // most tries in the first minute, 0 = do not look
	}{
		{"credentials open it at once", fault.New(fault.Credentials, "erpnext.get", "401"), 1, 2, 0},
		{"two failures do not", fault.New(fault.Unavailable, "erpnext.get", "502"), 2, 0, 0},
		{"three do", fault.New(fault.Unavailable, "erpnext.get", "502"), 3, 2, 0},
		{"refusals never do", fault.New(fault.Rejected, "erpnext.create", "no"), 9, 0, 0},
		{"the provider's own API is not the site", fault.New(fault.Credentials, "shopify.get", "401"), 9, 0, 0},
		{"what the site asks for is respected", &fault.Error{Kind: fault.RateLimited, Op: "erpnext.get", RetryAfter: 30 * time.Minute}, 9, 2, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newInbox(ids(tt.events)...)
				r := run(t, Options{Queue: q, Rand: dice(0.99), Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
					return Delivery{}, tt.f
				}}})
				if got := testutil.ToFloat64(r.metrics.breaker); got != tt.want {
					t.Errorf("breaker at %v, want %v", got, tt.want)
				}
				time.Sleep(29 * time.Minute)
				r.end(t)
				if n := len(q.outcomes()); tt.claims > 0 && n > tt.claims {
					t.Errorf("%d tries while the site asked for a pause, want %d", n, tt.claims)
				}
			})
		})
	}
}

func TestBreakerHalfOpen(t *testing.T) {
	b := newBreaker(dice(0.5), func(breakerState, breakerState, time.Duration) {})
	c := &event.Claim{}
	f := fault.New(fault.Credentials, "erpnext.get", "401")
	if spared, until := b.record(c, false, fails, f, noon); !spared || !until.Equal(noon.Add(5*time.Second)) {
		t.Fatalf("opened: spared %v until %v", spared, until)
	}
	if _, wait := b.enter(noon); wait != 5*time.Second {
		t.Errorf("open: wait %v, want 5 s", wait)
	}
	later := noon.Add(5 * time.Second)
	if probe, wait := b.enter(later); !probe || wait != 0 {
		t.Fatalf("after the pause: probe %v, wait %v", probe, wait)
	}
	if probe, wait := b.enter(later); probe || wait == 0 {
		t.Error("a second event went while the probe was under way")
	}
	b.record(c, false, works, nil, later)
	if b.state != halfOpen {
		t.Error("a delivery begun before closed the breaker")
	}
	b.leave(true)
	if probe, _ := b.enter(later); !probe {
		t.Error("a probe that told nothing was not followed by another")
	}
	_, others := b.record(c, false, fails, f, later)
	_, until := b.record(c, true, fails, f, later)
	if !until.After(b.until) || others.After(b.until) {
		t.Errorf("the pause ends at %v, but the failed probe is due at %v, others at %v", b.until, until, others)
	}
	later = b.until
	b.enter(later)
	b.record(c, true, works, nil, later)
	if b.state != closed {
		t.Error("a probe that worked did not close the breaker")
	}
}

// A clock that is set back while ERPNext is left alone prolongs the pause by
// itself at most.
func TestBreakerSurvivesAClockThatIsSetBack(t *testing.T) {
	b := newBreaker(func() float64 { return 0 }, func(_, _ breakerState, _ time.Duration) {})
	now := time.Now()
	b.record(&event.Claim{}, false, fails, fault.New(fault.Credentials, "erpnext.create", "401"), now)
	now = now.Add(-48 * time.Hour)
	probe, wait := b.enter(now)
	if probe || wait <= 0 || wait > firstPause {
		t.Fatalf("probe %v, wait %v", probe, wait)
	}
	if probe, wait = b.enter(now.Add(wait)); !probe || wait != 0 {
		t.Errorf("after the pause: probe %v, wait %v", probe, wait)
	}
}
