package storetest

import (
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

var order9 = event.Document{
	DocType: "Sales Order", Name: "SAL-ORD-2026-00009", Key: "shop/order/9",
	Data: map[string]string{"customer": "CUST-1", "total": "12.30"},
}

var settles = map[string]func(inbox){
	"WritesStateAndReasonOfEveryOutcome": func(b inbox) {
		at := time.Now().UTC().Add(time.Hour)
		outcomes := []event.Outcome{
			{State: event.Done, Result: "done"},
			{State: event.Ignored, Result: "ignored", Reason: "nothing to do"},
			{State: event.Pending, DueAt: at, Result: "retry", Class: "timeout", Reason: "no answer in time", Hint: "is the site up?"},
			{State: event.Dead, Result: "dead", Class: "rejected", Reason: "customer group is missing", Hint: "make it"},
		}
		for n, o := range outcomes {
			id := b.put(received("", n))
			b.settle(b.claim(), o)
			got := b.get(id)
			want := event.Event{State: o.State, DueAt: o.DueAt, Attempts: 1, Class: o.Class, Reason: o.Reason, Hint: o.Hint}
			if diff := cmp.Diff(want, outcomeOf(got)); diff != "" {
				b.Errorf("after %s (-want +got):\n%s", o.Result, diff)
			}
		}
	},
	"KeepsTheHistoryOfAttempts": func(b inbox) {
		id := b.put(received("order/1", 1))
		start := time.Now().UTC()
		o := retryAt(start.Add(time.Hour))
		o.Took = 1500 * time.Millisecond
		b.settle(b.claim(), o)
		time.Sleep(time.Hour)
		b.settle(b.claim(), done())
		_, got, _, err := b.Get(b.Context(), id)
		want := []event.Attempt{
			{EventID: id, Number: 1, StartedAt: start, Took: o.Took, Result: "retry", Class: "timeout", Reason: o.Reason, Hint: o.Hint, Detail: o.Detail},
			{EventID: id, Number: 2, StartedAt: start.Add(time.Hour), Result: "done"},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			b.Errorf("attempts (-want +got): %v\n%s", err, diff)
		}
	},
	"AFreeOutcomeGivesTheAttemptBack": func(b inbox) {
		id := b.put(received("order/1", 1))
		b.settle(b.claim(), retryAt(time.Now()))
		for range 3 {
			c := b.claim()
			if c.Attempt != 2 {
				b.Errorf("got attempt %d, want 2 until one is used up", c.Attempt)
			}
			b.settle(c, event.Outcome{State: event.Pending, Result: "released", Free: true})
		}
		ev, attempts, _, err := b.Get(b.Context(), id)
		if err != nil || ev.Attempts != 1 || len(attempts) != 1 {
			b.Errorf("got %d attempts, %d kept (%v), want the one that was made", ev.Attempts, len(attempts), err)
		}
		if ev.Class != "timeout" {
			b.Errorf("got class %q, want what the last real attempt said", ev.Class)
		}
	},
	"KeepsItsDocumentsUnderTheirKeys": func(b inbox) {
		id := b.put(received("order/9", 1))
		customer := event.Document{DocType: "Customer", Name: "CUST-1", Key: "shop/customer/1"}
		b.settle(b.claim(), done(customer, order9))
		_, _, docs, err := b.Get(b.Context(), id)
		if diff := cmp.Diff([]event.Document{customer, order9}, docs, cmpopts.EquateEmpty()); diff != "" || err != nil {
			b.Errorf("documents (-want +got): %v\n%s", err, diff)
		}
		b.remembers(order9)
	},
	"ARepeatedDocumentBelongsToBothEvents": func(b inbox) {
		b.put(received("order/9", 1))
		b.put(received("order/9", 2))
		b.settle(b.claim(), done(order9))
		changed := order9
		changed.Data = map[string]string{"total": "15.00"}
		b.settle(b.claim(), done(changed))
		for _, n := range []string{"evt-1", "evt-2"} {
			_, _, docs, err := b.Get(b.Context(), event.NewID("shop", n))
			if diff := cmp.Diff([]event.Document{changed}, docs); diff != "" || err != nil {
				b.Errorf("documents of %s (-want +got): %v\n%s", n, err, diff)
			}
		}
	},
	"ADocumentWakesWhateverWaitsForItsKey": func(b inbox) {
		b.put(received("refund/1", 1))
		b.put(received("payment/1", 2))
		deadline := time.Now().Add(24 * time.Hour)
		b.settle(b.claimOf("evt-1"), waitingFor(deadline, order9.Key))
		b.settle(b.claimOf("evt-2"), waitingFor(deadline, "shop/order/10"))
		time.Sleep(time.Minute)
		b.put(received("order/9", 3))
		b.settle(b.claimOf("evt-3"), done(order9))
		if c := b.claimOf("evt-1"); c.Attempt != 2 {
			b.Errorf("got attempt %d of the woken event, want 2", c.Attempt)
		}
		b.nothingToClaim()
	},
	"AnyOfSeveralDocumentsWakesWhatWaitsForThem": func(b inbox) {
		b.put(received("payment/1", 1))
		b.put(received("payment/2", 2))
		deadline := time.Now().Add(24 * time.Hour)
		b.settle(b.claimOf("evt-1"), waitingFor(deadline, "shop/order/1001", "shop/order-name/1001"))
		b.settle(b.claimOf("evt-2"), waitingFor(deadline, order9.Key, "shop/order-name/9"))
		time.Sleep(time.Minute)
		b.put(received("order/77", 3))
		named := event.Document{DocType: "Sales Order", Name: "SO-77", Key: "shop/order-name/1001"}
		b.settle(b.claimOf("evt-3"), done(named))
		// It waits again, for less: what it waited for before wakes it no more.
		b.settle(b.claimOf("evt-1"), waitingFor(deadline, "shop/order/5"))
		time.Sleep(time.Minute)
		b.put(received("order/78", 4))
		b.settle(b.claimOf("evt-4"), done(named))
		b.nothingToClaim()
		b.put(received("order/9", 5))
		b.settle(b.claimOf("evt-5"), done(order9))
		b.claimOf("evt-2")
		b.nothingToClaim()
	},
	"AWokenEventGoesBeforeABacklog": func(b inbox) {
		b.put(received("refund/1", 1))
		b.settle(b.claimOf("evt-1"), waitingFor(time.Now().Add(24*time.Hour), order9.Key))
		time.Sleep(time.Minute)
		b.put(received("order/9", 2))
		b.put(received("order/10", 3))
		b.settle(b.claimOf("evt-2"), done(order9))
		b.claimOf("evt-1")
	},
	"AWokenEventHoldsBackTheYoungerAgain": func(b inbox) {
		b.put(received("order/1", 1))
		b.put(received("order/1", 2))
		b.put(received("order/9", 3))
		b.settle(b.claimOf("evt-1"), waitingFor(time.Now().Add(24*time.Hour), order9.Key))
		b.settle(b.claimOf("evt-2"), retryAt(time.Now().Add(time.Minute)))
		b.settle(b.claimOf("evt-3"), done(order9))
		time.Sleep(time.Minute)
		b.settle(b.claimOf("evt-1"), done())
		b.settle(b.claimOf("evt-2"), done())
	},
	"ADocumentThatAppearsWhileAnAttemptFindsItMissingIsNotMissed": func(b inbox) {
		b.put(received("refund/1", 1))
		b.put(received("order/9", 2))
		refund, order := b.claimOf("evt-1"), b.claimOf("evt-2")
		b.settle(order, done(order9)) // after the refund looked and before it settles
		b.settle(refund, waitingFor(time.Now().Add(24*time.Hour), order9.Key))
		b.claimOf("evt-1")
	},
	"WaitingForADocumentThatIsKnownDoesNotSpin": func(b inbox) {
		b.put(received("order/9", 1))
		b.settle(b.claim(), done(order9))
		time.Sleep(time.Minute)
		b.put(received("refund/1", 2))
		b.settle(b.claim(), waitingFor(time.Now().Add(time.Hour), order9.Key))
		b.nothingToClaim()
	},
	"ALostLeaseChangesNothing": func(b inbox) {
		id := b.put(received("order/9", 1))
		slow := b.claim()
		time.Sleep(lease)
		b.claim()
		b.lost(slow, done(order9))
		ev, attempts, docs, err := b.Get(b.Context(), id)
		if err != nil || ev.State != event.Pending || len(attempts) != 0 || len(docs) != 0 {
			b.Errorf("got %s with %d attempts and %d documents (%v), want nothing of the lost one", ev.State, len(attempts), len(docs), err)
		}
		b.forgets(order9)
	},
	"AnUnknownStateIsRefused": func(b inbox) {
		b.put(received("order/1", 1))
		if err := b.Settle(b.Context(), b.claim(), event.Outcome{State: "half done"}); err == nil {
			b.Error("got no error")
		}
	},
}

// outcomeOf leaves of an event what a settlement writes.
func outcomeOf(ev event.Event) event.Event {
	return event.Event{State: ev.State, DueAt: ev.DueAt, Attempts: ev.Attempts, Class: ev.Class, Reason: ev.Reason, Hint: ev.Hint}
}

func (b inbox) remembers(want event.Document) {
	b.Helper()
	got, ok, err := b.Document(b.Context(), want.DocType, want.Key)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); !ok || err != nil || diff != "" {
		b.Errorf("document %s: %v, %v (-want +got):\n%s", want.Key, ok, err, diff)
	}
}

func (b inbox) forgets(d event.Document) {
	b.Helper()
	if got, ok, err := b.Document(b.Context(), d.DocType, d.Key); ok || err != nil {
		b.Errorf("document %s: got %+v, %v, want none", d.Key, got, err)
	}
}
