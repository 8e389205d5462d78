package erpnext

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// labelled are the DocTypes that have metrics of their own.
var labelled = []string{
	DocCustomer, DocSalesOrder, DocPaymentEntry, "Item", "Company", "Account", "Custom Field", DocSalesInvoice, DocDeliveryNote, "Journal Entry",
}

const otherDocType = "other"

type metrics struct {
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	keyFields *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	f := promauto.With(reg)
	m := &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ledgerhook_erpnext_requests_total",
			Help: "Requests to ERPNext by verb, DocType and status code; code \"error\" is a request without an answer.",
		}, []string{"method", "doctype", "code"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ledgerhook_erpnext_request_duration_seconds",
			Help:    "Time until ERPNext's whole answer was read.",
			Buckets: []float64{.02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 150},
		}, []string{"method"}),
		keyFields: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ledgerhook_erpnext_key_fields",
			Help: "1 when the DocType has the unique key field, 0 when it has not (duplicates are then possible).",
		}, []string{"doctype"}),
	}
	for _, verb := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		m.duration.WithLabelValues(verb)
		for _, doctype := range append(slices.Clone(labelled), otherDocType) {
			m.requests.WithLabelValues(verb, doctype, "200")
			m.requests.WithLabelValues(verb, doctype, "error")
		}
	}
	return m
}

func (m *metrics) observe(r request, code string, took time.Duration) {
	m.requests.WithLabelValues(r.verb, label(r.doctype), code).Inc()
	m.duration.WithLabelValues(r.verb).Observe(took.Seconds())
}

// label keeps the label's values a closed set.
func label(doctype string) string {
	if slices.Contains(labelled, doctype) {
		return doctype
	}
	return otherDocType
}
