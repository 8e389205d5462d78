package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
)

type fakeSource struct {
	OpenFunc func(h http.Header, body []byte) (event.Event, error)
}

func (f *fakeSource) Provider() string { return "shopify" }
func (f *fakeSource) Slots() []string  { return []string{"0", "1"} }
func (f *fakeSource) Open(_ context.Context, h http.Header, body []byte, _ time.Time) (event.Event, error) {
	return f.OpenFunc(h, body)
}

type fakeInbox struct {
	PutFunc func(ctx context.Context, ev event.Event) (event.Receipt, error)
}

func (f *fakeInbox) Put(ctx context.Context, ev event.Event) (event.Receipt, error) {
	return f.PutFunc(ctx, ev)
}

type readyFunc func(context.Context) error

func (f readyFunc) Ready(ctx context.Context) error { return f(ctx) }

// service is a public listener with fakes at its edges.
type service struct {
	handler  http.Handler
	reg      *prometheus.Registry
	log      *bytes.Buffer
	rejected []string

	mu  sync.Mutex
	put []event.Event
}

func newService(t *testing.T, change func(*handlers.PublicOptions)) *service {
	t.Helper()
	s := &service{reg: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	o := handlers.PublicOptions{
		Inbox: &fakeInbox{func(_ context.Context, ev event.Event) (event.Receipt, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.put = append(s.put, ev)
			return event.Receipt{ID: ev.ID, Duplicate: len(s.put) > 1}, nil
		}},
		Sources: map[string]handlers.Source{"shopify": &fakeSource{func(_ http.Header, body []byte) (event.Event, error) {
			return event.Event{ProviderID: "e1", Topic: "orders/create", SecretSlot: "1", Body: body}, nil
		}}},
		Ready:      readyFunc(func(context.Context) error { return nil }),
		MaxBody:    1 << 20,
		Registerer: s.reg,
		Log:        zerolog.New(zerolog.SyncWriter(s.log)),
		Rejected:   func(source, outcome string) { s.rejected = append(s.rejected, source+"/"+outcome) },
	}
	if change != nil {
		change(&o)
	}
	s.handler = handlers.Public(o)
	return s
}

func (s *service) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func TestIntakeAnswersAcceptedThenDuplicate(t *testing.T) {
	s := newService(t, nil)
	id := event.NewID("shopify", "e1")
	for _, want := range []string{"accepted", "duplicate"} {
		w := s.do("POST", "/webhooks/shopify", `{"id":1}`)
		var got struct{ Status, Event string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if w.Code != 200 || got.Status != want || got.Event != id {
			t.Errorf("got %d %+v, want 200 %s %s", w.Code, got, want, id)
		}
	}
	ev := s.put[0]
	if ev.Source != "shopify" || ev.ID != id || ev.ReceivedAt.IsZero() || string(ev.Body) != `{"id":1}` {
		t.Errorf("put %+v", ev)
	}
	want := `
# HELP ledgerhook_secret_matches_total Deliveries verified, by the configured secret or method that matched.
# TYPE ledgerhook_secret_matches_total counter
ledgerhook_secret_matches_total{slot="0",source="shopify"} 0
ledgerhook_secret_matches_total{slot="1",source="shopify"} 2
`
	if err := testutil.GatherAndCompare(s.reg, strings.NewReader(want), "ledgerhook_secret_matches_total"); err != nil {
		t.Error(err)
	}
}

func TestIntakeAnswersEveryRefusal(t *testing.T) {
	fails := func(kind fault.Kind) func(*handlers.PublicOptions) {
		return func(o *handlers.PublicOptions) {
			o.Sources["shopify"] = &fakeSource{func(http.Header, []byte) (event.Event, error) {
				return event.Event{}, fault.New(kind, "source", "canary-cause")
			}}
		}
	}
	storeFails := func(err error) func(*handlers.PublicOptions) {
		return func(o *handlers.PublicOptions) {
			o.Inbox = &fakeInbox{func(context.Context, event.Event) (event.Receipt, error) { return event.Receipt{}, err }}
		}
	}
	tests := []struct {
		name         string
		change       func(*handlers.PublicOptions)
		method, path string
		body         string
		header       []string
		code         int
		word         string
		outcome      string
	}{
		{name: "bad signature", change: fails(fault.BadSignature), code: 401, word: "bad_signature", outcome: "bad_signature"},
		{name: "malformed", change: fails(fault.Malformed), code: 400, word: "malformed", outcome: "unparsable"},
		{name: "certificate not to be had", change: fails(fault.Busy), code: 503, word: "unavailable", outcome: "overloaded"},
		{name: "unknown source", path: "/webhooks/nobody", code: 404, word: "not_found", outcome: "unknown_source"},
		{name: "GET", method: "GET", code: 405, word: "method_not_allowed", outcome: "bad_method"},
		{name: "PUT", method: "PUT", code: 405, word: "method_not_allowed", outcome: "bad_method"},
		{name: "sender not allowed", change: func(o *handlers.PublicOptions) {
			o.AllowedSenders = map[string][]netip.Prefix{"shopify": {netip.MustParsePrefix("203.0.113.0/24")}}
		}, code: 403, word: "forbidden", outcome: "forbidden"},
		{name: "gzip", header: []string{"Content-Encoding", "gzip"}, code: 415, word: "unsupported_media_type", outcome: "unsupported"},
		{name: "form", header: []string{"Content-Type", "application/x-www-form-urlencoded"}, code: 415, word: "unsupported_media_type", outcome: "unsupported"},
		{name: "gzip behind identity", header: []string{"Content-Encoding", "identity", "Content-Encoding", "gzip"}, code: 415, word: "unsupported_media_type", outcome: "unsupported"},
		{name: "form behind JSON", header: []string{"Content-Type", "application/json", "Content-Type", "text/plain"}, code: 415, word: "unsupported_media_type", outcome: "unsupported"},
		{name: "too large", body: strings.Repeat("x", 1<<20+1), code: 413, word: "too_large", outcome: "too_large"},
		{name: "another body", change: storeFails(fault.New(fault.Conflict, "store", "x")), code: 409, word: "conflict", outcome: "conflict"},
		{name: "store full", change: storeFails(fault.New(fault.Busy, "store", "x")), code: 503, word: "unavailable", outcome: "overloaded"},
		{name: "disk full", change: storeFails(&fault.Error{Kind: fault.Busy, Op: "store", Err: errors.New("full")}), code: 503, word: "unavailable", outcome: "store_error"},
		{name: "store broken", change: storeFails(errors.New("canary-disk")), code: 503, word: "unavailable", outcome: "store_error"},
		{name: "panic", change: func(o *handlers.PublicOptions) {
			o.Sources["shopify"] = &fakeSource{func(http.Header, []byte) (event.Event, error) { panic("canary-panic") }}
		}, code: 500, word: "internal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(t, tt.change)
			w := s.do(or(tt.method, "POST"), or(tt.path, "/webhooks/shopify"), or(tt.body, `{"canary-body":1}`), tt.header...)
			if got := strings.TrimSpace(w.Body.String()); w.Code != tt.code || got != `{"error":"`+tt.word+`"}` {
				t.Errorf("got %d %s, want %d %s", w.Code, got, tt.code, tt.word)
			}
			if (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("Retry-After is %q with %d", w.Header().Get("Retry-After"), w.Code)
			}
			if n := strings.Count(s.log.String(), "\n"); n != 1 {
				t.Errorf("%d log lines, want 1: %s", n, s.log)
			}
			if strings.Contains(s.log.String(), "canary-body") || strings.Contains(s.log.String(), "canary-panic") {
				t.Errorf("the log repeats what the client sent: %s", s.log)
			}
			if tt.outcome != "" && !strings.Contains(s.log.String(), `"outcome":"`+tt.outcome+`"`) {
				t.Errorf("no outcome %s in %s", tt.outcome, s.log)
			}
			if tt.outcome == "unknown_source" || tt.outcome == "bad_method" { // strangers are no news
				tt.outcome = ""
				if len(s.rejected) != 0 {
					t.Errorf("told %v", s.rejected)
				}
			}
			if tt.outcome != "" && (len(s.rejected) != 1 || !strings.HasSuffix(s.rejected[0], "/"+tt.outcome)) {
				t.Errorf("rejected %v, want %s", s.rejected, tt.outcome)
			}
			if len(s.put) != 0 {
				t.Error("a refused request reached the inbox")
			}
		})
	}
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func TestBodyLimitHoldsForChunkedBodies(t *testing.T) {
	s := newService(t, nil)
	r := httptest.NewRequest("POST", "/webhooks/shopify", endless{})
	r.ContentLength = -1
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("an endless body got %d", w.Code)
	}
}

// config.mostBody is the most that may be configured. It must find a place.
func TestLargestBodyThatMayBeConfiguredFits(t *testing.T) {
	const most = 32 << 20
	s := newService(t, func(o *handlers.PublicOptions) { o.MaxBody = most })
	if w := s.do("POST", "/webhooks/shopify", strings.Repeat(" ", most)); w.Code != http.StatusOK {
		t.Errorf("a body of 32 MiB got %d %s", w.Code, w.Body)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestBodyThatEndsEarlyIsNoEvent(t *testing.T) {
	s := newService(t, nil)
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST /webhooks/shopify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	_ = conn.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(conn)
	if !strings.Contains(string(answer), "408") || len(s.put) != 0 || len(s.rejected) != 0 {
		t.Errorf("answer %q, %d put, told %v", answer, len(s.put), s.rejected)
	}
}

func TestLargeBodiesAtOnceAreBounded(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{}, 64)
	s := newService(t, func(o *handlers.PublicOptions) { o.MaxBody = 10 << 20 })
	send := func(from string, body io.Reader) int {
		r := httptest.NewRequest("POST", "/webhooks/shopify", body)
		r.ContentLength, r.RemoteAddr = -1, from+":1234"
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w.Code
	}
	const all, each = 32, 12
	codes := make(chan int, all)
	large := func() io.Reader { return strings.NewReader(strings.Repeat("x", 100<<10)) }
	for n := range all {
		from := fmt.Sprint("192.0.2.", n/each)
		go func() { codes <- send(from, &slowBody{size: 100 << 10, started: started, release: release}) }()
		<-started
		if n == each-1 { // one client has its part
			if code := send("192.0.2.0", large()); code != http.StatusServiceUnavailable {
				t.Errorf("a client's large body beyond its part got %d, want 503", code)
			}
			if code := send("192.0.2.9", large()); code != http.StatusOK {
				t.Errorf("another client's large body got %d, want 200", code)
			}
		}
	}
	if code := send("192.0.2.9", large()); code != http.StatusServiceUnavailable {
		t.Errorf("a large body beyond all got %d, want 503", code)
	}
	if code := send("192.0.2.0", strings.NewReader(`{"small":1}`)); code != http.StatusOK {
		t.Errorf("a small body got %d beside large ones, want 200", code)
	}
	close(release)
	for range all {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("a large body got %d, want 200", code)
		}
	}
	if code := send("192.0.2.9", strings.NewReader(strings.Repeat("x", 10<<20-1))); code != http.StatusOK {
		t.Errorf("the largest body got %d, want 200", code)
	}
}

// Behind a trusted proxy every client has its own bound; without one the proxy
// itself is the client.
func TestRequestsOfOneClientAreBounded(t *testing.T) {
	const each = 256
	release, started := make(chan struct{}), make(chan struct{})
	s := newService(t, func(o *handlers.PublicOptions) {
		o.TrustedProxies = []string{"192.0.2.0/24"}
		o.Sources["shopify"] = &fakeSource{func(h http.Header, body []byte) (event.Event, error) {
			if h.Get("X-Wait") != "" {
				started <- struct{}{}
				<-release
			}
			return event.Event{ProviderID: "e1", Topic: "orders/create", SecretSlot: "1", Body: body}, nil
		}}
	})
	codes := make(chan int, each)
	for range each {
		go func() {
			codes <- s.do("POST", "/webhooks/shopify", "{}", "X-Forwarded-For", "203.0.113.9", "X-Wait", "1").Code
		}()
		<-started
	}
	if w := s.do("POST", "/webhooks/shopify", "{}", "X-Forwarded-For", "203.0.113.9"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("one request too many got %d", w.Code)
	}
	if w := s.do("POST", "/webhooks/shopify", "{}", "X-Forwarded-For", "203.0.113.10"); w.Code != http.StatusOK {
		t.Errorf("another client got %d", w.Code)
	}
	close(release)
	for range each {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("a request within the bound got %d", code)
		}
	}
	if w := s.do("POST", "/webhooks/shopify", "{}", "X-Forwarded-For", "203.0.113.9"); w.Code != http.StatusOK {
		t.Errorf("after them the client got %d", w.Code)
	}
}

