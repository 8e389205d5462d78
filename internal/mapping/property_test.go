package mapping_test

import (
	"encoding/json"
	"slices"
	"strconv"
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
	t       *rapid.T
	order   commerce.Order
	digits  int
	rates   []int64 // in percent
	mixed   bool    // each line and charge has rates of its own
	channel int     // the rate whose tax the sales channel owes; -1 = none
	asked   bool    // the channel puts its tax in the buyer's total
	total   money.Amount
	taxes   map[string]decimal.Decimal // what the shop asks, by title
}

// sale is an order with what it was made of.
type sale struct {
	order commerce.Order
	mixed bool
	taxes map[string]decimal.Decimal
	// unsure says that the channel's tax is no more than rounding: then which
	// of the two is in the total cannot be told.
	unsure bool
}

// genOrder draws an order in a currency without, with two and with three
// decimals.
func genOrder(t *rapid.T) sale {
	currency := rapid.SampledFrom([]string{"USD", "EUR", "JPY", "KWD"}).Draw(t, "currency")
	digits, err := money.MinorDigits(currency)
	if err != nil {
		t.Fatal(err)
	}
	c := &cart{
		t: t, digits: digits, total: money.Zero(currency), taxes: map[string]decimal.Decimal{}, mixed: rapid.Bool().Draw(t, "mixed"), channel: -1, rates: rapid.SliceOfNDistinct(rapid.Int64Range(1, 25), 0, 3, rapid.ID[int64]).Draw(t, "rates"),
		order: commerce.Order{ID: "1", Name: "#1", Currency: currency, TaxesIncluded: rapid.Bool().Draw(t, "included")},
	}
	if !c.order.TaxesIncluded && len(c.rates) > 0 && rapid.Bool().Draw(t, "channel owes") {
		c.channel, c.asked = rapid.IntRange(0, len(c.rates)-1).Draw(t, "channel's rate"), rapid.Bool().Draw(t, "asked")
	}
	for range rapid.IntRange(1, 6).Draw(t, "lines") {
		c.addLine()
	}
	c.addTipLine()
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
	c.addShopTotal()
	return sale{c.order, c.mixed, c.taxes, c.channel >= 0 && !c.channelSum().GreaterThan(decimal.New(20, -int32(digits)))}
}

// addShopTotal lets some orders be in what the buyer was shown: then the shop's
// own total stands beside, at a rate of the shop's.
func (c *cart) addShopTotal() {
	if !rapid.Bool().Draw(c.t, "presentment") || c.order.Total.IsZero() {
		return
	}
	rate := decimal.New(rapid.Int64Range(50, 50000).Draw(c.t, "rate of exchange"), -3)
	if own := c.order.Total.Value().Mul(rate).Round(2); !own.IsZero() { // nothing has no rate
		c.order.ShopTotal = new(money.New(own, "GBP"))
	}
}

func (c *cart) channelSum() decimal.Decimal {
	sum := decimal.Zero
	each := func(taxes []commerce.Tax) {
		for _, tax := range taxes {
			if tax.ByChannel {
				sum = sum.Add(tax.Amount.Value())
			}
		}
	}
	for _, line := range c.order.Lines {
		each(line.Taxes)
	}
	for _, charge := range slices.Concat(c.order.Shipping, c.order.Duties, c.order.Fees) {
		each(charge.Taxes)
	}
	return sum
}

// units draws an amount of smallest units.
func (c *cart) units(label string, low, high int64) money.Amount {
	return money.FromMinor(rapid.Int64Range(low, high).Draw(c.t, label), c.digits, c.order.Currency)
}

// taxed computes the taxes on an amount, and adds them to the total unless they
// are in it.
func (c *cart) taxed(base money.Amount) []commerce.Tax {
	var taxes []commerce.Tax
	held := map[int]bool{}
	sum := int64(0)
	for i, r := range c.rates {
		if held[i] = !c.mixed || rapid.Bool().Draw(c.t, "taxed so"); held[i] {
			sum += r
		}
	}
	for i, r := range c.rates {
		if !held[i] {
			continue
		}
		rate := decimal.New(r, -2)
		amount := base.Value().Mul(rate)
		if c.order.TaxesIncluded {
			amount = amount.Div(decimal.New(100+sum, -2))
		}
		tax := commerce.Tax{Title: taxTitle(i), Rate: rate, Amount: money.New(amount.Round(int32(c.digits)), c.order.Currency), ByChannel: i == c.channel}
		taxes = append(taxes, tax)
		if tax.ByChannel && !c.asked {
			continue
		}
		c.taxes[tax.Title] = c.taxes[tax.Title].Add(tax.Amount.Value())
		if !c.order.TaxesIncluded {
			c.total = c.total.Add(tax.Amount)
		}
	}
	return taxes
}

func taxTitle(i int) string { return "tax " + strconv.Itoa(i) }

