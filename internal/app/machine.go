package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// readyBound is shorter than Prometheus waits for a scrape by default.
const readyBound = 5 * time.Second

// machine reports at each scrape whether the service can take events, and what
// it needs of the machine it runs on.
type machine struct {
	folder            string // of the inbox
	isReady           func(context.Context) error
	ready, disk, time *prometheus.Desc
}

func newMachine(folder string, isReady func(context.Context) error) *machine {
	return &machine{
		folder: folder, isReady: isReady,
		ready: prometheus.NewDesc("ledgerhook_ready",
			"1 when events can be taken, as /readyz says; else 0.", nil, nil),
		disk: prometheus.NewDesc("ledgerhook_disk_free_bytes",
			"Space the service may still write on the inbox's disk.", nil, nil),
		time: prometheus.NewDesc("ledgerhook_clock_timestamp_seconds",
			"The service's own clock, Unix time: signatures are refused when it is minutes off.", nil, nil),
	}
}

// Describe names the families; it is part of prometheus.Collector.
func (m *machine) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.ready
	ch <- m.disk
	ch <- m.time
}

// Collect leaves space that is not known out: a zero would look like a full
// disk.
func (m *machine) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readyBound)
	defer cancel()
	ready := 1.0
	if m.isReady(ctx) != nil {
		ready = 0
	}
	ch <- prometheus.MustNewConstMetric(m.ready, prometheus.GaugeValue, ready)
	if free, known := freeSpace(m.folder); known {
		ch <- prometheus.MustNewConstMetric(m.disk, prometheus.GaugeValue, float64(free))
	}
	ch <- prometheus.MustNewConstMetric(m.time, prometheus.GaugeValue, float64(time.Now().UnixMilli())/1e3)
}

// registerAnchors tells until when the certificates of a source can be
// verified, for each that verifies by certificates.
func registerAnchors(reg prometheus.Registerer, sources map[string]source) {
	until := promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "ledgerhook_trust_anchors_expiry_timestamp_seconds", Help: "When the first trust anchor of the source's certificates ends, Unix time.",
	}, []string{"source"})
	for name, src := range sources {
		if anchored, ok := src.(interface{ AnchorsUntil() time.Time }); ok {
			until.WithLabelValues(name).Set(float64(anchored.AnchorsUntil().Unix()))
		}
	}
}
