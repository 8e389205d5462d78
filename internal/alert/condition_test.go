package alert

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// watchFor finds a condition every minute, bad in [from, to), and writes down
// what is told.
func watchFor(t *tracker, kind Kind, from, to, until time.Duration) []string {
	var told []string
	for after := time.Duration(0); after <= until; after += 5 * time.Second {
		at := noon.Add(after)
		var signals []Signal
		if after%time.Minute == 0 {
			signals = t.found(Condition{Kind: kind, Source: "shopify", Bad: after >= from && after < to, What: "is bad", Since: noon.Add(-time.Hour)}, at)
		}
		for _, s := range append(signals, t.tick(at)...) {
			told = append(told, fmt.Sprintf("%v %s %s %d %v", after, s.Kind, s.State, s.Count, s.Lasted))
		}
	}
	return told
}

// A condition fires when it begins, is repeated at growing pauses of its kind,
// and recovers; it counts nothing.
func TestAConditionFiresAndRecovers(t *testing.T) {
	for kind, want := range map[Kind][]string{
		Disk:    {"2m0s disk_low firing 1 1h2m0s", "17m0s disk_low digest 1 1h17m0s", "47m0s disk_low digest 1 1h47m0s", "1h30m30s disk_low resolved 1 2h30m0s"},
		Silence: {"2m0s no_events firing 1 1h2m0s", "1h30m30s no_events resolved 1 2h30m0s"},
	} {
		tr := newTracker(15 * time.Minute)
		if diff := cmp.Diff(watchFor(tr, kind, 2*time.Minute, 90*time.Minute, 2*time.Hour), want); diff != "" {
			t.Errorf("got-want+\n%s", diff)
		}
		if tr.folded != 0 || len(tr.groups) != 0 {
			t.Errorf("%s: %d folded, %d groups left", kind, tr.folded, len(tr.groups))
		}
	}
}

// That ERPNext is down says already why events wait; afterwards it is told if
// they still do.
func TestABacklogIsNotToldBesideADeadSite(t *testing.T) {
	tr := newTracker(15 * time.Minute)
	for n := range 3 {
		tr.attempted(failed(fmt.Sprint(n), fault.Unavailable, time.Duration(n)*time.Minute))
	}
	at := noon.Add(3 * time.Minute)
	backlog := Condition{Kind: Backlog, Source: "shopify", Bad: true, What: "events wait"}
	if got := tr.found(backlog, at); got != nil || !tr.siteDown() {
		t.Fatalf("told %+v", got)
	}
	tr.attempted(done("0", 4*time.Minute))
	if got := tr.found(backlog, at.Add(time.Hour)); len(got) != 1 || got[0].Kind != Backlog {
		t.Errorf("after the site is back: %+v", got)
	}
}

// kept is a Memory in memory.
type kept struct {
	mu     sync.Mutex
	state  string
	writes int
}

func (k *kept) Load(context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state, nil
}

func (k *kept) Save(_ context.Context, state string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state, k.writes = state, k.writes+1
	return nil
}

func (k *kept) written() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.writes
}

// A restart in the middle of a trouble is no new trouble: it is not told again,
// its digest and its end know when it began and how much there was.
func TestWhatIsUnderWaySurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &kept{}
		begin := time.Now()
		var signals []Signal
		c := newRecorder("slack", never)
		c.SendFunc = func(_ context.Context, s Signal) error { signals = append(signals, s); return nil }
		start := func() *rig { return run(Options{Senders: []Sender{c}, Memory: store}) }

		m := start()
		for n := range 3 {
			m.Attempted(now(failed(fmt.Sprint(n), fault.Rejected, 0)))
		}
		m.Found(Condition{Kind: Disk, Bad: true, What: "512 MiB are left"})
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if store.written() == 0 {
			t.Error("nothing was written down before the end: a process that is killed forgets it")
		}
		m.end(t)
		if len(signals) != 2 {
			t.Fatalf("told %+v", signals)
		}

		m = start()
		m.Attempted(now(failed("3", fault.Rejected, 0)))
		m.Found(Condition{Kind: Disk, Bad: true, What: "500 MiB are left"})
		time.Sleep(11 * time.Minute)
		m.end(t)

		m = start() // once more, with the digest told
		m.Found(Condition{Kind: Disk})
		time.Sleep(time.Hour)
		m.end(t)

		var told []string
		for _, s := range signals[2:] {
			told = append(told, fmt.Sprintf("%s %s %d since %v", s.Kind, s.State, s.Count, s.Since.Sub(begin)))
		}
		want := []string{
			"dead_letter digest 4 since 0s", "disk_low digest 1 since 0s",
			"disk_low resolved 1 since 0s", "dead_letter resolved 4 since 0s",
		}
		if diff := cmp.Diff(told, want); diff != "" {
			t.Errorf("got-want+\n%s", diff)
		}
		if store.state != "[]" {
			t.Errorf("written down in the end: %s", store.state)
		}
	})
}

// What is written down is what signals hold, and no more of it than is bounded.
func TestWhatIsWrittenDownIsBoundedAndHoldsNoPrivateData(t *testing.T) {
	tr := newTracker(15 * time.Minute)
	for n := range 3000 {
		r := failed(fmt.Sprintf("ev_%024d", n), fault.Rejected, 0)
		r.Fault.Cause = fmt.Sprint("cause ", n%300)
		tr.attempted(r)
	}
	for n := range mostOpen {
		tr.attempted(failed(fmt.Sprintf("ev_%024d", 10_000+n), fault.Rights, 0))
	}
	state := string(tr.snapshot())
	if len(state) > 1<<20 {
		t.Errorf("%d bytes", len(state))
	}
	for _, canary := range []string{canarySecret, canaryMail, canaryName} {
		if strings.Contains(state, canary) {
			t.Errorf("it holds %q", canary)
		}
	}
	again := newTracker(15 * time.Minute)
	if err := again.restore([]byte(state), noon); err != nil || len(again.groups) != len(tr.groups) {
		t.Errorf("%d groups of %d, %v", len(again.groups), len(tr.groups), err)
	}
}

// A state that cannot be read, or of a kind that this program does not know,
// costs the alerts under way and nothing else.
func TestAStateThatIsNoGoodIsLeftAlone(t *testing.T) {
	for _, state := range []string{"{", `[{"signal":{"Kind":"unheard_of","Group":"x"}}]`, `[{"signal":{"Kind":"disk_low"}}]`, "null"} {
		tr := newTracker(time.Minute)
		_ = tr.restore([]byte(state), noon)
		if len(tr.groups) != 0 {
			t.Errorf("%s: %d groups", state, len(tr.groups))
		}
	}
	tr := newTracker(time.Minute)
	ahead := `[{"signal":{"Kind":"disk_low","Group":"disk_low|","Since":"2099-01-01T00:00:00Z"},"last":"2099-01-01T00:00:00Z","fired":true}]`
	if err := tr.restore([]byte(ahead), noon); err != nil || !tr.groups["disk_low|"].last.Equal(noon) {
		t.Errorf("%v, %+v", err, tr.groups)
	}
}
