package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const eventColumns = `e.seq, e.id, e.source, e.provider, e.provider_id, e.delivery_id, e.topic, e.subject, e.secret_slot,
  e.occurred_at, e.received_at, e.state, e.due_at, e.attempts, e.class, e.reason, e.hint, e.doctype`

// scanEvent reads eventColumns, and what `more` asks for after them.
func scanEvent(scan func(...any) error, more ...any) (event.Event, int64, error) {
	var (
		e                       event.Event
		seq                     int64
		occurred, received, due string
	)
	err := scan(append([]any{
		&seq, &e.ID, &e.Source, &e.Provider, &e.ProviderID, &e.DeliveryID, &e.Topic, &e.Subject, &e.SecretSlot,
		&occurred, &received, &e.State, &due, &e.Attempts, &e.Class, &e.Reason, &e.Hint, &e.DocType,
	}, more...)...)
	e.OccurredAt, e.ReceivedAt = moment(occurred), moment(received)
	if e.State == event.Pending {
		e.DueAt = moment(due)
	}
	return e, seq, err
}

// bySeq reads an event with its body.
func (db *DB) bySeq(ctx context.Context, seq int64) (event.Event, error) {
	var header, body any
	q := db.read.QueryRowContext(ctx, "SELECT "+eventColumns+", b.header, b.body FROM events e LEFT JOIN bodies b ON b.seq = e.seq WHERE e.seq = ?", seq)
	e, _, err := scanEvent(q.Scan, &header, &body)
	if err != nil {
		return event.Event{}, err
	}
	return e, db.fill(&e, header, body)
}

// Get gives an event with its body (nil once retention took it), its attempts
// and its documents, oldest first. `id` may be the beginning of an id, at
// least six characters of it. NotFound: no event, or several, begin so.
func (db *DB) Get(ctx context.Context, id string) (event.Event, []event.Attempt, []event.Document, error) {
	const op = "sqlite.Get"
	full, err := db.fullID(ctx, op, id)
	if err != nil {
		return event.Event{}, nil, nil, err
	}
	var seq int64
	if err := db.read.QueryRowContext(ctx, "SELECT seq FROM events WHERE id = ?", full).Scan(&seq); err != nil {
		return event.Event{}, nil, nil, storeFault(op, err)
	}
	ev, err := db.bySeq(ctx, seq)
	if err != nil {
		return event.Event{}, nil, nil, storeFault(op, err)
	}
	attempts, err := db.attempts(ctx, seq, full)
	if err != nil {
		return event.Event{}, nil, nil, storeFault(op, err)
	}
	docs, err := db.documents(ctx, seq)
	if err != nil {
		return event.Event{}, nil, nil, storeFault(op, err)
	}
	return ev, attempts, docs, nil
}

func (db *DB) attempts(ctx context.Context, seq int64, id string) ([]event.Attempt, error) {
	var all []event.Attempt
	err := db.each(ctx, func(scan func(...any) error) error {
		a := event.Attempt{EventID: id}
		var started string
		var took int64
		var calls sql.NullString
		var detail any
		if err := scan(&a.Number, &started, &took, &a.Result, &a.Class, &a.Reason, &a.Hint, &detail, &calls); err != nil {
			return err
		}
		a.Detail = db.detail(id, detail)
		a.StartedAt, a.Took = moment(started), time.Duration(took)*time.Microsecond
		var err error
		a.Exchanges, err = readExchanges(calls.String)
		all = append(all, a)
		return err
	}, `SELECT a.number, a.started_at, a.took_us, a.result, a.class, a.reason, a.hint, a.detail, x.calls
FROM attempts a LEFT JOIN exchanges x ON x.seq = a.seq AND x.number = a.number WHERE a.seq = ? ORDER BY a.number`, seq)
	return all, err
}

func (db *DB) documents(ctx context.Context, seq int64) ([]event.Document, error) {
	var all []event.Document
	err := db.each(ctx, func(scan func(...any) error) error {
		d, err := scanDocument(scan)
		all = append(all, d)
		return err
	}, `SELECT d.doctype, d.key, d.name, d.data FROM event_documents l JOIN documents d ON d.doctype = l.doctype AND d.key = l.key
WHERE l.seq = ? ORDER BY d.updated_at, d.doctype, d.key`, seq)
	return all, err
}

