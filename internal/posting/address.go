package posting

import (
	"context"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

// places gives the address fields of a Sales Order: one Address per distinct
// address of a customer, never overwritten, so that old documents keep theirs.
// An address that ERPNext cannot hold is left out.
func (w *orderWork) places(ctx context.Context, customer string) (map[string]any, error) {
	fields := map[string]any{}
	for _, p := range []struct {
		field, kind string
		address     *commerce.Address
	}{
		{"customer_address", "Billing", w.order.BillTo}, {"shipping_address_name", "Shipping", w.order.ShipTo},
	} {
		if p.address == nil {
			continue
		}
		name, err := w.address(ctx, customer, p.kind, *p.address)
		if err != nil {
			return nil, err
		}
		if name != "" {
			fields[p.field] = name
		}
	}
	return fields, nil
}

// address finds or makes the Address of a customer, and gives ERPNext's name.
func (w *orderWork) address(ctx context.Context, customer, kind string, a commerce.Address) (string, error) {
	key := w.addressKey(customer, a)
	doc, ok, err := w.Memory.Document(ctx, erpnext.DocAddress, key)
	if err != nil || ok {
		return doc.Name, memoryError("posting.address", err)
	}
	wanted, whole := w.books.Address(a, customer, kind, key)
	if !whole {
		return "", nil
	}
	var stored erpnext.Stored
	if _, err := w.Site.Ensure(ctx, erpnext.DocAddress, key, wanted, &stored); err != nil {
		return "", err
	}
	return stored.Name, w.rememberAddress(ctx, key, stored.Name)
}

func (w *orderWork) addressKey(customer string, a commerce.Address) string {
	return w.origin.Key("address", sum(customer)+"/"+mapping.AddressDigest(a))
}

func (w *orderWork) rememberAddress(ctx context.Context, key, name string) error {
	return memoryError("posting.address", w.Memory.Remember(ctx, "", event.Document{DocType: erpnext.DocAddress, Key: key, Name: name}))
}
