package sqlite

import (
	"context"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// Beat makes the service's own event pending and due now, and answers once
// that is on disk. There is one such event for ever, so that beats do not fill
// the inbox: the first one is put, later ones take its row again and drop its
// history. It answers false, and changes nothing, while the last beat is still
// pending.
func (db *DB) Beat(ctx context.Context) (bool, error) {
	again := false
	err := db.write(ctx, "sqlite.Beat", func(c *conn) error {
		var err error
		again, err = beatAgain(c, text(db.now()))
		return err
	})
	if err != nil {
		return false, err
	}
	if again {
		db.signal()
		return true, nil
	}
	receipt, err := db.Put(ctx, event.Event{
		Source: event.Heartbeat, Provider: event.Heartbeat, ProviderID: event.Heartbeat, Topic: event.Heartbeat,
	})
	return err == nil && !receipt.Duplicate, err
}

// beatAgain takes the settled beat's row for the next one; false when there is
// none.
func beatAgain(c *conn, now string) (bool, error) {
	seq, err := c.number(`
UPDATE events SET state = 'pending', received_at = ?, due_at = ?, settled_at = '', leased_until = '',
  token = token + 1, tries = 0, class = '', reason = '', hint = ''
WHERE id = ? AND state <> 'pending' RETURNING seq`, now, now, event.NewID(event.Heartbeat, event.Heartbeat))
	if err != nil || seq == 0 {
		return false, err
	}
	for _, history := range []string{"DELETE FROM attempts WHERE seq = ?", "DELETE FROM exchanges WHERE seq = ?"} {
		if _, err := c.exec(history, seq); err != nil {
			return false, err
		}
	}
	return true, nil
}
