package sandbox

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestOAuth asks the token endpoint, uses what it gives, and outlives it.
func TestOAuth(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	s := testSite(t, func(o *Options) { o.Now = func() time.Time { return now } })
	s.SetOAuth(OAuthClient{ID: "client", Secret: "hush", RefreshToken: "first", APIKey: "demo-key", Life: time.Minute})
	ask := func(kind string, form url.Values) (int, map[string]any) {
		t.Helper()
		r := httptest.NewRequest("POST", "/api/method/"+tokenMethod, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", kind)
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		var got map[string]any
		_ = json.Unmarshal(rec.Body.Bytes(), &got)
		return rec.Code, got
	}
	const asForm = "application/x-www-form-urlencoded"
	good := func(change ...string) url.Values {
		form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"client"}, "client_secret": {"hush"}, "refresh_token": {"first"}}
		for i := 0; i < len(change); i += 2 {
			form.Set(change[i], change[i+1])
		}
		return form
	}
	for _, c := range []struct {
		name, kind string
		form       url.Values
		status     int
	}{
		{"JSON", "application/json", good(), 400}, {"client_credentials", asForm, good("grant_type", "client_credentials"), 400},
		{"another refresh token", asForm, good("refresh_token", "second"), 403}, {"another client", asForm, good("client_id", "x"), 403},
		{"another secret", asForm, good("client_secret", "x"), 403}, {"all well", asForm, good(), 200},
	} {
		if status, got := ask(c.kind, c.form); status != c.status {
			t.Errorf("%s: %d %v, want %d", c.name, status, got, c.status)
		}
	}
	_, first := ask(asForm, good())
	refresh, _ := first["refresh_token"].(string)
	if status, again := ask(asForm, good("refresh_token", refresh)); status != 200 || again["access_token"] == first["access_token"] {
		t.Errorf("the rotated refresh token: %d %v after %v", status, again, first)
	}
	user := func() (int, string) {
		t.Helper()
		r := httptest.NewRequest("GET", "/api/method/frappe.auth.get_logged_user", nil)
		r.Header.Set("Authorization", "Bearer "+first["access_token"].(string))
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, r)
		return rec.Code, rec.Body.String()
	}
	if code, body := user(); code != 200 || !strings.Contains(body, "shop@demo.example") {
		t.Errorf("a fresh token: %d %s", code, body)
	}
	now = now.Add(time.Minute)
	if code, _ := user(); code != 401 {
		t.Errorf("a token that ended: %d", code)
	}
}
