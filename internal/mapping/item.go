package mapping

import (
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

// rootItemGroup is the group that every site has (erpnext/setup/install.py).
const rootItemGroup = "All Item Groups"

// NewItem maps a line whose item is missing to a new Item under its best code,
// and false when nothing is to be made: an item is known, a rule names one, the
// line has no code, or the sheet does not ask for it.
func (b Books) NewItem(line commerce.Line, known func(code string) (string, bool)) (erpnext.Item, bool) {
	codes := b.Candidates(line)
	if b.Items.Create == nil || len(codes) == 0 || line.Kind != commerce.Goods {
		return erpnext.Item{}, false
	}
	m := &orderMap{books: b, item: known}
	m.books.FallbackItem = ""
	if _, err := m.codeOf(line); err == nil {
		return erpnext.Item{}, false
	}
	return erpnext.Item{
		ItemCode: cut(codes[0], maxText), ItemName: cut(firstOf(line.Title, codes[0]), maxText), Description: cut(line.Title, maxDescription),
		ItemGroup: firstOf(b.Items.Create.Group, rootItemGroup), StockUOM: firstOf(b.Items.Create.UOM, "Nos"), IsStockItem: erpnext.Check(b.Items.Create.Stock),
	}, true
}
