package app

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal"
	"github.com/ledgerhook/ledgerhook/internal/source/shopify"
	"github.com/ledgerhook/ledgerhook/internal/source/stripe"
)

// Names of the sources that the environment configures.
const (
	sourceShopify = "shopify"
	sourceStripe  = "stripe"
	sourcePayPal  = "paypal"
)

// openSources makes the configured sources, those of the sheet too, or says
// which of them cannot be made. transport, if any, carries the calls to PayPal:
// certificates, postback, read-back.
func openSources(cfg config.Config, transport http.RoundTripper) (map[string]source, error) {
	sources, problems := map[string]source{}, []error(nil)
	for _, sender := range cfg.Senders() {
		src, err := openSource(sender, cfg.Sheet.For(sender.Name), transport)
		if err != nil {
			problems = append(problems, fmt.Errorf("source %s: %w", sender.Name, err))
			continue
		}
		sources[sender.Name] = src
	}
	return sources, errors.Join(problems...)
}

func openSource(s config.Sender, settings config.Settings, transport http.RoundTripper) (source, error) {
	switch s.Provider {
	case config.ProviderShopify:
		return shopify.New(shopify.Options{
			Secrets: config.Reveal(s.Secrets), BuyersMoney: settings.Orders.Currency == config.PresentmentMoney, Tests: settings.Orders.TestOrders == config.BookTests,
			TaxIDNames: settings.Customers.TaxIDNames,
			Shop:       s.Merchant, APIToken: s.APIKey.Reveal(), ReadAPIToken: s.ReadAPIKey(), APIURL: s.APIURL,
		})
	case config.ProviderStripe:
		return stripe.New(stripeOptions(s, settings))
	default:
		return paypal.New(paypal.Options{
			WebhookID: s.WebhookID, ClientID: s.ClientID, ClientSecret: s.ClientSecret.Reveal(), ReadClientSecret: s.ReadClientSecret(),
			Merchant: s.Merchant, Mode: s.Mode, APIURL: s.APIURL, Roots: s.Roots, Transport: transport,
		})
	}
}

func stripeOptions(s config.Sender, settings config.Settings) stripe.Options {
	return stripe.Options{
		Secrets: config.Reveal(s.Secrets), APIKey: s.APIKey.Reveal(), ReadAPIKey: s.ReadAPIKey(), APIURL: s.APIURL,
		Livemode: s.Livemode, Account: s.Account, OrderRefs: settings.Payments.OrderRefs,
	}
}

// origins are the sources whose orders a payment may name, and those whose
// payments a shop may name.
func origins(cfg config.Config) ([]posting.Origin, []posting.Origin) {
	var shops, providers []posting.Origin
	for _, sender := range cfg.Senders() {
		origin := posting.Origin{Provider: string(sender.Provider), Source: sender.Name}
		if sender.Provider == config.ProviderShopify {
			shops = append(shops, origin)
		} else {
			providers = append(providers, origin)
		}
	}
	return shops, providers
}
