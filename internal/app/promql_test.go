package app_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asked is what a PromQL expression asks of the service's metrics.
type asked struct {
	selectors []selector
	grouped   []string // labels of by, on, without, …
}

// selector is one metric with its matchers.
type selector struct {
	name     string
	matchers []matcher
}

type matcher struct{ label, op, value string }

var (
	promToken = regexp.MustCompile("^(?:" + strings.Join([]string{
		`\s+`, `#[^\n]*`, // nothing
		`"(?:[^"\\]|\\.)*"`, `'(?:[^'\\]|\\.)*'`, "`[^`]*`", // text
		`\[[^\]]*\]`,               // a range
		`[0-9][0-9a-zA-Z.]*`,       // numbers and durations
		`[a-zA-Z_:][a-zA-Z0-9_:]*`, // names
		`=~|!~|!=|==|<=|>=|[-+*/%^(){},<>=]`,
	}, "|") + ")")
	promName    = regexp.MustCompile(`^[a-zA-Z_:]`)
	groupWords  = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
	promWords   = []string{"and", "or", "unless", "bool", "offset", "inf", "nan"}
	aggregators = []string{"sum", "min", "max", "avg", "count", "group", "topk", "bottomk", "quantile", "stddev", "stdvar", "count_values"}
)

// promTokens cuts an expression up, without blanks, comments and ranges.
func promTokens(expr string) ([]string, error) {
	var list []string
	for rest := expr; rest != ""; {
		tok := promToken.FindString(rest)
		if tok == "" {
			return nil, fmt.Errorf("cannot read %q", rest)
		}
		rest = rest[len(tok):]
		if strings.TrimSpace(tok) != "" && tok[0] != '#' && tok[0] != '[' {
			list = append(list, tok)
		}
	}
	return list, nil
}

// askedBy reads what an expression asks for. It is no parser of PromQL:
// promtool is. It knows enough of it to tell a metric from a function, a
// keyword and a label.
func askedBy(expr string) (asked, error) {
	tokens, err := promTokens(expr)
	if err != nil {
		return asked{}, err
	}
	var a asked
	for i := 0; i < len(tokens); i++ {
		word := tokens[i]
		next := ""
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		switch {
		case !promName.MatchString(word), slices.Contains(promWords, strings.ToLower(word)):
		case slices.Contains(groupWords, word):
			end := i + slices.Index(tokens[i:], ")")
			if next != "(" || end < i {
				return asked{}, fmt.Errorf("%s without labels", word)
			}
			a.grouped = append(a.grouped, labelsOnly(tokens[i+2:end])...)
			i = end
		case next == "(", slices.Contains(aggregators, word):
		default:
			s := selector{name: word}
			if next == "{" {
				var skip int
				if s.matchers, skip, err = matchersOf(tokens[i+2:]); err != nil {
					return asked{}, err
				}
				i += skip + 2
			}
			a.selectors = append(a.selectors, s)
		}
	}
	return a, nil
}

func labelsOnly(tokens []string) []string {
	return slices.DeleteFunc(slices.Clone(tokens), func(tok string) bool { return tok == "," })
}

// matchersOf reads up to the closing brace and tells where that stands.
func matchersOf(tokens []string) ([]matcher, int, error) {
	var list []matcher
	for i := 0; i < len(tokens); i++ {
		switch {
		case tokens[i] == "}":
			return list, i, nil
		case tokens[i] == ",":
		case i+2 < len(tokens) && strings.ContainsAny(tokens[i+1], "=~"):
			list = append(list, matcher{tokens[i], tokens[i+1], strings.Trim(tokens[i+2], "\"'`")})
			i += 2
		default:
			return nil, 0, fmt.Errorf("no matcher at %q", tokens[i])
		}
	}
	return nil, 0, fmt.Errorf("a brace is not closed")
}

func TestAskedBy(t *testing.T) {
	expr := `# not_a_metric
histogram_quantile(0.99, sum by (job, le) (rate(a_bucket{x="by (y)",z=~"p|q"}[5m:1m]))) > 1e3
  and on (job) (time() - (b_seconds offset 1w > 0) > 5 * c_seconds)
  or sum(rate(d_total{x!='heartbeat'}[$__rate_interval])) without (k) * on () group_left (v) e_info unless absent(up == bool 1)`
	got, err := askedBy(expr)
	if err != nil {
		t.Fatal(err)
	}
	want := asked{
		selectors: []selector{
			{"a_bucket", []matcher{{"x", "=", "by (y)"}, {"z", "=~", "p|q"}}}, {"b_seconds", nil}, {"c_seconds", nil},
			{"d_total", []matcher{{"x", "!=", "heartbeat"}}}, {"e_info", nil}, {"up", nil},
		},
		grouped: []string{"job", "le", "job", "k", "v"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(asked{}, selector{}, matcher{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{`a{x="1"`, `a{x}`, `sum by x`, `a ; b`, `a{x="1}`} {
		if got, err := askedBy(bad); err == nil {
			t.Errorf("%s: read as %+v", bad, got)
		}
	}
}
