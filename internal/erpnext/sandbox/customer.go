package sandbox

import (
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
)

var customerController = controller{
	autoname: func(t *tx, d doc) error {
		if d["customer_name"] == nil {
			return nil
		}
		d["name"] = t.freeCustomerName(strings.TrimSpace(str(d, "customer_name")))
		return nil
	},
	validate: func(t *tx, d doc) error {
		if text(t.peek("Customer Group", str(d, "name"))["name"]) != "" {
			return refuse("NameError", "A Customer Group exists with same name please change the Customer name or rename the Customer Group")
		}
		if contact := t.peek("Contact", str(d, "customer_primary_contact")); contact != nil {
			d["email_id"], d["mobile_no"] = contact["email_id"], contact["mobile_no"]
		}
		return nil
	},
	onUpdate: func(t *tx, d doc) error {
		if err := t.makePrimaryContact(d); err != nil {
			return err
		}
		return t.makePrimaryAddress(d)
	},
	onTrash: func(t *tx, d doc) error {
		for _, doctype := range []string{"Contact", "Address"} {
			for _, other := range t.linkedTo(doctype, "Customer", str(d, "name")) {
				t.remove(doctype, str(other, "name"))
			}
		}
		return nil
	},
}

var numberedName = regexp.MustCompile(` - (\d+)$`)

// freeCustomerName numbers a name that is taken: "Ann Lee - 1".
func (t *tx) freeCustomerName(name string) string {
	if t.peek("Customer", name) == nil {
		return name
	}
	highest := 0
	for _, d := range t.all("Customer") {
		if m := numberedName.FindStringSubmatch(str(d, "name")); m != nil && strings.HasPrefix(fold(str(d, "name")), fold(name)+" - ") {
			n, _ := strconv.Atoi(m[1])
			highest = max(highest, n)
		}
	}
	free := fmt.Sprintf("%s - %d", name, highest+1)
	t.messages = append(t.messages, message{
		text: fmt.Sprintf("Changed customer name to '%s' as '%s' already exists.", free, name), title: "Note", indicator: "yellow"})
	return free
}

// makePrimaryContact turns e-mail and phone of a new customer into a Contact.
func (t *tx) makePrimaryContact(d doc) error {
	if str(d, "customer_primary_contact") != "" || (str(d, "email_id") == "" && str(d, "mobile_no") == "") {
		return nil
	}
	contact := doc{"doctype": "Contact", "is_primary_contact": int64(1), "links": []any{customerLink(d)}}
	first, last, _ := strings.Cut(str(d, "customer_name"), " ")
	contact["first_name"] = first
	if str(d, "customer_type") != "Individual" {
		contact["first_name"], contact["company_name"] = d["customer_name"], d["customer_name"]
	} else if last != "" {
		contact["last_name"] = last
	}
	if email := str(d, "email_id"); email != "" {
		contact["email_ids"] = []any{doc{"doctype": "Contact Email", "email_id": email, "is_primary": int64(1)}}
	}
	if phone := str(d, "mobile_no"); phone != "" {
		contact["phone_nos"] = []any{doc{"doctype": "Contact Phone", "phone": phone, "is_primary_mobile_no": int64(1)}}
	}
	if err := t.insertAside(contact); err != nil {
		return err
	}
	d["customer_primary_contact"] = contact["name"]
	t.setBoth(d, doc{"customer_primary_contact": contact["name"]})
	return nil
}

func customerLink(d doc) doc {
	return doc{"doctype": "Dynamic Link", "link_doctype": "Customer", "link_name": d["name"]}
}

// insertAside inserts a document the application makes on the way.
func (t *tx) insertAside(d doc) error {
	ignoring := t.ignoring
	t.ignoring = true
	defer func() { t.ignoring = ignoring }()
	if t.nameSent {
		return t.leakedName(d)
	}
	err := t.insert(d)
	var f *failure
	if errors.As(err, &f) {
		f.source = inApp
	}
	return err
}

