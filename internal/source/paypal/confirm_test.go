package paypal

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// complete asks about a payment of an event that arrived some time ago.
func complete(ctx context.Context, s *Source, topic string, p *commerce.Payment) error {
	return s.Complete(ctx, event.Event{Topic: topic, ReceivedAt: time.Now().Add(-settling)}, &commerce.Content{Payment: p})
}

// reply is one answer of PayPal's API.
type reply struct {
	status int
	body   string
	after  string // Retry-After
}

// ledger is PayPal's memory of payments as the tests want it. Each path has its
// answers in turn; the last one stays.
type ledger struct {
	replies map[string][]reply

	mu     sync.Mutex
	asked  []string
	tokens int
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.URL.Path == "/v1/oauth2/token" {
		l.tokens++
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"A21-token","token_type":"Bearer","expires_in":32400}`))
		return
	}
	l.asked = append(l.asked, r.Method+" "+r.URL.EscapedPath())
	answers := l.replies[r.URL.Path]
	if len(answers) == 0 {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"name":"RESOURCE_NOT_FOUND"}`))
		return
	}
	if len(answers) > 1 {
		l.replies[r.URL.Path] = answers[1:]
	}
	if answers[0].after != "" {
		w.Header().Set("Retry-After", answers[0].after)
	}
	w.WriteHeader(answers[0].status)
	_, _ = w.Write([]byte(answers[0].body))
}

func confirming(t *testing.T, l *ledger) *Source {
	t.Helper()
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	return source(t, func(o *Options) {
		o.Signer, o.Transport = nil, nil
		o.ClientID, o.ClientSecret, o.APIURL = "id", clientSecret, server.URL
	})
}

const (
	callTimeout = 20 * time.Second // of one call to the API

	capturePath = "/v2/payments/captures/PAY7"
	salePath    = "/v1/payments/sale/PAY7"
)

func told() *commerce.Payment {
	return &commerce.Payment{ID: "PAY7", Reference: "PAY7", Amount: amountOf("50.25", "EUR"), OrderRefs: []string{"1001", "INV-1"}, Provider: "paypal"}
}

func knownCapture(status, value, currency, more string) []reply {
	return []reply{{status: 200, body: `{"id":"PAY7","status":"` + status + `","amount":{"value":"` + value + `","currency_code":"` + currency + `"}` + more + `}`}}
}

func knownSale(state, total, more string) []reply {
	return []reply{{status: 200, body: `{"id":"PAY7","state":"` + state + `","amount":{"total":"` + total + `","currency":"EUR"}` + more + `}`}}
}

