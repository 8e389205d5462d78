package erpnext_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
)

// TestContract holds what the client and the mapping rely on: one suite for the
// in-memory site in each major version, and for a real site when one is named:
//
//	LEDGERHOOK_TEST_ERPNEXT_URL, _KEY, _SECRET    the runtime user: Sales User, Accounts User
//	LEDGERHOOK_TEST_ERPNEXT_SETUP_KEY, _SETUP_SECRET   System Manager, perhaps Item Manager
//	LEDGERHOOK_TEST_ERPNEXT_SITE                  Host header, where the URL is not the site's name
//
// Everything it makes carries the prefix of its run, so that it can be repeated
// on the same site. It leaves its documents there: use a site made for tests.
func TestContract(t *testing.T) {
	for _, version := range []int{14, 15, 16} {
		t.Run("memory"+strconv.Itoa(version), func(t *testing.T) {
			c := newConnection(t, sandbox.Options{Version: version, Seed: 7})
			keepContract(t, &contractSite{url: c.url, runtime: "token demo-key:demo-secret", setup: "token demo-setup-key:demo-setup-secret",
				runtimeKeys: runtimeUser, setupKeys: setupUser})
		})
	}
	env := func(name string) string { return os.Getenv("LEDGERHOOK_TEST_ERPNEXT_" + name) }
	if env("URL") == "" {
		return
	}
	t.Run("real", func(t *testing.T) {
		keepContract(t, &contractSite{url: strings.TrimSuffix(env("URL"), "/"), host: env("SITE"),
			runtime: "token " + env("KEY") + ":" + env("SECRET"), setup: "token " + env("SETUP_KEY") + ":" + env("SETUP_SECRET"),
			runtimeKeys: erpnext.KeySecret(env("KEY"), env("SECRET")), setupKeys: erpnext.KeySecret(env("SETUP_KEY"), env("SETUP_SECRET"))})
	})
}

func keepContract(t *testing.T, s *contractSite) {
	s.prepare(t)
	themes := []struct {
		name  string
		cases []contractCase
	}{
		{"auth", s.authCases()},
		{"health", s.healthCases()},
		{"permissions", s.permissionCases()},
		{"custom fields", s.customFieldCases()},
		{"customers", s.customerCases()},
		{"items", s.itemCases()},
		{"order refused", s.orderRefusals()},
		{"order totals", s.orderTotals()},
		{"order life", s.orderLife()},
		{"payments", s.paymentCases()},
		{"payment refused", s.paymentRefusals()},
		{"lists", s.listCases()},
		{"bodies", s.bodyCases()},
	}
	for _, theme := range themes {
		t.Run(theme.name, func(t *testing.T) {
			for _, c := range theme.cases {
				if c.in == nil || slices.Contains(c.in, s.version) {
					t.Run(c.name, func(t *testing.T) { s.play(t, c.steps) })
				}
			}
		})
	}
	t.Run("client", s.keepClient)
}

// contractCase is what holds, and the exchanges that show it.
type contractCase struct {
	name  string
	in    []int // major versions it holds for; nil = all
	steps []step
}

func holds(name string, steps ...step) contractCase { return contractCase{name: name, steps: steps} }

// only says for which major versions the case holds.
func (c contractCase) only(versions ...int) contractCase {
	c.in = versions
	return c
}

// step is one exchange. In path and body {x} stands for what an earlier step
// kept as x.
type step struct {
	method, path string
	body         any // bytes are sent as they are
	header       map[string]string
	setup        bool // with the setup key

	status int
	class  string         // ERPNext's exception class; "" is not looked at in an answer without JSON
	want   map[string]any // dotted path in the answer to its value; nil = absent or null
	kept   map[string]string
}

func resource(doctype, name string) string {
	path := "/api/resource/" + doctype
	if name != "" {
		path += "/" + name
	}
	return path
}

func send(method, path string, body any) step {
	return step{method: method, path: path, body: body, status: http.StatusOK}
}

func create(doctype string, body any) step { return send(http.MethodPost, resource(doctype, ""), body) }
func read(doctype, name string) step       { return send(http.MethodGet, resource(doctype, name), nil) }
func put(doctype, name string, body any) step {
	return send(http.MethodPut, resource(doctype, name), body)
}
func call(method string, args any) step {
	return send(http.MethodPost, "/api/method/"+method, args)
}

func submit(doctype, name string) step {
	return put(doctype, name, map[string]any{"docstatus": erpnext.Submitted})
}

func cancel(doctype, name string) step {
	return put(doctype, name, map[string]any{"docstatus": erpnext.Cancelled})
}

func remove(doctype, name string) step {
	s := send(http.MethodDelete, resource(doctype, name), nil)
	s.status = http.StatusAccepted
	return s
}

// find asks for a list; the arguments are pairs of name and value.
func find(doctype string, args ...string) step {
	query := make([]string, 0, len(args)/2)
	for pair := range slices.Chunk(args, 2) {
		query = append(query, pair[0]+"="+pair[1])
	}
	s := send(http.MethodGet, resource(doctype, ""), nil)
	if len(query) > 0 {
		s.path += "?" + strings.Join(query, "&")
	}
	return s
}

func (s step) bySetup() step {
	s.setup = true
	return s
}

// with sends another header; "" leaves it out.
func (s step) with(name, value string) step {
	s.header = maps.Clone(s.header)
	if s.header == nil {
		s.header = map[string]string{}
	}
	s.header[name] = value
	return s
}

func (s step) refused(status int, class string) step {
	s.status, s.class = status, class
	return s
}

