package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	hookIn   = 15 * time.Second
	mostRead = 64 << 10
)

// Hook posts JSON to an address that is itself a secret: neither its errors nor
// its printed form ever show it, nor what the far side answered.
type Hook struct {
	op   string
	url  string
	http *http.Client
}

// NewHook makes a Hook. The operation names it in errors. A nil client means
// one with a timeout of 15 s; redirects are never followed.
func NewHook(op, url string, client *http.Client) *Hook {
	own := http.Client{Timeout: hookIn}
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Hook{op: op, url: url, http: &own}
}

// String is the operation; the address stays out of sight.
func (h *Hook) String() string { return h.op }

// GoString is String.
func (h *Hook) GoString() string { return h.op }

// Post sends v as JSON and returns the answer's text, also beside the error of
// an answer that is no success.
func (h *Hook) Post(ctx context.Context, v any) (string, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return "", fault.New(fault.Internal, h.op, "message cannot be written as JSON")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return "", &fault.Error{Kind: fault.Rejected, Op: h.op, Cause: "the address is not a URL", Hint: "check the configured address"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ledgerhook")
	resp, err := h.http.Do(req)
	if err != nil {
		return "", h.unreached(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostRead))
	if err != nil {
		return "", h.unreached(err)
	}
	return string(answer), h.refused(resp)
}

// unreached classifies a failed call without quoting it: its text holds the
// address.
func (h *Hook) unreached(err error) error {
	e := fault.New(fault.Network, h.op, "the connection failed")
	timeout, _ := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), timeout != nil && timeout.Timeout():
		e.Kind, e.Cause = fault.Timeout, "no answer in time"
	case errors.Is(err, context.Canceled):
		e.Cause = "the call was ended"
	case is[*net.DNSError](err):
		e.Cause = "the host name was not found"
	case is[*tls.CertificateVerificationError](err):
		e.Cause = "the certificate is not trusted"
	}
	return e
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

func (h *Hook) refused(resp *http.Response) error {
	e := fault.New(fault.Rejected, h.op, "answered with status "+strconv.Itoa(resp.StatusCode))
	switch s := resp.StatusCode; {
	case s >= 200 && s < 300:
		return nil
	case s == http.StatusTooManyRequests:
		e.Kind = fault.RateLimited
	case s == http.StatusRequestTimeout, s >= 500:
		e.Kind = fault.Unavailable
	default:
		e.Hint = "check the configured address"
	}
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	return e
}

// retryAfter reads both forms of the header, seconds and a date (RFC 9110,
// section 10.2.3). Anything else asks for nothing.
func retryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if n, err := strconv.ParseInt(v, 10, 32); err == nil {
		return max(time.Duration(n)*time.Second, 0)
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
