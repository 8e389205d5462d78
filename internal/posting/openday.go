package posting

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/erpnext"
	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// For gives the Poster for one event of an origin. Its documents follow the
// source's policy for closed periods, and Moved tells which of them did not get
// their own day.
func (p *Poster) For(origin Origin) *Poster {
	desk := p.desk(origin)
	if !desk.FirstOpenDay {
		return p
	}
	own := *p
	own.Site = &openDays{Site: p.Site, today: func(ctx context.Context) (string, error) {
		books, err := desk.books.get(ctx)
		return books.Date(p.Now()), err
	}}
	return &own
}

// Moved tells which documents were booked on another day than their own,
// because the books are closed on it; "" = none.
func (p *Poster) Moved() string {
	if days, ok := p.Site.(*openDays); ok {
		return strings.Join(days.moved, "; ")
	}
	return ""
}

// openDays is a Site that books a document whose day is closed on the first
// open day. It is one event's, and not for concurrent use.
type openDays struct {
	Site
	today func(context.Context) (string, error)
	moved []string
}

// Create does what the Site does, on an open day.
func (s *openDays) Create(ctx context.Context, doctype string, doc, out any) error {
	err := s.Site.Create(ctx, doctype, doc, out)
	if !erpnext.BooksClosed(err) {
		return err
	}
	doc, err = s.later(ctx, doctype, doc, err)
	if err != nil {
		return err
	}
	return s.Site.Create(ctx, doctype, doc, out)
}

// Ensure does what the Site does, on an open day.
func (s *openDays) Ensure(ctx context.Context, doctype, key string, doc, out any) (bool, error) {
	created, err := s.Site.Ensure(ctx, doctype, key, doc, out)
	if !erpnext.BooksClosed(err) {
		return created, err
	}
	doc, err = s.later(ctx, doctype, doc, err)
	if err != nil {
		return false, err
	}
	return s.Site.Ensure(ctx, doctype, key, doc, out)
}

// Submit moves a draft to an open day when ERPNext finds only now that its own
// is closed.
func (s *openDays) Submit(ctx context.Context, doctype, name string, out any) error {
	err := s.Site.Submit(ctx, doctype, name, out)
	if !erpnext.BooksClosed(err) {
		return err
	}
	var stored dated
	if err := s.Get(ctx, doctype, name, &stored); err != nil {
		return err
	}
	day, err := s.openDay(ctx, doctype, stored, err)
	if err != nil {
		return err
	}
	if err := s.Update(ctx, doctype, name, onDay(doctype, day), nil); err != nil {
		return err
	}
	return s.Site.Submit(ctx, doctype, name, out)
}

// dated is what of a document decides whether its day is open.
type dated struct {
	Company string `json:"company"`
	Posted  string `json:"posting_date"`
}

// later is a document on the first open day after its own.
func (s *openDays) later(ctx context.Context, doctype string, doc any, refusal error) (any, error) {
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("posting.openday: %w", err)
	}
	var when dated
	fields := map[string]any{}
	rest := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &when); err != nil {
		return nil, fmt.Errorf("posting.openday: %w", err)
	}
	if err := json.Unmarshal(raw, &rest); err != nil {
		return nil, fmt.Errorf("posting.openday: %w", err)
	}
	day, err := s.openDay(ctx, doctype, when, refusal)
	if err != nil {
		return nil, err
	}
	for name, value := range rest {
		fields[name] = value
	}
	for name, value := range onDay(doctype, day) {
		fields[name] = value
	}
	return fields, nil
}

// onDay are the fields that put a document on a day. ERPNext moves invoices and
// deliveries to today unless it is told to keep their date, and an invoice is
// not due before it.
func onDay(doctype, day string) map[string]any {
	fields := map[string]any{"posting_date": day}
	switch doctype {
	case "Sales Invoice":
		fields["set_posting_time"], fields["due_date"], fields["payment_schedule"] = 1, day, []any{}
	case "Delivery Note":
		fields["set_posting_time"] = 1
	}
	return fields
}

// openDay finds the first open day for a document that was refused. When
// nothing that can be read explains the refusal, or the day is still to come,
// the refusal stands.
func (s *openDays) openDay(ctx context.Context, doctype string, d dated, refusal error) (string, error) {
	today, err := s.today(ctx)
	if err != nil {
		return "", err
	}
	closed, err := s.closures(ctx, doctype, d)
	if err != nil {
		return "", err
	}
	day := closed.open(d.Posted)
	if day == d.Posted || day == "" || day > today {
		return "", noOpenDay(refusal)
	}
	s.moved = append(s.moved, fmt.Sprintf("the books are closed on %s: the %s is dated %s", d.Posted, doctype, day))
	return day, nil
}

// noOpenDay is the refusal of a document for which no other day was found.
func noOpenDay(refusal error) error {
	f := *fault.As(refusal)
	f.Hint = "no open day was found up to today: open the period, or let the API user read Accounting Period, Period Closing Voucher and " +
		"Fiscal Year (role Accounts Manager), then replay"
	return &f
}

