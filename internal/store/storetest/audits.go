package storetest

import (
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

var service = event.Actor{Name: "service", Via: "service"}

var audits = map[string]func(inbox){
	"EveryDeedIsWrittenDownWithItsActor": func(b inbox) {
		start := time.Now().UTC()
		ids := b.dies(noGroup, noGroup, noGroup)
		ctx := b.by(ada)
		deeds := []error{b.Replay(ctx, ids[0][:12]), b.Dismiss(ctx, ids[1], "by hand")}
		r, err := b.PlanRun(ctx, allDead)
		deeds = append(deeds, err)
		_, err = b.StartRun(ctx, r.ID)
		deeds = append(deeds, err, b.Pause(ctx, "shop", "new accounts"), b.Resume(b.Context(), "shop"))
		b.step(r.ID, "me", 10)
		for n, err := range deeds {
			if err != nil {
				b.Fatalf("deed %d: %v", n, err)
			}
		}
		want := []event.Deed{
			{By: service, Action: "finish", Target: r.ID},
			{By: service, Action: "resume", Target: "shop"},
			{By: ada, Action: "pause", Target: "shop", Note: "new accounts"},
			{By: ada, Action: "start", Target: r.ID},
			{By: ada, Action: "plan", Target: r.ID, Note: "replay"},
			{By: ada, Action: "dismiss", Target: ids[1], Note: "by hand"},
			{By: ada, Action: "replay", Target: ids[0]},
		}
		for i := range want {
			want[i].At = start
		}
		got, err := b.Audit(b.Context(), event.DeedFilter{})
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(event.Deed{}, "Number")); diff != "" || err != nil {
			b.Errorf("audit: %v (-want +got):\n%s", err, diff)
		}
		got, err = b.Audit(b.Context(), event.DeedFilter{Target: "shop", Limit: 1})
		if err != nil || len(got) != 1 || got[0].Action != "resume" {
			b.Errorf("the source's newest deed: %+v, %v", got, err)
		}
		got, err = b.Audit(b.Context(), event.DeedFilter{Target: "shop", Before: got[0].Number})
		if err != nil || len(got) != 1 || got[0].Action != "pause" {
			b.Errorf("the page after it: %+v, %v", got, err)
		}
	},
	"WhatWasRefusedOrChangedNothingIsNoDeed": func(b inbox) {
		id := b.put(received("", 1))
		c := b.claim()
		b.conflicts("replay", b.Replay(b.Context(), id))
		b.conflicts("dismiss", b.Dismiss(b.Context(), id, "no"))
		b.settle(c, done())
		b.conflicts("dismiss", b.Dismiss(b.Context(), id, "no"))
		if err := b.Resume(b.Context(), "shop"); err != nil {
			b.Fatal(err)
		}
		if got, err := b.Audit(b.Context(), event.DeedFilter{}); len(got) != 0 || err != nil {
			b.Errorf("audit %+v, %v, want nothing", got, err)
		}
		if got, _ := b.Replays(b.Context()); got["manual"] != 0 {
			b.Errorf("replays %v, want none", got)
		}
	},
	"OldDeedsAndRunsGoInSteps": func(b inbox) {
		ids := b.dies(noGroup, noGroup, noGroup)
		for _, id := range ids[:2] {
			if err := b.Dismiss(b.Context(), id, "by hand"); err != nil {
				b.Fatal(err)
			}
		}
		over, err := b.PlanRun(b.Context(), allDead)
		if err == nil {
			_, err = b.CancelRun(b.Context(), over.ID)
		}
		if err != nil {
			b.Fatal(err)
		}
		time.Sleep(time.Hour)
		kept, err := b.PlanRun(b.Context(), allDead)
		if err != nil {
			b.Fatal(err)
		}
		before := time.Now().Add(-time.Minute)
		for _, want := range []int{3 + 1, 1, 0} { // two dismissals, plan and cancel; the run goes in the first step
			if n, err := b.SweepDeeds(b.Context(), before, 3); n != want || err != nil {
				b.Errorf("swept %d, %v, want %d", n, err, want)
			}
		}
		runs, err := b.Runs(b.Context(), 10)
		if err != nil || len(runs) != 1 || runs[0].ID != kept.ID {
			b.Errorf("left runs %+v, %v", runs, err)
		}
		if left, err := b.Audit(b.Context(), event.DeedFilter{}); err != nil || len(left) != 1 || left[0].Target != kept.ID {
			b.Errorf("left deeds %+v, %v", left, err)
		}
	},
	"ReplaysByHandAreCounted": func(b inbox) {
		ids := b.dies(noGroup, noGroup)
		for _, id := range ids {
			if err := b.Replay(b.Context(), id); err != nil {
				b.Fatal(err)
			}
		}
		if got, err := b.Replays(b.Context()); err != nil || got["manual"] != 2 || got["bulk"] != 0 {
			b.Errorf("replays %v, %v, want two by hand", got, err)
		}
	},
}
