package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// check holds the rules that need more than one value, or more than a type:
// for every layer of the sheet, and for what is effective in the end.
func (d *decoder) check(s Sheet) {
	d.checkLayer(s.Settings, "")
	d.checkShipping(s.For(""), "")
	if s.Payments.Fees == FeePayout {
		d.checkFees(s.For(""), "")
	}
	for name, source := range s.Sources {
		path := join("sources", name)
		d.checkSource(name, source, path)
		d.checkLayer(source.Settings, path)
		if shipping := source.Shipping; shipping.As != "" || shipping.Item != "" {
			d.checkShipping(s.For(name), path)
		}
		if source.Payments.Fees == FeePayout {
			d.checkFees(s.For(name), path)
		}
	}
}

func (d *decoder) at(path string) Position { return placeOf(d.places, path) }

func (s Sheet) at(path string) Position { return placeOf(s.places, path) }

// placeOf is where the key of a path stands in the sheet; of one that does not
// stand there, the nearest that holds it.
func placeOf(places map[string]Position, path string) Position {
	for {
		if at, ok := places[path+"#key"]; ok {
			return at
		}
		if at, ok := places[path]; ok {
			return at
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return Position{1, 1}
		}
		path = path[:cut]
	}
}

// wrong reports a problem with the value at a path.
func (d *decoder) wrong(path, hint, message string) {
	at, ok := d.places[path]
	if !ok {
		at = d.at(path)
	}
	d.fail(at, hint, "%s: %s", path, message)
}

func (d *decoder) checkLayer(s Settings, path string) {
	d.checkAccounts(s.Accounts, join(path, "accounts"))
	d.checkRules(s, path)
	d.checkPayments(s.Payments, join(path, "payments"))
	if s.NoEventsAfter != nil && *s.NoEventsAfter < 0 {
		d.wrong(join(path, "no_events_after"), "0s is for ever", "must not be negative")
	}
	if limit := s.Orders.RoundingLimit; limit != nil && limit.IsNegative() {
		d.wrong(join(path, "orders.rounding_limit"), "", "must not be negative")
	}
	if s.FallbackItem != "" && s.Items.Fallback != "" {
		d.fail(d.at(join(path, "items.fallback")), "keep one", "%s and %s are the same setting", join(path, "items.fallback"), join(path, "fallback_item"))
	}
	for name, gateway := range s.Gateways {
		if gateway.Owner == OwnerProvider && gateway.Provider == "" {
			d.fail(d.at(join(path, "gateways."+name)), "add provider: stripe, or provider: paypal", "gateways.%s: owned by a provider that is not named", shown(name))
		}
	}
	d.checkFields(s.Fields, join(path, "fields"))
}

var clearingProviders = []string{"stripe", "paypal", shopifyPayments, string(ProviderShopify)}

func (d *decoder) checkAccounts(a Accounts, path string) {
	for provider := range a.Clearing {
		at := join(path, "clearing."+provider)
		if !slices.Contains(clearingProviders, provider) {
			hint := "use stripe, paypal, shopify_payments"
			if near := nearest(provider, clearingProviders); near != "" {
				hint = "did you mean " + strconv.Quote(near) + "?"
			}
			d.fail(d.at(at), hint, "%s.clearing: %q is no payment provider", path, shown(provider))
		}
	}
	if a.Clearing[shopifyPayments] != nil && a.Clearing[string(ProviderShopify)] != nil {
		d.fail(d.at(join(path, "clearing.shopify")), "keep one", "shopify and shopify_payments are the same account")
	}
}

