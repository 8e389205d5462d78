package app

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/config"
)

// SendOptions are the arguments of a test event, as given on the command line.
type SendOptions struct {
	Source, Topic, File, URL string
	Count                    int
	Duplicate                bool
}

// signer makes the headers of a correctly signed delivery.
type signer interface {
	Sign(body []byte, topic, eventID string, now time.Time) (http.Header, error)
}

// Send sends test events, signed with the first configured secret, to a
// running service, and prints each answer. It fails when an answer is not 200.
// PayPal's cannot be made: PayPal signs with a key of its own.
func Send(ctx context.Context, cfg config.Config, out io.Writer, o SendOptions) error {
	if o.Source == "" || o.Count < 1 {
		return usagef("name a source (shopify or stripe), and a count of at least 1")
	}
	sources, err := openSources(cfg, nil)
	if err != nil {
		return err
	}
	sign, ok := sources[o.Source].(signer)
	switch {
	case o.Source == sourcePayPal:
		return usagef("only PayPal can sign PayPal's events: resend one from the dashboard (Apps & Credentials, your app, Webhook events)")
	case !ok:
		return usagef("the source %q is not configured, only %s", o.Source, strings.Join(names(sources), ", "))
	}
	sample, err := sampleFor(o)
	if err != nil {
		return err
	}
	target := strings.TrimRight(cmp.Or(o.URL, "http://"+local(cfg.Addr)), "/")
	if u, err := url.Parse(target); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usagef("--url is written like http://127.0.0.1:8080")
	}
	return sendAll(ctx, out, sign, sample, target+"/webhooks/"+o.Source, o)
}

func sampleFor(o SendOptions) (Sample, error) {
	if o.File == "" {
		sample, err := SampleOf(o.Source, o.Topic, time.Now())
		if err != nil {
			return sample, usagef("%v", err)
		}
		return sample, nil
	}
	body, err := os.ReadFile(o.File)
	if err != nil {
		return Sample{}, usagef("%v", err)
	}
	if o.Topic == "" && o.Source == sourceShopify {
		return Sample{}, usagef("a Shopify event needs its --topic")
	}
	return Sample{Source: o.Source, Topic: o.Topic, Body: body}, nil
}

func sendAll(ctx context.Context, out io.Writer, sign signer, sample Sample, target string, o SendOptions) error {
	times := 1
	if o.Duplicate {
		times = 2
	}
	refused := 0
	for i := range o.Count {
		fresh := renew(sample, time.Now(), i)
		for range times {
			ok, err := sendOne(ctx, out, sign, fresh, target)
			if err != nil {
				return err
			}
			if !ok {
				refused++
			}
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d deliveries were not accepted", refused)
	}
	return nil
}

// renew makes a sample an event that was not sent before: a new delivery id
// for Shopify and, as Stripe's event id stands in the body, a new one there.
func renew(s Sample, now time.Time, i int) Sample {
	tag := strconv.FormatInt(now.UnixNano(), 36) + strconv.Itoa(i)
	if s.Source == sourceStripe {
		s.Body = bytes.Replace(s.Body, []byte(`"id": "`+s.EventID+`"`), []byte(`"id": "evt_test_`+tag+`"`), 1)
	}
	s.EventID = "test-" + tag
	return s
}

func sendOne(ctx context.Context, out io.Writer, sign signer, s Sample, target string) (bool, error) {
	header, err := sign.Sign(s.Body, s.Topic, s.EventID, time.Now())
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(s.Body))
	if err != nil {
		return false, usagef("%v", err)
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, noService(err, "--url, else LEDGERHOOK_ADDR,")
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return false, err
	}
	_, err = fmt.Fprintf(out, "%s %s %d %s\n", s.Source, s.Topic, resp.StatusCode, bytes.TrimSpace(answer))
	return resp.StatusCode == http.StatusOK, err
}
