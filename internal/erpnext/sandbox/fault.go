package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault makes matching requests fail in one way.
type Fault struct {
	Kind    string
	Delay   time.Duration // of the kinds that wait; 0 is two seconds
	Rate    float64       // share of the matching requests, 0 to 1; 0 is all
	Count   int           // how many requests at most; 0 is no limit
	After   int           // how many matching requests go through first
	DocType string        // only requests for it
	Method  string        // only this HTTP method
}

// defaultDelay of a fault that waits.
const defaultDelay = 2 * time.Second

// faultKind is what one kind of fault does. Nothing set means that the request
// is served as always.
type faultKind struct {
	waitBefore, waitAfter, slow, drop bool
	instead                           func() *failure // answered in place of serving
	covers                            func() *failure // answered in place of the real answer, after the commit
	writesOnly                        bool
	// sourceOfPut is the app that a refused PUT names: a change of a document
	// gets into ERPNext's code before it is refused, a create does not.
	sourceOfPut string
}

var faultKinds = map[string]faultKind{
	"delay-before-commit": {waitBefore: true},
	"delay-after-commit":  {waitAfter: true},
	"slow-body":           {slow: true},
	"commit-then-reset":   {drop: true},
	"commit-then-502":     {covers: func() *failure { return proxyPage(http.StatusBadGateway, "502 Bad Gateway") }},
	"502-html":            {instead: func() *failure { return proxyPage(http.StatusBadGateway, "502 Bad Gateway") }},
	"503-html": {instead: func() *failure {
		return proxyPage(http.StatusServiceUnavailable, "503 Service Temporarily Unavailable")
	}},
	"504-html":     {instead: func() *failure { return proxyPage(http.StatusGatewayTimeout, "504 Gateway Time-out") }},
	"db-down":      {instead: func() *failure { return proxyPage(http.StatusInternalServerError, "Internal Server Error") }},
	"deadlock-500": {sourceOfPut: inApp, instead: func() *failure { return deadlock(http.StatusInternalServerError) }},
	"deadlock-508": {sourceOfPut: inApp, instead: func() *failure { return deadlock(http.StatusLoopDetected) }},
	"lock-timeout": {instead: func() *failure {
		return bare("QueryTimeoutError", "(1205, 'Lock wait timeout exceeded; try restarting transaction')")
	}},
	"429":                {instead: func() *failure { return tooMany(map[string]string{"Retry-After": "2"}) }},
	"429-no-retry-after": {instead: func() *failure { return tooMany(nil) }},
	"maintenance": {instead: func() *failure {
		return bare("SessionStopped", "Session Stopped")
	}},
	"read-only": {writesOnly: true, sourceOfPut: inApp, instead: func() *failure {
		return throw("InReadOnlyMode", "Site is running in read only mode for maintenance or site update, this action can not be performed right now. "+
			"Please try again later.").titled("In Read Only Mode")
	}},
	"401": {instead: func() *failure { return bare("AuthenticationError", "") }},
	"403": {instead: func() *failure { return throw("PermissionError", "Not permitted") }},
	"transient-404": {instead: func() *failure {
		return throw("DoesNotExistError", "Item Code must be unique")
	}},
	"name-race-409": {instead: func() *failure {
		f := newFailure("DuplicateEntryError", `('Customer', 'Race', IntegrityError(1062, "Duplicate entry 'Race' for key 'PRIMARY'"))`)
		f.message = &message{text: "Customer <strong>Race</strong> already exists", title: "Duplicate Name", indicator: "red"}
		return f
	}},
}

// FaultKinds are all kinds of faults, sorted.
func FaultKinds() []string { return slices.Sorted(maps.Keys(faultKinds)) }

func deadlock(status int) *failure {
	f := bare("QueryDeadlockError", "(1213, 'Deadlock found when trying to get lock; try restarting transaction')")
	f.status = status
	return f
}

func tooMany(headers map[string]string) *failure {
	f := bare("TooManyRequestsError", "")
	if headers == nil {
		f = throw("RateLimitExceededError", "You hit the rate limit because of too many requests. Please try after sometime.")
		f.status = http.StatusTooManyRequests
	}
	f.headers = headers
	return f
}

// proxyPage is a page of the proxy in front of a site.
func proxyPage(status int, title string) *failure {
	return &failure{status: status, class: title, html: fmt.Sprintf(
		"<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", title, title)}
}

// ParseFaults reads a list such as
// "kind=deadlock-500,rate=0.1,doctype=Sales Order;kind=delay-after-commit,delay=2s,count=3".
// An error names the part that is wrong.
func ParseFaults(spec string) ([]Fault, error) {
	var faults []Fault
	var problems []error
	for part := range strings.SplitSeq(spec, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		f, err := parseFault(part)
		if err != nil {
			problems = append(problems, fmt.Errorf("fault %q: %w", strings.TrimSpace(part), err))
			continue
		}
		faults = append(faults, f)
	}
	return faults, errors.Join(problems...)
}

