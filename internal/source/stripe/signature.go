package stripe

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// tolerance is how far a delivery's timestamp may be from its arrival. Each of
// Stripe's retries is signed anew, so a late one is no retry.
const tolerance = 5 * time.Minute

// verify finds the secret that made one of the signatures, or says why none
// did. It reads the header as Stripe's own Go library does (a test holds the
// two together) but is stricter in two points where that library is lax: a
// timestamp in the future is refused, and so is a header without one. Every
// secret and signature is compared in constant time, whichever fits.
func (s *Source) verify(headers []string, body []byte, now time.Time) (int, string) {
	if len(headers) != 1 {
		return 0, "not exactly one signature header"
	}
	sent, cause := parseHeader(headers[0])
	if cause != "" {
		return 0, cause
	}
	if age := now.Sub(time.Unix(sent.at, 0)); age > tolerance || age < -tolerance {
		return 0, "the timestamp is more than five minutes away"
	}
	slot := -1
	for i, secret := range s.secrets {
		fits, want := 0, mac(secret, sent.at, body)
		for _, signature := range sent.signatures {
			fits |= subtle.ConstantTimeCompare(want, signature)
		}
		if fits == 1 && slot < 0 {
			slot = i
		}
	}
	if slot < 0 {
		return 0, "no secret gives a signature"
	}
	return slot, ""
}

// sent is what a Stripe-Signature header holds.
type sent struct {
	at         int64 // seconds since 1970
	signatures [][]byte
}

// parseHeader reads "t=…,v1=…,v1=…,v0=…". Every v1 counts, because a secret
// being rolled makes two; other schemes are skipped, and so is a v1 that is not
// hex. A part without exactly one "=" spoils the header, and blanks are part of
// names and values.
func parseHeader(header string) (sent, string) {
	var h sent
	timed := false
	for part := range strings.SplitSeq(header, ",") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || strings.Contains(value, "=") {
			return sent{}, "the signature header is not readable"
		}
		switch name {
		case "t":
			at, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return sent{}, "the timestamp is not readable"
			}
			h.at, timed = at, true
		case "v1":
			if sum, err := hex.DecodeString(value); err == nil {
				h.signatures = append(h.signatures, sum)
			}
		}
	}
	if !timed {
		return sent{}, "no timestamp"
	}
	if len(h.signatures) == 0 {
		return sent{}, "no v1 signature"
	}
	return h, ""
}

func mac(secret []byte, at int64, body []byte) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write(strconv.AppendInt(nil, at, 10))
	m.Write([]byte{'.'})
	m.Write(body)
	return m.Sum(nil)
}

func sign(secret []byte, at int64, body []byte) string {
	return "t=" + strconv.FormatInt(at, 10) + ",v1=" + hex.EncodeToString(mac(secret, at, body))
}
