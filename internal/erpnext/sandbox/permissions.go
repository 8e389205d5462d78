package sandbox

import (
	"fmt"
	"strings"
)

// rights are what a role may do with a DocType.
type rights map[string]bool

// rightLetters abbreviate the rights in the table below.
var rightLetters = map[rune]string{
	'r': "read", 'w': "write", 'c': "create", 'd': "delete", 's': "submit", 'x': "cancel", 'a': "amend",
}

// permissionTable lists the standard rights by DocType. "All" is every user
// with a login. Fixtures replace what they bring.
var permissionTable = map[string]string{
	"Customer": "Sales User:rwc, Sales Manager:r, Sales Master Manager:rwcd, Stock User:r, Stock Manager:r, Accounts User:r, Accounts Manager:r",
	"Contact": "System Manager:rwcd, Sales Master Manager:rwcd, Sales Manager:rwc, Accounts Manager:rwc, Sales User:rwc, " +
		"Accounts User:rwc, All:rwcd",
	"Address":       "Sales User:rwc, Accounts User:rwc, System Manager:rwcd, All:rwc",
	"Item":          "Item Manager:rwcd, Stock Manager:r, Stock User:r, Sales User:r, Accounts User:r",
	"Item Price":    "Sales Master Manager:rwcd, Purchase Master Manager:rwcd",
	"Sales Order":   "Sales User:rwcdsxa, Sales Manager:rwcdsxa, Maintenance User:rwcdsxa, Accounts User:r, Stock User:r",
	"Sales Invoice": "Accounts Manager:rwcdsxa, Accounts User:rwcsa",
	"Delivery Note": "Stock User:rwcdsxa, Stock Manager:rwcdsxa, Sales User:rwcdsxa, Accounts User:r",
	"Payment Entry": "Accounts User:rwcdsxa, Accounts Manager:rwcdsxa",
	"Journal Entry": "Accounts User:rwcdsxa, Accounts Manager:rwcdsxa, Auditor:r",
	"Custom Field":  "Administrator:rwcd, System Manager:rwcd",
	"Account":       "Accounts User:rwcd, Auditor:r, Sales User:r, Purchase User:r, Accounts Manager:rwcd",
	"Company": "System Manager:rwcd, Accounts User:r, Employee:r, Sales User:r, Purchase User:r, Stock User:r, " +
		"Accounts Manager:rwcd",
	"Mode of Payment":                  "Accounts Manager:rwc, Accounts User:r",
	"Price List":                       "Sales User:r, Sales Master Manager:rwcd, Purchase User:r",
	"Warehouse":                        "Item Manager:rwcd, Stock User:r, Sales User:r, Purchase User:r, Accounts User:r",
	"Currency Exchange":                "Accounts Manager:rwcd, Accounts User:r, Sales User:r, Purchase User:r",
	"Cost Center":                      "Accounts Manager:rwcd, Auditor:r, Accounts User:r, Sales User:r, Purchase User:r",
	"Customer Group":                   "Sales Manager:r, Sales User:r, Sales Master Manager:rwcd, Stock User:r, Accounts User:r",
	"Territory":                        "Sales Master Manager:rwcd, Sales Manager:r, Sales User:r, Stock User:r, Accounts User:r",
	"Item Group":                       "Stock Manager:r, Stock User:r, Item Manager:rwcd, Sales User:r, Accounts User:r",
	"Currency":                         "System Manager:rwcd, Accounts Manager:rwc, Sales Master Manager:rwc, All:r",
	"UOM":                              "Item Manager:rwcd, Stock Manager:r, Stock User:r, Sales User:r, Accounts User:r",
	"Country":                          "System Manager:rwcd, All:r",
	"Language":                         "System Manager:rwcd, All:r",
	"Fiscal Year":                      "System Manager:rwcd, Accounts Manager:rwc, Sales User:r, Accounts User:r, Stock User:r",
	"Accounting Period":                "System Manager:rwcd, Accounts Manager:rwcd, Accounts User:r",
	"Period Closing Voucher":           "System Manager:rwcdsxa, Accounts Manager:rwcdsxa",
	"GL Entry":                         "Accounts User:r, Accounts Manager:r, Auditor:r",
	"Bin":                              "Sales User:r, Purchase User:r, Stock User:r",
	"Sales Taxes and Charges Template": "Sales User:r, Accounts User:r, Accounts Manager:rwcd, Sales Master Manager:rwcd",
	"Item Tax Template":                "Accounts User:rwcd, Accounts Manager:rwcd, Sales User:r",
	"Payment Terms Template":           "Accounts Manager:rwcd, Accounts User:r, Sales User:r",
	"Lead":                             "Sales User:rwc, Sales Manager:rwcd, System Manager:rwc",
	"User":                             "System Manager:rwcd",
	"User Permission":                  "System Manager:rwcd",
	"System Settings":                  "System Manager:rwc",
	"Selling Settings":                 "System Manager:rwc",
	"Stock Settings":                   "System Manager:rwc, Stock Manager:rwc",
	"Accounts Settings":                "Accounts Manager:rwc, Sales User:r, Accounts User:r, Purchase User:r",
	"Global Defaults":                  "System Manager:rwc",
}

