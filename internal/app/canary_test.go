package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// canaries are marks planted in every input. Where one is found later, what it
// was planted in has leaked.
type canaries struct {
	mu   sync.Mutex
	sown map[string]string // by mark: where it was planted
}

// sow makes a mark of letters alone, so that nothing escapes or cuts it.
func (c *canaries) sow(place string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	mark := "cnry" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return 'x'
	}, strings.ToLower(place)) + "zq"
	c.sown[mark] = place
	return mark
}

// leaked looks for marks, in any case and in base64 too, for credentials are
// sent so.
func (c *canaries) leaked(t *testing.T, where, text string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	low := strings.ToLower(text)
	for mark, place := range c.sown {
		if strings.Contains(low, mark) {
			at := strings.Index(low, mark)
			t.Errorf("%s holds what was planted in %s: …%s…", where, place, text[max(0, at-150):min(len(text), at+len(mark)+60)])
		}
		if encoded := base64.StdEncoding.EncodeToString([]byte(mark)); strings.Contains(text, encoded[:len(encoded)-4]) {
			t.Errorf("%s holds, in base64, what was planted in %s", where, place)
		}
	}
}

// canarySite is an ERPNext that quotes customers in every refusal, as real ones
// do.
type canarySite struct {
	http.Handler
	mode atomic.Value // of the answers to POST Sales Order: "", "refuse", "html", "garbage", "rights"
	text string
}

func (s *canarySite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mode, _ := s.mode.Load().(string)
	if mode == "" || r.Method != http.MethodPost || !strings.Contains(r.URL.Path, "Sales") {
		s.Handler.ServeHTTP(w, r)
		return
	}
	message, err := json.Marshal([]string{fmt.Sprintf(`{"message":"Row 1: <b>%s</b> of %s", "title":"%s"}`, s.text, s.text, s.text)})
	if err != nil {
		panic(err)
	}
	said, err := json.Marshal(map[string]any{
		"exc_type": map[string]string{"refuse": "ValidationError", "rights": "PermissionError"}[mode], "exception": "frappe.exceptions.ValidationError: " + s.text,
		"exc": `["Traceback … ` + s.text + `"]`, "_server_messages": string(message),
	})
	if err != nil {
		panic(err)
	}
	switch mode {
	case "html":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprintf(w, "<h1>%s</h1>", s.text)
	case "garbage":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"data": "%s`, s.text)
	case "rights":
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write(said)
	default:
		w.WriteHeader(http.StatusExpectationFailed)
		_, _ = w.Write(said)
	}
}

// canaryPayPal is PayPal's API when it quotes what it was asked, and worse.
type canaryPayPal struct {
	certificates http.RoundTripper
	text         string
	panics       atomic.Bool
}

func (p *canaryPayPal) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case strings.Contains(r.URL.Path, "/notifications/certs/"):
		return p.certificates.RoundTrip(r)
	case strings.HasSuffix(r.URL.Path, "/oauth2/token"):
		return said(r, http.StatusOK, `{"access_token":"`+p.text+`","token_type":"Bearer","expires_in":3600}`), nil
	case p.panics.Load():
		panic("in the middle of " + p.text)
	default:
		return said(r, http.StatusUnprocessableEntity, `{"name":"`+p.text+`","message":"`+p.text+`"}`), nil
	}
}

func said(r *http.Request, code int, body string) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

// planted is a service with a mark in all that it was given.
type planted struct {
	*service
	*canaries
	t              *testing.T
	site           *canarySite
	paypal         *canaryPayPal
	slack, webhook *slackStub
	panicNow       atomic.Bool // the next delivery's handler panics
	token          string
}

