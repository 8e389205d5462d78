package mapping

import (
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

// rootItemGroup is the group that every site has (erpnext/setup/install.py).
const rootItemGroup = "All Item Groups"

// ItemOf is the item of a line, and false when it would be the fallback.
func (b Books) ItemOf(line commerce.Line, known func(code string) (string, bool)) (string, bool) {
	b.FallbackItem = ""
	code, err := (&orderMap{books: b, item: known}).codeOf(line)
	return code, err == nil
}

// ItemName is what the item of a line is called.
func (b Books) ItemName(line commerce.Line) string { return cut(line.Title, maxText) }

// NewItem maps a line whose item is missing to a new Item under its best code,
// and false when nothing is to be made: an item is known, a rule names one, the
// line has no code, or the sheet does not ask for it.
func (b Books) NewItem(line commerce.Line, known func(code string) (string, bool)) (erpnext.Item, bool) {
	codes := b.Candidates(line)
	if b.Items.Create == nil || len(codes) == 0 || line.Kind != commerce.Goods {
		return erpnext.Item{}, false
	}
	if _, found := b.ItemOf(line, known); found {
		return erpnext.Item{}, false
	}
	return erpnext.Item{
		ItemCode: cut(codes[0], maxText), ItemName: firstOf(b.ItemName(line), codes[0]), Description: cut(line.Title, maxDescription),
		ItemGroup: firstOf(b.Items.Create.Group, rootItemGroup), StockUOM: firstOf(b.Items.Create.UOM, "Nos"), IsStockItem: erpnext.Check(b.Items.Create.Stock),
	}, true
}
