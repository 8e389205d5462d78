// Package config turns the environment and the mapping sheet into checked
// values. It reports every problem at once, by name and never by value. Only
// cmd/server and app see a Config; every other room gets plain values.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/seal"
)

// Config is the whole configuration of a service, checked.
type Config struct {
	Addr          string
	OperatorAddr  string
	OperatorToken Secret
	DatabasePath  string // of the SQLite inbox

	Sheet   Sheet
	ERPNext ERPNext
	Shopify Shopify
	Stripe  Stripe
	PayPal  PayPal

	BodyKeys   *seal.Ring // encrypt stored bodies; nil = they are plain
	PrivacyDir string     // of exports of personal data; "" = the inbox's folder

	SlackWebhookURL Secret
	AlertWebhookURL Secret
	Alerts          Alerts

	MaxBody        int64         // bytes
	Retention      time.Duration // of settled events' bodies
	Heartbeat      time.Duration // 0 = none is sent
	TrustedProxies []string
	AllowedSenders map[string][]netip.Prefix // by source; a source that is not named takes any sender
	LogLevel       string
	LogFormat      string

	sheetSenders []Sender
}

// ERPNext is the site and how to sign in to it.
type ERPNext struct {
	URL         string
	Site        string // site header, when it differs from the URL's host
	APIKey      SecretSource
	APISecret   SecretSource
	BearerToken SecretSource
	OAuth       OAuth
	SetupKey    SecretSource
	SetupSecret SecretSource
	Writers     int
	Rate        int // events a minute at most; 0 = as many as it takes
}

// Alerts says from when on people hear of what lasts, and where the links in
// their messages lead.
type Alerts struct {
	Backlog     time.Duration // how long an event may wait; 0 = for ever
	DiskFree    int64         // bytes; less is told
	OperatorURL string        // where people reach the operator's listener; "" = no link
	RunbookURL  string
}

// OAuth is a refresh token of an OAuth Client of the site.
type OAuth struct {
	TokenURL     string
	ClientID     string
	ClientSecret SecretSource
	RefreshToken SecretSource
}

// Shopify holds the secrets of one shop; it is off without any.
type Shopify struct {
	Secrets      []Secret
	APIToken     Secret // of the Admin API
	APITokenFile string // where it stands; "" = in the environment
	APIURL       string // the shop's address
}

// Stripe holds the signing secrets of one endpoint; it is off without any.
type Stripe struct {
	Secrets    []Secret
	APIKey     Secret
	APIKeyFile string // where it stands; "" = in the environment
	APIURL     string // overrides Stripe's, for tests
}

// PayPal is one webhook of one REST app; it is off without a webhook id.
type PayPal struct {
	WebhookID        string
	ClientID         string
	ClientSecret     Secret
	ClientSecretFile string // where it stands; "" = in the environment
	Mode             string // "live" or "sandbox"
	APIURL           string // overrides the mode's, for tests
	Roots            []byte // PEM: extra trust anchors and intermediates
}

// Load reads the environment and the sheet it names. Everything that is wrong
// comes back in one error; what comes with it is of no use but to look for more.
func Load() (Config, error) { return load(&parser{}) }

// LoadSite is Load for what is done with ERPNext before the first webhook: no
// provider needs to be configured yet, nor the sheet to be written.
func LoadSite() (Config, error) { return load(&parser{early: true}) }

func load(p *parser) (Config, error) {
	env, err := readEnvironment()
	if err != nil {
		return Config{}, err
	}
	cfg := p.parse(env)
	cfg.sheetSenders = p.sheetSenders(cfg)
	p.checkGateways(cfg)
	p.checkUnknown()
	p.checkProviders(cfg)
	p.checkERPNext(cfg.ERPNext)
	p.checkOperator(cfg)
	return cfg, errors.Join(p.problems...)
}

// parser collects problems instead of stopping at the first.
type parser struct {
	problems []error
	badSheet bool // then its sources are not looked into
	early    bool // ERPNext alone is asked
}

func (p *parser) fail(name, format string, args ...any) {
	p.problems = append(p.problems, fmt.Errorf("%s%s: %s", prefix, name, fmt.Sprintf(format, args...)))
}

