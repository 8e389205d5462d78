package config

import (
	"maps"
	"os"
	"slices"
	"strings"
)

// Sender is one configured source with what its webhooks are verified by.
type Sender struct {
	Name      string // in the webhook's address
	Provider  Provider
	FromSheet bool // else from the environment, though the sheet may refine it
	Merchant  string

	Secrets []Secret // Shopify, Stripe

	APIKey     Secret // Stripe; Shopify's Admin API access token
	APIKeyFile string // where it stands; "" = in the environment
	Livemode   *bool  // nil = the API key's mode, and both without one
	Account    string // Stripe's connected account; "" = the endpoint's own

	WebhookID        string // PayPal
	ClientID         string
	ClientSecret     Secret
	ClientSecretFile string // where it stands; "" = in the environment
	Mode             string
	Roots            []byte

	APIURL string // Shopify: the shop's; Stripe, PayPal: overrides the provider's, for tests
}

// ReadAPIKey gives the API key as it stands now, each time it is asked.
func (s Sender) ReadAPIKey() func() string { return follow(s.APIKeyFile, s.APIKey) }

// ReadClientSecret gives the client secret as it stands now, each time it is
// asked.
func (s Sender) ReadClientSecret() func() string { return follow(s.ClientSecretFile, s.ClientSecret) }

// Senders lists every source that is on, those of the environment first, then
// those of the sheet by name.
func (c Config) Senders() []Sender {
	var list []Sender
	if s := c.Shopify; len(s.Secrets) > 0 {
		list = append(list, Sender{Provider: ProviderShopify, Secrets: s.Secrets, APIKey: s.APIToken, APIKeyFile: s.APITokenFile, APIURL: s.APIURL})
	}
	if s := c.Stripe; len(s.Secrets) > 0 {
		list = append(list, Sender{Provider: ProviderStripe, Secrets: s.Secrets, APIKey: s.APIKey, APIKeyFile: s.APIKeyFile, APIURL: s.APIURL})
	}
	if p := c.PayPal; p.WebhookID != "" {
		list = append(list, Sender{
			Provider: ProviderPayPal, WebhookID: p.WebhookID, ClientID: p.ClientID, ClientSecret: p.ClientSecret, ClientSecretFile: p.ClientSecretFile,
			Mode: p.Mode, APIURL: p.APIURL, Roots: p.Roots,
		})
	}
	for i := range list {
		s := &list[i]
		s.Name = string(s.Provider)
		refinement := c.Sheet.Sources[s.Name]
		s.Livemode, s.Account, s.Merchant = refinement.Livemode, refinement.Account, refinement.Merchant
		if s.Provider == ProviderShopify && s.APIURL == "" {
			s.APIURL = shopURL(*s)
		}
	}
	return append(list, c.sheetSenders...)
}

// sheetSenders reads the secrets of the sheet's own sources. A source that has the
// name of one of the environment's refines it instead.
func (p *parser) sheetSenders(c Config) []Sender {
	if p.badSheet {
		return nil
	}
	var list []Sender
	for _, name := range slices.Sorted(maps.Keys(c.Sheet.Sources)) {
		s := c.Sheet.Sources[name]
		switch inEnvironment := c.hasInEnvironment(name); {
		case inEnvironment && s.identified():
			p.inSheet(c.Sheet, "sources."+name, "the environment configures a source of this name already", "leave the secrets out to refine it, or give this one another name")
		case !inEnvironment && !s.verified():
			p.inSheet(c.Sheet, "sources."+name, "refines a source that the environment does not configure", "set its secrets there, or give the source its own here")
		case !inEnvironment:
			list = append(list, p.sheetSender(c, name, s))
		}
	}
	return list
}

// checkGateways refuses a gateway whose money is left to a provider that sends
// nothing here: nobody would book it.
func (p *parser) checkGateways(c Config) {
	if p.badSheet {
		return
	}
	sends := map[string]bool{}
	for _, sender := range c.Senders() {
		sends[string(sender.Provider)] = true
	}
	told := map[string]bool{}
	for _, sender := range c.Senders() {
		for _, name := range slices.Sorted(maps.Keys(c.Sheet.For(sender.Name).Gateways)) {
			gateway := c.Sheet.For(sender.Name).Gateways[name]
			if sender.Provider != ProviderShopify || gateway.Owner != OwnerProvider || gateway.Provider == "" || sends[string(gateway.Provider)] || told[name] {
				continue
			}
			told[name] = true
			p.inSheet(c.Sheet, "gateways."+name, "left to "+string(gateway.Provider)+", of which no source is configured: nobody would book its money",
				"configure the source, or write owner: shop with an account")
		}
	}
}

