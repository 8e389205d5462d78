package handlers_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fakeDesk is everything an operator works with beside the events. err, when
// set, is what every question is answered with.
type fakeDesk struct {
	err error

	planned    event.Run
	by         event.Actor
	moved      []string
	runsLimit  int
	deeds      event.DeedFilter
	rejections event.RejectionFilter
	verified   [2]string
	held       [3]string
}

func (f *fakeDesk) Groups(context.Context) ([]event.Group, error) {
	return []event.Group{{Cause: event.Cause{Class: "rejected", Reason: "no account", DocType: "Sales Order"}, Count: 3, FirstSeen: noon, LastSeen: noon,
		Sources: []string{"shopify"}, Topics: []string{"orders/create"}, Sample: "ev_a", Hint: "make it"}}, f.err
}

func (f *fakeDesk) run(id string, state event.RunState) (event.Run, error) {
	if id == "run_unknown" {
		return event.Run{}, fault.New(fault.NotFound, "store.run", "no such run")
	}
	return event.Run{ID: id, Action: event.ActionReplay, State: state, PlannedAt: noon, Total: 3, Done: 2, Skipped: 1,
		Plan: []event.PlannedCause{{Cause: event.Cause{Class: "rejected", Reason: "no account"}, State: event.Dead, Count: 3}}}, f.err
}

func (f *fakeDesk) PlanRun(ctx context.Context, r event.Run) (event.Run, error) {
	f.planned, f.by = r, event.ActorOf(ctx)
	return f.run("run_a", event.RunPlanned)
}

func (f *fakeDesk) StartRun(_ context.Context, id string) (event.Run, error) {
	f.moved = append(f.moved, "start "+id)
	return f.run(id, event.RunRunning)
}

func (f *fakeDesk) CancelRun(_ context.Context, id string) (event.Run, error) {
	f.moved = append(f.moved, "cancel "+id)
	if id == "run_over" {
		return event.Run{}, fault.New(fault.Conflict, "store.cancel", "the run is done")
	}
	return f.run(id, event.RunCancelled)
}

func (f *fakeDesk) GetRun(_ context.Context, id string) (event.Run, error) {
	return f.run(id, event.RunRunning)
}

func (f *fakeDesk) Runs(_ context.Context, limit int) ([]event.Run, error) {
	f.runsLimit = limit
	r, err := f.run("run_a", event.RunDone)
	return []event.Run{r}, err
}

func (f *fakeDesk) Audit(_ context.Context, filter event.DeedFilter) ([]event.Deed, error) {
	f.deeds = filter
	return []event.Deed{{Number: 7, At: noon, By: event.Actor{Name: "ada", Via: "command"}, Action: "pause", Target: "shopify", Note: "new accounts"}}, f.err
}

func refused() event.Rejection {
	return event.Rejection{ID: "rj_a", Source: "shopify", Class: "bad_signature", Reason: "no secret", Client: "192.0.2.1", ReceivedAt: noon,
		Header: map[string][]string{"X-Sig": {"s"}}, Body: []byte("canary-body"), Size: 11, Whole: true}
}

func (f *fakeDesk) Rejections(_ context.Context, filter event.RejectionFilter) ([]event.Rejection, error) {
	f.rejections = filter
	return []event.Rejection{refused()}, f.err
}

func (f *fakeDesk) Rejection(_ context.Context, id string) (event.Rejection, error) {
	if id != "rj_a" {
		return event.Rejection{}, fault.New(fault.NotFound, "store.rejection", "no such rejected request")
	}
	return refused(), f.err
}

func (f *fakeDesk) Verify(_ context.Context, id, source string) ([]handlers.VerifiedView, error) {
	f.verified = [2]string{id, source}
	return []handlers.VerifiedView{{ID: "rj_a", Source: "shopify", Status: "accepted", Event: "ev_a"}}, f.err
}

func (f *fakeDesk) Pause(ctx context.Context, source, reason string) error {
	f.held, f.by = [3]string{"pause", source, reason}, event.ActorOf(ctx)
	return f.err
}

