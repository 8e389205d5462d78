package sqlite

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

var update = flag.Bool("update", false, "write the dumps of schemas that have none")

// The first schemas that have a place for them.
const (
	withDocuments = 2
	withOperator  = 3 // runs, audit, pauses, exchanges, refused requests
	withTraces    = 4
	withWaits     = 5
	withCheck     = 6 // without a table for each row
)

// live makes a row of every sort and tells the events' ids by what they are.
func live(t *testing.T, db *DB) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for n, name := range []string{"done", "dead", "waiting", "leased", "pending"} {
		ids[name] = put(t, db, n)
		if name == "pending" {
			break
		}
		c, err := db.Claim(t.Context(), time.Hour)
		if err != nil || c == nil {
			t.Fatal(c, err)
		}
		o := event.Outcome{
			State: event.State(name), Result: name, Class: "rejected", Reason: "why", Detail: "said",
			Documents: []event.Document{{DocType: "Sales Order", Key: name, Name: "SO", Data: map[string]string{"currency": "EUR"}}},
			Exchanges: []event.Exchange{{Op: "erpnext.create Sales Order", Status: 200, Response: `{"docstatus":1}`}},
			Traces:    []string{"email/" + name},
		}
		if name == "waiting" {
			o.State, o.DueAt, o.WaitsFor = event.Pending, time.Now().Add(time.Hour), []string{"order/9"}
		}
		if name != "leased" {
			if err := db.Settle(t.Context(), c, o); err != nil {
				t.Fatal(err)
			}
		}
	}
	refuseCanary(t, db, "rj_1")
	_, err := db.PlanRun(t.Context(), event.Run{Action: event.ActionReplay, Filter: event.Filter{State: event.Dead}, Rate: 5})
	if err == nil {
		err = db.Pause(t.Context(), "held", "by hand")
	}
	if err == nil {
		err = db.SetNote(t.Context(), "note", "kept")
	}
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// Every schema that was released is brought up with rows of every sort in it,
// and back, and keeps what both sides can hold.
func TestEveryReleasedSchemaMigratesWithLiveRows(t *testing.T) {
	for from := 1; from <= Newest(); from++ {
		db := openNew(t)
		ids := live(t, db)
		for _, to := range []int{from, Newest(), from, Newest()} {
			if err := db.Migrate(context.WithoutCancel(t.Context()), to); err != nil {
				t.Fatalf("to %d: %v", to, err)
			}
		}
		wantRows(t, db, ids, from)
		c, err := db.Claim(t.Context(), time.Minute)
		if err != nil || c == nil || c.Event.ID != ids["pending"] {
			t.Errorf("claimed %+v, %v, want the pending one: the leased one is in hand", c, err)
		}
	}
}

// wantRows wants every row of live that schema `lowest` could hold.
func wantRows(t *testing.T, db *DB, ids map[string]string, lowest int) {
	t.Helper()
	for name, id := range ids {
		wantEvent(t, db, name, id, lowest)
	}
	wantCounts(t, db)
	held := map[bool]int{true: 1}
	for what, c := range map[string]struct {
		count func() (int, error)
		since int
	}{
		"notes":   {func() (int, error) { _, ok, err := db.Note(t.Context(), "note"); return held[ok], err }, withDocuments},
		"runs":    {func() (int, error) { all, err := db.Runs(t.Context(), 10); return len(all), err }, withOperator},
		"pauses":  {func() (int, error) { all, err := db.Pauses(t.Context()); return len(all), err }, withOperator},
		"refused": {func() (int, error) { all, _, err := db.Refused(t.Context(), "", 10); return len(all), err }, withOperator},
		"traced": {func() (int, error) {
			all, err := db.Traced(t.Context(), []string{"email/done"})
			return len(all), err
		}, withTraces},
	} {
		if n, err := c.count(); err != nil || n != held[lowest >= c.since] {
			t.Errorf("%d %s after schema %d, %v", n, what, lowest, err)
		}
	}
	if keys := column(t, db, "SELECT key FROM waits"); len(keys) != 1 || keys[0] != "order/9" {
		t.Errorf("after schema %d what waits would be woken by %q", lowest, keys)
	}
	deeds, err := db.Audit(t.Context(), event.DeedFilter{})
	if err != nil || len(deeds) != 2*held[lowest >= withOperator] { // a plan and a pause
		t.Errorf("%d deeds after schema %d, %v", len(deeds), lowest, err)
	}
}

