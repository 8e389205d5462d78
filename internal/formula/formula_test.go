package formula_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/formula"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

func eur(text string) money.Amount { return money.New(decimal.RequireFromString(text), "EUR") }

func order() commerce.Order {
	return commerce.Order{
		ID: "42", Name: "#1042", Currency: "EUR", CreatedAt: time.Date(2026, 3, 1, 23, 30, 0, 0, time.FixedZone("", 3600)),
		Total: eur("0.30"), TotalTax: eur("0.05"), Note: "Bitte klingeln", Tags: []string{"b2b", "vip"}, Attributes: map[string]string{"dock": "7"},
		Customer: &commerce.Party{ID: "9", Email: "mia@example.com", Company: "Mia & Söhne", TaxExempt: true},
		ShipTo:   &commerce.Address{CountryCode: "DE", City: "Köln"},
		Lines: []commerce.Line{
			{ID: "1", SKU: "TEA-1", Title: "Tee", Quantity: 3, UnitPrice: eur("0.10"), Discount: eur("0.01"), Vendor: "Acme"},
			{ID: "2", SKU: "CUP", Title: "Tasse", Quantity: 1, UnitPrice: eur("0.20"), Taxes: []commerce.Tax{{Amount: eur("0.03")}, {Amount: eur("0.02")}}},
		},
		Shipping: []commerce.Charge{{Title: "DHL", Code: "dhl", Price: eur("4.90")}},
	}
}

func field(text string) formula.Field {
	return formula.Field{Name: "custom_x", Text: text, Place: "sheet.yaml:7"}
}

