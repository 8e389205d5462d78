package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"slices"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/seal"
)

// Reject keeps requests that were refused, in one transaction, and drops what
// is beyond the bounds: per source the oldest go first. With an empty batch it
// drops what has become too old. An ID that is empty is made.
func (db *DB) Reject(ctx context.Context, bounds event.RejectionBounds, batch ...event.Rejection) error {
	rows := make([]rejectionRow, len(batch))
	for i, r := range batch {
		var err error
		if rows[i], err = db.rejectionRow(r); err != nil {
			return err
		}
	}
	return db.write(ctx, "sqlite.Reject", func(c *conn) error {
		sources := make(map[string]bool)
		for _, r := range rows {
			sources[r.Source] = true
			if err := r.insert(c); err != nil {
				return err
			}
		}
		for source := range sources {
			if err := trimRejections(c, source, bounds); err != nil {
				return err
			}
		}
		_, err := c.exec("DELETE FROM rejected WHERE received_at < ?", text(db.now().Add(-bounds.Age)))
		return err
	})
}

// rejectionRow is a refused request made ready for the writer.
type rejectionRow struct {
	event.Rejection
	header, body driver.Value // sealed when there are keys
	bytes        int64        // of both, as they came
}

func (db *DB) rejectionRow(r event.Rejection) (rejectionRow, error) {
	header, err := json.Marshal(r.Header)
	if err != nil {
		return rejectionRow{}, err
	}
	r.ID = cmp.Or(r.ID, newID("rj_"))
	if r.Body == nil {
		r.Body = []byte{}
	}
	row := rejectionRow{Rejection: r, header: string(header), body: r.Body, bytes: int64(len(header) + len(r.Body))}
	if db.keys.Seals() {
		row.header, row.body = db.keys.Seal(headerPlace(r.ID), header), db.keys.Seal(bodyPlace(r.ID), r.Body)
	}
	return row, nil
}

