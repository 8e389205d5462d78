package app_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ledgerhook/ledgerhook/"

// allowed lists, by room, the rooms it may import beside the leaves. A room
// that is not listed may import nothing of ours but leaves; "*" is everything.
var allowed = map[string][]string{
	"cmd/server":               {"internal/app", "internal/app/chaos", "internal/app/demo", "internal/config"},
	"internal/app":             {"*"},
	"internal/app/chaos":       {"*"},
	"internal/app/demo":        {"*"},
	"internal/handlers":        {"internal/event", "internal/fault"},
	"internal/source/shopify":  {"internal/source/secrets", "internal/source/strictjson"},
	"internal/source/stripe":   {"internal/source/rest", "internal/source/secrets", "internal/source/strictjson"},
	"internal/source/rest":     {"internal/source/strictjson"},
	"internal/source/paypal":   {"internal/source/rest", "internal/source/strictjson"},
	"internal/mapping":         {"internal/erpnext"},
	"internal/posting":         {"internal/mapping", "internal/erpnext"},
	"internal/erpnext/sandbox": {"internal/erpnext/sandbox/totals"},
	"internal/slack":           {"internal/alert"},
	"internal/store/sqlite":    {"internal/store/sqlite/walvfs"},

	"internal/source/paypal/paypalsim": {"internal/source/paypal"}, // for tests alone
}

// leaves know nothing of ours but other leaves, as far as listed.
var leaves = map[string][]string{
	"internal/fault":    nil,
	"internal/event":    nil,
	"internal/money":    nil,
	"internal/commerce": {"internal/money"},
	"internal/seal":     nil,
	"internal/config":   {"internal/seal"},
}

// closedTo lists leaves that a room must not know although they are leaves.
var closedTo = map[string][]string{
	"internal/handlers":         {"internal/commerce", "internal/money", "internal/config"},
	"internal/store/sqlite":     {"internal/commerce", "internal/money", "internal/config"},
	"internal/store/storetest":  {"internal/commerce", "internal/money", "internal/config"},
	"internal/store/storebench": {"internal/commerce", "internal/money", "internal/config"},
	"internal/worker":           {"internal/commerce", "internal/money", "internal/config"},
	"internal/alert":            {"internal/commerce", "internal/money", "internal/config"},
	"internal/erpnext":          {"internal/commerce", "internal/event", "internal/config"},
	"internal/erpnext/sandbox":  {"internal/commerce", "internal/event", "internal/config", "internal/money"},
	"internal/mapping":          {"internal/event", "internal/config"},
	"internal/formula":          {"internal/event", "internal/config"},
	"internal/posting":          {"internal/config"},
	"internal/privacy":          {"internal/config", "internal/money", "internal/seal"},
	"internal/source/shopify":   {"internal/config"},
	"internal/source/stripe":    {"internal/config"},
	"internal/source/paypal":    {"internal/config"},
}

// TestArrows holds the direction of the house: see the table of rooms in
// README. Test files may look anywhere.
func TestArrows(t *testing.T) {
	seen := 0
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		room := path.Dir(filepath.ToSlash(rel))
		seen++
		for _, imported := range ours(t, file) {
			if why := forbidden(room, imported); why != "" {
				t.Errorf("%s imports %s: %s", rel, imported, why)
			}
		}
		return nil
	})
	if err != nil || seen < 20 {
		t.Fatalf("%d files seen, %v", seen, err)
	}
}

func ours(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, spec := range parsed.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		if rest, ok := strings.CutPrefix(name, module); ok {
			list = append(list, rest)
		}
	}
	return list
}

func forbidden(room, imported string) string {
	if known, isLeaf := leaves[room]; isLeaf {
		if slices.Contains(known, imported) {
			return ""
		}
		return "a leaf knows nothing of ours"
	}
	rooms := allowed[room]
	_, leaf := leaves[imported]
	switch {
	case slices.Contains(closedTo[room], imported):
		return "closed to this room"
	case leaf, slices.Contains(rooms, "*"), slices.Contains(rooms, imported):
		return ""
	default:
		return "the arrow points the other way, or past a room"
	}
}

func TestArrowsAreNoticed(t *testing.T) {
	for _, bad := range [][2]string{
		{"internal/erpnext", "internal/handlers"}, {"internal/worker", "internal/posting"}, {"internal/fault", "internal/event"},
		{"internal/mapping", "internal/store/sqlite"}, {"cmd/server", "internal/store/sqlite"}, {"internal/handlers", "internal/config"},
	} {
		if forbidden(bad[0], bad[1]) == "" {
			t.Errorf("%s may import %s", bad[0], bad[1])
		}
	}
}
