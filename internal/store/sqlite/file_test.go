package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

func TestOpenMakesAFileForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in box?&#%.db") // a name that a URL would mangle
	db := openAt(t, path)
	put(t, db, 1)
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", filepath.Base(name), info.Mode().Perm())
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		t.Error("closing left a log beside the file")
	}
	put(t, openAt(t, path), 2)
}

func TestOpenRefusesWhatIsNoInbox(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := filepath.Join(dir, "newer.db")
	execOn(t, openAt(t, newer), "PRAGMA user_version = 99").Close()
	foreign := filepath.Join(dir, "foreign.db")
	other, err := sql.Open("sqlite", foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ExecContext(t.Context(), "CREATE TABLE people (name TEXT)"); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "damaged.db")
	if err := openAt(t, damaged).Close(); err != nil {
		t.Fatal(err)
	}
	overwrite(t, damaged, pageSize, strings.Repeat("garbage!", 4*pageSize/8))
	overwrite(t, damaged, 100, strings.Repeat("\xff", 400))

	for _, c := range []struct{ name, path, want string }{
		{"text", file("text.db", "these are the orders of last year, in plain text"), "not a database"},
		{"a few bytes", file("few.db", "SQL"), "not a database"},
		{"another program's database", foreign, "another program"},
		{"a newer schema", newer, "newer than this program's"},
		{"a damaged file", damaged, "damaged"},
		{"a folder", dir, "directory"},
		{"a folder that is not there", filepath.Join(dir, "none", "inbox.db"), "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db, err := Open(t.Context(), Options{Path: c.path})
			if err == nil {
				db.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want one that says %q", err, c.want)
			}
		})
	}
}

func TestOpenFinishesAFileWhoseMakingWasCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	c, err := connect(t.Context(), "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.script("PRAGMA journal_mode = WAL"), c.close()); err != nil {
		t.Fatal(err)
	}
	put(t, openAt(t, path), 1)
}

func TestOpenRefusesAFileItMayNotWrite(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root may write everything but what the kernel itself refuses.
		if _, err := Open(t.Context(), Options{Path: "/proc/version"}); err == nil {
			t.Error("got no error")
		}
		return
	}
	path := filepath.Join(t.TempDir(), "inbox.db")
	if err := openAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Path: path}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want a permission error", err)
	}
}

func TestAFullDiskIsBusyAndIntakeResumes(t *testing.T) {
	db := openNew(t)
	put(t, db, 1)
	execOn(t, db, "PRAGMA max_page_count = 1") // SQLite takes what the file has already
	full := 0
	for n := 2; full < 3 && n < 500; n++ {
		if _, err := db.Put(t.Context(), numbered(n)); err != nil {
			wantBusy(t, err, "the disk is full")
			full++
		}
	}
	if full == 0 {
		t.Fatal("the disk never filled")
	}
	wantBusy(t, db.SetNote(t.Context(), "big", strings.Repeat("x", 100*pageSize)), "the disk is full")
	execOn(t, db, "PRAGMA max_page_count = 1000000")
	put(t, db, 1000)
	put(t, db, 2) // the one that was refused, or a repeat of it
}

func TestAReadOnlyInboxIsBusyAndNotReady(t *testing.T) {
	db := openNew(t)
	execOn(t, db, "PRAGMA query_only = 1")
	_, err := db.Put(t.Context(), numbered(1))
	wantBusy(t, err, "the inbox is read-only")
	wantBusy(t, db.Ready(t.Context()), "the inbox is read-only")
}

func TestADamagedInboxIsBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	db := openAt(t, path)
	for n := range 500 {
		put(t, db, n)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	db = openAt(t, path)
	root, err := db.read.QueryContext(t.Context(), "SELECT rootpage FROM sqlite_schema WHERE name = 'events_id'")
	if err != nil {
		t.Fatal(err)
	}
	var page int64
	for root.Next() {
		if err := root.Scan(&page); err != nil {
			t.Fatal(err)
		}
	}
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, (page-1)*pageSize, strings.Repeat("\xee", pageSize))
	if after, err := os.Stat(path); err != nil || after.Size() != info.Size() {
		t.Fatalf("the file has another size now: %v", err)
	}
	db = openAt(t, path)
	_, err = db.Put(t.Context(), numbered(1000))
	wantBusy(t, err, "the inbox is damaged")
}

// The VFS of the log holds its promise under these settings only.
func TestTheWriterSyncsEveryCommit(t *testing.T) {
	db := openNew(t)
	for _, c := range []struct{ setting, want string }{{"synchronous", "2"}, {"journal_mode", "wal"}, {"locking_mode", "normal"}} {
		var got string
		err := db.write(t.Context(), "test", func(writer *conn) error {
			return writer.query("PRAGMA "+c.setting, nil, func(r row) { got = fmt.Sprint(r[0]) })
		})
		if err != nil || got != c.want {
			t.Errorf("%s is %s, %v, want %s", c.setting, got, err, c.want)
		}
	}
}

func TestTheLogDoesNotGrowWithoutEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	db := openAt(t, path)
	db.w.keeper.every, db.w.keeper.long = 100, 400
	bound := 3 * db.w.keeper.long * pageSize
	body := []byte(strings.Repeat("x", 10*pageSize))
	longest, written := int64(0), int64(0)
	for n := 0; written < 5*bound; n++ {
		ev := numbered(n)
		ev.Body = body
		if _, err := db.Put(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
		written += int64(len(body))
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, info.Size())
	}
	if longest > bound {
		t.Errorf("after %d bytes the log has had up to %d, want at most %d", written, longest, bound)
	}
}

func TestMigrationsAreNumberedWithoutAGap(t *testing.T) {
	if _, err := loadMigrations(os.DirFS("testdata/gap")); err == nil || !strings.Contains(err.Error(), "want number 2") {
		t.Errorf("a gap: got %v", err)
	}
	if _, err := loadMigrations(os.DirFS("testdata/oneway")); err == nil {
		t.Error("a migration without a way down was accepted")
	}
	ups, err := fs.Glob(migrationFiles, "migrations/*.up.sql")
	if err != nil || len(ups) != Newest() {
		t.Errorf("%d files, newest is %d, %v", len(ups), Newest(), err)
	}
}

func TestEachMigrationUndoesItself(t *testing.T) {
	db := openNew(t)
	if err := db.Migrate(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	schemas := []string{schemaOf(t, db)}
	for to := 1; to <= Newest(); to++ {
		if err := db.Migrate(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		schemas = append(schemas, schemaOf(t, db))
	}
	for to := Newest() - 1; to >= 0; to-- {
		if err := db.Migrate(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		if got := schemaOf(t, db); got != schemas[to] {
			t.Errorf("schema %d after going down:\n%s\nwant\n%s", to, got, schemas[to])
		}
	}
}

// A migration may write to the schema as to any table, which SQLite does not
// notice: other connections would go on with the schema they know.
func TestOtherConnectionsSeeEveryMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	db, other := openAt(t, path), openAt(t, path)
	for n, to := range []int{withCheck - 1, withCheck, withCheck - 1} {
		put(t, other, 10*n) // with the statements it has prepared
		if err := db.Migrate(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		put(t, other, 10*n+1)
		var err error // says what the check is that it failed
		_ = other.write(t.Context(), "test", func(c *conn) error {
			_, err = c.exec("UPDATE events SET state = 'none'")
			return err
		})
		want := map[bool]string{true: "state = 'pending' OR", false: "state IN ("}[to >= withCheck]
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("schema %d: another connection says %v, want a check of %s", to, err, want)
		}
	}
}

func TestAFailingMigrationLeavesTheSchemaBefore(t *testing.T) {
	db := openNew(t)
	execOn(t, db, "ALTER TABLE waits RENAME TO kept") // so that schema 5 cannot be undone
	if err := db.Migrate(t.Context(), 0); err == nil {
		t.Fatal("got no error")
	}
	if at, _, err := db.Schema(t.Context()); err != nil || at != withWaits {
		t.Errorf("got schema %d, %v, want %d", at, err, withWaits)
	}
	put(t, db, 1)
}

func wantBusy(t *testing.T, err error, cause string) {
	t.Helper()
	if f := fault.As(err); f == nil || f.Kind != fault.Busy || f.Cause != cause {
		t.Errorf("got %v, want busy because %s", err, cause)
	}
}

// TestSettingsHoldOnEveryConnection asks the connections themselves: SQLite
// passes over a setting that it does not know, and a setting given to one
// connection of a pool does not reach the others.
func TestSettingsHoldOnEveryConnection(t *testing.T) {
	db := openNew(t)
	settings := map[string]func(string) (string, error){"keeper": asked(db.w.keeper.c)}
	err := db.write(t.Context(), "test", func(c *conn) error {
		settings["writer"] = asked(c)
		for pragma, want := range map[string]string{"wal_autocheckpoint": "0", "secure_delete": "1", "temp_store": "2", "query_only": "0"} {
			if got, err := asked(c)(pragma); err != nil || got != want {
				t.Errorf("writer: %s is %s, %v, want %s", pragma, got, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range db.read.Stats().MaxOpenConnections {
		reader, err := db.read.Conn(t.Context()) // kept, so that the pool opens the next
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		settings[fmt.Sprint("reader ", n)] = func(pragma string) (value string, err error) {
			return value, reader.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&value)
		}
		if got, err := settings[fmt.Sprint("reader ", n)]("query_only"); err != nil || got != "1" {
			t.Errorf("reader %d: query_only is %s, %v", n, got, err)
		}
	}
	if len(settings) < 4 {
		t.Fatalf("only %d connections were asked", len(settings))
	}
	for name, setting := range settings {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
			if got, err := setting(pragma); err != nil || got != want {
				t.Errorf("%s: %s is %s, %v, want %s", name, pragma, got, err, want)
			}
		}
		if got, err := setting("busy_timeout"); err != nil || (got == "0") != (name == "writer") { // the writer asks by itself
			t.Errorf("%s: busy_timeout is %s, %v", name, got, err)
		}
	}
}

func asked(c *conn) func(pragma string) (string, error) {
	return func(pragma string) (value string, err error) {
		err = c.query("PRAGMA "+pragma, nil, func(r row) { value = fmt.Sprint(r[0]) })
		return value, err
	}
}
