// Package deploy holds what runs beside the service. Its tests hold that the
// files agree with each other and with the program; what Prometheus and
// Alertmanager themselves think of theirs is asked by check.sh.
package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/alert"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"go.yaml.in/yaml/v4"
)

// read decodes a file that holds one YAML document; a field that is not in
// `into` is an error.
func read(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Load(raw, into, yaml.WithV4Defaults(), yaml.WithKnownFields(), yaml.WithUniqueKeys())
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestEveryYAMLFileParses(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(path string, _ os.DirEntry, err error) error {
		if ext := filepath.Ext(path); err != nil || ext != ".yml" && ext != ".yaml" {
			return err
		}
		seen++
		loader, err := yaml.NewLoader(bytes.NewReader([]byte(text(t, path))), yaml.WithV4Defaults(), yaml.WithUniqueKeys())
		if err != nil {
			return err
		}
		documents := 0
		for {
			var any map[string]any
			if err = loader.Load(&any); err != nil {
				break
			}
			documents++
		}
		if !errors.Is(err, io.EOF) || documents == 0 {
			t.Errorf("%s: %d documents, then %v", path, documents, err)
		}
		return nil
	})
	if err != nil || seen < 15 {
		t.Fatalf("%d files, %v", seen, err)
	}
}

// rule is an alert rule as far as this room cares; the expressions are
// compared with a running service in internal/app.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	read(t, "prometheus/rules.yml", &file)
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 25 {
		t.Fatalf("%d rules", len(all))
	}
	return all
}

const runbookURL = "https://github.com/ledgerhook/ledgerhook/blob/main/deploy/RUNBOOK.md#"

func TestEveryRuleTellsWhatAPersonNeeds(t *testing.T) {
	entries := runbook(t)
	names := map[string]bool{}
	for _, r := range rules(t) {
		if names[r.Alert] || !strings.HasPrefix(r.Alert, "Ledgerhook") {
			t.Errorf("%s: a second rule of the name, or without our prefix", r.Alert)
		}
		names[r.Alert] = true
		if r.For == "" || !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: for %q, severity %q", r.Alert, r.For, r.Labels["severity"])
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s: no summary or no description", r.Alert)
		}
		if want := runbookURL + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want || entries[r.Alert] == "" {
			t.Errorf("%s: its runbook is %s, and the entry is there: %v", r.Alert, r.Annotations["runbook_url"], entries[r.Alert] != "")
		}
	}
	for name := range entries {
		if strings.HasPrefix(name, "Ledgerhook") && !names[name] {
			t.Errorf("the runbook has an entry for %s, which is no rule", name)
		}
	}
}

