package storetest

import (
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

var legal = event.Waits{Lease: lease, Retry: 2 * time.Hour, Document: 24 * time.Hour}

// jump is how far the clock was wrong.
const jump = 48 * time.Hour

// clocks are written by a clock that stood wrong: what a store was given then,
// seen from the right time, is what it was given with times that cannot be.
var clocks = map[string]func(inbox){
	"WhatWasReceivedInTheFutureIsDueInItsPlace": func(b inbox) {
		for n := range 3 {
			ahead := received("order/1", n) // of one subject: each holds back the next
			ahead.ReceivedAt = time.Now().Add(jump)
			b.put(ahead)
		}
		id := b.put(received("order/1", 3))
		b.nothingToClaim()
		b.reclocks(3)
		for _, next := range []string{"evt-0", "evt-1", "evt-2", "evt-3"} {
			c := b.claimOf(next)
			if c.Event.ReceivedAt.After(time.Now()) {
				b.Errorf("%s was received at %v: that is not yet", next, c.Event.ReceivedAt)
			}
			b.settle(c, done())
		}
		if b.get(id).State != event.Done {
			b.Error("the younger event of the subject was not done")
		}
	},
	"ARetryBeyondEveryPauseIsDueNow": func(b inbox) {
		b.put(received("order/1", 1))
		b.put(received("order/1", 2))
		b.settle(b.claim(), retryAt(time.Now().Add(jump)))
		b.reclocks(1)
		b.settle(b.claimOf("evt-1"), done())
		b.claimOf("evt-2")
	},
	"WhatWaitsForADocumentWaitsNoLongerThanIsLegal": func(b inbox) {
		b.put(received("", 1))
		b.settle(b.claim(), waitingFor(time.Now().Add(jump), "order/9"))
		b.put(received("", 2))
		b.settle(b.claim(), waitingFor(time.Now().Add(23*time.Hour), "order/9"))
		b.reclocks(1)
		b.claimOf("evt-1")
		b.nothingToClaim()
	},
	"ALeaseEndsAfterItsUsualTime": func(b inbox) {
		id := b.put(received("order/1", 1))
		b.put(received("order/1", 2))
		c, err := b.Claim(b.Context(), jump)
		if c == nil || err != nil {
			b.Fatal(c, err)
		}
		b.reclocks(1)
		b.nothingToClaim()
		time.Sleep(lease + time.Second)
		second := b.claimOf("evt-1")
		b.conflicts("the first holder", b.Settle(b.Context(), c, done()))
		b.settle(second, done())
		if b.get(id).State != event.Done {
			b.Error("it was not settled by its second holder")
		}
	},
	"AHolderWhoLivesKeepsItsClaim": func(b inbox) {
		b.put(received("order/1", 1))
		c, err := b.Claim(b.Context(), jump)
		if c == nil || err != nil {
			b.Fatal(c, err)
		}
		b.reclocks(1)
		b.settle(c, done())
	},
	"WhatHappensMeanwhileIsNoWrongClock": func(b inbox) {
		const moment = 2 * time.Second // younger than the now of who looks
		b.put(received("", 1))
		b.settle(b.claim(), retryAt(time.Now().Add(legal.Retry+moment)))
		b.put(received("", 2))
		if c, err := b.Claim(b.Context(), legal.Lease+moment); c == nil || err != nil {
			b.Fatal(c, err)
		}
		ahead := received("", 3)
		ahead.ReceivedAt = time.Now().Add(moment)
		b.put(ahead)
		b.reclocks(0)
	},
	"WhatCanBeStaysAsItIs": func(b inbox) {
		b.put(received("", 1))
		b.settle(b.claim(), retryAt(time.Now().Add(time.Hour)))
		b.put(received("order/1", 2))
		b.put(received("order/1", 3))
		b.settle(b.claim(), waitingFor(time.Now().Add(24*time.Hour), "order/9"))
		b.claimOf("evt-3")
		before, _, err := b.List(b.Context(), event.Filter{})
		b.reclocks(0)
		after, _, err2 := b.List(b.Context(), event.Filter{})
		if diff := cmp.Diff(before, after); diff != "" || err != nil || err2 != nil {
			b.Errorf("%v, %v (-before +after):\n%s", err, err2, diff)
		}
	},
}

func (b inbox) reclocks(want int) {
	b.Helper()
	n, err := b.Reclock(b.Context(), legal)
	if n != want || err != nil {
		b.Fatalf("reclocked %d, %v, want %d", n, err, want)
	}
	if again, err := b.Reclock(b.Context(), legal); again != 0 || err != nil {
		b.Errorf("a second time it reclocked %d, %v", again, err)
	}
}
