package erpnext

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// rule says what an exception class of ERPNext means. Facts: erpnext-api,
// sections 3.2 to 3.4.
type rule struct {
	kind fault.Kind
	hint string
	// refine looks at the texts where the class alone does not decide.
	refine func(r request, s said, v *verdict)
}

// verdict is what a refusal means. cause stands after the class and must be
// free of customer data: constants, or names of DocTypes and fields.
type verdict struct {
	kind    fault.Kind
	cause   string
	hint    string
	missing string
	field   string
	closed  bool
}

const (
	hintKey     = "check the API key and secret; ERPNext shows a new secret only once, and the old one ends at once"
	hintGuest   = "ERPNext saw no credentials: a proxy in front of it takes the Authorization header away"
	hintData    = "look at the texts kept with the attempt, correct the data or the mapping sheet, and replay"
	hintWait    = "nothing to do unless it stays: another write was in the way"
	hintDown    = "look at the ERPNext site and its proxy; the event is tried again"
	hintPaused  = "wait for the end of the maintenance, or end it with bench set-maintenance-mode off"
	hintOurs    = "ERPNext failed on this request: see its error log, and report it to ledgerhook if the data are plain"
	hintConfig  = "the mapping sheet or the defaults name something that the site does not have: run the doctor command"
	hintPoison  = "the DocType's metadata name a column that does not exist: run the setup command (it heals this), or bench clear-cache"
	hintSettled = "the document was changed in ERPNext meanwhile: look at it there"
)

// orLater is the way out of every closed period.
const orLater = ", or set orders.closed_period to first_open_day in the mapping sheet; then replay"

// closedBooks are the classes of refusals because of a document's date.
var closedBooks = map[string]bool{"ClosedAccountingPeriod": true, "PeriodClosingVoucherExistsError": true, "FiscalYearError": true}

