package app

import (
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/rs/zerolog"
)

// fixed is a source whose events all say the same.
type fixed struct {
	source
	content commerce.Content
}

func (f fixed) Provider() string                             { return "shopify" }
func (f fixed) Decode(event.Event) (commerce.Content, error) { return f.content, nil }

func TestDeliverHandsPrivacyRequestsToTheDesk(t *testing.T) {
	cfg := config.Config{DatabasePath: t.TempDir() + "/inbox.db"}
	inbox, err := OpenInbox(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer inbox.Close()
	request := commerce.Content{Privacy: &commerce.Privacy{Kind: commerce.PrivacyRedact, RequestID: "1", Email: "ada@example.com"}}
	d := &deliverer{sources: map[string]source{"shop": fixed{content: request}, "shop2": fixed{}}, desk: newDesk(cfg, inbox)}
	ev := event.Event{ID: "ev_1", Source: "shop", Provider: "shopify", Body: []byte(`{"email":"ada@example.com"}`)}
	got, err := d.Deliver(t.Context(), &event.Claim{Event: ev})
	if err != nil || !got.Erase || !got.Offline || got.Warn == nil || len(got.Traces) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if others := d.otherShops(ev); len(others) != 1 || !others["shop2"] {
		t.Errorf("others: %v", others)
	}
}

func TestDeliverWaitsForTheKeyOfABody(t *testing.T) {
	_, err := (&deliverer{}).Deliver(t.Context(), &event.Claim{Event: event.Event{Unreadable: "its key is not configured"}})
	if f := fault.As(err); f == nil || f.Kind != fault.Sealed || f.Kind.Retry() != fault.Slowly || f.Hint == "" {
		t.Errorf("got %v, want sealed with a hint", err)
	}
}
