package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// testSite is the demo company at a fixed time.
func testSite(t *testing.T, change ...func(*Options)) *Site {
	t.Helper()
	opts := Options{Seed: 7, Key: "all", Secret: "all", Now: func() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) }}
	for _, c := range change {
		c(&opts)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// do sends one request and returns the status and the decoded answer.
func do(t *testing.T, s *Site, key, method, path string, body any) (int, map[string]any) {
	t.Helper()
	rec := send(t, s, key, method, path, body)
	var got map[string]any
	_ = json.Unmarshal(rec.Body.Bytes(), &got)
	return rec.Code, got
}

func send(t *testing.T, s *Site, key, method, path string, body any) *httptest.ResponseRecorder {
	t.Helper()
	var text string
	switch body := body.(type) {
	case nil:
	case string:
		text = body
	default:
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(data)
	}
	r := httptest.NewRequest(method, strings.ReplaceAll(path, " ", "%20"), strings.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "token "+key)
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	return rec
}

const (
	runtimeKey = "demo-key:demo-secret"
	setupKey   = "demo-setup-key:demo-setup-secret"
)

func mustDo(t *testing.T, s *Site, key, method, path string, body any) map[string]any {
	t.Helper()
	status, got := do(t, s, key, method, path, body)
	if status/100 != 2 {
		t.Fatalf("%s %s: status %d: %v", method, path, status, got)
	}
	d, _ := got["data"].(map[string]any)
	return d
}

func order(key string, change map[string]any) map[string]any {
	out := map[string]any{
		"customer": "Mia Stone", "company": "Demo Trading", "currency": "USD", "conversion_rate": 1, "transaction_date": "2026-05-01", "delivery_date": "2026-05-03",
		"disable_rounded_total": 1, "custom_key": key,
		"items": []any{map[string]any{"item_code": "SHOP-LINE", "qty": 2, "rate": 12.5, "price_list_rate": 0}},
		"taxes": []any{map[string]any{"charge_type": "Actual", "account_head": "Sales Tax - DT", "description": "Tax", "tax_amount": 1.99}},
	}
	maps.Copy(out, change)
	return out
}

func payment(order string, amount float64, change map[string]any) map[string]any {
	out := map[string]any{
		"payment_type": "Receive", "party_type": "Customer", "party": "Mia Stone", "company": "Demo Trading", "posting_date": "2026-05-02",
		"paid_to": "Stripe Clearing - DT", "paid_amount": amount, "received_amount": amount, "reference_no": "ch_9", "reference_date": "2026-05-02",
		"references": []any{map[string]any{"reference_doctype": "Sales Order", "reference_name": order, "allocated_amount": amount}},
	}
	maps.Copy(out, change)
	return out
}

// prepare makes the key field and a customer.
func prepare(t *testing.T, s *Site) {
	t.Helper()
	mustDo(t, s, setupKey, "POST", "/api/resource/Custom Field", map[string]any{
		"dt": "Sales Order", "label": "Key", "fieldname": "custom_key", "fieldtype": "Data", "unique": 1, "no_copy": 1})
	mustDo(t, s, runtimeKey, "POST", "/api/resource/Customer", map[string]any{
		"customer_name": "Mia Stone", "customer_type": "Individual", "customer_group": "Individual", "territory": "All Territories",
		"email_id": "mia@stone.example", "address_line1": "3 Quay", "city": "Porto", "country": "Portugal"})
}

// TestContract holds the answers a client has to be built for, each in a site
// of its own that already has one order under the key k1.
func TestContract(t *testing.T) {
	tests := []struct {
		name, key, method, path string
		body                    any
		status                  int
		class                   string
		fields                  map[string]any // dotted path in the answer to its value
	}{
		{"no login is needed to ping", "", "GET", "/api/method/ping", nil, 200, "", map[string]any{"message": "pong"}},
		{"a wrong key is refused even for ping", "demo-key:no", "GET", "/api/method/ping", nil, 401, "AuthenticationError", nil},
		{"without a key one is a guest", "", "GET", "/api/method/frappe.auth.get_logged_user", nil, 403, "PermissionError", nil},
		{"who am I", runtimeKey, "GET", "/api/method/frappe.auth.get_logged_user", nil, 200, "", map[string]any{"message": "shop@demo.example"}},
		{"time zone", runtimeKey, "GET", "/api/method/frappe.client.get_time_zone", nil, 200, "", map[string]any{"message.time_zone": "America/New_York"}},
		{"create answers 200 with totals", runtimeKey, "POST", "/api/resource/Sales Order", order("k2", nil), 200, "",
			map[string]any{"data.name": "SAL-ORD-2026-00002", "data.status": "Draft", "data.grand_total": 26.99, "data.rounded_total": 0.0}},
		{"the unique index answers last", runtimeKey, "POST", "/api/resource/Sales Order", order("K1 ", nil), 417, "UniqueValidationError", nil},
		{"an unknown customer is a 404", runtimeKey, "POST", "/api/resource/Sales Order", order("k2", map[string]any{"customer": "No One"}), 404, "DoesNotExistError", nil},
		{"an unknown item is a 404", runtimeKey, "POST", "/api/resource/Sales Order",
			order("k2", map[string]any{"items": []any{map[string]any{"item_code": "NOPE", "qty": 1}}}), 404, "DoesNotExistError", nil},
		{"an unknown price list is a link error", runtimeKey, "POST", "/api/resource/Sales Order",
			order("k2", map[string]any{"selling_price_list": "Nope"}), 417, "LinkValidationError", nil},
		{"no items is a TypeError", runtimeKey, "POST", "/api/resource/Sales Order", order("k2", map[string]any{"items": []any{}}), 500, "TypeError", nil},
		{"unknown fields vanish", runtimeKey, "POST", "/api/resource/Sales Order", order("k2", map[string]any{"nope": 1}), 200, "", map[string]any{"data.nope": nil}},
		{"a key cmd hijacks the request", runtimeKey, "POST", "/api/resource/Sales Order", order("k2", map[string]any{"cmd": "ping"}), 200, "", map[string]any{"message": "pong"}},
		{"malformed JSON", runtimeKey, "POST", "/api/resource/Customer", `{"a":`, 500, "JSONDecodeError", nil},
		{"a list as body", runtimeKey, "POST", "/api/resource/Customer", `[]`, 500, "TypeError", nil},
		{"submit", runtimeKey, "PUT", "/api/resource/Sales Order/SAL-ORD-2026-00001", map[string]any{"docstatus": 1}, 200, "",
			map[string]any{"data.docstatus": 1.0, "data.status": "To Deliver and Bill"}},
		{"one request leaves the status Draft", runtimeKey, "POST", "/api/resource/Sales Order", order("k2", map[string]any{"docstatus": 1}), 200, "",
			map[string]any{"data.docstatus": 1.0, "data.status": "Draft"}},
		{"draft to cancelled", runtimeKey, "PUT", "/api/resource/Sales Order/SAL-ORD-2026-00001", map[string]any{"docstatus": 2}, 417, "DocstatusTransitionError", nil},
		{"a stale modified", runtimeKey, "PUT", "/api/resource/Sales Order/SAL-ORD-2026-00001", map[string]any{"modified": "2020-01-01 00:00:00.000000"}, 417, "TimestampMismatchError", nil},
		{"delete", runtimeKey, "DELETE", "/api/resource/Sales Order/SAL-ORD-2026-00001", nil, 202, "", map[string]any{"data": "ok"}},
		{"look up by key ignores case", runtimeKey, "GET", `/api/resource/Sales Order?filters={"custom_key":"K1"}&order_by=creation+asc`, nil, 200, "",
			map[string]any{"data.0.name": "SAL-ORD-2026-00001"}},
		{"an unknown field in a list", runtimeKey, "GET", `/api/resource/Sales Order?fields=["nope"]`, nil, 417, "DataError", nil},
		{"get_list by POST", runtimeKey, "POST", "/api/method/frappe.client.get_list",
			map[string]any{"doctype": "Account", "filters": map[string]any{"account_type": "Receivable", "account_currency": "EUR"}, "fields": []string{"name"}}, 200, "",
			map[string]any{"message.0.name": "Debtors EUR - DT"}},
		{"a setup key sees no orders", setupKey, "GET", "/api/resource/Sales Order", nil, 403, "PermissionError", nil},
		{"the runtime key makes no custom fields", runtimeKey, "POST", "/api/resource/Custom Field", map[string]any{"dt": "Customer", "label": "X"}, 403, "PermissionError", nil},
		{"the name of a customer group", runtimeKey, "POST", "/api/resource/Customer", map[string]any{"customer_name": "Individual"}, 409, "NameError", nil},
		{"the same customer again", runtimeKey, "POST", "/api/resource/Customer", map[string]any{"customer_name": "Mia Stone"}, 200, "", map[string]any{"data.name": "Mia Stone - 1"}},
		{"contact and address come along", runtimeKey, "GET", "/api/resource/Customer/Mia Stone", nil, 200, "",
			map[string]any{"data.customer_primary_contact": "Mia Stone-Mia Stone", "data.customer_primary_address": "Mia Stone-Billing"}},
		{"a payment of a draft", runtimeKey, "POST", "/api/resource/Payment Entry", payment("SAL-ORD-2026-00001", 5, nil), 417, "ValidationError", nil},
		{"an unbalanced journal is a draft", runtimeKey, "POST", "/api/resource/Journal Entry", map[string]any{"posting_date": "2026-05-02", "accounts": []any{
			map[string]any{"account": "Stripe Fees - DT", "debit_in_account_currency": 3}, map[string]any{"account": "Stripe Clearing - DT", "credit_in_account_currency": 2}}},
			200, "", map[string]any{"data.difference": 1.0}},
		{"an unknown DocType", runtimeKey, "GET", "/api/resource/Nothing/x", nil, 500, "ImportError", nil},
		{"an unknown method", runtimeKey, "GET", "/api/method/nope.nope", nil, 417, "ValidationError", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testSite(t)
			prepare(t, s)
			mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order("k1", nil))
			status, got := do(t, s, tt.key, tt.method, tt.path, tt.body)
			class, _ := got["exc_type"].(string)
			if status != tt.status || class != tt.class {
				t.Fatalf("status %d %q, want %d %q: %v", status, class, tt.status, tt.class, got)
			}
			for path, want := range tt.fields {
				if v := at(got, path); v != want {
					t.Errorf("%s = %v, want %v", path, v, want)
				}
			}
		})
	}
}