func (p *parser) parse(e environment) Config {
	return Config{
		Addr:          p.address("ADDR", e.Addr),
		OperatorAddr:  p.address("OPERATOR_ADDR", e.OperatorAddr),
		OperatorToken: p.secret(SecretSource{"OPERATOR_TOKEN", e.OperatorToken, e.OperatorTokenFile}),
		DatabasePath:  p.database(e.DatabaseURL),
		Sheet:         p.sheet(e.Sheet),
		ERPNext: ERPNext{
			URL:         p.baseURL("ERPNEXT_URL", e.ErpnextURL),
			Site:        e.ErpnextSite,
			APIKey:      SecretSource{"ERPNEXT_API_KEY", e.ErpnextAPIKey, e.ErpnextAPIKeyFile},
			APISecret:   SecretSource{"ERPNEXT_API_SECRET", e.ErpnextAPISecret, e.ErpnextAPISecretFile},
			BearerToken: SecretSource{"ERPNEXT_BEARER_TOKEN", e.ErpnextBearerToken, e.ErpnextBearerTokenFile},
			OAuth: OAuth{
				TokenURL:     p.baseURL("ERPNEXT_OAUTH_TOKEN_URL", e.ErpnextOauthTokenURL),
				ClientID:     e.ErpnextOauthClientID,
				ClientSecret: SecretSource{"ERPNEXT_OAUTH_CLIENT_SECRET", e.ErpnextOauthClientSecret, e.ErpnextOauthClientSecretFile},
				RefreshToken: SecretSource{"ERPNEXT_OAUTH_REFRESH_TOKEN", e.ErpnextOauthRefreshToken, e.ErpnextOauthRefreshTokenFile},
			},
			SetupKey:    SecretSource{"ERPNEXT_SETUP_KEY", e.ErpnextSetupKey, e.ErpnextSetupKeyFile},
			SetupSecret: SecretSource{"ERPNEXT_SETUP_SECRET", e.ErpnextSetupSecret, e.ErpnextSetupSecretFile},
			Writers:     p.number("ERPNEXT_WRITERS", e.ErpnextWriters, 1, 32),
			Rate:        p.number("ERPNEXT_RATE", e.ErpnextRate, 0, 60_000),
		},
		Shopify: Shopify{
			Secrets:  p.secrets(SecretSource{"SHOPIFY_SECRETS", e.ShopifySecrets, e.ShopifySecretsFile}),
			APIToken: p.secret(SecretSource{"SHOPIFY_API_TOKEN", e.ShopifyAPIToken, e.ShopifyAPITokenFile}), APITokenFile: e.ShopifyAPITokenFile,
			APIURL: p.baseURL("SHOPIFY_API_URL", e.ShopifyApiURL),
		},
		Stripe: Stripe{
			Secrets: p.secrets(SecretSource{"STRIPE_SECRETS", e.StripeSecrets, e.StripeSecretsFile}),
			APIKey:  p.secret(SecretSource{"STRIPE_API_KEY", e.StripeAPIKey, e.StripeAPIKeyFile}), APIKeyFile: e.StripeAPIKeyFile,
			APIURL: p.baseURL("STRIPE_API_URL", e.StripeApiURL),
		},
		PayPal: PayPal{
			WebhookID:    e.PaypalWebhookID,
			ClientID:     e.PaypalClientID,
			ClientSecret: p.secret(SecretSource{"PAYPAL_CLIENT_SECRET", e.PaypalClientSecret, e.PaypalClientSecretFile}), ClientSecretFile: e.PaypalClientSecretFile,
			Mode:   p.choice("PAYPAL_MODE", e.PaypalMode, "live", "sandbox"),
			APIURL: p.baseURL("PAYPAL_API_URL", e.PaypalApiURL),
			Roots:  p.file("PAYPAL_ROOTS_FILE", e.PaypalRootsFile),
		},
		BodyKeys:        p.bodyKeys(SecretSource{"BODY_KEYS", e.BodyKeys, e.BodyKeysFile}),
		PrivacyDir:      e.PrivacyDir,
		SlackWebhookURL: p.secretURL(SecretSource{"SLACK_WEBHOOK_URL", e.SlackWebhookURL, e.SlackWebhookURLFile}),
		AlertWebhookURL: p.secretURL(SecretSource{"ALERT_WEBHOOK_URL", e.AlertWebhookURL, e.AlertWebhookURLFile}),
		Alerts: Alerts{
			Backlog: p.interval("ALERT_BACKLOG", e.AlertBacklog), DiskFree: p.bytes("ALERT_DISK_FREE", e.AlertDiskFree),
			OperatorURL: p.baseURL("OPERATOR_URL", e.OperatorURL), RunbookURL: p.baseURL("RUNBOOK_URL", e.RunbookURL),
		},
		MaxBody:        p.maxBody(e.MaxBody),
		Retention:      p.duration("RETENTION", e.Retention),
		Heartbeat:      p.interval("HEARTBEAT", e.Heartbeat),
		TrustedProxies: p.networks("TRUSTED_PROXIES", e.TrustedProxies),
		AllowedSenders: p.senders(e.AllowedSenders),
		LogLevel:       p.choice("LOG_LEVEL", e.LogLevel, "debug", "info", "warn", "error"),
		LogFormat:      p.choice("LOG_FORMAT", e.LogFormat, "json", "console"),
	}
}

func (p *parser) secret(s SecretSource) Secret {
	secret, err := s.Read()
	if err != nil {
		p.problems = append(p.problems, err)
	}
	return secret
}

