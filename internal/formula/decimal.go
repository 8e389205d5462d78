package formula

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// Decimal is an exact number in an expression. What an expression may call on
// it is what is exported here, so there is no way to a float.
type Decimal struct{ value decimal.Decimal }

// String is the number with all its decimals, as ERPNext reads it.
func (d Decimal) String() string { return d.value.String() }

func amount(a money.Amount) Decimal { return Decimal{a.Value()} }

var (
	typeDecimal = reflect.TypeFor[Decimal]()
	typeTime    = reflect.TypeFor[time.Time]()
)

var (
	errTooLong  = errors.New("the text is too long")
	errTooLarge = errors.New("the number is too large")
)

// Bounds of a number, so that a product of products stays a number.
const (
	maxPlaces = 12
	maxWhole  = 24 // digits
)

// functions are the operators on Decimal and text, and the functions that expr
// does not have or has only for floats.
func functions() []expr.Option {
	list := []expr.Option{
		function("negate", func(p []any) (any, error) { return fit(dec(p[0]).Neg()) }, new(func(Decimal) Decimal)),
		function("abs", func(p []any) (any, error) { return fit(dec(p[0]).Abs()) }, new(func(Decimal) Decimal), new(func(int) Decimal)),
		function("round", round, new(func(Decimal, int) Decimal), new(func(int, int) Decimal)),
		function("decimal", parse, new(func(string) Decimal), new(func(int) Decimal), new(func(int64) Decimal), new(func(Decimal) Decimal)),
		function("total", total, new(func([]any) Decimal)),
		function("string", text, new(func(any) string)),
		function("join", join, new(func([]any, string) string), new(func([]string, string) string)),
		function("split", split, new(func(string, string) []string)),
		function("replace", replace, new(func(string, string, string) string)),
	}
	for _, o := range operators {
		types := []any{new(func(Decimal, Decimal) Decimal), new(func(Decimal, int) Decimal), new(func(int, Decimal) Decimal)}
		if o.sign == "/" {
			types = append(types, new(func(int, int) Decimal))
		}
		list = append(list, function(o.name, o.run, types...), expr.Operator(o.sign, o.name))
	}
	for _, c := range comparisons {
		run := func(p []any) (any, error) { return c.holds(dec(p[0]).Cmp(dec(p[1]))), nil }
		list = append(list, expr.Operator(c.sign, c.name),
			function(c.name, run, new(func(Decimal, Decimal) bool), new(func(Decimal, int) bool), new(func(int, Decimal) bool)))
	}
	return append(list, function("concat_text", concat, new(func(string, string) string)), expr.Operator("+", "concat_text"))
}

// operators are arithmetic. A quotient has as many places as a number may have.
var operators = []struct {
	sign, name string
	run        func(p []any) (any, error)
}{
	{"+", "decimal_add", func(p []any) (any, error) { return fit(dec(p[0]).Add(dec(p[1]))) }},
	{"-", "decimal_sub", func(p []any) (any, error) { return fit(dec(p[0]).Sub(dec(p[1]))) }},
	{"*", "decimal_mul", func(p []any) (any, error) { return fit(dec(p[0]).Mul(dec(p[1]))) }},
	{"/", "decimal_div", func(p []any) (any, error) {
		if dec(p[1]).IsZero() {
			return nil, errors.New("division by zero")
		}
		return fit(dec(p[0]).DivRound(dec(p[1]), maxPlaces))
	}},
}

var comparisons = []struct {
	sign, name string
	holds      func(order int) bool
}{
	{"==", "decimal_eq", func(o int) bool { return o == 0 }},
	{"!=", "decimal_ne", func(o int) bool { return o != 0 }},
	{"<", "decimal_lt", func(o int) bool { return o < 0 }},
	{"<=", "decimal_le", func(o int) bool { return o <= 0 }},
	{">", "decimal_gt", func(o int) bool { return o > 0 }},
	{">=", "decimal_ge", func(o int) bool { return o >= 0 }},
}

func function(name string, run func(p []any) (any, error), types ...any) expr.Option {
	return expr.Function(name, func(p ...any) (any, error) { return run(p) }, types...)
}

// dec is an operand as a decimal. Anything else is a panic, which the machine
// makes an error of.
func dec(v any) decimal.Decimal {
	switch n := v.(type) {
	case Decimal:
		return n.value
	case int:
		return decimal.NewFromInt(int64(n))
	case int64:
		return decimal.NewFromInt(n)
	default:
		panic(fmt.Sprintf("%T is not a decimal", v))
	}
}

// fit keeps numbers of a size that money has; a product of more places is an
// error, not a rounding that nobody asked for.
func fit(d decimal.Decimal) (any, error) {
	if d.NumDigits()+int(d.Exponent()) > maxWhole || d.NumDigits() > 2*maxWhole {
		return nil, errTooLarge
	}
	return Decimal{d}, nil
}

func round(p []any) (any, error) {
	places := p[1].(int)
	if places < 0 || places > maxPlaces {
		return nil, errors.New("round to 0 up to 12 places")
	}
	return fit(dec(p[0]).Round(int32(places)))
}

func parse(p []any) (any, error) {
	if word, ok := p[0].(string); ok {
		value, err := money.ParseDecimal(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		return fit(value)
	}
	return fit(dec(p[0]))
}

// total adds up a list of numbers: total(map(order.lines, .discount)).
func total(p []any) (any, error) {
	sum := decimal.Zero
	for _, v := range p[0].([]any) {
		sum = sum.Add(dec(v))
	}
	return fit(sum)
}

func text(p []any) (any, error) {
	switch v := p[0].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case Decimal, int, int64, bool:
		return fmt.Sprint(v), nil
	case time.Time:
		return v.Format(time.RFC3339), nil
	default:
		return nil, fmt.Errorf("no text for %T", v)
	}
}

func concat(p []any) (any, error) { return short(p[0].(string), p[1].(string)) }

// short joins texts within the bound.
func short(parts ...string) (any, error) {
	size := 0
	for _, part := range parts {
		if size += len(part); size > maxResult {
			return nil, errTooLong
		}
	}
	return strings.Join(parts, ""), nil
}

func join(p []any) (any, error) {
	var words []string
	switch list := p[0].(type) {
	case []string:
		words = list
	case []any:
		for _, v := range list {
			word, err := text([]any{v})
			if err != nil {
				return nil, err
			}
			words = append(words, word.(string))
		}
	}
	separator, size := p[1].(string), 0
	for _, word := range words {
		if size += len(word) + len(separator); size > maxResult {
			return nil, errTooLong
		}
	}
	return strings.Join(words, separator), nil
}

func split(p []any) (any, error) {
	parts := strings.SplitN(p[0].(string), p[1].(string), maxParts+1)
	if len(parts) > maxParts {
		return nil, fmt.Errorf("more than %d parts", maxParts)
	}
	return parts, nil
}

func replace(p []any) (any, error) {
	whole, old, with := p[0].(string), p[1].(string), p[2].(string)
	if size := len(whole) + strings.Count(whole, old)*max(len(with)-len(old), 0); size > maxResult {
		return nil, errTooLong
	}
	return strings.ReplaceAll(whole, old, with), nil
}
