package app

import (
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed samples/*.json
var sampleFiles embed.FS

// Sample is a made-up webhook of one provider.
type Sample struct {
	Source  string
	Topic   string
	EventID string
	Body    []byte
}

// samples are in the order of the demo: payments name the orders before them.
var samples = []struct{ source, topic, eventID, file string }{
	{sourceShopify, "orders/create", "demo-0001", "shopify-order-1001"},
	{sourceStripe, "charge.succeeded", "evt_1DemoCharge", "stripe-charge"},
	{sourceStripe, "payment_intent.succeeded", "evt_1DemoIntent", "stripe-intent"},
	{sourceShopify, "orders/paid", "demo-0002", "shopify-order-1001"},
	{sourcePayPal, "PAYMENT.CAPTURE.COMPLETED", "WH-DEMO0000000000001-DEMO0000000000002", "paypal-capture"},
	{sourceShopify, "orders/create", "demo-0003", "shopify-order-1002"},
	{sourceShopify, "customers/update", "demo-0004", "shopify-customer"},
	{sourceShopify, "orders/create", "demo-0005", "shopify-order-1003"},
	{sourceShopify, "order_transactions/create", "demo-0006", "shopify-transaction-1003"},
}

// Samples are made-up webhooks of every provider, dated now. Three orders, the
// payment of each, and events that must book nothing.
func Samples(now time.Time) ([]Sample, error) {
	var list []Sample
	for _, s := range samples {
		raw, err := sampleFiles.ReadFile("samples/" + s.file + ".json")
		if err != nil {
			return nil, err
		}
		body := strings.NewReplacer(
			"{{now}}", now.UTC().Format(time.RFC3339), "{{unix}}", strconv.FormatInt(now.Unix(), 10),
		).Replace(string(raw))
		list = append(list, Sample{Source: s.source, Topic: s.topic, EventID: s.eventID, Body: []byte(body)})
	}
	return list, nil
}

// SampleOf gives the made-up webhook of a source and topic; "" is the source's
// first. It names the topics there are when it has none.
func SampleOf(source, topic string, now time.Time) (Sample, error) {
	list, err := Samples(now)
	if err != nil {
		return Sample{}, err
	}
	var topics []string
	for _, s := range list {
		if s.Source == source && (topic == "" || s.Topic == topic) {
			return s, nil
		}
		if s.Source == source && !slices.Contains(topics, s.Topic) {
			topics = append(topics, s.Topic)
		}
	}
	if topics == nil {
		return Sample{}, fmt.Errorf("no such source %q: use shopify, stripe or paypal", source)
	}
	return Sample{}, fmt.Errorf("no sample of %s %s: give the body with --file, or use %s", source, topic, strings.Join(topics, ", "))
}
