package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// short is a patience that a test has too; what is not tried lasts long.
func short(change func(*patience)) patience {
	p := patience{header: time.Minute, read: time.Minute, write: time.Minute, idle: time.Minute}
	change(&p)
	return p
}

// serving runs a listener and connects to it.
func serving(t *testing.T, p patience, handler http.HandlerFunc) net.Conn {
	t.Helper()
	bound, err := bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listen(bound, handler, p, zerolog.Nop())
	l.start()
	t.Cleanup(func() { _ = l.stop(context.Background(), time.Second) })
	conn, err := net.Dial("tcp", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ended reads until the server hangs up.
func ended(t *testing.T, conn net.Conn) string {
	t.Helper()
	answer, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the server never hung up")
	}
	return string(answer)
}

const within = 50 * time.Millisecond

func TestSlowHeaderIsCutOff(t *testing.T) {
	conn := serving(t, short(func(p *patience) { p.header = within }), func(http.ResponseWriter, *http.Request) { t.Error("it was served") })
	if _, err := io.WriteString(conn, "POST /webhooks/shopify HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	ended(t, conn)
}

func TestSlowBodyIsCutOff(t *testing.T) {
	failed := make(chan error, 1)
	conn := serving(t, short(func(p *patience) { p.read = within }), func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		failed <- err
		w.WriteHeader(http.StatusRequestTimeout)
	})
	if _, err := io.WriteString(conn, "POST /webhooks/shopify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if answer := ended(t, conn); !strings.Contains(answer, "408") {
		t.Errorf("answered %q", answer)
	}
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the body ended with %v", err)
	}
}

func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	failed := make(chan error, 1)
	conn := serving(t, short(func(p *patience) { p.write = within }), func(w http.ResponseWriter, r *http.Request) {
		var err error
		for err == nil { // more than any socket's buffer holds
			_, err = w.Write(make([]byte, 1<<20))
		}
		failed <- err
	})
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-failed:
	case <-time.After(20 * time.Second):
		t.Error("the answer is still being written")
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	conn := serving(t, short(func(p *patience) { p.idle = within }), func(http.ResponseWriter, *http.Request) {})
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("answered %v, %v", resp, err)
	}
	ended(t, conn)
}

func TestHeaderBombIsRefused(t *testing.T) {
	conn := serving(t, forSenders, func(http.ResponseWriter, *http.Request) { t.Error("it was served") })
	var bomb bytes.Buffer
	bomb.WriteString("POST /webhooks/shopify HTTP/1.1\r\nHost: x\r\n")
	for bomb.Len() < 2*maxHeader {
		bomb.WriteString("X-Bomb: " + strings.Repeat("x", 1000) + "\r\n")
	}
	go func() { _, _ = conn.Write(bomb.Bytes()) }() // fails when the server hangs up
	if answer := ended(t, conn); !strings.Contains(answer, "431") {
		t.Errorf("answered %q", answer)
	}
}
