package posting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

// found is a customer that exists, or the one that is to be made.
type found struct {
	name   string           // ERPNext's; "" = there is none
	wanted erpnext.Customer // to be made when there is none
	email  string           // of the wanted one, to be remembered
	fresh  bool             // found in a way that the memory does not hold yet
	said   string           // digest of what the shop says of it that may be updated
	heard  string           // digest of what it said last; "" = nobody remembers
}

// counter is where a customer is sought: a source's desk, with its books open.
type counter struct {
	*desk
	books  mapping.Books
	origin Origin
}

// customer finds or makes the ERPNext customer of an order: by the shop's
// customer id, then by e-mail, never by name. It returns ERPNext's name.
func (p *Poster) customer(ctx context.Context, c counter, o commerce.Order, r *Result) (madeCustomer, error) {
	f, err := p.seekBuyer(ctx, c, o)
	if err != nil {
		return madeCustomer{}, err
	}
	made, err := p.ensureCustomer(ctx, f, r)
	if err != nil {
		return made, err
	}
	switch err := p.updateCustomer(ctx, made.name, f, c.Customers.Update, r); fault.KindOf(err) {
	case fault.Rejected, fault.Rights, fault.Missing: // no reason to leave an order unbooked; a missing one is found out by the order
		r.note("the customer was not updated: " + fault.As(err).Cause)
	default:
		if err != nil {
			return made, err
		}
	}
	return made, nil
}

// madeCustomer is a customer in ERPNext, and the Address that was made with it.
type madeCustomer struct{ name, address string }

func (p *Poster) seekCustomer(ctx context.Context, c counter, party *commerce.Party) (found, error) {
	if party != nil && party.Email != "" && !mapping.ValidEmail(party.Email) {
		plain := *party // what is no address identifies nobody: two tills may both say "pos@shop"
		plain.Email = ""
		party = &plain
	}
	if party == nil || party.ID+party.CompanyID+party.Email == "" {
		return p.seekStandIn(ctx, c, standIn{"guest", c.GuestCustomer, "Shop Guest"})
	}
	f, err := p.remembered(ctx, c, *party, customerKey(c.origin, *party))
	f.email = party.Email
	if err != nil || f.name != "" {
		return f, err
	}
	if party.Email != "" {
		f.name, f.fresh, err = p.customers.byEmail(ctx, party.Email)
	}
	return f, err
}

func (p *Poster) ensureCustomer(ctx context.Context, f found, r *Result) (madeCustomer, error) {
	if f.name == "" {
		return p.makeCustomer(ctx, f, r)
	}
	if f.fresh {
		r.add(customerDocument(f.name, f))
	}
	return madeCustomer{name: f.name}, nil
}

// seekBuyer is the customer of an order: one of its own, where the sheet asks
// for that and the buyer has no account. It is not found by e-mail, then or later.
func (p *Poster) seekBuyer(ctx context.Context, c counter, o commerce.Order) (found, error) {
	party := o.Customer
	nobody := party == nil || party.Email+party.FirstName+party.LastName+party.Company == ""
	if !c.Customers.OnePerGuest || party != nil && party.ID+party.CompanyID != "" || nobody && c.GuestCustomer != "" {
		return p.seekCustomer(ctx, c, party)
	}
	if nobody {
		party = &commerce.Party{FirstName: "Guest", LastName: o.Name}
	}
	return p.remembered(ctx, c, *party, guestKey(c.origin, o.ID))
}

// remembered is a customer as the memory has it under a key, if it has.
func (p *Poster) remembered(ctx context.Context, c counter, party commerce.Party, key string) (found, error) {
	f := found{wanted: c.books.Customer(party, key)}
	var err error
	if f.wanted.Extra, err = c.books.CustomerFields(party); err != nil {
		return f, err
	}
	f.said = customerDigest(f.wanted)
	doc, _, err := p.Memory.Document(ctx, erpnext.DocCustomer, key)
	f.name, f.heard = doc.Name, doc.Data["said"]
	return f, memoryError("posting.customer", err)
}

func guestKey(o Origin, order string) string { return o.Key("guest-order", order) }

// customerKey names a party by the shop's id of its company or of itself, or a
// guest by a digest of the e-mail: the address itself is not spread into keys.
func customerKey(o Origin, party commerce.Party) string {
	if party.CompanyID != "" {
		return o.Key("company", party.CompanyID)
	}
	if party.ID != "" {
		return o.Key("customer", party.ID)
	}
	return o.Key("guest", emailDigest(party.Email))
}

func emailDigest(email string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(email))))
	return hex.EncodeToString(sum[:16])
}

func (p *Poster) makeCustomer(ctx context.Context, f found, r *Result) (madeCustomer, error) {
	c, email := f.wanted, f.email
	var stored erpnext.Stored
	_, err := p.Site.Ensure(ctx, erpnext.DocCustomer, c.Key, c, &stored)
	if refused := asFault(err); refused != nil && refused.Kind == fault.Rejected && strings.HasPrefix(refused.Cause, "NameError") {
		// The name is taken by a Customer Group (erpnext/selling/doctype/customer).
		c.CustomerName += " (shop)"
		_, err = p.Site.Ensure(ctx, erpnext.DocCustomer, c.Key, c, &stored)
	}
	if err != nil {
		return madeCustomer{}, err
	}
	doc := customerDocument(stored.Name, f)
	docs := []event.Document{doc}
	if email != "" {
		docs = append(docs, emailDocument(email, stored.Name))
	}
	r.add(doc)
	// At once, not with the outcome: the next order of this customer may be
	// handled before this event is settled.
	return madeCustomer{stored.Name, stored.PrimaryAddress}, memoryError("posting.customer", p.Memory.Remember(ctx, "", docs...))
}

// standIn is a customer that stands for nobody known.
type standIn struct {
	kind       string // in the key
	configured string // ERPNext's name; "" = one of our own is made
	title      string
}

func (p *Poster) seekStandIn(ctx context.Context, c counter, s standIn) (found, error) {
	if s.configured != "" {
		return found{name: s.configured}, nil
	}
	f := found{wanted: c.books.Customer(commerce.Party{FirstName: s.title}, c.origin.Key("customer", s.kind))}
	name, _, err := p.known(ctx, erpnext.DocCustomer, f.wanted.Key)
	f.name = name
	return f, err
}

// known asks the memory for a document's name.
func (p *Poster) known(ctx context.Context, doctype, key string) (string, bool, error) {
	doc, ok, err := p.Memory.Document(ctx, doctype, key)
	return doc.Name, ok, memoryError("posting.memory", err)
}
