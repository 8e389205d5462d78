package sqlite

import (
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// sorted is the name of SQLite's temporary files: none, or one that is removed at once.
var sorted = regexp.MustCompile(`^(#\d+|etilqs_\w+) \(deleted\)$`)

// A container's root is read-only, and what a query sorts is personal data:
// neither may need a temporary file.
func TestNoQueryWritesATemporaryFile(t *testing.T) {
	db := openNew(t)
	rows, err := db.read.QueryContext(t.Context(), `
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
SELECT i, randomblob(1000) AS b FROM n ORDER BY b`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() { // everything is sorted, and nothing let go of
		t.Fatal(rows.Err())
	}
	var i int
	var b sql.RawBytes
	if err := rows.Scan(&i, &b); err != nil || len(b) != 1000 {
		t.Fatal(i, len(b), err)
	}
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(links) == 0 {
		t.Fatal("no open files", err)
	}
	for _, link := range links {
		if file, err := os.Readlink(link); err == nil && sorted.MatchString(filepath.Base(file)) {
			t.Errorf("it sorts in %s", file)
		}
	}
}
