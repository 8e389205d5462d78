// Package app puts the service together: it opens, connects, starts and stops
// every other room, and is the only one that knows them all.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/alert"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/handlers"
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
	_ handlers.Readiness = (*App)(nil)
	_ handlers.Problems  = (*sqlite.DB)(nil)
	_ handlers.Runs      = (*sqlite.DB)(nil)
	_ handlers.Audit     = (*sqlite.DB)(nil)
	_ handlers.Holds     = (*sqlite.DB)(nil)
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
	// ERPNextTimeout overrides how long ERPNext may take for an answer.
	ERPNextTimeout time.Duration
	// Rand draws the jitter of retry times, in [0,1); nil = evenly.
	Rand func() float64
	// Now is the machine's clock as the service sees it: what an event is
	// received, due, leased and kept by. nil = time.Now.
	Now func() time.Time
	// Stop bounds how long a stop may take; 0 = 35 s.
	Stop time.Duration
}

// App is a running service, or one about to run.
type App struct {
	log      zerolog.Logger
	now      func() time.Time
	inbox    *sqlite.DB
	site     *erpnext.Client
	poster   *posting.Poster
	pool     *worker.Pool
	heart    *heartbeat
	watch    *watch
	public   *listener
	operator *listener
	started  chan struct{} // a run was started by the API
	stopping atomic.Bool
	stopIn   time.Duration
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
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &App{log: o.Log, now: o.Now, started: make(chan struct{}, 1), stopIn: cmp.Or(o.Stop, stopWithin)}
	if err := a.open(ctx, cfg, o); err != nil {
		return nil, errors.Join(err, a.stop(context.WithoutCancel(ctx)))
	}
	return a, nil
}

func (a *App) onStop(name string, stop func(context.Context) error) {
	a.stops = append(a.stops, step{name, stop})
}

