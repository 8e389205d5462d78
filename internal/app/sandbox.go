package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox"
)

// SandboxOptions are the arguments of the in-memory ERPNext, as given on the
// command line.
type SandboxOptions struct {
	Addr, Key, Secret, Fixtures, Fault, Data string
	Version                                  int
	Seed                                     uint64
}

// ServeSandbox serves an in-memory ERPNext until ctx ends.
func ServeSandbox(ctx context.Context, out io.Writer, o SandboxOptions) error {
	if (o.Key == "") != (o.Secret == "") {
		return usagef("--key and --secret go together")
	}
	faults, err := sandbox.ParseFaults(o.Fault)
	if err != nil {
		return usagef("--fault: %v", err)
	}
	var fixtures []byte
	if o.Fixtures != "" {
		if fixtures, err = os.ReadFile(o.Fixtures); err != nil {
			return usagef("--fixtures: %v", err)
		}
	}
	site, err := sandbox.New(sandbox.Options{
		Fixtures: fixtures, Version: o.Version, Faults: faults, Seed: o.Seed, Key: o.Key, Secret: o.Secret, Data: o.Data,
	})
	if err != nil {
		return usagef("%v", err)
	}
	defer site.Close()
	l, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: site, ReadHeaderTimeout: headerTimeout}
	fmt.Fprintf(out, "in-memory ERPNext %d on http://%s (seed %d)\n", o.Version, l.Addr(), site.Seed())
	stopped := context.AfterFunc(ctx, func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(bounded)
	})
	defer stopped()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
