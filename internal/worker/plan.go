package worker

import (
	"cmp"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// The results an attempt can have. The first six are written to the inbox.
const (
	resultDone     = "done"
	resultIgnored  = "ignored"
	resultRetry    = "retry"
	resultWaiting  = "waiting"
	resultDead     = "dead"
	resultReleased = "released"
	resultLost     = "lost"
)

const (
	soonFirst  = 2 * time.Second
	soonWorst  = 15 * time.Minute
	slowFirst  = time.Minute     // the shortest pause
	slowSecond = 4 * time.Minute // the longest after the first try: a short maintenance is not paid for with an hour
	slowWorst  = time.Hour
	maxAsked   = time.Hour // of a far side's Retry-After
	waitsUntil = time.Hour // of a wait without a deadline
	fewTries   = 5
)

// LongestPause is beyond every pause before another try, but for the waits for
// documents: what is due later was written by a clock that was wrong.
const LongestPause = 2 * time.Hour

// fewPauses follow the first to fourth try of a failure that is perhaps a bug:
// ten minutes together.
var fewPauses = [fewTries - 1]time.Duration{15 * time.Second, 45 * time.Second, 135 * time.Second, 405 * time.Second}

// plan decides how a failed event goes on. It is pure but for the dice.
type plan struct {
	giveUp time.Duration
	rand   func() float64 // in [0,1)
}

// failure is what the plan decides on.
type failure struct {
	fault   *fault.Error
	attempt int       // 1 for the first
	few     int       // tries in a row, this one included, that failed as fault.AFew
	since   time.Time // when the event was first tried, or tried again by a person
	now     time.Time
}

// next is the outcome of a failure: dead, waiting or due later.
func (p plan) next(f failure) event.Outcome {
	o := event.Outcome{
		State:  event.Dead,
		Result: resultDead,
		Class:  f.fault.Kind.String(),
		Reason: reason(f.fault),
		Hint:   f.fault.Hint,
		Detail: f.fault.Detail,
	}
	wait, again := p.pause(f)
	if !again {
		return o
	}
	o.State, o.Result, o.DueAt = event.Pending, resultRetry, f.now.Add(wait)
	if f.fault.Kind == fault.Waiting {
		o.Result, o.WaitsFor, o.Free = resultWaiting, f.fault.WaitsFor, true
	}
	return o
}

// pause tells how long to wait before the next try, or that there is none.
func (p plan) pause(f failure) (time.Duration, bool) {
	old := f.now.Sub(f.since) >= p.giveUp
	switch {
	case f.fault.Kind == fault.Waiting && f.fault.RetryAfter > 0:
		// The deliverer's own deadline: it ends the wait itself when that passes.
		return f.fault.RetryAfter, true
	case f.fault.Kind == fault.Waiting:
		return waitsUntil, !old
	case f.fault.Kind == fault.Sealed:
		old = false // nothing is wrong with the event: it waits for its key
	}
	switch f.fault.Kind.Retry() {
	case fault.AFew:
		if f.few >= fewTries {
			return 0, false
		}
		wait := fewPauses[max(f.few, 1)-1]
		return p.asked(f.fault, wait*9/10+share(p.rand, wait/5)), true
	case fault.Soon:
		return p.asked(f.fault, share(p.rand, doubled(soonFirst, f.attempt, soonWorst))), !old
	case fault.Slowly:
		return p.asked(f.fault, slowFirst+share(p.rand, doubled(slowSecond, f.attempt, slowWorst)-slowFirst)), !old
	default:
		return 0, false
	}
}

// asked stretches a pause to what the far side asked for and a little more, so
// that those who were sent away together do not come back together.
func (p plan) asked(f *fault.Error, pause time.Duration) time.Duration {
	if f.RetryAfter <= 0 {
		return pause
	}
	asked := min(f.RetryAfter, maxAsked)
	return max(pause, asked+share(p.rand, asked/20))
}

// doubled is first, doubled n-1 times, but never above worst.
func doubled(first time.Duration, n int, worst time.Duration) time.Duration {
	for range n - 1 {
		if first *= 2; first >= worst {
			return worst
		}
	}
	return min(first, worst)
}

// share is a random part of d, from none to all of it.
func share(rand func() float64, d time.Duration) time.Duration {
	return time.Duration(rand() * float64(d))
}

// reason is the operation and its normalised cause, free of customer data.
func reason(f *fault.Error) string {
	cause := cmp.Or(f.Cause, f.Kind.String())
	if f.Op == "" {
		return cause
	}
	return f.Op + ": " + cause
}
