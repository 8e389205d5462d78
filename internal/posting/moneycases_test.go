package posting_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/shopspring/decimal"
)

func amount(text string) money.Amount {
	value, currency, _ := strings.Cut(text, " ")
	return money.New(decimal.RequireFromString(value), currency)
}

// withBooks changes the till's books of a bench.
func withBooks(o *posting.Options, change func(*mapping.Books)) {
	books := mapping.Books{Till: till}
	change(&books)
	o.Desk.ReadBooks = posting.ReadBooks(o.Site.(*erpnext.Client), erpnext.Wanted{}, books) //nolint:forcetypeassert // newTill's own
}

// foreign is an order in another currency, worth so much to the company.
func foreign(id, total, worth string) commerce.Order {
	o := snapshot(id, 1, 1, 0)
	all, base := amount(total), amount(worth)
	o.Currency, o.Total, o.ShopTotal = all.Currency(), all, &base
	o.Lines[0].UnitPrice = all
	return o
}

// entries are the submitted payments, as text to compare.
func (b *bench) entries(t *testing.T) []string {
	t.Helper()
	var rows []erpnext.Stored
	must(t, b.site.List(t.Context(), erpnext.Query{DocType: "Payment Entry", Limit: -1, Filters: [][]any{{"docstatus", "=", 1}}, OrderBy: "name asc"}, &rows))
	var list []string
	for _, row := range rows {
		var pe struct {
			erpnext.PaymentEntry
			Unallocated erpnext.Number `json:"unallocated_amount"`
		}
		must(t, b.site.Get(t.Context(), "Payment Entry", row.Name, &pe))
		text := fmt.Sprintf("%s %s → %s", pe.PaymentType, pe.PaidAmount.Round(2), pe.ReceivedAmount.Round(2))
		if pe.ModeOfPayment != "" {
			text += " by " + pe.ModeOfPayment
		}
		for _, ref := range pe.References {
			text += fmt.Sprintf(", %s of an order", ref.AllocatedAmount.Round(2))
		}
		for _, d := range pe.Deductions {
			text += fmt.Sprintf(", %s on %s", d.Amount.Round(2), d.Account)
		}
		list = append(list, text+fmt.Sprintf(", on account %s", pe.Unallocated.Round(2)))
	}
	return list
}

// TestForeignPayments holds that a payment pays what it is of its order in the
// order's currency, whatever reached the balance, and that the rest is an exchange
// difference and no over-payment.
func TestForeignPayments(t *testing.T) {
	tests := []struct {
		name, order, worth, charged, gross, fee string
		want                                    string
		warns                                   bool
	}{
		{"charge in the order's currency, settled in the company's at a worse rate", "100.00 EUR", "111.00 USD", "100.00 EUR", "107.80 USD", "3.00 USD",
			"Receive 104.8 → 104.8, 111 of an order, 3 on Fees - DT, 3.2 on Exchange Gain/Loss - DT, on account 0", false},
		{"the same at a better rate", "100.00 EUR", "111.00 USD", "100.00 EUR", "112.00 USD", "3.00 USD",
			"Receive 109 → 109, 111 of an order, 3 on Fees - DT, -1 on Exchange Gain/Loss - DT, on account 0", false},
		{"all four different", "100.00 GBP", "131.00 USD", "115.00 EUR", "96.00 GBP", "2.00 GBP",
			"Receive 122.2 → 94, 131 of an order, 2.6 on Fees - DT, 6.2 on Exchange Gain/Loss - DT, on account 0", false},
		{"half of a foreign order", "100.00 EUR", "111.00 USD", "50.00 EUR", "54.00 USD", "1.00 USD",
			"Receive 53 → 53, 55.5 of an order, 1 on Fees - DT, 1.5 on Exchange Gain/Loss - DT, on account 0", false},
		{"more than a foreign order", "100.00 EUR", "111.00 USD", "150.00 EUR", "162.00 USD", "3.00 USD",
			"Receive 159 → 159, 111 of an order, 3 on Fees - DT, 3 on Exchange Gain/Loss - DT, on account 54", true},
		{"the company's currency, settled in another at the provider's rate", "10.00 USD", "10.00 USD", "10.00 USD", "8.90 EUR", "0.40 EUR",
			"Receive 9.55 → 8.5, 10 of an order, 0.45 on Fees - DT, on account 0", false},
		{"the company's currency for a foreign order", "100.00 EUR", "111.00 USD", "110.00 USD", "110.00 USD", "3.00 USD",
			"Receive 107 → 107, 111 of an order, 3 on Fees - DT, 1 on Exchange Gain/Loss - DT, on account 0", false},
		{"a currency that the order does not know, much less than it", "100.00 GBP", "131.00 USD", "50.00 EUR", "54.00 USD", "1.00 USD",
			"Receive 53 → 53, 54 of an order, 1 on Fees - DT, on account 0", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, _ := newTill(t, nil)
			o := foreign("1", tt.order, tt.worth)
			if o.Currency == "USD" {
				o.ShopTotal = nil
			}
			_, err := b.order(t.Context(), o)
			must(t, err)
			pay := payment("1", 1, "1.00")
			s := settled("txn", amount(tt.gross), amount(tt.fee))
			pay.Amount, pay.Settlement = amount(tt.charged), &s
			r, err := b.pay(t.Context(), pay)
			must(t, err)
			if diff := cmp.Diff([]string{tt.want}, b.entries(t)); diff != "" {
				t.Error(diff)
			}
			if (r.Warn != nil) != tt.warns {
				t.Errorf("warning %v, want one: %v", r.Warn, tt.warns)
			}
		})
	}
}

