package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/ledgerhook/ledgerhook/internal/store/storetest"
)

var _ storetest.Store = (*sqlite.DB)(nil)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		db, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "inbox.db")})
		if err != nil {
			t.Fatal(err)
		}
		return db
	})
}
