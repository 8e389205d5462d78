package stripe

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/corpus"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files anew")

// describe writes what an event says on one line.
func describe(c commerce.Content, err error) string {
	if f := fault.As(err); f != nil {
		return f.Kind.String() + ": " + f.Cause
	}
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if c.Ignored != "" {
		add("ignored: %s", c.Ignored)
	}
	if p := c.Payment; p != nil {
		kind := "payment"
		if p.FeeOnly {
			kind = "fee of"
		}
		add("%s %s alias %v ref %s %s%s%s", kind, p.ID, p.Aliases, p.Reference, p.Amount, settles(p.Settlement), named(p.OrderRefs))
	}
	for _, r := range c.Refunds {
		add("refund %s of %s %s %s%s%s", r.ID, r.PaymentID, r.Amount, r.Outcome, settles(r.Settlement), named(r.OrderRefs))
	}
	if d := c.Dispute; d != nil {
		add("dispute %s of %s %s %s", d.ID, d.PaymentID, d.Amount, d.Stage)
		if d.Reason != "" {
			add("  reason %s", d.Reason)
		}
		if !d.DueBy.IsZero() {
			add("  due %s", d.DueBy.Format("2006-01-02"))
		}
		for _, m := range d.Movements {
			add(" %s", settles(&m))
		}
	}
	if p := c.Payout; p != nil {
		add("payout %s %s fee %s %s", p.ID, p.Amount, p.Fee, p.Outcome)
	}
	return strings.Join(parts, "\n")
}

func settles(s *commerce.Settlement) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf(" {%s: %s - %s = %s}", s.ID, s.Gross, s.Fee, s.Net)
}

func named(refs []string) string {
	if len(refs) == 0 {
		return ""
	}
	return fmt.Sprintf(" for %v", refs)
}

// told is an event with what changed.
func told(object, before string) string {
	return `{"id":"evt_1","object":"event","created":1700000123,"data":{"object":` + object + `,"previous_attributes":` + before + `}}`
}

const (
	transaction = `{"id":"txn_1","object":"balance_transaction","amount":5025,"fee":176,"net":4849,"currency":"eur"}`
	taken       = `{"id":"txn_d1","amount":-5025,"fee":2000,"net":-7025,"currency":"eur"}`
	given       = `{"id":"txn_d2","amount":5025,"fee":-2000,"net":7025,"currency":"eur"}`
)

func charge(fields string) string {
	return `{"object":"charge","id":"ch_1","payment_intent":"pi_1","amount":5025,"amount_captured":5025,"currency":"eur","captured":true,"paid":true,"status":"succeeded",` + fields + `}`
}

func refund(fields string) string {
	return `{"object":"refund","id":"re_1","charge":"ch_1","payment_intent":"pi_1","amount":1000,"currency":"eur",` + fields + `}`
}

func dispute(fields string) string {
	return `{"object":"dispute","id":"dp_1","charge":"ch_1","payment_intent":"pi_1","amount":5025,"currency":"eur","reason":"fraudulent",` + fields + `}`
}

func payout(fields string) string {
	return `{"object":"payout","id":"po_1","amount":10000,"currency":"eur",` + fields + `}`
}

func invoice(fields string) string {
	return `{"object":"invoice","id":"in_1","status":"paid","amount_paid":2000,"currency":"eur","metadata":{"order_id":"7"},` + fields + `}`
}

const mayCaptureOften = `"payment_method_details":{"card":{"multicapture":{"status":"available"}}}`

