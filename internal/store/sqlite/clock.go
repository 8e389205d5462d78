package sqlite

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// reclockStep is how many events one transaction puts right: the intake waits
// behind it.
const reclockStep = 500

// reclockSlack is by how much a time may lie beyond what is possible now:
// events are received, claimed and settled while Reclock looks, and what is a
// moment younger than its now was written by no wrong clock.
const reclockSlack = time.Minute

// Reclock undoes what a wrong clock left behind: times that cannot be, seen
// from now. An event that lies in the future, or is due later than any legal
// wait, would be held until the clock gets there, and its subject with it; so
// would a lease. They are due now, in their place; a lease ends after its usual
// time. It tells how many events were touched, and costs next to nothing when
// there are none.
func (db *DB) Reclock(ctx context.Context, w event.Waits) (int, error) {
	if err := db.orderArrivals(ctx); err != nil {
		return 0, err
	}
	m := reclocking{DB: db, waits: w}
	total, err := m.leases(ctx)
	for _, what := range []stray{strayPending, straySettled} {
		if err != nil {
			return total, err
		}
		var n int
		n, err = m.all(ctx, what)
		total += n
	}
	if total > 0 {
		db.signal()
	}
	return total, err
}

// stray is a sort of events with times that cannot be. To find them ?1 is now,
// ?2 and ?3 the latest that an event may be due, when it waits for a document
// and else, all with the slack, and ?4 how many are asked for.
type stray struct {
	sign string // finds one by an index, or none
	find string // finds them all, step by step
	mend string
}

const (
	strayTimes = ` AND (e.due_at > ?1 AND e.received_at > ?1 OR e.due_at > CASE e.waiting WHEN 1 THEN ?2 ELSE ?3 END) LIMIT ?4`
	// All four are bound, whether they are needed or not.
	overdue = `SELECT e.seq FROM events e WHERE e.swept = 0 AND e.state IN ('done', 'ignored') AND e.settled_at > ?1 AND ?2 <> '' AND ?3 <> '' LIMIT ?4`
)

var (
	// The sign is in what may be claimed: what is blocked has its turn later.
	strayPending = stray{
		sign: `SELECT e.seq FROM events e WHERE e.state = 'pending' AND e.ordered = 1 AND e.blocked = 0 AND e.leased_until = '' AND e.due_at > ?1` + strayTimes,
		find: `SELECT e.seq FROM counts c CROSS JOIN events e INDEXED BY events_listing ON e.source = c.source AND e.state = 'pending' WHERE c.state = 'pending' AND c.n > 0 AND e.leased_until = ''` + strayTimes,
		mend: `UPDATE events SET due_at = min(received_at, ?1), received_at = min(received_at, ?1) WHERE seq = ?2 AND state = 'pending' AND leased_until = ''`,
	}
	// What was settled in the future would outlive its retention.
	straySettled = stray{
		sign: overdue, find: overdue,
		mend: `UPDATE events SET settled_at = ?1, received_at = min(received_at, ?1) WHERE seq = ?2 AND state IN ('done', 'ignored')`,
	}
)

// reclocking is one Reclock.
type reclocking struct {
	*DB
	waits event.Waits
}

func (m reclocking) leases(ctx context.Context) (int, error) {
	n := 0
	err := m.write(ctx, "sqlite.Reclock", func(c *conn) error {
		n = 0
		latest := m.now().Add(m.waits.Lease)
		return c.query(`UPDATE events SET leased_until = ?, due_at = ? WHERE leased_until <> '' AND leased_until > ? RETURNING seq`,
			[]driver.Value{text(latest), text(latest), text(latest.Add(reclockSlack))}, func(row) { n++ })
	})
	return n, err
}

func (m reclocking) all(ctx context.Context, what stray) (int, error) {
	total := 0
	query, limit := what.sign, 1
	for {
		found, err := m.find(ctx, query, limit)
		if err != nil || len(found) == 0 {
			return total, storeFault("sqlite.Reclock", err)
		}
		if limit == 1 {
			query, limit = what.find, reclockStep
			continue
		}
		err = m.write(ctx, "sqlite.Reclock", func(c *conn) error {
			for _, seq := range found {
				if _, err := c.exec(what.mend, text(m.now()), seq); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return total, err
		}
		total += len(found)
	}
}

// find looks through a reader, so that the intake does not wait for it.
func (m reclocking) find(ctx context.Context, query string, limit int) ([]int64, error) {
	var found []int64
	now := m.now().Add(reclockSlack)
	err := m.each(ctx, func(scan func(...any) error) error {
		var seq int64
		err := scan(&seq)
		found = append(found, seq)
		return err
	}, query, text(now), text(now.Add(m.waits.Document)), text(now.Add(m.waits.Retry)), limit)
	return found, err
}