// TestLateSettlementInAnotherCurrency moves a payment, which keeps its order.
func TestLateSettlementInAnotherCurrency(t *testing.T) {
	b, _ := newTill(t, nil)
	_, err := b.order(t.Context(), foreign("1", "100.00 EUR", "111.00 USD"))
	must(t, err)
	pay := payment("1", 1, "1.00")
	pay.Amount = amount("100.00 EUR")
	_, err = b.pay(t.Context(), pay)
	must(t, err)
	if diff := cmp.Diff([]string{"Receive 110 → 100, 111 of an order, 1 on Exchange Gain/Loss - DT, on account 0"}, b.entries(t)); diff != "" {
		t.Error(diff)
	}
	late := pay
	s := settled("txn", amount("107.80 USD"), amount("3.00 USD"))
	late.FeeOnly, late.Settlement = true, &s
	for range 2 {
		_, err = b.pay(t.Context(), late)
		must(t, err)
	}
	if diff := cmp.Diff([]string{"Receive 104.8 → 104.8, 111 of an order, 3 on Fees - DT, 3.2 on Exchange Gain/Loss - DT, on account 0"}, b.entries(t)); diff != "" {
		t.Error(diff)
	}
	// A refund that tells no settlement leaves the account that the payment is on.
	r := commerce.Refund{ID: "re_1", PaymentID: pay.ID, Reference: "re_1", Amount: amount("50.00 EUR"), At: time.Now(), Outcome: commerce.Succeeded, Provider: "stripe"}
	result, err := b.Refund(t.Context(), stripe, r, time.Now())
	must(t, b.settle(t.Context(), result, err))
	if got := b.entries(t)[1]; got != "Pay 53.9 → 53.9, -1.6 on Exchange Gain/Loss - DT, on account 55.5" {
		t.Errorf("the refund is %s", got)
	}
}

// TestFeesByPayout holds that with this policy payments are booked whole, and the
// fees of all of them with the next payout, once; a payout that fails leaves them
// to the one after.
func TestFeesByPayout(t *testing.T) {
	b, _ := newTill(t, func(o *posting.Options) { o.Desk.Fees = posting.FeesByPayout })
	for n, fee := range []string{"0.30 USD", "0.45 USD"} {
		pay := payment("1", n+1, "10.00")
		s := settled("txn", amount("10.00 USD"), amount(fee))
		pay.OrderRefs, pay.Settlement = nil, &s
		if n == 1 { // told later
			whole := pay
			whole.Settlement = nil
			_, err := b.pay(t.Context(), whole)
			must(t, err)
			pay.FeeOnly = true
		}
		for range 2 {
			_, err := b.pay(t.Context(), pay)
			must(t, err)
			if n == 0 { // as after a crash between the booking and the event's outcome
				must(t, b.memory.Forget(t.Context(), "Payment Entry", "stripe/stripe/payment/"+pay.ID))
			}
		}
	}
	out := commerce.Payout{ID: "po_1", Amount: amount("15.00 USD"), Fee: amount("0.15 USD"), At: time.Now(), Outcome: commerce.Succeeded, Provider: "stripe"}
	payout := func(change func(*commerce.Payout)) {
		t.Helper()
		o := out
		change(&o)
		r, err := b.Payout(t.Context(), stripe, o)
		must(t, b.settle(t.Context(), r, err))
	}
	clearing := func(want string) {
		t.Helper()
		if got := b.balances(t)["Stripe Clearing - DT"]; !got.Equal(decimal.RequireFromString(want)) {
			t.Errorf("the clearing account holds %s, want %s", got, want)
		}
	}
	clearing("20")
	payout(func(*commerce.Payout) {})
	payout(func(*commerce.Payout) {})
	clearing("4.10") // 20 - 15 - 0.15 - 0.30 - 0.45
	if n := b.count(t, "Journal Entry"); n != 1 {
		t.Errorf("%d Journal Entries, want one per payout", n)
	}
	payout(func(o *commerce.Payout) { o.Outcome = commerce.Failed })
	clearing("20")
	payout(func(o *commerce.Payout) { o.ID, o.Fee = "po_2", amount("0 USD") })
	clearing("4.25")
	payout(func(o *commerce.Payout) { o.ID, o.Fee = "po_3", amount("0 USD"); o.Amount = amount("-1.00 USD") }) // the bank is debited
	clearing("5.25")
	if n := b.count(t, "Journal Entry"); n != 2 {
		t.Errorf("%d Journal Entries: a payout without fees needs none", n)
	}
}

