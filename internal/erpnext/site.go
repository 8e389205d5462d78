package erpnext

import (
	"context"
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
