// Package fault names the ways in which something can go wrong. The set is
// closed: a kind decides the HTTP answer, whether and how fast to try again,
// whether a person is needed, and the metric label. It knows nothing of
// webhooks, ERPNext or storage; those packages choose a kind from here.
package fault

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Kind says what sort of failure happened. Its String is the `class` label of
// metrics, log lines, alerts and the inbox.
type Kind uint8

// Kinds of the intake come first, then those of a delivery to ERPNext or a
// provider's API.
const (
	Internal Kind = iota // nobody classified it: a bug until proven otherwise

	Malformed    // signed well, but not the JSON object or the headers we need
	BadSignature // signature missing, wrong, too old or too new
	Forbidden    // the sender's address is not allowed
	NotFound     // no such source, event or document of ours
	BadMethod    // not a POST
	Conflict     // another body under a known event or transmission id
	TooLarge     // body over the limit
	Unsupported  // Content-Encoding or media type we do not read
	Busy         // our store is busy beyond its bound, full, failing or closing

	Network     // the far side was not reached, or the connection broke: outcome unknown
	Timeout     // no answer in time: outcome unknown
	Unavailable // 5xx or an HTML page instead of an answer: outcome unknown
	Contention  // deadlock, lock wait, lost race: rolled back for certain
	RateLimited // 429; RetryAfter when the far side said
	Maintenance // the site is in maintenance or read-only
	Credentials // the far side does not know our key
	Rights      // our user may not do this
	Duplicate   // the key or name exists already: look it up
	Missing     // the far side has no such document
	Settled     // the document already is where we wanted it
	Rejected    // understood and refused; the same call never works
	BadRequest  // the far side failed on our request's form: a bug of ours
	Waiting     // something this event names is not there yet
	Undecodable // a payload that cannot be read as what its topic promises
	Unmapped    // the configuration has no account, item or customer for this
	Mismatch    // ERPNext's total differs from the shop's
	Forgery     // the provider's API contradicts the webhook
	Sealed      // our stored copy is encrypted with a key that is not configured
	numKinds    // not a kind
)

var names = [numKinds]string{
	"internal",
	"malformed", "bad_signature", "forbidden", "not_found", "bad_method", "conflict", "too_large", "unsupported", "busy",
	"network", "timeout", "unavailable", "contention", "rate_limited", "maintenance", "credentials", "rights",
	"duplicate", "missing", "settled", "rejected", "bad_request", "waiting", "undecodable", "unmapped", "mismatch", "forgery", "sealed",
}

func (k Kind) String() string {
	if k >= numKinds {
		return names[Internal]
	}
	return names[k]
}

// Delivery lists every kind an attempt can end with, for metrics that must
// exist at zero from the start.
func Delivery() []Kind {
	kinds := []Kind{Internal}
	for k := Network; k < numKinds; k++ {
		kinds = append(kinds, k)
	}
	return kinds
}

// ParseKind finds the kind of a stored class name. An unknown name is Internal.
func ParseKind(name string) Kind {
	for i, n := range names {
		if n == name {
			return Kind(i)
		}
	}
	return Internal
}

// Retry says how a failed delivery goes on.
type Retry uint8

// Ways to go on after a failure.
const (
	Never  Retry = iota // a person must look: dead letter
	AFew                // perhaps a bug, perhaps a hiccup: a few tries, then dead
	Soon                // seconds to minutes, growing
	Slowly              // minutes to an hour: somebody must act, or the site is down on purpose
)

// Retry tells whether, and how fast, a delivery that failed this way may be
// tried again.
func (k Kind) Retry() Retry {
	switch k {
	case Network, Timeout, Unavailable, Contention, RateLimited, Duplicate, Missing, Busy, Waiting:
		return Soon
	case Maintenance, Credentials, Rights, Sealed:
		return Slowly
	case Internal, BadRequest, Settled:
		return AFew
	default:
		return Never
	}
}

// SiteWide reports whether the failure concerns the whole ERPNext site rather
// than one event, so that trying other events now would fail as well.
func (k Kind) SiteWide() bool {
	switch k {
	case Network, Timeout, Unavailable, RateLimited, Maintenance, Credentials:
		return true
	default:
		return false
	}
}

// OutcomeUnknown reports whether the far side may have done what was asked
// although the call failed. Facts: erpnext-api, section 5.
func (k Kind) OutcomeUnknown() bool {
	switch k {
	case Internal, Network, Timeout, Unavailable:
		return true
	default:
		return false
	}
}

// Error is a classified failure.
//
// Op, Cause and Hint are constant or built from names of our own configuration
// and of ERPNext's DocTypes and fields: they may be logged, alerted and used to
// group. They never hold a secret or customer data. Detail is what the far side
// said, word for word; it may hold customer data, so it is stored with the
// attempt and shown to the operator alone, never logged.
type Error struct {
	Kind       Kind
	Op         string        // what was tried: "erpnext.create Sales Order"
	Cause      string        // why it failed, normalised: "LinkValidationError: Customer Group"
	Hint       string        // what a person can do about it
	Detail     string        // the far side's own words; private
	RetryAfter time.Duration // what the far side asked for; 0 when it did not
	WaitsFor   []string      // Kind Waiting: the document keys of which any one, when it is posted, wakes the event
	Err        error         // the underlying error; must be free of secrets
}

func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	if e.Op != "" {
		parts = append(parts, e.Op)
	}
	if e.Cause != "" {
		parts = append(parts, e.Cause)
	} else {
		parts = append(parts, e.Kind.String())
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives the underlying error.
func (e *Error) Unwrap() error { return e.Err }

// New makes a classified failure without an underlying error.
func New(kind Kind, op, cause string) *Error {
	return &Error{Kind: kind, Op: op, Cause: cause}
}

// As finds the outermost classified failure in err's chain, or nil.
func As(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return nil
}

// KindOf tells the kind of err: the outermost classified failure's; Timeout
// for a deadline that ran out, Network for a cancelled call; else Internal.
func KindOf(err error) Kind {
	if e := As(err); e != nil {
		return e.Kind
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Network
	default:
		return Internal
	}
}