// rules is the one table of exception classes.
var rules = map[string]rule{
	"AuthenticationError":        {kind: fault.Credentials, hint: hintKey},
	"SessionExpired":             {kind: fault.Credentials, hint: hintKey},
	"InvalidKeyError":            {kind: fault.Credentials, hint: "the site's encryption key changed: generate a new API secret for the user"},
	"InvalidAuthorizationHeader": {kind: fault.Credentials, hint: hintKey},
	"InvalidAuthorizationPrefix": {kind: fault.Credentials, hint: hintKey},
	"InvalidAuthorizationToken":  {kind: fault.Credentials, hint: hintKey},
	"CSRFTokenError":             {kind: fault.Credentials, hint: hintGuest},
	"SecurityException":          {kind: fault.Credentials, hint: hintKey},

	"PermissionError": {kind: fault.Rights, hint: "give the API user the roles Sales User and Accounts User", refine: refinePermission},

	"DoesNotExistError":     {kind: fault.Missing, hint: "the document was deleted or renamed in ERPNext, or the mapping names one that never was", refine: refineMissing},
	"PageDoesNotExistError": {kind: fault.Rejected, hint: "check the URL: it must be the site's address without /app or /desk"},

	"NameError":             {kind: fault.Rejected, hint: "the name clashes with a Customer Group or holds < or >: change the name and replay", refine: refineName},
	"DuplicateEntryError":   {kind: fault.Contention, hint: "if it stays, the naming series of the DocType is behind the documents that exist", refine: refineDuplicate},
	"UniqueValidationError": {kind: fault.Duplicate, hint: "a document with this key exists", refine: refineUnique},
	"NonUniqueError":        {kind: fault.Rejected, hint: "this field type cannot be unique in ERPNext"},

	"TimestampMismatchError":   {kind: fault.Contention, hint: hintWait},
	"DocumentLockedError":      {kind: fault.Contention, hint: "a background job holds the document; look at the site's job queue if it stays"},
	"QueryDeadlockError":       {kind: fault.Contention, hint: hintWait},
	"QueryTimeoutError":        {kind: fault.Contention, hint: "the database waited too long for a lock: fewer writers may help"},
	"UpdateAfterSubmitError":   {kind: fault.Rejected, hint: "a submitted document cannot be changed: cancel and amend it", refine: refineTransition},
	"DocstatusTransitionError": {kind: fault.Rejected, hint: "look at the document's status in ERPNext", refine: refineTransition},

	"TooManyRequestsError":   {kind: fault.RateLimited, hint: "raise rate_limit in the site's configuration, or lower the number of writers"},
	"RateLimitExceededError": {kind: fault.RateLimited, hint: "raise rate_limit in the site's configuration, or lower the number of writers"},
	"SessionStopped":         {kind: fault.Maintenance, hint: hintPaused},
	"InReadOnlyMode":         {kind: fault.Maintenance, hint: hintPaused},
	"QueueOverloaded":        {kind: fault.Maintenance, hint: "the site's background queue is full: look at its workers"},
	"SessionBootFailed":      {kind: fault.Unavailable, hint: hintDown},
	"OutgoingEmailError":     {kind: fault.Unavailable, hint: "the site cannot send the e-mail that goes with this document: look at its Email Account"},

	"OperationalError":     {kind: fault.BadRequest, hint: hintOurs, refine: refineDatabase},
	"InternalError":        {kind: fault.BadRequest, hint: hintOurs, refine: refineDatabase},
	"ProgrammingError":     {kind: fault.BadRequest, hint: hintOurs, refine: refineDatabase},
	"DataError":            {kind: fault.BadRequest, hint: "the DocType has no such field; run the setup command if it is the key field", refine: refineData},
	"TypeError":            {kind: fault.BadRequest, hint: hintOurs},
	"AttributeError":       {kind: fault.BadRequest, hint: hintOurs},
	"KeyError":             {kind: fault.BadRequest, hint: hintOurs},
	"IndexError":           {kind: fault.BadRequest, hint: hintOurs},
	"ValueError":           {kind: fault.BadRequest, hint: hintOurs},
	"AssertionError":       {kind: fault.BadRequest, hint: hintOurs},
	"UnboundLocalError":    {kind: fault.BadRequest, hint: hintOurs},
	"ZeroDivisionError":    {kind: fault.BadRequest, hint: hintOurs},
	"ImportError":          {kind: fault.BadRequest, hint: "the site has no such DocType: is ERPNext installed on it?"},
	"ModuleNotFoundError":  {kind: fault.BadRequest, hint: "the site has no such DocType: is ERPNext installed on it?"},
	"JSONDecodeError":      {kind: fault.BadRequest, hint: hintOurs},
	"FrappeTypeError":      {kind: fault.BadRequest, hint: hintOurs},
	"ImplicitCommitError":  {kind: fault.BadRequest, hint: hintOurs},
	"TooManyWritesError":   {kind: fault.BadRequest, hint: hintOurs},
	"UnsupportedMediaType": {kind: fault.BadRequest, hint: hintOurs},

	"ValidationError":                 {kind: fault.Rejected, hint: hintData, refine: refineValidation},
	"MandatoryError":                  {kind: fault.Rejected, hint: "the site demands a field that is not sent: give it a default in ERPNext or in the mapping sheet", refine: refineMandatory},
	"LinkValidationError":             {kind: fault.Rejected, hint: hintConfig, refine: refineLinks},
	"CancelledLinkError":              {kind: fault.Rejected, hint: "the document points to a cancelled one: look at it in ERPNext"},
	"LinkExistsError":                 {kind: fault.Rejected, hint: "cancel the documents that refer to it first"},
	"CharacterLengthExceededError":    {kind: fault.Rejected, hint: "a text is too long for its field"},
	"DataTooLongException":            {kind: fault.Rejected, hint: "a text is too long for its field"},
	"NonNegativeError":                {kind: fault.Rejected, hint: "the site refuses a negative value in this field"},
	"InvalidPhoneNumberError":         {kind: fault.Rejected, hint: "ERPNext does not take this phone number; it refuses the whole customer for it"},
	"InvalidEmailAddressError":        {kind: fault.Rejected, hint: "ERPNext does not take this e-mail address; it refuses the whole customer for it"},
	"CannotChangeConstantError":       {kind: fault.Rejected, hint: "the field can be set only once"},
	"LinkExpired":                     {kind: fault.Rejected, hint: "check the configured URL"},
	"NegativeStockError":              {kind: fault.Rejected, hint: "there is not enough stock: receive it, or allow negative stock"},
	"FiscalYearError":                 {kind: fault.Rejected, hint: "create the Fiscal Year for the document's date and company" + orLater},
	"InvalidQtyError":                 {kind: fault.Rejected, hint: hintData},
	"UOMMustBeIntegerError":           {kind: fault.Rejected, hint: "the item's unit takes whole numbers only: change the unit in ERPNext"},
	"WarehouseRequired":               {kind: fault.Rejected, hint: "name a warehouse in the mapping sheet, or give the item a default one"},
	"PartyDisabled":                   {kind: fault.Rejected, hint: "enable the customer in ERPNext, then replay"},
	"PartyFrozen":                     {kind: fault.Rejected, hint: "unfreeze the customer in ERPNext, then replay"},
	"PartyMissing":                    {kind: fault.Rejected, hint: hintData},
	"InvalidCurrency":                 {kind: fault.Rejected, hint: "the customer's books are in another currency: give it an account in this one"},
	"InvalidAccountCurrency":          {kind: fault.Rejected, hint: "the account's currency is not the document's: correct the mapping sheet"},
	"AccountsSettingsError":           {kind: fault.Rejected, hint: hintData},
	"StockOverReturnError":            {kind: fault.Rejected, hint: "more is returned than was delivered or invoiced"},
	"StockAccountInvalidTransaction":  {kind: fault.Rejected, hint: "the account belongs to stock: name another one in the mapping sheet"},
	"DuplicatePartyAccountError":      {kind: fault.Rejected, hint: hintData},
	"OverAllowanceError":              {kind: fault.Rejected, hint: "the document goes beyond the order it belongs to"},
	"ClosedAccountingPeriod":          {kind: fault.Rejected, hint: "the books are closed for this date: open the period" + orLater},
	"PeriodClosingVoucherExistsError": {kind: fault.Rejected, hint: "the books are closed for this date: cancel the Period Closing Voucher" + orLater},
	"WorkflowPermissionError":         {kind: fault.Rights, hint: "a Workflow keeps the API user from this step: allow it for one of its roles"},
	"WorkflowStateError":              {kind: fault.Rejected, hint: "a Workflow of the site refuses this step"},
	"WorkflowTransitionError":         {kind: fault.Rejected, hint: "a Workflow of the site refuses this step"},
}

