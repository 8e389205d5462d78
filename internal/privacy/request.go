package privacy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Answer is what came of a shop's request.
type Answer struct {
	Note  string
	Tell  *fault.Error // for the operator, with operations named "privacy."
	Erase bool         // the request itself is to be erased with its settlement
}

const inERPNext = "ERPNext was not changed: Contact, Address and Customer there are yours to decide on, accounting documents usually have to stay"

// Handle acts on a shop's request, told of in ev. It can be repeated: an export
// is written once per request, and what is erased stays so. The sources in
// except are left alone. Busy: events of the person are being worked on, or the
// export's folder fails; Sealed: bodies cannot be read. Both pass.
func (d *Desk) Handle(ctx context.Context, ev event.Event, p commerce.Privacy, except map[string]bool) (Answer, error) {
	person := Person{Customer: p.CustomerID, Email: p.Email, Phone: p.Phone, Orders: p.OrderIDs, Except: except}
	r := request{desk: d, event: ev, id: requestID(ev, p), person: person}
	switch p.Kind {
	case commerce.PrivacyExport:
		return r.export(ctx)
	case commerce.PrivacyRedact:
		return r.redact(ctx, "privacy.redact", "the customer's stored data")
	case commerce.PrivacyRedactShop:
		r.person = Person{Source: ev.Source}
		return r.redact(ctx, "privacy.redact_shop", "everything stored of the shop")
	case commerce.ShopUninstalled:
		return r.answer("privacy.uninstalled", "the shop's webhooks have ended: the app was uninstalled; the source is paused, and what it sends is kept",
			"if that was not meant, install the app again, register its webhooks and run server resume "+r.event.Source+
				". Else remove the source's secrets later: in 48 hours the shop asks to erase what is stored of it, which is done once the source is resumed"), nil
	default:
		return Answer{}, fault.New(fault.Undecodable, "privacy.handle", "no such kind of request")
	}
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// requestID names a request in file names and alerts: the sender's id, or a
// digest of what may hold anything.
func requestID(ev event.Event, p commerce.Privacy) string {
	if plainID.MatchString(p.RequestID) {
		return p.RequestID
	}
	sum := sha256.Sum256([]byte(ev.ID + p.RequestID))
	return hex.EncodeToString(sum[:8])
}

type request struct {
	desk   *Desk
	event  event.Event
	id     string
	person Person
}

func (r request) answer(op, cause, hint string) Answer {
	return Answer{Note: cause, Tell: &fault.Error{Kind: fault.Internal, Op: op, Cause: "request " + r.id + " of " + r.event.Source + ": " + cause, Hint: hint}}
}

func (r request) export(ctx context.Context) (Answer, error) {
	if len(r.person.traces()) == 0 {
		return r.answer("privacy.export", "the request names nobody: nothing was written", "ask the shop whom it concerns"), nil
	}
	path, n, err := r.desk.Export(ctx, r.person, r.event.Source+"-"+r.id, r.event.ID)
	if f := fault.As(err); f != nil && f.Kind == fault.Conflict {
		err = nil // written by an earlier try
	}
	if err != nil {
		return Answer{}, err
	}
	file := filepath.Base(path)
	what := fmt.Sprintf("%d events and refused requests were written to %s in the export folder", n, file)
	if n == 0 {
		what = "the export is " + file + " in the export folder"
	}
	return r.answer("privacy.export", "a customer asks for their data; "+what,
		"send it to whom it concerns within 30 days, with what ERPNext holds of them, then delete the file. "+inERPNext), nil
}

// redact erases, and then the request too: it holds the e-mail.
func (r request) redact(ctx context.Context, op, what string) (Answer, error) {
	if r.person.Source == "" && len(r.person.traces()) == 0 {
		return r.answer(op, "the request names nobody: nothing was erased", "ask the shop whom it concerns"), nil
	}
	n, err := r.desk.Erase(ctx, r.person, r.event.ID)
	if err == nil && n.InHand > 0 {
		err = &fault.Error{Kind: fault.Busy, Op: op, Cause: "events of the request are being worked on", Hint: "nothing to do: it is tried again"}
	}
	if err != nil {
		return Answer{}, err
	}
	a := r.answer(op, fmt.Sprintf("%s was erased: %d events, %d of them not booked yet and given up, and %d refused requests", what, n.Events, n.GaveUp, n.Rejections),
		inERPNext+"; exports and backups made before hold the data still")
	a.Erase = true
	return a, nil
}
