package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Limits of the server in front of the application.
const (
	maxRequestLine = 4094
	maxBody        = 25 << 20
)

// answer is what a request gets back.
type answer struct {
	status  int
	kind    string // content type
	body    []byte
	headers map[string]string
	denied  bool // credentials were refused: the cookies say so
}

const (
	kindJSON = "application/json"
	kindHTML = "text/html; charset=utf-8"
)

// call is one request on its way through the site.
type call struct {
	*tx
	request *http.Request
	version int // of the API: 1 or 2
	form    doc
	raw     []byte
}

// ServeHTTP answers one request. Faults apply around the transaction, never
// inside it, and a fault that waits does not hold up other requests.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	record := Request{Method: r.Method, Path: r.URL.Path, DocType: doctypeOf(r.URL.Path), At: s.opts.Now()}
	fault := s.nextFault(r, record.DocType)
	s.busy.Add(1)
	defer func() { s.remember(record); s.busy.Add(-1) }()
	// Read before any wait: a client that gives up does not take back what it sent.
	raw, readErr := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	var a answer
	if fault.before(r) {
		a = s.serveOnce(r, raw, readErr)
	}
	record.Status = a.status
	replaced, drop := fault.after(r, &a)
	if drop {
		record.Status = 0
		panic(http.ErrAbortHandler)
	}
	if replaced {
		record.Status = a.status
	}
	s.write(w, r, a, fault)
}

// serveOnce is the site without its faults.
func (s *Site) serveOnce(r *http.Request, raw []byte, readErr error) answer {
	if line := len(r.Method) + len(r.URL.RequestURI()) + len("  HTTP/1.1"); line > maxRequestLine {
		return serverPage(http.StatusBadRequest, "Bad Request", fmt.Sprintf("Request Line is too large (%d &gt; %d)", line, maxRequestLine))
	}
	if s.opts.NginxMode && (strings.HasSuffix(r.URL.Path, "/") || strings.HasSuffix(r.URL.Path, ".html")) {
		to := strings.TrimSuffix(strings.TrimSuffix(r.URL.EscapedPath(), "/"), ".html")
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		page := serverPage(http.StatusMovedPermanently, "301 Moved Permanently", "")
		page.headers = map[string]string{"Location": to}
		return page
	}
	if host := siteName(r); s.opts.Hosts != nil && !slices.Contains(s.opts.Hosts, host) {
		return s.failed(nil, htmlPage(http.StatusNotFound, "Not Found", host+" does not exist"))
	}
	if readErr == nil && len(raw) > maxBody {
		return s.failed(nil, htmlPage(http.StatusRequestEntityTooLarge, "Request Entity Too Large",
			"The data value transmitted exceeds the capacity limit."))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transact(r, raw)
}

func siteName(r *http.Request) string {
	if name := r.Header.Get("X-Frappe-Site-Name"); name != "" {
		return name
	}
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return r.Host
}

// transact runs a request as one transaction: writes are kept only when it
// succeeds, and never those of a GET.
func (s *Site) transact(r *http.Request, raw []byte) answer {
	c := &call{tx: s.begin(guest), request: r, version: 1, raw: raw}
	if strings.HasPrefix(r.URL.Path, "/api/v2/") {
		c.version = 2
	}
	if r.Method == http.MethodOptions {
		return answer{status: http.StatusOK, kind: "text/plain; charset=utf-8"}
	}
	a, err := c.serve()
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if err == nil && !reads {
		err = s.keep(c.tx)
	}
	if err != nil || reads {
		c.rollback()
	}
	if err != nil {
		return s.failed(c, err)
	}
	return a
}

func (c *call) serve() (answer, error) {
	if c.request.Method == http.MethodPost && c.request.URL.Path == "/api/method/"+tokenMethod {
		return c.token()
	}
	if err := c.readForm(); err != nil {
		return answer{}, err
	}
	u, err := c.authenticate(c.request)
	if err != nil {
		return answer{}, err
	}
	c.user = u
	if c.request.Method == http.MethodHead {
		return answer{}, notWhitelisted("ping")
	}
	if cmd := str(c.form, "cmd"); cmd != "" {
		return c.method(cmd)
	}
	switch desk := c.deskPath(); c.request.URL.Path {
	case desk:
		return c.desk()
	case "/app": // moved in version 16
		return answer{status: http.StatusMovedPermanently, kind: kindHTML, headers: map[string]string{"Location": desk}}, nil
	}
	return c.route()
}

func (s *Site) deskPath() string {
	if s.opts.Version >= 16 {
		return "/desk"
	}
	return "/app"
}

// desk is the page that people open: it carries the site's defaults for its
// script (frappe/www/app.html).
func (c *call) desk() (answer, error) {
	if c.user.isGuest() {
		return answer{}, throw("PermissionError", "Log in to access this page.")
	}
	defaults := doc{}
	for _, field := range []string{"currency_precision", "float_precision", "number_format", "rounding_method"} {
		defaults[field] = text(c.setting("System Settings", field))
	}
	boot, err := json.Marshal(doc{"sysdefaults": defaults})
	if err != nil {
		return answer{}, err
	}
	if c.opts.Version == 14 { // as a text, to be parsed
		inner, err := json.Marshal(string(boot))
		if err != nil {
			return answer{}, err
		}
		boot = []byte("JSON.parse(" + string(inner) + ")")
	}
	page := "<!DOCTYPE html>\n<html>\n<script>\nfrappe.boot = " + string(boot) + ";\n</script>\n</html>\n"
	return answer{status: http.StatusOK, kind: kindHTML, body: []byte(page)}, nil
}

// readForm reads what the framework calls the form: a JSON object, or form and
// query values.
func (c *call) readForm() error {
	c.form = doc{}
	kind, _, _ := mime.ParseMediaType(c.request.Header.Get("Content-Type"))
	if kind == kindJSON && len(c.raw) > 0 {
		return c.readJSON()
	}
	values := c.request.URL.Query()
	if kind == "application/x-www-form-urlencoded" {
		posted, err := url.ParseQuery(string(c.raw))
		if err != nil {
			return bare("ValidationError", "Invalid request arguments")
		}
		for k, v := range posted {
			values[k] = v
		}
	}
	for k, v := range values {
		c.form[k] = v[0]
	}
	return nil
}

func (c *call) readJSON() error {
	v, err := decodeJSON([]byte(strings.ToValidUTF8(string(c.raw), "\uFFFD")))
	if err != nil {
		return jsonError(string(c.raw), err)
	}
	switch v := v.(type) {
	case doc:
		c.form = v
		return nil
	case []any:
		return bare("TypeError", "pop expected at most 1 argument, got 2")
	}
	return throw("ValidationError", "Invalid request arguments")
}

func jsonError(sent string, err error) error {
	if strings.HasSuffix(sent, "{") {
		return bare("JSONDecodeError", fmt.Sprintf("Expecting property name enclosed in double quotes: line 1 column %d (char %d)", len(sent)+1, len(sent)))
	}
	return bare("JSONDecodeError", fmt.Sprintf("Expecting value: line 1 column %d (char %d)", len(sent)+1, len(sent)))
}

// sent is the document in the body: the body itself, or its "data".
func (c *call) sent() (doc, error) {
	data, wrapped := c.form["data"]
	if !wrapped {
		if len(c.raw) > 0 && len(c.form) == 0 {
			if v, err := decodeJSON(c.raw); err == nil {
				data, wrapped = v, true
			}
		}
	}
	if text, ok := data.(string); ok {
		v, err := decodeJSON([]byte(text))
		if err != nil {
			return c.form, nil
		}
		data = v
	}
	if !wrapped {
		return cloneDoc(c.form), nil
	}
	if d, ok := data.(doc); ok {
		return cloneDoc(d), nil
	}
	return nil, throw("ValidationError", "Invalid request arguments")
}

// doctypeOf is the DocType in a path, "" when it names none.
func doctypeOf(path string) string {
	for _, prefix := range []string{"/api/resource/", "/api/v1/resource/", "/api/v2/document/"} {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			name, _, _ := strings.Cut(rest, "/")
			return name
		}
	}
	return ""
}

