package sqlite

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	// planStep and runStep are how many events one transaction chooses or
	// changes; the intake waits behind it.
	planStep = 500
	runStep  = 100
	// planKept is how long a plan that nobody starts is kept.
	planKept = 24 * time.Hour
	// carriedFor is how long a run belongs to the process that carries it on
	// after its last step; a pause between two steps must be shorter.
	carriedFor = 10 * time.Second
)

// newID is a name that nobody can guess and nothing else has.
func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()[:16]) }

// PlanRun chooses the events that r.Filter matches now, counts them by cause and
// keeps the run as planned; nothing happens to the events. Of r, Action, Filter,
// Reason and Rate are read. The actor is the context's. Plans older than a day
// that were never started are dropped.
func (db *DB) PlanRun(ctx context.Context, r event.Run) (event.Run, error) {
	const op = "sqlite.PlanRun"
	if r.Action != event.ActionReplay && r.Action != event.ActionDismiss {
		return event.Run{}, fault.New(fault.Malformed, op, "the action is neither replay nor dismiss")
	}
	if err := db.dropStalePlans(ctx); err != nil {
		return event.Run{}, err
	}
	r = event.Run{
		ID: newID("run_"), Action: r.Action, State: event.RunPlanning, Filter: r.Filter, Reason: r.Reason, Rate: r.Rate,
		By: event.ActorOf(ctx), PlannedAt: moment(text(db.now())),
	}
	if err := db.write(ctx, op, func(c *conn) error { return insertRun(c, r) }); err != nil {
		return event.Run{}, err
	}
	plan, err := db.choose(ctx, r)
	if err != nil {
		return event.Run{}, storeFault(op, err)
	}
	r.Plan = plan
	for _, p := range plan {
		r.Total += p.Count
	}
	causes, err := json.Marshal(plan)
	if err != nil {
		return event.Run{}, err
	}
	r.State = event.RunPlanned
	return r, db.write(ctx, op, func(c *conn) error {
		_, err := c.exec("UPDATE runs SET state = 'planned', plan = ?, total = ? WHERE id = ? AND state = 'planning'", string(causes), r.Total, r.ID)
		if err != nil {
			return err
		}
		return note(c, text(db.now()), r.By, "plan", r.ID, string(r.Action))
	})
}

func insertRun(c *conn, r event.Run) error {
	filter, err := json.Marshal(r.Filter)
	if err != nil {
		return err
	}
	actor, err := json.Marshal(r.By)
	if err != nil {
		return err
	}
	_, err = c.exec(`
INSERT INTO runs (id, action, state, filter, reason, rate, actor, plan, total, done, skipped, planned_at, started_at, ended_at, carrier, carried_until)
VALUES (?, ?, ?, ?, ?, ?, ?, '[]', 0, 0, 0, ?, '', '', '', '')`,
		r.ID, string(r.Action), string(r.State), string(filter), r.Reason, int64(r.Rate), string(actor), text(r.PlannedAt))
	return err
}

// choose writes down the events of a run and counts them by state and cause,
// the most frequent first. It looks through the readers, page by page, so that
// the writer is never held by a filter that matches little.
func (db *DB) choose(ctx context.Context, r event.Run) ([]event.PlannedCause, error) {
	cond, err := db.conditionOf(ctx, r.Filter)
	if err != nil {
		return nil, err
	}
	parts, err := partitions(ctx, db.read, r.Filter.Source, cond)
	if err != nil {
		return nil, err
	}
	counts := make(map[event.PlannedCause]int64)
	for _, p := range parts {
		if err := db.choosePart(ctx, r.ID, p, cond, counts); err != nil {
			return nil, err
		}
	}
	plan := make([]event.PlannedCause, 0, len(counts))
	for cause, n := range counts {
		cause.Count = n
		plan = append(plan, cause)
	}
	slices.SortFunc(plan, func(a, b event.PlannedCause) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.State, b.State), cmp.Compare(a.ID(), b.ID()))
	})
	return plan, nil
}

