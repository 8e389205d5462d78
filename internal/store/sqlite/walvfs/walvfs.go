// Package walvfs writes SQLite's write-ahead log in few, long writes.
//
// SQLite appends a transaction to its log page by page, and each page with two
// writes: a header of 24 bytes and the page. A commit of thirty webhooks is two
// hundred system calls, which cost about as much as bringing it to disk. The
// VFS of this package is the system's own, but for the log: there it keeps
// writes that follow each other and hands them to the system together, before
// anything else is done to the file.
//
// It changes nothing about what is safe when. With synchronous=FULL SQLite
// syncs the log before it tells anyone of a transaction's pages (walFrames in
// SQLite's wal.c: write, sync, then the index in shared memory), and a sync
// here first hands over what was kept. What is lost with the process was in no
// transaction that ended. A failure to write is reported by the call that
// handed over, at the latest by the sync, and by every later one until the
// transaction has ended, which then can only be rolled back.
//
// A transaction larger than the page cache writes to the log before it ends and
// may be rolled back with some of that still kept. Once the lock on writing is
// released, another connection's pages belong in its place, so before that it is
// dropped: of the database's file the VFS takes over the calls that lock.
//
// A connection with another setting of synchronous than FULL, or with
// locking_mode=EXCLUSIVE or psow=0, must not use it: others would be told of
// pages that they cannot read yet, or no lock would tell of a transaction's end.
package walvfs

import (
	"errors"
	"sync"
	"unsafe"

	"modernc.org/libc"
	_ "modernc.org/sqlite" // sets the library up before its first use
	sqlite3 "modernc.org/sqlite/lib"
)

// Name is how a DSN asks for it: "vfs=" + Name.
const Name = "ledgerhook"

// kept bounds what waits in memory, per log. SQLite's own VFS writes no more
// than 128 KiB with one call.
const kept = 64 << 10

// Register makes the VFS known to SQLite; it may be called again and again.
func Register() error { return register() }

var register = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	system := sqlite3.Xsqlite3_vfs_find(tls, 0)
	if system == 0 {
		return errors.New("SQLite has no VFS for this system")
	}
	ours, err := copied(tls, at[sqlite3.Tsqlite3_vfs](system))
	if err != nil {
		return err
	}
	vfs := at[sqlite3.Tsqlite3_vfs](ours)
	openSystem = function[opener](vfs.FxOpen)
	vfs.FxOpen = address[opener](open)
	if vfs.FzName, err = libc.CString(Name); err != nil {
		return err
	}
	if rc := sqlite3.Xsqlite3_vfs_register(tls, ours, 0); rc != sqlite3.SQLITE_OK {
		return errors.New("SQLite refused the VFS")
	}
	return nil
})

var (
	openSystem opener
	logs       sync.Map // the open logs (*log) by the address of SQLite's sqlite3_file
	databases  sync.Map // the same by that of their database's
)

// The signatures of sqlite3_vfs and sqlite3_io_methods. A file is SQLite's
// sqlite3_file; results are SQLite's codes.
type (
	opener   = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	reader   = func(tls *libc.TLS, file, into uintptr, n int32, offset int64) int32
	writer   = func(tls *libc.TLS, file, from uintptr, n int32, offset int64) int32
	truncate = func(tls *libc.TLS, file uintptr, size int64) int32
	syncer   = func(tls *libc.TLS, file uintptr, flags int32) int32
	sizer    = func(tls *libc.TLS, file, size uintptr) int32
	closer   = func(tls *libc.TLS, file uintptr) int32
	locker   = func(tls *libc.TLS, file uintptr, first, n, flags int32) int32
)

// log is an open write-ahead log.
type log struct {
	file, db methods // of the log, and of its database as long as the log is open
	system   struct {
		read     reader
		write    writer
		truncate truncate
		sync     syncer
		size     sizer
		close    closer
		lock     locker // of the database
	}
	buf    uintptr // room for what is kept
	n      int32   // how many bytes are kept
	start  int64   // where in the file they belong
	failed int32   // why this transaction lost what was kept from start on, or SQLITE_OK
}

