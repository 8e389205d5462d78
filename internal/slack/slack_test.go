package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ledgerhook/ledgerhook/internal/alert"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

var update = flag.Bool("update", false, "rewrite the golden messages")

// The path of a webhook is its secret.
const secretURL = "https://hooks.slack.example/services/T0SECRET/B0SECRET/canarycanary"

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answering(status int, body string, header ...string) *http.Client {
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})}
}

var at = time.Date(2026, 3, 1, 14, 32, 0, 0, time.UTC)

func deadLetter() alert.Signal {
	return alert.Signal{
		Kind: alert.DeadLetter, State: alert.Firing, Severity: alert.Critical,
		Title: "Events could not be booked", What: "erpnext.create Sales Order: LinkValidationError: Customer Group",
		Likely: "ERPNext's rules forbid the document.", Auto: "Nothing more: kept as dead letters.",
		Fix: "create the customer group 'Retail & Web' in ERPNext, then replay", Class: "rejected",
		Count: 1, Open: 1, Since: at, At: at, Sources: []string{"shopify"},
		SampleEventID: "ev_abc", SampleTopic: "orders/create",
	}
}

func TestMessages(t *testing.T) {
	down := alert.Signal{
		Kind: alert.SiteDown, State: alert.Digest, Severity: alert.Critical,
		Title: "ERPNext does not take documents", What: "erpnext.create Sales Order: 502",
		Likely: "The site is restarting.", Auto: "Webhooks are still accepted and kept.", Fix: "Check that the site is up.",
		Class: "unavailable", Count: 34, New: 7, Open: 12, Since: at.In(time.FixedZone("CET", 3600)), At: at.Add(15 * time.Minute),
		NextTry: at.Add(17 * time.Minute), Sources: []string{"paypal", "shopify"}, SampleEventID: "ev_abc", SampleTopic: "orders/paid",
	}
	up := down
	up.State, up.Severity, up.Lasted, up.NextTry = alert.Resolved, alert.Info, 72*time.Minute, time.Time{}
	over := deadLetter()
	over.State, over.Severity, over.Count, over.Open, over.Lasted = alert.Resolved, alert.Info, 3, 2, 5*time.Minute
	account := deadLetter()
	account.Kind, account.Severity, account.Title, account.Class = alert.OnAccount, alert.Info, "A payment was booked without its order", "waiting"
	refused := alert.Signal{
		Kind: alert.Signatures, State: alert.Firing, Severity: alert.Warning, Title: "Requests with bad signatures",
		What: "more than 10 requests in 5 minutes refused: bad_signature", Count: 11, Since: at, Sources: []string{"stripe"}, Fix: "Compare the secrets.",
	}
	disk := alert.Signal{
		Kind: alert.Disk, State: alert.Firing, Severity: alert.Warning, Title: "The inbox's disk is getting full", What: "512 MiB are left",
		Since: at, Fix: "Make room.", Steady: true, Count: 1,
	}
	tests := map[string]alert.Signal{
		"disk_low":    disk,
		"dead_letter": deadLetter(), "site_down": down, "site_up": up, "dead_letter_over": over, "on_account": account, "signatures": refused,
	}
	for name, s := range tests {
		t.Run(name, func(t *testing.T) {
			links := func(s alert.Signal) []Link {
				if s.SampleEventID == "" {
					return nil
				}
				return []Link{{"event", "https://ops.example/events/" + s.SampleEventID + "?a=1&b=2"}, {"broken", "https://x|y>"}}
			}
			var sent bytes.Buffer
			client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if _, err := sent.ReadFrom(r.Body); err != nil {
					t.Error(err)
				}
				if r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("content type %q", r.Header.Get("Content-Type"))
				}
				return answering(200, "ok").Transport.RoundTrip(r)
			})}
			if err := New(Options{URL: secretURL, HTTP: client, Links: links}).Send(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			golden(t, name, sent.Bytes())
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, bytes.ReplaceAll(bytes.ReplaceAll(bytes.ReplaceAll(got,
		[]byte(`\u0026`), []byte("&")), []byte(`\u003c`), []byte("<")), []byte(`\u003e`), []byte(">")), "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pretty.String(), string(want)); diff != "" {
		t.Errorf("got-want+\n%s", diff)
	}
}

