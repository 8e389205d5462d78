// Package alert turns outcomes into signals for people: what broke, for whom,
// since when, what the service does about it and what is left to do. Failures
// of one cause are one signal with a count, not a thousand messages. It knows
// neither the inbox nor ERPNext, and it never sees what a far side said word
// for word: signals are built from constants and configuration names alone.
package alert

import (
	"context"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Kind says what sort of trouble a signal is about.
type Kind string

// The kinds of trouble a person hears of.
const (
	DeadLetter   Kind = "dead_letter"           // events were given up
	SiteDown     Kind = "erpnext_down"          // the whole site fails
	ProviderDown Kind = "provider_down"         // a sender's own API fails
	Credentials  Kind = "credentials"           // a key is refused
	Rights       Kind = "rights"                // our user in ERPNext, or our key at a provider, may not do something
	Mismatch     Kind = "total_mismatch"        // ERPNext's total differs from the shop's
	Forgery      Kind = "possible_forgery"      // a webhook that its provider contradicts
	OnAccount    Kind = "payment_without_order" // booked, but on account
	Attention    Kind = "attention"             // booked, but a person should know
	Privacy      Kind = "privacy_request"       // somebody asks about personal data, or a shop has ended
	Stuck        Kind = "stuck"                 // events that keep failing
	Signatures   Kind = "signature_failures"    // requests whose signature does not fit
	Intake       Kind = "requests_refused"      // requests refused for another reason
	Backlog      Kind = "backlog_age"           // events wait for too long
	Silence      Kind = "no_events"             // a source sends nothing
	OldSecret    Kind = "old_secret_in_use"     // a rotation was not ended
	Disk         Kind = "disk_low"              // the inbox's disk is getting full
)

// Kinds lists every kind, for texts and tests.
func Kinds() []Kind {
	return []Kind{
		DeadLetter, SiteDown, ProviderDown, Credentials, Rights, Mismatch, Forgery, OnAccount, Attention, Privacy, Stuck, Signatures, Intake,
		Backlog, Silence, OldSecret, Disk,
	}
}

// Entry is the kind's name in the runbook: "DeadLetter".
func (k Kind) Entry() string { return camel(string(k)) }

// State is where a signal's trouble stands.
type State string

// The states of a signal.
const (
	Firing   State = "firing"   // new
	Digest   State = "digest"   // goes on
	Resolved State = "resolved" // over
)

// Severity is how much a signal matters, in Alertmanager's usual words.
type Severity string

// The severities.
const (
	Critical Severity = "critical" // money is not booked, or booked wrong, until somebody acts
	Warning  Severity = "warning"  // somebody has to look
	Info     Severity = "info"     // somebody should know
)

// Signal is one message for people. It holds no customer data.
type Signal struct {
	Kind     Kind
	State    State
	Severity Severity
	Group    string // names the cause; the same for every signal of it
	Title    string // what is wrong, in a few words
	What     string // operation and normalised cause
	Likely   string // the usual reason of this class of failure
	Fix      string // what a person can do
	Auto     string // what the service does by itself
	Class    string // fault kind, or the intake's outcome

	Count   int           // failures since the trouble began
	New     int           // of those, since the last signal of the group
	Open    int           // events of the group that are not in ERPNext yet, as far as known
	Since   time.Time     // when it began, UTC
	At      time.Time     // when the signal was made, UTC
	Lasted  time.Duration // from Since to At; resolved: to the last failure or the first success after it
	Expires time.Time     // without another signal until then, it is over
	NextTry time.Time     // zero: the service does not try by itself

	Sources       []string
	SampleEventID string
	SampleTopic   string

	Steady bool // it is so or it is not: there is nothing to count
}

// Condition is what somebody who looks now and then found, be it good or bad.
// Kind and Source name it.
type Condition struct {
	Kind   Kind
	Source string // "" = it is about the service
	Bad    bool
	What   string    // constants, numbers, times and configuration names
	Since  time.Time // when it began as far as known; zero: when it was first found
}

// Sender is a way to people. Send returns a *fault.Error whose kind says
// whether another try can help and whose RetryAfter says when.
type Sender interface {
	Name() string
	Send(ctx context.Context, s Signal) error
}

// Report is one settled attempt, as the worker tells it.
type Report struct {
	Event   event.Event // without Body
	Attempt int
	Outcome event.Outcome
	Fault   *fault.Error // what failed, or what a person should know of a success, or nil
	At      time.Time
}
