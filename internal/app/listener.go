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

// Bounds of a connection. A webhook sender waits at most some seconds for its
// answer, so whoever is slower than this is not one.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 15 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 60 * time.Second
	profileTimeout = 2 * time.Minute // a CPU profile takes 30 s by default
	maxHeader      = 64 << 10
)

// listener is a bound HTTP server.
type listener struct {
	net    net.Listener
	server *http.Server
	done   chan error
}

// listen binds at once, so that a taken port fails the start and ":0" is known.
func listen(addr string, handler http.Handler, write time.Duration, logger zerolog.Logger) (*listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &listener{
		net: l,
		server: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      write,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeader,
			// The server's own messages quote what clients send.
			ErrorLog: log.New(quiet{logger}, "", 0),
		},
		done: make(chan error, 1),
	}, nil
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
