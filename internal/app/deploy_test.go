package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"go.yaml.in/yaml/v4"
)

var deployDir = filepath.Join("..", "..", "deploy")

// exported is every series of a running service: name → label → values.
type exported map[string]map[string]map[string]bool

var seriesLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)

var seriesLabel = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)

// readExported reads Prometheus' text format. What the scraper adds is added
// here: its labels, and the series about the scrape itself.
func readExported(text string) exported {
	all := exported{}
	for line := range strings.SplitSeq(text, "\n") {
		m := seriesLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		labels := all[m[1]]
		if labels == nil {
			labels = map[string]map[string]bool{"job": {"ledgerhook": true}, "instance": {}}
			all[m[1]] = labels
		}
		for _, l := range seriesLabel.FindAllStringSubmatch(m[2], -1) {
			if labels[l[1]] == nil {
				labels[l[1]] = map[string]bool{}
			}
			labels[l[1]][l[2]] = true
		}
	}
	all["up"] = map[string]map[string]bool{"job": {"ledgerhook": true}, "instance": {}}
	all["ALERTS"] = map[string]map[string]bool{"alertname": nil, "alertstate": nil, "severity": nil}
	return all
}

// serviceWithEverything is a service that has everything on that exports a
// metric, and has booked an order and a payment.
func serviceWithEverything(t *testing.T) exported {
	t.Helper()
	slack := httptest.NewServer(&slackStub{})
	t.Cleanup(slack.Close)
	s := startService(t, sandbox.Options{}, func(c *config.Config) {
		often(c)
		c.SlackWebhookURL = config.Secret(slack.URL)
		c.Stripe.Secrets = append(c.Stripe.Secrets, "whsec_older")
	})
	s.sample(t, "shopify", "orders/create", "order")
	s.sample(t, "stripe", "charge.succeeded", "")
	s.settle(t)
	s.until(t, "no heartbeat", func() bool { return s.series(t, "ledgerhook_heartbeat_timestamp_seconds") > 0 })
	all := readExported(s.operator(t, "/metrics"))
	if len(all) < 70 {
		t.Fatalf("only %d series names were read", len(all))
	}
	return all
}

// check says what an expression asks for that the service does not export.
func (all exported) check(expr string) []string {
	a, err := askedBy(expr)
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	known := map[string]bool{}
	for _, s := range a.selectors {
		labels, ok := all[s.name]
		if !ok {
			problems = append(problems, "no metric "+s.name)
			continue
		}
		for l := range labels {
			known[l] = true
		}
		for _, m := range s.matchers {
			problems = append(problems, m.problems(s.name, labels)...)
		}
	}
	for _, l := range a.grouped {
		if !known[l] {
			problems = append(problems, "no label "+l+" to group by")
		}
	}
	return problems
}

// problems of a matcher: its label is not there, or a value it names never
// comes up. Series exist at zero from the start, so a value that is missing is
// misspelt.
func (m matcher) problems(name string, labels map[string]map[string]bool) []string {
	values, ok := labels[m.label]
	if !ok {
		return []string{"no label " + m.label + " on " + name}
	}
	if strings.Contains(m.value, "$") || values == nil { // a dashboard's variable; not ours
		return nil
	}
	var problems []string
	wanted := []string{regexp.QuoteMeta(m.value)}
	if strings.HasSuffix(m.op, "~") {
		wanted = strings.Split(m.value, "|")
	}
	for _, w := range wanted {
		full, err := regexp.Compile("^(?:" + w + ")$")
		if err != nil || !slices.ContainsFunc(slices.Collect(maps.Keys(values)), full.MatchString) {
			problems = append(problems, fmt.Sprintf("%s of %s is never %s", m.label, name, w))
		}
	}
	return problems
}

// alertRule is one rule as Prometheus reads it.
type alertRule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readRules(t *testing.T) []alertRule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string      `yaml:"name"`
			Rules []alertRule `yaml:"rules"`
		} `yaml:"groups"`
	}
	raw, err := os.ReadFile(filepath.Join(deployDir, "prometheus", "rules.yml"))
	if err == nil {
		err = yaml.Load(raw, &file, yaml.WithKnownFields())
	}
	if err != nil {
		t.Fatal(err)
	}
	var rules []alertRule
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	if len(rules) < 25 {
		t.Fatalf("only %d rules were read", len(rules))
	}
	return rules
}

