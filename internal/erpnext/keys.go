package erpnext

import (
	"context"
	"encoding/json"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/prometheus/client_golang/prometheus"
)

// recheck is how long "this site has no key field" is believed: setup may run
// while we do.
const recheck = time.Minute

// keyFields remembers which DocTypes have the key field.
type keyFields struct {
	gauge *prometheus.GaugeVec
	turn  chan struct{} // of the one writer of the DocTypes that have none

	mu    sync.Mutex
	known map[string]keyState
}

type keyState struct {
	present bool
	missed  bool // it was missing since we started: documents may carry the key elsewhere
	at      time.Time
}

func (k *keyFields) get(doctype string) (present, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	state, ok := k.known[doctype]
	if !ok || (!state.present && time.Since(state.at) > recheck) {
		return false, false
	}
	return state.present, true
}

func (k *keyFields) set(doctype string, present bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known[doctype] = keyState{present: present, missed: !present || k.known[doctype].missed, at: time.Now()}
	value := 0.0
	if present {
		value = 1
	}
	k.gauge.WithLabelValues(label(doctype)).Set(value)
}

// missed reports whether the DocType was seen without the key field.
func (k *keyFields) missed(doctype string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[doctype].missed
}

// HasKeyField tells whether the DocType has our unique key field. It asks the
// site once and remembers yes for ever, no for a minute.
func (c *Client) HasKeyField(ctx context.Context, doctype string) (bool, error) {
	if present, known := c.keys.get(doctype); known {
		return present, nil
	}
	err := c.List(ctx, Query{DocType: doctype, Fields: []string{"name", KeyField}, Limit: 1}, nil)
	switch {
	case err == nil:
		c.keys.set(doctype, true)
		return true, nil
	case unknownField(err):
		c.keys.set(doctype, false)
		c.log.Warn().Str("doctype", doctype).Msg("erpnext has no unique key field; run the setup command")
		return false, nil
	default:
		return false, err
	}
}

// FindByKey looks a document up by our key, whatever its docstatus, and
// decodes its main fields into out (a *Stored). On a site without the key
// field it looks into the field that Ensure wrote the key to instead, and after
// the field was made, into both; of several documents there it prefers a
// submitted one, then a draft.
func (c *Client) FindByKey(ctx context.Context, doctype, key string, out any) (bool, error) {
	if err := checkKey("erpnext.find "+doctype, key); err != nil {
		return false, err
	}
	strong, err := c.HasKeyField(ctx, doctype)
	if err != nil {
		return false, err
	}
	if !strong {
		return c.findWeakly(ctx, doctype, key, out)
	}
	found, err := c.find(ctx, doctype, KeyField, key, out)
	if err != nil && unknownField(err) {
		c.keys.set(doctype, false) // somebody removed the field
	}
	if found || err != nil || !c.keys.missed(doctype) {
		return found, err
	}
	return c.findWeakly(ctx, doctype, key, out)
}

// findWeakly looks into the stock field that stands in for the key.
func (c *Client) findWeakly(ctx context.Context, doctype, key string, out any) (bool, error) {
	field := weakField(doctype)
	if field == "" {
		return false, nil
	}
	return c.find(ctx, doctype, field, key, out)
}

func (c *Client) find(ctx context.Context, doctype, field, key string, out any) (bool, error) {
	var rows []json.RawMessage
	err := c.List(ctx, Query{
		DocType: doctype,
		Fields:  withField(storedFields(doctype), field),
		Filters: map[string]any{field: key},
		Limit:   5,
	}, &rows)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	best, rank := rows[0], -1
	for _, row := range rows {
		if r := rankOf(row); r > rank {
			best, rank = row, r
		}
	}
	return true, decode("erpnext.find "+doctype, best, out)
}

func withField(fields []string, field string) []string {
	for _, f := range fields {
		if f == field {
			return fields
		}
	}
	return append(fields, field)
}

// rankOf orders documents of one key: submitted, draft, cancelled.
func rankOf(row json.RawMessage) int {
	var doc Stored
	if json.Unmarshal(row, &doc) != nil {
		return -1
	}
	return map[int]int{Submitted: 2, Draft: 1, Cancelled: 0}[doc.DocStatus]
}

