package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal"
	"github.com/ledgerhook/ledgerhook/internal/source/shopify"
	"github.com/ledgerhook/ledgerhook/internal/source/stripe"
	"github.com/rs/zerolog"
)

const (
	shopifySecret = "test-shopify-secret"
	stripeSecret  = "whsec_test"
	webhookID     = "1TE00000ST000000W"
)

// bareSite serves an in-memory ERPNext as it is before server setup.
func bareSite(t testing.TB, o sandbox.Options) (*sandbox.Site, string) {
	t.Helper()
	site, err := sandbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site)
	t.Cleanup(server.Close)
	return site, server.URL
}

// newSite serves an in-memory ERPNext that is set up.
func newSite(t testing.TB, o sandbox.Options) (*sandbox.Site, string) {
	t.Helper()
	site, address := bareSite(t, o)
	client, err := erpnext.New(erpnext.Options{URL: address, Credentials: erpnext.KeySecret("demo-setup-key", "demo-setup-secret")})
	if err != nil {
		t.Fatal(err)
	}
	if err := erpnext.Setup(t.Context(), client, erpnext.KeyedDocTypes(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	return site, address
}

// signers sign for every provider.
type signers struct {
	shop *shopify.Source
	pay  *stripe.Source
	pal  *paypal.Signer
}

func newSigners(t testing.TB) signers {
	t.Helper()
	s, err := sharedSigners()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sharedSigners are made once: PayPal's keys take longer than most tests.
var sharedSigners = sync.OnceValues(func() (signers, error) {
	shop, shopErr := shopify.New(shopify.Options{Secrets: []string{shopifySecret}})
	pay, payErr := stripe.New(stripe.Options{Secrets: []string{stripeSecret}})
	pal, palErr := paypal.NewSigner("live", time.Now())
	return signers{shop, pay, pal}, errors.Join(shopErr, payErr, palErr)
})

func (s signers) sign(t testing.TB, source, topic, eventID string, body []byte) http.Header {
	t.Helper()
	var h http.Header
	var err error
	switch source {
	case "shopify":
		h, err = s.shop.Sign(body, topic, eventID, time.Now())
	case "stripe":
		h, err = s.pay.Sign(body, topic, eventID, time.Now())
	default:
		h, err = s.pal.Sign(webhookID, body, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	h.Set("Content-Type", "application/json")
	return h
}

// service is a running service with an in-memory ERPNext behind it.
type service struct {
	*app.App
	cfg     config.Config
	site    *sandbox.Site
	signers signers
	log     *buffer
	stop    func() error
}

func testConfig(t testing.TB, siteURL string, s signers) config.Config {
	wait := time.Duration(0)
	return config.Config{
		Addr: "127.0.0.1:0", OperatorAddr: "127.0.0.1:0", DatabasePath: filepath.Join(t.TempDir(), "inbox.db"),
		ERPNext: config.ERPNext{URL: siteURL, Writers: 2, APIKey: config.SecretText("demo-key"), APISecret: config.SecretText("demo-secret")},
		Shopify: config.Shopify{Secrets: []config.Secret{shopifySecret}},
		Stripe:  config.Stripe{Secrets: []config.Secret{stripeSecret}},
		PayPal:  config.PayPal{WebhookID: webhookID, Mode: "live", Roots: s.pal.Roots()},
		Sheet:   config.Sheet{Settings: config.Settings{Payments: config.Payments{WaitForOrder: &wait}}},
	}
}

func startService(t testing.TB, o sandbox.Options, change func(*config.Config)) *service {
	t.Helper()
	site, url := newSite(t, o)
	return startServiceOn(t, site, url, change)
}

// startServiceOn starts a service with this in-memory ERPNext behind it.
func startServiceOn(t testing.TB, site *sandbox.Site, url string, change func(*config.Config), options ...func(*app.Options)) *service {
	t.Helper()
	return run(t, site, url, newSigners(t), func(c *config.Config, o *app.Options) {
		if change != nil {
			change(c)
		}
		for _, opt := range options {
			opt(o)
		}
	})
}

// startSigned is startService with signers that others may share: making
// PayPal's takes longer than all the rest.
func startSigned(t testing.TB, by signers, o sandbox.Options, change func(*config.Config, *app.Options)) *service {
	t.Helper()
	site, url := newSite(t, o)
	return run(t, site, url, by, change)
}

func run(t testing.TB, site *sandbox.Site, url string, by signers, change func(*config.Config, *app.Options)) *service {
	t.Helper()
	s := &service{site: site, signers: by, log: &buffer{}}
	s.cfg = testConfig(t, url, s.signers)
	options := app.Options{
		Log: zerolog.New(s.log), PayPalTransport: s.signers.pal.Transport(nil), CustomersFresh: time.Hour,
		Rand: func() float64 { return 0.01 }, // a retry in hundredths of its usual time
	}
	change(&s.cfg, &options)
	var err error
	if s.App, err = app.New(t.Context(), s.cfg, options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, 24*time.Hour) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// send delivers a correctly signed body.
func (s *service) send(t testing.TB, source, topic, eventID string, body []byte) (int, string) {
	t.Helper()
	return s.post(t, source, bytes.NewReader(body), s.signers.sign(t, source, topic, eventID, body))
}

func (s *service) post(t testing.TB, source string, body io.Reader, h http.Header) (int, string) {
	t.Helper()
	return s.do(t, http.MethodPost, "/webhooks/"+source, body, h)
}

func (s *service) do(t testing.TB, method, path string, body io.Reader, h http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = h
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(answer))
}

// settle waits until nothing is pending.
func (s *service) settle(t testing.TB) {
	t.Helper()
	s.until(t, "events are still pending", func() bool {
		stats, err := s.Inbox().Stats(t.Context())
		return err == nil && stats.ByState[event.Pending] == 0
	})
}

// until waits for something that another goroutine brings about.
func (s *service) until(t testing.TB, otherwise string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s; log:\n%s", otherwise, s.log)
		}
	}
}

// event is what the inbox holds of an event.
func (s *service) event(t testing.TB, source, providerID string) event.Event {
	t.Helper()
	ev, _, _, err := s.Inbox().Get(t.Context(), event.NewID(source, providerID))
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// documents are ERPNext's documents of a type with this key.
func (s *service) documents(doctype, key string) []map[string]any {
	var list []map[string]any
	for _, doc := range s.site.Documents(doctype) {
		if key == "" || fmt.Sprint(doc[erpnext.KeyField]) == key {
			list = append(list, doc)
		}
	}
	return list
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
