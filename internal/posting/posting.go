// Package posting brings ERPNext to the wanted state: it ensures that the
// documents of an order or a payment exist, submitted, once. It remembers which
// key became which document, so that nothing is looked up before it is created.
// It knows nothing of webhooks or of how an inbox is stored.
package posting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

// Site is what posting asks of ERPNext.
type Site interface {
	Create(ctx context.Context, doctype string, doc, out any) error
	Ensure(ctx context.Context, doctype, key string, doc, out any) (created bool, err error)
	FindByKey(ctx context.Context, doctype, key string, out any) (found bool, err error)
	HasKeyField(ctx context.Context, doctype string) (bool, error)
	Update(ctx context.Context, doctype, name string, fields map[string]any, out any) error
	Submit(ctx context.Context, doctype, name string, out any) error
	Cancel(ctx context.Context, doctype, name string) error
	Delete(ctx context.Context, doctype, name string) error
	Comment(ctx context.Context, doctype, name, text string) error
	Call(ctx context.Context, httpMethod, name string, args, out any) error
	Get(ctx context.Context, doctype, name string, out any) error
	List(ctx context.Context, q erpnext.Query, out any) error
}

// Memory keeps which key became which document. Losing it costs look-ups,
// never a second document.
type Memory interface {
	Document(ctx context.Context, doctype, key string) (event.Document, bool, error)
	Remember(ctx context.Context, eventID string, docs ...event.Document) error
	Forget(ctx context.Context, doctype, key string) error
	Note(ctx context.Context, name string) (string, bool, error)
	SetNote(ctx context.Context, name, value string) error
}

// Origin is where a document comes from: it makes the idempotency keys.
type Origin struct {
	Provider string // "shopify"
	Source   string // the configured sender
}

// Key names one thing of this origin for ever: "shopify/acme/order/1001".
// ERPNext compares keys without case and trailing blanks, and keeps 140
// characters; a longer key ends in a digest of the whole.
func (o Origin) Key(kind, id string) string {
	key := strings.ToLower(strings.Join([]string{o.Provider, o.Source, kind, id}, "/"))
	if len(key) <= erpnext.MaxKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return key[:erpnext.MaxKey-33] + "~" + hex.EncodeToString(sum[:16])
}

// Desk is where one source's documents are made: its books and its policies.
type Desk struct {
	// ReadBooks reads the site's books; they are kept for some minutes.
	ReadBooks     func(ctx context.Context) (mapping.Books, error)
	Orders        OrderPolicy
	GuestCustomer string        // ERPNext's name; "" = one is made
	UnknownPayer  string        // ERPNext's name; "" = one is made per provider
	WaitForOrder  time.Duration // how long a payment waits for the order it names
	// WaitForFee is how long a payment waits until its provider tells what it
	// did to the balance; 0 = it is booked at once. One that must have been
	// converted, for want of an account in its currency, waits for two hours.
	WaitForFee time.Duration
	Fees       FeePolicy
	Gateways   map[string]Gateway // who books the money of the shop's gateways
	// StopUnderpaid and StopOverpaid leave a payment that is not what its order
	// asks for to a person.
	StopUnderpaid bool
	StopOverpaid  bool
	Customers     CustomerPolicy
	Products      bool // make the items of the shop's products
	// FirstOpenDay books what belongs in a closed period on the first day after
	// it, instead of failing.
	FirstOpenDay bool
}

// Options configures a Poster. Site, Memory and the desks' ReadBooks are needed.
type Options struct {
	Site   Site
	Memory Memory
	Desk   Desk            // of every source that has none of its own
	Desks  map[string]Desk // by source
	// Shops are the origins whose orders a payment may name.
	Shops []Origin
	// Providers are the origins whose payments a shop's transaction may name.
	Providers []Origin
	// CustomersFresh is how old the list of customers' e-mails may be when a
	// new customer is about to be made; 0 = 15 seconds.
	CustomersFresh time.Duration
	Now            func() time.Time // nil = time.Now
}

// Poster posts orders and payments. It is safe for concurrent use; what
// concerns one customer is done one at a time.
type Poster struct {
	Options
	common    *desk
	desks     map[string]*desk
	customers *directory
	turns     *turns
	rates     *rates
}

// desk is a Desk at work.
type desk struct {
	Desk
	books *bookkeeper
}

// New makes a Poster.
func New(o Options) *Poster {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CustomersFresh == 0 {
		o.CustomersFresh = 15 * time.Second
	}
	p := &Poster{
		Options: o, common: newDesk(o.Desk, o.Now), desks: map[string]*desk{},
		turns: &turns{}, rates: &rates{}, customers: &directory{site: o.Site, memory: o.Memory, fresh: o.CustomersFresh, now: o.Now},
	}
	for source, d := range o.Desks {
		p.desks[source] = newDesk(d, o.Now)
	}
	return p
}

func newDesk(d Desk, now func() time.Time) *desk {
	return &desk{Desk: d, books: &bookkeeper{read: d.ReadBooks, now: now}}
}

// desk gives the desk of an origin's source.
func (p *Poster) desk(o Origin) *desk {
	if d, ok := p.desks[o.Source]; ok {
		return d
	}
	return p.common
}

// Result is what an event led to. Documents are those to remember, also when
// posting failed half-way.
type Result struct {
	Documents []event.Document
	Ignored   string       // nothing to book, and why
	Note      string       // how it was done, when that is not the usual way
	Warn      *fault.Error // it was done, but a person should know
}

// note adds to how it was done.
func (r *Result) note(text string) {
	switch {
	case r.Note == "":
		r.Note = text
	case !strings.Contains(r.Note, text):
		r.Note += "; " + text
	}
}

func (r *Result) add(docs ...event.Document) { r.Documents = append(r.Documents, docs...) }

// Warm reads the books and the customers' e-mails ahead of the first event.
func (p *Poster) Warm(ctx context.Context) error {
	desks := slices.Collect(maps.Values(p.desks))
	if p.common.ReadBooks != nil {
		desks = append(desks, p.common)
	}
	for _, d := range desks {
		if _, err := d.books.get(ctx); err != nil {
			return err
		}
	}
	return p.customers.refresh(ctx)
}

// settled notes what an attempt's failure says of the books.
func (d *desk) settled(r Result, err error) (Result, error) {
	switch fault.KindOf(err) {
	case fault.Unmapped, fault.Rejected, fault.Mismatch:
		d.books.doubted()
	}
	return r, err
}

// differs compares amounts; the sixth decimal is beyond every currency and
// within what a site's floating point can blur.
func differs(got, want erpnext.Number) bool { return !got.Round(6).Equal(want.Round(6)) }

// memoryError classes a failure of our own store while posting.
func memoryError(op string, err error) error {
	if err == nil || fault.As(err) != nil {
		return err
	}
	return &fault.Error{Kind: fault.Internal, Op: op, Cause: "the inbox's memory failed", Err: err}
}

// isMissing reports whether ERPNext knows no document of this DocType that a
// create named.
func isMissing(err error, doctype string) bool {
	return fault.KindOf(err) == fault.Missing && erpnext.MissingDocType(err) == doctype
}

// asFault gives the classified failure inside err, if any.
func asFault(err error) *fault.Error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	return nil
}

func cancelledByHand(doctype, name string) Result {
	return Result{Ignored: fmt.Sprintf("%s %s was cancelled in ERPNext: it is not made again", doctype, name)}
}
