package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxSheet bounds the mapping sheet: a larger file is not one.
const maxSheet = 1 << 20

// Sheet is the mapping sheet: what ERPNext's records are called for this
// merchant. Every field may be left out; what is empty is found in ERPNext.
type Sheet struct {
	Company       string   `yaml:"company"`
	PriceList     string   `yaml:"price_list"`
	CostCenter    string   `yaml:"cost_center"`
	Warehouse     string   `yaml:"warehouse"`
	Accounts      Accounts `yaml:"accounts"`
	FallbackItem  string   `yaml:"fallback_item"`  // non-stock item for lines without a known SKU
	GuestCustomer string   `yaml:"guest_customer"` // for orders without customer and e-mail
	UnknownPayer  string   `yaml:"unknown_payer"`  // for payments of nobody known
	Payments      Payments `yaml:"payments"`
}

// Accounts names the ERPNext accounts to book on.
type Accounts struct {
	Clearing map[string]string `yaml:"clearing"` // by provider: stripe, paypal
	RoundOff string            `yaml:"round_off"`
	Shipping string            `yaml:"shipping"`
	Tax      string            `yaml:"tax"`
}

// Payments holds the policies for money.
type Payments struct {
	// WaitForOrder is how long a payment that names an order waits for it
	// before it is booked on account; nil = 30 minutes.
	WaitForOrder *time.Duration `yaml:"wait_for_order"`
}

// DefaultWaitForOrder is how long a payment waits for the order it names.
const DefaultWaitForOrder = 30 * time.Minute

// Wait is the effective WaitForOrder.
func (p Payments) Wait() time.Duration {
	if p.WaitForOrder == nil {
		return DefaultWaitForOrder
	}
	return *p.WaitForOrder
}

func (p *parser) sheet(path string) Sheet {
	if path == "" {
		return Sheet{}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		p.fail("SHEET", "%v", err)
		return Sheet{}
	}
	s, err := ParseSheet(raw)
	if err != nil {
		p.problems = append(p.problems, fmt.Errorf("%s: %w", path, err))
	}
	return s
}

// ParseSheet reads a mapping sheet strictly: an unknown or repeated key, a
// value of the wrong type or a second document is an error that names its
// line; all of them come back together.
func ParseSheet(raw []byte) (Sheet, error) {
	var s Sheet
	if len(raw) > maxSheet {
		return s, fmt.Errorf("larger than %d bytes: not a mapping sheet", maxSheet)
	}
	loader, err := yaml.NewLoader(bytes.NewReader(raw), yaml.WithV4Defaults(), yaml.WithKnownFields(), yaml.WithUniqueKeys())
	if err != nil {
		return s, err
	}
	if err := loader.Load(&s); err != nil && !errors.Is(err, io.EOF) { // EOF: nothing but comments
		return s, err
	}
	if err := loader.Load(new(any)); !errors.Is(err, io.EOF) {
		return s, errors.New("a second document follows: a mapping sheet is one document, without ---")
	}
	return s, s.check()
}

func (s Sheet) check() error {
	for provider := range s.Accounts.Clearing {
		if provider != "stripe" && provider != "paypal" {
			return fmt.Errorf("accounts.clearing: %q is no payment provider: use stripe, paypal", provider)
		}
	}
	if s.Payments.Wait() < 0 {
		return fmt.Errorf("payments.wait_for_order: must not be negative")
	}
	return nil
}
