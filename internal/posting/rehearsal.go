package posting

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// Rehearsal is a Site on which nothing is written: reads pass through to the
// real one, and what would be written is noted and answered as ERPNext would,
// so that a Poster can be watched at work.
type Rehearsal struct {
	// Site answers the reads.
	Site
	// Total is what ERPNext is taken to make of an order's rows: the shop's own.
	Total money.Amount
	// Blank says that no document that is asked for is there yet.
	Blank bool

	mu    sync.Mutex
	steps []Step
	made  []*rehearsed
}

// Step is one write that would be sent.
type Step struct {
	Action  string `json:"action"` // "create", "update", "submit", "cancel", "delete", "comment", "call"
	DocType string `json:"doctype,omitempty"`
	Name    string `json:"name,omitempty"` // ERPNext's, or a stand-in for one that is not made
	Key     string `json:"key,omitempty"`
	Body    any    `json:"body,omitempty"`
}

// rehearsed is a document as it would be.
type rehearsed struct {
	doctype, name, key string
	fields             map[string]any
}

// Steps are what would be written, in order.
func (r *Rehearsal) Steps() []Step {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.steps)
}

// note adds a step. Callers hold the lock.
func (r *Rehearsal) note(s Step) { r.steps = append(r.steps, s) }

func (r *Rehearsal) find(fits func(*rehearsed) bool) *rehearsed {
	if i := slices.IndexFunc(r.made, fits); i >= 0 {
		return r.made[i]
	}
	return nil
}

func (r *Rehearsal) named(doctype, name string) *rehearsed {
	return r.find(func(d *rehearsed) bool { return d.doctype == doctype && d.name == name })
}

func (r *Rehearsal) keyed(doctype, key string) *rehearsed {
	return r.find(func(d *rehearsed) bool { return d.doctype == doctype && strings.EqualFold(d.key, key) })
}

// Create notes a document that would be made.
func (r *Rehearsal) Create(_ context.Context, doctype string, doc, out any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.make(doctype, "", doc, out)
}

func (r *Rehearsal) make(doctype, key string, doc, out any) error {
	fields, err := fieldsOf(doc)
	if err != nil {
		return err
	}
	d := &rehearsed{doctype: doctype, key: key, name: fmt.Sprintf("new %s %d", doctype, len(r.made)+1), fields: fields}
	r.note(Step{Action: "create", DocType: doctype, Name: d.name, Key: key, Body: doc})
	fields["name"], fields["docstatus"], fields[erpnext.KeyField] = d.name, erpnext.Draft, key
	nameRows(fields)
	switch doctype {
	case erpnext.DocSalesOrder:
		fields["grand_total"] = r.Total.Value().String()
	case erpnext.DocSalesInvoice:
		fields["grand_total"] = sumOfRows(fields).String()
	}
	r.made = append(r.made, d)
	return answer(d.fields, out)
}

// Ensure finds the document of a key, or notes that it would be made.
func (r *Rehearsal) Ensure(ctx context.Context, doctype, key string, doc, out any) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.keyed(doctype, key); d != nil {
		return false, answer(d.fields, out)
	}
	if !r.Blank {
		if found, err := r.Site.FindByKey(ctx, doctype, key, out); found || err != nil {
			return false, err
		}
	}
	return true, r.make(doctype, key, doc, out)
}

// FindByKey looks among what would be made first.
func (r *Rehearsal) FindByKey(ctx context.Context, doctype, key string, out any) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.keyed(doctype, key); d != nil {
		return true, answer(d.fields, out)
	}
	return r.Site.FindByKey(ctx, doctype, key, out)
}

// Get reads a document, with what would be changed in it.
func (r *Rehearsal) Get(ctx context.Context, doctype, name string, out any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.named(doctype, name); d != nil {
		return answer(d.fields, out)
	}
	return r.Site.Get(ctx, doctype, name, out)
}

// Update notes what would be changed.
func (r *Rehearsal) Update(ctx context.Context, doctype, name string, fields map[string]any, out any) error {
	return r.change(ctx, Step{Action: "update", DocType: doctype, Name: name, Body: fields}, fields, out)
}

// Submit notes what would be submitted.
func (r *Rehearsal) Submit(ctx context.Context, doctype, name string, out any) error {
	return r.change(ctx, Step{Action: "submit", DocType: doctype, Name: name}, map[string]any{"docstatus": erpnext.Submitted}, out)
}

// Cancel notes what would be cancelled.
func (r *Rehearsal) Cancel(ctx context.Context, doctype, name string) error {
	return r.change(ctx, Step{Action: "cancel", DocType: doctype, Name: name}, map[string]any{"docstatus": erpnext.Cancelled}, nil)
}

// change notes a change of a document, which from now on reads so.
func (r *Rehearsal) change(ctx context.Context, s Step, fields map[string]any, out any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.named(s.DocType, s.Name)
	if d == nil {
		d = &rehearsed{doctype: s.DocType, name: s.Name}
		if err := r.Site.Get(ctx, s.DocType, s.Name, &d.fields); err != nil {
			return err
		}
		d.key, _ = d.fields[erpnext.KeyField].(string)
		r.made = append(r.made, d)
	}
	s.Key = d.key
	r.note(s)
	changed, err := fieldsOf(fields)
	if err != nil {
		return err
	}
	for name, value := range changed {
		d.fields[name] = value
	}
	return answer(d.fields, out)
}

