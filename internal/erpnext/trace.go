package erpnext

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Exchange is one request to ERPNext and its answer, with what may be kept of
// them: names of fields, our own keys, dates and numbers. It holds no customer
// data and no secret.
type Exchange struct {
	Op        string // "erpnext.create Sales Order"
	Method    string
	DocType   string
	StartedAt time.Time
	Took      time.Duration
	Request   string // JSON whose texts are withheld; "" = there was no body
	Status    int    // 0 = there was no answer
	ExcType   string // ERPNext's exception class, "" when it named none
	Message   string // why it was refused: the normalised cause
	Class     string // fault kind; "" = it worked
	Response  string // JSON of the answer without its texts and without what says nothing; "" = there was none
}

type traceKey struct{}

// WithTrace lets observe hear of every request made in this context, right
// after its answer. It may be called from several goroutines at once.
func WithTrace(ctx context.Context, observe func(Exchange)) context.Context {
	return context.WithValue(ctx, traceKey{}, observe)
}

// traced tells the context's observer, if any, of a request. code is 0 when
// there was no answer.
func traced(ctx context.Context, r request, start time.Time, took time.Duration, code int, answer *reply, err error) {
	observe, ok := ctx.Value(traceKey{}).(func(Exchange))
	if !ok {
		return
	}
	x := Exchange{
		Op: r.op, Method: r.verb, DocType: r.doctype, StartedAt: start.UTC(), Took: took,
		Request: withheld(r.body), Status: code, ExcType: ClassOf(err),
	}
	if answer != nil {
		x.Response = heard(answer.body)
	}
	if f := fault.As(err); f != nil {
		x.Message, x.Class = f.Cause, f.Kind.String()
	}
	observe(x)
}

const (
	// unsaid stands where a text was, or more than is kept.
	unsaid = "…"
	// maxRows of a table are kept, and a request of more than maxTrace bytes not
	// at all: beyond that nobody reads it.
	maxRows  = 20
	maxTrace = 16 << 10
	// maxHeard is less: ERPNext answers with the whole document, again and
	// again.
	maxHeard = 4 << 10
)

// plainFields hold texts that are never a customer's: our key, ERPNext's own
// words and dates.
var plainFields = []string{
	KeyField, "doctype", "reference_doctype", "currency", "price_list_currency", "party_type", "payment_type", "charge_type", "customer_type", "order_type",
	"transaction_date", "delivery_date", "posting_date", "reference_date", "po_date", "due_date", "order_by", "paid_from_account_currency", "paid_to_account_currency",
	"status", "exc_type",
}

// withheld is a request's body without its texts, so that a person can see
// which fields were sent, with which amounts, and nothing of the customer.
func withheld(body []byte) string {
	return shown(body, maxTrace, func(v any) any { return withhold("", v) })
}

// heard is an answer's body likewise, and without the hundred fields of a
// document that are empty or nought: what is left are its amounts and states.
func heard(body []byte) string {
	return shown(body, maxHeard, func(v any) any {
		kept, _ := telling(withhold("", v))
		return kept
	})
}

func shown(body []byte, limit int, change func(any) any) string {
	if len(body) == 0 {
		return ""
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // amounts as they were sent
	var v any
	if decoder.Decode(&v) != nil {
		return unsaid
	}
	var kept bytes.Buffer
	encoder := json.NewEncoder(&kept)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(change(v)) != nil || kept.Len() > limit {
		return unsaid
	}
	return strings.TrimSpace(kept.String())
}

// telling leaves out, in place, what tells nothing: withheld and empty texts,
// noughts, nulls, and what is empty without them. It reports whether anything is
// left. Where a document stands it says so itself, so docstatus stays.
func telling(v any) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			kept, any := telling(value)
			if v[name] = kept; !any && name != "docstatus" {
				delete(v, name)
			}
		}
		return v, len(v) > 0
	case []any:
		rows := make([]any, 0, len(v))
		for _, row := range v {
			if kept, any := telling(row); any {
				rows = append(rows, kept)
			}
		}
		return rows, len(rows) > 0
	case json.Number:
		return v, strings.Trim(v.String(), "-0.") != ""
	case string:
		return v, v != "" && v != unsaid
	case bool:
		return v, v
	default:
		return v, false
	}
}

func withhold(field string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			v[name] = withhold(name, value)
		}
		return v
	case []any:
		rows := make([]any, 0, min(len(v), maxRows+1))
		for _, row := range v[:min(len(v), maxRows)] {
			rows = append(rows, withhold(field, row))
		}
		if len(v) > maxRows {
			rows = append(rows, unsaid)
		}
		return rows
	case string:
		if v == "" || field == "fields" || slices.Contains(plainFields, field) {
			return v
		}
		return unsaid
	default: // a number, a yes or no, null
		return v
	}
}
