package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

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
			return nil
		},
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
