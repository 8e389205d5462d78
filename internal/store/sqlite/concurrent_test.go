package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

func TestNothingIsLostAndNothingIsHandedOutTwice(t *testing.T) {
	const putters, each, workers = 16, 60, 8
	db := openNew(t)
	held := newHeld()
	var wg sync.WaitGroup
	for p := range putters {
		wg.Go(func() {
			for n := range each {
				ev := numbered(p*each + n)
				ev.Subject = fmt.Sprint("order/", n%7) // shared between putters
				for range 2 {                          // and everything twice
					if _, err := db.Put(t.Context(), ev); err != nil {
						t.Errorf("put: %v", err)
					}
				}
			}
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range workers {
		wg.Go(func() { held.work(ctx, t, db, putters*each, stop) })
	}
	wg.Wait()
	if len(held.done) != putters*each {
		t.Errorf("handled %d events, want %d", len(held.done), putters*each)
	}
	wantCounts(t, db)
}

// held is what the workers of a test hold between them.
type held struct {
	mu       sync.Mutex
	subjects map[string]string
	done     map[string]bool
}

func newHeld() *held {
	return &held{subjects: make(map[string]string), done: make(map[string]bool)}
}

func (h *held) work(ctx context.Context, t *testing.T, db *DB, want int, stop func()) {
	for ctx.Err() == nil {
		c, err := db.Claim(t.Context(), time.Hour)
		if err != nil {
			t.Errorf("claim: %v", err)
			return
		}
		if c == nil {
			select {
			case <-db.Wake():
			case <-ctx.Done():
			}
			continue
		}
		h.take(t, c)
		runtime.Gosched()
		last := h.put(c, want)
		if err := db.Settle(t.Context(), c, event.Outcome{State: event.Done}); err != nil {
			t.Errorf("settle: %v", err)
		}
		if last {
			stop()
		}
	}
}

func (h *held) take(t *testing.T, c *event.Claim) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if other := h.subjects[c.Event.Subject]; other != "" {
		t.Errorf("%s was handed out beside %s of the same subject", c.Event.ProviderID, other)
	}
	if h.done[c.Event.ID] {
		t.Errorf("%s was handed out twice", c.Event.ProviderID)
	}
	h.subjects[c.Event.Subject] = c.Event.ProviderID
}

func (h *held) put(c *event.Claim, want int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subjects, c.Event.Subject)
	h.done[c.Event.ID] = true
	return len(h.done) == want
}

func TestConcurrentPutsShareCommits(t *testing.T) {
	db := openNew(t)
	release := block(t, db)
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() { put(t, db, n) })
	}
	for len(db.w.puts) < 50 {
		runtime.Gosched()
	}
	before := commits(t, db)
	release()
	wg.Wait()
	// The blocking change's own commit, and one for all fifty.
	if n := commits(t, db) - before; n > 2 {
		t.Errorf("fifty events took %d commits, want them to share one", n)
	}
}

func TestInOneCommitARepeatIsStillARepeat(t *testing.T) {
	db := openNew(t)
	release := block(t, db)
	var mu sync.Mutex
	var wg sync.WaitGroup
	fresh := 0
	for range 10 {
		wg.Go(func() {
			r, err := db.Put(t.Context(), numbered(1))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if !r.Duplicate {
				fresh++
			}
		})
	}
	for len(db.w.puts) < 10 {
		runtime.Gosched()
	}
	release()
	wg.Wait()
	if fresh != 1 {
		t.Errorf("%d of ten equal events were new, want 1", fresh)
	}
}