// closures are the days on which a document cannot be booked.
type closures struct {
	upTo    []string // everything up to this day is closed
	periods []span
	years   []span // nothing outside is open; none = nobody knows
}

type span struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// open is the first open day from a day on, or "".
func (c closures) open(day string) string {
	for range 1000 { // periods, not days
		next := c.next(day)
		if next == day || next == "" {
			return next
		}
		day = next
	}
	return ""
}

func (c closures) next(day string) string {
	for _, last := range c.upTo {
		if day <= last {
			return dayAfter(last)
		}
	}
	for _, p := range c.periods {
		if p.From <= day && day <= p.To {
			return dayAfter(p.To)
		}
	}
	if len(c.years) == 0 || slices.ContainsFunc(c.years, func(y span) bool { return y.From <= day && day <= y.To }) {
		return day
	}
	next := ""
	for _, y := range c.years {
		if y.From > day && (next == "" || y.From < next) {
			next = y.From
		}
	}
	return next
}

func dayAfter(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return ""
	}
	return t.AddDate(0, 0, 1).Format(time.DateOnly)
}

// closures reads what closes days in ERPNext: frozen accounts, Accounting
// Periods, Period Closing Vouchers and Fiscal Years. What this user may not
// read, or this version does not have, is left out.
func (s *openDays) closures(ctx context.Context, doctype string, d dated) (closures, error) {
	var c closures
	for _, read := range []func(context.Context, string, dated, *closures) error{s.frozen, s.accountingPeriods, s.closedYears, s.fiscalYears} {
		switch err := read(ctx, doctype, d, &c); fault.KindOf(err) {
		case fault.Rights, fault.Missing, fault.Rejected, fault.BadRequest:
		default:
			if err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// frozen reads the date that is in the Accounts Settings up to version 15 and
// in the Company after that.
func (s *openDays) frozen(ctx context.Context, _ string, d dated, c *closures) error {
	var settings struct {
		UpTo string `json:"acc_frozen_upto"`
	}
	var company struct {
		UpTo string `json:"accounts_frozen_till_date"`
	}
	if err := s.Get(ctx, "Accounts Settings", "Accounts Settings", &settings); err != nil {
		return err
	}
	if err := s.Get(ctx, "Company", d.Company, &company); err != nil {
		return err
	}
	for _, day := range []string{settings.UpTo, company.UpTo} {
		if day != "" {
			c.upTo = append(c.upTo, day)
		}
	}
	return nil
}

// accountingPeriods reads the periods that are closed for this DocType: a
// period names those it closes.
func (s *openDays) accountingPeriods(ctx context.Context, doctype string, d dated, c *closures) error {
	var rows []struct {
		Name string `json:"name"`
	}
	err := s.List(ctx, erpnext.Query{
		DocType: "Accounting Period", Fields: []string{"name"}, Limit: -1,
		Filters: [][]any{{"company", "=", d.Company}, {"end_date", ">=", d.Posted}},
	}, &rows)
	if err != nil {
		return err
	}
	for _, row := range rows {
		var period struct {
			From     string        `json:"start_date"`
			To       string        `json:"end_date"`
			Disabled erpnext.Check `json:"disabled"`
			Closed   []struct {
				DocType string        `json:"document_type"`
				Closed  erpnext.Check `json:"closed"`
			} `json:"closed_documents"`
		}
		if err := s.Get(ctx, "Accounting Period", row.Name, &period); err != nil {
			return err
		}
		for _, closed := range period.Closed {
			if closed.DocType == doctype && bool(closed.Closed) && !bool(period.Disabled) {
				c.periods = append(c.periods, span{period.From, period.To})
			}
		}
	}
	return nil
}

// closedYears reads the Period Closing Vouchers. Version 14 has the end of the
// period in posting_date.
func (s *openDays) closedYears(ctx context.Context, _ string, d dated, c *closures) error {
	var rows []struct {
		End    string `json:"period_end_date"`
		Posted string `json:"posting_date"`
	}
	err := s.List(ctx, erpnext.Query{
		DocType: "Period Closing Voucher", Fields: []string{"*"}, Limit: -1,
		Filters: [][]any{{"company", "=", d.Company}, {"docstatus", "=", erpnext.Submitted}},
	}, &rows)
	for _, row := range rows {
		switch {
		case row.End != "":
			c.upTo = append(c.upTo, row.End)
		case row.Posted != "":
			c.upTo = append(c.upTo, row.Posted)
		}
	}
	return err
}

func (s *openDays) fiscalYears(ctx context.Context, _ string, d dated, c *closures) error {
	var rows []struct {
		From string `json:"year_start_date"`
		To   string `json:"year_end_date"`
	}
	err := s.List(ctx, erpnext.Query{
		DocType: "Fiscal Year", Fields: []string{"year_start_date", "year_end_date"}, Limit: -1,
		Filters: [][]any{{"disabled", "=", 0}, {"year_end_date", ">=", d.Posted}},
	}, &rows)
	for _, row := range rows {
		c.years = append(c.years, span{row.From, row.To})
	}
	return err
}
