package paypal

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"
)

// Signer signs as PayPal does, with a certificate of its own making. It exists
// for demonstrations and tests: only a source that was given it, or its Roots,
// believes it, and nothing of it is kept.
type Signer struct {
	key     *rsa.PrivateKey
	leaf    []byte // PEM
	roots   []byte // PEM
	certURL string
}

// NewSigner makes keys and certificates that are valid from a day before now
// until a year after it.
func NewSigner(mode string, now time.Time) (*Signer, error) {
	if mode == Sandbox {
		return newSigner("messageverificationcerts.sandbox.paypal.com", sandboxCertificates, now)
	}
	return newSigner("messageverificationcerts.paypal.com", liveCertificates, now)
}

func newSigner(name, certificates string, now time.Time) (*Signer, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("paypal: signer: %w", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("paypal: signer: %w", err)
	}
	ca := template("ledgerhook demonstration CA", now)
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	roots, err := issue(ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	leaf, err := issue(template(name, now), ca, key.Public(), caKey)
	if err != nil {
		return nil, err
	}
	return &Signer{key: key, leaf: leaf, roots: roots, certURL: certificates + "CERT-ledgerhook-demonstration"}, nil
}

func template(name string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-24 * time.Hour),
		NotAfter:     now.Add(365 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func issue(cert, issuer *x509.Certificate, public crypto.PublicKey, key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, cert, issuer, public, key)
	if err != nil {
		return nil, fmt.Errorf("paypal: signer: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// Roots is the signer's CA certificate as PEM, for Options.Roots.
func (g *Signer) Roots() []byte { return g.roots }

// Certificate is the certificate that its signatures are made with, as PEM.
func (g *Signer) Certificate() []byte { return g.leaf }

// CertURL is the address that its transmissions name. It lies at PayPal, as it
// must, but PayPal has nothing there; Transport serves it.
func (g *Signer) CertURL() string { return g.certURL }

// Transport answers requests for the signer's certificate and hands all others
// to next.
func (g *Signer) Transport(next http.RoundTripper) http.RoundTripper {
	return signerTransport{signer: g, next: next}
}

type signerTransport struct {
	signer *Signer
	next   http.RoundTripper
}

func (t signerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() != t.signer.certURL {
		return t.next.RoundTrip(r)
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:  http.Header{"Content-Type": {"application/x-pem-file"}},
		Body:    io.NopCloser(bytes.NewReader(t.signer.leaf)),
		Request: r,
	}, nil
}

// Sign gives the headers of a transmission of body to the webhook of that id.
// Every transmission has an id of its own.
func (g *Signer) Sign(webhookID string, body []byte, now time.Time) (http.Header, error) {
	t := transmission{id: rand.Text(), time: now.UTC().Format("2006-01-02T15:04:05Z")}
	sum := sha256.Sum256(t.message(webhookID, body))
	signature, err := rsa.SignPKCS1v15(rand.Reader, g.key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, fmt.Errorf("paypal: sign: %w", err)
	}
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("Paypal-Transmission-Id", t.id)
	h.Set("Paypal-Transmission-Time", t.time)
	h.Set("Paypal-Transmission-Sig", base64.StdEncoding.EncodeToString(signature))
	h.Set("Paypal-Cert-Url", g.certURL)
	h.Set("Paypal-Auth-Algo", algorithm)
	h.Set("Paypal-Auth-Version", "v2")
	return h, nil
}
