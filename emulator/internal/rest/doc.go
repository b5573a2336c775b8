// Package rest is the protocol of a portal's REST API: requests, parameters, pages, errors, batches, limits and the journal.
//
// It knows no method. A method is a value of type Method, and a command that is being
// executed is a Call.
package rest
