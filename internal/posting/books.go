package posting

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
)

const (
	booksFresh = 10 * time.Minute
	// booksAgain is how soon the books are read again after a document could
	// not be made with them: somebody may have put right what was missing.
	booksAgain = 15 * time.Second
)

// bookkeeper reads the site's books and keeps them for a while.
type bookkeeper struct {
	read func(ctx context.Context) (mapping.Books, error)
	now  func() time.Time

	mu     sync.Mutex
	books  mapping.Books
	readAt time.Time
	doubt  bool
}

func (k *bookkeeper) get(ctx context.Context) (mapping.Books, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age := k.now().Sub(k.readAt)
	if !k.readAt.IsZero() && age < booksFresh && (!k.doubt || age < booksAgain) {
		return k.books, nil
	}
	books, err := k.read(ctx)
	if err != nil {
		return mapping.Books{}, err
	}
	k.books, k.readAt, k.doubt = books, k.now(), false
	return books, nil
}

// doubted notes that a document could not be made with these books.
func (k *bookkeeper) doubted() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.doubt = true
}

// ReadBooks finds the site's books: what `wanted` names, else what the site
// has.
func ReadBooks(site *erpnext.Client, wanted erpnext.Wanted, fixed mapping.Books) func(context.Context) (mapping.Books, error) {
	return func(ctx context.Context) (mapping.Books, error) {
		p, err := erpnext.Discover(ctx, site, wanted)
		if err != nil {
			return mapping.Books{}, err
		}
		for _, doctype := range erpnext.CoreDocTypes() {
			// Asked here so that no event pays for it.
			if _, err := site.HasKeyField(ctx, doctype); err != nil {
				return mapping.Books{}, err
			}
		}
		till, err := withCurrencies(ctx, site, fixed.Till, p.Currency)
		if err != nil {
			return mapping.Books{}, err
		}
		return filled(fixed, p, till), nil
	}
}

// filled are the books as the sheet fixes them, with what was found at the site.
func filled(b mapping.Books, p erpnext.Profile, till mapping.Till) mapping.Books {
	b.Company, b.Currency, b.CostCenter, b.PriceList, b.FallbackItem = p.Company, p.Currency, p.CostCenter, p.PriceList, p.FallbackItem
	b.CustomerGroup, b.Territory = cmp.Or(b.CustomerGroup, p.CustomerGroup), cmp.Or(b.Territory, p.Territory)
	b.RoundOffAccount, b.ShippingAccount, b.TaxAccount, b.IncomeAccount = p.RoundOffAccount, p.ShippingAccount, p.TaxAccount, p.IncomeAccount
	b.Till, b.DefaultClearing = till, p.BankAccount
	b.ExchangeAccount = cmp.Or(b.ExchangeAccount, p.ExchangeAccount)
	b.Precision, b.Location, b.Countries = p.Precision, p.Location, p.Countries
	return b
}

// withCurrencies notes which of the till's accounts are kept in another
// currency than the company's.
func withCurrencies(ctx context.Context, site *erpnext.Client, till mapping.Till, company string) (mapping.Till, error) {
	names := till.Accounts()
	if len(names) == 0 {
		return till, nil
	}
	var rows []struct {
		Name     string `json:"name"`
		Currency string `json:"account_currency"`
	}
	err := site.List(ctx, erpnext.Query{
		DocType: "Account", Fields: []string{"name", "account_currency"}, Filters: [][]any{{"name", "in", names}}, Limit: -1,
	}, &rows)
	till.Currencies = map[string]string{}
	for _, row := range rows {
		if row.Currency != "" && row.Currency != company {
			till.Currencies[row.Name] = row.Currency
		}
	}
	return till, err
}