func TestPaymentOfAnOrder(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order("k1", nil))
	const path = "/api/resource/Sales Order/SAL-ORD-2026-00001"
	submitted := mustDo(t, s, runtimeKey, "PUT", path, map[string]any{"docstatus": 1})
	fee := map[string]any{"paid_amount": 26.0, "received_amount": 26.0,
		"deductions": []any{map[string]any{"account": "Stripe Fees - DT", "cost_center": "Main - DT", "amount": 0.99}}}
	pe := mustDo(t, s, runtimeKey, "POST", "/api/resource/Payment Entry", payment("SAL-ORD-2026-00001", 26.99, fee))
	if pe["difference_amount"] != 0.0 || pe["unallocated_amount"] != 0.0 {
		t.Errorf("difference %v, unallocated %v, want none", pe["difference_amount"], pe["unallocated_amount"])
	}
	mustDo(t, s, runtimeKey, "PUT", "/api/resource/Payment Entry/"+fmt.Sprint(pe["name"]), map[string]any{"docstatus": 1})
	paid := mustDo(t, s, runtimeKey, "GET", path, nil)
	if paid["advance_paid"] != 26.99 || paid["modified"] == submitted["modified"] {
		t.Errorf("advance_paid %v, modified %v: want 26.99 and a new time", paid["advance_paid"], paid["modified"])
	}
	if status, got := do(t, s, runtimeKey, "POST", "/api/resource/Payment Entry", payment("SAL-ORD-2026-00001", 1, nil)); status != 417 {
		t.Errorf("a second payment: status %d: %v", status, got)
	}
	mustDo(t, s, runtimeKey, "PUT", path, map[string]any{"docstatus": 2})
	left := s.Documents("Payment Entry")[0]
	if refs := left["references"].([]any); len(refs) != 0 || left["docstatus"] != int64(1) {
		t.Errorf("after the order's cancel the payment has %d references and docstatus %v", len(refs), left["docstatus"])
	}
}

