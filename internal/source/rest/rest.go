// Package rest makes one call of a provider's REST API and classes what comes
// back, so that an outage makes an event wait and a refusal reaches a person.
// It knows no provider: address, credentials and what to do about a refusal
// are the caller's.
package rest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

const (
	timeout       = 20 * time.Second
	maxAnswer     = 1 << 20
	maxRetryAfter = time.Hour
	maxDetail     = 2000
)

// Client calls one provider's API.
type Client struct {
	name string // the provider's, for people
	http *http.Client
}

// New makes a client that follows no redirect: it would carry the credentials
// elsewhere. A nil transport is the network.
func New(name string, transport http.RoundTripper) *Client {
	return &Client{name: name, http: &http.Client{
		Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do sends a request and reads the JSON object of its answer. op names the
// operation; it begins with the provider, so that its failures are not taken
// for ERPNext's.
func (c *Client) Do(op string, req *http.Request) (strictjson.Value, *fault.Error) {
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return strictjson.Value{}, c.broken(op, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return strictjson.Value{}, c.broken(op, err)
	case res.StatusCode != http.StatusOK:
		return strictjson.Value{}, c.refused(op, res, text)
	case len(text) > maxAnswer:
		return strictjson.Value{}, fault.New(fault.Unavailable, op, "the answer is too long")
	}
	answer, err := strictjson.Parse(text)
	if err != nil {
		return strictjson.Value{}, fault.New(fault.Unavailable, op, "the answer is no JSON object")
	}
	return answer, nil
}

// refused names what a status other than 200 means.
func (c *Client) refused(op string, res *http.Response, body []byte) *fault.Error {
	e := fault.New(fault.BadRequest, op, c.name+" answered "+strconv.Itoa(res.StatusCode))
	e.Detail = cut(string(body))
	switch s := res.StatusCode; {
	case s == http.StatusUnauthorized:
		e.Kind, e.Detail = fault.Credentials, "" // it may quote the credentials
	case s == http.StatusForbidden:
		e.Kind = fault.Rights
	case s == http.StatusNotFound:
		e.Kind = fault.Missing
	case s == http.StatusRequestTimeout:
		e.Kind = fault.Timeout
	case s == http.StatusTooManyRequests:
		e.Kind, e.RetryAfter = fault.RateLimited, retryAfter(res.Header.Get("Retry-After"))
	case s == http.StatusConflict, s >= 500, s < 400: // a redirect is no answer of an API
		e.Kind, e.RetryAfter = fault.Unavailable, retryAfter(res.Header.Get("Retry-After"))
	}
	return e
}

// retryAfter reads seconds or a date. What is unreadable or in the past is 0,
// and more than an hour counts as an hour.
func retryAfter(text string) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(max(seconds, 0), int(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = time.Until(at)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// broken names a call that got no whole answer. The address is taken off the
// error: it names the payment.
func (c *Client) broken(op string, err error) *fault.Error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	e := &fault.Error{Kind: fault.Network, Op: op, Cause: c.name + " was not reached", Err: err}
	timed, ok := errors.AsType[net.Error](err)
	if errors.Is(err, context.DeadlineExceeded) || ok && timed.Timeout() {
		e.Kind, e.Cause = fault.Timeout, c.name+" did not answer in time"
	}
	return e
}

func cut(text string) string {
	if runes := []rune(text); len(runes) > maxDetail {
		return string(runes[:maxDetail]) + "…"
	}
	return text
}
