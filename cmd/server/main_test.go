package main

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app/chaos"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"server": main, "seed": seed})
}

// TestCommands runs the program as users and scripts do.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			for _, entry := range os.Environ() {
				if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "LEDGERHOOK_") {
					env.Setenv(name, "")
				}
			}
			return reserve(env, "SITE", "PUBLIC", "OPERATOR")
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"answers": answers, "eventually": eventually},
	})
}

// The first signal asks for a stop, the second does not wait for it.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal, 2)
		code := -1
		ctx := until(signals, func(c int) { code = c })
		signals <- syscall.SIGTERM
		synctest.Wait()
		if ctx.Err() == nil || code != -1 {
			t.Errorf("after the first: %v, exit code %d", ctx.Err(), code)
		}
		signals <- os.Interrupt
		synctest.Wait()
		if code != exitUnwell {
			t.Errorf("after the second: exit code %d", code)
		}
	})
}

// reserve names addresses that nobody listens on.
func reserve(env *testscript.Env, names ...string) error {
	addresses, err := chaos.Reserve(len(names))
	for i, address := range addresses {
		env.Setenv(names[i], address)
	}
	return err
}

const patience = 30 * time.Second

// answers ADDRESS waits until somebody listens there.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: answers ADDRESS")
	}
	retry(ts, func() error {
		conn, err := net.Dial("tcp", args[0])
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// eventually PATTERN COMMAND… runs a command again and again until it prints
// what the pattern fits.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN COMMAND…")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	retry(ts, func() error {
		if err := ts.Exec(args[1], args[2:]...); err != nil {
			return err
		}
		if out := ts.ReadFile("stdout"); !pattern.MatchString(out) {
			return fmt.Errorf("printed %s", out)
		}
		return nil
	})
}

func retry(ts *testscript.TestScript, do func() error) {
	late, tick := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		err := do()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			ts.Fatalf("%v", err)
		}
	}
}
