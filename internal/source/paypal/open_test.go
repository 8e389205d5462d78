package paypal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/corpus"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal/forge"
)

const (
	webhookID    = "8PT597110X687430L"
	clientSecret = "EH-the-secret-of-the-app"
)

// arrival is when deliveries arrive in tests; inside a bubble time begins there.
var arrival = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

var signer = sync.OnceValue(func() *Signer { return mustSigner(NewSigner(Live, arrival)) })

func mustSigner(g *Signer, err error) *Signer {
	if err != nil {
		panic(err)
	}
	return g
}

// remote answers requests as the far side; the tests' sources never reach a
// real network.
type remote func(*http.Request) (*http.Response, error)

func (f remote) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func nobody(r *http.Request) (*http.Response, error) {
	return nil, errors.New("no network in tests: " + r.URL.Host)
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func source(t testing.TB, change func(*Options)) *Source {
	t.Helper()
	o := Options{WebhookID: webhookID, Signer: signer(), Transport: remote(nobody)}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func signed(t testing.TB, g *Signer, body string) http.Header {
	t.Helper()
	h, err := g.Sign(webhookID, []byte(body), arrival)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const saleBody = `{"id":"WH-1","event_type":"PAYMENT.SALE.COMPLETED","resource_type":"sale","create_time":"2018-19-12T22:20:32.000Z","resource":{"id":"80021663DE681814L"}}`

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name string
		o    Options
	}{
		{"no webhook id", Options{}},
		{"the simulator's id in the live world", Options{WebhookID: "WEBHOOK_ID"}},
		{"a webhook id with a bar", Options{WebhookID: "A|B"}},
		{"an endless webhook id", Options{WebhookID: strings.Repeat("A", 51)}},
		{"an unknown mode", Options{WebhookID: webhookID, Mode: "test"}},
		{"half of the credentials", Options{WebhookID: webhookID, ClientSecret: clientSecret}},
		{"the other half", Options{WebhookID: webhookID, ClientID: "id"}},
		{"a secret with a line break", Options{WebhookID: webhookID, ClientID: "id", ClientSecret: clientSecret + "\n"}},
		{"an address that is none", Options{WebhookID: webhookID, APIURL: "api.paypal.com"}},
		{"roots that are none", Options{WebhookID: webhookID, Roots: []byte("hello")}},
		{"roots that are broken", Options{WebhookID: webhookID, Roots: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.o)
			if err == nil {
				t.Fatal("taken")
			}
			if strings.Contains(err.Error(), clientSecret) {
				t.Error("the error shows a secret")
			}
		})
	}
	if _, err := New(Options{WebhookID: "WEBHOOK_ID", Mode: Sandbox}); err != nil {
		t.Errorf("the simulator's id in the sandbox: %v", err)
	}
}

func TestOpenNamesTheEvent(t *testing.T) {
	s := source(t, nil)
	h, err := s.Sign([]byte(saleBody), "", "", arrival)
	if err != nil {
		t.Fatal(err)
	}
	ev, err := s.Open(t.Context(), h, []byte(saleBody), arrival)
	if err != nil {
		t.Fatal(err)
	}
	id := h.Get("Paypal-Transmission-Id")
	want := event.Event{
		Provider: "paypal", ProviderID: "WH-1", DeliveryID: id, Topic: "PAYMENT.SALE.COMPLETED", Subject: "payment/80021663DE681814L",
		SecretSlot: "offline", StrictBody: true, Body: []byte(saleBody),
		Header: map[string]string{
			"Paypal-Transmission-Id": id, "Paypal-Transmission-Time": "2000-01-01T00:00:00Z",
			"Paypal-Cert-Url": "https://api.paypal.com/v1/notifications/certs/CERT-ledgerhook-demonstration",
		},
	}
	if diff := cmp.Diff(want, ev); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if _, err := source(t, func(o *Options) { o.Signer = nil }).Sign(nil, "", "", arrival); err == nil {
		t.Error("a source without a signer signed")
	}
}

