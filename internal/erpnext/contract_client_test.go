package erpnext_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/shopspring/decimal"
)

// keepClient holds what the client promises on top of the wire.
func (s *contractSite) keepClient(t *testing.T) {
	c := s.client(t, s.runtimeKeys)
	t.Run("ensure makes once and then finds, whatever the key's case", func(t *testing.T) { s.keepEnsure(t, c) })
	t.Run("ensure finds what was made when the answer is lost", s.keepLostAnswer)
	t.Run("an order is drafted, submitted twice, and found", func(t *testing.T) { s.keepOrder(t, c) })
	t.Run("a refusal has its class and says what is missing", func(t *testing.T) { s.keepRefusals(t, c) })
}

func (s *contractSite) keepEnsure(t *testing.T, c *erpnext.Client) {
	key := s.next()
	doc := erpnext.Customer{CustomerName: s.run + " Ensure", CustomerType: "Individual"}
	var first, again erpnext.Stored
	if made, err := c.Ensure(t.Context(), erpnext.DocCustomer, key, doc, &first); err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	if made, err := c.Ensure(t.Context(), erpnext.DocCustomer, strings.ToUpper(key), doc, &again); err != nil || made || again.Name != first.Name {
		t.Errorf("again: made %v, %q, %v, want to find %q", made, again.Name, err, first.Name)
	}
	if found, err := c.FindByKey(t.Context(), erpnext.DocCustomer, s.next(), nil); err != nil || found {
		t.Errorf("a key that nobody has: found %v, %v", found, err)
	}
}

// deaf loses the answer to the first POST to a resource, after the site has
// done what was asked.
type deaf struct{ lost bool }

func (d *deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && !d.lost && r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/api/resource/") {
		d.lost = true
		resp.Body.Close()
		return nil, errors.New("connection reset")
	}
	return resp, err
}

func (s *contractSite) keepLostAnswer(t *testing.T) {
	c, err := erpnext.New(erpnext.Options{URL: s.url, Site: s.host, Credentials: s.runtimeKeys, Transport: &deaf{}})
	if err != nil {
		t.Fatal(err)
	}
	var stored erpnext.Stored
	made, err := c.Ensure(t.Context(), erpnext.DocCustomer, s.next(), erpnext.Customer{CustomerName: s.run + " Lost", CustomerType: "Individual"}, &stored)
	if err != nil || made || stored.Name == "" {
		t.Errorf("made %v, %q, %v, want to find the document whose answer was lost", made, stored.Name, err)
	}
}

func (s *contractSite) salesOrder(item string) erpnext.SalesOrder {
	return erpnext.SalesOrder{
		Customer: s.customer, Company: s.profile.Company, TransactionDate: s.today, DeliveryDate: s.today, Currency: s.profile.Currency,
		IgnorePricingRule: true, DisableRoundedTotal: true,
		Items: []erpnext.SalesOrderItem{{ItemCode: item, Qty: erpnext.Num(decimal.NewFromInt(3)), Rate: erpnext.Num(decimal.RequireFromString("3.33"))}},
	}
}

func (s *contractSite) keepOrder(t *testing.T, c *erpnext.Client) {
	key := s.next()
	var draft, found erpnext.Stored
	if _, err := c.Ensure(t.Context(), erpnext.DocSalesOrder, key, s.salesOrder(s.item), &draft); err != nil {
		t.Fatal(err)
	}
	if draft.DocStatus != erpnext.Draft || draft.Key != key || !draft.GrandTotal.Equal(decimal.RequireFromString("9.99")) || len(draft.Items) != 1 {
		t.Errorf("draft %+v", draft)
	}
	for range 2 {
		if err := c.Submit(t.Context(), erpnext.DocSalesOrder, draft.Name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := c.FindByKey(t.Context(), erpnext.DocSalesOrder, key, &found); err != nil || !ok || found.DocStatus != erpnext.Submitted || found.Status != "To Deliver and Bill" {
		t.Errorf("found %v %+v, %v", ok, found, err)
	}
}

func (s *contractSite) keepRefusals(t *testing.T, c *erpnext.Client) {
	_, err := c.Ensure(t.Context(), erpnext.DocSalesOrder, s.next(), s.salesOrder(s.run+" no such item"), &erpnext.Stored{})
	if fault.KindOf(err) != fault.Missing || erpnext.MissingDocType(err) != "Item" {
		t.Errorf("an item that is not there: %v, missing %q", err, erpnext.MissingDocType(err))
	}
	err = c.Create(t.Context(), "Item", map[string]any{"item_code": s.run + " forbidden", "item_group": "All Item Groups", "stock_uom": "Nos"}, nil)
	if f := fault.As(err); f == nil || f.Kind != fault.Rights || f.Hint == "" {
		t.Errorf("an item by the runtime user: %v", err)
	}
	if err := c.Create(t.Context(), erpnext.DocCustomer, map[string]any{"customer_name": "x", "cmd": "ping"}, nil); fault.KindOf(err) != fault.BadRequest {
		t.Errorf("a body that would call a method: %v", err)
	}
	if err := c.Get(t.Context(), erpnext.DocCustomer, s.run+" nobody", nil); fault.KindOf(err) != fault.Missing {
		t.Errorf("a customer that is not there: %v", err)
	}
}
