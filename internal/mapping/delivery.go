package mapping

import (
	"slices"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/shopspring/decimal"
)

// DeliveryNote maps a fulfilment to a Delivery Note against the submitted Sales
// Order, and false when it holds no goods that the order has. Gift cards, tips
// and what is booked beside the items are not delivered.
func (b Books) DeliveryNote(o commerce.Order, f commerce.Fulfillment, so erpnext.Stored, bill Bill, pieces Pieces, key string) (erpnext.DeliveryNote, bool, error) {
	at := firstTime(f.At, o.UpdatedAt, o.CreatedAt)
	dn := erpnext.DeliveryNote{
		Customer: so.Customer, Company: b.Company, PostingDate: b.Date(at), PostingTime: at.In(b.zone()).Format(time.TimeOnly), SetPostingTime: true,
		Currency: so.Currency, ConversionRate: so.ConversionRate, SellingPriceList: so.SellingPriceList, PoNo: so.PoNo,
		Title: cut(firstOf(f.Name, o.Name), maxText), CostCenter: b.CostCenter, CustomerAddress: so.CustomerAddress, ShippingAddressName: so.ShippingAddressName,
		IgnorePricingRule: true, DisableRoundedTotal: true, Key: key,
	}
	if len(f.Tracking) > 0 {
		dn.LrNo = cut(f.Tracking[0], maxText)
	}
	for i, l := range bill.Lines {
		if l.Kind != commerce.Goods {
			continue
		}
		for _, p := range bill.portions(i, so, pieces[l.ID]) {
			dn.Items = append(dn.Items, erpnext.DeliveryNoteItem{
				ItemCode: p.row.ItemCode, ItemName: p.row.ItemName, Description: p.row.Description, Qty: erpnext.Num(decimal.NewFromInt(p.qty)),
				UOM: p.row.UOM, ConversionFactor: p.row.ConversionFactor, Rate: p.row.Rate, CostCenter: p.row.CostCenter,
				Warehouse:         firstOf(b.Warehouses[f.LocationID], p.row.Warehouse, b.Warehouse),
				AgainstSalesOrder: so.Name, SoDetail: p.row.Name,
			})
		}
	}
	dn.Taxes = b.noTaxes()
	if b.Extra.Delivery != nil {
		values, err := b.Extra.Delivery(o, f)
		if err != nil {
			return dn, false, err
		}
		dn.Extra = b.fields(values)
	}
	return dn, len(dn.Items) > 0, nil
}

// noTaxes is a tax row of nothing, which keeps ERPNext's templates out.
func (b Books) noTaxes() []erpnext.TaxRow {
	account := firstOf(b.TaxAccount, b.ShippingAccount, b.RoundOffAccount)
	if account == "" {
		return nil
	}
	return []erpnext.TaxRow{{ChargeType: actual, AccountHead: account, Description: "No tax", CostCenter: b.CostCenter}}
}

// Undelivered reports whether a fulfilment holds more of the order's goods than
// the pieces that were found for it. What a refund took off before the order was
// booked is not missed.
func (bill Bill) Undelivered(o commerce.Order, f commerce.Fulfillment, pieces Pieces) bool {
	wanted := map[string]int64{}
	for _, l := range f.Lines {
		wanted[l.LineID] += l.Quantity
	}
	for _, c := range o.Credits {
		for _, l := range c.Lines {
			if slices.Contains(bill.Credits, c.ID) {
				wanted[l.LineID] -= l.Quantity
			}
		}
	}
	for line, n := range wanted {
		if n > pieces.Count(line) {
			return true
		}
	}
	return false
}

func (b Books) zone() *time.Location {
	if b.Location == nil {
		return time.UTC
	}
	return b.Location
}

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
