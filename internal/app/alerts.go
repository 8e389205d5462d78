package app

import (
	"context"

	"github.com/ledgerhook/ledgerhook/internal/alert"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/slack"
	"github.com/ledgerhook/ledgerhook/internal/worker"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// openAlerts starts the alerting: it must hear of the first attempt already.
func (a *App) openAlerts(cfg config.Config, reg prometheus.Registerer, log zerolog.Logger) *alert.Manager {
	manager := alert.New(alert.Options{Senders: senders(cfg), Registerer: reg, Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- manager.Run(ctx) }()
	a.onStop("alerts", func(context.Context) error {
		cancel()
		return <-done // bounded by the manager's own flush
	})
	return manager
}

func senders(cfg config.Config) []alert.Sender {
	var list []alert.Sender
	if cfg.SlackWebhookURL != "" {
		list = append(list, slack.New(slack.Options{URL: cfg.SlackWebhookURL.Reveal()}))
	}
	if cfg.AlertWebhookURL != "" {
		list = append(list, alert.NewWebhook(alert.WebhookOptions{URL: cfg.AlertWebhookURL.Reveal()}))
	}
	return list
}

// observer tells the alerting of attempts; neither room knows the other.
type observer struct{ alerts *alert.Manager }

func (o observer) Attempted(r worker.Report) { o.alerts.Attempted(alert.Report(r)) }
