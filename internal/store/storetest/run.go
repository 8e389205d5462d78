package storetest

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Run checks everything an inbox promises. open gives a new, empty store with
// time.Now as its clock; the suite closes it. Time is faked, so a store must
// come to rest without sockets of its own; a backend behind a socket gives a
// clock instead when it joins.
func Run(t *testing.T, open func(t *testing.T) Store) {
	groups := map[string]map[string]func(bench){
		"Put": puts, "Claim": claims, "Settle": settles, "Operate": operations, "Memory": memory, "Retention": retention,
	}
	for name, group := range groups {
		t.Run(name, func(t *testing.T) {
			for name, test := range group {
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := open(t)
						test(bench{t, s})
						if err := s.Close(); err != nil {
							t.Errorf("close: %v", err)
						}
					})
				})
			}
		})
	}
}

var _ = []any{slices.Contains[[]int], cmp.Diff, cmpopts.EquateEmpty, fault.Busy, event.Done, time.Now}