// TestDisputeFeesFollowThePolicy holds that no dispute dies for want of an account
// of fees that the sheet does not use.
func TestDisputeFeesFollowThePolicy(t *testing.T) {
	b, _ := newTill(t, func(o *posting.Options) {
		o.Desk.Fees = posting.FeesIgnored
		withBooks(o, func(books *mapping.Books) { books.Till.Fees = "" })
	})
	d := commerce.Dispute{ID: "dp_1", PaymentID: "pi_1", Amount: usd("10.00"), Stage: commerce.DisputeWithdrawn, At: time.Now(), Provider: "stripe",
		Movements: []commerce.Settlement{settled("txn", usd("10.00").Neg(), usd("15.00"))}}
	r, err := b.Dispute(t.Context(), stripe, d)
	must(t, b.settle(t.Context(), r, err))
	if got := b.balances(t)["Stripe Clearing - DT"]; !got.Equal(decimal.NewFromInt(-10)) {
		t.Errorf("the clearing account moved by %s, want the disputed amount alone", got)
	}
}

// TestTheRemarkOfADispute holds that it says what is known, and nothing else.
func TestTheRemarkOfADispute(t *testing.T) {
	for want, d := range map[string]commerce.Dispute{
		"Dispute dp_1":                                         {},
		"Dispute dp_1, reason: fraudulent":                     {Reason: "fraudulent"},
		"Dispute dp_1 of the payment pi_1, reason: fraudulent": {Reason: "fraudulent", PaymentID: "pi_1"},
	} {
		b, _ := newTill(t, nil)
		d.ID, d.Amount, d.Stage, d.At, d.Provider = "dp_1", usd("10.00"), commerce.DisputeWithdrawn, time.Now(), "stripe"
		d.Movements = []commerce.Settlement{settled("txn", usd("10.00").Neg(), usd("15.00"))}
		r, err := b.Dispute(t.Context(), stripe, d)
		must(t, err)
		var entry struct {
			Remark string `json:"user_remark"`
		}
		must(t, b.site.Get(t.Context(), erpnext.DocJournalEntry, r.Documents[0].Name, &entry))
		if entry.Remark != want {
			t.Errorf("remark %q, want %q", entry.Remark, want)
		}
	}
}

// TestMoneyThatTurnsBackIsTold: nobody in the shop did it, so nobody there knows.
func TestMoneyThatTurnsBackIsTold(t *testing.T) {
	refund := commerce.Refund{ID: "re_1", Amount: usd("10.00"), At: time.Now(), Outcome: commerce.Succeeded, Provider: "stripe", PayerEmail: "ann1@example.com"}
	for _, tt := range []struct {
		name   string
		change func(*commerce.Refund)
		told   string
	}{
		{"a refund of the merchant's", func(*commerce.Refund) {}, ""},
		{"a reversal", func(r *commerce.Refund) { r.Reversed = true }, "the provider took a payment back"},
		{"a refund that failed", func(r *commerce.Refund) { r.Outcome = commerce.Failed }, "a refund failed: the payer has not got the money"},
	} {
		b, _ := newTill(t, nil)
		pay := payment("1", 1, "10.00")
		pay.OrderRefs = nil
		_, err := b.pay(t.Context(), pay)
		must(t, err)
		r := refund
		r.PaymentID = pay.ID
		tt.change(&r)
		for again := range 2 {
			got, err := b.Refund(t.Context(), stripe, r, time.Now())
			must(t, b.settle(t.Context(), got, err))
			told := ""
			if got.Warn != nil {
				told = got.Warn.Cause
			}
			if want := map[int]string{0: tt.told}[again]; told != want {
				t.Errorf("%s, time %d: told %q, want %q", tt.name, again+1, told, want)
			}
		}
	}
}

