package sandbox

import (
	"fmt"
	"strconv"
	"strings"
)

// controller is what one DocType adds to the life of a document. Any of its
// steps may be nil. A step sees the document as it stands and may change it.
type controller struct {
	autoname            func(t *tx, d doc) error
	beforeInsert        func(t *tx, d doc) error
	validate            func(t *tx, d doc) error
	beforeSubmit        func(t *tx, d doc) error
	afterInsert         func(t *tx, d doc) error
	onUpdate            func(t *tx, d doc) error
	onSubmit            func(t *tx, d doc) error
	beforeUpdate        func(t *tx, d doc) error // of a submitted document
	beforeCancel        func(t *tx, d doc) error
	onCancel            func(t *tx, d doc) error
	onUpdateAfterSubmit func(t *tx, d doc) error
	onTrash             func(t *tx, d doc) error
	// newDefaults are site-dependent defaults of a new document.
	newDefaults func(t *tx, d doc) error
}

func run(step func(*tx, doc) error, t *tx, d doc) error {
	if step == nil {
		return nil
	}
	return step(t, d)
}

func runAll(t *tx, d doc, steps ...func(*tx, doc) error) error {
	for _, step := range steps {
		if err := run(step, t, d); err != nil {
			return err
		}
	}
	return nil
}

// shape is the DocType, or what the site raises when there is none.
func (t *tx) shape(name string) (*doctype, error) {
	dt := t.types[name]
	if dt == nil {
		module := strings.ToLower(strings.ReplaceAll(name, " ", "_"))
		return nil, bare("ImportError", fmt.Sprintf("Module import failed for %s, the DocType you're trying to open might be deleted.<br>\nError: No module named 'frappe.core.doctype.%s'", name, module))
	}
	return dt, nil
}

// draft makes a document of a DocType out of what a client sent: unknown
// fields are dropped without a word.
func (t *tx) draft(dt *doctype, sent doc) (doc, error) {
	d := doc{"doctype": dt.name}
	return d, t.merge(dt, d, sent)
}

// merge puts the sent keys into d. A child table replaces all rows.
func (t *tx) merge(dt *doctype, d, sent doc) error {
	for key, value := range sent {
		f := dt.byName[key]
		switch {
		case f == nil:
			if key == "name" || key == "docstatus" || key == "idx" {
				d[key] = value
			}
		case f.kind == "Table":
			list, err := t.draftRows(f, value)
			if err != nil {
				return err
			}
			d[key] = list
		default:
			if object, ok := value.(doc); ok {
				for key := range object {
					return bare("OperationalError", fmt.Sprintf(`(1054, "Unknown column '%s' in 'WHERE'")`, key)).from(inApp)
				}
			}
			if list, ok := value.([]any); ok && f.kind != "Select" {
				return bare("AttributeError", fmt.Sprintf("'%s' object has no attribute 'startswith'", pyType(list)))
			}
			d[key] = value
		}
	}
	return nil
}

func pyType(v any) string {
	switch v.(type) {
	case []any:
		return "list"
	case doc:
		return "dict"
	case string:
		return "str"
	}
	return "NoneType"
}

func (t *tx) draftRows(f *field, value any) ([]any, error) {
	list, ok := value.([]any)
	if !ok {
		if value == nil {
			return []any{}, nil
		}
		return nil, bare("TypeError", "'str' object does not support item assignment")
	}
	out := make([]any, 0, len(list))
	for i, v := range list {
		sent, ok := v.(doc)
		if !ok {
			return nil, bare("TypeError", "'str' object does not support item assignment")
		}
		row, err := t.draft(t.types[f.target], sent)
		if err != nil {
			return nil, err
		}
		row["idx"] = int64(i + 1)
		row["__unsaved"] = int64(1)
		out = append(out, row)
	}
	return out, nil
}

