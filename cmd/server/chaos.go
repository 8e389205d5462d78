package main

import (
	"context"
	"encoding/json"
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

func runOverload(ctx context.Context, cmd *cli.Command) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out := cmd.Root().Writer
	o := chaos.OverloadOptions{Server: self, Dir: cmd.String("dir"), Time: cmd.Duration("time"), Slowest: cmd.Duration("slowest"), Senders: cmd.Int("senders"), Out: out}
	if cmd.Bool("json") {
		o.Out = cmd.Root().ErrWriter
	}
	load, err := chaos.Overload(ctx, o)
	if cmd.Bool("json") {
		if problem := json.NewEncoder(out).Encode(load); problem != nil {
			return problem
		}
		return err
	}
	fmt.Fprintf(out, "%d answers: %d accepted, %d told to come back (503); %d connections were not served\n", load.Answers, load.Acknowledged, load.Busy, load.Unserved)
	fmt.Fprintf(out, "answered within: median %s, 99.9 %% %s, slowest %s; peak memory %d MiB\n", load.Median.Round(time.Millisecond),
		load.P999.Round(time.Millisecond), load.Slowest.Round(time.Millisecond), load.PeakMemory>>20)
	fmt.Fprintf(out, "the first order was booked %s after ERPNext came back\n", load.Recovered)
	for _, b := range load.Broken {
		fmt.Fprintln(out, "BROKEN:", b)
	}
	return err
}

func runChaos(ctx context.Context, cmd *cli.Command) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	out := cmd.Root().Writer
	o := chaos.Options{Server: self, Dir: cmd.String("dir"), Kills: cmd.Int("kills"), Seed: cmd.Uint64("seed"), Senders: cmd.Int("senders"), Out: out}
	if cmd.Bool("json") {
		o.Out = cmd.Root().ErrWriter
	}
	report, err := chaos.Run(ctx, o)
	if cmd.Bool("json") {
		if problem := json.NewEncoder(out).Encode(report); problem != nil {
			return problem
		}
		return err
	}
	printChaos(out, report)
	return err
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
