package app_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/rs/zerolog"
)

// A full disk is told of with the way to what to do; after a restart it is not
// told again as if it were new, and neither the metrics nor the watch take the
// sources for silent.
func TestConditionsAreToldOnceAcrossARestart(t *testing.T) {
	slack := &slackStub{}
	hook := httptest.NewServer(slack)
	defer hook.Close()
	change := func(c *config.Config) {
		c.SlackWebhookURL = config.Secret(hook.URL)
		c.Alerts = config.Alerts{DiskFree: 1 << 60, OperatorURL: "https://ops.example", RunbookURL: "https://docs.example/RUNBOOK.md"}
	}
	first := startService(t, sandbox.Options{}, change)
	first.sample(t, "shopify", "orders/create", "order")
	first.settle(t)
	first.until(t, "nothing in Slack", func() bool { return slack.all() != "" })
	message := slack.all()
	for _, want := range []string{"FIRING: The inbox's disk is getting full", "MiB are left", "https://docs.example/RUNBOOK.md#disklow", "https://ops.example/api/v1/status"} {
		if !strings.Contains(message, want) {
			t.Errorf("the message lacks %q: %s", want, message)
		}
	}
	if strings.Contains(message, "failure") {
		t.Errorf("it counts what is no count: %s", message)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}

	second := startService(t, sandbox.Options{}, func(c *config.Config) {
		change(c)
		c.DatabasePath = first.cfg.DatabasePath
	})
	if at := second.series(t, `ledgerhook_last_event_timestamp_seconds{source="shopify"}`); at < float64(time.Now().Add(-time.Minute).Unix()) {
		t.Errorf("after the restart the last event is of %v", at)
	}
	for range 11 { // by the time this arrives, the disk was looked at
		second.post(t, "shopify", strings.NewReader("{}"), nil)
	}
	second.until(t, "nothing more in Slack", func() bool { return strings.Contains(slack.all(), "bad signatures") })
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(slack.all(), "disk is getting full"); n != strings.Count(message, "disk is getting full") {
		t.Errorf("the disk was told of again: %s", slack.all())
	}
	if !strings.Contains(slack.all(), "server events rejected verify") {
		t.Errorf("nobody is told that refused requests can be verified again: %s", slack.all())
	}
}

// What a clock that was ahead wrote goes on as soon as the service starts with
// the right one.
func TestAStartPutsAWrongClocksTimesRight(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	db := openInboxOf(t, s.cfg)
	_, err := db.Put(t.Context(), event.Event{
		Source: "shopify", Provider: "shopify", ProviderID: "ahead", Topic: "fulfillments/create", Subject: "order/1",
		Body: []byte(`{"id":1}`), ReceivedAt: time.Now().Add(48 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := startService(t, sandbox.Options{}, func(c *config.Config) { c.DatabasePath = s.cfg.DatabasePath })
	again.settle(t)
	if !strings.Contains(again.log.String(), "the clock was wrong") {
		t.Error("nobody is told that the clock was wrong")
	}
}

func openInboxOf(t *testing.T, cfg config.Config) *sqlite.DB {
	t.Helper()
	db, err := app.OpenInbox(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
