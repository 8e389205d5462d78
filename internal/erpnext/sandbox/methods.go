package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// methods are the functions a client may call by name.
var methods map[string]func(c *call) (any, error)

func init() {
	methods = map[string]func(c *call) (any, error){
		"ping":                                     func(*call) (any, error) { return "pong", nil },
		"frappe.ping":                              func(*call) (any, error) { return "pong", nil },
		"frappe.auth.get_logged_user":              func(c *call) (any, error) { return c.user.name, nil },
		"frappe.utils.change_log.get_versions":     (*call).getVersions,
		"frappe.client.get_time_zone":              (*call).getTimeZone,
		"frappe.client.has_permission":             (*call).hasPermission,
		"frappe.client.get_list":                   (*call).clientGetList,
		"frappe.client.get_count":                  (*call).clientGetCount,
		"frappe.client.get":                        (*call).clientGet,
		"frappe.client.get_value":                  (*call).clientGetValue,
		"frappe.client.set_value":                  (*call).clientSetValue,
		"frappe.client.insert":                     (*call).clientInsert,
		"frappe.client.save":                       (*call).clientSave,
		"frappe.client.submit":                     (*call).clientSubmit,
		"frappe.client.cancel":                     (*call).clientCancel,
		"frappe.client.delete":                     (*call).clientDelete,
		"frappe.client.rename_doc":                 (*call).clientRename,
		"frappe.client.validate_link":              (*call).validateLink,
		"frappe.desk.form.utils.add_comment":       (*call).addComment,
		"erpnext.setup.utils.get_exchange_rate":    (*call).getExchangeRate,
		orderModule + "update_status":              (*call).updateOrderStatus,
		orderModule + "make_sales_invoice":         (*call).makeSalesInvoice,
		orderModule + "make_delivery_note":         (*call).makeDeliveryNote,
		invoiceModule + "make_sales_return":        (*call).makeSalesReturn,
		paymentModule + "get_payment_entry":        (*call).getPaymentEntry,
		controllerModule + "update_child_qty_rate": (*call).updateChildQtyRate,
	}
}

const (
	orderModule      = "erpnext.selling.doctype.sales_order.sales_order."
	invoiceModule    = "erpnext.accounts.doctype.sales_invoice.sales_invoice."
	paymentModule    = "erpnext.accounts.doctype.payment_entry.payment_entry."
	controllerModule = "erpnext.controllers.accounts_controller."
)

// guestMethods need no login.
var guestMethods = []string{"ping", "frappe.ping", "frappe.client.get_time_zone"}

// writingMethods refuse GET.
var writingMethods = []string{
	"frappe.client.set_value", "frappe.client.insert", "frappe.client.save", "frappe.client.submit", "frappe.client.cancel", "frappe.client.delete",
	"frappe.client.rename_doc",
	"frappe.desk.form.utils.add_comment",
}

// knownModules exist, whatever is asked of them.
var knownModules = []string{"frappe.client", "frappe.auth", "frappe.utils", "frappe"}

// privateFunctions exist and are for the application alone.
var privateFunctions = map[string]string{"frappe.utils.now": "frappe.utils.data.now", "frappe.db.sql": "frappe.db.sql"}

func notWhitelisted(name string) error {
	return throw("PermissionError", "<details><summary>You are not permitted to access this resource. Login to access</summary>Function <strong>"+
		name+"</strong> is not whitelisted.</details>").titled("Method Not Allowed")
}

// method calls a function by its dotted name.
func (c *call) method(name string) (answer, error) {
	if name == "version" && c.opts.Version == 14 {
		return c.envelope(http.StatusOK, doc{"message": c.versions["frappe"]}), nil
	}
	f := methods[name]
	if f == nil {
		return answer{}, c.unknownMethod(name)
	}
	if c.user.isGuest() && !slices.Contains(guestMethods, name) {
		return answer{}, notWhitelisted(name)
	}
	if c.request.Method == http.MethodGet && slices.Contains(writingMethods, name) {
		return answer{}, throw("PermissionError", "Not permitted")
	}
	v, err := f(c)
	if err != nil {
		return answer{}, err
	}
	key := "message"
	if c.version == 2 {
		key = "data"
	}
	body := doc{}
	if v != nil {
		body[key] = v
	}
	return c.envelope(http.StatusOK, body), nil
}

