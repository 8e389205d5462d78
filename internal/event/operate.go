package event

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"
)

// Exchange is one call to ERPNext during an attempt, with what may be kept of
// it: names of fields, our own keys and amounts, and no customer data.
type Exchange struct {
	Op        string        `json:"op"` // "erpnext.create Sales Order"
	Method    string        `json:"method"`
	DocType   string        `json:"doctype,omitempty"`
	StartedAt time.Time     `json:"started_at"`
	Took      time.Duration `json:"took"`
	Request   string        `json:"request,omitempty"`  // JSON with its texts withheld; "" = there was no body
	Status    int           `json:"status,omitempty"`   // 0 = there was no answer
	ExcType   string        `json:"exc_type,omitempty"` // ERPNext's exception class
	Message   string        `json:"message,omitempty"`  // why it was refused, normalised
	Class     string        `json:"class,omitempty"`    // fault kind; "" = it worked
	Response  string        `json:"response,omitempty"` // JSON of the answer without its texts and without what says nothing; "" = there was none
}

// Cause is what dead letters are grouped by: the class, the normalised message
// and the DocType that the failed call was about ("" = none).
type Cause struct {
	Class   string `json:"class"`
	Reason  string `json:"reason"`
	DocType string `json:"doctype,omitempty"`
}

// ID names the cause: the same cause has the same id in every inbox.
func (c Cause) ID() string {
	sum := sha256.Sum256([]byte(c.Class + "\x00" + c.Reason + "\x00" + c.DocType))
	return "pr_" + base32Of(sum[:10])
}

func base32Of(b []byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

// Group is all dead letters of one cause.
type Group struct {
	Cause
	Count     int64
	FirstSeen time.Time // when the first of them died; UTC
	LastSeen  time.Time
	Sources   []string
	Topics    []string
	Sample    string // id of the newest of them
	Hint      string // the sample's: what a person can do
}

// Action is what an operator does to events.
type Action string

// The actions of a run.
const (
	ActionReplay  Action = "replay"
	ActionDismiss Action = "dismiss"
)

// RunState is how far a run has got.
type RunState string

// The states of a run.
const (
	RunPlanning  RunState = "planning" // its events are being chosen
	RunPlanned   RunState = "planned"  // nothing happens until it is started
	RunRunning   RunState = "running"
	RunDone      RunState = "done"
	RunCancelled RunState = "cancelled"
)

// Run is an action on everything that matched a filter. The events are chosen
// when it is planned: what comes later is not part of it, and an event whose
// state has changed since is skipped.
type Run struct {
	ID      string
	Action  Action
	State   RunState
	Filter  Filter
	Reason  string // of a dismissal
	Rate    int    // events per second
	By      Actor  // who planned it
	Plan    []PlannedCause
	Total   int64
	Done    int64 // so many were replayed or dismissed
	Skipped int64 // so many had another state by then, or were in a worker's hands

	PlannedAt time.Time
	StartedAt time.Time // zero = not started
	EndedAt   time.Time // zero = not over
}

// Over reports whether nothing more will happen.
func (r Run) Over() bool { return r.State == RunDone || r.State == RunCancelled }

// PlannedCause is how many of a run's events have which state and cause.
type PlannedCause struct {
	Cause
	State State `json:"state"`
	Count int64 `json:"count"`
}

// Actor is who does something.
type Actor struct {
	Name    string `json:"name"`              // the token's name, the user of the command line, "service"
	Via     string `json:"via"`               // "api", "command", "service"
	Address string `json:"address,omitempty"` // of an API client
}

type actorKey struct{}

// WithActor says who acts in this context. The inbox writes it down with what
// is done.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf tells who acts in this context; the service itself when nobody else
// was named.
func ActorOf(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Name: "service", Via: "service"}
}

// Deed is one line of the audit: who did what to which event, run, source or
// rejected request.
type Deed struct {
	Number int64 // grows with every deed
	At     time.Time
	By     Actor
	Action string // "replay", "dismiss", "plan", "start", "cancel", "finish", "pause", "resume", "accept"
	Target string // an id of ours, or a source
	Note   string // a reason, a count; no customer data but what the operator wrote
}

// DeedFilter chooses deeds of a listing. Zero fields do not restrict.
type DeedFilter struct {
	Target string
	Before int64 // number of the last deed of the page before
	Limit  int   // 0 = 50
}

// Rejection is a request that was refused at the door, kept so that it can be
// verified again after a mistake of the configuration is put right.
type Rejection struct {
	ID         string
	Source     string
	Class      string // fault kind: "bad_signature"
	Reason     string // constant text
	Client     string // the sender's address
	ReceivedAt time.Time
	Header     map[string][]string
	Body       []byte
	Size       int64 // of the whole body as far as it is known
	Whole      bool  // Body is all of it
	// Unreadable says why header and body, which are kept, cannot be read now;
	// see Event.Unreadable.
	Unreadable string
}

// RejectionFilter chooses rejections of a listing. Zero fields do not restrict.
type RejectionFilter struct {
	Source string
	Class  string
	Before string // where the last page ended
	Limit  int    // 0 = 50
}

// RejectionBounds hold what is kept of rejected requests; the newest stay.
type RejectionBounds struct {
	PerSource int           // requests
	Bytes     int64         // of headers and bodies, per source
	Age       time.Duration // since they arrived
}

// AllSources is the source of a pause that holds everything.
const AllSources = ""

// Pause is a source, or all of them, held by hand: its events stay pending and
// spend no attempts.
type Pause struct {
	Source string // AllSources = every one
	Since  time.Time
	By     Actor
	Reason string
}
