package money_test

import (
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text, currency string
		want           string // "" = an error
	}{
		{"12.50", "USD", "12.50 USD"},
		{"12.5", "usd", "12.50 USD"},
		{"-0.01", "USD", "-0.01 USD"},
		{"534150.00", "COP", "534150.00 COP"},
		{"1200", "JPY", "1200 JPY"},
		{"1200.00", "JPY", "1200 JPY"},
		{"12.345", "KWD", "12.345 KWD"},
		{"0.001", "USD", "0.001 USD"}, // more digits than usual are kept, never cut
		{"", "USD", ""},
		{"1e3", "USD", ""},
		{"1e3000000", "USD", ""},
		{"+1", "USD", ""},
		{" 1", "USD", ""},
		{"1.", "USD", ""},
		{".", "USD", ""},
		{"-", "USD", ""},
		{"1.2.3", "USD", ""},
		{"1,50", "USD", ""},
		{"NaN", "USD", ""},
		{strings.Repeat("9", 41), "USD", ""},
		{"1", "", ""},
		{"1", "XXX", ""},
		{"1", "DOLLARS", ""},
	}
	for _, tt := range tests {
		got, err := money.Parse(tt.text, tt.currency)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("Parse(%q, %q) = %v, want an error", tt.text, tt.currency, got)
		case tt.want != "" && (err != nil || got.String() != tt.want):
			t.Errorf("Parse(%q, %q) = %v, %v, want %v", tt.text, tt.currency, got, err, tt.want)
		}
	}
}

func TestFromMinorCountsDigits(t *testing.T) {
	for _, tt := range []struct {
		units  int64
		digits int
		want   string
	}{{1999, 2, "19.99 USD"}, {-1, 2, "-0.01 USD"}, {1999, 0, "1999.00 USD"}, {12345, 3, "12.345 USD"}} {
		if got := money.FromMinor(tt.units, tt.digits, "USD").String(); got != tt.want {
			t.Errorf("FromMinor(%d, %d) = %s, want %s", tt.units, tt.digits, got, tt.want)
		}
	}
}

func TestMinorDigits(t *testing.T) {
	for currency, want := range map[string]int{"USD": 2, "JPY": 0, "KWD": 3, "CLF": 4, "ISK": 0} {
		if got, err := money.MinorDigits(currency); err != nil || got != want {
			t.Errorf("MinorDigits(%s) = %d, %v, want %d", currency, got, err, want)
		}
	}
	for _, unknown := range []string{"", "usd", "BTC", "US", "USD EUR", " US"} {
		if got, err := money.MinorDigits(unknown); err == nil {
			t.Errorf("MinorDigits(%q) = %d, want an error: an unknown currency is never two decimals", unknown, got)
		}
	}
}

func TestSumsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.SliceOfN(rapid.Int64Range(-1e12, 1e12), 1, 50).Draw(t, "units")
		sum, total := money.Amount{}, int64(0)
		for _, u := range units {
			sum = sum.Add(money.FromMinor(u, 2, "EUR"))
			total += u
		}
		if want := decimal.New(total, -2); !sum.Value().Equal(want) || sum.Currency() != "EUR" {
			t.Fatalf("sum = %v, want %v EUR", sum, want)
		}
		if !sum.Sub(sum).IsZero() || sum.Neg().Neg().Cmp(sum) != 0 {
			t.Fatalf("%v does not cancel itself", sum)
		}
	})
}

func TestMixedCurrenciesNeverAdd(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("1 USD + 1 EUR gave a sum")
		}
	}()
	money.FromMinor(100, 2, "USD").Add(money.FromMinor(100, 2, "EUR"))
}
