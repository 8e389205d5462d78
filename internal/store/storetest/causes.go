package storetest

import (
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

var (
	noGroup    = event.Cause{Class: "rejected", Reason: "LinkValidationError: Customer Group", DocType: "Customer"}
	noAccount  = event.Cause{Class: "rejected", Reason: "LinkValidationError: Account", DocType: "Payment Entry"}
	noAccountS = event.Cause{Class: "rejected", Reason: "LinkValidationError: Account", DocType: "Sales Order"}
)

var causes = map[string]func(inbox){
	"DeadLettersAreGroupedByClassReasonAndDocType": func(b inbox) {
		start := time.Now().UTC()
		var ids []string
		for n, cause := range []event.Cause{noGroup, noAccount, noGroup, noAccountS, noGroup} {
			ev := received("", n)
			if n == 2 {
				ev.Source, ev.Topic = "other shop", "orders/paid"
			}
			ids = append(ids, b.put(ev))
			b.settle(b.claim(), diesOf(cause))
			time.Sleep(time.Minute)
		}
		b.put(received("", 9))
		b.settle(b.claim(), retryAt(time.Now().Add(time.Hour))) // not dead
		want := []event.Group{
			{Cause: noGroup, Count: 3, FirstSeen: start, LastSeen: start.Add(4 * time.Minute),
				Sources: []string{"other shop", "shop"}, Topics: []string{"orders/create", "orders/paid"}, Sample: ids[4], Hint: "about " + noGroup.Reason},
			{Cause: noAccountS, Count: 1, FirstSeen: start.Add(3 * time.Minute), LastSeen: start.Add(3 * time.Minute),
				Sources: []string{"shop"}, Topics: []string{"orders/create"}, Sample: ids[3], Hint: "about " + noAccount.Reason},
			{Cause: noAccount, Count: 1, FirstSeen: start.Add(time.Minute), LastSeen: start.Add(time.Minute),
				Sources: []string{"shop"}, Topics: []string{"orders/create"}, Sample: ids[1], Hint: "about " + noAccount.Reason},
		}
		got, err := b.Groups(b.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			b.Errorf("groups: %v (-want +got):\n%s", err, diff)
		}
	},
	"AReplayedOrDismissedEventLeavesItsGroup": func(b inbox) {
		for n := range 2 {
			id := b.put(received("", n))
			b.settle(b.claim(), diesOf(noGroup))
			var err error
			if n == 0 {
				err = b.Dismiss(b.Context(), id, "by hand")
			} else {
				err = b.Replay(b.Context(), id)
			}
			if err != nil {
				b.Fatal(err)
			}
			if groups, err := b.Groups(b.Context()); len(groups) != 0 || err != nil {
				b.Errorf("groups %+v, %v, want none", groups, err)
			}
			if ev := b.get(id); ev.Class != "" || ev.DocType != "" {
				b.Errorf("it still has class %q and DocType %q", ev.Class, ev.DocType)
			}
		}
	},
	"ListFiltersByClassAndGroup": func(b inbox) {
		for n, cause := range []event.Cause{noGroup, noAccount, noAccountS, {Class: "mismatch", Reason: "totals"}} {
			b.put(received("", n))
			b.settle(b.claim(), diesOf(cause))
		}
		b.put(received("", 7))
		again := diesOf(noAccount) // the same cause, and a try to come
		again.State, again.Result, again.DueAt = event.Pending, "retry", time.Now().Add(time.Hour)
		b.settle(b.claim(), again)
		for name, c := range map[string]struct {
			filter event.Filter
			want   []string
		}{
			"class":                  {event.Filter{Class: "rejected"}, []string{"evt-7", "evt-2", "evt-1", "evt-0"}},
			"group":                  {event.Filter{Group: noAccount.ID()}, []string{"evt-1"}},
			"group and its state":    {event.Filter{Group: noAccount.ID(), State: event.Dead}, []string{"evt-1"}},
			"group in another state": {event.Filter{Group: noAccount.ID(), State: event.Pending}, nil},
			"unknown group":          {event.Filter{Group: "pr_unknown"}, nil},
		} {
			events, _, err := b.List(b.Context(), c.filter)
			var got []string
			for _, ev := range events {
				got = append(got, ev.ProviderID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				b.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			}
		}
	},
	"AnAttemptKeepsItsCallsUntilRetentionTakesTheBody": func(b inbox) {
		id := b.put(received("order/1", 1))
		calls := []event.Exchange{
			{Op: "erpnext.create Customer", Method: "POST", DocType: "Customer", StartedAt: time.Now().UTC(), Took: 40 * time.Millisecond,
				Request: `{"customer_name":"…"}`, Status: 417, ExcType: "LinkValidationError", Message: noGroup.Reason, Class: "rejected"},
			{Op: "erpnext.get Customer", Method: "GET", DocType: "Customer", StartedAt: time.Now().UTC(), Class: "timeout"},
		}
		o := retryAt(time.Now())
		o.Exchanges = calls
		b.settle(b.claim(), o)
		b.settle(b.claim(), done())
		_, attempts, _, err := b.Get(b.Context(), id)
		if err != nil || len(attempts) != 2 {
			b.Fatalf("got %d attempts, %v", len(attempts), err)
		}
		if diff := cmp.Diff([][]event.Exchange{calls, nil}, [][]event.Exchange{attempts[0].Exchanges, attempts[1].Exchanges}); diff != "" {
			b.Errorf("calls (-want +got):\n%s", diff)
		}
		if n, err := b.Sweep(b.Context(), time.Now().Add(time.Second), 10); n != 1 || err != nil {
			b.Fatalf("swept %d, %v", n, err)
		}
		_, attempts, _, err = b.Get(b.Context(), id)
		if err != nil || len(attempts) != 2 || attempts[0].Exchanges != nil || attempts[0].Detail != "" || attempts[0].Class != "timeout" {
			b.Errorf("after the sweep %+v, %v, want class and time alone", attempts, err)
		}
	},
}
