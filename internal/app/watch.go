package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/alert"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/worker"
	"github.com/rs/zerolog"
)

const (
	watchEvery = time.Minute
	// matchedLately is for how long a secret counts as in use.
	matchedLately = 24 * time.Hour
	// grace is what an event may wait beyond a wait that the sheet allows.
	grace = 10 * time.Minute
	// watchNote is where the watch keeps what no event tells.
	watchNote = "watch"
)

// watched is the inbox as the watch sees it.
type watched interface {
	Reclock(ctx context.Context, w event.Waits) (int, error)
	Stats(ctx context.Context) (event.Stats, error)
	Pauses(ctx context.Context) ([]event.Pause, error)
	LastReceived(ctx context.Context) (map[string]time.Time, error)
	Note(ctx context.Context, name string) (string, bool, error)
	SetNote(ctx context.Context, name, value string) error
}

// watch looks every minute after what only time can tell: events that wait too
// long, sources that fall silent, secrets that are not rotated to the end, a
// disk that fills, a clock that was wrong.
type watch struct {
	inbox   watched
	tell    func(alert.Condition)
	free    func() (uint64, bool) // bytes of the inbox's disk; nil of it known: false
	log     zerolog.Logger
	now     func() time.Time
	waits   event.Waits
	backlog time.Duration            // 0 = an event may wait for ever
	least   int64                    // bytes that must be free
	silence map[string]time.Duration // by source; 0 = it may be silent for ever
	patient map[string]time.Duration // by source: how long a payment may wait for its order or fee

	mu      sync.Mutex
	memory  watchMemory
	changed bool
}

// watchMemory outlives a restart.
type watchMemory struct {
	Known map[string]time.Time            `json:"known"` // by source: when it was first watched
	Slots map[string]map[string]time.Time `json:"slots"` // by source and secret: when it last matched
}

func newWatch(cfg config.Config, inbox watched, tell func(alert.Condition), free func() (uint64, bool), log zerolog.Logger) *watch {
	w := &watch{
		inbox: inbox, tell: tell, free: free, log: log, now: time.Now,
		waits:   event.Waits{Lease: worker.DefaultLease, Retry: worker.LongestPause},
		backlog: cfg.Alerts.Backlog, least: cfg.Alerts.DiskFree, silence: map[string]time.Duration{}, patient: map[string]time.Duration{},
		memory: watchMemory{Known: map[string]time.Time{}, Slots: map[string]map[string]time.Time{}},
	}
	for _, sender := range cfg.Senders() {
		s := cfg.Sheet.For(sender.Name)
		w.silence[sender.Name] = *s.NoEventsAfter
		w.patient[sender.Name] = max(s.Payments.Wait(), *s.Payments.FeeWait)
		w.waits.Document = max(w.waits.Document, w.patient[sender.Name])
	}
	w.waits.Document += worker.LongestPause // and what a document without a deadline waits for
	return w
}