// TestAConversionIsWaitedFor: a payment in a currency without an account is a
// conversion, of which Stripe tells within an hour. Until then there is nothing
// to book it on; one that has an account is booked when fee_wait is over.
func TestAConversionIsWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		name    string
		charged string
		wait    time.Duration
		age     time.Duration
		want    fault.Kind
	}{
		{"a conversion, soon", "1000 JPY", 10 * time.Minute, 5 * time.Minute, fault.Waiting},
		{"a conversion, after fee_wait", "1000 JPY", 10 * time.Minute, 70 * time.Minute, fault.Waiting},
		{"a conversion that nobody tells of", "1000 JPY", 10 * time.Minute, 121 * time.Minute, fault.Unmapped},
		{"a conversion that is not to be waited for", "1000 JPY", 0, time.Second, fault.Unmapped},
		{"a conversion with a longer wait", "1000 JPY", 3 * time.Hour, 130 * time.Minute, fault.Waiting},
		{"an account of its own, soon", "10.00 EUR", 10 * time.Minute, 5 * time.Minute, fault.Waiting},
		{"an account of its own, after fee_wait", "10.00 EUR", 10 * time.Minute, 11 * time.Minute, fault.Internal},
	} {
		b, _ := newTill(t, func(o *posting.Options) { o.Desk.WaitForFee = tt.wait })
		pay := payment("1", 1, "1.00")
		pay.OrderRefs, pay.Amount = nil, amount(tt.charged)
		r, err := b.Payment(t.Context(), stripe, pay, time.Now().Add(-tt.age))
		switch f := fault.As(err); {
		case tt.want == fault.Internal:
			if err != nil || len(r.Documents) == 0 {
				t.Errorf("%s: %v, want it booked", tt.name, err)
			}
		case f == nil || f.Kind != tt.want:
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		case f.Kind == fault.Waiting && (f.RetryAfter <= 0 || f.RetryAfter > tt.wait):
			t.Errorf("%s: asked again in %v, want within %v", tt.name, f.RetryAfter, tt.wait)
		case f.Kind == fault.Waiting:
			s := settled("txn", amount("6.50 USD"), amount("0.30 USD"))
			only := pay
			only.FeeOnly, only.Settlement = true, &s
			told, err := b.Payment(t.Context(), stripe, only, time.Now())
			must(t, b.settle(t.Context(), told, err))
			_, err = b.Payment(t.Context(), stripe, pay, time.Now().Add(-tt.age))
			must(t, err)
			if got := b.entries(t); !strings.HasPrefix(strings.Join(got, " "), "Receive 6.2 → 6.2,") && strings.HasSuffix(tt.charged, "JPY") {
				t.Errorf("%s: booked %q once it was told", tt.name, got)
			}
		}
	}
}

// TestSeveralOrders holds that one payment can pay several orders, also when one of
// them comes later.
func TestSeveralOrders(t *testing.T) {
	for _, story := range []string{"10011 10012 pay", "10011 pay 10012", "pay 10012 10011"} {
		t.Run(story, func(t *testing.T) {
			b, _ := newTill(t, func(o *posting.Options) { o.Desk.WaitForOrder = 0 })
			for step := range strings.SplitSeq(story, " ") {
				if step != "pay" {
					o := foreign(step, "20.00 USD", "20.00 USD")
					o.ShopTotal = nil
					o.Customer = &commerce.Party{ID: "1", Email: "ann1@example.com", FirstName: "Ann", LastName: "Lee"}
					_, err := b.order(t.Context(), o)
					must(t, err)
					continue
				}
				pay := payment("1", 1, "45.00")
				pay.OrderRefs = []string{"#10011,#10012"}
				_, err := b.pay(t.Context(), pay)
				must(t, err)
			}
			got := b.entries(t)
			if len(got) != 1 || strings.Count(got[0], "20 of an order") != 2 || !strings.HasSuffix(got[0], "on account 5") {
				t.Errorf("%q, want 20 for each order and 5 on account", got)
			}
		})
	}
}

