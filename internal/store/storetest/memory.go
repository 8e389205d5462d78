package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

var memory = map[string]func(inbox){
	"RemembersAndForgetsADocument": func(b inbox) {
		b.forgets(order9)
		if err := b.Remember(b.Context(), "", order9); err != nil {
			b.Fatal(err)
		}
		b.remembers(order9)
		renamed := order9
		renamed.Name, renamed.Data = "SAL-ORD-2026-00010", nil
		if err := b.Remember(b.Context(), "", renamed); err != nil {
			b.Fatal(err)
		}
		b.remembers(renamed)
		if err := b.Forget(b.Context(), order9.DocType, order9.Key); err != nil {
			b.Fatal(err)
		}
		b.forgets(order9)
	},
	"AKeyIsOneOfItsDocType": func(b inbox) {
		invoice := event.Document{DocType: "Sales Invoice", Name: "INV-1", Key: order9.Key}
		if err := b.Remember(b.Context(), "", order9, invoice); err != nil {
			b.Fatal(err)
		}
		b.remembers(order9)
		b.remembers(invoice)
	},
	"ARememberedDocumentBelongsToItsEvent": func(b inbox) {
		id := b.put(received("order/9", 1))
		if err := b.Remember(b.Context(), id, order9); err != nil {
			b.Fatal(err)
		}
		_, _, docs, err := b.Get(b.Context(), id)
		if diff := cmp.Diff([]event.Document{order9}, docs); diff != "" || err != nil {
			b.Errorf("documents (-want +got): %v\n%s", err, diff)
		}
		if err := b.Remember(b.Context(), "ev_unknown", order9); fault.KindOf(err) != fault.NotFound {
			b.Errorf("of an unknown event: got %v, want not found", err)
		}
	},
	"TellsTheDocumentsOfManyEventsAtOnce": func(b inbox) {
		payment := event.Document{DocType: "Payment Entry", Name: "ACC-PAY-1", Key: "stripe/payment/1", Data: map[string]string{}}
		both, one, none := b.put(received("order/1", 1)), b.put(received("order/2", 2)), b.put(received("order/3", 3))
		for _, of := range []struct {
			id   string
			docs []event.Document
		}{{both, []event.Document{order9}}, {both, []event.Document{payment}}, {one, []event.Document{order9}}} {
			if err := b.Remember(b.Context(), of.id, of.docs...); err != nil {
				b.Fatal(err)
			}
		}
		got, err := b.DocumentsOf(b.Context(), one, both, none, "ev_unknown")
		for id, docs := range got { // the order of two of the same moment is nobody's promise
			slices.SortFunc(docs, func(x, y event.Document) int { return strings.Compare(x.DocType, y.DocType) })
			got[id] = docs
		}
		want := map[string][]event.Document{both: {payment, order9}, one: {order9}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			b.Errorf("documents (-want +got): %v\n%s", err, diff)
		}
		if got, err := b.DocumentsOf(b.Context()); len(got) != 0 || err != nil {
			b.Errorf("of no events: %v, %v", got, err)
		}
	},
	"NotesKeepTheLastValue": func(b inbox) {
		if got, ok, err := b.Note(b.Context(), "watermark"); ok || err != nil {
			b.Errorf("got %q, %v, want none", got, err)
		}
		for _, value := range []string{"2026-01-01", "2026-01-02", ""} {
			if err := b.SetNote(b.Context(), "watermark", value); err != nil {
				b.Fatal(err)
			}
			if got, ok, err := b.Note(b.Context(), "watermark"); got != value || !ok || err != nil {
				b.Errorf("got %q, %v, %v, want %q", got, ok, err, value)
			}
		}
	},
}

var retention = map[string]func(inbox){
	"EmptiesWhatWasSettledLongAgoAndNothingElse": func(b inbox) {
		ids := make(map[string]string)
		settled := func(name string, n int, o event.Outcome) {
			ids[name] = b.put(received("", n))
			b.settle(b.claim(), o)
		}
		settled("done", 1, done())
		settled("ignored", 2, event.Outcome{State: event.Ignored, Result: "ignored"})
		settled("dead", 3, dead())
		settled("dismissed", 4, dead())
		settled("retry", 5, retryAt(time.Now().Add(10000*time.Hour)))
		if err := b.Dismiss(b.Context(), ids["dismissed"], "by hand"); err != nil {
			b.Fatal(err)
		}
		time.Sleep(time.Hour)
		before := time.Now()
		settled("done later", 6, done())
		if n, err := b.Sweep(b.Context(), before, 100); n != 3 || err != nil {
			b.Errorf("swept %d, %v, want 3", n, err)
		}
		for name, id := range ids {
			ev := b.get(id)
			gone := name == "done" || name == "ignored" || name == "dismissed"
			if (ev.Body == nil) != gone || (ev.Header == nil) != gone {
				b.Errorf("%s: got body %q and header %v, want gone %v", name, ev.Body, ev.Header, gone)
			}
		}
		if n, err := b.Sweep(b.Context(), before, 100); n != 0 || err != nil {
			b.Errorf("swept %d again, %v", n, err)
		}
	},
	"TakesNoMoreThanItsLimit": func(b inbox) {
		for n := range 5 {
			b.put(received("", n))
			b.settle(b.claim(), done())
		}
		time.Sleep(time.Hour)
		for _, want := range []int{2, 2, 1, 0} {
			if n, err := b.Sweep(b.Context(), time.Now(), 2); n != want || err != nil {
				b.Errorf("swept %d, %v, want %d", n, err, want)
			}
		}
	},
	"ASweptEventIsStillKnownAndCannotBeReplayed": func(b inbox) {
		ev := received("payment/1", 1)
		ev.StrictBody = true
		id := b.put(ev)
		b.settle(b.claim(), done())
		time.Sleep(time.Hour)
		if _, err := b.Sweep(b.Context(), time.Now(), 10); err != nil {
			b.Fatal(err)
		}
		if r, err := b.Put(b.Context(), ev); err != nil || !r.Duplicate || r.ID != id {
			b.Errorf("a late repeat: got %+v, %v, want a duplicate", r, err)
		}
		ev.Body = []byte("another")
		_, err := b.Put(b.Context(), ev)
		b.conflicts("a late repeat with another body", err)
		b.conflicts("a replay without a body", b.Replay(b.Context(), id))
	},
}
