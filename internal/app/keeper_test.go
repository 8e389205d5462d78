package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// slowDesk takes batches of refused requests.
type slowDesk struct {
	mu      sync.Mutex
	err     error
	batches [][]event.Rejection
	at      []time.Time
}

func (d *slowDesk) Reject(_ context.Context, bounds event.RejectionBounds, batch ...event.Rejection) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if bounds.PerSource == 0 || bounds.Bytes == 0 || bounds.Age == 0 {
		return errors.New("unbounded")
	}
	d.batches, d.at = append(d.batches, batch), append(d.at, time.Now())
	return d.err
}

func (d *slowDesk) rows() int {
	n := 0
	for _, b := range d.batches {
		n += len(b)
	}
	return n
}

func keeping(t *testing.T, desk *slowDesk) *keeper {
	t.Helper()
	k := newKeeper(desk, prometheus.NewRegistry(), zerolog.Nop(), []string{"shopify", "stripe"})
	go k.run()
	return k
}

func waiting(k *keeper) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bytes
}

func rejection(source string, n int) event.Rejection {
	return event.Rejection{ID: fmt.Sprint(n), Source: source, Body: make([]byte, 2048)}
}

// Ten thousand bad signatures a second for a minute cost a bounded number of
// rows and transactions, and the other source keeps its place.
func TestKeeperBoundsAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := &slowDesk{}
		k := keeping(t, desk)
		const seconds, perTick = 60, 100
		for tick := range seconds * 100 {
			for n := range perTick {
				k.keep(rejection("shopify", n))
			}
			if tick%1000 == 999 {
				k.keep(rejection("stripe", tick))
			}
			time.Sleep(10 * time.Millisecond)
			if n := waiting(k); n > keptWaitBytes {
				t.Fatalf("%d bytes wait", n)
			}
		}
		if err := k.stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		most := keptBurst + (seconds+1)*keptPerSecond + 6
		if n := desk.rows(); n > most || n < seconds*keptPerSecond {
			t.Errorf("%d rows, want at most %d and not none", n, most)
		}
		if n := len(desk.batches); n > seconds*int(time.Second/keptEvery)+2 {
			t.Errorf("%d transactions", n)
		}
		if kept, dropped := testutil.ToFloat64(k.kept.WithLabelValues("shopify")), testutil.ToFloat64(k.dropped.WithLabelValues("shopify")); kept+dropped != seconds*100*perTick {
			t.Errorf("kept %v and dropped %v, want every one counted", kept, dropped)
		}
		if n := testutil.ToFloat64(k.kept.WithLabelValues("stripe")); n != 6 {
			t.Errorf("the other source kept %v of 6", n)
		}
	})
}

// Few but large requests are bounded by their bytes.
func TestKeeperBoundsWhatWaits(t *testing.T) {
	k := newKeeper(&slowDesk{}, prometheus.NewRegistry(), zerolog.Nop(), []string{"shopify"}) // nobody writes
	for n := range 50 {
		r := rejection("shopify", n)
		r.Body = make([]byte, 1<<20)
		k.keep(r)
	}
	if n := len(k.queue); n != 7 || k.bytes > keptWaitBytes {
		t.Errorf("%d requests of %d bytes wait, want seven of one MiB", n, k.bytes)
	}
	k.keep(rejection("unknown", 1))
	if len(k.queue) != 7 {
		t.Error("a source that is not configured is kept")
	}
}

func TestKeeperWritesWhatWaitsWhenItStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := &slowDesk{}
		k := keeping(t, desk)
		for n := range keptBurst {
			k.keep(rejection("shopify", n))
		}
		if err := k.stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if desk.rows() != keptBurst || k.bytes != 0 {
			t.Errorf("%d rows of %d, %d bytes left", desk.rows(), keptBurst, k.bytes)
		}
		for _, b := range desk.batches {
			if len(b) > keptTogether {
				t.Errorf("a transaction of %d", len(b))
			}
		}
	})
}

func TestKeeperTrimsWhenNothingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		desk := &slowDesk{}
		k := keeping(t, desk)
		time.Sleep(keptTrim + time.Minute)
		synctest.Wait()
		if len(desk.batches) != 1 || len(desk.batches[0]) != 0 {
			t.Errorf("in an hour: %v, want the old ones dropped once", desk.batches)
		}
		_ = k.stop(t.Context())
	})
}

func TestKeeperCountsWhatAFailingInboxLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keeping(t, &slowDesk{err: errors.New("the disk is full")})
		k.keep(rejection("shopify", 1))
		_ = k.stop(t.Context())
		if kept, dropped := testutil.ToFloat64(k.kept.WithLabelValues("shopify")), testutil.ToFloat64(k.dropped.WithLabelValues("shopify")); kept != 0 || dropped != 1 {
			t.Errorf("kept %v, dropped %v, want one dropped", kept, dropped)
		}
	})
}
