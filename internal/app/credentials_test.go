package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
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
