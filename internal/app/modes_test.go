package app_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
)

// TestCheckFindsLiveAndTestMixed: without network, with the place in the sheet and
// what to write, and never the key.
func TestCheckFindsLiveAndTestMixed(t *testing.T) {
	for _, tt := range []struct {
		name, sheet string
		env         map[string]string
		want        []string // nil = good
	}{
		{"a test key for live events", "sources:\n  stripe: {livemode: true}\n", map[string]string{"LEDGERHOOK_STRIPE_API_KEY": "sk_test_canary"},
			[]string{"sheet.yaml:2:12: sources.stripe.livemode: is true, and LEDGERHOOK_STRIPE_API_KEY is a key of the test mode", "write livemode: false"}},
		{"a restricted test key for live events", "sources:\n  stripe: {livemode: true}\n", map[string]string{"LEDGERHOOK_STRIPE_API_KEY": "rk_test_canary"},
			[]string{"key of the test mode", "give it the live key"}},
		{"a live key for test events", "sources:\n  stripe: {livemode: false}\n", map[string]string{"LEDGERHOOK_STRIPE_API_KEY": "rk_live_canary"},
			[]string{"key of the live mode", "give it the test key", "write livemode: true"}},
		{"in the sheet alone", "sources:\n  eu: {provider: stripe, secrets_env: EU, api_key_env: EU_KEY, livemode: true}\n", map[string]string{"EU": "whsec_1", "EU_KEY": "sk_test_canary"},
			[]string{"sources.eu.livemode: is true, and the source's api_key"}},
		{"a live key for live events", "sources:\n  stripe: {livemode: true}\n", map[string]string{"LEDGERHOOK_STRIPE_API_KEY": "sk_live_canary"}, nil},
		{"a key that does not say", "sources:\n  stripe: {livemode: true}\n", map[string]string{"LEDGERHOOK_STRIPE_API_KEY": "canary"}, nil},
		{"no livemode", "{}", map[string]string{"LEDGERHOOK_STRIPE_API_KEY": "sk_test_canary"}, nil},
		{"PayPal's sandbox for live events", "{}", map[string]string{"LEDGERHOOK_PAYPAL_API_URL": "https://api-m.sandbox.paypal.com"},
			[]string{"LEDGERHOOK_PAYPAL_API_URL is PayPal's sandbox address, and the mode is live", "LEDGERHOOK_PAYPAL_MODE=sandbox"}},
		{"PayPal's live address for the sandbox", "{}", map[string]string{"LEDGERHOOK_PAYPAL_API_URL": "https://api-m.paypal.com", "LEDGERHOOK_PAYPAL_MODE": "sandbox"},
			[]string{"PayPal's live address, and the mode is sandbox"}},
		{"PayPal in the sheet", "sources:\n  eu: {provider: paypal, webhook_id: 8AB, mode: sandbox}\n", map[string]string{"LEDGERHOOK_PAYPAL_API_URL": "https://api-m.paypal.com"},
			[]string{"sheet.yaml:2:43: sources.eu.mode: "}},
		{"PayPal as it should be", "{}", map[string]string{"LEDGERHOOK_PAYPAL_API_URL": "https://api-m.sandbox.paypal.com", "LEDGERHOOK_PAYPAL_MODE": "sandbox"}, nil},
		{"PayPal for tests", "{}", map[string]string{"LEDGERHOOK_PAYPAL_API_URL": "http://127.0.0.1:9"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "sheet.yaml")
			if err := os.WriteFile(file, []byte(tt.sheet), 0o600); err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{
				"ERPNEXT_URL": "http://erp.test", "ERPNEXT_API_KEY": "k", "ERPNEXT_API_SECRET": "s", "SHEET": file, "STRIPE_SECRETS": "whsec_1", "PAYPAL_WEBHOOK_ID": "8AB",
			} {
				t.Setenv("LEDGERHOOK_"+name, value)
			}
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			cfg, loaded := config.Load()
			if loaded != nil && strings.Contains(loaded.Error(), "LEDGERHOOK") {
				t.Fatal(loaded)
			}
			err := app.Check(cfg, loaded, io.Discard, false)
			if tt.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("taken")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the key is printed: %v", err)
			}
		})
	}
}