// open opens any file as the system does, and takes the methods of a log over.
func open(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32 {
	rc := openSystem(tls, vfs, name, file, flags, outFlags)
	if rc == sqlite3.SQLITE_OK && flags&sqlite3.SQLITE_OPEN_WAL != 0 {
		takeOver(tls, file, sqlite3.Xsqlite3_database_file_object(tls, name))
	}
	return rc
}

// takeOver leaves the log to the system when there is no memory for more.
func takeOver(tls *libc.TLS, file, db uintptr) {
	l := new(log)
	if !l.file.of(tls, file) {
		return
	}
	if !l.db.of(tls, db) {
		l.file.restore(tls)
		return
	}
	if l.buf = libc.Xmalloc(tls, kept); l.buf == 0 {
		l.db.restore(tls)
		l.file.restore(tls)
		return
	}
	m := l.file.ours()
	l.system.read, m.FxRead = function[reader](m.FxRead), address[reader](readLog)
	l.system.write, m.FxWrite = function[writer](m.FxWrite), address[writer](writeLog)
	l.system.truncate, m.FxTruncate = function[truncate](m.FxTruncate), address[truncate](truncateLog)
	l.system.sync, m.FxSync = function[syncer](m.FxSync), address[syncer](syncLog)
	l.system.size, m.FxFileSize = function[sizer](m.FxFileSize), address[sizer](sizeLog)
	l.system.close, m.FxClose = function[closer](m.FxClose), address[closer](closeLog)
	m = l.db.ours()
	l.system.lock, m.FxShmLock = function[locker](m.FxShmLock), address[locker](lockDatabase)
	logs.Store(file, l)
	databases.Store(db, l)
}

// methods are a file's own copy of the system's sqlite3_io_methods.
type methods struct{ file, system uintptr }

func (m *methods) of(tls *libc.TLS, file uintptr) bool {
	f := at[sqlite3.Tsqlite3_file](file)
	ours, err := copied(tls, at[sqlite3.Tsqlite3_io_methods](f.FpMethods))
	if err != nil {
		return false
	}
	m.file, m.system, f.FpMethods = file, f.FpMethods, ours
	return true
}

func (m *methods) ours() *sqlite3.Tsqlite3_io_methods {
	return at[sqlite3.Tsqlite3_io_methods](at[sqlite3.Tsqlite3_file](m.file).FpMethods)
}

func (m *methods) restore(tls *libc.TLS) {
	f := at[sqlite3.Tsqlite3_file](m.file)
	libc.Xfree(tls, f.FpMethods)
	f.FpMethods = m.system
}

func of(files *sync.Map, file uintptr) *log {
	l, _ := files.Load(file)
	return l.(*log)
}

func writeLog(tls *libc.TLS, file, from uintptr, n int32, offset int64) int32 {
	l := of(&logs, file)
	if l.failed != sqlite3.SQLITE_OK {
		return l.failed
	}
	follows := offset == l.start+int64(l.n)
	if !follows || l.n+n > kept {
		if rc := l.handOver(tls); rc != sqlite3.SQLITE_OK {
			return rc
		}
		l.start = offset
	}
	if n > kept {
		return l.system.write(tls, file, from, n, offset)
	}
	libc.Xmemcpy(tls, l.buf+uintptr(l.n), from, libc.Tsize_t(n))
	l.n += n
	return sqlite3.SQLITE_OK
}

// handOver writes what was kept. A failure loses it. SQLite may take that for a
// failure of one statement, when it was about to read, and go on; but earlier
// statements' pages may be lost with it, so the whole transaction has failed.
func (l *log) handOver(tls *libc.TLS) int32 {
	if l.n == 0 || l.failed != sqlite3.SQLITE_OK {
		return l.failed
	}
	if l.failed = l.system.write(tls, l.file.file, l.buf, l.n, l.start); l.failed == sqlite3.SQLITE_OK {
		l.start += int64(l.n)
	}
	l.n = 0
	return l.failed
}

// lockDatabase locks and unlocks as the system does. Whoever gives up the lock
// on writing has ended its transaction. When it was committed, nothing is kept
// any more; what is, was rolled back.
func lockDatabase(tls *libc.TLS, file uintptr, first, n, flags int32) int32 {
	l := of(&databases, file)
	if first == writeLock && flags == sqlite3.SQLITE_SHM_UNLOCK|sqlite3.SQLITE_SHM_EXCLUSIVE {
		l.n, l.failed = 0, sqlite3.SQLITE_OK
	}
	return l.system.lock(tls, file, first, n, flags)
}

// writeLock is the lock on writing (WAL_WRITE_LOCK in SQLite's wal.c), the first
// of those in shared memory.
const writeLock = 0

// after hands over before do, and does not do it when that fails.
func after(tls *libc.TLS, file uintptr, do func(*log) int32) int32 {
	l := of(&logs, file)
	if rc := l.handOver(tls); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return do(l)
}

// readLog reads also after a failure what is older than this transaction's loss:
// to roll back, SQLite reads pages as they were before.
func readLog(tls *libc.TLS, file, into uintptr, n int32, offset int64) int32 {
	l := of(&logs, file)
	if rc := l.handOver(tls); rc != sqlite3.SQLITE_OK && offset+int64(n) > l.start {
		return rc
	}
	return l.system.read(tls, file, into, n, offset)
}

func truncateLog(tls *libc.TLS, file uintptr, size int64) int32 {
	return after(tls, file, func(l *log) int32 { return l.system.truncate(tls, file, size) })
}

func syncLog(tls *libc.TLS, file uintptr, flags int32) int32 {
	return after(tls, file, func(l *log) int32 { return l.system.sync(tls, file, flags) })
}

func sizeLog(tls *libc.TLS, file, size uintptr) int32 {
	return after(tls, file, func(l *log) int32 { return l.system.size(tls, file, size) })
}

// closeLog drops what was kept: it was never synced, so it belongs to a
// transaction that did not end.
func closeLog(tls *libc.TLS, file uintptr) int32 {
	l := of(&logs, file)
	logs.Delete(file)
	databases.Delete(l.db.file)
	l.db.restore(tls)
	l.file.restore(tls)
	libc.Xfree(tls, l.buf)
	return l.system.close(tls, file)
}

// The library is C made into Go: it has addresses where Go has pointers, what
// it keeps is memory of its own, and a function's address is that of Go's
// function value.

var errNoMemory = errors.New("out of memory")

// copied is the address of a copy.
func copied[T any](tls *libc.TLS, from *T) (uintptr, error) {
	p := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(*from)))
	if p == 0 {
		return 0, errNoMemory
	}
	*at[T](p) = *from
	return p, nil
}

// at is the T at an address of the library's.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// function is the function at an address.
func function[F any](address uintptr) F { return *(*F)(unsafe.Pointer(&address)) }

// address is where a function of this package is; it never moves.
func address[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }
