package posting_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/shopspring/decimal"
)

// fakeSite answers by function and notes what was asked.
type fakeSite struct {
	EnsureFunc func(doctype, key string, doc any) (erpnext.Stored, bool, error)
	ListFunc   func(q erpnext.Query) any
	GetFunc    func(doctype, name string) (erpnext.Stored, error)

	mu    sync.Mutex
	calls []string
}

func (f *fakeSite) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

func (f *fakeSite) Ensure(_ context.Context, doctype, key string, doc, out any) (bool, error) {
	f.note("ensure %s", doctype)
	stored, created, err := f.EnsureFunc(doctype, key, doc)
	*out.(*erpnext.Stored) = stored
	return created, err
}

func (f *fakeSite) Update(_ context.Context, doctype, name string, _ map[string]any, out any) error {
	f.note("update %s %s", doctype, name)
	stored, err := f.GetFunc(doctype, name)
	*out.(*erpnext.Stored) = stored
	return err
}

func (f *fakeSite) Submit(_ context.Context, doctype, name string, _ any) error {
	f.note("submit %s %s", doctype, name)
	return nil
}

func (f *fakeSite) Get(_ context.Context, doctype, name string, out any) error {
	f.note("get %s %s", doctype, name)
	stored, err := f.GetFunc(doctype, name)
	*out.(*erpnext.Stored) = stored
	return err
}

func (f *fakeSite) FindByKey(_ context.Context, doctype, key string, _ any) (bool, error) {
	f.note("find %s", doctype)
	return false, nil
}

func (f *fakeSite) Create(_ context.Context, doctype string, _, _ any) error {
	f.note("create %s", doctype)
	return nil
}

func (f *fakeSite) HasKeyField(context.Context, string) (bool, error) { return true, nil }

func (f *fakeSite) Cancel(_ context.Context, doctype, name string) error {
	f.note("cancel %s %s", doctype, name)
	return nil
}

func (f *fakeSite) Delete(_ context.Context, doctype, name string) error {
	f.note("delete %s %s", doctype, name)
	return nil
}

func (f *fakeSite) Comment(_ context.Context, doctype, name, _ string) error {
	f.note("comment %s %s", doctype, name)
	return nil
}

func (f *fakeSite) Call(_ context.Context, _, name string, _, _ any) error {
	f.note("call %s", name)
	return nil
}

func (f *fakeSite) List(_ context.Context, q erpnext.Query, out any) error {
	f.note("list %s", q.DocType)
	var rows any = []any{}
	if f.ListFunc != nil {
		rows = f.ListFunc(q)
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, out)
}

// memory is a Memory in a map.
type memory struct {
	mu    sync.Mutex
	docs  map[string]event.Document
	notes map[string]string
}

func newMemory() *memory {
	return &memory{docs: map[string]event.Document{}, notes: map[string]string{}}
}

func (m *memory) Document(_ context.Context, doctype, key string) (event.Document, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.docs[doctype+"|"+key]
	return d, ok, nil
}

func (m *memory) Remember(_ context.Context, _ string, docs ...event.Document) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range docs {
		m.docs[d.DocType+"|"+d.Key] = d
	}
	return nil
}

func (m *memory) Forget(_ context.Context, doctype, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.docs, doctype+"|"+key)
	return nil
}

func (m *memory) Note(_ context.Context, name string) (string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.notes[name]
	return v, ok, nil
}

func (m *memory) SetNote(_ context.Context, name, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes[name] = value
	return nil
}

var (
	shop   = posting.Origin{Provider: "shopify", Source: "acme"}
	stripe = posting.Origin{Provider: "stripe", Source: "stripe"}
)

func usd(text string) money.Amount { return money.New(decimal.RequireFromString(text), "USD") }

func anOrder() commerce.Order {
	return commerce.Order{
		ID: "1001", Name: "#1001", Currency: "USD", CreatedAt: time.Unix(0, 0), Total: usd("10.00"),
		Customer: &commerce.Party{ID: "7", Email: "ann@example.com", FirstName: "Ann", LastName: "Lee"},
		Lines:    []commerce.Line{{SKU: "MUG", Title: "Mug", Quantity: 1, UnitPrice: usd("10.00")}},
	}
}

