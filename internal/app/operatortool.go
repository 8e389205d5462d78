package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
	"github.com/rs/zerolog"
)

// AsCommandUser says for the audit that the user of the command line acts.
func AsCommandUser(ctx context.Context) context.Context {
	name := "unknown user"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return event.WithActor(ctx, event.Actor{Name: name, Via: "command"})
}

// table prints rows under a heading.
func (t *InboxTool) table(heading string, rows func(w io.Writer)) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, heading)
	rows(w)
	return w.Flush()
}

// Groups prints the dead letters by cause.
func (t *InboxTool) Groups(ctx context.Context) error {
	groups, err := t.inbox.Groups(ctx)
	if err != nil {
		return err
	}
	views := make([]handlers.ProblemView, 0, len(groups))
	for _, g := range groups {
		views = append(views, handlers.NewProblemView(g))
	}
	if t.json {
		return t.encode(map[string]any{"problems": views})
	}
	return t.table("GROUP\tCOUNT\tCLASS\tCAUSE\tFIRST\tLAST\tSOURCES\tSAMPLE\tWHAT TO DO", func(w io.Writer) {
		for _, v := range views {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Count, v.Class, v.Error,
				v.FirstSeen.Format(time.RFC3339), v.LastSeen.Format(time.RFC3339), strings.Join(v.Sources, ","), v.Sample, v.Hint)
		}
	})
}

// Audit prints who did what, newest first; target "" = to anything.
func (t *InboxTool) Audit(ctx context.Context, target string, limit int) error {
	if limit < 1 {
		return usagef("--limit is at least 1")
	}
	deeds, err := t.inbox.Audit(ctx, event.DeedFilter{Target: target, Limit: limit})
	if err != nil {
		return err
	}
	views := make([]handlers.DeedView, 0, len(deeds))
	for _, d := range deeds {
		views = append(views, handlers.NewDeedView(d))
	}
	if t.json {
		return t.encode(map[string]any{"audit": views})
	}
	return t.table("AT\tWHO\tVIA\tACTION\tON\tNOTE", func(w io.Writer) {
		for _, v := range views {
			who := v.By.Name
			if v.By.Address != "" {
				who += " (" + v.By.Address + ")"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", v.At.Format(time.RFC3339), who, v.By.Via, v.Action, v.Target, v.Note)
		}
	})
}

// RunOptions are a run over everything that matches, as given on the command
// line.
type RunOptions struct {
	ListOptions
	Action   event.Action
	Reason   string
	Rate     int
	Start    bool      // else it is planned only
	Follow   bool      // stay until it is over
	Progress io.Writer // where following is told
}

// Bulk plans a run and, when asked, starts it.
func (t *InboxTool) Bulk(ctx context.Context, o RunOptions) error {
	if o.Rate < 1 {
		return usagef("--rate is a number from 1 to %d", handlers.MaxRate)
	}
	o.Limit = 1 // a run has none
	f, err := o.filter(time.Now())
	if err != nil {
		return err
	}
	asked, err := handlers.RunRequest{Action: o.Action, Filter: f, Reason: o.Reason, Rate: o.Rate}.Run()
	if err != nil {
		return usagef("%s", fault.As(err).Cause)
	}
	run, err := t.inbox.PlanRun(ctx, asked)
	if err != nil {
		return err
	}
	if !o.Start {
		return t.showRun(run)
	}
	return t.StartRun(ctx, run.ID, o.Follow, o.Progress)
}

// StartRun starts a planned run. The running service carries it on; when
// followed, this process does while no service has it.
func (t *InboxTool) StartRun(ctx context.Context, id string, follow bool, progress io.Writer) error {
	run, err := t.inbox.StartRun(ctx, id)
	if err != nil {
		return unknownRun(id, err)
	}
	if follow {
		if run, err = t.follow(ctx, run, progress); err != nil {
			return err
		}
	}
	return t.showRun(run)
}

func (t *InboxTool) follow(ctx context.Context, run event.Run, progress io.Writer) (event.Run, error) {
	told := int64(-1)
	err := newCarrier(t.inbox, zerolog.Nop()).carry(ctx, run, func(now event.Run) {
		run = now
		if n := now.Done + now.Skipped; n != told || now.Over() {
			told = n
			fmt.Fprintf(progress, "%s: %d of %d (%d skipped), %s\n", now.ID, n, now.Total, now.Skipped, now.State)
		}
	})
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(progress, "%s goes on with the running service\n", run.ID)
		return run, nil
	}
	return run, err
}