func TestRefusedInsertGivesItsNumberBack(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order("k1", nil))
	do(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order("k1", nil))
	if d := mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order("k2", nil)); d["name"] != "SAL-ORD-2026-00002" {
		t.Errorf("the next order is %v", d["name"])
	}
}

// TestOneKeyManyWriters holds what makes the key strong: of many inserts at
// once exactly one is stored.
func TestOneKeyManyWriters(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	var wg sync.WaitGroup
	codes := make(chan int, 8)
	for range 8 {
		wg.Go(func() { codes <- send(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order("same", nil)).Code })
	}
	wg.Wait()
	close(codes)
	count := map[int]int{}
	for code := range codes {
		count[code]++
	}
	if count[200] != 1 || count[417] != 7 || len(s.Documents("Sales Order")) != 1 {
		t.Errorf("answers %v, %d orders stored", count, len(s.Documents("Sales Order")))
	}
}

func TestUserPermissionCutsLists(t *testing.T) {
	s := testSite(t)
	prepare(t, s)
	mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order("k1", nil))
	mustDo(t, s, setupKey, "POST", "/api/resource/User Permission", map[string]any{"user": "shop@demo.example", "allow": "Customer", "for_value": "Mia Stone"})
	if err := s.Insert("Customer", map[string]any{"name": "Other", "customer_name": "Other"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Insert("Sales Order", map[string]any{"name": "SO-X", "customer": "Other", "custom_key": "k9"}); err != nil {
		t.Fatal(err)
	}
	_, got := do(t, s, runtimeKey, "GET", `/api/resource/Sales Order?filters={"custom_key":"k9"}`, nil)
	if list := got["data"].([]any); len(list) != 0 {
		t.Errorf("the list shows %v", list)
	}
	if status, _ := do(t, s, runtimeKey, "GET", "/api/resource/Sales Order/SO-X", nil); status != 403 {
		t.Errorf("reading it: status %d, want 403", status)
	}
	if status, got := do(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order("k9", nil)); got["exc_type"] != "UniqueValidationError" {
		t.Errorf("the taken key: status %d %v", status, got["exc_type"])
	}
}

func TestListsWithoutOrderAreShuffled(t *testing.T) {
	s := testSite(t)
	seen := map[string]bool{}
	for range 5 {
		rec := send(t, s, runtimeKey, "GET", "/api/resource/Account?limit_page_length=0", nil)
		seen[rec.Body.String()] = true
	}
	if len(seen) < 2 {
		t.Error("five lists without order_by came in the same order")
	}
	first := send(t, s, runtimeKey, "GET", "/api/resource/Account?order_by=name+asc", nil).Body.String()
	if again := send(t, s, runtimeKey, "GET", "/api/resource/Account?order_by=name+asc", nil).Body.String(); first != again {
		t.Error("order_by does not order")
	}
}

func TestVersions(t *testing.T) {
	at14 := testSite(t, func(o *Options) { o.Version = 14 })
	at16 := testSite(t, func(o *Options) { o.Version = 16 })
	prepare(t, at14)
	prepare(t, at16)

	t.Run("14 leaves exc_type out unless thrown", func(t *testing.T) {
		_, got := do(t, at14, runtimeKey, "POST", "/api/resource/Customer", map[string]any{})
		if got["exc_type"] != nil || !strings.Contains(fmt.Sprint(got["exception"]), "MandatoryError") {
			t.Errorf("exc_type %v, exception %v", got["exc_type"], got["exception"])
		}
		_, got = do(t, at14, runtimeKey, "POST", "/api/resource/Customer", map[string]any{"customer_name": "X", "territory": "Nope"})
		if got["exc_type"] != "LinkValidationError" {
			t.Errorf("a thrown one: exc_type %v", got["exc_type"])
		}
	})
	t.Run("14 shows nulls and answers delete with a message", func(t *testing.T) {
		d := mustDo(t, at14, runtimeKey, "POST", "/api/resource/Sales Order", order("v", nil))
		if v, ok := d["po_no"]; !ok || v != nil {
			t.Errorf("po_no is %v, present %v: want null", v, ok)
		}
		_, got := do(t, at14, runtimeKey, "DELETE", "/api/resource/Sales Order/"+fmt.Sprint(d["name"]), nil)
		if got["message"] != "ok" {
			t.Errorf("delete answers %v", got)
		}
	})
	t.Run("14 says 404 where 15 says 403", func(t *testing.T) {
		for version, want := range map[int]int{14: 404, 15: 403} {
			s := testSite(t, func(o *Options) { o.Version = version })
			if status, _ := do(t, s, setupKey, "GET", "/api/resource/Sales Order/X", nil); status != want {
				t.Errorf("version %d: status %d, want %d", version, status, want)
			}
		}
	})
	t.Run("16 takes no SQL functions, no names and has no party balance", func(t *testing.T) {
		if status, _ := do(t, at16, runtimeKey, "GET", `/api/resource/Sales Order?fields=["count(name)+as+n"]`, nil); status != 417 {
			t.Errorf("count in fields: status %d", status)
		}
		d := mustDo(t, at16, runtimeKey, "POST", "/api/resource/Sales Order", order("v", map[string]any{"name": "MINE"}))
		if d["name"] == "MINE" || d["title"] == "{customer_name}" {
			t.Errorf("name %v, title %v", d["name"], d["title"])
		}
	})
}

func TestFaultSpec(t *testing.T) {
	faults, err := ParseFaults("kind=deadlock,rate=0.1,doctype=Sales Order; kind=delay-after-commit,delay=3s,count=3,method=put")
	if err != nil {
		t.Fatal(err)
	}
	want := []Fault{{Kind: "deadlock-500", Rate: 0.1, DocType: "Sales Order"}, {Kind: "delay-after-commit", Delay: 3 * time.Second, Count: 3, Method: "PUT"}}
	if fmt.Sprint(faults) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", faults, want)
	}
	for _, bad := range []string{"kind=nope", "rate=0.5", "kind=401,rate=2", "kind=401,delay=soon", "kind=401,color=red", "kind"} {
		if _, err := ParseFaults(bad); err == nil || !strings.Contains(err.Error(), strings.SplitN(bad, "=", 2)[0]) {
			t.Errorf("%q: error %v does not name the part", bad, err)
		}
	}
}

