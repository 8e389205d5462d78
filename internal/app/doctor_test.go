package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal/paypalsim"
	"github.com/ledgerhook/ledgerhook/internal/source/stripe/stripesim"
)

// wellConfig is a configuration with nothing to say against.
func wellConfig(t *testing.T) config.Config {
	t.Helper()
	_, url := newSite(t, sandbox.Options{})
	cfg := testConfig(t, url, newSigners(t))
	cfg.PayPal.ClientID, cfg.PayPal.ClientSecret = "canary-id", "canary-secret"
	cfg.PayPal.APIURL = newTokens(t, http.StatusOK)
	cfg.SlackWebhookURL = "https://hooks.slack.com/services/T0/B0/canary"
	cfg.Stripe.APIKey, cfg.Stripe.APIURL = "rk_test_canary", newStripe(t, stripesim.Fault{})
	return cfg
}

// newStripe is Stripe's API, whose first answers may be faults.
func newStripe(t *testing.T, faults ...stripesim.Fault) string {
	t.Helper()
	sim := stripesim.New(stripesim.Options{Key: "rk_test_canary"})
	sim.Fail(faults...)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	return server.URL
}

// newTokens is PayPal's token endpoint, and a webhook that sends everything.
func newTokens(t *testing.T, status int) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/notifications/webhooks/"+webhookID && r.Header.Get("Authorization") == "Bearer canary-token" {
			fmt.Fprint(w, `{"url":"https://hooks.example.com/webhooks/paypal","event_types":[{"name":"*"}]}`)
			return
		}
		if id, secret, _ := r.BasicAuth(); r.URL.Path != "/v1/oauth2/token" || id != "canary-id" || secret != "canary-secret" {
			t.Errorf("asked %s as %q", r.URL.Path, id)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if status == http.StatusOK {
			fmt.Fprint(w, `{"access_token":"canary-token","token_type":"Bearer","expires_in":32400}`)
			return
		}
		fmt.Fprint(w, `{"error":"invalid_client","error_description":"canary-words"}`)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// diagnose runs doctor as JSON and fails when a secret is in what it says.
func diagnose(t *testing.T, cfg config.Config) (map[string]erpnext.Finding, error) {
	t.Helper()
	var out bytes.Buffer
	err := app.Doctor(t.Context(), cfg, &out, true)
	for _, secret := range []string{"canary", "demo-secret", stripeSecret, shopifySecret} {
		if strings.Contains(out.String()+fmt.Sprint(err), secret) {
			t.Errorf("%q in %s %v", secret, out.String(), err)
		}
	}
	var list []erpnext.Finding
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	found := map[string]erpnext.Finding{}
	for _, f := range list {
		found[f.Name] = f
	}
	return found, err
}

func TestDoctorOfAWellService(t *testing.T) {
	cfg := wellConfig(t)
	found, err := diagnose(t, cfg)
	if err != nil {
		t.Error(err)
	}
	for name, f := range found {
		if f.Status == erpnext.Fail || f.Status == erpnext.Warn && name != "disk" { // this machine's disk may be nearly full
			t.Errorf("%+v", f)
		}
	}
	for _, name := range []string{"reach", "key field: Sales Order", "clearing: paypal", "clearing: stripe", "inbox", "stripe", "paypal", "paypal webhook", "slack"} {
		if found[name].Status != erpnext.OK {
			t.Errorf("%s: %+v", name, found[name])
		}
	}
	if _, err := os.Stat(cfg.DatabasePath); err == nil {
		t.Error("doctor made an inbox")
	}
}

func TestDoctorOfTheService(t *testing.T) {
	nowhere := httptest.NewServer(http.NotFoundHandler())
	nowhere.Close()
	tests := []struct {
		name   string
		change func(*config.Config)
		check  string
		status string
		says   string
	}{
		{"no folder for the inbox", func(c *config.Config) { c.DatabasePath = filepath.Join(c.DatabasePath, "no", "inbox.db") }, "inbox", erpnext.Fail, "DATABASE_URL"},
		{"the inbox is a folder", func(c *config.Config) { c.DatabasePath = filepath.Dir(c.DatabasePath) }, "inbox", erpnext.Fail, "cannot be written"},
		{"forged amounts", func(c *config.Config) { c.PayPal.ClientID, c.PayPal.ClientSecret = "", "" }, "paypal", erpnext.Warn, "forged"},
		{"PayPal refuses", func(c *config.Config) { c.PayPal.APIURL = newTokens(t, http.StatusUnauthorized) }, "paypal", erpnext.Fail, "PAYPAL_MODE"},
		{"PayPal is down", func(c *config.Config) { c.PayPal.APIURL = newTokens(t, http.StatusBadGateway) }, "paypal", erpnext.Fail, "502"},
		{"PayPal cannot be reached", func(c *config.Config) { c.PayPal.APIURL = nowhere.URL }, "paypal", erpnext.Fail, "not reached"},
		{"no key for Stripe", func(c *config.Config) { c.Stripe.APIKey = "" }, "stripe", erpnext.Warn, "STRIPE_API_KEY"},
		{"Stripe does not know the key", func(c *config.Config) { c.Stripe.APIKey = "rk_test_other_canary" }, "stripe", erpnext.Fail, "Developers, API keys"},
		{"Stripe's key may not read payouts", func(c *config.Config) {
			c.Stripe.APIURL = newStripe(t, append(make([]stripesim.Fault, 5), stripesim.Fault{Status: http.StatusForbidden})...)
		}, "stripe", erpnext.Fail, "answered 403 to payouts"},
		{"Stripe cannot be reached", func(c *config.Config) { c.Stripe.APIURL = nowhere.URL }, "stripe", erpnext.Fail, "was not reached"},
		{"Stripe's key is of the other mode", func(c *config.Config) {
			live := true
			c.Sheet.Sources = map[string]config.Source{"stripe": {Livemode: &live}}
		}, "stripe", erpnext.Fail, "other mode"},
		{"no alerts", func(c *config.Config) { c.SlackWebhookURL = "" }, "alerts", erpnext.Warn, "SLACK_WEBHOOK_URL"},
		{"another channel", func(c *config.Config) { c.AlertWebhookURL = "https://alerts.example/canary" }, "alerts", erpnext.OK, ""},
		{"Slack in the clear", func(c *config.Config) { c.SlackWebhookURL = "http://hooks.slack.com/services/canary" }, "slack", erpnext.Warn, "https"},
		{"Slack cut short", func(c *config.Config) { c.SlackWebhookURL = "https://hooks.slack.com/" }, "slack", erpnext.Warn, "whole"},
		{"Slack's like", func(c *config.Config) { c.SlackWebhookURL = "https://chat.example/canary" }, "slack", erpnext.OK, "no message was sent"},
		{"delivery notes are made", func(c *config.Config) { c.Sheet.Orders.DeliveryNotes = config.On }, "rights: new Delivery Note", erpnext.OK, "submit"},
		{"invoices are made", func(c *config.Config) { c.Sheet.Orders.Invoices = config.InvoicePaid }, "key field: Sales Invoice", erpnext.OK, ""},
		{"the site is away", func(c *config.Config) { c.ERPNext.URL = nowhere.URL }, "reach", erpnext.Fail, "refused"},
		{"items are made", func(c *config.Config) { c.Sheet.Items.Create = config.CreateNonStock }, "rights: new Item", erpnext.Fail, "Item Manager"},
		{"a group account", func(c *config.Config) {
			c.Sheet.Accounts.Clearing = map[string]config.ByCurrency{"paypal": {"": "Bank Accounts - DT"}}
		}, "clearing: paypal", erpnext.Fail, "group"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := wellConfig(t)
			tt.change(&cfg)
			found, err := diagnose(t, cfg)
			if f := found[tt.check]; f.Status != tt.status || !strings.Contains(f.Text+f.Fix, tt.says) {
				t.Errorf("%+v does not say %q", f, tt.says)
			}
			if (err != nil) != (tt.status == erpnext.Fail) {
				t.Errorf("error: %v", err)
			}
		})
	}
}

