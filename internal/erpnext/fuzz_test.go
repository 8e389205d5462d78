package erpnext

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzServerMessages: whatever the text inside the text inside the answer, it
// comes out as trimmed, whole characters, one message for one.
func FuzzServerMessages(f *testing.F) {
	for _, s := range []string{
		`["{\"message\": \"Row 1: <b>Item</b> not found\", \"raise_exception\": 1}"]`,
		`["{\"message\": {\"a\": 1}}", "plain", "{}"]`, `[]`, `["\ud800"]`, `{"a":1}`, `[1]`, "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		messages := serverMessages(text)
		var entries []string
		if json.Unmarshal([]byte(text), &entries) != nil {
			entries = nil
		}
		if len(messages) != len(entries) {
			t.Fatalf("%d messages of %d", len(messages), len(entries))
		}
		for _, m := range messages {
			if !utf8.ValidString(m) || len(m) > 4*len(text) || strings.TrimSpace(m) != m {
				t.Fatalf("not plain: %q", m)
			}
		}
		body, err := json.Marshal(map[string]string{"exc_type": "ValidationError", "_server_messages": text})
		if err != nil {
			t.Skip("no text that could stand in an answer")
		}
		if s := understand(body); !s.json || s.class != "ValidationError" {
			t.Fatalf("the answer around it is not understood: %+v", s)
		}
	})
}
