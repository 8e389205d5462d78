package posting

import (
	"context"
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// directory knows ERPNext's customers by e-mail, so that an existing customer
// is found without a question per order. It reads all of them once and then
// only what was modified since, when it is older than `fresh`.
type directory struct {
	site   Site
	memory Memory
	fresh  time.Duration
	now    func() time.Time

	mu     sync.Mutex
	readAt time.Time
}

const (
	directoryPage = 500
	watermarkNote = "customers_modified_until" // in the site's time zone, as ERPNext writes it
)

// byEmail finds the customer with this e-mail.
func (d *directory) byEmail(ctx context.Context, email string) (string, bool, error) {
	if err := d.refresh(ctx); err != nil {
		return "", false, err
	}
	doc, ok, err := d.memory.Document(ctx, erpnext.DocCustomer, emailDocument(email, "").Key)
	return doc.Name, ok, memoryError("posting.directory", err)
}

// forget takes the customer of an e-mail out of the memory, and has the whole
// list read again before the next look: who was renamed or merged does not count
// as modified.
func (d *directory) forget(ctx context.Context, email string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readAt = time.Time{}
	if err := d.memory.SetNote(ctx, watermarkNote, ""); err != nil || email == "" {
		return memoryError("posting.directory", err)
	}
	return memoryError("posting.directory", d.memory.Forget(ctx, erpnext.DocCustomer, emailDocument(email, "").Key))
}

// emailDocument is the memory of an e-mail: a digest, so that the memory holds
// no address.
func emailDocument(email, name string) event.Document {
	return event.Document{DocType: erpnext.DocCustomer, Name: name, Key: "email/" + emailDigest(email)}
}

// MemoryOfEmail is what is remembered of an e-mail address beside the events.
func MemoryOfEmail(email string) []event.Document {
	return []event.Document{emailDocument(email, "")}
}

type customerRow struct {
	Name     string `json:"name"`
	Email    string `json:"email_id"`
	Modified string `json:"modified"`
}

func (d *directory) refresh(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.readAt.IsZero() && d.now().Sub(d.readAt) < d.fresh {
		return nil
	}
	started := d.now()
	since, _, err := d.memory.Note(ctx, watermarkNote)
	if err != nil {
		return memoryError("posting.directory", err)
	}
	for start := 0; ; {
		rows, err := d.page(ctx, since, start)
		if err != nil {
			return err
		}
		until, err := d.keep(ctx, rows)
		if err != nil {
			return err
		}
		if len(rows) < directoryPage {
			break
		}
		if until == since { // more than a page of one instant (an import)
			start += directoryPage
		} else {
			since, start = until, 0
		}
	}
	d.readAt = started
	return nil
}

func (d *directory) page(ctx context.Context, since string, start int) ([]customerRow, error) {
	filters := [][]any{{"email_id", "is", "set"}, {"disabled", "=", 0}}
	if since != "" {
		filters = append(filters, []any{"modified", ">=", since})
	}
	var rows []customerRow
	err := d.site.List(ctx, erpnext.Query{
		DocType: erpnext.DocCustomer, Fields: []string{"name", "email_id", "modified"},
		Filters: filters, OrderBy: "modified asc, name asc", Start: start, Limit: directoryPage,
	}, &rows)
	return rows, err
}

// keep remembers a page. The first customer seen with an address keeps it:
// of several, the oldest is most likely the one that people know.
func (d *directory) keep(ctx context.Context, rows []customerRow) (string, error) {
	var docs []event.Document
	until := ""
	for _, row := range rows {
		until = row.Modified
		doc := emailDocument(row.Email, row.Name)
		_, known, err := d.memory.Document(ctx, doc.DocType, doc.Key)
		if err != nil {
			return "", memoryError("posting.directory", err)
		}
		if !known {
			docs = append(docs, doc)
		}
	}
	if len(docs) > 0 {
		if err := d.memory.Remember(ctx, "", docs...); err != nil {
			return "", memoryError("posting.directory", err)
		}
	}
	if until == "" {
		return "", nil
	}
	return until, memoryError("posting.directory", d.memory.SetNote(ctx, watermarkNote, until))
}
