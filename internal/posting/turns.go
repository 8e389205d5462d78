package posting

import (
	"context"
	"slices"
	"sync"
)

// turns lets callers take turns by name: ERPNext's own guards (order number,
// allocation, customer name) are read-then-write and lose under concurrency, so
// what concerns one customer must be serial here.
type turns struct {
	mu      sync.Mutex
	waiting map[string]*turn
}

type turn struct {
	token chan struct{} // holds one token while nobody has the turn
	users int
}

// take waits for the turn of a name and gives the function that ends it.
func (t *turns) take(ctx context.Context, name string) (func(), error) {
	t.mu.Lock()
	if t.waiting == nil {
		t.waiting = map[string]*turn{}
	}
	tn := t.waiting[name]
	if tn == nil {
		tn = &turn{token: make(chan struct{}, 1)}
		tn.token <- struct{}{}
		t.waiting[name] = tn
	}
	tn.users++
	t.mu.Unlock()

	select {
	case <-tn.token:
		return func() { tn.token <- struct{}{}; t.leave(name, tn) }, nil
	case <-ctx.Done():
		t.leave(name, tn)
		return nil, ctx.Err()
	}
}

// takeAll waits for the turns of several names, in an order that is the same
// for everybody, and gives the function that ends them all.
func (t *turns) takeAll(ctx context.Context, names []string) (func(), error) {
	var ends []func()
	endAll := func() {
		for _, end := range ends {
			end()
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		end, err := t.take(ctx, name)
		if err != nil {
			endAll()
			return nil, err
		}
		ends = append(ends, end)
	}
	return endAll, nil
}

func (t *turns) leave(name string, tn *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tn.users--; tn.users == 0 {
		delete(t.waiting, name)
	}
}