// insert stores a new document: docstatus, links, rights, name, business
// rules, mandatory fields, and last the unique indexes.
func (t *tx) insert(d doc) error {
	dt := t.types[str(d, "doctype")]
	c := controllers[dt.name]
	if err := t.prepareNew(dt, c, d); err != nil {
		return err
	}
	if err := t.check(dt, c, d); err != nil {
		return err
	}
	if err := t.databaseInsert(dt, d); err != nil {
		return err
	}
	if err := run(c.afterInsert, t, d); err != nil {
		return err
	}
	if from := str(d, "amended_from"); from != "" {
		if original := t.peek(dt.name, from); cint(original["docstatus"]) != 2 {
			return throw("ValidationError", fmt.Sprintf("%s cannot be amended because it is not cancelled. "+
				"Please cancel the document before creating an amendment.", t.formLink(dt.name, from))).titled("Amendment Not Allowed")
		}
	}
	if cint(d["docstatus"]) == 1 {
		return runAll(t, d, c.onUpdate, c.onSubmit)
	}
	return run(c.onUpdate, t, d)
}

func (t *tx) prepareNew(dt *doctype, c controller, d doc) error {
	if err := t.checkNewStatus(d); err != nil {
		return err
	}
	if err := run(c.newDefaults, t, d); err != nil {
		return err
	}
	t.applyDefaults(dt, d)
	t.stampAll(dt, d)
	if err := t.checkLinks(dt, d); err != nil {
		return err
	}
	if cint(d["docstatus"]) == 1 {
		if err := t.must(d, "submit"); err != nil {
			return err
		}
	}
	if err := t.must(d, "create"); err != nil {
		return err
	}
	if err := run(c.beforeInsert, t, d); err != nil {
		return err
	}
	if err := t.setName(dt, c, d); err != nil {
		return err
	}
	t.adoptRows(dt, d)
	return nil
}

func (t *tx) checkNewStatus(d doc) error {
	if d["docstatus"] == nil {
		d["docstatus"] = int64(0)
	}
	switch status := cint(d["docstatus"]); status {
	case 0, 1:
		return nil
	case 2:
		return bare("DocstatusTransitionError", "Cannot change docstatus from 0 (Draft) to 2 (Cancelled)")
	default:
		return bare("ValidationError", fmt.Sprintf("('Invalid docstatus', %d)", status))
	}
}

// stampAll sets owner and times of a new document and its rows.
func (t *tx) stampAll(dt *doctype, d doc) {
	now := t.now()
	d["owner"], d["modified_by"], d["creation"], d["modified"] = t.user.name, t.user.name, now, now
	d["idx"] = int64(0)
	for _, f := range dt.fields {
		if f.kind != "Table" {
			continue
		}
		for _, row := range rows(d, f.name) {
			t.stampRow(row, now)
		}
	}
}

func (t *tx) stampRow(row doc, now string) {
	row["owner"], row["modified_by"], row["creation"], row["modified"] = t.user.name, t.user.name, now, now
	row["docstatus"] = int64(0)
}

// adoptRows gives the child rows their parent and, where missing, a name.
func (t *tx) adoptRows(dt *doctype, d doc) {
	for _, f := range dt.fields {
		if f.kind != "Table" {
			continue
		}
		if d[f.name] == nil {
			d[f.name] = []any{}
		}
		for i, row := range rows(d, f.name) {
			t.adoptRow(d, row, f.name, i)
		}
	}
}

func (t *tx) adoptRow(d, row doc, field string, i int) {
	if str(row, "name") == "" {
		row["name"] = t.rowName()
	}
	if row["creation"] == nil {
		t.stampRow(row, t.now())
	}
	if cint(row["idx"]) == 0 { // a row keeps its number when one before it goes
		row["idx"] = int64(i + 1)
	}
	row["parent"], row["parentfield"], row["parenttype"] = d["name"], field, d["doctype"]
	row["docstatus"] = d["docstatus"]
}

// appendRow adds a row that the application makes itself.
func (t *tx) appendRow(d doc, field string, row doc) doc {
	dt := t.types[t.types[str(d, "doctype")].byName[field].target]
	row["doctype"] = dt.name
	t.applyDefaults(dt, row)
	list := append(rows(d, field), row)
	setRows(d, field, list)
	t.adoptRow(d, row, field, len(list)-1)
	return row
}

