package worker

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

func TestLimit(t *testing.T) {
	begin := time.Now()
	busy := fault.New(fault.RateLimited, "erpnext.create", "429")
	type step struct {
		after time.Duration
		e     evidence
		f     *fault.Error
		begun time.Duration // when the attempt was begun
		want  int
	}
	ok := func(after time.Duration, want int) step { return step{after, works, nil, after, want} }
	no := func(after time.Duration, want int) step { return step{after, fails, busy, after, want} }
	for name, steps := range map[string][]step{
		"halves at once, and no sooner again than after a while": {
			no(0, 4), no(time.Second, 4), no(9*time.Second, 4), no(10*time.Second, 2), no(30*time.Second, 1), no(time.Minute, 1),
		},
		"what was begun before a cut says nothing after it": {no(time.Minute, 4), {2 * time.Minute, fails, busy, 59 * time.Second, 4}},
		"grows by one after enough successes and some time": {
			no(0, 4), no(20*time.Second, 2), ok(21*time.Second, 2), ok(22*time.Second, 2), ok(23*time.Second, 2), ok(24*time.Second, 2), ok(25*time.Second, 3),
			ok(40*time.Second, 3), ok(41*time.Second, 3), ok(42*time.Second, 3), ok(43*time.Second, 3), ok(44*time.Second, 3), ok(45*time.Second, 4),
		},
		"a provider's API says nothing": {{0, silent, busy, 0, 8}},
		"another failure neither cuts nor grows": {
			no(0, 4), {20 * time.Second, works, fault.New(fault.Rejected, "erpnext.create", "no"), 20 * time.Second, 4},
			{40 * time.Second, fails, fault.New(fault.Network, "erpnext.create", "no"), 40 * time.Second, 4},
		},
		"a lock wait and a 503 cut too": {
			{0, works, fault.New(fault.Contention, "erpnext.create", "1205"), 0, 4}, {time.Minute, fails, fault.New(fault.Unavailable, "erpnext.create", "503"), time.Minute, 2},
		},
		"it never grows above what is configured": {ok(0, 8), ok(time.Minute, 8)},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLimit(8, func(int) {})
			for n, s := range steps {
				l.record(s.e, s.f, begin.Add(s.begun), begin.Add(s.after))
				if got := l.now(); got != s.want {
					t.Fatalf("after step %d: %d at once, want %d", n, got, s.want)
				}
			}
		})
	}
}

// A site that locks up under more than two at once is left in peace, and gets
// all eight again when it has recovered.
func TestPoolHasFewerUnderWayWhileTheSiteIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox(ids(3000)...)
		var mu sync.Mutex
		at, most, room := 0, 0, 2
		r := run(t, Options{Queue: q, Workers: 8, Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
			mu.Lock()
			at++
			most = max(most, at)
			crowded := at > room
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			at--
			mu.Unlock()
			if crowded {
				return Delivery{}, fault.New(fault.Contention, "erpnext.create Sales Order", "lock wait timeout")
			}
			return Delivery{}, nil
		}}})
		limit := func() float64 { return testutil.ToFloat64(r.metrics.limit) }
		if limit() != 8 {
			t.Errorf("at first %v at once", limit())
		}
		time.Sleep(time.Minute)
		mu.Lock()
		most = 0
		mu.Unlock()
		time.Sleep(3 * time.Minute)
		mu.Lock()
		if most < 2 || most > 4 {
			t.Errorf("%d at once while there is room for two", most)
		}
		room = 8
		mu.Unlock()
		time.Sleep(2 * time.Minute)
		if limit() != 8 {
			t.Errorf("after two minutes without trouble %v at once", limit())
		}
		r.end(t)
	})
}

func TestPoolKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox(ids(100)...)
		begin := time.Now()
		var began []time.Duration
		r := run(t, Options{Queue: q, Workers: 4, Rate: 30, Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
			began = append(began, time.Since(begin))
			return Delivery{}, nil
		}}})
		time.Sleep(time.Minute - time.Millisecond)
		r.end(t)
		if len(began) != 30 || !slices.IsSorted(began) || began[1] != 2*time.Second {
			t.Errorf("thirty a minute: %v", began)
		}
	})
}
