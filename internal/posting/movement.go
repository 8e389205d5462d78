package posting

import (
	"context"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// dataFailed marks a refund or payout that failed: it is not booked, whatever
// older event still comes.
const dataFailed = "failed"

// cancelBooked cancels the document with a key, if there is one, and gives its
// name.
func (p *Poster) cancelBooked(ctx context.Context, doctype, key string) (string, error) {
	var stored erpnext.Stored
	found, err := p.Site.FindByKey(ctx, doctype, key, &stored)
	if err != nil || !found {
		return "", err
	}
	switch stored.DocStatus {
	case erpnext.Draft:
		return "", p.Site.Delete(ctx, doctype, stored.Name)
	case erpnext.Submitted:
		err = p.Site.Cancel(ctx, doctype, stored.Name)
	}
	return stored.Name, err
}

// ensure is Site.Ensure for documents of money. A draft that an earlier try left
// is made anew: more may be known by now than it says.
func (p *Poster) ensure(ctx context.Context, doctype, key string, doc any) (erpnext.Stored, bool, error) {
	var stored erpnext.Stored
	created, err := p.Site.Ensure(ctx, doctype, key, doc, &stored)
	if err != nil || created || stored.DocStatus != erpnext.Draft {
		return stored, created, err
	}
	if err := p.Site.Delete(ctx, doctype, stored.Name); err != nil {
		return stored, false, err
	}
	stored = erpnext.Stored{}
	created, err = p.Site.Ensure(ctx, doctype, key, doc, &stored)
	return stored, created, err
}

// ensureSubmitted ensures a document and submits it, unless it was cancelled.
func (p *Poster) ensureSubmitted(ctx context.Context, doctype, key string, doc any) (erpnext.Stored, error) {
	stored, _, err := p.ensure(ctx, doctype, key, doc)
	if err != nil {
		return stored, err
	}
	if stored.DocStatus != erpnext.Draft {
		return stored, nil
	}
	return stored, p.Site.Submit(ctx, doctype, stored.Name, nil)
}

// journal ensures a submitted Journal Entry under a key. One without rows is
// not made; one that a person cancelled stays so.
func (p *Poster) journal(ctx context.Context, je erpnext.JournalEntry) (Result, error) {
	var r Result
	if len(je.Accounts) == 0 {
		return r, nil
	}
	stored, err := p.ensureSubmitted(ctx, erpnext.DocJournalEntry, je.Key, je)
	switch {
	case err != nil:
		return r, err
	case stored.DocStatus == erpnext.Cancelled:
		return cancelledByHand(erpnext.DocJournalEntry, stored.Name), nil
	}
	r.add(event.Document{DocType: erpnext.DocJournalEntry, Name: stored.Name, Key: je.Key})
	return r, nil
}
