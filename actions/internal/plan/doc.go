// Package plan compares the records of a portal with the desired ones and writes
// the difference. A record is an element of a list or an item of the CRM.
//
// Diff makes a plan and Apply writes it. The records come from a Scope of a list
// or from FindItems of an ItemSchema. An ElementTarget or an ItemTarget writes the
// plan there.
package plan
