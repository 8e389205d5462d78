package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/corpus"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
)

// delivered is one recorded delivery of the corpus, with the secret or
// certificate that verifies it and the time to verify it at.
type delivered struct {
	Name      string
	Kind      string // not "" = no delivery, but the bare signature function
	Headers   map[string]string
	Secrets   []string
	WebhookID string `json:"webhook_id"`
	CertFile  string `json:"cert_file"`
	Body      []byte `json:"body_base64"`
	Now       int64
	VerifyAt  time.Time `json:"verify_at"`
	Expect    struct {
		Valid     bool
		Signature bool `json:"signature_valid"`
	}
}

// stricter are deliveries that the provider's own libraries take and we do not.
var stricter = map[string]string{
	"derived-future-timestamp":       "the tolerance holds in both directions",
	"official-java-sdk-plan-created": "its certificate's address is not one of PayPal's",
}

// TestVectors carries every recorded delivery through the whole service, at its
// own time: over HTTP, into the inbox, and into ERPNext where it books.
func TestVectors(t *testing.T) {
	dir := corpus.Dir(t, "vectors")
	by, site := newSigners(t), endsSite(t)
	for _, provider := range []string{"shopify", "stripe", "paypal"} {
		files, err := filepath.Glob(filepath.Join(dir, provider, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no vectors of %s: %v", provider, err)
		}
		for _, file := range files {
			v := readDelivered(t, file)
			if v.Kind != "" {
				continue
			}
			t.Run(provider+"/"+v.Name, func(t *testing.T) {
				t.Parallel()
				golden(t, filepath.Join("testdata", "ends", "vectors", provider, v.Name+".txt"), v.end(t, by, site, dir, provider))
			})
		}
	}
}

func readDelivered(t *testing.T, file string) delivered {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v delivered
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// header are the recorded headers. Those that a Shopify delivery always has are
// added where the record has the signature alone: it does not cover them.
func (v delivered) header(provider string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	if provider == "shopify" {
		h.Set("X-Shopify-Topic", "orders/create")
		h.Set("X-Shopify-Webhook-Id", "recorded-1")
	}
	for name, value := range v.Headers {
		h.Set(name, value)
	}
	return h
}

// at is what o'clock it is for the service.
func (v delivered) at() time.Time {
	switch {
	case !v.VerifyAt.IsZero():
		return v.VerifyAt
	case v.Now != 0:
		return time.Unix(v.Now, 0)
	default:
		return time.Now()
	}
}

func (v delivered) end(t *testing.T, by signers, site []byte, dir, provider string) string {
	t.Helper()
	sheet, err := config.ReadSheet(filepath.Join("testdata", "ends", "sheet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var arrived atomic.Bool // what follows happens today: an old lease is over before it begins
	s := startSigned(t, by, sandbox.Options{Fixtures: site}, func(c *config.Config, o *app.Options) {
		c.Sheet = sheet
		switch provider {
		case "paypal":
			c.PayPal = config.PayPal{WebhookID: v.WebhookID, Mode: "sandbox"}
			o.PayPalTransport = servesFile(filepath.Join(dir, provider, v.CertFile))
		case "stripe":
			c.Stripe.Secrets = secretsOf(v.Secrets)
		default:
			c.Shopify.Secrets = secretsOf(v.Secrets)
		}
		o.Now = func() time.Time {
			if arrived.Load() {
				return time.Now()
			}
			return v.at()
		}
	})
	before := s.census()
	code, answer := s.post(t, provider, bytes.NewReader(v.Body), v.header(provider))
	arrived.Store(true)
	var word struct{ Status, Error, Event string }
	if err := json.Unmarshal([]byte(answer), &word); err != nil {
		t.Fatal(err)
	}
	want := (v.Expect.Valid || v.Expect.Signature) && stricter[v.Name] == ""
	if taken := code != http.StatusUnauthorized; taken != want { // 400: signed well, but no event
		t.Errorf("answered %d %s, but the signature is good: %v", code, answer, want)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "answer: %d %s\n", code, word.Status+word.Error)
	if word.Event != "" {
		s.writeEnd(t, &out, word.Event)
		s.writeDocuments(&out, before)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	return out.String()
}

func secretsOf(texts []string) []config.Secret {
	var list []config.Secret
	for _, text := range texts {
		list = append(list, config.Secret(text))
	}
	return list
}

// servesFile answers every request with a file, as PayPal its certificate.
type servesFile string

func (f servesFile) RoundTrip(*http.Request) (*http.Response, error) {
	content, err := os.ReadFile(string(f))
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(content))}, nil
}
