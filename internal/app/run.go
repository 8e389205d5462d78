package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	sweepEvery = time.Hour
	sweepBatch = 500
	sweepPause = 100 * time.Millisecond
	// deedsKept is for how long one can ask who did what: a year's accounts and
	// a month to close them.
	deedsKept = 400 * 24 * time.Hour
)

// stopWithin is how long a stop may take; a container is given 40 s. Seven
// parts of it: one for the requests in hand, four for the deliveries in hand,
// and the rest to hand back what did not end and to close what is open.
const (
	stopWithin  = 35 * time.Second
	stopParts   = 7
	requestPart = 1
	deliverPart = 4
)

var errStopBound = errors.New("the stop took too long and was broken off: what was in hand is found in the inbox, and tried again at the next start")

// Run serves until ctx ends or a listener fails, then stops in order: readiness,
// the public listener, the claims, the deliveries in hand, the operator's
// listener, what keeps refused requests, the alerts, the inbox. What could not
// be finished is handed back to the inbox, or found there at the next start. It
// returns within Options.Stop of the end of ctx, with an error when a part did
// not end by then: the process must end.
func (a *App) Run(ctx context.Context, retention time.Duration) error {
	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorking()
	done := make(chan error, 1)
	go func() { done <- a.pool.Run(working) }()
	a.stops = slices.Insert(a.stops, len(a.stops)-1, step{"workers", func(ctx context.Context) error {
		stopWorking()
		return a.endDeliveries(ctx, done)
	}})
	go a.sweep(working, retention)
	go a.carryRuns(working)
	go a.warm(working)
	go a.heart.run(working)
	go a.watch.run(working)
	a.operator.start()
	a.public.start()
	a.log.Info().Str("addr", a.Addr()).Str("operator_addr", a.OperatorAddr()).Str("version", Version()).Msg("serving")

	var failed error
	select {
	case <-ctx.Done():
		a.log.Info().Msg("stopping")
	case failed = <-a.public.done:
	case failed = <-a.operator.done:
	}
	return errors.Join(failed, a.stop(context.WithoutCancel(ctx)))
}

// endDeliveries waits for the deliveries in hand, then hands them back.
func (a *App) endDeliveries(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-time.After(a.stopIn * deliverPart / stopParts):
	case <-ctx.Done():
	}
	a.log.Warn().Msg("deliveries in hand are broken off and handed back")
	a.pool.Kill()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ready tells whether events can be taken: not any more once a stop has begun.
func (a *App) Ready(ctx context.Context) error {
	if a.stopping.Load() {
		return fault.New(fault.Busy, "app.ready", "the service is stopping")
	}
	return a.inbox.Ready(ctx)
}

// stop walks back through what was opened, within its bound. It may be called
// twice.
func (a *App) stop(ctx context.Context) error {
	a.stopping.Store(true)
	ctx, cancel := context.WithTimeout(ctx, a.stopIn)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.walkBack(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errStopBound
	}
}

func (a *App) walkBack(ctx context.Context) error {
	var problems []error
	for _, s := range slices.Backward(a.stops) {
		if err := s.stop(ctx); err != nil {
			problems = append(problems, fmt.Errorf("stop %s: %w", s.name, err))
		}
	}
	a.stops = nil
	return errors.Join(problems...)
}

// warm reads the site's books ahead of the first event, and tells the operator
// early when that cannot work. Events are taken meanwhile.
func (a *App) warm(ctx context.Context) {
	if err := a.poster.Warm(ctx); err != nil && ctx.Err() == nil {
		a.log.Warn().Err(err).Msg("erpnext is not ready: events are kept until it is")
		return
	}
	a.log.Info().Msg("erpnext is ready")
}

// sweep empties the bodies of events that were settled longer ago than the
// retention, for they are personal data, and drops old deeds of operators.
func (a *App) sweep(ctx context.Context, retention time.Duration) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		a.sweepOut(ctx, a.inbox.Sweep, retention)
		a.sweepOut(ctx, a.inbox.SweepDeeds, deedsKept)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweepOut does one sort of sweep to its end, step by step: the intake and the
// workers come first.
func (a *App) sweepOut(ctx context.Context, step func(ctx context.Context, before time.Time, limit int) (int, error), kept time.Duration) {
	for {
		n, err := step(ctx, a.now().Add(-kept), sweepBatch)
		if err != nil && ctx.Err() == nil {
			a.log.Error().Err(err).Msg("retention failed")
		}
		if err != nil || n < sweepBatch || !sleep(ctx, sweepPause) {
			return
		}
	}
}
