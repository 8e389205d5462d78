// Package erpnext talks to one ERPNext site over its REST API: documents, the
// client, and what a refusal means. It knows DocTypes and HTTP; it has never
// heard of webhooks, shops or payment providers, and it decides nothing about
// retries beyond naming the kind of a failure.
//
// It uses the v1 API only (present in 14, 15 and 16) and treats absent and
// null alike.
package erpnext

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const (
	// maxAnswer bounds what is read of an answer; a one-row order is 6 kB.
	maxAnswer = 8 << 20
	// defaultTimeout is longer than the 120 s after which the server's workers
	// and proxies give up, so that we hear their answer.
	defaultTimeout = 150 * time.Second
	defaultWriters = 2
	// idleTimeout stays below the 15 s after which the usual proxy closes idle
	// connections: a request on a closing connection has an unknown outcome.
	idleTimeout = 10 * time.Second
	maxIdle     = 4
)

// Options configure a Client.
type Options struct {
	URL         string // scheme, host and perhaps a path prefix: "https://erp.example.com"
	Credentials Credentials
	Site        string        // Host header where the URL's host is not the site's name; "" = the URL's
	Writers     int           // concurrent creates, submits, cancels and updates; 0 = 2
	Timeout     time.Duration // per request; 0 = 150 s
	Registerer  prometheus.Registerer
	Log         zerolog.Logger
	Transport   http.RoundTripper // nil = one of our own
	UserAgent   string            // "" = "ledgerhook"
}

// Client calls one ERPNext site as one API user. It is safe for concurrent
// use. Every error is a *fault.Error without secrets and, apart from Detail,
// without customer data.
type Client struct {
	base        string
	site        string
	userAgent   string
	credentials Credentials
	http        *http.Client
	writers     chan struct{}
	log         zerolog.Logger
	metrics     *metrics
	keys        keyFields
}

// New makes a client. It contacts nobody. An unusable URL or missing
// credentials are an error, which does not repeat the URL.
func New(o Options) (*Client, error) {
	base, err := baseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Credentials == nil {
		return nil, errors.New("erpnext: no credentials")
	}
	m := newMetrics(o.Registerer)
	return &Client{
		base:        base,
		site:        o.Site,
		userAgent:   cmp.Or(o.UserAgent, "ledgerhook"),
		credentials: o.Credentials,
		http:        newHTTPClient(o.Transport, cmp.Or(o.Timeout, defaultTimeout)),
		writers:     make(chan struct{}, max(1, cmp.Or(o.Writers, defaultWriters))),
		log:         o.Log,
		metrics:     m,
		keys:        keyFields{gauge: m.keyFields, turn: make(chan struct{}, 1), known: map[string]keyState{}},
	}, nil
}