func plant(t *testing.T) *planted {
	t.Helper()
	p := &planted{t: t, canaries: &canaries{sown: map[string]string{}}, slack: &slackStub{}, webhook: &slackStub{}}
	key, secret := p.sow("config erpnext key"), p.sow("config erpnext secret")
	by := newSigners(t)
	p.paypal = &canaryPayPal{certificates: by.pal.Transport(http.DefaultTransport), text: p.sow("paypal answer")}
	hooks := map[string]string{}
	for name, stub := range map[string]*slackStub{"slack": p.slack, "webhook": p.webhook} {
		server := httptest.NewServer(stub)
		t.Cleanup(server.Close)
		hooks[name] = server.URL + "/" + p.sow("config "+name+" url")
	}
	p.token = p.sow("config operator token")
	p.service = startSigned(t, by, sandbox.Options{Key: key, Secret: secret}, func(c *config.Config, o *app.Options) {
		site, err := url.Parse(c.ERPNext.URL)
		if err != nil {
			t.Fatal(err)
		}
		p.site = &canarySite{Handler: proxyTo(site), text: p.sow("erpnext answer")}
		front := httptest.NewServer(p.site)
		t.Cleanup(front.Close)
		c.ERPNext.URL = front.URL
		c.ERPNext.APIKey, c.ERPNext.APISecret = config.SecretText(key), config.SecretText(secret)
		c.ERPNext.SetupKey, c.ERPNext.SetupSecret = config.SecretText(p.sow("config setup key")), config.SecretText(p.sow("config setup secret"))
		c.OperatorToken = config.Secret(p.token)
		c.Shopify.Secrets = append(c.Shopify.Secrets, config.Secret(p.sow("config shopify secret")))
		c.Stripe.Secrets = append(c.Stripe.Secrets, config.Secret("whsec_"+p.sow("config stripe secret")))
		c.PayPal.ClientID, c.PayPal.ClientSecret = p.sow("config paypal client"), config.Secret(p.sow("config paypal secret"))
		c.SlackWebhookURL, c.AlertWebhookURL = config.Secret(hooks["slack"]), config.Secret(hooks["webhook"])
		o.PayPalTransport = p.paypal
		o.Now = func() time.Time {
			if p.panicNow.Load() && calledBy("handlers.(*intake).ServeHTTP") && p.panicNow.CompareAndSwap(true, false) {
				panic("in the middle of " + p.sow("panic"))
			}
			return time.Now()
		}
	})
	return p
}

func proxyTo(site *url.URL) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.RequestURI = site.Scheme, site.Host, ""
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for name := range resp.Header {
			w.Header().Set(name, resp.Header.Get(name))
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	})
}

// calledBy reports whether a function is among our callers.
func calledBy(name string) bool {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, name) {
			return true
		}
		if !more {
			return false
		}
	}
}

// canaryOrder is an order with a mark in every text that a shop lets people
// write.
func (p *planted) canaryOrder(id int64, change ...string) []byte {
	person := func(role string) string {
		return fmt.Sprintf(`{"first_name":%q,"last_name":%q,"name":%q,"company":%q,"address1":%q,"address2":%q,"city":%q,"province":%q,"zip":%q,"phone":%q,"country_code":"US","country":"United States"}`,
			p.sow(role+" first"), p.sow(role+" last"), p.sow(role+" full"), p.sow(role+" company"), p.sow(role+" street"), p.sow(role+" floor"), p.sow(role+" city"), p.sow(role+" region"), p.sow(role+" zip"), p.sow(role+" phone"))
	}
	body := fmt.Sprintf(`{"id":%d,"name":"#%d","currency":"USD","created_at":%[3]q,"updated_at":%[3]q,"test":false,"taxes_included":false,
"total_price":"10.00","total_tax":"0.00","email":%[4]q,"contact_email":%[4]q,"phone":%[5]q,"note":%[6]q,"tags":%[7]q,"token":%[8]q,"browser_ip":%[9]q,
"note_attributes":[{"name":%[10]q,"value":%[11]q}],"customer":{"id":%[1]d,"email":%[4]q,"first_name":%[12]q,"last_name":%[13]q,"note":%[14]q,"phone":%[15]q},
"billing_address":%[16]s,"shipping_address":%[17]s,"line_items":[{"id":1,"sku":"MUG-01","title":%[18]q,"quantity":1,"price":"10.00",
"properties":[{"name":%[19]q,"value":%[20]q}],"discount_allocations":[],"tax_lines":[]}],"shipping_lines":[]}`,
		id, id%10000, time.Now().UTC().Format(time.RFC3339), p.sow("order email")+"@example.com", p.sow("order phone"), p.sow("order note"), p.sow("order tags"),
		p.sow("order token"), p.sow("order ip"), p.sow("attribute name"), p.sow("attribute value"), p.sow("customer first"), p.sow("customer last"),
		p.sow("customer note"), p.sow("customer phone"), person("billing"), person("shipping"), p.sow("line title"), p.sow("property name"), p.sow("property value"))
	return []byte(strings.NewReplacer(change...).Replace(body))
}