// run looks until ctx ends.
func (w *watch) run(ctx context.Context) {
	w.recall(ctx)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look does every part, also when another fails.
func (w *watch) look(ctx context.Context) {
	for name, part := range map[string]func(context.Context) error{
		"clock": w.reclock, "backlog": w.lookAtBacklog, "silence": w.lookAtSilence, "secrets": w.lookAtSecrets, "disk": w.lookAtDisk,
	} {
		if err := part(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn().Str("part", name).Err(err).Msg("not looked at")
		}
	}
	if err := w.remember(ctx); err != nil && ctx.Err() == nil {
		w.log.Warn().Err(err).Msg("what was watched is not written down")
	}
}

// reclock undoes what a wrong clock left in the inbox.
func (w *watch) reclock(ctx context.Context) error {
	n, err := w.inbox.Reclock(ctx, w.waits)
	if n > 0 {
		w.log.Warn().Int("events", n).Msg("events had times that cannot be: the clock was wrong, they go on now")
	}
	return err
}

func (w *watch) lookAtBacklog(ctx context.Context) error {
	if w.backlog == 0 {
		return nil
	}
	stats, err := w.inbox.Stats(ctx)
	if err != nil {
		return err
	}
	held, err := w.held(ctx)
	if err != nil {
		return err
	}
	for source := range w.sources(stats.OldestPending) {
		oldest, waits := stats.OldestPending[source]
		what := "the oldest event waits since " + minute(oldest)
		if by := held[source]; by != "" {
			what += "; " + by
		}
		longest := max(w.backlog, w.patient[source]+grace)
		w.tell(alert.Condition{Kind: alert.Backlog, Source: source, Bad: waits && w.now().Sub(oldest) > longest, What: what, Since: oldest})
	}
	return nil
}

// held says by source what is paused by hand.
func (w *watch) held(ctx context.Context) (map[string]string, error) {
	pauses, err := w.inbox.Pauses(ctx)
	if err != nil {
		return nil, err
	}
	held := map[string]string{}
	for _, p := range pauses {
		words := "its source is held by hand since " + minute(p.Since) + " (server resume lets it go)"
		if p.Source != event.AllSources {
			held[p.Source] = words
			continue
		}
		for source := range w.silence {
			held[source] = words
		}
	}
	return held, nil
}

// sources are those that are configured and those of the map.
func (w *watch) sources(also map[string]time.Time) map[string]bool {
	all := map[string]bool{}
	for source := range w.silence {
		all[source] = true
	}
	for source := range also {
		all[source] = true
	}
	return all
}

// lookAtSilence takes a source that never sent anything as silent since it was
// first watched: its webhook may never have worked.
func (w *watch) lookAtSilence(ctx context.Context) error {
	last, err := w.inbox.LastReceived(ctx)
	if err != nil {
		return err
	}
	now := w.now()
	for source, longest := range w.silence {
		since, what := last[source], ""
		if !since.IsZero() {
			what = "the last event came " + minute(since)
		} else {
			since = w.known(source, now)
			what = "no event ever came; the source is configured since " + minute(since)
		}
		w.tell(alert.Condition{Kind: alert.Silence, Source: source, Bad: longest > 0 && now.Sub(since) > longest, What: what, Since: since})
	}
	return nil
}

func (w *watch) known(source string, now time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, ok := w.memory.Known[source]; ok && !at.After(now) {
		return at
	}
	w.memory.Known[source], w.changed = now.UTC(), true
	return now
}

// matched notes which secret verified a delivery. It is called for each.
func (w *watch) matched(source, slot string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.memory.Slots[source] == nil {
		w.memory.Slots[source] = map[string]time.Time{}
	}
	w.memory.Slots[source][slot], w.changed = w.now().UTC(), true
}

// lookAtSecrets tells of an older secret that is used beside the newest. While
// only the older is, the rotation has not begun. Methods that are no secrets
// of a list have names and no numbers.
func (w *watch) lookAtSecrets(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	lately := func(at time.Time) bool { return !at.IsZero() && now.Sub(at) < matchedLately }
	for source := range w.silence {
		slots := w.memory.Slots[source]
		what := ""
		for _, slot := range slices.Sorted(maps.Keys(slots)) {
			if slot >= "1" && slot <= "9" && lately(slots[slot]) {
				what = "deliveries still match secret number " + slot + " of its list, counted from 0"
			}
		}
		w.tell(alert.Condition{Kind: alert.OldSecret, Source: source, Bad: what != "" && lately(slots["0"]), What: what})
	}
	return nil
}

func (w *watch) lookAtDisk(context.Context) error {
	free, known := w.free()
	if !known {
		return nil
	}
	w.tell(alert.Condition{Kind: alert.Disk, Bad: free < uint64(max(w.least, 0)), What: fmt.Sprintf("%d MiB are left where the inbox is", free>>20)})
	return nil
}

// recall reads what was written down; without it the watch begins anew.
func (w *watch) recall(ctx context.Context) {
	text, ok, err := w.inbox.Note(ctx, watchNote)
	var m watchMemory
	if ok && err == nil {
		err = json.Unmarshal([]byte(text), &m)
	}
	if err != nil {
		w.log.Warn().Err(err).Msg("what was watched before is not known")
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(w.memory.Known, m.Known)
	for source, slots := range m.Slots {
		maps.Copy(slots, w.memory.Slots[source]) // what matched since the start is newer
		w.memory.Slots[source] = slots
	}
}

func (w *watch) remember(ctx context.Context) error {
	w.mu.Lock()
	text, err := json.Marshal(w.memory)
	changed := w.changed
	w.changed = false
	w.mu.Unlock()
	if err != nil || !changed {
		return err
	}
	return w.inbox.SetNote(ctx, watchNote, string(text))
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
