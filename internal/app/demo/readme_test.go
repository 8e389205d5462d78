package demo

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

var update = flag.Bool("update", false, "rewrite the demo's output in README.md")

// What differs from run to run: ids that follow from a delivery's random name,
// and the year in ERPNext's names.
var changing = []struct {
	pattern *regexp.Regexp
	plain   string
}{
	{regexp.MustCompile(`ev_[a-z2-7]{24}`), "ev_ID"},
	{regexp.MustCompile(`(SAL-ORD|ACC-PAY|ACC-JV)-\d{4}-`), "$1-YEAR-"},
}

var blanks = regexp.MustCompile(`(?m) +$`) // an editor may take them off

func settled(text string) []string {
	for _, c := range changing {
		text = c.pattern.ReplaceAllString(text, c.plain)
	}
	return strings.Split(strings.TrimSpace(blanks.ReplaceAllString(text, "")), "\n")
}

// TestREADMEShowsTheDemo compares what README promises with what the demo
// prints.
func TestREADMEShowsTheDemo(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Out: &out, Log: zerolog.Nop()}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("..", "..", "..", "README.md")
	readme, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```[a-z]*\n(Signed webhooks sent to the service:.*?)```")
	shown := block.FindSubmatchIndex(readme)
	if shown == nil {
		t.Fatal("README shows no output of the demo")
	}
	if diff := cmp.Diff(settled(string(readme[shown[2]:shown[3]])), settled(out.String())); diff != "" {
		if *update {
			fresh := bytes.Join([][]byte{readme[:shown[2]], blanks.ReplaceAll(bytes.TrimLeft(out.Bytes(), "\n"), nil), readme[shown[3]:]}, nil)
			if err := os.WriteFile(file, fresh, 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("README's demo is stale (-README +demo; -update rewrites it):\n%s", diff)
	}
}
