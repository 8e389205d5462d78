package mapping_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox/totals"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// asStored is what ERPNext would have of a mapped order: its rows get names, and
// its arithmetic the totals.
func asStored(t *rapid.T, so erpnext.SalesOrder, s totals.Settings) erpnext.Stored {
	doc := asDocument(t, so)
	if err := totals.Calculate(doc, s); err != nil {
		t.Fatal(err)
	}
	stored := erpnext.Stored{Name: "SO-1", Customer: so.Customer, Currency: so.Currency, ConversionRate: so.ConversionRate, Taxes: so.Taxes, GrandTotal: totalOf(doc)}
	for i, row := range so.Items {
		stored.Items = append(stored.Items, erpnext.StoredRow{
			Name: "row" + strconv.Itoa(i), ItemCode: row.ItemCode, ItemName: row.ItemName, Qty: row.Qty, Rate: row.Rate, ItemTaxTemplate: row.ItemTaxTemplate,
		})
	}
	return stored
}

func totalOf(doc map[string]any) erpnext.Number {
	return erpnext.Num(decimal.NewFromFloat(doc["grand_total"].(float64)).Round(6)) //nolint:forcetypeassert // the totals' own
}

// invoiceTotals are what ERPNext's arithmetic makes of an invoice.
func invoiceTotals(t *rapid.T, si erpnext.SalesInvoice, s totals.Settings) map[string]any {
	doc := asDocument(t, si)
	doc["doctype"] = erpnext.DocSalesInvoice
	if err := totals.Calculate(doc, s); err != nil {
		t.Fatal(err)
	}
	return doc
}

// drawParts divides an order's pieces over fulfilments. Gift cards go like the
// goods.
func drawParts(t *rapid.T, o commerce.Order) []commerce.Fulfillment {
	parts := make([]commerce.Fulfillment, rapid.IntRange(1, 4).Draw(t, "parts"))
	for n := range parts {
		parts[n].ID = strconv.Itoa(n + 1)
	}
	for _, l := range o.Lines {
		for left := l.Quantity; left > 0; {
			qty := rapid.Int64Range(1, left).Draw(t, "pieces")
			part := &parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")]
			part.Lines = append(part.Lines, commerce.FulfilledLine{LineID: l.ID, Quantity: qty})
			left -= qty
		}
	}
	return parts
}

// drawSale draws an order whose lines have ids, and the books it is booked in.
func drawSale(t *rapid.T) (commerce.Order, mapping.Books) {
	sale := genOrder(t)
	o, b := sale.order, genBooks(t, sale)
	for i := range o.Lines {
		o.Lines[i].ID = fmt.Sprintf("L%d", i)
	}
	return o, b
}

func arithmetic(b mapping.Books, method string) totals.Settings {
	return totals.Settings{
		RoundingMethod: method, CompanyCurrency: b.Currency, CurrencyPrecision: int(b.Precision),
		FieldPrecision: func(_, field string) (int, bool) { return 9, field == "conversion_rate" },
	}
}

// TestInvoicesAddUpToTheOrder holds that the invoices of an order's parts have
// exactly its total, as ERPNext computes it, and where taxes are amounts, on
// every account exactly its sum.
func TestInvoicesAddUpToTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, b := drawSale(t)
		s := arithmetic(b, rapid.SampledFrom([]string{"Banker's Rounding", "Commercial Rounding"}).Draw(t, "method"))
		so, err := b.SalesOrder(o, "key", "Ann", knownItems)
		if err != nil {
			t.Fatalf("%v: %s", err, fault.As(err).Hint)
		}
		stored := asStored(t, so, s)
		bill, err := b.Bill(o)
		if err != nil || !bill.Fits(stored) {
			t.Fatalf("%v: the bill does not fit the order", err)
		}
		sum, accounts := decimal.Zero, map[string]decimal.Decimal{}
		known := map[string]mapping.Pieces{}
		parts := drawParts(t, o)
		for n := range parts { // they become known one after another
			known = bill.Assign(parts[:n+1], known)
			of := mapping.InvoiceOf{Key: "invoice", At: time.Unix(0, 0), Pieces: known[parts[n].ID], Remainder: n == 0}
			si, want, err := b.SalesInvoice(o, stored, bill, of)
			if err != nil {
				t.Fatal(err)
			}
			if len(si.Items) == 0 {
				if n == 0 {
					t.Skip("nothing but gift cards and charges")
				}
				continue
			}
			doc := invoiceTotals(t, si, s)
			if off := want.Sub(totalOf(doc).Decimal); !off.IsZero() {
				if si.Taxes, err = b.Rounded(si.Taxes, off, si.Currency, len(o.Lines)*4); err != nil || !bill.Rated {
					t.Fatalf("the invoice comes to %v, it should be %v: %v", totalOf(doc), want, err)
				}
				doc = invoiceTotals(t, si, s)
			}
			sum = sum.Add(totalOf(doc).Decimal)
			for _, row := range si.Taxes {
				accounts[row.AccountHead] = accounts[row.AccountHead].Add(row.TaxAmount.Decimal)
			}
		}
		if !sum.Equal(stored.GrandTotal.Decimal) {
			t.Fatalf("the invoices make %v, the order %v", sum, stored.GrandTotal)
		}
		if bill.Rated {
			return
		}
		for _, row := range so.Taxes {
			if !accounts[row.AccountHead].Equal(row.TaxAmount.Decimal) {
				t.Errorf("%s: the invoices have %v, the order %v", row.AccountHead, accounts[row.AccountHead], row.TaxAmount)
			}
		}
	})
}

