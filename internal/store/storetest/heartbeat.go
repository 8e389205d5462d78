package storetest

import (
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

var heartbeat = map[string]func(inbox){
	"ABeatIsClaimedLikeAnyEvent": func(b inbox) {
		b.put(received("order/1", 1))
		time.Sleep(time.Second)
		b.beats(true)
		b.settle(b.claimOf("evt-1"), done())
		c := b.claimOf(event.Heartbeat)
		if c.Event.Source != event.Heartbeat || !c.Event.ReceivedAt.Equal(time.Now()) || c.Attempt != 1 {
			b.Errorf("got attempt %d of %+v", c.Attempt, c.Event)
		}
		b.nothingToClaim()
	},
	"TheNextBeatComesAfterTheLastWasSettled": func(b inbox) {
		b.beats(true)
		b.beats(false)
		c := b.claimOf(event.Heartbeat)
		b.beats(false)
		b.settle(c, retryAt(time.Now().Add(time.Minute)))
		b.beats(false)
		time.Sleep(time.Minute)
		b.settle(b.claimOf(event.Heartbeat), event.Outcome{State: event.Ignored, Result: "ignored"})
		time.Sleep(time.Minute)
		b.beats(true)
		c = b.claimOf(event.Heartbeat)
		if !c.Event.ReceivedAt.Equal(time.Now()) || c.Attempt != 1 || c.Event.Class != "" {
			b.Errorf("the second beat is attempt %d of %+v", c.Attempt, c.Event)
		}
	},
	"BeatsLeaveOneEventAndOneAttempt": func(b inbox) {
		for range 3 {
			b.beats(true)
			b.settle(b.claimOf(event.Heartbeat), event.Outcome{State: event.Ignored, Result: "ignored", Reason: "it came through"})
			time.Sleep(time.Minute)
		}
		events, _, err := b.List(b.Context(), event.Filter{Source: event.Heartbeat})
		if err != nil || len(events) != 1 {
			b.Fatalf("got %d events, %v, want 1", len(events), err)
		}
		if _, attempts, _, err := b.Get(b.Context(), events[0].ID); err != nil || len(attempts) != 1 {
			b.Errorf("got %d attempts, %v, want the last one", len(attempts), err)
		}
	},
	"ABeatIsNeitherListedNorCounted": func(b inbox) {
		b.put(received("order/1", 1))
		b.settle(b.claim(), done())
		for _, o := range []event.Outcome{retryAt(time.Now()), {State: event.Ignored, Result: "ignored"}} {
			b.beats(o.State == event.Pending)
			b.settle(b.claimOf(event.Heartbeat), o)
			stats, err := b.Stats(b.Context())
			want := event.Stats{ByState: map[event.State]int64{event.Pending: 0, event.Done: 1}, OldestPending: map[string]time.Time{}}
			if diff := cmp.Diff(want, stats); err != nil || diff != "" {
				b.Errorf("%v, stats (-want +got):\n%s", err, diff)
			}
			if events, _, err := b.List(b.Context(), event.Filter{}); err != nil || len(events) != 1 || events[0].Source != "shop" {
				b.Errorf("listed %+v, %v", events, err)
			}
		}
	},
	"ADeadBeatDoesNotEndTheHeartbeat": func(b inbox) {
		b.beats(true)
		b.settle(b.claimOf(event.Heartbeat), dead())
		b.beats(true)
		b.settle(b.claimOf(event.Heartbeat), done())
		b.nothingToClaim()
	},
}

// beats sends a beat and wants it to be sent, or not.
func (b inbox) beats(want bool) {
	b.Helper()
	if sent, err := b.Beat(b.Context()); sent != want || err != nil {
		b.Fatalf("beat: got %v, %v, want %v", sent, err, want)
	}
}
