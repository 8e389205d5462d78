package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	settleIn    = 5 * time.Second // a settle may always take this long
	settleFirst = 50 * time.Millisecond
	settleWorst = 2 * time.Second
)

var errLease = errors.New("delivery ran past 80% of its lease")

// attempt is one try, as far as it got.
type attempt struct {
	claim   *event.Claim
	at      time.Time // when the claim was made, by our clock
	outcome event.Outcome
	fault   *fault.Error // what failed or what a person should know
}

// attempt delivers one claim, judges what came of it and settles.
func (p *Pool) attempt(c *event.Claim, probe bool, at time.Time) {
	ctx, cancel := context.WithDeadlineCause(p.work, at.Add(p.Lease*8/10), errLease)
	defer cancel()
	d, err := p.deliver(ctx, c)
	a := attempt{claim: c, at: at}
	switch {
	case err == nil:
		e := evidenceOf(c, d, nil)
		p.breaker.record(c, probe, e, nil, p.Now())
		p.limit.record(e, nil, at, p.Now())
		a.outcome, a.fault = success(d), d.Warn
	case p.interrupted(err):
		p.breaker.leave(probe)
		a.outcome = p.released(c)
	default:
		a.fault = classified(ctx, err)
		a.outcome = p.failed(c, probe, at, a.fault)
		a.outcome.DocType = doctypeOf(a.fault)
	}
	a.outcome.Documents, a.outcome.Exchanges = d.Documents, d.Exchanges
	a.outcome.Traces, a.outcome.Erase = d.Traces, d.Erase && err == nil
	p.finish(a)
}

// deliver turns a panic into a failure. What was panicked with may hold the
// payload, so it is kept in the inbox and not logged.
func (p *Pool) deliver(ctx context.Context, c *event.Claim) (Delivery, error) {
	var d Delivery
	var err error
	func() {
		defer func() {
			if v := recover(); v != nil {
				err = p.panicked(c, v)
			}
		}()
		d, err = p.Deliverer.Deliver(ctx, c)
	}()
	return d, err
}

func (p *Pool) panicked(c *event.Claim, v any) error {
	what := fmt.Sprintf("%T", v)
	if e, ok := v.(runtime.Error); ok {
		what = e.Error()
	}
	p.Log.Error().Str("source", c.Event.Source).Str("event_id", c.Event.ID).
		Str("cause", what).Str("stack", string(debug.Stack())).Msg("delivery panicked")
	return &fault.Error{
		Kind: fault.Internal, Op: "worker.deliver", Cause: "panic",
		Hint:   "this is a bug of the service: report it with the stack in the log",
		Detail: fmt.Sprint(v),
	}
}

// interrupted reports whether a delivery failed because it was killed, as far
// as one can tell: a refusal that arrived before is a refusal.
func (p *Pool) interrupted(err error) bool {
	return p.work.Err() != nil && (errors.Is(err, context.Canceled) || fault.KindOf(err).OutcomeUnknown())
}

// classified gives every failure a kind. The text of an error that nobody
// classified may hold anything: it goes where only the operator reads.
func classified(ctx context.Context, err error) *fault.Error {
	e := fault.As(err)
	if e == nil {
		e = &fault.Error{Kind: fault.KindOf(err), Op: "worker.deliver", Cause: "unclassified failure", Detail: err.Error(), Err: err}
	}
	if context.Cause(ctx) == errLease && e.Kind == fault.Timeout {
		ran := *e
		ran.Cause = errLease.Error()
		return &ran
	}
	return e
}

func success(d Delivery) event.Outcome {
	o := event.Outcome{State: event.Done, Result: resultDone, Reason: d.Note}
	if d.Ignored != "" {
		o.State, o.Result, o.Reason = event.Ignored, resultIgnored, d.Ignored
	}
	if d.Warn != nil {
		o.Hint = d.Warn.Hint
		if o.Reason == "" {
			o.Reason = reason(d.Warn)
		}
	}
	return o
}

// released gives an event back as it was: due at once, nothing counted.
func (p *Pool) released(c *event.Claim) event.Outcome {
	return event.Outcome{
		State: event.Pending, Result: resultReleased, DueAt: p.Now(), Free: true,
		Class: c.Event.Class, Reason: c.Event.Reason, Hint: c.Event.Hint,
	}
}

// failed judges a failure. While the site is left alone a failure of the site
// costs the event neither an attempt nor its place.
func (p *Pool) failed(c *event.Claim, probe bool, begun time.Time, f *fault.Error) event.Outcome {
	now, e := p.Now(), evidenceOf(c, Delivery{}, f)
	if p.limit.record(e, f, begun, now) {
		p.Log.Info().Str("class", f.Kind.String()).Int("at_once", p.limit.now()).Msg("erpnext is busy, fewer deliveries at once")
	}
	spared, until := p.breaker.record(c, probe, e, f, now)
	if spared {
		return event.Outcome{
			State: event.Pending, Result: resultRetry, DueAt: until, Free: true,
			Class: f.Kind.String(), Reason: reason(f), Hint: f.Hint, Detail: f.Detail,
		}
	}
	t := p.past.failed(c, f.Kind, p.GiveUp, now)
	return p.plan.next(failure{fault: f, attempt: c.Attempt, few: t.few, since: t.since, now: now})
}

