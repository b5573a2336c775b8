// Package value compares values of portal fields and writes them in the form
// that each REST method takes. A Field says how: its kind, its time zone, the
// digits that the portal keeps.
package value
