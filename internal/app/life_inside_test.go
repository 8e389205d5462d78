package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// TestLifeOfBodiesInAnyOrder is the property of an order's life over what a
// shop really sends: whole bodies and the transactions and refunds beside them,
// decoded and booked as the service does, in order and in another order and
// with repeats. Both end in the same books.
func TestLifeOfBodiesInAnyOrder(t *testing.T) {
	b := newLives(t)
	lives := 0
	rapid.Check(t, func(rt *rapid.T) {
		draw := drawBodies(rt)
		arrival := rapid.Permutation(append(slices.Clone(draw), rapid.SliceOfN(rapid.SampledFrom(draw), 0, 3).Draw(rt, "repeated")...)).Draw(rt, "arrival")
		lives += 2
		want := b.lived(rt, fmt.Sprintf("7%06d", lives), draw)
		if diff := gocmp.Diff(want, b.lived(rt, fmt.Sprintf("7%06d", lives+1), arrival)); diff != "" {
			rt.Errorf("in order and in another order (-want +got):\n%s", diff)
		}
	})
}

// body is one delivery of an order's life: its topic, and its body with ORDER
// in the place of the order's id.
type body struct{ topic, text string }

// shopOrder is an order as a shop keeps it.
type shopOrder struct {
	minute      int
	mugs, of    int64 // left, and as at checkout
	pens        int64
	note        string
	state       string // financial
	cancelled   bool
	refunds     []map[string]any
	paid, given int
	bodies      []body
}

func drawBodies(rt *rapid.T) []body {
	o := &shopOrder{state: "pending", pens: rapid.Int64Range(0, 3).Draw(rt, "pens")}
	o.of = rapid.Int64Range(1, 4).Draw(rt, "mugs")
	o.mugs = o.of
	o.say("orders/create")
	for range rapid.IntRange(1, 6).Draw(rt, "moments") {
		switch rapid.SampledFrom([]string{"paid", "note", "edit", "refund"}).Draw(rt, "moment") {
		case "paid":
			o.pay()
		case "note":
			o.note = "ring twice"
			o.say("orders/updated")
		case "edit":
			o.pens = rapid.Int64Range(0, 4).Draw(rt, "pens now")
			o.say("orders/updated")
		case "refund":
			o.refund(rapid.Bool().Draw(rt, "money too"))
		}
	}
	if rapid.Bool().Draw(rt, "cancelled") {
		o.cancelled = true
		o.say("orders/cancelled")
	}
	return o.bodies
}

// transaction is a movement of money as the shop tells of it.
func transaction(id int, kind, amount string) map[string]any {
	return map[string]any{
		"id": "ORDER" + strconv.Itoa(id), "order_id": "ORDER", "kind": kind, "status": "success", "gateway": "manual", "amount": amount, "currency": "USD",
		"created_at": time.Now().UTC().Format(time.RFC3339),
	}
}

func (o *shopOrder) send(topic string, fields map[string]any) {
	raw, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	o.bodies = append(o.bodies, body{topic, string(raw)})
}

func (o *shopOrder) pay() {
	o.paid++
	o.state = "paid"
	o.send("order_transactions/create", transaction(100+o.paid, "sale", "12.50"))
	o.say("orders/paid")
}

// refund takes a mug back, and gives money back for it or not.
func (o *shopOrder) refund(money bool) {
	o.mugs = max(o.mugs-1, 0)
	o.given++
	refund := map[string]any{"id": 700 + o.given, "order_id": "ORDER", "refund_line_items": []any{}, "transactions": []any{}}
	if money && o.paid > 0 {
		refund["transactions"] = []any{transaction(200+o.given, "refund", "2.00")}
		o.send("refunds/create", refund)
	}
	o.refunds = append(o.refunds, refund)
	o.say("orders/updated")
}

