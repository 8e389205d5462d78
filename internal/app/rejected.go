package app

import (
	"context"
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"
)

// Bounds of refused requests. A flood of bad signatures costs at most keptPerSecond
// rows a second and source, in batches, and the memory of what waits.
const (
	keptBurst      = 100
	keptPerSecond  = 10
	keptWaiting    = 256     // requests on their way to the inbox,
	keptWaitBytes  = 8 << 20 // and their bytes
	keptTogether   = 64      // requests of one transaction
	keptEvery      = 200 * time.Millisecond
	keptTrim       = time.Hour
	keptPerSource  = 1000
	keptBytes      = 32 << 20
	keptFor        = 30 * 24 * time.Hour
	keptLastBefore = 5 * time.Second // for what waits when the service stops
)

var rejectionBounds = event.RejectionBounds{PerSource: keptPerSource, Bytes: keptBytes, Age: keptFor}

// rejecter is where refused requests go.
type rejecter interface {
	Reject(ctx context.Context, bounds event.RejectionBounds, batch ...event.Rejection) error
}

// keeper brings refused requests into the inbox, beside the requests, at a
// bounded pace. What is beyond it is dropped and counted.
type keeper struct {
	inbox   rejecter
	log     zerolog.Logger
	kept    *prometheus.CounterVec
	dropped *prometheus.CounterVec
	now     func() time.Time

	queue chan event.Rejection
	quit  chan struct{}
	gone  chan struct{}

	mu      sync.Mutex
	bytes   int64 // of what is in the queue
	buckets map[string]*bucket
}

func newKeeper(inbox rejecter, reg prometheus.Registerer, log zerolog.Logger, sources []string) *keeper {
	f := promauto.With(reg)
	k := &keeper{
		inbox: inbox, log: log, now: time.Now,
		kept: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ledgerhook_rejected_kept_total", Help: "Refused requests that were kept to be verified again.",
		}, []string{"source"}),
		dropped: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ledgerhook_rejected_dropped_total", Help: "Refused requests that were not kept, because there were too many or the inbox failed.",
		}, []string{"source"}),
		queue: make(chan event.Rejection, keptWaiting), quit: make(chan struct{}), gone: make(chan struct{}),
		buckets: map[string]*bucket{},
	}
	for _, source := range sources {
		k.kept.WithLabelValues(source)
		k.dropped.WithLabelValues(source)
		k.buckets[source] = &bucket{tokens: keptBurst, at: k.now()}
	}
	return k
}

// keep takes a refused request or drops it; it never waits.
func (k *keeper) keep(r event.Rejection) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := k.buckets[r.Source]
	if b == nil {
		return // a source that is not configured
	}
	if k.bytes+sizeOf(r) > keptWaitBytes || !b.take(k.now()) {
		k.dropped.WithLabelValues(r.Source).Inc()
		return
	}
	select {
	case k.queue <- r:
		k.bytes += sizeOf(r)
	default:
		k.dropped.WithLabelValues(r.Source).Inc()
	}
}

func sizeOf(r event.Rejection) int64 { return int64(len(r.Body)) + 1<<10 }

// bucket lets a burst through, then a steady few.
type bucket struct {
	tokens float64
	at     time.Time
}

func (b *bucket) take(now time.Time) bool {
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(b.tokens+passed.Seconds()*keptPerSecond, keptBurst)
		b.at = now
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// run writes batches until stop, and drops now and then what has become old.
func (k *keeper) run() {
	defer close(k.gone)
	trim := time.NewTicker(keptTrim)
	defer trim.Stop()
	for {
		select {
		case r := <-k.queue:
			k.write(k.gather(r))
		case <-trim.C:
			k.write(nil)
		case <-k.quit:
			k.rest()
			return
		}
		select { // the disk is the intake's first
		case <-time.After(keptEvery):
		case <-k.quit:
		}
	}
}

// rest writes what waits when the service stops.
func (k *keeper) rest() {
	for {
		select {
		case r := <-k.queue:
			k.write(k.gather(r))
		default:
			return
		}
	}
}

func (k *keeper) gather(first event.Rejection) []event.Rejection {
	batch := []event.Rejection{first}
	for len(batch) < keptTogether {
		select {
		case r := <-k.queue:
			batch = append(batch, r)
			continue
		default:
		}
		break
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range batch {
		k.bytes -= sizeOf(r)
	}
	return batch
}

func (k *keeper) write(batch []event.Rejection) {
	ctx, cancel := context.WithTimeout(context.Background(), keptLastBefore)
	defer cancel()
	count := k.kept
	if err := k.inbox.Reject(ctx, rejectionBounds, batch...); err != nil {
		k.log.Warn().Int("requests", len(batch)).Err(err).Msg("refused requests not kept")
		count = k.dropped
	}
	for _, r := range batch {
		count.WithLabelValues(r.Source).Inc()
	}
}

func (k *keeper) stop(context.Context) error {
	close(k.quit)
	<-k.gone
	return nil
}

// doorkeeper verifies refused requests again.
type doorkeeper struct {
	*sqlite.DB
	intake handlers.PublicOptions
}

// Verify tries one refused request again, or when id is "" all of a source, or
// of every one. What is good with today's configuration goes into the inbox as
// if it had been taken when it arrived; the rest stays. It is safe to repeat.
func (d doorkeeper) Verify(ctx context.Context, id, source string) ([]handlers.VerifiedView, error) {
	if id != "" {
		v, err := d.one(ctx, id)
		return []handlers.VerifiedView{v}, err
	}
	ids, err := d.ids(ctx, source)
	if err != nil {
		return nil, err
	}
	results := make([]handlers.VerifiedView, 0, len(ids))
	for _, id := range ids {
		v, err := d.one(ctx, id)
		if fault.KindOf(err) == fault.NotFound {
			continue // newer ones have pushed it out meanwhile
		}
		if err != nil {
			return results, err
		}
		results = append(results, v)
	}
	return results, nil
}

func (d doorkeeper) one(ctx context.Context, id string) (handlers.VerifiedView, error) {
	r, err := d.Rejection(ctx, id)
	if err != nil {
		return handlers.VerifiedView{}, err
	}
	return d.again(ctx, r)
}

func (d doorkeeper) ids(ctx context.Context, source string) ([]string, error) {
	var ids []string
	for f := (event.RejectionFilter{Source: source, Limit: 500}); ; f.Before = ids[len(ids)-1] {
		page, err := d.Rejections(ctx, f)
		if err != nil || len(page) == 0 {
			return ids, err
		}
		for _, r := range page {
			ids = append(ids, r.ID)
		}
	}
}

// again tells what became of one. Any refusal, ours for want of time included,
// leaves it where it is.
func (d doorkeeper) again(ctx context.Context, r event.Rejection) (handlers.VerifiedView, error) {
	v := handlers.VerifiedView{ID: r.ID, Source: r.Source, Status: "accepted"}
	receipt, err := handlers.Again(ctx, d.intake, r)
	if err != nil {
		v.Status, v.Class = "refused", fault.KindOf(err).String()
		if f := fault.As(err); f != nil {
			v.Error = f.Cause
		}
		return v, ctx.Err()
	}
	if receipt.Duplicate {
		v.Status = "duplicate"
	}
	v.Event = receipt.ID
	return v, d.Unreject(ctx, r.ID, receipt.ID)
}
