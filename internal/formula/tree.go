package formula

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"
	"github.com/shopspring/decimal"
)

// maxDigits is how many digits of a literal a binary fraction keeps exactly.
const maxDigits = 15

// checkNumbers refuses literals that the parser would not keep exactly: it
// reads them as binary fractions before they become decimals.
func checkNumbers(text string) error {
	tokens, err := lexer.Lex(file.NewSource(text))
	if err != nil {
		return nil // the compiler says it better
	}
	for _, token := range tokens {
		if token.Kind != lexer.Number || !strings.ContainsAny(token.Value, ".eE") || strings.HasPrefix(strings.ToLower(token.Value), "0x") {
			continue
		}
		digits := strings.Map(digit, token.Value)
		switch {
		case strings.ContainsAny(token.Value, "eE"):
			return bound(text, token.Location, "a number with an exponent", "write it out")
		case len(strings.TrimLeft(digits, "0")) > maxDigits:
			return bound(text, token.Location, "a number of more than "+strconv.Itoa(maxDigits)+" digits", "write it as decimal(\"…\")")
		}
	}
	return nil
}

func digit(r rune) rune {
	if r < '0' || r > '9' {
		return -1
	}
	return r
}

// bound is an error at a place of the text.
func bound(text string, at file.Location, message, hint string) *Error {
	e := (&file.Error{Location: at}).Bind(file.NewSource(text))
	return &Error{Line: max(e.Line, 1), Column: e.Column + 1, Message: message, Hint: hint}
}

// literals makes a Decimal of every number with a fraction. The shortest text
// of such a number is the one that was written, as checkNumbers has seen to it.
type literals struct{}

// Visit is called for every node, children first.
func (literals) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.FloatNode)
	if !ok {
		return
	}
	value, err := decimal.NewFromString(strconv.FormatFloat(n.Value, 'f', -1, 64))
	if err != nil {
		return // stays a float, and is refused as one
	}
	constant := &ast.ConstantNode{Value: Decimal{value}}
	constant.SetType(typeDecimal)
	ast.Patch(node, constant)
}

// negation makes a call of a minus before a Decimal. It is asked again as long
// as something changes: its operand may be one only after another operator
// became a call.
type negation struct{ applied bool }

// Reset is called before every walk over the tree.
func (n *negation) Reset() { n.applied = false }

// ShouldRepeat reports whether anything changed.
func (n *negation) ShouldRepeat() bool { return n.applied }

// Visit is called for every node, children first.
func (n *negation) Visit(node *ast.Node) {
	unary, ok := (*node).(*ast.UnaryNode)
	if !ok || unary.Operator != "-" || unary.Node.Type() != typeDecimal {
		return
	}
	call := &ast.CallNode{Callee: &ast.IdentifierNode{Value: "negate"}, Arguments: []ast.Node{unary.Node}}
	call.SetType(typeDecimal)
	ast.Patch(node, call)
	n.applied = true
}

// checkTree refuses what could run for long, and arithmetic on what is only
// known when it runs: there a binary fraction could come from.
func checkTree(root ast.Node, text string) error {
	w := &walker{text: text, loops: map[ast.Node]int{}}
	ast.Walk(&root, w)
	if w.err == nil {
		return nil
	}
	return w.err
}

type walker struct {
	text  string
	loops map[ast.Node]int // predicates, with the loops that are in them
	err   *Error
}

// Visit is called for every node, children first.
func (w *walker) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.BinaryNode:
		w.operator(n)
	case *ast.BuiltinNode: // those with predicates are parsed although they are off
		if !slices.Contains(builtins, n.Name) {
			w.refuse(n, "no such function: "+n.Name, "known: "+strings.Join(functionNames(), ", "))
		}
	case *ast.PredicateNode:
		deepest := &deepest{loops: w.loops}
		ast.Walk(&n.Node, deepest)
		w.loops[n] = deepest.found + 1
		if w.loops[n] > maxLoops {
			w.refuse(n, "more than "+strconv.Itoa(maxLoops)+" loops inside one another", "")
		}
	}
}

type deepest struct {
	loops map[ast.Node]int
	found int
}

// Visit is called for every node, children first.
func (d *deepest) Visit(node *ast.Node) { d.found = max(d.found, d.loops[*node]) }

func (w *walker) operator(n *ast.BinaryNode) {
	switch n.Operator {
	case "..":
		w.refuse(n, "ranges are not allowed", "")
	case "**", "^":
		w.refuse(n, "powers are not allowed", "multiply")
	case "+", "-", "*", "/":
		if unknown(n.Left) || unknown(n.Right) {
			w.refuse(n, "the type of an operand of "+n.Operator+" is not known", "put it into string(), int() or decimal()")
		}
	}
}

func unknown(n ast.Node) bool {
	t := n.Type()
	return t == nil || t.Kind() == reflect.Interface
}

func (w *walker) refuse(n ast.Node, message, hint string) {
	if w.err == nil {
		w.err = bound(w.text, n.Location(), message, hint)
	}
}
