package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/config"
)

// setenv gives a test the environment it names and nothing else of ours.
func setenv(t *testing.T, pairs map[string]string) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "LEDGERHOOK_") {
			t.Setenv(name, "") // remembered and restored by the test
			os.Unsetenv(name)
		}
	}
	for name, value := range pairs {
		t.Setenv("LEDGERHOOK_"+name, value)
	}
}

func good() map[string]string {
	return map[string]string{
		"ERPNEXT_URL": "https://erp.example.com/", "ERPNEXT_API_KEY": "k", "ERPNEXT_API_SECRET": "s", "SHOPIFY_SECRETS": "new, old",
	}
}

func with(pairs map[string]string, more ...string) map[string]string {
	for i := 0; i+1 < len(more); i += 2 {
		pairs[more[i]] = more[i+1]
	}
	return pairs
}

func TestLoadDefaults(t *testing.T) {
	setenv(t, good())
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Addr != ":8080" || cfg.OperatorAddr != "127.0.0.1:9090" || cfg.DatabasePath != "ledgerhook.db" || cfg.MaxBody != 10<<20 ||
		cfg.Retention != 2160*time.Hour || cfg.Heartbeat != time.Minute || cfg.ERPNext.Writers != 2 || cfg.ERPNext.URL != "https://erp.example.com" || cfg.PayPal.Mode != "live" {
		t.Errorf("defaults: %+v", cfg)
	}
	if got := config.Reveal(cfg.Shopify.Secrets); len(got) != 2 || got[0] != "new" || got[1] != "old" {
		t.Errorf("secrets: %d, want new and old", len(got))
	}
}

func TestProvidersAddressesCanBeOverridden(t *testing.T) {
	setenv(t, with(good(), "PAYPAL_API_URL", "http://127.0.0.1:1/", "STRIPE_API_URL", "http://127.0.0.1:2", "STRIPE_SECRETS", "whsec_x", "PAYPAL_WEBHOOK_ID", "1TE00000ST000000W"))
	cfg, err := config.Load()
	if err != nil || cfg.PayPal.APIURL != "http://127.0.0.1:1" || cfg.Stripe.APIURL != "http://127.0.0.1:2" {
		t.Errorf("PayPal at %q, Stripe at %q: %v", cfg.PayPal.APIURL, cfg.Stripe.APIURL, err)
	}
}

