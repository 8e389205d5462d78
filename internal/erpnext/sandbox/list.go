package sandbox

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// query is one list request: filters, columns, order and page.
type query struct {
	*tx
	dt      *doctype
	all     []condition // every one must hold
	any     []condition // one must hold, when there are any
	columns []column
	joined  bool // a child table or another document is read too
	count   string
}

// condition is one filter.
type condition struct {
	child string // child DocType, "" for the document itself
	field string
	kind  string
	op    string
	value any
}

// column is one field of the answer.
type column struct {
	name  string // key in the answer
	field string
	via   string // link field or child table the field is read through
}

// operators a filter may use.
var operators = []string{
	"is", ">=", "fiscal year", "descendants of", "ancestors of", "!=", "descendants of (inclusive)", "not ancestors of", "next", "timespan",
	"in", "=", ">", "not descendants of", "previous", "<=", "between", "<", "not in", "not like", "like",
}

// list answers a list request. Without order_by the order is unspecified, and
// shuffled so that nobody comes to rely on one.
func (c *call) list(doctype string, form doc, length int) (any, error) {
	dt := c.types[doctype]
	if dt == nil {
		return nil, c.noTypeRight("DocType", false)
	}
	q := &query{tx: c.tx, dt: dt}
	if err := q.columnsOf(form["fields"]); err != nil {
		return nil, err
	}
	if err := q.filter(form["filters"], &q.all); err != nil {
		return nil, err
	}
	if err := q.filter(form["or_filters"], &q.any); err != nil {
		return nil, err
	}
	if err := c.mayList(dt, form); err != nil {
		return nil, err
	}
	if err := c.checkColumns(dt, doc{}, "SELECT"); err != nil && slices.ContainsFunc(q.columns, func(col column) bool { return col.name == "*" }) {
		return nil, err
	}
	found := q.run()
	if err := q.sort(found, str(form, "order_by")); err != nil {
		return nil, err
	}
	if q.count != "" {
		return []any{doc{q.count: int64(len(found))}}, nil
	}
	found = page(found, int(cint(form["limit_start"])), length)
	return q.project(found, form["as_dict"]), nil
}

func (c *call) mayList(dt *doctype, form doc) error {
	if !dt.child {
		if !c.mayType(dt.name, "read") {
			return c.noTypeRight(dt.name, true)
		}
		return nil
	}
	parent := str(form, "parent")
	if parent == "" || !c.mayType(parent, "read") {
		f := newFailure("PermissionError", "")
		f.raw = true
		return f
	}
	return nil
}

func page(found []doc, start, length int) []doc {
	if start > len(found) {
		start = len(found)
	}
	found = found[start:]
	if length > 0 && length < len(found) {
		found = found[:length]
	}
	return found
}

var (
	countColumn   = regexp.MustCompile(`(?i)^count\((?:\*|name)\)(?:\s+as\s+(\w+))?$`)
	aliasedColumn = regexp.MustCompile("(?i)^(.+?)\\s+as\\s+`?(\\w+)`?$")
	quotedColumn  = regexp.MustCompile("^`tab([^`]+)`\\.`?(\\w+|\\*)`?$")
)

func (q *query) columnsOf(v any) error {
	var fields []any
	switch v := v.(type) {
	case nil:
		fields = []any{"name"}
	case string:
		decoded, err := decodeJSON([]byte(v))
		if err != nil {
			return bare("JSONDecodeError", "Expecting value: line 1 column 1 (char 0)")
		}
		list, ok := decoded.([]any)
		if !ok {
			list = []any{decoded}
		}
		fields = list
	case []any:
		fields = v
	}
	for _, f := range fields {
		if err := q.column(text(f)); err != nil {
			return err
		}
	}
	return nil
}

func (q *query) column(spec string) error {
	if m := countColumn.FindStringSubmatch(spec); m != nil && q.opts.Version < 16 {
		q.count = m[1]
		if q.count == "" {
			q.count = spec
		}
		return nil
	}
	col := column{name: spec, field: spec}
	if m := aliasedColumn.FindStringSubmatch(spec); m != nil {
		col.field, col.name = m[1], m[2]
	}
	if m := quotedColumn.FindStringSubmatch(col.field); m != nil && m[1] == q.dt.name {
		if col.name == col.field {
			col.name = m[2]
		}
		col.field = m[2]
	}
	if via, field, ok := strings.Cut(col.field, "."); ok {
		return q.joinedColumn(col, via, field)
	}
	if col.field != "*" && !q.dt.has(col.field) {
		return unknownField(col.field)
	}
	q.columns = append(q.columns, col)
	return nil
}