// Ensure makes the document unless one with this key exists, and reports
// whether this call made it. It creates first and, whatever goes wrong, looks
// the key up before it gives up: business rules run before the unique index,
// so a repeat is refused in many ways. Found is success. When the look-up
// fails, that failure is returned: it can be tried again, the outcome cannot
// be told. A key that is refused as taken and yet not found is Rights: the
// document is hidden from the API user.
//
// The document gets the key, whatever it held before. On a site without the
// key field ensureWeakly does what can be done.
func (c *Client) Ensure(ctx context.Context, doctype, key string, doc, out any) (bool, error) {
	op := "erpnext.create " + doctype
	if err := checkKey(op, key); err != nil {
		return false, err
	}
	fields, err := fieldsOf(op, doc)
	if err != nil {
		return false, err
	}
	strong, err := c.HasKeyField(ctx, doctype)
	switch {
	case err != nil:
		return false, err
	case !strong:
		return c.ensureWeakly(ctx, doctype, key, fields, out)
	case c.keys.missed(doctype): // before the field was made, the key went elsewhere
		if found, err := c.findWeakly(ctx, doctype, key, out); found || err != nil {
			return false, err
		}
	}
	fields[KeyField] = quoted(key)
	return c.createOrFind(ctx, doctype, key, fields, out)
}

// ensureWeakly makes a document on a site that does not keep keys unique. The
// key goes into a stock field (weakField) and is looked up before anything is
// created, by one writer of the whole site at a time: between its look-up and
// its create nobody else of this service writes. What is left is a create that
// ERPNext carries out after we gave it up: so that it is seen by the next
// look-up, the next try is put off by as long as the site may take.
func (c *Client) ensureWeakly(ctx context.Context, doctype, key string, fields map[string]json.RawMessage, out any) (bool, error) {
	select {
	case c.keys.turn <- struct{}{}:
		defer func() { <-c.keys.turn }()

	case <-ctx.Done():
		return false, transportFault("erpnext.create "+doctype, ctx.Err())
	}
	if found, err := c.findWeakly(ctx, doctype, key, out); found || err != nil {
		return false, err
	}
	delete(fields, KeyField)
	if field := weakField(doctype); field != "" {
		fields[field] = quoted(key)
	}
	created, err := c.createOrFind(ctx, doctype, key, fields, out)
	return created, c.putOff(err)
}

// putOff stretches the pause after a create of which nobody knows how it ends.
func (c *Client) putOff(err error) error {
	switch fault.KindOf(err) {
	case fault.Network, fault.Timeout, fault.Unavailable:
		f := *fault.As(err)
		if f.Cause == causeNoHost || f.Cause == causeRefused {
			return err // it never left
		}
		f.RetryAfter = max(f.RetryAfter, c.http.Timeout)
		return &f
	default:
		return err
	}
}

func (c *Client) createOrFind(ctx context.Context, doctype, key string, fields map[string]json.RawMessage, out any) (bool, error) {
	var raw json.RawMessage
	refused := c.create(ctx, doctype, fields, &raw)
	if refused == nil {
		c.checkKept(ctx, doctype, key, fields, raw)
		return true, decode("erpnext.create "+doctype, raw, out)
	}
	if nothingHappened(refused) {
		return false, refused
	}
	found, err := c.FindByKey(ctx, doctype, key, out)
	switch {
	case err != nil:
		return false, err
	case found:
		return false, nil
	case keyTaken(refused):
		return false, hidden(doctype, refused)
	default:
		return false, refused
	}
}

// checkKept looks whether a new document has the key. ERPNext drops what is no
// field without a word, so this is how we learn that somebody removed the
// field, or closed it to the API user. The document then gets the key where it
// is kept without the field.
func (c *Client) checkKept(ctx context.Context, doctype, key string, fields map[string]json.RawMessage, raw json.RawMessage) {
	var made Stored
	if _, sent := fields[KeyField]; !sent || json.Unmarshal(raw, &made) != nil || made.Key != "" {
		return
	}
	c.keys.set(doctype, false)
	err := error(nil)
	if field := weakField(doctype); field != "" {
		err = c.Update(ctx, doctype, made.Name, map[string]any{field: key}, nil)
	}
	c.log.Error().Str("doctype", doctype).AnErr("error", err).Msg("erpnext dropped the unique key; run the setup command, and look at the key field's permission level")
}

// nothingHappened reports whether a look-up cannot tell more: it would be
// refused the same way.
func nothingHappened(err error) bool {
	switch fault.KindOf(err) {
	case fault.Credentials, fault.RateLimited:
		return true
	default:
		return false
	}
}

func keyTaken(err error) bool {
	return fault.KindOf(err) == fault.Duplicate && ClassOf(err) == "UniqueValidationError"
}

func hidden(doctype string, refused error) *fault.Error {
	f := *fault.As(refused)
	f.Kind = fault.Rights
	f.Cause = "the key is taken by a document that the API user cannot see"
	f.Hint = "remove the User Permissions that hide a " + doctype + " from the API user"
	return &f
}

func checkKey(op, key string) error {
	if key == "" || utf8.RuneCountInString(key) > MaxKey {
		return badRequest(op, "the key is empty or longer than 140 characters")
	}
	return nil
}

func quoted(text string) json.RawMessage {
	data, err := json.Marshal(text)
	if err != nil {
		return json.RawMessage(`""`) // a Go string always encodes
	}
	return data
}
