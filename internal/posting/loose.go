package posting

import (
	"context"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// loosePayments is the kind under which the memory keeps the payments that
// name an order and are not allocated to it: they came too early and waited in
// vain, or the order was cancelled. It is no DocType of ERPNext. If the order
// comes, or comes back, they are linked to it.
const loosePayments = "Loose Payments"

// loose lists the payments that wait under the given keys of an order.
func (p *Poster) loose(ctx context.Context, keys ...string) ([]string, error) {
	var names []string
	for _, key := range keys {
		doc, ok, err := p.Memory.Document(ctx, loosePayments, key)
		if err != nil {
			return nil, memoryError("posting.memory", err)
		}
		if !ok {
			continue
		}
		for name := range strings.SplitSeq(doc.Data["names"], "\n") {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// addLoose adds payments to those that wait under the keys of an order.
func (p *Poster) addLoose(ctx context.Context, payments []string, keys ...string) error {
	if len(payments) == 0 {
		return nil
	}
	for _, key := range keys {
		names, err := p.loose(ctx, key)
		if err != nil {
			return err
		}
		for _, name := range payments {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		doc := event.Document{DocType: loosePayments, Key: key, Data: map[string]string{"names": strings.Join(names, "\n")}}
		if err := p.Memory.Remember(ctx, "", doc); err != nil {
			return memoryError("posting.memory", err)
		}
	}
	return nil
}

// renameLoose puts a payment's successor in its place among those that wait
// under the keys of an order.
func (p *Poster) renameLoose(ctx context.Context, old, successor string, keys ...string) error {
	for _, key := range keys {
		names, err := p.loose(ctx, key)
		if err != nil {
			return err
		}
		i := slices.Index(names, old)
		if i < 0 {
			continue
		}
		if err := p.tied(ctx, key); err != nil {
			return err
		}
		names[i] = successor
		if err := p.addLoose(ctx, names, key); err != nil {
			return err
		}
	}
	return nil
}

// tied forgets the loose payments of an order: they are linked now.
func (p *Poster) tied(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := p.Memory.Forget(ctx, loosePayments, key); err != nil {
			return memoryError("posting.memory", err)
		}
	}
	return nil
}
