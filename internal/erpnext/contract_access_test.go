package erpnext_test

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

const loggedUser = "/api/method/frappe.auth.get_logged_user"

func (s *contractSite) authCases() []contractCase {
	whoAmI := send(http.MethodGet, loggedUser, nil)
	as := func(value string) step { return whoAmI.with("Authorization", value) }
	pair := strings.TrimPrefix(s.runtime, "token ")
	key, secret, _ := strings.Cut(pair, ":")
	return []contractCase{
		holds("a key and its secret are a login", whoAmI.gives("message", filled())),
		holds("the scheme's case does not matter", as("TOKEN "+pair)),
		holds("Basic takes key and secret as well", as("Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))),
		holds("no header is a guest, who is refused with 403", as("").refused(403, "PermissionError")),
		holds("two spaces hide the credentials: a guest", as("token  "+pair).refused(403, "PermissionError")),
		holds("three parts hide the credentials: a guest", as("token "+key+": "+secret).refused(403, "PermissionError")),
		holds("a wrong secret is 401", as("token "+key+":wrong").refused(401, "AuthenticationError")),
		holds("a wrong key is 401", as("token wrong:"+secret).refused(401, "AuthenticationError")),
		holds("no colon is 401", as("token "+key).refused(401, "AuthenticationError")),
		holds("an empty secret is 401", as("token "+key+":").refused(401, "AuthenticationError")),
		holds("an unknown bearer token is 401", as("Bearer nobody").refused(401, "AuthenticationError")),
		holds("an unknown scheme is 401", as("Digest "+pair).refused(401, "AuthenticationError")),
		holds("a wrong secret is 401 where a guest may ask",
			send(http.MethodGet, "/api/method/ping", nil).with("Authorization", "token "+key+":wrong").refused(401, "AuthenticationError")),
		holds("a wrong secret writes nothing",
			create("Customer", s.person(s.run+" Nobody")).with("Authorization", "token "+key+":wrong").refused(401, "AuthenticationError"),
			find("Customer", "filters", `{"customer_name":"`+s.run+` Nobody"}`).gives("data", rows(0))),
		holds("a guest may not list", find("Sales Order").with("Authorization", "").refused(403, "PermissionError")),
		holds("a guest may not create", create("Customer", s.person("Guest")).with("Authorization", "").refused(403, "PermissionError")),
	}
}

func (s *contractSite) healthCases() []contractCase {
	may := func(doctype, right string) step {
		return call("frappe.client.has_permission", map[string]any{"doctype": doctype, "docname": "", "perm_type": right})
	}
	get := func(method string) step { return send(http.MethodGet, "/api/method/"+method, nil) }
	return []contractCase{
		holds("ping needs no login", get("ping").with("Authorization", "").gives("message", "pong")),
		holds("versions of both apps need a login alone",
			get("frappe.utils.change_log.get_versions").gives("message.erpnext.version", filled(), "message.frappe.version", filled()),
			get("frappe.utils.change_log.get_versions").bySetup().gives("message.erpnext.version", filled()),
			get("frappe.utils.change_log.get_versions").with("Authorization", "").refused(403, "PermissionError")),
		holds("the time zone is an IANA name", get("frappe.client.get_time_zone").gives("message.time_zone", s.profile.Location.String())),
		holds("has_permission says yes", may("Sales Order", "submit").gives("message.has_permission", true),
			may("Payment Entry", "cancel").gives("message.has_permission", true), may("Customer", "create").gives("message.has_permission", true)),
		holds("has_permission says no", may("Custom Field", "create").gives("message.has_permission", false),
			may("Item", "create").gives("message.has_permission", false)),
		holds("has_permission without docname is a TypeError",
			call("frappe.client.has_permission", map[string]any{"doctype": "Item", "perm_type": "read"}).refused(500, "TypeError")),
		holds("has_permission of an unknown document is 404", call("frappe.client.has_permission",
			map[string]any{"doctype": "Sales Order", "docname": s.run, "perm_type": "read"}).refused(404, "DoesNotExistError")),
		holds("HEAD is no health check", send(http.MethodHead, "/api/method/ping", nil).refused(403, "")),
		holds("a company is read by its name", read("Company", s.profile.Company).gives("data.default_currency", s.profile.Currency)),
		holds("a company that is missing is 404", read("Company", s.run).refused(404, "DoesNotExistError")),
		holds("an account tells type, company and whether it is a group",
			read("Account", s.bank).gives("data.account_type", "Bank", "data.company", s.profile.Company, "data.is_group", 0)),
		holds("an account that is missing is 404", read("Account", s.run).refused(404, "DoesNotExistError")),
		holds("get_value of nothing is empty",
			call("frappe.client.get_value", map[string]any{"doctype": "Customer", "fieldname": "name", "filters": map[string]any{"customer_name": s.run + " none"}}).
				gives("message.name", nil)),
		holds("get_count counts", call("frappe.client.get_count", map[string]any{"doctype": "Customer", "filters": map[string]any{"name": s.customer}}).gives("message", 1)),
		holds("a function that does not exist is 417", get("no.such").refused(417, "ValidationError")),
		holds("a function that is not for clients is 403", call("frappe.utils.now", map[string]any{}).refused(403, "PermissionError")),
		holds("a writing function refuses GET", get("frappe.client.insert").refused(403, "PermissionError")),
		holds("a route that does not exist is 404 in JSON", send(http.MethodGet, "/api/nope/x", nil).refused(404, "DoesNotExistError")).only(15, 16),
		holds("version answers until 14", get("version").gives("message", filled())).only(14),
		holds("version is gone since 15", get("version").refused(417, "ValidationError")).only(15, 16),
	}
}

func (s *contractSite) permissionCases() []contractCase {
	forbidden := func(st step) step { return st.refused(403, "PermissionError") }
	field := map[string]any{"dt": "Customer", "label": "Lh Probe", "fieldname": "custom_lh_probe", "fieldtype": "Data"}
	item := map[string]any{"item_code": s.run + "-NO", "item_group": "All Item Groups", "stock_uom": "Nos"}
	return []contractCase{
		holds("the runtime key may not make a Custom Field", forbidden(create("Custom Field", field))),
		holds("the runtime key may not list Custom Fields", forbidden(find("Custom Field"))),
		holds("the runtime key may not read a Custom Field", forbidden(read("Custom Field", "Customer-"+erpnext.KeyField))),
		holds("the runtime key may not make an Item", forbidden(create("Item", item))),
		holds("the runtime key may not read Selling Settings", forbidden(read("Selling Settings", "Selling Settings"))),
		holds("the runtime key reads Accounts Settings", read("Accounts Settings", "Accounts Settings")),
		holds("the runtime key may not delete a Customer", forbidden(remove("Customer", s.customer))),
		holds("the setup key may not list orders", forbidden(find("Sales Order").bySetup())),
		holds("the setup key may not list payments", forbidden(find("Payment Entry").bySetup())),
		holds("the setup key may not read prices", forbidden(find("Item Price").bySetup())),
		holds("the setup key may not make a Customer", forbidden(create("Customer", s.person(s.run+" Setup")).bySetup())),
		holds("a missing document of a type one may not read is 403 since 15", forbidden(read("Sales Order", s.run).bySetup())).only(15, 16),
		holds("a missing document of a type one may not read is 404 in 14", read("Sales Order", s.run).bySetup().refused(404, "DoesNotExistError")).only(14),
		holds("rows of a child table need their parent", forbidden(find("Sales Order Item", "limit", "1")),
			find("Sales Order Item", "limit", "1", "parent", "Sales Order")),
	}
}

func (s *contractSite) customFieldCases() []contractCase {
	name := "Sales Order-" + erpnext.KeyField
	field := map[string]any{"dt": "Sales Order", "label": "Ledgerhook Key", "fieldname": erpnext.KeyField, "fieldtype": "Data", "unique": 1}
	return []contractCase{
		holds("the key field is there after setup, unique and not copied",
			read("Custom Field", name).bySetup().gives("data.unique", 1, "data.no_copy", 1, "data.fieldtype", "Data")),
		holds("the runtime key sees the field in a list", find("Sales Order", "fields", `["`+erpnext.KeyField+`"]`, "limit_page_length", "1")),
		holds("a field that is missing is 417 DataError in a list",
			find("Sales Order", "fields", `["custom_lh_none"]`).refused(417, "DataError"),
			find("Sales Order", "filters", `{"custom_lh_none":"1"}`).refused(417, "DataError")),
		holds("a Custom Field that is missing is 404", read("Custom Field", "Sales Order-custom_lh_none").bySetup().refused(404, "DoesNotExistError")),
		holds("a field made twice is 417", create("Custom Field", field).bySetup().refused(417, "ValidationError")),
		holds("saving the field unchanged is accepted", put("Custom Field", name, map[string]any{}).bySetup()),
		holds("a field of an unknown DocType is a link error",
			create("Custom Field", map[string]any{"dt": "No Such Type", "label": "K", "fieldname": "custom_k", "fieldtype": "Data"}).bySetup().refused(417, "LinkValidationError")),
		holds("a field without label is 417", create("Custom Field", map[string]any{"dt": "Sales Order", "fieldtype": "Data"}).bySetup().refused(417, "ValidationError")),
	}
}

func (s *contractSite) listCases() []contractCase {
	page, key, name := s.run+" Page", s.next(), erpnext.KeyField
	made := make([]step, 0, 22)
	for range 22 {
		made = append(made, create("Customer", s.person(page)))
	}
	like := `{"customer_name":"` + page + `"}`
	one := create("Customer", doc(s.person(s.run+" Listed"), map[string]any{name: key}))
	found := func(filters string) step {
		return find("Customer", "filters", filters, "fields", `["name","`+name+`"]`, "order_by", "creation asc")
	}
	post := func(args map[string]any) step { return call("frappe.client.get_list", args) }
	return []contractCase{
		holds("a page is 20 names, 0 is all, limit and limit_start cut, start is ignored", append(made,
			find("Customer", "filters", like).gives("data", rows(20), "data.0.customer_name", nil),
			find("Customer", "filters", like, "limit_page_length", "0").gives("data", rows(22)),
			find("Customer", "filters", like, "limit", "2").gives("data", rows(2)),
			find("Customer", "filters", like, "limit_start", "20", "order_by", "creation asc").gives("data", rows(2)),
			find("Customer", "filters", like, "limit_page_length", "1", "order_by", "creation asc").keeps("first", "data.0.name"),
			find("Customer", "filters", like, "limit_page_length", "1", "start", "5", "order_by", "creation asc").gives("data.0.name", same("first")),
			find("Customer", "filters", like, "limit_page_length", "1", "order_by", "creation desc").gives("data.0.name", differs("first")))...),
		holds("filters are an object, triples or quadruples", one,
			found(`{"`+name+`":"`+key+`"}`).gives("data", rows(1)), found(`[["`+name+`","=","`+key+`"]]`).gives("data", rows(1)),
			found(`[["Customer","`+name+`","=","`+key+`"]]`).gives("data", rows(1)), found(`{"`+name+`":["like","`+key+`%"]}`).gives("data", rows(1)),
			found(`{"`+name+`":["in",["`+key+`","none"]]}`).gives("data", rows(1)), found(`{"`+name+`":["in","`+key+`,none"]}`).gives("data", rows(1)),
			found(`{"`+name+`":["is","set"],"customer_name":"`+s.run+` Listed"}`).gives("data", rows(1)),
			found(`{"`+name+`":["is","not set"],"customer_name":"`+s.run+` Listed"}`).gives("data", rows(0)),
			found(`[["`+name+`","!=","`+key+`"],["customer_name","=","`+s.run+` Listed"]]`).gives("data", rows(0))),
		holds("keys compare without case, accent and trailing space",
			found(`{"`+name+`":"`+strings.ToUpper(key)+`"}`).gives("data.0."+name, key), found(`{"`+name+`":"`+key+`  "}`).gives("data.0."+name, key),
			found(`{"`+name+`":"`+strings.Replace(key, "lh", "lĥ", 1)+`"}`).gives("data.0."+name, key), found(`{"`+name+`":" `+key+`"}`).gives("data", rows(0))),
		holds("in with an empty list matches empty values, not none",
			create("Customer", doc(s.person(s.run+" Keyless"), map[string]any{name: nil})),
			found(`{"`+name+`":["in",[]],"customer_name":"`+s.run+` Keyless"}`).gives("data", rows(1)),
			found(`{"`+name+`":["in",[]],"customer_name":"`+s.run+` Listed"}`).gives("data", rows(0))),
		holds("or_filters join", find("Customer", "or_filters", `[["`+name+`","=","`+key+`"],["name","=","`+s.customer+`"]]`).gives("data", rows(2))),
		holds("an unknown field in fields or filters is 417",
			find("Customer", "fields", `["nope"]`).refused(417, "DataError"), find("Customer", "filters", `{"nope":1}`).refused(417, "DataError")),
		holds("an unknown field in order_by is 500", find("Customer", "order_by", "nope desc").refused(500, "OperationalError")),
		holds("a function in order_by is 417", find("Customer", "order_by", "sleep(5)").refused(417, "ValidationError")),
		holds("an unknown operator is 417", found(`[["name","~","x"]]`).refused(417, "ValidationError")),
		holds("fields that are no JSON are 500", find("Customer", "fields", "name").refused(500, "JSONDecodeError")),
		holds("filters that are no JSON are 500", find("Customer", "filters", "[[[").refused(500, "JSONDecodeError")),
		holds("get_list by POST takes the filters as they are",
			post(map[string]any{"doctype": "Customer", "filters": map[string]any{name: key}, "fields": []string{name}}).gives("message", rows(1), "message.0."+name, key)),
		holds("get_list by POST takes what a URL cannot",
			post(map[string]any{"doctype": "Customer", "filters": map[string]any{name: []any{"in", []string{strings.Repeat("x", 5000), key}}}}).gives("message", rows(1))),
		holds("get_list without a DocType is a TypeError", post(map[string]any{}).refused(500, "TypeError")),
		holds("SQL functions in fields count until 15",
			find("Customer", "fields", `["count(name) as n"]`, "filters", like).gives("data.0.n", 22)).only(14, 15),
		holds("SQL functions in fields are refused in 16", find("Customer", "fields", `["count(name) as n"]`).refused(417, "DataError")).only(16),
		holds("a list of an unknown DocType is 403 for the runtime key", find("No Such Type").refused(403, "PermissionError")).only(15),
	}
}

func (s *contractSite) bodyCases() []contractCase {
	raw := func(text string) step { return create("Customer", []byte(text)) }
	long := strings.Repeat("x", 141)
	return []contractCase{
		holds("malformed JSON is 500", raw(`{"a":`).refused(500, "JSONDecodeError")),
		holds("a list as body is 500", raw(`[]`).refused(500, "TypeError")),
		holds("a text as body is 417", raw(`"x"`).refused(417, "ValidationError")),
		holds("a wrapper data is taken off", create("Customer", map[string]any{"data": s.person(s.run + " Wrapped")}).gives("data.customer_name", s.run+" Wrapped")),
		holds("a key cmd hijacks the request and nothing is stored",
			create("Customer", doc(s.person(s.run+" Hijack"), map[string]any{"cmd": "ping"})).gives("message", "pong", "data", nil),
			find("Customer", "filters", `{"customer_name":"`+s.run+` Hijack"}`).gives("data", rows(0))),
		holds("unknown fields vanish without a word",
			create("Customer", doc(s.person(s.run+" Vanish"), map[string]any{"no_such_field": "x"})).gives("data.no_such_field", nil)),
		holds("a text that is too long is 417",
			create("Customer", doc(s.person(s.run+" Long"), map[string]any{erpnext.KeyField: long})).refused(417, "CharacterLengthExceededError")),
		holds("a document of an unknown DocType is 500",
			read("No Such Type", "x").refused(500, "ImportError"), create("No Such Type", map[string]any{"a": 1}).refused(500, "ImportError")).only(15),
		holds("PUT on a list is 405 without JSON", put("Customer", "", map[string]any{}).refused(405, "")),
		holds("PATCH is 404 in v1", send(http.MethodPatch, resource("Customer", s.customer), map[string]any{}).refused(404, "DoesNotExistError")).only(15),
		holds("an unknown run_method is 404", send(http.MethodPost, resource("Customer", s.customer), map[string]any{"run_method": "no_such"}).refused(404, "")).only(15),
		holds("a trailing slash is let through by the site itself", find("Customer").with("X-Note", "no proxy"), send(http.MethodGet, "/api/resource/Customer/", nil)).only(15),
		holds("the prefix v1 is the same API since 15", send(http.MethodGet, "/api/v1/resource/Customer/"+s.customer, nil).gives("data.name", s.customer)).only(15, 16),
		holds("every answer sets a cookie of a guest or user", read("Customer", s.customer)),
		holds("errors in another language keep their class",
			read("Customer", s.run).with("Accept-Language", "de").refused(404, "DoesNotExistError")),
	}
}
