package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// Problem is something wrong in the mapping sheet, and where.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`   // from 1; 0 = the whole file
	Column  int    `json:"column,omitempty"` // in runes, from 1
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`   // what to write instead
	Source  string `json:"source,omitempty"` // the line, without what may be a secret
}

// Error is "file:line:col: message: hint", then the line and a caret.
func (p Problem) Error() string {
	var out strings.Builder
	out.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&out, ":%d:%d", p.Line, p.Column)
	}
	out.WriteString(": " + p.Message)
	if p.Hint != "" {
		out.WriteString(": " + p.Hint)
	}
	if p.Line > 0 {
		fmt.Fprintf(&out, "\n    %s\n    %s^", p.Source, strings.Repeat(" ", max(p.Column-1, 0)))
	}
	return out.String()
}

// Problems is everything wrong in a sheet, in its order.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Sorted puts them in the order of the sheet.
func (p Problems) Sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return p
}

// Problem is a problem that another room finds at a place in this sheet.
func (s Sheet) Problem(at Position, message, hint string) Problem {
	if s.text == nil {
		return Problem{File: "sheet", Message: message, Hint: hint}
	}
	return s.text.problem(at, message, hint)
}

// ProblemAt is a problem that another room finds with what stands under a path
// of this sheet.
func (s Sheet) ProblemAt(path, message, hint string) Problem {
	return s.Problem(s.at(path), path+": "+message, hint)
}

// Place writes a position as people and editors read it: "file:line".
func (s Sheet) Place(at Position) string {
	if s.text == nil {
		return "the mapping sheet"
	}
	return fmt.Sprintf("%s:%d", s.text.file, at.Line)
}

// text is a sheet as it was written, for messages.
type text struct {
	file  string
	lines []string
}

func newText(file string, raw []byte) *text {
	return &text{file: file, lines: lineBreak.Split(string(raw), -1)}
}

// lineBreak is what counts as the end of a line in YAML.
var lineBreak = regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]")

func (t *text) problem(at Position, message, hint string) Problem {
	return Problem{File: t.file, Line: at.Line, Column: at.Column, Message: message, Hint: hint, Source: t.line(at.Line)}
}

func (t *text) syntax(err error) Problem {
	load, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return Problem{File: t.file, Message: err.Error()}
	}
	if load.Mark.Line == 0 { // unreadable characters have no place
		return Problem{File: t.file, Message: "not YAML: " + load.Message}
	}
	at := Position{load.Mark.Line, max(load.Mark.Column, 1)}
	if at.Line > len(t.lines) { // the end of the file
		at = Position{len(t.lines), len([]rune(t.lines[len(t.lines)-1])) + 1}
	}
	return t.problem(at, "not YAML: "+load.Message, "")
}

// line is a line of the sheet, of printable text and without what may be a
// secret.
func (t *text) line(number int) string {
	if number < 1 || number > len(t.lines) {
		return ""
	}
	runes := []rune(strings.ToValidUTF8(t.lines[number-1], "?"))
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = ' '
		}
	}
	line := string(runes)
	if shown := firstSecret(line); shown < len(line) {
		return line[:shown] + "…"
	}
	if len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return line
}

// maxShown bounds what is shown of a line, in runes.
const maxShown = 200

var (
	// secretText is what the secrets of the providers begin with, and what is
	// longer than anybody writes by hand.
	secretText = regexp.MustCompile(`whsec_|[rs]k_(live|test)_|shp(ss|at|ca|pa)_|[0-9a-fA-F]{32,}|[A-Za-z0-9+=_-]{40,}`)
	// leakedText is what only a provider's secret begins with.
	leakedText = regexp.MustCompile(`^(whsec_|[rs]k_(live|test)_|shp(ss|at|ca|pa)_)`)
	// secretKey is a key that asks for a secret.
	secretKey = regexp.MustCompile(`(?i)secret|passw|token|api_?key|private_?key|signing_?key|credential`)
	anyKey    = regexp.MustCompile(`([\pL\pN_-]+)["']?\s*:`)
)

// firstSecret is where in a line something begins that may be a secret, in
// bytes; the line's length if nothing does.
func firstSecret(line string) int {
	end := len(line)
	for _, key := range anyKey.FindAllStringSubmatchIndex(line, -1) {
		name := line[key[2]:key[3]]
		if secretKey.MatchString(name) && !slices.Contains(keysOf(reflect.TypeFor[Source]()), name) {
			end = min(end, key[1])
		}
	}
	if at := secretText.FindStringIndex(line); at != nil {
		end = min(end, at[0])
	}
	return end
}
