// Package formula runs the mapping sheet's expressions: further ERPNext fields
// that a merchant fills from orders, customers and payments. It knows what a
// shop and a provider talk about; it does no I/O, knows no clock, and has never
// heard of YAML, HTTP or ERPNext's other fields.
//
// The language is expr-lang with two differences. What an expression may name
// is fixed by struct types, so that a typo is found when it is compiled. And
// there are no binary fractions in it: a literal like 0.19 and every amount is a
// Decimal, and what could make a float of one is left out.
package formula

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Kind is a document that expressions fill fields of, as the sheet calls it.
type Kind string

// The kinds.
const (
	KindCustomer       Kind = "customer"
	KindSalesOrder     Kind = "sales_order"
	KindSalesOrderItem Kind = "sales_order_item"
	KindPaymentEntry   Kind = "payment_entry"
	KindDeliveryNote   Kind = "delivery_note"
	KindSalesInvoice   Kind = "sales_invoice"
)

// Kinds lists them all.
func Kinds() []Kind { return slices.Sorted(maps.Keys(environments)) }

// Bounds of one expression.
const (
	maxText      = 4096     // bytes of its text
	maxNodes     = 500      // of its tree
	maxLoops     = 2        // one inside another
	maxParts     = 1000     // of a text that is split
	maxResult    = 64 << 10 // bytes of any text that it makes
	memoryBudget = 100_000  // elements that it makes while it runs
)

// Error is what is wrong with an expression. Line and Column are within its
// text, in runes from 1.
type Error struct {
	Line, Column int
	Message      string
	Hint         string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// Program is a compiled expression. It may be used by many goroutines.
type Program struct {
	kind  Kind
	field string
	place string
	code  *vm.Program
}

// Field is one expression of the sheet.
type Field struct {
	Name  string // of the ERPNext field
	Text  string
	Place string // "ledgerhook.yaml:12", for messages
}

// Compile checks and compiles the expression of a field. The error is an
// *Error: a field that is not the merchant's to fill, a name that does not
// exist, operands that do not fit, a result that no field can hold.
func Compile(kind Kind, field Field) (*Program, error) {
	if why := Reserved(field.Name); why != "" {
		return nil, &Error{Line: 1, Column: 1, Message: field.Name + " " + why, Hint: "fill a field of your own, such as custom_" + field.Name}
	}
	env, ok := environments[kind]
	if !ok {
		return nil, &Error{Line: 1, Column: 1, Message: "no such document: " + string(kind)}
	}
	if len(field.Text) > maxText {
		return nil, &Error{Line: 1, Column: 1, Message: "longer than " + strconv.Itoa(maxText) + " bytes"}
	}
	if err := checkNumbers(field.Text); err != nil {
		return nil, err
	}
	code, err := compile(field.Text, env)
	if err != nil {
		return nil, located(err, env)
	}
	if err := checkTree(code.Node(), field.Text); err != nil {
		return nil, err
	}
	if err := checkResult(code.Node().Type()); err != nil {
		return nil, err
	}
	return &Program{kind: kind, field: field.Name, place: field.Place, code: code}, nil
}

// compile turns a panic of the compiler into an error: its input is a file
// that anybody may have edited.
func compile(text string, env Env) (*vm.Program, error) {
	var code *vm.Program
	err := errors.New("not an expression")
	func() {
		defer func() { _ = recover() }()
		code, err = expr.Compile(text, options(env)...)
	}()
	return code, err
}

// options is the language: what of expr is exact, bounded and pure. It is not
// optimised: an optimiser may make constants that no bound has seen.
func options(env Env) []expr.Option {
	list := []expr.Option{
		expr.Env(env), expr.DisableAllBuiltins(), expr.MaxNodes(maxNodes), expr.Optimize(false),
		expr.Patch(literals{}), expr.Patch(&negation{}),
	}
	for _, name := range builtins {
		list = append(list, expr.EnableBuiltin(name))
	}
	return append(list, functions()...)
}

// builtins are the functions of expr that need no clock, no float, no file and little
// memory.
var builtins = []string{
	"all", "none", "any", "one", "filter", "map", "find", "findLast", "count", "len", "trim", "trimPrefix", "trimSuffix",
	"upper", "lower", "indexOf", "lastIndexOf", "hasPrefix", "hasSuffix", "first", "last", "take", "uniq", "keys", "values", "int",
}

// located turns an error of the compiler into ours.
func located(err error, env Env) *Error {
	at, ok := errors.AsType[*file.Error](err)
	if !ok {
		return &Error{Line: 1, Column: 1, Message: err.Error()}
	}
	message := strings.ReplaceAll(at.Message, "formula.", "")
	return &Error{Line: max(at.Line, 1), Column: at.Column + 1, Message: message, Hint: hint(message, reflect.TypeOf(env))}
}

// checkResult refuses what no field can hold. What is only known when it runs
// is checked then.
func checkResult(t reflect.Type) error {
	switch {
	case t == nil, t.Kind() == reflect.Interface, t == typeDecimal, t == typeTime,
		t.Kind() == reflect.String, t.Kind() == reflect.Bool, t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return nil
	case t.Kind() == reflect.Float64:
		return &Error{Line: 1, Column: 1, Message: "the result is a binary fraction, which cannot hold money", Hint: "use decimals: decimal(\"0.19\")"}
	default:
		return &Error{
			Line: 1, Column: 1, Message: "the result is " + resultName(t) + ", which no field holds",
			Hint: "a text, true or false, a number, a time, or nil",
		}
	}
}

func resultName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map:
		return "a map"
	default:
		return "a whole " + t.Name()
	}
}

// Eval runs the program. The result is a string, bool, int or time.Time; an
// amount comes as the text of its decimal, without a currency; nil means: leave
// the field out. An error is a fault.Unmapped that names the field and the place
// in the sheet; what the expression saw is in its Detail alone.
func (p *Program) Eval(env Env) (any, error) {
	if env == nil || !slices.Contains(env.kinds(), p.kind) {
		return nil, fault.New(fault.Internal, "formula.eval "+string(p.kind), "an environment of another document")
	}
	machine := vm.VM{MemoryBudget: memoryBudget}
	result, err := machine.Run(p.code, env)
	if err != nil {
		return nil, p.unmapped("the expression has no result for this event", err.Error())
	}
	switch v := result.(type) {
	case nil:
		return nil, nil
	case string:
		if len(v) > maxResult {
			return nil, p.unmapped("the text is longer than "+strconv.Itoa(maxResult)+" bytes", "")
		}
		return v, nil
	case bool, int, time.Time:
		return v, nil
	case int64:
		return int(v), nil
	case Decimal:
		return v.String(), nil
	default:
		return nil, p.unmapped("the result is of a type that no field holds", fmt.Sprintf("%T", result))
	}
}

func (p *Program) unmapped(cause, detail string) error {
	return &fault.Error{
		Kind: fault.Unmapped, Op: "formula.eval " + string(p.kind) + "." + p.field, Cause: cause, Detail: detail,
		Hint: "mend the expression of fields." + string(p.kind) + "." + p.field + " at " + p.place + ", then replay the event",
	}
}

// Fields are the compiled expressions of one source, by document.
type Fields map[Kind][]*Program

// Values runs every expression of a document and gives the fields that have a
// value. It stops at the first error.
func (f Fields) Values(kind Kind, env Env) (map[string]any, error) {
	values := map[string]any{}
	for _, program := range f[kind] {
		value, err := program.Eval(env)
		if err != nil {
			return nil, err
		}
		if value != nil {
			values[program.field] = value
		}
	}
	return values, nil
}
