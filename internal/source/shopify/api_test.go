package shopify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const apiToken = "shpat_0123456789abcdef"

// roundTrip answers calls to the API.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, body string, headers ...string) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func asking(t testing.TB, transport http.RoundTripper) *Source {
	t.Helper()
	s, err := New(Options{Secrets: []string{secretA}, APIToken: apiToken, APIURL: "https://acme.myshopify.com/", Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// partial is an order as a subscription with include_fields sends it.
var partial = event.Event{
	Topic: "orders/updated", Body: []byte(`{"id":976318377106520349,"name":"#2044","total_price":"90.21","line_items":[]}`),
	Header: map[string]string{"X-Shopify-Api-Version": "2026-07"},
}

func TestCompleteReadsTheWholeOrder(t *testing.T) {
	var asked *http.Request
	s := asking(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		asked = r
		return answer(200, `{"order":`+whole(wholeOrder)+`}`)(r)
	}))
	c, err := s.Decode(partial)
	if err != nil || c.Partial != "currency" {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := s.Complete(t.Context(), partial, &c); err != nil {
		t.Fatal(err)
	}
	if got, want := asked.URL.String(), "https://acme.myshopify.com/admin/api/2026-07/orders/976318377106520349.json"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	if asked.Header.Get("X-Shopify-Access-Token") != apiToken {
		t.Error("asked without the token")
	}
	if c.Partial != "" || c.Order == nil || c.Order.Total.String() != mustDecode(t, wholeOrder).Total.String() || len(c.Order.Lines) != 2 {
		t.Errorf("completed to %+v", c)
	}
}

// TestCompleteLeavesWholeOrdersAlone holds that nobody is asked about an order
// that came whole.
func TestCompleteLeavesWholeOrdersAlone(t *testing.T) {
	s := asking(t, roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("asked") }))
	ev := event.Event{Topic: ordersCreate, Body: []byte(whole(wholeOrder))}
	c, err := s.Decode(ev)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Complete(t.Context(), ev, &c); err != nil || c.Order == nil {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestCompleteFails(t *testing.T) {
	tests := []struct {
		name      string
		transport roundTrip
		kind      fault.Kind
		after     time.Duration
	}{
		{"a token that is none", answer(401, `{"errors":"[API] Invalid API key"}`), fault.Credentials, 0},
		{"no scope", answer(403, `{"errors":"scope"}`), fault.Rights, 0},
		{"no such order", answer(404, `{"errors":"Not Found"}`), fault.Missing, 0},
		{"too fast", answer(429, `{}`, "Retry-After", "2.0"), fault.RateLimited, 2 * time.Second},
		{"for ever", answer(429, `{}`, "Retry-After", "1e12"), fault.RateLimited, maxRetryAfter},
		{"down", answer(503, `<html>`, "Retry-After", "soon"), fault.Unavailable, 0},
		{"frozen", answer(402, `{}`), fault.Unavailable, 0},
		{"locked", answer(423, `{}`), fault.Unavailable, 0},
		{"a redirect", answer(302, ``, "Location", "https://elsewhere.example"), fault.Unavailable, 0},
		{"a bug of ours", answer(400, `{}`), fault.BadRequest, 0},
		{"no JSON", answer(200, `<html>`), fault.Unavailable, 0},
		{"no order", answer(200, `{}`), fault.Undecodable, 0},
		{"another order", answer(200, `{"order":`+strings.Replace(whole(wholeOrder), "976318377106520349", "1", 1)+`}`), fault.Undecodable, 0},
		{"an order in part", answer(200, `{"order":{"id":976318377106520349}}`), fault.Undecodable, 0},
		{"not reached", func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, fault.Network, 0},
		{"too slow", func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded }, fault.Timeout, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := asking(t, tt.transport)
			c, err := s.Decode(partial)
			if err != nil {
				t.Fatal(err)
			}
			err = s.Complete(t.Context(), partial, &c)
			f := fault.As(err)
			if f == nil || f.Kind != tt.kind || f.RetryAfter != tt.after || !strings.HasPrefix(f.Op, "shopify.") {
				t.Fatalf("got %+v, want %v after %v", f, tt.kind, tt.after)
			}
			if c.Partial == "" {
				t.Error("the order passes for whole")
			}
			if text, _ := json.Marshal(f); strings.Contains(f.Error()+f.Cause+f.Hint+string(text), apiToken) {
				t.Error("the failure tells the token")
			}
		})
	}
}

// TestFilteredOrderWithoutToken names what to add to the subscription.
func TestFilteredOrderWithoutToken(t *testing.T) {
	for _, gone := range append([]string{"email"}, everyOrderHas...) {
		body := whole(`{"id":1,"currency":"EUR","total_price":"0.00","line_items":[]}`)
		for _, value := range []string{"null", "1", `"EUR"`, `"0.00"`, "[]"} {
			body = strings.Replace(body, `"`+gone+`":`+value, `"x":null`, 1)
		}
		_, err := source(t, secretA).Decode(event.Event{Topic: ordersCreate, Body: []byte(body)})
		if f := fault.As(err); f == nil || f.Kind != fault.Undecodable || !strings.Contains(f.Cause, gone) || !strings.Contains(f.Hint, "financial_status") {
			t.Errorf("without %s: %v", gone, err)
		}
	}
}

func TestAnotherShopIsRefused(t *testing.T) {
	s, err := New(Options{Secrets: []string{secretA}, Shop: "acme.myshopify.com"})
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(wholeOrder)
	for shop, ok := range map[string]bool{"": true, "ACME.myshopify.com": true, "other.myshopify.com": false} {
		h, err := s.Sign(body, ordersCreate, "1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if shop != "" {
			h.Set("X-Shopify-Shop-Domain", shop)
		}
		if _, err := s.Open(t.Context(), h, body, time.Now()); (err == nil) != ok {
			t.Errorf("%q: %v", shop, err)
		}
	}
}
