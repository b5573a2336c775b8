// Package bitrix speaks to a Bitrix24 portal: it calls REST methods within the
// portal's limits, tells apart what ran, what did not and what nobody knows,
// and reads the events that a portal posts.
//
// A Client serves one portal and is shared by all who call it: calls that are
// ready at the same time travel in one batch request, which costs the portal's
// rate limit as much as a single call.
package bitrix
