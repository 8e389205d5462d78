package handlers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Problems are the dead letters by cause.
type Problems interface {
	Groups(ctx context.Context) ([]event.Group, error)
}

// Runs replays or dismisses everything that matches a filter: planned first,
// then started.
type Runs interface {
	PlanRun(ctx context.Context, r event.Run) (event.Run, error)
	StartRun(ctx context.Context, id string) (event.Run, error)
	CancelRun(ctx context.Context, id string) (event.Run, error)
	GetRun(ctx context.Context, id string) (event.Run, error)
	Runs(ctx context.Context, limit int) ([]event.Run, error)
}

// Audit is who did what.
type Audit interface {
	Audit(ctx context.Context, f event.DeedFilter) ([]event.Deed, error)
}

// The rate of a run in events per second, when nobody says and at most.
const (
	DefaultRate = 50
	MaxRate     = 1000
)

// maxAsk bounds the body of a request to the API.
const maxAsk = 64 << 10

// ProblemView is a group of dead letters as the API and the command line show it.
type ProblemView struct {
	ID        string    `json:"id"`
	Class     string    `json:"class"`
	Error     string    `json:"error"`
	DocType   string    `json:"doctype,omitempty"`
	Count     int64     `json:"count"`
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	Sources   []string  `json:"sources"`
	Topics    []string  `json:"topics"`
	Sample    string    `json:"sample"` // id of the newest event
	Hint      string    `json:"hint,omitempty"`
}

// NewProblemView shows a group of dead letters.
func NewProblemView(g event.Group) ProblemView {
	return ProblemView{
		ID: g.ID(), Class: g.Class, Error: g.Reason, DocType: g.DocType, Count: g.Count, FirstSeen: g.FirstSeen, LastSeen: g.LastSeen,
		Sources: g.Sources, Topics: g.Topics, Sample: g.Sample, Hint: g.Hint,
	}
}

// RunView is a run as the API and the command line show it.
type RunView struct {
	ID        string         `json:"id"`
	Action    event.Action   `json:"action"`
	State     event.RunState `json:"state"`
	Filter    event.Filter   `json:"filter"`
	Reason    string         `json:"reason,omitempty"`
	Rate      int            `json:"rate"` // events per second
	By        event.Actor    `json:"by"`
	Plan      []PlanLine     `json:"plan"`
	Total     int64          `json:"total"`
	Done      int64          `json:"done"`
	Skipped   int64          `json:"skipped"`
	PlannedAt time.Time      `json:"planned_at"`
	StartedAt *time.Time     `json:"started_at"`
	EndedAt   *time.Time     `json:"ended_at"`
}

// PlanLine is how many events of a run have one cause.
type PlanLine struct {
	State   event.State `json:"state"`
	Class   string      `json:"class"`
	Error   string      `json:"error"`
	DocType string      `json:"doctype,omitempty"`
	Count   int64       `json:"count"`
}

// NewRunView shows a run with its plan and progress.
func NewRunView(r event.Run) RunView {
	v := RunView{
		ID: r.ID, Action: r.Action, State: r.State, Filter: r.Filter, Reason: r.Reason, Rate: r.Rate, By: r.By, Plan: []PlanLine{},
		Total: r.Total, Done: r.Done, Skipped: r.Skipped, PlannedAt: r.PlannedAt, StartedAt: some(r.StartedAt), EndedAt: some(r.EndedAt),
	}
	for _, p := range r.Plan {
		v.Plan = append(v.Plan, PlanLine{State: p.State, Class: p.Class, Error: p.Reason, DocType: p.DocType, Count: p.Count})
	}
	return v
}

// some is nil for the zero time.
func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// DeedView is a line of the audit as the API and the command line show it.
type DeedView struct {
	Number int64       `json:"number"`
	At     time.Time   `json:"at"`
	By     event.Actor `json:"by"`
	Action string      `json:"action"`
	Target string      `json:"target"`
	Note   string      `json:"note,omitempty"`
}

// NewDeedView shows a line of the audit.
func NewDeedView(d event.Deed) DeedView {
	return DeedView{Number: d.Number, At: d.At, By: d.By, Action: d.Action, Target: d.Target, Note: d.Note}
}

type runAPI struct{ OperatorOptions }

func (a *runAPI) problems(w http.ResponseWriter, r *http.Request) {
	groups, err := a.Problems.Groups(r.Context())
	if err != nil {
		writeError(w, err)
		return
	}
	views := make([]ProblemView, 0, len(groups))
	for _, g := range groups {
		views = append(views, NewProblemView(g))
	}
	writeJSON(w, http.StatusOK, map[string]any{"problems": views})
}