// Delete notes what would be deleted.
func (r *Rehearsal) Delete(_ context.Context, doctype, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(Step{Action: "delete", DocType: doctype, Name: name})
	r.made = slices.DeleteFunc(r.made, func(d *rehearsed) bool { return d.doctype == doctype && d.name == name })
	return nil
}

// Comment notes what would be written beneath a document.
func (r *Rehearsal) Comment(_ context.Context, doctype, name, text string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(Step{Action: "comment", DocType: doctype, Name: name, Body: text})
	return nil
}

// reading are the methods of ERPNext that change nothing, however they are called.
var reading = []string{"erpnext.setup.utils.get_exchange_rate", "frappe.client.get", ".make_", ".get_"}

// Call passes a method through that only reads, and notes any other.
func (r *Rehearsal) Call(ctx context.Context, httpMethod, name string, args, out any) error {
	for _, method := range reading {
		if strings.Contains(name, method) {
			return r.Site.Call(ctx, httpMethod, name, args, out)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(Step{Action: "call", Name: name, Body: args})
	return nil
}

func fieldsOf(doc any) (map[string]any, error) {
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	numbers := json.NewDecoder(bytes.NewReader(data))
	numbers.UseNumber() // an amount is never a float
	return fields, numbers.Decode(&fields)
}

// nameRows gives every row a name, by which other documents refer to it.
func nameRows(fields map[string]any) {
	for table := range fields {
		for i, row := range rowsOf(fields, table) {
			if row["name"] == nil {
				row["name"] = fmt.Sprintf("%s %d", table, i+1)
			}
		}
	}
}

// sumOfRows is what a document's rows come to.
func sumOfRows(fields map[string]any) decimal.Decimal {
	var sum decimal.Decimal
	for _, row := range rowsOf(fields, "items") {
		sum = sum.Add(numberOf(row["qty"]).Mul(numberOf(row["rate"])))
	}
	for _, row := range rowsOf(fields, "taxes") {
		sum = sum.Add(numberOf(row["tax_amount"]))
	}
	return sum
}

func rowsOf(fields map[string]any, table string) []map[string]any {
	var rows []map[string]any
	list, _ := fields[table].([]any)
	for _, row := range list {
		if row, ok := row.(map[string]any); ok {
			rows = append(rows, row)
		}
	}
	return rows
}

func numberOf(v any) decimal.Decimal {
	d, err := decimal.NewFromString(fmt.Sprint(v))
	if err != nil {
		return decimal.Zero
	}
	return d
}

func answer(fields map[string]any, out any) error {
	if out == nil {
		return nil
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// Scratch is a Memory that reads from another one and keeps what is written to
// itself, so that nothing stays of a rehearsal.
type Scratch struct {
	Memory
	// Hidden are keys of which nothing is remembered.
	Hidden []string

	mu   sync.Mutex
	docs map[string]*event.Document // nil = forgotten
}

// Document reads what was written here, else what the other memory has.
func (s *Scratch) Document(ctx context.Context, doctype, key string) (event.Document, bool, error) {
	s.mu.Lock()
	doc, written := s.docs[doctype+"\x00"+key]
	s.mu.Unlock()
	switch {
	case written && doc == nil:
		return event.Document{}, false, nil
	case written:
		return *doc, true, nil
	case slices.Contains(s.Hidden, key):
		return event.Document{}, false, nil
	}
	return s.Memory.Document(ctx, doctype, key)
}

// Remember keeps documents here.
func (s *Scratch) Remember(_ context.Context, _ string, docs ...event.Document) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.docs == nil {
		s.docs = map[string]*event.Document{}
	}
	for _, doc := range docs {
		s.docs[doc.DocType+"\x00"+doc.Key] = &doc
	}
	return nil
}

// Forget forgets a document here.
func (s *Scratch) Forget(_ context.Context, doctype, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.docs == nil {
		s.docs = map[string]*event.Document{}
	}
	s.docs[doctype+"\x00"+key] = nil
	return nil
}

// SetNote keeps nothing: what was noted is read again.
func (s *Scratch) SetNote(context.Context, string, string) error { return nil }

// OwnKeys are the keys of what an event is about: to forget them is to look at
// it as if for the first time.
func OwnKeys(o Origin, c commerce.Content) []string {
	var keys []string
	payments, refunds := []commerce.Payment{}, c.Refunds
	if c.Order != nil {
		keys = append(keys, o.Key("order", c.Order.ID), o.Key("order-name", orderName(c.Order.Name)))
		payments, refunds = c.Order.Payments, slices.Concat(c.Order.Refunds, refunds)
	}
	if c.Payment != nil {
		payments = append(slices.Clone(payments), *c.Payment)
	}
	for _, p := range payments {
		keys = append(keys, movementKeys(o, "payment", p.ID, p.Aliases)...)
	}
	for _, r := range refunds {
		keys = append(keys, movementKeys(o, "refund", r.ID, r.Aliases)...)
	}
	if c.Payout != nil {
		keys = append(keys, o.Key("payout", c.Payout.ID))
	}
	if c.Dispute != nil {
		for _, s := range append([]commerce.Settlement{{ID: "withdrawn"}, {ID: "reinstated"}, {ID: "lost"}}, c.Dispute.Movements...) {
			keys = append(keys, o.Key("dispute", c.Dispute.ID+"/"+s.ID))
		}
	}
	return keys
}

// Waits reports whether posting put off what it was asked for, and why.
func Waits(err error) (string, bool) {
	f := fault.As(err)
	if f == nil || f.Kind != fault.Waiting {
		return "", false
	}
	return f.Cause, true
}
