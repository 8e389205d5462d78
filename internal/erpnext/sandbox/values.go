package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
)

// doc is one document or child row. Its values are string, int64, float64,
// nil, and []any of doc for child tables.
type doc = map[string]any

// decodeJSON reads what a client sent, keeping whole numbers apart from
// fractions as Python does.
func decodeJSON(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("extra data")
	}
	return plain(v), nil
}

// plain turns the decoder's numbers and booleans into the store's.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case int:
		return int64(v)
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case map[string]any:
		out := make(doc, len(v))
		for k, x := range v {
			out[k] = plain(x)
		}
		return out
	case []map[string]any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plain(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plain(x)
		}
		return out
	}
	return v
}

// clone is a deep copy.
func clone(v any) any {
	switch v := v.(type) {
	case doc:
		return cloneDoc(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = clone(x)
		}
		return out
	}
	return v
}

func cloneDoc(d doc) doc {
	out := make(doc, len(d))
	for k, v := range d {
		out[k] = clone(v)
	}
	return out
}

// appendJSON writes v the way Python does: floats keep their point, so that
// 100.0 stays a float on the wire.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case float64:
		return append(b, pyFloat(v)...)
	case string:
		text, _ := json.Marshal(v)
		return append(b, text...)
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, x)
		}
		return append(b, ']')
	case doc:
		return appendObject(b, v)
	case []string:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, x)
		}
		return append(b, ']')
	}
	text, _ := json.Marshal(v)
	return append(b, text...)
}

func appendObject(b []byte, d doc) []byte {
	keys := make([]string, 0, len(d))
	for k := range d {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, k)
		b = append(b, ':')
		b = appendJSON(b, d[k])
	}
	return append(b, '}')
}

// pyFloat is Python's repr of a float: the shortest text that reads back the
// same, with ".0" when it is whole.
func pyFloat(f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return "null"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// text is Python's str() of a value.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return pyFloat(v)
	}
	return string(appendJSON(nil, v))
}

// flt is the framework's flt(): anything that is no number is 0.
func flt(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	case int:
		return float64(v)
	case string:
		f, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(v), ",", ""), 64)
		if err != nil {
			return 0
		}
		return f
	}
	return 0
}

// cint is the framework's cint().
func cint(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if err != nil {
			return 0
		}
		return int64(f)
	}
	return 0
}

func str(d doc, field string) string { return text(d[field]) }

func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case int64:
		return v != 0
	case float64:
		return v != 0
	case []any:
		return len(v) > 0
	case doc:
		return len(v) > 0
	}
	return true
}

// rows are the child rows below a field; what is no row is left out.
func rows(d doc, field string) []doc {
	list, _ := d[field].([]any)
	out := make([]doc, 0, len(list))
	for _, v := range list {
		if row, ok := v.(doc); ok {
			out = append(out, row)
		}
	}
	return out
}

func setRows(d doc, field string, list []doc) {
	out := make([]any, len(list))
	for i, row := range list {
		out[i] = row
	}
	d[field] = out
}

// fold is how the database compares text (utf8mb4_unicode_ci): without case,
// without accents, without trailing spaces.
func fold(s string) string {
	s = strings.TrimRight(s, " ")
	ascii := true
	for i := range len(s) {
		if s[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.ToLower(s)
	}
	var b strings.Builder
	for _, r := range s {
		if base, ok := accents[r]; ok {
			b.WriteString(base)
			continue
		}
		if !unicode.Is(unicode.Mn, r) {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// accents maps the Latin letters with marks to their base letter.
var accents = accentTable(
	"a", "ÀÁÂÃÄÅàáâãäåĀāĂăĄą", "c", "ÇçĆćĈĉĊċČč", "d", "ĎďĐđ", "e", "ÈÉÊËèéêëĒēĔĕĖėĘęĚě",
	"g", "ĜĝĞğĠġĢģ", "h", "Ĥĥ", "i", "ÌÍÎÏìíîïĨĩĪīĬĭĮįİ", "j", "Ĵĵ", "k", "Ķķ", "l", "ĹĺĻļĽľ",
	"n", "ÑñŃńŅņŇň", "o", "ÒÓÔÕÖòóôõöŌōŎŏŐő", "r", "ŔŕŖŗŘř", "s", "ŚśŜŝŞşŠš", "t", "ŢţŤť",
	"u", "ÙÚÛÜùúûüŨũŪūŬŭŮůŰűŲų", "w", "Ŵŵ", "y", "ÝýÿŶŷŸ", "z", "ŹźŻżŽž", "ss", "ß", "ae", "Ææ", "oe", "Œœ",
)

func accentTable(pairs ...string) map[rune]string {
	out := map[rune]string{}
	for pair := range slices.Chunk(pairs, 2) {
		for _, r := range pair[1] {
			out[r] = pair[0]
		}
	}
	return out
}
