package privacy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/privacy"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
)

func TestTraces(t *testing.T) {
	for _, c := range []struct {
		name string
		ev   event.Event
		want []string
	}{
		{"an order", event.Event{Source: "shop", Subject: "order/11", Topic: "orders/create",
			Body: []byte(`{"id":11,"email":" Ada@Example.com ","customer":{"id":820982911946154508},"phone":"+49 151 1234567"}`)},
			[]string{"customer/820982911946154508", "email/ada@example.com", "order/11", "phone/491511234567", "subject/shop/order/11"}},
		{"an escaped address in a note", event.Event{Body: []byte(`{"note":"ask Ada <ada\u0040example.com>, please"}`)}, []string{"email/ada@example.com"}},
		{"a customer", event.Event{Topic: "customers/update", Body: []byte(`{"id":7,"email":"a@b.de"}`)}, []string{"customer/7", "email/a@b.de"}},
		{"a payment", event.Event{Body: []byte(`{"customer":"cus_1","metadata":{"shopify_order_id":"11"},"receipt_email":"a@b.de"}`)}, []string{"customer/cus_1", "email/a@b.de", "order/11"}},
		{"a nested phone", event.Event{Body: []byte(`{"phone":{"phone_number":{"national_number":"0049-151-1234567"}}}`)}, []string{"phone/491511234567"}},
		{"a global id", event.Event{Body: []byte(`{"order_id":"gid://shopify/Order/5"}`)}, []string{"order/5"}},
		{"no JSON", event.Event{Body: []byte(`email=a@b.de&x`)}, []string{"email/a@b.de"}},
		{"nobody", event.Event{Body: []byte(`{"id":7,"phone":"none"}`)}, nil},
		{"no body", event.Event{Subject: "order/1"}, nil},
	} {
		if diff := cmp.Diff(c.want, privacy.Traces(c.ev)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	many := event.Event{Body: []byte(`["` + strings.Join(addresses(101), `","`) + `"]`)}
	if got := privacy.Traces(many); got != nil {
		t.Errorf("%d traces are kept of one event", len(got))
	}
}

func addresses(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("p%d@example.com", i))
	}
	return all
}

// bench is an inbox with a desk over it.
type bench struct {
	*testing.T
	inbox *sqlite.DB
	desk  *privacy.Desk
	dir   string
	ids   map[string]string
}

