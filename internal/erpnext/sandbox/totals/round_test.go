package totals_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/ledgerhook/ledgerhook/internal/erpnext/sandbox/totals"
)

func TestRound(t *testing.T) {
	tests := []struct {
		value                       float64
		precision                   int
		bankers, commercial, legacy float64
	}{
		{1.005, 2, 1, 1.01, 1.01},
		{1.015, 2, 1.02, 1.02, 1.02},
		{2.675, 2, 2.68, 2.68, 2.68},
		{0.285, 2, 0.28, 0.29, 0.29}, // × 100 is 28.499999999999996 in binary
		{0.125, 2, 0.12, 0.13, 0.13},
		{0.1249999, 2, 0.12, 0.12, 0.12},
		{12.345, 2, 12.34, 12.35, 12.35},
		{-1.005, 2, -1, -1.01, -1},
		{-0.125, 2, -0.12, -0.13, -0.12},
		{-0.375, 2, -0.38, -0.38, -0.37},
		{0.5, 0, 0, 1, 0},
		{1.5, 0, 2, 2, 2},
		{2.5, 0, 2, 3, 2},
		{-2.5, 0, -2, -3, -2},
		{-0.004, 2, 0, math.Copysign(0, -1), 0},
		{0, 2, 0, 0, 0},
		{1.0049999999, 2, 1, 1, 1},
		{0.0049999999999, 2, 0, 0, 0.01},         // the legacy method sees a half in it
		{0.134999999999997, 2, 0.14, 0.13, 0.14}, // × 100 to twelve decimals is 13.5
		{1234567.895, 2, 1234567.9, 1234567.9, 1234567.9},
		{7.5, -1, 8, 8, 8},
		{math.Inf(1), 2, 0, 0, 0},
		{math.NaN(), 2, 0, 0, 0},
		{math.MaxFloat64, 2, 0, 0, 0},
		{1e300, 2, 1e300, 1.0000000000000002e300, 1e300},
	}
	for _, test := range tests {
		check := func(method string, want float64) {
			t.Helper()
			got := totals.Round(test.value, test.precision, method)
			if math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("Round(%v, %d, %q) = %v, want %v", test.value, test.precision, method, got, want)
			}
		}
		check(totals.Bankers, test.bankers)
		check(totals.Commercial, test.commercial)
		check(totals.BankersLegacy, test.legacy)
		check("", test.legacy)
	}
}

func TestRoundTwiceIsRoundOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Float64Range(-1e6, 1e6).Draw(t, "value")
		precision := rapid.IntRange(0, 6).Draw(t, "precision")
		method := rapid.SampledFrom([]string{totals.Bankers, totals.Commercial, totals.BankersLegacy}).Draw(t, "method")
		once := totals.Round(value, precision, method)
		if twice := totals.Round(once, precision, method); twice != once {
			t.Errorf("%v, then %v", once, twice)
		}
		if off := math.Abs(once - value); off > 0.5001/math.Pow10(precision)+1e-9 {
			t.Errorf("%v is %v off", once, off)
		}
	})
}
