// Package sqlite is the inbox in one SQLite file: what was received, which of
// it is still to be carried into ERPNext, what was tried, and which documents
// came of it. It knows events, leases and their order; it has never heard of
// HTTP, of a provider's payload or of ERPNext's API.
//
// One goroutine writes. Callers wait in bounded queues and share one
// transaction, which is answered after its commit is on disk
// (synchronous=FULL). Reads go through connections of their own and never wait
// for the writer.
package sqlite

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/seal"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite/walvfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	_ "modernc.org/sqlite" // the driver of the reading connections
)

// Options say how to open an inbox. Path alone is required.
type Options struct {
	Path       string                // of the file, made when it is not there
	Registerer prometheus.Registerer // nil = metrics go nowhere
	Log        zerolog.Logger
	Keys       *seal.Ring       // encrypt bodies, headers and attempts' details; nil = they are plain
	MaxWaiting int              // events that may wait for the disk; 0 = 4096
	MaxWait    time.Duration    // the longest wait for the disk; 0 = 4 s (Shopify gives up after 5)
	Now        func() time.Time // nil = time.Now
}

// DB is an open inbox. It is safe for concurrent use.
type DB struct {
	w       *writer
	read    *sql.DB
	now     func() time.Time
	log     zerolog.Logger
	repeats zerolog.Logger // whoever has one delivery can repeat it for ever
	wake    chan struct{}
	keys    *seal.Ring
	salt    salt

	metrics *metrics
	pulse   pulse
	close   func() error
}

// applicationID marks the file as an inbox ("lhk1"), so that another program's
// database is not taken for one.
const applicationID = 0x6c686b31

// pageSize is a compromise: the index of ids dirties one page per event
// wherever it falls, so small pages make small commits (a tenth more events of
// 2 KB per second than pages of 4096), and a body takes the more pages for it
// (a tenth fewer events of 16 KB).
const pageSize = 2048

// cacheBytes is the writer's memory of pages. Less reads pages of the ids' index
// again and again once there are some 300,000 events. More is slower, too: after
// a page of that index was split, the end of the transaction walks through every
// page in memory (pcache1TruncateUnsafe in SQLite's pcache1.c: the split passes
// through a page number far beyond the file's end). With 16 MiB that was an
// eighth of the writer's work.
const cacheBytes = 8 << 20

// Open opens or makes the inbox at o.Path (mode 0600) and brings its schema up
// to date. It refuses a file that is no inbox, a file it cannot write to and a
// schema newer than its own.
func Open(ctx context.Context, o Options) (*DB, error) {
	db, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open inbox %s: %w", o.Path, err)
	}
	return db, nil
}

func open(ctx context.Context, o Options) (*DB, error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, path); err != nil {
		return nil, err
	}
	if err := walvfs.Register(); err != nil {
		return nil, err
	}
	o.MaxWaiting, o.MaxWait = cmp.Or(o.MaxWaiting, 4096), cmp.Or(o.MaxWait, 4*time.Second)
	// Checkpoints are the keeper's; the log shrinks when it begins anew.
	c, err := connect(ctx, dsn(path, 0, "journal_mode(WAL)", "wal_autocheckpoint(0)", "secure_delete(1)",
		fmt.Sprintf("journal_size_limit(%d)", walBytes), fmt.Sprintf("cache_size(-%d)", cacheBytes>>10))+"&vfs="+walvfs.Name)
	if err != nil {
		return nil, err
	}
	if err := upgrade(c, o.MaxWait); err != nil {
		return nil, errors.Join(err, c.close())
	}
	keep, err := connect(ctx, dsn(path, o.MaxWait))
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	read, err := sql.Open("sqlite", dsn(path, o.MaxWait, "query_only(1)"))
	if err != nil {
		return nil, errors.Join(err, keep.close(), c.close())
	}
	read.SetMaxOpenConns(4)
	return start(o, c, keep, read), nil
}

func start(o Options, c, keep *conn, read *sql.DB) *DB {
	db := &DB{read: read, now: o.Now, log: o.Log, repeats: o.Log.Sample(&zerolog.BurstSampler{Burst: 5, Period: 10 * time.Second}), keys: o.Keys, wake: make(chan struct{}, 1)}
	if db.now == nil {
		db.now = time.Now
	}
	db.metrics = newMetrics(o.Registerer, db)
	k := newKeeper(keep, o.Log)
	db.w = newWriter(c, k, o.MaxWaiting, o.MaxWait, db.metrics)
	go k.run()
	go db.w.run()
	db.close = sync.OnceValue(func() error {
		close(db.w.stop)
		<-db.w.gone
		close(k.work)
		<-k.gone
		db.metrics.unregister()
		// The last one out brings the log into the file and removes it.
		return errors.Join(read.Close(), keep.close(), c.close())
	})
	return db
}

