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
// handed over, at the latest by the sync, and SQLite rolls back as for a failure
// of the write itself.
//
// A connection with another setting of synchronous must not use it: other
// connections would be told of pages that they cannot read yet.
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
)

// log is an open write-ahead log.
type log struct {
	methods uintptr // SQLite's sqlite3_io_methods, ours in place of the system's
	system  struct {
		read     reader
		write    writer
		truncate truncate
		sync     syncer
		size     sizer
		close    closer
	}
	buf   uintptr // room for what is kept
	n     int32   // how many bytes are kept
	start int64   // where in the file they belong
}

// open opens any file as the system does, and takes the methods of a log over.
func open(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32 {
	rc := openSystem(tls, vfs, name, file, flags, outFlags)
	if rc != sqlite3.SQLITE_OK || flags&sqlite3.SQLITE_OPEN_WAL == 0 {
		return rc
	}
	f := at[sqlite3.Tsqlite3_file](file)
	if l, err := newLog(tls, at[sqlite3.Tsqlite3_io_methods](f.FpMethods)); err == nil { // else it is as the system's
		logs.Store(file, l)
		f.FpMethods = l.methods
	}
	return rc
}

func newLog(tls *libc.TLS, system *sqlite3.Tsqlite3_io_methods) (*log, error) {
	l := new(log)
	l.system.read = function[reader](system.FxRead)
	l.system.write = function[writer](system.FxWrite)
	l.system.truncate = function[truncate](system.FxTruncate)
	l.system.sync = function[syncer](system.FxSync)
	l.system.size = function[sizer](system.FxFileSize)
	l.system.close = function[closer](system.FxClose)
	var err error
	if l.methods, err = copied(tls, system); err != nil {
		return nil, err
	}
	if l.buf = libc.Xmalloc(tls, kept); l.buf == 0 {
		libc.Xfree(tls, l.methods)
		return nil, errNoMemory
	}
	m := at[sqlite3.Tsqlite3_io_methods](l.methods)
	m.FxRead = address[reader](readLog)
	m.FxWrite = address[writer](writeLog)
	m.FxTruncate = address[truncate](truncateLog)
	m.FxSync = address[syncer](syncLog)
	m.FxFileSize = address[sizer](sizeLog)
	m.FxClose = address[closer](closeLog)
	return l, nil
}

func of(file uintptr) *log {
	l, _ := logs.Load(file)
	return l.(*log)
}

func writeLog(tls *libc.TLS, file, from uintptr, n int32, offset int64) int32 {
	l := of(file)
	follows := offset == l.start+int64(l.n)
	if !follows || l.n+n > kept {
		if rc := l.handOver(tls, file); rc != sqlite3.SQLITE_OK {
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

// handOver writes what was kept. A failure loses it: SQLite rolls the
// transaction back and writes the next one in its place.
func (l *log) handOver(tls *libc.TLS, file uintptr) int32 {
	if l.n == 0 {
		return sqlite3.SQLITE_OK
	}
	rc := l.system.write(tls, file, l.buf, l.n, l.start)
	l.start += int64(l.n)
	l.n = 0
	return rc
}

// after hands over before do, and does not do it when that fails.
func after(tls *libc.TLS, file uintptr, do func(*log) int32) int32 {
	l := of(file)
	if rc := l.handOver(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return do(l)
}

func readLog(tls *libc.TLS, file, into uintptr, n int32, offset int64) int32 {
	return after(tls, file, func(l *log) int32 { return l.system.read(tls, file, into, n, offset) })
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
	l := of(file)
	logs.Delete(file)
	libc.Xfree(tls, l.methods)
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
