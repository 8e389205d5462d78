package handlers

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Events is what the event API asks of the inbox.
type Events interface {
	List(ctx context.Context, f event.Filter) (events []event.Event, next string, err error)
	Get(ctx context.Context, id string) (event.Event, []event.Attempt, []event.Document, error)
	DocumentsOf(ctx context.Context, ids ...string) (map[string][]event.Document, error)
	Replay(ctx context.Context, id string) error
	Dismiss(ctx context.Context, id, reason string) error
}

// Documents is the memory of key → document.
type Documents interface {
	Document(ctx context.Context, doctype, key string) (event.Document, bool, error)
}

// DryRun tells what an event would lead to, and changes nothing.
type DryRun interface {
	// DryRun gives the view to be answered as JSON.
	DryRun(ctx context.Context, id string) (any, error)
}

// OperatorOptions configures the operator's listener.
type OperatorOptions struct {
	Ready     Readiness
	Metrics   http.Handler
	Events    Events
	Documents Documents
	DryRun    DryRun
	Problems  Problems
	Runs      Runs
	Audit     Audit
	Rejected  Rejections
	Holds     Holds
	Token     string                            // "" = no token is asked for: only on loopback
	Sources   []string                          // the configured sources
	DocType   []string                          // DocTypes that GET documents searches
	DeskURL   func(doctype, name string) string // link into ERPNext; nil = none
}

// Operator builds the operator's handler: metrics and health for everybody who
// reaches it, profiles and the event API for the token's holder.
func Operator(o OperatorOptions) http.Handler {
	r := chi.NewRouter()
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, fault.New(fault.NotFound, "handlers.route", "no such path"))
	})
	routeHealth(r, o.Ready)
	r.Method(http.MethodGet, "/metrics", o.Metrics)
	r.Get("/api/v1/openapi.json", describe)
	r.Group(func(r chi.Router) {
		r.Use(bearer(o.Token), http.NewCrossOriginProtection().Handler, acting(o.Token))
		o.routes(r)
		r.HandleFunc("/debug/pprof/*", pprof.Index)
		r.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		r.HandleFunc("/debug/pprof/profile", pprof.Profile)
		r.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		r.HandleFunc("/debug/pprof/trace", pprof.Trace)
	})
	return r
}

func (o OperatorOptions) routes(r chi.Router) {
	events := &eventAPI{o}
	r.Get("/api/v1/events", events.list)
	r.Get("/api/v1/events/{id}", events.show)
	r.Post("/api/v1/events/{id}/replay", events.replay)
	r.Post("/api/v1/events/{id}/dismiss", events.dismiss)
	r.Post("/api/v1/events/{id}/dry-run", events.dryRun)
	r.Get("/api/v1/documents", events.document)

	runs := &runAPI{o}
	r.Get("/api/v1/problems", runs.problems)
	r.Get("/api/v1/replays", runs.list)
	r.Post("/api/v1/replays", runs.plan)
	r.Get("/api/v1/replays/{id}", runs.show)
	r.Post("/api/v1/replays/{id}/start", runs.start)
	r.Post("/api/v1/replays/{id}/cancel", runs.cancel)
	r.Get("/api/v1/audit", runs.audit)

	door := &doorAPI{o}
	r.Get("/api/v1/rejected", door.rejected)
	r.Get("/api/v1/rejected/{id}", door.show)
	r.Post("/api/v1/rejected/verify", door.verify)
	r.Get("/api/v1/status", door.status)
	r.Post("/api/v1/pause", door.pause)
	r.Post("/api/v1/resume", door.resume)
}

//go:embed openapi.json
var openapi []byte

// describe serves the event API's description.
func describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openapi) // the client is gone when this fails
}

// bearer asks for the operator's token. Digests are compared, so that neither
// content nor length of the token can be timed.
func bearer(token string) func(http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if !strings.EqualFold(scheme, "Bearer") {
				given = ""
			}
			got := sha256.Sum256([]byte(given))
			if token != "" && subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				w.Header().Set("WWW-Authenticate", `Bearer realm="ledgerhook"`)
				writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "unauthorized"})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// acting says who acts, for the audit: whoever holds the token, or when none is
