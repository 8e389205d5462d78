package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

type sender struct {
	name     string
	SendFunc func(context.Context, Signal) error
}

func (s *sender) Name() string                               { return s.name }
func (s *sender) Send(ctx context.Context, sig Signal) error { return s.SendFunc(ctx, sig) }

// recorder is a sender that takes everything and remembers when.
type recorder struct {
	sender
	mu   sync.Mutex
	sent []string
}

func newRecorder(name string, refuse func(n int) error) *recorder {
	r := &recorder{}
	n := 0
	begin := time.Now()
	r.sender = sender{name: name, SendFunc: func(_ context.Context, s Signal) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		n++
		if err := refuse(n); err != nil {
			return err
		}
		r.sent = append(r.sent, fmt.Sprintf("%v %s %s", time.Since(begin), s.Kind, s.State))
		return nil
	}}
	return r
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

func never(int) error { return nil }

type rig struct {
	*Manager
	stop context.CancelFunc
	done chan error
	reg  *prometheus.Registry
}

func run(o Options) *rig {
	reg := prometheus.NewRegistry()
	o.Registerer = reg
	ctx, stop := context.WithCancel(context.Background())
	r := &rig{Manager: New(o), stop: stop, done: make(chan error, 1), reg: reg}
	go func() { r.done <- r.Run(ctx) }()
	return r
}

func (r *rig) end(t *testing.T) {
	t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("Run ended with %v", err)
	}
}

func (r *rig) failures(channel, reason string) float64 {
	return testutil.ToFloat64(r.metrics.failed.WithLabelValues(channel, reason))
}

// now is a report of this very moment: the bubble has a clock of its own.
func now(r Report) Report {
	r.At = time.Now()
	r.Event.ReceivedAt = r.At
	return r
}

func TestManagerTellsDigestsAndResolves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRecorder("slack", never)
		m := run(Options{Senders: []Sender{c}})
		for n := range 3 {
			m.Attempted(now(failed(fmt.Sprint(n), fault.Rejected, 0)))
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		for range 11 {
			m.Rejected("stripe", "bad_signature")
		}
		synctest.Wait()
		m.end(t)
		want := []string{"0s dead_letter firing", "15m0s dead_letter digest", "30m5s dead_letter resolved", "1h0m3s signature_failures firing"}
		if diff := cmp.Diff(c.all(), want); diff != "" {
			t.Errorf("got-want+\n%s", diff)
		}
		if got := testutil.ToFloat64(m.metrics.sent.WithLabelValues("slack")); got != 4 {
			t.Errorf("%v sent counted", got)
		}
		if got := testutil.ToFloat64(m.metrics.suppressed); got != 2 {
			t.Errorf("%v suppressed counted, want the two repeats", got)
		}
	})
}

func TestManagerRetriesAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRecorder("slack", func(n int) error {
			return []error{
				&fault.Error{Kind: fault.RateLimited, RetryAfter: 40 * time.Second},
				fault.New(fault.Network, "", ""),
				nil,
			}[min(n, 3)-1]
		})
		m := run(Options{Senders: []Sender{c}})
		m.Attempted(now(failed("a", fault.Rejected, 0)))
		time.Sleep(2 * time.Minute)
		m.end(t)
		if diff := cmp.Diff(c.all(), []string{"42s dead_letter firing"}); diff != "" {
			t.Errorf("got-want+\n%s", diff)
		}
		if m.failures("slack", "rate_limited") != 1 || m.failures("slack", "network") != 1 || m.failures("slack", reasonGaveUp) != 0 {
			t.Error("failures are not counted by reason")
		}
	})
}

func TestManagerGivesUp(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		tries int
	}{
		{"at once when no try can help", fault.New(fault.Rejected, "slack.send", "slack refused: no_service"), 1},
		{"in the end", fault.New(fault.Unavailable, "slack.send", "502"), sendTries},
		{"on what nobody classified, too", errors.New("https://hooks.slack.example/canary"), sendTries},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				tries := 0
				c := &sender{name: "slack", SendFunc: func(context.Context, Signal) error { tries++; return tt.err }}
				m := run(Options{Senders: []Sender{c}, Log: zerolog.New(&log)})
				m.Attempted(now(failed("a", fault.Rejected, 0)))
				time.Sleep(29 * time.Minute)
				m.end(t)
				if tries != tt.tries || m.failures("slack", reasonGaveUp) != 1 || m.failures("slack", fault.KindOf(tt.err).String()) != float64(tt.tries) {
					t.Errorf("%d tries, want %d; %v given up", tries, tt.tries, m.failures("slack", reasonGaveUp))
				}
				if !strings.Contains(log.String(), "alert could not be sent") || strings.Contains(log.String(), "canary") {
					t.Errorf("log: %s", log.String())
				}
			})
		})
	}
}

func TestManagerChannelsAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := &sender{name: "stuck", SendFunc: func(ctx context.Context, _ Signal) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		good := newRecorder("good", never)
		m := run(Options{Senders: []Sender{stuck, good}})
		for n := range 150 {
			r := failed(fmt.Sprint(n), fault.Rejected, 0)
			r.Fault.Cause = fmt.Sprint("cause ", n)
			m.Attempted(now(r))
			synctest.Wait()
		}
		if got := len(good.all()); got != 150 {
			t.Errorf("the good channel sent %d of 150 beside a stuck one", got)
		}
		if got := m.failures("stuck", reasonFull); got != 49 { // 100 wait, one is on its way
			t.Errorf("%v alerts did not fit, want 49", got)
		}
		begin := time.Now()
		m.end(t)
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("stopping took %v, want the bound of 5 s", took)
		}
		if got := m.failures("stuck", reasonStopped); got != 101 {
			t.Errorf("%v alerts lost by the stop, want 101", got)
		}
	})
}

func TestManagerFlushesOnStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRecorder("slack", func(n int) error {
			if n == 1 {
				return fault.New(fault.Network, "", "")
			}
			return nil
		})
		m := run(Options{Senders: []Sender{c}})
		synctest.Wait()
		m.Attempted(now(failed("a", fault.Rejected, 0)))
		m.Attempted(now(failed("b", fault.Unmapped, 0)))
		m.end(t)
		want := []string{"1s dead_letter firing", "1s dead_letter firing"}
		if diff := cmp.Diff(c.all(), want); diff != "" {
			t.Errorf("got-want+\n%s", diff)
		}
	})
}

func TestManagerNeverBlocksItsCallers(t *testing.T) {
	m := New(Options{}) // nobody listens
	for range reportQueue + 7 {
		m.Attempted(failed("a", fault.Rejected, 0))
	}
	for range reportQueue + 5 {
		m.Rejected("stripe", "bad_signature")
	}
	if got := testutil.ToFloat64(m.metrics.dropped); got != 12 {
		t.Errorf("%v dropped counted, want 12", got)
	}
}

func TestManagerMetricsStartAtZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := &sender{name: "slack", SendFunc: func(context.Context, Signal) error {
			n++
			kinds := append(fault.Delivery(), fault.Busy, fault.Malformed)
			return fault.New(kinds[n%len(kinds)], "", "")
		}}
		m := run(Options{Senders: []Sender{c}})
		before := testutil.CollectAndCount(m.reg)
		for _, k := range fault.Delivery() {
			m.Attempted(now(dead("e", k, 0)))
			time.Sleep(20 * time.Minute)
		}
		m.end(t)
		if after := testutil.CollectAndCount(m.reg); after != before || before == 0 {
			t.Errorf("%d series at the start, %d in the end", before, after)
		}
		if problems, err := testutil.GatherAndLint(m.reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
	})
}