func TestSubject(t *testing.T) {
	for body, want := range map[string]string{
		`"event_type":"PAYMENT.CAPTURE.COMPLETED","resource_type":"capture","resource":{"id":"CAP","links":[{"rel":"up","href":"https://api.paypal.com/v2/checkout/orders/ORD"}]}`:                                                           "payment/CAP",
		`"event_type":"PAYMENT.CAPTURE.REFUNDED","resource_type":"refund","resource":{"id":"REF","links":[{"rel":"self","href":"https://x/v2/payments/refunds/REF"},{"rel":"up","href":"https://api.paypal.com/v2/payments/captures/CAP"}]}`: "payment/CAP",
		`"event_type":"PAYMENT.SALE.REFUNDED","resource_type":"sale","resource":{"id":"REF","sale_id":"SALE"}`:                                                                                                                               "payment/SALE",
		`"event_type":"PAYMENT.SALE.COMPLETED","resource_type":"sale","resource":{"id":"SALE"}`:                                                                                                                                              "payment/SALE",
		`"event_type":"CUSTOMER.DISPUTE.CREATED","resource_type":"dispute","resource":{"dispute_id":"PP-1","disputed_transactions":[{"seller_transaction_id":"CAP"}]}`:                                                                       "payment/CAP",
		`"event_type":"CUSTOMER.DISPUTE.CREATED","resource_type":"dispute","resource":{"dispute_id":"PP-1","disputed_transactions":[{}]}`:                                                                                                    "dispute/PP-1",
		`"event_type":"BILLING.SUBSCRIPTION.CREATED","resource_type":"subscription","resource":{"id":"I-1"}`:                                                                                                                                 "subscription/I-1",
		`"event_type":"X","resource":{"id":"I-1"}`:        "",
		`"event_type":"PAYMENT.SALE.DENIED","resource":1`: "",
	} {
		body = `{"id":"WH-1",` + body + `}`
		ev, err := source(t, nil).Open(t.Context(), signed(t, signer(), body), []byte(body), arrival)
		if err != nil || ev.Subject != want {
			t.Errorf("%s is about %q, want %q (%v)", body, ev.Subject, want, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	good := signed(t, signer(), saleBody)
	with := func(name, value string) http.Header {
		h := good.Clone()
		h.Set(name, value)
		return h
	}
	without := func(name string) http.Header {
		h := good.Clone()
		h.Del(name)
		return h
	}
	at := func(d time.Duration) http.Header {
		h, err := signer().Sign(webhookID, []byte(saleBody), arrival.Add(d))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	sig, err := base64.StdEncoding.DecodeString(good.Get("Paypal-Transmission-Sig"))
	if err != nil {
		t.Fatal(err)
	}
	simulated, err := signer().Sign("WEBHOOK_ID", []byte(saleBody), arrival)
	if err != nil {
		t.Fatal(err)
	}
	as := func(id, at string) http.Header { // signed well, but under a name or time that is none
		made := transmission{id: id, time: at}
		sum := sha256.Sum256(made.message(webhookID, []byte(saleBody)))
		signature, err := rsa.SignPKCS1v15(nil, signer().key, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		h := with("Paypal-Transmission-Id", id)
		h.Set("Paypal-Transmission-Time", at)
		h.Set("Paypal-Transmission-Sig", base64.StdEncoding.EncodeToString(signature))
		return h
	}
	otherBits := []byte(good.Get("Paypal-Transmission-Sig")) // the last letter holds four bits that count for nothing
	otherBits[len(otherBits)-3]++
	twice := good.Clone()
	twice.Add("Paypal-Transmission-Sig", good.Get("Paypal-Transmission-Sig"))
	tests := []struct {
		name string
		h    http.Header
		body string
		want fault.Kind
	}{
		{"no headers", http.Header{}, saleBody, fault.BadSignature},
		{"no transmission id", without("Paypal-Transmission-Id"), saleBody, fault.BadSignature},
		{"no time", without("Paypal-Transmission-Time"), saleBody, fault.BadSignature},
		{"no signature", without("Paypal-Transmission-Sig"), saleBody, fault.BadSignature},
		{"no certificate address", without("Paypal-Cert-Url"), saleBody, fault.BadSignature},
		{"no algorithm", without("Paypal-Auth-Algo"), saleBody, fault.BadSignature},
		{"an empty signature", with("Paypal-Transmission-Sig", ""), saleBody, fault.BadSignature},
		{"two signatures", twice, saleBody, fault.BadSignature},
		{"a weaker algorithm", with("Paypal-Auth-Algo", "SHA1withRSA"), saleBody, fault.BadSignature},
		{"the algorithm in another case", with("Paypal-Auth-Algo", "sha256WithRSA"), saleBody, fault.BadSignature},
		{"another transmission id", with("Paypal-Transmission-Id", "another"), saleBody, fault.BadSignature},
		{"a transmission id with a bar", as("a|b", "2000-01-01T00:00:00Z"), saleBody, fault.BadSignature},
		{"an endless transmission id", as(strings.Repeat("a", 51), "2000-01-01T00:00:00Z"), saleBody, fault.BadSignature},
		{"another time", with("Paypal-Transmission-Time", "2000-01-01T00:00:01Z"), saleBody, fault.BadSignature},
		{"the same time in other words", with("Paypal-Transmission-Time", "2000-01-01T00:00:00+00:00"), saleBody, fault.BadSignature},
		{"a time that is none", as("id", "2018-19-12T22:20:32Z"), saleBody, fault.BadSignature},
		{"a time with a bar", as("id", "2000-01-01T00:00:00Z|x"), saleBody, fault.BadSignature},
		{"the signature in other letters", with("Paypal-Transmission-Sig", string(otherBits)), saleBody, fault.BadSignature},
		{"the signature in two lines", with("Paypal-Transmission-Sig", good.Get("Paypal-Transmission-Sig")[:40]+"\r\n"+good.Get("Paypal-Transmission-Sig")[40:]), saleBody, fault.BadSignature},
		{"cut short", with("Paypal-Transmission-Sig", base64.StdEncoding.EncodeToString(sig[:len(sig)-1])), saleBody, fault.BadSignature},
		{"cut in its base64", with("Paypal-Transmission-Sig", good.Get("Paypal-Transmission-Sig")[:41]), saleBody, fault.BadSignature},
		{"hex", with("Paypal-Transmission-Sig", hex.EncodeToString(sig)), saleBody, fault.BadSignature},
		{"an endless signature", with("Paypal-Transmission-Sig", strings.Repeat("AAAA", 300)), saleBody, fault.BadSignature},
		{"another body", good, saleBody + " ", fault.BadSignature},
		{"another webhook's id", simulated, saleBody, fault.BadSignature},
		{"more than five minutes ahead", at(5*time.Minute + time.Second), saleBody, fault.BadSignature},
		{"more than thirty days old", at(-30*24*time.Hour - time.Second), saleBody, fault.BadSignature},
		{"no JSON", signed(t, signer(), "hello"), "hello", fault.Malformed},
		{"an empty body", signed(t, signer(), ""), "", fault.Malformed},
		{"an array", signed(t, signer(), "[]"), "[]", fault.Malformed},
		{"no id", signed(t, signer(), `{"event_type":"X"}`), `{"event_type":"X"}`, fault.Malformed},
		{"no type", signed(t, signer(), `{"id":"WH-1"}`), `{"id":"WH-1"}`, fault.Malformed},
		{"the id twice", signed(t, signer(), `{"id":"1","event_type":"X","id":"2"}`), `{"id":"1","event_type":"X","id":"2"}`, fault.Malformed},
		{"broken UTF-8", signed(t, signer(), "{\"id\":\"\xff\"}"), "{\"id\":\"\xff\"}", fault.Malformed},
	}
	s := source(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.Open(t.Context(), tt.h, []byte(tt.body), arrival)
			if err == nil {
				t.Fatal("taken")
			}
			if got := fault.KindOf(err); got != tt.want {
				t.Errorf("kind %v, want %v (%v)", got, tt.want, err)
			}
		})
	}
	for _, d := range []time.Duration{5 * time.Minute, -3 * 24 * time.Hour, -29 * 24 * time.Hour} {
		if _, err := s.Open(t.Context(), at(d), []byte(saleBody), arrival); err != nil {
			t.Errorf("a transmission time %v away: %v", d, err)
		}
	}
}

func TestCertificateAddress(t *testing.T) {
	const name = "CERT-360caa42-fca2a594-1a5f47cb"
	bad := []string{
		"", name, "/v1/notifications/certs/" + name, "//api.paypal.com/v1/notifications/certs/" + name,
		"http://api.paypal.com/v1/notifications/certs/" + name,
		"HTTPS://api.paypal.com/v1/notifications/certs/" + name,
		"https://API.PAYPAL.COM/v1/notifications/certs/" + name,
		"https://api.paypal.com.evil.example/v1/notifications/certs/" + name,
		"https://evil.example/v1/notifications/certs/" + name,
		"https://evil.example/https://api.paypal.com/v1/notifications/certs/" + name,
		"https://api.paypal.com@evil.example/v1/notifications/certs/" + name,
		"https://user@api.paypal.com/v1/notifications/certs/" + name,
		"https://user:pw@api.paypal.com/v1/notifications/certs/" + name,
		"https://api.paypal.com:443/v1/notifications/certs/" + name,
		"https://api.paypal.com:8443/v1/notifications/certs/" + name,
		"https://api.paypal.com./v1/notifications/certs/" + name,
		"https://api-m.paypal.com/v1/notifications/certs/" + name,
		"https://127.0.0.1/v1/notifications/certs/" + name,
		liveCertificates,
		liveCertificates + "..",
		liveCertificates + "../../../evil",
		liveCertificates + "%2e%2e/evil",
		liveCertificates + name + "/../evil",
		liveCertificates + name + "/",
		liveCertificates + name + "?x=1",
		liveCertificates + name + "#x",
		liveCertificates + name + "%00",
		liveCertificates + name + "\n",
		" " + liveCertificates + name,
		liveCertificates + "a\\b",
		liveCertificates + strings.Repeat("a", 65),
		strings.Replace(liveCertificates, "certs", "Certs", 1) + name,
	}
	worlds := map[string]*Source{
		Live:    source(t, func(o *Options) { o.Mode = Live }),
		Sandbox: source(t, func(o *Options) { o.Mode = Sandbox }),
	}
	for mode, s := range worlds {
		for _, address := range bad {
			h := signed(t, signer(), saleBody)
			h["Paypal-Cert-Url"] = []string{address}
			_, err := s.Open(t.Context(), h, []byte(saleBody), arrival) // a fetch would end as Busy
			if fault.KindOf(err) != fault.BadSignature {
				t.Errorf("%s %q: %v", mode, address, err)
			}
		}
	}
	for address, want := range map[string][2]bool{
		liveCertificates + name: {true, true}, sandboxCertificates + name: {false, true}, sandboxCertificates + "../x": {false, false},
	} {
		if got := [2]bool{worlds[Live].allowedURL(address), worlds[Sandbox].allowedURL(address)}; got != want {
			t.Errorf("%s: live and sandbox say %v, want %v", address, got, want)
		}
	}
}

func TestCertificateName(t *testing.T) {
	tests := []struct {
		name, mode, address string
		want                fault.Kind
	}{
		{"messageverificationcerts.paypal.com", Live, liveCertificates, fault.Internal},
		{"messageverificationcerts2.paypal.com", Live, liveCertificates, fault.Internal},
		{"messageverificationcerts.sandbox.paypal.com", Sandbox, sandboxCertificates, fault.Internal},
		{"messageverificationcerts.paypal.com", Sandbox, liveCertificates, fault.Internal}, // the simulator
		{"messageverificationcerts.sandbox.paypal.com", Live, liveCertificates, fault.BadSignature},
		{"messageverificationcerts.paypal.com", Sandbox, sandboxCertificates, fault.BadSignature},
		{"www.paypal.com", Live, liveCertificates, fault.BadSignature},
		{"messageverificationcerts.evil.example", Live, liveCertificates, fault.BadSignature},
		{"messageverificationcerts.evilpaypal.com", Live, liveCertificates, fault.BadSignature},
		{"evil.messageverificationcerts.paypal.com", Live, liveCertificates, fault.BadSignature},
		{"", Live, liveCertificates, fault.BadSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name+" in the "+tt.mode+" world", func(t *testing.T) {
			g := mustSigner(newSigner(tt.name, tt.address, arrival))
			s := source(t, func(o *Options) { o.Signer, o.Mode = g, tt.mode })
			_, err := s.Open(t.Context(), signed(t, g, saleBody), []byte(saleBody), arrival)
			if (err == nil) != (tt.want == fault.Internal) || fault.KindOf(err) != tt.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

// What may come instead of a certificate, and that none of it is remembered.
func TestCertificateNotToBeHad(t *testing.T) {
	redirect := answer(http.StatusFound, "")
	redirect.Header.Set("Location", "https://evil.example/cert")
	tests := []struct {
		name string
		res  *http.Response
		err  error
	}{
		{"the network is down", nil, errors.New("no route")},
		{"503", answer(http.StatusServiceUnavailable, "busy"), nil},
		{"404", answer(http.StatusNotFound, string(signer().Certificate())), nil},
		{"a redirect", redirect, nil},
		{"no PEM", answer(http.StatusOK, "<html>"), nil},
		{"a broken certificate", answer(http.StatusOK, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1, 2}}))), nil},
		{"far too much", answer(http.StatusOK, string(signer().Certificate())+strings.Repeat("\n", maxCertBytes)), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			s := source(t, func(o *Options) {
				o.Signer, o.Roots = nil, signer().Roots()
				o.Transport = remote(func(r *http.Request) (*http.Response, error) {
					if r.URL.Host != "api.paypal.com" {
						t.Errorf("somebody else was asked: %s", r.URL.Host)
					}
					if calls++; calls == 1 {
						return tt.res, tt.err
					}
					return answer(http.StatusOK, string(signer().Certificate())), nil
				})
			})
			h := signed(t, signer(), saleBody)
			_, err := s.Open(t.Context(), h, []byte(saleBody), arrival)
			if e := fault.As(err); e == nil || e.Kind != fault.Busy || e.RetryAfter == 0 {
				t.Fatalf("first: %v", err)
			}
			if _, err := s.Open(t.Context(), h, []byte(saleBody), arrival); err != nil {
				t.Errorf("second: %v", err)
			}
		})
	}
}

func TestCertificateNotTrusted(t *testing.T) {
	old := mustSigner(NewSigner(Live, arrival.AddDate(-2, 0, 0)))
	young := mustSigner(NewSigner(Live, arrival.AddDate(0, 0, 2)))
	for name, tt := range map[string]struct {
		g     *Signer
		roots []byte
	}{
		"of an unknown CA": {signer(), nil},
		"of another CA":    {signer(), old.Roots()},
		"run out":          {old, old.Roots()},
		"not valid yet":    {young, young.Roots()},
	} {
		t.Run(name, func(t *testing.T) {
			s := source(t, func(o *Options) { o.Signer, o.Roots, o.Transport = nil, tt.roots, tt.g.Transport(remote(nobody)) })
			_, err := s.Open(t.Context(), signed(t, tt.g, saleBody), []byte(saleBody), arrival)
			if e := fault.As(err); e == nil || e.Kind != fault.Busy || !strings.Contains(e.Cause, "not trusted") || e.Hint == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCertificateIsFetchedOnce(t *testing.T) {
	g := signer() // made outside: making keys is no matter of the bubble
	synctest.Test(t, func(t *testing.T) {
		var fetched atomic.Int32
		serve := g.Transport(remote(nobody))
		s := source(t, func(o *Options) {
			o.Signer, o.Roots = nil, g.Roots()
			o.Transport = remote(func(r *http.Request) (*http.Response, error) {
				fetched.Add(1)
				time.Sleep(time.Second)
				return serve.RoundTrip(r)
			})
		})
		open := func(at time.Time) {
			h, err := g.Sign(webhookID, []byte(saleBody), at)
			if err == nil {
				_, err = s.Open(context.Background(), h, []byte(saleBody), at)
			}
			if err != nil {
				t.Error(err)
			}
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { open(arrival) })
		}
		all.Wait()
		open(arrival.Add(23 * time.Hour))
		if n := fetched.Load(); n != 1 {
			t.Errorf("fetched %d times for the first day", n)
		}
		open(arrival.Add(25 * time.Hour))
		if n := fetched.Load(); n != 2 {
			t.Errorf("fetched %d times for two days", n)
		}
	})
}

// The first of several waiting deliveries may give up: the others still get the
// certificate.
func TestCertificateOutlivesTheFirstCaller(t *testing.T) {
	g := signer()
	synctest.Test(t, func(t *testing.T) {
		s := source(t, func(o *Options) {
			o.Signer, o.Roots = nil, g.Roots()
			o.Transport = remote(func(r *http.Request) (*http.Response, error) {
				select {
				case <-time.After(time.Second):
					return g.Transport(nil).RoundTrip(r)
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			})
		})
		h := signed(t, g, saleBody)
		ctx, cancel := context.WithCancel(context.Background())
		first := make(chan error)
		go func() {
			_, err := s.Open(ctx, h, []byte(saleBody), arrival)
			first <- err
		}()
		synctest.Wait()
		second := make(chan error)
		go func() {
			_, err := s.Open(context.Background(), h, []byte(saleBody), arrival)
			second <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-first; fault.KindOf(err) != fault.Busy {
			t.Errorf("the one that gave up: %v", err)
		}
		if err := <-second; err != nil {
			t.Errorf("the one that stayed: %v", err)
		}
	})
}

// However slow PayPal is, the answer comes within five seconds, and strangers
// cannot make us fetch without end.
func TestOpenIsBounded(t *testing.T) {
	g := signer()
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		s := source(t, func(o *Options) {
			o.Signer, o.ClientID, o.ClientSecret = nil, "id", clientSecret
			o.Transport = remote(func(r *http.Request) (*http.Response, error) {
				if r.URL.Host == "api.paypal.com" {
					most.Store(max(most.Load(), now.Add(1)))
					defer now.Add(-1)
				}
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		})
		var all sync.WaitGroup
		begin := time.Now()
		for i := range 40 {
			all.Go(func() {
				h := signed(t, g, saleBody)
				h.Set("Paypal-Cert-Url", liveCertificates+"CERT-"+strings.Repeat("a", i+1))
				if _, err := s.Open(context.Background(), h, []byte(saleBody), arrival); fault.KindOf(err) != fault.Busy {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(begin); took > openBudget {
			t.Errorf("took %v", took)
		}
		if most.Load() > maxFetches {
			t.Errorf("%d fetches at a time", most.Load())
		}
		time.Sleep(callTimeout) // let the request for a token run out
	})
}

// far is PayPal's API as the tests want it.
type far struct {
	mu       sync.Mutex
	verdict  string // answer of the postback
	status   int    // of the postback; 0 = 200
	tokens   int    // given so far
	refuse   int    // postbacks to refuse with 401
	noTokens int    // status instead of a token
	bodies   [][]byte
}

func (f *far) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/v1/oauth2/token":
		if id, secret, _ := r.BasicAuth(); id != "id" || secret != clientSecret || f.noTokens != 0 {
			w.WriteHeader(max(f.noTokens, 401))
			_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"` + clientSecret + `"}`))
			return
		}
		f.tokens++
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"A21-token","token_type":"Bearer","expires_in":32400}`))
	case "/v1/notifications/verify-webhook-signature":
		f.bodies = append(f.bodies, body)
		switch {
		case r.Header.Get("Authorization") != "Bearer A21-token", f.refuse > 0:
			f.refuse--
			w.WriteHeader(http.StatusUnauthorized)
		case f.status != 0:
			w.WriteHeader(f.status)
		default:
			_, _ = w.Write([]byte(`{"verification_status":"` + f.verdict + `"}`))
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// asking gives a source that does not trust the signer's certificate and must
// therefore ask the far side.
func asking(t *testing.T, f *far) *Source {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return source(t, func(o *Options) {
		o.Signer, o.Transport = nil, signer().Transport(http.DefaultTransport)
		o.ClientID, o.ClientSecret, o.APIURL = "id", clientSecret, server.URL+"/"
	})
}

func TestPostbackLeavesTheBodyAlone(t *testing.T) {
	f := &far{verdict: "SUCCESS"}
	s := asking(t, f)
	body := " {\t\"id\" : \"WH-1\", \"event_type\":\"X\",\r\n \"summary\":\"a & b <c> \u2028 \\u0041 é\", \"n\": 1.50 } \n"
	for range 2 {
		ev, err := s.Open(t.Context(), signed(t, signer(), body), []byte(body), arrival)
		if err != nil {
			t.Fatal(err)
		}
		if ev.SecretSlot != "postback" || !ev.StrictBody {
			t.Errorf("got slot %q, strict %v", ev.SecretSlot, ev.StrictBody)
		}
	}
	if f.tokens != 1 {
		t.Errorf("%d tokens for two events", f.tokens)
	}
	if !bytes.Contains(f.bodies[0], []byte(`,"webhook_event":`+body+`}`)) {
		t.Errorf("the body was changed: %s", f.bodies[0])
	}
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(f.bodies[0], &sent); err != nil {
		t.Fatal(err)
	}
	if len(sent) != 7 || string(sent["webhook_id"]) != `"`+webhookID+`"` || string(sent["auth_algo"]) != `"SHA256withRSA"` {
		t.Errorf("sent %s", f.bodies[0])
	}
}

func TestPostbackVerdicts(t *testing.T) {
	tests := []struct {
		name string
		far  *far
		body string
		want fault.Kind
		sent int
	}{
		{"not PayPal's", &far{verdict: "FAILURE"}, saleBody, fault.BadSignature, 1},
		{"no verdict", &far{verdict: "MAYBE"}, saleBody, fault.Busy, 1},
		{"an outage", &far{status: 503}, saleBody, fault.Busy, 1},
		{"too many questions", &far{status: 429}, saleBody, fault.Busy, 1},
		{"a token that is always refused", &far{refuse: 9, verdict: "SUCCESS"}, saleBody, fault.Busy, 2},
		{"unknown credentials", &far{noTokens: 401}, saleBody, fault.Busy, 0},
		{"no tokens to be had", &far{noTokens: 500}, saleBody, fault.Busy, 0},
		{"a body that claims another webhook", &far{verdict: "SUCCESS"}, `{},"webhook_id":"OTHER","x":{}`, fault.BadSignature, 0},
		{"a body that is no JSON", &far{verdict: "SUCCESS"}, `hello`, fault.BadSignature, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := asking(t, tt.far)
			_, err := s.Open(t.Context(), signed(t, signer(), tt.body), []byte(tt.body), arrival)
			if err == nil || fault.KindOf(err) != tt.want {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if strings.Contains(err.Error(), clientSecret) || strings.Contains(err.Error(), "A21") {
				t.Errorf("the error shows a secret: %v", err)
			}
			if len(tt.far.bodies) != tt.sent {
				t.Errorf("%d questions, want %d", len(tt.far.bodies), tt.sent)
			}
		})
	}
}

func TestPostbackRenewsARefusedToken(t *testing.T) {
	f := &far{verdict: "SUCCESS", refuse: 1}
	if _, err := asking(t, f).Open(t.Context(), signed(t, signer(), saleBody), []byte(saleBody), arrival); err != nil {
		t.Fatal(err)
	}
	if f.tokens != 2 {
		t.Errorf("%d tokens", f.tokens)
	}
}

func TestWrongSignatureIsNotAskedAbout(t *testing.T) {
	f := &far{verdict: "SUCCESS"}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	s := source(t, func(o *Options) {
		o.ClientID, o.ClientSecret, o.APIURL, o.Transport = "id", clientSecret, server.URL, nil
	})
	_, err := s.Open(t.Context(), signed(t, signer(), saleBody), []byte(saleBody+" "), arrival)
	if fault.KindOf(err) != fault.BadSignature || len(f.bodies) != 0 || f.tokens != 0 {
		t.Errorf("got %v after %d questions", err, len(f.bodies))
	}
}

// The signature covers a CRC-32 of the body alone. A body of our own with the
// genuine one's sum therefore verifies: that is why events say StrictBody, and
// why Confirm exists. If this test ever fails, PayPal's scheme has changed.
func TestForgedBodyVerifies(t *testing.T) {
	genuine := `{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"CAP","status":"COMPLETED","amount":{"currency_code":"USD","value":"1.00"}}}`
	forged := forge.Body(`{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"CAP","status":"COMPLETED","amount":{"currency_code":"USD","value":"9999.00"}},"x":"`, `"}`, crc32.ChecksumIEEE([]byte(genuine)))
	s := source(t, nil)
	ev, err := s.Open(t.Context(), signed(t, signer(), genuine), forged, arrival)
	if err != nil {
		t.Fatal(err)
	}
	if !ev.StrictBody || ev.DeliveryID == "" {
		t.Error("the inbox is not told that the body is not bound")
	}
	if c, err := s.Decode(ev); err != nil || c.Payment.Amount.String() != "9999.00 USD" {
		t.Errorf("got %+v, %v", c, err)
	}
}

// vector is one recorded transmission of the corpus.
type vector struct {
	Name      string
	Headers   map[string]string
	WebhookID string    `json:"webhook_id"`
	Body      []byte    `json:"body_base64"`
	CertFile  string    `json:"cert_file"`
	VerifyAt  time.Time `json:"verify_at"`
	Expect    struct {
		Valid bool `json:"signature_valid"`
	}

	header http.Header
	cert   string
}

func vectors(t *testing.T) []vector {
	t.Helper()
	dir := corpus.Dir(t, "vectors/paypal")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	all := make([]vector, len(files))
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v := &all[i]
		if err := json.Unmarshal(text, v); err != nil {
			t.Fatal(err)
		}
		cert, err := os.ReadFile(filepath.Join(dir, v.CertFile))
		if err != nil {
			t.Fatal(err)
		}
		v.cert, v.header = string(cert), http.Header{}
		for name, value := range v.Headers {
			v.header.Set(name, value)
		}
	}
	return all
}

// seen gives a source that may even expect the simulator's id in the live world,
// which New refuses, and to which the transmission's own certificate is served.
func (v vector) seen(t *testing.T, mode, id string) *Source {
	t.Helper()
	s := source(t, func(o *Options) {
		o.Signer, o.Mode = nil, mode
		o.Transport = remote(func(*http.Request) (*http.Response, error) { return answer(http.StatusOK, v.cert), nil })
	})
	s.webhookID = id
	return s
}

// Every genuine transmission of the corpus, at its own time, with the
// certificate that was then served, under the built-in anchors. The official
// sample is of the sandbox and names an address that never held a certificate,
// so it is tried under a right one.
func TestOpenAgreesWithTheCorpus(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			mode := Live
			if strings.Contains(v.header.Get("Paypal-Cert-Url"), "sandbox") {
				mode = Sandbox
			}
			opens := func(mode, id string, h http.Header, body []byte, at time.Time) error {
				ev, err := v.seen(t, mode, id).Open(t.Context(), h, body, at)
				if err == nil && (ev.ProviderID == "" || ev.Topic == "" || ev.SecretSlot != offline || !ev.StrictBody || ev.DeliveryID != h.Get("Paypal-Transmission-Id")) {
					t.Errorf("got %+v", ev)
				}
				return err
			}
			if mode == Sandbox {
				if err := opens(mode, v.WebhookID, v.header, v.Body, v.VerifyAt); fault.KindOf(err) != fault.BadSignature {
					t.Errorf("under an address that holds no certificates: %v", err)
				}
				v.header.Set("Paypal-Cert-Url", sandboxCertificates+"CERT-2017")
			}
			for _, world := range []string{mode, Sandbox} {
				if err := opens(world, v.WebhookID, v.header, v.Body, v.VerifyAt); (err == nil) != v.Expect.Valid {
					t.Errorf("valid is %v, but Open in the %s world says %v", v.Expect.Valid, world, err)
				}
			}
			later := v.header.Clone()
			later.Set("Paypal-Transmission-Time", v.VerifyAt.Add(time.Second).Format(time.RFC3339))
			for name, err := range map[string]error{
				"for another webhook": opens(mode, "1A2B3C4D5E6F", v.header, v.Body, v.VerifyAt),
				"with another time":   opens(mode, v.WebhookID, later, v.Body, v.VerifyAt),
				"with another body":   opens(mode, v.WebhookID, v.header, append([]byte(" "), v.Body...), v.VerifyAt),
				"months later":        opens(mode, v.WebhookID, v.header, v.Body, v.VerifyAt.AddDate(0, 3, 0)),
			} {
				if fault.KindOf(err) != fault.BadSignature {
					t.Errorf("%s: %v", name, err)
				}
			}
			if v.WebhookID == simulatorID {
				if _, err := New(Options{WebhookID: v.WebhookID}); err == nil {
					t.Error("a live source took the simulator's id")
				}
			}
		})
	}
}

// When its certificate has run out a recorded transmission says nothing any
// more: it is neither taken nor called a forgery.
func TestCorpusCertificatesRunOut(t *testing.T) {
	for _, v := range vectors(t) {
		cert := parsePEM([]byte(v.cert))
		if len(cert) == 0 {
			t.Fatalf("%s: no certificate", v.CertFile)
		}
		if v.VerifyAt.Before(cert[0].NotBefore) || v.VerifyAt.After(cert[0].NotAfter) {
			t.Errorf("%s: recorded outside its certificate's time", v.Name)
		}
		certificates := v.seen(t, Live, v.WebhookID).certificates
		if _, err := certificates.get(t.Context(), liveCertificates+"CERT", cert[0].NotAfter.Add(time.Second)); !errors.Is(err, errUntrusted) {
			t.Errorf("%s: %v", v.CertFile, err)
		}
	}
}

func FuzzReadTransmission(f *testing.F) {
	f.Add("id", "2000-01-01T00:00:00Z", "AAAA", liveCertificates+"CERT-1", algorithm)
	f.Add("a|b", "2000-01-01T00:00:00Z", "AAAA", liveCertificates+"CERT-1", algorithm)
	f.Add("id", "2000-01-01T00:00:00.5+01:00", "AA==", sandboxCertificates+"CERT-1", algorithm)
	f.Add("a|b", "2000-01-01T00:00:00,5Z", "AA==", "https://api.paypal.com@x/", "SHA1withRSA")
	f.Add("", "", "", "", "")
	s := source(f, nil)
	f.Fuzz(func(t *testing.T, id, at, sig, address, algo string) {
		h := http.Header{
			"Paypal-Transmission-Id": {id}, "Paypal-Transmission-Time": {at}, "Paypal-Transmission-Sig": {sig},
			"Paypal-Cert-Url": {address}, "Paypal-Auth-Algo": {algo},
		}
		read, cause := s.readTransmission(h, arrival)
		if cause != "" {
			return
		}
		if n := bytes.Count(read.message(webhookID, nil), []byte("|")); n != 3 {
			t.Fatalf("%d bars in the message", n)
		}
		if r, err := http.NewRequest(http.MethodGet, read.certURL, http.NoBody); err != nil || r.URL.Host != "api.paypal.com" || r.URL.User != nil {
			t.Fatalf("%q leads elsewhere", read.certURL)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	s := source(b, nil)
	h := signed(b, signer(), saleBody)
	b.SetBytes(int64(len(saleBody)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(b.Context(), h, []byte(saleBody), arrival); err != nil {
			b.Fatal(err)
		}
	}
}