func scanDocument(scan func(...any) error, before ...any) (event.Document, error) {
	var d event.Document
	var data string
	if err := scan(append(before, &d.DocType, &d.Key, &d.Name, &data)...); err != nil {
		return d, err
	}
	return d, json.Unmarshal([]byte(data), &d.Data)
}

// DocumentsOf tells the documents of events, by event id, in one question. Ids
// that are not known have none.
func (db *DB) DocumentsOf(ctx context.Context, ids ...string) (map[string][]event.Document, error) {
	all := map[string][]event.Document{}
	list, err := json.Marshal(ids)
	if err == nil {
		err = db.each(ctx, func(scan func(...any) error) error {
			var id string
			d, err := scanDocument(scan, &id)
			all[id] = append(all[id], d)
			return err
		}, `SELECT e.id, d.doctype, d.key, d.name, d.data FROM json_each(?) asked CROSS JOIN events e ON e.id = asked.value
CROSS JOIN event_documents l ON l.seq = e.seq CROSS JOIN documents d ON d.doctype = l.doctype AND d.key = l.key
ORDER BY d.updated_at, d.doctype, d.key`, string(list))
	}
	if err != nil {
		return nil, storeFault("sqlite.DocumentsOf", err)
	}
	return all, nil
}

// asker is what rows can be asked of: the readers, or one moment of the inbox.
type asker interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each asks for rows and gives each to `take`.
func (db *DB) each(ctx context.Context, take func(scan func(...any) error) error, query string, args ...any) error {
	return each(ctx, db.read, take, query, args...)
}

func each(ctx context.Context, from asker, take func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// lastReceived goes to the end of a listing; there is one for each state.
const lastReceived = `
SELECT c.source, (SELECT e.received_at FROM events e WHERE e.source = c.source AND e.state = c.state ORDER BY e.seq DESC LIMIT 1)
FROM counts c WHERE c.n > 0`

// LastReceived tells when the newest event of each source was received. It
// costs the same for ten events and a million.
func (db *DB) LastReceived(ctx context.Context) (map[string]time.Time, error) {
	last := make(map[string]time.Time)
	err := db.each(ctx, func(scan func(...any) error) error {
		var source, at string
		err := scan(&source, &at)
		if t := moment(at); t.After(last[source]) {
			last[source] = t
		}
		return err
	}, lastReceived)
	return last, storeFault("sqlite.LastReceived", err)
}

const countStates = `
SELECT c.source, c.state, c.n, CASE WHEN c.state = 'pending' AND c.n > 0 THEN coalesce(
  (SELECT e.received_at FROM events e WHERE e.source = c.source AND e.state = 'pending' ORDER BY e.seq LIMIT 1), '') ELSE '' END FROM counts c`

// Stats counts the events by state and tells when the oldest pending one of
// each source was received; heartbeats do not count. It costs the same for ten
// events and a million.
func (db *DB) Stats(ctx context.Context) (event.Stats, error) {
	s := event.Stats{ByState: make(map[event.State]int64), OldestPending: make(map[string]time.Time)}
	err := db.each(ctx, func(scan func(...any) error) error {
		var source, state, oldest string
		var n int64
		if err := scan(&source, &state, &n, &oldest); err != nil {
			return err
		}
		if source == event.Heartbeat {
			return nil
		}
		s.ByState[event.State(state)] += n
		if oldest != "" {
			s.OldestPending[source] = moment(oldest)
		}
		return nil
	}, countStates)
	return s, storeFault("sqlite.Stats", err)
}

// List gives events that match f, newest received first and without bodies,
// and the cursor of the next page, "" after the last one. The heartbeat is
// listed only when f names its source. Malformed: the cursor is not one of ours.
func (db *DB) List(ctx context.Context, f event.Filter) ([]event.Event, string, error) {
	const op = "sqlite.List"
	limit := cmp.Or(max(f.Limit, 0), 50)
	before := int64(1) << 62
	if f.Cursor != "" {
		var err error
		if before, err = strconv.ParseInt(f.Cursor, 36, 64); err != nil {
			return nil, "", fault.New(fault.Malformed, op, "the cursor is not one of a listing")
		}
	}
	cond, err := db.conditionOf(ctx, f)
	if err != nil {
		return nil, "", storeFault(op, err)
	}
	// All of it is read as of one moment: an event that changes its state meanwhile
	// would be missing, or stand there twice.
	moment, err := db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, "", storeFault(op, err)
	}
	defer moment.Rollback() //nolint:errcheck // nothing was written
	parts, err := partitions(ctx, moment, f.Source, cond)
	if err != nil {
		return nil, "", storeFault(op, err)
	}
	// Each part is in order by itself and read through the index; the page is
	// among the first of each.
	var found []listed
	for _, p := range parts {
		if found, err = listPart(ctx, moment, found, p, cond, before, limit+1); err != nil {
			return nil, "", storeFault(op, err)
		}
	}
	slices.SortFunc(found, func(a, b listed) int { return cmp.Compare(b.seq, a.seq) })
	next := ""
	if len(found) > limit {
		found = found[:limit]
		next = strconv.FormatInt(found[limit-1].seq, 36)
	}
	events := make([]event.Event, 0, len(found))
	for _, l := range found {
		events = append(events, l.event)
	}
	return events, next, nil
}

