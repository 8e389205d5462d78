package erpnext_test

import (
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/rs/zerolog"
)

// TestAKeyThatIsDropped: somebody removes the field after we have seen it, and
// ERPNext drops what is no field without a word. The document gets its key
// where it is kept without the field, is found there, and the log says so.
func TestAKeyThatIsDropped(t *testing.T) {
	site := newConnection(t, sandbox.Options{})
	site.setUp(t)
	var said strings.Builder
	client, err := erpnext.New(erpnext.Options{URL: site.url, Credentials: runtimeUser, Log: zerolog.New(&said)})
	if err != nil {
		t.Fatal(err)
	}
	if has, err := client.HasKeyField(t.Context(), erpnext.DocCustomer); err != nil || !has {
		t.Fatalf("%t, %v", has, err)
	}
	if err := site.as(t, rootUser).Delete(t.Context(), "Custom Field", "Customer-"+erpnext.KeyField); err != nil {
		t.Fatal(err)
	}
	customer := erpnext.Customer{CustomerName: "Ann Lee", CustomerType: "Individual", CustomerGroup: "Individual", Territory: "All Territories"}
	for _, want := range []bool{true, false} {
		var out erpnext.Stored
		if made, err := client.Ensure(t.Context(), erpnext.DocCustomer, "k/1", customer, &out); err != nil || made != want || out.Name != "Ann Lee" {
			t.Errorf("made %t %q, %v; want made %t", made, out.Name, err, want)
		}
	}
	if n := len(site.Documents(erpnext.DocCustomer)); n != 1 {
		t.Errorf("%d customers", n)
	}
	if !strings.Contains(said.String(), "dropped the unique key") {
		t.Errorf("the log says nothing: %s", said.String())
	}
}
