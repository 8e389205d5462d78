package chaos

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// server builds the program, as a user would.
func server(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the processes are not built with the race detector: run without -short")
	}
	path := filepath.Join(t.TempDir(), "server")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/ledgerhook/ledgerhook/cmd/server").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// A few kills; `server chaos` does more.
func TestNothingIsLostOrDoubled(t *testing.T) {
	needLinux(t)
	report, err := Run(t.Context(), Options{Server: server(t), Dir: t.TempDir(), Kills: 8, Seed: 11, Out: io.Discard})
	if err != nil {
		t.Fatalf("%v: %+v", err, report)
	}
	if report.Acknowledged == 0 || report.Harm["service killed"] == 0 {
		t.Errorf("nothing was tried: %+v", report)
	}
}

// The bound on time is for a machine of its own; see `server chaos overload`.
func TestOverloadLosesNothing(t *testing.T) {
	needLinux(t)
	load, err := Overload(t.Context(), OverloadOptions{Server: server(t), Time: time.Second, Senders: 128, Slowest: time.Minute, Out: io.Discard})
	if err != nil || load.Acknowledged == 0 {
		t.Fatalf("%v: %+v", err, load)
	}
}

func needLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a full disk and a process's peak memory can be had on Linux only")
	}
}

// openWorld starts a service with its ERPNext, and a shop that sells.
func openWorld(t *testing.T) (*world, *shop) {
	t.Helper()
	w, err := newWorld(server(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stop)
	if err := w.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	shop, err := openShop(t.Context(), w.url, 4, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return w, shop
}

// A disk that is full, or was made read-only, is told at once and loses
// nothing that was acknowledged; room is noticed without a restart.
func TestFullDisk(t *testing.T) {
	needLinux(t)
	w, shop := openWorld(t)
	shop.sell(10)
	pid := w.service.cmd.Process.Pid
	room, err := limitFiles(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	extra := shop.life(order{n: 999})[0]
	status, header := post(t, shop, extra)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("with a full disk an event is answered %d (Retry-After %q)", status, header.Get("Retry-After"))
	}
	for get(t, w.url+"/readyz") != http.StatusServiceUnavailable { // the last proof that there is room holds for a second
		if t.Context().Err() != nil {
			t.Fatal("with a full disk /readyz says that all is well")
		}
	}
	w.service.kill() // with what it has in memory
	if err := w.service.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := limitFiles(w.service.cmd.Process.Pid, 0); err != nil {
		t.Fatal(err)
	}
	if status, _ := post(t, shop, extra); status != http.StatusServiceUnavailable {
		t.Errorf("with a full disk again an event is answered %d", status)
	}
	if _, err := limitFiles(w.service.cmd.Process.Pid, room); err != nil {
		t.Fatal(err)
	}
	if err := shop.deliver(extra); err != nil {
		t.Errorf("with room again: %v", err)
	}
	shop.orders = append(shop.orders, order{n: 999})
	for _, rest := range shop.life(order{n: 999})[1:] {
		if err := shop.deliver(rest); err != nil {
			t.Fatal(err)
		}
	}
	if err := shop.close(); err != nil {
		t.Fatal(err)
	}
	broken, err := w.judge(t.Context(), shop)
	if err != nil || len(broken) > 0 {
		t.Errorf("%v %q", err, broken)
	}
}

func post(t *testing.T, s *shop, w webhook) (int, http.Header) {
	t.Helper()
	for {
		resp, err := s.do(w)
		if err == nil {
			resp.Body.Close()
			return resp.StatusCode, resp.Header
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := probes.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// A judge that never complains would find every run good.
func TestJudgeSeesWhatIsMissing(t *testing.T) {
	w, shop := openWorld(t)
	shop.sell(3)
	if err := shop.close(); err != nil {
		t.Fatal(err)
	}
	shop.events["ev_neverwas"] = "a lost event"
	shop.orders = append(shop.orders, order{n: 100})
	broken, err := w.judge(t.Context(), shop)
	if err != nil || len(broken) != 3 { // the event, the order, its payment
		t.Errorf("%v %q", err, broken)
	}
}

func TestClockIsWrongAsTheFileSays(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := &world{clock: filepath.Join(t.TempDir(), "clock")}
	now := Clock(ctx, w.clock)
	if off := time.Until(now()); off.Abs() > time.Minute {
		t.Errorf("without a file the clock is wrong by %s", off)
	}
	if err := w.setClock(-2 * time.Hour); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Until(now()) > -time.Hour {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the clock did not move")
		}
	}
	if _, err := os.Stat(w.clock + ".next"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}
