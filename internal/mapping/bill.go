package mapping

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/shopspring/decimal"
)

// Bill is how a Sales Order falls into the pieces that are delivered, invoiced
// and credited one by one. It is written down when the order is booked: a later
// snapshot has fewer pieces, and other taxes on them.
//
// Every piece of a line has its own part of the line's amounts, which never
// changes: the rate of its row, and the difference of two rounded shares of the
// line's tax. However the pieces are put together in invoices, those add up to
// the order. What belongs to no piece (shipping, duties, fees, a tip, rounding,
// and their taxes) is one remainder, which one invoice carries.
type Bill struct {
	Order     string     `json:"order"` // ERPNext's name of the Sales Order
	Inclusive bool       `json:"inclusive,omitempty"`
	Rated     bool       `json:"rated,omitempty"` // ERPNext computes tax from rates
	Lines     []BillLine `json:"lines"`
	Shipping  []Share    `json:"shipping,omitempty"` // taxes on shipping
	// Credits are the refunds that were taken off the order before it was booked.
	Credits []string `json:"credits,omitempty"`
}

// BillLine is one line of the order. Its rows follow those of the line before.
type BillLine struct {
	ID       string            `json:"id"`
	Kind     commerce.LineKind `json:"kind,omitempty"`
	Qty      int64             `json:"qty"`
	Rows     int               `json:"rows"` // rows of the Sales Order; 0 = it is booked as a row of the taxes
	Unit     decimal.Decimal   `json:"unit"`
	Taxes    []Share           `json:"taxes,omitempty"`
	Discount decimal.Decimal   `json:"discount"` // contained in the discount of the document
}

// Share is an amount on an account.
type Share struct {
	Account string          `json:"account"`
	Amount  decimal.Decimal `json:"amount"`
}

// pieces reports whether the line is taken apart. A tip is not: it belongs to
// the remainder.
func (l BillLine) pieces() bool { return l.Rows > 0 && l.Kind != commerce.Tip }

// Bill takes an order apart as SalesOrder books it.
func (b Books) Bill(o commerce.Order) (Bill, error) {
	if b.FallbackItem == "" {
		b.FallbackItem = "any" // no code is looked at
	}
	m := &orderMap{
		books: b, order: o, so: &erpnext.SalesOrder{}, rows: map[string]int{}, digits: b.digits(o.Currency), channelAsks: channelAsks(o),
		item: func(code string) (string, bool) { return code, true },
	}
	bill := Bill{Inclusive: o.TaxesIncluded, Rated: b.TaxRows == TaxesOnNetTotal}
	for _, line := range o.Lines {
		before := len(m.so.Items)
		if err := m.addLine(line); err != nil {
			return Bill{}, err
		}
		bill.Lines = append(bill.Lines, BillLine{ID: line.ID, Kind: line.Kind, Qty: line.Quantity, Rows: len(m.so.Items) - before, Unit: line.UnitPrice.Value()})
	}
	for _, step := range []func() error{m.addShipping, m.addCharges, m.addDiscount} {
		if err := step(); err != nil {
			return Bill{}, err
		}
	}
	for i := range bill.Lines {
		m.addShares(&bill.Lines[i], o.Lines[i])
	}
	for _, c := range o.Shipping {
		for _, t := range c.Taxes {
			bill.Shipping = added(bill.Shipping, m.ruleOf(t).Account, t.Amount.Value())
		}
	}
	for _, c := range o.Credits {
		bill.Credits = append(bill.Credits, c.ID)
	}
	return bill, nil
}

// addShares notes what of the taxes and of the discount is a line's.
func (m *orderMap) addShares(l *BillLine, line commerce.Line) {
	if !l.pieces() {
		return
	}
	if m.books.Discounts == DiscountsOnHeader {
		l.Discount = line.Discount.Value()
	}
	for _, t := range m.asked(line.Taxes) {
		l.Taxes = added(l.Taxes, m.ruleOf(t).Account, t.Amount.Value().RoundBank(m.books.Precision))
	}
}

func added(list []Share, account string, amount decimal.Decimal) []Share {
	for i := range list {
		if list[i].Account == account {
			list[i].Amount = list[i].Amount.Add(amount)
			return list
		}
	}
	return append(list, Share{account, amount})
}

