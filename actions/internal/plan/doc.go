// Package plan compares the records of a portal with those that a rule wants,
// and writes the difference. A record is an element of a list or an item of the
// CRM.
//
// Diff makes a plan and Apply writes it. The records come from a Scope of a list
// or from the FindItems of an ItemSchema; an ElementTarget or an ItemTarget says
// how a plan is written there.
package plan
