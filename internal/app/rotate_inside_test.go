package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal"
	"github.com/ledgerhook/ledgerhook/internal/source/stripe"
)

// TestProvidersKeysAreRotatedInTheirFiles: the next request to a provider's API
// carries what stands in the file now, although nothing was refused and nothing
// restarted, be the file named in the environment or in the sheet.
func TestProvidersKeysAreRotatedInTheirFiles(t *testing.T) {
	seen := "" // what an API was shown last
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, secret, ok := r.BasicAuth(); ok {
			fmt.Fprintf(w, `{"access_token":"for-%s","expires_in":3600}`, secret)
			return
		}
		seen = r.Header.Get("Authorization")
		fmt.Fprint(w, `{"data":[],"id":"8AB"}`)
	}))
	defer api.Close()
	dir := t.TempDir()
	key, sheet := filepath.Join(dir, "key"), filepath.Join(dir, "sheet.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(key, "first")
	write(sheet, "sources:\n  cards: {provider: stripe, secrets_env: CARDS, api_key_file: "+key+"}\n"+
		"  wallet: {provider: paypal, webhook_id: 8AB, client_id: id, client_secret_file: "+key+"}\n")
	for name, value := range map[string]string{
		"ERPNEXT_URL": "http://erp.test", "ERPNEXT_API_KEY": "k", "ERPNEXT_API_SECRET": "s", "SHEET": sheet,
		"STRIPE_SECRETS": "whsec_1", "STRIPE_API_KEY_FILE": key, "STRIPE_API_URL": api.URL,
		"PAYPAL_WEBHOOK_ID": "8AB", "PAYPAL_CLIENT_ID": "id", "PAYPAL_CLIENT_SECRET_FILE": key, "PAYPAL_API_URL": api.URL,
	} {
		t.Setenv("LEDGERHOOK_"+name, value)
	}
	t.Setenv("CARDS", "whsec_2")
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	sources, err := openSources(cfg, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string) error {
		switch src := sources[name].(type) {
		case *stripe.Source:
			return src.Check(t.Context())
		case *paypal.Source:
			_, err := src.Webhook(t.Context())
			return err
		default:
			return fmt.Errorf("%s is a %T", name, src)
		}
	}
	for name, form := range map[string]string{"stripe": "Bearer %s", "cards": "Bearer %s", "paypal": "Bearer for-%s", "wallet": "Bearer for-%s"} {
		for _, secret := range []string{"first", "second", "gone"} {
			want := fmt.Sprintf(form, secret)
			if secret == "gone" { // perhaps it is being replaced: the last one holds
				want = fmt.Sprintf(form, "second")
				if err := os.Remove(key); err != nil {
					t.Fatal(err)
				}
			} else {
				write(key, secret)
			}
			if err := ask(name); err != nil || seen != want {
				t.Errorf("%s was asked with %q, %v; want %q", name, seen, err, want)
			}
		}
		write(key, "first")
	}
}
