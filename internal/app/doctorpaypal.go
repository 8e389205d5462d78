package app

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal"
)

// paypalChecks tries the credentials of every PayPal source, those of the sheet
// too, and looks at the webhook that each is for.
func paypalChecks(ctx context.Context, cfg config.Config) []erpnext.Finding {
	var findings []erpnext.Finding
	for _, sender := range cfg.Senders() {
		if sender.Provider == config.ProviderPayPal {
			findings = append(findings, paypalCheck(ctx, sender, cfg.Sheet.For(sender.Name))...)
		}
	}
	return findings
}

func paypalCheck(ctx context.Context, s config.Sender, settings config.Settings) []erpnext.Finding {
	name, hook := s.Name, s.Name+" webhook"
	src, err := openSource(s, settings, http.DefaultTransport)
	source, ok := src.(*paypal.Source)
	if err != nil || !ok {
		return []erpnext.Finding{{Name: name, Status: erpnext.Fail, Text: reasonOf(err), Fix: "correct the source's settings"}}
	}
	if s.ClientID == "" {
		return []erpnext.Finding{{
			Name: name, Status: erpnext.Warn,
			Text: "on without API credentials: the signature covers a checksum of the body only, so a forged amount could pass",
			Fix:  "set LEDGERHOOK_PAYPAL_CLIENT_ID and _CLIENT_SECRET of the REST app, or the source's in the mapping sheet: every amount is then read back before it is booked",
		}}
	}
	webhook, err := source.Webhook(ctx)
	known := erpnext.Finding{Name: name, Status: erpnext.OK, Text: s.Mode + ": the API takes the credentials"}
	switch kind := fault.KindOf(err); {
	case err == nil:
		return append([]erpnext.Finding{known}, webhookChecks(hook, s, webhook)...)
	case kind == fault.Missing:
		return []erpnext.Finding{known, {
			Name: hook, Status: erpnext.Fail, Text: "the REST app has no webhook of this id: no event can be verified",
			Fix: "take the webhook's id from the app that the credentials are of",
		}}
	case kind == fault.Rights:
		return []erpnext.Finding{known, {Name: hook, Status: erpnext.Warn, Text: "the REST app may not see its webhooks: they were not looked at"}}
	default:
		return []erpnext.Finding{paypalFailure(s, err)}
	}
}

func reasonOf(err error) string {
	if err == nil {
		return "the source is none of PayPal's"
	}
	return err.Error()
}

// paypalFailure says why there was no answer, without PayPal's own words.
func paypalFailure(s config.Sender, err error) erpnext.Finding {
	f := erpnext.Finding{
		Name: s.Name, Status: erpnext.Fail, Text: "PayPal's API was not reached",
		Fix: "let this machine call PayPal's API over HTTPS; payments wait until it can",
	}
	switch e := fault.As(err); {
	case e == nil || e.Kind == fault.Network || e.Kind == fault.Timeout:
	case e.Kind == fault.Credentials:
		f.Text = s.Mode + ": the API does not know the client id and secret"
		f.Fix = "take both from the REST app that owns the webhook; live and sandbox apps differ (LEDGERHOOK_PAYPAL_MODE, or the source's mode)"
	default:
		f.Text, f.Fix = s.Mode+": "+e.Cause, "try again later; payments wait meanwhile"
	}
	return f
}

// webhookChecks looks at where a webhook sends, and what.
func webhookChecks(name string, s config.Sender, w paypal.Webhook) []erpnext.Finding {
	var findings []erpnext.Finding
	path := "/webhooks/" + s.Name
	if u, err := url.Parse(w.URL); err != nil || !strings.HasSuffix(u.Path, path) {
		findings = append(findings, erpnext.Finding{
			Name: name, Status: erpnext.Warn, Text: "it does not send to " + path, Fix: "correct its address at PayPal, unless a proxy leads it there",
		})
	}
	if len(w.Missing) > 0 {
		findings = append(findings, erpnext.Finding{
			Name: name, Status: erpnext.Warn, Text: "it does not send " + strings.Join(w.Missing, ", "),
			Fix: "add the event types to the webhook at PayPal, or choose all of them: what is not sent is not booked",
		})
	}
	if findings == nil {
		findings = append(findings, erpnext.Finding{Name: name, Status: erpnext.OK, Text: "it sends every event that is booked to " + path})
	}
	return findings
}
