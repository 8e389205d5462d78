package paypal

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// came is when the events of these tests arrived.
var came = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

func decode(t testing.TB, topic, body string) (commerce.Content, error) {
	t.Helper()
	return source(t, nil).Decode(event.Event{Topic: topic, Body: []byte(body), ReceivedAt: came})
}

// about wraps what an event is about into an event.
func about(resource string) string {
	return `{"id":"WH-1","create_time":"2026-03-04T05:06:07.890Z","resource":` + resource + `}`
}

func amountOf(text, currency string) money.Amount {
	a, err := money.Parse(text, currency)
	if err != nil {
		panic(err)
	}
	return a
}

func settled(id, gross, fee, net, currency string) *commerce.Settlement {
	return &commerce.Settlement{ID: id, Gross: amountOf(gross, currency), Fee: amountOf(fee, currency), Net: amountOf(net, currency)}
}

func TestDecodePayment(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC)
	tests := []struct {
		name, topic, body string
		want              commerce.Payment
	}{
		{
			"a capture", captureCompleted,
			about(`{"id":"CAP7","status":"COMPLETED","amount":{"currency_code":"EUR","value":"50.25"},"custom_id":"820982911946154508","invoice_id":"#1001",
				"seller_receivable_breakdown":{"gross_amount":{"currency_code":"EUR","value":"50.25"},"net_amount":{"currency_code":"EUR","value":"48.50"}},
				"supplementary_data":{"related_ids":{"order_id":"PAYPALS-OWN"}}}`),
			commerce.Payment{
				ID: "CAP7", Amount: amountOf("50.25", "EUR"), OrderRefs: []string{"820982911946154508", "#1001"}, At: at,
				Settlement: settled("CAP7", "50.25", "1.75", "48.50", "EUR"),
			},
		},
		{
			"a capture that says one reference twice", captureCompleted,
			about(`{"id":"CAP7","status":"COMPLETED","amount":{"currency_code":"usd","value":"1.00"},"custom_id":"A-1","invoice_id":"A-1"}`),
			commerce.Payment{ID: "CAP7", Amount: amountOf("1", "USD"), OrderRefs: []string{"A-1"}, At: at},
		},
		{
			"a capture with an invoice alone", captureCompleted,
			about(`{"id":"CAP7","status":"COMPLETED","amount":{"currency_code":"USD","value":"1.00"},"custom_id":null,"invoice_id":"INV-9"}`),
			commerce.Payment{ID: "CAP7", Amount: amountOf("1", "USD"), OrderRefs: []string{"INV-9"}, At: at},
		},
		{
			"a capture with its buyer", captureCompleted,
			about(`{"id":"CAP7","status":"COMPLETED","amount":{"currency_code":"USD","value":"1.00"},"payer":{"email_address":"ada@shop.example","name":{"given_name":"Ada","surname":"Byron"}}}`),
			commerce.Payment{ID: "CAP7", Amount: amountOf("1", "USD"), PayerEmail: "ada@shop.example", PayerName: "Ada Byron", At: at},
		},
		{
			"a sale", saleCompleted,
			about(`{"id":"SALE7","state":"completed","amount":{"total":"6.01","currency":"USD"},"custom":"C 1","invoice_number":"17","transaction_fee":{"value":"0.47","currency":"USD"}}`),
			commerce.Payment{ID: "SALE7", Amount: amountOf("6.01", "USD"), OrderRefs: []string{"C 1", "17"}, At: at, Settlement: settled("SALE7", "6.01", "0.47", "5.54", "USD")},
		},
		{
			"a sale with details: the total counts", saleCompleted,
			about(`{"id":"SALE7","state":"completed","amount":{"total":"6.01","currency":"USD","details":{"subtotal":"3.00","tax":"0.01","shipping":"1.00","handling_fee":"2.00","shipping_discount":"3.00"}},"invoice_number":""}`),
			commerce.Payment{ID: "SALE7", Amount: amountOf("6.01", "USD"), At: at},
		},
		{
			"a capture of the older generation", captureCompleted,
			about(`{"id":"CAP7","state":"completed","amount":{"total":"6.01","currency":"USD"},"invoice_number":"17","transaction_fee":{"value":"0.47","currency":"USD"}}`),
			commerce.Payment{ID: "CAP7", Amount: amountOf("6.01", "USD"), OrderRefs: []string{"17"}, At: at, Settlement: settled("CAP7", "6.01", "0.47", "5.54", "USD")},
		},
		{
			"a capture that was refunded in part since", captureCompleted,
			about(`{"id":"CAP7","status":"PARTIALLY_REFUNDED","amount":{"currency_code":"USD","value":"1.00"}}`),
			commerce.Payment{ID: "CAP7", Amount: amountOf("1", "USD"), At: at},
		},
		{
			"a sale whose hold is over", saleCompleted,
			about(`{"id":"SALE7","state":"completed","payment_hold_status":"PAID_OUT","amount":{"total":"6.01","currency":"USD"}}`),
			commerce.Payment{ID: "SALE7", Amount: amountOf("6.01", "USD"), At: at},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := decode(t, tt.topic, tt.body)
			if err != nil || c.Payment == nil {
				t.Fatalf("got %+v, %v", c, err)
			}
			tt.want.Reference, tt.want.Provider = tt.want.ID, "paypal"
			if diff := cmp.Diff(&tt.want, c.Payment, cmp.Comparer(money.Amount.Equal)); diff != "" {
				t.Errorf("payment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeAmounts(t *testing.T) {
	tests := []struct{ value, currency, want string }{
		{`"19.99"`, "USD", "19.99 USD"},
		{`"0.01"`, "EUR", "0.01 EUR"},
		{`19.99`, "USD", "19.99 USD"}, // a JSON number
		{`100`, "USD", "100.00 USD"},
		{`"1999"`, "JPY", "1999 JPY"},
		{`"1999.00"`, "JPY", "1999 JPY"},
		{`"1999"`, "HUF", "1999.00 HUF"},
		{`"800"`, "TWD", "800.00 TWD"},
		{`"12.345"`, "TND", "12.345 TND"},
		{`"0.005"`, "KWD", "0.005 KWD"},
		{`"90071992547409.93"`, "USD", "90071992547409.93 USD"}, // above 2^53 cents
	}
	for _, tt := range tests {
		t.Run(tt.value+" "+tt.currency, func(t *testing.T) {
			for topic, body := range map[string]string{
				captureCompleted: `{"id":"P","status":"COMPLETED","amount":{"value":` + tt.value + `,"currency_code":"` + tt.currency + `"}}`,
				saleCompleted:    `{"id":"P","state":"completed","amount":{"total":` + tt.value + `,"currency":"` + tt.currency + `"}}`,
			} {
				c, err := decode(t, topic, about(body))
				if err != nil || c.Payment == nil {
					t.Fatalf("%s: %+v, %v", topic, c, err)
				}
				want := strings.Fields(tt.want)
				if !c.Payment.Amount.Equal(amountOf(want[0], want[1])) {
					t.Errorf("%s: got %s, want %s", topic, c.Payment.Amount, tt.want)
				}
			}
		})
	}
}

// What is no new money, whatever else the event says: type and state are
// believed only together.
func TestDecodeIgnores(t *testing.T) {
	capture := func(status string) string {
		return about(`{"id":"CAP","status":"` + status + `","amount":{"currency_code":"USD","value":"1.00"}}`)
	}
	sale := func(fields string) string {
		return about(`{"id":"SALE","amount":{"total":"1.00","currency":"USD"},` + fields + `}`)
	}
	waiting := func(code string) string {
		return about(`{"id":"CAP","status":"PENDING","status_details":{"reason":"` + code + `"},"amount":{"currency_code":"USD","value":"1.00"}}`)
	}
	tests := []struct{ name, topic, body, want string }{
		{"a pending capture", "PAYMENT.CAPTURE.PENDING", capture("PENDING"), "PAYMENT.CAPTURE.PENDING"},
		{"a pending capture that says it is completed", "PAYMENT.CAPTURE.PENDING", capture("COMPLETED"), "PAYMENT.CAPTURE.PENDING"},
		{"a completed capture that is pending", captureCompleted, capture("PENDING"), "not money yet"},
		{"a completed capture that is declined", captureCompleted, capture("DECLINED"), "own status does not"},
		{"a completed capture in small letters", captureCompleted, capture("completed"), "own status does not"},
		{"a capture in review", "PAYMENT.CAPTURE.PENDING", waiting("PENDING_REVIEW"), "waits for PayPal's review"},
		{"a capture that the merchant must accept", "PAYMENT.CAPTURE.PENDING", waiting("RECEIVING_PREFERENCE_MANDATES_MANUAL_ACTION"), "you to accept it in PayPal"},
		{"a capture by eCheck", "PAYMENT.CAPTURE.PENDING", waiting("ECHECK"), "eCheck to clear"},
		{"a capture that waits for what nobody knows", "PAYMENT.CAPTURE.PENDING", waiting("SOME <b>THING</b>"), "something that PayPal does not name"},
		{"a sale by eCheck", "PAYMENT.SALE.PENDING", sale(`"state":"pending","reason_code":"ECHECK"`), "eCheck to clear"},
		{"a denied capture, which is declined", "PAYMENT.CAPTURE.DENIED", capture("DECLINED"), "PAYMENT.CAPTURE.DENIED: the payment was declined"},
		{"a declined capture", "PAYMENT.CAPTURE.DECLINED", capture("DECLINED"), "PAYMENT.CAPTURE.DECLINED"},
		{"a pending sale that says it is completed and held", "PAYMENT.SALE.PENDING", sale(`"state":"completed","payment_hold_status":"HELD"`), "PayPal holds the money"},
		{"a completed sale that is held", saleCompleted, sale(`"state":"completed","payment_hold_status":"HELD"`), "PayPal holds the money"},
		{"a completed sale that is pending", saleCompleted, sale(`"state":"pending"`), "not money yet"},
		{"a denied sale", "PAYMENT.SALE.DENIED", sale(`"state":"denied"`), "PAYMENT.SALE.DENIED"},
		{"an approved order", "CHECKOUT.ORDER.APPROVED", capture("COMPLETED"), "no money moves at this event; PAYMENT.CAPTURE.COMPLETED books it"},
		{"a completed order", "CHECKOUT.ORDER.COMPLETED", capture("COMPLETED"), "CHECKOUT.ORDER.COMPLETED"},
		{"an authorisation", "PAYMENT.AUTHORIZATION.CREATED", capture("COMPLETED"), "an authorisation moves no money"},
		{"a subscription", "BILLING.SUBSCRIPTION.ACTIVATED", about(`{"id":"I-1","status":"ACTIVE"}`), "PAYMENT.SALE.COMPLETED books each payment"},
		{"a subscription's failed payment", "BILLING.SUBSCRIPTION.PAYMENT.FAILED", about(`{"id":"I-1"}`), "no money came"},
		{"a payout to others", "PAYMENT.PAYOUTS-ITEM.SUCCEEDED", about(`{"id":"P"}`), "book it by hand"},
		{"a type in small letters", "payment.capture.completed", capture("COMPLETED"), "payment.capture.completed"},
		{"a type nobody has seen, about nothing", "NEW.THING", `{}`, "NEW.THING"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := decode(t, tt.topic, tt.body)
			if err != nil || c.Payment != nil || c.Refunds != nil || strings.Contains(c.Ignored, "<") || !strings.Contains(c.Ignored, tt.want) {
				t.Errorf("got %+v, %v; want a reason with %q", c, err, tt.want)
			}
		})
	}
}

// A payment that cannot be read is never passed over in silence; the cause
// names the field and quotes nothing of the body.
func TestDecodeRefuses(t *testing.T) {
	capture := func(fields string) string { return about(`{"status":"COMPLETED",` + fields + `}`) }
	sale := func(fields string) string { return about(`{"state":"completed",` + fields + `}`) }
	amount := func(value, currency string) string {
		return capture(`"id":"CAP","amount":{"value":` + value + `,"currency_code":` + currency + `}`)
	}
	tests := []struct{ name, topic, body, cause string }{
		{"no resource", captureCompleted, `{"id":"WH-1"}`, "resource.status is missing"},
		{"a resource that is none", captureCompleted, about(`"secretword"`), "resource is not an object"},
		{"a capture without status", captureCompleted, about(`{"id":"CAP","amount":{"value":"1.00","currency_code":"USD"}}`), "resource.status is missing"},
		{"a status that is none", captureCompleted, about(`{"status":["secretword"]}`), "resource.status is not text"},
		{"a sale without state", saleCompleted, about(`{"id":"SALE","amount":{"total":"1.00","currency":"USD"}}`), "resource.state is missing"},
		{"no id", captureCompleted, capture(`"amount":{"value":"1.00","currency_code":"USD"}`), "resource.id is not a usable identifier"},
		{"an id with blanks", captureCompleted, capture(`"id":"secretword x","amount":{"value":"1.00","currency_code":"USD"}`), "resource.id is not a usable identifier"},
		{"no amount", captureCompleted, capture(`"id":"CAP"`), "resource.amount.currency_code is missing"},
		{"an amount that is a list", captureCompleted, capture(`"id":"CAP","amount":["secretword"]`), "resource.amount is not an object"},
		{"no value", captureCompleted, capture(`"id":"CAP","amount":{"currency_code":"USD"}`), "resource.amount.value is missing"},
		{"no currency", captureCompleted, capture(`"id":"CAP","amount":{"value":"1.00"}`), "resource.amount.currency_code is missing"},
		{"an unknown currency", captureCompleted, amount(`"1.00"`, `"secretword"`), "resource.amount.currency_code is not a known currency"},
		{"an exponent", captureCompleted, amount(`"1e3"`, `"USD"`), "resource.amount.value is not a plain decimal amount"},
		{"an exponent in a number", captureCompleted, amount(`1e3`, `"USD"`), "resource.amount.value is not a plain decimal amount"},
		{"a comma", captureCompleted, amount(`"1,50"`, `"USD"`), "resource.amount.value is not a plain decimal amount"},
		{"words for a value", captureCompleted, amount(`"secretword"`, `"USD"`), "resource.amount.value is not a plain decimal amount"},
		{"a negative value", captureCompleted, amount(`"-1.00"`, `"USD"`), "resource.amount.value is not more than nothing"},
		{"nothing", captureCompleted, amount(`"0.00"`, `"USD"`), "resource.amount.value is not more than nothing"},
		{"a third of a cent", captureCompleted, amount(`"1.005"`, `"USD"`), "resource.amount.value has more decimals than its currency"},
		{"half a yen", captureCompleted, amount(`"1999.50"`, `"JPY"`), "resource.amount.value has more decimals than its currency"},
		{"too fine for dinars", captureCompleted, amount(`"1.2345"`, `"KWD"`), "resource.amount.value has more decimals than its currency"},
		{"a sale without total", saleCompleted, sale(`"id":"SALE","amount":{"currency":"USD","details":{"subtotal":"1.00"}}`), "resource.amount.total is missing"},
		{"a sale without currency", saleCompleted, sale(`"id":"SALE","amount":{"total":"1.00"}`), "resource.amount.currency is missing"},
		{"a negative sale", saleCompleted, sale(`"id":"SALE","amount":{"total":"-0.01","currency":"USD"}`), "resource.amount.total is not more than nothing"},
		{"a reference that is a list", captureCompleted, capture(`"id":"CAP","amount":{"value":"1.00","currency_code":"USD"},"custom_id":["secretword"]`), "resource.custom_id is not text"},
		{"a body that changed on disk", captureCompleted, `{`, "body: not valid JSON"},
		{"a body that is gone", captureCompleted, ``, "body: not a JSON object"},
		{"an amount twice", captureCompleted, amount(`"1.00","value":"2.00"`, `"USD"`), "body: a name occurs twice in one object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := decode(t, tt.topic, tt.body)
			e := fault.As(err)
			if e == nil || e.Kind != fault.Undecodable || e.Cause != tt.cause {
				t.Fatalf("got %+v, %v, want %q", c, err, tt.cause)
			}
			if strings.Contains(e.Error()+e.Hint, "secretword") {
				t.Errorf("the failure quotes the body: %v", e)
			}
		})
	}
}

func TestDecodeTimes(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC) }
	tests := []struct {
		created, updated, made string
		want                   time.Time
	}{
		{`"2026-01-01T00:00:00Z"`, `"2026-01-02T00:00:00Z"`, `"2026-01-03T00:00:00Z"`, day(1)},
		{`"2026-19-01T00:00:00Z"`, `"2026-01-02T00:00:00Z"`, `"2026-01-03T00:00:00Z"`, day(2)},
		{`null`, `"never"`, `"2026-01-03T00:00:00Z"`, day(3)},
		{`"2025-12-31T17:00:00-07:00"`, `null`, `null`, day(1)},
		{`5`, `""`, `null`, came},
	}
	for _, tt := range tests {
		c, err := decode(t, captureCompleted, `{"create_time":`+tt.created+`,"resource":{"id":"CAP","status":"COMPLETED","amount":{"value":"1.00","currency_code":"USD"},"update_time":`+tt.updated+`,"create_time":`+tt.made+`}}`)
		if err != nil || c.Payment == nil {
			t.Errorf("created %s: %+v, %v", tt.created, c, err)
			continue
		}
		if !c.Payment.At.Equal(tt.want) || c.Payment.At.Location() != time.UTC {
			t.Errorf("created %s, updated %s, made %s: at %v, want %v", tt.created, tt.updated, tt.made, c.Payment.At, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(captureCompleted, []byte(about(`{"id":"CAP","status":"COMPLETED","amount":{"value":"1.00","currency_code":"USD"},"custom_id":"A"}`)))
	f.Add(captureCompleted, []byte(about(`{"id":"CAP","status":"COMPLETED","amount":{"value":-1.5e9,"currency_code":"JPY"},"payer":{"name":{"given_name":"A"}}}`)))
	f.Add(saleCompleted, []byte(about(`{"id":"SALE","state":"completed","payment_hold_status":"HELD","amount":{"total":"0.005","currency":"KWD"}}`)))
	f.Add(saleCompleted, []byte(about(`{"id":"SALE","state":"completed","amount":{"total":"99999999999999999999999.99","currency":"usd"}}`)))
	f.Add(captureRefunded, []byte(`{"resource":null}`))
	f.Add(captureCompleted, []byte(about(`{"id":"CAP","status":"COMPLETED","amount":{"value":"185.10","currency_code":"USD"},`+
		`"seller_receivable_breakdown":{"gross_amount":{"value":"185.10","currency_code":"USD"},"platform_fees":[{"amount":{"value":"0.50","currency_code":"USD"}}],`+
		`"net_amount":{"value":"184.60","currency_code":"USD"},"receivable_amount":{"value":"115.98","currency_code":"EUR"},`+
		`"exchange_rate":{"source_currency":"USD","target_currency":"EUR","value":"0.628281035098039"}}}`)))
	f.Add(captureReversed, []byte(about(`{"id":"REF","status":"COMPLETED","amount":{"value":"2.51","currency_code":"USD"},"links":[{"rel":"up","href":"https://api.paypal.com/v2/payments/captures/CAP"}],`+
		`"seller_payable_breakdown":{"gross_amount":{"value":"2.51","currency_code":"USD"},"net_amount_breakdown":[{"payable_amount":{"value":"2.20","currency_code":"EUR"}}]}}`)))
	f.Add(saleRefunded, []byte(about(`{"id":"REF","state":"completed","sale_id":"SALE","amount":{"total":"-0.01","currency":"USD"},"refund_from_received_amount":{"value":"0.01","currency":"EUR"}}`)))
	f.Add(disputeResolved, []byte(about(`{"dispute_id":"PP-1","status":"RESOLVED","dispute_amount":{"value":"3.00","currency_code":"USD"},"dispute_outcome":{"outcome_code":"RESOLVED_SELLER_FAVOUR"},`+
		`"disputed_transactions":[{"seller_transaction_id":"CAP","seller":{"merchant_id":"M"}}],"money_movements":[`+
		`{"affected_party":"SELLER","type":"CREDIT","reason":"DISPUTE_SETTLEMENT","amount":{"value":"3.00","currency_code":"USD"}},`+
		`{"affected_party":"SELLER","type":"DEBIT","reason":"DISPUTE_SETTLEMENT_FEE","amount":{"value":"0.30","currency_code":"EUR"}},`+
		`{"affected_party":"SELLER","type":"DEBIT","reason":"DISPUTE_FEE","amount":{"value":"8.00","currency_code":"USD"}}]}`)))
	f.Add(captureCompleted, []byte("\xff{}"))
	s := source(f, nil)
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		c, err := s.Decode(event.Event{Topic: topic, Body: body, ReceivedAt: came})
		if err != nil {
			if fault.KindOf(err) != fault.Undecodable {
				t.Fatalf("kind %v", fault.KindOf(err))
			}
			return
		}
		if told := c.Payment != nil || c.Refunds != nil || c.Dispute != nil; told == (c.Ignored != "") || c.Order != nil {
			t.Fatal("neither told nor ignored, or both")
		}
		if p := c.Payment; p != nil && (p.ID == "" || p.Amount.Sign() <= 0 || p.Amount.Currency() == "" || p.At.IsZero() || !addsUp(p.Settlement)) {
			t.Fatalf("half a payment: %+v", p)
		}
		for _, r := range c.Refunds {
			if r.ID == "" || r.Amount.Sign() <= 0 || r.Amount.Currency() == "" || r.At.IsZero() || r.Outcome == "" || !addsUp(r.Settlement) {
				t.Fatalf("half a refund: %+v", r)
			}
		}
		if d := c.Dispute; d != nil {
			for _, m := range d.Movements {
				if !addsUp(&m) {
					t.Fatalf("half a dispute: %+v", d)
				}
			}
		}
	})
}

// addsUp holds what every settlement promises.
func addsUp(s *commerce.Settlement) bool {
	return s == nil || s.ID != "" && s.Net.Currency() != "" && s.Gross.Currency() == s.Net.Currency() && s.Fee.Currency() == s.Net.Currency() && s.Net.Equal(s.Gross.Sub(s.Fee))
}
