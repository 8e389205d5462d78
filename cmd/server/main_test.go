package main

import (
	"fmt"
	"io"
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

// TestExitCodes holds what scripts rely on: 1 when the thing asked about is not
// well, 2 when the question or the configuration is wrong.
func TestExitCodes(t *testing.T) {
	for name, value := range map[string]string{
		"ERPNEXT_URL": "http://127.0.0.1:1", "ERPNEXT_API_KEY": "k", "ERPNEXT_API_SECRET": "s", "SHOPIFY_SECRETS": "x", "ADDR": "127.0.0.1:1",
	} {
		t.Setenv("LEDGERHOOK_"+name, value)
	}
	for line, want := range map[string]int{
		"version": 0, "check": 0, "nonsense": exitUsage, "check other.yaml": exitUsage, "check --nonsense": exitUsage, "events": exitUsage,
		"events nonsense": exitUsage, "events list --limit x": exitUsage, "events show": exitUsage, "events replay": exitUsage, "events replay a b": exitUsage,
		"events dismiss": exitUsage, "status": exitUnwell, "events show abcdef": exitUnwell, "healthcheck": exitUnwell, "healthcheck here": exitUsage,
		"doctor": exitUnwell, "doctor --json": exitUnwell, "setup": exitUsage, "init --out -": exitUnwell, "send": exitUsage, "send nosuch": exitUsage,
		"send shopify": exitUnwell, "send shopify --count x": exitUsage, "bench --clients 0": exitUsage, "demo now": exitUsage,
		"sandbox --version 3": exitUsage, "privacy": exitUsage, "privacy find ann@example.com": exitUsage, "privacy erase x": exitUsage,
		"migrate --to 99": exitUsage, "migrate up": exitUsage, "pause a b": exitUsage, "chaos nonsense": exitUsage,
	} {
		t.Setenv("LEDGERHOOK_DATABASE_URL", "sqlite:"+t.TempDir()+"/none.db")
		command, code := root(), 0
		command.Writer, command.ErrWriter = io.Discard, io.Discard
		err := command.Run(t.Context(), append([]string{"server"}, strings.Fields(line)...))
		if err != nil {
			code = exitCode(err)
		}
		if code != want {
			t.Errorf("server %s: exit code %d, %v; want %d", line, code, err, want)
		}
		if err != nil && len(err.Error()) < 25 {
			t.Errorf("server %s says %q, and not what to do", line, err)
		}
	}
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
