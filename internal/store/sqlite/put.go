package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/seal"
)

// Put keeps ev for ever and answers once it is on disk. A repeat (same source
// and provider id, or same source and delivery id) is answered with the first
// one's id. ReceivedAt is the inbox's own now when it is zero; ID and the
// fields after StrictBody are not looked at. ev.Body must not be changed
// afterwards, not even when Put failed.
//
// Conflict: ev.StrictBody is set and another body is known under its provider
// id or delivery id. Malformed: source or provider id is missing. Busy: it may
// or may not have been stored; the sender must send it again.
func (db *DB) Put(ctx context.Context, ev event.Event) (event.Receipt, error) {
	const op = "sqlite.Put"
	in, err := newInsertion(ev, db.now(), db.keys)
	if err != nil {
		return event.Receipt{}, err
	}
	if err := db.w.put(ctx, op, in); err != nil {
		return event.Receipt{}, err
	}
	switch {
	case in.found == nil:
		db.signal()
		return event.Receipt{ID: in.self.id}, nil
	case in.refused():
		return event.Receipt{}, fault.New(fault.Conflict, op, "another body is known under this id")
	case in.found.sum != in.self.sum:
		db.repeats.Warn().Str("event_id", in.found.id).Msg("repeat has another body, the first is kept")
	}
	return event.Receipt{ID: in.found.id, Duplicate: true}, nil
}

// known is what tells an event the inbox has from another.
type known struct {
	seq int64
	id  string
	sum [sha256.Size]byte
}

// insertion is an event made ready for the writer, so that hashing and
// encoding happen on the caller's time and in parallel.
type insertion struct {
	self               known
	source, deliveryID string
	strict             bool
	header             driver.Value // text, or bytes when it is sealed
	body               []byte
	values             []driver.Value // of insertColumns, without the sequence number

	found *known // the writer's answer: the event that was there already, or nil
}

// refused reports whether the event was there already with another body,
// although the sender's signature does not bind the body.
func (in *insertion) refused() bool {
	return in.found != nil && in.strict && in.found.sum != in.self.sum
}

// hasDelivery reports whether the event may be known under its delivery's id,
// which the unique index does not tell.
func (in *insertion) hasDelivery() bool { return in.deliveryID != "" }

func newInsertion(ev event.Event, now time.Time, keys *seal.Ring) (*insertion, error) {
	if ev.Source == "" || ev.ProviderID == "" {
		return nil, fault.New(fault.Malformed, "sqlite.Put", "source or provider id is missing")
	}
	header := []byte("{}")
	if len(ev.Header) > 0 {
		var err error
		if header, err = json.Marshal(ev.Header); err != nil {
			return nil, err
		}
	}
	if ev.ReceivedAt.IsZero() {
		ev.ReceivedAt = now
	}
	in := &insertion{
		self:   known{id: event.NewID(ev.Source, ev.ProviderID), sum: sha256.Sum256(ev.Body)},
		source: ev.Source, deliveryID: ev.DeliveryID, strict: ev.StrictBody,
		header: string(header), body: ev.Body,
	}
	if in.body == nil {
		in.body = []byte{} // nil would be NULL, which means that retention took it
	}
	if keys.Seals() {
		in.header, in.body = keys.Seal(headerPlace(in.self.id), header), keys.Seal(bodyPlace(in.self.id), in.body)
	}
	received := text(ev.ReceivedAt)
	in.values = []driver.Value{
		in.self.id, ev.Source, ev.Provider, ev.ProviderID, ev.DeliveryID, ev.Topic, ev.Subject, ev.SecretSlot,
		text(ev.OccurredAt), received, received, in.self.sum[:],
	}
	return in, nil
}

// manner is how a batch is put. Nearly all events are new, so the writer hopes
// for that first: the unique index finds a repeat by itself, the transaction
// fails, and the second time the writer looks before it puts.
type manner bool

const (
	hope manner = false
	look manner = true
)

// insert puts a batch of events into the open transaction and notes in each
// what was known already.
func insert(c *conn, batch []*insertion, manner manner) error {
	if len(batch) == 0 {
		return nil
	}
	fresh, err := batch, error(nil)
	if manner == look || slices.ContainsFunc(batch, (*insertion).hasDelivery) {
		fresh, err = unknown(c, batch)
	}
	if err != nil {
		return err
	}
	last, err := c.number("SELECT max(seq) FROM events")
	if err != nil {
		return err
	}
	for i, in := range fresh {
		in.self.seq, in.found = last+1+int64(i), nil
	}
	return firstError(
		func() error { return insertRows(c, fresh) },
		func() error { return countNew(c, fresh) },
		func() error { return noteDeliveries(c, batch) },
	)
}

