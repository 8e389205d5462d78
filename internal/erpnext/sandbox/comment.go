package sandbox

import "strconv"

// addComment is frappe/desk/form/utils.py add_comment: whoever may read a
// document may comment on it, although nobody may create a Comment as such.
func (c *call) addComment() (any, error) {
	for _, name := range []string{"reference_doctype", "reference_name", "content", "comment_email", "comment_by"} {
		if _, err := c.need("add_comment", name); err != nil {
			return nil, err
		}
	}
	about, err := c.get(str(c.form, "reference_doctype"), str(c.form, "reference_name"))
	if err != nil {
		return nil, err
	}
	if err := c.must(about, "read"); err != nil {
		return nil, err
	}
	comment := doc{
		"doctype": "Comment", "name": "comment-" + strconv.Itoa(len(c.all("Comment"))+1), "docstatus": 0,
		"owner": c.user.name, "creation": c.now(), "modified": c.now(), "comment_type": "Comment",
		"reference_doctype": str(c.form, "reference_doctype"), "reference_name": str(about, "name"),
		"content": str(c.form, "content"), "comment_email": str(c.form, "comment_email"), "comment_by": str(c.form, "comment_by"),
	}
	c.put("Comment", comment)
	return comment, nil
}
