package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/ledgerhook/ledgerhook/internal/store/storebench"
)

// BenchmarkPut measures durable events of 2 KB from 64 callers, beside an
// append-only file with shared fsync on the same disk in the same minute.
func BenchmarkPut(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		db, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(dir, "inbox.db")})
		if err != nil {
			b.Fatal(err)
		}
		r, err := storebench.Run(b.Context(), storebench.Options{Dir: dir, Put: func(ctx context.Context, ev event.Event) error {
			_, err := db.Put(ctx, ev)
			return err
		}})
		if err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(r.Store, "events/s")
		b.ReportMetric(r.Log, "log-events/s")
		b.ReportMetric(r.Ratio, "ratio")
		b.ReportMetric(float64(r.P99.Microseconds()), "p99-µs")
	}
}
