package alert

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// What the far side said, and who it was about: it must not come out anywhere.
const (
	canarySecret = "canary-sk_live_51H"
	canaryMail   = "canary.jane@example.com"
	canaryName   = "Canary Jane Doe"
)

// failed is a report of a failure; its private parts are canaries.
func failed(id string, kind fault.Kind, after time.Duration) Report {
	f := &fault.Error{
		Kind: kind, Op: "erpnext.create Sales Order", Cause: "cause of " + kind.String(),
		Detail: canaryName + " <" + canaryMail + "> " + canarySecret,
		Err:    fmt.Errorf("%s %s %s", canaryName, canaryMail, canarySecret),
	}
	r := Report{
		Event: event.Event{
			ID: id, Source: "shopify", Provider: "shopify", Topic: "orders/create", ReceivedAt: noon,
			ProviderID: canaryName, Subject: "order/" + canaryMail, Header: map[string]string{"x": canarySecret},
		},
		Attempt: 1, Fault: f, At: noon.Add(after),
	}
	r.Outcome = event.Outcome{State: event.Dead, Result: "dead", Class: kind.String(), Reason: canaryName, Detail: f.Detail}
	if kind.Retry() != fault.Never {
		r.Outcome.State, r.Outcome.Result, r.Outcome.DueAt = event.Pending, "retry", r.At.Add(time.Minute)
	}
	return r
}

func done(id string, after time.Duration) Report {
	r := failed(id, fault.Internal, after)
	r.Fault, r.Outcome = nil, event.Outcome{State: event.Done, Result: "done", Reason: canaryName}
	return r
}

func dead(id string, kind fault.Kind, after time.Duration) Report {
	r := failed(id, kind, after)
	r.Outcome.State, r.Outcome.Result = event.Dead, "dead"
	return r
}

func provider(r Report, name string) Report {
	f := *r.Fault
	f.Op = name + ".get charge"
	r.Fault, r.Event.Provider = &f, name
	return r
}

func late(r Report) Report {
	r.Attempt, r.Event.ReceivedAt = 9, r.At.Add(-2*time.Hour)
	return r
}

// play runs reports through a tracker that ticks every five seconds, and
// writes down what it tells.
func play(until time.Duration, reports ...Report) []string {
	t := newTracker(15 * time.Minute)
	var told []string
	note := func(after time.Duration, signals []Signal) {
		for _, s := range signals {
			told = append(told, fmt.Sprintf("%v %s %s %d", after, s.Kind, s.State, s.Count))
		}
	}
	for now := time.Duration(0); now <= until; now += 5 * time.Second {
		for len(reports) > 0 && !reports[0].At.After(noon.Add(now)) {
			note(now, t.attempted(reports[0]))
			reports = reports[1:]
		}
		note(now, t.tick(noon.Add(now)))
	}
	return told
}

func every(step, from, to time.Duration, make func(n int, at time.Duration) Report) []Report {
	var all []Report
	for at := from; at <= to; at += step {
		all = append(all, make(len(all), at))
	}
	return all
}

