package app_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

func often(c *config.Config) { c.Heartbeat = 10 * time.Millisecond }

// TestHeartbeatGoesThroughTheWholeChain lets beats come through, and looks
// where they must not be seen.
func TestHeartbeatGoesThroughTheWholeChain(t *testing.T) {
	s := startService(t, sandbox.Options{}, often)
	before := float64(time.Now().UnixMilli()) / 1e3
	s.until(t, "no three heartbeats", func() bool { return s.series(t, "ledgerhook_heartbeat_duration_seconds_count") >= 3 })
	if at, now := s.series(t, "ledgerhook_heartbeat_timestamp_seconds"), float64(time.Now().UnixMilli())/1e3; at < before-1 || at > now {
		t.Errorf("the last heartbeat is of %.3f, want one between %.3f and %.3f", at, before, now)
	}
	if every := s.series(t, "ledgerhook_heartbeat_interval_seconds"); every != 0.01 {
		t.Errorf("every %v s", every)
	}
	for name, want := range map[string]float64{
		`ledgerhook_events{state="ignored"}`: 0, `ledgerhook_requests_total{outcome="accepted",source="shopify"}`: 0,
		`ledgerhook_attempts_total{class="ok",result="ignored",source="shopify"}`: 0, `ledgerhook_attempts_total{class="ok",result="ignored",source="other"}`: 0,
	} {
		if got := s.series(t, name); got != want {
			t.Errorf("%s %v, want %v", name, got, want)
		}
	}
	if events, _, err := s.Inbox().List(t.Context(), event.Filter{}); err != nil || len(events) != 0 {
		t.Errorf("listed %+v, %v", events, err)
	}
	s.keepsOneBeat(t)
	if docs := s.documents("Sales Order", ""); len(docs) != 0 || strings.Contains(s.operator(t, "/api/v1/events"), event.Heartbeat) {
		t.Errorf("the heartbeat made %d orders, or the API lists it", len(docs))
	}
}

// TestHeartbeatDoesNotComeWhileERPNextIsDown: it is missed, and that is all.
func TestHeartbeatDoesNotComeWhileERPNextIsDown(t *testing.T) {
	var up atomic.Bool
	s := startService(t, sandbox.Options{}, func(c *config.Config) {
		often(c)
		c.ERPNext.URL = behindSwitch(t, c.ERPNext.URL, &up)
	})
	tried := `ledgerhook_attempts_total{class="ok",result="ignored",source="heartbeat"}`
	s.until(t, "no five heartbeats", func() bool { return s.series(t, tried) >= 5 })
	for _, name := range []string{"ledgerhook_heartbeat_timestamp_seconds", "ledgerhook_heartbeat_duration_seconds_count", "ledgerhook_breaker_state"} {
		if got := s.series(t, name); got != 0 {
			t.Errorf("%s %v while ERPNext is down", name, got)
		}
	}
	if strings.Contains(s.log.String(), `"message":"alert"`) {
		t.Errorf("a heartbeat alerted:\n%s", s.log)
	}
	s.keepsOneBeat(t)
	up.Store(true)
	s.until(t, "no heartbeat after recovery", func() bool { return s.series(t, "ledgerhook_heartbeat_timestamp_seconds") > 0 })
}

// TestHeartbeatIsLostWithoutCredentials: ERPNext answers, but takes us for
// nobody.
func TestHeartbeatIsLostWithoutCredentials(t *testing.T) {
	s := startService(t, sandbox.Options{}, func(c *config.Config) {
		often(c)
		c.ERPNext.APISecret = config.SecretText("wrong")
	})
	tried := `ledgerhook_attempts_total{class="ok",result="ignored",source="heartbeat"}`
	s.until(t, "no three heartbeats", func() bool { return s.series(t, tried) >= 3 })
	if at := s.series(t, "ledgerhook_heartbeat_timestamp_seconds"); at != 0 {
		t.Errorf("a heartbeat came through at %v", at)
	}
}

func TestHeartbeatThatIsOffIsNotExported(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	if metrics := s.operator(t, "/metrics"); strings.Contains(metrics, "heartbeat") {
		t.Error("a heartbeat that is off would look late")
	}
}

// behindSwitch is a proxy before a site, which answers for it while it is down.
func behindSwitch(t *testing.T, site string, up *atomic.Bool) string {
	t.Helper()
	target, err := url.Parse(site)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !up.Load() {
			http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// keepsOneBeat looks for what beats leave behind.
func (s *service) keepsOneBeat(t *testing.T) {
	t.Helper()
	events, _, err := s.Inbox().List(t.Context(), event.Filter{Source: event.Heartbeat})
	if err != nil || len(events) != 1 {
		t.Fatalf("%d heartbeats are kept, %v, want 1", len(events), err)
	}
	_, attempts, _, err := s.Inbox().Get(t.Context(), events[0].ID)
	if err != nil || len(attempts) > 1 {
		t.Errorf("%d attempts are kept, %v, want one at most", len(attempts), err)
	}
}

// series is the value of one series, which must be there.
func (s *service) series(t *testing.T, name string) float64 {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(s.operator(t, "/metrics")))
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no series %s", name)
	return 0
}
