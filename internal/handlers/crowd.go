package handlers

import (
	"io"
	"net"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// What strangers may have open at once. Senders need a handful of connections
// each and milliseconds of them, so the bounds are far from any of them and
// still hold what a flood can cost.
const (
	maxConnections     = 2048
	maxConnectionsEach = 256
	maxRequestsEach    = 256 // of one client, behind a trusted proxy too
)

// crowd counts what is open at once, in all and of each address.
type crowd struct {
	all, each int // bounds

	mu    sync.Mutex
	total int
	by    map[netip.Addr]int
}

func newCrowd(all, each int) *crowd { return &crowd{all: all, each: each, by: map[netip.Addr]int{}} }

// Why somebody is not let in.
const (
	fullOfAll  = "total"
	fullOfEach = "address"
)

// enter lets one more in, or says which bound holds. leave must be called once.
// Addresses of this machine are a proxy's or a person's, not a stranger's: only
// the bound of all holds for them.
func (c *crowd) enter(addr netip.Addr) (leave func(), full string) {
	addr = neighbourhood(addr)
	bounded := addr.IsValid() && !addr.IsLoopback()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.total >= c.all:
		return nil, fullOfAll
	case bounded && c.by[addr] >= c.each:
		return nil, fullOfEach
	}
	c.total++
	c.by[addr]++
	return func() { c.leave(addr) }, ""
}

func (c *crowd) leave(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.by[addr]--; c.by[addr] <= 0 {
		delete(c.by, addr)
	}
}

// neighbourhood is an address, or of IPv6 the network of one customer: who has
// one address of it has all of them.
func neighbourhood(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() || addr.IsLoopback() {
		return addr
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return addr
	}
	return network.Addr()
}

// LimitListener refuses connections beyond what may be open at once, in all and
// of each address. The connections of trusted proxies carry everybody's
// requests, so only the bound of all holds for them.
func LimitListener(l net.Listener, trusted []netip.Prefix, reg prometheus.Registerer) net.Listener {
	return limitListener(l, trusted, reg, newCrowd(maxConnections, maxConnectionsEach))
}

func limitListener(l net.Listener, trusted []netip.Prefix, reg prometheus.Registerer, c *crowd) net.Listener {
	refused := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "ledgerhook_connections_refused_total",
		Help: "Connections refused on the public listener, because too many were open: of one address, or in total.",
	}, []string{"reason"})
	for _, reason := range []string{fullOfAll, fullOfEach} {
		refused.WithLabelValues(reason)
	}
	return &limitedListener{Listener: l, trusted: trusted, crowd: c, refused: refused}
}

type limitedListener struct {
	net.Listener
	trusted []netip.Prefix
	crowd   *crowd
	refused *prometheus.CounterVec
}

// overloaded is all that a connection too many is told: nothing of it is read.
const overloaded = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		leave, full := l.crowd.enter(l.stranger(conn))
		if full == "" {
			return &guest{Conn: conn, leave: sync.OnceFunc(leave)}, nil
		}
		l.refused.WithLabelValues(full).Inc()
		_, _ = io.WriteString(conn, overloaded) // fits into the socket's own buffer
		_ = conn.Close()
	}
}

// stranger is the address that a connection counts for; the zero address counts
// for no one.
func (l *limitedListener) stranger(conn net.Conn) netip.Addr {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	addr := from.Addr().Unmap()
	for _, proxies := range l.trusted {
		if proxies.Contains(addr) {
			return netip.Addr{}
		}
	}
	return addr
}

// guest is a connection that was let in.
type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}

// CloseWrite lets the server end an answer before it closes, so that the client
// can read it.
func (g *guest) CloseWrite() error {
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