func TestTracker(t *testing.T) {
	waiting := late(failed("a", fault.Waiting, 0))
	waiting.Outcome.Result, waiting.Outcome.Free = "waiting", true
	account := failed("a", fault.Waiting, 0)
	account.Outcome = event.Outcome{State: event.Done, Result: "done"}
	dispute := account
	dispute.Fault = fault.New(fault.Waiting, "posting.dispute", "a payment is disputed")
	account.Fault = fault.New(fault.Waiting, "posting.payment", "booked on account")
	odd := account
	odd.Fault = fault.New(fault.Internal, "posting.order", "rounded")
	rights := func(n int, at time.Duration) Report { return failed("a", fault.Rights, at) }
	down := func(n int, at time.Duration) Report {
		r := failed(fmt.Sprint(n), []fault.Kind{fault.Network, fault.Unavailable, fault.Timeout}[n%3], at)
		r.Outcome.Free = true
		return r
	}
	tests := []struct {
		name    string
		until   time.Duration
		reports []Report
		want    []string
	}{
		{"a dead letter is told at once, and that nothing followed", time.Hour,
			[]Report{failed("a", fault.Rejected, 0)},
			[]string{"0s dead_letter firing 1", "30m0s dead_letter resolved 1"}},
		{"a replayed one that succeeds ends it", time.Hour,
			[]Report{failed("a", fault.Rejected, 0), failed("b", fault.Rejected, time.Minute), done("a", 2*time.Minute), done("b", 3*time.Minute)},
			[]string{"0s dead_letter firing 1", "3m30s dead_letter resolved 2"}},
		{"unless it is dead again", 10 * time.Minute,
			[]Report{failed("a", fault.Rejected, 0), done("a", 2*time.Minute), failed("b", fault.Rejected, 2*time.Minute+10*time.Second)},
			[]string{"0s dead_letter firing 1"}},
		{"repeats are summed up, ever more rarely", 2 * time.Hour,
			every(time.Minute, 0, 2*time.Hour, func(n int, at time.Duration) Report { return failed(fmt.Sprint(n), fault.Unmapped, at) }),
			[]string{"0s dead_letter firing 1", "15m0s dead_letter digest 16", "45m0s dead_letter digest 46", "1h45m0s dead_letter digest 106"}},
		{"causes are told apart", time.Minute,
			[]Report{failed("a", fault.Rejected, 0), failed("b", fault.Unmapped, 0), failed("c", fault.Mismatch, 0), failed("d", fault.Forgery, 0)},
			[]string{"0s dead_letter firing 1", "0s dead_letter firing 1", "0s total_mismatch firing 1", "0s possible_forgery firing 1"}},
		{"the site is down when it lasts, whatever the symptom", 20 * time.Minute,
			append(every(20*time.Second, 0, 10*time.Minute, down), done("x", 10*time.Minute+5*time.Second)),
			[]string{"1m0s erpnext_down firing 4", "10m35s erpnext_down resolved 31"}},
		{"a hiccup of the site is nobody's business", time.Hour,
			[]Report{failed("a", fault.Timeout, 0), done("a", 50*time.Second), failed("b", fault.Timeout, 55*time.Second), done("b", 100*time.Second)},
			nil},
		{"a refusal shows that the site works", time.Hour,
			[]Report{failed("a", fault.Timeout, 0), failed("b", fault.Contention, 30*time.Second)},
			nil},
		{"a site that flaps is not over and over", 10 * time.Minute,
			append(every(20*time.Second, 0, 9*time.Minute, down), // fails every 20 s, works in between
				done("x", 9*time.Minute+10*time.Second), down(0, 9*time.Minute+20*time.Second), done("y", 9*time.Minute+25*time.Second)),
			[]string{"1m0s erpnext_down firing 4", "9m55s erpnext_down resolved 29"}},
		{"a maintenance is told after a minute, with one failure", 2 * time.Minute,
			[]Report{failed("a", fault.Maintenance, 0)},
			[]string{"1m0s erpnext_down firing 1"}},
		{"a wrong key is told at once and is over when something works", 10 * time.Minute,
			[]Report{failed("a", fault.Credentials, 0), failed("b", fault.Credentials, 10*time.Second), done("a", time.Minute)},
			[]string{"0s credentials firing 1", "1m30s credentials resolved 2"}},
		{"a provider's wrong key is not over because ERPNext works", 10 * time.Minute,
			[]Report{provider(failed("a", fault.Credentials, 0), "stripe"), done("b", time.Minute)},
			[]string{"0s credentials firing 1"}},
		{"a provider that is down is not the site", 5 * time.Minute,
			[]Report{provider(failed("a", fault.Timeout, 0), "stripe"), done("b", 30*time.Second), provider(failed("a", fault.Timeout, 70*time.Second), "stripe"), done("a", 2*time.Minute)},
			[]string{"1m0s provider_down firing 1", "2m30s provider_down resolved 2"}},
		{"a right that lacks is told at once; no recovery between two slow tries", 4 * time.Hour,
			every(59*time.Minute, 0, 119*time.Minute, rights),
			[]string{"0s rights firing 1", "59m0s rights digest 2", "1h58m0s rights digest 3", "3h13m0s rights resolved 3"}},
		{"a payment without its order is noted, and no recovery told", time.Hour,
			[]Report{account},
			[]string{"0s payment_without_order firing 1"}},
		{"a dispute is no payment without its order", time.Hour, []Report{dispute}, []string{"0s attention firing 1"}},
		{"another warning", time.Hour, []Report{odd}, []string{"0s attention firing 1"}},
		{"waiting is normal", 2 * time.Hour, []Report{waiting}, nil},
		{"a retry is normal", 2 * time.Hour, []Report{failed("a", fault.Contention, 0), failed("b", fault.Internal, 0)}, nil},
		{"but not for hours", 5 * time.Minute,
			[]Report{late(failed("a", fault.Contention, 0)), done("a", time.Minute)},
			[]string{"0s stuck firing 1", "1m30s stuck resolved 1"}},
		{"an event that always times out on a working site is stuck", time.Minute,
			[]Report{late(failed("a", fault.Timeout, 0))},
			[]string{"0s stuck firing 1"}},
		{"while the site is down everything is late, and nothing stuck", 3 * time.Minute,
			append(every(20*time.Second, 0, 2*time.Minute, down), late(failed("a", fault.Timeout, 130*time.Second))),
			[]string{"1m0s erpnext_down firing 4"}},
		{"an event given up after days is a dead letter", time.Minute,
			[]Report{dead("a", fault.Network, 0), dead("b", fault.Rights, 0)},
			[]string{"0s dead_letter firing 1", "0s dead_letter firing 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(play(tt.until, tt.reports...), tt.want); diff != "" {
				t.Errorf("got-want+\n%s", diff)
			}
		})
	}
}