// say sends the order as it is now: mugs of 10.00 less 0.50 and 0.80 of tax
// each, pens of 2.50, and 5.00 of shipping.
func (o *shopOrder) say(topic string) {
	o.minute++
	at := time.Date(2026, 1, 1, 12, o.minute, 0, 0, time.UTC).Format(time.RFC3339)
	money := func(cents int64) string { return decimal.New(cents, -2).StringFixed(2) }
	mug := map[string]any{
		"id": 1, "sku": "MUG-01", "title": "Mug", "quantity": o.of, "current_quantity": o.mugs, "price": "10.00",
		"discount_allocations": []any{map[string]any{"amount": money(50 * o.of)}}, "tax_lines": []any{map[string]any{"title": "VAT", "rate": 0.08, "price": money(80 * o.of)}},
	}
	pen := map[string]any{"id": 2, "sku": "PEN", "title": "Pen", "quantity": max(o.pens, 1), "current_quantity": o.pens, "price": "2.50", "discount_allocations": []any{}, "tax_lines": []any{}}
	fields := map[string]any{
		"id": "ORDER", "name": "#ORDER", "order_number": 1, "currency": "USD", "created_at": time.Now().UTC().Format(time.RFC3339), "updated_at": at, "test": false,
		"financial_status": o.state, "taxes_included": false, "note": o.note, "note_attributes": []any{}, "discount_codes": []any{}, "fulfillments": []any{}, "tax_lines": []any{},
		"subtotal_price": "0.00", "total_discounts": "0.00", "total_tax": "0.00", "total_price": "999.00", "current_total_price": money(1030*o.mugs + 250*o.pens + 500),
		"customer": map[string]any{"id": "7ORDER", "email": "annORDER@example.com", "first_name": "Ann", "last_name": "Lee ORDER"}, "email": "annORDER@example.com",
		"line_items": []any{mug, pen}, "shipping_lines": []any{map[string]any{"title": "Post", "price": "5.00"}}, "refunds": slices.Clone(o.refunds), "cancelled_at": nil,
	}
	if o.cancelled {
		fields["cancelled_at"] = at
	}
	o.send(topic, fields)
}

// livesBench is the service's way from a stored event to ERPNext, without its
// inbox.
type livesBench struct {
	*deliverer
	memory *keys
	site   *erpnext.Client
}

func newLives(t *testing.T) *livesBench {
	t.Helper()
	site, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	client := func(key string) *erpnext.Client {
		c, err := erpnext.New(erpnext.Options{URL: "http://site.test", Credentials: erpnext.KeySecret("demo-"+key+"key", "demo-"+key+"secret"), Transport: inMemory{site}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if err := erpnext.Setup(t.Context(), client("setup-"), erpnext.KeyedDocTypes(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	sheet, err := config.ParseSheet("sheet.yaml", []byte("gateways: {manual: {owner: shop, account: Cash - DT}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Config{Sheet: sheet, Shopify: config.Shopify{Secrets: []config.Secret{"s"}}}
	b := &livesBench{deliverer: &deliverer{}, memory: &keys{docs: map[string]event.Document{}, notes: map[string]string{}}, site: client("")}
	if b.sources, err = openSources(cfg, nil); err != nil {
		t.Fatal(err)
	}
	if b.poster, err = newPoster(cfg, b.site, b.site, b.memory, Options{CustomersFresh: time.Hour}); err != nil {
		t.Fatal(err)
	}
	return b
}

// lived gives the books after deliveries of one order in the given order. What
// waits is tried again, as the worker does.
func (b *livesBench) lived(rt *rapid.T, id string, life []body) []string {
	for pass := range 3 {
		var waiting []body
		for n, m := range life {
			ev := event.Event{
				ID: fmt.Sprint(id, "-", pass, "-", n), Source: "shopify", Provider: "shopify", Topic: m.topic, ReceivedAt: time.Now(),
				Body: []byte(strings.ReplaceAll(m.text, "ORDER", id)),
			}
			d, err := b.Deliver(context.Background(), &event.Claim{Event: ev})
			_ = b.memory.Remember(context.Background(), "", d.Documents...)
			switch {
			case err != nil && fault.KindOf(err) == fault.Waiting:
				waiting = append(waiting, m)
			case err != nil:
				rt.Fatalf("%s: %v: %s\n%s", m.topic, err, fault.As(err).Hint, ev.Body)
			}
		}
		life = waiting
	}
	return b.books(rt, id)
}

// books are the order's documents that stand, as text to compare.
func (b *livesBench) books(rt *rapid.T, id string) []string {
	list := []string{}
	read := func(doctype string, fields []string, show func(erpnext.Stored) string) {
		var rows []erpnext.Stored
		err := b.site.List(context.Background(), erpnext.Query{DocType: doctype, Limit: -1, Fields: fields, Filters: [][]any{{"docstatus", "<", 2}, {erpnext.KeyField, "like", "%/" + id + "%"}}}, &rows)
		if err != nil {
			rt.Fatal(err)
		}
		for _, row := range rows {
			list = append(list, show(row))
		}
	}
	read("Sales Order", []string{"status", "grand_total", "advance_paid"}, func(so erpnext.Stored) string {
		return fmt.Sprintf("order %s, paid %s, %s", so.GrandTotal, so.AdvancePaid, so.Status)
	})
	free := decimal.Zero
	read("Payment Entry", []string{"payment_type", "paid_amount", "unallocated_amount"}, func(pe erpnext.Stored) string {
		free = free.Add(pe.UnallocatedAmount.Decimal)
		return fmt.Sprintf("%s %s", pe.PaymentType, pe.PaidAmount)
	})
	slices.Sort(list)
	return append(list, "on account "+free.String())
}
