package alert

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/rs/zerolog"
)

// Memory keeps a text across restarts. It is asked from a goroutine of its own:
// neither the pipeline nor the alerting waits for it.
type Memory interface {
	Load(ctx context.Context) (string, error) // "" = there is none
	Save(ctx context.Context, state string) error
}

const (
	saveEvery = 10 * time.Second // at most
	saveIn    = 5 * time.Second
	loadIn    = 5 * time.Second
	// mostWritten bounds the open events that are written down of a group.
	mostWritten = 200
)

// memory brings the tracker's groups into a Memory, now and then.
type memory struct {
	store Memory
	log   zerolog.Logger
	next  chan []byte // holds the newest state
	saved time.Time   // when a state was last offered
}

func newMemory(store Memory, log zerolog.Logger) *memory {
	return &memory{store: store, log: log, next: make(chan []byte, 1)}
}

// recall gives the tracker what was under way when it was last written down.
// Without it people are told anew, which is better than no service.
func (m *memory) recall(ctx context.Context, t *tracker, now time.Time) {
	if m.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, loadIn)
	defer cancel()
	text, err := m.store.Load(ctx)
	if err == nil && text != "" {
		err = t.restore([]byte(text), now)
	}
	if err != nil {
		m.log.Warn().Err(err).Msg("alerts under way are not known, they will be told again")
	}
}

// offer hands the state over when it has changed and some time has passed.
func (m *memory) offer(t *tracker, now time.Time) {
	if age := now.Sub(m.saved); m.store == nil || !t.changed || age >= 0 && age < saveEvery {
		return
	}
	m.saved, t.changed = now, false
	m.put(t.snapshot())
}

// put replaces a state that was not taken yet.
func (m *memory) put(state []byte) {
	select {
	case <-m.next:
	default:
	}
	m.next <- state
}

// last hands over how it ends, and ends run.
func (m *memory) last(t *tracker) {
	if m.store != nil && t.changed {
		m.put(t.snapshot())
	}
	close(m.next)
}

func (m *memory) run() {
	for state := range m.next {
		ctx, cancel := context.WithTimeout(context.Background(), saveIn)
		if err := m.store.Save(ctx, string(state)); err != nil {
			m.log.Warn().Err(err).Msg("alerts under way not written down")
		}
		cancel()
	}
}

// written is a group as it is written down. It holds no more than its signals
// do: constants, configuration names and our own ids.
type written struct {
	Signal  Signal        `json:"signal"`
	Site    bool          `json:"site,omitempty"`
	Fired   bool          `json:"fired,omitempty"`
	Last    time.Time     `json:"last"`
	Told    time.Time     `json:"told,omitzero"`
	Works   time.Time     `json:"works,omitzero"`
	Wait    time.Duration `json:"wait"`
	Open    []string      `json:"open,omitempty"`
	More    bool          `json:"more,omitempty"`
	Sources []string      `json:"sources,omitempty"`
}

func (t *tracker) snapshot() []byte {
	all := make([]written, 0, len(t.groups))
	for _, k := range slices.Sorted(maps.Keys(t.groups)) {
		g := t.groups[k]
		open := slices.Sorted(maps.Keys(g.open))
		all = append(all, written{
			Signal: g.Signal, Site: g.site, Fired: g.fired, Last: g.last, Told: g.told, Works: g.works, Wait: g.wait,
			Open: open[:min(len(open), mostWritten)], More: g.more || len(open) > mostWritten, Sources: slices.Sorted(maps.Keys(g.sources)),
		})
	}
	text, _ := json.Marshal(all) // nothing in it can fail
	return text
}

// restore takes groups back, unless their kind is not known any more. A time of
// the future was written by a clock that was wrong.
func (t *tracker) restore(text []byte, now time.Time) error {
	var all []written
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	past := func(at time.Time) time.Time {
		if at.After(now) {
			return now
		}
		return at
	}
	for _, w := range all {
		m, known := manners[w.Signal.Kind]
		if !known || w.Signal.Group == "" || len(t.groups) >= mostGroups+len(manners) {
			continue
		}
		g := &group{
			Signal: w.Signal, manner: m, site: w.Site, fired: w.Fired, last: past(w.Last), told: past(w.Told), works: past(w.Works), wait: w.Wait,
			open: map[string]bool{}, more: w.More, sources: map[string]bool{},
		}
		g.Since = past(g.Since)
		for _, id := range w.Open {
			g.open[id] = true
		}
		for _, source := range w.Sources {
			g.sources[source] = true
		}
		t.groups[g.Group] = g
	}
	return nil
}
