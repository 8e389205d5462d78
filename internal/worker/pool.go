// Package worker carries events from the inbox into ERPNext: it claims what is
// due, has it delivered, and settles the claim with what came of it. It decides
// when to try again, when to stop trying and when to leave the whole site
// alone for a while. It knows neither providers nor documents nor how an inbox
// is stored; one Deliverer does the posting, one Queue keeps the events.
package worker

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	// DefaultLease is the lease of a claim when Options name none.
	DefaultLease  = 5 * time.Minute
	defaultGiveUp = 96 * time.Hour
	// PromisedGiveUp is the shortest time for which a failure that may pass is
	// retried before a person is asked; a shorter Options.GiveUp is raised to it.
	PromisedGiveUp = 72 * time.Hour

	slowPoll  = 30 * time.Second // in case a wake-up was lost, or another process fed the inbox
	blockedIn = time.Second      // something is due, but its subject is in other hands
	claimIn   = 10 * time.Second // longest wait for the inbox to answer
)

// Queue is the inbox as the worker sees it.
type Queue interface {
	// Claim takes the oldest due event whose subject is free; nil, nil when
	// there is none.
	Claim(ctx context.Context, lease time.Duration) (*event.Claim, error)
	// Settle ends a claim. When the claim is no longer the newest, or was
	// settled, it changes nothing and answers with Options.LeaseLost. A failure
	// of a kind that may pass is repeated while the lease lasts.
	Settle(ctx context.Context, c *event.Claim, o event.Outcome) error
	// NextDue tells when the next pending event is due; false when none is.
	NextDue(ctx context.Context) (time.Time, bool, error)
	// Wake gives a token when something new may be due. Tokens may be merged.
	Wake() <-chan struct{}
}

// Deliverer carries one event into ERPNext. It must be safe to repeat, and end
// when its context does.
type Deliverer interface {
	Deliver(ctx context.Context, c *event.Claim) (Delivery, error)
}

// Delivery is what a Deliverer did. Beside an error it may still hold the
// documents made so far and the exchanges; they are remembered.
type Delivery struct {
	Ignored   string // not "": nothing to book, for this reason
	Note      string // constant or normalised text without customer data
	Documents []event.Document
	Exchanges []event.Exchange // what was said to and by ERPNext, free of customer data
	Warn      *fault.Error     // done, but a person should know
	Traces    []string         // whom the event mentions, see event.Outcome
	Erase     bool             // see event.Outcome
	Offline   bool             // ERPNext was not asked: the success says nothing of it
}

// Observer hears of every attempt that was settled. It must not block.
type Observer interface {
	Attempted(Report)
}

// Report is one settled attempt.
type Report struct {
	Event   event.Event // without Body
	Attempt int
	Outcome event.Outcome
	Fault   *fault.Error // what failed, or Delivery.Warn, or nil
	At      time.Time
}

// Options of a Pool. Queue and Deliverer are needed; the rest has defaults.
type Options struct {
	Queue      Queue
	Deliverer  Deliverer
	Observer   Observer
	Sources    []string              // the configured sources, the values of the source label
	LeaseLost  error                 // what Queue.Settle answers to a lost lease; fault.Conflict and NotFound mean it too
	Workers    int                   // deliveries at the same time, fewer while the site is busy; 0 = 1
	Rate       int                   // deliveries begun a minute at most; 0 = no limit
	Lease      time.Duration         // 0 = 5 min; a delivery gets four fifths of it
	GiveUp     time.Duration         // 0 = 96 h; never less than PromisedGiveUp
	Registerer prometheus.Registerer // nil = a registry of its own
	Log        zerolog.Logger        // the zero Logger writes nothing
	Now        func() time.Time      // nil = time.Now
	Rand       func() float64        // in [0,1), safe for concurrent use; nil = math/rand/v2
}

// Pool claims, delivers and settles.
type Pool struct {
	Options
	metrics *metrics
	breaker *breaker
	limit   *limit
	pacer   *pacer
	plan    plan
	past    *past
	inbox   troubled

	kill   context.CancelFunc
	work   context.Context // ends with Kill, not with a soft stop
	inHand sync.WaitGroup
	busy   atomic.Int32
	freed  chan struct{} // a delivery ended: a place and perhaps a subject are free
}

