package posting

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/shopspring/decimal"
)

// ratesFresh is how long a day's rate is kept: somebody may put it right.
const ratesFresh = time.Hour

// ratesKept bounds the rates that are kept.
const ratesKept = 1000

// rates keeps ERPNext's exchange rates by currencies and day.
type rates struct {
	mu    sync.Mutex
	known map[string]knownRate
}

type knownRate struct {
	rate mapping.Rate
	at   time.Time
}

func (r *rates) get(key string, now time.Time) (mapping.Rate, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.known[key]
	return known.rate, ok && now.Sub(known.at) < ratesFresh
}

func (r *rates) keep(key string, rate mapping.Rate, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= ratesKept {
		r.known = map[string]knownRate{}
	}
	r.known[key] = knownRate{rate, now}
}

// rateOfMovement is what one unit of the currency that a movement had on the
// balance is worth in the company's: by what the provider did to a charge in the
// company's currency, else by ERPNext's own records.
func (p *Poster) rateOfMovement(ctx context.Context, b mapping.Books, charged money.Amount, s *commerce.Settlement, at time.Time) (mapping.Rate, error) {
	if rate, told := b.RateOf(charged, s); told {
		return rate, nil
	}
	currency := charged.Currency()
	if s != nil {
		currency = s.Net.Currency()
	}
	return p.rateOf(ctx, b, currency, at)
}

// rateOf is what one unit of a currency is worth in the company's on a day, by
// ERPNext's own records (erpnext/setup/utils.py, get_exchange_rate).
func (p *Poster) rateOf(ctx context.Context, b mapping.Books, currency string, at time.Time) (mapping.Rate, error) {
	if currency == b.Currency {
		return mapping.Rate{}, nil
	}
	day := b.Date(at)
	key := currency + "/" + b.Currency + "/" + day
	if rate, ok := p.rates.get(key, p.Now()); ok {
		return rate, nil
	}
	var rate erpnext.Number
	err := p.Site.Call(ctx, http.MethodPost, "erpnext.setup.utils.get_exchange_rate",
		map[string]string{"from_currency": currency, "to_currency": b.Currency, "transaction_date": day}, &rate)
	if err != nil {
		return mapping.Rate{}, err
	}
	if !rate.GreaterThan(decimal.Zero) {
		return mapping.Rate{}, &fault.Error{
			Kind: fault.Unmapped, Op: "posting.rate", Cause: "ERPNext has no exchange rate from " + currency + " to " + b.Currency,
			Hint: "make a Currency Exchange record for the day in ERPNext, then replay",
		}
	}
	found := mapping.Rate{Decimal: rate.Decimal}
	p.rates.keep(key, found, p.Now())
	return found, nil
}
