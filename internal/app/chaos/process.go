package chaos

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// process is one child that is killed and started again.
type process struct {
	server string
	args   func() []string // anew for each start
	env    []string
	log    string // file that keeps its standard error over all starts
	probe  string // URL that answers 200 when it is up
	cmd    *exec.Cmd
	file   *os.File
}

// startWithin is how long a start may take before something is wrong.
const startWithin = time.Minute

func (p *process) start(ctx context.Context) error {
	file, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	p.file = file
	p.cmd = exec.Command(p.server, p.args()...)
	p.cmd.Env, p.cmd.Stderr = p.env, file
	if err := p.cmd.Start(); err != nil {
		return err
	}
	return p.awaitReady(ctx)
}

// awaitReady waits until the process answers its probe.
func (p *process) awaitReady(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	wait := time.NewTicker(10 * time.Millisecond)
	defer wait.Stop()
	for {
		req, err := http.NewRequestWithContext(bounded, http.MethodGet, p.probe, nil)
		if err != nil {
			return err
		}
		resp, err := probes.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-wait.C:
		case <-bounded.Done():
			return fmt.Errorf("%s %v did not get ready; see %s", p.server, p.cmd.Args[1:], p.log)
		}
	}
}

// probes are asked with a client of their own: no connection outlives a kill.
var probes = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

// kill ends the process as a power cut does: nothing is flushed, closed or
// handed back.
func (p *process) kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended by itself: the start says so
	_ = p.cmd.Wait()
	_ = p.file.Close()
	p.cmd = nil
}
