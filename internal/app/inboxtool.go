package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/rs/zerolog"
)

// errUsage marks a mistake of the caller.
var errUsage = errors.New("wrong usage")

// IsUsage reports whether the caller's arguments caused the error.
func IsUsage(err error) bool { return errors.Is(err, errUsage) }

func usagef(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}

// InboxTool looks into the inbox from the command line.
type InboxTool struct {
	inbox *sqlite.DB
	out   io.Writer
	json  bool
	url   func(doctype, name string) string

	sources []string // that are configured
}

// OpenInboxTool opens the configured inbox; a service may be running on it.
func OpenInboxTool(ctx context.Context, cfg config.Config, out io.Writer, asJSON bool) (*InboxTool, error) {
	if _, err := os.Stat(cfg.DatabasePath); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no inbox at %s: the service has not run yet, or its LEDGERHOOK_DATABASE_URL is another one than this", cfg.DatabasePath)
	}
	db, err := OpenInbox(ctx, cfg, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	t := &InboxTool{inbox: db, out: out, json: asJSON, url: DeskURL(cfg.ERPNext.URL)}
	for _, sender := range cfg.Senders() {
		t.sources = append(t.sources, sender.Name)
	}
	return t, nil
}

// Close closes the inbox.
func (t *InboxTool) Close() error { return t.inbox.Close() }

// ListOptions are the filters of a listing, as given on the command line.
type ListOptions struct {
	State, Source, Topic, Since, Query, Class, Group string
	Limit                                            int
}

func (o ListOptions) filter(now time.Time) (event.Filter, error) {
	f := event.Filter{State: event.State(o.State), Source: o.Source, Topic: o.Topic, Query: o.Query, Class: o.Class, Group: o.Group, Limit: o.Limit}
	switch f.State {
	case "", event.Pending, event.Done, event.Ignored, event.Dead:
	default:
		return f, usagef("--state is pending, done, ignored or dead")
	}
	if o.Limit < 1 {
		return f, usagef("--limit is at least 1")
	}
	if err := checkClass(o.Class); err != nil {
		return f, err
	}
	if o.Since == "" {
		return f, nil
	}
	if ago, err := time.ParseDuration(o.Since); err == nil {
		f.Since = now.Add(-ago)
		return f, nil
	}
	since, err := time.Parse(time.RFC3339, o.Since)
	if err != nil {
		return f, usagef("--since is a time like 2026-03-01T00:00:00Z or a duration like 24h")
	}
	f.Since = since
	return f, nil
}

// checkClass refuses a class that nothing can have: an empty listing would say
// that all is well.
func checkClass(class string) error {
	if class == "" || fault.ParseKind(class).String() == class {
		return nil
	}
	return usagef("--class %s is none: it is a class of failure such as rejected or credentials, as the listings show it", class)
}

