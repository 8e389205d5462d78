package sqlite

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// Bounds of one commit. A commit much larger than this makes its callers wait
// longer than it saves, and holds every body in memory twice.
const (
	maxBatch      = 512
	maxBatchBytes = 8 << 20
)

// maxWaitingBytes bounds the bodies that wait for a commit: MaxWaiting bounds
// their number, but one may have ten megabytes.
const maxWaitingBytes = 64 << 20

// request is one caller waiting for a commit: an event to put, or any other
// change.
type request struct {
	ctx    context.Context // of a put: nobody waits any more once it is done
	put    *insertion
	change func(*conn) error
	done   chan error // has room for the one answer, so that the writer never waits
}

func (r *request) size() int64 {
	if r.put == nil {
		return 0
	}
	return int64(len(r.put.body))
}

// writer owns the one connection that writes. One goroutine takes all waiting
// requests into one transaction and answers each after the commit, so that
// they share the price of bringing it to disk.
type writer struct {
	c       *conn
	metrics *metrics
	maxWait time.Duration
	changed int64 // rows, ever, by this connection

	puts    chan *request
	changes chan *request
	keeper  *keeper
	waiting atomic.Int64 // bytes of bodies in puts
	since   atomic.Int64 // when the commit in hand began, Unix nanoseconds; 0 = idle

	stop chan struct{} // closed: take no more
	gone chan struct{} // closed: the goroutine has ended, nothing is answered any more
}

func newWriter(c *conn, k *keeper, maxWaiting int, maxWait time.Duration, m *metrics) *writer {
	return &writer{
		c: c, keeper: k, metrics: m, maxWait: maxWait,
		puts:    make(chan *request, maxWaiting),
		changes: make(chan *request, 256),
		stop:    make(chan struct{}),
		gone:    make(chan struct{}),
	}
}

// put waits until ev's commit is on disk.
func (w *writer) put(ctx context.Context, op string, in *insertion) error {
	r := &request{ctx: ctx, put: in, done: make(chan error, 1)}
	if w.stuck() {
		return busy(op, "the disk does not answer", "check the inbox's disk")
	}
	if w.waiting.Add(r.size()) > maxWaitingBytes {
		w.waiting.Add(-r.size())
		return busy(op, "too many bytes wait for the disk", "")
	}
	select {
	case <-w.stop:
		w.waiting.Add(-r.size())
		return busy(op, "the inbox is closed", "")
	default:
	}
	select {
	case w.puts <- r:
	default:
		w.waiting.Add(-r.size())
		return busy(op, "too many events wait for the disk", "")
	}
	return w.await(ctx, op, r)
}

// change waits for any other change. A caller that gives up after its change
// was taken is not heard: whether it happened must be known.
func (w *writer) change(ctx context.Context, op string, do func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return storeFault(op, err)
	}
	r := &request{change: do, done: make(chan error, 1)}
	late := time.NewTimer(w.maxWait)
	defer late.Stop()
	select {
	case w.changes <- r:
	case <-w.stop:
		return busy(op, "the inbox is closed", "")
	case <-ctx.Done():
		return storeFault(op, ctx.Err())
	case <-late.C:
		return busy(op, "the disk does not answer", "check the inbox's disk")
	}
	return w.await(context.WithoutCancel(ctx), op, r)
}

// await gives r's answer, or Busy when it does not come within the bound.
func (w *writer) await(ctx context.Context, op string, r *request) error {
	late := time.NewTimer(w.maxWait)
	defer late.Stop()
	var instead error
	select {
	case err := <-r.done:
		return storeFault(op, err)
	case <-ctx.Done():
		instead = storeFault(op, ctx.Err())
	case <-late.C:
		instead = busy(op, "not on disk in time", "check the inbox's disk")
	case <-w.gone:
		instead = busy(op, "the inbox is closed", "")
	}
	select { // both may have come at once, and then the answer counts
	case err := <-r.done:
		return storeFault(op, err)
	default:
		return instead
	}
}

// stuck reports whether the commit in hand has run past the bound, so that
// waiting behind it is in vain.
func (w *writer) stuck() bool {
	since := w.since.Load()
	return since != 0 && time.Now().UnixNano()-since > int64(w.maxWait)
}

