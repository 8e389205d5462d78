package storetest

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

var allDead = event.Run{Action: event.ActionReplay, Filter: event.Filter{State: event.Dead}, Rate: 50}

var runs = map[string]func(inbox){
	"APlanCountsByCauseAndDoesNothing": func(b inbox) {
		start := time.Now().UTC()
		ids := b.dies(noGroup, noGroup, noAccount)
		b.put(received("", 9))
		want := event.Run{
			Action: event.ActionReplay, State: event.RunPlanned, Filter: event.Filter{State: event.Dead, Source: "shop"}, Rate: 7, By: ada, Total: 3, PlannedAt: start,
			Plan: []event.PlannedCause{{Cause: noGroup, State: event.Dead, Count: 2}, {Cause: noAccount, State: event.Dead, Count: 1}},
		}
		got, err := b.PlanRun(b.by(ada), event.Run{Action: want.Action, Filter: want.Filter, Rate: 7, State: event.RunDone, Total: 99})
		if err != nil || got.ID == "" {
			b.Fatalf("planned %+v, %v", got, err)
		}
		kept, err := b.GetRun(b.Context(), got.ID)
		for _, r := range []event.Run{got, kept} {
			if diff := cmp.Diff(want, r, cmpopts.IgnoreFields(event.Run{}, "ID")); diff != "" || err != nil {
				b.Errorf("plan: %v (-want +got):\n%s", err, diff)
			}
		}
		if r := b.step(got.ID, "me", 10); r.State != event.RunPlanned || r.Done != 0 {
			b.Errorf("a step of a run that was not started left %+v", r)
		}
		for _, id := range ids {
			if ev := b.get(id); ev.State != event.Dead {
				b.Errorf("%s is %s after planning", ev.ProviderID, ev.State)
			}
		}
	},
	"AStartedRunReplaysWhatWasPlanned": func(b inbox) {
		ids := b.dies(noGroup, noGroup, noAccount)
		r := b.started(allDead)
		late := b.put(received("", 8))
		b.settle(b.claimOf("evt-8"), diesOf(noGroup)) // dies after the plan
		if r = b.step(r.ID, "me", 2); r.Done != 2 || r.State != event.RunRunning || b.get(ids[0]).State != event.Pending || b.get(ids[2]).State != event.Dead {
			b.Errorf("after two of three: %+v", r)
		}
		time.Sleep(time.Second)
		if r = b.step(r.ID, "me", 2); r.Done != 3 || r.State != event.RunDone || !r.EndedAt.Equal(time.Now().UTC()) {
			b.Errorf("at the end: %+v", r)
		}
		if b.get(late).State != event.Dead {
			b.Error("an event that died after the plan was replayed")
		}
		for n := range ids {
			if c := b.claimOf(fmt.Sprintf("evt-%d", n)); c.Attempt != 1 {
				b.Errorf("attempt %d, want the schedule begun anew", c.Attempt)
			}
		}
		want := map[string]int64{"manual": 0, "bulk": 3, "auto": 0}
		if got, err := b.Replays(b.Context()); err != nil || !cmp.Equal(got, want) {
			b.Errorf("replays %v, %v, want %v", got, err, want)
		}
	},
	"WhatMovedOnSinceThePlanIsSkipped": func(b inbox) {
		ids := b.dies(noGroup, noGroup, noGroup)
		r := b.started(allDead)
		if err := b.Dismiss(b.Context(), ids[0], "booked by hand"); err != nil {
			b.Fatal(err)
		}
		if err := b.Replay(b.Context(), ids[1]); err != nil {
			b.Fatal(err)
		}
		b.settle(b.claimOf("evt-1"), done())
		if r = b.step(r.ID, "me", 10); r.Done != 1 || r.Skipped != 2 || r.State != event.RunDone {
			b.Errorf("run %+v, want one done and two skipped", r)
		}
		if b.get(ids[0]).State != event.Ignored || b.get(ids[1]).State != event.Done {
			b.Error("what an operator or a worker did since was undone")
		}
	},
	"ARunLeavesAloneWhatAWorkerHolds": func(b inbox) {
		id := b.put(received("", 1))
		r := b.started(event.Run{Action: event.ActionDismiss, Reason: "no", Filter: event.Filter{State: event.Pending}})
		c := b.claimOf("evt-1")
		if r = b.step(r.ID, "me", 10); r.Skipped != 1 || r.Done != 0 {
			b.Errorf("run %+v, want the event skipped", r)
		}
		b.settle(c, done())
		if b.get(id).State != event.Done {
			b.Error("a delivery in hand was disturbed")
		}
	},
	"ARunDismissesWithItsReasonAndFreesTheSubjects": func(b inbox) {
		id := b.put(received("order/1", 1))
		b.settle(b.claim(), retryAt(time.Now().Add(time.Hour)))
		r := b.started(event.Run{Action: event.ActionDismiss, Reason: "test orders", Filter: event.Filter{State: event.Pending}})
		b.put(received("order/1", 2))
		b.nothingToClaim()
		if r = b.step(r.ID, "me", 10); r.Done != 1 || r.Reason != "test orders" {
			b.Errorf("run %+v", r)
		}
		if ev := b.get(id); ev.State != event.Ignored || ev.Reason != "test orders" {
			b.Errorf("the event is %s (%s)", ev.State, ev.Reason)
		}
		b.claimOf("evt-2")
		if got, _ := b.Replays(b.Context()); got["bulk"] != 0 {
			b.Errorf("a dismissal counted as %v", got)
		}
	},
	"OneProcessAtATimeCarriesARunUntilItIsGone": func(b inbox) {
		b.dies(noGroup, noGroup, noGroup)
		r := b.started(allDead)
		b.step(r.ID, "one", 1)
		if r = b.step(r.ID, "two", 1); r.Done != 1 {
			b.Errorf("two processes carried it: %+v", r)
		}
		time.Sleep(5 * time.Second)
		if r = b.step(r.ID, "one", 1); r.Done != 2 {
			b.Errorf("its own process was refused: %+v", r)
		}
		time.Sleep(time.Minute) // "one" is dead
		if r = b.step(r.ID, "two", 1); r.Done != 3 || r.State != event.RunDone {
			b.Errorf("nobody took the run over: %+v", r)
		}
	},
	"ACancelledRunStopsAndStaysStopped": func(b inbox) {
		ids := b.dies(noGroup, noGroup)
		r := b.started(allDead)
		b.step(r.ID, "me", 1)
		r, err := b.CancelRun(b.Context(), r.ID)
		if err != nil || r.State != event.RunCancelled || r.Done != 1 || r.EndedAt.IsZero() {
			b.Fatalf("cancelled %+v, %v", r, err)
		}
		if r = b.step(r.ID, "me", 1); r.Done != 1 || b.get(ids[1]).State != event.Dead {
			b.Errorf("it went on: %+v", r)
		}
		_, err = b.CancelRun(b.Context(), r.ID)
		b.conflicts("cancelling it again", err)
		_, err = b.StartRun(b.Context(), r.ID)
		b.conflicts("starting it again", err)
	},
	"AnEmptyRunEndsAtItsFirstStep": func(b inbox) {
		r := b.started(allDead)
		if r.Total != 0 {
			b.Errorf("planned %+v", r)
		}
		if r = b.step(r.ID, "me", 1); r.State != event.RunDone {
			b.Errorf("it did not end: %+v", r)
		}
	},
	"RunsAreListedAndFoundWhileTheyRun": func(b inbox) {
		b.dies(noGroup)
		var ids []string
		for range 3 {
			time.Sleep(time.Second)
			ids = append(ids, b.plan(allDead).ID)
		}
		all, err := b.Runs(b.Context(), 2)
		if err != nil || len(all) != 2 || all[0].ID != ids[2] || all[1].ID != ids[1] {
			b.Errorf("runs %+v, %v, want the two newest", all, err)
		}
		if running, err := b.RunningRuns(b.Context()); len(running) != 0 || err != nil {
			b.Errorf("running %+v, %v, want none", running, err)
		}
		if _, err := b.StartRun(b.Context(), ids[1]); err != nil {
			b.Fatal(err)
		}
		running, err := b.RunningRuns(b.Context())
		if err != nil || len(running) != 1 || running[0].ID != ids[1] || !running[0].StartedAt.Equal(time.Now().UTC()) {
			b.Errorf("running %+v, %v, want the one that was started", running, err)
		}
		for _, call := range []func(string) error{
			func(id string) error { _, err := b.GetRun(b.Context(), id); return err },
			func(id string) error { _, err := b.StartRun(b.Context(), id); return err },
			func(id string) error { _, err := b.StepRun(b.Context(), id, "me", 1); return err },
			func(id string) error { _, err := b.CancelRun(b.Context(), id); return err },
		} {
			if err := call("run_unknown"); fault.KindOf(err) != fault.NotFound {
				b.Errorf("an unknown run: got %v, want not found", err)
			}
		}
		if _, err := b.PlanRun(b.Context(), event.Run{Action: "delete"}); fault.KindOf(err) != fault.Malformed {
			b.Errorf("an unknown action: got %v, want malformed", err)
		}
	},
	"APlanThatNobodyStartsIsDropped": func(b inbox) {
		b.dies(noGroup)
		old, started := b.plan(allDead), b.started(allDead)
		time.Sleep(25 * time.Hour)
		fresh := b.plan(allDead)
		if _, err := b.GetRun(b.Context(), old.ID); fault.KindOf(err) != fault.NotFound {
			b.Errorf("the old plan: %v, want not found", err)
		}
		for _, id := range []string{started.ID, fresh.ID} {
			if _, err := b.GetRun(b.Context(), id); err != nil {
				b.Errorf("%s: %v", id, err)
			}
		}
	},
	"ARunOfManyPagesMissesNothing": func(b inbox) {
		const many = 1203 // more than two pages of any choosing
		for n := range many {
			ev := received("", n)
			if n > 1100 {
				ev.Source = "other shop"
			}
			b.put(ev)
		}
		r := b.started(event.Run{Action: event.ActionDismiss, Filter: event.Filter{State: event.Pending}})
		if r.Total != many {
			b.Errorf("planned %d, want %d", r.Total, many)
		}
		for range many {
			if r = b.step(r.ID, "me", 1000); r.Over() {
				break
			}
		}
		if r.Done != many || r.State != event.RunDone {
			b.Errorf("run %+v", r)
		}
		b.wantStats(event.Stats{ByState: map[event.State]int64{event.Ignored: many}})
	},
}

// dies puts events that die one by one, evt-0 of the first cause and so on.
func (b inbox) dies(of ...event.Cause) []string {
	b.Helper()
	var ids []string
	for n, cause := range of {
		ids = append(ids, b.put(received("", n)))
		b.settle(b.claimOf(fmt.Sprintf("evt-%d", n)), diesOf(cause))
	}
	return ids
}

func (b inbox) plan(r event.Run) event.Run {
	b.Helper()
	r, err := b.PlanRun(b.Context(), r)
	if err != nil {
		b.Fatalf("plan: %v", err)
	}
	return r
}

func (b inbox) started(r event.Run) event.Run {
	b.Helper()
	r, err := b.StartRun(b.Context(), b.plan(r).ID)
	if err != nil || r.State != event.RunRunning {
		b.Fatalf("start: %+v, %v", r, err)
	}
	return r
}

func (b inbox) step(id, carrier string, limit int) event.Run {
	b.Helper()
	r, err := b.StepRun(b.Context(), id, carrier, limit)
	if err != nil {
		b.Fatalf("step: %v", err)
	}
	return r
}