// Fits reports whether a Sales Order is the one that the bill takes apart: its
// rows may have been changed by hand.
func (bill Bill) Fits(so erpnext.Stored) bool {
	at := 0
	for _, l := range bill.Lines {
		if at+l.Rows > len(so.Items) {
			return false
		}
		qty := decimal.Zero
		for _, row := range so.Items[at : at+l.Rows] {
			qty = qty.Add(row.Qty.Decimal)
		}
		if l.Rows > 0 && !qty.Equal(decimal.NewFromInt(l.Qty)) {
			return false
		}
		for _, t := range l.Taxes {
			if !bill.Rated && !slices.ContainsFunc(so.Taxes, func(row erpnext.TaxRow) bool { return row.ChargeType == actual && row.AccountHead == t.Account }) && !t.Amount.IsZero() {
				return false
			}
		}
		at += l.Rows
	}
	return true
}

// Explains reports whether an order differs from what was booked by refunds
// alone, which are credited: the same lines at the same prices, in the
// quantities that are left. Where not the whole order was invoiced, what was
// taken off before it left is not credited.
func (bill Bill) Explains(o commerce.Order, whole bool) bool {
	left := map[string]int64{}
	for _, l := range bill.Lines {
		left[l.ID] += l.Qty
	}
	for _, c := range bill.Fresh(o.Credits) {
		for _, l := range c.Lines {
			if l.Unshipped && !whole {
				return false
			}
			left[l.LineID] -= l.Quantity
		}
	}
	for _, line := range o.Lines {
		i := slices.IndexFunc(bill.Lines, func(l BillLine) bool { return l.ID == line.ID })
		if i < 0 || !bill.Lines[i].Unit.Equal(line.UnitPrice.Value()) {
			return false
		}
		left[line.ID] -= line.Quantity
	}
	for _, n := range left {
		if n != 0 {
			return false
		}
	}
	return len(bill.Fresh(o.Credits)) > 0
}

// Fresh are the refunds that the Sales Order does not know of.
func (bill Bill) Fresh(credits []commerce.Credit) []commerce.Credit {
	var fresh []commerce.Credit
	for _, c := range credits {
		if !slices.Contains(bill.Credits, c.ID) {
			fresh = append(fresh, c)
		}
	}
	return fresh
}

// Span are the pieces of a line from From up to To, counted from 0.
type Span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Pieces are pieces of an order's lines, by line.
type Pieces map[string][]Span

// Count is how many pieces of a line there are.
func (p Pieces) Count(line string) int64 {
	n := int64(0)
	for _, s := range p[line] {
		n += s.To - s.From
	}
	return n
}

// All are all pieces of the order.
func (bill Bill) All() Pieces {
	all := Pieces{}
	for _, l := range bill.Lines {
		if l.pieces() {
			all[l.ID] = []Span{{0, l.Qty}}
		}
	}
	return all
}

// Assign says which pieces each fulfilment holds. Known ones keep theirs; the
// others take, in the order of their ids, the first pieces that no fulfilment
// ever held, then those that a cancelled one gave back. So it does not matter
// in which order they become known. A fulfilment of more than was booked gets
// what there is.
func (bill Bill) Assign(fulfillments []commerce.Fulfillment, known map[string]Pieces) map[string]Pieces {
	all := map[string]Pieces{}
	sorted := OldestFirst(fulfillments, func(f commerce.Fulfillment) string { return f.ID })
	for _, l := range bill.Lines {
		if l.pieces() {
			bill.assignLine(l, sorted, known, all)
		}
	}
	return all
}

// CompareIDs orders a shop's ids, which are numbers, by age.
func CompareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// OldestFirst is a sorted copy of what a shop gave ids to.
func OldestFirst[T any](all []T, id func(T) string) []T {
	sorted := slices.Clone(all)
	// slices.SortFunc would be the code of sorting once more for every T: a
	// thousandth of the program each time.
	sort.SliceStable(sorted, func(i, j int) bool { return CompareIDs(id(sorted[i]), id(sorted[j])) < 0 })
	return sorted
}

