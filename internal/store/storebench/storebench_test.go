package storebench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

func TestRunMeasuresBothSidesAndCleansUp(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	seen := make(map[string]int)
	r, err := Run(t.Context(), Options{Dir: dir, Connections: 4, BodyBytes: 500, Rounds: 3, Round: time.Millisecond, Put: func(_ context.Context, ev event.Event) error {
		mu.Lock()
		defer mu.Unlock()
		seen[ev.ProviderID] = len(ev.Body)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Events != len(seen) || r.Events == 0 {
		t.Errorf("counted %d events, %d different ones were put", r.Events, len(seen))
	}
	for id, n := range seen {
		if n != 500 {
			t.Errorf("%s has %d bytes, want 500", id, n)
		}
	}
	if r.Store <= 0 || r.Log <= 0 || r.Ratio <= 0 || r.P99 < r.P50 {
		t.Errorf("got %+v", r)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRunReportsWhatFailed(t *testing.T) {
	full := errors.New("disk full")
	_, err := Run(t.Context(), Options{Dir: t.TempDir(), Rounds: 1, Round: time.Millisecond, Put: func(context.Context, event.Event) error { return full }})
	if !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	if _, err := Run(t.Context(), Options{Dir: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a folder that is not there: got no error")
	}
}

func TestTheLogHoldsWholeRecords(t *testing.T) {
	l, err := openAppendLog(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for range 3 {
		ev, err := Options{BodyBytes: 100, Source: "bench"}.event(t.Context(), "id")
		if err != nil {
			t.Fatal(err)
		}
		record, err := encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		want += len(record)
		if err := l.put(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	info, err := l.file.Stat()
	if err != nil || info.Size() != int64(want) {
		t.Errorf("the file has %d bytes, %v, want %d", info.Size(), err, want)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}
