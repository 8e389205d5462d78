package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/app/demo"
	"github.com/rs/zerolog"
	"github.com/urfave/cli/v3"
)

func demoCommand() *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "show the service at work on an in-memory ERPNext; needs no configuration",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.BoolFlag{Name: "keep", Usage: "stay up and print the addresses"},
			&cli.BoolFlag{Name: "log", Usage: "print the service's log as well"},
		},
		OnUsageError: onUsageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			log := zerolog.Nop()
			if cmd.Bool("log") {
				log = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, NoColor: !isTerminal(os.Stderr)}).With().Timestamp().Logger()
			}
			return demo.Run(ctx, demo.Options{Out: cmd.Root().Writer, JSON: cmd.Bool("json"), Keep: cmd.Bool("keep"), Log: log})
		},
	}
}

func sandboxCommand() *cli.Command {
	return &cli.Command{
		Name: "sandbox", Usage: "serve the in-memory ERPNext alone",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "addr", Value: "127.0.0.1:8800", Usage: "address to listen on"},
			&cli.StringFlag{Name: "key", Usage: "API key of a user with every role"},
			&cli.StringFlag{Name: "secret", Usage: "API secret of that user"},
			&cli.StringFlag{Name: "fixtures", Usage: "file with the site to load; else a small demo company"},
			&cli.IntFlag{Name: "version", Value: 15, Usage: "ERPNext version to imitate: 14, 15 or 16"},
			&cli.StringFlag{Name: "data", Usage: "file that keeps what is stored, so that a restart finds it; else it ends with the process"},
			&cli.StringFlag{Name: "fault", Usage: "make it fail, for example kind=deadlock-500,rate=0.1;kind=429,count=3"},
			&cli.Uint64Flag{Name: "seed", Usage: "seed of faults and list order; 0 = random, printed"},
		},
		OnUsageError: onUsageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			return usageOr(app.ServeSandbox(ctx, cmd.Root().Writer, app.SandboxOptions{
				Addr: cmd.String("addr"), Key: cmd.String("key"), Secret: cmd.String("secret"), Fixtures: cmd.String("fixtures"),
				Version: cmd.Int("version"), Fault: cmd.String("fault"), Data: cmd.String("data"), Seed: cmd.Uint64("seed"),
			}))
		},
	}
}

// usageOr marks an error that the caller's flags caused.
func usageOr(err error) error {
	if app.IsUsage(err) {
		return usage(err)
	}
	return err
}

func sendCommand() *cli.Command {
	return &cli.Command{
		Name: "send", Usage: "send a correctly signed test event to a running service", ArgsUsage: "SOURCE",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "topic", Usage: "topic of the event; else the first sample of the source"},
			&cli.StringFlag{Name: "file", Usage: "file with the body; else a sample"},
			&cli.StringFlag{Name: "url", Usage: "address of the service; else this configuration's, on this machine"},
			&cli.IntFlag{Name: "count", Value: 1, Usage: "number of events"},
			&cli.BoolFlag{Name: "duplicate", Usage: "send each event twice"},
		},
		OnUsageError: onUsageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			return usageOr(app.Send(ctx, cfg, cmd.Root().Writer, app.SendOptions{
				Source: cmd.Args().First(), Topic: cmd.String("topic"), File: cmd.String("file"), URL: cmd.String("url"),
				Count: cmd.Int("count"), Duplicate: cmd.Bool("duplicate"),
			}))
		},
	}
}

func benchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "measure the intake on this machine beside an append-only log with shared fsync",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.StringFlag{Name: "dir", Usage: "folder to measure in; else the system's temporary folder"},
			&cli.DurationFlag{Name: "time", Value: 3 * time.Second, Usage: "how long each side is measured"},
			&cli.IntFlag{Name: "clients", Value: 64, Usage: "concurrent senders"},
			&cli.IntFlag{Name: "size", Value: 2048, Usage: "bytes of a body"},
		},
		OnUsageError: onUsageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			return usageOr(app.Bench(ctx, cmd.Root().Writer, app.BenchOptions{
				Dir: cmd.String("dir"), Time: cmd.Duration("time"), Clients: cmd.Int("clients"), Size: cmd.Int("size"), JSON: cmd.Bool("json"),
			}))
		},
	}
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print version, commit, Go and schema", Flags: []cli.Flag{jsonFlag()}, OnUsageError: onUsageError,
		Action: func(_ context.Context, cmd *cli.Command) error {
			return printVersion(cmd.Root().Writer, cmd.Bool("json"))
		},
	}
}

func printVersion(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{
			"version": app.Version(), "commit": app.Commit(), "go": runtime.Version(), "schema": app.Schema(),
		})
	}
	_, err := fmt.Fprintf(out, "ledgerhook %s\ncommit %s\n%s\nschema %d\n", app.Version(), app.Commit(), runtime.Version(), app.Schema())
	return err
}
