package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// Pause holds the events of a source, or with event.AllSources of every one:
// none is claimed until Resume, and none spends an attempt. What a worker has
// in hand ends as usual. Pausing what is paused changes nothing.
func (db *DB) Pause(ctx context.Context, source, reason string) error {
	by := event.ActorOf(ctx)
	actor, err := json.Marshal(by)
	if err != nil {
		return err
	}
	return db.write(ctx, "sqlite.Pause", func(c *conn) error {
		now := text(db.now())
		n, err := c.exec("INSERT INTO pauses (source, since, actor, reason) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", source, now, string(actor), reason)
		if err != nil || n == 0 {
			return err
		}
		return note(c, now, by, "pause", source, reason)
	})
}

// Resume ends the pause of a source, or with event.AllSources the one of every
// source; a pause of a single one stays until that is resumed. Resuming what
// is not paused changes nothing.
func (db *DB) Resume(ctx context.Context, source string) error {
	err := db.write(ctx, "sqlite.Resume", func(c *conn) error {
		n, err := c.exec("DELETE FROM pauses WHERE source = ?", source)
		if err != nil || n == 0 {
			return err
		}
		return note(c, text(db.now()), event.ActorOf(ctx), "resume", source, "")
	})
	if err == nil {
		db.signal()
	}
	return err
}

// Pauses gives what is held by hand at the moment.
func (db *DB) Pauses(ctx context.Context) ([]event.Pause, error) {
	var all []event.Pause
	err := db.each(ctx, func(scan func(...any) error) error {
		var p event.Pause
		var since, actor string
		if err := scan(&p.Source, &since, &actor, &p.Reason); err != nil {
			return err
		}
		p.Since = moment(since)
		all = append(all, p)
		return json.Unmarshal([]byte(actor), &all[len(all)-1].By)
	}, "SELECT source, since, actor, reason FROM pauses ORDER BY source")
	return all, storeFault("sqlite.Pauses", err)
}

// flow is which sources' events may be claimed.
type flow struct {
	all  bool     // nothing is paused
	only []string // else those with pending events that are not
}

// flowOf asks through the writer's connection or a reader's; texts gives the
// first column of each row. It is asked for each claim, so that a pause made by
// another process counts at once.
func flowOf(texts func(query string, take func(string)) error) (flow, error) {
	paused := make(map[string]bool)
	err := texts("SELECT source FROM pauses", func(source string) { paused[source] = true })
	if err != nil || len(paused) == 0 || paused[event.AllSources] {
		return flow{all: len(paused) == 0}, err
	}
	var f flow
	err = texts("SELECT source FROM counts WHERE state = 'pending' AND n > 0", func(source string) {
		if !paused[source] {
			f.only = append(f.only, source)
		}
	})
	return f, err
}

func (c *conn) texts(query string, take func(string)) error {
	return c.query(query, nil, func(r row) { take(r.text(0)) })
}

func (db *DB) texts(ctx context.Context) func(query string, take func(string)) error {
	return func(query string, take func(string)) error {
		return db.each(ctx, func(scan func(...any) error) error {
			var text string
			err := scan(&text)
			take(text)
			return err
		}, query)
	}
}

// stopped reports whether nothing may be claimed.
func (f flow) stopped() bool { return !f.all && len(f.only) == 0 }

// next finds the event to be claimed among those that may be; 0 when there is
// none.
func (f flow) next(c *conn, now string) (int64, string, error) {
	seq, due := int64(0), ""
	if f.all {
		err := c.query(nextDue, []driver.Value{now, now}, func(r row) { seq, due = r.int(0), r.text(1) })
		return seq, due, err
	}
	for _, source := range f.only {
		err := c.query(nextDueOf, []driver.Value{source, now, now}, func(r row) {
			if s, d := r.int(0), r.text(1); seq == 0 || d < due || d == due && s < seq {
				seq, due = s, d
			}
		})
		if err != nil {
			return 0, "", err
		}
	}
	return seq, due, nil
}
