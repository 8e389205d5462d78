package sandbox

// clientRename gives a document another name, and every document that names it
// the new one. Nothing's time of modification moves
// (frappe/model/rename_doc.py), so that whoever reads what was modified since
// does not hear of it.
func (c *call) clientRename() (any, error) {
	dt, err := c.shape(str(c.form, "doctype"))
	if err != nil {
		return nil, err
	}
	d, err := c.get(dt.name, str(c.form, "old_name"))
	if err != nil {
		return nil, err
	}
	if err := c.must(d, "write"); err != nil {
		return nil, err
	}
	from, to := str(d, "name"), str(c.form, "new_name")
	if c.peek(dt.name, to) != nil {
		return nil, throw("ValidationError", "Another "+dt.name+" with name "+to+" exists, select another name")
	}
	c.remove(dt.name, from)
	d["name"] = to
	for _, f := range dt.fields {
		for _, row := range rows(d, f.name) {
			row["parent"] = to
		}
	}
	c.put(dt.name, d)
	return to, c.followRename(dt.name, from, to)
}

// followRename puts the new name wherever the old one stands.
func (t *tx) followRename(kind, from, to string) error {
	for _, dt := range t.types {
		for _, stored := range t.all(dt.name) {
			d, found := cloneDoc(stored), false
			err := t.eachRow(dt, d, func(shape *doctype, row doc) error {
				for _, f := range shape.fields {
					target := f.target
					if f.kind == "Dynamic" {
						target = str(row, f.target)
					}
					if (f.kind == "Link" || f.kind == "Dynamic") && target == kind && fold(str(row, f.name)) == fold(from) {
						row[f.name], found = to, true
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			if found {
				t.put(dt.name, d)
			}
		}
	}
	return nil
}
