package paypal

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/rest"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

const (
	maxQuestions = 4                // about transmissions at a time: strangers cause them
	tokenMargin  = 10 * time.Second // a token is renewed before it runs out
)

// api talks to PayPal's REST API with the credentials of one app.
type api struct {
	base   string
	client *rest.Client
	tokens tokens
	free   chan struct{} // a place for each question about a transmission
}

func newAPI(transport http.RoundTripper, o Options) *api {
	base := "https://api-m.paypal.com"
	if o.Mode == Sandbox {
		base = "https://api-m.sandbox.paypal.com"
	}
	base = strings.TrimSuffix(cmp.Or(o.APIURL, base), "/")
	client := rest.New("PayPal", transport)
	secret := o.ReadClientSecret
	if secret == nil {
		secret = func() string { return o.ClientSecret }
	}
	return &api{
		base: base, client: client, free: make(chan struct{}, maxQuestions),
		tokens: tokens{client: client, address: base + "/v1/oauth2/token", id: o.ClientID, secret: secret},
	}
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
		return false, ctx.Err()
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
	answer, failure := a.client.Do(op, req)
	return answer, hinted(failure)
}

// hinted says what a person can do about a refusal.
func hinted(e *fault.Error) *fault.Error {
	switch {
	case e == nil:
	case e.Kind == fault.Credentials:
		e.Hint = "check LEDGERHOOK_PAYPAL_CLIENT_ID, _CLIENT_SECRET and _MODE, or the source's in the mapping sheet: sandbox and live credentials do not mix"
	case e.Kind == fault.Rights:
		e.Hint = "give the REST app the right in PayPal's developer pages, under its features; disputes have one of their own"
	}
	return e
}

// tokens keeps one access token until shortly before it runs out, or until the
// secret that it was got with is another one. Calls that need a new one at the
// same time share the request for it.
type tokens struct {
	client  *rest.Client
	address string
	id      string
	secret  func() string // as it is now
	flight  singleflight.Group

	mu    sync.Mutex
	token string
	with  string // the secret that the token was got with
	until time.Time
}

// granted is what a request for a token ends with.
type granted struct {
	token   string
	failure *fault.Error
}

func (t *tokens) get(ctx context.Context, op string) (string, *fault.Error) {
	secret := t.secret()
	if token, ok := t.kept(secret); ok {
		return token, nil
	}
	keep := context.WithoutCancel(ctx)
	answer := t.flight.DoChan("token", func() (any, error) {
		token, failure := t.request(keep, op, secret)
		return granted{token, failure}, nil
	})
	select {
	case <-ctx.Done():
		return "", &fault.Error{Kind: fault.KindOf(ctx.Err()), Op: op, Cause: "PayPal did not answer in time", Err: ctx.Err()}
	case r := <-answer:
		g, _ := r.Val.(granted)
		return g.token, g.failure
	}
}

// kept is the token that was got with a secret, while it is good.
func (t *tokens) kept(secret string) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, t.token != "" && t.with == secret && time.Now().Before(t.until)
}

// request asks for a token (RFC 6749, 4.4) and keeps it.
func (t *tokens) request(ctx context.Context, op, secret string) (string, *fault.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.address, strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		return "", fault.New(fault.Internal, op, "the request cannot be made")
	}
	req.SetBasicAuth(url.QueryEscape(t.id), url.QueryEscape(secret))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, failure := t.client.Do(op, req)
	if failure != nil {
		return "", noToken(failure)
	}
	token := answer.Get("access_token").Text()
	if token == "" {
		return "", fault.New(fault.Unavailable, op, "no access token: the answer cannot be read")
	}
	lasts, err := strconv.Atoi(answer.Get("expires_in").Literal())
	if err != nil {
		lasts = 0 // asked for again every time
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.with, t.until = token, secret, time.Now().Add(time.Duration(lasts)*time.Second-tokenMargin)
	return token, nil
}

// noToken names why there is no token. PayPal's words quote the credentials.
func noToken(e *fault.Error) *fault.Error {
	if e.Kind == fault.BadRequest { // OAuth says 400 for unknown credentials too
		e.Kind = fault.Credentials
	}
	if e.Kind != fault.Network && e.Kind != fault.Timeout {
		e.Cause = "no access token: " + e.Cause
	}
	e.Detail = ""
	return hinted(e)
}

// forget drops a token that PayPal refused, unless a newer one came meanwhile.
func (t *tokens) forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}
