package erpnext

import (
	"context"
	"slices"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Named are the records that the mapping sheet names beside Wanted, for Doctor
// to look at.
type Named struct {
	// Clearing maps each provider that is in use to its clearing account for
	// the company's currency; "" is the company's default bank account.
	Clearing map[string]string
	Accounts []NamedAccount
	Records  []NamedRecord
	// Makes are the DocTypes that are made because the sheet says so: those of
	// furtherNeeds whose rights are to be checked.
	Makes []string
}

// NamedAccount is an account by the place in the sheet that names it.
type NamedAccount struct {
	Key      string // "accounts.fees"
	Account  string
	Currency string // that it must be kept in; "" = the company's
}

// NamedRecord is any other record: an Item, a Customer, a Warehouse.
type NamedRecord struct{ Key, DocType, Name string }

// namedRecords checks what the sheet names: each exists, belongs to the company
// and is kept in its currency.
func (d *doctor) namedRecords(ctx context.Context) {
	for _, n := range d.named.Accounts {
		d.namedAccount(ctx, n)
	}
	for _, n := range d.named.Records {
		d.namedRecord(ctx, n)
	}
}

func (d *doctor) namedAccount(ctx context.Context, n NamedAccount) {
	name := "account: " + n.Key
	a, ok := d.account(ctx, name, n.Key, n.Account)
	if !ok {
		return
	}
	wanted := first(n.Currency, d.found.Currency)
	if a.Currency != "" && a.Currency != wanted {
		d.add(name, Fail, n.Account+" is kept in "+a.Currency+", not in "+wanted, "name an account in "+wanted+" under `"+n.Key+"` in the mapping sheet")
		return
	}
	d.ok(name, n.Account)
}

func (d *doctor) namedRecord(ctx context.Context, n NamedRecord) {
	if n.DocType == "Warehouse" {
		d.place(ctx, "warehouse: "+n.Key, n.DocType, n.Key, n.Name)
		return
	}
	if d.denied[n.DocType] || d.over {
		return
	}
	name := n.DocType + ": " + n.Key
	var found struct {
		Disabled Check `json:"disabled"`
	}
	switch err := d.client.Get(ctx, n.DocType, n.Name, &found); {
	case fault.KindOf(err) == fault.Missing:
		d.add(name, Fail, "no "+n.DocType+" "+quote(n.Name), "make it in ERPNext, or correct `"+n.Key+"` in the mapping sheet")
	case err != nil:
		d.failed(name, err)
	case bool(found.Disabled):
		d.add(name, Fail, n.Name+" is disabled", "enable it in ERPNext, or correct `"+n.Key+"` in the mapping sheet")
	default:
		d.ok(name, n.Name)
	}
}

// currencies are those that amounts come in, as far as the sheet tells.
func (d *doctor) currencies() []string {
	list := []string{d.found.Currency}
	for _, n := range d.named.Accounts {
		if n.Currency != "" && !slices.Contains(list, n.Currency) {
			list = append(list, n.Currency)
		}
	}
	return list
}
