package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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

// Less than this measures nothing: a body names its order, and a round has to
// see a commit.
const (
	leastBody = 64
	leastTime = 100 * time.Millisecond
)

// Bench measures the intake (a signature verified, then a durable commit) on
// this machine, beside an append-only log with shared fsync in the same run.
func Bench(ctx context.Context, out io.Writer, o BenchOptions) error {
	if o.Clients < 1 || o.Size < leastBody || o.Time < leastTime {
		return usagef("--clients is at least 1, --size at least %d bytes, --time at least %s", leastBody, leastTime)
	}
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
			"bare_log_per_second": int(result.BareLog), "ratio": result.Ratio, "bare_ratio": result.BareRatio, "p50_ms": ms(result.P50), "p99_ms": ms(result.P99),
		})
	}
	_, err = fmt.Fprintf(out, `%d clients, %d bytes:
  signature verified, event in the inbox     %8.0f/s   p50 %.1f ms, p99 %.1f ms
  signature verified, record in a plain log  %8.0f/s   ratio %.2f
  record in a plain log, nothing verified    %8.0f/s   ratio %.2f
(both durable, with an fsync shared by all who wait; the plain log knows no duplicates and no order)
`, o.Clients, o.Size, result.Store, ms(result.P50), ms(result.P99), result.Log, result.Ratio, result.BareLog, result.BareRatio)
	return err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func bench(ctx context.Context, dir string, o BenchOptions) (storebench.Result, error) {
	const rounds = 9 // short ones in turn: what a shared disk gives changes from second to second
	src, err := shopify.New(shopify.Options{Secrets: []string{"bench"}})
	if err != nil {
		return storebench.Result{}, err
	}
	db, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "inbox.db")})
	if err != nil {
		return storebench.Result{}, err
	}
	verify, err := verifierOf(src, sizedBody(o.Size))
	if err != nil {
		return storebench.Result{}, errors.Join(err, db.Close())
	}
	result, err := storebench.Run(ctx, storebench.Options{
		Prepare: verify,
		Put: func(ctx context.Context, ev event.Event) error {
			_, err := db.Put(ctx, ev)
			return err
		},
		Dir: dir, Connections: o.Clients, BodyBytes: o.Size, Rounds: rounds, Round: o.Time / rounds,
	})
	return result, errors.Join(err, db.Close())
}

// verifierOf is what the service does with a delivery between reading it and
// putting it into the inbox. Every delivery has the same body, signed once: the
// signature does not cover the id, and signing is the sender's work.
func verifierOf(src *shopify.Source, body []byte) (func(ctx context.Context, id string) (event.Event, error), error) {
	signed, err := src.Sign(body, "orders/create", "", time.Now())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, id string) (event.Event, error) {
		now := time.Now()
		header := maps.Clone(signed) // reading it from the connection is the sender's time
		header["X-Shopify-Webhook-Id"] = []string{id}
		ev, err := src.Open(ctx, header, body, now)
		if err != nil {
			return event.Event{}, err
		}
		ev.Source, ev.ReceivedAt = "bench", now.UTC()
		ev.ID = event.NewID(ev.Source, ev.ProviderID)
		return ev, nil
	}, nil
}

// sizedBody is a JSON object of about this many bytes.
func sizedBody(size int) []byte {
	const frame = `{"id":5551234567890,"note":""}`
	return []byte(strings.Replace(frame, `""`, `"`+strings.Repeat("x", max(0, size-len(frame)))+`"`, 1))
}