// joinedColumn reads a field of a child table or of a linked document.
func (q *query) joinedColumn(col column, via, field string) error {
	f := q.dt.byName[via]
	if f == nil || (f.kind != "Table" && f.kind != "Link") || q.types[f.target] == nil || !q.types[f.target].has(field) {
		return unknownField(col.field)
	}
	if col.name == col.field {
		col.name = field
	}
	col.via, col.field = via, field
	q.columns = append(q.columns, col)
	q.joined = true
	return nil
}

func unknownField(name string) error {
	return throw("DataError", "Field not permitted in query: "+name)
}

// filter reads filters in any of their forms: an object, a list of
// [field, op, value], or of [DocType, field, op, value].
func (q *query) filter(v any, into *[]condition) error {
	if s, ok := v.(string); ok {
		if s == "" {
			return nil
		}
		decoded, err := decodeJSON([]byte(s))
		if err != nil {
			return bare("JSONDecodeError", fmt.Sprintf("Expecting value: line 1 column %d (char %d)", len(s)+1, len(s)))
		}
		v = decoded
	}
	switch v := v.(type) {
	case doc:
		for field, value := range v {
			op := any("=")
			if pair, ok := value.([]any); ok && len(pair) == 2 {
				op, value = pair[0], pair[1]
			}
			if err := q.condition(q.dt.name, field, text(op), value, into); err != nil {
				return err
			}
		}
	case []any:
		return q.filterList(v, into)
	}
	return nil
}

