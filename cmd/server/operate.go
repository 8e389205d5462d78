package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/urfave/cli/v3"
)

// bulkFlags are those of a run over everything that matches.
func bulkFlags(more ...cli.Flag) []cli.Flag {
	flags := append(filterFlags("dead"), jsonFlag(),
		&cli.BoolFlag{Name: "plan", Usage: "everything that matches: count by cause, change nothing"},
		&cli.BoolFlag{Name: "yes", Usage: "everything that matches: do it"},
		&cli.IntFlag{Name: "rate", Value: 50, Usage: "events per second"},
		&cli.BoolFlag{Name: "follow", Usage: "stay until it is done, with progress"},
	)
	return append(flags, more...)
}

func replayCommand() *cli.Command {
	return &cli.Command{
		Name: "replay", Usage: "try an event again, or with --plan or --yes everything that matches", ArgsUsage: "[ID]", OnUsageError: onUsageError,
		Flags: bulkFlags(dryRunFlag()),
		Action: withInbox(func(ctx context.Context, cfg config.Config, cmd *cli.Command, in *app.InboxTool) error {
			id := cmd.Args().First()
			switch {
			case id == "":
				return bulk(ctx, cmd, in, event.ActionReplay)
			case cmd.Bool("dry-run"):
				return in.DryRun(ctx, cfg, id)
			default:
				return in.Replay(ctx, id)
			}
		}),
	}
}

func dismissCommand() *cli.Command {
	return &cli.Command{
		Name: "dismiss", Usage: "give an event up, or with --plan or --yes everything that matches", ArgsUsage: "[ID]", OnUsageError: onUsageError,
		Flags: bulkFlags(&cli.StringFlag{Name: "reason", Required: true, Usage: "why, for the record"}),
		Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
			if id := cmd.Args().First(); id != "" {
				return in.Dismiss(ctx, id, cmd.String("reason"))
			}
			return bulk(ctx, cmd, in, event.ActionDismiss)
		}),
	}
}

func bulk(ctx context.Context, cmd *cli.Command, in *app.InboxTool, action event.Action) error {
	return usageOr(in.Bulk(ctx, app.RunOptions{
		ListOptions: filterOf(cmd), Action: action, Reason: cmd.String("reason"), Rate: cmd.Int("rate"),
		Start: cmd.Bool("yes"), Follow: cmd.Bool("follow"), Progress: cmd.Root().ErrWriter,
	}))
}

// oneOrMany refuses a command line that names both an event and a filter, or
// neither: a slip must not replay everything.
func oneOrMany(cmd *cli.Command) error {
	many := cmd.Bool("plan") || cmd.Bool("yes")
	switch id := cmd.Args().First(); {
	case id == "" && !many:
		return errors.New("name the event by its id, or say --plan or --yes for everything that matches the filter")
	case id != "" && many:
		return errors.New("--plan and --yes are for everything that matches: leave the id out")
	case cmd.Bool("plan") && cmd.Bool("yes"):
		return errors.New("either --plan or --yes")
	case many && cmd.Bool("dry-run"):
		return errors.New("--dry-run is for one event: name its id")
	}
	if !many {
		for _, name := range []string{"state", "source", "topic", "since", "q", "class", "group", "rate", "follow"} {
			if cmd.IsSet(name) {
				return fmt.Errorf("--%s is for everything that matches: leave the id out and say --plan or --yes", name)
			}
		}
	}
	return nil
}