// List prints events, newest first.
func (t *InboxTool) List(ctx context.Context, o ListOptions) error {
	f, err := o.filter(time.Now())
	if err != nil {
		return err
	}
	events, next, err := t.inbox.List(ctx, f)
	if err != nil {
		return err
	}
	views, err := handlers.EventViews(ctx, t.inbox, events, t.url)
	if err != nil {
		return err
	}
	if t.json {
		return t.encode(map[string]any{"events": views, "next_cursor": next})
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tRECEIVED\tSOURCE\tTOPIC\tSTATE\tTRIES\tCLASS\tREASON")
	for _, v := range views {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", v.ID, v.ReceivedAt.Format(time.RFC3339), v.Source, v.Topic, v.State, v.Attempts, v.Class, v.Error)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(views) == 0 && o.Source != "" && !slices.Contains(t.sources, o.Source) { // one that was configured once may have events
		fmt.Fprintf(t.out, "(no source %s is configured, only %s)\n", o.Source, strings.Join(t.sources, ", "))
	}
	if next != "" {
		fmt.Fprintln(t.out, "(there are more: raise --limit or narrow the filter)")
	}
	return nil
}

// Show prints one event with its attempts and documents.
func (t *InboxTool) Show(ctx context.Context, id string) error {
	ev, attempts, docs, err := t.inbox.Get(ctx, id)
	if err != nil {
		return unknownEvent(id, err)
	}
	v := handlers.NewEventView(ev, attempts, docs, t.url)
	if t.json {
		return t.encode(v)
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "event\t%s\nsource\t%s\ntopic\t%s\nprovider's id\t%s\nsubject\t%s\nreceived\t%s\nstate\t%s\n",
		v.ID, v.Source, v.Topic, v.ProviderEventID, v.Subject, v.ReceivedAt.Format(time.RFC3339), v.State)
	if v.DueAt != nil {
		fmt.Fprintf(w, "next try\t%s\n", v.DueAt.Format(time.RFC3339))
	}
	for _, line := range [][2]string{{"class", v.Class}, {"reason", v.Error}, {"what to do", v.Hint}} {
		if line[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
		}
	}
	for _, d := range v.Documents {
		fmt.Fprintf(w, "document\t%s %s\t%s\n", d.DocType, d.Name, d.URL)
	}
	for _, a := range v.History {
		said := strings.Join(strings.Fields(a.Error+" "+a.Detail), " ")
		fmt.Fprintf(w, "try %d\t%s\t%s %s %s\n", a.Number, a.StartedAt.Format(time.RFC3339), a.Result, a.Class, said)
		for _, c := range a.Calls {
			fmt.Fprintf(w, "\t%s\t%s\n", c.StartedAt.Format(time.RFC3339), callLine(c))
		}
	}
	return w.Flush()
}

// callLine is one call to ERPNext: what was asked, what came of it, what was
// sent and what was answered.
func callLine(c handlers.CallView) string {
	answer := "no answer"
	if c.Status != 0 {
		answer = strconv.Itoa(c.Status)
	}
	line := fmt.Sprintf("%s %s -> %s in %d ms", c.Method, strings.TrimPrefix(c.Op, "erpnext."), answer, c.TookMS)
	for _, more := range []string{c.Class, c.Message, c.Request} {
		if more != "" {
			line += " " + more
		}
	}
	if c.Response != "" {
		line += " <- " + c.Response
	}
	return line
}

// Replay puts an event back to be tried again.
func (t *InboxTool) Replay(ctx context.Context, id string) error {
	if err := t.inbox.Replay(ctx, id); err != nil {
		return unknownEvent(id, err)
	}
	return t.done("pending", id, "is pending again: a running service takes it within half a minute")
}

// withHint adds what a person can do about a failure.
func withHint(err error) error {
	if f := fault.As(err); f != nil && f.Hint != "" {
		return fmt.Errorf("%w\n  %s", err, f.Hint)
	}
	return err
}

// Dismiss gives an event up.
func (t *InboxTool) Dismiss(ctx context.Context, id, reason string) error {
	if err := t.inbox.Dismiss(ctx, id, reason); err != nil {
		return unknownEvent(id, err)
	}
	return t.done("ignored", id, "is dismissed")
}

func (t *InboxTool) done(status, id, text string) error {
	if t.json {
		return t.encode(map[string]string{"status": status, "event": id})
	}
	_, err := fmt.Fprintf(t.out, "%s %s\n", id, text)
	return err
}

func (t *InboxTool) encode(v any) error {
	enc := json.NewEncoder(t.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func unknownEvent(id string, err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return fmt.Errorf("no event %q (server events list shows them): %w", id, err)
	}
	return err
}

// Schema is the newest schema of the inbox that this program knows.
func Schema() int { return sqlite.Newest() }

// Migrate brings the inbox's schema to a number; -1 is the newest. Going down
// drops what the undone steps hold, so an inbox with events in it is brought
// down only by force.
func Migrate(ctx context.Context, cfg config.Config, out io.Writer, to int, force bool) error {
	release, err := sole(cfg.DatabasePath) // a service would go on with the schema that it knows
	if err != nil {
		return err
	}
	db, err := OpenInbox(ctx, cfg, zerolog.Nop())
	if err != nil {
		return errors.Join(err, release())
	}
	return errors.Join(migrate(ctx, db, out, to, force), db.Close(), release())
}

func migrate(ctx context.Context, db *sqlite.DB, out io.Writer, to int, force bool) error {
	if to == -1 {
		to = sqlite.Newest()
	}
	if to < 0 || to > sqlite.Newest() {
		return usagef("--to is a number from 0 to %d", sqlite.Newest())
	}
	if to < sqlite.Newest() && !force {
		events, _, err := db.List(ctx, event.Filter{Limit: 1})
		if err != nil {
			return err
		}
		if len(events) > 0 {
			return usagef("the inbox holds events, and going down drops what the newer schema keeps: back the file up, then add --force")
		}
	}
	if err := db.Migrate(ctx, to); err != nil {
		return err
	}
	current, newest, err := db.Schema(ctx)
	if err == nil {
		_, err = fmt.Fprintf(out, "schema %d of %d\n", current, newest)
	}
	return err
}
