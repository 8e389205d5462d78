package alert

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WebhookOptions of a Webhook.
type WebhookOptions struct {
	URL          string              // a secret, posted to as it is
	HTTP         *http.Client        // nil = one with a timeout
	GeneratorURL func(Signal) string // where to look; nil = nothing
	RunbookURL   func(Signal) string // what to do; nil = nothing
}

// Webhook sends signals in the shape of Alertmanager's API v2
// (POST /api/v2/alerts), which many tools take.
type Webhook struct {
	hook          *Hook
	link, runbook func(Signal) string
}

// NewWebhook makes a Webhook.
func NewWebhook(o WebhookOptions) *Webhook {
	w := &Webhook{hook: NewHook("alert.webhook", o.URL, o.HTTP), link: o.GeneratorURL, runbook: o.RunbookURL}
	for _, link := range []*func(Signal) string{&w.link, &w.runbook} {
		if *link == nil {
			*link = func(Signal) string { return "" }
		}
	}
	return w
}

// Name is the value of the channel label.
func (w *Webhook) Name() string { return "webhook" }

// Send posts one signal. Any 2xx is success.
func (w *Webhook) Send(ctx context.Context, s Signal) error {
	_, err := w.hook.Post(ctx, []amAlert{w.alert(s)})
	return err
}

type amAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// alert keeps in the labels only what stays the same for the life of the
// trouble: they are its identity at the far side, the severity of a recovery
// included.
func (w *Webhook) alert(s Signal) amAlert {
	return amAlert{
		Labels: map[string]string{
			"alertname": "Ledgerhook" + s.Kind.Entry(),
			"service":   "ledgerhook",
			"severity":  string(manners[s.Kind].severity),
			"kind":      string(s.Kind),
			"group":     s.Group,
		},
		Annotations: filled(map[string]string{
			"summary":      s.Title,
			"description":  s.What,
			"state":        string(s.State),
			"class":        s.Class,
			"likely_cause": s.Likely,
			"automatic":    s.Auto,
			"action":       s.Fix,
			"count":        strconv.Itoa(s.Count),
			"open_events":  strconv.Itoa(s.Open),
			"sources":      strings.Join(s.Sources, ", "),
			"sample_event": s.SampleEventID,
			"sample_topic": s.SampleTopic,
			"command":      s.Command(),
			"runbook_url":  w.runbook(s),
		}),
		StartsAt:     s.Since.UTC(),
		EndsAt:       s.Expires.UTC(),
		GeneratorURL: w.link(s),
	}
}

// Command is what to type to see the sample event, or "" without one.
func (s Signal) Command() string {
	if s.SampleEventID == "" {
		return ""
	}
	return "server events show " + s.SampleEventID
}

func filled(m map[string]string) map[string]string {
	for k, v := range m {
		if v == "" {
			delete(m, k)
		}
	}
	return m
}

// camel turns "dead_letter" into "DeadLetter".
func camel(s string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(s, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
