package sandbox

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// setName gives a new document its name: the one the client chose (this
// version honours it), one derived from the original of an amendment, the
// DocType's own rule, or the next number of its series.
func (t *tx) setName(dt *doctype, c controller, d doc) error {
	chosen := str(d, "name")
	delete(d, "name")
	switch {
	case t.nameSent && chosen != "":
		d["name"] = chosen
	case str(d, "amended_from") != "":
		d["name"] = amendedName(str(d, "amended_from"), t.peek(dt.name, str(d, "amended_from")))
	case c.autoname != nil:
		if err := c.autoname(t, d); err != nil {
			return err
		}
	}
	if d["name"] == nil && str(d, "naming_series") != "" {
		d["name"] = t.nextInSeries(str(d, "naming_series"))
	}
	if d["name"] == nil {
		d["name"] = t.rowName()
	}
	return checkName(dt.name, str(d, "name"))
}

func checkName(doctype, name string) error {
	if strings.HasPrefix(name, "New "+doctype) {
		return throw("NameError", "There were some errors setting the name, please contact the administrator")
	}
	if strings.ContainsAny(name, "<>") {
		return throw("NameError", "Name cannot contain special characters like '<', '>'")
	}
	if name == doctype {
		return throw("NameError", fmt.Sprintf("Name of %s cannot be %s", doctype, doctype))
	}
	return nil
}

var amendment = regexp.MustCompile(`^(.*)-(\d+)$`)

// amendedName counts amendments up: X, X-1, X-2.
func amendedName(from string, original doc) string {
	if str(original, "amended_from") != "" {
		if m := amendment.FindStringSubmatch(from); m != nil {
			n, _ := strconv.Atoi(m[2])
			return fmt.Sprintf("%s-%d", m[1], n+1)
		}
	}
	return from + "-1"
}

// nextInSeries is the next number under a pattern such as SAL-ORD-.YYYY.-.
func (t *tx) nextInSeries(pattern string) string {
	digits := 5
	var prefix strings.Builder
	for part := range strings.SplitSeq(pattern, ".") {
		switch {
		case part == "YYYY":
			prefix.WriteString(t.today()[:4])
		case strings.HasPrefix(part, "#"):
			digits = len(part)
		default:
			prefix.WriteString(part)
		}
	}
	key := prefix.String()
	t.setSeries(key, t.series[key]+1)
	return fmt.Sprintf("%s%0*d", key, digits, t.series[key])
}

// setSeries changes a counter; a refused request puts it back.
func (t *tx) setSeries(key string, value int64) {
	before, existed := t.series[key]
	t.undo = append(t.undo, func() {
		if existed {
			t.series[key] = before
		} else {
			delete(t.series, key)
		}
	})
	t.counters = append(t.counters, key)
	t.series[key] = value
}

var numbered = regexp.MustCompile(`^(.*?)(\d+)$`)

// revertSeries gives the newest number back when its document is deleted.
func (t *tx) revertSeries(d doc) {
	if str(d, "naming_series") == "" || str(d, "amended_from") != "" {
		return
	}
	m := numbered.FindStringSubmatch(str(d, "name"))
	if m == nil {
		return
	}
	n, _ := strconv.ParseInt(m[2], 10, 64)
	for _, key := range []string{m[1], strings.TrimRight(m[1], "0")} {
		if current, ok := t.series[key]; ok && current == n {
			t.setSeries(key, n-1)
			return
		}
	}
}
