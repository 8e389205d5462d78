package erpnext

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// knownDocTypes may be named in causes and hints; whatever else an answer
// calls a DocType is not trusted to be one.
var knownDocTypes = []string{
	"Account", "Address", "Company", "Contact", "Cost Center", "Country", "Currency", "Currency Exchange", "Custom Field",
	"Customer", "Customer Group", "DocType", "Fiscal Year", "Item", "Item Group", "Item Price", "Item Tax Template", "Journal Entry",
	"Mode of Payment", "Payment Entry", "Payment Terms Template", "Price List", "Sales Invoice", "Sales Order", "Delivery Note",
	"Sales Taxes and Charges Template", "Accounts Settings", "Selling Settings", "Stock Settings", "System Settings", "Supplier",
	"Tax Category", "Territory", "UOM", "User", "Warehouse",
}

// knownLabels are field labels of the documents we send. Other labels are not
// repeated in causes: a customer's name may look like one.
var knownLabels = append(slices.Clone(knownDocTypes),
	"Account Head", "Amended From", "Billing Currency", "Customer's Currency", "Default Currency", "Delivery Warehouse", "Income Account",
	"Item Code", "Link Name", "Name", "Party", "Party Type", "Account Paid From", "Account Paid To", "Price List Currency", "Set Source Warehouse",
	"Source", "Default Price List", "Print Language", "Reference Name", "Project", "Stock UOM", "Default Unit of Measure",
)

// chosenNames are DocTypes whose name we choose; the name of every other one
// comes from a series or is made unique, so that a clash is a lost race.
var chosenNames = []string{"Item", "Custom Field", "Account", "Warehouse", "Price List", "Mode of Payment"}

// roleFor names the stock role that grants writing a DocType.
var roleFor = map[string]string{
	DocCustomer: "Sales User", DocSalesOrder: "Sales User", "Contact": "Sales User", "Address": "Sales User",
	DocPaymentEntry: "Accounts User", "Sales Invoice": "Accounts User", DocDeliveryNote: "Stock User", "Journal Entry": "Accounts User",
	"Account": "Accounts User", "Company": "Accounts User", "Cost Center": "Accounts User",
	"Item": "Item Manager", "Item Price": "Sales Master Manager", "Custom Field": "System Manager", "DocType": "System Manager",
}

var (
	neededRight = regexp.MustCompile(`need the '(read|write|create|submit|cancel|amend|delete)' permission on (.+?)\s+to perform`)
	forDocType  = regexp.MustCompile(`(?:for document|No permission for) ([A-Z][A-Za-z ]+?)\s*(?:User |\n|$)`)
	linkedTo    = regexp.MustCompile(`not allowed to access this ([A-Z][A-Za-z ]+?) record because it is linked to`)
)

// refinePermission tells a guest from a user without the right, and a role
// that is missing from a User Permission that hides documents.
func refinePermission(r request, s said, v *verdict) {
	all := s.all()
	if strings.Contains(all, "User Guest ") || (strings.Contains(all, "Login to access") && offered(r)) {
		v.kind, v.cause, v.hint = fault.Credentials, "seen as Guest", hintGuest
		return
	}
	doctype := knownMatch(linkedTo, all, 1)
	if doctype != "" {
		v.cause = doctype + " hidden by a User Permission"
		v.hint = "remove the User Permissions that hide a " + doctype + " from the API user"
		return
	}
	right := "the right"
	if m := neededRight.FindStringSubmatch(all); m != nil {
		right, doctype = m[1], known(m[2])
	} else {
		doctype = knownMatch(forDocType, all, 1)
	}
	if doctype == "" {
		doctype = known(r.doctype)
	}
	if doctype == "" {
		return
	}
	v.cause = doctype
	if right != "the right" {
		v.cause = right + " on " + doctype
	}
	v.hint = "the API user lacks " + right + verbFor(r, right) + " on " + doctype
	if role := roleFor[doctype]; role != "" {
		v.hint += ": give it the role " + role
	}
}

