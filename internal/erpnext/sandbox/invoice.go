package sandbox

import "errors"

var invoiceController = controller{}

func (t *tx) payInvoice(name string, amount float64) {
	d := t.peek("Sales Invoice", name)
	if d != nil {
		t.set("Sales Invoice", name, true, doc{"outstanding_amount": t.money(flt(d["outstanding_amount"]) - amount)})
	}
}

func (c *call) makeSalesInvoice() (any, error) { return nil, errors.New("not yet") }
func (c *call) makeSalesReturn() (any, error)  { return nil, errors.New("not yet") }