func (db *DB) choosePart(ctx context.Context, run string, p partition, cond condition, counts map[event.PlannedCause]int64) error {
	for before := int64(1) << 62; ; {
		page, err := listPart(ctx, db.read, nil, p, cond, before, planStep)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, l := range page {
			counts[event.PlannedCause{Cause: causeOf(l.event), State: l.event.State}]++
		}
		err = db.write(ctx, "sqlite.PlanRun", func(c *conn) error {
			for _, l := range page {
				_, err := c.exec("INSERT INTO run_events (run, seq, state) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", run, l.seq, string(l.event.State))
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		before = page[len(page)-1].seq
	}
}

func causeOf(ev event.Event) event.Cause {
	return event.Cause{Class: ev.Class, Reason: ev.Reason, DocType: ev.DocType}
}

// dropStalePlans also takes what a process that died while planning or
// cancelling has left.
func (db *DB) dropStalePlans(ctx context.Context) error {
	before := text(db.now().Add(-planKept))
	var stale []string
	err := db.each(ctx, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		stale = append(stale, id)
		return err
	}, `
SELECT id FROM runs WHERE state IN ('planning', 'planned') AND planned_at < ? UNION ALL
SELECT id FROM runs WHERE state = 'cancelled' AND EXISTS (SELECT 1 FROM run_events WHERE run = id)`, before)
	if err != nil {
		return storeFault("sqlite.PlanRun", err)
	}
	for _, id := range stale {
		if err := db.dropRest(ctx, id); err != nil {
			return err
		}
		err := db.write(ctx, "sqlite.PlanRun", func(c *conn) error {
			_, err := c.exec("DELETE FROM runs WHERE id = ? AND state IN ('planning', 'planned')", id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dropRest forgets which events were left of a run that is over.
func (db *DB) dropRest(ctx context.Context, id string) error {
	for n := int64(planStep); n == planStep; {
		err := db.write(ctx, "sqlite.GetRun", func(c *conn) error {
			var err error
			n, err = c.exec("DELETE FROM run_events WHERE run = ? AND seq IN (SELECT seq FROM run_events WHERE run = ? LIMIT ?)", id, id, int64(planStep))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// StartRun lets a planned run begin. Conflict: it was started before, was
// cancelled, or is not planned to its end. NotFound: there is no such run.
func (db *DB) StartRun(ctx context.Context, id string) (event.Run, error) {
	return db.moveRun(ctx, "sqlite.StartRun", id, "start", `UPDATE runs SET state = 'running', started_at = ? WHERE id = ? AND state = 'planned'`)
}

// CancelRun ends a run that is not over; what it has done stays done. Conflict:
// it is over. NotFound: there is no such run.
func (db *DB) CancelRun(ctx context.Context, id string) (event.Run, error) {
	r, err := db.moveRun(ctx, "sqlite.CancelRun", id, "cancel", `UPDATE runs SET state = 'cancelled', ended_at = ? WHERE id = ? AND state IN ('planning', 'planned', 'running')`)
	if err != nil {
		return event.Run{}, err
	}
	return r, db.dropRest(ctx, id)
}

func (db *DB) moveRun(ctx context.Context, op, id, action, statement string) (event.Run, error) {
	moved := int64(0)
	err := db.write(ctx, op, func(c *conn) error {
		now := text(db.now())
		var err error
		if moved, err = c.exec(statement, now, id); err != nil || moved == 0 {
			return err
		}
		return note(c, now, event.ActorOf(ctx), action, id, "")
	})
	if err != nil {
		return event.Run{}, err
	}
	r, err := db.GetRun(ctx, id)
	if err == nil && moved == 0 {
		return event.Run{}, fault.New(fault.Conflict, op, "the run is "+string(r.State))
	}
	return r, err
}

// StepRun does the next events of a running run, at most limit and never more
// than a hundred, and gives the run as it is then. carrier names the process:
// while another one carries the run on, nothing is done here. A run that is not
// running is given as it is. NotFound: there is no such run.
func (db *DB) StepRun(ctx context.Context, id, carrier string, limit int) (event.Run, error) {
	err := db.write(ctx, "sqlite.StepRun", func(c *conn) error {
		now := db.now()
		n, err := c.exec(`
UPDATE runs SET carrier = ?, carried_until = ? WHERE id = ? AND state = 'running' AND (carrier = ? OR carried_until < ? OR carried_until > ?)`,
			carrier, text(now.Add(carriedFor)), id, carrier, text(now), text(now.Add(carriedFor))) // or a clock was wrong
		if err != nil || n == 0 {
			return err
		}
		return stepRun(c, id, text(now), int64(min(max(limit, 1), runStep)))
	})
	if err != nil {
		return event.Run{}, err
	}
	db.signal()
	return db.GetRun(ctx, id)
}

// chosen is an event of a run.
type chosen struct {
	seq   int64
	state event.State
}

func stepRun(c *conn, id, now string, limit int64) error {
	var m remedy
	err := c.query("SELECT action, reason FROM runs WHERE id = ?", []driver.Value{id}, func(r row) {
		if m = replayed; event.Action(r.text(0)) == event.ActionDismiss {
			m = dismissed(r.text(1))
		}
	})
	if err != nil {
		return err
	}
	var batch []chosen
	err = c.query("SELECT seq, state FROM run_events WHERE run = ? ORDER BY seq LIMIT ?", []driver.Value{id, limit}, func(r row) {
		batch = append(batch, chosen{r.int(0), event.State(r.text(1))})
	})
	if err != nil {
		return err
	}
	done := int64(0)
	for _, ev := range batch {
		ok, err := ev.apply(c, m, now)
		if err != nil {
			return err
		}
		done += number(ok)
		if _, err := c.exec("DELETE FROM run_events WHERE run = ? AND seq = ?", id, ev.seq); err != nil {
			return err
		}
	}
	return firstError(
		func() error {
			_, err := c.exec("UPDATE runs SET done = done + ?, skipped = skipped + ? WHERE id = ?", done, int64(len(batch))-done, id)
			return err
		},
		func() error {
			if m.action != event.ActionReplay || done == 0 {
				return nil
			}
			return countReplays(c, askedInBulk, done)
		},
		func() error { return endRun(c, id, now) },
	)
}

// apply does to an event of a run what the run is for, unless it has moved on
// since the plan or may not be changed now; it tells whether it did.
func (ev chosen) apply(c *conn, m remedy, now string) (bool, error) {
	s, err := standingOf(c, "SELECT "+standingColumns+" WHERE seq = ?", ev.seq)
	if err != nil || s.state != ev.state {
		return false, err
	}
	refusal, err := m.apply(c, s, now)
	return refusal == "" && err == nil, err
}

// endRun closes a run of which nothing is left.
func endRun(c *conn, id, now string) error {
	left, err := c.number("SELECT EXISTS (SELECT 1 FROM run_events WHERE run = ?)", id)
	if err != nil || left != 0 {
		return err
	}
	if _, err := c.exec("UPDATE runs SET state = 'done', ended_at = ? WHERE id = ?", now, id); err != nil {
		return err
	}
	return note(c, now, event.Actor{Name: "service", Via: "service"}, "finish", id, "")
}

const runColumns = "id, action, state, filter, reason, rate, actor, plan, total, done, skipped, planned_at, started_at, ended_at FROM runs"

// GetRun gives one run with its plan and progress. NotFound: there is none of
// that id.
func (db *DB) GetRun(ctx context.Context, id string) (event.Run, error) {
	const op = "sqlite.GetRun"
	r, err := scanRun(db.read.QueryRowContext(ctx, "SELECT "+runColumns+" WHERE id = ?", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return event.Run{}, fault.New(fault.NotFound, op, "no such run")
	}
	return r, storeFault(op, err)
}

// Runs gives the newest runs, at most limit of them; 0 = 50.
func (db *DB) Runs(ctx context.Context, limit int) ([]event.Run, error) {
	return db.runs(ctx, "SELECT "+runColumns+" ORDER BY planned_at DESC LIMIT ?", cmp.Or(max(limit, 0), 50))
}

// RunningRuns gives the runs that were started and are not over, oldest first.
func (db *DB) RunningRuns(ctx context.Context) ([]event.Run, error) {
	return db.runs(ctx, "SELECT "+runColumns+" WHERE state = 'running' ORDER BY started_at")
}

func (db *DB) runs(ctx context.Context, query string, args ...any) ([]event.Run, error) {
	var all []event.Run
	err := db.each(ctx, func(scan func(...any) error) error {
		r, err := scanRun(scan)
		all = append(all, r)
		return err
	}, query, args...)
	return all, storeFault("sqlite.Runs", err)
}

func scanRun(scan func(...any) error) (event.Run, error) {
	var r event.Run
	var filter, actor, plan, planned, started, ended string
	err := scan(&r.ID, &r.Action, &r.State, &filter, &r.Reason, &r.Rate, &actor, &plan, &r.Total, &r.Done, &r.Skipped, &planned, &started, &ended)
	if err != nil {
		return event.Run{}, err
	}
	r.PlannedAt, r.StartedAt, r.EndedAt = moment(planned), moment(started), moment(ended)
	return r, errors.Join(
		json.Unmarshal([]byte(filter), &r.Filter), json.Unmarshal([]byte(actor), &r.By), json.Unmarshal([]byte(plan), &r.Plan))
}
