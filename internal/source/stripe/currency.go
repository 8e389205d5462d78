package stripe

import (
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/money"
)

// digitsAtStripe is how many decimals Stripe's whole numbers have where that is
// not two. It follows Stripe's currency page and differs from ISO 4217: the
// ariary has none, and krónur and Uganda shillings are sent with two decimals
// that are always 00.
var digitsAtStripe = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "JPY": 0, "KMF": 0, "KRW": 0, "MGA": 0, "PYG": 0,
	"RWF": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "JOD": 3, "KWD": 3, "OMR": 3, "TND": 3,
	"HUF": 2, "ISK": 2, "TWD": 2, "UGX": 2,
}

// minorDigits tells how many decimals a currency (in capitals) has at Stripe.
// One that Stripe does not list counts as two decimals only if ISO 4217 says so
// too: for any other nothing is known, and guessing would be wrong by a factor
// of ten or more.
func minorDigits(currency string) (int, bool) {
	if digits, ok := digitsAtStripe[currency]; ok {
		return digits, true
	}
	digits, err := money.MinorDigits(currency)
	return digits, err == nil && digits == 2
}

// amount makes an amount from a whole number of Stripe's minor units.
func amount(units int64, currency string) (money.Amount, bool) {
	currency = strings.ToUpper(currency)
	digits, ok := minorDigits(currency)
	if !ok {
		return money.Amount{}, false
	}
	return money.FromMinor(units, digits, currency), true
}
