package stripe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v86/webhook"

	"github.com/ledgerhook/ledgerhook/internal/corpus"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	secretA = "whsec_YWxwaGEtc2VjcmV0LWZvci10ZXN0cw"
	secretB = "whsec_YnJhdm8tc2VjcmV0LWZvci10ZXN0cw"
)

var arrival = time.Unix(1_770_000_000, 0)

func source(t testing.TB, secrets ...string) *Source {
	t.Helper()
	s, err := New(Options{Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func header(value ...string) http.Header { return http.Header{signatureHeader: value} }

func signed(secret string, at time.Time, body string) http.Header {
	return header(sign([]byte(secret), at.Unix(), []byte(body)))
}

func TestNewWantsASecret(t *testing.T) {
	for name, secrets := range map[string][]string{"none": nil, "an empty one": {""}, "a blank one behind a good one": {secretA, " "}} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(Options{Secrets: secrets}); err == nil {
				t.Error("taken")
			} else if strings.Contains(err.Error(), "whsec") {
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
	body := "{\n  \"id\": \"evt_1\", \"object\": \"event\", \"type\": \"charge.succeeded\", \"created\": 1769999990,\n" +
		`"data": {"object": {"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}}}`
	h, err := source(t, secretB).Sign([]byte(body), "", "", arrival)
	if err != nil {
		t.Fatal(err)
	}
	h.Set("User-Agent", "Stripe/1.0")
	ev, err := s.Open(t.Context(), h, []byte(body), arrival)
	if err != nil {
		t.Fatal(err)
	}
	want := event.Event{
		Provider: "stripe", ProviderID: "evt_1", Topic: "charge.succeeded", Subject: "payment/pi_1", SecretSlot: "1",
		OccurredAt: time.Unix(1769999990, 0).UTC(), Header: map[string]string{"User-Agent": "Stripe/1.0"}, Body: []byte(body),
	}
	if diff := cmp.Diff(want, ev); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestSubject(t *testing.T) {
	for object, want := range map[string]string{
		`{"object":"charge","id":"ch_1","payment_intent":"pi_1"}`:                                                                            "payment/pi_1",
		`{"object":"charge","id":"ch_1","payment_intent":{"id":"pi_2"}}`:                                                                     "payment/pi_2",
		`{"object":"charge","id":"ch_1","payment_intent":null}`:                                                                              "payment/ch_1",
		`{"object":"payment_intent","id":"pi_1"}`:                                                                                            "payment/pi_1",
		`{"object":"checkout.session","id":"cs_1","payment_intent":"pi_1"}`:                                                                  "payment/pi_1",
		`{"object":"checkout.session","id":"cs_1"}`:                                                                                          "payment/cs_1",
		`{"object":"refund","id":"re_1","charge":"ch_1"}`:                                                                                    "payment/ch_1",
		`{"object":"dispute","id":"dp_1","payment_intent":"pi_1"}`:                                                                           "payment/pi_1",
		`{"object":"dispute","id":"dp_1"}`:                                                                                                   "dispute/dp_1",
		`{"object":"invoice","id":"in_1","charge":"ch_1"}`:                                                                                   "payment/ch_1",
		`{"object":"invoice","id":"in_1","payment_intent":"pi_1","charge":"ch_1"}`:                                                           "payment/pi_1",
		`{"object":"invoice","id":"in_1","payments":{"data":[{"payment":{"type":"payment_intent","payment_intent":"pi_1"}}]}}`:               "payment/pi_1",
		`{"object":"invoice","id":"in_1","payments":{"data":[{"payment":{"payment_intent":"pi_1"}},{"payment":{"payment_intent":"pi_2"}}]}}`: "invoice/in_1",
		`{"object":"invoice","id":"in_1"}`:                                                                                                   "invoice/in_1",
		`{"object":"invoice_payment","id":"inpay_1","payment":{"type":"payment_intent","payment_intent":"pi_1"}}`:                            "payment/pi_1",
		`{"object":"invoice_payment","id":"inpay_1","payment":{"type":"payment_record","payment_record":"pr_1"}}`:                            "invoice_payment/inpay_1",
		`{"object":"payout","id":"po_1"}`:                                                                                                    "payout/po_1",
		`{"object":"balance"}`:                                                                                                               "",
		`{"id":"x"}`:                                                                                                                         "",
		`{"object":"charge","id":"a b"}`:                                                                                                     "",
		`[]`:                                                                                                                                 "",
	} {
		body := `{"id":"evt_1","type":"t","data":{"object":` + object + `}}`
		ev, err := source(t, secretA).Open(t.Context(), signed(secretA, arrival, body), []byte(body), arrival)
		if err != nil || ev.Subject != want {
			t.Errorf("%s is about %q, want %q (%v)", object, ev.Subject, want, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	s := source(t, secretA, secretB)
	body := `{"id":"evt_1","type":"charge.succeeded","created":"2018-19-12T22:20:32.000Z"}`
	right := sign([]byte(secretA), arrival.Unix(), []byte(body))
	stamp, sum, _ := strings.Cut(right, ",v1=")
	decoded := mac([]byte("alpha-secret-for-tests"), arrival.Unix(), []byte(body))
	bad := func(body string) http.Header { return signed(secretA, arrival, body) }
	tests := []struct {
		name string
		h    http.Header
		body string
		want fault.Kind
	}{
		{"no header", header(), body, fault.BadSignature},
		{"an empty header", header(""), body, fault.BadSignature},
		{"two headers", header(right, right), body, fault.BadSignature},
		{"another secret's", signed("whsec_other", arrival, body), body, fault.BadSignature},
		{"an empty secret's", signed("", arrival, body), body, fault.BadSignature},
		{"another body's", header(right), body + "\n", fault.BadSignature},
		{"another time's", header("t=" + strconv.FormatInt(arrival.Unix()+1, 10) + ",v1=" + sum), body, fault.BadSignature},
		{"the secret without its prefix", signed(strings.TrimPrefix(secretA, "whsec_"), arrival, body), body, fault.BadSignature},
		{"the secret decoded", header(stamp + ",v1=" + hex.EncodeToString(decoded)), body, fault.BadSignature},
		{"base64 instead of hex", header(stamp + ",v1=" + base64.RawStdEncoding.EncodeToString(decoded)), body, fault.BadSignature},
		{"cut short", header(right[:len(right)-2]), body, fault.BadSignature},
		{"an empty v1", header(stamp + ",v1="), body, fault.BadSignature},
		{"no v1", header(stamp), body, fault.BadSignature},
		{"v0 alone", header(stamp + ",v0=" + sum), body, fault.BadSignature},
		{"a blank before v1", header(stamp + ", v1=" + sum), body, fault.BadSignature},
		{"no timestamp", header("v1=" + sum), body, fault.BadSignature},
		{"no timestamp, signed as if it had none", header("v1=" + hex.EncodeToString(mac([]byte(secretA), time.Time{}.Unix(), []byte(body)))), body, fault.BadSignature},
		{"an empty timestamp", header("t=,v1=" + sum), body, fault.BadSignature},
		{"a timestamp beyond all bounds", header("t=9223372036854775808,v1=" + sum), body, fault.BadSignature},
		{"the last timestamp there is", signed(secretA, time.Unix(1<<63-1, 0), body), body, fault.BadSignature},
		{"the first timestamp there is", signed(secretA, time.Unix(-1<<63, 0), body), body, fault.BadSignature},
		{"a stale timestamp", signed(secretA, arrival.Add(-301*time.Second), body), body, fault.BadSignature},
		{"a timestamp in the future", signed(secretA, arrival.Add(301*time.Second), body), body, fault.BadSignature},
		{"a part without =", header(right + ",x"), body, fault.BadSignature},
		{"a part with two =", header(right + ",x=="), body, fault.BadSignature},
		{"no JSON", bad("hello"), "hello", fault.Malformed},
		{"an empty body", bad(""), "", fault.Malformed},
		{"an array", bad("[]"), "[]", fault.Malformed},
		{"the id twice", bad(`{"id":"evt_1","type":"x","id":"evt_2"}`), `{"id":"evt_1","type":"x","id":"evt_2"}`, fault.Malformed},
		{"broken UTF-8", bad("{\"id\":\"\xff\"}"), "{\"id\":\"\xff\"}", fault.Malformed},
		{"deep nesting", bad(strings.Repeat(`{"a":`, 5000)), strings.Repeat(`{"a":`, 5000), fault.Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.Open(t.Context(), tt.h, []byte(tt.body), arrival)
			if err == nil {
				t.Fatal("taken")
			}
			if got := fault.KindOf(err); got != tt.want {
				t.Errorf("kind %v, want %v (%v)", got, tt.want, err)
			}
			if strings.Contains(err.Error(), "whsec") || strings.Contains(err.Error(), sum) {
				t.Error("the error shows a secret or the signature")
			}
		})
	}
}

// What Stripe signs is never refused for lack of a name: it is kept under the
// body's digest, and ignored for what it is.
func TestOpenNamesWhatHasNoName(t *testing.T) {
	s := source(t, secretA)
	tests := []struct{ name, body, topic string }{
		{"no id", `{"type":"x"}`, "x"},
		{"an id that is a number", `{"id":1,"type":"x"}`, "x"},
		{"the id in capitals", `{"ID":"evt_1","type":"x"}`, "x"},
		{"no type", `{"id":"evt_1"}`, "object/unknown"},
		{"an API object", `{"id":"ch_1","object":"charge"}`, "object/charge"},
		{"an API object with a type of its own", `{"id":"txn_1","object":"balance_transaction","type":"charge"}`, "object/balance_transaction"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev, err := s.Open(t.Context(), signed(secretA, arrival, tt.body), []byte(tt.body), arrival)
			if err != nil || ev.ProviderID == "" || ev.Topic != tt.topic {
				t.Fatalf("id %q, topic %q, %v; want a name and %q", ev.ProviderID, ev.Topic, err, tt.topic)
			}
			other, err := s.Open(t.Context(), signed(secretA, arrival, tt.body+" "), []byte(tt.body+" "), arrival)
			if strings.HasPrefix(ev.ProviderID, "sha256-") && (err != nil || other.ProviderID == ev.ProviderID) {
				t.Errorf("another body has the same name (%v)", err)
			}
			if c, err := s.Decode(ev); err != nil || c.Ignored == "" {
				t.Errorf("decoded to %+v, %v, want it ignored", c, err)
			}
		})
	}
}

func TestOpenTakes(t *testing.T) {
	s := source(t, secretA, secretB)
	body := `{"id":"evt_1","type":"charge.succeeded","created":"2018-19-12T22:20:32.000Z"}`
	at := func(d time.Duration) string { return sign([]byte(secretA), arrival.Add(d).Unix(), []byte(body)) }
	stamp, sum, _ := strings.Cut(at(0), ",v1=")
	tests := []struct{ name, header, slot string }{
		{"five minutes late", at(-tolerance), "0"},
		{"five minutes early", at(tolerance), "0"},
		{"the second secret", sign([]byte(secretB), arrival.Unix(), []byte(body)), "1"},
		{"a rolled secret's second signature", stamp + ",v1=" + strings.Repeat("00", 32) + ",v1=" + sum, "0"},
		{"an unreadable v1 before the good one", stamp + ",v1=zz,v1=" + sum, "0"},
		{"the signature first", "v1=" + sum + "," + stamp, "0"},
		{"hex in capitals", stamp + ",v1=" + strings.ToUpper(sum), "0"},
		{"v0 and others beside it", stamp + ",v1=" + sum + ",v0=00,x=y", "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev, err := s.Open(t.Context(), header(tt.header), []byte(body), arrival)
			if err != nil {
				t.Fatal(err)
			}
			if ev.SecretSlot != tt.slot || !ev.OccurredAt.IsZero() {
				t.Errorf("slot %s, occurred %v", ev.SecretSlot, ev.OccurredAt)
			}
		})
	}
}

// Within a bubble the library's clock stands still, so both can be asked about
// the same headers at the same time.
func TestVerifyAgreesWithTheLibrary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, body, now := source(t, secretA), []byte(`{"id":"evt_1"}`), time.Now()
		random := rand.New(rand.NewPCG(1, 2))
		good := func(d int64) string { return hex.EncodeToString(mac([]byte(secretA), now.Unix()+d, body)) }
		stamp := func(d int64) string { return strconv.FormatInt(now.Unix()+d, 10) }
		parts := []func(int64) string{
			func(d int64) string { return "t=" + stamp(d) },
			func(d int64) string { return "t=" + stamp(d) },
			func(d int64) string { return "v1=" + good(d) },
			func(d int64) string { return "v1=" + good(d) },
			func(d int64) string { return "v1=" + strings.ToUpper(good(d)) },
			func(d int64) string { return "v0=" + good(d) },
			func(d int64) string { return "t=+" + stamp(d) },
			func(int64) string { return "v1=zz" },
			func(int64) string { return "v1=" },
			func(d int64) string { return " v1=" + good(d) },
			func(d int64) string { return "v1=" + good(d) + "=" },
			func(int64) string { return "" },
			func(int64) string { return "t=" },
			func(int64) string { return "x=1" },
		}
		taken := 0
		for range 20_000 {
			offset := []int64{0, 0, -299, -300, -301, 250}[random.IntN(6)]
			var chosen []string
			for range 1 + random.IntN(4) {
				chosen = append(chosen, parts[random.IntN(len(parts))](offset))
			}
			h := strings.Join(chosen, ",")
			_, cause := s.verify([]string{h}, body, now)
			err := webhook.ValidatePayloadWithTolerance(body, h, secretA, tolerance)
			if (cause == "") != (err == nil) {
				t.Fatalf("%q: we say %q, the library %v", h, cause, err)
			}
			if err == nil {
				taken++
			}
		}
		if taken < 1000 {
			t.Errorf("only %d of the headers were right: the comparison says too little", taken)
		}
	})
}

// Every vector of the corpus, at its own time. The one with a timestamp in the
// future passes Stripe's libraries and is refused here: the tolerance holds in
// both directions.
func TestOpenAgreesWithTheCorpus(t *testing.T) {
	stricter := map[string]bool{"derived-future-timestamp": true}
	files, err := filepath.Glob(filepath.Join(corpus.Dir(t, "vectors/stripe"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		var v struct {
			Name, Kind, Secret, Message string
			Headers                     map[string]string
			Secrets                     []string
			Body                        []byte `json:"body_base64"`
			Now                         int64
			Expect                      struct {
				Valid bool
				HMAC  string `json:"hmac_hex"`
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		t.Run(v.Name, func(t *testing.T) {
			if v.Kind != "" { // the bare function, without a timestamp
				m := hmac.New(sha256.New, []byte(v.Secret))
				m.Write([]byte(v.Message))
				if got := hex.EncodeToString(m.Sum(nil)); got != v.Expect.HMAC {
					t.Errorf("got %s, want %s", got, v.Expect.HMAC)
				}
				return
			}
			_, err := source(t, v.Secrets...).Open(t.Context(), header(v.Headers[signatureHeader]), v.Body, time.Unix(v.Now, 0))
			want := v.Expect.Valid && !stricter[v.Name]
			if (err == nil) != want {
				t.Errorf("valid is %v, but Open says %v", want, err)
			}
			if err != nil && fault.KindOf(err) != fault.BadSignature {
				t.Errorf("kind %v", fault.KindOf(err))
			}
		})
	}
}

// Whatever the header, the library and this package find the same timestamp
// and signatures in it.
func FuzzParseHeader(f *testing.F) {
	body := []byte("{}")
	right := sign([]byte(secretA), 5, body)
	for _, s := range []string{right, "", "t=5", "t=5,v1=zz," + right, "v1=,t=", "t=-5,v1=00", "t=5, v1=00", right + "=", "t=5,t=6,v1=00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, h string) {
		sent, cause := parseHeader(h)
		if cause == "" { // sign what it says, so that the two readings must meet
			h = h + ",v1=" + hex.EncodeToString(mac([]byte(secretA), sent.at, body))
		}
		err := webhook.ValidatePayloadIgnoringTolerance(body, h, secretA)
		if cause == "" && err != nil {
			t.Fatalf("%q is readable here, the library says %v", h, err)
		}
		if cause != "" && err == nil {
			t.Fatalf("%q: %s, but the library takes it", h, cause)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	s := source(b, secretA, secretB)
	body := []byte(fmt.Sprintf(`{"id":"evt_1","object":"event","type":"charge.succeeded","created":1,"data":{"object":%s}}`, wholeCharge))
	h := header(sign([]byte(secretB), arrival.Unix(), body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(b.Context(), h, body, arrival); err != nil {
			b.Fatal(err)
		}
	}
}
