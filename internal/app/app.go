// Package app puts the service together: it opens, connects, starts and stops
// every other room, and is the only one that knows them all.
package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/alert"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/posting"
	"github.com/ledgerhook/ledgerhook/internal/privacy"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
	"github.com/ledgerhook/ledgerhook/internal/worker"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// The rooms fit together.
var (
	_ worker.Queue       = (*sqlite.DB)(nil)
	_ handlers.Inbox     = (*sqlite.DB)(nil)
	_ handlers.Events    = (*sqlite.DB)(nil)
	_ handlers.Documents = (*sqlite.DB)(nil)
	_ handlers.Readiness = (*sqlite.DB)(nil)
	_ posting.Memory     = (*sqlite.DB)(nil)
	_ privacy.Inbox      = (*sqlite.DB)(nil)
	_ posting.Site       = (*erpnext.Client)(nil)
	_ worker.Observer    = observer{}
)

// Options are what a caller may decide beside the configuration.
type Options struct {
	Log zerolog.Logger
	// PayPalTransport carries the calls to PayPal; nil = the network.
	PayPalTransport http.RoundTripper
	// CustomersFresh overrides how old the list of customers' e-mails may be.
	CustomersFresh time.Duration
	// Rand draws the jitter of retry times, in [0,1); nil = evenly.
	Rand func() float64
}

// App is a running service, or one about to run.
type App struct {
	log      zerolog.Logger
	inbox    *sqlite.DB
	site     *erpnext.Client
	poster   *posting.Poster
	pool     *worker.Pool
	public   *listener
	operator *listener
	stops    []step
}

// step undoes one step of the start.
type step struct {
	name string
	stop func(context.Context) error
}

// New opens the inbox, binds both listeners and wires everything, but takes no
// request and claims no event before Run. When anything fails, what was opened
// is closed again.
func New(ctx context.Context, cfg config.Config, o Options) (*App, error) {
	a := &App{log: o.Log}
	if err := a.open(ctx, cfg, o); err != nil {
		return nil, errors.Join(err, a.stop(context.WithoutCancel(ctx)))
	}
	return a, nil
}

func (a *App) onStop(name string, stop func(context.Context) error) {
	a.stops = append(a.stops, step{name, stop})
}

func (a *App) open(ctx context.Context, cfg config.Config, o Options) error {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registerBuild(reg)

	sources, err := openSources(cfg, o.PayPalTransport)
	if err != nil {
		return fmt.Errorf("open sources: %w", err)
	}
	if a.inbox, err = openInbox(ctx, cfg, reg, o.Log); err != nil {
		return err
	}
	a.onStop("inbox", func(context.Context) error { return a.inbox.Close() })
	if err := a.takeOver(ctx); err != nil {
		return fmt.Errorf("take over the inbox: %w", err)
	}

	alerts := a.openAlerts(cfg, reg, o.Log)
	if a.site, err = OpenSite(cfg, reg, o.Log); err != nil {
		return fmt.Errorf("open ERPNext client: %w", err)
	}
	a.poster = newPoster(cfg, a.site, a.inbox, sources, o)
	if a.operator, err = a.openOperator(cfg, reg, o.Log); err != nil {
		return fmt.Errorf("bind operator listener: %w", err)
	}
	a.openWorkers(cfg, sources, alerts, reg, o)
	if a.public, err = a.openPublic(cfg, sources, alerts, reg, o.Log); err != nil {
		return fmt.Errorf("bind public listener: %w", err)
	}
	return nil
}

func openInbox(ctx context.Context, cfg config.Config, reg prometheus.Registerer, log zerolog.Logger) (*sqlite.DB, error) {
	db, err := sqlite.Open(ctx, sqlite.Options{Path: cfg.DatabasePath, Registerer: reg, Log: log, Keys: cfg.BodyKeys})
	if err != nil {
		return nil, fmt.Errorf("open inbox: %w", err)
	}
	return db, nil
}

// takeOver makes due at once what a service that died on this inbox had in hand.
func (a *App) takeOver(ctx context.Context) error {
	n, err := a.inbox.ReturnLeases(ctx)
	if err == nil && n > 0 {
		a.log.Warn().Int("events", n).Msg("events were in hand when the service ended last time: they are tried again")
	}
	return err
}

// OpenInbox opens the configured inbox alone, for the commands that look into
// it beside a running service.
func OpenInbox(ctx context.Context, cfg config.Config, log zerolog.Logger) (*sqlite.DB, error) {
	return openInbox(ctx, cfg, prometheus.NewRegistry(), log)
}

// OpenSite makes the configured client of ERPNext. It contacts nobody.
func OpenSite(cfg config.Config, reg prometheus.Registerer, log zerolog.Logger) (*erpnext.Client, error) {
	signIn, err := signIn(cfg.ERPNext)
	if err != nil {
		return nil, err
	}
	return erpnext.New(erpnext.Options{
		URL: cfg.ERPNext.URL, Site: cfg.ERPNext.Site, Writers: cfg.ERPNext.Writers, Credentials: signIn,
		Registerer: reg, Log: log, UserAgent: "ledgerhook/" + Version(),
	})
}

