package app_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal/forge"
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

// What each answer says, and how it is counted and logged.
type refusal struct {
	code          int
	word, outcome string
}

var (
	badSignature = refusal{401, "bad_signature", "bad_signature"}
	malformed    = refusal{400, "malformed", "unparsable"}
	tooLarge     = refusal{413, "too_large", "too_large"}
	unsupported  = refusal{415, "unsupported_media_type", "unsupported"}
	badMethod    = refusal{405, "method_not_allowed", "bad_method"}
	noSource     = refusal{404, "not_found", "unknown_source"}
	conflict     = refusal{409, "conflict", "conflict"}
)

// badInput is a request that must not get in.
type badInput struct {
	name, method, source string
	body                 io.Reader
	header               http.Header
	want                 refusal
}

// warm waits until the service has asked ERPNext all that it asks at its start.
func (s *service) warm(t testing.TB) {
	t.Helper()
	s.until(t, "never warm", func() bool { return strings.Contains(s.log.String(), "erpnext is ready") })
	s.site.ResetRequests()
}

// TestBadInputAtTheDoor sends what must not get in, over real HTTP: every case
// with the contract's answer, one log line that says which it was, and nothing
// of it in the inbox or in ERPNext.
func TestBadInputAtTheDoor(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	s.warm(t)
	cases := anyProvider(t, s)
	cases = append(cases, badShopify(t, s)...)
	cases = append(cases, badStripe(t, s)...)
	cases = append(cases, badPayPal(t, s)...)
	for _, tt := range cases {
		t.Run(tt.source+"/"+tt.name, func(t *testing.T) { s.refuses(t, tt) })
	}
	if stats, err := s.Inbox().Stats(t.Context()); err != nil || stats.ByState[event.Pending]+stats.ByState[event.Done]+stats.ByState[event.Ignored] > 0 {
		t.Errorf("something got in: %+v, %v", stats, err)
	}
	if asked := s.requests(); len(asked) > 0 {
		t.Errorf("ERPNext was asked: %q", asked)
	}
}

// refuses sends a request and looks at its answer and its log line.
func (s *service) refuses(t *testing.T, tt badInput) {
	t.Helper()
	before := len(s.logged("webhook received"))
	code, answer := s.do(t, tt.method, "/webhooks/"+tt.source, tt.body, tt.header)
	if want := `{"error":"` + tt.want.word + `"}`; code != tt.want.code || answer != want {
		t.Errorf("answered %d %s, want %d %s", code, answer, tt.want.code, want)
	}
	var lines []map[string]any
	s.until(t, "no log line", func() bool {
		lines = s.logged("webhook received")
		return len(lines) == before+1
	})
	source := tt.source
	if tt.want == noSource {
		source = "unknown"
	}
	if line := lines[before]; line["outcome"] != tt.want.outcome || line["source"] != source || line["error"] == nil || line["request_id"] == nil {
		t.Errorf("logged %v, want outcome %s of %s with its cause", line, tt.want.outcome, source)
	}
}

// logged are the log's lines with this message.
func (s *service) logged(message string) []map[string]any {
	var lines []map[string]any
	for line := range strings.Lines(s.log.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["message"] == message {
			lines = append(lines, fields)
		}
	}
	return lines
}

// genuine is a body of each provider that would be taken.
var genuine = map[string]string{
	"stripe": `{"id":"evt_1","object":"event","type":"customer.created","data":{"object":{"id":"cus_1","object":"customer"}}}`,
	"paypal": `{"id":"WH-1","event_type":"BILLING.PLAN.CREATED","resource_type":"plan","resource":{"id":"P-1"}}`,
}

func genuineOf(source string) string {
	if source == "shopify" {
		return order("")
	}
	return genuine[source]
}