func TestConfirm(t *testing.T) {
	tests := []struct {
		name    string
		capture []reply // none: 404
		sale    []reply
		forgery string // "" = confirmed
	}{
		{"equal", knownCapture("COMPLETED", "50.25", "EUR", `,"custom_id":"1001","invoice_id":"INV-1"`), nil, ""},
		{"equal in another writing", knownCapture("COMPLETED", "50.250", "eur", ""), nil, ""},
		{"refunded since", knownCapture("REFUNDED", "50.25", "EUR", ""), nil, ""},
		{"refunded in part since", knownCapture("PARTIALLY_REFUNDED", "50.25", "EUR", ""), nil, ""},
		{"another amount", knownCapture("COMPLETED", "0.25", "EUR", ""), nil, "amount"},
		{"a cent less", knownCapture("COMPLETED", "50.24", "EUR", ""), nil, "amount"},
		{"another currency", knownCapture("COMPLETED", "50.25", "HUF", ""), nil, "currency"},
		{"pending", knownCapture("PENDING", "50.25", "EUR", ""), nil, "not received"},
		{"declined", knownCapture("DECLINED", "50.25", "EUR", ""), nil, "not received"},
		{"failed", knownCapture("FAILED", "50.25", "EUR", ""), nil, "not received"},
		{"a sale's word for it", knownCapture("completed", "50.25", "EUR", ""), nil, "not received"},
		{"no status", []reply{{status: 200, body: `{"id":"PAY7","amount":{"value":"50.25","currency_code":"EUR"}}`}}, nil, "not received"},
		{"another payment", []reply{{status: 200, body: `{"id":"PAY8","status":"COMPLETED","amount":{"value":"50.25","currency_code":"EUR"}}`}}, nil, "another payment"},
		{"one of its references", knownCapture("COMPLETED", "50.25", "EUR", `,"invoice_id":"INV-1"`), nil, "order"},
		{"another order", knownCapture("COMPLETED", "50.25", "EUR", `,"custom_id":"1002","invoice_id":"INV-1"`), nil, "order"},
		{"unknown", nil, nil, "knows nothing"},
		{"a sale", nil, knownSale("completed", "50.25", ""), ""},
		{"a sale with its references", nil, knownSale("completed", "50.25", `,"custom":"1001","invoice_number":"INV-1"`), ""},
		{"a sale for another order", nil, knownSale("completed", "50.25", `,"custom":"1002","invoice_number":""`), "order"},
		{"a sale refunded in part since", nil, knownSale("partially_refunded", "50.25", ""), ""},
		{"a sale refunded since", nil, knownSale("refunded", "50.25", ""), ""},
		{"a sale whose hold is over", nil, knownSale("completed", "50.25", `,"payment_hold_status":"PAID_OUT"`), ""},
		{"a sale that is held", nil, knownSale("completed", "50.25", `,"payment_hold_status":"HELD"`), "not received"},
		{"a pending sale", nil, knownSale("pending", "50.25", ""), "not received"},
		{"a sale of another amount", nil, knownSale("completed", "5.25", ""), "amount"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			topic := captureCompleted
			if tt.sale != nil {
				topic = saleCompleted
			}
			err := complete(t.Context(), confirming(t, &ledger{replies: map[string][]reply{capturePath: tt.capture, salePath: tt.sale}}), topic, told())
			if tt.forgery == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e := fault.As(err)
			if e == nil || e.Kind != fault.Forgery || !strings.Contains(e.Cause, tt.forgery) || e.Hint == "" {
				t.Fatalf("got %v, want a forgery with %q", err, tt.forgery)
			}
			for _, private := range []string{"PAY7", "50", "1001", "1002", clientSecret} {
				if strings.Contains(e.Error()+e.Hint, private) {
					t.Errorf("the failure shows %q: %v", private, e)
				}
			}
		})
	}
}