func (f *fakeDesk) Resume(_ context.Context, source string) error {
	f.held = [3]string{"resume", source, ""}
	return f.err
}

func (f *fakeDesk) Pauses(context.Context) ([]event.Pause, error) {
	return []event.Pause{{Source: "former", Since: noon, By: event.Actor{Name: "ada", Via: "api"}, Reason: "moved"}}, f.err
}

func (f *fakeDesk) Stats(context.Context) (event.Stats, error) {
	return event.Stats{ByState: map[event.State]int64{event.Dead: 2}, OldestPending: map[string]time.Time{"shopify": noon}}, f.err
}

// says asks and wants an answer; want is JSON, "" = not looked at.
func says(t *testing.T, h http.Handler, method, path, body string, code int, want string) {
	t.Helper()
	w := ask(h, method, path, body)
	if w.Code != code {
		t.Errorf("%s %s %s = %d %s, want %d", method, path, body, w.Code, w.Body, code)
		return
	}
	if want == "" {
		return
	}
	if diff := cmp.Diff(parsed(t, want), parsed(t, w.Body.String())); diff != "" {
		t.Errorf("%s %s (-want +got):\n%s", method, path, diff)
	}
}

func parsed(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func TestProblemsAPI(t *testing.T) {
	h, _ := newDesk("", &fakeDesk{})
	id := event.Cause{Class: "rejected", Reason: "no account", DocType: "Sales Order"}.ID()
	says(t, h, "GET", "/api/v1/problems", "", 200, `{"problems":[{"id":"`+id+`","class":"rejected","error":"no account","doctype":"Sales Order","count":3,
		"first_seen":"2026-03-01T12:00:00Z","last_seen":"2026-03-01T12:00:00Z","sources":["shopify"],"topics":["orders/create"],"sample":"ev_a","hint":"make it"}]}`)
}

func TestRunsAPIPlansFirst(t *testing.T) {
	desk := &fakeDesk{}
	h, _ := newDesk("sesame", desk)
	r := httptest.NewRequest("POST", "/api/v1/replays", strings.NewReader(
		`{"action":"dismiss","reason":"test orders","rate":7,"filter":{"state":"pending","source":"shopify","topic":"t","since":"2026-03-01T12:00:00Z","q":"55","class":"c","group":"g"}}`))
	r.Header.Set("Authorization", "Bearer sesame")
	r.RemoteAddr = "192.0.2.9:4711"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	want := event.Run{Action: event.ActionDismiss, Reason: "test orders", Rate: 7,
		Filter: event.Filter{State: event.Pending, Source: "shopify", Topic: "t", Since: noon, Query: "55", Class: "c", Group: "g"}}
	if diff := cmp.Diff(want, desk.planned); diff != "" || w.Code != 201 || len(desk.moved) != 0 {
		t.Errorf("plan = %d %s, moved %v (-want +got):\n%s", w.Code, w.Body, desk.moved, diff)
	}
	if who := (event.Actor{Name: "operator token", Via: "api", Address: "192.0.2.9"}); desk.by != who {
		t.Errorf("planned by %+v, want %+v", desk.by, who)
	}
	run := `"action":"replay","filter":{},"rate":0,"by":{"name":"","via":""},"plan":[{"state":"dead","class":"rejected","error":"no account","count":3}],
		"total":3,"done":2,"skipped":1,"planned_at":"2026-03-01T12:00:00Z","started_at":null,"ended_at":null}`
	h, _ = newDesk("", desk)
	says(t, h, "POST", "/api/v1/replays", `{}`, 201, `{"id":"run_a","state":"planned",`+run)
	if diff := cmp.Diff(event.Run{Action: event.ActionReplay, Rate: handlers.DefaultRate, Filter: event.Filter{State: event.Dead}}, desk.planned); diff != "" {
		t.Errorf("what is asked for by saying nothing (-want +got):\n%s", diff)
	}
	if desk.by.Name == "operator token" {
		t.Error("without a token the audit names one")
	}
	says(t, h, "POST", "/api/v1/replays/run_a/start", "", 200, `{"id":"run_a","state":"running",`+run)
	says(t, h, "POST", "/api/v1/replays/run_a/cancel", "", 200, `{"id":"run_a","state":"cancelled",`+run)
	says(t, h, "GET", "/api/v1/replays/run_a", "", 200, `{"id":"run_a","state":"running",`+run)
	says(t, h, "GET", "/api/v1/replays?limit=3", "", 200, `{"replays":[{"id":"run_a","state":"done",`+run+`]}`)
	if diff := cmp.Diff([]string{"start run_a", "cancel run_a"}, desk.moved); diff != "" || desk.runsLimit != 3 {
		t.Errorf("limit %d, moved (-want +got):\n%s", desk.runsLimit, diff)
	}
}

func TestRunsAPIRefuses(t *testing.T) {
	desk := &fakeDesk{}
	h, _ := newDesk("", desk)
	for body, detail := range map[string]string{
		`{"action":"delete"}`:              "action is neither replay nor dismiss",
		`{"action":"dismiss"}`:             "give a reason",
		`{"filter":{"state":"asleep"}}`:    "state is pending, done, ignored or dead",
		`{"rate":-1}`:                      "rate is not a number",
		`{"rate":1001}`:                    "rate is not a number",
		`{"filter":{"sauce":"canary"}}`:    "JSON object",
		`{"filter":{"since":"yesterday"}}`: "JSON object",
		``:                                 "JSON object",
	} {
		w := ask(h, "POST", "/api/v1/replays", body)
		if w.Code != 400 || !strings.Contains(w.Body.String(), detail) || strings.Contains(w.Body.String(), "canary") {
			t.Errorf("plan %s = %d %s, want 400 about %q", body, w.Code, w.Body, detail)
		}
	}
	if desk.planned.Action != "" {
		t.Errorf("planned %+v", desk.planned)
	}
	for path, code := range map[string]int{"/api/v1/replays/run_unknown/start": 404, "/api/v1/replays/run_unknown/cancel": 404, "/api/v1/replays/run_over/cancel": 409} {
		says(t, h, "POST", path, "", code, "")
	}
	for _, path := range []string{"/api/v1/replays?limit=0", "/api/v1/audit?limit=x", "/api/v1/audit?before=x", "/api/v1/audit?before=-1", "/api/v1/rejected?limit=501"} {
		says(t, h, "GET", path, "", 400, "")
	}
}

func TestAuditAPI(t *testing.T) {
	desk := &fakeDesk{}
	h, _ := newDesk("", desk)
	says(t, h, "GET", "/api/v1/audit?target=shopify&before=9&limit=2", "", 200,
		`{"audit":[{"number":7,"at":"2026-03-01T12:00:00Z","by":{"name":"ada","via":"command"},"action":"pause","target":"shopify","note":"new accounts"}]}`)
	if want := (event.DeedFilter{Target: "shopify", Before: 9, Limit: 2}); desk.deeds != want {
		t.Errorf("asked for %+v, want %+v", desk.deeds, want)
	}
}

// A refused body may hold a customer's data, so the API never shows it.
func TestRejectedAPI(t *testing.T) {
	desk := &fakeDesk{}
	h, _ := newDesk("", desk)
	one := `{"id":"rj_a","source":"shopify","class":"bad_signature","error":"no secret","client":"192.0.2.1","received_at":"2026-03-01T12:00:00Z","size":11,"whole":true`
	says(t, h, "GET", "/api/v1/rejected?source=shopify&class=bad_signature&before=rj_b&limit=2", "", 200, `{"rejected":[`+one+`}]}`)
	if want := (event.RejectionFilter{Source: "shopify", Class: "bad_signature", Before: "rj_b", Limit: 2}); desk.rejections != want {
		t.Errorf("asked for %+v, want %+v", desk.rejections, want)
	}
	says(t, h, "GET", "/api/v1/rejected/rj_a", "", 200, one+`,"header":{"X-Sig":["s"]}}`)
	says(t, h, "GET", "/api/v1/rejected/rj_b", "", 404, "")
	for body, want := range map[string][2]string{"": {"", ""}, `{"id":"rj_a"}`: {"rj_a", ""}, `{"source":"shopify"}`: {"", "shopify"}} {
		says(t, h, "POST", "/api/v1/rejected/verify", body, 200, `{"verified":[{"id":"rj_a","source":"shopify","status":"accepted","event":"ev_a"}]}`)
		if desk.verified != want {
			t.Errorf("verify %s asked for %q", body, desk.verified)
		}
	}
	says(t, h, "POST", "/api/v1/rejected/verify", `{"sauce":1}`, 400, "")
}

func TestPauseAPI(t *testing.T) {
	desk := &fakeDesk{}
	h, _ := newDesk("", desk)
	for _, tt := range []struct {
		path, body string
		code       int
		held       [3]string
	}{
		{"pause", `{"source":"stripe","reason":"new accounts"}`, 200, [3]string{"pause", "stripe", "new accounts"}},
		{"pause", ``, 200, [3]string{"pause", "", ""}},
		{"pause", `{"source":"woocommerce"}`, 404, [3]string{}},
		{"pause", `[]`, 400, [3]string{}},
		{"resume", `{"source":"stripe"}`, 200, [3]string{"resume", "stripe", ""}},
		{"resume", ``, 200, [3]string{"resume", "", ""}},
		{"resume", `{"source":"former"}`, 200, [3]string{"resume", "former", ""}}, // held, and not configured any more
		{"resume", `{"source":"woocommerce"}`, 404, [3]string{}},
		{"resume", `[]`, 400, [3]string{}},
	} {
		desk.held = [3]string{}
		says(t, h, "POST", "/api/v1/"+tt.path, tt.body, tt.code, "")
		if desk.held != tt.held {
			t.Errorf("%s %s held %q, want %q", tt.path, tt.body, desk.held, tt.held)
		}
	}
	says(t, h, "GET", "/api/v1/status", "", 200, `{"paused":[{"source":"former","since":"2026-03-01T12:00:00Z","by":{"name":"ada","via":"api"},"reason":"moved"}],
		"sources":["shopify","stripe"],"events":{"pending":0,"done":0,"ignored":0,"dead":2},"oldest_pending":{"shopify":"2026-03-01T12:00:00Z"}}`)
}

// Nothing of the desk is open to whoever lacks the token or comes from another
// page, and a failing inbox is our own failure.
func TestDeskIsGuarded(t *testing.T) {
	posts := []string{"replays", "replays/run_a/start", "replays/run_a/cancel", "rejected/verify", "pause", "resume"}
	gets := []string{"problems", "replays", "replays/run_a", "audit", "rejected", "rejected/rj_a", "status"}
	desk := &fakeDesk{}
	guarded, _ := newDesk("sesame", desk)
	open, _ := newDesk("", desk)
	broken, _ := newDesk("", &fakeDesk{err: fault.New(fault.Busy, "store", "the disk is full")})
	for method, paths := range map[string][]string{"POST": posts, "GET": gets} {
		for _, path := range paths {
			says(t, guarded, method, "/api/v1/"+path, "{}", 401, "")
			says(t, broken, method, "/api/v1/"+path, "{}", 503, `{"error":"unavailable"}`)
			if w := ask(open, method, "/api/v1/"+path, "{}", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); method == "POST" && w.Code != 403 {
				t.Errorf("a cross-site %s = %d", path, w.Code)
			}
		}
	}
	if desk.planned.Action != "" || desk.moved != nil || desk.verified != [2]string{} || desk.held != [3]string{} {
		t.Errorf("something was done: %+v", desk)
	}
}

func TestReplayIsDoneInTheCallersName(t *testing.T) {
	h, events := newOperator("")
	says(t, h, "POST", "/api/v1/events/ev_a/replay", "", 200, "")
	if want := (event.Actor{Name: "anybody on the operator listener", Via: "api", Address: "192.0.2.1"}); events.by != want {
		t.Errorf("replayed by %+v, want %+v", events.by, want)
	}
}
