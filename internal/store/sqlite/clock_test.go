package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

var legal = event.Waits{Lease: 5 * time.Minute, Retry: 2 * time.Hour, Document: 24 * time.Hour}

// moved is a clock that somebody sets.
type moved struct{ by time.Duration }

func (m *moved) now() time.Time { return time.Now().Add(m.by) }

// The clock jumps and comes back with work of every sort under way: nothing is
// held until the wrong time comes round, and nothing outlives its retention.
func TestAClockThatJumpsHoldsNothingUp(t *testing.T) {
	for name, jump := range map[string]time.Duration{"forward and back": 48 * time.Hour, "backward": 0} {
		t.Run(name, func(t *testing.T) {
			clock := &moved{jump}
			db := openWith(t, Options{Path: filepath.Join(t.TempDir(), "inbox.db"), Now: clock.now})
			claim := func(want string) *event.Claim {
				t.Helper()
				c, err := db.Claim(t.Context(), legal.Lease)
				if err != nil || (c == nil) != (want == "") || c != nil && c.Event.ID != want {
					t.Fatalf("claimed %+v, %v, want %q", c, err, want)
				}
				return c
			}
			settle := func(c *event.Claim, o event.Outcome) {
				t.Helper()
				if err := db.Settle(t.Context(), c, o); err != nil {
					t.Fatal(err)
				}
			}
			over, retried, leased, fresh := put(t, db, 1), put(t, db, 2), put(t, db, 3), put(t, db, 4)
			settle(claim(over), event.Outcome{State: event.Done, Result: "done"})
			settle(claim(retried), event.Outcome{State: event.Pending, Result: "retry", DueAt: clock.now().Add(time.Minute)})
			claim(leased)
			clock.by -= 48 * time.Hour
			claim("")
			if n, err := db.Reclock(t.Context(), legal); n != 4 || err != nil {
				t.Fatalf("reclocked %d, %v, want 4", n, err)
			}
			settle(claim(retried), event.Outcome{State: event.Done, Result: "done"})
			settle(claim(fresh), event.Outcome{State: event.Done, Result: "done"})
			claim("") // the lease runs its usual time
			clock.by += legal.Lease + time.Second
			settle(claim(leased), event.Outcome{State: event.Done, Result: "done"})
			clock.by += time.Second
			if n, err := db.Sweep(t.Context(), clock.now(), 10); n != 4 || err != nil {
				t.Errorf("retention took %d bodies, %v, want all four", n, err)
			}
		})
	}
}

// What is settled after the look began, with a right clock, is no wrong one's.
func TestWhatIsSettledMeanwhileStaysAsItIs(t *testing.T) {
	clock := &moved{2 * time.Second}
	db := openWith(t, Options{Path: filepath.Join(t.TempDir(), "inbox.db"), Now: clock.now})
	put(t, db, 1)
	c, err := db.Claim(t.Context(), legal.Lease)
	if err == nil {
		err = db.Settle(t.Context(), c, event.Outcome{State: event.Done, Result: "done"})
	}
	if err != nil {
		t.Fatal(err)
	}
	clock.by = 0
	if n, err := db.Reclock(t.Context(), legal); n != 0 || err != nil {
		t.Errorf("reclocked %d, %v", n, err)
	}
}

// A run whose carrier died under a clock that was ahead is carried on.
func TestARunIsNotHeldByAClockThatWasAhead(t *testing.T) {
	clock := &moved{48 * time.Hour}
	db := openWith(t, Options{Path: filepath.Join(t.TempDir(), "inbox.db"), Now: clock.now})
	putCanary(t, db, 1)
	putCanary(t, db, 2)
	r, err := db.PlanRun(t.Context(), event.Run{Action: event.ActionReplay, Filter: event.Filter{State: event.Dead}})
	if err == nil {
		_, err = db.StartRun(t.Context(), r.ID)
	}
	if err == nil {
		_, err = db.StepRun(t.Context(), r.ID, "died", 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	clock.by = 0
	if r, err = db.StepRun(t.Context(), r.ID, "another", 1); err != nil || r.Done != 2 {
		t.Errorf("got %+v, %v, want both done", r, err)
	}
}

// What is looked at every minute goes by an index, with a million events too.
func TestReclockLooksAtFewRows(t *testing.T) {
	db := openNew(t)
	for statement, index := range map[string]string{
		strayPending.sign: "events_due", strayPending.find: "events_listing", straySettled.sign: "events_settled",
		"SELECT seq FROM events WHERE leased_until <> '' AND leased_until > ?1 AND ?2 = ?3 AND ?4 = ''": "events_leased",
	} {
		steps := ""
		err := db.each(t.Context(), func(scan func(...any) error) error {
			var id, parent, unused int
			var detail string
			err := scan(&id, &parent, &unused, &detail)
			steps += detail + "\n"
			return err
		}, "EXPLAIN QUERY PLAN "+statement, 1, 2, 3, 4)
		if err != nil || !strings.Contains(steps, "INDEX "+index) {
			t.Errorf("%v\n%s\nfor\n%s", err, steps, statement)
		}
	}
}
