package totals

import (
	"math"
	"strconv"
	"strings"
)

// The three values of System Settings, rounding_method.
const (
	Bankers       = "Banker's Rounding"
	Commercial    = "Commercial Rounding"
	BankersLegacy = "Banker's Rounding (legacy)"
)

// Round is what a site makes of value when a field shows precision decimals
// (below 0 counts as 0). An empty or unknown method is the legacy one, which
// frappe falls back to. A value that is not finite becomes 0: the site cannot
// store it either.
func Round(value float64, precision int, method string) float64 {
	precision = max(precision, 0)
	var rounded float64
	switch method {
	case Bankers:
		rounded = bankers(value, precision)
	case Commercial:
		rounded = commercial(value, precision)
	default:
		rounded = bankersLegacy(value, precision)
	}
	return finite(rounded)
}

// bankers rounds halves to even. What counts as a half is decided after a
// first rounding to twelve decimals, so 0.285 × 100 = 28.499999999999996 is one.
func bankers(value float64, precision int) float64 {
	scale := math.Pow10(precision)
	scaled := roundDecimal(mul(value, scale), 12)
	whole := math.Floor(scaled)
	if math.Abs(scaled-whole-0.5) < ulp(scaled) {
		return unsigned(evenNeighbour(whole) / scale)
	}
	return unsigned(math.RoundToEven(scaled) / scale)
}

// bankersLegacy rounds halves to even only when no decimals are kept; with
// decimals a half goes up, also below zero.
func bankersLegacy(value float64, precision int) float64 {
	scale := math.Pow10(precision)
	scaled := roundDecimal(mul(value, scale), 8)
	whole := math.Floor(scaled)
	switch half := scaled-whole == 0.5; {
	case half && precision == 0:
		return unsigned(evenNeighbour(whole))
	case half:
		return unsigned((whole + 1) / scale)
	default:
		return unsigned(math.RoundToEven(scaled) / scale)
	}
}

// commercial rounds halves away from zero. One ulp is added first, so that
// 1.005, which is a little less in binary, still becomes 1.01.
func commercial(value float64, precision int) float64 {
	if value == 0 {
		return 0
	}
	return roundDecimal(value+math.Copysign(ulp(value), value), precision)
}

// roundDecimal rounds the exact binary value to so many decimals, true halves
// to even: Python's round(value, decimals). It keeps the sign of zero.
func roundDecimal(value float64, decimals int) float64 {
	text := strconv.FormatFloat(value, 'f', decimals, 64)
	rounded, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.Inf(1)
	}
	return rounded
}

// evenNeighbour is the even one of whole and whole+1.
func evenNeighbour(whole float64) float64 {
	if math.Mod(whole, 2) == 0 {
		return whole
	}
	return whole + 1
}

// ulp is the slack frappe allows around a half: between one and two units in
// the last place of value.
func ulp(value float64) float64 { return math.Abs(value) * 0x1p-52 }

// unsigned turns -0 into 0: where the site's rounding goes through a whole
// number, zero has no sign.
func unsigned(value float64) float64 { return value + 0 }

// mul is a product rounded on its own. Go may fuse x*y + z into one operation
// on some processors, and the last digit would then depend on the machine.
func mul(a, b float64) float64 { return float64(a * b) }

func finite(value float64) float64 {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0
	}
	return value
}

// toFraction moves value to the nearest multiple of a currency's smallest
// fraction (a half goes down), or to a whole unit when none is set.
func toFraction(value, fraction float64, precision int, method string) float64 {
	if fraction == 0 {
		return Round(Round(value, 0, method), precision, method)
	}
	scale := math.Pow10(precision)
	over := floorMod(mul(value, scale), mul(fraction, scale)) / scale
	over = Round(over, precision, method)
	if over > fraction/2 {
		value += fraction - over
	} else {
		value -= over
	}
	return Round(value, precision, method)
}

// floorMod is the remainder with the sign of the divisor, Python's %.
func floorMod(a, b float64) float64 {
	rest := math.Mod(a, b)
	if rest != 0 && (rest < 0) != (b < 0) {
		rest += b
	}
	return rest
}

// pythonFloat writes a number the way Python's json module does: shortest form
// that reads back, always with a point or an exponent.
func pythonFloat(value float64) string {
	scientific := strconv.FormatFloat(value, 'e', -1, 64)
	_, exponent, _ := strings.Cut(scientific, "e")
	if power, err := strconv.Atoi(exponent); err != nil || power < -4 || power >= 16 {
		return scientific
	}
	plain := strconv.FormatFloat(value, 'f', -1, 64)
	if !strings.Contains(plain, ".") {
		plain += ".0"
	}
	return plain
}