// A PayPal that cannot be asked contradicts nothing.
func TestConfirmOutages(t *testing.T) {
	html := "<html>down " + clientSecret + "</html>"
	tests := []struct {
		name  string
		reply reply
		want  fault.Kind
		after time.Duration
	}{
		{"400", reply{status: 400, body: `{"name":"INVALID_REQUEST"}`}, fault.BadRequest, 0},
		{"401 for ever", reply{status: 401, body: `{"error":"invalid_token"}`}, fault.Credentials, 0},
		{"403", reply{status: 403, body: `{"name":"NOT_AUTHORIZED"}`}, fault.Rights, 0},
		{"408", reply{status: 408}, fault.Timeout, 0},
		{"429", reply{status: 429}, fault.RateLimited, 0},
		{"429 with seconds", reply{status: 429, after: "17"}, fault.RateLimited, 17 * time.Second},
		{"429 with a day", reply{status: 429, after: "86400"}, fault.RateLimited, time.Hour},
		{"429 with an age", reply{status: 429, after: "99999999999"}, fault.RateLimited, time.Hour},
		{"429 with an age ago", reply{status: 429, after: "-30000000000"}, fault.RateLimited, 0},
		{"429 with a date gone by", reply{status: 429, after: "Sat, 01 Jan 2000 00:00:00 GMT"}, fault.RateLimited, 0},
		{"429 with nonsense", reply{status: 429, after: "-5 soon"}, fault.RateLimited, 0},
		{"500", reply{status: 500, body: html}, fault.Unavailable, 0},
		{"503 with seconds", reply{status: 503, after: "9"}, fault.Unavailable, 9 * time.Second},
		{"a redirect", reply{status: 302}, fault.Unavailable, 0},
		{"no content", reply{status: 204}, fault.Unavailable, 0},
		{"a page", reply{status: 200, body: html}, fault.Unavailable, 0},
		{"nothing", reply{status: 200}, fault.Unavailable, 0},
		{"half an answer", reply{status: 200, body: `{"id":"PAY7","amount":{"val`}, fault.Unavailable, 0},
		{"no amount", reply{status: 200, body: `{"id":"PAY7","status":"COMPLETED"}`}, fault.Unavailable, 0},
		{"a negative amount", reply{status: 200, body: `{"id":"PAY7","status":"COMPLETED","amount":{"value":"-50.25","currency_code":"EUR"}}`}, fault.Unavailable, 0},
		{"a breakdown that does not add up", knownCapture("COMPLETED", "50.25", "EUR",
			`,"seller_receivable_breakdown":{"gross_amount":{"value":"50.25","currency_code":"EUR"},"paypal_fee":{"value":"1.00","currency_code":"EUR"},"net_amount":{"value":"49.26","currency_code":"EUR"}}`)[0], fault.Unavailable, 0},
		{"an unreadable amount", reply{status: 200, body: `{"id":"PAY7","status":"COMPLETED","amount":{"value":"5e1","currency_code":"EUR"}}`}, fault.Unavailable, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := &ledger{replies: map[string][]reply{capturePath: {tt.reply}}}
			err := complete(t.Context(), confirming(t, l), captureCompleted, told())
			e := fault.As(err)
			if e == nil || e.Kind != tt.want || e.RetryAfter != tt.after {
				t.Fatalf("got %#v, want %v after %v", err, tt.want, tt.after)
			}
			if text := e.Error() + e.Hint; strings.Contains(text, clientSecret) || strings.Contains(text, "A21") || strings.Contains(text, "PAY7") {
				t.Errorf("the failure shows what it must not: %v", e)
			}
			for _, path := range l.asked {
				if !strings.HasSuffix(path, capturePath) {
					t.Errorf("asked on after an outage: %s", path)
				}
			}
		})
	}
}

func TestConfirmRenewsARefusedToken(t *testing.T) {
	l := &ledger{replies: map[string][]reply{capturePath: append([]reply{{status: 401}}, knownCapture("COMPLETED", "50.25", "EUR", "")...)}}
	s := confirming(t, l)
	for range 2 {
		if err := complete(t.Context(), s, captureCompleted, told()); err != nil {
			t.Fatal(err)
		}
	}
	if l.tokens != 2 || len(l.asked) != 3 {
		t.Errorf("%d tokens and %d questions, want 2 and 3", l.tokens, len(l.asked))
	}
}

func TestConfirmAsksForThePaymentAlone(t *testing.T) {
	l := &ledger{}
	p := told()
	p.ID = "../../x?y#z"
	if err := complete(t.Context(), confirming(t, l), captureCompleted, p); fault.KindOf(err) != fault.Forgery {
		t.Errorf("got %v", err)
	}
	for i, want := range []string{"GET /v2/payments/captures/..%2F..%2Fx%3Fy%23z", "GET /v1/payments/capture/..%2F..%2Fx%3Fy%23z"} {
		if i >= len(l.asked) || l.asked[i] != want {
			t.Errorf("asked %q, want %q at %d", l.asked, want, i)
		}
	}
}

func TestConfirmWithoutCredentialsAsksNobody(t *testing.T) {
	if err := complete(t.Context(), source(t, nil), captureCompleted, told()); err != nil {
		t.Error(err)
	}
}

