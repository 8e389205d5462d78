package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// remedy is what an operator does to an event, alone or in a run.
type remedy struct {
	action    event.Action
	note      string
	refuse    func(standing) string
	statement string         // its first parameter is the time, its last the event,
	args      []driver.Value // and these stand between
}

var replayed = remedy{
	action: event.ActionReplay,
	refuse: func(s standing) string {
		if s.swept {
			return "the body is no longer kept"
		}
		return ""
	},
	statement: `UPDATE events SET state = 'pending', due_at = ?, settled_at = '', waits_for = '', waiting = 0, blocked = 0,
  leased_until = '', token = token + 1, tries = 0, class = '', reason = '', hint = '', doctype = '' WHERE seq = ?`,
}

func dismissed(reason string) remedy {
	return remedy{
		action: event.ActionDismiss, note: reason, args: []driver.Value{reason},
		refuse: func(s standing) string {
			if s.state != event.Dead && s.state != event.Pending {
				return "it is " + string(s.state) + " already"
			}
			return ""
		},
		statement: `UPDATE events SET state = 'ignored', settled_at = ?, waits_for = '', waiting = 0,
  leased_until = '', token = token + 1, class = '', hint = '', doctype = '', reason = ? WHERE seq = ?`,
	}
}

// apply changes an event, or tells why it may not be changed.
func (m remedy) apply(c *conn, s standing, now string) (string, error) {
	refusal := m.refuse(s)
	if s.leasedUntil > now {
		refusal = "a worker has it at the moment"
	}
	if refusal != "" {
		return refusal, nil
	}
	args := append(append([]driver.Value{now}, m.args...), s.seq)
	if _, err := c.exec(m.statement, args...); err != nil {
		return "", err
	}
	return "", s.of.order(c)
}

// Replay makes an event pending and due now, with its schedule of attempts
// begun anew; its history stays. Conflict: a worker has it at the moment, or
// retention took its body. NotFound: there is no such event.
func (db *DB) Replay(ctx context.Context, id string) error {
	return db.remedy(ctx, "sqlite.Replay", id, replayed)
}

// Dismiss gives up on a dead or pending event: it becomes ignored, with the
// reason, and blocks its subject no longer. Conflict: a worker has it at the
// moment, or it is done or ignored already. NotFound: there is no such event.
func (db *DB) Dismiss(ctx context.Context, id, reason string) error {
	return db.remedy(ctx, "sqlite.Dismiss", id, dismissed(reason))
}

// standing is where an event stands before an operator changes it.
type standing struct {
	seq         int64
	state       event.State
	leasedUntil string
	swept       bool
	of          subject
}

// remedy changes one event on behalf of the context's actor.
func (db *DB) remedy(ctx context.Context, op, id string, m remedy) error {
	full, err := db.fullID(ctx, op, id)
	if err != nil {
		return err
	}
	refusal := ""
	err = db.write(ctx, op, func(c *conn) error {
		now := text(db.now())
		s, err := standingOf(c, "SELECT "+standingColumns+" WHERE id = ?", full)
		if err != nil {
			return err
		}
		if refusal, err = m.apply(c, s, now); err != nil || refusal != "" {
			return err
		}
		if m.action == event.ActionReplay {
			if err := countReplays(c, askedByHand, 1); err != nil {
				return err
			}
		}
		return note(c, now, event.ActorOf(ctx), string(m.action), full, m.note)
	})
	if err == nil && refusal != "" {
		return fault.New(fault.Conflict, op, refusal)
	}
	if err == nil {
		db.signal()
	}
	return err
}

const standingColumns = "seq, state, leased_until, swept, source, subject FROM events"

func standingOf(c *conn, query string, which driver.Value) (standing, error) {
	var s standing
	err := c.query(query, []driver.Value{which}, func(r row) {
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
