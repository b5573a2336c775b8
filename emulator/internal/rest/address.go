package rest

import "strings"

// Address is where clients reach the portal.
type Address struct {
	URL string // without a path; empty before the first request
}

// Domain is the portal's host.
func (a *Address) Domain() string {
	return strings.TrimPrefix(strings.TrimPrefix(a.URL, "https://"), "http://")
}

// Endpoint is the address of the REST API.
func (a *Address) Endpoint() string { return a.URL + "/rest/" }
