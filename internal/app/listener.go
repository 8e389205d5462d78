package app

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

const (
	headerTimeout = 5 * time.Second
	maxHeader     = 64 << 10
)

// patience bounds how long a connection may take for what.
type patience struct {
	header, read, write, idle time.Duration
}

// A webhook sender waits at most some seconds for its answer, so whoever is
// slower than this is not one. An operator's CPU profile takes 30 s by default.
var (
	forSenders   = patience{header: headerTimeout, read: 15 * time.Second, write: 30 * time.Second, idle: 60 * time.Second}
	forOperators = patience{header: headerTimeout, read: 15 * time.Second, write: 2 * time.Minute, idle: 60 * time.Second}
)

// listener is a bound HTTP server.
type listener struct {
	net    net.Listener
	server *http.Server
	done   chan error
}

// bind binds at once, so that a taken port fails the start and ":0" is known.
func bind(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

// listen serves what a bound address takes in, once it is started.
func listen(l net.Listener, handler http.Handler, p patience, logger zerolog.Logger) *listener {
	return &listener{
		net: l,
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: p.header,
			ReadTimeout:       p.read,
			WriteTimeout:      p.write,
			IdleTimeout:       p.idle,
			MaxHeaderBytes:    maxHeader,
			// The server's own messages quote what clients send.
			ErrorLog: log.New(quiet{logger.Sample(&zerolog.BurstSampler{Burst: 5, Period: time.Second})}, "", 0),
		},
		done: make(chan error, 1),
	}
}

func (l *listener) start() { go func() { l.done <- l.server.Serve(l.net) }() }

// endRequests gives the requests of a listener their part of a stop.
func (a *App) endRequests(l *listener) func(context.Context) error {
	return func(ctx context.Context) error { return l.stop(ctx, a.stopIn*requestPart/stopParts) }
}

// stop refuses new connections, lets requests in hand end, and closes what is
// left after a bound: its clients are answered by nobody and come again.
func (l *listener) stop(ctx context.Context, bound time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	err := l.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, l.server.Close())
	}
	_ = l.net.Close() // when it was never started, Shutdown does not know it
	return err
}

func (l *listener) addr() string { return l.net.Addr().String() }

// quiet notes that the HTTP server complained, without the client's words.
type quiet struct{ log zerolog.Logger }

func (q quiet) Write(p []byte) (int, error) {
	q.log.Debug().Msg("http connection failed")
	return len(p), nil
}
