package erpnext

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// errorBody writes an error the way ERPNext 15 does: server messages are a
// JSON text of a list of JSON texts.
func errorBody(class, exception string, messages ...string) string {
	body := map[string]any{"exc": `["Traceback (most recent call last):\n  File \"secret/path.py\""]`}
	if class != "" {
		body["exc_type"] = class
	}
	if exception != "" {
		body["exception"] = exception
	}
	entries := make([]string, 0, len(messages))
	for _, message := range messages {
		entry, _ := json.Marshal(map[string]any{"message": message, "title": "Message", "raise_exception": 1}) //nolint:errchkjson // plain values
		entries = append(entries, string(entry))
	}
	if len(entries) > 0 {
		list, _ := json.Marshal(entries) //nolint:errchkjson // plain values
		body["_server_messages"] = string(list)
	}
	data, _ := json.Marshal(body) //nolint:errchkjson // plain values
	return string(data)
}

const page = "<!doctype html>\n<html><head><title>Oops</title><style>p{color:red}</style></head><body><h1>Bad day</h1></body></html>"

var (
	creating   = request{op: "erpnext.create Sales Order", verb: http.MethodPost, path: resource(DocSalesOrder), doctype: DocSalesOrder, write: true}
	paying     = request{op: "erpnext.create Payment Entry", verb: http.MethodPost, path: resource(DocPaymentEntry), doctype: DocPaymentEntry, write: true}
	welcoming  = request{op: "erpnext.create Customer", verb: http.MethodPost, path: resource(DocCustomer), doctype: DocCustomer, write: true}
	amending   = request{op: "erpnext.create Sales Order", verb: http.MethodPost, doctype: DocSalesOrder, write: true, amends: true}
	submitting = request{op: "erpnext.submit Sales Order", verb: http.MethodPut, doctype: DocSalesOrder, write: true, transition: true}
	updating   = request{op: "erpnext.update Sales Order", verb: http.MethodPut, doctype: DocSalesOrder, write: true}
	listing    = request{op: "erpnext.list Sales Order", verb: http.MethodPost, path: method("frappe.client.get_list"), doctype: DocSalesOrder}
	reading    = request{op: "erpnext.get Sales Order", verb: http.MethodGet, path: resource(DocSalesOrder) + "/X", doctype: DocSalesOrder}
)