// CancelRun ends a run.
func (t *InboxTool) CancelRun(ctx context.Context, id string) error {
	run, err := t.inbox.CancelRun(ctx, id)
	if err != nil {
		return unknownRun(id, err)
	}
	return t.showRun(run)
}

// ShowRun prints one run with its plan.
func (t *InboxTool) ShowRun(ctx context.Context, id string) error {
	run, err := t.inbox.GetRun(ctx, id)
	if err != nil {
		return unknownRun(id, err)
	}
	return t.showRun(run)
}

func unknownRun(id string, err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return fmt.Errorf("no run %q (server events runs list shows them): %w", id, err)
	}
	return err
}

func (t *InboxTool) showRun(run event.Run) error {
	v := handlers.NewRunView(run)
	if t.json {
		return t.encode(v)
	}
	fmt.Fprintf(t.out, "%s: %s of %d events, %s; %d done, %d skipped\n", v.ID, v.Action, v.Total, v.State, v.Done, v.Skipped)
	if err := t.table("COUNT\tSTATE\tCLASS\tCAUSE", func(w io.Writer) {
		for _, p := range v.Plan {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", p.Count, p.State, p.Class, p.Error)
		}
	}); err != nil {
		return err
	}
	next := ""
	switch v.State {
	case event.RunPlanned:
		next = "nothing has happened yet: server events runs start " + v.ID + " starts it"
	case event.RunRunning:
		next = "a running service carries it on: server events runs show " + v.ID + " tells how far it is"
	default:
		return nil
	}
	_, err := fmt.Fprintln(t.out, next)
	return err
}

// Runs prints the newest runs.
func (t *InboxTool) Runs(ctx context.Context) error {
	runs, err := t.inbox.Runs(ctx, 0)
	if err != nil {
		return err
	}
	views := make([]handlers.RunView, 0, len(runs))
	for _, r := range runs {
		views = append(views, handlers.NewRunView(r))
	}
	if t.json {
		return t.encode(map[string]any{"replays": views})
	}
	return t.table("ID\tPLANNED\tBY\tACTION\tSTATE\tTOTAL\tDONE\tSKIPPED", func(w io.Writer) {
		for _, v := range views {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\n", v.ID, v.PlannedAt.Format(time.RFC3339), v.By.Name, v.Action, v.State, v.Total, v.Done, v.Skipped)
		}
	})
}

// Rejected prints the requests that were refused at the door.
func (t *InboxTool) Rejected(ctx context.Context, source, class string, limit int) error {
	if limit < 1 {
		return usagef("--limit is at least 1")
	}
	if err := checkClass(class); err != nil {
		return err
	}
	all, err := t.inbox.Rejections(ctx, event.RejectionFilter{Source: source, Class: class, Limit: limit})
	if err != nil {
		return err
	}
	views := make([]handlers.RejectionView, 0, len(all))
	for _, r := range all {
		views = append(views, handlers.NewRejectionView(r, false))
	}
	if t.json {
		return t.encode(map[string]any{"rejected": views})
	}
	return t.table("ID\tRECEIVED\tSOURCE\tCLASS\tCAUSE\tFROM\tBYTES", func(w io.Writer) {
		for _, v := range views {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", v.ID, v.ReceivedAt.Format(time.RFC3339), v.Source, v.Class, v.Error, v.Client, v.Size)
		}
	})
}

