package worker

import (
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	firstTrouble = 100 * time.Millisecond
	worstTrouble = 30 * time.Second
)

// troubled remembers how long the inbox has been failing, so that an outage is
// one log line per cause and not one per try. Only Run's goroutine uses it.
type troubled struct {
	failures int
	causes   map[string]bool
}

// queueFailed logs a cause when it is new and tells how long to wait.
func (p *Pool) queueFailed(op string, err error) time.Duration {
	cause := op + ": " + err.Error()
	if e := fault.As(err); e != nil {
		cause = e.Op + ": " + e.Cause
	}
	if !p.inbox.causes[cause] {
		p.Log.Error().Str("op", op).Str("class", fault.KindOf(err).String()).Err(err).Msg("inbox does not answer the worker")
	}
	if p.inbox.causes == nil {
		p.inbox.causes = map[string]bool{}
	}
	p.inbox.causes[cause] = true
	p.inbox.failures++
	wait := doubled(firstTrouble, p.inbox.failures, worstTrouble)
	return wait/2 + share(p.Rand, wait/2)
}

func (p *Pool) queueWorks() {
	if p.inbox.failures == 0 {
		return
	}
	p.Log.Info().Int("failures", p.inbox.failures).Msg("inbox answers the worker again")
	p.inbox = troubled{}
}
