package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// A process that died holds its leases for minutes; the next one on the same
// file takes them back at once.
func TestReturnLeasesTakesOverFromADeadProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	died, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"one", "two", "three"} {
		if _, err := died.Put(t.Context(), event.Event{Source: "s", Provider: "p", ProviderID: id, Subject: "order/" + id, ReceivedAt: time.Now(), Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	first, err := died.Claim(t.Context(), time.Hour)
	if err != nil || first == nil {
		t.Fatal(first, err)
	}
	second, err := died.Claim(t.Context(), time.Hour)
	if err != nil || second == nil {
		t.Fatal(second, err)
	}
	if err := died.Settle(t.Context(), second, event.Outcome{State: event.Done, Result: "done"}); err != nil {
		t.Fatal(err)
	}

	next, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	defer died.Close()
	if n, err := next.ReturnLeases(t.Context()); n != 1 || err != nil {
		t.Fatalf("returned %d, %v, want the one that was in hand", n, err)
	}
	again, err := next.Claim(t.Context(), time.Hour)
	if err != nil || again == nil || again.Event.ID != first.Event.ID || again.Token <= first.Token {
		t.Fatalf("claimed %+v, %v, want the returned event, oldest first, with a higher token", again, err)
	}
	if err := died.Settle(t.Context(), first, event.Outcome{State: event.Done, Result: "done"}); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("the old holder settled: %v", err)
	}
	if n, err := next.ReturnLeases(t.Context()); n != 1 || err != nil {
		t.Errorf("returned %d, %v", n, err)
	}
}
