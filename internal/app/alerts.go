package app

import (
	"context"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/alert"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/slack"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/ledgerhook/ledgerhook/internal/worker"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// openAlerts starts the alerting: it must hear of the first attempt already.
func (a *App) openAlerts(cfg config.Config, reg prometheus.Registerer, log zerolog.Logger) *alert.Manager {
	manager := alert.New(alert.Options{Senders: senders(cfg), Memory: alertMemory{a.inbox}, Registerer: reg, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- manager.Run(ctx) }()
	a.onStop("alerts", func(ctx context.Context) error {
		cancel()
		select {
		case err := <-done: // bounded by the manager's own flush
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return manager
}

func senders(cfg config.Config) []alert.Sender {
	l := links(cfg.Alerts)
	var list []alert.Sender
	if cfg.SlackWebhookURL != "" {
		list = append(list, slack.New(slack.Options{URL: cfg.SlackWebhookURL.Reveal(), Links: l.all}))
	}
	if cfg.AlertWebhookURL != "" {
		list = append(list, alert.NewWebhook(alert.WebhookOptions{URL: cfg.AlertWebhookURL.Reveal(), GeneratorURL: l.events, RunbookURL: l.runbook}))
	}
	return list
}

// links are where a message leads to.
type links config.Alerts

func (l links) all(s alert.Signal) []slack.Link {
	var list []slack.Link
	for _, link := range []slack.Link{{Text: "events", URL: l.events(s)}, {Text: "runbook", URL: l.runbook(s)}, {Text: "class " + s.Class, URL: l.class(s)}} {
		if link.URL != "" {
			list = append(list, link)
		}
	}
	return list
}

// events leads to the sample event, or to what the kind is about.
func (l links) events(s alert.Signal) string {
	switch {
	case l.OperatorURL == "":
		return ""
	case s.SampleEventID != "":
		return l.OperatorURL + "/api/v1/events/" + s.SampleEventID
	case s.Kind == alert.Signatures, s.Kind == alert.Intake:
		return l.OperatorURL + "/api/v1/rejected"
	default:
		return l.OperatorURL + "/api/v1/status"
	}
}

func (l links) runbook(s alert.Signal) string {
	if l.RunbookURL == "" {
		return ""
	}
	return l.RunbookURL + "#" + strings.ToLower(s.Kind.Entry())
}

// class leads to the entry of the failure's class, which says more of the cause.
func (l links) class(s alert.Signal) string {
	if l.RunbookURL == "" || s.Class == "" || fault.ParseKind(s.Class).String() != s.Class {
		return "" // the intake's outcomes are no classes
	}
	return l.RunbookURL + "#class-" + s.Class
}

// alertMemory keeps the alerts under way in a note of the inbox.
type alertMemory struct{ inbox *sqlite.DB }

const alertNote = "alerts"

func (m alertMemory) Load(ctx context.Context) (string, error) {
	text, _, err := m.inbox.Note(ctx, alertNote)
	return text, err
}

func (m alertMemory) Save(ctx context.Context, state string) error {
	return m.inbox.SetNote(ctx, alertNote, state)
}

// observer tells the alerting of attempts; neither room knows the other.
type observer struct{ alerts *alert.Manager }

func (o observer) Attempted(r worker.Report) { o.alerts.Attempted(alert.Report(r)) }
