package mapping_test

import (
	"encoding/json"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox/totals"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// cart is an order being made up as a shop would compute it: discounts and
// taxes rounded to the currency's smallest unit per line, the total the sum of
// what was rounded.
type cart struct {
	t      *rapid.T
	order  commerce.Order
	digits int
	rates  []int64 // in percent
	total  money.Amount
}

// genOrder draws an order in a currency without, with two and with three
// decimals.
func genOrder(t *rapid.T) commerce.Order {
	currency := rapid.SampledFrom([]string{"USD", "EUR", "JPY", "KWD"}).Draw(t, "currency")
	digits, err := money.MinorDigits(currency)
	if err != nil {
		t.Fatal(err)
	}
	c := &cart{
		t: t, digits: digits, total: money.Zero(currency), rates: rapid.SliceOfNDistinct(rapid.Int64Range(1, 25), 0, 3, rapid.ID[int64]).Draw(t, "rates"),
		order: commerce.Order{ID: "1", Name: "#1", Currency: currency, TaxesIncluded: rapid.Bool().Draw(t, "included")},
	}
	for range rapid.IntRange(1, 6).Draw(t, "lines") {
		c.addLine()
	}
	c.order.Shipping = c.charges("post")
	c.order.Duties = c.charges("duty")
	c.order.Fees = c.charges("fee")
	c.order.Tip = c.units("tip", 0, 500)
	c.total = c.total.Add(c.order.Tip)
	// A shop may round its total a little differently than its parts.
	c.order.Total = c.total.Add(c.units("rounding", -3, 3))
	if c.order.Total.Sign() < 0 {
		c.order.Total = c.total
	}
	return c.order
}

// units draws an amount of smallest units.
func (c *cart) units(label string, low, high int64) money.Amount {
	return money.FromMinor(rapid.Int64Range(low, high).Draw(c.t, label), c.digits, c.order.Currency)
}

// taxed computes the taxes on an amount, and adds them to the total unless they
// are in it.
func (c *cart) taxed(base money.Amount) []commerce.Tax {
	var taxes []commerce.Tax
	sum := int64(0)
	for _, r := range c.rates {
		sum += r
	}
	for _, r := range c.rates {
		rate := decimal.New(r, -2)
		amount := base.Value().Mul(rate)
		if c.order.TaxesIncluded {
			amount = amount.Div(decimal.New(100+sum, -2))
		}
		tax := money.New(amount.Round(int32(c.digits)), c.order.Currency)
		taxes = append(taxes, commerce.Tax{Title: "tax", Rate: rate, Amount: tax})
		if !c.order.TaxesIncluded {
			c.total = c.total.Add(tax)
		}
	}
	return taxes
}

func (c *cart) addLine() {
	qty := rapid.Int64Range(1, 20).Draw(c.t, "qty")
	price := rapid.Int64Range(0, 50000).Draw(c.t, "price")
	discount := int64(0)
	if rapid.Bool().Draw(c.t, "discounted") {
		discount = rapid.Int64Range(0, price*qty).Draw(c.t, "discount")
	}
	minor := func(n int64) money.Amount { return money.FromMinor(n, c.digits, c.order.Currency) }
	net := minor(price*qty - discount)
	c.total = c.total.Add(net)
	c.order.Lines = append(c.order.Lines, commerce.Line{
		SKU: rapid.SampledFrom([]string{"A", "B", ""}).Draw(c.t, "sku"), Title: "thing", Quantity: qty, UnitPrice: minor(price), Discount: minor(discount), Taxes: c.taxed(net),
		Kind: rapid.SampledFrom([]commerce.LineKind{commerce.Goods, commerce.Goods, commerce.Goods, commerce.GiftCard}).Draw(c.t, "kind"),
	})
}

func (c *cart) charges(title string) []commerce.Charge {
	if !rapid.Bool().Draw(c.t, title) {
		return nil
	}
	price := c.units(title+" price", 0, 5000)
	discount := money.FromMinor(rapid.Int64Range(0, price.Value().Shift(int32(c.digits)).IntPart()).Draw(c.t, title+" discount"), c.digits, c.order.Currency)
	net := price.Sub(discount)
	c.total = c.total.Add(net)
	return []commerce.Charge{{Title: title, Price: price, Discount: discount, Taxes: c.taxed(net)}}
}

// genBooks draws the ways in which a sheet may ask for an order to be booked.
func genBooks(t *rapid.T, currency string) mapping.Books {
	b := books()
	b.Currency, b.Precision = currency, 3
	b.Items.Shipping, b.Items.GiftCard = "POST", "CARD"
	b.DutyAccount, b.FeeAccount, b.TipAccount = "Duties - DT", "Fees - DT", "Tips - DT"
	b.TaxRows = rapid.SampledFrom([]mapping.TaxRows{mapping.TaxesActual, mapping.TaxesActual, mapping.TaxesOnNetTotal}).Draw(t, "tax rows")
	b.ShippingAs = rapid.SampledFrom([]mapping.ShippingAs{mapping.ShippingAsRow, mapping.ShippingAsItem}).Draw(t, "shipping as")
	if b.TaxRows == mapping.TaxesActual {
		b.Discounts = rapid.SampledFrom([]mapping.Discounts{mapping.DiscountsInRates, mapping.DiscountsOnHeader}).Draw(t, "discounts")
	}
	return b
}

// grandTotal is what ERPNext's own arithmetic makes of a mapped order.
func grandTotal(t *rapid.T, b mapping.Books, o commerce.Order, method string) decimal.Decimal {
	so, err := b.SalesOrder(o, "key", "Ann", knownItems)
	if err != nil {
		t.Fatalf("%v: %s", err, fault.As(err).Hint)
	}
	doc := asDocument(t, so)
	precision := totals.Settings{RoundingMethod: method, CompanyCurrency: o.Currency, CurrencyPrecision: 3}
	if err := totals.Calculate(doc, precision); err != nil {
		t.Fatal(err)
	}
	return decimal.NewFromFloat(doc["grand_total"].(float64)).Round(6) //nolint:forcetypeassert // the totals' own
}

// TestEveryOrderReachesItsTotal asks ERPNext's own arithmetic, under each of
// its rounding methods, what the mapped order comes to. Tax rows with rates are
// rounded as the site likes: what that changes is seen on the draft, and taken
// back.
func TestEveryOrderReachesItsTotal(t *testing.T) {
	for range 100 { // times the 100 checks of each
		rapid.Check(t, func(t *rapid.T) {
			o := genOrder(t)
			b := genBooks(t, o.Currency)
			method := rapid.SampledFrom([]string{"Banker's Rounding", "Commercial Rounding", "Banker's Rounding (legacy)"}).Draw(t, "method")
			got := grandTotal(t, b, o, method)
			if b.TaxRows == mapping.TaxesOnNetTotal && !got.Equal(o.Total.Value()) {
				b.Adjust = o.Total.Value().Sub(got)
				got = grandTotal(t, b, o, method)
			}
			if !got.Equal(o.Total.Value()) {
				t.Fatalf("%s: grand_total = %v, the shop's total is %v", method, got, o.Total)
			}
		})
		if t.Failed() {
			return
		}
	}
}

func asDocument(t *rapid.T, so any) map[string]any {
	raw, err := json.Marshal(so)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	doc["doctype"], doc["conversion_rate"], doc["plc_conversion_rate"] = "Sales Order", 1.0, 1.0
	return doc
}