// verbFor says what was wanted where ERPNext does not.
func verbFor(r request, right string) string {
	if right != "the right" {
		return ""
	}
	action, _, _ := strings.Cut(strings.TrimPrefix(r.op, "erpnext."), " ")
	switch action {
	case "create", "submit", "cancel", "update", "get", "list":
		return " to " + strings.Replace(action, "get", "read", 1)
	default:
		return ""
	}
}

// offered reports whether every logged-in user may call this method, so that
// "login to access" can only mean that nobody is logged in.
func offered(r request) bool {
	for _, prefix := range []string{"frappe.client.", "frappe.auth.", "frappe.utils.change_log."} {
		if strings.HasPrefix(r.path, method(prefix)) {
			return true
		}
	}
	return strings.HasPrefix(r.path, resource(""))
}

func known(doctype string) string {
	if slices.Contains(knownDocTypes, doctype) {
		return doctype
	}
	return ""
}

func knownMatch(pattern *regexp.Regexp, text string, group int) string {
	if m := pattern.FindStringSubmatch(text); m != nil {
		return known(m[group])
	}
	return ""
}

// refineMissing finds out what is missing. An order whose customer or item
// does not exist is refused with a 404, and so is the loser of a race for an
// item's stock record.
func refineMissing(r request, s said, v *verdict) {
	text := s.text()
	if strings.HasSuffix(text, "must be unique") {
		v.kind, v.cause, v.hint = fault.Contention, "lost a race for a stock record", hintWait
		return
	}
	v.missing = missingDocType(text, r)
	if v.missing == "" {
		v.missing = readDocType(r)
	}
	if v.missing != "" {
		v.cause = v.missing + " missing"
	}
}

// missingDocType reads "Customer Nobody not found". On a create only a
// customer or an item is fetched by name, so that a customer called "Group
// One" is not taken for a Customer Group.
func missingDocType(text string, r request) string {
	if !strings.HasSuffix(text, " not found") {
		return ""
	}
	if r.creates() {
		for _, doctype := range []string{DocCustomer, "Item"} {
			if strings.HasPrefix(text, doctype+" ") {
				return doctype
			}
		}
	}
	best := ""
	for _, doctype := range knownDocTypes {
		if strings.HasPrefix(text, doctype+" ") && len(doctype) > len(best) {
			best = doctype
		}
	}
	return best
}

func (r request) creates() bool {
	return r.write && r.verb == http.MethodPost
}

// readDocType is the DocType of the document that the request itself names.
func readDocType(r request) string {
	if r.creates() {
		return ""
	}
	return known(r.doctype)
}

func refineName(_ request, s said, v *verdict) {
	switch all := s.all(); {
	case strings.Contains(all, "Customer Group exists with same name"):
		v.cause = "a Customer Group has this name"
	case strings.Contains(all, "special characters"):
		v.cause = "the name holds < or >"
	}
}

func refineDuplicate(r request, _ said, v *verdict) {
	if r.amends || slices.Contains(chosenNames, r.doctype) {
		v.kind, v.cause, v.hint = fault.Duplicate, "the name exists", "a document of this name exists: look at it in ERPNext"
	}
}

var uniqueKey = regexp.MustCompile(`for key '(?:[^'.]*\.)?([a-z0-9_]{1,64})'`)

// refineUnique tells our key from another unique field of the site.
func refineUnique(_ request, s said, v *verdict) {
	matches := uniqueKey.FindAllStringSubmatch(s.exception, -1)
	if len(matches) > 0 {
		v.field = matches[len(matches)-1][1] // the value stands before and may look the same
	}
	text := s.text()
	ours := v.field == KeyField || (v.field == "" && (text == "" || strings.HasPrefix(text, keyLabel)))
	if ours || v.field == "PRIMARY" {
		return
	}
	v.kind, v.hint = fault.Rejected, "another document has the same value in a field that is unique on this site"
	v.cause = v.field
}

func refineTransition(r request, _ said, v *verdict) {
	if r.transition {
		v.kind, v.hint = fault.Settled, hintSettled
	}
}

var errorCode = regexp.MustCompile(`\((\d{4}),`)

var unknownColumn = regexp.MustCompile(`Unknown column '(?:[^'.]*\.)?([a-z0-9_]{1,64})' in '([A-Za-z ]+)'`)

