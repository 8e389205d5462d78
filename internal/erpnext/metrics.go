package erpnext

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// labelled are the DocTypes that have metrics of their own: those that we make,
// and those that are read most.
var labelled = append(KeyedDocTypes(), DocItem, docCompany, docAccount, docCustomField)

// counted are the status codes that have series of their own beside the one
// that success has; see success. Every other is otherCode.
var counted = []int{301, 400, 401, 403, 404, 409, 413, 417, 429, 500, 502, 503, 504, 508}

const (
	noAnswer  = "error"
	otherCode = "other"
)

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
			Help: "Requests to ERPNext by verb, DocType and status code; code \"error\" is a request without an answer, \"other\" a rare code.",
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
	for _, verb := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		m.duration.WithLabelValues(verb)
		for _, doctype := range append(slices.Clone(labelled), otherDocType) {
			for _, code := range append([]string{noAnswer, otherCode, strconv.Itoa(success(verb))}, texts(counted)...) {
				m.requests.WithLabelValues(verb, doctype, code)
			}
		}
	}
	return m
}

// success is the status with which ERPNext carries out a request.
func success(verb string) int {
	if verb == http.MethodDelete {
		return http.StatusAccepted
	}
	return http.StatusOK
}

func texts(codes []int) []string {
	list := make([]string, len(codes))
	for i, code := range codes {
		list[i] = strconv.Itoa(code)
	}
	return list
}

// observe counts a request; status 0 is one without an answer.
func (m *metrics) observe(r request, status int, took time.Duration) {
	code := strconv.Itoa(status)
	switch {
	case status == 0:
		code = noAnswer
	case status != success(r.verb) && !slices.Contains(counted, status):
		code = otherCode
	}
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
