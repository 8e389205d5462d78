package app_test

import (
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// TestUninstalledShopIsPaused holds that what a shop sends after its app was
// uninstalled is kept and not booked, until the source is resumed.
func TestUninstalledShopIsPaused(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	s.send(t, "shopify", "app/uninstalled", "gone", []byte(`{"id":1,"name":"Acme","domain":"acme.example","myshopify_domain":"acme.myshopify.com"}`))
	s.settle(t)
	if ev := s.event(t, "shopify", "gone"); ev.State != event.Done {
		t.Fatalf("the event is %s: %s", ev.State, ev.Reason)
	}
	pauses, err := s.Inbox().Pauses(t.Context())
	if err != nil || len(pauses) != 1 || pauses[0].Source != "shopify" {
		t.Fatalf("paused: %+v, %v", pauses, err)
	}
	s.sample(t, "shopify", "orders/create", "late")
	s.sample(t, "stripe", "charge.succeeded", "", `{ "order_id": "5551234567890" }`, `{}`)
	s.until(t, "another source is held too", func() bool { return len(s.documents("Payment Entry", "")) == 1 })
	if ev := s.event(t, "shopify", "late"); ev.State != event.Pending || len(s.documents("Sales Order", "")) != 0 {
		t.Errorf("an order of the shop is %s", ev.State)
	}
	if err := s.Inbox().Resume(t.Context(), "shopify"); err != nil {
		t.Fatal(err)
	}
	s.settle(t)
	if len(s.documents("Sales Order", "")) != 1 {
		t.Error("the order was lost")
	}
}
