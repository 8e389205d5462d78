package app

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// A part that does not end, whatever it is told, does not hold the process.
func TestAStopThatHangsIsBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended []string
		release := make(chan struct{})
		a := &App{log: zerolog.Nop(), stopIn: stopWithin}
		a.onStop("inbox", func(context.Context) error { ended = append(ended, "inbox"); return nil })
		a.onStop("deaf", func(context.Context) error { <-release; return nil })
		a.onStop("listener", func(context.Context) error { ended = append(ended, "listener"); return nil })
		began := time.Now()
		err := a.stop(t.Context())
		if took := time.Since(began); !errors.Is(err, errStopBound) || took != 35*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		synctest.Wait()
		if !slices.Equal(ended, []string{"listener"}) || a.Ready(t.Context()) == nil {
			t.Errorf("ended %v, or it is still ready", ended)
		}
		close(release)
		synctest.Wait()
	})
}

// The parts of a stop end in the reverse order of the start, and one that fails
// keeps no other from ending.
func TestAStopWalksBack(t *testing.T) {
	var ended []string
	a := &App{log: zerolog.Nop(), stopIn: time.Minute}
	for _, name := range []string{"store", "alerts", "workers", "listener"} {
		a.onStop(name, func(context.Context) error { ended = append(ended, name); return errors.New("failed") })
	}
	err := a.stop(t.Context())
	if err == nil || !slices.Equal(ended, []string{"listener", "workers", "alerts", "store"}) {
		t.Errorf("ended %v, %v", ended, err)
	}
	if err := a.stop(t.Context()); err != nil || len(ended) != 4 {
		t.Errorf("a second time: %v, %v", ended, err)
	}
}
