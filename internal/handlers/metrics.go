package handlers

import (
	"context"
	"errors"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// unknownSource is the label of requests to sources that are not configured.
const unknownSource = "unknown"

// The outcomes of a request.
const (
	outcomeAccepted   = "accepted"
	outcomeDuplicate  = "duplicate"
	outcomeStoreError = "store_error"
)

var outcomeByKind = map[fault.Kind]string{
	fault.Malformed:    "unparsable",
	fault.BadSignature: "bad_signature",
	fault.Forbidden:    "forbidden",
	fault.NotFound:     "unknown_source",
	fault.BadMethod:    "bad_method",
	fault.Conflict:     "conflict",
	fault.TooLarge:     "too_large",
	fault.Unsupported:  "unsupported",
	fault.Busy:         "overloaded",
	fault.Network:      "interrupted",
}

func outcomeOf(receipt event.Receipt, err error) string {
	switch {
	case err == nil && receipt.Duplicate:
		return outcomeDuplicate
	case err == nil:
		return outcomeAccepted
	}
	if o, ok := outcomeByKind[fault.KindOf(err)]; ok && !ofStore(err) {
		return o
	}
	return outcomeStoreError
}

// ofStore tells an inbox that fails from one that has too much to do: behind a
// failure there is an error of the system below it.
func ofStore(err error) bool {
	f := fault.As(err)
	return f != nil && f.Kind == fault.Busy && f.Err != nil &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

type intakeMetrics struct {
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	lastEvent *prometheus.GaugeVec
	secrets   *prometheus.CounterVec
}

func newIntakeMetrics(reg prometheus.Registerer, sources map[string]Source, last map[string]time.Time) *intakeMetrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	f := promauto.With(reg)
	m := &intakeMetrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ledgerhook_requests_total", Help: "Webhook requests, by source and what became of them.",
		}, []string{"source", "outcome"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ledgerhook_request_duration_seconds", Help: "Time from the request's headers to our answer, in seconds.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"source"}),
		lastEvent: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ledgerhook_last_event_timestamp_seconds", Help: "When the source last sent an event that was accepted; 0 before the first.",
		}, []string{"source"}),
		secrets: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ledgerhook_secret_matches_total", Help: "Deliveries verified, by the configured secret or method that matched.",
		}, []string{"source", "slot"}),
	}
	m.zero(sources, last)
	return m
}

func (m *intakeMetrics) zero(sources map[string]Source, last map[string]time.Time) {
	for name, src := range sources {
		m.zeroRequests(name)
		m.duration.WithLabelValues(name)
		since := m.lastEvent.WithLabelValues(name)
		if at, ok := last[name]; ok {
			since.Set(float64(at.UnixMilli()) / 1e3)
		}
		for _, slot := range src.Slots() {
			m.secrets.WithLabelValues(name, slot)
		}
	}
	m.requests.WithLabelValues(unknownSource, outcomeByKind[fault.NotFound])
}

func (m *intakeMetrics) zeroRequests(source string) {
	for _, o := range []string{outcomeAccepted, outcomeDuplicate, outcomeStoreError} {
		m.requests.WithLabelValues(source, o)
	}
	for kind, o := range outcomeByKind {
		if kind != fault.NotFound {
			m.requests.WithLabelValues(source, o)
		}
	}
}

func (m *intakeMetrics) observe(source, outcome string, ev event.Event, took time.Duration) {
	m.requests.WithLabelValues(source, outcome).Inc()
	if source == unknownSource {
		return
	}
	m.duration.WithLabelValues(source).Observe(took.Seconds())
	if outcome == outcomeAccepted || outcome == outcomeDuplicate {
		m.secrets.WithLabelValues(source, ev.SecretSlot).Inc()
	}
	if outcome == outcomeAccepted {
		m.lastEvent.WithLabelValues(source).SetToCurrentTime()
	}
}