// anyProvider are the cases that every provider shares: they are signed well.
func anyProvider(t *testing.T, s *service) []badInput {
	cases := []badInput{
		{"unknown source", "POST", "woocommerce", strings.NewReader("{}"), http.Header{}, noSource},
		{"a path in the name", "POST", "shopify%2F..", strings.NewReader("{}"), http.Header{}, noSource},
	}
	for _, source := range []string{"shopify", "stripe", "paypal"} {
		good := genuineOf(source)
		signed := func(body string) http.Header { return s.signers.sign(t, source, "orders/create", "w-1", []byte(body)) }
		body := func(name, text string, want refusal) badInput {
			return badInput{name, "POST", source, strings.NewReader(text), signed(text), want}
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
			if method != "HEAD" { // it has no body to look at
				cases = append(cases, badInput{method, method, source, nil, http.Header{}, badMethod})
			}
		}
		cases = append(cases,
			body("not JSON", "hello", malformed),
			body("JSON array", "["+good+"]", malformed),
			body("JSON text", `"hello"`, malformed),
			body("null", "null", malformed),
			body("two objects", good+good, malformed),
			body("cut off", good[:len(good)-1], malformed),
			body("deep nesting", deep, malformed),
			body("duplicate keys", `{"id":1,"id":2}`, malformed),
			body("invalid UTF-8", "{\"id\":\"\xff\"}", malformed),
			badInput{"11 MiB, chunked", "POST", source, io.MultiReader(bytes.NewReader(make([]byte, 11<<20))), signed(good), tooLarge},
			badInput{"11 MiB, announced", "POST", source, bytes.NewReader(make([]byte, 11<<20)), signed(good), tooLarge},
			badInput{"gzip", "POST", source, zipped(t, good), with(signed(good), "Content-Encoding", "gzip"), unsupported},
			badInput{"form", "POST", source, strings.NewReader(good), with(signed(good), "Content-Type", "application/x-www-form-urlencoded"), unsupported},
			badInput{"unreadable media type", "POST", source, strings.NewReader(good), with(signed(good), "Content-Type", ";"), unsupported},
		)
	}
	return cases
}

// with is a header with one value changed, or without it.
func with(h http.Header, name, value string) http.Header {
	h = h.Clone()
	h.Del(name)
	if value != "" {
		h.Set(name, value)
	}
	return h
}

func zipped(t *testing.T, body string) io.Reader {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := io.WriteString(z, body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &buf
}

func badShopify(t *testing.T, s *service) []badInput {
	const mac = "X-Shopify-Hmac-Sha256"
	body := order("")
	h := s.signers.sign(t, "shopify", "orders/create", "w-1", []byte(body))
	good := h.Get(mac)
	raw, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	other := s.signers.sign(t, "shopify", "orders/create", "w-1", []byte(body+" "))
	twice := h.Clone()
	twice.Add(mac, other.Get(mac))
	post := func(name, body string, h http.Header, want refusal) badInput {
		return badInput{name, "POST", "shopify", strings.NewReader(body), h, want}
	}
	return []badInput{
		post("no signature", body, with(h, mac, ""), badSignature),
		post("wrong signature", body, other, badSignature),
		post("two signatures", body, twice, badSignature),
		post("truncated signature", body, with(h, mac, good[:20]), badSignature),
		post("hex instead of base64", body, with(h, mac, hex.EncodeToString(raw)), badSignature),
		post("base64 for addresses", body, with(h, mac, base64.RawURLEncoding.EncodeToString(raw)), badSignature),
		post("signed with an empty secret", body, with(h, mac, base64.StdEncoding.EncodeToString(emptyMAC(body))), badSignature),
		post("signed with our secret's bytes in hex", body, with(h, mac, base64.StdEncoding.EncodeToString(macOf(hex.EncodeToString([]byte(shopifySecret)), body))), badSignature),
		post("empty body", "", s.signers.sign(t, "shopify", "orders/create", "w-1", nil), badSignature),
		post("no topic", body, with(h, "X-Shopify-Topic", ""), malformed),
		post("no webhook id", body, with(h, "X-Shopify-Webhook-Id", ""), malformed),
	}
}

func badStripe(t *testing.T, s *service) []badInput {
	const name = "Stripe-Signature"
	body, now := genuine["stripe"], time.Now()
	signedAt := func(at time.Time) http.Header {
		h, err := s.signers.pay.Sign([]byte(body), "", "", at)
		if err != nil {
			t.Fatal(err)
		}
		h.Set("Content-Type", "application/json")
		return h
	}
	h := signedAt(now)
	good := h.Get(name)
	stamp, sum, _ := strings.Cut(good, ",v1=")
	raw, err := hex.DecodeString(sum)
	if err != nil {
		t.Fatal(err)
	}
	seconds := strconv.FormatInt(now.Unix(), 10)
	post := func(what, header string) badInput {
		return badInput{what, "POST", "stripe", strings.NewReader(body), with(h, name, header), badSignature}
	}
	return []badInput{
		post("no signature", ""),
		post("wrong signature", stamp+",v1="+strings.Repeat("0", 64)),
		post("truncated signature", good[:len(good)-2]),
		post("base64 instead of hex", stamp+",v1="+strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "=")),
		post("signed with an empty secret", "t="+seconds+",v1="+hex.EncodeToString(macOf("", seconds+"."+body))),
		post("signed with the secret without its prefix", "t="+seconds+",v1="+hex.EncodeToString(macOf("test", seconds+"."+body))),
		post("without the timestamp in what is signed", stamp+",v1="+hex.EncodeToString(macOf(stripeSecret, body))),
		post("right under the old scheme's name", stamp+",v0="+sum),
		post("no timestamp", "v1="+sum),
		post("another timestamp", "t="+strconv.FormatInt(now.Unix()+1, 10)+",v1="+sum),
		{"stale", "POST", "stripe", strings.NewReader(body), signedAt(now.Add(-10 * time.Minute)), badSignature},
		{"from the future", "POST", "stripe", strings.NewReader(body), signedAt(now.Add(10 * time.Minute)), badSignature},
		{"empty body", "POST", "stripe", strings.NewReader(""), h, badSignature},
	}
}

