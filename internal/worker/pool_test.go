package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

func TestPoolDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a", "b")
		docs := []event.Document{{DocType: "Sales Order", Name: "SO-1", Key: "k"}}
		var reports []Report
		r := run(t, Options{Queue: q,
			Deliverer: &deliverer{DeliverFunc: func(_ context.Context, c *event.Claim) (Delivery, error) {
				if c.Event.ID == "b" {
					return Delivery{Ignored: "a test order"}, nil
				}
				time.Sleep(3 * time.Second)
				return Delivery{Documents: docs, Note: "posted"}, nil
			}},
			Observer: &observer{AttemptedFunc: func(r Report) { reports = append(reports, r) }},
		})
		time.Sleep(5 * time.Second)
		r.end(t)

		got := q.outcomes()
		if diff := cmp.Diff(got[0].Outcome, event.Outcome{State: event.Done, Result: "done", Reason: "posted", Documents: docs, Took: 3 * time.Second}); diff != "" {
			t.Errorf("first outcome: got-want+\n%s", diff)
		}
		if got[1].State != event.Ignored || got[1].Reason != "a test order" {
			t.Errorf("second outcome: %+v", got[1].Outcome)
		}
		if r.attempts("done", "ok") != 1 || r.attempts("ignored", "ok") != 1 {
			t.Error("attempts are not counted as done and ignored")
		}
		if n := testutil.CollectAndCount(r.metrics.age); n != 2 {
			t.Errorf("%d series of event age, want shopify and other", n)
		}
		if len(reports) != 2 || reports[0].Event.Body != nil || reports[0].Attempt != 1 {
			t.Errorf("reports: %+v", reports)
		}
	})
}

func TestPoolWakesAtOnceAndOtherwiseWhenSomethingIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox()
		begin := time.Now()
		var at []time.Duration
		r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
			at = append(at, time.Since(begin))
			if len(at) == 1 {
				return Delivery{}, &fault.Error{Kind: fault.RateLimited, RetryAfter: 7 * time.Second}
			}
			return Delivery{}, nil
		}}, Rand: dice(0)})
		time.Sleep(4 * time.Second)
		q.put("a")
		time.Sleep(time.Minute)
		r.end(t)
		if want := []time.Duration{4 * time.Second, 11 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("delivered at %v, want %v", at, want)
		}
		if q.claims > 12 {
			t.Errorf("an empty inbox was asked %d times in a minute", q.claims)
		}
	})
}

func TestPoolFindsWhatNobodyAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox()
		r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
			return Delivery{}, nil
		}}})
		q.wake = nil // another process fed the inbox
		q.put("a")
		time.Sleep(slowPoll + time.Second)
		r.end(t)
		if len(q.settled) != 1 {
			t.Errorf("settled %v", q.results())
		}
	})
}

func TestPoolWorksInParallelWithinItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a", "b", "c", "d", "e")
		r := run(t, Options{Queue: q, Workers: 2, Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
			time.Sleep(time.Second)
			return Delivery{}, nil
		}}})
		if got := testutil.ToFloat64(r.metrics.inFlight); got != 2 {
			t.Errorf("%v deliveries in flight, want 2", got)
		}
		time.Sleep(3*time.Second + time.Millisecond)
		if got := len(q.outcomes()); got != 5 {
			t.Errorf("%d of five one-second deliveries done after three seconds", got)
		}
		r.end(t)
		if got := testutil.ToFloat64(r.metrics.inFlight); got != 0 {
			t.Errorf("%v deliveries in flight at the end", got)
		}
	})
}

func TestPoolGivesUpAHiccupAfterFiveTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a")
		r := run(t, Options{Queue: q, Deliverer: failing(fault.Internal)})
		time.Sleep(time.Hour)
		r.end(t)
		want := []string{"a retry", "a retry", "a retry", "a retry", "a dead"}
		if diff := cmp.Diff(q.results(), want); diff != "" {
			t.Errorf("got-want+\n%s", diff)
		}
		if n := len(r.past.events); n != 0 {
			t.Errorf("%d settled events are still remembered", n)
		}
		if got := testutil.ToFloat64(r.metrics.deadLetters.WithLabelValues("internal")); got != 1 {
			t.Errorf("%v dead letters counted", got)
		}
	})
}

func TestPoolTriesForDaysBeforeItGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a")
		begin := time.Now()
		r := run(t, Options{Queue: q, Deliverer: failing(fault.Contention), GiveUp: time.Minute}) // less than is promised
		time.Sleep(80 * time.Hour)
		r.end(t)
		got := q.outcomes()
		last := got[len(got)-1]
		if last.Result != "dead" || last.at.Sub(begin) < 72*time.Hour {
			t.Errorf("the last of %d results is %q after %v", len(got), last.Result, last.at.Sub(begin))
		}
	})
}

func TestPoolRemembersDocumentsOfAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a")
		docs := []event.Document{{DocType: "Customer", Name: "C-1", Key: "c"}}
		r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
			return Delivery{Documents: docs}, fault.New(fault.Rejected, "erpnext.create Sales Order", "no")
		}}})
		r.end(t)
		if diff := cmp.Diff(q.settled[0].Documents, docs); diff != "" {
			t.Errorf("got-want+\n%s", diff)
		}
	})
}

func TestPoolShutdownLetsTheDeliveryInHandEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a", "b")
		r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(ctx context.Context, _ *event.Claim) (Delivery, error) {
			select {
			case <-time.After(10 * time.Second):
				return Delivery{}, nil
			case <-ctx.Done():
				return Delivery{}, ctx.Err()
			}
		}}})
		time.Sleep(time.Second)
		r.end(t)
		if diff := cmp.Diff(q.results(), []string{"a done"}); diff != "" {
			t.Errorf("got-want+\n%s", diff)
		}
	})
}

func TestPoolKill(t *testing.T) {
	tests := []struct {
		name   string
		err    func(context.Context) error
		result string
	}{
		{"gives an interrupted delivery back", func(ctx context.Context) error { return ctx.Err() }, "released"},
		{"however the client names the interruption", func(context.Context) error { return fault.New(fault.Network, "erpnext.get", "broken") }, "released"},
		{"but keeps a refusal", func(context.Context) error { return fault.New(fault.Rejected, "erpnext.get", "no") }, "dead"},
		{"and a success", func(context.Context) error { return nil }, "done"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newInbox("a")
				q.events[0].Class = "timeout"
				r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(ctx context.Context, _ *event.Claim) (Delivery, error) {
					<-ctx.Done()
					return Delivery{}, tt.err(ctx)
				}}})
				r.stop()
				time.Sleep(time.Minute)
				if len(q.outcomes()) != 0 {
					t.Fatal("a soft stop ended the delivery")
				}
				r.Kill()
				<-r.done
				got := q.settled[0]
				if got.Result != tt.result {
					t.Errorf("result %q, want %q", got.Result, tt.result)
				}
				if got.Result == "released" && (!got.Free || !got.DueAt.Equal(time.Now()) || got.Class != "timeout") {
					t.Errorf("released as %+v", got.Outcome)
				}
			})
		})
	}
}

func TestPoolStopDuringAClaimGivesTheEventBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a")
		q.ClaimFunc = func(context.Context, time.Duration) (*event.Claim, error) {
			time.Sleep(2 * time.Second)
			return &event.Claim{Event: *q.events[0], Attempt: 1}, nil
		}
		r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
			t.Error("delivered after the stop")
			return Delivery{}, nil
		}}})
		time.Sleep(time.Second)
		r.end(t)
		if diff := cmp.Diff(q.results(), []string{"a released"}); diff != "" {
			t.Errorf("got-want+\n%s", diff)
		}
	})
}

func TestPoolSurvivesPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		q := newInbox("a", "b")
		r := run(t, Options{Queue: q, Log: logger(&log), Deliverer: &deliverer{DeliverFunc: func(_ context.Context, c *event.Claim) (Delivery, error) {
			if c.Event.ID == "a" {
				panic("jane@example.com is not an order")
			}
			return Delivery{}, nil
		}}})
		r.end(t)
		if diff := cmp.Diff(q.results(), []string{"a retry", "b done"}); diff != "" {
			t.Errorf("got-want+\n%s", diff)
		}
		if got := q.settled[0]; got.Class != "internal" || got.Detail != "jane@example.com is not an order" {
			t.Errorf("outcome %+v", got.Outcome)
		}
		if !strings.Contains(log.String(), "pool_test.go") || strings.Contains(log.String(), "jane") {
			t.Errorf("the log must hold the stack and not what was panicked with:\n%s", log.String())
		}
	})
}

func TestPoolLogsWhatTheRuntimeSaysOfAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		q := newInbox("a")
		r := run(t, Options{Queue: q, Log: logger(&log), Deliverer: &deliverer{DeliverFunc: func(_ context.Context, c *event.Claim) (Delivery, error) {
			_ = c.Event.Body[c.Attempt+100]
			return Delivery{}, nil
		}}})
		r.end(t)
		if !strings.Contains(log.String(), "index out of range [101]") {
			t.Errorf("log: %s", log.String())
		}
	})
}

func TestPoolDeliveryHasFourFifthsOfItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a")
		r := run(t, Options{Queue: q, Lease: 10 * time.Second, Deliverer: &deliverer{DeliverFunc: func(ctx context.Context, _ *event.Claim) (Delivery, error) {
			<-ctx.Done()
			return Delivery{}, fmt.Errorf("posting: %w", ctx.Err())
		}}})
		time.Sleep(8*time.Second + time.Millisecond)
		r.end(t)
		got := q.settled[0]
		if got.Took != 8*time.Second || got.Class != "timeout" || !strings.Contains(got.Reason, "80% of its lease") {
			t.Errorf("outcome %+v", got.Outcome)
		}
	})
}

func TestPoolUnsettledIsCountedAndNotRepeated(t *testing.T) {
	lost := errors.New("the lease on the event was lost")
	tests := []struct {
		name string
		err  error
		log  string
	}{
		{"the inbox's own word", fmt.Errorf("settle: %w", lost), "lease was lost"},
		{"a newer claim", fault.New(fault.Conflict, "sqlite.Settle", "newer claim"), "lease was lost"},
		{"the event is gone", fault.New(fault.NotFound, "sqlite.Settle", "no such event"), "lease was lost"},
		{"a failure that does not pass", errors.New("no such column"), "could not be settled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				q := newInbox("a")
				settles := 0
				q.SettleFunc = func(context.Context, *event.Claim, event.Outcome) error {
					settles++
					return tt.err
				}
				r := run(t, Options{Queue: q, Log: logger(&log), LeaseLost: lost,
					Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) { return Delivery{}, nil }},
					Observer:  &observer{AttemptedFunc: func(Report) { t.Error("an unsettled attempt was reported") }},
				})
				time.Sleep(time.Minute)
				r.end(t)
				if settles != 1 || r.attempts("lost", "ok") != 1 || !strings.Contains(log.String(), tt.log) {
					t.Errorf("%d settles, %v counted, log %s", settles, r.attempts("lost", "ok"), log.String())
				}
			})
		})
	}
}

// An inbox that answers "busy" may have committed all the same.
func TestPoolSettledAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a")
		settles := 0
		q.SettleFunc = func(context.Context, *event.Claim, event.Outcome) error {
			if settles++; settles == 1 {
				return fault.New(fault.Busy, "sqlite.Settle", "no answer in time")
			}
			return fault.New(fault.Conflict, "sqlite.Settle", "settled already")
		}
		var reported []Report
		r := run(t, Options{Queue: q, Deliverer: failing(fault.Rejected),
			Observer: &observer{AttemptedFunc: func(r Report) { reported = append(reported, r) }}})
		time.Sleep(time.Second)
		r.end(t)
		if len(reported) != 1 || r.attempts("dead", "rejected") != 1 || r.attempts("lost", "ok") != 0 {
			t.Errorf("reports %+v", reported)
		}
	})
}

func TestPoolSettlesAgainWhenTheInboxFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a")
		fails := 20
		q.SettleFunc = func(context.Context, *event.Claim, event.Outcome) error {
			if fails--; fails > 0 {
				return fault.New(fault.Busy, "sqlite.settle", "disk is full")
			}
			return nil
		}
		delivered := 0
		r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
			delivered++
			return Delivery{}, nil
		}}})
		time.Sleep(2 * time.Minute)
		r.end(t)
		if delivered != 1 || len(q.settled) != 1 {
			t.Errorf("delivered %d times, settled %v", delivered, q.results())
		}
	})
}

func TestPoolKillBoundsTheSettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a")
		q.SettleFunc = func(context.Context, *event.Claim, event.Outcome) error {
			return fault.New(fault.Busy, "sqlite.Settle", "disk is full")
		}
		r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) { return Delivery{}, nil }}})
		begin := time.Now()
		r.Kill()
		<-r.done
		if took := time.Since(begin); took > settleIn+settleWorst {
			t.Errorf("a killed pool settled for %v", took)
		}
		if r.attempts("lost", "ok") != 1 {
			t.Error("the unsettled attempt is not counted")
		}
	})
}

func TestPoolDoesNotSpinWhenTheInboxFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		q := newInbox("a")
		var works atomic.Bool
		q.ClaimFunc = func(context.Context, time.Duration) (*event.Claim, error) {
			if works.Load() {
				return nil, nil
			}
			return nil, []error{errors.New("disk i/o error"), errors.New("database is locked")}[q.claims%2]
		}
		r := run(t, Options{Queue: q, Log: logger(&log), Deliverer: failing(fault.Internal)})
		for range 60 { // new events do not make it try more often
			time.Sleep(10 * time.Second)
			q.put("more")
		}
		if n := q.claimed(); n > 45 {
			t.Errorf("%d claims in ten minutes of a failing inbox", n)
		}
		works.Store(true)
		time.Sleep(time.Minute)
		r.end(t)
		if got := strings.Count(log.String(), "does not answer"); got != 2 {
			t.Errorf("%d log lines of two causes:\n%s", got, log.String())
		}
		if !strings.Contains(log.String(), "answers the worker again") {
			t.Error("recovery is not logged")
		}
	})
}

