package app

import (
	"context"

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

// confirmer is a source that can ask its provider whether a payment is real.
type confirmer interface {
	Confirm(ctx context.Context, p commerce.Payment) error
}

// deliverer carries one event into ERPNext: decode, confirm, post.
type deliverer struct {
	sources map[string]source
	poster  *posting.Poster
	desk    *privacy.Desk
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

func (d *deliverer) post(ctx context.Context, src source, ev event.Event, content commerce.Content) (posting.Result, error) {
	origin := posting.Origin{Provider: src.Provider(), Source: ev.Source}
	switch {
	case content.Order != nil:
		return d.poster.Order(ctx, origin, *content.Order)
	case content.Payment != nil:
		if c, ok := src.(confirmer); ok {
			if err := c.Confirm(ctx, *content.Payment); err != nil {
				return posting.Result{}, err
			}
		}
		return d.poster.Payment(ctx, origin, *content.Payment, ev.ReceivedAt)
	default:
		return posting.Result{Ignored: content.Ignored}, nil
	}
}
