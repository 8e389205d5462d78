package posting

import (
	"context"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

// itemBook knows which codes are items in ERPNext. A code that nobody asked
// about is taken to be one: ERPNext says when it is not.
type itemBook map[string]string // by lower-case code; "" = ERPNext has no such item

func (b itemBook) code(code string) (string, bool) {
	found, asked := b[strings.ToLower(code)]
	if !asked {
		return code, true
	}
	return found, found != ""
}

// ask looks all codes of an order's lines up at once, and gives the names of
// the items by their codes.
func (b itemBook) ask(ctx context.Context, site Site, books mapping.Books, lines []commerce.Line) (map[string]string, error) {
	var codes []string
	for _, line := range lines {
		for _, code := range books.Candidates(line) {
			codes = append(codes, code)
			b[strings.ToLower(code)] = ""
		}
	}
	if len(codes) == 0 {
		return nil, nil
	}
	var rows []struct {
		Name     string `json:"name"`
		ItemName string `json:"item_name"`
	}
	err := site.List(ctx, erpnext.Query{
		DocType: erpnext.DocItem, Fields: []string{"name", "item_name"}, Filters: [][]any{{"name", "in", codes}}, Limit: len(codes),
	}, &rows)
	names := map[string]string{}
	for _, row := range rows {
		b[strings.ToLower(row.Name)], names[row.Name] = row.Name, row.ItemName
	}
	return names, err
}

// makeItems makes the items of lines that have none, where the sheet asks for
// that, and tells how many there were.
func (p *Poster) makeItems(ctx context.Context, books mapping.Books, known itemBook, lines []commerce.Line) (int, error) {
	made := 0
	for _, line := range lines {
		item, missing := books.NewItem(line, known.code)
		if !missing {
			continue
		}
		if err := p.Site.Create(ctx, erpnext.DocItem, item, nil); err != nil && !alreadyThere(err) {
			return made, err
		}
		known[strings.ToLower(item.ItemCode)] = item.ItemCode
		made++
	}
	return made, nil
}
