package sandbox

import (
	"fmt"
	"strings"
)

// message is one entry of _server_messages.
type message struct {
	text      string
	title     string // "" = "Message"
	indicator string
	raise     bool
	alert     bool
}

// failure is an answer that is not a success. Its zero fields are left out of
// the body, as the site leaves them out.
type failure struct {
	status  int
	class   string // exc_type
	module  string // of the class, for the exception line
	text    string
	hidden  bool   // no exception line: 404s and refusals of document rights
	source  string // _exc_source
	message *message
	pretext string // _error_message
	html    string // a whole page instead of JSON
	raw     bool   // raised without throw(): version 14 leaves exc_type out
	headers map[string]string
}

func (f *failure) Error() string { return f.class + ": " + f.text }

const inApp = "erpnext (app)"

// statuses of the classes that do not answer 417.
var statuses = map[string]int{
	"AuthenticationError": 401, "PermissionError": 403, "DoesNotExistError": 404,
	"NameError": 409, "DuplicateEntryError": 409, "UnsupportedMediaType": 415,
	"TooManyRequestsError": 429, "QueryDeadlockError": 500, "QueryTimeoutError": 500,
	"JSONDecodeError": 500, "TypeError": 500, "OperationalError": 500, "ImportError": 500,
	"AttributeError": 500, "KeyError": 500, "SessionStopped": 503, "InReadOnlyMode": 503,
}

// modules of the classes that do not live in frappe.exceptions.
var modules = map[string]string{
	"PartyDisabled": "erpnext.exceptions", "PartyFrozen": "erpnext.exceptions",
	"InvalidCurrency":                "erpnext.exceptions",
	"InvalidQtyError":                "erpnext.controllers.accounts_controller",
	"StockOverReturnError":           "erpnext.controllers.sales_and_purchase_return",
	"UOMMustBeIntegerError":          "erpnext.utilities.transaction_base",
	"FiscalYearError":                "erpnext.accounts.utils",
	"StockAccountInvalidTransaction": "erpnext.accounts.doctype.journal_entry.journal_entry",
	"OperationalError":               "pymysql.err", "TypeError": "", "AttributeError": "", "KeyError": "", "ImportError": "",
	"JSONDecodeError": "json.decoder", "NonUniqueError": "frappe.core.doctype.doctype.doctype",
}

func newFailure(class, text string) *failure {
	f := &failure{class: class, text: text, status: 417, module: "frappe.exceptions"}
	if s, ok := statuses[class]; ok {
		f.status = s
	}
	if m, ok := modules[class]; ok {
		f.module = m
	}
	f.hidden = f.status == 404
	return f
}

// throw is a refusal with a message for people, raised by the framework.
func throw(class, text string) *failure {
	f := newFailure(class, text)
	f.message = &message{text: text, indicator: "red", raise: true}
	return f
}

// refuse is throw from inside the ERPNext application.
func refuse(class, format string, args ...any) *failure {
	f := throw(class, fmt.Sprintf(format, args...))
	f.source = inApp
	return f
}

// invalid is the refusal of most business rules.
func invalid(format string, args ...any) *failure {
	return refuse("ValidationError", format, args...)
}

func (f *failure) titled(title string) *failure {
	f.message.title = title
	return f
}

func (f *failure) from(source string) *failure {
	f.source = source
	return f
}

// bare is raised without any message.
func bare(class, text string) *failure {
	f := newFailure(class, text)
	f.raw = true
	return f
}

func notFound(doctype, name string) *failure {
	return throw("DoesNotExistError", doctype+" "+name+" not found")
}

// exceptionLine is what the site takes from the end of the traceback: of a text
// with line breaks only the last line is left.
func (f *failure) exceptionLine() string {
	line := f.class
	if f.module != "" {
		line = f.module + "." + f.class
	}
	if f.text != "" {
		line += ": " + f.text
	}
	if i := strings.LastIndexByte(line, '\n'); i >= 0 {
		line = line[i+1:]
	}
	return line
}

func htmlPage(status int, title, text string) *failure {
	return &failure{status: status, class: title, html: fmt.Sprintf(
		"<!doctype html>\n<html lang=en>\n<title>%d %s</title>\n<h1>%s</h1>\n<p>%s</p>\n", status, title, title, text)}
}