func TestClassify(t *testing.T) {
	unique := func(field string) string {
		return `frappe.exceptions.UniqueValidationError: ('Sales Order', 'SAL-1', IntegrityError(1062, "Duplicate entry 'x for key 'y'' for key '` + field + `'"))`
	}
	cases := []struct {
		name    string
		request request
		status  int
		body    string
		kind    fault.Kind
		cause   string
		missing string
	}{
		{"wrong key", reading, 401, errorBody("AuthenticationError", "frappe.exceptions.AuthenticationError"), fault.Credentials, "AuthenticationError", ""},
		{"session over", reading, 401, errorBody("SessionExpired", ""), fault.Credentials, "SessionExpired", ""},
		{"site key changed", reading, 401, errorBody("InvalidKeyError", ""), fault.Credentials, "InvalidKeyError", ""},
		{"bad token header", reading, 400, errorBody("InvalidAuthorizationToken", ""), fault.Credentials, "InvalidAuthorizationToken", ""},
		{"bad header", reading, 400, errorBody("InvalidAuthorizationHeader", ""), fault.Credentials, "InvalidAuthorizationHeader", ""},
		{"csrf", creating, 400, errorBody("CSRFTokenError", ""), fault.Credentials, "CSRFTokenError", ""},

		{"guest by name", creating, 403, errorBody("PermissionError", "", "User <strong>Guest</strong> does not have doctype access via role permission for document <strong>Sales Order</strong>"), fault.Credentials, "PermissionError: seen as Guest", ""},
		{"guest by login", listing, 403, errorBody("PermissionError", "", "<details><summary>You are not permitted to access this resource. Login to access</summary>Function x is not whitelisted.</details>"), fault.Credentials, "PermissionError: seen as Guest", ""},
		{"not whitelisted", request{op: "erpnext.call my.app.f", path: method("my.app.f")}, 403, errorBody("PermissionError", "", "<details><summary>You are not permitted to access this resource. Login to access</summary>Function x is not whitelisted.</details>"), fault.Rights, "PermissionError", ""},
		{"no role", paying, 403, errorBody("PermissionError", "", "User <strong>a@b.test</strong> does not have doctype access via role permission for document <strong>Payment Entry</strong>"), fault.Rights, "PermissionError: Payment Entry", ""},
		{"user permission", reading, 403, errorBody("PermissionError", "", "You are not allowed to access this Sales Order record because it is linked to Customer 'Ann Lee' in field Customer<br>User <strong>u</strong> does not have access to this document: Sales Order - SAL-1"), fault.Rights, "PermissionError: Sales Order hidden by a User Permission", ""},
		{"no create", creating, 403, `{"exc_type":"PermissionError","_error_message":"You need the 'create' permission on <strong>Sales Order</strong>  to perform this action."}`, fault.Rights, "PermissionError: create on Sales Order", ""},
		{"no rights, no text", submitting, 403, errorBody("PermissionError", ""), fault.Rights, "PermissionError: Sales Order", ""},

		{"missing customer", creating, 404, errorBody("DoesNotExistError", "", "Customer Nobody not found"), fault.Missing, "DoesNotExistError: Customer missing", "Customer"},
		{"missing customer called Group One", creating, 404, errorBody("DoesNotExistError", "", "Customer Group One not found"), fault.Missing, "DoesNotExistError: Customer missing", "Customer"},
		{"missing item", creating, 404, errorBody("DoesNotExistError", "", "Item  SVC-1 not found"), fault.Missing, "DoesNotExistError: Item missing", "Item"},
		{"missing price list", reading, 404, errorBody("DoesNotExistError", "", "Price List Nope not found"), fault.Missing, "DoesNotExistError: Price List missing", "Price List"},
		{"missing itself, another language", reading, 404, errorBody("DoesNotExistError", "", "Auftrag SAL-1 nicht gefunden"), fault.Missing, "DoesNotExistError: Sales Order missing", "Sales Order"},
		{"missing, no text", creating, 404, errorBody("DoesNotExistError", ""), fault.Missing, "DoesNotExistError", ""},
		{"bin race", submitting, 404, errorBody("DoesNotExistError", "", "Item Code must be unique"), fault.Contention, "DoesNotExistError: lost a race for a stock record", ""},
		{"no page", reading, 404, errorBody("PageDoesNotExistError", ""), fault.Rejected, "PageDoesNotExistError", ""},
		{"unknown route", reading, 404, `{}`, fault.Missing, "status 404", "Sales Order"},

		{"group name", welcoming, 409, errorBody("NameError", "frappe.exceptions.NameError: A Customer Group exists with same name please change"), fault.Rejected, "NameError: a Customer Group has this name", ""},
		{"name race", welcoming, 409, errorBody("DuplicateEntryError", "frappe.exceptions.DuplicateEntryError: ('Customer', 'Ann Lee', IntegrityError(1062, \"Duplicate entry 'Ann Lee' for key 'PRIMARY'\"))"), fault.Contention, "DuplicateEntryError", ""},
		{"amended twice", amending, 409, errorBody("DuplicateEntryError", ""), fault.Duplicate, "DuplicateEntryError: the name exists", ""},
		{"item exists", request{op: "erpnext.create Item", verb: http.MethodPost, doctype: "Item", write: true}, 409, errorBody("DuplicateEntryError", ""), fault.Duplicate, "DuplicateEntryError: the name exists", ""},

		{"our key", creating, 417, errorBody("UniqueValidationError", unique(KeyField), "Ledgerhook Key must be unique"), fault.Duplicate, "UniqueValidationError", ""},
		{"our key, table named", creating, 417, errorBody("UniqueValidationError", unique("tabSales Order."+KeyField)), fault.Duplicate, "UniqueValidationError", ""},
		{"our key, traceback off", creating, 417, errorBody("UniqueValidationError", "", "Ledgerhook Key must be unique"), fault.Duplicate, "UniqueValidationError", ""},
		{"another unique field", creating, 417, errorBody("UniqueValidationError", unique("custom_their_id"), "Their Id must be unique"), fault.Rejected, "UniqueValidationError: custom_their_id", ""},
		{"v14, no exc_type", creating, 417, errorBody("", unique(KeyField)), fault.Duplicate, "UniqueValidationError", ""},
		{"not unique type", creating, 417, errorBody("NonUniqueError", ""), fault.Rejected, "NonUniqueError", ""},

		{"stale", updating, 417, errorBody("TimestampMismatchError", "", "Error: Document has been modified"), fault.Contention, "TimestampMismatchError", ""},
		{"locked", updating, 417, errorBody("DocumentLockedError", ""), fault.Contention, "DocumentLockedError", ""},
		{"submitted meanwhile", submitting, 417, errorBody("UpdateAfterSubmitError", "", "Not allowed to change <strong>Status</strong> after submission"), fault.Settled, "UpdateAfterSubmitError", ""},
		{"edited after submit", updating, 417, errorBody("UpdateAfterSubmitError", ""), fault.Rejected, "UpdateAfterSubmitError", ""},
		{"wrong transition", submitting, 417, errorBody("DocstatusTransitionError", ""), fault.Settled, "DocstatusTransitionError", ""},
		{"cancelled", submitting, 417, errorBody("ValidationError", "", "Cannot edit cancelled document"), fault.Settled, "ValidationError: the document is cancelled", ""},
		{"cancelled, edited", updating, 417, errorBody("ValidationError", "", "Cannot edit cancelled document"), fault.Rejected, "ValidationError: the document is cancelled", ""},

		{"mandatory", creating, 417, errorBody("MandatoryError", "frappe.exceptions.MandatoryError: [Customer, Ann ]: Lee]: customer_name, territory"), fault.Rejected, "MandatoryError: customer_name, territory", ""},
		{"mandatory, v14", creating, 417, errorBody("", "frappe.exceptions.MandatoryError: [Sales Order, SAL-1]: items"), fault.Rejected, "MandatoryError: items", ""},
		{"links", welcoming, 417, errorBody("LinkValidationError", "", "Could not find Customer Group: Ann's, Territory: Nope2"), fault.Rejected, "LinkValidationError: Customer Group, Territory", ""},
		{"row link", creating, 417, errorBody("LinkValidationError", "", "Could not find Row #1: Delivery Warehouse: Stores"), fault.Rejected, "LinkValidationError: Delivery Warehouse", ""},
		{"value like a label", creating, 417, errorBody("LinkValidationError", "", "Could not find Territory: Ann, Mr Smith: x"), fault.Rejected, "LinkValidationError: Territory", ""},
		{"party of a payment", paying, 417, errorBody("LinkValidationError", "", "Could not find Party: Ann Lee"), fault.Missing, "LinkValidationError: Party", "Customer"},
		{"order of a payment", paying, 417, errorBody("LinkValidationError", "", "Could not find Row #1: Name: SAL-ORD-1"), fault.Rejected, "LinkValidationError: the order it pays", "Sales Order"},
		{"select", welcoming, 417, errorBody("ValidationError", "", "Customer Type cannot be \"Robot\". It should be one of"), fault.Rejected, "ValidationError", ""},
		{"po_no", creating, 417, errorBody("ValidationError", "", "Sales Order <strong>X</strong> already exists against Customer's Purchase Order <strong>#1</strong>"), fault.Rejected, "ValidationError: po_no is taken", ""},
		{"fully paid", paying, 417, errorBody("ValidationError", "", "Sales Order X has already been fully paid."), fault.Rejected, "ValidationError: already fully paid", ""},
		{"delete submitted", updating, 417, errorBody("ValidationError", "", "Submitted Record cannot be deleted"), fault.Rejected, "ValidationError", ""},
		{"linked", submitting, 417, errorBody("LinkExistsError", ""), fault.Rejected, "LinkExistsError", ""},
		{"too long", welcoming, 417, errorBody("CharacterLengthExceededError", ""), fault.Rejected, "CharacterLengthExceededError", ""},
		{"phone", welcoming, 417, errorBody("InvalidPhoneNumberError", "frappe.exceptions.InvalidPhoneNumberError: call me is not a valid Phone Number"), fault.Rejected, "InvalidPhoneNumberError", ""},
		{"e-mail", welcoming, 417, errorBody("InvalidEmailAddressError", ""), fault.Rejected, "InvalidEmailAddressError", ""},
		{"cancelled link", creating, 417, errorBody("CancelledLinkError", ""), fault.Rejected, "CancelledLinkError", ""},
		{"constant", updating, 417, errorBody("CannotChangeConstantError", ""), fault.Rejected, "CannotChangeConstantError", ""},
		{"ddl", updating, 417, errorBody("ImplicitCommitError", ""), fault.BadRequest, "ImplicitCommitError", ""},
		{"no field", listing, 417, errorBody("DataError", "frappe.exceptions.DataError: Field not permitted in query: custom_x"), fault.BadRequest, "DataError: no field custom_x", ""},
		{"wrong type", listing, 417, errorBody("FrappeTypeError", ""), fault.BadRequest, "FrappeTypeError", ""},
		{"no method", listing, 417, errorBody("ValidationError", "", "Failed to get method for command nope with App nope is not installed"), fault.BadRequest, "ValidationError: no such method", ""},
		{"stock", submitting, 417, errorBody("NegativeStockError", ""), fault.Rejected, "NegativeStockError", ""},
		{"year", submitting, 417, errorBody("FiscalYearError", "erpnext.accounts.utils.FiscalYearError: Date"), fault.Rejected, "FiscalYearError", ""},
		{"quantity", creating, 417, errorBody("InvalidQtyError", ""), fault.Rejected, "InvalidQtyError", ""},
		{"unit", creating, 417, errorBody("UOMMustBeIntegerError", ""), fault.Rejected, "UOMMustBeIntegerError", ""},
		{"warehouse", creating, 417, errorBody("WarehouseRequired", ""), fault.Rejected, "WarehouseRequired", ""},
		{"disabled", creating, 417, errorBody("PartyDisabled", ""), fault.Rejected, "PartyDisabled", ""},
		{"frozen", creating, 417, errorBody("PartyFrozen", ""), fault.Rejected, "PartyFrozen", ""},
		{"unknown 417", creating, 417, errorBody("SomebodysOwnError", "app.errors.SomebodysOwnError: Ann Lee"), fault.Rejected, "SomebodysOwnError", ""},

		{"expired", reading, 410, errorBody("LinkExpired", ""), fault.Rejected, "LinkExpired", ""},
		{"media type", reading, 415, errorBody("UnsupportedMediaType", ""), fault.BadRequest, "UnsupportedMediaType", ""},
		{"too many", creating, 429, errorBody("TooManyRequestsError", ""), fault.RateLimited, "TooManyRequestsError", ""},
		{"limited", creating, 429, errorBody("RateLimitExceededError", ""), fault.RateLimited, "RateLimitExceededError", ""},

		{"deadlock", creating, 500, errorBody("QueryDeadlockError", "frappe.exceptions.QueryDeadlockError: (1213, 'Deadlock found')"), fault.Contention, "QueryDeadlockError", ""},
		{"deadlock, v16", creating, 508, errorBody("QueryDeadlockError", ""), fault.Contention, "QueryDeadlockError", ""},
		{"lock wait", creating, 500, errorBody("QueryTimeoutError", ""), fault.Contention, "QueryTimeoutError", ""},
		{"lock wait, v16", creating, 508, errorBody("QueryTimeoutError", ""), fault.Contention, "QueryTimeoutError", ""},
		{"lock wait, raw", creating, 500, errorBody("OperationalError", "pymysql.err.OperationalError: (1205, 'Lock wait')"), fault.Contention, "OperationalError: 1205", ""},
		{"bad json", creating, 500, errorBody("JSONDecodeError", "json.decoder.JSONDecodeError: Expecting value"), fault.BadRequest, "JSONDecodeError", ""},
		{"no items", creating, 500, errorBody("TypeError", "TypeError: 'NoneType' object is not iterable"), fault.BadRequest, "TypeError", ""},
		{"type error, v14", creating, 500, errorBody("", "TypeError: 'NoneType' object is not iterable"), fault.BadRequest, "TypeError", ""},
		{"bad date", creating, 500, errorBody("OperationalError", "pymysql.err.OperationalError: (1292, \"Incorrect date value\")"), fault.BadRequest, "OperationalError: 1292", ""},
		{"text longer than its column once escaped", creating, 500, errorBody("DataError", "pymysql.err.DataError: (1406, \"Data too long for column 'item_name' at row 1\")"), fault.Rejected, "DataError: too long: item_name", ""},
		{"poisoned insert", creating, 500, errorBody("OperationalError", "pymysql.err.OperationalError: (1054, \"Unknown column 'custom_bad' in 'INSERT INTO'\")"), fault.Maintenance, "OperationalError: 1054 custom_bad", ""},
		{"poisoned insert, older MariaDB", creating, 500, errorBody("OperationalError", "pymysql.err.OperationalError: (1054, \"Unknown column 'custom_bad' in 'field list'\")"), fault.Maintenance, "OperationalError: 1054 custom_bad", ""},
		{"bad order", listing, 500, errorBody("OperationalError", "pymysql.err.OperationalError: (1054, \"Unknown column 'nope' in 'ORDER BY'\")"), fault.BadRequest, "OperationalError: 1054 nope", ""},
		{"database gone", creating, 500, errorBody("OperationalError", "pymysql.err.OperationalError: (2006, 'MySQL server has gone away')"), fault.Unavailable, "OperationalError: 2006", ""},
		{"read only database", creating, 500, errorBody("OperationalError", "pymysql.err.OperationalError: (1290, 'read-only')"), fault.Maintenance, "OperationalError: 1290", ""},
		{"no doctype", reading, 500, errorBody("ImportError", "Error: No module named 'x'"), fault.BadRequest, "ImportError", ""},
		{"boot", reading, 500, errorBody("SessionBootFailed", ""), fault.Unavailable, "SessionBootFailed", ""},
		{"many writes", creating, 500, errorBody("TooManyWritesError", ""), fault.BadRequest, "TooManyWritesError", ""},
		{"security", creating, 500, errorBody("SecurityException", ""), fault.Credentials, "SecurityException", ""},
		{"unknown 500", creating, 500, errorBody("RedisError", "redis.RedisError: gone"), fault.Unavailable, "RedisError", ""},
		{"500 without class", creating, 500, `{"message":"x"}`, fault.Unavailable, "status 500", ""},
		{"mail", creating, 501, errorBody("OutgoingEmailError", ""), fault.Unavailable, "OutgoingEmailError", ""},
		{"maintenance", creating, 503, errorBody("SessionStopped", "frappe.exceptions.SessionStopped: Session Stopped"), fault.Maintenance, "SessionStopped", ""},
		{"read only", creating, 503, errorBody("InReadOnlyMode", ""), fault.Maintenance, "InReadOnlyMode", ""},
		{"queue", creating, 503, errorBody("QueueOverloaded", ""), fault.Maintenance, "QueueOverloaded", ""},
		{"workflow", submitting, 403, errorBody("WorkflowPermissionError", ""), fault.Rights, "WorkflowPermissionError", ""},

		{"unknown site", reading, 404, page, fault.Unavailable, "status 404 without an ERPNext answer: no such site", ""},
		{"too large", creating, 413, page, fault.Rejected, "status 413 without an ERPNext answer: the document is too large", ""},
		{"firewall", creating, 403, page, fault.Rights, "status 403 without an ERPNext answer", ""},
		{"proxy asks for a password", creating, 401, page, fault.Credentials, "status 401 without an ERPNext answer", ""},
		{"long line", reading, 400, page, fault.BadRequest, "status 400 without an ERPNext answer", ""},
		{"bench down", creating, 502, page, fault.Unavailable, "status 502 without an ERPNext answer", ""},
		{"redirect", creating, 301, page, fault.Rejected, "status 301 without an ERPNext answer: redirected", ""},
		{"json list", creating, 500, `[1]`, fault.Unavailable, "status 500 without an ERPNext answer", ""},
		{"bad prefix", reading, 400, errorBody("InvalidAuthorizationPrefix", ""), fault.Credentials, "InvalidAuthorizationPrefix", ""},
		{"data too long", welcoming, 417, errorBody("DataTooLongException", ""), fault.Rejected, "DataTooLongException", ""},
		{"negative quantity", creating, 417, errorBody("NonNegativeError", "frappe.exceptions.NonNegativeError: Row #1: Quantity cannot be negative"), fault.Rejected, "NonNegativeError", ""},
		{"no party", paying, 417, errorBody("PartyMissing", ""), fault.Rejected, "PartyMissing", ""},
		{"customer's books in another currency", paying, 417, errorBody("InvalidCurrency", ""), fault.Rejected, "InvalidCurrency", ""},
		{"account in another currency", paying, 417, errorBody("InvalidAccountCurrency", ""), fault.Rejected, "InvalidAccountCurrency", ""},
		{"settings of the accounts", paying, 417, errorBody("AccountsSettingsError", ""), fault.Rejected, "AccountsSettingsError", ""},
		{"two accounts of a party", welcoming, 417, errorBody("DuplicatePartyAccountError", ""), fault.Rejected, "DuplicatePartyAccountError", ""},
		{"more returned than sold", creating, 417, errorBody("StockOverReturnError", ""), fault.Rejected, "StockOverReturnError", ""},
		{"a stock account", paying, 417, errorBody("StockAccountInvalidTransaction", ""), fault.Rejected, "StockAccountInvalidTransaction", ""},
		{"beyond the order", submitting, 417, errorBody("OverAllowanceError", ""), fault.Rejected, "OverAllowanceError", ""},
		{"period closed", paying, 417, errorBody("ClosedAccountingPeriod", ""), fault.Rejected, "ClosedAccountingPeriod", ""},
		{"year closed", paying, 417, errorBody("PeriodClosingVoucherExistsError", ""), fault.Rejected, "PeriodClosingVoucherExistsError", ""},
		{"workflow state", submitting, 417, errorBody("WorkflowStateError", ""), fault.Rejected, "WorkflowStateError", ""},
		{"workflow transition", submitting, 417, errorBody("WorkflowTransitionError", ""), fault.Rejected, "WorkflowTransitionError", ""},
		{"database failed inside", creating, 500, errorBody("InternalError", "pymysql.err.InternalError: (1205, 'Lock wait')"), fault.Contention, "InternalError: 1205", ""},
		{"SQL that is none", listing, 500, errorBody("ProgrammingError", "pymysql.err.ProgrammingError: (1064, 'You have an error in your SQL syntax')"), fault.BadRequest, "ProgrammingError: 1064", ""},
		{"no such module", reading, 500, errorBody("ModuleNotFoundError", "ModuleNotFoundError: No module named 'erpnext'"), fault.BadRequest, "ModuleNotFoundError", ""},
		{"attribute", creating, 500, errorBody("AttributeError", "AttributeError: 'NoneType' object has no attribute 'x'"), fault.BadRequest, "AttributeError", ""},
		{"key", creating, 500, errorBody("KeyError", "KeyError: 'x'"), fault.BadRequest, "KeyError", ""},
		{"index", creating, 500, errorBody("IndexError", "IndexError: list index out of range"), fault.BadRequest, "IndexError", ""},
		{"value", creating, 500, errorBody("ValueError", "ValueError: could not convert string to float"), fault.BadRequest, "ValueError", ""},
		{"assertion", creating, 500, errorBody("AssertionError", ""), fault.BadRequest, "AssertionError", ""},
		{"unbound", creating, 500, errorBody("UnboundLocalError", ""), fault.BadRequest, "UnboundLocalError", ""},
		{"division", creating, 500, errorBody("ZeroDivisionError", "ZeroDivisionError: float division by zero"), fault.BadRequest, "ZeroDivisionError", ""},

		{"more allocated", paying, 417, errorBody("ValidationError", "", "Row #1: Allocated Amount cannot be greater than outstanding amount."), fault.Rejected, "ValidationError: more allocated than outstanding", ""},
		{"more advance", paying, 417, errorBody("ValidationError", "", "Total advance (200) against Order SAL-ORD-1 cannot be greater than the Grand Total (100)"), fault.Rejected, "ValidationError: more advance than the order's total", ""},
		{"does not add up", paying, 417, errorBody("ValidationError", "", "Difference Amount must be zero"), fault.Rejected, "ValidationError: the payment does not add up", ""},
		{"order is a draft", paying, 417, errorBody("ValidationError", "", "Sales Order SAL-ORD-1 must be submitted"), fault.Rejected, "ValidationError: the order it pays is a draft", ""},
		{"account of a payment", paying, 417, errorBody("ValidationError", "", "Account: Nope is not permitted under Payment Entry"), fault.Rejected, "ValidationError: account not usable in a Payment Entry", ""},
		{"no rate", creating, 417, errorBody("ValidationError", "", "Exchange Rate is mandatory. Maybe Currency Exchange record is not created for EUR to USD."), fault.Rejected, "ValidationError: no exchange rate", ""},
		{"credit limit", submitting, 417, errorBody("ValidationError", "", "Credit limit has been crossed for customer Ann Lee (100.0/50.0)"), fault.Rejected, "ValidationError: credit limit", ""},
		{"books frozen", submitting, 417, errorBody("ValidationError", "", "You are not authorized to add or update entries before 2026-01-01"), fault.Rejected, "ValidationError: the books are frozen for this date", ""},
		{"year closed with a voucher", submitting, 417, errorBody("ValidationError", "", "Books have been closed till the period ending on 12-31-2025"), fault.Rejected, "ValidationError: " + causeClosed, ""},
		{"no bank reference", submitting, 417, errorBody("ValidationError", "", "Reference No and Reference Date is mandatory for Bank transaction"), fault.Rejected, "ValidationError: no bank reference", ""},
		{"no delivery date", creating, 417, errorBody("ValidationError", "", "Please enter Delivery Date"), fault.Rejected, "ValidationError: no delivery date", ""},
		{"delivered before it is ordered", creating, 417, errorBody("ValidationError", "", "Expected Delivery Date should be after Sales Order Date"), fault.Rejected, "ValidationError: delivery before order date", ""},
		{"another company's account", creating, 417, errorBody("ValidationError", "", "Account Tax - XX does not belong to company Lab Co"), fault.Rejected, "ValidationError: an account or cost center of another company", ""},
		{"a group", submitting, 417, errorBody("ValidationError", "", "Account Banks - LC is a Group Account and group accounts cannot be used in transactions"), fault.Rejected, "ValidationError: a group account", ""},
		{"an item twice", creating, 417, errorBody("ValidationError", "", "Item SVC-1 has been entered multiple times"), fault.Rejected, "ValidationError: an item twice", ""},
		{"a template", creating, 417, errorBody("ValidationError", "", "Item SHIRT is a template, please select one of its variants"), fault.Rejected, "ValidationError: the item is a template", ""},
		{"a negative total", creating, 417, errorBody("ValidationError", "", "Grand Total must be >= 0"), fault.Rejected, "ValidationError: a negative total", ""},
		{"arguments", listing, 417, errorBody("ValidationError", "", "Invalid request arguments"), fault.BadRequest, "ValidationError: invalid request", ""},
		{"no date", creating, 417, errorBody("ValidationError", "", "13/06/2026 is not a valid date string."), fault.BadRequest, "ValidationError: a bad date", ""},
		{"the field exists", request{op: "erpnext.create Custom Field", verb: http.MethodPost, doctype: "Custom Field", write: true}, 417, errorBody("ValidationError", "", "A field with the name <strong>custom_x</strong> already exists in Sales Order"), fault.Duplicate, "ValidationError: the field exists", ""},
		{"amended too early", amending, 417, errorBody("ValidationError", "", "SAL-ORD-1 cannot be amended because it is not cancelled"), fault.Rejected, "ValidationError: the amended document is not cancelled", ""},
		{"something disabled", creating, 417, errorBody("ValidationError", "", "Item OLD-1 is disabled"), fault.Rejected, "ValidationError: something is disabled", ""},
		{"books closed", submitting, 417, errorBody("ValidationError", "", "Books have been closed till the period ending on 31-12-2025"), fault.Rejected, "ValidationError: the books are closed for this date", ""},
		{"class that is no name", creating, 417, `{"exc_type":"Ann Lee <a@b.test>"}`, fault.Rejected, "status 417", ""},
	}
	without := maps.Clone(rules)
	unsaid := map[string]bool{}
	for _, p := range phrases {
		unsaid[p.part] = true
	}
	for _, c := range cases {
		said := understand([]byte(c.body))
		delete(without, said.class)
		for _, p := range phrases {
			if strings.Contains(said.all(), p.part) {
				delete(unsaid, p.part)
				break // the first one decides
			}
		}
	}
	if len(without) > 0 || len(unsaid) > 0 {
		t.Errorf("no row above has the classes %q, the phrases %q", slices.Sorted(maps.Keys(without)), slices.Sorted(maps.Keys(unsaid)))
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := classify(c.request, &reply{status: c.status, body: []byte(c.body), header: http.Header{}})
			if f.Kind != c.kind || f.Cause != c.cause {
				t.Errorf("got %s, %q, want %s, %q", f.Kind, f.Cause, c.kind, c.cause)
			}
			if got := MissingDocType(f); got != c.missing {
				t.Errorf("missing DocType is %q, want %q", got, c.missing)
			}
			if f.Hint == "" {
				t.Error("no hint for the operator")
			}
			if f.Op != c.request.op {
				t.Errorf("op is %q, want %q", f.Op, c.request.op)
			}
			if strings.Contains(f.Detail, "Traceback") || strings.Contains(f.Detail, "<strong>") {
				t.Errorf("detail keeps a traceback or tags: %q", f.Detail)
			}
		})
	}
}

