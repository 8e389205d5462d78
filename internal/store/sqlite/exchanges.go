package sqlite

import (
	"encoding/json"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// keepExchanges keeps the calls of one attempt.
func keepExchanges(c *conn, seq, number int64, calls []event.Exchange) error {
	if len(calls) == 0 {
		return nil
	}
	text, err := json.Marshal(calls)
	if err != nil {
		return err
	}
	_, err = c.exec("INSERT INTO exchanges (seq, number, calls) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET calls = excluded.calls", seq, number, string(text))
	return err
}

func readExchanges(text string) ([]event.Exchange, error) {
	if text == "" {
		return nil, nil
	}
	var calls []event.Exchange
	err := json.Unmarshal([]byte(text), &calls)
	return calls, err
}