// Slack has taken a message only when it says so.
func TestSendEveryAnswer(t *testing.T) {
	for status := 200; status <= 599; status++ {
		want := fault.Rejected
		switch {
		case status < 300:
			want = fault.Unavailable // 2xx, but not "ok"
		case status == 429:
			want = fault.RateLimited
		case status == 408, status >= 500:
			want = fault.Unavailable
		}
		err := New(Options{URL: secretURL, HTTP: answering(status, "<html>canarycanary</html>")}).Send(t.Context(), deadLetter())
		if fault.As(err) == nil || fault.KindOf(err) != want {
			t.Errorf("%d: got %v, want %v", status, err, want)
		}
		safe(t, err)
	}
}

func TestSendAnswers(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		header []string
		kind   fault.Kind
		cause  string
		after  time.Duration
	}{
		{"a word with status 200", 200, "invalid_token", nil, fault.Rejected, "slack refused: invalid_token", 0},
		{"the webhook is gone", 404, "no_service", nil, fault.Rejected, "slack refused: no_service", 0},
		{"slack failed", 500, "rollup_error", nil, fault.Unavailable, "slack refused: rollup_error", 0},
		{"too fast", 429, "rate_limited", []string{"Retry-After", "30"}, fault.RateLimited, "answered with status 429", 30 * time.Second},
		{"unknown words are not repeated", 403, "canarycanary", nil, fault.Rejected, "answered with status 403", 0},
		{"empty", 200, "", nil, fault.Unavailable, "the answer was not ok", 0},
		{"a redirect is not followed", 302, "", []string{"Location", "https://elsewhere.example"}, fault.Rejected, "answered with status 302", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := New(Options{URL: secretURL, HTTP: answering(tt.status, tt.body, tt.header...)}).Send(t.Context(), deadLetter())
			e := fault.As(err)
			if e == nil || e.Kind != tt.kind || e.Cause != tt.cause || e.RetryAfter != tt.after {
				t.Errorf("got %#v", e)
			}
			safe(t, err)
		})
	}
	if err := New(Options{URL: secretURL, HTTP: answering(200, "ok\n")}).Send(t.Context(), deadLetter()); err != nil {
		t.Errorf("ok: %v", err)
	}
}

type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }
func (b brokenBody) Close() error             { return nil }

// However a call fails, the address is not in the error.
func TestSendNeverShowsTheAddress(t *testing.T) {
	leak := errors.New("dialing " + secretURL)
	closed := httptest.NewServer(nil)
	closed.Close()
	failing := func(err error) *http.Client {
		return &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })}
	}
	tests := []struct {
		name   string
		url    string
		client *http.Client
	}{
		{"no connection", closed.URL + "/services/T0SECRET/canarycanary", nil},
		{"transport", secretURL, failing(leak)},
		{"url error in url error", secretURL, failing(&url.Error{Op: "Post", URL: secretURL, Err: leak})},
		{"timeout", secretURL, failing(context.DeadlineExceeded)},
		{"cancelled", secretURL, failing(context.Canceled)},
		{"broken answer", secretURL, &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: brokenBody{leak}}, nil
		})}},
		{"no scheme", "canarycanary", nil},
		{"no host", "https:///canarycanary", nil},
		{"not a URL", "https://hooks.slack.example/%zzcanarycanary", nil},
		{"bad port", "https://hooks.slack.example:canarycanary/", nil},
		{"control character", "https://canarycanary\x7f", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := New(Options{URL: tt.url, HTTP: tt.client}).Send(t.Context(), deadLetter())
			if fault.As(err) == nil {
				t.Fatalf("got %v, want a classified failure", err)
			}
			safe(t, err)
		})
	}
	s := New(Options{URL: secretURL})
	if printed := fmt.Sprintf("%v %+v %#v %s", s.hook, s.hook, s.hook, s.hook); strings.Contains(printed, "canary") {
		t.Errorf("printed: %s", printed)
	}
}