// movementCases are events of every topic that moves money, and what they say.
var movementCases = []struct{ name, topic, body, want string }{
	{"a charge with its balance transaction", "charge.succeeded", eventBody(charge(`"balance_transaction":` + transaction)),
		"payment pi_1 alias [ch_1] ref ch_1 50.25 EUR {txn_1: 50.25 EUR - 1.76 EUR = 48.49 EUR}"},
	{"a converted charge", "charge.succeeded", eventBody(charge(`"balance_transaction":{"id":"txn_1","amount":5500,"fee":200,"net":5300,"currency":"usd"}`)),
		"payment pi_1 alias [ch_1] ref ch_1 50.25 EUR {txn_1: 55.00 USD - 2.00 USD = 53.00 USD}"},
	{"a balance transaction that does not add up", "charge.succeeded", eventBody(charge(`"balance_transaction":{"id":"txn_1","amount":5025,"fee":1,"net":5025,"currency":"eur"}`)),
		"undecodable: data.object.balance_transaction.net is not the amount less the fee"},
	{"a legacy charge captured later", "charge.captured", told(`{"object":"charge","id":"ch_1","payment_intent":null,"amount":100,"amount_captured":60,"currency":"usd","captured":true,"paid":true,"status":"succeeded"}`, `{"amount_captured":0,"captured":false}`),
		"payment ch_1 alias [] ref ch_1 0.60 USD"},
	{"the first of several captures", "charge.updated", told(strings.Replace(charge(`"amount_x":1,`+mayCaptureOften), `"amount_captured":5025,"currency":"eur","captured":true`, `"amount_captured":2000,"currency":"eur","captured":false`, 1), `{"amount_captured":0}`),
		"payment pi_1 alias [ch_1] ref ch_1 20.00 EUR"},
	{"the next of several captures", "charge.captured", told(charge(mayCaptureOften), `{"amount_captured":2000,"captured":false}`),
		"payment pi_1/2000 alias [] ref ch_1/2000 30.25 EUR"},
	{"a capture of nothing more", "charge.updated", told(charge(mayCaptureOften), `{"amount_captured":5025}`), "ignored: no more was captured"},
	{"the intent of several captures", "payment_intent.succeeded", eventBody(`{"id":"pi_1","status":"succeeded","amount_received":5025,"currency":"eur","payment_method_options":{"card":{"request_multicapture":"if_available"}}}`),
		"ignored: the payment may be captured several times: charge.captured and charge.updated book each capture"},
	{"the fee comes later", "charge.updated", told(charge(`"balance_transaction":`+transaction), `{"balance_transaction":null}`),
		"fee of pi_1 alias [ch_1] ref ch_1 50.25 EUR {txn_1: 50.25 EUR - 1.76 EUR = 48.49 EUR}"},
	{"the fee comes later, by name alone", "charge.updated", told(charge(`"balance_transaction":"txn_1"`), `{"balance_transaction":null}`),
		"ignored: the update names the balance transaction without its fee: with an API key it is read and booked"},
	{"an update of a charge that has no fee yet", "charge.updated", told(charge(`"balance_transaction":null`), `{"metadata":{}}`),
		"ignored: the update has no balance transaction: it tells nothing of money"},
	{"an update of an authorisation", "charge.updated", eventBody(strings.Replace(charge(`"x":1`), `"captured":true`, `"captured":false`, 1)),
		"ignored: the charge is not captured: nothing is known of its money yet"},
	{"an asynchronous session", "checkout.session.async_payment_succeeded", eventBody(`{"object":"checkout.session","id":"cs_1","mode":"payment","payment_status":"paid","payment_intent":"pi_1","amount_total":900,"currency":"eur"}`),
		"payment pi_1 alias [cs_1] ref pi_1 9.00 EUR"},
	{"an invoice until basil", "invoice.paid", eventBody(invoice(`"payment_intent":"pi_1","charge":"ch_1","paid_out_of_band":false`)),
		"payment pi_1 alias [ch_1] ref ch_1 20.00 EUR for [7]"},
	{"an invoice of a legacy charge", "invoice.paid", eventBody(invoice(`"payment_intent":null,"charge":"ch_1"`)), "payment ch_1 alias [] ref ch_1 20.00 EUR for [7]"},
	{"an invoice since basil", "invoice.paid", eventBody(invoice(`"parent":null`)),
		"ignored: the invoice does not name its payment: charge.succeeded or invoice_payment.paid books it; with an API key it is looked up"},
	{"an invoice since basil with its payment", "invoice.paid", eventBody(invoice(`"payments":{"data":[{"payment":{"type":"payment_intent","payment_intent":"pi_1"},"status":"paid"}]}`)),
		"payment pi_1 alias [] ref pi_1 20.00 EUR for [7]"},
	{"an invoice paid elsewhere", "invoice.paid", eventBody(invoice(`"paid_out_of_band":true`)), "ignored: the invoice was paid outside Stripe: no money came"},
	{"an invoice of nothing", "invoice.paid", eventBody(strings.Replace(invoice(`"charge":null`), `"amount_paid":2000`, `"amount_paid":0`, 1)),
		"ignored: no money was paid: nothing was due, or the customer's credit covered it"},
	{"an open invoice", "invoice.paid", eventBody(strings.Replace(invoice(`"charge":null`), `"status":"paid"`, `"status":"open"`, 1)), "ignored: the invoice is not paid"},
	{"a payment of an invoice", "invoice_payment.paid", eventBody(`{"object":"invoice_payment","id":"inpay_1","invoice":"in_1","amount_paid":2000,"currency":"eur","status":"paid","payment":{"type":"payment_intent","payment_intent":"pi_1"}}`),
		"payment pi_1 alias [] ref pi_1 20.00 EUR"},
	{"a payment of an invoice outside Stripe", "invoice_payment.paid", eventBody(`{"object":"invoice_payment","id":"inpay_1","amount_paid":2000,"currency":"eur","status":"paid","payment":{"type":"payment_record","payment_record":"pr_1"}}`),
		"ignored: the invoice was paid outside Stripe (payment_record): no money came"},
	{"a refund", "refund.created", eventBody(refund(`"status":"succeeded","balance_transaction":"txn_2"`)), "refund re_1 of pi_1 10.00 EUR succeeded"},
	{"a refund with its balance transaction", "refund.created", eventBody(refund(`"status":"succeeded","balance_transaction":{"id":"txn_2","amount":-1000,"fee":-30,"net":-970,"currency":"eur"}`)),
		"refund re_1 of pi_1 10.00 EUR succeeded {txn_2: -10.00 EUR - -0.30 EUR = -9.70 EUR}"},
	{"a refund of a legacy charge", "refund.created", eventBody(refund(`"status":"succeeded","balance_transaction":"txn_2","payment_intent_x":null`)), "refund re_1 of pi_1 10.00 EUR succeeded"},
	{"a pending refund", "refund.created", eventBody(refund(`"status":"pending"`)), "refund re_1 of pi_1 10.00 EUR pending"},
	{"a refund that needs the buyer", "refund.created", eventBody(refund(`"status":"requires_action"`)), "refund re_1 of pi_1 10.00 EUR pending"},
	{"a failed refund", "refund.failed", told(refund(`"status":"failed","balance_transaction":"txn_2","failure_balance_transaction":"txn_3"`), `{"status":"succeeded","failure_balance_transaction":null}`), "refund re_1 of pi_1 10.00 EUR failed"},
	{"a cancelled refund", "refund.updated", told(refund(`"status":"canceled"`), `{"status":"requires_action"}`), "refund re_1 of pi_1 10.00 EUR failed"},
	{"a failure by its older name", "charge.refund.updated", told(refund(`"status":"failed","balance_transaction":"txn_2"`), `{"failure_balance_transaction":null,"failure_reason":null,"status":"succeeded"}`), "refund re_1 of pi_1 10.00 EUR failed"},
	{"news of the card network", "charge.refund.updated", told(refund(`"status":"succeeded","balance_transaction":"txn_2"`), `{"destination_details":{"card":{"reference":null}}}`), "ignored: the update of the refund moves no money"},
	{"a refund that may have moved nothing", "refund.created", eventBody(refund(`"status":"succeeded","balance_transaction":null`)), "unmapped: Stripe does not say whether the refund moved money: it has no balance transaction"},
	{"a refund in an unknown state", "refund.created", eventBody(refund(`"status":"later"`)), "undecodable: data.object.status is no state of a refund"},
	{"a charge that holds its refunds", "charge.refunded", eventBody(charge(`"amount_refunded":1500,"refunds":{"data":[` + refund(`"status":"succeeded","balance_transaction":"txn_2"`) + `,{"id":"re_0","amount":500,"currency":"eur","status":"failed"}]}`)),
		"refund re_1 of pi_1 10.00 EUR succeeded\nrefund re_0 of pi_1 5.00 EUR failed"},
	{"a charge without its refunds", "charge.refunded", eventBody(charge(`"amount_refunded":1000`)),
		"ignored: the charge does not hold its refunds: refund.created, refund.updated and refund.failed book them"},
	{"a refund between two captures", "charge.refunded", eventBody(strings.Replace(charge(`"refunds":{"data":[`+refund(`"status":"succeeded","balance_transaction":"txn_2"`)+`]}`), `"captured":true`, `"captured":false`, 1)),
		"refund re_1 of pi_1 10.00 EUR succeeded"},
	{"a released authorisation", "charge.refunded", eventBody(strings.Replace(charge(`"refunds":{"data":[`+refund(`"status":"succeeded"`)+`]}`), `"amount_captured":5025,"currency":"eur","captured":true`, `"amount_captured":0,"currency":"eur","captured":false`, 1)),
		"ignored: the authorisation was released: nothing had been captured"},
	{"a charge captured in part", "charge.refunded", eventBody(strings.Replace(charge(`"refunds":{"data":[`+refund(`"status":"succeeded","balance_transaction":"txn_2"`)+`]}`), `"amount":5025`, `"amount":6025`, 1)),
		"ignored: " + neverCaptured},
	{"a dispute is opened", "charge.dispute.created", eventBody(dispute(`"status":"needs_response","balance_transactions":[` + taken + `],"evidence_details":{"due_by":1700600000}`)),
		"dispute dp_1 of pi_1 50.25 EUR opened\n  reason fraudulent\n  due 2023-11-21\n  {txn_d1: -50.25 EUR - 20.00 EUR = -70.25 EUR}"},
	{"an inquiry", "charge.dispute.created", eventBody(dispute(`"status":"warning_needs_response","balance_transactions":[]`)), "dispute dp_1 of pi_1 50.25 EUR opened\n  reason fraudulent"},
	{"an inquiry is over", "charge.dispute.closed", eventBody(dispute(`"status":"warning_closed","balance_transactions":[]`)), "dispute dp_1 of pi_1 50.25 EUR closed\n  reason fraudulent"},
	{"disputed money goes", "charge.dispute.funds_withdrawn", eventBody(dispute(`"status":"needs_response","balance_transactions":[` + taken + `]`)),
		"dispute dp_1 of pi_1 50.25 EUR withdrawn\n  reason fraudulent\n  {txn_d1: -50.25 EUR - 20.00 EUR = -70.25 EUR}"},
	{"disputed money comes back", "charge.dispute.funds_reinstated", eventBody(dispute(`"status":"won","balance_transactions":[` + taken + `,` + given + `]`)),
		"dispute dp_1 of pi_1 50.25 EUR reinstated\n  reason fraudulent\n  {txn_d1: -50.25 EUR - 20.00 EUR = -70.25 EUR}\n  {txn_d2: 50.25 EUR - -20.00 EUR = 70.25 EUR}"},
	{"evidence", "charge.dispute.updated", eventBody(dispute(`"status":"under_review","balance_transactions":[]`)), "dispute dp_1 of pi_1 50.25 EUR updated\n  reason fraudulent"},
	{"a dispute is won", "charge.dispute.closed", eventBody(dispute(`"status":"won","balance_transactions":[]`)), "dispute dp_1 of pi_1 50.25 EUR won\n  reason fraudulent"},
	{"a dispute is lost", "charge.dispute.closed", eventBody(dispute(`"status":"lost","balance_transactions":[` + taken + `]`)),
		"dispute dp_1 of pi_1 50.25 EUR lost\n  reason fraudulent\n  {txn_d1: -50.25 EUR - 20.00 EUR = -70.25 EUR}"},
	{"a payout", "payout.paid", eventBody(payout(`"status":"paid","method":"standard","balance_transaction":"txn_4"`)), "payout po_1 100.00 EUR fee 0.00 succeeded"},
	{"an instant payout", "payout.paid", eventBody(payout(`"status":"paid","method":"instant","balance_transaction":{"id":"txn_4","amount":-10000,"fee":100,"net":-10100,"currency":"eur"}`)), "payout po_1 100.00 EUR fee 1.00 EUR succeeded"},
	{"a payout on its way", "payout.created", eventBody(payout(`"status":"in_transit"`)), "payout po_1 100.00 EUR fee 0.00 pending"},
	{"a payout that failed after it was paid", "payout.failed", eventBody(payout(`"status":"failed","failure_balance_transaction":"txn_5"`)), "payout po_1 100.00 EUR fee 0.00 failed"},
	{"a cancelled payout", "payout.canceled", eventBody(payout(`"status":"canceled"`)), "payout po_1 100.00 EUR fee 0.00 failed"},
	{"forints", "payout.paid", eventBody(`{"id":"po_1","amount":1000000,"currency":"huf","status":"paid"}`), "payout po_1 10000.00 HUF fee 0.00 succeeded"},
	{"Taiwan dollars", "payout.paid", eventBody(`{"id":"po_1","amount":80000,"currency":"twd","status":"paid"}`), "payout po_1 800.00 TWD fee 0.00 succeeded"},
	{"a currency nobody knows", "payout.paid", eventBody(`{"id":"po_1","amount":80000,"currency":"xts","status":"paid"}`), "undecodable: data.object.currency is not a currency whose decimals at Stripe are known"},
	{"a payout that takes from the bank", "payout.paid", eventBody(`{"id":"po_1","amount":-5000,"currency":"eur","status":"paid"}`), "payout po_1 -50.00 EUR fee 0.00 succeeded"},
	{"one on its way", "payout.created", eventBody(`{"id":"po_1","amount":-5000,"currency":"eur","status":"in_transit"}`), "payout po_1 -50.00 EUR fee 0.00 pending"},
	{"a payout in an unknown state", "payout.paid", eventBody(payout(`"status":"soon"`)), "undecodable: data.object.status is no state of a payout"},
}

