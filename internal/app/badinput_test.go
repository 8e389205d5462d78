package app_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

const minimalOrder = `{"id":9007199254740993,"name":"#77","currency":"USD","created_at":"%[1]s","updated_at":"%[1]s","test":false,
"taxes_included":false,"total_price":"10.00","total_tax":"0.00","line_items":[{"id":1,"sku":"MUG-01","title":"Mug","quantity":1,"price":"10.00",
"discount_allocations":[],"tax_lines":[]}],"shipping_lines":[]%[2]s}`

const orderID = "9007199254740993" // above 2^53: a float would make it …992

func order(more string) string {
	for name, value := range map[string]string{
		"subtotal_price": `"10.00"`, "total_discounts": `"0.00"`, "financial_status": `"pending"`, "tax_lines": "[]", "discount_codes": "[]", "note_attributes": "[]",
		"fulfillments": "[]", "note": "null", "cancelled_at": "null", "email": "null",
	} {
		if !strings.Contains(more, `"`+name+`":`) {
			more += `,"` + name + `":` + value
		}
	}
	return fmt.Sprintf(minimalOrder, time.Now().UTC().Format(time.RFC3339), more)
}

// renamed gives an order another id and name.
func renamed(body, id string) string {
	return strings.NewReplacer(orderID, id, `"#77"`, `"#`+id[len(id)-2:]+`"`).Replace(body)
}

// TestBadInputAtTheDoor sends what must not get in, over real HTTP.
func TestBadInputAtTheDoor(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	body := order("")
	signed := func(body string) http.Header {
		return s.signers.sign(t, "shopify", "orders/create", "w-1", []byte(body))
	}
	set := func(h http.Header, name, value string) http.Header {
		h = h.Clone()
		if value == "" {
			h.Del(name)
		} else {
			h.Set(name, value)
		}
		return h
	}
	const mac = "X-Shopify-Hmac-Sha256"
	good := signed(body).Get(mac)
	raw, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	stripeBody := []byte(`{"id":"evt_1","object":"event","type":"charge.succeeded"}`)
	stripeAt := func(at time.Time) http.Header {
		h, err := s.signers.pay.Sign(stripeBody, "", "", at)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	tests := []struct {
		name, method, source, body string
		reader                     io.Reader
		header                     http.Header
		code                       int
	}{
		{name: "no signature", body: body, header: set(signed(body), mac, ""), code: 401},
		{name: "wrong signature", body: body, header: signed(body + " "), code: 401},
		{name: "truncated signature", body: body, header: set(signed(body), mac, good[:20]), code: 401},
		{name: "hex instead of base64", body: body, header: set(signed(body), mac, hex.EncodeToString(raw)), code: 401},
		{name: "signed with an empty secret", body: body, header: set(signed(body), mac, emptyMAC(body)), code: 401},
		{name: "stale timestamp", source: "stripe", body: string(stripeBody), header: stripeAt(time.Now().Add(-10 * time.Minute)), code: 401},
		{name: "timestamp in the future", source: "stripe", body: string(stripeBody), header: stripeAt(time.Now().Add(10 * time.Minute)), code: 401},
		{name: "no PayPal headers", source: "paypal", body: `{"id":"WH-1"}`, header: http.Header{}, code: 401},
		{name: "unknown source", source: "woocommerce", body: body, header: signed(body), code: 404},
		{name: "GET", method: "GET", header: http.Header{}, code: 405},
		{name: "DELETE", method: "DELETE", header: http.Header{}, code: 405},
		{name: "11 MiB, chunked", reader: io.MultiReader(bytes.NewReader(make([]byte, 11<<20))), header: signed(body), code: 413},
		{name: "gzip", body: body, header: set(signed(body), "Content-Encoding", "gzip"), code: 415},
		{name: "form", body: body, header: set(signed(body), "Content-Type", "application/x-www-form-urlencoded"), code: 415},
		{name: "no topic", body: body, header: set(signed(body), "X-Shopify-Topic", ""), code: 400},
		{name: "no webhook id", body: body, header: set(signed(body), "X-Shopify-Webhook-Id", ""), code: 400},
		{name: "not JSON", body: "hello", header: signed("hello"), code: 400},
		{name: "JSON array", body: "[" + body + "]", header: signed("[" + body + "]"), code: 400},
		{name: "empty body", body: "", header: signed(""), code: 401},
		{name: "two objects", body: body + body, header: signed(body + body), code: 400},
		{name: "deep nesting", body: deep, header: signed(deep), code: 400},
		{name: "duplicate keys", body: `{"id":1,"id":2}`, header: signed(`{"id":1,"id":2}`), code: 400},
		{name: "invalid UTF-8", body: "{\"id\":\"\xff\"}", header: signed("{\"id\":\"\xff\"}"), code: 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := strings.Count(s.log.String(), "webhook received")
			reader := tt.reader
			if reader == nil {
				reader = strings.NewReader(tt.body)
			}
			method, source := "POST", "shopify"
			if tt.method != "" {
				method = tt.method
			}
			if tt.source != "" {
				source = tt.source
			}
			if code, answer := s.do(t, method, "/webhooks/"+source, reader, tt.header); code != tt.code {
				t.Errorf("answered %d %s, want %d", code, answer, tt.code)
			}
			s.until(t, "no log line", func() bool { return strings.Count(s.log.String(), "webhook received") == before+1 })
		})
	}
	if stats, err := s.Inbox().Stats(t.Context()); err != nil || len(stats.ByState) > 0 && stats.ByState[event.Pending]+stats.ByState[event.Done] > 0 {
		t.Errorf("something got in: %+v, %v", stats, err)
	}
}

// emptyMAC is what an attacker computes who hopes for an empty secret.
func emptyMAC(body string) string {
	m := hmac.New(sha256.New, nil)
	m.Write([]byte(body))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

var deep = strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)

// TestStrangeButGenuineInput sends what is odd and signed: it is data, and only data.
func TestStrangeButGenuineInput(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	number := strings.NewReplacer(`"total_price":"10.00"`, `"total_price":10.00`, `"price":"10.00"`, `"price":10.00`).Replace(order(""))
	tests := []struct {
		id, body string
		state    event.State
		reason   string
	}{
		{"above-2-53", order(""), event.Done, ""},
		{"number", renamed(number, "9007199254740995"), event.Done, ""},
		{"cmd", renamed(order(`,"cmd":"ping","docstatus":1,"run_method":"cancel","doctype":"User"`), "9007199254740997"), event.Done, ""},
		{"exponent", renamed(strings.Replace(order(""), `"10.00"`, `"1e1"`, 1), "9007199254740999"), event.Dead, ""},
	}
	for _, tt := range tests {
		if code, answer := s.send(t, "shopify", "orders/create", tt.id, []byte(tt.body)); code != 200 {
			t.Fatalf("%s: answered %d %s", tt.id, code, answer)
		}
	}
	s.settle(t)
	for _, tt := range tests {
		if ev := s.event(t, "shopify", tt.id); ev.State != tt.state {
			t.Errorf("%s ended %s (%s), want %s", tt.id, ev.State, ev.Reason, tt.state)
		}
	}
	for _, id := range []string{orderID, "9007199254740995", "9007199254740997"} {
		docs := s.documents("Sales Order", "shopify/shopify/order/"+id)
		if len(docs) != 1 || docs[0]["grand_total"] != 10.0 || fmt.Sprint(docs[0]["docstatus"]) != "1" {
			t.Errorf("order %s became %d documents: %v", id, len(docs), docs)
		}
	}
}
