package app_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/rs/zerolog"
)

// TestAStopIsBoundedAndLosesNothing stops while ERPNext hangs in a create that
// it will commit late: the stop keeps its bound, is seen at /readyz first, hands
// the event back without an attempt, and the next start books it once.
func TestAStopIsBoundedAndLosesNothing(t *testing.T) {
	const bound, hang = 2800 * time.Millisecond, 5 * time.Second
	faults, err := sandbox.ParseFaults("kind=delay-before-commit,delay=5s,count=1,method=POST,doctype=Sales Order")
	if err != nil {
		t.Fatal(err)
	}
	site, url := newSite(t, sandbox.Options{})
	signers, log := newSigners(t), &buffer{}
	cfg := testConfig(t, url, signers)
	cfg.DatabasePath = filepath.Join(t.TempDir(), "inbox.db")
	a, err := app.New(t.Context(), cfg, app.Options{Log: zerolog.New(log), PayPalTransport: signers.pal.Transport(nil), Stop: bound})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, time.Hour) }()
	s := &service{App: a, cfg: cfg, site: site, signers: signers, log: log}
	site.SetFaults(faults)
	hangs := time.Now()
	s.sample(t, "shopify", "orders/create", "order")
	s.until(t, "nothing is in hand", func() bool { return s.series(t, "ledgerhook_in_flight") == 1 })

	cancel()
	began := time.Now()
	s.until(t, "/readyz stays good", func() bool { return readyz(t, s) == http.StatusServiceUnavailable })
	if err := <-done; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if took := time.Since(began); took > bound || took < bound*4/7 || time.Since(hangs) > hang {
		t.Errorf("the stop took %v of %v, %v after the order came", took, bound, time.Since(hangs))
	}
	if !strings.Contains(log.String(), "handed back") {
		t.Errorf("nobody is told:\n%s", log)
	}

	db := openInboxOf(t, cfg)
	ev, attempts, _, err := db.Get(t.Context(), event.NewID("shopify", "order"))
	if err != nil || ev.State != event.Pending || ev.Attempts != 0 || len(attempts) != 0 || ev.DueAt.After(time.Now()) {
		t.Errorf("in the inbox: %+v, %+v, %v", ev, attempts, err)
	}
	again := startService(t, sandbox.Options{}, func(c *config.Config) { c.DatabasePath, c.ERPNext.URL = cfg.DatabasePath, url })
	again.settle(t)
	again.until(t, "the late create has not ended", func() bool { return time.Since(hangs) > hang+100*time.Millisecond })
	if orders := site.Documents("Sales Order"); len(orders) != 1 {
		t.Errorf("%d orders, want one", len(orders))
	}
}

// readyz asks the operator's listener, which outlives the public one.
func readyz(t *testing.T, s *service) int {
	t.Helper()
	resp, err := http.Get("http://" + s.OperatorAddr() + "/readyz")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
