package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/source/shopify"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/ledgerhook/ledgerhook/internal/store/storebench"
)

// BenchOptions say what to measure and where.
type BenchOptions struct {
	Dir     string        // "" = the system's temporary folder
	Time    time.Duration // of each side
	Clients int
	Size    int // bytes of a body
	JSON    bool
}

// Bench measures the intake (a signature verified, then a durable commit) on
// this machine, beside an append-only log with shared fsync in the same run.
func Bench(ctx context.Context, out io.Writer, o BenchOptions) error {
	dir, err := os.MkdirTemp(o.Dir, "ledgerhook-bench-")
	if err != nil {
		return err
	}
	result, err := bench(ctx, dir, o)
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		return err
	}
	if o.JSON {
		return json.NewEncoder(out).Encode(map[string]any{
			"clients": o.Clients, "body_bytes": o.Size, "intake_per_second": int(result.Store), "log_per_second": int(result.Log),
			"ratio": result.Ratio, "p50_ms": ms(result.P50), "p99_ms": ms(result.P99),
		})
	}
	_, err = fmt.Fprintf(out, "intake, %d clients, %d bytes: %.0f events/s, p50 %.1f ms, p99 %.1f ms\nappend-only log with shared fsync: %.0f records/s\nratio %.2f\n",
		o.Clients, o.Size, result.Store, ms(result.P50), ms(result.P99), result.Log, result.Ratio)
	return err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func bench(ctx context.Context, dir string, o BenchOptions) (storebench.Result, error) {
	const rounds = 5
	src, err := shopify.New(shopify.Options{Secrets: []string{"bench"}})
	if err != nil {
		return storebench.Result{}, err
	}
	db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "inbox.db")})
	if err != nil {
		return storebench.Result{}, err
	}
	result, err := storebench.Run(ctx, storebench.Options{
		Put: intakeOf(src, db, sizedBody(o.Size)), Dir: dir, Connections: o.Clients, BodyBytes: o.Size, Rounds: rounds, Round: o.Time / rounds,
	})
	return result, errors.Join(err, db.Close())
}

// intakeOf is what the service does with a delivery between reading and
// answering it. The signing that comes before is the sender's work, measured
// with it. Every event has the same body: what it says is read later.
func intakeOf(src *shopify.Source, db *sqlite.DB, body []byte) func(context.Context, event.Event) error {
	return func(ctx context.Context, ev event.Event) error {
		now := time.Now()
		header, err := src.Sign(body, "orders/create", ev.ProviderID, now)
		if err != nil {
			return err
		}
		opened, err := src.Open(ctx, header, body, now)
		if err != nil {
			return err
		}
		opened.Source, opened.ReceivedAt = "bench", now.UTC()
		opened.ID = event.NewID(opened.Source, opened.ProviderID)
		_, err = db.Put(ctx, opened)
		return err
	}
}

// sizedBody is a JSON object of about this many bytes.
func sizedBody(size int) []byte {
	const frame = `{"id":5551234567890,"note":""}`
	return []byte(strings.Replace(frame, `""`, `"`+strings.Repeat("x", max(0, size-len(frame)))+`"`, 1))
}