// safe fails when anything of the address shows, however deep in the chain.
func safe(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "canary") || strings.Contains(text, "SECRET") || strings.Contains(text, "hooks.slack") {
			t.Errorf("the error shows the address: %s", text)
		}
	}
}

func TestSendAtMostOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		s := New(Options{URL: secretURL, HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			times = append(times, time.Now())
			return answering(200, "ok").Transport.RoundTrip(r)
		})}})
		for range 3 {
			if err := s.Send(t.Context(), deadLetter()); err != nil {
				t.Fatal(err)
			}
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap != time.Second {
				t.Errorf("message %d came %v after the one before, want 1 s", i, gap)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := s.Send(ctx, deadLetter()); err == nil || len(times) != 3 {
			t.Errorf("ended while waiting for its turn: %v after %d messages", err, len(times))
		}
	})
}

func TestClean(t *testing.T) {
	tests := []struct {
		in, want string
		n        int
	}{
		{"plain", "plain", 100},
		{"a < b & c > d", "a &lt; b &amp; c &gt; d", 100},
		{"<!channel> <@U1>", "&lt;!channel&gt; &lt;@U1&gt;", 100},
		{"@channel @Here @everyone", "@\u200bchannel @\u200bHere @\u200beveryone", 100},
		{"€€€€€", "€€…", 3},
		{"a&b", "a…", 5},
	}
	for _, tt := range tests {
		if got := clean(tt.in, tt.n); got != tt.want {
			t.Errorf("clean(%q, %d) = %q, want %q", tt.in, tt.n, got, tt.want)
		}
	}
}

// Whatever a signal holds, the message stays within Slack's limits, calls
// nobody and is whole characters.
func TestComposeKeepsSlacksLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.String(), rapid.Just(strings.Repeat("€<", 2500)), rapid.Just("@channel <!here> `x` "), rapid.Just(""))
		s := alert.Signal{
			Kind: alert.DeadLetter, State: rapid.SampledFrom([]alert.State{alert.Firing, alert.Digest, alert.Resolved}).Draw(t, "state"),
			Title: word.Draw(t, "title"), What: word.Draw(t, "what"), Likely: word.Draw(t, "likely"), Auto: word.Draw(t, "auto"), Fix: word.Draw(t, "fix"),
			Sources: rapid.SliceOf(word).Draw(t, "sources"), SampleEventID: word.Draw(t, "id"), SampleTopic: word.Draw(t, "topic"),
			Count: 3, Open: 2, Since: at, NextTry: at, Class: word.Draw(t, "class"),
		}
		var links []Link
		for range rapid.IntRange(0, 5).Draw(t, "links") {
			links = append(links, Link{word.Draw(t, "link text"), "https://ops.example/" + word.Draw(t, "link")})
		}
		m := compose(s, links)
		if len(m.Blocks) > 50 {
			t.Fatalf("%d blocks", len(m.Blocks))
		}
		check := func(what, text string, limit int) {
			n := utf8.RuneCountInString(text)
			if n == 0 || n > limit || !utf8.ValidString(text) {
				t.Fatalf("%s: %d characters, limit %d, valid %v", what, n, limit, utf8.ValidString(text))
			}
			if strings.Contains(text, "<!") || strings.Contains(text, "@channel") || strings.Contains(text, "<@") {
				t.Fatalf("%s calls somebody: %s", what, text)
			}
		}
		check("text", m.Text, mostText)
		for _, b := range m.Blocks {
			if b.Text != nil {
				check(b.Type, b.Text.Text, map[string]int{"header": mostHeader, "section": mostSection}[b.Type])
			}
			if len(b.Fields) > 10 {
				t.Fatalf("%d fields", len(b.Fields))
			}
			for _, f := range b.Fields {
				check("field", f.Text, mostField)
			}
			for _, e := range b.Elements {
				check("context", e.Text, mostSection)
			}
		}
	})
}
