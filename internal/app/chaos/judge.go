package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

const (
	settleWithin = 5 * time.Minute
	// hurryAfter is how long the service is given before its clock is moved to
	// the retry times that faults have pushed away.
	hurryAfter = 5 * time.Second
	hurryBy    = 20 * time.Minute
)

// judge waits until nothing is pending and lists what is not as it must be,
// from what the ERPNext and the operator's API say.
func (w *world) judge(ctx context.Context, s *shop) ([]string, error) {
	if broken, err := w.settle(ctx); broken != nil || err != nil {
		return broken, err
	}
	v := &verdict{world: w, shop: s, ctx: ctx}
	return v.broken, errors.Join(v.events(), v.orders(), v.payments(), v.customers())
}

// settle moves the service's clock on until no event is pending.
func (w *world) settle(ctx context.Context) ([]string, error) {
	begin, ahead := time.Now(), time.Duration(0)
	for {
		var page eventPage
		err := w.ask(ctx, w.operator+"/api/v1/events?state=pending", "", &page)
		switch {
		case err == nil && len(page.Events) == 0:
			return nil, nil
		case time.Since(begin) > settleWithin:
			broken := []string{fmt.Sprintf("events are still pending after %s: %v", settleWithin, err)}
			for _, e := range page.Events {
				broken = append(broken, e.String())
			}
			return broken, nil
		}
		if past := time.Since(begin) - hurryAfter; past > 0 {
			if ahead = max(ahead, (past / (2 * time.Second) * hurryBy)); ahead > 0 {
				if err := w.setClock(ahead); err != nil {
					return nil, err
				}
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

type eventPage struct {
	Events []heldEvent `json:"events"`
}

type heldEvent struct {
	ID       string `json:"id"`
	Source   string `json:"source"`
	Topic    string `json:"topic"`
	Subject  string `json:"subject"`
	State    string `json:"state"`
	Attempts int    `json:"attempts"`
	DueAt    string `json:"due_at"`
	Class    string `json:"class"`
	Error    string `json:"error"`
}

func (e heldEvent) String() string {
	return fmt.Sprintf("%s %s %s (%s) is %s after %d attempts, due %s: %s %s", e.ID, e.Source, e.Topic, e.Subject, e.State, e.Attempts, e.DueAt, e.Class, e.Error)
}

// verdict gathers what is broken.
type verdict struct {
	*world
	shop   *shop
	ctx    context.Context
	broken []string
}

func (v *verdict) complain(format string, args ...any) {
	v.broken = append(v.broken, fmt.Sprintf(format, args...))
}

// events: every acknowledged event is there and settled well.
func (v *verdict) events() error {
	for id, what := range v.shop.events {
		var e heldEvent
		if err := v.ask(v.ctx, v.operator+"/api/v1/events/"+id, "", &e); err != nil {
			v.complain("%s %s was acknowledged: %v", what, id, err)
			continue
		}
		if e.State != "done" && e.State != "ignored" {
			v.complain("%s", e)
		}
	}
	return nil
}

// document is what a list of the ERPNext tells of one.
type document struct {
	Name       string         `json:"name"`
	Key        string         `json:"custom_ledgerhook_key"`
	DocStatus  int            `json:"docstatus"`
	GrandTotal erpnext.Number `json:"grand_total"`
	PaidAmount erpnext.Number `json:"paid_amount"`
	Allocated  erpnext.Number `json:"total_allocated_amount"`
}

// kept are the documents of one thing: those of a replaced one are cancelled.
type kept struct{ live, drafts []document }

func (v *verdict) documents(doctype string, fields ...string) (map[string]kept, error) {
	fields = append([]string{"name", "docstatus", erpnext.KeyField}, fields...)
	names, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	var page struct {
		Data []document `json:"data"`
	}
	query := url.Values{"fields": {string(names)}, "limit_page_length": {"0"}}
	err = v.ask(v.ctx, v.siteURL+"/api/resource/"+url.PathEscape(doctype)+"?"+query.Encode(), "token "+siteKey+":"+siteSecret, &page)
	if err != nil {
		return nil, err
	}
	byKey := map[string]kept{}
	for _, d := range page.Data {
		key, _, _ := strings.Cut(d.Key, "/r")
		k := byKey[key]
		switch {
		case d.DocStatus == 1 || doctype == erpnext.DocCustomer:
			k.live = append(k.live, d)
		case d.DocStatus == 0:
			k.drafts = append(k.drafts, d)
		}
		byKey[key] = k
	}
	return byKey, nil
}

// orders: one submitted Sales Order each with the total of the newest
// snapshot, none for one that was cancelled, and no draft left behind.
func (v *verdict) orders() error {
	found, err := v.documents(erpnext.DocSalesOrder, "grand_total")
	if err != nil {
		return err
	}
	for _, o := range v.shop.orders {
		key := "shopify/shopify/order/" + o.id()
		k, want := found[key], 1
		delete(found, key)
		if o.cancelled {
			want = 0
		}
		total := firstTotal
		if o.edited {
			total = editedTotal
		}
		switch {
		case len(k.live) != want || len(k.drafts) != 0:
			v.complain("order %d (edited %t, cancelled %t) has %d Sales Orders and %d drafts, want %d and none", o.n, o.edited, o.cancelled, len(k.live), len(k.drafts), want)
		case want == 1 && k.live[0].GrandTotal.StringFixed(2) != total:
			v.complain("order %d has the total %s, want %s", o.n, k.live[0].GrandTotal, total)
		}
	}
	return v.strangers(erpnext.DocSalesOrder, found)
}

// payments: one submitted Payment Entry each with the whole amount, allocated
// to the order if there is one.
func (v *verdict) payments() error {
	found, err := v.documents(erpnext.DocPaymentEntry, "paid_amount", "total_allocated_amount")
	if err != nil {
		return err
	}
	for _, o := range v.shop.orders {
		key := "stripe/stripe/payment/" + o.payment()
		k := found[key]
		delete(found, key)
		allocated := firstTotal
		switch {
		case o.cancelled:
			allocated = "0.00"
		case o.edited:
			allocated = editedTotal
		}
		switch {
		case len(k.live) != 1 || len(k.drafts) != 0:
			v.complain("the payment of order %d has %d Payment Entries and %d drafts, want one and none", o.n, len(k.live), len(k.drafts))
		case k.live[0].PaidAmount.StringFixed(2) != firstTotal:
			v.complain("the payment of order %d is of %s, want %s", o.n, k.live[0].PaidAmount, firstTotal)
		case k.live[0].Allocated.StringFixed(2) != allocated:
			v.complain("the payment of order %d (edited %t, cancelled %t), %s, allocates %s to it, want %s", o.n, o.edited, o.cancelled, k.live[0].Name, k.live[0].Allocated, allocated)
		}
	}
	return v.strangers(erpnext.DocPaymentEntry, found)
}

// customers: each once.
func (v *verdict) customers() error {
	found, err := v.documents(erpnext.DocCustomer)
	if err != nil {
		return err
	}
	for n := range min(customers, len(v.shop.orders)) {
		key := fmt.Sprintf("shopify/shopify/customer/%d", 7000000000000+n)
		if len(found[key].live) > 1 {
			v.complain("customer %d is there %d times", n, len(found[key].live))
		}
		delete(found, key)
	}
	delete(found, "")                                     // of the site's own
	delete(found, "stripe/stripe/customer/unknown-payer") // who paid for an order that was cancelled before it was made
	return v.strangers(erpnext.DocCustomer, found)
}

// strangers are documents nobody asked for.
func (v *verdict) strangers(doctype string, rest map[string]kept) error {
	for key, k := range rest {
		if n := len(k.live) + len(k.drafts); n > 0 {
			v.complain("%d %s with the key %q: nobody sent such a thing", n, doctype, key)
		}
	}
	slices.Sort(v.broken)
	return nil
}

func (w *world) ask(ctx context.Context, address, authorization string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := probes.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