func (w *writer) run() {
	defer close(w.gone)
	batch := make([]*request, 0, maxBatch)
	for {
		batch = batch[:0]
		select {
		case r := <-w.puts:
			batch = w.take(batch, r)
		case r := <-w.changes:
			batch = append(batch, r)
		case <-w.stop:
			return
		}
		batch = w.gather(batch)
		w.commit(batch)
		w.keeper.wrote(batch)
		w.finishCheckpoint()
	}
}

// finishCheckpoint brings the rest of a log that has grown too long into the
// file. The keeper did most of it before, so this is short; only while nobody
// writes can the log begin anew.
func (w *writer) finishCheckpoint() {
	if !w.keeper.tooLong.CompareAndSwap(true, false) {
		return
	}
	if _, err := w.c.exec("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		w.keeper.log.Warn().Err(err).Msg("inbox log not brought into the file")
	}
}

// gather adds everything that waits, up to the bounds of one commit, and lets
// whoever is about to ask do so first, until nobody comes any more. Without it
// the callers fall into two halves, one on its way while the other's commit is
// brought to disk, and each pays for a commit of half the size.
func (w *writer) gather(batch []*request) []*request {
	var bytes int64
	before := 0
	for len(batch) < maxBatch && bytes < maxBatchBytes {
		select {
		case r := <-w.puts:
			batch = w.take(batch, r)
			bytes += r.size()
		case r := <-w.changes:
			batch = append(batch, r)
		default:
			if len(batch) == before {
				return batch
			}
			before = len(batch)
			runtime.Gosched()
		}
	}
	return batch
}

// take leaves out a put whose caller has gone: under load that is work saved.
func (w *writer) take(batch []*request, r *request) []*request {
	w.waiting.Add(-r.size())
	if err := r.ctx.Err(); err != nil {
		r.done <- err
		return batch
	}
	return append(batch, r)
}

// commit brings a batch to disk and answers it. When the batch fails for a
// reason that may lie in one request alone, each is tried by itself, so that
// one does not take the others down.
func (w *writer) commit(batch []*request) {
	if len(batch) == 0 {
		return
	}
	w.since.Store(time.Now().UnixNano())
	defer w.since.Store(0)
	err := w.transaction(batch, hope)
	if code(err) == sqlite3.SQLITE_CONSTRAINT { // a repeat is among them
		err = w.transaction(batch, look)
	}
	if err == nil || len(batch) == 1 || ofTheFile(err) {
		w.answer(batch, err)
		return
	}
	for i := range batch {
		one := batch[i : i+1]
		w.answer(one, w.transaction(one, look))
	}
}

func (w *writer) answer(batch []*request, err error) {
	if err != nil {
		w.metrics.failed.Inc()
	}
	for _, r := range batch {
		r.done <- err
	}
}

func (w *writer) transaction(batch []*request, manner manner) error {
	start := time.Now()
	if err := begin(w.c, w.maxWait/2); err != nil {
		return err
	}
	err := w.apply(batch, manner)
	if err == nil {
		_, err = w.c.exec("COMMIT")
	}
	if err != nil {
		// SQLite may have rolled back by itself (full disk); then this fails
		// and that is fine.
		_, _ = w.c.exec("ROLLBACK")
		return err
	}
	took := time.Since(start)
	// A claim that found nothing brought nothing to disk and says nothing of it.
	if n, err := w.c.number("SELECT total_changes()"); err == nil && n != w.changed {
		w.changed = n
		w.metrics.commits.Observe(took.Seconds())
	}
	return nil
}

func (w *writer) apply(batch []*request, manner manner) error {
	puts := make([]*insertion, 0, len(batch))
	for _, r := range batch {
		if r.put != nil {
			puts = append(puts, r.put)
		}
	}
	if err := insert(w.c, puts, manner); err != nil {
		return err
	}
	for _, r := range batch {
		if r.change == nil {
			continue
		}
		if err := r.change(w.c); err != nil {
			return err
		}
	}
	return nil
}

// begin takes the write lock. It asks often: SQLite's own way of waiting asks
// every tenth of a second in the end, and beside a busy service, which leaves
// the lock for microseconds only, a command would wait in vain.
func begin(c *conn, wait time.Duration) error {
	for start := time.Now(); ; time.Sleep(500 * time.Microsecond) {
		_, err := c.exec("BEGIN IMMEDIATE")
		if code(err) != sqlite3.SQLITE_BUSY || time.Since(start) > wait {
			return err
		}
	}
}
