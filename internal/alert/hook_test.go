package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

var update = flag.Bool("update", false, "rewrite the golden messages")

const secretURL = "https://alerts.example/api/v2/alerts?token=canarycanary"

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answering(status int, body, retryAfter string) *http.Client {
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Retry-After": {retryAfter}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	})}
}

func TestHookEveryStatus(t *testing.T) {
	for status := 200; status <= 599; status++ {
		answer, err := NewHook("alert.webhook", secretURL, answering(status, "answer", "7")).Post(t.Context(), "x")
		if answer != "answer" {
			t.Errorf("%d: answer %q", status, answer)
		}
		if status < 300 {
			if err != nil {
				t.Errorf("%d: %v", status, err)
			}
			continue
		}
		want := fault.Rejected
		switch {
		case status == 429:
			want = fault.RateLimited
		case status == 408 || status >= 500:
			want = fault.Unavailable
		}
		if e := fault.As(err); e == nil || e.Kind != want || e.RetryAfter != 7*time.Second {
			t.Errorf("%d: %#v, want %v", status, e, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	tests := map[string]time.Duration{
		"": 0, "30": 30 * time.Second, " 5 ": 5 * time.Second, "-1": 0, "soon": 0, "99999999999999999999": 0,
		"Sun, 01 Mar 2026 12:00:10 GMT": 10 * time.Second, "Sun, 01 Mar 2026 11:00:00 GMT": 0,
	}
	for in, want := range tests {
		if got := retryAfter(in, noon); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

func TestHookNamesTheFailureAndNotTheAddress(t *testing.T) {
	leak := fmt.Errorf("proxy said %s", secretURL)
	in := func(err error) error { return &url.Error{Op: "Post", URL: secretURL, Err: err} }
	tests := []struct {
		name string
		url  string
		err  error
		kind fault.Kind
		want string
	}{
		{"anything", secretURL, leak, fault.Network, "the connection failed"},
		{"nested", secretURL, in(leak), fault.Network, "the connection failed"},
		{"timeout", secretURL, in(context.DeadlineExceeded), fault.Timeout, "no answer in time"},
		{"name", secretURL, in(&net.DNSError{Name: "canary"}), fault.Network, "the host name was not found"},
		{"slow name server", secretURL, &net.DNSError{Name: "canary", IsTimeout: true}, fault.Timeout, "no answer in time"},
		{"certificate", secretURL, &tls.CertificateVerificationError{Err: leak}, fault.Network, "the certificate is not trusted"},
		{"ended", secretURL, context.Canceled, fault.Network, "the call was ended"},
		{"address", "https://a b/canary", nil, fault.Rejected, "the address is not a URL"},
		{"port", "https://a:canary/", nil, fault.Rejected, "the address is not a URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := NewHook("alert.webhook", tt.url, &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, tt.err })})
			_, err := h.Post(t.Context(), "x")
			e := fault.As(err)
			if e == nil || e.Kind != tt.kind || e.Cause != tt.want {
				t.Fatalf("got %#v", e)
			}
			if all := fmt.Sprintf("%v %+v %#v %v %#v", err, e, e, h, h); strings.Contains(all, "canary") || errors.Unwrap(err) != nil {
				t.Errorf("shows the address: %s", all)
			}
		})
	}
	t.Run("what cannot be written", func(t *testing.T) {
		if _, err := NewHook("op", secretURL, nil).Post(t.Context(), func() {}); fault.KindOf(err) != fault.Internal {
			t.Errorf("got %v", err)
		}
	})
}

func TestWebhookGolden(t *testing.T) {
	var sent bytes.Buffer
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		_, err := sent.ReadFrom(r.Body)
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, err
	})}
	w := NewWebhook(WebhookOptions{
		URL: secretURL, HTTP: client, GeneratorURL: func(s Signal) string { return "https://ops.example/" + s.SampleEventID },
		RunbookURL: func(s Signal) string { return "https://docs.example/#" + s.Kind.Entry() },
	})
	tr := newTracker(15 * time.Minute)
	signals := tr.attempted(failed("ev_1", fault.Rejected, 0))
	signals = append(signals, tr.tick(noon.Add(time.Hour))...)
	var messages []any
	for _, s := range signals {
		sent.Reset()
		if err := w.Send(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		var m any
		if err := json.Unmarshal(sent.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	got, err := json.MarshalIndent(messages, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "webhook.json", append(got, '\n'))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), string(want)); diff != "" {
		t.Errorf("got-want+\n%s", diff)
	}
}

// Labels identify an alert at the far side: firing, digest and recovery of one
// trouble must have the same.
func TestWebhookLabelsStayTheSame(t *testing.T) {
	w := NewWebhook(WebhookOptions{URL: secretURL})
	tr := newTracker(15 * time.Minute)
	signals := tr.attempted(failed("a", fault.Rejected, 0))
	tr.attempted(failed("b", fault.Rejected, time.Minute))
	signals = append(signals, tr.tick(noon.Add(16*time.Minute))...)
	signals = append(signals, tr.tick(noon.Add(time.Hour))...)
	if len(signals) != 3 {
		t.Fatalf("%d signals", len(signals))
	}
	first := w.alert(signals[0])
	for _, s := range signals[1:] {
		a := w.alert(s)
		if diff := cmp.Diff(a.Labels, first.Labels); diff != "" {
			t.Errorf("%s: labels differ\n%s", s.State, diff)
		}
		if !a.StartsAt.Equal(first.StartsAt) {
			t.Errorf("%s: starts at %v", s.State, a.StartsAt)
		}
	}
	if !first.EndsAt.After(signals[1].At) {
		t.Errorf("the alert ends at %v, before its digest", first.EndsAt)
	}
	if last := w.alert(signals[2]); !last.EndsAt.Equal(signals[2].At) {
		t.Errorf("the recovery ends at %v", last.EndsAt)
	}
}

// Everything that leaves: signals of every kind of failure in every state, in
// both forms, and the log.
func TestNothingPrivateLeaves(t *testing.T) {
	var out, log bytes.Buffer
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(&out, r.Body)
	}))
	defer server.Close()
	w := NewWebhook(WebhookOptions{URL: server.URL})
	m := New(Options{Senders: []Sender{w}, Log: zerolog.New(&log)})
	at := noon
	pass := func(signals []Signal) {
		m.tell(signals)
		for _, s := range signals {
			fmt.Fprintf(&out, "%+v\n", s)
			if err := w.Send(t.Context(), s); err != nil {
				t.Error(err)
			}
		}
	}
	states := map[State]bool{}
	for _, k := range fault.Delivery() {
		for _, make := range []func(string, fault.Kind, time.Duration) Report{failed, dead} {
			r := make("ev_"+k.String(), k, at.Sub(noon))
			signals := append(m.tracker.attempted(r), m.tracker.attempted(r)...)
			at = at.Add(20 * time.Minute)
			signals = append(signals, m.tracker.tick(at)...)
			warned := r
			warned.Outcome.State = event.Done
			signals = append(signals, m.tracker.attempted(warned)...)
			at = at.Add(5 * time.Hour)
			signals = append(signals, m.tracker.tick(at)...)
			for _, s := range signals {
				states[s.State] = true
			}
			pass(signals)
		}
	}
	if len(states) != 3 {
		t.Errorf("only the states %v came up", states)
	}
	for _, text := range []string{out.String(), log.String()} {
		if len(text) < 1000 {
			t.Errorf("too little came out to say anything: %d bytes", len(text))
		}
		for _, canary := range []string{canaryMail, canaryName, canarySecret, "canary", "Canary"} {
			if strings.Contains(text, canary) {
				t.Errorf("%q left the house", canary)
			}
		}
	}
}