// newBench holds Ada's order (settled and traced), its refund (without any
// e-mail), her pending payment, and two events of Grace: one of another shop.
func newBench(t *testing.T) bench {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(dir, "inbox.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	b := bench{t, db, nil, dir, map[string]string{}}
	b.desk = privacy.New(privacy.Options{Inbox: db, Dir: dir, Customer: "Customer", Keep: []string{"currency"},
		Memory: func(email string) []event.Document {
			return []event.Document{{DocType: "Customer", Key: "email/" + email}}
		}})
	b.settled("order", event.Event{Source: "shop", Topic: "orders/create", Subject: "order/11", Body: []byte(`{"id":11,"email":"ada@example.com","customer":{"id":7}}`)})
	b.settled("refund", event.Event{Source: "shop", Topic: "refunds/create", Subject: "order/11", Body: []byte(`{"id":3,"order_id":11}`)})
	b.settled("grace", event.Event{Source: "shop", Topic: "orders/create", Subject: "order/12", Body: []byte(`{"id":12,"email":"grace@example.com"}`)})
	b.settled("elsewhere", event.Event{Source: "other", Topic: "orders/create", Subject: "order/90", Body: []byte(`{"id":90,"email":"ada@example.com"}`)})
	b.put("payment", event.Event{Source: "stripe", Topic: "charge.succeeded", Subject: "payment/pi", Body: []byte(`{"receipt_email":"ADA@example.com"}`)})
	if err := db.Remember(t.Context(), "", event.Document{DocType: "Customer", Name: "Ada", Key: "email/ada@example.com"}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b bench) put(name string, ev event.Event) {
	b.Helper()
	ev.ProviderID, ev.Provider = name, ev.Source
	r, err := b.inbox.Put(b.Context(), ev)
	if err != nil {
		b.Fatal(err)
	}
	b.ids[name] = r.ID
}

func (b bench) settled(name string, ev event.Event) {
	b.Helper()
	b.put(name, ev)
	c, err := b.inbox.Claim(b.Context(), time.Minute)
	if err != nil || c == nil {
		b.Fatal(c, err)
	}
	err = b.inbox.Settle(b.Context(), c, event.Outcome{State: event.Done, Result: "done", Traces: privacy.Traces(c.Event), Documents: []event.Document{
		{DocType: "Customer", Name: "Name of " + name, Key: "customer/" + name}, {DocType: "Sales Order", Name: "SO", Key: name, Data: map[string]string{"customer": name, "currency": "EUR"}},
	}})
	if err != nil {
		b.Fatal(err)
	}
}

func (b bench) find(p privacy.Person) []string {
	b.Helper()
	found, err := b.desk.Find(b.Context(), p)
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	for _, ev := range found.Events {
		names = append(names, ev.ProviderID)
	}
	slices.Sort(names)
	return names
}

func TestFind(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		name   string
		person privacy.Person
		want   []string
	}{
		{"by e-mail, everywhere", privacy.Person{Email: "Ada@example.com"}, []string{"elsewhere", "order", "payment", "refund"}},
		{"but for another shop", privacy.Person{Email: "ada@example.com", Except: map[string]bool{"other": true}}, []string{"order", "payment", "refund"}},
		{"by customer", privacy.Person{Customer: "7"}, []string{"order", "refund"}},
		{"by order", privacy.Person{Orders: []string{"12"}}, []string{"grace"}},
		{"of one source", privacy.Person{Email: "ada@example.com", Source: "stripe"}, []string{"payment"}},
		{"a source as a whole", privacy.Person{Source: "shop"}, []string{"grace", "order", "refund"}},
		{"nobody known", privacy.Person{Email: "eve@example.com"}, nil},
	} {
		if diff := cmp.Diff(c.want, b.find(c.person)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if _, err := b.desk.Find(t.Context(), privacy.Person{Phone: "12"}); fault.KindOf(err) != fault.Malformed {
		t.Errorf("a phone that is none: got %v, want malformed", err)
	}
}

func TestRedactErasesForgetsAndTells(t *testing.T) {
	b := newBench(t)
	request := event.Event{ID: b.ids["grace"], Source: "shop"}
	p := commerce.Privacy{Kind: commerce.PrivacyRedact, RequestID: "r1", Email: "ada@example.com"}
	for n, want := range []string{"4 events, 1 of them", "0 events, 0 of them"} {
		a, err := b.desk.Handle(t.Context(), request, p, nil)
		if err != nil || !a.Erase || a.Tell == nil || !strings.Contains(a.Note, want) || !strings.Contains(a.Tell.Hint, "ERPNext was not changed") {
			t.Fatalf("try %d: got %+v, %v, want %q", n, a, err, want)
		}
		if strings.Contains(a.Note+a.Tell.Error()+a.Tell.Hint, "ada@") {
			t.Error("the operator is told the address")
		}
	}
	for name, id := range b.ids {
		ev, _, docs, err := b.inbox.Get(t.Context(), id)
		if err != nil || (ev.Body == nil) != (name != "grace") {
			t.Errorf("%s: body %q, %v", name, ev.Body, err)
		}
		if name == "order" && (len(docs) != 1 || docs[0].Data["customer"] != "" || docs[0].Data["currency"] != "EUR") {
			t.Errorf("the order's documents are %+v", docs)
		}
	}
	if _, ok, err := b.inbox.Document(t.Context(), "Customer", "email/ada@example.com"); ok || err != nil {
		t.Errorf("the e-mail is still remembered, %v", err)
	}
}

func (b bench) refuse(id, source, body string, header map[string][]string) {
	b.Helper()
	err := b.inbox.Reject(b.Context(), event.RejectionBounds{PerSource: 10, Bytes: 1 << 20, Age: time.Hour}, event.Rejection{
		ID: id, Source: source, Class: "bad_signature", ReceivedAt: time.Now(), Header: header, Body: []byte(body), Whole: true,
	})
	if err != nil {
		b.Fatal(err)
	}
}

// What was refused at the door is kept too, with everything the sender sent.
func TestRefusedRequestsAreFoundExportedAndErased(t *testing.T) {
	b := newBench(t)
	b.refuse("rj_email", "shop", `{"id":1,"email":"Ada@example.com"}`, nil)
	b.refuse("rj_order", "shop", `{"id":11}`, nil)
	b.refuse("rj_header", "shop", `{}`, map[string][]string{"From": {"ada@example.com"}})
	b.refuse("rj_broken", "shop", `{"email":"ada@example.com`, nil)
	b.refuse("rj_grace", "shop", `{"id":12,"email":"grace@example.com"}`, nil)
	b.refuse("rj_other", "other", `{"email":"ada@example.com"}`, nil)
	ada := privacy.Person{Email: "ada@example.com", Except: map[string]bool{"other": true}}
	refused := func(p privacy.Person) []string {
		t.Helper()
		found, err := b.desk.Find(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range found.Rejections {
			if ids = append(ids, r.ID); r.Body != nil {
				t.Errorf("%s is found with its body", r.ID)
			}
		}
		return ids
	}
	want := []string{"rj_email", "rj_order", "rj_header", "rj_broken"}
	if got := refused(ada); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	path, n, err := b.desk.Export(t.Context(), ada, "ada", "")
	raw, _ := os.ReadFile(path)
	if err != nil || n != 3+4 || strings.Count(string(raw), `"refused":"bad_signature: "`) != 4 || !strings.Contains(string(raw), `"From":["ada@example.com"]`) {
		t.Errorf("exported %d, %v: %s", n, err, raw)
	}
	a, err := b.desk.Handle(t.Context(), event.Event{ID: "ev_request", Source: "shop"}, commerce.Privacy{Kind: commerce.PrivacyRedact, Email: "ada@example.com"}, ada.Except)
	if err != nil || !strings.Contains(a.Note, "and 4 refused requests") {
		t.Errorf("got %+v, %v", a, err)
	}
	if got := refused(ada); got != nil {
		t.Errorf("left of her: %q", got)
	}
	if got := refused(privacy.Person{Source: "shop"}); !slices.Equal(got, []string{"rj_grace"}) {
		t.Errorf("left of the shop: %q", got)
	}
	if _, err := b.desk.Handle(t.Context(), event.Event{Source: "shop"}, commerce.Privacy{Kind: commerce.PrivacyRedactShop}, nil); err != nil {
		t.Fatal(err)
	}
	if got := refused(privacy.Person{Email: "grace@example.com"}); got != nil {
		t.Errorf("left after the shop's end: %q", got)
	}
	if got := refused(privacy.Person{Source: "other"}); len(got) != 1 {
		t.Errorf("the other shop's: %q", got)
	}
}

func TestRedactWaitsForWhatIsInHand(t *testing.T) {
	b := newBench(t)
	if c, err := b.inbox.Claim(t.Context(), time.Minute); err != nil || c == nil {
		t.Fatal(c, err)
	}
	_, err := b.desk.Handle(t.Context(), event.Event{Source: "shop"}, commerce.Privacy{Kind: commerce.PrivacyRedact, Email: "ada@example.com"}, nil)
	if fault.KindOf(err).Retry() != fault.Soon {
		t.Errorf("got %v, want one that is tried again", err)
	}
}

func TestRedactShopTakesTheSourceAlone(t *testing.T) {
	b := newBench(t)
	a, err := b.desk.Handle(t.Context(), event.Event{Source: "shop"}, commerce.Privacy{Kind: commerce.PrivacyRedactShop}, nil)
	if err != nil || !strings.Contains(a.Note, "3 events") {
		t.Errorf("got %+v, %v", a, err)
	}
	if left := b.find(privacy.Person{Email: "ada@example.com"}); !slices.Equal(left, []string{"elsewhere", "payment"}) {
		t.Errorf("left: %v", left)
	}
}

func TestRequestsThatNameNobodyAndTheEndOfAShopEraseNothing(t *testing.T) {
	b := newBench(t)
	for _, kind := range []commerce.PrivacyKind{commerce.PrivacyExport, commerce.PrivacyRedact, commerce.ShopUninstalled} {
		a, err := b.desk.Handle(t.Context(), event.Event{Source: "shop"}, commerce.Privacy{Kind: kind}, nil)
		if err != nil || a.Tell == nil || a.Erase {
			t.Errorf("%s: got %+v, %v", kind, a, err)
		}
	}
	if left := b.find(privacy.Person{Source: "shop"}); len(left) != 3 {
		t.Errorf("left: %v", left)
	}
}

func TestAnExportIsWrittenOnceForItsOwnerAlone(t *testing.T) {
	b := newBench(t)
	p := commerce.Privacy{Kind: commerce.PrivacyExport, RequestID: "../../77", Email: "ada@example.com"}
	var files []string
	for range 2 {
		a, err := b.desk.Handle(t.Context(), event.Event{ID: "ev_request", Source: "shop"}, p, nil)
		if err != nil || a.Erase || !strings.Contains(a.Tell.Hint, "30 days") {
			t.Fatalf("got %+v, %v", a, err)
		}
		if files, err = filepath.Glob(filepath.Join(b.dir, "shop-*.jsonl")); err != nil || len(files) != 1 || !strings.Contains(a.Note, filepath.Base(files[0])) {
			t.Fatalf("files %v, note %q, %v", files, a.Note, err)
		}
	}
	info, err := os.Stat(files[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil || strings.Count(string(raw), "\n") != 4 || !strings.Contains(string(raw), `"email":"ada@example.com"`) || strings.Contains(string(raw), "grace") {
		t.Errorf("%s, %v", raw, err)
	}
	if rest, err := filepath.Glob(filepath.Join(b.dir, ".export-*")); err != nil || len(rest) != 0 {
		t.Errorf("left behind: %v, %v", rest, err)
	}
}

func TestAnExportFolderThatFailsIsTriedAgain(t *testing.T) {
	b := newBench(t)
	b.desk.Dir = filepath.Join(b.dir, "none")
	_, _, err := b.desk.Export(t.Context(), privacy.Person{Email: "ada@example.com"}, "x", "")
	if f := fault.As(err); f == nil || f.Kind != fault.Busy || !strings.Contains(f.Hint, "LEDGERHOOK_PRIVACY_DIR") {
		t.Errorf("got %v", err)
	}
}
