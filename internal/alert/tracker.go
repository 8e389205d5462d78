package alert

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

const (
	worstDigest  = 4 * time.Hour    // digests of a long trouble grow rarer up to this
	settleFor    = 30 * time.Second // it has to work this long before it is called over
	stuckAfter   = time.Hour
	stuckTries   = 5
	tooMany      = 10              // refused requests of one source and outcome
	tooManyIn    = 5 * time.Minute // in this time
	mostGroups   = 200
	mostOpen     = 1000 // events remembered of a group
	otherCauses  = "various causes"
	expiryMargin = time.Hour
)

// tracker decides what people are told. It is pure: it has no clock, no lock
// and no I/O.
type tracker struct {
	digest  time.Duration
	groups  map[string]*group
	refused map[string][]time.Time // the latest of each source and outcome
	folded  int                    // failures that were not told one by one
	changed bool                   // since it was last written down
}

// group is the trouble of one cause.
type group struct {
	Signal
	manner
	site    bool // about the ERPNext site as a whole
	fired   bool
	last    time.Time // newest failure
	told    time.Time // newest signal
	works   time.Time // since when it seems to be over; zero: it is not
	wait    time.Duration
	open    map[string]bool
	more    bool // some open events are not remembered
	sources map[string]bool
}

func newTracker(digest time.Duration) *tracker {
	return &tracker{digest: digest, groups: map[string]*group{}, refused: map[string][]time.Time{}}
}

// attempted takes in one attempt.
func (t *tracker) attempted(r Report) []Signal {
	t.healed(r)
	kind, bad := t.sort(r)
	if !bad {
		return nil
	}
	site := (kind == SiteDown || kind == Credentials) && !ofProvider(r)
	g := t.group(key(kind, r), kind, r.At)
	g.site = site
	g.What, g.Class = what(r.Fault), r.Fault.Kind.String()
	g.Title, g.Likely, g.Fix = words(kind, g.manner, r)
	g.SampleEventID, g.SampleTopic = r.Event.ID, r.Event.Topic
	g.NextTry = time.Time{}
	if r.Outcome.State == event.Pending {
		g.NextTry = r.Outcome.DueAt
	}
	if r.Outcome.State != event.Done {
		g.remember(r.Event.ID)
	}
	return t.add(g, r.Event.Source, r.At)
}

// rejected takes in one refused request. Senders and strangers send a bad one
// now and then; many in a short time are a signal.
func (t *tracker) rejected(source, outcome string, now time.Time) []Signal {
	kind := Intake
	if outcome == fault.BadSignature.String() {
		kind = Signatures
	}
	k := strings.Join([]string{string(kind), outcome, source}, "|")
	if g, ok := t.groups[k]; ok {
		g.Count++
		g.New++
		t.folded++
		t.changed = true
	}
	if !t.flood(k, now) {
		return nil
	}
	if g, ok := t.groups[k]; ok {
		g.last = now
		return nil
	}
	g := t.group(k, kind, now)
	g.Title = g.manner.title
	g.What = "more than 10 requests in 5 minutes refused: " + outcome
	g.Likely, g.Fix, g.Class = g.manner.likely, g.manner.fix, outcome
	g.Since = t.refused[k][0]
	g.Count, g.New = tooMany, tooMany
	return t.add(g, source, now)
}

// found takes in a condition. A bad one is told when it begins, again at the
// digests' pauses, and when it is over.
func (t *tracker) found(c Condition, now time.Time) []Signal {
	k := strings.Join([]string{string(c.Kind), c.Source}, "|")
	g, known := t.groups[k]
	switch {
	case !c.Bad && !known:
		return nil
	case !c.Bad && !g.fired:
		delete(t.groups, k)
		return nil
	case !c.Bad:
		if g.works.IsZero() {
			g.works, t.changed = now, true
		}
		return nil
	case !known && c.Kind == Backlog && t.siteDown():
		return nil // people know why
	}
	if !known {
		g = t.group(k, c.Kind, now)
		g.Title, g.Likely, g.Fix, g.Steady = g.manner.title, g.manner.likely, g.manner.fix, true
		if !c.Since.IsZero() && c.Since.Before(now) {
			g.Since = c.Since.UTC()
		}
	}
	g.What = c.What
	g.Count, g.New = 0, 0 // looking again is no new failure
	return t.add(g, c.Source, now)
}

