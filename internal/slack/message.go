package slack

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/alert"
)

// Slack's limits, in characters, and ours below them.
const (
	mostSection = 3000
	mostField   = 2000
	mostHeader  = 150
	mostText    = 4000
	mostInLine  = 200 // of one name in a list or a label
	mostURL     = 400
	mostLinks   = 4
)

type message struct {
	Text   string  `json:"text"` // what notifications show
	Blocks []block `json:"blocks"`
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Fields   []text `json:"fields,omitempty"`
	Elements []text `json:"elements,omitempty"`
}

type text struct {
	Type  string `json:"type"`
	Text  string `json:"text"`
	Emoji bool   `json:"emoji,omitempty"`
}

// compose writes a signal so that one look answers: what broke, for whom, since
// when, how often, why, what the service does and what is left to do.
func compose(s alert.Signal, links []Link) message {
	head := state(s) + ": " + s.Title
	blocks := []block{
		{Type: "header", Text: &text{Type: "plain_text", Text: colour(s) + " " + clean(head, mostHeader-30), Emoji: true}},
		section("", s.What),
		{Type: "section", Fields: fields(s)},
	}
	for _, part := range details(s) {
		if part[1] != "" {
			blocks = append(blocks, section(part[0], part[1]))
		}
	}
	if under := sample(s, links); under != "" {
		blocks = append(blocks, block{Type: "context", Elements: []text{{Type: "mrkdwn", Text: under}}})
	}
	summary := head + " – " + s.What
	if !s.Steady {
		summary += " (" + tally(s) + ")"
	}
	return message{Text: clean(summary, mostText), Blocks: blocks}
}

// leftOver reports whether a recovery leaves events that need a person. The
// events of a site that works again need none.
func leftOver(s alert.Signal) bool {
	return s.State == alert.Resolved && s.Open > 0 && s.Kind != alert.SiteDown && s.Kind != alert.Credentials
}

func state(s alert.Signal) string {
	switch {
	case leftOver(s):
		return "NOTHING NEW"
	case s.State == alert.Resolved:
		return "RESOLVED"
	case s.State == alert.Digest:
		return "ONGOING"
	case s.Severity == alert.Info:
		return "NOTE"
	default:
		return "FIRING"
	}
}

func colour(s alert.Signal) string {
	switch {
	case leftOver(s):
		return ":large_orange_circle:"
	case s.State == alert.Resolved:
		return ":large_green_circle:"
	case s.Severity == alert.Critical:
		return ":red_circle:"
	case s.Severity == alert.Warning:
		return ":large_orange_circle:"
	default:
		return ":large_blue_circle:"
	}
}

func fields(s alert.Signal) []text {
	var rows [][2]string
	if len(s.Sources) > 0 {
		rows = append(rows, [2]string{"Source", strings.Join(s.Sources, ", ")})
	}
	rows = append(rows, [2]string{"Since", moment(s.Since)})
	if !s.Steady {
		rows = append(rows, [2]string{"Count", tally(s)})
	}
	if s.State == alert.Resolved {
		rows = append(rows, [2]string{"Lasted", span(s.Lasted)})
	}
	if !s.NextTry.IsZero() {
		rows = append(rows, [2]string{"Next try", moment(s.NextTry)})
	}
	if s.Class != "" {
		rows = append(rows, [2]string{"Class", s.Class})
	}
	var all []text
	for _, r := range rows {
		all = append(all, text{Type: "mrkdwn", Text: "*" + r[0] + "*\n" + clean(r[1], mostField-mostInLine)})
	}
	return all
}

// details are the sections below the fields. A recovery asks for nothing but
// what is left over.
func details(s alert.Signal) [][2]string {
	if s.State != alert.Resolved {
		return [][2]string{{"Likely cause", s.Likely}, {"The service", s.Auto}, {"What to do", s.Fix}}
	}
	left := ""
	if leftOver(s) {
		left = fmt.Sprintf("%s not in ERPNext yet: %s", plural(s.Open, "event is", "events are"), s.Fix)
	}
	return [][2]string{{"Still to do", left}}
}

func sample(s alert.Signal, links []Link) string {
	var parts []string
	if s.SampleEventID != "" {
		parts = append(parts,
			"Example: "+code(s.SampleEventID)+" "+clean(s.SampleTopic, mostInLine),
			"Look: "+code(s.Command()))
	}
	for _, l := range links[:min(len(links), mostLinks)] {
		if len(l.URL) > mostURL || strings.ContainsAny(l.URL, "<>| \n") {
			continue // it would break out of the link, or of the message
		}
		parts = append(parts, "<"+escape.Replace(l.URL)+"|"+strings.ReplaceAll(clean(l.Text, mostInLine), "|", "/")+">")
	}
	return strings.Join(parts, "  ·  ")
}

func section(label, s string) block {
	t := clean(s, mostSection-mostInLine)
	if label != "" {
		t = "*" + label + "*\n" + t
	}
	if t == "" {
		t = "–" // Slack refuses an empty text
	}
	return block{Type: "section", Text: &text{Type: "mrkdwn", Text: t}}
}

func tally(s alert.Signal) string {
	all := plural(s.Count, "failure", "failures")
	if s.Kind == alert.OnAccount || s.Kind == alert.Attention {
		all = plural(s.Count, "event", "events")
	}
	if s.State == alert.Digest {
		all += fmt.Sprintf(", %d new", s.New)
	}
	return all
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// span is a duration as people say it: "1 h 12 min".
func span(d time.Duration) string {
	switch h, m := int(d.Hours()), int(d.Minutes())%60; {
	case h > 0:
		return fmt.Sprintf("%d h %d min", h, m)
	case m > 0:
		return fmt.Sprintf("%d min", m)
	default:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// mentions wake everybody in a channel where an administrator lets plain text
// do so; a zero-width space takes that from them.
var mentions = regexp.MustCompile(`(?i)@(channel|here|everyone)`)

// clean makes a text harmless and cuts it to at most n characters as Slack
// counts them, without cutting a character or an entity in two.
func clean(s string, n int) string {
	s = mentions.ReplaceAllString(s, "@\u200b$1")
	var b strings.Builder
	room := n
	for _, r := range s {
		piece := escape.Replace(string(r))
		if room -= len([]rune(piece)); room < 1 {
			return b.String() + "…"
		}
		b.WriteString(piece)
	}
	return b.String()
}

// code is a text as code; a backtick would end it.
func code(s string) string {
	return "`" + strings.ReplaceAll(clean(s, mostInLine), "`", "'") + "`"
}