// TestDifferencesStopWhereTheSheetSaysSo: a person decides what becomes of a
// payment that is not what its order asks for.
func TestDifferencesStopWhereTheSheetSaysSo(t *testing.T) {
	for paid, cause := range map[string]string{"9.00": "less was paid", "10.00": "", "11.00": "more was paid"} {
		b, _ := newTill(t, func(o *posting.Options) { o.Desk.StopUnderpaid, o.Desk.StopOverpaid = true, true })
		_, err := b.order(t.Context(), snapshot("1", 1, 1, 0))
		must(t, err)
		_, err = b.pay(t.Context(), payment("1", 1, paid))
		f := fault.As(err)
		if cause == "" {
			must(t, err)
			continue
		}
		if f == nil || f.Kind != fault.Mismatch || !strings.Contains(f.Cause, cause) || b.count(t, "Payment Entry") != 0 {
			t.Errorf("%s of 10.00: %+v with %d payments, want it stopped", paid, f, b.count(t, "Payment Entry"))
		}
	}
}

// TestOrderIsGuessedByEmailAndAmount holds what an e-mail address is good for: the
// payer's only open order of exactly the amount, until somebody names another.
func TestOrderIsGuessedByEmailAndAmount(t *testing.T) {
	for _, tt := range []struct {
		name   string
		orders []string
		paid   string
		linked bool
	}{
		{"the only one", []string{"10.00 USD", "20.00 USD"}, "10.00", true},
		{"two of one amount", []string{"10.00 USD", "10.00 USD"}, "10.00", false},
		{"none of the amount", []string{"10.00 USD"}, "9.99", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, _ := newTill(t, nil)
			for n, total := range tt.orders {
				o := foreign(fmt.Sprint(n+1), total, total)
				o.ShopTotal = nil
				o.Customer = &commerce.Party{ID: "1", Email: "ann1@example.com", FirstName: "Ann", LastName: "Lee"}
				_, err := b.order(t.Context(), o)
				must(t, err)
			}
			pay := payment("1", 1, tt.paid)
			pay.OrderRefs = nil
			_, err := b.pay(t.Context(), pay)
			must(t, err)
			if got := b.entries(t); strings.Contains(got[0], "of an order") != tt.linked {
				t.Errorf("%s", got)
			}
			if !tt.linked || len(tt.orders) < 2 {
				return
			}
			pay.OrderRefs = []string{"2"} // it was the other one after all
			_, err = b.pay(t.Context(), pay)
			must(t, err)
			var so []erpnext.Stored
			must(t, b.site.List(t.Context(), erpnext.Query{DocType: "Sales Order", Fields: []string{"name", "advance_paid"}, OrderBy: "name asc", Limit: -1}, &so))
			if !so[0].AdvancePaid.IsZero() || !so[1].AdvancePaid.Equal(decimal.NewFromInt(10)) {
				t.Errorf("paid %s and %s, want it on the order that was named", so[0].AdvancePaid, so[1].AdvancePaid)
			}
		})
	}
}