func (q *query) filterList(list []any, into *[]condition) error {
	if len(list) == 3 {
		if _, ok := list[0].(string); ok {
			list = []any{list}
		}
	}
	for _, v := range list {
		parts, ok := v.([]any)
		if !ok {
			return invalid("Invalid filter: %s", text(v))
		}
		var err error
		switch len(parts) {
		case 2:
			err = q.condition(q.dt.name, text(parts[0]), "=", parts[1], into)
		case 3:
			err = q.condition(q.dt.name, text(parts[0]), text(parts[1]), parts[2], into)
		case 4, 5:
			err = q.condition(text(parts[0]), text(parts[1]), text(parts[2]), parts[3], into)
		default:
			err = throw("ValidationError", "Filter must have 4 values (doctype, fieldname, operator, value)")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (q *query) condition(owner, field, op string, value any, into *[]condition) error {
	op = strings.ToLower(op)
	if !slices.Contains(operators, op) {
		return throw("ValidationError", "Operator must be one of "+strings.Join(operators, ", "))
	}
	dt := q.types[owner]
	if dt == nil || !dt.has(field) {
		return unknownField(field)
	}
	c := condition{field: field, op: op, value: value, kind: "Data"}
	if f := dt.byName[field]; f != nil {
		c.kind = f.kind
	}
	if field == "docstatus" || field == "idx" {
		c.kind = "Int"
	}
	if owner != q.dt.name {
		c.child = owner
		q.joined = true
	}
	*into = append(*into, c)
	return nil
}

// run finds what matches and what the user may see, in no particular order.
func (q *query) run() []doc {
	var found []doc
	for _, d := range q.candidates() {
		if !q.matches(d) {
			continue
		}
		if link, _ := q.deniedLink(d); link == nil {
			found = append(found, d)
		}
	}
	q.rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	return found
}

// candidates are the documents, or for a child table its rows in all parents.
func (q *query) candidates() []doc {
	if !q.dt.child {
		return q.Site.all(q.dt.name)
	}
	var out []doc
	for _, dt := range q.types {
		for _, f := range dt.fields {
			if f.kind != "Table" || f.target != q.dt.name {
				continue
			}
			for _, d := range q.Site.all(dt.name) {
				out = append(out, rows(d, f.name)...)
			}
		}
	}
	return out
}

func (q *query) matches(d doc) bool {
	for _, c := range q.all {
		if !q.holds(c, d) {
			return false
		}
	}
	if len(q.any) == 0 {
		return true
	}
	return slices.ContainsFunc(q.any, func(c condition) bool { return q.holds(c, d) })
}

func (q *query) holds(c condition, d doc) bool {
	if c.child == "" {
		return c.holds(d[c.field])
	}
	for _, f := range q.dt.fields {
		if f.kind != "Table" || f.target != c.child {
			continue
		}
		for _, row := range rows(d, f.name) {
			if c.holds(row[c.field]) {
				return true
			}
		}
	}
	return false
}

func (c condition) holds(v any) bool {
	switch c.op {
	case "is":
		set := v != nil && v != ""
		return set == (fold(text(c.value)) == "set")
	case "in":
		return c.oneOf(v)
	case "not in":
		return !c.oneOf(v)
	case "like":
		return like(text(v), text(c.value))
	case "not like":
		return !like(text(v), text(c.value))
	case "between":
		bounds := listOf(c.value)
		return len(bounds) == 2 && c.compare(v, bounds[0]) >= 0 && c.compare(v, bounds[1]) <= 0
	case "=":
		return c.compare(v, c.value) == 0
	case "!=":
		return c.compare(v, c.value) != 0
	case ">":
		return c.compare(v, c.value) > 0
	case "<":
		return c.compare(v, c.value) < 0
	case ">=":
		return c.compare(v, c.value) >= 0
	case "<=":
		return c.compare(v, c.value) <= 0
	}
	return false
}

// oneOf matches empty values against an empty list, as the site does.
func (c condition) oneOf(v any) bool {
	values := listOf(c.value)
	if len(values) == 0 {
		return v == nil || v == ""
	}
	return slices.ContainsFunc(values, func(x any) bool { return c.compare(v, x) == 0 })
}

func listOf(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case string:
		var out []any
		for part := range strings.SplitSeq(v, ",") {
			out = append(out, strings.TrimSpace(part))
		}
		return out
	}
	return []any{v}
}

func (c condition) compare(a, b any) int {
	if c.kind == "Int" || c.kind == "Float" {
		x, y := flt(a), flt(b)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	return strings.Compare(fold(text(a)), fold(text(b)))
}

// like is SQL's LIKE in the database's collation.
func like(value, pattern string) bool {
	var re strings.Builder
	re.WriteString("(?s)^")
	for _, r := range fold(pattern) {
		switch r {
		case '%':
			re.WriteString(".*")
		case '_':
			re.WriteString(".")
		default:
			re.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	re.WriteString("$")
	matched, err := regexp.MatchString(re.String(), fold(value))
	return err == nil && matched
}

var orderTerm = regexp.MustCompile("^(?:`tab([^`]+)`\\.)?`?([\\w]+)`?(?:\\s+(asc|desc|ASC|DESC))?$")

// sort orders by the terms of order_by; none means no order.
func (q *query) sort(found []doc, spec string) error {
	if strings.TrimSpace(spec) == "" {
		return nil
	}
	if i := strings.IndexByte(spec, '('); i >= 0 {
		return throw("ValidationError", fmt.Sprintf("Cannot use %s in order/group by", strings.TrimSpace(spec[:i])))
	}
	type term struct {
		condition
		down bool
	}
	var terms []term
	for part := range strings.SplitSeq(spec, ",") {
		m := orderTerm.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil || !q.dt.has(m[2]) {
			return bare("OperationalError", fmt.Sprintf(`(1054, "Unknown column '%s' in 'ORDER BY'")`, strings.Fields(part)[0]))
		}
		if q.joined && m[1] == "" && slices.Contains(standardFields, m[2]) {
			return bare("OperationalError", fmt.Sprintf(`(1052, "Column '%s' in ORDER BY is ambiguous")`, m[2]))
		}
		t := term{down: strings.EqualFold(m[3], "desc")}
		t.field, t.kind = m[2], "Data"
		if f := q.dt.byName[m[2]]; f != nil {
			t.kind = f.kind
		}
		terms = append(terms, t)
	}
	slices.SortStableFunc(found, func(a, b doc) int {
		for _, t := range terms {
			n := t.compare(a[t.field], b[t.field])
			if t.down {
				n = -n
			}
			if n != 0 {
				return n
			}
		}
		return 0
	})
	return nil
}

func (q *query) project(found []doc, asDict any) any {
	out := []any{}
	asList := asDict != nil && (text(asDict) == "0" || fold(text(asDict)) == "false")
	for _, d := range found {
		for _, source := range q.sources(d) {
			if asList {
				row := []any{}
				for _, col := range q.columns {
					row = append(row, q.value(d, source, col))
				}
				out = append(out, row)
				continue
			}
			out = append(out, q.row(d, source))
		}
	}
	return out
}

// sources are the child rows that multiply a document in a joined list.
func (q *query) sources(d doc) []doc {
	for _, col := range q.columns {
		if f := q.dt.byName[col.via]; f != nil && f.kind == "Table" {
			return rows(d, col.via)
		}
	}
	return []doc{nil}
}

func (q *query) row(d, source doc) doc {
	row := doc{}
	for _, col := range q.columns {
		if col.field != "*" {
			row[col.name] = q.value(d, source, col)
			continue
		}
		for _, name := range standardFields[:7] {
			row[name] = d[name]
		}
		for _, f := range q.dt.fields {
			if f.kind != "Table" && f.name != "ignore_pricing_rule" { // of a higher permission level
				row[f.name] = d[f.name]
			}
		}
	}
	return row
}

func (q *query) value(d, source doc, col column) any {
	if col.via == "" {
		return d[col.field]
	}
	if source != nil {
		return source[col.field]
	}
	linked := q.peek(q.dt.byName[col.via].target, str(d, col.via))
	return linked[col.field]
}
