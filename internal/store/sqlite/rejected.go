package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Reject keeps requests that were refused, in one transaction, and drops what
// is beyond the bounds: per source the oldest go first. With an empty batch it
// drops what has become too old. An ID that is empty is made.
func (db *DB) Reject(ctx context.Context, bounds event.RejectionBounds, batch ...event.Rejection) error {
	headers := make([]string, len(batch))
	for i := range batch {
		header, err := json.Marshal(batch[i].Header)
		if err != nil {
			return err
		}
		headers[i] = string(header)
	}
	return db.write(ctx, "sqlite.Reject", func(c *conn) error {
		sources := make(map[string]bool)
		for i, r := range batch {
			sources[r.Source] = true
			if err := insertRejection(c, r, headers[i]); err != nil {
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

func insertRejection(c *conn, r event.Rejection, header string) error {
	body := r.Body
	if body == nil {
		body = []byte{}
	}
	_, err := c.exec(`
INSERT INTO rejected (id, source, class, reason, client, received_at, header, body, size, whole, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		cmp.Or(r.ID, newID("rj_")), r.Source, r.Class, r.Reason, r.Client, text(r.ReceivedAt), header, body, r.Size, number(r.Whole), int64(len(header)+len(body)))
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

const rejectionColumns = "id, source, class, reason, client, received_at, header, size, whole"

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
		r, err := scanRejection(scan)
		all = append(all, r)
		return err
	}, "SELECT "+rejectionColumns+" FROM rejected "+where+" ORDER BY seq DESC LIMIT ?", append(args, cmp.Or(max(f.Limit, 0), 50))...)
	return all, storeFault("sqlite.Rejections", err)
}

// Rejection gives one refused request. NotFound: it is not, or no longer, kept.
func (db *DB) Rejection(ctx context.Context, id string) (event.Rejection, error) {
	const op = "sqlite.Rejection"
	body := []byte{}
	r, err := scanRejection(db.read.QueryRowContext(ctx, "SELECT "+rejectionColumns+", body FROM rejected WHERE id = ?", id).Scan, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return event.Rejection{}, fault.New(fault.NotFound, op, "no such rejected request")
	}
	if r.Body = body; body == nil {
		r.Body = []byte{} // the driver makes no difference between empty and none
	}
	return r, storeFault(op, err)
}

func scanRejection(scan func(...any) error, more ...any) (event.Rejection, error) {
	var r event.Rejection
	var received, header string
	if err := scan(append([]any{&r.ID, &r.Source, &r.Class, &r.Reason, &r.Client, &received, &header, &r.Size, &r.Whole}, more...)...); err != nil {
		return event.Rejection{}, err
	}
	r.ReceivedAt = moment(received)
	return r, json.Unmarshal([]byte(header), &r.Header)
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
