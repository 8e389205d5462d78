package sandbox

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// The checks of a document's fields that every DocType shares, and those of the
// database behind them.

func (t *tx) checkFields(dt *doctype, d doc) error {
	if err := t.checkMandatory(dt, d); err != nil {
		return err
	}
	if err := t.eachRow(dt, d, checkSelects); err != nil {
		return err
	}
	if err := t.eachRow(dt, d, checkNonNegative); err != nil {
		return err
	}
	return t.eachRow(dt, d, checkLengths)
}

// eachRow runs a check over the document and then over all its rows.
func (t *tx) eachRow(dt *doctype, d doc, step func(*doctype, doc) error) error {
	if err := step(dt, d); err != nil {
		return err
	}
	for _, f := range dt.fields {
		if f.kind != "Table" {
			continue
		}
		for _, row := range rows(d, f.name) {
			if err := step(t.types[f.target], row); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) checkMandatory(dt *doctype, d doc) error {
	var missing []string
	_ = t.eachRow(dt, d, func(dt *doctype, row doc) error {
		for _, f := range dt.fields {
			if !f.required || !blank(row[f.name]) {
				continue
			}
			missing = append(missing, f.name)
			if row["parentfield"] != nil {
				t.say(fmt.Sprintf("Error: <strong>%s</strong> Row #%d: Value missing for: %s", dt.name, cint(row["idx"]), f.label))
			} else {
				t.say(fmt.Sprintf("Error: Value missing for %s: %s", dt.name, f.label))
			}
		}
		return nil
	})
	if len(missing) == 0 {
		return nil
	}
	return bare("MandatoryError", fmt.Sprintf("[%s, %s]: %s", dt.name, text(orNone(d["name"])), strings.Join(missing, ", ")))
}

func blank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return strings.TrimSpace(v) == ""
	case []any:
		return len(v) == 0
	}
	return false
}

func checkSelects(dt *doctype, d doc) error {
	for _, f := range dt.fields {
		if f.kind != "Select" || f.options == nil || !truthy(d[f.name]) || f.name == "naming_series" {
			continue
		}
		value := strings.TrimSpace(str(d, f.name))
		d[f.name] = value
		if contains(f.options, value) {
			continue
		}
		prefix := ""
		if d["parentfield"] != nil {
			prefix = fmt.Sprintf("Row #%d:", cint(d["idx"]))
		}
		return throw("ValidationError", fmt.Sprintf(`%s %s cannot be "%s". It should be one of "%s"`,
			prefix, f.label, value, strings.Join(f.options, `", "`)))
	}
	return nil
}

func contains(list []string, value string) bool {
	for _, v := range list {
		if v == value {
			return true
		}
	}
	return false
}

// checkNonNegative holds for the quantities of order rows alone.
func checkNonNegative(dt *doctype, d doc) error {
	if dt.name != "Sales Order Item" || flt(d["qty"]) >= 0 {
		return nil
	}
	return throw("NonNegativeError", fmt.Sprintf("<strong>%s</strong> Row #%d: Value cannot be negative for <strong>%s</strong>",
		dt.name, cint(d["idx"]), dt.label("qty"))).titled("Negative Value")
}

// maxLength of a text column that is no long text.
const maxLength = 140

func checkLengths(dt *doctype, d doc) error {
	for _, f := range dt.fields {
		value, ok := d[f.name].(string)
		if !ok || f.kind == "Text" || utf8.RuneCountInString(value) <= maxLength {
			continue
		}
		reference := fmt.Sprintf("%s %s", dt.name, text(orNone(d["name"])))
		if d["parentfield"] != nil {
			reference = fmt.Sprintf("%s Row #%d", str(d, "parenttype"), cint(d["idx"]))
		}
		return throw("CharacterLengthExceededError", fmt.Sprintf(
			"%s: '<strong>%s</strong>' (%s) will get truncated, as max characters allowed is %d", reference, f.label, value, maxLength)).
			titled("Value too big")
	}
	return nil
}

// castAll gives every value its column's type.
func castAll(types map[string]*doctype, dt *doctype, d doc) {
	castDoc(dt, d)
	for _, f := range dt.fields {
		if f.kind == "Table" {
			for _, row := range rows(d, f.name) {
				castDoc(types[f.target], row)
			}
		}
	}
}

func castDoc(dt *doctype, d doc) {
	for _, f := range dt.fields {
		v := d[f.name]
		switch f.kind {
		case "Float":
			if v != nil || f.initial != nil {
				d[f.name] = flt(v)
			}
		case "Int":
			if v != nil || f.initial != nil {
				d[f.name] = cint(v)
			}
		case "Data", "Text":
			switch v.(type) {
			case int64, float64:
				d[f.name] = text(v)
			}
		case "Date":
			if v == "" {
				d[f.name] = nil
			}
		}
		if f.unique && v == "" {
			d[f.name] = nil
		}
	}
}

// databaseInsert is the INSERT: only here primary keys, unique indexes and
// impossible dates are noticed.
func (t *tx) databaseInsert(dt *doctype, d doc) error {
	name := str(d, "name")
	if err := t.checkColumns(dt, d, "INSERT INTO"); err != nil {
		return err
	}
	if existing := t.peek(dt.name, name); existing != nil {
		f := newFailure("DuplicateEntryError", fmt.Sprintf(
			`('%s', '%s', IntegrityError(1062, "Duplicate entry '%s' for key 'PRIMARY'"))`, dt.name, name, name))
		f.raw = true
		f.message = &message{text: fmt.Sprintf("%s <strong>%s</strong> already exists", dt.name, name), title: "Duplicate Name", indicator: "red"}
		return f
	}
	if err := t.checkUnique(dt, d); err != nil {
		return err
	}
	t.put(dt.name, d)
	return nil
}

func (t *tx) checkColumns(dt *doctype, d doc, where string) error {
	if dt.poisoned != "" {
		return bare("OperationalError", fmt.Sprintf(`(1054, "Unknown column '%s' in '%s'")`, dt.poisoned, where))
	}
	return t.eachRow(dt, d, func(dt *doctype, row doc) error {
		for _, f := range dt.fields {
			if value := str(row, f.name); f.kind == "Date" && value != "" && !databaseDate(value) {
				return bare("OperationalError", fmt.Sprintf(
					"(1292, \"Incorrect date value: '%s' for column `%s`.`tab%s`.`%s` at row 1\")", value, databaseName, dt.name, f.name))
			}
		}
		return nil
	})
}

// databaseName appears in a few of the database's own messages.
const databaseName = "sandbox"

var dateColumn = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2}(\.\d+)?)?$`)

func databaseDate(value string) bool {
	if !dateColumn.MatchString(value) {
		return false
	}
	_, err := time.Parse(time.DateOnly, value[:10])
	return err == nil
}

func (t *tx) checkUnique(dt *doctype, d doc) error {
	for _, f := range dt.fields {
		value := str(d, f.name)
		if !f.unique || value == "" || !t.taken(dt.name, f.name, value, str(d, "name")) {
			continue
		}
		e := newFailure("UniqueValidationError", fmt.Sprintf(
			`('%s', '%s', IntegrityError(1062, "Duplicate entry '%s' for key '%s'"))`, dt.name, str(d, "name"), value, f.name))
		e.raw = true
		e.message = &message{text: f.label + " must be unique"}
		return e
	}
	return nil
}

func (t *tx) taken(doctype, field, value, except string) bool {
	for _, other := range t.all(doctype) {
		if fold(str(other, field)) == fold(value) && fold(str(other, "name")) != fold(except) {
			return true
		}
	}
	return false
}
