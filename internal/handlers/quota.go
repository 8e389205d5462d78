package handlers

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// How many lines of one kind are logged one by one, in which time.
const (
	linesEach = 20
	linesIn   = 10 * time.Second
)

// quota keeps a flood of like requests from flooding the log. The first few of
// a kind are logged one by one; of the rest only how many there were, when the
// time is over.
type quota struct {
	log zerolog.Logger

	mu    sync.Mutex
	kinds map[lineKind]*lineCount
}

// lineKind is what makes requests alike; both are of closed sets.
type lineKind struct{ source, outcome string }

type lineCount struct {
	since time.Time
	n     int
}

func newQuota(log zerolog.Logger) *quota {
	return &quota{log: log, kinds: map[lineKind]*lineCount{}}
}

// take tells whether a request of this kind is logged by itself.
func (q *quota) take(source, outcome string) bool {
	kind, now := lineKind{source, outcome}, time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.kinds[kind]
	if c == nil || now.Sub(c.since) >= linesIn && c.n <= linesEach {
		c = &lineCount{since: now}
		q.kinds[kind] = c
	}
	c.n++
	if c.n == linesEach+1 {
		time.AfterFunc(linesIn-now.Sub(c.since), func() { q.sumUp(kind, c) })
	}
	return c.n <= linesEach
}

func (q *quota) sumUp(kind lineKind, c *lineCount) {
	q.mu.Lock()
	delete(q.kinds, kind)
	n := c.n - linesEach
	q.mu.Unlock()
	q.log.Warn().Str("source", kind.source).Str("outcome", kind.outcome).Int("count", n).Dur("within", linesIn).
		Msg("more webhooks like these, not logged one by one")
}
