package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/urfave/cli/v3"
)

func eventsCommand() *cli.Command {
	return &cli.Command{
		Name: "events", Usage: "look into the inbox", OnUsageError: onUsageError,
		Commands: []*cli.Command{
			{
				Name: "list", Usage: "list events, newest first", OnUsageError: onUsageError,
				Flags: append(filterFlags(""), jsonFlag(), &cli.IntFlag{Name: "limit", Value: 50, Usage: "at most this many"}),
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					o := filterOf(cmd)
					o.Limit = cmd.Int("limit")
					return usageOr(in.List(ctx, o))
				}),
			},
			{
				Name: "groups", Usage: "the dead letters by cause", Flags: []cli.Flag{jsonFlag()}, OnUsageError: onUsageError,
				Action: withInbox(func(ctx context.Context, _ config.Config, _ *cli.Command, in *app.InboxTool) error {
					return in.Groups(ctx)
				}),
			},
			{
				Name: "show", Usage: "show an event with its attempts and documents", ArgsUsage: "ID", OnUsageError: onUsageError,
				Flags: []cli.Flag{jsonFlag(), dryRunFlag()},
				Action: withInbox(func(ctx context.Context, cfg config.Config, cmd *cli.Command, in *app.InboxTool) error {
					if cmd.Bool("dry-run") {
						return in.DryRun(ctx, cfg, cmd.Args().First())
					}
					return in.Show(ctx, cmd.Args().First())
				}),
			},
			replayCommand(), dismissCommand(), runsCommand(),
			{
				Name: "audit", Usage: "who did what, newest first", OnUsageError: onUsageError,
				Flags: []cli.Flag{
					jsonFlag(), &cli.StringFlag{Name: "target", Usage: "what was done to one event, run, source or rejected request"},
					&cli.IntFlag{Name: "limit", Value: 50, Usage: "at most this many"},
				},
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return usageOr(in.Audit(ctx, cmd.String("target"), cmd.Int("limit")))
				}),
			},
			rejectedCommand(),
		},
		Action: func(_ context.Context, cmd *cli.Command) error {
			return usage(fmt.Errorf("say which: list, groups, show, replay, dismiss, runs, audit or rejected"))
		},
	}
}

func dryRunFlag() cli.Flag {
	return &cli.BoolFlag{Name: "dry-run", Usage: "print the documents it would make, and how those differ that are there; change nothing"}
}

// filterFlags choose events. state is what --state is when it is not given.
func filterFlags(state string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "state", Value: state, Usage: "pending, done, ignored or dead"},
		&cli.StringFlag{Name: "source", Usage: "one source's events"},
		&cli.StringFlag{Name: "topic", Usage: "one topic's events"},
		&cli.StringFlag{Name: "since", Usage: "received since: a time like 2026-03-01T00:00:00Z, or a duration like 24h"},
		&cli.StringFlag{Name: "q", Usage: "part of an id, provider id or subject"},
		&cli.StringFlag{Name: "class", Usage: "class of the last failure"},
		&cli.StringFlag{Name: "group", Usage: "dead letters of one cause, as events groups names it"},
	}
}

func filterOf(cmd *cli.Command) app.ListOptions {
	return app.ListOptions{
		State: cmd.String("state"), Source: cmd.String("source"), Topic: cmd.String("topic"), Since: cmd.String("since"),
		Query: cmd.String("q"), Class: cmd.String("class"), Group: cmd.String("group"),
	}
}

// needed says how to name what a command is about.
var needed = map[string]string{
	"ID":      "name the event: its id, or at least six characters of it",
	"RUN":     "name the run by its id: server events runs list shows them",
	"REQUEST": "name the rejected request by its id: server events rejected list shows them",
}

// checkArguments refuses a command that does not say what it is about.
func checkArguments(cmd *cli.Command) error {
	if text, ok := needed[cmd.ArgsUsage]; ok && cmd.Args().First() == "" {
		return errors.New(text)
	}
	if cmd.ArgsUsage == "[ID]" {
		return oneOrMany(cmd)
	}
	return nil
}

// withInbox opens the configured inbox, beside a running service or without.
func withInbox(action func(context.Context, config.Config, *cli.Command, *app.InboxTool) error) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		if err := checkArguments(cmd); err != nil {
			return usage(err)
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		in, err := app.OpenInboxTool(ctx, cfg, cmd.Root().Writer, cmd.Bool("json"))
		if err != nil {
			return err
		}
		return errors.Join(action(app.AsCommandUser(ctx), cfg, cmd, in), in.Close())
	}
}

func migrateCommand() *cli.Command {
	return &cli.Command{
		Name: "migrate", Usage: "bring the inbox's schema up or, with --to, down", OnUsageError: onUsageError,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "to", Value: -1, Usage: "schema number; else the newest"},
			&cli.BoolFlag{Name: "force", Usage: "go down although the inbox holds events"},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			return usageOr(app.Migrate(ctx, cfg, cmd.Root().Writer, cmd.Int("to"), cmd.Bool("force")))
		},
	}
}
