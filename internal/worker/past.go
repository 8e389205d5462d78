package worker

import (
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// mostRemembered bounds the memory of failing events. What is forgotten is
// judged by the claim alone, as after a restart.
const mostRemembered = 50_000

// past remembers of failing events what a claim does not tell: since when they
// are being tried, and how often in a row they failed in a way that is perhaps
// a bug. An event that was received days ago, during an outage, or that is
// replayed by hand has its full time ahead of it.
type past struct {
	mu     sync.Mutex
	events map[string]tried
}

type tried struct {
	since   time.Time
	attempt int // the last one that failed
	few     int
}

func newPast() *past { return &past{events: map[string]tried{}} }

// failed notes a failure of the claim's event and tells how it stands.
func (m *past) failed(c *event.Claim, kind fault.Kind, giveUp time.Duration, now time.Time) tried {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, known := m.events[c.Event.ID]
	if !known || c.Attempt < t.attempt { // counted anew: a person replayed it
		t = fresh(c, giveUp, now)
	}
	t.attempt = c.Attempt
	if kind.Retry() == fault.AFew {
		t.few++
	} else {
		t.few = 0
	}
	if !known && len(m.events) >= mostRemembered {
		clear(m.events)
	}
	m.events[c.Event.ID] = t
	return t
}

// fresh judges an event this process has not seen fail. A second or later try
// within the time counts from the reception, so a restart does not prolong it.
// Past that time the event was replayed or came late out of an outage.
func fresh(c *event.Claim, giveUp time.Duration, now time.Time) tried {
	t := tried{since: now}
	if received := c.Event.ReceivedAt; c.Attempt > 1 && now.Sub(received) < giveUp {
		t.since = received
	}
	if c.Event.Class != "" && fault.ParseKind(c.Event.Class).Retry() == fault.AFew {
		t.few = c.Attempt - 1
	}
	return t
}

// forget drops an event that is settled for good.
func (m *past) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.events, id)
}
