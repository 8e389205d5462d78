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

// reloading reads credentials again after a refusal, and when their stamp says
// that they changed.
type reloading struct {
	read  func() (Credentials, error)
	stamp func() string

	mu    sync.Mutex
	now   Credentials
	as    string // the stamp of what is in use
	stale bool
}

// Reloading asks read for the credentials at first use, again after each
// refusal, and whenever stamp gives another text (nil = never): a key rotated
// in its file works without a restart, before the old one is refused. While
// reading again fails the old ones stay in use.
func Reloading(read func() (Credentials, error), stamp func() string) Credentials {
	return &reloading{read: read, stamp: stampOf(stamp)}
}

func stampOf(stamp func() string) func() string {
	if stamp == nil {
		return func() string { return "" }
	}
	return stamp
}

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
	stamp := r.stamp() // before the reading: what changes meanwhile is read at the next request
	if r.now == nil || r.stale || stamp != r.as {
		if fresh, err := r.read(); err == nil {
			r.now, r.as, r.stale = fresh, stamp, false
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
	TokenURL string // "https://site/api/method/frappe.integrations.oauth2.get_token"
	ClientID string
	// Read gives the secrets, at first use, when Stamp gives another text (nil
	// = never) and when the token endpoint refused them.
	Read      func() (OAuth2Secrets, error)
	Stamp     func() string
	Transport http.RoundTripper // nil = the default one
}

// OAuth2Secrets are what is secret of an OAuth client.
type OAuth2Secrets struct {
	Client  string // "" for a public client
	Refresh string
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
	secrets OAuth2Secrets // in use: the refresh token may be a newer one than was read
	read    OAuth2Secrets // as they were read
	as      string        // their stamp
}

// OAuth2 renews an access token from a refresh token before it ends and after
// a refusal, one renewal at a time. A refresh token that the site rotates is
// kept in memory only: ERPNext keeps the old one valid. One that the operator
// rotates in its file is used from the next request on.
func OAuth2(o OAuth2Options) Credentials {
	o.Stamp = stampOf(o.Stamp)
	return &oauth2{options: o, client: newHTTPClient(o.Transport, 30*time.Second), turn: make(chan struct{}, 1)}
}

func (o *oauth2) Authorization(ctx context.Context) (string, error) {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return "", transportFault("erpnext.credentials", ctx.Err())
	}
	if err := o.reread(false); err != nil {
		return "", err
	}
	if access := o.fresh(); access != "" {
		return "Bearer " + access, nil
	}
	value, err := o.renew(ctx)
	if fault.KindOf(err) != fault.Credentials {
		return value, err
	}
	before := o.inUse()
	if o.reread(true) != nil || o.inUse() == before {
		return value, err
	}
	return o.renew(ctx)
}

// reread takes the secrets as they stand in their files now, if they have
// changed, or might have because they were refused. The access token that was
// got with the old ones is then not used any more.
func (o *oauth2) reread(refused bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	stamp, first := o.options.Stamp(), o.read.Refresh == ""
	if !first && !refused && stamp == o.as {
		return nil
	}
	read, err := o.options.Read()
	switch {
	case err != nil && first:
		return credentialsFault("the OAuth secrets cannot be read", "check that the files with the OAuth refresh token and client secret exist and may be read")
	case err != nil: // perhaps it is being written: the old ones stay in use
		return nil
	case read != o.read:
		o.read, o.secrets, o.until = read, read, time.Time{}
	}
	o.as = stamp
	return nil
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
	secrets := o.inUse()
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {o.options.ClientID}, "refresh_token": {secrets.Refresh}}
	if secrets.Client != "" {
		form.Set("client_secret", secrets.Client)
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
		o.secrets.Refresh = token.Refresh
	}
	return "Bearer " + token.Access, nil
}

func (o *oauth2) inUse() OAuth2Secrets {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.secrets
}

func (o *oauth2) Refused() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until = time.Time{}
}

func (o *oauth2) String() string               { return redacted }
func (o *oauth2) GoString() string             { return redacted }
func (o *oauth2) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// String and friends keep the secrets out of a %v.
func (OAuth2Secrets) String() string { return redacted }

// GoString keeps the secrets out of a %#v.
func (OAuth2Secrets) GoString() string { return redacted }

// MarshalText keeps the secrets out of encoders.
func (OAuth2Secrets) MarshalText() ([]byte, error) { return []byte(redacted), nil }
