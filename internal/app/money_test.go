package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// stripeEvent sends an event of Stripe over HTTP.
func (s *service) stripeEvent(t *testing.T, id, topic, object string) {
	t.Helper()
	body := fmt.Sprintf(`{"id": %q, "object": "event", "api_version": "2026-07-29.dahlia", "created": 1790000000, "livemode": false, "type": %q, "data": {"object": %s}}`, id, topic, object)
	if code, answer := s.send(t, "stripe", topic, id, []byte(body)); code != http.StatusOK {
		t.Fatalf("%s was answered %d %s", topic, code, answer)
	}
	s.settle(t)
}

const (
	chargeObject = `{"id": "ch_9", "object": "charge", "amount": 6863, "amount_captured": 6863, "amount_refunded": 0, "balance_transaction": null,
		"billing_details": {"email": null}, "captured": true, "created": 1790000000, "currency": "usd", "livemode": false, "metadata": {}, "paid": true,
		"payment_intent": "pi_9", "receipt_email": null, "refunded": false, "status": "succeeded"}`
	sessionObject = `{"id": "cs_9", "object": "checkout.session", "amount_total": 6863, "client_reference_id": "1001", "created": 1790000000, "currency": "usd",
		"customer_details": {"email": null}, "livemode": false, "metadata": {}, "mode": "payment", "payment_intent": "pi_9", "payment_status": "paid", "status": "complete"}`
	refundObject = `{"id": "re_9", "object": "refund", "amount": 1000, "balance_transaction": "txn_9", "charge": "ch_9", "created": 1790000100, "currency": "usd", "metadata": {}, "payment_intent": "pi_9", "status": "succeeded"}`
)

// TestLaterEventLinksThePayment sends a charge that names no order, then the
// session that names it, in every order of arrival with the order itself.
func TestLaterEventLinksThePayment(t *testing.T) {
	for story := range strings.SplitSeq("charge order session, charge session order, order charge session, session charge order", ", ") {
		t.Run(story, func(t *testing.T) {
			s := startService(t, sandbox.Options{}, nil)
			for step := range strings.SplitSeq(story, " ") {
				switch step {
				case "order":
					s.sample(t, "shopify", "orders/create", "order")
					s.settle(t)
				case "charge":
					s.stripeEvent(t, "evt_charge", "charge.succeeded", chargeObject)
				default:
					s.stripeEvent(t, "evt_session", "checkout.session.completed", sessionObject)
				}
			}
			var paid []any
			for _, doc := range s.documents("Payment Entry", "") {
				if doc["docstatus"] == int64(1) {
					paid = append(paid, doc["paid_amount"])
				}
			}
			if order := s.documents("Sales Order", "")[0]; len(paid) != 1 || order["advance_paid"] != 68.63 {
				t.Errorf("payments of %v, and the order shows %v as paid, want 68.63 once; log:\n%s", paid, order["advance_paid"], s.log)
			}
		})
	}
}

// TestDryRunByAPI shows what a refund would become, ahead of it and afterwards, and
// changes nothing.
func TestDryRunByAPI(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	s.sample(t, "shopify", "orders/create", "order")
	s.settle(t)
	s.stripeEvent(t, "evt_charge", "charge.succeeded", chargeObject)
	s.tell(t, "/api/v1/pause", "", nil)
	body := fmt.Sprintf(`{"id": "evt_refund", "object": "event", "api_version": "2026-07-29.dahlia", "created": 1790000000, "livemode": false, "type": "refund.created", "data": {"object": %s}}`, refundObject)
	if code, answer := s.send(t, "stripe", "refund.created", "evt_refund", []byte(body)); code != http.StatusOK {
		t.Fatalf("%d %s", code, answer)
	}
	dryRun := func() app.DryRunView {
		t.Helper()
		var v app.DryRunView
		s.tell(t, "/api/v1/events/"+event.NewID("stripe", "evt_refund")+"/dry-run", "", &v)
		return v
	}
	actions := func(v app.DryRunView) string {
		var list []string
		for _, step := range v.Steps {
			list = append(list, step.Action+" "+step.DocType)
		}
		return strings.Join(list, ", ")
	}
	before := len(s.documents("Payment Entry", ""))
	v := dryRun()
	last, _ := json.Marshal(v.Documents)
	if actions(v) != "create Payment Entry, submit Payment Entry" || !strings.Contains(string(last), `"payment_type":"Pay"`) || len(s.documents("Payment Entry", "")) != before {
		t.Errorf("ahead: steps %q, documents %s", actions(v), last)
	}
	s.tell(t, "/api/v1/resume", "", nil)
	s.settle(t)
	v = dryRun()
	if n := len(v.Documents); len(v.Steps) != 0 || n == 0 || !v.Documents[n-1].Same || v.Documents[n-1].Exists == "" {
		t.Errorf("afterwards: %+v", v)
	}
}

// TestSettingsOfMoneyHold sets them in the sheet and looks at what they do.
func TestSettingsOfMoneyHold(t *testing.T) {
	s := startService(t, sandbox.Options{}, func(cfg *config.Config) {
		cfg.Sheet.Payments.Overpayment, cfg.Sheet.Payments.ModeOfPayment = config.StopDifference, "Wire Transfer"
		cfg.Sheet.Gateways = map[string]config.Gateway{"Cards": {Provider: config.GatewayStripe, ModeOfPayment: "Credit Card"}}
	})
	s.sample(t, "shopify", "orders/create", "order")
	s.settle(t)
	s.stripeEvent(t, "evt_much", "charge.succeeded", strings.NewReplacer("6863", "7000", `"metadata": {}`, `"metadata": {"order_id": "1001"}`, "ch_9", "ch_8", "pi_9", "pi_8").Replace(chargeObject))
	if ev := s.event(t, "stripe", "evt_much"); ev.State != event.Dead || !strings.Contains(ev.Reason, "more was paid than the order asks for") {
		t.Errorf("an over-payment ended %s: %s", ev.State, ev.Reason)
	}
	s.stripeEvent(t, "evt_charge", "charge.succeeded", chargeObject)
	if pe := s.documents("Payment Entry", "")[0]; pe["mode_of_payment"] != "Credit Card" {
		t.Errorf("mode of payment %v, want the gateway's", pe["mode_of_payment"])
	}
}
