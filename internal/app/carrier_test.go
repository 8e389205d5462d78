package app

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
)

// paced is an inbox with running runs.
type paced struct {
	mu    sync.Mutex
	err   error
	runs  map[string]*event.Run
	steps []pacedStep
}

type pacedStep struct {
	at    time.Time
	run   string
	limit int
}

func (p *paced) RunningRuns(context.Context) ([]event.Run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []event.Run
	for _, r := range p.runs {
		if r.State == event.RunRunning {
			all = append(all, *r)
		}
	}
	return all, nil
}

func (p *paced) StepRun(_ context.Context, id, _ string, limit int) (event.Run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = append(p.steps, pacedStep{time.Now(), id, limit})
	if p.err != nil {
		err := p.err
		p.err = nil
		return event.Run{}, err
	}
	r := p.runs[id]
	r.Done = min(r.Total, r.Done+int64(limit))
	if r.Done == r.Total && r.State == event.RunRunning {
		r.State = event.RunDone
	}
	return *r, nil
}

func running(total int64, rate int) *event.Run {
	return &event.Run{ID: "run", State: event.RunRunning, Total: total, Rate: rate}
}

func TestCarrierKeepsTheRate(t *testing.T) {
	for _, rate := range []int{1, 7, 50, 1000} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			const seconds = 10
			p := &paced{runs: map[string]*event.Run{"run": running(int64(seconds*rate), rate)}}
			var told []int64
			if err := newCarrier(p, zerolog.Nop()).carry(t.Context(), *p.runs["run"], func(r event.Run) { told = append(told, r.Done) }); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < (seconds-2)*time.Second || took > seconds*time.Second {
				t.Errorf("%d events at %d a second took %v", seconds*rate, rate, took)
			}
			if len(told) != len(p.steps) || told[len(told)-1] != int64(seconds*rate) {
				t.Errorf("told %v of %d steps", told, len(p.steps))
			}
			for i, s := range p.steps {
				if s.limit > runStep || i > 0 && s.at.Sub(p.steps[i-1].at) > time.Second {
					t.Errorf("step %d of %d after %v: the lease of a run is not kept so", i, s.limit, s.at.Sub(p.steps[i-1].at))
				}
			}
		})
	}
}

// A slow run holds up no other, a failure is tried again, and what is started
// later, perhaps by another process, is seen.
func TestCarrierCarriesAllRunsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		p := &paced{err: errors.New("the disk is busy"), runs: map[string]*event.Run{"slow": running(1000, 1), "fast": running(100, 100)}}
		for id, r := range p.runs {
			r.ID = id
		}
		ended := make(chan struct{})
		go func() { defer close(ended); newCarrier(p, zerolog.Nop()).run(ctx) }()
		time.Sleep(10 * time.Second)
		p.mu.Lock()
		if p.runs["fast"].State != event.RunDone || p.runs["slow"].Done < 6 || p.runs["slow"].Done > 11 {
			t.Errorf("after ten seconds: fast %+v, slow %+v", p.runs["fast"], p.runs["slow"])
		}
		late := running(10, 50)
		late.ID = "late"
		p.runs["late"] = late
		p.mu.Unlock()
		time.Sleep(5 * time.Second)
		p.mu.Lock()
		if late.State != event.RunDone {
			t.Errorf("the late one is %+v", late)
		}
		p.mu.Unlock()
		stop()
		<-ended
	})
}

// A run that was cut off by a restart goes on where it was.
func TestCarrierGoesOnAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	synctest.Test(t, func(t *testing.T) {
		open := func() *sqlite.DB {
			db, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
		const many = 30
		db := open()
		for n := range many {
			if _, err := db.Put(t.Context(), event.Event{Source: "s", Provider: "p", ProviderID: string(rune('A' + n)), Body: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
		}
		run, err := db.PlanRun(t.Context(), event.Run{Action: event.ActionDismiss, Reason: "no", Rate: 10, Filter: event.Filter{State: event.Pending}})
		if err == nil {
			run, err = db.StartRun(t.Context(), run.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		for restart := range 3 {
			ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
			newCarrier(db, zerolog.Nop()).run(ctx)
			stop()
			if run, err = db.GetRun(t.Context(), run.ID); err != nil || run.Done != int64(10*(restart+1)) {
				t.Fatalf("after start %d: %+v, %v, want ten more", restart, run, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open()
			time.Sleep(time.Minute) // the process that is gone loses the run
		}
		if run.State != event.RunDone || run.Total != many {
			t.Errorf("at the end %+v", run)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// What is started by the API is carried at once, not at the next look.
func TestCarrierIsWokenByAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		p := &paced{runs: map[string]*event.Run{}}
		started := make(chan struct{}, 1)
		c := newCarrier(p, zerolog.Nop())
		c.started = started
		ended := make(chan struct{})
		go func() { defer close(ended); c.run(ctx) }()
		synctest.Wait()
		p.mu.Lock()
		p.runs["run"] = running(1, 1)
		p.mu.Unlock()
		started <- struct{}{}
		synctest.Wait() // no time passes
		p.mu.Lock()
		if p.runs["run"].State != event.RunDone {
			t.Errorf("the run is %+v", p.runs["run"])
		}
		p.mu.Unlock()
		stop()
		<-ended
	})
}
