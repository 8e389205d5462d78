package storetest

import (
	"context"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Personal is what an inbox does about personal data.
type Personal interface {
	Traced(ctx context.Context, traces []string) ([]event.Event, error)
	Untraced(ctx context.Context, cursor string, limit int) (events []event.Event, next string, err error)
	Unerased(ctx context.Context, source, cursor string, limit int) (events []event.Event, next string, err error)
	Erase(ctx context.Context, ids, keep []string) (event.Erased, error)
}

var personal = map[string]func(inbox){
	"TracedFindsWhatAnOutcomeTold": func(b inbox) {
		for n, traces := range [][]string{{"email/ada", "order/1"}, {"email/grace"}, {"email/ada"}, nil} {
			b.put(received("", n))
			o := done()
			o.Traces = traces
			b.settle(b.claim(), o)
		}
		for _, c := range []struct {
			traces []string
			want   []string
		}{
			{[]string{"email/ada"}, []string{"evt-0", "evt-2"}},
			{[]string{"email/grace", "order/1"}, []string{"evt-0", "evt-1"}},
			{[]string{"email/nobody"}, nil},
			{nil, nil},
		} {
			events, err := b.Traced(b.Context(), c.traces)
			if diff := cmp.Diff(c.want, providerIDs(events)); diff != "" || err != nil {
				b.Errorf("%v: %v (-want +got):\n%s", c.traces, err, diff)
			}
		}
	},
	"UntracedPagesThroughWhatNobodyTracedWithBodies": func(b inbox) {
		for n := range 5 {
			b.put(received("", n))
			o := done()
			if n == 1 {
				o.Traces = []string{"email/ada"}
			}
			if n < 3 {
				b.settle(b.claim(), o)
			}
		}
		var got []string
		for cursor, pages := "", 0; ; pages++ {
			events, next, err := b.Untraced(b.Context(), cursor, 3)
			if err != nil || pages > 2 {
				b.Fatal(pages, err)
			}
			for _, ev := range events {
				got = append(got, ev.ProviderID+" "+string(ev.Body))
			}
			if cursor = next; next == "" {
				break
			}
		}
		want := []string{`evt-0 {"id":0}`, `evt-2 {"id":2}`, `evt-3 {"id":3}`, `evt-4 {"id":4}`}
		if diff := cmp.Diff(want, got); diff != "" {
			b.Errorf("(-want +got):\n%s", diff)
		}
		if _, _, err := b.Untraced(b.Context(), "no cursor!", 3); fault.KindOf(err) != fault.Malformed {
			b.Errorf("a made-up cursor: got %v, want malformed", err)
		}
	},
	"EraseLeavesTheBareFacts": func(b inbox) {
		first := received("order/1", 1)
		first.StrictBody = true
		id := b.put(first)
		b.settle(b.claim(), retryAt(time.Now()))
		o := done(event.Document{DocType: "Sales Order", Name: "SO-1", Key: "k", Data: map[string]string{"customer": "Ada", "currency": "EUR"}})
		o.Traces = []string{"email/ada"}
		b.settle(b.claim(), o)
		for range 2 { // it can be repeated
			if n, err := b.Erase(b.Context(), []string{id, "ev_unknown"}, []string{"currency"}); n != (event.Erased{Events: 1}) || err != nil {
				b.Fatalf("erased %+v, %v", n, err)
			}
		}
		ev, attempts, docs, err := b.Get(b.Context(), id)
		if err != nil || ev.State != event.Done || ev.Topic != "orders/create" || ev.Body != nil || ev.Header != nil {
			b.Errorf("got %+v, %v", ev, err)
		}
		if len(attempts) != 2 || attempts[0].Class != "timeout" || attempts[0].Detail != "" {
			b.Errorf("got attempts %+v", attempts)
		}
		if len(docs) != 1 || docs[0].Name != "SO-1" || !cmp.Equal(docs[0].Data, map[string]string{"currency": "EUR"}) {
			b.Errorf("got documents %+v", docs)
		}
		if events, err := b.Traced(b.Context(), []string{"email/ada"}); len(events) != 0 || err != nil {
			b.Errorf("still traced: %v, %v", events, err)
		}
		if r, err := b.Put(b.Context(), first); err != nil || !r.Duplicate {
			b.Errorf("a late repeat: got %+v, %v, want a duplicate", r, err)
		}
		first.Body = []byte("another")
		_, err = b.Put(b.Context(), first)
		b.conflicts("a late repeat with another body", err)
		b.conflicts("a replay without a body", b.Replay(b.Context(), id))
	},
	"EraseGivesUpWhatIsNotSettledAndFreesItsSubject": func(b inbox) {
		pending, gone := b.put(received("order/1", 1)), b.put(received("order/2", 2))
		b.settle(b.claimOf("evt-1"), retryAt(time.Now().Add(time.Hour)))
		b.settle(b.claimOf("evt-2"), dead())
		b.put(received("order/1", 3))
		if n, err := b.Erase(b.Context(), []string{pending, gone}, nil); n != (event.Erased{Events: 2, GaveUp: 2}) || err != nil {
			b.Fatalf("erased %+v, %v", n, err)
		}
		for _, id := range []string{pending, gone} {
			if ev := b.get(id); ev.State != event.Ignored || ev.Reason != event.ErasedOnRequest || ev.Body != nil {
				b.Errorf("got %+v", ev)
			}
		}
		b.claimOf("evt-3")
	},
	"EraseLeavesWhatAWorkerHasInHand": func(b inbox) {
		id := b.put(received("order/1", 1))
		c := b.claim()
		if n, err := b.Erase(b.Context(), []string{id}, nil); n != (event.Erased{InHand: 1}) || err != nil {
			b.Fatalf("erased %+v, %v", n, err)
		}
		b.settle(c, done())
		if ev := b.get(id); ev.State != event.Done || ev.Body == nil {
			b.Errorf("got %+v", ev)
		}
	},
	"AnOutcomeMayEraseItsOwnEvent": func(b inbox) {
		id := b.put(received("", 1))
		o := done()
		o.Erase, o.Detail, o.Traces = true, "ada@example.com", []string{"email/ada"}
		b.settle(b.claim(), o)
		ev, attempts, _, err := b.Get(b.Context(), id)
		if err != nil || ev.State != event.Done || ev.Body != nil || attempts[0].Detail != "" {
			b.Errorf("got %+v, %+v, %v", ev, attempts, err)
		}
		if events, _ := b.Traced(b.Context(), []string{"email/ada"}); len(events) != 0 {
			b.Errorf("still traced: %v", events)
		}
	},
	"UnerasedPagesThroughASource": func(b inbox) {
		var ids []string
		for n := range 4 {
			ids = append(ids, b.put(received("", n)))
		}
		other := received("", 9)
		other.Source = "other shop"
		b.put(other)
		if _, err := b.Erase(b.Context(), ids[1:2], nil); err != nil {
			b.Fatal(err)
		}
		events, next, err := b.Unerased(b.Context(), "shop", "", 2)
		rest, end, err2 := b.Unerased(b.Context(), "shop", next, 2)
		if diff := cmp.Diff([]string{"evt-0", "evt-2", "evt-3"}, providerIDs(append(events, rest...))); diff != "" || err != nil || err2 != nil || end != "" {
			b.Errorf("%v, %v, %q (-want +got):\n%s", err, err2, end, diff)
		}
	},
	"RetentionTakesWhatTheFarSideSaidToo": func(b inbox) {
		id := b.put(received("", 1))
		b.settle(b.claim(), retryAt(time.Now()))
		b.settle(b.claim(), done())
		time.Sleep(time.Hour)
		if _, err := b.Sweep(b.Context(), time.Now(), 10); err != nil {
			b.Fatal(err)
		}
		if _, attempts, _, err := b.Get(b.Context(), id); err != nil || attempts[0].Detail != "" {
			b.Errorf("got %+v, %v", attempts, err)
		}
	},
}

func providerIDs(events []event.Event) []string {
	var ids []string
	for _, ev := range events {
		ids = append(ids, ev.ProviderID)
	}
	return ids
}
