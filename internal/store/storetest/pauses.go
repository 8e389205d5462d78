package storetest

import (
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

var pauses = map[string]func(inbox){
	"APausedSourceIsHeldAndOthersFlow": func(b inbox) {
		id := b.put(received("order/1", 1))
		other := received("order/1", 2)
		other.Source = "other shop"
		b.put(other)
		b.pause("shop")
		b.claimOf("evt-2")
		b.nothingToClaim()
		if _, ok, err := b.NextDue(b.Context()); err != nil || !ok { // the other's lease
			b.Errorf("next due: %v, %v", ok, err)
		}
		if ev := b.get(id); ev.State != event.Pending || ev.Attempts != 0 {
			b.Errorf("the held event is %s after %d attempts", ev.State, ev.Attempts)
		}
		b.resume("shop")
		if c := b.claimOf("evt-1"); c.Attempt != 1 {
			b.Errorf("it comes back with attempt %d", c.Attempt)
		}
	},
	"APauseOfAllHoldsEverythingAndTakesWhatArrives": func(b inbox) {
		b.pause(event.AllSources)
		for n := range 3 {
			b.put(received("", n))
		}
		b.nothingToClaim()
		if at, ok, err := b.NextDue(b.Context()); ok || err != nil {
			b.Errorf("next due %v, %v, %v, want nothing", at, ok, err)
		}
		b.resume(event.AllSources)
		for n := range 3 {
			b.claimOf(received("", n).ProviderID)
		}
	},
	"EachPauseIsEndedByItsOwnResume": func(b inbox) {
		b.put(received("", 1))
		b.pause("shop")
		b.pause(event.AllSources)
		b.resume(event.AllSources)
		b.nothingToClaim()
		b.resume("shop")
		b.claimOf("evt-1")
	},
	"TheOldestDueOfWhatFlowsComesFirst": func(b inbox) {
		for n, source := range []string{"c", "a", "b", "a", "c"} {
			ev := received("", n)
			ev.Source = source
			b.put(ev)
			time.Sleep(time.Second)
		}
		b.pause("c")
		at, ok, err := b.NextDue(b.Context())
		if err != nil || !ok || !at.Equal(b.oldest("a")) {
			b.Errorf("next due %v, %v, %v, want the oldest of what flows", at, ok, err)
		}
		for _, want := range []string{"evt-1", "evt-2", "evt-3"} {
			b.settle(b.claimOf(want), done())
		}
		b.nothingToClaim()
		if _, ok, err := b.NextDue(b.Context()); ok || err != nil {
			b.Errorf("next due: %v, %v, want nothing that flows", ok, err)
		}
		b.resume("c")
		b.claimOf("evt-0")
	},
	"ADeliveryInHandEndsDuringAPause": func(b inbox) {
		id := b.put(received("", 1))
		c := b.claim()
		b.pause(event.AllSources)
		b.settle(c, done())
		if b.get(id).State != event.Done {
			b.Error("the delivery in hand was lost")
		}
	},
	"PausesAreListedWithWhoAndWhy": func(b inbox) {
		start := time.Now().UTC()
		if err := b.Pause(b.by(ada), "shop", "new accounts"); err != nil {
			b.Fatal(err)
		}
		time.Sleep(time.Minute)
		b.pause("shop") // changes nothing
		want := []event.Pause{{Source: "shop", Since: start, By: ada, Reason: "new accounts"}}
		got, err := b.Pauses(b.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			b.Errorf("pauses: %v (-want +got):\n%s", err, diff)
		}
	},
	"AResumeWakes": func(b inbox) {
		b.put(received("", 1))
		b.pause(event.AllSources)
		b.nothingToClaim()
		b.drain()
		b.resume(event.AllSources)
		b.woken("resumed")
	},
}

func (b inbox) pause(source string) {
	b.Helper()
	if err := b.Pause(b.Context(), source, ""); err != nil {
		b.Fatalf("pause %q: %v", source, err)
	}
}

func (b inbox) resume(source string) {
	b.Helper()
	if err := b.Resume(b.Context(), source); err != nil {
		b.Fatalf("resume %q: %v", source, err)
	}
}

func (b inbox) oldest(source string) time.Time {
	b.Helper()
	stats, err := b.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return stats.OldestPending[source]
}
