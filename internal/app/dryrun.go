package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/rs/zerolog"
)

// DryRunView is what an event would lead to with today's books and sheet.
type DryRunView struct {
	Documents []PlannedView `json:"documents"`
	Note      string        `json:"note,omitempty"`
	Ignored   string        `json:"ignored,omitempty"` // nothing to book, and why
}

// PlannedView is one document that an event asks for: its body when it would be
// made, the difference when it is there.
type PlannedView struct {
	DocType string       `json:"doctype"`
	Key     string       `json:"key,omitempty"`
	Exists  string       `json:"exists,omitempty"` // ERPNext's name of it
	Body    any          `json:"body,omitempty"`
	Diff    []Difference `json:"diff,omitempty"`
	Same    bool         `json:"same,omitempty"` // it is there as it is wanted
}

// DryRun prints the documents that an event would make with today's books and
// sheet, and what sets those apart that are there already. It makes none, and
// reads from ERPNext.
func (t *InboxTool) DryRun(ctx context.Context, cfg config.Config, id string) error {
	ev, _, _, err := t.inbox.Get(ctx, id)
	if err != nil {
		return unknownEvent(id, err)
	}
	if ev.Body == nil {
		return fmt.Errorf("the body of %s is no longer kept", ev.ID)
	}
	v, err := t.dryRun(ctx, cfg, ev)
	if err != nil {
		return withHint(err)
	}
	if v.Ignored != "" && !t.json {
		_, err := fmt.Fprintf(t.out, "nothing to book: %s\n", v.Ignored)
		return err
	}
	return t.encode(v)
}

func (t *InboxTool) dryRun(ctx context.Context, cfg config.Config, ev event.Event) (DryRunView, error) {
	sources, err := openSources(cfg, nil)
	if err != nil {
		return DryRunView{}, err
	}
	src, ok := sources[ev.Source]
	if !ok {
		return DryRunView{}, fmt.Errorf("the event's source %s is not configured", ev.Source)
	}
	content, err := src.Decode(ev)
	if err != nil {
		return DryRunView{}, err
	}
	if err := complete(ctx, src, ev, &content); err != nil {
		return DryRunView{}, err
	}
	site, err := OpenSite(cfg, nil, zerolog.Nop())
	if err != nil {
		return DryRunView{}, err
	}
	poster, err := newPoster(cfg, site, t.inbox, Options{})
	if err != nil {
		return DryRunView{}, err
	}
	origin := posting.Origin{Provider: src.Provider(), Source: ev.Source}
	var plan posting.Plan
	switch {
	case content.Order != nil:
		plan, err = poster.PlanOrder(ctx, origin, *content.Order)
	case content.Payment != nil:
		plan, err = poster.PlanPayment(ctx, origin, *content.Payment)
	}
	if err != nil {
		return DryRunView{}, err
	}
	v := DryRunView{Documents: []PlannedView{}, Note: plan.Note, Ignored: content.Ignored}
	for _, p := range plan.Documents {
		planned, err := comparePlanned(ctx, site, p, content)
		if err != nil {
			return DryRunView{}, err
		}
		v.Documents = append(v.Documents, planned)
	}
	return v, nil
}

// comparePlanned reads a document that is there and sets it beside the wanted
// one. The total of an order is ERPNext's to compute, so the shop's is wanted.
func comparePlanned(ctx context.Context, site posting.Site, p posting.Planned, content commerce.Content) (PlannedView, error) {
	v := PlannedView{DocType: p.DocType, Key: p.Key, Exists: p.Exists}
	if p.Exists == "" || p.Wanted == nil {
		v.Body = p.Body
		return v, nil
	}
	wanted, err := fieldsOf(p.Wanted)
	if err != nil {
		return v, err
	}
	if p.DocType == erpnext.DocSalesOrder && content.Order != nil {
		wanted["grand_total"] = json.Number(content.Order.Total.Value().String())
	}
	var stored json.RawMessage
	if err := site.Get(ctx, p.DocType, p.Exists, &stored); err != nil {
		return v, err
	}
	is, err := fieldsOf(stored)
	if err != nil {
		return v, err
	}
	v.Diff = differences(is, wanted)
	v.Same = len(v.Diff) == 0
	return v, nil
}
