// Package demo shows the whole service at work without any configuration: a
// real service on a temporary inbox, an in-memory ERPNext, and made-up but
// correctly signed webhooks of every provider over real HTTP.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
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

// What the demo signs with and signs in with. The service listens on loopback
// and lives for seconds.
const (
	shopifySecret   = "demo-shopify-secret"
	stripeSecret    = "whsec_demo"
	paypalWebhookID = "1DE00000MO000000W"
	runtimeKey      = "demo-key"
	runtimeSecret   = "demo-secret"
	setupKey        = "demo-setup-key"
	setupSecret     = "demo-setup-secret"
)

const settleWithin = time.Minute

// Options say where the demo prints and whether it stays up.
type Options struct {
	Out  io.Writer
	JSON bool
	Keep bool // serve until ctx ends, and print the addresses
	Log  zerolog.Logger
}

// Run shows the demo. It fails with ErrUnexpected when a document is not as
// expected.
func Run(ctx context.Context, o Options) error {
	s, err := start(ctx, o)
	if err != nil {
		return err
	}
	report, err := s.show(ctx)
	if err == nil {
		err = report.print(o)
	}
	if err == nil && o.Keep {
		s.printAddresses(o.Out)
		<-ctx.Done()
	}
	return errors.Join(err, s.stop())
}

// stage is everything that runs for the demo.
type stage struct {
	dir     string
	site    *sandbox.Site
	siteURL string
	service *app.App
	signers map[string]signer
	stops   []func() error
}

// signer makes the headers of a correctly signed delivery.
type signer interface {
	Sign(body []byte, topic, eventID string, now time.Time) (http.Header, error)
}

func start(ctx context.Context, o Options) (*stage, error) {
	s := &stage{}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *stage) open(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp("", "ledgerhook-demo-")
	if err != nil {
		return err
	}
	s.dir = dir
	s.stops = append(s.stops, func() error { return os.RemoveAll(dir) })
	if err := s.openSite(ctx); err != nil {
		return fmt.Errorf("in-memory ERPNext: %w", err)
	}
	paypalSigner, err := s.openSigners()
	if err != nil {
		return err
	}
	return s.openService(ctx, paypalSigner, o.Log)
}

// openSite serves the in-memory ERPNext and sets it up as a consultant would.
func (s *stage) openSite(ctx context.Context) error {
	site, err := sandbox.New(sandbox.Options{})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: site, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }()
	s.stops = append(s.stops, server.Close)
	s.site, s.siteURL = site, "http://"+l.Addr().String()

	client, err := erpnext.New(erpnext.Options{URL: s.siteURL, Credentials: erpnext.KeySecret(setupKey, setupSecret)})
	if err != nil {
		return err
	}
	return erpnext.Setup(ctx, client, erpnext.KeyedDocTypes(), func(string) {})
}

func (s *stage) openSigners() (*paypal.Signer, error) {
	shop, err := shopify.New(shopify.Options{Secrets: []string{shopifySecret}})
	if err != nil {
		return nil, err
	}
	pay, err := stripe.New(stripe.Options{Secrets: []string{stripeSecret}})
	if err != nil {
		return nil, err
	}
	pp, err := paypal.NewSigner("live", time.Now())
	if err != nil {
		return nil, err
	}
	s.signers = map[string]signer{"shopify": shop, "stripe": pay, "paypal": paypalSigner{pp}}
	return pp, nil
}

// paypalSigner signs for the demo's webhook: PayPal's signature names it, and
// its topic and event id stand in the body.
type paypalSigner struct{ *paypal.Signer }

func (p paypalSigner) Sign(body []byte, _, _ string, now time.Time) (http.Header, error) {
	return p.Signer.Sign(paypalWebhookID, body, now)
}

func (s *stage) openService(ctx context.Context, pp *paypal.Signer, log zerolog.Logger) error {
	cfg := config.Config{
		Addr: "127.0.0.1:0", OperatorAddr: "127.0.0.1:0",
		DatabasePath: filepath.Join(s.dir, "inbox.db"),
		ERPNext: config.ERPNext{
			URL: s.siteURL, Writers: 1, // one after another: the demo prints the same every time
			APIKey: config.SecretText(runtimeKey), APISecret: config.SecretText(runtimeSecret),
		},
		Shopify: config.Shopify{Secrets: []config.Secret{shopifySecret}},
		Stripe:  config.Stripe{Secrets: []config.Secret{stripeSecret}},
		PayPal:  config.PayPal{WebhookID: paypalWebhookID, Mode: "live", Roots: pp.Roots()},
		// What Shopify Payments collects is booked from the shop's own webhooks
		// where it has an account.
		Sheet: config.Sheet{Settings: config.Settings{Accounts: config.Accounts{Clearing: map[string]config.ByCurrency{"shopify_payments": {"": "Demo Bank - DT"}}}}},
	}
	service, err := app.New(ctx, cfg, app.Options{Log: log, PayPalTransport: pp.Transport(nil)})
	if err != nil {
		return err
	}
	s.service = service
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- service.Run(running, 24*time.Hour) }()
	s.stops = append(s.stops, func() error { cancel(); return <-done })
	return nil
}

func (s *stage) stop() error {
	var problems []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		problems = append(problems, s.stops[i]())
	}
	s.stops = nil
	return errors.Join(problems...)
}

// show sends every sample, one of them twice and one with a wrong signature,
// and waits until the inbox has settled all.
func (s *stage) show(ctx context.Context) (*report, error) {
	samples, err := app.Samples(time.Now())
	if err != nil {
		return nil, err
	}
	r := &report{siteURL: s.siteURL}
	for _, sample := range samples {
		answer, err := s.send(ctx, sample, false)
		if err != nil {
			return nil, err
		}
		r.Deliveries = append(r.Deliveries, answer)
	}
	for _, forged := range []bool{false, true} {
		answer, err := s.send(ctx, samples[0], forged)
		if err != nil {
			return nil, err
		}
		r.Deliveries = append(r.Deliveries, answer)
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	return r, s.collect(ctx, r)
}

func (s *stage) send(ctx context.Context, sample app.Sample, forged bool) (delivery, error) {
	header, err := s.signers[sample.Source].Sign(sample.Body, sample.Topic, sample.EventID, time.Now())
	if err != nil {
		return delivery{}, err
	}
	body := sample.Body
	if forged {
		body = bytes.Replace(body, []byte(`"68.63"`), []byte(`"00.63"`), 1) // the signature stays the old body's
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.service.Addr()+"/webhooks/"+sample.Source, bytes.NewReader(body))
	if err != nil {
		return delivery{}, err
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return delivery{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	return delivery{Source: sample.Source, Topic: sample.Topic, Forged: forged, Status: resp.StatusCode, Answer: string(bytes.TrimSpace(text))}, err
}

// settle waits until nothing is pending.
func (s *stage) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		stats, err := s.service.Inbox().Stats(ctx)
		if err != nil {
			return err
		}
		if stats.ByState[event.Pending] == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New(strconv.FormatInt(stats.ByState[event.Pending], 10) + " events are still pending")
		}
	}
}

func (s *stage) printAddresses(out io.Writer) {
	fmt.Fprintf(out, "\nServing until you press Ctrl-C:\n  webhooks  http://%s/webhooks/{shopify,stripe,paypal}\n  metrics   http://%s/metrics\n  events    http://%s/api/v1/events\n  ERPNext   %s/api/resource/Sales%%20Order  (Authorization: token %s:%s)\n",
		s.service.Addr(), s.service.OperatorAddr(), s.service.OperatorAddr(), s.siteURL, runtimeKey, runtimeSecret)
}