// refineDatabase judges by MariaDB's error number.
func refineDatabase(_ request, s said, v *verdict) {
	m := errorCode.FindStringSubmatch(s.exception)
	if m == nil {
		return
	}
	v.cause = m[1]
	switch m[1] {
	case "1020", "1205", "1213":
		v.kind, v.hint = fault.Contention, hintWait
	case "1054":
		refineColumn(s, v)
	case "1040", "1021", "1114", "1203", "2002", "2003", "2006", "2013":
		v.kind, v.hint = fault.Unavailable, hintDown
	case "1290", "1836":
		v.kind, v.hint = fault.Maintenance, hintPaused
	case "1292":
		v.hint = "a date is not in the form YYYY-MM-DD"
	}
}

// refineColumn tells a DocType whose metadata are poisoned, which refuses
// every insert until they are healed, from a query that sorts or filters by
// what is not there.
func refineColumn(s said, v *verdict) {
	m := unknownColumn.FindStringSubmatch(s.exception)
	if m == nil {
		return
	}
	v.field, v.cause = m[1], "1054 "+m[1]
	switch strings.ToLower(m[2]) {
	case "order by", "order clause", "where", "where clause", "on clause", "group statement":
	default:
		v.kind, v.hint = fault.Maintenance, hintPoison
	}
}

var notPermitted = regexp.MustCompile(`Field not permitted in query: ([a-z0-9_]{1,64})`)

func refineData(_ request, s said, v *verdict) {
	if m := notPermitted.FindStringSubmatch(s.all()); m != nil {
		v.field, v.cause = m[1], "no field "+m[1]
		return
	}
	if m := tooLong.FindStringSubmatch(s.exception); m != nil {
		// The database's own class of that name: frappe measures before it
		// escapes HTML, which makes texts longer.
		v.kind, v.field, v.cause = fault.Rejected, m[1], "too long: "+m[1]
		v.hint = "a text is too long for its field: shorten it in the shop, or enter the document by hand"
		return
	}
	v.hint = hintOurs
}

// tooLong is MariaDB's refusal 1406.
var tooLong = regexp.MustCompile(`\(1406, "Data too long for column '([a-z0-9_]+)'`)

var fieldNames = regexp.MustCompile(`^[a-z0-9_]+(, [a-z0-9_]+)*$`)

// refineMandatory keeps the field names of "[Customer, Ann Lee]: territory".
func refineMandatory(_ request, s said, v *verdict) {
	at := strings.LastIndex(s.exception, "]: ")
	if at < 0 {
		return
	}
	if names := s.exception[at+3:]; fieldNames.MatchString(names) && len(names) < 200 {
		v.cause, v.field = names, names
	}
}

// refineLinks keeps the labels of "Could not find Customer Group: Nope, Row
// #1: UOM: Bundle", never the values.
func refineLinks(r request, s said, v *verdict) {
	_, list, ok := strings.Cut(s.text(), "Could not find ")
	if !ok {
		return
	}
	var labels []string
	for part := range strings.SplitSeq(list, ", ") {
		part = strings.TrimSpace(part)
		if strings.HasPrefix(part, "Row #") {
			_, part, _ = strings.Cut(part, ": ")
		}
		label, _, found := strings.Cut(part, ":")
		if found && slices.Contains(knownLabels, label) && !slices.Contains(labels, label) {
			labels = append(labels, label)
		}
	}
	v.cause = strings.Join(labels, ", ")
	if len(labels) == 1 {
		refineOneLink(r, labels[0], v)
	}
}

// refineOneLink: the party of a payment is refused as a link, where the
// customer of an order is a 404. Both can be made and tried again.
func refineOneLink(r request, label string, v *verdict) {
	switch {
	case label == DocCustomer, label == "Party" && r.doctype == DocPaymentEntry:
		v.kind, v.missing = fault.Missing, DocCustomer
	case label == "Item", label == "Item Code":
		v.kind, v.missing = fault.Missing, "Item"
	case label == "Name" && r.doctype == DocPaymentEntry:
		v.cause, v.missing = "the order it pays", DocSalesOrder
		v.hint = "the order was deleted in ERPNext: replay the order's event first"
	}
}