func TestDecodeMovements(t *testing.T) {
	for _, tt := range movementCases {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, describe(decode(t, tt.topic, tt.body))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestMisdirectedEventsAreDead sends each source what it does not book.
func TestMisdirectedEventsAreDead(t *testing.T) {
	yes, no := true, false
	body := func(fields string) []byte {
		return []byte(strings.Replace(eventBody(wholeCharge), `"object":"event"`, `"object":"event"`+fields, 1))
	}
	tests := []struct {
		name  string
		o     Options
		event string
		want  string // in the cause; "" = booked
	}{
		{"nothing configured takes live", Options{}, `,"livemode":true`, ""},
		{"nothing configured takes test", Options{}, `,"livemode":false`, ""},
		{"live, and live is meant", Options{Livemode: &yes}, `,"livemode":true`, ""},
		{"test, and live is meant", Options{Livemode: &yes}, `,"livemode":false`, "test event"},
		{"no mode, and live is meant", Options{Livemode: &yes}, ``, "test event"},
		{"live, and test is meant", Options{Livemode: &no}, `,"livemode":true`, "live event"},
		{"test, and test is meant", Options{Livemode: &no}, `,"livemode":false`, ""},
		{"test, and the key is live", Options{APIKey: "rk_live_1"}, `,"livemode":false`, "test event"},
		{"live, and the key is for tests", Options{APIKey: "sk_test_1"}, `,"livemode":true`, "live event"},
		{"a key that does not say", Options{APIKey: "key"}, `,"livemode":true`, ""},
		{"a connected account's", Options{}, `,"account":"acct_1"`, "connected account"},
		{"the connected account's", Options{Account: "acct_1"}, `,"account":"acct_1"`, ""},
		{"another connected account's", Options{Account: "acct_1"}, `,"account":"acct_2"`, "another account"},
		{"the platform's own, and a connected one is meant", Options{Account: "acct_1"}, ``, "another account"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Secrets = []string{secretA}
			s, err := New(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			c, err := s.Decode(event.Event{Topic: "charge.succeeded", Body: body(tt.event)})
			f := fault.As(err)
			switch {
			case tt.want == "" && (err != nil || c.Payment == nil):
				t.Errorf("got %+v, %v", c, err)
			case tt.want != "" && (f == nil || f.Kind != fault.Unmapped || f.Kind.Retry() != fault.Never || !strings.Contains(f.Cause, tt.want) || f.Hint == ""):
				t.Errorf("got %v, want a dead letter with %q", err, tt.want)
			}
		})
	}
}

func TestNewRefusesAKeyOfTheOtherMode(t *testing.T) {
	live, test := true, false
	for key, mode := range map[string]*bool{"sk_test_canary": &live, "rk_live_canary": &test} {
		_, err := New(Options{Secrets: []string{secretA}, APIKey: key, Livemode: mode})
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := New(Options{Secrets: []string{secretA}, APIKey: "sk_live_x", Livemode: &live}); err != nil {
		t.Error(err)
	}
}

// wrapped are the topics that the corpus's API objects would come under: they
// show what a reader makes of today's whole shapes.
var wrapped = map[string][]string{
	"charge":           {"charge.succeeded", "charge.captured", "charge.updated", "charge.refunded"},
	"payment_intent":   {"payment_intent.succeeded"},
	"checkout.session": {"checkout.session.completed", "checkout.session.async_payment_succeeded"},
	"invoice":          {"invoice.paid"},
	"invoice_payment":  {"invoice_payment.paid"},
	"refund":           {"refund.created", "refund.failed"},
	"dispute":          {"charge.dispute.created", "charge.dispute.closed"},
	"payout":           {"payout.created", "payout.paid"},
}

// TestDecodeOverTheCorpus holds what every payload beside the project says
// against what is written down in testdata/payloads.golden.
func TestDecodeOverTheCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus.Dir(t, "payloads/stripe"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads: %v", err)
	}
	var got strings.Builder
	say := func(name, topic string, body []byte) {
		s := source(t, secretA)
		ev, err := s.Open(t.Context(), signed(secretA, arrival, string(body)), body, arrival)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if topic != "" {
			ev.Topic = topic
		}
		fmt.Fprintf(&got, "%s %s about %s\n\t%s\n", name, ev.Topic, ev.Subject, strings.ReplaceAll(describe(s.Decode(ev)), "\n", "\n\t"))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var p struct{ Body json.RawMessage }
		var object struct{ Object any }
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(p.Body, &object); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		say(name, "", p.Body)
		for _, topic := range wrapped[fmt.Sprint(object.Object)] {
			say(name, topic, fmt.Appendf(nil, `{"id":"evt_1","object":"event","type":%q,"data":{"object":%s}}`, topic, p.Body))
		}
	}
	const golden = "testdata/payloads.golden"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-want +got); with -update it is written anew:\n%s", diff)
	}
}
