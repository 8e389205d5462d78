package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// TestFilteredOrderIsReadWhole sends an order as a subscription with chosen
// fields does: with a token it is read and booked, without one it is dead with
// what to do.
func TestFilteredOrderIsReadWhole(t *testing.T) {
	sample, err := app.SampleOf("shopify", "orders/create", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Shopify-Access-Token") != "token" || !strings.HasSuffix(r.URL.Path, "/orders/5551234567890.json") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(`{"order":` + string(sample.Body) + `}`))
	}))
	defer shop.Close()
	for _, token := range []config.Secret{"", "token"} {
		s := startService(t, sandbox.Options{}, func(c *config.Config) { c.Shopify.APIToken, c.Shopify.APIURL = token, shop.URL })
		s.send(t, "shopify", "orders/updated", "1", []byte(`{"id":5551234567890,"name":"#1001","order_number":1001,"total_price":"1.00","line_items":[],"updated_at":"2026-01-01T00:00:00Z"}`))
		s.settle(t)
		ev := s.event(t, "shopify", "1")
		orders := len(s.documents("Sales Order", "shopify/shopify/order/5551234567890"))
		switch {
		case token == "" && (ev.State != event.Dead || orders != 0 || ev.Class != "undecodable"):
			t.Errorf("without a token the event is %s (%s), with %d orders", ev.State, ev.Class, orders)
		case token != "" && (ev.State != event.Done || orders != 1):
			t.Errorf("with a token the event is %s (%s: %s), with %d orders", ev.State, ev.Class, ev.Reason, orders)
		}
	}
}