func TestConfirmWithoutNetwork(t *testing.T) {
	confirm := func(ctx context.Context, answer remote) error {
		s := source(t, func(o *Options) { o.Signer, o.Transport, o.ClientID, o.ClientSecret = nil, answer, "id", clientSecret })
		return complete(ctx, s, captureCompleted, told())
	}
	e := fault.As(confirm(t.Context(), nobody))
	if e == nil || e.Kind != fault.Network || strings.Contains(e.Error(), "api-m.paypal.com/") {
		t.Errorf("no network: %v", e)
	}
	synctest.Test(t, func(t *testing.T) {
		silent := remote(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		begin := time.Now()
		err := confirm(context.Background(), silent)
		if fault.KindOf(err) != fault.Timeout || time.Since(begin) != callTimeout {
			t.Errorf("a silent PayPal: %v after %v", err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, errors.New("enough"))
		defer cancel()
		if err := confirm(ctx, silent); fault.KindOf(err) != fault.Timeout {
			t.Errorf("a deadline: %v", err)
		}
		time.Sleep(callTimeout) // let the request for a token run out
	})
}

// TestCompleteFillsIn lets PayPal say what the webhook left out.
func TestCompleteFillsIn(t *testing.T) {
	breakdown := `,"seller_receivable_breakdown":{"gross_amount":{"value":"50.25","currency_code":"EUR"},"paypal_fee":{"value":"1.75","currency_code":"EUR"},"net_amount":{"value":"48.50","currency_code":"EUR"}}`
	order := `,"supplementary_data":{"related_ids":{"order_id":"ORD"}}`
	l := func(capture string, more map[string][]reply) *ledger {
		replies := map[string][]reply{capturePath: knownCapture("COMPLETED", "50.25", "EUR", capture)}
		for path, r := range more {
			replies[path] = r
		}
		return &ledger{replies: replies}
	}
	known := func(body string) []reply { return []reply{{status: 200, body: body}} }
	tests := []struct {
		name   string
		topic  string
		ledger *ledger
		told   commerce.Payment
		want   commerce.Payment
	}{
		{"the fee", captureCompleted, l(breakdown, nil), *told(), commerce.Payment{OrderRefs: []string{"1001", "INV-1"}, Settlement: settled("PAY7", "50.25", "1.75", "48.50", "EUR")}},
		{"the fee that counts", captureCompleted, l(breakdown, nil), commerce.Payment{OrderRefs: []string{"1001"}, Settlement: settled("PAY7", "50.25", "50.00", "0.25", "EUR")},
			commerce.Payment{OrderRefs: []string{"1001"}, Settlement: settled("PAY7", "50.25", "1.75", "48.50", "EUR")}},
		{"the order", captureCompleted, l(`,"custom_id":"1002"`, nil), commerce.Payment{}, commerce.Payment{OrderRefs: []string{"1002"}}},
		{"the buyer, from PayPal's order", captureCompleted, l(order, map[string][]reply{"/v2/checkout/orders/ORD": known(`{"payer":{"email_address":"ada@example.com","name":{"given_name":"Ada","surname":"Byron"}},"purchase_units":[{"custom_id":"1003"}]}`)}),
			commerce.Payment{}, commerce.Payment{OrderRefs: []string{"1003"}, PayerEmail: "ada@example.com", PayerName: "Ada Byron"}},
		{"the buyer, from an order that PayPal has forgotten", captureCompleted, l(order, nil), commerce.Payment{}, commerce.Payment{}},
		{"the buyer, from an order that the app may not see", captureCompleted, l(order, map[string][]reply{"/v2/checkout/orders/ORD": {{status: 403}}}), commerce.Payment{}, commerce.Payment{}},
		{"the buyer of a sale", saleCompleted, &ledger{replies: map[string][]reply{
			salePath:                     knownSale("completed", "50.25", `,"parent_payment":"PAY-1","transaction_fee":{"value":"1.75","currency":"EUR"}`),
			"/v1/payments/payment/PAY-1": known(`{"payer":{"payer_info":{"email":"ada@example.com","first_name":"Ada"}},"transactions":[{"custom":"1004","invoice_number":"INV-4"}]}`),
		}}, commerce.Payment{}, commerce.Payment{OrderRefs: []string{"1004", "INV-4"}, PayerEmail: "ada@example.com", PayerName: "Ada", Settlement: settled("PAY7", "50.25", "1.75", "48.50", "EUR")}},
		{"the subscriber", saleCompleted, &ledger{replies: map[string][]reply{
			salePath:                        knownSale("completed", "50.25", `,"billing_agreement_id":"I-1"`),
			"/v1/billing/subscriptions/I-1": known(`{"subscriber":{"email_address":"ada@example.com"},"custom_id":"FIRST-ORDER"}`),
		}}, commerce.Payment{}, commerce.Payment{PayerEmail: "ada@example.com"}},
		{"a subscription's sale, among the captures", saleCompleted, l(breakdown, nil), commerce.Payment{}, commerce.Payment{Settlement: settled("PAY7", "50.25", "1.75", "48.50", "EUR")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, want := tt.told, tt.want
			for _, p := range []*commerce.Payment{&got, &want} {
				p.ID, p.Reference, p.Amount, p.Provider = "PAY7", "PAY7", amountOf("50.25", "EUR"), "paypal"
			}
			if err := complete(t.Context(), confirming(t, tt.ledger), tt.topic, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(money.Amount.Equal)); diff != "" {
				t.Errorf("payment (-want +got):\n%s", diff)
			}
		})
	}
	outage := l(order, map[string][]reply{"/v2/checkout/orders/ORD": {{status: 503}}})
	if err := complete(t.Context(), confirming(t, outage), captureCompleted, &commerce.Payment{ID: "PAY7", Amount: amountOf("50.25", "EUR")}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("the order cannot be asked for: %v", err)
	}
}

// TestCompleteLetsPayPalCatchUp allows for an API behind its own webhooks.
func TestCompleteLetsPayPalCatchUp(t *testing.T) {
	for name, replies := range map[string]map[string][]reply{
		"unknown": {}, "pending": {capturePath: knownCapture("PENDING", "50.25", "EUR", "")},
	} {
		s := confirming(t, &ledger{replies: replies})
		for age, want := range map[time.Duration]fault.Kind{0: fault.Missing, 9 * time.Minute: fault.Missing, settling: fault.Forgery, time.Hour: fault.Forgery} {
			err := s.Complete(t.Context(), event.Event{Topic: captureCompleted, ReceivedAt: time.Now().Add(-age)}, &commerce.Content{Payment: told()})
			if fault.KindOf(err) != want {
				t.Errorf("%s after %v: %v, want %v", name, age, err, want)
			}
		}
	}
	wrong := confirming(t, &ledger{replies: map[string][]reply{capturePath: knownCapture("COMPLETED", "50.24", "EUR", "")}})
	if err := wrong.Complete(t.Context(), event.Event{Topic: captureCompleted, ReceivedAt: time.Now()}, &commerce.Content{Payment: told()}); fault.KindOf(err) != fault.Forgery {
		t.Errorf("a wrong amount does not get better: %v", err)
	}
}

func orSucceeded(o commerce.Outcome) commerce.Outcome {
	if o == "" {
		return commerce.Succeeded
	}
	return o
}

func TestCompleteRefund(t *testing.T) {
	const newPath, oldPath, up = "/v2/payments/refunds/REF", "/v1/payments/refund/REF", `,"links":[{"rel":"up","href":"https://api.paypal.com/v2/payments/captures/CAP"}]`
	v2of := func(status, value, more string) map[string][]reply {
		return map[string][]reply{newPath: {{status: 200, body: `{"id":"REF","status":"` + status + `","amount":{"value":"` + value + `","currency_code":"EUR"}` + more + `}`}}}
	}
	v1of := func(state, total, more string) map[string][]reply {
		return map[string][]reply{oldPath: {{status: 200, body: `{"id":"REF","state":"` + state + `","amount":{"total":"` + total + `","currency":"EUR"}` + more + `}`}}}
	}
	fee := `,"seller_payable_breakdown":{"paypal_fee":{"value":"0.30","currency_code":"EUR"},"net_amount":{"value":"9.70","currency_code":"EUR"}}`
	pending := commerce.Refund{PaymentID: "CAP", Outcome: commerce.Pending}
	tests := []struct {
		name    string
		topic   string
		replies map[string][]reply
		told    commerce.Refund
		want    commerce.Refund
		kind    fault.Kind // of the failure
		cause   string
	}{
		{"equal", captureRefunded, v2of("COMPLETED", "10.00", up), commerce.Refund{PaymentID: "CAP"}, commerce.Refund{PaymentID: "CAP"}, 0, ""},
		{"with its fee and order", captureReversed, v2of("COMPLETED", "10.00", up+fee+`,"invoice_id":"INV-1"`), commerce.Refund{PaymentID: "CAP", Reversed: true},
			commerce.Refund{PaymentID: "CAP", Reversed: true, OrderRefs: []string{"INV-1"}, Settlement: settled("REF", "-10", "-0.30", "-9.70", "EUR")}, 0, ""},
		{"a sale's", saleRefunded, v1of("completed", "-10.00", `,"sale_id":"SALE"`), commerce.Refund{PaymentID: "SALE"}, commerce.Refund{PaymentID: "SALE"}, 0, ""},
		{"a sale's reversal that did not say of what", saleReversed, v1of("completed", "10.00", `,"sale_id":"SALE"`), commerce.Refund{}, commerce.Refund{PaymentID: "SALE"}, 0, ""},
		{"of a subscription, in the newer place", saleRefunded, v2of("COMPLETED", "10.00", up), commerce.Refund{PaymentID: "CAP"}, commerce.Refund{PaymentID: "CAP"}, 0, ""},
		{"failed since", captureRefunded, v2of("FAILED", "10.00", up), commerce.Refund{PaymentID: "CAP"}, commerce.Refund{PaymentID: "CAP", Outcome: commerce.Failed}, 0, ""},
		{"gone through since", captureRefunded, v2of("COMPLETED", "10.00", up), pending, commerce.Refund{PaymentID: "CAP"}, 0, ""},
		{"another amount", captureRefunded, v2of("COMPLETED", "1.00", up), commerce.Refund{PaymentID: "CAP"}, commerce.Refund{}, fault.Forgery, "amount"},
		{"of another payment", captureRefunded, v2of("COMPLETED", "10.00", up), commerce.Refund{PaymentID: "OTHER"}, commerce.Refund{}, fault.Forgery, "another payment"},
		{"another order", captureRefunded, v2of("COMPLETED", "10.00", up+`,"custom_id":"1"`), commerce.Refund{PaymentID: "CAP", OrderRefs: []string{"2"}}, commerce.Refund{}, fault.Forgery, "order"},
		{"not paid", captureRefunded, v2of("PENDING", "10.00", up), commerce.Refund{PaymentID: "CAP"}, commerce.Refund{}, fault.Forgery, "not paid"},
		{"not failed", refundFailed, v2of("COMPLETED", "10.00", up), commerce.Refund{PaymentID: "CAP", Outcome: commerce.Failed}, commerce.Refund{}, fault.Forgery, "not undone"},
		{"unknown", captureRefunded, nil, commerce.Refund{PaymentID: "CAP"}, commerce.Refund{}, fault.Forgery, "knows nothing"},
		{"an outage", captureRefunded, map[string][]reply{newPath: {{status: 502}}}, commerce.Refund{PaymentID: "CAP"}, commerce.Refund{}, fault.Unavailable, ""},
		{"no refund at all", captureRefunded, v2of("COMPLETED", "10.00", ""), commerce.Refund{PaymentID: "CAP"}, commerce.Refund{}, fault.Unavailable, "is a refund"},
		{"of another merchant", captureRefunded, v2of("COMPLETED", "10.00", up+`,"payer":{"merchant_id":"OTHER"}`), commerce.Refund{PaymentID: "CAP"}, commerce.Refund{}, fault.Unmapped, "another PayPal merchant"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, want := tt.told, tt.want
			for _, r := range []*commerce.Refund{&got, &want} {
				r.ID, r.Reference, r.Amount, r.Provider, r.Outcome = "REF", "REF", amountOf("10", "EUR"), "paypal", orSucceeded(r.Outcome)
			}
			s := confirming(t, &ledger{replies: tt.replies})
			s.merchant = "MINE"
			c := commerce.Content{Refunds: []commerce.Refund{got}}
			err := s.Complete(t.Context(), event.Event{Topic: tt.topic, ReceivedAt: time.Now().Add(-settling)}, &c)
			if tt.kind != 0 {
				if fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.cause) {
					t.Errorf("got %v, want %v with %q", err, tt.kind, tt.cause)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, c.Refunds[0], cmp.Comparer(money.Amount.Equal)); diff != "" {
				t.Errorf("refund (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompleteDispute(t *testing.T) {
	const path = "/v1/customer/disputes/PP-1"
	dispute := func(status, more string) string {
		return `{"dispute_id":"PP-1","status":"` + status + `","dispute_amount":{"value":"30.00","currency_code":"USD"},"disputed_transactions":[{"seller_transaction_id":"CAP","seller":{"merchant_id":"MINE"}}]` + more + `}`
	}
	const lost = `,"dispute_outcome":{"outcome_code":"RESOLVED_BUYER_FAVOUR"},"money_movements":[{"affected_party":"SELLER","type":"DEBIT","reason":"DISPUTE_FEE","amount":{"value":"8.00","currency_code":"USD"}}]`
	opened := commerce.Dispute{ID: "PP-1", PaymentID: "CAP", Stage: commerce.DisputeOpened}
	closed := opened
	closed.Stage = commerce.DisputeLost
	tests := []struct {
		name  string
		reply reply
		told  commerce.Dispute
		stage commerce.DisputeStage
		moved int
		kind  fault.Kind
	}{
		{"as told", reply{status: 200, body: dispute("OPEN", "")}, opened, commerce.DisputeOpened, 0, 0},
		{"under review by now", reply{status: 200, body: dispute("UNDER_REVIEW", "")}, opened, commerce.DisputeOpened, 0, 0},
		{"PayPal tells the money", reply{status: 200, body: dispute("RESOLVED", lost)}, closed, commerce.DisputeLost, 1, 0},
		{"not resolved", reply{status: 200, body: dispute("OPEN", "")}, closed, "", 0, fault.Forgery},
		{"of another payment", reply{status: 200, body: dispute("OPEN", "")}, commerce.Dispute{ID: "PP-1", PaymentID: "OTHER", Stage: commerce.DisputeOpened}, "", 0, fault.Forgery},
		{"unknown", reply{status: 404}, opened, "", 0, fault.Forgery},
		{"an outage", reply{status: 500}, opened, "", 0, fault.Unavailable},
		{"the app may not see disputes: a person is told", reply{status: 403}, opened, commerce.DisputeOpened, 0, 0},
		{"the app may not see disputes, and money moved", reply{status: 403}, commerce.Dispute{ID: "PP-1", PaymentID: "CAP", Stage: commerce.DisputeLost, Movements: []commerce.Settlement{{ID: "x"}}}, "", 0, fault.Rights},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := confirming(t, &ledger{replies: map[string][]reply{path: {tt.reply}}})
			s.merchant = "MINE"
			c := commerce.Content{Dispute: &tt.told}
			err := s.Complete(t.Context(), event.Event{Topic: disputeUpdated, ReceivedAt: time.Now().Add(-settling)}, &c)
			if tt.kind != 0 {
				if fault.KindOf(err) != tt.kind {
					t.Errorf("got %v, want %v", err, tt.kind)
				}
				return
			}
			if err != nil || c.Dispute == nil || c.Dispute.Stage != tt.stage || len(c.Dispute.Movements) != tt.moved {
				t.Errorf("got %+v, %v", c.Dispute, err)
			}
		})
	}
}