// addTipLine adds a tip that is a line of its own.
func (c *cart) addTipLine() {
	if !rapid.Bool().Draw(c.t, "tip line") {
		return
	}
	tip := c.units("tip line's", 0, 900)
	c.total = c.total.Add(tip)
	c.order.Lines = append(c.order.Lines, commerce.Line{Kind: commerce.Tip, Title: "Tip", Quantity: 1, UnitPrice: tip, Discount: money.Zero(c.order.Currency)})
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
		BundleID: rapid.SampledFrom([]string{"", "7"}).Draw(c.t, "bundle"),
		Kind:     rapid.SampledFrom([]commerce.LineKind{commerce.Goods, commerce.Goods, commerce.Goods, commerce.GiftCard}).Draw(c.t, "kind"),
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
func genBooks(t *rapid.T, s sale) mapping.Books {
	b := books()
	digits, err := money.MinorDigits(s.order.Currency)
	if err != nil {
		t.Fatal(err)
	}
	b.Currency, b.Precision = s.order.Currency, int32(rapid.IntRange(max(digits, 2), 3).Draw(t, "precision"))
	if s.order.ShopTotal != nil {
		b.Currency = s.order.ShopTotal.Currency()
	}
	for i := range 3 {
		b.Taxes = append(b.Taxes, mapping.TaxRule{Title: taxTitle(i), Account: taxTitle(i) + " - DT"})
	}
	b.Items.Tip = rapid.SampledFrom([]string{"", "TIP"}).Draw(t, "tip item")
	b.Items.Shipping, b.Items.GiftCard = "POST", "CARD"
	b.DutyAccount, b.FeeAccount, b.TipAccount = "Duties - DT", "Fees - DT", "Tips - DT"
	if !s.mixed && !slices.ContainsFunc(s.order.Lines, func(l commerce.Line) bool { return l.Kind == commerce.Tip }) {
		b.TaxRows = rapid.SampledFrom([]mapping.TaxRows{mapping.TaxesActual, mapping.TaxesActual, mapping.TaxesOnNetTotal}).Draw(t, "tax rows")
	}
	b.ShippingAs = rapid.SampledFrom([]mapping.ShippingAs{mapping.ShippingAsRow, mapping.ShippingAsItem}).Draw(t, "shipping as")
	if b.TaxRows == mapping.TaxesActual {
		b.Discounts = rapid.SampledFrom([]mapping.Discounts{mapping.DiscountsInRates, mapping.DiscountsOnHeader}).Draw(t, "discounts")
	}
	return b
}

// computed is what ERPNext's own arithmetic makes of a mapped order.
type computed struct {
	grand, base decimal.Decimal
	taxes       map[string]decimal.Decimal // by account
}

func compute(t *rapid.T, b mapping.Books, o commerce.Order, method string) computed {
	so, err := b.SalesOrder(o, "key", "Ann", knownItems)
	if err != nil {
		t.Fatalf("%v: %s", err, fault.As(err).Hint)
	}
	doc := asDocument(t, so)
	settings := totals.Settings{
		RoundingMethod: method, CompanyCurrency: b.Currency, CurrencyPrecision: int(b.Precision),
		FieldPrecision: func(_, field string) (int, bool) { return 9, field == "conversion_rate" },
	}
	if err := totals.Calculate(doc, settings); err != nil {
		t.Fatal(err)
	}
	number := func(v any) decimal.Decimal { return decimal.NewFromFloat(v.(float64)).Round(6) } //nolint:forcetypeassert // the totals' own
	c := computed{number(doc["grand_total"]), number(doc["base_grand_total"]), map[string]decimal.Decimal{}}
	for _, row := range doc["taxes"].([]any) { //nolint:forcetypeassert // ours
		row := row.(map[string]any) //nolint:forcetypeassert // ours
		account := row["account_head"].(string)
		c.taxes[account] = c.taxes[account].Add(number(row["tax_amount"]))
	}
	return c
}

// TestEveryOrderReachesItsTotal asks ERPNext's own arithmetic, under each of
// its rounding methods, what the mapped order comes to: its total is the
// shop's, in the company's currency too but for ERPNext's rounding of its rows,
// and so is the tax on each account. Tax
// rows with rates are rounded as the site likes: what that changes is seen on
// the draft, and taken back.
func TestEveryOrderReachesItsTotal(t *testing.T) {
	for range 100 { // times the 100 checks of each
		rapid.Check(t, func(t *rapid.T) {
			s := genOrder(t)
			b := genBooks(t, s)
			method := rapid.SampledFrom([]string{"Banker's Rounding", "Commercial Rounding", "Banker's Rounding (legacy)"}).Draw(t, "method")
			got := compute(t, b, s.order, method)
			if adjusted, ok := b.Adjusted(s.order, got.grand); ok {
				got = compute(t, adjusted, s.order, method)
			}
			if !got.grand.Equal(s.order.Total.Value()) {
				t.Fatalf("%s: grand_total = %v, the shop's total is %v", method, got.grand, s.order.Total)
			}
			// ERPNext rounds each row's worth in the company's currency by itself:
			// half a cent a row, and the total's own rounding.
			slack := decimal.New(int64(len(s.order.Lines)+6), -2).Div(decimal.NewFromInt(2))
			if own := s.order.ShopTotal; own != nil && got.base.Sub(own.Value()).Abs().GreaterThan(slack) {
				t.Fatalf("%s: base_grand_total = %v, the shop's own total is %v", method, got.base, *own)
			}
			if b.TaxRows == mapping.TaxesActual && !s.unsure {
				for title, asked := range s.taxes {
					if has := got.taxes[title+" - DT"]; !has.Equal(asked) {
						t.Fatalf("%v of %s in the books, the shop asked %v", has, title, asked)
					}
				}
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
	doc["doctype"], doc["plc_conversion_rate"] = "Sales Order", 1.0
	return doc
}
