package shopify

import (
	"cmp"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// Topics that this service turns into documents.
const (
	ordersCreate = "orders/create"
	ordersPaid   = "orders/paid"
)

// shapes are the bodies that can be told apart by what they contain, with the
// topics that send them. The first topic of a shape is what such a body becomes
// when its header claims something else.
var shapes = []struct {
	is     func(strictjson.Value) bool
	topics []string
}{
	{isCheckout, []string{"checkouts/update", "checkouts/create"}},
	{isDraft, []string{"draft_orders/update", "draft_orders/create"}},
	{isOrder, []string{
		ordersCreate, ordersPaid, "orders/updated", "orders/cancelled", "orders/fulfilled", "orders/partially_fulfilled",
	}},
	{isRefund, []string{"refunds/create"}},
	{isTransaction, []string{"order_transactions/create"}},
}

// decideTopic settles what a delivery is. The signature covers the body alone:
// a genuine refund sent again as orders/create must not become an order, nor a
// genuine order be lost under refunds/create. So a body that has the shape of
// an order, refund, transaction, checkout or draft keeps its header's topic only
// if that topic sends this shape, and gets its shape's own topic otherwise: an
// order becomes orders/create, whose booking is keyed by the order and cannot
// double anything. Any other body goes by its header.
func decideTopic(header string, object strictjson.Value) string {
	for _, shape := range shapes {
		if !shape.is(object) {
			continue
		}
		for _, topic := range shape.topics {
			if topic == header {
				return header
			}
		}
		return shape.topics[0]
	}
	return header
}

// demanding are the topics that erase, tell of people or hold a whole shop up.
// Whoever has seen any genuine delivery can send its body again under them, so
// the body must be one that Shopify sends there.
var demanding = map[string]func(strictjson.Value) bool{
	"shop/redact":            func(v strictjson.Value) bool { return v.Has("shop_domain") },
	"customers/redact":       aboutCustomer,
	"customers/data_request": aboutCustomer,
	"app/uninstalled": func(v strictjson.Value) bool {
		return v.Has("myshopify_domain") || v.Has("shop_owner") || v.Has("plan_name")
	},
}

func aboutCustomer(v strictjson.Value) bool {
	return v.Has("shop_domain") && v.Get("customer").Kind() == strictjson.Object
}

// deserves reports whether a body may have a topic.
func deserves(topic string, object strictjson.Value) bool {
	meets := demanding[topic]
	return meets == nil || meets(object)
}

func isOrder(v strictjson.Value) bool {
	return v.Has("id") && v.Has("line_items") && v.Has("total_price") && (v.Has("order_number") || v.Has("financial_status"))
}

func isCheckout(v strictjson.Value) bool {
	return v.Has("line_items") && v.Has("abandoned_checkout_url")
}

func isDraft(v strictjson.Value) bool {
	return v.Has("line_items") && v.Has("invoice_url") && !v.Has("order_number")
}

func isRefund(v strictjson.Value) bool {
	return v.Has("order_id") && (v.Has("refund_line_items") || v.Has("transactions")) && !v.Has("line_items")
}

func isTransaction(v strictjson.Value) bool {
	return v.Has("order_id") && v.Has("kind") && !v.Has("line_items")
}

// subject names the order, customer or product that an event is about, so that
// the events of one are handled one after the other.
func subject(topic string, object strictjson.Value) string {
	id := object.Get("order_id").ID()
	if id == "" {
		id = object.Get("order_edit").Get("order_id").ID()
	}
	kind := "order"
	if id == "" {
		for prefix, name := range map[string]string{"orders/": "order", "customers/": "customer", "products/": "product", "disputes/": "dispute"} {
			if strings.HasPrefix(topic, prefix) {
				kind, id = name, cmp.Or(object.Get("id").ID(), object.Get("customer").Get("id").ID())
			}
		}
	}
	if !strictjson.PlainID(id) {
		return ""
	}
	return kind + "/" + id
}
