package erpnext

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// book is a far side with one document store, as small as Ensure needs.
type book struct {
	noKeyField bool
	lookup     func() (int, string)                      // nil = answer from rows
	create     func(fields map[string]any) (int, string) // nil = store and answer

	rows     []map[string]any
	requests []string
}

func (b *book) RoundTrip(r *http.Request) (*http.Response, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var args map[string]any
	if err := json.Unmarshal(data, &args); err != nil {
		return nil, err
	}
	if strings.HasPrefix(r.URL.Path, "/api/method/frappe.client.get_list") {
		return b.list(args, string(data))
	}
	b.requests = append(b.requests, "create")
	if b.create != nil {
		if status, answer := b.create(args); status != 0 {
			return answered(status, answer)
		}
		return nil, io.ErrUnexpectedEOF
	}
	return answered(200, b.store(args))
}

func (b *book) store(fields map[string]any) string {
	fields["name"], fields["docstatus"] = "DOC-1", 0
	b.rows = append(b.rows, fields)
	answer, err := json.Marshal(map[string]any{"data": fields})
	if err != nil {
		return ""
	}
	return string(answer)
}

func (b *book) list(args map[string]any, body string) (*http.Response, error) {
	filters, finding := args["filters"].(map[string]any)
	if !finding {
		b.requests = append(b.requests, "probe")
	} else {
		b.requests = append(b.requests, "find")
	}
	if b.noKeyField && strings.Contains(body, KeyField) {
		return answered(417, errorBody("DataError", "frappe.exceptions.DataError: Field not permitted in query: "+KeyField))
	}
	if b.lookup != nil && finding {
		return answered(b.lookup())
	}
	found := []map[string]any{}
	for _, row := range b.rows {
		for field, value := range filters {
			if row[field] == value {
				found = append(found, row)
			}
		}
	}
	answer, err := json.Marshal(map[string]any{"message": found})
	if err != nil {
		return nil, err
	}
	return answered(200, string(answer))
}

func TestEnsure(t *testing.T) {
	stored := func(b *book) func(map[string]any) (int, string) {
		return func(fields map[string]any) (int, string) { b.store(fields); return 0, "" }
	}
	refuse := func(status int, body string) func(*book) func(map[string]any) (int, string) {
		return func(*book) func(map[string]any) (int, string) {
			return func(map[string]any) (int, string) { return status, body }
		}
	}
	taken := errorBody("UniqueValidationError", `x: ('Sales Order', 'S', IntegrityError(1062, "Duplicate entry 'k' for key '`+KeyField+`'"))`)
	poTaken := errorBody("ValidationError", "", "Sales Order S already exists against Customer's Purchase Order 1")
	there := []map[string]any{{"name": "DOC-0", "docstatus": 1, KeyField: "k", "grand_total": 9.5}}
	cases := []struct {
		name     string
		create   func(*book) func(map[string]any) (int, string)
		rows     []map[string]any
		lookup   func() (int, string)
		created  bool
		kind     fault.Kind // Internal = success
		document string
		requests string
	}{
		{"new", nil, nil, nil, true, fault.Internal, "DOC-1", "probe create"},
		{"connection lost after the commit", stored, nil, nil, false, fault.Internal, "DOC-1", "probe create find"},
		{"connection lost before", refuse(0, ""), nil, nil, false, fault.Network, "", "probe create find"},
		{"there, refused by the index", refuse(417, taken), there, nil, false, fault.Internal, "DOC-0", "probe create find"},
		{"there, refused by a rule", refuse(417, poTaken), there, nil, false, fault.Internal, "DOC-0", "probe create find"},
		{"there, a page instead of an answer", refuse(502, page), there, nil, false, fault.Internal, "DOC-0", "probe create find"},
		{"there, read-only site", refuse(503, errorBody("InReadOnlyMode", "")), there, nil, false, fault.Internal, "DOC-0", "probe create find"},
		{"not there, refused by a rule", refuse(417, poTaken), nil, nil, false, fault.Rejected, "", "probe create find"},
		{"not there, customer missing", refuse(404, errorBody("DoesNotExistError", "", "Customer A not found")), nil, nil, false, fault.Missing, "", "probe create find"},
		{"taken and hidden", refuse(417, taken), nil, nil, false, fault.Rights, "", "probe create find"},
		{"the look-up fails", refuse(417, poTaken), nil, func() (int, string) { return 502, page }, false, fault.Unavailable, "", "probe create find"},
		{"too many requests", refuse(429, errorBody("TooManyRequestsError", "")), nil, nil, false, fault.RateLimited, "", "probe create"},
		{"bad credentials", refuse(401, errorBody("AuthenticationError", "")), nil, nil, false, fault.Credentials, "", "probe create"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := &book{rows: c.rows, lookup: c.lookup}
			if c.create != nil {
				b.create = c.create(b)
			}
			client := offline(t, b.RoundTrip)
			var out Stored
			created, err := client.Ensure(t.Context(), DocSalesOrder, "k", SalesOrder{Customer: "A", Key: "something else"}, &out)
			if created != c.created || out.Name != c.document {
				t.Errorf("created %t %q, want %t %q", created, out.Name, c.created, c.document)
			}
			if (err == nil) != (c.kind == fault.Internal) || (err != nil && fault.KindOf(err) != c.kind) {
				t.Errorf("got %v, want %s", err, c.kind)
			}
			if got := strings.Join(b.requests, " "); got != c.requests {
				t.Errorf("requests %q, want %q", got, c.requests)
			}
		})
	}
}

