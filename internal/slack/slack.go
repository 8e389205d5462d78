// Package slack sends alerts to a Slack channel through an incoming webhook.
// It knows how a message is written and what Slack answers; what is worth a
// message it is told.
package slack

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/alert"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// betweenMessages is the rate Slack allows per webhook: about one a second.
const betweenMessages = time.Second

// Link is an address under a message.
type Link struct {
	Text string
	URL  string
}

// Options of a Sender.
type Options struct {
	URL   string                    // the incoming webhook; whoever has it can post, so it is a secret
	HTTP  *http.Client              // nil = one with a timeout
	Links func(alert.Signal) []Link // nil = none
}

// Sender posts to one webhook, at most one message a second.
type Sender struct {
	hook  *alert.Hook
	links func(alert.Signal) []Link

	turn sync.Mutex // held while a message is sent or waits for its second
	last time.Time
}

// New makes a Sender.
func New(o Options) *Sender {
	s := &Sender{hook: alert.NewHook("slack.send", o.URL, o.HTTP), links: o.Links}
	if s.links == nil {
		s.links = func(alert.Signal) []Link { return nil }
	}
	return s
}

// Name is the value of the channel label.
func (s *Sender) Name() string { return "slack" }

// Send posts one signal. Slack has taken it only when it answers "ok"; a 200
// with another text is a refusal. Errors are *fault.Error and never hold the
// address.
func (s *Sender) Send(ctx context.Context, sig alert.Signal) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := s.pace(ctx); err != nil {
		return err
	}
	answer, err := s.hook.Post(ctx, compose(sig, s.links(sig)))
	s.last = time.Now()
	return judge(strings.TrimSpace(answer), err)
}

func (s *Sender) pace(ctx context.Context) error {
	wait := time.Until(s.last.Add(betweenMessages))
	if s.last.IsZero() || wait <= 0 {
		return nil
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return fault.New(fault.Network, "slack.send", "the call was ended")
	}
}

// answers are the words Slack refuses with, and what helps. Only these are
// repeated: any other text may come from anywhere.
var answers = map[string]string{
	"no_service":                        "the webhook was removed or disabled: make a new one in Slack",
	"no_service_id":                     "the address is incomplete: copy it again from Slack",
	"no_team":                           "the address is wrong: copy it again from Slack",
	"team_disabled":                     "the Slack workspace is disabled",
	"invalid_token":                     "the address is wrong: copy it again from Slack",
	"channel_not_found":                 "the channel was deleted: make a new webhook in Slack",
	"channel_is_archived":               "the channel is archived: make a new webhook in Slack",
	"action_prohibited":                 "an administrator forbids posting here",
	"posting_to_general_channel_denied": "only administrators may post to this channel",
	"user_not_found":                    "the user who made the webhook is gone: make a new one in Slack",
	"invalid_payload":                   "this is a bug of the service: report it",
	"invalid_blocks":                    "this is a bug of the service: report it",
	"no_text":                           "this is a bug of the service: report it",
	"rollup_error":                      "Slack failed: nothing to do here",
}

func judge(answer string, err error) error {
	if err == nil && answer == "ok" {
		return nil
	}
	e := fault.As(err)
	if e == nil {
		// Whatever answers 200 with something else is not Slack: a proxy's
		// login page, perhaps only for now.
		e = fault.New(fault.Unavailable, "slack.send", "the answer was not ok")
		e.Hint = "check that the address is a Slack incoming webhook and that no proxy is in between"
	}
	hint, known := answers[answer]
	if !known {
		return e
	}
	if e.Kind == fault.Unavailable && answer != "rollup_error" {
		e.Kind = fault.Rejected
	}
	e.Cause, e.Hint = "slack refused: "+answer, hint
	return e
}