func TestEveryClassHasAHintAndAKind(t *testing.T) {
	for class, r := range rules {
		if r.hint == "" || r.kind == fault.Internal {
			t.Errorf("%s: hint %q, kind %s", class, r.hint, r.kind)
		}
	}
	for _, p := range phrases {
		if p.hint == "" || p.safe == "" || p.kind == fault.Internal {
			t.Errorf("phrase %q: hint %q, cause %q, kind %s", p.part, p.hint, p.safe, p.kind)
		}
	}
}

// TestEveryStatus holds what is promised for any answer: a kind, a hint, and a
// retry that fits.
func TestEveryStatus(t *testing.T) {
	bodies := map[string]string{
		"json with an unknown class": errorBody("SomebodysOwnError", "app.SomebodysOwnError: x", "something"),
		"json without a class":       `{}`,
		"html":                       page,
		"nothing":                    "",
	}
	for status := 300; status < 600; status++ {
		for name, body := range bodies {
			f := classify(creating, &reply{status: status, body: []byte(body), header: http.Header{}})
			where := fmt.Sprintf("%d, %s: %s (%s)", status, name, f.Kind, f.Cause)
			if f.Kind == fault.Internal || f.Hint == "" || f.Cause == "" {
				t.Errorf("%s: not classified", where)
			}
			want := fault.Never
			switch {
			case status >= 500, status == 408, status == 425, status == 429:
				want = fault.Soon
			case status == 401, status == 403, status == 407:
				want = fault.Slowly
			case status < 400:
			case status == 404 && f.Kind == fault.Missing:
				want = fault.Soon
			case !strings.HasPrefix(body, "{"):
				want = f.Kind.Retry() // a page: judged by its status in TestClassify
				if f.Kind != fault.Unavailable && f.Kind != fault.BadRequest && status != 413 {
					t.Errorf("%s: want unavailable or bad_request", where)
				}
			}
			if f.Kind.Retry() != want {
				t.Errorf("%s: retry %d, want %d", where, f.Kind.Retry(), want)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	cases := map[string]time.Duration{
		"":                              0,
		"30":                            30 * time.Second,
		" 2.5 ":                         2500 * time.Millisecond,
		"-4":                            0,
		"0":                             0,
		"NaN":                           0,
		"1e300":                         15 * time.Minute,
		"86400":                         15 * time.Minute,
		"soon":                          0,
		"Sun, 01 Mar 2026 12:01:00 GMT": time.Minute,
		"Sun, 01 Mar 2026 11:00:00 GMT": 0,
		"Mon, 02 Mar 2026 12:00:00 GMT": 15 * time.Minute,
	}
	for text, want := range cases {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	answer := &reply{status: 429, body: []byte(errorBody("TooManyRequestsError", "")), header: http.Header{"Retry-After": {"17"}}}
	if got := classify(creating, answer).RetryAfter; got != 17*time.Second {
		t.Errorf("429 with Retry-After 17: got %s", got)
	}
}

func TestDetailIsCutByCharacters(t *testing.T) {
	f := classify(creating, &reply{status: 417, body: []byte(errorBody("ValidationError", "", strings.Repeat("€", 3000))), header: http.Header{}})
	if n := utf8.RuneCountInString(f.Detail); n != maxDetail || !utf8.ValidString(f.Detail) {
		t.Errorf("detail has %d characters, valid %t; want %d, true", n, utf8.ValidString(f.Detail), maxDetail)
	}
}

func TestDetailHoldsEveryMessageDecodedTwice(t *testing.T) {
	f := classify(creating, &reply{
		status: 417, header: http.Header{},
		body: []byte(errorBody("ValidationError", "", "Item Price added for <b>A &amp; B</b>", "Row #1: <a href='x'>Z</a> is&nbsp;wrong")),
	})
	if want := "Item Price added for A & B\nRow #1: Z is wrong"; f.Detail != want {
		t.Errorf("got %q, want %q", f.Detail, want)
	}
	if page := classify(creating, &reply{status: 502, body: []byte(page), header: http.Header{}}); page.Detail != "Bad day" {
		t.Errorf("detail of a page is %q", page.Detail)
	}
}

func TestTransportFault(t *testing.T) {
	cases := map[string]struct {
		err  error
		kind fault.Kind
		is   error
	}{
		"cancelled": {fmt.Errorf("x: %w", context.Canceled), fault.Network, context.Canceled},
		"deadline":  {context.DeadlineExceeded, fault.Timeout, context.DeadlineExceeded},
		"other":     {errors.New("https://erp.example.com/api/resource/Customer/Ann: boom"), fault.Network, nil},
	}
	for name, c := range cases {
		f := transportFault("erpnext.get Customer", c.err)
		if f.Kind != c.kind || strings.Contains(f.Error(), "Ann") || f.Cause == "" {
			t.Errorf("%s: got %s, %q", name, f.Kind, f.Error())
		}
		if c.is != nil && !errors.Is(f, c.is) {
			t.Errorf("%s: does not wrap %v", name, c.is)
		}
	}
}

// FuzzClassify: whatever answers, the loggable texts hold nothing of it but
// names of ERPNext's own.
func FuzzClassify(f *testing.F) {
	f.Add(417, errorBody("LinkValidationError", "", "Could not find Territory: Ann"))
	f.Add(403, errorBody("PermissionError", "", "You are not allowed to access this Sales Order record because it is linked to"))
	f.Add(500, errorBody("", "pymysql.err.OperationalError: (1054, \"Unknown column 'a' in 'SET'\")"))
	f.Add(502, page)
	f.Fuzz(func(t *testing.T, status int, body string) {
		got := classify(creating, &reply{status: status, body: []byte(body), header: http.Header{}})
		if got.Hint == "" || got.Cause == "" || got.Kind == fault.Internal {
			t.Errorf("status %d, body %q: %+v", status, body, got)
		}
		if len(got.Error()) > 600 || !utf8.ValidString(got.Detail) || utf8.RuneCountInString(got.Detail) > maxDetail {
			t.Errorf("status %d, body %q: too long or broken: %q", status, body, got.Error())
		}
	})
}
