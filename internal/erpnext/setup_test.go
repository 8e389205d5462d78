package erpnext_test

import (
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

func (c *connection) customFields() []string {
	var names []string
	for _, doc := range c.Documents("Custom Field") {
		name, _ := doc["name"].(string) //nolint:errcheck // a name is a text
		names = append(names, name)
	}
	return names
}

func runSetup(t *testing.T, c *erpnext.Client, doctypes ...string) ([]string, error) {
	t.Helper()
	var lines []string
	err := erpnext.Setup(t.Context(), c, doctypes, func(line string) { lines = append(lines, line) })
	return lines, err
}

func TestSetupTwice(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	for _, want := range []string{"made the unique field", "is there"} {
		lines, err := runSetup(t, site.as(t, setupUser), erpnext.KeyedDocTypes()...)
		if err != nil || len(lines) != len(erpnext.KeyedDocTypes()) {
			t.Fatalf("%v, %q", err, lines)
		}
		for _, line := range lines {
			if !strings.Contains(line, want) {
				t.Errorf("said %q, not %q", line, want)
			}
		}
	}
	if fields := site.customFields(); len(fields) != len(erpnext.KeyedDocTypes()) {
		t.Errorf("fields: %q", fields)
	}
	for _, doctype := range erpnext.KeyedDocTypes() {
		if has, err := site.as(t, runtimeUser).HasKeyField(t.Context(), doctype); !has || err != nil {
			t.Errorf("%s has no key field: %v", doctype, err)
		}
	}
}

// poison leaves a DocType as a refused custom field does.
func (c *connection) poison(t *testing.T, doctype string) {
	t.Helper()
	bad := map[string]any{"dt": doctype, "label": "Bad", "fieldname": "custom_bad", "fieldtype": "Small Text", "unique": 1}
	if err := c.as(t, setupUser).Create(t.Context(), "Custom Field", bad, nil); err == nil {
		t.Fatal("the bad field was taken")
	}
	if err := c.newCustomer(t); fault.KindOf(err) != fault.Maintenance {
		t.Fatalf("inserts still work: %v", err)
	}
}

func (c *connection) newCustomer(t *testing.T) error {
	t.Helper()
	return c.as(t, runtimeUser).Create(t.Context(), erpnext.DocCustomer, erpnext.Customer{CustomerName: "Ann Lee", CustomerType: "Individual"}, nil)
}

// TestSetupHealsPoisonedMetadata, whether the key field is there or not.
func TestSetupHealsPoisonedMetadata(t *testing.T) {
	for _, before := range []bool{false, true} {
		site := newConnection(t, sandbox.Options{})
		if before {
			site.setUp(t)
		}
		site.poison(t, erpnext.DocCustomer)
		if _, err := runSetup(t, site.as(t, setupUser), erpnext.DocCustomer); err != nil {
			t.Fatal(err)
		}
		if err := site.newCustomer(t); err != nil {
			t.Errorf("key field there before: %v: %v", before, err)
		}
	}
}

// refuseCreate answers the first so many creates of a custom field itself.
func (c *connection) refuseCreate(times, status int, answer string) {
	c.between = func(w http.ResponseWriter, r *http.Request, site http.Handler) {
		if times == 0 || r.Method != http.MethodPost || r.URL.Path != "/api/resource/Custom Field" {
			site.ServeHTTP(w, r)
			return
		}
		times--
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer) //nolint:errcheck // the client may have gone
	}
}

const fieldExists = `{"exception":"frappe.exceptions.ValidationError: A field with the name <strong>custom_ledgerhook_key</strong> already exists in Customer",` +
	`"exc_type":"ValidationError"}`

// TestSetupAfterRefusedCreate: the metadata are healed with whatever custom
// field there is, and a field that only poisoned metadata claim is made.
func TestSetupAfterRefusedCreate(t *testing.T) {
	const other = "Customer-custom_other"
	tests := []struct {
		name          string
		times, status int
		answer        string
		other         bool // another custom field is there to save
		ok            bool
		said          string
	}{
		{"claimed to exist", 1, 417, fieldExists, true, true, "saved the custom field " + other},
		{"claimed to exist, for ever", 9, 417, fieldExists, true, false, "saved the custom field " + other},
		{"claimed to exist, nothing to save", 9, 417, fieldExists, false, false, ""},
		{"a server error", 1, 500, `{"exc_type":"TypeError","exception":"TypeError: x"}`, true, false, "saved the custom field " + other},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			site := newConnection(t, sandbox.Options{})
			if tt.other {
				field := map[string]any{"dt": "Customer", "label": "Other", "fieldname": "custom_other", "fieldtype": "Data"}
				if err := site.as(t, setupUser).Create(t.Context(), "Custom Field", field, nil); err != nil {
					t.Fatal(err)
				}
				site.poison(t, erpnext.DocCustomer)
			}
			site.refuseCreate(tt.times, tt.status, tt.answer)
			lines, err := runSetup(t, site.as(t, setupUser), erpnext.DocCustomer)
			if (err == nil) != tt.ok || !strings.Contains(strings.Join(lines, "\n"), tt.said) {
				t.Errorf("%v, %q", err, lines)
			}
			if !tt.other && !strings.Contains(fault.As(err).Hint, "bench clear-cache") {
				t.Errorf("hint: %q", fault.As(err).Hint)
			}
			if err := site.newCustomer(t); err != nil {
				t.Errorf("inserts are refused: %v", err)
			}
			if got := slices.Contains(site.customFields(), "Customer-"+erpnext.KeyField); got != tt.ok {
				t.Errorf("key field there: %v", got)
			}
		})
	}
}

