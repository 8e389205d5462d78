package handlers_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
)

// opens makes a source that verifies as the function says.
func opens(open func(h http.Header, body []byte) (event.Event, error)) map[string]handlers.Source {
	return map[string]handlers.Source{"shopify": &fakeSource{open}}
}

func refuses(kind fault.Kind) func(http.Header, []byte) (event.Event, error) {
	return func(http.Header, []byte) (event.Event, error) {
		return event.Event{}, fault.New(kind, "shopify.Open", "as the test wants it")
	}
}

func TestRefusedRequestsAreKeptAsTheyCame(t *testing.T) {
	const body = `{"id":1}`
	networks := map[string][]netip.Prefix{"shopify": {netip.MustParsePrefix("10.0.0.0/8")}}
	large := `{"id":"` + strings.Repeat("a", 2<<20) + `"}`
	tests := []struct {
		name   string
		method string
		path   string
		body   string
		header []string
		change func(*handlers.PublicOptions)
		class  string // "" = not kept
		whole  bool
	}{
		{name: "bad signature", body: body, change: func(o *handlers.PublicOptions) { o.Sources = opens(refuses(fault.BadSignature)) }, class: "bad_signature", whole: true},
		{name: "malformed", body: body, change: func(o *handlers.PublicOptions) { o.Sources = opens(refuses(fault.Malformed)) }, class: "malformed", whole: true},
		{name: "conflict", body: body, change: func(o *handlers.PublicOptions) {
			o.Inbox = &fakeInbox{func(context.Context, event.Event) (event.Receipt, error) {
				return event.Receipt{}, fault.New(fault.Conflict, "store.put", "another body")
			}}
		}, class: "conflict", whole: true},
		{name: "forbidden", body: body, change: func(o *handlers.PublicOptions) { o.AllowedSenders = networks }, class: "forbidden", whole: true},
		{name: "forbidden and large", body: strings.Repeat("a", 65<<10), change: func(o *handlers.PublicOptions) { o.AllowedSenders = networks }, class: "forbidden"},
		{name: "unsupported", body: body, header: []string{"Content-Encoding", "gzip"}, class: "unsupported", whole: true},
		{name: "too large", body: large, class: "too_large"},
		{name: "too large to keep", body: large, change: func(o *handlers.PublicOptions) { o.MaxBody, o.Sources = 4<<20, opens(refuses(fault.BadSignature)) }, class: "bad_signature"},
		{name: "our own failure", body: body, change: func(o *handlers.PublicOptions) { o.Sources = opens(refuses(fault.Busy)) }},
		{name: "not a POST", method: "PUT", body: body},
		{name: "a stranger's path", path: "/webhooks/nobody", body: body},
		{name: "accepted", body: body},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var kept []event.Rejection
			s := newService(t, func(o *handlers.PublicOptions) {
				o.Keep = func(r event.Rejection) { kept = append(kept, r) }
				if tt.change != nil {
					tt.change(o)
				}
			})
			header := append([]string{"X-Sig", "a", "Authorization", "Bearer canary", "Cookie", "canary=1"}, tt.header...)
			method, path := tt.method, tt.path
			if method == "" {
				method = "POST"
			}
			if path == "" {
				path = "/webhooks/shopify"
			}
			s.do(method, path, tt.body, header...)
			if tt.class == "" {
				if len(kept) != 0 {
					t.Errorf("kept %+v", kept)
				}
				return
			}
			if len(kept) != 1 {
				t.Fatalf("kept %d requests, want 1", len(kept))
			}
			want := event.Rejection{Source: "shopify", Class: tt.class, Client: "192.0.2.1", Header: map[string][]string{"X-Sig": {"a"}}, Size: int64(len(tt.body)), Whole: tt.whole}
			if tt.whole {
				want.Body = []byte(tt.body)
			}
			if len(tt.header) > 0 {
				want.Header[tt.header[0]] = tt.header[1:]
			}
			if diff := cmp.Diff(want, kept[0], cmpopts.IgnoreFields(event.Rejection{}, "ReceivedAt", "Reason")); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			if kept[0].ReceivedAt.IsZero() || kept[0].Reason == "" {
				t.Errorf("without time or reason: %+v", kept[0])
			}
		})
	}
}

