// Package storebench measures how many events per second an inbox brings to
// disk, beside a plain append-only file whose writers share each fsync: the
// most that this disk could give. It knows nothing of how the inbox works.
package storebench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// Options say what to measure.
type Options struct {
	Put func(context.Context, event.Event) error // answers when the event is on disk
	// Prepare is what comes before either side, for a fair comparison of whole
	// intakes: a delivery of that id is verified and read. nil = the event is
	// there without it.
	Prepare     func(ctx context.Context, id string) (event.Event, error)
	Dir         string        // where the plain file goes; the inbox's own disk, or the comparison means nothing
	Connections int           // callers at the same time; 0 = 64
	BodyBytes   int           // of each event; 0 = 2048
	Rounds      int           // each measures both sides; 0 = 5
	Round       time.Duration // of each side; 0 = 1 s
	Source      string        // of the events; "" = "bench"
}

// Result is what was measured. Rates are events per second, medians over the
// rounds, so that one slow moment of the disk does not decide.
type Result struct {
	Store     float64       // the inbox, with Prepare before it
	Log       float64       // the append-only file, with Prepare before it
	BareLog   float64       // the append-only file alone
	Ratio     float64       // median of each round's Store/Log
	BareRatio float64       // median of each round's Store/BareLog
	Events    int           // put into the inbox
	P50       time.Duration // one Prepare and Put
	P99       time.Duration // one Prepare and Put
}

// Run measures both sides in turn, so that both see the same disk. It leaves
// the events in the inbox and removes its file.
func Run(ctx context.Context, o Options) (Result, error) {
	o = o.withDefaults()
	log, err := openAppendLog(o.Dir)
	if err != nil {
		return Result{}, err
	}
	r, err := o.measure(ctx, log)
	return r, errors.Join(err, log.close())
}

func (o Options) withDefaults() Options {
	if o.Connections <= 0 {
		o.Connections = 64
	}
	if o.BodyBytes <= 0 {
		o.BodyBytes = 2048
	}
	if o.Rounds <= 0 {
		o.Rounds = 5
	}
	if o.Round <= 0 {
		o.Round = time.Second
	}
	if o.Source == "" {
		o.Source = "bench"
	}
	return o
}

func (o Options) measure(ctx context.Context, log *appendLog) (Result, error) {
	var rounds []round
	for range o.Rounds {
		one, err := o.measureOnce(ctx, log)
		if err != nil {
			return Result{}, err
		}
		rounds = append(rounds, one)
	}
	var took []time.Duration
	for _, one := range rounds {
		took = append(took, one.store.took...)
	}
	slices.Sort(took)
	return Result{
		Store:     medianOf(rounds, func(r round) float64 { return r.store.rate }),
		Log:       medianOf(rounds, func(r round) float64 { return r.log.rate }),
		BareLog:   medianOf(rounds, func(r round) float64 { return r.bare.rate }),
		Ratio:     medianOf(rounds, func(r round) float64 { return r.store.rate / r.log.rate }),
		BareRatio: medianOf(rounds, func(r round) float64 { return r.store.rate / r.bare.rate }),
		Events:    len(took),
		P50:       took[len(took)/2],
		P99:       took[len(took)*99/100],
	}, nil
}

// round is every side, measured one after the other.
type round struct{ bare, log, store side }

func (o Options) measureOnce(ctx context.Context, log *appendLog) (round, error) {
	var (
		r   round
		err error
	)
	if r.bare, err = o.round(ctx, o.event, log.put); err != nil {
		return r, fmt.Errorf("append-only log: %w", err)
	}
	prepare := o.event
	r.log = r.bare
	if o.Prepare != nil {
		prepare = o.Prepare
		if r.log, err = o.round(ctx, prepare, log.put); err != nil {
			return r, fmt.Errorf("append-only log: %w", err)
		}
	}
	if r.store, err = o.round(ctx, prepare, o.Put); err != nil {
		return r, fmt.Errorf("inbox: %w", err)
	}
	return r, nil
}

// The two halves of an intake.
type (
	prepare = func(ctx context.Context, id string) (event.Event, error)
	put     = func(context.Context, event.Event) error
)

func medianOf(rounds []round, figure func(round) float64) float64 {
	of := make([]float64, 0, len(rounds))
	for _, r := range rounds {
		of = append(of, figure(r))
	}
	return median(of)
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

type side struct {
	rate float64
	took []time.Duration
}

// round lets every connection put one event after the other until the time is
// over.
func (o Options) round(ctx context.Context, prepare prepare, put put) (side, error) {
	var (
		all  side
		errs []error
		mu   sync.Mutex
		wg   sync.WaitGroup
	)
	begin := time.Now()
	for range o.Connections {
		wg.Go(func() {
			took, err := connection(ctx, prepare, put, begin.Add(o.Round))
			mu.Lock()
			defer mu.Unlock()
			all.took = append(all.took, took...)
			errs = append(errs, err)
		})
	}
	wg.Wait()
	all.rate = float64(len(all.took)) / time.Since(begin).Seconds()
	if len(all.took) == 0 {
		errs = append(errs, errors.New("not one event in a whole round"))
	}
	return all, errors.Join(errs...)
}

func connection(ctx context.Context, prepare prepare, put put, until time.Time) ([]time.Duration, error) {
	var took []time.Duration
	for {
		start := time.Now()
		if start.After(until) {
			return took, nil
		}
		ev, err := prepare(ctx, rand.Text())
		if err == nil {
			err = put(ctx, ev)
		}
		if err != nil {
			return took, err
		}
		took = append(took, time.Since(start))
	}
}

// event is one as Shopify sends them: an id without order, a subject of its
// own, a handful of headers.
func (o Options) event(_ context.Context, id string) (event.Event, error) {
	now := time.Now()
	body := make([]byte, o.BodyBytes)
	for n := copy(body, id); n < len(body); n *= 2 {
		copy(body[n:], body[:n])
	}
	return event.Event{
		Source: o.Source, Provider: "shopify", ProviderID: id, Topic: "orders/create", Subject: "order/" + id,
		SecretSlot: "0", OccurredAt: now, ReceivedAt: now,
		Header: map[string]string{
			"X-Shopify-Topic": "orders/create", "X-Shopify-Shop-Domain": "bench.myshopify.com",
			"X-Shopify-Webhook-Id": id, "X-Shopify-Api-Version": "2026-10", "Content-Type": "application/json",
		},
		Body: body,
	}, nil
}
