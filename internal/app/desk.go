package app

import (
	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/config"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/formula"
	"github.com/ledgerhook/ledgerhook/internal/mapping"
	"github.com/ledgerhook/ledgerhook/internal/posting"
)

// openDesks gives every source its desk: the books and policies that the
// mapping sheet has for it.
func openDesks(cfg config.Config, site *erpnext.Client) (map[string]posting.Desk, error) {
	desks := map[string]posting.Desk{}
	for _, sender := range cfg.Senders() {
		fields, err := CompileFields(cfg.Sheet, sender.Name)
		if err != nil {
			return nil, err
		}
		desks[sender.Name] = desk(cfg.Sheet.For(sender.Name), sender, fields, site)
	}
	return desks, nil
}

func desk(s config.Settings, sender config.Sender, fields formula.Fields, site *erpnext.Client) posting.Desk {
	d := posting.Desk{
		ReadBooks:     posting.ReadBooks(site, wanted(s), fixedBooks(s, fields)),
		Orders:        orderPolicy(s.Orders),
		GuestCustomer: s.GuestCustomer, UnknownPayer: s.UnknownPayer, WaitForOrder: s.Payments.Wait(),
		Fees: feePolicy(s), Gateways: map[string]posting.Gateway{},
		StopUnderpaid: s.Payments.Underpayment == config.StopDifference, StopOverpaid: s.Payments.Overpayment == config.StopDifference,
		Customers: posting.CustomerPolicy{
			FromShop: s.Customers.FromShop == config.On, Update: customerUpdate(s.Customers.Update), OnePerGuest: s.Customers.OnePerGuest == config.On,
		},
		Products:     s.Products == config.On,
		FirstOpenDay: s.Orders.ClosedPeriod == config.FirstOpenDay,
	}
	if d.Fees == posting.FeesDeducted && tellsFees(sender) && s.Payments.FeeWait != nil {
		d.WaitForFee = *s.Payments.FeeWait
	}
	for name, gateway := range s.Gateways {
		d.Gateways[name] = posting.Gateway{Owner: posting.Owner(gateway.Owner), Provider: string(gateway.Provider)}
	}
	return d
}

// tellsFees reports whether the fee of a payment can be found out, if its own
// event does not tell it.
func tellsFees(s config.Sender) bool {
	return s.Provider != config.ProviderShopify && s.APIKey != "" || s.ClientID != ""
}

// feePolicy is the sheet's. Without an account for them fees are not booked.
func feePolicy(s config.Settings) posting.FeePolicy {
	named := s.Accounts.Fees != ""
	for _, gateway := range s.Gateways {
		named = named || gateway.FeeAccount != ""
	}
	switch {
	case !named || s.Payments.Fees == config.FeeNone:
		return posting.FeesIgnored
	case s.Payments.Fees == config.FeePayout:
		return posting.FeesByPayout
	default:
		return posting.FeesDeducted
	}
}

func customerUpdate(u config.CustomerUpdate) posting.CustomerUpdate {
	switch u {
	case config.Overwrite:
		return posting.OverwriteCustomers
	case config.NeverUpdate:
		return posting.KeepCustomers
	default:
		return posting.FillCustomers
	}
}

func orderPolicy(o config.Orders) posting.OrderPolicy {
	return posting.OrderPolicy{
		OnlyPaid: o.When == config.WhenPaid, KeepDrafts: o.Submit != nil && !*o.Submit, BookTests: o.TestOrders == config.BookTests,
		NoteEdits: o.Edits == config.EditNote, Supplement: o.EditsBehind == config.EditBehindSupplement, NoteCancellations: o.Cancel == config.CancelNote, SkipTags: o.SkipTags,
		DeliveryNotes: o.DeliveryNotes == config.On, Invoices: invoicing(o.Invoices), CreditNotes: o.CreditNotes == config.On,
	}
}

func invoicing(i config.Invoicing) posting.Invoicing {
	switch i {
	case config.InvoicePaid:
		return posting.InvoicePaid
	case config.InvoiceFulfilled:
		return posting.InvoiceFulfilled
	default:
		return posting.InvoiceNever
	}
}