// asked for whoever reaches the listener.
func acting(token string) func(http.Handler) http.Handler {
	who := "operator token"
	if token == "" {
		who = "anybody on the operator listener"
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			address, _, err := net.SplitHostPort(r.RemoteAddr)
			if err != nil {
				address = r.RemoteAddr
			}
			actor := event.Actor{Name: who, Via: "api", Address: address}
			next.ServeHTTP(w, r.WithContext(event.WithActor(r.Context(), actor)))
		})
	}
}

// EventView is an event as the API and the command line show it.
type EventView struct {
	ID              string         `json:"id"`
	Source          string         `json:"source"`
	Provider        string         `json:"provider"`
	Topic           string         `json:"topic"`
	ProviderEventID string         `json:"provider_event_id"`
	Subject         string         `json:"subject"`
	State           event.State    `json:"state"`
	Attempts        int            `json:"attempts"`
	ReceivedAt      time.Time      `json:"received_at"`
	DueAt           *time.Time     `json:"due_at"`
	Class           string         `json:"class"`
	Error           string         `json:"error"`
	DocType         string         `json:"doctype,omitempty"` // what the failed call was about
	Hint            string         `json:"hint,omitempty"`
	Documents       []DocumentView `json:"documents"`
	History         []AttemptView  `json:"history,omitempty"`
}

// DocumentView is one ERPNext document of an event.
type DocumentView struct {
	DocType string `json:"doctype"`
	Name    string `json:"name"`
	Key     string `json:"key"`
	URL     string `json:"url"`
}

// AttemptView is one attempt. Detail is what ERPNext said, word for word.
type AttemptView struct {
	Number    int       `json:"number"`
	StartedAt time.Time `json:"started_at"`
	TookMS    int64     `json:"took_ms"`
	Result    string    `json:"result"`
	Class     string    `json:"class"`
	Error     string    `json:"error"`
	Hint      string    `json:"hint,omitempty"`
	Detail    string    `json:"detail,omitempty"`

	Calls []CallView `json:"calls,omitempty"`
}

// CallView is one call to ERPNext of an attempt, without customer data.
type CallView struct {
	Op        string    `json:"op"`
	Method    string    `json:"method"`
	DocType   string    `json:"doctype,omitempty"`
	StartedAt time.Time `json:"started_at"`
	TookMS    int64     `json:"took_ms"`
	Request   string    `json:"request,omitempty"` // JSON with its texts withheld
	Status    int       `json:"status,omitempty"`  // 0 = no answer
	ExcType   string    `json:"exc_type,omitempty"`
	Message   string    `json:"message,omitempty"`
	Class     string    `json:"class,omitempty"`    // "" = it worked
	Response  string    `json:"response,omitempty"` // JSON of the answer without its texts
}

// NewEventView shows an event with what it led to. url makes a document's link
// into ERPNext; nil makes none.
func NewEventView(ev event.Event, attempts []event.Attempt, docs []event.Document, url func(doctype, name string) string) EventView {
	v := EventView{
		ID: ev.ID, Source: ev.Source, Provider: ev.Provider, Topic: ev.Topic, ProviderEventID: ev.ProviderID,
		Subject: ev.Subject, State: ev.State, Attempts: ev.Attempts, ReceivedAt: ev.ReceivedAt,
		Class: ev.Class, Error: ev.Reason, DocType: ev.DocType, Hint: ev.Hint, Documents: []DocumentView{},
	}
	if ev.State == event.Pending {
		v.DueAt = &ev.DueAt
	}
	seen := map[[2]string]bool{} // a document may be remembered under more keys than one
	for _, d := range docs {
		id := [2]string{d.DocType, d.Name}
		if seen[id] {
			continue
		}
		seen[id] = true
		dv := DocumentView{DocType: d.DocType, Name: d.Name, Key: d.Key}
		if url != nil {
			dv.URL = url(d.DocType, d.Name)
		}
		v.Documents = append(v.Documents, dv)
	}
	for _, a := range attempts {
		v.History = append(v.History, AttemptView{
			Number: a.Number, StartedAt: a.StartedAt, TookMS: a.Took.Milliseconds(),
			Result: a.Result, Class: a.Class, Error: a.Reason, Hint: a.Hint, Detail: a.Detail, Calls: callViews(a.Exchanges),
		})
	}
	return v
}

