// Package corpus finds the real-world test data (payloads, signature vectors,
// recorded ERPNext exchanges) that may lie beside the project. Only tests use
// it, and every test that does also has data of the project's own.
package corpus

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir is the folder `name` of the corpus. The test is skipped when the corpus
// is not there: it is not part of the project.
func Dir(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("LEDGERHOOK_TEST_CORPUS")
	if root == "" {
		root = filepath.Join(moduleRoot(t), "..", "shared")
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the corpus is not beside the project (LEDGERHOOK_TEST_CORPUS can name it): %s", name)
	}
	return dir
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}