// deliver sends a delivery with marks in headers and query, and looks at the
// answer at once.
func (p *planted) deliver(source, topic, id string, body []byte, change func(http.Header)) {
	p.t.Helper()
	h := p.signers.sign(p.t, source, topic, id, body)
	for _, name := range []string{"User-Agent", "Cookie", "Authorization", "X-Anything", "Referer", "X-Shopify-Shop-Domain", "X-Request-Id"} {
		h.Set(name, p.sow("header "+name))
	}
	if change != nil {
		change(h)
	}
	code, answer := p.post(p.t, source+"?token="+p.sow("query"), bytes.NewReader(body), h)
	p.leaked(p.t, fmt.Sprintf("the answer %d to %s", code, source), answer)
}

// drive takes every path that an event can take.
func (p *planted) drive() {
	t := p.t
	p.warm(t)
	p.deliver("shopify", "orders/create", p.sow("id done"), p.canaryOrder(1001), nil)
	p.settle(t)
	for i, mode := range []string{"refuse", "rights", "html", "garbage"} {
		p.site.mode.Store(mode)
		before := len(p.logged("event attempted"))
		p.deliver("shopify", "orders/create", p.sow("id "+mode), p.canaryOrder(int64(2000+i)), nil)
		p.until(t, "not tried: "+mode, func() bool { return len(p.logged("event attempted")) > before })
	}
	p.site.mode.Store("")
	mark := func(place string) string { return `"` + p.sow(place) + `"` }
	for i, change := range [][]string{
		{`"currency":"USD"`, `"currency":` + mark("body currency")}, {`"total_price":"10.00"`, `"total_price":` + mark("body total")},
		{`"quantity":1`, `"quantity":` + mark("body quantity")}, {`"country_code":"US"`, `"country_code":` + mark("body country")},
		{`"taxes_included":false`, `"taxes_included":` + mark("body flag")}, {`"total_price":"10.00"`, `"total_price":"11.00"`},
		{`"sku":"MUG-01"`, `"sku":` + mark("body sku")}, {`"updated_at":"2`, `"updated_at":"` + p.sow("body time") + `","x":"2`},
	} {
		p.deliver("shopify", "orders/create", p.sow(fmt.Sprint("id change ", string(rune('a'+i)))), p.canaryOrder(int64(3000+i), change...), nil)
	}
	for _, body := range []string{
		`{"id":` + p.sow("malformed") + `}`, `["` + p.sow("array") + `"]`, `{"` + p.sow("name twice") + `":1,"` + p.sow("name twice") + `":2}`, p.sow("no json"),
	} {
		p.deliver("shopify", "orders/create", "x", []byte(body), nil)
		p.deliver("stripe", "", "", []byte(body), nil)
		p.deliver("paypal", "", "", []byte(body), nil)
		p.deliver("shopify", "orders/create", "x", []byte(body), func(h http.Header) { h.Set("X-Shopify-Hmac-Sha256", p.sow("bad shopify signature")) })
		p.deliver("stripe", "", "", []byte(body), func(h http.Header) { h.Set("Stripe-Signature", p.sow("bad stripe signature")) })
		p.deliver("paypal", "", "", []byte(body), func(h http.Header) { h.Set("Paypal-Transmission-Sig", p.sow("bad paypal signature")) })
		p.deliver("shopify", "orders/create", "x", []byte(body), func(h http.Header) { h.Set("Content-Type", p.sow("media type")) })
		p.deliver("shopify", "orders/create", "x", []byte(body), func(h http.Header) { h.Set("X-Forwarded-For", p.sow("forwarded")) })
	}
	p.deliver(p.sow("path"), "", "", []byte("{}"), nil)
	person := fmt.Sprintf(`"billing_details":{"name":%q,"email":"%s@example.com","phone":%q,"address":{"line1":%q}},"description":%q,"receipt_email":"%s@example.com","metadata":{"order_id":%q,%q:%q}`,
		p.sow("stripe name"), p.sow("stripe email"), p.sow("stripe phone"), p.sow("stripe street"), p.sow("stripe description"), p.sow("stripe receipt"), p.sow("stripe order"), p.sow("metadata name"), p.sow("metadata value"))
	p.deliver("stripe", "", "", fmt.Appendf(nil, `{"id":"evt_1","object":"event","type":"charge.succeeded","created":%d,"livemode":true,"data":{"object":{"id":"ch_1","object":"charge","amount":1000,"currency":"usd","status":"succeeded","paid":true,"captured":true,"created":%[1]d,"payment_intent":"pi_1",%[2]s}}}`, time.Now().Unix(), person), nil)
	for i, panics := range []bool{false, true} {
		p.paypal.panics.Store(panics)
		before := len(p.logged("event attempted")) + len(p.logged("delivery panicked"))
		p.deliver("paypal", "", "", fmt.Appendf(nil, `{"id":"WH-%d","event_type":"PAYMENT.CAPTURE.COMPLETED","resource_type":"capture","create_time":%q,"resource":{"id":"CAP%[1]d","status":"COMPLETED","amount":{"currency_code":"USD","value":"10.00"},"custom_id":%[3]q,"invoice_id":%[4]q,"note_to_payer":%[5]q}}`,
			i, time.Now().UTC().Format(time.RFC3339), p.sow("paypal custom"), p.sow("paypal invoice"), p.sow("paypal note")), nil)
		p.until(t, "PayPal is not asked", func() bool { return len(p.logged("event attempted"))+len(p.logged("delivery panicked")) > before })
	}
	p.until(t, "no delivery panics", func() bool { return len(p.logged("delivery panicked")) > 0 })
	p.panicNow.Store(true)
	p.deliver("shopify", "orders/create", "panic", p.canaryOrder(4000), nil)
	p.until(t, "no panic", func() bool { return len(p.logged("handler panicked")) == 1 })
}

