package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// TestNoStatementWalksATable runs everything the inbox does and asks SQLite
// how it does it: a walk through a table is fine with ten events and an outage
// with a million.
func TestNoStatementWalksATable(t *testing.T) {
	db := openNew(t)
	everything(t, db)
	statements := []string{whatIsDue, whatIsDueOf, countStates, lastReceived, deadByCause}
	for s := range db.w.c.stmts {
		statements = append(statements, s)
	}
	if len(statements) < 30 {
		t.Fatalf("only %d statements were seen", len(statements))
	}
	walks := []string{"SCAN counts", "SCAN c"}                         // a row per source and state
	walks = append(walks, "SCAN pauses")                               // a row per source that is held by hand
	walks = append(walks, "SCAN e USING COVERING INDEX events_causes") // dead letters only, and not the table
	// Not walks: the writer looks at the events of its own commit, and NextDue
	// stops at the first row that cannot be beaten.
	walks = append(walks, "SCAN e USING INDEX events_due")
	for _, s := range statements {
		for _, step := range plan(t, db, s) {
			// The listing's index leads to all pending events of a source.
			listing := strings.Contains(step, "events_listing") && s != countStates && s != lastReceived
			if listing || strings.HasPrefix(step, "SCAN") && !allowed(step, walks) || strings.Contains(step, "AUTOMATIC") {
				t.Errorf("%s\nfor\n%s", step, s)
			}
		}
	}
}

func TestClaimWalksTheDueIndexInOrder(t *testing.T) {
	db := openNew(t)
	got := strings.Join(plan(t, db, nextDue), "\n")
	for _, want := range []string{"SEARCH e USING INDEX events_due", "SEARCH l USING INDEX events_leased"} {
		if !strings.Contains(got, want) {
			t.Errorf("the plan lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "TEMP B-TREE") {
		t.Errorf("the plan sorts:\n%s", got)
	}
}

// What is done for every event before its sender has the answer.
func TestAnInsertNeedsNoTableOfItsOwn(t *testing.T) {
	db := openNew(t)
	for _, statement := range []string{insertEvents[2], insertBodies[2]} {
		args := make([]driver.Value, strings.Count(statement, "?"))
		err := db.write(t.Context(), "test", func(c *conn) error {
			return c.query("EXPLAIN "+statement, args, func(step row) {
				if step.text(1) == "OpenEphemeral" {
					t.Errorf("step %d of %.30s… opens a table for every row", step.int(0), statement)
				}
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnEventHasAKnownState(t *testing.T) {
	db := openNew(t)
	put(t, db, 1)
	err := db.write(t.Context(), "test", func(c *conn) error {
		_, err := c.exec("UPDATE events SET state = 'lost'")
		return err
	})
	if code(errors.Unwrap(err)) != sqlite3.SQLITE_CONSTRAINT {
		t.Errorf("got %v, want a constraint's error", err)
	}
}

func allowed(step string, walks []string) bool {
	for _, w := range walks {
		if step == w || strings.HasPrefix(step, w+" ") || step == "SCAN CONSTANT ROW" {
			return true
		}
	}
	return strings.Contains(step, "subquery") || strings.HasSuffix(step, "CONSTANT ROWS")
}

func everything(t *testing.T, db *DB) {
	t.Helper()
	ctx := t.Context()
	for n := range 5 {
		ev := numbered(n)
		ev.DeliveryID, ev.Subject = fmt.Sprint("delivery-", n), "order/1"
		if _, err := db.Put(ctx, ev); err != nil {
			t.Fatal(err)
		}
	}
	settledBeat(t, db)
	doc := event.Document{DocType: "Sales Order", Name: "SO-1", Key: "k"}
	later := time.Now().Add(time.Hour)
	for _, o := range []event.Outcome{
		{State: event.Pending, Result: "waiting", WaitsFor: []string{"k"}, DueAt: later},
		{State: event.Dead, Result: "dead"},
		{State: event.Done, Result: "done", Documents: []event.Document{doc}},
	} {
		c, err := db.Claim(ctx, time.Minute)
		if err != nil || c == nil {
			t.Fatalf("claim: %v, %v", c, err)
		}
		if err := db.Settle(ctx, c, o); err != nil {
			t.Fatal(err)
		}
	}
	for name, do := range map[string]func(context.Context) error{
		"replay":   func(ctx context.Context) error { return db.Replay(ctx, event.NewID("shop", "evt-1")) },
		"dismiss":  func(ctx context.Context) error { return db.Dismiss(ctx, event.NewID("shop", "evt-4"), "by hand") },
		"remember": func(ctx context.Context) error { return db.Remember(ctx, event.NewID("shop", "evt-1"), doc) },
		"forget":   func(ctx context.Context) error { return db.Forget(ctx, doc.DocType, doc.Key) },
		"note":     func(ctx context.Context) error { return db.SetNote(ctx, "a", "b") },
		"ready":    db.Ready,
		"beat":     func(ctx context.Context) error { _, err := db.Beat(ctx); return err },
		"sweep":    func(ctx context.Context) error { _, err := db.Sweep(ctx, later, 10); return err },
		"reject": func(ctx context.Context) error {
			return db.Reject(ctx, event.RejectionBounds{PerSource: 1, Bytes: 1, Age: time.Hour}, event.Rejection{ID: "rj_1", Source: "shop"})
		},
		"unreject": func(ctx context.Context) error { return db.Unreject(ctx, "rj_1", "ev_1") },
		"run":      func(ctx context.Context) error { return wholeRun(ctx, db) },
		"hold":     func(ctx context.Context) error { return holdAndClaim(ctx, db) },
	} {
		if err := do(ctx); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// settledBeat lets one heartbeat go through, so that the next takes its row.
func settledBeat(t *testing.T, db *DB) {
	t.Helper()
	if sent, err := db.Beat(t.Context()); !sent || err != nil {
		t.Fatalf("beat: %v, %v", sent, err)
	}
	execOn(t, db, "UPDATE events SET state = 'ignored' WHERE source = 'heartbeat'")
}

func wholeRun(ctx context.Context, db *DB) error {
	r, err := db.PlanRun(ctx, event.Run{Action: event.ActionReplay, Filter: event.Filter{Source: "shop"}})
	if err != nil {
		return err
	}
	if _, err := db.StartRun(ctx, r.ID); err != nil {
		return err
	}
	if _, err := db.StepRun(ctx, r.ID, "test", 1); err != nil {
		return err
	}
	_, err = db.CancelRun(ctx, r.ID)
	return err
}

// holdAndClaim claims while another source is paused.
func holdAndClaim(ctx context.Context, db *DB) error {
	if err := db.Pause(ctx, "another", "by hand"); err != nil {
		return err
	}
	_, err := db.Claim(ctx, time.Minute)
	return errors.Join(err, db.Resume(ctx, "another"))
}

// plan is what SQLite answers to EXPLAIN QUERY PLAN.
func plan(t *testing.T, db *DB, statement string) []string {
	t.Helper()
	var steps []string
	args := make([]any, strings.Count(statement, "?"))
	err := db.each(t.Context(), func(scan func(...any) error) error {
		var id, parent, unused int
		var detail string
		err := scan(&id, &parent, &unused, &detail)
		steps = append(steps, detail)
		return err
	}, "EXPLAIN QUERY PLAN "+statement, args...)
	if err != nil {
		t.Fatalf("%v: %s", err, statement)
	}
	return steps
}
