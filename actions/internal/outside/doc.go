// Package outside sends the requests of actions to systems that are not the portal. It
// connects only to allowed addresses, and its errors hold no URL.
package outside
