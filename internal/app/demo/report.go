package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
)

// ErrUnexpected says that the demo did not end as it must.
var ErrUnexpected = errors.New("the demo did not end as expected")

// report is what the demo prints.
type report struct {
	Deliveries []delivery           `json:"deliveries"`
	Events     []handlers.EventView `json:"events"`
	Documents  []document           `json:"documents"`
	Problems   []string             `json:"problems"`
	siteURL    string
}

type delivery struct {
	Source string `json:"source"`
	Topic  string `json:"topic"`
	Forged bool   `json:"forged,omitempty"`
	Status int    `json:"status"`
	Answer string `json:"answer"`
}

// document is one document as ERPNext shows it.
type document struct {
	DocType string `json:"doctype"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Party   string `json:"party,omitempty"`
	Number  string `json:"number,omitempty"` // the shop's order name, the provider's reference
	Amount  string `json:"amount,omitempty"`
	Against string `json:"against,omitempty"`
	Key     string `json:"key"`
}

// collect asks the inbox and ERPNext what there is now.
func (s *stage) collect(ctx context.Context, r *report) error {
	list, _, err := s.service.Inbox().List(ctx, event.Filter{Limit: 100})
	if err != nil {
		return err
	}
	slices.Reverse(list) // oldest first
	for _, e := range list {
		ev, _, docs, err := s.service.Inbox().Get(ctx, e.ID)
		if err != nil {
			return err
		}
		r.Events = append(r.Events, handlers.NewEventView(ev, nil, docs, app.DeskURL(s.siteURL)))
	}
	for _, doctype := range []string{"Customer", "Sales Order", "Payment Entry"} {
		for _, doc := range s.site.Documents(doctype) {
			r.Documents = append(r.Documents, describe(doctype, doc))
		}
	}
	r.check()
	return nil
}

func describe(doctype string, doc map[string]any) document {
	text := func(field string) string {
		if v, ok := doc[field]; ok && v != nil {
			return fmt.Sprint(v)
		}
		return ""
	}
	d := document{DocType: doctype, Name: text("name"), Status: text("status"), Key: text("custom_ledgerhook_key")}
	switch doctype {
	case "Customer":
		d.Party, d.Number = text("customer_name"), text("email_id")
	case "Sales Order":
		d.Party, d.Number, d.Amount = text("customer"), text("po_no"), amount(doc["grand_total"], text("currency"))
	case "Payment Entry":
		d.Party, d.Number, d.Amount = text("party"), text("reference_no"), amount(doc["paid_amount"], text("paid_to_account_currency"))
		d.Against = references(doc["references"])
	}
	return d
}

func amount(v any, currency string) string {
	if f, ok := v.(float64); ok {
		return fmt.Sprintf("%.2f %s", f, currency)
	}
	return fmt.Sprint(v)
}

func references(v any) string {
	rows, _ := v.([]any)
	var names []string
	for _, row := range rows {
		if m, ok := row.(map[string]any); ok {
			names = append(names, fmt.Sprint(m["reference_name"]))
		}
	}
	return strings.Join(names, ", ")
}

// expected is what ERPNext must hold in the end: by key, what it says.
var expected = []document{
	{DocType: "Customer", Party: "Ada Byron", Key: "shopify/shopify/customer/7771234567001"},
	{DocType: "Customer", Party: "Grace Murray", Key: "shopify/shopify/customer/7771234567002"},
	{DocType: "Sales Order", Status: "To Deliver and Bill", Party: "Ada Byron", Number: "#1001", Amount: "68.63 USD", Key: "shopify/shopify/order/5551234567890"},
	{DocType: "Sales Order", Status: "To Deliver and Bill", Party: "Grace Murray", Number: "#1002", Amount: "18.50 USD", Key: "shopify/shopify/order/5551234567891"},
	{DocType: "Sales Order", Status: "To Deliver and Bill", Party: "Ada Byron", Number: "#1003", Amount: "25.98 USD", Key: "shopify/shopify/order/5551234567892"},
	{DocType: "Payment Entry", Status: "Submitted", Party: "Ada Byron", Number: "txn_1003", Amount: "25.98 USD", Key: "shopify/shopify/payment/4441234567001"},
	{DocType: "Payment Entry", Status: "Submitted", Party: "Ada Byron", Number: "ch_1DemoCharge", Amount: "68.63 USD", Key: "stripe/stripe/payment/pi_1demointent"},
	{DocType: "Payment Entry", Status: "Submitted", Party: "Grace Murray", Number: "5DE00000MO000001C", Amount: "18.50 USD", Key: "paypal/paypal/payment/5de00000mo000001c"},
}

// answers are what the deliveries must be answered, in order.
var answers = []struct {
	status int
	word   string
}{
	{200, "accepted"}, {200, "accepted"}, {200, "accepted"}, {200, "accepted"}, {200, "accepted"}, {200, "accepted"}, {200, "accepted"},
	{200, "accepted"}, {200, "accepted"},
	{200, "duplicate"}, {401, "bad_signature"},
}

func (r *report) check() {
	for i, want := range answers {
		if i >= len(r.Deliveries) || r.Deliveries[i].Status != want.status || !strings.Contains(r.Deliveries[i].Answer, `"`+want.word+`"`) {
			r.problem("delivery %d was not answered %d %s", i+1, want.status, want.word)
		}
	}
	for _, ev := range r.Events {
		if ev.State != event.Done && ev.State != event.Ignored {
			r.problem("%s %s is %s: %s", ev.Source, ev.Topic, ev.State, ev.Error)
		}
	}
	if len(r.Documents) != len(expected) {
		r.problem("%d documents in ERPNext, expected %d", len(r.Documents), len(expected))
	}
	for _, want := range expected {
		r.checkDocument(want)
	}
}

func (r *report) checkDocument(want document) {
	i := slices.IndexFunc(r.Documents, func(d document) bool { return d.DocType == want.DocType && d.Key == want.Key })
	if i < 0 {
		r.problem("no %s %s", want.DocType, want.Key)
		return
	}
	got := r.Documents[i]
	if (want.Status != "" && got.Status != want.Status) || got.Party != want.Party || (want.Amount != "" && got.Amount != want.Amount) ||
		(want.Number != "" && got.Number != want.Number) || (want.DocType == "Payment Entry" && got.Against == "") {
		r.problem("%s %s is %+v, expected %+v", want.DocType, want.Key, got, want)
	}
}

func (r *report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func (r *report) print(o Options) error {
	if o.JSON {
		enc := json.NewEncoder(o.Out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return err
		}
	} else {
		r.printText(o)
	}
	if len(r.Problems) > 0 {
		return fmt.Errorf("%w: %s", ErrUnexpected, strings.Join(r.Problems, "; "))
	}
	return nil
}

func (r *report) printText(o Options) {
	w := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Signed webhooks sent to the service:")
	for _, d := range r.Deliveries {
		topic := d.Topic
		if d.Forged {
			topic += " (forged)"
		}
		fmt.Fprintf(w, "  %s\t%s\t%d\t%s\n", d.Source, topic, d.Status, d.Answer)
	}
	fmt.Fprintln(w, "\nWhat became of each event:")
	for _, ev := range r.Events {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", ev.Source, ev.Topic, ev.State, outcome(ev))
	}
	fmt.Fprintln(w, "\nIn ERPNext now:")
	for _, d := range r.Documents {
		against := ""
		if d.Against != "" {
			against = "against " + d.Against
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.DocType, d.Name, d.Party, d.Number, d.Amount, d.Status, against)
	}
	_ = w.Flush()
	if len(r.Problems) == 0 {
		fmt.Fprintln(o.Out, "\nEvery document is as expected.")
	}
}

// outcome tells an event's documents, or why there are none.
func outcome(ev handlers.EventView) string {
	var parts []string
	for _, d := range ev.Documents {
		if text := d.DocType + " " + d.Name; !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return ev.Error
	}
	return strings.Join(parts, ", ")
}
