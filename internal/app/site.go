package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// wanted is what the mapping sheet names of the site.
func wanted(s config.Settings) erpnext.Wanted {
	return erpnext.Wanted{
		Company: s.Company, PriceList: s.PriceList, CostCenter: s.CostCenter, Warehouse: s.Warehouse, FallbackItem: s.FallbackItem,
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
	report := func(line string) { fmt.Fprintln(out, line) }
	if err := erpnext.Setup(ctx, client, erpnext.KeyedDocTypes(), report); err != nil {
		return explained(err)
	}
	return explained(erpnext.SetupItem(ctx, client, wanted(cfg.Sheet.For("")), report))
}

// Init asks the site and writes a mapping sheet to path, or to out when path
// is "-". It never overwrites a file.
func Init(ctx context.Context, cfg config.Config, out io.Writer, path string) error {
	if _, err := os.Lstat(path); path != "-" && err == nil { // before ERPNext is asked
		return exists(path)
	}
	client, err := OpenSite(cfg, prometheus.NewRegistry(), zerolog.Nop())
	if err != nil {
		return err
	}
	var sheet bytes.Buffer
	if err := erpnext.WriteSheet(ctx, client, cfg.Sheet.Company, &sheet); err != nil {
		return explained(err)
	}
	if _, err := config.ParseSheet(path, sheet.Bytes()); err != nil {
		return fmt.Errorf("the sheet that was written is not good; this is a fault of ledgerhook: %w", err)
	}
	if path == "-" {
		_, err := out.Write(sheet.Bytes())
		return err
	}
	if err := writeNew(path, sheet.Bytes()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "wrote %s: read it through, set LEDGERHOOK_SHEET=%s, then run server doctor\n", path, path)
	return err
}

// writeNew writes a file that must not exist yet. A file that could not be
// written whole is removed.
func writeNew(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return exists(path)
	}
	if err != nil {
		return usagef("%v", err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func exists(path string) error {
	return usagef("%s exists and is never overwritten: name another file with --out, or print with --out -", path)
}

// explained adds what a person can do to a failure that ends a command.
func explained(err error) error {
	if f := fault.As(err); f != nil && f.Hint != "" {
		return fmt.Errorf("%w; %s", err, f.Hint)
	}
	return err
}
