// Package event holds the nouns of the inbox: the event, the claim a worker
// holds on it, the attempt it makes and the outcome it reports. It knows
// neither providers nor ERPNext nor how an inbox is stored.
package event

import (
	"crypto/sha256"
	"time"
)

// State is where an event stands. A retry is Pending with a later due time; a
// claim is a lease with a fencing token, not a state.
type State string

// The states of an event.
const (
	Pending State = "pending" // to be carried into ERPNext, now or later
	Done    State = "done"    // every document it asks for exists
	Ignored State = "ignored" // nothing to do, for the reason that is kept
	Dead    State = "dead"    // a person must look: the dead letters
)

// States lists every state, for metrics and filters.
func States() []State { return []State{Pending, Done, Ignored, Dead} }

// Event is one thing that happened, as its sender told it. Source and
// ProviderID together are unique for ever.
type Event struct {
	ID         string // ours, derived from Source and ProviderID; see NewID
	Source     string // the configured sender: "shopify"
	Provider   string // the kind of sender: "shopify", "stripe", "paypal"
	ProviderID string // the sender's own id of the event
	DeliveryID string // the sender's id of this delivery where it is signed (PayPal transmission id), else ""
	Topic      string // what happened, in the sender's words: "orders/create"
	Subject    string // what it is about: "order/820982911946154508"; "" = about nothing else
	SecretSlot string // which configured secret (or method) verified it: "0", "1", "offline", "postback"

	OccurredAt time.Time // by the sender's clock, UTC; zero when it does not say
	ReceivedAt time.Time // by ours, UTC

	Header map[string]string // the request headers worth keeping; never a signature secret
	Body   []byte            // the exact bytes that were verified; nil once retention took them

	// StrictBody asks the inbox to refuse another body under a known
	// ProviderID or DeliveryID: the sender's signature does not bind the body
	// (PayPal signs a CRC-32 of it only).
	StrictBody bool

	// What follows is the inbox's own and zero in an event that is being put.

	State    State
	DueAt    time.Time // pending: not before this time
	Attempts int
	Class    string // fault kind of the last failed attempt, or ""
	Reason   string // why it is ignored, waiting or dead; no customer data
	Hint     string // what a person can do about it
	DocType  string // what the failed call was about: "Sales Order"; "" = no call, or no one document

	// Unreadable says why body and header, which are kept, cannot be read now:
	// the key they are encrypted with is not configured. "" = they can.
	Unreadable string
}

// NewID derives an event's id from its unique pair, so that a repeated
// delivery is answered with the id of the first one without reading it.
func NewID(source, providerID string) string {
	sum := sha256.Sum256([]byte(source + "\x00" + providerID))
	return "ev_" + base32Of(sum[:15])
}

// Receipt is the inbox's answer to an event that was put. Either answer means
// that the event is safe on disk.
type Receipt struct {
	ID        string
	Duplicate bool // it was there already
}

// Claim is a worker's temporary right to carry one event. Only the holder of
// the newest token can settle it.
type Claim struct {
	Event   Event
	Token   int64 // fencing token, grows with every claim
	Attempt int   // 1 for the first
	Until   time.Time
}

// Document is one ERPNext document that an event led to.
type Document struct {
	DocType string
	Name    string // ERPNext's name of it
	Key     string // our idempotency key of it
	// Data is what later events need to know without asking ERPNext, as a flat
	// map of text: an order's customer, currency and total.
	Data map[string]string
}

// Outcome is what an attempt reports when it settles a claim.
type Outcome struct {
	State     State
	DueAt     time.Time // Pending: when to try again
	Result    string    // closed set: "done", "ignored", "retry", "waiting", "dead", "released"
	Class     string    // fault kind of a failure, else ""
	Reason    string    // constant or normalised text without customer data
	Hint      string
	Detail    string // the far side's own words; private, kept with the attempt
	DocType   string // what the failed call was about, else ""
	Exchanges []Exchange
	WaitsFor  []string // result "waiting": the document keys of which any one, when it is posted, wakes it
	Free      bool     // the attempt is not counted: nothing was tried (breaker, shutdown)
	Documents []Document
	// Traces name whom the event mentions, for a later request about personal
	// data. The inbox keeps digests of them; none = nobody looked.
	Traces []string
	// Erase removes what the event itself holds of a person, together with the
	// settlement: it was a request to do so.
	Erase bool
	Took  time.Duration
}

// Attempt is one try to carry an event into ERPNext, as kept in the inbox.
type Attempt struct {
	EventID   string
	Number    int
	StartedAt time.Time
	Took      time.Duration
	Result    string
	Class     string
	Reason    string
	Hint      string
	Detail    string
	Exchanges []Exchange // nil once retention took them
}

// Filter chooses events of a listing. Zero fields do not restrict.
type Filter struct {
	State  State     `json:"state,omitempty"`
	Source string    `json:"source,omitempty"`
	Topic  string    `json:"topic,omitempty"`
	Since  time.Time `json:"since,omitzero"`  // received at or after
	Query  string    `json:"q,omitempty"`     // part of an id, provider id or subject
	Class  string    `json:"class,omitempty"` // fault kind of the last failed attempt
	Group  string    `json:"group,omitempty"` // Cause.ID of dead letters
	Cursor string    `json:"-"`               // where the last page ended
	Limit  int       `json:"-"`               // 0 = 50
}

// Erased is what an erasure did. An event that a worker had in hand was left
// as it was: ask again.
type Erased struct {
	Events int // body, header, details and documents' data are gone
	GaveUp int // of those, were pending or dead and are ignored now
	InHand int
	// Rejections were dropped as a whole: refused requests that mentioned them.
	Rejections int
}

// ErasedOnRequest is the reason of an event that was given up because what it
// held was erased.
const ErasedOnRequest = "erased on request"

// Waits are the longest times an event may be held for. What is held longer was
// written by a clock that was wrong.
type Waits struct {
	Lease    time.Duration
	Retry    time.Duration // until the next try
	Document time.Duration // for a document it waits for
}

// Stats is the inbox at a glance.
type Stats struct {
	ByState       map[State]int64
	OldestPending map[string]time.Time // by source: received time of the oldest pending event
}
