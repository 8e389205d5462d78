package shopify

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// TestDecodeCredits writes down what is read of the goods and amounts behind a
// refund. Money of its lines is a JSON number, whose text is exact.
func TestDecodeCredits(t *testing.T) {
	priced := func(c commerce.CreditedLine, subtotal, tax string) commerce.CreditedLine {
		c.Priced, c.Subtotal, c.Tax = true, eur(subtotal), eur(tax)
		return c
	}
	line := commerce.CreditedLine{LineID: "9007199254740993", Quantity: 2}
	tests := []struct {
		name, body string
		want       []commerce.Credit
	}{
		{
			"numbers are taken by their text",
			`{"id":1,"order_id":2,"processed_at":"2026-03-04T05:06:07Z","refund_line_items":[{"line_item_id":9007199254740993,"quantity":2,"restock_type":"return",
"subtotal":195.10,"total_tax":3.98,"subtotal_set":{"shop_money":{"amount":"195.10","currency_code":"EUR"}}}],"order_adjustments":[]}`,
			[]commerce.Credit{{ID: "1", OrderID: "2", At: at, Lines: []commerce.CreditedLine{priced(commerce.CreditedLine{LineID: "9007199254740993", Quantity: 2, Restocked: true}, "195.10", "3.98")}}},
		},
		{
			"the transaction names the currency; the line stands inside",
			`{"id":1,"order_id":2,"created_at":"2026-03-04T05:06:07Z","transactions":[{"id":3,"kind":"void","currency":"EUR"}],
"refund_line_items":[{"line_item":{"id":9007199254740993},"quantity":2,"restock_type":"cancel","subtotal":"7.00"}]}`,
			[]commerce.Credit{{ID: "1", OrderID: "2", At: at, Lines: []commerce.CreditedLine{priced(commerce.CreditedLine{LineID: "9007199254740993", Quantity: 2, Restocked: true, Unshipped: true}, "7.00", "0")}}},
		},
		{
			"old API versions tell no amounts",
			`{"id":1,"order_id":2,"created_at":"2026-03-04T05:06:07Z","refund_line_items":[{"line_item_id":9007199254740993,"quantity":2}]}`,
			[]commerce.Credit{{ID: "1", OrderID: "2", At: at, Lines: []commerce.CreditedLine{line}}},
		},
		{
			"adjustments are negative when the buyer gets money",
			`{"id":1,"order_id":2,"created_at":"2026-03-04T05:06:07Z","refund_line_items":[],"order_adjustments":[
{"kind":"shipping_refund","amount":"-5.00","tax_amount":"-0.95","amount_set":{"shop_money":{"amount":"-5.00","currency_code":"EUR"}}},
{"kind":"refund_discrepancy","reason":"Goodwill","amount":"2.00","tax_amount":"0.00"}]}`,
			[]commerce.Credit{{
				ID: "1", OrderID: "2", At: at, Shipping: []commerce.CreditedAmount{{Title: "Shipping", Amount: eur("5.00"), Tax: eur("0.95")}},
				Others: []commerce.CreditedAmount{{Title: "Goodwill", Amount: eur("-2.00"), Tax: eur("0")}},
			}},
		},
		{
			"shipping that is told twice is given back once",
			`{"id":1,"order_id":2,"created_at":"2026-03-04T05:06:07Z","refund_line_items":[],"refund_shipping_lines":[{"shipping_line":{"title":"Post"},
"subtotal_amount_set":{"shop_money":{"amount":"5.00","currency_code":"EUR"}},"tax_amount_set":{"shop_money":{"amount":"0.95","currency_code":"EUR"}}}],
"order_adjustments":[{"kind":"shipping_refund","amount":"-5.00","tax_amount":"-0.95"}]}`,
			[]commerce.Credit{{ID: "1", OrderID: "2", At: at, Shipping: []commerce.CreditedAmount{{Title: "Post", Amount: eur("5.00"), Tax: eur("0.95")}}}},
		},
		{"goods without money are nothing", `{"id":1,"order_id":2,"refund_line_items":[{"line_item_id":3,"quantity":1,"subtotal":0.0,"total_tax":0.0,"subtotal_set":{"shop_money":{"amount":"0.00","currency_code":"EUR"}}}]}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := source(t, secretA).Decode(event.Event{Topic: "refunds/create", Body: []byte(tt.body), ReceivedAt: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			for i := range got.Credits { // the zero amount has no currency
				for l := range got.Credits[i].Lines {
					if c := &got.Credits[i].Lines[l]; !c.Priced {
						c.Subtotal, c.Tax = money.Amount{}, money.Amount{}
					}
				}
			}
			if diff := cmp.Diff(tt.want, got.Credits); diff != "" {
				t.Errorf("credits (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOrderCarriesItsCredits reads the refunds inside an order in the order's
// money: the buyer's, where the source is told so.
func TestOrderCarriesItsCredits(t *testing.T) {
	body := []byte(`{"id":1,"name":"#1","created_at":"2026-03-04T05:06:07Z","updated_at":"2026-03-04T05:06:07Z","cancelled_at":null,
"financial_status":"paid","taxes_included":false,"test":false,"subtotal_price":"9.00","total_tax":"0.00","total_discounts":"0.00","tax_lines":[],"shipping_lines":[],
"discount_codes":[],"note":null,"note_attributes":[],"fulfillments":[],"email":"","customer":null,"currency":"EUR","presentment_currency":"USD","total_price":"9.00","total_price_set":{"presentment_money":{"amount":"10.00"}},"line_items":[],
"refunds":[{"id":7,"order_id":1,"refund_line_items":[{"line_item_id":3,"quantity":1,"subtotal":4.5,"total_tax":0,
"subtotal_set":{"presentment_money":{"amount":"5.00"}},"total_tax_set":{"presentment_money":{"amount":"0.00"}}}]}]}`)
	for currency, want := range map[bool]string{false: "4.50 EUR", true: "5.00 USD"} {
		s, err := New(Options{Secrets: []string{secretA}, BuyersMoney: currency})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Decode(event.Event{Topic: ordersCreate, Body: body, ReceivedAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Order.Credits) != 1 || got.Order.Credits[0].Lines[0].Subtotal.String() != want {
			t.Errorf("credits %+v, want %s", got.Order.Credits, want)
		}
	}
}
