package sqlite

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/seal"
)

func keys(t testing.TB, ids ...string) *seal.Ring {
	t.Helper()
	var list []string
	for _, id := range ids {
		raw := bytes.Repeat([]byte(id[:1]), 32)
		raw[0] = 0
		list = append(list, id+":"+base64.StdEncoding.EncodeToString(raw))
	}
	r, err := seal.Parse(strings.Join(list, ","))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const canary = "ada@canary.example"

// putCanary leaves a dead event with the canary in body, header and detail.
func putCanary(t testing.TB, db *DB, n int) string {
	t.Helper()
	ev := numbered(n)
	ev.Body, ev.Header = []byte(`{"email":"`+canary+`"}`), map[string]string{"X": canary}
	r, err := db.Put(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	c, err := db.Claim(t.Context(), time.Minute)
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	err = db.Settle(t.Context(), c, event.Outcome{State: event.Dead, Result: "dead", Detail: canary, Traces: []string{"email/" + canary}})
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

func wantCanary(t *testing.T, db *DB, id string) {
	t.Helper()
	ev, attempts, _, err := db.Get(t.Context(), id)
	if err != nil || ev.Unreadable != "" || !strings.Contains(string(ev.Body), canary) || ev.Header["X"] != canary || attempts[0].Detail != canary {
		t.Errorf("got %q, %v, %+v, %s, %v", ev.Body, ev.Header, attempts, ev.Unreadable, err)
	}
}

// inFile reports whether the closed inbox's file holds the canary.
func inFile(t *testing.T, db *DB, path string) bool {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(raw, []byte(canary))
}

func TestWhatIsErasedIsNotInTheFileAnyMore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	db := openAt(t, path)
	id := putCanary(t, db, 1)
	if !inFile(t, db, path) {
		t.Fatal("the canary never was in the file: the test proves nothing")
	}
	db = openAt(t, path)
	if n, err := db.Erase(t.Context(), []string{id}, nil); n.Events != 1 || err != nil {
		t.Fatal(n, err)
	}
	if inFile(t, db, path) {
		t.Error("the file still holds what was erased")
	}
}

func TestKeysRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	open := func(r *seal.Ring) *DB { return openWith(t, Options{Path: path, Keys: r}) }
	db := open(nil)
	plain := putCanary(t, db, 1)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(keys(t, "a"))
	sealed := putCanary(t, db, 2)
	wantCanary(t, db, plain)
	wantCanary(t, db, sealed)
	steps := 0
	for _, want := range []int{2, 0} { // one body and one detail were plain
		if n, err := db.Reseal(t.Context(), false, func(int) { steps++ }); n != want || err != nil {
			t.Errorf("rewrote %d, %v, want %d", n, err, want)
		}
	}
	if steps == 0 || inFile(t, db, path) {
		t.Error("something is in the file in plain text, or nobody heard of the progress")
	}
	db = open(keys(t, "b", "a"))
	if n, err := db.Reseal(t.Context(), false, func(int) {}); n != 4 || err != nil {
		t.Errorf("rewrote %d, %v, want 4", n, err)
	}
	_ = db.Close()
	db = open(keys(t, "b"))
	wantCanary(t, db, plain)
	wantCanary(t, db, sealed)
	if err := db.Migrate(t.Context(), 2); err == nil || !strings.Contains(err.Error(), "run_server_privacy_reencrypt") {
		t.Errorf("going down with encrypted rows: got %v", err)
	}
	if n, err := db.Reseal(t.Context(), true, func(int) {}); n != 4 || err != nil {
		t.Errorf("made plain %d, %v, want 4", n, err)
	}
	_ = db.Close()
	wantCanary(t, open(nil), sealed)
}

func TestAMissingKeyHoldsUpNobodyElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	db := openWith(t, Options{Path: path, Keys: keys(t, "old")})
	id := put(t, db, 1)
	_ = db.Close()
	db = openWith(t, Options{Path: path, Keys: keys(t, "new")})
	put(t, db, 2)
	for n, want := range []string{"sealed with key old: its key is not configured", ""} {
		c, err := db.Claim(t.Context(), time.Minute)
		if err != nil || c == nil || c.Event.Unreadable != want || (c.Event.Body == nil) != (want != "") {
			t.Fatalf("claim %d: got %+v, %v", n, c, err)
		}
		if err := db.Settle(t.Context(), c, event.Outcome{State: event.Dead, Result: "dead"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Reseal(t.Context(), false, func(int) {}); fault.KindOf(err) != fault.Sealed {
		t.Errorf("encrypting anew: got %v, want sealed", err)
	}
	if n, err := db.Erase(t.Context(), []string{id}, nil); n.Events != 1 || err != nil {
		t.Errorf("erasing needs no key: got %+v, %v", n, err)
	}
}

// Two that open one inbox at once must digest alike, or one does not find what
// the other has traced.
func TestTwoProcessesShareTheSalt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	service, command := openAt(t, path), openAt(t, path)
	putCanary(t, service, 1)
	if events, err := command.Traced(t.Context(), []string{"email/" + canary}); len(events) != 1 || err != nil {
		t.Errorf("got %v, %v", events, err)
	}
}

// live makes a row of every sort and tells their ids by what they are.
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
		o := event.Outcome{State: event.State(name), Result: name, Detail: "said", Documents: []event.Document{{DocType: "Sales Order", Key: name, Name: "SO"}}}
		if name == "waiting" {
			o.State, o.DueAt, o.WaitsFor = event.Pending, time.Now().Add(time.Hour), []string{"order/9"}
		}
		if name != "leased" {
			if err := db.Settle(t.Context(), c, o); err != nil {
				t.Fatal(err)
			}
		}
	}
	return ids
}

