package app

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/stripe/stripesim"
	"github.com/rs/zerolog"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// StripeKey is the API key of the simulated account.
const StripeKey = "rk_test_canary"

// StripeSettles are the currencies that the account converts.
var StripeSettles = map[string]stripesim.Conversion{"gbp": {To: "eur", Rate: "1.1734"}, "jpy": {To: "usd", Rate: "0.0067"}}

// StripeBooks is a sheet for money in two currencies.
func StripeBooks() config.Settings {
	wait := time.Hour
	return config.Settings{
		Accounts: config.Accounts{
			Clearing: map[string]config.ByCurrency{"stripe": {"": "Stripe Clearing - DT", "EUR": "Stripe EUR - DT"}},
			Bank:     config.ByCurrency{"": "Demo Bank - DT", "EUR": "Bank EUR - DT"},
			Fees:     "Fees - DT", Disputes: "Dispute Holding - DT", DisputeLosses: "Dispute Losses - DT",
		},
		Payments: config.Payments{WaitForOrder: &wait},
	}
}

// InsertStripeAccounts gives a demo site the accounts that StripeBooks names.
func InsertStripeAccounts(t testing.TB, site *sandbox.Site) {
	t.Helper()
	for name, account := range map[string]map[string]any{
		"Stripe EUR": {"account_type": "Bank", "account_currency": "EUR"}, "Bank EUR": {"account_type": "Bank", "account_currency": "EUR"},
		"Fees": {"root_type": "Expense", "account_currency": "USD"}, "Dispute Losses": {"root_type": "Expense", "account_currency": "USD"},
	} {
		account["name"], account["account_name"], account["company"] = name+" - DT", name, "Demo Trading"
		if err := site.Insert("Account", account); err != nil {
			t.Fatal(err)
		}
	}
	rate := map[string]any{"name": "eur", "from_currency": "EUR", "to_currency": "USD", "exchange_rate": 1.1, "date": "2020-01-01"}
	if err := site.Insert("Currency Exchange", rate); err != nil {
		t.Fatal(err)
	}
}

// inMemory serves a handler without a network.
type inMemory struct{ http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w.Result(), nil
}

// keys is a memory of documents.
type keys struct {
	mu    sync.Mutex
	docs  map[string]event.Document
	notes map[string]string
}

func (k *keys) Document(_ context.Context, doctype, key string) (event.Document, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	doc, ok := k.docs[doctype+"|"+key]
	return doc, ok, nil
}

func (k *keys) Remember(_ context.Context, _ string, docs ...event.Document) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, doc := range docs {
		k.docs[doc.DocType+"|"+doc.Key] = doc
	}
	return nil
}

func (k *keys) Forget(_ context.Context, doctype, key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.docs, doctype+"|"+key)
	return nil
}

func (k *keys) Note(_ context.Context, name string) (string, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	note, ok := k.notes[name]
	return note, ok, nil
}

func (k *keys) SetNote(_ context.Context, name, value string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.notes[name] = value
	return nil
}

// stripeBench carries events of simulated accounts into one site, as the
// service does, but without a network or an inbox.
type stripeBench struct {
	site    *erpnext.Client
	memory  *keys
	cfg     config.Config
	sim     *stripesim.Sim
	carrier *deliverer
}