func (a *App) open(ctx context.Context, cfg config.Config, o Options) error {
	if err := CheckFields(cfg.Sheet); err != nil {
		return err
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registerBuild(reg)

	sources, err := openSources(cfg, o.PayPalTransport)
	if err != nil {
		return fmt.Errorf("open sources: %w", err)
	}
	release, err := sole(cfg.DatabasePath)
	if err != nil {
		return fmt.Errorf("open inbox: %w", err)
	}
	a.onStop("inbox lock", func(context.Context) error { return release() })
	if a.inbox, err = openInbox(ctx, cfg, reg, o.Log, o.Now); err != nil {
		return err
	}
	a.onStop("inbox", func(context.Context) error { return a.inbox.Close() })
	reg.MustRegister(newMachine(filepath.Dir(cfg.DatabasePath), a.Ready))
	if err := a.takeOver(ctx); err != nil {
		return fmt.Errorf("take over the inbox: %w", err)
	}

	alerts := a.openAlerts(cfg, reg, o.Log)
	if a.site, err = openSite(cfg, reg, o.Log, o.ERPNextTimeout); err != nil {
		return fmt.Errorf("open ERPNext client: %w", err)
	}
	if a.poster, err = newPoster(cfg, a.site, a.site, a.inbox, o); err != nil {
		return err
	}
	a.registerInbox(reg, names(sources))
	registerAnchors(reg, sources)
	folder := filepath.Dir(cfg.DatabasePath)
	a.watch = newWatch(cfg, a.inbox, alerts.Found, func() (uint64, bool) { return freeSpace(folder) }, o.Log)
	a.watch.now = o.Now
	public, err := a.publicOptions(ctx, cfg, sources, alerts, reg, o.Log)
	if err != nil {
		return err
	}
	public.Now = o.Now
	if a.operator, err = a.openOperator(cfg, public, reg, o.Log); err != nil {
		return fmt.Errorf("bind operator listener: %w", err)
	}
	a.openWorkers(cfg, sources, alerts, reg, o)
	if a.public, err = a.openPublic(cfg, public); err != nil {
		return fmt.Errorf("bind public listener: %w", err)
	}
	return nil
}

func openInbox(ctx context.Context, cfg config.Config, reg prometheus.Registerer, log zerolog.Logger, now func() time.Time) (*sqlite.DB, error) {
	db, err := sqlite.Open(ctx, sqlite.Options{Path: cfg.DatabasePath, Registerer: reg, Log: log, Keys: cfg.BodyKeys, Now: now})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: LEDGERHOOK_DATABASE_URL must name a file in a folder that is there and may be written", err)
	case err != nil:
		return nil, err
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
	return openInbox(ctx, cfg, prometheus.NewRegistry(), log, time.Now)
}

// OpenSite makes the configured client of ERPNext. It contacts nobody.
func OpenSite(cfg config.Config, reg prometheus.Registerer, log zerolog.Logger) (*erpnext.Client, error) {
	return openSite(cfg, reg, log, 0)
}

func openSite(cfg config.Config, reg prometheus.Registerer, log zerolog.Logger, timeout time.Duration) (*erpnext.Client, error) {
	return erpnext.New(erpnext.Options{
		URL: cfg.ERPNext.URL, Site: cfg.ERPNext.Site, Writers: cfg.ERPNext.Writers, Credentials: signIn(cfg.ERPNext), Timeout: timeout,
		Registerer: reg, Log: log, UserAgent: "ledgerhook/" + Version(),
	})
}

// signIn chooses how to sign in. What stands in files is read again when a file
// changes and after a refusal, so that rotated credentials work without a
// restart.
func signIn(e config.ERPNext) erpnext.Credentials {
	if !e.OAuth.RefreshToken.IsSet() {
		return erpnext.Reloading(func() (erpnext.Credentials, error) { return credentials(e) }, stamps(e.APIKey, e.APISecret, e.BearerToken))
	}
	return erpnext.OAuth2(erpnext.OAuth2Options{
		TokenURL: e.OAuth.TokenURL, ClientID: e.OAuth.ClientID,
		Read:  func() (erpnext.OAuth2Secrets, error) { return oauthSecrets(e.OAuth) },
		Stamp: stamps(e.OAuth.ClientSecret, e.OAuth.RefreshToken),
	})
}

func stamps(secrets ...config.SecretSource) func() string {
	return func() string {
		var all strings.Builder
		for _, s := range secrets {
			all.WriteString(s.Stamp() + ";")
		}
		return all.String()
	}
}

func oauthSecrets(o config.OAuth) (erpnext.OAuth2Secrets, error) {
	refresh, err := o.RefreshToken.Read()
	if err != nil {
		return erpnext.OAuth2Secrets{}, err
	}
	client, err := o.ClientSecret.Read()
	return erpnext.OAuth2Secrets{Client: client.Reveal(), Refresh: refresh.Reveal()}, err
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

// newPoster makes the poster that reads its books by the client and works on the
// site.
func newPoster(cfg config.Config, client *erpnext.Client, site posting.Site, memory posting.Memory, o Options) (*posting.Poster, error) {
	desks, err := openDesks(cfg, client)
	if err != nil {
		return nil, err
	}
	shops, providers := origins(cfg)
	return posting.New(posting.Options{
		Site: site, Memory: memory, Desks: desks, Shops: shops, Providers: providers, CustomersFresh: o.CustomersFresh, Now: o.Now,
	}), nil
}

func (a *App) openOperator(cfg config.Config, public handlers.PublicOptions, reg *prometheus.Registry, log zerolog.Logger) (*listener, error) {
	handler := handlers.Operator(handlers.OperatorOptions{
		Ready: a, Events: a.inbox, Documents: a.inbox, Token: cfg.OperatorToken.Reveal(),
		Problems: a.inbox, Runs: starter{a.inbox, a.started}, Audit: a.inbox, Holds: a.inbox, Sources: slices.Sorted(maps.Keys(public.Sources)),
		Rejected: doorkeeper{a.inbox, public},
		Metrics:  promhttp.HandlerFor(reg, promhttp.HandlerOpts{}),
		DocType:  erpnext.KeyedDocTypes(),
		DryRun:   rehearsals{cfg: cfg, inbox: a.inbox, site: a.site},
		DeskURL:  DeskURL(cfg.ERPNext.URL),
	})
	bound, err := bind(cfg.OperatorAddr)
	if err != nil {
		return nil, err
	}
	l := listen(bound, handler, forOperators, log)
	a.onStop("operator listener", a.endRequests(l))
	return l, nil
}

func (a *App) openWorkers(cfg config.Config, sources map[string]source, alerts *alert.Manager, reg prometheus.Registerer, o Options) {
	a.heart = &heartbeat{
		Deliverer: traced{&deliverer{sources: sources, poster: a.poster, desk: newDesk(cfg, a.inbox), hold: a.inbox.Pause}}, Observer: observer{alerts},
		every: cfg.Heartbeat, send: a.inbox.Beat, ask: a.site.LoggedUser, log: o.Log, began: time.Now(),
	}
	a.heart.register(reg)
	labels := names(sources)
	if cfg.Heartbeat > 0 {
		labels = append(labels, event.Heartbeat)
	}
	a.pool = worker.New(worker.Options{
		Queue: a.inbox, Deliverer: a.heart, Observer: a.heart,
		Sources: labels, LeaseLost: sqlite.ErrLeaseLost, Workers: cfg.ERPNext.Writers, Rate: cfg.ERPNext.Rate, Registerer: reg, Log: o.Log, Rand: o.Rand, Now: o.Now,
	})
}

// publicOptions also start what keeps the refused requests.
func (a *App) publicOptions(ctx context.Context, cfg config.Config, sources map[string]source, alerts *alert.Manager, reg prometheus.Registerer, log zerolog.Logger) (handlers.PublicOptions, error) {
	o := intakeOptions(cfg, sources, a.inbox)
	last, err := a.inbox.LastReceived(ctx)
	if err != nil {
		return o, fmt.Errorf("read the newest events: %w", err)
	}
	kept := newKeeper(a.inbox, reg, log, names(sources))
	go kept.run()
	a.onStop("rejected requests", kept.stop)
	o.Ready, o.MaxBody, o.TrustedProxies = a, cfg.MaxBody, cfg.TrustedProxies
	o.Rejected, o.Verified, o.LastEvents = alerts.Rejected, a.watch.matched, last
	o.Keep, o.Registerer, o.Log = kept.keep, reg, log
	return o, nil
}

// intakeOptions are what decides whether a delivery is taken.
func intakeOptions(cfg config.Config, sources map[string]source, inbox handlers.Inbox) handlers.PublicOptions {
	intake := make(map[string]handlers.Source, len(sources))
	for name, src := range sources {
		intake[name] = src
	}
	return handlers.PublicOptions{Inbox: inbox, Sources: intake, AllowedSenders: cfg.AllowedSenders}
}

func (a *App) openPublic(cfg config.Config, o handlers.PublicOptions) (*listener, error) {
	var proxies []netip.Prefix
	for _, text := range cfg.TrustedProxies {
		proxy, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		proxies = append(proxies, proxy)
	}
	bound, err := bind(cfg.Addr)
	if err != nil {
		return nil, err
	}
	l := listen(handlers.LimitListener(bound, proxies, o.Registerer), handlers.Public(o), forSenders, o.Log)
	a.onStop("public listener", a.endRequests(l))
	return l, nil
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
