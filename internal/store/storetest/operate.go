package storetest

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

var operations = map[string]func(inbox){
	"GetFindsByTheBeginningOfAnID": func(b inbox) {
		id := b.put(received("order/1", 1))
		if got := b.get(id[:6]); got.ID != id {
			b.Errorf("got %s, want %s", got.ID, id)
		}
		for _, unknown := range []string{id[:5], "", "ev_zzzzzz", id + "a", "%", "ev_%%%%"} {
			if _, _, _, err := b.Get(b.Context(), unknown); fault.KindOf(err) != fault.NotFound {
				b.Errorf("get %q: got %v, want not found", unknown, err)
			}
		}
	},
	"GetRefusesABeginningOfSeveralIDs": func(b inbox) {
		// Two of a few thousand ids share three characters after "ev_".
		seen := make(map[string]bool)
		for n := 0; ; n++ {
			id := b.put(received("", n))
			if seen[id[:6]] {
				if _, _, _, err := b.Get(b.Context(), id[:6]); fault.KindOf(err) != fault.NotFound {
					b.Errorf("got %v, want not found", err)
				}
				if got := b.get(id); got.ID != id {
					b.Errorf("the whole id gave %s", got.ID)
				}
				return
			}
			seen[id[:6]] = true
		}
	},
	"ReplayBeginsTheScheduleAnewAndKeepsTheHistory": func(b inbox) {
		id := b.put(received("order/1", 1))
		b.settle(b.claim(), retryAt(time.Now()))
		b.settle(b.claim(), dead())
		time.Sleep(time.Hour)
		if err := b.Replay(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		want := event.Event{State: event.Pending, DueAt: time.Now().UTC(), Attempts: 2}
		if diff := cmp.Diff(want, outcomeOf(b.get(id))); diff != "" {
			b.Errorf("after the replay (-want +got):\n%s", diff)
		}
		c := b.claimOf("evt-1")
		if c.Attempt != 1 || c.Event.Attempts != 3 {
			b.Errorf("got attempt %d (of %d), want 1 (of 3)", c.Attempt, c.Event.Attempts)
		}
		b.settle(c, done())
		_, attempts, _, _ := b.Get(b.Context(), id)
		if n := len(attempts); n != 3 || attempts[n-1].Number != 3 {
			b.Errorf("got history %+v, want three numbered attempts", attempts)
		}
	},
	"ReplayMakesAnyStateButALeasedOneDueNow": func(b inbox) {
		outcomes := []event.Outcome{done(), dead(), retryAt(time.Now().Add(time.Hour)), waitingFor(time.Now().Add(time.Hour), "k"), {State: event.Ignored, Result: "ignored"}}
		for n, o := range outcomes {
			id := b.put(received("order/1", n))
			c := b.claimOf(fmt.Sprintf("evt-%d", n))
			b.conflicts("replay of a leased event", b.Replay(b.Context(), id))
			b.settle(c, o)
			if err := b.Replay(b.Context(), id); err != nil {
				b.Errorf("replay after %s: %v", o.Result, err)
			}
			b.settle(b.claimOf(fmt.Sprintf("evt-%d", n)), done())
		}
		if err := b.Replay(b.Context(), "ev_unknown"); fault.KindOf(err) != fault.NotFound {
			b.Errorf("replay of an unknown event: got %v, want not found", err)
		}
	},
	"AReplayedEventIsTheOldestOfItsSubjectAgain": func(b inbox) {
		id := b.put(received("order/1", 1))
		b.settle(b.claim(), dead())
		b.put(received("order/1", 2))
		b.put(received("order/1", 3))
		if err := b.Replay(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		for n := 1; n <= 3; n++ {
			b.settle(b.claimOf(fmt.Sprintf("evt-%d", n)), done())
		}
	},
	"AReplayAfterTheLeaseRanOutFencesTheOldWorkerOff": func(b inbox) {
		id := b.put(received("order/1", 1))
		slow := b.claim()
		time.Sleep(lease)
		if err := b.Replay(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		b.lost(slow, done())
	},
	"DismissGivesUpOnDeadAndPendingEvents": func(b inbox) {
		first, second := b.put(received("order/1", 1)), b.put(received("order/1", 2))
		b.settle(b.claim(), dead())
		for _, id := range []string{first, second} {
			if err := b.Dismiss(b.Context(), id, "booked by hand"); err != nil {
				b.Fatal(err)
			}
			if ev := b.get(id); ev.State != event.Ignored || ev.Reason != "booked by hand" {
				b.Errorf("got %s (%s), want ignored (booked by hand)", ev.State, ev.Reason)
			}
			b.conflicts("dismissing it again", b.Dismiss(b.Context(), id, "again"))
		}
		b.nothingToClaim()
	},
	"DismissFreesTheSubject": func(b inbox) {
		id := b.put(received("order/1", 1))
		b.put(received("order/1", 2))
		c := b.claimOf("evt-1")
		b.conflicts("dismissing a leased event", b.Dismiss(b.Context(), id, "now"))
		b.settle(c, retryAt(time.Now().Add(time.Hour)))
		if err := b.Dismiss(b.Context(), id, "given up"); err != nil {
			b.Fatal(err)
		}
		b.claimOf("evt-2")
	},
	"StatsCountWhatIsThere": func(b inbox) {
		start := time.Now().UTC()
		b.wantStats(event.Stats{})
		for n := range 5 {
			b.put(received("", n))
			time.Sleep(time.Second)
		}
		other := received("", 9)
		other.Source = "other shop"
		b.put(other)
		b.put(other)
		b.settle(b.claimOf("evt-0"), done())
		b.settle(b.claimOf("evt-1"), dead())
		b.settle(b.claimOf("evt-2"), retryAt(time.Now().Add(time.Hour)))
		b.settle(b.claimOf("evt-3"), event.Outcome{State: event.Ignored, Result: "ignored"})
		b.wantStats(event.Stats{
			ByState:       map[event.State]int64{event.Pending: 3, event.Done: 1, event.Dead: 1, event.Ignored: 1},
			OldestPending: map[string]time.Time{"shop": start.Add(2 * time.Second), "other shop": start.Add(5 * time.Second)},
		})
	},
	"ListPagesNewestFirstWithoutBodies": func(b inbox) {
		for n := range 7 {
			b.put(received("", n))
			if n%2 == 0 { // several states and sources, one order
				b.settle(b.claim(), done())
			}
		}
		var got []string
		f := event.Filter{Limit: 3}
		for pages := 0; ; pages++ {
			events, next, err := b.List(b.Context(), f)
			if err != nil || pages > 3 {
				b.Fatalf("page %d: %v", pages, err)
			}
			for _, ev := range events {
				got = append(got, ev.ProviderID)
				if ev.Body != nil || ev.Header != nil {
					b.Errorf("%s comes with body or headers", ev.ProviderID)
				}
			}
			if next == "" {
				break
			}
			f.Cursor = next
			b.put(received("", 100+pages)) // what arrives meanwhile does not shift the pages
		}
		want := []string{"evt-6", "evt-5", "evt-4", "evt-3", "evt-2", "evt-1", "evt-0"}
		if diff := cmp.Diff(want, got); diff != "" {
			b.Errorf("listing (-want +got):\n%s", diff)
		}
		if _, _, err := b.List(b.Context(), event.Filter{Cursor: "no cursor!"}); fault.KindOf(err) != fault.Malformed {
			b.Errorf("a made-up cursor: got %v, want malformed", err)
		}
	},
	"ListFilters": func(b inbox) {
		start := time.Now()
		b.put(received("order/7_1%", 1))
		b.settle(b.claim(), dead())
		time.Sleep(time.Minute)
		b.put(received("order/2", 2))
		refund := received("refund/3", 3)
		refund.Source, refund.Topic = "other shop", "refunds/create"
		id := b.put(refund)
		for _, c := range []struct {
			name   string
			filter event.Filter
			want   []string
		}{
			{"nothing", event.Filter{}, []string{"evt-3", "evt-2", "evt-1"}},
			{"state", event.Filter{State: event.Dead}, []string{"evt-1"}},
			{"source", event.Filter{Source: "shop"}, []string{"evt-2", "evt-1"}},
			{"topic", event.Filter{Topic: "refunds/create"}, []string{"evt-3"}},
			{"since", event.Filter{Since: start.Add(time.Minute)}, []string{"evt-3", "evt-2"}},
			{"part of a subject", event.Filter{Query: "order/"}, []string{"evt-2", "evt-1"}},
			{"part of a provider id", event.Filter{Query: "t-2"}, []string{"evt-2"}},
			{"part of an id", event.Filter{Query: id[5:]}, []string{"evt-3"}},
			{"a percent sign", event.Filter{Query: "1%"}, []string{"evt-1"}},
			{"an underscore", event.Filter{Query: "7_1"}, []string{"evt-1"}},
			{"several", event.Filter{Source: "shop", State: event.Pending, Query: "order"}, []string{"evt-2"}},
			{"no match", event.Filter{Source: "nobody"}, nil},
		} {
			events, next, err := b.List(b.Context(), c.filter)
			var got []string
			for _, ev := range events {
				got = append(got, ev.ProviderID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil || next != "" {
				b.Errorf("%s: %v, next %q (-want +got):\n%s", c.name, err, next, diff)
			}
		}
	},
	"IsReadyAndSaysItsSchema": func(b inbox) {
		if err := b.Ready(b.Context()); err != nil {
			b.Errorf("got %v, want ready", err)
		}
		current, newest, err := b.Schema(b.Context())
		if err != nil || current != newest || newest < 1 {
			b.Errorf("got schema %d of %d, %v", current, newest, err)
		}
	},
	"MigratesDownAndUpAndIsNotReadyBetween": func(b inbox) {
		id := b.put(received("order/1", 1))
		_, newest, _ := b.Schema(b.Context())
		lost := false
		for _, to := range []int{newest - 1, newest, 0, newest} {
			if err := b.Migrate(b.Context(), to); err != nil {
				b.Fatalf("migrate to %d: %v", to, err)
			}
			time.Sleep(2 * time.Second) // Ready may remember its answer for a second
			if at, _, err := b.Schema(b.Context()); at != to || err != nil {
				b.Fatalf("got schema %d, %v, want %d", at, err, to)
			}
			if err := b.Ready(b.Context()); (err == nil) != (to == newest) {
				b.Errorf("schema %d: ready says %v", to, err)
			}
			lost = lost || to == 0 // which has no place for events
			if to == newest && !lost {
				if got := b.get(id); string(got.Body) != `{"id":1}` {
					b.Errorf("the event came back as %q", got.Body)
				}
			}
		}
		b.put(received("order/1", 1))
		b.settle(b.claim(), done(order9))
		for _, to := range []int{-1, newest + 1} {
			if err := b.Migrate(b.Context(), to); err == nil {
				b.Errorf("migrate to %d: got no error", to)
			}
		}
	},
	"AClosedStoreIsBusy": func(b inbox) {
		if err := b.Close(); err != nil {
			b.Fatal(err)
		}
		_, err := b.Put(b.Context(), received("order/1", 1))
		_, claimErr := b.Claim(b.Context(), lease)
		for _, err := range []error{err, claimErr, b.SetNote(b.Context(), "a", "b")} {
			if fault.KindOf(err) != fault.Busy {
				b.Errorf("got %v, want busy", err)
			}
		}
	},
}

func (b inbox) wantStats(want event.Stats) {
	b.Helper()
	got, err := b.Stats(b.Context())
	for state, n := range got.ByState {
		if n == 0 {
			delete(got.ByState, state)
		}
	}
	if len(got.ByState) == 0 {
		got.ByState = nil
	}
	if len(got.OldestPending) == 0 {
		got.OldestPending = nil
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		b.Errorf("stats: %v (-want +got):\n%s", err, diff)
	}
}
