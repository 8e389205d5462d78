package erpnext

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const redacted = "[redacted]"

// Credentials prove to ERPNext who is calling. They print as "[redacted]".
type Credentials interface {
	// Authorization is the header's value for the next request.
	Authorization(ctx context.Context) (string, error)
	// Refused tells that the site answered 401 to the last value, so that
	// credentials which can be renewed are.
	Refused()
}

// header is a fixed Authorization value.
type header struct {
	value string
	valid bool
}

// KeySecret is an API user's key and secret.
func KeySecret(key, secret string) Credentials {
	return &header{value: "token " + key + ":" + secret, valid: plain(key) && plain(secret) && !strings.Contains(key, ":")}
}

// Bearer is an OAuth access token that somebody else keeps fresh.
func Bearer(token string) Credentials {
	return &header{value: "Bearer " + token, valid: plain(token)}
}

// plain reports whether a secret can stand in the header: with a blank inside
// ERPNext ignores the header and answers as to a guest.
func plain(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func (h *header) Authorization(context.Context) (string, error) {
	if !h.valid {
		return "", credentialsFault("the key, secret or token is empty or holds a blank", "check the API key and secret, also for a line break at the end of a file")
	}
	return h.value, nil
}

func (h *header) Refused() {}

func (h *header) String() string               { return redacted }
func (h *header) GoString() string             { return redacted }
func (h *header) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func credentialsFault(cause, hint string) *fault.Error {
	return &fault.Error{Kind: fault.Credentials, Op: "erpnext.credentials", Cause: cause, Hint: hint}
}

// reloading reads credentials again after a refusal.
type reloading struct {
	read func() (Credentials, error)

	mu    sync.Mutex
	now   Credentials
	stale bool
}

// Reloading asks read for the credentials at first use and again after each
// refusal, so that a key rotated in its file works without a restart. When
// reading again fails the old ones stay in use.
func Reloading(read func() (Credentials, error)) Credentials { return &reloading{read: read} }

func (r *reloading) Authorization(ctx context.Context) (string, error) {
	current := r.current()
	if current == nil {
		return "", credentialsFault("the credentials cannot be read", "check that the files with the ERPNext key and secret exist and may be read")
	}
	return current.Authorization(ctx)
}

func (r *reloading) current() Credentials {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil || r.stale {
		if fresh, err := r.read(); err == nil {
			r.now, r.stale = fresh, false
		}
	}
	return r.now
}

func (r *reloading) Refused() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale = true
	if r.now != nil {
		r.now.Refused()
	}
}

func (r *reloading) String() string               { return redacted }
func (r *reloading) GoString() string             { return redacted }
func (r *reloading) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// OAuth2Options describe a refresh token of an OAuth Client of the site.
type OAuth2Options struct {
	TokenURL     string // "https://site/api/method/frappe.integrations.oauth2.get_token"
	ClientID     string
	ClientSecret string // "" for a public client
	RefreshToken string
	Transport    http.RoundTripper // nil = the default one
}

// renewBefore is how long before its end an access token is renewed.
const renewBefore = 2 * time.Minute

type oauth2 struct {
	options OAuth2Options
	client  *http.Client
	turn    chan struct{} // one refresh at a time; waiting respects the context

	mu      sync.Mutex
	access  string
	until   time.Time
	refresh string
}

// OAuth2 renews an access token from a refresh token before it ends and after
// a refusal, one renewal at a time. A rotated refresh token is kept in memory
// only: ERPNext keeps the old one valid.
func OAuth2(o OAuth2Options) Credentials {
	return &oauth2{
		options: o,
		client:  newHTTPClient(o.Transport, 30*time.Second),
		turn:    make(chan struct{}, 1),
		refresh: o.RefreshToken,
	}
}

func (o *oauth2) Authorization(ctx context.Context) (string, error) {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return "", transportFault("erpnext.credentials", ctx.Err())
	}
	if access := o.fresh(); access != "" {
		return "Bearer " + access, nil
	}
	return o.renew(ctx)
}

func (o *oauth2) fresh() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Now().Before(o.until) {
		return o.access
	}
	return ""
}

func (o *oauth2) renew(ctx context.Context) (string, error) {
	const op = "erpnext.credentials"
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {o.options.ClientID}, "refresh_token": {o.token()}}
	if o.options.ClientSecret != "" {
		form.Set("client_secret", o.options.ClientSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.options.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", credentialsFault("the token URL cannot be read", "check the OAuth token URL")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded") // get_token reads a form only
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Language", "en")
	answer, err := roundTrip(o.client, op, req)
	if err != nil {
		return "", err
	}
	if answer.status < 200 || answer.status > 299 {
		return "", refusedToken(op, answer)
	}
	return o.keep(answer)
}

// refusedToken classes the token endpoint's refusal: its errors are 400 with
// {"error": "..."}, unlike all others, and a wrong refresh token or client is
// a plain 403 (seen on a running 15.71).
func refusedToken(op string, answer *reply) *fault.Error {
	if s := answer.status; s == http.StatusBadRequest || s == http.StatusUnauthorized || s == http.StatusForbidden {
		return credentialsFault("the refresh token was refused", "check the OAuth client id, or authorise ledgerhook again and store the new refresh token")
	}
	f := classify(request{op: op}, answer)
	f.Detail = "" // what a token endpoint says may hold a token
	return f
}

func (o *oauth2) keep(answer *reply) (string, error) {
	var token struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Seconds Number `json:"expires_in"`
	}
	if err := json.Unmarshal(answer.body, &token); err != nil || !plain(token.Access) {
		return "", notERPNext("erpnext.credentials")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	life := time.Duration(token.Seconds.IntPart()) * time.Second
	o.access, o.until = token.Access, time.Now().Add(life-min(renewBefore, life/2))
	if token.Refresh != "" {
		o.refresh = token.Refresh
	}
	return "Bearer " + token.Access, nil
}

func (o *oauth2) token() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refresh
}

func (o *oauth2) Refused() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until = time.Time{}
}

func (o *oauth2) String() string               { return redacted }
func (o *oauth2) GoString() string             { return redacted }
func (o *oauth2) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// String and friends of the options keep their secrets out of a %v.
func (OAuth2Options) String() string { return redacted }

// GoString keeps the secrets out of a %#v.
func (OAuth2Options) GoString() string { return redacted }

// MarshalText keeps the secrets out of encoders.
func (OAuth2Options) MarshalText() ([]byte, error) { return []byte(redacted), nil }