// TestShopsOwnMoneys books gift cards and store credit on the debts to their
// holders, cash with its rounding, and several captures of one authorization.
func TestShopsOwnMoneys(t *testing.T) {
	b, _ := newTill(t, func(o *posting.Options) {
		o.Desk.Gateways = map[string]posting.Gateway{"cash": {Owner: posting.OwnerShop}}
		withBooks(o, func(books *mapping.Books) {
			books.Till.Clearing = map[string]map[string]string{
				"gift_card": {"": "Dispute Holding - DT"}, "shopify_store_credit": {"": "Dispute Losses - DT"}, "cash": {"": "Cash - DT"}, "shopify_payments": {"": "Stripe Clearing - DT"},
			}
			books.Till.ModeOf, books.Till.Mode = map[string]string{"cash": "Cash"}, ""
		})
	})
	_, err := b.order(t.Context(), foreign("1", "50.02 USD", "50.02 USD"))
	must(t, err)
	cash := transaction("1", "cash", "10.00")
	cash.ID, cash.Rounding = "tx-cash", usd("-0.02")
	for n, pay := range []commerce.Payment{
		transaction("1", "gift_card", "5.00"), transaction("1", "shopify_store_credit", "5.00"), cash,
		transaction("1", "shopify_payments", "20.00"), transaction("1", "shopify_payments", "10.00"),
	} {
		pay.ID = fmt.Sprint("tx-", n)
		pay.At = time.Now()
		r, err := b.Payment(t.Context(), shop, pay, time.Now())
		must(t, b.settle(t.Context(), r, err))
		if r.Warn != nil {
			t.Errorf("payment %d: %v", n, r.Warn)
		}
	}
	want := []string{
		"Receive 5 → 5, 5 of an order, on account 0", "Receive 5 → 5, 5 of an order, on account 0",
		"Receive 10 → 10 by Cash, 10.02 of an order, 0.02 on Round Off - DT, on account 0",
		"Receive 20 → 20, 20 of an order, on account 0", "Receive 10 → 10, 10 of an order, on account 0",
	}
	if diff := cmp.Diff(want, b.entries(t)); diff != "" {
		t.Error(diff)
	}
	back := commerce.Refund{ID: "tx-back", PaymentID: "tx-1", Reference: "tx-back", Amount: usd("5.00"), At: time.Now(), Outcome: commerce.Succeeded, Provider: "shopify", Gateway: "shopify_store_credit"}
	r, err := b.Refund(t.Context(), shop, back, time.Now())
	must(t, b.settle(t.Context(), r, err))
	if got := b.balances(t)["Dispute Losses - DT"]; !got.IsZero() {
		t.Errorf("store credit paid and given back leaves %s", got)
	}
}

// TestShopsTransactionInWhatTheBuyerWasShown books it in the shop's own money, at
// the order's rate.
func TestShopsTransactionInWhatTheBuyerWasShown(t *testing.T) {
	b, _ := newTill(t, func(o *posting.Options) {
		withBooks(o, func(books *mapping.Books) {
			books.Till.Clearing = map[string]map[string]string{"shopify_payments": {"": "Stripe Clearing - DT"}}
		})
	})
	o := foreign("1", "60.33 USD", "60.33 USD")
	shown := amount("45.85 GBP")
	o.ShopTotal, o.ShownTotal = nil, &shown
	_, err := b.order(t.Context(), o)
	must(t, err)
	for n, part := range []string{"20.00 GBP", "25.85 GBP"} {
		pay := transaction("1", "shopify_payments", "1.00")
		pay.ID, pay.Amount = fmt.Sprint("tx-", n), amount(part)
		r, err := b.Payment(t.Context(), shop, pay, time.Now())
		must(t, b.settle(t.Context(), r, err))
	}
	want := []string{"Receive 26.32 → 26.32, 26.32 of an order, on account 0", "Receive 34.01 → 34.01, 34.01 of an order, on account 0"}
	if diff := cmp.Diff(want, b.entries(t)); diff != "" {
		t.Error(diff)
	}
}

// TestGatewaysHaveTheirOwn account of fees and Mode of Payment.
func TestGatewaysHaveTheirOwn(t *testing.T) {
	b, _ := newTill(t, func(o *posting.Options) {
		withBooks(o, func(books *mapping.Books) {
			books.Till.FeesOf, books.Till.ModeOf = map[string]string{"stripe": "Dispute Losses - DT"}, map[string]string{"stripe": "Credit Card"}
		})
	})
	pay := payment("1", 1, "10.00")
	s := settled("txn", usd("10.00"), usd("0.50"))
	pay.OrderRefs, pay.Settlement = nil, &s
	_, err := b.pay(t.Context(), pay)
	must(t, err)
	if got := b.entries(t)[0]; got != "Receive 9.5 → 9.5 by Credit Card, 0.5 on Dispute Losses - DT, on account 10" {
		t.Errorf("%s", got)
	}
}

// TestProviderOfAGateway is who books the money of a gateway with another name.
func TestProviderOfAGateway(t *testing.T) {
	b := newBench(t, func(o *posting.Options) {
		withGateways(o)
		o.Desk.Gateways = map[string]posting.Gateway{"Cards by Stripe": {Provider: "stripe"}}
	})
	r, err := b.Payment(t.Context(), shop, transaction("1", "Cards by Stripe", "20.00", "pi_1"), time.Now())
	must(t, err)
	if !strings.Contains(r.Note, "the provider books this payment") || b.count(t, "Payment Entry") != 0 {
		t.Errorf("%+v, want it left to Stripe's own webhooks", r)
	}
}

