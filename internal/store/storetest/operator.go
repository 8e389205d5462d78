package storetest

import (
	"context"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// Operator is what an inbox keeps for whoever operates the service: why events
// died, what was done about it, what was refused and what is held.
type Operator interface {
	Groups(ctx context.Context) ([]event.Group, error)

	PlanRun(ctx context.Context, r event.Run) (event.Run, error)
	StartRun(ctx context.Context, id string) (event.Run, error)
	StepRun(ctx context.Context, id, carrier string, limit int) (event.Run, error)
	CancelRun(ctx context.Context, id string) (event.Run, error)
	GetRun(ctx context.Context, id string) (event.Run, error)
	Runs(ctx context.Context, limit int) ([]event.Run, error)
	RunningRuns(ctx context.Context) ([]event.Run, error)
	Replays(ctx context.Context) (map[string]int64, error)

	SweepDeeds(ctx context.Context, before time.Time, limit int) (int, error)
	Audit(ctx context.Context, f event.DeedFilter) ([]event.Deed, error)

	Pause(ctx context.Context, source, reason string) error
	Resume(ctx context.Context, source string) error
	Pauses(ctx context.Context) ([]event.Pause, error)

	Reject(ctx context.Context, bounds event.RejectionBounds, batch ...event.Rejection) error
	Rejections(ctx context.Context, f event.RejectionFilter) ([]event.Rejection, error)
	Rejection(ctx context.Context, id string) (event.Rejection, error)
	Refused(ctx context.Context, cursor string, limit int) (all []event.Rejection, next string, err error)
	DropRejections(ctx context.Context, ids []string) (int, error)
	Unreject(ctx context.Context, id, eventID string) error
}

var ada = event.Actor{Name: "ada", Via: "api", Address: "192.0.2.7"}

// by acts on somebody's behalf.
func (b inbox) by(a event.Actor) context.Context { return event.WithActor(b.Context(), a) }

// diesOf is a dead letter's outcome with a cause.
func diesOf(c event.Cause) event.Outcome {
	return event.Outcome{State: event.Dead, Result: "dead", Class: c.Class, Reason: c.Reason, DocType: c.DocType, Hint: "about " + c.Reason}
}