func TestDoctorPrints(t *testing.T) {
	cfg := wellConfig(t)
	cfg.Sheet.FallbackItem, cfg.SlackWebhookURL = "LINE-1", ""
	var out bytes.Buffer
	if err := app.Doctor(t.Context(), cfg, &out, false); err == nil || app.IsUsage(err) {
		t.Errorf("error: %v", err)
	}
	for _, want := range []string{
		"\nok    credentials               signed in as ",
		"\nFAIL  fallback item             no item \"LINE-1\"",
		"\n                                → run server setup",
		"\nwarn  alerts                    nobody",
		" 1 FAIL, 1 warn",
	} {
		if !strings.Contains("\n"+out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestInit(t *testing.T) {
	_, url := newSite(t, sandbox.Options{})
	cfg := testConfig(t, url, newSigners(t))
	path := filepath.Join(t.TempDir(), "sheet.yaml")
	var out bytes.Buffer
	if err := app.Init(t.Context(), cfg, &out, path); err != nil || !strings.Contains(out.String(), path) {
		t.Fatalf("%v, said %q", err, out.String())
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Sheet, err = config.ParseSheet("sheet.yaml", written); err != nil {
		t.Fatal(err)
	}
	if found, _ := diagnose(t, cfg); found["clearing: stripe"].Text != "Stripe Clearing - DT" { //nolint:errcheck // the sheet counts here
		t.Errorf("%+v", found["clearing: stripe"])
	}

	if err := app.Init(t.Context(), cfg, &out, path); !app.IsUsage(err) {
		t.Errorf("a file that exists: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, written) {
		t.Errorf("it was overwritten: %v", err)
	}
	if err := app.Init(t.Context(), cfg, &out, filepath.Join(path, "x")); !app.IsUsage(err) {
		t.Errorf("no such folder: %v", err)
	}
	out.Reset()
	if err := app.Init(t.Context(), cfg, &out, "-"); err != nil || out.String() != string(written) {
		t.Errorf("%v, printed\n%s", err, out.String())
	}
}

// TestInitAfterFaults: at whatever request of init the site fails, init either
// writes a sheet that can be read, or says what to do and leaves no file; the
// next run writes the whole sheet.
func TestInitAfterFaults(t *testing.T) {
	site, url := newSite(t, sandbox.Options{})
	cfg := testConfig(t, url, newSigners(t))
	site.ResetRequests()
	var clean bytes.Buffer
	if err := app.Init(t.Context(), cfg, &clean, "-"); err != nil {
		t.Fatal(err)
	}
	requests := len(site.Requests())
	path := filepath.Join(t.TempDir(), "sheet.yaml")
	for _, kind := range sandbox.FaultKinds() {
		failed := 0
		for after := range requests {
			where := fmt.Sprintf("%s after %d", kind, after)
			site.SetFaults([]sandbox.Fault{{Kind: kind, Count: 1, After: after, Delay: time.Microsecond}})
			err := app.Init(t.Context(), cfg, io.Discard, path)
			written, readErr := os.ReadFile(path)
			switch {
			case err == nil:
				if _, err := config.ParseSheet("sheet.yaml", written); err != nil || readErr != nil {
					t.Errorf("%s: a sheet that is none: %v, %v", where, readErr, err)
				}
				err = os.Remove(path)
			case readErr == nil:
				t.Errorf("%s: %v, and yet a file", where, err)
			case !strings.Contains(err.Error(), "; ") || app.IsUsage(err):
				t.Errorf("%s: does not say what to do: %v", where, err)
			}
			if err != nil {
				failed++
			}
			site.SetFaults(nil)
		}
		if brings := !slices.Contains([]string{"slow-body", "delay-before-commit", "delay-after-commit", "read-only"}, kind); brings != (failed > 0) {
			t.Errorf("%s made init fail %d times", kind, failed)
		}
		var again bytes.Buffer
		if err := app.Init(t.Context(), cfg, &again, "-"); err != nil || again.String() != clean.String() {
			t.Errorf("after %s: %v, or another sheet", kind, err)
		}
	}
}

func TestSetup(t *testing.T) {
	site, err := sandbox.New(sandbox.Options{Key: "root-key", Secret: "root-secret"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site)
	t.Cleanup(server.Close)
	cfg := testConfig(t, server.URL, newSigners(t))
	cfg.Sheet.FallbackItem = "LINE-1"
	var out bytes.Buffer
	if err := app.Setup(t.Context(), cfg, &out); !app.IsUsage(err) {
		t.Errorf("without a setup key: %v", err)
	}
	cfg.ERPNext.SetupKey, cfg.ERPNext.SetupSecret = config.SecretText("demo-key"), config.SecretText("demo-secret")
	if err := app.Setup(t.Context(), cfg, &out); err == nil || !strings.Contains(err.Error(), "System Manager") {
		t.Errorf("with the runtime key: %v", err)
	}
	cfg.ERPNext.SetupKey, cfg.ERPNext.SetupSecret = config.SecretText("root-key"), config.SecretText("root-secret")
	for _, want := range []string{"Item LINE-1: made", "Item LINE-1: is there"} {
		if err := app.Setup(t.Context(), cfg, &out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%v, said %q", err, out.String())
		}
	}
	if found, err := diagnose(t, cfg); err != nil || found["fallback item"].Status != erpnext.OK {
		t.Errorf("%v, %+v", err, found["fallback item"])
	}
}

// TestDoctorOfPayPal looks at the webhook of each source, at a simulated PayPal.
func TestDoctorOfPayPal(t *testing.T) {
	sim := paypalsim.New(paypalsim.Options{ClientID: "canary-id", ClientSecret: "canary-secret", WebhookID: webhookID})
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	cfg := wellConfig(t)
	cfg.PayPal.APIURL = server.URL
	look := func(check, status, says string) {
		t.Helper()
		found, _ := diagnose(t, cfg) //nolint:errcheck // one finding counts here
		if f := found[check]; f.Status != status || !strings.Contains(f.Text+f.Fix, says) {
			t.Errorf("%s: %+v does not say %q", check, f, says)
		}
	}
	look("paypal webhook", erpnext.OK, "/webhooks/paypal")
	sim.Subscribe("PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.REFUNDED")
	look("paypal webhook", erpnext.Warn, "PAYMENT.CAPTURE.REVERSED, PAYMENT.SALE.COMPLETED")
	sim.Fail(paypalsim.Fault{Path: "/v1/notifications/", Status: 403})
	look("paypal", erpnext.OK, "takes the credentials")
	look("paypal webhook", erpnext.Warn, "not looked at")
	sim.Heal()
	cfg.PayPal.WebhookID = "1TE00000ST000000X"
	look("paypal webhook", erpnext.Fail, "no webhook of this id")
	cfg.PayPal.WebhookID = "WEBHOOK_ID"
	look("paypal", erpnext.Fail, "simulator")
}

// TestDoctorOfASheetsPayPal tries the credentials that the sheet names.
func TestDoctorOfASheetsPayPal(t *testing.T) {
	sim := paypalsim.New(paypalsim.Options{ClientID: "canary-id", ClientSecret: "canary-secret", WebhookID: webhookID})
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	_, site := newSite(t, sandbox.Options{})
	sheet := filepath.Join(t.TempDir(), "sheet.yaml")
	if err := os.WriteFile(sheet, []byte("sources:\n  acme:\n    provider: paypal\n    webhook_id: "+webhookID+"\n    client_id: canary-id\n    client_secret_env: ACME_PAYPAL\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LEDGERHOOK_PAYPAL_API_URL", server.URL)
	t.Setenv("LEDGERHOOK_ERPNEXT_URL", site)
	t.Setenv("LEDGERHOOK_ERPNEXT_API_KEY", "demo-key")
	t.Setenv("LEDGERHOOK_ERPNEXT_API_SECRET", "demo-secret")
	t.Setenv("LEDGERHOOK_SHEET", sheet)
	for secret, want := range map[string]string{"canary-secret": erpnext.OK, "canary-old": erpnext.Fail} {
		t.Setenv("ACME_PAYPAL", secret)
		cfg, err := config.Load()
		if err != nil {
			t.Fatal(err)
		}
		cfg.DatabasePath = filepath.Join(t.TempDir(), "inbox.db")
		found, _ := diagnose(t, cfg) //nolint:errcheck // one finding counts here
		if f := found["acme"]; f.Status != want {
			t.Errorf("with %s: %+v", want, f)
		}
	}
}
