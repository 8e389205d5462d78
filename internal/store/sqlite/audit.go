package sqlite

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// note writes down a deed in the transaction that does it: none happens without.
func note(c *conn, now string, by event.Actor, action, target, remark string) error {
	actor, err := json.Marshal(by)
	if err != nil {
		return err
	}
	_, err = c.exec("INSERT INTO audit (at, actor, action, target, note) VALUES (?, ?, ?, ?, ?)", now, string(actor), action, target, remark)
	return err
}

// Audit gives what was done, newest first.
func (db *DB) Audit(ctx context.Context, f event.DeedFilter) ([]event.Deed, error) {
	where, args := "seq < ?", []any{cmp.Or(f.Before, 1<<62)}
	if f.Target != "" {
		where, args = where+" AND target = ?", append(args, f.Target)
	}
	var all []event.Deed
	err := db.each(ctx, func(scan func(...any) error) error {
		var d event.Deed
		var at, actor string
		if err := scan(&d.Number, &at, &actor, &d.Action, &d.Target, &d.Note); err != nil {
			return err
		}
		d.At = moment(at)
		all = append(all, d)
		return json.Unmarshal([]byte(actor), &all[len(all)-1].By)
	}, "SELECT seq, at, actor, action, target, note FROM audit WHERE "+where+" ORDER BY seq DESC LIMIT ?",
		append(args, cmp.Or(max(f.Limit, 0), 50))...)
	return all, storeFault("sqlite.Audit", err)
}

// The values of what asked for a replay, beside "auto".
const (
	askedByHand = "manual"
	askedInBulk = "bulk"
)

func countReplays(c *conn, asked string, n int64) error {
	_, err := c.exec("INSERT INTO replays (asked, n) VALUES (?, ?) ON CONFLICT (asked) DO UPDATE SET n = n + excluded.n", asked, n)
	return err
}

// Replays tells how many events were put back to be tried again since the
// inbox was made: "manual" one by one, "bulk" by runs, "auto" by the service.
func (db *DB) Replays(ctx context.Context) (map[string]int64, error) {
	counts := map[string]int64{askedByHand: 0, askedInBulk: 0, "auto": 0}
	err := db.each(ctx, func(scan func(...any) error) error {
		var asked string
		var n int64
		err := scan(&asked, &n)
		counts[asked] = n
		return err
	}, "SELECT asked, n FROM replays")
	return counts, storeFault("sqlite.Replays", err)
}

// SweepDeeds drops what operators did before a time, at most limit deeds and as
// many runs that are over, and tells how many; the oldest go first.
func (db *DB) SweepDeeds(ctx context.Context, before time.Time, limit int) (int, error) {
	total := int64(0)
	err := db.write(ctx, "sqlite.SweepDeeds", func(c *conn) error {
		total = 0
		for _, statement := range []string{
			// Deeds are in the order of time, so only the first are looked at.
			"DELETE FROM audit WHERE seq IN (SELECT seq FROM (SELECT seq, at FROM audit ORDER BY seq LIMIT ?2) WHERE at < ?1)",
			"DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE state IN ('done', 'cancelled') AND ended_at < ?1 LIMIT ?2)",
		} {
			n, err := c.exec(statement, text(before), int64(limit))
			if err != nil {
				return err
			}
			total += n
		}
		return nil
	})
	return int(total), err
}
