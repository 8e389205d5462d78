package app

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/source/paypal"
	"github.com/ledgerhook/ledgerhook/internal/source/stripe"
)

// checkModes finds keys and addresses of one of a provider's worlds in a source
// that is said to be of the other.
func checkModes(cfg config.Config) error {
	var all []error
	for _, s := range cfg.Senders() {
		switch s.Provider {
		case config.ProviderStripe:
			all = append(all, stripeMode(cfg.Sheet, s))
		case config.ProviderPayPal:
			all = append(all, paypalMode(cfg.Sheet, s))
		}
	}
	return errors.Join(all...)
}

func stripeMode(sheet config.Sheet, s config.Sender) error {
	live := stripe.KeyMode(s.APIKey.Reveal())
	if live == nil || s.Livemode == nil || *live == *s.Livemode {
		return nil
	}
	key, is, want := "LEDGERHOOK_STRIPE_API_KEY", "test", "live"
	if s.FromSheet {
		key = "the source's api_key"
	}
	if *live {
		is, want = want, is
	}
	return sheet.ProblemAt("sources."+s.Name+".livemode", fmt.Sprintf("is %t, and %s is a key of the %s mode (sk_%s_ or rk_%s_)", *s.Livemode, key, is, is, is),
		fmt.Sprintf("give it the %s key of the account (sk_%s_ or rk_%s_), or write livemode: %t if %s events are meant", want, want, want, *live, is))
}

// paypalMode holds that PayPal's own addresses are those of the mode: tokens of
// one are refused at the other, and so are certificates.
func paypalMode(sheet config.Sheet, s config.Sender) error {
	u, err := url.Parse(s.APIURL)
	if err != nil || u.Hostname() != "paypal.com" && !strings.HasSuffix(u.Hostname(), ".paypal.com") {
		return nil // none, or one for tests
	}
	of := paypal.Live
	if strings.Contains(u.Hostname(), "sandbox") {
		of = paypal.Sandbox
	}
	mode := cmp.Or(s.Mode, paypal.Live)
	if mode == of {
		return nil
	}
	message := "LEDGERHOOK_PAYPAL_API_URL is PayPal's " + of + " address, and the mode is " + mode
	if s.FromSheet {
		return sheet.ProblemAt("sources."+s.Name+".mode", message, "leave LEDGERHOOK_PAYPAL_API_URL out: the mode has its own address; or write mode: "+of)
	}
	return errors.New(message + ": leave LEDGERHOOK_PAYPAL_API_URL out, the mode has its own address; or set LEDGERHOOK_PAYPAL_MODE=" + of)
}