// flood notes a refused request and tells whether there were too many lately.
func (t *tracker) flood(k string, now time.Time) bool {
	if _, known := t.refused[k]; !known && len(t.refused) >= mostGroups {
		return false
	}
	times := append(t.refused[k], now)
	times = times[max(len(times)-tooMany-1, 0):]
	t.refused[k] = times
	return len(times) > tooMany && now.Sub(times[0]) <= tooManyIn
}

// tick lets time pass: what has lasted is told, what goes on is summed up, what
// is over is ended.
func (t *tracker) tick(now time.Time) []Signal {
	var out []Signal
	down := t.siteDown()
	for _, k := range slices.Sorted(maps.Keys(t.groups)) {
		g := t.groups[k]
		switch {
		case g.over(now, down):
			delete(t.groups, k)
			t.changed = true
			if g.fired && !g.silent {
				out = append(out, g.signal(Resolved, now))
			}
		case !g.fired && now.Sub(g.Since) >= g.hold:
			out = append(out, t.tell(g, Firing, now))
		case g.fired && g.New > 0 && now.Sub(g.told) >= g.wait:
			g.wait = min(g.wait*2, max(worstDigest, t.digest, g.pause))
			out = append(out, t.tell(g, Digest, now))
		}
	}
	return out
}

// healed ends what a good outcome shows to be over.
func (t *tracker) healed(r Report) {
	settled := r.Outcome.State == event.Done || r.Outcome.State == event.Ignored
	answered := siteAnswered(r)
	for k, g := range t.groups {
		had := len(g.open)
		if settled {
			delete(g.open, r.Event.ID)
		}
		good := g.site && answered || had > 0 && len(g.open) == 0 && !g.more
		switch {
		case !good:
		case !g.fired: // nobody was told
			t.folded += g.New
			delete(t.groups, k)
		case g.works.IsZero():
			g.works = r.At
		}
		t.changed = t.changed || good || len(g.open) != had
	}
}

// sort finds the kind of trouble an attempt tells of, if any.
func (t *tracker) sort(r Report) (Kind, bool) {
	if r.Fault == nil {
		return "", false
	}
	k := r.Fault.Kind
	switch {
	case r.Outcome.State == event.Done && ofPrivacy(r):
		return Privacy, true
	case r.Outcome.State == event.Done && k == fault.Waiting && r.Fault.Op == "posting.payment":
		return OnAccount, true
	case r.Outcome.State == event.Done:
		return Attention, true
	case k == fault.Mismatch:
		return Mismatch, true
	case k == fault.Forgery:
		return Forgery, true
	case r.Outcome.State == event.Dead:
		return DeadLetter, true
	case k == fault.Credentials:
		return Credentials, true
	case k == fault.Rights:
		return Rights, true
	case k.SiteWide() && ofProvider(r):
		return ProviderDown, true
	case stuck(r) && !t.siteDown():
		return Stuck, true
	case k.SiteWide():
		return SiteDown, true
	default:
		return "", false
	}
}

func (t *tracker) siteDown() bool {
	for _, g := range t.groups {
		if g.site && g.fired && g.works.IsZero() {
			return true
		}
	}
	return false
}

// group finds the group of a key or begins one. When there are too many, the
// causes of a kind share one: a cause that was not normalised must not turn
// every failure into a message.
func (t *tracker) group(k string, kind Kind, now time.Time) *group {
	if g, ok := t.groups[k]; ok {
		return g
	}
	if len(t.groups) >= mostGroups {
		k = string(kind) + "|" + otherCauses
		if g, ok := t.groups[k]; ok {
			return g
		}
	}
	m := manners[kind]
	g := &group{
		Signal:  Signal{Kind: kind, Group: k, Severity: m.severity, Auto: m.auto, Since: now.UTC()},
		manner:  m,
		wait:    max(t.digest, m.pause),
		open:    map[string]bool{},
		sources: map[string]bool{},
	}
	t.groups[k] = g
	return g
}

// add counts a failure; the first of a group is told at once unless its kind
// has to last.
func (t *tracker) add(g *group, source string, now time.Time) []Signal {
	g.Count++
	g.New++
	g.last, g.works, t.changed = now, time.Time{}, true
	if source != "" {
		g.sources[source] = true
	}
	if g.fired || now.Sub(g.Since) < g.hold {
		if !g.Steady {
			t.folded++
		}
		return nil
	}
	return []Signal{t.tell(g, Firing, now)}
}