func newPoster(site *fakeSite, m *memory, change func(*posting.Options)) *posting.Poster {
	o := posting.Options{
		Site: site, Memory: m, Shops: []posting.Origin{shop},
		Desk: posting.Desk{ReadBooks: func(context.Context) (mapping.Books, error) {
			return mapping.Books{Company: "C", Currency: "USD", TaxAccount: "Tax", DefaultClearing: "Bank", FallbackItem: "SHOP-LINE", CustomerGroup: "Individual", Precision: 2}, nil
		}},
	}
	if change != nil {
		change(&o)
	}
	return posting.New(o)
}

// willing makes whatever is asked, as ERPNext would.
func willing(doctype, key string, doc any) (erpnext.Stored, bool, error) {
	s := erpnext.Stored{Name: doctype + "-1", Key: key}
	switch d := doc.(type) {
	case erpnext.Customer:
		s.Name = d.CustomerName
	case erpnext.SalesOrder:
		s.Customer, s.Currency = d.Customer, d.Currency
		for _, row := range d.Items {
			s.GrandTotal = erpnext.Num(s.GrandTotal.Add(row.Qty.Mul(row.Rate.Decimal)))
			s.Items = append(s.Items, erpnext.StoredRow{ItemCode: row.ItemCode, Qty: row.Qty, Rate: row.Rate})
		}
	case erpnext.PaymentEntry:
		s.PaidAmount = d.PaidAmount
	}
	return s, true, nil
}

func refused(kind fault.Kind, cause string) error {
	return &fault.Error{Kind: kind, Op: "erpnext.create", Cause: cause}
}

func TestOrderIsDraftedComparedSubmitted(t *testing.T) {
	site, m := &fakeSite{EnsureFunc: willing}, newMemory()
	r, err := newPoster(site, m, nil).Order(t.Context(), shop, anOrder())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(site.calls, ", "), "list Customer, ensure Customer, ensure Sales Order, submit Sales Order Sales Order-1"; got != want {
		t.Errorf("calls %s, want %s", got, want)
	}
	keys := map[string]bool{}
	for _, d := range r.Documents {
		keys[d.Key] = true
	}
	for _, key := range []string{"shopify/acme/customer/7", "shopify/acme/order/1001", "shopify/acme/order-name/1001"} {
		if !keys[key] {
			t.Errorf("%s is not among the documents %v", key, keys)
		}
	}
}

func TestOrderThatIsRememberedCostsNothing(t *testing.T) {
	site, m := &fakeSite{EnsureFunc: willing}, newMemory()
	p := newPoster(site, m, nil)
	first, err := p.Order(t.Context(), shop, anOrder())
	if err != nil {
		t.Fatal(err)
	}
	_ = m.Remember(t.Context(), "", first.Documents...)
	site.calls = nil
	r, err := p.Order(t.Context(), shop, anOrder())
	if err != nil || len(site.calls) != 0 || r.Note == "" {
		t.Errorf("calls %v, result %+v, %v", site.calls, r, err)
	}
}

func TestCustomerIsFoundByEmailNeverByName(t *testing.T) {
	site, m := &fakeSite{EnsureFunc: willing}, newMemory()
	site.ListFunc = func(erpnext.Query) any {
		return []map[string]string{
			{"name": "Ann Lee", "email_id": "other@example.com", "modified": "2026-01-01 00:00:00.000000"},
			{"name": "Lee, Ann", "email_id": "ANN@example.com ", "modified": "2026-01-02 00:00:00.000000"},
		}
	}
	var customer string
	site.EnsureFunc = func(doctype, key string, doc any) (erpnext.Stored, bool, error) {
		if so, ok := doc.(erpnext.SalesOrder); ok {
			customer = so.Customer
		}
		return willing(doctype, key, doc)
	}
	if _, err := newPoster(site, m, nil).Order(t.Context(), shop, anOrder()); err != nil {
		t.Fatal(err)
	}
	if customer != "Lee, Ann" {
		t.Errorf("the order went to %q, want the customer with the e-mail", customer)
	}
	if m.notes["customers_modified_until"] != "2026-01-02 00:00:00.000000" {
		t.Errorf("watermark %q", m.notes["customers_modified_until"])
	}
}

