//go:build linux || darwin

package app_test

import (
	"io"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
)

// TestOneServiceToAnInbox starts a second service on the inbox of a running one,
// which would take over what the first has in hand.
func TestOneServiceToAnInbox(t *testing.T) {
	const other = "another service runs on the inbox"
	first := startService(t, sandbox.Options{}, nil)
	if _, err := app.New(t.Context(), first.cfg, app.Options{}); err == nil || !strings.Contains(err.Error(), other) {
		t.Errorf("a second service: %v", err)
	}
	if err := app.Migrate(t.Context(), first.cfg, io.Discard, 0, true); err == nil || !strings.Contains(err.Error(), other) {
		t.Errorf("a migration beneath it: %v", err)
	}
	first.sample(t, "shopify", "orders/create", "order")
	first.settle(t)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	again := startService(t, sandbox.Options{}, func(c *config.Config) { c.DatabasePath = first.cfg.DatabasePath })
	if ev := again.event(t, "shopify", "order"); ev.State != "done" {
		t.Errorf("after the stop: %+v", ev)
	}
}
