package event_test

import (
	"regexp"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

func TestNewIDIsStableAndApart(t *testing.T) {
	a := event.NewID("shopify", "1")
	if again := event.NewID("shopify", "1"); again != a {
		t.Errorf("the same pair made %s and %s", a, again)
	}
	for _, other := range [][2]string{{"shopify", "2"}, {"stripe", "1"}, {"shopify\x00", "1"}, {"shopif", "y1"}} {
		if event.NewID(other[0], other[1]) == a {
			t.Errorf("%q has the same id as shopify/1", other)
		}
	}
	if !regexp.MustCompile(`^ev_[a-z2-7]{24}$`).MatchString(a) {
		t.Errorf("id %q is not what the docs promise", a)
	}
}