func TestEnsureCostsOneRequestOnceTheFieldIsKnown(t *testing.T) {
	b := &book{}
	c := offline(t, b.RoundTrip)
	for _, key := range []string{"a", "b"} {
		if created, err := c.Ensure(t.Context(), DocSalesOrder, key, SalesOrder{}, nil); err != nil || !created {
			t.Fatalf("%s: %t, %v", key, created, err)
		}
	}
	if diff := cmp.Diff(b.requests, []string{"probe", "create", "create"}); diff != "" {
		t.Error(diff)
	}
	if b.rows[1][KeyField] != "b" {
		t.Errorf("the key is not in the document: %v", b.rows[1])
	}
	if got := testutil.ToFloat64(c.metrics.keyFields.WithLabelValues(DocSalesOrder)); got != 1 {
		t.Errorf("key field gauge is %v, want 1", got)
	}
}

func TestEnsureWithoutTheKeyField(t *testing.T) {
	for doctype, field := range map[string]string{DocSalesOrder: "title", DocPaymentEntry: "reference_no", DocCustomer: "customer_details"} {
		b := &book{noKeyField: true}
		c := offline(t, b.RoundTrip)
		for i, want := range []bool{true, false} {
			created, err := c.Ensure(t.Context(), doctype, "k", map[string]any{"a": 1}, nil)
			if err != nil || created != want {
				t.Errorf("%s, call %d: created %t, %v", doctype, i, created, err)
			}
		}
		if diff := cmp.Diff(b.requests, []string{"probe", "find", "create", "find"}); diff != "" {
			t.Errorf("%s: %s", doctype, diff)
		}
		if len(b.rows) != 1 || b.rows[0][field] != "k" || b.rows[0][KeyField] != nil {
			t.Errorf("%s: rows %v", doctype, b.rows)
		}
		if got := testutil.ToFloat64(c.metrics.keyFields.WithLabelValues(doctype)); got != 0 {
			t.Errorf("%s: key field gauge is %v, want 0", doctype, got)
		}
	}
}

func TestFindByKeyPrefersTheSubmittedOne(t *testing.T) {
	b := &book{noKeyField: true, rows: []map[string]any{
		{"name": "A", "docstatus": 2, "title": "k"}, {"name": "B", "docstatus": 0, "title": "k"}, {"name": "C", "docstatus": 1, "title": "k"}, {"name": "D", "docstatus": 0, "title": "k"},
	}}
	var out Stored
	found, err := offline(t, b.RoundTrip).FindByKey(t.Context(), DocSalesOrder, "k", &out)
	if err != nil || !found || out.Name != "C" {
		t.Errorf("got %q, %t, %v", out.Name, found, err)
	}
}

func TestSetupIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{noKeyField: true}
		c := offline(t, b.RoundTrip)
		for _, step := range []struct {
			wait  time.Duration
			field bool
			want  bool
		}{{0, false, false}, {time.Second, true, false}, {time.Minute, true, true}, {time.Hour, true, true}} {
			time.Sleep(step.wait)
			b.noKeyField = !step.field
			if got, err := c.HasKeyField(t.Context(), DocSalesOrder); err != nil || got != step.want {
				t.Errorf("after %s: %t, %v, want %t", step.wait, got, err, step.want)
			}
		}
		if len(b.requests) != 2 {
			t.Errorf("asked %d times, want 2", len(b.requests))
		}
	})
}

