package posting

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// A Sales Order with goods or invoices behind it stays as it is. What the shop
// adds to it afterwards can get a Sales Order of its own, a supplement; what it
// takes off is the business of its refunds. For both the memory keeps how many
// pieces of each line stand in ERPNext.

// editBehind follows an edit of an order that stands behind other documents.
func (w *orderWork) editBehind(ctx context.Context, current erpnext.Stored) error {
	covered, ok := readCovered(w.state.covered)
	if !ok { // booked by a release that did not count its pieces
		return w.leaveEdit(ctx)
	}
	added, taken := difference(covered, w.order.Lines)
	switch {
	case len(added) == 0 && !w.desk.Orders.CreditNotes && len(w.order.Refunds) > 0 && (taken || w.worthLess()):
		if err := w.commentEdit(ctx); err != nil {
			return err
		}
		w.result.note("goods were taken off the order after goods or invoices went out: its refunds book that, " + w.state.name + " stays as it is")
		return w.alive(ctx, "", nil)
	case len(added) == 0 || !w.desk.Orders.Supplement || w.desk.Orders.KeepDrafts:
		return w.leaveEdit(ctx)
	}
	return w.supplement(ctx, current, added, taken)
}

// worthLess reports whether the shop asks less for the order than what stands in
// ERPNext.
func (w *orderWork) worthLess() bool {
	total, err := money.ParseDecimal(w.state.coveredTotal)
	return err == nil && w.order.Total.Value().LessThan(total)
}

// supplement books added pieces as a Sales Order of its own.
func (w *orderWork) supplement(ctx context.Context, current erpnext.Stored, added []commerce.Line, taken bool) error {
	n := len(w.state.supplements) + 2
	o := w.order
	o.Lines, o.Shipping, o.Duties, o.Fees, o.Tip = added, nil, nil, nil, money.Zero(o.Currency)
	o.Name, o.CreatedAt, o.ShopTotal = fmt.Sprintf("%s/%d", o.Name, n), o.UpdatedAt, w.shareOfShopTotal(o, added)
	if o.PONumber != "" {
		o.PONumber = fmt.Sprintf("%s/%d", o.PONumber, n)
	}
	o.Total = linesTotal(o)
	if total, err := money.ParseDecimal(w.state.coveredTotal); err == nil && !taken {
		o.Total = money.New(w.order.Total.Value().Sub(total), o.Currency) // as the shop says, rounding and all
	}
	own := *w
	own.order, own.supplementNo = o, n
	d, err := own.draftFor(ctx, 0)
	if err != nil {
		return err
	}
	if d.stored.DocStatus == erpnext.Cancelled {
		return w.leaveEdit(ctx) // a person cancelled it, and we forgot
	}
	if err := own.submit(ctx, d); err != nil {
		return err
	}
	w.result = own.result
	w.state.supplements = append(w.state.supplements, d.stored.Name)
	w.coverMore(added, o.Total)
	if err := w.remember(ctx); err != nil { // at once: the next edit counts from here
		return err
	}
	w.result.note(fmt.Sprintf("the order was edited after goods or invoices went out: %s books what was added to %s", d.stored.Name, current.Name))
	if !taken {
		return w.alive(ctx, w.order.Note, nil)
	}
	return w.leaveEdit(ctx)
}

// shareOfShopTotal keeps the shop's own rate of exchange for a part of an order.
func (w *orderWork) shareOfShopTotal(o commerce.Order, added []commerce.Line) *money.Amount {
	if o.ShopTotal == nil || w.order.Total.IsZero() {
		return o.ShopTotal
	}
	o.Lines = added
	digits, err := money.MinorDigits(o.ShopTotal.Currency())
	if err != nil {
		return nil
	}
	share := linesTotal(o).Value().Mul(o.ShopTotal.Value()).DivRound(w.order.Total.Value(), int32(digits)) //nolint:gosec // digits is 0 to 4
	return new(money.New(share, o.ShopTotal.Currency()))
}

