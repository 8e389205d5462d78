package worker

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	classOK     = "ok"    // no failure
	otherSource = "other" // an event of a source that is no longer configured
)

type metrics struct {
	sources     []string
	attempts    *prometheus.CounterVec
	took        *prometheus.HistogramVec
	age         *prometheus.HistogramVec
	deadLetters *prometheus.CounterVec
	inFlight    prometheus.Gauge
	breaker     prometheus.Gauge
	limit       prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, sources []string) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		sources: append(slices.Clone(sources), otherSource),
		attempts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ledgerhook_attempts_total",
			Help: "Attempts to carry an event into ERPNext, by result and class of failure.",
		}, []string{"source", "result", "class"}),
		took: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ledgerhook_attempt_duration_seconds",
			Help:    "Time an attempt took.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 150, 300},
		}, []string{"source"}),
		age: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ledgerhook_event_age_seconds",
			Help:    "Time from the event, by its sender's clock, to its documents in ERPNext.",
			Buckets: []float64{1, 2, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600},
		}, []string{"source"}),
		deadLetters: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ledgerhook_dead_letters_total",
			Help: "Events that were given up and need a person, by class of failure.",
		}, []string{"class"}),
		inFlight: f.NewGauge(prometheus.GaugeOpts{
			Name: "ledgerhook_in_flight",
			Help: "Deliveries under way.",
		}),
		breaker: f.NewGauge(prometheus.GaugeOpts{
			Name: "ledgerhook_breaker_state",
			Help: "Whether ERPNext is being left alone: 0 closed (events flow), 1 half-open (probing), 2 open.",
		}),
		limit: f.NewGauge(prometheus.GaugeOpts{
			Name: "ledgerhook_in_flight_limit",
			Help: "Deliveries that may be under way at once: as many as are configured, fewer while ERPNext is busy.",
		}),
	}
	m.zero()
	return m
}

// zero creates every series that can come up.
func (m *metrics) zero() {
	for _, source := range m.sources {
		m.took.WithLabelValues(source)
		m.age.WithLabelValues(source)
		for _, result := range []string{resultDone, resultIgnored, resultReleased, resultLost} {
			m.attempts.WithLabelValues(source, result, classOK)
		}
		m.attempts.WithLabelValues(source, resultWaiting, fault.Waiting.String())
		for _, k := range fault.Delivery() {
			m.attempts.WithLabelValues(source, resultDead, k.String())
			if k.Retry() != fault.Never && k != fault.Waiting {
				m.attempts.WithLabelValues(source, resultRetry, k.String())
			}
		}
	}
	for _, k := range fault.Delivery() {
		m.deadLetters.WithLabelValues(k.String())
	}
}

func (m *metrics) source(name string) string {
	if slices.Contains(m.sources, name) {
		return name
	}
	return otherSource
}

// class keeps the label's values closed: a kind of the intake that comes out of
// a delivery is one nobody thought of.
func class(result, name string) string {
	switch {
	case name == "", result == resultReleased, result == resultLost:
		return classOK
	case slices.Contains(fault.Delivery(), fault.ParseKind(name)):
		return name
	default:
		return fault.Internal.String()
	}
}