// operate gives the operator's listener marks, and looks at what it answers.
func (p *planted) operate() {
	t := p.t
	for _, with := range []string{"", "Bearer " + p.sow("wrong token"), "Bearer " + p.token} {
		for _, request := range []struct{ method, path, body string }{
			{"GET", "/api/v1/events?q=" + p.sow("filter"), ""}, {"GET", "/api/v1/events?since=" + p.sow("since"), ""}, {"GET", "/api/v1/events?cursor=" + p.sow("cursor"), ""},
			{"GET", "/api/v1/events/" + p.sow("event id"), ""}, {"GET", "/api/v1/documents?key=" + p.sow("document key"), ""},
			{"POST", "/api/v1/events/" + p.sow("event id") + "/replay", ""}, {"POST", "/api/v1/events/x/dismiss", `{"reason":"` + p.sow("reason of nothing") + `"`},
			{"POST", "/api/v1/replays", `{"filter":{"q":"` + p.sow("run filter") + `","nothing":1}}`}, {"POST", "/api/v1/pause", `{"source":"` + p.sow("pause source") + `"}`},
			{"GET", "/" + p.sow("operator path"), ""},
		} {
			answer := p.ask(request.method, request.path, request.body, with)
			p.leaked(t, request.method+" "+request.path, withoutNames(t, answer))
		}
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/api/v1/events?limit=500", "/api/v1/problems", "/api/v1/status", "/api/v1/audit", "/api/v1/replays", "/api/v1/rejected"} {
		p.leaked(t, path, withoutNames(t, p.ask("GET", path, "", "Bearer "+p.token)))
	}
	events, _, err := p.Inbox().List(t.Context(), event.Filter{Limit: 500})
	if err != nil || len(events) < 10 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, ev := range events {
		p.leaked(t, "event "+ev.ProviderID, withoutNames(t, p.ask("GET", "/api/v1/events/"+ev.ID, "", "Bearer "+p.token)))
	}
}

