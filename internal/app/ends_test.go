package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/corpus"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestEnds sends every real payload, signed, over HTTP to a service of its own
// and compares what became of it, down to the documents in ERPNext, with what
// is written down in testdata/ends. -update writes it down anew; the difference
// is read like code.
func TestEnds(t *testing.T) {
	dir := corpus.Dir(t, "payloads")
	by, site := newSigners(t), endsSite(t)
	for _, provider := range []string{"shopify", "stripe", "paypal"} {
		files, err := filepath.Glob(filepath.Join(dir, provider, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no payloads of %s: %v", provider, err)
		}
		for _, file := range files {
			name := provider + "/" + strings.TrimSuffix(filepath.Base(file), ".json")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				golden(t, filepath.Join("testdata", "ends", name+".txt"), endsOf(t, by, site, provider, file))
			})
		}
	}
}

// TestEndsNamesPayloads finds files of payloads that are no more.
func TestEndsNamesPayloads(t *testing.T) {
	dir := corpus.Dir(t, "payloads")
	files, err := filepath.Glob(filepath.Join("testdata", "ends", "*", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		name, err := filepath.Rel(filepath.Join("testdata", "ends"), file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, strings.TrimSuffix(name, ".txt")+".json")); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is of no payload", file)
		}
	}
}

// golden compares got with a file, or writes it there.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("its end is not written down (-update does it): %v\n%s", err, got)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("ended otherwise than %s says (-want +got; -update rewrites it):\n%s", file, diff)
	}
}

// endsOf is what becomes of a payload; a test order has two ends.
func endsOf(t *testing.T, by signers, site []byte, provider, file string) string {
	t.Helper()
	topic, body := readPayload(t, file)
	end := endOf(t, by, site, provider, topic, body, config.SkipTests)
	if strings.Contains(end, "a test order") {
		end += "\n-- with orders.test_orders: book --\n" + endOf(t, by, site, provider, topic, body, config.BookTests)
	}
	return end
}

// endOf sends one payload to a service of its own and tells what became of it.
func endOf(t *testing.T, by signers, site []byte, provider, topic string, body []byte, tests config.TestOrders) string {
	t.Helper()
	sheet, err := config.ReadSheet(filepath.Join("testdata", "ends", "sheet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	sheet.Orders.TestOrders = tests
	s := startSigned(t, by, sandbox.Options{Fixtures: site}, func(c *config.Config, _ *app.Options) { c.Sheet = sheet })
	before := s.census()
	var out strings.Builder
	fmt.Fprintf(&out, "topic: %s\n", topic)
	code, answer := s.send(t, provider, topic, "delivery-1", body)
	var word struct{ Status, Error, Event string }
	if err := json.Unmarshal([]byte(answer), &word); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&out, "answer: %d %s\n", code, word.Status+word.Error)
	if word.Event == "" {
		return out.String()
	}
	s.writeEnd(t, &out, word.Event)
	s.writeDocuments(&out, before)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	return out.String()
}

// writeEnd waits for an event's end. None may wait for long: nothing else comes.
func (s *service) writeEnd(t *testing.T, out *strings.Builder, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	var ev event.Event
	for ev.State == event.Pending || ev.State == "" {
		var err error
		if ev, _, _, err = s.Inbox().Get(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
			t.Errorf("still pending: %s %s", ev.Class, ev.Reason)
		}
		break
	}
	for _, line := range []struct{ name, value string }{
		{"subject", ev.Subject}, {"state", string(ev.State)}, {"class", ev.Class}, {"reason", ev.Reason}, {"about", ev.DocType}, {"hint", ev.Hint},
	} {
		if line.value != "" {
			fmt.Fprintf(out, "%s: %s\n", line.name, line.value)
		}
	}
	if ev.State != event.Done && ev.Reason == "" {
		t.Errorf("ended %s and says nothing of the reason", ev.State)
	}
}

// endsSite is the demo company with books for the years and currencies that
// the payloads are from.
func endsSite(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "erpnext", "sandbox", "demo.json"))
	if err != nil {
		t.Fatal(err)
	}
	var site map[string]any
	if err := json.Unmarshal(raw, &site); err != nil {
		t.Fatal(err)
	}
	add := func(list string, docs ...map[string]any) {
		rows, _ := site[list].([]any)
		for _, d := range docs {
			rows = append(rows, d)
		}
		site[list] = rows
	}
	for year := 2005; year <= 2027; year++ {
		y := strconv.Itoa(year)
		add("fiscal_years", map[string]any{"name": y, "year_start_date": y + "-01-01", "year_end_date": y + "-12-31"})
	}
	for currency, rate := range map[string]float64{"AUD": 0.65, "HKD": 0.128} {
		add("currencies", map[string]any{
			"name": currency, "enabled": 1, "fraction": "Cent", "fraction_units": 100,
			"smallest_currency_fraction_value": 0.01, "number_format": "#,###.##", "symbol": currency,
		})
		add("currency_exchange", exchange(currency, rate))
	}
	add("currency_exchange", exchange("EUR", 1.1))
	for _, a := range []struct{ name, kind, root, parent, currency string }{
		{"Stripe EUR", "Bank", "Asset", "Bank Accounts - DT", "EUR"}, {"PayPal EUR", "Bank", "Asset", "Bank Accounts - DT", "EUR"},
		{"Shopify AUD", "Bank", "Asset", "Bank Accounts - DT", "AUD"}, {"Bank EUR", "Bank", "Asset", "Bank Accounts - DT", "EUR"},
		{"Bank AUD", "Bank", "Asset", "Bank Accounts - DT", "AUD"},
		{"Debtors AUD", "Receivable", "Asset", "Accounts Receivable - DT", "AUD"}, {"Debtors HKD", "Receivable", "Asset", "Accounts Receivable - DT", "HKD"},
		{"Payment Fees", "Expense Account", "Expense", "Expenses - DT", "USD"}, {"Dispute Losses", "Expense Account", "Expense", "Expenses - DT", "USD"},
	} {
		add("accounts", map[string]any{
			"name": a.name + " - DT", "account_name": a.name, "account_type": a.kind, "root_type": a.root, "is_group": 0,
			"account_currency": a.currency, "parent_account": a.parent, "disabled": 0,
		})
	}
	extended, err := json.Marshal(site)
	if err != nil {
		t.Fatal(err)
	}
	return extended
}

// exchange is a rate that holds since before the oldest payload.
func exchange(from string, rate float64) map[string]any {
	return map[string]any{"date": "2000-01-01", "from_currency": from, "to_currency": "USD", "exchange_rate": rate, "for_buying": 1, "for_selling": 1}
}

// readPayload gives a payload's topic and its exact bytes, where known.
func readPayload(t *testing.T, file string) (string, []byte) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Topic   string
		Body    json.RawMessage
		BodyRaw string `json:"body_raw"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	if p.BodyRaw != "" {
		return p.Topic, []byte(p.BodyRaw)
	}
	return p.Topic, p.Body
}
