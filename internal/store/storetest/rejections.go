package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

var wide = event.RejectionBounds{PerSource: 100, Bytes: 1 << 20, Age: 24 * time.Hour}

func refused(source string, n int) event.Rejection {
	return event.Rejection{
		ID: fmt.Sprintf("rj_%s_%d", source, n), Source: source, Class: "bad_signature", Reason: "no secret gives the signature", Client: "192.0.2.1",
		ReceivedAt: time.Now().UTC(), Header: map[string][]string{"X-Sig": {"a", "b"}}, Body: fmt.Appendf(nil, `{"n":%d}`, n), Size: 7, Whole: true,
	}
}

var rejections = map[string]func(inbox){
	"WhatWasRefusedIsKeptAsItCame": func(b inbox) {
		want := refused("shop", 1)
		cut := refused("shop", 2)
		cut.Body, cut.Whole, cut.Size, cut.Class = []byte{}, false, 99, "too_large"
		b.reject(wide, want, cut)
		for _, r := range []event.Rejection{want, cut} {
			got, err := b.Rejection(b.Context(), r.ID)
			if diff := cmp.Diff(r, got); diff != "" || err != nil {
				b.Errorf("kept: %v (-want +got):\n%s", err, diff)
			}
		}
		if _, err := b.Rejection(b.Context(), "rj_unknown"); fault.KindOf(err) != fault.NotFound {
			b.Errorf("an unknown one: %v, want not found", err)
		}
		unnamed := refused("shop", 3)
		unnamed.ID = ""
		b.reject(wide, unnamed)
		if all := b.rejected(event.RejectionFilter{Limit: 1}); len(all) != 1 || !strings.HasPrefix(all[0], "rj_") {
			b.Errorf("without a name it became %q", all)
		}
	},
	"TheNewestStayWithinTheBoundsOfTheirSource": func(b inbox) {
		for n := range 5 {
			b.reject(event.RejectionBounds{PerSource: 3, Bytes: 1 << 20, Age: time.Hour}, refused("shop", n), refused("other", n))
		}
		want := []string{"rj_shop_4", "rj_shop_3", "rj_shop_2"}
		if got := b.rejected(event.RejectionFilter{Source: "shop"}); !cmp.Equal(got, want) {
			b.Errorf("kept %q, want %q", got, want)
		}
		if got := b.rejected(event.RejectionFilter{}); len(got) != 6 {
			b.Errorf("one source's flood took from the other: %q", got)
		}
		big := refused("shop", 9)
		big.Body = make([]byte, 900)
		b.reject(event.RejectionBounds{PerSource: 3, Bytes: 1000, Age: time.Hour}, big)
		if got := b.rejected(event.RejectionFilter{Source: "shop"}); !cmp.Equal(got, []string{"rj_shop_9", "rj_shop_4", "rj_shop_3"}) {
			b.Errorf("kept %q", got)
		}
		b.reject(event.RejectionBounds{PerSource: 3, Bytes: 940, Age: time.Hour}, refused("shop", 10))
		if got := b.rejected(event.RejectionFilter{Source: "shop"}); !cmp.Equal(got, []string{"rj_shop_10"}) {
			b.Errorf("beyond the bytes it kept %q", got)
		}
	},
	"TheOldGo": func(b inbox) {
		b.reject(wide, refused("shop", 1))
		time.Sleep(23 * time.Hour)
		b.reject(wide, refused("other", 2))
		time.Sleep(2 * time.Hour)
		b.reject(wide)
		if got := b.rejected(event.RejectionFilter{}); !cmp.Equal(got, []string{"rj_other_2"}) {
			b.Errorf("kept %q", got)
		}
	},
	"TheyAreListedByPagesAndFiltered": func(b inbox) {
		for n := range 3 {
			b.reject(wide, refused("shop", n))
		}
		malformed := refused("shop", 7)
		malformed.Class = "malformed"
		b.reject(wide, malformed, refused("other", 8))
		for name, c := range map[string]struct {
			filter event.RejectionFilter
			want   []string
		}{
			"source": {event.RejectionFilter{Source: "other"}, []string{"rj_other_8"}},
			"class":  {event.RejectionFilter{Class: "malformed"}, []string{"rj_shop_7"}},
			"page":   {event.RejectionFilter{Limit: 2}, []string{"rj_other_8", "rj_shop_7"}},
			"gone":   {event.RejectionFilter{Before: "rj_gone"}, nil},
			"next":   {event.RejectionFilter{Before: "rj_shop_7"}, []string{"rj_shop_2", "rj_shop_1", "rj_shop_0"}},
		} {
			if got := b.rejected(c.filter); !cmp.Equal(got, c.want) {
				b.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
	},
	"TheyAreReadThroughWithTheirBodiesAndDroppedForGood": func(b inbox) {
		for n := range 3 {
			b.reject(wide, refused("shop", n))
		}
		var bodies []string
		for cursor, pages := "", 0; ; pages++ {
			all, next, err := b.Refused(b.Context(), cursor, 2)
			if err != nil || pages > 1 {
				b.Fatal(pages, err)
			}
			for _, r := range all {
				bodies = append(bodies, r.ID+" "+string(r.Body))
			}
			if cursor = next; next == "" {
				break
			}
		}
		if want := []string{`rj_shop_0 {"n":0}`, `rj_shop_1 {"n":1}`, `rj_shop_2 {"n":2}`}; !cmp.Equal(bodies, want) {
			b.Errorf("read %q, want %q", bodies, want)
		}
		for _, want := range []int{2, 0} {
			if n, err := b.DropRejections(b.Context(), []string{"rj_shop_0", "rj_none", "rj_shop_2"}); n != want || err != nil {
				b.Errorf("dropped %d, %v, want %d", n, err, want)
			}
		}
		if got := b.rejected(event.RejectionFilter{}); !cmp.Equal(got, []string{"rj_shop_1"}) {
			b.Errorf("left %q", got)
		}
	},
	"AnAcceptedOneLeavesAndIsAudited": func(b inbox) {
		b.reject(wide, refused("shop", 1), refused("shop", 2))
		for range 2 { // the second time it is gone
			if err := b.Unreject(b.by(ada), "rj_shop_1", "ev_a"); err != nil {
				b.Fatal(err)
			}
		}
		if got := b.rejected(event.RejectionFilter{}); !cmp.Equal(got, []string{"rj_shop_2"}) {
			b.Errorf("left %q", got)
		}
		deeds, err := b.Audit(b.Context(), event.DeedFilter{})
		if err != nil || len(deeds) != 1 || deeds[0].Action != "accept" || deeds[0].Target != "rj_shop_1" || deeds[0].Note != "ev_a" || deeds[0].By != ada {
			b.Errorf("audit %+v, %v", deeds, err)
		}
	},
}

func (b inbox) reject(bounds event.RejectionBounds, batch ...event.Rejection) {
	b.Helper()
	if err := b.Reject(b.Context(), bounds, batch...); err != nil {
		b.Fatalf("reject: %v", err)
	}
}

func (b inbox) rejected(f event.RejectionFilter) []string {
	b.Helper()
	all, err := b.Rejections(b.Context(), f)
	if err != nil {
		b.Fatalf("rejections: %v", err)
	}
	var ids []string
	for _, r := range all {
		if ids = append(ids, r.ID); r.Body != nil {
			b.Errorf("%s is listed with its body", r.ID)
		}
	}
	return ids
}