// Every schema that was released is brought up with rows of every sort in it,
// and back, and keeps what both sides can hold.
func TestEveryReleasedSchemaMigratesWithLiveRows(t *testing.T) {
	for from := 2; from <= Newest(); from++ { // schema 1 has no place for documents
		db := openNew(t)
		ids := live(t, db)
		for _, to := range []int{from, Newest(), from, Newest()} {
			if err := db.Migrate(context.WithoutCancel(t.Context()), to); err != nil {
				t.Fatalf("to %d: %v", to, err)
			}
		}
		wantLive(t, db, ids, 1)
	}
	db := openNew(t)
	ids := live(t, db)
	for _, to := range []int{1, Newest()} {
		if err := db.Migrate(t.Context(), to); err != nil {
			t.Fatalf("to %d: %v", to, err)
		}
	}
	wantLive(t, db, ids, 0)
}

func wantLive(t *testing.T, db *DB, ids map[string]string, documents int) {
	t.Helper()
	for name, id := range ids {
		ev, attempts, docs, err := db.Get(t.Context(), id)
		want := event.State(name)
		if name == "waiting" || name == "leased" {
			want = event.Pending
		}
		if err != nil || ev.State != want || len(ev.Body) == 0 {
			t.Errorf("%s: got %+v, %v", name, ev, err)
		}
		settled := name == "done" || name == "dead" || name == "waiting"
		if settled && (len(attempts) != 1 || attempts[0].Detail != "said" || len(docs) != documents) {
			t.Errorf("%s: got %+v, %+v", name, attempts, docs)
		}
	}
	c, err := db.Claim(t.Context(), time.Minute)
	if err != nil || c == nil || c.Event.ID != ids["pending"] {
		t.Errorf("claimed %+v, %v, want the pending one: the leased one is in hand", c, err)
	}
	wantCounts(t, db)
}

// A disk that fills in the middle of an erasure leaves each step whole.
func TestAFullDiskStopsASettlementAndLosesNothing(t *testing.T) {
	db := openNew(t)
	id := put(t, db, 1)
	c, err := db.Claim(t.Context(), time.Minute)
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	execOn(t, db, "PRAGMA max_page_count = 1")
	o := event.Outcome{State: event.Done, Result: "done", Detail: strings.Repeat("x", 100*pageSize), Traces: []string{"email/a"}}
	_, _ = db.saltOf(t.Context())
	wantBusy(t, db.Settle(t.Context(), c, o), "the disk is full")
	if ev, attempts, _, err := db.Get(t.Context(), id); err != nil || ev.State != event.Pending || len(attempts) != 0 {
		t.Errorf("got %+v, %+v, %v", ev, attempts, err)
	}
	execOn(t, db, "PRAGMA max_page_count = 1000000")
	if err := db.Settle(t.Context(), c, o); err != nil {
		t.Errorf("after the disk has space again: %v", err)
	}
}
