package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// sample sends one of the made-up webhooks, changed.
func (s *service) sample(t testing.TB, source, topic, eventID string, replace ...string) {
	t.Helper()
	sample, err := app.SampleOf(source, topic, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(strings.NewReplacer(replace...).Replace(string(sample.Body)))
	if code, answer := s.send(t, source, topic, eventID, body); code != 200 {
		t.Fatalf("%s %s was answered %d %s", source, topic, code, answer)
	}
}

// requests lists what ERPNext was asked for since the last reset.
func (s *service) requests() []string {
	var list []string
	for _, r := range s.site.Requests() {
		list = append(list, strings.TrimSpace(r.Method+" "+r.DocType))
	}
	return list
}

// TestRequestsToERPNext counts them: a known customer's order costs two, a new
// customer's three, a payment two.
func TestRequestsToERPNext(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	s.until(t, "never warm", func() bool { return strings.Contains(s.log.String(), "erpnext is ready") })
	tests := []struct {
		name string
		send func()
		want []string
	}{
		{"a new customer's order", func() { s.sample(t, "shopify", "orders/create", "a") },
			[]string{"POST Customer", "POST Sales Order", "PUT Sales Order"}},
		{"a known customer's order", func() {
			s.sample(t, "shopify", "orders/create", "b", "5551234567890", "5551234567899", "#1001", "#1099")
		}, []string{"POST Sales Order", "PUT Sales Order"}},
		{"the same order, paid", func() { s.sample(t, "shopify", "orders/paid", "c") }, nil},
		{"a payment of a known order", func() { s.sample(t, "stripe", "charge.succeeded", "") }, []string{"POST Payment Entry", "PUT Payment Entry"}},
		{"the same payment's intent", func() { s.sample(t, "stripe", "payment_intent.succeeded", "") }, nil},
	}
	for _, tt := range tests {
		s.site.ResetRequests()
		tt.send()
		s.settle(t)
		if got := s.requests(); !slices.Equal(got, tt.want) {
			t.Errorf("%s cost %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestPaymentFindsItsOrder covers the ways in which a payment names an order.
func TestPaymentFindsItsOrder(t *testing.T) {
	tests := []struct {
		name    string
		send    func(t *testing.T, s *service)
		against bool
		party   string
		note    string
	}{
		{"by id in the metadata", func(t *testing.T, s *service) { s.sample(t, "stripe", "charge.succeeded", "") }, true, "Ada Byron", ""},
		{"by name in the metadata", func(t *testing.T, s *service) {
			s.sample(t, "stripe", "charge.succeeded", "", `"order_id": "5551234567890"`, `"order_id": "1001"`)
		}, true, "Ada Byron", ""},
		{"by the id as Shopify's GraphQL API gives it", func(t *testing.T, s *service) {
			s.sample(t, "stripe", "charge.succeeded", "", `"order_id": "5551234567890"`, `"order_id": "gid://shopify/Order/5551234567890"`)
		}, true, "Ada Byron", ""},
		{"by PayPal's custom id", func(t *testing.T, s *service) {
			s.sample(t, "paypal", "PAYMENT.CAPTURE.COMPLETED", "", "5551234567891", "5551234567890", `"invoice_id": "1002",`, "")
		}, true, "Ada Byron", ""},
		{"by PayPal's invoice id", func(t *testing.T, s *service) {
			s.sample(t, "paypal", "PAYMENT.CAPTURE.COMPLETED", "", `"custom_id": "5551234567891",`, "", `"1002"`, `"#1001"`)
		}, true, "Ada Byron", ""},
		{"not at all, but the payer's e-mail is known", func(t *testing.T, s *service) {
			s.sample(t, "stripe", "charge.succeeded", "", `{ "order_id": "5551234567890" }`, `{}`)
		}, true, "Ada Byron", "nobody named the order: it is the payer's only open one of this amount"},
		{"not at all, from somebody known who owes something else", func(t *testing.T, s *service) {
			s.sample(t, "stripe", "charge.succeeded", "", `{ "order_id": "5551234567890" }`, `{}`, "6863", "6862")
		}, false, "Ada Byron", ""},
		{"an order that never comes", func(t *testing.T, s *service) {
			s.sample(t, "stripe", "charge.succeeded", "", "5551234567890", "999")
		}, false, "Ada Byron", "booked on account: the order that the payment names is not in ERPNext"},
		{"not at all, from nobody known", func(t *testing.T, s *service) {
			s.sample(t, "stripe", "charge.succeeded", "", `{ "order_id": "5551234567890" }`, `{}`, "ada.byron@", "eve@")
		}, false, "Unknown payer (stripe)", "booked on account: nobody knows the payer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := startService(t, sandbox.Options{}, nil)
			s.sample(t, "shopify", "orders/create", "order")
			s.settle(t)
			tt.send(t, s)
			s.settle(t)
			payments := s.documents("Payment Entry", "")
			if len(payments) != 1 {
				t.Fatalf("%d payments; log:\n%s", len(payments), s.log)
			}
			refs, _ := payments[0]["references"].([]any)
			if (len(refs) == 1) != tt.against || payments[0]["party"] != tt.party {
				t.Errorf("payment of %v against %v, want %s, against an order: %v", payments[0]["party"], refs, tt.party, tt.against)
			}
			events, _, err := s.Inbox().List(t.Context(), event.Filter{Limit: 1})
			if err != nil || events[0].State != event.Done || events[0].Reason != tt.note {
				t.Errorf("ended %s: %q, want %q (%v)", events[0].State, events[0].Reason, tt.note, err)
			}
		})
	}
}

// TestPaymentWaitsForItsOrder sends the payment first: it is woken by its order.
func TestPaymentWaitsForItsOrder(t *testing.T) {
	s := startService(t, sandbox.Options{}, func(c *config.Config) {
		wait := time.Hour
		c.Sheet.Payments.WaitForOrder = &wait
	})
	s.sample(t, "stripe", "charge.succeeded", "")
	s.until(t, "the payment does not wait", func() bool {
		events, _, err := s.Inbox().List(t.Context(), event.Filter{})
		return err == nil && len(events) == 1 && events[0].Class == "waiting"
	})
	s.sample(t, "shopify", "orders/create", "order")
	s.settle(t)
	payments := s.documents("Payment Entry", "")
	if len(payments) != 1 || len(payments[0]["references"].([]any)) != 1 {
		t.Errorf("payments: %v", payments)
	}
}

// slackStub takes messages as Slack does.
type slackStub struct {
	mu       sync.Mutex
	messages []string
}

func (s *slackStub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.messages = append(s.messages, string(body))
	s.mu.Unlock()
	_, _ = io.WriteString(w, "ok")
}

func (s *slackStub) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.messages, "\n")
}

// TestRefusalIsSeen lets ERPNext refuse, and looks where a person looks: the
// inbox, the metrics, the log and Slack. The customer is in none of them.
func TestRefusalIsSeen(t *testing.T) {
	slack := &slackStub{}
	hook := httptest.NewServer(slack)
	defer hook.Close()
	faults, err := sandbox.ParseFaults("kind=403,doctype=Sales Order,method=POST")
	if err != nil {
		t.Fatal(err)
	}
	s := startService(t, sandbox.Options{Faults: faults}, func(c *config.Config) { c.SlackWebhookURL = config.Secret(hook.URL + "/canary-token") })
	s.sample(t, "shopify", "orders/create", "order")
	s.until(t, "nothing in Slack", func() bool { return slack.all() != "" })
	metrics := s.operator(t, "/metrics")
	for _, want := range []string{
		`ledgerhook_attempts_total{class="rights",result="retry",source="shopify"} 1`,
		`ledgerhook_erpnext_requests_total{code="403",doctype="Sales Order",method="POST"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	message := slack.all()
	if !strings.Contains(message, "Sales User") {
		t.Errorf("the message does not say what to do: %s", message)
	}
	for _, canary := range []string{"Byron", "ada.byron", "Analytical", "555 0100", "demo-secret", "canary-token", shopifySecret} {
		for where, text := range map[string]string{"Slack": message, "the log": s.log.String(), "the metrics": metrics} {
			if strings.Contains(text, canary) {
				t.Errorf("%s holds %q: %s", where, canary, text)
			}
		}
	}
}

// operator asks the operator's listener.
func (s *service) operator(t testing.TB, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.OperatorAddr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestMetricsExistAtZero holds the families of the contract.
func TestMetricsExistAtZero(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	metrics := s.operator(t, "/metrics")
	for _, name := range []string{
		`requests_total{outcome="accepted",source="shopify"} 0`, `requests_total{outcome="bad_signature",source="paypal"} 0`,
		`request_duration_seconds_count{source="stripe"} 0`, `store_commit_duration_seconds_count`, `events{state="dead"} 0`,
		`oldest_pending_timestamp_seconds`, `event_age_seconds_count{source="shopify"} 0`, `attempts_total{class="rejected",result="dead",source="stripe"} 0`,
		`erpnext_requests_total{code="200",doctype="Sales Order",method="PUT"} 0`, `erpnext_request_duration_seconds_count`,
		`dead_letters_total{class="mismatch"} 0`, `replays_total{trigger="manual"} 0`, `last_event_timestamp_seconds{source="shopify"} 0`,
		`secret_matches_total{slot="0",source="shopify"} 0`, `breaker_state 0`, `build_info{`,
		`alerts_sent_total{channel="slack"} 0`, `alerts_failed_total{channel="webhook",reason="timeout"} 0`, `alerts_suppressed_total 0`, `alerts_dropped_total 0`,
		`requests_total{outcome="store_error",source="stripe"} 0`, `requests_total{outcome="interrupted",source="shopify"} 0`, `requests_total{outcome="unknown_source",source="unknown"} 0`,
		`connections_refused_total{reason="address"} 0`, `rejected_kept_total{source="shopify"} 0`,
	} {
		if !strings.Contains(metrics, "ledgerhook_"+name) {
			t.Errorf("no ledgerhook_%s", name)
		}
	}
}

// TestEventJSON holds the contract's names of an event's fields.
func TestEventJSON(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	s.sample(t, "shopify", "orders/create", "order")
	s.settle(t)
	var got map[string]any
	if err := json.Unmarshal([]byte(s.operator(t, "/api/v1/events/"+event.NewID("shopify", "order"))), &got); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"id", "source", "provider", "topic", "provider_event_id", "subject", "state", "attempts", "received_at", "due_at", "class", "error", "documents"} {
		if _, ok := got[field]; !ok {
			t.Errorf("no field %s in %v", field, got)
		}
	}
	if docs := fmt.Sprint(got["documents"]); !strings.Contains(docs, "/app/sales-order/SAL-ORD-") {
		t.Errorf("documents %s have no link", docs)
	}
	var page struct{ Events []map[string]any }
	if err := json.Unmarshal([]byte(s.operator(t, "/api/v1/events")), &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Events) != 1 || fmt.Sprint(page.Events[0]["documents"]) != fmt.Sprint(got["documents"]) {
		t.Errorf("the list says %v, the event itself %v", page.Events, got["documents"])
	}
}

// TestDryRun shows what a dead event would make, and makes nothing.
func TestDryRun(t *testing.T) {
	faults, err := sandbox.ParseFaults("kind=403,doctype=Sales Order,method=POST")
	if err != nil {
		t.Fatal(err)
	}
	s := startService(t, sandbox.Options{Faults: faults}, nil)
	s.sample(t, "shopify", "orders/create", "order")
	s.until(t, "not tried", func() bool { return strings.Contains(s.log.String(), "event attempted") })
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	tool, err := app.OpenInboxTool(t.Context(), s.cfg, &out, false)
	if err != nil {
		t.Fatal(err)
	}
	defer tool.Close()
	s.site.ResetRequests()
	if err := tool.DryRun(t.Context(), s.cfg, event.NewID("shopify", "order")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"exists": "Ada Byron"`, `"doctype": "Sales Order"`, `"po_no": "#1001"`, `"rate": 10.83`, `"rate": 10.84`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in %s", want, &out)
		}
	}
	for _, r := range s.site.Requests() {
		if strings.HasPrefix(r.Path, "/api/resource/") && r.Method != http.MethodGet {
			t.Errorf("the dry run sent %s %s", r.Method, r.Path)
		}
	}
}

// TestIntakeGoesOnWhileERPNextIsDown takes events while every request to
// ERPNext fails, says so, stays ready, and books them when it is back.
func TestIntakeGoesOnWhileERPNextIsDown(t *testing.T) {
	faults, err := sandbox.ParseFaults("kind=502-html")
	if err != nil {
		t.Fatal(err)
	}
	s := startService(t, sandbox.Options{}, nil)
	s.until(t, "never warm", func() bool { return strings.Contains(s.log.String(), "erpnext is ready") })
	s.site.SetFaults(faults)
	for i := range 5 {
		s.sample(t, "shopify", "orders/create", fmt.Sprint("order-", i), "5551234567890", fmt.Sprint(5551234567800+i), `"#1001"`, fmt.Sprintf(`"#%d"`, 3000+i))
	}
	s.until(t, "the breaker does not open", func() bool { return !strings.Contains(s.operator(t, "/metrics"), "ledgerhook_breaker_state 0") })
	if code, answer := s.do(t, http.MethodGet, "/readyz", nil, nil); code != http.StatusOK {
		t.Errorf("readyz = %d %s while ERPNext is down", code, answer)
	}
	s.site.SetFaults(nil)
	s.settle(t)
	if orders := s.documents("Sales Order", ""); len(orders) != 5 {
		t.Errorf("%d orders after recovery, want 5", len(orders))
	}
	if stats, err := s.Inbox().Stats(t.Context()); err != nil || stats.ByState[event.Done] != 5 {
		t.Errorf("ended %+v, %v", stats.ByState, err)
	}
}