// gives names what the answer holds: pairs of a dotted path and a value, a
// check of it, or nil.
func (s step) gives(pairs ...any) step {
	s.want = map[string]any{}
	for pair := range slices.Chunk(pairs, 2) {
		s.want[pair[0].(string)] = pair[1]
	}
	return s
}

// keeps remembers parts of the answer: pairs of a name and a dotted path.
func (s step) keeps(pairs ...string) step {
	s.kept = map[string]string{}
	for pair := range slices.Chunk(pairs, 2) {
		s.kept[pair[0]] = pair[1]
	}
	return s
}

// check is a condition on a value of an answer.
type check struct {
	says  string
	holds func(got any, kept map[string]any) bool
}

func contains(part string) check {
	return check{"contains " + part, func(got any, _ map[string]any) bool { return strings.Contains(fmt.Sprint(got), part) }}
}

func same(name string) check {
	return check{"is " + name, func(got any, kept map[string]any) bool { return got == kept[name] }}
}

func differs(name string) check {
	return check{"differs from " + name, func(got any, kept map[string]any) bool { return got != nil && got != kept[name] }}
}

func rows(n int) check {
	return check{strconv.Itoa(n) + " rows", func(got any, _ map[string]any) bool {
		list, ok := got.([]any)
		return ok && len(list) == n
	}}
}

func filled() check {
	return check{"a text that is not empty", func(got any, _ map[string]any) bool {
		text, ok := got.(string)
		return ok && text != ""
	}}
}

// play sends the steps one after another.
func (s *contractSite) play(t *testing.T, steps []step) {
	t.Helper()
	kept := map[string]any{}
	for i, st := range steps {
		got := s.exchange(t, fill(t, st, kept))
		what := fmt.Sprintf("step %d, %s %s", i+1, st.method, st.path)
		if got.status != st.status || !s.classIs(got, st.class) {
			t.Fatalf("%s: got %d %q, want %d %q:\n%s", what, got.status, got.class(), st.status, st.class, got.shown())
		}
		for path, want := range st.want {
			if v := dig(got.body, path); !agrees(v, want, kept) {
				t.Errorf("%s: %s is %v (%T), want %v", what, path, v, v, shownWant(want))
			}
		}
		for name, path := range st.kept {
			kept[name] = dig(got.body, path)
		}
	}
}

// classIs compares the class. Version 14 names none of a refusal by role.
func (s *contractSite) classIs(got answered, want string) bool {
	class := got.class()
	return class == want || (s.version == 14 && got.status == http.StatusForbidden && class == "")
}

func agrees(got, want any, kept map[string]any) bool {
	switch want := want.(type) {
	case check:
		return want.holds(got, kept)
	case int:
		return got == float64(want)
	default:
		return got == want
	}
}

func shownWant(want any) any {
	if c, ok := want.(check); ok {
		return c.says
	}
	return want
}

// fill puts what was kept into path and body.
func fill(t *testing.T, st step, kept map[string]any) step {
	t.Helper()
	in := func(text string) string {
		for name, value := range kept {
			text = strings.ReplaceAll(text, "{"+name+"}", fmt.Sprint(value))
		}
		return text
	}
	st.path = in(st.path)
	switch body := st.body.(type) {
	case nil, []byte:
	default:
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		st.body = []byte(in(string(data)))
	}
	return st
}

type answered struct {
	status int
	header http.Header
	raw    []byte
	body   any // nil when it is not JSON
}

// class is the exception's class. Version 14 names it only in the text.
func (a answered) class() string {
	fields, _ := a.body.(map[string]any)
	if class, ok := fields["exc_type"].(string); ok {
		return class
	}
	text, _ := fields["exception"].(string)
	text, _, _ = strings.Cut(text, ":")
	return text[strings.LastIndexByte(text, '.')+1:]
}

func (a answered) shown() string {
	fields, ok := a.body.(map[string]any)
	if !ok {
		return string(a.raw[:min(len(a.raw), 400)])
	}
	text := fmt.Sprint(fields["exception"], " ", fields["_server_messages"], " ", fields["data"])
	return text[:min(len(text), 800)]
}

func (s *contractSite) exchange(t *testing.T, st step) answered {
	t.Helper()
	body, _ := st.body.([]byte)
	path, query, _ := strings.Cut(st.path, "?")
	target := s.url + (&url.URL{Path: path}).EscapedPath()
	if query != "" {
		target += "?" + escapeQuery(query)
	}
	r, err := http.NewRequestWithContext(t.Context(), st.method, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = s.host
	s.setHeaders(r.Header, st)
	resp, err := contractClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read to its end
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answered{status: resp.StatusCode, header: resp.Header, raw: raw}
	if json.Unmarshal(raw, &a.body) != nil {
		a.body = nil
	}
	return a
}

func (s *contractSite) setHeaders(h http.Header, st step) {
	h.Set("Accept", "application/json")
	h.Set("Accept-Language", "en")
	h.Set("Content-Type", "application/json")
	h.Set("Authorization", s.runtime)
	if st.setup {
		h.Set("Authorization", s.setup)
	}
	for name, value := range st.header {
		h.Set(name, value)
		if value == "" {
			h.Del(name)
		}
	}
}

// escapeQuery encodes the values of a query that is written plainly.
func escapeQuery(plain string) string {
	values := url.Values{}
	for pair := range strings.SplitSeq(plain, "&") {
		name, value, _ := strings.Cut(pair, "=")
		values.Set(name, value)
	}
	return values.Encode()
}

// contractClient follows no redirect and waits as long as the service would.
var contractClient = &http.Client{
	Timeout:       150 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// dig walks a dotted path; a number is an index.
func dig(v any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}