// TestCreditsOfEveryPieceAddUpToTheOrder holds that what an order's refunds
// give back comes, in ERPNext's arithmetic, to exactly what the shop says.
func TestCreditsAreWhatTheShopGaveBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, b := drawSale(t)
		s := arithmetic(b, "Banker's Rounding")
		so, err := b.SalesOrder(o, "key", "Ann", knownItems)
		if err != nil {
			t.Fatal(err)
		}
		stored := asStored(t, so, s)
		bill, err := b.Bill(o)
		if err != nil {
			t.Fatal(err)
		}
		invoice := mapping.Invoiced{Whole: true, Returned: map[string]int64{}, Stored: erpnext.Stored{Name: "SI-1", Currency: o.Currency, PostingDate: "2026-01-01", ConversionRate: so.ConversionRate}}
		for _, row := range stored.Items {
			row.SoDetail, row.Name = row.Name, "si-"+row.Name
			invoice.Items = append(invoice.Items, row)
		}
		for n := range rapid.IntRange(1, 3).Draw(t, "refunds") {
			credit, want := drawCredit(t, o, strconv.Itoa(n), b.Precision)
			notes, err := b.CreditNotes(credit, stored, bill, []mapping.Invoiced{invoice}, "credit")
			if err != nil {
				t.Fatalf("%v: %s", err, fault.As(err).Hint)
			}
			sum := decimal.Zero
			for _, note := range notes {
				doc := invoiceTotals(t, note.SalesInvoice, s)
				if off := note.Total.Sub(totalOf(doc).Decimal); !off.IsZero() {
					if note.Taxes, err = b.Rounded(note.Taxes, off, o.Currency, len(o.Lines)*40); err != nil || !bill.Rated {
						t.Fatalf("the credit note comes to %v, it should be %v: %v\n%+v", totalOf(doc), note.Total, err, note.SalesInvoice)
					}
					doc = invoiceTotals(t, note.SalesInvoice, s)
				}
				sum = sum.Add(totalOf(doc).Decimal)
				for row, qty := range note.Returned {
					invoice.Returned[row] += qty
				}
			}
			if len(notes) > 0 && !sum.Neg().Equal(want) {
				t.Fatalf("the credit notes give back %v, the shop %v", sum.Neg(), want)
			}
			for _, row := range invoice.Items {
				if invoice.Returned[row.Name] > row.Qty.IntPart() {
					t.Fatalf("%d of %v pieces were taken back", invoice.Returned[row.Name], row.Qty)
				}
			}
			for i := range o.Lines { // what is left for the next refund
				for _, l := range credit.Lines {
					if l.LineID == o.Lines[i].ID {
						o.Lines[i].Quantity -= l.Quantity
					}
				}
			}
		}
	})
}

// drawCredit draws a refund of some pieces, for about their price or less, and
// perhaps of shipping, and tells what the buyer gets.
func drawCredit(t *rapid.T, o commerce.Order, id string, digits int32) (commerce.Credit, decimal.Decimal) {
	c := commerce.Credit{ID: id, OrderID: o.ID, At: time.Unix(0, 0)}
	minor, err := money.MinorDigits(o.Currency)
	if err != nil {
		t.Fatal(err)
	}
	amount := func(label string, high int64) money.Amount {
		return money.FromMinor(rapid.Int64Range(0, max(high, 0)).Draw(t, label), minor, o.Currency)
	}
	want := decimal.Zero
	gives := func(net, tax money.Amount) {
		want = want.Add(net.Value())
		if !o.TaxesIncluded {
			want = want.Add(tax.Value())
		}
	}
	for _, l := range o.Lines {
		if l.Quantity == 0 || !rapid.Bool().Draw(t, "refunded") {
			continue
		}
		qty := rapid.Int64Range(1, l.Quantity).Draw(t, "qty")
		high := l.UnitPrice.Value().Mul(decimal.NewFromInt(qty)).Shift(int32(minor)).IntPart()
		line := commerce.CreditedLine{LineID: l.ID, Quantity: qty, Priced: true, Subtotal: amount("subtotal", high)}
		line.Tax = amount("tax", line.Subtotal.Value().Shift(int32(minor)).IntPart()/5)
		c.Lines = append(c.Lines, line)
		gives(line.Subtotal, line.Tax)
	}
	if rapid.Bool().Draw(t, "shipping") {
		a := commerce.CreditedAmount{Title: "Shipping", Amount: amount("shipping", 900)}
		a.Tax = amount("shipping tax", a.Amount.Value().Shift(int32(minor)).IntPart()/5)
		c.Shipping = append(c.Shipping, a)
		gives(a.Amount, a.Tax)
	}
	return c, want
}
