package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

func openNew(t testing.TB) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "inbox.db"))
}

func openAt(t testing.TB, path string) *DB {
	t.Helper()
	return openWith(t, Options{Path: path})
}

func openWith(t testing.TB, o Options) *DB {
	t.Helper()
	db, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func numbered(n int) event.Event {
	return event.Event{
		Source: "shop", Provider: "shopify", ProviderID: fmt.Sprint("evt-", n), Topic: "orders/create",
		Subject: fmt.Sprint("order/", n), Body: fmt.Appendf(nil, `{"id":%d}`, n),
	}
}

func put(t testing.TB, db *DB, n int) string {
	t.Helper()
	r, err := db.Put(t.Context(), numbered(n))
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// execOn runs a statement on the writer's own connection.
func execOn(t testing.TB, db *DB, statement string) *DB {
	t.Helper()
	if err := db.write(t.Context(), "test", func(c *conn) error { return c.script(statement) }); err != nil {
		t.Fatal(err)
	}
	return db
}

func overwrite(t testing.TB, path string, at int64, with string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte(with), at)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func schemaOf(t testing.TB, db *DB) string {
	t.Helper()
	var all []string
	err := db.each(t.Context(), func(scan func(...any) error) error {
		var s string
		err := scan(&s)
		all = append(all, s)
		return err
	}, "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY type, name")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}