// applyDefaults fills what is missing in a document and its rows.
func (t *tx) applyDefaults(dt *doctype, d doc) {
	fillDefaults(dt, d)
	for _, f := range dt.fields {
		if f.kind != "Table" {
			continue
		}
		for _, row := range rows(d, f.name) {
			fillDefaults(t.types[f.target], row)
		}
	}
}

func fillDefaults(dt *doctype, d doc) {
	for _, f := range dt.fields {
		if d[f.name] == nil && f.initial != nil && f.initial != int64(0) && f.initial != 0.0 {
			d[f.name] = f.initial
		}
	}
}

// check runs the business rules, then the framework's own checks of the
// fields, in the order in which the site answers.
func (t *tx) check(dt *doctype, c controller, d doc) error {
	if err := run(c.validate, t, d); err != nil {
		return err
	}
	if cint(d["docstatus"]) == 1 {
		if err := run(c.beforeSubmit, t, d); err != nil {
			return err
		}
	}
	t.adoptRows(dt, d)
	if err := t.checkFields(dt, d); err != nil {
		return err
	}
	castAll(t.types, dt, d)
	return nil
}

// save stores a changed document, moving it between draft, submitted and
// cancelled as its docstatus says. sentModified is the client's idea of when
// it was last changed; "" asks nothing.
func (t *tx) save(d doc, sentModified string) error {
	dt := t.types[str(d, "doctype")]
	c := controllers[dt.name]
	before := t.peek(dt.name, str(d, "name"))
	if before == nil {
		return notFound(dt.name, str(d, "name"))
	}
	if err := t.must(d, "write"); err != nil {
		return err
	}
	if sentModified != "" && sentModified != str(before, "modified") {
		return t.staleCopy(d, str(before, "modified"), sentModified)
	}
	action, err := t.transition(before, d)
	if err != nil {
		return err
	}
	t.applyDefaults(dt, d)
	now := t.now()
	d["modified"], d["modified_by"] = now, t.user.name
	t.touchRows(dt, d, now)
	t.adoptRows(dt, d)
	if err := t.checkLinks(dt, d); err != nil {
		return err
	}
	return t.perform(action, dt, c, before, d)
}

// touchRows moves the times of the rows along with their document.
func (t *tx) touchRows(dt *doctype, d doc, now string) {
	for _, f := range dt.fields {
		if f.kind != "Table" {
			continue
		}
		for _, row := range rows(d, f.name) {
			if row["creation"] == nil {
				t.stampRow(row, now)
			}
			row["modified"], row["modified_by"] = now, t.user.name
		}
	}
}

// transition names what a save does, or refuses it.
func (t *tx) transition(before, d doc) (string, error) {
	names := []string{"0 (Draft)", "1 (Submitted)", "2 (Cancelled)"}
	from, to := cint(before["docstatus"]), cint(d["docstatus"])
	if to < 0 || to > 2 {
		return "", bare("ValidationError", fmt.Sprintf("('Invalid docstatus', %d)", to))
	}
	switch {
	case from == 2:
		return "", bare("ValidationError", "Cannot edit cancelled document")
	case from == 0 && to == 0:
		return "save", nil
	case from == 0 && to == 1:
		return "submit", t.must(d, "submit")
	case from == 1 && to == 1:
		return "update", nil
	case from == 1 && to == 2:
		return "cancel", t.must(d, "cancel")
	}
	return "", bare("DocstatusTransitionError", fmt.Sprintf("Cannot change docstatus from %s to %s", names[from], names[to]))
}

func (t *tx) perform(action string, dt *doctype, c controller, before, d doc) error {
	if action == "cancel" {
		return t.cancel(dt, c, d)
	}
	if action == "update" {
		return t.updateSubmitted(dt, c, before, d)
	}
	if err := t.check(dt, c, d); err != nil {
		return err
	}
	if err := t.store(dt, d); err != nil {
		return err
	}
	if action == "submit" {
		return runAll(t, d, c.onUpdate, c.onSubmit)
	}
	return run(c.onUpdate, t, d)
}

func (t *tx) store(dt *doctype, d doc) error {
	if err := t.checkColumns(dt, d, "SET"); err != nil {
		return err
	}
	if err := t.checkUnique(dt, d); err != nil {
		return err
	}
	t.put(dt.name, d)
	return nil
}

