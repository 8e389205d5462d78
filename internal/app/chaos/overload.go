package chaos

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/source/shopify"
)

// OverloadOptions say how the service is overloaded.
type OverloadOptions struct {
	Server  string        // the program
	Dir     string        // "" = a temporary one
	Time    time.Duration // how long
	Senders int           // who send at the same time without a pause; 0 = 640, ten times what the intake is measured with
	Slowest time.Duration // what 999 answers in 1,000 must not exceed; 0 = a second
	Out     io.Writer
}

// Load is what an overload showed.
type Load struct {
	Senders      int           `json:"senders"`
	Answers      int           `json:"answers"`
	Acknowledged int64         `json:"acknowledged"`
	Busy         int64         `json:"busy"`     // answered 503 with Retry-After
	Unserved     int64         `json:"unserved"` // connections that were refused or cut
	Median       time.Duration `json:"median"`
	P999         time.Duration `json:"p99_9"`
	Slowest      time.Duration `json:"slowest"`
	PeakMemory   int64         `json:"peak_memory_bytes"`
	Recovered    time.Duration `json:"recovered"` // from ERPNext's return to the first document
	Broken       []string      `json:"broken"`
}

const (
	mostMemory    = 512 << 20 // bytes that the service may take
	recoverWithin = 2 * time.Minute
)

// Overload has many more senders than the service can take deliver orders to
// it while its ERPNext is down, then brings the ERPNext back. It fails with
// ErrBroken when answers came too late, memory was not bounded, an acknowledged
// event is missing, or the service did not recover by itself.
func Overload(ctx context.Context, o OverloadOptions) (Load, error) {
	if o.Senders == 0 {
		o.Senders = 640
	}
	o.Slowest = cmp.Or(o.Slowest, time.Second)
	dir := o.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "ledgerhook-overload-"); err != nil {
			return Load{}, err
		}
		defer os.RemoveAll(dir)
	}
	w, err := newWorld(o.Server, dir)
	if err != nil {
		return Load{}, err
	}
	defer w.stop()
	if err := w.begin(ctx); err != nil {
		return Load{}, err
	}
	w.site.kill()
	fmt.Fprintf(o.Out, "ERPNext is down; %d senders for %s\n", o.Senders, o.Time)
	c := &crowd{ctx: ctx, url: w.url + "/webhooks/shopify"}
	if err := c.press(o.Senders, o.Time); err != nil {
		return Load{}, err
	}
	load := c.load(o.Senders)
	if load.PeakMemory, err = peakMemory(w.service.cmd.Process.Pid); err != nil {
		return load, err
	}
	fmt.Fprintln(o.Out, "ERPNext is back")
	err = w.aftermath(ctx, &load, o.Slowest)
	if err == nil && len(load.Broken) > 0 {
		err = ErrBroken
	}
	return load, err
}

// crowd sends orders without a pause, as providers do together after an outage.
type crowd struct {
	ctx          context.Context
	url          string
	orders       atomic.Int64
	acknowledged atomic.Int64
	busy         atomic.Int64
	unserved     atomic.Int64

	mu    sync.Mutex
	times []time.Duration
	odd   map[int]int // answers that an overload does not explain, by status
}

func (c *crowd) press(senders int, lasting time.Duration) error {
	shop, err := shopify.New(shopify.Options{Secrets: []string{shopifySecret}})
	if err != nil {
		return err
	}
	sample, err := app.SampleOf("shopify", "orders/create", time.Now())
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	c.odd = map[int]int{}
	end := time.Now().Add(lasting)
	var crowd sync.WaitGroup
	for range senders {
		crowd.Go(func() {
			var times []time.Duration
			for time.Now().Before(end) && c.ctx.Err() == nil {
				n := c.orders.Add(1)
				body := []byte(strings.ReplaceAll(string(sample.Body), "5551234567890", strconv.FormatInt(8000000000000+n, 10)))
				if took, ok := c.send(client, shop, body, strconv.FormatInt(n, 10)); ok {
					times = append(times, took)
				}
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.times = append(c.times, times...)
		})
	}
	crowd.Wait()
	return c.ctx.Err()
}

// send delivers one order and tells how long its answer took.
func (c *crowd) send(client *http.Client, shop *shopify.Source, body []byte, id string) (time.Duration, bool) {
	header, err := shop.Sign(body, "orders/create", "overload-"+id, time.Now())
	if err != nil {
		return 0, false
	}
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.url, strings.NewReader(string(body)))
	if err != nil {
		return 0, false
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	begin := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		c.unserved.Add(1)
		return 0, false
	}
	_, _ = io.Copy(io.Discard, resp.Body) // the status says all
	resp.Body.Close()
	took := time.Since(begin)
	switch {
	case resp.StatusCode == http.StatusOK:
		c.acknowledged.Add(1)
	case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		c.busy.Add(1)
	default:
		c.mu.Lock()
		c.odd[resp.StatusCode]++
		c.mu.Unlock()
	}
	return took, true
}

func (c *crowd) load(senders int) Load {
	l := Load{
		Senders: senders, Answers: len(c.times), Acknowledged: c.acknowledged.Load(), Busy: c.busy.Load(), Unserved: c.unserved.Load(),
	}
	for status, n := range c.odd {
		l.Broken = append(l.Broken, fmt.Sprintf("%d answers were %d", n, status))
	}
	if len(c.times) == 0 {
		l.Broken = append(l.Broken, "nothing was answered")
		return l
	}
	slices.Sort(c.times)
	l.Median, l.Slowest = c.times[len(c.times)/2], c.times[len(c.times)-1]
	l.P999 = c.times[min(len(c.times)-1, len(c.times)*999/1000)]
	return l
}

// aftermath brings the ERPNext back and looks what the overload left.
func (w *world) aftermath(ctx context.Context, l *Load, slowest time.Duration) error {
	if l.P999 > slowest {
		l.Broken = append(l.Broken, fmt.Sprintf("one answer in 1,000 took longer than %s", l.P999))
	}
	if l.PeakMemory > mostMemory {
		l.Broken = append(l.Broken, fmt.Sprintf("the service took %d MiB of memory", l.PeakMemory>>20))
	}
	stored, err := w.stored(ctx)
	switch {
	case err != nil:
		return err
	case stored < l.Acknowledged:
		l.Broken = append(l.Broken, fmt.Sprintf("%d events were acknowledged and %d are in the inbox", l.Acknowledged, stored))
	}
	begin := time.Now()
	if err := w.site.start(ctx); err != nil {
		return err
	}
	for {
		var page eventPage
		err := w.ask(ctx, w.operator+"/api/v1/events?state=done", "", &page)
		switch {
		case err == nil && len(page.Events) > 0:
			l.Recovered = time.Since(begin).Round(time.Millisecond)
			return nil
		case time.Since(begin) > recoverWithin:
			l.Broken = append(l.Broken, fmt.Sprintf("no order was booked within %s of ERPNext's return: %v", recoverWithin, err))
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stored counts the shop's events in the inbox itself.
func (w *world) stored(ctx context.Context) (int64, error) {
	db, err := sql.Open("sqlite", "file:"+w.inbox+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var n int64
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE source = 'shopify'").Scan(&n)
	return n, err
}

// peakMemory is the most resident memory that a process ever had, in bytes.
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("the system does not tell a process's peak memory")
}