// A flood of like answers does not flood the log.
func TestLikeRequestsAreSummedUp(t *testing.T) {
	s := newService(t, nil)
	for range 500 {
		s.do("POST", "/webhooks/shopify", "{}") // but the first all are duplicates
		s.do("POST", "/webhooks/nobody", "{}")
	}
	if n := strings.Count(s.log.String(), "\n"); n > 50 || n < 30 {
		t.Errorf("%d lines of a thousand requests", n)
	}
}

// slowBody gives all but its last byte, then waits.
type slowBody struct {
	size, given int
	started     chan struct{}
	release     chan struct{}
}

func (b *slowBody) Read(p []byte) (int, error) {
	left := b.size - b.given
	switch {
	case left == 0:
		return 0, io.EOF
	case left == 1:
		b.started <- struct{}{}
		<-b.release
		b.given++
		return 1, nil
	}
	n := min(len(p), left-1)
	b.given += n
	return n, nil
}

func TestPublicServesNothingElse(t *testing.T) {
	s := newService(t, nil)
	for _, path := range []string{"/", "/metrics", "/debug/pprof/", "/debug/vars", "/api/v1/events", "/webhooks", "/webhooks/", "/webhooks/shopify/x"} {
		if w := s.do("GET", path, ""); w.Code != http.StatusNotFound {
			t.Errorf("GET %s = %d, want 404", path, w.Code)
		}
	}
}

