package sqlite

import (
	"sync/atomic"

	"github.com/rs/zerolog"
)

// Bounds of the write-ahead log, in pages. The keeper brings it into the file
// every keepPages or so: seldom enough that a page of the ids' index, which
// changes all the time, is written once for many changes. When writers are
// faster than that, they stop for a moment at longPages. A reader that stays
// long can hold both up; afterwards the log shrinks back to walBytes.
const (
	keepPages = 12000
	longPages = 24000
	walBytes  = 64 << 20
)

// keeper brings the write-ahead log into the file beside the writer, on a
// connection of its own, so that a commit seldom waits for it.
type keeper struct {
	c       *conn
	log     zerolog.Logger
	work    chan struct{}
	gone    chan struct{}
	tooLong atomic.Bool

	every, long int64 // keepPages and longPages, less in a test
	pages       int64 // the writer's estimate since the last signal
}

func newKeeper(c *conn, log zerolog.Logger) *keeper {
	return &keeper{c: c, log: log, work: make(chan struct{}, 1), gone: make(chan struct{}), every: keepPages, long: longPages}
}

// wrote is told of each commit; it only estimates.
func (k *keeper) wrote(batch []*request) {
	for _, r := range batch {
		k.pages += 4 + r.size()/pageSize
	}
	if k.pages < k.every {
		return
	}
	k.pages = 0
	select {
	case k.work <- struct{}{}:
	default:
	}
}

func (k *keeper) run() {
	defer close(k.gone)
	for range k.work {
		var length int64
		err := k.c.query("PRAGMA wal_checkpoint(PASSIVE)", nil, func(r row) { length = r.int(1) })
		if err != nil {
			k.log.Warn().Err(err).Msg("inbox log not brought into the file")
		}
		if length > k.long {
			k.tooLong.Store(true)
		}
	}
}