func (c *call) unknownMethod(name string) error {
	if private := privateFunctions[name]; private != "" {
		return notWhitelisted(private)
	}
	i := strings.LastIndexByte(name, '.')
	module, attribute := "frappe.handler", name
	if i >= 0 {
		module, attribute = name[:i], name[i+1:]
	}
	app, _, _ := strings.Cut(name, ".")
	reason := fmt.Sprintf("module '%s' has no attribute '%s'", module, attribute)
	if i >= 0 && app != "frappe" && app != "erpnext" {
		reason = fmt.Sprintf("App %s is not installed", app)
		c.messages = append(c.messages, message{text: reason, indicator: "red", raise: true})
	} else if !slices.Contains(knownModules, module) {
		reason = fmt.Sprintf("No module named '%s'", module)
	}
	return throw("ValidationError", fmt.Sprintf("Failed to get method for command %s with %s", name, reason))
}

// need is a mandatory argument of a function.
func (c *call) need(function, name string) (string, error) {
	v, ok := c.form[name]
	if !ok {
		return "", bare("TypeError", fmt.Sprintf("%s() missing 1 required positional argument: '%s'", function, name))
	}
	return text(v), nil
}

func (c *call) getVersions() (any, error) {
	out := doc{}
	for _, app := range []string{"frappe", "erpnext"} {
		out[app] = doc{"title": app, "description": "", "branch": "", "version": c.versions[app]}
	}
	return out, nil
}

func (c *call) getTimeZone() (any, error) { return doc{"time_zone": c.zone.String()}, nil }

func (c *call) hasPermission() (any, error) {
	doctype, err := c.need("has_permission", "doctype")
	if err != nil {
		return nil, err
	}
	name, err := c.need("has_permission", "docname")
	if err != nil {
		return nil, err
	}
	right := str(c.form, "perm_type")
	if right == "" {
		right = "read"
	}
	may := c.mayType(doctype, right)
	if name != "" {
		d, err := c.get(doctype, name)
		if err != nil {
			return nil, err
		}
		link, _ := c.deniedLink(d)
		may = may && link == nil
	}
	return doc{"has_permission": may}, nil
}

func (c *call) clientGetList() (any, error) {
	doctype, err := c.need("get_list", "doctype")
	if err != nil {
		return nil, err
	}
	length := 20
	if v, ok := c.form["limit_page_length"]; ok {
		length = int(cint(v))
	}
	return c.list(doctype, c.form, length)
}

func (c *call) clientGetCount() (any, error) {
	doctype, err := c.need("get_count", "doctype")
	if err != nil {
		return nil, err
	}
	found, err := c.matching(doctype, c.form["filters"])
	return int64(len(found)), err
}

// matching are the documents a filter, or a name in its place, finds.
func (c *call) matching(doctype string, filters any) ([]doc, error) {
	dt, err := c.shape(doctype)
	if err != nil {
		return nil, err
	}
	if name, ok := filters.(string); ok && !strings.HasPrefix(name, "{") && !strings.HasPrefix(name, "[") {
		filters = doc{"name": name}
	}
	q := &query{tx: c.tx, dt: dt}
	if err := q.filter(filters, &q.all); err != nil {
		return nil, err
	}
	return q.run(), nil
}

func (c *call) clientGet() (any, error) {
	doctype, err := c.need("get", "doctype")
	if err != nil {
		return nil, err
	}
	name := str(c.form, "name")
	if filters := c.form["filters"]; truthy(filters) && name == "" {
		found, err := c.matching(doctype, filters)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, notFound(doctype, pyRepr(filters))
		}
		name = str(found[0], "name")
	}
	_, d, err := c.load(doctype, name)
	if err != nil {
		return nil, err
	}
	if err := c.must(d, "read"); err != nil {
		return nil, err
	}
	return c.renderWith(d, true), nil
}

