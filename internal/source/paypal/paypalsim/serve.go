package paypalsim

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Fault is a way in which the API fails.
type Fault struct {
	Path       string // prefix of the paths that fail; "" = all
	Times      int    // how often; 0 = until Heal
	Status     int    // 401, 404, 429, 5xx: instead of an answer
	RetryAfter string
	Hang       bool // no answer at all
	Cut        bool // half of the answer
}

// Fail makes the API fail, beside what fails already.
func (s *Sim) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = -1
	}
	s.faults = append(s.faults, &f)
}

// Heal ends all faults.
func (s *Sim) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Revoke forgets every access token.
func (s *Sim) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Forge changes what the API says of a movement, as if the webhook had been
// made up.
func (s *Sim) Forge(path string, change func(document map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.documents[path])
}

// ServeHTTP answers as PayPal's REST API.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	status, answer := s.answer(r, body)
	fault := s.fails(r.URL.Path)
	switch {
	case fault == nil:
	case fault.Hang:
		<-r.Context().Done()
		return
	case fault.Cut:
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		answer = answer[:len(answer)/2]
	default:
		status, answer = fault.Status, []byte(`{"name":"SIMULATED_FAULT"}`)
		if fault.RetryAfter != "" {
			w.Header().Set("Retry-After", fault.RetryAfter)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

// fails gives the fault that meets a request, and counts it.
func (s *Sim) fails(path string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !strings.HasPrefix(path, f.Path) {
			continue
		}
		if f.Times--; f.Times == 0 {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		return f
	}
	return nil
}

func (s *Sim) answer(r *http.Request, body []byte) (int, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/v1/oauth2/token" {
		return s.token(r)
	}
	if !s.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] {
		return say(http.StatusUnauthorized, object{"error": "invalid_token"})
	}
	if r.URL.Path == "/v1/notifications/verify-webhook-signature" {
		return s.postback(body)
	}
	if r.URL.Path == "/v1/notifications/webhooks/"+s.WebhookID {
		var types []any
		for _, topic := range s.topics {
			types = append(types, object{"name": topic, "status": "ENABLED"})
		}
		return say(http.StatusOK, object{"id": s.WebhookID, "url": "https://hooks.example.com/webhooks/paypal", "event_types": types})
	}
	if doc, ok := s.documents[r.URL.Path]; ok && r.Method == http.MethodGet {
		return say(http.StatusOK, doc)
	}
	return say(http.StatusNotFound, object{"name": "RESOURCE_NOT_FOUND"})
}

func (s *Sim) token(r *http.Request) (int, []byte) {
	if id, secret, _ := r.BasicAuth(); id != s.ClientID || secret != s.ClientSecret {
		return say(http.StatusUnauthorized, object{"error": "invalid_client"})
	}
	token := rand.Text()
	s.tokens[token] = true
	return say(http.StatusOK, object{"access_token": token, "token_type": "Bearer", "expires_in": 32400})
}

// postback vouches for a transmission of ours, byte for byte.
func (s *Sim) postback(body []byte) (int, []byte) {
	var asked struct {
		Transmission string          `json:"transmission_id"`
		Webhook      string          `json:"webhook_id"`
		Event        json.RawMessage `json:"webhook_event"`
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		return say(http.StatusBadRequest, object{"name": "VALIDATION_ERROR"})
	}
	status := "FAILURE"
	if sent, ok := s.sent[asked.Transmission]; ok && asked.Webhook == s.WebhookID && sent == string(asked.Event) {
		status = "SUCCESS"
	}
	return say(http.StatusOK, object{"verification_status": status})
}

func say(status int, answer object) (int, []byte) {
	text, err := json.Marshal(answer)
	if err != nil {
		panic(err) // it is made of texts alone
	}
	return status, text
}
