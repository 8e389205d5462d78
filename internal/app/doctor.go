package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Doctor checks everything that can be wrong before the first event: the site,
// then this machine and what the service calls from it. It prints a line for
// each check, or a JSON list, and returns an error when one has failed; a
// warning is none. Nothing is changed and no alert is sent.
func Doctor(ctx context.Context, cfg config.Config, out io.Writer, asJSON bool) error {
	client, err := OpenSite(cfg, prometheus.NewRegistry(), zerolog.Nop())
	if err != nil {
		return err
	}
	var findings []erpnext.Finding
	for _, desk := range desksOf(cfg) {
		found := erpnext.Doctor(ctx, client, wanted(desk.settings), named(desk))
		findings = append(findings, desk.tell(found, findings)...)
	}
	findings = append(findings, inboxChecks(cfg.DatabasePath)...)
	findings = append(findings, stripeChecks(ctx, cfg)...)
	findings = append(findings, paypalChecks(ctx, cfg)...)
	findings = append(findings, alertChecks(cfg)...)
	if err := printFindings(out, findings, asJSON); err != nil {
		return err
	}
	if failed := count(findings, erpnext.Fail); failed > 0 {
		return fmt.Errorf("doctor: %d of %d checks failed", failed, len(findings))
	}
	return nil
}

func count(findings []erpnext.Finding, status string) int {
	n := 0
	for _, f := range findings {
		if f.Status == status {
			n++
		}
	}
	return n
}

func printFindings(out io.Writer, findings []erpnext.Finding, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(findings)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Status, f.Name, f.Text)
		if f.Fix != "" {
			fmt.Fprintf(w, "\t\t→ %s\n", f.Fix)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d checks: %d FAIL, %d warn\n", len(findings), count(findings, erpnext.Fail), count(findings, erpnext.Warn))
	return err
}

// Free space below which the inbox is in danger. At the lower one the service
// may not get through a weekend in which ERPNext is down.
const (
	warnFree = 1 << 30
	failFree = 100 << 20
)

func inboxChecks(path string) []erpnext.Finding {
	const name = "inbox"
	folder := filepath.Dir(path)
	if err := writable(folder, path); err != nil {
		return []erpnext.Finding{{
			Name: name, Status: erpnext.Fail, Text: err.Error(),
			Fix: "make the folder, and give the service's user the right to write there; or correct LEDGERHOOK_DATABASE_URL",
		}}
	}
	findings := []erpnext.Finding{{Name: name, Status: erpnext.OK, Text: folder + " can be written"}}
	if free, known := freeSpace(folder); known {
		findings = append(findings, diskCheck(free))
	}
	return findings
}

// writable tries what the service will do: new files in the folder, because
// SQLite keeps its journal beside the inbox, and writing an inbox that exists.
func writable(folder, path string) error {
	probe, err := os.CreateTemp(folder, ".ledgerhook-doctor-")
	if err != nil {
		return reason("the inbox's folder cannot be written", err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return reason("the inbox's folder cannot be written", err)
	}
	inbox, err := os.OpenFile(path, os.O_RDWR, 0) // never made here
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return reason("the inbox cannot be written", err)
	}
	return inbox.Close()
}

// reason leaves the path of a temporary file out.
func reason(what string, err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("%s: %w", what, err)
}

func diskCheck(free uint64) erpnext.Finding {
	f := erpnext.Finding{Name: "disk", Status: erpnext.OK, Text: fmt.Sprintf("%.1f GiB free", float64(free)/(1<<30))}
	switch {
	case free < failFree:
		f.Status = erpnext.Fail
	case free < warnFree:
		f.Status = erpnext.Warn
	default:
		return f
	}
	f.Text = fmt.Sprintf("%d MiB free where the inbox is", free>>20)
	f.Fix = "make room, or lower LEDGERHOOK_RETENTION: a full disk makes the service refuse webhooks"
	return f
}

func alertChecks(cfg config.Config) []erpnext.Finding {
	const name = "alerts"
	var findings []erpnext.Finding
	if cfg.SlackWebhookURL != "" {
		findings = append(findings, slackCheck(cfg.SlackWebhookURL))
	}
	if cfg.AlertWebhookURL != "" {
		findings = append(findings, erpnext.Finding{Name: name, Status: erpnext.OK, Text: "an alert webhook is set; it was not called"})
	}
	if findings == nil {
		findings = append(findings, erpnext.Finding{
			Name: name, Status: erpnext.Warn, Text: "nobody is told when an event is dead",
			Fix: "set LEDGERHOOK_SLACK_WEBHOOK_URL or LEDGERHOOK_ALERT_WEBHOOK_URL",
		})
	}
	return findings
}

// slackCheck looks at the URL's shape alone: the URL is the secret, and the
// only way to try it is to post.
func slackCheck(secret config.Secret) erpnext.Finding {
	const name, unsent = "slack", "; no message was sent"
	u, err := url.Parse(secret.Reveal())
	switch {
	case err != nil || u.Scheme != "https":
		return erpnext.Finding{
			Name: name, Status: erpnext.Warn, Text: "the webhook's URL is not https, so that everybody on the way can read it" + unsent,
			Fix: "use the URL that Slack shows under Incoming Webhooks",
		}
	case u.Host != "hooks.slack.com":
		return erpnext.Finding{Name: name, Status: erpnext.OK, Text: "a webhook of another host than Slack's is set" + unsent}
	case len(strings.Split(strings.Trim(u.Path, "/"), "/")) < 2:
		return erpnext.Finding{
			Name: name, Status: erpnext.Warn, Text: "the webhook's URL is cut short" + unsent,
			Fix: "copy it whole: https://hooks.slack.com/services/…",
		}
	default:
		return erpnext.Finding{Name: name, Status: erpnext.OK, Text: "a webhook is set" + unsent}
	}
}
