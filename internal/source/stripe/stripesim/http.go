package stripesim

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Fault is how one call goes wrong.
type Fault struct {
	Status     int    // answered instead; 0 = answered as usual
	RetryAfter string // header
	Hang       bool   // no answer until the caller gives up
	Cut        bool   // the answer breaks off
	Body       string // of Status; "" = Stripe's usual error
}

// Fail lets the next calls go wrong, one fault each.
func (s *Sim) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Mend takes back all faults to come.
func (s *Sim) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Calls lists what the API was asked, and forgets it.
func (s *Sim) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// ServeHTTP answers Stripe's API, as far as ledgerhook asks it.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls = append(s.calls, r.Method+" "+r.URL.Path)
	var fault Fault
	if len(s.faults) > 0 {
		fault, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	switch {
	case fault.Hang:
		<-r.Context().Done()
	case fault.Status != 0:
		if fault.RetryAfter != "" {
			w.Header().Set("Retry-After", fault.RetryAfter)
		}
		refuse(w, fault.Status, fault.Body)
	case r.Header.Get("Authorization") != "Bearer "+s.Key:
		refuse(w, http.StatusUnauthorized, `{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: `+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")+`"}}`)
	case r.Method != http.MethodGet || r.Header.Get("Stripe-Version") == "":
		refuse(w, http.StatusBadRequest, "")
	default:
		s.answer(w, r, fault.Cut)
	}
}

func refuse(w http.ResponseWriter, status int, body string) {
	if body == "" {
		body = `{"error":{"type":"api_error","message":"made to fail"}}`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func (s *Sim) answer(w http.ResponseWriter, r *http.Request, cut bool) {
	s.mu.Lock()
	found, status := s.find(r)
	body, err := json.Marshal(found)
	s.mu.Unlock()
	switch {
	case status != http.StatusOK:
		refuse(w, status, "")
		return
	case err != nil:
		refuse(w, http.StatusInternalServerError, "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if cut {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		body = body[:len(body)/2]
	}
	_, _ = w.Write(body)
}

// kinds are the collections, and the fields that can be expanded in their
// objects.
var kinds = map[string]struct {
	kind   string
	expand []string
}{
	"charges":              {"charge", []string{"balance_transaction"}},
	"payment_intents":      {"payment_intent", []string{"latest_charge", "latest_charge.balance_transaction"}},
	"refunds":              {"refund", []string{"balance_transaction", "failure_balance_transaction", "charge"}},
	"disputes":             {"dispute", nil},
	"payouts":              {"payout", []string{"balance_transaction"}},
	"balance_transactions": {"balance_transaction", nil},
	"invoice_payments":     {"invoice_payment", nil},
}

func (s *Sim) find(r *http.Request) (object, int) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	collection, id, one := strings.Cut(path, "/")
	k, known := kinds[collection]
	if !ok || !known {
		return nil, http.StatusNotFound
	}
	expand := r.URL.Query()["expand[]"]
	for _, field := range expand {
		if !one {
			field = strings.TrimPrefix(field, "data.")
		}
		if !slices.Contains(k.expand, field) {
			return nil, http.StatusBadRequest
		}
	}
	if !one {
		return s.list(r, k.kind, expand)
	}
	o, there := s.objects[id]
	if !there || o["object"] != k.kind {
		return nil, http.StatusNotFound
	}
	return s.expanded(o, expand), http.StatusOK
}

func (s *Sim) list(r *http.Request, kind string, expand []string) (object, int) {
	query := r.URL.Query()
	var fits []object
	for _, id := range slices.Backward(s.order[kind]) { // newest first
		o := s.objects[id]
		if all(query, o, "charge", "invoice", "status") {
			fits = append(fits, o)
		}
	}
	if after := query.Get("starting_after"); after != "" {
		fits = fits[1+slices.IndexFunc(fits, func(o object) bool { return o["id"] == after }):]
	}
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		limit = 10
	}
	data := []any{}
	for _, o := range fits[:min(limit, len(fits))] {
		inside := make([]string, len(expand))
		for i, field := range expand {
			inside[i] = strings.TrimPrefix(field, "data.")
		}
		data = append(data, s.expanded(o, inside))
	}
	return object{"object": "list", "data": data, "has_more": len(fits) > limit, "url": r.URL.Path}, http.StatusOK
}

func all(query map[string][]string, o object, names ...string) bool {
	for _, name := range names {
		if want := query[name]; len(want) > 0 && o[name] != want[0] {
			return false
		}
	}
	return true
}

// expanded puts objects in the place of their ids.
func (s *Sim) expanded(o object, fields []string) object {
	view := maps.Clone(o)
	for _, field := range fields {
		name, inside, deeper := strings.Cut(field, ".")
		other, ok := s.objects[text(o[name])]
		switch {
		case !ok:
		case deeper:
			view[name] = s.expanded(other, []string{inside})
		default:
			view[name] = other
		}
	}
	return view
}
