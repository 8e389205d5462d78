package main

import (
	"context"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/urfave/cli/v3"
)

func setupCommand() *cli.Command {
	return &cli.Command{
		Name: "setup", Usage: "make the unique key fields in ERPNext; safe to repeat", OnUsageError: onUsageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			cfg, err := loadSite()
			if err != nil {
				return err
			}
			return usageOr(app.Setup(ctx, cfg, cmd.Root().Writer))
		},
	}
}

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "check everything that can be wrong before the first event", Flags: []cli.Flag{jsonFlag()}, OnUsageError: onUsageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			return app.Doctor(ctx, cfg, cmd.Root().Writer, cmd.Bool("json"))
		},
	}
}

func initCommand() *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "ask ERPNext and write a mapping sheet", OnUsageError: onUsageError,
		Flags: []cli.Flag{&cli.StringFlag{Name: "out", Value: "ledgerhook.yaml", Usage: "file to write; never overwritten; - prints"}},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			cfg, err := loadSite()
			if err != nil {
				return err
			}
			return usageOr(app.Init(ctx, cfg, cmd.Root().Writer, cmd.String("out")))
		},
	}
}