func firstError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// unknown leaves out what the inbox, or the batch before it, has already.
func unknown(c *conn, batch []*insertion) ([]*insertion, error) {
	ids, err := knownIDs(c, batch)
	if err != nil {
		return nil, err
	}
	deliveries := make(map[[2]string]*known)
	fresh := make([]*insertion, 0, len(batch))
	for _, in := range batch {
		in.found = ids[in.self.id]
		delivery := [2]string{in.source, in.deliveryID}
		if in.found == nil && in.deliveryID != "" {
			if in.found = deliveries[delivery]; in.found == nil {
				in.found, err = knownDelivery(c, in)
			}
			if err != nil {
				return nil, err
			}
		}
		switch {
		case in.found == nil:
			fresh = append(fresh, in)
			ids[in.self.id], deliveries[delivery] = &in.self, &in.self
		case !in.refused() && deliveries[delivery] == nil: // as noteDeliveries will, for those behind it
			deliveries[delivery] = in.found
		}
	}
	return fresh, nil
}

func knownIDs(c *conn, batch []*insertion) (map[string]*known, error) {
	ids := make(map[string]*known, len(batch))
	args := make([]driver.Value, 0, maxRows)
	for part := range chunks(batch) {
		args = args[:0]
		for _, in := range part {
			args = append(args, in.self.id)
		}
		err := c.query(selectKnown[len(part)], args, func(r row) {
			k := scanKnown(r)
			ids[k.id] = k
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func knownDelivery(c *conn, in *insertion) (*known, error) {
	var k *known
	err := c.query("SELECT e.seq, e.id, e.body_sum FROM deliveries d JOIN events e ON e.seq = d.seq WHERE d.source = ? AND d.delivery_id = ?",
		[]driver.Value{in.source, in.deliveryID}, func(r row) { k = scanKnown(r) })
	return k, err
}

func scanKnown(r row) *known {
	k := &known{seq: r.int(0), id: r.text(1)}
	copy(k.sum[:], r.blob(2))
	return k
}

func insertRows(c *conn, fresh []*insertion) error {
	args := make([]driver.Value, 0, 16*maxRows)
	for part := range chunks(fresh) {
		args = args[:0]
		for _, in := range part {
			args = append(append(args, in.self.seq), in.values...)
		}
		if _, err := c.exec(insertEvents[len(part)], args...); err != nil {
			return err
		}
		args = args[:0]
		for _, in := range part {
			args = append(args, in.self.seq, in.header, in.body)
		}
		if _, err := c.exec(insertBodies[len(part)], args...); err != nil {
			return err
		}
	}
	return nil
}

func countNew(c *conn, fresh []*insertion) error {
	bySource := make(map[string]int64)
	for _, in := range fresh {
		bySource[in.source]++
	}
	for source, n := range bySource {
		_, err := c.exec("INSERT INTO counts (source, state, n) VALUES (?, 'pending', ?) ON CONFLICT (source, state) DO UPDATE SET n = n + excluded.n", source, n)
		if err != nil {
			return err
		}
	}
	return nil
}

// noteDeliveries remembers the delivery ids of new events and of honest
// repeats: a signature that does not bind the body is good for that body only.
func noteDeliveries(c *conn, batch []*insertion) error {
	for _, in := range batch {
		if in.deliveryID == "" || in.refused() {
			continue
		}
		of := in.self.seq
		if in.found != nil {
			of = in.found.seq
		}
		_, err := c.exec("INSERT INTO deliveries (source, delivery_id, seq) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", in.source, in.deliveryID, of)
		if err != nil {
			return err
		}
	}
	return nil
}

// maxRows is how many rows one statement carries; beyond it the cost of a
// statement is no longer felt.
const maxRows = 64

// chunks cuts batch into parts of 64, 32, … 1, so that seven prepared
// statements serve a batch of any size.
func chunks(batch []*insertion) func(yield func([]*insertion) bool) {
	return func(yield func([]*insertion) bool) {
		size := maxRows
		for len(batch) > 0 {
			for size > len(batch) {
				size /= 2
			}
			if !yield(batch[:size]) {
				return
			}
			batch = batch[size:]
		}
	}
}

// perRows spells a statement for each size that chunks gives.
func perRows(head, group, tail string) map[int]string {
	texts := make(map[int]string)
	for n := 1; n <= maxRows; n *= 2 {
		texts[n] = head + group + strings.Repeat(", "+group, n-1) + tail
	}
	return texts
}

var (
	selectKnown  = perRows("SELECT seq, id, body_sum FROM events WHERE id IN (", "?", ")")
	insertEvents = perRows(
		"INSERT OR ROLLBACK INTO events (seq, id, source, provider, provider_id, delivery_id, topic, subject, secret_slot, occurred_at, received_at, due_at, body_sum) VALUES ",
		"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "")
	insertBodies = perRows("INSERT OR ROLLBACK INTO bodies (seq, header, body) VALUES ", "(?, ?, ?)", "")
)