// classify turns an answer that is no success into a classified failure: by
// its class where it names a known one, else by its status.
func classify(r request, answer *reply) *fault.Error {
	s := understand(answer.body)
	v := verdict{}
	if known, ok := rules[s.class]; ok && s.json && answer.status >= 400 {
		v.kind, v.hint = known.kind, known.hint
		if known.refine != nil {
			known.refine(r, s, &v)
		}
	} else {
		v = byStatus(r, s, answer.status)
	}
	f := &fault.Error{
		Kind:   v.kind,
		Op:     r.op,
		Cause:  causeText(s, answer.status, v.cause),
		Hint:   v.hint,
		Detail: s.detail(),
		Err:    &Refusal{Status: answer.status, Class: s.class, Missing: v.missing, Field: v.field, Closed: v.closed || closedBooks[s.class]},
	}
	if v.kind == fault.RateLimited || v.kind == fault.Maintenance || v.kind == fault.Unavailable {
		f.RetryAfter = retryAfter(answer.header.Get("Retry-After"), time.Now())
	}
	return f
}

func causeText(s said, status int, more string) string {
	head := s.class
	switch {
	case head != "":
	case s.json:
		head = fmt.Sprintf("status %d", status)
	default:
		head = fmt.Sprintf("status %d without an ERPNext answer", status)
	}
	if more == "" {
		return head
	}
	return head + ": " + more
}