func TestFaultAnswers(t *testing.T) {
	stored := map[string]int{"commit-then-502": 1}
	for kind, want := range map[string]struct {
		status int
		class  string
	}{
		"deadlock-500": {500, "QueryDeadlockError"}, "deadlock-508": {508, "QueryDeadlockError"}, "lock-timeout": {500, "QueryTimeoutError"},
		"429": {429, "TooManyRequestsError"}, "429-no-retry-after": {429, "RateLimitExceededError"}, "maintenance": {503, "SessionStopped"},
		"read-only": {503, "InReadOnlyMode"}, "401": {401, "AuthenticationError"}, "403": {403, "PermissionError"}, "502-html": {502, ""},
		"503-html": {503, ""}, "504-html": {504, ""}, "db-down": {500, ""}, "transient-404": {404, "DoesNotExistError"},
		"name-race-409": {409, "DuplicateEntryError"}, "commit-then-502": {502, ""},
	} {
		t.Run(kind, func(t *testing.T) {
			s := testSite(t)
			before := len(s.Documents("Customer"))
			s.SetFaults([]Fault{{Kind: kind, Count: 1}})
			rec := send(t, s, runtimeKey, "POST", "/api/resource/Customer", map[string]any{"customer_name": "Once"})
			var got map[string]any
			_ = json.Unmarshal(rec.Body.Bytes(), &got)
			class, _ := got["exc_type"].(string)
			if rec.Code != want.status || class != want.class {
				t.Errorf("status %d %q, want %d %q", rec.Code, class, want.status, want.class)
			}
			if n := len(s.Documents("Customer")) - before; n != stored[kind] {
				t.Errorf("%d stored, want %d", n, stored[kind])
			}
			if has := rec.Header().Get("Retry-After") != ""; has != (kind == "429") {
				t.Errorf("Retry-After present: %v", has)
			}
			if rec := send(t, s, runtimeKey, "GET", "/api/method/ping", nil); rec.Code != 200 {
				t.Errorf("after its count the fault goes on: %d", rec.Code)
			}
		})
	}
}

