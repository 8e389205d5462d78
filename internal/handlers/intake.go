package handlers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	defaultMaxBody = 10 << 20
	// smallBody is read without asking: nearly every webhook fits, and so
	// many small bodies at once do no harm.
	smallBody = 64 << 10
	// Beyond smallBody bodies are read in steps, and so many steps may be in
	// memory at once; of them one client may hold a part, for a slow one must
	// not hold all. The largest body fits into that part.
	bodyStep      = 1 << 20
	bodySteps     = 32
	bodyStepsEach = 12
)

// intake takes webhooks: it reads, has the source verify, hands over to the
// inbox and answers.
type intake struct {
	PublicOptions
	metrics *intakeMetrics
	clients *crowd
	large   *crowd
	lines   *quota
}

func newIntake(o PublicOptions) *intake {
	if o.MaxBody == 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rejected == nil {
		o.Rejected = func(string, string) {}
	}
	if o.Verified == nil {
		o.Verified = func(string, string) {}
	}
	if o.Keep == nil {
		o.Keep = func(event.Rejection) {}
	}
	return &intake{
		PublicOptions: o,
		metrics:       newIntakeMetrics(o.Registerer, o.Sources, o.LastEvents),
		clients:       newCrowd(math.MaxInt, maxRequestsEach),
		large:         newCrowd(bodySteps, max(bodyStepsEach, int(o.MaxBody/bodyStep)+1)),
		lines:         newQuota(o.Log),
	}
}

// ServeHTTP answers 2xx only for an event that is safe on disk. One log line
// and one count a request, whatever becomes of it; the log sums up a flood.
func (in *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	name := chi.URLParam(r, "source")
	d := delivery{at: in.Now()}
	ev, receipt, err := in.accept(w, r, name, &d)
	if _, known := in.Sources[name]; !known {
		name = unknownSource // a stranger's text is neither a label nor a log field
	}
	outcome := outcomeOf(receipt, err)
	if err != nil {
		writeError(w, err)
	} else {
		writeJSON(w, http.StatusOK, taken{Status: outcome, Event: receipt.ID})
	}
	in.metrics.observe(name, outcome, ev, time.Since(start))
	in.log(r.Context(), name, outcome, ev, receipt, err, start)
	if err == nil {
		in.Verified(name, ev.SecretSlot)
		return
	}
	if telling(name, err) {
		in.Rejected(name, outcome)
	}
	in.keep(r, name, d, err)
}

// telling reports whether a refusal says something of a configured sender, so
// that many of them are worth a message. Whoever scans the internet for paths,
// tries other methods or lets connections hang is no news.
func telling(source string, err error) bool {
	switch fault.KindOf(err) {
	case fault.NotFound, fault.BadMethod, fault.Network:
		return false
	default:
		return source != unknownSource
	}
}

// taken is the answer to an event that is safe on disk.
type taken struct {
	Status string `json:"status"`
	Event  string `json:"event"`
}

func (in *intake) accept(w http.ResponseWriter, r *http.Request, name string, d *delivery) (event.Event, event.Receipt, error) {
	src, ok := in.Sources[name]
	if !ok {
		return event.Event{}, event.Receipt{}, fault.New(fault.NotFound, "handlers.intake", "no such source")
	}
	if r.Method != http.MethodPost {
		return event.Event{}, event.Receipt{}, fault.New(fault.BadMethod, "handlers.intake", "not a POST")
	}
	client := middleware.GetClientIPAddr(r.Context())
	leave, full := in.clients.enter(client)
	if full != "" {
		return event.Event{}, event.Receipt{}, fault.New(fault.Busy, "handlers.intake", "too many requests of one client at once")
	}
	defer leave()
	if err := in.welcome(name, client, r.Header); err != nil {
		d.glance(r)
		return event.Event{}, event.Receipt{}, err
	}
	body, err := in.read(w, r, client)
	if err != nil {
		return event.Event{}, event.Receipt{}, err
	}
	d.body, d.whole = body, true
	return in.take(r.Context(), src, name, r.Header, *d)
}

// welcome refuses what can be told from the sender and the headers alone.
func (o PublicOptions) welcome(source string, addr netip.Addr, h http.Header) error {
	if !o.allowed(source, addr) {
		return fault.New(fault.Forbidden, "handlers.intake", "the sender's address is not allowed")
	}
	return readable(h)
}

