package app_test

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/seal"
)

const bodyKey = "a:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="

// The command finds, exports and erases beside a running, encrypting service.
func TestPrivacyCommandBesideTheService(t *testing.T) {
	ring, err := seal.Parse(bodyKey)
	if err != nil {
		t.Fatal(err)
	}
	s := startService(t, sandbox.Options{}, func(c *config.Config) { c.BodyKeys = ring })
	code, answer := s.send(t, "shopify", "customers/update", "c1", []byte(`{"id":7,"email":"ada@canary.example"}`))
	if code != 200 {
		t.Fatal(code, answer)
	}
	s.settle(t)
	if code, _ := s.post(t, "shopify", strings.NewReader(`{"id":8,"email":"ada@canary.example"}`), http.Header{"X-Shopify-Hmac-Sha256": {"bad"}}); code != 401 {
		t.Fatal(code)
	}
	s.until(t, "the refused request is not kept", func() bool {
		all, err := s.Inbox().Rejections(t.Context(), event.RejectionFilter{})
		return err == nil && len(all) == 1
	})
	run := func(do func(*app.InboxTool) error) string {
		var out bytes.Buffer
		tool, err := app.OpenInboxTool(t.Context(), s.cfg, &out, false)
		if err != nil {
			t.Fatal(err)
		}
		defer tool.Close()
		if err := do(tool); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	ada := app.PrivacyOptions{Email: "Ada@canary.example"}
	gone := ada
	gone.Yes = true
	for _, step := range []struct {
		want string
		do   func(*app.InboxTool) error
	}{
		{"1       refused at the door", func(in *app.InboxTool) error { return in.FindPerson(t.Context(), s.cfg, ada) }},
		{"2 events and refused requests written to", func(in *app.InboxTool) error { return in.ExportPerson(t.Context(), s.cfg, ada) }},
		{"nothing was erased", func(in *app.InboxTool) error { return in.ErasePerson(t.Context(), s.cfg, ada) }},
		{"1 refused requests dropped", func(in *app.InboxTool) error { return in.ErasePerson(t.Context(), s.cfg, gone) }},
		{"0  ", func(in *app.InboxTool) error { return in.FindPerson(t.Context(), s.cfg, ada) }},
	} {
		if out := run(step.do); !strings.Contains(out, step.want) {
			t.Errorf("got %q, want %q", out, step.want)
		}
	}
	if ev := s.event(t, "shopify", "c1"); ev.Body != nil || ev.State != event.Ignored {
		t.Errorf("got %+v", ev)
	}
	if all, err := s.Inbox().Rejections(t.Context(), event.RejectionFilter{}); err != nil || len(all) != 0 {
		t.Errorf("left of the refused requests: %+v, %v", all, err)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(s.cfg.DatabasePath), "export-*.jsonl"))
	if err != nil || len(files) != 1 {
		t.Errorf("files %v, %v", files, err)
	}
	if strings.Contains(s.log.String(), "canary") {
		t.Error("the address is in the log")
	}
}