func TestCommitThenReset(t *testing.T) {
	s := testSite(t, func(o *Options) { o.Faults = []Fault{{Kind: "commit-then-reset"}} })
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v, want an aborted connection", err)
		}
		if n := len(s.Documents("Customer")); n != 1 {
			t.Errorf("%d customers stored, want 1", n)
		}
	}()
	send(t, s, runtimeKey, "POST", "/api/resource/Customer", map[string]any{"customer_name": "Once"})
}

// TestDelaysHoldNobodyUp sends a second request while the first one waits.
func TestDelaysHoldNobodyUp(t *testing.T) {
	for kind, inStore := range map[string]int{"delay-before-commit": 0, "delay-after-commit": 1} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := testSite(t)
				s.SetFaults([]Fault{{Kind: kind, Delay: time.Minute, Method: "POST"}})
				done := make(chan int, 1)
				go func() {
					done <- send(t, s, runtimeKey, "POST", "/api/resource/Customer", map[string]any{"customer_name": "Slow"}).Code
				}()
				synctest.Wait()
				if rec := send(t, s, runtimeKey, "GET", "/api/method/ping", nil); rec.Code != 200 {
					t.Errorf("the other request: %d", rec.Code)
				}
				if n := len(s.Documents("Customer")); n != inStore {
					t.Errorf("%d customers while it waits, want %d", n, inStore)
				}
				if code := <-done; code != 200 || len(s.Documents("Customer")) != 1 {
					t.Errorf("in the end: %d, %d customers", code, len(s.Documents("Customer")))
				}
			})
		})
	}
}