// leakedName is the fault of this version when the client chose a name: the
// flag holds for every document of the request, and rows of the next one get
// no parent.
func (t *tx) leakedName(d doc) error {
	dt := t.types[str(d, "doctype")]
	var missing []string
	for _, f := range dt.fields {
		if f.kind != "Table" {
			continue
		}
		for i := range rows(d, f.name) {
			missing = append(missing, "parent")
			t.say(fmt.Sprintf("Error: <strong>%s</strong> Row #%d: Value missing for: parent", f.target, i+1))
		}
	}
	return bare("MandatoryError", fmt.Sprintf("[%s, None]: %s", dt.name, strings.Join(missing, ", "))).from(inApp)
}

// setBoth changes fields in the document at hand and in the store, moving its
// modified time.
func (t *tx) setBoth(d, values doc) {
	for k, v := range values {
		d[k] = v
	}
	t.set(str(d, "doctype"), str(d, "name"), true, values)
	d["modified"] = t.peek(str(d, "doctype"), str(d, "name"))["modified"]
}

// addressInput are the address fields a Customer takes without having them.
var addressInput = []string{"address_line1", "address_line2", "city", "state", "pincode", "country"}

// makePrimaryAddress turns address fields of a new customer into an Address.
func (t *tx) makePrimaryAddress(d doc) error {
	input, _ := d["__address"].(doc)
	delete(d, "__address")
	if input == nil || str(input, "address_line1") == "" || str(input, "city") == "" || str(input, "country") == "" {
		return nil
	}
	address := doc{"doctype": "Address", "address_title": d["customer_name"], "address_type": "Billing", "is_primary_address": int64(1), "is_shipping_address": int64(1),
		"links": []any{customerLink(d)}}
	for _, name := range addressInput {
		if v := input[name]; v != nil {
			address[name] = v
		}
	}
	if err := t.insertAside(address); err != nil {
		return err
	}
	t.setBoth(d, doc{"customer_primary_address": address["name"], "primary_address": displayAddress(address)})
	return nil
}

// displayAddress is the rendered text of an address for a US site.
func displayAddress(a doc) string {
	var b strings.Builder
	b.WriteString(str(a, "address_line1") + "<br>\n")
	if line := str(a, "address_line2"); line != "" {
		b.WriteString(line + "<br>\n")
	}
	b.WriteString(str(a, "city") + ", " + str(a, "state"))
	if code := str(a, "pincode"); code != "" {
		b.WriteString(" " + code)
	}
	b.WriteString("<br>\n")
	return b.String()
}

var contactController = controller{
	autoname: func(t *tx, d doc) error {
		name := fullName(d)
		if name == "" {
			name = firstOf(rows(d, "email_ids"), "email_id")
		}
		for _, link := range rows(d, "links") {
			name += "-" + str(link, "link_name")
			break
		}
		d["name"] = t.numbered("Contact", name)
		return nil
	},
	validate: validateContact,
}

func fullName(d doc) string {
	return strings.Join(strings.Fields(strings.Join([]string{str(d, "first_name"), str(d, "middle_name"), str(d, "last_name")}, " ")), " ")
}

func firstOf(list []doc, field string) string {
	if len(list) == 0 {
		return ""
	}
	return str(list[0], field)
}

// numbered appends -1, -2 to a name that is taken.
func (t *tx) numbered(doctype, name string) string {
	free := name
	for n := 1; t.peek(doctype, free) != nil; n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	return free
}

