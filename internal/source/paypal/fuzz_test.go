package paypal

import (
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// FuzzOpen: whatever is signed either is malformed or becomes an event that can
// be named, whose body is what was signed and must stay the only one.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(saleBody))
	f.Add([]byte(`{"id":"WH-1","event_type":"CUSTOMER.DISPUTE.CREATED","resource_type":"dispute","resource":{"dispute_id":"PP-D-1","disputed_transactions":[{"seller_transaction_id":"T"}]}}`))
	f.Add([]byte(`{"id":"WH 1","event_type":"x"}`))
	f.Add([]byte(`null`))
	s := source(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		ev, err := s.Open(t.Context(), signed(t, signer(), string(body)), body, arrival)
		switch {
		case err != nil && fault.KindOf(err) != fault.Malformed:
			t.Fatalf("kind %v", fault.KindOf(err))
		case err == nil && (!strictjson.PlainID(ev.Topic) || !strictjson.PlainID(ev.ProviderID) || string(ev.Body) != string(body) || !ev.StrictBody || ev.DeliveryID == ""):
			t.Fatalf("got %+v", ev)
		}
	})
}