func parseFault(part string) (Fault, error) {
	var f Fault
	for setting := range strings.SplitSeq(part, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(setting), "=")
		if !ok {
			return f, fmt.Errorf("%q is no key=value", strings.TrimSpace(setting))
		}
		if err := f.set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return f, err
		}
	}
	if f.Kind == "" {
		return f, errors.New("no kind")
	}
	return f, nil
}

func (f *Fault) set(key, value string) error {
	var err error
	switch key {
	case "kind":
		if value == "deadlock" {
			value = "deadlock-500"
		}
		if _, ok := faultKinds[value]; !ok {
			return fmt.Errorf("no such kind: %q (there are: %s)", value, strings.Join(FaultKinds(), ", "))
		}
		f.Kind = value
	case "rate":
		f.Rate, err = strconv.ParseFloat(value, 64)
		if err == nil && (f.Rate < 0 || f.Rate > 1) {
			return fmt.Errorf("rate %q is not between 0 and 1", value)
		}
	case "count":
		f.Count, err = strconv.Atoi(value)
	case "after":
		f.After, err = strconv.Atoi(value)
	case "delay":
		f.Delay, err = time.ParseDuration(value)
	case "doctype":
		f.DocType = value
	case "method":
		f.Method = strings.ToUpper(value)
	default:
		return fmt.Errorf("no such setting: %q", key)
	}
	if err != nil || f.Count < 0 || f.After < 0 || f.Delay < 0 {
		return fmt.Errorf("%s: %q is no such value", key, value)
	}
	return nil
}

// activeFault is a fault and what it has done so far.
type activeFault struct {
	Fault
	site *Site
	seen int
	done int
}

// SetFaults replaces the faults; their counts start anew.
func (s *Site) SetFaults(faults []Fault) {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	s.faults = nil
	for _, f := range faults {
		s.faults = append(s.faults, &activeFault{Fault: f, site: s})
	}
}

// nextFault is the first fault that takes this request, or an idle one.
func (s *Site) nextFault(r *http.Request, doctype string) *activeFault {
	s.faultMu.Lock()
	defer s.faultMu.Unlock()
	for _, f := range s.faults {
		if f.DocType != "" && f.DocType != doctype || f.Method != "" && f.Method != r.Method {
			continue
		}
		if faultKinds[f.Kind].writesOnly && (r.Method == http.MethodGet || doctype == "") {
			continue
		}
		f.seen++
		if f.seen <= f.After || f.Count > 0 && f.done >= f.Count || f.Rate > 0 && s.dice.Float64() >= f.Rate {
			continue
		}
		f.done++
		return &activeFault{Fault: f.Fault, site: s}
	}
	return &activeFault{site: s}
}

func (f *activeFault) delay() time.Duration {
	if f.Delay > 0 {
		return f.Delay
	}
	return defaultDelay
}

// before says whether the request is to be served. The wait goes on when the
// client gives up, as it does on a real site: the commit comes late, not never.
func (f *activeFault) before(*http.Request) bool {
	kind := faultKinds[f.Kind]
	if kind.waitBefore {
		time.Sleep(f.delay())
	}
	return kind.instead == nil
}

// after replaces or drops the answer.
func (f *activeFault) after(r *http.Request, a *answer) (bool, bool) {
	kind := faultKinds[f.Kind]
	if kind.waitAfter {
		pause(r, f.delay())
	}
	switch {
	case kind.instead != nil:
		failed := kind.instead()
		if r.Method == http.MethodPut {
			failed.source = kind.sourceOfPut
		}
		*a = f.answer(failed)
		return true, false
	case kind.covers != nil:
		*a = f.answer(kind.covers())
		return true, false
	}
	return false, kind.drop
}

func (f *activeFault) answer(failed *failure) answer {
	f.site.mu.Lock()
	defer f.site.mu.Unlock()
	return f.site.failed(nil, failed)
}

func pause(r *http.Request, d time.Duration) {
	select {
	case <-r.Context().Done():
	case <-time.After(d):
	}
}

// slowPieces is how many parts a slow body comes in.
const slowPieces = 8

func (f *activeFault) send(w http.ResponseWriter, r *http.Request, body []byte) {
	if !faultKinds[f.Kind].slow {
		_, _ = w.Write(body) // the client is gone: nobody to tell
		return
	}
	size := len(body)/slowPieces + 1
	for piece := range slices.Chunk(body, size) {
		_, _ = w.Write(piece)
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		pause(r, f.delay()/slowPieces)
	}
}