// byStatus judges an answer whose class is unknown or absent: a proxy's page,
// the web server's own, or an exception of somebody's app.
func byStatus(r request, s said, status int) verdict {
	switch {
	case status < 400:
		return verdict{kind: fault.Rejected, cause: "redirected", hint: "the URL must be the site's final address: https instead of http, the right host, no path that is moved"}
	case status == http.StatusUnauthorized, status == http.StatusProxyAuthRequired:
		return verdict{kind: fault.Credentials, hint: hintKey}
	case status == http.StatusForbidden && s.json:
		return verdict{kind: fault.Rights, hint: "give the API user the roles Sales User and Accounts User"}
	case status == http.StatusForbidden:
		return verdict{kind: fault.Rights, hint: "a proxy or firewall in front of ERPNext refused the request"}
	case status == http.StatusTooManyRequests:
		return verdict{kind: fault.RateLimited, hint: "lower the number of writers, or raise the limit of the site or its proxy"}
	case status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooEarly:
		return verdict{kind: fault.Unavailable, hint: hintDown}
	case s.json:
		return byStatusOfJSON(r, status)
	default:
		return byStatusOfPage(status)
	}
}

func byStatusOfJSON(r request, status int) verdict {
	if status == http.StatusNotFound {
		return verdict{kind: fault.Missing, hint: "check the URL: nothing is there", missing: readDocType(r)}
	}
	return verdict{kind: fault.Rejected, hint: hintData}
}

// byStatusOfPage judges a 4xx page. ERPNext itself answers in JSON, so the
// page is about the request's form or comes from something in front.
func byStatusOfPage(status int) verdict {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return verdict{kind: fault.Rejected, cause: "the document is too large", hint: "raise max_file_size of the site or client_max_body_size of its proxy"}
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestURITooLong, http.StatusUnsupportedMediaType,
		http.StatusRequestHeaderFieldsTooLarge, http.StatusNotAcceptable, http.StatusLengthRequired:
		return verdict{kind: fault.BadRequest, hint: hintOurs}
	case http.StatusNotFound:
		return verdict{kind: fault.Unavailable, cause: "no such site", hint: "the host names no site of this bench: check the URL, or set the site's name"}
	default:
		return verdict{kind: fault.Unavailable, hint: hintDown}
	}
}

// maxRetryAfter bounds how long the far side may make us wait.
const maxRetryAfter = 15 * time.Minute

// retryAfter reads seconds or an HTTP date; 0 when there is neither.
func retryAfter(text string, now time.Time) time.Duration {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds > 0) { // NaN too
			return 0
		}
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), maxRetryAfter)
}

// transportFault classes a request without a complete answer. The underlying
// error names the URL, so only what kind it is goes on.
func transportFault(op string, err error) *fault.Error {
	f := &fault.Error{Kind: fault.Network, Op: op, Cause: "the connection failed", Hint: "check that the ERPNext URL can be reached from here"}
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		f.Cause, f.Hint, f.Err = "the call was given up", "", context.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		f.Kind, f.Cause, f.Hint = fault.Timeout, "no answer in time", "the site is slow or hangs; the request may still have been carried out"
		f.Err = context.DeadlineExceeded
	default:
		f.Cause = cmp.Or(transportCause(err), f.Cause)
	}
	return f
}

// Causes of a request that never left.
const (
	causeNoHost  = "the host name was not found"
	causeRefused = "connection refused"
)

func transportCause(err error) string {
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	switch {
	case errors.As(err, &dns):
		return causeNoHost
	case errors.Is(err, syscall.ECONNREFUSED):
		return causeRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return "the site's certificate is not trusted"
	case errors.As(err, &record), errors.As(err, &alert):
		return "TLS was refused"
	default:
		return ""
	}
}