// The states of a piece.
const (
	untouched = iota
	released
	held
)

func (bill Bill) assignLine(l BillLine, sorted []commerce.Fulfillment, known, all map[string]Pieces) {
	state := make([]int, l.Qty)
	hold := func(f commerce.Fulfillment, n int64, as int) {
		if f.Cancelled {
			as = released
		}
		state[n] = max(state[n], as)
	}
	give := func(f commerce.Fulfillment, n int64) {
		if all[f.ID] == nil {
			all[f.ID] = Pieces{}
		}
		all[f.ID][l.ID] = appendPiece(all[f.ID][l.ID], n)
	}
	for _, f := range sorted {
		for _, s := range known[f.ID][l.ID] {
			for n := s.From; n < min(s.To, l.Qty); n++ {
				hold(f, n, held)
				give(f, n)
			}
		}
	}
	for _, f := range sorted {
		if _, ok := known[f.ID]; ok {
			continue
		}
		wanted := fulfilled(f, l.ID)
		for _, free := range []int{untouched, released} {
			for n := int64(0); n < l.Qty && wanted > 0; n++ {
				if state[n] != free || heldBy(all[f.ID][l.ID], n) {
					continue
				}
				hold(f, n, held)
				give(f, n)
				wanted--
			}
		}
	}
}

// fulfilled is how many of a line a fulfilment holds.
func fulfilled(f commerce.Fulfillment, line string) int64 {
	n := int64(0)
	for _, l := range f.Lines {
		if l.LineID == line {
			n += l.Quantity
		}
	}
	return n
}

func heldBy(spans []Span, n int64) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return s.From <= n && n < s.To })
}

func appendPiece(spans []Span, n int64) []Span {
	if last := len(spans) - 1; last >= 0 && spans[last].To == n {
		spans[last].To++
		return spans
	}
	return append(spans, Span{n, n + 1})
}

// portion is a number of pieces of one row of the Sales Order.
type portion struct {
	row erpnext.StoredRow
	qty int64
}

func (p portion) amount() decimal.Decimal { return p.row.Rate.Mul(decimal.NewFromInt(p.qty)) }

// rowsOf are the rows of the bill's i-th line.
func (bill Bill) rowsOf(i int, so erpnext.Stored) []erpnext.StoredRow {
	at := 0
	for _, l := range bill.Lines[:i] {
		at += l.Rows
	}
	return so.Items[at : at+bill.Lines[i].Rows]
}

// portions are the pieces of the bill's i-th line as rows.
func (bill Bill) portions(i int, so erpnext.Stored, spans []Span) []portion {
	var list []portion
	from := int64(0)
	for _, row := range bill.rowsOf(i, so) {
		to := from + row.Qty.IntPart()
		qty := int64(0)
		for _, s := range spans {
			qty += max(0, min(s.To, to)-max(s.From, from))
		}
		if qty > 0 {
			list = append(list, portion{row, qty})
		}
		from = to
	}
	return list
}

// loose are the rows that belong to the remainder: tips, shipping as an item,
// the row of an order without items.
func (bill Bill) loose(so erpnext.Stored) []portion {
	var list []portion
	at := 0
	for i, l := range bill.Lines {
		if !l.pieces() {
			for _, row := range bill.rowsOf(i, so) {
				list = append(list, portion{row, row.Qty.IntPart()})
			}
		}
		at += l.Rows
	}
	for _, row := range so.Items[at:] {
		list = append(list, portion{row, row.Qty.IntPart()})
	}
	return list
}

// partOf is what the spans' pieces have of an amount of the whole line: for
// each span the difference of two rounded shares.
func partOf(whole decimal.Decimal, spans []Span, qty int64, digits int32) decimal.Decimal {
	upTo := func(n int64) decimal.Decimal {
		if n >= qty {
			return whole
		}
		return whole.Mul(decimal.NewFromInt(n)).Div(decimal.NewFromInt(qty)).RoundBank(digits)
	}
	sum := decimal.Zero
	for _, s := range spans {
		sum = sum.Add(upTo(s.To).Sub(upTo(s.From)))
	}
	return sum
}
