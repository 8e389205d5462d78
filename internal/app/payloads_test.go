package app_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/corpus"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// payloadEnd is how a real payload must end: refused at the door with a code,
// or accepted and then in a state, for a reason that contains the text.
type payloadEnd struct {
	file   string
	code   int // 0 = 200
	state  event.State
	reason string
}

func TestEveryRealPayloadEnds(t *testing.T) {
	dir := corpus.Dir(t, "payloads")
	s := startService(t, sandbox.Options{}, nil)
	want := map[string]payloadEnd{}
	for _, e := range payloadEnds {
		want[e.file] = e
	}
	sent := map[string]event.Event{}
	for _, provider := range []string{"shopify", "stripe", "paypal"} {
		files, err := filepath.Glob(filepath.Join(dir, provider, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no payloads of %s: %v", provider, err)
		}
		for _, file := range files {
			name := provider + "/" + strings.TrimSuffix(filepath.Base(file), ".json")
			e, ok := want[name]
			if !ok {
				t.Errorf("%s: its end is not written down", name)
				continue
			}
			topic, body := readPayload(t, file)
			body = withOwnID(t, body, name)
			code, answer := s.send(t, provider, topic, name, body)
			if e.code == 0 {
				e.code = 200
			}
			if code != e.code {
				t.Errorf("%s: answered %d %s, want %d", name, code, answer, e.code)
			}
			var got struct{ Event string }
			if err := json.Unmarshal([]byte(answer), &got); err == nil && got.Event != "" {
				sent[name] = event.Event{ID: got.Event}
			}
		}
	}
	s.settle(t)
	for name, ev := range sent {
		stored, _, _, err := s.Inbox().Get(t.Context(), ev.ID)
		if err != nil {
			t.Fatal(err)
		}
		if e := want[name]; stored.State != e.state || !strings.Contains(stored.Reason, e.reason) {
			t.Errorf("%s: ended %s (%s: %s), want %s (%s)", name, stored.State, stored.Class, stored.Reason, e.state, e.reason)
		}
	}
}

// readPayload gives a payload's topic and its exact bytes, where known.
func readPayload(t *testing.T, file string) (string, []byte) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Topic   string
		Body    json.RawMessage
		BodyRaw string `json:"body_raw"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	if p.BodyRaw != "" {
		return p.Topic, []byte(p.BodyRaw)
	}
	return p.Topic, p.Body
}

// withOwnID gives a body's event an id of its own: in many samples it was
// replaced by zeros, and the same id is the same event.
func withOwnID(t *testing.T, body []byte, name string) []byte {
	t.Helper()
	var ev struct {
		ID any `json:"id"`
	}
	if err := json.Unmarshal(body, &ev); err != nil {
		t.Fatal(err)
	}
	id, ok := ev.ID.(string)
	if !ok || !strings.HasPrefix(id, "evt_") && !strings.HasPrefix(id, "WH-") {
		return body
	}
	own := id[:3] + "_" + strings.NewReplacer("/", "_", ".", "_").Replace(name)
	return bytes.Replace(body, []byte(`"`+id+`"`), []byte(`"`+own+`"`), 1)
}