// phrase is a sentence of ERPNext that carries no class of its own.
type phrase struct {
	part string // stands in the message; English, as we ask for
	kind fault.Kind
	safe string // what the cause says instead
	hint string
}

// CausePoNoTaken is part of the Cause when a customer has another order of the
// same order number.
const CausePoNoTaken = "po_no is taken"

// CauseNoRate is in the cause when ERPNext has no rate of exchange.
const CauseNoRate = "no exchange rate"

// What is said of a date that takes nothing more.
const (
	causeFrozen = "the books are frozen for this date"
	causeClosed = "the books are closed for this date"
)

var phrases = []phrase{
	{"already exists against Customer's Purchase Order", fault.Rejected, CausePoNoTaken, "another order of the customer has the same purchase order number: see Selling Settings, Allow Multiple Sales Orders Against a Customer's Purchase Order"},
	{"has already been fully paid", fault.Rejected, "already fully paid", "the order or invoice is paid: book this payment on account, or look for a double entry"},
	{"Allocated Amount cannot be greater than outstanding amount", fault.Rejected, "more allocated than outstanding", "the order or invoice has less outstanding than this payment: look for another payment"},
	{"cannot be greater than the Grand Total", fault.Rejected, "more advance than the order's total", "the order has other payments: look at them"},
	{"Difference Amount must be zero", fault.Rejected, "the payment does not add up", "amount, fee and allocation differ: look at the draft in ERPNext"},
	{"must be submitted", fault.Rejected, "the order it pays is a draft", "submit the order in ERPNext, then replay"},
	{"is not permitted under Payment Entry", fault.Rejected, "account not usable in a Payment Entry", "name a Bank, Cash or other balance sheet account of the company in the mapping sheet"},
	{"Exchange Rate is mandatory", fault.Rejected, CauseNoRate, "create a Currency Exchange record, or let the mapping send the rate"},
	{"Credit limit has been crossed", fault.Rejected, "credit limit", "raise the customer's credit limit, or bypass it for this customer group"},
	{"not authorized to add or update entries before", fault.Rejected, causeFrozen, "move Accounts Frozen Till Date, let the API user's role pass it" + orLater},
	{"Books have been closed till the period ending on", fault.Rejected, causeClosed, "cancel the Period Closing Voucher" + orLater},
	{"Reference No and Reference Date is mandatory", fault.Rejected, "no bank reference", hintOurs},
	{"Please enter Delivery Date", fault.Rejected, "no delivery date", hintOurs},
	{"Expected Delivery Date should be after", fault.Rejected, "delivery before order date", hintOurs},
	{"does not belong to company", fault.Rejected, "an account or cost center of another company", hintConfig},
	{"is a Group Account", fault.Rejected, "a group account", "name an account that is not a group in the mapping sheet"},
	{"entered multiple times", fault.Rejected, "an item twice", "allow items to be added multiple times in Selling Settings"},
	{"is a template, please select one of its variants", fault.Rejected, "the item is a template", "map the SKU to a variant"},
	{"must be >= 0", fault.Rejected, "a negative total", hintData},
	{"Failed to get method", fault.BadRequest, "no such method", "the site lacks a method that ERPNext has: is ERPNext installed, and of version 14 to 16?"},
	{"Invalid request arguments", fault.BadRequest, "invalid request", hintOurs},
	{"is not a valid date string", fault.BadRequest, "a bad date", hintOurs},
	{"already exists in", fault.Duplicate, "the field exists", "nothing to do"},
	{"because it is not cancelled", fault.Rejected, "the amended document is not cancelled", hintSettled},
	{"is disabled", fault.Rejected, "something is disabled", "enable the item, customer or account in ERPNext, then replay"},
}

func refineValidation(r request, s said, v *verdict) {
	all := s.all()
	if strings.Contains(all, "Cannot edit cancelled document") {
		v.cause = "the document is cancelled"
		refineTransition(r, s, v)
		return
	}
	for _, p := range phrases {
		if strings.Contains(all, p.part) {
			v.kind, v.cause, v.hint = p.kind, p.safe, p.hint
			v.closed = p.safe == causeFrozen || p.safe == causeClosed
			return
		}
	}
}