// take has the source verify a delivery and puts its event into the inbox.
func (o PublicOptions) take(ctx context.Context, src Source, name string, h http.Header, d delivery) (event.Event, event.Receipt, error) {
	ev, err := src.Open(ctx, h, d.body, d.at)
	if err != nil {
		return event.Event{}, event.Receipt{}, err
	}
	ev.Source, ev.ReceivedAt = name, d.at.UTC()
	ev.ID = event.NewID(ev.Source, ev.ProviderID)
	receipt, err := o.Inbox.Put(ctx, ev)
	if err != nil && fault.As(err) == nil {
		err = &fault.Error{Kind: fault.Busy, Op: "handlers.put", Cause: "the inbox failed", Err: err}
	}
	return ev, receipt, err
}

// allowed holds the operator's list of networks that a source may send from.
func (o PublicOptions) allowed(source string, addr netip.Addr) bool {
	networks, restricted := o.AllowedSenders[source]
	if !restricted {
		return true
	}
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
}

// readable refuses what we would have to decode before verifying: signatures
// cover the bytes as sent, and decompressing a stranger's bytes is a bomb.
func readable(h http.Header) error {
	for _, enc := range h["Content-Encoding"] {
		if enc != "" && !strings.EqualFold(enc, "identity") {
			return fault.New(fault.Unsupported, "handlers.intake", "content encoding")
		}
	}
	for _, ct := range h["Content-Type"] {
		if ct != "" && !isJSON(ct) {
			return fault.New(fault.Unsupported, "handlers.intake", "media type")
		}
	}
	return nil
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

// read takes the whole body, bounded whether or not its length was announced.
// Beyond smallBody every step needs a place, so that many large bodies at once
// end in 503 rather than in an exhausted memory.
func (in *intake) read(w http.ResponseWriter, r *http.Request, client netip.Addr) ([]byte, error) {
	if r.ContentLength > in.MaxBody {
		return nil, fault.New(fault.TooLarge, "handlers.intake", "body over the limit")
	}
	limited := http.MaxBytesReader(w, r.Body, in.MaxBody)
	var buf bytes.Buffer
	_, err := io.CopyN(&buf, limited, smallBody)
	for err == nil {
		leave, full := in.large.enter(client)
		if full != "" {
			return nil, fault.New(fault.Busy, "handlers.intake", "too many large bodies at once")
		}
		defer leave()
		_, err = io.CopyN(&buf, limited, bodyStep)
	}
	switch {
	case errors.Is(err, io.EOF):
		return buf.Bytes(), nil
	case isTooLarge(err):
		return nil, fault.New(fault.TooLarge, "handlers.intake", "body over the limit")
	default:
		return nil, fault.New(fault.Network, "handlers.intake", "the body did not come whole, or not in time")
	}
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

func (in *intake) log(ctx context.Context, name, outcome string, ev event.Event, receipt event.Receipt, err error, start time.Time) {
	if outcome != outcomeAccepted && !in.lines.take(name, outcome) {
		return
	}
	line := in.Log.Info()
	switch {
	case outcome == outcomeStoreError:
		line = in.Log.Error()
	case err != nil:
		line = in.Log.Warn()
	}
	if err == nil {
		line = line.Str("event_id", receipt.ID).Str("topic", ev.Topic).Str("subject", ev.Subject).Str("secret_slot", ev.SecretSlot)
	}
	line.Str("source", name).Str("outcome", outcome).Str("request_id", middleware.GetReqID(ctx)).
		Str("client_ip", middleware.GetClientIP(ctx)).Dur("took", time.Since(start)).Err(err).Msg("webhook received")
}

// recoverer turns a panic into our own failure, so that the sender retries.
func (in *intake) recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if v := recover(); v != nil {
				if !in.lines.take(unknownSource, "panic") {
					writeError(w, fault.New(fault.Internal, "handlers", "panic"))
					return
				}
				// The value may quote the request, so only the stack is kept.
				in.Log.Error().Bytes("stack", debug.Stack()).Str("request_id", middleware.GetReqID(r.Context())).Msg("handler panicked")
				writeError(w, fault.New(fault.Internal, "handlers", "panic"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
