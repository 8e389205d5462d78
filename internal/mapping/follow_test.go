package mapping_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// followCase is what happens to an order after it was booked.
type followCase struct {
	Order        orderCase
	Fulfillments []sentCase
	Notes        bool   // a Delivery Note per fulfilment
	Invoices     string // "whole" or "parts"
	Credit       *creditCase
}

type sentCase struct {
	ID, Location string
	Cancelled    bool
	Lines        map[string]int64
}

type creditCase struct {
	Lines            []creditedCase
	Shipping, Others []amountCase
}

type creditedCase struct {
	ID, Subtotal, Tax string // Subtotal "" = the shop did not tell
	Quantity          int64
}

type amountCase struct{ Title, Amount, Tax string }

// TestFollowers runs one file a case: the first line says why, `order` is what
// happened, `want` the documents or the fault.
func TestFollowers(t *testing.T) {
	files, err := filepath.Glob("testdata/follow/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { golden(t, file, renderFollowers) })
	}
}

func renderFollowers(t *testing.T, c followCase) string {
	docs, err := c.documents(t)
	if err != nil {
		f := fault.As(err)
		return f.Kind.String() + ": " + f.Cause + "\n" + f.Hint + "\n"
	}
	out, err := json.MarshalIndent(docs, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

// documents are those that follow: notes, invoices, credit notes.
func (c followCase) documents(t *testing.T) ([]any, error) {
	b := books()
	b.Warehouse, b.Warehouses = "Stores - DT", map[string]string{"77": "Shop floor - DT"}
	o := c.Order.order(t)
	so, err := b.SalesOrder(o, "shopify/acme/order/1", "Ann Lee", knownItems)
	if err != nil {
		return nil, err
	}
	stored := c.stored(so)
	bill, err := b.Bill(o)
	if err != nil {
		return nil, err
	}
	if !bill.Fits(stored) {
		t.Fatal("the bill does not fit the order")
	}
	list := c.fulfillments()
	pieces := bill.Assign(list, nil)
	var docs []any
	for _, f := range list {
		if f.Cancelled || !c.Notes {
			continue
		}
		dn, goods, err := b.DeliveryNote(o, f, stored, bill, pieces[f.ID], "shopify/acme/fulfillment/"+f.ID)
		if err != nil {
			return nil, err
		}
		if goods {
			docs = append(docs, dn)
		}
	}
	invoices, err := c.invoices(b, o, stored, bill, pieces)
	if err != nil {
		return nil, err
	}
	if c.Credit == nil {
		for _, si := range invoices {
			docs = append(docs, si)
		}
		return docs, nil
	}
	notes, err := b.CreditNotes(c.credit(o.Currency), stored, bill, c.invoiced(invoices), "shopify/acme/credit/9")
	for _, note := range notes {
		docs = append(docs, note.SalesInvoice)
	}
	return docs, err
}

// stored is the Sales Order as ERPNext would have it.
func (c followCase) stored(so erpnext.SalesOrder) erpnext.Stored {
	stored := erpnext.Stored{Name: "SO-1", Customer: so.Customer, Currency: so.Currency, ConversionRate: so.ConversionRate, PoNo: so.PoNo, Taxes: so.Taxes}
	for i, row := range so.Items {
		stored.Items = append(stored.Items, erpnext.StoredRow{
			Name: "row" + strconv.Itoa(i+1), ItemCode: row.ItemCode, ItemName: row.ItemName, Description: row.Description, Qty: row.Qty, Rate: row.Rate,
			UOM: "Nos", ConversionFactor: erpnext.Num(decimal.NewFromInt(1)), Warehouse: row.Warehouse, CostCenter: row.CostCenter,
		})
		stored.GrandTotal = erpnext.Num(stored.GrandTotal.Add(row.Qty.Mul(row.Rate.Decimal)))
	}
	for _, row := range so.Taxes {
		stored.GrandTotal = erpnext.Num(stored.GrandTotal.Add(row.TaxAmount.Decimal))
	}
	return stored
}

var shippedAt = time.Date(2026, 3, 2, 3, 4, 5, 0, time.UTC) // the day before at the site

func (c followCase) fulfillments() []commerce.Fulfillment {
	var list []commerce.Fulfillment
	for _, s := range c.Fulfillments {
		f := commerce.Fulfillment{ID: s.ID, Name: "#1." + s.ID, At: shippedAt, LocationID: s.Location, Cancelled: s.Cancelled, Tracking: []string{"1Z" + s.ID}}
		for id, n := range s.Lines {
			f.Lines = append(f.Lines, commerce.FulfilledLine{LineID: id, Quantity: n})
		}
		list = append(list, f)
	}
	return list
}

func (c followCase) invoices(b mapping.Books, o commerce.Order, so erpnext.Stored, bill mapping.Bill, pieces map[string]mapping.Pieces) ([]erpnext.SalesInvoice, error) {
	parts := []mapping.InvoiceOf{}
	if c.Invoices == "whole" {
		parts = append(parts, mapping.InvoiceOf{Key: "shopify/acme/invoice/1", At: shippedAt, Pieces: bill.All(), Remainder: true})
	}
	for _, f := range c.fulfillments() {
		if c.Invoices == "parts" && !f.Cancelled {
			parts = append(parts, mapping.InvoiceOf{Key: "shopify/acme/invoice/" + f.ID, At: f.At, Pieces: pieces[f.ID], Remainder: len(parts) == 0})
		}
	}
	var list []erpnext.SalesInvoice
	for _, of := range parts {
		si, _, err := b.SalesInvoice(o, so, bill, of)
		if err != nil {
			return nil, err
		}
		list = append(list, si)
	}
	return list, nil
}

// invoiced are the invoices as ERPNext would have them.
func (c followCase) invoiced(list []erpnext.SalesInvoice) []mapping.Invoiced {
	var all []mapping.Invoiced
	for n, si := range list {
		i := mapping.Invoiced{Whole: c.Invoices == "whole", Returned: map[string]int64{}}
		i.Name, i.DebitTo, i.PostingDate, i.ConversionRate = "SI-"+strconv.Itoa(n+1), "Debtors - DT", si.PostingDate, si.ConversionRate
		for r, row := range si.Items {
			i.Items = append(i.Items, erpnext.StoredRow{
				Name: "si" + strconv.Itoa(n+1) + "row" + strconv.Itoa(r+1), ItemCode: row.ItemCode, ItemName: row.ItemName, Description: row.Description,
				Qty: row.Qty, Rate: row.Rate, UOM: row.UOM, ConversionFactor: row.ConversionFactor, SoDetail: row.SoDetail, IncomeAccount: "Sales - DT",
			})
		}
		all = append(all, i)
	}
	return all
}

func (c followCase) credit(currency string) commerce.Credit {
	amount := func(text string) money.Amount {
		if text == "" {
			return money.Zero(currency)
		}
		return money.New(decimal.RequireFromString(text), currency)
	}
	amounts := func(list []amountCase) []commerce.CreditedAmount {
		var out []commerce.CreditedAmount
		for _, a := range list {
			out = append(out, commerce.CreditedAmount{Title: a.Title, Amount: amount(a.Amount), Tax: amount(a.Tax)})
		}
		return out
	}
	credit := commerce.Credit{ID: "9", OrderID: "1", At: shippedAt.AddDate(0, 0, 7), Shipping: amounts(c.Credit.Shipping), Others: amounts(c.Credit.Others)}
	for _, l := range c.Credit.Lines {
		credit.Lines = append(credit.Lines, commerce.CreditedLine{
			LineID: l.ID, Quantity: l.Quantity, Priced: l.Subtotal != "", Subtotal: amount(l.Subtotal), Tax: amount(l.Tax),
		})
	}
	return credit
}

// TestAssignKeepsWhatIsKnown holds that pieces never move: whatever is cancelled
// later, a fulfilment keeps what it held.
func TestAssignKeepsWhatIsKnown(t *testing.T) {
	bill := mapping.Bill{Lines: []mapping.BillLine{{ID: "1", Qty: 3, Rows: 1}}}
	of := func(id string, n int64, cancelled bool) commerce.Fulfillment {
		return commerce.Fulfillment{ID: id, Cancelled: cancelled, Lines: []commerce.FulfilledLine{{LineID: "1", Quantity: n}}}
	}
	tests := []struct {
		name  string
		list  []commerce.Fulfillment
		known map[string]mapping.Pieces
		want  map[string][]mapping.Span
	}{
		{"in the order of their ids", []commerce.Fulfillment{of("10", 1, false), of("9", 2, false)}, nil, map[string][]mapping.Span{"9": {{0, 2}}, "10": {{2, 3}}}},
		{"what nobody held comes first", []commerce.Fulfillment{of("1", 1, true), of("2", 2, false)}, nil, map[string][]mapping.Span{"1": {{0, 1}}, "2": {{1, 3}}}},
		{"then what was given back", []commerce.Fulfillment{of("1", 2, true), of("2", 3, false)}, nil, map[string][]mapping.Span{"1": {{0, 2}}, "2": {{2, 3}, {0, 2}}}},
		{"known ones keep theirs", []commerce.Fulfillment{of("1", 1, true), of("2", 1, false)}, map[string]mapping.Pieces{"2": {"1": {{0, 1}}}}, map[string][]mapping.Span{"1": {{1, 2}}, "2": {{0, 1}}}},
		{"more than there is", []commerce.Fulfillment{of("1", 5, false), of("2", 1, false)}, nil, map[string][]mapping.Span{"1": {{0, 3}}, "2": nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := bill.Assign(tt.list, tt.known)
			for id, want := range tt.want {
				if !slices.Equal(got[id]["1"], want) {
					t.Errorf("%s holds %v, want %v", id, got[id]["1"], want)
				}
			}
		})
	}
}