// What one transmission vouches for holds within a commit, too: the event sent
// again under it comes first, another event under it a moment later.
func TestInOneCommitADeliveryVouchesForOneBody(t *testing.T) {
	db := openNew(t)
	known := numbered(1)
	known.StrictBody, known.DeliveryID = true, "transmission-1"
	if _, err := db.Put(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	forged := numbered(2)
	known.DeliveryID, forged.StrictBody, forged.DeliveryID = "transmission-2", true, "transmission-2"
	release := block(t, db)
	var wg sync.WaitGroup
	var receipt event.Receipt
	errs := make([]error, 2)
	wg.Go(func() { receipt, errs[0] = db.Put(t.Context(), known) })
	for len(db.w.puts) < 1 {
		runtime.Gosched()
	}
	wg.Go(func() { _, errs[1] = db.Put(t.Context(), forged) })
	for len(db.w.puts) < 2 {
		runtime.Gosched()
	}
	release()
	wg.Wait()
	if errs[0] != nil || !receipt.Duplicate {
		t.Errorf("sent again: %+v, %v, want a duplicate", receipt, errs[0])
	}
	if fault.KindOf(errs[1]) != fault.Conflict {
		t.Errorf("another event under its transmission: %v, want a conflict", errs[1])
	}
}

func TestAFullQueueIsBusyAtOnce(t *testing.T) {
	db := openWith(t, Options{Path: filepath.Join(t.TempDir(), "inbox.db"), MaxWaiting: 3, MaxWait: time.Hour})
	release := block(t, db)
	defer release()
	ctx, giveUp := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			_, err := db.Put(ctx, numbered(n))
			wantBusy(t, err, "the caller gave up")
		})
	}
	for len(db.w.puts) < 3 {
		runtime.Gosched()
	}
	_, err := db.Put(t.Context(), numbered(4))
	wantBusy(t, err, "too many events wait for the disk")
	giveUp()
	wg.Wait()
}

func TestAWaitBeyondTheBoundIsBusy(t *testing.T) {
	db := openWith(t, Options{Path: filepath.Join(t.TempDir(), "inbox.db"), MaxWait: time.Millisecond})
	release := block(t, db)
	defer release()
	_, err := db.Put(t.Context(), numbered(1))
	wantBusy(t, err, "not on disk in time")
	for !db.w.stuck() {
		runtime.Gosched()
	}
	_, err = db.Put(t.Context(), numbered(1))
	wantBusy(t, err, "the disk does not answer") // without waiting behind it
	wantBusy(t, db.SetNote(t.Context(), "a", "b"), "not on disk in time")
}

func TestAnotherProgramThatHoldsTheInboxMakesItBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	db := openWith(t, Options{Path: path, MaxWait: 400 * time.Millisecond})
	other, err := connect(t.Context(), dsn(path, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if _, err := other.exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	_, err = db.Put(t.Context(), numbered(1))
	wantBusy(t, err, "another program holds the inbox")
	if _, err := other.exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	put(t, db, 1)
}

func TestACallerThatGaveUpIsNotStored(t *testing.T) {
	db := openNew(t)
	release := block(t, db)
	ctx, giveUp := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := db.Put(ctx, numbered(1))
		done <- err
	}()
	for len(db.w.puts) < 1 {
		runtime.Gosched()
	}
	giveUp()
	err := <-done
	wantBusy(t, err, "the caller gave up")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error within", err)
	}
	release()
	put(t, db, 2)
	if _, _, _, err := db.Get(t.Context(), event.NewID("shop", "evt-1")); err == nil {
		t.Error("work was done for nobody")
	}
	if n := db.w.waiting.Load(); n != 0 {
		t.Errorf("%d bytes are still counted as waiting", n)
	}
}

func TestOneBadRequestDoesNotTakeTheOthersDown(t *testing.T) {
	db := openNew(t)
	release := block(t, db)
	bad := errors.New("this one cannot be done")
	answers := make(chan error)
	go func() { answers <- db.write(t.Context(), "test", func(*conn) error { return bad }) }()
	var wg sync.WaitGroup
	for n := range 5 {
		wg.Go(func() { put(t, db, n) })
	}
	for len(db.w.puts) < 5 || len(db.w.changes) < 1 {
		runtime.Gosched()
	}
	release()
	if err := <-answers; !errors.Is(err, bad) {
		t.Errorf("got %v, want %v", err, bad)
	}
	wg.Wait()
}

func TestCloseAnswersWhoeverWaits(t *testing.T) {
	db := openNew(t)
	release := block(t, db)
	done := make(chan error)
	go func() {
		_, err := db.Put(t.Context(), numbered(1))
		done <- err
	}()
	for len(db.w.puts) < 1 {
		runtime.Gosched()
	}
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	<-db.w.stop
	release()
	if err := <-done; err != nil {
		wantBusy(t, err, "the inbox is closed")
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// block keeps the writer inside a transaction until release is called.
func block(t *testing.T, db *DB) (release func()) {
	t.Helper()
	entered, leave := make(chan struct{}), make(chan struct{})
	go func() {
		_ = db.write(context.WithoutCancel(t.Context()), "test", func(*conn) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	return sync.OnceFunc(func() { close(leave) })
}
