package emulator

import "strings"

// address is where clients reach the portal.
type address struct {
	url string // without a path; empty before the first request
}

// domain is the portal's host.
func (a *address) domain() string {
	return strings.TrimPrefix(strings.TrimPrefix(a.url, "https://"), "http://")
}

// endpoint is the address of the REST API.
func (a *address) endpoint() string { return a.url + "/rest/" }
