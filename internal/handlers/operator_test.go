package handlers_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
)

type fakeEvents struct {
	filter   event.Filter
	replayed string
	by       event.Actor
	reason   string
}

func (f *fakeEvents) List(_ context.Context, filter event.Filter) ([]event.Event, string, error) {
	f.filter = filter
	return []event.Event{{ID: "ev_a", Source: "shopify", State: event.Pending, DueAt: time.Unix(60, 0).UTC(), Body: []byte("canary-body")}}, "next", nil
}

func (f *fakeEvents) Get(_ context.Context, id string) (event.Event, []event.Attempt, []event.Document, error) {
	if id != "ev_a" {
		return event.Event{}, nil, nil, fault.New(fault.NotFound, "store.get", "no such event")
	}
	doc := event.Document{DocType: "Sales Order", Name: "SAL-ORD-2026-00001", Key: "shopify/x/order/1"}
	alias := doc
	alias.Key = "shopify/x/order-name/1001"
	return event.Event{ID: id, State: event.Done, Body: []byte("canary-body")}, []event.Attempt{{Number: 1, Result: "done", Exchanges: []event.Exchange{{Op: "erpnext.create Sales Order", Took: time.Second, Status: 200}}}}, []event.Document{doc, alias}, nil
}

func (f *fakeEvents) DocumentsOf(ctx context.Context, ids ...string) (map[string][]event.Document, error) {
	all := map[string][]event.Document{}
	for _, id := range ids {
		_, _, docs, err := f.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		all[id] = docs
	}
	return all, nil
}

func (f *fakeEvents) Replay(ctx context.Context, id string) error {
	if id == "ev_leased" {
		return fault.New(fault.Conflict, "store.replay", "it is being delivered")
	}
	f.replayed, f.by = id, event.ActorOf(ctx)
	return nil
}

func (f *fakeEvents) Dismiss(_ context.Context, _, reason string) error {
	f.reason = reason
	return nil
}

func (f *fakeEvents) Document(_ context.Context, doctype, key string) (event.Document, bool, error) {
	return event.Document{DocType: doctype, Name: "ACC-PAY-1", Key: key}, doctype == "Payment Entry", nil
}

func newOperator(token string) (http.Handler, *fakeEvents) {
	return newDesk(token, &fakeDesk{})
}

func newDesk(token string, desk *fakeDesk) (http.Handler, *fakeEvents) {
	events := &fakeEvents{}
	return handlers.Operator(handlers.OperatorOptions{
		Ready:   readyFunc(func(context.Context) error { return nil }),
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		Events:  events, Documents: events, Token: token, Sources: []string{"shopify", "stripe"},
		Problems: desk, Runs: desk, Audit: desk, Rejected: desk, Holds: desk, DryRun: dryRunFunc(func(id string) (any, error) {
			if id != "ev_a" {
				return nil, fault.New(fault.NotFound, "fake", "no such event")
			}
			return map[string]any{"documents": []map[string]any{{"doctype": "Sales Order", "same": true}}, "steps": []map[string]any{{"action": "submit"}}, "note": "as it is"}, nil
		}),
		DocType: []string{"Sales Order", "Payment Entry"},
		DeskURL: func(doctype, name string) string { return "https://erp.example.com/" + doctype + "/" + name },
	}), events
}

type dryRunFunc func(id string) (any, error)

func (f dryRunFunc) DryRun(_ context.Context, id string) (any, error) { return f(id) }

