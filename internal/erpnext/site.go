package erpnext

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/fault"
)

// Versions are the versions of the two apps that matter.
type Versions struct {
	Frappe  string
	ERPNext string // "" when the site has no ERPNext
}

// Major is ERPNext's major version, 0 when it cannot be told.
func (v Versions) Major() int {
	head, _, _ := strings.Cut(strings.TrimPrefix(v.ERPNext, "v"), ".")
	n, err := strconv.Atoi(head)
	if err != nil {
		return 0
	}
	return n
}

// Versions asks for the installed versions. Any logged-in user may.
func (c *Client) Versions(ctx context.Context) (Versions, error) {
	var apps map[string]struct {
		Version string `json:"version"`
	}
	if err := c.Call(ctx, http.MethodGet, "frappe.utils.change_log.get_versions", nil, &apps); err != nil {
		return Versions{}, err
	}
	return Versions{Frappe: apps["frappe"].Version, ERPNext: apps["erpnext"].Version}, nil
}

// TimeZone is the zone in which the site writes dates.
func (c *Client) TimeZone(ctx context.Context) (*time.Location, error) {
	const name = "frappe.client.get_time_zone"
	var answer struct {
		TimeZone string `json:"time_zone"`
	}
	if err := c.Call(ctx, http.MethodGet, name, nil, &answer); err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(answer.TimeZone)
	if err != nil || answer.TimeZone == "" {
		return nil, &fault.Error{
			Kind: fault.Unmapped, Op: "erpnext.call " + name, Cause: "the site's time zone is not known here",
			Hint: "set the time zone in the site's System Settings; a container may lack the zone data",
		}
	}
	return zone, nil
}

// LoggedUser is the user the credentials belong to. It is the cheapest call
// that proves them.
func (c *Client) LoggedUser(ctx context.Context) (string, error) {
	var user string
	if err := c.Call(ctx, http.MethodGet, "frappe.auth.get_logged_user", nil, &user); err != nil {
		return "", err
	}
	return user, nil
}

// deskBoot stands before the JSON object with which the desk's page hands the
// site's defaults to its script (frappe/www/app.html); deskBootText before the
// same as a text, which version 14 writes.
const (
	deskBoot     = "frappe.boot = "
	deskBootText = "JSON.parse("
)

// Precision is how many decimals the site keeps of an amount, and false where
// it does not tell. System Settings themselves are closed to the runtime user;
// the page that it may open carries them. A site that cannot be asked now is an
// error: its answer would be another one later.
func (c *Client) Precision(ctx context.Context) (int32, bool, error) {
	answer, err := c.deskPage(ctx)
	if err != nil {
		r, answered := errors.AsType[*Refusal](err)
		closed := answered && r.Status == http.StatusNotFound // by what stands in front of the site
		if !closed && (fault.KindOf(err).SiteWide() || fault.KindOf(err) == fault.Contention) {
			return 0, false, err
		}
		return 0, false, nil
	}
	var page struct {
		Defaults struct {
			CurrencyPrecision json.RawMessage `json:"currency_precision"`
			NumberFormat      string          `json:"number_format"`
		} `json:"sysdefaults"`
	}
	if !readBoot(answer.body, &page) {
		return 0, false, nil
	}
	if n, err := strconv.Atoi(strings.Trim(string(page.Defaults.CurrencyPrecision), `"`)); err == nil && n > 0 && n <= maxPrecision {
		return int32(n), true, nil //nolint:gosec // bounded above
	}
	digits, told := formatDecimals(page.Defaults.NumberFormat)
	return digits, told, nil
}

// readBoot takes what the page hands to its script.
func readBoot(page []byte, out any) bool {
	_, boot, found := bytes.Cut(page, []byte(deskBoot))
	if !found {
		return false
	}
	if text, quoted := bytes.CutPrefix(boot, []byte(deskBootText)); quoted {
		var inner string
		return json.NewDecoder(bytes.NewReader(text)).Decode(&inner) == nil && json.Unmarshal([]byte(inner), out) == nil
	}
	return json.NewDecoder(bytes.NewReader(boot)).Decode(out) == nil
}

// deskPage reads the page at its old address, else at that of version 16.
func (c *Client) deskPage(ctx context.Context) (*reply, error) {
	answer, err := c.exchange(ctx, request{op: "erpnext.get desk", verb: http.MethodGet, path: "/app"})
	if r, ok := errors.AsType[*Refusal](err); ok && r.Status >= 300 && r.Status < 400 {
		return c.exchange(ctx, request{op: "erpnext.get desk", verb: http.MethodGet, path: "/desk"})
	}
	return answer, err
}

const maxPrecision = 9

// formatDecimals counts the decimals of a number format: "#,###.##" has two
// (frappe/utils/data.py, get_number_format_info).
func formatDecimals(format string) (int32, bool) {
	mark := strings.LastIndexAny(format, ".,")
	switch {
	case format == "":
		return 0, false
	case mark < 0, strings.Count(format, format[mark:mark+1]) == 1 && len(format)-mark-1 == 3 && !strings.ContainsAny(format[:mark], ".,' "):
		return 0, true // the only mark groups thousands: "#,###"
	}
	return int32(len(format) - mark - 1), true //nolint:gosec // a format is short
}
