package paypal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// ErrNoCredentials says that PayPal cannot be asked.
var ErrNoCredentials = errors.New("paypal: no client id and secret")

// Webhook is what PayPal has of the webhook that a source is for.
type Webhook struct {
	URL     string   // where it sends
	Missing []string // event types at which money moves or somebody must act, and that it does not send
}

// wanted are the event types without which the books would differ from the
// balance, or nobody would be told.
var wanted = []string{
	captureCompleted, captureRefunded, captureReversed, saleCompleted, saleRefunded, saleReversed, disputeCreated, disputeResolved,
}

// Webhook asks PayPal about the webhook. Its failures are those of Complete;
// Missing says that the app has no webhook of that id.
func (s *Source) Webhook(ctx context.Context) (Webhook, error) {
	if s.api == nil {
		return Webhook{}, ErrNoCredentials
	}
	answer, failure := s.api.call(ctx, "paypal.Webhook", http.MethodGet, "/v1/notifications/webhooks/"+url.PathEscape(s.webhookID), nil)
	if failure != nil {
		return Webhook{}, failure
	}
	w := Webhook{URL: answer.Get("url").Text()}
	sent := topicsOf(answer)
	for _, topic := range wanted {
		if !slices.Contains(sent, topic) && !slices.Contains(sent, "*") {
			w.Missing = append(w.Missing, topic)
		}
	}
	return w, nil
}

func topicsOf(webhook strictjson.Value) []string {
	var topics []string
	for _, topic := range webhook.Get("event_types").Items() {
		topics = append(topics, topic.Get("name").Text())
	}
	return topics
}
