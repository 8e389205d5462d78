package worker

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func dice(v float64) func() float64 { return func() float64 { return v } }

func TestPlanRetryTimes(t *testing.T) {
	const least, most = 0, 0.999999
	tests := []struct {
		name     string
		kind     fault.Kind
		attempt  int
		few      int
		asked    time.Duration
		from, to time.Duration
	}{
		{"soon begins below two seconds", fault.Network, 1, 0, 0, 0, 2 * time.Second},
		{"soon doubles", fault.Timeout, 4, 0, 0, 0, 16 * time.Second},
		{"soon is capped", fault.Unavailable, 10, 0, 0, 0, 15 * time.Minute},
		{"soon stays capped for ever", fault.Contention, 4000, 0, 0, 0, 15 * time.Minute},
		{"slowly begins at a minute", fault.Rights, 1, 0, 0, time.Minute, 4 * time.Minute},
		{"slowly grows", fault.Rights, 3, 0, 0, time.Minute, 16 * time.Minute},
		{"slowly up to an hour", fault.Maintenance, 50, 0, 0, time.Minute, time.Hour},
		{"a few, first", fault.Internal, 1, 1, 0, 13500 * time.Millisecond, 16500 * time.Millisecond},
		{"a few, last", fault.BadRequest, 4, 4, 0, 364500 * time.Millisecond, 445500 * time.Millisecond},
		{"never sooner than asked", fault.RateLimited, 1, 0, 10 * time.Minute, 10 * time.Minute, 10*time.Minute + 30*time.Second},
		{"asked for less than the pause", fault.RateLimited, 10, 0, time.Second, time.Second, 15 * time.Minute},
		{"asked for too much", fault.Unavailable, 1, 0, 24 * time.Hour, time.Hour, time.Hour + 3*time.Minute},
		{"a wait ends when its deadline says", fault.Waiting, 1, 0, 20 * time.Hour, 20 * time.Hour, 20 * time.Hour},
		{"a wait without a deadline", fault.Waiting, 1, 0, 0, time.Hour, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := failure{
				fault:   &fault.Error{Kind: tt.kind, RetryAfter: tt.asked},
				attempt: tt.attempt, few: tt.few, since: noon, now: noon,
			}
			low := plan{giveUp: defaultGiveUp, rand: dice(least)}.next(f).DueAt.Sub(noon)
			high := plan{giveUp: defaultGiveUp, rand: dice(most)}.next(f).DueAt.Sub(noon)
			if low != tt.from {
				t.Errorf("with the lowest dice due after %v, want %v", low, tt.from)
			}
			if high > tt.to || high < tt.to-tt.to/100 {
				t.Errorf("with the highest dice due after %v, want just below %v", high, tt.to)
			}
		})
	}
}

// What each kind leads to, when it is young and when it has been tried for long.
func TestPlanEveryKind(t *testing.T) {
	want := map[fault.Kind][2]string{
		fault.Internal:    {"retry", "dead"},
		fault.Network:     {"retry", "dead"},
		fault.Timeout:     {"retry", "dead"},
		fault.Unavailable: {"retry", "dead"},
		fault.Contention:  {"retry", "dead"},
		fault.RateLimited: {"retry", "dead"},
		fault.Maintenance: {"retry", "dead"},
		fault.Credentials: {"retry", "dead"},
		fault.Rights:      {"retry", "dead"},
		fault.Duplicate:   {"retry", "dead"},
		fault.Missing:     {"retry", "dead"},
		fault.Settled:     {"retry", "dead"},
		fault.Rejected:    {"dead", "dead"},
		fault.BadRequest:  {"retry", "dead"},
		fault.Waiting:     {"waiting", "dead"},
		fault.Undecodable: {"dead", "dead"},
		fault.Unmapped:    {"dead", "dead"},
		fault.Mismatch:    {"dead", "dead"},
		fault.Forgery:     {"dead", "dead"},
		fault.Sealed:      {"retry", "retry"}, // nothing is wrong with the event
	}
	p := plan{giveUp: defaultGiveUp, rand: dice(0.5)}
	for _, k := range fault.Delivery() {
		f := failure{fault: fault.New(k, "erpnext.get", "why"), attempt: 1, few: 1, since: noon, now: noon}
		if got := p.next(f).Result; got != want[k][0] {
			t.Errorf("%v, first try: got %q, want %q", k, got, want[k][0])
		}
		f.attempt, f.few, f.now = 800, fewTries, noon.Add(defaultGiveUp)
		o := p.next(f)
		if o.Result != want[k][1] {
			t.Errorf("%v, at the end: got %q, want %q", k, o.Result, want[k][1])
		}
		if o.Result == "dead" && (o.State != event.Dead || !o.DueAt.IsZero() || o.Free) {
			t.Errorf("%v: a dead outcome is %+v", k, o)
		}
		if o.Class != k.String() || o.Reason != "erpnext.get: why" {
			t.Errorf("%v: class %q, reason %q", k, o.Class, o.Reason)
		}
	}
	for _, k := range []fault.Kind{fault.Malformed, fault.NotFound, fault.Conflict} {
		f := failure{fault: fault.New(k, "", ""), attempt: 1, since: noon, now: noon}
		if got := p.next(f).Result; got != "dead" {
			t.Errorf("%v, a kind of the intake: got %q, want dead", k, got)
		}
	}
}

