package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// ErrLeaseLost is Settle's answer to a claim that is no longer the newest one
// of its event, or was settled already. Its kind is Conflict.
var ErrLeaseLost error = fault.New(fault.Conflict, "sqlite.Settle", "the lease on the event was lost")

// nextDue walks the few events that nothing older blocks; of those, a subject
// that is leased at the moment is passed over. nextDueOf is the same of one
// source: it never meets the events of a paused one, however many there are.
const (
	nextDue   = dueEvents + dueNow
	nextDueOf = dueEvents + " AND e.source = ?" + dueNow

	dueEvents = `
SELECT e.seq, e.due_at FROM events AS e
WHERE e.state = 'pending' AND e.ordered = 1 AND e.blocked = 0`
	dueNow = ` AND e.due_at <= ?
  AND (e.subject = '' OR NOT EXISTS (
    SELECT 1 FROM events AS l
    WHERE l.source = e.source AND l.subject = e.subject AND l.leased_until <> '' AND l.leased_until > ? AND l.seq <> e.seq))
ORDER BY e.due_at, e.seq LIMIT 1`
)

// leaseIt counts the attempt and fences off whoever had the event before.
const leaseIt = `
UPDATE events SET token = token + 1, attempts = attempts + 1, tries = tries + 1, waiting = 0,
  leased_until = ?, due_at = ?, claimed_at = ?
WHERE seq = ?
RETURNING token, tries, source, subject, waits_for`

// Claim leases the oldest due event whose subject is free and whose source is
// not paused; nil when there is none. Events of one subject are handed out one at a time, oldest received
// first: an older one that is due for a retry later holds back the younger
// ones, an older one that waits for a document does not. After the lease has
// run out the event can be claimed again, with a higher token.
func (db *DB) Claim(ctx context.Context, lease time.Duration) (*event.Claim, error) {
	const op = "sqlite.Claim"
	for {
		var (
			seq  int64
			more bool
			c    *event.Claim
		)
		err := db.write(ctx, op, func(w *conn) error {
			now := db.now()
			var err error
			if seq, more, err = pick(w, text(now)); err != nil || seq == 0 {
				return err
			}
			c, err = leaseTo(w, seq, now, now.Add(lease))
			return err
		})
		if err != nil {
			return nil, err
		}
		if seq == 0 && more {
			continue // the intake had its turn
		}
		if seq == 0 {
			return nil, nil
		}
		db.signal()
		// The lease is on disk. The caller may be stopping, but an event that is
		// leased and then not handed out would lie until the lease ends.
		c.Event, err = db.bySeq(context.WithoutCancel(ctx), seq)
		if err != nil {
			return nil, storeFault(op, err)
		}
		return c, nil
	}
}

// maxOrdered is how many arrivals one transaction may take into the order; the
// intake waits behind it.
const maxOrdered = 1000

// pick finds the event to be claimed, 0 when there is none. It takes arrivals
// into the order until none of them can be older than what it found, and
// tells whether it stopped before that.
func pick(c *conn, now string) (int64, bool, error) {
	may, err := flowOf(c.texts)
	if err != nil || may.stopped() {
		return 0, false, err
	}
	for ordered, step := int64(0), int64(16); ; step *= 2 {
		seq, due, err := may.next(c, now)
		if err != nil {
			return 0, false, err
		}
		a, err := arrivalsOf(c)
		if err != nil || !a.any || (seq != 0 && due <= a.received) {
			return seq, false, err
		}
		if ordered >= maxOrdered {
			return 0, true, nil
		}
		n, err := a.order(c, min(step, maxOrdered-ordered))
		if err != nil {
			return 0, false, err
		}
		ordered += n
	}
}

func leaseTo(w *conn, seq int64, now, until time.Time) (*event.Claim, error) {
	c := &event.Claim{Until: moment(text(until))}
	var of subject
	waited := false
	err := w.query(leaseIt, []driver.Value{text(until), text(until), text(now), seq}, func(r row) {
		c.Token, c.Attempt = r.int(0), int(r.int(1))
		of, waited = subject{r.text(2), r.text(3)}, r.text(4) != ""
	})
	if err != nil || !waited {
		return c, err
	}
	return c, of.order(w) // it waits no longer, so it blocks again
}

