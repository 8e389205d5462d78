package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// What the shop signs with and the service signs in with. Everything listens
// on loopback and lives for minutes.
const (
	shopifySecret = "chaos-shopify-secret"
	stripeSecret  = "whsec_chaos"
	siteKey       = "chaos-key"
	siteSecret    = "chaos-secret"
)

// world is the service and the ERPNext, as processes.
type world struct {
	dir      string
	server   string
	url      string // of the webhooks
	operator string // of the operator's API
	siteURL  string
	inbox    string
	clock    string // file with the service's clock's offset
	env      []string
	faults   string // of the ERPNext's next start
	service  *process
	site     *process
	stopped  sync.Once
}

func newWorld(server, dir string) (*world, error) {
	ports, err := Reserve(3)
	if err != nil {
		return nil, err
	}
	w := &world{
		dir: dir, server: server, inbox: filepath.Join(dir, "inbox.db"), clock: filepath.Join(dir, "clock"),
		url: "http://" + ports[0], operator: "http://" + ports[1], siteURL: "http://" + ports[2],
	}
	w.env = append(bare(os.Environ()),
		"LEDGERHOOK_ADDR="+ports[0], "LEDGERHOOK_OPERATOR_ADDR="+ports[1], "LEDGERHOOK_DATABASE_URL=sqlite:"+w.inbox,
		"LEDGERHOOK_ERPNEXT_URL="+w.siteURL, "LEDGERHOOK_ERPNEXT_API_KEY="+siteKey, "LEDGERHOOK_ERPNEXT_API_SECRET="+siteSecret,
		"LEDGERHOOK_ERPNEXT_SETUP_KEY="+siteKey, "LEDGERHOOK_ERPNEXT_SETUP_SECRET="+siteSecret,
		"LEDGERHOOK_SHOPIFY_SECRETS="+shopifySecret, "LEDGERHOOK_STRIPE_SECRETS="+stripeSecret, "LEDGERHOOK_LOG_LEVEL=warn",
	)
	w.service = &process{
		server: server, env: w.env, log: filepath.Join(dir, "service.log"), probe: w.url + "/readyz",
		args: func() []string { return []string{"chaos", "service", "--clock", w.clock} },
	}
	w.site = &process{
		server: server, env: bare(os.Environ()), log: filepath.Join(dir, "site.log"), probe: w.siteURL + "/api/method/ping",
		args: func() []string {
			return []string{
				"sandbox", "--addr", ports[2], "--key", siteKey, "--secret", siteSecret,
				"--data", filepath.Join(dir, "site.jsonl"), "--fault", w.faults,
			}
		},
	}
	return w, nil
}

// bare is an environment without this product's settings.
func bare(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, "LEDGERHOOK_") })
}

// begin starts both and sets the ERPNext up as a consultant would.
func (w *world) begin(ctx context.Context) error {
	if err := w.site.start(ctx); err != nil {
		return fmt.Errorf("in-memory ERPNext: %w", err)
	}
	setup := exec.CommandContext(ctx, w.server, "setup")
	setup.Env = w.env
	if out, err := setup.CombinedOutput(); err != nil {
		return fmt.Errorf("setup: %w: %s", err, out)
	}
	if err := w.service.start(ctx); err != nil {
		return fmt.Errorf("service: %w", err)
	}
	return nil
}

// stop ends both. It may be called twice.
func (w *world) stop() {
	w.stopped.Do(func() {
		w.service.kill()
		w.site.kill()
	})
}