func (p *planted) ask(method, path, body, authorization string) string {
	req, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.OperatorAddr()+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Referer", p.sow("operator header"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(answer)
}

// withoutNames takes out of an answer what it is there to show: the sender's id
// of an event, what ERPNext calls a document, and to whoever looks at one event
// ERPNext's own words.
func withoutNames(t *testing.T, answer string) string {
	t.Helper()
	var v any
	if json.Unmarshal([]byte(answer), &v) != nil {
		return answer
	}
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, shown := range []string{"provider_event_id", "documents", "detail"} {
				delete(v, shown)
			}
			for _, in := range v {
				strip(in)
			}
		case []any:
			for _, in := range v {
				strip(in)
			}
		}
	}
	strip(v)
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestNothingPersonalLeaks plants a mark in every secret of the configuration
// and every input, lets events end in every way, and looks for the marks
// wherever the service speaks. Only who looks at one event may find some.
func TestNothingPersonalLeaks(t *testing.T) {
	p := plant(t)
	p.drive()
	stats, err := p.Inbox().Stats(t.Context())
	if err != nil || stats.ByState[event.Done] == 0 || stats.ByState[event.Dead] == 0 || len(p.logged("delivery panicked")) == 0 {
		t.Errorf("not every path was taken: %v, %v", stats.ByState, err)
	}
	p.until(t, "nobody is told", func() bool { return p.slack.all() != "" && p.webhook.all() != "" })
	p.operate()
	for _, command := range []struct {
		name string
		run  func(in *app.InboxTool) error
	}{
		{"events list", func(in *app.InboxTool) error { return in.List(t.Context(), app.ListOptions{Limit: 500}) }},
		{"events groups", func(in *app.InboxTool) error { return in.Groups(t.Context()) }},
		{"events audit", func(in *app.InboxTool) error { return in.Audit(t.Context(), "", 50) }},
		{"events rejected list", func(in *app.InboxTool) error { return in.Rejected(t.Context(), "", "", 100) }},
		{"status", func(in *app.InboxTool) error { return in.Status(t.Context(), p.cfg) }},
		{"events show of nothing", func(in *app.InboxTool) error {
			if err := in.Show(t.Context(), "ev_nothing"); err == nil {
				return errors.New("it shows what is not there")
			}
			return nil
		}},
	} {
		var out bytes.Buffer
		in := p.tool(t, p.cfg, &out)
		if err := command.run(in); err != nil {
			t.Errorf("%s: %v", command.name, err)
		}
		p.leaked(t, command.name, withoutNames(t, out.String()))
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p.leaked(t, "the log", p.log.String())
	p.leaked(t, "Slack", p.slack.all())
	p.leaked(t, "the alert webhook", p.webhook.all())
	if len(p.sown) < 90 {
		t.Errorf("only %d marks were planted", len(p.sown))
	}
}
