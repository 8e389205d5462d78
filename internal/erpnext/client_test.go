package erpnext

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"github.com/shopspring/decimal"
)

const (
	testKey    = "kkk111"
	testSecret = "sss-very-secret-222"
)

// site answers requests with a function and remembers them.
type site struct {
	answer func(r *http.Request, body string) (status int, answer string)

	mu   sync.Mutex
	seen []string // "POST /api/resource/Customer {...}"
	last http.Header
	host string
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) //nolint:errcheck // a broken body shows in the comparison
	s.mu.Lock()
	s.seen = append(s.seen, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+string(body)))
	s.last, s.host = r.Header.Clone(), r.Host
	s.mu.Unlock()
	status, answer := s.answer(r, string(body))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer) //nolint:errcheck // the client may have gone
}

func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.seen...)
}

func always(status int, answer string) func(*http.Request, string) (int, string) {
	return func(*http.Request, string) (int, string) { return status, answer }
}

func connect(t *testing.T, s http.Handler, change ...func(*Options)) *Client {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	o := Options{URL: server.URL, Credentials: KeySecret(testKey, testSecret), Transport: server.Client().Transport}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWireRules(t *testing.T) {
	s := &site{answer: always(200, `{"data":{"name":"SAL-ORD-2026-00001","docstatus":0,"grand_total":103.72,"po_no":null}}`)}
	c := connect(t, s, func(o *Options) { o.URL += "/"; o.Site = "erp.example.com"; o.UserAgent = "ledgerhook/1" })
	order := SalesOrder{
		Customer: "Ann Lee", Company: "Lab Co", TransactionDate: "2026-06-01", DeliveryDate: "2026-06-01", Currency: "USD",
		IgnorePricingRule: true, Items: []SalesOrderItem{{ItemCode: "A", Qty: Num(decimal.NewFromInt(2))}},
	}
	var stored Stored
	if err := c.Create(t.Context(), DocSalesOrder, order, &stored); err != nil {
		t.Fatal(err)
	}
	want := []string{`POST /api/resource/Sales%20Order {"company":"Lab Co","currency":"USD","customer":"Ann Lee","delivery_date":"2026-06-01",` +
		`"disable_rounded_total":0,"ignore_pricing_rule":1,"items":[{"item_code":"A","qty":2,"rate":0,"price_list_rate":0}],` +
		`"payment_terms_template":"","taxes_and_charges":"","transaction_date":"2026-06-01"}`}
	if diff := cmp.Diff(s.requests(), want); diff != "" {
		t.Errorf("got -, want +:\n%s", diff)
	}
	headers := map[string]string{
		"Accept": "application/json", "Accept-Language": "en", "Content-Type": "application/json", "User-Agent": "ledgerhook/1",
		"Authorization": "token " + testKey + ":" + testSecret, "Cookie": "", "Idempotency-Key": "", "X-Idempotency-Key": "",
	}
	for name, value := range headers {
		if got := s.last.Get(name); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
	if s.host != "erp.example.com" {
		t.Errorf("host is %q", s.host)
	}
	if stored.Name != "SAL-ORD-2026-00001" || stored.GrandTotal.String() != "103.72" || stored.PoNo != "" {
		t.Errorf("stored: %+v", stored)
	}
}

func TestPaths(t *testing.T) {
	s := &site{answer: always(200, `{"data":{},"message":{}}`)}
	c := connect(t, s)
	for _, name := range []string{"Ann Lee", "A/B", "50% & #1?", "Ünï", "x/", "..", "a.html", "a//b"} {
		if err := c.Get(t.Context(), DocCustomer, name, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := []string{
		"GET /api/resource/Customer/Ann%20Lee",
		"GET /api/resource/Customer/A%2FB",
		"GET /api/resource/Customer/50%25%20&%20%231%3F",
		"GET /api/resource/Customer/%C3%9Cn%C3%AF",
		`POST /api/method/frappe.client.get {"doctype":"Customer","name":"x/"}`,
		`POST /api/method/frappe.client.get {"doctype":"Customer","name":".."}`,
		`POST /api/method/frappe.client.get {"doctype":"Customer","name":"a.html"}`,
		`POST /api/method/frappe.client.get {"doctype":"Customer","name":"a//b"}`,
	}
	if diff := cmp.Diff(s.requests(), want); diff != "" {
		t.Errorf("got -, want +:\n%s", diff)
	}
	for _, name := range []string{"", "..", "x/"} {
		if err := c.Submit(t.Context(), DocSalesOrder, name, nil); fault.KindOf(err) != fault.BadRequest {
			t.Errorf("submit %q: %v", name, err)
		}
	}
}

func TestCreateRefusesReservedKeys(t *testing.T) {
	s := &site{answer: always(200, `{"message":"pong"}`)}
	c := connect(t, s)
	for _, key := range reservedKeys {
		err := c.Create(t.Context(), DocCustomer, map[string]any{"customer_name": "A", key: "ping"}, nil)
		if fault.KindOf(err) != fault.BadRequest || !strings.Contains(err.Error(), key) {
			t.Errorf("create with %s: %v", key, err)
		}
		err = c.Update(t.Context(), DocCustomer, "A", map[string]any{key: 1}, nil)
		if fault.KindOf(err) != fault.BadRequest {
			t.Errorf("update with %s: %v", key, err)
		}
	}
	for _, doc := range []any{nil, []int{1}, "x", func() {}} {
		if err := c.Create(t.Context(), DocCustomer, doc, nil); fault.KindOf(err) != fault.BadRequest {
			t.Errorf("create %T: %v", doc, err)
		}
	}
	if got := s.requests(); len(got) != 0 {
		t.Errorf("sent %v", got)
	}
}

func TestListIsAPostWithAnOrder(t *testing.T) {
	s := &site{answer: always(200, `{"message":[{"name":"A"},{"name":"B"}]}`)}
	c := connect(t, s)
	var rows []Stored
	if err := c.List(t.Context(), Query{DocType: DocSalesOrder, Filters: [][]any{{"docstatus", "<", 2}}, Limit: -1}, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[1].Name != "B" {
		t.Errorf("rows: %+v", rows)
	}
	if err := c.List(t.Context(), Query{DocType: "Account", Fields: []string{"name", "company"}, Parent: "X", OrFilters: map[string]any{"a": 1}, OrderBy: "name desc", Start: 5, Limit: 7}, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`POST /api/method/frappe.client.get_list {"doctype":"Sales Order","fields":["name"],"filters":[["docstatus","\u003c",2]],"limit_page_length":0,"limit_start":0,"order_by":"creation asc"}`,
		`POST /api/method/frappe.client.get_list {"doctype":"Account","fields":["name","company"],"limit_page_length":7,"limit_start":5,"or_filters":{"a":1},"order_by":"name desc","parent":"X"}`,
	}
	if diff := cmp.Diff(s.requests(), want); diff != "" {
		t.Errorf("got -, want +:\n%s", diff)
	}
}

func TestCall(t *testing.T) {
	s := &site{answer: func(r *http.Request, _ string) (int, string) {
		if r.Method == http.MethodGet {
			return 200, `{"message":"a"}`
		}
		return 200, `{}`
	}}
	c := connect(t, s)
	out := "untouched"
	if err := c.Call(t.Context(), http.MethodPost, "my.method", map[string]int{"n": 1}, &out); err != nil || out != "untouched" {
		t.Errorf("a method that returns nothing: %q, %v", out, err)
	}
	if err := c.Call(t.Context(), http.MethodGet, "my.method", map[string]string{"q": "a b"}, &out); err != nil || out != "a" {
		t.Errorf("get: %q, %v", out, err)
	}
	if err := c.Call(t.Context(), http.MethodGet, "my.method", struct{ N int }{1}, &out); fault.KindOf(err) != fault.BadRequest {
		t.Errorf("get with arguments that do not fit a query: %v", err)
	}
	if diff := cmp.Diff(s.requests(), []string{`POST /api/method/my.method {"n":1}`, "GET /api/method/my.method?q=a+b"}); diff != "" {
		t.Error(diff)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var hits int
		c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hits++
			http.Redirect(w, r, "/elsewhere", status)
		}))
		err := c.Create(t.Context(), DocCustomer, Customer{CustomerName: "A"}, nil)
		if fault.KindOf(err) != fault.Rejected || hits != 1 || !strings.Contains(fault.As(err).Hint, "URL") {
			t.Errorf("%d: %v after %d requests", status, err, hits)
		}
	}
}

func TestAnswersThatAreNotERPNexts(t *testing.T) {
	answers := map[string]string{"html": page, "empty": "", "no data": `{"message":"pong"}`, "list": `[1]`, "other type": `{"data":"ok"}`}
	for name, answer := range answers {
		c := connect(t, &site{answer: always(200, answer)})
		var out Stored
		if err := c.Create(t.Context(), DocCustomer, Customer{CustomerName: "A"}, &out); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := connect(t, &site{answer: always(200, `{"data":"`+strings.Repeat("x", maxAnswer)+`"}`)})
	if err := c.Get(t.Context(), DocCustomer, "A", nil); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "8 MiB") {
		t.Errorf("an endless answer: %v", err)
	}
}

func TestNetworkFailures(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c, err := New(Options{URL: gone.URL, Credentials: KeySecret("a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Get(t.Context(), DocCustomer, "Ann", nil)
	if fault.KindOf(err) != fault.Network || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("nobody listens: %v", err)
	}

	c = connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"data":`) //nolint:errcheck // breaks off on purpose
	}))
	if err := c.Get(t.Context(), DocCustomer, "Ann", nil); fault.KindOf(err) != fault.Network {
		t.Errorf("an answer that breaks off: %v", err)
	}

	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of the handshake we refuse
	server.StartTLS()
	t.Cleanup(server.Close)
	c, err = New(Options{URL: server.URL, Credentials: KeySecret("a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), DocCustomer, "Ann", nil); fault.KindOf(err) != fault.Network || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
}

// transport is a far side without sockets, for tests with a fake clock.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answered(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

func offline(t *testing.T, f transport, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{URL: "http://erp.test", Credentials: KeySecret(testKey, testSecret), Transport: f}
	for _, change := range change {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := offline(t, hang)
		start := time.Now()
		err := c.Get(t.Context(), DocCustomer, "Ann", nil)
		if took := time.Since(start); fault.KindOf(err) != fault.Timeout || took != 150*time.Second {
			t.Errorf("a silent site: %v after %s", err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Get(ctx, DocCustomer, "Ann", nil); fault.KindOf(err) != fault.Timeout {
			t.Errorf("a caller's deadline: %v", err)
		}
		gone, stop := context.WithCancel(t.Context())
		stop()
		if err := c.Get(gone, DocCustomer, "Ann", nil); fault.KindOf(err) != fault.Network || !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that gives up: %v", err)
		}
	})
}

func TestWritersAreCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var mu sync.Mutex
		inside := 0
		c := offline(t, func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet {
				return answered(200, `{"data":{}}`)
			}
			mu.Lock()
			inside++
			mu.Unlock()
			<-release
			return answered(200, `{"data":{}}`)
		}, func(o *Options) { o.Writers = 3 })
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				calls := []func() error{
					func() error { return c.Create(t.Context(), DocCustomer, Customer{CustomerName: "A"}, nil) },
					func() error { return c.Submit(t.Context(), DocSalesOrder, "S", nil) },
					func() error { return c.Cancel(t.Context(), DocSalesOrder, "S") },
					func() error { return c.Update(t.Context(), DocSalesOrder, "S", nil, nil) },
				}
				if err := calls[i%4](); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if inside != 3 {
			t.Errorf("%d writers at once, want 3", inside)
		}
		if err := c.Get(t.Context(), DocCustomer, "A", nil); err != nil {
			t.Errorf("a read waits for the writers: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Submit(ctx, DocSalesOrder, "S", nil); fault.KindOf(err) != fault.Timeout {
			t.Errorf("a writer that waits too long: %v", err)
		}
		close(release)
		wg.Wait()
	})
}

func TestTransitions(t *testing.T) {
	refusal := errorBody("UpdateAfterSubmitError", "", "Not allowed to change <strong>Status</strong> after submission")
	cases := []struct {
		name      string
		cancel    bool
		docstatus int
		kind      fault.Kind // Internal = success
		requests  int
	}{
		{"submitted by somebody else", false, Submitted, fault.Internal, 2},
		{"cancelled meanwhile", false, Cancelled, fault.Settled, 2},
		{"still a draft", false, Draft, fault.Rejected, 2},
		{"cancelled by somebody else", true, Cancelled, fault.Internal, 2},
		{"a draft cannot be cancelled", true, Draft, fault.Rejected, 2},
		{"still submitted", true, Submitted, fault.Contention, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &site{answer: func(r *http.Request, _ string) (int, string) {
				if r.Method == http.MethodPut {
					return 417, refusal
				}
				return 200, fmt.Sprintf(`{"data":{"name":"S","docstatus":%d,"status":"To Bill"}}`, c.docstatus)
			}}
			client := connect(t, s)
			var out Stored
			var err error
			if c.cancel {
				err = client.Cancel(t.Context(), DocSalesOrder, "S")
			} else {
				err = client.Submit(t.Context(), DocSalesOrder, "S", &out)
			}
			if len(s.requests()) != c.requests {
				t.Errorf("requests: %v", s.requests())
			}
			if c.kind == fault.Internal {
				if err != nil || (!c.cancel && out.Status != "To Bill") {
					t.Errorf("got %v, %+v", err, out)
				}
				return
			}
			if fault.KindOf(err) != c.kind {
				t.Errorf("got %s (%v), want %s", fault.KindOf(err), err, c.kind)
			}
		})
	}
}

func TestSubmitBody(t *testing.T) {
	s := &site{answer: always(200, `{"data":{"name":"S","docstatus":1}}`)}
	c := connect(t, s)
	if err := errors.Join(c.Submit(t.Context(), DocSalesOrder, "S", nil), c.Cancel(t.Context(), DocPaymentEntry, "P")); err != nil {
		t.Fatal(err)
	}
	want := []string{`PUT /api/resource/Sales%20Order/S {"docstatus":1}`, `PUT /api/resource/Payment%20Entry/P {"docstatus":2}`}
	if diff := cmp.Diff(s.requests(), want); diff != "" {
		t.Error(diff)
	}
}

func TestNewRefusesBadOptions(t *testing.T) {
	for _, url := range []string{"", "erp.example.com", "ftp://x", "http://", "https://user:hunter2@erp.example.com", "https://x/?a=b", "https://x/#a", "http://[::1", "https://hunter2\x00"} {
		_, err := New(Options{URL: url, Credentials: KeySecret("a", "b")})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := New(Options{URL: "https://erp.example.com"}); err == nil {
		t.Error("no credentials is accepted")
	}
}

// TestSecretsAreInNothing forces failures of every sort from a far side that
// repeats the request's headers, and looks for the secret in all that is said.
func TestSecretsAreInNothing(t *testing.T) {
	var logs bytes.Buffer
	reg := prometheus.NewRegistry()
	echo := func(r *http.Request) string {
		return errorBody("ValidationError", "x: "+r.Header.Get("Authorization"), "header "+r.Header.Get("Authorization")) + r.Header.Get("Authorization")
	}
	var mode int
	far := transport(func(r *http.Request) (*http.Response, error) {
		switch {
		case mode == 1:
			return nil, fmt.Errorf("dial %s with %s: boom", r.URL, r.Header.Get("Authorization"))
		case mode == 2:
			return answered(200, echo(r))
		case mode == 3:
			return answered(417, errorBody("ValidationError", "x: "+testSecret, "header "+r.Header.Get("Authorization")))
		default:
			return answered(mode, "<p>"+echo(r)+"</p>")
		}
	})
	c := offline(t, far, func(o *Options) { o.Registerer = reg; o.Log = zerolog.New(&logs).Level(zerolog.TraceLevel) })
	modes := []int{1, 2, 3}
	for status := 300; status < 600; status++ {
		modes = append(modes, status)
	}
	for _, mode = range modes {
		for _, err := range everyCall(t.Context(), c) {
			assertNoSecret(t, fmt.Sprintf("mode %d", mode), err)
		}
	}
	families, err := reg.Gather()
	if err != nil || strings.Contains(fmt.Sprint(families), testSecret) || strings.Contains(logs.String(), testSecret) {
		t.Errorf("secret in metrics or logs (%v)", err)
	}
	if logs.Len() == 0 {
		t.Error("nothing was logged: the test looks at nothing")
	}
	if said := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(said, testSecret) {
		t.Error("secret in the printed client")
	}
}

func everyCall(ctx context.Context, c *Client) map[string]error {
	_, find := c.FindByKey(ctx, DocSalesOrder, "k", nil)
	_, ensure := c.Ensure(ctx, DocSalesOrder, "k", SalesOrder{}, nil)
	return map[string]error{
		"get":    c.Get(ctx, DocCustomer, "Ann Lee", nil),
		"create": c.Create(ctx, DocCustomer, Customer{CustomerName: "Ann Lee"}, nil),
		"submit": c.Submit(ctx, DocSalesOrder, "S", nil),
		"cancel": c.Cancel(ctx, DocSalesOrder, "S"),
		"update": c.Update(ctx, DocCustomer, "Ann Lee", map[string]any{"a": 1}, nil), "set": c.Update(ctx, DocCustomer, "Ann.html", map[string]any{"a": 1}, nil),
		"delete": c.Delete(ctx, DocCustomer, "Ann Lee"), "comment": c.Comment(ctx, DocSalesOrder, "S", "Ann Lee"),
		"list": c.List(ctx, Query{DocType: DocCustomer, Filters: map[string]any{"name": "Ann Lee"}}, &[]Stored{}),
		"call": c.Call(ctx, http.MethodGet, "my.method", map[string]string{"q": "Ann Lee"}, nil),
		"find": find, "ensure": ensure,
	}
}

func assertNoSecret(t *testing.T, where string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	f := fault.As(err)
	if f == nil {
		t.Errorf("%s: %T is not classified", where, err)
		return
	}
	all := fmt.Sprintf("%s %+v %s %s", err, *f, f.Detail, f.Hint)
	for e := f.Err; e != nil; e = errors.Unwrap(e) {
		all += fmt.Sprintf(" %s %+v", e, e)
	}
	if strings.Contains(all, testSecret) {
		t.Errorf("%s: secret in %s", where, all)
	}
	if strings.Contains(f.Error()+f.Hint, "Ann") || strings.Contains(f.Error(), "erp.test") {
		t.Errorf("%s: customer or URL in %s", where, f.Error())
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := offline(t, func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "Lead") {
			return nil, io.ErrUnexpectedEOF
		}
		return answered(417, errorBody("ValidationError", ""))
	}, func(o *Options) { o.Registerer = reg })
	atStart := testutil.CollectAndCount(c.metrics.requests)
	_ = c.Get(t.Context(), DocCustomer, "Ann", nil)         //nolint:errcheck // counted below
	_ = c.Get(t.Context(), "Lead", "Ann", nil)              //nolint:errcheck // counted below
	_ = c.Create(t.Context(), DocSalesOrder, Stored{}, nil) //nolint:errcheck // refused before it is sent
	for labels, want := range map[[3]string]float64{
		{"GET", "Customer", "417"}: 1, {"GET", "other", "error"}: 1, {"POST", "Sales Order", "200"}: 0,
		{"DELETE", "Address", "202"}: 0, {"PUT", "Journal Entry", "504"}: 0, {"DELETE", "Payment Entry", "error"}: 0, {"GET", "other", "other"}: 0,
	} {
		if got := testutil.ToFloat64(c.metrics.requests.WithLabelValues(labels[0], labels[1], labels[2])); got != want {
			t.Errorf("%v: got %v, want %v", labels, got, want)
		}
	}
	for status := 200; status < 600; status++ {
		for _, doctype := range append(KeyedDocTypes(), "Lead") {
			c.metrics.observe(request{verb: http.MethodDelete, doctype: doctype}, status, time.Second)
		}
	}
	if n := testutil.CollectAndCount(c.metrics.requests); n != atStart {
		t.Errorf("%d series, %d of them at the start", n, atStart)
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[string]string{`1.10`: "1.1", `"2.50"`: "2.5", `null`: "0", `""`: "0", `1e-07`: "0.0000001", `1e+16`: "10000000000000000", `0.30000000000000004`: "0.30000000000000004"} {
		var n Number
		if err := json.Unmarshal([]byte(in), &n); err != nil || n.String() != want {
			t.Errorf("%s: got %s, %v, want %s", in, n, err, want)
		}
	}
	for _, in := range []string{`1e999999999`, `"Ann Lee"`, `{}`, `1e-100`, `"` + strings.Repeat("9", 61) + `"`} {
		var n Number
		if err := json.Unmarshal([]byte(in), &n); err == nil || strings.Contains(err.Error(), "Ann") {
			t.Errorf("%s: got %v, %v", in, n, err)
		}
	}
	out, err := json.Marshal(map[string]any{"a": Num(decimal.RequireFromString("10.50")), "b": Number{}, "c": Check(true)})
	if err != nil || string(out) != `{"a":10.5,"b":0,"c":1}` {
		t.Errorf("got %s, %v", out, err)
	}
	var stored struct{ A, B, C Check }
	if err := json.Unmarshal([]byte(`{"A":1,"B":"0","C":null}`), &stored); err != nil || !bool(stored.A) || bool(stored.B) {
		t.Errorf("checks: %+v, %v", stored, err)
	}
	if err := json.Unmarshal([]byte(`{"A":7}`), &stored); err == nil {
		t.Error("7 is taken for a check")
	}
}