func runsCommand() *cli.Command {
	return &cli.Command{
		Name: "runs", Usage: "replays and dismissals of everything that matched", OnUsageError: onUsageError,
		Commands: []*cli.Command{
			{
				Name: "list", Usage: "list runs, newest first", Flags: []cli.Flag{jsonFlag()}, OnUsageError: onUsageError,
				Action: withInbox(func(ctx context.Context, _ config.Config, _ *cli.Command, in *app.InboxTool) error {
					return in.Runs(ctx)
				}),
			},
			{
				Name: "show", Usage: "show a run with its plan and progress", ArgsUsage: "RUN", Flags: []cli.Flag{jsonFlag()}, OnUsageError: onUsageError,
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return in.ShowRun(ctx, cmd.Args().First())
				}),
			},
			{
				Name: "start", Usage: "start a planned run", ArgsUsage: "RUN", OnUsageError: onUsageError,
				Flags: []cli.Flag{jsonFlag(), &cli.BoolFlag{Name: "follow", Usage: "stay until it is done, with progress"}},
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return in.StartRun(ctx, cmd.Args().First(), cmd.Bool("follow"), cmd.Root().ErrWriter)
				}),
			},
			{
				Name: "cancel", Usage: "end a run; what it has done stays done", ArgsUsage: "RUN", Flags: []cli.Flag{jsonFlag()}, OnUsageError: onUsageError,
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return in.CancelRun(ctx, cmd.Args().First())
				}),
			},
		},
		Action: func(context.Context, *cli.Command) error {
			return usage(errors.New("say which: list, show, start or cancel"))
		},
	}
}

func rejectedCommand() *cli.Command {
	return &cli.Command{
		Name: "rejected", Usage: "requests that were refused at the door", OnUsageError: onUsageError,
		Commands: []*cli.Command{
			{
				Name: "list", Usage: "list them, newest first", OnUsageError: onUsageError,
				Flags: []cli.Flag{
					jsonFlag(), &cli.StringFlag{Name: "source", Usage: "one source's"}, &cli.StringFlag{Name: "class", Usage: "refused for this, for example bad_signature"},
					&cli.IntFlag{Name: "limit", Value: 50, Usage: "at most this many"},
				},
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return usageOr(in.Rejected(ctx, cmd.String("source"), cmd.String("class"), cmd.Int("limit")))
				}),
			},
			{
				Name: "show", Usage: "show one with its headers", ArgsUsage: "REQUEST", OnUsageError: onUsageError,
				Flags: []cli.Flag{jsonFlag(), &cli.BoolFlag{Name: "body", Usage: "print its body instead, which may hold a customer's data"}},
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return in.ShowRejected(ctx, cmd.Args().First(), cmd.Bool("body"))
				}),
			},
			{
				Name: "verify", Usage: "verify again with today's secrets, one or all, and accept what is good", ArgsUsage: "[REQUEST]", OnUsageError: onUsageError,
				Flags: []cli.Flag{jsonFlag(), &cli.StringFlag{Name: "source", Usage: "all of one source"}},
				Action: withInbox(func(ctx context.Context, cfg config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return in.VerifyRejected(ctx, cfg, cmd.Args().First(), cmd.String("source"))
				}),
			},
		},
		Action: func(context.Context, *cli.Command) error {
			return usage(errors.New("say which: list, show or verify"))
		},
	}
}

func pauseCommand() *cli.Command {
	return &cli.Command{
		Name: "pause", Usage: "hold the events of a source, or of every one; none is lost and no attempt is spent", ArgsUsage: "[SOURCE]", OnUsageError: onUsageError,
		Flags: []cli.Flag{jsonFlag(), &cli.StringFlag{Name: "reason", Usage: "why, for the record"}},
		Action: withInbox(func(ctx context.Context, cfg config.Config, cmd *cli.Command, in *app.InboxTool) error {
			return usageOr(in.Hold(ctx, cfg, cmd.Args().First(), cmd.String("reason"), true))
		}),
	}
}

func resumeCommand() *cli.Command {
	return &cli.Command{
		Name: "resume", Usage: "end the pause of a source, or the one of every source", ArgsUsage: "[SOURCE]", Flags: []cli.Flag{jsonFlag()}, OnUsageError: onUsageError,
		Action: withInbox(func(ctx context.Context, cfg config.Config, cmd *cli.Command, in *app.InboxTool) error {
			return usageOr(in.Hold(ctx, cfg, cmd.Args().First(), "", false))
		}),
	}
}

func statusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "the inbox at a glance, and what is paused", Flags: []cli.Flag{jsonFlag()}, OnUsageError: onUsageError,
		Action: withInbox(func(ctx context.Context, cfg config.Config, _ *cli.Command, in *app.InboxTool) error {
			return in.Status(ctx, cfg)
		}),
	}
}