func TestTheSeedRepeatsTheFaults(t *testing.T) {
	runs := map[string]bool{}
	for range 2 {
		s := testSite(t, func(o *Options) { o.Faults = []Fault{{Kind: "deadlock-500", Rate: 0.5}} })
		var codes []int
		for range 20 {
			codes = append(codes, send(t, s, runtimeKey, "GET", "/api/method/ping", nil).Code)
		}
		if !slices.Contains(codes, 200) || !slices.Contains(codes, 500) {
			t.Errorf("half of the requests should fail: %v", codes)
		}
		runs[fmt.Sprint(codes)] = true
	}
	if len(runs) != 1 {
		t.Error("the same seed gave different faults")
	}
}

// TestEverythingAtOnce is for the race detector: writers, readers, settings
// and faults share one site.
func TestEverythingAtOnce(t *testing.T) {
	s := testSite(t, func(o *Options) { o.Faults = []Fault{{Kind: "deadlock-500", Rate: 0.3}} })
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 10 {
				send(t, s, runtimeKey, "POST", "/api/resource/Customer", map[string]any{"customer_name": fmt.Sprintf("C %d %d", i, n)})
				send(t, s, runtimeKey, "GET", "/api/resource/Customer", nil)
				s.SetSetting("System Settings", "rounding_method", "Commercial Rounding")
				s.Requests()
				s.Documents("Customer")
			}
		})
	}
	wg.Wait()
	if n := len(s.Requests()); n != 80 {
		t.Errorf("%d requests remembered, want 80", n)
	}
}

func TestFaultSelectors(t *testing.T) {
	s := testSite(t)
	s.SetFaults([]Fault{{Kind: "401", DocType: "Account", After: 1, Count: 1}})
	var codes []int
	for _, path := range []string{"/api/method/ping", "/api/resource/Account", "/api/resource/Account", "/api/resource/Account"} {
		codes = append(codes, send(t, s, runtimeKey, "GET", path, nil).Code)
	}
	if fmt.Sprint(codes) != "[200 200 401 200]" {
		t.Errorf("answers %v", codes)
	}
	log := s.Requests()
	if len(log) != 4 || log[2].Status != 401 || log[2].DocType != "Account" {
		t.Errorf("the log says %+v", log)
	}
	s.ResetRequests()
	if len(s.Requests()) != 0 {
		t.Error("the log was not forgotten")
	}
}

func TestServerLimits(t *testing.T) {
	s := testSite(t, func(o *Options) { o.NginxMode = true; o.Hosts = []string{"example.com"} })
	if rec := send(t, s, runtimeKey, "GET", "/api/resource/Account/", nil); rec.Code != 301 || rec.Header().Get("Location") != "/api/resource/Account" {
		t.Errorf("trailing slash: %d %s", rec.Code, rec.Header().Get("Location"))
	}
	if rec := send(t, s, runtimeKey, "GET", "/api/resource/Account?filters="+strings.Repeat("a", 5000), nil); rec.Code != 400 {
		t.Errorf("long request line: %d", rec.Code)
	}
	if rec := send(t, s, runtimeKey, "POST", "/api/resource/Customer", strings.Repeat("x", maxBody+1)); rec.Code != 413 {
		t.Errorf("large body: %d", rec.Code)
	}
	r := httptest.NewRequest("GET", "/api/method/ping", nil)
	r.Host = "elsewhere.example"
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	if rec.Code != 404 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") {
		t.Errorf("unknown site: %d %s", rec.Code, rec.Header().Get("Content-Type"))
	}
}
