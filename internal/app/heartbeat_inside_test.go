package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/worker"
	"github.com/prometheus/client_golang/prometheus"
)

// heard counts the attempts that reach the alerting.
type heard int

func (h *heard) Attempted(worker.Report) { *h++ }

// TestHeartbeatIsMeasuredOnlyWhenItIsOne tells the heartbeat of attempts of
// every sort.
func TestHeartbeatIsMeasuredOnlyWhenItIsOne(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	report := func(source, reason string, sent, settled time.Duration) worker.Report {
		return worker.Report{
			Event: event.Event{Source: source, ReceivedAt: began.Add(sent)}, Outcome: event.Outcome{State: event.Ignored, Reason: reason}, At: began.Add(settled),
		}
	}
	var others heard
	reg := prometheus.NewRegistry()
	h := &heartbeat{Observer: &others, every: time.Minute, began: began}
	h.register(reg)
	for _, r := range []worker.Report{
		report(event.Heartbeat, beatCame, -time.Hour, time.Second), // an earlier run of the service sent it
		report(event.Heartbeat, beatLost, time.Second, 2*time.Second),
		report("shopify", beatCame, time.Second, 2*time.Second),
	} {
		h.Attempted(r)
	}
	if last, took := measured(t, reg); last != 0 || took != 0 || others != 1 {
		t.Errorf("measured %v and %v s, told of %d others", last, took, others)
	}
	h.Attempted(report(event.Heartbeat, beatCame, 2*time.Second, 5*time.Second))
	if last, took := measured(t, reg); last != float64(began.Unix()+5) || took != 3 || others != 1 {
		t.Errorf("measured %v and %v s, told of %d others", last, took, others)
	}
}

// measured is the time of the last heartbeat and how long all took together.
func measured(t *testing.T, reg *prometheus.Registry) (float64, float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var last, took float64
	for _, f := range families {
		switch f.GetName() {
		case "ledgerhook_heartbeat_timestamp_seconds":
			last = f.GetMetric()[0].GetGauge().GetValue()
		case "ledgerhook_heartbeat_duration_seconds":
			took = f.GetMetric()[0].GetHistogram().GetSampleSum()
		}
	}
	return last, took
}

// TestHeartbeatIsLostUnlessERPNextKnowsUs never fails, whatever ERPNext says.
func TestHeartbeatIsLostUnlessERPNextKnowsUs(t *testing.T) {
	tests := map[string]struct {
		user string
		err  error
		want string
	}{
		"known":     {"bot@example.com", nil, beatCame},
		"a guest":   {"Guest", nil, beatLost},
		"no answer": {"", errors.New("no answer"), beatLost},
	}
	for name, tt := range tests {
		h := &heartbeat{ask: func(ctx context.Context) (string, error) {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Errorf("%s: the question may last for ever", name)
			}
			return tt.user, tt.err
		}}
		got, err := h.Deliver(t.Context(), &event.Claim{Event: event.Event{Source: event.Heartbeat}})
		if err != nil || got.Ignored != tt.want || got.Documents != nil || got.Warn != nil {
			t.Errorf("%s: got %+v, %v, want %q", name, got, err, tt.want)
		}
	}
}
