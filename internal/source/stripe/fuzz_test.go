package stripe

import (
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// FuzzOpen: whatever is signed either is malformed or becomes an event that can
// be named, whose body is what was signed.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(eventBody(wholeCharge)))
	f.Add([]byte(`{"id":"evt_1","object":"v2.core.event","type":"v1.x","created":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"id":1,"object":"event","type":"x"}`))
	f.Add([]byte(`[]`))
	s := source(f, secretA)
	f.Fuzz(func(t *testing.T, body []byte) {
		ev, err := s.Open(t.Context(), signed(secretA, arrival, string(body)), body, arrival)
		switch {
		case err != nil && fault.KindOf(err) != fault.Malformed:
			t.Fatalf("kind %v", fault.KindOf(err))
		case err == nil && (!strictjson.PlainID(ev.Topic) || !strictjson.PlainID(ev.ProviderID) || string(ev.Body) != string(body)):
			t.Fatalf("got %+v", ev)
		}
	})
}
