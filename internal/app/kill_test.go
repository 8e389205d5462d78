package app_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/app/chaos"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/rs/zerolog"
)

const childEnv = "LEDGERHOOK_TEST_CHILD" // "addr database site": run as the service

func TestMain(m *testing.M) {
	if args := strings.Fields(os.Getenv(childEnv)); len(args) == 3 {
		if err := runChild(args[0], args[1], args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runChild is the service in a process of its own, to be killed.
func runChild(addr, database, site string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	wait := time.Hour
	a, err := app.New(ctx, config.Config{
		Addr: addr, OperatorAddr: "127.0.0.1:0", DatabasePath: database,
		ERPNext: config.ERPNext{URL: site, Writers: 2, APIKey: config.SecretText("demo-key"), APISecret: config.SecretText("demo-secret")},
		Shopify: config.Shopify{Secrets: []config.Secret{shopifySecret}},
		Stripe:  config.Stripe{Secrets: []config.Secret{stripeSecret}},
		Sheet:   config.Sheet{Settings: config.Settings{Payments: config.Payments{WaitForOrder: &wait}}},
	}, app.Options{Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel)})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return a.Run(ctx, time.Hour)
}

// child is the service as a process.
type child struct {
	cmd *exec.Cmd
	err bytes.Buffer
}

func startChild(t *testing.T, addr, database, site string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childEnv+"="+addr+" "+database+" "+site)
	c.cmd.Stderr = &c.err
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		_ = c.cmd.Wait()
		t.Fatalf("the service did not start: %q %v %s", line, err, &c.err)
	}
	return c
}

func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil { // SIGKILL: nothing is flushed, closed or handed back
		t.Fatal(err)
	}
	_ = c.cmd.Wait()
}

// TestKillLosesAndDoublesNothing kills the service with SIGKILL in the middle
// of a load, again and again, and restarts it on the same file. In the end
// every acknowledged event is settled and every document exists exactly once.
func TestKillLosesAndDoublesNothing(t *testing.T) {
	const orders, kills = 60, 4
	site, siteURL := newSite(t, sandbox.Options{})
	addresses, err := chaos.Reserve(1)
	if err != nil {
		t.Fatal(err)
	}
	addr := addresses[0]
	database := filepath.Join(t.TempDir(), "inbox.db")
	service := startChild(t, addr, database, siteURL)
	sender := &stubborn{url: "http://" + addr, signers: newSigners(t)}

	work := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range work {
				sender.orderAndPayment(t, n)
			}
		})
	}
	for n := range orders {
		work <- n
		if (n+1)%(orders/kills) == 0 {
			service.kill(t)
			service = startChild(t, addr, database, siteURL)
		}
	}
	close(work)
	wg.Wait()
	if got := sender.acknowledged.Load(); got != 2*orders {
		t.Fatalf("%d deliveries were acknowledged, want %d", got, 2*orders)
	}
	settleFile(t, service, database)

	once(t, site, "Sales Order", "shopify/shopify/order/", orders)
	once(t, site, "Payment Entry", "stripe/stripe/payment/", orders)
	once(t, site, "Customer", "shopify/shopify/customer/", orders/4)
	for _, pe := range site.Documents("Payment Entry") {
		if refs, _ := pe["references"].([]any); len(refs) != 1 {
			t.Errorf("payment %v is against %d orders", pe["name"], len(refs))
		}
	}
}

// settleFile lets the service end its work, stops it as a container is
// stopped, and reads the inbox it leaves behind.
func settleFile(t *testing.T, service *child, database string) {
	t.Helper()
	db, err := app.OpenInbox(t.Context(), config.Config{DatabasePath: database}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		stats, err := db.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if stats.ByState[event.Pending] == 0 {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("events are still pending: %+v; log:\n%s", stats, &service.err)
		}
	}
	if err := service.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := service.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM the service ended with %v", err)
	}
	stats, err := db.Stats(t.Context())
	if err != nil || stats.ByState[event.Dead] != 0 {
		t.Errorf("dead events: %+v, %v; log:\n%s", stats, err, &service.err)
	}
}

// once checks that each key exists once, submitted where it can be.
func once(t *testing.T, site *sandbox.Site, doctype, prefix string, want int) {
	t.Helper()
	count := map[string]int{}
	for _, doc := range site.Documents(doctype) {
		key := fmt.Sprint(doc["custom_ledgerhook_key"])
		count[key]++
		if doctype != "Customer" && fmt.Sprint(doc["docstatus"]) != "1" {
			t.Errorf("%s %v is not submitted", doctype, doc["name"])
		}
		if !strings.HasPrefix(key, prefix) {
			t.Errorf("%s %v has the key %s", doctype, doc["name"], key)
		}
	}
	if len(count) != want || len(site.Documents(doctype)) != want {
		t.Errorf("%d %s documents with %d keys, want %d of each", len(site.Documents(doctype)), doctype, len(count), want)
	}
}

// stubborn sends like a provider: again until it is acknowledged.
type stubborn struct {
	url          string
	signers      signers
	acknowledged atomic.Int64
}

// orderAndPayment sends order n and, at the same time, its payment.
func (s *stubborn) orderAndPayment(t *testing.T, n int) {
	replace := strings.NewReplacer(
		"5551234567890", fmt.Sprint(6000000000000+n), `"#1001"`, fmt.Sprintf(`"#%d"`, 2000+n),
		"7771234567001", fmt.Sprint(7000000000000+n%15), "ada.byron@", fmt.Sprintf("buyer%d@", n%15),
		"evt_1DemoCharge", fmt.Sprintf("evt_%d", n), "pi_1DemoIntent", fmt.Sprintf("pi_%d", n), "ch_1DemoCharge", fmt.Sprintf("ch_%d", n),
	)
	for _, source := range []string{"stripe", "shopify"} {
		sample, err := app.SampleOf(source, "", time.Now())
		if err != nil {
			t.Error(err)
			return
		}
		s.deliver(t, source, sample.Topic, fmt.Sprintf("order-%d", n), []byte(replace.Replace(string(sample.Body))))
	}
}

func (s *stubborn) deliver(t *testing.T, source, topic, eventID string, body []byte) {
	for t.Context().Err() == nil {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/webhooks/"+source, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = s.signers.sign(t, source, topic, eventID, body)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue // it was just killed
		}
		resp.Body.Close()
		switch {
		case resp.StatusCode == http.StatusOK:
			s.acknowledged.Add(1)
			return
		case resp.StatusCode < 500:
			t.Errorf("%s %s was answered %s", source, topic, resp.Status)
			return
		}
	}
}
