package sqlite_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/seal"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/ledgerhook/ledgerhook/internal/store/storebench"
)

// BenchmarkPut measures durable events of 2 KB from 64 callers, beside an
// append-only file with shared fsync on the same disk in the same minute.
func BenchmarkPut(b *testing.B) { benchmarkPut(b, nil) }

// BenchmarkPutEncrypted is BenchmarkPut with every body encrypted.
func BenchmarkPutEncrypted(b *testing.B) {
	ring, err := seal.Parse("a:" + base64.StdEncoding.EncodeToString([]byte("0"+strings.Repeat("k", 31))))
	if err != nil {
		b.Fatal(err)
	}
	benchmarkPut(b, ring)
}

func benchmarkPut(b *testing.B, ring *seal.Ring) {
	for b.Loop() {
		dir := b.TempDir()
		db, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(dir, "inbox.db"), Keys: ring})
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

// BenchmarkClaim measures a claim with its settlement at different depths of
// the backlog; the ratio to the smallest says whether depth costs anything.
// "hot" has every event about the same subject.
func BenchmarkClaim(b *testing.B) {
	base := 0.0
	for _, c := range []struct {
		pending int
		hot     bool
	}{{1_000, false}, {100_000, false}, {1_000, true}, {50_000, true}} {
		b.Run(fmt.Sprintf("pending=%d,hot=%v", c.pending, c.hot), func(b *testing.B) {
			db := backlog(b, c.pending, c.hot)
			for b.Loop() {
				claim, err := db.Claim(b.Context(), time.Minute)
				if err != nil || claim == nil {
					b.Fatalf("claim: %v, %v", claim, err)
				}
				if err := db.Settle(b.Context(), claim, event.Outcome{State: event.Pending, Free: true}); err != nil {
					b.Fatal(err)
				}
			}
			each := float64(b.Elapsed()) / float64(b.N)
			if base == 0 {
				base = each
			}
			b.ReportMetric(each/base, "ratio")
		})
	}
}

func backlog(b *testing.B, pending int, hot bool) *sqlite.DB {
	b.Helper()
	db, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), "inbox.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	var wg sync.WaitGroup
	const callers = 128
	for caller := range callers {
		wg.Go(func() {
			for n := caller; n < pending; n += callers {
				ev := event.Event{Source: "shop", Provider: "shopify", ProviderID: fmt.Sprint(n), Topic: "orders/create", Subject: fmt.Sprint("order/", n), Body: []byte("{}")}
				if hot {
					ev.Subject = "order/1"
				}
				if _, err := db.Put(b.Context(), ev); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return db
}