// fixedBooks is what the sheet says of the books; the rest is found in ERPNext.
func fixedBooks(s config.Settings, fields formula.Fields) mapping.Books {
	b := mapping.Books{
		Warehouse: s.Warehouse, Warehouses: s.Orders.Locations,
		ExchangeAccount: s.Accounts.ExchangeDifference,
		DutyAccount:     s.Accounts.Duties, FeeAccount: s.Accounts.AdditionalFees, TipAccount: s.Accounts.Tips,
		NamingSeries: s.Orders.NamingSeries, BuyersPO: s.Orders.PONo == config.PONumberOfBuyer,
		CustomerGroup: s.Customers.Group, Territory: s.Customers.Territory,
		Customers: mapping.Customers{PriceList: s.Customers.PriceList, TaxCategory: s.Customers.TaxCategory},
		Items:     itemRules(s), Till: tillOf(s), Extra: extraOf(fields),
	}
	if s.Orders.Taxes == config.TaxOnNetTotal {
		b.TaxRows = mapping.TaxesOnNetTotal
	}
	if s.Orders.Discounts == config.DiscountHeader {
		b.Discounts = mapping.DiscountsOnHeader
	}
	if s.Shipping.As == config.ShippingItem {
		b.ShippingAs = mapping.ShippingAsItem
	}
	if s.Orders.RoundingLimit != nil {
		b.ResidualLimit = *s.Orders.RoundingLimit
	}
	for _, r := range s.Taxes {
		b.Taxes = append(b.Taxes, mapping.TaxRule{Title: r.Title, Rate: r.Rate, Country: r.Country, Account: r.Account, ItemTaxTemplate: r.ItemTaxTemplate})
	}
	for _, r := range s.Shipping.Accounts {
		b.ShippingAccounts = append(b.ShippingAccounts, mapping.TitleRule(r))
	}
	return b
}

func itemRules(s config.Settings) mapping.Items {
	items := mapping.Items{Match: []mapping.ItemKey{}, GiftCard: s.Items.GiftCard, Tip: s.Items.Tip, Shipping: s.Shipping.Item}
	for _, by := range s.Items.Match {
		items.Match = append(items.Match, mapping.ItemKey(by))
	}
	for _, r := range s.Items.Rules {
		items.Rules = append(items.Rules, mapping.ItemRule(r))
	}
	if s.Items.Create != config.CreateNothing {
		items.Create = &mapping.ItemCreation{Stock: s.Items.Create == config.CreateStock, Group: s.Items.Group, UOM: s.Items.UOM}
	}
	return items
}

// tillOf names the accounts of money: a gateway's own stand beside the
// providers', under its name.
func tillOf(s config.Settings) mapping.Till {
	t := mapping.Till{
		Clearing: map[string]map[string]string{}, Bank: s.Accounts.Bank, Fees: s.Accounts.Fees, Disputes: s.Accounts.Disputes, DisputeLosses: s.Accounts.DisputeLosses,
		FeesOf: map[string]string{}, ModeOf: map[string]string{}, Mode: s.Payments.ModeOfPayment,
	}
	for provider, accounts := range s.Accounts.Clearing {
		t.Clearing[provider] = accounts
		if provider == sourceShopify {
			t.Clearing["shopify_payments"] = accounts
		}
	}
	for gateway, account := range map[string]string{"gift_card": s.Accounts.GiftCards, "shopify_store_credit": s.Accounts.StoreCredit} {
		if account != "" {
			t.Clearing[gateway] = map[string]string{"": account}
		}
	}
	for name, gateway := range s.Gateways {
		if len(gateway.Account) > 0 {
			t.Clearing[name] = gateway.Account
		}
		ofGateway(t.FeesOf, name, gateway, gateway.FeeAccount)
		ofGateway(t.ModeOf, name, gateway, gateway.ModeOfPayment)
	}
	return t
}

// ofGateway notes what a gateway has of its own, for the provider too whose
// webhooks book its money: those do not know the shop's name of it.
func ofGateway(all map[string]string, name string, gateway config.Gateway, own string) {
	if own == "" {
		return
	}
	all[name] = own
	if gateway.Provider != "" && gateway.Owner != config.OwnerShop {
		all[string(gateway.Provider)] = own
	}
}

// extraOf lets the sheet's expressions fill further fields.
func extraOf(fields formula.Fields) mapping.Extra {
	if len(fields) == 0 {
		return mapping.Extra{}
	}
	return mapping.Extra{
		Customer: func(p commerce.Party) (map[string]any, error) {
			return fields.Values(formula.KindCustomer, formula.ForCustomer(&p))
		},
		Order: func(o commerce.Order) (map[string]any, error) {
			return fields.Values(formula.KindSalesOrder, formula.ForOrder(o))
		},
		Line: func(o commerce.Order, l commerce.Line) (map[string]any, error) {
			return fields.Values(formula.KindSalesOrderItem, formula.ForLine(o, l))
		},
		Payment: func(p commerce.Payment) (map[string]any, error) {
			return fields.Values(formula.KindPaymentEntry, formula.ForPayment(p))
		},
		Delivery: func(o commerce.Order, f commerce.Fulfillment) (map[string]any, error) {
			return fields.Values(formula.KindDeliveryNote, formula.ForFulfillment(o, f))
		},
		Invoice: func(o commerce.Order) (map[string]any, error) {
			return fields.Values(formula.KindSalesInvoice, formula.ForOrder(o))
		},
	}
}
