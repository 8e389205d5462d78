package erpnext_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
)

// users of the in-memory site; root may do everything.
var (
	runtimeUser = erpnext.KeySecret("demo-key", "demo-secret")
	setupUser   = erpnext.KeySecret("demo-setup-key", "demo-setup-secret")
	rootUser    = erpnext.KeySecret("root-key", "root-secret")
)

// connection is an in-memory site, as it is delivered, and a way to it that a
// test may get between.
type connection struct {
	*sandbox.Site
	url     string
	between func(w http.ResponseWriter, r *http.Request, site http.Handler)
}

func newConnection(t testing.TB, o sandbox.Options) *connection {
	t.Helper()
	o.Key, o.Secret = "root-key", "root-secret"
	site, err := sandbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &connection{Site: site}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.between != nil {
			c.between(w, r, site)
			return
		}
		site.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *connection) as(t testing.TB, user erpnext.Credentials) *erpnext.Client {
	t.Helper()
	client, err := erpnext.New(erpnext.Options{URL: c.url, Credentials: user})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// setUp makes the key fields.
func (c *connection) setUp(t testing.TB) {
	t.Helper()
	if err := erpnext.Setup(t.Context(), c.as(t, setupUser), erpnext.KeyedDocTypes(), func(string) {}); err != nil {
		t.Fatal(err)
	}
}

func (c *connection) insert(t testing.TB, doctype string, doc map[string]any) {
	t.Helper()
	if err := c.Insert(doctype, doc); err != nil {
		t.Fatal(err)
	}
}

// insertBadItems makes items that cannot stand for any order line.
func (c *connection) insertBadItems(t testing.TB) {
	t.Helper()
	for name, field := range map[string]string{"STOCK-1": "is_stock_item", "OLD-1": "disabled", "TEMPLATE-1": "has_variants"} {
		item := map[string]any{"name": name, "item_group": "Products", "stock_uom": "Nos", "is_stock_item": 0, field: 1}
		c.insert(t, "Item", item)
	}
}
