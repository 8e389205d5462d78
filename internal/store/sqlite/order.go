package sqlite

import (
	"context"
	"math"
)

// arrivals are the events that were put and not yet taken into the order of
// their subjects: all after `to`.
type arrivals struct {
	to       int64
	any      bool
	received string // when the first of them was
}

const firstArrival = `
SELECT a.ordered_to, e.received_at FROM arrivals AS a
LEFT JOIN events AS e ON e.seq = (SELECT min(n.seq) FROM events AS n WHERE n.seq > a.ordered_to)
WHERE a.one = 1`

func arrivalsOf(c *conn) (arrivals, error) {
	var a arrivals
	err := c.query(firstArrival, nil, func(r row) { a = arrivals{r.int(0), r[1] != nil, r.text(1)} })
	return a, err
}

// order takes the first of them, at most limit, into the order and tells how
// many. An event is blocked while its subject has an older one to go first.
func (a arrivals) order(c *conn, limit int64) (int64, error) {
	to, err := c.number("SELECT max(seq) FROM (SELECT seq FROM events WHERE seq > ? ORDER BY seq LIMIT ?)", a.to, limit)
	if err != nil {
		return 0, err
	}
	// All enter the index first, for they may block each other.
	n, err := c.exec("UPDATE events NOT INDEXED SET ordered = 1 WHERE seq > ? AND seq <= ?", a.to, to)
	if err != nil {
		return 0, err
	}
	_, err = c.exec(`
UPDATE events NOT INDEXED SET blocked = 1
WHERE seq > ? AND seq <= ? AND subject <> '' AND EXISTS (
  SELECT 1 FROM events AS older INDEXED BY events_subject
  WHERE older.source = events.source AND older.subject = events.subject AND older.state = 'pending' AND older.ordered = 1
    AND older.subject <> '' AND older.waiting = 0 AND older.seq < events.seq)`, a.to, to)
	if err != nil {
		return 0, err
	}
	_, err = c.exec("UPDATE arrivals SET ordered_to = ? WHERE one = 1", to)
	return n, err
}

// orderArrivals takes all arrivals into the order, so that what is read of it
// is whole.
func (db *DB) orderArrivals(ctx context.Context) error {
	for {
		var waiting bool
		err := db.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM events WHERE seq > (SELECT ordered_to FROM arrivals WHERE one = 1))").Scan(&waiting)
		if err != nil || !waiting {
			return storeFault("sqlite.NextDue", err)
		}
		err = db.write(ctx, "sqlite.NextDue", func(c *conn) error {
			a, err := arrivalsOf(c)
			if err != nil || !a.any {
				return err
			}
			_, err = a.order(c, maxOrdered)
			return err
		})
		if err != nil {
			return err
		}
	}
}

// subject names what an event is about.
type subject struct{ source, name string }

const ofSubject = " source = ? AND subject = ? AND state = 'pending' AND ordered = 1 AND subject <> ''"

// order marks anew which events of the subject are blocked: all that are
// younger than the oldest one that does not wait for a document. It touches
// only those whose mark changes.
func (s subject) order(c *conn) error {
	if s.name == "" {
		return nil
	}
	first, err := c.number("SELECT min(seq) FROM ("+
		"SELECT min(seq) AS seq FROM events WHERE"+ofSubject+" AND waiting = 0 AND blocked = 0 UNION ALL "+
		"SELECT min(seq) FROM events WHERE"+ofSubject+" AND waiting = 0 AND blocked = 1)", s.source, s.name, s.source, s.name)
	if err != nil {
		return err
	}
	if first == 0 {
		first = math.MaxInt64
	}
	_, err = c.exec("UPDATE events INDEXED BY events_subject SET blocked = 0 WHERE"+ofSubject+" AND waiting IN (0, 1) AND blocked = 1 AND seq <= ?", s.source, s.name, first)
	if err != nil {
		return err
	}
	_, err = c.exec("UPDATE events INDEXED BY events_subject SET blocked = 1 WHERE"+ofSubject+" AND waiting IN (0, 1) AND blocked = 0 AND seq > ?", s.source, s.name, first)
	return err
}
