package sqlite

import (
	"context"
	"errors"

	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// trouble is what SQLite's primary result codes mean to an operator.
var trouble = map[int]struct{ cause, hint string }{
	sqlite3.SQLITE_FULL:     {"the disk is full", "free space on the inbox's disk; intake resumes by itself"},
	sqlite3.SQLITE_READONLY: {"the inbox is read-only", "make the inbox's file and folder writable for the service's user"},
	sqlite3.SQLITE_CANTOPEN: {"the inbox cannot be opened", "check that the inbox's folder exists and is writable for the service's user"},
	sqlite3.SQLITE_IOERR:    {"the disk reports an error", "check the disk and the kernel's log"},
	sqlite3.SQLITE_CORRUPT:  {"the inbox is damaged", "stop the service and restore the inbox from a backup"},
	sqlite3.SQLITE_NOTADB:   {"the file is not an inbox", "point the service to its own database file"},
	sqlite3.SQLITE_BUSY:     {"another program holds the inbox", "end what else writes to the inbox's file"},
	sqlite3.SQLITE_LOCKED:   {"another program holds the inbox", "end what else writes to the inbox's file"},
	sqlite3.SQLITE_NOMEM:    {"out of memory", "give the service more memory"},
}

// code is SQLite's primary result code in err, or 0.
func code(err error) int {
	if e, ok := errors.AsType[*sqlitedriver.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// ofTheFile reports whether err concerns the file as a whole, so that trying
// the other requests of the same commit one by one is no use.
func ofTheFile(err error) bool {
	_, known := trouble[code(err)]
	return known
}

// storeFault classifies a failure of the store itself. All of them are Busy:
// whoever asked can ask again later, and nothing was promised.
func storeFault(op string, err error) error {
	if err == nil || fault.As(err) != nil {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &fault.Error{Kind: fault.Busy, Op: op, Cause: "the caller gave up", Err: err}
	}
	e := &fault.Error{Kind: fault.Busy, Op: op, Cause: "the inbox failed", Err: err}
	if t, known := trouble[code(err)]; known {
		e.Cause, e.Hint = t.cause, t.hint
	}
	return e
}

func busy(op, cause, hint string) error {
	return &fault.Error{Kind: fault.Busy, Op: op, Cause: cause, Hint: hint}
}
