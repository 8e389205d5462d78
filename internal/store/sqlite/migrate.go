package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one numbered step of the schema, both ways.
type migration struct {
	number   int
	up, down string
}

var migrations = mustMigrations(migrationFiles)

func mustMigrations(files fs.FS) []migration {
	all, err := loadMigrations(files)
	if err != nil {
		panic(err) // the files are part of the program
	}
	return all
}

// loadMigrations reads migrations/NNNN_name.up.sql and .down.sql, which must be
// numbered from 1 without a gap.
func loadMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.up.sql") // sorted
	if err != nil {
		return nil, err
	}
	all := make([]migration, 0, len(names))
	for i, name := range names {
		prefix, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if n, err := strconv.Atoi(prefix); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s: want number %d", name, i+1)
		}
		up, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		down, err := fs.ReadFile(files, strings.TrimSuffix(name, ".up.sql")+".down.sql")
		if err != nil {
			return nil, err
		}
		all = append(all, migration{number: i + 1, up: string(up), down: string(down)})
	}
	return all, nil
}

// Newest is the schema version this program writes.
func Newest() int { return len(migrations) }

// Schema tells the inbox's schema version and the newest one known here.
func (db *DB) Schema(ctx context.Context) (current, newest int, err error) {
	if err := db.read.QueryRowContext(ctx, "PRAGMA user_version").Scan(&current); err != nil {
		return 0, 0, storeFault("sqlite.Schema", err)
	}
	return current, Newest(), nil
}

// Migrate brings the schema up or down to version `to`, one step per
// transaction; each step happens whole or not at all. Going down drops the
// tables of the steps that are undone, with what is in them.
func (db *DB) Migrate(ctx context.Context, to int) error {
	if to < 0 || to > Newest() {
		return fmt.Errorf("migrate inbox: there is no schema %d, only 0 to %d", to, Newest())
	}
	db.forgetSalt() // it goes with the traces
	for {
		var left int
		err := db.write(ctx, "sqlite.Migrate", func(c *conn) error {
			var err error
			left, err = step(c, to)
			return err
		})
		if err != nil || left == 0 {
			return err
		}
	}
}

// step moves the schema by one version towards `to` and tells how many steps
// are left.
func step(c *conn, to int) (int, error) {
	at, err := c.version()
	if err != nil {
		return 0, err
	}
	switch {
	case at < to:
		if err := c.script(migrations[at].up); err != nil {
			return 0, fmt.Errorf("migration %d up: %w", at+1, err)
		}
		return to - at - 1, c.setVersion(at + 1)
	case at > to:
		if at > len(migrations) {
			return 0, errNewerSchema(at)
		}
		if err := c.script(migrations[at-1].down); err != nil {
			return 0, fmt.Errorf("migration %d down: %w", at, err)
		}
		return at - 1 - to, c.setVersion(at - 1)
	default:
		return 0, nil
	}
}

func errNewerSchema(at int) error {
	return fmt.Errorf("the inbox has schema %d, newer than this program's %d: run the newer program, or bring the inbox down with it first", at, Newest())
}