func TestHealth(t *testing.T) {
	failing := errors.New("disk")
	var ready error
	s := newService(t, func(o *handlers.PublicOptions) {
		o.Ready = readyFunc(func(context.Context) error { return ready })
	})
	for _, tt := range []struct {
		path string
		err  error
		code int
	}{{"/healthz", failing, 200}, {"/readyz", nil, 200}, {"/readyz", failing, 503}} {
		ready = tt.err
		if w := s.do("GET", tt.path, ""); w.Code != tt.code || strings.Contains(w.Body.String(), "disk") {
			t.Errorf("GET %s = %d %s, want %d", tt.path, w.Code, w.Body, tt.code)
		}
	}
}

func TestClientAddressComesFromTrustedProxiesOnly(t *testing.T) {
	for _, tt := range []struct {
		trusted []string
		want    string
	}{{nil, `"client_ip":"192.0.2.1"`}, {[]string{"192.0.2.0/24"}, `"client_ip":"203.0.113.9"`}, {[]string{"10.0.0.0/8"}, `"client_ip":"192.0.2.1"`}} {
		s := newService(t, func(o *handlers.PublicOptions) { o.TrustedProxies = tt.trusted })
		s.do("POST", "/webhooks/shopify", "{}", "X-Forwarded-For", "203.0.113.9")
		if !strings.Contains(s.log.String(), tt.want) {
			t.Errorf("trusted %v: %s, want %s", tt.trusted, s.log, tt.want)
		}
	}
}
