package posting

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/commerce"
	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/money"
)

// phase is how far an order's life has got in ERPNext.
type phase string

const (
	unknown   phase = ""          // nothing is remembered of it
	live      phase = "live"      // there is a Sales Order, draft or submitted
	closed    phase = "closed"    // its Sales Order was closed: the shop cancelled it too late
	cancelled phase = "cancelled" // its Sales Order was cancelled by us
	unmade    phase = "unmade"    // it was cancelled before anything was made
	skipped   phase = "skipped"   // it is not booked, as the mapping sheet says
	byHand    phase = "by_hand"   // a person cancelled its Sales Order: it stays so
)

// orderState is what the memory keeps of an order, in the Data of its document.
type orderState struct {
	name  string // ERPNext's name of the newest Sales Order; "" = there is none
	phase phase

	version string // of the newest snapshot that was applied; see version
	booked  string // digest of what that snapshot books
	said    string // digest of what else it says of the Sales Order
	note    string // digest of the note that was last written down
	extra   string // digest of the sheet's own fields

	revision int // of the newest Sales Order; 0 = the first, else 2, 3, …
	// next is the revision that is taking the place of the newest one, and
	// relink are the payments to link to it. They are written down before the
	// first document is cancelled, so that whoever comes after a crash goes on.
	next   int
	relink []string

	// covered are the pieces of each line that stand in ERPNext, as "id quantity"
	// lines, and coveredTotal what they come to; supplements are the Sales Orders
	// beside the newest one.
	covered      string
	coveredTotal string
	supplements  []string

	customer string
	currency string
	total    string // in the order's currency
	base     string // in the company's
	shown    string // what the buyer was shown instead, where that is another currency: "45.85 USD"
}

