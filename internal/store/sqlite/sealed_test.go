package sqlite_test

import (
	"context"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/seal"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/ledgerhook/ledgerhook/internal/store/storetest"
)

// An encrypted inbox keeps every promise of a plain one.
func TestEncryptedStore(t *testing.T) {
	ring, err := seal.Parse("a:" + base64.StdEncoding.EncodeToString([]byte("0"+strings.Repeat("k", 31))))
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, func(t *testing.T) storetest.Store {
		db, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "inbox.db"), Keys: ring})
		if err != nil {
			t.Fatal(err)
		}
		return plainFirst{db}
	})
}

// plainFirst makes everything plain before going down, as an operator has to.
type plainFirst struct{ *sqlite.DB }

func (p plainFirst) Migrate(ctx context.Context, to int) error {
	if at, newest, err := p.Schema(ctx); err == nil && at == newest {
		if _, err := p.Reseal(ctx, true, func(int) {}); err != nil {
			return err
		}
	}
	return p.DB.Migrate(ctx, to)
}
