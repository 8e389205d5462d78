package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/alert"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/rs/zerolog"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// watchedInbox answers what a test has put into it.
type watchedInbox struct {
	stats    event.Stats
	pauses   []event.Pause
	last     map[string]time.Time
	notes    map[string]string
	reclocks event.Waits
	broken   bool
}

var errBroken = errors.New("broken")

func (w *watchedInbox) fails() error {
	if w.broken {
		return errBroken
	}
	return nil
}

func (w *watchedInbox) Reclock(_ context.Context, waits event.Waits) (int, error) {
	w.reclocks = waits
	return 3, nil
}
func (w *watchedInbox) Stats(context.Context) (event.Stats, error)    { return w.stats, w.fails() }
func (w *watchedInbox) Pauses(context.Context) ([]event.Pause, error) { return w.pauses, w.fails() }
func (w *watchedInbox) LastReceived(context.Context) (map[string]time.Time, error) {
	return w.last, w.fails()
}
func (w *watchedInbox) Note(_ context.Context, name string) (string, bool, error) {
	text, ok := w.notes[name]
	return text, ok, w.fails()
}
func (w *watchedInbox) SetNote(_ context.Context, name, value string) error {
	w.notes[name] = value
	return w.fails()
}

// lookout is a watch with a clock and an inbox of the test's.
type lookout struct {
	*watch
	inbox *watchedInbox
	clock time.Time
	free  uint64
	found map[string]alert.Condition // by kind and source
}

func newLookout(inbox *watchedInbox) *lookout {
	silence, wait := time.Duration(0), 30*time.Hour
	b := &lookout{inbox: inbox, clock: noon, free: 5 << 30, found: map[string]alert.Condition{}}
	b.watch = newWatch(config.Config{
		Shopify: config.Shopify{Secrets: []config.Secret{"a"}}, Stripe: config.Stripe{Secrets: []config.Secret{"a"}},
		Alerts: config.Alerts{Backlog: time.Hour, DiskFree: 1 << 30},
		Sheet: config.Sheet{Sources: map[string]config.Source{
			"stripe": {Settings: config.Settings{NoEventsAfter: &silence, Payments: config.Payments{WaitForOrder: &wait}}},
		}},
	}, inbox, func(c alert.Condition) { b.found[string(c.Kind)+" "+c.Source] = c }, func() (uint64, bool) { return b.free, true }, zerolog.Nop())
	b.now = func() time.Time { return b.clock }
	return b
}

// bad looks, and lists what is bad.
func (b *lookout) bad(t *testing.T, at time.Time) []string {
	t.Helper()
	b.clock = at
	clear(b.found)
	b.look(t.Context())
	var bad []string
	for _, name := range slices.Sorted(maps.Keys(b.found)) {
		if b.found[name].Bad {
			bad = append(bad, name)
		}
	}
	return bad
}

func wantBad(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("bad: %q, want %q", got, want)
	}
}

func emptyInbox() *watchedInbox { return &watchedInbox{notes: map[string]string{}} }

func TestTheWatchTellsOfABacklogByAge(t *testing.T) {
	in := emptyInbox()
	b := newLookout(in)
	in.stats.OldestPending = map[string]time.Time{"shopify": noon, "gone": noon.Add(-2 * time.Hour)}
	wantBad(t, b.bad(t, noon.Add(time.Hour)), "backlog_age gone") // of a source that is not configured any more, too
	in.pauses = []event.Pause{{Source: event.AllSources, Since: noon}}
	wantBad(t, b.bad(t, noon.Add(61*time.Minute)), "backlog_age gone", "backlog_age shopify")
	c := b.found["backlog_age shopify"]
	if !c.Since.Equal(noon) || !strings.Contains(c.What, "held by hand since 2026-03-01 12:00") {
		t.Errorf("got %+v", c)
	}
	in.stats.OldestPending = nil
	wantBad(t, b.bad(t, noon.Add(62*time.Minute)))
	if _, told := b.found["backlog_age shopify"]; !told {
		t.Error("nobody is told that it is over")
	}
	// The sheet lets Stripe's payments wait for 30 hours: that is no backlog.
	in.stats.OldestPending = map[string]time.Time{"stripe": noon}
	wantBad(t, b.bad(t, noon.Add(30*time.Hour)))
	wantBad(t, b.bad(t, noon.Add(31*time.Hour)), "backlog_age stripe")
}

// A source that never sent anything is silent since it is known, also after a
// restart; one may be silent for ever when the sheet says so.
func TestTheWatchTellsOfSilence(t *testing.T) {
	in := emptyInbox()
	b := newLookout(in)
	wantBad(t, b.bad(t, noon))
	b = newLookout(in)
	b.recall(t.Context())
	wantBad(t, b.bad(t, noon.Add(72*time.Hour+time.Second)), "no_events shopify")
	if c := b.found["no_events shopify"]; !c.Since.Equal(noon) || !strings.Contains(c.What, "no event ever came") {
		t.Errorf("got %+v", c)
	}
	in.last = map[string]time.Time{"shopify": noon.Add(72 * time.Hour)}
	wantBad(t, b.bad(t, noon.Add(73*time.Hour)))
	wantBad(t, b.bad(t, noon.Add(200*time.Hour)), "no_events shopify")
	if c := b.found["no_events shopify"]; !strings.Contains(c.What, "2026-03-04 12:00") {
		t.Errorf("got %+v", c)
	}
}

// An older secret is told of while it is used beside the newest: not while the
// rotation has not begun, not after it has ended, and not a method of PayPal's.
func TestTheWatchTellsOfAnOlderSecret(t *testing.T) {
	in := emptyInbox()
	b := newLookout(in)
	b.matched("shopify", "1")
	b.matched("stripe", "offline")
	b.matched("stripe", "0")
	wantBad(t, b.bad(t, noon.Add(time.Hour)))
	b.matched("shopify", "0")
	wantBad(t, b.bad(t, noon.Add(2*time.Hour)), "old_secret_in_use shopify")
	b = newLookout(in)
	b.recall(t.Context())
	wantBad(t, b.bad(t, noon.Add(3*time.Hour)), "old_secret_in_use shopify")
	b.clock = noon.Add(20 * time.Hour)
	b.matched("shopify", "0")
	wantBad(t, b.bad(t, noon.Add(25*time.Hour)))
}

func TestTheWatchTellsOfADiskThatFills(t *testing.T) {
	b := newLookout(emptyInbox())
	wantBad(t, b.bad(t, noon))
	b.free = 512 << 20
	wantBad(t, b.bad(t, noon), "disk_low ")
	if c := b.found["disk_low "]; c.What != "512 MiB are left where the inbox is" {
		t.Errorf("got %+v", c)
	}
}

// An inbox that fails hides neither the disk nor anything else that can be seen.
func TestTheWatchLooksAtTheRestWhenThereIsNoInbox(t *testing.T) {
	in := emptyInbox()
	in.broken = true
	b := newLookout(in)
	b.free = 0
	wantBad(t, b.bad(t, noon), "disk_low ")
	if in.reclocks.Document < 32*time.Hour || in.reclocks.Lease == 0 || in.reclocks.Retry < time.Hour {
		t.Errorf("what may be: %+v; the longest wait of any source is 30 h", in.reclocks)
	}
}
