package app

import (
	"context"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/source/stripe"
)

// stripeChecks tries the API key of every Stripe source.
func stripeChecks(ctx context.Context, cfg config.Config) []erpnext.Finding {
	var findings []erpnext.Finding
	for _, sender := range cfg.Senders() {
		if sender.Provider == config.ProviderStripe {
			findings = append(findings, stripeCheck(ctx, sender, cfg.Sheet.For(sender.Name)))
		}
	}
	return findings
}

func stripeCheck(ctx context.Context, sender config.Sender, settings config.Settings) erpnext.Finding {
	f := erpnext.Finding{Name: sender.Name, Status: erpnext.Fail}
	if sender.APIKey == "" {
		f.Status, f.Text = erpnext.Warn, "on without an API key: events tell neither fees nor conversions, so payments are booked in full and in the buyer's currency"
		f.Fix = "set LEDGERHOOK_STRIPE_API_KEY (or api_key_file of the source) to a restricted key that may read charges, refunds, disputes and payouts"
		return f
	}
	src, err := stripe.New(stripeOptions(sender, settings))
	if err != nil {
		f.Text, f.Fix = strings.TrimPrefix(err.Error(), "stripe: "), "use a key of the mode that livemode names, or correct livemode"
		return f
	}
	if e := fault.As(src.Check(ctx)); e != nil {
		f.Text, f.Fix = e.Cause+" to "+strings.TrimPrefix(e.Op, "stripe.check "), e.Hint
		if f.Fix == "" {
			f.Fix = "let this machine call Stripe's API over HTTPS; payments wait until it can"
		}
		return f
	}
	f.Status, f.Text = erpnext.OK, "the API takes the key, and lets it read all that events need"
	return f
}
