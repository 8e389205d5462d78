// Package handlers is the HTTP surface: the public listener that takes
// webhooks and the operator's listener with metrics, health and the event API.
// It knows requests and answers; it does not know how a signature is made, how
// an inbox is stored or what ERPNext is.
package handlers

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Source verifies and names the deliveries of one configured sender.
type Source interface {
	Provider() string
	// Slots is the closed set of values that Event.SecretSlot can take.
	Slots() []string
	// Open verifies the raw bytes, then names the event.
	Open(ctx context.Context, h http.Header, body []byte, now time.Time) (event.Event, error)
}

// Inbox keeps events. Put returns only when the event is safe on disk.
type Inbox interface {
	Put(ctx context.Context, ev event.Event) (event.Receipt, error)
}

// Readiness tells whether the service can take events.
type Readiness interface {
	Ready(ctx context.Context) error
}

// PublicOptions configures the public listener. Inbox, Sources and Ready are
// needed; the rest has defaults.
type PublicOptions struct {
	Inbox          Inbox
	Sources        map[string]Source // by configured name
	Ready          Readiness
	MaxBody        int64                     // bytes; 0 = 10 MiB
	TrustedProxies []string                  // CIDRs whose X-Forwarded-For counts
	AllowedSenders map[string][]netip.Prefix // by source; a source that is not named takes any sender
	Rejected       func(source, outcome string)
	Verified       func(source, slot string) // hears of deliveries that were taken; must not block; nil = nobody
	LastEvents     map[string]time.Time      // by source: the newest event of an earlier run
	Keep           func(event.Rejection)     // takes refused requests of known sources; must not block; nil = they are not kept
	Now            func() time.Time          // nil = time.Now
	Registerer     prometheus.Registerer
	Log            zerolog.Logger
}

// Public builds the public listener's handler: the webhooks and the two health
// endpoints, nothing else.
func Public(o PublicOptions) http.Handler {
	in := newIntake(o)
	r := chi.NewRouter()
	r.Use(ownRequestID, middleware.RequestID, clientIP(o.TrustedProxies), in.recoverer)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		writeError(w, fault.New(fault.NotFound, "handlers.route", "no such path"))
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", "GET, HEAD") // the webhooks themselves take every method
		writeError(w, fault.New(fault.BadMethod, "handlers.route", "method not allowed"))
	})
	r.Handle("/webhooks/{source}", in) // every method, so that a refused one is logged and counted too
	routeHealth(r, o.Ready)
	return r
}

// routeHealth serves what monitors look at; many of them ask with HEAD.
func routeHealth(r chi.Router, ready Readiness) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.Method(method, "/healthz", http.HandlerFunc(healthz))
		r.Method(method, "/readyz", readyz(ready))
	}
}

// ownRequestID has every request named by us: a stranger's name for it would
// stand in our log.
func ownRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del(middleware.RequestIDHeader)
		next.ServeHTTP(w, r)
	})
}

func clientIP(trusted []string) func(http.Handler) http.Handler {
	if len(trusted) == 0 {
		return middleware.ClientIPFromRemoteAddr
	}
	return middleware.ClientIPFromXFF(trusted...)
}

func healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz never speaks of ERPNext: intake goes on while ERPNext is down.
func readyz(ready Readiness) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := ready.Ready(r.Context()); err != nil {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "unready", "class": fault.KindOf(err).String()})
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	}
}

// statuses is the answer of every kind of failure that a stranger can meet.
// Any other kind is our own failure.
var statuses = map[fault.Kind]struct {
	code int
	word string
}{
	fault.Malformed:    {http.StatusBadRequest, "malformed"},
	fault.BadSignature: {http.StatusUnauthorized, "bad_signature"},
	fault.Forbidden:    {http.StatusForbidden, "forbidden"},
	fault.NotFound:     {http.StatusNotFound, "not_found"},
	fault.BadMethod:    {http.StatusMethodNotAllowed, "method_not_allowed"},
	fault.Conflict:     {http.StatusConflict, "conflict"},
	fault.TooLarge:     {http.StatusRequestEntityTooLarge, "too_large"},
	fault.Unsupported:  {http.StatusUnsupportedMediaType, "unsupported_media_type"},
	fault.Busy:         {http.StatusServiceUnavailable, "unavailable"},
	fault.Network:      {http.StatusRequestTimeout, "interrupted"},
}

const defaultRetryAfter = 5 * time.Second

// writeError answers with the kind's fixed word: nothing of the cause, which
// may be an attacker's lesson, leaves the service.
func writeError(w http.ResponseWriter, err error) {
	answer, ok := statuses[fault.KindOf(err)]
	if !ok {
		answer.code, answer.word = http.StatusInternalServerError, "internal"
	}
	if answer.code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retrySeconds(err)))
	}
	if answer.code == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
		w.Header().Set("Allow", http.MethodPost)
	}
	writeJSON(w, answer.code, map[string]string{"error": answer.word})
}

func retrySeconds(err error) int {
	wait := defaultRetryAfter
	if e := fault.As(err); e != nil && e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	return max(1, int(wait.Round(time.Second)/time.Second))
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		code, body = http.StatusInternalServerError, []byte(`{"error":"internal"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // the client is gone when this fails
}