// evidenceOf reads what an attempt says about ERPNext. The sender's own API
// (operations named after the provider) says nothing about it, and neither does
// what fails before ERPNext is asked.
func evidenceOf(c *event.Claim, d Delivery, f *fault.Error) evidence {
	if f == nil {
		if d.Ignored != "" || d.Offline {
			return silent
		}
		return works
	}
	if c.Event.Provider != "" && strings.HasPrefix(f.Op, c.Event.Provider+".") {
		return silent
	}
	if f.Kind.SiteWide() {
		return fails
	}
	switch f.Kind {
	case fault.Contention, fault.Rights, fault.Duplicate, fault.Missing, fault.Settled, fault.Rejected, fault.BadRequest, fault.Mismatch:
		return works
	default:
		return silent
	}
}

// doctypeOf reads what a failed call was about from its operation's name:
// "erpnext.create Sales Order". Calls of functions are about no DocType.
func doctypeOf(f *fault.Error) string {
	verb, doctype, _ := strings.Cut(f.Op, " ")
	if !strings.HasPrefix(verb, "erpnext.") || verb == "erpnext.call" {
		return ""
	}
	return doctype
}

// finish settles the claim and tells metrics, log and observer.
func (p *Pool) finish(a attempt) {
	a.outcome.Took = p.Now().Sub(a.at)
	if err := p.settle(a); err != nil {
		p.unsettled(a, err)
		return
	}
	if a.outcome.State != event.Pending {
		p.past.forget(a.claim.Event.ID)
	}
	p.count(a)
	p.logged(a)
	if p.Observer == nil {
		return
	}
	ev := a.claim.Event
	ev.Body = nil
	p.Observer.Attempted(Report{Event: ev, Attempt: a.claim.Attempt, Outcome: a.outcome, Fault: a.fault, At: p.Now()})
}

// settle repeats while the inbox fails and the lease lasts. It does not end
// with the delivery's context: what was done must be remembered.
func (p *Pool) settle(a attempt) error {
	bound := settleIn
	if left := a.at.Add(p.Lease).Sub(p.Now()); left > bound {
		bound = left
	}
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	defer context.AfterFunc(p.work, func() { time.AfterFunc(settleIn, cancel) })()
	for n := 1; ; n++ {
		err := p.Queue.Settle(ctx, a.claim, a.outcome)
		switch {
		case p.lost(err) && n > 1 && p.Now().Before(a.at.Add(p.Lease)):
			return nil // nobody else can have it yet: an earlier try went through after all
		case err == nil, p.lost(err), fault.KindOf(err).Retry() != fault.Soon:
			return err
		}
		if n == 1 {
			p.about(p.Log.Warn(), a).Err(err).Msg("settling an event failed, trying again")
		}
		select {
		case <-time.After(doubled(settleFirst, n, settleWorst)):
		case <-ctx.Done():
			return err
		}
	}
}

func (p *Pool) lost(err error) bool {
	if p.LeaseLost != nil && errors.Is(err, p.LeaseLost) {
		return true
	}
	k := fault.KindOf(err)
	return k == fault.Conflict || k == fault.NotFound
}

// unsettled ends an attempt whose outcome the inbox did not take. Whoever
// claims the event next repeats the delivery, which is safe.
func (p *Pool) unsettled(a attempt, err error) {
	a.outcome.Result, a.outcome.Class = resultLost, ""
	p.count(a)
	msg := "outcome could not be settled, the event will be delivered again"
	if p.lost(err) {
		msg = "lease was lost, somebody else has the event"
	}
	p.about(p.Log.Warn(), a).Err(err).Msg(msg)
}

func (p *Pool) count(a attempt) {
	o, source := a.outcome, p.metrics.source(a.claim.Event.Source)
	label := class(o.Result, o.Class)
	p.metrics.attempts.WithLabelValues(source, o.Result, label).Inc()
	p.metrics.took.WithLabelValues(source).Observe(o.Took.Seconds())
	switch o.Result {
	case resultDead:
		p.metrics.deadLetters.WithLabelValues(label).Inc()
	case resultDone:
		happened := a.claim.Event.OccurredAt
		if happened.IsZero() {
			happened = a.claim.Event.ReceivedAt
		}
		p.metrics.age.WithLabelValues(source).Observe(max(p.Now().Sub(happened), 0).Seconds())
	}
}

// logged writes the one line of an attempt.
func (p *Pool) logged(a attempt) {
	line := p.Log.Info()
	switch {
	case a.outcome.Result == resultDead:
		line = p.Log.Error()
	case a.outcome.Result == resultRetry, a.fault != nil && a.outcome.State == event.Done:
		line = p.Log.Warn()
	}
	p.about(line, a).Msg("event attempted")
}

func (p *Pool) about(line *zerolog.Event, a attempt) *zerolog.Event {
	ev, o := a.claim.Event, a.outcome
	line = line.Str("source", ev.Source).Str("event_id", ev.ID).Str("topic", ev.Topic).
		Int("attempt", a.claim.Attempt).Str("outcome", o.Result).Dur("took", o.Took)
	if o.Class != "" {
		line = line.Str("class", o.Class)
	}
	switch {
	case a.fault != nil:
		line = line.Str("cause", reason(a.fault))
		if a.fault.Hint != "" {
			line = line.Str("hint", a.fault.Hint)
		}
	case o.Reason != "":
		line = line.Str("cause", o.Reason)
	}
	if o.State == event.Pending {
		line = line.Time("next_at", o.DueAt)
	}
	return line
}

// breakerMoved tells metric and log where the breaker stands now.
func (p *Pool) breakerMoved(from, to breakerState, pause time.Duration) {
	p.metrics.breaker.Set(float64(to))
	switch {
	case to == open && from == closed:
		p.Log.Warn().Dur("pause", pause).Msg("erpnext is failing, claiming is paused")
	case to == closed:
		p.Log.Info().Msg("erpnext works again, claiming goes on")
	}
}
