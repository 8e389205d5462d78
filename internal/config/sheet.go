package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"reflect"

	"go.yaml.in/yaml/v4"
)

// maxSheet bounds the mapping sheet: a larger file is not one.
const maxSheet = 1 << 20

// Sheet is the mapping sheet: what ERPNext's records are called for this
// merchant, and the policies. Every field may be left out; its zero value is a
// sheet that says nothing. Read it through For.
type Sheet struct {
	Settings `yaml:",inline"`
	Sources  map[string]Source `yaml:"sources" desc:"Further shops and accounts, by the name in their webhook address; or what is different for one of the environment's: shopify, stripe, paypal."`

	text   *text // what it was read from; nil when it was not
	places map[string]Position
}

// Source is one sender: who it is, how its signature is verified, and what is
// different for it. One that has the name of a source of the environment
// refines that, and then names no secrets.
type Source struct {
	Provider         Provider   `yaml:"provider" desc:"Who sends. Needed for a source that the environment does not have."`
	SecretsFile      []string   `yaml:"secrets_file" desc:"Files that hold one signing secret each: old and new."`
	SecretsEnv       string     `yaml:"secrets_env" desc:"Environment variable, without the prefix LEDGERHOOK_, with signing secrets, comma separated."`
	APIKeyFile       string     `yaml:"api_key_file" desc:"Stripe: file with an API key, for fees and read-back. Shopify: file with an Admin API access token of the merchant, to read orders that come in part."`
	APIKeyEnv        string     `yaml:"api_key_env" desc:"Stripe, Shopify: environment variable with such a key or token."`
	Livemode         *bool      `yaml:"livemode" desc:"Stripe: true takes live events alone, false test events alone; an event of the other mode is a dead letter. Without it the mode of the API key holds, and without a key both are taken."`
	Account          string     `yaml:"account" desc:"Stripe: the connected account (acct_…) whose events are meant. Without it an event of a connected account is a dead letter."`
	WebhookID        string     `yaml:"webhook_id" desc:"PayPal: id of the webhook in the REST app."`
	ClientID         string     `yaml:"client_id" desc:"PayPal: client id of the REST app, for postback and read-back."`
	ClientIDEnv      string     `yaml:"client_id_env" desc:"PayPal: environment variable with the client id."`
	ClientSecretFile string     `yaml:"client_secret_file" desc:"PayPal: file with the client secret."`
	ClientSecretEnv  string     `yaml:"client_secret_env" desc:"PayPal: environment variable with the client secret."`
	Mode             PayPalMode `yaml:"mode" desc:"PayPal: live or sandbox. live when it is not said."`
	Merchant         string     `yaml:"merchant" desc:"Shopify: the shop's address (acme.myshopify.com); PayPal: the merchant id, or the account's e-mail address. Events of another are refused."`

	Settings `yaml:",inline"`
}

// PayPalMode is which of PayPal's two worlds a webhook belongs to.
type PayPalMode string

// The modes.
const (
	PayPalLive    PayPalMode = "live"
	PayPalSandbox PayPalMode = "sandbox"
)

func (PayPalMode) values() []string { return []string{string(PayPalLive), string(PayPalSandbox)} }

// For gives the effective settings of a source: what the sheet says for it,
// over what the sheet says for all, over the defaults. Maps are merged key by
// key; lists and names by currency are replaced whole. Nothing in the result is
// shared with the sheet. A source that the sheet does not name gets what holds
// for all.
func (s Sheet) For(source string) Settings {
	var effective Settings
	for _, layer := range []Settings{defaults, s.Settings, s.Sources[source].Settings} {
		overlay(reflect.ValueOf(&effective).Elem(), reflect.ValueOf(layer.normal()))
	}
	return effective
}

// normal writes what has two names under one: the fallback item under both its
// keys, Shopify Payments as the provider it is.
func (s Settings) normal() Settings {
	s.FallbackItem = cmp.Or(s.FallbackItem, s.Items.Fallback)
	s.Items.Fallback = s.FallbackItem
	if payments, ok := s.Accounts.Clearing[shopifyPayments]; ok {
		s.Accounts.Clearing = maps.Clone(s.Accounts.Clearing)
		delete(s.Accounts.Clearing, shopifyPayments)
		s.Accounts.Clearing[string(ProviderShopify)] = payments
	}
	return s
}

// shopifyPayments is what people call the account of Shopify's payouts.
const shopifyPayments = "shopify_payments"

func (p *parser) sheet(path string) Sheet {
	if path == "" {
		return Sheet{}
	}
	s, err := ReadSheet(path)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) && p.early: // it is about to be written
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: server init writes one, to the file that --out names", err)
		fallthrough
	default:
		p.problems, p.badSheet = append(p.problems, err), true
	}
	return s
}

// ReadSheet reads the mapping sheet in a file, as ParseSheet does.
func ReadSheet(path string) (Sheet, error) {
	file, err := os.Open(path)
	if err != nil {
		return Sheet{}, fmt.Errorf("%sSHEET: %w", prefix, err)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxSheet+1))
	if err != nil {
		return Sheet{}, fmt.Errorf("%sSHEET: %w", prefix, err)
	}
	return ParseSheet(path, raw)
}

// ParseSheet reads a mapping sheet strictly. file is its name in messages. The
// error is a Problems: an unknown or repeated key, a value that is of the wrong
// type or not one of those allowed, settings that contradict each other, what
// looks like a secret; all of them at once, each with its place. The sheet is
// of use only without an error.
func ParseSheet(file string, raw []byte) (Sheet, error) {
	if len(raw) > maxSheet {
		return Sheet{}, Problems{{File: file, Message: fmt.Sprintf("larger than %d bytes: not a mapping sheet", maxSheet)}}
	}
	t := newText(file, raw)
	root, problem := parseYAML(t, raw)
	if problem != nil {
		return Sheet{}, Problems{*problem}
	}
	d := &decoder{text: t, places: map[string]Position{}, budget: maxValues}
	sheet := Sheet{text: t, places: d.places}
	if root != nil {
		d.value(root, reflect.ValueOf(&sheet).Elem(), "")
	}
	d.check(sheet)
	if len(d.problems) > 0 {
		return sheet, d.problems.Sorted()
	}
	return sheet, nil
}

// parseYAML gives the root of the one document, or nil of an empty one.
func parseYAML(t *text, raw []byte) (*yaml.Node, *Problem) {
	loader, err := yaml.NewLoader(bytes.NewReader(raw), yaml.WithV4Defaults())
	if err != nil {
		return nil, new(t.syntax(err))
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF): // nothing but comments
		return nil, nil
	case err != nil:
		return nil, new(t.syntax(err))
	}
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
		return first.Content[0], nil
	case err != nil:
		return nil, new(t.syntax(err))
	default:
		return nil, new(t.problem(place(&second), "a second document follows", "a mapping sheet is one document, without ---"))
	}
}
