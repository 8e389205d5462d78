package main

import (
	"context"
	"errors"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/urfave/cli/v3"
)

func privacyCommand() *cli.Command {
	return &cli.Command{
		Name: "privacy", Usage: "personal data in the inbox: find, export, erase, encrypt anew", OnUsageError: onUsageError,
		Commands: []*cli.Command{
			{
				Name: "find", Usage: "count the events that concern somebody", Flags: personFlags(), OnUsageError: onUsageError,
				Action: withPerson((*app.InboxTool).FindPerson),
			},
			{
				Name: "export", Usage: "write what the inbox holds of somebody into LEDGERHOOK_PRIVACY_DIR", Flags: personFlags(), OnUsageError: onUsageError,
				Action: withPerson((*app.InboxTool).ExportPerson),
			},
			{
				Name: "erase", Usage: "erase what the inbox holds of somebody; without --yes only the counts are printed", OnUsageError: onUsageError,
				Flags: append(personFlags(),
					&cli.BoolFlag{Name: "yes", Usage: "erase"},
					&cli.BoolFlag{Name: "dry-run", Usage: "print the counts alone, also with --yes"}),
				Action: withPerson((*app.InboxTool).ErasePerson),
			},
			{
				Name: "reencrypt", Usage: "bring stored bodies under the first of LEDGERHOOK_BODY_KEYS", OnUsageError: onUsageError,
				Flags: []cli.Flag{jsonFlag(), &cli.BoolFlag{Name: "plain", Usage: "decrypt instead, before the keys are given up"}},
				Action: withInbox(func(ctx context.Context, _ config.Config, cmd *cli.Command, in *app.InboxTool) error {
					return in.Reencrypt(ctx, cmd.Root().ErrWriter, cmd.Bool("plain"))
				}),
			},
		},
		Action: func(context.Context, *cli.Command) error {
			return usage(errors.New("say which: find, export, erase or reencrypt"))
		},
	}
}

func personFlags() []cli.Flag {
	return []cli.Flag{
		jsonFlag(),
		&cli.StringFlag{Name: "email", Usage: "e-mail address"},
		&cli.StringFlag{Name: "customer", Usage: "the shop's customer id"},
		&cli.StringFlag{Name: "phone", Usage: "phone number with its country"},
		&cli.StringSliceFlag{Name: "order", Usage: "the shop's order id; may be repeated"},
		&cli.StringFlag{Name: "source", Usage: "one source alone; without the others: everything of it"},
	}
}

func withPerson(do func(*app.InboxTool, context.Context, config.Config, app.PrivacyOptions) error) cli.ActionFunc {
	return withInbox(func(ctx context.Context, cfg config.Config, cmd *cli.Command, in *app.InboxTool) error {
		return usageOr(do(in, ctx, cfg, app.PrivacyOptions{
			Email: cmd.String("email"), Customer: cmd.String("customer"), Phone: cmd.String("phone"), Source: cmd.String("source"),
			Orders: cmd.StringSlice("order"), Yes: cmd.Bool("yes") && !cmd.Bool("dry-run"),
		}))
	})
}