type listed struct {
	seq   int64
	event event.Event
}

// partition is all events of one source in one state.
type partition struct{ source, state string }

func partitions(ctx context.Context, from asker, source string, cond condition) ([]partition, error) {
	var all []partition
	if cond.none {
		return nil, nil
	}
	err := each(ctx, from, func(scan func(...any) error) error {
		var p partition
		if err := scan(&p.source, &p.state); err != nil {
			return err
		}
		if (source == "" || source == p.source) && (cond.state == "" || string(cond.state) == p.state) {
			all = append(all, p)
		}
		return nil
	}, "SELECT source, state FROM counts WHERE n > 0 AND (source <> ? OR source = ?)", event.Heartbeat, source)
	return all, err
}

func listPart(ctx context.Context, from asker, found []listed, p partition, cond condition, before int64, limit int) ([]listed, error) {
	args := append([]any{p.source, p.state, before}, cond.args...)
	err := each(ctx, from, func(scan func(...any) error) error {
		e, seq, err := scanEvent(scan)
		found = append(found, listed{seq, e})
		return err
	}, "SELECT "+eventColumns+" FROM events e WHERE e.source = ? AND e.state = ? AND e.seq < ?"+cond.where+" ORDER BY e.seq DESC LIMIT ?", append(args, limit)...)
	return found, err
}

// sweepStep is how many bodies one transaction takes: the intake waits behind
// it.
const sweepStep = 200

// Sweep empties body, headers, attempts' details and what was exchanged with
// ERPNext of done and ignored events that were settled before the given time, at
// most limit of them, and tells how many. The events
// stay, so that a late repeat is still known; pending and dead ones keep their
// bodies, for somebody still needs them.
func (db *DB) Sweep(ctx context.Context, settledBefore time.Time, limit int) (int, error) {
	total := 0
	for total < limit {
		want, n := min(limit-total, sweepStep), 0
		err := db.write(ctx, "sqlite.Sweep", func(c *conn) error {
			var err error
			n, err = sweep(c, text(settledBefore), int64(want))
			return err
		})
		if err != nil {
			return total, err
		}
		total += n
		if n < want {
			break
		}
	}
	return total, nil
}

func sweep(c *conn, before string, limit int64) (int, error) {
	var seqs []int64
	err := c.query(`
UPDATE events SET swept = 1 WHERE seq IN (
  SELECT seq FROM events WHERE swept = 0 AND state IN ('done', 'ignored') AND settled_at < ? ORDER BY settled_at LIMIT ?)
RETURNING seq`, []driver.Value{before, limit}, func(r row) { seqs = append(seqs, r.int(0)) })
	if err != nil {
		return 0, err
	}
	for _, seq := range seqs {
		if err := empty(c, seq); err != nil {
			return 0, err
		}
	}
	return len(seqs), nil
}
