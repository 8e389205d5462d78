package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/seal"
)

// Headers and details are text when they are plain and blobs when they are
// sealed; a body is what its header is. No content can look like the other.

// The places of what is sealed: a text that was moved to another does not open.
func headerPlace(id string) string { return id + "/header" }
func bodyPlace(id string) string   { return id + "/body" }
func detailPlace(id string) string { return id + "/detail" }

// fill gives e its stored header and body; nil header = there are none any
// more. What cannot be opened is told in e.Unreadable and is no failure: an
// event that is handed out without its body holds up nobody but itself.
func (db *DB) fill(e *event.Event, header, body any) error {
	plain, err := db.open(e.ID, header, body)
	switch {
	case header == nil:
		return nil
	case errors.Is(err, seal.ErrNoKey), errors.Is(err, seal.ErrDamaged):
		e.Unreadable = err.Error()
		return nil
	case err != nil:
		return err
	}
	e.Body = plain.body
	if string(plain.header) == "{}" {
		return nil
	}
	return json.Unmarshal(plain.header, &e.Header)
}

// content is a stored header and body.
type content struct{ header, body []byte }

func (db *DB) open(id string, header, body any) (content, error) {
	raw, _ := body.([]byte)
	if raw == nil {
		raw = []byte{} // the driver makes no difference between empty and none
	}
	head, err := db.openText(headerPlace(id), header)
	if _, sealed := header.([]byte); !sealed || err != nil {
		return content{head, raw}, err
	}
	plain, err := db.keys.Open(bodyPlace(id), raw)
	return content{head, plain}, err
}

// openText reads a stored header or detail.
func (db *DB) openText(place string, stored any) ([]byte, error) {
	if sealed, ok := stored.([]byte); ok {
		return db.keys.Open(place, sealed)
	}
	plain, _ := stored.(string)
	return []byte(plain), nil
}

// sealDetail is an attempt's detail as it is stored.
func (db *DB) sealDetail(id, detail string) driver.Value {
	if detail == "" || !db.keys.Seals() {
		return detail
	}
	return db.keys.Seal(detailPlace(id), []byte(detail))
}

// detail reads a stored detail, or says why it cannot be read.
func (db *DB) detail(id string, stored any) string {
	plain, err := db.openText(detailPlace(id), stored)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return string(plain)
}

// Reseal brings what is stored under the first key, or makes it plain, in small
// steps beside a running service, and tells each step's total to progress. It
// can be stopped and run again. Sealed: something cannot be opened with the
// configured keys; what was done before stays done.
func (db *DB) Reseal(ctx context.Context, plain bool, progress func(done int)) (int, error) {
	const op = "sqlite.Reseal"
	r := resealing{DB: db, plain: plain}
	if !plain && !db.keys.Seals() {
		return 0, &fault.Error{
			Kind: fault.Sealed, Op: op, Cause: "no key is configured",
			Hint: "set LEDGERHOOK_BODY_KEYS: the key to encrypt with first, and those that what is stored was encrypted with",
		}
	}
	total := 0
	for _, step := range []func(context.Context) (int, error){r.bodies, r.details, r.rejections} {
		for n := -1; n != 0; {
			var err error
			if n, err = step(ctx); err != nil {
				return total, resealFault(op, err)
			}
			total += n
			progress(total)
		}
	}
	return total, nil
}

func resealFault(op string, err error) error {
	if errors.Is(err, seal.ErrNoKey) || errors.Is(err, seal.ErrDamaged) {
		return &fault.Error{Kind: fault.Sealed, Op: op, Cause: err.Error(), Hint: "configure that key beside the new one until everything is encrypted anew"}
	}
	return storeFault(op, err)
}

// resealing is one Reseal as far as it got.
type resealing struct {
	*DB
	plain bool
	// Done up to the body, the details and the refused request of this number.
	body, detail, rejection int64
}

// resealStep is how many rows one transaction rewrites: the intake waits
// behind it.
const resealStep = 100

// needs is the condition on a column that is not yet as it is to be.
func (r *resealing) needs(column string) (string, []any) {
	if r.plain {
		return "typeof(" + column + ") = 'blob'", nil
	}
	prefix := r.keys.Prefix()
	return "(typeof(" + column + ") <> 'blob' OR substr(" + column + ", 1, ?) <> ?)", []any{len(prefix), prefix}
}

// contents is a table of headers and bodies.
type contents struct {
	selects, updates string
	done             *int64 // so far
}

func (r *resealing) bodies(ctx context.Context) (int, error) {
	return r.contents(ctx, contents{
		selects: "SELECT b.seq, e.id, b.header, b.body FROM bodies b JOIN events e ON e.seq = b.seq WHERE b.seq > ? AND ",
		updates: "UPDATE bodies SET header = ?, body = ? WHERE seq = ?", done: &r.body,
	})
}

func (r *resealing) rejections(ctx context.Context) (int, error) {
	return r.contents(ctx, contents{
		selects: "SELECT b.seq, b.id, b.header, b.body FROM rejected b WHERE b.seq > ? AND ",
		updates: "UPDATE rejected SET header = ?, body = ? WHERE seq = ?", done: &r.rejection,
	})
}

func (r *resealing) contents(ctx context.Context, of contents) (int, error) {
	type row struct {
		seq          int64
		header, body driver.Value
	}
	var rows []row
	where, args := r.needs("b.header")
	err := r.each(ctx, func(scan func(...any) error) error {
		var id string
		var seq int64
		var header, body any
		if err := scan(&seq, &id, &header, &body); err != nil {
			return err
		}
		c, err := r.open(id, header, body)
		if err != nil {
			return err
		}
		next := row{seq, string(c.header), c.body}
		if !r.plain {
			next.header, next.body = r.keys.Seal(headerPlace(id), c.header), r.keys.Seal(bodyPlace(id), c.body)
		}
		rows = append(rows, next)
		return nil
	}, of.selects+where+" ORDER BY b.seq LIMIT ?", append(append([]any{*of.done}, args...), resealStep)...)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	*of.done = rows[len(rows)-1].seq
	return len(rows), r.write(ctx, "sqlite.Reseal", func(c *conn) error {
		for _, next := range rows { // what was erased meanwhile stays gone
			if _, err := c.exec(of.updates, next.header, next.body, next.seq); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *resealing) details(ctx context.Context) (int, error) {
	type row struct {
		seq, number int64
		detail      driver.Value
	}
	var rows []row
	where, args := r.needs("a.detail")
	err := r.each(ctx, func(scan func(...any) error) error {
		var next row
		var id string
		var stored any
		if err := scan(&next.seq, &next.number, &id, &stored); err != nil {
			return err
		}
		plain, err := r.openText(detailPlace(id), stored)
		if err != nil {
			return err
		}
		next.detail = string(plain)
		if !r.plain {
			next.detail = r.sealDetail(id, string(plain))
		}
		rows = append(rows, next)
		return nil
	}, "SELECT a.seq, a.number, e.id, a.detail FROM attempts a JOIN events e ON e.seq = a.seq WHERE a.seq >= ? AND a.detail <> '' AND "+where+" ORDER BY a.seq, a.number LIMIT ?",
		append(append([]any{r.detail}, args...), resealStep)...)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	r.detail = rows[len(rows)-1].seq
	return len(rows), r.write(ctx, "sqlite.Reseal", func(c *conn) error {
		for _, next := range rows {
			_, err := c.exec("UPDATE attempts SET detail = ? WHERE seq = ? AND number = ? AND detail <> ''", next.detail, next.seq, next.number)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