// secrets reads a comma separated list.
func (p *parser) secrets(s SecretSource) []Secret {
	return splitSecrets(p.secret(s), func(what, hint string) { p.fail(s.name, "%s: %s", what, hint) })
}

// splitSecrets takes a comma separated list apart. An empty element is wrong: an
// empty secret would let anybody sign. So is a line break, which is how a file
// of one secret a line reads: nothing is ever signed with two as one.
func splitSecrets(text Secret, wrong func(what, hint string)) []Secret {
	if text == "" {
		return nil
	}
	var list []Secret
	for part := range strings.SplitSeq(text.Reveal(), ",") {
		part = strings.TrimSpace(part)
		switch {
		case part == "":
			wrong("an empty secret stands in the list", "remove the stray comma")
		case strings.ContainsAny(part, "\r\n"):
			wrong("a line break stands within a secret", "put a comma between two secrets")
		default:
			list = append(list, Secret(part))
		}
	}
	return list
}

func (p *parser) bodyKeys(s SecretSource) *seal.Ring {
	ring, err := seal.Parse(p.secret(s).Reveal())
	if err != nil {
		p.fail(s.name, "%v", err)
	}
	return ring
}

func (p *parser) secretURL(s SecretSource) Secret {
	text := p.secret(s)
	if text != "" {
		p.baseURL(s.name, text.Reveal())
	}
	return text
}

func (p *parser) database(text string) string {
	path, ok := strings.CutPrefix(text, "sqlite:")
	if !ok || path == "" {
		p.fail("DATABASE_URL", "use sqlite:PATH, for example sqlite:/var/lib/ledgerhook/ledgerhook.db")
	}
	return path
}

// address reads where a listener listens. An empty one would be a port that the
// system chooses, on every network.
func (p *parser) address(name, text string) string {
	_, port, err := net.SplitHostPort(text)
	if err == nil && port != "" {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" {
		p.fail(name, "not an address: write it like :8080 or 127.0.0.1:8080")
		return ""
	}
	return text
}

func (p *parser) baseURL(name, text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		p.fail(name, "not a URL: write it like https://erp.example.com")
		return ""
	}
	if u.User != nil {
		p.fail(name, "leave user and password out of the URL")
	}
	return strings.TrimRight(text, "/")
}

func (p *parser) number(name, text string, low, high int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		p.fail(name, "not a whole number from %d to %d", low, high)
	}
	return n
}

func (p *parser) choice(name, text string, allowed ...string) string {
	for _, a := range allowed {
		if text == a {
			return text
		}
	}
	p.fail(name, "must be one of %s", strings.Join(allowed, ", "))
	return allowed[0]
}

func (p *parser) duration(name, text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		p.fail(name, "not a positive duration: write it like 2160h")
	}
	return d
}

// interval reads how often something happens; 0 is never.
func (p *parser) interval(name, text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil || d != 0 && d < time.Second {
		p.fail(name, "not a duration of at least a second: write it like 1m, or 0 for never")
	}
	return d
}

var byteUnits = []struct {
	suffix string
	size   int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

func (p *parser) bytes(name, text string) int64 {
	for _, unit := range byteUnits {
		digits, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err == nil && n > 0 && n <= (1<<40)/unit.size {
			return n * unit.size
		}
		break
	}
	p.fail(name, "not a size: write it like 10MiB")
	return 0
}

// mostBody is the largest body that the intake finds the memory for.
const mostBody = 32 << 20

func (p *parser) maxBody(text string) int64 {
	size := p.bytes("MAX_BODY", text)
	if size > mostBody {
		p.fail("MAX_BODY", "more than 32MiB, which is what is held in memory of large bodies")
	}
	return size
}

func (p *parser) file(name, path string) []byte {
	if path == "" {
		return nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		p.fail(name, "%v", err)
	}
	return raw
}

func (p *parser) networks(name, text string) []string {
	var list []string
	for _, prefix := range p.prefixes(name, text) {
		list = append(list, prefix.String())
	}
	return list
}

func (p *parser) prefixes(name, text string) []netip.Prefix {
	var list []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if addr, aerr := netip.ParseAddr(part); err != nil && aerr == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			p.fail(name, "not a network: write it like 10.0.0.0/8")
			continue
		}
		list = append(list, prefix.Masked())
	}
	return list
}

// senders reads "shopify=10.0.0.0/8,192.0.2.7;stripe=…".
func (p *parser) senders(text string) map[string][]netip.Prefix {
	senders := map[string][]netip.Prefix{}
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		source, networks, ok := strings.Cut(part, "=")
		source = strings.TrimSpace(source)
		if _, twice := senders[source]; !ok || twice || strings.Trim(networks, ", ") == "" {
			p.fail("ALLOWED_SENDERS", "name each source once, with its networks: shopify=10.0.0.0/8,192.0.2.7;stripe=198.51.100.0/24")
			continue
		}
		senders[source] = p.prefixes("ALLOWED_SENDERS", networks)
	}
	return senders
}

