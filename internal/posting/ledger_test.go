package posting_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// glRow is one line of the site's ledger.
type glRow struct {
	Account string         `json:"account"`
	Debit   erpnext.Number `json:"debit"`
	Credit  erpnext.Number `json:"credit"`
}

// ledger gives the site's ledger lines of a document.
func (b *bench) ledger(t testing.TB, voucher string) []glRow {
	t.Helper()
	var rows []glRow
	must(t, b.site.List(t.Context(), erpnext.Query{
		DocType: "GL Entry", Limit: -1, Fields: []string{"account", "debit", "credit"}, Filters: [][]any{{"voucher_no", "=", voucher}, {"is_cancelled", "=", 0}},
	}, &rows))
	return rows
}

// TestBooksBalance takes drawn orders through a site over HTTP: the Sales Order
// has the shop's total, and once it is invoiced and paid the ledger balances,
// the customer owes nothing, and the tax account holds what the shop asked.
func TestBooksBalance(t *testing.T) {
	site, b := sandboxBench(t, mapping.Books{Taxes: []mapping.TaxRule{
		{Rate: rate("0.19"), Account: "Tax 19 - DT"}, {Rate: rate("0.07"), Account: "Tax 7 - DT"},
	}}, nil)
	for _, name := range []string{"Tax 19", "Tax 7"} {
		must(t, site.Insert("Account", map[string]any{
			"name": name + " - DT", "account_name": name, "company": "Demo Trading", "account_type": "Tax", "account_currency": "USD", "root_type": "Liability",
		}))
	}
	ids := 0
	rapid.Check(t, func(rt *rapid.T) {
		ids++
		id := strconv.Itoa(ids)
		o := taxedOrder(rt, id, []string{"0.19", "0.07", "0"}, rapid.Bool().Draw(rt, "included"))
		o.CreatedAt = time.Now()
		o.Customer = &commerce.Party{ID: id, Email: "ann" + id + "@example.com", FirstName: "Ann", LastName: "Lee " + id}
		post := money.FromMinor(rapid.Int64Range(0, 999).Draw(rt, "post"), 2, "USD")
		o.Shipping = []commerce.Charge{{Title: "Post", Price: post, Discount: money.Zero("USD")}}
		o.Total = o.Total.Add(post)
		if rounded := o.Total.Add(money.FromMinor(rapid.Int64Range(-3, 3).Draw(rt, "rounding"), 2, "USD")); rounded.Sign() >= 0 {
			o.Total = rounded
		}
		if _, err := b.order(t.Context(), o); err != nil {
			rt.Fatalf("%v: %s", err, fault.As(err).Hint)
		}
		so := b.newest(t, id)
		if so.DocStatus != erpnext.Submitted || !so.GrandTotal.Equal(o.Total.Value()) {
			rt.Fatalf("docstatus %d with %s, the shop says %s", so.DocStatus, so.GrandTotal, o.Total)
		}
		if o.Total.IsZero() {
			return
		}
		p := payment(id, 1, o.Total.Value().String())
		if _, err := b.pay(t.Context(), p); err != nil {
			rt.Fatal(err)
		}
		b.balanced(rt, t, o, b.invoiced(t, so.Name))
	})
}

// invoiced makes and submits the invoice of an order, as a person does.
func (b *bench) invoiced(t testing.TB, order string) string {
	t.Helper()
	var made map[string]any
	must(t, b.site.Call(t.Context(), http.MethodPost, "erpnext.selling.doctype.sales_order.sales_order.make_sales_invoice", map[string]string{"source_name": order}, &made))
	for _, key := range []string{"docstatus", "name"} {
		delete(made, key)
	}
	made["allocate_advances_automatically"] = 1
	var stored erpnext.Stored
	must(t, b.site.Create(t.Context(), "Sales Invoice", made, &stored))
	must(t, b.site.Submit(t.Context(), "Sales Invoice", stored.Name, nil))
	return stored.Name
}

func (b *bench) balanced(rt *rapid.T, t *testing.T, o commerce.Order, invoice string) {
	sum, owed, taxes := decimal.Zero, decimal.Zero, map[string]decimal.Decimal{}
	for _, row := range b.ledger(t, invoice) {
		moved := row.Debit.Sub(row.Credit.Decimal)
		sum = sum.Add(moved)
		taxes[row.Account] = taxes[row.Account].Sub(moved)
		if row.Account == "Debtors - DT" {
			owed = owed.Add(moved)
		}
	}
	if !sum.Round(6).IsZero() || !owed.Round(6).Equal(o.Total.Value()) {
		rt.Fatalf("the ledger is off by %s, the customer owes %s of %s", sum, owed, o.Total)
	}
	asked := map[string]decimal.Decimal{}
	for _, line := range o.Lines {
		for _, tax := range line.Taxes {
			asked["Tax "+tax.Rate.Shift(2).String()+" - DT"] = asked["Tax "+tax.Rate.Shift(2).String()+" - DT"].Add(tax.Amount.Value())
		}
	}
	for account, amount := range asked {
		if !taxes[account].Round(6).Equal(amount) {
			rt.Fatalf("%s holds %s, the shop asked %s", account, taxes[account], amount)
		}
	}
	var si struct {
		Outstanding erpnext.Number `json:"outstanding_amount"`
		Status      string         `json:"status"`
	}
	must(t, b.site.Get(t.Context(), "Sales Invoice", invoice, &si))
	if !si.Outstanding.IsZero() {
		rt.Fatalf("%s is outstanding on the invoice, which is %s", si.Outstanding, si.Status)
	}
}
