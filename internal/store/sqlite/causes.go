package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// deadByCause walks the index of dead letters, which holds nothing else.
const deadByCause = `
SELECT e.class, e.reason, e.doctype, e.source, e.topic, count(*), min(e.settled_at), max(e.settled_at), max(e.seq)
FROM events AS e INDEXED BY events_causes WHERE e.state = 'dead'
GROUP BY e.class, e.reason, e.doctype, e.source, e.topic`

// Groups gives the dead letters grouped by their cause, most recent first.
func (db *DB) Groups(ctx context.Context) ([]event.Group, error) {
	const op = "sqlite.Groups"
	all, newest, err := db.groups(ctx)
	if err != nil {
		return nil, storeFault(op, err)
	}
	for i := range all {
		q := db.read.QueryRowContext(ctx, "SELECT id, hint FROM events WHERE seq = ?", newest[i])
		if err := q.Scan(&all[i].Sample, &all[i].Hint); err != nil {
			return nil, storeFault(op, err)
		}
	}
	slices.SortStableFunc(all, func(a, b event.Group) int { return b.LastSeen.Compare(a.LastSeen) })
	return all, nil
}

// groups gives the groups in the index's order, and each one's newest event.
func (db *DB) groups(ctx context.Context) ([]event.Group, []int64, error) {
	var all []event.Group
	var newest []int64
	err := db.each(ctx, func(scan func(...any) error) error {
		var part event.Group
		var source, topic, first, last string
		var seq int64
		if err := scan(&part.Class, &part.Reason, &part.DocType, &source, &topic, &part.Count, &first, &last, &seq); err != nil {
			return err
		}
		part.FirstSeen, part.LastSeen = moment(first), moment(last)
		part.Sources, part.Topics = []string{source}, []string{topic}
		if n := len(all); n > 0 && all[n-1].Cause == part.Cause {
			merge(&all[n-1], part)
			newest[n-1] = max(newest[n-1], seq)
			return nil
		}
		all, newest = append(all, part), append(newest, seq)
		return nil
	}, deadByCause)
	return all, newest, err
}

// merge adds a part of the same cause to a group.
func merge(g *event.Group, part event.Group) {
	g.Count += part.Count
	if part.FirstSeen.Before(g.FirstSeen) {
		g.FirstSeen = part.FirstSeen
	}
	if part.LastSeen.After(g.LastSeen) {
		g.LastSeen = part.LastSeen
	}
	g.Sources, g.Topics = with(g.Sources, part.Sources[0]), with(g.Topics, part.Topics[0])
}

// with adds a text to a sorted list that may hold it.
func with(list []string, text string) []string {
	at, there := slices.BinarySearch(list, text)
	if there {
		return list
	}
	return slices.Insert(list, at, text)
}

// condition is a filter as SQL, but for source and state, by which the
// listing's index is divided.
type condition struct {
	where string
	args  []any
	state event.State
	none  bool // nothing can match
}

func (c *condition) and(text string, args ...any) {
	c.where += " AND " + text
	c.args = append(c.args, args...)
}

func (db *DB) conditionOf(ctx context.Context, f event.Filter) (condition, error) {
	c := condition{state: f.State}
	if f.Topic != "" {
		c.and("e.topic = ?", f.Topic)
	}
	if !f.Since.IsZero() {
		c.and("e.received_at >= ?", text(f.Since))
	}
	if f.Query != "" {
		part := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.Query) + "%"
		c.and(`(e.id LIKE ? ESCAPE '\' OR e.provider_id LIKE ? ESCAPE '\' OR e.subject LIKE ? ESCAPE '\')`, part, part, part)
	}
	if f.Class != "" {
		c.and("e.class = ?", f.Class)
	}
	if f.Group == "" {
		return c, nil
	}
	return c, db.inGroup(ctx, &c, f.Group)
}

// inGroup narrows a condition to the dead letters of one cause.
func (db *DB) inGroup(ctx context.Context, c *condition, id string) error {
	groups, _, err := db.groups(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(groups, func(g event.Group) bool { return g.ID() == id })
	if at < 0 || (c.state != "" && c.state != event.Dead) {
		c.none = true
		return nil
	}
	c.state = event.Dead
	c.and("e.class = ? AND e.reason = ? AND e.doctype = ?", groups[at].Class, groups[at].Reason, groups[at].DocType)
	return nil
}
