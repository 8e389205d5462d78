package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
)

func TestCrowd(t *testing.T) {
	c := newCrowd(5, 2)
	for i, tt := range []struct{ from, full string }{
		{"203.0.113.1", ""}, {"203.0.113.1", ""}, {"203.0.113.1", fullOfEach}, {"::ffff:203.0.113.1", fullOfEach},
		{"2001:db8::1", ""}, {"2001:db8::2", ""}, {"2001:db8::3", fullOfEach}, {"2001:db8:0:1::1", ""}, // another customer's network
		{"198.51.100.1", fullOfAll}, {"127.0.0.1", fullOfAll},
	} {
		if _, full := c.enter(netip.MustParseAddr(tt.from)); full != tt.full {
			t.Errorf("%d: %s: %q, want %q", i, tt.from, full, tt.full)
		}
	}
}

func TestCrowdForgetsWhoHasLeft(t *testing.T) {
	c := newCrowd(100, 1)
	for i := range 100 {
		leave, full := c.enter(netip.MustParseAddr("203.0.113.1"))
		if full != "" {
			t.Fatalf("turn %d: %s", i, full)
		}
		leave()
	}
	for _, from := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), {}} {
		for range 3 { // a proxy on this machine, a trusted one
			if _, full := c.enter(from); full != "" {
				t.Errorf("%s: %s", from, full)
			}
		}
	}
	if c.total != 9 || len(c.by) != 3 {
		t.Errorf("%d in, of %d", c.total, len(c.by))
	}
}

// street is a listener whose connections come from given addresses.
type street struct {
	net.Listener
	from chan string
}

type walker struct {
	net.Conn
	addr net.Addr
}

func (w walker) RemoteAddr() net.Addr { return w.addr }

func (s street) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	addr, err := net.ResolveTCPAddr("tcp", <-s.from+":1234")
	return walker{conn, addr}, err
}

func TestLimitListener(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	reg := prometheus.NewRegistry()
	from := make(chan string, 1)
	l := limitListener(street{inner, from}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, reg, newCrowd(6, 2))
	accepted := make(chan net.Conn, 16)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func(addr string) (in net.Conn, answer string) {
		t.Helper()
		from <- addr
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		refused := make(chan string, 1)
		go func() {
			text, _ := io.ReadAll(conn)
			refused <- string(text)
		}()
		select {
		case in = <-accepted:
		case answer = <-refused:
		}
		return in, answer
	}
	var first net.Conn
	for i, tt := range []struct {
		from string
		in   bool
	}{
		{"203.0.113.1", true}, {"203.0.113.1", true}, {"203.0.113.1", false},
		{"10.1.2.3", true}, {"10.1.2.3", true}, {"10.1.2.3", true}, // a trusted proxy's
		{"203.0.113.2", true}, {"203.0.113.3", false}, {"10.1.2.3", false},
	} {
		conn, answer := dial(tt.from)
		if (conn != nil) != tt.in || !tt.in && !strings.Contains(answer, "503") {
			t.Errorf("%d: %s was let in: %v, told %q", i, tt.from, conn != nil, answer)
		}
		if first == nil {
			first = conn
		}
	}
	_ = first.Close()
	_ = first.Close() // the server may close twice
	if conn, _ := dial("203.0.113.1"); conn == nil {
		t.Error("who left makes no room")
	}
	want := "ledgerhook_connections_refused_total"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(fmt.Sprintf(`
# HELP %[1]s Connections refused on the public listener, because too many were open: of one address, or in total.
# TYPE %[1]s counter
%[1]s{reason="address"} 1
%[1]s{reason="total"} 2
`, want)), want); err != nil {
		t.Error(err)
	}
}

// A flood of one kind costs twenty lines and a sum; another kind is not
// touched, and after the flood lines are single again.
func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		q := newQuota(zerolog.New(&log))
		flood := func(outcome string, n int) (taken int) {
			for range n {
				if q.take("shopify", outcome) {
					taken++
				}
			}
			return taken
		}
		for range 3 {
			if got := flood("bad_signature", 1000); got != linesEach {
				t.Errorf("%d lines, want %d", got, linesEach)
			}
			if got := flood("unparsable", linesEach); got != linesEach {
				t.Errorf("%d lines of another kind, want all", got)
			}
			time.Sleep(linesIn)
			synctest.Wait()
		}
		sums := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(sums) != 3 {
			t.Fatalf("%d sums, want 3: %s", len(sums), &log)
		}
		var sum map[string]any
		if err := json.Unmarshal([]byte(sums[0]), &sum); err != nil || sum["count"] != 980.0 || sum["outcome"] != "bad_signature" || sum["source"] != "shopify" {
			t.Errorf("summed up as %v, %v", sum, err)
		}
	})
}