func validateContact(t *tx, d doc) error {
	d["full_name"] = fullName(d)
	emails, phones := rows(d, "email_ids"), rows(d, "phone_nos")
	for _, row := range emails {
		if err := checkEmail(str(row, "email_id")); err != nil {
			return err
		}
	}
	for _, row := range phones {
		if !phoneNumber.MatchString(strings.TrimSpace(str(row, "phone"))) {
			return throw("InvalidPhoneNumberError", str(row, "phone")+" is not a valid Phone Number")
		}
	}
	email, err := primary(emails, "is_primary", "email_id", "Email ID")
	if err != nil {
		return err
	}
	phone, err := primary(phones, "is_primary_phone", "phone", "Phone")
	if err != nil {
		return err
	}
	mobile, err := primary(phones, "is_primary_mobile_no", "phone", "Mobile No")
	if err != nil {
		return err
	}
	d["email_id"], d["phone"], d["mobile_no"] = email, phone, mobile
	if email != "" && d["image"] == nil {
		d["image"] = ""
	}
	for _, link := range rows(d, "links") {
		link["link_title"] = t.titleOf(str(link, "link_doctype"), str(link, "link_name"))
	}
	return nil
}

// titleOf is how a linked document is called in lists.
func (t *tx) titleOf(doctype, name string) any {
	d := t.peek(doctype, name)
	if doctype == "Customer" {
		return d["customer_name"]
	}
	return d["name"]
}

// primary is the one row marked as primary; a single row is primary by itself.
func primary(list []doc, mark, field, label string) (string, error) {
	value, marked := "", 0
	for _, row := range list {
		if cint(row[mark]) == 1 {
			value, marked = str(row, field), marked+1
		}
	}
	if marked > 1 {
		return "", throw("ValidationError", "Only one <strong>"+label+"</strong> can be set as primary.")
	}
	if marked == 0 && len(list) == 1 && mark == "is_primary" {
		list[0][mark] = int64(1)
		value = str(list[0], field)
	}
	return strings.TrimSpace(value), nil
}

var phoneNumber = regexp.MustCompile(`^[0-9 +_\-,.*#()]{1,20}$`)

func checkEmail(value string) error {
	parsed, err := mail.ParseAddress(value)
	if err == nil && parsed.Address == value && strings.Contains(value[strings.LastIndexByte(value, '@'):], ".") {
		return nil
	}
	return throw("InvalidEmailAddressError", value+" is not a valid Email Address")
}

var addressController = controller{
	autoname: func(t *tx, d doc) error {
		if str(d, "address_title") == "" {
			if links := rows(d, "links"); len(links) > 0 {
				d["address_title"] = links[0]["link_name"]
			}
		}
		if str(d, "address_title") == "" {
			return throw("ValidationError", "Address Title is mandatory.")
		}
		d["name"] = t.numbered("Address", str(d, "address_title")+"-"+str(d, "address_type"))
		return nil
	},
	validate: func(t *tx, d doc) error {
		for _, link := range rows(d, "links") {
			link["link_title"] = t.titleOf(str(link, "link_doctype"), str(link, "link_name"))
		}
		if email := str(d, "email_id"); email != "" {
			return checkEmail(email)
		}
		return nil
	},
	onUpdate: func(t *tx, d doc) error {
		for _, mark := range []string{"is_primary_address", "is_shipping_address"} {
			if cint(d[mark]) == 1 {
				t.clearOtherAddresses(d, mark)
			}
		}
		return nil
	},
}

// clearOtherAddresses leaves one primary and one shipping address a party.
func (t *tx) clearOtherAddresses(d doc, mark string) {
	for _, link := range rows(d, "links") {
		for _, other := range t.linkedTo("Address", str(link, "link_doctype"), str(link, "link_name")) {
			if str(other, "name") != str(d, "name") && cint(other[mark]) == 1 {
				t.set("Address", str(other, "name"), false, doc{mark: int64(0)})
			}
		}
	}
}

// linkedTo are the contacts or addresses of a party, oldest first.
func (t *tx) linkedTo(doctype, partyType, party string) []doc {
	var out []doc
	for _, d := range t.all(doctype) {
		for _, link := range rows(d, "links") {
			if str(link, "link_doctype") == partyType && fold(str(link, "link_name")) == fold(party) {
				out = append(out, d)
				break
			}
		}
	}
	return out
}
