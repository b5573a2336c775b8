// Package bitrix calls the REST API of a Bitrix24 portal and decodes the events that
// the portal sends.
//
// A Client is one portal. All goroutines that work for a portal share its
// Client: their calls travel together in batch requests under one rate limiter,
// and each caller gets its own answer. What is odd on the wire stays in this
// package: ids in two forms, PHP's empty arrays, errors inside HTTP 200, limits
// that are reported in five ways.
//
// The client repeats only what surely did not run (a refusal, a portal that was
// not reached) and reads whose outcome is unknown. Everything else is for the
// caller to judge by Error.Outcome.
package bitrix
