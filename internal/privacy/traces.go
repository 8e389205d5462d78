package privacy

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// mostTraces bounds what is kept of one event. One that mentions more (an
// export of many customers) is kept untraced and searched itself.
const mostTraces = 100

var (
	address = regexp.MustCompile(`[^\s<>"'(),;:\[\]\\{}|=&?/@]+@[\pL\pN.-]+\.[\pL\pN-]+`)
	digits  = regexp.MustCompile(`[^0-9]`)
)

func emailTrace(email string) string { return "email/" + strings.ToLower(strings.TrimSpace(email)) }

// phoneTrace compares numbers by their digits, without 00 or + before the
// country. A text with fewer than six digits is no number.
func phoneTrace(phone string) string {
	d := strings.TrimPrefix(digits.ReplaceAllString(phone, ""), "00")
	if len(d) < 6 {
		return ""
	}
	return "phone/" + d
}

func idTrace(kind, id string) string {
	id = id[strings.LastIndexByte(id, '/')+1:] // gid://shopify/Order/1
	if id == "" {
		return ""
	}
	return kind + "/" + id
}

// subjectTrace joins events about one thing: a refund names its order and no
// e-mail.
func subjectTrace(ev event.Event) string {
	if ev.Subject == "" {
		return ""
	}
	return "subject/" + ev.Source + "/" + ev.Subject
}

// Traces names whom an event mentions: e-mail addresses anywhere in its body,
// phone numbers, and the ids of customers and orders, whatever provider it is
// of. A body that is no JSON is searched for addresses alone. nil: it has no
// body, or mentions more than is worth keeping.
func Traces(ev event.Event) []string {
	if all := allTraces(ev); len(all) <= mostTraces {
		return all
	}
	return nil
}

func allTraces(ev event.Event) []string {
	if ev.Body == nil {
		return nil
	}
	f := finder{topic: ev.Topic}
	f.add(subjectTrace(ev))
	if id, ok := strings.CutPrefix(ev.Subject, "order/"); ok {
		f.add(idTrace("order", id))
	}
	d := json.NewDecoder(bytes.NewReader(ev.Body))
	d.UseNumber()
	var root any
	if err := d.Decode(&root); err != nil {
		f.addresses(string(ev.Body))
	}
	f.root(root)
	slices.Sort(f.found)
	return slices.Compact(f.found)
}

// finder collects the traces of one body.
type finder struct {
	topic string
	found []string
}

func (f *finder) add(trace string) {
	if trace != "" {
		f.found = append(f.found, trace)
	}
}

func (f *finder) addresses(s string) {
	if !strings.Contains(s, "@") {
		return
	}
	for _, a := range address.FindAllString(s, -1) {
		f.add(emailTrace(strings.TrimRight(a, ".")))
	}
}

// root reads the id of the thing itself, which only the topic names.
func (f *finder) root(v any) {
	if object, ok := v.(map[string]any); ok {
		kind, _, _ := strings.Cut(f.topic, "/")
		switch kind {
		case "customers":
			f.add(idTrace("customer", scalar(object["id"])))
		case "orders":
			f.add(idTrace("order", scalar(object["id"])))
		}
	}
	f.walk("", v)
}

// walk goes through a value that stands under key; elements of a list stand
// under the list's.
func (f *finder) walk(key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if key == "customer" || v["object"] == "customer" {
			f.add(idTrace("customer", scalar(v["id"])))
		}
		for name, value := range v {
			if strings.Contains(key, "phone") && !strings.Contains(name, "phone") {
				name = key + "." + name // PayPal: phone.phone_number.national_number
			}
			f.walk(strings.ToLower(name), value)
		}
	case []any:
		for _, value := range v {
			f.walk(key, value)
		}
	default:
		f.leaf(key, scalar(v))
	}
}

func (f *finder) leaf(key, s string) {
	f.addresses(s)
	switch {
	case s == "":
	case strings.Contains(key, "phone"):
		f.add(phoneTrace(s))
	case key == "customer" || key == "customer_id":
		f.add(idTrace("customer", s))
	case strings.HasSuffix(key, "order_id"), key == "client_reference_id", key == "custom_id", key == "invoice_id":
		f.add(idTrace("order", s))
	}
}

// scalar is a text or a number as it was written; else "".
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	default:
		return ""
	}
}