func (c Config) hasInEnvironment(name string) bool {
	switch Provider(name) {
	case ProviderShopify:
		return len(c.Shopify.Secrets) > 0
	case ProviderStripe:
		return len(c.Stripe.Secrets) > 0
	case ProviderPayPal:
		return c.PayPal.WebhookID != ""
	default:
		return false
	}
}

// identified reports whether a source says anything of who it is that the
// environment says too.
func (s Source) identified() bool {
	return s.verified() || s.APIKeyFile+s.APIKeyEnv+s.ClientID+s.ClientIDEnv+s.ClientSecretFile+s.ClientSecretEnv+string(s.Mode) != ""
}

func (p *parser) sheetSender(c Config, name string, s Source) Sender {
	path := "sources." + name
	sender := Sender{
		Name: name, Provider: s.provider(name), FromSheet: true, Merchant: s.Merchant, Livemode: s.Livemode, Account: s.Account,
		WebhookID: s.WebhookID, ClientID: s.ClientID, Mode: string(s.Mode), APIKeyFile: s.APIKeyFile, ClientSecretFile: s.ClientSecretFile,
		APIKey:       p.outside(c.Sheet, path, "api_key", s.APIKeyFile, s.APIKeyEnv),
		ClientSecret: p.outside(c.Sheet, path, "client_secret", s.ClientSecretFile, s.ClientSecretEnv),
	}
	if s.ClientIDEnv != "" {
		sender.ClientID = p.outside(c.Sheet, path, "client_id", "", s.ClientIDEnv).Reveal()
	}
	for i, file := range s.SecretsFile {
		sender.Secrets = append(sender.Secrets, p.secretFile(c.Sheet, element(path+".secrets_file", i), file))
	}
	more := splitSecrets(p.outside(c.Sheet, path, "secrets", "", s.SecretsEnv), func(what, hint string) {
		p.inSheet(c.Sheet, path+".secrets_env", what, hint)
	})
	sender.Secrets = append(sender.Secrets, more...)
	switch sender.Provider {
	case ProviderShopify:
		if sender.APIURL = shopURL(sender); sender.APIKey != "" && sender.APIURL == "" {
			p.inSheet(c.Sheet, path, "an Admin API access token without the shop's address", "add merchant: acme.myshopify.com")
		}
	case ProviderStripe:
		sender.APIURL = c.Stripe.APIURL
	case ProviderPayPal:
		sender.APIURL, sender.Roots = c.PayPal.APIURL, c.PayPal.Roots
		if sender.Mode == "" {
			sender.Mode = string(PayPalLive)
		}
	}
	return sender
}

// shopURL is where the API of a shop is that may be asked.
func shopURL(s Sender) string {
	if s.APIKey == "" || s.Merchant == "" {
		return ""
	}
	return "https://" + s.Merchant
}

// outside reads a value that the sheet names by file or variable; "" when it
// names neither.
func (p *parser) outside(sheet Sheet, path, key, file, variable string) Secret {
	switch {
	case file != "":
		return p.secretFile(sheet, path+"."+key+"_file", file)
	case variable == "":
		return ""
	}
	value := strings.TrimSpace(os.Getenv(variable))
	if value == "" {
		p.inSheet(sheet, path+"."+key+"_env", "the environment variable is not set", "")
	}
	return Secret(value)
}

func (p *parser) secretFile(sheet Sheet, path, file string) Secret {
	raw, err := os.ReadFile(file)
	text := strings.TrimSpace(string(raw))
	switch {
	case err != nil:
		p.inSheet(sheet, path, err.Error(), "")
	case text == "":
		p.inSheet(sheet, path, "the file is empty", "")
	case strings.ContainsAny(text, "\r\n"):
		p.inSheet(sheet, path, "the file has several lines, and a secret has one", "name a file for each")
	}
	return Secret(text)
}

// inSheet reports a problem at a path of the sheet.
func (p *parser) inSheet(sheet Sheet, path, message, hint string) {
	p.problems = append(p.problems, sheet.ProblemAt(path, message, hint))
}
