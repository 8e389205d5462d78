package stripe

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/rest"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

const (
	apiURL = "https://api.stripe.com"
	// apiVersion is what answers look like, whatever version the account has.
	apiVersion = "2025-03-31.basil"
	// pageSize and maxPages bound how much of a list is read.
	pageSize = "100"
	maxPages = 20
)

// api reads from Stripe's REST API with one key, whatever it is now. It never writes.
type api struct {
	base    string
	key     func() string
	account string
	client  *rest.Client
}

func newAPI(o Options) *api {
	key := o.ReadAPIKey
	if key == nil {
		key = func() string { return o.APIKey }
	}
	return &api{
		base: strings.TrimSuffix(cmp.Or(o.APIURL, apiURL), "/"), key: key, account: o.Account,
		client: rest.New("Stripe", o.Transport),
	}
}

// call is one read: what it is for, where, and what to put in place of ids.
type call struct {
	op     string // "stripe.charge"
	path   string
	query  url.Values
	expand []string
}

func (a *api) get(ctx context.Context, c call) (strictjson.Place, error) {
	query := url.Values{}
	for name, values := range c.query {
		query[name] = values
	}
	for _, field := range c.expand {
		query.Add("expand[]", field)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+c.path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return strictjson.Place{}, fault.New(fault.Internal, c.op, "the request cannot be made")
	}
	req.Header.Set("Authorization", "Bearer "+a.key())
	req.Header.Set("Stripe-Version", apiVersion)
	if a.account != "" {
		req.Header.Set("Stripe-Account", a.account)
	}
	answer, failure := a.client.Do(c.op, req)
	if failure != nil {
		return strictjson.Place{}, explained(failure)
	}
	return strictjson.At(answer), nil
}

// explained adds what a person can do about a refusal.
func explained(f *fault.Error) *fault.Error {
	switch f.Kind {
	case fault.Credentials:
		f.Hint = "Stripe does not know the API key: take it from Developers, API keys of the account and mode that sends the webhooks"
	case fault.Rights:
		f.Hint = "give the restricted API key read rights for " + rights + "; of a connected account's events it must be the platform's key"
	case fault.Missing:
		f.Hint = "the API key belongs to another account or mode than the one that sends the webhooks"
	}
	return f
}

// rights are what a restricted key must be allowed to read.
const rights = "Charges and Refunds, PaymentIntents, Disputes, Payouts, Balance transactions, and Invoices"

// list reads a whole list, page by page.
func (a *api) list(ctx context.Context, c call) ([]strictjson.Place, error) {
	var all []strictjson.Place
	query := url.Values{"limit": {pageSize}}
	for name, values := range c.query {
		query[name] = values
	}
	for range maxPages {
		c.query = query
		answer, err := a.get(ctx, c)
		if err != nil {
			return nil, err
		}
		page := answer.Get("data").Each()
		all = append(all, page...)
		if problem := answer.Problem(); problem != "" {
			return nil, unreadable(c.op, problem)
		}
		if !answer.Get("has_more").Value().True() || len(page) == 0 {
			return all, nil
		}
		query.Set("starting_after", page[len(page)-1].Get("id").Text())
	}
	return nil, fault.New(fault.Unavailable, c.op, "the list does not end")
}

// unreadable is an answer that is not what Stripe's API promises.
func unreadable(op, problem string) *fault.Error {
	return fault.New(fault.Unavailable, op, "the answer cannot be read: "+problem)
}

// Check asks Stripe whether the key may read all that events need. A source
// without a key has nothing to check.
func (s *Source) Check(ctx context.Context) error {
	if s.api == nil {
		return nil
	}
	for _, path := range []string{"balance_transactions", "charges", "payment_intents", "refunds", "disputes", "payouts", "invoice_payments"} {
		_, err := s.api.get(ctx, call{op: "stripe.check " + path, path: "/v1/" + path, query: url.Values{"limit": {"1"}}})
		// Lists that ask for more (an invoice) or are unknown to the account's
		// version refuse the form of the question, which is no lack of rights.
		if kind := fault.KindOf(err); err != nil && kind != fault.BadRequest {
			return err
		}
	}
	return nil
}
