package sandbox

import "slices"

// table holds the documents of one DocType. A stored document is never
// changed, only replaced, so readers may share it.
type table struct {
	byKey map[string]doc
	order []string // keys, oldest first
}

func (s *Site) table(doctype string) *table {
	t := s.tables[doctype]
	if t == nil {
		t = &table{byKey: map[string]doc{}}
		s.tables[doctype] = t
	}
	return t
}

func (t *table) put(d doc) {
	key := fold(str(d, "name"))
	if _, ok := t.byKey[key]; !ok {
		t.order = append(t.order, key)
	}
	t.byKey[key] = d
}

func (t *table) remove(name string) {
	key := fold(name)
	delete(t.byKey, key)
	t.order = slices.DeleteFunc(t.order, func(k string) bool { return k == key })
}

// peek is a stored document by its name as the database compares names, or
// nil. It must not be changed.
func (s *Site) peek(doctype, name string) doc {
	t := s.tables[doctype]
	if t == nil {
		return nil
	}
	return t.byKey[fold(name)]
}

// all are the stored documents of a DocType, oldest first.
func (s *Site) all(doctype string) []doc {
	t := s.tables[doctype]
	if t == nil {
		return nil
	}
	out := make([]doc, 0, len(t.order))
	for _, key := range t.order {
		out = append(out, t.byKey[key])
	}
	return out
}

// single is a copy of a settings document.
func (s *Site) single(doctype string) doc {
	if d := s.peek(doctype, doctype); d != nil {
		return cloneDoc(d)
	}
	return doc{"name": doctype, "doctype": doctype}
}

func (s *Site) setting(doctype, field string) any {
	if d := s.peek(doctype, doctype); d != nil {
		return d[field]
	}
	return nil
}

// company is the stored Company of that name, or nil.
func (s *Site) company(name string) doc { return s.peek("Company", name) }

// tx is one request's transaction: what it may do, what it said, and how to
// undo it.
type tx struct {
	*Site
	user     *user
	messages []message
	undo     []func()
	nameSent bool     // the client chose the name; the flag leaks to other documents made on the way
	ignoring bool     // permissions are not asked: the application acts, not the user
	changes  []change // documents that were stored or removed
	counters []string // series that were counted
}

func (s *Site) begin(u *user) *tx { return &tx{Site: s, user: u} }

// rollback undoes everything since begin.
func (t *tx) rollback() {
	for _, undo := range slices.Backward(t.undo) {
		undo()
	}
	t.undo, t.changes, t.counters = nil, nil, nil
}

// get is a copy of a stored document that the caller may change.
func (t *tx) get(doctype, name string) (doc, error) {
	d := t.peek(doctype, name)
	if d == nil {
		return nil, notFound(doctype, name)
	}
	return cloneDoc(d), nil
}

// put stores a copy of d.
func (t *tx) put(doctype string, d doc) {
	tab := t.table(doctype)
	name := str(d, "name")
	before, existed := tab.byKey[fold(name)]
	order := slices.Clone(tab.order)
	t.undo = append(t.undo, func() {
		if existed {
			tab.byKey[fold(name)] = before
		} else {
			delete(tab.byKey, fold(name))
		}
		tab.order = order
	})
	t.changes = append(t.changes, change{doctype, fold(name)})
	stored := cloneDoc(d)
	forget(stored)
	tab.put(stored)
}

// forget drops the marks a document carries only while it travels.
func forget(d doc) {
	delete(d, "__unsaved")
	delete(d, "__islocal")
	delete(d, "__address")
	for _, v := range d {
		list, _ := v.([]any)
		for _, row := range list {
			if row, ok := row.(doc); ok {
				forget(row)
			}
		}
	}
}

func (t *tx) remove(doctype, name string) {
	tab := t.table(doctype)
	before := tab.byKey[fold(name)]
	order := slices.Clone(tab.order)
	t.undo = append(t.undo, func() {
		tab.byKey[fold(name)] = before
		tab.order = order
	})
	t.changes = append(t.changes, change{doctype, fold(name)})
	tab.remove(name)
}

// set changes fields of a stored document without any check, as db_set does.
// touch also moves its modified time.
func (t *tx) set(doctype, name string, touch bool, values doc) {
	d := t.peek(doctype, name)
	if d == nil {
		return
	}
	d = cloneDoc(d)
	for k, v := range values {
		d[k] = v
	}
	if touch {
		d["modified"] = t.now()
		d["modified_by"] = t.user.name
	}
	t.put(doctype, d)
}

func (t *tx) say(text string) { t.messages = append(t.messages, message{text: text}) }
