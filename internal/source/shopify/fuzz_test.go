package shopify

import (
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// FuzzOpen: whatever is signed under whatever headers either is malformed or
// becomes an event that can be named, whose body is what was signed.
func FuzzOpen(f *testing.F) {
	f.Add("orders/create", "delivery-1", "acme.myshopify.com", "2026-03-01T12:00:00Z", []byte(wholeOrder))
	f.Add("customers/redact", "delivery-1", "", "yesterday", []byte(redact))
	f.Add("orders/create", "a b", "x", "", []byte(`{"id":1}`))
	f.Add("shop/redact", "é", "x", "", []byte("[]"))
	s := source(f, secretA)
	f.Fuzz(func(t *testing.T, topic, id, shop, at string, body []byte) {
		h, err := s.Sign(body, topic, id, time.Unix(0, 0))
		if err != nil {
			t.Skip("not to be signed")
		}
		h.Set("X-Shopify-Shop-Domain", shop)
		h.Set("X-Shopify-Triggered-At", at)
		ev, err := s.Open(t.Context(), h, body, time.Unix(0, 0))
		switch {
		case err != nil && len(body) == 0: // never signed by Shopify
		case err != nil && fault.KindOf(err) != fault.Malformed:
			t.Fatalf("kind %v", fault.KindOf(err))
		case err == nil && (!strictjson.PlainID(ev.Topic) || !strictjson.PlainID(ev.ProviderID) || string(ev.Body) != string(body)):
			t.Fatalf("got %+v", ev)
		}
	})
}
