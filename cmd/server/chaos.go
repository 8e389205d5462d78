package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

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
		Commands: []*cli.Command{{
			Name: "service", Hidden: true, Usage: "run the service with a clock that can be set wrong", OnUsageError: onUsageError,
			Flags: []cli.Flag{&cli.StringFlag{Name: "clock", Required: true, Usage: "file with the offset of the clock"}},
			Action: func(ctx context.Context, cmd *cli.Command) error {
				return serveWith(ctx, app.Options{Now: chaos.Clock(ctx, cmd.String("clock"))})
			},
		}},
	}
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
