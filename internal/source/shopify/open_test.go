package shopify

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/corpus"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	secretA = "shpss_alpha"
	secretB = "0123456789abcdef0123456789abcdef"
)

func source(t testing.TB, secrets ...string) *Source {
	t.Helper()
	s, err := New(Options{Secrets: secrets, TaxIDNames: []string{"VAT number", "vat_id"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func signed(t testing.TB, s *Source, topic, body string) http.Header {
	t.Helper()
	h, err := s.Sign([]byte(body), topic, "delivery-1", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestNewWantsASecret(t *testing.T) {
	for name, secrets := range map[string][]string{
		"none": nil, "an empty one": {""}, "a blank one": {"  "}, "an empty one behind a good one": {secretA, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(Options{Secrets: secrets, TaxIDNames: []string{"VAT number", "vat_id"}}); err == nil {
				t.Error("taken")
			} else if strings.Contains(err.Error(), secretA) {
				t.Error("the error shows a secret")
			}
		})
	}
}

func TestOpenNamesTheEvent(t *testing.T) {
	s := source(t, secretA, secretB)
	if diff := cmp.Diff([]string{"0", "1"}, s.Slots()); diff != "" {
		t.Error(diff)
	}
	body := `{"id":820982911946154508,"updated_at":"2026-03-01T13:00:00+02:00"}`
	ev, err := s.Open(t.Context(), signed(t, source(t, secretB), "orders/updated", body), []byte(body), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	want := event.Event{
		Provider: "shopify", ProviderID: "delivery-1", Topic: "orders/updated", Subject: "order/820982911946154508",
		SecretSlot: "1", OccurredAt: time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC), Body: []byte(body),
		Header: map[string]string{
			"X-Shopify-Topic": "orders/updated", "X-Shopify-Webhook-Id": "delivery-1", "X-Shopify-Event-Id": "delivery-1",
			"X-Shopify-Shop-Domain": "ledgerhook-test.myshopify.com", "X-Shopify-Api-Version": "2026-10",
			"X-Shopify-Triggered-At": "2026-03-01T12:00:00Z",
		},
	}
	if diff := cmp.Diff(want, ev); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestOpenTakesTheHeadersOf2026(t *testing.T) {
	s := source(t, secretA)
	body := `{"topic":"Product"}`
	h := http.Header{}
	for name, values := range signed(t, s, "Product", body) {
		h[strings.TrimPrefix(name, "X-")] = values
	}
	ev, err := s.Open(t.Context(), h, []byte(body), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if ev.Topic != "Product" || ev.ProviderID != "delivery-1" || ev.Header["Shopify-Webhook-Id"] != "delivery-1" {
		t.Errorf("got %+v", ev)
	}
}

func TestOpenRefuses(t *testing.T) {
	s := source(t, secretA, secretB)
	body := `{"id":1}`
	sum := mac([]byte(secretA), []byte(body))
	sig := base64.StdEncoding.EncodeToString(sum)
	urlSig := base64.URLEncoding.EncodeToString(sum)
	change := func(set func(http.Header)) http.Header {
		h := signed(t, s, "orders/updated", body)
		set(h)
		return h
	}
	mark := func(value ...string) http.Header {
		return change(func(h http.Header) { h["X-Shopify-Hmac-Sha256"] = value })
	}
	tests := []struct {
		name string
		h    http.Header
		body string
		want fault.Kind
	}{
		{"no signature", mark(), body, fault.BadSignature},
		{"an empty signature", mark(""), body, fault.BadSignature},
		{"two signatures", mark(sig, sig), body, fault.BadSignature},
		{"another secret's", signed(t, source(t, "other"), "orders/updated", body), body, fault.BadSignature},
		{"an empty secret's", mark(base64.StdEncoding.EncodeToString(mac(nil, []byte(body)))), body, fault.BadSignature},
		{"another body's", mark(sig), `{"id":2}`, fault.BadSignature},
		{"a blank more in the body", mark(sig), `{"id": 1}`, fault.BadSignature},
		{"hex", mark(hex.EncodeToString(sum)), body, fault.BadSignature},
		{"base64 of hex", mark(base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum)))), body, fault.BadSignature},
		{"cut short", mark(base64.StdEncoding.EncodeToString(sum[:31])), body, fault.BadSignature},
		{"too long", mark(base64.StdEncoding.EncodeToString(append(bytes.Clone(sum), 0))), body, fault.BadSignature},
		{"without padding", mark(strings.TrimRight(sig, "=")), body, fault.BadSignature},
		{"a blank before", mark(" " + sig), body, fault.BadSignature},
		{"a line break inside", mark(sig[:20] + "\r\n" + sig[20:]), body, fault.BadSignature},
		{"a secret decoded from hex", mark(base64.StdEncoding.EncodeToString(mac([]byte{0x01, 0x23}, []byte(body)))), body, fault.BadSignature},
		{"an empty body", signed(t, s, "orders/updated", ""), "", fault.BadSignature},
		{"a body that is no JSON", signed(t, s, "orders/updated", "foo=anything"), "foo=anything", fault.Malformed},
		{"an array", signed(t, s, "orders/updated", "[1]"), "[1]", fault.Malformed},
		{"a name twice", signed(t, s, "orders/updated", `{"id":1,"id":2}`), `{"id":1,"id":2}`, fault.Malformed},
		{"broken UTF-8", signed(t, s, "orders/updated", "{\"a\":\"\xc3\"}"), "{\"a\":\"\xc3\"}", fault.Malformed},
		{"deep nesting", signed(t, s, "orders/updated", strings.Repeat(`{"a":`, 5000)), strings.Repeat(`{"a":`, 5000), fault.Malformed},
		{"no topic", change(func(h http.Header) { h.Del("X-Shopify-Topic") }), body, fault.Malformed},
		{"a topic with blanks", change(func(h http.Header) { h.Set("X-Shopify-Topic", "orders/ create") }), body, fault.Malformed},
		{"no webhook id", change(func(h http.Header) { h.Del("X-Shopify-Webhook-Id") }), body, fault.Malformed},
		{"an endless webhook id", change(func(h http.Header) { h.Set("X-Shopify-Webhook-Id", strings.Repeat("1", 300)) }), body, fault.Malformed},
	}
	if _, badURL := decodeMAC(urlSig); urlSig != sig && badURL {
		t.Error("the URL alphabet was taken")
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.Open(t.Context(), tt.h, []byte(tt.body), time.Time{})
			if err == nil {
				t.Fatal("taken")
			}
			if got := fault.KindOf(err); got != tt.want {
				t.Errorf("kind %v, want %v (%v)", got, tt.want, err)
			}
			if strings.Contains(err.Error(), secretA) || strings.Contains(err.Error(), sig) {
				t.Error("the error shows a secret or the signature")
			}
		})
	}
}

func TestDecideTopic(t *testing.T) {
	const (
		order       = `{"id":1,"order_number":1001,"financial_status":"paid","line_items":[],"total_price":"1.00"}`
		refund      = `{"id":5,"order_id":1,"refund_line_items":[],"transactions":[]}`
		transaction = `{"id":6,"order_id":1,"kind":"refund","amount":"1.00"}`
		checkout    = `{"id":7,"line_items":[],"total_price":"1.00","abandoned_checkout_url":"https://shop.example/x"}`
		draft       = `{"id":8,"line_items":[],"total_price":"1.00","invoice_url":"https://shop.example/x","order_id":null}`
		edit        = `{"order_edit":{"id":9,"order_id":1}}`
		tender      = `{"id":10,"order_id":1,"amount":"1.00","currency":"USD"}`
		trimmed     = `{"id":1,"name":"#1001","total_price":"1.00"}`
	)
	tests := []struct {
		name, header, body, topic, subject string
	}{
		{"an order under its topic", "orders/create", order, "orders/create", "order/1"},
		{"an order that was paid", "orders/paid", order, "orders/paid", "order/1"},
		{"an order that changed", "orders/updated", order, "orders/updated", "order/1"},
		{"an order sent as a refund", "refunds/create", order, "orders/create", "order/1"},
		{"an order sent as an uninstallation", "app/uninstalled", order, "orders/create", "order/1"},
		{"a refund", "refunds/create", refund, "refunds/create", "order/1"},
		{"a refund sent as a new order", "orders/create", refund, "refunds/create", "order/1"},
		{"a refund sent as a paid order", "orders/paid", refund, "refunds/create", "order/1"},
		{"a transaction", "order_transactions/create", transaction, "order_transactions/create", "order/1"},
		{"a transaction sent as an order", "orders/create", transaction, "order_transactions/create", "order/1"},
		{"a checkout sent as an order", "orders/create", checkout, "checkouts/update", ""},
		{"a draft sent as an order", "orders/create", draft, "draft_orders/update", ""},
		{"an edit", "orders/edited", edit, "orders/edited", "order/1"},
		{"a tender transaction", "tender_transactions/create", tender, "tender_transactions/create", "order/1"},
		{"an order with chosen fields", "orders/create", trimmed, "orders/create", "order/1"},
		{"something else", "products/create", `{"id":3}`, "products/create", "product/3"},
		{"a customer", "customers/update", `{"id":4}`, "customers/update", "customer/4"},
		{"a request about a customer", "customers/redact", `{"shop_domain":"acme.example","customer":{"id":4}}`, "customers/redact", "customer/4"},
		{"an id that is no id", "orders/create", `{"id":"a b"}`, "orders/create", ""},
	}
	s := source(t, secretA)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev, err := s.Open(t.Context(), signed(t, s, tt.header, tt.body), []byte(tt.body), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if ev.Topic != tt.topic || ev.Subject != tt.subject {
				t.Errorf("got %s about %q, want %s about %q", ev.Topic, ev.Subject, tt.topic, tt.subject)
			}
		})
	}
}