func baseURL(text string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return "", errors.New("erpnext: the URL cannot be read")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return "", errors.New("erpnext: the URL must be like https://erp.example.com")
	case u.User != nil:
		return "", errors.New("erpnext: the URL must not hold a user or password; give the API key and secret by themselves")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("erpnext: the URL must end with the host or a path")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// newHTTPClient makes a client that follows no redirect (Go would turn a
// redirected POST into a GET) and keeps no cookies (a cookie session would
// need CSRF tokens, and every answer says "guest").
func newHTTPClient(transport http.RoundTripper, timeout time.Duration) *http.Client {
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own
		own.IdleConnTimeout = idleTimeout
		own.MaxIdleConns = maxIdle
		own.MaxIdleConnsPerHost = maxIdle
		transport = own
	}
	return &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// request is one call of the API.
type request struct {
	op      string // "erpnext.create Sales Order"
	verb    string
	path    string // escaped, below the base URL
	query   url.Values
	body    []byte // JSON, or nil
	doctype string
	write   bool // counts against the cap of writers
	amends  bool // the body names amended_from, so the new name is decided

	transition bool // the body changes docstatus and nothing else
}

// reply is a complete answer of the far side.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// reservedKeys do something else than being a field when they stand at the top
// of a body: "cmd" runs a method instead of creating the document.
var reservedKeys = []string{"cmd", "data", "sid", "_lang", "csrf_token", "_", "run_method", "name", "docstatus"}

// Create makes a draft and decodes what ERPNext stored into out (nil = not
// wanted). It refuses a body with a reserved top-level key (BadRequest) and
// sends no name: whether ERPNext honours one differs from version to version.
// After Network, Timeout and Unavailable the document may exist; see Ensure.
func (c *Client) Create(ctx context.Context, doctype string, doc, out any) error {
	op := "erpnext.create " + doctype
	fields, err := fieldsOf(op, doc)
	if err != nil {
		return err
	}
	return c.create(ctx, doctype, fields, out)
}

func (c *Client) create(ctx context.Context, doctype string, fields map[string]json.RawMessage, out any) error {
	op := "erpnext.create " + doctype
	body, err := json.Marshal(fields)
	if err != nil {
		return badRequest(op, "the document cannot be written as JSON")
	}
	return c.call(ctx, request{
		op: op, verb: http.MethodPost, path: resource(doctype), body: body,
		doctype: doctype, write: true, amends: !isBlank(fields["amended_from"]),
	}, "data", out)
}

// fieldsOf turns a document into its top-level fields and refuses those that
// ERPNext would not take as fields.
func fieldsOf(op string, doc any) (map[string]json.RawMessage, error) {
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, badRequest(op, "the document cannot be written as JSON")
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || fields == nil {
		return nil, badRequest(op, "the document is not a JSON object")
	}
	for _, key := range reservedKeys {
		if _, ok := fields[key]; ok {
			return nil, badRequest(op, "reserved key in the document: "+key)
		}
	}
	return fields, nil
}

// Submit submits a draft. Submitting a submitted document is success, decided
// by reading it again where ERPNext refuses. A cancelled one is Settled.
func (c *Client) Submit(ctx context.Context, doctype, name string, out any) error {
	return c.transition(ctx, "erpnext.submit "+doctype, doctype, name, Submitted, out)
}

// Cancel cancels a submitted document. Cancelling a cancelled one is success;
// a draft is Rejected.
func (c *Client) Cancel(ctx context.Context, doctype, name string) error {
	return c.transition(ctx, "erpnext.cancel "+doctype, doctype, name, Cancelled, nil)
}

func (c *Client) transition(ctx context.Context, op, doctype, name string, docstatus int, out any) error {
	path, err := document(op, doctype, name)
	if err != nil {
		return err
	}
	err = c.call(ctx, request{
		op: op, verb: http.MethodPut, path: path, body: fmt.Appendf(nil, `{"docstatus":%d}`, docstatus),
		doctype: doctype, write: true, transition: true,
	}, "data", out)
	if fault.KindOf(err) != fault.Settled {
		return err
	}
	return c.settled(ctx, doctype, name, docstatus, err, out)
}

// settled decides a refused change of docstatus by what the document is now:
// somebody else may have made the same change a moment earlier.
func (c *Client) settled(ctx context.Context, doctype, name string, wanted int, refused error, out any) error {
	var raw json.RawMessage
	if err := c.Get(ctx, doctype, name, &raw); err != nil {
		return err
	}
	var now Stored
	if json.Unmarshal(raw, &now) != nil {
		return notERPNext("erpnext.get " + doctype)
	}
	if now.DocStatus == wanted {
		return decode("erpnext.get "+doctype, raw, out)
	}
	f := *fault.As(refused)
	f.Cause += fmt.Sprintf(" (docstatus is %d)", now.DocStatus)
	switch now.DocStatus {
	case Draft:
		f.Kind = fault.Rejected
	case Submitted:
		f.Kind = fault.Contention
	}
	return &f
}

// Update merges fields into a document and saves it. A child table in fields
// replaces all its rows. It refuses reserved keys, docstatus among them.
func (c *Client) Update(ctx context.Context, doctype, name string, fields map[string]any, out any) error {
	op := "erpnext.update " + doctype
	if fields == nil {
		fields = map[string]any{}
	}
	checked, err := fieldsOf(op, fields)
	if err != nil {
		return err
	}
	if unpathable(name) { // a customer may be called "Shop.html"
		return c.setValue(ctx, op, doctype, name, checked, out)
	}
	body, err := json.Marshal(checked)
	if err != nil {
		return badRequest(op, "the fields cannot be written as JSON")
	}
	path, err := document(op, doctype, name)
	if err != nil {
		return err
	}
	return c.call(ctx, request{op: op, verb: http.MethodPut, path: path, body: body, doctype: doctype, write: true}, "data", out)
}

func (c *Client) setValue(ctx context.Context, op, doctype, name string, fields map[string]json.RawMessage, out any) error {
	body, err := json.Marshal(map[string]any{"doctype": doctype, "name": name, "fieldname": fields})
	if err != nil {
		return badRequest(op, "the fields cannot be written as JSON")
	}
	return c.call(ctx, request{op: op, verb: http.MethodPost, path: method("frappe.client.set_value"), body: body, doctype: doctype, write: true}, "message", out)
}

// Delete removes a draft or a cancelled document. One that is not there is
// success: that is what was wanted. A submitted one is Rejected.
func (c *Client) Delete(ctx context.Context, doctype, name string) error {
	op := "erpnext.delete " + doctype
	path, err := document(op, doctype, name)
	if err != nil {
		return err
	}
	err = c.call(ctx, request{op: op, verb: http.MethodDelete, path: path, doctype: doctype, write: true}, "data", nil)
	if fault.KindOf(err) == fault.Missing {
		return nil
	}
	return err
}

// Comment adds a remark that people see beneath the document. The text is
// plain; ERPNext would take tags as such. Comments have no key: a repeated
// call adds a second one. (frappe/desk/form/utils.py add_comment: it needs the
// right to read the document, which the DocType Comment itself does not give.)
func (c *Client) Comment(ctx context.Context, doctype, name, text string) error {
	return c.Call(ctx, http.MethodPost, "frappe.desk.form.utils.add_comment", map[string]string{
		"reference_doctype": doctype, "reference_name": name, "content": html.EscapeString(text),
		"comment_email": "", "comment_by": "ledgerhook",
	}, nil)
}

// Get reads one document with its child tables. A document that is not there
// is Missing; where the user may not read the DocType, ERPNext 15 says Rights.
func (c *Client) Get(ctx context.Context, doctype, name string, out any) error {
	op := "erpnext.get " + doctype
	if unpathable(name) {
		body, err := json.Marshal(map[string]string{"doctype": doctype, "name": name})
		if err != nil {
			return badRequest(op, "the name cannot be written as JSON")
		}
		return c.call(ctx, request{op: op, verb: http.MethodPost, path: method("frappe.client.get"), body: body, doctype: doctype}, "message", out)
	}
	path, err := document(op, doctype, name)
	if err != nil {
		return err
	}
	return c.call(ctx, request{op: op, verb: http.MethodGet, path: path, doctype: doctype}, "data", out)
}

// Query chooses documents of a List.
type Query struct {
	DocType   string
	Fields    []string // none = name only
	Filters   any      // map[string]any or [][]any: {"po_no": "x"} or {{"docstatus", "<", 2}}
	OrFilters any
	OrderBy   string // "" = "creation asc"; without any ERPNext sends rows in no order
	Start     int
	Limit     int    // 0 = 20, ERPNext's own page; negative = all
	Parent    string // needed to read a child table
}

// List reads a page of documents into out, a pointer to a slice. ERPNext cuts
// what the user may not see without a word. An unknown field is BadRequest
// with the class DataError. It is sent as a POST, because long URLs are
// refused.
func (c *Client) List(ctx context.Context, q Query, out any) error {
	op := "erpnext.list " + q.DocType
	args := map[string]any{
		"doctype":           q.DocType,
		"fields":            q.Fields,
		"order_by":          cmp.Or(q.OrderBy, "creation asc"),
		"limit_start":       q.Start,
		"limit_page_length": max(0, cmp.Or(q.Limit, 20)),
	}
	if len(q.Fields) == 0 {
		args["fields"] = []string{"name"}
	}
	for key, value := range map[string]any{"filters": q.Filters, "or_filters": q.OrFilters} {
		if value != nil {
			args[key] = value
		}
	}
	if q.Parent != "" {
		args["parent"] = q.Parent
	}
	body, err := json.Marshal(args)
	if err != nil {
		return badRequest(op, "the query cannot be written as JSON")
	}
	return c.call(ctx, request{
		op: op, verb: http.MethodPost, path: method("frappe.client.get_list"), body: body, doctype: q.DocType,
	}, "message", out)
}

// Call runs a whitelisted function. With GET the arguments
// (map[string]string) go into the query; otherwise they are the JSON body. out gets its result and
// is left alone when there is none.
func (c *Client) Call(ctx context.Context, httpMethod, name string, args, out any) error {
	op := "erpnext.call " + name
	r := request{op: op, verb: httpMethod, path: method(name)}
	switch {
	case args == nil:
	case httpMethod == http.MethodGet:
		texts, ok := args.(map[string]string)
		if !ok {
			return badRequest(op, "the arguments do not fit a query")
		}
		r.query = url.Values{}
		for key, value := range texts {
			r.query.Set(key, value)
		}
	default:
		body, err := json.Marshal(args)
		if err != nil {
			return badRequest(op, "the arguments cannot be written as JSON")
		}
		r.body = body
	}
	return c.call(ctx, r, "message", out)
}

func badRequest(op, cause string) *fault.Error {
	return &fault.Error{Kind: fault.BadRequest, Op: op, Cause: cause, Hint: "this is a fault of ledgerhook; please report it"}
}

func notERPNext(op string) *fault.Error {
	return &fault.Error{
		Kind: fault.Unavailable, Op: op, Cause: "the answer is not ERPNext's",
		Hint: "something else than ERPNext answers at the configured URL, or a proxy changes answers",
	}
}

func resource(doctype string) string { return "/api/resource/" + url.PathEscape(doctype) }

func method(name string) string { return "/api/method/" + url.PathEscape(name) }

func document(op, doctype, name string) (string, error) {
	if name == "" || unpathable(name) {
		return "", badRequest(op, "the document's name cannot stand in a URL")
	}
	return resource(doctype) + "/" + url.PathEscape(name), nil
}

// unpathable reports whether proxies would redirect or rewrite a URL that ends
// with this name, escaped or not.
func unpathable(name string) bool {
	return strings.HasSuffix(name, "/") || strings.HasPrefix(name, "/") || strings.Contains(name, "//") ||
		strings.HasSuffix(name, ".html") || slices.Contains(strings.Split(name, "/"), ".") || slices.Contains(strings.Split(name, "/"), "..")
}

// call sends a request and decodes the member of the answer's envelope.
func (c *Client) call(ctx context.Context, r request, member string, out any) error {
	if r.write {
		select {
		case c.writers <- struct{}{}:
			defer func() { <-c.writers }()
		case <-ctx.Done():
			return transportFault(r.op, ctx.Err())
		}
	}
	answer, err := c.exchange(ctx, r)
	if err != nil {
		return err
	}
	var envelope map[string]json.RawMessage
	if json.Unmarshal(answer.body, &envelope) != nil {
		return notERPNext(r.op)
	}
	data, ok := envelope[member]
	if !ok && member == "data" {
		return notERPNext(r.op)
	}
	return decode(r.op, data, out)
}

func decode(op string, data json.RawMessage, out any) error {
	if out == nil || len(data) == 0 {
		return nil
	}
	if json.Unmarshal(data, out) != nil { // its words may repeat a value
		return notERPNext(op)
	}
	return nil
}

// exchange sends a request, once more when it was refused for credentials
// that have been renewed since: a 401 did nothing for certain.
func (c *Client) exchange(ctx context.Context, r request) (*reply, error) {
	value, err := c.credentials.Authorization(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := c.send(ctx, r, value)
	if fault.KindOf(err) != fault.Credentials {
		return answer, err
	}
	c.credentials.Refused()
	renewed, renewErr := c.credentials.Authorization(ctx)
	if renewErr != nil || renewed == value {
		return answer, err
	}
	return c.send(ctx, r, renewed)
}

func (c *Client) send(ctx context.Context, r request, authorization string) (*reply, error) {
	req, err := c.build(ctx, r, authorization)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	answer, err := roundTrip(c.http, r.op, req)
	status := 0
	if answer != nil {
		status = answer.status
	}
	took := time.Since(start)
	c.metrics.observe(r, status, took)
	c.log.Debug().Str("op", r.op).Int("status", status).Dur("took", took).Msg("erpnext called")
	if err == nil && (status < 200 || status > 299) {
		f := classify(r, answer)
		f.Detail = hide(f.Detail, authorization)
		err = f
	}
	traced(ctx, r, start, took, status, answer, err)
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func (c *Client) build(ctx context.Context, r request, authorization string) (*http.Request, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.verb, target, body)
	if err != nil {
		return nil, badRequest(r.op, "the URL cannot be built")
	}
	if c.site != "" {
		req.Host = c.site
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Language", "en") // messages are read where a class does not decide
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Authorization", authorization)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// roundTrip sends a request and reads the whole answer, so that the connection
// can be used again.
func roundTrip(client *http.Client, op string, req *http.Request) (*reply, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, transportFault(op, err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end or given up
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, transportFault(op, err)
	}
	if len(body) > maxAnswer {
		return nil, &fault.Error{Kind: fault.Unavailable, Op: op, Cause: "the answer is larger than 8 MiB"}
	}
	return &reply{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// hide takes the secret out of what the far side said, in case a proxy's page
// repeats the request.
func hide(text, authorization string) string {
	scheme, secret, _ := strings.Cut(authorization, " ")
	if scheme == "token" {
		_, tail, _ := strings.Cut(secret, ":")
		text = strings.ReplaceAll(text, secret, redacted)
		secret = tail
	}
	if secret == "" {
		return text
	}
	return strings.ReplaceAll(text, secret, redacted)
}
