package walvfs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"modernc.org/libc"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// opened is a database whose writing connection uses the VFS.
type opened struct {
	*sql.Conn
	path string
	log  *log
}

func openNew(t *testing.T, pragmas ...string) *opened {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "test.db"), pragmas...)
}

func openAt(t *testing.T, path string, pragmas ...string) *opened {
	t.Helper()
	if err := Register(); err != nil {
		t.Fatal(err)
	}
	before := known()
	o := &opened{Conn: connect(t, path, "vfs="+Name, append(pragmas, "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(0)")...), path: path}
	o.exec(t, "CREATE TABLE IF NOT EXISTS filled (n INTEGER PRIMARY KEY, x BLOB)")
	for file, l := range known() {
		if before[file] == nil {
			o.log = l
		}
	}
	if o.log == nil {
		t.Fatal("no log was opened through the VFS")
	}
	return o
}

func known() map[uintptr]*log {
	all := make(map[uintptr]*log)
	logs.Range(func(file, l any) bool {
		all[file.(uintptr)] = l.(*log)
		return true
	})
	return all
}

func connect(t *testing.T, path, query string, pragmas ...string) *sql.Conn {
	t.Helper()
	for _, p := range pragmas {
		query += "&_pragma=" + p
	}
	db, err := sql.Open("sqlite", "file:"+path+"?"+query)
	if err != nil {
		t.Fatal(err)
	}
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), db.Close() })
	return c
}

func (o *opened) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := o.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// fill adds rows of 3,000 bytes, about a page each.
func fill(ctx context.Context, c *sql.Conn, rows int) error {
	_, err := c.ExecContext(ctx, fmt.Sprintf(
		"WITH RECURSIVE up (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM up WHERE i < %d) INSERT INTO filled (x) SELECT randomblob(3000) FROM up", rows))
	return err
}

func count(t *testing.T, c *sql.Conn) int {
	t.Helper()
	var n int
	var verdict string
	err := c.QueryRowContext(t.Context(), "SELECT count(*) FROM filled").Scan(&n)
	if err == nil {
		err = c.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict)
	}
	if err != nil || verdict != "ok" {
		t.Fatalf("%v, integrity check says %q", err, verdict)
	}
	return n
}

func TestACommitIsFewWritesAndIsThereForOthers(t *testing.T) {
	o := openNew(t)
	var writes, bytes, syncs int
	write, sync := o.log.system.write, o.log.system.sync
	o.log.system.write = func(tls *libc.TLS, file, from uintptr, n int32, offset int64) int32 {
		writes, bytes = writes+1, bytes+int(n)
		return write(tls, file, from, n, offset)
	}
	o.log.system.sync = func(tls *libc.TLS, file uintptr, flags int32) int32 {
		syncs++
		if o.log.n != 0 {
			t.Errorf("%d bytes are kept at a sync", o.log.n)
		}
		return sync(tls, file, flags)
	}
	if err := fill(t.Context(), o.Conn, 100); err != nil {
		t.Fatal(err)
	}
	if bytes < 300_000 || writes > bytes/kept+2 || syncs != 1 {
		t.Errorf("%d writes of %d bytes and %d syncs, want at most %d writes and one sync", writes, bytes, syncs, bytes/kept+2)
	}
	if got := count(t, connect(t, o.path, "")); got != 100 {
		t.Errorf("another connection sees %d rows, want 100", got)
	}
}