// TestSetupWhileWeAreRunning makes the field after a document was made without
// it: the document is found by its key all the same, and not made again.
func TestSetupWhileWeAreRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{noKeyField: true}
		c := offline(t, b.RoundTrip)
		ensure := func(key string, want bool) {
			t.Helper()
			if made, err := c.Ensure(t.Context(), DocPaymentEntry, key, PaymentEntry{}, nil); err != nil || made != want {
				t.Errorf("%s: made %t, %v", key, made, err)
			}
		}
		ensure("before", true)
		b.noKeyField = false
		time.Sleep(2 * recheck)
		ensure("before", false)
		if found, err := c.FindByKey(t.Context(), DocPaymentEntry, "before", nil); !found || err != nil {
			t.Errorf("found %t, %v", found, err)
		}
		ensure("after", true)
		if len(b.rows) != 2 || b.rows[1][KeyField] != "after" || b.rows[1]["reference_no"] != nil {
			t.Errorf("rows %v", b.rows)
		}
	})
}

// TestOneWriterWithoutTheKeyField sends many at once: between the look-up and
// the create of one nobody else writes.
func TestOneWriterWithoutTheKeyField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		b := &book{noKeyField: true}
		c := offline(t, func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second) // fake: the site takes its time
			mu.Lock()
			defer mu.Unlock()
			return b.RoundTrip(r)
		}, func(o *Options) { o.Writers = 8 })
		var made atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				doctype := []string{DocCustomer, DocPaymentEntry, DocSalesOrder, DocAddress}[i%4]
				if ok, err := c.Ensure(t.Context(), doctype, "k", map[string]any{}, nil); err != nil {
					t.Error(err)
				} else if ok && doctype != DocAddress {
					made.Add(1)
				}
			})
		}
		wg.Wait()
		if made.Load() != 3 {
			t.Errorf("%d documents of 3 DocTypes were made under one key", made.Load())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c.keys.turn <- struct{}{} // somebody else's
		if _, err := c.Ensure(ctx, DocCustomer, "k2", map[string]any{}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
	})
}

// TestAnUnknownOutcomeIsPutOff: without the key field the next try comes only
// when the site cannot be at it any more.
func TestAnUnknownOutcomeIsPutOff(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   time.Duration
	}{
		{-1, "", 0}, {0, "", defaultTimeout}, {504, page, defaultTimeout}, {500, errorBody("QueryDeadlockError", ""), 0}, {417, errorBody("MandatoryError", ""), 0},
	} {
		for _, weak := range []bool{true, false} {
			b := &book{noKeyField: weak, create: func(map[string]any) (int, string) { return c.status, c.body }}
			_, err := offline(t, func(r *http.Request) (*http.Response, error) {
				if c.status < 0 && strings.HasPrefix(r.URL.Path, "/api/resource/") {
					return nil, fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
				}
				return b.RoundTrip(r)
			}).Ensure(t.Context(), DocCustomer, "k", map[string]any{}, nil)
			want := time.Duration(0)
			if weak {
				want = c.want
			}
			if err == nil || fault.As(err).RetryAfter != want {
				t.Errorf("%d, weak %t: again after %s, want %s", c.status, weak, fault.As(err).RetryAfter, want)
			}
		}
	}
}

func TestKeysAreChecked(t *testing.T) {
	b := &book{}
	c := offline(t, b.RoundTrip)
	for _, key := range []string{"", strings.Repeat("ä", MaxKey+1)} {
		if _, err := c.Ensure(t.Context(), DocSalesOrder, key, SalesOrder{}, nil); fault.KindOf(err) != fault.BadRequest {
			t.Errorf("ensure with %d bytes: %v", len(key), err)
		}
		if _, err := c.FindByKey(t.Context(), DocSalesOrder, key, nil); fault.KindOf(err) != fault.BadRequest {
			t.Errorf("find with %d bytes: %v", len(key), err)
		}
	}
	if _, err := c.Ensure(t.Context(), DocSalesOrder, strings.Repeat("ä", MaxKey), SalesOrder{}, nil); err != nil {
		t.Errorf("the longest key: %v", err)
	}
}
