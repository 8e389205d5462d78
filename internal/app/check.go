package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/config"
)

// Problems are all that is wrong with a configuration: what config.Load found
// (loaded), what is wrong with the sheet's expressions, live and test mixed, and,
// when the rest is good, what is wrong with what the sources are made of.
func Problems(cfg config.Config, loaded error) error {
	if err := errors.Join(loaded, CheckFields(cfg.Sheet), checkModes(cfg)); err != nil {
		return err
	}
	_, err := openSources(cfg, nil)
	return err
}

// Check looks at the whole configuration without network: the environment, the
// mapping sheet and its expressions. It prints what is effective for each
// source, or as JSON that and the problems. loaded is the error of config.Load;
// what comes back holds every problem.
func Check(cfg config.Config, loaded error, out io.Writer, asJSON bool) error {
	err := Problems(cfg, loaded)
	if asJSON {
		return errors.Join(printCheck(out, cfg, err), badConfiguration(err))
	}
	if err != nil {
		return badConfiguration(err)
	}
	if _, err := fmt.Fprintf(out, "configuration is good: %s\n", Describe(cfg)); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range effective(cfg) {
		fmt.Fprintf(w, "\n%s (%s, from the %s)\n", s.Name, s.Provider, s.From)
		for _, setting := range cfg.Sheet.For(s.Name).List() {
			fmt.Fprintf(w, "  %s\t%s\n", setting.Path, setting.Value)
		}
	}
	return w.Flush()
}

func badConfiguration(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the configuration is not good:\n%w", err)
}

// effectiveSource is what holds for one source.
type effectiveSource struct {
	Name     string            `json:"name"`
	Provider config.Provider   `json:"provider"`
	From     string            `json:"from"` // "environment" or "sheet"
	Settings map[string]string `json:"settings"`
}

func effective(cfg config.Config) []effectiveSource {
	sources := []effectiveSource{}
	for _, sender := range cfg.Senders() {
		s := effectiveSource{Name: sender.Name, Provider: sender.Provider, From: "environment", Settings: map[string]string{}}
		if sender.FromSheet {
			s.From = "sheet"
		}
		for _, setting := range cfg.Sheet.For(sender.Name).List() {
			s.Settings[setting.Path] = setting.Value
		}
		sources = append(sources, s)
	}
	return sources
}

func printCheck(out io.Writer, cfg config.Config, err error) error {
	report := struct {
		Good     bool              `json:"good"`
		Problems []config.Problem  `json:"problems"`
		Sources  []effectiveSource `json:"sources"`
	}{err == nil, []config.Problem{}, effective(cfg)}
	report.Problems = append(report.Problems, config.ListProblems(err)...)
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(report)
}

// Describe says in a line what a configuration switches on. It holds no value.
func Describe(cfg config.Config) string {
	var on []string
	for _, sender := range cfg.Senders() {
		on = append(on, describeSender(sender))
	}
	if cfg.SlackWebhookURL != "" {
		on = append(on, "alerts to Slack")
	}
	if cfg.AlertWebhookURL != "" {
		on = append(on, "alerts to a webhook")
	}
	return strings.Join(on, ", ")
}

func describeSender(s config.Sender) string {
	if s.Provider != config.ProviderPayPal {
		return s.Name + " (" + secrets(len(s.Secrets)) + ")"
	}
	how := "offline check only"
	if s.ClientID != "" {
		how = "offline check, postback and read-back"
	}
	return fmt.Sprintf("%s %s (%s)", s.Name, s.Mode, how)
}

func secrets(n int) string {
	if n == 1 {
		return "1 secret"
	}
	return strconv.Itoa(n) + " secrets"
}

// Healthcheck asks the service on this machine whether it is ready. addr is
// the public listener's address; "" is the default one.
func Healthcheck(ctx context.Context, addr string) error {
	if addr == "" {
		addr = ":8080"
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+local(addr)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", noService(err, "LEDGERHOOK_ADDR"))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: the service is not ready: %s", resp.Status)
	}
	return nil
}

// noService says what to look at when a service was not reached; where is what
// names its address.
func noService(err error, where string) error {
	return fmt.Errorf("%w: is the service running, and does %s name its address?", err, where)
}

// local turns a listen address into one to call on this machine.
func local(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
