package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Rejections are the requests that were refused at the door.
type Rejections interface {
	Rejections(ctx context.Context, f event.RejectionFilter) ([]event.Rejection, error)
	Rejection(ctx context.Context, id string) (event.Rejection, error)
	// Verify tries one of them again (id), or all of a source or of every one;
	// what is good now goes into the inbox.
	Verify(ctx context.Context, id, source string) ([]VerifiedView, error)
}

// Holds pauses and resumes by hand.
type Holds interface {
	Pause(ctx context.Context, source, reason string) error
	Resume(ctx context.Context, source string) error
	Pauses(ctx context.Context) ([]event.Pause, error)
	Stats(ctx context.Context) (event.Stats, error)
}

// RejectionView is a refused request as the API and the command line show it,
// without its body.
type RejectionView struct {
	ID         string              `json:"id"`
	Source     string              `json:"source"`
	Class      string              `json:"class"`
	Error      string              `json:"error"`
	Client     string              `json:"client"`
	ReceivedAt time.Time           `json:"received_at"`
	Size       int64               `json:"size"`
	Whole      bool                `json:"whole"` // it can be verified again
	Header     map[string][]string `json:"header,omitempty"`
	Unreadable string              `json:"unreadable,omitempty"` // why what is kept cannot be read now
}

// NewRejectionView shows a refused request; with its headers when asked.
func NewRejectionView(r event.Rejection, header bool) RejectionView {
	v := RejectionView{
		ID: r.ID, Source: r.Source, Class: r.Class, Error: r.Reason, Client: r.Client, ReceivedAt: r.ReceivedAt, Size: r.Size, Whole: r.Whole, Unreadable: r.Unreadable,
	}
	if header {
		v.Header = r.Header
	}
	return v
}

// VerifiedView is what became of a refused request that was verified again.
type VerifiedView struct {
	ID     string `json:"id"`
	Source string `json:"source"`
	Status string `json:"status"`          // "accepted", "duplicate" or "refused"
	Event  string `json:"event,omitempty"` // its id in the inbox
	Class  string `json:"class,omitempty"` // why it is refused still
	Error  string `json:"error,omitempty"`
}

// PauseView is something that is held by hand.
type PauseView struct {
	Source string      `json:"source"` // "" = every source
	Since  time.Time   `json:"since"`
	By     event.Actor `json:"by"`
	Reason string      `json:"reason,omitempty"`
}

// StatusView is the service at a glance.
type StatusView struct {
	Paused        []PauseView           `json:"paused"`
	Sources       []string              `json:"sources"`
	Events        map[event.State]int64 `json:"events"`
	OldestPending map[string]time.Time  `json:"oldest_pending"` // by source
}

// NewStatusView shows the service at a glance.
func NewStatusView(sources []string, stats event.Stats, pauses []event.Pause) StatusView {
	v := StatusView{Paused: []PauseView{}, Sources: sources, Events: map[event.State]int64{}, OldestPending: stats.OldestPending}
	for _, p := range pauses {
		v.Paused = append(v.Paused, PauseView{Source: p.Source, Since: p.Since, By: p.By, Reason: p.Reason})
	}
	for _, state := range event.States() {
		v.Events[state] = stats.ByState[state]
	}
	return v
}

type doorAPI struct{ OperatorOptions }

func (a *doorAPI) rejected(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := parseLimit(q)
	if err != nil {
		badRequest(w, "bad_filter", err)
		return
	}
	f := event.RejectionFilter{Source: q.Get("source"), Class: q.Get("class"), Before: q.Get("before"), Limit: limit}
	all, err := a.Rejected.Rejections(r.Context(), f)
	if err != nil {
		writeError(w, err)
		return
	}
	views := make([]RejectionView, 0, len(all))
	for _, one := range all {
		views = append(views, NewRejectionView(one, false))
	}
	writeJSON(w, http.StatusOK, map[string]any{"rejected": views})
}

func (a *doorAPI) show(w http.ResponseWriter, r *http.Request) {
	one, err := a.Rejected.Rejection(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, NewRejectionView(one, true))
}

func (a *doorAPI) verify(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		ID     string `json:"id"`
		Source string `json:"source"`
	}
	if err := readOptional(w, r, &asked); err != nil {
		badRequest(w, "malformed", err)
		return
	}
	results, err := a.Rejected.Verify(r.Context(), asked.ID, asked.Source)
	if err != nil {
		writeError(w, err)
		return
	}
	if results == nil {
		results = []VerifiedView{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"verified": results})
}

// readOptional is readJSON for a body that may be left out.
func readOptional(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAsk))
	if err == nil && len(body) == 0 {
		return nil
	}
	return decodeStrict(body, err, into)
}

func (a *doorAPI) status(w http.ResponseWriter, r *http.Request) {
	stats, err := a.Holds.Stats(r.Context())
	pauses, pausesErr := a.Holds.Pauses(r.Context())
	if err := errors.Join(err, pausesErr); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, NewStatusView(a.Sources, stats, pauses))
}

// holdRequest says what to hold or let go; Source "" is every one.
type holdRequest struct {
	Source string `json:"source"`
	Reason string `json:"reason"`
}

func (a *doorAPI) pause(w http.ResponseWriter, r *http.Request) {
	var asked holdRequest
	if err := readOptional(w, r, &asked); err != nil {
		badRequest(w, "malformed", err)
		return
	}
	if asked.Source != event.AllSources && !slices.Contains(a.Sources, asked.Source) {
		writeError(w, fault.New(fault.NotFound, "handlers.pause", "no such source"))
		return
	}
	if err := a.Holds.Pause(r.Context(), asked.Source, asked.Reason); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "paused", "source": asked.Source})
}

// resume also lets go of a source that is not configured any more.
func (a *doorAPI) resume(w http.ResponseWriter, r *http.Request) {
	var asked holdRequest
	if err := readOptional(w, r, &asked); err != nil {
		badRequest(w, "malformed", err)
		return
	}
	pauses, err := a.Holds.Pauses(r.Context())
	if err != nil {
		writeError(w, err)
		return
	}
	held := slices.ContainsFunc(pauses, func(p event.Pause) bool { return p.Source == asked.Source })
	if !held && asked.Source != event.AllSources && !slices.Contains(a.Sources, asked.Source) {
		writeError(w, fault.New(fault.NotFound, "handlers.resume", "no such source"))
		return
	}
	if err := a.Holds.Resume(r.Context(), asked.Source); err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "running", "source": asked.Source})
}
