// Command server is ledgerhook: it takes the signed webhooks of shops and
// payment providers and turns them into ERPNext documents.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/app"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/rs/zerolog"
	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	_ "time/tzdata" // dates are cut in the site's zone, and a container may have none
)

// Exit codes, as documented.
const (
	exitUnwell = 1 // the thing asked about is not well
	exitUsage  = 2 // wrong usage or configuration
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	err := root().Run(until(signals, os.Exit), os.Args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(exitCode(err))
	}
}

// until ends with the first signal to stop. Whoever sends a second one does not
// want to wait: the program ends at once. What is in hand is found in the inbox,
// as after any crash.
func until(signals <-chan os.Signal, exit func(code int)) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-signals
		cancel()
		<-signals
		fmt.Fprintln(os.Stderr, "server: ended at once by a second signal")
		exit(exitUnwell)
	}()
	return ctx
}

// usageError is a mistake of the caller or of the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitUnwell
}

func root() *cli.Command {
	program := &cli.Command{
		Name:                  "server",
		Usage:                 "webhooks of Shopify, Stripe and PayPal become ERPNext documents",
		Version:               app.Version(),
		HideVersion:           true, // the version command says more
		EnableShellCompletion: true,
		Action:                serve,
		ExitErrHandler:        func(context.Context, *cli.Command, error) {}, // main exits
		OnUsageError:          onUsageError,
		CommandNotFound:       nil,
		Commands: []*cli.Command{
			{Name: "serve", Usage: "run the service (the default)", Action: serve, OnUsageError: onUsageError},
			demoCommand(), sandboxCommand(), sendCommand(), setupCommand(), doctorCommand(), initCommand(),
			checkCommand(),
			eventsCommand(), pauseCommand(), resumeCommand(), statusCommand(), privacyCommand(), benchCommand(), chaosCommand(), migrateCommand(),
			{Name: "healthcheck", Usage: "exit 0 when the service on this machine is ready", Action: healthcheck, OnUsageError: onUsageError},
			versionCommand(),
		},
	}
	for _, command := range program.Commands {
		strict(command)
	}
	return program
}

// strict has a command, and those below it, refuse an argument too many: who
// writes "migrate 3" or "events replay A B" means something by it, and it is not
// what the command does without.
func strict(command *cli.Command) {
	takes, action := len(strings.Fields(command.ArgsUsage)), command.Action
	command.Action = func(ctx context.Context, cmd *cli.Command) error {
		if cmd.Args().Len() > takes {
			return usage(fmt.Errorf("%s does not know what %q is for (%s --help says what it takes)", cmd.FullName(), cmd.Args().Get(takes), cmd.FullName()))
		}
		return action(ctx, cmd)
	}
	for _, below := range command.Commands {
		strict(below)
	}
}

func onUsageError(_ context.Context, cmd *cli.Command, err error, _ bool) error {
	return usage(fmt.Errorf("%w (%s --help lists what it takes)", err, cmd.FullName()))
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }

// load reads the configuration; its problems are the caller's to mend.
func load() (config.Config, error) { return checked(config.Load()) }

// loadSite reads what is needed before the first webhook: ERPNext's part.
func loadSite() (config.Config, error) { return checked(config.LoadSite()) }

func checked(cfg config.Config, err error) (config.Config, error) {
	if err = app.Problems(cfg, err); err != nil {
		return cfg, usage(fmt.Errorf("the configuration is not good:\n%w", err))
	}
	return cfg, nil
}

func serve(ctx context.Context, cmd *cli.Command) error {
	if extra := cmd.Args().First(); extra != "" {
		return usage(fmt.Errorf("no such command: %s (server --help lists them)", extra))
	}
	return serveWith(ctx, app.Options{})
}

func serveWith(ctx context.Context, o app.Options) error {
	cfg, err := load()
	if err != nil {
		return err
	}
	o.Log = logger(cfg, os.Stderr)
	service, err := app.New(ctx, cfg, o)
	if err != nil {
		return err
	}
	return service.Run(ctx, cfg.Retention)
}

// logger writes one JSON object a line, or lines for people.
func logger(cfg config.Config, out io.Writer) zerolog.Logger {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	zerolog.DurationFieldUnit = time.Second
	level, err := zerolog.ParseLevel(cfg.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	if cfg.LogFormat == "console" {
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.RFC3339, NoColor: !isTerminal(out)}
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func checkCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "check configuration, mapping sheet and its expressions, without network", OnUsageError: onUsageError,
		Flags: []cli.Flag{jsonFlag(), &cli.BoolFlag{Name: "schema", Usage: "print the JSON Schema of the mapping sheet, for editors"}},
		Action: func(_ context.Context, cmd *cli.Command) error {
			if cmd.Bool("schema") {
				_, err := cmd.Root().Writer.Write(config.Schema())
				return err
			}
			cfg, err := config.Load()
			return usage(app.Check(cfg, err, cmd.Root().Writer, cmd.Bool("json")))
		},
	}
}

func healthcheck(ctx context.Context, _ *cli.Command) error {
	return app.Healthcheck(ctx, os.Getenv("LEDGERHOOK_ADDR"))
}