func TestDryRunOfAnEvent(t *testing.T) {
	h, _ := newDesk("", &fakeDesk{})
	if w := ask(h, "POST", "/api/v1/events/ev_a/dry-run", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"action":"submit"`) {
		t.Errorf("dry run = %d %s", w.Code, w.Body)
	}
	if w := ask(h, "POST", "/api/v1/events/ev_x/dry-run", ""); w.Code != http.StatusNotFound {
		t.Errorf("dry run of no event = %d %s", w.Code, w.Body)
	}
}

func ask(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestOperatorTokenGuardsDataButNotHealth(t *testing.T) {
	h, _ := newOperator("sesame")
	tests := []struct {
		path, authorization string
		code                int
	}{
		{"/metrics", "", 204},
		{"/healthz", "", 200},
		{"/readyz", "", 200},
		{"/api/v1/events", "", 401},
		{"/api/v1/events", "Bearer wrong", 401},
		{"/api/v1/events", "Bearer ", 401},
		{"/api/v1/events", "Bearer sesame", 200},
		{"/api/v1/events", "bearer sesame", 200}, // the scheme has no case
		{"/api/v1/events", "sesame", 401},
		{"/api/v1/events", "Basic sesame", 401},
		{"/debug/pprof/", "", 401},
		{"/debug/pprof/", "Bearer sesame", 200},
		{"/nothing", "Bearer sesame", 404},
	}
	for _, tt := range tests {
		if w := ask(h, "GET", tt.path, "", "Authorization", tt.authorization); w.Code != tt.code {
			t.Errorf("GET %s with %q = %d, want %d", tt.path, tt.authorization, w.Code, tt.code)
		}
	}
}

func TestEventAPI(t *testing.T) {
	h, events := newOperator("")
	w := ask(h, "GET", "/api/v1/events?state=pending&source=shopify&topic=orders/create&since=2026-03-01T00:00:00Z&q=55&class=rejected&group=pr_x&cursor=c&limit=7", "")
	if w.Code != 200 || strings.Contains(w.Body.String(), "canary-body") || !strings.Contains(w.Body.String(), `"due_at":"1970-01-01T00:01:00Z"`) {
		t.Errorf("list = %d %s", w.Code, w.Body)
	}
	want := event.Filter{State: "pending", Source: "shopify", Topic: "orders/create", Since: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Query: "55", Class: "rejected", Group: "pr_x", Cursor: "c", Limit: 7}
	if events.filter != want {
		t.Errorf("filter %+v, want %+v", events.filter, want)
	}

	w = ask(h, "GET", "/api/v1/events/ev_a", "")
	var v handlers.EventView
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Documents) != 1 || v.Documents[0].URL != "https://erp.example.com/Sales Order/SAL-ORD-2026-00001" || len(v.History) != 1 {
		t.Fatalf("show = %s, want the order once, with its link, and one attempt", w.Body)
	}
	if calls := v.History[0].Calls; len(calls) != 1 || calls[0].Op != "erpnext.create Sales Order" || calls[0].TookMS != 1000 || calls[0].Status != 200 {
		t.Errorf("the attempt's calls are %+v", calls)
	}
	for path, code := range map[string]int{"/api/v1/events/ev_b": 404, "/api/v1/events?since=yesterday": 400, "/api/v1/events?limit=0": 400, "/api/v1/events?state=daed": 400, "/api/v1/documents": 400} {
		if w := ask(h, "GET", path, ""); w.Code != code {
			t.Errorf("GET %s = %d, want %d", path, w.Code, code)
		}
	}
	if w := ask(h, "POST", "/api/v1/events/ev_a/replay", ""); w.Code != 200 || events.replayed != "ev_a" {
		t.Errorf("replay = %d, replayed %q", w.Code, events.replayed)
	}
	if w := ask(h, "POST", "/api/v1/events/ev_leased/replay", ""); w.Code != 409 {
		t.Errorf("replay of an event in hand = %d, want 409", w.Code)
	}
	if w := ask(h, "POST", "/api/v1/events/ev_a/dismiss", `{"reason":"entered by hand"}`); w.Code != 200 || events.reason != "entered by hand" {
		t.Errorf("dismiss = %d, reason %q", w.Code, events.reason)
	}
	events.reason = ""
	if w := ask(h, "POST", "/api/v1/events/ev_a/dismiss", `{"reason":"cut o`); w.Code != 400 || events.reason != "" {
		t.Errorf("dismiss with half a reason = %d, reason %q", w.Code, events.reason)
	}
	if w := ask(h, "POST", "/api/v1/events/ev_a/dismiss", ""); w.Code != 200 {
		t.Errorf("dismiss without a reason = %d", w.Code)
	}
	if w := ask(h, "GET", "/api/v1/documents?key=stripe/x/payment/1", ""); !strings.Contains(w.Body.String(), "ACC-PAY-1") || strings.Contains(w.Body.String(), "Sales Order") {
		t.Errorf("documents = %s", w.Body)
	}
}

func TestMonitorsMayAskWithHEAD(t *testing.T) {
	operator, _ := newOperator("sesame")
	for name, h := range map[string]http.Handler{"public": newService(t, nil).handler, "operator": operator} {
		for _, path := range []string{"/healthz", "/readyz"} {
			if w := ask(h, "HEAD", path, ""); w.Code != 200 {
				t.Errorf("%s: HEAD %s = %d", name, path, w.Code)
			}
			w := ask(h, "POST", path, "")
			if allow := strings.Join(w.Header().Values("Allow"), ", "); w.Code != 405 || strings.Contains(allow, "POST") || !strings.Contains(allow, "GET") || !strings.Contains(allow, "HEAD") {
				t.Errorf("%s: POST %s = %d, Allow: %s", name, path, w.Code, allow)
			}
		}
	}
}

// A page that the operator happens to visit must not replay events.
func TestEventAPIRefusesForeignOrigins(t *testing.T) {
	h, events := newOperator("")
	w := ask(h, "POST", "/api/v1/events/ev_a/replay", "", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	if w.Code != http.StatusForbidden || events.replayed != "" {
		t.Errorf("a cross-site replay = %d, replayed %q", w.Code, events.replayed)
	}
}

// The description names exactly the API's routes.
func TestOpenAPIDescribesTheRoutes(t *testing.T) {
	h, _ := newOperator("")
	var api struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(ask(h, "GET", "/api/v1/openapi.json", "").Body.Bytes(), &api); err != nil {
		t.Fatal(err)
	}
	served := 0
	err := chi.Walk(h.(chi.Routes), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if strings.HasPrefix(route, "/api/") {
			served++
			if _, ok := api.Paths[route][strings.ToLower(method)]; !ok {
				t.Errorf("%s %s is not described", method, route)
			}
		}
		return nil
	})
	described := 0
	for _, methods := range api.Paths {
		described += len(methods)
	}
	if err != nil || described != served {
		t.Errorf("%d routes are described, %d served (%v)", described, served, err)
	}
}
