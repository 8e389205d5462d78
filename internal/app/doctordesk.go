package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
)

// checkedDesk is what doctor looks at: one source's settings, or those that all
// sources of the environment share.
type checkedDesk struct {
	name      string // of the source; "" = shared
	settings  config.Settings
	providers []string
}

// desksOf lists the settings to check: the shared ones, and those of every
// source for which the sheet says something of its own.
func desksOf(cfg config.Config) []checkedDesk {
	shared := checkedDesk{settings: cfg.Sheet.For("")}
	desks := []checkedDesk{}
	for _, sender := range cfg.Senders() {
		provider := string(sender.Provider)
		if _, own := cfg.Sheet.Sources[sender.Name]; own {
			desks = append(desks, checkedDesk{sender.Name, cfg.Sheet.For(sender.Name), []string{provider}})
			continue
		}
		shared.providers = append(shared.providers, provider)
	}
	if len(shared.providers) == 0 && len(desks) > 0 {
		return desks
	}
	return append([]checkedDesk{shared}, desks...)
}

// tell gives the findings that other desks have not given already, under the
// source's name.
func (d checkedDesk) tell(found, before []erpnext.Finding) []erpnext.Finding {
	var fresh []erpnext.Finding
	for _, f := range found {
		if slices.Contains(before, f) {
			continue
		}
		if d.name != "" {
			f.Name = d.name + ": " + f.Name
		}
		fresh = append(fresh, f)
	}
	return fresh
}

// named lists the records that the sheet names for a desk.
func named(d checkedDesk) erpnext.Named {
	s := d.settings
	n := erpnext.Named{Clearing: map[string]string{}}
	for _, provider := range d.providers {
		if provider != sourceShopify {
			n.Clearing[provider] = s.Accounts.Clearing[provider].In("")
		}
	}
	account := func(key, name, currency string) {
		if name != "" {
			n.Accounts = append(n.Accounts, erpnext.NamedAccount{Key: key, Account: name, Currency: currency})
		}
	}
	byCurrency := func(key string, names config.ByCurrency) {
		for _, currency := range slices.Sorted(maps.Keys(names)) {
			if currency == "" {
				account(key, names[currency], "")
			} else {
				account(key+"."+currency, names[currency], currency)
			}
		}
	}
	a := s.Accounts
	for key, name := range map[string]string{
		"accounts.fees": a.Fees, "accounts.disputes": a.Disputes, "accounts.dispute_losses": a.DisputeLosses, "accounts.gift_cards": a.GiftCards,
		"accounts.store_credit": a.StoreCredit, "accounts.duties": a.Duties, "accounts.additional_fees": a.AdditionalFees, "accounts.tips": a.Tips,
		"accounts.exchange_difference": a.ExchangeDifference,
	} {
		account(key, name, "")
	}
	byCurrency("accounts.bank", a.Bank)
	for _, provider := range slices.Sorted(maps.Keys(a.Clearing)) {
		names := maps.Clone(a.Clearing[provider])
		delete(names, "") // checked with the providers that are on
		byCurrency("accounts.clearing."+provider, names)
	}
	for i, rule := range s.Taxes {
		account(fmt.Sprintf("taxes[%d].account", i), rule.Account, "")
	}
	for i, rule := range s.Shipping.Accounts {
		account(fmt.Sprintf("shipping.accounts[%d].account", i), rule.Account, "")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Gateways)) {
		byCurrency("gateways."+name+".account", s.Gateways[name].Account)
		account("gateways."+name+".fee_account", s.Gateways[name].FeeAccount, "")
	}
	slices.SortFunc(n.Accounts, func(a, b erpnext.NamedAccount) int { return strings.Compare(a.Key, b.Key) })
	n.Records = namedRecords(s)
	n.Makes = made(s)
	return n
}

// made lists the DocTypes that are made only because the sheet says so, for
// doctor to look at the rights that this takes (erpnext.Named).
func made(s config.Settings) []string {
	var list []string
	for doctype, on := range map[string]bool{
		erpnext.DocItem:         s.Items.Create != config.CreateNothing,
		erpnext.DocSalesInvoice: invoicing(s.Orders.Invoices) != "",
		erpnext.DocDeliveryNote: s.Orders.DeliveryNotes == config.On,
	} {
		if on {
			list = append(list, doctype)
		}
	}
	return list
}

func namedRecords(s config.Settings) []erpnext.NamedRecord {
	var list []erpnext.NamedRecord
	add := func(key, doctype, name string) {
		if name != "" {
			list = append(list, erpnext.NamedRecord{Key: key, DocType: doctype, Name: name})
		}
	}
	add("guest_customer", erpnext.DocCustomer, s.GuestCustomer)
	add("unknown_payer", erpnext.DocCustomer, s.UnknownPayer)
	add("items.gift_card", erpnext.DocItem, s.Items.GiftCard)
	add("items.tip", erpnext.DocItem, s.Items.Tip)
	add("shipping.item", erpnext.DocItem, s.Shipping.Item)
	for i, rule := range s.Items.Rules {
		add(fmt.Sprintf("items.rules[%d].item", i), erpnext.DocItem, rule.Item)
	}
	for _, location := range slices.Sorted(maps.Keys(s.Orders.Locations)) {
		add("orders.locations."+location, "Warehouse", s.Orders.Locations[location])
	}
	return list
}
