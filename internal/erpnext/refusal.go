package erpnext

import (
	"encoding/json"
	"errors"
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDetail is how many characters of the far side's words are kept.
const maxDetail = 2000

// Refusal is the machine-readable part of what ERPNext refused with; it is the
// Err of a fault.Error. It holds no customer data.
type Refusal struct {
	Status  int
	Class   string // ERPNext's exception class, "" when the answer named none
	Missing string // the DocType of which a named document does not exist, or ""
	Field   string // the field it is about, where one is known
	Closed  bool   // the books take nothing more on the document's date
}

func (r *Refusal) Error() string { return "status " + strconv.Itoa(r.Status) }

// MissingDocType tells of which DocType a document that the call named does
// not exist: "Customer" or "Item" when an order was refused for it. It is ""
// when err is about something else.
func MissingDocType(err error) string {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Missing
	}
	return ""
}

// BooksClosed reports whether err is ERPNext's refusal to book on a date: its
// period or year is closed, its accounts are frozen, or no Fiscal Year has it.
func BooksClosed(err error) bool {
	r, ok := errors.AsType[*Refusal](err)
	return ok && r.Closed
}

// ClassOf is ERPNext's exception class in err, or "".
func ClassOf(err error) string {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Class
	}
	return ""
}

// unknownField reports whether a query was refused because the DocType has no
// key field.
func unknownField(err error) bool {
	r, ok := errors.AsType[*Refusal](err)
	return ok && r.Field == KeyField && (r.Class == "DataError" || r.Class == "OperationalError")
}

// said is an error answer taken apart. Its texts may hold customer data.
type said struct {
	json      bool
	class     string
	exception string   // "module.Class: text", as sent
	messages  []string // server messages as plain text; the one that was raised last
	reason    string   // _error_message as plain text
}

var className = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,60}$`)

// understand reads an error body. ERPNext 14 sends exc_type only where an
// error went through throw; the class then stands in the exception text.
func understand(body []byte) said {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return said{messages: pageText(body)}
	}
	s := said{
		json:      true,
		class:     textOf(fields["exc_type"]),
		exception: textOf(fields["exception"]),
		messages:  serverMessages(textOf(fields["_server_messages"])),
		reason:    plainText(textOf(fields["_error_message"])),
	}
	if s.class == "" {
		name, _, _ := strings.Cut(s.exception, ":")
		s.class = name[strings.LastIndexByte(name, '.')+1:]
	}
	if !className.MatchString(s.class) {
		s.class = ""
	}
	return s
}

func textOf(data json.RawMessage) string {
	var text string
	if json.Unmarshal(data, &text) != nil {
		return ""
	}
	return text
}

// serverMessages decodes a JSON text of a list of JSON texts. What does not
// decode is kept as it is.
func serverMessages(text string) []string {
	var entries []string
	if text == "" || json.Unmarshal([]byte(text), &entries) != nil {
		return nil
	}
	var plain, raised []string
	for _, entry := range entries {
		var m struct {
			Message json.RawMessage `json:"message"`
			Raised  Check           `json:"raise_exception"`
		}
		message := entry
		if json.Unmarshal([]byte(entry), &m) == nil {
			message = textOf(m.Message)
		}
		if m.Raised {
			raised = append(raised, plainText(message))
		} else {
			plain = append(plain, plainText(message))
		}
	}
	return append(plain, raised...)
}

var (
	tags   = regexp.MustCompile(`<[^<>]*>`)
	breaks = regexp.MustCompile(`(?i)<(br|p|li|/p|/li|/summary|/h1)\b[^<>]*>`)
	hushed = regexp.MustCompile(`(?is)<(script|style|head)\b.*?</(script|style|head)>`)
	blanks = regexp.MustCompile(`[\s\p{Zs}]+`)
)

// plainText takes the tags out of a text and makes it one line.
func plainText(text string) string {
	text = tags.ReplaceAllString(breaks.ReplaceAllString(text, " "), "")
	return strings.TrimSpace(blanks.ReplaceAllString(html.UnescapeString(text), " "))
}

// pageText is what a person sees of an HTML page or a plain text.
func pageText(body []byte) []string {
	const enough = 64 << 10
	text := plainText(hushed.ReplaceAllString(string(body[:min(len(body), enough)]), " "))
	if text == "" {
		return nil
	}
	return []string{text}
}

// text is the most telling sentence.
func (s said) text() string {
	switch {
	case len(s.messages) > 0:
		return s.messages[len(s.messages)-1]
	case s.reason != "":
		return s.reason
	default:
		return plainText(s.tail())
	}
}

// tail is the exception's text without its class.
func (s said) tail() string {
	_, tail, _ := strings.Cut(s.exception, ":")
	return strings.TrimSpace(tail)
}

// all is everything that was said, for phrases that may stand anywhere.
func (s said) all() string {
	parts := append([]string{}, s.messages...)
	for _, part := range []string{s.reason, plainText(s.exception)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "\n")
}

// detail is what is kept for the operator. Tracebacks are never part of it.
func (s said) detail() string { return cut(s.all(), maxDetail) }

// cut shortens a text to so many characters, never inside one.
func cut(text string, limit int) string {
	text = strings.ToValidUTF8(text, "�")
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}