// dashboard is what matters here of Grafana's form.
type dashboard struct {
	UID        string `json:"uid"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
	Panels []struct {
		ID         int    `json:"id"`
		Type       string `json:"type"`
		Title      string `json:"title"`
		Datasource struct {
			UID string `json:"uid"`
		} `json:"datasource"`
		GridPos struct{ X, Y, W, H int } `json:"gridPos"`
		Targets []struct {
			Expr   string `json:"expr"`
			Legend string `json:"legendFormat"`
		} `json:"targets"`
	} `json:"panels"`
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(deployDir, "grafana", "dashboards", "ledgerhook.json"))
	var d dashboard
	if err == nil {
		err = json.Unmarshal(raw, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var (
	labelValues = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)
	legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
)

// TestRulesAndDashboardAskForWhatIsExported compares every expression with
// what a running service exports: names, labels and label values.
func TestRulesAndDashboardAskForWhatIsExported(t *testing.T) {
	all := serviceWithEverything(t)
	for _, r := range readRules(t) {
		for _, problem := range all.check(r.Expr) {
			t.Errorf("rule %s: %s", r.Alert, problem)
		}
	}
	d := readDashboard(t)
	for _, p := range d.Panels {
		if p.Type != "row" && (len(p.Targets) == 0 || p.Datasource.UID != "prometheus") {
			t.Errorf("panel %s shows nothing, or not from the provisioned source", p.Title)
		}
		for _, target := range p.Targets {
			for _, problem := range append(all.check(target.Expr), all.legend(target.Expr, target.Legend)...) {
				t.Errorf("panel %s: %s", p.Title, problem)
			}
		}
	}
	for _, note := range d.Annotations.List {
		for _, problem := range all.check(note.Expr) {
			t.Errorf("annotation: %s", problem)
		}
	}
	for _, v := range d.Templating.List {
		m := labelValues.FindStringSubmatch(v.Definition)
		if m == nil || all[m[1]][m[2]] == nil {
			t.Errorf("variable %s takes its values from %s", v.Name, v.Definition)
		}
	}
}

// legend says which labels a legend shows that its series do not have.
func (all exported) legend(expr, legend string) []string {
	a, err := askedBy(expr)
	if err != nil {
		return nil // told by check
	}
	var problems []string
	for _, m := range legendLabel.FindAllStringSubmatch(legend, -1) {
		has := slices.Contains(a.grouped, m[1])
		if len(a.grouped) == 0 {
			has = slices.ContainsFunc(a.selectors, func(s selector) bool { return all[s.name][m[1]] != nil })
		}
		if !has {
			problems = append(problems, "the legend shows "+m[1]+", which the series do not have")
		}
	}
	return problems
}

// TestWhatIsNotExportedIsNoticed asks for what does not exist.
func TestWhatIsNotExportedIsNoticed(t *testing.T) {
	all := readExported("# HELP x Text.\nledgerhook_requests_total{outcome=\"accepted\",source=\"shopify\"} 1\nledgerhook_ready 1\n")
	for _, good := range []string{
		`sum by (source) (rate(ledgerhook_requests_total{outcome="accepted"}[5m])) > 0`, `ledgerhook_ready == 0`, `up{job="ledgerhook"}`,
		`ledgerhook_requests_total{source=~"$source",outcome=~"acc.*"}`,
	} {
		if problems := all.check(good); problems != nil {
			t.Errorf("%s: %v", good, problems)
		}
	}
	for _, bad := range []string{
		`ledgerhook_request_total`, `rate(ledgerhook_requests_total{outcom="accepted"}[5m])`, `ledgerhook_requests_total{outcome="acepted"}`,
		`ledgerhook_requests_total{outcome=~"accepted|duplicated"}`, `sum by (provider) (ledgerhook_requests_total)`, `ledgerhook_ready{source="shopify"}`, `a{`,
		`up{job="other"}`, `ledgerhook_requests_total{outcome!="duplikate"}`,
	} {
		if problems := all.check(bad); problems == nil {
			t.Errorf("%s: nothing was noticed", bad)
		}
	}
	if all.legend(`sum by (source) (ledgerhook_requests_total)`, `{{outcome}}`) == nil || all.legend(`ledgerhook_requests_total`, `{{outcome}}`) != nil {
		t.Error("legends are not compared")
	}
}

// TestDashboardIsReadable: panels have ids of their own and do not lie on
// another.
func TestDashboardIsReadable(t *testing.T) {
	d := readDashboard(t)
	ids, cells := map[int]string{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if other, taken := ids[p.ID]; taken {
			t.Errorf("%s and %s have id %d", p.Title, other, p.ID)
		}
		ids[p.ID] = p.Title
		if p.GridPos.W < 1 || p.GridPos.H < 1 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s lies outside", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
	if len(ids) < 25 || d.UID != "ledgerhook" {
		t.Errorf("%d panels in dashboard %q", len(ids), d.UID)
	}
}
