package erpnext

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

func TestCredentialsPrintNothing(t *testing.T) {
	all := map[string]any{
		"key":       KeySecret("k", testSecret),
		"bearer":    Bearer(testSecret),
		"oauth":     OAuth2(OAuth2Options{Read: oauthSecrets(testSecret, testSecret)}),
		"secrets":   OAuth2Secrets{Refresh: testSecret, Client: testSecret},
		"reloading": Reloading(func() (Credentials, error) { return KeySecret("k", testSecret), nil }, nil),
	}
	for name, c := range all {
		text, err := json.Marshal(map[string]any{"c": c})
		said := fmt.Sprintf("%v %+v %#v %s %q %x %s", c, c, c, c, c, c, text)
		if err != nil || strings.Contains(said, testSecret) || strings.Contains(said, fmt.Sprintf("%x", testSecret)) {
			t.Errorf("%s: %s, %v", name, said, err)
		}
	}
}

func TestCredentialsThatCannotBeSent(t *testing.T) {
	for name, c := range map[string]Credentials{
		"blank in the key": KeySecret("a b", "c"), "line break": KeySecret("a", "c\n"), "no secret": KeySecret("a", ""),
		"colon in the key": KeySecret("a:b", "c"), "no token": Bearer(""), "not ASCII": Bearer("tökén"),
	} {
		client := offline(t, func(*http.Request) (*http.Response, error) { t.Error("sent"); return nil, io.EOF }, func(o *Options) { o.Credentials = c })
		if _, err := client.LoggedUser(t.Context()); fault.KindOf(err) != fault.Credentials || fault.As(err).Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReloadingAfterARefusal(t *testing.T) {
	secrets := []string{"old", "new"}
	var readErr error
	reads := 0
	c := Reloading(func() (Credentials, error) {
		if readErr != nil {
			return nil, readErr
		}
		reads++
		return KeySecret("k", secrets[min(reads, 2)-1]), nil
	}, nil)
	var sent []string
	valid := "token k:new"
	client := offline(t, func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") != valid {
			return answered(401, errorBody("AuthenticationError", ""))
		}
		return answered(200, `{"message":"api@example.com"}`)
	}, func(o *Options) { o.Credentials = c })
	if user, err := client.LoggedUser(t.Context()); err != nil || user != "api@example.com" {
		t.Errorf("got %q, %v", user, err)
	}
	if got := strings.Join(sent, ", "); got != "token k:old, token k:new" {
		t.Errorf("sent %s", got)
	}
	valid, sent = "token k:newest", nil
	if _, err := client.LoggedUser(t.Context()); fault.KindOf(err) != fault.Credentials || len(sent) != 1 {
		t.Errorf("an unchanged secret is sent again: %v, %v", sent, err)
	}
	readErr = errors.New("no such file")
	if got, err := c.Authorization(t.Context()); err != nil || got != "token k:new" {
		t.Errorf("the old one is not kept while the file is gone: %q, %v", got, err)
	}
	broken := Reloading(func() (Credentials, error) { return nil, errors.New("open /run/secret: denied") }, nil)
	if _, err := broken.Authorization(t.Context()); fault.KindOf(err) != fault.Credentials || strings.Contains(err.Error(), "/run") {
		t.Errorf("unreadable from the start: %v", err)
	}
}

// oauthSecrets reads the same secrets each time.
func oauthSecrets(refresh, client string) func() (OAuth2Secrets, error) {
	return func() (OAuth2Secrets, error) { return OAuth2Secrets{Refresh: refresh, Client: client}, nil }
}

// TestOAuth2SecretsChange: new secrets are used when their stamp changes, and
// when the old ones are refused; while they cannot be read the old ones stay.
func TestOAuth2SecretsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := &issuer{}
		now, stamp, readErr := OAuth2Secrets{Refresh: "file-1", Client: "c1"}, "1", error(nil)
		c := OAuth2(OAuth2Options{
			TokenURL: "http://erp.test/token", ClientID: "id", Transport: tokens, Stamp: func() string { return stamp },
			Read: func() (OAuth2Secrets, error) { return now, readErr },
		})
		ask := func(want, form string) {
			t.Helper()
			got, err := c.Authorization(t.Context())
			last := tokens.forms[len(tokens.forms)-1]
			if got != want || err != nil || last.Get("refresh_token")+" "+last.Get("client_secret") != form {
				t.Errorf("got %q, %v after %v, want %q after %q", got, err, last, want, form)
			}
		}
		ask("Bearer access-1", "file-1 c1")
		ask("Bearer access-1", "file-1 c1")
		now, stamp = OAuth2Secrets{Refresh: "file-2", Client: "c2"}, "2"
		ask("Bearer access-2", "file-2 c2")
		stamp, readErr = "3", errors.New("half written")
		ask("Bearer access-2", "file-2 c2")
		readErr = nil // the same as before: the token that the site gave stays in use
		ask("Bearer access-2", "file-2 c2")
		c.Refused()
		ask("Bearer access-3", "refresh-2 c2")

		now = OAuth2Secrets{Refresh: "file-3", Client: "c3"} // with an old stamp
		c.Refused()
		tokens.refuse = "refresh-3"
		ask("Bearer access-5", "file-3 c3")
		tokens.refuse = "refresh-5"
		c.Refused()
		if _, err := c.Authorization(t.Context()); fault.KindOf(err) != fault.Credentials || len(tokens.forms) != 6 {
			t.Errorf("nothing new in the file: %v after %d requests", err, len(tokens.forms))
		}
	})
	broken := OAuth2(OAuth2Options{Read: func() (OAuth2Secrets, error) { return OAuth2Secrets{}, errors.New("open /run/x: denied") }})
	if _, err := broken.Authorization(t.Context()); fault.KindOf(err) != fault.Credentials || strings.Contains(err.Error(), "/run") {
		t.Errorf("unreadable from the start: %v", err)
	}
}

