// Package value compares values of portal fields and writes them in the form
// that each REST method takes. A Field says how: it has the kind, the time zone and
// the number of digits.
package value