// pyRepr is Python's way to print a small dictionary.
func pyRepr(v any) string {
	d, ok := v.(doc)
	if !ok {
		return text(v)
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(d)) {
		parts = append(parts, fmt.Sprintf("'%s': '%s'", k, text(d[k])))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (c *call) clientGetValue() (any, error) {
	doctype, err := c.need("get_value", "doctype")
	if err != nil {
		return nil, err
	}
	if !c.mayType(doctype, "read") {
		return nil, throw("PermissionError", "No permission for "+doctype)
	}
	fields, err := c.fieldList(c.form["fieldname"])
	if err != nil {
		return nil, err
	}
	if dt := c.types[doctype]; dt != nil && dt.single {
		return pick(c.single(doctype), fields), nil
	}
	found, err := c.matching(doctype, c.form["filters"])
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return doc{}, nil
	}
	return pick(found[0], fields), nil
}

// fieldList reads a field name or a list of them.
func (c *call) fieldList(v any) ([]string, error) {
	if s, ok := v.(string); ok && strings.HasPrefix(s, "[") {
		decoded, err := decodeJSON([]byte(s))
		if err != nil {
			return nil, jsonError(s, err)
		}
		v = decoded
	}
	if list, ok := v.([]any); ok {
		out := make([]string, len(list))
		for i, f := range list {
			out[i] = text(f)
		}
		return out, nil
	}
	if s := text(v); s != "" {
		return []string{s}, nil
	}
	return []string{"name"}, nil
}

func pick(d doc, fields []string) doc {
	out := doc{}
	for _, f := range fields {
		out[f] = d[f]
	}
	return out
}

func (c *call) clientSetValue() (any, error) {
	dt, d, err := c.load(str(c.form, "doctype"), str(c.form, "name"))
	if err != nil {
		return nil, err
	}
	values, ok := c.form["fieldname"].(doc)
	if !ok {
		values = doc{str(c.form, "fieldname"): c.form["value"]}
	}
	if err := c.merge(dt, d, values); err != nil {
		return nil, err
	}
	if err := c.save(d, ""); err != nil {
		return nil, err
	}
	return c.renderWith(d, true), nil
}

// docArgument is the document a client.* function got.
func (c *call) docArgument() (*doctype, doc, error) {
	v := c.form["doc"]
	if s, ok := v.(string); ok {
		decoded, err := decodeJSON([]byte(s))
		if err != nil {
			return nil, nil, jsonError(s, err)
		}
		v = decoded
	}
	sent, ok := v.(doc)
	if !ok {
		return nil, nil, bare("TypeError", "missing 1 required positional argument: 'doc'")
	}
	dt, err := c.shape(str(sent, "doctype"))
	return dt, sent, err
}

func (c *call) clientInsert() (any, error) {
	dt, sent, err := c.docArgument()
	if err != nil {
		return nil, err
	}
	sent = cloneDoc(sent)
	delete(sent, "name")
	d, err := c.createFrom(dt, sent)
	if err != nil {
		return nil, err
	}
	return c.renderWith(d, true), nil
}

func (c *call) clientSave() (any, error) { return c.saveWhole(-1) }

func (c *call) clientSubmit() (any, error) { return c.saveWhole(1) }

// saveWhole saves the document exactly as sent, so its modified must be right.
func (c *call) saveWhole(docstatus int64) (any, error) {
	dt, sent, err := c.docArgument()
	if err != nil {
		return nil, err
	}
	before := c.peek(dt.name, str(sent, "name"))
	if before == nil {
		return nil, notFound(dt.name, str(sent, "name"))
	}
	if sent["modified"] == nil {
		return nil, c.staleCopy(before, str(before, "modified"), c.now())
	}
	d := doc{"doctype": dt.name, "name": before["name"], "creation": before["creation"], "owner": before["owner"], "docstatus": int64(0)}
	if err := c.merge(dt, d, sent); err != nil {
		return nil, err
	}
	if docstatus >= 0 {
		d["docstatus"] = docstatus
	}
	if err := c.save(d, str(sent, "modified")); err != nil {
		return nil, err
	}
	return c.renderWith(d, true), nil
}

func (t *tx) staleCopy(d doc, stored, sent string) error {
	what := "Document"
	if t.opts.Version >= 16 {
		what = fmt.Sprintf("%s (%s)", str(d, "name"), str(d, "doctype"))
	}
	return throw("TimestampMismatchError", fmt.Sprintf("Error: %s has been modified after you have opened it (%s, %s). "+
		"Please refresh to get the latest document.", what, stored, sent))
}

func (c *call) clientCancel() (any, error) {
	_, d, err := c.load(str(c.form, "doctype"), str(c.form, "name"))
	if err != nil {
		return nil, err
	}
	d["docstatus"] = int64(2)
	if err := c.save(d, ""); err != nil {
		return nil, err
	}
	return c.renderWith(d, true), nil
}

func (c *call) clientDelete() (any, error) {
	dt, err := c.shape(str(c.form, "doctype"))
	if err != nil {
		return nil, err
	}
	return nil, c.deleteDoc(dt, str(c.form, "name"))
}

func (c *call) validateLink() (any, error) {
	doctype, err := c.need("validate_link", "doctype")
	if err != nil {
		return nil, err
	}
	if err := c.mustType(doctype, "read"); err != nil {
		return nil, err
	}
	name, _ := c.resolve(doctype, str(c.form, "docname"))
	if name == "" {
		return doc{"name": nil}, nil
	}
	out := doc{"name": name}
	fields, err := c.fieldList(c.form["fields"])
	if err != nil || c.form["fields"] == nil {
		return out, err
	}
	maps.Copy(out, pick(c.peek(doctype, name), fields))
	return out, nil
}
