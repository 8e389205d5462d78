package shopify

import (
	"cmp"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/money"
	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// transaction reads one movement of money at a gateway.
func (s *Source) transaction(p strictjson.Place, ev event.Event) (commerce.Content, error) {
	t := readTransaction(p, ev.ReceivedAt)
	switch {
	case t.test && !s.tests:
		return commerce.Content{Ignored: "a test transaction (test: true)"}, nil
	case t.kind == "refund":
		return commerce.Content{Refunds: []commerce.Refund{t.refund()}}, nil
	case t.kind != "sale" && t.kind != "capture":
		return commerce.Content{Ignored: "a transaction of the kind " + t.kind + " moves no money"}, nil
	case t.status != "success":
		return commerce.Content{Ignored: "the transaction is " + t.status + ": no money was moved"}, nil
	}
	payment := t.payment()
	return commerce.Content{Payment: &payment}, nil
}

// refund reads a refund by its transactions: its lines say what goods came
// back, not how much money went (an official sample has 399.29 of lines and
// gives back 209.00).
func (s *Source) refund(p strictjson.Place, ev event.Event) (commerce.Content, error) {
	c := commerce.Content{Refunds: s.readRefunds(p, ev.ReceivedAt)}
	if credit := readCredit(p, s.refundPurse(p), ev.ReceivedAt); !credit.Worthless() {
		c.Credits = []commerce.Credit{credit}
	}
	if len(c.Refunds) == 0 && len(c.Credits) == 0 {
		c.Ignored = "the refund gave back no money"
	}
	return c, nil
}

func (s *Source) readRefunds(p strictjson.Place, received time.Time) []commerce.Refund {
	var refunds []commerce.Refund
	for _, place := range p.Get("transactions").Each() {
		if place.Get("kind").Text() != "refund" {
			continue
		}
		if t := readTransaction(place, received); s.tests || !t.test {
			refunds = append(refunds, t.refund())
		}
	}
	return refunds
}

// readMoney reads the transactions and refunds that come inside an order.
func (s *Source) readMoney(p strictjson.Place, o *commerce.Order, m purse) {
	for _, place := range p.Get("transactions").Each() {
		kind := place.Get("kind").Text()
		if kind != "sale" && kind != "capture" {
			continue
		}
		if t := readTransaction(place, o.UpdatedAt); t.status == "success" && (s.tests || !t.test) {
			o.Payments = append(o.Payments, t.payment())
		}
	}
	for _, refund := range p.Get("refunds").Each() {
		o.Refunds = append(o.Refunds, s.readRefunds(refund, o.UpdatedAt)...)
		if credit := readCredit(refund, m, o.UpdatedAt); !credit.Worthless() {
			o.Credits = append(o.Credits, credit)
		}
	}
}

// transaction is one entry of Shopify's ledger of a gateway.
type transaction struct {
	id, parent, order, kind, status, gateway string
	aliases                                  []string
	amount, rounding                         money.Amount
	at                                       time.Time
	test                                     bool
}

func readTransaction(p strictjson.Place, received time.Time) transaction {
	t := transaction{
		id: p.Get("id").ID(), parent: p.Get("parent_id").ID(), order: p.Get("order_id").ID(),
		kind: p.Get("kind").Text(), status: p.Get("status").Text(), gateway: p.Get("gateway").Text(),
		at: firstTime(p.Get("processed_at").Time(), p.Get("created_at").Time(), received), test: p.Get("test").Flag(),
	}
	if !strictjson.PlainID(t.id) {
		p.Get("id").Complain("is not a usable identifier")
	}
	if currency := p.Get("currency").Currency(); currency != "" {
		t.amount = p.Get("amount").Amount(currency)
		t.rounding = readRounding(p.Get("amount_rounding"), currency)
	}
	receipt := p.Get("receipt")
	for _, id := range []string{
		p.Get("authorization").ID(), receipt.Get("payment_intent_id").ID(), receipt.Get("charge_id").ID(), receipt.Get("transaction_id").ID(), receipt.Get("id").ID(),
	} {
		if strictjson.PlainID(id) && id != t.id {
			t.aliases = append(t.aliases, id)
		}
	}
	return t
}

// readRounding reads what cash rounding changed. It is a plain amount, or a
// pair with the shop's money.
func readRounding(p strictjson.Place, currency string) money.Amount {
	if p.Value().Kind() == strictjson.Object {
		return p.Get("shop_money").Get("amount").OptionalAmount(currency)
	}
	return p.OptionalAmount(currency)
}

func (t transaction) payment() commerce.Payment {
	return commerce.Payment{
		ID: t.id, Aliases: t.aliases, Reference: cmp.Or(first(t.aliases), t.id), Amount: t.amount, Rounding: t.rounding, At: t.at,
		OrderRefs: orderRefs(t.order), Provider: provider, Gateway: t.gateway,
	}
}

func (t transaction) refund() commerce.Refund {
	outcome := commerce.Failed
	switch t.status {
	case "success":
		outcome = commerce.Succeeded
	case "pending":
		outcome = commerce.Pending
	}
	return commerce.Refund{
		ID: t.id, Aliases: t.aliases, PaymentID: t.parent, Reference: cmp.Or(first(t.aliases), t.id), Amount: t.amount.Abs(), At: t.at, Outcome: outcome,
		OrderRefs: orderRefs(t.order), Provider: provider, Gateway: t.gateway,
	}
}

func orderRefs(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}

// stages of a dispute by Shopify's states. Money is taken when it is opened.
var stages = map[string]commerce.DisputeStage{
	"needs_response": commerce.DisputeWithdrawn, "under_review": commerce.DisputeWithdrawn, "charge_refunded": commerce.DisputeClosed,
	"accepted": commerce.DisputeLost, "won": commerce.DisputeReinstated, "lost": commerce.DisputeLost,
}

// dispute reads a dispute of a Shopify Payments payment. An inquiry takes no
// money.
func (s *Source) dispute(p strictjson.Place, ev event.Event) (commerce.Content, error) {
	d := &commerce.Dispute{
		ID: p.Get("id").ID(), PaymentID: p.Get("order_id").ID(), Reference: p.Get("id").ID(), Reason: p.Get("reason").Text(),
		At: firstTime(p.Get("initiated_at").Time(), ev.ReceivedAt), DueBy: p.Get("evidence_due_by").Time(), Provider: "shopify_payments",
	}
	if currency := p.Get("currency").Currency(); currency != "" {
		d.Amount = p.Get("amount").Amount(currency).Abs()
	}
	stage, ok := stages[p.Get("status").Text()]
	if !ok {
		p.Get("status").Complain("is not a known state of a dispute")
	}
	d.Stage = stage
	if p.Get("type").Text() == "inquiry" && stage == commerce.DisputeWithdrawn {
		d.Stage = commerce.DisputeOpened
	}
	if !strictjson.PlainID(d.ID) {
		p.Get("id").Complain("is not a usable identifier")
	}
	return commerce.Content{Dispute: d}, nil
}

// customer reads a customer record.
func (s *Source) customer(p strictjson.Place, ev event.Event) (commerce.Content, error) {
	party := &commerce.Party{
		ID: p.Get("id").ID(), Email: p.Get("email").Text(), FirstName: p.Get("first_name").Text(), LastName: p.Get("last_name").Text(),
		Phone: p.Get("phone").Text(), Company: p.Get("default_address").Get("company").Text(), Address: readAddress(p.Get("default_address")),
		Tags: readTags(p.Get("tags").Text()), Note: p.Get("note").Text(), TaxExempt: p.Get("tax_exempt").Flag(),
		UpdatedAt: firstTime(p.Get("updated_at").Time(), ev.OccurredAt), Deleted: ev.Topic == "customers/delete",
	}
	if !strictjson.PlainID(party.ID) {
		p.Get("id").Complain("is not a usable identifier")
	}
	return commerce.Content{Customer: party}, nil
}

// product reads a product with its variants. Prices carry no currency there,
// and are not read.
func (s *Source) product(p strictjson.Place, ev event.Event) (commerce.Content, error) {
	product := &commerce.Product{
		ID: p.Get("id").ID(), Title: p.Get("title").Text(), Vendor: p.Get("vendor").Text(), Kind: p.Get("product_type").Text(),
		UpdatedAt: firstTime(p.Get("updated_at").Time(), ev.OccurredAt), Deleted: ev.Topic == "products/delete",
	}
	if !strictjson.PlainID(product.ID) {
		p.Get("id").Complain("is not a usable identifier")
	}
	for _, v := range p.Get("variants").Each() {
		title := product.Title
		if text := v.Get("title").Text(); text != "" && text != "Default Title" {
			title += " - " + text
		}
		product.Variants = append(product.Variants, commerce.Variant{
			ID: v.Get("id").ID(), SKU: v.Get("sku").Text(), Title: title, Shipped: v.Get("requires_shipping").Flag(),
		})
	}
	return commerce.Content{Product: product}, nil
}

var privacyKinds = map[string]commerce.PrivacyKind{
	"customers/data_request": commerce.PrivacyExport, "customers/redact": commerce.PrivacyRedact, "shop/redact": commerce.PrivacyRedactShop,
	"app/uninstalled": commerce.ShopUninstalled,
}

// privacy reads a request about stored personal data, or the end of the app.
func (s *Source) privacy(p strictjson.Place, ev event.Event) (commerce.Content, error) {
	customer := p.Get("customer")
	request := &commerce.Privacy{
		Kind: privacyKinds[ev.Topic], RequestID: cmp.Or(p.Get("data_request").Get("id").ID(), ev.ProviderID),
		Shop: cmp.Or(p.Get("shop_domain").Text(), p.Get("myshopify_domain").Text(), p.Get("domain").Text()), CustomerID: customer.Get("id").ID(),
		Email: customer.Get("email").Text(), Phone: customer.Get("phone").Text(),
	}
	for _, name := range []string{"orders_requested", "orders_to_redact"} {
		for _, order := range p.Get(name).Each() {
			if id := order.ID(); id != "" {
				request.OrderIDs = append(request.OrderIDs, id)
			}
		}
	}
	return commerce.Content{Privacy: request}, nil
}

func first(list []string) string { return strings.Join(list[:min(1, len(list))], "") }
