package erpnext

import (
	"encoding/json"
	"maps"
)

// Extra are further fields of a document, by their names: a site's custom
// fields. They stand beside the document's own on the wire and never replace
// one that is sent.
type Extra map[string]any

// MarshalJSON writes the order with its further fields.
func (d SalesOrder) MarshalJSON() ([]byte, error) {
	type plain SalesOrder
	return withExtra(plain(d), d.Extra)
}

// MarshalJSON writes the row with its further fields.
func (d SalesOrderItem) MarshalJSON() ([]byte, error) {
	type plain SalesOrderItem
	return withExtra(plain(d), d.Extra)
}

// MarshalJSON writes the customer with its further fields.
func (d Customer) MarshalJSON() ([]byte, error) {
	type plain Customer
	return withExtra(plain(d), d.Extra)
}

// MarshalJSON writes the payment with its further fields.
func (d PaymentEntry) MarshalJSON() ([]byte, error) {
	type plain PaymentEntry
	return withExtra(plain(d), d.Extra)
}

// MarshalJSON writes the note with its further fields.
func (d DeliveryNote) MarshalJSON() ([]byte, error) {
	type plain DeliveryNote
	return withExtra(plain(d), d.Extra)
}

// MarshalJSON writes the invoice with its further fields.
func (d SalesInvoice) MarshalJSON() ([]byte, error) {
	type plain SalesInvoice
	return withExtra(plain(d), d.Extra)
}

func withExtra(doc any, extra Extra) ([]byte, error) {
	data, err := json.Marshal(doc)
	if err != nil || len(extra) == 0 {
		return data, err
	}
	fields := map[string]any{}
	maps.Copy(fields, extra)
	var own map[string]json.RawMessage
	if err := json.Unmarshal(data, &own); err != nil {
		return nil, err
	}
	for name, value := range own {
		fields[name] = value
	}
	return json.Marshal(fields)
}
