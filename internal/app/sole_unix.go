//go:build linux || darwin

package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// sole makes this the only service on an inbox, until it is released.
// A second one would take the events in hand of the first for those of a process
// that died, and carry them beside it. The lock is the process's: it ends with
// it, however that ends. SQLite's own locks lie on the inbox file, so this one
// has a file beside it. Commands that look into the inbox do not ask for it.
func sole(inbox string) (release func() error, err error) {
	f, err := os.OpenFile(inbox+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // no folder: who opens the inbox says so better
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // a descriptor is small
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("another service runs on the inbox %s: stop it first", inbox), f.Close())
	}
	return f.Close, nil // a file system that knows no such locks is no reason not to start
}
