package sqlite

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// What an event's traced column says.
const (
	untraced = 0 // no attempt has told whom it mentions
	traced   = 1
	erased   = 2
)

// salt keys the digests of this inbox, so that a list of known e-mails tells
// nothing of another one's.
type salt struct {
	mu  sync.Mutex
	key []byte
}

const saltNote = "trace_salt"

// saltOf reads the salt, or makes it: of two that are made at once the first
// to be written is everybody's.
func (db *DB) saltOf(ctx context.Context) ([]byte, error) {
	db.salt.mu.Lock()
	defer db.salt.mu.Unlock()
	if db.salt.key != nil {
		return db.salt.key, nil
	}
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // it never fails
	stored := ""
	err := db.write(ctx, "sqlite.trace", func(c *conn) error {
		if _, err := c.exec("INSERT INTO notes (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", saltNote, hex.EncodeToString(fresh)); err != nil {
			return err
		}
		return c.query("SELECT value FROM notes WHERE name = ?", []driver.Value{saltNote}, func(r row) { stored = r.text(0) })
	})
	if err != nil {
		return nil, err
	}
	db.salt.key = []byte(stored)
	return db.salt.key, nil
}

func (db *DB) forgetSalt() {
	db.salt.mu.Lock()
	defer db.salt.mu.Unlock()
	db.salt.key = nil
}

func (db *DB) digests(ctx context.Context, traces []string) ([][]byte, error) {
	if len(traces) == 0 {
		return nil, nil
	}
	key, err := db.saltOf(ctx)
	if err != nil {
		return nil, err
	}
	all := make([][]byte, 0, len(traces))
	for _, t := range traces {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(t))
		all = append(all, mac.Sum(nil)[:16])
	}
	return all, nil
}

// trace notes whom an event mentions; the first attempt that tells is enough,
// for an event's body never changes.
func trace(c *conn, seq int64, digests [][]byte) error {
	if len(digests) == 0 {
		return nil
	}
	n, err := c.exec("UPDATE events SET traced = ? WHERE seq = ? AND traced = ?", int64(traced), seq, int64(untraced))
	if err != nil || n == 0 {
		return err
	}
	for _, d := range digests {
		if _, err := c.exec("INSERT INTO traces (digest, seq) VALUES (?, ?) ON CONFLICT DO NOTHING", d, seq); err != nil {
			return err
		}
	}
	return nil
}

// Traced gives the events, without bodies, that carry one of the traces, oldest
// first. What was erased carries none.
func (db *DB) Traced(ctx context.Context, traces []string) ([]event.Event, error) {
	const op = "sqlite.Traced"
	digests, err := db.digests(ctx, traces)
	if err != nil || len(digests) == 0 {
		return nil, err
	}
	args := make([]any, 0, len(digests))
	for _, d := range digests {
		args = append(args, d)
	}
	var all []event.Event
	err = db.each(ctx, func(scan func(...any) error) error {
		e, _, err := scanEvent(scan)
		all = append(all, e)
		return err
	}, "SELECT "+eventColumns+" FROM events e WHERE e.seq IN (SELECT seq FROM traces WHERE digest IN (?"+strings.Repeat(", ?", len(args)-1)+")) ORDER BY e.seq", args...)
	return all, storeFault(op, err)
}

// Untraced gives a page of the events whose bodies no attempt has traced, with
// bodies, oldest first, and the cursor of the next page, "" after the last one.
// Malformed: the cursor is not one of ours.
func (db *DB) Untraced(ctx context.Context, cursor string, limit int) ([]event.Event, string, error) {
	const op = "sqlite.Untraced"
	after, err := position(op, cursor)
	if err != nil {
		return nil, "", err
	}
	last := int64(0)
	var all []event.Event
	err = db.each(ctx, func(scan func(...any) error) error {
		var header, body any
		e, seq, err := scanEvent(scan, &header, &body)
		if err == nil {
			err = db.fill(&e, header, body)
		}
		all, last = append(all, e), seq
		return err
	}, "SELECT "+eventColumns+", b.header, b.body FROM events e JOIN bodies b ON b.seq = e.seq WHERE e.seq > ? AND e.traced = 0 ORDER BY e.seq LIMIT ?", after, limit)
	return all, nextPage(len(all), limit, last), storeFault(op, err)
}

// Unerased gives a page of a source's events, without bodies, that were not
// erased yet, oldest first, and the cursor of the next page, "" after the last
// one. Malformed: the cursor is not one of ours.
func (db *DB) Unerased(ctx context.Context, source, cursor string, limit int) ([]event.Event, string, error) {
	const op = "sqlite.Unerased"
	after, err := position(op, cursor)
	if err != nil {
		return nil, "", err
	}
	last := int64(0)
	var all []event.Event
	err = db.each(ctx, func(scan func(...any) error) error {
		e, seq, err := scanEvent(scan)
		all, last = append(all, e), seq
		return err
	}, "SELECT "+eventColumns+" FROM events e WHERE e.source = ? AND e.seq > ? AND e.traced <> 2 ORDER BY e.seq LIMIT ?", source, after, limit)
	return all, nextPage(len(all), limit, last), storeFault(op, err)
}

