package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/config"
)

// Describe says in a line what a configuration switches on. It holds no value.
func Describe(cfg config.Config) string {
	var on []string
	if n := len(cfg.Shopify.Secrets); n > 0 {
		on = append(on, "shopify ("+secrets(n)+")")
	}
	if n := len(cfg.Stripe.Secrets); n > 0 {
		on = append(on, "stripe ("+secrets(n)+")")
	}
	if cfg.PayPal.WebhookID != "" {
		how := "offline check only"
		if cfg.PayPal.ClientID != "" {
			how = "offline check, postback and read-back"
		}
		on = append(on, fmt.Sprintf("paypal %s (%s)", cfg.PayPal.Mode, how))
	}
	if cfg.SlackWebhookURL != "" {
		on = append(on, "alerts to Slack")
	}
	if cfg.AlertWebhookURL != "" {
		on = append(on, "alerts to a webhook")
	}
	return strings.Join(on, ", ")
}

func secrets(n int) string {
	if n == 1 {
		return "1 secret"
	}
	return strconv.Itoa(n) + " secrets"
}

// Healthcheck asks the service on this machine whether it is ready. addr is
// the public listener's address; "" is the default one.
func Healthcheck(ctx context.Context, addr string) error {
	if addr == "" {
		addr = ":8080"
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+local(addr)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: the service is not ready: %s", resp.Status)
	}
	return nil
}

// local turns a listen address into one to call on this machine.
func local(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