// TestSetupAfterFaults: whatever goes wrong once, a second run finishes it. The
// client is impatient, so that the delays make it give up.
func TestSetupAfterFaults(t *testing.T) {
	const patience = 20 * time.Millisecond
	for _, kind := range sandbox.FaultKinds() {
		for after := range 8 {
			site := newConnection(t, sandbox.Options{})
			client, err := erpnext.New(erpnext.Options{URL: site.url, Credentials: setupUser, Timeout: patience})
			if err != nil {
				t.Fatal(err)
			}
			site.SetFaults([]sandbox.Fault{{Kind: kind, Count: 1, After: after, Delay: patience + patience/4}})
			_, _ = runSetup(t, client, erpnext.KeyedDocTypes()...) //nolint:errcheck // it may fail
			site.SetFaults(nil)
			site.setUp(t) // perhaps beside a create that comes late
			for site.Busy() > 0 {
				runtime.Gosched()
			}
			want := make([]string, 0, len(erpnext.KeyedDocTypes()))
			for _, doctype := range erpnext.KeyedDocTypes() {
				want = append(want, doctype+"-"+erpnext.KeyField)
			}
			if fields := site.customFields(); !slices.Equal(slices.Sorted(slices.Values(fields)), slices.Sorted(slices.Values(want))) {
				t.Errorf("%s after %d: fields %q", kind, after, fields)
			}
		}
	}
}

// TestSetupLostAnswer: a field whose create was never answered is found.
func TestSetupLostAnswer(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.SetFaults([]sandbox.Fault{{Kind: "commit-then-502", Count: 1, DocType: "Custom Field", Method: http.MethodPost}})
	lines, err := runSetup(t, site.as(t, setupUser), erpnext.KeyedDocTypes()...)
	if err != nil || len(lines) != len(erpnext.KeyedDocTypes()) {
		t.Errorf("%v, %q", err, lines)
	}
}

func TestSetupRefuses(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	if _, err := runSetup(t, site.as(t, runtimeUser), erpnext.DocCustomer); fault.KindOf(err) != fault.Rights {
		t.Errorf("without the right: %v", err)
	}
	plain := map[string]any{"dt": "Customer", "label": "Ledgerhook Key", "fieldname": erpnext.KeyField, "fieldtype": "Data"}
	if err := site.as(t, setupUser).Create(t.Context(), "Custom Field", plain, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := runSetup(t, site.as(t, setupUser), erpnext.DocCustomer); fault.KindOf(err) != fault.Rejected {
		t.Errorf("a field that is not unique: %v", err)
	}
}

func TestSetupItem(t *testing.T) {
	tests := []struct {
		name, code string
		user       erpnext.Credentials
		want       string
		made       bool
	}{
		{"the default is there", "", rootUser, "Item SHOP-LINE: is there", false},
		{"another is made", "LINE-1", rootUser, "made, non-stock, in the Item Group Services", true},
		{"a System Manager may not", "LINE-1", setupUser, "Item Manager", false},
		{"the runtime user may not", "LINE-1", runtimeUser, "Item Manager", false},
		{"a stock item", "STOCK-1", rootUser, "is a stock item", false},
		{"a disabled one", "OLD-1", rootUser, "is disabled", false},
		{"a template", "TEMPLATE-1", rootUser, "is a template", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			site := newConnection(t, sandbox.Options{})
			site.insertBadItems(t)
			items := len(site.Documents("Item"))
			for _, want := range []string{tt.want, map[bool]string{true: "is there", false: tt.want}[tt.made]} {
				var said string
				err := erpnext.SetupItem(t.Context(), site.as(t, tt.user), erpnext.Wanted{FallbackItem: tt.code}, func(line string) { said = line })
				if err != nil || !strings.Contains(said, want) {
					t.Errorf("%v, said %q, not %q", err, said, want)
				}
			}
			if made := len(site.Documents("Item")) - items; made != map[bool]int{true: 1}[tt.made] {
				t.Errorf("made %d items", made)
			}
		})
	}
}
