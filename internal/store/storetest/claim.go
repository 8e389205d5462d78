package storetest

import (
	"fmt"
	"testing/synctest"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

var claims = map[string]func(inbox){
	"AnEmptyInboxHasNothingDue": func(b inbox) {
		b.nothingToClaim()
		if at, ok, err := b.NextDue(b.Context()); ok || err != nil {
			b.Errorf("next due: got %v, %v, %v, want nothing", at, ok, err)
		}
	},
	"HandsOutTheOldestFirstWithItsBody": func(b inbox) {
		b.put(received("order/1", 1))
		time.Sleep(time.Second)
		b.put(received("order/2", 2))
		start := time.Now()
		c := b.claimOf("evt-1")
		if string(c.Event.Body) != `{"id":1}` || c.Event.Header["X-Shopify-Topic"] != "orders/create" {
			b.Errorf("got body %q and header %v, want what was put", c.Event.Body, c.Event.Header)
		}
		if c.Attempt != 1 || c.Event.Attempts != 1 || !c.Until.Equal(start.Add(lease)) {
			b.Errorf("got attempt %d (of %d) until %v, want 1 (of 1) until %v", c.Attempt, c.Event.Attempts, c.Until, start.Add(lease))
		}
		b.claimOf("evt-2")
		b.nothingToClaim()
	},
	"ASubjectIsHandledOneEventAtATime": func(b inbox) {
		b.put(received("order/1", 1))
		b.put(received("order/1", 2))
		b.put(received("order/2", 3))
		first := b.claimOf("evt-1")
		b.settle(b.claimOf("evt-3"), done())
		b.nothingToClaim()
		b.settle(first, done())
		b.settle(b.claimOf("evt-2"), done())
		b.nothingToClaim()
	},
	"TheSameSubjectOfTwoSourcesIsTwoSubjects": func(b inbox) {
		b.put(received("order/1", 1))
		other := received("order/1", 2)
		other.Source = "other shop"
		b.put(other)
		b.claimOf("evt-1")
		b.claimOf("evt-2")
	},
	"EventsAboutNothingElseDoNotWaitForEachOther": func(b inbox) {
		b.put(received("", 1))
		b.put(received("", 2))
		b.claimOf("evt-1")
		b.claimOf("evt-2")
	},
	"ARetryHoldsBackTheYoungerOfItsSubjectOnly": func(b inbox) {
		b.put(received("order/1", 1))
		b.put(received("order/1", 2))
		b.put(received("order/2", 3))
		at := time.Now().Add(time.Hour)
		b.settle(b.claimOf("evt-1"), retryAt(at))
		b.settle(b.claimOf("evt-3"), done())
		b.nothingToClaim()
		if due, ok, err := b.NextDue(b.Context()); err != nil || !ok || !due.Equal(at) {
			b.Errorf("next due: got %v, %v, %v, want %v", due, ok, err, at)
		}
		time.Sleep(time.Until(at) - time.Microsecond)
		b.nothingToClaim()
		time.Sleep(time.Microsecond)
		if c := b.claimOf("evt-1"); c.Attempt != 2 {
			b.Errorf("got attempt %d, want 2", c.Attempt)
		}
	},
	"AnEventThatArrivesWhileAnOlderOneRetriesIsHeldBackToo": func(b inbox) {
		b.put(received("order/1", 1))
		b.settle(b.claimOf("evt-1"), retryAt(time.Now().Add(time.Hour)))
		b.put(received("order/1", 2))
		b.nothingToClaim()
	},
	"ADeadEventDoesNotHoldBackTheYounger": func(b inbox) {
		b.put(received("order/1", 1))
		b.put(received("order/1", 2))
		b.settle(b.claimOf("evt-1"), dead())
		b.claimOf("evt-2")
	},
	"AWaitingEventDoesNotHoldBackTheYounger": func(b inbox) {
		b.put(received("order/1", 1))
		b.put(received("order/1", 2))
		b.settle(b.claimOf("evt-1"), waitingFor(time.Now().Add(time.Hour), "shop/order/9"))
		b.put(received("order/1", 3))
		b.settle(b.claimOf("evt-2"), done())
		b.settle(b.claimOf("evt-3"), done())
		b.nothingToClaim()
	},
	"AWaitingEventIsTriedAgainAtItsDeadline": func(b inbox) {
		b.put(received("order/1", 1))
		b.settle(b.claimOf("evt-1"), waitingFor(time.Now().Add(time.Hour), "shop/order/9"))
		time.Sleep(time.Hour)
		b.claimOf("evt-1")
		b.put(received("order/1", 2))
		b.nothingToClaim() // while it is tried it does hold back
	},
	"AWaitingEventIsNotHandedOutBesideAnotherOfItsSubject": func(b inbox) {
		b.put(received("order/1", 1))
		b.put(received("order/1", 2))
		b.settle(b.claimOf("evt-1"), waitingFor(time.Now().Add(time.Minute), "shop/order/9"))
		c := b.claimOf("evt-2")
		time.Sleep(2 * time.Minute) // the deadline of the first, within the lease of the second
		b.nothingToClaim()
		if at, ok, err := b.NextDue(b.Context()); err != nil || !ok || !at.Equal(c.Until) {
			b.Errorf("next due: got %v, %v, %v, want the lease's end %v", at, ok, err, c.Until)
		}
		b.settle(c, done())
		b.claimOf("evt-1")
	},
	"ALeaseThatRanOutIsTakenOverAndFencedOff": func(b inbox) {
		b.put(received("order/1", 1))
		slow := b.claimOf("evt-1")
		time.Sleep(lease - time.Microsecond)
		b.nothingToClaim()
		if at, ok, _ := b.NextDue(b.Context()); !ok || !at.Equal(slow.Until) {
			b.Errorf("next due: got %v, %v, want the lease's end %v", at, ok, slow.Until)
		}
		time.Sleep(time.Microsecond)
		next := b.claimOf("evt-1")
		if next.Token <= slow.Token || next.Attempt != 2 {
			b.Errorf("got token %d after %d, attempt %d, want a higher token, attempt 2", next.Token, slow.Token, next.Attempt)
		}
		b.lost(slow, done())
		if got := b.get(slow.Event.ID); got.State != event.Pending {
			b.Errorf("the fenced worker made it %s", got.State)
		}
		b.settle(next, done())
	},
	"ALeaseThatRanOutButWasNotTakenOverIsStillGood": func(b inbox) {
		b.put(received("order/1", 1))
		c := b.claimOf("evt-1")
		time.Sleep(2 * lease)
		b.settle(c, done())
		b.nothingToClaim()
	},
	"AnExpiredLeaseHoldsBackTheYoungerOfItsSubject": func(b inbox) {
		b.put(received("order/1", 1))
		b.put(received("order/1", 2))
		b.claimOf("evt-1")
		time.Sleep(lease)
		b.claimOf("evt-1")
		b.nothingToClaim()
	},
	"AClaimIsSettledOnce": func(b inbox) {
		b.put(received("order/1", 1))
		c := b.claimOf("evt-1")
		b.settle(c, done())
		b.lost(c, dead())
		if got := b.get(c.Event.ID); got.State != event.Done {
			b.Errorf("got %s, want done", got.State)
		}
	},
	"AStrangersTokenIsRefused": func(b inbox) {
		b.put(received("order/1", 1))
		c := b.claimOf("evt-1")
		forged := *c
		forged.Token++
		b.lost(&forged, done())
		b.settle(c, done())
	},
	"WakesAfterAPutAndAfterAClaim": func(b inbox) {
		b.quiet()
		b.put(received("order/1", 1))
		b.put(received("order/2", 2))
		b.woken("a put")
		b.quiet()
		b.claim()
		b.woken("a claim, since there may be more")
	},
	"WakesWhenASettledEventFreesItsSubject": func(b inbox) {
		b.put(received("order/1", 1))
		b.put(received("order/1", 2))
		c := b.claim()
		b.drain()
		b.settle(c, done())
		b.woken("a settled event")
	},
	"AHotSubjectStaysInOrder": func(b inbox) {
		for n := range 50 {
			b.put(received("order/1", n))
		}
		for n := range 50 {
			c := b.claimOf(fmt.Sprintf("evt-%d", n))
			b.nothingToClaim()
			b.settle(c, done())
		}
	},
}

// lost wants the settlement refused because the lease is lost.
func (b inbox) lost(c *event.Claim, o event.Outcome) {
	b.Helper()
	b.conflicts(fmt.Sprintf("settle with token %d", c.Token), b.Settle(b.Context(), c, o))
}

func (b inbox) drain() {
	select {
	case <-b.Wake():
	default:
	}
}

func (b inbox) quiet() {
	b.Helper()
	synctest.Wait()
	select {
	case <-b.Wake():
		b.Error("woken without a reason")
	default:
	}
}

func (b inbox) woken(why string) {
	b.Helper()
	synctest.Wait()
	select {
	case <-b.Wake():
	default:
		b.Errorf("not woken after %s", why)
	}
}

// conflicts wants err to be a conflict.
func (b inbox) conflicts(what string, err error) {
	b.Helper()
	if fault.KindOf(err) != fault.Conflict {
		b.Errorf("%s: got %v, want a conflict", what, err)
	}
}
