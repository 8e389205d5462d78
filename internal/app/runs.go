package app

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const (
	// lookForRuns is how soon a run that was started by another process is seen.
	lookForRuns = 2 * time.Second
	// runStep is how many events a step does at most, so that a slow rate is
	// even and a fast one needs few commits.
	runStep = 50
)

// stepper is the inbox as the carrier of runs sees it.
type stepper interface {
	RunningRuns(ctx context.Context) ([]event.Run, error)
	StepRun(ctx context.Context, id, carrier string, limit int) (event.Run, error)
}

// carrier carries runs on at their rate. Several processes may try: the inbox
// lets one at a time.
type carrier struct {
	inbox   stepper
	name    string
	log     zerolog.Logger
	started <-chan struct{} // a run was started in this process; nil = look now and then only
}

func newCarrier(inbox stepper, log zerolog.Logger) carrier {
	return carrier{inbox: inbox, name: rand.Text(), log: log}
}

// carryRuns carries on what was started, here or by another process or before
// a restart, until ctx ends.
func (a *App) carryRuns(ctx context.Context) {
	c := newCarrier(a.inbox, a.log)
	c.started = a.started
	c.run(ctx)
}

// starter is the inbox for the API: what is started there is carried at once.
type starter struct {
	*sqlite.DB
	started chan<- struct{}
}

// StartRun starts a run and wakes the carrier.
func (s starter) StartRun(ctx context.Context, id string) (event.Run, error) {
	r, err := s.DB.StartRun(ctx, id)
	select {
	case s.started <- struct{}{}:
	default: // it is about to look anyway
	}
	return r, err
}

// run carries each run by itself, so that a slow one holds up no other.
func (c carrier) run(ctx context.Context) {
	var mu sync.Mutex
	carried := map[string]bool{}
	var all sync.WaitGroup
	defer all.Wait()
	for ctx.Err() == nil {
		running, err := c.inbox.RunningRuns(ctx)
		if err != nil && ctx.Err() == nil {
			c.log.Warn().Err(err).Msg("runs not read")
		}
		for _, r := range running {
			mu.Lock()
			known := carried[r.ID]
			carried[r.ID] = true
			mu.Unlock()
			if known {
				continue
			}
			all.Go(func() {
				if err := c.carry(ctx, r, func(event.Run) {}); err != nil && ctx.Err() == nil {
					c.log.Warn().Str("run", r.ID).Err(err).Msg("run not carried on, trying again")
				}
				mu.Lock()
				defer mu.Unlock()
				delete(carried, r.ID)
			})
		}
		select {
		case <-time.After(lookForRuns):
		case <-c.started:
		case <-ctx.Done():
		}
	}
}

// carry does a run to its end, telling of each step. While another process has
// it, it only looks.
func (c carrier) carry(ctx context.Context, r event.Run, tell func(event.Run)) error {
	for !r.Over() {
		limit := min(max(r.Rate, 1), runStep)
		next, err := c.inbox.StepRun(ctx, r.ID, c.name, limit)
		if err != nil {
			return err
		}
		moved := next.Done + next.Skipped - r.Done - r.Skipped
		if r = next; r.Over() {
			c.log.Info().Str("run", r.ID).Str("action", string(r.Action)).Int64("done", r.Done).Int64("skipped", r.Skipped).Str("state", string(r.State)).Msg("run ended")
		}
		tell(r)
		if r.Over() {
			return nil
		}
		if !sleep(ctx, pace(r.Rate, moved)) {
			return ctx.Err()
		}
	}
	return nil
}

// pace is how long so many events take at a rate. When nothing moved, another
// process has the run.
func pace(rate int, moved int64) time.Duration {
	if moved <= 0 {
		return time.Second
	}
	return time.Duration(moved) * time.Second / time.Duration(max(rate, 1))
}

// sleep waits, and tells whether it did to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// inboxMetrics reports what the inbox keeps across restarts and what other
// processes may change: replays and pauses.
type inboxMetrics struct {
	inbox   *sqlite.DB
	sources []string
	log     zerolog.Logger

	replays, paused *prometheus.Desc
}

// pausedAll is the source label of a pause of everything.
const pausedAll = "all"

func (a *App) registerInbox(reg prometheus.Registerer, sources []string) {
	m := &inboxMetrics{
		inbox: a.inbox, sources: sources, log: a.log,
		replays: prometheus.NewDesc("ledgerhook_replays_total",
			"Events put back to be tried again since the inbox was made: manual one by one, bulk by runs, auto by the service.", []string{"trigger"}, nil),
		paused: prometheus.NewDesc("ledgerhook_paused",
			"1 when the source is held by hand; source \"all\" is a pause of every one.", []string{"source"}, nil),
	}
	reg.MustRegister(m)
	a.onStop("inbox metrics", func(context.Context) error { reg.Unregister(m); return nil })
}

// Describe names the families; it is part of prometheus.Collector.
func (m *inboxMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.replays
	ch <- m.paused
}

// Collect reads the inbox. When that fails it reports nothing, for a zero would
// be a lie.
func (m *inboxMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	replays, err := m.inbox.Replays(ctx)
	if err != nil {
		m.log.Warn().Str("class", fault.KindOf(err).String()).Err(err).Msg("replays not read")
		return
	}
	for trigger, n := range replays {
		ch <- prometheus.MustNewConstMetric(m.replays, prometheus.CounterValue, float64(n), trigger)
	}
	pauses, err := m.inbox.Pauses(ctx)
	if err != nil {
		m.log.Warn().Str("class", fault.KindOf(err).String()).Err(err).Msg("pauses not read")
		return
	}
	held := map[string]float64{}
	for _, p := range pauses {
		held[p.Source] = 1
	}
	ch <- prometheus.MustNewConstMetric(m.paused, prometheus.GaugeValue, held[event.AllSources], pausedAll)
	for _, source := range m.sources {
		ch <- prometheus.MustNewConstMetric(m.paused, prometheus.GaugeValue, held[source], source)
	}
}
