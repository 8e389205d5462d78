package app_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
)

// BenchmarkIntake is what `server bench` measures: signature and durable
// commit, 2 KB, 64 senders, beside the same intake into an append-only log with
// shared fsync on the same disk, and beside that log alone (bare-ratio). The
// ratios are the figures; the others depend on the machine.
func BenchmarkIntake(b *testing.B) {
	for b.Loop() {
		var out bytes.Buffer
		err := app.Bench(b.Context(), &out, app.BenchOptions{Dir: b.TempDir(), Time: 4 * time.Second, Clients: 64, Size: 2048, JSON: true})
		if err != nil {
			b.Fatal(err)
		}
		var got map[string]float64
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(got["ratio"], "ratio")
		b.ReportMetric(got["bare_ratio"], "bare-ratio")
		b.ReportMetric(got["intake_per_second"], "events/s")
		b.ReportMetric(got["log_per_second"], "log-records/s")
	}
}
