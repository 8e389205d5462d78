package sandbox

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// OAuthClient is an OAuth Client of the site and the refresh token that a user
// gave it.
type OAuthClient struct {
	ID           string
	Secret       string // "" = a public client
	RefreshToken string
	APIKey       string        // of the user it acts for
	Life         time.Duration // of an access token; 0 = one hour
}

const tokenMethod = "frappe.integrations.oauth2.get_token"

// bearer is an access token that was given out.
type bearer struct {
	user  *user
	until time.Time
}

// oauth is the client and what it was given.
type oauth struct {
	OAuthClient
	refresh map[string]bool // ERPNext keeps older refresh tokens valid
	access  map[string]bearer
	issued  int
}

// SetOAuth gives the site an OAuth Client. What was given out before is worth
// nothing any more.
func (s *Site) SetOAuth(c OAuthClient) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Life == 0 {
		c.Life = time.Hour
	}
	issued := s.oauth.issued // tokens are never the same
	s.oauth = oauth{OAuthClient: c, refresh: map[string]bool{c.RefreshToken: c.RefreshToken != ""}, access: map[string]bearer{}, issued: issued}
}

// bearerUser is whose access token this is.
func (s *Site) bearerUser(token string) (*user, error) {
	b, ok := s.oauth.access[token]
	if !ok || !s.opts.Now().Before(b.until) || !b.user.enabled {
		return nil, bare("AuthenticationError", "")
	}
	return b.user, nil
}

// token is the token endpoint (frappe/integrations/oauth2.py, get_token). It
// reads a form only, and its errors are unlike all others; a refresh token or a
// client that it does not know is a plain 403, as seen on a running site.
func (c *call) token() (answer, error) {
	o, form := &c.oauth, url.Values{}
	if kind, _, _ := mime.ParseMediaType(c.request.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
		form, _ = url.ParseQuery(string(c.raw)) // what cannot be read is not there
	}
	if grant := form.Get("grant_type"); grant != "refresh_token" {
		return c.envelope(http.StatusBadRequest, doc{"error": "unsupported_grant_type"}), nil
	}
	u := c.users[o.APIKey]
	if u == nil || o.ID == "" || form.Get("client_id") != o.ID || o.Secret != "" && form.Get("client_secret") != o.Secret ||
		!o.refresh[form.Get("refresh_token")] {
		return answer{}, bare("PermissionError", "")
	}
	o.issued++
	access, refresh := fmt.Sprintf("access-%d", o.issued), fmt.Sprintf("refresh-%d", o.issued)
	o.access[access], o.refresh[refresh] = bearer{u, c.opts.Now().Add(o.Life)}, true
	return c.envelope(http.StatusOK, doc{
		"access_token": access, "refresh_token": refresh, "expires_in": int64(o.Life.Seconds()), "token_type": "Bearer", "scope": "all openid",
	}), nil
}
