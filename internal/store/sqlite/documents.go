package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Document tells what is remembered under the key of a DocType; false when
// nothing is.
func (db *DB) Document(ctx context.Context, doctype, key string) (event.Document, bool, error) {
	d := event.Document{DocType: doctype, Key: key}
	var data string
	err := db.read.QueryRowContext(ctx, "SELECT name, data FROM documents WHERE doctype = ? AND key = ?", doctype, key).Scan(&d.Name, &data)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return event.Document{}, false, nil
	case err == nil:
		err = json.Unmarshal([]byte(data), &d.Data)
	}
	if err != nil {
		return event.Document{}, false, storeFault("sqlite.Document", err)
	}
	return d, true, nil
}

// Remember keeps documents under their keys, over what was known before, and
// links them to the event eventID; "" links them to none. A document without a
// key is kept under its name; one without a name is remembered and not linked. NotFound: there is no event of that id.
func (db *DB) Remember(ctx context.Context, eventID string, docs ...event.Document) error {
	const op = "sqlite.Remember"
	missing := false
	err := db.write(ctx, op, func(c *conn) error {
		var seq int64
		if eventID != "" {
			var err error
			seq, err = c.number("SELECT seq FROM events WHERE id = ?", eventID)
			missing = seq == 0
			if err != nil || missing {
				return err
			}
		}
		return remember(c, text(db.now()), seq, docs)
	})
	if err == nil && missing {
		return fault.New(fault.NotFound, op, "no such event")
	}
	return err
}

// Forget drops what is remembered under the key of a DocType, for a document
// that ERPNext no longer has.
func (db *DB) Forget(ctx context.Context, doctype, key string) error {
	return db.write(ctx, "sqlite.Forget", func(c *conn) error {
		if _, err := c.exec("DELETE FROM event_documents WHERE doctype = ? AND key = ?", doctype, key); err != nil {
			return err
		}
		_, err := c.exec("DELETE FROM documents WHERE doctype = ? AND key = ?", doctype, key)
		return err
	})
}

// documentKey is what a document is remembered under.
func documentKey(d event.Document) string { return cmp.Or(d.Key, d.Name) }

// remember keeps documents and links them to the event seq; 0 links to none.
func remember(c *conn, now string, seq int64, docs []event.Document) error {
	for _, d := range docs {
		data := []byte("{}")
		if len(d.Data) > 0 {
			var err error
			if data, err = json.Marshal(d.Data); err != nil {
				return err
			}
		}
		_, err := c.exec(`
INSERT INTO documents (doctype, key, name, data, updated_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (doctype, key) DO UPDATE SET name = excluded.name, data = excluded.data, updated_at = excluded.updated_at`,
			d.DocType, documentKey(d), d.Name, string(data), now)
		if err != nil {
			return err
		}
		if seq == 0 || d.Name == "" { // what is only remembered is no document to show
			continue
		}
		_, err = c.exec("INSERT INTO event_documents (seq, doctype, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", seq, d.DocType, documentKey(d))
		if err != nil {
			return err
		}
	}
	return nil
}

// Note gives the value last set under name; false when there is none.
func (db *DB) Note(ctx context.Context, name string) (string, bool, error) {
	var value string
	err := db.read.QueryRowContext(ctx, "SELECT value FROM notes WHERE name = ?", name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, storeFault("sqlite.Note", err)
}

// SetNote keeps a small value under name, over the one before.
func (db *DB) SetNote(ctx context.Context, name, value string) error {
	return db.write(ctx, "sqlite.SetNote", func(c *conn) error {
		_, err := c.exec("INSERT INTO notes (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
		return err
	})
}
