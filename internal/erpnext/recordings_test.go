package erpnext

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/corpus"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

type recorded struct {
	ID       string          `json:"id"`
	As       string          `json:"as"`
	Method   string          `json:"method"`
	Path     string          `json:"path"`
	Body     json.RawMessage `json:"body"`
	Response struct {
		Status int             `json:"status"`
		Body   json.RawMessage `json:"body"`
	} `json:"response"`
}

// request rebuilds what our client would know of the recorded call.
func (r recorded) request() request {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(r.Body, &fields) //nolint:errcheck // not every body is an object
	doctype, rest, _ := strings.Cut(strings.TrimPrefix(r.Path, "/api/resource/"), "/")
	if strings.HasPrefix(r.Path, "/api/method/") {
		return request{op: "erpnext.call", verb: r.Method, path: r.Path}
	}
	_, changes := fields["docstatus"]
	return request{
		op: "erpnext.x " + doctype, verb: r.Method, path: r.Path, doctype: doctype,
		write:      r.Method != http.MethodGet && (r.Method != http.MethodPost || rest == ""),
		amends:     !isBlank(fields["amended_from"]),
		transition: changes && r.Method == http.MethodPut,
	}
}

// TestRecordedRefusals classes every refusal of a real ERPNext 15. Its sibling
// with the project's own data is TestClassify.
func TestRecordedRefusals(t *testing.T) {
	dir := corpus.Dir(t, "erpnext-recordings")
	files, err := filepath.Glob(filepath.Join(dir, "exchanges", "[0-9]*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings in %s: %v", dir, err)
	}
	want := map[string]fault.Kind{
		"so-unknown-customer": fault.Missing, "so-item-lead-space": fault.Missing, "so-key-dup": fault.Duplicate, "cu-key-violation": fault.Duplicate,
		"so-po-dup": fault.Rejected, "pa-bad-party": fault.Missing, "pa-missing-order": fault.Rejected, "sl-cancel-again": fault.Settled,
		"cc-deadlock": fault.Contention, "cc-lockwait": fault.Contention, "pm-poisoned": fault.Maintenance, "pm-update": fault.Maintenance,
		"ls-unknown-order": fault.BadRequest, "mm-ping": fault.Maintenance, "ro-post": fault.Maintenance, "rl-over": fault.RateLimited,
		"auth-none": fault.Credentials, "auth-none-on-create": fault.Credentials, "auth-wrong-key": fault.Credentials, "auth-stock-create": fault.Rights,
		"up-get": fault.Rights, "cf-look-missing": fault.BadRequest, "so-date-iso-time": fault.BadRequest, "auth-unknown-site": fault.Unavailable,
		"cu-name-sent-again": fault.Contention, "cu-group-name": fault.Rejected,
	}
	seen := 0
	for _, file := range files {
		for _, r := range readRecording(t, file) {
			if r.Response.Status < 300 {
				continue
			}
			seen++
			checkRecorded(t, r, want)
			delete(want, r.ID)
		}
	}
	t.Logf("%d refusals", seen)
	if seen < 200 || len(want) > 0 {
		t.Errorf("%d refusals seen; not among them: %v", seen, want)
	}
}

func checkRecorded(t *testing.T, r recorded, want map[string]fault.Kind) {
	t.Helper()
	body := []byte(r.Response.Body)
	var pageText string
	if json.Unmarshal(body, &pageText) == nil {
		body = []byte(pageText) // a page is recorded as a JSON text
	}
	// The corpus's key field has another name on each DocType.
	for _, what := range []string{"customer", "order", "payment", "contact", "address", "invoice", "journal"} {
		body = []byte(strings.ReplaceAll(string(body), "custom_shop_"+what+"_key", KeyField))
	}
	f := classify(r.request(), &reply{status: r.Response.Status, body: body, header: http.Header{}})
	if f.Kind == fault.Internal || f.Hint == "" {
		t.Errorf("%s: %s, hint %q", r.ID, f.Kind, f.Hint)
	}
	if kind, ok := want[r.ID]; ok && f.Kind != kind {
		t.Errorf("%s: got %s (%s), want %s", r.ID, f.Kind, f.Cause, kind)
	}
	if f.Kind == fault.Unavailable && strings.HasPrefix(string(body), "{") {
		t.Errorf("%s: an answer of ERPNext itself is taken for an outage: %s", r.ID, f.Cause)
	}
	for _, private := range []string{"Ann Lee", "Nobody", "Nope", "Lab Co", "lab.test", "SAL-ORD", "{{", "ch_1", "shop/1"} {
		if strings.Contains(f.Error(), private) || strings.Contains(f.Hint, private) {
			t.Errorf("%s: %q is in %q or %q", r.ID, private, f.Error(), f.Hint)
		}
	}
}

func readRecording(t *testing.T, file string) []recorded {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var recording struct {
		Exchanges []struct {
			recorded
			Parallel  []recorded `json:"parallel"`
			Unordered []struct {
				Status int             `json:"status"`
				Body   json.RawMessage `json:"body"`
			} `json:"unordered_responses"`
		} `json:"exchanges"`
	}
	if err := json.Unmarshal(data, &recording); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var out []recorded
	for _, e := range recording.Exchanges {
		out = append(out, e.recorded)
		for i, u := range e.Unordered {
			if len(e.Parallel) == 0 || len(u.Body) == 0 || string(u.Body) == "null" {
				continue
			}
			one := e.Parallel[min(i, len(e.Parallel)-1)]
			one.ID = e.ID
			one.Response.Status, one.Response.Body = u.Status, u.Body
			out = append(out, one)
		}
	}
	return out
}
