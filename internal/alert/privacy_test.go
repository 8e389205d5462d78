package alert

import (
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// A request about personal data is told as what it is, each by itself, and
// proves nothing about ERPNext.
func TestPrivacyRequestsAreToldEachByItself(t *testing.T) {
	tr := newTracker(time.Hour)
	for _, id := range []string{"1", "2"} {
		r := Report{
			Event: event.Event{ID: "ev_" + id, Source: "shop"}, Outcome: event.Outcome{State: event.Done, Result: "done"}, At: time.Unix(0, 0),
			Fault: &fault.Error{Op: "privacy.export", Cause: "request " + id, Hint: "answer within 30 days"},
		}
		got := tr.attempted(r)
		if len(got) != 1 || got[0].Kind != Privacy || got[0].Fix != "answer within 30 days" {
			t.Errorf("request %s: got %+v", id, got)
		}
		if siteAnswered(r) {
			t.Error("it counts as an answer of ERPNext")
		}
	}
}