// TestReloadingWhenTheStampChanges uses a new secret before the old one is
// refused.
func TestReloadingWhenTheStampChanges(t *testing.T) {
	stamp, secret, readErr := "1", "old", error(nil)
	c := Reloading(func() (Credentials, error) { return KeySecret("k", secret), readErr }, func() string { return stamp })
	for _, step := range []struct {
		stamp, secret string
		err           error
		want          string
	}{
		{"1", "old", nil, "token k:old"}, {"1", "new", nil, "token k:old"}, {"2", "new", errors.New("half written"), "token k:old"}, {"2", "new", nil, "token k:new"},
	} {
		stamp, secret, readErr = step.stamp, step.secret, step.err
		if got, err := c.Authorization(t.Context()); got != step.want || err != nil {
			t.Errorf("%+v: got %q, %v", step, got, err)
		}
	}
}

// issuer is an OAuth token endpoint.
type issuer struct {
	status int
	answer string
	refuse string // a refresh token
	mu     sync.Mutex
	forms  []url.Values
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return nil, errors.New("not a form")
	}
	i.mu.Lock()
	i.forms = append(i.forms, form)
	n := len(i.forms)
	i.mu.Unlock()
	if i.refuse != "" && form.Get("refresh_token") == i.refuse {
		return answered(403, `{"error":"invalid_grant"}`)
	}
	if i.answer != "" {
		return answered(i.status, i.answer)
	}
	time.Sleep(time.Second) // fake: others come meanwhile
	return answered(200, fmt.Sprintf(`{"access_token":"access-%d","refresh_token":"refresh-%d","expires_in":3600,"token_type":"Bearer"}`, n, n))
}

func TestOAuth2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := &issuer{}
		c := OAuth2(OAuth2Options{TokenURL: "http://erp.test/token", ClientID: "id", Read: oauthSecrets("first", ""), Transport: tokens})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if got, err := c.Authorization(t.Context()); got != "Bearer access-1" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		wg.Wait()
		time.Sleep(57 * time.Minute)
		if got, _ := c.Authorization(t.Context()); got != "Bearer access-1" { //nolint:errcheck // the value tells
			t.Errorf("after 57 minutes: %q", got)
		}
		time.Sleep(time.Minute)
		if got, _ := c.Authorization(t.Context()); got != "Bearer access-2" { //nolint:errcheck // the value tells
			t.Errorf("two minutes before the end: %q", got)
		}
		c.Refused()
		if got, _ := c.Authorization(t.Context()); got != "Bearer access-3" { //nolint:errcheck // the value tells
			t.Errorf("after a refusal: %q", got)
		}
		want := url.Values{"grant_type": {"refresh_token"}, "client_id": {"id"}, "refresh_token": {"refresh-2"}}
		if len(tokens.forms) != 3 || tokens.forms[2].Encode() != want.Encode() || tokens.forms[0].Get("refresh_token") != "first" {
			t.Errorf("forms: %v", tokens.forms)
		}
	})
}

func TestOAuth2Failures(t *testing.T) {
	cases := map[string]struct {
		status int
		answer string
		kind   fault.Kind
	}{
		"refresh token ended": {400, `{"error":"invalid_grant","error_description":"` + testSecret + `"}`, fault.Credentials},
		"unknown client":      {401, `{"error":"invalid_client"}`, fault.Credentials},
		"maintenance":         {503, errorBody("SessionStopped", ""), fault.Maintenance},
		"down":                {502, page + testSecret, fault.Unavailable},
		"not a token":         {200, `{"error":"x"}`, fault.Unavailable},
		"a page":              {200, page, fault.Unavailable},
	}
	for name, c := range cases {
		o := OAuth2(OAuth2Options{TokenURL: "http://erp.test/token", Read: oauthSecrets(testSecret, ""), Transport: &issuer{status: c.status, answer: c.answer}})
		_, err := o.Authorization(t.Context())
		if fault.KindOf(err) != c.kind || fault.As(err).Hint == "" || strings.Contains(fmt.Sprintf("%+v", *fault.As(err)), testSecret) {
			t.Errorf("%s: %+v", name, err)
		}
	}
	o := OAuth2(OAuth2Options{TokenURL: "http://erp.test/token", Read: oauthSecrets("r", ""), Transport: transport(hang)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.Authorization(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}