func (t *tx) cancel(dt *doctype, c controller, d doc) error {
	if err := run(c.beforeCancel, t, d); err != nil {
		return err
	}
	t.adoptRows(dt, d)
	t.put(dt.name, d)
	if err := run(c.onCancel, t, d); err != nil {
		return err
	}
	return t.checkBackLinks(dt.name, str(d, "name"), true)
}

// updateSubmitted saves a submitted document: only some fields may differ.
func (t *tx) updateSubmitted(dt *doctype, c controller, before, d doc) error {
	if err := run(c.beforeUpdate, t, d); err != nil {
		return err
	}
	if err := t.checkFields(dt, d); err != nil {
		return err
	}
	castAll(t.types, dt, d)
	if err := t.checkFrozen(dt, before, d); err != nil {
		return err
	}
	if err := t.store(dt, d); err != nil {
		return err
	}
	return run(c.onUpdateAfterSubmit, t, d)
}

func (t *tx) checkFrozen(dt *doctype, before, d doc) error {
	for _, f := range dt.fields {
		if f.kind == "Table" {
			if err := t.checkFrozenRows(f, before, d); err != nil {
				return err
			}
			continue
		}
		if !f.afterSubmit && !same(before[f.name], d[f.name]) {
			return notAfterSubmit("", f.label, before[f.name], d[f.name])
		}
	}
	return nil
}

func (t *tx) checkFrozenRows(f *field, before, d doc) error {
	old, list := rows(before, f.name), rows(d, f.name)
	if f.afterSubmit {
		return nil
	}
	if len(old) != len(list) {
		return notAfterSubmit("", f.label, int64(len(old)), int64(len(list)))
	}
	dt := t.types[f.target]
	for i, row := range list {
		for _, rf := range dt.fields {
			if !rf.afterSubmit && !same(old[i][rf.name], row[rf.name]) {
				return notAfterSubmit(fmt.Sprintf("Row #%d:", i+1), rf.label, old[i][rf.name], row[rf.name])
			}
		}
	}
	return nil
}

func same(a, b any) bool {
	if !truthy(a) && !truthy(b) {
		return true
	}
	return text(a) == text(b)
}

func notAfterSubmit(prefix, label string, from, to any) error {
	return throw("UpdateAfterSubmitError", fmt.Sprintf(
		"%s Not allowed to change <strong>%s</strong> after submission from <strong>%s</strong> to <strong>%s</strong>",
		prefix, label, text(orNone(from)), text(orNone(to)))).titled("Cannot Update After Submit")
}

// deleteDoc removes a draft or cancelled document.
func (t *tx) deleteDoc(dt *doctype, name string) error {
	d := t.peek(dt.name, name)
	if d == nil {
		return bare("DoesNotExistError", "")
	}
	if err := t.must(d, "delete"); err != nil {
		return err
	}
	if dt.submittable && cint(d["docstatus"]) == 1 {
		return throw("ValidationError", fmt.Sprintf("%s %s: Submitted Record cannot be deleted. You must <a href='https://docs.erpnext.com//"+
			"docs/user/manual/en/setting-up/articles/delete-submitted-document' target='_blank'> Cancel </a> it first.", dt.name, str(d, "name")))
	}
	if err := t.checkBackLinks(dt.name, str(d, "name"), false); err != nil {
		return err
	}
	if err := run(controllers[dt.name].onTrash, t, cloneDoc(d)); err != nil {
		return err
	}
	t.remove(dt.name, str(d, "name"))
	t.revertSeries(d)
	return nil
}

// formLink is the link to a document's page.
func (t *tx) formLink(doctype, name string) string {
	return fmt.Sprintf(`<a href="http://%s/app/%s/%s">%s</a>`, t.host, slug(doctype), escapeName(name), name)
}

func slug(doctype string) string {
	return strings.ToLower(strings.ReplaceAll(doctype, " ", "-"))
}

func escapeName(name string) string { return strings.ReplaceAll(name, " ", "%20") }

// quantity is a number as people write it: whole numbers without a point.
func quantity(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