func (s orderState) data() map[string]string {
	all := map[string]string{
		"phase": string(s.phase), "version": s.version, "booked": s.booked, "said": s.said, "note": s.note,
		"revision": number(s.revision), "next": number(s.next), "relink": strings.Join(s.relink, "\n"),
		"extra": s.extra, "covered": s.covered, "covered_total": s.coveredTotal, "supplements": strings.Join(s.supplements, "\n"),
		"customer": s.customer, "currency": s.currency, "grand_total": s.total, "base_grand_total": s.base, "shown": s.shown,
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// Impersonal are the names of what the memory keeps of documents that tells
// nothing of a person. It outlives a request to erase: the life of an order and
// of its money goes on.
func Impersonal() []string {
	return []string{
		"phase", "version", "booked", "said", "revision", "next", "relink", "currency", "grand_total", "base_grand_total", "shown",
		"extra", "covered", "covered_total", "supplements",
		dataCurrency, dataSettled, dataLinked, dataKeys, dataFailed, dataMoving, dataCharged, dataGross, dataCredited, dataSum, "names", "id", "fee", "net", "order", dataFile,
	}
}

func readState(doc event.Document) orderState {
	s := orderState{
		name: doc.Name, phase: phase(doc.Data["phase"]),
		version: doc.Data["version"], booked: doc.Data["booked"], said: doc.Data["said"], note: doc.Data["note"],
		customer: doc.Data["customer"], currency: doc.Data["currency"], total: doc.Data["grand_total"], base: doc.Data["base_grand_total"], shown: doc.Data["shown"],
	}
	s.revision, _ = strconv.Atoi(doc.Data["revision"])
	s.next, _ = strconv.Atoi(doc.Data["next"])
	if text := doc.Data["relink"]; text != "" {
		s.relink = strings.Split(text, "\n")
	}
	s.extra, s.covered, s.coveredTotal = doc.Data["extra"], doc.Data["covered"], doc.Data["covered_total"]
	if text := doc.Data["supplements"]; text != "" {
		s.supplements = strings.Split(text, "\n")
	}
	if s.phase == unknown && s.name != "" {
		s.phase = live
	}
	s.base = cmp.Or(s.base, s.total)
	return s
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// version orders the snapshots of one order: the shop's clock first. It has
// whole seconds, so of two snapshots of one second a cancelled order is the
// newer one, and else the digest decides: any rule will do that makes every
// order of arrival end alike.
func version(o commerce.Order) string {
	ended := "0"
	if o.Cancelled() {
		ended = "1"
	}
	at := o.UpdatedAt.UTC()
	if o.UpdatedAt.IsZero() {
		at = time.Time{}
	}
	return at.Format("2006-01-02T15:04:05.000000000") + "/" + ended + "/" + booked(o) + said(o) + noted(o)
}

// bookedBy begins the digest of an order. Whoever changes what the digest is
// made of, or what the rows of a Sales Order are, counts it up: the digests of
// orders from before then say nothing, and their rows in ERPNext are asked.
const bookedBy = "2:"

// booked digests what of an order makes the rows of its Sales Order. The
// sheet has no part in it: a changed sheet must not remake old orders.
func booked(o commerce.Order) string {
	var d digest
	d.add(o.Currency, o.Total, o.ShopTotal, o.TaxesIncluded, o.Tip)
	if o.Customer != nil {
		d.add(o.Customer.ID, strings.ToLower(o.Customer.Email))
	}
	for _, line := range sortedLines(o.Lines) {
		d.add("line", line.ID, line.Kind, line.SKU, line.VariantID, line.Quantity, line.UnitPrice, line.Discount)
		d.taxes(line.Taxes)
	}
	for kind, charges := range [][]commerce.Charge{o.Shipping, o.Duties, o.Fees} {
		for _, charge := range charges {
			d.add("charge", kind, charge.Title, charge.Price, charge.Discount)
			d.taxes(charge.Taxes)
		}
	}
	return bookedBy + d.sum()
}

func sortedLines(lines []commerce.Line) []commerce.Line {
	return slices.SortedFunc(slices.Values(lines), func(a, b commerce.Line) int { return strings.Compare(a.ID, b.ID) })
}

// said digests what of an order may change on its Sales Order after the submit.
func said(o commerce.Order) string {
	var d digest
	d.add(o.Name, o.PONumber)
	for _, a := range []*commerce.Address{o.BillTo, o.ShipTo} {
		if a == nil {
			a = &commerce.Address{}
		}
		d.add(*a)
	}
	return d.sum()
}

// noted digests what of an order leads to other things than its Sales Order.
func noted(o commerce.Order) string {
	var d digest
	d.add(o.Note, o.Paid, o.Tags, len(o.Refunds))
	for _, c := range o.Credits {
		d.add(c.ID)
	}
	for _, f := range o.Fulfillments {
		d.add(f.ID, f.Cancelled, f.Lines)
	}
	return d.sum()
}

// digest sums up values in the order in which they are added. Amounts are
// written without trailing zeros: 10 and 10.00 are one.
type digest struct{ text strings.Builder }

func (d *digest) add(values ...any) {
	for _, v := range values {
		switch v := v.(type) {
		case money.Amount:
			fmt.Fprintf(&d.text, "%s %s\x00", v.Value(), v.Currency())
		case *money.Amount:
			if v != nil {
				d.add(*v)
			}
		default:
			fmt.Fprintf(&d.text, "%v\x00", v)
		}
	}
}

func (d *digest) taxes(taxes []commerce.Tax) {
	for _, t := range taxes {
		d.add("tax", t.Title, t.Rate.String(), t.Amount, t.ByChannel)
	}
}

func (d *digest) sum() string { return sum(d.text.String()) }

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:10])
}

// revisionID is an id for the n-th document of one thing. A cancelled document
// keeps its key in ERPNext, so its successor needs another one.
func revisionID(id string, n int) string {
	if n < 2 {
		return id
	}
	return id + "/r" + strconv.Itoa(n)
}

// splitRevision takes the revision off a key.
func splitRevision(key string) (string, int) {
	i := strings.LastIndex(key, "/r")
	if i < 0 {
		return key, 1
	}
	n, err := strconv.Atoi(key[i+2:])
	if err != nil || n < 2 {
		return key, 1
	}
	return key[:i], n
}

// orderState reads what is remembered of an order.
func (p *Poster) orderState(ctx context.Context, key string) (orderState, error) {
	doc, ok, err := p.Memory.Document(ctx, erpnext.DocSalesOrder, key)
	if err != nil || !ok {
		return orderState{}, memoryError("posting.order", err)
	}
	return readState(doc), nil
}

// shown is what the buyer of an order was shown, where that is another currency.
func shown(o commerce.Order) string {
	if o.ShownTotal == nil {
		return ""
	}
	return amountData(*o.ShownTotal)
}
