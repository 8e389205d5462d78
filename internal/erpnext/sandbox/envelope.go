package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// cookies are set on every answer, whoever asks.
var cookies = []string{"sid=Guest; Path=/", "system_user=no; Path=/", "full_name=Guest; Path=/", "user_id=Guest; Path=/", "user_image=; Path=/"}

// data is the envelope of documents and lists.
func (c *call) data(v any) answer { return c.envelope(http.StatusOK, doc{"data": v}) }

func (c *call) envelope(status int, body doc) answer {
	if len(c.messages) > 0 {
		if c.version == 2 {
			list := make([]any, len(c.messages))
			for i, m := range c.messages {
				list[i] = m.object()
			}
			body["messages"] = list
		} else {
			body["_server_messages"] = serverMessages(c.messages)
		}
	}
	return answer{status: status, kind: kindJSON, body: appendJSON(nil, body)}
}

// render is a document as the API shows it: without nulls since version 15.
func (c *call) render(d doc) doc {
	return c.renderWith(d, c.opts.Version == 14 && c.request.Method == http.MethodPost)
}

func (c *call) renderWith(d doc, nulls bool) doc {
	dt := c.types[str(d, "doctype")]
	out := doc{}
	for k, v := range d {
		if v == nil && !nulls {
			continue
		}
		if list, ok := v.([]any); ok {
			shown := make([]any, len(list))
			for i, row := range list {
				if row, ok := row.(doc); ok {
					shown[i] = c.renderWith(row, nulls)
				}
			}
			out[k] = shown
			continue
		}
		out[k] = v
	}
	if dt == nil {
		return out
	}
	for _, f := range dt.fields {
		if _, ok := out[f.name]; ok {
			continue
		}
		if f.kind == "Table" {
			out[f.name] = []any{}
		} else if nulls {
			out[f.name] = nil
		}
	}
	return out
}

func (m message) object() doc {
	out := doc{"message": m.text, "title": m.title}
	if m.title == "" {
		out["title"] = "Message"
	}
	if m.indicator != "" {
		out["indicator"] = m.indicator
	}
	if m.alert {
		out["alert"] = int64(1)
	}
	if m.raise {
		out["raise_exception"] = int64(1)
		out["__frappe_exc_id"] = fmt.Sprintf("%032x", len(m.text))
	}
	return out
}

// serverMessages is JSON text of a list of JSON texts.
func serverMessages(list []message) string {
	out := make([]any, len(list))
	for i, m := range list {
		out[i] = string(appendJSON(nil, m.object()))
	}
	return string(appendJSON(nil, out))
}

// failed is the answer for an error. c is nil before a transaction began.
func (s *Site) failed(c *call, err error) answer {
	var f *failure
	if !errors.As(err, &f) {
		f = bare("Exception", err.Error())
		f.status, f.module = http.StatusInternalServerError, ""
	}
	if f.html != "" {
		kind := kindHTML
		if strings.HasPrefix(f.html, "<html>") {
			kind = "text/html"
		}
		return answer{status: f.status, kind: kind, body: []byte(f.html), headers: f.headers}
	}
	var said []message
	if c != nil {
		said = c.messages
	}
	if f.message != nil {
		said = append(said, *f.message)
	}
	a := answer{status: f.status, kind: kindJSON, headers: f.headers, denied: f.class == "AuthenticationError"}
	if c != nil && c.version == 2 {
		a.body = appendJSON(nil, s.errorBodyV2(f, said))
	} else {
		a.body = appendJSON(nil, s.errorBody(f, said))
	}
	return a
}

func (s *Site) errorBody(f *failure, said []message) doc {
	body := doc{}
	if s.opts.Version > 14 || !f.raw {
		body["exc_type"] = f.class
	}
	traceback := truthy(s.setting("System Settings", "allow_error_traceback"))
	if !f.hidden && traceback {
		body["exception"] = f.exceptionLine()
		body["exc"] = string(appendJSON(nil, []any{"Traceback (most recent call last):\n  File \"sandbox\"\n" + f.exceptionLine() + "\n"}))
	}
	if f.source != "" {
		body["_exc_source"] = f.source
	}
	if len(said) > 0 {
		body["_server_messages"] = serverMessages(said)
	}
	if f.pretext != "" {
		body["_error_message"] = f.pretext
	}
	return body
}

func (s *Site) errorBodyV2(f *failure, said []message) doc {
	entry := doc{"type": f.class, "exception": "Traceback (most recent call last):\n" + f.exceptionLine()}
	var others []any
	for i, m := range said {
		if f.message != nil && i == len(said)-1 {
			for k, v := range m.object() {
				if k == "message" || k == "title" || k == "indicator" {
					entry[k] = v
				}
			}
			continue
		}
		others = append(others, m.object())
	}
	body := doc{"errors": []any{entry}}
	if others != nil {
		body["messages"] = others
	}
	return body
}

// serverPage is a page of the server in front of the application.
func serverPage(status int, title, text string) answer {
	return answer{status: status, kind: "text/html", body: fmt.Appendf(nil,
		"<html>\n  <head>\n    <title>%s</title>\n  </head>\n  <body>\n    <h1><p>%s</p></h1>\n    %s\n  </body>\n</html>\n", title, title, text)}
}

func (s *Site) write(w http.ResponseWriter, r *http.Request, a answer, fault *activeFault) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	if s.opts.Version >= 16 {
		h.Set("Cache-Control", "no-store")
	}
	for k, v := range a.headers {
		h.Set(k, v)
	}
	if a.kind == kindJSON {
		for _, cookie := range cookies {
			h.Add("Set-Cookie", cookie)
		}
	}
	if a.denied {
		for _, cookie := range []string{"full_name=", "user_image=", "sid=; Max-Age=0", "system_user=", "user_id="} {
			h.Add("Set-Cookie", cookie)
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		fault.send(w, r, a.body)
	}
}