// New makes a Pool that does nothing until Run.
func New(o Options) *Pool {
	o.Workers = max(o.Workers, 1)
	o.Lease = cmp.Or(o.Lease, DefaultLease)
	o.GiveUp = max(cmp.Or(o.GiveUp, defaultGiveUp), PromisedGiveUp)
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	p := &Pool{
		Options: o,
		metrics: newMetrics(o.Registerer, o.Sources),
		plan:    plan{giveUp: o.GiveUp, rand: o.Rand},
		past:    newPast(),
		freed:   make(chan struct{}, 1),
	}
	p.breaker = newBreaker(o.Rand, p.breakerMoved)
	p.limit = newLimit(o.Workers, func(n int) { p.metrics.limit.Set(float64(n)) })
	p.pacer = newPacer(o.Rate)
	p.work, p.kill = context.WithCancel(context.Background())
	return p
}

// Run works until ctx ends or Kill is called, and returns when the deliveries
// in hand have ended too. Run it once.
func (p *Pool) Run(ctx context.Context) error {
	wake := p.Queue.Wake()
	for ctx.Err() == nil && p.work.Err() == nil {
		wake = p.rest(ctx, p.step(ctx), wake)
	}
	p.inHand.Wait()
	return nil
}

// Kill ends the deliveries in hand as well: what is unfinished goes back to the
// inbox, due at once, and does not count as an attempt.
func (p *Pool) Kill() { p.kill() }

// idle is how long there is nothing to do. A deaf pause does not listen to the
// inbox: no place is free, or trying sooner would do harm.
type idle struct {
	wait time.Duration
	deaf bool
}

// step claims one event and starts its delivery, or tells how long to pause.
func (p *Pool) step(ctx context.Context) idle {
	if int(p.busy.Load()) >= p.limit.now() {
		return idle{wait: slowPoll, deaf: true}
	}
	if wait := p.pacer.wait(p.Now()); wait > 0 {
		return idle{wait: wait, deaf: true}
	}
	probe, wait := p.breaker.enter(p.Now())
	if wait > 0 {
		return idle{wait: wait, deaf: true}
	}
	c, err := p.claim()
	if err != nil || c == nil {
		p.breaker.leave(probe)
		if err != nil {
			return idle{wait: p.queueFailed("claim", err), deaf: true}
		}
		return p.untilDue()
	}
	p.queueWorks()
	p.pacer.took(p.Now())
	p.start(c, probe, ctx.Err() != nil)
	return idle{}
}

// claim is not ended by a stop: a claim that was made but not heard of would
// hold its event until the lease runs out.
func (p *Pool) claim() (*event.Claim, error) {
	ctx, cancel := context.WithTimeout(context.Background(), claimIn)
	defer cancel()
	return p.Queue.Claim(ctx, p.Lease)
}

func (p *Pool) untilDue() idle {
	ctx, cancel := context.WithTimeout(context.Background(), claimIn)
	defer cancel()
	due, ok, err := p.Queue.NextDue(ctx)
	if err != nil {
		return idle{wait: p.queueFailed("next due", err), deaf: true}
	}
	p.queueWorks()
	if !ok {
		return idle{wait: slowPoll}
	}
	wait := due.Sub(p.Now())
	if wait <= 0 { // it was not given to us, so asking at once would not help
		wait = blockedIn
	}
	return idle{wait: min(wait, slowPoll)}
}

func (p *Pool) rest(ctx context.Context, i idle, wake <-chan struct{}) <-chan struct{} {
	if i.wait <= 0 {
		return wake
	}
	heard := wake
	if i.deaf {
		heard = nil
	}
	timer := time.NewTimer(i.wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-p.work.Done():
	case <-timer.C:
	case <-p.freed:
	case _, open := <-heard:
		if !open { // a closed inbox wakes nobody
			return nil
		}
	}
	return wake
}

// start hands a claim to a goroutine of its own; stopping means that the claim
// came too late and only has to be given back.
func (p *Pool) start(c *event.Claim, probe, stopping bool) {
	p.busy.Add(1)
	p.metrics.inFlight.Inc()
	at := p.Now()
	p.inHand.Go(func() {
		defer p.ended()
		if stopping {
			p.breaker.leave(probe)
			p.finish(attempt{claim: c, at: at, outcome: p.released(c)})
			return
		}
		p.attempt(c, probe, at)
	})
}

func (p *Pool) ended() {
	p.metrics.inFlight.Dec()
	p.busy.Add(-1)
	select {
	case p.freed <- struct{}{}:
	default:
	}
}
