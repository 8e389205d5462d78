package privacy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// exported is one line of an export.
type exported struct {
	ID         string            `json:"id"`
	Source     string            `json:"source"`
	Topic      string            `json:"topic"`
	ReceivedAt time.Time         `json:"received_at"`
	State      event.State       `json:"state"`
	Reason     string            `json:"reason,omitempty"`
	Header     map[string]string `json:"header,omitempty"`
	exportedBody
	Attempts   []exportedAttempt `json:"attempts,omitempty"`
	Documents  []event.Document  `json:"documents,omitempty"`
	BodyErased bool              `json:"body_no_longer_kept,omitempty"`
}

// exportedRefusal is the line of a request that was refused at the door.
type exportedRefusal struct {
	ID         string              `json:"id"`
	Source     string              `json:"source"`
	ReceivedAt time.Time           `json:"received_at"`
	Refused    string              `json:"refused"` // why
	Header     map[string][]string `json:"header,omitempty"`
	exportedBody
}

type exportedBody struct {
	Body      json.RawMessage `json:"body,omitempty"`
	BodyBytes []byte          `json:"body_base64,omitempty"` // a body that is no JSON
}

func exportBody(body []byte) exportedBody {
	if json.Valid(body) {
		return exportedBody{Body: body}
	}
	return exportedBody{BodyBytes: body}
}

type exportedAttempt struct {
	StartedAt time.Time `json:"started_at"`
	Result    string    `json:"result"`
	Reason    string    `json:"reason,omitempty"`
	Detail    string    `json:"detail,omitempty"`
}

var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Export writes what the inbox holds of p as JSON lines, one event or refused
// request a line, to name.jsonl in the Desk's folder, readable for its owner
// alone, and tells path and number of lines. A file of that name is never overwritten: it is the
// answer to the same request, and Conflict. The event `except` is left out.
func (d *Desk) Export(ctx context.Context, p Person, name, except string) (string, int, error) {
	const op = "privacy.export"
	if !fileName.MatchString(name) {
		return "", 0, fault.New(fault.Malformed, op, "the export's name is no file name")
	}
	path := filepath.Join(d.Dir, name+".jsonl")
	if _, err := os.Lstat(path); err == nil {
		return path, 0, errExists(op)
	}
	found, err := d.Find(ctx, p)
	if err != nil {
		return "", 0, err
	}
	n, err := d.write(ctx, path, found, except)
	switch {
	case errors.Is(err, fs.ErrExist):
		return path, 0, errExists(op)
	case fault.As(err) == nil && err != nil:
		return "", 0, &fault.Error{
			Kind: fault.Busy, Op: op, Cause: "the export could not be written",
			Hint: "check that the folder of LEDGERHOOK_PRIVACY_DIR exists, is writable for the service's user and has space", Err: err,
		}
	}
	return path, n, err
}

func errExists(op string) error {
	return fault.New(fault.Conflict, op, "an export of this name is there already")
}

// write makes the file whole under another name first: what has the name is
// complete, also after a crash.
func (d *Desk) write(ctx context.Context, path string, found Found, except string) (int, error) {
	f, err := os.CreateTemp(d.Dir, ".export-*") // made with mode 0600
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	n, err := d.lines(ctx, f, found, except)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return n, os.Link(f.Name(), path) // unlike a rename it fails when the name is taken
}

func (d *Desk) lines(ctx context.Context, f *os.File, found Found, except string) (int, error) {
	w := bufio.NewWriter(f)
	out := json.NewEncoder(w)
	n := 0
	for _, ev := range found.Events {
		if ev.ID == except {
			continue
		}
		line, err := d.line(ctx, ev.ID)
		if err != nil {
			return n, err
		}
		if err := out.Encode(line); err != nil {
			return n, fmt.Errorf("event %s: %w", ev.ID, err)
		}
		n++
	}
	for _, r := range found.Rejections {
		err := d.refusal(ctx, out, r.ID)
		if fault.KindOf(err) == fault.NotFound {
			continue // newer ones have pushed it out meanwhile
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, w.Flush()
}

func (d *Desk) refusal(ctx context.Context, out *json.Encoder, id string) error {
	r, err := d.Inbox.Rejection(ctx, id)
	if err != nil {
		return err
	}
	if r.Unreadable != "" {
		return unsearchable("a refused request cannot be read: " + r.Unreadable)
	}
	return out.Encode(exportedRefusal{
		ID: r.ID, Source: r.Source, ReceivedAt: r.ReceivedAt, Refused: r.Class + ": " + r.Reason, Header: r.Header, exportedBody: exportBody(r.Body),
	})
}

func (d *Desk) line(ctx context.Context, id string) (exported, error) {
	ev, attempts, docs, err := d.Inbox.Get(ctx, id)
	if err == nil && ev.Unreadable != "" {
		err = &fault.Error{Kind: fault.Sealed, Op: "privacy.export", Cause: "a stored body cannot be read: " + ev.Unreadable, Hint: "configure its key in LEDGERHOOK_BODY_KEYS again"}
	}
	if err != nil {
		return exported{}, err
	}
	line := exported{
		ID: ev.ID, Source: ev.Source, Topic: ev.Topic, ReceivedAt: ev.ReceivedAt, State: ev.State, Reason: ev.Reason,
		Header: ev.Header, Documents: docs, BodyErased: ev.Body == nil, exportedBody: exportBody(ev.Body),
	}
	for _, a := range attempts {
		line.Attempts = append(line.Attempts, exportedAttempt{a.StartedAt, a.Result, a.Reason, a.Detail})
	}
	return line, nil
}
