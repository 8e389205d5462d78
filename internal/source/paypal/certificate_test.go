package paypal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// chain is a leaf under an intermediate under a root, as PayPal's are.
type chain struct {
	signer     *Signer
	root, next []byte // PEM
}

func newChain(t *testing.T, usage ...x509.ExtKeyUsage) chain {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ca := func(name string) *x509.Certificate {
		c := template(name, arrival)
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		return c
	}
	root, next, leaf := ca("a root"), ca("an intermediate"), template("messageverificationcerts.paypal.com", arrival)
	leaf.ExtKeyUsage = usage
	made := func(cert, issuer *x509.Certificate, public crypto.PublicKey) []byte {
		text, err := issue(cert, issuer, public, caKey)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	return chain{
		signer: &Signer{key: key, leaf: made(leaf, next, key.Public()), certURL: liveCertificates + "CERT-chain"},
		root:   made(root, root, caKey.Public()),
		next:   made(next, root, caKey.Public()),
	}
}

func TestCertificateChain(t *testing.T) {
	c := newChain(t)
	join := func(texts ...[]byte) string { return string(bytes.Join(texts, nil)) }
	tests := []struct {
		name, served, roots string
		want                fault.Kind
	}{
		{"the leaf alone, the intermediate at hand", join(c.signer.leaf), join(c.root, c.next), fault.Internal},
		{"at hand in the other order", join(c.signer.leaf), join(c.next, c.root), fault.Internal},
		{"served with its intermediate", join(c.signer.leaf, c.next), join(c.root), fault.Internal},
		{"served with intermediate and root", join(c.signer.leaf, c.next, c.root), join(c.root), fault.Internal},
		{"no intermediate anywhere", join(c.signer.leaf), join(c.root), fault.Busy},
		{"an intermediate is no anchor", join(c.signer.leaf), join(c.next), fault.Busy},
		{"a root that is served is no anchor", join(c.signer.leaf, c.next, c.root), "", fault.Busy},
		{"the intermediate first", join(c.next, c.signer.leaf), join(c.root), fault.BadSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := source(t, func(o *Options) {
				o.Signer, o.Roots = nil, []byte(tt.roots)
				o.Transport = remote(func(*http.Request) (*http.Response, error) { return answer(http.StatusOK, tt.served), nil })
			})
			_, err := s.Open(t.Context(), signed(t, c.signer, saleBody), []byte(saleBody), arrival)
			if (err == nil) != (tt.want == fault.Internal) || fault.KindOf(err) != tt.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Public CAs no longer issue client certificates, and what PayPal's next ones
// will say they are for is not known.
func TestCertificateUsage(t *testing.T) {
	for name, usage := range map[string]x509.ExtKeyUsage{
		"server": x509.ExtKeyUsageServerAuth, "client": x509.ExtKeyUsageClientAuth, "mail": x509.ExtKeyUsageEmailProtection,
	} {
		t.Run(name, func(t *testing.T) {
			c := newChain(t, usage)
			s := source(t, func(o *Options) {
				o.Signer, o.Roots, o.Transport = nil, append(c.root, c.next...), c.signer.Transport(remote(nobody))
			})
			if _, err := s.Open(t.Context(), signed(t, c.signer, saleBody), []byte(saleBody), arrival); err != nil {
				t.Error(err)
			}
		})
	}
}

// The anchors in the program are the chain that PayPal's own libraries pin: a
// root that signed itself, and an intermediate that it signed.
func TestBuiltInAnchors(t *testing.T) {
	found := map[string]*x509.Certificate{}
	for _, name := range []string{"digicert-high-assurance-ev-root.pem", "digicert-sha2-ev-server.pem"} {
		text, err := anchors.ReadFile("anchors/" + name)
		if err != nil {
			t.Fatal(err)
		}
		certs := parsePEM(text)
		if len(certs) != 1 {
			t.Fatalf("%s holds %d certificates", name, len(certs))
		}
		found[certs[0].Subject.CommonName] = certs[0]
	}
	root, next := found["DigiCert High Assurance EV Root CA"], found["DigiCert SHA2 Extended Validation Server CA"]
	if root == nil || next == nil {
		t.Fatalf("got %v", found)
	}
	if err := next.CheckSignatureFrom(root); err != nil {
		t.Error(err)
	}
	built, err := newTrust(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := built.check([]*x509.Certificate{next}, time.Date(2024, 8, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Errorf("not trusted: %v", err)
	}
}

// A certificate is kept until it runs out, even within the day.
func TestCertificateIsNotKeptBeyondItsEnd(t *testing.T) {
	g := mustSigner(NewSigner(Live, arrival.AddDate(-1, 0, 0).Add(time.Hour))) // 2000 begins an hour before its end
	fetched := 0
	s := source(t, func(o *Options) {
		o.Signer, o.Roots = nil, g.Roots()
		o.Transport = remote(func(r *http.Request) (*http.Response, error) {
			fetched++
			return g.Transport(nil).RoundTrip(r)
		})
	})
	h := signed(t, g, saleBody)
	if _, err := s.Open(t.Context(), h, []byte(saleBody), arrival); err != nil {
		t.Fatal(err)
	}
	_, err := s.Open(t.Context(), h, []byte(saleBody), arrival.Add(2*time.Hour))
	if fault.KindOf(err) != fault.Busy || fetched != 2 {
		t.Errorf("got %v after %d fetches", err, fetched)
	}
}

// Anybody can name a certificate that PayPal does not have. PayPal must not be
// flooded with questions for it in the shop's name.
func TestQuestionsAreBounded(t *testing.T) {
	g := signer()
	synctest.Test(t, func(t *testing.T) {
		var now, most, asked atomic.Int32
		s := source(t, func(o *Options) {
			o.Signer, o.ClientID, o.ClientSecret = nil, "id", clientSecret
			o.Transport = remote(func(r *http.Request) (*http.Response, error) {
				switch {
				case r.URL.Host == "api.paypal.com":
					return nil, errors.New("no such certificate")
				case strings.HasSuffix(r.URL.Path, "/token"):
					res := answer(http.StatusOK, `{"access_token":"A21-token","token_type":"Bearer","expires_in":32400}`)
					res.Header.Set("Content-Type", "application/json")
					return res, nil
				}
				asked.Add(1)
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				select {
				case <-time.After(time.Second):
					return answer(http.StatusOK, `{"verification_status":"FAILURE"}`), nil
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			})
		})
		begin := time.Now()
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				_, err := s.Open(context.Background(), signed(t, g, saleBody), []byte(saleBody), arrival)
				if kind := fault.KindOf(err); kind != fault.BadSignature && kind != fault.Busy {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if most.Load() > maxQuestions || asked.Load() < maxQuestions {
			t.Errorf("%d questions at a time, %d in all", most.Load(), asked.Load())
		}
		if took := time.Since(begin); took > openBudget {
			t.Errorf("took %v", took)
		}
	})
}