// While the site is down nothing of a cause fails, because nothing is tried.
func TestTrackerSilenceOfADeadSiteProvesNothing(t *testing.T) {
	tr := newTracker(15 * time.Minute)
	tr.attempted(failed("a", fault.Rejected, 0))
	for at := time.Duration(0); at < 3*time.Hour; at += time.Minute {
		tr.attempted(failed("b", fault.Network, at))
		for _, s := range tr.tick(noon.Add(at)) {
			if s.State == Resolved {
				t.Fatalf("%v resolved after %v", s.Kind, at)
			}
		}
	}
	if !tr.siteDown() {
		t.Error("the site is not known to be down")
	}
}

func TestTrackerSignal(t *testing.T) {
	tr := newTracker(15 * time.Minute)
	r := provider(failed("ev_1", fault.Credentials, 0), "stripe")
	r.Fault.Hint = "set LEDGERHOOK_STRIPE_API_KEY"
	r.Event.Source = "stripe-eu"
	got := tr.attempted(r)
	want := []Signal{{
		Kind: Credentials, State: Firing, Severity: Critical, Group: "credentials|credentials|stripe.get charge: cause of credentials",
		Title: "Stripe refuses our key", What: "stripe.get charge: cause of credentials",
		Likely: likelyAtProvider[fault.Credentials], Fix: "set LEDGERHOOK_STRIPE_API_KEY", Auto: manners[Credentials].auto, Class: "credentials",
		Count: 1, New: 1, Open: 1, Since: noon, At: noon, Expires: noon.Add(3 * time.Hour), NextTry: noon.Add(time.Minute),
		Sources: []string{"stripe-eu"}, SampleEventID: "ev_1", SampleTopic: "orders/create",
	}}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got-want+\n%s", diff)
	}
	r.Event.ID, r.Event.Source = "ev_2", "stripe-us"
	tr.attempted(r)
	for _, id := range []string{"ev_1", "ev_2"} {
		ok := done(id, 10*time.Minute)
		tr.attempted(ok)
	}
	over := tr.tick(noon.Add(11 * time.Minute))
	if len(over) != 1 || over[0].State != Resolved || over[0].Lasted != 10*time.Minute || over[0].Count != 2 || over[0].Open != 0 ||
		!over[0].Expires.Equal(over[0].At) || !cmp.Equal(over[0].Sources, []string{"stripe-eu", "stripe-us"}) || !over[0].NextTry.IsZero() {
		t.Errorf("recovery: %+v", over)
	}
}