// checkProviders holds the rule that nothing starts without a secret to verify with.
func (p *parser) checkProviders(c Config) {
	if len(c.Senders()) == 0 && !p.badSheet && !p.early {
		p.problems = append(p.problems, fmt.Errorf(
			"no provider is configured: set at least one of %[1]sSHOPIFY_SECRETS, %[1]sSTRIPE_SECRETS, %[1]sPAYPAL_WEBHOOK_ID, or name a source in the mapping sheet", prefix))
	}
	if s := c.Shopify; s.APIToken != "" && s.APIURL == "" && c.Sheet.Sources[string(ProviderShopify)].Merchant == "" {
		p.fail("SHOPIFY_API_URL", "is needed with the token: the shop's address, such as https://acme.myshopify.com")
	}
	pp := c.PayPal
	if pp.WebhookID == "WEBHOOK_ID" && pp.Mode == "live" {
		p.fail("PAYPAL_WEBHOOK_ID", "WEBHOOK_ID is what PayPal's simulator signs with, for everybody: use the id of your own webhook")
	}
	if odd := func(c rune) bool { return c <= ' ' || c > '~' }; strings.ContainsFunc(pp.WebhookID, odd) || len(pp.WebhookID) > 50 {
		p.fail("PAYPAL_WEBHOOK_ID", "is no webhook id: those are up to 50 letters and digits")
	}
	if len(pp.Roots) > 0 && !strings.Contains(string(pp.Roots), "-----BEGIN CERTIFICATE-----") {
		p.fail("PAYPAL_ROOTS_FILE", "holds no certificate: PEM is meant")
	}
	if (pp.ClientID == "") != (pp.ClientSecret == "") {
		p.fail("PAYPAL_CLIENT_ID", "client id and client secret go together")
	}
	if pp.WebhookID == "" && (pp.ClientID != "" || len(pp.Roots) > 0) {
		p.fail("PAYPAL_WEBHOOK_ID", "is needed to verify PayPal's webhooks")
	}
	for source := range c.AllowedSenders {
		if _, inSheet := c.Sheet.Sources[source]; !inSheet && !slices.Contains(Provider("").values(), source) {
			p.fail("ALLOWED_SENDERS", "names a source that does not exist")
		}
	}
}

func (p *parser) checkERPNext(e ERPNext) {
	if e.URL == "" {
		p.fail("ERPNEXT_URL", "is needed: the address of the ERPNext site")
	}
	if e.APIKey.IsSet() != e.APISecret.IsSet() {
		p.fail("ERPNEXT_API_KEY", "API key and API secret go together")
	}
	if o := e.OAuth; o.RefreshToken.IsSet() && (o.TokenURL == "" || o.ClientID == "") {
		p.fail("ERPNEXT_OAUTH_REFRESH_TOKEN", "needs %sERPNEXT_OAUTH_TOKEN_URL and %sERPNEXT_OAUTH_CLIENT_ID", prefix, prefix)
	}
	switch e.waysToSignIn() {
	case 0:
		p.fail("ERPNEXT_API_KEY", "is needed, with %sERPNEXT_API_SECRET (or %sERPNEXT_BEARER_TOKEN, or %sERPNEXT_OAUTH_REFRESH_TOKEN)", prefix, prefix, prefix)
	case 1:
	default:
		p.fail("ERPNEXT_API_KEY", "give one way to sign in: key and secret, a bearer token or a refresh token, not several")
	}
	for _, s := range []SecretSource{
		e.APIKey, e.APISecret, e.BearerToken, e.SetupKey, e.SetupSecret, e.OAuth.ClientSecret, e.OAuth.RefreshToken,
	} {
		p.secret(s)
	}
}

func (e ERPNext) waysToSignIn() int {
	ways := 0
	for _, given := range []bool{e.APIKey.IsSet() || e.APISecret.IsSet(), e.BearerToken.IsSet(), e.OAuth.RefreshToken.IsSet()} {
		if given {
			ways++
		}
	}
	return ways
}

// checkOperator refuses to show other people's data to everybody who reaches
// the operator listener.
func (p *parser) checkOperator(c Config) {
	host, port, err := net.SplitHostPort(c.OperatorAddr)
	if err != nil {
		return // address has said so
	}
	if c.OperatorAddr == c.Addr && port != "0" {
		p.fail("OPERATOR_ADDR", "is that of the public listener: give each its own")
	}
	if c.OperatorToken != "" {
		return
	}
	if addr, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !addr.IsLoopback()) {
		p.fail("OPERATOR_TOKEN", "is needed when the operator listener is not on loopback")
	}
}