func badPayPal(t *testing.T, s *service) []badInput {
	const sig = "Paypal-Transmission-Sig"
	body := genuine["paypal"]
	signed := func(id string, at time.Time) http.Header {
		h, err := s.signers.pal.Sign(id, []byte(body), at)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := signed(webhookID, time.Now())
	good := h.Get(sig)
	raw, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	post := func(name string, h http.Header) badInput {
		return badInput{name, "POST", "paypal", strings.NewReader(body), h, badSignature}
	}
	cases := []badInput{
		post("wrong signature", with(h, sig, signed(webhookID, time.Now()).Get(sig))),
		post("truncated signature", with(h, sig, good[:100])),
		post("hex instead of base64", with(h, sig, hex.EncodeToString(raw))),
		post("signed for another webhook", signed("1ANOTHER0WEBHOOK0", time.Now())),
		post("signed for no webhook", signed("", time.Now())),
		post("the simulator's", signed("WEBHOOK_ID", time.Now())),
		post("stale", signed(webhookID, time.Now().AddDate(0, -3, 0))),
		post("from the future", signed(webhookID, time.Now().Add(time.Hour))),
		post("another algorithm", with(h, "Paypal-Auth-Algo", "SHA1withRSA")),
		post("a certificate from elsewhere", with(h, "Paypal-Cert-Url", "https://api.paypal.com.example.com/v1/notifications/certs/CERT-1")),
		post("the sandbox's certificate", with(h, "Paypal-Cert-Url", "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1")),
		{"empty body", "POST", "paypal", strings.NewReader(""), h, badSignature},
	}
	for _, name := range []string{"Paypal-Transmission-Id", "Paypal-Transmission-Time", sig, "Paypal-Cert-Url", "Paypal-Auth-Algo"} {
		cases = append(cases, post("without "+name, with(h, name, "")))
	}
	return cases
}

func macOf(key, message string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(message))
	return m.Sum(nil)
}

// emptyMAC is what an attacker computes who hopes for an empty secret.
func emptyMAC(body string) []byte { return macOf("", body) }

var deep = strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)

