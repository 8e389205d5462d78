package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
)

// durable keeps what requests committed in a file, so that the site outlives
// its process as a real one outlives a crash: what was answered is there, what
// was not answered is there wholly or not at all. One line a commit, as JSON.
type durable struct {
	file    *os.File
	commits uint64
	end     int64 // of what is known to be whole
}

// change names what one statement changed; what it became is in the tables.
type change struct{ doctype, key string }

// openDurable reads the commits of an earlier process and goes on behind them.
// The first of all is what the site began with.
// A last line that is cut off was never answered, and is dropped.
func (s *Site) openDurable(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	s.durable = &durable{file: file}
	if info, err := file.Stat(); err != nil || info.Size() == 0 {
		return errors.Join(err, s.keep(s.everything()))
	}
	s.tables, s.series = map[string]*table{}, map[string]int64{} // the first commit has the fixtures
	for lines := bufio.NewReaderSize(file, 1<<20); ; s.durable.commits++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := s.redo(line); err != nil {
			return fmt.Errorf("%s: commit %d: %w", path, s.durable.commits+1, err)
		}
		s.durable.end += int64(len(line))
	}
	// Names of rows are drawn: the draw must not begin where it once began.
	s.rand = rand.New(rand.NewPCG(s.seed, 0x5eed+s.durable.commits))
	return s.durable.cut()
}

// cut drops what stands behind the last whole commit.
func (d *durable) cut() error {
	if err := d.file.Truncate(d.end); err != nil {
		return err
	}
	_, err := d.file.Seek(d.end, io.SeekStart)
	return err
}

func (d *durable) append(line []byte) error {
	_, err := d.file.Write(line)
	if err == nil {
		err = d.file.Sync()
	}
	if err != nil {
		return errors.Join(err, d.cut())
	}
	d.end += int64(len(line))
	return nil
}

// everything is a transaction that made the whole site.
func (s *Site) everything() *tx {
	t := s.begin(nil)
	for doctype, tab := range s.tables {
		for _, key := range tab.order {
			t.changes = append(t.changes, change{doctype, key})
		}
	}
	t.counters = slices.Collect(maps.Keys(s.series))
	return t
}

// redo applies one commit of an earlier process.
func (s *Site) redo(line []byte) error {
	v, err := decodeJSON(line)
	if err != nil {
		return err
	}
	commit, ok := v.(doc)
	if !ok {
		return errors.New("no object")
	}
	for name, tables := range asDoc(commit["stored"]) {
		for _, d := range asList(tables) {
			s.restore(name, asDoc(d))
		}
	}
	for name, keys := range asDoc(commit["deleted"]) {
		for _, key := range asList(keys) {
			s.discard(name, text(key))
		}
	}
	for key, value := range asDoc(commit["series"]) {
		s.series[key] = cint(value)
	}
	return nil
}

// restore stores a document as it was, and the column that a custom field is.
func (s *Site) restore(doctype string, d doc) {
	s.table(doctype).put(d)
	if dt := s.types[str(d, "dt")]; doctype == "Custom Field" && dt != nil && !dt.has(str(d, "fieldname")) {
		dt.add(columnOf(d))
	}
}

func (s *Site) discard(doctype, name string) {
	if d := s.peek(doctype, name); doctype == "Custom Field" && s.types[str(d, "dt")] != nil {
		s.types[str(d, "dt")].drop(str(d, "fieldname"))
	}
	s.table(doctype).remove(name)
}

func asDoc(v any) doc {
	d, _ := v.(doc)
	return d
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

// keep makes a transaction's changes outlive the process. It returns when they
// are on disk.
func (s *Site) keep(t *tx) error {
	if s.durable == nil || len(t.changes)+len(t.counters) == 0 {
		return nil
	}
	stored, deleted, series := doc{}, doc{}, doc{}
	seen := map[change]bool{}
	for _, c := range t.changes {
		if seen[c] {
			continue
		}
		seen[c] = true
		if d := s.peek(c.doctype, c.key); d != nil {
			stored[c.doctype] = append(asList(stored[c.doctype]), d)
		} else {
			deleted[c.doctype] = append(asList(deleted[c.doctype]), c.key)
		}
	}
	for _, key := range t.counters {
		series[key] = s.series[key]
	}
	return s.durable.append(append(appendJSON(nil, doc{"stored": stored, "deleted": deleted, "series": series}), '\n'))
}

// Close closes the file of a site that has one.
func (s *Site) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.durable == nil {
		return nil
	}
	return s.durable.file.Close()
}
