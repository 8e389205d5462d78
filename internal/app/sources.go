package app

import (
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

// openSources makes the configured sources. transport, if any, carries the
// calls to PayPal: certificates, postback, read-back.
func openSources(cfg config.Config, transport http.RoundTripper) (map[string]source, error) {
	sources := map[string]source{}
	if len(cfg.Shopify.Secrets) > 0 {
		src, err := shopify.New(shopify.Options{Secrets: config.Reveal(cfg.Shopify.Secrets)})
		if err != nil {
			return nil, err
		}
		sources[sourceShopify] = src
	}
	if len(cfg.Stripe.Secrets) > 0 {
		src, err := stripe.New(stripe.Options{Secrets: config.Reveal(cfg.Stripe.Secrets)})
		if err != nil {
			return nil, err
		}
		sources[sourceStripe] = src
	}
	if cfg.PayPal.WebhookID != "" {
		src, err := paypal.New(paypal.Options{
			WebhookID: cfg.PayPal.WebhookID, ClientID: cfg.PayPal.ClientID, ClientSecret: cfg.PayPal.ClientSecret.Reveal(),
			Mode: cfg.PayPal.Mode, APIURL: cfg.PayPal.APIURL, Roots: cfg.PayPal.Roots, Transport: transport,
		})
		if err != nil {
			return nil, err
		}
		sources[sourcePayPal] = src
	}
	return sources, nil
}

// shops are the sources whose orders a payment may name.
func shops(sources map[string]source) []posting.Origin {
	var list []posting.Origin
	for name, src := range sources {
		if src.Provider() == sourceShopify {
			list = append(list, posting.Origin{Provider: src.Provider(), Source: name})
		}
	}
	return list
}