func TestPoolBlockedSubjectIsNotPolledBusily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox("a") // due, but in the hands of another process
		q.ClaimFunc = func(context.Context, time.Duration) (*event.Claim, error) { return nil, nil }
		r := run(t, Options{Queue: q, Deliverer: failing(fault.Internal)})
		time.Sleep(time.Minute)
		r.end(t)
		if q.claims < 30 || q.claims > 70 {
			t.Errorf("%d claims in a minute, want about one a second", q.claims)
		}
	})
}

func TestPoolLogsOneLineAnAttempt(t *testing.T) {
	tests := []struct {
		name     string
		delivery Delivery
		err      error
		want     []string
	}{
		{"done", Delivery{}, nil, []string{`"level":"info"`, `"outcome":"done"`, `"source":"shopify"`, `"topic":"orders/create"`, `"attempt":1`}},
		{"ignored", Delivery{Ignored: "test order"}, nil, []string{`"level":"info"`, `"outcome":"ignored"`, `"cause":"test order"`}},
		{"warned", Delivery{Warn: &fault.Error{Kind: fault.Waiting, Cause: "on account", Hint: "look"}}, nil, []string{`"level":"warn"`, `"outcome":"done"`, `"cause":"on account"`, `"hint":"look"`}},
		{"retry", Delivery{}, &fault.Error{Kind: fault.Contention, Op: "erpnext.create", Cause: "deadlock"}, []string{`"level":"warn"`, `"outcome":"retry"`, `"class":"contention"`, `"cause":"erpnext.create: deadlock"`, `"next_at":`}},
		{"waiting", Delivery{}, &fault.Error{Kind: fault.Waiting, Cause: "order", RetryAfter: time.Hour}, []string{`"level":"info"`, `"outcome":"waiting"`}},
		{"dead", Delivery{}, &fault.Error{Kind: fault.Rejected, Detail: "Jane", Err: errors.New("Jane")}, []string{`"level":"error"`, `"outcome":"dead"`, `"class":"rejected"`}},
		{"unclassified", Delivery{}, errors.New("Jane"), []string{`"level":"warn"`, `"class":"internal"`, `"cause":"worker.deliver: unclassified failure"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				q := newInbox("a")
				r := run(t, Options{Queue: q, Log: logger(&log), Deliverer: &deliverer{DeliverFunc: func(context.Context, *event.Claim) (Delivery, error) {
					return tt.delivery, tt.err
				}}})
				r.end(t)
				lines := strings.TrimSpace(log.String())
				if strings.Contains(lines, "\n") || strings.Contains(lines, "Jane") {
					t.Errorf("want one line without the far side's words, got\n%s", lines)
				}
				for _, want := range append(tt.want, `"message":"event attempted"`) {
					if !strings.Contains(lines, want) {
						t.Errorf("%s is not in %s", want, lines)
					}
				}
			})
		})
	}
}

func TestPoolMetricsStartAtZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newInbox()
		r := run(t, Options{Queue: q, Deliverer: &deliverer{DeliverFunc: func(_ context.Context, c *event.Claim) (Delivery, error) {
			return Delivery{}, fault.New(fault.ParseKind(c.Event.ID), "posting.ensure", "why")
		}}})
		before := testutil.CollectAndCount(r.reg)
		for _, k := range fault.Delivery() {
			q.mu.Lock() // tried for four days already, with an hour left
			q.events = append(q.events, &event.Event{
				ID: k.String(), Source: "stranger", State: event.Pending, Attempts: 99, ReceivedAt: time.Now().Add(time.Hour - defaultGiveUp),
			})
			q.mu.Unlock()
			time.Sleep(3 * time.Hour)
		}
		r.end(t)
		if dead := testutil.ToFloat64(r.metrics.attempts.WithLabelValues("other", "dead", "rights")); dead != 1 {
			t.Errorf("%v dead letters of a source that is not configured", dead)
		}
		if after := testutil.CollectAndCount(r.reg); after != before {
			t.Errorf("%d series at the start, %d after every kind of failure", before, after)
		}
		if problems, err := testutil.GatherAndLint(r.reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
	})
}
