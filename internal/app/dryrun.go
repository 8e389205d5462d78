package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/rs/zerolog"
)

// DryRunView is what an event would lead to with today's books and sheet.
type DryRunView struct {
	// Documents are what the event asks for, and how that differs from what is
	// there.
	Documents []PlannedView `json:"documents"`
	// Steps are what a replay would write now, in order; none when everything is
	// as it should be.
	Steps   []posting.Step `json:"steps"`
	Note    string         `json:"note,omitempty"`
	Ignored string         `json:"ignored,omitempty"` // nothing to book, and why
	Waits   string         `json:"waits,omitempty"`   // a replay would wait, and what for
	Fails   string         `json:"fails,omitempty"`   // a replay would end so
	Hint    string         `json:"hint,omitempty"`    // what a person can do about that
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
// sheet, what sets those apart that are there already, and the steps of a
// replay. It makes none, and reads from ERPNext.
func (t *InboxTool) DryRun(ctx context.Context, cfg config.Config, id string) error {
	site, err := OpenSite(cfg, nil, zerolog.Nop())
	if err != nil {
		return err
	}
	v, err := rehearsals{cfg: cfg, inbox: t.inbox, site: site}.dryRun(ctx, id)
	if err != nil {
		return withHint(err)
	}
	if v.Ignored != "" && !t.json {
		_, err := fmt.Fprintf(t.out, "nothing to book: %s\n", v.Ignored)
		return err
	}
	return t.encode(v)
}

// rehearsed is the part of the inbox that a rehearsal reads.
type rehearsed interface {
	posting.Memory
	Get(ctx context.Context, id string) (event.Event, []event.Attempt, []event.Document, error)
}

// rehearsals carry events as the service does, on a site that writes nothing.
type rehearsals struct {
	cfg       config.Config
	inbox     rehearsed
	site      *erpnext.Client
	transport http.RoundTripper // to the providers; nil = the network
}

// DryRun is the view for the API.
func (r rehearsals) DryRun(ctx context.Context, id string) (any, error) { return r.dryRun(ctx, id) }

func (r rehearsals) dryRun(ctx context.Context, id string) (DryRunView, error) {
	ev, _, docs, err := r.inbox.Get(ctx, id)
	if err != nil {
		return DryRunView{}, unknownEvent(id, err)
	}
	if ev.Body == nil {
		return DryRunView{}, &fault.Error{Kind: fault.Conflict, Op: "app.dry_run", Cause: "the body of " + ev.ID + " is no longer kept"}
	}
	sources, err := openSources(r.cfg, r.transport)
	if err != nil {
		return DryRunView{}, err
	}
	src, ok := sources[ev.Source]
	if !ok {
		return DryRunView{}, &fault.Error{Kind: fault.Unmapped, Op: "app.dry_run", Cause: "the event's source " + ev.Source + " is not configured"}
	}
	content, err := src.Decode(ev)
	if err != nil {
		return DryRunView{}, err
	}
	v := DryRunView{Documents: []PlannedView{}, Steps: []posting.Step{}, Ignored: content.Ignored}
	if content.Privacy != nil {
		v.Ignored = "a request about personal data: server privacy shows what is stored"
	}
	if v.Ignored != "" {
		return v, nil
	}
	if err := complete(ctx, src, ev, &content); err != nil {
		return v, err
	}
	run := rehearsal{rehearsals: r, origin: posting.Origin{Provider: src.Provider(), Source: ev.Source}, content: content}
	return v, errors.Join(run.replay(ctx, ev, &v), run.documents(ctx, docs, &v))
}

// rehearsal is the dry run of one event.
type rehearsal struct {
	rehearsals
	origin  posting.Origin
	content commerce.Content
}

// replay tells what a replay would do now.
func (r rehearsal) replay(ctx context.Context, ev event.Event, v *DryRunView) error {
	site := &posting.Rehearsal{Site: r.site, Total: r.total()}
	result, err := r.post(ctx, site, nil, ev.ReceivedAt)
	if f := fault.As(err); f != nil {
		v.Waits, _ = posting.Waits(err)
		if v.Waits == "" {
			v.Fails, v.Hint = f.Error(), f.Hint
		}
		err = nil
	}
	v.Steps = append(v.Steps, site.Steps()...)
	v.Note, v.Ignored = result.Note, result.Ignored
	return err
}

// documents tells what the event asks for, as if it came for the first time and
// waited for nothing, and sets that beside what is there.
func (r rehearsal) documents(ctx context.Context, own []event.Document, v *DryRunView) error {
	hidden := posting.OwnKeys(r.origin, r.content)
	for _, doc := range own {
		if doc.DocType != erpnext.DocCustomer && doc.DocType != erpnext.DocAddress && doc.DocType != erpnext.DocItem {
			hidden = append(hidden, doc.Key)
		}
	}
	site := &posting.Rehearsal{Site: r.site, Total: r.total(), Blank: true}
	if _, err := r.post(ctx, site, hidden, time.Time{}); err != nil && fault.As(err) == nil {
		return err // a classified one is told by the replay
	}
	for _, step := range site.Steps() {
		if step.Action != "create" {
			continue
		}
		planned, err := r.compare(ctx, step)
		if err != nil {
			return err
		}
		if customer := customerOf(step.Body); customer != "" && !slices.ContainsFunc(v.Documents, func(p PlannedView) bool { return p.DocType == erpnext.DocCustomer }) {
			v.Documents = append(v.Documents, PlannedView{DocType: erpnext.DocCustomer, Exists: customer})
		}
		v.Documents = append(v.Documents, planned)
	}
	return nil
}

// customerOf is the customer that a document names.
func customerOf(doc any) string {
	switch doc := doc.(type) {
	case erpnext.SalesOrder:
		return doc.Customer
	case erpnext.PaymentEntry:
		return doc.Party
	default:
		return ""
	}
}

func (r rehearsal) total() money.Amount {
	if r.content.Order == nil {
		return money.Amount{}
	}
	return r.content.Order.Total
}

// post carries the content as a delivery does, on a site that writes nothing and
// with a memory of its own.
func (r rehearsal) post(ctx context.Context, site *posting.Rehearsal, hidden []string, received time.Time) (posting.Result, error) {
	memory := &posting.Scratch{Memory: r.inbox, Hidden: hidden}
	poster, err := newPoster(r.cfg, r.site, site, memory, Options{})
	if err != nil {
		return posting.Result{}, err
	}
	d := delivery{deliverer: &deliverer{poster: poster}, poster: poster.For(r.origin), origin: r.origin, received: received}
	for _, part := range d.parts(r.content) {
		result, err := part(ctx)
		if err := errors.Join(d.take(result, err), memory.Remember(ctx, "", result.Documents...)); err != nil {
			return d.result, err
		}
	}
	return d.result, nil
}

// compare reads a document that is there and sets it beside the wanted one. The
// total of an order is ERPNext's to compute, so the shop's is wanted.
func (r rehearsal) compare(ctx context.Context, step posting.Step) (PlannedView, error) {
	v := PlannedView{DocType: step.DocType, Key: step.Key, Body: step.Body}
	stored, err := r.stored(ctx, step)
	if err != nil || stored == nil {
		return v, err
	}
	wanted, err := fieldsOf(step.Body)
	if err != nil {
		return v, err
	}
	if step.DocType == erpnext.DocSalesOrder && r.content.Order != nil {
		wanted["grand_total"] = json.Number(r.content.Order.Total.Value().String())
	}
	is, err := fieldsOf(stored)
	if err != nil {
		return v, err
	}
	v.Exists, _ = is["name"].(string)
	v.Body, v.Diff = nil, differences(is, wanted)
	v.Same = len(v.Diff) == 0
	return v, nil
}

// stored is the document of a key as ERPNext has it: the newest one, if it took
// the place of others; nil when there is none.
func (r rehearsal) stored(ctx context.Context, step posting.Step) (json.RawMessage, error) {
	if step.Key == "" {
		return nil, nil
	}
	known, ok, err := r.inbox.Document(ctx, step.DocType, step.Key)
	if err != nil {
		return nil, err
	}
	name := known.Name
	if !ok || name == "" {
		var found erpnext.Stored
		if ok, err = r.site.FindByKey(ctx, step.DocType, step.Key, &found); err != nil || !ok {
			return nil, err
		}
		name = found.Name
	}
	var stored json.RawMessage
	err = r.site.Get(ctx, step.DocType, name, &stored)
	if fault.KindOf(err) == fault.Missing && err != nil {
		return nil, nil // somebody deleted it
	}
	return stored, err
}