func callViews(calls []event.Exchange) []CallView {
	views := make([]CallView, 0, len(calls))
	for _, x := range calls {
		views = append(views, CallView{
			Op: x.Op, Method: x.Method, DocType: x.DocType, StartedAt: x.StartedAt, TookMS: x.Took.Milliseconds(),
			Request: x.Request, Status: x.Status, ExcType: x.ExcType, Message: x.Message, Class: x.Class, Response: x.Response,
		})
	}
	return views
}

type eventAPI struct{ OperatorOptions }

func (a *eventAPI) list(w http.ResponseWriter, r *http.Request) {
	f, err := parseFilter(r.URL.Query())
	if err != nil {
		badRequest(w, "bad_filter", err)
		return
	}
	events, next, err := a.Events.List(r.Context(), f)
	if err != nil {
		writeError(w, err)
		return
	}
	views, err := EventViews(r.Context(), a.Events, events, a.DeskURL)
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"events": views, "next_cursor": next})
}

// EventViews shows a page of events with their documents.
func EventViews(ctx context.Context, inbox Events, events []event.Event, url func(doctype, name string) string) ([]EventView, error) {
	ids := make([]string, 0, len(events))
	for _, ev := range events {
		ids = append(ids, ev.ID)
	}
	docs, err := inbox.DocumentsOf(ctx, ids...)
	if err != nil {
		return nil, err
	}
	views := make([]EventView, 0, len(events))
	for _, ev := range events {
		views = append(views, NewEventView(ev, nil, docs[ev.ID], url))
	}
	return views, nil
}

func parseFilter(q url.Values) (event.Filter, error) {
	f := event.Filter{
		State: event.State(q.Get("state")), Source: q.Get("source"), Topic: q.Get("topic"),
		Query: q.Get("q"), Class: q.Get("class"), Group: q.Get("group"), Cursor: q.Get("cursor"),
	}
	if f.State != "" && !slices.Contains(event.States(), f.State) {
		return f, fault.New(fault.Malformed, "handlers.filter", "state is pending, done, ignored or dead")
	}
	if text := q.Get("since"); text != "" {
		since, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return f, fault.New(fault.Malformed, "handlers.filter", "since is not an RFC 3339 time")
		}
		f.Since = since
	}
	var err error
	f.Limit, err = parseLimit(q)
	return f, err
}

// parseLimit reads how long a page is; 0 when nobody says.
func parseLimit(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 500 {
		return 0, fault.New(fault.Malformed, "handlers.filter", "limit is not a number from 1 to 500")
	}
	return n, nil
}

// badRequest answers what the caller got wrong, in our own words.
func badRequest(w http.ResponseWriter, word string, err error) {
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": word, "detail": err.Error()})
}

func (a *eventAPI) show(w http.ResponseWriter, r *http.Request) {
	ev, attempts, docs, err := a.Events.Get(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, NewEventView(ev, attempts, docs, a.DeskURL))
}

func (a *eventAPI) replay(w http.ResponseWriter, r *http.Request) {
	id := chi.URLParam(r, "id")
	if err := a.Events.Replay(r.Context(), id); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "pending", "event": id})
}

func (a *eventAPI) dryRun(w http.ResponseWriter, r *http.Request) {
	view, err := a.DryRun.DryRun(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, view)
}

func (a *eventAPI) dismiss(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := readOptional(w, r, &body); err != nil {
		badRequest(w, "malformed", err)
		return
	}
	id := chi.URLParam(r, "id")
	if err := a.Events.Dismiss(r.Context(), id, body.Reason); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ignored", "event": id})
}

func (a *eventAPI) document(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	if key == "" {
		badRequest(w, "bad_filter", fault.New(fault.Malformed, "handlers.document", "name the document by its key"))
		return
	}
	views := []DocumentView{}
	for _, doctype := range a.DocType {
		doc, ok, err := a.Documents.Document(r.Context(), doctype, key)
		if err != nil {
			writeError(w, err)
			return
		}
		if ok {
			views = append(views, NewEventView(event.Event{}, nil, []event.Document{doc}, a.DeskURL).Documents...)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"documents": views})
}
