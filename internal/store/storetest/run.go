package storetest

import (
	"testing"
	"testing/synctest"
)

// Run checks everything an inbox promises. open gives a new, empty store whose
// clock is time.Now; the suite closes it. Time is faked, so a store must come
// to rest without sockets of its own.
func Run(t *testing.T, open func(t *testing.T) Store) {
	groups := map[string]map[string]func(inbox){
		"Put": puts, "Claim": claims, "Clock": clocks, "Settle": settles, "Operate": operations, "Memory": memory, "Retention": retention, "Heartbeat": heartbeat, "Privacy": personal,
		"Causes": causes, "Runs": runs, "Audit": audits, "Pause": pauses, "Rejected": rejections,
	}
	for name, group := range groups {
		t.Run(name, func(t *testing.T) {
			for name, test := range group {
				t.Run(name, func(t *testing.T) { bubble(t, open, test) })
			}
		})
	}
	t.Run("Order", func(t *testing.T) { order(t, open) })
}

func bubble(t *testing.T, open func(t *testing.T) Store, test func(inbox)) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		defer func() { // also after a fatal failure, or the bubble never ends
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}()
		test(inbox{t, s})
	})
}
