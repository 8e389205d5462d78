package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// customFieldController makes a column, and for a unique field an index, as
// soon as the field is stored.
var customFieldController = controller{
	autoname: func(t *tx, d doc) error {
		if str(d, "fieldname") == "" {
			if str(d, "label") == "" {
				return throw("ValidationError", "Label is mandatory")
			}
			d["fieldname"] = "custom_" + strings.ToLower(strings.ReplaceAll(str(d, "label"), " ", "_"))
		}
		d["name"] = str(d, "dt") + "-" + str(d, "fieldname")
		if dt := t.types[str(d, "dt")]; dt != nil && dt.has(str(d, "fieldname")) {
			return throw("ValidationError", fmt.Sprintf("A field with the name <strong>%s</strong> already exists in %s", str(d, "fieldname"), dt.name))
		}
		return nil
	},
	validate:    validateCustomField,
	afterInsert: addCustomField,
	onUpdate:    repairShape,
	onTrash:     dropCustomField,
}

// uniqueKinds are the field types that can carry a unique index.
var uniqueKinds = []string{"Data", "Link", "Read Only", "Int"}

func validateCustomField(t *tx, d doc) error {
	dt := t.types[str(d, "dt")]
	if dt == nil {
		return nil
	}
	name := str(d, "fieldname")
	if cint(d["unique"]) == 1 && !slices.Contains(uniqueKinds, str(d, "fieldtype")) {
		// The shape is cached before the refusal: from now on every insert of
		// that DocType names a column that does not exist.
		dt.poisoned = name
		return throw("NonUniqueError", fmt.Sprintf("%s: Fieldtype %s for %s cannot be unique", dt.name, str(d, "fieldtype"), str(d, "label")))
	}
	return nil
}

// kinds maps the site's field types to how their values behave.
var kinds = map[string]string{
	"Check": "Int", "Int": "Int", "Float": "Float", "Currency": "Float", "Percent": "Float", "Date": "Date", "Link": "Link",
	"Small Text": "Text", "Text": "Text", "Long Text": "Text", "Text Editor": "Text", "Code": "Text",
}

func addCustomField(t *tx, d doc) error {
	dt := t.types[str(d, "dt")]
	f := columnOf(d)
	dt.add(f)
	t.undo = append(t.undo, func() { dt.drop(f.name) })
	return nil
}

// columnOf is the column that a Custom Field makes.
func columnOf(d doc) *field {
	f := &field{
		name: str(d, "fieldname"), label: str(d, "label"), kind: "Data", custom: true,
		unique: cint(d["unique"]) == 1, required: cint(d["reqd"]) == 1, afterSubmit: cint(d["allow_on_submit"]) == 1,
	}
	if kind := kinds[str(d, "fieldtype")]; kind != "" {
		f.kind = kind
	}
	if f.kind == "Link" {
		f.target = str(d, "options")
	}
	if f.kind == "Int" || f.kind == "Float" {
		f.initial = map[string]any{"Int": int64(0), "Float": 0.0}[f.kind]
	}
	return f
}

// repairShape reads the shape anew: any valid save heals what a refused one
// left behind.
func repairShape(t *tx, d doc) error {
	if dt := t.types[str(d, "dt")]; dt != nil {
		dt.poisoned = ""
	}
	return nil
}

func dropCustomField(t *tx, d doc) error {
	if dt := t.types[str(d, "dt")]; dt != nil {
		dt.drop(str(d, "fieldname"))
	}
	return nil
}
