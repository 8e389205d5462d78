package app

import (
	"cmp"
	"context"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/ledgerhook/ledgerhook/internal/privacy"
	"github.com/ledgerhook/ledgerhook/internal/worker"
)

// source is one configured sender, for intake and delivery.
type source interface {
	handlers.Source
	// Decode reads a stored event.
	Decode(ev event.Event) (commerce.Content, error)
}

// completer is a source that can ask its provider about what an event tells:
// whether it is real, and what it leaves out. It changes the content in place.
// A failure to ask leaves the event for later.
type completer interface {
	Complete(ctx context.Context, ev event.Event, content *commerce.Content) error
}

// complete asks the provider about what an event tells, where it can be asked:
// also about one that by itself tells nothing to book.
func complete(ctx context.Context, src source, ev event.Event, content *commerce.Content) error {
	if c, ok := src.(completer); ok {
		return c.Complete(ctx, ev, content)
	}
	return nil
}

// deliverer carries one event into ERPNext: decode, complete, post.
type deliverer struct {
	sources map[string]source
	poster  *posting.Poster
	desk    *privacy.Desk
	// hold pauses a source; nil = nothing can be paused.
	hold func(ctx context.Context, source, reason string) error
}

// Deliver is safe to repeat: every document has its key. Whom the event
// mentions is told whatever comes of it.
func (d *deliverer) Deliver(ctx context.Context, c *event.Claim) (worker.Delivery, error) {
	if c.Event.Unreadable != "" {
		return worker.Delivery{}, unreadable(c.Event)
	}
	delivery, err := d.deliver(ctx, c)
	delivery.Traces = privacy.Traces(c.Event)
	return delivery, err
}

func (d *deliverer) deliver(ctx context.Context, c *event.Claim) (worker.Delivery, error) {
	src, ok := d.sources[c.Event.Source]
	if !ok {
		return worker.Delivery{}, &fault.Error{
			Kind: fault.Unmapped, Op: "app.deliver", Cause: "the event's source is not configured any more",
			Hint: "configure the source " + c.Event.Source + " again, then replay",
		}
	}
	content, err := src.Decode(c.Event)
	if err != nil {
		return worker.Delivery{}, err
	}
	if content.Privacy != nil {
		return d.private(ctx, c.Event, *content.Privacy)
	}
	result, err := d.post(ctx, src, c.Event, content)
	return worker.Delivery{Ignored: result.Ignored, Note: result.Note, Documents: result.Documents, Warn: result.Warn}, err
}

// post carries what an event says, in the order in which Content lists it: an
// order before the money that came inside it.
func (d *deliverer) post(ctx context.Context, src source, ev event.Event, content commerce.Content) (posting.Result, error) {
	if err := complete(ctx, src, ev, &content); err != nil {
		return posting.Result{}, err
	}
	if content.Ignored != "" {
		return posting.Result{Ignored: content.Ignored}, nil
	}
	if content.Partial != "" {
		return posting.Result{}, fault.New(fault.Undecodable, "app.deliver", "the event lacks "+content.Partial+", and its source cannot ask for it")
	}
	origin := posting.Origin{Provider: src.Provider(), Source: ev.Source}
	p := delivery{deliverer: d, poster: d.poster.For(origin), origin: origin, received: ev.ReceivedAt}
	for _, part := range p.parts(content) {
		if err := p.take(part(ctx)); err != nil {
			return p.result, err
		}
	}
	if !p.posted && p.result.Ignored == "" {
		p.result.Ignored = "the refund gave back no money" // its goods are credited where the sheet says so
	}
	p.result.Note = joined(p.result.Note, p.poster.Moved())
	return p.result, p.late
}

// delivery gathers what the parts of one event lead to.
type delivery struct {
	*deliverer
	poster   *posting.Poster // this event's
	origin   posting.Origin
	received time.Time
	result   posting.Result
	posted   bool  // some part was not ignored
	late     error // of a part that others do not wait for
}

type part func(context.Context) (posting.Result, error)

func (d *delivery) parts(c commerce.Content) []part {
	var parts []part
	if c.Order != nil {
		parts = append(parts, func(ctx context.Context) (posting.Result, error) { return d.poster.Order(ctx, d.origin, *c.Order) })
		for _, p := range c.Order.Payments {
			parts = append(parts, d.payment(p))
		}
		for _, r := range c.Order.Refunds {
			parts = append(parts, d.refund(r))
		}
	}
	if c.Payment != nil {
		parts = append(parts, d.payment(*c.Payment))
	}
	for _, credit := range c.Credits {
		if d.poster.MakesCreditNotes(d.origin) {
			parts = append(parts, d.credit(credit))
		}
	}
	for _, r := range c.Refunds {
		parts = append(parts, d.refund(r))
	}
	if c.Dispute != nil {
		parts = append(parts, func(ctx context.Context) (posting.Result, error) { return d.poster.Dispute(ctx, d.origin, *c.Dispute) })
	}
	if c.Payout != nil {
		parts = append(parts, func(ctx context.Context) (posting.Result, error) { return d.poster.Payout(ctx, d.origin, *c.Payout) })
	}
	if c.Customer != nil {
		parts = append(parts, func(ctx context.Context) (posting.Result, error) {
			return d.poster.Customer(ctx, d.origin, *c.Customer)
		})
	}
	if c.Product != nil {
		parts = append(parts, func(ctx context.Context) (posting.Result, error) { return d.poster.Product(ctx, d.origin, *c.Product) })
	}
	return parts
}

func (d *delivery) payment(p commerce.Payment) part {
	return func(ctx context.Context) (posting.Result, error) {
		r, err := d.poster.Payment(ctx, d.origin, p, d.received)
		if err != nil {
			return r, err
		}
		return d.poster.PayInvoices(ctx, p.OrderRefs, r)
	}
}

// credit makes credit notes before the money that settles them. Their failure
// must not keep the money from being booked: it is told in the end.
func (d *delivery) credit(c commerce.Credit) part {
	return func(ctx context.Context) (posting.Result, error) {
		r, err := d.poster.Credit(ctx, d.origin, c)
		if d.late == nil {
			d.late = err
		}
		return r, nil
	}
}

func (d *delivery) refund(r commerce.Refund) part {
	return func(ctx context.Context) (posting.Result, error) {
		return d.poster.Refund(ctx, d.origin, r, d.received)
	}
}

// take adds the result of one part. The event is ignored only if every part
// was; the first warning is the one that is told.
func (d *delivery) take(r posting.Result, err error) error {
	all := &d.result
	all.Documents = append(all.Documents, r.Documents...)
	all.Note = joined(all.Note, r.Note)
	if all.Warn == nil {
		all.Warn = r.Warn
	}
	switch {
	case r.Ignored != "" && !d.posted:
		all.Ignored = joined(all.Ignored, r.Ignored)
	case r.Ignored != "":
		all.Note = joined(all.Note, r.Ignored)
	case !d.posted:
		d.posted = true
		all.Note, all.Ignored = joined(all.Note, all.Ignored), ""
	}
	return err
}

func joined(a, b string) string {
	if a == "" || b == "" || a == b {
		return cmp.Or(a, b)
	}
	return a + "; " + b
}