// TestAForeignPaymentCostsTwoRequests when the day's rate is known.
func TestAForeignPaymentCostsTwoRequests(t *testing.T) {
	b, wire := newTill(t, nil)
	var calls []string
	for n := range 3 {
		id := fmt.Sprint(n + 1)
		_, err := b.order(t.Context(), foreign(id, "100.00 EUR", "111.00 USD"))
		must(t, err)
		calls = nil
		wire.seen = func(call string) { calls = append(calls, call) }
		pay := payment(id, 1, "1.00")
		pay.Amount = amount("100.00 EUR")
		_, err = b.pay(t.Context(), pay)
		must(t, err)
		wire.seen = nil
	}
	if want := []string{"POST", "PUT"}; !slices.Equal(calls, want) {
		t.Errorf("asked %v, want %v", calls, want)
	}
}

// TestShopsThatNumberAlike holds that money does not go to another shop's order
// because it has the same name.
func TestShopsThatNumberAlike(t *testing.T) {
	other := posting.Origin{Provider: "shopify", Source: "other"}
	_, b := sandboxBench(t, mapping.Books{}, func(o *posting.Options) { o.Shops = []posting.Origin{shop, other} })
	for i, origin := range []posting.Origin{shop, other} {
		o := snapshot(fmt.Sprint("70", i), 1, int64(i)+1, 0)
		o.Name = "#1001"
		r, err := b.Order(t.Context(), origin, o)
		must(t, b.settle(t.Context(), r, err))
	}
	for n, tt := range []struct{ ref, amount, want string }{
		{"1001", "5.00", "Receive 5 → 5, on account 5"},
		{"1001", "20.00", "Receive 20 → 20, 20 of an order, on account 0"},
		{"700", "10.00", "Receive 10 → 10, 10 of an order, on account 0"},
	} {
		p := payment("", n, tt.amount)
		p.OrderRefs, p.PayerEmail = []string{tt.ref}, "ann700@example.com"
		r, err := b.pay(t.Context(), p)
		must(t, err)
		all := b.entries(t)
		if len(all) != n+1 || all[n] != tt.want {
			t.Errorf("%s for %s: %q, want %s", tt.amount, tt.ref, all, tt.want)
		}
		if told := r.Warn != nil; told != (tt.amount == "5.00") {
			t.Errorf("%s for %s: a person was told: %v", tt.amount, tt.ref, r.Warn)
		}
	}
	// An edit does not take what may be another order's.
	o := snapshot("700", 2, 3, 0)
	o.Name = "#1001"
	_, err := b.order(t.Context(), o)
	must(t, err)
	if all := b.entries(t); !strings.Contains(strings.Join(all, "\n"), "Receive 5 → 5, on account 5") {
		t.Errorf("after an edit: %q", all)
	}
}

// TestPaymentOfAnOrderThatPeopleTookAway holds that money does not wait for an
// order that somebody cancelled or deleted in ERPNext, whichever event names it.
func TestPaymentOfAnOrderThatPeopleTookAway(t *testing.T) {
	for name, take := range map[string]func(*bench, string) error{
		"cancelled": func(b *bench, so string) error { return b.site.Cancel(t.Context(), erpnext.DocSalesOrder, so) },
		"deleted": func(b *bench, so string) error {
			must(t, b.site.Cancel(t.Context(), erpnext.DocSalesOrder, so))
			return b.site.Delete(t.Context(), erpnext.DocSalesOrder, so)
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, b := sandboxBench(t, mapping.Books{}, nil)
			_, err := b.order(t.Context(), snapshot("700", 1, 1, 0))
			must(t, err)
			early := payment("700", 1, "4.00")
			early.OrderRefs = nil
			_, err = b.pay(t.Context(), early)
			must(t, err)
			must(t, take(b, b.newest(t, "700").Name))

			r, err := b.pay(t.Context(), payment("700", 2, "10.00"))
			must(t, err)
			if r.Warn == nil {
				t.Error("nobody was told of the money on account")
			}
			r, err = b.pay(t.Context(), payment("700", 1, "4.00")) // a later event names the order
			must(t, err)
			if r.Note != "the payment is kept for its order" {
				t.Errorf("the later event says %q", r.Note)
			}
			want := []string{"Receive 4 → 4, on account 4", "Receive 10 → 10, on account 10"}
			if diff := cmp.Diff(want, b.entries(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
