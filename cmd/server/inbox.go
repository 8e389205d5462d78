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
				Flags: []cli.Flag{
					jsonFlag(),
					&cli.StringFlag{Name: "state", Usage: "pending, done, ignored or dead"},
					&cli.StringFlag{Name: "source", Usage: "one source's events"},
					&cli.StringFlag{Name: "topic", Usage: "one topic's events"},
					&cli.StringFlag{Name: "since", Usage: "received since: a time like 2026-03-01T00:00:00Z, or a duration like 24h"},
					&cli.StringFlag{Name: "q", Usage: "part of an id, provider id or subject"},
					&cli.IntFlag{Name: "limit", Value: 50, Usage: "at most this many"},
				},
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return usageOr(in.List(ctx, app.ListOptions{
						State: cmd.String("state"), Source: cmd.String("source"), Topic: cmd.String("topic"),
						Since: cmd.String("since"), Query: cmd.String("q"), Limit: cmd.Int("limit"),
					}))
				}),
			},
			{
				Name: "show", Usage: "show an event with its attempts and documents", ArgsUsage: "ID", Flags: []cli.Flag{jsonFlag()}, OnUsageError: onUsageError,
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return in.Show(ctx, cmd.Args().First())
				}),
			},
			{
				Name: "replay", Usage: "try an event again", ArgsUsage: "ID", Flags: []cli.Flag{jsonFlag()}, OnUsageError: onUsageError,
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return in.Replay(ctx, cmd.Args().First())
				}),
			},
			{
				Name: "dismiss", Usage: "give an event up, with a reason", ArgsUsage: "ID", OnUsageError: onUsageError,
				Flags: []cli.Flag{jsonFlag(), &cli.StringFlag{Name: "reason", Required: true, Usage: "why, for the record"}},
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return in.Dismiss(ctx, cmd.Args().First(), cmd.String("reason"))
				}),
			},
		},
		Action: func(_ context.Context, cmd *cli.Command) error {
			return usage(fmt.Errorf("say which: list, show, replay or dismiss"))
		},
	}
}

// withInbox opens the configured inbox, beside a running service or without.
func withInbox(action func(context.Context, config.Config, *cli.Command, *app.InboxTool) error) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		if cmd.ArgsUsage == "ID" && cmd.Args().First() == "" {
			return usage(errors.New("name the event: its id, or at least six characters of it"))
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		in, err := app.OpenInboxTool(ctx, cfg, cmd.Root().Writer, cmd.Bool("json"))
		if err != nil {
			return err
		}
		return errors.Join(action(ctx, cfg, cmd, in), in.Close())
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