func (c *call) route() (answer, error) {
	path := c.request.URL.Path
	prefix := "/api/"
	switch {
	case c.version == 2:
		prefix = "/api/v2/"
	case strings.HasPrefix(path, "/api/v1/"):
		prefix = "/api/v1/"
	}
	rest, ok := strings.CutPrefix(path, prefix)
	if !ok || (prefix != "/api/" && c.opts.Version < 15) {
		return answer{}, bare("DoesNotExistError", "")
	}
	kind, rest, _ := strings.Cut(rest, "/")
	resource := "resource"
	if c.version == 2 {
		resource = "document"
	}
	switch {
	case kind == "method" && rest != "":
		name, _, _ := strings.Cut(rest, "/")
		return c.method(name)
	case kind == resource && rest != "":
		name, id, named := strings.Cut(rest, "/")
		id = strings.TrimSuffix(id, "/")
		if !named || id == "" {
			return c.collection(name)
		}
		return c.document(name, id)
	}
	return answer{}, bare("DoesNotExistError", "")
}

func (c *call) collection(name string) (answer, error) {
	switch c.request.Method {
	case http.MethodGet:
		v, err := c.list(name, c.form, c.pageLength())
		return c.data(v), err
	case http.MethodPost:
		return c.create(name)
	}
	return answer{}, wrongVerb()
}

func wrongVerb() error {
	return htmlPage(http.StatusMethodNotAllowed, "Method Not Allowed", "The method is not allowed for the requested URL.")
}

// pageLength is limit_page_length, or its alias, or 20; 0 is all.
func (c *call) pageLength() int {
	for _, key := range []string{"limit", "limit_page_length"} {
		if v, ok := c.form[key]; ok && (key == "limit_page_length" || truthy(v) && text(v) != "0") {
			return int(cint(v))
		}
	}
	return 20
}

