package app_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
)

var updateDocs = flag.Bool("update-docs", false, "write what the commands print into docs/connect-erpnext.md")

// TestConnectERPNext follows docs/connect-erpnext.md on an in-memory ERPNext:
// each command prints what its block in the document shows. With -update-docs
// the blocks are written anew.
func TestConnectERPNext(t *testing.T) {
	path, err := filepath.Abs(filepath.Join("..", "..", "docs", "connect-erpnext.md"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	printed, findings := printedOnTheWay(t)
	for command, said := range printed {
		block := regexp.MustCompile("(?s)\n```\n\\$ " + command + "\n(.*?)```\n")
		found := block.FindSubmatch(text)
		if found == nil {
			t.Errorf("the document has no block of %s", command)
			continue
		}
		if *updateDocs {
			text = bytes.Replace(text, found[0], []byte("\n```\n$ "+command+"\n"+said+"```\n"), 1)
			continue
		}
		if diff := cmp.Diff(said, string(found[1])); diff != "" {
			t.Errorf("%s (-printed +in the document; -update-docs writes it): %s", command, diff)
		}
	}
	for _, f := range findings {
		if !explainedInTable(string(text), f.Name) {
			t.Errorf("no row of the document's table explains the line %q", f.Name)
		}
	}
	if *updateDocs {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// printedOnTheWay runs the document's commands one after another.
func printedOnTheWay(t *testing.T) (map[string]string, []erpnext.Finding) {
	t.Helper()
	t.Chdir(t.TempDir())
	_, address := bareSite(t, sandbox.Options{Key: "root-key", Secret: "root-secret"})
	root, err := erpnext.New(erpnext.Options{URL: address, Credentials: erpnext.KeySecret("root-key", "root-secret")})
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Delete(t.Context(), erpnext.DocItem, erpnext.DefaultFallbackItem); err != nil { // the demo company has it
		t.Fatal(err)
	}
	cfg := testConfig(t, address, newSigners(t))
	cfg.DatabasePath = "ledgerhook.db"
	cfg.ERPNext.SetupKey, cfg.ERPNext.SetupSecret = config.SecretText("root-key"), config.SecretText("root-secret")
	cfg.Sheet = config.Sheet{}
	printed := map[string]string{}
	run := func(command string, do func(out *bytes.Buffer) error) {
		var out bytes.Buffer
		if err := do(&out); err != nil {
			t.Errorf("%s: %v", command, err)
		}
		printed[command] = timeless(out.String())
	}
	run("server setup", func(out *bytes.Buffer) error { return app.Setup(t.Context(), cfg, out) })
	run("server init", func(out *bytes.Buffer) error { return app.Init(t.Context(), cfg, out, "ledgerhook.yaml") })
	sheet, err := os.ReadFile("ledgerhook.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Sheet, err = config.ParseSheet("ledgerhook.yaml", sheet); err != nil {
		t.Fatal(err)
	}
	run("server doctor", func(out *bytes.Buffer) error { return app.Doctor(t.Context(), cfg, out, false) })
	found, err := diagnose(t, cfg)
	if err != nil {
		t.Error(err)
	}
	var findings []erpnext.Finding
	for _, f := range found {
		findings = append(findings, f)
	}
	return printed, findings
}

var (
	coveredDay = regexp.MustCompile(`\d{4} covers \d{4}-\d\d-\d\d`)
	diskLine   = regexp.MustCompile(`(?m)^\S+ +disk( +).*\n( +→.*\n)?`)
	summary    = regexp.MustCompile(`(?m)^(\d+) checks: .*$`)
)

// timeless replaces what is another on each day and machine.
func timeless(text string) string {
	text = coveredDay.ReplaceAllString(text, "2026 covers 2026-11-24")
	text = diskLine.ReplaceAllString(text, "ok    disk${1}75.0 GiB free\n")
	failed, warned := strings.Count("\n"+text, "\nFAIL "), strings.Count("\n"+text, "\nwarn ")
	return summary.ReplaceAllString(text, fmt.Sprintf("${1} checks: %d FAIL, %d warn", failed, warned))
}

// explainedInTable looks for the row of a doctor's line; "…" stands for any
// name.
func explainedInTable(text, name string) bool {
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(text, -1) {
		for _, shown := range strings.Split(row[1], ", ") {
			shown = strings.Trim(shown, "`")
			before, _, any := strings.Cut(shown, "…")
			if shown == name || any && strings.HasPrefix(name, before) {
				return true
			}
		}
	}
	return false
}
