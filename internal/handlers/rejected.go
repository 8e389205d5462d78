package handlers

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Bounds of what is kept of one refused request. A body beyond them cannot be
// verified again, so none of it is kept.
const (
	keptBody   = 1 << 20
	keptHeader = 16 << 10
)

// delivery is what was read of one request.
type delivery struct {
	at    time.Time
	body  []byte
	whole bool
}

// glance reads a small body of a request that is refused for another reason,
// so that it can be accepted after all.
func (d *delivery) glance(r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, smallBody+1))
	if err == nil && len(body) <= smallBody {
		d.body, d.whole = body, true
	}
}

// keep hands a refused request over, when a person may want it accepted later:
// a stranger's path or method is nothing to accept, and when we are busy the
// sender comes again by itself.
func (in *intake) keep(r *http.Request, source string, d delivery, err error) {
	kind := fault.KindOf(err)
	switch kind {
	case fault.Malformed, fault.BadSignature, fault.Forbidden, fault.Conflict, fault.TooLarge, fault.Unsupported:
	default:
		return
	}
	rejection := event.Rejection{
		Source: source, Class: kind.String(), Client: middleware.GetClientIP(r.Context()), ReceivedAt: d.at.UTC(),
		Header: headerOf(r.Header), Size: max(r.ContentLength, int64(len(d.body))),
	}
	if f := fault.As(err); f != nil {
		rejection.Reason = f.Cause
	}
	if d.whole && len(d.body) <= keptBody {
		rejection.Body, rejection.Whole = d.body, true
	}
	in.Keep(rejection)
}

// credentials are headers that no source verifies and nobody should keep.
var credentials = []string{"Authorization", "Cookie", "Proxy-Authorization"}

// headerOf keeps headers, signatures among them: without its secret a signature
// tells nothing, and without it nothing can be verified again.
func headerOf(h http.Header) map[string][]string {
	kept, size := make(map[string][]string, len(h)), 0
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			size += len(name) + len(value)
		}
		if size > keptHeader {
			break
		}
		if !slices.Contains(credentials, name) {
			kept[name] = slices.Clone(h[name])
		}
	}
	return kept
}

// Again verifies a refused request once more, with the sources and senders of
// today but by the clock of its arrival, and puts it into the inbox as if it
// had been accepted then. Doing so twice is a duplicate. The error says why it
// is refused still: NotFound when its source is not configured any more, Sealed
// when it cannot be read, TooLarge
// when its body was not kept.
func Again(ctx context.Context, o PublicOptions, r event.Rejection) (event.Receipt, error) {
	const op = "handlers.again"
	src, ok := o.Sources[r.Source]
	if !ok {
		return event.Receipt{}, fault.New(fault.NotFound, op, "its source is not configured")
	}
	if r.Unreadable != "" {
		return event.Receipt{}, &fault.Error{
			Kind: fault.Sealed, Op: op, Cause: "what was kept of it cannot be read: " + r.Unreadable,
			Hint: "configure that key in LEDGERHOOK_BODY_KEYS again",
		}
	}
	if !r.Whole {
		return event.Receipt{}, fault.New(fault.TooLarge, op, "its body was too large to be kept")
	}
	addr, _ := netip.ParseAddr(r.Client) // an address that cannot be read is in no list
	header := http.Header(r.Header)
	if err := o.welcome(r.Source, addr, header); err != nil {
		return event.Receipt{}, err
	}
	_, receipt, err := o.take(ctx, src, r.Source, header, delivery{at: r.ReceivedAt, body: r.Body, whole: true})
	return receipt, err
}