func wantEvent(t *testing.T, db *DB, name, id string, lowest int) {
	t.Helper()
	ev, attempts, docs, err := db.Get(t.Context(), id)
	want := event.State(name)
	if name == "waiting" || name == "leased" {
		want = event.Pending
	}
	if err != nil || ev.State != want || len(ev.Body) == 0 {
		t.Errorf("%s: got %+v, %v", name, ev, err)
	}
	if name == "leased" || name == "pending" {
		return
	}
	if len(attempts) != 1 || attempts[0].Detail != "said" || (len(docs) == 1) != (lowest >= withDocuments) || (len(attempts[0].Exchanges) == 1) != (lowest >= withOperator) {
		t.Errorf("%s after schema %d: got %+v, %+v", name, lowest, attempts, docs)
	}
}

// A dump of each schema, as an inbox of its time was, comes up with everything
// in it and goes back to what it was. Dumps are never written anew: they stand
// for the files that are out there.
func TestADumpOfEverySchemaMigratesUpAndBack(t *testing.T) {
	ids := map[string]string{}
	for n, name := range []string{"done", "dead", "waiting", "leased", "pending"} {
		ids[name] = event.NewID("shop", fmt.Sprint("evt-", n))
	}
	for at := 1; at <= Newest(); at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			text := dumped(t, at)
			db := openAt(t, restored(t, at, text))
			wantRows(t, db, ids, at)
			if err := db.Migrate(t.Context(), at); err != nil {
				t.Fatal(err)
			}
			schema, rows, _ := strings.Cut(text, rowsBelow)
			if diff := cmp.Diff(rows, rowsOf(t, db)); diff != "" {
				t.Errorf("rows after the way up and back (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(unspaced(schema), unspaced(scriptOf(t, db))); diff != "" {
				t.Errorf("schema after the way up and back (-before +after):\n%s", diff)
			}
		})
	}
}

const rowsBelow = "-- rows\n"

// dumped reads a schema's dump. With -update one that is missing is made: the
// schema as its migrations write it, and rows of every sort, brought down to it.
func dumped(t *testing.T, at int) string {
	t.Helper()
	path := filepath.Join("testdata", "schema", fmt.Sprintf("%d.sql", at))
	if _, err := os.Stat(path); err != nil && *update {
		full, empty := openNew(t), openNew(t)
		live(t, full)
		for db, way := range map[*DB][]int{full: {at}, empty: {0, at}} {
			for _, to := range way {
				if err := db.Migrate(t.Context(), to); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(scriptOf(t, empty)+rowsBelow+rowsOf(t, full)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("schema %d has no dump (go test ./internal/store/sqlite -run ADumpOfEvery -update): %v", at, err)
	}
	return string(text)
}

// restored makes a file out of a dump.
func restored(t *testing.T, at int, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "inbox.db")
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;\n%s", applicationID, at, text)); err != nil {
		t.Fatal(err)
	}
	return path
}

// scriptOf is the schema as SQL: what it was made with, tables first.
func scriptOf(t *testing.T, db *DB) string {
	t.Helper()
	var b strings.Builder
	for _, s := range column(t, db, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'trigger', type = 'index', name") {
		b.WriteString(s + ";\n")
	}
	return b.String()
}

// rowsOf is every row as SQL; the pulse, which every start writes, as it was
// first.
func rowsOf(t *testing.T, db *DB) string {
	t.Helper()
	var b strings.Builder
	for _, table := range column(t, db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name") {
		if table == "pulse" {
			b.WriteString("INSERT INTO pulse (one, at) VALUES (1, '');\n")
			continue
		}
		names := column(t, db, "SELECT name FROM pragma_table_info('"+table+"') ORDER BY cid")
		values := "quote(" + strings.Join(names, ") || ', ' || quote(") + ")"
		for _, row := range column(t, db, "SELECT "+values+" FROM "+table+" ORDER BY 1") {
			fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES (%s);\n", table, strings.Join(names, ", "), row)
		}
	}
	return b.String()
}

func column(t *testing.T, db *DB, query string) []string {
	t.Helper()
	var all []string
	err := db.each(t.Context(), func(scan func(...any) error) error {
		var s string
		err := scan(&s)
		all = append(all, s)
		return err
	}, query)
	if err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	return all
}

func unspaced(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}