// ShowRejected prints a refused request with its headers; its body only when
// asked, for it may hold a customer's data.
func (t *InboxTool) ShowRejected(ctx context.Context, id string, body bool) error {
	r, err := t.inbox.Rejection(ctx, id)
	if err != nil {
		return unknownRejected(id, err)
	}
	if body && r.Unreadable != "" {
		return fmt.Errorf("the body cannot be read: %s: configure that key in LEDGERHOOK_BODY_KEYS again", r.Unreadable)
	}
	if body {
		_, err := t.out.Write(append(r.Body, '\n'))
		return err
	}
	v := handlers.NewRejectionView(r, true)
	if t.json {
		return t.encode(v)
	}
	fmt.Fprintf(t.out, "%s from %s at %s: %s, %s (%d bytes)\n", v.ID, v.Client, v.ReceivedAt.Format(time.RFC3339), v.Class, v.Error, v.Size)
	return t.table("HEADER\tVALUE", func(w io.Writer) {
		for _, name := range slices.Sorted(maps.Keys(v.Header)) {
			fmt.Fprintf(w, "%s\t%s\n", name, strings.Join(v.Header[name], ", "))
		}
	})
}

func unknownRejected(id string, err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return fmt.Errorf("no rejected request %q (server events rejected list shows them): %w", id, err)
	}
	return err
}

// VerifyRejected verifies refused requests with today's configuration; what is
// good now goes into the inbox.
func (t *InboxTool) VerifyRejected(ctx context.Context, cfg config.Config, id, source string) error {
	sources, err := openSources(cfg, nil)
	if err != nil {
		return err
	}
	results, err := doorkeeper{t.inbox, intakeOptions(cfg, sources, t.inbox)}.Verify(ctx, id, source)
	if err != nil {
		return unknownRejected(id, err)
	}
	if t.json {
		return t.encode(map[string]any{"verified": results})
	}
	return t.table("ID\tSOURCE\tNOW\tEVENT\tCAUSE", func(w io.Writer) {
		for _, v := range results {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", v.ID, v.Source, v.Status, v.Event, strings.TrimSpace(v.Class+" "+v.Error))
		}
	})
}

// Hold pauses a configured source, or "" for every one, or lets it go again.
func (t *InboxTool) Hold(ctx context.Context, cfg config.Config, source, reason string, pause bool) error {
	known, err := openSources(cfg, nil)
	if err != nil {
		return err
	}
	if _, ok := known[source]; pause && source != event.AllSources && !ok {
		return usagef("no source %s is configured, only %s", source, strings.Join(names(known), ", "))
	}
	do, status := t.inbox.Resume, "running"
	if pause {
		do, status = func(ctx context.Context, source string) error { return t.inbox.Pause(ctx, source, reason) }, "paused"
	}
	if err := do(ctx, source); err != nil {
		return err
	}
	if t.json {
		return t.encode(map[string]string{"status": status, "source": source})
	}
	if source == event.AllSources {
		source = "every source"
	}
	_, err = fmt.Fprintf(t.out, "%s: %s; a running service follows within half a minute\n", source, status)
	return err
}

// Status prints the inbox at a glance.
func (t *InboxTool) Status(ctx context.Context, cfg config.Config) error {
	sources, err := openSources(cfg, nil)
	if err != nil {
		return err
	}
	stats, err := t.inbox.Stats(ctx)
	if err != nil {
		return err
	}
	pauses, err := t.inbox.Pauses(ctx)
	if err != nil {
		return err
	}
	v := handlers.NewStatusView(names(sources), stats, pauses)
	if t.json {
		return t.encode(v)
	}
	for _, state := range event.States() {
		fmt.Fprintf(t.out, "%s: %d\n", state, v.Events[state])
	}
	for _, p := range v.Paused {
		source := p.Source
		if source == event.AllSources {
			source = "every source"
		}
		fmt.Fprintf(t.out, "paused: %s since %s by %s %s\n", source, p.Since.Format(time.RFC3339), p.By.Name, p.Reason)
	}
	if len(v.Paused) == 0 {
		fmt.Fprintln(t.out, "nothing is paused")
	}
	return nil
}