func (r rejectionRow) insert(c *conn) error {
	_, err := c.exec(`
INSERT INTO rejected (id, source, class, reason, client, received_at, header, body, size, whole, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.Source, r.Class, r.Reason, r.Client, text(r.ReceivedAt), r.header, r.body, r.Size, number(r.Whole), r.bytes)
	return err
}

// trimRejections adds up a source's rejections from the newest on and drops
// those at which a bound is passed.
func trimRejections(c *conn, source string, bounds event.RejectionBounds) error {
	_, err := c.exec(`
DELETE FROM rejected WHERE seq IN (
  SELECT seq FROM (
    SELECT seq, count(*) OVER newer AS n, sum(bytes) OVER newer AS total FROM rejected WHERE source = ?
    WINDOW newer AS (ORDER BY seq DESC ROWS UNBOUNDED PRECEDING))
  WHERE n > ? OR total > ?)`, source, int64(bounds.PerSource), bounds.Bytes)
	return err
}

const rejectionColumns = "seq, id, source, class, reason, client, received_at, size, whole, header"

// Rejections gives refused requests without their bodies, newest first. Before
// one that is no longer kept there is nothing.
func (db *DB) Rejections(ctx context.Context, f event.RejectionFilter) ([]event.Rejection, error) {
	where, args := "WHERE seq > 0", []any{}
	if f.Before != "" {
		where, args = where+" AND seq < (SELECT seq FROM rejected WHERE id = ?)", append(args, f.Before)
	}
	if f.Source != "" {
		where, args = where+" AND source = ?", append(args, f.Source)
	}
	if f.Class != "" {
		where, args = where+" AND class = ?", append(args, f.Class)
	}
	var all []event.Rejection
	err := db.each(ctx, func(scan func(...any) error) error {
		r, _, header, err := scanRejection(scan)
		if err == nil {
			err = db.fillRejection(&r, header, nil)
		}
		all = append(all, r)
		return err
	}, "SELECT "+rejectionColumns+" FROM rejected "+where+" ORDER BY seq DESC LIMIT ?", append(args, cmp.Or(max(f.Limit, 0), 50))...)
	return all, storeFault("sqlite.Rejections", err)
}

// Rejection gives one refused request. NotFound: it is not, or no longer, kept.
func (db *DB) Rejection(ctx context.Context, id string) (event.Rejection, error) {
	const op = "sqlite.Rejection"
	body := []byte{}
	r, _, header, err := scanRejection(db.read.QueryRowContext(ctx, "SELECT "+rejectionColumns+", body FROM rejected WHERE id = ?", id).Scan, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return event.Rejection{}, fault.New(fault.NotFound, op, "no such rejected request")
	}
	if err == nil {
		err = db.fillRejection(&r, header, nonNil(body))
	}
	return r, storeFault(op, err)
}

// Refused gives a page of all refused requests with their bodies, oldest
// first, and the cursor of the next page, "" after the last one. Malformed: the
// cursor is not one of ours.
func (db *DB) Refused(ctx context.Context, cursor string, limit int) ([]event.Rejection, string, error) {
	const op = "sqlite.Refused"
	after, err := position(op, cursor)
	if err != nil {
		return nil, "", err
	}
	last := int64(0)
	var all []event.Rejection
	err = db.each(ctx, func(scan func(...any) error) error {
		var body []byte
		r, seq, header, err := scanRejection(scan, &body)
		if err == nil {
			err = db.fillRejection(&r, header, nonNil(body))
		}
		all, last = append(all, r), seq
		return err
	}, "SELECT "+rejectionColumns+", body FROM rejected WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)
	return all, nextPage(len(all), limit, last), storeFault(op, err)
}

// nonNil makes up for a driver that makes no difference between empty and none.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func scanRejection(scan func(...any) error, more ...any) (r event.Rejection, seq int64, header any, err error) {
	var received string
	err = scan(append([]any{&seq, &r.ID, &r.Source, &r.Class, &r.Reason, &r.Client, &received, &r.Size, &r.Whole, &header}, more...)...)
	r.ReceivedAt = moment(received)
	return r, seq, header, err
}

// fillRejection gives r its stored header, and its body unless that is nil
// since nobody asked for it. What cannot be opened is told in r.Unreadable.
func (db *DB) fillRejection(r *event.Rejection, header any, body []byte) error {
	var plain content
	var err error
	if body == nil {
		plain.header, err = db.openText(headerPlace(r.ID), header)
	} else {
		plain, err = db.open(r.ID, header, body)
	}
	switch {
	case errors.Is(err, seal.ErrNoKey), errors.Is(err, seal.ErrDamaged):
		r.Unreadable = err.Error()
		return nil
	case err != nil:
		return err
	}
	r.Body = plain.body
	return json.Unmarshal(plain.header, &r.Header)
}

// DropRejections removes refused requests for good, as privacy demands. An
// unknown id is passed over; it tells how many there were.
func (db *DB) DropRejections(ctx context.Context, ids []string) (int, error) {
	total := 0
	for part := range slices.Chunk(ids, eraseStep) {
		var n int64
		err := db.write(ctx, "sqlite.DropRejections", func(c *conn) error {
			n = 0
			for _, id := range part {
				gone, err := c.exec("DELETE FROM rejected WHERE id = ?", id)
				if err != nil {
					return err
				}
				n += gone
			}
			return nil
		})
		if err != nil {
			return total, err
		}
		total += int(n)
	}
	return total, nil
}

// Unreject drops a refused request that was accepted after all, as the event
// eventID. One that is gone already is no mistake.
func (db *DB) Unreject(ctx context.Context, id, eventID string) error {
	return db.write(ctx, "sqlite.Unreject", func(c *conn) error {
		gone := true
		err := c.query("DELETE FROM rejected WHERE id = ? RETURNING seq", []driver.Value{id}, func(row) { gone = false })
		if err != nil || gone {
			return err
		}
		return note(c, text(db.now()), event.ActorOf(ctx), "accept", id, eventID)
	})
}
