package sandbox

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

var small = strings.Fields("Zero One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve Thirteen Fourteen Fifteen Sixteen Seventeen Eighteen Nineteen")
var tens = strings.Fields("- - Twenty Thirty Forty Fifty Sixty Seventy Eighty Ninety")

// inWords is an amount as documents print it: "USD Ten and Fifty Cent only."
func (t *tx) inWords(amount float64, currency string) string {
	c := t.peek("Currency", currency)
	units := cint(c["fraction_units"])
	decimals := 2
	if strings.HasSuffix(str(c, "number_format"), ".###") {
		decimals = 3
	}
	if str(c, "number_format") == "#,###" {
		decimals, units = 0, 1
	}
	// The formatting rounds the binary number itself: 2.675 is below the middle.
	main, rest, _ := strings.Cut(strconv.FormatFloat(math.Abs(amount), 'f', decimals, 64), ".")
	whole, part := cint(main), cint(rest)
	if scale := int64(math.Pow10(decimals)); units > 1 {
		part = part * units / scale
	}
	if part == 0 {
		return fmt.Sprintf("%s %s only.", currency, numberWords(whole))
	}
	fraction := str(c, "fraction")
	if whole == 0 { // frappe leaves the currency out
		return fmt.Sprintf("%s %s only.", numberWords(part), fraction)
	}
	return fmt.Sprintf("%s %s and %s %s only.", currency, numberWords(whole), numberWords(part), fraction)
}

func numberWords(n int64) string {
	switch {
	case n < 20:
		return small[n]
	case n < 100:
		if n%10 == 0 {
			return tens[n/10]
		}
		return tens[n/10] + " " + small[n%10]
	case n < 1000:
		out := small[n/100] + " Hundred"
		if n%100 > 0 {
			out += " And " + numberWords(n%100)
		}
		return out
	}
	for _, step := range []struct {
		size int64
		name string
	}{{1e9, "Billion"}, {1e6, "Million"}, {1e3, "Thousand"}} {
		if n < step.size {
			continue
		}
		out := numberWords(n/step.size) + " " + step.name
		switch rest := n % step.size; {
		case rest == 0:
		case rest < 100:
			out += " And " + numberWords(rest)
		default:
			out += ", " + numberWords(rest)
		}
		return out
	}
	return ""
}
