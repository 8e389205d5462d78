package paypal

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/corpus"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

var update = flag.Bool("update", false, "write what the corpus decodes to into testdata")

const corpusGolden = "testdata/corpus.txt"

// TestDecodeOverTheCorpus holds what every sample and every recorded
// transmission says, each read by hand once. Transmissions go the whole way,
// through Open.
func TestDecodeOverTheCorpus(t *testing.T) {
	golden, err := os.ReadFile(corpusGolden)
	if err != nil && !*update {
		t.Fatal(err)
	}
	var got strings.Builder
	files, err := filepath.Glob(filepath.Join(corpus.Dir(t, "payloads/paypal"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads: %v", err)
	}
	for _, file := range files {
		var p struct {
			Topic string
			Body  json.RawMessage
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		c, err := decode(t, p.Topic, string(p.Body))
		describe(&got, strings.TrimSuffix(filepath.Base(file), ".json"), c, err)
	}
	for _, v := range vectors(t) {
		ev, mode := event.Event{}, Live
		if strings.Contains(v.header.Get("Paypal-Cert-Url"), "sandbox") {
			mode = Sandbox
			v.header.Set("Paypal-Cert-Url", sandboxCertificates+"CERT-2017")
		}
		s := v.seen(t, mode, v.WebhookID)
		if ev, err = s.Open(t.Context(), v.header, v.Body, v.VerifyAt); (err == nil) != v.Expect.Valid {
			t.Errorf("%s: open: %v", v.Name, err)
		}
		if err != nil {
			continue
		}
		ev.ReceivedAt = came
		c, err := s.Decode(ev)
		describe(&got, "transmission "+v.Name, c, err)
	}
	if *update {
		if err := os.WriteFile(corpusGolden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(golden), got.String()); diff != "" {
		t.Errorf("the corpus says (-golden +got):\n%s", diff)
	}
}

// describe writes one event as a person reads it.
func describe(w *strings.Builder, name string, c commerce.Content, err error) {
	fmt.Fprintf(w, "== %s\n", name)
	if err != nil {
		fmt.Fprintf(w, "refused: %v\n", err)
	}
	if c.Ignored != "" {
		fmt.Fprintf(w, "ignored: %s\n", c.Ignored)
	}
	if p := c.Payment; p != nil {
		fmt.Fprintf(w, "payment %s of %s at %s for %q from %q\n%s", p.ID, p.Amount, p.At.Format(time.RFC3339), p.OrderRefs, p.PayerEmail, inBalance(p.Settlement))
	}
	for _, r := range c.Refunds {
		fmt.Fprintf(w, "refund %s of payment %q, %s %s at %s for %q, reversed: %v\n%s",
			r.ID, r.PaymentID, r.Amount, r.Outcome, r.At.Format(time.RFC3339), r.OrderRefs, r.Reversed, inBalance(r.Settlement))
	}
	if d := c.Dispute; d != nil {
		fmt.Fprintf(w, "dispute %s of payment %q, %s %s at %s, reason %s\n", d.ID, d.PaymentID, d.Amount, d.Stage, d.At.Format(time.RFC3339), d.Reason)
		for _, m := range d.Movements {
			fmt.Fprint(w, inBalance(&m))
		}
	}
}

func inBalance(s *commerce.Settlement) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("  balance (%s): gross %s, fee %s, net %s\n", s.ID, s.Gross, s.Fee, s.Net)
}
