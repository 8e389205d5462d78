package walvfs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// The power fails at any moment, and the disk is a cruel one: of what was not
// synced it keeps what it likes, torn at sectors, and what a failed sync should
// have brought to it may be lost for ever. What was answered must be there, and
// nothing half.
func TestAPowerCutLosesNothingAnswered(t *testing.T) {
	for seed := range uint64(lives) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			chance := rand.New(rand.NewPCG(seed, 0))
			d := live(t, chance)
			for _, cut := range d.cuts(chance, 10) {
				d.check(t, d.rebuild(t, cut, chance), cut)
			}
		})
	}
}

// rows are a database's contents: which transaction wrote each row last.
type rows map[int]int

// event is something that happened to the disk, or to whoever uses it.
type event struct {
	kind   kind
	file   file
	offset int64 // of a write; or the size after a truncation
	data   []byte
	rows   rows // that a transaction aims at, or has been answered for
}

type kind int

const (
	written kind = iota
	truncated
	synced
	notSynced
	tried
	answered
)

type file int

const (
	ofDatabase file = iota
	ofLog
)

var suffix = [...]string{ofDatabase: "", ofLog: "-wal"}

// disk records what two connections do to one database.
type disk struct {
	base   [2][]byte // the files at first, synced
	events []event
	rows   rows // answered for

	chance      *rand.Rand
	failing     bool // writes and syncs fail now and then
	failedSyncs int
	refused     int // transactions that failed
}