// What was booked and needs a look did not fail: the usual reason of its class of
// failure would mislead.
func TestWhatWasBookedHasNoCauseOfAFailure(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Mismatch, fault.Waiting, fault.Rejected} {
		r := done("a", 0)
		r.Fault = &fault.Error{Kind: kind, Op: "posting.dispute", Cause: "a payment is disputed", Hint: "answer it"}
		got := newTracker(time.Minute).attempted(r)
		if len(got) != 1 || got[0].Kind != Attention || got[0].Likely != "" || got[0].Fix != "answer it" {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}

// What the API of a provider refuses is not told as if ERPNext had: title,
// likely cause and fix send nobody to the wrong system.
func TestAProvidersRefusalNamesTheProvider(t *testing.T) {
	for name, proper := range map[string]string{"stripe": "Stripe", "paypal": "PayPal", "shopify": "Shopify"} {
		for kind := range likelyAtProvider {
			for _, r := range []Report{failed("a", kind, 0), dead("a", kind, 0), late(failed("a", kind, 0))} {
				r = provider(r, name)
				at, bad := newTracker(time.Minute).sort(r)
				if !bad {
					continue
				}
				headline, cause, fix := words(at, manners[at], r)
				if text := headline + cause + fix; strings.Contains(text, "ERPNext") || strings.Contains(text, "role") || cause == likely[kind] {
					t.Errorf("%s %s as %s: %q, %q, %q", name, kind, at, headline, cause, fix)
				}
				if (at == Rights || at == Credentials || at == ProviderDown) && !strings.Contains(headline, proper) {
					t.Errorf("%s %s: the title %q does not name it", name, kind, headline)
				}
			}
		}
	}
	r := failed("a", fault.Rights, 0)
	if headline, cause, _ := words(Rights, manners[Rights], r); headline != "The ERPNext user lacks a right" || cause != likely[fault.Rights] {
		t.Errorf("ERPNext's own refusal: %q, %q", headline, cause)
	}
}

// When some of a group's events were not remembered, the success of the others
// is not its end.
func TestTrackerDoesNotForgetThatItForgot(t *testing.T) {
	tr := newTracker(15 * time.Minute)
	for n := range mostOpen + 1 {
		tr.attempted(failed(fmt.Sprint(n), fault.Rejected, 0))
	}
	for n := range mostOpen {
		tr.attempted(done(fmt.Sprint(n), time.Minute))
	}
	if got := tr.tick(noon.Add(5 * time.Minute)); len(got) != 0 {
		t.Errorf("told %v %s", got[0].Kind, got[0].State)
	}
}

func TestTrackerCountsWhatItDoesNotTell(t *testing.T) {
	tr := newTracker(15 * time.Minute)
	for n := range 5 {
		tr.attempted(failed(fmt.Sprint(n), fault.Rejected, 0))
	}
	tr.attempted(failed("x", fault.Timeout, 0))
	tr.attempted(done("x", time.Second))
	// Four repeats of the dead letter; the hiccup of the site, before and after it was over.
	if tr.folded != 6 {
		t.Errorf("%d folded, want 6", tr.folded)
	}
}

func TestTrackerBoundsItsMemory(t *testing.T) {
	tr := newTracker(15 * time.Minute)
	told := 0
	for n := range 3000 {
		r := failed(fmt.Sprint(n), fault.Rejected, 0)
		r.Fault.Cause = fmt.Sprint("not normalised ", n)
		told += len(tr.attempted(r))
		tr.rejected(fmt.Sprint("source", n), "bad_signature", noon)
	}
	if len(tr.groups) > mostGroups+len(manners) || told > mostGroups+len(manners) || len(tr.refused) > mostGroups {
		t.Errorf("%d groups, %d messages, %d refused", len(tr.groups), told, len(tr.refused))
	}
	g := tr.groups["dead_letter|"+otherCauses]
	if g == nil || len(g.open) > mostOpen || !g.more {
		t.Errorf("the shared group: %+v", g)
	}
}

func TestTrackerRefusedRequests(t *testing.T) {
	tr := newTracker(15 * time.Minute)
	var told []string
	at := noon
	refuse := func(outcome string, n int, step time.Duration) {
		for range n {
			at = at.Add(step)
			for _, s := range append(tr.rejected("stripe", outcome, at), tr.tick(at)...) {
				told = append(told, fmt.Sprintf("%v %s %s %d %s", at.Sub(noon), s.Kind, s.State, s.Count, s.Class))
			}
		}
	}
	refuse("bad_signature", 30, 31*time.Second) // ten in five minutes are borne
	refuse("bad_signature", 10, 20*time.Second) // more are not
	refuse("bad_signature", 10, 2*time.Minute)  // background noise afterwards does not keep it alive
	refuse("too_large", 11, time.Second)        // another outcome is another signal
	want := []string{
		"15m50s signature_failures firing 11 bad_signature", // eleven in 299 s
		"30m50s signature_failures digest 26 bad_signature",
		"36m50s signature_failures resolved 29 bad_signature", // a quarter of an hour after the last too many
	}
	if diff := cmp.Diff(told[:max(len(told)-1, 0)], want); diff != "" {
		t.Errorf("got-want+\n%s", diff)
	}
	if last := told[len(told)-1]; !strings.HasSuffix(last, "requests_refused firing 11 too_large") {
		t.Errorf("last: %s", last)
	}
}

// Every kind of failure and every kind of trouble has its words.
func TestTexts(t *testing.T) {
	for _, k := range fault.Delivery() {
		if likely[k] == "" {
			t.Errorf("no likely cause of %v", k)
		}
	}
	if len(Kinds()) != len(manners) {
		t.Errorf("%d kinds, %d manners", len(Kinds()), len(manners))
	}
	for _, k := range Kinds() {
		m := manners[k]
		if m.title == "" || m.auto == "" || m.fix == "" || m.severity == "" || m.quiet == 0 {
			t.Errorf("%s lacks words: %+v", k, m)
		}
	}
}