func (t *tracker) tell(g *group, s State, now time.Time) Signal {
	out := g.signal(s, now)
	g.fired, g.told, g.New, t.changed = true, now, 0, true
	return out
}

func (g *group) signal(s State, now time.Time) Signal {
	out := g.Signal
	out.State, out.At = s, now.UTC()
	out.Open = len(g.open)
	out.Sources = slices.Sorted(maps.Keys(g.sources))
	out.Expires = out.At.Add(max(g.wait, g.quiet) + expiryMargin)
	out.Lasted = out.At.Sub(out.Since)
	if s == Resolved {
		end := g.works
		if end.IsZero() {
			end = g.last
		}
		out.Lasted = end.Sub(out.Since)
		out.Severity, out.Expires, out.NextTry = Info, out.At, time.Time{}
	}
	return out
}

func (g *group) remember(id string) {
	if len(g.open) >= mostOpen && !g.open[id] {
		g.more = true
		return
	}
	g.open[id] = true
}

// over reports whether the trouble has ended: it has worked again for a while,
// or nothing of the kind has happened for long. While the site is down,
// silence proves nothing.
func (g *group) over(now time.Time, siteDown bool) bool {
	if !g.works.IsZero() && now.Sub(g.works) >= settleFor {
		return true
	}
	return now.Sub(g.last) >= g.quiet && (g.site || !siteDown)
}

// key is the cause: one group for a failing site, whatever the symptom; else
// class, operation and cause.
func key(kind Kind, r Report) string {
	switch {
	case kind == SiteDown:
		return string(kind)
	case kind == ProviderDown:
		return string(kind) + "|" + r.Event.Provider
	default:
		return strings.Join([]string{string(kind), r.Fault.Kind.String(), what(r.Fault)}, "|")
	}
}

// words are the title, the likely cause and the fix of a failed attempt. They
// name the side that failed: a right that lacks at Stripe is not looked for in
// ERPNext.
func words(kind Kind, m manner, r Report) (headline, cause, fix string) {
	side := "ERPNext"
	headline, cause, fix = m.title, likely[r.Fault.Kind], m.fix
	if kind == Attention { // nothing failed: what it is about is the whole of it
		cause = ""
	}
	if ofProvider(r) {
		side = cmp.Or(providerNames[r.Event.Provider], r.Event.Provider)
		if text, ok := likelyAtProvider[r.Fault.Kind]; ok {
			cause, fix = text, cmp.Or(fixesAtProvider[kind], fix)
		}
	}
	switch {
	case kind == ProviderDown:
		headline = "The API of " + side + " does not answer"
	case kind == Credentials:
		headline = side + " refuses our key"
	case kind == Rights && ofProvider(r):
		headline = "The key for the API of " + side + " lacks a right"
	}
	return headline, cause, cmp.Or(r.Fault.Hint, fix)
}

// ofProvider reports whether the sender's own API failed: such operations are
// named after the provider.
func ofProvider(r Report) bool {
	return r.Fault != nil && r.Event.Provider != "" && strings.HasPrefix(r.Fault.Op, r.Event.Provider+".")
}

// ofPrivacy reports whether the attempt answered a request about personal data,
// which does not involve ERPNext: such operations are named after it.
func ofPrivacy(r Report) bool { return r.Fault != nil && strings.HasPrefix(r.Fault.Op, "privacy.") }

// siteAnswered reports whether the attempt shows ERPNext at work, be it in
// refusing.
func siteAnswered(r Report) bool {
	if ofPrivacy(r) {
		return false
	}
	if r.Outcome.State == event.Done {
		return true
	}
	if r.Fault == nil || ofProvider(r) {
		return false
	}
	switch r.Fault.Kind {
	case fault.Contention, fault.Rights, fault.Duplicate, fault.Missing, fault.Settled, fault.Rejected, fault.BadRequest, fault.Mismatch:
		return true
	default:
		return false
	}
}

func stuck(r Report) bool {
	return !r.Outcome.Free && r.Attempt >= stuckTries && r.At.Sub(r.Event.ReceivedAt) >= stuckAfter
}