func TestCustomerWhoseNameIsTakenByAGroup(t *testing.T) {
	var names []string
	site := &fakeSite{EnsureFunc: func(doctype, key string, doc any) (erpnext.Stored, bool, error) {
		if c, ok := doc.(erpnext.Customer); ok {
			names = append(names, c.CustomerName)
			if len(names) == 1 {
				return erpnext.Stored{}, false, refused(fault.Rejected, "NameError: the name is taken")
			}
		}
		return willing(doctype, key, doc)
	}}
	if _, err := newPoster(site, newMemory(), nil).Order(t.Context(), shop, anOrder()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names, " | "); got != "Ann Lee | Ann Lee (shop)" {
		t.Errorf("names tried: %s", got)
	}
}

func TestGuestOrders(t *testing.T) {
	for _, tt := range []struct {
		name, configured, want string
		party                  *commerce.Party
	}{
		{"nobody at all", "", "Shop Guest", nil},
		{"nobody at all, with a configured guest", "Web Guest", "Web Guest", nil},
		{"a guest with an e-mail", "", "bea", &commerce.Party{Email: "bea@example.com"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var customer string
			site := &fakeSite{EnsureFunc: func(doctype, key string, doc any) (erpnext.Stored, bool, error) {
				if so, ok := doc.(erpnext.SalesOrder); ok {
					customer = so.Customer
				}
				return willing(doctype, key, doc)
			}}
			o := anOrder()
			o.Customer = tt.party
			if _, err := newPoster(site, newMemory(), func(o *posting.Options) { o.Desk.GuestCustomer = tt.configured }).Order(t.Context(), shop, o); err != nil {
				t.Fatal(err)
			}
			if customer != tt.want {
				t.Errorf("customer %q, want %q", customer, tt.want)
			}
		})
	}
}

func TestOrderWhoseTotalDiffersStaysADraft(t *testing.T) {
	site := &fakeSite{EnsureFunc: func(doctype, key string, doc any) (erpnext.Stored, bool, error) {
		s, created, err := willing(doctype, key, doc)
		if doctype == "Sales Order" {
			s.GrandTotal = erpnext.Num(decimal.RequireFromString("9.99"))
		}
		return s, created, err
	}}
	_, err := newPoster(site, newMemory(), nil).Order(t.Context(), shop, anOrder())
	f := fault.As(err)
	if f == nil || f.Kind != fault.Mismatch || !strings.Contains(f.Hint, "10.00 USD") || !strings.Contains(f.Hint, "9.99 USD") {
		t.Errorf("got %v, want a mismatch with both numbers", err)
	}
	for _, call := range site.calls {
		if strings.HasPrefix(call, "submit") {
			t.Error("it was submitted")
		}
	}
}

func TestOrderThatDoesNotAddUpMakesNothing(t *testing.T) {
	site := &fakeSite{EnsureFunc: willing}
	o := anOrder()
	o.Total = usd("12.00")
	_, err := newPoster(site, newMemory(), nil).Order(t.Context(), shop, o)
	if fault.KindOf(err) != fault.Mismatch || len(site.calls) != 0 {
		t.Errorf("got %v after %v", err, site.calls)
	}
}

