package app

import (
	"context"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/worker"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"
)

// beatBound is the longest a heartbeat asks ERPNext: it must not keep a writer
// from real events for as long as these may take.
const beatBound = 10 * time.Second

// Why a heartbeat is settled as ignored. It never fails: it is not retried, is
// no dead letter and tells neither breaker nor alerts anything. One that does
// not come through is missed by whoever watches its time.
const (
	beatCame = "the heartbeat came through"
	beatLost = "erpnext did not answer the heartbeat"
)

// heartbeat sends an event of the service's own through the whole chain: on
// disk, claimed, a question to ERPNext, settled. It stands between the worker
// and those who deliver and observe real events.
type heartbeat struct {
	worker.Deliverer
	worker.Observer

	every time.Duration // 0 = none is sent
	send  func(ctx context.Context) (bool, error)
	ask   func(ctx context.Context) (user string, err error)
	log   zerolog.Logger
	began time.Time
	last  prometheus.Gauge
	took  prometheus.Histogram
}

// register exports the heartbeat, unless it is off: then there is nothing to
// be late.
func (h *heartbeat) register(reg prometheus.Registerer) {
	if h.every == 0 {
		reg = nil
	}
	f := promauto.With(reg)
	f.NewGauge(prometheus.GaugeOpts{
		Name: "ledgerhook_heartbeat_interval_seconds", Help: "How often a heartbeat is sent through the whole chain.",
	}).Set(h.every.Seconds())
	h.last = f.NewGauge(prometheus.GaugeOpts{
		Name: "ledgerhook_heartbeat_timestamp_seconds", Help: "When a heartbeat last came through the whole chain, Unix time; 0 before the first.",
	})
	h.took = f.NewHistogram(prometheus.HistogramOpts{
		Name: "ledgerhook_heartbeat_duration_seconds", Help: "Time from sending a heartbeat until it was settled.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300},
	})
}

// run sends a beat at once and then at every interval, until ctx ends. While
// one is on its way no other is sent.
func (h *heartbeat) run(ctx context.Context) {
	if h.every == 0 {
		return
	}
	tick := time.NewTicker(h.every)
	defer tick.Stop()
	for {
		if _, err := h.send(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn().Err(err).Msg("heartbeat not sent")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Deliver asks ERPNext who we are: it needs site, database and credentials, and
// changes nothing. Whatever is not a heartbeat goes on.
func (h *heartbeat) Deliver(ctx context.Context, c *event.Claim) (worker.Delivery, error) {
	if c.Event.Source != event.Heartbeat {
		return h.Deliverer.Deliver(ctx, c)
	}
	ctx, cancel := context.WithTimeout(ctx, beatBound)
	defer cancel()
	user, err := h.ask(ctx)
	if err != nil || user == "Guest" {
		h.log.Debug().Str("class", fault.KindOf(err).String()).Msg("heartbeat lost")
		return worker.Delivery{Ignored: beatLost}, nil
	}
	return worker.Delivery{Ignored: beatCame}, nil
}

// Attempted notes a beat that was settled. One that an earlier run of the
// service sent says nothing of how long the way takes.
func (h *heartbeat) Attempted(r worker.Report) {
	if r.Event.Source != event.Heartbeat {
		h.Observer.Attempted(r)
		return
	}
	if r.Outcome.Reason != beatCame || r.Event.ReceivedAt.Before(h.began) {
		return
	}
	h.last.Set(float64(r.At.UnixMilli()) / 1e3)
	h.took.Observe(max(r.At.Sub(r.Event.ReceivedAt), 0).Seconds())
}
