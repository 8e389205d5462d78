package app

import (
	"context"
	"fmt"
	"io"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

// wanted is what the mapping sheet names of the site.
func wanted(s config.Sheet) erpnext.Wanted {
	return erpnext.Wanted{
		Company: s.Company, PriceList: s.PriceList, CostCenter: s.CostCenter, FallbackItem: s.FallbackItem,
		RoundOffAccount: s.Accounts.RoundOff, ShippingAccount: s.Accounts.Shipping, TaxAccount: s.Accounts.Tax,
	}
}

// Setup makes in ERPNext what the service needs there, with the setup key.
func Setup(ctx context.Context, cfg config.Config, out io.Writer) error {
	if !cfg.ERPNext.SetupKey.IsSet() || !cfg.ERPNext.SetupSecret.IsSet() {
		return usagef("setup needs a System Manager's key: set LEDGERHOOK_ERPNEXT_SETUP_KEY and LEDGERHOOK_ERPNEXT_SETUP_SECRET")
	}
	key, err := cfg.ERPNext.SetupKey.Read()
	if err != nil {
		return err
	}
	secret, err := cfg.ERPNext.SetupSecret.Read()
	if err != nil {
		return err
	}
	client, err := erpnext.New(erpnext.Options{
		URL: cfg.ERPNext.URL, Site: cfg.ERPNext.Site, Credentials: erpnext.KeySecret(key.Reveal(), secret.Reveal()),
	})
	if err != nil {
		return err
	}
	return erpnext.Setup(ctx, client, erpnext.KeyedDocTypes(), func(line string) { fmt.Fprintln(out, line) })
}

// Doctor is not there yet.
func Doctor(context.Context, config.Config, io.Writer, bool) error { return nil }

// Init is not there yet.
func Init(context.Context, config.Config, io.Writer, string) error { return nil }