func defaultPermissions() map[string]map[string]rights {
	out := map[string]map[string]rights{}
	for doctype, list := range permissionTable {
		byRole := map[string]rights{}
		for entry := range strings.SplitSeq(list, ", ") {
			role, letters, _ := strings.Cut(entry, ":")
			byRole[role] = rights{}
			for _, l := range letters {
				byRole[role][rightLetters[l]] = true
			}
		}
		out[doctype] = byRole
	}
	return out
}

// mayType says whether one of the user's roles gives the right on a DocType.
func (t *tx) mayType(doctype, right string) bool {
	if t.user.all || t.ignoring {
		return true
	}
	for role, has := range t.perms[doctype] {
		if has[right] && (t.user.roles[role] || (role == "All" && !t.user.isGuest())) {
			return true
		}
	}
	return false
}

// noTypeRight is the refusal of a role. Only a list shows the exception line.
func (t *tx) noTypeRight(doctype string, listed bool) *failure {
	f := newFailure("PermissionError", "")
	f.hidden = !listed
	f.raw = true
	f.message = &message{text: fmt.Sprintf(
		"User <strong>%s</strong> does not have doctype access via role permission for document <strong>%s</strong>", t.user.name, doctype)}
	f.pretext = "No permission for " + doctype
	return f
}

// mustType refuses when no role gives the right.
func (t *tx) mustType(doctype, right string) error {
	if t.mayType(doctype, right) {
		return nil
	}
	return t.noTypeRight(doctype, false)
}

// must refuses when the user lacks the right on this document: by role, or by
// a User Permission on something it links to.
func (t *tx) must(d doc, right string) error {
	doctype := str(d, "doctype")
	if err := t.mustType(doctype, right); err != nil {
		return err
	}
	link, value := t.deniedLink(d)
	if link == nil {
		return nil
	}
	f := newFailure("PermissionError", "")
	f.raw = true
	f.message = &message{text: fmt.Sprintf("You are not allowed to access this %s record because it is linked to %s '%s' in field %s",
		doctype, link.target, value, link.label)}
	if right == "create" {
		f.pretext = fmt.Sprintf("You need the 'create' permission on <strong>%s</strong> %s to perform this action.", doctype, str(d, "name"))
	}
	if t.mayType(doctype, "read") {
		f.message.text += fmt.Sprintf("<br>User <strong>%s</strong> does not have access to this document: %s - %s", t.user.name, doctype, text(orNone(d["name"])))
	}
	return f
}

func orNone(v any) any {
	if v == nil {
		return "None"
	}
	return v
}

// allowedValues are the User Permissions of the user: DocType to the names it
// is confined to.
func (t *tx) allowedValues() map[string]map[string]bool {
	var out map[string]map[string]bool
	if t.user.all || t.ignoring {
		return nil
	}
	for _, p := range t.all("User Permission") {
		if str(p, "user") != t.user.name {
			continue
		}
		if out == nil {
			out = map[string]map[string]bool{}
		}
		allow := str(p, "allow")
		if out[allow] == nil {
			out[allow] = map[string]bool{}
		}
		out[allow][fold(str(p, "for_value"))] = true
	}
	return out
}

// deniedLink is the first field whose value a User Permission keeps from the
// user, or nil.
func (t *tx) deniedLink(d doc) (*field, string) {
	allowed := t.allowedValues()
	dt := t.types[str(d, "doctype")]
	if len(allowed) == 0 || dt == nil {
		return nil, ""
	}
	if names, ok := allowed[dt.name]; ok && d["name"] != nil && !names[fold(str(d, "name"))] {
		return &field{target: dt.name, label: "Name"}, str(d, "name")
	}
	for _, f := range dt.fields {
		names, confined := allowed[f.target]
		if f.kind != "Link" || !confined {
			continue
		}
		if value := str(d, f.name); value != "" && !names[fold(value)] {
			return f, value
		}
	}
	return nil, ""
}

// Grant gives a role a right on a DocType, as an administrator does in the Role
// Permissions Manager.
func (s *Site) Grant(doctype, role, right string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perms[doctype] == nil {
		return fmt.Errorf("sandbox: no permissions of %q", doctype)
	}
	has := s.perms[doctype][role]
	if has == nil {
		has = rights{}
		s.perms[doctype][role] = has
	}
	has[right] = true
	return nil
}