// whatIsDue gives the events that nothing older blocks, soonest first, and
// until when another of the same subject is leased.
const (
	whatIsDue   = dueAndLeased + " ORDER BY e.due_at"
	whatIsDueOf = dueAndLeased + " AND e.source = ? ORDER BY e.due_at"

	dueAndLeased = `
SELECT e.due_at, coalesce((
  SELECT max(l.leased_until) FROM events AS l
  WHERE e.subject <> '' AND l.source = e.source AND l.subject = e.subject AND l.leased_until <> '' AND l.leased_until > ? AND l.seq <> e.seq), '')
FROM events AS e WHERE e.state = 'pending' AND e.ordered = 1 AND e.blocked = 0`
)

// NextDue tells when the next event becomes claimable: one that is due later,
// or whose own or subject's lease runs out. Not ok: nothing is pending, or what
// is pending is paused.
func (db *DB) NextDue(ctx context.Context) (time.Time, bool, error) {
	const op = "sqlite.NextDue"
	if err := db.orderArrivals(ctx); err != nil {
		return time.Time{}, false, err
	}
	may, err := flowOf(db.texts(ctx))
	if err != nil {
		return time.Time{}, false, storeFault(op, err)
	}
	now, best := text(db.now()), ""
	if may.all {
		best, err = db.soonest(ctx, best, whatIsDue, now)
	}
	for _, source := range may.only {
		if err == nil {
			best, err = db.soonest(ctx, best, whatIsDueOf, now, source)
		}
	}
	return moment(best), best != "", storeFault(op, err)
}

// soonest is the earlier of best ("" = never) and what the query finds.
func (db *DB) soonest(ctx context.Context, best, query string, args ...any) (string, error) {
	rows, err := db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		var due, leased string
		if err := rows.Scan(&due, &leased); err != nil {
			return "", err
		}
		if best != "" && due >= best {
			break // sorted: nothing better can follow
		}
		if at := max(due, leased); best == "" || at < best {
			best = at
		}
	}
	return best, rows.Err()
}

// Settle ends a claim with what came of it: the event's next state, a row of
// its history, the documents and the waking of whatever waited for them, all
// or nothing. An outcome that is Free gives the attempt back and leaves no row
// in the history, for nothing was tried.
//
// ErrLeaseLost: another worker has claimed the event since, or it was settled,
// replayed or dismissed; nothing was changed. A lease that ran out but was not
// taken over is still good. After Busy the claim may or may not be settled.
func (db *DB) Settle(ctx context.Context, c *event.Claim, o event.Outcome) error {
	if !slices.Contains(event.States(), o.State) {
		return fmt.Errorf("settle %s: no state %q", c.Event.ID, o.State)
	}
	traces, err := db.digests(ctx, o.Traces)
	if err != nil {
		return err
	}
	lost := false
	err = db.write(ctx, "sqlite.Settle", func(w *conn) error {
		s := settlement{c: w, claim: c, outcome: o, now: text(db.now()), detail: db.sealDetail(c.Event.ID, o.Detail), traces: traces}
		err := s.run()
		lost = s.lost
		return err
	})
	switch {
	case err != nil:
		return err
	case lost:
		return ErrLeaseLost
	}
	db.signal()
	return nil
}

// settlement is one Settle inside the writer's transaction.
type settlement struct {
	c       *conn
	claim   *event.Claim
	outcome event.Outcome
	now     string
	detail  driver.Value // of the outcome, sealed when there are keys
	traces  [][]byte     // of the outcome, as digests

	lost      bool
	seq       int64
	number    int64 // of the attempt, among all of the event
	claimedAt string
	of        subject
}

func (s *settlement) run() error {
	if err := s.find(); err != nil || s.lost {
		return err
	}
	return firstError(
		s.settle,
		s.history,
		func() error { return remember(s.c, s.now, s.seq, s.outcome.Documents) },
		func() error { return trace(s.c, s.seq, s.traces) },
		s.wakeOthers,
		s.erase,
		func() error { return s.of.order(s.c) },
	)
}

func (s *settlement) find() error {
	s.lost = true
	return s.c.query("SELECT seq, attempts, claimed_at, source, subject FROM events WHERE id = ? AND token = ? AND leased_until <> ''",
		[]driver.Value{s.claim.Event.ID, s.claim.Token}, func(r row) {
			s.lost, s.seq, s.number, s.claimedAt = false, r.int(0), r.int(1), r.text(2)
			s.of = subject{r.text(3), r.text(4)}
		})
}