func position(op, cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	at, err := strconv.ParseInt(cursor, 36, 64)
	if err != nil {
		return 0, fault.New(fault.Malformed, op, "the cursor is not one of a listing")
	}
	return at, nil
}

func nextPage(n, limit int, last int64) string {
	if n < limit {
		return ""
	}
	return strconv.FormatInt(last, 36)
}

// eraseStep is how many events one transaction erases: the intake waits behind
// it.
const eraseStep = 50

// Erase removes what the events hold of a person, in small steps: body and
// header, the far side's words, the documents' data but for the values named in
// keep, and the traces. Id, topic, times, outcome and the body's digest stay, so
// that a repeat is still known. A settled event stays settled; a pending or dead
// one is given up as ErasedOnRequest. An unknown id is passed over.
func (db *DB) Erase(ctx context.Context, ids, keep []string) (event.Erased, error) {
	var total event.Erased
	for len(ids) > 0 {
		part := ids[:min(len(ids), eraseStep)]
		var n event.Erased
		err := db.write(ctx, "sqlite.Erase", func(c *conn) error {
			n = event.Erased{}
			for _, id := range part {
				if err := eraseOne(c, id, text(db.now()), keep, &n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return total, err
		}
		total.Events, total.GaveUp, total.InHand = total.Events+n.Events, total.GaveUp+n.GaveUp, total.InHand+n.InHand
		ids = ids[len(part):]
	}
	if total.Events > 0 {
		db.signal()
	}
	return total, nil
}

func eraseOne(c *conn, id, now string, keep []string, n *event.Erased) error {
	s, err := standingOf(c, "SELECT "+standingColumns+" WHERE id = ?", id)
	if err != nil || s.seq == 0 {
		return err
	}
	if s.leasedUntil > now {
		n.InHand++
		return nil
	}
	n.Events++
	if s.state == event.Pending || s.state == event.Dead {
		n.GaveUp++
		_, err := c.exec(`UPDATE events SET state = 'ignored', settled_at = ?, waits_for = '', waiting = 0, leased_until = '', token = token + 1,
  class = '', hint = '', reason = ? WHERE seq = ?`, now, event.ErasedOnRequest, s.seq)
		if err != nil {
			return err
		}
	}
	return firstError(
		func() error { return eraseContent(c, s.seq, keep) },
		func() error { return s.of.order(c) },
	)
}

// erase removes what the settled event itself holds, when its outcome says so.
func (s *settlement) erase() error {
	if !s.outcome.Erase {
		return nil
	}
	return eraseContent(s.c, s.seq, nil)
}

func eraseContent(c *conn, seq int64, keep []string) error {
	return firstError(
		func() error { return empty(c, seq) },
		func() error { return stripDocuments(c, seq, keep) },
		func() error {
			_, err := c.exec("DELETE FROM traces WHERE seq = ?", seq)
			return err
		},
		func() error {
			_, err := c.exec("UPDATE events SET swept = 1, traced = ? WHERE seq = ?", int64(erased), seq)
			return err
		},
	)
}

// empty removes an event's body and header, and what was said to and by the far
// side. Class, reason and time of the attempts stay.
func empty(c *conn, seq int64) error {
	if _, err := c.exec("DELETE FROM bodies WHERE seq = ?", seq); err != nil {
		return err
	}
	if _, err := c.exec("DELETE FROM exchanges WHERE seq = ?", seq); err != nil {
		return err
	}
	_, err := c.exec("UPDATE attempts SET detail = '' WHERE seq = ? AND detail <> ''", seq)
	return err
}

// stripDocuments leaves of the data of an event's documents only what keep
// names: what is not known to be harmless goes.
func stripDocuments(c *conn, seq int64, keep []string) error {
	type stored struct{ doctype, key, data string }
	var docs []stored
	err := c.query(`SELECT d.doctype, d.key, d.data FROM event_documents l JOIN documents d ON d.doctype = l.doctype AND d.key = l.key
WHERE l.seq = ? AND d.data <> '{}'`, []driver.Value{seq}, func(r row) { docs = append(docs, stored{r.text(0), r.text(1), r.text(2)}) })
	if err != nil {
		return err
	}
	for _, d := range docs {
		var data map[string]string
		if err := json.Unmarshal([]byte(d.data), &data); err != nil {
			return err
		}
		left := make(map[string]string)
		for _, name := range keep {
			if value, ok := data[name]; ok {
				left[name] = value
			}
		}
		raw, err := json.Marshal(left)
		if err != nil {
			return err
		}
		if _, err := c.exec("UPDATE documents SET data = ? WHERE doctype = ? AND key = ?", string(raw), d.doctype, d.key); err != nil {
			return err
		}
	}
	return nil
}
