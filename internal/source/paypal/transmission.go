package paypal

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const algorithm = "SHA256withRSA"

// How far a transmission's time may be from its arrival. PayPal tries for three
// days, and events can be sent again by hand much later; whether such a
// transmission is signed anew is not documented, so age alone says little. The
// inbox knows every transmission id it has taken.
const (
	maxAhead = 5 * time.Minute
	maxAge   = 30 * 24 * time.Hour
)

// transmission is what the headers of a delivery say.
type transmission struct {
	id        string
	time      string // as received: the signature covers the text
	signature []byte
	sigText   string
	certURL   string
}

// readTransmission reads the headers, or says what is wrong with them. Ids and
// times must not hold the "|" that separates the signed parts, or two different
// transmissions could be signed alike.
func (s *Source) readTransmission(h http.Header, now time.Time) (transmission, string) {
	for _, name := range []string{"Id", "Time", "Sig"} {
		if len(h.Values("Paypal-Transmission-"+name)) != 1 {
			return transmission{}, "not exactly one transmission " + strings.ToLower(name)
		}
	}
	if len(h.Values("Paypal-Cert-Url")) != 1 || len(h.Values("Paypal-Auth-Algo")) != 1 {
		return transmission{}, "not exactly one certificate address and algorithm"
	}
	t := transmission{
		id:      h.Get("Paypal-Transmission-Id"),
		time:    h.Get("Paypal-Transmission-Time"),
		sigText: h.Get("Paypal-Transmission-Sig"),
		certURL: h.Get("Paypal-Cert-Url"),
	}
	if h.Get("Paypal-Auth-Algo") != algorithm {
		return transmission{}, "another algorithm than " + algorithm
	}
	if !s.allowedURL(t.certURL) {
		return transmission{}, "a certificate address that is not PayPal's"
	}
	return t, t.check(now)
}

func (t *transmission) check(now time.Time) string {
	if !plainName(t.id, 50) {
		return "no usable transmission id"
	}
	at, err := time.Parse(time.RFC3339, t.time)
	if err != nil {
		return "no usable transmission time"
	}
	if at.Sub(now) > maxAhead || now.Sub(at) > maxAge {
		return "the transmission time is too far from now"
	}
	if len(t.sigText) > 1024 || strings.ContainsAny(t.sigText, "\r\n") {
		return "no usable signature"
	}
	t.signature, err = base64.StdEncoding.Strict().DecodeString(t.sigText)
	if err != nil || len(t.signature) == 0 {
		return "no usable signature"
	}
	return ""
}

// signedBy reports whether the certificate's key made the signature.
func (t transmission) signedBy(leaf *x509.Certificate, webhookID string, body []byte) bool {
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return false
	}
	sum := sha256.Sum256(t.message(webhookID, body))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], t.signature) == nil
}

// message is the text that PayPal signs.
func (t transmission) message(webhookID string, body []byte) []byte {
	sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10)
	return []byte(t.id + "|" + t.time + "|" + webhookID + "|" + sum)
}

// keep gives the headers worth keeping; the signature is not among them.
func (t transmission) keep() map[string]string {
	return map[string]string{
		"Paypal-Transmission-Id":   t.id,
		"Paypal-Transmission-Time": t.time,
		"Paypal-Cert-Url":          t.certURL,
	}
}

// The only places where a certificate is fetched from.
const (
	liveCertificates    = "https://api.paypal.com/v1/notifications/certs/"
	sandboxCertificates = "https://api.sandbox.paypal.com/v1/notifications/certs/"
)

// allowedURL compares the text, not the parts of a parsed address, so that no
// two readers can see two different hosts in it: no port, user, query, fragment,
// escape or further path has a place in the last part. The live world takes the
// live host alone; the sandbox takes both, because the simulator signs with the
// live certificate.
func (s *Source) allowedURL(text string) bool {
	name, ok := strings.CutPrefix(text, liveCertificates)
	if !ok && s.mode == Sandbox {
		name, ok = strings.CutPrefix(text, sandboxCertificates)
	}
	return ok && plainName(name, 64)
}

// rightName holds a certificate to the names PayPal uses, of the same world as
// the host that serves it.
func rightName(commonName, certURL string) bool {
	if !strings.HasPrefix(commonName, "messageverificationcerts") {
		return false
	}
	sandbox := strings.HasSuffix(commonName, ".sandbox.paypal.com")
	if strings.HasPrefix(certURL, sandboxCertificates) {
		return sandbox
	}
	return strings.HasSuffix(commonName, ".paypal.com") && !sandbox
}

// plainName reports whether a text is 1 to limit letters, digits, "-" or "_".
func plainName(text string, limit int) bool {
	if text == "" || len(text) > limit {
		return false
	}
	for _, c := range []byte(text) {
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
