package sqlite

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// metrics reports the inbox at a glance whenever it is scraped.
type metrics struct {
	db      *DB
	reg     prometheus.Registerer
	commits prometheus.Histogram
	failed  prometheus.Counter

	events, oldest, schema *prometheus.Desc

	mu    sync.Mutex
	at    time.Time
	stats event.Stats
	ver   int
}

func newMetrics(reg prometheus.Registerer, db *DB) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	m := &metrics{
		db: db, reg: reg,
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "ledgerhook_store_commit_duration_seconds",
			Help:    "Time of one group commit of the inbox, from the first statement until it is on disk.",
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5},
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ledgerhook_store_commit_errors_total",
			Help: "Group commits of the inbox that failed; whoever waited for one was told to come again.",
		}),
		events: prometheus.NewDesc("ledgerhook_events", "Events in the inbox, by state.", []string{"state"}, nil),
		oldest: prometheus.NewDesc("ledgerhook_oldest_pending_timestamp_seconds",
			"When the oldest pending event was received, Unix time; 0 when nothing is pending.", nil, nil),
		schema: prometheus.NewDesc("ledgerhook_schema_version", "Schema version of the inbox.", nil, nil),
	}
	reg.MustRegister(m.commits, m.failed, m)
	return m
}

func (m *metrics) unregister() {
	m.reg.Unregister(m.commits)
	m.reg.Unregister(m.failed)
	m.reg.Unregister(m)
}

// Describe names the families; it is part of prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.events
	ch <- m.oldest
	ch <- m.schema
}

// Collect reads the inbox, at most once per second. When that fails it reports
// nothing: a zero would look like an empty inbox.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	stats, schema, err := m.look()
	if err != nil {
		m.db.log.Warn().Err(err).Msg("inbox metrics not read")
		return
	}
	var oldest float64
	for _, at := range stats.OldestPending {
		if s := float64(at.UnixMicro()) / 1e6; oldest == 0 || s < oldest {
			oldest = s
		}
	}
	for _, state := range event.States() {
		ch <- prometheus.MustNewConstMetric(m.events, prometheus.GaugeValue, float64(stats.ByState[state]), string(state))
	}
	ch <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, oldest)
	ch <- prometheus.MustNewConstMetric(m.schema, prometheus.GaugeValue, float64(schema))
}

func (m *metrics) look() (event.Stats, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.db.now()
	if age := now.Sub(m.at); age >= 0 && age < time.Second {
		return m.stats, m.ver, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ver, _, err := m.db.Schema(ctx)
	if err != nil {
		return event.Stats{}, 0, err
	}
	stats, err := m.db.Stats(ctx)
	if err != nil {
		return event.Stats{}, 0, err
	}
	m.at, m.stats, m.ver = now, stats, ver
	return stats, ver, nil
}