// TestPayPalSecondBody sends another body under a known event id, and one that
// the same transmission's signature vouches for too. The first stays.
func TestPayPalSecondBody(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	first := genuine["paypal"]
	h := s.signers.sign(t, "paypal", "", "", []byte(first))
	if code, answer := s.post(t, "paypal", strings.NewReader(first), h); code != 200 {
		t.Fatalf("the first was answered %d %s", code, answer)
	}
	s.settle(t)
	s.warm(t)
	other := strings.Replace(first, "P-1", "P-2", 1)
	sameSum := func(id string) string {
		return string(forge.Body(`{"id":"`+id+`","event_type":"BILLING.PLAN.CREATED","resource":{"id":"P-2"},"x":"`, `"}`, crc32.ChecksumIEEE([]byte(first))))
	}
	for _, tt := range []badInput{
		{"under its event id", "POST", "paypal", strings.NewReader(other), s.signers.sign(t, "paypal", "", "", []byte(other)), conflict},
		{"under its transmission and event id", "POST", "paypal", strings.NewReader(sameSum("WH-1")), h, conflict},
		{"under its transmission id", "POST", "paypal", strings.NewReader(sameSum("WH-2")), h, conflict},
	} {
		t.Run(tt.name, func(t *testing.T) { s.refuses(t, tt) })
	}
	if code, answer := s.post(t, "paypal", strings.NewReader(first), h); code != 200 || !strings.Contains(answer, "duplicate") {
		t.Errorf("the first again was answered %d %s", code, answer)
	}
	if asked := s.requests(); len(asked) > 0 {
		t.Errorf("ERPNext was asked: %q", asked)
	}
	if ev := s.event(t, "paypal", "WH-1"); string(ev.Body) != first {
		t.Errorf("the body is now %s", ev.Body)
	}
}

// TestSimulatorsIDIsRefusedAtTheStart: with it anybody could have PayPal sign.
func TestSimulatorsIDIsRefusedAtTheStart(t *testing.T) {
	by := newSigners(t)
	cfg := testConfig(t, "http://127.0.0.1:1", by)
	cfg.PayPal.WebhookID = "WEBHOOK_ID"
	if a, err := app.New(t.Context(), cfg, app.Options{}); err == nil || !strings.Contains(err.Error(), "WEBHOOK_ID") {
		t.Errorf("live: %v, %v", a, err)
	}
	s := startSigned(t, by, sandbox.Options{}, func(c *config.Config, _ *app.Options) {
		c.PayPal.WebhookID, c.PayPal.Mode = "WEBHOOK_ID", "sandbox"
	})
	body := []byte(genuine["paypal"])
	h, err := by.pal.Sign("WEBHOOK_ID", body, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if code, answer := s.post(t, "paypal", bytes.NewReader(body), h); code != 200 {
		t.Errorf("the sandbox answered %d %s", code, answer)
	}
}

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
		{"exponent", renamed(strings.Replace(order(""), `"10.00"`, `"1e1"`, 1), "9007199254740999"), event.Dead, "price"},
	}
	for _, tt := range tests {
		if code, answer := s.send(t, "shopify", "orders/create", tt.id, []byte(tt.body)); code != 200 {
			t.Fatalf("%s: answered %d %s", tt.id, code, answer)
		}
	}
	s.settle(t)
	for _, tt := range tests {
		if ev := s.event(t, "shopify", tt.id); ev.State != tt.state || !strings.Contains(ev.Reason, tt.reason) {
			t.Errorf("%s ended %s (%s), want %s", tt.id, ev.State, ev.Reason, tt.state)
		}
	}
	for _, id := range []string{orderID, "9007199254740995", "9007199254740997"} {
		docs := s.documents("Sales Order", "shopify/shopify/order/"+id)
		if len(docs) != 1 || docs[0]["grand_total"] != 10.0 || fmt.Sprint(docs[0]["docstatus"]) != "1" {
			t.Errorf("order %s became %d documents: %v", id, len(docs), docs)
		}
		for _, field := range []string{"cmd", "run_method"} {
			if _, has := docs[0][field]; has {
				t.Errorf("order %s has %s in ERPNext", id, field)
			}
		}
	}
}
