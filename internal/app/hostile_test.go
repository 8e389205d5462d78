package app_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
	"github.com/ledgerhook/ledgerhook/internal/event"
)

// What hostile clients may cost while they are at it.
const (
	hostileMemory = 192 << 20        // of this process, their own side included: twice the bodies that may be read, and what is not collected yet
	hostileLog    = 128 << 10        // beside the lines of genuine deliveries
	hostileAck    = 10 * time.Second // a sender's five and one more try, for a machine that has other work
)

// flood is hostile clients at work; each ends by itself or when the test does.
type flood struct {
	*service
	t    testing.TB
	stop chan struct{}
	wg   sync.WaitGroup
}

// go runs n of them.
func (f *flood) run(n int, client func(i int)) {
	for i := range n {
		f.wg.Go(func() { client(i) })
	}
}

// dial connects and hangs up when the test is over.
func (f *flood) dial() net.Conn {
	conn, err := net.Dial("tcp", f.Addr())
	if err != nil {
		f.t.Error(err)
		return nil
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// slowloris sends a header that never ends, and holds on.
func (f *flood) slowloris(int) {
	if conn := f.dial(); conn != nil {
		_, _ = io.WriteString(conn, "POST /webhooks/shopify HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	}
}

// stuckBody announces a body, sends a part beyond what is read for free, and
// holds on.
func (f *flood) stuckBody(int) {
	if conn := f.dial(); conn != nil {
		_, _ = fmt.Fprintf(conn, "POST /webhooks/shopify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 1<<20, strings.Repeat("x", 70<<10))
	}
}

// endless streams a chunked body until the service hangs up.
func (f *flood) endless(int) {
	conn := f.dial()
	if conn == nil {
		return
	}
	_, _ = io.WriteString(conn, "POST /webhooks/shopify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := []byte("10000\r\n" + strings.Repeat("x", 0x10000) + "\r\n")
	for sent := 0; ; sent += len(chunk) {
		if _, err := conn.Write(chunk); err != nil {
			return
		}
		if sent > 64<<20 {
			f.t.Error("64 MiB were taken of an endless body")
			return
		}
	}
}

func (f *flood) headerBomb(int) {
	if conn := f.dial(); conn != nil {
		bomb := "POST /webhooks/shopify HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-Bomb: "+strings.Repeat("x", 1000)+"\r\n", 200)
		_, _ = io.WriteString(conn, bomb) // the service hangs up in the middle
	}
}

// answered sends a request and reports an answer that is not the one expected.
// Told to come again it does, as every sender.
func (f *flood) answered(client *http.Client, source string, h http.Header, body []byte, want int) {
	code := http.StatusServiceUnavailable
	for tries := 0; code == http.StatusServiceUnavailable && tries < 10; tries++ {
		var err error
		if code, err = f.once(client, source, h, body); err != nil {
			f.t.Error(err)
			return
		}
	}
	if code != want {
		f.t.Errorf("%s answered %d, want %d", source, code, want)
	}
}

func (f *flood) once(client *http.Client, source string, h http.Header, body []byte) (int, error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+f.Addr()+"/webhooks/"+source, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = h
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// genuine sends good deliveries one after the other until the flood is over,
// and tells how many, and how long the slowest took.
func (f *flood) genuine(client *http.Client) (n int, slowest time.Duration) {
	for ; ; n++ {
		select {
		case <-f.stop:
			return n, slowest
		default:
		}
		body := []byte(`{"id":1}`)
		start := time.Now()
		f.answered(client, "shopify", f.signers.sign(f.t, "shopify", "themes/publish", fmt.Sprint("genuine-", n), body), body, http.StatusOK)
		slowest = max(slowest, time.Since(start))
	}
}

// TestHostileClients lets strangers do what strangers do, all at once, while a
// genuine sender goes on: it is served, and what the others cost is bounded.
func TestHostileClients(t *testing.T) {
	if testing.Short() {
		t.Skip("a flood says little of a program that the race detector slows down: run without -short")
	}
	s := startService(t, sandbox.Options{}, nil)
	s.warm(t)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	body := []byte(order(""))
	once := s.signers.sign(t, "shopify", "orders/create", "replayed", body)
	bad := with(once, "X-Shopify-Hmac-Sha256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")

	memory := watchMemory()
	f := &flood{service: s, t: t, stop: make(chan struct{})}
	served := make(chan struct{})
	var n int
	var slowest time.Duration
	go func() {
		defer close(served)
		n, slowest = f.genuine(client)
	}()
	f.run(200, f.slowloris)
	f.run(8, f.stuckBody)
	f.run(16, f.endless)
	f.run(50, f.headerBomb)
	const senders, refused, replayed = 16, 10_000, 2_000
	f.run(senders, func(int) {
		for range refused / senders {
			f.answered(client, "shopify", bad, body, http.StatusUnauthorized)
		}
	})
	f.run(4, func(int) {
		for range replayed / 4 {
			f.answered(client, "shopify", once, body, http.StatusOK)
		}
	})
	f.wg.Wait()
	close(f.stop)
	<-served
	grown := memory()
	t.Logf("%d genuine deliveries meanwhile, the slowest in %v; %d MB more memory, %d KB of log", n, slowest, grown>>20, len(s.log.String())>>10)

	if n < 20 || slowest > hostileAck {
		t.Errorf("%d genuine deliveries, the slowest in %v", n, slowest)
	}
	if grown > hostileMemory {
		t.Errorf("memory grew by %d MB", grown>>20)
	}
	if size := len(s.log.String()) - n*1000; size > hostileLog {
		t.Errorf("%d KB of log", size>>10)
	}
	s.settle(t)
	stats, err := s.Inbox().Stats(t.Context())
	if err != nil || stats.ByState[event.Ignored] != int64(n) || stats.ByState[event.Done] != 1 {
		t.Errorf("the inbox holds %v, want %d ignored and 1 done: %v", stats.ByState, n, err)
	}
	if orders := s.documents("Sales Order", ""); len(orders) != 1 {
		t.Errorf("%d orders of one delivery", len(orders))
	}
	if !strings.Contains(s.log.String(), "not logged one by one") {
		s.until(t, "the log never sums up", func() bool { return strings.Contains(s.log.String(), "not logged one by one") })
	}
}

// watchMemory looks at the heap until it is asked how much it grew at most.
func watchMemory() func() uint64 {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	runtime.GC()
	before, most := heap(), uint64(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, heap())
			case <-stop:
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-done
		return max(most, before) - before
	}
}

// TestScannersRaiseNoAlert: strangers try names, paths and methods all day.
// Bad signatures for a source that exists are told.
func TestScannersRaiseNoAlert(t *testing.T) {
	slack := &slackStub{}
	hook := httptest.NewServer(slack)
	defer hook.Close()
	s := startService(t, sandbox.Options{}, func(c *config.Config) { c.SlackWebhookURL = config.Secret(hook.URL) })
	for i := range 50 {
		s.do(t, http.MethodPost, fmt.Sprint("/webhooks/scanned-", i), strings.NewReader("{}"), http.Header{})
		s.do(t, http.MethodGet, "/webhooks/shopify", nil, http.Header{})
		s.do(t, http.MethodGet, "/.env", nil, http.Header{})
	}
	for range 20 {
		s.post(t, "stripe", strings.NewReader("{}"), http.Header{})
	}
	s.until(t, "bad signatures are not told", func() bool { return strings.Contains(slack.all(), "stripe") })
	if told := slack.all(); strings.Contains(told, "unknown_source") || strings.Contains(told, "bad_method") || strings.Contains(told, "scanned") {
		t.Errorf("scanners raised %s", told)
	}
}

// TestInboxThatFailsIsUnavailable: nothing was promised, and the sender is asked
// to come again.
func TestInboxThatFailsIsUnavailable(t *testing.T) {
	s := startService(t, sandbox.Options{}, nil)
	db, err := sql.Open("sqlite", "file:"+s.cfg.DatabasePath+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE bodies RENAME TO gone"); err != nil {
		t.Fatal(err)
	}
	body := []byte(order(""))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr()+"/webhooks/shopify", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = s.signers.sign(t, "shopify", "orders/create", "order", body)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || strings.TrimSpace(string(answer)) != `{"error":"unavailable"}` {
		t.Errorf("answered %d %s, Retry-After %q", resp.StatusCode, answer, resp.Header.Get("Retry-After"))
	}
	s.until(t, "no log line", func() bool { return len(s.logged("webhook received")) == 1 })
	if line := s.logged("webhook received")[0]; line["outcome"] != "store_error" || line["level"] != "error" {
		t.Errorf("logged %v", line)
	}
	if !strings.Contains(s.operator(t, "/metrics"), `ledgerhook_requests_total{outcome="store_error",source="shopify"} 1`) {
		t.Error("not counted as store_error")
	}
}