func TestEval(t *testing.T) {
	o := order()
	payment := commerce.Payment{
		ID: "pi_1", Provider: "stripe", Amount: eur("10.00"), At: o.CreatedAt, Settlement: &commerce.Settlement{Fee: eur("0.45")},
	}
	fulfillment := commerce.Fulfillment{ID: "f1", Tracking: []string{"00340", "00341"}}
	for _, tt := range []struct {
		kind formula.Kind
		env  formula.Env
		text string
		want any
	}{
		{formula.KindSalesOrder, formula.ForOrder(o), `order.name + " / " + customer.company`, "#1042 / Mia & Söhne"},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.attributes["dock"]`, "7"},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.attributes.none`, ""},
		{formula.KindSalesOrder, formula.ForOrder(o), `"vip" in order.tags`, true},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.note == "" ? nil : order.note`, "Bitte klingeln"},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.po_number == "" ? nil : order.po_number`, nil},
		{formula.KindSalesOrder, formula.ForOrder(o), `len(order.lines)`, 2},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.created_at`, o.CreatedAt},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.created_at.Format("2006-01-02")`, "2026-03-01"},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.total`, "0.3"},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.total == 0.3`, true},
		{formula.KindSalesOrder, formula.ForOrder(o), `0.1 + 0.2 == order.total`, true},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.total - order.total_tax * 2 > 0`, true},
		{formula.KindSalesOrder, formula.ForOrder(o), `-order.total`, "-0.3"},
		{formula.KindSalesOrder, formula.ForOrder(o), `-(order.total + 1)`, "-1.3"},
		{formula.KindSalesOrder, formula.ForOrder(o), `-0.5`, "-0.5"},
		{formula.KindSalesOrder, formula.ForOrder(o), `1 / 3`, "0.333333333333"},
		{formula.KindSalesOrder, formula.ForOrder(o), `round(order.total / 7, 2)`, "0.04"},
		{formula.KindSalesOrder, formula.ForOrder(o), `round(0.145, 2)`, "0.15"},
		{formula.KindSalesOrder, formula.ForOrder(o), `abs(0 - order.total)`, "0.3"},
		{formula.KindSalesOrder, formula.ForOrder(o), `total(map(order.lines, .discount))`, "0.01"},
		{formula.KindSalesOrder, formula.ForOrder(o), `total(map(order.lines, .unit_price * .quantity))`, "0.5"},
		{formula.KindSalesOrder, formula.ForOrder(o), `join(map(order.lines, .sku), ", ")`, "TEA-1, CUP"},
		{formula.KindSalesOrder, formula.ForOrder(o), `string(order.total) + " " + order.currency`, "0.3 EUR"},
		{formula.KindSalesOrder, formula.ForOrder(o), `decimal("1.25") * 2`, "2.5"},
		{formula.KindSalesOrder, formula.ForOrder(o), `first(split(order.note, " "))`, "Bitte"},
		{formula.KindSalesOrder, formula.ForOrder(o), `replace(order.note, "klingeln", "klopfen")`, "Bitte klopfen"},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.ship_to.country_code`, "DE"},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.bill_to.city == "" ? order.ship_to.city : order.bill_to.city`, "Köln"},
		{formula.KindSalesOrder, formula.ForOrder(o), `order.shipping[0].title`, "DHL"},
		{formula.KindSalesInvoice, formula.ForOrder(o), `order.id`, "42"},
		{formula.KindSalesOrderItem, formula.ForLine(o, o.Lines[1]), `line.tax`, "0.05"},
		{formula.KindSalesOrderItem, formula.ForLine(o, o.Lines[0]), `line.quantity > 2 && order.name != ""`, true},
		{formula.KindCustomer, formula.ForCustomer(o.Customer), `customer.tax_exempt`, true},
		{formula.KindCustomer, formula.ForCustomer(nil), `customer.email`, ""},
		{formula.KindPaymentEntry, formula.ForPayment(payment), `payment.amount - payment.fee`, "9.55"},
		{formula.KindPaymentEntry, formula.ForPayment(payment), `upper(payment.provider) + ":" + payment.currency`, "STRIPE:EUR"},
		{formula.KindDeliveryNote, formula.ForFulfillment(o, fulfillment), `join(fulfillment.tracking, " ")`, "00340 00341"},
	} {
		t.Run(tt.text, func(t *testing.T) {
			program, err := formula.Compile(tt.kind, field(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := program.Eval(tt.env); err != nil || got != tt.want {
				t.Errorf("%v (%T), %v, want %v", got, got, err, tt.want)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, tt := range []struct {
		text         string
		line, column int
		want         string
	}{
		{`ordr.total`, 1, 1, "unknown name ordr: known: order, customer, abs, all,"},
		{`order.totl`, 1, 7, "type Order has no field totl: known: id, name, currency"},
		{"order.name +\n  customer.emial", 2, 12, "type Customer has no field emial"},
		{`order.lines[0].skuu`, 1, 16, "type Line has no field skuu"},
		{`payment.amount`, 1, 1, "unknown name payment"},
		{`order.total + "x"`, 1, 13, "mismatched types"},
		{`order.name + 1`, 1, 12, "mismatched types"},
		{`order.total.value`, 1, 13, "has no field value"},
		{`order.total.InexactFloat64()`, 1, 13, "has no method InexactFloat64"},
		{`float(1)`, 1, 1, "unknown name float"},
		{`int(order.total)`, 1, 1, "invalid argument"},
		{`now()`, 1, 1, "unknown name now"},
		{`date("2026-01-01")`, 1, 1, "unknown name date"},
		{`fromJSON("1.5")`, 1, 1, "unknown name fromJSON"},
		{`sum(map(order.lines, .discount))`, 1, 1, "no such function: sum: known: abs, all, any"}, {`reduce(order.lines, 1)`, 1, 1, "no such function: reduce"},
		{`2 ** 3`, 1, 3, "powers are not allowed"},
		{`1..3`, 1, 2, "ranges are not allowed"},
		{`len(1..3)`, 1, 6, "ranges are not allowed"},
		{`all(order.lines, all(order.lines, all(order.lines, true)))`, 1, 18, "more than 2 loops"},
		{`order`, 1, 1, "the result is a whole Order"},
		{`order.lines`, 1, 1, "the result is a list"},
		{`{"a": 1}`, 1, 1, "the result is a map"},
		{`1e3`, 1, 1, "a number with an exponent"},
		{`order.total > 0.1234567890123456`, 1, 15, "a number of more than 15 digits"},
		{`(order.paid ? 1 : 2.5) + 1`, 1, 24, "is not known: put it into string(), int() or decimal()"},
		{`order.created_at.Sub(order.updated_at).Hours()`, 1, 1, "binary fraction"},
		{`order.name[`, 1, 11, "unexpected token EOF"},
		{``, 1, 1, "unexpected token EOF"},
		{strings.Repeat("(", 3000), 1, 1, ""},
		{`"` + strings.Repeat("x", 5000) + `"`, 1, 1, "longer than 4096 bytes"},
	} {
		t.Run(fmt.Sprintf("%.40s", tt.text), func(t *testing.T) {
			_, err := formula.Compile(formula.KindSalesOrder, field(tt.text))
			wrong, ok := errors.AsType[*formula.Error](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			if !strings.Contains(wrong.Error(), tt.want) || (tt.want != "" && (wrong.Line != tt.line || wrong.Column != tt.column)) {
				t.Errorf("%v, want %q at %d:%d", wrong, tt.want, tt.line, tt.column)
			}
		})
	}
}

func TestOurOwnFieldsAreRefused(t *testing.T) {
	for _, name := range []string{"custom_ledgerhook_key", "docstatus", "name", "doctype", "items", "taxes", "grand_total", "customer", "paid_amount", "rate", "company"} {
		if _, err := formula.Compile(formula.KindSalesOrder, formula.Field{Name: name, Text: `"x"`}); err == nil || !strings.Contains(err.Error(), "ledgerhook itself") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFailureNamesFieldAndPlaceButNoData(t *testing.T) {
	for _, text := range []string{
		`order.lines[7].sku`, `decimal(customer.email)`, `order.total / order.tip`, `string(order.lines)`, `total(map(order.lines, .sku))`,
		`replace(order.note, "", join(map(order.lines, order.note), join(map(order.lines, order.note), order.note)))`,
		`first(map(order.lines, .tax > 9 ? .tax : order.tags))`, `order.paid ? 1 : order.created_at.Sub(order.updated_at).Hours()`,
		`len(replace(order.note, "e", order.note))`, `let a = order.note + order.note; let b = a + a; len(b + b)`, `len(split(order.note, ""))`,
		`len(join([order.note, order.note, order.note, order.note, order.note], ""))`, `1 / (order.total - order.total)`, `round(order.total, 13)`,
		`99999999999999.9 * 99999999999999.9 * 99999999999999.9`,
	} {
		program, err := formula.Compile(formula.KindSalesOrder, field(text))
		if err != nil {
			t.Fatal(err)
		}
		o := order()
		o.Note = strings.Repeat("secretive note ", 1000)
		o.Customer.Email = "canary@example.com"
		_, err = program.Eval(formula.ForOrder(o))
		f := fault.As(err)
		if f == nil || f.Kind != fault.Unmapped || !strings.Contains(f.Hint, "fields.sales_order.custom_x at sheet.yaml:7") {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if public := f.Error() + f.Hint; strings.Contains(public, "canary") || strings.Contains(public, "secretive") || strings.Contains(public, "TEA") {
			t.Errorf("%s: data in %q", text, public)
		}
	}
}

func TestAnEnvironmentOfAnotherDocumentIsOurMistake(t *testing.T) {
	program, err := formula.Compile(formula.KindSalesOrder, field(`order.name`))
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range []formula.Env{nil, formula.ForPayment(commerce.Payment{})} {
		if _, err := program.Eval(env); fault.KindOf(err) != fault.Internal {
			t.Errorf("%v", err)
		}
	}
}

func TestValuesLeaveOutWhatIsNil(t *testing.T) {
	fields := formula.Fields{}
	for name, text := range map[string]string{"custom_a": `order.name`, "custom_b": `nil`, "custom_c": `""`} {
		program, err := formula.Compile(formula.KindSalesOrder, formula.Field{Name: name, Text: text})
		if err != nil {
			t.Fatal(err)
		}
		fields[formula.KindSalesOrder] = append(fields[formula.KindSalesOrder], program)
	}
	got, err := fields.Values(formula.KindSalesOrder, formula.ForOrder(order()))
	if err != nil || len(got) != 2 || got["custom_a"] != "#1042" || got["custom_c"] != "" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := fields.Values(formula.KindCustomer, formula.ForCustomer(nil)); err != nil || len(got) != 0 {
		t.Errorf("of a document without any: %v, %v", got, err)
	}
}

// Numbers are drawn as texts: what an expression makes of them must be what
// decimal arithmetic makes of the same texts, to the last digit.
func TestMoneyIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`(0|[1-9][0-9]{0,8})\.[0-9]{1,6}`)
		a, b, c := number.Draw(t, "a"), number.Draw(t, "b"), number.Draw(t, "c")
		x, y, z := decimal.RequireFromString(a), decimal.RequireFromString(b), decimal.RequireFromString(c)
		o := commerce.Order{Total: money.New(x, "EUR"), TotalTax: money.New(z, "EUR"), Lines: []commerce.Line{{Quantity: 7, UnitPrice: money.New(y, "EUR")}}}
		for text, want := range map[string]decimal.Decimal{
			"order.total":                                       x,
			"order.total + " + b:                                x.Add(y),
			b + " - order.total":                                y.Sub(x),
			"order.total * " + b + " + order.total_tax":         x.Mul(y).Add(z),
			"-order.total - " + c:                               x.Neg().Sub(z),
			a + " + " + b + " + " + c:                           x.Add(y).Add(z),
			"total(map(order.lines, .unit_price * .quantity))":  y.Mul(decimal.NewFromInt(7)),
			"decimal(string(order.total)) + order.lines[0].tax": x,
		} {
			program, err := formula.Compile(formula.KindSalesOrder, field(text))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := program.Eval(formula.ForOrder(o)); err != nil || got != want.String() {
				t.Fatalf("%s = %v, %v, want %s", text, got, err, want)
			}
		}
		for sign, want := range map[string]bool{"==": x.Equal(y), "!=": !x.Equal(y), "<": x.LessThan(y), "<=": !y.LessThan(x), ">": y.LessThan(x), ">=": !x.LessThan(y)} {
			program, err := formula.Compile(formula.KindSalesOrder, field("order.total "+sign+" "+b))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := program.Eval(formula.ForOrder(o)); err != nil || got != want {
				t.Fatalf("%s %s %s = %v, %v", a, sign, b, got, err)
			}
		}
	})
}

// Whatever text compiles ends in a value that a field can hold, or in a fault
// that a person can mend.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{
		`order.total + 0.1`, `map(order.lines, .unit_price)`, `let a = order.note; a + a`, `order?.ship_to?.city ?? "x"`, `1 / 0`, `-order.total ** 2`,
		`{"a": order}`, `order.lines[1:][0].sku`, `order.note matches "[" + order.name`, `"\x00" + b"x"`, `order.created_at - order.updated_at`,
		`true ? 1 : 2.5`, `find(order.lines, .sku == "TEA-1")?.title`, `if order.paid { 1.5 } else { "x" }`, `order.total | abs()`, `$env`,
	} {
		f.Add(text)
	}
	env := formula.ForOrder(order())
	f.Fuzz(func(t *testing.T, text string) {
		program, err := formula.Compile(formula.KindSalesOrder, field(text))
		if err != nil {
			if wrong, ok := errors.AsType[*formula.Error](err); !ok || wrong.Line < 1 || wrong.Column < 1 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		got, err := program.Eval(env)
		if err != nil {
			if fault.KindOf(err) != fault.Unmapped {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		switch got.(type) {
		case nil, string, bool, int, time.Time:
		default:
			t.Fatalf("%q gave %T", text, got)
		}
	})
}