// A genuine body is sent again under a topic that would erase or stop something.
func TestADemandingTopicNeedsItsBody(t *testing.T) {
	s := source(t, secretA)
	for topic, right := range map[string]string{
		"app/uninstalled": `{"id":1,"name":"Acme","shop_owner":"Ann"}`, "shop/redact": `{"shop_id":1,"shop_domain":"acme.example"}`,
		"customers/redact": `{"shop_domain":"acme.example","customer":{"id":1},"orders_to_redact":[]}`, "customers/data_request": `{"shop_domain":"acme.example","customer":{"id":1}}`,
	} {
		for name, body := range map[string]string{
			"its own": right, "a product": `{"id":1,"title":"Mug","variants":[]}`, "a customer": `{"id":1,"email":"ann@example.com","addresses":[]}`, "nothing": `{}`,
		} {
			_, err := s.Open(t.Context(), signed(t, s, topic, body), []byte(body), time.Time{})
			if taken := err == nil; taken != (name == "its own") || !taken && fault.KindOf(err) != fault.Malformed {
				t.Errorf("%s with %s: %v", topic, name, err)
			}
		}
	}
}

// The corpus says of bodies and secrets whether the signature is right. Bodies
// of other libraries' tests are not always JSON objects, and their deliveries
// do not always name a topic: then a right signature ends as Malformed.
func TestOpenAgreesWithTheCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus.Dir(t, "vectors/shopify"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		var v struct {
			Name    string
			Headers map[string]string
			Secrets []string
			Body    []byte `json:"body_base64"`
			Expect  struct{ Valid bool }
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		t.Run(v.Name, func(t *testing.T) {
			h := http.Header{}
			for name, value := range v.Headers {
				h.Set(name, value)
			}
			_, err := source(t, v.Secrets...).Open(t.Context(), h, v.Body, time.Time{})
			if refused := fault.KindOf(err) == fault.BadSignature && err != nil; refused == v.Expect.Valid {
				t.Errorf("valid is %v, but Open says %v", v.Expect.Valid, err)
			}
			if err != nil && v.Expect.Valid && fault.KindOf(err) != fault.Malformed {
				t.Errorf("a right signature ends as %v", err)
			}
		})
	}
}

func FuzzDecodeMAC(f *testing.F) {
	sum := mac([]byte(secretA), []byte("{}"))
	for _, s := range []string{"", base64.StdEncoding.EncodeToString(sum), hex.EncodeToString(sum), base64.RawStdEncoding.EncodeToString(sum), strings.Repeat("=", 44)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		sum, ok := decodeMAC(header)
		if ok && base64.StdEncoding.EncodeToString(sum) != header {
			t.Fatalf("%q is not how these bytes are written", header)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	s := source(b, secretA, secretB)
	h := signed(b, s, "orders/create", wholeOrder)
	body := []byte(wholeOrder)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(b.Context(), h, body, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}