func newStripeBench(t *testing.T) *stripeBench {
	t.Helper()
	site, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	InsertStripeAccounts(t, site)
	client := func(key, secret string) *erpnext.Client {
		c, err := erpnext.New(erpnext.Options{URL: "http://site.test", Credentials: erpnext.KeySecret(key, secret), Transport: inMemory{site}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := erpnext.Setup(t.Context(), client("demo-setup-key", "demo-setup-secret"), erpnext.KeyedDocTypes(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	b := &stripeBench{site: client("demo-key", "demo-secret"), memory: &keys{docs: map[string]event.Document{}, notes: map[string]string{}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.sim.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	b.cfg = config.Config{
		Stripe: config.Stripe{Secrets: []config.Secret{"whsec_test"}, APIKey: StripeKey, APIURL: server.URL},
		Sheet:  config.Sheet{Settings: StripeBooks()},
	}
	return b
}

// deliver carries events in their order of arrival, and gives those that wait.
func (b *stripeBench) deliver(t *testing.T, rt *rapid.T, events []stripesim.Event) []stripesim.Event {
	var waiting []stripesim.Event
	for _, e := range events {
		ev := event.Event{ID: e.ID, Source: sourceStripe, Provider: "stripe", Topic: e.Topic, Body: e.Body, ReceivedAt: time.Now()}
		got, err := b.carrier.Deliver(t.Context(), &event.Claim{Event: ev})
		_ = b.memory.Remember(t.Context(), "", got.Documents...)
		switch f := fault.As(err); {
		case err == nil:
		case f != nil && f.Kind == fault.Waiting:
			waiting = append(waiting, e)
		default:
			rt.Fatalf("%s: %v %s\n%s", e.Topic, err, f.Detail, e.Body)
		}
	}
	return waiting
}

// Ledger adds up the accounts of a site, each in its own currency.
func Ledger(t testing.TB, site *erpnext.Client) map[string]decimal.Decimal {
	t.Helper()
	var lines []struct {
		Account string         `json:"account"`
		Debit   erpnext.Number `json:"debit_in_account_currency"`
		Credit  erpnext.Number `json:"credit_in_account_currency"`
	}
	err := site.List(t.Context(), erpnext.Query{
		DocType: "GL Entry", Fields: []string{"account", "debit_in_account_currency", "credit_in_account_currency"},
		Filters: [][]any{{"is_cancelled", "=", 0}}, Limit: -1,
	}, &lines)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]decimal.Decimal{}
	for _, l := range lines {
		sums[l.Account] = sums[l.Account].Add(l.Debit.Round(6)).Sub(l.Credit.Round(6))
	}
	return sums
}

// open makes a new account, told of by a source of its own.
func (b *stripeBench) open(rt *rapid.T, o stripesim.Options) {
	o.Key = StripeKey
	b.sim = stripesim.New(o)
	sources, err := openSources(b.cfg, nil)
	if err != nil {
		rt.Fatal(err)
	}
	poster, err := newPoster(b.cfg, b.site, b.site, b.memory, Options{Log: zerolog.Nop(), CustomersFresh: time.Hour})
	if err != nil {
		rt.Fatal(err)
	}
	b.carrier = &deliverer{sources: sources, poster: poster}
}

// TestStripeBooksAreTheBalance holds that whatever happens on a Stripe account,
// told in any order, late and repeatedly by webhooks of any version, each
// clearing account ends with what the account holds.
func TestStripeBooksAreTheBalance(t *testing.T) {
	var b *stripeBench
	histories := 0
	rapid.Check(t, func(rt *rapid.T) {
		if histories++; b == nil || histories%50 == 0 {
			b = newStripeBench(t) // a site of many documents is slow to add up
		}
		draw := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, what) }
		o := stripesim.Options{
			Version: stripesim.Versions[draw("version", len(stripesim.Versions))], Converts: StripeSettles, Created: time.Now().Unix(), Series: histories,
			Late: draw("late", 3) == 0,
		}
		b.cfg.Sheet.Payments.FeeWait = nil
		if o.Late && draw("waits for fees", 2) == 0 { // then the fee is booked on its own, and the currency must be known
			b.cfg.Sheet.Payments.FeeWait, o.Currencies = new(time.Duration), []string{"usd", "eur"}
		}
		b.open(rt, o)
		before := Ledger(t, b.site)
		var all, outside []stripesim.Event // outside: sent and not delivered yet
		arrive := func(last bool) {
			sent := b.sim.Take()
			all, outside = append(all, sent...), append(outside, sent...)
			if len(all) > 0 {
				outside = append(outside, rapid.SliceOfN(rapid.SampledFrom(all), 0, 1).Draw(rt, "repeated")...)
			}
			outside = rapid.Permutation(outside).Draw(rt, "arrival")
			n := len(outside)
			if !last {
				n = draw("arrive", n+1)
			}
			outside = append(b.deliver(t, rt, outside[:n]), outside[n:]...)
		}
		b.sim.Live(draw, func() { arrive(false) })
		for pass := 0; pass == 0 || len(outside) > 0; pass++ {
			if arrive(true); pass > 3 {
				rt.Fatalf("events wait for ever:\n%s", topics(outside))
			}
		}
		after, holds := Ledger(t, b.site), b.sim.Balance()
		for currency, account := range map[string]string{"USD": "Stripe Clearing - DT", "EUR": "Stripe EUR - DT"} {
			if got := after[account].Sub(before[account]); !got.Equal(holds[currency]) {
				rt.Errorf("%s moved by %s, the balance by %s:\n%s", account, got, holds[currency], topics(all))
			}
		}
	})
}

func topics(events []stripesim.Event) string {
	var lines []string
	for _, e := range events {
		var body struct {
			Data struct{ Object json.RawMessage }
		}
		_ = json.Unmarshal(e.Body, &body)
		lines = append(lines, e.Topic+" "+string(body.Data.Object))
	}
	return strings.Join(lines, "\n")
}
