package sandbox

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// A site on a file is after a kill what it was before: every document, every
// number series, every column; only what was never answered is missing.
func TestDurableSiteOutlivesItsProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "site.jsonl")
	on := func(o *Options) { o.Data = file }
	s := testSite(t, on)
	prepare(t, s)
	name := submittedOrder(t, s, "k1")
	submit(t, s, "Payment Entry", payment(name, 10, nil))
	gone := mustDo(t, s, runtimeKey, "POST", "/api/resource/Sales Order", order("k2", nil))["name"].(string)
	mustDo(t, s, "all:all", "DELETE", "/api/resource/Sales Order/"+gone, nil)
	refused(t, s, "POST", "/api/resource/Sales Order", order("k1", nil), 417, "UniqueValidationError")

	again := testSite(t, on)
	for doctype, tab := range s.tables {
		if !reflect.DeepEqual(again.tables[doctype].byKey, tab.byKey) {
			t.Errorf("%s differs", doctype)
		}
	}
	if !reflect.DeepEqual(again.series, s.series) {
		t.Errorf("series %v, want %v", again.series, s.series)
	}
	refused(t, again, "POST", "/api/resource/Sales Order", order("k1", nil), 417, "UniqueValidationError")

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, whole[:len(whole)-7], 0o600); err != nil {
		t.Fatal(err)
	}
	cut := testSite(t, on)
	if cut.peek("Sales Order", gone) == nil {
		t.Error("a commit that was cut off was applied all the same")
	}
	mustDo(t, cut, "all:all", "DELETE", "/api/resource/Sales Order/"+gone, nil)
	if testSite(t, on).peek("Sales Order", gone) != nil {
		t.Error("what was committed behind the cut was lost")
	}
}

func TestDurableSiteNamesTheLineThatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "site.jsonl")
	if err := os.WriteFile(file, []byte("{}\n[]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Data: file}); err == nil || err.Error() != "sandbox: data: "+file+": commit 2: no object" {
		t.Errorf("got %v", err)
	}
}