// signIn chooses how to sign in. Credentials are read again after a refusal,
// so that a key rotated in its file works without a restart; an OAuth client
// keeps its own renewed token.
func signIn(e config.ERPNext) (erpnext.Credentials, error) {
	if !e.OAuth.RefreshToken.IsSet() {
		return erpnext.Reloading(func() (erpnext.Credentials, error) { return credentials(e) }), nil
	}
	token, err := e.OAuth.RefreshToken.Read()
	if err != nil {
		return nil, err
	}
	secret, err := e.OAuth.ClientSecret.Read()
	return erpnext.OAuth2(erpnext.OAuth2Options{
		TokenURL: e.OAuth.TokenURL, ClientID: e.OAuth.ClientID, ClientSecret: secret.Reveal(), RefreshToken: token.Reveal(),
	}), err
}

// credentials reads the runtime credentials as they are now.
func credentials(e config.ERPNext) (erpnext.Credentials, error) {
	if e.BearerToken.IsSet() {
		token, err := e.BearerToken.Read()
		return erpnext.Bearer(token.Reveal()), err
	}
	key, err := e.APIKey.Read()
	if err != nil {
		return nil, err
	}
	secret, err := e.APISecret.Read()
	return erpnext.KeySecret(key.Reveal(), secret.Reveal()), err
}

func newPoster(cfg config.Config, site *erpnext.Client, memory posting.Memory, sources map[string]source, o Options) *posting.Poster {
	return posting.New(posting.Options{
		Site: site, Memory: memory,
		ReadBooks: posting.ReadBooks(site, wanted(cfg.Sheet), mapping.Books{
			Clearing: cfg.Sheet.Accounts.Clearing, Warehouse: cfg.Sheet.Warehouse,
		}),
		Shops:         shops(sources),
		GuestCustomer: cfg.Sheet.GuestCustomer, UnknownPayer: cfg.Sheet.UnknownPayer,
		WaitForOrder: cfg.Sheet.Payments.Wait(), CustomersFresh: o.CustomersFresh,
	})
}

func (a *App) openOperator(cfg config.Config, reg *prometheus.Registry, log zerolog.Logger) (*listener, error) {
	replays := newReplays(reg)
	handler := handlers.Operator(handlers.OperatorOptions{
		Ready: a.inbox, Events: a.inbox, Documents: a.inbox, Token: cfg.OperatorToken.Reveal(),
		Metrics:  promhttp.HandlerFor(reg, promhttp.HandlerOpts{}),
		Replayed: func() { replays.WithLabelValues("manual").Inc() },
		DocType:  []string{erpnext.DocCustomer, erpnext.DocSalesOrder, erpnext.DocPaymentEntry},
		DeskURL:  DeskURL(cfg.ERPNext.URL),
	})
	l, err := listen(cfg.OperatorAddr, handler, profileTimeout, log)
	if err == nil {
		a.onStop("operator listener", l.stop)
	}
	return l, err
}

func (a *App) openWorkers(cfg config.Config, sources map[string]source, alerts *alert.Manager, reg prometheus.Registerer, o Options) {
	a.pool = worker.New(worker.Options{
		Queue: a.inbox, Deliverer: &deliverer{sources: sources, poster: a.poster, desk: newDesk(cfg, a.inbox)}, Observer: observer{alerts},
		Sources: names(sources), LeaseLost: sqlite.ErrLeaseLost, Workers: cfg.ERPNext.Writers, Registerer: reg, Log: o.Log, Rand: o.Rand,
	})
}

func (a *App) openPublic(cfg config.Config, sources map[string]source, alerts *alert.Manager, reg prometheus.Registerer, log zerolog.Logger) (*listener, error) {
	intake := make(map[string]handlers.Source, len(sources))
	for name, src := range sources {
		intake[name] = src
	}
	handler := handlers.Public(handlers.PublicOptions{
		Inbox: a.inbox, Ready: a.inbox, Sources: intake, MaxBody: cfg.MaxBody,
		TrustedProxies: cfg.TrustedProxies, AllowedSenders: cfg.AllowedSenders,
		Rejected: alerts.Rejected, Registerer: reg, Log: log,
	})
	l, err := listen(cfg.Addr, handler, writeTimeout, log)
	if err == nil {
		a.onStop("public listener", l.stop)
	}
	return l, err
}

func names(sources map[string]source) []string {
	list := make([]string, 0, len(sources))
	for name := range sources {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// Addr is the public listener's address.
func (a *App) Addr() string { return a.public.addr() }

// OperatorAddr is the operator listener's address.
func (a *App) OperatorAddr() string { return a.operator.addr() }

// Inbox is the service's inbox, for the demo and tests.
func (a *App) Inbox() *sqlite.DB { return a.inbox }