func (c *call) create(name string) (answer, error) {
	dt, err := c.shape(name)
	if err != nil {
		return answer{}, err
	}
	sent, err := c.sent()
	if err != nil {
		return answer{}, err
	}
	d, err := c.createFrom(dt, sent)
	if err != nil {
		return answer{}, err
	}
	return c.data(c.render(d)), nil
}

func (c *call) createFrom(dt *doctype, sent doc) (doc, error) {
	if name, ok := sent["name"].(string); ok && name != "" && c.honoursName() {
		c.nameSent = true
	}
	if sent["amended_from"] == nil && !c.nameSent {
		delete(sent, "name")
	}
	d, err := c.draft(dt, sent)
	if err != nil {
		return nil, err
	}
	if dt.name == "Customer" {
		d["__address"] = pick(sent, addressInput)
	}
	return d, c.insert(d)
}

// honoursName says whether this version takes a name from the client: 14 and
// 15.72 do, 16 does on API v2 alone.
func (c *call) honoursName() bool { return c.opts.Version < 16 || c.version == 2 }

func (c *call) document(name, id string) (answer, error) {
	switch c.request.Method {
	case http.MethodGet:
		if c.form["run_method"] != nil {
			return c.runMethod(name, id)
		}
		return c.read(name, id)
	case http.MethodPut:
		return c.update(name, id)
	case http.MethodDelete:
		return c.delete(name, id)
	case http.MethodPost:
		return c.runMethod(name, id)
	case http.MethodPatch:
		if c.version == 2 {
			return c.update(name, id)
		}
	}
	return answer{}, bare("DoesNotExistError", "")
}

// load finds a document for a request. Who may not read its DocType is told so
// even when it does not exist; version 14 says that it does not exist.
func (c *call) load(name, id string) (*doctype, doc, error) {
	dt, err := c.shape(name)
	if err != nil {
		return nil, nil, err
	}
	if dt.single {
		d := c.single(dt.name)
		fillDefaults(dt, d)
		d["idx"] = "0"
		return dt, d, nil
	}
	d := c.peek(dt.name, id)
	if d == nil {
		if c.opts.Version > 14 {
			if err := c.mustType(dt.name, "read"); err != nil {
				return nil, nil, err
			}
		}
		return nil, nil, notFound(dt.name, id)
	}
	return dt, cloneDoc(d), nil
}

func (c *call) read(name, id string) (answer, error) {
	_, d, err := c.load(name, id)
	if err != nil {
		return answer{}, err
	}
	if err := c.must(d, "read"); err != nil {
		var f *failure
		if errors.As(err, &f) {
			f.hidden = false
			f.pretext = ""
			if !c.mayType(name, "read") {
				f.message.text += fmt.Sprintf("<br>User <strong>%s</strong> does not have access to this document", c.user.name)
			}
		}
		return answer{}, err
	}
	return c.data(c.render(d)), nil
}

func (c *call) update(name, id string) (answer, error) {
	dt, d, err := c.load(name, id)
	if err != nil {
		return answer{}, err
	}
	sent, err := c.sent()
	if err != nil {
		return answer{}, err
	}
	delete(sent, "name")
	if err := c.merge(dt, d, sent); err != nil {
		return answer{}, err
	}
	if dt.single {
		return c.saveSingle(dt, d)
	}
	if err := c.save(d, text(sent["modified"])); err != nil {
		return answer{}, err
	}
	return c.data(c.render(d)), nil
}

func (c *call) saveSingle(dt *doctype, d doc) (answer, error) {
	if err := c.must(d, "write"); err != nil {
		return answer{}, err
	}
	d["modified"], d["modified_by"] = c.now(), c.user.name
	castDoc(dt, d)
	c.put(dt.name, d)
	return c.data(c.render(d)), nil
}

func (c *call) delete(name, id string) (answer, error) {
	dt := c.types[name]
	if dt == nil {
		return answer{}, &failure{status: http.StatusInternalServerError, class: "Internal Server Error",
			html: string(serverPage(http.StatusInternalServerError, "Internal Server Error", "").body)}
	}
	if err := c.deleteDoc(dt, id); err != nil {
		return answer{}, err
	}
	key := "data"
	if c.opts.Version == 14 {
		key = "message"
	}
	return c.envelope(http.StatusAccepted, doc{key: "ok"}), nil
}

// runMethod runs a method of a document: the only ones a client has are submit
// and cancel.
func (c *call) runMethod(name, id string) (answer, error) {
	method, ok := c.form["run_method"].(string)
	if !ok {
		return answer{}, bare("KeyError", "'run_method'")
	}
	_, d, err := c.load(name, id)
	if err != nil {
		return answer{}, err
	}
	status := map[string]int64{"submit": 1, "cancel": 2}[method]
	if status == 0 {
		return answer{}, htmlPage(http.StatusNotFound, "Not Found", "Method "+method+" not found")
	}
	d["docstatus"] = status
	if err := c.save(d, ""); err != nil {
		return answer{}, err
	}
	return c.data(c.render(d)), nil
}