func TestPlanWaitingKeepsWhatItWaitsFor(t *testing.T) {
	f := &fault.Error{Kind: fault.Waiting, WaitsFor: []string{"shopify/acme/order/1", "shopify/acme/order-name/1"}, RetryAfter: 30 * time.Hour}
	o := plan{giveUp: defaultGiveUp, rand: dice(0.5)}.next(failure{fault: f, attempt: 9, since: noon, now: noon})
	if !slices.Equal(o.WaitsFor, f.WaitsFor) || !o.Free || !o.DueAt.Equal(noon.Add(30*time.Hour)) {
		t.Errorf("got %+v", o)
	}
}

// However the dice fall, a failure that may pass is retried for at least 72
// hours, and not much longer than the time set.
func TestPlanKeepsItsPromise(t *testing.T) {
	kinds := []fault.Kind{fault.Network, fault.Unavailable, fault.Contention, fault.Missing, fault.Maintenance, fault.Rights, fault.RateLimited}
	rapid.Check(t, func(t *rapid.T) {
		roll := rapid.Float64Range(0, 0.999999)
		low, high := roll.Draw(t, "low"), roll.Draw(t, "high")
		turn := 0
		p := plan{giveUp: PromisedGiveUp, rand: func() float64 { turn++; return []float64{low, high}[turn%2] }}
		now := noon
		for attempt := 1; ; attempt++ {
			f := &fault.Error{Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
			if f.Kind == fault.RateLimited {
				f.RetryAfter = time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "asked"))
			}
			now = now.Add(time.Minute) // a slow site: each try takes its time
			o := p.next(failure{fault: f, attempt: attempt, since: noon, now: now})
			if o.State == event.Dead {
				break
			}
			wait := o.DueAt.Sub(now)
			if wait < min(f.RetryAfter, maxAsked) || wait > 63*time.Minute {
				t.Fatalf("try %d of %v waits %v", attempt, f.Kind, wait)
			}
			now = o.DueAt
		}
		if tried := now.Sub(noon); tried < 72*time.Hour || tried > 74*time.Hour+5*time.Minute {
			t.Fatalf("given up after %v", tried)
		}
	})
}

func TestPlanAFewTriesTakeTenMinutes(t *testing.T) {
	p := plan{giveUp: defaultGiveUp, rand: dice(0.5)}
	var total time.Duration
	for few := 1; few < fewTries; few++ {
		wait, again := p.pause(failure{fault: fault.New(fault.Internal, "", ""), few: few})
		if !again {
			t.Fatalf("no try after the %d.", few)
		}
		total += wait
	}
	if total != 10*time.Minute {
		t.Errorf("tries are spread over %v, want ten minutes", total)
	}
}

func TestPast(t *testing.T) {
	claim := func(attempt int, age time.Duration, class string) *event.Claim {
		return &event.Claim{Attempt: attempt, Event: event.Event{ID: "e", ReceivedAt: noon.Add(-age), Class: class}}
	}
	tests := []struct {
		name  string
		claim *event.Claim
		kind  fault.Kind
		since time.Time
		few   int
	}{
		{"a first try counts from itself, however long the event lay", claim(1, 50*time.Hour, ""), fault.Network, noon, 0},
		{"a later one, after a restart, from the reception", claim(7, 50*time.Hour, "network"), fault.Network, noon.Add(-50 * time.Hour), 0},
		{"one beyond its time was replayed", claim(7, 500*time.Hour, "rejected"), fault.Network, noon, 0},
		{"a hiccup after an outage is the first of its sort", claim(40, time.Hour, "network"), fault.Internal, noon.Add(-time.Hour), 1},
		{"a repeated hiccup after a restart goes by the attempts", claim(4, time.Hour, "internal"), fault.Internal, noon.Add(-time.Hour), 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := newPast().failed(tt.claim, tt.kind, defaultGiveUp, noon)
			if !got.since.Equal(tt.since) || got.few != tt.few {
				t.Errorf("got since %v few %d, want %v and %d", got.since, got.few, tt.since, tt.few)
			}
		})
	}
	t.Run("hiccups are counted in a row and a replay starts anew", func(t *testing.T) {
		m := newPast()
		m.failed(claim(1, 0, ""), fault.Internal, defaultGiveUp, noon)
		m.failed(claim(2, 0, "internal"), fault.Network, defaultGiveUp, noon)
		if got := m.failed(claim(3, 0, "network"), fault.Internal, defaultGiveUp, noon).few; got != 1 {
			t.Errorf("after another failure in between: %d in a row, want 1", got)
		}
		later := noon.Add(90 * time.Hour)
		if got := m.failed(claim(1, 0, ""), fault.Network, defaultGiveUp, later); !got.since.Equal(later) {
			t.Errorf("replayed: counted from %v, want %v", got.since, later)
		}
	})
	t.Run("memory is bounded", func(t *testing.T) {
		m := newPast()
		for i := range mostRemembered + 10 {
			c := claim(1, 0, "")
			c.Event.ID = string(rune(i))
			c.Event.ID += time.Duration(i).String()
			m.failed(c, fault.Network, defaultGiveUp, noon)
		}
		if len(m.events) > mostRemembered {
			t.Errorf("%d events remembered", len(m.events))
		}
	})
}
