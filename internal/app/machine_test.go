package app

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestMachine looks at a machine that is well, and at one whose disk nobody
// can ask and whose inbox fails.
func TestMachine(t *testing.T) {
	tests := map[string]struct {
		folder string
		ready  error
		want   float64
		disk   bool
	}{
		"well":   {t.TempDir(), nil, 1, true},
		"unwell": {filepath.Join(t.TempDir(), "gone"), errors.New("disk full"), 0, false},
	}
	for name, tt := range tests {
		reg := prometheus.NewRegistry()
		reg.MustRegister(newMachine(tt.folder, func(context.Context) error { return tt.ready }))
		got := gauges(t, reg)
		if ready, ok := got["ledgerhook_ready"]; !ok || ready != tt.want {
			t.Errorf("%s: ready %v, want %v", name, ready, tt.want)
		}
		if free, ok := got["ledgerhook_disk_free_bytes"]; ok != tt.disk || ok && free < 1 {
			t.Errorf("%s: %v bytes free, known: %v", name, free, ok)
		}
		if skew := time.Since(time.UnixMilli(int64(got["ledgerhook_clock_timestamp_seconds"] * 1e3))); skew.Abs() > time.Minute {
			t.Errorf("%s: the clock is %v off", name, skew)
		}
	}
}

func gauges(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
	}
	return got
}