// What a commit was answered for is in the files, whatever becomes of the
// process: a copy of them has it.
func TestEveryCommitIsInTheFiles(t *testing.T) {
	o := openNew(t)
	for n := range 20 {
		if err := fill(t.Context(), o.Conn, 1+n); err != nil {
			t.Fatal(err)
		}
		if n%7 == 6 { // the log begins anew
			o.exec(t, "PRAGMA wal_checkpoint(RESTART)")
		}
		left := filepath.Join(t.TempDir(), "copy.db")
		for _, part := range []string{"", "-wal"} {
			data, err := os.ReadFile(o.path + part)
			if err == nil {
				err = os.WriteFile(left+part, data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got, want := count(t, connect(t, left, "")), (n+1)*(n+2)/2; got != want {
			t.Fatalf("after commit %d the files have %d rows, want %d", n+1, got, want)
		}
	}
}

// A transaction larger than the page cache writes pages to the log before it
// ends, reads them back, and may be rolled back after all.
func TestATransactionLargerThanTheCache(t *testing.T) {
	o := openNew(t, "cache_size(10)")
	rows := 0
	for n := range 12 {
		o.exec(t, "BEGIN IMMEDIATE")
		more := 11 + 3*n // so that now few, now many bytes are kept when pages are read back
		if err := fill(t.Context(), o.Conn, more); err != nil {
			t.Fatal(err)
		}
		if got := count(t, o.Conn); got != rows+more {
			t.Errorf("within the transaction: %d rows, want %d", got, rows+more)
		}
		o.exec(t, "UPDATE filled SET x = randomblob(2900) WHERE n % 3 = 0")
		if n%2 == 0 {
			o.exec(t, "COMMIT")
			rows += more
		} else {
			o.exec(t, "ROLLBACK")
		}
		if got := count(t, connect(t, o.path, "")); got != rows {
			t.Errorf("another connection sees %d rows, want %d", got, rows)
		}
	}
}

func TestAFailedWriteFailsTheCommit(t *testing.T) {
	for _, rows := range []int{1, 100} { // noticed by the sync, and before it
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			o := openNew(t)
			write := o.log.system.write
			o.log.system.write = func(*libc.TLS, uintptr, uintptr, int32, int64) int32 { return sqlite3.SQLITE_FULL }
			err := fill(t.Context(), o.Conn, rows)
			if e, ok := errors.AsType[*sqlite.Error](err); !ok || e.Code() != sqlite3.SQLITE_FULL {
				t.Errorf("got %v, want that the disk is full", err)
			}
			o.log.system.write = write
			if got := count(t, connect(t, o.path, "")); got != 0 {
				t.Errorf("%d rows of the failed commit are seen", got)
			}
			if err := fill(t.Context(), o.Conn, 3); err != nil {
				t.Fatal(err)
			}
			if got := count(t, connect(t, o.path, "")); got != 3 {
				t.Errorf("%d rows after the next commit, want 3", got)
			}
		})
	}
}

// What a transaction wrote before it was rolled back may still be kept when
// another connection writes in its place.
func TestWhatWasRolledBackReplacesNothing(t *testing.T) {
	stale := 0
	for rows := 11; rows < 40; rows += 3 {
		o := openNew(t, "cache_size(10)")
		other := connect(t, o.path, "", "synchronous(FULL)", "wal_autocheckpoint(0)")
		o.exec(t, "PRAGMA wal_checkpoint(RESTART)") // so that no page that rolling back reads is in the log
		o.exec(t, "BEGIN IMMEDIATE")
		if err := fill(t.Context(), o.Conn, rows); err != nil {
			t.Fatal(err)
		}
		stale += int(o.log.n)
		o.exec(t, "ROLLBACK")
		if err := fill(t.Context(), other, 9); err != nil {
			t.Fatal(err)
		}
		o.exec(t, "PRAGMA wal_checkpoint(PASSIVE)")
		for _, c := range []*sql.Conn{o.Conn, other, connect(t, o.path, "")} {
			if got := count(t, c); got != 9 {
				t.Errorf("%d rows, want 9", got)
			}
		}
	}
	if stale == 0 {
		t.Error("nothing was kept before a rollback, so nothing was tested")
	}
}

// When what was kept cannot be written before a read, SQLite may undo the
// statement that reads and go on with a transaction whose pages were lost.
func TestALossFailsTheWholeTransaction(t *testing.T) {
	lost := 0
	for _, statement := range []string{
		"UPDATE two SET y = (SELECT max(hex(x)) || two.n FROM filled)", // SQLite undoes it alone
		"INSERT INTO filled SELECT n + 1000, x FROM filled",
	} {
		for rows := 11; rows < 22; rows++ { // so that the lost pages are now these, now those
			o := openNew(t, "cache_size(10)")
			o.exec(t, "CREATE TABLE two (n INTEGER PRIMARY KEY, y UNIQUE)")
			o.exec(t, "INSERT INTO two VALUES (1, 1), (2, 2)")
			o.exec(t, "BEGIN IMMEDIATE")
			if err := fill(t.Context(), o.Conn, rows); err != nil {
				t.Fatal(err)
			}
			write := o.log.system.write
			o.log.system.write = func(*libc.TLS, uintptr, uintptr, int32, int64) int32 { return sqlite3.SQLITE_FULL }
			_, failed := o.ExecContext(t.Context(), statement)
			o.log.system.write = write
			if failed == nil { // it needed no page of the log
				continue
			}
			lost++
			if _, err := o.ExecContext(t.Context(), "COMMIT"); err == nil {
				t.Errorf("a transaction was committed that had lost pages: %v", failed)
			}
			_, _ = o.ExecContext(t.Context(), "ROLLBACK") // as a rule SQLite did it already
			if got := count(t, connect(t, o.path, "")); got != 0 {
				t.Errorf("another connection sees %d rows, want none", got)
			}
			if err := fill(t.Context(), o.Conn, 2); err != nil {
				t.Fatal(err)
			}
			for _, c := range []*sql.Conn{o.Conn, connect(t, o.path, "")} {
				if got := count(t, c); got != 2 {
					t.Errorf("%d rows after the next commit, want 2", got)
				}
			}
		}
	}
	if lost == 0 {
		t.Error("nothing was lost, so nothing was tested")
	}
}

func TestAClosedLogIsForgotten(t *testing.T) {
	before := len(known())
	t.Run("open and close", func(t *testing.T) { openNew(t) })
	if got := len(known()); got != before {
		t.Errorf("%d logs are known, want %d", got, before)
	}
	databases.Range(func(any, any) bool {
		before--
		return true
	})
	if before != 0 {
		t.Errorf("%d databases too few are known", before)
	}
}

// A database may go on without its log, and get another one.
func TestADatabaseOutlivesItsLog(t *testing.T) {
	o := openNew(t)
	for n := range 3 {
		for _, mode := range []string{"DELETE", "WAL"} {
			o.exec(t, "PRAGMA journal_mode = "+mode)
			if err := fill(t.Context(), o.Conn, 5); err != nil {
				t.Fatal(err)
			}
			if got, want := len(known()), map[string]int{"DELETE": 0, "WAL": 1}[mode]; got != want {
				t.Errorf("%d logs are known in mode %s, want %d", got, mode, want)
			}
		}
		if got := count(t, o.Conn); got != 10*(n+1) {
			t.Errorf("%d rows, want %d", got, 10*(n+1))
		}
	}
}
