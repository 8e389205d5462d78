package storetest

import (
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

var puts = map[string]func(inbox){
	"KeepsEveryFieldAndTheExactBytes": func(b inbox) {
		ev := event.Event{
			Source: "shop", Provider: "shopify", ProviderID: "evt-1", DeliveryID: "del-1", Topic: "orders/create",
			Subject: "order/1", SecretSlot: "1", OccurredAt: time.Now().UTC().Add(-time.Minute), ReceivedAt: time.Now().UTC(),
			Header: map[string]string{"X-A": "b", "Content-Type": "application/json"},
			Body:   []byte("{\"a\":\"<&>\u2028 €\",\"n\":1.10}\x00\xff"),
		}
		id := b.put(ev)
		if want := event.NewID("shop", "evt-1"); id != want {
			b.Errorf("receipt names %s, want %s", id, want)
		}
		want := ev
		want.ID, want.State, want.DueAt = id, event.Pending, ev.ReceivedAt
		if diff := cmp.Diff(want, b.get(id)); diff != "" {
			b.Errorf("stored event (-want +got):\n%s", diff)
		}
	},
	"AnswersARepeatWithTheFirstOnesID": func(b inbox) {
		first, err := b.Put(b.Context(), received("order/1", 1))
		if err != nil || first.Duplicate {
			b.Fatalf("first: %+v, %v", first, err)
		}
		again, err := b.Put(b.Context(), received("order/1", 1))
		if err != nil || !again.Duplicate || again.ID != first.ID {
			b.Errorf("repeat: got %+v, %v, want a duplicate of %s", again, err, first.ID)
		}
		b.settle(b.claim(), done())
		again, err = b.Put(b.Context(), received("order/1", 1))
		if err != nil || !again.Duplicate {
			b.Errorf("repeat after it is done: got %+v, %v, want a duplicate", again, err)
		}
		b.nothingToClaim()
	},
	"TheSameProviderIDOfTwoSourcesIsTwoEvents": func(b inbox) {
		a, c := received("order/1", 1), received("order/1", 1)
		c.Source = "other shop"
		if b.put(a) == b.put(c) {
			b.Error("two sources share an event")
		}
	},
	"AnotherBodyUnderAKnownIDIsADuplicateWhenTheSignatureBindsIt": func(b inbox) {
		id := b.put(received("order/1", 1))
		other := received("order/1", 1)
		other.Body = []byte(`{"id":1,"again":true}`)
		r, err := b.Put(b.Context(), other)
		if err != nil || !r.Duplicate || r.ID != id {
			b.Errorf("got %+v, %v, want a duplicate", r, err)
		}
		if got := string(b.get(id).Body); got != `{"id":1}` {
			b.Errorf("the first body became %s", got)
		}
	},
	"StrictBodyRefusesAnotherBodyUnderAKnownProviderID": func(b inbox) {
		ev := received("payment/1", 1)
		ev.StrictBody = true
		b.put(ev)
		if r, err := b.Put(b.Context(), ev); err != nil || !r.Duplicate {
			b.Errorf("the same body again: got %+v, %v, want a duplicate", r, err)
		}
		ev.Body = []byte(`{"id":1,"amount":"0.01"}`)
		if _, err := b.Put(b.Context(), ev); fault.KindOf(err) != fault.Conflict {
			b.Errorf("another body: got %v, want a conflict", err)
		}
	},
	"StrictBodyRefusesAnotherBodyUnderAKnownDeliveryID": func(b inbox) {
		ev := received("payment/1", 1)
		ev.StrictBody, ev.DeliveryID = true, "transmission-1"
		b.put(ev)
		again := ev
		again.DeliveryID = "transmission-2" // PayPal sends the same event again
		if r, err := b.Put(b.Context(), again); err != nil || !r.Duplicate {
			b.Errorf("sent again: got %+v, %v, want a duplicate", r, err)
		}
		for _, transmission := range []string{"transmission-1", "transmission-2"} {
			forged := received("payment/2", 2)
			forged.StrictBody, forged.DeliveryID = true, transmission
			if _, err := b.Put(b.Context(), forged); fault.KindOf(err) != fault.Conflict {
				b.Errorf("another event under %s: got %v, want a conflict", transmission, err)
			}
		}
		other := received("payment/3", 3)
		other.Source, other.StrictBody, other.DeliveryID = "other account", true, "transmission-1"
		b.put(other)
	},
	"AnEventWithoutANameIsRefused": func(b inbox) {
		ev := received("order/1", 1)
		ev.ProviderID = ""
		if _, err := b.Put(b.Context(), ev); fault.KindOf(err) != fault.Malformed {
			b.Errorf("got %v, want malformed", err)
		}
	},
	"AnEmptyBodyIsABody": func(b inbox) {
		ev := received("order/1", 1)
		ev.Body, ev.Header = nil, nil
		got := b.get(b.put(ev))
		if got.Body == nil || len(got.Body) != 0 {
			b.Errorf("got body %#v, want an empty one that is still kept", got.Body)
		}
	},
}