// linesTotal is what the lines of an order come to.
func linesTotal(o commerce.Order) money.Amount {
	total := money.Zero(o.Currency)
	for _, line := range o.Lines {
		total = total.Add(money.New(line.UnitPrice.Value().Mul(decimal.NewFromInt(line.Quantity)).Sub(line.Discount.Value()), o.Currency))
		for _, tax := range line.Taxes {
			if !o.TaxesIncluded && !tax.ByChannel {
				total = total.Add(tax.Amount)
			}
		}
	}
	return total
}

// difference tells what lines have more of than is covered, and whether they
// have less of anything. Of a line that grew only the pieces that are new come
// back, with their share of its discount and taxes.
func difference(covered map[string]int64, lines []commerce.Line) (added []commerce.Line, taken bool) {
	left := maps.Clone(covered)
	for _, line := range lines {
		more := line.Quantity - left[line.ID]
		delete(left, line.ID)
		switch {
		case more < 0:
			taken = true
		case more > 0:
			added = append(added, piecesOf(line, more))
		}
	}
	return added, taken || len(left) > 0
}

func piecesOf(line commerce.Line, n int64) commerce.Line {
	share := func(a money.Amount) money.Amount {
		digits, err := money.MinorDigits(a.Currency())
		if err != nil || n == line.Quantity {
			return a
		}
		return money.New(a.Value().Mul(decimal.NewFromInt(n)).DivRound(decimal.NewFromInt(line.Quantity), int32(digits)), a.Currency()) //nolint:gosec // digits is 0 to 4
	}
	part := line
	part.Quantity, part.Discount, part.Taxes = n, share(line.Discount), slices.Clone(line.Taxes)
	for i := range part.Taxes {
		part.Taxes[i].Amount = share(part.Taxes[i].Amount)
	}
	return part
}

// cover notes that an order stands in ERPNext as a whole.
func (w *orderWork) cover(o commerce.Order) {
	covered := map[string]int64{}
	for _, line := range o.Lines {
		covered[line.ID] += line.Quantity
	}
	w.state.covered, w.state.coveredTotal, w.state.supplements = writeCovered(covered), o.Total.Value().String(), nil
}

// coverMore notes that more pieces stand in ERPNext.
func (w *orderWork) coverMore(added []commerce.Line, total money.Amount) {
	covered, _ := readCovered(w.state.covered)
	for _, line := range added {
		covered[line.ID] += line.Quantity
	}
	before, err := money.ParseDecimal(w.state.coveredTotal)
	if err != nil {
		before = decimal.Zero
	}
	w.state.covered, w.state.coveredTotal = writeCovered(covered), before.Add(total.Value()).String()
}

func writeCovered(covered map[string]int64) string {
	var text []string
	for _, id := range slices.Sorted(maps.Keys(covered)) {
		text = append(text, id+" "+strconv.FormatInt(covered[id], 10))
	}
	return strings.Join(text, "\n")
}

func readCovered(text string) (map[string]int64, bool) {
	covered := map[string]int64{}
	for line := range strings.SplitSeq(text, "\n") {
		id, quantity, found := strings.Cut(line, " ")
		n, err := strconv.ParseInt(quantity, 10, 64)
		if !found || err != nil {
			return covered, false
		}
		covered[id] = n
	}
	return covered, true
}

// withdrawSupplements cancels what was added to an order that is cancelled; what
// goods or invoices stand behind is closed.
func (w *orderWork) withdrawSupplements(ctx context.Context) error {
	for _, name := range w.state.supplements {
		err := w.Site.Cancel(ctx, erpnext.DocSalesOrder, name)
		switch {
		case refusesToGo(err):
			err = w.closeOrder(ctx, name)
		case fault.KindOf(err) == fault.Settled, fault.KindOf(err) == fault.Missing: // it is gone already
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