// RunRequest asks for a run. Filter.State is "dead" when it is empty, for a run
// over everything is never what somebody means.
type RunRequest struct {
	Action event.Action `json:"action"` // "" = replay
	Filter event.Filter `json:"filter"`
	Reason string       `json:"reason"` // needed to dismiss
	Rate   int          `json:"rate"`   // events per second; 0 = DefaultRate
}

// Run is the run that is asked for. The error, of kind Malformed, says what is
// wrong with the request.
func (q RunRequest) Run() (event.Run, error) {
	q.Action = cmp.Or(q.Action, event.ActionReplay)
	q.Filter.State = cmp.Or(q.Filter.State, event.Dead)
	q.Rate = cmp.Or(q.Rate, DefaultRate)
	wrong := ""
	switch {
	case q.Action != event.ActionReplay && q.Action != event.ActionDismiss:
		wrong = "action is neither replay nor dismiss"
	case !slices.Contains(event.States(), q.Filter.State):
		wrong = "state is pending, done, ignored or dead"
	case q.Rate < 1 || q.Rate > MaxRate:
		wrong = "rate is not a number from 1 to " + strconv.Itoa(MaxRate)
	case q.Action == event.ActionDismiss && q.Reason == "":
		wrong = "to dismiss, give a reason"
	}
	if wrong != "" {
		return event.Run{}, fault.New(fault.Malformed, "run", wrong)
	}
	return event.Run{Action: q.Action, Filter: q.Filter, Reason: q.Reason, Rate: q.Rate}, nil
}

func (a *runAPI) plan(w http.ResponseWriter, r *http.Request) {
	var asked RunRequest
	if err := readJSON(w, r, &asked); err != nil {
		badRequest(w, "malformed", err)
		return
	}
	run, err := asked.Run()
	if err != nil {
		badRequest(w, "malformed", err)
		return
	}
	run, err = a.Runs.PlanRun(r.Context(), run)
	a.answer(w, http.StatusCreated, run, err)
}

// readJSON reads what the caller asks for. Unknown names are refused: a filter
// with a misspelt name would match more than was meant.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAsk))
	return decodeStrict(body, err, into)
}

func decodeStrict(body []byte, readErr error, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if readErr != nil || decoder.Decode(into) != nil { // their words may repeat what was sent
		return fault.New(fault.Malformed, "body", "it is not the JSON object that the description asks for")
	}
	return nil
}

func (a *runAPI) answer(w http.ResponseWriter, code int, run event.Run, err error) {
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, code, NewRunView(run))
}

func (a *runAPI) show(w http.ResponseWriter, r *http.Request) {
	run, err := a.Runs.GetRun(r.Context(), chi.URLParam(r, "id"))
	a.answer(w, http.StatusOK, run, err)
}

func (a *runAPI) start(w http.ResponseWriter, r *http.Request) {
	run, err := a.Runs.StartRun(r.Context(), chi.URLParam(r, "id"))
	a.answer(w, http.StatusOK, run, err)
}

func (a *runAPI) cancel(w http.ResponseWriter, r *http.Request) {
	run, err := a.Runs.CancelRun(r.Context(), chi.URLParam(r, "id"))
	a.answer(w, http.StatusOK, run, err)
}

func (a *runAPI) list(w http.ResponseWriter, r *http.Request) {
	limit, err := parseLimit(r.URL.Query())
	if err != nil {
		badRequest(w, "bad_filter", err)
		return
	}
	runs, err := a.Runs.Runs(r.Context(), limit)
	if err != nil {
		writeError(w, err)
		return
	}
	views := make([]RunView, 0, len(runs))
	for _, run := range runs {
		views = append(views, NewRunView(run))
	}
	writeJSON(w, http.StatusOK, map[string]any{"replays": views})
}

func (a *runAPI) audit(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := event.DeedFilter{Target: q.Get("target")}
	var err error
	if f.Limit, err = parseLimit(q); err != nil {
		badRequest(w, "bad_filter", err)
		return
	}
	if text := q.Get("before"); text != "" {
		if f.Before, err = strconv.ParseInt(text, 10, 64); err != nil || f.Before < 1 {
			badRequest(w, "bad_filter", fault.New(fault.Malformed, "handlers.filter", "before is not a number of the audit"))
			return
		}
	}
	deeds, err := a.Audit.Audit(r.Context(), f)
	if err != nil {
		writeError(w, err)
		return
	}
	views := make([]DeedView, 0, len(deeds))
	for _, d := range deeds {
		views = append(views, NewDeedView(d))
	}
	writeJSON(w, http.StatusOK, map[string]any{"audit": views})
}
