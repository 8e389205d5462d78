package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"
)

// harm is what is done to the world.
type harm struct {
	world *world
	dice  *rand.Rand
	done  map[string]int
}

// kinds of harm and how often each is drawn. Those that kill count as kills.
var kinds = []struct {
	name   string
	weight int
	kills  int
	do     func(*harm, context.Context) error
}{
	{"service killed", 40, 1, (*harm).killService},
	{"ERPNext killed", 15, 1, (*harm).killSite},
	{"both killed", 5, 2, (*harm).killBoth},
	{"service frozen", 6, 0, func(h *harm, ctx context.Context) error { return h.freeze(ctx, h.world.service) }},
	{"ERPNext frozen", 6, 0, func(h *harm, ctx context.Context) error { return h.freeze(ctx, h.world.site) }},
	{"disk does not answer", 8, 0, (*harm).stallDisk},
	{"disk full", 8, 0, (*harm).fillDisk},
	{"clock jumped", 8, 0, (*harm).moveClock},
}

// next waits a moment, does one thing, and tells how many processes it killed.
func (h *harm) next(ctx context.Context) (int, error) {
	if err := h.wait(ctx, 20*time.Millisecond, 300*time.Millisecond); err != nil {
		return 0, err
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	drawn := h.dice.IntN(total)
	for _, k := range kinds {
		if drawn -= k.weight; drawn < 0 {
			if err := k.do(h, ctx); err != nil {
				return k.kills, fmt.Errorf("%s: %w", k.name, err)
			}
			h.done[k.name]++
			return k.kills, nil
		}
	}
	return 0, nil
}

// wait lets between least and most pass.
func (h *harm) wait(ctx context.Context, least, most time.Duration) error {
	select {
	case <-time.After(least + time.Duration(h.dice.Int64N(int64(most-least)))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *harm) killService(ctx context.Context) error {
	h.world.service.kill()
	if err := h.wait(ctx, 0, 100*time.Millisecond); err != nil {
		return err
	}
	return h.world.service.start(ctx)
}

func (h *harm) killSite(ctx context.Context) error {
	h.world.site.kill()
	if err := h.wait(ctx, 0, 500*time.Millisecond); err != nil {
		return err
	}
	h.world.faults = h.drawFaults()
	return h.world.site.start(ctx)
}

func (h *harm) killBoth(ctx context.Context) error {
	h.world.service.kill()
	return errors.Join(h.killSite(ctx), h.world.service.start(ctx))
}

// siteFaults are the ways in which the ERPNext fails while it is up.
var siteFaults = []string{
	"commit-then-reset", "commit-then-502", "502-html", "503-html", "504-html", "deadlock-500", "deadlock-508", "lock-timeout",
	"429", "429-no-retry-after", "db-down", "delay-before-commit,delay=200ms", "delay-after-commit,delay=200ms", "transient-404",
}

func (h *harm) drawFaults() string {
	var list []string
	for range h.dice.IntN(4) {
		list = append(list, fmt.Sprintf("kind=%s,rate=%.2f", siteFaults[h.dice.IntN(len(siteFaults))], 0.02+0.1*h.dice.Float64()))
	}
	return strings.Join(list, ";")
}

// freeze stops a process in the middle of whatever it does, and lets it go on.
func (h *harm) freeze(ctx context.Context, p *process) error {
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	waited := h.wait(ctx, 100*time.Millisecond, 1500*time.Millisecond)
	return errors.Join(waited, p.cmd.Process.Signal(syscall.SIGCONT))
}

// stallDisk keeps the inbox from being written, as a disk that hangs does.
func (h *harm) stallDisk(ctx context.Context) error {
	db, err := sql.Open("sqlite", "file:"+h.world.inbox+"?_txlock=immediate&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	return errors.Join(h.wait(ctx, 100*time.Millisecond, 3*time.Second), tx.Rollback())
}

// fillDisk lets the service write nothing, and then again.
func (h *harm) fillDisk(ctx context.Context) error {
	before, err := limitFiles(h.world.service.cmd.Process.Pid, 0)
	if err != nil {
		return err
	}
	waited := h.wait(ctx, 100*time.Millisecond, 2*time.Second)
	_, err = limitFiles(h.world.service.cmd.Process.Pid, before)
	return errors.Join(waited, err)
}

// moveClock sets the service's clock wrong for a while.
func (h *harm) moveClock(ctx context.Context) error {
	by := time.Duration(h.dice.Int64N(int64(6*time.Hour))) - 3*time.Hour
	if err := h.world.setClock(by); err != nil {
		return err
	}
	return errors.Join(h.wait(ctx, 200*time.Millisecond, 2*time.Second), h.world.setClock(0))
}

// end leaves the world unharmed: an ERPNext without faults and a clock that is
// right.
func (h *harm) end(ctx context.Context) error {
	h.world.site.kill()
	h.world.faults = ""
	return errors.Join(h.world.setClock(0), h.world.site.start(ctx))
}
