package stripe

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

const wholeCharge = `{"object":"charge","id":"ch_9","payment_intent":"pi_9","amount":5025,"amount_captured":5025,"currency":"eur",
	"captured":true,"paid":true,"status":"succeeded","created":1700000000,"description":"Order #77",
	"billing_details":{"email":"ada@shop.example","name":"Ada Byron"},"receipt_email":"other@shop.example",
	"metadata":{"order_number":"1001","order_id":"820982911946154508","order_name":"#1001"}}`

func eventBody(object string) string {
	return `{"id":"evt_1","object":"event","created":1700000123,"data":{"object":` + object + `}}`
}

func decode(t testing.TB, topic, body string) (commerce.Content, error) {
	t.Helper()
	return source(t, secretA).Decode(event.Event{Topic: topic, Body: []byte(body), ReceivedAt: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)})
}

func amountOf(text, currency string) money.Amount {
	a, err := money.Parse(text, currency)
	if err != nil {
		panic(err)
	}
	return a
}

func TestDecodePayment(t *testing.T) {
	at := time.Unix(1700000123, 0).UTC()
	tests := []struct {
		name, topic, object string
		want                commerce.Payment
	}{
		{
			"a charge", "charge.succeeded", wholeCharge,
			commerce.Payment{
				ID: "pi_9", Reference: "ch_9", Amount: amountOf("50.25", "EUR"), OrderRefs: []string{"820982911946154508", "#1001", "1001"},
				Aliases: []string{"ch_9"}, PayerEmail: "ada@shop.example", PayerName: "Ada Byron",
			},
		},
		{
			"a charge of an old API version without an intent", "charge.succeeded",
			`{"id":"ch_9","amount":700,"currency":"usd","captured":true,"paid":true,"status":"succeeded","receipt_email":"b@shop.example","shipping":{"name":"Bo"}}`,
			commerce.Payment{ID: "ch_9", Reference: "ch_9", Amount: amountOf("7", "USD"), PayerEmail: "b@shop.example", PayerName: "Bo"},
		},
		{
			"an intent", "payment_intent.succeeded",
			`{"id":"pi_9","status":"succeeded","amount":900,"amount_received":800,"currency":"gbp","latest_charge":"ch_7","metadata":{"shopify_order_id":5},"receipt_email":"c@shop.example"}`,
			commerce.Payment{ID: "pi_9", Reference: "ch_7", Aliases: []string{"ch_7"}, Amount: amountOf("8", "GBP"), OrderRefs: []string{"5"}, PayerEmail: "c@shop.example"},
		},
		{
			"an intent of an old API version", "payment_intent.succeeded",
			`{"id":"pi_9","status":"succeeded","amount_received":800,"currency":"gbp","charges":{"data":[{"id":"ch_failed"},{"id":"ch_7","billing_details":{"email":"d@shop.example","name":"Di"}}]}}`,
			commerce.Payment{ID: "pi_9", Reference: "ch_7", Aliases: []string{"ch_7"}, Amount: amountOf("8", "GBP"), PayerEmail: "d@shop.example", PayerName: "Di"},
		},
		{
			"a session", "checkout.session.completed",
			`{"id":"cs_9","mode":"payment","payment_status":"paid","payment_intent":"pi_9","amount_total":1200,"currency":"usd","client_reference_id":"A-17",
			  "metadata":{"order_id":"A-17"},"customer_details":{"email":"e@shop.example","name":"Ed"},"customer_email":"f@shop.example"}`,
			commerce.Payment{ID: "pi_9", Reference: "pi_9", Aliases: []string{"cs_9"}, Amount: amountOf("12", "USD"), OrderRefs: []string{"A-17"}, PayerEmail: "e@shop.example", PayerName: "Ed"},
		},
		{
			"a session with a client reference alone", "checkout.session.completed",
			`{"id":"cs_9","payment_status":"paid","payment_intent":"pi_9","amount_total":1200,"currency":"usd","client_reference_id":"A-18","customer_email":"f@shop.example"}`,
			commerce.Payment{ID: "pi_9", Reference: "pi_9", Aliases: []string{"cs_9"}, Amount: amountOf("12", "USD"), OrderRefs: []string{"A-18"}, PayerEmail: "f@shop.example"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := decode(t, tt.topic, eventBody(tt.object))
			if err != nil || c.Payment == nil {
				t.Fatalf("got %+v, %v", c, err)
			}
			tt.want.At, tt.want.Provider = at, "stripe"
			if diff := cmp.Diff(&tt.want, c.Payment, cmp.Comparer(money.Amount.Equal)); diff != "" {
				t.Errorf("payment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeCurrencies(t *testing.T) {
	tests := []struct{ currency, units, want string }{
		{"usd", "1999", "19.99 USD"},
		{"EUR", "5", "0.05 EUR"},
		{"jpy", "1999", "1999 JPY"},
		{"krw", "1", "1 KRW"},
		{"mga", "1999", "1999.00 MGA"}, // ISO 4217 has decimals, Stripe has none
		{"ugx", "199900", "1999 UGX"},  // the other way round
		{"isk", "199900", "1999 ISK"},
		{"huf", "199900", "1999.00 HUF"},
		{"twd", "80045", "800.45 TWD"},
		{"kwd", "12340", "12.340 KWD"},
		{"bhd", "5", "0.005 BHD"},
		{"tnd", "1000", "1.000 TND"},
		{"usd", "9007199254740993", "90071992547409.93 USD"}, // above 2^53
	}
	for _, tt := range tests {
		t.Run(tt.currency+" "+tt.units, func(t *testing.T) {
			c, err := decode(t, "payment_intent.succeeded", eventBody(`{"id":"pi_1","status":"succeeded","amount_received":`+tt.units+`,"currency":"`+tt.currency+`"}`))
			if err != nil || c.Payment == nil {
				t.Fatalf("got %+v, %v", c, err)
			}
			want, err := money.Parse(strings.Fields(tt.want)[0], strings.Fields(tt.want)[1])
			if err != nil {
				t.Fatal(err)
			}
			if !c.Payment.Amount.Equal(want) {
				t.Errorf("got %s, want %s", c.Payment.Amount, tt.want)
			}
		})
	}
}

func TestDecodeIgnores(t *testing.T) {
	session := func(fields string) string {
		return eventBody(`{"id":"cs_1","amount_total":100,"currency":"usd",` + fields + `}`)
	}
	tests := []struct{ name, topic, body, want string }{
		{"another type", "customer.updated", eventBody(`{"id":"cus_1"}`), "type customer.updated is not booked: money comes from charge.succeeded,"},
		{"a neighbour", "payout.reconciliation_completed", eventBody(`{"id":"po_1"}`), "payout.paid books"},
		{"a charge that is only authorised", "charge.succeeded", eventBody(`{"id":"ch_1","amount":1,"currency":"usd","captured":false,"paid":true,"status":"succeeded"}`), "authorised"},
		{"a charge that is not paid", "charge.succeeded", eventBody(`{"id":"ch_1","captured":true,"paid":false,"status":"succeeded"}`), "not paid"},
		{"a charge that is pending", "charge.succeeded", eventBody(`{"id":"ch_1","captured":true,"paid":true,"status":"pending"}`), "not paid"},
		{"an intent that has not succeeded", "payment_intent.succeeded", eventBody(`{"id":"pi_1","status":"requires_capture"}`), "not succeeded"},
		{"an intent without money", "payment_intent.succeeded", eventBody(`{"id":"pi_1","status":"succeeded","amount_received":0,"currency":"usd"}`), "no money"},
		{"a session that saved a card", "checkout.session.completed", session(`"mode":"setup","payment_status":"no_payment_required"`), "saved a payment method"},
		{"a session that waits for the bank", "checkout.session.completed", session(`"mode":"payment","payment_status":"unpaid","payment_intent":"pi_1"`), "not paid yet"},
		{"a session for nothing", "checkout.session.completed", session(`"mode":"payment","payment_status":"no_payment_required"`), "asked for no payment"},
		{"a subscription", "checkout.session.completed", session(`"mode":"subscription","payment_status":"paid","invoice":"in_1","payment_intent":null`), "invoice"},
		{"a session without an intent", "checkout.session.completed", session(`"mode":"payment","payment_status":"paid"`), "no payment intent"},
		{"a thin event", "v1.billing.meter.error", `{"id":"evt_1","object":"v2.core.event","type":"x","created":"2026-01-02T03:04:05.678Z"}`, "payload style Snapshot"},
		{"another topic of a connected account", "customer.updated", strings.Replace(eventBody(`{}`), `"object":"event"`, `"object":"event","account":"acct_1"`, 1), "not booked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := decode(t, tt.topic, tt.body)
			if err != nil || c.Payment != nil || !strings.Contains(c.Ignored, tt.want) {
				t.Errorf("got %+v, %v; want a reason with %q", c, err, tt.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	intent := func(fields string) string { return eventBody(`{"status":"succeeded",` + fields + `}`) }
	tests := []struct{ name, body, cause string }{
		{"an unknown currency", intent(`"id":"pi_1","amount_received":1,"currency":"xxx"`), "data.object.currency is not a currency whose decimals at Stripe are known"},
		{"a currency Stripe does not count", intent(`"id":"pi_1","amount_received":1,"currency":"iqd"`), "data.object.currency is not a currency whose decimals at Stripe are known"},
		{"no currency", intent(`"id":"pi_1","amount_received":1`), "data.object.currency is not a currency whose decimals at Stripe are known"},
		{"no amount", intent(`"id":"pi_1","currency":"usd"`), "data.object.amount_received is missing"},
		{"a broken amount", intent(`"id":"pi_1","amount_received":1.5,"currency":"usd"`), "data.object.amount_received is not a whole number"},
		{"an exponent", intent(`"id":"pi_1","amount_received":1e3,"currency":"usd"`), "data.object.amount_received is not a whole number"},
		{"an amount beyond all bounds", intent(`"id":"pi_1","amount_received":99999999999999999999,"currency":"usd"`), "data.object.amount_received is not a whole number"},
		{"a negative amount", intent(`"id":"pi_1","amount_received":-1,"currency":"usd"`), "data.object.amount_received is negative"},
		{"no id", intent(`"amount_received":1,"currency":"usd"`), "data.object.id is not a usable identifier"},
		{"metadata that is a list", intent(`"id":"pi_1","amount_received":1,"currency":"usd","metadata":[1]`), "data.object.metadata is not an object"},
		{"a body that changed on disk", `{`, "body: not valid JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decode(t, "payment_intent.succeeded", tt.body)
			e := fault.As(err)
			if e == nil || e.Kind != fault.Undecodable || e.Cause != tt.cause {
				t.Fatalf("got %v, want %q", err, tt.cause)
			}
		})
	}
}

func TestDecodeFallsBackToTheArrival(t *testing.T) {
	for _, made := range []string{`"never"`, `-1`, `1e9`, `99999999999999`, `null`} {
		c, err := decode(t, "payment_intent.succeeded", `{"id":"evt_1","created":`+made+`,"data":{"object":{"id":"pi_1","status":"succeeded","amount_received":1,"currency":"usd"}}}`)
		if err != nil || c.Payment == nil || c.Payment.At.Year() != 2026 {
			t.Errorf("created %s: %+v, %v", made, c.Payment, err)
		}
	}
}

// What three events say of one payment must name it alike.
func TestDecodeNamesOnePaymentOnce(t *testing.T) {
	for topic, object := range map[string]string{
		"charge.succeeded":           wholeCharge,
		"payment_intent.succeeded":   `{"id":"pi_9","status":"succeeded","amount_received":5025,"currency":"eur"}`,
		"checkout.session.completed": `{"id":"cs_1","payment_status":"paid","payment_intent":"pi_9","amount_total":5025,"currency":"eur"}`,
	} {
		c, err := decode(t, topic, eventBody(object))
		if err != nil || c.Payment == nil || c.Payment.ID != "pi_9" || c.Payment.Amount.String() != "50.25 EUR" {
			t.Errorf("%s: %+v, %v", topic, c.Payment, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("charge.succeeded", []byte(eventBody(wholeCharge)))
	f.Add("payment_intent.succeeded", []byte(eventBody(`{"id":"pi_1","status":"succeeded","amount_received":1,"currency":"jpy"}`)))
	f.Add("checkout.session.completed", []byte(eventBody(`{"payment_status":"paid","payment_intent":{"id":"pi_1"},"amount_total":"7","currency":"KWD"}`)))
	f.Add("x", []byte(`{"object":"v2.core.event"}`))
	for _, tt := range movementCases {
		f.Add(tt.topic, []byte(tt.body))
	}
	s := source(f, secretA)
	f.Fuzz(func(t *testing.T, topic string, body []byte) {
		c, err := s.Decode(event.Event{Topic: topic, Body: body})
		if err != nil {
			if kind := fault.KindOf(err); kind != fault.Undecodable && kind != fault.Unmapped {
				t.Fatalf("kind %v", kind)
			}
			return
		}
		if (c.Payment == nil && len(c.Refunds) == 0 && c.Dispute == nil && c.Payout == nil) == (c.Ignored == "") {
			t.Fatal("neither money nor ignored, or both")
		}
		if c.Payment != nil && (c.Payment.ID == "" || c.Payment.Amount.Sign() <= 0) {
			t.Fatalf("a payment of nothing, or without id: %+v", c.Payment)
		}
		for _, r := range c.Refunds {
			if r.ID == "" || r.Outcome == "" || r.Amount.Sign() < 0 {
				t.Fatalf("half a refund: %+v", r)
			}
		}
		if c.Dispute != nil && (c.Dispute.ID == "" || c.Dispute.Stage == "") {
			t.Fatalf("half a dispute: %+v", c.Dispute)
		}
		if c.Payout != nil && (c.Payout.ID == "" || c.Payout.Outcome == "") {
			t.Fatalf("half a payout: %+v", c.Payout)
		}
	})
}
