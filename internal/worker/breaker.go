package worker

import (
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// breakerState is also the value of ledgerhook_breaker_state.
type breakerState int

const (
	closed   breakerState = iota // events flow
	halfOpen                     // one event at a time may try
	open                         // nothing is claimed
)

const (
	breakAfter  = 3 // failures of the site in a row,
	breakEvents = 2 // of so many events at least
	firstPause  = 5 * time.Second
	worstPause  = 2 * time.Minute
	// yield lets another event be the next probe, so that one event that
	// always fails cannot keep the site's door shut.
	yield = time.Second
)

// evidence is what an attempt says about the site.
type evidence int

const (
	silent evidence = iota // the site was not asked, or may not have been
	works
	fails
)

// breaker leaves a failing site alone. One event that always times out says
// something about itself; it takes a second one to accuse the site.
type breaker struct {
	rand  func() float64
	moved func(from, to breakerState, pause time.Duration)

	mu       sync.Mutex
	state    breakerState
	failures int             // since the last attempt that worked
	failing  map[string]bool // the events that failed since
	pauses   int             // since the breaker was last closed
	pause    time.Duration   // open: how long this pause is
	until    time.Time       // open: when the next probe may go
	probing  bool            // half-open: a probe is under way
}

func newBreaker(rand func() float64, moved func(from, to breakerState, pause time.Duration)) *breaker {
	return &breaker{rand: rand, moved: moved, failing: map[string]bool{}}
}

// enter asks whether an event may be claimed: as a probe, as usual (no probe,
// no wait), or not before the wait is over.
func (b *breaker) enter(now time.Time) (bool, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.until.Add(-b.pause)) { // the clock was set back: the pause begins anew, and not when the old time comes round
		b.until = now.Add(b.pause)
	}
	switch {
	case b.state == closed:
		return false, 0
	case b.state == open && now.Before(b.until):
		return false, b.until.Sub(now)
	case b.probing:
		return false, slowPoll // its end wakes the pool
	}
	b.to(halfOpen, 0)
	b.probing = true
	return true, 0
}

// leave gives back a probe that told nothing.
func (b *breaker) leave(probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
}

// record takes the evidence of an attempt. It reports whether the site is to
// blame and being left alone, and until when: such a failure is not the event's.
func (b *breaker) record(c *event.Claim, probe bool, e evidence, f *fault.Error, now time.Time) (bool, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	switch {
	case e == silent:
		return false, time.Time{}
	case e == works:
		if b.state == closed || probe {
			b.reset()
		}
		return false, time.Time{}
	case b.state == closed:
		b.failures++
		b.failing[c.Event.ID] = true
		if (b.failures < breakAfter || len(b.failing) < breakEvents) && f.Kind != fault.Credentials {
			return false, time.Time{}
		}
		b.open(f, now)
	case probe:
		b.open(f, now)
	}
	if probe {
		return true, b.until.Add(yield)
	}
	return true, b.until
}

func (b *breaker) reset() {
	clear(b.failing)
	b.failures, b.pauses = 0, 0
	b.to(closed, 0)
}

// open starts the next, longer pause, at least what the site asked for.
func (b *breaker) open(f *fault.Error, now time.Time) {
	b.pauses++
	pause := doubled(firstPause, b.pauses, worstPause)
	pause = pause*9/10 + share(b.rand, pause/5)
	if asked := min(f.RetryAfter, maxAsked); asked > 0 {
		pause = max(pause, asked+share(b.rand, asked/20))
	}
	b.pause, b.until = pause, now.Add(pause)
	b.to(open, pause)
}

func (b *breaker) to(s breakerState, pause time.Duration) {
	from := b.state
	b.state = s
	if from != s {
		b.moved(from, s, pause)
	}
}
