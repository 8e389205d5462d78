package posting_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"pgregory.net/rapid"
)

// TestFollowersSurviveEveryFailure breaks the connection at every call that an
// order with deliveries, invoices and a refund makes, before and after ERPNext
// did what was asked, and tries again.
func TestFollowersSurviveEveryFailure(t *testing.T) {
	tests := []struct {
		name   string
		policy posting.OrderPolicy
		life   []func(id string) commerce.Order
		want   []string
	}{
		{"PerFulfilment", posting.OrderPolicy{DeliveryNotes: true, Invoices: posting.InvoiceFulfilled, CreditNotes: true}, []func(string) commerce.Order{
			func(id string) commerce.Order { return basket(id, 1) },
			func(id string) commerce.Order { return shipped(id, 2, sent(id, 1, 2, 1)) },
			func(id string) commerce.Order { return shipped(id, 3, undone(sent(id, 1, 2, 1)), sent(id, 2, 1, 1, 1)) },
			func(id string) commerce.Order {
				o := refunded(id, 4, "45.67", [3]int64{2, 1, 1}, givenBack(id, 1, creditedLine("1", 1, "3.34", "0.23"), creditedLine("2", 1, "2.50", "0.48")))
				o.Fulfillments = []commerce.Fulfillment{undone(sent(id, 1, 2, 1)), sent(id, 2, 1, 1, 1)}
				return o
			},
		}, []string{
			"order To Deliver and Bill delivered 33.3 billed 77.1",
			"note Completed: 1 × 3.34 + 1 × 2.5",
			"invoice 37.38 Unpaid open 37.38: 1 × 3.34 + 1 × 2.5 + 1 × 25",
			"credit -6.55 Return open -6.55: -1 × 3.34 + -1 × 2.5",
			"ledger Debtors 30.83, Sales -29.9, Sales Tax -0.92, Tips -0.01", // the shop gave back other cents than it took
		}},
		{"AtPayment", posting.OrderPolicy{Invoices: posting.InvoicePaid, CreditNotes: true}, []func(string) commerce.Order{
			func(id string) commerce.Order { return basket(id, 1) },
			func(id string) commerce.Order { return refunded(id, 2, "47.49", [3]int64{3, 2, 1}) },
			func(id string) commerce.Order {
				return refunded(id, 3, "40.35", [3]int64{1, 2, 1}, givenBack(id, 1, creditedLine("1", 2, "6.67", "0.47")))
			},
		}, []string{
			"order To Deliver delivered 0 billed 100",
			"invoice 47.49 Overdue open 47.49: 2 × 3.33 + 1 × 3.34 + 2 × 2.5 + 1 × 25", // nobody paid since January
			"credit -7.14 Return open -7.14: -2 × 3.33",
			"ledger Debtors 40.35, Round Off 0.01, Sales -38.24, Sales Tax -1.88, Tips -0.24",
		}},
	}
	for n, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			site := &shaky{}
			b := newManagerOf(t, tt.policy, site)
			calls := 0
			for broke := true; broke; {
				calls++
				for i, after := range []bool{false, true} {
					id := strconv.Itoa(800000 + 10000*n + 10*calls + i)
					site.left, site.after, site.failed = calls, after, false
					for _, snapshot := range tt.life {
						b.untilDone(t, snapshot(id))
					}
					broke = site.failed
					site.left = 0
					if diff := cmp.Diff(tt.want, b.behind(t.Context(), t, id)); diff != "" {
						t.Errorf("after a failure at call %d (done: %v): books (-want +got):\n%s", calls, after, diff)
					}
				}
			}
			if calls < 12 {
				t.Errorf("the life takes more than %d calls", calls)
			}
		})
	}
}

func shipped(id string, minute int, fulfillments ...commerce.Fulfillment) commerce.Order {
	o := basket(id, minute)
	o.Fulfillments = fulfillments
	return o
}

// TestPaymentOfInvoicesSurvivesEveryFailure breaks every call that a payment
// makes whose order is invoiced already.
func TestPaymentOfInvoicesSurvivesEveryFailure(t *testing.T) {
	site := &shaky{}
	b := newManagerOf(t, posting.OrderPolicy{Invoices: posting.InvoiceFulfilled}, site)
	calls := 0
	for broke := true; broke; {
		calls++
		for i, after := range []bool{false, true} {
			id := strconv.Itoa(830000 + 10*calls + i)
			site.left = 0
			_, err := b.order(t.Context(), shipped(id, 1, sent(id, 1, 3), sent(id, 2, 0, 2, 1)))
			must(t, err)
			site.left, site.after, site.failed = calls, after, false
			err = errors.New("not tried")
			for try := 0; err != nil && try < 3; try++ {
				_, err = b.pay(t.Context(), payment(id, 1, "47.49"))
			}
			must(t, err)
			broke = site.failed
			site.left = 0
			if paid, free := b.onAccount(t, id); paid != "1 of 47.49" || !free.IsZero() {
				t.Errorf("after a failure at call %d (done: %v): payments: %s, on account %s", calls, after, paid, free)
			}
		}
	}
	if calls < 8 {
		t.Errorf("the payment takes more than %d calls", calls)
	}
}

// TestRefundsInAnyOrder holds that an order that is first heard of after some of
// its refunds ends in the same ledger: what was refunded before is not invoiced,
// what comes later is credited.
func TestRefundsInAnyOrder(t *testing.T) {
	b := newManager(t, posting.OrderPolicy{Invoices: posting.InvoicePaid, CreditNotes: true})
	lives := 0
	rapid.Check(t, func(rt *rapid.T) {
		mugs := rapid.Int64Range(2, 5).Draw(rt, "mugs")
		var life []func(string) commerce.Order
		var credits []func(string) commerce.Credit
		paidAt := rapid.IntRange(1, 4).Draw(rt, "paid at")
		for minute := 1; minute <= 4; minute++ {
			if minute > 1 && mugs > 1 && rapid.Bool().Draw(rt, "refunded") {
				mugs--
				credits = append(credits, func(id string) commerce.Credit { return givenBack(id, minute, creditedLine("1", 1, "10.00", "0")) })
			}
			left, all := mugs, slices.Clone(credits)
			life = append(life, func(id string) commerce.Order {
				o := snapshot(id, minute, left, 0)
				o.Paid = minute >= paidAt
				for _, c := range all {
					o.Credits = append(o.Credits, c(id))
				}
				return o
			})
		}
		arrival := rapid.Permutation(append(slices.Clone(life), rapid.SliceOfN(rapid.SampledFrom(life), 0, 2).Draw(rt, "repeated")...)).Draw(rt, "arrival")
		lives += 2
		var got [2]string
		for i, order := range [][]func(string) commerce.Order{life, arrival} {
			id := strconv.Itoa(900000 + lives + i)
			for _, snapshot := range order {
				if _, err := b.order(t.Context(), snapshot(id)); err != nil {
					rt.Fatal(err)
				}
			}
			got[i] = b.billed(t.Context(), t, b.newest(t, id).Customer)
		}
		if got[0] != got[1] {
			rt.Errorf("in order %q, in another order %q", got[0], got[1])
		}
	})
}