func (s *settlement) settle() error {
	o := s.outcome
	due, settled := s.now, s.now
	var waitsFor []string
	if o.State == event.Pending {
		settled, waitsFor = "", slices.Compact(slices.Sorted(slices.Values(o.WaitsFor)))
		if !o.DueAt.IsZero() {
			due = text(o.DueAt)
		}
		appeared, err := s.appeared(waitsFor)
		if err != nil {
			return err
		}
		if appeared {
			due, waitsFor = s.now, nil
		}
	}
	back := int64(0)
	if o.Free {
		back = 1
	}
	_, err := s.c.exec(`
UPDATE events SET state = ?, due_at = ?, settled_at = ?, waits_for = ?, waiting = ?, leased_until = '',
  attempts = attempts - ?, tries = max(tries - ?, 0) WHERE seq = ?`,
		string(o.State), due, settled, first(waitsFor), number(len(waitsFor) > 0), back, back, s.seq)
	if err != nil {
		return err
	}
	if err := s.await(waitsFor); err != nil || (o.Free && o.Class == "" && o.Reason == "") {
		return err // nothing was tried: what the last try said still holds
	}
	_, err = s.c.exec("UPDATE events SET class = ?, reason = ?, hint = ?, doctype = ? WHERE seq = ?", o.Class, o.Reason, o.Hint, o.DocType, s.seq)
	return err
}

// appeared reports whether a document an event is about to wait for was
// recorded while the attempt was under way: nobody would wake it later.
func (s *settlement) appeared(keys []string) (bool, error) {
	// One of the future was written by a clock that was wrong: it would have
	// every attempt repeated at once until then.
	for _, key := range keys {
		n, err := s.c.number("SELECT count(*) FROM documents WHERE key = ? AND updated_at >= ? AND updated_at <= ?", key, s.claimedAt, s.now)
		if n > 0 || err != nil {
			return n > 0, err
		}
	}
	return false, nil
}

// await notes by which documents the event is woken. What it waited for before
// was forgotten when it was claimed.
func (s *settlement) await(keys []string) error {
	for _, key := range keys {
		if _, err := s.c.exec("INSERT INTO waits (key, seq) VALUES (?, ?)", key, s.seq); err != nil {
			return err
		}
	}
	return nil
}

func first(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return keys[0]
}

func (s *settlement) history() error {
	o := s.outcome
	if o.Free {
		return nil
	}
	_, err := s.c.exec("INSERT INTO attempts (seq, number, started_at, took_us, result, class, reason, hint, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		s.seq, s.number, s.claimedAt, o.Took.Microseconds(), o.Result, o.Class, o.Reason, o.Hint, s.detail)
	if err != nil {
		return err
	}
	return keepExchanges(s.c, s.seq, s.number, o.Exchanges)
}

// wakeOthers makes due what waited for one of the documents. They keep their
// place in the order of receipt: a woken event does not go behind a backlog.
func (s *settlement) wakeOthers() error {
	var woken []subject
	for _, d := range s.outcome.Documents {
		key := documentKey(d)
		if key == "" {
			continue
		}
		err := s.c.query(`
UPDATE events SET waiting = 0, waits_for = '', due_at = min(received_at, ?)
WHERE seq IN (SELECT seq FROM waits WHERE key = ?) AND waiting = 1 AND state = 'pending' RETURNING source, subject`,
			[]driver.Value{s.now, key}, func(r row) { woken = append(woken, subject{r.text(0), r.text(1)}) })
		if err != nil {
			return err
		}
	}
	for _, w := range woken {
		if err := w.order(s.c); err != nil {
			return err
		}
	}
	return nil
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// ReturnLeases makes every leased event due at once, in its place of receipt,
// and fences off whoever held it; it tells how many there were. It is for the
// start of the only service on this inbox: what is leased then was in the hands
// of a process that died. The attempt stays counted.
func (db *DB) ReturnLeases(ctx context.Context) (int, error) {
	returned := 0
	err := db.write(ctx, "sqlite.ReturnLeases", func(c *conn) error {
		returned = 0
		return c.query(`
UPDATE events SET leased_until = '', token = token + 1, due_at = min(received_at, ?)
WHERE leased_until <> '' AND state = 'pending' RETURNING seq`,
			[]driver.Value{text(db.now())}, func(row) { returned++ })
	})
	if err == nil && returned > 0 {
		db.signal()
	}
	return returned, err
}
