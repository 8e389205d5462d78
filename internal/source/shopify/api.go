package shopify

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

const (
	completeOp    = "shopify.Complete"
	apiTimeout    = 20 * time.Second
	maxAnswer     = 8 << 20 // an order of hundreds of lines
	maxRetryAfter = time.Hour
	maxDetail     = 2000
	newestVersion = "2026-10" // of the API, where the webhook names none
)

var apiVersion = regexp.MustCompile(`^20[0-9]{2}-(01|04|07|10)$`)

// api reads orders over the shop's Admin API.
type api struct {
	base   string
	token  func() string // as it is now
	client *http.Client
}

func newAPI(o Options) *api {
	if o.APIToken == "" {
		return nil
	}
	token := o.ReadAPIToken
	if token == nil {
		token = func() string { return o.APIToken }
	}
	return &api{base: strings.TrimSuffix(o.APIURL, "/"), token: token, client: &http.Client{
		Transport: o.Transport, Timeout: apiTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token goes to the shop alone
	}}
}

// Complete reads the whole order where a webhook subscription sends chosen
// fields only. It changes nothing else. Kinds of failure: those of a call, and
// Undecodable for an answer that is no whole order either.
func (s *Source) Complete(ctx context.Context, ev event.Event, c *commerce.Content) error {
	if c.Partial == "" || c.Order == nil || s.api == nil {
		return nil
	}
	answer, failure := s.api.order(ctx, c.Order.ID, ev.Header[familyOfKept(ev.Header).of("Api-Version")])
	if failure != nil {
		return failure
	}
	p := strictjson.At(answer)
	order := p.Get("order")
	if field := filteredOut(order.Value()); field != "" {
		return fault.New(fault.Undecodable, completeOp, "the order that the API answers with has no "+field)
	}
	if order.Get("id").ID() != c.Order.ID {
		return fault.New(fault.Undecodable, completeOp, "the API answers with another order")
	}
	whole := s.readOrder(order, ev.ReceivedAt)
	if problem := p.Problem(); problem != "" {
		return fault.New(fault.Undecodable, completeOp, problem)
	}
	*c = commerce.Content{Order: whole}
	return nil
}

// familyOfKept tells the names of the headers that were kept.
func familyOfKept(kept map[string]string) family {
	for name := range kept {
		if strings.HasPrefix(name, "X-") {
			return "X-Shopify-"
		}
	}
	return "Shopify-"
}

func (a *api) order(ctx context.Context, id, version string) (strictjson.Value, *fault.Error) {
	if !apiVersion.MatchString(version) {
		version = newestVersion
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"/admin/api/"+version+"/orders/"+url.PathEscape(id)+".json", nil)
	if err != nil {
		return strictjson.Value{}, fault.New(fault.Internal, completeOp, "the request cannot be made")
	}
	req.Header.Set("X-Shopify-Access-Token", a.token())
	req.Header.Set("Accept", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return strictjson.Value{}, broken(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return strictjson.Value{}, broken(err)
	}
	if res.StatusCode != http.StatusOK {
		return strictjson.Value{}, refused(res, text)
	}
	answer, err := strictjson.Parse(text)
	if err != nil {
		return strictjson.Value{}, fault.New(fault.Unavailable, completeOp, "the answer is no JSON object")
	}
	return answer, nil
}

// refused names what a status other than 200 means.
func refused(res *http.Response, body []byte) *fault.Error {
	e := fault.New(fault.BadRequest, completeOp, "Shopify answered "+strconv.Itoa(res.StatusCode))
	if runes := []rune(string(body)); len(runes) > maxDetail {
		body = []byte(string(runes[:maxDetail]) + "…")
	}
	e.Detail = string(body)
	switch s := res.StatusCode; {
	case s == http.StatusUnauthorized:
		e.Kind, e.Hint = fault.Credentials, "check the shop's Admin API access token: LEDGERHOOK_SHOPIFY_API_TOKEN, or api_key_file and api_key_env of the source"
	case s == http.StatusForbidden:
		e.Kind, e.Hint = fault.Rights, "give the app the scope read_orders, and read_all_orders for those older than 60 days"
	case s == http.StatusNotFound:
		e.Kind, e.Hint = fault.Missing, "the shop has no such order: it was deleted, or is older than 60 days and the app lacks the scope read_all_orders"
	case s == http.StatusRequestTimeout:
		e.Kind = fault.Timeout
	case s == http.StatusTooManyRequests:
		e.Kind, e.RetryAfter = fault.RateLimited, retryAfter(res.Header.Get("Retry-After"))
	case s == http.StatusPaymentRequired, s == http.StatusLocked:
		e.Kind, e.Hint = fault.Unavailable, "the shop is frozen or locked: look at it in Shopify's admin"
	case s >= 500 || s < 400: // a redirect is no answer of an API
		e.Kind, e.RetryAfter = fault.Unavailable, retryAfter(res.Header.Get("Retry-After"))
	}
	return e
}

// retryAfter reads Shopify's seconds, which may have a fraction. What is
// unreadable is 0, and more than an hour counts as an hour.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds > 0) { // NaN too
		return 0
	}
	return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
}

// broken names a call that got no whole answer. The address is taken off the
// error: it names the order.
func broken(err error) *fault.Error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	e := &fault.Error{Kind: fault.Network, Op: completeOp, Cause: "Shopify was not reached", Err: err}
	timed, ok := errors.AsType[net.Error](err)
	if errors.Is(err, context.DeadlineExceeded) || ok && timed.Timeout() {
		e.Kind, e.Cause = fault.Timeout, "Shopify did not answer in time"
	}
	return e
}