func TestHugeHeadersAreNotKept(t *testing.T) {
	var kept event.Rejection
	s := newService(t, func(o *handlers.PublicOptions) {
		o.Sources, o.Keep = opens(refuses(fault.BadSignature)), func(r event.Rejection) { kept = r }
	})
	s.do("POST", "/webhooks/shopify", "{}", "X-A", "a", "X-Bomb", strings.Repeat("b", 20<<10))
	if diff := cmp.Diff(map[string][]string{"X-A": {"a"}}, kept.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

// What is verified again is judged by today's secrets and senders, and by the
// clock of its arrival.
func TestAgainTakesWhatIsGoodNow(t *testing.T) {
	arrived := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := event.Rejection{Source: "shopify", Client: "192.0.2.1", ReceivedAt: arrived, Header: map[string][]string{"X-Sig": {"a", "b"}}, Body: []byte(`{"id":1}`), Whole: true}
	var put []event.Event
	var clock time.Time
	o := handlers.PublicOptions{
		Inbox: &fakeInbox{func(_ context.Context, ev event.Event) (event.Receipt, error) {
			put = append(put, ev)
			return event.Receipt{ID: ev.ID, Duplicate: len(put) > 1}, nil
		}},
		Sources: map[string]handlers.Source{"shopify": openFunc(func(h http.Header, body []byte, now time.Time) (event.Event, error) {
			clock = now
			if len(h.Values("X-Sig")) != 2 || string(body) != `{"id":1}` {
				return event.Event{}, fault.New(fault.BadSignature, "shopify.Open", "not what was sent")
			}
			return event.Event{ProviderID: "e1", Body: body}, nil
		})},
	}
	for _, duplicate := range []bool{false, true} {
		receipt, err := handlers.Again(t.Context(), o, r)
		if err != nil || receipt.Duplicate != duplicate || receipt.ID != event.NewID("shopify", "e1") {
			t.Errorf("got %+v, %v, want duplicate %v", receipt, err, duplicate)
		}
	}
	if !clock.Equal(arrived) || !put[0].ReceivedAt.Equal(arrived) || put[0].Source != "shopify" {
		t.Errorf("judged at %v, put %+v, want the arrival's time", clock, put[0])
	}
	gone, cut, coded, banned := r, r, r, o
	gone.Source, cut.Whole = "former", false
	coded.Header = map[string][]string{"Content-Encoding": {"gzip"}}
	banned.AllowedSenders = map[string][]netip.Prefix{"shopify": {netip.MustParsePrefix("10.0.0.0/8")}}
	for name, tt := range map[string]struct {
		o    handlers.PublicOptions
		r    event.Rejection
		kind fault.Kind
	}{
		"source is gone":      {o, gone, fault.NotFound},
		"body was cut":        {o, cut, fault.TooLarge},
		"encoding":            {o, coded, fault.Unsupported},
		"sender still banned": {banned, r, fault.Forbidden},
	} {
		if _, err := handlers.Again(t.Context(), tt.o, tt.r); fault.KindOf(err) != tt.kind {
			t.Errorf("%s: got %v, want %v", name, err, tt.kind)
		}
	}
	if len(put) != 2 {
		t.Errorf("%d events were put, want 2", len(put))
	}
}

// openFunc is a source that sees the clock.
type openFunc func(h http.Header, body []byte, now time.Time) (event.Event, error)

func (openFunc) Provider() string { return "shopify" }
func (openFunc) Slots() []string  { return nil }
func (f openFunc) Open(_ context.Context, h http.Header, body []byte, now time.Time) (event.Event, error) {
	return f(h, body, now)
}
