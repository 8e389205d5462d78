package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/app/chaos"
	"github.com/urfave/cli/v3"
)

func chaosCommand() *cli.Command {
	return &cli.Command{
		Name: "chaos", Usage: "break a service of its own again and again, and look whether anything was lost or doubled",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.IntFlag{Name: "kills", Value: 100, Usage: "how many processes are killed"},
			&cli.Uint64Flag{Name: "seed", Usage: "seed of what is done; 0 = random, printed"},
			&cli.IntFlag{Name: "senders", Value: 8, Usage: "concurrent senders"},
			&cli.StringFlag{Name: "dir", Usage: "folder for inbox, site and logs; else a temporary one, kept when something broke"},
		},
		OnUsageError: onUsageError,
		Action:       runChaos,
		Commands: []*cli.Command{overloadCommand(), {
			Name: "service", Hidden: true, Usage: "run the service with a clock that can be set wrong", OnUsageError: onUsageError,
			Flags: []cli.Flag{&cli.StringFlag{Name: "clock", Required: true, Usage: "file with the offset of the clock"}},
			Action: func(ctx context.Context, cmd *cli.Command) error {
				return serveWith(ctx, app.Options{Now: chaos.Clock(ctx, cmd.String("clock"))})
			},
		}},
	}
}

func overloadCommand() *cli.Command {
	return &cli.Command{
		Name: "overload", Usage: "send a service of its own far more than it can take while its ERPNext is down, then bring that back",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.DurationFlag{Name: "time", Value: time.Minute, Usage: "how long"},
			&cli.IntFlag{Name: "senders", Value: 640, Usage: "senders at the same time, without a pause"},
			&cli.DurationFlag{Name: "slowest", Value: time.Second, Usage: "what 999 answers in 1,000 must not exceed"},
			&cli.StringFlag{Name: "dir", Usage: "folder for inbox, site and logs; else a temporary one"},
		},
		OnUsageError: onUsageError, Action: runOverload,
	}
}

// trial has this program try itself and tells what that showed. With --json the
// result alone goes to the output, and the progress beside it. A trial that did
// not come to its end showed nothing.
func trial[R any](cmd *cli.Command, run func(server string, progress io.Writer) (R, error), tell func(io.Writer, R)) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out, progress := cmd.Root().Writer, cmd.Root().Writer
	if cmd.Bool("json") {
		progress = cmd.Root().ErrWriter
		tell = func(out io.Writer, result R) { err = errors.Join(err, json.NewEncoder(out).Encode(result)) }
	}
	var result R
	result, err = run(self, progress)
	if err == nil || errors.Is(err, chaos.ErrBroken) {
		tell(out, result)
	}
	return err
}

func runOverload(ctx context.Context, cmd *cli.Command) error {
	return trial(cmd, func(server string, progress io.Writer) (chaos.Load, error) {
		return chaos.Overload(ctx, chaos.OverloadOptions{
			Server: server, Dir: cmd.String("dir"), Time: cmd.Duration("time"), Slowest: cmd.Duration("slowest"), Senders: cmd.Int("senders"), Out: progress,
		})
	}, printOverload)
}

func printOverload(out io.Writer, l chaos.Load) {
	fmt.Fprintf(out, "%d answers: %d accepted, %d told to come back (503); %d connections were not served\n", l.Answers, l.Acknowledged, l.Busy, l.Unserved)
	fmt.Fprintf(out, "answered within: median %s, 99.9 %% %s, slowest %s; peak memory %d MiB\n", l.Median.Round(time.Millisecond),
		l.P999.Round(time.Millisecond), l.Slowest.Round(time.Millisecond), l.PeakMemory>>20)
	if l.Recovered > 0 {
		fmt.Fprintf(out, "the first order was booked %s after ERPNext came back\n", l.Recovered)
	}
	for _, b := range l.Broken {
		fmt.Fprintln(out, "BROKEN:", b)
	}
}

func runChaos(ctx context.Context, cmd *cli.Command) error {
	return trial(cmd, func(server string, progress io.Writer) (chaos.Report, error) {
		return chaos.Run(ctx, chaos.Options{
			Server: server, Dir: cmd.String("dir"), Kills: cmd.Int("kills"), Seed: cmd.Uint64("seed"), Senders: cmd.Int("senders"), Out: progress,
		})
	}, printChaos)
}

func printChaos(out io.Writer, r chaos.Report) {
	for _, what := range slices.Sorted(maps.Keys(r.Harm)) {
		fmt.Fprintf(out, "%6d × %s\n", r.Harm[what], what)
	}
	for _, b := range r.Broken {
		fmt.Fprintln(out, "BROKEN:", b)
	}
	switch {
	case r.Dir != "":
		fmt.Fprintf(out, "inbox, site and logs are in %s; the same plan again: --seed %d\n", r.Dir, r.Seed)
	default:
		fmt.Fprintf(out, "%d orders, %d events acknowledged, %d deliveries sent again: every event is settled and every document exists exactly once (%s)\n",
			r.Orders, r.Acknowledged, r.Refused, r.Took)
	}
}