var (
	countryCode = regexp.MustCompile(`^[A-Z]{2}$`)
	fieldName   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	sourceName  = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	variable    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

func (d *decoder) checkRules(s Settings, path string) {
	for i, rule := range s.Taxes {
		d.checkTax(rule, element(join(path, "taxes"), i))
	}
	for i, rule := range s.Shipping.Accounts {
		d.needs(rule.Account, element(join(path, "shipping.accounts"), i), "account")
	}
	for i, rule := range s.Items.Rules {
		at := element(join(path, "items.rules"), i)
		d.needs(rule.Item, at, "item")
		if rule == (ItemRule{Item: rule.Item}) {
			d.wrong(at, "add sku, variant, product, title or vendor; for all other lines there is items.fallback", "fits every line")
		}
	}
}

func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (d *decoder) needs(value, path, key string) {
	if value == "" {
		d.wrong(path, "add it", "the rule has no "+key)
	}
}

func (d *decoder) checkTax(rule TaxRule, path string) {
	d.needs(rule.Account, path, "account")
	if rule.Country != "" && !countryCode.MatchString(rule.Country) {
		d.wrong(join(path, "country"), "write it like DE", "not an ISO 3166-1 alpha-2 code")
	}
	if rule.Rate != nil && (rule.Rate.IsNegative() || rule.Rate.GreaterThan(decimal.NewFromInt(1))) {
		d.wrong(join(path, "rate"), "19 % is 0.19", "not a rate from 0 to 1")
	}
}

func (d *decoder) checkPayments(p Payments, path string) {
	if p.WaitForOrder != nil && *p.WaitForOrder < 0 {
		d.wrong(join(path, "wait_for_order"), "", "must not be negative")
	}
	if p.FeeWait != nil && *p.FeeWait < 0 {
		d.wrong(join(path, "fee_wait"), "", "must not be negative")
	}
}

// checkShipping looks at effective settings: item may stand in another layer.
func (d *decoder) checkShipping(s Settings, path string) {
	if s.Shipping.As == ShippingItem && s.Shipping.Item == "" {
		d.wrong(join(path, "shipping.as"), "add shipping.item", "an item is to be booked, and none is named")
	}
}

// checkFees looks at effective settings too: fees that are asked for need an
// account.
func (d *decoder) checkFees(s Settings, path string) {
	named := s.Accounts.Fees != ""
	for _, gateway := range s.Gateways {
		named = named || gateway.FeeAccount != ""
	}
	if !named {
		d.wrong(join(path, "payments.fees"), "add accounts.fees", "fees are to be booked, and no account is named for them")
	}
}

func (d *decoder) checkFields(f Fields, path string) {
	for _, document := range f.Documents() {
		for name, expression := range document.Fields {
			at := join(path, document.Key+"."+name)
			if !fieldName.MatchString(name) {
				d.fail(d.at(at), "small letters, digits and _, as in the DocType", "not the name of a field")
			}
			if strings.TrimSpace(expression.Text) == "" {
				d.wrong(at, "leave the key out", "no expression")
			}
		}
	}
}

// checkSource holds who a source is. Whether the environment has one of the
// same name is known to Load alone.
func (d *decoder) checkSource(name string, s Source, path string) {
	if !sourceName.MatchString(name) {
		d.fail(d.at(path), "small letters, digits, - and _: it stands in the webhook's address", "not a good name for a source")
	}
	own := slices.Contains(s.Provider.values(), name)
	if own && s.Provider != "" && string(s.Provider) != name {
		d.wrong(join(path, "provider"), "give the source another name", "a source of this name is "+name+"'s")
	}
	if !own && s.Provider == "" {
		d.fail(d.at(path), "add provider: shopify, stripe or paypal", "%s: nobody says who sends", path)
	}
	d.checkVerification(s, path, own)
	d.checkVariables(s, path)
	d.checkForeign(s.provider(name), s, path)
	if s.provider(name) == ProviderShopify && s.Merchant != "" && !hostName.MatchString(s.Merchant) {
		d.wrong(join(path, "merchant"), "such as acme.myshopify.com, without https://", "not the address of a shop")
	}
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)

// provider is who sends, for a source of a name.
func (s Source) provider(name string) Provider {
	if s.Provider == "" {
		return Provider(name)
	}
	return s.Provider
}

// verified reports whether the source says how its signatures are verified.
func (s Source) verified() bool {
	return len(s.SecretsFile) > 0 || s.SecretsEnv != "" || s.WebhookID != ""
}

func (d *decoder) checkVerification(s Source, path string, refines bool) {
	if !s.verified() && !refines {
		hint := "add secrets_file or secrets_env"
		if s.Provider == ProviderPayPal {
			hint = "add webhook_id"
		}
		d.fail(d.at(path), hint, "%s: its webhooks could not be verified", path)
	}
	both := func(a, b bool, one, other string) {
		if a && b {
			d.fail(d.at(join(path, other)), "keep one", "%s and %s are both set", one, other)
		}
	}
	both(len(s.SecretsFile) > 0, s.SecretsEnv != "", "secrets_file", "secrets_env")
	both(s.APIKeyFile != "", s.APIKeyEnv != "", "api_key_file", "api_key_env")
	both(s.ClientSecretFile != "", s.ClientSecretEnv != "", "client_secret_file", "client_secret_env")
	both(s.ClientID != "", s.ClientIDEnv != "", "client_id", "client_id_env")
	if hasID, hasSecret := s.ClientID+s.ClientIDEnv != "", s.ClientSecretFile+s.ClientSecretEnv != ""; hasID != hasSecret {
		d.fail(d.at(path), "add the other, or leave both out", "%s: client id and client secret go together", path)
	}
}

// checkVariables keeps the names of a sheet's variables out of our own: an
// unknown one of those is an error at the start.
func (d *decoder) checkVariables(s Source, path string) {
	for key, name := range map[string]string{
		"secrets_env": s.SecretsEnv, "api_key_env": s.APIKeyEnv, "client_id_env": s.ClientIDEnv, "client_secret_env": s.ClientSecretEnv,
	} {
		switch {
		case name == "":
		case strings.HasPrefix(name, prefix):
			d.wrong(join(path, key), "use another name, such as ACME_SECRETS", "names that begin with "+prefix+" are the service's own")
		case !variable.MatchString(name):
			d.wrong(join(path, key), "the name of a variable, not its value", "not the name of an environment variable")
		}
	}
}

// checkForeign refuses keys of another provider: they would do nothing.
func (d *decoder) checkForeign(provider Provider, s Source, path string) {
	for _, k := range []struct {
		key   string
		given bool
		of    []Provider
	}{
		{"secrets_file", len(s.SecretsFile) > 0, []Provider{ProviderShopify, ProviderStripe}},
		{"secrets_env", s.SecretsEnv != "", []Provider{ProviderShopify, ProviderStripe}},
		{"api_key_file", s.APIKeyFile != "", []Provider{ProviderShopify, ProviderStripe}},
		{"api_key_env", s.APIKeyEnv != "", []Provider{ProviderShopify, ProviderStripe}},
		{"livemode", s.Livemode != nil, []Provider{ProviderStripe}},
		{"account", s.Account != "", []Provider{ProviderStripe}},
		{"webhook_id", s.WebhookID != "", []Provider{ProviderPayPal}},
		{"client_id", s.ClientID != "", []Provider{ProviderPayPal}},
		{"client_id_env", s.ClientIDEnv != "", []Provider{ProviderPayPal}},
		{"client_secret_file", s.ClientSecretFile != "", []Provider{ProviderPayPal}},
		{"client_secret_env", s.ClientSecretEnv != "", []Provider{ProviderPayPal}},
		{"mode", s.Mode != "", []Provider{ProviderPayPal}},
		{"merchant", s.Merchant != "", []Provider{ProviderShopify, ProviderPayPal}},
	} {
		if k.given && slices.Contains(provider.values(), string(provider)) && !slices.Contains(k.of, provider) {
			d.fail(d.at(join(path, k.key)), "leave it out", "%s means nothing for %s", k.key, provider)
		}
	}
}