func TestHeartbeatIsOffOrAtLeastASecondApart(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "1s": time.Second, "5m": 5 * time.Minute} {
		setenv(t, with(good(), "HEARTBEAT", text))
		if cfg, err := config.Load(); err != nil || cfg.Heartbeat != want {
			t.Errorf("%s: got %v, %v", text, cfg.Heartbeat, err)
		}
	}
	for _, text := range []string{"999ms", "-1m", "60", "often"} {
		setenv(t, with(good(), "HEARTBEAT", text))
		if _, err := config.Load(); err == nil || !strings.Contains(err.Error(), "LEDGERHOOK_HEARTBEAT:") {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestLoadReportsEveryProblemAtOnceAndNoValue(t *testing.T) {
	setenv(t, map[string]string{
		"ERPNEXT_URL": "canary.example.com", "ERPNEXT_API_KEY": "canary-key", "MAX_BODY": "canary", "ERPNEXT_WRITERS": "canary", "LOG_LEVEL": "canary",
		"RETENTION": "canary", "TRUSTED_PROXIES": "canary", "PAYPAL_MODE": "canary", "STRIPE_SECRET": "canary-secret", "OPERATOR_ADDR": "0.0.0.0:9090",
		"DATABASE_URL": "canary", "STRIPE_SECRETS": "whsec_canary,,x", "SHEET": filepath.Join(t.TempDir(), "missing.yaml"),
	})
	_, err := config.Load()
	if err == nil {
		t.Fatal("loaded")
	}
	for _, want := range []string{
		"LEDGERHOOK_ERPNEXT_URL:", "LEDGERHOOK_ERPNEXT_API_KEY:", "LEDGERHOOK_MAX_BODY:", "LEDGERHOOK_ERPNEXT_WRITERS:", "LEDGERHOOK_LOG_LEVEL:",
		"LEDGERHOOK_RETENTION:", "LEDGERHOOK_TRUSTED_PROXIES:", "LEDGERHOOK_PAYPAL_MODE:", "LEDGERHOOK_STRIPE_SECRETS: an empty secret",
		"LEDGERHOOK_STRIPE_SECRET: no such setting: did you mean LEDGERHOOK_STRIPE_SECRETS?", "LEDGERHOOK_OPERATOR_TOKEN:", "LEDGERHOOK_DATABASE_URL:", "LEDGERHOOK_SHEET:",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a value is printed:\n%v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want string
	}{
		{"no provider", with(good(), "SHOPIFY_SECRETS", ""), "set at least one of LEDGERHOOK_SHOPIFY_SECRETS, LEDGERHOOK_STRIPE_SECRETS, LEDGERHOOK_PAYPAL_WEBHOOK_ID"},
		{"the simulator's id in live mode", with(good(), "PAYPAL_WEBHOOK_ID", "WEBHOOK_ID"), "LEDGERHOOK_PAYPAL_WEBHOOK_ID"},
		{"half of PayPal's credentials", with(good(), "PAYPAL_WEBHOOK_ID", "1AB", "PAYPAL_CLIENT_ID", "x"), "go together"},
		{"two ways to sign in", with(good(), "ERPNEXT_BEARER_TOKEN", "x"), "not several"},
		{"a refresh token without its endpoint", map[string]string{"ERPNEXT_URL": "https://e.example", "SHOPIFY_SECRETS": "x", "ERPNEXT_OAUTH_REFRESH_TOKEN": "r"}, "LEDGERHOOK_ERPNEXT_OAUTH_TOKEN_URL"},
		{"a body key that is none", with(good(), "BODY_KEYS", "a:c2hvcnQ="), "LEDGERHOOK_BODY_KEYS: key 1: not 32 bytes"},
		{"secret twice", with(good(), "SHOPIFY_SECRETS_FILE", "/dev/null"), "keep one"},
		{"empty file", with(good(), "SLACK_WEBHOOK_URL_FILE", "/dev/null"), "the file is empty"},
		{"missing file", with(good(), "STRIPE_SECRETS_FILE", "/nonexistent/x"), "LEDGERHOOK_STRIPE_SECRETS_FILE"},
		{"password in the URL", with(good(), "ERPNEXT_URL", "https://u:p@erp.example.com"), "leave user and password out"},
		{"a rate that is none", with(good(), "ERPNEXT_RATE", "-1"), "LEDGERHOOK_ERPNEXT_RATE: not a whole number from 0"},
		{"an alert that is no duration", with(good(), "ALERT_BACKLOG", "3"), "LEDGERHOOK_ALERT_BACKLOG"},
		{"a link that is none", with(good(), "OPERATOR_URL", "ops.example.com", "RUNBOOK_URL", "runbook"), "LEDGERHOOK_RUNBOOK_URL: not a URL"},
		{"no webhook id of PayPal's", with(good(), "PAYPAL_WEBHOOK_ID", "1AB CD"), "LEDGERHOOK_PAYPAL_WEBHOOK_ID: is no webhook id"},
		{"roots that are none", with(good(), "PAYPAL_WEBHOOK_ID", "1ABCD", "PAYPAL_ROOTS_FILE", "config_test.go"), "LEDGERHOOK_PAYPAL_ROOTS_FILE: holds no certificate"},
		{"a body beyond the memory for bodies", with(good(), "MAX_BODY", "33MiB"), "LEDGERHOOK_MAX_BODY: more than 32MiB"},
		{"a secret a line", with(good(), "SHOPIFY_SECRETS", "one\ntwo"), "LEDGERHOOK_SHOPIFY_SECRETS: a line break"},
		{"a sender of no network", with(good(), "ALLOWED_SENDERS", "shopify="), "name each source once, with its networks"},
		{"a sender twice", with(good(), "ALLOWED_SENDERS", "shopify=10.0.0.0/8;shopify=192.0.2.7"), "name each source once"},
		{"unknown sender", with(good(), "ALLOWED_SENDERS", "shopfy=10.0.0.0/8"), "names a source that does not exist"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			setenv(t, tt.env)
			if _, err := config.Load(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSecretsComeFromFilesToo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := good()
	delete(env, "ERPNEXT_API_SECRET")
	setenv(t, with(env, "STRIPE_SECRETS_FILE", file, "ERPNEXT_API_SECRET_FILE", file))
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Reveal(cfg.Stripe.Secrets); len(got) != 1 || got[0] != "from-file" {
		t.Errorf("stripe secrets: %q", got)
	}
	if err := os.WriteFile(file, []byte("rotated"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := cfg.ERPNext.APISecret.Read(); err != nil || s.Reveal() != "rotated" {
		t.Errorf("a rotated file reads %q, %v", s.Reveal(), err)
	}
}

func TestSecretNeverPrints(t *testing.T) {
	s := config.Secret("canary")
	text, _ := s.MarshalText()
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), string(text)} {
		if strings.Contains(out, "canary") {
			t.Errorf("printed %q", out)
		}
	}
}

func TestParseSheet(t *testing.T) {
	tests := []struct {
		name, sheet string
		want        []string // parts of the error; none = it is good
	}{
		{"empty", "", nil},
		{"comments only", "# nothing yet\n", nil},
		{"whole", "company: Demo\naccounts:\n  clearing:\n    stripe: Stripe - D\n  tax: VAT - D\npayments:\n  wait_for_order: 45m\n", nil},
		{"unknown keys, all of them", "compnay: X\naccounts:\n  txa: Y\n", []string{"compnay", "txa", "sheet.yaml:1:1", "sheet.yaml:3:3"}},
		{"wrong type", "company: [a]\n", []string{"sheet.yaml:1:10"}},
		{"repeated key", "company: A\ncompany: B\n", []string{"company"}},
		{"second document", "company: A\n---\ncompany: B\n", []string{"document"}},
		{"unknown provider", "accounts:\n  clearing:\n    strpie: X\n", []string{`"strpie" is no payment provider`}},
		{"negative wait", "payments:\n  wait_for_order: -1m\n", []string{"must not be negative"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.ParseSheet("sheet.yaml", []byte(tt.sheet))
			if (err != nil) != (tt.want != nil) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in %q", part, err)
				}
			}
		})
	}
}

func TestLeadingZerosStayText(t *testing.T) {
	s, err := config.ParseSheet("sheet.yaml", []byte("company: 00123\n"))
	if err != nil || s.Company != "00123" {
		t.Errorf("company = %q, %v", s.Company, err)
	}
}

func FuzzParseSheet(f *testing.F) {
	f.Add([]byte("company: Demo\naccounts: {tax: x}\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("sources: {acme: {provider: shopify, secrets_env: X, taxes: [{rate: 0.19, account: A}], fields: {customer: {a: |\n  1}}}}"))
	f.Add([]byte("gateways: &a {x: {account: {EUR: X}}}\norders: {skip_tags: a, rounding_limit: 00.1}\nshipping: *a\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := config.ParseSheet("sheet.yaml", raw)
		for _, p := range config.ListProblems(err) {
			if p.Message == "" || p.File != "sheet.yaml" || strings.Count(p.Error(), "\n") > 2 || p.Line > len(raw)+1 {
				t.Errorf("%+v", p)
			}
		}
		if err == nil {
			for name := range s.Sources {
				s.For(name).List()
			}
			s.For("").List()
		}
	})
}

// TestAddressesOfAPIsAreSettings sets each by its documented name: the splitter
// of words takes a field StripeAPIURL for STRIPE_APIURL.
func TestAddressesOfAPIsAreSettings(t *testing.T) {
	for _, name := range []string{"LEDGERHOOK_SHOPIFY_API_URL", "LEDGERHOOK_STRIPE_API_URL"} {
		t.Setenv(name, "https://api.example")
		if _, err := config.Load(); err != nil && strings.Contains(err.Error(), "no such setting") {
			t.Error(err)
		}
	}
}
