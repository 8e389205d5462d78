package paypal

import (
	"cmp"
	"strings"

	"github.com/ledgerhook/ledgerhook/internal/source/strictjson"
)

// waitsFor says what a payment that is pending waits for, by PayPal's code.
var waitsFor = map[string]string{
	"BUYER_COMPLAINT":              "the buyer's complaint to be settled",
	"CHARGEBACK":                   "a chargeback to be settled",
	"ECHECK":                       "the buyer's eCheck to clear",
	"GUARANTEE":                    "PayPal's guarantee to be settled",
	"INTERNATIONAL_WITHDRAWAL":     "you to accept it in PayPal: your account cannot withdraw abroad",
	"PAYMENT_REVIEW":               "PayPal's review",
	"PENDING_REVIEW":               "PayPal's review",
	"REGULATORY_REVIEW":            "a review that the law asks for",
	"REFUNDED":                     "nothing: it was refunded",
	"REFUND":                       "nothing: it was refunded",
	"UNCONFIRMED_SHIPPING_ADDRESS": "you to accept it in PayPal: the shipping address is not confirmed",
	"UNILATERAL":                   "your e-mail address to be added to your PayPal account and confirmed",
	"VERIFICATION_REQUIRED":        "your PayPal account to be verified",
	"RECEIVING_PREFERENCE_MANDATES_MANUAL_ACTION": "you to accept it in PayPal, as your payment receiving preferences ask",
	"TRANSACTION_APPROVED_AWAITING_FUNDING":       "the buyer to fund it",
}

// whyPending says what a payment waits for before it is money.
func whyPending(r strictjson.Place) string {
	if held(r) {
		return "PayPal holds the money back: the payment is booked when it is released"
	}
	code := cmp.Or(r.Get("status_details").Get("reason").Text(), r.Get("reason_code").Text())
	what, known := waitsFor[code]
	if !known {
		what = "something that PayPal does not name"
	}
	return "not money yet: the payment waits for " + what
}

// booksIt are the types at which money moves, for those that move none.
var booksIt = []struct{ prefix, why string }{
	{"CHECKOUT.", "no money moves at this event; " + captureCompleted + " books it"},
	{"PAYMENT.AUTHORIZATION.", "an authorisation moves no money; " + captureCompleted + " books what is captured of it"},
	{"PAYMENT.ORDER.", "no money moves at this event; " + captureCompleted + " or " + saleCompleted + " books it"},
	{"BILLING.SUBSCRIPTION.PAYMENT.FAILED", "no money came; " + saleCompleted + " books it when a later try succeeds"},
	{"BILLING.", "no money moves at this event; " + saleCompleted + " books each payment of the subscription"},
	{"CUSTOMER.DISPUTE.", "the dispute's own events tell what becomes of it"},
	{"PAYMENT.PAYOUTS", "money sent to others by PayPal Payouts is not booked: book it by hand"},
}

// whyNot says why an event books nothing. It names the type: the texts of
// several are alike.
func whyNot(topic string, r strictjson.Place) string {
	switch topic {
	case "PAYMENT.CAPTURE.PENDING", "PAYMENT.SALE.PENDING":
		return topic + ": " + whyPending(r)
	case "PAYMENT.CAPTURE.DENIED", "PAYMENT.CAPTURE.DECLINED", "PAYMENT.SALE.DENIED":
		return topic + ": the payment was declined, no money moves"
	}
	for _, t := range booksIt {
		if strings.HasPrefix(topic, t.prefix) {
			return topic + ": " + t.why
		}
	}
	return "type " + topic + " is not booked: money moves at PAYMENT.CAPTURE.* and PAYMENT.SALE.* COMPLETED, REFUNDED and REVERSED"
}
