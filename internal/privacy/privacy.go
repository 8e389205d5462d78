// Package privacy finds, hands out and erases what the inbox holds of a person
// or of a shop. It knows events and what people are found by; it knows neither
// HTTP nor how an inbox is stored, and it changes nothing in ERPNext.
package privacy

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Inbox is what is asked of the store.
type Inbox interface {
	Traced(ctx context.Context, traces []string) ([]event.Event, error)
	Untraced(ctx context.Context, cursor string, limit int) ([]event.Event, string, error)
	Unerased(ctx context.Context, source, cursor string, limit int) ([]event.Event, string, error)
	Erase(ctx context.Context, ids, keep []string) (event.Erased, error)
	Get(ctx context.Context, id string) (event.Event, []event.Attempt, []event.Document, error)
	Forget(ctx context.Context, doctype, key string) error
	Refused(ctx context.Context, cursor string, limit int) ([]event.Rejection, string, error)
	Rejection(ctx context.Context, id string) (event.Rejection, error)
	DropRejections(ctx context.Context, ids []string) (int, error)
}

// Person says by what somebody is found. Any one field that fits is enough.
// Without any it is everything of Source.
type Person struct {
	Customer string // the shop's id
	Email    string
	Phone    string
	Orders   []string        // the shop's ids
	Source   string          // "" = wherever Except does not hold
	Except   map[string]bool // sources that are left alone: another shop's customer is another's business
}

func (p Person) traces() []string {
	var all []string
	add := func(t string) {
		if t != "" {
			all = append(all, t)
		}
	}
	if p.Customer != "" {
		add(idTrace("customer", p.Customer))
	}
	if p.Email != "" {
		add(emailTrace(p.Email))
	}
	add(phoneTrace(p.Phone))
	for _, id := range p.Orders {
		add(idTrace("order", id))
	}
	return all
}

func (p Person) within(source string) bool {
	return !p.Except[source] && (p.Source == "" || p.Source == source)
}

// Options of a Desk. Inbox, Dir and Memory are needed.
type Options struct {
	Inbox Inbox
	Dir   string // where exports are written
	// Memory lists what is remembered of an e-mail address beside the events.
	Memory func(email string) []event.Document
	// Customer is the DocType whose documents' very names are personal: they
	// are forgotten and not merely emptied.
	Customer string
	// Keep names the values of a document's data that say nothing of a person.
	Keep []string
	Now  func() time.Time // nil = time.Now
}

// Desk answers requests about personal data.
type Desk struct{ Options }

// New makes a Desk. It touches nothing.
func New(o Options) *Desk {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Desk{o}
}

// Found is what the inbox holds, oldest first and without bodies: events, and
// requests that were refused at the door, for these are kept too.
type Found struct {
	Events     []event.Event
	Rejections []event.Rejection
}

func (f Found) rejectionIDs() []string {
	ids := make([]string, 0, len(f.Rejections))
	for _, r := range f.Rejections {
		ids = append(ids, r.ID)
	}
	return ids
}

// IDs are the events' ids.
func (f Found) IDs() []string {
	ids := make([]string, 0, len(f.Events))
	for _, ev := range f.Events {
		ids = append(ids, ev.ID)
	}
	return ids
}

// One page holds so many bodies at once; a refused request's may have 1 MiB.
const (
	page        = 200
	refusedPage = 20
)

// Find tells which events and refused requests concern p: those that mention
// them, and those about the same order or payment. Nothing is changed. Malformed: p names nobody.
// Sealed: some bodies cannot be read, so that nobody can say whom they mention.
func (d *Desk) Find(ctx context.Context, p Person) (Found, error) {
	traces := p.traces()
	if len(traces) == 0 {
		return d.ofSource(ctx, p)
	}
	s := search{desk: d, person: p, seen: map[string]bool{}}
	// The second time round, also what is about the same things.
	for range 2 {
		if err := s.run(ctx, traces); err != nil {
			return Found{}, err
		}
		traces = append(traces, s.related()...)
	}
	slices.SortStableFunc(s.found, func(a, b event.Event) int { return a.ReceivedAt.Compare(b.ReceivedAt) })
	refused, err := d.refused(ctx, p, traces)
	return Found{s.found, refused}, err
}

// refused searches what was refused at the door, without traces of its own: it
// is little, and leaves by itself. No traces = all of it.
func (d *Desk) refused(ctx context.Context, p Person, traces []string) ([]event.Rejection, error) {
	var found []event.Rejection
	for cursor := ""; ; {
		all, next, err := d.Inbox.Refused(ctx, cursor, refusedPage)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			if !p.within(r.Source) {
				continue
			}
			if r.Unreadable != "" && len(traces) > 0 {
				return nil, unsearchable("a refused request cannot be read: " + r.Unreadable)
			}
			if len(traces) == 0 || refusedMentions(r, traces) {
				r.Body, r.Header = nil, nil
				found = append(found, r)
			}
		}
		if next == "" {
			return found, nil
		}
		cursor = next
	}
}

