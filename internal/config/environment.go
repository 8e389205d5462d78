package config

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

const (
	prefix     = "LEDGERHOOK_"
	testPrefix = prefix + "TEST_" // read by tests alone
)

// environment is what the operator may set, as text: envconfig stops at the
// first value it cannot parse and prints it, so parsing is ours. Field names
// make the variable names (no tags: a tagged field would also be read without
// the prefix).
type environment struct {
	Addr              string `split_words:"true" default:":8080" desc:"public listener"`
	OperatorAddr      string `split_words:"true" default:"127.0.0.1:9090" desc:"operator listener: metrics, event API, pprof"`
	OperatorToken     string `split_words:"true" desc:"token of the event API; needed unless the operator listener is on loopback"`
	OperatorTokenFile string `split_words:"true"`
	DatabaseURL       string `split_words:"true" default:"sqlite:ledgerhook.db" desc:"the inbox"`
	Sheet             string `split_words:"true" desc:"path of the mapping sheet"`

	ErpnextURL                   string `split_words:"true" desc:"address of the ERPNext site"`
	ErpnextAPIKey                string `split_words:"true" desc:"API key of the runtime user"`
	ErpnextAPIKeyFile            string `split_words:"true"`
	ErpnextAPISecret             string `split_words:"true" desc:"API secret of the runtime user"`
	ErpnextAPISecretFile         string `split_words:"true"`
	ErpnextBearerToken           string `split_words:"true" desc:"bearer token, instead of key and secret"`
	ErpnextBearerTokenFile       string `split_words:"true"`
	ErpnextOauthTokenURL         string `split_words:"true" desc:"OAuth 2.0 token endpoint, instead of key and secret"`
	ErpnextOauthClientID         string `split_words:"true"`
	ErpnextOauthClientSecret     string `split_words:"true" desc:"empty for a public client"`
	ErpnextOauthClientSecretFile string `split_words:"true"`
	ErpnextOauthRefreshToken     string `split_words:"true"`
	ErpnextOauthRefreshTokenFile string `split_words:"true"`
	ErpnextSite                  string `split_words:"true" desc:"site header, when it differs from the URL's host"`
	ErpnextSetupKey              string `split_words:"true" desc:"API key of a System Manager, for server setup alone"`
	ErpnextSetupKeyFile          string `split_words:"true"`
	ErpnextSetupSecret           string `split_words:"true" desc:"API secret of a System Manager, for server setup alone"`
	ErpnextSetupSecretFile       string `split_words:"true"`
	ErpnextWriters               string `split_words:"true" default:"2" desc:"concurrent writers to the site; fewer while it is busy"`
	ErpnextRate                  string `split_words:"true" default:"0" desc:"events a minute that are carried into the site at most; 0 = no limit"`

	ShopifySecrets      string `split_words:"true" desc:"app client secret and/or the shop's notification secret; old and new, comma separated"`
	ShopifySecretsFile  string `split_words:"true"`
	ShopifyAPIToken     string `split_words:"true" desc:"Admin API access token of the shop: orders that a subscription sends in part are read whole"`
	ShopifyAPITokenFile string `split_words:"true"`
	ShopifyApiURL       string `split_words:"true" desc:"address of the shop, https://acme.myshopify.com; needed with the token"`
	StripeSecrets       string `split_words:"true" desc:"endpoint signing secrets (whsec_…), comma separated"`
	StripeAPIKey        string `split_words:"true" desc:"to read fees, conversions and what events leave out"`
	StripeAPIKeyFile    string `split_words:"true"`
	StripeApiURL        string `split_words:"true" desc:"for tests"` // not API: the words of the name are STRIPE_API_URL
	StripeSecretsFile   string `split_words:"true"`

	PaypalWebhookID        string `split_words:"true" desc:"id of the webhook in the REST app"`
	PaypalClientID         string `split_words:"true" desc:"for the postback and the read-back of money"`
	PaypalClientSecret     string `split_words:"true"`
	PaypalClientSecretFile string `split_words:"true"`
	PaypalMode             string `split_words:"true" default:"live" desc:"live or sandbox"`
	PaypalApiURL           string `split_words:"true" desc:"for tests"` // not API: the words of the name are PAYPAL_API_URL
	PaypalRootsFile        string `split_words:"true" desc:"extra trust anchors and intermediates, PEM"`

	SlackWebhookURL     string `split_words:"true" desc:"alerts to Slack"`
	SlackWebhookURLFile string `split_words:"true"`
	AlertWebhookURL     string `split_words:"true" desc:"alerts to a second channel, Alertmanager v2 shape"`
	AlertWebhookURLFile string `split_words:"true"`
	AlertBacklog        string `split_words:"true" default:"1h" desc:"how long an event may wait before people are told; 0 = for ever"`
	AlertDiskFree       string `split_words:"true" default:"1GiB" desc:"people are told when less is left on the inbox's disk"`
	OperatorURL         string `split_words:"true" desc:"where people reach the operator listener, for links in alerts"`
	RunbookURL          string `split_words:"true" default:"https://github.com/ledgerhook/ledgerhook/blob/main/deploy/RUNBOOK.md" desc:"for links in alerts"`

	BodyKeys     string `split_words:"true" desc:"keys that encrypt stored bodies, id:base64 of 32 bytes, comma separated; the first encrypts, all decrypt"`
	BodyKeysFile string `split_words:"true"`
	PrivacyDir   string `split_words:"true" desc:"folder of exports of personal data; else the inbox's"`

	MaxBody        string `split_words:"true" default:"10MiB" desc:"largest webhook body"`
	Retention      string `split_words:"true" default:"2160h" desc:"how long raw bodies of settled events are kept"`
	Heartbeat      string `split_words:"true" default:"1m" desc:"how often an event of the service's own goes through the whole chain; 0 = never"`
	TrustedProxies string `split_words:"true" desc:"networks whose X-Forwarded-For counts"`
	AllowedSenders string `split_words:"true" desc:"networks a source may send from: shopify=…;stripe=…"`
	LogLevel       string `split_words:"true" default:"info"`
	LogFormat      string `split_words:"true" default:"json" desc:"json, or console for people"`
}

func readEnvironment() (environment, error) {
	var e environment
	if err := envconfig.Process(strings.TrimSuffix(prefix, "_"), &e); err != nil {
		return e, fmt.Errorf("read the environment: %w", err)
	}
	return e, nil
}

// names lists every variable the service reads.
func names() []string {
	var out bytes.Buffer
	_ = envconfig.Usagef(strings.TrimSuffix(prefix, "_"), &environment{}, &out, "{{range .}}{{usage_key .}}\n{{end}}")
	return strings.Fields(out.String())
}

// checkUnknown finds misspelt names: a setting that is silently not read is
// worse than a start that fails.
func (p *parser) checkUnknown() {
	known := names()
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, testPrefix) && !slices.Contains(known, name) {
			p.problems = append(p.problems, fmt.Errorf("%s: no such setting%s", name, suggestion(name, known)))
		}
	}
}

func suggestion(name string, known []string) string {
	for _, k := range known {
		if distance(name, k) <= 2 {
			return ": did you mean " + k + "?"
		}
	}
	return ": take it out; README.md lists the settings"
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
