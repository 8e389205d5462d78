package paypal

import (
	"bytes"
	"context"
	"crypto/x509"
	"embed"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// anchors are public CA certificates: the chain that PayPal's own libraries pin
// (DigiCert SHA2 Extended Validation Server CA under DigiCert High Assurance EV
// Root CA). PayPal's address serves the leaf alone, and the root has left the
// common stores, so both must be at hand.
//
//go:embed anchors/*.pem
var anchors embed.FS

const (
	certTimeout  = 2500 * time.Millisecond
	certLifetime = 24 * time.Hour // PayPal's own max-age
	maxCerts     = 16             // known at a time: PayPal uses one or two
	maxFetches   = 4              // at a time: the address comes from a stranger
	maxCertBytes = 64 << 10
)

// Why there is no certificate to verify with.
var (
	errNotFetched = errors.New("the certificate could not be fetched")
	errNoCert     = errors.New("the certificate's address gave no certificate")
	errUntrusted  = errors.New("the certificate is not trusted or not valid now")
)

// trust is what a chain may end in and lead over.
type trust struct {
	roots, intermediates *x509.CertPool
	until                time.Time // when the first anchor of ours ends; the system's are the system's business
}

// newTrust collects the built-in anchors, the system's, and further ones.
// Self-signed certificates are anchors, others help to build a chain.
func newTrust(further []byte) (trust, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // no system store: the built-in anchors remain
	}
	t := trust{roots: roots, intermediates: x509.NewCertPool()}
	files, err := anchors.ReadDir("anchors")
	if err != nil {
		return trust{}, err
	}
	for _, f := range files {
		text, err := anchors.ReadFile("anchors/" + f.Name())
		if err != nil {
			return trust{}, err
		}
		t.add(parsePEM(text))
	}
	if extra := parsePEM(further); len(extra) > 0 || len(bytes.TrimSpace(further)) == 0 {
		t.add(extra)
		return t, nil
	}
	return trust{}, errors.New("paypal: the further roots hold no readable certificate")
}

func (t *trust) add(certs []*x509.Certificate) {
	for _, c := range certs {
		if bytes.Equal(c.RawIssuer, c.RawSubject) {
			t.roots.AddCert(c)
			if t.until.IsZero() || c.NotAfter.Before(t.until) {
				t.until = c.NotAfter
			}
		} else {
			t.intermediates.AddCert(c)
		}
	}
}

// check builds a chain from a leaf, with what was served behind it. Any
// extended key usage will do: public CAs no longer issue client certificates.
func (t trust) check(certs []*x509.Certificate, now time.Time) error {
	between := t.intermediates
	if len(certs) > 1 {
		between = between.Clone()
		for _, c := range certs[1:] {
			between.AddCert(c)
		}
	}
	_, err := certs[0].Verify(x509.VerifyOptions{
		Roots: t.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}

// parsePEM gives the certificates of a PEM text and passes over anything else.
func parsePEM(text []byte) []*x509.Certificate {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			certs = append(certs, c)
		}
	}
	return certs
}

// certificates fetches, judges and remembers PayPal's certificates by address.
// Failures are not remembered.
type certificates struct {
	client *http.Client
	trust  trust
	flight singleflight.Group
	free   chan struct{}

	mu    sync.Mutex
	known map[string]knownCert
}

type knownCert struct {
	leaf        *x509.Certificate
	from, until time.Time
}

func newCertificates(transport http.RoundTripper, t trust) *certificates {
	return &certificates{
		client: &http.Client{
			Transport:     transport,
			Timeout:       certTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		trust: t,
		free:  make(chan struct{}, maxFetches),
		known: map[string]knownCert{},
	}
}

// get gives the certificate at an allowed address that is trusted and valid at
// now. Deliveries that want the same one at the same time share one fetch,
// which goes on when the first of them gives up.
func (c *certificates) get(ctx context.Context, address string, now time.Time) (*x509.Certificate, error) {
	if leaf := c.remembered(address, now); leaf != nil {
		return leaf, nil
	}
	keep := context.WithoutCancel(ctx)
	answer := c.flight.DoChan(address, func() (any, error) {
		return c.load(keep, address, now)
	})
	select {
	case <-ctx.Done():
		return nil, errNotFetched
	case r := <-answer:
		leaf, _ := r.Val.(*x509.Certificate)
		return leaf, r.Err
	}
}

func (c *certificates) remembered(address string, now time.Time) *x509.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.known[address]
	if !ok || now.Before(k.from) || now.After(k.until) {
		return nil
	}
	return k.leaf
}

func (c *certificates) load(ctx context.Context, address string, now time.Time) (*x509.Certificate, error) {
	if leaf := c.remembered(address, now); leaf != nil {
		return leaf, nil // another fetch ended between the look and the flight
	}
	text, err := c.fetch(ctx, address)
	if err != nil {
		return nil, err
	}
	certs := parsePEM(text)
	if len(certs) == 0 {
		return nil, errNoCert
	}
	if c.trust.check(certs, now) != nil {
		return nil, errUntrusted
	}
	c.remember(address, certs[0], now)
	return certs[0], nil
}

func (c *certificates) remember(address string, leaf *x509.Certificate, now time.Time) {
	k := knownCert{leaf: leaf, from: leaf.NotBefore, until: now.Add(certLifetime)}
	if leaf.NotAfter.Before(k.until) {
		k.until = leaf.NotAfter
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxCerts {
		clear(c.known) // more than PayPal ever uses: begin again
	}
	c.known[address] = k
}

func (c *certificates) fetch(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, certTimeout)
	defer cancel()
	select {
	case c.free <- struct{}{}:
		defer func() { <-c.free }()
	case <-ctx.Done():
		return nil, errNotFetched
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, errNotFetched
	}
	res, err := c.client.Do(req)
	if err != nil {
		return nil, errNotFetched
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxCertBytes+1))
	if err != nil || res.StatusCode != http.StatusOK || len(text) > maxCertBytes {
		return nil, errNotFetched
	}
	return text, nil
}
