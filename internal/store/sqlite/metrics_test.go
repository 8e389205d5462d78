package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

func TestMetricsShowTheInboxFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is the year 2000, so what is printed is known
		reg := prometheus.NewRegistry()
		db, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "inbox.db"), Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		wantMetrics(t, reg, 0, 0, 0)
		time.Sleep(time.Minute)
		put(t, db, 1)
		put(t, db, 2)
		wantMetrics(t, reg, 946684860, 2, 0)
		c, err := db.Claim(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Settle(t.Context(), c, event.Outcome{State: event.Dead}); err != nil {
			t.Fatal(err)
		}
		wantMetrics(t, reg, 946684860, 2, 0) // the last look is not a second old
		time.Sleep(time.Second)
		wantMetrics(t, reg, 946684860, 1, 1)
		if n, err := testutil.GatherAndCount(reg, "ledgerhook_store_commit_duration_seconds"); err != nil || n != 1 {
			t.Errorf("got %d commit histograms, want 1", n)
		}
	})
}

func TestMetricsSayNothingRatherThanZeroWhenTheInboxCannotBeRead(t *testing.T) {
	reg := prometheus.NewRegistry()
	db := openWith(t, Options{Path: filepath.Join(t.TempDir(), "inbox.db"), Registerer: reg})
	execOn(t, db, "DROP TABLE counts")
	if n, err := testutil.GatherAndCount(reg, "ledgerhook_events", "ledgerhook_oldest_pending_timestamp_seconds"); err != nil || n != 0 {
		t.Errorf("got %d series, want none", n)
	}
}

func TestFailedCommitsAreCounted(t *testing.T) {
	db := openNew(t)
	put(t, db, 1)
	if n := testutil.ToFloat64(db.metrics.failed); n != 0 {
		t.Errorf("got %v failed commits at the start", n)
	}
	execOn(t, db, "PRAGMA max_page_count = 1") // SQLite takes what the file has already
	wantBusy(t, db.SetNote(t.Context(), "big", strings.Repeat("x", 100*pageSize)), "the disk is full")
	if n := testutil.ToFloat64(db.metrics.failed); n != 1 {
		t.Errorf("got %v failed commits after one", n)
	}
}

func TestAnIdleClaimIsNoCommit(t *testing.T) {
	db := openNew(t)
	put(t, db, 1)
	if _, err := db.Claim(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	before := commits(t, db)
	if c, err := db.Claim(t.Context(), time.Minute); c != nil || err != nil {
		t.Fatalf("claim: %v, %v", c, err)
	}
	if n := commits(t, db); n != before || n == 0 {
		t.Errorf("got %d commits after %d", n, before)
	}
}

func TestAClosedInboxLeavesItsRegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	path := filepath.Join(t.TempDir(), "inbox.db")
	for range 2 {
		if err := openWith(t, Options{Path: path, Registerer: reg}).Close(); err != nil {
			t.Fatal(err)
		}
	}
	if families, err := reg.Gather(); err != nil || len(families) != 0 {
		t.Errorf("got %d families, %v, want none", len(families), err)
	}
}

func wantMetrics(t *testing.T, reg *prometheus.Registry, oldest int64, pending, dead int) {
	t.Helper()
	want := fmt.Sprintf(`
# HELP ledgerhook_events Events in the inbox, by state.
# TYPE ledgerhook_events gauge
ledgerhook_events{state="dead"} %d
ledgerhook_events{state="done"} 0
ledgerhook_events{state="ignored"} 0
ledgerhook_events{state="pending"} %d
# HELP ledgerhook_oldest_pending_timestamp_seconds When the oldest pending event was received, Unix time; 0 when nothing is pending.
# TYPE ledgerhook_oldest_pending_timestamp_seconds gauge
ledgerhook_oldest_pending_timestamp_seconds %d
# HELP ledgerhook_schema_version Schema version of the inbox.
# TYPE ledgerhook_schema_version gauge
ledgerhook_schema_version %d
`, dead, pending, oldest, Newest())
	err := testutil.GatherAndCompare(reg, strings.NewReader(want),
		"ledgerhook_events", "ledgerhook_oldest_pending_timestamp_seconds", "ledgerhook_schema_version")
	if err != nil {
		t.Error(err)
	}
}

// commits is how many group commits there were.
func commits(t *testing.T, db *DB) uint64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(db.metrics.commits)
	families, err := reg.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("got %d families, %v", len(families), err)
	}
	return families[0].GetMetric()[0].GetHistogram().GetSampleCount()
}
