package alert

import (
	"context"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	reasonGaveUp  = "gave_up"
	reasonFull    = "queue_full"
	reasonStopped = "stopped"

	sendTries  = 20 // about a quarter of an hour
	sendIn     = 30 * time.Second
	firstPause = time.Second
	worstPause = time.Minute
	worstAsked = 10 * time.Minute
)

// channel is one way to people with a queue of its own: one that is stuck
// holds up no other.
type channel struct {
	sender  Sender
	queue   chan Signal
	metrics *metrics
	log     zerolog.Logger
}

func newChannel(s Sender, m *metrics, log zerolog.Logger) *channel {
	return &channel{
		sender: s, queue: make(chan Signal, channelQueue), metrics: m,
		log: log.With().Str("channel", s.Name()).Logger(),
	}
}

func (c *channel) offer(s Signal) {
	select {
	case c.queue <- s:
	default:
		c.failed(reasonFull)
	}
}

// run sends until the queue is closed; what is left when ctx ends is lost.
func (c *channel) run(ctx context.Context) {
	for s := range c.queue {
		if ctx.Err() != nil || !c.send(ctx, s) {
			c.failed(reasonStopped)
		}
	}
}

// send tries until the signal is taken or no try can help. It is false when ctx
// ended first.
func (c *channel) send(ctx context.Context, s Signal) bool {
	pause := firstPause
	for n := 1; ; n++ {
		err := c.once(ctx, s)
		if err == nil {
			c.metrics.sent.WithLabelValues(c.sender.Name()).Inc()
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		kind := fault.KindOf(err)
		c.failed(reasonOf(kind))
		if kind.Retry() == fault.Never || n == sendTries {
			c.failed(reasonGaveUp)
			c.about(c.log.Error(), s, err).Msg("alert could not be sent")
			return true
		}
		if n == 1 {
			c.about(c.log.Warn(), s, err).Msg("sending an alert failed, trying again")
		}
		select {
		case <-time.After(max(pause, asked(err))):
		case <-ctx.Done():
			return false
		}
		pause = min(2*pause, worstPause)
	}
}

func (c *channel) once(ctx context.Context, s Signal) error {
	ctx, cancel := context.WithTimeout(ctx, sendIn)
	defer cancel()
	return c.sender.Send(ctx, s)
}

func (c *channel) failed(reason string) {
	c.metrics.failed.WithLabelValues(c.sender.Name(), reason).Inc()
}

// about names the failure by class and cause: the text of an error that nobody
// classified may hold the channel's address, which is a secret.
func (c *channel) about(line *zerolog.Event, s Signal, err error) *zerolog.Event {
	line = line.Str("kind", string(s.Kind)).Str("state", string(s.State)).Str("class", fault.KindOf(err).String())
	if e := fault.As(err); e != nil {
		line = line.Str("cause", e.Cause).Str("hint", e.Hint)
	}
	return line
}

func asked(err error) time.Duration {
	if e := fault.As(err); e != nil {
		return min(e.RetryAfter, worstAsked)
	}
	return 0
}

func reasonOf(k fault.Kind) string {
	if slices.Contains(fault.Delivery(), k) {
		return k.String()
	}
	return fault.Internal.String()
}
