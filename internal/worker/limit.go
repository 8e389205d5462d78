package worker

import (
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	// cutEvery is how soon after a cut the next one may come: what fails until
	// then was begun before it could help.
	cutEvery = 10 * time.Second
	// growEvery is how soon after any change one more may be tried.
	growEvery = 5 * time.Second
	// growAfter is how many deliveries per place must have worked by then.
	growAfter = 2
)

// limit is how many deliveries may be under way at once: as many as are
// configured, fewer while the site says that it is too much. It is halved on
// such a word and grows by one while all goes well.
type limit struct {
	most  int
	moved func(allowed int)

	mu      sync.Mutex
	allowed int
	worked  int       // since the last change
	changed time.Time // zero: never
	cut     time.Time
}

func newLimit(most int, moved func(allowed int)) *limit {
	moved(most)
	return &limit{most: most, allowed: most, moved: moved}
}

func (l *limit) now() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.allowed
}

// record takes the evidence of an attempt that was begun at `begun`. It reports
// whether the limit was cut.
func (l *limit) record(e evidence, f *fault.Error, begun, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e == silent:
		return false
	case f != nil && tooMuch(f.Kind):
		l.worked = 0
		if l.allowed == 1 || begun.Before(l.cut) || within(l.cut, now, cutEvery) {
			return false
		}
		l.set(l.allowed/2, now)
		l.cut = now
		return true
	case f != nil || l.allowed >= l.most:
		return false
	}
	l.worked++
	if l.worked >= growAfter*l.allowed && !within(l.changed, now, growEvery) {
		l.set(l.allowed+1, now)
	}
	return false
}

// within reports whether so little has passed since a time. One that lies in
// the future is of a clock that was wrong.
func within(since, now time.Time, d time.Duration) bool {
	age := now.Sub(since)
	return age >= 0 && age < d
}

func (l *limit) set(allowed int, now time.Time) {
	l.allowed, l.worked, l.changed = allowed, 0, now
	l.moved(allowed)
}

// tooMuch are the failures that fewer at once can help against.
func tooMuch(k fault.Kind) bool {
	return k == fault.RateLimited || k == fault.Unavailable || k == fault.Contention
}

// pacer spaces claims evenly. Only Run's goroutine uses it.
type pacer struct {
	gap  time.Duration // 0 = none
	next time.Time
}

// newPacer lets so many a minute through; 0 = as many as come.
func newPacer(perMinute int) *pacer {
	if perMinute <= 0 {
		return &pacer{}
	}
	return &pacer{gap: time.Minute / time.Duration(perMinute)}
}

// wait is how long the next claim has to wait. A clock that was set back does
// not make it wait for longer than a gap.
func (p *pacer) wait(now time.Time) time.Duration {
	return min(max(p.next.Sub(now), 0), p.gap)
}

func (p *pacer) took(now time.Time) { p.next = now.Add(p.gap) }
