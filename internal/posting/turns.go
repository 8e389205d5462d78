package posting

import (
	"context"
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

func (t *turns) leave(name string, tn *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tn.users--; tn.users == 0 {
		delete(t.waiting, name)
	}
}
