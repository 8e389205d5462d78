package chaos

import (
	"context"
	"os"
	"sync/atomic"
	"time"
)

// clockEvery is how soon a clock notices that its file changed.
const clockEvery = 20 * time.Millisecond

// Clock is a machine's clock that is wrong by what a file says, until ctx
// ends: an offset such as "-1h30m". Without a readable offset it is right.
func Clock(ctx context.Context, file string) func() time.Time {
	var offset atomic.Int64
	read := func() {
		text, err := os.ReadFile(file)
		if err != nil {
			return
		}
		if d, err := time.ParseDuration(string(text)); err == nil {
			offset.Store(int64(d))
		}
	}
	read()
	go func() {
		tick := time.NewTicker(clockEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				read()
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
}

// setClock makes the service's clock wrong by d.
func (w *world) setClock(d time.Duration) error {
	next := w.clock + ".next"
	if err := os.WriteFile(next, []byte(d.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(next, w.clock)
}
