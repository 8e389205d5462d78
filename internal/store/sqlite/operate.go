package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Replay makes an event pending and due now, with its schedule of attempts
// begun anew; its history stays. Conflict: a worker has it at the moment, or
// retention took its body. NotFound: there is no such event.
func (db *DB) Replay(ctx context.Context, id string) error {
	return db.reopen(ctx, "sqlite.Replay", id, func(found standing) string {
		if found.swept {
			return "the body is no longer kept"
		}
		return ""
	}, `UPDATE events SET state = 'pending', due_at = ?, settled_at = '', waits_for = '', waiting = 0, blocked = 0,
  leased_until = '', token = token + 1, tries = 0, class = '', reason = '', hint = '' WHERE seq = ?`)
}

// Dismiss gives up on a dead or pending event: it becomes ignored, with the
// reason. Conflict: a worker has it at the moment, or it is done or ignored
// already. NotFound: there is no such event.
func (db *DB) Dismiss(ctx context.Context, id, reason string) error {
	return db.reopen(ctx, "sqlite.Dismiss", id, func(found standing) string {
		if found.state != event.Dead && found.state != event.Pending {
			return "it is " + string(found.state) + " already"
		}
		return ""
	}, `UPDATE events SET state = 'ignored', settled_at = ?, waits_for = '', waiting = 0,
  leased_until = '', token = token + 1, class = '', hint = '', reason = ? WHERE seq = ?`, reason)
}

// standing is where an event stands before an operator changes it.
type standing struct {
	seq         int64
	state       event.State
	leasedUntil string
	swept       bool
	of          subject
}

// reopen changes an event on an operator's behalf. The statement's first
// parameter is the time, its last the event; `more` are those between.
func (db *DB) reopen(ctx context.Context, op, id string, refuse func(standing) string, statement string, more ...driver.Value) error {
	full, err := db.fullID(ctx, op, id)
	if err != nil {
		return err
	}
	refusal := ""
	err = db.write(ctx, op, func(c *conn) error {
		now := text(db.now())
		s, err := standingOf(c, full)
		if err != nil {
			return err
		}
		refusal = refuse(s)
		if s.leasedUntil > now {
			refusal = "a worker has it at the moment"
		}
		if refusal != "" {
			return nil
		}
		args := append(append([]driver.Value{now}, more...), s.seq)
		if _, err := c.exec(statement, args...); err != nil {
			return err
		}
		return s.of.order(c)
	})
	if err == nil && refusal != "" {
		return fault.New(fault.Conflict, op, refusal)
	}
	if err == nil {
		db.signal()
	}
	return err
}

func standingOf(c *conn, id string) (standing, error) {
	var s standing
	err := c.query("SELECT seq, state, leased_until, swept, source, subject FROM events WHERE id = ?", []driver.Value{id}, func(r row) {
		s = standing{r.int(0), event.State(r.text(1)), r.text(2), r.int(3) != 0, subject{r.text(4), r.text(5)}}
	})
	return s, err
}

// fullID finds the event whose id is or begins with `id`. NotFound also when
// several begin so.
func (db *DB) fullID(ctx context.Context, op, id string) (string, error) {
	if len(id) < minPrefix {
		return "", fault.New(fault.NotFound, op, fmt.Sprintf("an id has at least %d characters", minPrefix))
	}
	var first, last sql.NullString
	err := db.read.QueryRowContext(ctx, "SELECT min(id), max(id) FROM (SELECT id FROM events WHERE id >= ? AND id < ? ORDER BY id LIMIT 2)", id, id+"~").Scan(&first, &last)
	switch {
	case err != nil:
		return "", storeFault(op, err)
	case !first.Valid:
		return "", fault.New(fault.NotFound, op, "no such event")
	case first != last && first.String != id:
		return "", fault.New(fault.NotFound, op, "several events begin so")
	}
	return first.String, nil
}

// minPrefix is the least of an id that may stand for the whole: three
// characters after "ev_".
const minPrefix = 6
