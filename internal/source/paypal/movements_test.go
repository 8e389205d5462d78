package paypal

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

var happened = time.Date(2026, 3, 4, 5, 6, 7, 890e6, time.UTC) // when the events that `about` makes happened

// of writes an amount as the second generation does.
func of(value, currency string) string {
	return `{"value":"` + value + `","currency_code":"` + currency + `"}`
}

// old writes one as the first generation does.
func old(value, currency string) string {
	return `{"value":"` + value + `","currency":"` + currency + `"}`
}

func TestDecodeSettlement(t *testing.T) {
	capture := func(gross, currency, breakdown string) string {
		return about(`{"id":"P","status":"COMPLETED","amount":` + of(gross, currency) + `,"seller_receivable_breakdown":{` + breakdown + `}}`)
	}
	sale := func(gross, currency, fields string) string {
		return about(`{"id":"P","state":"completed","amount":{"total":"` + gross + `","currency":"` + currency + `"},` + fields + `}`)
	}
	const bad = "does not add up"
	tests := []struct {
		name, topic, body string
		want              *commerce.Settlement
		refused           string
	}{
		{"gross alone says nothing", captureCompleted, capture("10.00", "USD", `"gross_amount":`+of("10.00", "USD")), nil, ""},
		{"both fees", captureCompleted, capture("30.00", "USD", `"gross_amount":`+of("30.00", "USD")+`,"paypal_fee":`+of("1.54", "USD")+
			`,"platform_fees":[{"amount":`+of("2.00", "USD")+`}],"net_amount":`+of("26.46", "USD")), settled("P", "30", "3.54", "26.46", "USD"), ""},
		{"no net", captureCompleted, capture("10.00", "USD", `"paypal_fee":`+of("0.84", "USD")), settled("P", "10", "0.84", "9.16", "USD"), ""},
		{"the fee follows from net and platform", captureCompleted, capture("10.00", "USD", `"platform_fees":[{"amount":`+of("1.00", "USD")+`}],"net_amount":`+of("8.50", "USD")), settled("P", "10", "1.50", "8.50", "USD"), ""},
		{"no decimals", captureCompleted, capture("1000", "JPY", `"paypal_fee":`+of("76", "JPY")+`,"net_amount":`+of("924", "JPY")), settled("P", "1000", "76", "924", "JPY"), ""},
		{"three decimals", captureCompleted, capture("10.500", "TND", `"paypal_fee":`+of("0.305", "TND")+`,"net_amount":`+of("10.195", "TND")), settled("P", "10.5", "0.305", "10.195", "TND"), ""},
		{"PayPal's own sample of a conversion", captureCompleted, capture("185.10", "USD", `"gross_amount":`+of("185.10", "USD")+`,"platform_fees":[{"amount":`+of("0.50", "USD")+
			`}],"net_amount":`+of("184.60", "USD")+`,"receivable_amount":`+of("115.98", "EUR")+`,"exchange_rate":{"source_currency":"USD","target_currency":"EUR","value":"0.628281035098039"}`),
			settled("P", "116.29", "0.31", "115.98", "EUR"), ""},
		{"a conversion without its rate", captureCompleted, capture("100.00", "USD", `"paypal_fee":`+of("4.00", "USD")+`,"net_amount":`+of("96.00", "USD")+`,"receivable_amount":`+of("86.40", "EUR")),
			settled("P", "90", "3.60", "86.40", "EUR"), ""},
		{"a fee charged in the balance's currency", captureCompleted, capture("10.00", "USD", `"paypal_fee":`+of("0.22", "USD")+`,"paypal_fee_in_receivable_currency":`+of("1.31", "CNY")+
			`,"net_amount":`+of("9.78", "USD")+`,"receivable_amount":`+of("58.17", "CNY")+`,"exchange_rate":{"value":"5.9483297432325"}`), settled("P", "59.48", "1.31", "58.17", "CNY"), ""},
		{"a conversion into yen", captureCompleted, capture("10.00", "USD", `"paypal_fee":`+of("0.50", "USD")+`,"net_amount":`+of("9.50", "USD")+`,"receivable_amount":`+of("1425", "JPY")+`,"exchange_rate":{"value":"150.01"}`),
			settled("P", "1500", "75", "1425", "JPY"), ""},
		{"received as it is", captureCompleted, capture("10.00", "USD", `"paypal_fee":`+of("0.50", "USD")+`,"receivable_amount":`+of("9.50", "USD")), settled("P", "10", "0.50", "9.50", "USD"), ""},
		{"net a cent too much", captureCompleted, capture("10.00", "USD", `"paypal_fee":`+of("0.84", "USD")+`,"net_amount":`+of("9.17", "USD")), nil, bad},
		{"net above gross", captureCompleted, capture("10.00", "USD", `"net_amount":`+of("10.01", "USD")), nil, bad},
		{"gross is not the amount", captureCompleted, capture("10.00", "USD", `"gross_amount":`+of("11.00", "USD")+`,"paypal_fee":`+of("1.00", "USD")+`,"net_amount":`+of("10.00", "USD")), nil, "is not the amount"},
		{"a fee in another currency", captureCompleted, capture("10.00", "USD", `"paypal_fee":`+of("0.84", "EUR")), nil, bad},
		{"a net in another currency", captureCompleted, capture("10.00", "USD", `"paypal_fee":`+of("0.84", "USD")+`,"net_amount":`+of("9.16", "EUR")), nil, bad},
		{"a negative fee", captureCompleted, capture("10.00", "USD", `"paypal_fee":`+of("-0.84", "USD")+`,"net_amount":`+of("10.84", "USD")), nil, bad},
		{"received is not net", captureCompleted, capture("10.00", "USD", `"paypal_fee":`+of("0.50", "USD")+`,"receivable_amount":`+of("9.49", "USD")), nil, bad},
		{"received is not what the rate makes", captureCompleted, capture("100.00", "USD", `"paypal_fee":`+of("4.00", "USD")+`,"net_amount":`+of("96.00", "USD")+`,"receivable_amount":`+of("86.42", "EUR")+`,"exchange_rate":{"value":"0.9"}`), nil, bad},
		{"more received than the gross is worth", captureCompleted, capture("10.00", "USD", `"paypal_fee_in_receivable_currency":`+of("1.00", "EUR")+`,"net_amount":`+of("9.00", "USD")+`,"receivable_amount":`+of("9.02", "EUR")+`,"exchange_rate":{"value":"0.9"}`), nil, bad},
		{"a rate that is none", captureCompleted, capture("10.00", "USD", `"net_amount":`+of("9.00", "USD")+`,"receivable_amount":`+of("8.10", "EUR")+`,"exchange_rate":{"value":"-0.9"}`), nil, "is not an exchange rate"},
		{"a fee finer than a cent", captureCompleted, capture("10.00", "USD", `"paypal_fee":`+of("0.845", "USD")), nil, "more decimals"},

		{"a sale without a fee", saleCompleted, sale("6.01", "USD", `"x":1`), nil, ""},
		{"a sale", saleCompleted, sale("6.01", "USD", `"transaction_fee":`+old("0.47", "USD")), settled("P", "6.01", "0.47", "5.54", "USD"), ""},
		{"a converted sale", saleCompleted, sale("100.00", "USD", `"transaction_fee":`+old("4.00", "USD")+`,"receivable_amount":`+old("86.40", "EUR")+`,"exchange_rate":"0.9"`), settled("P", "90", "3.60", "86.40", "EUR"), ""},
		{"PayPal's own sample of a fee in the balance's currency", saleCompleted, sale("10.00", "USD", `"transaction_fee":`+old("0.22", "USD")+`,"transaction_fee_in_receivable_currency":`+old("1", "CNY")+
			`,"receivable_amount":`+old("59.26", "CNY")+`,"exchange_rate":"5.9483297432325"`), settled("P", "60.26", "1", "59.26", "CNY"), ""},
		{"a sale's fee in another currency", saleCompleted, sale("10.00", "USD", `"transaction_fee":`+old("0.84", "EUR")), nil, bad},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := decode(t, tt.topic, tt.body)
			if tt.refused != "" {
				if fault.KindOf(err) != fault.Undecodable || !strings.Contains(err.Error(), tt.refused) {
					t.Fatalf("got %+v, %v; want %q", c, err, tt.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, c.Payment.Settlement, cmp.Comparer(money.Amount.Equal)); diff != "" {
				t.Errorf("settlement (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSettlementsAddUp makes breakdowns as PayPal does and lets one part be
// wrong by a cent.
func TestSettlementsAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cents := func(name string, low, high int64) money.Amount {
			return money.New(decimal.New(rapid.Int64Range(low, high).Draw(rt, name), -2), "USD")
		}
		gross, fee, platform := cents("gross", 2_00, 90_000_00), cents("fee", 0, 90), cents("platform", 0, 90)
		net := gross.Sub(fee).Sub(platform)
		b := breakdown{gross: gross, fee: &fee, platform: []money.Amount{platform}, net: &net}
		want := net
		if rapid.Bool().Draw(rt, "converted") {
			b.rate = decimal.New(rapid.Int64Range(1_000, 2_000_000).Draw(rt, "rate"), -5)
			want = money.New(net.Value().Mul(b.rate).Round(2), "EUR")
			b.received = &want
		}
		if want.Sign() <= 0 {
			return // less than a cent arrives
		}
		ok := func(b breakdown) (*commerce.Settlement, string) {
			b.place = strictjson.At(strictjson.Value{})
			s := b.settlement("P")
			return s, b.place.Problem()
		}
		s, problem := ok(b)
		if s == nil || problem != "" || !s.Net.Equal(want) || !addsUp(s) {
			rt.Fatalf("got %+v, %q, want net %s", s, problem, want)
		}
		cent := money.New(decimal.New(1, -2), "USD")
		switch rapid.IntRange(0, 2).Draw(rt, "wrong") {
		case 0:
			b.net = new(net.Add(cent))
		case 1:
			b.fee = new(fee.Add(cent))
		case 2:
			b.platform = append(b.platform, cent)
		}
		if s, problem := ok(b); problem == "" || s != nil {
			rt.Fatalf("taken as %+v although a cent is wrong", s)
		}
	})
}

func TestDecodeRefund(t *testing.T) {
	const up = `"links":[{"rel":"self","href":"https://api.paypal.com/v2/payments/refunds/REF"},{"rel":"up","href":"https://api.paypal.com/v2/payments/captures/CAP"}]`
	refund := func(status, fields string) string {
		return about(`{"id":"REF","status":"` + status + `","amount":` + of("10.00", "USD") + `,` + fields + `}`)
	}
	sale := func(total, fields string) string {
		return about(`{"id":"REF","state":"completed","amount":{"total":"` + total + `","currency":"USD"},` + fields + `}`)
	}
	payable := func(fields string) string { return refund("COMPLETED", up+`,"seller_payable_breakdown":{`+fields+`}`) }
	gone := func(gross, fee, net, currency string) *commerce.Settlement {
		return settled("REF", gross, fee, net, currency)
	}
	tests := []struct {
		name, topic, body string
		want              commerce.Refund
	}{
		{"a refund", captureRefunded, refund("COMPLETED", up), commerce.Refund{PaymentID: "CAP"}},
		{"a reversal", captureReversed, refund("COMPLETED", up), commerce.Refund{PaymentID: "CAP", Reversed: true}},
		{"one that is pending", captureRefunded, refund("PENDING", up), commerce.Refund{PaymentID: "CAP", Outcome: commerce.Pending}},
		{"one that is pending, by its own type", refundPending, refund("PENDING", up), commerce.Refund{PaymentID: "CAP", Outcome: commerce.Pending}},
		{"one that failed", refundFailed, refund("FAILED", up), commerce.Refund{PaymentID: "CAP", Outcome: commerce.Failed}},
		{"one that was cancelled", captureRefunded, refund("CANCELLED", up), commerce.Refund{PaymentID: "CAP", Outcome: commerce.Failed}},
		{"with references", captureRefunded, refund("COMPLETED", up+`,"custom_id":"1001","invoice_id":"INV-1"`), commerce.Refund{PaymentID: "CAP", OrderRefs: []string{"1001", "INV-1"}}},
		{"its payer is the merchant", captureRefunded, refund("COMPLETED", up+`,"payer":{"email_address":"shop@example.com","merchant_id":"M"}`), commerce.Refund{PaymentID: "CAP"}},
		{"a fee given back", captureRefunded, payable(`"gross_amount":` + of("10.00", "USD") + `,"paypal_fee":` + of("0.30", "USD") + `,"platform_fees":[{"amount":` + of("0.20", "USD") + `}],"net_amount":` + of("9.50", "USD")),
			commerce.Refund{PaymentID: "CAP", Settlement: gone("-10", "-0.50", "-9.50", "USD")}},
		{"no fee given back", captureRefunded, payable(`"paypal_fee":` + of("0.00", "USD") + `,"net_amount":` + of("10.00", "USD")), commerce.Refund{PaymentID: "CAP", Settlement: gone("-10", "0", "-10", "USD")}},
		{"from a balance in another currency", captureRefunded, payable(`"paypal_fee":` + of("0.40", "USD") + `,"net_amount":` + of("9.60", "USD") + `,"net_amount_in_receivable_currency":` + of("8.64", "EUR")),
			commerce.Refund{PaymentID: "CAP", Settlement: gone("-9", "-0.36", "-8.64", "EUR")}},
		{"from such a balance, told otherwise", captureRefunded, payable(`"net_amount":` + of("10.00", "USD") + `,"net_amount_breakdown":[{"payable_amount":` + of("9.00", "EUR") + `,"converted_amount":` + of("10.00", "USD") + `}]`),
			commerce.Refund{PaymentID: "CAP", Settlement: gone("-9", "0", "-9", "EUR")}},

		{"of a sale, negative", saleRefunded, sale("-10.00", `"sale_id":"SALE"`), commerce.Refund{PaymentID: "SALE"}},
		{"of a sale, positive", saleRefunded, sale("10.00", `"sale_id":"SALE","custom":"1001"`), commerce.Refund{PaymentID: "SALE", OrderRefs: []string{"1001"}}},
		{"of an older capture", captureRefunded, sale("10.00", `"capture_id":"CAP"`), commerce.Refund{PaymentID: "CAP"}},
		{"a sale's reversal that does not say of what", saleReversed, sale("-10.00", `"links":[]`), commerce.Refund{Reversed: true}},
		{"the same, positive", saleReversed, sale("10.00", `"links":[{"rel":"self","href":"https://api.paypal.com/v1/payments/refund/REF"}]`), commerce.Refund{Reversed: true}},
		{"a sale's fee given back", saleRefunded, sale("-10.00", `"sale_id":"SALE","refund_from_received_amount":`+old("9.66", "USD")+`,"refund_from_transaction_fee":`+old("0.34", "USD")),
			commerce.Refund{PaymentID: "SALE", Settlement: gone("-10", "-0.34", "-9.66", "USD")}},
		{"a sale's refund that tells what was received alone", saleRefunded, sale("-10.00", `"sale_id":"SALE","refund_from_received_amount":`+old("-9.66", "USD")),
			commerce.Refund{PaymentID: "SALE", Settlement: gone("-10", "-0.34", "-9.66", "USD")}},
		{"a sale's refund from another balance", saleRefunded, sale("-10.00", `"sale_id":"SALE","refund_from_received_amount":`+old("8.64", "EUR")+`,"refund_from_transaction_fee":`+old("0.40", "USD")),
			commerce.Refund{PaymentID: "SALE", Settlement: gone("-9", "-0.36", "-8.64", "EUR")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := decode(t, tt.topic, tt.body)
			if err != nil || len(c.Refunds) != 1 || c.Payment != nil || c.Ignored != "" {
				t.Fatalf("got %+v, %v", c, err)
			}
			want := tt.want
			want.ID, want.Reference, want.Provider, want.Amount, want.At = "REF", "REF", "paypal", amountOf("10", "USD"), happened
			if want.Outcome == "" {
				want.Outcome = commerce.Succeeded
			}
			if diff := cmp.Diff(want, c.Refunds[0], cmp.Comparer(money.Amount.Equal)); diff != "" {
				t.Errorf("refund (-want +got):\n%s", diff)
			}
		})
	}
	for name, tt := range map[string]struct{ topic, body, cause string }{
		"the capture itself":       {captureRefunded, refund("COMPLETED", `"links":[{"rel":"self","href":"https://api.paypal.com/v2/payments/captures/REF"}]`), "does not say that it is a refund"},
		"the sale itself":          {saleReversed, sale("10.00", `"links":[{"rel":"self","href":"https://api.paypal.com/v1/payments/sale/REF"}]`), "does not say that it is a refund"},
		"a state of captures":      {captureRefunded, refund("REFUNDED", up), "status is not a state that a refund can have"},
		"no state":                 {saleRefunded, about(`{"id":"REF","sale_id":"S","amount":{"total":"1.00","currency":"USD"}}`), "state is missing"},
		"nothing":                  {saleRefunded, sale("0.00", `"sale_id":"S"`), "not more than nothing"},
		"negative in the new form": {captureRefunded, about(`{"id":"REF","status":"COMPLETED","amount":` + of("-10.00", "USD") + `,` + up + `}`), "not more than nothing"},
		"a cent too much":          {captureRefunded, payable(`"paypal_fee":` + of("0.30", "USD") + `,"net_amount":` + of("9.71", "USD")), "does not add up"},
		"several balances":         {captureRefunded, payable(`"net_amount_breakdown":[{"payable_amount":` + of("4.00", "EUR") + `},{"payable_amount":` + of("4.00", "GBP") + `}]`), "several balances"},
		"of a capture with blanks": {captureRefunded, refund("COMPLETED", `"links":[{"rel":"up","href":"https://api.paypal.com/v2/payments/captures/C P"}]`), "is not a usable identifier"},
	} {
		if c, err := decode(t, tt.topic, tt.body); fault.KindOf(err) != fault.Undecodable || !strings.Contains(err.Error(), tt.cause) {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
	}
}

// A dispute tells a person. Of its money only that is booked of which no
// refund or reversal tells: its fee, and what comes back.
func TestDecodeDispute(t *testing.T) {
	dispute := func(status, fields string) string {
		return about(`{"dispute_id":"PP-D-1","status":"` + status + `","reason":"UNAUTHORISED","dispute_amount":` + of("30.00", "USD") + `,"seller_response_due_date":"2026-03-20T00:00:00Z",
			"disputed_transactions":[{"seller_transaction_id":"CAP","custom":"1001","invoice_number":"INV-1","buyer":{"email":"ada@example.com"},"seller":{"merchant_id":"M"}}]` + fields + `}`)
	}
	moved := func(party, kind, reason, value string) string {
		return `{"affected_party":"` + party + `","type":"` + kind + `","reason":"` + reason + `","amount":` + of(value, "USD") + `}`
	}
	taken := moved("SELLER", "DEBIT", "DISPUTE_SETTLEMENT", "30.00") + "," + moved("SELLER", "CREDIT", "DISPUTE_SETTLEMENT_FEE", "1.20")
	outcome := func(code string) string { return `,"dispute_outcome":{"outcome_code":"` + code + `"}` }
	fee := func(id, fee, net string) commerce.Settlement {
		return commerce.Settlement{ID: id, Gross: amountOf("0", "USD"), Fee: amountOf(fee, "USD"), Net: amountOf(net, "USD")}
	}
	tests := []struct {
		name, topic, body string
		stage             commerce.DisputeStage // "" = ignored
		movements         []commerce.Settlement
		back              *commerce.Settlement
	}{
		{"opened", disputeCreated, dispute("OPEN", ""), commerce.DisputeOpened, nil, nil},
		{"the seller must answer", disputeUpdated, dispute("WAITING_FOR_SELLER_RESPONSE", ""), commerce.DisputeOpened, nil, nil},
		{"nothing to do", disputeUpdated, dispute("UNDER_REVIEW", ""), "", nil, nil},
		{"what was taken is told by the reversal", disputeUpdated, dispute("UNDER_REVIEW", `,"money_movements":[`+taken+`]`), "", nil, nil},
		{"lost, and charged for it", disputeResolved, dispute("RESOLVED", outcome("RESOLVED_BUYER_FAVOUR")+`,"money_movements":[`+taken+`,`+moved("SELLER", "DEBIT", "CHARGEBACK_FEE", "20.00")+`,`+moved("BUYER", "CREDIT", "DISPUTE_SETTLEMENT", "30.00")+`]`),
			commerce.DisputeLost, []commerce.Settlement{fee("chargeback_fee-1", "20", "-20")}, nil},
		{"won: the money comes back", disputeResolved, dispute("RESOLVED", outcome("RESOLVED_SELLER_FAVOUR")+`,"money_movements":[`+taken+`,`+moved("SELLER", "CREDIT", "DISPUTE_SETTLEMENT", "30.00")+`,`+moved("SELLER", "DEBIT", "DISPUTE_SETTLEMENT_FEE", "1.20")+`]`),
			commerce.DisputeWon, nil, settled("PP-D-1", "30", "1.20", "28.80", "USD")},
		{"won: the fee comes back", disputeResolved, dispute("RESOLVED", outcome("RESOLVED_SELLER_FAVOUR")+`,"money_movements":[`+moved("SELLER", "DEBIT", "DISPUTE_FEE", "8.00")+`,`+moved("SELLER", "CREDIT", "DISPUTE_FEE", "8.00")+`]`),
			commerce.DisputeWon, []commerce.Settlement{fee("dispute_fee-1", "8", "-8"), fee("dispute_fee-2", "-8", "8")}, nil},
		{"PayPal paid", disputeResolved, dispute("RESOLVED", outcome("RESOLVED_WITH_PAYOUT")), commerce.DisputeWon, nil, nil},
		{"the merchant gave in", disputeResolved, dispute("RESOLVED", outcome("ACCEPTED")), commerce.DisputeClosed, nil, nil},
		{"taken back by the buyer", disputeResolved, dispute("RESOLVED", outcome("CANCELED_BY_BUYER")), commerce.DisputeClosed, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := decode(t, tt.topic, tt.body)
			if err != nil || c.Refunds != nil {
				t.Fatalf("got %+v, %v", c, err)
			}
			if tt.stage == "" {
				if c.Ignored == "" || c.Dispute != nil || c.Payment != nil {
					t.Fatalf("got %+v", c)
				}
				return
			}
			want := &commerce.Dispute{
				ID: "PP-D-1", PaymentID: "CAP", Reference: "PP-D-1", Amount: amountOf("30", "USD"), Stage: tt.stage, Reason: "UNAUTHORISED",
				At: happened, DueBy: time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC), Provider: "paypal", Movements: tt.movements, Elsewhere: true,
			}
			if diff := cmp.Diff(want, c.Dispute, cmp.Comparer(money.Amount.Equal)); diff != "" {
				t.Errorf("dispute (-want +got):\n%s", diff)
			}
			var back *commerce.Payment
			if tt.back != nil {
				back = &commerce.Payment{
					ID: "PP-D-1/returned", Reference: "PP-D-1", Amount: tt.back.Gross, At: happened, OrderRefs: []string{"1001", "INV-1"},
					PayerEmail: "ada@example.com", Provider: "paypal", Settlement: tt.back,
				}
			}
			if diff := cmp.Diff(back, c.Payment, cmp.Comparer(money.Amount.Equal)); diff != "" {
				t.Errorf("money back (-want +got):\n%s", diff)
			}
		})
	}
	twice := moved("SELLER", "CREDIT", "DISPUTE_SETTLEMENT", "10.00")
	if c, err := decode(t, disputeUpdated, dispute("UNDER_REVIEW", `,"money_movements":[`+twice+`,`+twice+`]`)); fault.KindOf(err) != fault.Undecodable {
		t.Errorf("money that came back twice: %+v, %v", c, err)
	}
}

func TestDecodeRefusesOtherMerchants(t *testing.T) {
	capture := func(payee string) string {
		return about(`{"id":"P","status":"COMPLETED","amount":` + of("1.00", "USD") + `,"payee":` + payee + `}`)
	}
	refund := func(payer string) string {
		return about(`{"id":"R","status":"COMPLETED","amount":` + of("1.00", "USD") + `,"links":[{"rel":"up","href":"https://api.paypal.com/v2/payments/captures/P"}],"payer":` + payer + `}`)
	}
	dispute := func(seller string) string {
		return about(`{"dispute_id":"D","status":"OPEN","disputed_transactions":[{"seller_transaction_id":"P","seller":` + seller + `}]}`)
	}
	tests := []struct {
		name, merchant, topic, body string
		mine                        bool
	}{
		{"nobody is asked for", "", captureCompleted, capture(`{"merchant_id":"OTHER"}`), true},
		{"ours", "MINE", captureCompleted, capture(`{"merchant_id":"mine","email_address":"x@example.com"}`), true},
		{"another's", "MINE", captureCompleted, capture(`{"merchant_id":"OTHER"}`), false},
		{"ours by address", "shop@example.com", captureCompleted, capture(`{"merchant_id":"OTHER","email_address":"Shop@example.com"}`), true},
		{"another's by address", "shop@example.com", captureCompleted, capture(`{"email_address":"other@example.com"}`), false},
		{"not named", "MINE", captureCompleted, capture(`null`), true},
		{"named by address alone", "MINE", captureCompleted, capture(`{"email_address":"other@example.com"}`), true},
		{"another's refund", "MINE", captureRefunded, refund(`{"merchant_id":"OTHER"}`), false},
		{"our refund", "MINE", captureRefunded, refund(`{"merchant_id":"MINE"}`), true},
		{"another's dispute", "MINE", disputeCreated, dispute(`{"merchant_id":"OTHER"}`), false},
		{"another's dispute by address", "shop@example.com", disputeCreated, dispute(`{"email":"other@example.com"}`), false},
		{"our dispute", "MINE", disputeCreated, dispute(`{"merchant_id":"MINE"}`), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := source(t, func(o *Options) { o.Merchant = tt.merchant }).Decode(event.Event{Topic: tt.topic, Body: []byte(tt.body), ReceivedAt: came})
			if tt.mine && err != nil || !tt.mine && (fault.KindOf(err) != fault.Unmapped || fault.As(err).Hint == "") {
				t.Errorf("got %v", err)
			}
		})
	}
}