func TestEveryRuleHasACaseThatFiresAndOneThatIsSilent(t *testing.T) {
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, path := range []string{"prometheus/rules_test.yml", "prometheus/rules_days_test.yml"} {
		var file struct {
			RuleFiles []string `yaml:"rule_files"`
			Interval  string   `yaml:"evaluation_interval"`
			Tests     []struct {
				Name     string              `yaml:"name"`
				Interval string              `yaml:"interval"`
				Series   []map[string]string `yaml:"input_series"`
				Cases    []struct {
					Alert string           `yaml:"alertname"`
					At    string           `yaml:"eval_time"`
					Want  []map[string]any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			} `yaml:"tests"`
		}
		read(t, path, &file)
		for _, test := range file.Tests {
			for _, c := range test.Cases {
				fires[c.Alert] = fires[c.Alert] || len(c.Want) > 0
				silent[c.Alert] = silent[c.Alert] || len(c.Want) == 0 && len(test.Series) > 0
			}
		}
	}
	for _, r := range rules(t) {
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s: a case that fires: %v, one that is silent: %v", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
}

// runbook is its entries by title.
func runbook(t *testing.T) map[string]string {
	t.Helper()
	entries := map[string]string{}
	for part := range strings.SplitSeq("\n"+text(t, "RUNBOOK.md"), "\n## ") {
		title, body, _ := strings.Cut(part, "\n")
		body, _, _ = strings.Cut(body, "\n# ")
		if entries[title] != "" {
			t.Errorf("two entries %s", title)
		}
		entries[title] = body
	}
	delete(entries, "") // what stands before the first
	return entries
}

func TestRunbookHasEveryAlertAndEveryClass(t *testing.T) {
	entries := runbook(t)
	told := map[string]bool{}
	for _, kind := range alert.Kinds() {
		told[kind.Entry()] = true
		if entries[kind.Entry()] == "" {
			t.Errorf("no entry %s of the alert %s", kind.Entry(), kind)
		}
	}
	for name := range entries {
		if !told[name] && !strings.HasPrefix(name, "Ledgerhook") && !strings.HasPrefix(name, "class: ") {
			t.Errorf("the entry %s is of no alert that is sent", name)
		}
	}
	classes := 0
	for k := fault.Kind(0); k == fault.Internal || k.String() != fault.Internal.String(); k++ {
		classes++
		if entries["class: "+k.String()] == "" {
			t.Errorf("no entry class: %s", k)
		}
	}
	for name := range entries {
		if class, ok := strings.CutPrefix(name, "class: "); ok && fault.ParseKind(class).String() != class {
			t.Errorf("there is no class %s", class)
		}
	}
	if classes <= len(fault.Delivery()) {
		t.Errorf("only %d classes were looked for", classes)
	}
}

var (
	command   = regexp.MustCompile("`(?:/)?server ([a-z]+)")
	setting   = regexp.MustCompile(`LEDGERHOOK_[A-Z_]+[A-Z]`)
	reference = regexp.MustCompile(`[Ss]ee ([A-Z][A-Za-z]+)`)
	commands  = []string{"bench", "check", "doctor", "events", "healthcheck", "init", "migrate", "pause", "privacy", "resume", "send", "setup", "status", "version"}
)

func TestRunbookEntriesAreWholeAndNameWhatExists(t *testing.T) {
	entries := runbook(t)
	for name, body := range entries {
		for _, part := range []string{"**Means.**", "**By itself.**", "**Check.**", "**Fix.**", "**Replay.**"} {
			if strings.Count(body, part) != 1 {
				t.Errorf("%s has %d parts %s", name, strings.Count(body, part), part)
			}
		}
		for _, m := range command.FindAllStringSubmatch(body, -1) {
			if !slices.Contains(commands, m[1]) {
				t.Errorf("%s: no command server %s", name, m[1])
			}
		}
		for _, m := range reference.FindAllStringSubmatch(body, -1) {
			if entries[m[1]] == "" {
				t.Errorf("%s points to %s, which is no entry", name, m[1])
			}
		}
	}
	wantSettings(t, setting.FindAllString(text(t, "RUNBOOK.md"), -1))
}

// wantSettings asks the configuration whether it knows these names.
func wantSettings(t *testing.T, names []string) {
	t.Helper()
	if len(names) == 0 {
		t.Fatal("no settings were found")
	}
	for _, name := range names {
		t.Setenv(name, "x")
	}
	_, err := config.Load()
	if err == nil {
		t.Fatal("nonsense was loaded")
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if strings.Contains(line, "no such setting") {
			t.Error(line)
		}
	}
}

func TestEnvExampleNamesSettings(t *testing.T) {
	var names []string
	for line := range strings.SplitSeq(text(t, "env.example"), "\n") {
		if name, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			names = append(names, name)
		}
	}
	if len(names) < 15 {
		t.Errorf("only %d settings", len(names))
	}
	wantSettings(t, names)
}

// TestAlertmanagerNamesRules: an inhibition of a misspelt alert inhibits
// nothing, and nobody would notice.
func TestAlertmanagerNamesRules(t *testing.T) {
	var names []string
	for _, r := range rules(t) {
		names = append(names, r.Alert)
	}
	var file struct {
		Inhibit []struct {
			Source []string `yaml:"source_matchers"`
			Target []string `yaml:"target_matchers"`
			Equal  []string `yaml:"equal"`
		} `yaml:"inhibit_rules"`
		Global, Route map[string]any
		Receivers     []map[string]any
	}
	read(t, "alertmanager/alertmanager.yml", &file)
	if len(file.Inhibit) < 5 {
		t.Errorf("%d inhibit rules", len(file.Inhibit))
	}
	alternatives := regexp.MustCompile(`^alertname(?:!?=|=~)"(?:(Ledgerhook)\((.+)\)|(.+))"$`)
	for _, rule := range file.Inhibit {
		for _, m := range append(rule.Source, rule.Target...) {
			parts := alternatives.FindStringSubmatch(m)
			if parts == nil {
				t.Errorf("cannot read %s", m)
				continue
			}
			wanted := []string{parts[3]}
			if parts[1] != "" {
				wanted = nil
				for end := range strings.SplitSeq(parts[2], "|") {
					wanted = append(wanted, parts[1]+end)
				}
			}
			for _, w := range wanted {
				if w != "Ledgerhook.+" && !slices.Contains(names, w) {
					t.Errorf("no rule %s", w)
				}
			}
		}
	}
}
