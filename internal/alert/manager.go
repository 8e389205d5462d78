package alert

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	reportQueue    = 1024
	conditionQueue = 256
	channelQueue   = 100
	tickEvery      = 5 * time.Second
)

// Options of a Manager.
type Options struct {
	Senders    []Sender
	Digest     time.Duration         // first pause between two signals of one trouble; 0 = 15 min
	Flush      time.Duration         // longest time Run takes to send what is left; 0 = 5 s
	Memory     Memory                // keeps what is under way across restarts; nil = it is forgotten
	Registerer prometheus.Registerer // nil = a registry of its own
	Log        zerolog.Logger        // the zero Logger writes nothing
}

// Manager hears of attempts and refused requests and tells people. Its callers
// are never held up: what does not fit is dropped and counted.
type Manager struct {
	flush    time.Duration
	log      zerolog.Logger
	metrics  *metrics
	tracker  *tracker
	channels []*channel
	memory   *memory
	reports  chan Report
	refusals chan refusal // apart, so that a flood of bad requests cannot hide a dead letter
	found    chan Condition
}

type refusal struct{ source, outcome string }

type metrics struct {
	sent       *prometheus.CounterVec
	failed     *prometheus.CounterVec
	suppressed prometheus.Counter
	dropped    prometheus.Counter
}

// New makes a Manager that does nothing until Run.
func New(o Options) *Manager {
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	m := &Manager{
		flush:    cmp.Or(o.Flush, 5*time.Second),
		log:      o.Log,
		metrics:  newMetrics(o.Registerer, o.Senders),
		tracker:  newTracker(cmp.Or(o.Digest, 15*time.Minute)),
		memory:   newMemory(o.Memory, o.Log),
		reports:  make(chan Report, reportQueue),
		refusals: make(chan refusal, reportQueue),
		found:    make(chan Condition, conditionQueue),
	}
	for _, s := range o.Senders {
		m.channels = append(m.channels, newChannel(s, m.metrics, o.Log))
	}
	return m
}

func newMetrics(reg prometheus.Registerer, senders []Sender) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		sent: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ledgerhook_alerts_sent_total",
			Help: "Alerts a channel has taken.",
		}, []string{"channel"}),
		failed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ledgerhook_alerts_failed_total",
			Help: "Failed tries to send an alert, by class of failure; gave_up, queue_full and stopped count alerts that were lost.",
		}, []string{"channel", "reason"}),
		suppressed: f.NewCounter(prometheus.CounterOpts{
			Name: "ledgerhook_alerts_suppressed_total",
			Help: "Failures that were folded into a digest instead of being told one by one.",
		}),
		dropped: f.NewCounter(prometheus.CounterOpts{
			Name: "ledgerhook_alerts_dropped_total",
			Help: "Outcomes the alerting could not take in because it was too busy.",
		}),
	}
	names := []string{"slack", "webhook"} // a rule holds before a channel is configured
	for _, s := range senders {
		names = append(names, s.Name())
	}
	for _, name := range names {
		m.sent.WithLabelValues(name)
		for _, reason := range []string{reasonGaveUp, reasonFull, reasonStopped} {
			m.failed.WithLabelValues(name, reason)
		}
		for _, k := range fault.Delivery() {
			m.failed.WithLabelValues(name, k.String())
		}
	}
	return m
}

// Attempted hears of a settled attempt. It does not block.
func (m *Manager) Attempted(r Report) {
	select {
	case m.reports <- r:
	default:
		m.metrics.dropped.Inc()
	}
}

// Rejected hears of a refused request: the configured source, and the outcome
// as the request metric names it. It does not block.
func (m *Manager) Rejected(source, outcome string) {
	select {
	case m.refusals <- refusal{source, outcome}:
	default:
		m.metrics.dropped.Inc()
	}
}

// Found hears of a condition, good or bad. It does not block.
func (m *Manager) Found(c Condition) {
	select {
	case m.found <- c:
	default:
		m.metrics.dropped.Inc()
	}
}

// Run works until ctx ends; then it takes in what it was told before, and gives
// the channels Options.Flush to send what is left. What an earlier Run with the
// same Memory had under way goes on: it is not told as if it were new.
func (m *Manager) Run(ctx context.Context) error {
	m.memory.recall(ctx, m.tracker, time.Now())
	send, cancel := context.WithCancel(context.Background())
	defer cancel()
	var channels sync.WaitGroup
	channels.Go(m.memory.run)
	for _, c := range m.channels {
		channels.Go(func() { c.run(send) })
	}
	m.listen(ctx)
	m.drain()
	m.memory.last(m.tracker)
	for _, c := range m.channels {
		close(c.queue)
	}
	defer time.AfterFunc(m.flush, cancel).Stop()
	channels.Wait()
	return nil
}

func (m *Manager) listen(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-m.reports:
			m.tell(m.tracker.attempted(r))
		case r := <-m.refusals:
			m.tell(m.tracker.rejected(r.source, r.outcome, time.Now()))
		case c := <-m.found:
			m.tell(m.tracker.found(c, time.Now()))
		case now := <-tick.C:
			m.tell(m.tracker.tick(now))
			m.memory.offer(m.tracker, now)
		}
	}
}

func (m *Manager) drain() {
	for {
		select {
		case r := <-m.reports:
			m.tell(m.tracker.attempted(r))
		default:
			return
		}
	}
}

func (m *Manager) tell(signals []Signal) {
	m.metrics.suppressed.Add(float64(m.tracker.folded))
	m.tracker.folded = 0
	for _, s := range signals {
		m.log.Info().Str("kind", string(s.Kind)).Str("state", string(s.State)).Str("severity", string(s.Severity)).
			Str("group", s.Group).Int("count", s.Count).Str("event_id", s.SampleEventID).Msg("alert")
		for _, c := range m.channels {
			c.offer(s)
		}
	}
}