func TestDraftOfAnEarlierTryIsPutRight(t *testing.T) {
	total := "9.99"
	site := &fakeSite{
		EnsureFunc: func(doctype, key string, doc any) (erpnext.Stored, bool, error) {
			s, _, err := willing(doctype, key, doc)
			s.Items = nil // a look-up has none
			return s, doctype != "Sales Order", err
		},
		GetFunc: func(_, name string) (erpnext.Stored, error) {
			s := erpnext.Stored{Name: name, Currency: "USD", GrandTotal: erpnext.Num(decimal.RequireFromString(total)),
				Items: []erpnext.StoredRow{{Qty: erpnext.Num(decimal.NewFromInt(1)), Rate: erpnext.Num(decimal.RequireFromString("10"))}}}
			total = "10.00" // the update mends it
			return s, nil
		},
	}
	if _, err := newPoster(site, newMemory(), nil).Order(t.Context(), shop, anOrder()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(site.calls[2:], ", "); got != "ensure Sales Order, get Sales Order Sales Order-1, update Sales Order Sales Order-1, submit Sales Order Sales Order-1" {
		t.Errorf("calls %s", got)
	}
}

// A pricing rule may add a free item: the total is right and the order is not.
func TestOrderWithARowThatNobodyOrderedStaysADraft(t *testing.T) {
	site := &fakeSite{EnsureFunc: func(doctype, key string, doc any) (erpnext.Stored, bool, error) {
		s, created, err := willing(doctype, key, doc)
		if doctype == "Sales Order" {
			s.Items = append(s.Items, erpnext.StoredRow{ItemCode: "GIFT", Qty: erpnext.Num(decimal.NewFromInt(1))})
		}
		return s, created, err
	}}
	_, err := newPoster(site, newMemory(), nil).Order(t.Context(), shop, anOrder())
	if f := fault.As(err); f == nil || f.Kind != fault.Mismatch || !strings.Contains(f.Hint, "Pricing Rule") {
		t.Errorf("got %v, want a mismatch that names pricing rules", err)
	}
	if got := strings.Join(site.calls, ", "); strings.Contains(got, "submit") {
		t.Errorf("calls %s", got)
	}
}

func TestInvalidEmailIdentifiesNobody(t *testing.T) {
	var keys []string
	site := &fakeSite{EnsureFunc: func(doctype, key string, doc any) (erpnext.Stored, bool, error) {
		if doctype == "Customer" {
			keys = append(keys, key)
		}
		return willing(doctype, key, doc)
	}}
	p := newPoster(site, newMemory(), nil)
	for i, id := range []string{"7", "8"} {
		o := anOrder()
		o.ID = fmt.Sprint(1001 + i)
		o.Customer = &commerce.Party{ID: id, Email: "pos@shop", FirstName: "Till", LastName: id}
		if _, err := p.Order(t.Context(), shop, o); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(keys, ", "); got != "shopify/acme/customer/7, shopify/acme/customer/8" {
		t.Errorf("customers made: %s", got)
	}
}

func TestOrderCancelledInERPNextIsNotMadeAgain(t *testing.T) {
	site := &fakeSite{EnsureFunc: func(doctype, key string, doc any) (erpnext.Stored, bool, error) {
		s, _, err := willing(doctype, key, doc)
		if doctype == "Sales Order" {
			s.DocStatus = erpnext.Cancelled
		}
		return s, false, err
	}}
	r, err := newPoster(site, newMemory(), nil).Order(t.Context(), shop, anOrder())
	if err != nil || !strings.Contains(r.Ignored, "was cancelled in ERPNext") {
		t.Errorf("result %+v, %v", r, err)
	}
}

func aPayment(refs ...string) commerce.Payment {
	return commerce.Payment{ID: "pi_1", Reference: "ch_1", Provider: "stripe", Amount: usd("10.00"), At: time.Unix(0, 0), OrderRefs: refs}
}

func withOrder(m *memory, total string) {
	data := map[string]string{"customer": "Ann Lee", "currency": "USD", "grand_total": total}
	for _, key := range []string{"shopify/acme/order/1001", "shopify/acme/order-name/77"} {
		_ = m.Remember(context.Background(), "", event.Document{DocType: "Sales Order", Key: key, Name: "SO-1", Data: data})
	}
}

func TestPaymentWaitsThenGoesOnAccount(t *testing.T) {
	now := time.Unix(1000, 0)
	site, m := &fakeSite{EnsureFunc: willing}, newMemory()
	p := newPoster(site, m, func(o *posting.Options) {
		o.Desk.WaitForOrder = 30 * time.Minute
		o.Now = func() time.Time { return now }
	})
	_, err := p.Payment(t.Context(), stripe, aPayment("1001"), now.Add(-10*time.Minute))
	f := fault.As(err)
	if f == nil || f.Kind != fault.Waiting || f.RetryAfter != 20*time.Minute || !slices.Equal(f.WaitsFor, []string{"shopify/acme/order/1001", "shopify/acme/order-name/1001"}) {
		t.Fatalf("got %+v, want to wait 20 minutes for the order", f)
	}
	r, err := p.Payment(t.Context(), stripe, aPayment("1001"), now.Add(-31*time.Minute))
	if err != nil || r.Warn == nil || !strings.HasPrefix(r.Note, "booked on account") {
		t.Errorf("after the deadline: %+v, %v", r, err)
	}
}

func TestPaymentAllocation(t *testing.T) {
	tests := []struct {
		name, ref, total, outstanding string // outstanding "" = ERPNext takes what is asked
		want                          string // allocated; "" = nothing
		warn                          bool
	}{
		{"whole", "1001", "10.00", "", "10", false},
		{"by name", "#77", "10.00", "", "10", false},
		{"part of the order", "1001", "25.00", "", "10", false},
		{"more than the order", "1001", "8.00", "", "8", true},
		{"order partly paid by other means", "1001", "10.00", "4", "4", true},
		{"order paid by other means", "1001", "10.00", "0", "", true},
		{"order invoiced", "1001", "10.00", "invoiced", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory()
			withOrder(m, tt.total)
			var allocated string
			site := &fakeSite{
				EnsureFunc: func(doctype, key string, doc any) (erpnext.Stored, bool, error) {
					pe := doc.(erpnext.PaymentEntry)
					allocated = ""
					if len(pe.References) == 1 {
						allocated = pe.References[0].AllocatedAmount.String()
					}
					if tt.outstanding != "" && allocated == "10" {
						return erpnext.Stored{}, false, refused(fault.Rejected, "ValidationError")
					}
					return willing(doctype, key, doc)
				},
				GetFunc: func(_, name string) (erpnext.Stored, error) {
					total := decimal.RequireFromString(tt.total)
					if tt.outstanding == "invoiced" {
						return erpnext.Stored{Name: name, DocStatus: 1, Currency: "USD", GrandTotal: erpnext.Num(total), PerBilled: erpnext.Num(decimal.NewFromInt(100))}, nil
					}
					paid := total.Sub(decimal.RequireFromString(tt.outstanding))
					return erpnext.Stored{Name: name, DocStatus: 1, Currency: "USD", GrandTotal: erpnext.Num(total), AdvancePaid: erpnext.Num(paid)}, nil
				},
			}
			r, err := newPoster(site, m, nil).Payment(t.Context(), stripe, aPayment(tt.ref), time.Now())
			if err != nil || allocated != tt.want || (r.Warn != nil) != tt.warn {
				t.Errorf("allocated %q, warn %v, %v; want %q, %v", allocated, r.Warn, err, tt.want, tt.warn)
			}
		})
	}
}

func TestPaymentRefusedForAnotherReasonStaysRefused(t *testing.T) {
	m := newMemory()
	withOrder(m, "10.00")
	site := &fakeSite{
		EnsureFunc: func(string, string, any) (erpnext.Stored, bool, error) {
			return erpnext.Stored{}, false, refused(fault.Rejected, "FiscalYearError")
		},
		GetFunc: func(_, name string) (erpnext.Stored, error) {
			return erpnext.Stored{Name: name, DocStatus: 1, Currency: "USD", GrandTotal: erpnext.Num(decimal.RequireFromString("10"))}, nil
		},
	}
	_, err := newPoster(site, m, nil).Payment(t.Context(), stripe, aPayment("1001"), time.Now())
	if f := fault.As(err); f == nil || f.Cause != "FiscalYearError" {
		t.Errorf("got %v", err)
	}
}

func TestForeignPaymentIsNotGuessed(t *testing.T) {
	site, m := &fakeSite{EnsureFunc: willing}, newMemory()
	pay := aPayment()
	pay.Amount = money.FromMinor(1000, 2, "EUR")
	_, err := newPoster(site, m, func(o *posting.Options) { o.Desk.UnknownPayer = "X" }).Payment(t.Context(), stripe, pay, time.Now())
	if fault.KindOf(err) != fault.Unmapped {
		t.Errorf("got %v", err)
	}
}

func TestFailureOfTheMemoryIsOurs(t *testing.T) {
	site := &fakeSite{EnsureFunc: willing}
	p := newPoster(site, newMemory(), func(o *posting.Options) { o.Memory = brokenMemory{newMemory()} })
	if _, err := p.Order(t.Context(), shop, anOrder()); fault.KindOf(err) != fault.Internal || len(site.calls) != 0 {
		t.Errorf("got %v after %v", err, site.calls)
	}
}

type brokenMemory struct{ *memory }

func (brokenMemory) Document(context.Context, string, string) (event.Document, bool, error) {
	return event.Document{}, false, errors.New("disk")
}

func TestKeys(t *testing.T) {
	long := posting.Origin{Provider: "shopify", Source: "acme"}
	a, b := long.Key("payment", strings.Repeat("x", 300)+"1"), long.Key("payment", strings.Repeat("x", 300)+"2")
	if len(a) > erpnext.MaxKey || a == b {
		t.Errorf("long keys: %d characters, equal: %v", len(a), a == b)
	}
	if got := long.Key("order", "ABC"); got != "shopify/acme/order/abc" {
		t.Errorf("key %q: ERPNext compares without case", got)
	}
}