// live has two connections write to a recorded database for a while.
func live(t *testing.T, chance *rand.Rand) *disk {
	a := openNew(t, "cache_size(10)", "journal_size_limit(30000)")
	b := openAt(t, a.path, "cache_size(10)")
	a.exec(t, "CREATE TABLE held (n INTEGER PRIMARY KEY, tx INTEGER, x TEXT)")
	a.exec(t, "PRAGMA wal_checkpoint(TRUNCATE)")
	d := &disk{chance: chance, rows: make(rows)}
	for f, suffix := range suffix {
		var err error
		if d.base[f], err = os.ReadFile(a.path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	d.record(t, a.log)
	d.record(t, b.log)
	for tx := range 60 {
		d.transaction(t, []*opened{a, b}[chance.IntN(2)], tx)
		if mode := chance.IntN(9); mode < 3 {
			d.failing = chance.IntN(3) == 0
			_, _ = a.ExecContext(t.Context(), "PRAGMA wal_checkpoint("+[]string{"PASSIVE", "RESTART", "TRUNCATE"}[mode]+")")
			d.failing = false
		}
	}
	if d.refused == 0 || d.failedSyncs == 0 {
		t.Errorf("%d refused transactions, %d failed syncs: nothing is tested", d.refused, d.failedSyncs)
	}
	return d
}

// transaction adds rows, changes some, and commits or rolls back.
func (d *disk) transaction(t *testing.T, o *opened, tx int) {
	more, first := 1+d.chance.IntN([]int{2, 40}[d.chance.IntN(2)]), len(d.rows)
	aim := maps.Clone(d.rows)
	for n := range more {
		aim[first+n] = tx
	}
	for n := max(0, first-30); n < first; n++ {
		if n%7 == tx%7 {
			aim[n] = tx
		}
	}
	commit := d.chance.IntN(3) > 0
	if commit {
		d.note(event{kind: tried, rows: aim})
	}
	d.failing = d.chance.IntN(3) == 0
	defer func() { d.failing = false }()
	failed := false
	statements := []string{
		fmt.Sprintf("UPDATE held SET tx = %[1]d, x = %[2]s WHERE n %% 7 = %[3]d AND n >= %[4]d AND n < %[5]d", tx, content("n", fmt.Sprint(tx)), tx%7, first-30, first),
		fmt.Sprintf("WITH RECURSIVE up (i) AS (SELECT %[1]d UNION ALL SELECT i + 1 FROM up WHERE i < %[2]d) INSERT INTO held SELECT i, %[3]d, %[4]s FROM up",
			first, first+more-1, tx, content("i", fmt.Sprint(tx))),
	}
	if d.chance.IntN(3) == 0 { // what is kept at the end, and what is read, are others
		slices.Reverse(statements)
	}
	end := map[bool]string{true: "COMMIT", false: "ROLLBACK"}[commit]
	for _, statement := range slices.Concat([]string{"BEGIN IMMEDIATE"}, statements, []string{end}) {
		if _, err := o.ExecContext(t.Context(), statement); err != nil {
			if !d.failing {
				t.Fatalf("%s: %v", statement, err)
			}
			failed = true
			break
		}
	}
	switch {
	case failed:
		d.refused++
		_, _ = o.ExecContext(t.Context(), "ROLLBACK")
	case commit:
		d.rows = aim
		d.note(event{kind: answered, rows: aim})
	}
}

// content is what a row holds, as SQL: about half a page, told by its number
// and its transaction.
func content(n, tx string) string {
	return fmt.Sprintf("printf('%%.2000c', char(97 + (%s * 5 + %s) %% 26))", n, tx)
}

func (d *disk) note(e event) { d.events = append(d.events, e) }

// record notes what happens to l and to its database's file. Nothing is synced
// indeed: only the record is asked later.
func (d *disk) record(t *testing.T, l *log) {
	l.system.write, l.system.truncate, l.system.sync = d.writer(ofLog, l.system.write), d.truncater(ofLog, l.system.truncate), d.syncer(ofLog)
	m := l.db.ours()
	system := *m
	write, truncate, sync := d.writer(ofDatabase, function[writer](m.FxWrite)), d.truncater(ofDatabase, function[truncate](m.FxTruncate)), d.syncer(ofDatabase)
	m.FxWrite, m.FxTruncate, m.FxSync = address(write), address(truncate), address(sync)
	t.Cleanup(func() { // keeps the functions until then, too
		m.FxWrite, m.FxTruncate, m.FxSync = system.FxWrite, system.FxTruncate, system.FxSync
		_, _, _ = write, truncate, sync
	})
}

func (d *disk) fails(odds int) bool { return d.failing && d.chance.IntN(odds) == 0 }

func (d *disk) writer(f file, system writer) writer {
	return func(tls *libc.TLS, file, from uintptr, n int32, offset int64) int32 {
		rc := int32(sqlite3.SQLITE_OK)
		if d.fails(8) {
			n, rc = d.chance.Int32N(n+1), []int32{sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}[d.chance.IntN(2)]
		}
		d.note(event{kind: written, file: f, offset: offset, data: slices.Clone(unsafe.Slice(at[byte](from), n))})
		if n > 0 {
			rc = max(rc, system(tls, file, from, n, offset))
		}
		return rc
	}
}

func (d *disk) truncater(f file, system truncate) truncate {
	return func(tls *libc.TLS, file uintptr, size int64) int32 {
		d.note(event{kind: truncated, file: f, offset: size})
		return system(tls, file, size)
	}
}

func (d *disk) syncer(f file) syncer {
	return func(*libc.TLS, uintptr, int32) int32 {
		if d.fails(2) {
			d.failedSyncs++
			d.note(event{kind: notSynced, file: f})
			return sqlite3.SQLITE_IOERR_FSYNC
		}
		d.note(event{kind: synced, file: f})
		return sqlite3.SQLITE_OK
	}
}

// cuts chooses after how many events the power fails: anywhere, just after an
// answer, when least may be missing, and while the log begins anew.
func (d *disk) cuts(chance *rand.Rand, n int) []int {
	var answers, begins []int
	for i, e := range d.events {
		switch {
		case e.kind == answered:
			answers = append(answers, i+1)
		case e.kind == written && e.file == ofLog && e.offset == 0:
			begins = append(begins, i+1)
		}
	}
	var all []int
	for range n {
		all = append(all, answers[chance.IntN(len(answers))], 1+chance.IntN(len(d.events)))
		for after := range 4 {
			all = append(all, min(begins[chance.IntN(len(begins))]+after, len(d.events)))
		}
	}
	return all
}

// rebuild leaves the files as the disk has them after the cut.
func (d *disk) rebuild(t *testing.T, cut int, chance *rand.Rand) string {
	t.Helper()
	sure := make([]bool, cut)
	var waiting [2][]int
	for i, e := range d.events[:cut] {
		switch e.kind {
		case written, truncated:
			waiting[e.file] = append(waiting[e.file], i)
		case synced:
			for _, i := range waiting[e.file] {
				sure[i] = true
			}
			waiting[e.file] = nil
		case notSynced: // a later sync has forgotten them
			waiting[e.file] = nil
		}
	}
	files := [2][]byte{slices.Clone(d.base[ofDatabase]), slices.Clone(d.base[ofLog])}
	for i, e := range d.events[:cut] {
		fate := chance.IntN(3)
		switch to := &files[e.file]; {
		case !sure[i] && fate == 0: // lost
		case e.kind == truncated:
			*to = grown(*to, int(e.offset))[:e.offset]
		case e.kind == written && (sure[i] || fate == 1):
			*to = grown(*to, int(e.offset)+len(e.data))
			copy((*to)[e.offset:], e.data)
		case e.kind == written:
			tear(to, e, chance)
		}
	}
	path := filepath.Join(t.TempDir(), "left.db")
	for f, data := range files {
		if err := os.WriteFile(path+suffix[f], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func grown(data []byte, size int) []byte {
	return append(data, make([]byte, max(0, size-len(data)))...)
}

// tear brings some of a write's sectors to the disk: some in a row, or all but
// those.
func tear(to *[]byte, e event, chance *rand.Rand) {
	const sector = 512
	first, last := chance.IntN(len(e.data)+1), chance.IntN(len(e.data)+1)
	within := chance.IntN(2) == 0
	for from := 0; from < len(e.data); {
		at := int(e.offset) + from
		until := min(len(e.data), from+sector-at%sector)
		if (first <= from && from < last) == within {
			*to = grown(*to, at+until-from)
			copy((*to)[at:], e.data[from:until])
		}
		from = until
	}
}

// check opens what is left as anybody would, and wants what was answered
// before the cut, or that with one transaction more that was tried after it.
func (d *disk) check(t *testing.T, path string, cut int) {
	t.Helper()
	may := []rows{{}}
	for _, e := range d.events[:cut] {
		switch e.kind {
		case answered:
			may = []rows{e.rows}
		case tried:
			may = append(may, e.rows)
		}
	}
	c := connect(t, path, "", "synchronous(OFF)")
	defer c.Close()
	count(t, c) // with an integrity check
	all, err := c.QueryContext(t.Context(), "SELECT n, tx, x = "+content("n", "tx")+" FROM held")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	got := make(rows)
	for all.Next() {
		var n, tx int
		var whole bool
		if err := all.Scan(&n, &tx, &whole); err != nil {
			t.Fatal(err)
		}
		if !whole {
			t.Errorf("row %d has not what transaction %d wrote", n, tx)
		}
		got[n] = tx
	}
	if err := all.Err(); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(may, func(r rows) bool { return maps.Equal(r, got) }) {
		t.Errorf("cut after event %d of %d: %d rows are left, want the %d that were answered for", cut, len(d.events), len(got), len(may[0]))
	}
}
