package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/source/shopify"
	"github.com/ledgerhook/ledgerhook/internal/source/stripe"
)

// customers is how many people buy everything.
const customers = 15

// order is what a shop sold, and how its life goes.
type order struct {
	n         int
	edited    bool
	cancelled bool
}

// What the samples ask for, and what an edit makes of it.
const (
	firstTotal  = "68.63"
	editedTotal = "18.50"
)

func (o order) id() string      { return fmt.Sprint(6000000000000 + o.n) }
func (o order) payment() string { return fmt.Sprintf("pi_%d", o.n) }

// webhook is one delivery to come.
type webhook struct {
	source, topic, eventID string
	body                   []byte
}

// shop sells, is paid, and tells of it until it is believed.
type shop struct {
	ctx     context.Context
	url     string
	client  *http.Client
	dice    *rand.Rand
	shopify *shopify.Source
	stripe  *stripe.Source
	orders  []order
	queue   chan webhook
	senders sync.WaitGroup
	refused atomic.Int64

	mu     sync.Mutex
	events map[string]string // the event ids that were acknowledged → what they were
	failed error
}

func openShop(ctx context.Context, url string, senders int, dice *rand.Rand) (*shop, error) {
	s := &shop{
		ctx: ctx, url: url, dice: dice, queue: make(chan webhook, 1024), events: map[string]string{},
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: senders}},
	}
	var err error
	if s.shopify, err = shopify.New(shopify.Options{Secrets: []string{shopifySecret}}); err != nil {
		return nil, err
	}
	if s.stripe, err = stripe.New(stripe.Options{Secrets: []string{stripeSecret}}); err != nil {
		return nil, err
	}
	for range senders {
		s.senders.Go(func() {
			for w := range s.queue {
				if err := s.deliver(w); err != nil {
					s.fail(err)
				}
			}
		})
	}
	return s, nil
}

func (s *shop) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
}

// close ends when everything sold has been acknowledged.
func (s *shop) close() error {
	close(s.queue)
	s.senders.Wait()
	return s.failed
}

func (s *shop) acknowledged() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

// sell makes n orders and has their webhooks sent in any order, some twice.
func (s *shop) sell(n int) {
	var list []webhook
	for range n {
		o := order{n: len(s.orders), edited: s.dice.IntN(3) == 0, cancelled: s.dice.IntN(5) == 0}
		s.orders = append(s.orders, o)
		list = append(list, s.life(o)...)
	}
	for _, w := range list {
		if s.dice.IntN(6) == 0 {
			list = append(list, w)
		}
	}
	s.dice.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, w := range list {
		s.queue <- w
	}
}

// life is everything that is told of one order.
func (s *shop) life(o order) []webhook {
	now := time.Now()
	list := []webhook{
		{"shopify", "orders/create", "", s.snapshot(o, "orders/create", now, false)},
		{"shopify", "orders/paid", "", s.snapshot(o, "orders/create", now.Add(time.Second), false)},
		{"stripe", "charge.succeeded", "", s.stripeEvent(o, "charge.succeeded", now)},
		{"stripe", "payment_intent.succeeded", "", s.stripeEvent(o, "payment_intent.succeeded", now)},
	}
	if o.edited {
		list = append(list, webhook{"shopify", "orders/updated", "", s.snapshot(o, editedContent, now.Add(time.Minute), false)})
	}
	if o.cancelled {
		content := "orders/create"
		if o.edited {
			content = editedContent
		}
		list = append(list, webhook{"shopify", "orders/cancelled", "", s.snapshot(o, content, now.Add(2*time.Minute), true)})
	}
	for i := range list {
		list[i].eventID = fmt.Sprintf("chaos-%d-%d", o.n, i)
	}
	return list
}

// editedContent names the sample whose lines and totals an edit leads to.
const editedContent = "edited"

// snapshot is the whole order as the shop sees it at a time.
func (s *shop) snapshot(o order, content string, at time.Time, cancelled bool) []byte {
	samples, err := app.Samples(at)
	if err != nil {
		s.fail(err)
		return nil
	}
	body := samples[0].Body
	for _, sample := range samples {
		if content == editedContent && bytes.Contains(sample.Body, []byte("5551234567891")) {
			body = sample.Body
		}
	}
	moment := at.UTC().Format(time.RFC3339)
	buyer := fmt.Sprintf("buyer%d@example.com", o.n%customers)
	pairs := []string{
		"5551234567890", o.id(), "5551234567891", o.id(), `"#1001"`, fmt.Sprintf(`"#%d"`, 2000+o.n), `"#1002"`, fmt.Sprintf(`"#%d"`, 2000+o.n),
		"7771234567001", fmt.Sprint(7000000000000 + o.n%customers), "7771234567002", fmt.Sprint(7000000000000 + o.n%customers),
		"ada.byron@example.com", buyer, "grace.murray@example.com", buyer,
	}
	if cancelled {
		pairs = append(pairs, `"cancelled_at": null`, `"cancelled_at": "`+moment+`"`)
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(body)))
}

func (s *shop) stripeEvent(o order, topic string, at time.Time) []byte {
	sample, err := app.SampleOf("stripe", topic, at)
	if err != nil {
		s.fail(err)
	}
	return []byte(strings.NewReplacer(
		"5551234567890", o.id(), "evt_1Demo", fmt.Sprintf("evt_%d_", o.n), "pi_1DemoIntent", o.payment(), "ch_1DemoCharge", fmt.Sprintf("ch_%d", o.n),
		"ada.byron@example.com", fmt.Sprintf("buyer%d@example.com", o.n%customers),
	).Replace(string(sample.Body)))
}

// deliver sends like a provider, but sooner: again until it is acknowledged.
func (s *shop) deliver(w webhook) error {
	for wait := 5 * time.Millisecond; s.ctx.Err() == nil; wait = min(2*wait, 300*time.Millisecond) {
		status, event, err := s.send(w)
		switch {
		case err == nil && status == http.StatusOK:
			s.mu.Lock()
			s.events[event] = w.source + " " + w.topic
			s.mu.Unlock()
			return nil
		case err == nil && status != http.StatusUnauthorized && status < 500: // 401: a wrong clock refuses Stripe's time
			return fmt.Errorf("%s %s was answered %d", w.source, w.topic, status)
		}
		s.refused.Add(1)
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
		}
	}
	return s.ctx.Err()
}

func (s *shop) send(w webhook) (int, string, error) {
	resp, err := s.do(w)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	var answer struct {
		Event string `json:"event"`
	}
	// An answer that is cut off is none: the provider sends again.
	if err := json.NewDecoder(io.LimitReader(resp.Body, 4096)).Decode(&answer); err != nil && resp.StatusCode == http.StatusOK {
		return 0, "", err
	}
	return resp.StatusCode, answer.Event, nil
}

// do sends one delivery once, signed now.
func (s *shop) do(w webhook) (*http.Response, error) {
	sign := s.shopify.Sign
	if w.source == "stripe" {
		sign = s.stripe.Sign
	}
	header, err := sign(w.body, w.topic, w.eventID, time.Now())
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.url+"/webhooks/"+w.source, bytes.NewReader(w.body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	return s.client.Do(req)
}