func unsearchable(cause string) error {
	return &fault.Error{
		Kind: fault.Sealed, Op: "privacy.find", Cause: cause,
		Hint: "configure its key in LEDGERHOOK_BODY_KEYS again, then ask again: nothing was left out silently",
	}
}

func (d *Desk) ofSource(ctx context.Context, p Person) (Found, error) {
	if p.Source == "" {
		return Found{}, fault.New(fault.Malformed, "privacy.find", "nobody is named: no e-mail, phone, customer, order or source")
	}
	var all []event.Event
	for cursor := ""; ; {
		events, next, err := d.Inbox.Unerased(ctx, p.Source, cursor, page)
		if err != nil {
			return Found{}, err
		}
		all = append(all, events...)
		if next == "" {
			refused, err := d.refused(ctx, p, nil)
			return Found{all, refused}, err
		}
		cursor = next
	}
}

// search is one Find as far as it got.
type search struct {
	desk   *Desk
	person Person
	seen   map[string]bool
	found  []event.Event
}

func (s *search) take(ev event.Event) {
	if s.seen[ev.ID] || !s.person.within(ev.Source) {
		return
	}
	s.seen[ev.ID] = true
	ev.Body, ev.Header = nil, nil
	s.found = append(s.found, ev)
}

func (s *search) run(ctx context.Context, traces []string) error {
	events, err := s.desk.Inbox.Traced(ctx, traces)
	if err != nil {
		return err
	}
	for _, ev := range events {
		s.take(ev)
	}
	return s.scan(ctx, traces)
}

// scan searches the bodies that no attempt has traced: pending ones, and those
// of an older version.
func (s *search) scan(ctx context.Context, traces []string) error {
	for cursor := ""; ; {
		events, next, err := s.desk.Inbox.Untraced(ctx, cursor, page)
		if err != nil {
			return err
		}
		for _, ev := range events {
			if ev.Unreadable != "" && s.person.within(ev.Source) {
				return unsearchable("a stored body cannot be read: " + ev.Unreadable)
			}
			if mentions(ev, traces) {
				s.take(ev)
			}
		}
		if next == "" {
			return nil
		}
		cursor = next
	}
}

func mentions(ev event.Event, traces []string) bool {
	return slices.ContainsFunc(allTraces(ev), func(t string) bool { return slices.Contains(traces, t) })
}

// refusedMentions looks for them in the body, and for addresses in the headers
// too: anybody may have sent it. Its topic was never verified, so an id counts
// as an order's and as a customer's.
func refusedMentions(r event.Rejection, traces []string) bool {
	for _, topic := range []string{"orders", "customers"} {
		if mentions(event.Event{Source: r.Source, Topic: topic, Body: r.Body}, traces) {
			return true
		}
	}
	f := finder{}
	for _, values := range r.Header {
		for _, v := range values {
			f.addresses(v)
		}
	}
	return slices.ContainsFunc(f.found, func(t string) bool { return slices.Contains(traces, t) })
}

// related are the things that the found events are about.
func (s *search) related() []string {
	var traces []string
	for _, ev := range s.found {
		traces = append(traces, subjectTrace(ev))
		if id, ok := strings.CutPrefix(ev.Subject, "order/"); ok {
			traces = append(traces, idTrace("order", id))
		}
	}
	traces = slices.DeleteFunc(traces, func(t string) bool { return t == "" })
	slices.Sort(traces)
	return slices.Compact(traces)
}

// Erase removes what the inbox holds of p, but for the event `except`, which
// may be the request itself, and forgets the customer behind it. It can be
// repeated. What a worker has in hand is counted and left: ask again.
func (d *Desk) Erase(ctx context.Context, p Person, except string) (event.Erased, error) {
	found, err := d.Find(ctx, p)
	if err != nil {
		return event.Erased{}, err
	}
	found.Events = slices.DeleteFunc(found.Events, func(ev event.Event) bool { return ev.ID == except })
	if err := d.forget(ctx, p, found); err != nil {
		return event.Erased{}, err
	}
	dropped, err := d.Inbox.DropRejections(ctx, found.rejectionIDs())
	if err != nil {
		return event.Erased{Rejections: dropped}, err
	}
	erased, err := d.Inbox.Erase(ctx, found.IDs(), d.Keep)
	erased.Rejections = dropped
	return erased, err
}

// forget drops the memory of the customer: it costs a look-up in ERPNext when
// they come again, never a second customer.
func (d *Desk) forget(ctx context.Context, p Person, found Found) error {
	var docs []event.Document
	if p.Email != "" {
		docs = d.Memory(p.Email)
	}
	for _, ev := range found.Events {
		_, _, made, err := d.Inbox.Get(ctx, ev.ID)
		if err != nil {
			return err
		}
		docs = append(docs, made...)
	}
	for _, doc := range docs {
		if doc.DocType != d.Customer {
			continue
		}
		if err := d.Inbox.Forget(ctx, doc.DocType, doc.Key); err != nil {
			return err
		}
	}
	return nil
}
