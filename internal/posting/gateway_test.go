package posting_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/posting"
)

// transaction is the shop's own word of a payment.
func transaction(id, gateway, amount string, aliases ...string) commerce.Payment {
	return commerce.Payment{
		ID: "tx-" + run + id, Reference: "ch " + run + id + "-0", Aliases: aliases, Provider: "shopify", Gateway: gateway, Amount: usd(amount), At: time.Now(),
		OrderRefs: []string{run + id},
	}
}

func withGateways(o *posting.Options) {
	o.Providers = []posting.Origin{stripe}
	o.Desk.Gateways = map[string]posting.Gateway{"cash_on_delivery": {Owner: posting.OwnerNone}}
	o.Desk.ReadBooks = posting.ReadBooks(o.Site.(*erpnext.Client), erpnext.Wanted{}, mapping.Books{ //nolint:forcetypeassert // newBench's own
		Till: mapping.Till{Clearing: map[string]map[string]string{"gift_card": {"": "Cash - DT"}}},
	})
}

func TestShopBooksTheMoneyThatItOwns(t *testing.T) {
	b := newBench(t, withGateways)
	_, err := b.order(t.Context(), snapshot("41", 1, 2, 0))
	must(t, err)
	r, err := b.Payment(t.Context(), shop, transaction("41", "gift_card", "20.00"), time.Now())
	must(t, b.settle(t.Context(), r, err))
	want := []string{"order 20 docstatus 1 To Deliver and Bill: 2 × 10, paid 20, po #ID", "1 payments of 20, on account 0"}
	if diff := cmp.Diff(want, b.books(t.Context(), t, "41")); diff != "" {
		t.Error(diff)
	}
}

func TestShopLeavesMoneyToItsOwner(t *testing.T) {
	b := newBench(t, withGateways)
	_, err := b.order(t.Context(), snapshot("42", 1, 2, 0))
	must(t, err)
	for gateway, want := range map[string]string{"cash_on_delivery": "booked by hand", "klarna": "under gateways"} {
		r, err := b.Payment(t.Context(), shop, transaction("42", gateway, "20.00"), time.Now())
		must(t, err)
		if !strings.Contains(r.Ignored, want) {
			t.Errorf("%s: %+v", gateway, r)
		}
	}
}

// TestShopLinksTheProvidersPayment holds that a payment which names no order is
// allocated to the one that the shop says it is for, whoever speaks first.
func TestShopLinksTheProvidersPayment(t *testing.T) {
	for id, story := range map[string]string{
		"43": "order shop provider", "44": "order provider shop", "45": "provider shop order", "46": "shop provider order", "47": "provider order shop",
	} {
		t.Run(story, func(t *testing.T) {
			b := newBench(t, func(o *posting.Options) { withGateways(o); o.Desk.WaitForOrder = 0 })
			pay := payment(id, 1, "20.00")
			pay.OrderRefs, pay.Aliases = nil, []string{"ch_alias_" + run + id}
			steps := map[string]func() (posting.Result, error){
				"order":    func() (posting.Result, error) { return b.Order(t.Context(), shop, snapshot(id, 1, 2, 0)) },
				"provider": func() (posting.Result, error) { return b.Payment(t.Context(), stripe, pay, time.Now()) },
				"shop": func() (posting.Result, error) {
					return b.Payment(t.Context(), shop, transaction(id, "stripe", "20.00", pay.Aliases...), time.Now())
				},
			}
			for name := range strings.SplitSeq(story, " ") {
				r, err := steps[name]()
				must(t, b.settle(t.Context(), r, err))
			}
			want := []string{"order 20 docstatus 1 To Deliver and Bill: 2 × 10, paid 20, po #ID", "1 payments of 20, on account 0"}
			if diff := cmp.Diff(want, b.books(t.Context(), t, id)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
