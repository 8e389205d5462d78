package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// TestCredentialsFromFilesAreRotated writes the files anew while the client is
// in use: the next request carries what stands in them now, although nothing
// was refused.
func TestCredentialsFromFilesAreRotated(t *testing.T) {
	var seen string // what the site was shown last
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			fmt.Fprintf(w, `{"access_token":"for-%s-%s","expires_in":3600}`, r.FormValue("refresh_token"), r.FormValue("client_secret"))
			return
		}
		seen = r.Header.Get("Authorization")
		fmt.Fprint(w, `{"message":"api@example.com"}`)
	}))
	defer site.Close()
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	tests := map[string]struct {
		erpnext     config.ERPNext
		first, last string
	}{
		"key and secret": {config.ERPNext{APIKey: config.SecretFile(one), APISecret: config.SecretFile(two)}, "token a:b", "token newer:newest"},
		"bearer":         {config.ERPNext{BearerToken: config.SecretFile(one)}, "Bearer a", "Bearer newer"},
		"OAuth": {config.ERPNext{OAuth: config.OAuth{
			TokenURL: site.URL + "/token", ClientID: "id", RefreshToken: config.SecretFile(one), ClientSecret: config.SecretFile(two),
		}}, "Bearer for-a-b", "Bearer for-newer-newest"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			write := func(path, text string) {
				t.Helper()
				if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(one, "a")
			write(two, "b")
			tt.erpnext.URL = site.URL
			client, err := app.OpenSite(config.Config{ERPNext: tt.erpnext}, prometheus.NewRegistry(), zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			ask := func(want string) {
				t.Helper()
				if _, err := client.LoggedUser(t.Context()); err != nil || seen != want {
					t.Errorf("asked with %q, %v; want %q", seen, err, want)
				}
			}
			ask(tt.first)
			if err := os.Remove(one); err != nil {
				t.Fatal(err)
			}
			ask(tt.first) // while a file is gone
			// A secret store replaces a file by a link to another.
			write(one+".new", "newer")
			if err := os.Symlink(one+".new", one); err != nil {
				t.Fatal(err)
			}
			write(two, "newest")
			ask(tt.last)
			if err := os.Remove(one); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestOAuthOfARunningService books with an OAuth client whose access tokens are
// short, and goes on when the operator authorises anew: the site forgets all
// tokens, and the new refresh token stands in its file.
func TestOAuthOfARunningService(t *testing.T) {
	site, address := newSite(t, sandbox.Options{})
	folder := t.TempDir()
	authorise := func(refresh, secret string) {
		t.Helper()
		site.SetOAuth(sandbox.OAuthClient{ID: "ledgerhook", Secret: secret, RefreshToken: refresh, APIKey: "demo-key", Life: time.Second})
		for name, text := range map[string]string{"refresh": refresh, "secret": secret} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	authorise("refresh of June", "hush")
	s := startServiceOn(t, site, address, func(c *config.Config) {
		c.ERPNext.APIKey, c.ERPNext.APISecret = config.SecretSource{}, config.SecretSource{}
		c.ERPNext.OAuth = config.OAuth{
			TokenURL: address + "/api/method/frappe.integrations.oauth2.get_token", ClientID: "ledgerhook",
			RefreshToken: config.SecretFile(filepath.Join(folder, "refresh")), ClientSecret: config.SecretFile(filepath.Join(folder, "secret")),
		}
	})
	s.sample(t, "shopify", "orders/create", "order")
	s.settle(t)
	authorise("a longer refresh of July", "another")
	s.sample(t, "stripe", "charge.succeeded", "")
	s.settle(t)
	s.onceEach(t)
}
