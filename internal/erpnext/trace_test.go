package erpnext

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"
)

func traceOf(t *testing.T) (context.Context, *[]Exchange) {
	t.Helper()
	var seen []Exchange
	return WithTrace(t.Context(), func(x Exchange) { seen = append(seen, x) }), &seen
}

var untimed = cmpopts.IgnoreFields(Exchange{}, "StartedAt", "Took")

// A trace says which fields were sent with which amounts, and what was
// answered; the customer is nowhere in it.
func TestTraceTellsOfEveryRequestWithoutTheCustomer(t *testing.T) {
	refused := `{"exc_type":"LinkValidationError","_server_messages":"[\"{\\\"message\\\": \\\"Could not find Customer: Ada Byron\\\"}\"]"}`
	s := &site{answer: func(r *http.Request, _ string) (int, string) {
		if r.Method == http.MethodPut {
			return 200, `{"data":{"name":"SAL-ORD-1","docstatus":1}}`
		}
		return 417, refused
	}}
	c := connect(t, s)
	ctx, seen := traceOf(t)
	order := SalesOrder{
		Customer: "Ada Byron", CustomerName: "Ada Byron", Company: "Lab Co", TransactionDate: "2026-06-01", DeliveryDate: "2026-06-02", Currency: "USD",
		Items: []SalesOrderItem{{ItemCode: "For Ada", Qty: Num(decimal.NewFromInt(2)), Rate: Num(decimal.RequireFromString("12.30"))}}, Key: "shopify/x/order/1",
	}
	if err := c.Create(ctx, DocSalesOrder, order, nil); err == nil {
		t.Fatal("the refusal was no error")
	}
	if err := c.Submit(ctx, DocSalesOrder, "SAL-ORD-1", nil); err != nil {
		t.Fatal(err)
	}
	want := []Exchange{
		{
			Op: "erpnext.create Sales Order", Method: "POST", DocType: "Sales Order", Status: 417, ExcType: "LinkValidationError", Class: "missing",
			Response: `{"exc_type":"LinkValidationError"}`,
			Message:  (*seen)[0].Message, // its words are the classification's business
			Request: `{"company":"…","currency":"USD","custom_ledgerhook_key":"shopify/x/order/1","customer":"…","customer_name":"…","delivery_date":"2026-06-02",` +
				`"disable_rounded_total":0,"ignore_pricing_rule":0,"items":[{"item_code":"…","price_list_rate":0,"qty":2,"rate":12.3}],` +
				`"payment_terms_template":"","taxes_and_charges":"","transaction_date":"2026-06-01"}`,
		},
		{Op: "erpnext.submit Sales Order", Method: "PUT", DocType: "Sales Order", Status: 200, Request: `{"docstatus":1}`, Response: `{"data":{"docstatus":1}}`},
	}
	if diff := cmp.Diff(want, *seen, untimed); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	if m := (*seen)[0].Message; !strings.Contains(m, "LinkValidationError") || strings.Contains(m, "Ada") {
		t.Errorf("the message is %q", m)
	}
	for _, x := range *seen {
		if x.StartedAt.IsZero() || x.Took <= 0 {
			t.Errorf("%s has no time", x.Op)
		}
	}
}

func TestTraceTellsOfRequestsWithoutAnAnswer(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	c := connect(t, http.NotFoundHandler(), func(o *Options) { o.URL = gone.URL })
	gone.Close()
	ctx, seen := traceOf(t)
	_ = c.Get(ctx, DocCustomer, "Ada Byron", nil)
	want := []Exchange{{Op: "erpnext.get Customer", Method: "GET", DocType: "Customer", Message: "connection refused", Class: "network"}}
	if diff := cmp.Diff(want, *seen, untimed); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}

func TestHeardKeepsAmountsAndStates(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"no body", "", ""},
		{"a proxy's page", "<html>Ada Byron</html>", unsaid},
		{"a document", `{"data":{"name":"Ada Byron","customer":"Ada Byron","docstatus":0,"status":"Draft","grand_total":12.30,"discount_amount":0.0,"per_billed":0,"is_pos":false,"tax_id":null,` +
			`"items":[{"item_code":"For Ada","rate":12.3,"idx":1},{"item_code":"x","rate":0}],"taxes":[]}}`,
			`{"data":{"docstatus":0,"grand_total":12.30,"items":[{"idx":1,"rate":12.3}],"status":"Draft"}}`},
		{"a list of names", `{"data":[{"name":"Ada Byron"}]}`, `{}`},
		{"a refusal", `{"exc_type":"ValidationError","exception":"frappe.exceptions.ValidationError: Ada","exc":"[]"}`, `{"exc_type":"ValidationError"}`},
		{"a text alone", `"Ada Byron"`, `"` + unsaid + `"`},
		{"what is huge", `{"` + strings.Repeat("a", maxHeard) + `":1}`, unsaid},
	}
	for _, tt := range tests {
		if got := heard([]byte(tt.body)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestWithheldKeepsShapeAndAmounts(t *testing.T) {
	rows := strings.Repeat(`{"a":1},`, maxRows) + `{"a":1},{"a":1}`
	tests := []struct{ name, body, want string }{
		{"no body", "", ""},
		{"not JSON", "Ada Byron", unsaid},
		{"texts go, numbers stay", `{"email_id":"ada@example.com","paid_amount":12345678901234567890.12,"on":true,"none":null}`, `{"email_id":"…","none":null,"on":true,"paid_amount":12345678901234567890.12}`},
		{"empty texts stay", `{"taxes_and_charges":""}`, `{"taxes_and_charges":""}`},
		{"a query's values go, its fields stay", `{"doctype":"Customer","fields":["name","email_id"],"filters":{"email_id":["in",["ada@example.com"]]}}`,
			`{"doctype":"Customer","fields":["name","email_id"],"filters":{"email_id":["…",["…"]]}}`},
		{"long tables are cut", `{"items":[` + rows + `]}`, `{"items":[` + strings.Repeat(`{"a":1},`, maxRows) + `"…"]}`},
		{"what is huge is not kept", `{"` + strings.Repeat("a", maxTrace) + `":1}`, unsaid},
	}
	for _, tt := range tests {
		if got := withheld([]byte(tt.body)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
