package paypal

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

const (
	apiTimeout    = 20 * time.Second // of one call; Open's own budget is shorter
	maxAnswer     = 1 << 20
	maxRetryAfter = time.Hour
	maxDetail     = 2000
	maxQuestions  = 4 // about transmissions at a time: strangers cause them
)

// api talks to PayPal's REST API with the credentials of one app.
type api struct {
	base   string
	client *http.Client
	tokens tokens
	free   chan struct{} // a place for each question about a transmission
}

func newAPI(transport http.RoundTripper, o Options) *api {
	base := "https://api-m.paypal.com"
	if o.Mode == Sandbox {
		base = "https://api-m.sandbox.paypal.com"
	}
	base = strings.TrimSuffix(cmp.Or(o.APIURL, base), "/")
	client := &http.Client{
		Transport:     transport,
		Timeout:       apiTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &api{base: base, client: client, free: make(chan struct{}, maxQuestions), tokens: tokens{
		client: client,
		config: clientcredentials.Config{
			ClientID: o.ClientID, ClientSecret: o.ClientSecret,
			TokenURL: base + "/v1/oauth2/token", AuthStyle: oauth2.AuthStyleInHeader,
		},
	}}
}

// verifies asks PayPal whether a transmission is its own. PayPal compares what
// it is sent with what it signed, so the body goes there byte for byte: it is
// joined into the request, because every JSON encoder would rewrite blanks,
// "&", "<", ">" or U+2028. The body must be one JSON object, as the caller has
// made sure: anything else could close its field and claim another webhook id.
func (a *api) verifies(ctx context.Context, t transmission, webhookID string, body []byte) (bool, error) {
	request, err := joinPostback(t, webhookID, body)
	if err != nil {
		return false, err
	}
	select {
	case a.free <- struct{}{}:
		defer func() { <-a.free }()
	case <-ctx.Done():
		return false, broken("paypal.verify", ctx.Err())
	}
	answer, failure := a.call(ctx, "paypal.verify", http.MethodPost, "/v1/notifications/verify-webhook-signature", request)
	if failure != nil {
		return false, failure
	}
	switch answer.Get("verification_status").Text() {
	case "SUCCESS":
		return true, nil
	case "FAILURE":
		return false, nil
	default:
		return false, fault.New(fault.Unavailable, "paypal.verify", "the answer has no verification_status")
	}
}

func joinPostback(t transmission, webhookID string, body []byte) ([]byte, error) {
	head, err := json.Marshal(map[string]string{
		"auth_algo":         algorithm,
		"cert_url":          t.certURL,
		"transmission_id":   t.id,
		"transmission_sig":  t.sigText,
		"transmission_time": t.time,
		"webhook_id":        webhookID,
	})
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{head[:len(head)-1], []byte(`,"webhook_event":`), body, []byte("}")}, nil), nil
}

// call sends one request and reads the JSON object of its answer. A token that
// PayPal no longer knows is replaced once.
func (a *api) call(ctx context.Context, op, method, path string, body []byte) (strictjson.Value, *fault.Error) {
	for again := true; ; again = false {
		token, failure := a.tokens.get(ctx, op)
		if failure != nil {
			return strictjson.Value{}, failure
		}
		answer, failure := a.once(ctx, op, method, path, token, body)
		if failure == nil || failure.Kind != fault.Credentials || !again {
			return answer, failure
		}
		a.tokens.forget(token)
	}
}

func (a *api) once(ctx context.Context, op, method, path, token string, body []byte) (strictjson.Value, *fault.Error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return strictjson.Value{}, fault.New(fault.Internal, op, "the request cannot be made")
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return strictjson.Value{}, broken(op, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return strictjson.Value{}, broken(op, err)
	}
	if res.StatusCode != http.StatusOK {
		return strictjson.Value{}, refused(op, res, text)
	}
	answer, err := strictjson.Parse(text)
	if err != nil {
		return strictjson.Value{}, fault.New(fault.Unavailable, op, "the answer is no JSON object")
	}
	return answer, nil
}

// refused names what a status other than 200 means.
func refused(op string, res *http.Response, body []byte) *fault.Error {
	e := fault.New(fault.BadRequest, op, "PayPal answered "+strconv.Itoa(res.StatusCode))
	e.Detail = cutText(string(body))
	switch s := res.StatusCode; {
	case s == http.StatusUnauthorized:
		e.Kind = fault.Credentials
		e.Hint = "check LEDGERHOOK_PAYPAL_CLIENT_ID, _CLIENT_SECRET and _MODE, or the source's in the mapping sheet: sandbox and live credentials do not mix"
	case s == http.StatusForbidden:
		e.Kind = fault.Rights
		e.Hint = "give the REST app the right in PayPal's developer pages, under its features; disputes have one of their own"
	case s == http.StatusNotFound:
		e.Kind = fault.Missing
	case s == http.StatusRequestTimeout:
		e.Kind = fault.Timeout
	case s == http.StatusTooManyRequests:
		e.Kind, e.RetryAfter = fault.RateLimited, retryAfter(res.Header.Get("Retry-After"))
	case s >= 500 || s < 400: // a redirect is no answer of an API
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
func broken(op string, err error) *fault.Error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	e := &fault.Error{Kind: fault.Network, Op: op, Cause: "PayPal was not reached", Err: err}
	timed, ok := errors.AsType[net.Error](err)
	if errors.Is(err, context.DeadlineExceeded) || ok && timed.Timeout() {
		e.Kind, e.Cause = fault.Timeout, "PayPal did not answer in time"
	}
	return e
}

func cutText(text string) string {
	if runes := []rune(text); len(runes) > maxDetail {
		return string(runes[:maxDetail]) + "…"
	}
	return text
}

// tokens keeps one access token until shortly before it runs out. Calls that
// need a new one at the same time share the request for it.
type tokens struct {
	config clientcredentials.Config
	client *http.Client
	flight singleflight.Group

	mu    sync.Mutex
	token *oauth2.Token
}

func (t *tokens) get(ctx context.Context, op string) (string, *fault.Error) {
	t.mu.Lock()
	token := t.token
	t.mu.Unlock()
	if token.Valid() {
		return token.AccessToken, nil
	}
	keep := context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, t.client)
	answer := t.flight.DoChan("token", func() (any, error) {
		token, err := t.config.Token(keep)
		if err == nil {
			t.mu.Lock()
			t.token = token
			t.mu.Unlock()
		}
		return token, err
	})
	select {
	case <-ctx.Done():
		return "", broken(op, ctx.Err())
	case r := <-answer:
		if r.Err != nil {
			return "", noToken(op, r.Err)
		}
		token, _ := r.Val.(*oauth2.Token)
		return token.AccessToken, nil
	}
}

// forget drops a token that PayPal refused, unless a newer one came meanwhile.
func (t *tokens) forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != nil && t.token.AccessToken == token {
		t.token = nil
	}
}

// noToken names why there is no token. The library's errors quote the answer,
// so they are not handed on.
func noToken(op string, err error) *fault.Error {
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok && answer.Response != nil {
		e := refused(op, answer.Response, answer.Body)
		e.Cause = "no access token: " + e.Cause
		if e.Kind == fault.BadRequest { // OAuth says 400 for unknown credentials too
			e.Kind = fault.Credentials
		}
		return e
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return broken(op, err)
	}
	return fault.New(fault.Unavailable, op, "no access token: the answer cannot be read")
}