// Close ends the commit in hand, answers Busy to whoever still waits and
// closes the file. It may be called twice.
func (db *DB) Close() error { return db.close() }

// dsn names the file with its settings: given by Exec, they would reach one
// connection of a pool only.
func dsn(path string, wait time.Duration, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}}
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", wait.Milliseconds()))
	// What is sorted stays in memory: a container may have nowhere to write a
	// temporary file, and personal data would lie in it.
	for _, p := range append(pragmas, "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)") {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// prepare makes a new inbox file, or checks that an existing one is an inbox.
func prepare(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	header := make([]byte, 16)
	n, err := io.ReadFull(f, header)
	if err := f.Close(); err != nil {
		return err
	}
	switch {
	case n == 0:
		return format(ctx, path)
	case err != nil || !bytes.Equal(header, []byte("SQLite format 3\x00")):
		return errors.New("it is not a database")
	}
	return nil
}

// format writes the settings that must come before a file's first page.
func format(ctx context.Context, path string) error {
	c, err := connect(ctx, "file:"+(&url.URL{Path: path}).EscapedPath())
	if err != nil {
		return err
	}
	err = c.script(fmt.Sprintf("PRAGMA busy_timeout = 1000; PRAGMA page_size = %d; PRAGMA journal_mode = WAL; PRAGMA application_id = %d", pageSize, applicationID))
	return errors.Join(err, c.close())
}

// upgrade checks whose file it is, proves that it can be written and brings
// the schema up.
func upgrade(c *conn, wait time.Duration) error {
	if err := claimFile(c); err != nil {
		return err
	}
	at, err := c.version()
	if err == nil && at > Newest() {
		return errNewerSchema(at)
	}
	for left := 1; err == nil && left > 0; {
		left, err = upgradeStep(c, wait)
	}
	return storeFault("upgrade", err)
}

// claimFile checks the file's mark. A file without tables and mark is one whose
// making was cut short, and becomes an inbox.
func claimFile(c *conn) error {
	id, err := c.number("PRAGMA application_id")
	if err != nil {
		return storeFault("read", err)
	}
	if id == applicationID {
		return nil
	}
	tables, err := c.number("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return storeFault("read", err)
	}
	if id != 0 || tables != 0 {
		return errors.New("it is the database of another program")
	}
	return storeFault("mark", c.script(fmt.Sprintf("PRAGMA application_id = %d", applicationID)))
}

func upgradeStep(c *conn, wait time.Duration) (int, error) {
	if err := begin(c, wait); err != nil {
		return 0, err
	}
	left, err := step(c, Newest())
	if err == nil {
		err = beat(c, time.Now()) // proves that the file can be written, also when there is nothing to do
	}
	if err == nil {
		_, err = c.exec("COMMIT")
	}
	if err != nil {
		_, _ = c.exec("ROLLBACK")
	}
	return left, err
}

// write runs change in the writer's transaction and answers after the commit.
// change refuses before it changes anything, by its own variables; an error
// from it undoes the transaction.
func (db *DB) write(ctx context.Context, op string, change func(*conn) error) error {
	return db.w.change(ctx, op, change)
}

// signal tells whoever waits on Wake that there may be work.
func (db *DB) signal() {
	select {
	case db.wake <- struct{}{}:
	default: // one is waiting already
	}
}

// Wake gives a signal after each commit that may have brought work, and after
// each claim, since where one event was there may be more. It holds one
// signal: a reader asks Claim until there is nothing left.
func (db *DB) Wake() <-chan struct{} { return db.wake }

// pulse remembers the last proof that the inbox is writable.
type pulse struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// Ready proves that the inbox is writable and its schema the current one, by a
// real write at most once per second; in between, the last answer holds.
func (db *DB) Ready(ctx context.Context) error {
	db.pulse.mu.Lock()
	defer db.pulse.mu.Unlock()
	now := db.now()
	if age := now.Sub(db.pulse.at); age >= 0 && age < time.Second {
		return db.pulse.err
	}
	at := 0
	err := db.write(ctx, "sqlite.Ready", func(c *conn) error {
		var err error
		if at, err = c.version(); err != nil || at != Newest() {
			return err
		}
		return beat(c, now)
	})
	if err == nil && at != Newest() {
		err = busy("sqlite.Ready", fmt.Sprintf("the schema is %d, this program wants %d", at, Newest()), "run server migrate")
	}
	if ctx.Err() == nil {
		db.pulse.at, db.pulse.err = now, err
	}
	return err
}

func beat(c *conn, now time.Time) error {
	_, err := c.exec("UPDATE pulse SET at = ? WHERE one = 1", text(now))
	return err
}
