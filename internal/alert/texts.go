package alert

import (
	"cmp"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// manner is how a kind of trouble is treated and told.
type manner struct {
	title    string
	severity Severity
	hold     time.Duration // it has to last this long before anybody is told
	quiet    time.Duration // without a new failure for this long it is over
	silent   bool          // nothing to recover from: the end is not told
	pause    time.Duration // the shortest before a digest, where the usual one would be a nuisance
	auto     string
	fix      string // when the failure brings no hint
	likely   string // when the class says nothing
}

// watched is for how long a condition is believed that nobody has looked at
// again.
const watched = 6 * time.Hour

// A quiet time is longer than the longest pause between two tries, or the
// service would tell of a recovery while it merely waits.
var manners = map[Kind]manner{
	DeadLetter: {
		title: "Events could not be booked", severity: Critical, quiet: 30 * time.Minute,
		auto: "Nothing more: the events are kept as dead letters until somebody replays or dismisses them.",
		fix:  "Look at the event, remove the cause in ERPNext or in the mapping sheet, then replay.",
	},
	SiteDown: {
		title: "ERPNext does not take documents", severity: Critical, hold: time.Minute, quiet: 2 * time.Hour,
		auto: "Webhooks are still accepted and kept. The site is probed with growing pauses of up to two minutes; no event loses its place or an attempt.",
		fix:  "Check that the site is up and reachable from here.",
	},
	ProviderDown: {
		title: "The API does not answer", severity: Warning, hold: time.Minute, quiet: 75 * time.Minute,
		auto: "The events concerned are retried with growing pauses; others go on.",
		fix:  "Check the provider's status page and that its API is reachable from here.",
	},
	Credentials: {
		title: "The key is refused", severity: Critical, quiet: 2 * time.Hour,
		auto: "Webhooks are still accepted and kept. The key is tried again from time to time.",
		fix:  "Set a valid key (one in a file is read again without a restart); `server doctor` checks it.",
	},
	Rights: {
		title: "The ERPNext user lacks a right", severity: Critical, quiet: 75 * time.Minute,
		auto: "The events concerned are retried between every minute and every hour.",
		fix:  "Give the user's role the right; `server doctor` lists what is missing.",
	},
	Mismatch: {
		title: "A total does not add up", severity: Critical, quiet: 30 * time.Minute,
		auto: "Nothing is submitted: a document that ERPNext totals otherwise stays a draft, and the event is kept as a dead letter.",
		fix:  "Compare both totals in the event, correct taxes or rounding in the mapping sheet, then replay.",
	},
	Forgery: {
		title: "A webhook contradicts its provider", severity: Critical, quiet: 30 * time.Minute,
		auto: "Nothing was booked; the event is kept as a dead letter.",
		fix:  "Compare the event with the provider's dashboard. If it is not there, rotate the webhook's secret.",
	},
	OnAccount: {
		title: "A payment was booked without its order", severity: Info, quiet: 30 * time.Minute, silent: true,
		auto: "The payment is booked on account and not lost.",
		fix:  "Find the order and reconcile the payment with it in ERPNext.",
	},
	Attention: {
		title: "Booked, but somebody should look", severity: Info, quiet: 30 * time.Minute, silent: true,
		auto: "Nothing more: the documents are in ERPNext.",
		fix:  "Look at the event and its documents.",
	},
	Privacy: {
		title: "A request about personal data, or the end of a shop", severity: Warning, quiet: 30 * time.Minute, silent: true,
		auto: "Nothing is changed in ERPNext: its documents are the merchant's to decide on.",
		fix:  "Look at the event.",
	},
	Stuck: {
		title: "Events keep failing", severity: Warning, quiet: 75 * time.Minute,
		auto: "The events are retried for days before they are given up.",
		fix:  "Look at the event's attempts; the cause is often a document that somebody locked or renamed.",
	},
	Signatures: {
		title: "Requests with bad signatures", severity: Warning, quiet: 15 * time.Minute,
		auto:   "The requests are answered with 401; a genuine sender will send them again for a while. Nothing is booked; the newest are kept to be verified again.",
		likely: "The secret was rotated at the sender and not here, a proxy changes the body, or somebody probes the address.",
		fix: "Compare the configured secret with the sender's; old and new can be set side by side. " +
			"Then `server events rejected verify` takes in what was refused meanwhile and is genuine.",
	},
	Intake: {
		title: "Requests are refused", severity: Warning, quiet: 15 * time.Minute,
		auto: "A genuine sender will send them again for a while. What was refused for its form or its sender's address is kept, the newest of it; " +
			"what came while the store was busy is not.",
		likely: "The store is full or failing, a sender changed what it sends, or its addresses changed.",
		fix: "`server events rejected list` shows what was kept and why; after the mistake is mended `server events rejected verify` takes it in. " +
			"`server doctor` checks the disk.",
	},
	Backlog: {
		title: "Events wait for too long", severity: Warning, quiet: watched,
		auto:   "Nothing is lost: events keep their place and are tried again for days.",
		likely: "ERPNext is slower than events come, a source is held by hand, or old events keep failing.",
		fix:    "`server status` tells what is held, `server events list --state pending` what waits; the class of the oldest says why.",
	},
	Silence: {
		title: "A source has been silent for too long", severity: Warning, quiet: watched, pause: 4 * time.Hour,
		auto:   "Nothing: what is not sent cannot be fetched here.",
		likely: "The webhook was removed or disabled at the sender, its address changed, or a proxy, DNS or certificate stands in the way.",
		fix:    "Look at the webhook's state in the sender's dashboard. A source that is usually this quiet: raise `no_events_after` in the mapping sheet.",
	},
	OldSecret: {
		title: "A sender still signs with an older secret", severity: Info, hold: 36 * time.Hour, quiet: 48 * time.Hour, pause: 24 * time.Hour,
		auto:   "Its deliveries are accepted.",
		likely: "The rotation of a secret was begun and not ended. Two secrets may also be meant: an app's and the shop's own.",
		fix:    "End the rotation at the sender, then remove the old secret from the source's list.",
	},
	Disk: {
		title: "The inbox's disk is getting full", severity: Warning, quiet: watched,
		auto:   "Bodies of settled events are emptied after their retention. When the disk is full every webhook is refused, and senders try again.",
		likely: "Something else on that disk grew, or ERPNext has been down for long.",
		fix:    "Make room or enlarge the volume now; `server doctor` shows what is left.",
	},
}

var likely = map[fault.Kind]string{
	fault.Internal:    "A bug of this service, or an answer it does not know.",
	fault.Network:     "The site is down, its address is wrong, or the network between is.",
	fault.Timeout:     "The site is overloaded or a background job locks its tables.",
	fault.Unavailable: "The site is restarting, being migrated, or its workers are exhausted.",
	fault.Contention:  "Other users or jobs write the same documents at the same time.",
	fault.RateLimited: "The site's or the provider's request limit is reached.",
	fault.Maintenance: "Somebody put the site in maintenance or read-only mode.",
	fault.Credentials: "The key was revoked or replaced, or its user was disabled.",
	fault.Rights:      "A role of the service's user was changed, or a new DocType is in use.",
	fault.Duplicate:   "Somebody made the document by hand, or under the same name.",
	fault.Missing:     "Somebody deleted or renamed a document in ERPNext.",
	fault.Settled:     "Somebody submitted or cancelled the document by hand.",
	fault.Rejected:    "ERPNext's rules forbid the document: a disabled, frozen or wrong master record.",
	fault.BadRequest:  "A bug of this service, or a customised site.",
	fault.Waiting:     "The document it belongs to never came: created elsewhere, or its event was not sent.",
	fault.Undecodable: "The sender changed the form of its events.",
	fault.Unmapped:    "The mapping sheet does not name an account, item or customer that is in use.",
	fault.Mismatch:    "Taxes or rounding are set up differently in ERPNext and in the shop.",
	fault.Sealed:      "A key was taken out of the configuration before everything was encrypted anew.",
	fault.Forgery:     "A stolen secret or a replayed message; rarely, the provider corrected its record.",
}

// likelyAtProvider are the usual reasons where the API of the sender of the
// webhook failed, and not ERPNext.
var likelyAtProvider = map[fault.Kind]string{
	fault.Network:     "The provider's API is down, or the way from here to it is closed.",
	fault.Timeout:     "The provider's API is overloaded, or the way to it is slow.",
	fault.Unavailable: "The provider has an outage, or something between answers in its place.",
	fault.RateLimited: "The provider's request limit is reached, perhaps by another program with the same key.",
	fault.Credentials: "The key was revoked or replaced at the provider, or belongs to another account or mode.",
	fault.Rights:      "The key is a restricted one, or a permission was taken from it or from its app at the provider.",
	fault.Missing:     "The key belongs to another account or mode than the webhook, or the provider does not know the object yet.",
	fault.BadRequest:  "A bug of this service, or an API of the provider that has changed.",
}

// fixesAtProvider are for failures of a provider's API that bring no hint.
var fixesAtProvider = map[Kind]string{
	DeadLetter:  "Remove the cause at the provider (`server doctor` asks its API), then replay.",
	Credentials: "Set a valid key of the account that sends the webhooks (one in a file is read again without a restart); `server doctor` checks it.",
	Rights:      "Give the key or its app the permission at the provider; `server doctor` asks for each.",
	Stuck:       "Look at the event's attempts, and at the provider's status page; `server doctor` asks its API.",
}

// providerNames are how people write the names of providers.
var providerNames = map[string]string{"shopify": "Shopify", "stripe": "Stripe", "paypal": "PayPal"}

// what is the operation and its normalised cause.
func what(f *fault.Error) string {
	cause := cmp.Or(f.Cause, f.Kind.String())
	if f.Op == "" {
		return cause
	}
	return f.Op + ": " + cause
}
